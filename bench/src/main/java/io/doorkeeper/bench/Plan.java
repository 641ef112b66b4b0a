// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.List;

/** How much one run measures, and how often. */
enum Plan {
    /** Whether everything works. */
    SHORT("short", "bench.json", List.of(1_000), List.of(1, 100), List.of(1), 9),
    USUAL("usual", "bench.json", List.of(1_000, 100_000), List.of(1, 100), List.of(1), 21),
    MATRIX("matrix", "jvm.json", List.of(1_000, 100_000, Requests.TOPICS),
            List.of(1, 10, 100, 1000), List.of(1, 2, 8), 11);

    /** Six JVMs and an OPA that all know a million topics, and some to spare. */
    private static final long MEMORY_FOR_ALL = 12L << 30;

    private final String label;
    private final String file;
    private final List<Integer> questions;
    private final List<Integer> actions;
    private final List<Integer> threads;
    private final int rounds;

    Plan(String label, String file, List<Integer> questions, List<Integer> actions,
         List<Integer> threads, int rounds) {
        this.label = label;
        this.file = file;
        this.questions = questions;
        this.actions = actions;
        this.threads = threads;
        this.rounds = rounds;
    }

    String label() {
        return label;
    }

    /** Where its report goes. */
    String file() {
        return file;
    }

    /** Of each cell of the tables. */
    int rounds() {
        return rounds;
    }

    /** How many questions there are in all, from the fewest to the most. */
    List<Integer> questions() {
        if (hasMemoryForAll()) {
            return questions;
        }
        return questions.stream().filter(count -> count < Requests.TOPICS).toList();
    }

    /** What was to be measured but is not. */
    String leftOut() {
        return questions().equals(questions) ? ""
                : "The rows with 1,000,000 questions need 12 GiB of memory and were left out.";
    }

    private static boolean hasMemoryForAll() {
        OperatingSystemMXBean system =
                (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        return system.getTotalMemorySize() >= MEMORY_FOR_ALL;
    }

    /** The topics that OPA knows: more than are asked for in hits, for there are misses too. */
    int topics() {
        return Math.max(100_000, questions().get(questions().size() - 1));
    }

    /** The rows for hits. Names that are shared change nothing between threads, so one shows it. */
    List<Row> rows(int questions) {
        List<Row> rows = new ArrayList<>();
        for (int actions : this.actions) {
            for (int threads : this.threads) {
                rows.add(new Row(questions, actions, threads, false));
            }
            if (this == MATRIX) {
                rows.add(new Row(questions, actions, 1, true));
            }
        }
        return rows;
    }

    /** The rows for lists of which nothing was asked before. */
    List<MissBench.Row> coldRows() {
        if (this != MATRIX) {
            return List.of(new MissBench.Row(1000, 1));
        }
        List<MissBench.Row> rows = new ArrayList<>();
        for (int actions : this.actions) {
            for (int threads : this.threads) {
                rows.add(new MissBench.Row(actions, threads));
            }
        }
        return rows;
    }
}
