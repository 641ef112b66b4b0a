/* SPDX-License-Identifier: Apache-2.0 */
/* What opa.c's tests do not reach: where reading ended, and where an element begins. */
#include "json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static bool parses(const char *text, size_t max_values) {
    cJSON *root = dk_json_parse(dk_bytes_of(text), max_values, NULL);
    cJSON_Delete(root);
    return root != NULL;
}

static void values_are_counted(void **state) {
    (void)state;
    assert_true(parses("{\"a\":[1,2,3]}", 4));
    assert_false(parses("{\"a\":[1,2,3]}", 3));
    assert_true(parses("[\"[,{\"]", 1));
    assert_true(parses(" \"one\" \r\n\t", 0));
}

/* As seen by whoever looks for the mistake: the line is right, the column about right. */
static void it_is_said_where_reading_ended(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t from, to;
    } cases[] = {
        {"", 0, 0},       {"[1,\n2,\n\nx]", 7, 10}, {"[1,\n2]\n]", 7, 8},
        {"[1]\n2", 4, 5}, {"[\"a\n\"]", 3, 3},      {"[\"a\xff\"]", 3, 3},
        {"[\"a\\", 4, 4}, {"[\"a\\u0000\"]", 3, 9}, {"\xef\xbb\xbf[]", 0, 1},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        size_t at = 1000;
        assert_null(dk_json_parse(dk_bytes_of(cases[i].text), 100, &at));
        if (at < cases[i].from || at > cases[i].to) {
            fail_msg("%s: ended at %zu", cases[i].text, at);
        }
    }
}

static void elements_are_found(void **state) {
    (void)state;
    static const char text[] = "{\"[,\": [ {\"a\":[1,2],\"b\":{}} ,\n 7,[],\"x,[\" ] }";
    static const char *const begin[] = {"{\"a\"", "7", "[]", "\"x,["};
    struct dk_bytes bytes = dk_bytes_of(text);
    assert_true(parses(text, 100));
    for (size_t i = 0; i < COUNT_OF(begin); i++) {
        size_t at = dk_json_element(bytes, i);
        assert_memory_equal(text + at, begin[i], strlen(begin[i]));
    }
    assert_int_equal(dk_json_element(bytes, COUNT_OF(begin)), bytes.len);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_counted),
        cmocka_unit_test(it_is_said_where_reading_ended),
        cmocka_unit_test(elements_are_found),
    };
    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
