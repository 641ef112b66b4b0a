// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.kafka;

import java.util.Objects;
import java.util.Optional;
import org.apache.kafka.common.security.auth.KafkaPrincipal;

/**
 * A principal with the facts of the client certificate that it was named by. To Kafka it is the
 * {@link KafkaPrincipal} of that name: equality, hash code and text are by type and name alone.
 * Whatever depends on the certificate must therefore never be looked up by {@code equals}: two
 * certificates may share a name.
 *
 * <p>The facts are its own, so that they outlive the connection and every core. They are records
 * that nobody changes; they are handed out without a copy. Any thread.
 */
public final class DoorkeeperPrincipal extends KafkaPrincipal {
    private final CertificateFacts facts;
    private final String refusal;
    private final String clientListener;
    private final boolean forwarded;
    private volatile Object memo;

    private DoorkeeperPrincipal(KafkaPrincipal named, CertificateFacts facts, String refusal,
                                String clientListener, boolean forwarded) {
        super(named.getPrincipalType(), named.getName(), named.tokenAuthenticated());
        this.facts = facts;
        this.refusal = refusal;
        this.clientListener = clientListener;
        this.forwarded = forwarded;
    }

    /** {@code clientListener} is where the client connected, null if that is not known. */
    static DoorkeeperPrincipal certified(KafkaPrincipal named, CertificateFacts facts,
                                         String clientListener, boolean forwarded) {
        return new DoorkeeperPrincipal(named, Objects.requireNonNull(facts), null, clientListener,
                forwarded);
    }

    /** A principal that is denied everything, for the reason given. */
    static DoorkeeperPrincipal refused(KafkaPrincipal named, String reason, String clientListener,
                                       boolean forwarded) {
        return new DoorkeeperPrincipal(named, null, Objects.requireNonNull(reason), clientListener,
                forwarded);
    }

    /** Whether another broker forwarded this principal's request; any principal. */
    static boolean isForwarded(KafkaPrincipal principal) {
        return principal instanceof DoorkeeperPrincipal
                ? ((DoorkeeperPrincipal) principal).forwarded()
                : ForwardedPrincipals.find(principal) != null;
    }

    /** The listener that a principal's client connected to; null if it is not known. */
    static String clientListenerOf(KafkaPrincipal principal) {
        if (principal instanceof DoorkeeperPrincipal) {
            return ((DoorkeeperPrincipal) principal).clientListener();
        }
        Optional<String> forwarded = ForwardedPrincipals.find(principal);
        return forwarded == null ? null : forwarded.orElse(null);
    }

    /** Null: there are none. */
    CertificateFacts facts() {
        return facts;
    }

    /** The bytes of a question's field, see identity.h; null: there are none. */
    byte[] subjectRecord() {
        return facts == null ? null : facts.subject();
    }

    /** The bytes of a question's field, see identity.h; null: there are none. */
    byte[] certificateRecord() {
        return facts == null ? null : facts.certificate();
    }

    /** The certificate's end in seconds since 1970; 0: no end. */
    long notAfterSeconds() {
        return facts == null ? 0 : facts.notAfterSeconds();
    }

    /** The listener that the client itself connected to; null if that is not known. */
    String clientListener() {
        return clientListener;
    }

    /** Whether another broker forwarded the request and vouches for all that stands here. */
    boolean forwarded() {
        return forwarded;
    }

    /** Whether everything is to be denied without asking. */
    boolean refused() {
        return refusal != null;
    }

    /** Why everything is denied, for the log; null: it is not. */
    String refusal() {
        return refusal;
    }

    /** What an authorizer last put here; nothing may depend on finding it. */
    Object memo() {
        return memo;
    }

    void memo(Object value) {
        memo = value;
    }

    @Override
    public boolean equals(Object other) {
        if (this == other) {
            return true;
        }
        if (!(other instanceof KafkaPrincipal)) {
            return false;
        }
        KafkaPrincipal that = (KafkaPrincipal) other;
        return getPrincipalType().equals(that.getPrincipalType())
                && getName().equals(that.getName());
    }

    @Override
    public int hashCode() {
        return super.hashCode();
    }
}
