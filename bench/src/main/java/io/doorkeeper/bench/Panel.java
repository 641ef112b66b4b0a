// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

import java.util.List;
import java.util.Locale;
import java.util.function.ToDoubleFunction;

/** One of the plots that stand above each other: values of every window over the time. */
final class Panel {
    static final int LEFT = 64;
    static final int WIDTH = 772;
    static final int HEIGHT = 132;

    private static final String INK = "#52606d";
    private static final String GRID = "#e4e7eb";
    private static final double LAST_S = Window.MS * 1e-3;

    private final Svg svg;
    private final Seconds seconds;
    private final int top;
    private final double least;
    private final double most;
    private final boolean logarithmic;

    /** Of the values from {@code least} to {@code most}. */
    Panel(Svg svg, Seconds seconds, int top, double least, double most, boolean logarithmic) {
        this.svg = svg;
        this.seconds = seconds;
        this.top = top;
        this.least = least;
        this.most = most;
        this.logarithmic = logarithmic;
    }

    static double x(Seconds seconds, double second) {
        return LEFT + WIDTH * (second - seconds.from()) / (seconds.to() - seconds.from());
    }

    private double x(double second) {
        return x(seconds, second);
    }

    private double y(double value) {
        double kept = Math.min(Math.max(value, least), most);
        double part = logarithmic
                ? Math.log(kept / least) / Math.log(most / least) : (kept - least) / (most - least);
        return top + HEIGHT * (1 - part);
    }

    /** A vertical line at a moment. */
    void mark(double second, String color, String dashes) {
        svg.line(x(second), top, x(second), top + HEIGHT, color, dashes);
    }

    /** Something that lasted. */
    void shade(double from, double to, String color) {
        svg.rectangle(x(from), top, x(to) - x(from), HEIGHT, color);
    }

    /** The title, and a horizontal line with its number for each of these values. */
    void frame(String title, double... values) {
        svg.bold(LEFT, top - 10, 13, "#1f2933", "start", title);
        for (double value : values) {
            svg.line(LEFT, y(value), LEFT + WIDTH, y(value), GRID, "none");
            svg.text(LEFT - 8, y(value) + 4, 11, INK, "end", plain(value));
        }
        for (int second = seconds.from(); second <= seconds.to(); second++) {
            svg.line(x(second), top + HEIGHT, x(second), top + HEIGHT + 4, INK, "none");
            svg.text(x(second), top + HEIGHT + 16, 11, INK, "middle", String.valueOf(second));
        }
        svg.line(LEFT, top + HEIGHT, LEFT + WIDTH, top + HEIGHT, INK, "none");
    }

    private static String plain(double value) {
        return value == Math.rint(value)
                ? String.format(Locale.ROOT, "%,.0f", value) : String.valueOf(value);
    }

    /** A step for each window. */
    void steps(List<Window> windows, ToDoubleFunction<Window> value, String color,
               boolean strong) {
        StringBuilder points = new StringBuilder();
        for (Window window : windows) {
            if (seconds.hold(window.second() + LAST_S / 2)) {
                double height = y(value.applyAsDouble(window));
                points.append(String.format(Locale.ROOT, "%.1f,%.1f %.1f,%.1f ",
                        x(window.second()), height, x(window.second() + LAST_S), height));
            }
        }
        svg.polyline(points.toString().strip(), color, strong ? 2 : 1, strong ? 1 : 0.4);
    }
}
