// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

import java.io.IOException;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.ClusterResource;
import org.apache.kafka.common.Endpoint;
import org.apache.kafka.common.internals.Plugin;
import org.apache.kafka.common.metrics.KafkaMetric;
import org.apache.kafka.common.metrics.Metrics;
import org.apache.kafka.common.security.auth.SecurityProtocol;
import org.apache.kafka.server.authorizer.Action;
import org.apache.kafka.server.authorizer.AuthorizableRequestContext;
import org.apache.kafka.server.authorizer.AuthorizationResult;
import org.apache.kafka.server.authorizer.Authorizer;
import org.apache.kafka.server.authorizer.AuthorizerServerInfo;

/** An authorizer opened as a broker opens it, with the broker's metrics. */
final class OpenAuthorizer implements AutoCloseable {
    static final String CLUSTER_ID = "bench-cluster";

    private final Authorizer authorizer;
    private final Metrics metrics = new Metrics();

    /** Returns when clients could connect. */
    OpenAuthorizer(Authorizer authorizer, Map<String, String> settings) {
        this.authorizer = authorizer;
        authorizer.configure(settings);
        Plugin.wrapInstance(authorizer, metrics, "authorizer.class.name");
        Endpoint endpoint =
                new Endpoint(Requests.LISTENER, SecurityProtocol.SSL, "127.0.0.1", 9092);
        ServerInfo server = new ServerInfo(new ClusterResource(CLUSTER_ID), 1, List.of(endpoint),
                endpoint, List.of());
        authorizer.start(server).values().forEach(open -> open.toCompletableFuture().join());
    }

    /** Fails unless everything is allowed: no figure here is about anything else. */
    void allow(AuthorizableRequestContext context, List<Action> actions) {
        if (!allows(context, actions)) {
            throw new IllegalStateException("not all allowed, from " + actions.get(0) + " on");
        }
    }

    /** Whether everything is allowed. */
    boolean allows(AuthorizableRequestContext context, List<Action> actions) {
        List<AuthorizationResult> results = authorizer.authorize(context, actions);
        if (results.size() != actions.size()) {
            throw new IllegalStateException(results.size() + " results for " + actions.size());
        }
        for (int i = 0; i < results.size(); i++) {
            if (results.get(i) != AuthorizationResult.ALLOWED) {
                return false;
            }
        }
        return true;
    }

    /** One of the metrics that the authorizer gave to the broker. */
    long metric(String name) {
        for (KafkaMetric metric : metrics.metrics().values()) {
            if (metric.metricName().name().equals(name)) {
                return ((Number) metric.metricValue()).longValue();
            }
        }
        throw new IllegalStateException("no metric " + name);
    }

    @Override
    public void close() throws IOException {
        authorizer.close();
        metrics.close();
    }

    private record ServerInfo(ClusterResource clusterResource, int brokerId,
                              Collection<Endpoint> endpoints, Endpoint interBrokerEndpoint,
                              Collection<String> earlyStartListeners)
            implements AuthorizerServerInfo {
    }
}
