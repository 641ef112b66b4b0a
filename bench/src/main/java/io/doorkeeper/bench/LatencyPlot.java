// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

import java.util.List;
import java.util.Locale;

/** How long one cold action waits, by percentile, as SVG. */
final class LatencyPlot {
    private static final int WIDTH = 860;
    private static final int HEIGHT = 400;
    private static final int LEFT = 64;
    private static final int LEGEND_STEP = 250;
    private static final int LEGEND_COLUMNS = 2;
    private static final List<String> COLORS = List.of("#1f5fa8", "#7b8794", "#2e7d32", "#b3261e");
    private static final List<Double> NAMED = List.of(10.0, 50.0, 90.0, 99.0, 99.9);
    /** What lies to the right of 99.9 % is a few samples. */
    private static final double LAST = 99.9;

    private final Report report;
    private final Svg svg = new Svg(WIDTH, HEIGHT, "Latency of one action that OPA is asked for");

    LatencyPlot(Report report) {
        this.report = report;
    }

    String draw() {
        svg.bold(LEFT, 30, 17, Axes.INK, "start", "What a new question costs");
        svg.text(LEFT, 50, 12, Axes.SOFT, "start",
                "Microseconds that so many percent do not exceed: one cold action, asked in turns"
                        + " by one thread; real OPA, shipped policy.");
        Axes axes = new Axes(svg, LEFT, 112, 760, 240, 10, 100_000);
        axes.frame("us by the clock");
        NAMED.forEach(percent -> axes.name(place(percent), Report.number(percent) + " %"));
        for (int i = 0; i < report.oneMiss().size(); i++) {
            Latency one = report.oneMiss().get(i);
            String color = COLORS.get(i);
            int left = LEFT + LEGEND_STEP * (i % LEGEND_COLUMNS);
            int top = 65 + 18 * (i / LEGEND_COLUMNS);
            svg.rectangle(left, top, 10, 10, color);
            svg.text(left + 14, top + 9, 11, Axes.INK, "start", String.format(Locale.ROOT,
                    "%s, median %s", one.who(), Report.number(one.at(50))));
            axes.line(one.points().stream().filter(point -> point.percent() <= LAST)
                    .map(point -> new Axes.Point(place(point.percent()), point.us())).toList(),
                    color);
        }
        return svg.end();
    }

    /** Each nine takes the same room. */
    private static double place(double percent) {
        return -Math.log10(1 - percent / 100) / -Math.log10(1 - LAST / 100);
    }
}
