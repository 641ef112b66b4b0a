// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.kafka;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ch.qos.logback.classic.Level;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.resource.ResourceType;
import org.apache.kafka.server.authorizer.AuthorizationResult;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The shipped policy in a real OPA, by a Unix socket. */
class RealOpaTest {
    @TempDir
    Path directory;
    private Process opa;
    private Map<String, Object> settings;

    @BeforeEach
    void startOpa() throws Exception {
        Path bundle = Files.createDirectory(directory.resolve("bundle"));
        Files.copy(Path.of(System.getProperty("doorkeeper.policies"), "kafka/authz/authz.rego"),
                bundle.resolve("authz.rego"));
        Files.writeString(bundle.resolve(".manifest"), "{\"revision\":\"r1\"}");
        Files.writeString(bundle.resolve("data.json"), grants());
        Path socket = directory.resolve("opa.sock");
        ProcessBuilder command = new ProcessBuilder(executable(), "run", "--server",
                "--addr", "unix://" + socket, "--log-level", "error",
                "-b", bundle.toString()).redirectErrorStream(true)
                .redirectOutput(directory.resolve("opa.log").toFile());
        command.environment().remove("LD_PRELOAD");
        opa = command.start();
        settings = Asking.settings("unix:" + socket);
    }

    @AfterEach
    void stopOpa() throws Exception {
        opa.destroy();
        assertTrue(opa.waitFor(Asking.PATIENCE_S, TimeUnit.SECONDS));
    }

    private static String executable() {
        String named = System.getenv("OPA");
        return named != null ? named : System.getProperty("doorkeeper.opa");
    }

    /** alice may read orders and every even topic, bob may write orders. */
    private static String grants() {
        String even = IntStream.range(0, 500)
                .mapToObj(i -> "\"topic-" + 2 * i + "\":{\"read\":[\"alice\"]}")
                .collect(Collectors.joining(","));
        return "{\"kafka\":{\"grants\":{\"topics\":{"
                + "\"orders\":{\"read\":[\"alice\"],\"write\":[\"bob\"]}," + even + "}}}}";
    }

    private static AuthorizationResult ask(DoorkeeperAuthorizer authorizer, String user,
                                           AclOperation operation) {
        return authorizer.authorize(Asking.request(user),
                List.of(Asking.action(operation, ResourceType.TOPIC, "orders"))).get(0);
    }

    @ParameterizedTest
    @ValueSource(strings = {"kafka/authz/batch", ""})
    void grantsDecide(String batchPath) {
        settings.put("doorkeeper.opa.batch.path", batchPath);
        DoorkeeperAuthorizer authorizer = Asking.started(settings);
        try {
            for (int round = 0; round < 2; round++) {
                assertEquals(AuthorizationResult.ALLOWED,
                        ask(authorizer, "alice", AclOperation.READ));
                assertEquals(AuthorizationResult.DENIED,
                        ask(authorizer, "alice", AclOperation.WRITE));
                assertEquals(AuthorizationResult.ALLOWED,
                        ask(authorizer, "bob", AclOperation.DESCRIBE));
                assertEquals(AuthorizationResult.DENIED,
                        ask(authorizer, "mallory", AclOperation.DESCRIBE));
                assertEquals(AuthorizationResult.ALLOWED, authorizer.authorizeByResourceType(
                        Asking.request("bob"), AclOperation.WRITE, ResourceType.TOPIC));
                assertEquals(AuthorizationResult.DENIED, authorizer.authorizeByResourceType(
                        Asking.request("alice"), AclOperation.WRITE, ResourceType.TOPIC));
            }
            assertEquals(6, Asking.metric(authorizer, "questions"));
            assertEquals(6, Asking.metric(authorizer, "hits"));
        } finally {
            authorizer.close();
        }
    }

    @Test
    void aThousandColdTopicsAreTwoRequests() {
        DoorkeeperAuthorizer authorizer = Asking.started(settings);
        try {
            List<String> topics = IntStream.range(0, 1000).mapToObj(i -> "topic-" + i)
                    .collect(Collectors.toList());
            List<AuthorizationResult> expected = IntStream.range(0, 1000)
                    .mapToObj(i -> i % 2 == 0
                            ? AuthorizationResult.ALLOWED : AuthorizationResult.DENIED)
                    .collect(Collectors.toList());
            assertEquals(expected,
                    authorizer.authorize(Asking.request("alice"), Asking.read(topics)));
            assertEquals(2, Asking.metric(authorizer, "opa-requests"));
        } finally {
            authorizer.close();
        }
    }

    @Test
    void theRevisionStandsInTheAuditLineAndHitsOutliveOpa() throws Exception {
        try (Lines lines = Lines.of("kafka.authorizer.logger", Level.INFO)) {
            DoorkeeperAuthorizer authorizer = Asking.started(settings);
            try {
                Asking.Request request = Asking.request("alice");
                assertTrue(Asking.mayRead(authorizer, request, "orders"));
                assertFalse(Asking.mayRead(authorizer, request, "payments"));
                String line = lines.awaitLine("LITERAL:payments");
                assertTrue(line.contains("outcome = DENY, source = opa"), line);
                assertTrue(line.matches(".*revision = \\S*r1.*"), line);
                stopOpa();
                assertTrue(Asking.mayRead(authorizer, request, "orders"));
                assertFalse(Asking.mayRead(authorizer, request, "topic-0"));
            } finally {
                authorizer.close();
            }
        }
    }
}
