// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.ToDoubleFunction;

/**
 * Plots that stand above each other and are of the same seconds, as SVG: what several runs were
 * like, one of them in strong lines.
 */
final class TimeLine {
    static final String INK = "#1f2933";
    static final String SOFT = "#52606d";
    static final String HITS = "#1f5fa8";
    static final String SLOWEST = "#b3261e";
    static final String MIDDLE = "#e08a00";
    static final String REQUESTS = "#1b7837";

    private static final int WIDTH = 860;
    private static final int FIRST_TOP = 132;
    private static final int STEP = 190;
    private static final int RIGHT = Panel.LEFT + Panel.WIDTH;
    private static final int LINE_TOP = 50;
    private static final int LINE_STEP = 17;
    private static final String SHADE = "#fdf3d8";
    private static final double MS_LEAST = 0.01;
    private static final double MS_MOST = 1000;

    private final Seconds seconds;
    private final int height;
    private final Svg svg;
    private final List<List<Window>> others;
    private final List<Window> strong;
    /** What every panel shows behind its lines, and before them. */
    private final List<Consumer<Panel>> behind = new ArrayList<>();
    private final List<Consumer<Panel>> before = new ArrayList<>();

    TimeLine(String title, Seconds seconds, int panels, List<List<Window>> runs,
             List<Window> strong) {
        this.seconds = seconds;
        this.height = top(panels) - 12;
        this.svg = new Svg(WIDTH, height, title);
        this.others = runs.stream().filter(run -> run != strong).toList();
        this.strong = strong;
    }

    private static int top(int place) {
        return FIRST_TOP + STEP * place;
    }

    /** What it is of; at most three lines below the title. */
    void head(String title, String... lines) {
        svg.bold(Panel.LEFT, 30, 17, INK, "start", title);
        for (int i = 0; i < lines.length; i++) {
            svg.text(Panel.LEFT, LINE_TOP + LINE_STEP * i, 12, SOFT, "start", lines[i]);
        }
    }

    /** What the numbers below the plots count. */
    String end(String what) {
        svg.text(Panel.LEFT + Panel.WIDTH / 2.0, height - 12, 12, SOFT, "middle", what);
        return svg.end();
    }

    /** For panels that come later. */
    void shade(double from, double to) {
        behind.add(panel -> panel.shade(from, to, SHADE));
    }

    /** For panels that come later, as all marks. Its name is to the right of it. */
    void mark(double second, String name) {
        before.add(panel -> panel.mark(second, INK, "none"));
        name(second, 5, INK, "start", name);
    }

    /** Its name is to the left of it, where there is room. */
    void softMark(double second, String name) {
        before.add(panel -> panel.mark(second, SOFT, "4 3"));
        boolean room = second > seconds.from() / 2.0;
        name(second, -5, SOFT, room ? "end" : "start", name);
    }

    private void name(double second, int away, String color, String anchor, String name) {
        svg.text(Panel.x(seconds, second) + away, top(0) - 32, 12, color, anchor, name);
    }

    Panel panel(int place, String title, double least, double most, boolean logarithmic,
                double... values) {
        Panel panel = new Panel(svg, seconds, top(place), least, most, logarithmic);
        behind.forEach(what -> what.accept(panel));
        panel.frame(title, values);
        before.forEach(what -> what.accept(panel));
        return panel;
    }

    Panel percent(int place, String title) {
        return panel(place, title, 0, 100, false, 0, 25, 50, 75, 100);
    }

    /** From 0 to what was the most, in four parts that are multiples of {@code unit}. */
    void rate(int place, String title, String note, double unit, ToDoubleFunction<Window> value,
              String color) {
        double most = Math.max(Window.max(strong, value),
                others.stream().mapToDouble(run -> Window.max(run, value)).max().orElse(0));
        double part = Math.max(unit, unit * Math.ceil(most / (4 * unit)));
        Panel panel = panel(place, title, 0, 4 * part, false, 0, part, 2 * part, 3 * part,
                4 * part);
        svg.text(RIGHT, top(place) - 10, 12, SOFT, "end", note);
        series(panel, value, color);
    }

    void latency(int place) {
        Panel panel = panel(place, "authorize(), ms, from when the call was due", MS_LEAST,
                MS_MOST, true, 0.01, 0.1, 1, 10, 100, 1000);
        key(place, 64, SLOWEST, "p99");
        key(place, 0, MIDDLE, "median");
        series(panel, Window::p50Ms, MIDDLE);
        series(panel, Window::p99Ms, SLOWEST);
    }

    /** What a color stands for, so many pixels from the right. */
    void key(int place, int away, String color, String name) {
        svg.bold(RIGHT - away, top(place) - 10, 12, color, "end", name);
    }

    void series(Panel panel, ToDoubleFunction<Window> value, String color) {
        others.forEach(run -> panel.steps(run, value, color, false));
        panel.steps(strong, value, color, true);
    }
}
