// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

import io.doorkeeper.kafka.MonitorableDoorkeeperAuthorizer;
import java.util.HashMap;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;
import org.apache.kafka.metadata.authorizer.StandardAcl;
import org.apache.kafka.metadata.authorizer.StandardAuthorizer;
import org.openpolicyagent.kafka.OpaAuthorizer;

/** The authorizers that are compared, each with the settings that its figures are for. */
final class Authorizers {
    /** Neither cache may forget while it is measured; the plugin's default, too. */
    private static final int TTL_S = 3600;
    /** Doorkeeper's default; by its own the plugin would forget most of them. */
    private static final int CACHE_ENTRIES = 262_144;
    /** For a million of them. */
    private static final String QUESTIONS_BYTES = String.valueOf(256 << 20);
    /** A machine that is slow for a moment must not end the run. */
    private static final int DEADLINE_MS = 2000;

    private Authorizers() {
    }

    /** {@code log}: where decisions are recorded, if the column does. */
    static OpenAuthorizer open(Column column, int topics, String opaUrl, String library,
                               String log) {
        return switch (column) {
            case DOORKEEPER -> doorkeeper(opaUrl, library, topics);
            case RECORDING -> recording(opaUrl, library, topics, log);
            case PLUGIN -> plugin(opaUrl, topics);
            case LITERAL_ACLS -> standard(literalNames(topics));
            case WILDCARD_ACL -> standard(Stream.of(ResourcePattern.WILDCARD_RESOURCE));
            case ALWAYS_ALLOW -> new OpenAuthorizer(new AlwaysAllow(), Map.of());
        };
    }

    static OpenAuthorizer doorkeeper(String opaUrl, String library, int questions) {
        return new OpenAuthorizer(new MonitorableDoorkeeperAuthorizer(),
                doorkeeperSettings(opaUrl, library, questions));
    }

    private static OpenAuthorizer recording(String opaUrl, String library, int questions,
                                            String log) {
        Map<String, String> settings = new HashMap<>(doorkeeperSettings(opaUrl, library, questions));
        settings.put("doorkeeper.decision.log.file", log);
        settings.put("doorkeeper.decision.log.files", "1"); // a long run writes gigabytes
        settings.put("doorkeeper.questions.max.bytes", QUESTIONS_BYTES);
        return new OpenAuthorizer(new MonitorableDoorkeeperAuthorizer(), settings);
    }

    static Map<String, String> doorkeeperSettings(String opaUrl, String library,
                                                  int questions) {
        return Map.of(
                "doorkeeper.library.path", library,
                "doorkeeper.opa.url", opaUrl,
                "doorkeeper.cache.entries", cacheEntries(questions),
                // Half of them for one principal, who is everybody here.
                "doorkeeper.waiting.threads", "16",
                "doorkeeper.cache.ttl.allow.ms", String.valueOf(1000 * TTL_S),
                "doorkeeper.deadline.ms", String.valueOf(DEADLINE_MS));
    }

    static OpenAuthorizer plugin(String opaUrl, int questions) {
        return new OpenAuthorizer(new OpaAuthorizer(), Map.of(
                "opa.authorizer.url", opaUrl + "/v1/data/bench/plugin/allow",
                "opa.authorizer.cache.expire.after.seconds", String.valueOf(TTL_S),
                "opa.authorizer.cache.maximum.size", cacheEntries(questions)));
    }

    private static String cacheEntries(int questions) {
        return String.valueOf(Math.max(CACHE_ENTRIES, questions));
    }

    private static OpenAuthorizer standard(Stream<String> topics) {
        Map<Uuid, StandardAcl> acls = new HashMap<>();
        topics.forEach(topic -> acls.put(Uuid.randomUuid(), mayRead(topic)));
        StandardAuthorizer authorizer = new StandardAuthorizer();
        authorizer.loadSnapshot(acls);
        authorizer.completeInitialLoad();
        return new OpenAuthorizer(authorizer, Map.of("node.id", "1"));
    }

    private static StandardAcl mayRead(String topic) {
        return new StandardAcl(ResourceType.TOPIC, topic, PatternType.LITERAL,
                Requests.CLIENT.toString(), "*", AclOperation.READ, AclPermissionType.ALLOW);
    }

    private static Stream<String> literalNames(int topics) {
        Requests requests = new Requests(Requests.CLIENT);
        return IntStream.range(0, topics).mapToObj(requests::topic);
    }
}
