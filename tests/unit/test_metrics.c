/* SPDX-License-Identifier: Apache-2.0 */
#include "doorkeeper/metrics.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* More than there are shards, so that some share one. */
#define THREADS 40
#define ROUNDS 100000

static struct dk_metrics *new_metrics(void) {
    struct dk_metrics *metrics = NULL;
    assert_int_equal(dk_metrics_new(&metrics), DK_OK);
    return metrics;
}

static void counters_begin_at_zero_and_stand_alone(void **state) {
    (void)state;
    struct dk_metrics *metrics = new_metrics();
    for (int i = 0; i < DK_METRIC_COUNT; i++) {
        assert_int_equal(dk_metrics_read(metrics, (enum dk_metric)i), 0);
    }
    for (int i = 0; i < DK_METRIC_COUNT; i++) {
        dk_metrics_add(metrics, (enum dk_metric)i, (uint64_t)i + 1);
        dk_metrics_add(metrics, (enum dk_metric)i, 100);
    }
    for (int i = 0; i < DK_METRIC_COUNT; i++) {
        assert_int_equal(dk_metrics_read(metrics, (enum dk_metric)i), i + 101);
    }
    dk_metrics_destroy(metrics);
}

static pthread_barrier_t all_there;

static void *add_many(void *argument) {
    pthread_barrier_wait(&all_there);
    for (int i = 0; i < ROUNDS; i++) {
        dk_metrics_add(argument, DK_METRIC_HITS, 1);
        dk_metrics_add(argument, DK_METRIC_ALLOWED, 3);
    }
    return NULL;
}

static void no_addition_is_lost(void **state) {
    (void)state;
    struct dk_metrics *metrics = new_metrics();
    pthread_t threads[THREADS];
    assert_int_equal(pthread_barrier_init(&all_there, NULL, THREADS), 0);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, add_many, metrics), 0);
    }
    uint64_t seen = 0;
    while (seen == 0) {
        seen = dk_metrics_read(metrics, DK_METRIC_HITS); /* reading while others add is allowed */
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_barrier_destroy(&all_there);
    assert_true(seen <= (uint64_t)THREADS * ROUNDS);
    assert_int_equal(dk_metrics_read(metrics, DK_METRIC_HITS), THREADS * ROUNDS);
    assert_int_equal(dk_metrics_read(metrics, DK_METRIC_ALLOWED), 3 * THREADS * ROUNDS);
    dk_metrics_destroy(metrics);
}

/* They become the names of JMX attributes, so they are letters and dashes, each once. */
static void every_counter_has_a_name_and_a_help(void **state) {
    (void)state;
    for (int i = 0; i < DK_METRIC_COUNT; i++) {
        const char *name = dk_metric_name((enum dk_metric)i);
        assert_true(strlen(name) > 0);
        assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz-"), strlen(name));
        assert_true(strlen(dk_metric_help((enum dk_metric)i)) > 0);
        for (int j = 0; j < i; j++) {
            assert_string_not_equal(name, dk_metric_name((enum dk_metric)j));
        }
    }
    assert_string_equal(dk_metric_name(DK_METRIC_OPA_MICROS), "opa-time-us");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_begin_at_zero_and_stand_alone),
        cmocka_unit_test(no_addition_is_lost),
        cmocka_unit_test(every_counter_has_a_name_and_a_help),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
