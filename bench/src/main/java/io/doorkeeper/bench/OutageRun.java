// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

import java.util.List;
import java.util.function.Predicate;

/**
 * One outage of OPA: what was seen, window by window, and what it comes to. Second 0 is when OPA
 * was stopped.
 */
record OutageRun(List<Window> windows, Summary summary) {
    /**
     * {@code noticedMs}: from the begin of the outage until the breaker is open; {@code askedMs}:
     * from its end until the breaker is closed; {@code freshMs}: from its end until no answer is
     * stale and all are decided. All three are whole windows. "Noticing" is the time until the
     * breaker is open, "open" the rest of the outage. Latencies of "noticing" and "after" are of
     * the worst window. Calls and actions are of all the run.
     */
    record Summary(double outageMs, double noticedMs, double askedMs, double freshMs,
                   double p50BeforeMs, double p99BeforeMs, double p99NoticingMs,
                   double maxNoticingMs, double p50OpenMs, double p99OpenMs, double p99AfterMs,
                   long requestsWhileOpen, long stale, long undecided, int knownFailed,
                   int newFailed, double otherCores) {
    }

    /** OPA hung from the sample {@code stopped} until the sample {@code resumed}. */
    static OutageRun of(List<Sample> samples, OpenLoop load, int stopped, int resumed) {
        List<Window> windows = Window.between(samples, stopped, load);
        int noticed = firstAfter(windows, stopped, Window::breakerOpen);
        int asked = firstAfter(windows, resumed, window -> !window.breakerOpen());
        int fresh = windows.size();
        while (fresh > resumed && isFresh(windows.get(fresh - 1))) {
            fresh--;
        }
        return new OutageRun(windows, new Summary(
                millis(samples, stopped, resumed), millis(samples, stopped, noticed),
                millis(samples, resumed, asked), millis(samples, resumed, fresh),
                Window.median(windows.subList(0, stopped), Window::p50Ms),
                Window.median(windows.subList(0, stopped), Window::p99Ms),
                Window.max(windows.subList(stopped, noticed), Window::p99Ms),
                Window.max(windows.subList(stopped, noticed), Window::maxMs),
                Window.median(windows.subList(noticed, resumed), Window::p50Ms),
                Window.median(windows.subList(noticed, resumed), Window::p99Ms),
                Window.max(windows.subList(resumed, windows.size()), Window::p99Ms),
                samples.get(resumed).requests() - samples.get(noticed).requests(),
                last(samples).stale() - samples.get(0).stale(),
                last(samples).unavailable() - samples.get(0).unavailable(),
                load.failed(number -> !OutageBench.isNew(number)),
                load.failed(OutageBench::isNew), Window.otherCores(windows)));
    }

    /** The sample after the first window from {@code from} on that is so. */
    private static int firstAfter(List<Window> windows, int from, Predicate<Window> is) {
        for (int i = from; i < windows.size(); i++) {
            if (is.test(windows.get(i))) {
                return i + 1;
            }
        }
        throw new IllegalStateException("the breaker did not change");
    }

    private static boolean isFresh(Window window) {
        return window.staleRatio() == 0 && window.undecidedRatio() == 0;
    }

    private static double millis(List<Sample> samples, int from, int to) {
        return (samples.get(to).nanos() - samples.get(from).nanos()) * 1e-6;
    }

    private static Sample last(List<Sample> samples) {
        return samples.get(samples.size() - 1);
    }
}
