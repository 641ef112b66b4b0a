/* SPDX-License-Identifier: Apache-2.0 */
/* Batches, flights, deadlines and the time to live. Fairness and caps: test_resolver_bounds.c;
 * faults: test_resolver_faults.c; what changes the epoch: test_resolver_revision.c. */
#include "support/rig.h"
#include "support/wait_until.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

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
    rig_start_ready(rig, (const char *[]){CALM, "waiting.threads", "12", NULL});
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

/* ---- the time to live -------------------------------------------------------------------- */

static enum dk_lookup looked_up(const struct ask *ask, size_t i, int64_t now_ms) {
    return dk_cache_lookup(ask->rig->cache, ask->misses[i].key, now_ms).lookup;
}

static size_t count_fresh(const struct ask *ask, int64_t now_ms) {
    size_t fresh = 0;
    for (size_t i = 0; i < ask->count; i++) {
        fresh += looked_up(ask, i, now_ms) == DK_LOOKUP_FRESH;
    }
    return fresh;
}

/* The answer takes longer than jitter may shorten, so what is counted from the answer lives on. */
static void the_time_to_live_counts_from_when_opa_was_asked(void **state) {
    struct rig *rig = *state;
    rig_start_ready(rig, (const char *[]){CALM, "cache.ttl.allow.ms", "5000", NULL});
    struct ask ask = {.rig = rig, .principal = "alice", .exact = "ok-a"};
    int64_t before_ms = dk_clock_ms();
    fake_opa_close_gate(rig->opa);
    ask_begin(&ask);
    WAIT_UNTIL(fake_opa_held(rig->opa) == 1);
    int64_t asked_ms = dk_clock_ms();
    WAIT_UNTIL(dk_clock_ms() >= asked_ms + 5000 / 10 + 100);
    fake_opa_open_gate(rig->opa);
    ask_join(&ask);
    assert_int_equal(ask.misses[0].outcome, DK_ALLOW);
    assert_int_equal(looked_up(&ask, 0, before_ms), DK_LOOKUP_FRESH);
    assert_int_equal(looked_up(&ask, 0, asked_ms + 5000), DK_LOOKUP_MISS);
    ask_clean_up(&ask);
}

static void jitter_shortens_by_a_tenth_at_most(void **state) {
    struct rig *rig = *state;
    rig_start_ready(rig, (const char *[]){CALM, "cache.ttl.allow.ms", "1000000", NULL});
    struct ask ask = {.rig = rig, .principal = "alice", .prefix = "ok-", .count = 100};
    int64_t before_ms = dk_clock_ms() - dk_clock_coarse_step_ms();
    ask_run(&ask);
    int64_t after_ms = dk_clock_ms();
    assert_int_equal(ask_count(&ask, DK_ALLOW), 100);
    assert_int_equal(count_fresh(&ask, before_ms + 899999), 100);
    assert_int_equal(count_fresh(&ask, after_ms + 1000000), 0);
    /* Not all at once: each key has a jitter of its own. */
    assert_in_range(count_fresh(&ask, before_ms + 950000), 10, 90);
    ask_clean_up(&ask);
}

static void expect_kept(const char *allow_ms, const char *deny_ms, enum dk_lookup allowed,
                        enum dk_lookup denied) {
    struct rig rig = {.opa = NULL};
    rig_start_ready(&rig, (const char *[]){CALM, "cache.ttl.allow.ms", allow_ms,
                                           "cache.ttl.deny.ms", deny_ms, NULL});
    assert_int_equal(rig_ask(&rig, "alice", "ok-a"), DK_ALLOW);
    assert_int_equal(rig_ask(&rig, "alice", "no-a"), DK_DENY);
    assert_int_equal(rig_cached(&rig, "alice", "ok-a").lookup, allowed);
    assert_int_equal(rig_cached(&rig, "alice", "no-a").lookup, denied);
    rig_stop(&rig);
}

static void each_outcome_has_a_time_to_live_of_its_own(void **state) {
    (void)state;
    expect_kept("60000", "0", DK_LOOKUP_FRESH, DK_LOOKUP_MISS);
    expect_kept("0", "60000", DK_LOOKUP_MISS, DK_LOOKUP_FRESH);
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
        RIGGED(the_time_to_live_counts_from_when_opa_was_asked),
        RIGGED(jitter_shortens_by_a_tenth_at_most),
        cmocka_unit_test(each_outcome_has_a_time_to_live_of_its_own),
        RIGGED(stopping_ends_every_wait),
        RIGGED(stopping_ends_the_wait_for_readiness),
    };
    return cmocka_run_group_tests_name("resolver", tests, NULL, NULL);
}
