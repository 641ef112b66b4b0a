// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

import java.io.IOException;
import java.io.InputStream;
import java.io.Writer;
import java.net.HttpURLConnection;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.concurrent.TimeUnit;

/**
 * A real OPA with the shipped policy, the rule for opa-kafka-plugin, and one client's grants: to
 * read each of the topics.
 */
final class Opa implements AutoCloseable {
    private static final long PATIENCE_NS = TimeUnit.SECONDS.toNanos(60);
    private static final long LOOK_MS = 50;
    private static final long END_S = 10;

    private final Path log;
    private final int port;
    private final Process process;

    /** Returns when OPA decides. */
    Opa(Bench.Options options) throws IOException, InterruptedException {
        Path bundle = options.directory().resolve("bundle");
        write(bundle, options.policies());
        log = options.directory().resolve("opa.log");
        port = freePort();
        process = new ProcessBuilder(options.opa().toString(), "run", "--server",
                "--addr", "127.0.0.1:" + port, "--log-level", "error", "--skip-version-check",
                "--bundle", bundle.toString())
                .redirectErrorStream(true).redirectOutput(log.toFile()).start();
        Runtime.getRuntime().addShutdownHook(new Thread(process::destroy));
        awaitReady();
    }

    int port() {
        return port;
    }

    String url() {
        return "http://127.0.0.1:" + port;
    }

    private static void write(Path bundle, Path policies) throws IOException {
        Files.createDirectories(bundle);
        Files.writeString(bundle.resolve(".manifest"), "{\"revision\":\"bench\"}");
        Files.copy(policies.resolve("kafka/authz/authz.rego"), bundle.resolve("authz.rego"),
                StandardCopyOption.REPLACE_EXISTING);
        try (InputStream rule = Opa.class.getResourceAsStream("/plugin.rego")) {
            Files.copy(rule, bundle.resolve("plugin.rego"), StandardCopyOption.REPLACE_EXISTING);
        }
        try (Writer data = Files.newBufferedWriter(bundle.resolve("data.json"))) {
            writeGrants(data);
        }
    }

    private static void writeGrants(Writer data) throws IOException {
        Requests requests = new Requests(Requests.CLIENT);
        String separator = "{\"kafka\":{\"grants\":{\"topics\":{";
        for (int i = 0; i < Requests.TOPICS; i++) {
            data.write(separator + "\"" + requests.topic(i) + "\":{\"read\":[\""
                    + Requests.CLIENT.getName() + "\"]}");
            separator = ",\n";
        }
        data.write("}}}}");
    }

    private static int freePort() throws IOException {
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return socket.getLocalPort();
        }
    }

    private void awaitReady() throws IOException, InterruptedException {
        long end = System.nanoTime() + PATIENCE_NS;
        while (!isReady()) {
            if (!process.isAlive() || System.nanoTime() > end) {
                close();
                throw new IllegalStateException("OPA is not ready, see " + log);
            }
            Thread.sleep(LOOK_MS);
        }
    }

    private boolean isReady() throws IOException {
        HttpURLConnection health =
                (HttpURLConnection) new URL(url() + "/health?bundles").openConnection();
        try {
            return health.getResponseCode() == 200;
        } catch (IOException e) {
            return false; // it does not listen yet
        } finally {
            health.disconnect();
        }
    }

    @Override
    public void close() throws InterruptedException {
        process.destroy();
        if (!process.waitFor(END_S, TimeUnit.SECONDS)) {
            process.destroyForcibly();
        }
    }
}
