// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.kafka;

import java.util.HashMap;
import java.util.Map;
import java.util.SortedMap;
import org.apache.kafka.common.config.ConfigException;
import org.apache.kafka.server.authorizer.AuthorizableRequestContext;

/**
 * One native core with its two daemon threads. Authorizers with equal settings share it, so that
 * the two of a combined node have one cache and ask OPA once; the last one to release it ends it.
 *
 * <p>Any thread. Every method may be called after the end, too: questions are denied then, numbers
 * are 0, the rest does nothing.
 */
final class Core {
    private static final Map<SortedMap<String, String>, Core> SHARED = new HashMap<>();
    /** Log lines that are still to be written must not hold up a broker that ends. */
    private static final long LAST_LINES_MS = 5000;

    private final SortedMap<String, String> settings;
    private final long handle;
    private final int fieldGroups;
    private final int probeMax;
    private final long startWaitMs;
    private final boolean letsRetry;
    private final long fetchPauseMs;
    private final int recordMask;
    private final Scribe scribe;
    private final Thread scribeThread;
    private final Thread ioThread;
    private int users; // guarded by SHARED

    private Core(SortedMap<String, String> settings) {
        this.settings = settings;
        this.handle = create(settings);
        this.fieldGroups = (int) NativeCore.setting(handle, NativeCore.SETTING_FIELDS);
        this.probeMax = (int) NativeCore.setting(handle, NativeCore.SETTING_PROBE_MAX);
        this.startWaitMs = NativeCore.setting(handle, NativeCore.SETTING_START_WAIT_MS);
        this.letsRetry = NativeCore.setting(handle, NativeCore.SETTING_LET_RETRY) != 0;
        this.fetchPauseMs = NativeCore.setting(handle, NativeCore.SETTING_FETCH_PAUSE_MS);
        this.recordMask = (int) NativeCore.setting(handle, NativeCore.SETTING_AUDIT_MASK);
        this.scribe = new Scribe(handle);
        this.scribeThread = daemon("doorkeeper-scribe", scribe);
        this.ioThread = daemon("doorkeeper-io", () -> NativeCore.run(handle));
    }

    /**
     * The core for these settings, running; to be released once.
     *
     * @throws ConfigException with the core's text if a setting is wrong
     */
    static Core acquire(SortedMap<String, String> settings) {
        synchronized (SHARED) {
            Core core = SHARED.get(settings);
            if (core == null) {
                core = new Core(settings);
                core.startThreads();
                SHARED.put(settings, core);
            }
            core.users++;
            return core;
        }
    }

    /** Ends the core with its last user: no call waits in it any longer, the last lines are out. */
    void release() {
        synchronized (SHARED) {
            users--;
            if (users > 0) {
                return;
            }
            SHARED.remove(settings);
        }
        scribe.stop();
        try {
            scribeThread.join(LAST_LINES_MS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private static long create(SortedMap<String, String> settings) {
        byte[][] pairs = new byte[2 * settings.size()][];
        int next = 0;
        for (Map.Entry<String, String> setting : settings.entrySet()) {
            pairs[next++] = Utf8.encodeLossy(setting.getKey());
            pairs[next++] = Utf8.encodeLossy(setting.getValue());
        }
        try {
            return NativeCore.create(pairs);
        } catch (IllegalArgumentException | IllegalStateException e) {
            throw new ConfigException(e.getMessage());
        }
    }

    private static Thread daemon(String name, Runnable body) {
        Thread thread = new Thread(body, name);
        thread.setDaemon(true);
        return thread;
    }

    private void startThreads() {
        try {
            ioThread.start();
            scribeThread.start();
        } catch (OutOfMemoryError e) {
            NativeCore.destroy(handle); // no thread could be had; the core must not stay without
            throw e;
        }
    }

    /** Which groups of fields a question carries, see {@link ContextEncoder}. */
    int fieldGroups() {
        return fieldGroups;
    }

    /** How many actions one {@link #probe} takes. */
    int probeMax() {
        return probeMax;
    }

    long startWaitMs() {
        return startWaitMs;
    }

    /** Whether a client may be told to ask again where there is no decision. */
    boolean letsRetry() {
        return letsRetry;
    }

    /** How long a client is kept away whose fetch has no decision; 0: not at all. */
    long fetchPauseMs() {
        return fetchPauseMs;
    }

    /** Which decisions somebody reads: {@link NativeCore#AUDIT_DENIED} and so on. */
    int auditMask() {
        return scribe.auditMask() | recordMask;
    }

    /** Whether the decision log is told of single decisions from the cache, too. */
    boolean recordsHits() {
        return (recordMask & ~NativeCore.AUDIT_RECORD_UNCACHED) != 0;
    }

    /** Whether there is a decision log. */
    boolean records() {
        return recordMask != 0;
    }

    void setClusterId(String id) {
        NativeCore.setClusterId(handle, Utf8.encodeLossy(id));
    }

    /** True as soon as OPA answers; false if it does not within doorkeeper.start.wait.ms. */
    boolean awaitReady() {
        return NativeCore.waitReady(handle, startWaitMs);
    }

    long register(byte[] context) {
        return NativeCore.register(handle, context, context.length);
    }

    int probe(long context, RequestEncoder request, byte[] answers) {
        return NativeCore.probe(handle, context, request.buffer(), request.length(), answers);
    }

    /** False: every action is denied, and {@code answers} says nothing. */
    boolean authorize(byte[] context, RequestEncoder request, int count, int deadlineCapMs,
                      byte[] answers) {
        return NativeCore.authorize(handle, context, context.length, request.buffer(),
                request.length(), count, deadlineCapMs, answers) == 0;
    }

    void refresh(byte[] context, RequestEncoder request, int count) {
        NativeCore.refresh(handle, context, context.length, request.buffer(), request.length(),
                count);
    }

    /**
     * One line for each action of the request that its flags and {@link #auditMask} ask for, and
     * what the decision log records.
     */
    void audit(AuthorizableRequestContext context, byte[] record, long tookNanos,
               RequestEncoder request, int count, byte[] answers) {
        String address = context.clientAddress() == null
                ? "unknown" : ContextEncoder.text(context.clientAddress());
        NativeCore.audit(handle, Utf8.encodeLossy(context.principal().toString()),
                Utf8.encodeLossy(address),
                Utf8.encodeLossy(ApiNames.spoken(context.requestType())), record, tookNanos,
                request.buffer(), request.length(), count, answers);
    }

    /** Makes every cached decision unreachable. */
    void flush() {
        NativeCore.flush(handle);
    }

    long metric(int which) {
        return NativeCore.metric(handle, which);
    }

    /** Writes a line by way of the scribe, so that a slow log delays nobody. */
    void log(int level, String text) {
        NativeCore.log(handle, level, Utf8.encodeLossy(text));
    }

    boolean isStopped() {
        return scribe.isStopped();
    }
}
