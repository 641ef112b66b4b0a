// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

import java.util.Locale;

/** Hit ratio, latency and requests to OPA around a change of the policy, as SVG. */
final class ChangePlot {
    private static final Seconds SECONDS = new Seconds(-2, 4);
    private static final int REQUESTS_UNIT = 500;

    private final ChangeReport report;
    private final ChangeRun typical;
    private final TimeLine line;

    ChangePlot(ChangeReport report) {
        this.report = report;
        this.typical = report.typical();
        this.line = new TimeLine("Hit ratio, latency and OPA requests around a policy change",
                SECONDS, 3, report.runs().stream().map(ChangeRun::windows).toList(),
                typical.windows());
    }

    String draw() {
        head();
        line.series(line.percent(0, "Hit ratio, %"), window -> 100 * window.hitRatio(),
                TimeLine.HITS);
        line.latency(1);
        line.rate(2, "HTTP requests to OPA a second", String.format(Locale.ROOT,
                "%,d in all, %.0f questions in each", typical.summary().requests(),
                typical.summary().batch()), REQUESTS_UNIT, Window::requestsPerS,
                TimeLine.REQUESTS);
        return line.end("seconds since the cache was emptied; values are of 100 ms each");
    }

    private void head() {
        line.head("A change of the policy under load", report.load().caption(),
                String.format(Locale.ROOT, "Strong lines: the median of %d changes, which the"
                        + " marks are of. Pale: the others.", report.runs().size()));
        double back = typical.summary().backMs() * 1e-3;
        line.shade(0, back);
        line.mark(0, String.format(Locale.ROOT,
                "new revision seen; 99 %% hits again after %.1f s", back));
        double published = -typical.summary().seenMs() * 1e-3;
        if (SECONDS.hold(published)) {
            line.softMark(published, "bundle published");
        }
    }
}
