/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doorkeeper/identity.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define NOT_BEFORE "260101000000Z"
#define NOT_AFTER "270101000000Z"
#define TAG_DNS 0x82
#define TAG_EMAIL 0x81
#define TAG_URI 0x86
#define TAG_IP 0x87

/* ---- building certificates: OpenSSL, then patches where OpenSSL itself would refuse -------- */

struct der {
    uint8_t bytes[256 * 1024];
    size_t len;
};
static struct der certificate, sans;
static EVP_PKEY *key;

static void append(struct der *der, unsigned tag, const void *value, size_t len) {
    uint8_t head[4] = {(uint8_t)tag, 0x82, (uint8_t)(len >> 8), (uint8_t)len};
    size_t head_len = 4;
    assert_true(len <= UINT16_MAX);
    if (len < 0x80) {
        head[1] = (uint8_t)len;
        head_len = 2;
    } else if (len < 0x100) {
        head[1] = 0x81;
        head[2] = (uint8_t)len;
        head_len = 3;
    }
    assert_true(der->len + head_len + len <= sizeof(der->bytes));
    memcpy(der->bytes + der->len, head, head_len);
    memcpy(der->bytes + der->len + head_len, value, len);
    der->len += head_len + len;
}

static void add_san(unsigned tag, const char *value) {
    append(&sans, tag, value, strlen(value));
}

static void add_entry(X509_NAME *name, int nid, const char *value, int set) {
    assert_int_equal(X509_NAME_add_entry_by_NID(name, nid, V_ASN1_UTF8STRING,
                                                (const unsigned char *)value, -1, -1, set),
                     1);
}

/* CN=alice from CN=ca, serial 0a1b, without extensions. */
static X509 *new_certificate(void) {
    X509 *x509 = X509_new();
    assert_non_null(x509);
    assert_int_equal(X509_set_version(x509, X509_VERSION_3), 1);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(x509), 0x0a1b), 1);
    assert_int_equal(ASN1_TIME_set_string(X509_getm_notBefore(x509), NOT_BEFORE), 1);
    assert_int_equal(ASN1_TIME_set_string(X509_getm_notAfter(x509), NOT_AFTER), 1);
    add_entry(X509_get_subject_name(x509), NID_commonName, "alice", 0);
    add_entry(X509_get_issuer_name(x509), NID_commonName, "ca", 0);
    assert_int_equal(X509_set_pubkey(x509, key), 1);
    return x509;
}

static void add_extension(X509 *x509, const char *oid, const uint8_t *value, size_t len) {
    ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
    ASN1_OCTET_STRING *data = ASN1_OCTET_STRING_new();
    assert_non_null(data);
    assert_int_equal(ASN1_OCTET_STRING_set(data, value, (int)len), 1);
    X509_EXTENSION *extension = X509_EXTENSION_create_by_OBJ(NULL, object, 0, data);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(x509, extension, -1), 1);
    X509_EXTENSION_free(extension);
    ASN1_OCTET_STRING_free(data);
    ASN1_OBJECT_free(object);
}

#define OID_SAN "2.5.29.17"

/* Wraps what add_san collected, with `trailing` zero bytes behind it. */
static void add_san_extension(X509 *x509, size_t trailing) {
    static struct der wrapped;
    memset(&wrapped, 0, sizeof(wrapped));
    append(&wrapped, 0x30, sans.bytes, sans.len);
    add_extension(x509, OID_SAN, wrapped.bytes, wrapped.len + trailing);
    sans.len = 0;
}

/* Signs into `certificate` and frees `x509`. */
static void finish(X509 *x509) {
    assert_true(X509_sign(x509, key, EVP_sha256()) > 0);
    int len = i2d_X509(x509, NULL);
    assert_true(len > 0 && (size_t)len <= sizeof(certificate.bytes));
    unsigned char *end = certificate.bytes;
    certificate.len = (size_t)i2d_X509(x509, &end);
    X509_free(x509);
}

static void patch(const void *from, const void *to, size_t len) {
    for (size_t at = 0; at + len <= certificate.len; at++) {
        if (memcmp(certificate.bytes + at, from, len) == 0) {
            memcpy(certificate.bytes + at, to, len);
            return;
        }
    }
    fail_msg("nothing to patch");
}

