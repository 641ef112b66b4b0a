// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import org.apache.kafka.common.errors.RetriableException;

/** One of the threads that ask for hits: one connection of the client's. */
final class Asker {
    /** Between two looks at the clock, so that these cost nothing. */
    private static final int ACTIONS_A_LOOK = 1000;

    private static final int FILL_TRIES = 10;
    private static final ThreadMXBean THREADS =
            (ThreadMXBean) ManagementFactory.getThreadMXBean();

    private final OpenAuthorizer authorizer;
    private final Requests requests;

    Asker(OpenAuthorizer authorizer, Requests requests) {
        this.authorizer = authorizer;
        this.requests = requests;
    }

    /** The thread's CPU time and bytes allocated, and how many calls came out of them. */
    record Took(long cpuNanos, long bytes, long calls) {
        Took plus(Took other) {
            return new Took(cpuNanos + other.cpuNanos, bytes + other.bytes, calls + other.calls);
        }
    }

    /** Makes these topics hits: each has been asked for once. */
    void fill(int first, int count) {
        for (int tries = 1; !isAllowed(first, count); tries++) {
            if (tries == FILL_TRIES) {
                throw new IllegalStateException("it is not allowed, or never answered");
            }
        }
    }

    /** False: to be asked again. What it denies for want of an answer, the plugin forgets. */
    private boolean isAllowed(int first, int count) {
        try {
            return authorizer.allows(requests.context(), requests.read(first, count));
        } catch (RetriableException e) {
            return false;
        }
    }

    /** Asks until that moment. */
    Took ask(int actions, int topics, long endNanos) {
        long thread = Thread.currentThread().getId();
        long bytes = THREADS.getThreadAllocatedBytes(thread);
        long nanos = THREADS.getCurrentThreadCpuTime();
        long calls = 0;
        do {
            calls += askSome(actions, topics);
        } while (System.nanoTime() < endNanos);
        nanos = THREADS.getCurrentThreadCpuTime() - nanos;
        return new Took(nanos, THREADS.getThreadAllocatedBytes(thread) - bytes, calls);
    }

    private long askSome(int actions, int topics) {
        int calls = ACTIONS_A_LOOK / actions;
        for (int i = 0; i < calls; i++) {
            authorizer.allow(requests.context(), requests.readSome(actions, topics));
        }
        return calls;
    }
}
