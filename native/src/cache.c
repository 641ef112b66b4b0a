/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fixed array of 64-byte lines, two sealed entries a line.
 *
 * An entry is three words:
 *     m            deadline (40 bits, ms since the cache was made) | epoch tag (22) | outcome (2)
 *     h0 ^ m
 *     h1 ^ rot32(m)
 * where (h0, h1) is the 128-bit keyed hash of the question and the epoch. `m` of 0 is an entry that
 * was never used: the outcome bits of a used one are never 0 (see enum sealed_outcome), and no used
 * entry goes back to 0.
 *
 * Invariant: a reader that finds a key (h0, h1) holds an `m` that some insert wrote for (h0, h1).
 *
 * Why. Readers and writers use relaxed atomic loads and stores of single words, in any order,
 * without a lock. Suppose a reader loads m from insert A, the second word from B and the third from
 * C, and accepts key h. Then hB0 ^ mB ^ mA = h0 and hC1 ^ rot32(mC ^ mA) = h1. If the second word
 * is A's own (or from an insert with the same m), hA0 = h0. If both are A's own, A was for h: the
 * hit is exact. Otherwise at least one half matches only if a 64-bit half of one hash equals a half
 * of another, shifted by the difference of two metadata words; halves are outputs of a PRF under a
 * secret key, so for a torn entry *both* equations hold by chance with probability 2^-128, unless
 * the same question was inserted twice (B or C is also for h) and mB = mA: then the entry is not
 * torn in substance, or mB != mA, and the equation hB0 ^ mB ^ mA = h0 with hB0 = h0 is false. So a
 * torn read is a miss. tests/unit/test_cache_interleavings.c enumerates the orders.
 *
 * Wrong-hit odds without tearing: q look-ups against n entries meet a foreign 128-bit value with
 * probability at most q * n * 2^-128: 2^-48 after 2^60 look-ups against 2^20 entries.
 *
 * Why relaxed is enough: an entry publishes nothing but itself, and it checks itself. Epochs work
 * through the key: a reader hashes with the epoch it loaded, so it can only find entries that were
 * asked under that epoch, whatever the order in which it sees stores.
 *
 * Writers take a line's try-lock so that two inserts do not fight over one slot; losing it drops
 * the insert. The lock protects replacement, not readers. Who takes counted hits holds it, too, and
 * so reads entries whole.
 *
 * A counted hit is added after its entry was read. If the entry is replaced in between, the hit is
 * counted for its successor: the sum is exact, and the successor was decided at just that time.
 * Counts publish nothing, so relaxed additions will do.
 */
#include "doorkeeper/cache.h"

#include "doorkeeper/clock.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ENTRIES_PER_LINE 2u
#define WINDOW_LINES 8u
#define DEADLINE_BITS 40
#define EPOCH_BITS 22
#define DEADLINE_MAX ((INT64_C(1) << DEADLINE_BITS) - 1)
#define EPOCH_MASK ((UINT64_C(1) << EPOCH_BITS) - 1)

/* Not enum dk_outcome: here 0 has to mean "never used". */
enum sealed_outcome { SEALED_NEVER_USED = 0, SEALED_DENY = 1, SEALED_ALLOW = 2 };

struct entry {
    _Atomic uint64_t m;
    _Atomic uint64_t sealed0;
    _Atomic uint64_t sealed1;
};

struct line {
    struct entry entries[ENTRIES_PER_LINE];
    _Atomic uint32_t hits[ENTRIES_PER_LINE]; /* not yet taken by dk_cache_take_hits */
    _Atomic uint8_t visited[ENTRIES_PER_LINE];
    _Atomic uint8_t locked;
    uint8_t hand; /* under the lock: which entry round robin takes next */
    uint8_t unused[4];
};

_Static_assert(sizeof(struct line) == 64, "a line is one cache line");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "64-bit atomics without a lock");
_Static_assert(DEADLINE_BITS + EPOCH_BITS + 2 == 64, "metadata fills its word");

struct dk_cache {
    struct line *lines;
    uint64_t line_mask;
    size_t memory_bytes;
    int64_t stale_window_ms;
    int64_t late_allow_ms, late_deny_ms;
    int64_t base_ms; /* deadlines count from here */
    int64_t clock_step_ms;
    bool counts_hits;
    _Alignas(64) _Atomic uint64_t epoch;
    _Alignas(64) _Atomic uint64_t lost_hits;
};

