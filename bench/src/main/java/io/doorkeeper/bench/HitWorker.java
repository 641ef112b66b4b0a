// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

import io.doorkeeper.kafka.EncodedRequests;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import org.apache.kafka.common.security.auth.KafkaPrincipal;

/**
 * The JVM of one column: answers each line of standard input with one on standard output, until the
 * input ends. {@link Worker} is its other end.
 */
final class HitWorker {
    static final String READY = "ready";

    private static final int THREADS = 8;
    /** Each waits for OPA, which a plugin keeps busier than Doorkeeper does. */
    private static final int FILLING_THREADS = 4;
    private static final int ACTIONS_A_FILL = 1000;

    private final ExecutorService threads = Executors.newFixedThreadPool(THREADS);
    private final Column column;
    private final String opaUrl;
    private final String library;
    private final String log;
    private OpenAuthorizer authorizer;
    private int topics;
    private List<Asker> decoding;
    /** Null until a row wants them. */
    private List<Asker> sharing;

    private HitWorker(Column column, String opaUrl, String library, String log) {
        this.column = column;
        this.opaUrl = opaUrl;
        this.library = library;
        this.log = log;
    }

    /** Arguments: the column, OPA's URL, Doorkeeper's library, where decisions are recorded. */
    public static void main(String[] arguments) throws Exception {
        HitWorker worker = new HitWorker(Column.valueOf(arguments[0]), arguments[1], arguments[2],
                arguments[3]);
        BufferedReader commands = new BufferedReader(
                new InputStreamReader(System.in, StandardCharsets.US_ASCII));
        try {
            for (String line = commands.readLine(); line != null; line = commands.readLine()) {
                System.out.println(worker.answer(line.split(" ")));
            }
        } finally {
            worker.threads.shutdown();
        }
        worker.close();
    }

    private String answer(String[] command) throws Exception {
        return switch (command[0]) {
            case "prepare" -> prepare(Integer.parseInt(command[1]));
            case "round" -> round(Integer.parseInt(command[1]), Integer.parseInt(command[2]),
                    Boolean.parseBoolean(command[3]), Long.parseLong(command[4]));
            default -> throw new IllegalArgumentException(command[0]);
        };
    }

    private String prepare(int questions) throws Exception {
        close();
        topics = questions;
        authorizer = Authorizers.open(column, questions, opaUrl, library, log);
        decoding = askers(List.of());
        sharing = null;
        List<Callable<Void>> fills = new ArrayList<>();
        for (int i = 0; i < FILLING_THREADS; i++) {
            int place = i;
            fills.add(() -> fill(place));
        }
        resultsOf(fills);
        return READY;
    }

    /** The part of one of the threads. */
    private Void fill(int place) {
        int step = FILLING_THREADS * ACTIONS_A_FILL;
        for (int first = place * ACTIONS_A_FILL; first < topics; first += step) {
            decoding.get(place).fill(first, ACTIONS_A_FILL);
        }
        return null;
    }

    private List<Asker> askers(List<String> known) {
        return IntStream.range(0, THREADS).mapToObj(seed -> asker(known, seed)).toList();
    }

    /** Doorkeeper's own builder remembers what belongs to a connection in its principal. */
    private Asker asker(List<String> known, int seed) {
        KafkaPrincipal principal = column.isDoorkeeper()
                ? EncodedRequests.certified(Requests.CLIENT) : Requests.CLIENT;
        return new Asker(authorizer, new Requests(principal, known, seed));
    }

    private List<Asker> sharing() {
        if (sharing == null) {
            Requests decoder = new Requests(Requests.CLIENT);
            sharing = askers(IntStream.range(0, topics).mapToObj(decoder::topic).toList());
        }
        return sharing;
    }

    /** Asks for some milliseconds; says CPU nanoseconds, bytes, calls, and nanoseconds by the
     *  clock. */
    private String round(int actions, int count, boolean sharedNames, long millis)
            throws Exception {
        List<Asker> askers = (sharedNames ? sharing() : decoding).subList(0, count);
        long start = System.nanoTime();
        long end = start + 1_000_000 * millis;
        List<Callable<Asker.Took>> rounds = new ArrayList<>();
        for (Asker asker : askers) {
            rounds.add(() -> asker.ask(actions, topics, end));
        }
        Asker.Took all = resultsOf(rounds).stream().reduce(Asker.Took::plus).orElseThrow();
        long elapsed = System.nanoTime() - start;
        return all.cpuNanos() + " " + all.bytes() + " " + all.calls() + " " + elapsed;
    }

    private <T> List<T> resultsOf(List<Callable<T>> tasks)
            throws InterruptedException, ExecutionException {
        List<T> results = new ArrayList<>();
        for (Future<T> future : threads.invokeAll(tasks)) {
            results.add(future.get());
        }
        return results;
    }

    private void close() throws IOException {
        if (authorizer != null) {
            authorizer.close();
        }
    }
}
