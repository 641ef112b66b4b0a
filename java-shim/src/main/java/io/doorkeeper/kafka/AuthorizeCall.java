// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.kafka;

import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import org.apache.kafka.server.authorizer.Action;
import org.apache.kafka.server.authorizer.AuthorizableRequestContext;
import org.apache.kafka.server.authorizer.AuthorizationResult;

/**
 * One authorize() call: what of it the cache knows is answered chunk by chunk, all the rest by one
 * question to the core. Reused by its thread for one call after the other; what is not answered
 * otherwise is denied.
 */
final class AuthorizeCall {
    private static final int ROOM_MIN = 128;
    /** Arrays for more actions than this are given back after the call. */
    private static final int KEEP_MAX = 4096;

    private final RequestEncoder request = new RequestEncoder();
    private Action[] actions;
    private boolean named;
    /** One for each action, see NativeCore; 0 is "denied by nobody". */
    private byte[] answers = new byte[0];
    /** The actions that are still to be asked. */
    private int[] open = new int[0];
    private int openCount;
    private boolean undecided;
    private long startedNanos;
    /** The actions of the native call at hand, and what it answered. */
    private int[] asked = new int[0];
    private byte[] replies = new byte[0];

    /** {@code named} false: for any resource of the actions' types, see authorizeByResourceType. */
    void begin(Action[] actions, boolean named) {
        this.actions = actions;
        this.named = named;
        openCount = 0;
        undecided = false;
        startedNanos = 0;
        if (answers.length < actions.length) {
            makeRoom(Math.max(actions.length, ROOM_MIN));
        }
        Arrays.fill(answers, 0, actions.length, (byte) 0);
    }

    /** Forgets the call, and large arrays with it. */
    void end() {
        actions = null;
        request.release();
        if (answers.length > KEEP_MAX) {
            makeRoom(ROOM_MIN);
        }
    }

    private void makeRoom(int count) {
        answers = new byte[count];
        open = new int[count];
        asked = new int[count];
        replies = new byte[count];
    }

    void decide(Core core, KnownContext context, int deadlineCapMs) {
        startedNanos = core.recordsHits() ? System.nanoTime() : 0;
        if (context.record() == null) {
            return;
        }
        if (context.isKept()) {
            probe(core, context);
        } else {
            openAll(0, actions.length);
        }
        if (openCount > 0) {
            ask(core, context, deadlineCapMs);
        }
    }

    /** Whether there is an action that nobody decided. */
    boolean isUndecided() {
        return undecided;
    }

    List<AuthorizationResult> results() {
        int allowed = 0;
        for (int i = 0; i < actions.length; i++) {
            allowed += isAllowed(i) ? 1 : 0;
        }
        if (allowed == actions.length) {
            return Collections.nCopies(allowed, AuthorizationResult.ALLOWED);
        }
        AuthorizationResult[] results = new AuthorizationResult[actions.length];
        for (int i = 0; i < results.length; i++) {
            results[i] = isAllowed(i) ? AuthorizationResult.ALLOWED : AuthorizationResult.DENIED;
        }
        return Arrays.asList(results);
    }

    /** Writes what somebody reads of these decisions. */
    void audit(Core core, AuthorizableRequestContext context, KnownContext known) {
        int mask = core.auditMask();
        if (mask == 0) {
            return;
        }
        request.clear();
        int lines = 0;
        for (int i = 0; i < actions.length; i++) {
            if (isAuditWanted(mask, i) && addForAudit(core, actions[i])) {
                replies[lines++] = answers[i];
            }
        }
        if (lines > 0) {
            long tookNanos = startedNanos == 0 ? 0 : System.nanoTime() - startedNanos;
            core.audit(context, known.record(), tookNanos, request, lines, replies);
        }
    }

    /** The decision log wants a name whole, where it can be had. */
    private boolean addForAudit(Core core, Action action) {
        return core.records() && request.add(action, named) || request.addForAudit(action, named);
    }

    private boolean isAllowed(int action) {
        return (answers[action] & NativeCore.ANSWER_OUTCOME_MASK) == NativeCore.ANSWER_ALLOW;
    }

    private boolean isFromCache(int action) {
        return (answers[action] & NativeCore.ANSWER_SOURCE_MASK) == NativeCore.ANSWER_FROM_CACHE;
    }

    /** The core decides this, too; here it spares encoding what nobody reads. */
    private boolean isAuditWanted(int mask, int action) {
        if ((mask & NativeCore.AUDIT_RECORD_UNCACHED) != 0 && !isFromCache(action)) {
            return true;
        }
        if (isAllowed(action)) {
            return (mask & NativeCore.AUDIT_RECORD_ALLOWED) != 0
                    || (mask & NativeCore.AUDIT_ALLOWED) != 0 && actions[action].logIfAllowed();
        }
        return (mask & NativeCore.AUDIT_RECORD_DENIED) != 0
                || (mask & NativeCore.AUDIT_DENIED) != 0 && actions[action].logIfDenied();
    }

    private void openAll(int from, int to) {
        for (int i = from; i < to; i++) {
            open[openCount++] = i;
        }
    }

    private void probe(Core core, KnownContext context) {
        int step = core.probeMax();
        for (int from = 0; from < actions.length; from += step) {
            probe(core, context, from, Math.min(from + step, actions.length));
        }
    }

    /** Answers what the cache knows of a chunk, and opens the rest of it. */
    private void probe(Core core, KnownContext context, int from, int to) {
        request.clear();
        int count = 0;
        for (int i = from; i < to; i++) {
            if (request.add(actions[i], named)) {
                asked[count++] = i;
            }
        }
        Arrays.fill(replies, 0, count, (byte) 0);
        int probed = core.probe(context.handle(core), request, replies);
        if (probed == NativeCore.PROBE_STALE) {
            probed = core.probe(context.registerAgain(core), request, replies);
        }
        if (probed == NativeCore.PROBE_STALE) {
            openAll(from, to);
        } else if (probed >= 0) {
            takeProbed(count, probed & ~NativeCore.PROBE_LATE);
            if ((probed & NativeCore.PROBE_LATE) != 0) {
                core.refresh(context.record(), request, count);
            }
        }
    }

    private void takeProbed(int count, int notAllowed) {
        // Where all are allowed the replies are still 0, as they were before, if nobody reads them.
        byte unwritten = notAllowed == 0 ? NativeCore.ANSWER_CACHED_ALLOW : 0;
        for (int i = 0; i < count; i++) {
            if (replies[i] == NativeCore.ANSWER_MISS) {
                open[openCount++] = asked[i];
            } else {
                answers[asked[i]] = replies[i] == 0 ? unwritten : replies[i];
            }
        }
    }

    /** Asks the core for everything that is open. */
    private void ask(Core core, KnownContext context, int deadlineCapMs) {
        if (startedNanos == 0 && core.records()) {
            startedNanos = System.nanoTime();
        }
        request.clear();
        int count = 0;
        for (int i = 0; i < openCount; i++) {
            if (request.add(actions[open[i]], named)) {
                asked[count++] = open[i];
            }
        }
        if (count > 0 && core.authorize(context.record(), request, count, deadlineCapMs, replies)) {
            for (int i = 0; i < count; i++) {
                answers[asked[i]] = replies[i];
                undecided |= (replies[i] & NativeCore.ANSWER_UNDECIDED) != 0;
            }
        }
    }
}
