/* SPDX-License-Identifier: Apache-2.0 */
/* Readiness, the revision, and what bumps the epoch. */
#include "support/rig.h"
#include "support/wait_until.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define SELDOM "opa.poll.interval.ms", "60000", "deadline.ms", "2000"
#define OFTEN "opa.poll.interval.ms", "100", "deadline.ms", "2000"

static int new_rig(void **state) {
    *state = calloc(1, sizeof(struct rig));
    return *state != NULL ? 0 : -1;
}

static int free_rig(void **state) {
    rig_stop(*state);
    free(*state);
    return 0;
}

static void it_is_ready_once_the_rule_answers(void **state) {
    struct rig *rig = *state;
    rig->opa = fake_opa_start();
    assert_non_null(rig->opa);
    fake_opa_set_fault(rig->opa, FAULT_UNDEFINED, FAULT_UNDEFINED);
    rig_start(rig, fake_opa_url(rig->opa), (const char *[]){SELDOM, NULL});
    WAIT_UNTIL(fake_opa_polls(rig->opa) >= 2);
    assert_false(dk_resolver_wait_ready(rig->resolver, 0));
    fake_opa_set_fault(rig->opa, FAULT_NONE, FAULT_NONE);
    assert_true(dk_resolver_wait_ready(rig->resolver, LONG_MS));
    WAIT_UNTIL(rig_logged(rig, "is ready"));
    assert_true(rig_has_revision(rig, "authz=r1"));
    assert_int_equal(rig_metric(rig, DK_METRIC_EPOCHS), 0);
}

static void a_policy_for_single_questions_is_polled_as_well(void **state) {
    struct rig *rig = *state;
    rig_start_ready(rig, (const char *[]){OFTEN, "opa.batch.path", "", NULL});
    uint64_t epoch = dk_cache_epoch(rig->cache);
    fake_opa_set_revision(rig->opa, "r2");
    WAIT_UNTIL(dk_cache_epoch(rig->cache) == epoch + 1);
}

static void an_answer_with_a_new_revision_bumps_and_is_not_kept(void **state) {
    struct rig *rig = *state;
    rig_start_ready(rig, (const char *[]){SELDOM, NULL});
    assert_int_equal(rig_ask(rig, "alice", "ok-a"), DK_ALLOW);
    struct ask before = {.rig = rig, .principal = "alice", .exact = "ok-b"};
    uint64_t epoch = dk_cache_epoch(rig->cache);
    fake_opa_set_revision(rig->opa, "r2");
    ask_run(&before);
    assert_int_equal(before.misses[0].outcome, DK_ALLOW);
    assert_int_equal(dk_cache_epoch(rig->cache), epoch + 1);
    assert_int_equal(ask_cached(&before, 0).lookup, DK_LOOKUP_MISS);
    assert_int_equal(rig_cached(rig, "alice", "ok-a").lookup, DK_LOOKUP_MISS);
    assert_true(rig_has_revision(rig, "authz=r2"));
    assert_int_equal(rig_ask(rig, "alice", "ok-b"), DK_ALLOW);
    assert_int_equal(rig_cached(rig, "alice", "ok-b").lookup, DK_LOOKUP_FRESH);
    WAIT_UNTIL(rig_logged(rig, "changed from authz=r1 to authz=r2"));
    ask_clean_up(&before);
}

static void the_poll_notices_a_change_while_nobody_asks(void **state) {
    struct rig *rig = *state;
    rig_start_ready(rig, (const char *[]){OFTEN, NULL});
    assert_int_equal(rig_ask(rig, "alice", "no-a"), DK_DENY);
    uint64_t epoch = dk_cache_epoch(rig->cache);
    fake_opa_set_revision(rig->opa, "r2");
    WAIT_UNTIL(dk_cache_epoch(rig->cache) == epoch + 1);
    assert_int_equal(rig_cached(rig, "alice", "no-a").lookup, DK_LOOKUP_MISS);
}

static void the_last_of_many_changes_bumps_as_well(void **state) {
    struct rig *rig = *state;
    rig_start_ready(rig, (const char *[]){SELDOM, NULL});
    uint64_t epoch = dk_cache_epoch(rig->cache);
    int64_t begin_ms = dk_clock_ms();
    fake_opa_set_revision(rig->opa, "r2");
    (void)rig_ask(rig, "alice", "ok-a");
    assert_int_equal(dk_cache_epoch(rig->cache), epoch + 1);
    fake_opa_set_revision(rig->opa, "r3");
    (void)rig_ask(rig, "alice", "ok-b");
    fake_opa_set_revision(rig->opa, "r4");
    (void)rig_ask(rig, "alice", "ok-c");
    assert_true(rig_has_revision(rig, "authz=r4"));
    WAIT_UNTIL(dk_cache_epoch(rig->cache) == epoch + 2);
    assert_in_range(dk_clock_ms() - begin_ms, 0, 3000); /* a second, and what the asking took */
}

