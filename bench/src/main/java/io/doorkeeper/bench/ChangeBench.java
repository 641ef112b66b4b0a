// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

import io.doorkeeper.kafka.MonitorableDoorkeeperAuthorizer;
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
    static final int THREADS = 8;
    /** Each consumer fetches every 500 ms, Kafka's own fetch.max.wait.ms. */
    static final int CALLS_PER_SECOND = 2 * Consumers.COUNT;

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
                    OpenAuthorizer authorizer = open(options, opa)) {
                ChangeReport report =
                        ChangeReport.of(new ChangeBench(bundles, opa, authorizer).run());
                report.print();
                report.write(options.directory());
            }
        }
    }

    /** The settings are a broker's defaults. */
    private static OpenAuthorizer open(Bench.Options options, Opa opa) {
        return new OpenAuthorizer(new MonitorableDoorkeeperAuthorizer(), Map.of(
                "doorkeeper.library.path", options.library().toString(),
                "doorkeeper.opa.url", opa.url(),
                "num.io.threads", String.valueOf(THREADS)));
    }

    private List<ChangeRun> run() throws IOException, InterruptedException {
        Requests requests = new Requests(Requests.CLIENT);
        for (int turn = 0; turn < Consumers.COUNT; turn++) {
            consumers.fetch(authorizer, requests, turn);
        }
        List<ChangeRun> runs = new ArrayList<>();
        for (int round = 1; round <= ROUNDS; round++) {
            runs.add(change(bundles.pack("revision-" + round)));
        }
        return runs;
    }

    private ChangeRun change(Path next) throws IOException, InterruptedException {
        OpenLoop load = new OpenLoop(consumers, authorizer, THREADS, CALLS_PER_SECOND, LIMIT_S);
        List<Sample> samples;
        try (load) {
            long from = load.startNanos() + TimeUnit.SECONDS.toNanos(WARM_UP_S);
            Sampler sampler = new Sampler(authorizer, opa, from);
            sampler.windows(windows(BEFORE_S));
            bundles.publish(next);
            while (!sampler.sawChange()) {
                if (sampler.count() > windows(BEFORE_S + NOTICE_MAX_S)) {
                    throw new IllegalStateException("no new revision was seen");
                }
                sampler.windows(1);
            }
            sampler.windows(windows(AFTER_S));
            samples = sampler.samples();
        }
        return ChangeRun.of(samples, load, windows(BEFORE_S));
    }

    private static int windows(int seconds) {
        return seconds * 1000 / ChangeRun.WINDOW_MS;
    }
}
