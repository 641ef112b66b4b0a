/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file resolver_flights.h
 * The book of questions on their way to OPA, private to the resolver: who waits for what, the
 * queue of each principal, and the caps on all of it. See the top of resolver_flights.c for what
 * must hold.
 *
 * @locks Every function but dk_call_new needs the resolver's mutex.
 */
#ifndef DOORKEEPER_RESOLVER_FLIGHTS_H
#define DOORKEEPER_RESOLVER_FLIGHTS_H

#include "doorkeeper/resolver.h"

#include <pthread.h>

/* ---- a table that never grows ------------------------------------------------------------- */

/** First member of what stands in a table. */
struct table_node {
    struct table_node *next;
    struct dk_hash128 key;
};

/** Chains over a fixed array: the keys are keyed hashes, so nobody can choose a long chain. */
struct table {
    struct table_node **chains;
    uint64_t mask;
};

/* ---- who waits, and for what -------------------------------------------------------------- */

/** A thread inside dk_resolver_resolve; lives on its stack. */
struct waiter {
    struct waiter *prev, *next;
    pthread_cond_t changed;
    size_t pending; /**< misses without an answer */
};

/** One miss that waits for one flight; memory of the waiter's call. */
struct link {
    struct link *prev, *next;
    struct waiter *waiter;
    struct dk_miss *miss;
    struct flight *flight; /**< NULL once answered */
};

struct flight {
    struct table_node node; /**< its key covers the question and the epoch */
    struct flight *prev, *next;
    struct call *call; /**< holds its memory and its bytes */
    struct dk_action action;
    struct link *links;
    uint64_t epoch;
    int64_t deadline_ms; /**< of the last who waits, at least the configured one */
    bool sent;
};

/** Somebody whose questions are served in turn with everybody else's. */
struct principal {
    struct table_node node;
    struct principal *prev, *next; /**< in the ring, while `queue` is not empty */
    struct flight *queue;
    size_t calls;
    size_t flights; /**< queued or under way */
    size_t bytes;
    int64_t waiting; /**< threads that wait their full deadline */
};

/**
 * What one call brought along, in one piece of memory: copies of its context and of its missed
 * actions, room for the flights that it opens and for its links. Lives as long as one of its
 * flights, or the call itself.
 */
struct call {
    struct principal *principal; /**< NULL until admitted */
    size_t references;
    size_t bytes;
    uint64_t counted_in; /**< I/O thread: the last batch that its context was counted in */
    struct dk_hash128 principal_key;
    struct dk_context context;
    struct flight *flights;
    struct link *links;
    size_t count;
};

struct flights {
    struct table table;      /**< flights by key */
    struct table principals; /**< by principal_key */
    struct principal *ring;  /**< those with a queue, next to be served first */
    struct dk_hash_key hash_key;
    struct dk_cache *cache; /**< where answers are put before their flights end */
    size_t max_flights, max_of_principal;
    size_t count;  /**< queued or under way */
    size_t queued; /**< in a principal's queue */
    size_t bytes;  /**< of all admitted calls */
};

/** What all calls together may hold; one principal at most a quarter of it. */
#define DK_FLIGHT_BYTES_MAX ((size_t)64 * 1024 * 1024)

DK_WARN_UNUSED enum dk_error dk_flights_init(struct flights *flights, struct dk_cache *cache,
                                             size_t max_flights);
/** Every flight must have ended. */
void dk_flights_clean_up(struct flights *flights);
size_t dk_flights_memory_bytes(const struct flights *flights);

/** No lock. NULL without memory, or for actions that could never be admitted. */
struct call *dk_call_new(const struct dk_hash_key *hash_key, const struct dk_context *context,
                         const struct dk_miss *misses, size_t count);
/** False if the caps on bytes refuse it; free it with dk_call_release either way. */
bool dk_flights_admit(struct flights *flights, struct call *call);
void dk_call_release(struct flights *flights, struct call *call);

struct opened {
    size_t opened, joined, refused;
};
/** Links every miss to a flight, open already or opened now, unless its answer has come into the
 *  cache since it was missed there. `least_ms`: the least deadline of a flight, `deadline_ms`: the
 *  waiter's. Without a waiter (NULL) flights are opened and nobody waits for them. */
struct opened dk_flights_open(struct flights *flights, struct call *call, struct waiter *waiter,
                              struct dk_miss *misses, uint64_t epoch, int64_t deadline_ms,
                              int64_t least_ms);
/** The waiter of `call` waits no longer. */
void dk_flights_leave(struct call *call);

/** Takes the first flight out of the queue of a principal in the ring. */
struct flight *dk_flights_take(struct flights *flights, struct principal *principal);
/** Puts the principal of a flight just taken at the end of the ring. */
void dk_flights_rotate(struct flights *flights, struct principal *principal);
/** Answers everybody who waits; the flight (in no queue any more) is gone afterwards. */
void dk_flights_end(struct flights *flights, struct flight *flight, enum dk_outcome outcome,
                    enum dk_source source);
/** Ends every queued flight without an answer. */
void dk_flights_fail_queued(struct flights *flights);

#endif