static void a_missing_revision_never_bumps_and_nothing_is_kept(void **state) {
    struct rig *rig = *state;
    rig_start_ready(rig, (const char *[]){OFTEN, NULL});
    assert_int_equal(rig_ask(rig, "alice", "ok-a"), DK_ALLOW);
    uint64_t epoch = dk_cache_epoch(rig->cache);
    fake_opa_set_revision(rig->opa, NULL);
    unsigned polls = fake_opa_polls(rig->opa);
    assert_int_equal(rig_ask(rig, "alice", "ok-b"), DK_ALLOW);
    WAIT_UNTIL(fake_opa_polls(rig->opa) >= polls + 3);
    assert_int_equal(dk_cache_epoch(rig->cache), epoch);
    assert_true(rig_has_revision(rig, "authz=r1"));
    assert_int_equal(rig_cached(rig, "alice", "ok-b").lookup, DK_LOOKUP_MISS);
    assert_int_equal(rig_cached(rig, "alice", "ok-a").lookup, DK_LOOKUP_FRESH);
    /* The same policy comes back: still no change. */
    fake_opa_set_revision(rig->opa, "r1");
    polls = fake_opa_polls(rig->opa);
    WAIT_UNTIL(fake_opa_polls(rig->opa) >= polls + 2);
    assert_int_equal(dk_cache_epoch(rig->cache), epoch);
}

static void without_any_revision_answers_are_kept_until_one_comes(void **state) {
    struct rig *rig = *state;
    rig->opa = fake_opa_start();
    assert_non_null(rig->opa);
    fake_opa_set_revision(rig->opa, NULL);
    rig_start(rig, fake_opa_url(rig->opa), (const char *[]){OFTEN, NULL});
    assert_true(dk_resolver_wait_ready(rig->resolver, LONG_MS));
    assert_int_equal(rig_ask(rig, "alice", "ok-a"), DK_ALLOW);
    assert_int_equal(rig_cached(rig, "alice", "ok-a").lookup, DK_LOOKUP_FRESH);
    unsigned polls = fake_opa_polls(rig->opa);
    WAIT_UNTIL(fake_opa_polls(rig->opa) >= polls + 2);
    assert_int_equal(rig_count_troubles(rig, "carry no bundle revision"), 1);
    uint64_t epoch = dk_cache_epoch(rig->cache);
    fake_opa_set_revision(rig->opa, "r1");
    WAIT_UNTIL(dk_cache_epoch(rig->cache) == epoch + 1);
}

/* The answer is computed under r1 and arrives when r2 is on record. */
static void an_answer_from_before_the_change_is_not_kept(void **state) {
    struct rig *rig = *state;
    rig_start_ready(rig, (const char *[]){OFTEN, NULL});
    struct ask ask = {.rig = rig, .principal = "alice", .exact = "ok-a"};
    fake_opa_close_gate(rig->opa);
    ask_begin(&ask);
    WAIT_UNTIL(fake_opa_held(rig->opa) == 1);
    fake_opa_set_revision(rig->opa, "r2");
    WAIT_UNTIL(rig_has_revision(rig, "authz=r2"));
    fake_opa_open_gate(rig->opa);
    ask_join(&ask);
    assert_int_equal(ask.misses[0].outcome, DK_ALLOW);
    assert_int_equal(ask_cached(&ask, 0).lookup, DK_LOOKUP_MISS);
    assert_true(rig_has_revision(rig, "authz=r2"));
    ask_clean_up(&ask);
}

/* Asked while r1 was on record, answered by r2, and both the record and the epoch moved to r2 in
 * between: only what was asked under the record that it matches is kept. */
