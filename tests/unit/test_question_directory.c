/* SPDX-License-Identifier: Apache-2.0 */
/* What was asked lately: the directory, and the ring by which it gets there. */
#include "question_directory.h"
#include "question_ring.h"

#include "support/records.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* None takes a quarter of the directory. */
#define CONTEXTS 40u
#define NAMES 12u

/* One question of the test, as records. */
struct asked {
    struct dk_writer context_record, request_record;
    struct dk_context context;
    struct dk_action action;
};

static void parse(struct asked *asked) {
    struct dk_bytes rest = dk_writer_view(&asked->request_record);
    assert_int_equal(dk_context_parse(dk_writer_view(&asked->context_record), &asked->context),
                     DK_OK);
    assert_int_equal(dk_action_parse(&rest, &asked->action), DK_OK);
}

static void begin(struct asked *asked) {
    dk_writer_init(&asked->context_record, DK_CONTEXT_MAX);
    dk_writer_init(&asked->request_record, DK_NAME_MAX + 64);
}

static void make(struct asked *asked, const char *principal, const char *name) {
    begin(asked);
    write_context(&asked->context_record, "cluster-1", principal, 0);
    write_action(&asked->request_record, name);
    parse(asked);
}

static void clean_up(struct asked *asked) {
    dk_writer_clean_up(&asked->context_record);
    dk_writer_clean_up(&asked->request_record);
}

static const struct dk_hash_key hash_key = {1, 2};

static struct dk_question_directory *new_directory(size_t max_bytes) {
    struct dk_question_directory *directory = NULL;
    assert_int_equal(dk_question_directory_new(&hash_key, max_bytes, &directory), DK_OK);
    return directory;
}

static struct dk_hash128 key_of(const struct dk_question_directory *directory,
                                const struct asked *asked) {
    struct dk_keyed_hash begun;
    dk_question_begin(&hash_key, &asked->context, &begun);
    return dk_question_key(&begun, &asked->action, dk_question_directory_epoch(directory));
}

static bool find(const struct dk_question_directory *directory, const struct asked *asked,
                 struct dk_bytes *context, struct dk_bytes *request) {
    struct dk_known_question question;
    if (!dk_question_directory_find(directory, key_of(directory, asked), &question)) {
        return false;
    }
    *context = question.context;
    *request = question.request;
    return true;
}

static bool has(const struct dk_question_directory *directory, const struct asked *asked) {
    struct dk_bytes context;
    struct dk_bytes request;
    return find(directory, asked, &context, &request);
}

static void gives_the_text_back(void **state) {
    (void)state;
    struct dk_question_directory *directory = new_directory(1 << 20);
    struct asked alice;
    struct asked bob;
    struct dk_bytes context;
    struct dk_bytes request;
    struct dk_action action;
    make(&alice, "alice", "orders");
    make(&bob, "bob", "orders");
    assert_false(has(directory, &alice));
    assert_true(dk_question_directory_put(directory, &alice.context, &alice.action, NULL));
    assert_false(has(directory, &bob));
    assert_true(find(directory, &alice, &context, &request));
    assert_true(dk_bytes_equal(context, dk_writer_view(&alice.context_record)));
    assert_int_equal(dk_action_parse(&request, &action), DK_OK);
    assert_int_equal(request.len, 0);
    assert_true(dk_bytes_equal(action.hashed, alice.action.hashed));
    assert_int_equal(action.reference_count, 0); /* of one request, not of the question */
    assert_int_equal(action.flags, 0);
    clean_up(&alice);
    clean_up(&bob);
    dk_question_directory_destroy(directory);
}

static void the_same_question_stands_there_once(void **state) {
    (void)state;
    struct dk_question_directory *directory = new_directory(1 << 20);
    struct asked asked;
    make(&asked, "alice", "orders");
    assert_true(dk_question_directory_put(directory, &asked.context, &asked.action, NULL));
    size_t bytes = dk_question_directory_bytes(directory);
    assert_true(dk_question_directory_put(directory, &asked.context, &asked.action, NULL));
    assert_int_equal(dk_question_directory_count(directory), 1);
    assert_int_equal(dk_question_directory_bytes(directory), bytes);
    assert_int_equal(dk_question_directory_additions(directory), 1);
    clean_up(&asked);
    dk_question_directory_destroy(directory);
}

