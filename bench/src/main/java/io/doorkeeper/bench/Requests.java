// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

import java.net.InetAddress;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.network.ClientInformation;
import org.apache.kafka.common.network.ListenerName;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.requests.RequestContext;
import org.apache.kafka.common.requests.RequestHeader;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;
import org.apache.kafka.common.security.auth.KafkaPrincipal;
import org.apache.kafka.common.security.auth.SecurityProtocol;
import org.apache.kafka.server.authorizer.Action;

/**
 * One client's requests as a broker hands them to its authorizer. What a broker makes anew for each
 * request is new here: the context, the actions and, by Kafka's own decoder, the names. One thread.
 */
final class Requests {
    /** The topics that there are names for. */
    static final int TOPICS = 1_000_000;
    static final KafkaPrincipal CLIENT = new KafkaPrincipal(KafkaPrincipal.USER_TYPE, "alice");
    static final String LISTENER = "CLIENT";

    private static final String TEMPLATE = "eu-west-1.payments.orders-settled.000000";
    private static final int DIGITS = 6;
    /** A prime that divides no number of topics, so that no list names a topic twice. */
    private static final int STRIDE = 7919;
    private static final RequestHeader HEADER =
            new RequestHeader(ApiKeys.FETCH, (short) 12, "consumer-1", 1);
    private static final String CONNECTION = "127.0.0.1:9092-127.0.0.1:50000-0";
    private static final ListenerName LISTENER_NAME = new ListenerName(LISTENER);

    private final KafkaPrincipal principal;
    private final List<String> known;
    private final SplittableRandom random;
    private final byte[] name = TEMPLATE.getBytes(StandardCharsets.US_ASCII);
    private final ByteBuffer received = ByteBuffer.wrap(name);

    Requests(KafkaPrincipal principal) {
        this(principal, List.of(), 1);
    }

    /** Names are of {@code known}, the first topics' names, unless that is empty. */
    Requests(KafkaPrincipal principal, List<String> known, long seed) {
        this.principal = principal;
        this.known = known;
        this.random = new SplittableRandom(seed);
    }

    RequestContext context() {
        return context(principal);
    }

    /** Of a request on the connection that {@code principal} came with. */
    static RequestContext context(KafkaPrincipal principal) {
        return new RequestContext(HEADER, CONNECTION, InetAddress.getLoopbackAddress(),
                Optional.empty(), principal, LISTENER_NAME, SecurityProtocol.SSL,
                ClientInformation.EMPTY, false);
    }

    /** Different topics, picked at random among the first ones. */
    List<Action> readSome(int actions, int topics) {
        return read(random.nextInt(topics), actions, STRIDE, topics);
    }

    /** Topics that follow each other. */
    List<Action> read(int first, int actions) {
        return read(first, actions, 1, TOPICS);
    }

    private List<Action> read(int first, int actions, int stride, int topics) {
        List<Action> list = new ArrayList<>(actions);
        int topic = first;
        for (int i = 0; i < actions; i++) {
            ResourcePattern pattern =
                    new ResourcePattern(ResourceType.TOPIC, name(topic), PatternType.LITERAL);
            list.add(new Action(AclOperation.READ, pattern, 1, true, true));
            topic = (topic + stride) % topics;
        }
        return list;
    }

    private String name(int topic) {
        return known.isEmpty() ? topic(topic) : known.get(topic);
    }

    /** Decoded anew. */
    String topic(int topic) {
        int rest = topic;
        for (int i = 1; i <= DIGITS; i++) {
            name[name.length - i] = (byte) ('0' + rest % 10);
            rest /= 10;
        }
        received.rewind();
        return new ByteBufferAccessor(received).readString(name.length);
    }
}
