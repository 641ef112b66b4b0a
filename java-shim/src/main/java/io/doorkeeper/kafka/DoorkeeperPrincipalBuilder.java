// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.kafka;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.security.cert.Certificate;
import java.security.cert.CertificateEncodingException;
import java.util.Collections;
import java.util.Map;
import javax.net.ssl.SSLPeerUnverifiedException;
import javax.net.ssl.SSLSession;
import org.apache.kafka.common.Configurable;
import org.apache.kafka.common.errors.SerializationException;
import org.apache.kafka.common.security.auth.AuthenticationContext;
import org.apache.kafka.common.security.auth.KafkaPrincipal;
import org.apache.kafka.common.security.auth.KafkaPrincipalBuilder;
import org.apache.kafka.common.security.auth.KafkaPrincipalSerde;
import org.apache.kafka.common.security.auth.SslAuthenticationContext;

/**
 * Kafka's principal builder that gives a policy the facts of a client's certificate: set as {@code
 * principal.builder.class} on brokers and controllers. Names are those of Kafka's default builder,
 * {@code ssl.principal.mapping.rules} included.
 *
 * <p>Kafka makes one for every connection and asks it for every request. The certificate is read
 * once; a certificate that cannot be read gives a principal that is denied everything. Without a
 * client certificate, and with SASL, the principal is the plain one that Kafka's default builder
 * makes. The network thread builds while request threads serialize.
 */
// Kafka 3.9 wants both interfaces named; since 4.2 one extends the other.
public final class DoorkeeperPrincipalBuilder
        implements KafkaPrincipalBuilder, KafkaPrincipalSerde, Configurable {
    private Map<String, ?> configs = Map.of();
    private KafkaPrincipalBuilder names;
    private volatile String listener;
    private volatile Peer peer;

    /** Cheap, because Kafka also makes builders that it never asks. */
    @Override
    public void configure(Map<String, ?> configs) {
        if (NativeLibrary.origin() == null) {
            NativeLibrary.load(configs);
        }
        this.configs = Collections.unmodifiableMap(configs);
    }

    @Override
    public KafkaPrincipal build(AuthenticationContext context) {
        if (listener == null) {
            listener = context.listenerName();
        }
        KafkaPrincipal principal = principalOf(context);
        FetchPause.check(principal);
        return principal;
    }

    private KafkaPrincipal principalOf(AuthenticationContext context) {
        if (!(context instanceof SslAuthenticationContext)) {
            return names().build(context);
        }
        SSLSession session = ((SslAuthenticationContext) context).session();
        Peer known = peer;
        if (known == null || known.session != session) {
            known = new Peer(session, identify(context, session));
            peer = known;
        }
        return known.principal;
    }

    private KafkaPrincipalBuilder names() {
        if (names == null) {
            names = KafkaInternals.defaultBuilder(configs);
        }
        return names;
    }

    private KafkaPrincipal identify(AuthenticationContext context, SSLSession session) {
        KafkaPrincipal named = names().build(context);
        Certificate[] chain;
        try {
            chain = session.getPeerCertificates();
        } catch (SSLPeerUnverifiedException e) {
            return named; // without a certificate
        }
        try {
            // Only the leaf was proven to be the client's; the rest is what the client sent along.
            CertificateFacts facts = read(chain[0].getEncoded());
            return DoorkeeperPrincipal.certified(named, facts, context.listenerName(), false);
        } catch (IllegalArgumentException | CertificateEncodingException e) {
            return DoorkeeperPrincipal.refused(named, "its certificate is refused: "
                    + e.getMessage(), context.listenerName(), false);
        }
    }

    private static CertificateFacts read(byte[] der) {
        byte[][] parts = NativeCore.parseCertificate(der);
        long notAfterSeconds = ByteBuffer.wrap(parts[2]).order(ByteOrder.LITTLE_ENDIAN).getLong();
        return new CertificateFacts(parts[0], parts[1], notAfterSeconds);
    }

    /** @throws SerializationException if the principal's name has no UTF-8 */
    @Override
    public byte[] serialize(KafkaPrincipal principal) {
        return PrincipalSerde.serialize(principal, principal instanceof DoorkeeperPrincipal
                ? ((DoorkeeperPrincipal) principal).clientListener() : listener);
    }

    /** @throws SerializationException if the bytes are no principal; only their request fails */
    @Override
    public KafkaPrincipal deserialize(byte[] bytes) {
        return PrincipalSerde.deserialize(bytes);
    }

    /** The other end of a TLS connection, and who it is. */
    private static final class Peer {
        private final SSLSession session;
        private final KafkaPrincipal principal;

        Peer(SSLSession session, KafkaPrincipal principal) {
            this.session = session;
            this.principal = principal;
        }
    }
}
