/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "doorkeeper/question.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* A record under construction. */
struct record {
    uint8_t bytes[512 * 1024];
    size_t len;
};
static struct record record;

static struct dk_bytes view(void) {
    return (struct dk_bytes){record.bytes, record.len};
}

static void begin_context(int64_t not_after_s) {
    record.len = 8;
    dk_write_u64(record.bytes, (uint64_t)not_after_s);
}

static void add_bytes_field(unsigned tag, const void *value, size_t len) {
    uint8_t *at = record.bytes + record.len;
    memset(at, 0, 8);
    at[0] = (uint8_t)tag;
    dk_write_u32(at + 4, (uint32_t)len);
    memcpy(at + 8, value, len);
    record.len += 8 + len;
}

static void add_field(unsigned tag, const char *value) {
    add_bytes_field(tag, value, strlen(value));
}

/* A certificate record; `serial` begins its serial number. */
static void add_certificate(unsigned tag, uint8_t serial) {
    uint8_t certificate[8 + 8 + 32 + 2 + 2] = {10, 0, 0, 0, 0, 0, 0, 0, 20};
    certificate[48] = 2;
    certificate[50] = serial;
    certificate[51] = 0x1b;
    add_bytes_field(tag, certificate, sizeof(certificate));
}

static void add_alice(void) {
    add_field(DK_FIELD_CLUSTER_ID, "c1");
    add_field(DK_FIELD_PRINCIPAL_TYPE, "User");
    add_field(DK_FIELD_PRINCIPAL_NAME, "CN=alice");
}

static void begin_alice(void) {
    begin_context(0);
    add_alice();
}

/* Memory of its own of just the record's length, so that a sanitizer sees a read beyond it. */
static struct dk_bytes exact_copy(void) {
    uint8_t *copy = malloc(record.len + (record.len == 0));
    assert_non_null(copy);
    memcpy(copy, record.bytes, record.len);
    return (struct dk_bytes){copy, record.len};
}

static void expect_context(enum dk_error expected) {
    struct dk_context context;
    struct dk_bytes copy = exact_copy();
    assert_int_equal(dk_context_parse(copy, &context), expected);
    free((void *)copy.ptr);
    if (expected != DK_OK) {
        static const struct dk_context empty;
        assert_memory_equal(&context, &empty, sizeof(empty));
    }
}

static void begin_action(bool named, const void *name, size_t len) {
    memset(record.bytes, 0, DK_ACTION_HEADER + len + 8);
    dk_write_u32(record.bytes, 7);
    record.bytes[4] = DK_LOG_IF_DENIED;
    record.bytes[8] = 3;
    record.bytes[9] = 2;
    record.bytes[10] = 3;
    record.bytes[11] = named;
    dk_write_u32(record.bytes + 12, (uint32_t)len);
    memcpy(record.bytes + DK_ACTION_HEADER, name, len);
    record.len = DK_ACTION_HEADER + ((len + 7) & ~(size_t)7);
}

static void expect_action(enum dk_error expected) {
    struct dk_action action;
    struct dk_bytes copy = exact_copy();
    struct dk_bytes rest = copy;
    assert_int_equal(dk_action_parse_fast(&rest, &action), expected);
    rest = copy;
    assert_int_equal(dk_action_parse(&rest, &action), expected);
    if (expected != DK_OK) {
        assert_ptr_equal(rest.ptr, copy.ptr);
        assert_int_equal(rest.len, copy.len);
    }
    free((void *)copy.ptr);
}

static void expect_single(const struct dk_context *context, const struct dk_action *action,
                          const char *expected) {
    struct dk_writer out;
    dk_writer_init(&out, 1 << 20);
    dk_question_write_single(context, action, &out);
    assert_false(out.failed);
    assert_int_equal(out.len, strlen(expected));
    assert_memory_equal(out.ptr, expected, out.len);
    dk_writer_clean_up(&out);
}

