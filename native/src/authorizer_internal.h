/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file authorizer_internal.h
 * What the authorizer's files share; private to them.
 *
 *   authorizer.c       making and ending it, probes, the scribe's round, what others set and read
 *   authorizer_call.c  calls that may ask OPA, and refreshes
 */
#ifndef DOORKEEPER_AUTHORIZER_INTERNAL_H
#define DOORKEEPER_AUTHORIZER_INTERNAL_H

#include "decision_log.h"
#include "denials.h"
#include "doorkeeper/authorizer.h"
#include "doorkeeper/cache.h"
#include "doorkeeper/context_table.h"
#include "doorkeeper/log.h"
#include "doorkeeper/resolver.h"
#include "rules.h"
#include "tls_watch.h"
#include "token_watch.h"
#include "warm_start.h"

#include <stdatomic.h>

struct dk_authorizer {
    struct dk_config config;
    struct dk_hash_key hash_key;
    struct dk_cache *cache;
    struct dk_context_table *contexts;
    struct dk_metrics *metrics;
    struct dk_log *log;
    struct dk_denials *denials;
    struct dk_question_ring *decided;  /**< for `questions`; NULL as it is */
    struct dk_decision_log *decisions; /**< NULL: nothing is recorded */
    struct dk_resolver *resolver;
    _Atomic bool stopped;        /**< a flag only: it publishes nothing, so relaxed will do */
    _Atomic uint32_t audit_mask; /**< likewise */
    uint32_t record_mask;        /**< what the decision log is given, as in `audit_mask` */

    /* The scribe's alone. */
    struct dk_token_watch token;
    bool token_waits; /**< the token in use is not yet the resolver's */
    struct dk_tls_watch tls;
    struct dk_file_watch flush_file;
    struct dk_log_limit flush_limit;
    int64_t next_look_ms;
    struct dk_question_directory *questions; /**< NULL: nobody needs their text */
    struct dk_warm_start *warm;              /**< NULL: off */
};

/** What a call decided, added to the shared counters once. */
struct tally {
    size_t rules, hits, misses, allowed, denied, stale, undefined, unavailable;
};

bool dk_is_stopped(const struct dk_authorizer *authorizer);
/** DK_ANSWER_MISS unless it is fresh. */
dk_answer dk_answer_of_hit(struct dk_hit hit);
/** Of a call whose answers are final. `tally` knows its hits and misses. */
void dk_count_answers(struct dk_authorizer *authorizer, struct tally *tally,
                      const dk_answer *answers, size_t actions);

#endif
