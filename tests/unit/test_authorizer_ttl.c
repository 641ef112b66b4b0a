/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a decision's time: it is asked for anew before, and is the last known one after it. */
#include "doorkeeper/authorizer.h"

#include "doorkeeper/clock.h"

#include "support/fake_opa.h"
#include "support/records.h"
#include "support/wait_until.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define CLUSTER "cluster-1"
#define STALE DK_ANSWER(DK_ALLOW, DK_SOURCE_STALE)
#define CACHED DK_ANSWER(DK_ALLOW, DK_SOURCE_CACHE)
/* Long enough to be found in the cache, short enough to wait for its end. */
#define SHORT_TTL_MS "200"
/* Its last quarter is longer than this machine may stand still. */
#define LONG_TTL_MS "1600"

struct fixture {
    struct fake_opa *opa;
    struct dk_authorizer *authorizer;
    pthread_t io;
};

static void *run(void *user) {
    dk_authorizer_run(user);
    return NULL;
}

static void start_with_ttl(struct fixture *fixture, const char *ttl_ms, const char *on_unavailable,
                           const char *stale_max_ms) {
    fixture->opa = fake_opa_start();
    assert_non_null(fixture->opa);
    const struct dk_setting settings[] = {
        {dk_bytes_of("doorkeeper.opa.url"), dk_bytes_of(fake_opa_url(fixture->opa))},
        {dk_bytes_of("doorkeeper.opa.poll.interval.ms"), dk_bytes_of("60000")},
        {dk_bytes_of("doorkeeper.deadline.ms"), dk_bytes_of("2000")},
        {dk_bytes_of("doorkeeper.cache.ttl.allow.ms"), dk_bytes_of(ttl_ms)},
        {dk_bytes_of("doorkeeper.cache.ttl.deny.ms"), dk_bytes_of(ttl_ms)},
        {dk_bytes_of("doorkeeper.on.unavailable"), dk_bytes_of(on_unavailable)},
        {dk_bytes_of("doorkeeper.stale.max.ms"), dk_bytes_of(stale_max_ms)},
    };
    struct dk_config config;
    struct dk_error_text why;
    if (dk_config_parse(settings, 7, &config, &why) != DK_OK ||
        dk_authorizer_new(&config, &fixture->authorizer, &why) != DK_OK) {
        fail_msg("%s", why.text);
    }
    assert_int_equal(dk_authorizer_set_cluster_id(fixture->authorizer, dk_bytes_of(CLUSTER)),
                     DK_OK);
    assert_int_equal(pthread_create(&fixture->io, NULL, run, fixture->authorizer), 0);
    assert_true(dk_authorizer_wait_ready(fixture->authorizer, WAIT_LIMIT_MS));
}

static void start(struct fixture *fixture, const char *on_unavailable, const char *stale_max_ms) {
    start_with_ttl(fixture, SHORT_TTL_MS, on_unavailable, stale_max_ms);
}

static int set_up(void **state) {
    *state = calloc(1, sizeof(struct fixture));
    return *state != NULL ? 0 : -1;
}

static int tear_down(void **state) {
    struct fixture *fixture = *state;
    dk_authorizer_stop(fixture->authorizer);
    pthread_join(fixture->io, NULL);
    dk_authorizer_destroy(fixture->authorizer);
    if (fixture->opa != NULL) {
        fake_opa_stop(fixture->opa);
    }
    free(fixture);
    return 0;
}

static void write_question(struct dk_writer *context, struct dk_writer *request, const char *name) {
    dk_writer_init(context, DK_CONTEXT_MAX);
    dk_writer_init(request, 4096);
    write_context(context, CLUSTER, "alice", 0);
    write_action(request, name);
}

static dk_answer ask(struct fixture *fixture, const char *name) {
    struct dk_writer context;
    struct dk_writer request;
    dk_answer answer = 0;
    write_question(&context, &request, name);
    assert_int_equal(dk_authorizer_authorize(fixture->authorizer, dk_writer_view(&context),
                                             dk_writer_view(&request), 1, 0, &answer),
                     DK_OK);
    dk_writer_clean_up(&request);
    dk_writer_clean_up(&context);
    return answer;
}

static uint64_t metric(const struct fixture *fixture, enum dk_metric which) {
    return dk_authorizer_metric(fixture->authorizer, which);
}

/* Asks until the cache does not answer any more; while OPA is well, that asks OPA anew. */
static dk_answer ask_past_ttl(struct fixture *fixture, const char *name) {
    dk_answer answer = 0;
    WAIT_UNTIL((answer = ask(fixture, name), DK_ANSWER_SOURCE(answer) != DK_SOURCE_CACHE));
    return answer;
}

/* ---- before its end ---------------------------------------------------------------------- */

