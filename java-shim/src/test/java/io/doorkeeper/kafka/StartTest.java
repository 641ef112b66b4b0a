// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.kafka;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ch.qos.logback.classic.Level;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import org.apache.kafka.common.Endpoint;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Which listeners open when. */
class StartTest {
    private final StubOpa opa = new StubOpa();
    private final Map<String, Object> settings = Asking.settings(opa.url());
    private final DoorkeeperAuthorizer authorizer = new DoorkeeperAuthorizer();

    @AfterEach
    void close() {
        authorizer.close();
        opa.close();
    }

    private Map<String, CompletableFuture<?>> start(String... listeners) {
        authorizer.configure(settings);
        Map<String, CompletableFuture<?>> started = new TreeMap<>();
        for (Map.Entry<Endpoint, ? extends CompletionStage<Void>> entry
                : authorizer.start(Asking.serverInfo(listeners)).entrySet()) {
            started.put(entry.getKey().listener(), entry.getValue().toCompletableFuture());
        }
        return started;
    }

    private static void assertDone(boolean done, CompletableFuture<?> future) {
        assertEquals(done, future.isDone());
        assertFalse(future.isCompletedExceptionally());
    }

    @Test
    void whatTheClusterNeedsOpensAtOnceAndClientsWhenOpaIsReady() {
        opa.answerAlways(200, "{}"); // as an OPA whose bundle is not there yet
        settings.put("doorkeeper.start.wait.ms", 600_000);
        Map<String, CompletableFuture<?>> started = start("CLIENT", "INTERNAL", "CONTROLLER");
        assertDone(true, started.get("INTERNAL"));
        assertDone(true, started.get("CONTROLLER"));
        assertDone(false, started.get("CLIENT"));

        opa.allow((ask, name) -> true);
        Asking.await(started.get("CLIENT"));
        assertTrue(Asking.mayRead(authorizer, Asking.request("alice"), "orders"));
    }

    @Test
    void withoutOpaClientsMayConnectAfterTheWaitAndOneLineSaysSo() {
        opa.answerAlways(503, "");
        settings.put("doorkeeper.start.wait.ms", 50);
        try (Lines lines = Lines.of("io.doorkeeper.kafka", Level.ERROR)) {
            Asking.await(start("CLIENT", "OTHER", "INTERNAL").get("CLIENT"));
            assertFalse(Asking.mayRead(authorizer, Asking.request("alice"), "orders"));
            authorizer.close();
            List<String> texts = lines.texts();
            assertEquals(1, texts.size(), texts.toString());
            assertTrue(texts.get(0).contains("doorkeeper.start.wait.ms"), texts.toString());
        }
    }

    @Test
    void closingEndsTheWait() {
        opa.answerAlways(503, "");
        settings.put("doorkeeper.start.wait.ms", 600_000);
        CompletableFuture<?> client = start("CLIENT").get("CLIENT");
        authorizer.close();
        Asking.await(client);
    }

    @Test
    void theInterBrokerListenerIsFoundByItsProtocolToo() {
        opa.answerAlways(503, "");
        settings.put("doorkeeper.start.wait.ms", 600_000);
        settings.remove("inter.broker.listener.name");
        settings.put("security.inter.broker.protocol", "SSL");
        Map<String, CompletableFuture<?>> started = start("SSL", "CLIENT");
        assertDone(true, started.get("SSL"));
        assertDone(false, started.get("CLIENT"));
    }

    @Test
    void aControllerWaitsLessThanABroker() {
        opa.hang();
        settings.put("doorkeeper.deadline.ms", "2000");
        DoorkeeperAuthorizer broker = Asking.started(settings);
        try {
            start("CONTROLLER");
            // Both ask at once; the broker's answer comes later, by a second and more.
            CompletableFuture<Boolean> ofBroker = CompletableFuture.supplyAsync(
                    () -> Asking.mayRead(broker, Asking.request("alice"), "orders"));
            Asking.await("the broker waits for OPA", () -> opa.inputs().size() == 1);
            assertFalse(Asking.mayRead(authorizer, Asking.request("alice"), "payments"));
            assertFalse(ofBroker.isDone());
            assertFalse(Asking.await(ofBroker));
        } finally {
            broker.close();
        }
    }
}
