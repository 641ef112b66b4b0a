// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * Serves one bundle, from which an OPA learns within a second that there is another revision of it.
 * Nothing but the revision ever differs.
 */
final class BundleServer implements AutoCloseable {
    private static final String RESOURCE = "bundle.tar.gz";

    private final Path opa;
    private final Path source;
    private final HttpServer server;
    private volatile Published published;

    private record Published(String tag, byte[] content) {
    }

    /** {@code source}: a directory as {@link Bundle} writes it; {@code opa} packs it. */
    BundleServer(Path opa, Path source) throws IOException {
        this.opa = opa;
        this.source = source;
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.createContext("/", this::answer);
        server.start();
    }

    /** The arguments with which OPA fetches its bundle from here. */
    List<String> opaArguments() {
        return List.of(
                "--set", "services.bench.url=http://127.0.0.1:" + server.getAddress().getPort(),
                "--set", "bundles.bench.service=bench",
                "--set", "bundles.bench.resource=" + RESOURCE,
                "--set", "bundles.bench.polling.min_delay_seconds=1",
                "--set", "bundles.bench.polling.max_delay_seconds=1");
    }

    /** Packs the bundle for {@link #publish}. */
    Path pack(String revision) throws IOException, InterruptedException {
        Path packed = source.resolveSibling(revision + ".tar.gz");
        Process build = new ProcessBuilder(opa.toString(), "build", "--bundle", source.toString(),
                "--revision", revision, "--output", packed.toString()).inheritIO().start();
        if (build.waitFor() != 0) {
            throw new IOException("opa build failed");
        }
        return packed;
    }

    void publish(Path packed) throws IOException {
        published = new Published("\"" + packed.getFileName() + "\"", Files.readAllBytes(packed));
    }

    private void answer(HttpExchange exchange) throws IOException {
        try (exchange) {
            Published now = published;
            exchange.getResponseHeaders().set("ETag", now.tag());
            if (now.tag().equals(exchange.getRequestHeaders().getFirst("If-None-Match"))) {
                exchange.sendResponseHeaders(304, -1);
            } else {
                exchange.getResponseHeaders().set("Content-Type", "application/gzip");
                exchange.sendResponseHeaders(200, now.content().length);
                exchange.getResponseBody().write(now.content());
            }
        }
    }

    @Override
    public void close() {
        server.stop(0);
    }
}
