// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.kafka;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.errors.ApiException;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.resource.ResourceType;
import org.apache.kafka.common.security.auth.KafkaPrincipal;
import org.apache.kafka.server.authorizer.AuthorizationResult;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** doorkeeper.on.unavailable: what a client gets where nobody decided. */
class RetryTest {
    private final StubOpa opa = new StubOpa().allow((ask, name) -> true);
    private final Map<String, Object> settings = Asking.settings(opa.url());
    private DoorkeeperAuthorizer authorizer;

    @AfterEach
    void close() {
        authorizer.close();
        opa.close();
    }

    private void start(String onUnavailable) {
        settings.put("doorkeeper.on.unavailable", onUnavailable);
        authorizer = Asking.started(settings);
    }

    private void breakOpa() {
        opa.answerAlways(200, "no JSON");
    }

    private static Asking.Request request(String user, ApiKeys api) {
        Asking.Request request = Asking.request(user);
        request.requestType = api.id;
        return request;
    }

    @ParameterizedTest
    @CsvSource({
        "PRODUCE,                  NOT_ENOUGH_REPLICAS",
        "FETCH,                    KAFKA_STORAGE_ERROR",
        "METADATA,                 LEADER_NOT_AVAILABLE",
        "LIST_OFFSETS,             NOT_LEADER_OR_FOLLOWER",
        "FIND_COORDINATOR,         COORDINATOR_NOT_AVAILABLE",
        "JOIN_GROUP,               COORDINATOR_LOAD_IN_PROGRESS",
        "SYNC_GROUP,               COORDINATOR_NOT_AVAILABLE",
        "HEARTBEAT,                COORDINATOR_LOAD_IN_PROGRESS",
        "OFFSET_COMMIT,            COORDINATOR_LOAD_IN_PROGRESS",
        "OFFSET_FETCH,             COORDINATOR_LOAD_IN_PROGRESS",
        "CONSUMER_GROUP_HEARTBEAT, COORDINATOR_NOT_AVAILABLE",
        "INIT_PRODUCER_ID,         COORDINATOR_LOAD_IN_PROGRESS",
        "END_TXN,                  COORDINATOR_LOAD_IN_PROGRESS",
        "TXN_OFFSET_COMMIT,        COORDINATOR_LOAD_IN_PROGRESS",
        "ADD_PARTITIONS_TO_TXN,    COORDINATOR_LOAD_IN_PROGRESS",
        "CREATE_TOPICS,            THROTTLING_QUOTA_EXCEEDED",
        "DELETE_TOPICS,            THROTTLING_QUOTA_EXCEEDED",
        "LIST_GROUPS,              REQUEST_TIMED_OUT",
        "DESCRIBE_CONFIGS,         REQUEST_TIMED_OUT",
    })
    void everyKindOfRequestGetsTheErrorThatItsClientsTakeAsPassing(ApiKeys api, Errors error) {
        start("retry,deny");
        breakOpa();
        ApiException thrown = assertThrows(ApiException.class,
                () -> authorizer.authorize(request("alice", api), Asking.read(List.of("a"))));
        assertEquals(error, Errors.forException(thrown));
        assertEquals(0, thrown.getStackTrace().length, "clients can provoke it at will");
    }

    @Test
    void aListIsNotShortenedByWhatNobodyDecided() {
        start("retry,deny");
        Asking.Request request = request("alice", ApiKeys.METADATA);
        assertTrue(Asking.mayRead(authorizer, request, "known"));
        breakOpa();
        assertThrows(ApiException.class,
                () -> authorizer.authorize(request, Asking.read(List.of("known", "new"))));
        assertTrue(Asking.mayRead(authorizer, request, "known"));
    }

    @Test
    void aDenialIsADenial() {
        start("retry,deny");
        opa.allow((ask, name) -> false);
        assertEquals(List.of(AuthorizationResult.DENIED),
                authorizer.authorize(Asking.request("alice"), Asking.read(List.of("a"))));
    }

    @Test
    void theQuestionForAnyResourceIsRetriedToo() {
        start("retry,deny");
        breakOpa();
        assertThrows(ApiException.class, () -> authorizer.authorizeByResourceType(
                request("alice", ApiKeys.INIT_PRODUCER_ID), AclOperation.WRITE,
                ResourceType.TOPIC));
    }

    @Test
    void withoutTheRuleItIsADenial() {
        start("deny");
        breakOpa();
        assertEquals(List.of(AuthorizationResult.DENIED),
                authorizer.authorize(Asking.request("alice"), Asking.read(List.of("a"))));
    }

    @Test
    void theLastKnownAllowComesFirst() {
        settings.put("doorkeeper.cache.ttl.allow.ms", 200);
        start("stale,retry,deny");
        Asking.Request request = Asking.request("alice");
        assertTrue(Asking.mayRead(authorizer, request, "known"));
        breakOpa();
        Asking.await("the decision is past its TTL", () ->
                Asking.mayRead(authorizer, request, "known")
                        && Asking.metric(authorizer, "stale") > 0);
        assertThrows(ApiException.class, () -> Asking.mayRead(authorizer, request, "new"));
    }

    @ParameterizedTest
    @ValueSource(ints = {60_000, 0})
    void aClientWhoseFetchHasNoAnswerIsKeptAway(int pauseMs) {
        settings.put("doorkeeper.fetch.pause.ms", pauseMs);
        start("retry,deny");
        breakOpa();
        KafkaPrincipal principal = Asking.certified("fetches-" + pauseMs);
        assertThrows(ApiException.class, () -> authorizer.authorize(Asking.request(principal),
                Asking.read(List.of("a"))));
        if (pauseMs > 0) {
            assertThrows(FetchPause.Paused.class, () -> FetchPause.check(principal));
        } else {
            assertDoesNotThrow(() -> FetchPause.check(principal));
        }
    }

    @Test
    void otherRequestsKeepNobodyAway() {
        start("retry,deny");
        breakOpa();
        Asking.Request request = request("produces", ApiKeys.PRODUCE);
        assertThrows(ApiException.class,
                () -> authorizer.authorize(request, Asking.read(List.of("a"))));
        assertDoesNotThrow(() -> FetchPause.check(request.principal()));
    }
}
