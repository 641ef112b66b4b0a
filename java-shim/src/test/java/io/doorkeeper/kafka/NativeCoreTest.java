// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.kafka;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;
import org.apache.kafka.server.authorizer.Action;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The natives against callers that pass anything: whatever it is, the JVM lives and nothing is
 * allowed. The core here has no I/O thread, so only local rules decide.
 */
class NativeCoreTest {
    private static final int PROBE_REFUSED = -2;

    private long core;
    private byte[] root;
    private byte[] request;
    private long handle;

    @BeforeEach
    void create() {
        NativeLibrary.load(Map.of(NativeLibrary.PATH_SETTING,
                System.getProperty(NativeLibrary.PATH_SETTING)));
        core = NativeCore.create(pairs("super.users", "User:root", "doorkeeper.deadline.ms", "1",
                "doorkeeper.cache.entries", "1024"));
        root = context("root");
        request = twoActions();
        handle = NativeCore.register(core, root, root.length);
        assertNotEquals(0, handle);
    }

    @AfterEach
    void destroy() {
        NativeCore.destroy(core);
    }

    private static byte[][] pairs(String... texts) {
        byte[][] pairs = new byte[texts.length][];
        for (int i = 0; i < texts.length; i++) {
            pairs[i] = texts[i].getBytes(StandardCharsets.UTF_8);
        }
        return pairs;
    }

    private static byte[] context(String name) {
        ByteBuffer out = ByteBuffer.allocate(256).order(ByteOrder.LITTLE_ENDIAN);
        out.putLong(0);
        String[] fields = {"cluster", "User", name};
        for (int i = 0; i < fields.length; i++) {
            byte[] value = fields[i].getBytes(StandardCharsets.UTF_8);
            out.putInt(i + 1).putInt(value.length).put(value);
        }
        byte[] record = new byte[out.position()];
        out.flip().get(record);
        return record;
    }

    private static byte[] twoActions() {
        RequestEncoder encoder = new RequestEncoder();
        for (String topic : new String[] {"orders", "payments"}) {
            ResourcePattern pattern =
                    new ResourcePattern(ResourceType.TOPIC, topic, PatternType.LITERAL);
            encoder.add(new Action(AclOperation.READ, pattern, 1, true, true), true);
        }
        byte[] record = new byte[encoder.length()];
        System.arraycopy(encoder.buffer(), 0, record, 0, record.length);
        return record;
    }

    private int authorize(byte[] context, int contextLength, byte[] actions, int length, int count,
                          byte[] answers) {
        return NativeCore.authorize(core, context, contextLength, actions, length, count, 0,
                answers);
    }

    @Test
    void aSuperUserIsAllowedByBothWays() {
        byte[] answers = new byte[2];
        assertEquals(0, NativeCore.probe(core, handle, request, request.length, answers));
        assertEquals(0, authorize(root, root.length, request, request.length, 2, answers));
        for (byte answer : answers) {
            assertEquals(NativeCore.ANSWER_ALLOW, answer & NativeCore.ANSWER_OUTCOME_MASK);
        }
        assertEquals(4, NativeCore.metric(core, metricNamed("allowed")));
    }

    private static int metricNamed(String name) {
        String[] namesAndHelps = NativeCore.metricNames();
        for (int i = 0; i < namesAndHelps.length; i += 2) {
            if (namesAndHelps[i].equals(name)) {
                return i / 2;
            }
        }
        throw new AssertionError(name);
    }

    @ParameterizedTest
    @ValueSource(longs = {0, -1, 256, Long.MAX_VALUE, Long.MIN_VALUE})
    void aNumberThatIsNoCoreDoesNothing(long offset) {
        expectNothingOf(offset == 0 ? 0 : core + offset);
    }

    @Test
    void aCoreThatIsGoneDoesNothing() {
        NativeCore.destroy(core);
        expectNothingOf(core);
    }

    private void expectNothingOf(long wrong) {
        byte[] answers = {9, 9};
        NativeCore.run(wrong);
        NativeCore.setClusterId(wrong, root);
        NativeCore.setAudit(wrong, NativeCore.AUDIT_ALLOWED);
        NativeCore.log(wrong, NativeCore.LOG_ERROR, root);
        NativeCore.audit(wrong, root, root, root, root, 1, request, request.length, 2, answers);
        NativeCore.flush(wrong);
        NativeCore.stop(wrong);
        NativeCore.destroy(wrong);
        assertEquals(0, NativeCore.setting(wrong, NativeCore.SETTING_PROBE_MAX));
        assertEquals(-1, NativeCore.drain(wrong, new byte[100], 0));
        assertEquals(0, NativeCore.register(wrong, root, root.length));
        assertEquals(PROBE_REFUSED,
                NativeCore.probe(wrong, handle, request, request.length, answers));
        assertNotEquals(0, NativeCore.authorize(wrong, root, root.length, request, request.length,
                2, 0, answers));
        assertFalse(NativeCore.waitReady(wrong, 0));
        assertEquals(0, NativeCore.metric(wrong, 0));
        assertArrayEquals(new byte[] {9, 9}, answers);
    }

