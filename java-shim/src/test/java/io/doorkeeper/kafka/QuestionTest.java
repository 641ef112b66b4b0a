// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.kafka;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.net.InetAddress;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.resource.ResourceType;
import org.apache.kafka.common.security.auth.KafkaPrincipal;
import org.apache.kafka.server.authorizer.Action;
import org.apache.kafka.server.authorizer.AuthorizationResult;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What arrives at OPA, through both encoders and the core's reader of their records. */
class QuestionTest {
    private static final String ALL_FIELDS =
            "subject,certificate,listener,protocol,address,client_id,api";

    private final StubOpa opa = new StubOpa().allow((ask, name) -> true);
    private DoorkeeperAuthorizer authorizer;

    @AfterEach
    void close() {
        authorizer.close();
        opa.close();
    }

    private void startWithFields(String fields) {
        Map<String, Object> settings = Asking.settings(opa.url());
        settings.put("doorkeeper.question.fields", fields);
        authorizer = Asking.started(settings);
    }

    private JsonNode onlyInput() {
        assertEquals(1, opa.inputs().size());
        return opa.inputs().get(0);
    }

    private static JsonNode json(String text) throws Exception {
        return new ObjectMapper().readTree(text.replace('\'', '"'));
    }

    @Test
    void carriesEveryFieldThatTheOperatorChose() throws Exception {
        startWithFields(ALL_FIELDS);
        Asking.Request request = Asking.request("CN=alice,O=\"Grab, Inc\"");
        request.address = InetAddress.getByName("192.0.2.7");
        request.clientId = "ein Klient \u2713";
        assertTrue(Asking.mayRead(authorizer, request, "orders"));

        JsonNode input = onlyInput();
        assertEquals(json("{'id':'test-cluster'}"), input.get("cluster"));
        JsonNode asked = input.get("requests").get(0);
        assertEquals("User", asked.get("principal").get("type").textValue());
        assertEquals("CN=alice,O=\"Grab, Inc\"", asked.get("principal").get("name").textValue());
        assertEquals(json("{'listener':'CLIENT','forwarded':false,'protocol':'SSL',"
                + "'address':'192.0.2.7','client_id':'ein Klient \u2713','api':'FETCH'}"),
                asked.get("client"));
    }

    @Test
    void carriesNothingElse() throws Exception {
        startWithFields("none");
        assertTrue(Asking.mayRead(authorizer, Asking.request("alice"), "orders"));

        JsonNode asked = onlyInput().get("requests").get(0);
        assertEquals(json("{'type':'User','name':'alice'}"), asked.get("principal"));
        assertEquals(json("{}"), asked.get("client"));
    }

    /** What the controller is told of a request that CLIENT's broker forwarded to it. */
    private JsonNode clientOfForwarded(KafkaPrincipal principal) {
        startWithFields("listener,protocol");
        Asking.Request request = Asking.request(principal);
        request.listener = "CONTROLLER";
        assertTrue(Asking.mayRead(authorizer, request, "orders"));
        return onlyInput().get("requests").get(0).get("client");
    }

    @Test
    void aForwardedRequestShowsTheClientsListener() throws Exception {
        DoorkeeperPrincipal forwarded = DoorkeeperPrincipal.certified(
                new KafkaPrincipal("User", "alice"), Asking.certified("alice").facts(), "CLIENT",
                true);
        assertEquals(json("{'listener':'CLIENT','forwarded':true}"), clientOfForwarded(forwarded));
    }

    @Test
    void aForwardedPlainPrincipalShowsTheClientsListenerToo() throws Exception {
        KafkaPrincipal plain = new KafkaPrincipal("User", "alice");
        ForwardedPrincipals.add(plain, "CLIENT");
        assertEquals(json("{'listener':'CLIENT','forwarded':true}"), clientOfForwarded(plain));
    }

    @Test
    void aForwardedRequestNeverSeemsToComeFromTheController() throws Exception {
        KafkaPrincipal plain = new KafkaPrincipal("User", "alice");
        ForwardedPrincipals.add(plain, null);
        assertEquals(json("{'listener':'','forwarded':true}"), clientOfForwarded(plain));
    }

    @Test
    void aPrincipalThatIsSharedByConnectionsIsNotAskedForInTheNameOfAnother() throws Exception {
        startWithFields("address");
        DoorkeeperPrincipal principal = Asking.certified("alice");
        opa.allow((ask, name) -> true);
        for (String address : List.of("192.0.2.7", "192.0.2.8", "192.0.2.7")) {
            Asking.Request request = Asking.request(principal);
            request.address = InetAddress.getByName(address);
            assertTrue(Asking.mayRead(authorizer, request, "orders"));
        }
        List<String> addresses = opa.inputs().stream()
                .map(input -> input.at("/requests/0/client/address").textValue())
                .collect(Collectors.toList());
        assertEquals(List.of("192.0.2.7", "192.0.2.8"), addresses);
    }

