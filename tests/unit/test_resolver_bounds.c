/* SPDX-License-Identifier: Apache-2.0 */
/* Fairness between principals, and the caps on what waits. */
#include "support/rig.h"
#include "support/wait_until.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* No poll comes in between, and a request is not given up while a slow machine gets there. */
#define CALM "opa.poll.interval.ms", "60000", "deadline.ms", "2000"

static int new_rig(void **state) {
    *state = calloc(1, sizeof(struct rig));
    return *state != NULL ? 0 : -1;
}

static int free_rig(void **state) {
    rig_stop(*state);
    free(*state);
    return 0;
}

/* ---- waiting threads --------------------------------------------------------------------- */

static void beyond_the_waiting_threads_calls_wait_a_moment_only(void **state) {
    struct rig *rig = *state;
    rig_start_ready(rig, (const char *[]){CALM, "waiting.threads", "2", NULL});
    struct ask waiting[2];
    fake_opa_close_gate(rig->opa);
    for (size_t i = 0; i < 2; i++) {
        waiting[i] =
            (struct ask){.rig = rig, .principal = i == 0 ? "alice" : "carol", .exact = "ok-0"};
        ask_begin(&waiting[i]);
        WAIT_UNTIL(dk_resolver_open(rig->resolver) == i + 1);
    }
    /* Has 20 s, and ends although the gate stays closed. */
    assert_int_equal(rig_ask(rig, "bob", "ok-bob"), DK_UNAVAILABLE);
    assert_false(atomic_load(&waiting[0].ended) || atomic_load(&waiting[1].ended));
    assert_int_equal(rig_metric(rig, DK_METRIC_REFUSED), 1);
    assert_true(rig_logged(rig, "2 threads wait for OPA"));
    fake_opa_open_gate(rig->opa);
    for (size_t i = 0; i < 2; i++) {
        ask_join(&waiting[i]);
        assert_int_equal(waiting[i].misses[0].outcome, DK_ALLOW);
        ask_clean_up(&waiting[i]);
    }
    WAIT_UNTIL(dk_resolver_open(rig->resolver) == 0);
    assert_int_equal(rig_cached(rig, "bob", "ok-bob").outcome, DK_ALLOW);
}

#define CALLS 6u

/* One more call of mallory, who waits as often as may be: it waits its moment, and whoever began
 * before it has waited longer than that. */
static void outwait_a_moment(struct rig *rig, const char *name) {
    assert_int_equal(rig_ask(rig, "mallory", name), DK_UNAVAILABLE);
}

/* As many calls of mallory, each for a name of its own; OPA's gate is closed. Those that may wait
 * a moment only have done so afterwards. */
static void begin_calls(struct rig *rig, struct ask asks[CALLS]) {
    static const char *const prefixes[CALLS] = {"a", "b", "c", "d", "e", "f"};
    for (size_t i = 0; i < CALLS; i++) {
        asks[i] =
            (struct ask){.rig = rig, .principal = "mallory", .prefix = prefixes[i], .count = 1};
        ask_begin(&asks[i]);
        WAIT_UNTIL(dk_resolver_open(rig->resolver) == i + 1);
    }
    outwait_a_moment(rig, "late");
}

static size_t count_ended(struct ask asks[CALLS]) {
    size_t ended = 0;
    for (size_t i = 0; i < CALLS; i++) {
        ended += atomic_load(&asks[i].ended);
    }
    return ended;
}

/* Waits for the ends of all; how many of them were answered? */
static size_t join_calls(struct ask asks[CALLS]) {
    size_t answered = 0;
    for (size_t i = 0; i < CALLS; i++) {
        ask_join(&asks[i]);
        answered += ask_count(&asks[i], DK_DENY);
        ask_clean_up(&asks[i]);
    }
    return answered;
}

static void while_one_principal_waits_another_may_as_well(void **state) {
    struct rig *rig = *state;
    rig_start_ready(rig, (const char *[]){CALM, "waiting.threads", "4", NULL});
    struct ask mallory[CALLS];
    struct ask alice = {.rig = rig, .principal = "alice", .exact = "ok-alice"};
    fake_opa_close_gate(rig->opa);
    begin_calls(rig, mallory);
    WAIT_UNTIL(count_ended(mallory) == CALLS - 2);
    ask_begin(&alice);
    WAIT_UNTIL(dk_resolver_open(rig->resolver) == CALLS + 2);
    outwait_a_moment(rig, "later");
    assert_false(atomic_load(&alice.ended));
    fake_opa_open_gate(rig->opa);
    ask_join(&alice);
    assert_int_equal(alice.misses[0].outcome, DK_ALLOW);
    assert_int_equal(join_calls(mallory), 2);
    ask_clean_up(&alice);
}

