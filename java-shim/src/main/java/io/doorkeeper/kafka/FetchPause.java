// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.kafka;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.security.auth.KafkaPrincipal;

/**
 * Whose fetches nobody can answer is kept away for a moment. No error makes a consumer wait: every
 * one that it takes as passing it answers with the next fetch at once, thousands a second. A
 * connection that is closed it does not open again before its own back-off is over.
 *
 * <p>The authorizer puts principals in, the principal builder closes their connections. It sees no
 * request, so all that a principal does pauses. Bounded twice: by the principals that are
 * remembered, and by the connections that are closed in a second, because each new one costs a
 * handshake. Beyond the bounds the error alone must do. One for the whole process, as builders know
 * no authorizer. Any thread.
 */
final class FetchPause {
    static final int PRINCIPALS_MAX = 1000;
    static final int CLOSED_A_SECOND_MAX = 50;

    private static final Map<String, Long> UNTIL_NANOS = new ConcurrentHashMap<>();
    private static final AtomicLong SECOND = new AtomicLong();
    private static final AtomicLong CLOSED = new AtomicLong();

    private FetchPause() {
    }

    /** Ends a connection when it is thrown by a principal builder. Without a stack: it is common. */
    static final class Paused extends KafkaException {
        private static final long serialVersionUID = 1L;

        Paused() {
            super("this client's fetches cannot be answered now; it is to come back in a moment");
        }

        @Override
        public synchronized Throwable fillInStackTrace() {
            return this;
        }
    }

    static void begin(KafkaPrincipal principal, long pauseMs) {
        if (pauseMs <= 0) {
            return;
        }
        long now = System.nanoTime();
        if (UNTIL_NANOS.size() >= PRINCIPALS_MAX) {
            UNTIL_NANOS.values().removeIf(until -> until - now <= 0);
        }
        if (UNTIL_NANOS.size() < PRINCIPALS_MAX) {
            UNTIL_NANOS.put(principal.toString(), now + TimeUnit.MILLISECONDS.toNanos(pauseMs));
        }
    }

    /** @throws Paused if this principal's connection is to be closed */
    static void check(KafkaPrincipal principal) {
        if (UNTIL_NANOS.isEmpty()) {
            return;
        }
        String name = principal.toString();
        Long until = UNTIL_NANOS.get(name);
        if (until == null) {
            return;
        }
        if (until - System.nanoTime() <= 0) {
            UNTIL_NANOS.remove(name, until);
        } else if (mayClose()) {
            throw new Paused();
        }
    }

    /** For tests. */
    static int size() {
        return UNTIL_NANOS.size();
    }

    /** For tests. */
    static void forgetAll() {
        UNTIL_NANOS.clear();
        CLOSED.set(0);
    }

    private static boolean mayClose() {
        long second = TimeUnit.NANOSECONDS.toSeconds(System.nanoTime());
        if (SECOND.getAndSet(second) != second) {
            CLOSED.set(0);
        }
        return CLOSED.incrementAndGet() <= CLOSED_A_SECOND_MAX;
    }
}
