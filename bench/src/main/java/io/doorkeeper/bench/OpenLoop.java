// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.common.errors.ApiException;

/**
 * Calls that come at fixed times, whether earlier ones have ended or not, and threads that take
 * them in this order: a broker's request queue and its request threads. A call's latency counts
 * from when it was to come, so that it holds the time in which no thread was free.
 */
final class OpenLoop implements AutoCloseable {
    private static final double NANOS = 1e9;

    private final Consumers consumers;
    private final OpenAuthorizer authorizer;
    private final double nanosBetween;
    private final long startNanos = System.nanoTime();
    private final AtomicInteger next = new AtomicInteger();
    /** By the number of the call; a thread writes those of its own calls. */
    private final long[] latencies;
    private final boolean[] failures;
    private final List<Thread> threads = new ArrayList<>();
    /** Calls that were to come later do not come. */
    private volatile long endNanos = Long.MAX_VALUE;
    private volatile RuntimeException trouble;

    /** Starts. {@code seconds}: it lasts no longer. */
    OpenLoop(Consumers consumers, OpenAuthorizer authorizer, int threads, int callsPerSecond,
             int seconds) {
        this.consumers = consumers;
        this.authorizer = authorizer;
        nanosBetween = NANOS / callsPerSecond;
        latencies = new long[callsPerSecond * seconds];
        failures = new boolean[latencies.length];
        for (int i = 0; i < threads; i++) {
            Thread thread = new Thread(this::work, "request-" + i);
            this.threads.add(thread);
            thread.start();
        }
    }

    long startNanos() {
        return startNanos;
    }

    private void work() {
        Requests requests = new Requests(Requests.CLIENT);
        try {
            for (int call = next.getAndIncrement(); comes(call); call = next.getAndIncrement()) {
                failures[call] = !isAnswered(requests, call);
                latencies[call] = System.nanoTime() - turnOf(call);
            }
        } catch (RuntimeException e) {
            trouble = e;
        }
    }

    private long turnOf(int call) {
        return startNanos + (long) (call * nanosBetween);
    }

    /** Waits for a call's turn; false if it does not come any more. */
    private boolean comes(int call) {
        long turn = turnOf(call);
        for (long left = turn - System.nanoTime(); left > 0 && turn < endNanos;
                left = turn - System.nanoTime()) {
            LockSupport.parkNanos(left);
        }
        return call < latencies.length && turn < endNanos;
    }

    /** False: the client is told to ask again. A denial is an error of the bench. */
    private boolean isAnswered(Requests requests, int call) {
        try {
            consumers.fetch(authorizer, requests, call);
            return true;
        } catch (ApiException e) {
            return false;
        }
    }

    /** What came of the calls of one window after the start. After {@link #close}. */
    Window window(long fromNanos, long toNanos) {
        int from = (int) Math.ceil(fromNanos / nanosBetween);
        int to = (int) Math.ceil(toNanos / nanosBetween);
        double[] millis = new double[to - from];
        int failed = 0;
        for (int call = from; call < to; call++) {
            millis[call - from] = latencies[call] * 1e-6;
            failed += failures[call] ? 1 : 0;
        }
        return new Window(Spread.of(millis).median(), Spread.quantile(millis, 0.99), failed);
    }

    /** Latencies in milliseconds, and calls that failed with an error of Kafka's. */
    record Window(double p50, double p99, int failed) {
    }

    @Override
    public void close() throws InterruptedException {
        endNanos = System.nanoTime();
        for (Thread thread : threads) {
            thread.join();
        }
        if (trouble != null) {
            throw trouble;
        }
    }
}
