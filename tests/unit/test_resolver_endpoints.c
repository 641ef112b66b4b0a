/* SPDX-License-Identifier: Apache-2.0 */
/* Several OPAs: who is asked, fail-over inside the deadline, the way back, and their revisions. */
#include "support/rig.h"
#include "support/wait_until.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define SELDOM "opa.poll.interval.ms", "60000", "deadline.ms", "2000"
#define OFTEN "opa.poll.interval.ms", "100", "deadline.ms", "2000"

/* `rig.opa` is the preferred one. */
struct pair {
    struct rig rig;
    struct fake_opa *other;
};

static int set_up(void **state) {
    struct pair *pair = calloc(1, sizeof(*pair));
    if (pair == NULL) {
        return -1;
    }
    pair->rig.opa = fake_opa_start();
    pair->other = fake_opa_start();
    *state = pair;
    return pair->rig.opa != NULL && pair->other != NULL ? 0 : -1;
}

static int tear_down(void **state) {
    struct pair *pair = *state;
    rig_stop(&pair->rig);
    if (pair->other != NULL) {
        fake_opa_stop(pair->other);
    }
    free(pair);
    return 0;
}

/* Returns when both have been polled. */
static void start(struct pair *pair, const char *const *settings) {
    char urls[256];
    snprintf(urls, sizeof(urls), "%s,%s", fake_opa_url(pair->rig.opa), fake_opa_url(pair->other));
    rig_start(&pair->rig, urls, settings);
    assert_true(dk_resolver_wait_ready(pair->rig.resolver, LONG_MS));
    WAIT_UNTIL(fake_opa_polls(pair->rig.opa) > 0 && fake_opa_polls(pair->other) > 0);
    /* What is asked before the first revision is known is not kept. */
    WAIT_UNTIL(rig_has_revision(&pair->rig, "authz=r1"));
}

static void break_preferred(struct pair *pair, enum fault fault) {
    fake_opa_set_fault(pair->rig.opa, fault, fault);
}

static void the_preferred_one_is_asked(void **state) {
    struct pair *pair = *state;
    start(pair, (const char *[]){SELDOM, NULL});
    assert_int_equal(rig_ask(&pair->rig, "alice", "ok-a"), DK_ALLOW);
    assert_int_equal(fake_opa_requests(pair->rig.opa), 1);
    assert_int_equal(fake_opa_requests(pair->other), 0);
}

/* One call, whose deadline is enough for both. */
static void expect_fail_over(struct pair *pair, enum fault fault) {
    start(pair, (const char *[]){SELDOM, NULL});
    break_preferred(pair, fault);
    assert_int_equal(rig_ask(&pair->rig, "alice", "ok-a"), DK_ALLOW);
    assert_int_equal(rig_cached(&pair->rig, "alice", "ok-a").lookup, DK_LOOKUP_FRESH);
    assert_int_equal(fake_opa_questions(pair->other), 1);
    assert_int_equal(rig_metric(&pair->rig, DK_METRIC_QUESTIONS), 1);
    assert_int_equal(rig_metric(&pair->rig, DK_METRIC_REQUESTS), 2);
    assert_true(rig_logged(&pair->rig, "is asked from now on"));
    assert_int_equal(rig_ask(&pair->rig, "alice", "no-b"), DK_DENY);
    assert_int_equal(rig_metric(&pair->rig, DK_METRIC_REQUESTS), 3);
}

static void a_lost_connection_is_no_failure_of_the_call(void **state) {
    expect_fail_over(*state, FAULT_CLOSE);
}

static void an_opa_that_hangs_leaves_time_for_another(void **state) {
    expect_fail_over(*state, FAULT_HANG);
}

static void an_opa_without_its_bundle_is_passed_over(void **state) {
    expect_fail_over(*state, FAULT_UNDEFINED);
}

static void an_opa_that_is_gone_at_the_start_is_passed_over(void **state) {
    struct pair *pair = *state;
    break_preferred(pair, FAULT_CLOSE);
    start(pair, (const char *[]){SELDOM, NULL});
    assert_int_equal(rig_ask(&pair->rig, "alice", "ok-a"), DK_ALLOW);
    assert_int_equal(dk_resolver_breaker_state(pair->rig.resolver), DK_BREAKER_CLOSED);
}

static void with_all_of_them_gone_calls_end_at_once(void **state) {
    struct pair *pair = *state;
    start(pair, (const char *[]){SELDOM, NULL});
    break_preferred(pair, FAULT_CLOSE);
    fake_opa_set_fault(pair->other, FAULT_CLOSE, FAULT_CLOSE);
    assert_int_equal(rig_ask(&pair->rig, "alice", "ok-a"), DK_UNAVAILABLE);
    WAIT_UNTIL(dk_resolver_breaker_state(pair->rig.resolver) != DK_BREAKER_CLOSED);
    uint64_t requests = rig_metric(&pair->rig, DK_METRIC_REQUESTS);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(rig_ask(&pair->rig, "alice", "ok-b"), DK_UNAVAILABLE);
    }
    assert_int_equal(rig_metric(&pair->rig, DK_METRIC_REQUESTS), requests);
    fake_opa_set_fault(pair->other, FAULT_NONE, FAULT_NONE);
    WAIT_UNTIL(rig_ask(&pair->rig, "alice", "ok-c") == DK_ALLOW);
}

