// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.kafka;

import java.net.InetAddress;
import java.util.Objects;
import org.apache.kafka.common.security.auth.KafkaPrincipal;
import org.apache.kafka.common.security.auth.SecurityProtocol;
import org.apache.kafka.server.authorizer.AuthorizableRequestContext;

/**
 * A context as one authorizer encoded it, and where its core keeps it. The handle is only a memo:
 * whenever the core does not know it, it is registered again from the record. Any thread.
 */
final class KnownContext {
    private final ContextEncoder encoder;
    private final String listener;
    private final InetAddress address;
    private final SecurityProtocol protocol;
    private final byte[] record;
    private final boolean kept;
    private volatile long handle;

    private KnownContext(ContextEncoder encoder, AuthorizableRequestContext context, boolean kept) {
        this.encoder = encoder;
        this.listener = context.listenerName();
        this.address = context.clientAddress();
        this.protocol = context.securityProtocol();
        this.record = encoder.encode(context);
        this.kept = kept;
    }

    /** The context of a request: the one that its principal remembers, where that can be. */
    static KnownContext of(ContextEncoder encoder, AuthorizableRequestContext context) {
        KafkaPrincipal asking = context.principal();
        if (!(asking instanceof DoorkeeperPrincipal) || encoder.variesByRequest()) {
            return new KnownContext(encoder, context, false);
        }
        DoorkeeperPrincipal principal = (DoorkeeperPrincipal) asking;
        Object memo = principal.memo();
        if (memo instanceof KnownContext && ((KnownContext) memo).isOf(encoder, context)) {
            return (KnownContext) memo;
        }
        KnownContext known = new KnownContext(encoder, context, true);
        principal.memo(known);
        return known;
    }

    /** A principal is its connection's; should one ever be shared, it is seen here. */
    private boolean isOf(ContextEncoder other, AuthorizableRequestContext context) {
        return encoder == other
                && protocol == context.securityProtocol()
                && Objects.equals(listener, context.listenerName())
                && Objects.equals(address, context.clientAddress());
    }

    /** Null: nothing can be asked for this context. */
    byte[] record() {
        return record;
    }

    /** Whether this outlives the request, so that it is worth a place in the core. */
    boolean isKept() {
        return kept;
    }

    /** The core's handle, registering if there is none yet; 0 if the core refuses the context. */
    long handle(Core core) {
        long known = handle;
        return known != 0 ? known : registerAgain(core);
    }

    long registerAgain(Core core) {
        long registered = core.register(record);
        handle = registered;
        return registered;
    }
}
