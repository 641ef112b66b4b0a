// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

import java.util.Locale;
import java.util.function.ToDoubleFunction;

/** Hit ratio, latency and requests to OPA around a change of the policy, as SVG. */
final class ChangePlot {
    private static final int WIDTH = 860;
    private static final int HEIGHT = 690;
    private static final int[] TOPS = {132, 322, 512};
    private static final int RIGHT = Panel.LEFT + Panel.WIDTH;
    private static final String INK = "#1f2933";
    private static final String SOFT = "#52606d";
    private static final String HITS = "#1f5fa8";
    private static final String SLOWEST = "#b3261e";
    private static final String MIDDLE = "#e08a00";
    private static final String REQUESTS = "#1b7837";
    private static final double MS_LEAST = 0.01;
    private static final double MS_MOST = 1000;

    private final ChangeReport report;
    private final ChangeRun typical;
    private final Svg svg =
            new Svg(WIDTH, HEIGHT, "Hit ratio, latency and OPA requests around a policy change");

    ChangePlot(ChangeReport report) {
        this.report = report;
        this.typical = report.typical();
    }

    String draw() {
        head();
        Panel hits = panel(0, "Hit ratio, %", 0, 100, false, 0, 25, 50, 75, 100);
        series(hits, window -> 100 * window.hitRatio(), HITS);
        Panel latency = panel(1, "authorize(), ms, from when the call was due", MS_LEAST, MS_MOST,
                true, 0.01, 0.1, 1, 10, 100, 1000);
        svg.bold(RIGHT - 64, TOPS[1] - 10, 12, SLOWEST, "end", "p99");
        svg.bold(RIGHT, TOPS[1] - 10, 12, MIDDLE, "end", "median");
        series(latency, ChangeRun.Window::p50Ms, MIDDLE);
        series(latency, ChangeRun.Window::p99Ms, SLOWEST);
        double unit = requestsUnit();
        Panel requests = panel(2, "HTTP requests to OPA a second", 0, 4 * unit, false, 0, unit,
                2 * unit, 3 * unit, 4 * unit);
        note(2, String.format(Locale.ROOT, "%,d in all, %.0f questions in each",
                typical.summary().requests(), typical.summary().batch()));
        series(requests, ChangeRun.Window::requestsPerS, REQUESTS);
        svg.text(Panel.LEFT + Panel.WIDTH / 2.0, HEIGHT - 12, 12, SOFT, "middle",
                "seconds since the cache was emptied; values are of 100 ms each");
        return svg.end();
    }

    private void head() {
        svg.bold(Panel.LEFT, 30, 17, INK, "start", "A change of the policy under load");
        svg.text(Panel.LEFT, 50, 12, SOFT, "start", String.format(Locale.ROOT,
                "%,d hot questions, %d threads, %,d calls a second with %d actions each; OPA, load"
                        + " and authorizer share %d processors.", report.questions(),
                report.threads(), report.callsPerSecond(), report.actionsPerCall(),
                report.processors()));
        svg.text(Panel.LEFT, 67, 12, SOFT, "start", String.format(Locale.ROOT,
                "Strong lines: the median of %d changes, which the marks are of. Pale: the others.",
                report.runs().size()));
        svg.text(Panel.x(0) + 5, TOPS[0] - 32, 12, INK, "start", String.format(Locale.ROOT,
                "new revision seen; 99 %% hits again after %.1f s", back()));
        if (published() >= Panel.FROM_S) {
            svg.text(Panel.x(published()) - 5, TOPS[0] - 32, 12, SOFT,
                    published() > Panel.FROM_S / 2 ? "end" : "start", "bundle published");
        }
    }

    private double back() {
        return typical.summary().backMs() * 1e-3;
    }

    private double published() {
        return -typical.summary().seenMs() * 1e-3;
    }

    /** A quarter of the scale, a round number. */
    private double requestsUnit() {
        double busiest = report.runs().stream()
                .mapToDouble(run -> run.summary().peakRequestsPerS()).max().orElseThrow();
        return Math.max(500, 500 * Math.ceil(busiest / 2000));
    }

    private Panel panel(int place, String title, double least, double most, boolean logarithmic,
                        double... values) {
        Panel panel = new Panel(svg, TOPS[place], least, most, logarithmic);
        panel.shade(back(), "#fdf3d8");
        panel.frame(title, values);
        panel.mark(0, INK, "none");
        if (published() >= Panel.FROM_S) {
            panel.mark(published(), SOFT, "4 3");
        }
        return panel;
    }

    private void note(int place, String text) {
        svg.text(RIGHT, TOPS[place] - 10, 12, SOFT, "end", text);
    }

    private void series(Panel panel, ToDoubleFunction<ChangeRun.Window> value, String color) {
        for (ChangeRun run : report.runs()) {
            if (run != typical) {
                panel.steps(run.windows(), value, color, false);
            }
        }
        panel.steps(typical.windows(), value, color, true);
    }
}
