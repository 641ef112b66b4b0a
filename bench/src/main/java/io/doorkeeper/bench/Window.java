// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

import java.util.ArrayList;
import java.util.List;
import java.util.function.ToDoubleFunction;

/**
 * What happened from one sample to the next. {@code second}: its begin, 0 is the moment that its
 * run is about. Ratios are of all actions.
 */
record Window(double second, double hitRatio, double staleRatio, double undecidedRatio,
              double p50Ms, double p99Ms, double maxMs, double requestsPerS,
              double questionsPerS, int failedCalls, long refused, long unavailable,
              boolean breakerOpen, double opaCores, double ownCores, double allCores) {
    static final int MS = 100;

    /** How many there are in this time. */
    static int count(int seconds) {
        return seconds * 1000 / MS;
    }

    /** What was not answered otherwise. */
    double opaRatio() {
        return Math.max(0, 1 - hitRatio - staleRatio - undecidedRatio);
    }

    /** {@code zero}: the sample at second 0. */
    static List<Window> between(List<Sample> samples, int zero, OpenLoop load) {
        List<Window> windows = new ArrayList<>();
        for (int i = 0; i + 1 < samples.size(); i++) {
            windows.add(of(samples.get(i), samples.get(i + 1), samples.get(zero).nanos(), load));
        }
        return windows;
    }

    private static Window of(Sample from, Sample to, long zeroNanos, OpenLoop load) {
        double seconds = (to.nanos() - from.nanos()) * 1e-9;
        double hits = to.hits() - from.hits();
        double actions = hits + to.misses() - from.misses();
        long unavailable = to.unavailable() - from.unavailable();
        OpenLoop.Calls calls = load.calls(from.nanos() - load.startNanos(),
                to.nanos() - load.startNanos());
        return new Window((from.nanos() - zeroNanos) * 1e-9, hits / actions,
                (to.stale() - from.stale()) / actions, unavailable / actions, calls.p50(),
                calls.p99(), calls.max(), (to.requests() - from.requests()) / seconds,
                (to.questions() - from.questions()) / seconds, calls.failed(),
                to.refused() - from.refused(), unavailable, to.breakerOpen(),
                (to.opaCpu() - from.opaCpu()) / seconds,
                (to.ownCpu() - from.ownCpu()) / seconds, to.allCores());
    }

    /** Processors that were used by none of ours. */
    static double otherCores(List<Window> windows) {
        return Math.max(0, average(windows,
                window -> window.allCores() - window.opaCores() - window.ownCores()));
    }

    static double median(List<Window> windows, ToDoubleFunction<Window> value) {
        return Spread.of(windows.stream().mapToDouble(value).toArray()).median();
    }

    static double max(List<Window> windows, ToDoubleFunction<Window> value) {
        return windows.stream().mapToDouble(value).max().orElseThrow();
    }

    private static double average(List<Window> windows, ToDoubleFunction<Window> value) {
        return windows.stream().mapToDouble(value).average().orElseThrow();
    }

    static int failedCalls(List<Window> windows) {
        return windows.stream().mapToInt(Window::failedCalls).sum();
    }
}
