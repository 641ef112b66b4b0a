// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/** What a hit costs beside others, by the number of different questions, as SVG. */
final class HitPlot {
    private static final int WIDTH = 860;
    private static final int HEIGHT = 520;
    private static final int TOP = 112;
    private static final int PLOT_HEIGHT = 350;
    private static final int PLOT_WIDTH = 350;
    private static final int[] LEFTS = {64, 480};
    private static final int LEGEND_GAP = 28;
    private static final double LETTER = 5.6;
    /** With a decision log it would be a second line upon Doorkeeper's. */
    private static final Map<Column, String> COLORS = new EnumMap<>(Map.of(
            Column.DOORKEEPER, "#1f5fa8",
            Column.PLUGIN, "#b3261e",
            Column.LITERAL_ACLS, "#e08a00",
            Column.WILDCARD_ACL, "#1b7837",
            Column.ALWAYS_ALLOW, "#7b8794"));

    /** Whose numbers stand below their points, so that they keep clear of the others. */
    private static final Set<Column> BELOW =
            Set.of(Column.WILDCARD_ACL, Column.ALWAYS_ALLOW);

    private final Report report;
    private final List<Integer> questions;
    private final Svg svg = new Svg(WIDTH, HEIGHT, "CPU time of a hit beside other authorizers");

    HitPlot(Report report) {
        this.report = report;
        this.questions = report.hits().stream().map(hit -> hit.row().questions()).distinct()
                .sorted().toList();
    }

    String draw() {
        svg.bold(LEFTS[0], 30, 17, Axes.INK, "start", "What a cached decision costs");
        svg.text(LEFTS[0], 50, 12, Axes.SOFT, "start", String.format(Locale.ROOT,
                "CPU ns an action, medians; Kafka's objects made anew for each request. One thread;"
                        + " JDK %s, Kafka %s, %d processors.",
                report.java(), report.kafka(), report.processors()));
        legend();
        plot(LEFTS[0], "1 action a call (a produce request)", 1);
        plot(LEFTS[1], "100 actions a call (a fetch of 100 topics)", 100);
        svg.text(WIDTH / 2.0, HEIGHT - 12, 12, Axes.SOFT, "middle",
                "different questions that are asked, at random");
        return svg.end();
    }

    private void legend() {
        int left = LEFTS[0];
        for (Column column : COLORS.keySet()) {
            svg.rectangle(left, 65, 10, 10, color(column));
            svg.text(left + 14, 74, 10, Axes.INK, "start", column.label());
            left += (int) (LEGEND_GAP + LETTER * column.label().length());
        }
    }

    private static String color(Column column) {
        return COLORS.get(column);
    }

    private void plot(int left, String title, int actions) {
        Axes axes = new Axes(svg, left, TOP, PLOT_WIDTH, PLOT_HEIGHT, 10, 100_000);
        axes.frame(title);
        for (int count : questions) {
            axes.name(place(count), String.format(Locale.ROOT, "%,d", count));
        }
        for (Column column : COLORS.keySet()) {
            List<Axes.Point> points = questions.stream().map(count ->
                    new Axes.Point(place(count), median(new Row(count, actions, 1, false), column)))
                    .toList();
            axes.line(points, color(column));
            int down = BELOW.contains(column) ? 14 : -6;
            points.forEach(point -> axes.value(point, color(column), down));
        }
    }

    private double place(int count) {
        return (questions.indexOf(count) + 0.4) / questions.size();
    }

    private double median(Row row, Column column) {
        return report.hits().stream()
                .filter(hit -> hit.row().equals(row) && hit.column() == column)
                .findFirst().orElseThrow().cpuNanos().median();
    }
}