/* Invented names must not push out what others asked. */
static void who_asks_for_very_much_makes_room_for_itself(void **state) {
    (void)state;
    struct dk_question_directory *directory = new_directory(8000);
    struct asked alice;
    make(&alice, "alice", "orders");
    assert_true(dk_question_directory_put(directory, &alice.context, &alice.action, NULL));
    for (size_t i = 0; i < 200; i++) {
        struct asked mallory;
        char name[24];
        snprintf(name, sizeof(name), "invented-%zu", i);
        make(&mallory, "mallory", name);
        assert_true(dk_question_directory_put(directory, &mallory.context, &mallory.action, NULL));
        assert_true(has(directory, &mallory));
        clean_up(&mallory);
    }
    assert_in_range(dk_question_directory_count(directory), 20, 199);
    assert_true(has(directory, &alice));
    clean_up(&alice);
    dk_question_directory_destroy(directory);
}

static void keys_are_those_of_the_epoch(void **state) {
    (void)state;
    struct dk_question_directory *directory = new_directory(1 << 20);
    struct asked alice, bob;
    struct dk_known_question question;
    make(&alice, "alice", "orders");
    make(&bob, "bob", "orders");
    assert_true(dk_question_directory_put(directory, &alice.context, &alice.action, &question));
    struct dk_hash128 earlier = question.key;
    question.note->count = 7;
    dk_question_directory_set_epoch(directory, 9);
    assert_false(dk_question_directory_find(directory, earlier, &question));
    assert_true(dk_question_directory_put(directory, &bob.context, &bob.action, NULL));
    assert_true(has(directory, &alice) && has(directory, &bob));
    assert_true(dk_question_directory_find(directory, key_of(directory, &alice), &question));
    assert_int_equal(question.note->count, 7);
    assert_int_equal(dk_question_directory_count(directory), 2);
    clean_up(&alice);
    clean_up(&bob);
    dk_question_directory_destroy(directory);
}

/* OPA is asked the same about a renewed certificate, so nothing of the certificate is kept. */
static void a_context_is_what_opa_is_asked(void **state) {
    (void)state;
    struct dk_question_directory *directory = new_directory(1 << 20);
    struct asked with[2];
    struct asked without;
    struct dk_bytes context;
    struct dk_bytes request;
    make(&without, "alice", "orders");
    for (uint8_t i = 0; i < 2; i++) {
        begin(&with[i]);
        write_certified_context(&with[i].context_record, "cluster-1", "alice", 1000 + i, i + 1);
        write_action(&with[i].request_record, "orders");
        parse(&with[i]);
        assert_true(dk_question_directory_put(directory, &with[i].context, &with[i].action, NULL));
    }
    assert_int_equal(dk_question_directory_count(directory), 1);
    assert_true(find(directory, &without, &context, &request));
    assert_true(dk_bytes_equal(context, dk_writer_view(&without.context_record)));
    clean_up(&with[0]);
    clean_up(&with[1]);
    clean_up(&without);
    dk_question_directory_destroy(directory);
}

/* A policy that is shown the certificate: then it is a part of the question. */
static void a_certificate_that_is_sent_is_kept(void **state) {
    (void)state;
    struct dk_question_directory *directory = new_directory(1 << 20);
    struct asked asked;
    struct dk_bytes context;
    struct dk_bytes request;
    struct dk_context parsed;
    begin(&asked);
    write_certified_context(&asked.context_record, "cluster-1", "alice", 1000, 7);
    write_action(&asked.request_record, "orders");
    parse(&asked);
    struct dk_bytes certificate = asked.context.fields[DK_FIELD_LOCAL_CERTIFICATE];
    uint8_t header[8] = {DK_FIELD_CERTIFICATE};
    dk_write_u32(header + 4, (uint32_t)certificate.len);
    struct dk_writer record;
    dk_writer_init(&record, DK_CONTEXT_MAX);
    dk_writer_bytes(&record, dk_writer_view(&asked.context_record));
    dk_writer_bytes(&record, (struct dk_bytes){header, sizeof(header)});
    dk_writer_bytes(&record, certificate);
    dk_writer_clean_up(&asked.context_record);
    asked.context_record = record;
    parse(&asked);
    assert_true(dk_question_directory_put(directory, &asked.context, &asked.action, NULL));
    assert_true(find(directory, &asked, &context, &request));
    assert_int_equal(dk_context_parse(context, &parsed), DK_OK);
    assert_int_equal(parsed.not_after_s, 0);
    assert_true(dk_bytes_equal(dk_context_hashed(&parsed), dk_context_hashed(&asked.context)));
    clean_up(&asked);
    dk_question_directory_destroy(directory);
}

