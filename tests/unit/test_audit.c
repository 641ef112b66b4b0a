/* SPDX-License-Identifier: Apache-2.0 */
#include "doorkeeper/audit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* Kafka's codes. */
enum { READ = 3, WRITE = 4, DESCRIBE_CONFIGS = 10 };
enum { TOPIC = 2, TRANSACTIONAL_ID = 5 };
enum { LITERAL = 3, NO_SUCH_PATTERN = 255 };

static const struct dk_action read_orders = {
    .reference_count = 1,
    .operation = READ,
    .type = TOPIC,
    .pattern = LITERAL,
    .named = true,
    .name = {(const uint8_t *)"orders", 6},
};

static struct dk_audit_call call_of(const char *principal, const char *revision) {
    return (struct dk_audit_call){dk_bytes_of(principal), dk_bytes_of("192.0.2.7"),
                                  dk_bytes_of("FETCH"), revision};
}

struct line {
    uint8_t target, level;
    char text[DK_LOG_LINE_MAX + 1];
};

/* Writes one audit line and takes it out again. */
static struct line line_of(const struct dk_audit_call *call, const struct dk_action *action,
                           enum dk_outcome outcome, enum dk_source source) {
    struct dk_log *log = NULL;
    uint8_t out[2048];
    struct line line;
    assert_int_equal(dk_log_new(2, &log), DK_OK);
    dk_audit_write(log, call, action, outcome, source);
    size_t written = dk_log_drain(log, out, sizeof(out), 0);
    dk_log_destroy(log);
    assert_true(written > 4);
    size_t len = dk_read_u16(out + 2);
    assert_int_equal(written, 4 + len);
    line.target = out[0];
    line.level = out[1];
    memcpy(line.text, out + 4, len);
    line.text[len] = '\0';
    return line;
}

static void lines_are_in_the_words_of_kafka(void **state) {
    (void)state;
    struct dk_audit_call call = call_of("User:bob", "authz=42");
    struct line line = line_of(&call, &read_orders, DK_DENY, DK_SOURCE_CACHE);
    assert_string_equal(
        line.text,
        "Principal = User:bob is Denied operation = READ from host = 192.0.2.7 on resource = "
        "TOPIC:LITERAL:orders for request = FETCH with resourceRefCount = 1, outcome = DENY, "
        "source = cache, revision = authz=42");
    assert_int_equal(line.target, DK_LOG_AUDIT);
    assert_int_equal(line.level, DK_LOG_INFO);
}

static void allowed_lines_are_for_debugging(void **state) {
    (void)state;
    struct dk_audit_call call = call_of("User:bob", "");
    struct dk_action any = {.reference_count = 4294967295, .operation = WRITE, .type = TOPIC};
    any.pattern = LITERAL;
    struct line line = line_of(&call, &any, DK_ALLOW, DK_SOURCE_OPA);
    assert_string_equal(
        line.text,
        "Principal = User:bob is Allowed operation = WRITE from host = 192.0.2.7 on resource = "
        "TOPIC:LITERAL (any) for request = FETCH with resourceRefCount = 4294967295, "
        "outcome = ALLOW, source = opa, revision = none");
    assert_int_equal(line.target, DK_LOG_AUDIT);
    assert_int_equal(line.level, DK_LOG_DEBUG);
}

static void whatever_is_no_allow_is_denied(void **state) {
    (void)state;
    struct dk_audit_call call = call_of("User:bob", "");
    struct line line = line_of(&call, &read_orders, DK_UNDEFINED, DK_SOURCE_OPA);
    assert_non_null(strstr(line.text, " is Denied "));
    assert_non_null(strstr(line.text, ", outcome = UNDEFINED, source = opa,"));
    assert_int_equal(line.level, DK_LOG_INFO);
    line = line_of(&call, &read_orders, DK_UNAVAILABLE, DK_SOURCE_NONE);
    assert_non_null(strstr(line.text, " is Denied "));
    assert_non_null(strstr(line.text, ", outcome = UNAVAILABLE, source = none,"));
    assert_int_equal(line.level, DK_LOG_INFO);
}

static void foreign_text_is_escaped(void **state) {
    (void)state;
    struct dk_audit_call call = {dk_bytes_of("User:a\nPrincipal = User:b"),
                                 dk_bytes_of("\xe2\x80\xae"), dk_bytes_of("\x01"), ""};
    struct dk_action action = read_orders;
    action.name = dk_bytes_of("\r\xff");
    struct line line = line_of(&call, &action, DK_DENY, DK_SOURCE_OPA);
    assert_string_equal(
        line.text,
        "Principal = User:a\\x0aPrincipal = User:b is Denied operation = READ from host = \\u202e "
        "on resource = TOPIC:LITERAL:\\x0d\\xff for request = \\x01 with resourceRefCount = 1, "
        "outcome = DENY, source = opa, revision = none");
}