static uint64_t rotate32(uint64_t word) {
    return word << 32 | word >> 32;
}

static uint64_t pack(int64_t deadline, uint64_t epoch, enum sealed_outcome outcome) {
    return (uint64_t)deadline << (EPOCH_BITS + 2) | (epoch & EPOCH_MASK) << 2 | outcome;
}

static int64_t deadline_of(uint64_t m) {
    return (int64_t)(m >> (EPOCH_BITS + 2));
}

static uint64_t epoch_tag_of(uint64_t m) {
    return (m >> 2) & EPOCH_MASK;
}

static enum sealed_outcome outcome_of(uint64_t m) {
    return (enum sealed_outcome)(m & 3);
}

enum dk_error dk_cache_new(const struct dk_cache_options *options, struct dk_cache **out) {
    uint64_t lines = WINDOW_LINES;
    /* Two entries a line at no more than half load: as many lines as decisions. */
    while (lines < options->entries) {
        if (lines > SIZE_MAX / sizeof(struct line) / 2) {
            return DK_ERR_TOO_LARGE;
        }
        lines *= 2;
    }
    struct dk_cache *cache = aligned_alloc(_Alignof(struct dk_cache), sizeof(*cache));
    if (cache == NULL) {
        return DK_ERR_MEMORY;
    }
    memset(cache, 0, sizeof(*cache));
    cache->memory_bytes = lines * sizeof(struct line);
    /* Zero pages are entries that were never used; pages are taken as they fill. */
    void *memory =
        mmap(NULL, cache->memory_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        free(cache);
        return DK_ERR_MEMORY;
    }
    /* Only advice: without huge pages a look-up costs some nanoseconds more. */
    (void)madvise(memory, cache->memory_bytes, MADV_HUGEPAGE);
    cache->lines = memory;
    cache->line_mask = lines - 1;
    cache->stale_window_ms = options->stale_window_ms;
    cache->late_allow_ms = options->late_allow_ms;
    cache->late_deny_ms = options->late_deny_ms;
    cache->counts_hits = options->counts_hits;
    cache->clock_step_ms = dk_clock_coarse_step_ms();
    cache->base_ms = dk_clock_coarse_ms() - 1;
    atomic_init(&cache->epoch, 1);
    *out = cache;
    return DK_OK;
}

void dk_cache_destroy(struct dk_cache *cache) {
    if (cache == NULL) {
        return;
    }
    munmap(cache->lines, cache->memory_bytes);
    free(cache);
}

size_t dk_cache_memory_bytes(const struct dk_cache *cache) {
    return cache->memory_bytes;
}

uint64_t dk_cache_epoch(const struct dk_cache *cache) {
    return atomic_load_explicit(&cache->epoch, memory_order_acquire);
}

uint64_t dk_cache_bump_epoch(struct dk_cache *cache) {
    return atomic_fetch_add_explicit(&cache->epoch, 1, memory_order_acq_rel) + 1;
}

static struct line *line_at(const struct dk_cache *cache, struct dk_hash128 key, unsigned step) {
    return &cache->lines[(key.h0 + step) & cache->line_mask];
}

void dk_cache_prefetch(const struct dk_cache *cache, struct dk_hash128 key) {
    __builtin_prefetch(line_at(cache, key, 0));
}

/* The metadata sealed for `key` in `entry`, or 0. `*used` tells whether the entry ever was. */
static uint64_t unseal(const struct entry *entry, struct dk_hash128 key, bool *used) {
    uint64_t m = atomic_load_explicit(&entry->m, memory_order_relaxed);
    uint64_t sealed0 = atomic_load_explicit(&entry->sealed0, memory_order_relaxed);
    uint64_t sealed1 = atomic_load_explicit(&entry->sealed1, memory_order_relaxed);
    *used = m != 0;
    bool matches = sealed0 == (key.h0 ^ m) && sealed1 == (key.h1 ^ rotate32(m));
    return matches ? m : 0;
}

