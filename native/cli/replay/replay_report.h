/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file replay_report.h
 * What a replayed log says about a policy: every decision falls into one class, and those that are
 * not the same as before are grouped by who asked for what. One thread.
 */
#ifndef DOORKEEPER_CLI_REPLAY_REPORT_H
#define DOORKEEPER_CLI_REPLAY_REPORT_H

#include "replay_table.h"

enum dk_replay_class {
    DK_SAME,             /**< also: denied for want of an answer before, denied now */
    DK_NEWLY_DENIED,     /**< allowed before, denied now */
    DK_NEWLY_ALLOWED,    /**< not allowed before, for whatever reason */
    DK_NOW_UNDEFINED,    /**< the rule has no result now, and had one */
    DK_NOW_ERROR,        /**< no valid answer now: an error of the policy, a result of wrong type */
    DK_OTHERWISE,        /**< another JSON value than before, or one instead of yes and no */
    DK_NOT_REPRODUCIBLE, /**< not asked: a part is erased, or it rested on more than the input */
    DK_REPLAY_CLASSES,
};

/** "unchanged", "newly-denied", ... as in --fail-on. */
const char *dk_replay_class_name(enum dk_replay_class class);
enum dk_replay_class dk_replay_classify(struct dk_replay_result before,
                                        struct dk_replay_result now);
/** "ALLOW", "DENY", "UNDEFINED", "ERROR" or "other". */
const char *dk_replay_result_name(struct dk_replay_result result);

struct dk_replay_sum {
    uint64_t questions; /**< distinct */
    uint64_t decisions;
};

struct dk_replay_group {
    enum dk_replay_class class;
    struct dk_replay_result before, now;
    /** As in the input, not escaped; see question_facts.h. */
    struct dk_bytes principal, operation, resource;
    struct dk_replay_sum sum;
    int64_t first_ns, last_ns;
    uint32_t sample; /**< one of its questions */
};

/** By one of the three alone: "User:alice lost 12". */
struct dk_replay_tops {
    struct dk_replay_group *list; /**< most decisions first; `principal` holds the one */
    size_t count;
};
enum dk_replay_by { DK_BY_PRINCIPAL, DK_BY_RESOURCE, DK_BY_OPERATION, DK_REPLAY_BYS };

struct dk_replay_report {
    struct dk_replay_sum sums[DK_REPLAY_CLASSES];
    struct dk_replay_group *groups; /**< by class, then most decisions first; none of DK_SAME */
    size_t group_count;
    struct dk_replay_tops tops[DK_REPLAY_BYS]; /**< of all groups that were asked */
};

/** Reads the results that were asked. `has_against`: they are compared with each other, and else
 *  with what was recorded. DK_ERR_MEMORY; then `out` is cleaned up. */
DK_WARN_UNUSED enum dk_error dk_replay_report_init(struct dk_replay_table *table, bool has_against,
                                                   struct dk_replay_report *out);
void dk_replay_report_clean_up(struct dk_replay_report *report);

#endif
