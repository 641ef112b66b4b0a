/* SPDX-License-Identifier: Apache-2.0 */
/* Batches, flights, deadlines, fairness and caps. Faults: test_resolver_faults.c; what changes the
 * epoch: test_resolver_revision.c. */
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

/* ---- outcomes ---------------------------------------------------------------------------- */

static void the_four_outcomes_are_told_apart_and_two_are_cached(void **state) {
    struct rig *rig = *state;
    rig_start_ready(rig, (const char *[]){CALM, NULL});
    assert_int_equal(rig_ask(rig, "alice", "ok-a"), DK_ALLOW);
    assert_int_equal(rig_ask(rig, "alice", "no-a"), DK_DENY);
    fake_opa_set_fault(rig->opa, FAULT_UNDEFINED_RULE, FAULT_NONE);
    assert_int_equal(rig_ask(rig, "alice", "ok-b"), DK_UNDEFINED);
    fake_opa_set_fault(rig->opa, FAULT_HTML, FAULT_NONE);
    assert_int_equal(rig_ask(rig, "alice", "ok-c"), DK_UNAVAILABLE);
    struct dk_hit allowed = rig_cached(rig, "alice", "ok-a");
    struct dk_hit denied = rig_cached(rig, "alice", "no-a");
    assert_int_equal(allowed.lookup, DK_LOOKUP_FRESH);
    assert_int_equal(allowed.outcome, DK_ALLOW);
    assert_int_equal(denied.lookup, DK_LOOKUP_FRESH);
    assert_int_equal(denied.outcome, DK_DENY);
    assert_int_equal(rig_cached(rig, "alice", "ok-b").lookup, DK_LOOKUP_MISS);
    assert_int_equal(rig_cached(rig, "alice", "ok-c").lookup, DK_LOOKUP_MISS);
    assert_int_equal(rig_cached(rig, "bob", "ok-a").lookup, DK_LOOKUP_MISS);
}

static void a_policy_without_a_batch_rule_is_asked_one_by_one(void **state) {
    struct rig *rig = *state;
    rig_start_ready(rig, (const char *[]){CALM, "opa.batch.path", "", NULL});
    struct ask allowed = {.rig = rig, .principal = "alice", .prefix = "ok-", .count = 20};
    struct ask denied = {.rig = rig, .principal = "alice", .prefix = "no-", .count = 20};
    ask_run(&allowed);
    ask_run(&denied);
    assert_int_equal(ask_count(&allowed, DK_ALLOW), 20);
    assert_int_equal(ask_count(&denied, DK_DENY), 20);
    assert_int_equal(fake_opa_requests(rig->opa), 40);
    fake_opa_set_fault(rig->opa, FAULT_STRINGS, FAULT_NONE);
    assert_int_equal(rig_ask(rig, "alice", "ok-string"), DK_UNAVAILABLE);
    fake_opa_set_fault(rig->opa, FAULT_UNDEFINED_RULE, FAULT_NONE);
    assert_int_equal(rig_ask(rig, "alice", "ok-undefined"), DK_UNDEFINED);
    ask_clean_up(&denied);
    ask_clean_up(&allowed);
}

/* ---- batches ----------------------------------------------------------------------------- */

static void expect_batches(struct rig *rig, size_t misses, unsigned cap) {
    unsigned before = fake_opa_requests(rig->opa);
    struct ask ask = {.rig = rig, .principal = "alice", .prefix = "ok-", .count = misses};
    ask_run(&ask);
    assert_int_equal(ask_count(&ask, DK_ALLOW), misses);
    unsigned requests = fake_opa_requests(rig->opa) - before;
    assert_int_equal(requests, (misses + cap - 1) / cap);
    for (unsigned i = 0; i < requests; i++) {
        assert_in_range(fake_opa_request_size(rig->opa, before + i), 1, cap);
    }
    (void)dk_cache_bump_epoch(rig->cache);
    ask_clean_up(&ask);
}

