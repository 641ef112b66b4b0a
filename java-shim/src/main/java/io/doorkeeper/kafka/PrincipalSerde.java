// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.kafka;

import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.apache.kafka.common.errors.SerializationException;
import org.apache.kafka.common.security.auth.KafkaPrincipal;
import org.apache.kafka.common.security.auth.KafkaPrincipalSerde;

/**
 * How a principal travels from the broker that a client is connected to, to the controller that
 * the request is forwarded to. Numbers are big-endian, strings UTF-8:
 *
 * <pre>
 *   u16 0x444b "DK"   Kafka's own format has its version here: 0 today, a small number tomorrow
 *   u8  1             version of what follows
 *   u8  flags         FLAG_…, no others
 *   u32 length, bytes type
 *   u32 length, bytes name
 *   u32 length, bytes listener of the client            only with FLAG_LISTENER
 *   i64 end of validity, u32 length, subject record,    only with FLAG_CERTIFIED; the records
 *       u32 length, certificate record                  are those of identity.h
 * </pre>
 *
 * There is one way to write a principal, and nothing else is read but Kafka's own format, version
 * 0. The records inside are not looked into: the core does that whenever it asks with them. Any
 * thread.
 */
final class PrincipalSerde {
    private static final short MAGIC = 0x444b;
    private static final byte VERSION = 1;
    private static final short KAFKA_VERSION = 0;

    private static final int FLAG_TOKEN = 1;
    private static final int FLAG_REFUSED = 1 << 1;
    private static final int FLAG_CERTIFIED = 1 << 2;
    private static final int FLAG_LISTENER = 1 << 3;
    private static final int FLAGS = (1 << 4) - 1;

    private static final KafkaPrincipalSerde KAFKA = KafkaInternals.defaultSerde();
    private static final byte[] NOTHING = {};

    private PrincipalSerde() {
    }

    /**
     * {@code listener} is where the principal's client connected, null if that is not known.
     *
     * @throws SerializationException if the principal's name has no UTF-8
     */
    static byte[] serialize(KafkaPrincipal principal, String listener) {
        boolean ours = principal instanceof DoorkeeperPrincipal;
        if (!ours && listener == null) {
            requireText(principal.getPrincipalType());
            requireText(principal.getName());
            return KAFKA.serialize(principal);
        }
        CertificateFacts facts = ours ? ((DoorkeeperPrincipal) principal).facts() : null;
        boolean refused = ours && ((DoorkeeperPrincipal) principal).refused();
        int flags = (principal.tokenAuthenticated() ? FLAG_TOKEN : 0)
                | (refused ? FLAG_REFUSED : 0)
                | (facts != null ? FLAG_CERTIFIED : 0)
                | (listener != null ? FLAG_LISTENER : 0);
        byte[] type = requireText(principal.getPrincipalType());
        byte[] name = requireText(principal.getName());
        byte[] where = listener == null ? NOTHING : requireText(listener);
        return write(flags, type, name, where, facts);
    }

    private static byte[] write(int flags, byte[] type, byte[] name, byte[] listener,
                                CertificateFacts facts) {
        int size = Short.BYTES + 2 + sized(type) + sized(name)
                + ((flags & FLAG_LISTENER) != 0 ? sized(listener) : 0)
                + (facts == null ? 0
                        : Long.BYTES + sized(facts.subject()) + sized(facts.certificate()));
        ByteBuffer out = ByteBuffer.allocate(size);
        out.putShort(MAGIC).put(VERSION).put((byte) flags);
        put(out, type);
        put(out, name);
        if ((flags & FLAG_LISTENER) != 0) {
            put(out, listener);
        }
        if (facts != null) {
            out.putLong(facts.notAfterSeconds());
            put(out, facts.subject());
            put(out, facts.certificate());
        }
        return out.array();
    }

    private static int sized(byte[] bytes) {
        return Integer.BYTES + bytes.length;
    }

    private static void put(ByteBuffer out, byte[] bytes) {
        out.putInt(bytes.length).put(bytes);
    }

