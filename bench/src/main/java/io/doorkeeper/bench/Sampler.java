// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/** Takes a {@link Sample} at the end of each window. One thread. */
final class Sampler {
    private final OpenAuthorizer authorizer;
    private final Opa opa;
    private final List<Sample> samples = new ArrayList<>();
    private long dueNanos;

    /** The first window begins with a sample at {@code fromNanos}. */
    Sampler(OpenAuthorizer authorizer, Opa opa, long fromNanos) {
        this.authorizer = authorizer;
        this.opa = opa;
        dueNanos = fromNanos;
        take();
    }

    /** Returns after so many more windows. */
    void windows(int count) {
        for (int i = 0; i < count; i++) {
            take();
        }
    }

    private void take() {
        for (long left = dueNanos - System.nanoTime(); left > 0;
                left = dueNanos - System.nanoTime()) {
            LockSupport.parkNanos(left);
        }
        samples.add(Sample.take(authorizer, opa));
        dueNanos += TimeUnit.MILLISECONDS.toNanos(Window.MS);
    }

    /** How many windows are over. */
    int count() {
        return samples.size() - 1;
    }

    /** Whether the cache was emptied since the first sample. */
    boolean sawChange() {
        return samples.get(count()).epochs() > samples.get(0).epochs();
    }

    List<Sample> samples() {
        return samples;
    }
}
