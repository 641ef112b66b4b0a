/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file decision_log.h
 * Decisions, recorded one JSON object a line in the shape of OPA's decision log; docs/audit.md has
 * the format. Request threads put calls into a ring, the scribe writes them.
 */
#ifndef DOORKEEPER_DECISION_LOG_H
#define DOORKEEPER_DECISION_LOG_H

#include "doorkeeper/authorizer.h"
#include "doorkeeper/config.h"
#include "doorkeeper/log.h"

struct dk_decision_log;

/** `config`, `log` and `metrics` are borrowed. Opens the file: DK_ERR_CONFIG says why not. Where
 * the setting is empty `*out` is NULL, which every function below takes for "off". */
DK_WARN_UNUSED enum dk_error dk_decision_log_new(const struct dk_config *config,
                                                 struct dk_metrics *metrics, struct dk_log *log,
                                                 struct dk_decision_log **out,
                                                 struct dk_error_text *why);
/** No other thread may still use it: writes what is left. */
void dk_decision_log_destroy(struct dk_decision_log *decisions);
/** 0 where it is off. */
size_t dk_decision_log_memory_bytes(const struct dk_decision_log *decisions);

/** Any thread, never waits: what finds no room is lost and counted. */
void dk_decision_log_put(struct dk_decision_log *decisions, const struct dk_decided_call *call,
                         const char *revision);
/** Scribe only: writes what is there, and looks after the files. Returns how soon the next round
 *  should come, in milliseconds, at most `at_most_ms`. */
int64_t dk_decision_log_round(struct dk_decision_log *decisions, int64_t at_most_ms);

#endif
