// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.kafka;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ch.qos.logback.classic.Level;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;
import org.apache.kafka.common.security.auth.KafkaPrincipal;
import org.apache.kafka.server.authorizer.Action;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The lines in Kafka's authorizer log, and that no log holds up a decision. */
class AuditTest {
    private static final String LOGGER = "kafka.authorizer.logger";

    private final StubOpa opa = new StubOpa().allow((ask, name) -> name.startsWith("allowed"));
    private DoorkeeperAuthorizer authorizer;

    @AfterEach
    void close() {
        authorizer.close();
        opa.close();
    }

    private void start() {
        authorizer = Asking.started(Asking.settings(opa.url()));
    }

    private static Action action(String topic, boolean logIfAllowed, boolean logIfDenied) {
        return new Action(AclOperation.READ,
                new ResourcePattern(ResourceType.TOPIC, topic, PatternType.LITERAL), 3,
                logIfAllowed, logIfDenied);
    }

    /** Ends the authorizer, so that every line has come. */
    private List<String> linesOf(Lines lines) {
        authorizer.close();
        return lines.texts();
    }

    @Test
    void aDeniedActionIsALineInKafkasWords() {
        try (Lines lines = Lines.of(LOGGER, Level.INFO)) {
            start();
            Asking.Request request = Asking.request("CN=bob,O=Grab");
            for (int round = 0; round < 2; round++) {
                authorizer.authorize(request, List.of(action("payments", true, true)));
            }
            String common = "INFO Principal = User:CN=bob,O=Grab is Denied operation = READ from"
                    + " host = 127.0.0.1 on resource = TOPIC:LITERAL:payments for request = Fetch"
                    + " with resourceRefCount = 3, outcome = DENY, source = ";
            assertEquals(List.of(common + "opa, revision = authz=1",
                    common + "cache, revision = authz=1"), linesOf(lines));
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void theActionsFlagsAreHonoured(boolean withMemo) {
        try (Lines lines = Lines.of(LOGGER, Level.DEBUG)) {
            start();
            KafkaPrincipal principal = withMemo
                    ? Asking.certified("bob") : new KafkaPrincipal("User", "bob");
            List<Action> actions = List.of(
                    action("allowed-seen", true, false), action("allowed-unseen", false, true),
                    action("denied-seen", false, true), action("denied-unseen", true, false));
            for (int round = 0; round < 2; round++) {
                authorizer.authorize(Asking.request(principal), actions);
            }
            authorizer.authorize(Asking.request(principal), actions.subList(0, 1));

            List<String> seen = linesOf(lines).stream()
                    .map(AuditTest::summary).collect(Collectors.toList());
            assertEquals(List.of("DEBUG allowed-seen ALLOW opa", "INFO denied-seen DENY opa",
                    "DEBUG allowed-seen ALLOW cache", "INFO denied-seen DENY cache",
                    "DEBUG allowed-seen ALLOW cache"), seen);
        }
    }

    private static String summary(String line) {
        return line.replaceFirst("^(\\w+) .*TOPIC:LITERAL:([\\w-]+) .*outcome = (\\w+),"
                + " source = (\\w+),.*$", "$1 $2 $3 $4");
    }

    @Test
    void allowedActionsAreNotWrittenAtInfo() {
        try (Lines lines = Lines.of(LOGGER, Level.INFO)) {
            start();
            authorizer.authorize(Asking.request("bob"),
                    List.of(action("allowed", true, true), action("denied", true, true)));
            assertEquals(List.of("INFO denied DENY opa"), linesOf(lines).stream()
                    .map(AuditTest::summary).collect(Collectors.toList()));
        }
    }

    @Test
    void aLevelThatChangesWhileTheBrokerRunsIsFollowed() {
        try (Lines lines = Lines.of(LOGGER, Level.OFF)) {
            start();
            ((ch.qos.logback.classic.Logger) org.slf4j.LoggerFactory.getLogger(LOGGER))
                    .setLevel(Level.DEBUG);
            Asking.await("a line", () -> {
                Asking.mayRead(authorizer, Asking.request("bob"), "allowed");
                return !lines.texts().isEmpty();
            });
        }
    }

    @Test
    void whatWasNeverAskedIsWrittenAsDenied() {
        try (Lines lines = Lines.of(LOGGER, Level.INFO)) {
            start();
            authorizer.authorize(Asking.request(Asking.refused("eve")),
                    List.of(action("allowed", true, true)));
            authorizer.authorize(Asking.request("eve"), List.of(action("\ud800", true, true)));
            List<String> texts = linesOf(lines);
            assertEquals(2, texts.size());
            texts.forEach(line -> assertTrue(line.contains("outcome = DENY, source = none"), line));
        }
    }

    @Test
    void namesCannotForgeALine() {
        try (Lines lines = Lines.of(LOGGER, Level.INFO)) {
            start();
            authorizer.authorize(Asking.request("mallory\nINFO Principal = User:alice"),
                    List.of(action("x\r\n\u202ey", true, true)));
            List<String> texts = linesOf(lines);
            assertEquals(1, texts.size());
            assertFalse(texts.get(0).matches("(?s).*[\\n\\r\u202e].*"), texts.get(0));
        }
    }

    @Test
    void aLogThatHangsDelaysNoDecision() {
        try (Lines lines = Lines.blocking(LOGGER, Level.DEBUG)) {
            start();
            Asking.Request request = Asking.request("bob");
            assertFalse(Asking.mayRead(authorizer, request, "denied-0"));
            lines.awaitBlocked();
            // More lines than the ring holds, cold questions and hits, all while the log hangs.
            List<String> topics = IntStream.range(0, 6000).mapToObj(i -> "denied-" + i)
                    .collect(Collectors.toCollection(ArrayList::new));
            authorizer.authorize(request, Asking.read(topics));
            assertTrue(Asking.mayRead(authorizer, request, "allowed"));
            assertEquals(0, lines.texts().size());
            assertTrue(Asking.metric(authorizer, "log-dropped") > 0);

            lines.unblock();
            lines.awaitLine("LITERAL:denied-1 ");
        }
    }
}
