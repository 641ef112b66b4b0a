// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.kafka;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.apache.kafka.common.errors.SerializationException;
import org.apache.kafka.common.security.auth.KafkaPrincipal;
import org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class PrincipalSerdeTest {
    private static final DefaultKafkaPrincipalBuilder KAFKA =
            new DefaultKafkaPrincipalBuilder(null, null);
    private static final KafkaPrincipal ALICE = new KafkaPrincipal("User", "CN=alice,O=Grab");
    private static final CertificateFacts FACTS =
            new CertificateFacts(new byte[] {1, 2, 3}, new byte[] {4, 5}, 0x0102030405L);

    /** One of every kind, as the broker that forwards has them. */
    static Stream<KafkaPrincipal> principals() {
        KafkaPrincipal token = new KafkaPrincipal("User", "bob", true);
        return Stream.of(ALICE, token, new KafkaPrincipal("", ""),
                new KafkaPrincipal("User", "\u00fc \u20ac \ud83d\ude00 \u202e \0"),
                DoorkeeperPrincipal.certified(ALICE, FACTS, "CLIENT", false),
                DoorkeeperPrincipal.certified(token, FACTS, null, false),
                DoorkeeperPrincipal.certified(ALICE,
                        new CertificateFacts(new byte[0], new byte[70_000], 1), "", false),
                DoorkeeperPrincipal.refused(ALICE, "for the test", "CLIENT", false),
                DoorkeeperPrincipal.refused(token, "for the test", null, false));
    }

    private static byte[] serialized(KafkaPrincipal principal) {
        return PrincipalSerde.serialize(principal, principal instanceof DoorkeeperPrincipal
                ? ((DoorkeeperPrincipal) principal).clientListener() : "CLIENT");
    }

    private static void assertRefused(byte[] bytes) {
        assertThrows(SerializationException.class, () -> PrincipalSerde.deserialize(bytes));
    }

    @ParameterizedTest
    @MethodSource("principals")
    void everyPrincipalArrivesAsItLeft(KafkaPrincipal sent) {
        KafkaPrincipal received = PrincipalSerde.deserialize(serialized(sent));
        assertSame(sent.getClass(), received.getClass());
        assertEquals(sent, received);
        assertEquals(sent.tokenAuthenticated(), received.tokenAuthenticated());
        assertTrue(DoorkeeperPrincipal.isForwarded(received));
        assertFalse(DoorkeeperPrincipal.isForwarded(sent));
        if (!(sent instanceof DoorkeeperPrincipal)) {
            assertEquals("CLIENT", DoorkeeperPrincipal.clientListenerOf(received));
            return;
        }
        DoorkeeperPrincipal ours = (DoorkeeperPrincipal) sent;
        DoorkeeperPrincipal theirs = (DoorkeeperPrincipal) received;
        assertArrayEquals(ours.subjectRecord(), theirs.subjectRecord());
        assertArrayEquals(ours.certificateRecord(), theirs.certificateRecord());
        assertEquals(ours.notAfterSeconds(), theirs.notAfterSeconds());
        assertEquals(ours.clientListener(), theirs.clientListener());
        assertEquals(ours.refused(), theirs.refused());
        assertTrue(theirs.forwarded());
        assertNull(theirs.memo());
    }

    @ParameterizedTest
    @MethodSource("principals")
    void whatIsCutShortOrTooLongIsRefused(KafkaPrincipal principal) {
        byte[] bytes = serialized(principal);
        int step = bytes.length > 1000 ? 997 : 1;
        for (int length = 0; length < bytes.length; length += step) {
            assertRefused(Arrays.copyOf(bytes, length));
        }
        assertRefused(Arrays.copyOf(bytes, bytes.length + 1));
    }

    @Test
    void readsWhatKafkasDefaultBuilderWrites() {
        for (boolean token : List.of(true, false)) {
            KafkaPrincipal sent = new KafkaPrincipal("User", "CN=\u00e9,O=Grab", token);
            KafkaPrincipal received = PrincipalSerde.deserialize(KAFKA.serialize(sent));
            assertSame(KafkaPrincipal.class, received.getClass());
            assertEquals(sent, received);
            assertEquals(token, received.tokenAuthenticated());
            assertTrue(DoorkeeperPrincipal.isForwarded(received));
            assertNull(DoorkeeperPrincipal.clientListenerOf(received));
        }
    }

    @Test
    void kafkasFormatIsReadOnlyAsKafkaWritesIt() {
        byte[] good = KAFKA.serialize(new KafkaPrincipal("User", "alice"));
        for (int length = 0; length < good.length; length++) {
            assertRefused(Arrays.copyOf(good, length));
        }
        assertRefused(Arrays.copyOf(good, good.length + 1));
        byte[] notUtf8 = good.clone();
        notUtf8[good.length - 3] = (byte) 0xff;
        assertRefused(notUtf8);
        byte[] newer = good.clone();
        newer[1] = 1;
        assertRefused(newer);
    }

    @Test
    void aPrincipalOfWhomNothingElseIsKnownHasKafkasFormat() {
        assertArrayEquals(KAFKA.serialize(ALICE), PrincipalSerde.serialize(ALICE, null));
        assertEquals(ALICE, KAFKA.deserialize(new DoorkeeperPrincipalBuilder().serialize(ALICE)));
    }

    /** A controller that Doorkeeper does not guard must not take the name and drop the rest. */
    @Test
    void kafkasDefaultBuilderRefusesOurs() {
        byte[] bytes = serialized(DoorkeeperPrincipal.certified(ALICE, FACTS, "CLIENT", false));
        assertThrows(SerializationException.class, () -> KAFKA.deserialize(bytes));
    }

    /** Replaced by a question mark, it would be the name of somebody else. */
    @Test
    void aNameWithoutUtf8IsNotSent() {
        for (KafkaPrincipal broken : List.of(new KafkaPrincipal("User", "a\ud800b"),
                new KafkaPrincipal("\udc00", "a"))) {
            assertThrows(SerializationException.class,
                    () -> PrincipalSerde.serialize(broken, null));
            assertThrows(SerializationException.class,
                    () -> PrincipalSerde.serialize(broken, "CLIENT"));
            assertThrows(SerializationException.class, () -> serialized(
                    DoorkeeperPrincipal.certified(broken, FACTS, "CLIENT", false)));
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 2, 127, -1})
    void anotherVersionIsRefused(int version) {
        byte[] bytes = serialized(ALICE);
        bytes[2] = (byte) version;
        assertRefused(bytes);
    }

    @Test
    void flagsThatContradictOrAreUnknownAreRefused() {
        byte[] certified = serialized(DoorkeeperPrincipal.certified(ALICE, FACTS, "C", false));
        for (int flags = 0; flags < 256; flags++) {
            byte[] bytes = certified.clone();
            bytes[3] = (byte) flags;
            // Only the token flag can change without changing what has to follow.
            if ((flags & ~1) != (certified[3] & ~1)) {
                assertRefused(bytes);
            }
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {-1, Integer.MIN_VALUE, Integer.MAX_VALUE, 1 << 20})
    void aLengthThatLiesIsRefusedBeforeAnythingIsAllocated(int length) {
        byte[] bytes = serialized(ALICE);
        ByteBuffer.wrap(bytes).putInt(4, length);
        assertRefused(bytes);
    }

    @Test
    void anEndBefore1970IsRefused() {
        for (long end : new long[] {0, -1, Long.MIN_VALUE}) {
            assertRefused(serialized(DoorkeeperPrincipal.certified(ALICE,
                    new CertificateFacts(new byte[0], new byte[0], end), null, false)));
        }
    }

    @Test
    void nothingIsRefused() {
        assertRefused(null);
        assertRefused(new byte[0]);
    }

    @Test
    void forwardedPrincipalsOfOneNameKeepTheirOwnListeners() {
        KafkaPrincipal inside = PrincipalSerde.deserialize(
                PrincipalSerde.serialize(ALICE, "INSIDE"));
        KafkaPrincipal outside = PrincipalSerde.deserialize(
                PrincipalSerde.serialize(ALICE, "OUTSIDE"));
        assertEquals(inside, outside);
        assertEquals("INSIDE", DoorkeeperPrincipal.clientListenerOf(inside));
        assertEquals("OUTSIDE", DoorkeeperPrincipal.clientListenerOf(outside));
        assertNull(DoorkeeperPrincipal.clientListenerOf(ALICE));
        assertFalse(DoorkeeperPrincipal.isForwarded(ALICE));
    }

    @Test
    void forwardedPrincipalsAreForgottenWithTheirRequests() {
        for (int request = 0; request < 10_000; request++) {
            PrincipalSerde.deserialize(PrincipalSerde.serialize(ALICE, "CLIENT"));
        }
        Asking.await("forgotten", () -> {
            System.gc();
            PrincipalSerde.deserialize(PrincipalSerde.serialize(ALICE, "CLIENT"));
            return ForwardedPrincipals.size() < 100;
        });
    }
}
