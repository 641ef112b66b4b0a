/* SPDX-License-Identifier: Apache-2.0 */
/* From events to distinct questions: replay_table.h, batch_events.h, question_json.h. */
#include "replay_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CLUSTER "\"cluster\":{\"id\":\"c\"}"
#define ALICE "{\"type\":\"User\",\"name\":\"alice\"}"
#define READ(name)                                                                                 \
    "{\"operation\":\"READ\",\"resource\":{\"type\":\"TOPIC\",\"name\":\"" name                    \
    "\",\"pattern\":\"LITERAL\"}}"
#define SINGLE(name)                                                                               \
    "{\"version\":1," CLUSTER ",\"principal\":" ALICE ",\"client\":{},\"action\":" READ(name) "}"
#define BATCH(asks)                                                                                \
    "{\"version\":1," CLUSTER ",\"requests\":[{\"principal\":" ALICE                               \
    ",\"client\":{},\"asks\":[" asks "]}]}"
#define ASK(rest) "{\"operation\":\"READ\",\"type\":\"TOPIC\",\"pattern\":\"LITERAL\"" rest "}"

/* ---- helpers ----------------------------------------------------------------------------- */

static struct dk_replay_table *new_table(struct dk_replay_options options) {
    struct dk_replay_table *table = NULL;
    options.sample = options.sample == 0 ? 1 : options.sample;
    assert_int_equal(dk_replay_table_new(&options, &table), DK_OK);
    return table;
}

static struct dk_log_event event_of(const char *path, const char *input, const char *result) {
    return (struct dk_log_event){
        .path = dk_bytes_of(path),
        .input = dk_bytes_of(input),
        .result = dk_bytes_of(result),
        .count = 1,
        .time_ns = 1000,
    };
}

static void add(struct dk_replay_table *table, struct dk_log_event event) {
    struct dk_error_text why = {""};
    if (dk_replay_table_add(table, &event, &why) != DK_OK) {
        fail_msg("%s", why.text);
    }
}

/* The question of row `i` as it would be asked alone. */
static const char *text_of(struct dk_replay_table *table, size_t i) {
    static struct dk_writer text;
    dk_writer_clean_up(&text);
    dk_writer_init(&text, (size_t)1024 * 1024);
    const struct dk_replay_row *row = dk_replay_table_row(table, i);
    dk_replay_table_write(table, dk_replay_table_question(table, row->question), &text);
    dk_writer_bytes(&text, (struct dk_bytes){(const uint8_t *)"", 1});
    assert_false(text.failed);
    return (const char *)text.ptr;
}

static void expect_row(struct dk_replay_table *table, size_t i, const char *input,
                       enum dk_outcome outcome, uint64_t count) {
    char wanted[4096];
    snprintf(wanted, sizeof(wanted), "{\"input\":%s}", input);
    assert_true(i < dk_replay_table_rows(table));
    const struct dk_replay_row *row = dk_replay_table_row(table, i);
    assert_string_equal(text_of(table, i), wanted);
    assert_int_equal(row->result.outcome, outcome);
    assert_int_equal(row->count, count);
}

static bool is_doorkeepers(struct dk_replay_table *table, size_t i) {
    const struct dk_replay_row *row = dk_replay_table_row(table, i);
    return dk_replay_table_question(table, row->question)->context != DK_REPLAY_NO_CONTEXT;
}

/* ---- distinct questions ------------------------------------------------------------------ */

static void test_equal_decisions_are_counted(void **state) {
    (void)state;
    struct dk_replay_table *table = new_table((struct dk_replay_options){0});
    struct dk_log_event event = event_of("a/allow", SINGLE("orders"), "true");
    add(table, event);
    event.count = 41;
    event.time_ns = 500;
    add(table, event);
    event.time_ns = 9000;
    event.count = 1;
    event.result = dk_bytes_of("false");
    add(table, event);
    assert_int_equal(dk_replay_table_questions(table), 1);
    assert_int_equal(dk_replay_table_rows(table), 2);
    expect_row(table, 0, SINGLE("orders"), DK_ALLOW, 42);
    expect_row(table, 1, SINGLE("orders"), DK_DENY, 1);
    assert_int_equal(dk_replay_table_row(table, 0)->first_ns, 500);
    assert_int_equal(dk_replay_table_row(table, 0)->last_ns, 1000);
    assert_int_equal(dk_replay_table_tally(table)->decisions, 43);
    assert_int_equal(dk_replay_table_tally(table)->last_ns, 9000);
    dk_replay_table_destroy(table);
}

