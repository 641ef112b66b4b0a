// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

import com.fasterxml.jackson.annotation.JsonUnwrapped;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;

/** All outages that one run measured, for people, as JSON and as a plot. */
record OutageReport(@JsonUnwrapped Load load, int ttlMs, int newOneIn, List<Figure> figures,
                    List<OutageRun> runs) {
    static OutageReport of(List<OutageRun> runs) {
        return new OutageReport(Load.onThisMachine(), OutageBench.TTL_MS, OutageBench.NEW_ONE_IN,
                figures(runs), runs);
    }

    private static List<Figure> figures(List<OutageRun> runs) {
        Summaries<OutageRun.Summary> of =
                new Summaries<>(runs.stream().map(OutageRun::summary).toList());
        return List.of(
                of.figure("OPA hung", "ms", OutageRun.Summary::outageMs),
                of.figure("OPA hangs until the breaker opens", "ms", OutageRun.Summary::noticedMs),
                of.figure("OPA goes on until the breaker closes", "ms", OutageRun.Summary::askedMs),
                of.figure("OPA goes on until all is fresh", "ms", OutageRun.Summary::freshMs),
                of.figure("median of a call before", "ms", OutageRun.Summary::p50BeforeMs),
                of.figure("p99 of a call before", "ms", OutageRun.Summary::p99BeforeMs),
                of.figure("p99 until it opens, worst 100 ms", "ms",
                        OutageRun.Summary::p99NoticingMs),
                of.figure("slowest call until it opens", "ms", OutageRun.Summary::maxNoticingMs),
                of.figure("median while it is open", "ms", OutageRun.Summary::p50OpenMs),
                of.figure("p99 while it is open", "ms", OutageRun.Summary::p99OpenMs),
                of.figure("p99 after the outage, worst 100 ms", "ms",
                        OutageRun.Summary::p99AfterMs),
                of.figure("OPA requests while it is open", "",
                        OutageRun.Summary::requestsWhileOpen),
                of.figure("actions answered stale", "", OutageRun.Summary::stale),
                of.figure("actions undecided", "", OutageRun.Summary::undecided),
                of.atMost(0, "calls that failed, known questions", "",
                        OutageRun.Summary::knownFailed),
                of.figure("calls that failed, new questions", "", OutageRun.Summary::newFailed),
                of.figure("processors that others used", "", OutageRun.Summary::otherCores));
    }

    void print() {
        load.print(runs.size() + " outages");
        Report.say("An ALLOW lives for %d ms; one call in %d asks what nobody asked before.",
                ttlMs, newOneIn);
        Report.print("OPA hangs, and goes on", figures);
    }

    void write(Path directory) throws IOException {
        Report.write(this, directory.resolve("outage.json"), new OutagePlot(this).draw(),
                directory.resolve("outage.svg"));
    }

    /** The outage after which calls were neither the slowest nor the fastest. */
    OutageRun typical() {
        return Spread.middle(runs, run -> run.summary().p99AfterMs());
    }
}
