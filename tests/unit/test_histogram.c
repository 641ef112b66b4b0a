/* SPDX-License-Identifier: Apache-2.0 */
#include "histogram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_nothing_is_zero(void **state) {
    struct dk_histogram histogram = {0};
    (void)state;
    assert_int_equal(dk_histogram_percentile(&histogram, 50), 0);
    assert_true(dk_histogram_mean(&histogram) == 0);
}

static void test_small_values_are_exact(void **state) {
    struct dk_histogram histogram = {0};
    (void)state;
    for (uint64_t value = 1; value <= 100; value++) {
        dk_histogram_add(&histogram, value);
    }
    assert_int_equal(dk_histogram_percentile(&histogram, 0), 1);
    assert_int_equal(dk_histogram_percentile(&histogram, 1), 1);
    assert_int_equal(dk_histogram_percentile(&histogram, 50), 50);
    assert_int_equal(dk_histogram_percentile(&histogram, 99), 99);
    assert_int_equal(dk_histogram_percentile(&histogram, 99.9), 100);
    assert_int_equal(dk_histogram_percentile(&histogram, 100), 100);
    assert_int_equal(histogram.max, 100);
    assert_true(dk_histogram_mean(&histogram) == 50.5);
}

/* Each value comes back as itself or up to 1/64 more, on both sides of every border of slots. */
static void test_the_error_is_bounded(void **state) {
    (void)state;
    for (unsigned shift = 0; shift < 42; shift++) {
        for (int step = -2; step <= 2; step++) {
            uint64_t value = (UINT64_C(1) << shift) + (uint64_t)step;
            if (value > DK_HISTOGRAM_VALUE_MAX) {
                continue;
            }
            struct dk_histogram histogram = {0};
            dk_histogram_add(&histogram, value);
            dk_histogram_add(&histogram, DK_HISTOGRAM_VALUE_MAX);
            uint64_t read = dk_histogram_percentile(&histogram, 50);
            assert_true(read >= value && read - value <= value / 64);
        }
    }
}

static void test_large_values_are_cut(void **state) {
    struct dk_histogram histogram = {0};
    (void)state;
    dk_histogram_add(&histogram, UINT64_MAX);
    assert_int_equal(dk_histogram_percentile(&histogram, 50), DK_HISTOGRAM_VALUE_MAX);
}

static void test_a_percentile_is_never_above_the_maximum(void **state) {
    struct dk_histogram histogram = {0};
    (void)state;
    dk_histogram_add(&histogram, 1000001);
    assert_int_equal(dk_histogram_percentile(&histogram, 99.9), 1000001);
}

static void test_merging_is_adding(void **state) {
    struct dk_histogram halves[2] = {{0}, {0}}, whole = {0};
    (void)state;
    for (uint64_t i = 0; i < 10000; i++) {
        uint64_t value = i * i * 37;
        dk_histogram_add(&halves[i % 2], value);
        dk_histogram_add(&whole, value);
    }
    dk_histogram_merge(&halves[0], &halves[1]);
    assert_memory_equal(&halves[0], &whole, sizeof(whole));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_zero),
        cmocka_unit_test(test_small_values_are_exact),
        cmocka_unit_test(test_the_error_is_bounded),
        cmocka_unit_test(test_large_values_are_cut),
        cmocka_unit_test(test_a_percentile_is_never_above_the_maximum),
        cmocka_unit_test(test_merging_is_adding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
