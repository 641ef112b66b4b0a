// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

import io.doorkeeper.kafka.EncodedRequests;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.apache.kafka.common.security.auth.KafkaPrincipal;

/**
 * What a question costs that nobody has asked before, by the clock on the wall: the asking thread
 * waits for OPA. Those who are compared take turns, question by question, in changing order.
 */
final class MissBench implements AutoCloseable {
    private static final String BATCH_PATH = "/v1/data/kafka/authz/batch?provenance=true";
    private static final String ALLOWED = "\"result\":[[[0]]]";
    private static final int WARM_UP_LISTS = 3;
    /** Of the plugin's requests for one row: what takes time. */
    private static final int ACTIONS_A_ROW = 20_000;

    private final Turns turns = new Turns();
    private final Requests requests = new Requests(ours());
    private final Opa opa;
    private final Plan plan;
    private final OpenAuthorizer doorkeeper;
    private final OpenAuthorizer plugin;
    /** The first topic that was not asked for. */
    private int next;

    /** {@code firstTopic}: from there on nobody has asked {@code doorkeeper} anything. */
    MissBench(Bench.Options options, Opa opa, OpenAuthorizer doorkeeper, int firstTopic) {
        this.opa = opa;
        this.plan = options.plan();
        this.doorkeeper = doorkeeper;
        this.plugin = Authorizers.plugin(opa.url(), plan.topics());
        this.next = firstTopic;
    }

    private static KafkaPrincipal ours() {
        return EncodedRequests.certified(Requests.CLIENT);
    }

    /** One action, asked by one thread. */
    List<Latency> one() throws IOException {
        int warmUp = plan == Plan.SHORT ? 1000 : 2000;
        int count = plan == Plan.SHORT ? 1000 : 5000;
        double[][] micros = new double[4][count];
        Requests pluginRequests = new Requests(Requests.CLIENT);
        ExecutorService ioThread = Executors.newSingleThreadExecutor();
        try (BareClient bare = new BareClient(opa.port());
                BareClient behindThread = new BareClient(opa.port())) {
            for (int i = -warmUp; i < count; i++) {
                int topic = next++;
                String question = question(requests.topic(topic));
                double[] took = turns.nanos(
                        () -> doorkeeper.allow(requests.context(), requests.read(topic, 1)),
                        () -> askBare(bare, question),
                        () -> askBehindThread(ioThread, behindThread, question),
                        () -> plugin.allow(pluginRequests.context(),
                                pluginRequests.read(topic, 1)));
                for (int who = 0; i >= 0 && who < took.length; who++) {
                    micros[who][i] = took[who] * 1e-3;
                }
            }
        } finally {
            ioThread.shutdown();
        }
        return List.of(Latency.of("Doorkeeper", micros[0]),
                Latency.of("bare keep-alive client", micros[1]),
                Latency.of("the same by another thread", micros[2]),
                Latency.of(Column.PLUGIN.label(), micros[3]));
    }

    /** How lists are asked for. */
    record Row(int actions, int threads) {
    }

    /** Until all threads have the answer to a list of their own each. */
    record Miss(Row row, Spread doorkeeperMs, Spread pluginMs, Spread pluginTimesDoorkeeper,
                double httpRequests) {
    }

    List<Miss> lists() throws IOException, InterruptedException {
        List<Miss> misses = new ArrayList<>();
        for (Row row : plan.coldRows()) {
            Report.note("%,d cold topics, %d threads", row.actions(), row.threads());
            misses.add(list(row));
        }
        return misses;
    }

    private Miss list(Row row) throws IOException, InterruptedException {
        int count = lists(row);
        double[] ours = new double[count];
        double[] theirs = new double[count];
        double[] httpRequests = new double[count];
        try (ColdLists asked = new ColdLists(doorkeeper, row, MissBench::ours);
                ColdLists peer = new ColdLists(plugin, row, () -> Requests.CLIENT)) {
            for (int i = -WARM_UP_LISTS; i < count; i++) {
                int first = next;
                next += row.actions() * row.threads();
                long before = doorkeeper.metric("opa-requests");
                double[] took = turns.nanos(() -> asked.ask(first), () -> peer.ask(first));
                if (i >= 0) {
                    ours[i] = took[0] * 1e-6;
                    theirs[i] = took[1] * 1e-6;
                    httpRequests[i] = doorkeeper.metric("opa-requests") - before;
                }
            }
        }
        Spread ask = Spread.of(ours);
        Spread other = Spread.of(theirs);
        return new Miss(row, ask, other, other.times(ask), Spread.of(httpRequests).median());
    }

    private int lists(Row row) {
        int most = plan == Plan.SHORT ? 5 : 200;
        return Math.min(most, Math.max(5, ACTIONS_A_ROW / row.actions() / row.threads()));
    }

    private static void askBare(BareClient bare, String question) throws IOException {
        String answer = bare.post(BATCH_PATH, question);
        if (!answer.contains(ALLOWED)) {
            throw new IllegalStateException("not allowed: " + answer);
        }
    }

    /** What waiting for another thread costs, whatever that thread asks with. */
    private static void askBehindThread(ExecutorService thread, BareClient bare, String question)
            throws IOException {
        try {
            thread.submit(() -> {
                askBare(bare, question);
                return null;
            }).get();
        } catch (ExecutionException | InterruptedException e) {
            throw new IOException(e);
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

    @Override
    public void close() throws IOException {
        plugin.close();
    }
}
