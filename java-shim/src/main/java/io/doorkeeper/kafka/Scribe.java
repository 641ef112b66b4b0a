// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.kafka;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The body of the thread that writes a core's log lines. It alone waits for SLF4J, however slow the
 * log is; and because it leaves last, it destroys the core.
 */
final class Scribe implements Runnable {
    private static final Logger LOG = LoggerFactory.getLogger("io.doorkeeper.kafka");
    /** Where Kafka's own authorizer writes its decisions: denied as INFO, allowed as DEBUG. */
    private static final Logger AUDIT = LoggerFactory.getLogger("kafka.authorizer.logger");

    private static final int TARGET_AUDIT = 1;
    private static final int ROUND_MS = 1000;

    private final long core;
    private volatile int auditMask;
    private volatile boolean stopped;

    Scribe(long core) {
        this.core = core;
        followLevels();
    }

    int auditMask() {
        return auditMask;
    }

    boolean isStopped() {
        return stopped;
    }

    /** Any thread: ends the core, and {@link #run} when every line is written. */
    void stop() {
        stopped = true;
        NativeCore.stop(core);
    }

    @Override
    public void run() {
        ByteBuffer lines = ByteBuffer.allocate(16 * 1024).order(ByteOrder.LITTLE_ENDIAN);
        boolean last;
        int length;
        do {
            last = stopped; // before the lines are taken, so that none comes after the last look
            length = NativeCore.drain(core, lines.array(), ROUND_MS);
            write(lines.clear().limit(Math.max(length, 0)));
            followLevels();
        } while (length > 0 || (length == 0 && !last));
        NativeCore.destroy(core);
    }

    /** Levels may be changed while the broker runs. */
    private void followLevels() {
        int mask = (AUDIT.isInfoEnabled() ? NativeCore.AUDIT_DENIED : 0)
                | (AUDIT.isDebugEnabled() ? NativeCore.AUDIT_ALLOWED : 0);
        if (mask != auditMask) {
            NativeCore.setAudit(core, mask);
            auditMask = mask;
        }
    }

    private static void write(ByteBuffer lines) {
        while (lines.hasRemaining()) {
            Logger logger = lines.get() == TARGET_AUDIT ? AUDIT : LOG;
            int level = lines.get();
            int length = Short.toUnsignedInt(lines.getShort());
            String text = new String(lines.array(), lines.position(), length,
                    StandardCharsets.UTF_8);
            lines.position(lines.position() + length);
            write(logger, level, text);
        }
    }

    private static void write(Logger logger, int level, String text) {
        try {
            switch (level) {
                case NativeCore.LOG_ERROR:
                    logger.error(text);
                    break;
                case NativeCore.LOG_WARN:
                    logger.warn(text);
                    break;
                case NativeCore.LOG_INFO:
                    logger.info(text);
                    break;
                default:
                    logger.debug(text);
            }
        } catch (RuntimeException | LinkageError e) {
            // A log that fails has nowhere to say so, and must not end the thread that writes it.
            return;
        }
    }
}