static void expect_slots_of_one(const char *waiting_threads, size_t slots) {
    struct rig rig = {.opa = NULL};
    struct ask asks[CALLS];
    rig_start_ready(&rig, (const char *[]){CALM, "waiting.threads", waiting_threads, NULL});
    fake_opa_close_gate(rig.opa);
    begin_calls(&rig, asks);
    WAIT_UNTIL(count_ended(asks) == CALLS - slots);
    fake_opa_open_gate(rig.opa);
    assert_int_equal(join_calls(asks), slots);
    rig_stop(&rig);
}

static void one_principal_has_half_of_the_waiting_threads(void **state) {
    (void)state;
    expect_slots_of_one("1", 1);
    expect_slots_of_one("2", 1);
    expect_slots_of_one("5", 3);
}

static void a_waiting_threads_place_is_free_again_afterwards(void **state) {
    struct rig *rig = *state;
    char name[32];
    rig_start_ready(rig, (const char *[]){CALM, "waiting.threads", "3", NULL});
    struct ask ask = {.rig = rig, .principal = "mallory", .exact = "ok-a"};
    fake_opa_close_gate(rig->opa);
    ask_begin(&ask); /* as long as it waits, mallory is not forgotten */
    WAIT_UNTIL(dk_resolver_open(rig->resolver) == 1);
    for (int i = 0; i < 5; i++) {
        snprintf(name, sizeof(name), "ok-%d", i);
        assert_int_equal(rig_ask_within(rig, "mallory", name, 1), DK_UNAVAILABLE);
    }
    /* Each reached its own deadline: none was cut short. */
    assert_int_equal(rig_metric(rig, DK_METRIC_TIMEOUTS), 5);
    assert_int_equal(rig_metric(rig, DK_METRIC_REFUSED), 0);
    fake_opa_open_gate(rig->opa);
    ask_join(&ask);
    assert_int_equal(ask.misses[0].outcome, DK_ALLOW);
    ask_clean_up(&ask);
}

/* ---- questions --------------------------------------------------------------------------- */

static void another_principals_question_does_not_stand_behind_a_flood(void **state) {
    struct rig *rig = *state;
    rig_start_ready(rig, (const char *[]){CALM, "opa.connections", "1", "opa.batch.max", "1",
                                          "waiting.threads", "9", NULL});
    struct ask flood = {.rig = rig, .principal = "mallory", .prefix = "random-", .count = 500};
    struct ask alice = {.rig = rig, .principal = "alice", .exact = "ok-alice"};
    fake_opa_watch(rig->opa, "ok-alice");
    fake_opa_close_gate(rig->opa);
    ask_begin(&flood);
    WAIT_UNTIL(dk_resolver_queued(rig->resolver) == 499 && fake_opa_held(rig->opa) == 1);
    ask_begin(&alice);
    WAIT_UNTIL(dk_resolver_queued(rig->resolver) == 500);
    fake_opa_open_gate(rig->opa);
    ask_join(&alice);
    assert_int_equal(alice.misses[0].outcome, DK_ALLOW);
    assert_in_range(fake_opa_seen_at(rig->opa), 1, 2);
    ask_join(&flood);
    assert_int_equal(ask_count(&flood, DK_DENY), 500);
    ask_clean_up(&alice);
    ask_clean_up(&flood);
}

static void one_principal_holds_a_quarter_of_the_queue(void **state) {
    struct rig *rig = *state;
    rig_start_ready(rig,
                    (const char *[]){CALM, "queue.entries", "64", "waiting.threads", "9", NULL});
    struct ask flood = {.rig = rig, .principal = "mallory", .prefix = "random-", .count = 100};
    fake_opa_close_gate(rig->opa);
    ask_begin(&flood);
    WAIT_UNTIL(dk_resolver_open(rig->resolver) == 16);
    struct ask alice = {.rig = rig, .principal = "alice", .prefix = "ok-", .count = 10};
    ask_begin(&alice);
    WAIT_UNTIL(dk_resolver_open(rig->resolver) == 26);
    fake_opa_open_gate(rig->opa);
    ask_join(&flood);
    ask_join(&alice);
    assert_int_equal(ask_count(&alice, DK_ALLOW), 10);
    assert_int_equal(ask_count(&flood, DK_DENY), 16);
    assert_int_equal(ask_count(&flood, DK_UNAVAILABLE), 84);
    assert_int_equal(rig_metric(rig, DK_METRIC_REFUSED), 84);
    assert_int_equal(rig_count_troubles(rig, "too many questions wait for OPA"), 1);
    ask_clean_up(&alice);
    ask_clean_up(&flood);
}

