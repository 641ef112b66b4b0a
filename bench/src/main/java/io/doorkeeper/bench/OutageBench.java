// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * What clients feel while OPA hangs: docs/internals/bench.md. What running clients ask is known,
 * but its TTL ends during the outage; a few ask what nobody asked before.
 */
public final class OutageBench {
    /** Short, so that all that was known when OPA stopped is past it soon. */
    static final int TTL_MS = 2000;
    /** One call in so many is new. */
    static final int NEW_ONE_IN = 50;
    static final int OUTAGE_S = 10;

    private static final int ROUNDS = 3;
    /** Twice the TTL, so that the round before is not seen any more. */
    private static final int WARM_UP_S = 4;
    private static final int BEFORE_S = 2;
    private static final int AFTER_S = 5;
    private static final int LIMIT_S = WARM_UP_S + BEFORE_S + OUTAGE_S + AFTER_S + 1;
    private static final int NEW_CALLS = Load.CALLS_PER_SECOND * LIMIT_S / NEW_ONE_IN;

    private final Consumers consumers = new Consumers();
    private final Opa opa;
    private final OpenAuthorizer authorizer;

    private OutageBench(Opa opa, OpenAuthorizer authorizer) {
        this.opa = opa;
        this.authorizer = authorizer;
    }

    public static void main(String[] arguments) throws Exception {
        Bench.Options options = Bench.Options.of(arguments);
        Path bundle = options.directory().resolve("outage-bundle");
        Bundle.write(bundle, options.policies(), Consumers.topicsWithNew(ROUNDS * NEW_CALLS),
                Consumers::readersOf);
        Path log = options.directory().resolve("outage-opa.log");
        Map<String, String> settings =
                Map.of("doorkeeper.cache.ttl.allow.ms", String.valueOf(TTL_MS));
        try (Opa opa = new Opa(options.opa(), log, List.of("--bundle", bundle.toString()));
                OpenAuthorizer authorizer = Load.authorizer(options, opa, settings)) {
            OutageReport report = OutageReport.of(new OutageBench(opa, authorizer).run());
            report.print();
            report.write(options.directory());
        }
    }

    private List<OutageRun> run() throws IOException, InterruptedException {
        consumers.fetchAll(authorizer);
        List<OutageRun> runs = new ArrayList<>();
        for (int round = 0; round < ROUNDS; round++) {
            runs.add(outage(round * NEW_CALLS));
        }
        return runs;
    }

    /** {@code firstNew}: how many new fetches there were before. */
    private OutageRun outage(int firstNew) throws IOException, InterruptedException {
        OpenLoop load = new OpenLoop((requests, number) -> fetch(requests, number, firstNew),
                Load.THREADS, Load.CALLS_PER_SECOND, LIMIT_S);
        List<Sample> samples;
        try (load) {
            long from = load.startNanos() + TimeUnit.SECONDS.toNanos(WARM_UP_S);
            Sampler sampler = new Sampler(authorizer, opa, from);
            sampler.windows(Window.count(BEFORE_S));
            opa.stop();
            sampler.windows(Window.count(OUTAGE_S));
            opa.resume();
            sampler.windows(Window.count(AFTER_S));
            samples = sampler.samples();
        }
        return OutageRun.of(samples, load, Window.count(BEFORE_S),
                Window.count(BEFORE_S + OUTAGE_S));
    }

    private void fetch(Requests requests, int number, int firstNew) {
        int newBefore = (number + NEW_ONE_IN - 1) / NEW_ONE_IN;
        if (isNew(number)) {
            consumers.fetchNew(authorizer, requests, firstNew + newBefore);
        } else {
            consumers.fetch(authorizer, requests, number - newBefore);
        }
    }

    static boolean isNew(int number) {
        return number % NEW_ONE_IN == 0;
    }
}
