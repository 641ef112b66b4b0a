// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

import java.util.List;

/**
 * One change of the policy: what was seen, window by window, and what it comes to. Second 0 is the
 * begin of the window in which the cache was emptied.
 */
record ChangeRun(List<Window> windows, Summary summary) {
    private static final double FULL_SPEED = 0.99;

    /**
     * {@code seenMs}: from the new bundle on the server to the emptied cache; {@code backMs}: from
     * then until 99 % are hits and stay so. What OPA and this process did is of that time;
     * latencies and failures are of all the time since the bundle was published.
     */
    record Summary(double seenMs, double backMs, double p99BeforeMs, double p99WorstMs,
                   double peakRequestsPerS, long requests, long questions, long failedCalls,
                   long refused, long unavailable, double opaCpuMicrosPerQuestion,
                   double opaCores, double ownCores, double otherCores) {
        double batch() {
            return (double) questions / requests;
        }
    }

    /** The new bundle was published with the sample {@code published}. */
    static ChangeRun of(List<Sample> samples, OpenLoop load, int published) {
        int seen = 0;
        while (samples.get(seen + 1).epochs() == samples.get(0).epochs()) {
            seen++;
        }
        List<Window> windows = Window.between(samples, seen, load);
        int back = windows.size();
        while (windows.get(back - 1).hitRatio() >= FULL_SPEED && back > seen + 1) {
            back--;
        }
        return new ChangeRun(windows, summary(samples, windows, published, seen, back));
    }

    private static Summary summary(List<Sample> samples, List<Window> windows, int published,
                                   int seen, int back) {
        Sample begin = samples.get(seen);
        Sample end = samples.get(back);
        Sample last = samples.get(samples.size() - 1);
        double nanos = end.nanos() - begin.nanos();
        double opaCpu = end.opaCpu() - begin.opaCpu();
        double opaCores = opaCpu * 1e9 / nanos;
        double ownCores = (end.ownCpu() - begin.ownCpu()) * 1e9 / nanos;
        long questions = end.questions() - begin.questions();
        List<Window> before = windows.subList(0, published);
        List<Window> after = windows.subList(published, windows.size());
        return new Summary((begin.nanos() - samples.get(published).nanos()) * 1e-6, nanos * 1e-6,
                Window.median(before, Window::p99Ms), Window.max(after, Window::p99Ms),
                Window.max(after, Window::requestsPerS), end.requests() - begin.requests(),
                questions, Window.failedCalls(after),
                last.refused() - samples.get(published).refused(),
                last.unavailable() - samples.get(published).unavailable(),
                opaCpu * 1e6 / questions, opaCores, ownCores,
                Window.otherCores(windows.subList(seen, back)));
    }
}