    @Test
    void clientIdsOfOneConnectionAreToldApart() {
        startWithFields("client_id");
        DoorkeeperPrincipal principal = Asking.certified("alice");
        for (String clientId : List.of("one", "two")) {
            Asking.Request request = Asking.request(principal);
            request.clientId = clientId;
            assertTrue(Asking.mayRead(authorizer, request, "orders"));
        }
        assertEquals(2, opa.questions());
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void everyNameArrivesAsItIs(boolean withMemo) {
        startWithFields("none");
        Set<String> names = new LinkedHashSet<>(List.of("plain", "with space", "quote\"back\\slash",
                "line\nbreak\ttab\u0001", "İ", "0", "?", "日本語", "𝄞", "\u202eevil", "a\u0000b",
                "é", "e\u0301", "\ufffd", "\ud83d\ude00", "*",
                "x".repeat(249), "g".repeat(32 * 1024)));
        KafkaPrincipal principal = withMemo
                ? Asking.certified("alice") : new KafkaPrincipal("User", "alice");
        List<AuthorizationResult> results =
                authorizer.authorize(Asking.request(principal), Asking.read(names));

        assertEquals(Set.of(AuthorizationResult.ALLOWED), new HashSet<>(results));
        Set<String> arrived = new HashSet<>();
        opa.inputs().forEach(input -> input.get("requests").forEach(request ->
                request.get("asks").forEach(ask -> ask.get("names")
                        .forEach(name -> arrived.add(name.textValue())))));
        assertEquals(names, arrived);
        assertEquals(names.size(), opa.questions());
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void unpairedSurrogatesAreDeniedWithoutAsking(boolean withMemo) {
        startWithFields("none");
        KafkaPrincipal principal = withMemo
                ? Asking.certified("alice") : new KafkaPrincipal("User", "alice");
        List<Action> actions = Asking.read(List.of("a", "b\ud800", "c", "\udc00", "?"));
        for (int round = 0; round < 2; round++) { // from OPA, then from the cache
            List<AuthorizationResult> results =
                    authorizer.authorize(Asking.request(principal), actions);
            assertEquals(List.of(AuthorizationResult.ALLOWED, AuthorizationResult.DENIED,
                    AuthorizationResult.ALLOWED, AuthorizationResult.DENIED,
                    AuthorizationResult.ALLOWED), results);
        }
        assertEquals(3, opa.questions());
    }

    @Test
    void aPrincipalThatHasNoUtf8IsDeniedWithoutAsking() {
        startWithFields("none");
        assertFalse(Asking.mayRead(authorizer, Asking.request("mal\ud800lory"), "orders"));
        KafkaPrincipal plain = new KafkaPrincipal("User", "mal\udc00lory");
        assertFalse(Asking.mayRead(authorizer, Asking.request(plain), "orders"));
        assertEquals(0, opa.questions());
    }

    @Test
    void everyOperationAndTypeHasKafkasName() {
        startWithFields("none");
        for (AclOperation operation : AclOperation.values()) {
            Action action = Asking.action(operation, ResourceType.TOPIC, "t");
            authorizer.authorize(Asking.request("alice"), List.of(action));
            assertEquals(operation.name(), lastAsk().get("operation").textValue());
        }
        for (ResourceType type : ResourceType.values()) {
            if (type != ResourceType.ANY) { // no resource can have it
                Action action = Asking.action(AclOperation.READ, type, "another");
                authorizer.authorize(Asking.request("alice"), List.of(action));
                assertEquals(type.name(), lastAsk().get("type").textValue());
            }
        }
    }

    private JsonNode lastAsk() {
        return opa.inputs().get(opa.inputs().size() - 1).at("/requests/0/asks/0");
    }

    @Test
    void anyResourceOfATypeIsAQuestionOfItsOwn() {
        startWithFields("none");
        opa.allow((ask, name) -> name == null);
        assertEquals(AuthorizationResult.ALLOWED, authorizer.authorizeByResourceType(
                Asking.request("alice"), AclOperation.WRITE, ResourceType.TOPIC));
        assertFalse(lastAsk().has("names"));
        assertEquals("WRITE", lastAsk().get("operation").textValue());
        assertEquals("TOPIC", lastAsk().get("type").textValue());
        // Neither answers for the other, though the empty name is next to no name.
        Action empty = Asking.action(AclOperation.WRITE, ResourceType.TOPIC, "");
        assertEquals(List.of(AuthorizationResult.DENIED),
                authorizer.authorize(Asking.request("alice"), List.of(empty)));
        assertEquals(2, opa.questions());
    }

    @Test
    void anyOfAnyTypeIsDenied() {
        startWithFields("none");
        assertEquals(AuthorizationResult.DENIED, authorizer.authorizeByResourceType(
                Asking.request("alice"), AclOperation.WRITE, ResourceType.ANY));
        assertEquals(0, opa.questions());
    }
}
