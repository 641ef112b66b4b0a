// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.kafka;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;
import org.apache.kafka.server.authorizer.Action;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The bytes, against the format that question.h states. */
class RequestEncoderTest {
    private final RequestEncoder encoder = new RequestEncoder();

    private byte[] encoded() {
        return Arrays.copyOf(encoder.buffer(), encoder.length());
    }

    @Test
    void writesAnActionAsTheCoreReadsIt() {
        Action action = new Action(AclOperation.WRITE,
                new ResourcePattern(ResourceType.GROUP, "orders", PatternType.PREFIXED), 70_000,
                false, true);
        assertTrue(encoder.add(action, true));

        ByteBuffer expected = ByteBuffer.allocate(24).order(ByteOrder.LITTLE_ENDIAN)
                .putInt(70_000).putInt(2)
                .put((byte) 4).put((byte) 3).put((byte) 4).put((byte) 1).putInt(6)
                .put("orders\0\0".getBytes(StandardCharsets.US_ASCII));
        assertArrayEquals(expected.array(), encoded());
    }

    @Test
    void anyResourceHasNoName() {
        assertTrue(encoder.add(Asking.read("never sent"), false));

        ByteBuffer expected = ByteBuffer.allocate(16).order(ByteOrder.LITTLE_ENDIAN)
                .putInt(1).putInt(3)
                .put((byte) 3).put((byte) 2).put((byte) 3).put((byte) 0).putInt(0);
        assertArrayEquals(expected.array(), encoded());
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "a", "1234567", "12345678", "123456789", "ü", "日本語", "İ0",
        "𝄞 \u0000?"})
    void namesAreUtf8AndPaddedWithZeros(String name) {
        encoder.add(Asking.read("an earlier, longer name that leaves its bytes behind"), true);
        encoder.clear();
        assertTrue(encoder.add(Asking.read(name), true));

        byte[] utf8 = name.getBytes(StandardCharsets.UTF_8);
        byte[] record = encoded();
        assertEquals(utf8.length,
                ByteBuffer.wrap(record).order(ByteOrder.LITTLE_ENDIAN).getInt(12));
        assertEquals(16 + (utf8.length + 7) / 8 * 8, record.length);
        byte[] padded = Arrays.copyOf(utf8, record.length - 16);
        assertArrayEquals(padded, Arrays.copyOfRange(record, 16, record.length));
    }

    @ParameterizedTest
    @ValueSource(strings = {"\ud800", "\udc00", "a\udc00\ud800", "日\ud834", "ascii then \udfff"})
    void unpairedSurrogatesAreRefusedAndLeaveNothing(String name) {
        assertTrue(encoder.add(Asking.read("before"), true));
        byte[] before = encoded();
        assertFalse(encoder.add(Asking.read(name), true));
        assertArrayEquals(before, encoded());
        assertTrue(encoder.addForAudit(Asking.read(name), true));
    }

    @Test
    void whatTheCoreWouldRefuseForItsLengthIsNotAsked() {
        assertTrue(encoder.add(Asking.read("x".repeat(RequestEncoder.NAME_MAX)), true));
        int length = encoder.length();
        assertFalse(encoder.add(Asking.read("x".repeat(RequestEncoder.NAME_MAX + 1)), true));
        assertFalse(encoder.add(Asking.read("ü".repeat(RequestEncoder.NAME_MAX)), true));
        assertEquals(length, encoder.length());
    }

    @Test
    void aRequestHasAnUpperBound() {
        Action large = Asking.read("x".repeat(RequestEncoder.NAME_MAX));
        int added = 0;
        while (encoder.add(large, true)) {
            added++;
        }
        assertEquals(RequestEncoder.REQUEST_MAX / (RequestEncoder.NAME_MAX + 16), added);
        assertTrue(encoder.length() <= RequestEncoder.REQUEST_MAX);
    }

    @Test
    void aLargeBufferIsGivenBack() {
        encoder.add(Asking.read("x".repeat(RequestEncoder.NAME_MAX)), true);
        encoder.release();
        assertEquals(0, encoder.length());
        assertTrue(encoder.buffer().length <= RequestEncoder.KEEP_MAX);
    }
}