static void test_context_with_every_field(void **state) {
    (void)state;
    static const uint8_t subject[] = {1, 0, 1, 2, 0, 'C', 'N', 1, 0, 'a', 0, 0, 0, 0};
    struct dk_context context;
    begin_context(1800000000);
    add_certificate(DK_FIELD_LOCAL_CERTIFICATE, 0x0a);
    add_field(DK_FIELD_CLUSTER_ID, "c\"1");
    add_field(DK_FIELD_PRINCIPAL_TYPE, "User");
    add_field(DK_FIELD_PRINCIPAL_NAME, "CN=alice\n");
    add_bytes_field(DK_FIELD_SUBJECT, subject, sizeof(subject));
    add_certificate(DK_FIELD_CERTIFICATE, 0x0a);
    add_field(DK_FIELD_LISTENER, "CLIENT");
    add_bytes_field(DK_FIELD_FORWARDED, "\1", 1);
    add_field(DK_FIELD_PROTOCOL, "SSL");
    add_field(DK_FIELD_ADDRESS, "127.0.0.1");
    add_field(DK_FIELD_CLIENT_ID, "");
    add_field(DK_FIELD_API, "PRODUCE");
    assert_int_equal(dk_context_parse(view(), &context), DK_OK);
    assert_int_equal(context.not_after_s, 1800000000);

    struct dk_action any = {.operation = 4, .type = 2, .pattern = 3};
    expect_single(
        &context, &any,
        "{\"input\":{\"version\":1,\"cluster\":{\"id\":\"c\\\"1\"},"
        "\"principal\":{\"type\":\"User\",\"name\":\"CN=alice\\u000a\","
        "\"subject\":{\"rdns\":[[{\"type\":\"CN\",\"value\":\"a\"}]],\"issuer\":[],"
        "\"san\":{\"dns\":[],\"uri\":[],\"email\":[],\"ip\":[]}},"
        "\"certificate\":{\"serial\":\"0a1b\",\"not_before\":10,\"not_after\":20,\"sha256\":"
        "\"0000000000000000000000000000000000000000000000000000000000000000\"}},"
        "\"client\":{\"listener\":\"CLIENT\",\"forwarded\":true,\"protocol\":\"SSL\","
        "\"address\":\"127.0.0.1\",\"client_id\":\"\",\"api\":\"PRODUCE\"},"
        "\"action\":{\"operation\":\"WRITE\",\"resource\":{\"type\":\"TOPIC\","
        "\"pattern\":\"LITERAL\"}}}}");
}

static void test_smallest_context_and_empty_name(void **state) {
    (void)state;
    struct dk_context context;
    begin_alice();
    assert_int_equal(dk_context_parse(view(), &context), DK_OK);
    struct dk_action action = {.operation = 200, .type = 99, .pattern = 255, .named = true};
    expect_single(&context, &action,
                  "{\"input\":{\"version\":1,\"cluster\":{\"id\":\"c1\"},"
                  "\"principal\":{\"type\":\"User\",\"name\":\"CN=alice\"},\"client\":{},"
                  "\"action\":{\"operation\":\"UNKNOWN_200\",\"resource\":{"
                  "\"type\":\"UNKNOWN_99\",\"name\":\"\",\"pattern\":\"UNKNOWN_255\"}}}}");
}

static void test_context_fields_are_required_ordered_and_known(void **state) {
    (void)state;
    static const unsigned required[] = {DK_FIELD_CLUSTER_ID, DK_FIELD_PRINCIPAL_TYPE,
                                        DK_FIELD_PRINCIPAL_NAME};
    for (size_t left_out = 0; left_out < COUNT_OF(required); left_out++) {
        begin_context(0);
        for (size_t i = 0; i < COUNT_OF(required); i++) {
            if (i != left_out) {
                add_field(required[i], "x");
            }
        }
        expect_context(DK_ERR_MALFORMED);
    }
    begin_context(0);
    add_field(DK_FIELD_CLUSTER_ID, "x");
    add_field(DK_FIELD_PRINCIPAL_NAME, "x");
    add_field(DK_FIELD_PRINCIPAL_TYPE, "x");
    expect_context(DK_ERR_MALFORMED);
    begin_alice();
    add_field(DK_FIELD_PRINCIPAL_NAME, "CN=bob");
    expect_context(DK_ERR_MALFORMED);
    begin_alice();
    add_field(DK_FIELD_COUNT, "");
    expect_context(DK_ERR_MALFORMED);
    begin_context(0);
    add_field(0, "");
    expect_context(DK_ERR_MALFORMED);
}

