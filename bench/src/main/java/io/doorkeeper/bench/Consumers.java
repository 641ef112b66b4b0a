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
 * questions. A topic has ten readers.
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

    /** Who may read this topic. */
    static List<String> readersOf(int topic) {
        return IntStream.range(0, PRINCIPALS).filter(one -> one % GROUPS == topic / TOPICS_EACH)
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
        int group = connection / CONNECTIONS_EACH % GROUPS;
        int first = group * TOPICS_EACH + connection % CONNECTIONS_EACH * ACTIONS;
        authorizer.allow(Requests.context(connections[connection]), requests.read(first, ACTIONS));
    }
}
