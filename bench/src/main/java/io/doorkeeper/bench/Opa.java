// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

import java.io.IOException;
import java.net.HttpURLConnection;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URL;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** A real OPA on a free loopback port. */
final class Opa implements AutoCloseable {
    private static final long PATIENCE_NS = TimeUnit.SECONDS.toNanos(60);
    private static final long LOOK_MS = 50;
    private static final long END_S = 10;

    private final Path log;
    private final int port;
    private final Process process;

    /** {@code source}: the arguments that say where its policy is. Returns when OPA decides. */
    Opa(Path binary, Path log, List<String> source) throws IOException, InterruptedException {
        this.log = log;
        port = freePort();
        List<String> command = new ArrayList<>(List.of(binary.toString(), "run", "--server",
                "--addr", "127.0.0.1:" + port, "--log-level", "error", "--skip-version-check"));
        command.addAll(source);
        process = new ProcessBuilder(command)
                .redirectErrorStream(true).redirectOutput(log.toFile()).start();
        // By force, which also ends a stopped process.
        Runtime.getRuntime().addShutdownHook(new Thread(process::destroyForcibly));
        awaitReady();
    }

    /** With one client's grants: to read each of the plan's topics. */
    static Opa forOneClient(Bench.Options options) throws IOException, InterruptedException {
        Path bundle = options.directory().resolve("bundle");
        Bundle.write(bundle, options.policies(), options.plan().topics(),
                topic -> List.of(Requests.CLIENT.getName()));
        return new Opa(options.opa(), options.directory().resolve("opa.log"),
                List.of("--bundle", bundle.toString()));
    }

    int port() {
        return port;
    }

    String url() {
        return "http://127.0.0.1:" + port;
    }

    /** All of its threads together, since its start. */
    double cpuSeconds() {
        return process.info().totalCpuDuration().map(cpu -> cpu.toNanos() * 1e-9).orElseThrow();
    }

    /** It hangs: connections stay open and new ones are accepted, but nothing is answered. */
    void stop() throws IOException, InterruptedException {
        signal("-STOP");
    }

    /** After {@link #stop}. */
    void resume() throws IOException, InterruptedException {
        signal("-CONT");
    }

    private void signal(String name) throws IOException, InterruptedException {
        Process kill = new ProcessBuilder("kill", name, String.valueOf(process.pid()))
                .inheritIO().start();
        if (kill.waitFor() != 0) {
            throw new IOException("OPA could not be sent " + name);
        }
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
