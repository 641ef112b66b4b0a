// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.kafka;

import java.lang.ref.Reference;
import java.lang.ref.ReferenceQueue;
import java.lang.ref.WeakReference;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.kafka.common.security.auth.KafkaPrincipal;

/**
 * Which plain principals came with a forwarded request, and the listener where their clients
 * connected. A controller compares the owners of delegation tokens by class, so what comes without
 * a certificate must stay a plain {@link KafkaPrincipal}, which has no room for this. Without it
 * such a client would seem to have connected to the controller's own listener.
 *
 * <p>By object, never by name: one name may come by two listeners at once. An entry goes when its
 * request's principal does. Any thread.
 */
final class ForwardedPrincipals {
    private static final Map<ByIdentity, Optional<String>> LISTENERS = new ConcurrentHashMap<>();
    private static final ReferenceQueue<KafkaPrincipal> GONE = new ReferenceQueue<>();

    private ForwardedPrincipals() {
    }

    /** {@code clientListener}: null if it is not known. */
    static void add(KafkaPrincipal principal, String clientListener) {
        for (Reference<?> gone = GONE.poll(); gone != null; gone = GONE.poll()) {
            LISTENERS.remove(gone);
        }
        LISTENERS.put(new ByIdentity(principal, GONE), Optional.ofNullable(clientListener));
    }

    /** Null: it was not forwarded. Empty: it was, and the listener is not known. */
    static Optional<String> find(KafkaPrincipal principal) {
        return LISTENERS.isEmpty() ? null : LISTENERS.get(new ByIdentity(principal, null));
    }

    /** How many are remembered. */
    static int size() {
        return LISTENERS.size();
    }

    private static final class ByIdentity extends WeakReference<KafkaPrincipal> {
        private final int hash;

        ByIdentity(KafkaPrincipal principal, ReferenceQueue<KafkaPrincipal> queue) {
            super(principal, queue);
            hash = System.identityHashCode(principal);
        }

        @Override
        public boolean equals(Object other) {
            if (this == other) {
                return true;
            }
            KafkaPrincipal principal = get();
            return principal != null && other instanceof ByIdentity
                    && ((ByIdentity) other).get() == principal;
        }

        @Override
        public int hashCode() {
            return hash;
        }
    }
}
