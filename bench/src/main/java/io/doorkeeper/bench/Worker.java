// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/** One column's JVM, with the flags and the class path of this one: see {@link HitWorker}. */
final class Worker implements AutoCloseable {
    /** The plugin asks OPA for a million questions one by one. */
    private static final long PATIENCE_S = 1800;
    private static final long END_S = 10;

    private final Path log;
    private final Process process;
    private final BufferedReader answers;

    Worker(Column column, String opaUrl, Path library, Path directory) throws IOException {
        String name = column.name().toLowerCase(Locale.ROOT);
        log = directory.resolve(name + ".log");
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.addAll(ManagementFactory.getRuntimeMXBean().getInputArguments());
        command.addAll(List.of("-cp", System.getProperty("java.class.path"),
                HitWorker.class.getName(), column.name(), opaUrl, library.toString(),
                directory.resolve(name + ".jsonl").toString()));
        process = new ProcessBuilder(command).redirectError(log.toFile()).start();
        answers = process.inputReader(StandardCharsets.US_ASCII);
    }

    /** Returns when all of them are hits. */
    void prepare(int questions) throws IOException {
        send("prepare " + questions);
        String answer = receive();
        if (!HitWorker.READY.equals(answer)) {
            throw new IllegalStateException(log + ": not prepared, but " + answer);
        }
    }

    Round round(Row row, long millis) throws IOException {
        send("round " + row.actions() + " " + row.threads() + " " + row.sharedNames() + " "
                + millis);
        String[] numbers = receive().split(" ");
        double calls = Double.parseDouble(numbers[2]);
        double actions = calls * row.actions();
        return new Round(Double.parseDouble(numbers[0]) / actions,
                Double.parseDouble(numbers[3]) / actions, Double.parseDouble(numbers[1]) / calls);
    }

    /**
     * What one round was on average. {@code cpuNanos}: of an action; {@code clockNanos}: from one
     * action's end to the next one's, whichever thread it was.
     */
    record Round(double cpuNanos, double clockNanos, double bytesPerCall) {
    }

    private void send(String line) throws IOException {
        process.getOutputStream().write((line + "\n").getBytes(StandardCharsets.US_ASCII));
        process.getOutputStream().flush();
    }

    private String receive() {
        String line = CompletableFuture.supplyAsync(this::readLine)
                .orTimeout(PATIENCE_S, TimeUnit.SECONDS).join();
        if (line == null) {
            throw new IllegalStateException("a JVM ended early, see " + log);
        }
        return line;
    }

    private String readLine() {
        try {
            return answers.readLine();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** The JVM ends with its input, and in any case. */
    @Override
    public void close() throws IOException, InterruptedException {
        process.getOutputStream().close();
        if (!process.waitFor(END_S, TimeUnit.SECONDS)) {
            process.destroyForcibly();
        }
    }
}
