// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

import java.util.Locale;

/** Writes the few elements of SVG that a plot needs. Coordinates are pixels from the top left. */
final class Svg {
    private final StringBuilder out = new StringBuilder();

    Svg(int width, int height, String title) {
        add("<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 %d %d' width='%d' height='%d'"
                + " font-family='Helvetica, Arial, sans-serif' role='img'>", width, height, width,
                height);
        add("<title>%s</title>", escaped(title));
        rectangle(0, 0, width, height, "#ffffff");
    }

    void rectangle(double x, double y, double width, double height, String color) {
        add("<rect x='%.1f' y='%.1f' width='%.1f' height='%.1f' fill='%s'/>", x, y, width, height,
                color);
    }

    /** {@code dashes}: as in stroke-dasharray, "none" for a line without gaps. */
    void line(double x1, double y1, double x2, double y2, String color, String dashes) {
        add("<line x1='%.1f' y1='%.1f' x2='%.1f' y2='%.1f' stroke='%s' stroke-dasharray='%s'/>",
                x1, y1, x2, y2, color, dashes);
    }

    /** {@code points}: "x,y x,y". */
    void polyline(String points, String color, double width, double opacity) {
        add("<polyline points='%s' fill='none' stroke='%s' stroke-width='%.1f' opacity='%.2f'"
                + " stroke-linejoin='round'/>", points, color, width, opacity);
    }

    /** {@code anchor}: start, middle or end. */
    void text(double x, double y, int size, String color, String anchor, String text) {
        text(x, y, size, color, anchor, "normal", text);
    }

    void bold(double x, double y, int size, String color, String anchor, String text) {
        text(x, y, size, color, anchor, "bold", text);
    }

    private void text(double x, double y, int size, String color, String anchor, String weight,
                      String text) {
        add("<text x='%.1f' y='%.1f' font-size='%d' fill='%s' text-anchor='%s' font-weight='%s'>"
                + "%s</text>", x, y, size, color, anchor, weight, escaped(text));
    }

    String end() {
        return out + "</svg>\n";
    }

    private void add(String format, Object... values) {
        out.append(String.format(Locale.ROOT, format, values)).append('\n');
    }

    static String escaped(String text) {
        return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;");
    }
}
