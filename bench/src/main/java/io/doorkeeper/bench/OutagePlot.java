// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

import java.util.Locale;

/** Who answered, how fast, and what OPA was asked, while OPA hung and after it, as SVG. */
final class OutagePlot {
    private static final Seconds SECONDS = new Seconds(-2, 15);
    private static final int REQUESTS_UNIT = 500;
    private static final int FAILED_UNIT = 50;
    private static final double WINDOWS_A_SECOND = 1000.0 / Window.MS;

    private final OutageReport report;
    private final OutageRun.Summary typical;
    private final TimeLine line;

    OutagePlot(OutageReport report) {
        this.report = report;
        this.typical = report.typical().summary();
        this.line = new TimeLine("Answers, latency and OPA requests around an outage of OPA",
                SECONDS, 4, report.runs().stream().map(OutageRun::windows).toList(),
                report.typical().windows());
    }

    String draw() {
        head();
        answers();
        line.rate(1, "Calls told to try again, a second",
                String.format(Locale.ROOT, "of known questions %,d, of new ones %,d",
                        typical.knownFailed(), typical.newFailed()),
                FAILED_UNIT, window -> window.failedCalls() * WINDOWS_A_SECOND,
                TimeLine.SLOWEST);
        line.latency(2);
        line.rate(3, "HTTP requests to OPA a second, polls not counted", String.format(Locale.ROOT,
                "%,d while the breaker was open", typical.requestsWhileOpen()), REQUESTS_UNIT,
                Window::requestsPerS, TimeLine.REQUESTS);
        return line.end("seconds since OPA was stopped; values are of 100 ms each");
    }

    private void answers() {
        Panel answers = line.percent(0, "Actions by where their answer came from, %");
        line.key(0, 248, TimeLine.HITS, "cache");
        line.key(0, 204, TimeLine.REQUESTS, "OPA");
        line.key(0, 88, TimeLine.MIDDLE, "cache, past TTL");
        line.key(0, 0, TimeLine.SLOWEST, "undecided");
        line.series(answers, window -> 100 * window.opaRatio(), TimeLine.REQUESTS);
        line.series(answers, window -> 100 * window.hitRatio(), TimeLine.HITS);
        line.series(answers, window -> 100 * window.staleRatio(), TimeLine.MIDDLE);
        line.series(answers, window -> 100 * window.undecidedRatio(), TimeLine.SLOWEST);
    }

    private void head() {
        line.head("OPA hangs under load", report.load().caption(),
                String.format(Locale.ROOT, "An ALLOW lives for %d s; one call in %d asks what"
                        + " nobody asked before. All else is Doorkeeper's default.",
                        report.ttlMs() / 1000, report.newOneIn()),
                String.format(Locale.ROOT, "Strong lines: the median of %d outages, which the"
                        + " marks are of. Pale: the others.", report.runs().size()));
        double outage = typical.outageMs() * 1e-3;
        line.shade(0, outage);
        line.mark(0, String.format(Locale.ROOT, "OPA hangs; breaker open after %.1f s",
                typical.noticedMs() * 1e-3));
        line.mark(outage, String.format(Locale.ROOT, "OPA goes on; all fresh after %.1f s",
                typical.freshMs() * 1e-3));
    }
}