static void a_call_makes_as_few_requests_as_the_cap_allows(void **state) {
    struct rig *rig = *state;
    rig_start_ready(rig, (const char *[]){CALM, "opa.batch.max", "10", NULL});
    static const size_t counts[] = {1, 9, 10, 11, 25, 100, 101};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        expect_batches(rig, counts[i], 10);
    }
}

static void a_thousand_cold_topics_make_two_requests(void **state) {
    struct rig *rig = *state;
    rig_start_ready(rig, (const char *[]){CALM, NULL});
    expect_batches(rig, 1000, 500);
}

static void calls_that_wait_at_the_same_time_travel_together(void **state) {
    struct rig *rig = *state;
    rig_start_ready(rig,
                    (const char *[]){CALM, "opa.connections", "1", "waiting.threads", "9", NULL});
    static const char *const principals[] = {"alice", "bob", "carol", "dave"};
    struct ask asks[4];
    fake_opa_close_gate(rig->opa);
    for (size_t i = 0; i < 4; i++) {
        asks[i] = (struct ask){.rig = rig,
                               .principal = principals[i],
                               .prefix = i % 2 == 0 ? "ok-" : "no-",
                               .count = 5};
        ask_begin(&asks[i]);
        WAIT_UNTIL(dk_resolver_open(rig->resolver) == 5 * (i + 1));
        WAIT_UNTIL(fake_opa_held(rig->opa) == 1);
    }
    fake_opa_open_gate(rig->opa);
    for (size_t i = 0; i < 4; i++) {
        ask_join(&asks[i]);
        assert_int_equal(ask_count(&asks[i], i % 2 == 0 ? DK_ALLOW : DK_DENY), 5);
        ask_clean_up(&asks[i]);
    }
    assert_int_equal(fake_opa_requests(rig->opa), 2);
    assert_int_equal(fake_opa_request_size(rig->opa, 1), 15);
}

static void a_batch_never_mixes_clusters(void **state) {
    struct rig *rig = *state;
    rig_start_ready(rig,
                    (const char *[]){CALM, "opa.connections", "1", "waiting.threads", "9", NULL});
    struct ask first = {.rig = rig, .principal = "alice", .exact = "ok-first"};
    struct ask here = {.rig = rig, .principal = "alice", .prefix = "ok-", .count = 3};
    struct ask there = {
        .rig = rig, .principal = "alice", .prefix = "ok-", .count = 4, .cluster = "cluster-2"};
    fake_opa_close_gate(rig->opa);
    ask_begin(&first);
    WAIT_UNTIL(fake_opa_held(rig->opa) == 1);
    ask_begin(&here);
    WAIT_UNTIL(dk_resolver_queued(rig->resolver) == 3);
    ask_begin(&there);
    WAIT_UNTIL(dk_resolver_queued(rig->resolver) == 7);
    fake_opa_open_gate(rig->opa);
    ask_join(&first);
    ask_join(&here);
    ask_join(&there);
    assert_int_equal(ask_count(&here, DK_ALLOW), 3);
    assert_int_equal(ask_count(&there, DK_ALLOW), 4);
    assert_int_equal(fake_opa_requests(rig->opa), 3);
    ask_clean_up(&first);
    ask_clean_up(&here);
    ask_clean_up(&there);
}

/* ---- flights ----------------------------------------------------------------------------- */

static void one_question_has_one_flight_however_many_wait(void **state) {
    struct rig *rig = *state;
    rig_start_ready(rig, (const char *[]){CALM, "waiting.threads", "9", NULL});
    struct ask asks[6];
    fake_opa_close_gate(rig->opa);
    for (size_t i = 0; i < 6; i++) {
        asks[i] = (struct ask){.rig = rig, .principal = "alice", .exact = "ok-same"};
        ask_begin(&asks[i]);
        WAIT_UNTIL(rig_metric(rig, DK_METRIC_JOINED) == i && dk_resolver_open(rig->resolver) == 1);
    }
    WAIT_UNTIL(fake_opa_held(rig->opa) == 1);
    fake_opa_open_gate(rig->opa);
    for (size_t i = 0; i < 6; i++) {
        ask_join(&asks[i]);
        assert_int_equal(asks[i].misses[0].outcome, DK_ALLOW);
        assert_int_equal(asks[i].misses[0].source, DK_SOURCE_OPA);
        ask_clean_up(&asks[i]);
    }
    assert_int_equal(fake_opa_questions(rig->opa), 1);
}