    @ParameterizedTest
    @ValueSource(ints = {-1, Integer.MIN_VALUE, 10_000, Integer.MAX_VALUE})
    void aLengthThatIsNotItsArraysIsRefused(int wrong) {
        byte[] answers = {9, 9};
        assertEquals(0, NativeCore.register(core, root, wrong));
        assertEquals(PROBE_REFUSED, NativeCore.probe(core, handle, request, wrong, answers));
        assertNotEquals(0, authorize(root, wrong, request, request.length, 2, answers));
        assertNotEquals(0, authorize(root, root.length, request, wrong, 2, answers));
        assertNotEquals(0, authorize(root, root.length, request, request.length, wrong, answers));
        NativeCore.audit(core, root, root, root, root, 1, request, wrong, 2, answers);
        NativeCore.audit(core, root, root, root, root, 1, request, request.length, wrong, answers);
        assertArrayEquals(new byte[] {9, 9}, answers);
    }

    @Test
    void whatIsMissingIsRefused() {
        byte[] answers = {9, 9};
        NativeCore.setClusterId(core, null);
        NativeCore.log(core, NativeCore.LOG_ERROR, null);
        NativeCore.audit(core, null, root, root, root, 1, request, request.length, 2, answers);
        NativeCore.audit(core, root, null, root, root, 1, request, request.length, 2, answers);
        NativeCore.audit(core, root, root, null, root, 1, request, request.length, 2, answers);
        NativeCore.audit(core, root, root, root, root, 1, null, request.length, 2, answers);
        NativeCore.audit(core, root, root, root, root, 1, request, request.length, 2, null);
        assertTrue(NativeCore.drain(core, null, 0) < 0);
        assertEquals(0, NativeCore.register(core, null, root.length));
        assertEquals(PROBE_REFUSED, NativeCore.probe(core, handle, null, 0, answers));
        assertNotEquals(0, authorize(null, 0, request, request.length, 2, answers));
        assertNotEquals(0, authorize(root, root.length, null, 0, 2, answers));
        assertNotEquals(0, authorize(root, root.length, request, request.length, 2, null));
        assertArrayEquals(new byte[] {9, 9}, answers);
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 3})
    void aCountThatIsNotTheRequestsIsRefused(int wrong) {
        assertNotEquals(0, authorize(root, root.length, request, request.length, wrong,
                new byte[3]));
    }

    /** Where answers are to be written; none are while all are allowed and nobody audits it. */
    @Test
    void answersThatDoNotFitAreRefused() {
        assertNotEquals(0, authorize(root, root.length, request, request.length, 2, new byte[1]));
        NativeCore.setAudit(core, NativeCore.AUDIT_ALLOWED);
        assertEquals(PROBE_REFUSED,
                NativeCore.probe(core, handle, request, request.length, new byte[1]));
        assertEquals(PROBE_REFUSED, NativeCore.probe(core, handle, request, request.length, null));
    }

    @Test
    void aHandleOfNobodyIsStale() {
        for (long wrong : new long[] {0, handle + 1, -handle, Long.MAX_VALUE}) {
            assertEquals(NativeCore.PROBE_STALE,
                    NativeCore.probe(core, wrong, request, request.length, new byte[2]));
        }
    }

    @Test
    void numbersThatNameNothingAreZero() {
        assertEquals(0, NativeCore.setting(core, -1));
        assertEquals(0, NativeCore.setting(core, 99));
        assertEquals(0, NativeCore.metric(core, -1));
        assertEquals(0, NativeCore.metric(core, Integer.MAX_VALUE));
    }

    @Test
    void linesComeOutWholeOrNotAtAll() {
        byte[] lines = new byte[16 * 1024];
        assertTrue(NativeCore.drain(core, lines, 0) > 0, "the core says what memory it takes");
        NativeCore.log(core, NativeCore.LOG_WARN, "a\nb".getBytes(StandardCharsets.UTF_8));
        NativeCore.log(core, -1, root);
        NativeCore.log(core, 99, root);
        assertEquals(0, NativeCore.drain(core, new byte[0], 0));
        assertEquals(0, NativeCore.drain(core, new byte[5], 0));
        int length = NativeCore.drain(core, lines, 0);
        assertEquals("a\\x0ab", new String(lines, 4, length - 4, StandardCharsets.UTF_8));
        assertEquals(0, NativeCore.drain(core, lines, -1));
    }

    @Test
    void noTimeIsTooLongToWait() {
        NativeCore.stop(core);
        assertFalse(NativeCore.waitReady(core, Long.MAX_VALUE));
        assertFalse(NativeCore.waitReady(core, Long.MIN_VALUE));
    }

    @Test
    void settingsAreCheckedWhateverTheyAre() {
        long other = NativeCore.create(null);
        assertNotEquals(0, other);
        NativeCore.destroy(other);
        assertThrows(IllegalArgumentException.class, () -> NativeCore.create(new byte[2][]));
        assertEquals("doorkeeper.deadline.ms=\u00fc????\u20ac: expected a whole number from 1 to 2000",
                assertThrows(IllegalArgumentException.class, () -> NativeCore.create(
                        pairs("doorkeeper.deadline.ms", "\u00fc\ud83d\ude00\u20ac"))).getMessage());
    }

    @Test
    void whatIsNoCertificateIsRefused() {
        for (byte[] wrong : new byte[][] {null, {}, {0x30}, root, new byte[100_000]}) {
            assertThrows(IllegalArgumentException.class, () -> NativeCore.parseCertificate(wrong));
        }
    }
}
