// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.kafka;

/** What the core read from a certificate: the records of identity.h, which nobody changes. */
final class CertificateFacts {
    private final byte[] subject;
    private final byte[] certificate;
    private final long notAfterSeconds;

    CertificateFacts(byte[] subject, byte[] certificate, long notAfterSeconds) {
        this.subject = subject;
        this.certificate = certificate;
        this.notAfterSeconds = notAfterSeconds;
    }

    byte[] subject() {
        return subject;
    }

    byte[] certificate() {
        return certificate;
    }

    /** Seconds since 1970, always greater than 0. */
    long notAfterSeconds() {
        return notAfterSeconds;
    }
}
