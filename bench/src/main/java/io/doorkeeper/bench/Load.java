// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

import io.doorkeeper.kafka.MonitorableDoorkeeperAuthorizer;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import org.apache.kafka.common.utils.AppInfoParser;

/** What a busy broker has its authorizer do, and the machine on which this was. */
record Load(String java, String kafka, String architecture, int processors, int questions,
            int threads, int callsPerSecond, int actionsPerCall) {
    static final int THREADS = 8;
    /** Each consumer fetches every 500 ms, Kafka's own fetch.max.wait.ms. */
    static final int CALLS_PER_SECOND = 2 * Consumers.COUNT;

    static Load onThisMachine() {
        return new Load(System.getProperty("java.version"), AppInfoParser.getVersion(),
                System.getProperty("os.arch"), Runtime.getRuntime().availableProcessors(),
                Consumers.QUESTIONS, THREADS, CALLS_PER_SECOND, Consumers.ACTIONS);
    }

    /** An authorizer with a broker's defaults, but for the settings {@code other}. */
    static OpenAuthorizer authorizer(Bench.Options options, Opa opa, Map<String, String> other) {
        Map<String, String> settings = new HashMap<>(other);
        settings.put("doorkeeper.library.path", options.library().toString());
        settings.put("doorkeeper.opa.url", opa.url());
        settings.put("num.io.threads", String.valueOf(THREADS));
        return new OpenAuthorizer(new MonitorableDoorkeeperAuthorizer(), settings);
    }

    /** {@code runs}: how many of what there were. */
    void print(String runs) {
        Report.say("JDK %s, Kafka %s, %s, %d processors. Each figure is minimum / median of %s.%n"
                + "%,d questions, %d threads, %,d calls a second with %d actions each.", java,
                kafka, architecture, processors, runs, questions, threads, callsPerSecond,
                actionsPerCall);
    }

    String caption() {
        return String.format(Locale.ROOT,
                "%,d hot questions, %d threads, %,d calls a second with %d actions each; OPA, load"
                        + " and authorizer share %d processors.", questions, threads,
                callsPerSecond, actionsPerCall, processors);
    }
}
