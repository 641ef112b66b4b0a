// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.kafka;

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
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BiPredicate;

/**
 * Stands in for OPA's batch rule where a test looks at what is asked, or wants answers that OPA
 * would not give. Polls (batches without requests) are answered but not recorded.
 */
final class StubOpa implements AutoCloseable {
    private static final ObjectMapper JSON = new ObjectMapper();

    private final HttpServer server;
    private final ExecutorService threads = Executors.newCachedThreadPool();
    private final List<JsonNode> inputs = new CopyOnWriteArrayList<>();
    private final AtomicInteger questions = new AtomicInteger();
    private final CountDownLatch closing = new CountDownLatch(1);
    private volatile BiPredicate<JsonNode, String> policy = (ask, name) -> false;
    private volatile String fixedAnswer;
    private volatile int fixedStatus;
    private volatile boolean hanging;

    StubOpa() {
        try {
            server = HttpServer.create(
                    new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        server.createContext("/", this::answer);
        server.setExecutor(threads);
        server.start();
    }

    String url() {
        return "http://127.0.0.1:" + server.getAddress().getPort();
    }

    /** Decides by the ask and the name; the name is null for "any resource of the type". */
    StubOpa allow(BiPredicate<JsonNode, String> policy) {
        this.policy = policy;
        this.fixedAnswer = null;
        return this;
    }

    /** From now on every request, polls too, is answered so. */
    void answerAlways(int status, String body) {
        fixedStatus = status;
        fixedAnswer = body;
    }

    /** From now on nothing that is asked is answered; polls are. */
    void hang() {
        hanging = true;
    }

    /** What was asked so far: the whole {@code input} of each batch. */
    List<JsonNode> inputs() {
        return inputs;
    }

    int questions() {
        return questions.get();
    }

    private void answer(HttpExchange exchange) throws IOException {
        JsonNode input = JSON.readTree(exchange.getRequestBody()).path("input");
        boolean poll = input.path("requests").isEmpty();
        if (!poll) {
            inputs.add(input);
        }
        if (hanging && !poll) {
            awaitClose();
        }
        String fixed = fixedAnswer;
        byte[] body = (fixed != null ? fixed : decide(input)).getBytes(StandardCharsets.UTF_8);
        exchange.sendResponseHeaders(fixed != null ? fixedStatus : 200, body.length);
        exchange.getResponseBody().write(body);
        exchange.close();
    }

    private void awaitClose() {
        try {
            closing.await();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private String decide(JsonNode input) {
        ObjectNode answer = JSON.createObjectNode();
        ArrayNode result = answer.putArray("result");
        for (JsonNode request : input.path("requests")) {
            ArrayNode asks = result.addArray();
            request.path("asks").forEach(ask -> decide(ask, asks.addArray()));
        }
        answer.putObject("provenance").putObject("bundles").putObject("authz").put("revision", "1");
        return answer.toString();
    }

    private void decide(JsonNode ask, ArrayNode allowed) {
        JsonNode names = ask.path("names");
        int count = names.isMissingNode() ? 1 : names.size();
        questions.addAndGet(count);
        for (int i = 0; i < count; i++) {
            if (policy.test(ask, names.isMissingNode() ? null : names.get(i).textValue())) {
                allowed.add(i);
            }
        }
    }

    @Override
    public void close() {
        closing.countDown();
        server.stop(0);
        threads.shutdownNow();
    }
}
