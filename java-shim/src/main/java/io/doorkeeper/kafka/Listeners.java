// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.kafka;

import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.apache.kafka.common.Endpoint;

/**
 * Which of a node's listeners the cluster itself depends on, by the node's configuration. Names of
 * listeners are compared as Kafka does, without regard to case.
 */
final class Listeners {
    private final List<String> controllers;
    private final String interBroker;

    Listeners(Map<String, ?> configs) {
        controllers = Arrays.stream(Settings.text(configs, "controller.listener.names").split(","))
                .map(String::trim).collect(Collectors.toList());
        interBroker = interBroker(configs);
    }

    /** By name, or else the listener that is named after the protocol between brokers. */
    private static String interBroker(Map<String, ?> configs) {
        String name = Settings.text(configs, "inter.broker.listener.name");
        if (!name.isEmpty()) {
            return name;
        }
        String protocol = Settings.text(configs, "security.inter.broker.protocol");
        return protocol.isEmpty() ? "PLAINTEXT" : protocol;
    }

    /** Whether these are a controller's endpoints, and not a broker's. */
    boolean areControllers(Collection<Endpoint> endpoints) {
        return !endpoints.isEmpty()
                && endpoints.stream().allMatch(endpoint -> contains(controllers, name(endpoint)));
    }

    /** Whether the cluster cannot come up unless this listener does. */
    boolean isNeededByCluster(Endpoint endpoint, Collection<String> earlyStartListeners) {
        String name = name(endpoint);
        return interBroker.equalsIgnoreCase(name) || contains(earlyStartListeners, name);
    }

    private static boolean contains(Collection<String> names, String name) {
        return names.stream().anyMatch(name::equalsIgnoreCase);
    }

    /** Kafka 3.9 has no other method for it. */
    @SuppressWarnings({"deprecation", "removal"})
    private static String name(Endpoint endpoint) {
        return endpoint.listenerName().orElse("");
    }
}
