// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.kafka;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import org.apache.kafka.server.authorizer.AuthorizationResult;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** OPA at fault, and an authorizer that is closed while it is asked. */
class FaultsTest {
    private static final int THREADS = 8;

    private final StubOpa opa = new StubOpa().allow((ask, name) -> true);
    private final Map<String, Object> settings = Asking.settings(opa.url());
    private final ExecutorService threads = Executors.newFixedThreadPool(THREADS);
    private DoorkeeperAuthorizer authorizer;

    @AfterEach
    void close() {
        threads.shutdownNow();
        authorizer.close();
        opa.close();
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', value = {
        "500 | {}",
        "401 | {\"result\":[[[0]]]}",
        "200 | <html>welcome</html>",
        "200 | {\"result\":[[[0]]",
        "200 | {}",
        "200 | {\"result\":true}",
        "200 | {\"result\":[[true]]}",
        "200 | {\"result\":[]}",
        "200 | {\"result\":[[[0]],[[0]]]}",
        "200 | {\"result\":[[[1]]]}",
        "200 | {\"result\":[[[0,0]]]}",
        "200 | {\"result\":[[[0.5]]]}",
        "200 | {\"result\":[[[\"0\"]]]}",
    })
    void aBadAnswerAllowsNothingAndIsNotRemembered(int status, String body) {
        authorizer = Asking.started(settings);
        Asking.Request request = Asking.request("alice");
        assertTrue(Asking.mayRead(authorizer, request, "known"));
        opa.answerAlways(status, body);
        assertFalse(Asking.mayRead(authorizer, request, "orders"));
        assertTrue(Asking.mayRead(authorizer, request, "known"), "the cache goes on");

        opa.allow((ask, name) -> true);
        Asking.await("recovery by itself", () -> Asking.mayRead(authorizer, request, "orders"));
    }

    @ParameterizedTest
    @ValueSource(ints = {1, THREADS})
    void aHangingOpaHoldsACallNoLongerThanItsDeadline(int callers) {
        settings.put("doorkeeper.deadline.ms", 100);
        authorizer = Asking.started(settings);
        opa.hang();
        List<CompletableFuture<Boolean>> calls = new ArrayList<>();
        for (int i = 0; i < callers; i++) {
            String topic = "topic-" + i;
            calls.add(CompletableFuture.supplyAsync(
                    () -> Asking.mayRead(authorizer, Asking.request("alice"), topic), threads));
        }
        calls.forEach(call -> assertFalse(Asking.await(call)));
        assertEquals(callers, Asking.metric(authorizer, "unavailable"));
    }

    @Test
    void closingEndsCallsThatWaitForOpa() {
        settings.put("doorkeeper.deadline.ms", 2000);
        authorizer = Asking.started(settings);
        opa.hang();
        CompletableFuture<List<AuthorizationResult>> call = CompletableFuture.supplyAsync(
                () -> authorizer.authorize(Asking.request("alice"),
                        Asking.read(List.of("a", "b"))), threads);
        Asking.await("the call waits for OPA", () -> opa.inputs().size() == 1);
        authorizer.close();
        assertEquals(List.of(AuthorizationResult.DENIED, AuthorizationResult.DENIED),
                Asking.await(call));
    }

    @Test
    void closingUnderLoadIsCleanAndFinal() {
        authorizer = Asking.started(settings);
        AtomicInteger answered = new AtomicInteger();
        AtomicBoolean closed = new AtomicBoolean();
        List<CompletableFuture<Void>> callers = new ArrayList<>();
        for (int i = 0; i < THREADS; i++) {
            String user = "user-" + i;
            callers.add(CompletableFuture.runAsync(() -> askOn(user, answered, closed), threads));
        }
        Asking.await("load", () -> answered.get() > 2000);
        authorizer.close();
        closed.set(true);
        callers.forEach(Asking::await);
    }

    /** Asks for known and for new topics until after the end, when everything is denied. */
    private void askOn(String user, AtomicInteger answered, AtomicBoolean closed) {
        Asking.Request request = Asking.request(user);
        boolean last;
        int round = 0;
        do {
            last = closed.get();
            List<AuthorizationResult> results = authorizer.authorize(request,
                    Asking.read(List.of("known", "new-" + round)));
            assertEquals(2, results.size());
            if (last) {
                assertEquals(List.of(AuthorizationResult.DENIED, AuthorizationResult.DENIED),
                        results);
            }
            answered.incrementAndGet();
            round++;
        } while (!last);
    }

    @Test
    void manyThreadsGetTheirOwnAnswers() {
        opa.allow((ask, name) -> name.endsWith("-yes"));
        authorizer = Asking.started(settings);
        List<CompletableFuture<Void>> callers = new ArrayList<>();
        for (int i = 0; i < THREADS; i++) {
            int caller = i;
            callers.add(CompletableFuture.runAsync(() -> {
                for (int round = 0; round < 300; round++) {
                    // Some topics are this caller's own, some are asked by all at the same time.
                    List<String> topics = List.of("shared-" + round + "-yes",
                            caller + "-" + round + "-no", caller + "-" + round + "-yes");
                    List<AuthorizationResult> results = authorizer.authorize(
                            Asking.request("alice"), Asking.read(topics));
                    assertEquals(List.of(AuthorizationResult.ALLOWED, AuthorizationResult.DENIED,
                            AuthorizationResult.ALLOWED), results);
                }
            }, threads));
        }
        callers.forEach(Asking::await);
        assertEquals(300 * (1 + 2 * THREADS), opa.questions(), "one flight a question");
    }

    @Test
    void aPrincipalIsUsableAfterItsConnectionIsGone() {
        authorizer = Asking.started(settings);
        Asking.Request request = Asking.request("alice");
        assertTrue(Asking.mayRead(authorizer, request, "orders"));
        ((DoorkeeperPrincipal) request.principal()).memo(null);
        assertTrue(Asking.mayRead(authorizer, request, "orders"));
        ((DoorkeeperPrincipal) request.principal()).memo("somebody else's");
        assertTrue(Asking.mayRead(authorizer, request, "orders"));
        assertEquals(List.of("orders"), opa.inputs().stream()
                .map(input -> input.at("/requests/0/asks/0/names/0").textValue())
                .collect(Collectors.toList()));
    }
}
