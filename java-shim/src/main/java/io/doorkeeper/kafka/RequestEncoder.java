// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.kafka;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.Arrays;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.server.authorizer.Action;

/**
 * Writes request records (question.h) into a buffer that is used again and again. One thread.
 *
 * <p>What cannot be asked is refused here, action by action: a name that has no UTF-8 or is longer
 * than the core accepts.
 */
final class RequestEncoder {
    /** DK_NAME_MAX and REQUEST_MAX of the native side. */
    static final int NAME_MAX = 128 * 1024;
    static final int REQUEST_MAX = 64 * 1024 * 1024;
    /** A larger buffer is given back when the call that needed it is over. */
    static final int KEEP_MAX = 64 * 1024;

    private static final int HEADER = 16;
    private static final int FLAG_LOG_IF_ALLOWED = 1;
    private static final int FLAG_LOG_IF_DENIED = 2;
    /** Longer than what an audit line shows of a name. */
    private static final int AUDIT_NAME_MAX = 1024;
    private static final VarHandle INT =
            MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);

    private byte[] buffer = new byte[4096];
    private int length;

    byte[] buffer() {
        return buffer;
    }

    int length() {
        return length;
    }

    void clear() {
        length = 0;
    }

    /** Ends a call: forgets the record, and a large buffer with it. */
    void release() {
        length = 0;
        if (buffer.length > KEEP_MAX) {
            buffer = new byte[4096];
        }
    }

    /**
     * Appends an action; false if it cannot be asked, then nothing is appended.
     *
     * @param named false asks for any resource of the action's type, whatever name it has
     */
    boolean add(Action action, boolean named) {
        if (!named) {
            return reserve(0) && finish(action, 0, 0);
        }
        String name = action.resourcePattern().name();
        if (name.length() > NAME_MAX || !reserve(name.length())) {
            return false;
        }
        if (putAscii(name)) {
            return finish(action, 1, name.length());
        }
        byte[] utf8 = Utf8.encode(name);
        return utf8 != null && utf8.length <= NAME_MAX && addBytes(action, utf8);
    }

    /** Appends an action for an audit line: with a name for people, whatever it holds. */
    boolean addForAudit(Action action, boolean named) {
        if (!named) {
            return add(action, false);
        }
        String name = action.resourcePattern().name();
        String shown = name.substring(0, Math.min(name.length(), AUDIT_NAME_MAX));
        return addBytes(action, Utf8.encodeLossy(shown));
    }

    private boolean addBytes(Action action, byte[] name) {
        if (!reserve(name.length)) {
            return false;
        }
        System.arraycopy(name, 0, buffer, length + HEADER, name.length);
        return finish(action, 1, name.length);
    }

    /** False if the name is not ASCII. The loop has no early end so that it can be vectorised. */
    private boolean putAscii(String name) {
        byte[] target = buffer;
        int at = length + HEADER;
        int seen = 0;
        for (int i = 0; i < name.length(); i++) {
            char c = name.charAt(i);
            seen |= c;
            target[at + i] = (byte) c;
        }
        return seen < 0x80;
    }

    /** Writes the header before a name that stands in its place, and the padding behind it. */
    private boolean finish(Action action, int named, int nameLength) {
        ResourcePattern pattern = action.resourcePattern();
        int flags = (action.logIfAllowed() ? FLAG_LOG_IF_ALLOWED : 0)
                | (action.logIfDenied() ? FLAG_LOG_IF_DENIED : 0);
        int codes = (action.operation().code() & 0xff)
                | (pattern.resourceType().code() & 0xff) << 8
                | (pattern.patternType().code() & 0xff) << 16
                | named << 24;
        INT.set(buffer, length, action.resourceReferenceCount());
        INT.set(buffer, length + 4, flags);
        INT.set(buffer, length + 8, codes);
        INT.set(buffer, length + 12, nameLength);
        int nameEnd = length + HEADER + nameLength;
        length += HEADER + padded(nameLength);
        Arrays.fill(buffer, nameEnd, length, (byte) 0);
        return true;
    }

    private static int padded(int nameLength) {
        return (nameLength + 7) & ~7;
    }

    /** Makes room for one more action. False if the request would be too large. */
    private boolean reserve(int nameLength) {
        int needed = length + HEADER + padded(nameLength);
        if (needed > REQUEST_MAX) {
            return false;
        }
        if (needed > buffer.length) {
            buffer = Arrays.copyOf(buffer, Math.max(needed, 2 * buffer.length));
        }
        return true;
    }
}
