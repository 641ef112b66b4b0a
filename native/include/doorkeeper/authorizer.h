/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file authorizer.h
 * The façade: what a broker (through jni/) or a test calls. Ties local rules, cache and resolver
 * together, counts, and writes audit lines.
 *
 * A caller has two ways. dk_authorizer_probe answers from local rules and the cache alone, for a
 * context that was registered before; what it cannot answer goes through dk_authorizer_authorize,
 * which is complete by itself.
 */
#ifndef DOORKEEPER_AUTHORIZER_H
#define DOORKEEPER_AUTHORIZER_H

#include "doorkeeper/audit.h"
#include "doorkeeper/config.h"
#include "doorkeeper/metrics.h"
#include "doorkeeper/outcome.h"
#include "doorkeeper/question.h"

struct dk_authorizer;

#define DK_PROBE_MAX 128u

/** What a probe found. */
struct dk_probed {
    size_t count;       /**< actions in the request */
    size_t not_allowed; /**< of them, DK_ANSWER_MISS included */
    size_t late;        /**< answered, but soon to be asked anew: see dk_authorizer_refresh */
};

/**
 * `config` is taken over (moved), also on failure. Reads the files that the settings name, and
 * allocates all memory that there will be, save what a call needs while it waits, and later deny
 * lists. `why` names the setting for DK_ERR_CONFIG. On failure `*out` is NULL.
 */
DK_WARN_UNUSED enum dk_error dk_authorizer_new(struct dk_config *config, struct dk_authorizer **out,
                                               struct dk_error_text *why);
/** After dk_authorizer_stop, and after run, drain and every other call have returned. */
void dk_authorizer_destroy(struct dk_authorizer *authorizer);
const struct dk_config *dk_authorizer_config(const struct dk_authorizer *authorizer);
/** What it holds at most, the queue's budget included; what curl and a waiting call take comes on
 *  top. */
size_t dk_authorizer_memory_bytes(const struct dk_authorizer *authorizer);

/** The I/O thread's body; returns after dk_authorizer_stop. */
void dk_authorizer_run(struct dk_authorizer *authorizer);
/**
 * The scribe's body, one round: log lines as dk_log_drain gives them; between rounds it looks
 * after files (deny list, flush file, token). Returns 0 after `timeout_ms` without lines.
 */
size_t dk_authorizer_drain(struct dk_authorizer *authorizer, uint8_t *out, size_t capacity,
                           int timeout_ms);
/**
 * Any thread, may be called again: ends run, waiting calls and a waiting drain. Later calls of
 * dk_authorizer_authorize answer DK_UNAVAILABLE, of dk_authorizer_probe DK_ERR_CLOSED.
 */
void dk_authorizer_stop(struct dk_authorizer *authorizer);

/**
 * Any thread. Remembers a context; the handle is never 0. DK_ERR_MALFORMED, DK_ERR_TOO_LARGE,
 * DK_ERR_CLOSED.
 */
DK_WARN_UNUSED enum dk_error dk_authorizer_register(struct dk_authorizer *authorizer,
                                                    struct dk_bytes context, uint64_t *handle);

/**
 * Wait-free. `request`: up to DK_PROBE_MAX actions; `answers` has room for as many. DK_OK, or
 * DK_ERR_STALE (register and try again: the handle is unknown, or older than the deny list),
 * DK_ERR_MALFORMED, DK_ERR_TOO_LARGE (too many actions), DK_ERR_CLOSED: then `out` is all 0,
 * `answers` is not to be read, every action is to be denied.
 *
 * What is not a miss is final and counted; misses are counted by dk_authorizer_authorize, which is
 * to be asked for those alone. Where an entry of the deny list fits the context, all are misses.
 */
DK_WARN_UNUSED enum dk_error dk_authorizer_probe(struct dk_authorizer *authorizer, uint64_t handle,
                                                 struct dk_bytes request, dk_answer *answers,
                                                 struct dk_probed *out);

/**
 * Any thread but the I/O thread. Decides `count` actions, waiting for OPA where need be: at most
 * doorkeeper.deadline.ms plus 50 µs an action, 2 s, and `deadline_cap_ms` (0: no cap). What has no
 * answer then is the last known allow where doorkeeper.on.unavailable says so, or keeps its outcome
 * for the caller to deal with. `request`
 * holds exactly `count` actions and `answers` has room for as many; at most DK_AUTHORIZE_MAX. On
 * any error (DK_ERR_MALFORMED, DK_ERR_TOO_LARGE, DK_ERR_MEMORY) every answer is a denial.
 */
#define DK_AUTHORIZE_MAX 1000000u
DK_WARN_UNUSED enum dk_error dk_authorizer_authorize(struct dk_authorizer *authorizer,
                                                     struct dk_bytes context,
                                                     struct dk_bytes request, size_t count,
                                                     int64_t deadline_cap_ms, dk_answer *answers);

/**
 * Any thread, does not wait: has OPA asked in the background for those of `count` actions whose
 * decisions are in the last quarter of their TTL. dk_authorizer_authorize does so by itself. Asks
 * for nothing while the breaker is open, and while a quarter of the queue is taken.
 */
void dk_authorizer_refresh(struct dk_authorizer *authorizer, struct dk_bytes context,
                           struct dk_bytes request, size_t count);

/** `mask`: DK_AUDIT_DENIED, DK_AUDIT_ALLOWED. */
void dk_authorizer_set_audit(struct dk_authorizer *authorizer, uint32_t mask);
/** Any thread, wait-free: the same, and what the decision log records. */
uint32_t dk_authorizer_audit_mask(const struct dk_authorizer *authorizer);

/**
 * Any thread, never blocks: writes the audit lines, honouring the actions' log flags and the mask,
 * and hands the call to the decision log.
 */
void dk_authorizer_audit(struct dk_authorizer *authorizer, const struct dk_decided_call *call);

/** Any thread: makes every cached decision unreachable. */
void dk_authorizer_flush(struct dk_authorizer *authorizer);
DK_WARN_UNUSED enum dk_error dk_authorizer_set_cluster_id(struct dk_authorizer *authorizer,
                                                          struct dk_bytes cluster_id);
bool dk_authorizer_wait_ready(struct dk_authorizer *authorizer, int64_t timeout_ms);
uint64_t dk_authorizer_metric(const struct dk_authorizer *authorizer, enum dk_metric metric);

/** For the I/O of a line from the Java side (start-up, identity refusals), escaped by the caller.
 */
struct dk_log *dk_authorizer_log(struct dk_authorizer *authorizer);

#endif
