/* SPDX-License-Identifier: Apache-2.0 */
/* The records of identity.h as they come back over the network, without a certificate at hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "doorkeeper/identity.h"

static enum dk_error check_subject(const void *bytes, size_t len) {
    uint8_t *copy = malloc(len + (len == 0));
    assert_non_null(copy);
    memcpy(copy, bytes, len);
    enum dk_error error = dk_subject_write_json((struct dk_bytes){copy, len}, NULL);
    free(copy);
    return error;
}

#define EMPTY_NAMES "\0\0\0\0"

static void test_subject_records_have_one_form(void **state) {
    (void)state;
#define CHECK(text) check_subject(text, sizeof(text) - 1)
    static const char good[] = "\1\0\1\2\0CN\1\0a\0\0\2\0\1\1\0a\4\0\0";
    assert_int_equal(CHECK(good), DK_OK);
    for (size_t len = 0; len < sizeof(good) - 1; len++) {
        assert_int_equal(check_subject(good, len), DK_ERR_MALFORMED);
    }
    assert_int_equal(check_subject(good, sizeof(good)), DK_ERR_MALFORMED);
    assert_int_equal(CHECK(EMPTY_NAMES "\0\0"), DK_OK);
    assert_int_equal(CHECK(EMPTY_NAMES "\2\0\2\0\0\1\0\0"), DK_ERR_MALFORMED); /* order */
    assert_int_equal(CHECK(EMPTY_NAMES "\1\0\0\0\0"), DK_ERR_MALFORMED);       /* kind 0 */
    assert_int_equal(CHECK(EMPTY_NAMES "\1\0\5\0\0"), DK_ERR_MALFORMED);       /* kind 5 */
    assert_int_equal(CHECK(EMPTY_NAMES "\1\0\1\1\0\n"), DK_ERR_MALFORMED);
    assert_int_equal(CHECK(EMPTY_NAMES "\1\0\1\1\0\xff"), DK_ERR_MALFORMED);
    assert_int_equal(CHECK(EMPTY_NAMES "\1\0\1\3\0\xef\xbf\xbd"), DK_ERR_MALFORMED);
    assert_int_equal(CHECK("\1\0\0" EMPTY_NAMES), DK_ERR_MALFORMED); /* an empty RDN */
#undef CHECK
    uint8_t many[6 + 3 * (DK_SAN_MAX + 1)] = {0};
    for (size_t i = 0; i < DK_SAN_MAX + 1; i++) {
        many[6 + 3 * i] = DK_SAN_DNS;
    }
    dk_write_u16(many + 4, DK_SAN_MAX);
    assert_int_equal(check_subject(many, sizeof(many) - 3), DK_OK);
    dk_write_u16(many + 4, DK_SAN_MAX + 1);
    assert_int_equal(check_subject(many, sizeof(many)), DK_ERR_MALFORMED);
}

static enum dk_error check_serial(const char *serial, size_t len, size_t extra) {
    uint8_t record[8 + 8 + 32 + 2 + 8 + 1] = {0};
    dk_write_u16(record + 48, (uint16_t)len);
    memcpy(record + 50, serial, len);
    return dk_certificate_write_json((struct dk_bytes){record, 50 + len + extra}, NULL);
}

static void test_certificate_records_have_one_form(void **state) {
    (void)state;
    assert_int_equal(check_serial("\0", 1, 0), DK_OK);
    assert_int_equal(check_serial("\0\x80", 2, 0), DK_OK);
    assert_int_equal(check_serial("\xff\x7f", 2, 0), DK_OK);
    assert_int_equal(check_serial("\0\x7f", 2, 0), DK_ERR_MALFORMED);
    assert_int_equal(check_serial("\xff\x80", 2, 0), DK_ERR_MALFORMED);
    assert_int_equal(check_serial("", 0, 0), DK_ERR_MALFORMED);
    assert_int_equal(check_serial("\1", 1, 1), DK_ERR_MALFORMED);
    uint8_t record[51] = {0};
    record[48] = 1;
    for (size_t len = 0; len < sizeof(record); len++) {
        assert_int_equal(dk_certificate_write_json((struct dk_bytes){record, len}, NULL),
                         DK_ERR_MALFORMED);
    }
    assert_int_equal(dk_certificate_write_json((struct dk_bytes){record, sizeof(record)}, NULL),
                     DK_OK);
}

static void test_a_certificate_is_told_by_digest_and_serial(void **state) {
    (void)state;
    uint8_t record[8 + 8 + DK_SHA256_LEN + 2 + 3] = {0};
    memset(record + 16, 0xab, DK_SHA256_LEN);
    record[48] = 3;
    memcpy(record + 50, "\1\2\3", 3);
    struct dk_bytes whole = {record, sizeof(record)};
    assert_int_equal(dk_certificate_write_json(whole, NULL), DK_OK);
    struct dk_certificate_id id = dk_certificate_id_of(whole);
    assert_ptr_equal(id.sha256.ptr, record + 16);
    assert_int_equal(id.sha256.len, DK_SHA256_LEN);
    assert_true(dk_bytes_equal(id.serial, dk_bytes_of("\1\2\3")));
    id = dk_certificate_id_of((struct dk_bytes){record, 49});
    assert_null(id.sha256.ptr);
    assert_null(id.serial.ptr);
}

static void test_plain_text(void **state) {
    (void)state;
    static const char *const plain[] = {"", "a", " ~", "\302\240", "\357\277\274", "\357\277\276"};
    static const char *const refused[] = {"\1",       "\37",          "\177",           "\302\200",
                                          "\302\237", "\357\277\275", "a\357\277\275b", "\357\277",
                                          "\377"};
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        assert_true(dk_identity_is_plain_text(dk_bytes_of(plain[i])));
    }
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        assert_false(dk_identity_is_plain_text(dk_bytes_of(refused[i])));
    }
    assert_false(dk_identity_is_plain_text((struct dk_bytes){(const uint8_t *)"a\0b", 3}));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_subject_records_have_one_form),
        cmocka_unit_test(test_certificate_records_have_one_form),
        cmocka_unit_test(test_a_certificate_is_told_by_digest_and_serial),
        cmocka_unit_test(test_plain_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