static void test_the_local_certificate_stands_first_and_is_the_one_that_is_sent(void **state) {
    (void)state;
    begin_context(0);
    add_certificate(DK_FIELD_LOCAL_CERTIFICATE, 1);
    add_alice();
    expect_context(DK_OK);
    size_t without = record.len;
    add_certificate(DK_FIELD_CERTIFICATE, 1);
    expect_context(DK_OK);
    record.len = without;
    add_certificate(DK_FIELD_CERTIFICATE, 2);
    expect_context(DK_ERR_MALFORMED);
    record.len = without;
    add_certificate(DK_FIELD_LOCAL_CERTIFICATE, 1);
    expect_context(DK_ERR_MALFORMED);
    begin_alice();
    add_certificate(DK_FIELD_CERTIFICATE, 1);
    expect_context(DK_ERR_MALFORMED);
    begin_context(0);
    add_bytes_field(DK_FIELD_LOCAL_CERTIFICATE, "no record", 9);
    add_alice();
    expect_context(DK_ERR_MALFORMED);
}

static bool is_principal(const char *type, const char *name, const char *principal) {
    struct dk_context context;
    begin_context(0);
    add_field(DK_FIELD_CLUSTER_ID, "c1");
    add_field(DK_FIELD_PRINCIPAL_TYPE, type);
    add_field(DK_FIELD_PRINCIPAL_NAME, name);
    assert_int_equal(dk_context_parse(view(), &context), DK_OK);
    return dk_context_is_principal(&context, dk_bytes_of(principal));
}

static void test_a_principal_is_split_at_its_first_colon(void **state) {
    (void)state;
    assert_true(is_principal("User", "alice", "User:alice"));
    assert_true(is_principal("User", "CN=a:b", "User:CN=a:b"));
    assert_true(is_principal("User", "", "User:"));
    assert_false(is_principal("User:CN=a", "b", "User:CN=a:b"));
    assert_false(is_principal("User:b", "b", "User:b:b"));
    assert_false(is_principal("User", "alice", "User:Alice"));
    assert_false(is_principal("User", "alice", "user:alice"));
    assert_false(is_principal("User", "alice", "User:alice "));
    assert_false(is_principal("User", "alice", "User:alic"));
    assert_false(is_principal("User", "alice", "alice"));
    assert_false(is_principal("User", "alice", ""));
}

static void test_listener_and_forwarded_belong_together(void **state) {
    (void)state;
    begin_alice();
    add_field(DK_FIELD_LISTENER, "CLIENT");
    expect_context(DK_ERR_MALFORMED);
    begin_alice();
    add_bytes_field(DK_FIELD_FORWARDED, "\0", 1);
    expect_context(DK_ERR_MALFORMED);
    begin_alice();
    add_field(DK_FIELD_LISTENER, "CLIENT");
    add_bytes_field(DK_FIELD_FORWARDED, "\0", 1);
    expect_context(DK_OK);
    record.bytes[record.len - 1] = 2;
    expect_context(DK_ERR_MALFORMED);
    begin_alice();
    add_field(DK_FIELD_LISTENER, "CLIENT");
    add_bytes_field(DK_FIELD_FORWARDED, "\0\0", 2);
    expect_context(DK_ERR_MALFORMED);
}

static void test_context_values_are_checked(void **state) {
    (void)state;
    begin_alice();
    add_field(DK_FIELD_CLIENT_ID, "\xff");
    expect_context(DK_ERR_MALFORMED);
    begin_alice();
    add_field(DK_FIELD_SUBJECT, "no record");
    expect_context(DK_ERR_MALFORMED);
    begin_alice();
    add_field(DK_FIELD_CERTIFICATE, "no record");
    expect_context(DK_ERR_MALFORMED);
    begin_alice();
    dk_write_u64(record.bytes, UINT64_MAX);
    expect_context(DK_ERR_MALFORMED);
}

