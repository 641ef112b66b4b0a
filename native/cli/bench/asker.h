/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file asker.h
 * A thread that asks, call by call, as a broker's request thread does through the Java side: a
 * probe for each 128 actions, then one authorize for all that the cache could not answer.
 */
#ifndef DOORKEEPER_CLI_ASKER_H
#define DOORKEEPER_CLI_ASKER_H

#include "doorkeeper/authorizer.h"
#include "histogram.h"
#include "load.h"

#include <pthread.h>
#include <stdatomic.h>

/** What all threads share; read only while they run, but for the atomics. */
struct dk_ask_plan {
    struct dk_authorizer *authorizer;
    const struct dk_load *load;
    _Atomic uint64_t *handles; /**< of the contexts, as dk_authorizer_register gave them */
    unsigned threads;
    double rate; /**< calls a second of all threads; 0: each begins when the last has ended */
    int64_t start_ns, measure_ns, end_ns; /**< monotonic; measured is from the second on */
    _Atomic uint64_t next_call;           /**< with a rate: the number of the next one */
    _Atomic bool stopped;                 /**< ends the run early */
};

/** What a thread has seen in the measured time. */
struct dk_ask_tally {
    uint64_t calls, actions, hits, errors;
    uint64_t outcomes[4]; /**< of the actions, by enum dk_outcome */
    int64_t cpu_ns;       /**< of the thread, making the calls included */
    /* Nanoseconds. With a rate they count from when the call was due, but for `service`. */
    struct dk_histogram all, all_hits, some_misses; /**< calls; those without, with a miss */
    struct dk_histogram service;                    /**< calls, from when they began */
};

struct dk_asker {
    struct dk_ask_plan *plan;
    unsigned index; /**< from 0 */
    struct dk_call_maker maker;
    struct dk_writer misses;
    dk_answer *answers; /**< room for `capacity` each */
    size_t *open;       /**< the actions that the cache did not answer */
    size_t capacity;
    struct dk_ask_tally tally;
    pthread_t thread;
};

/** DK_ERR_MEMORY: nothing to clean up is left. `plan` is borrowed. */
DK_WARN_UNUSED enum dk_error dk_asker_init(struct dk_asker *asker, struct dk_ask_plan *plan,
                                           unsigned index);
void dk_asker_clean_up(struct dk_asker *asker);

/** The thread's body: a struct dk_asker. Returns NULL when the plan ends. */
void *dk_asker_run(void *user);

#endif
