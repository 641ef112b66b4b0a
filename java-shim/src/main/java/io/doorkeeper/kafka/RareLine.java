// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.kafka;

import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;

/** Keeps a log line apart from the next of its kind, which a client may provoke at will. */
final class RareLine {
    private static final long APART_NANOS = TimeUnit.SECONDS.toNanos(10);

    private final AtomicLong nextNanos = new AtomicLong(System.nanoTime());

    /** True for one caller every ten seconds. Any thread. */
    boolean isDue() {
        long now = System.nanoTime();
        long next = nextNanos.get();
        return now - next >= 0 && nextNanos.compareAndSet(next, now + APART_NANOS);
    }
}