static struct dk_hit judge(const struct dk_cache *cache, uint64_t m, int64_t now_ms) {
    const struct dk_hit miss = {DK_LOOKUP_MISS, DK_DENY, false};
    int64_t past_ms = now_ms - cache->base_ms - deadline_of(m);
    enum sealed_outcome outcome = outcome_of(m);
    if (outcome != SEALED_ALLOW && outcome != SEALED_DENY) {
        return miss;
    }
    if (past_ms < 0) {
        enum dk_outcome decision = outcome == SEALED_ALLOW ? DK_ALLOW : DK_DENY;
        int64_t late_ms = decision == DK_ALLOW ? cache->late_allow_ms : cache->late_deny_ms;
        return (struct dk_hit){DK_LOOKUP_FRESH, decision, -past_ms < late_ms};
    }
    if (outcome == SEALED_ALLOW && past_ms < cache->stale_window_ms) {
        return (struct dk_hit){DK_LOOKUP_STALE, DK_ALLOW, false};
    }
    return miss;
}

static void mark_visited(struct line *line, unsigned slot) {
    /* Looked at first, so that hot entries are read by all cores and written by none. */
    if (atomic_load_explicit(&line->visited[slot], memory_order_relaxed) == 0) {
        atomic_store_explicit(&line->visited[slot], 1, memory_order_relaxed);
    }
}

/* An entry for `key` that is of use now. */
struct found {
    struct line *line; /* NULL: none */
    unsigned slot;
    uint64_t m;
    struct dk_hit hit;
};

static struct found find(const struct dk_cache *cache, struct dk_hash128 key, int64_t now_ms) {
    const struct found nothing = {NULL, 0, 0, {DK_LOOKUP_MISS, DK_DENY, false}};
    for (unsigned step = 0; step < WINDOW_LINES; step++) {
        struct line *line = line_at(cache, key, step);
        for (unsigned slot = 0; slot < ENTRIES_PER_LINE; slot++) {
            bool used;
            uint64_t m = unseal(&line->entries[slot], key, &used);
            if (m != 0) {
                struct dk_hit hit = judge(cache, m, now_ms);
                return hit.lookup == DK_LOOKUP_MISS ? nothing : (struct found){line, slot, m, hit};
            }
            if (!used) {
                /* Inserts fill the window from the front and slots never empty again. */
                return nothing;
            }
        }
    }
    return nothing;
}

struct dk_hit dk_cache_lookup(struct dk_cache *cache, struct dk_hash128 key, int64_t now_ms) {
    struct found found = find(cache, key, now_ms);
    if (found.line != NULL) {
        mark_visited(found.line, found.slot);
        if (cache->counts_hits && found.hit.lookup == DK_LOOKUP_FRESH) {
            atomic_fetch_add_explicit(&found.line->hits[found.slot], 1, memory_order_relaxed);
        }
    }
    return found.hit;
}

struct dk_hit dk_cache_peek(const struct dk_cache *cache, struct dk_hash128 key, int64_t now_ms) {
    return find(cache, key, now_ms).hit;
}

/* How little an entry is worth keeping; the window's lowest is displaced, the first of equals. */
enum worth {
    WORTH_NEVER_USED,
    WORTH_UNREACHABLE, /* of an old epoch, or past deadline and stale window */
    WORTH_EXPIRED_DENIAL,
    WORTH_STALE_ALLOW,
    WORTH_UNVISITED_DENIAL,
    WORTH_VISITED_DENIAL, /* whoever asks for a name chooses how often, too */
    WORTH_UNVISITED_ALLOW,
    WORTH_VISITED_ALLOW,
};

static enum worth worth_of(const struct dk_cache *cache, uint64_t m, bool visited, int64_t now) {
    if (m == 0) {
        return WORTH_NEVER_USED;
    }
    int64_t past_ms = now - deadline_of(m);
    bool allows = outcome_of(m) == SEALED_ALLOW;
    uint64_t current = atomic_load_explicit(&cache->epoch, memory_order_relaxed);
    if (epoch_tag_of(m) != (current & EPOCH_MASK)) {
        return WORTH_UNREACHABLE;
    }
    if (past_ms >= 0 && !allows) {
        return WORTH_EXPIRED_DENIAL;
    }
    if (past_ms >= 0) {
        return past_ms < cache->stale_window_ms ? WORTH_STALE_ALLOW : WORTH_UNREACHABLE;
    }
    if (allows) {
        return visited ? WORTH_VISITED_ALLOW : WORTH_UNVISITED_ALLOW;
    }
    return visited ? WORTH_VISITED_DENIAL : WORTH_UNVISITED_DENIAL;
}

