// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.kafka;

import java.util.LinkedHashMap;
import org.apache.kafka.common.MetricName;
import org.apache.kafka.common.metrics.Gauge;
import org.apache.kafka.common.metrics.Monitorable;
import org.apache.kafka.common.metrics.PluginMetrics;

/**
 * {@link DoorkeeperAuthorizer} with its counters among the broker's metrics, group "plugins". Needs
 * Kafka 4.1, where authorizers may have metrics.
 */
public final class MonitorableDoorkeeperAuthorizer extends DoorkeeperAuthorizer
        implements Monitorable {
    @Override
    public void withPluginMetrics(PluginMetrics metrics) {
        String[] namesAndHelps = metricNames();
        for (int i = 0; i < namesAndHelps.length; i += 2) {
            int which = i / 2;
            MetricName name = metrics.metricName(namesAndHelps[i], namesAndHelps[i + 1],
                    new LinkedHashMap<>());
            // A gauge may be read after close(), and shows 0 then.
            metrics.addMetric(name, (Gauge<Long>) (config, nowMs) -> metric(which));
        }
    }
}
