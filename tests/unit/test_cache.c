/* SPDX-License-Identifier: Apache-2.0 */
/* The cache against the law in cache.h: a model remembers what was inserted last for each key. */
#include "doorkeeper/cache.h"
#include "doorkeeper/clock.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define KEYS 3000u
#define STEPS 400000u
#define LATE_ALLOW_MS 300
#define LATE_DENY_MS 100

static uint64_t next_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Spread like the output of the hash, so that windows overlap as they do in use. */
static struct dk_hash128 key_of(uint64_t number) {
    uint64_t x = number * UINT64_C(0x9e3779b97f4a7c15) + 1;
    x ^= x >> 29;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    return (struct dk_hash128){x ^ x >> 32, x * UINT64_C(0x94d049bb133111eb)};
}

static struct dk_cache *new_cache(uint64_t entries, int64_t stale_window_ms) {
    struct dk_cache_options options = {.entries = entries,
                                       .stale_window_ms = stale_window_ms,
                                       .late_allow_ms = LATE_ALLOW_MS,
                                       .late_deny_ms = LATE_DENY_MS};
    struct dk_cache *cache = NULL;
    assert_int_equal(dk_cache_new(&options, &cache), DK_OK);
    return cache;
}

/* Entries end up to one step of the coarse clock before their deadline. */
static void expect_late(struct dk_hit hit, int64_t left_ms) {
    int64_t late_ms = hit.outcome == DK_ALLOW ? LATE_ALLOW_MS : LATE_DENY_MS;
    if (left_ms < late_ms) {
        assert_true(hit.late);
    }
    if (left_ms >= late_ms + dk_clock_coarse_step_ms()) {
        assert_false(hit.late);
    }
}

static void keeps_the_law_of_a_model(void **state) {
    (void)state;
    const int64_t stale_window_ms = 500;
    struct dk_cache *cache = new_cache(1024, stale_window_ms);
    struct {
        bool inserted;
        enum dk_outcome outcome;
        int64_t deadline_ms;
    } *model = calloc(KEYS, sizeof(*model));
    assert_non_null(model);
    uint64_t random = 88172645463325252u;
    int64_t now_ms = dk_clock_coarse_ms() + 1000;
    size_t fresh = 0, stale = 0, misses = 0;
    for (size_t step = 0; step < STEPS; step++) {
        uint64_t number = next_random(&random) % KEYS;
        now_ms += (int64_t)(next_random(&random) % 3);
        if (next_random(&random) % 3 == 0) {
            enum dk_outcome outcome = next_random(&random) % 2 ? DK_ALLOW : DK_DENY;
            int64_t deadline_ms = now_ms + (int64_t)(next_random(&random) % 2000);
            dk_cache_insert(cache, key_of(number), dk_cache_epoch(cache), outcome, deadline_ms,
                            now_ms);
            if (deadline_ms - dk_clock_coarse_step_ms() > now_ms) {
                model[number].inserted = true;
                model[number].outcome = outcome;
                model[number].deadline_ms = deadline_ms;
            }
            continue;
        }
        struct dk_hit hit = dk_cache_lookup(cache, key_of(number), now_ms);
        switch (hit.lookup) {
        case DK_LOOKUP_FRESH:
            assert_true(model[number].inserted);
            assert_true(now_ms < model[number].deadline_ms);
            expect_late(hit, model[number].deadline_ms - now_ms);
            fresh++;
            break;
        case DK_LOOKUP_STALE:
            assert_int_equal(hit.outcome, DK_ALLOW);
            assert_true(model[number].inserted);
            assert_true(now_ms < model[number].deadline_ms + stale_window_ms);
            stale++;
            break;
        case DK_LOOKUP_MISS:
            assert_int_equal(hit.outcome, DK_DENY);
            misses++;
            break;
        }
        assert_true(!hit.late || hit.lookup == DK_LOOKUP_FRESH);
        if (hit.lookup != DK_LOOKUP_MISS) {
            /* An insert that finds no place leaves no older entry of its key behind. */
            assert_int_equal(hit.outcome, model[number].outcome);
        }
    }
    assert_true(fresh > 1000 && stale > 10 && misses > 1000);
    free(model);
    dk_cache_destroy(cache);
}

static void answers_what_was_inserted(void **state) {
    (void)state;
    struct dk_cache *cache = new_cache(4096, 0);
    int64_t now_ms = dk_clock_coarse_ms();
    for (uint64_t i = 0; i < 1000; i++) {
        dk_cache_insert(cache, key_of(i), 1, i % 2 ? DK_ALLOW : DK_DENY, now_ms + 60000, now_ms);
    }
    size_t found = 0;
    for (uint64_t i = 0; i < 1000; i++) {
        struct dk_hit hit = dk_cache_lookup(cache, key_of(i), now_ms);
        if (hit.lookup == DK_LOOKUP_FRESH) {
            assert_int_equal(hit.outcome, i % 2 ? DK_ALLOW : DK_DENY);
            found++;
        }
    }
    assert_int_equal(found, 1000);
    dk_cache_destroy(cache);
}