/* A name that imitates an outcome stands before the last one, which is ours. */
static void the_outcome_cannot_be_imitated(void **state) {
    (void)state;
    struct dk_audit_call call = call_of("User:x, outcome = ALLOW, source = rule", "");
    struct line line = line_of(&call, &read_orders, DK_DENY, DK_SOURCE_OPA);
    static const char mark[] = ", outcome = ";
    const char *last = NULL;
    for (const char *at = strstr(line.text, mark); at != NULL; at = strstr(at + 1, mark)) {
        last = at;
    }
    assert_string_equal(last, ", outcome = DENY, source = opa, revision = none");
}

/* However long the parts are, the end of the line is there. */
static void long_names_never_push_the_outcome_out(void **state) {
    (void)state;
    char longest[4096], revision[256];
    memset(longest, 0x01, sizeof(longest) - 1); /* each byte becomes four */
    longest[sizeof(longest) - 1] = '\0';
    memset(revision, 'r', sizeof(revision) - 1);
    revision[sizeof(revision) - 1] = '\0';
    struct dk_audit_call call = {dk_bytes_of(longest), dk_bytes_of(longest), dk_bytes_of(longest),
                                 revision};
    struct dk_action action = read_orders;
    action.reference_count = 4294967295;
    action.operation = DESCRIBE_CONFIGS;
    action.type = TRANSACTIONAL_ID;
    action.pattern = NO_SUCH_PATTERN;
    action.name = dk_bytes_of(longest);
    struct line line = line_of(&call, &action, DK_UNAVAILABLE, DK_SOURCE_CACHE);
    const char *end = strstr(line.text, ", outcome = UNAVAILABLE, source = cache, revision = ");
    assert_non_null(end);
    assert_int_equal(strlen(strrchr(line.text, ' ') + 1), 140);
}

static void a_topic_fits_whole(void **state) {
    (void)state;
    char topic[250];
    memset(topic, 't', sizeof(topic) - 1);
    topic[sizeof(topic) - 1] = '\0';
    struct dk_audit_call call = call_of("User:bob", "");
    struct dk_action action = read_orders;
    action.name = dk_bytes_of(topic);
    struct line line = line_of(&call, &action, DK_DENY, DK_SOURCE_OPA);
    assert_non_null(strstr(line.text, topic));
    assert_null(strstr(line.text, "..."));
}

static void flags_and_mask_both_decide(void **state) {
    (void)state;
    static const struct {
        uint32_t mask;
        uint8_t flags;
        enum dk_outcome outcome;
        bool wanted;
    } cases[] = {
        {0, DK_LOG_IF_ALLOWED | DK_LOG_IF_DENIED, DK_ALLOW, false},
        {0, DK_LOG_IF_ALLOWED | DK_LOG_IF_DENIED, DK_DENY, false},
        {DK_AUDIT_DENIED, DK_LOG_IF_DENIED, DK_DENY, true},
        {DK_AUDIT_DENIED, DK_LOG_IF_DENIED, DK_UNDEFINED, true},
        {DK_AUDIT_DENIED, DK_LOG_IF_DENIED, DK_UNAVAILABLE, true},
        {DK_AUDIT_DENIED, DK_LOG_IF_ALLOWED, DK_DENY, false},
        {DK_AUDIT_DENIED, DK_LOG_IF_ALLOWED | DK_LOG_IF_DENIED, DK_ALLOW, false},
        {DK_AUDIT_ALLOWED, DK_LOG_IF_ALLOWED, DK_ALLOW, true},
        {DK_AUDIT_ALLOWED, DK_LOG_IF_DENIED, DK_ALLOW, false},
        {DK_AUDIT_ALLOWED, DK_LOG_IF_ALLOWED | DK_LOG_IF_DENIED, DK_DENY, false},
        {DK_AUDIT_ALLOWED | DK_AUDIT_DENIED, 0, DK_ALLOW, false},
        {DK_AUDIT_ALLOWED | DK_AUDIT_DENIED, 0, DK_DENY, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct dk_action action = {.flags = cases[i].flags};
        assert_int_equal(dk_audit_wants(cases[i].mask, &action, cases[i].outcome), cases[i].wanted);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_in_the_words_of_kafka),
        cmocka_unit_test(allowed_lines_are_for_debugging),
        cmocka_unit_test(whatever_is_no_allow_is_denied),
        cmocka_unit_test(foreign_text_is_escaped),
        cmocka_unit_test(the_outcome_cannot_be_imitated),
        cmocka_unit_test(long_names_never_push_the_outcome_out),
        cmocka_unit_test(a_topic_fits_whole),
        cmocka_unit_test(flags_and_mask_both_decide),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