/* OPA sorts members and escapes <, Doorkeeper does neither. */
static void test_spelling_makes_no_difference(void **state) {
    (void)state;
    struct dk_replay_table *table = new_table((struct dk_replay_options){0});
    add(table, event_of("a", SINGLE("a<b"), "true"));
    add(table,
        event_of("a",
                 "{\"action\": {\"resource\":{\"name\":\"a\\u003cb\",\"pattern\":\"LITERAL\","
                 "\"type\":\"TOPIC\"},\"operation\":\"READ\"},\"client\":{}," CLUSTER
                 ",\"principal\":{\"name\":\"alice\",\"type\":\"User\"},\"version\":1}",
                 "true"));
    assert_int_equal(dk_replay_table_rows(table), 1);
    expect_row(table, 0, SINGLE("a<b"), DK_ALLOW, 2);
    add(table, event_of("b", SINGLE("a<b"), "true")); /* another rule is another question */
    assert_int_equal(dk_replay_table_questions(table), 2);
    dk_replay_table_destroy(table);
}

static void test_every_field_survives(void **state) {
    (void)state;
    static const char input[] =
        "{\"version\":1," CLUSTER
        ",\"principal\":{\"type\":\"User\",\"name\":\"\",\"subject\":{\"rdns\":[[{\"type\":\"O\","
        "\"value\":\"E\"},{\"type\":\"1.2.3\",\"value\":\"\"}]],\"issuer\":[],\"san\":{\"dns\":"
        "[\"a\",\"b\"],\"uri\":[\"spiffe://x/y\"],\"email\":[],\"ip\":[\"::1\"]}},\"certificate\":"
        "{\"serial\":\"6f2b\",\"not_before\":-5,\"not_after\":1767830400,\"sha256\":\""
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"}},\"client\":{"
        "\"listener\":\"L\",\"forwarded\":true,\"protocol\":\"SSL\",\"address\":\"::1\","
        "\"client_id\":\"x\",\"api\":\"FETCH\"},\"action\":{\"operation\":\"UNKNOWN_99\","
        "\"resource\":{\"type\":\"GROUP\",\"pattern\":\"PREFIXED\"}}}";
    struct dk_replay_table *table = new_table((struct dk_replay_options){0});
    add(table, event_of("a", input, "false"));
    assert_true(is_doorkeepers(table, 0));
    expect_row(table, 0, input, DK_DENY, 1);
    dk_replay_table_destroy(table);
}

static void test_other_inputs_stay_as_they_are(void **state) {
    (void)state;
    static const char *const inputs[] = {
        "{\"version\":2," CLUSTER ",\"principal\":" ALICE
        ",\"client\":{},\"action\":" READ("a") "}",
        "{\"version\":1," CLUSTER ",\"principal\":" ALICE ",\"client\":{},\"more\":1,"
        "\"action\":" READ("a") "}",
        "{\"version\":1," CLUSTER ",\"principal\":" ALICE ",\"client\":{\"forwarded\":true},"
        "\"action\":" READ("a") "}",
        SINGLE("a\\u0000b"), /* a name that ends early in C */
        "{\"requestContext\":{\"principal\":{\"name\":\"a\"}}}",
        "\"requests\"",
        "7",
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
    };
    struct dk_replay_table *table = new_table((struct dk_replay_options){0});
    for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++) {
        add(table, event_of("a", inputs[i], "true"));
        expect_row(table, i, inputs[i], DK_ALLOW, 1);
        assert_false(is_doorkeepers(table, i));
    }
    dk_replay_table_destroy(table);
}

