/* SPDX-License-Identifier: Apache-2.0 */
/* The command's reader of server.properties. What is expected here is what java.util.Properties
 * makes of the same bytes. */
#include "../../native/cli/properties.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define PAIRS_MAX 4

static const struct {
    const char *file;
    const char *pairs[2 * PAIRS_MAX];
} cases[] = {
    {"", {NULL}},
    {"\n \t\f\r\n\r# a=b\n  ! a=b\n", {NULL}},
    {"a=b", {"a", "b"}},
    {"a=b\nc=d\r\ne=f\rg=h\n", {"a", "b", "c", "d", "e", "f", "g", "h"}},
    {"a:b\nc d\ne\tf\fg\nh", {"a", "b", "c", "d", "e", "f\fg", "h", ""}},
    {"  a \t=  b c \n", {"a", "b c "}},
    {"a==b\nc= =d\ne ::f", {"a", "=b", "c", "=d", "e", ":f"}},
    {"=a\n: b", {"", "a", "", "b"}},
    {"a\\=b=c\na\\ b c\na\\:=", {"a=b", "c", "a b", "c", "a:", ""}},
    {"a=\\t\\n\\r\\f\\\\\\q\\\"", {"a", "\t\n\r\f\\q\""}},
    {"a=b\\\n   c\\\r\n\td", {"a", "bcd"}},
    {"a=b\\\\\nc=d", {"a", "b\\", "c", "d"}},
    {"a=b\\\n\nc=d", {"a", "b", "c", "d"}},
    {"a=b\\\n#c=d", {"a", "b#c=d"}},
    {"# a\\\nb=c", {"b", "c"}},
    {"a=b\\", {"a", "b"}},
    {"a\\", {"a", ""}},
    {"a\\\n=b", {"a", "b"}},
    {"a=\\u0041\\u00e9\\u20aC\\ud83d\\uDE00", {"a", "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"}},
    {"a=\\ud83dx\nb=\\ude00", {"a", "?x", "b", "?"}},
    {"a=\xe9\xff\x80", {"a", "\xc3\xa9\xc3\xbf\xc2\x80"}},
    {"a=b\na=c", {"a", "b", "a", "c"}},
};

/* In memory of just that length, so that a sanitizer sees a read beyond it. */
static enum dk_error parse(const char *text, struct properties *out) {
    size_t len = strlen(text);
    uint8_t *copy = malloc(len + (len == 0));
    assert_non_null(copy);
    memcpy(copy, text, len);
    enum dk_error error = properties_parse((struct dk_bytes){copy, len}, out);
    free(copy);
    return error;
}

static void expect_equal(const char *file, struct dk_bytes found, const char *expected) {
    if (!dk_bytes_equal(found, dk_bytes_of(expected))) {
        print_error("in \"%s\": \"%.*s\", not \"%s\"\n", file, (int)found.len,
                    (const char *)found.ptr, expected);
        fail();
    }
}

static void reads_as_java_does(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct properties properties;
        assert_int_equal(parse(cases[i].file, &properties), DK_OK);
        size_t count = 0;
        while (count < PAIRS_MAX && cases[i].pairs[2 * count] != NULL) {
            assert_true(count < properties.count);
            expect_equal(cases[i].file, properties.list[count].key, cases[i].pairs[2 * count]);
            expect_equal(cases[i].file, properties.list[count].value,
                         cases[i].pairs[2 * count + 1]);
            count++;
        }
        assert_int_equal(properties.count, count);
        properties_clean_up(&properties);
    }
}

static void malformed_escapes_are_refused(void **state) {
    (void)state;
    /* The last one would find digits left over from the line before it. */
    static const char *const wrong[] = {"a=\\u",      "a=\\u12",  "a=\\u12g4",
                                        "\\u00 41=b", "a=\\u004", "aaaaaaaa\nb=\\u"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct properties properties;
        assert_int_equal(parse(wrong[i], &properties), DK_ERR_MALFORMED);
        assert_null(properties.list);
        assert_null(properties.text);
    }
}

static void a_zero_byte_is_a_character(void **state) {
    (void)state;
    struct properties properties;
    const struct dk_bytes file = {(const uint8_t *)"a\0=\\\0", 5};
    assert_int_equal(properties_parse(file, &properties), DK_OK);
    assert_int_equal(properties.count, 1);
    assert_int_equal(properties.list[0].key.len, 2);
    assert_int_equal(properties.list[0].value.len, 1);
    properties_clean_up(&properties);
}

static void lines_are_counted_as_an_editor_does(void **state) {
    (void)state;
    struct properties properties;
    const char *file = "# one\n\na=1\r\nb=\\\n 2\\\r\n 3\r! seven\nc=4\n\n# end";
    assert_int_equal(parse(file, &properties), DK_OK);
    assert_int_equal(properties.count, 3);
    assert_int_equal(properties.lines[0], 3);
    assert_int_equal(properties.lines[1], 4);
    assert_int_equal(properties.lines[2], 8);
    properties_clean_up(&properties);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_as_java_does),
        cmocka_unit_test(malformed_escapes_are_refused),
        cmocka_unit_test(a_zero_byte_is_a_character),
        cmocka_unit_test(lines_are_counted_as_an_editor_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
