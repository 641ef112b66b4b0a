/* SPDX-License-Identifier: Apache-2.0 */
/* How long one call waits for an OPA that never answers. */
#include "doorkeeper/authorizer.h"

#include "doorkeeper/clock.h"

#include "support/fake_opa.h"
#include "support/records.h"
#include "support/wait_until.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct fixture {
    struct fake_opa *opa;
    struct dk_authorizer *authorizer;
    pthread_t io;
};

static void *run(void *user) {
    dk_authorizer_run(user);
    return NULL;
}

static void start(struct fixture *fixture, const char *deadline_ms) {
    struct dk_config config;
    struct dk_error_text why;
    fixture->opa = fake_opa_start();
    assert_non_null(fixture->opa);
    const struct dk_setting settings[] = {
        {dk_bytes_of("doorkeeper.opa.url"), dk_bytes_of(fake_opa_url(fixture->opa))},
        {dk_bytes_of("doorkeeper.deadline.ms"), dk_bytes_of(deadline_ms)},
        {dk_bytes_of("doorkeeper.opa.poll.interval.ms"), dk_bytes_of("60000")},
    };
    assert_int_equal(dk_config_parse(settings, 3, &config, &why), DK_OK);
    assert_int_equal(dk_authorizer_new(&config, &fixture->authorizer, &why), DK_OK);
    assert_int_equal(pthread_create(&fixture->io, NULL, run, fixture->authorizer), 0);
    assert_true(dk_authorizer_wait_ready(fixture->authorizer, WAIT_LIMIT_MS));
    fake_opa_close_gate(fixture->opa);
}

static void stop(struct fixture *fixture) {
    dk_authorizer_stop(fixture->authorizer);
    pthread_join(fixture->io, NULL);
    dk_authorizer_destroy(fixture->authorizer);
    fake_opa_stop(fixture->opa);
}

static int64_t time_call(struct fixture *fixture, size_t actions, int64_t cap_ms) {
    struct dk_writer context;
    struct dk_writer request;
    char name[32];
    dk_answer *answers = calloc(actions, sizeof(*answers));
    assert_non_null(answers);
    dk_writer_init(&context, DK_CONTEXT_MAX);
    dk_writer_init(&request, actions * 64);
    write_context(&context, "cluster-1", "alice", 0);
    for (size_t i = 0; i < actions; i++) {
        snprintf(name, sizeof(name), "ok-%zu", i);
        write_action(&request, name);
    }
    int64_t begin_ms = dk_clock_ms();
    assert_int_equal(dk_authorizer_authorize(fixture->authorizer, dk_writer_view(&context),
                                             dk_writer_view(&request), actions, cap_ms, answers),
                     DK_OK);
    int64_t took_ms = dk_clock_ms() - begin_ms;
    assert_int_equal(DK_ANSWER_OUTCOME(answers[0]), DK_UNAVAILABLE);
    dk_writer_clean_up(&request);
    dk_writer_clean_up(&context);
    free(answers);
    return took_ms;
}

static void expect_wait(const char *deadline_ms, size_t actions, int64_t cap_ms, int64_t least_ms,
                        int64_t most_ms) {
    struct fixture fixture;
    start(&fixture, deadline_ms);
    assert_in_range(time_call(&fixture, actions, cap_ms), least_ms, most_ms);
    stop(&fixture);
}

static void one_action_has_the_configured_deadline(void **state) {
    (void)state;
    expect_wait("100", 1, 0, 100, 1900);
}

static void every_action_adds_fifty_microseconds(void **state) {
    (void)state;
    expect_wait("100", 4000, 0, 300, 1900);
}

/* It would be 4.5 s. */
static void two_seconds_are_the_most(void **state) {
    (void)state;
    expect_wait("2000", 50000, 0, 2000, 4400);
}

static void the_callers_cap_holds_for_long_lists_as_well(void **state) {
    (void)state;
    expect_wait("2000", 4000, 50, 50, 1900);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_action_has_the_configured_deadline),
        cmocka_unit_test(every_action_adds_fifty_microseconds),
        cmocka_unit_test(two_seconds_are_the_most),
        cmocka_unit_test(the_callers_cap_holds_for_long_lists_as_well),
    };
    return cmocka_run_group_tests_name("authorizer: deadlines", tests, NULL, NULL);
}
