// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

import io.doorkeeper.kafka.EncodedRequests;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.IntConsumer;
import org.apache.kafka.server.authorizer.Action;

/** What a hit costs below Java: JNI and C, with requests that are encoded already. */
final class ProbeBench {
    /** Few enough to stay in the processor's caches, as what was encoded just now does. */
    private static final int REQUESTS = 10;
    private static final int WARM_UP_ROUNDS = 20;
    private static final int ROUND_MS = 50;
    private static final int CALLS_A_LOOK = 100;

    private final ThreadMXBean threads = ManagementFactory.getThreadMXBean();
    private final Requests requests = new Requests(EncodedRequests.certified(Requests.CLIENT));
    private final Map<String, String> settings;
    private final int rounds;

    ProbeBench(Bench.Options options, String opaUrl) {
        settings = Authorizers.doorkeeperSettings(opaUrl, options.library().toString(),
                options.plan().topics());
        rounds = options.plan() == Plan.SHORT ? 15 : 41;
    }

    List<Figure> measure(OpenAuthorizer doorkeeper) {
        try (EncodedRequests single = encoded(doorkeeper, 1);
                EncodedRequests hundred = encoded(doorkeeper, 100)) {
            double[] crossing = new double[rounds];
            double[] one = new double[rounds];
            double[] many = new double[rounds];
            for (int round = -WARM_UP_ROUNDS; round < rounds; round++) {
                double crossed = nanosPerCall(EncodedRequests::cross);
                double probedOne = nanosPerCall(single::probe);
                double probedMany = nanosPerCall(hundred::probe) / 100;
                if (round >= 0) {
                    crossing[round] = crossed;
                    one[round] = probedOne;
                    many[round] = probedMany;
                }
            }
            return List.of(
                    Figure.of("a crossing that does nothing", "ns a call", Spread.of(crossing)),
                    Figure.atMost(100, "1 action a call", "ns an action", Spread.of(one)),
                    Figure.atMost(35, "100 actions a call", "ns an action", Spread.of(many)));
        }
    }

    /** Asked once by the front door, so that they are hits. */
    private EncodedRequests encoded(OpenAuthorizer doorkeeper, int actions) {
        List<List<Action>> lists = new ArrayList<>();
        for (int i = 0; i < REQUESTS; i++) {
            lists.add(requests.read(i * actions, actions));
            doorkeeper.allow(requests.context(), lists.get(i));
        }
        return new EncodedRequests(settings, OpenAuthorizer.CLUSTER_ID, requests.context(), lists);
    }

    private double nanosPerCall(IntConsumer calling) {
        long end = System.nanoTime() + 1_000_000L * ROUND_MS;
        long nanos = threads.getCurrentThreadCpuTime();
        long calls = 0;
        do {
            calling.accept(CALLS_A_LOOK);
            calls += CALLS_A_LOOK;
        } while (System.nanoTime() < end);
        return (double) (threads.getCurrentThreadCpuTime() - nanos) / calls;
    }
}
