// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.function.IntPredicate;
import java.util.stream.IntStream;
import org.apache.kafka.common.errors.ApiException;

/**
 * Calls that come at fixed times, whether earlier ones have ended or not, and threads that take
 * them in this order: a broker's request queue and its request threads. A call's latency counts
 * from when it was to come, so that it holds the time in which no thread was free.
 */
final class OpenLoop implements AutoCloseable {
    private static final double NANOS = 1e9;

    private final Call call;
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

    /** Makes the call with this number. An ApiException: the client is told to ask again. */
    interface Call {
        void make(Requests requests, int number);
    }

    /** Starts. {@code seconds}: it lasts no longer. */
    OpenLoop(Call call, int threads, int callsPerSecond, int seconds) {
        this.call = call;
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
            for (int i = next.getAndIncrement(); comes(i); i = next.getAndIncrement()) {
                failures[i] = !isAnswered(requests, i);
                latencies[i] = System.nanoTime() - turnOf(i);
            }
        } catch (RuntimeException e) {
            trouble = e;
        }
    }

    private long turnOf(int number) {
        return startNanos + (long) (number * nanosBetween);
    }

    /** Waits for a call's turn; false if it does not come any more. */
    private boolean comes(int number) {
        long turn = turnOf(number);
        for (long left = turn - System.nanoTime(); left > 0 && turn < endNanos;
                left = turn - System.nanoTime()) {
            LockSupport.parkNanos(left);
        }
        return number < latencies.length && turn < endNanos;
    }

    /** A denial is an error of the bench. */
    private boolean isAnswered(Requests requests, int number) {
        try {
            call.make(requests, number);
            return true;
        } catch (ApiException e) {
            return false;
        }
    }

    /** What came of the calls of one window after the start. After {@link #close}. */
    Calls calls(long fromNanos, long toNanos) {
        int from = (int) Math.ceil(fromNanos / nanosBetween);
        int to = (int) Math.ceil(toNanos / nanosBetween);
        double[] millis = new double[to - from];
        int failed = 0;
        for (int i = from; i < to; i++) {
            millis[i - from] = latencies[i] * 1e-6;
            failed += failures[i] ? 1 : 0;
        }
        return new Calls(Spread.of(millis).median(), Spread.quantile(millis, 0.99),
                Spread.quantile(millis, 1), failed);
    }

    /** How many of these calls failed. After {@link #close}. */
    int failed(IntPredicate which) {
        return (int) IntStream.range(0, failures.length)
                .filter(number -> failures[number] && which.test(number)).count();
    }

    /** Latencies in milliseconds, and calls that failed with an error of Kafka's. */
    record Calls(double p50, double p99, double max, int failed) {
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
