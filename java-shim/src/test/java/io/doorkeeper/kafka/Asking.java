// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.kafka;

import java.net.InetAddress;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import java.util.stream.Collectors;
import org.apache.kafka.common.ClusterResource;
import org.apache.kafka.common.Endpoint;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;
import org.apache.kafka.common.security.auth.KafkaPrincipal;
import org.apache.kafka.common.security.auth.SecurityProtocol;
import org.apache.kafka.server.authorizer.Action;
import org.apache.kafka.server.authorizer.AuthorizableRequestContext;
import org.apache.kafka.server.authorizer.AuthorizationResult;
import org.apache.kafka.server.authorizer.AuthorizerServerInfo;

/** How the tests ask: settings, contexts, actions, and authorizers that are started. */
final class Asking {
    static final String CLUSTER_ID = "test-cluster";
    /** Longer than anything here takes; only a fault reaches it. */
    static final long PATIENCE_S = 30;
    private static final long FAR_AWAY_S = 32_503_680_000L;

    private Asking() {
    }

    /** Settings with a deadline that a slow machine does not reach. */
    static Map<String, Object> settings(String opaUrl) {
        Map<String, Object> settings = new HashMap<>();
        settings.put("doorkeeper.library.path", System.getProperty("doorkeeper.library.path"));
        settings.put("doorkeeper.opa.url", opaUrl);
        settings.put("doorkeeper.deadline.ms", 2000);
        settings.put("doorkeeper.waiting.threads", "64");
        settings.put("doorkeeper.cache.entries", "65536");
        settings.put("doorkeeper.opa.poll.interval.ms", "100");
        settings.put("doorkeeper.on.unavailable", "deny");
        settings.put("controller.listener.names", "CONTROLLER");
        settings.put("inter.broker.listener.name", "INTERNAL");
        return settings;
    }

    /** A running authorizer whose OPA is ready. */
    static DoorkeeperAuthorizer started(Map<String, ?> settings) {
        DoorkeeperAuthorizer authorizer = new DoorkeeperAuthorizer();
        authorizer.configure(settings);
        authorizer.start(serverInfo("CLIENT", "INTERNAL")).values().forEach(Asking::await);
        return authorizer;
    }

    static <T> T await(CompletionStage<T> stage) {
        try {
            return stage.toCompletableFuture().get(PATIENCE_S, TimeUnit.SECONDS);
        } catch (Exception e) {
            throw new AssertionError("not completed: " + e, e);
        }
    }

    static void await(String what, BooleanSupplier condition) {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_S);
        while (!condition.getAsBoolean()) {
            if (System.nanoTime() > end) {
                throw new AssertionError("did not happen: " + what);
            }
            LockSupport.parkNanos(1_000_000);
        }
    }

    static AuthorizerServerInfo serverInfo(String... listeners) {
        List<Endpoint> endpoints = new ArrayList<>();
        for (String listener : listeners) {
            endpoints.add(new Endpoint(listener, SecurityProtocol.SSL, "127.0.0.1", 9092));
        }
        return new ServerInfo(endpoints);
    }

    static Action action(AclOperation operation, ResourceType type, String name) {
        return new Action(operation, new ResourcePattern(type, name, PatternType.LITERAL), 1, true,
                true);
    }

    static Action read(String topic) {
        return action(AclOperation.READ, ResourceType.TOPIC, topic);
    }

    static List<Action> read(Collection<String> topics) {
        return topics.stream().map(Asking::read).collect(Collectors.toList());
    }

    static boolean mayRead(DoorkeeperAuthorizer authorizer, AuthorizableRequestContext context,
                           String topic) {
        List<AuthorizationResult> results = authorizer.authorize(context, List.of(read(topic)));
        if (results.size() != 1) {
            throw new AssertionError("one action, but " + results);
        }
        return results.get(0) == AuthorizationResult.ALLOWED;
    }

    /** A value of {@link NativeCore#metricNames}, of this authorizer's core. */
    static long metric(DoorkeeperAuthorizer authorizer, String name) {
        String[] names = NativeCore.metricNames();
        for (int i = 0; i < names.length; i += 2) {
            if (names[i].equals(name)) {
                return authorizer.metric(i / 2);
            }
        }
        throw new AssertionError("no metric " + name);
    }

    /** A principal with a certificate, so that its context can be kept. */
    static DoorkeeperPrincipal certified(String name) {
        return certified(name, FAR_AWAY_S);
    }

    static DoorkeeperPrincipal certified(String name, long notAfterSeconds) {
        return DoorkeeperPrincipal.certified(new KafkaPrincipal("User", name),
                new CertificateFacts(null, null, notAfterSeconds), "CLIENT", false);
    }

    static DoorkeeperPrincipal refused(String name) {
        return DoorkeeperPrincipal.refused(new KafkaPrincipal("User", name), "for the test",
                "CLIENT", false);
    }

    static Request request(KafkaPrincipal principal) {
        return new Request(principal);
    }

    static Request request(String user) {
        return new Request(certified(user));
    }

    /** The context of a request. Its fields are to be set before it is used. */
    static final class Request implements AuthorizableRequestContext {
        private final KafkaPrincipal principal;
        String listener = "CLIENT";
        SecurityProtocol protocol = SecurityProtocol.SSL;
        InetAddress address = InetAddress.getLoopbackAddress();
        String clientId = "a client";
        int requestType = ApiKeys.FETCH.id;

        private Request(KafkaPrincipal principal) {
            this.principal = principal;
        }

        @Override
        public String listenerName() {
            return listener;
        }

        @Override
        public SecurityProtocol securityProtocol() {
            return protocol;
        }

        @Override
        public KafkaPrincipal principal() {
            return principal;
        }

        @Override
        public InetAddress clientAddress() {
            return address;
        }

        @Override
        public int requestType() {
            return requestType;
        }

        @Override
        public int requestVersion() {
            return 16;
        }

        @Override
        public String clientId() {
            return clientId;
        }

        @Override
        public int correlationId() {
            return 7;
        }
    }

    private static final class ServerInfo implements AuthorizerServerInfo {
        private final List<Endpoint> endpoints;

        ServerInfo(List<Endpoint> endpoints) {
            this.endpoints = endpoints;
        }

        @Override
        public ClusterResource clusterResource() {
            return new ClusterResource(CLUSTER_ID);
        }

        @Override
        public int brokerId() {
            return 1;
        }

        @Override
        public Collection<Endpoint> endpoints() {
            return endpoints;
        }

        @Override
        public Endpoint interBrokerEndpoint() {
            return endpoints.get(0);
        }

        @Override
        public Collection<String> earlyStartListeners() {
            return List.of("CONTROLLER");
        }
    }
}