static void an_answer_by_the_new_policy_to_an_older_request_is_not_kept(void **state) {
    struct rig *rig = *state;
    rig_start_ready(rig, (const char *[]){SELDOM, NULL});
    struct ask held = {.rig = rig, .principal = "alice", .exact = "ok-held"};
    fake_opa_set_revision(rig->opa, "r2");
    fake_opa_close_gate(rig->opa);
    ask_begin(&held);
    WAIT_UNTIL(fake_opa_held(rig->opa) == 1);
    struct ask other = {.rig = rig, .principal = "bob", .exact = "ok-other"};
    ask_begin(&other);
    WAIT_UNTIL(fake_opa_held(rig->opa) == 2);
    fake_opa_open_gate(rig->opa);
    ask_join(&held);
    ask_join(&other);
    assert_int_equal(ask_cached(&held, 0).lookup, DK_LOOKUP_MISS);
    assert_int_equal(ask_cached(&other, 0).lookup, DK_LOOKUP_MISS);
    assert_int_equal(rig_metric(rig, DK_METRIC_EPOCHS), 1);
    ask_clean_up(&held);
    ask_clean_up(&other);
}

/* `revision` NULL: of bundles there is none. */
static void start_with_document(struct rig *rig, const char *revision, const char *json) {
    rig->opa = fake_opa_start();
    assert_non_null(rig->opa);
    fake_opa_set_revision(rig->opa, revision);
    fake_opa_set_document(rig->opa, json);
    rig_start(rig, fake_opa_url(rig->opa),
              (const char *[]){OFTEN, "opa.revision.path", "kafka/revision", NULL});
    assert_true(dk_resolver_wait_ready(rig->resolver, LONG_MS));
}

static void a_revision_document_tells_of_pushed_data(void **state) {
    struct rig *rig = *state;
    start_with_document(rig, NULL, "\"push 1\"");
    WAIT_UNTIL(rig_has_revision(rig, "push%201"));
    assert_int_equal(rig_ask(rig, "alice", "ok-a"), DK_ALLOW);
    assert_int_equal(rig_cached(rig, "alice", "ok-a").lookup, DK_LOOKUP_FRESH);
    uint64_t epoch = dk_cache_epoch(rig->cache);
    fake_opa_set_document(rig->opa, "2");
    WAIT_UNTIL(dk_cache_epoch(rig->cache) == epoch + 1);
    assert_true(rig_has_revision(rig, "2"));
    assert_int_equal(rig_cached(rig, "alice", "ok-a").lookup, DK_LOOKUP_MISS);
    assert_false(rig_logged(rig, "carry no bundle revision"));
}

static void bundles_and_the_document_both_count(void **state) {
    struct rig *rig = *state;
    start_with_document(rig, "r1", "1");
    uint64_t epoch = dk_cache_epoch(rig->cache);
    fake_opa_set_revision(rig->opa, "r2");
    WAIT_UNTIL(dk_cache_epoch(rig->cache) == epoch + 1);
    fake_opa_set_document(rig->opa, "2");
    WAIT_UNTIL(dk_cache_epoch(rig->cache) == epoch + 2);
    assert_true(rig_has_revision(rig, "authz=r2"));
}

static void a_document_that_is_missing_changes_nothing_and_is_said(void **state) {
    struct rig *rig = *state;
    start_with_document(rig, "r1", "1");
    uint64_t epoch = dk_cache_epoch(rig->cache);
    fake_opa_set_document(rig->opa, "[1]");
    WAIT_UNTIL(rig_logged(rig, "doorkeeper.opa.revision.path"));
    assert_int_equal(dk_cache_epoch(rig->cache), epoch);
    assert_int_equal(rig_ask(rig, "alice", "ok-a"), DK_ALLOW);
}

int main(void) {
#define RIGGED(test) cmocka_unit_test_setup_teardown(test, new_rig, free_rig)
    const struct CMUnitTest tests[] = {
        RIGGED(it_is_ready_once_the_rule_answers),
        RIGGED(a_policy_for_single_questions_is_polled_as_well),
        RIGGED(an_answer_with_a_new_revision_bumps_and_is_not_kept),
        RIGGED(the_poll_notices_a_change_while_nobody_asks),
        RIGGED(the_last_of_many_changes_bumps_as_well),
        RIGGED(a_missing_revision_never_bumps_and_nothing_is_kept),
        RIGGED(without_any_revision_answers_are_kept_until_one_comes),
        RIGGED(an_answer_from_before_the_change_is_not_kept),
        RIGGED(an_answer_by_the_new_policy_to_an_older_request_is_not_kept),
        RIGGED(a_revision_document_tells_of_pushed_data),
        RIGGED(bundles_and_the_document_both_count),
        RIGGED(a_document_that_is_missing_changes_nothing_and_is_said),
    };
    return cmocka_run_group_tests_name("resolver: revisions", tests, NULL, NULL);
}
