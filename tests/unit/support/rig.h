/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file rig.h
 * A resolver with all that it works with and an I/O thread of its own, and threads that ask it.
 * Every function fails the test where something cannot be set up.
 */
#ifndef DOORKEEPER_TEST_RIG_H
#define DOORKEEPER_TEST_RIG_H

#include "doorkeeper/cache.h"
#include "doorkeeper/resolver.h"
#include "resolver_internal.h"

#include "support/fake_opa.h"

#include <pthread.h>
#include <stdatomic.h>

#define CLUSTER "cluster-1"
/** For calls that are expected to be answered. */
#define LONG_MS 20000

struct rig {
    struct fake_opa *opa; /**< NULL: none runs; the test's */
    struct dk_config config;
    struct dk_cache *cache;
    struct dk_metrics *metrics;
    struct dk_log *log;
    struct dk_resolver *resolver;
    struct dk_hash_key hash_key;
    pthread_t io;
    bool runs;
    char *lines; /**< all that rig_read_log saw */
    size_t lines_len;
};

/** `settings`: key, value, ..., NULL, without the prefix; may be NULL. The I/O thread runs. */
void rig_start(struct rig *rig, const char *opa_url, const char *const *settings);
/** Starts an OPA on a free port, the rig, and waits until it is ready. */
void rig_start_ready(struct rig *rig, const char *const *settings);
/** Stops and joins the I/O thread; the resolver stays. May be called again. */
void rig_halt(struct rig *rig);
/** Ends everything, OPA included. */
void rig_stop(struct rig *rig);

/** One call from a thread of its own, or from the test's. Set the first members, zero the rest. */
struct ask {
    struct rig *rig;
    const char *principal;
    const char *prefix; /**< the names are prefix0, prefix1, ... */
    size_t count;
    const char *cluster; /**< NULL: CLUSTER */
    int64_t wait_ms;     /**< 0: LONG_MS */
    const char *exact;   /**< instead of prefix and count: this name alone */

    struct dk_writer context_record, request_record;
    struct dk_context context;
    struct dk_miss *misses;
    uint64_t epoch;
    pthread_t thread;
    _Atomic bool ended;
};

/** Makes the misses without asking; part of the two that follow. */
void ask_prepare(struct ask *ask);
/** Asks in the test's own thread. */
void ask_run(struct ask *ask);
/** Asks in a thread; ask_join waits for its end. */
void ask_begin(struct ask *ask);
void ask_join(struct ask *ask);
void ask_clean_up(struct ask *ask);
size_t ask_count(const struct ask *ask, enum dk_outcome outcome);
/** What the cache says of miss `i`, under the epoch that it was asked under. */
struct dk_hit ask_cached(const struct ask *ask, size_t i);

/** Asks for one name and forgets the rest. */
enum dk_outcome rig_ask(struct rig *rig, const char *principal, const char *name);
enum dk_outcome rig_ask_within(struct rig *rig, const char *principal, const char *name,
                               int64_t wait_ms);
/** What the cache says of one name under the current epoch. */
struct dk_hit rig_cached(struct rig *rig, const char *principal, const char *name);
bool rig_has_revision(struct rig *rig, const char *revision);
uint64_t rig_metric(const struct rig *rig, enum dk_metric metric);

/** Takes what the log holds; true if one of all the lines so far has `text` in it. */
bool rig_logged(struct rig *rig, const char *text);
/** How many lines so far, of level WARN or ERROR, have `text` in them. */
unsigned rig_count_troubles(struct rig *rig, const char *text);

#endif
