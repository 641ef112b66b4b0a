// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

import com.fasterxml.jackson.annotation.JsonUnwrapped;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.function.ToDoubleFunction;

/** All changes that one run measured, for people, as JSON and as a plot. */
record ChangeReport(@JsonUnwrapped Load load, List<Figure> figures, List<ChangeRun> runs) {
    static ChangeReport of(List<ChangeRun> runs) {
        return new ChangeReport(Load.onThisMachine(), figures(runs), runs);
    }

    private static List<Figure> figures(List<ChangeRun> runs) {
        return List.of(
                figure(runs, "bundle published until seen", "ms", ChangeRun.Summary::seenMs),
                Figure.atMost(2000, "seen until 99 % are hits again", "ms",
                        spread(runs, ChangeRun.Summary::backMs)),
                figure(runs, "p99 of a call before", "ms", ChangeRun.Summary::p99BeforeMs),
                figure(runs, "p99 of a call, worst 100 ms", "ms", ChangeRun.Summary::p99WorstMs),
                figure(runs, "OPA requests, busiest 100 ms", "a second",
                        ChangeRun.Summary::peakRequestsPerS),
                figure(runs, "OPA requests", "", ChangeRun.Summary::requests),
                figure(runs, "questions", "", ChangeRun.Summary::questions),
                figure(runs, "questions in a request", "", ChangeRun.Summary::batch),
                figure(runs, "OPA's CPU time a question", "us",
                        ChangeRun.Summary::opaCpuMicrosPerQuestion),
                figure(runs, "processors that OPA used", "", ChangeRun.Summary::opaCores),
                figure(runs, "processors that this JVM used", "", ChangeRun.Summary::ownCores),
                figure(runs, "processors that others used", "", ChangeRun.Summary::otherCores),
                Figure.atMost(0, "calls that failed", "",
                        spread(runs, ChangeRun.Summary::failedCalls)),
                figure(runs, "actions unavailable", "", ChangeRun.Summary::unavailable),
                figure(runs, "actions refused by a cap", "", ChangeRun.Summary::refused));
    }

    private static Figure figure(List<ChangeRun> runs, String what, String unit,
                                 ToDoubleFunction<ChangeRun.Summary> value) {
        return Figure.of(what, unit, spread(runs, value));
    }

    private static Spread spread(List<ChangeRun> runs, ToDoubleFunction<ChangeRun.Summary> value) {
        return Spread.of(runs.stream().map(ChangeRun::summary).mapToDouble(value).toArray());
    }

    void print() {
        load.print(runs.size() + " changes");
        Report.print("After a change of the policy", figures);
    }

    void write(Path directory) throws IOException {
        Path json = directory.resolve("change.json");
        Report.write(this, json);
        Path plot = directory.resolve("policy-change.svg");
        Files.writeString(plot, new ChangePlot(this).draw());
        System.out.println("\nEvery 100 ms as JSON in " + json + ", drawn in " + plot);
    }

    /** The change that took neither the longest nor the shortest time. */
    ChangeRun typical() {
        return runs.stream()
                .sorted(Comparator.comparingDouble(run -> run.summary().backMs()))
                .skip(runs.size() / 2).findFirst().orElseThrow();
    }
}