/* Of the last certificate that was read. */
static struct dk_identity identity;
static struct dk_error_text why;

/* From memory of its own of just that length, so that a sanitizer sees a read beyond it. */
static enum dk_error parse_bytes(size_t len) {
    uint8_t *copy = malloc(len + (len == 0));
    assert_non_null(copy);
    memcpy(copy, certificate.bytes, len);
    memset(&why, 0, sizeof(why));
    dk_identity_clean_up(&identity);
    enum dk_error error = dk_identity_parse((struct dk_bytes){copy, len}, &identity, &why);
    free(copy);
    return error;
}

static void expect_refused(enum dk_error expected, const char *reason) {
    assert_int_equal(parse_bytes(certificate.len), expected);
    if (strstr(why.text, reason) == NULL) {
        fail_msg("refused for \"%s\", not for \"%s\"", why.text, reason);
    }
    assert_null(identity.subject.ptr);
    assert_null(identity.certificate.ptr);
}

static void expect_accepted(void) {
    if (parse_bytes(certificate.len) != DK_OK) {
        fail_msg("refused for \"%s\"", why.text);
    }
}

static void expect_json(const struct dk_writer *out, const char *expected) {
    assert_false(out->failed);
    if (out->len != strlen(expected) || memcmp(out->ptr, expected, out->len) != 0) {
        fail_msg("wrote %.*s", (int)out->len, (const char *)out->ptr);
    }
}

static void expect_subject(const char *expected) {
    struct dk_writer out;
    dk_writer_init(&out, 1 << 20);
    assert_int_equal(dk_subject_write_json(dk_writer_view(&identity.subject), &out), DK_OK);
    expect_json(&out, expected);
    dk_writer_clean_up(&out);
}

static void expect_certificate(const char *expected) {
    struct dk_writer out;
    dk_writer_init(&out, 1 << 20);
    assert_int_equal(dk_certificate_write_json(dk_writer_view(&identity.certificate), &out), DK_OK);
    out.len = strlen(expected) < out.len ? strlen(expected) : out.len;
    expect_json(&out, expected);
    dk_writer_clean_up(&out);
}