static void a_name_that_stands_twice_in_a_call_is_asked_once(void **state) {
    struct rig *rig = *state;
    rig_start_ready(rig, (const char *[]){CALM, NULL});
    struct ask ask = {.rig = rig, .principal = "alice", .prefix = "ok-", .count = 2};
    ask_prepare(&ask);
    ask.misses[1] = ask.misses[0];
    dk_resolver_resolve(rig->resolver, &ask.context, ask.misses, 2, ask.epoch,
                        dk_clock_ms() + LONG_MS);
    assert_int_equal(ask_count(&ask, DK_ALLOW), 2);
    assert_int_equal(rig_metric(rig, DK_METRIC_JOINED), 1);
    assert_int_equal(fake_opa_questions(rig->opa), 1);
    ask_clean_up(&ask);
}

static void what_was_answered_since_the_caller_looked_is_not_asked_again(void **state) {
    struct rig *rig = *state;
    rig_start_ready(rig, (const char *[]){CALM, NULL});
    struct ask late = {.rig = rig, .principal = "alice", .prefix = "no-", .count = 2};
    ask_prepare(&late);
    assert_int_equal(rig_ask(rig, "alice", "no-1"), DK_DENY);
    dk_resolver_resolve(rig->resolver, &late.context, late.misses, 2, late.epoch,
                        dk_clock_ms() + LONG_MS);
    assert_int_equal(ask_count(&late, DK_DENY), 2);
    assert_int_equal(late.misses[0].source, DK_SOURCE_OPA);
    assert_int_equal(late.misses[1].source, DK_SOURCE_CACHE);
    assert_int_equal(fake_opa_questions(rig->opa), 2);
    ask_clean_up(&late);
}

static void a_call_joins_no_flight_of_an_earlier_epoch(void **state) {
    struct rig *rig = *state;
    rig_start_ready(rig, (const char *[]){CALM, "waiting.threads", "9", NULL});
    struct ask before = {.rig = rig, .principal = "alice", .exact = "ok-a"};
    struct ask after = before;
    fake_opa_close_gate(rig->opa);
    ask_begin(&before);
    WAIT_UNTIL(fake_opa_held(rig->opa) == 1);
    (void)dk_cache_bump_epoch(rig->cache);
    ask_begin(&after);
    WAIT_UNTIL(fake_opa_held(rig->opa) == 2);
    fake_opa_open_gate(rig->opa);
    ask_join(&before);
    ask_join(&after);
    assert_int_equal(before.misses[0].outcome, DK_ALLOW);
    assert_int_equal(after.misses[0].outcome, DK_ALLOW);
    assert_int_equal(rig_metric(rig, DK_METRIC_JOINED), 0);
    assert_int_equal(fake_opa_questions(rig->opa), 2);
    ask_clean_up(&before);
    ask_clean_up(&after);
}

static void an_answer_that_crosses_a_bump_is_never_seen(void **state) {
    struct rig *rig = *state;
    rig_start_ready(rig, (const char *[]){CALM, NULL});
    struct ask ask = {.rig = rig, .principal = "alice", .exact = "ok-a"};
    fake_opa_close_gate(rig->opa);
    ask_begin(&ask);
    WAIT_UNTIL(fake_opa_held(rig->opa) == 1);
    (void)dk_cache_bump_epoch(rig->cache);
    fake_opa_open_gate(rig->opa);
    ask_join(&ask);
    assert_int_equal(ask.misses[0].outcome, DK_ALLOW);
    assert_int_equal(rig_cached(rig, "alice", "ok-a").lookup, DK_LOOKUP_MISS);
    ask_clean_up(&ask);
}