static void what_is_asked_often_never_waits(void **state) {
    struct fixture *fixture = *state;
    start_with_ttl(fixture, LONG_TTL_MS, "deny", "0");
    assert_int_equal(ask(fixture, "ok-a"), DK_ANSWER(DK_ALLOW, DK_SOURCE_OPA));
    WAIT_UNTIL(ask(fixture, "ok-a") != CACHED || metric(fixture, DK_METRIC_REFRESHES) == 3);
    assert_int_equal(metric(fixture, DK_METRIC_MISSES), 1);
}

static void one_refresh_is_on_its_way_at_a_time(void **state) {
    struct fixture *fixture = *state;
    start_with_ttl(fixture, LONG_TTL_MS, "deny", "0");
    assert_int_equal(ask(fixture, "ok-a"), DK_ANSWER(DK_ALLOW, DK_SOURCE_OPA));
    fake_opa_close_gate(fixture->opa);
    WAIT_UNTIL(ask(fixture, "ok-a") == CACHED && fake_opa_held(fixture->opa) == 1);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(ask(fixture, "ok-a"), CACHED);
    }
    assert_int_equal(metric(fixture, DK_METRIC_REFRESHES), 1);
    fake_opa_open_gate(fixture->opa);
    WAIT_UNTIL(fake_opa_questions(fixture->opa) == 2);
}

static void a_refresh_brings_a_changed_decision(void **state) {
    struct fixture *fixture = *state;
    start_with_ttl(fixture, LONG_TTL_MS, "deny", "0");
    assert_int_equal(ask(fixture, "ok-a"), DK_ANSWER(DK_ALLOW, DK_SOURCE_OPA));
    fake_opa_deny_all(fixture->opa);
    WAIT_UNTIL(ask(fixture, "ok-a") == DK_ANSWER(DK_DENY, DK_SOURCE_CACHE));
}

static void a_probe_tells_of_late_decisions(void **state) {
    struct fixture *fixture = *state;
    start_with_ttl(fixture, LONG_TTL_MS, "deny", "0");
    assert_int_equal(ask(fixture, "ok-a"), DK_ANSWER(DK_ALLOW, DK_SOURCE_OPA));
    struct dk_writer context;
    struct dk_writer request;
    uint64_t handle = 0;
    dk_answer answers[DK_PROBE_MAX];
    struct dk_probed found;
    write_question(&context, &request, "ok-a");
    assert_int_equal(dk_authorizer_register(fixture->authorizer, dk_writer_view(&context), &handle),
                     DK_OK);
    assert_int_equal(
        dk_authorizer_probe(fixture->authorizer, handle, dk_writer_view(&request), answers, &found),
        DK_OK);
    assert_int_equal(found.late, 0);
    WAIT_UNTIL(dk_authorizer_probe(fixture->authorizer, handle, dk_writer_view(&request), answers,
                                   &found) == DK_OK &&
               found.late == 1);
    assert_int_equal(answers[0], CACHED);
    dk_authorizer_refresh(fixture->authorizer, dk_writer_view(&context), dk_writer_view(&request),
                          1);
    assert_int_equal(metric(fixture, DK_METRIC_REFRESHES), 1);
    dk_writer_clean_up(&request);
    dk_writer_clean_up(&context);
}

static void nothing_is_refreshed_while_opa_is_away(void **state) {
    struct fixture *fixture = *state;
    start_with_ttl(fixture, LONG_TTL_MS, "deny", "0");
    assert_int_equal(ask(fixture, "ok-a"), DK_ANSWER(DK_ALLOW, DK_SOURCE_OPA));
    fake_opa_stop(fixture->opa);
    fixture->opa = NULL;
    assert_int_equal(DK_ANSWER_OUTCOME(ask(fixture, "ok-b")), DK_UNAVAILABLE);
    WAIT_UNTIL(DK_ANSWER_OUTCOME(ask(fixture, "ok-a")) == DK_UNAVAILABLE);
    assert_int_equal(metric(fixture, DK_METRIC_REFRESHES), 0);
}

/* ---- after its end ----------------------------------------------------------------------- */

static void the_last_allow_holds_while_opa_does_not_answer(void **state) {
    struct fixture *fixture = *state;
    start(fixture, "stale,retry,deny", "60000");
    assert_int_equal(ask(fixture, "ok-a"), DK_ANSWER(DK_ALLOW, DK_SOURCE_OPA));
    fake_opa_set_fault(fixture->opa, FAULT_HTML, FAULT_NONE);
    assert_int_equal(ask_past_ttl(fixture, "ok-a"), STALE);
    fake_opa_set_fault(fixture->opa, FAULT_UNDEFINED_RULE, FAULT_NONE);
    assert_int_equal(ask(fixture, "ok-a"), STALE);
    assert_int_equal(metric(fixture, DK_METRIC_STALE), 2);
    assert_int_equal(metric(fixture, DK_METRIC_UNDEFINED), 0);
    assert_int_equal(metric(fixture, DK_METRIC_UNAVAILABLE), 0);
}

