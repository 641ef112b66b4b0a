/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file decision_line.h
 * One recorded decision, or a count of equal ones, as a line of JSON in the shape of OPA's decision
 * log; docs/audit.md has the format.
 */
#ifndef DOORKEEPER_DECISION_LINE_H
#define DOORKEEPER_DECISION_LINE_H

#include "doorkeeper/config.h"
#include "doorkeeper/outcome.h"
#include "doorkeeper/question.h"

/** Who writes: the same in all lines of a run. */
struct dk_decision_writer {
    const struct dk_config *config; /**< the rule's path, and what is erased */
    char id[33];                    /**< random */
    uint64_t number;                /**< of the next line */
};

struct dk_decision_line {
    const struct dk_context *context;
    const struct dk_action *action;
    dk_answer answer;
    struct dk_bytes address, api; /**< empty: not known */
    struct dk_bytes revision;     /**< empty: none */
    int64_t wall_ns;
    int64_t took_ns;  /**< negative: not known */
    int64_t age_ms;   /**< of a decision that was made before; negative: not known */
    uint32_t count;   /**< 0: it is a single decision, not a count of equal ones */
    int64_t since_ns; /**< when counting began; only with a count */
};

/** Any thread. Appends the line; `out->failed` if it does not fit. */
void dk_decision_line_write(struct dk_decision_writer *writer, const struct dk_decision_line *line,
                            struct dk_writer *out);

#endif
