// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.kafka;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Map;
import org.apache.kafka.common.MetricName;
import org.apache.kafka.common.metrics.KafkaMetric;
import org.apache.kafka.common.metrics.Metrics;
import org.apache.kafka.common.metrics.internals.PluginMetricsImpl;
import org.junit.jupiter.api.Test;

/** The counters, as Kafka's metrics show them. */
class MonitorableDoorkeeperAuthorizerTest {
    private static Object value(Metrics metrics, String name) {
        return metrics.metrics().entrySet().stream()
                .filter(entry -> entry.getKey().name().equals(name))
                .map(Map.Entry::getValue).map(KafkaMetric::metricValue)
                .findFirst().orElseThrow(() -> new AssertionError("no metric " + name));
    }

    @Test
    void showsTheCoresCountersAlsoAfterTheEnd() {
        try (StubOpa opa = new StubOpa().allow((ask, name) -> true);
                Metrics metrics = new Metrics()) {
            MonitorableDoorkeeperAuthorizer authorizer = new MonitorableDoorkeeperAuthorizer();
            authorizer.configure(Asking.settings(opa.url()));
            authorizer.withPluginMetrics(new PluginMetricsImpl(metrics, Map.of("role", "broker")));
            authorizer.start(Asking.serverInfo("CLIENT")).values().forEach(Asking::await);
            for (int i = 0; i < 3; i++) {
                assertTrue(Asking.mayRead(authorizer, Asking.request("alice"), "orders"));
            }
            assertEquals(2L, value(metrics, "hits"));
            assertEquals(1L, value(metrics, "questions"));
            assertEquals(3L, value(metrics, "allowed"));
            authorizer.close();
            assertEquals(0L, value(metrics, "hits"));
            for (MetricName name : metrics.metrics().keySet()) {
                assertFalse(name.group().equals("plugins") && name.description().isEmpty(),
                        name + " says not what it is");
            }
        }
    }
}
