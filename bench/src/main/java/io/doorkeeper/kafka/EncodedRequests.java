// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.kafka;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.security.auth.KafkaPrincipal;
import org.apache.kafka.server.authorizer.Action;
import org.apache.kafka.server.authorizer.AuthorizableRequestContext;

/**
 * Requests of one client that are encoded once and put to the native side again and again: a hit
 * without the Java around it. In this package because the product does not open its inside to
 * anybody else.
 */
public final class EncodedRequests implements AutoCloseable {
    /** The year 3000. */
    private static final long FAR_AWAY_S = 32_503_680_000L;

    private final Core core;
    private final long context;
    private final List<RequestEncoder> requests = new ArrayList<>();
    private final byte[] answers;
    private int next;

    /** {@code settings} are those of an authorizer that is open: its core is used. */
    public EncodedRequests(Map<String, String> settings, String clusterId,
                           AuthorizableRequestContext context, List<List<Action>> requests) {
        this.core = Core.acquire(Settings.forCore(settings));
        ContextEncoder encoder = new ContextEncoder(core.fieldGroups(), clusterId);
        this.context = core.register(encoder.encode(context));
        this.answers = new byte[core.probeMax()];
        for (List<Action> actions : requests) {
            this.requests.add(encoded(actions));
        }
    }

    private static RequestEncoder encoded(List<Action> actions) {
        RequestEncoder request = new RequestEncoder();
        for (Action action : actions) {
            if (!request.add(action, true)) {
                throw new IllegalArgumentException("cannot be asked: " + action);
            }
        }
        return request;
    }

    /**
     * The principal that Doorkeeper's builder makes of a client certificate, without the subject's
     * facts: they are hashed once a connection, and every question to OPA would carry them.
     */
    public static KafkaPrincipal certified(KafkaPrincipal named) {
        return DoorkeeperPrincipal.certified(named, new CertificateFacts(null, null, FAR_AWAY_S),
                null, false);
    }

    /** So many times, puts the next request to the native side. All must be hits and allowed. */
    public void probe(int times) {
        for (int i = 0; i < times; i++) {
            int notAllowed = core.probe(context, requests.get(next), answers);
            if (notAllowed != 0) {
                throw new IllegalStateException("probe returned " + notAllowed);
            }
            next = next + 1 == requests.size() ? 0 : next + 1;
        }
    }

    /** So many times, crosses to the native side and does nothing there. */
    public static void cross(int times) {
        for (int i = 0; i < times; i++) {
            NativeCore.abiVersion();
        }
    }

    @Override
    public void close() {
        core.release();
    }
}
