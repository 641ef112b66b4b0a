// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

import io.doorkeeper.kafka.EncodedRequests;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/**
 * What a question costs that nobody has asked before, by the clock on the wall: the asking thread
 * waits for OPA. Those who are compared take turns, question by question, and so does who is first.
 */
final class MissBench {
    private static final String BATCH_PATH = "/v1/data/kafka/authz/batch?provenance=true";
    private static final String ALLOWED = "\"result\":[[[0]]]";
    private static final int LIST = 1000;

    private final Requests requests = new Requests(EncodedRequests.certified(Requests.CLIENT));
    private final Requests pluginRequests = new Requests(Requests.CLIENT);
    private final Opa opa;
    private final OpenAuthorizer doorkeeper;
    private final int warmUpActions;
    private final int actions;
    private final int warmUpLists;
    private final int lists;
    /** The first topic that was not asked for. */
    private int next;

    /** {@code firstTopic}: from there on nobody has asked {@code doorkeeper} anything. */
    MissBench(Bench.Options options, Opa opa, OpenAuthorizer doorkeeper, int firstTopic) {
        this.opa = opa;
        this.doorkeeper = doorkeeper;
        this.next = firstTopic;
        warmUpActions = options.brief() ? 1000 : 2000;
        actions = options.brief() ? 1000 : 5000;
        warmUpLists = 3;
        lists = options.brief() ? 5 : 15;
    }

    /** Something that takes time and may fail. */
    private interface Step {
        void run() throws IOException;
    }

    List<Figure> measure() throws IOException {
        List<Figure> figures = new ArrayList<>();
        try (BareClient bare = new BareClient(opa.port())) {
            figures.addAll(single(bare));
        }
        try (OpenAuthorizer plugin = Authorizers.plugin(opa.url())) {
            figures.addAll(list(plugin));
        }
        return figures;
    }

    private List<Figure> single(BareClient bare) throws IOException {
        double[] ours = new double[actions];
        double[] theirs = new double[actions];
        for (int i = -warmUpActions; i < actions; i++) {
            int topic = next++;
            String question = question(requests.topic(topic));
            double[] micros = inTurns(i, 1e-3,
                    () -> doorkeeper.allow(requests.context(), requests.read(topic, 1)),
                    () -> askBare(bare, question));
            if (i >= 0) {
                ours[i] = micros[0];
                theirs[i] = micros[1];
            }
        }
        Spread ask = Spread.of(ours);
        Spread floor = Spread.of(theirs);
        return List.of(
                Figure.of("one cold action: Doorkeeper", "us", ask),
                Figure.of("one cold action: bare keep-alive client", "us", floor),
                Figure.atMost(1.5, "one cold action: Doorkeeper / bare client", "x",
                        ask.times(floor)));
    }

    private List<Figure> list(OpenAuthorizer plugin) throws IOException {
        double[] ours = new double[lists];
        double[] theirs = new double[lists];
        double[] httpRequests = new double[lists];
        for (int i = -warmUpLists; i < lists; i++) {
            int first = next;
            next += LIST;
            long before = doorkeeper.metric("opa-requests");
            double[] millis = inTurns(i, 1e-6,
                    () -> doorkeeper.allow(requests.context(), requests.read(first, LIST)),
                    () -> plugin.allow(pluginRequests.context(),
                            pluginRequests.read(first, LIST)));
            if (i >= 0) {
                ours[i] = millis[0];
                theirs[i] = millis[1];
                httpRequests[i] = doorkeeper.metric("opa-requests") - before;
            }
        }
        Spread ask = Spread.of(ours);
        Spread peer = Spread.of(theirs);
        return List.of(
                Figure.of("1,000 cold topics: Doorkeeper", "ms", ask),
                Figure.of("1,000 cold topics: HTTP requests", "requests a call",
                        Spread.of(httpRequests)),
                Figure.of("1,000 cold topics: opa-kafka-plugin", "ms", peer),
                Figure.atLeast(30, "1,000 cold topics: plugin / Doorkeeper", "x",
                        peer.times(ask)));
    }

    /** How long each took, in nanoseconds times {@code unit}. */
    private static double[] inTurns(int turn, double unit, Step one, Step other)
            throws IOException {
        double[] took = new double[2];
        if (turn % 2 == 0) {
            took[0] = nanos(one) * unit;
            took[1] = nanos(other) * unit;
        } else {
            took[1] = nanos(other) * unit;
            took[0] = nanos(one) * unit;
        }
        return took;
    }

    private static double nanos(Step step) throws IOException {
        long start = System.nanoTime();
        step.run();
        return System.nanoTime() - start;
    }

    private static void askBare(BareClient bare, String question) throws IOException {
        String answer = bare.post(BATCH_PATH, question);
        if (!answer.contains(ALLOWED)) {
            throw new IllegalStateException("not allowed: " + answer);
        }
    }

    /** What Doorkeeper sends for one action, by docs/policy-input.md. */
    private static String question(String topic) {
        return "{\"input\":{\"version\":1,\"cluster\":{\"id\":\"" + OpenAuthorizer.CLUSTER_ID
                + "\"},\"requests\":[{\"principal\":{\"type\":\"User\",\"name\":\""
                + Requests.CLIENT.getName() + "\"},\"client\":{\"listener\":\""
                + Requests.LISTENER + "\",\"forwarded\":false},\"asks\":[{\"operation\":\"READ\","
                + "\"type\":\"TOPIC\",\"pattern\":\"LITERAL\",\"names\":[\"" + topic + "\"]}]}]}}";
    }
}
