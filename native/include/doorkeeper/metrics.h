/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file metrics.h
 * Counters. Adding is wait-free on any thread (spread over padded shards); reading adds the shards
 * up and may miss additions that are under way. What the metrics mean is dk_authorizer_metric's to
 * say: LOG_DROPPED, BREAKER and DENY_ENTRIES are not kept here, ALLOWED is kept without the hits.
 */
#ifndef DOORKEEPER_METRICS_H
#define DOORKEEPER_METRICS_H

#include "doorkeeper/error.h"

/* X(constant, name as in JMX, help) */
#define DK_METRICS(X)                                                                              \
    X(CALLS, "calls",                                                                              \
      "authorize() calls; a list of more than 128 actions may count more than once")               \
    X(ALLOWED, "allowed", "actions allowed")                                                       \
    X(DENIED, "denied", "actions denied, whatever the reason")                                     \
    X(RULES, "rules", "actions decided by a local rule")                                           \
    X(HITS, "hits", "actions answered by the cache")                                               \
    X(MISSES, "misses", "actions that the cache could not answer")                                 \
    X(JOINED, "joined", "misses that joined a question already under way")                         \
    X(QUESTIONS, "questions", "questions put to OPA")                                              \
    X(REFRESHES, "refreshes", "questions put to OPA again before their decision expired")          \
    X(REQUESTS, "opa-requests", "HTTP requests sent to OPA, polls not counted")                    \
    X(POLLS, "opa-polls", "readiness and revision polls")                                          \
    X(STALE, "stale", "actions allowed past their TTL, because OPA gave no valid answer")          \
    X(UNDEFINED, "undefined", "actions that OPA left undefined")                                   \
    X(UNAVAILABLE, "unavailable", "actions without a valid answer in time")                        \
    X(TIMEOUTS, "timeouts", "calls that reached their deadline")                                   \
    X(REFUSED, "refused", "actions refused by a cap: waiting threads, queue, principal's share")   \
    X(FAILURES, "opa-failures", "HTTP requests to OPA that failed or were not understood")         \
    X(SPLITS, "batch-splits", "batches asked again in halves")                                     \
    X(EPOCHS, "epochs", "times every cached decision was made unreachable")                        \
    X(UNREACHABLE, "unreachable-decisions", "decisions put into the cache before an epoch ended")  \
    X(OPA_MICROS, "opa-time-us", "microseconds spent waiting for OPA's answers, summed")           \
    X(BREAKER, "breaker", "circuit breaker now: 0 closed, 1 half-open, 2 open")                    \
    X(LOG_DROPPED, "log-dropped", "log lines lost to a full ring")                                 \
    X(DECISIONS_RECORDED, "decisions-recorded", "decisions written to the decision log")           \
    X(DECISIONS_LOST, "decisions-lost", "decisions that the decision log could not take")          \
    X(DENY_ENTRIES, "deny-entries", "entries of the deny list that are in force now")              \
    X(WARM_QUESTIONS, "warm-start-questions",                                                      \
      "questions of before the start, put to OPA again because of the warm start")

enum dk_metric {
#define DK_METRIC_ENUM(constant, name, help) DK_METRIC_##constant,
    DK_METRICS(DK_METRIC_ENUM)
#undef DK_METRIC_ENUM
        DK_METRIC_COUNT
};

struct dk_metrics;

DK_WARN_UNUSED enum dk_error dk_metrics_new(struct dk_metrics **out);
void dk_metrics_destroy(struct dk_metrics *metrics);
/** Wait-free. */
void dk_metrics_add(struct dk_metrics *metrics, enum dk_metric metric, uint64_t amount);
uint64_t dk_metrics_read(const struct dk_metrics *metrics, enum dk_metric metric);
/** The name and help of `metric`, static. */
const char *dk_metric_name(enum dk_metric metric);
const char *dk_metric_help(enum dk_metric metric);

#endif
