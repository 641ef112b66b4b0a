/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file load.h
 * What the benchmark asks: contexts, and a sequence of calls. A call depends on its number alone,
 * so the same load asks the same whatever threads, speed and machine are. Made either of a model
 * (workload.h) or of recorded questions (bench_replay.h).
 */
#ifndef DOORKEEPER_CLI_LOAD_H
#define DOORKEEPER_CLI_LOAD_H

#include "doorkeeper/error.h"

/** One authorize() of a broker. The request is a record of question.h. */
struct dk_call {
    size_t context; /**< whose, see dk_load_context */
    struct dk_bytes request;
    const size_t *ends; /**< where in `request` each action ends */
    size_t count;       /**< actions, at least 1 */
};

struct dk_load;

/** What a thread makes calls in; zeroed memory is an empty one. */
struct dk_call_maker {
    struct dk_writer request;
    size_t *ends;
    uint32_t *taken; /**< the last call in which a topic was named, by topic */
    uint32_t calls;
};

/** What kinds of load have in common. */
struct dk_load_kind {
    /** DK_ERR_MEMORY: nothing to clean up is left. */
    enum dk_error (*init_maker)(const struct dk_load *load, struct dk_call_maker *maker);
    void (*make)(const struct dk_load *load, uint64_t number, struct dk_call_maker *maker,
                 struct dk_call *out);
    void (*destroy)(struct dk_load *load);
};

/** The front of every load. Only read once it is made, by any thread. */
struct dk_load {
    const struct dk_load_kind *kind;
    struct dk_bytes *contexts; /**< records of question.h; owned as the kind says */
    size_t context_count;
    char summary[256]; /**< for people, one line */
};

/** NULL is allowed. */
void dk_load_destroy(struct dk_load *load);
DK_WARN_UNUSED enum dk_error dk_load_init_maker(const struct dk_load *load,
                                                struct dk_call_maker *maker);
void dk_load_clean_up_maker(struct dk_call_maker *maker);
/** `out` is valid until the next call is made in `maker`. */
void dk_load_make(const struct dk_load *load, uint64_t number, struct dk_call_maker *maker,
                  struct dk_call *out);

#endif