static void test_context_has_no_slack(void **state) {
    (void)state;
    static const size_t zeros[] = {9, 10, 11};
    for (size_t i = 0; i < COUNT_OF(zeros); i++) {
        begin_alice();
        record.bytes[zeros[i]] = 1;
        expect_context(DK_ERR_MALFORMED);
    }
    /* 8 + 10 and 8 + 10 + 12 are ends of fields, but required ones are missing there. */
    begin_alice();
    size_t whole = record.len;
    for (record.len = 0; record.len < whole; record.len++) {
        expect_context(DK_ERR_MALFORMED);
    }
    begin_alice();
    dk_write_u32(record.bytes + 12, UINT32_MAX);
    expect_context(DK_ERR_MALFORMED);
}

static void test_context_cap(void **state) {
    (void)state;
    static char name[DK_CONTEXT_MAX];
    memset(name, 'a', sizeof(name));
    begin_alice();
    add_bytes_field(DK_FIELD_CLIENT_ID, name, DK_CONTEXT_MAX - record.len - 8);
    assert_int_equal(record.len, DK_CONTEXT_MAX);
    expect_context(DK_OK);
    begin_alice();
    add_bytes_field(DK_FIELD_CLIENT_ID, name, DK_CONTEXT_MAX - record.len - 7);
    expect_context(DK_ERR_TOO_LARGE);
}

static void test_action_as_written(void **state) {
    (void)state;
    struct dk_action action;
    begin_action(true, "orders-eu", 9);
    record.len += 5; /* what follows is another action's */
    struct dk_bytes rest = view();
    assert_int_equal(dk_action_parse(&rest, &action), DK_OK);
    assert_int_equal(rest.len, 5);
    assert_ptr_equal(rest.ptr, record.bytes + 32);
    assert_int_equal(action.reference_count, 7);
    assert_int_equal(action.flags, DK_LOG_IF_DENIED);
    assert_int_equal(action.operation, 3);
    assert_int_equal(action.type, 2);
    assert_int_equal(action.pattern, 3);
    assert_true(action.named);
    assert_true(dk_bytes_equal(action.name, dk_bytes_of("orders-eu")));
    assert_ptr_equal(action.hashed.ptr, record.bytes + 8);
    assert_int_equal(action.hashed.len, 24);
}

static void test_every_name_length_has_zero_padding(void **state) {
    (void)state;
    for (size_t len = 1; len <= 17; len++) {
        begin_action(true, "abcdefghijklmnopqrstuvwxyz", len);
        expect_action(DK_OK);
        for (size_t at = DK_ACTION_HEADER + len; at < record.len; at++) {
            record.bytes[at] = 1;
            expect_action(DK_ERR_MALFORMED);
            record.bytes[at] = 0;
        }
        size_t whole = record.len;
        for (record.len = 0; record.len < whole; record.len++) {
            expect_action(DK_ERR_MALFORMED);
        }
    }
}

static void test_action_header_is_strict(void **state) {
    (void)state;
    static const size_t zeros[] = {5, 6, 7};
    for (size_t i = 0; i < COUNT_OF(zeros); i++) {
        begin_action(true, "a", 1);
        record.bytes[zeros[i]] = 1;
        expect_action(DK_ERR_MALFORMED);
    }
    begin_action(true, "a", 1);
    record.bytes[4] = 4;
    expect_action(DK_ERR_MALFORMED);
    record.bytes[4] = 3;
    expect_action(DK_OK);
    record.bytes[11] = 2;
    expect_action(DK_ERR_MALFORMED);
    begin_action(false, "a", 1);
    expect_action(DK_ERR_MALFORMED);
    begin_action(false, "", 0);
    expect_action(DK_OK);
    begin_action(true, "", 0);
    expect_action(DK_OK);
}