static void what_is_larger_than_all_room_is_not_kept(void **state) {
    (void)state;
    struct dk_question_directory *directory = new_directory(4096);
    struct asked small;
    struct asked large;
    char name[5000];
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    make(&small, "alice", "orders");
    make(&large, "alice", name);
    assert_true(dk_question_directory_put(directory, &small.context, &small.action, NULL));
    assert_false(dk_question_directory_put(directory, &large.context, &large.action, NULL));
    assert_true(has(directory, &small));
    assert_false(has(directory, &large));
    clean_up(&small);
    clean_up(&large);
    dk_question_directory_destroy(directory);
}

/* ---- against a model --------------------------------------------------------------------- */

/* Numbers of contexts, the oldest first, and of the names of each. */
struct model {
    size_t contexts[CONTEXTS], context_count;
    size_t names[CONTEXTS][NAMES], name_counts[CONTEXTS];
    size_t count;
};

/* Takes `value` out of the list if it is there. */
static bool take(size_t *list, size_t *count, size_t value) {
    for (size_t i = 0; i < *count; i++) {
        if (list[i] == value) {
            memmove(list + i, list + i + 1, (*count - i - 1) * sizeof(*list));
            --*count;
            return true;
        }
    }
    return false;
}

static bool model_has(const struct model *model, size_t context, size_t name) {
    for (size_t i = 0; i < model->name_counts[context]; i++) {
        if (model->names[context][i] == name) {
            return true;
        }
    }
    return false;
}

static void model_put(struct model *model, size_t context, size_t name) {
    model->count += !take(model->names[context], &model->name_counts[context], name);
    model->names[context][model->name_counts[context]++] = name;
    (void)take(model->contexts, &model->context_count, context);
    model->contexts[model->context_count++] = context;
}

static void model_drop_oldest(struct model *model) {
    size_t context = model->contexts[0];
    (void)take(model->names[context], &model->name_counts[context], model->names[context][0]);
    if (model->name_counts[context] == 0) {
        (void)take(model->contexts, &model->context_count, context);
    }
    model->count--;
}

static struct asked questions[CONTEXTS][NAMES];

static void assert_as_model(const struct dk_question_directory *directory,
                            const struct model *model) {
    struct dk_question_walk walk = {NULL, NULL};
    struct dk_known_question question;
    struct dk_bytes context;
    size_t request_len;
    for (size_t i = 0; i < model->context_count; i++) {
        size_t number = model->contexts[i];
        size_t len = 0;
        assert_true(dk_question_walk_context(directory, &walk, &context, &request_len));
        assert_true(dk_bytes_equal(context, dk_writer_view(&questions[number][0].context_record)));
        for (size_t j = 0; j < model->name_counts[number]; j++) {
            struct dk_action action;
            assert_true(dk_question_walk_question(&walk, &question));
            struct dk_bytes record = question.request;
            len += record.len;
            assert_int_equal(dk_action_parse(&record, &action), DK_OK);
            assert_true(dk_bytes_equal(action.hashed,
                                       questions[number][model->names[number][j]].action.hashed));
        }
        assert_false(dk_question_walk_question(&walk, &question));
        assert_int_equal(len, request_len);
    }
    assert_false(dk_question_walk_context(directory, &walk, &context, &request_len));
}

