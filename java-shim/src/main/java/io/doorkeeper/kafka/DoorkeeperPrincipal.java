// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.kafka;

import org.apache.kafka.common.security.auth.KafkaPrincipal;

/**
 * A principal with the facts of the client certificate that it came from. Equal by type and name;
 * the facts never change, and the memo is whatever an authorizer wants to remember with it.
 */
public final class DoorkeeperPrincipal extends KafkaPrincipal {
    private final byte[] subjectRecord;
    private final byte[] certificateRecord;
    private final long notAfterSeconds;
    private final String clientListener;
    private final boolean forwarded;
    private final boolean refused;
    private volatile Object memo;

    DoorkeeperPrincipal(String type, String name, boolean tokenAuthenticated, byte[] subjectRecord,
                        byte[] certificateRecord, long notAfterSeconds, String clientListener,
                        boolean forwarded, boolean refused) {
        super(type, name, tokenAuthenticated);
        this.subjectRecord = subjectRecord;
        this.certificateRecord = certificateRecord;
        this.notAfterSeconds = notAfterSeconds;
        this.clientListener = clientListener;
        this.forwarded = forwarded;
        this.refused = refused;
    }

    /** Null: none. */
    byte[] subjectRecord() {
        return subjectRecord;
    }

    /** Null: none. */
    byte[] certificateRecord() {
        return certificateRecord;
    }

    /** 0: no end. */
    long notAfterSeconds() {
        return notAfterSeconds;
    }

    /** The client's own listener; null if it is not known. */
    String clientListener() {
        return clientListener;
    }

    /** Whether a broker sent the request on for its client. */
    boolean forwarded() {
        return forwarded;
    }

    /** Whether everything is to be denied without asking. */
    boolean refused() {
        return refused;
    }

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
        return getPrincipalType().equals(that.getPrincipalType()) && getName().equals(that.getName());
    }

    @Override
    public int hashCode() {
        return super.hashCode();
    }
}
