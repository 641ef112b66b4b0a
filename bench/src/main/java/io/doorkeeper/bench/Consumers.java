// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

import io.doorkeeper.kafka.EncodedRequests;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.kafka.common.security.auth.KafkaPrincipal;

/**
 * The consumers of a broker: 50 principals with 100 connections each. Each connection fetches ten
 * topics of its own among the 1,000 that its principal may read, so that there are 50,000 different
 * questions. A topic has ten readers. Principals may read further topics, which none of these
 * connections asks for: new questions.
 */
final class Consumers {
    static final int ACTIONS = 10;
    static final int TOPICS = 5_000;

    private static final int PRINCIPALS = 50;
    private static final int TOPICS_EACH = 1_000;
    private static final int GROUPS = TOPICS / TOPICS_EACH;
    private static final int CONNECTIONS_EACH = TOPICS_EACH / ACTIONS;
    static final int COUNT = PRINCIPALS * CONNECTIONS_EACH;
    static final int QUESTIONS = COUNT * ACTIONS;

    /** One for each connection, as a broker has them. */
    private final KafkaPrincipal[] connections = new KafkaPrincipal[COUNT];
    /** In which they follow each other. */
    private final List<Integer> order;

    Consumers() {
        for (int i = 0; i < COUNT; i++) {
            String name = nameOf(i / CONNECTIONS_EACH);
            connections[i] = EncodedRequests.certified(
                    new KafkaPrincipal(KafkaPrincipal.USER_TYPE, name));
        }
        order = IntStream.range(0, COUNT).boxed().collect(Collectors.toList());
        Collections.shuffle(order, new Random(1));
    }

    /** How many topics there are with those of so many new fetches. */
    static int topicsWithNew(int fetches) {
        int each = (fetches + PRINCIPALS - 1) / PRINCIPALS;
        int blocks = (each + CONNECTIONS_EACH - 1) / CONNECTIONS_EACH;
        return TOPICS * (1 + blocks);
    }

    /** Who may read this topic. */
    static List<String> readersOf(int topic) {
        int group = topic / TOPICS_EACH % GROUPS;
        return IntStream.range(0, PRINCIPALS).filter(one -> one % GROUPS == group)
                .mapToObj(Consumers::nameOf).collect(Collectors.toList());
    }

    private static String nameOf(int principal) {
        return String.format("CN=consumer-%02d,O=Example", principal);
    }

    /** Each of them fetches once. */
    void fetchAll(OpenAuthorizer authorizer) {
        Requests requests = new Requests(Requests.CLIENT);
        for (int turn = 0; turn < COUNT; turn++) {
            fetch(authorizer, requests, turn);
        }
    }

    /** The fetch that comes at this place of their order. Fails unless all of it is allowed. */
    void fetch(OpenAuthorizer authorizer, Requests requests, int turn) {
        int connection = order.get(turn % COUNT);
        fetch(authorizer, requests, connection, 0);
    }

    /** Ten topics that no fetch with another number asks for. */
    void fetchNew(OpenAuthorizer authorizer, Requests requests, int number) {
        int principal = number % PRINCIPALS;
        int nth = number / PRINCIPALS;
        int connection = principal * CONNECTIONS_EACH + nth % CONNECTIONS_EACH;
        fetch(authorizer, requests, connection, 1 + nth / CONNECTIONS_EACH);
    }

    /** {@code block}: which 5,000 topics; the first are the known ones. */
    private void fetch(OpenAuthorizer authorizer, Requests requests, int connection, int block) {
        int group = connection / CONNECTIONS_EACH % GROUPS;
        int first = block * TOPICS + group * TOPICS_EACH + connection % CONNECTIONS_EACH * ACTIONS;
        authorizer.allow(Requests.context(connections[connection]), requests.read(first, ACTIONS));
    }
}