static void is_what_the_model_says(void **state) {
    (void)state;
    enum { MAX_BYTES = 8000, ROUNDS = 20000 };
    struct dk_question_directory *directory = new_directory(MAX_BYTES);
    struct model model = {.count = 0};
    size_t dropped = 0;
    uint32_t random = 1;
    char text[16];
    for (size_t i = 0; i < CONTEXTS; i++) {
        for (size_t j = 0; j < NAMES; j++) {
            char principal[16];
            snprintf(principal, sizeof(principal), "p-%zu", i);
            snprintf(text, sizeof(text), "%.*s", 1 + (int)(j % 12), "nnnnnnnnnnnn");
            text[0] = (char)('A' + j);
            make(&questions[i][j], principal, text);
        }
    }
    size_t largest = 0; /* question and context together */
    for (unsigned round = 0; round < ROUNDS; round++) {
        random = random * 1664525u + 1013904223u;
        size_t context = (random >> 24) % CONTEXTS;
        size_t name = (random >> 12) % NAMES;
        const struct asked *asked = &questions[context][name];
        size_t before = dk_question_directory_bytes(directory);
        assert_true(dk_question_directory_put(directory, &asked->context, &asked->action, NULL));
        assert_true(dk_question_directory_bytes(directory) <= MAX_BYTES);
        largest = round == 0 ? dk_question_directory_bytes(directory) + 16 : largest;
        /* What has to go goes before the new one comes. */
        while (model.count + !model_has(&model, context, name) >
               dk_question_directory_count(directory)) {
            assert_true(before + largest > MAX_BYTES); /* nothing goes before it has to */
            model_drop_oldest(&model);
            dropped++;
        }
        model_put(&model, context, name);
        if (round % 100 == 99) {
            dk_question_directory_set_epoch(directory, round);
        }
        assert_as_model(directory, &model);
        assert_true(has(directory, asked));
    }
    assert_true(dropped > ROUNDS / 10);
    assert_true(model.count > 10);
    for (size_t i = 0; i < CONTEXTS; i++) {
        for (size_t j = 0; j < NAMES; j++) {
            clean_up(&questions[i][j]);
        }
    }
    dk_question_directory_destroy(directory);
}

/* ---- the ring ---------------------------------------------------------------------------- */

static struct dk_question_ring *new_ring(void) {
    struct dk_question_ring *ring = NULL;
    assert_int_equal(dk_question_ring_new(&ring), DK_OK);
    return ring;
}

static void nobody_takes_what_nobody_put(void **state) {
    (void)state;
    struct dk_question_ring *ring = new_ring();
    struct asked asked;
    struct dk_bytes context;
    struct dk_bytes request;
    make(&asked, "alice", "orders");
    assert_false(dk_question_ring_take(ring, &context, &request));
    dk_question_ring_put(ring, &asked.context, &asked.action);
    assert_true(dk_question_ring_take(ring, &context, &request));
    assert_true(dk_bytes_equal(context, dk_writer_view(&asked.context_record)));
    assert_false(dk_question_ring_take(ring, &context, &request));
    dk_question_ring_put(NULL, &asked.context, &asked.action);
    clean_up(&asked);
    dk_question_ring_destroy(ring);
}

/* Long names, so that it is full soon; the lengths make each round end elsewhere. */
static void a_full_ring_drops_and_goes_on(void **state) {
    (void)state;
    struct dk_question_ring *ring = new_ring();
    size_t memory = dk_question_ring_memory_bytes(ring);
    struct asked asked;
    char *name = malloc(100000);
    assert_non_null(name);
    memset(name, 'n', 100000);
    name[99991] = '\0';
    make(&asked, "alice", name);
    for (unsigned round = 0; round < 10; round++) {
        struct dk_bytes context;
        struct dk_bytes request;
        struct dk_action action;
        size_t taken = 0;
        for (unsigned i = 0; i < 100; i++) {
            dk_question_ring_put(ring, &asked.context, &asked.action);
        }
        while (dk_question_ring_take(ring, &context, &request)) {
            assert_true(dk_bytes_equal(context, dk_writer_view(&asked.context_record)));
            assert_int_equal(dk_action_parse(&request, &action), DK_OK);
            assert_true(dk_bytes_equal(action.hashed, asked.action.hashed));
            taken++;
        }
        assert_in_range(taken, 30, memory / 100000);
    }
    free(name);
    clean_up(&asked);
    dk_question_ring_destroy(ring);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_the_text_back),
        cmocka_unit_test(the_same_question_stands_there_once),
        cmocka_unit_test(who_asks_for_very_much_makes_room_for_itself),
        cmocka_unit_test(keys_are_those_of_the_epoch),
        cmocka_unit_test(a_context_is_what_opa_is_asked),
        cmocka_unit_test(a_certificate_that_is_sent_is_kept),
        cmocka_unit_test(what_is_larger_than_all_room_is_not_kept),
        cmocka_unit_test(is_what_the_model_says),
        cmocka_unit_test(nobody_takes_what_nobody_put),
        cmocka_unit_test(a_full_ring_drops_and_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
