// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

import java.util.List;
import java.util.Locale;

/** A plot with a logarithmic scale upwards and named places to the right. */
final class Axes {
    static final String INK = "#1f2933";
    static final String SOFT = "#52606d";
    private static final String GRID = "#e4e7eb";
    private static final int DOT = 5;

    private final Svg svg;
    private final double left;
    private final double top;
    private final double width;
    private final double height;
    private final double least;
    private final double most;

    /** The place of the plot in pixels, and the values at its bottom and top. */
    Axes(Svg svg, double left, double top, double width, double height, double least,
         double most) {
        this.svg = svg;
        this.left = left;
        this.top = top;
        this.width = width;
        this.height = height;
        this.least = least;
        this.most = most;
    }

    /** A point: {@code place} from 0, left, to 1. */
    record Point(double place, double value) {
    }

    private double x(double place) {
        return left + width * place;
    }

    private double y(double value) {
        double kept = Math.min(Math.max(value, least), most);
        return top + height * (1 - Math.log(kept / least) / Math.log(most / least));
    }

    /** The title, and a line with its number for each power of ten. */
    void frame(String title) {
        svg.bold(left, top - 10, 13, INK, "start", title);
        for (double value = least; value <= most * 1.01; value *= 10) {
            svg.line(left, y(value), left + width, y(value), GRID, "none");
            svg.text(left - 8, y(value) + 4, 11, SOFT, "end", plain(value));
        }
        svg.line(left, top + height, left + width, top + height, SOFT, "none");
    }

    private static String plain(double value) {
        return String.format(Locale.ROOT, "%,.0f", value);
    }

    void name(double place, String text) {
        svg.line(x(place), top + height, x(place), top + height + 4, SOFT, "none");
        svg.text(x(place), top + height + 16, 11, SOFT, "middle", text);
    }

    void line(List<Point> points, String color) {
        StringBuilder corners = new StringBuilder();
        for (Point point : points) {
            corners.append(String.format(Locale.ROOT, "%.1f,%.1f ", x(point.place()),
                    y(point.value())));
            svg.rectangle(x(point.place()) - DOT / 2.0, y(point.value()) - DOT / 2.0, DOT, DOT,
                    color);
        }
        svg.polyline(corners.toString().strip(), color, 2, 1);
    }

    /** The number of a point, so many pixels below it. */
    void value(Point point, String color, int down) {
        svg.text(x(point.place()) + 4, y(point.value()) + down, 10, color, "start",
                Report.number(point.value()));
    }
}