static void test_facts_of_a_certificate(void **state) {
    (void)state;
    static const uint8_t ip6[] = {0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
    X509 *x509 = new_certificate();
    X509_NAME *subject = X509_get_subject_name(x509);
    add_entry(subject, NID_organizationalUnitName, "a=b,\"", -1);
    add_entry(subject, NID_pkcs9_emailAddress, "a@b.c", 0);
    add_entry(subject, NID_userId, "Zo\xc3\xab \xf0\x9f\x9a\xaa", 0);
    add_san(TAG_URI, "spiffe://grab/alice");
    add_san(TAG_DNS, "b.example");
    append(&sans, TAG_IP, "\x7f\0\0\1", 4);
    append(&sans, 0x88, "\x2a\x03", 2);
    add_san(TAG_DNS, "a.example");
    append(&sans, TAG_IP, ip6, sizeof(ip6));
    add_san(TAG_EMAIL, "a@b.c");
    add_san_extension(x509, 0);
    finish(x509);
    expect_accepted();
    assert_int_equal(identity.not_after_s, 1798761600);
    expect_subject("{\"rdns\":[[{\"type\":\"CN\",\"value\":\"alice\"},"
                   "{\"type\":\"OU\",\"value\":\"a=b,\\\"\"}],"
                   "[{\"type\":\"1.2.840.113549.1.9.1\",\"value\":\"a@b.c\"}],"
                   "[{\"type\":\"UID\",\"value\":\"Zo\xc3\xab \xf0\x9f\x9a\xaa\"}]],"
                   "\"issuer\":[[{\"type\":\"CN\",\"value\":\"ca\"}]],"
                   "\"san\":{\"dns\":[\"b.example\",\"a.example\"],"
                   "\"uri\":[\"spiffe://grab/alice\"],\"email\":[\"a@b.c\"],"
                   "\"ip\":[\"127.0.0.1\",\"2001:db8::1\"]}}");

    uint8_t digest[32];
    assert_int_equal(
        EVP_Digest(certificate.bytes, certificate.len, digest, NULL, EVP_sha256(), NULL), 1);
    assert_int_equal(identity.certificate.len, 8 + 8 + 32 + 2 + 2);
    assert_memory_equal(identity.certificate.ptr + 16, digest, sizeof(digest));
    expect_certificate("{\"serial\":\"0a1b\",\"not_before\":1767225600,"
                       "\"not_after\":1798761600,\"sha256\":\"");
}

static void test_attribute_types(void **state) {
    (void)state;
    static const struct {
        int nid;
        const char *type;
    } cases[] = {
        {NID_commonName, "CN"},        {NID_countryName, "C"},
        {NID_localityName, "L"},       {NID_stateOrProvinceName, "ST"},
        {NID_organizationName, "O"},   {NID_organizationalUnitName, "OU"},
        {NID_streetAddress, "STREET"}, {NID_domainComponent, "DC"},
        {NID_userId, "UID"},           {NID_serialNumber, "2.5.4.5"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char expected[256];
        X509 *x509 = new_certificate();
        X509_NAME *subject = X509_get_subject_name(x509);
        X509_NAME_ENTRY_free(X509_NAME_delete_entry(subject, 0));
        add_entry(subject, cases[i].nid, "v", 0);
        finish(x509);
        expect_accepted();
        (void)snprintf(expected, sizeof(expected),
                       "{\"rdns\":[[{\"type\":\"%s\",\"value\":\"v\"}]],"
                       "\"issuer\":[[{\"type\":\"CN\",\"value\":\"ca\"}]],"
                       "\"san\":{\"dns\":[],\"uri\":[],\"email\":[],\"ip\":[]}}",
                       cases[i].type);
        expect_subject(expected);
    }
}

static void test_serial_numbers(void **state) {
    (void)state;
    static const struct {
        const char *number;
        const char *expected;
    } cases[] = {
        {"0", "{\"serial\":\"00\""},
        {"127", "{\"serial\":\"7f\""},
        {"128", "{\"serial\":\"0080\""},
        {"-1", "{\"serial\":\"ff\""},
        {"-128", "{\"serial\":\"80\""},
        {"0x8102030405060708090a0b0c0d0e0f101112131415161718",
         "{\"serial\":\"008102030405060708090a0b0c0d0e0f101112131415161718\""},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        X509 *x509 = new_certificate();
        ASN1_INTEGER *serial = s2i_ASN1_INTEGER(NULL, cases[i].number);
        assert_non_null(serial);
        assert_int_equal(X509_set_serialNumber(x509, serial), 1);
        ASN1_INTEGER_free(serial);
        finish(x509);
        expect_accepted();
        expect_certificate(cases[i].expected);
    }
}

static void test_no_subject_and_no_san(void **state) {
    (void)state;
    X509 *x509 = new_certificate();
    X509_NAME_ENTRY_free(X509_NAME_delete_entry(X509_get_subject_name(x509), 0));
    finish(x509);
    expect_accepted();
    expect_subject("{\"rdns\":[],\"issuer\":[[{\"type\":\"CN\",\"value\":\"ca\"}]],"
                   "\"san\":{\"dns\":[],\"uri\":[],\"email\":[],\"ip\":[]}}");
}

static void test_names_that_readers_read_differently(void **state) {
    (void)state;
    /* In place of "alice" and the two bytes before it. */
    static const struct {
        const char *bytes;
        const char *reason;
    } cases[] = {
        {"\14\5al\0ce", "control character"},
        {"\14\5al\nce", "control character"},
        {"\14\5al\177ce", "control character"},
        {"\14\5a\302\205ce", "control character"},
        {"\14\5\357\277\275ce", "control character"}, /* U+FFFD */
        {"\14\5al\377ce", "not an X.509"},            /* not UTF-8: OpenSSL's own verdict */
        {"\23\5al\0ce", "control character"},
        {"\26\5al\200ce", "control character"},
        {"\24\5alice", "string type"},      /* T61 */
        {"\3\5\0lice", "string type"},      /* BIT STRING */
        {"\32\5alice", "not an X.509"},     /* Visible */
        {"\33\5alice", "not an X.509"},     /* General */
        {"\4\5alice", "not an X.509"},      /* OCTET STRING */
        {"\36\4\0a\0b\14", "not an X.509"}, /* BMP, cut short */
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        finish(new_certificate());
        patch("\14\5alice", cases[i].bytes, 7);
        expect_refused(DK_ERR_MALFORMED, cases[i].reason);
    }
    finish(new_certificate());
    patch("\x0c\2ca", "\x0c\2c\n", 4);
    expect_refused(DK_ERR_MALFORMED, "control character");
    static const char accepted[] = {0x0c, 0x13, 0x16, 0x12};
    for (size_t i = 0; i < sizeof(accepted); i++) {
        char head[] = {accepted[i], 5, 'a', 'l', 'i', 'c', 'e'};
        finish(new_certificate());
        patch("\x0c\5alice", head, sizeof(head));
        expect_accepted();
    }
}

static void test_wide_string_types(void **state) {
    (void)state;
    static const int types[] = {V_ASN1_BMPSTRING, V_ASN1_UNIVERSALSTRING};
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        X509 *x509 = new_certificate();
        assert_int_equal(X509_NAME_add_entry_by_NID(X509_get_subject_name(x509), NID_commonName,
                                                    types[i], (const unsigned char *)"\0\0\0a", 4,
                                                    -1, 0),
                         1);
        finish(x509);
        expect_refused(DK_ERR_MALFORMED, "string type");
    }
}

static void test_empty_rdn(void **state) {
    (void)state;
    static const char whole[] = "\x31\x0e\x30\x0c\6\3\x55\4\3\x0c\5alice";
    static const char split[] = "\x31\0\x31\x0c\x30\x0a\6\3\x55\4\3\x0c\3ali";
    finish(new_certificate());
    patch(whole, split, sizeof(whole) - 1);
    expect_refused(DK_ERR_MALFORMED, "relative name is empty");
}

static void expect_san_refused(unsigned tag, const void *value, size_t len, const char *reason) {
    X509 *x509 = new_certificate();
    add_san(TAG_DNS, "before.example");
    append(&sans, tag, value, len);
    add_san_extension(x509, 0);
    finish(x509);
    expect_refused(DK_ERR_MALFORMED, reason);
}

static void test_san_text(void **state) {
    (void)state;
    static const unsigned tags[] = {TAG_DNS, TAG_EMAIL, TAG_URI};
    for (size_t i = 0; i < COUNT_OF(tags); i++) {
        expect_san_refused(tags[i], "good\0.evil", 10, "not printable ASCII");
        expect_san_refused(tags[i], "a\nb", 3, "not printable ASCII");
        expect_san_refused(tags[i], "a\x7f", 2, "not printable ASCII");
        expect_san_refused(tags[i], "\xc3\xab", 2, "not printable ASCII");
    }
    expect_san_refused(TAG_IP, "\1\2\3", 3, "3 bytes");
    expect_san_refused(TAG_IP, "\1\2\3\4\5\6\7\x8", 8, "8 bytes");
    expect_san_refused(TAG_IP, "", 0, "0 bytes");
    expect_san_refused(0x30, "x", 1, "names are malformed");
}

static void test_san_must_fill_its_extension(void **state) {
    (void)state;
    X509 *x509 = new_certificate();
    add_san(TAG_DNS, "a.example");
    add_san_extension(x509, 2);
    finish(x509);
    expect_refused(DK_ERR_MALFORMED, "names are malformed");
}

static void test_spiffe_id_stands_alone(void **state) {
    (void)state;
    static const struct {
        const char *first;
        const char *second;
        bool accepted;
    } cases[] = {
        {"spiffe://a/b", "spiffe://a/c", false},
        {"https://a", "spiffe://a/c", false},
        {"SPIFFE://a/b", "https://a", false},
        {"https://a", "https://b", true},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        X509 *x509 = new_certificate();
        add_san(TAG_URI, cases[i].first);
        add_san(TAG_URI, cases[i].second);
        add_san_extension(x509, 0);
        finish(x509);
        if (cases[i].accepted) {
            expect_accepted();
        } else {
            expect_refused(DK_ERR_MALFORMED, "SPIFFE");
        }
    }
}

static void test_duplicate_extensions(void **state) {
    (void)state;
    static const char *const oids[] = {OID_SAN, "1.2.3.4"};
    static const uint8_t empty_list[] = {0x30, 0};
    for (size_t i = 0; i < COUNT_OF(oids); i++) {
        X509 *x509 = new_certificate();
        add_extension(x509, oids[i], empty_list, sizeof(empty_list));
        add_extension(x509, "1.2.3.5", empty_list, sizeof(empty_list));
        add_extension(x509, oids[i], empty_list, sizeof(empty_list));
        finish(x509);
        expect_refused(DK_ERR_MALFORMED, "twice");
    }
}

/* Forms that OpenSSL reads and others read otherwise, or not at all. */
static void test_date_forms(void **state) {
    (void)state;
    static const char *const refused[] = {"2701010000Z", "270101000000+0100", "270101000000-0000"};
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        X509 *x509 = new_certificate();
        assert_int_equal(ASN1_STRING_set(X509_getm_notAfter(x509), refused[i], -1), 1);
        finish(x509);
        expect_refused(DK_ERR_MALFORMED, "date");
    }
    X509 *x509 = new_certificate();
    assert_int_equal(ASN1_TIME_set_string(X509_getm_notAfter(x509), "20510101000000Z"), 1);
    finish(x509);
    expect_accepted();
    assert_int_equal(identity.not_after_s, 2556144000);
}

