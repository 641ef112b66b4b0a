// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * What a decision costs: docs/internals/bench.md. The exit status says whether everything ran,
 * never how fast it was.
 */
public final class Bench {
    private static final int FEW = 1_000;
    private static final int MANY = Requests.TOPICS;
    /** {@link ProbeBench} asks for topics below this. */
    private static final int FIRST_COLD_TOPIC = 1_000;

    private final Options options;
    private final Opa opa;

    private Bench(Options options, Opa opa) {
        this.options = options;
        this.opa = opa;
    }

    public static void main(String[] arguments) throws Exception {
        Options options = Options.of(arguments);
        Files.createDirectories(options.directory());
        try (Opa opa = Opa.forOneClient(options)) {
            Report report = new Bench(options, opa).run();
            report.print();
            Path json = options.directory().resolve("bench.json");
            report.write(json);
            System.out.println("\nAlso as JSON in " + json);
        }
    }

    private Report run() throws Exception {
        List<HitBench.Hit> hits = new ArrayList<>();
        try (HitBench bench = new HitBench(options, opa.url())) {
            hits.addAll(bench.measure(FEW));
            if (!options.brief()) {
                hits.addAll(bench.measure(MANY));
            }
        }
        try (OpenAuthorizer doorkeeper =
                Authorizers.doorkeeper(opa.url(), options.library().toString())) {
            List<Figure> probes = new ProbeBench(options, opa.url()).measure(doorkeeper);
            List<Figure> misses =
                    new MissBench(options, opa, doorkeeper, FIRST_COLD_TOPIC).measure();
            return Report.of(options, hits, probes, misses);
        }
    }

    /** {@code brief} is --short: the small rows, fewer rounds. */
    record Options(boolean brief, Path library, Path opa, Path policies, Path directory) {
        static Options of(String[] arguments) {
            boolean brief = false;
            Map<String, Path> paths = new HashMap<>();
            Deque<String> rest = new ArrayDeque<>(List.of(arguments));
            while (!rest.isEmpty()) {
                String flag = rest.remove();
                switch (flag) {
                    case "--short" -> brief = true;
                    case "--library", "--opa", "--policies", "--directory" ->
                            paths.put(flag, Path.of(rest.remove()).toAbsolutePath());
                    default -> throw new IllegalArgumentException("no such flag: " + flag);
                }
            }
            return new Options(brief, paths.get("--library"), paths.get("--opa"),
                    paths.get("--policies"), paths.get("--directory"));
        }
    }
}
