// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.kafka;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ch.qos.logback.classic.Level;
import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.LinkedList;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.errors.SecurityDisabledException;
import org.apache.kafka.common.resource.ResourceType;
import org.apache.kafka.common.security.auth.KafkaPrincipal;
import org.apache.kafka.server.authorizer.Action;
import org.apache.kafka.server.authorizer.AuthorizationResult;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Answers: right, in order, one for each action, and remembered. */
class AuthorizerTest {
    private final StubOpa opa = new StubOpa();
    private DoorkeeperAuthorizer authorizer;

    @AfterEach
    void close() {
        if (authorizer != null) {
            authorizer.close();
        }
        opa.close();
    }

    private void start() {
        authorizer = Asking.started(Asking.settings(opa.url()));
    }

    /** An order that no reversed, shifted or truncated list of answers has. */
    private static boolean isAllowed(String topic) {
        return (topic.hashCode() * 0x9e3779b9) >>> 31 == 0;
    }

    private static List<String> topics(int count) {
        return IntStream.range(0, count).mapToObj(i -> "topic-" + i).collect(Collectors.toList());
    }

    private static List<AuthorizationResult> expected(List<String> topics) {
        return topics.stream()
                .map(topic -> isAllowed(topic)
                        ? AuthorizationResult.ALLOWED : AuthorizationResult.DENIED)
                .collect(Collectors.toList());
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 2, 128, 129, 1000, 10_000})
    void listsAreAnsweredInOrder(int count) {
        opa.allow((ask, name) -> isAllowed(name));
        start();
        List<String> topics = topics(count);
        Asking.Request request = Asking.request("alice");

        assertEquals(expected(topics), authorizer.authorize(request, Asking.read(topics)));
        assertEquals(count, opa.questions());
        int batches = (count + 499) / 500;
        assertTrue(opa.inputs().size() <= batches, opa.inputs().size() + " batches");

        // Again, in another kind of list: from the cache.
        List<Action> again = new LinkedList<>(Asking.read(topics));
        assertEquals(expected(topics), authorizer.authorize(request, again));
        assertEquals(count, opa.questions());
        assertEquals(count, Asking.metric(authorizer, "hits"));
    }

    @Test
    void aPlainPrincipalIsAnsweredAndRememberedTheSame() {
        opa.allow((ask, name) -> isAllowed(name));
        start();
        List<String> topics = topics(300);
        for (int round = 0; round < 2; round++) {
            Asking.Request request = Asking.request(new KafkaPrincipal("User", "alice"));
            assertEquals(expected(topics), authorizer.authorize(request, Asking.read(topics)));
        }
        assertEquals(300, opa.questions());
    }

    @Test
    void aListOfHitsAndMissesIsPutTogetherAgain() {
        opa.allow((ask, name) -> isAllowed(name));
        start();
        List<String> topics = topics(600);
        List<String> everyThird = new ArrayList<>();
        for (int i = 0; i < topics.size(); i += 3) {
            everyThird.add(topics.get(i));
        }
        Asking.Request request = Asking.request("alice");
        authorizer.authorize(request, Asking.read(everyThird));
        assertEquals(expected(topics), authorizer.authorize(request, Asking.read(topics)));
        assertEquals(600, opa.questions());
    }

    @Test
    void principalsOfOneNameAndOtherTypeAreOthers() {
        opa.allow((ask, name) -> true);
        start();
        assertTrue(Asking.mayRead(authorizer,
                Asking.request(new KafkaPrincipal("User", "a")), "orders"));
        assertTrue(Asking.mayRead(authorizer,
                Asking.request(new KafkaPrincipal("Group", "a")), "orders"));
        assertEquals(2, opa.questions());
    }

    @Test
    void aHitNeedsNoOpa() {
        opa.allow((ask, name) -> name.equals("orders"));
        start();
        Asking.Request request = Asking.request("alice");
        assertTrue(Asking.mayRead(authorizer, request, "orders"));
        opa.close();
        assertTrue(Asking.mayRead(authorizer, request, "orders"));
        assertFalse(Asking.mayRead(authorizer, request, "unknown"));
        assertTrue(Asking.mayRead(authorizer, Asking.request("alice"), "orders"),
                "another connection of the same client");
    }

    @Test
    void hitsAllocateLittleMoreThanTheirResults() {
        opa.allow((ask, name) -> true);
        start();
        Asking.Request request = Asking.request("alice");
        List<Action> actions = Asking.read(topics(100));
        ThreadMXBean memory = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        long thread = Thread.currentThread().getId();
        int calls = 1000;
        authorizer.authorize(request, actions);
        long before = memory.getThreadAllocatedBytes(thread);
        for (int i = 0; i < calls; i++) {
            authorizer.authorize(request, actions);
        }
        long bytes = (memory.getThreadAllocatedBytes(thread) - before) / calls;
        assertTrue(bytes < 1500, bytes + " bytes a call"); // one byte array a name would be 5600
    }

    @Test
    void aFlushMakesEveryDecisionUnreachable() {
        opa.allow((ask, name) -> name.equals("orders"));
        start();
        Asking.Request request = Asking.request("alice");
        assertTrue(Asking.mayRead(authorizer, request, "orders"));
        assertFalse(Asking.mayRead(authorizer, request, "payments"));

        opa.allow((ask, name) -> name.equals("payments"));
        assertTrue(Asking.mayRead(authorizer, request, "orders"), "remembered");
        assertFalse(Asking.mayRead(authorizer, request, "payments"), "remembered");
        authorizer.flush();
        assertFalse(Asking.mayRead(authorizer, request, "orders"));
        assertTrue(Asking.mayRead(authorizer, request, "payments"));
    }

    @Test
    void aContextThatTheCoreForgotIsRegisteredAgain() {
        opa.allow((ask, name) -> true);
        start();
        Asking.Request first = Asking.request("alice");
        assertTrue(Asking.mayRead(authorizer, first, "orders"));
        // The core keeps 65,536 contexts: more connections than that push this one out.
        for (int i = 0; i < 70_000; i++) {
            assertTrue(Asking.mayRead(authorizer, Asking.request("alice"), "orders"));
        }
        assertTrue(Asking.mayRead(authorizer, first, "orders"));
        assertEquals(1, opa.questions());
    }

    @Test
    void superUsersNeedNoOpa() {
        Map<String, Object> settings = Asking.settings(opa.url());
        settings.put("super.users", " User:CN=admin,O=Grab ; User:root");
        opa.answerAlways(500, "");
        authorizer = new DoorkeeperAuthorizer();
        authorizer.configure(settings);
        assertTrue(Asking.mayRead(authorizer, Asking.request("CN=admin,O=Grab"), "orders"));
        KafkaPrincipal plain = new KafkaPrincipal("User", "root");
        assertTrue(Asking.mayRead(authorizer, Asking.request(plain), "orders"));
        assertFalse(Asking.mayRead(authorizer, Asking.request("CN=admin"), "orders"));
    }

    @Test
    void anExpiredCertificateAndARefusedPrincipalAreDenied() {
        opa.allow((ask, name) -> true);
        Map<String, Object> settings = Asking.settings(opa.url());
        settings.put("super.users", "User:expired;User:refused");
        authorizer = Asking.started(settings);
        assertFalse(Asking.mayRead(authorizer,
                Asking.request(Asking.certified("expired", 1_000_000_000)), "orders"));
        assertFalse(Asking.mayRead(authorizer,
                Asking.request(Asking.refused("refused")), "orders"));
        assertTrue(Asking.mayRead(authorizer, Asking.request("valid"), "orders"));
        assertEquals(1, opa.questions());
    }

    @Test
    void whyAPrincipalIsRefusedIsSaidOnce() {
        try (Lines lines = Lines.of("io.doorkeeper.kafka", Level.WARN)) {
            start();
            for (int i = 0; i < 100; i++) {
                Asking.mayRead(authorizer, Asking.request(Asking.refused("eve")), "orders");
            }
            authorizer.close();
            assertEquals(List.of("WARN User:eve is denied everything: for the test"),
                    lines.texts());
        }
    }

    @Test
    void whatGoesWrongInHereIsADenial() {
        opa.allow((ask, name) -> true);
        start();
        Asking.Request broken = Asking.request((KafkaPrincipal) null);
        try (Lines lines = Lines.of("io.doorkeeper.kafka", Level.ERROR)) {
            for (int i = 0; i < 100; i++) {
                assertEquals(List.of(AuthorizationResult.DENIED, AuthorizationResult.DENIED),
                        authorizer.authorize(broken, Asking.read(List.of("a", "b"))));
            }
            lines.awaitLine("could not be asked and was denied: java.lang.NullPointerException");
            assertEquals(1, lines.texts().size());
        }
        assertEquals(AuthorizationResult.DENIED, authorizer.authorizeByResourceType(broken,
                AclOperation.READ, ResourceType.TOPIC));
        assertEquals(List.of(AuthorizationResult.DENIED),
                new DoorkeeperAuthorizer().authorize(Asking.request("alice"),
                        List.of(Asking.read("never configured"))));
        // The thread's next call is as good as ever.
        assertTrue(Asking.mayRead(authorizer, Asking.request("alice"), "orders"));
    }

    @Test
    void whatIsAskedOftenIsRefreshedInTheBackground() {
        Map<String, Object> settings = Asking.settings(opa.url());
        settings.put("doorkeeper.cache.ttl.allow.ms", 1600);
        opa.allow((ask, name) -> true);
        authorizer = Asking.started(settings);
        Asking.Request request = Asking.request("alice");
        Asking.await("two refreshes", () -> {
            assertTrue(Asking.mayRead(authorizer, request, "allowed"));
            return Asking.metric(authorizer, "refreshes") == 2;
        });
        assertEquals(1, Asking.metric(authorizer, "misses"), "no call waited for them");
    }

    @Test
    void thereAreNoAcls() {
        start();
        assertThrows(SecurityDisabledException.class,
                () -> authorizer.acls(AclBindingFilter.ANY));
        Asking.Request request = Asking.request("alice");
        List<AclBinding> none = new ArrayList<>();
        none.add(null);
        assertTrue(Asking.await(authorizer.createAcls(request, none).get(0)).exception()
                .orElseThrow() instanceof SecurityDisabledException);
        assertTrue(Asking.await(
                        authorizer.deleteAcls(request, List.of(AclBindingFilter.ANY)).get(0))
                .exception().orElseThrow() instanceof SecurityDisabledException);
    }
}
