// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

import com.fasterxml.jackson.annotation.JsonUnwrapped;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;

/** All changes that one run measured, for people, as JSON and as a plot. */
record ChangeReport(@JsonUnwrapped Load load, List<Figure> figures, List<ChangeRun> runs) {
    static ChangeReport of(List<ChangeRun> runs) {
        return new ChangeReport(Load.onThisMachine(), figures(runs), runs);
    }

    private static List<Figure> figures(List<ChangeRun> runs) {
        Summaries<ChangeRun.Summary> of =
                new Summaries<>(runs.stream().map(ChangeRun::summary).toList());
        return List.of(
                of.figure("bundle published until seen", "ms", ChangeRun.Summary::seenMs),
                of.atMost(2000, "seen until 99 % are hits again", "ms", ChangeRun.Summary::backMs),
                of.figure("p99 of a call before", "ms", ChangeRun.Summary::p99BeforeMs),
                of.figure("p99 of a call, worst 100 ms", "ms", ChangeRun.Summary::p99WorstMs),
                of.figure("OPA requests, busiest 100 ms", "a second",
                        ChangeRun.Summary::peakRequestsPerS),
                of.figure("OPA requests", "", ChangeRun.Summary::requests),
                of.figure("questions", "", ChangeRun.Summary::questions),
                of.figure("questions in a request", "", ChangeRun.Summary::batch),
                of.figure("OPA's CPU time a question", "us",
                        ChangeRun.Summary::opaCpuMicrosPerQuestion),
                of.figure("processors that OPA used", "", ChangeRun.Summary::opaCores),
                of.figure("processors that this JVM used", "", ChangeRun.Summary::ownCores),
                of.figure("processors that others used", "", ChangeRun.Summary::otherCores),
                of.atMost(0, "calls that failed", "", ChangeRun.Summary::failedCalls),
                of.figure("actions unavailable", "", ChangeRun.Summary::unavailable),
                of.figure("actions refused by a cap", "", ChangeRun.Summary::refused));
    }

    void print() {
        load.print(runs.size() + " changes");
        Report.print("After a change of the policy", figures);
    }

    void write(Path directory) throws IOException {
        Report.write(this, directory.resolve("change.json"), new ChangePlot(this).draw(),
                directory.resolve("policy-change.svg"));
    }

    /** The change that took neither the longest nor the shortest time. */
    ChangeRun typical() {
        return Spread.middle(runs, run -> run.summary().backMs());
    }
}
