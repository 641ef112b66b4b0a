// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

import com.fasterxml.jackson.annotation.JsonUnwrapped;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.function.ToDoubleFunction;

/** All outages that one run measured, for people, as JSON and as a plot. */
record OutageReport(@JsonUnwrapped Load load, int ttlMs, int newOneIn, List<Figure> figures,
                    List<OutageRun> runs) {
    static OutageReport of(List<OutageRun> runs) {
        return new OutageReport(Load.onThisMachine(), OutageBench.TTL_MS, OutageBench.NEW_ONE_IN,
                figures(runs), runs);
    }

    private static List<Figure> figures(List<OutageRun> runs) {
        return List.of(
                figure(runs, "OPA hung", "ms", OutageRun.Summary::outageMs),
                figure(runs, "OPA hangs until the breaker opens", "ms",
                        OutageRun.Summary::noticedMs),
                figure(runs, "OPA goes on until the breaker closes", "ms",
                        OutageRun.Summary::askedMs),
                figure(runs, "OPA goes on until all is fresh", "ms",
                        OutageRun.Summary::freshMs),
                figure(runs, "median of a call before", "ms", OutageRun.Summary::p50BeforeMs),
                figure(runs, "p99 of a call before", "ms", OutageRun.Summary::p99BeforeMs),
                figure(runs, "p99 until it opens, worst 100 ms", "ms",
                        OutageRun.Summary::p99NoticingMs),
                figure(runs, "slowest call until it opens", "ms",
                        OutageRun.Summary::maxNoticingMs),
                figure(runs, "median while it is open", "ms", OutageRun.Summary::p50OpenMs),
                figure(runs, "p99 while it is open", "ms", OutageRun.Summary::p99OpenMs),
                figure(runs, "p99 after the outage, worst 100 ms", "ms",
                        OutageRun.Summary::p99AfterMs),
                figure(runs, "OPA requests while it is open", "",
                        OutageRun.Summary::requestsWhileOpen),
                figure(runs, "actions answered stale", "", OutageRun.Summary::stale),
                figure(runs, "actions undecided", "", OutageRun.Summary::undecided),
                Figure.atMost(0, "calls that failed, known questions", "",
                        spread(runs, OutageRun.Summary::knownFailed)),
                figure(runs, "calls that failed, new questions", "",
                        OutageRun.Summary::newFailed),
                figure(runs, "processors that others used", "", OutageRun.Summary::otherCores));
    }

    private static Figure figure(List<OutageRun> runs, String what, String unit,
                                 ToDoubleFunction<OutageRun.Summary> value) {
        return Figure.of(what, unit, spread(runs, value));
    }

    private static Spread spread(List<OutageRun> runs, ToDoubleFunction<OutageRun.Summary> value) {
        return Spread.of(runs.stream().map(OutageRun::summary).mapToDouble(value).toArray());
    }

    void print() {
        load.print(runs.size() + " outages");
        Report.say("An ALLOW lives for %d ms; one call in %d asks what nobody asked before.",
                ttlMs, newOneIn);
        Report.print("OPA hangs, and goes on", figures);
    }

    void write(Path directory) throws IOException {
        Path json = directory.resolve("outage.json");
        Report.write(this, json);
        Path plot = directory.resolve("outage.svg");
        Files.writeString(plot, new OutagePlot(this).draw());
        System.out.println("\nEvery 100 ms as JSON in " + json + ", drawn in " + plot);
    }

    /** The outage after which it took neither the longest nor the shortest time. */
    OutageRun typical() {
        return runs.stream()
                .sorted(Comparator.comparingDouble(run -> run.summary().freshMs()))
                .skip(runs.size() / 2).findFirst().orElseThrow();
    }
}