/* ---- deadlines --------------------------------------------------------------------------- */

static void a_call_ends_with_its_deadline_and_late_answers_are_cached(void **state) {
    struct rig *rig = *state;
    rig_start_ready(rig, (const char *[]){CALM, "opa.batch.max", "2", NULL});
    struct ask ask = {
        .rig = rig, .principal = "alice", .prefix = "ok-", .count = 20, .wait_ms = 50};
    fake_opa_close_gate(rig->opa);
    ask_run(&ask); /* ends although nobody answers */
    assert_int_equal(ask_count(&ask, DK_UNAVAILABLE), 20);
    assert_int_equal(rig_metric(rig, DK_METRIC_TIMEOUTS), 1);
    fake_opa_open_gate(rig->opa);
    WAIT_UNTIL(dk_resolver_open(rig->resolver) == 0);
    assert_int_equal(ask_cached(&ask, 0).outcome, DK_ALLOW);
    assert_int_equal(ask_cached(&ask, 0).lookup, DK_LOOKUP_FRESH);
    ask_clean_up(&ask);
}

static void a_deadline_that_is_past_does_not_wait(void **state) {
    struct rig *rig = *state;
    rig_start_ready(rig, (const char *[]){CALM, NULL});
    fake_opa_close_gate(rig->opa);
    assert_int_equal(rig_ask_within(rig, "alice", "ok-a", -1000), DK_UNAVAILABLE);
    fake_opa_open_gate(rig->opa);
}

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

/* ---- fairness and caps ------------------------------------------------------------------- */

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
        struct ask ask = {.rig = flood->rig,
                          .principal = "mallory",
                          .prefix = prefix,
                          .count = 100,
                          .wait_ms = 1};
        ask_run(&ask);
        ask_clean_up(&ask);
    }
    return NULL;
}

static void cold_questions_are_answered_while_another_client_floods(void **state) {
    struct rig *rig = *state;
    rig_start_ready(rig,
                    (const char *[]){CALM, "queue.entries", "4096", "waiting.threads", "9", NULL});
    size_t memory = dk_resolver_memory_bytes(rig->resolver);
    struct flood floods[3];
    char name[32];
    for (unsigned i = 0; i < 3; i++) {
        floods[i] = (struct flood){.rig = rig, .number = i};
        assert_int_equal(pthread_create(&floods[i].thread, NULL, flood_without_end, &floods[i]), 0);
    }
    for (unsigned i = 0; i < 30; i++) {
        snprintf(name, sizeof(name), "ok-%u", i);
        assert_int_equal(rig_ask_within(rig, "alice", name, 5000), DK_ALLOW);
    }
    for (unsigned i = 0; i < 3; i++) {
        atomic_store(&floods[i].over, true);
        pthread_join(floods[i].thread, NULL);
    }
    assert_true(dk_resolver_open(rig->resolver) <= 1024);
    WAIT_UNTIL(dk_resolver_open(rig->resolver) == 0);
    assert_int_equal(dk_resolver_memory_bytes(rig->resolver), memory);
}

static void what_one_principal_may_hold_in_bytes_has_a_cap(void **state) {
    struct rig *rig = *state;
    rig_start_ready(rig, (const char *[]){CALM, NULL});
    static char long_name[100001];
    memset(long_name, 'n', sizeof(long_name) - 1);
    struct ask ask = {.rig = rig, .principal = "alice", .exact = long_name};
    ask_run(&ask);
    assert_int_equal(ask.misses[0].outcome, DK_DENY);
    /* 200 times 100 KB are more than a quarter of the budget. */
    struct dk_miss *misses = calloc(200, sizeof(*misses));
    assert_non_null(misses);
    for (size_t i = 0; i < 200; i++) {
        misses[i] = ask.misses[0];
        misses[i].key.h0 += i + 1;
    }
    dk_resolver_resolve(rig->resolver, &ask.context, misses, 200, ask.epoch,
                        dk_clock_ms() + LONG_MS);
    for (size_t i = 0; i < 200; i++) {
        assert_int_equal(misses[i].outcome, DK_UNAVAILABLE);
        assert_int_equal(misses[i].source, DK_SOURCE_NONE);
    }
    assert_int_equal(rig_metric(rig, DK_METRIC_REFUSED), 200);
    assert_int_equal(dk_resolver_open(rig->resolver), 0);
    free(misses);
    ask_clean_up(&ask);
}