static void expires_at_its_deadline(void **state) {
    (void)state;
    struct dk_cache *cache = new_cache(1024, 0);
    int64_t now_ms = dk_clock_coarse_ms();
    dk_cache_insert(cache, key_of(1), 1, DK_ALLOW, now_ms + 1000, now_ms);
    assert_int_equal(dk_cache_lookup(cache, key_of(1), now_ms + 900).lookup, DK_LOOKUP_FRESH);
    assert_int_equal(dk_cache_lookup(cache, key_of(1), now_ms + 1000).lookup, DK_LOOKUP_MISS);
    dk_cache_destroy(cache);
}

static void keeps_only_decisions(void **state) {
    (void)state;
    struct dk_cache *cache = new_cache(1024, 0);
    int64_t now_ms = dk_clock_coarse_ms();
    dk_cache_insert(cache, key_of(1), 1, DK_UNDEFINED, now_ms + 1000, now_ms);
    dk_cache_insert(cache, key_of(2), 1, DK_UNAVAILABLE, now_ms + 1000, now_ms);
    assert_int_equal(dk_cache_lookup(cache, key_of(1), now_ms).lookup, DK_LOOKUP_MISS);
    assert_int_equal(dk_cache_lookup(cache, key_of(2), now_ms).lookup, DK_LOOKUP_MISS);
    dk_cache_destroy(cache);
}

static void denials_do_not_displace_visited_allows(void **state) {
    (void)state;
    struct dk_cache *cache = new_cache(8, 0);
    int64_t now_ms = dk_clock_coarse_ms();
    for (uint64_t i = 0; i < 16; i++) {
        struct dk_hash128 key = {0, i + 1};
        dk_cache_insert(cache, key, 1, DK_ALLOW, now_ms + 60000, now_ms);
        assert_int_equal(dk_cache_lookup(cache, key, now_ms).lookup, DK_LOOKUP_FRESH);
    }
    for (uint64_t i = 0; i < 1000; i++) {
        dk_cache_insert(cache, (struct dk_hash128){0, 1000 + i}, 1, DK_DENY, now_ms + 60000,
                        now_ms);
    }
    for (uint64_t i = 0; i < 16; i++) {
        struct dk_hit hit = dk_cache_lookup(cache, (struct dk_hash128){0, i + 1}, now_ms);
        assert_int_equal(hit.lookup, DK_LOOKUP_FRESH);
        assert_int_equal(hit.outcome, DK_ALLOW);
    }
    dk_cache_destroy(cache);
}

/* Two writers and a reader on few entries: TSan looks for races, the reader for wrong outcomes. */
struct stress {
    struct dk_cache *cache;
    int64_t now_ms;
    uint64_t seed;
    size_t wrong;
};

static void *write_entries(void *argument) {
    struct stress *stress = argument;
    uint64_t random = stress->seed;
    for (size_t i = 0; i < 200000; i++) {
        uint64_t number = next_random(&random) % 64;
        dk_cache_insert(stress->cache, key_of(number), 1, number % 2 ? DK_ALLOW : DK_DENY,
                        stress->now_ms + 60000 + (int64_t)(i % 1000), stress->now_ms);
    }
    return NULL;
}

static void *read_entries(void *argument) {
    struct stress *stress = argument;
    uint64_t random = stress->seed;
    for (size_t i = 0; i < 400000; i++) {
        uint64_t number = next_random(&random) % 64;
        struct dk_hit hit = dk_cache_lookup(stress->cache, key_of(number), stress->now_ms);
        enum dk_outcome expected = number % 2 ? DK_ALLOW : DK_DENY;
        if (hit.lookup == DK_LOOKUP_FRESH && hit.outcome != expected) {
            stress->wrong++;
        }
    }
    return NULL;
}

static void never_gives_a_wrong_answer_under_writers(void **state) {
    (void)state;
    struct dk_cache *cache = new_cache(8, 0);
    struct stress parts[3];
    pthread_t threads[3];
    for (size_t i = 0; i < 3; i++) {
        parts[i] = (struct stress){cache, dk_clock_coarse_ms(), 977 + i, 0};
        void *(*body)(void *) = i < 2 ? write_entries : read_entries;
        assert_int_equal(pthread_create(&threads[i], NULL, body, &parts[i]), 0);
    }
    for (size_t i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(parts[2].wrong, 0);
    dk_cache_destroy(cache);
}

static void bumping_gives_a_new_epoch(void **state) {
    (void)state;
    struct dk_cache *cache = new_cache(1024, 0);
    uint64_t before = dk_cache_epoch(cache);
    assert_true(dk_cache_bump_epoch(cache) == before + 1);
    assert_true(dk_cache_epoch(cache) == before + 1);
    dk_cache_destroy(cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_the_law_of_a_model),
        cmocka_unit_test(answers_what_was_inserted),
        cmocka_unit_test(expires_at_its_deadline),
        cmocka_unit_test(keeps_only_decisions),
        cmocka_unit_test(denials_do_not_displace_visited_allows),
        cmocka_unit_test(never_gives_a_wrong_answer_under_writers),
        cmocka_unit_test(bumping_gives_a_new_epoch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
