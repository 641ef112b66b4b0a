/* SPDX-License-Identifier: Apache-2.0 */
#include "doorkeeper/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static bool is_utf8(const char *text) {
    return dk_bytes_is_utf8(dk_bytes_of(text));
}

static void utf8_is_strict(void **state) {
    (void)state;
    assert_true(is_utf8(""));
    assert_true(is_utf8("plain"));
    assert_true(is_utf8("Zo\xc3\xab \xe4\xb8\xad \xf0\x9f\x98\x80"));
    assert_false(is_utf8("\xc0\xaf"));         /* overlong */
    assert_false(is_utf8("\xe0\x80\xaf"));     /* overlong */
    assert_false(is_utf8("\xed\xa0\x80"));     /* a surrogate */
    assert_false(is_utf8("\xf4\x90\x80\x80")); /* past U+10FFFF */
    assert_false(is_utf8("\xe4\xb8"));         /* cut */
    assert_false(is_utf8("\x80"));             /* a tail alone */
    assert_false(is_utf8("\xff"));
    assert_int_equal(dk_bytes_utf8_front(dk_bytes_of("Zo\xc3\xab\xc3")), 4);
    assert_int_equal(dk_bytes_utf8_front(dk_bytes_of("whole")), 5);
}

static void assert_escaped(const char *text, size_t capacity, const char *expected) {
    char out[128];
    size_t len = dk_bytes_escape(dk_bytes_of(text), out, capacity);
    assert_true(len <= capacity);
    assert_int_equal(len, strlen(expected));
    assert_memory_equal(out, expected, len);
}

static void escaping_leaves_one_honest_line(void **state) {
    (void)state;
    assert_escaped("plain text", 100, "plain text");
    assert_escaped("a\nb\tc\x7f", 100, "a\\x0ab\\x09c\\x7f");
    assert_escaped("back\\slash", 100, "back\\x5cslash");
    assert_escaped("\xe2\x80\xae"
                   "evil",
                   100, "\\u202eevil");             /* right-to-left override */
    assert_escaped("\xe2\x80\xa8", 100, "\\u2028"); /* line separator */
    assert_escaped("\xff\xc3", 100, "\\xff\\xc3");
    assert_escaped("Zo\xc3\xab", 100, "Zo\xc3\xab");
}

static void escaping_cuts_between_characters(void **state) {
    (void)state;
    assert_escaped("abcdefgh", 8, "abcdefgh");
    assert_escaped("abcdefghi", 8, "abcde...");
    assert_escaped("abcd\n\n", 10, "abcd...");
    assert_escaped("\xc3\xab\xc3\xab\xc3\xab", 5, "\xc3\xab...");
    assert_escaped("abc", 2, "..");
    assert_escaped("abc", 0, "");
}

static void json_strings(void **state) {
    (void)state;
    struct dk_writer writer;
    dk_writer_init(&writer, 1000);
    dk_writer_json_string(&writer, (struct dk_bytes){(const uint8_t *)"a\"b\\c\n\0d", 8});
    assert_true(
        dk_bytes_equal(dk_writer_view(&writer), dk_bytes_of("\"a\\\"b\\\\c\\u000a\\u0000d\"")));
    dk_writer_reset(&writer);
    dk_writer_json_string(&writer, (struct dk_bytes){NULL, 0});
    assert_true(dk_bytes_equal(dk_writer_view(&writer), dk_bytes_of("\"\"")));
    dk_writer_clean_up(&writer);
}

static void a_writer_fails_at_its_cap_and_stays_failed(void **state) {
    (void)state;
    struct dk_writer writer;
    dk_writer_init(&writer, 4);
    dk_writer_text(&writer, "abc");
    assert_false(writer.failed);
    dk_writer_text(&writer, "de");
    assert_true(writer.failed);
    dk_writer_text(&writer, "f");
    assert_true(writer.failed);
    assert_int_equal(writer.len, 3);
    dk_writer_reset(&writer);
    dk_writer_u64_decimal(&writer, 1234);
    assert_true(dk_bytes_equal(dk_writer_view(&writer), dk_bytes_of("1234")));
    dk_writer_clean_up(&writer);
}

static void numbers_are_little_endian(void **state) {
    (void)state;
    uint8_t bytes[9] = {0};
    dk_write_u64(bytes + 1, UINT64_C(0x0807060504030201));
    for (size_t i = 1; i < sizeof(bytes); i++) {
        assert_int_equal(bytes[i], i);
    }
    assert_true(dk_read_u64(bytes + 1) == UINT64_C(0x0807060504030201));
    assert_int_equal(dk_read_u32(bytes + 1), 0x04030201);
    assert_int_equal(dk_read_u16(bytes + 1), 0x0201);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_is_strict),
        cmocka_unit_test(escaping_leaves_one_honest_line),
        cmocka_unit_test(escaping_cuts_between_characters),
        cmocka_unit_test(json_strings),
        cmocka_unit_test(a_writer_fails_at_its_cap_and_stays_failed),
        cmocka_unit_test(numbers_are_little_endian),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
