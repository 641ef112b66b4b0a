/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of a question that has no answer: the last known allow, for a while. */
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
/* Of decisions; long enough to be found in the cache, short enough to wait for its end. */
#define TTL_MS "200"

struct fixture {
    struct fake_opa *opa;
    struct dk_authorizer *authorizer;
    pthread_t io;
};

static void *run(void *user) {
    dk_authorizer_run(user);
    return NULL;
}

static void start(struct fixture *fixture, const char *on_unavailable, const char *stale_max_ms) {
    fixture->opa = fake_opa_start();
    assert_non_null(fixture->opa);
    const struct dk_setting settings[] = {
        {dk_bytes_of("doorkeeper.opa.url"), dk_bytes_of(fake_opa_url(fixture->opa))},
        {dk_bytes_of("doorkeeper.opa.poll.interval.ms"), dk_bytes_of("60000")},
        {dk_bytes_of("doorkeeper.deadline.ms"), dk_bytes_of("2000")},
        {dk_bytes_of("doorkeeper.cache.ttl.allow.ms"), dk_bytes_of(TTL_MS)},
        {dk_bytes_of("doorkeeper.cache.ttl.deny.ms"), dk_bytes_of(TTL_MS)},
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

static dk_answer ask(struct fixture *fixture, const char *name) {
    struct dk_writer context;
    struct dk_writer request;
    dk_answer answer = 0;
    dk_writer_init(&context, DK_CONTEXT_MAX);
    dk_writer_init(&request, 4096);
    write_context(&context, CLUSTER, "alice", 0);
    write_action(&request, name);
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
    for (int round = 0; round < 3; round++) {
        assert_int_equal(ask_past_ttl(fixture, "ok-a"), DK_ANSWER(DK_ALLOW, DK_SOURCE_OPA));
    }
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
        TEST(the_last_allow_holds_while_opa_does_not_answer),
        TEST(it_holds_as_well_while_the_breaker_is_open),
        TEST(while_opa_answers_nothing_stale_is_used),
        TEST(a_denial_is_never_stale),
        TEST(what_was_not_allowed_before_is_not_allowed),
        TEST(a_new_epoch_ends_it),
        TEST(it_ends_at_its_ceiling),
        TEST(without_the_rule_nothing_is_stale),
    };
    return cmocka_run_group_tests_name("authorizer, stale", tests, NULL, NULL);
}
