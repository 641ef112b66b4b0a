/* SPDX-License-Identifier: Apache-2.0 */
/* How much the cache keeps when it is full, and when somebody floods it. Prints the figures. */
#include "doorkeeper/cache.h"
#include "doorkeeper/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define ENTRIES ((uint64_t)65536)
#define LONG_MS INT64_C(3600000)
#define FLOOD ((uint64_t)1000000)
#define FLOOD_STEPS_A_MS 100 /* 100,000 new names a second */
#define HOT_TTL_MS 3000
/* Numbers of keys, far from each other. */
#define HOT UINT64_C(0)
#define FLOODING (UINT64_C(1) << 40)

/* Spread like the output of the hash. */
static struct dk_hash128 key_of(uint64_t number) {
    uint64_t x = number * UINT64_C(0x9e3779b97f4a7c15) + 1;
    x ^= x >> 29;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    return (struct dk_hash128){x ^ x >> 32, x * UINT64_C(0x94d049bb133111eb)};
}

static struct dk_cache *new_cache(void) {
    struct dk_cache_options options = {.entries = ENTRIES};
    struct dk_cache *cache = NULL;
    assert_int_equal(dk_cache_new(&options, &cache), DK_OK);
    return cache;
}

static bool finds(struct dk_cache *cache, uint64_t number, int64_t now_ms) {
    return dk_cache_lookup(cache, key_of(number), now_ms).lookup == DK_LOOKUP_FRESH;
}

static void insert(struct dk_cache *cache, uint64_t number, enum dk_outcome outcome, int64_t ttl_ms,
                   int64_t now_ms) {
    dk_cache_insert(cache, key_of(number), dk_cache_epoch(cache), outcome, now_ms + ttl_ms, now_ms);
}

/* Of `count` allows that were inserted and asked for once each, how many are still there. */
static double kept_percent(uint64_t count) {
    struct dk_cache *cache = new_cache();
    int64_t now_ms = dk_clock_coarse_ms();
    uint64_t kept = 0;
    for (uint64_t i = 0; i < count; i++) {
        insert(cache, HOT + i, DK_ALLOW, LONG_MS, now_ms);
        (void)finds(cache, HOT + i, now_ms);
    }
    for (uint64_t i = 0; i < count; i++) {
        kept += finds(cache, HOT + i, now_ms);
    }
    dk_cache_destroy(cache);
    return 100.0 * (double)kept / (double)count;
}

static void keeps_as_many_as_it_is_made_for(void **state) {
    (void)state;
    double full = kept_percent(ENTRIES), twice = kept_percent(2 * ENTRIES),
           four_times = kept_percent(4 * ENTRIES);
    print_message("kept of the decisions it is made for: %.2f %%, of twice as many: %.1f %%, of "
                  "four times as many: %.1f %%\n",
                  full, twice, four_times);
    assert_true(full > 99.9);
    /* The table has twice the room; beyond that something has to go, and no more than that. */
    assert_true(twice > 85);
    assert_true(four_times > 45);
}

/* Asks for one hot question, and OPA where the cache does not know. False: it should have known. */
static bool ask_hot(struct dk_cache *cache, uint64_t number, int64_t *deadline_ms, int64_t now_ms) {
    if (finds(cache, HOT + number, now_ms)) {
        return true;
    }
    bool expired = now_ms >= *deadline_ms - dk_clock_coarse_step_ms();
    *deadline_ms = now_ms + HOT_TTL_MS;
    insert(cache, HOT + number, DK_ALLOW, HOT_TTL_MS, now_ms);
    return expired;
}

/* For each of the attacker's questions, which are denied, one of the others' is asked. */
static double hot_percent_under_flood(uint64_t hot) {
    struct dk_cache *cache = new_cache();
    int64_t *deadlines_ms = calloc(hot, sizeof(*deadlines_ms));
    assert_non_null(deadlines_ms);
    int64_t now_ms = dk_clock_coarse_ms();
    uint64_t known = 0;
    for (uint64_t i = 0; i < FLOOD; i++) {
        now_ms += i % FLOOD_STEPS_A_MS == 0;
        insert(cache, FLOODING + i, DK_DENY, LONG_MS, now_ms);
        (void)finds(cache, FLOODING + i, now_ms); /* asked twice, so that it looks hot, too */
        known += ask_hot(cache, i % hot, &deadlines_ms[i % hot], now_ms);
    }
    free(deadlines_ms);
    dk_cache_destroy(cache);
    return 100.0 * (double)known / (double)FLOOD;
}

static void a_flood_of_denied_names_leaves_what_is_hot(void **state) {
    (void)state;
    static const uint64_t hot[] = {1000, ENTRIES / 4, ENTRIES};
    for (size_t i = 0; i < sizeof(hot) / sizeof(hot[0]); i++) {
        double percent = hot_percent_under_flood(hot[i]);
        print_message("%u hot decisions, %u denied names of an attacker: %.3f %% hits\n",
                      (unsigned)hot[i], (unsigned)FLOOD, percent);
        assert_true(percent >= 99);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_as_many_as_it_is_made_for),
        cmocka_unit_test(a_flood_of_denied_names_leaves_what_is_hot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
