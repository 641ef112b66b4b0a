/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file decision_log.h
 * Decisions, recorded as lines (decision_line.h). Request threads put calls into a ring, the scribe
 * writes them.
 *
 * In mode `aggregated` what came from the cache is not put into the ring: the cache counts its
 * hits, and once a period the scribe takes the counts and finds the questions in the directory.
 * What did not come from the cache is written when it is the first of its kind in the period, and
 * counted in the directory after that. A decision that cannot be attributed any more is lost and
 * counted.
 */
#ifndef DOORKEEPER_DECISION_LOG_H
#define DOORKEEPER_DECISION_LOG_H

#include "doorkeeper/audit.h"
#include "doorkeeper/cache.h"
#include "doorkeeper/config.h"
#include "doorkeeper/log.h"
#include "doorkeeper/metrics.h"
#include "question_directory.h"

struct dk_decision_log;

/** What it works with; borrowed, must outlive it. */
struct dk_decision_log_parts {
    const struct dk_config *config;
    const struct dk_hash_key *hash_key;
    struct dk_cache *cache;                  /**< counts hits in mode `aggregated` */
    struct dk_question_directory *questions; /**< NULL but in mode `aggregated` */
    struct dk_metrics *metrics;
    struct dk_log *log;
};

/** Opens the file: DK_ERR_CONFIG says why not. Where the setting is empty `*out` is NULL, which
 *  every function below takes for "off". */
DK_WARN_UNUSED enum dk_error dk_decision_log_new(const struct dk_decision_log_parts *parts,
                                                 struct dk_decision_log **out,
                                                 struct dk_error_text *why);
/** No other thread may still use it: writes what is left. */
void dk_decision_log_destroy(struct dk_decision_log *decisions);
/** 0 where it is off. */
size_t dk_decision_log_memory_bytes(const struct dk_decision_log *decisions);

/** What it has to be given, of enum dk_audit_mask; for a `config` without a decision log, too. */
uint32_t dk_decision_log_mask(const struct dk_config *config);
/** Any thread, never waits: what finds no room is lost and counted. */
void dk_decision_log_put(struct dk_decision_log *decisions, const struct dk_decided_call *call,
                         const char *revision);
/** Scribe only: writes what is there, and looks after the files. `revision`: in force now. Returns
 *  how soon the next round should come, in milliseconds, at most `at_most_ms`. */
int64_t dk_decision_log_round(struct dk_decision_log *decisions, const char *revision,
                              int64_t at_most_ms);

#endif
