/* SPDX-License-Identifier: Apache-2.0 */
/* Those that are too small for a test of their own: breaker, clock, error, outcome. */
#include "doorkeeper/breaker.h"
#include "doorkeeper/clock.h"
#include "doorkeeper/error.h"
#include "doorkeeper/outcome.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static void a_breaker_opens_after_failures_in_a_row(void **state) {
    (void)state;
    struct dk_breaker breaker;
    memset(&breaker, 0, sizeof(breaker));
    assert_int_equal(dk_breaker_state(&breaker), DK_BREAKER_CLOSED);
    assert_false(dk_breaker_failure(&breaker, 3));
    assert_false(dk_breaker_failure(&breaker, 3));
    assert_false(dk_breaker_success(&breaker));
    assert_false(dk_breaker_failure(&breaker, 3));
    assert_false(dk_breaker_failure(&breaker, 3));
    assert_int_equal(dk_breaker_state(&breaker), DK_BREAKER_CLOSED);
    assert_true(dk_breaker_failure(&breaker, 3));
    assert_int_equal(dk_breaker_state(&breaker), DK_BREAKER_OPEN);
    assert_false(dk_breaker_failure(&breaker, 3));
}

static void a_probe_half_opens_a_breaker_and_decides(void **state) {
    (void)state;
    struct dk_breaker breaker;
    memset(&breaker, 0, sizeof(breaker));
    dk_breaker_probe(&breaker);
    assert_int_equal(dk_breaker_state(&breaker), DK_BREAKER_CLOSED);
    assert_true(dk_breaker_failure(&breaker, 1));
    dk_breaker_probe(&breaker);
    assert_int_equal(dk_breaker_state(&breaker), DK_BREAKER_HALF_OPEN);
    assert_false(dk_breaker_failure(&breaker, 100));
    assert_int_equal(dk_breaker_state(&breaker), DK_BREAKER_OPEN);
    dk_breaker_probe(&breaker);
    assert_true(dk_breaker_success(&breaker));
    assert_int_equal(dk_breaker_state(&breaker), DK_BREAKER_CLOSED);
}

/* What the cache's deadlines rely on. */
static void the_coarse_clock_never_runs_ahead(void **state) {
    (void)state;
    int64_t step_ms = dk_clock_coarse_step_ms();
    assert_true(step_ms > 0);
    for (int i = 0; i < 100000; i++) {
        int64_t coarse_ms = dk_clock_coarse_ms();
        int64_t precise_ms = dk_clock_ms();
        assert_true(coarse_ms <= precise_ms);
    }
}

static void clocks_never_go_back(void **state) {
    (void)state;
    int64_t last_ns = dk_clock_ns();
    int64_t last_coarse_ms = dk_clock_coarse_ms();
    for (int i = 0; i < 100000; i++) {
        int64_t ns = dk_clock_ns();
        int64_t coarse_ms = dk_clock_coarse_ms();
        assert_true(ns >= last_ns && coarse_ms >= last_coarse_ms);
        last_ns = ns;
        last_coarse_ms = coarse_ms;
    }
    assert_true(dk_clock_ms() >= last_ns / 1000000);
}

static void the_wall_clock_is_the_systems(void **state) {
    (void)state;
    time_t before = time(NULL);
    int64_t wall_s = dk_clock_wall_s();
    assert_true(wall_s >= before - 1 && wall_s <= before + 3600);
}

static void zeroed_memory_denies(void **state) {
    (void)state;
    enum dk_outcome outcome;
    enum dk_source source;
    memset(&outcome, 0, sizeof(outcome));
    memset(&source, 0, sizeof(source));
    assert_int_equal(outcome, DK_DENY);
    assert_int_equal(source, DK_SOURCE_NONE);
}

static void outcomes_and_sources_have_names(void **state) {
    (void)state;
    assert_string_equal(dk_outcome_name(DK_DENY), "DENY");
    assert_string_equal(dk_outcome_name(DK_ALLOW), "ALLOW");
    assert_string_equal(dk_outcome_name(DK_UNDEFINED), "UNDEFINED");
    assert_string_equal(dk_outcome_name(DK_UNAVAILABLE), "UNAVAILABLE");
    assert_string_equal(dk_source_name(DK_SOURCE_NONE), "none");
    assert_string_equal(dk_source_name(DK_SOURCE_RULE), "rule");
    assert_string_equal(dk_source_name(DK_SOURCE_CACHE), "cache");
    assert_string_equal(dk_source_name(DK_SOURCE_OPA), "opa");
}

static void every_error_has_a_text_of_its_own(void **state) {
    (void)state;
    for (int i = DK_OK; i <= DK_ERR_CLOSED; i++) {
        assert_string_not_equal(dk_strerror((enum dk_error)i), "unknown error");
        for (int j = DK_OK; j < i; j++) {
            assert_string_not_equal(dk_strerror((enum dk_error)i), dk_strerror((enum dk_error)j));
        }
    }
}

static void messages_are_cut_not_overrun(void **state) {
    (void)state;
    struct dk_error_text why;
    assert_int_equal(dk_fail(&why, DK_ERR_CONFIG, "%s=%d", "x", 5), DK_ERR_CONFIG);
    assert_string_equal(why.text, "x=5");
    assert_int_equal(dk_fail(&why, DK_ERR_SYSTEM, "%*d", 2000, 7), DK_ERR_SYSTEM);
    assert_int_equal(strlen(why.text), sizeof(why.text) - 1);
    assert_int_equal(dk_fail(NULL, DK_ERR_MEMORY, "nobody listens"), DK_ERR_MEMORY);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_breaker_opens_after_failures_in_a_row),
        cmocka_unit_test(a_probe_half_opens_a_breaker_and_decides),
        cmocka_unit_test(the_coarse_clock_never_runs_ahead),
        cmocka_unit_test(clocks_never_go_back),
        cmocka_unit_test(the_wall_clock_is_the_systems),
        cmocka_unit_test(zeroed_memory_denies),
        cmocka_unit_test(outcomes_and_sources_have_names),
        cmocka_unit_test(every_error_has_a_text_of_its_own),
        cmocka_unit_test(messages_are_cut_not_overrun),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
