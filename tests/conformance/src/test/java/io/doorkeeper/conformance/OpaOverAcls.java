// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.conformance;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;
import org.apache.kafka.common.security.auth.KafkaPrincipal;
import org.apache.kafka.common.security.auth.SecurityProtocol;
import org.apache.kafka.metadata.authorizer.StandardAuthorizer;
import org.apache.kafka.server.authorizer.Action;
import org.apache.kafka.server.authorizer.AuthorizableRequestContext;
import org.apache.kafka.server.authorizer.AuthorizationResult;

/**
 * An OPA whose policy is the ACLs of a StandardAuthorizer: it speaks the batch form of
 * docs/policy-input.md over HTTP on a loopback port of its own. It knows nobody as a super user,
 * so those must be known before it is asked.
 */
final class OpaOverAcls implements AutoCloseable {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final String PATH = "/v1/data/kafka/authz/batch";

    private final StandardAuthorizer acls;
    private final Set<String> superUsers;
    private final HttpServer server;
    private final ExecutorService threads;

    OpaOverAcls(StandardAuthorizer acls, Set<String> superUsers) {
        this.acls = acls;
        this.superUsers = superUsers;
        try {
            server = HttpServer.create(
                    new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        } catch (IOException cause) {
            throw new UncheckedIOException(cause);
        }
        threads = Executors.newFixedThreadPool(4, task -> {
            Thread thread = new Thread(task, "opa-over-acls-" + server.getAddress().getPort());
            thread.setDaemon(true);
            return thread;
        });
        server.setExecutor(threads);
        server.createContext(PATH, this::answer);
        server.start();
    }

    String url() {
        return "http://127.0.0.1:" + server.getAddress().getPort();
    }

    @Override
    public void close() {
        server.stop(0);
        threads.shutdownNow();
    }

    private void answer(HttpExchange exchange) throws IOException {
        try (exchange) {
            JsonNode input = JSON.readTree(exchange.getRequestBody()).path("input");
            ObjectNode answer = JSON.createObjectNode();
            ArrayNode result = answer.putArray("result");
            for (JsonNode request : input.path("requests")) {
                answerRequest(request, result.addArray());
            }
            answer.putObject("provenance").putObject("bundles").putObject("acls")
                    .put("revision", "1");
            byte[] body = JSON.writeValueAsBytes(answer);
            exchange.getResponseHeaders().set("Content-Type", "application/json");
            exchange.sendResponseHeaders(200, body.length);
            exchange.getResponseBody().write(body);
        } catch (RuntimeException malformed) {
            Tally.differs("a request that OPA cannot read: " + malformed);
            exchange.sendResponseHeaders(500, -1);
        }
    }

    private void answerRequest(JsonNode request, ArrayNode answers) throws IOException {
        JsonNode who = request.required("principal");
        KafkaPrincipal principal = new KafkaPrincipal(
                who.required("type").textValue(), who.required("name").textValue());
        JsonNode client = request.required("client");
        InetAddress address = InetAddress.getByName(client.required("address").textValue());
        Asker asker = new Asker(principal, address, client.required("listener").textValue());
        boolean denied = superUsers.contains(principal.toString());
        for (JsonNode ask : request.required("asks")) {
            List<AuthorizationResult> results = answerAsk(asker, ask);
            Tally.answeredByOpa(results.size());
            ArrayNode allowed = answers.addArray();
            for (int i = 0; i < results.size(); i++) {
                if (!denied && results.get(i) == AuthorizationResult.ALLOWED) {
                    allowed.add(i);
                }
            }
        }
    }

    private List<AuthorizationResult> answerAsk(Asker asker, JsonNode ask) {
        AclOperation operation = AclOperation.valueOf(ask.required("operation").textValue());
        ResourceType type = ResourceType.valueOf(ask.required("type").textValue());
        PatternType pattern = PatternType.valueOf(ask.required("pattern").textValue());
        List<Action> actions = new ArrayList<>();
        for (JsonNode name : ask.path("names")) {
            ResourcePattern resource = new ResourcePattern(type, name.textValue(), pattern);
            actions.add(new Action(operation, resource, 1, false, false));
        }
        try {
            return ask.has("names") ? acls.authorize(asker, actions)
                    : List.of(acls.authorizeByResourceType(asker, operation, type));
        } catch (RuntimeException notReadyOrMisused) {
            // As a policy would: what has no rule is not allowed.
            return actions.stream().map(action -> AuthorizationResult.DENIED).toList();
        }
    }

    /** What an ACL can see of a request. */
    private record Asker(KafkaPrincipal principal, InetAddress clientAddress, String listenerName)
            implements AuthorizableRequestContext {
        @Override
        public SecurityProtocol securityProtocol() {
            return SecurityProtocol.PLAINTEXT;
        }

        @Override
        public int requestType() {
            return 0;
        }

        @Override
        public int requestVersion() {
            return 0;
        }

        @Override
        public String clientId() {
            return "";
        }

        @Override
        public int correlationId() {
            return 0;
        }
    }
}
