/* SPDX-License-Identifier: Apache-2.0 */
/* Queries as of a time, and their answers; tests/e2e/test_replay.py has a real OPA take them. */
#include "replay_time.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void expect(const struct dk_writer *out, const char *text) {
    assert_false(out->failed);
    assert_int_equal(out->len, strlen(text));
    assert_memory_equal(out->ptr, text, out->len);
}

static void a_query_names_rule_and_time(void **state) {
    (void)state;
    struct dk_writer out;
    dk_writer_init(&out, 1024);
    dk_replay_write_query("kafka/a-b/allow", 1700017200000000000,
                          dk_bytes_of("{\"input\":{\"x\":1}}"), &out);
    expect(&out, "{\"query\":\"result = data[\\\"kafka\\\"][\\\"a-b\\\"][\\\"allow\\\"] with "
                 "time.now_ns as 1700017200000000000\",\"input\":{\"x\":1}}");
    dk_writer_clean_up(&out);
}

static void an_answer_is_that_of_the_rule(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"{\"result\":[{\"result\":true}]}\n", "{\"result\":true}"},
        {"{\"result\":[{\"result\":[0,1]}]}", "{\"result\":[0,1]}"},
        {"{}", "{}"},
        {"{\"code\":\"internal_error\"}", "{\"code\":\"internal_error\"}"},
        {"{\"result\":[]}", ""},
        {"{\"result\":[{\"result\":true},{\"result\":false}]}", ""},
        {"{\"result\":true}", ""},
        {"{\"result\":[{\"other\":true}]}", ""},
        {"{\"result\":[true]}", ""},
        {"[{\"result\":true}]", ""},
        {"{\"result\":[{\"result\":true", ""},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct dk_writer out;
        dk_writer_init(&out, 1024);
        dk_replay_read_query(dk_bytes_of(cases[i][0]), &out);
        expect(&out, cases[i][1]);
        dk_writer_clean_up(&out);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_query_names_rule_and_time),
        cmocka_unit_test(an_answer_is_that_of_the_rule),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