static void test_results(void **state) {
    (void)state;
    struct dk_replay_table *table = new_table((struct dk_replay_options){0});
    struct dk_log_event failed = event_of("a", SINGLE("d"), NULL);
    failed.failed = true;
    add(table, event_of("a", SINGLE("a"), NULL));
    add(table, event_of("a", SINGLE("b"), "\"true\"")); /* of Doorkeeper's question: no answer */
    add(table, event_of("a", "1", "{\"allow\": true}"));
    add(table, event_of("a", "1", "{\"allow\":true}"));
    add(table, event_of("a", "1", "{\"allow\":false}"));
    add(table, failed);
    expect_row(table, 0, SINGLE("a"), DK_UNDEFINED, 1);
    expect_row(table, 1, SINGLE("b"), DK_UNAVAILABLE, 1);
    assert_int_equal(dk_replay_table_row(table, 1)->result.other, 0);
    expect_row(table, 2, "1", DK_UNAVAILABLE, 2);
    expect_row(table, 3, "1", DK_UNAVAILABLE, 1);
    assert_false(dk_replay_result_equal(dk_replay_table_row(table, 2)->result,
                                        dk_replay_table_row(table, 3)->result));
    expect_row(table, 4, SINGLE("d"), DK_UNAVAILABLE, 1);
    dk_replay_table_destroy(table);
}

static void test_masked_events_are_not_asked(void **state) {
    (void)state;
    struct dk_replay_table *table = new_table((struct dk_replay_options){0});
    struct dk_log_event event = event_of("a", SINGLE("a"), "true");
    event.input_masked = true;
    add(table, event);
    assert_false(dk_replay_table_row(table, 0)->reproducible);
    assert_false(dk_replay_table_question(table, 0)->needed);
    event.input = (struct dk_bytes){NULL, 0};
    add(table, event);
    assert_false(dk_replay_table_row(table, 1)->reproducible);
    add(table, event_of("a", SINGLE("a"), "true"));
    assert_true(dk_replay_table_question(table, 0)->needed);
    dk_replay_table_destroy(table);

    /* Without its result an event can still be compared between two policies. */
    table = new_table((struct dk_replay_options){.has_against = true});
    event = event_of("a", SINGLE("a"), "true");
    event.result_masked = true;
    add(table, event);
    assert_true(dk_replay_table_row(table, 0)->reproducible);
    dk_replay_table_destroy(table);
}

static void test_bytes_that_are_no_text_are_refused(void **state) {
    (void)state;
    struct dk_replay_table *table = new_table((struct dk_replay_options){0});
    struct dk_log_event event = event_of("a", "\"\xff\"", "true");
    struct dk_error_text why;
    assert_int_equal(dk_replay_table_add(table, &event, &why), DK_ERR_MALFORMED);
    assert_string_equal(why.text, "input: not UTF-8");
    assert_int_equal(dk_replay_table_rows(table), 0);
    dk_replay_table_destroy(table);
}

/* ---- batches ----------------------------------------------------------------------------- */

static void test_a_batch_is_its_single_questions(void **state) {
    (void)state;
    struct dk_replay_table *table = new_table((struct dk_replay_options){0});
    struct dk_log_event event = event_of(
        "a/batch", BATCH(ASK(",\"names\":[\"x\",\"y\",\"z\"]") "," ASK("")), "[[[2,0],[0]]]");
    event.count = 5;
    add(table, event);
    assert_int_equal(dk_replay_table_rows(table), 4);
    expect_row(table, 0, SINGLE("x"), DK_ALLOW, 5);
    expect_row(table, 1, SINGLE("y"), DK_DENY, 5);
    expect_row(table, 2, SINGLE("z"), DK_ALLOW, 5);
    assert_int_equal(dk_replay_table_row(table, 3)->result.outcome, DK_ALLOW);
    assert_null(strstr(text_of(table, 3), "\"name\":\"x\""));
    assert_true(dk_replay_table_rule(table, 0)->batch_seen);
    for (size_t i = 0; i < 4; i++) {
        assert_true(is_doorkeepers(table, i));
    }
    /* The same questions, asked alone of the same rule and in another batch. */
    add(table, event_of("a/batch", SINGLE("x"), "true"));
    add(table, event_of("a/batch", BATCH(ASK(",\"names\":[\"y\",\"x\"]")), "[[[1]]]"));
    expect_row(table, 0, SINGLE("x"), DK_ALLOW, 7);
    expect_row(table, 1, SINGLE("y"), DK_DENY, 6);
    assert_int_equal(dk_replay_table_questions(table), 4);
    dk_replay_table_destroy(table);
}

