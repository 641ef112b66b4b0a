/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table stands in the shared library, which shows one symbol only, so it is compiled in here.
 * It needs two functions of an authorizer; these are defined below and look at when they are
 * called.
 */
#include "../../jni/core_table.c"

#include "support/wait_until.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct dk_authorizer {
    _Atomic int inside; /* as the callers count themselves, apart from the table */
    _Atomic int stopped, destroyed;
    _Atomic int inside_at_end;
};

void dk_authorizer_stop(struct dk_authorizer *authorizer) {
    authorizer->stopped++;
}

void dk_authorizer_destroy(struct dk_authorizer *authorizer) {
    authorizer->inside_at_end = authorizer->inside;
    authorizer->destroyed++;
}

static void handles_find_their_own_core(void **state) {
    (void)state;
    struct dk_authorizer first = {0}, second = {0};
    int64_t one = core_table_add(&first);
    int64_t two = core_table_add(&second);
    assert_true(one != 0 && two != 0 && one != two);
    assert_ptr_equal(core_table_enter(one), &first);
    assert_ptr_equal(core_table_enter(two), &second);
    core_table_leave(two);
    core_table_leave(one);
    core_table_destroy(one);
    core_table_destroy(two);
    assert_int_equal(first.destroyed, 1);
    assert_int_equal(second.destroyed, 1);
}

static void whatever_number_java_passes_finds_nothing(void **state) {
    (void)state;
    struct dk_authorizer authorizer = {0};
    int64_t handle = core_table_add(&authorizer);
    const int64_t wrong[] = {0,
                             1,
                             -1,
                             INT64_MAX,
                             INT64_MIN,
                             -handle,
                             handle + 1,
                             handle + CORE_TABLE_SLOTS,
                             handle - CORE_TABLE_SLOTS,
                             handle ^ (INT64_C(1) << 40)};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_null(core_table_enter(wrong[i]));
        core_table_destroy(wrong[i]);
    }
    assert_int_equal(authorizer.stopped, 0);
    assert_ptr_equal(core_table_enter(handle), &authorizer);
    core_table_leave(handle);
    core_table_destroy(handle);
}

static void a_destroyed_core_stays_unfindable(void **state) {
    (void)state;
    struct dk_authorizer first = {0}, second = {0};
    int64_t stale = core_table_add(&first);
    core_table_destroy(stale);
    assert_null(core_table_enter(stale));
    int64_t reused = core_table_add(&second);
    assert_int_equal(reused % CORE_TABLE_SLOTS, stale % CORE_TABLE_SLOTS);
    assert_int_not_equal(reused, stale);
    assert_null(core_table_enter(stale));
    core_table_destroy(stale);
    assert_int_equal(first.destroyed, 1);
    assert_int_equal(second.stopped, 0);
    core_table_destroy(reused);
    core_table_destroy(reused);
    assert_int_equal(second.stopped, 1);
    assert_int_equal(second.destroyed, 1);
}

static void a_full_table_refuses(void **state) {
    (void)state;
    static struct dk_authorizer authorizers[CORE_TABLE_SLOTS + 1];
    int64_t handles[CORE_TABLE_SLOTS];
    for (size_t i = 0; i < CORE_TABLE_SLOTS; i++) {
        handles[i] = core_table_add(&authorizers[i]);
        assert_true(handles[i] != 0);
    }
    assert_int_equal(core_table_add(&authorizers[CORE_TABLE_SLOTS]), 0);
    core_table_destroy(handles[100]);
    handles[100] = core_table_add(&authorizers[CORE_TABLE_SLOTS]);
    assert_true(handles[100] != 0);
    for (size_t i = 0; i < CORE_TABLE_SLOTS; i++) {
        core_table_destroy(handles[i]);
    }
    for (size_t i = 0; i <= CORE_TABLE_SLOTS; i++) {
        assert_int_equal(authorizers[i].destroyed, 1);
    }
}

static void *destroy_it(void *argument) {
    core_table_destroy(*(const int64_t *)argument);
    return NULL;
}

static void destroy_waits_for_a_call_under_way(void **state) {
    (void)state;
    struct dk_authorizer authorizer = {0};
    int64_t handle = core_table_add(&authorizer);
    pthread_t destroyer;
    assert_ptr_equal(core_table_enter(handle), &authorizer);
    assert_int_equal(pthread_create(&destroyer, NULL, destroy_it, &handle), 0);
    WAIT_UNTIL(authorizer.stopped == 1);
    assert_null(core_table_enter(handle)); /* nobody new, while the one inside may go on */
    assert_int_equal(authorizer.destroyed, 0);
    core_table_leave(handle);
    pthread_join(destroyer, NULL);
    assert_int_equal(authorizer.destroyed, 1);
}

struct crowd {
    _Atomic int64_t handle;
    _Atomic bool over;
    _Atomic size_t entered, found_destroyed;
};

static void *enter_and_leave(void *argument) {
    struct crowd *crowd = argument;
    while (!crowd->over) {
        int64_t handle = crowd->handle;
        struct dk_authorizer *authorizer = core_table_enter(handle);
        if (authorizer == NULL) {
            continue;
        }
        authorizer->inside++;
        crowd->entered++;
        crowd->found_destroyed += authorizer->destroyed != 0;
        authorizer->inside--;
        core_table_leave(handle);
    }
    return NULL;
}

/* Cores come and go in one slot while threads enter by handles that turn stale under them. */
static void nobody_is_inside_when_a_core_ends(void **state) {
    (void)state;
    enum { THREADS = 3, CORES = 300 };
    static struct dk_authorizer authorizers[CORES];
    struct crowd crowd = {0};
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, enter_and_leave, &crowd), 0);
    }
    for (int i = 0; i < CORES; i++) {
        size_t entered = crowd.entered;
        crowd.handle = core_table_add(&authorizers[i]);
        WAIT_UNTIL(crowd.entered > entered);
        core_table_destroy(crowd.handle);
        assert_int_equal(authorizers[i].destroyed, 1);
        assert_int_equal(authorizers[i].inside_at_end, 0);
    }
    crowd.over = true;
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(crowd.found_destroyed, 0);
}

static void only_one_of_two_destroyers_ends_a_core(void **state) {
    (void)state;
    for (int i = 0; i < 200; i++) {
        struct dk_authorizer authorizer = {0};
        int64_t handle = core_table_add(&authorizer);
        pthread_t other;
        assert_int_equal(pthread_create(&other, NULL, destroy_it, &handle), 0);
        core_table_destroy(handle);
        pthread_join(other, NULL);
        assert_int_equal(authorizer.stopped, 1);
        assert_int_equal(authorizer.destroyed, 1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handles_find_their_own_core),
        cmocka_unit_test(whatever_number_java_passes_finds_nothing),
        cmocka_unit_test(a_destroyed_core_stays_unfindable),
        cmocka_unit_test(a_full_table_refuses),
        cmocka_unit_test(destroy_waits_for_a_call_under_way),
        cmocka_unit_test(nobody_is_inside_when_a_core_ends),
        cmocka_unit_test(only_one_of_two_destroyers_ends_a_core),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
