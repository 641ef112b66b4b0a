/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file replay_table.h
 * The distinct questions of a log, how often each got which answer, and when first and last.
 *
 * Memory grows with distinct questions and answers, not with the log. An event whose text was seen
 * before (rule, input, result) costs one keyed hash and one look-up; only a new one is parsed.
 * One thread.
 */
#ifndef DOORKEEPER_CLI_REPLAY_TABLE_H
#define DOORKEEPER_CLI_REPLAY_TABLE_H

#include "doorkeeper/outcome.h"
#include "doorkeeper/question.h"
#include "log_event.h"

struct dk_replay_options {
    const char *rule;      /**< ask this rule instead of the recorded ones; NULL: the recorded */
    const char *principal; /**< filters, see question_facts.h; NULL: all */
    const char *resource;
    uint64_t sample;  /**< keep one question of this many; 1: all */
    bool has_against; /**< recorded results are not compared with */
    bool knows_time;  /**< OPA is told when it is, so what used the time can be asked again */
};

/** A result: an outcome, or (`other` not 0) any other JSON value by its hash. */
struct dk_replay_result {
    enum dk_outcome outcome;
    uint64_t other;
};

struct dk_replay_rule {
    const char *path;
    bool batch_seen; /**< recorded in the batch form */
};

#define DK_REPLAY_NO_CONTEXT UINT32_MAX

struct dk_replay_question {
    uint32_t rule;
    uint32_t context;                   /**< DK_REPLAY_NO_CONTEXT: not a question of Doorkeeper's */
    struct dk_bytes text;               /**< the action's record, or the whole input as JSON */
    bool needed;                        /**< something recorded about it can be compared */
    struct dk_replay_result results[2]; /**< of --policy and --against; zeroed: a denial */
};

/** One answer that was recorded for one question. */
struct dk_replay_row {
    uint32_t question;
    struct dk_replay_result result;
    bool reproducible;
    uint64_t count;
    int64_t first_ns, last_ns;
};

struct dk_replay_tally {
    uint64_t events;    /**< decisions of the log, as events */
    uint64_t decisions; /**< as single questions, by count */
    uint64_t polls;     /**< events */
    uint64_t filtered;  /**< decisions left out by filters or sampling */
    int64_t first_ns, last_ns;
};

struct dk_replay_table;

DK_WARN_UNUSED enum dk_error dk_replay_table_new(const struct dk_replay_options *options,
                                                 struct dk_replay_table **out);
/** NULL is allowed. */
void dk_replay_table_destroy(struct dk_replay_table *table);

/**
 * DK_ERR_MALFORMED: the input cannot be asked again, and `why` says so; DK_ERR_MEMORY. On an error
 * some questions of a batch may have been counted.
 */
DK_WARN_UNUSED enum dk_error dk_replay_table_add(struct dk_replay_table *table,
                                                 const struct dk_log_event *event,
                                                 struct dk_error_text *why);

const struct dk_replay_tally *dk_replay_table_tally(const struct dk_replay_table *table);
size_t dk_replay_table_rules(const struct dk_replay_table *table);
const struct dk_replay_rule *dk_replay_table_rule(const struct dk_replay_table *table, size_t i);
size_t dk_replay_table_questions(const struct dk_replay_table *table);
struct dk_replay_question *dk_replay_table_question(struct dk_replay_table *table, size_t i);
size_t dk_replay_table_rows(const struct dk_replay_table *table);
const struct dk_replay_row *dk_replay_table_row(const struct dk_replay_table *table, size_t i);
/** NULL for DK_REPLAY_NO_CONTEXT. */
const struct dk_context *dk_replay_table_context(const struct dk_replay_table *table, uint32_t i);

/** Appends {"input": …}, as the question is asked alone. */
void dk_replay_table_write(const struct dk_replay_table *table,
                           const struct dk_replay_question *question, struct dk_writer *out);

/** The result in an answer of OPA or an event (ptr NULL: none). `strict`: only true and false are
 *  answers, as for the questions of Doorkeeper. */
struct dk_replay_result dk_replay_result_of(struct dk_bytes result, bool strict);
bool dk_replay_result_equal(struct dk_replay_result a, struct dk_replay_result b);

#endif
