// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.kafka;

/**
 * The natives, one to one; jni/native_core.c is their other half. {@link NativeLibrary} must have
 * loaded the library.
 *
 * <p>A core is named by a checked number, never by an address: with a number that is no longer
 * valid every method does nothing, and what answers questions denies. All text is UTF-8. The
 * records are those of native/include/doorkeeper/question.h.
 */
final class NativeCore {
    /** Raised with every change to a signature or record, here and in native_core.c. */
    static final int ABI_VERSION = 5;

    /** For {@link #setting}. */
    static final int SETTING_FIELDS = 0;
    static final int SETTING_START_WAIT_MS = 1;
    static final int SETTING_PROBE_MAX = 2;
    static final int SETTING_LET_RETRY = 3;
    static final int SETTING_FETCH_PAUSE_MS = 4;
    /** As long as {@link #setAudit} was not called: what the decision log records. */
    static final int SETTING_AUDIT_MASK = 5;

    /** What {@link #probe} returns instead of a number of actions. */
    static final int PROBE_STALE = -1;
    /** Beside that number: there are decisions to be refreshed. */
    static final int PROBE_LATE = 1 << 30;

    /** An answer: the outcome in the low bits; the rest says where it came from. */
    static final int ANSWER_OUTCOME_MASK = 3;
    static final int ANSWER_ALLOW = 1;
    /** The source in the next bits. */
    static final int ANSWER_SOURCE_MASK = 7 << 2;
    static final int ANSWER_FROM_CACHE = 2 << 2;
    static final byte ANSWER_CACHED_ALLOW = ANSWER_FROM_CACHE | ANSWER_ALLOW;
    /** In an outcome: there is no decision, UNDEFINED or UNAVAILABLE. */
    static final int ANSWER_UNDECIDED = 2;
    static final byte ANSWER_MISS = 0x20;

    /** For {@link #setAudit}: which audit lines somebody reads. */
    static final int AUDIT_DENIED = 1;
    static final int AUDIT_ALLOWED = 2;
    /** Beside them: which decisions the decision log records. */
    static final int AUDIT_RECORD_DENIED = 4;
    static final int AUDIT_RECORD_ALLOWED = 8;
    /** Whatever did not come from the cache. */
    static final int AUDIT_RECORD_UNCACHED = 16;

    /** Levels of {@link #log} and of drained lines. */
    static final int LOG_ERROR = 0;
    static final int LOG_WARN = 1;
    static final int LOG_INFO = 2;
    static final int LOG_DEBUG = 3;

    private NativeCore() {
    }

    static native int abiVersion();

    /**
     * A new core for settings given as key, value by turns.
     *
     * @throws IllegalArgumentException with a text for the operator
     */
    static native long create(byte[][] settings);

    static native long setting(long core, int which);

    static native void setClusterId(long core, byte[] id);

    /** The I/O thread's body; returns after {@link #stop}. */
    static native void run(long core);

    /**
     * Waits for log lines: u8 target, u8 level, u16 length (little-endian), text, one after the
     * other. Returns their bytes in all: 0 after the timeout, and when the core is stopped and
     * every line taken; negative if the core is gone.
     */
    static native int drain(long core, byte[] buffer, int timeoutMs);

    static native void setAudit(long core, int mask);

    static native void log(long core, int level, byte[] text);

    /** A handle for a context record; 0 if it is refused. */
    static native long register(long core, byte[] context, int length);

    /**
     * Answers from local rules and the cache alone. Returns how many of the request's actions are
     * not allowed, with {@link #PROBE_LATE} if {@link #refresh} is to be called; or {@link
     * #PROBE_STALE}; or another negative number: all are denied. Where all are allowed, {@code
     * answers} is written only if somebody reads that.
     */
    static native int probe(long core, long handle, byte[] request, int length, byte[] answers);

    /** Answers completely, waiting for OPA where need be. Not 0: all are denied. */
    static native int authorize(long core, byte[] context, int contextLength, byte[] request,
                                int length, int count, int deadlineCapMs, byte[] answers);

    /** Has OPA asked in the background for those actions whose decisions expire soon. */
    static native void refresh(long core, byte[] context, int contextLength, byte[] request,
                               int length, int count);

    /**
     * Audit lines, and the decision log, for answers that are final.
     *
     * @param context its record; null if nothing could be asked
     * @param tookNanos 0: not measured
     */
    static native void audit(long core, byte[] principal, byte[] address, byte[] api,
                             byte[] context, long tookNanos, byte[] request, int length, int count,
                             byte[] answers);

    static native void flush(long core);

    /** Whether OPA answers; waits for that as long as told. */
    static native boolean waitReady(long core, long timeoutMs);

    static native long metric(long core, int which);

    /** Name and help of every metric, by turns. */
    static native String[] metricNames();

    static native void stop(long core);

    /** Stops the core and waits until every call inside it has returned. */
    static native void destroy(long core);

    /**
     * The subject record, the certificate record, and the end of validity as a little-endian i64.
     *
     * @throws IllegalArgumentException with the reason
     */
    static native byte[][] parseCertificate(byte[] der);
}