static void test_names_are_utf8_and_capped(void **state) {
    (void)state;
    static char name[DK_NAME_MAX + 1];
    struct dk_action action;
    begin_action(true, "\xed\xa0\x80", 3); /* an unpaired surrogate */
    struct dk_bytes rest = view();
    assert_int_equal(dk_action_parse(&rest, &action), DK_ERR_MALFORMED);
    assert_int_equal(rest.len, record.len);
    begin_action(true, "\xf0\x9f\x9a\xaa\0\n", 6);
    expect_action(DK_OK);

    memset(name, 'g', sizeof(name));
    begin_action(true, name, DK_NAME_MAX);
    expect_action(DK_OK);
    begin_action(true, name, DK_NAME_MAX + 1);
    expect_action(DK_ERR_TOO_LARGE);
    dk_write_u32(record.bytes + 12, UINT32_MAX);
    expect_action(DK_ERR_TOO_LARGE);
}

static struct dk_hash128 key_of_record(struct dk_bytes context_record, struct dk_bytes request,
                                       uint64_t epoch) {
    static const struct dk_hash_key key = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
    struct dk_context context;
    struct dk_action action;
    struct dk_keyed_hash begun;
    assert_int_equal(dk_context_parse(context_record, &context), DK_OK);
    assert_int_equal(dk_action_parse(&request, &action), DK_OK);
    dk_question_begin(&key, &context, &begun);
    return dk_question_key(&begun, &action, epoch);
}

static bool same(struct dk_hash128 a, struct dk_hash128 b) {
    return a.h0 == b.h0 && a.h1 == b.h1;
}

static void test_key_covers_what_is_sent_and_nothing_else(void **state) {
    (void)state;
    static uint8_t context[256];
    begin_alice();
    add_field(DK_FIELD_CLIENT_ID, "app");
    struct dk_bytes asker = {context, record.len};
    memcpy(context, record.bytes, record.len);
    begin_action(true, "orders", 6);
    struct dk_hash128 first = key_of_record(asker, view(), 1);

    assert_true(same(first, key_of_record(asker, view(), 1)));
    assert_false(same(first, key_of_record(asker, view(), 2)));
    context[0] = 9; /* the certificate's end */
    record.bytes[0] = 8;
    record.bytes[4] = 0;
    assert_true(same(first, key_of_record(asker, view(), 1)));

    static const size_t hashed[] = {8, 9, 10, 16, 21};
    for (size_t i = 0; i < COUNT_OF(hashed); i++) {
        record.bytes[hashed[i]] ^= 1;
        assert_false(same(first, key_of_record(asker, view(), 1)));
        record.bytes[hashed[i]] ^= 1;
    }
    context[asker.len - 1] ^= 1;
    assert_false(same(first, key_of_record(asker, view(), 1)));
    context[asker.len - 1] ^= 1;
    assert_true(same(first, key_of_record(asker, view(), 1)));

    begin_action(true, "", 0);
    struct dk_hash128 empty = key_of_record(asker, view(), 1);
    begin_action(false, "", 0);
    assert_false(same(empty, key_of_record(asker, view(), 1)));
}

static void test_certificates_that_are_not_sent_share_keys(void **state) {
    (void)state;
    static uint8_t contexts[3][256];
    struct dk_bytes views[3];
    for (uint8_t i = 0; i < 3; i++) {
        begin_context(i);
        if (i > 0) {
            add_certificate(DK_FIELD_LOCAL_CERTIFICATE, i);
        }
        add_alice();
        memcpy(contexts[i], record.bytes, record.len);
        views[i] = (struct dk_bytes){contexts[i], record.len};
    }
    begin_action(true, "orders", 6);
    struct dk_hash128 without = key_of_record(views[0], view(), 1);
    assert_true(same(without, key_of_record(views[1], view(), 1)));
    assert_true(same(without, key_of_record(views[2], view(), 1)));
}

/* What moves a byte from one field into the next must not give the same key. */
static void test_fields_do_not_run_together(void **state) {
    (void)state;
    static uint8_t contexts[2][256];
    struct dk_bytes views[2];
    static const char *const names[2][2] = {{"ab", "c"}, {"a", "bc"}};
    for (size_t i = 0; i < 2; i++) {
        begin_alice();
        add_field(DK_FIELD_CLIENT_ID, names[i][0]);
        add_field(DK_FIELD_API, names[i][1]);
        memcpy(contexts[i], record.bytes, record.len);
        views[i] = (struct dk_bytes){contexts[i], record.len};
    }
    begin_action(true, "orders", 6);
    assert_false(same(key_of_record(views[0], view(), 1), key_of_record(views[1], view(), 1)));
}

