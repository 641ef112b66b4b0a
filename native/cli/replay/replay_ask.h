/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file replay_ask.h
 * Asks one OPA all questions of a table, as the broker would: in batches where the rule is a batch
 * rule (it answers the poll with []), and again in halves where a batch fails, until the question
 * that makes the policy fail stands alone; else one by one over parallel connections. One thread.
 */
#ifndef DOORKEEPER_CLI_REPLAY_ASK_H
#define DOORKEEPER_CLI_REPLAY_ASK_H

#include "doorkeeper/opa.h"
#include "replay_answers.h"
#include "replay_table.h"

/** As of when. */
enum dk_replay_when {
    DK_REPLAY_NOW,
    DK_REPLAY_FIXED,    /**< the same time for all */
    DK_REPLAY_RECORDED, /**< each question as of when it was recorded last; none in a batch */
};

struct dk_replay_asking {
    const char *url; /**< as doorkeeper.opa.url, one server */
    size_t side;     /**< which of a question's results is written */
    enum dk_replay_when when;
    int64_t fixed_ns;                  /**< for DK_REPLAY_FIXED, since 1970 */
    struct dk_replay_answers *answers; /**< NULL: every question is asked */
    uint8_t policy[DK_DIGEST_LEN];     /**< for `answers`: dk_replay_digest_bundle */
    /** Called often; false stops. */
    bool (*progress)(void *user, size_t answered, size_t wanted);
    void *user;
};

/**
 * Writes the results of all questions that are needed. `revision`: of the policy, empty if it has
 * none. DK_ERR_SYSTEM where OPA cannot be reached or does not take questions (`why`), DK_ERR_CLOSED
 * if `progress` stopped it, DK_ERR_CONFIG for a wrong URL.
 */
DK_WARN_UNUSED enum dk_error dk_replay_ask(struct dk_replay_table *table,
                                           const struct dk_replay_asking *asking,
                                           char revision[DK_REVISION_MAX],
                                           struct dk_error_text *why);

#endif
