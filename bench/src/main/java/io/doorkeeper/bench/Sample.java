// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;

/**
 * What an authorizer has counted at one moment, and the CPU seconds used by then. {@code allCores}:
 * processors that anybody used since the sample before.
 */
record Sample(long nanos, long hits, long misses, long stale, long requests, long questions,
              long refused, long unavailable, long epochs, boolean breakerOpen, double opaCpu,
              double ownCpu, double allCores) {
    private static final OperatingSystemMXBean SYSTEM =
            (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();

    static Sample take(OpenAuthorizer authorizer, Opa opa) {
        return new Sample(System.nanoTime(), authorizer.metric("hits"),
                authorizer.metric("misses"), authorizer.metric("stale"),
                authorizer.metric("opa-requests"), authorizer.metric("questions"),
                authorizer.metric("refused"), authorizer.metric("unavailable"),
                authorizer.metric("epochs"), authorizer.metric("breaker") != 0,
                opa.cpuSeconds(), SYSTEM.getProcessCpuTime() * 1e-9,
                SYSTEM.getCpuLoad() * SYSTEM.getAvailableProcessors());
    }
}