static void test_a_batch_with_a_wrong_answer(void **state) {
    (void)state;
    static const char *const wrong[] = {"[[[3]]]", "[[[0,0]]]", "[[[0],[1]]]", "[[[0]],[]]",
                                        "[[]]",    "[]",        "[[[0.0]]]",   "[[[-1]]]",
                                        "true",    "[[0]]",     "[[[\"0\"]]]"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct dk_replay_table *table = new_table((struct dk_replay_options){0});
        add(table, event_of("a", BATCH(ASK(",\"names\":[\"x\",\"y\"]")), wrong[i]));
        assert_int_equal(dk_replay_table_rows(table), 2);
        expect_row(table, 0, SINGLE("x"), DK_UNAVAILABLE, 1);
        expect_row(table, 1, SINGLE("y"), DK_UNAVAILABLE, 1);
        dk_replay_table_destroy(table);
    }
    struct dk_replay_table *table = new_table((struct dk_replay_options){0});
    add(table, event_of("a", BATCH(ASK(",\"names\":[\"x\"]")), NULL));
    expect_row(table, 0, SINGLE("x"), DK_UNDEFINED, 1);
    dk_replay_table_destroy(table);
}

static void test_what_is_nearly_a_batch_is_asked_as_it_is(void **state) {
    (void)state;
    static const char *const inputs[] = {
        BATCH(ASK(",\"names\":[1]")),
        BATCH(ASK(",\"names\":[\"x\"],\"more\":1")),
        BATCH("7"),
        "{\"version\":1," CLUSTER ",\"requests\":[{}]}",
        "{\"version\":2," CLUSTER ",\"requests\":[]}",
    };
    struct dk_replay_table *table = new_table((struct dk_replay_options){0});
    for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++) {
        add(table, event_of("a", inputs[i], "[[[0]]]"));
        expect_row(table, i, inputs[i], DK_UNAVAILABLE, 1);
        assert_true(dk_replay_table_row(table, i)->result.other != 0);
    }
    dk_replay_table_destroy(table);
}

static void test_polls_are_no_decisions(void **state) {
    (void)state;
    struct dk_replay_table *table = new_table((struct dk_replay_options){0});
    for (int i = 0; i < 3; i++) {
        add(table, event_of("a", "{\"version\":1," CLUSTER "}", "false"));
        add(table, event_of("a", "{\"version\":1," CLUSTER ",\"requests\":[]}", "[]"));
    }
    assert_int_equal(dk_replay_table_rows(table), 0);
    assert_int_equal(dk_replay_table_tally(table)->decisions, 0);
    assert_int_equal(dk_replay_table_tally(table)->polls, 6);
    dk_replay_table_destroy(table);
}

/* ---- options ----------------------------------------------------------------------------- */

