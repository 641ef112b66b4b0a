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
            Path json = options.directory().resolve(options.plan().file());
            report.write(json);
            System.out.println("\nAlso as JSON in " + json);
        }
    }

    private Report run() throws Exception {
        List<HitBench.Hit> hits = new ArrayList<>();
        try (HitBench bench = new HitBench(options, opa.url())) {
            for (int questions : options.plan().questions()) {
                hits.addAll(bench.measure(questions));
            }
        }
        try (OpenAuthorizer doorkeeper = Authorizers.doorkeeper(opa.url(),
                options.library().toString(), options.plan().topics())) {
            List<Figure> probes = new ProbeBench(options, opa.url()).measure(doorkeeper);
            try (MissBench bench = new MissBench(options, opa, doorkeeper, FIRST_COLD_TOPIC)) {
                return Report.of(options, hits, probes, bench.one(), bench.lists());
            }
        }
    }

    /** --short and --matrix choose the plan. */
    record Options(Plan plan, Path library, Path opa, Path policies, Path directory) {
        static Options of(String[] arguments) {
            Plan plan = Plan.USUAL;
            Map<String, Path> paths = new HashMap<>();
            Deque<String> rest = new ArrayDeque<>(List.of(arguments));
            while (!rest.isEmpty()) {
                String flag = rest.remove();
                switch (flag) {
                    case "--short" -> plan = Plan.SHORT;
                    case "--matrix" -> plan = Plan.MATRIX;
                    case "--library", "--opa", "--policies", "--directory" ->
                            paths.put(flag, Path.of(rest.remove()).toAbsolutePath());
                    default -> throw new IllegalArgumentException("no such flag: " + flag);
                }
            }
            return new Options(plan, paths.get("--library"), paths.get("--opa"),
                    paths.get("--policies"), paths.get("--directory"));
        }
    }
}
