/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file resolver.h
 * Turns cache misses into decisions: one flight a question and epoch, batches, fairness between
 * principals, one deadline a call. The only place that knows of OPA above the protocol, and the
 * seam behind which another evaluator could stand.
 *
 * Counts JOINED, QUESTIONS, REQUESTS, POLLS, TIMEOUTS, REFUSED, FAILURES, SPLITS, OPA_MICROS and
 * the EPOCHS of changed revisions; what became of the actions is counted by who asks.
 *
 * Until the first poll is answered calls are asked like any other. A timeout, a lost connection, a
 * failed poll and a policy that fails for everything open the breaker: calls then end at once,
 * until a poll (every 100 ms) is answered with a result.
 */
#ifndef DOORKEEPER_RESOLVER_H
#define DOORKEEPER_RESOLVER_H

#include "doorkeeper/breaker.h"
#include "doorkeeper/cache.h"
#include "doorkeeper/config.h"
#include "doorkeeper/http.h"
#include "doorkeeper/log.h"
#include "doorkeeper/metrics.h"
#include "doorkeeper/opa.h"

struct dk_resolver;
struct dk_question_ring;

/** What the resolver works with; borrowed, must outlive it. */
struct dk_resolver_parts {
    const struct dk_config *config;
    struct dk_cache *cache;
    struct dk_metrics *metrics;
    struct dk_log *log;
    struct dk_http_pem pem;           /**< for TLS; copied */
    struct dk_question_ring *decided; /**< gets every question that is decided; NULL: nobody's */
};

/** On failure `why` says what is wrong. */
DK_WARN_UNUSED enum dk_error dk_resolver_new(const struct dk_resolver_parts *parts,
                                             struct dk_resolver **out, struct dk_error_text *why);
/** After dk_resolver_run has returned and no call is under way. NULL is allowed. */
void dk_resolver_destroy(struct dk_resolver *resolver);
/** What it holds at most, the queue's budget included; curl's own buffers are not counted. */
size_t dk_resolver_memory_bytes(const struct dk_resolver *resolver);

/** The I/O thread's body: returns after dk_resolver_stop. Calls nobody outside the core. */
void dk_resolver_run(struct dk_resolver *resolver);
/** Any thread: every waiting and later call ends at once with DK_UNAVAILABLE. */
void dk_resolver_stop(struct dk_resolver *resolver);

/** How long a decision may be used, counted from when it was asked for: the TTL less up to a tenth,
 *  by `key`, so that decisions made together do not expire together. Any thread. */
int64_t dk_decision_ttl_ms(const struct dk_config *config, enum dk_outcome outcome,
                           struct dk_hash128 key);

struct dk_miss {
    struct dk_hash128 key; /**< of the action under the call's epoch */
    struct dk_action action;
    enum dk_outcome outcome; /**< written */
    enum dk_source source;   /**< written: opa; cache, if somebody else's answer came meanwhile; or
                                  none, where nobody could be asked */
};

/**
 * Any thread but the I/O thread. Waits for every miss, at most until `deadline_ms` (dk_clock_ms());
 * what has no answer by then is DK_UNAVAILABLE, its flight goes on and may still fill the cache.
 * Waits at most 20 ms if doorkeeper.waiting.threads calls wait already, and not at all while the
 * breaker is open. Each key belongs to one action under one epoch, made with dk_question_key.
 * `context` and the actions are copied before the wait. `epoch` was read before the keys were made.
 */
void dk_resolver_resolve(struct dk_resolver *resolver, const struct dk_context *context,
                         struct dk_miss *misses, size_t count, uint64_t epoch, int64_t deadline_ms);

/**
 * Any thread, does not wait: asks in the background for what is cached and late. Refused while the
 * breaker is open and while a quarter of the queue is taken; a question that is on its way already
 * is not asked again. As dk_resolver_resolve for the rest; outcomes are not written.
 */
void dk_resolver_refresh(struct dk_resolver *resolver, const struct dk_context *context,
                         struct dk_miss *late, size_t count, uint64_t epoch);

/**
 * Any thread, does not wait: asks in the background for what may be asked soon, if nothing else
 * needs OPA: with these at most DK_ASKED_AHEAD_MAX questions (and a quarter of the queue) are on
 * their way. False if there is no room now or the breaker is open: then none of them is asked.
 * What is cached or on its way already is not asked; `opened`: what is. As dk_resolver_refresh for
 * the rest.
 */
#define DK_ASKED_AHEAD_MAX 100u
DK_WARN_UNUSED bool dk_resolver_ask_ahead(struct dk_resolver *resolver,
                                          const struct dk_context *context, struct dk_miss *ahead,
                                          size_t count, uint64_t epoch, size_t *opened);
/** The largest `count` of it. */
size_t dk_resolver_ahead_max(const struct dk_resolver *resolver);
/** Any thread: whether no question is on its way. */
bool dk_resolver_is_idle(struct dk_resolver *resolver);

/** Wait-free: closed while any endpoint is up. */
enum dk_breaker_state dk_resolver_breaker_state(const struct dk_resolver *resolver);
/** Any thread: waits until OPA answered a poll, at most `timeout_ms`. Returns whether it has. */
bool dk_resolver_wait_ready(struct dk_resolver *resolver, int64_t timeout_ms);
/** Any thread: the cluster id that polls carry. May be called once or more; the last one holds. */
DK_WARN_UNUSED enum dk_error dk_resolver_set_cluster_id(struct dk_resolver *resolver,
                                                        struct dk_bytes cluster_id);
/** Any thread: appends that id; false if none was set yet. */
DK_WARN_UNUSED bool dk_resolver_cluster_id(struct dk_resolver *resolver, struct dk_writer *out);
/** Any thread: the revision that decisions are cached under, "" if none was seen. */
void dk_resolver_revision(struct dk_resolver *resolver, char out[DK_REVISION_MAX]);
/** Any thread: a new bearer token, empty for none. */
DK_WARN_UNUSED enum dk_error dk_resolver_set_token(struct dk_resolver *resolver,
                                                   struct dk_bytes token);

/** Any thread: other PEM texts for TLS, as dk_http_set_pem. */
DK_WARN_UNUSED enum dk_error dk_resolver_set_pem(struct dk_resolver *resolver,
                                                 const struct dk_http_pem *pem,
                                                 struct dk_error_text *why);

#endif
