/* SPDX-License-Identifier: Apache-2.0 */
#include "doorkeeper/context_table.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct dk_context_memo memo_of(uint64_t number) {
    struct dk_context_memo memo = {
        .begun = {number, number + 1, number + 2, number + 3, number * 8},
        .not_after_s = (int64_t)number,
        .deny_generation = (uint32_t)(number * UINT64_C(0x9e3779b9)),
        .may_be_denied = number % 3 == 1,
        .super_user = number % 2 == 1,
    };
    return memo;
}

static bool holds(const struct dk_context_memo *memo, uint64_t number) {
    struct dk_context_memo expected = memo_of(number);
    return memo->begun.v0 == expected.begun.v0 && memo->begun.v1 == expected.begun.v1 &&
           memo->begun.v2 == expected.begun.v2 && memo->begun.v3 == expected.begun.v3 &&
           memo->begun.len == expected.begun.len && memo->not_after_s == expected.not_after_s &&
           memo->deny_generation == expected.deny_generation &&
           memo->may_be_denied == expected.may_be_denied && memo->super_user == expected.super_user;
}

/* The members that share a word, each at its ends. */
static void neighbours_in_a_word_stay_apart(void **state) {
    (void)state;
    static const uint32_t generations[] = {0, 1, UINT32_C(1) << 31, UINT32_MAX};
    static const uint64_t lens[] = {0, 8, DK_CONTEXT_MEMO_LEN_END - 1};
    struct dk_context_table *table = NULL;
    assert_int_equal(dk_context_table_new(&table), DK_OK);
    for (unsigned i = 0; i < 4 * 3 * 4; i++) {
        struct dk_context_memo memo = {.begun = {.len = lens[i % 3]},
                                       .deny_generation = generations[i / 12],
                                       .may_be_denied = (i / 3 & 1) != 0,
                                       .super_user = (i / 3 & 2) != 0};
        struct dk_context_memo found;
        uint64_t handle = dk_context_table_put(table, &memo);
        assert_true(dk_context_table_get(table, handle, &found));
        assert_int_equal(found.begun.len, memo.begun.len);
        assert_int_equal(found.deny_generation, memo.deny_generation);
        assert_int_equal(found.may_be_denied, memo.may_be_denied);
        assert_int_equal(found.super_user, memo.super_user);
    }
    dk_context_table_destroy(table);
}

static struct dk_context_table *new_table(void) {
    struct dk_context_table *table = NULL;
    assert_int_equal(dk_context_table_new(&table), DK_OK);
    return table;
}

static uint64_t put(struct dk_context_table *table, uint64_t number) {
    struct dk_context_memo memo = memo_of(number);
    return dk_context_table_put(table, &memo);
}

static void gives_back_what_was_put(void **state) {
    (void)state;
    struct dk_context_table *table = new_table();
    uint64_t handles[100];
    struct dk_context_memo memo;
    for (uint64_t i = 0; i < 100; i++) {
        handles[i] = put(table, i);
        assert_true(handles[i] != 0);
    }
    for (uint64_t i = 0; i < 100; i++) {
        assert_true(dk_context_table_get(table, handles[i], &memo));
        assert_true(holds(&memo, i));
    }
    dk_context_table_destroy(table);
}

static void displaced_and_foreign_handles_find_nothing(void **state) {
    (void)state;
    struct dk_context_table *table = new_table();
    struct dk_context_table *other = new_table();
    struct dk_context_memo memo;
    uint64_t first = put(table, 1);
    uint64_t second = put(table, 2);
    assert_false(dk_context_table_get(other, first, &memo));
    assert_false(dk_context_table_get(table, 0, &memo));
    assert_false(dk_context_table_get(table, second + 1, &memo));
    for (uint64_t i = 1; i < DK_CONTEXT_TABLE_SLOTS; i++) {
        put(table, 7);
    }
    assert_false(dk_context_table_get(table, first, &memo));
    assert_true(dk_context_table_get(table, second, &memo));
    assert_true(holds(&memo, 2));
    dk_context_table_destroy(other);
    dk_context_table_destroy(table);
}

struct churn {
    struct dk_context_table *table;
    _Atomic uint64_t newest;
    _Atomic bool done;
    size_t wrong, found;
};

static void *put_many(void *argument) {
    struct churn *churn = argument;
    for (uint64_t i = 0; i < 4 * DK_CONTEXT_TABLE_SLOTS; i++) {
        churn->newest = put(churn->table, 40);
    }
    churn->done = true;
    return NULL;
}

static void *get_many(void *argument) {
    struct churn *churn = argument;
    while (!churn->done) {
        struct dk_context_memo memo;
        if (dk_context_table_get(churn->table, churn->newest, &memo)) {
            churn->found++;
            churn->wrong += holds(&memo, 40) ? 0 : 1;
        }
    }
    return NULL;
}

static void readers_never_see_half_a_memo(void **state) {
    (void)state;
    struct churn churn = {.table = new_table()};
    churn.newest = put(churn.table, 40);
    pthread_t writer, reader;
    assert_int_equal(pthread_create(&reader, NULL, get_many, &churn), 0);
    assert_int_equal(pthread_create(&writer, NULL, put_many, &churn), 0);
    pthread_join(writer, NULL);
    pthread_join(reader, NULL);
    assert_int_equal(churn.wrong, 0);
    dk_context_table_destroy(churn.table);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_back_what_was_put),
        cmocka_unit_test(neighbours_in_a_word_stay_apart),
        cmocka_unit_test(displaced_and_foreign_handles_find_nothing),
        cmocka_unit_test(readers_never_see_half_a_memo),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
