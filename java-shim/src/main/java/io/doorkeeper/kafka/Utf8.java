// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.kafka;

import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;

/** UTF-8 without loss: Java's own getBytes would make one name of many. */
final class Utf8 {
    private Utf8() {
    }

    /** The text's bytes; null if it holds an unpaired surrogate, for which UTF-8 has none. */
    static byte[] encode(String text) {
        for (int i = 0; i < text.length(); i++) {
            if (Character.isSurrogate(text.charAt(i))) {
                return encodeStrictly(text);
            }
        }
        return text.getBytes(StandardCharsets.UTF_8);
    }

    /** For people only: what has no bytes becomes a question mark. */
    static byte[] encodeLossy(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static byte[] encodeStrictly(String text) {
        try {
            ByteBuffer encoded = StandardCharsets.UTF_8.newEncoder().encode(CharBuffer.wrap(text));
            byte[] bytes = new byte[encoded.remaining()];
            encoded.get(bytes);
            return bytes;
        } catch (CharacterCodingException e) {
            return null;
        }
    }
}