struct place {
    struct line *line;
    unsigned slot;
    enum worth worth;
    bool same_key;
};

static struct place find_place(struct dk_cache *cache, struct dk_hash128 key, int64_t now) {
    struct place best = {NULL, 0, WORTH_VISITED_ALLOW, false};
    for (unsigned step = 0; step < WINDOW_LINES; step++) {
        struct line *line = line_at(cache, key, step);
        for (unsigned i = 0; i < ENTRIES_PER_LINE; i++) {
            bool used;
            if (unseal(&line->entries[i], key, &used) != 0) {
                return (struct place){line, i, WORTH_NEVER_USED, true};
            }
            uint64_t m = atomic_load_explicit(&line->entries[i].m, memory_order_relaxed);
            bool visited = atomic_load_explicit(&line->visited[i], memory_order_relaxed) != 0;
            enum worth worth = worth_of(cache, m, visited, now);
            if (best.line == NULL || worth < best.worth) {
                best = (struct place){line, i, worth, false};
            }
            if (!used) {
                return best;
            }
        }
    }
    return best;
}

/* The whole window is visited allows, so the place is in the first line: take turns there, and let
 * what was visited earn its place anew. */
static void take_turns(struct line *line, struct place *place) {
    place->slot = line->hand;
    line->hand = (uint8_t)((line->hand + 1) % ENTRIES_PER_LINE);
    for (unsigned i = 0; i < ENTRIES_PER_LINE; i++) {
        atomic_store_explicit(&line->visited[i], 0, memory_order_relaxed);
    }
}

static bool try_lock(struct line *line) {
    return atomic_exchange_explicit(&line->locked, 1, memory_order_acquire) == 0;
}

static void unlock(struct line *line) {
    atomic_store_explicit(&line->locked, 0, memory_order_release);
}

static void seal(struct line *line, unsigned slot, struct dk_hash128 key, uint64_t m) {
    struct entry *entry = &line->entries[slot];
    atomic_store_explicit(&entry->sealed0, key.h0 ^ m, memory_order_relaxed);
    atomic_store_explicit(&entry->sealed1, key.h1 ^ rotate32(m), memory_order_relaxed);
    atomic_store_explicit(&entry->m, m, memory_order_relaxed);
}

/* What was counted for the entry at `place` is nobody's once another decision stands there. */
static void lose_hits_of_another(struct dk_cache *cache, const struct place *place,
                                 enum sealed_outcome outcome) {
    const struct entry *entry = &place->line->entries[place->slot];
    uint64_t m = atomic_load_explicit(&entry->m, memory_order_relaxed);
    if (!cache->counts_hits || (place->same_key && outcome_of(m) == outcome)) {
        return;
    }
    uint32_t lost =
        atomic_exchange_explicit(&place->line->hits[place->slot], 0, memory_order_relaxed);
    atomic_fetch_add_explicit(&cache->lost_hits, lost, memory_order_relaxed);
}

void dk_cache_insert(struct dk_cache *cache, struct dk_hash128 key, uint64_t epoch,
                     enum dk_outcome outcome, int64_t deadline_ms, int64_t now_ms) {
    if (outcome != DK_ALLOW && outcome != DK_DENY) {
        return;
    }
    /* Readers compare with a clock that may lag one step behind: nothing outlives its time. */
    int64_t deadline = deadline_ms - cache->clock_step_ms - cache->base_ms;
    int64_t now = now_ms - cache->base_ms;
    if (deadline <= now || deadline <= 0) {
        return;
    }
    if (deadline > DEADLINE_MAX) {
        deadline = DEADLINE_MAX;
    }
    /* The first line's lock stands for the whole window of its keys, so that two inserts of one key
     * never leave it in two places. */
    struct line *first = line_at(cache, key, 0);
    if (!try_lock(first)) {
        return;
    }
    struct place place = find_place(cache, key, now);
    if (place.worth == WORTH_VISITED_ALLOW && outcome == DK_DENY && !place.same_key) {
        unlock(first); /* denied names are chosen by whoever asks; they may not push allows out */
        return;
    }
    if (place.line != first && !try_lock(place.line)) {
        unlock(first);
        return;
    }
    if (place.worth == WORTH_VISITED_ALLOW) {
        take_turns(first, &place);
    }
    if (!place.same_key) {
        atomic_store_explicit(&place.line->visited[place.slot], 0, memory_order_relaxed);
    }
    enum sealed_outcome sealed = outcome == DK_ALLOW ? SEALED_ALLOW : SEALED_DENY;
    lose_hits_of_another(cache, &place, sealed);
    seal(place.line, place.slot, key, pack(deadline, epoch, sealed));
    if (place.line != first) {
        unlock(place.line);
    }
    unlock(first);
}

