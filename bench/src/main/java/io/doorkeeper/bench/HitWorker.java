// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

import com.sun.management.ThreadMXBean;
import io.doorkeeper.kafka.EncodedRequests;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import org.apache.kafka.common.security.auth.KafkaPrincipal;

/**
 * The JVM of one column: answers each line of standard input with one on standard output, until the
 * input ends. {@link Worker} is its other end.
 */
final class HitWorker {
    static final String READY = "ready";
    /** Between two looks at the clock, so that these cost nothing. */
    private static final int ACTIONS_A_LOOK = 1000;
    private static final int ACTIONS_A_FILL = 1000;

    private final ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    private final Column column;
    private final String opaUrl;
    private final String library;
    private final Requests requests;
    private OpenAuthorizer authorizer;
    private int topics;

    private HitWorker(Column column, String opaUrl, String library) {
        this.column = column;
        this.opaUrl = opaUrl;
        this.library = library;
        this.requests = new Requests(principal(column));
    }

    /** Doorkeeper's own builder remembers what belongs to a connection in its principal. */
    private static KafkaPrincipal principal(Column column) {
        return column == Column.DOORKEEPER
                ? EncodedRequests.certified(Requests.CLIENT) : Requests.CLIENT;
    }

    /** Arguments: the column, OPA's URL, Doorkeeper's library. */
    public static void main(String[] arguments) throws IOException {
        HitWorker worker =
                new HitWorker(Column.valueOf(arguments[0]), arguments[1], arguments[2]);
        BufferedReader commands = new BufferedReader(
                new InputStreamReader(System.in, StandardCharsets.US_ASCII));
        for (String line = commands.readLine(); line != null; line = commands.readLine()) {
            System.out.println(worker.answer(line.split(" ")));
        }
        worker.close();
    }

    private String answer(String[] command) throws IOException {
        return switch (command[0]) {
            case "prepare" -> prepare(Integer.parseInt(command[1]));
            case "round" -> round(Integer.parseInt(command[1]), Long.parseLong(command[2]));
            default -> throw new IllegalArgumentException(command[0]);
        };
    }

    /** Makes every question a hit: each has been asked once. */
    private String prepare(int questions) throws IOException {
        close();
        topics = questions;
        authorizer = Authorizers.open(column, questions, opaUrl, library);
        for (int first = 0; first < questions; first += ACTIONS_A_FILL) {
            authorizer.allow(requests.context(), requests.read(first, ACTIONS_A_FILL));
        }
        return READY;
    }

    /** Asks for some milliseconds; says the CPU nanoseconds, bytes allocated and calls. */
    private String round(int actions, long millis) {
        long thread = Thread.currentThread().getId();
        long end = System.nanoTime() + 1_000_000 * millis;
        long bytes = threads.getThreadAllocatedBytes(thread);
        long nanos = threads.getCurrentThreadCpuTime();
        long calls = 0;
        do {
            calls += askSome(actions);
        } while (System.nanoTime() < end);
        nanos = threads.getCurrentThreadCpuTime() - nanos;
        bytes = threads.getThreadAllocatedBytes(thread) - bytes;
        return nanos + " " + bytes + " " + calls;
    }

    private long askSome(int actions) {
        int calls = ACTIONS_A_LOOK / actions;
        for (int i = 0; i < calls; i++) {
            authorizer.allow(requests.context(), requests.readSome(actions, topics));
        }
        return calls;
    }

    private void close() throws IOException {
        if (authorizer != null) {
            authorizer.close();
        }
    }
}