/* Names of many lengths, so that lanes end at different words. */
static void test_keys_of_many_are_the_keys_of_each(void **state) {
    (void)state;
    static const char name[] = "eu-west-1.payments.orders-settled.000000";
    static const struct dk_hash_key key = {1, 2};
    static uint8_t bytes[DK_HASH_LANES][DK_ACTION_HEADER + sizeof(name) + 8];
    struct dk_context context;
    struct dk_keyed_hash begun;
    begin_alice();
    assert_int_equal(dk_context_parse(view(), &context), DK_OK);
    dk_question_begin(&key, &context, &begun);
    for (size_t longest = 0; longest < sizeof(name); longest++) {
        struct dk_action actions[DK_HASH_LANES];
        for (size_t i = 0; i < DK_HASH_LANES; i++) {
            begin_action(true, name + i, i <= longest ? longest - i : 0);
            memcpy(bytes[i], record.bytes, record.len);
            struct dk_bytes rest = {bytes[i], record.len};
            assert_int_equal(dk_action_parse(&rest, &actions[i]), DK_OK);
        }
        for (size_t count = 0; count <= DK_HASH_LANES; count++) {
            struct dk_hash128 keys[DK_HASH_LANES];
            dk_question_keys(&begun, actions, count, 7, keys);
            for (size_t i = 0; i < count; i++) {
                assert_true(same(keys[i], dk_question_key(&begun, &actions[i], 7)));
            }
        }
    }
}

static void test_code_names_are_kafkas_and_differ(void **state) {
    (void)state;
    struct dk_code_name room, other;
    assert_string_equal(dk_operation_name(3, &room), "READ");
    assert_string_equal(dk_operation_name(12, &room), "IDEMPOTENT_WRITE");
    assert_string_equal(dk_operation_name(15, &room), "TWO_PHASE_COMMIT");
    assert_string_equal(dk_operation_name(16, &room), "UNKNOWN_16");
    assert_string_equal(dk_resource_type_name(2, &room), "TOPIC");
    assert_string_equal(dk_resource_type_name(5, &room), "TRANSACTIONAL_ID");
    assert_string_equal(dk_resource_type_name(7, &room), "USER");
    assert_string_equal(dk_resource_type_name(8, &room), "UNKNOWN_8");
    assert_string_equal(dk_pattern_type_name(3, &room), "LITERAL");
    assert_string_equal(dk_pattern_type_name(4, &room), "PREFIXED");
    assert_string_equal(dk_pattern_type_name(5, &room), "UNKNOWN_5");
    for (unsigned a = 0; a < 256; a++) {
        for (unsigned b = 0; b < a; b++) {
            assert_string_not_equal(dk_operation_name((uint8_t)a, &room),
                                    dk_operation_name((uint8_t)b, &other));
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_context_with_every_field),
        cmocka_unit_test(test_smallest_context_and_empty_name),
        cmocka_unit_test(test_context_fields_are_required_ordered_and_known),
        cmocka_unit_test(test_the_local_certificate_stands_first_and_is_the_one_that_is_sent),
        cmocka_unit_test(test_a_principal_is_split_at_its_first_colon),
        cmocka_unit_test(test_listener_and_forwarded_belong_together),
        cmocka_unit_test(test_context_values_are_checked),
        cmocka_unit_test(test_context_has_no_slack),
        cmocka_unit_test(test_context_cap),
        cmocka_unit_test(test_action_as_written),
        cmocka_unit_test(test_every_name_length_has_zero_padding),
        cmocka_unit_test(test_action_header_is_strict),
        cmocka_unit_test(test_names_are_utf8_and_capped),
        cmocka_unit_test(test_key_covers_what_is_sent_and_nothing_else),
        cmocka_unit_test(test_certificates_that_are_not_sent_share_keys),
        cmocka_unit_test(test_fields_do_not_run_together),
        cmocka_unit_test(test_keys_of_many_are_the_keys_of_each),
        cmocka_unit_test(test_code_names_are_kafkas_and_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
