/* SPDX-License-Identifier: Apache-2.0 */
/* Counted hits: each is taken once, or is said to be lost. */
#include "doorkeeper/cache.h"
#include "doorkeeper/clock.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define KEYS 64u
#define READERS 2u
#define LOOKUPS 200000u

static struct dk_hash128 key_of(uint64_t number) {
    return (struct dk_hash128){number * 5, number + 1};
}

static struct dk_cache *new_cache(bool counts_hits) {
    struct dk_cache_options options = {.entries = 8, .counts_hits = counts_hits};
    struct dk_cache *cache = NULL;
    assert_int_equal(dk_cache_new(&options, &cache), DK_OK);
    return cache;
}

static void insert(struct dk_cache *cache, uint64_t number, uint64_t epoch,
                   enum dk_outcome outcome) {
    int64_t now_ms = dk_clock_ms();
    dk_cache_insert(cache, key_of(number), epoch, outcome, now_ms + 60000, now_ms);
}

static void look_up(struct dk_cache *cache, uint64_t number, size_t times) {
    for (size_t i = 0; i < times; i++) {
        assert_int_equal(dk_cache_lookup(cache, key_of(number), dk_clock_coarse_ms()).lookup,
                         DK_LOOKUP_FRESH);
    }
}

/* As few at a time as may be. */
static uint64_t take_all(struct dk_cache *cache, uint64_t epoch, struct dk_counted_hits *last) {
    struct dk_counted_hits hits[2];
    uint64_t walk = 0;
    uint64_t sum = 0;
    size_t count;
    while ((count = dk_cache_take_hits(cache, epoch, &walk, hits, 2)) > 0) {
        for (size_t i = 0; i < count; i++) {
            assert_true(hits[i].count > 0);
            sum += hits[i].count;
            *last = hits[i];
        }
    }
    return sum;
}

static void each_hit_is_taken_once(void **state) {
    (void)state;
    struct dk_cache *cache = new_cache(true);
    struct dk_counted_hits hits = {.count = 0};
    int64_t before_ms = dk_clock_ms();
    insert(cache, 1, 1, DK_ALLOW);
    insert(cache, 2, 1, DK_DENY);
    look_up(cache, 2, 3);
    assert_int_equal(take_all(cache, 1, &hits), 3);
    assert_true(hits.key.h0 == key_of(2).h0 && hits.key.h1 == key_of(2).h1);
    assert_int_equal(hits.outcome, DK_DENY);
    assert_in_range(hits.deadline_ms, before_ms + 60000, dk_clock_ms() + 60000);
    assert_int_equal(dk_cache_deadline_ms(cache, key_of(2)), hits.deadline_ms);
    assert_int_equal(take_all(cache, 1, &hits), 0);
    look_up(cache, 1, 4);
    look_up(cache, 2, 1);
    assert_true(dk_cache_take_hits_of(cache, key_of(1), &hits));
    assert_int_equal(hits.count, 4);
    assert_int_equal(hits.outcome, DK_ALLOW);
    assert_false(dk_cache_take_hits_of(cache, key_of(1), &hits));
    assert_false(dk_cache_take_hits_of(cache, key_of(3), &hits));
    assert_int_equal(take_all(cache, 1, &hits), 1);
    assert_int_equal(dk_cache_lost_hits(cache), 0);
    dk_cache_destroy(cache);
}

static void who_answers_nobody_is_not_counted(void **state) {
    (void)state;
    struct dk_cache *cache = new_cache(true);
    struct dk_counted_hits hits;
    insert(cache, 1, 1, DK_ALLOW);
    struct dk_hit hit = dk_cache_peek(cache, key_of(1), dk_clock_coarse_ms());
    assert_int_equal(hit.lookup, DK_LOOKUP_FRESH);
    assert_int_equal(hit.outcome, DK_ALLOW);
    assert_int_equal(take_all(cache, 1, &hits), 0);
    dk_cache_destroy(cache);
    cache = new_cache(false);
    insert(cache, 1, 1, DK_ALLOW);
    look_up(cache, 1, 3);
    assert_int_equal(take_all(cache, 1, &hits), 0);
    dk_cache_destroy(cache);
}