static void all_principals_together_have_a_cap_on_questions(void **state) {
    static const char *const principals[4] = {"a", "b", "c", "d"};
    struct rig *rig = *state;
    struct ask asks[4];
    rig_start_ready(rig,
                    (const char *[]){CALM, "queue.entries", "64", "waiting.threads", "9", NULL});
    fake_opa_close_gate(rig->opa);
    for (size_t i = 0; i < 4; i++) {
        asks[i] =
            (struct ask){.rig = rig, .principal = principals[i], .prefix = "no-", .count = 16};
        ask_begin(&asks[i]);
        WAIT_UNTIL(dk_resolver_open(rig->resolver) == 16 * (i + 1));
    }
    assert_int_equal(rig_ask_within(rig, "alice", "ok-alice", 1000), DK_UNAVAILABLE);
    assert_int_equal(rig_metric(rig, DK_METRIC_REFUSED), 1);
    assert_int_equal(dk_resolver_open(rig->resolver), 64);
    fake_opa_open_gate(rig->opa);
    for (size_t i = 0; i < 4; i++) {
        ask_join(&asks[i]);
        assert_int_equal(ask_count(&asks[i], DK_DENY), 16);
        ask_clean_up(&asks[i]);
    }
    assert_int_equal(rig_ask(rig, "alice", "ok-alice"), DK_ALLOW);
}

/* ---- a flood ----------------------------------------------------------------------------- */

struct flood {
    struct rig *rig;
    pthread_t thread;
    _Atomic bool over;
    unsigned number;
};

static void *flood_without_end(void *user) {
    struct flood *flood = user;
    char prefix[32];
    for (unsigned round = 0; !atomic_load(&flood->over); round++) {
        snprintf(prefix, sizeof(prefix), "r-%u-%u-", flood->number, round);
        struct ask ask = {
            .rig = flood->rig, .principal = "mallory", .prefix = prefix, .count = 100};
        ask_run(&ask);
        ask_clean_up(&ask);
    }
    return NULL;
}

/* OPA is slower than a call waits that may not wait fully. */
static void cold_questions_are_answered_while_another_client_floods(void **state) {
    struct rig *rig = *state;
    rig_start_ready(rig, (const char *[]){CALM, "queue.entries", "4096", NULL});
    size_t memory = dk_resolver_memory_bytes(rig->resolver);
    struct flood floods[12];
    unsigned allowed = 0;
    char name[32];
    fake_opa_set_delay(rig->opa, 2 * SHORT_WAIT_MS);
    for (unsigned i = 0; i < 12; i++) {
        floods[i] = (struct flood){.rig = rig, .number = i};
        assert_int_equal(pthread_create(&floods[i].thread, NULL, flood_without_end, &floods[i]), 0);
    }
    WAIT_UNTIL(rig_metric(rig, DK_METRIC_REFUSED) > 0);
    for (unsigned i = 0; i < 10; i++) {
        snprintf(name, sizeof(name), "ok-%u", i);
        allowed += rig_ask(rig, "alice", name) == DK_ALLOW;
    }
    for (unsigned i = 0; i < 12; i++) {
        atomic_store(&floods[i].over, true);
    }
    for (unsigned i = 0; i < 12; i++) {
        pthread_join(floods[i].thread, NULL);
    }
    assert_int_equal(allowed, 10);
    assert_true(dk_resolver_open(rig->resolver) <= 1024);
    WAIT_UNTIL(dk_resolver_open(rig->resolver) == 0);
    assert_int_equal(dk_resolver_memory_bytes(rig->resolver), memory);
}

/* ---- bytes ------------------------------------------------------------------------------- */

#define LONG_NAME 100000u
/* As many long names as one principal's share of the bytes has room for. */
#define SHARE (DK_FLIGHT_BYTES_MAX / 4 / (LONG_NAME + 1024))

static void expect_too_many_bytes(struct rig *rig, const char *prefix, size_t count) {
    uint64_t refused = rig_metric(rig, DK_METRIC_REFUSED);
    size_t open = dk_resolver_open(rig->resolver);
    struct ask ask = {
        .rig = rig, .principal = "alice", .prefix = prefix, .count = count, .wait_ms = 1000};
    ask_run(&ask);
    assert_int_equal(ask_count(&ask, DK_UNAVAILABLE), count);
    assert_int_equal(ask.misses[0].source, DK_SOURCE_NONE);
    assert_int_equal(rig_metric(rig, DK_METRIC_REFUSED), refused + count);
    assert_int_equal(dk_resolver_open(rig->resolver), open);
    ask_clean_up(&ask);
}

static void what_one_principal_may_hold_in_bytes_has_a_cap(void **state) {
    struct rig *rig = *state;
    static char prefix[LONG_NAME + 1];
    memset(prefix, 'n', LONG_NAME);
    rig_start_ready(rig, (const char *[]){CALM, NULL});
    expect_too_many_bytes(rig, prefix, SHARE + 8);
    struct ask half = {.rig = rig, .principal = "alice", .prefix = prefix, .count = SHARE / 2};
    fake_opa_close_gate(rig->opa);
    ask_begin(&half);
    WAIT_UNTIL(dk_resolver_open(rig->resolver) == SHARE / 2);
    expect_too_many_bytes(rig, prefix, SHARE / 2 + 8);
    fake_opa_open_gate(rig->opa);
    ask_join(&half);
    assert_int_equal(ask_count(&half, DK_DENY), SHARE / 2);
    ask_clean_up(&half);
}