static void the_preferred_one_comes_back_when_it_is_steady(void **state) {
    struct pair *pair = *state;
    start(pair, (const char *[]){OFTEN, NULL});
    break_preferred(pair, FAULT_CLOSE);
    assert_int_equal(rig_ask(&pair->rig, "alice", "ok-a"), DK_ALLOW);
    unsigned polls = fake_opa_polls(pair->rig.opa);
    fake_opa_set_fault(pair->rig.opa, FAULT_NONE, FAULT_NONE);
    char line[256];
    snprintf(line, sizeof(line), "OPA at %s is asked from now on", fake_opa_url(pair->rig.opa));
    WAIT_UNTIL(rig_logged(&pair->rig, line));
    assert_true(fake_opa_polls(pair->rig.opa) >= polls + STEADY_POLLS);
    unsigned before = fake_opa_requests(pair->other);
    assert_int_equal(rig_ask(&pair->rig, "alice", "ok-b"), DK_ALLOW);
    assert_int_equal(fake_opa_requests(pair->other), before);
}

static void a_change_to_an_equal_one_keeps_the_cache(void **state) {
    struct pair *pair = *state;
    start(pair, (const char *[]){SELDOM, NULL});
    assert_int_equal(rig_ask(&pair->rig, "alice", "ok-a"), DK_ALLOW);
    break_preferred(pair, FAULT_CLOSE);
    assert_int_equal(rig_ask(&pair->rig, "alice", "ok-b"), DK_ALLOW);
    assert_int_equal(rig_cached(&pair->rig, "alice", "ok-a").lookup, DK_LOOKUP_FRESH);
    assert_int_equal(rig_metric(&pair->rig, DK_METRIC_EPOCHS), 0);
}

static void a_change_to_one_with_another_policy_empties_it(void **state) {
    struct pair *pair = *state;
    fake_opa_set_revision(pair->other, "r2");
    start(pair, (const char *[]){SELDOM, NULL});
    assert_int_equal(rig_ask(&pair->rig, "alice", "ok-a"), DK_ALLOW);
    assert_true(rig_has_revision(&pair->rig, "authz=r1"));
    assert_int_equal(rig_metric(&pair->rig, DK_METRIC_EPOCHS), 0);
    break_preferred(pair, FAULT_CLOSE);
    assert_int_equal(rig_ask(&pair->rig, "alice", "ok-b"), DK_ALLOW);
    assert_true(rig_has_revision(&pair->rig, "authz=r2"));
    WAIT_UNTIL(rig_metric(&pair->rig, DK_METRIC_EPOCHS) == 1);
    assert_int_equal(rig_cached(&pair->rig, "alice", "ok-a").lookup, DK_LOOKUP_MISS);
}

static void one_that_is_not_asked_changes_nothing(void **state) {
    struct pair *pair = *state;
    start(pair, (const char *[]){OFTEN, NULL});
    assert_int_equal(rig_ask(&pair->rig, "alice", "ok-a"), DK_ALLOW);
    unsigned polls = fake_opa_polls(pair->other);
    fake_opa_set_revision(pair->other, "r2");
    WAIT_UNTIL(fake_opa_polls(pair->other) >= polls + 3);
    assert_int_equal(rig_metric(&pair->rig, DK_METRIC_EPOCHS), 0);
    assert_int_equal(rig_cached(&pair->rig, "alice", "ok-a").lookup, DK_LOOKUP_FRESH);
}

static void a_failing_policy_is_no_reason_to_ask_another(void **state) {
    struct pair *pair = *state;
    start(pair, (const char *[]){SELDOM, NULL});
    fake_opa_set_fault(pair->rig.opa, FAULT_STATUS_500, FAULT_NONE);
    assert_int_equal(rig_ask(&pair->rig, "alice", "ok-a"), DK_UNAVAILABLE);
    assert_int_equal(fake_opa_requests(pair->other), 0);
}

static void a_breaker_with_patience_opens_after_failures_in_a_row(void **state) {
    struct pair *pair = *state;
    start(pair, (const char *[]){SELDOM, "breaker.failures", "3", NULL});
    fake_opa_set_fault(pair->rig.opa, FAULT_CLOSE, FAULT_NONE);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(rig_ask(&pair->rig, "alice", "ok-a"), DK_UNAVAILABLE);
    }
    assert_int_equal(fake_opa_requests(pair->other), 0);
    assert_int_equal(rig_ask(&pair->rig, "alice", "ok-a"), DK_ALLOW);
    assert_int_equal(fake_opa_requests(pair->other), 1);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(the_preferred_one_is_asked),
        TEST(a_lost_connection_is_no_failure_of_the_call),
        TEST(an_opa_that_hangs_leaves_time_for_another),
        TEST(an_opa_without_its_bundle_is_passed_over),
        TEST(an_opa_that_is_gone_at_the_start_is_passed_over),
        TEST(with_all_of_them_gone_calls_end_at_once),
        TEST(the_preferred_one_comes_back_when_it_is_steady),
        TEST(a_change_to_an_equal_one_keeps_the_cache),
        TEST(a_change_to_one_with_another_policy_empties_it),
        TEST(one_that_is_not_asked_changes_nothing),
        TEST(a_failing_policy_is_no_reason_to_ask_another),
        TEST(a_breaker_with_patience_opens_after_failures_in_a_row),
    };
    return cmocka_run_group_tests_name("resolver, endpoints", tests, NULL, NULL);
}
