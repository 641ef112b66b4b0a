// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * What clients feel of a changed policy: docs/internals/bench.md. A busy broker's cache knows
 * everything that is asked; then there is a new revision, and it knows nothing.
 */
public final class ChangeBench {
    private static final int ROUNDS = 3;
    private static final int WARM_UP_S = 4;
    private static final int BEFORE_S = 3;
    private static final int AFTER_S = 6;
    /** OPA and Doorkeeper look once a second each; an OPA with too little time may take longer. */
    private static final int NOTICE_MAX_S = 10;
    private static final int LIMIT_S = WARM_UP_S + BEFORE_S + NOTICE_MAX_S + AFTER_S + 1;

    private final Consumers consumers = new Consumers();
    private final BundleServer bundles;
    private final Opa opa;
    private final OpenAuthorizer authorizer;

    private ChangeBench(BundleServer bundles, Opa opa, OpenAuthorizer authorizer) {
        this.bundles = bundles;
        this.opa = opa;
        this.authorizer = authorizer;
    }

    public static void main(String[] arguments) throws Exception {
        Bench.Options options = Bench.Options.of(arguments);
        Path source = options.directory().resolve("change-bundle");
        Bundle.write(source, options.policies(), Consumers.TOPICS, Consumers::readersOf);
        try (BundleServer bundles = new BundleServer(options.opa(), source)) {
            bundles.publish(bundles.pack("revision-0"));
            Path log = options.directory().resolve("change-opa.log");
            try (Opa opa = new Opa(options.opa(), log, bundles.opaArguments());
                    OpenAuthorizer authorizer = Load.authorizer(options, opa, Map.of())) {
                ChangeReport report =
                        ChangeReport.of(new ChangeBench(bundles, opa, authorizer).run());
                report.print();
                report.write(options.directory());
            }
        }
    }

    private List<ChangeRun> run() throws IOException, InterruptedException {
        consumers.fetchAll(authorizer);
        List<ChangeRun> runs = new ArrayList<>();
        for (int round = 1; round <= ROUNDS; round++) {
            runs.add(change(bundles.pack("revision-" + round)));
        }
        return runs;
    }

    private ChangeRun change(Path next) throws IOException, InterruptedException {
        OpenLoop load = new OpenLoop(
                (requests, number) -> consumers.fetch(authorizer, requests, number), Load.THREADS,
                Load.CALLS_PER_SECOND, LIMIT_S);
        List<Sample> samples;
        try (load) {
            long from = load.startNanos() + TimeUnit.SECONDS.toNanos(WARM_UP_S);
            Sampler sampler = new Sampler(authorizer, opa, from);
            sampler.windows(Window.count(BEFORE_S));
            bundles.publish(next);
            while (!sampler.sawChange()) {
                if (sampler.count() > Window.count(BEFORE_S + NOTICE_MAX_S)) {
                    throw new IllegalStateException("no new revision was seen");
                }
                sampler.windows(1);
            }
            sampler.windows(Window.count(AFTER_S));
            samples = sampler.samples();
        }
        return ChangeRun.of(samples, load, Window.count(BEFORE_S));
    }
}
