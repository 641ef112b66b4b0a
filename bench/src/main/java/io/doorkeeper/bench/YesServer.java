// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/**
 * Allows whatever opa-kafka-plugin asks, faster than OPA does: a million questions, asked one by
 * one, are to become hits in some minutes. Who answered changes nothing of a hit.
 */
final class YesServer implements AutoCloseable {
    private static final int THREADS = 4;
    private static final byte[] YES = "{\"result\":true}".getBytes(StandardCharsets.US_ASCII);

    private final ExecutorService threads = Executors.newFixedThreadPool(THREADS);
    private final HttpServer server;

    YesServer() throws IOException {
        // Otherwise head and body of an answer are 40 ms apart.
        System.setProperty("sun.net.httpserver.nodelay", "true");
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.createContext("/", YesServer::answer);
        server.setExecutor(threads);
        server.start();
    }

    String url() {
        return "http://127.0.0.1:" + server.getAddress().getPort();
    }

    private static void answer(HttpExchange exchange) throws IOException {
        try (exchange) {
            exchange.getRequestBody().readAllBytes();
            exchange.getResponseHeaders().set("Content-Type", "application/json");
            exchange.sendResponseHeaders(200, YES.length);
            exchange.getResponseBody().write(YES);
        }
    }

    @Override
    public void close() {
        server.stop(0);
        threads.shutdown();
    }
}
