/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every order in which two writers without a lock and one reader can touch the three words of an
 * entry, with every order of the three stores of each writer and of the three loads of the reader.
 * The same enumeration over an unsealed entry must find wrong hits, or it proves nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define WORDS 3
#define ORDERS 6

static const unsigned orders[ORDERS][WORDS] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                               {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};

struct insert {
    uint64_t h0, h1, m;
};

/* Two questions; the third insert is the first question's with another decision. */
static const struct insert first = {UINT64_C(0x1122334455667788), UINT64_C(0x99aabbccddeeff00), 5};
static const struct insert other = {UINT64_C(0x0f1e2d3c4b5a6978), UINT64_C(0x8796a5b4c3d2e1f0), 6};
static const struct insert again = {UINT64_C(0x1122334455667788), UINT64_C(0x99aabbccddeeff00), 9};

static uint64_t rotate32(uint64_t word) {
    return word << 32 | word >> 32;
}

static void words_of(const struct insert *insert, bool sealed, uint64_t out[WORDS]) {
    out[0] = insert->m;
    out[1] = insert->h0 ^ (sealed ? insert->m : 0);
    out[2] = insert->h1 ^ (sealed ? rotate32(insert->m) : 0);
}

struct tally {
    size_t executions, hits, wrong;
};

/* What a reader that asks for `question` makes of the words it loaded. */
static void judge(const uint64_t loaded[WORDS], const struct insert *question,
                  const struct insert *a, const struct insert *b, bool sealed,
                  struct tally *tally) {
    uint64_t m = loaded[0];
    uint64_t seal0 = sealed ? m : 0, seal1 = sealed ? rotate32(m) : 0;
    tally->executions++;
    if (m == 0 || loaded[1] != (question->h0 ^ seal0) || loaded[2] != (question->h1 ^ seal1)) {
        return;
    }
    tally->hits++;
    bool from_a = a->h0 == question->h0 && a->m == m;
    bool from_b = b->h0 == question->h0 && b->m == m;
    tally->wrong += !from_a && !from_b;
}

/* One interleaving: `schedule` says, two bits a step, who moves: 0 and 1 the writers, 2 the reader.
 */
static void execute(const unsigned schedule[9], const unsigned *order_a, const unsigned *order_b,
                    const unsigned *order_r, const struct insert *a, const struct insert *b,
                    bool sealed, struct tally *tally) {
    uint64_t entry[WORDS] = {0}, loaded[WORDS] = {0}, words_a[WORDS], words_b[WORDS];
    unsigned at[3] = {0};
    words_of(a, sealed, words_a);
    words_of(b, sealed, words_b);
    for (size_t step = 0; step < 9; step++) {
        unsigned who = schedule[step];
        unsigned move = at[who]++;
        if (who == 0) {
            entry[order_a[move]] = words_a[order_a[move]];
        } else if (who == 1) {
            entry[order_b[move]] = words_b[order_b[move]];
        } else {
            loaded[order_r[move]] = entry[order_r[move]];
        }
    }
    judge(loaded, &first, a, b, sealed, tally);
    judge(loaded, &other, a, b, sealed, tally);
}

static void all_orders(const unsigned schedule[9], const struct insert *a, const struct insert *b,
                       bool sealed, struct tally *tally) {
    for (size_t i = 0; i < ORDERS; i++) {
        for (size_t j = 0; j < ORDERS; j++) {
            for (size_t k = 0; k < ORDERS; k++) {
                execute(schedule, orders[i], orders[j], orders[k], a, b, sealed, tally);
            }
        }
    }
}

/* All 9!/(3!3!3!) = 1,680 schedules, as numbers to the base 3. */
static struct tally enumerate(const struct insert *a, const struct insert *b, bool sealed) {
    struct tally tally = {0};
    for (unsigned number = 0; number < 19683; number++) {
        unsigned schedule[9], moves[3] = {0}, rest = number;
        for (size_t step = 0; step < 9; step++) {
            schedule[step] = rest % 3;
            moves[rest % 3]++;
            rest /= 3;
        }
        if (moves[0] == 3 && moves[1] == 3 && moves[2] == 3) {
            all_orders(schedule, a, b, sealed, &tally);
        }
    }
    return tally;
}

static void a_sealed_entry_never_gives_a_wrong_hit(void **state) {
    (void)state;
    struct tally two_questions = enumerate(&first, &other, true);
    assert_int_equal(two_questions.executions, 1680u * 216 * 2);
    assert_true(two_questions.hits > 0);
    assert_int_equal(two_questions.wrong, 0);
    struct tally two_decisions = enumerate(&first, &again, true);
    assert_true(two_decisions.hits > 0);
    assert_int_equal(two_decisions.wrong, 0);
}

static void an_unsealed_entry_does(void **state) {
    (void)state;
    assert_true(enumerate(&first, &other, false).wrong > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sealed_entry_never_gives_a_wrong_hit),
        cmocka_unit_test(an_unsealed_entry_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
