/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file replay_ask_internal.h
 * What the files of replay_ask.h share; private to them. One thread.
 *
 *   replay_ask.c       which questions are asked, in which order, and by which form of a rule
 *   replay_requests.c  requests under way: bodies, answers, another try, halves
 *   replay_probe.c     whether a rule takes batches
 *   replay_kept.c      answers of earlier runs, and what an answer depends on
 */
#ifndef DOORKEEPER_CLI_REPLAY_ASK_INTERNAL_H
#define DOORKEEPER_CLI_REPLAY_ASK_INTERNAL_H

#include "doorkeeper/http.h"
#include "replay_ask.h"

#define CONNECTIONS 8u
#define BATCH_MAX 500u
#define BODY_MAX ((size_t)256 * 1024 * 1024)
#define DEADLINE_MS 60000
#define POLL_MS 100

/* Questions that stand one behind the other in `order`, to be asked by one request. */
struct range {
    size_t start, count;
    unsigned tries;
};

/* A question of Doorkeeper's on its way. */
struct asked {
    struct dk_action action;
    uint32_t question;
};

struct job {
    struct asker *asker;
    struct range range;
    struct asked asked[BATCH_MAX];
    struct dk_opa_question questions[BATCH_MAX];
    struct dk_writer body;
    struct dk_writer query; /* the same as of a time, then the answer to it */
    bool busy;
};

struct asker {
    struct dk_replay_table *table;
    const struct dk_replay_asking *asking;
    struct dk_http *http;
    char *revision;
    struct dk_error_text *why;
    enum dk_error error;
    struct job jobs[CONNECTIONS];
    size_t answered, wanted;
    /* the rule being asked */
    char path[640];
    bool batch;
    const char *rule;
    uint32_t *order;
    struct dk_writer digested; /* what an answer depends on */
    int64_t *recorded_ns;      /* of each question of the table, the last; DK_REPLAY_RECORDED */
    struct range *waiting;     /* a stack */
    size_t waiting_count, waiting_room;
};

static inline bool dk_replay_asker_is_timed(const struct asker *asker) {
    return asker->asking->when != DK_REPLAY_NOW;
}

/** Whether all questions are asked as of one time, and so may stand in one batch. */
static inline bool dk_replay_asker_shares_time(const struct asker *asker) {
    return asker->asking->when != DK_REPLAY_RECORDED;
}

static inline struct dk_replay_question *dk_replay_asker_question_at(const struct asker *asker,
                                                                     size_t place) {
    return dk_replay_table_question(asker->table, asker->order[place]);
}

/* replay_requests.c */

/** The first failure is the one that is told. */
void dk_replay_asker_fail(struct asker *asker, enum dk_error error, const char *text);
/** To be asked by one request, the last one first. */
void dk_replay_asker_push(struct asker *asker, struct range range);
/** Until nothing waits and nothing is under way. */
void dk_replay_asker_run(struct asker *asker);
/** Tells the caller how far it is; false, and failed, if the caller wants it to stop. */
bool dk_replay_asker_goes_on(struct asker *asker);
void dk_replay_asker_store_all(struct asker *asker, struct range range, enum dk_outcome outcome);
void dk_replay_asker_keep_revision(struct asker *asker, const struct dk_opa_reply *reply);
/** The answer to a query as the Data API would have given it, in `room`. */
struct dk_bytes dk_replay_asker_as_data_answer(struct dk_bytes body, struct dk_writer *room);

/* replay_probe.c */

/** What the rule answers to an empty batch: DK_OPA_ANSWERED means that it is a batch rule. As of
 *  `ns`, where it is asked as of a time. */
enum dk_opa_verdict dk_replay_asker_probe(struct asker *asker, struct dk_bytes cluster, int64_t ns);

/* replay_kept.c */

/** Finds out as of when each question is asked; false without memory. */
bool dk_replay_asker_note_times(struct asker *asker);
/** As of when a question is asked; 0: now. */
int64_t dk_replay_asker_time_of(const struct asker *asker, uint32_t question);
/** Whether an earlier run knows the answer, which is then the question's result. */
bool dk_replay_asker_is_answered(struct asker *asker, uint32_t index);
/** For later runs. */
void dk_replay_asker_keep_answer(struct asker *asker, uint32_t index,
                                 struct dk_replay_result result);

#endif
