/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file cache.h
 * The decision cache: a fixed array of 64-byte lines, two sealed entries a line, found by the
 * 128-bit keyed hash of a question and its epoch (see the top of cache.c for the proof).
 *
 * The law. A look-up returns fresh, stale or miss:
 *  - fresh: a decision inserted for exactly this hash, whose deadline is not past;
 *  - stale: only an ALLOW, past its deadline by less than the stale window;
 *  - a miss is always legal.
 * The hash covers the epoch, so a decision of an earlier epoch can never be found.
 *
 * Look-ups are wait-free and store nothing but a visited bit that is clear, and a count of fresh
 * hits where somebody wants it. Inserts never block: an insert that loses a race for its line is
 * dropped.
 *
 * Not promised: that what was inserted is found again; that a hit is counted for its own decision
 * if that is replaced at the same moment.
 */
#ifndef DOORKEEPER_CACHE_H
#define DOORKEEPER_CACHE_H

#include "doorkeeper/error.h"
#include "doorkeeper/keyed_hash.h"
#include "doorkeeper/outcome.h"

struct dk_cache;

struct dk_cache_options {
    uint64_t entries;        /**< decisions to hold; the table is twice as large */
    int64_t stale_window_ms; /**< 0: no stale answers */
    /** A fresh decision with less time than this left is late; 0: none ever is. */
    int64_t late_allow_ms, late_deny_ms;
    bool counts_hits; /**< for dk_cache_take_hits */
};

enum dk_lookup { DK_LOOKUP_MISS = 0, DK_LOOKUP_FRESH, DK_LOOKUP_STALE };

struct dk_hit {
    enum dk_lookup lookup;
    enum dk_outcome outcome; /**< DK_DENY unless fresh or stale */
    bool late;               /**< fresh, but not for long: time to ask anew */
};

DK_WARN_UNUSED enum dk_error dk_cache_new(const struct dk_cache_options *options,
                                          struct dk_cache **out);
/** No other thread may still use the cache. NULL is allowed. */
void dk_cache_destroy(struct dk_cache *cache);
size_t dk_cache_memory_bytes(const struct dk_cache *cache);

/** The current epoch: read once per call, before hashing. Wait-free. */
uint64_t dk_cache_epoch(const struct dk_cache *cache);
/** Makes every entry of the current and earlier epochs unreachable, in O(1). Any thread. */
uint64_t dk_cache_bump_epoch(struct dk_cache *cache);

/** Wait-free; brings the first line of `key` nearer. */
void dk_cache_prefetch(const struct dk_cache *cache, struct dk_hash128 key);

/** Wait-free. `now_ms`: dk_clock_coarse_ms(), read once per call. Who is answered fresh is counted.
 */
struct dk_hit dk_cache_lookup(struct dk_cache *cache, struct dk_hash128 key, int64_t now_ms);
/** The same for who answers nobody by it: stores nothing. */
struct dk_hit dk_cache_peek(const struct dk_cache *cache, struct dk_hash128 key, int64_t now_ms);
/** Wait-free: the deadline with which a decision that is of use now was inserted; 0 without one. */
int64_t dk_cache_deadline_ms(const struct dk_cache *cache, struct dk_hash128 key);

/**
 * Any thread. `outcome` is DK_ALLOW or DK_DENY, anything else is ignored. `epoch` is the one that
 * `key` was made with (the table uses it only to choose whom to displace). `deadline_ms` is on the
 * precise monotonic clock and counts from when OPA was asked.
 */
void dk_cache_insert(struct dk_cache *cache, struct dk_hash128 key, uint64_t epoch,
                     enum dk_outcome outcome, int64_t deadline_ms, int64_t now_ms);

/** How often a decision was found fresh since that was last taken. */
struct dk_counted_hits {
    struct dk_hash128 key;
    enum dk_outcome outcome;
    uint32_t count;
    int64_t deadline_ms; /**< as it was inserted */
};

/**
 * Any thread, one at a time. Takes the counts of decisions of `epoch` and of earlier epochs, a part
 * of the table at a time: 0 to begin, `*walk` says where to go on. `room` is at least 2. Returns
 * how many there are in `out`; 0 once the whole table was walked.
 */
size_t dk_cache_take_hits(struct dk_cache *cache, uint64_t epoch, uint64_t *walk,
                          struct dk_counted_hits *out, size_t room);
/** The same for one decision that is of use now; false if none was counted. */
bool dk_cache_take_hits_of(struct dk_cache *cache, struct dk_hash128 key,
                           struct dk_counted_hits *out);
/** Counted hits of decisions that were displaced, or replaced by another, before they were taken.
 */
uint64_t dk_cache_lost_hits(const struct dk_cache *cache);

#endif