static void expect_date_refused(const char *date, const char *by, const char *reason) {
    finish(new_certificate());
    patch(date, by, 13);
    expect_refused(DK_ERR_MALFORMED, reason);
}

static void test_dates(void **state) {
    (void)state;
    static const char *const refused[] = {"270230000000Z", "27010100000aZ", "2701010000+01",
                                          "271301000000Z", "270101000000z"};
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        expect_date_refused(NOT_AFTER, refused[i], "date");
        expect_date_refused(NOT_BEFORE, refused[i], "date");
    }
    expect_date_refused(NOT_AFTER, "700101000000Z", "before 1970");
    expect_date_refused(NOT_AFTER, "501231235959Z", "before 1970");
    finish(new_certificate());
    patch(NOT_AFTER, "700101000001Z", 13);
    patch(NOT_BEFORE, "691231235959Z", 13);
    expect_accepted();
    assert_int_equal(identity.not_after_s, 1);
    expect_certificate("{\"serial\":\"0a1b\",\"not_before\":-1,\"not_after\":1,");
}

static void test_only_one_whole_certificate(void **state) {
    (void)state;
    finish(new_certificate());
    size_t whole = certificate.len;
    for (certificate.len = 0; certificate.len < whole; certificate.len++) {
        expect_refused(DK_ERR_MALFORMED, "not an X.509");
    }
    certificate.bytes[whole] = 0;
    certificate.len = whole + 1;
    expect_refused(DK_ERR_MALFORMED, "bytes follow");
    certificate.len = whole;
    expect_accepted();
}

