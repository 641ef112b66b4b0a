// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.kafka;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Map;
import java.util.Set;
import org.apache.kafka.common.security.auth.KafkaPrincipal;
import org.apache.kafka.common.security.token.delegation.TokenInformation;
import org.junit.jupiter.api.Test;

class DoorkeeperPrincipalTest {
    private static final KafkaPrincipal PLAIN = new KafkaPrincipal("User", "CN=alice,O=Grab");

    private static DoorkeeperPrincipal certified(KafkaPrincipal named, int fact) {
        byte[] record = {(byte) fact};
        return DoorkeeperPrincipal.certified(named, new CertificateFacts(record, record, 1 + fact),
                "CLIENT", false);
    }

    @Test
    void isToKafkaThePlainPrincipalOfItsName() {
        DoorkeeperPrincipal principal = certified(PLAIN, 1);
        assertEquals(PLAIN.toString(), principal.toString());
        assertEquals(PLAIN.hashCode(), principal.hashCode());
        assertTrue(principal.equals(PLAIN));
        assertEquals("found", Map.of(PLAIN, "found").get(principal), "a look-up by our equals");
    }

    /** Kafka compares owners by class, which docs/internals/principal.md tells the user. */
    @Test
    void isNoOwnerOfATokenButMayBeItsRenewer() {
        DoorkeeperPrincipal principal = certified(PLAIN, 1);
        KafkaPrincipal other = new KafkaPrincipal("User", "other");
        assertFalse(token(PLAIN, other).ownerOrRenewer(principal));
        assertTrue(token(other, PLAIN).ownerOrRenewer(principal));
        assertFalse(token(other, other).ownerOrRenewer(principal));
    }

    private static TokenInformation token(KafkaPrincipal owner, KafkaPrincipal renewer) {
        return new TokenInformation("id", owner, owner, Set.of(renewer), 1, 2, 2);
    }

    @Test
    void equalityIsByTypeAndNameAlone() {
        DoorkeeperPrincipal one = certified(PLAIN, 1);
        DoorkeeperPrincipal other = certified(PLAIN, 2);
        assertEquals(one, other);
        assertEquals(one.hashCode(), other.hashCode());
        assertEquals(one, DoorkeeperPrincipal.refused(PLAIN, "test", null, true));
        assertNotSame(one.subjectRecord(), other.subjectRecord());

        assertNotEquals(one, certified(new KafkaPrincipal("Group", "CN=alice,O=Grab"), 1));
        assertNotEquals(one, certified(new KafkaPrincipal("User", "cn=alice,O=Grab"), 1));
        assertFalse(one.equals(null));
        assertFalse(one.equals("User:CN=alice,O=Grab"));
    }

    @Test
    void keepsTheTokenFlagAndLetsKafkaSetIt() {
        assertTrue(certified(new KafkaPrincipal("User", "a", true), 1).tokenAuthenticated());
        DoorkeeperPrincipal principal = certified(PLAIN, 1);
        assertFalse(principal.tokenAuthenticated());
        principal.tokenAuthenticated(true);
        assertTrue(principal.tokenAuthenticated());
    }

    @Test
    void ownsItsFacts() {
        DoorkeeperPrincipal principal = certified(PLAIN, 7);
        assertEquals(7, principal.subjectRecord()[0]);
        assertEquals(7, principal.certificateRecord()[0]);
        assertEquals(8, principal.notAfterSeconds());
        assertEquals("CLIENT", principal.clientListener());
        assertFalse(principal.forwarded());
        assertFalse(principal.refused());
        assertNull(principal.refusal());
    }

    @Test
    void aRefusedPrincipalHasNoFacts() {
        DoorkeeperPrincipal refused = DoorkeeperPrincipal.refused(PLAIN, "the reason", "A", true);
        assertTrue(refused.refused());
        assertEquals("the reason", refused.refusal());
        assertNull(refused.subjectRecord());
        assertNull(refused.certificateRecord());
        assertEquals(0, refused.notAfterSeconds());
        assertTrue(refused.forwarded());
    }

    @Test
    void keepsTheLastMemoAndNoOthers() {
        DoorkeeperPrincipal principal = certified(PLAIN, 1);
        assertNull(principal.memo());
        Object memo = new Object();
        principal.memo("other");
        principal.memo(memo);
        assertSame(memo, principal.memo());
        assertNull(certified(PLAIN, 1).memo());
    }
}