static int64_t as_inserted(const struct dk_cache *cache, uint64_t m) {
    return deadline_of(m) + cache->clock_step_ms + cache->base_ms;
}

int64_t dk_cache_deadline_ms(const struct dk_cache *cache, struct dk_hash128 key) {
    struct found found = find(cache, key, dk_clock_coarse_ms());
    return found.line == NULL ? 0 : as_inserted(cache, found.m);
}

/* Whether the epoch that `m` is tagged with is `epoch` or an earlier one. Tags are short: those far
 * ahead of it are far behind. */
static bool is_of_epoch_or_before(uint64_t m, uint64_t epoch) {
    return ((epoch - epoch_tag_of(m)) & EPOCH_MASK) <= EPOCH_MASK / 2;
}

/* The line is locked. */
static bool take_hits(const struct dk_cache *cache, struct line *line, unsigned slot,
                      uint64_t epoch, struct dk_counted_hits *out) {
    const struct entry *entry = &line->entries[slot];
    uint64_t m = atomic_load_explicit(&entry->m, memory_order_relaxed);
    if (m == 0 || !is_of_epoch_or_before(m, epoch)) {
        return false;
    }
    out->count = atomic_exchange_explicit(&line->hits[slot], 0, memory_order_relaxed);
    out->key.h0 = atomic_load_explicit(&entry->sealed0, memory_order_relaxed) ^ m;
    out->key.h1 = atomic_load_explicit(&entry->sealed1, memory_order_relaxed) ^ rotate32(m);
    out->outcome = outcome_of(m) == SEALED_ALLOW ? DK_ALLOW : DK_DENY;
    out->deadline_ms = as_inserted(cache, m);
    return out->count > 0;
}

static bool has_hits(const struct line *line) {
    uint32_t hits = 0;
    for (unsigned slot = 0; slot < ENTRIES_PER_LINE; slot++) {
        hits |= atomic_load_explicit(&line->hits[slot], memory_order_relaxed);
    }
    return hits != 0;
}

size_t dk_cache_take_hits(struct dk_cache *cache, uint64_t epoch, uint64_t *walk,
                          struct dk_counted_hits *out, size_t room) {
    size_t taken = 0;
    for (; *walk <= cache->line_mask && taken + ENTRIES_PER_LINE <= room; ++*walk) {
        struct line *line = &cache->lines[*walk];
        if (!has_hits(line) || !try_lock(line)) {
            continue; /* a line that is being written keeps its hits for the next time */
        }
        for (unsigned slot = 0; slot < ENTRIES_PER_LINE; slot++) {
            taken += take_hits(cache, line, slot, epoch, &out[taken]);
        }
        unlock(line);
    }
    return taken;
}

bool dk_cache_take_hits_of(struct dk_cache *cache, struct dk_hash128 key,
                           struct dk_counted_hits *out) {
    struct found found = find(cache, key, dk_clock_coarse_ms());
    if (found.line == NULL) {
        return false;
    }
    out->key = key;
    out->outcome = found.hit.outcome;
    out->deadline_ms = as_inserted(cache, found.m);
    out->count = atomic_exchange_explicit(&found.line->hits[found.slot], 0, memory_order_relaxed);
    return out->count > 0;
}

uint64_t dk_cache_lost_hits(const struct dk_cache *cache) {
    return atomic_load_explicit(&cache->lost_hits, memory_order_relaxed);
}
