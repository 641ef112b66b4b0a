/* SPDX-License-Identifier: Apache-2.0 */
/* Recorded questions are asked exactly as they were recorded, or refused. */
#include "bench_replay.h"

#include "doorkeeper/question.h"

#include <cjson/cJSON.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CLUSTER "\"version\":1,\"cluster\":{\"id\":\"c\"}"
#define ALICE "\"principal\":{\"type\":\"User\",\"name\":\"alice\"},\"client\":{}"
#define BOB "\"principal\":{\"type\":\"User\",\"name\":\"bob\"},\"client\":{}"
#define ACTION(name)                                                                               \
    "\"action\":{\"operation\":\"READ\",\"resource\":{\"type\":\"TOPIC\",\"name\":\"" name         \
    "\",\"pattern\":\"LITERAL\"}}"
#define LINE(who, name) "{" CLUSTER "," who "," ACTION(name) "}\n"

/* Every field there is. */
static const char everything[] =
    "{" CLUSTER ",\"principal\":{\"type\":\"User\",\"name\":\"CN=\\u00e4,O=X\",\"subject\":{"
    "\"rdns\":[[{\"type\":\"O\",\"value\":\"X\"}],[{\"type\":\"CN\",\"value\":\"\\u00e4\"},"
    "{\"type\":\"1.2.3\",\"value\":\"v\"}]],\"issuer\":[[{\"type\":\"CN\",\"value\":\"CA\"}]],"
    "\"san\":{\"dns\":[\"a.example.org\",\"b.example.org\"],\"uri\":[\"spiffe://x/y\"],"
    "\"email\":[],\"ip\":[\"10.0.0.1\"]}},\"certificate\":{\"serial\":\"00ff12\","
    "\"not_before\":1500000000,\"not_after\":1600000000,\"sha256\":"
    "\"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\"}},"
    "\"client\":{\"listener\":\"CLIENT\",\"forwarded\":true,\"protocol\":\"SSL\","
    "\"address\":\"10.0.0.2\",\"client_id\":\"id\",\"api\":\"FETCH\"},"
    "\"action\":{\"operation\":\"UNKNOWN_77\",\"resource\":{\"type\":\"GROUP\","
    "\"pattern\":\"PREFIXED\"}}}";

static struct dk_load *load_of(const char *text, size_t actions) {
    struct dk_load *load = NULL;
    struct dk_error_text why = {""};
    enum dk_error error = dk_bench_replay_new(dk_bytes_of(text), actions, &load, &why);
    assert_string_equal(why.text, "");
    assert_int_equal(error, DK_OK);
    return load;
}

static struct dk_call call_of(const struct dk_load *load, uint64_t number) {
    struct dk_call_maker maker;
    struct dk_call call;
    assert_int_equal(dk_load_init_maker(load, &maker), DK_OK);
    dk_load_make(load, number, &maker, &call);
    dk_load_clean_up_maker(&maker); /* recorded calls do not live in it */
    return call;
}

static struct dk_action action_of(const struct dk_call *call, size_t index) {
    size_t start = index == 0 ? 0 : call->ends[index - 1];
    struct dk_bytes rest = {call->request.ptr + start, call->ends[index] - start};
    struct dk_action action;
    assert_int_equal(dk_action_parse(&rest, &action), DK_OK);
    assert_int_equal(rest.len, 0);
    return action;
}

static void check_name(const struct dk_load *load, uint64_t number, size_t index,
                       const char *name) {
    struct dk_call call = call_of(load, number);
    struct dk_action action = action_of(&call, index);
    assert_true(dk_bytes_equal(action.name, dk_bytes_of(name)));
}