    private static byte[] requireText(String text) {
        byte[] bytes = Utf8.encode(text);
        if (bytes == null) {
            throw new SerializationException("a principal's name with an unpaired surrogate"
                    + " cannot be sent to another broker");
        }
        return bytes;
    }

    /**
     * The principal of a forwarded request.
     *
     * @throws SerializationException for all bytes that {@link #serialize} or Kafka's default
     *     builder would not write; Kafka then refuses that one request
     */
    static KafkaPrincipal deserialize(byte[] bytes) {
        if (bytes == null || bytes.length < Short.BYTES) {
            throw malformed("it is too short");
        }
        ByteBuffer in = ByteBuffer.wrap(bytes);
        short magic = in.getShort();
        if (magic == KAFKA_VERSION) {
            return readKafkas(bytes);
        }
        if (magic != MAGIC) {
            throw malformed("it begins with neither Doorkeeper's mark nor Kafka's version 0");
        }
        try {
            return read(in);
        } catch (BufferUnderflowException e) {
            throw malformed("it is too short");
        }
    }

    private static KafkaPrincipal read(ByteBuffer in) {
        byte version = in.get();
        if (version != VERSION) {
            throw malformed("its version is " + version + ", this broker reads " + VERSION);
        }
        int flags = in.get();
        if ((flags & ~FLAGS) != 0
                || (flags & (FLAG_REFUSED | FLAG_CERTIFIED)) == (FLAG_REFUSED | FLAG_CERTIFIED)) {
            throw malformed("its flags are " + flags);
        }
        KafkaPrincipal named =
                new KafkaPrincipal(readText(in), readText(in), (flags & FLAG_TOKEN) != 0);
        String listener = (flags & FLAG_LISTENER) != 0 ? readText(in) : null;
        CertificateFacts facts = (flags & FLAG_CERTIFIED) != 0 ? readFacts(in) : null;
        if (in.hasRemaining()) {
            throw malformed("there are bytes behind it");
        }
        if ((flags & FLAG_REFUSED) != 0) {
            return DoorkeeperPrincipal.refused(named, "the broker that forwarded the request had"
                    + " refused the certificate", listener, true);
        }
        if (facts != null) {
            return DoorkeeperPrincipal.certified(named, facts, listener, true);
        }
        if (listener == null) {
            throw malformed("a plain principal without a listener has Kafka's format");
        }
        return plain(named, listener);
    }

    private static KafkaPrincipal plain(KafkaPrincipal principal, String listener) {
        ForwardedPrincipals.add(principal, listener);
        return principal;
    }

    private static CertificateFacts readFacts(ByteBuffer in) {
        long notAfterSeconds = in.getLong();
        if (notAfterSeconds <= 0) {
            throw malformed("its certificate ends before 1970");
        }
        return new CertificateFacts(readBytes(in), readBytes(in), notAfterSeconds);
    }

    private static byte[] readBytes(ByteBuffer in) {
        int length = in.getInt();
        if (length < 0 || length > in.remaining()) {
            throw malformed("a part of it is longer than the whole");
        }
        byte[] bytes = new byte[length];
        in.get(bytes);
        return bytes;
    }

    private static String readText(ByteBuffer in) {
        try {
            return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(readBytes(in)))
                    .toString();
        } catch (CharacterCodingException e) {
            throw malformed("a text of it is not UTF-8");
        }
    }

    /** Kafka's reader forgives what its writer never writes; writing again shows that. */
    private static KafkaPrincipal readKafkas(byte[] bytes) {
        KafkaPrincipal principal;
        try {
            principal = KAFKA.deserialize(bytes);
        } catch (RuntimeException e) {
            throw new SerializationException("a forwarded principal in Kafka's format could not be"
                    + " read", e);
        }
        if (!Arrays.equals(KAFKA.serialize(principal), bytes)) {
            throw malformed("it is not as Kafka's default builder writes it");
        }
        return plain(principal, null);
    }

    private static SerializationException malformed(String why) {
        return new SerializationException("a forwarded principal could not be read: " + why);
    }
}
