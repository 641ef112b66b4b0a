// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.kafka;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;
import org.apache.kafka.server.authorizer.Action;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What reaches the decision log, whichever way a call was answered. */
class DecisionLogTest {
    @TempDir
    Path directory;

    private final StubOpa opa = new StubOpa().allow((ask, name) -> name.startsWith("allowed"));
    private DoorkeeperAuthorizer authorizer;
    private Path file;

    private void start(String mode) {
        file = directory.resolve("decisions.jsonl");
        Map<String, Object> settings = Asking.settings(opa.url());
        settings.put("doorkeeper.decision.log.file", file.toString());
        settings.put("doorkeeper.decision.log.mode", mode);
        settings.put("super.users", "User:root");
        authorizer = Asking.started(settings);
    }

    @AfterEach
    void close() {
        authorizer.close();
        opa.close();
    }

    /** How many decisions the line stands for. */
    private static long count(String line) {
        Matcher count = Pattern.compile("\"count\":(\\d+)").matcher(line);
        return count.find() ? Long.parseLong(count.group(1)) : 1;
    }

    /** Ends the authorizer, so that every line has come. */
    private List<String> lines() throws IOException {
        authorizer.close();
        return Files.readAllLines(file);
    }

    private static String summary(String line) {
        return line.replaceFirst("^.*\"resource\":\\{\"type\":\"(\\w+)\",(?:\"name\":\"([\\w-]*).*?"
                + "\",)?\"pattern\".*\"outcome\":\"(\\w+)\",\"source\":\"(\\w+)\".*$",
                "$1 $2 $3 $4");
    }

    private static Action unlogged(String topic) {
        return new Action(AclOperation.READ,
                new ResourcePattern(ResourceType.TOPIC, topic, PatternType.LITERAL), 1, false,
                false);
    }

    private void askForHalfAllowed(int actions, int rounds) {
        List<Action> list = Asking.read(IntStream.range(0, actions)
                .mapToObj(i -> (i % 2 == 0 ? "allowed-" : "denied-") + i)
                .collect(Collectors.toList()));
        for (int round = 0; round < rounds; round++) {
            authorizer.authorize(Asking.request(Asking.certified("bob")), list);
        }
    }

    @Test
    void everyDecisionIsThereWhateverKafkaWouldLog() throws IOException {
        start("every");
        Asking.Request request = Asking.request(Asking.certified("bob"));
        for (int round = 0; round < 2; round++) {
            authorizer.authorize(request, List.of(unlogged("allowed"), unlogged("denied")));
        }
        assertEquals(List.of("TOPIC allowed ALLOW opa", "TOPIC denied DENY opa",
                "TOPIC allowed ALLOW cache", "TOPIC denied DENY cache"),
                lines().stream().map(DecisionLogTest::summary).collect(Collectors.toList()));
    }

    @Test
    void whatIsAllowedMayBeLeftOut() throws IOException {
        start("denied");
        authorizer.authorize(Asking.request(Asking.certified("bob")),
                List.of(unlogged("allowed"), unlogged("denied")));
        assertEquals(List.of("TOPIC denied DENY opa"),
                lines().stream().map(DecisionLogTest::summary).collect(Collectors.toList()));
    }

    @Test
    void whatWasNeverAskedIsThere() throws IOException {
        start("denied");
        authorizer.authorize(Asking.request(Asking.refused("eve")), List.of(unlogged("allowed")));
        authorizer.authorizeByResourceType(Asking.request("eve"), AclOperation.READ,
                ResourceType.GROUP);
        List<String> lines = lines();
        assertEquals("TOPIC allowed DENY none", summary(lines.get(0)));
        assertTrue(lines.get(1).contains("{\"type\":\"GROUP\",\"pattern\":\"LITERAL\"}"),
                lines.get(1));
        assertEquals(2, lines.size());
    }

    /** An audit line shows a thousand characters of a name, a record all of it. */
    @Test
    void aLongNameIsThereWhole() throws IOException {
        start("denied");
        String name = "d".repeat(30_000);
        authorizer.authorize(Asking.request("bob"), List.of(unlogged(name)));
        assertTrue(lines().get(0).contains("\"name\":\"" + name + "\""));
    }

    @Test
    void aNameCannotForgeALine() throws IOException {
        start("denied");
        authorizer.authorize(Asking.request("bob\n{}"), List.of(unlogged("x\n{\"result\":true}")));
        List<String> lines = lines();
        assertEquals(1, lines.size());
        assertTrue(lines.get(0).contains("x\\u000a{\\\"result\\\":true}"), lines.get(0));
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 128, 129, 10_000})
    void linesAddUpToTheMetrics(int actions) throws IOException {
        start("every");
        askForHalfAllowed(actions, 2);
        Asking.await("every decision is written or lost", () ->
                Asking.metric(authorizer, "decisions-recorded")
                        + Asking.metric(authorizer, "decisions-lost") == 2L * actions);
        long recorded = Asking.metric(authorizer, "decisions-recorded");
        assertEquals(recorded, lines().size());
        assertTrue(recorded > 0);
    }

    /** The first at once, what the cache answered as a count. */
    @Test
    void equalDecisionsAreCounted() throws IOException {
        start("aggregated");
        Asking.Request bob = Asking.request(Asking.certified("bob"));
        Asking.Request superUser = Asking.request("root");
        for (int round = 0; round < 3; round++) {
            authorizer.authorize(bob, List.of(unlogged("allowed"), unlogged("denied")));
            authorizer.authorize(superUser, List.of(unlogged("ruled")));
        }
        Set<String> expected = Set.of("TOPIC allowed ALLOW opa 1", "TOPIC allowed ALLOW cache 2",
                "TOPIC denied DENY opa 1", "TOPIC denied DENY cache 2", "TOPIC ruled ALLOW rule 1",
                "TOPIC ruled ALLOW rule 2");
        List<String> lines = lines();
        assertEquals(expected, lines.stream().map(line -> summary(line) + " " + count(line))
                .collect(Collectors.toSet()));
        assertEquals(expected.size(), lines.size());
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 128, 129, 10_000})
    void countsAddUpToTheMetrics(int actions) throws IOException {
        start("aggregated");
        askForHalfAllowed(actions, 3);
        assertEquals(3L * actions,
                Asking.metric(authorizer, "hits") + Asking.metric(authorizer, "misses"));
        Asking.await("what OPA decided is written or lost", () ->
                Asking.metric(authorizer, "decisions-recorded")
                        + Asking.metric(authorizer, "decisions-lost")
                        == Asking.metric(authorizer, "misses"));
        assertEquals(0, Asking.metric(authorizer, "decisions-lost"));
        assertEquals(3L * actions, lines().stream().mapToLong(DecisionLogTest::count).sum());
    }

    @Test
    void withoutTheSettingThereIsNoLog() throws IOException {
        authorizer = Asking.started(Asking.settings(opa.url()));
        assertFalse(Asking.mayRead(authorizer, Asking.request("bob"), "denied"));
        try (var files = Files.list(directory)) {
            assertEquals(0, files.count());
        }
        assertEquals(0, Asking.metric(authorizer, "decisions-recorded"));
    }
}