static void test_filters(void **state) {
    (void)state;
    static const struct {
        const char *principal, *resource;
        size_t rows;
    } cases[] = {
        {"alice", NULL, 3},   {"User:alice", NULL, 3}, {"bob", NULL, 0},
        {"al*", "orders", 1}, {NULL, "TOPIC:or*", 1},  {NULL, "*", 4},
        {NULL, "TOPIC", 0},   {"User", NULL, 0},       {"carol", NULL, 1},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct dk_replay_table *table = new_table((struct dk_replay_options){
            .principal = cases[i].principal, .resource = cases[i].resource});
        add(table, event_of("a", SINGLE("orders"), "true"));
        add(table, event_of("a", BATCH(ASK(",\"names\":[\"x\",\"y\"]")), "[[[0]]]"));
        add(table,
            event_of("a",
                     "{\"action\":{\"operation\":\"READ\",\"resourcePattern\":{\"name\":\"z\","
                     "\"resourceType\":\"TOPIC\"}},\"requestContext\":{\"principal\":{\"name\":"
                     "\"carol\",\"principalType\":\"User\"}}}",
                     "true"));
        size_t wanted = cases[i].rows;
        assert_int_equal(dk_replay_table_rows(table), wanted);
        assert_int_equal(dk_replay_table_tally(table)->filtered, 4 - wanted);
        dk_replay_table_destroy(table);
    }
}

/* A sample is the same in every run, although the hash keys differ. */
static void test_a_sample(void **state) {
    (void)state;
    size_t rows = 0;
    for (int run = 0; run < 3; run++) {
        struct dk_replay_table *table = new_table((struct dk_replay_options){.sample = 10});
        for (int i = 0; i < 1000; i++) {
            char input[512];
            snprintf(input, sizeof(input), "{\"n\":%d}", i);
            add(table, event_of("a", input, "true"));
        }
        assert_true(dk_replay_table_rows(table) > 50 && dk_replay_table_rows(table) < 150);
        assert_true(run == 0 || rows == dk_replay_table_rows(table));
        rows = dk_replay_table_rows(table);
        dk_replay_table_destroy(table);
    }
}

static void test_another_rule(void **state) {
    (void)state;
    struct dk_replay_table *table = new_table((struct dk_replay_options){.rule = "b/batch"});
    add(table, event_of("a/allow", SINGLE("x"), "true"));
    add(table, event_of("a/batch", BATCH(ASK(",\"names\":[\"x\"]")), "[[[0]]]"));
    assert_int_equal(dk_replay_table_rules(table), 1);
    assert_string_equal(dk_replay_table_rule(table, 0)->path, "b/batch");
    assert_int_equal(dk_replay_table_rows(table), 1);
    dk_replay_table_destroy(table);
}

/* Many questions, so that every table grows; each counted as often as it came. */
static void test_many_questions(void **state) {
    (void)state;
    enum { QUESTIONS = 20000 };
    struct dk_replay_table *table = new_table((struct dk_replay_options){0});
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < QUESTIONS; i++) {
            char input[512];
            snprintf(input, sizeof(input), "{\"n\":%d}", i);
            add(table, event_of("a", input, i % 2 ? "true" : "false"));
        }
    }
    assert_int_equal(dk_replay_table_rows(table), QUESTIONS);
    for (size_t i = 0; i < QUESTIONS; i++) {
        const struct dk_replay_row *row = dk_replay_table_row(table, i);
        assert_int_equal(row->count, 3);
        assert_int_equal(row->result.outcome, i % 2 ? DK_ALLOW : DK_DENY);
    }
    dk_replay_table_destroy(table);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal_decisions_are_counted),
        cmocka_unit_test(test_spelling_makes_no_difference),
        cmocka_unit_test(test_every_field_survives),
        cmocka_unit_test(test_other_inputs_stay_as_they_are),
        cmocka_unit_test(test_results),
        cmocka_unit_test(test_masked_events_are_not_asked),
        cmocka_unit_test(test_bytes_that_are_no_text_are_refused),
        cmocka_unit_test(test_a_batch_is_its_single_questions),
        cmocka_unit_test(test_a_batch_with_a_wrong_answer),
        cmocka_unit_test(test_what_is_nearly_a_batch_is_asked_as_it_is),
        cmocka_unit_test(test_polls_are_no_decisions),
        cmocka_unit_test(test_filters),
        cmocka_unit_test(test_a_sample),
        cmocka_unit_test(test_another_rule),
        cmocka_unit_test(test_many_questions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