/* The text that OPA would get for a call's action is the recorded one. */
static void check_asked(const struct dk_load *load, const struct dk_call *call, size_t index,
                        const char *recorded) {
    struct dk_context context;
    struct dk_action action = action_of(call, index);
    struct dk_writer text;
    dk_writer_init(&text, 65536);
    assert_int_equal(dk_context_parse(load->contexts[call->context], &context), DK_OK);
    assert_int_equal(context.not_after_s, 0);
    dk_question_write_single(&context, &action, &text);
    cJSON *asked = cJSON_ParseWithLength((const char *)text.ptr, text.len);
    cJSON *wanted = cJSON_Parse(recorded);
    assert_true(cJSON_Compare(cJSON_GetObjectItemCaseSensitive(asked, "input"), wanted, true));
    cJSON_Delete(asked);
    cJSON_Delete(wanted);
    dk_writer_clean_up(&text);
}

static void test_every_field_is_asked_again(void **state) {
    struct dk_load *load = load_of(everything, 1);
    struct dk_call call = call_of(load, 0);
    (void)state;
    assert_int_equal(call.count, 1);
    check_asked(load, &call, 0, everything);
    dk_load_destroy(load);
}

static void test_lines_of_one_client_make_a_call(void **state) {
    static const char text[] =
        LINE(ALICE, "a") LINE(ALICE, "b") "\r\n" LINE(ALICE, "c") LINE(BOB, "d") LINE(ALICE, "e");
    struct dk_load *load = load_of(text, 2);
    (void)state;
    assert_int_equal(load->context_count, 2);
    assert_int_equal(call_of(load, 0).count, 2);
    assert_int_equal(call_of(load, 1).count, 1);
    check_name(load, 0, 1, "b");
    check_name(load, 1, 0, "c");
    check_name(load, 2, 0, "d");
    check_name(load, 3, 0, "e");
    check_name(load, 4, 0, "a"); /* round and round */
    assert_int_equal(call_of(load, 3).context, call_of(load, 0).context);
    assert_int_not_equal(call_of(load, 2).context, call_of(load, 0).context);
    assert_string_equal(load->summary,
                        "5 recorded questions in 4 calls of 2 clients, round and round");
    dk_load_destroy(load);
}

/* As OPA's decision log has it, with a poll in between. */
static void test_inputs_and_batches(void **state) {
    static const char text[] =
        "{\"decision_id\":\"1\",\"input\":{" CLUSTER "," ALICE
        "," ACTION("a") "}}\n"
                        "{\"input\":{" CLUSTER ",\"requests\":[]}}\n"
                        "{\"input\":{" CLUSTER "}}\n"
                        "{\"input\":{" CLUSTER ",\"requests\":[{" ALICE ",\"asks\":["
                        "{\"operation\":\"READ\",\"type\":\"TOPIC\",\"pattern\":\"LITERAL\","
                        "\"names\":[\"b\",\"\"]}"
                        ",{\"operation\":\"WRITE\",\"type\":\"TOPIC\",\"pattern\":\"LITERAL\"}]},"
                        "{" BOB ",\"asks\":[]},{" BOB
                        ",\"asks\":[{\"operation\":\"READ\",\"type\":\"GROUP\","
                        "\"pattern\":\"LITERAL\",\"names\":[\"bob\"]}]}]}}";
    struct dk_load *load = load_of(text, 100);
    struct dk_call call = call_of(load, 1);
    (void)state;
    assert_int_equal(call_of(load, 0).count, 1);
    assert_int_equal(call.count, 3);
    assert_int_equal(call.context, call_of(load, 0).context);
    check_asked(load, &call, 0, "{" CLUSTER "," ALICE "," ACTION("b") "}");
    check_asked(load, &call, 1, "{" CLUSTER "," ALICE "," ACTION("") "}");
    check_asked(load, &call, 2,
                "{" CLUSTER "," ALICE ",\"action\":{\"operation\":\"WRITE\",\"resource\":"
                "{\"type\":\"TOPIC\",\"pattern\":\"LITERAL\"}}}");
    check_name(load, 2, 0, "bob");
    check_name(load, 3, 0, "a");
    dk_load_destroy(load);
}