/* One question hangs, so that alice is not forgotten while all the others end. Together they are
 * more than all principals may hold. */
static void what_has_ended_counts_no_longer(void **state) {
    struct rig *rig = *state;
    static char prefix[LONG_NAME + 1];
    char entries[32];
    memset(prefix, 'n', LONG_NAME);
    snprintf(entries, sizeof(entries), "%zu", 4 * SHARE);
    rig_start_ready(rig, (const char *[]){CALM, "queue.entries", entries, NULL});
    struct ask hanging = {.rig = rig, .principal = "alice", .exact = "ok-hanging"};
    fake_opa_set_fault(rig->opa, FAULT_HANG, FAULT_NONE);
    ask_begin(&hanging);
    WAIT_UNTIL(fake_opa_requests(rig->opa) == 1);
    fake_opa_set_fault(rig->opa, FAULT_NONE, FAULT_NONE);
    for (int i = 0; i < 5; i++) {
        struct ask ask = {.rig = rig, .principal = "alice", .prefix = prefix, .count = SHARE - 1};
        ask_run(&ask);
        assert_int_equal(ask_count(&ask, DK_DENY), SHARE - 1);
        (void)dk_cache_bump_epoch(rig->cache);
        ask_clean_up(&ask);
    }
    rig_halt(rig);
    ask_join(&hanging);
    ask_clean_up(&hanging);
}

static void all_principals_together_have_a_cap_on_bytes(void **state) {
    static const char *const principals[4] = {"a", "b", "c", "d"};
    struct rig *rig = *state;
    struct ask asks[4];
    static char prefix[LONG_NAME + 1];
    memset(prefix, 'n', LONG_NAME);
    rig_start_ready(rig, (const char *[]){CALM, "waiting.threads", "9", NULL});
    fake_opa_close_gate(rig->opa);
    for (size_t i = 0; i < 4; i++) {
        asks[i] =
            (struct ask){.rig = rig, .principal = principals[i], .prefix = prefix, .count = SHARE};
        ask_begin(&asks[i]);
        WAIT_UNTIL(dk_resolver_open(rig->resolver) == SHARE * (i + 1));
    }
    expect_too_many_bytes(rig, prefix, 16); /* far less than alice's own share */
    rig_halt(rig);
    for (size_t i = 0; i < 4; i++) {
        ask_join(&asks[i]);
        ask_clean_up(&asks[i]);
    }
}

/* Each control character becomes six bytes of JSON, so these fill several bodies. */
static void what_does_not_fit_into_one_body_travels_as_several(void **state) {
    struct rig *rig = *state;
    static char prefix[DK_NAME_MAX - 7];
    const size_t count = 3 * BODY_MAX / (6 * sizeof(prefix));
    memset(prefix, '\x01', sizeof(prefix) - 1);
    rig_start_ready(rig, (const char *[]){CALM, "opa.connections", "1", NULL});
    struct ask ask = {.rig = rig, .principal = "alice", .prefix = prefix, .count = count};
    ask_run(&ask);
    assert_int_equal(ask_count(&ask, DK_DENY), count);
    assert_in_range(fake_opa_requests(rig->opa), 3, count);
    assert_int_equal(rig_count_troubles(rig, ""), 0);
    ask_clean_up(&ask);
}

int main(void) {
#define RIGGED(test) cmocka_unit_test_setup_teardown(test, new_rig, free_rig)
    const struct CMUnitTest tests[] = {
        RIGGED(beyond_the_waiting_threads_calls_wait_a_moment_only),
        RIGGED(while_one_principal_waits_another_may_as_well),
        cmocka_unit_test(one_principal_has_half_of_the_waiting_threads),
        RIGGED(a_waiting_threads_place_is_free_again_afterwards),
        RIGGED(another_principals_question_does_not_stand_behind_a_flood),
        RIGGED(one_principal_holds_a_quarter_of_the_queue),
        RIGGED(all_principals_together_have_a_cap_on_questions),
        RIGGED(cold_questions_are_answered_while_another_client_floods),
        RIGGED(what_one_principal_may_hold_in_bytes_has_a_cap),
        RIGGED(what_has_ended_counts_no_longer),
        RIGGED(all_principals_together_have_a_cap_on_bytes),
        RIGGED(what_does_not_fit_into_one_body_travels_as_several),
    };
    return cmocka_run_group_tests_name("resolver: bounds", tests, NULL, NULL);
}