static void build_with_sans(size_t count) {
    X509 *x509 = new_certificate();
    for (size_t i = 0; i < count; i++) {
        add_san(TAG_DNS, "host.example");
    }
    add_san_extension(x509, 0);
    finish(x509);
}

static void test_many_sans(void **state) {
    (void)state;
    static const size_t accepted[] = {100, DK_SAN_MAX};
    for (size_t i = 0; i < COUNT_OF(accepted); i++) {
        build_with_sans(accepted[i]);
        expect_accepted();
        assert_int_equal(dk_subject_write_json(dk_writer_view(&identity.subject), NULL), DK_OK);
        assert_true(identity.subject.len > accepted[i] * strlen("host.example"));
    }
    build_with_sans(DK_SAN_MAX + 1);
    expect_refused(DK_ERR_TOO_LARGE, "alternative names");
}

static void build_with_filler(size_t len) {
    static uint8_t filler[DK_CERTIFICATE_MAX];
    X509 *x509 = new_certificate();
    add_extension(x509, "1.2.3.4", filler, len);
    finish(x509);
}

static void test_large_leaf(void **state) {
    (void)state;
    build_with_filler(60u * 1024);
    assert_true(certificate.len > 60u * 1024);
    expect_accepted();
    build_with_filler(64u * 1024 - 1);
    assert_true(certificate.len > DK_CERTIFICATE_MAX);
    expect_refused(DK_ERR_TOO_LARGE, "longer than");
}