#define NOT_THIS "line 1: the question is not as docs/policy-input.md has it"
#define NO_QUESTION                                                                                \
    "line 1: no question: expected an object with \"version\": 1, or with such a one as \"input\""

static const struct {
    const char *text, *error;
} refused[] = {
    {"", "there is no question in it"},
    {"\n \n", "there is no question in it"},
    {"{", "line 1: not a JSON value in one line"},
    {"{}", NO_QUESTION},
    {"[1]", NO_QUESTION},
    {"{\"input\":7}", NO_QUESTION},
    {"{\"version\":2,\"requests\":[]}", NO_QUESTION},
    {LINE(ALICE, "a") "{\n", "line 2: not a JSON value in one line"},
    {LINE(ALICE, "a\\u0000b"), "line 1: not a JSON value in one line"},
    {"{" CLUSTER "," ACTION("a") ",\"client\":{},\"principal\":{\"type\":\"User\"}}", NOT_THIS},
    {"{" CLUSTER "," ACTION("a") ",\"client\":{\"user\":1},\"principal\":"
                                 "{\"type\":\"User\",\"name\":\"a\"}}",
     NOT_THIS},
    {"{" CLUSTER "," ACTION("a") ",\"client\":{\"listener\":\"X\"},\"principal\":"
                                 "{\"type\":\"User\",\"name\":\"a\"}}",
     NOT_THIS},
    {"{" CLUSTER "," ACTION("a") ",\"client\":{},\"principal\":{\"type\":\"User\",\"name\":7}}",
     NOT_THIS},
    {"{" CLUSTER "," ACTION("a") ",\"client\":{},\"principal\":{\"type\":\"User\",\"name\":\"a\","
                                 "\"certificate\":{\"serial\":\"xy\"}}}",
     NOT_THIS},
    {"{\"version\":1," ALICE "," ACTION("a") "}", NOT_THIS},
    {"{" CLUSTER "," ALICE ",\"action\":{\"operation\":\"EAT\",\"resource\":{\"type\":\"TOPIC\","
     "\"name\":\"a\",\"pattern\":\"LITERAL\"}}}",
     NOT_THIS},
    {"{" CLUSTER "," ALICE ",\"action\":{\"operation\":\"READ\",\"resource\":{\"type\":\"TOPIC\","
     "\"name\":7,\"pattern\":\"LITERAL\"}}}",
     NOT_THIS},
    {"{" CLUSTER "," ALICE ",\"more\":1," ACTION("a") "}", NOT_THIS},
    {"{" CLUSTER ",\"requests\":[{\"principal\":{},\"client\":{},\"asks\":[]}]}",
     "line 1: cluster, principal or client are not as docs/policy-input.md has them"},
    {"{" CLUSTER ",\"requests\":[],\"more\":1}",
     "line 1: the batch is not as docs/policy-input.md has it"},
    {"{" CLUSTER ",\"requests\":[{" ALICE "}]}",
     "line 1: a request is not as docs/policy-input.md has it"},
    {"{" CLUSTER ",\"requests\":[{" ALICE ",\"asks\":[{\"operation\":\"READ\",\"type\":\"TOPIC\","
     "\"pattern\":\"LITERAL\",\"names\":[1]}]}]}",
     "line 1: an ask is not as docs/policy-input.md has it"},
};

static void test_anything_else_is_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct dk_load *load;
        struct dk_error_text why = {""};
        assert_int_equal(dk_bench_replay_new(dk_bytes_of(refused[i].text), 1, &load, &why),
                         DK_ERR_MALFORMED);
        assert_null(load);
        assert_string_equal(why.text, refused[i].error);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_field_is_asked_again),
        cmocka_unit_test(test_lines_of_one_client_make_a_call),
        cmocka_unit_test(test_inputs_and_batches),
        cmocka_unit_test(test_anything_else_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