static void only_epochs_that_are_over_are_taken(void **state) {
    (void)state;
    struct dk_cache *cache = new_cache(true);
    struct dk_counted_hits hits;
    insert(cache, 1, 6, DK_ALLOW);
    insert(cache, 2, 7, DK_ALLOW);
    insert(cache, 3, 8, DK_ALLOW);
    look_up(cache, 1, 1);
    look_up(cache, 2, 10);
    look_up(cache, 3, 100);
    assert_int_equal(take_all(cache, 7, &hits), 11);
    assert_int_equal(take_all(cache, 8, &hits), 100);
    dk_cache_destroy(cache);
}

static void a_decision_keeps_its_hits_and_no_others(void **state) {
    (void)state;
    struct dk_cache *cache = new_cache(true);
    struct dk_counted_hits hits;
    insert(cache, 1, 1, DK_ALLOW);
    look_up(cache, 1, 2);
    insert(cache, 1, 1, DK_ALLOW);
    look_up(cache, 1, 2);
    assert_int_equal(take_all(cache, 1, &hits), 4);
    look_up(cache, 1, 5);
    insert(cache, 1, 1, DK_DENY);
    assert_int_equal(dk_cache_lost_hits(cache), 5);
    assert_int_equal(take_all(cache, 1, &hits), 0);
    dk_cache_destroy(cache);
}

/* ---- all at once ------------------------------------------------------------------------- */

struct stress {
    struct dk_cache *cache;
    _Atomic uint64_t found;
    _Atomic unsigned reading;
};

static void *read_entries(void *argument) {
    struct stress *stress = argument;
    uint64_t found = 0;
    int64_t now_ms = dk_clock_coarse_ms();
    for (uint64_t i = 0; i < LOOKUPS; i++) {
        struct dk_hit hit = dk_cache_lookup(stress->cache, key_of(i * 7 % KEYS), now_ms);
        found += hit.lookup == DK_LOOKUP_FRESH;
    }
    atomic_fetch_add(&stress->found, found);
    atomic_fetch_sub(&stress->reading, 1);
    return NULL;
}

/* More keys than there is room for, and outcomes that change. */
static void *write_entries(void *argument) {
    struct stress *stress = argument;
    for (uint64_t i = 0; atomic_load(&stress->reading) > 0; i++) {
        insert(stress->cache, i * 11 % KEYS, 1, i % 3 == 0 ? DK_DENY : DK_ALLOW);
    }
    return NULL;
}

static void every_hit_is_taken_or_lost(void **state) {
    (void)state;
    struct dk_counted_hits hits;
    struct stress stress = {.cache = new_cache(true), .reading = READERS};
    pthread_t readers[READERS], writer;
    uint64_t taken = 0;
    for (uint64_t i = 0; i < KEYS; i++) {
        insert(stress.cache, i, 1, DK_ALLOW);
    }
    assert_int_equal(pthread_create(&writer, NULL, write_entries, &stress), 0);
    for (size_t i = 0; i < READERS; i++) {
        assert_int_equal(pthread_create(&readers[i], NULL, read_entries, &stress), 0);
    }
    while (atomic_load(&stress.reading) > 0) {
        taken += take_all(stress.cache, 1, &hits);
    }
    for (size_t i = 0; i < READERS; i++) {
        pthread_join(readers[i], NULL);
    }
    pthread_join(writer, NULL);
    taken += take_all(stress.cache, 1, &hits);
    assert_true(atomic_load(&stress.found) > 0);
    assert_int_equal(taken + dk_cache_lost_hits(stress.cache), atomic_load(&stress.found));
    dk_cache_destroy(stress.cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_hit_is_taken_once),
        cmocka_unit_test(who_answers_nobody_is_not_counted),
        cmocka_unit_test(only_epochs_that_are_over_are_taken),
        cmocka_unit_test(a_decision_keeps_its_hits_and_no_others),
        cmocka_unit_test(every_hit_is_taken_or_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