static void it_holds_as_well_while_the_breaker_is_open(void **state) {
    struct fixture *fixture = *state;
    start(fixture, "stale,deny", "60000");
    assert_int_equal(ask(fixture, "ok-a"), DK_ANSWER(DK_ALLOW, DK_SOURCE_OPA));
    fake_opa_stop(fixture->opa);
    fixture->opa = NULL;
    assert_int_equal(ask_past_ttl(fixture, "ok-a"), STALE);
    WAIT_UNTIL(ask(fixture, "ok-new") == DK_ANSWER(DK_UNAVAILABLE, DK_SOURCE_NONE));
    assert_int_equal(ask(fixture, "ok-a"), STALE);
}

static void while_opa_answers_nothing_stale_is_used(void **state) {
    struct fixture *fixture = *state;
    start(fixture, "stale,deny", "60000");
    WAIT_UNTIL(ask(fixture, "ok-a") != STALE && metric(fixture, DK_METRIC_REFRESHES) == 5);
    assert_int_equal(metric(fixture, DK_METRIC_STALE), 0);
}

static void a_denial_is_never_stale(void **state) {
    struct fixture *fixture = *state;
    start(fixture, "stale,deny", "60000");
    assert_int_equal(ask(fixture, "no-a"), DK_ANSWER(DK_DENY, DK_SOURCE_OPA));
    fake_opa_set_fault(fixture->opa, FAULT_HTML, FAULT_NONE);
    assert_int_equal(ask_past_ttl(fixture, "no-a"), DK_ANSWER(DK_UNAVAILABLE, DK_SOURCE_OPA));
}

static void what_was_not_allowed_before_is_not_allowed(void **state) {
    struct fixture *fixture = *state;
    start(fixture, "stale,deny", "60000");
    fake_opa_set_fault(fixture->opa, FAULT_HTML, FAULT_NONE);
    assert_int_equal(ask(fixture, "ok-a"), DK_ANSWER(DK_UNAVAILABLE, DK_SOURCE_OPA));
}

static void a_new_epoch_ends_it(void **state) {
    struct fixture *fixture = *state;
    start(fixture, "stale,deny", "60000");
    assert_int_equal(ask(fixture, "ok-a"), DK_ANSWER(DK_ALLOW, DK_SOURCE_OPA));
    fake_opa_set_fault(fixture->opa, FAULT_HTML, FAULT_NONE);
    assert_int_equal(ask_past_ttl(fixture, "ok-a"), STALE);
    dk_authorizer_flush(fixture->authorizer);
    assert_int_equal(ask(fixture, "ok-a"), DK_ANSWER(DK_UNAVAILABLE, DK_SOURCE_OPA));
}

static void it_ends_at_its_ceiling(void **state) {
    struct fixture *fixture = *state;
    start(fixture, "stale,deny", "300");
    assert_int_equal(ask(fixture, "ok-a"), DK_ANSWER(DK_ALLOW, DK_SOURCE_OPA));
    fake_opa_set_fault(fixture->opa, FAULT_HTML, FAULT_NONE);
    assert_int_equal(ask_past_ttl(fixture, "ok-a"), STALE);
    WAIT_UNTIL(ask(fixture, "ok-a") == DK_ANSWER(DK_UNAVAILABLE, DK_SOURCE_OPA));
}

static void without_the_rule_nothing_is_stale(void **state) {
    struct fixture *fixture = *state;
    start(fixture, "retry,deny", "60000");
    assert_int_equal(ask(fixture, "ok-a"), DK_ANSWER(DK_ALLOW, DK_SOURCE_OPA));
    fake_opa_set_fault(fixture->opa, FAULT_HTML, FAULT_NONE);
    assert_int_equal(ask_past_ttl(fixture, "ok-a"), DK_ANSWER(DK_UNAVAILABLE, DK_SOURCE_OPA));
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(what_is_asked_often_never_waits),
        TEST(one_refresh_is_on_its_way_at_a_time),
        TEST(a_refresh_brings_a_changed_decision),
        TEST(a_probe_tells_of_late_decisions),
        TEST(nothing_is_refreshed_while_opa_is_away),
        TEST(the_last_allow_holds_while_opa_does_not_answer),
        TEST(it_holds_as_well_while_the_breaker_is_open),
        TEST(while_opa_answers_nothing_stale_is_used),
        TEST(a_denial_is_never_stale),
        TEST(what_was_not_allowed_before_is_not_allowed),
        TEST(a_new_epoch_ends_it),
        TEST(it_ends_at_its_ceiling),
        TEST(without_the_rule_nothing_is_stale),
    };
    return cmocka_run_group_tests_name("authorizer, the end of a TTL", tests, NULL, NULL);
}