static void test_large_name(void **state) {
    (void)state;
    static char name[60 * 1024 + 1];
    memset(name, 'a', sizeof(name) - 1);
    X509 *x509 = new_certificate();
    add_entry(X509_get_subject_name(x509), NID_userId, name, 0);
    finish(x509);
    expect_accepted();
    assert_true(identity.subject.len > 60u * 1024 && identity.subject.len <= DK_SUBJECT_MAX);
}

/* Types grow when they become text: a certificate under its cap, a record over its own. */
static void test_facts_over_their_cap(void **state) {
    (void)state;
    static const char oid[] = "1.2.127.127.127.127.127.127.127.127.127.127.127.127.127.127.127";
    ASN1_OBJECT *type = OBJ_txt2obj(oid, 1);
    X509 *x509 = new_certificate();
    for (size_t i = 0; i < 1100; i++) {
        assert_int_equal(X509_NAME_add_entry_by_OBJ(X509_get_subject_name(x509), type,
                                                    V_ASN1_UTF8STRING, (const unsigned char *)"v",
                                                    1, -1, 0),
                         1);
    }
    ASN1_OBJECT_free(type);
    finish(x509);
    assert_true(certificate.len < DK_CERTIFICATE_MAX);
    expect_refused(DK_ERR_TOO_LARGE, "facts");
}

static void test_too_many_extensions(void **state) {
    (void)state;
    X509 *x509 = new_certificate();
    for (unsigned i = 0; i < 129; i++) {
        char oid[32];
        (void)snprintf(oid, sizeof(oid), "1.2.3.%u", i);
        add_extension(x509, oid, (const uint8_t *)"", 0);
    }
    finish(x509);
    expect_refused(DK_ERR_TOO_LARGE, "extensions");
}

static void test_error_queue_is_left_alone(void **state) {
    (void)state;
    ERR_clear_error();
    ERR_raise(ERR_LIB_USER, 42);
    finish(new_certificate());
    certificate.len--;
    expect_refused(DK_ERR_MALFORMED, "");
    assert_int_equal(ERR_GET_REASON(ERR_get_error()), 42);
    assert_int_equal(ERR_get_error(), 0);
}

static int make_key(void **state) {
    (void)state;
    key = EVP_EC_gen("P-256");
    return key == NULL;
}

static int free_key(void **state) {
    (void)state;
    EVP_PKEY_free(key);
    dk_identity_clean_up(&identity);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_facts_of_a_certificate),
        cmocka_unit_test(test_attribute_types),
        cmocka_unit_test(test_serial_numbers),
        cmocka_unit_test(test_no_subject_and_no_san),
        cmocka_unit_test(test_names_that_readers_read_differently),
        cmocka_unit_test(test_wide_string_types),
        cmocka_unit_test(test_empty_rdn),
        cmocka_unit_test(test_san_text),
        cmocka_unit_test(test_san_must_fill_its_extension),
        cmocka_unit_test(test_spiffe_id_stands_alone),
        cmocka_unit_test(test_duplicate_extensions),
        cmocka_unit_test(test_dates),
        cmocka_unit_test(test_date_forms),
        cmocka_unit_test(test_only_one_whole_certificate),
        cmocka_unit_test(test_many_sans),
        cmocka_unit_test(test_large_leaf),
        cmocka_unit_test(test_large_name),
        cmocka_unit_test(test_facts_over_their_cap),
        cmocka_unit_test(test_too_many_extensions),
        cmocka_unit_test(test_error_queue_is_left_alone),
    };
    return cmocka_run_group_tests(tests, make_key, free_key);
}