/* ---- the end ----------------------------------------------------------------------------- */

static void stopping_ends_every_wait(void **state) {
    struct rig *rig = *state;
    rig_start_ready(rig,
                    (const char *[]){CALM, "opa.connections", "1", "waiting.threads", "9", NULL});
    struct ask asks[4];
    fake_opa_close_gate(rig->opa);
    for (size_t i = 0; i < 4; i++) {
        asks[i] = (struct ask){
            .rig = rig, .principal = "alice", .prefix = i % 2 == 0 ? "a" : "b", .count = 3};
        ask_begin(&asks[i]);
        WAIT_UNTIL(dk_resolver_open(rig->resolver) + rig_metric(rig, DK_METRIC_JOINED) ==
                   3 * (i + 1));
    }
    rig_halt(rig);
    for (size_t i = 0; i < 4; i++) {
        ask_join(&asks[i]);
        assert_int_equal(ask_count(&asks[i], DK_UNAVAILABLE), 3);
        ask_clean_up(&asks[i]);
    }
    assert_int_equal(rig_ask(rig, "alice", "ok-later"), DK_UNAVAILABLE);
    assert_true(dk_resolver_wait_ready(rig->resolver, 0));
}

static void stopping_ends_the_wait_for_readiness(void **state) {
    struct rig *rig = *state;
    rig_start(rig, "http://127.0.0.1:1", (const char *[]){CALM, NULL});
    dk_resolver_stop(rig->resolver);
    assert_false(dk_resolver_wait_ready(rig->resolver, 600000));
}

int main(void) {
#define RIGGED(test) cmocka_unit_test_setup_teardown(test, new_rig, free_rig)
    const struct CMUnitTest tests[] = {
        RIGGED(the_four_outcomes_are_told_apart_and_two_are_cached),
        RIGGED(a_policy_without_a_batch_rule_is_asked_one_by_one),
        RIGGED(a_call_makes_as_few_requests_as_the_cap_allows),
        RIGGED(a_thousand_cold_topics_make_two_requests),
        RIGGED(calls_that_wait_at_the_same_time_travel_together),
        RIGGED(a_batch_never_mixes_clusters),
        RIGGED(one_question_has_one_flight_however_many_wait),
        RIGGED(a_name_that_stands_twice_in_a_call_is_asked_once),
        RIGGED(what_was_answered_since_the_caller_looked_is_not_asked_again),
        RIGGED(a_call_joins_no_flight_of_an_earlier_epoch),
        RIGGED(an_answer_that_crosses_a_bump_is_never_seen),
        RIGGED(a_call_ends_with_its_deadline_and_late_answers_are_cached),
        RIGGED(a_deadline_that_is_past_does_not_wait),
        RIGGED(beyond_the_waiting_threads_calls_wait_a_moment_only),
        RIGGED(another_principals_question_does_not_stand_behind_a_flood),
        RIGGED(one_principal_holds_a_quarter_of_the_queue),
        RIGGED(cold_questions_are_answered_while_another_client_floods),
        RIGGED(what_one_principal_may_hold_in_bytes_has_a_cap),
        RIGGED(stopping_ends_every_wait),
        RIGGED(stopping_ends_the_wait_for_readiness),
    };
    return cmocka_run_group_tests_name("resolver", tests, NULL, NULL);
}
