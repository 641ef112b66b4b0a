/* SPDX-License-Identifier: Apache-2.0 */
#include "doorkeeper/config.h"

#include "config_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAX_SETTINGS 8
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* ---- helpers ----------------------------------------------------------------------------- */

struct parsed {
    enum dk_error error;
    struct dk_config config;
    struct dk_error_text why;
};

/* `pairs`: key and value by turns, NULL at the end. */
static struct parsed parse(const char *const *pairs) {
    struct parsed parsed;
    struct dk_setting settings[MAX_SETTINGS];
    size_t count = 0;
    while (pairs[2 * count] != NULL) {
        assert_true(count < MAX_SETTINGS);
        settings[count].key = dk_bytes_of(pairs[2 * count]);
        settings[count].value = dk_bytes_of(pairs[2 * count + 1]);
        count++;
    }
    parsed.error = dk_config_parse(settings, count, &parsed.config, &parsed.why);
    return parsed;
}

#define PARSE(...) parse((const char *const[]){__VA_ARGS__, NULL})

static void expect_refused(const char *key, const char *value, const char *text) {
    struct parsed parsed = PARSE(key, value);
    if (parsed.error != DK_ERR_CONFIG) {
        print_error("taken: %s=%s\n", key, value);
    }
    assert_int_equal(parsed.error, DK_ERR_CONFIG);
    assert_string_equal(parsed.why.text, text);
    assert_null(parsed.config.opa_url); /* cleaned up */
}

static void expect_taken(const char *key, const char *value) {
    struct parsed parsed = PARSE(key, value);
    assert_string_equal(parsed.why.text, "");
    assert_int_equal(parsed.error, DK_OK);
    dk_config_clean_up(&parsed.config);
}

/* ---- what is there without any setting --------------------------------------------------- */

static void defaults(void **state) {
    (void)state;
    struct parsed parsed = parse((const char *const[]){NULL});
    const struct dk_config *config = &parsed.config;
    assert_int_equal(parsed.error, DK_OK);
    assert_string_equal(config->opa_url, "http://127.0.0.1:8181");
    assert_string_equal(config->opa_batch_path, "kafka/authz/batch");
    assert_string_equal(config->opa_path, "kafka/authz/allow");
    assert_string_equal(config->opa_token_file, "");
    assert_string_equal(config->opa_ca_file, "");
    assert_string_equal(config->opa_certificate_file, "");
    assert_string_equal(config->opa_key_file, "");
    assert_int_equal(config->on_unavailable, DK_USE_STALE | DK_LET_RETRY);
    assert_string_equal(config->library_path, "");
    assert_string_equal(config->deny_file, "");
    assert_string_equal(config->flush_file, "");
    assert_string_equal(config->decision_log_file, "");
    assert_int_equal(config->decision_log_mode, DK_RECORD_AGGREGATED);
    assert_int_equal(config->decision_log_erase, 0);
    assert_string_equal(config->warm_start_file, "");
    assert_int_equal(config->question_fields, DK_GROUP_SUBJECT | DK_GROUP_LISTENER);
    assert_int_equal(config->super_user_count, 0);
    assert_int_equal(config->num_io_threads, 8);
    assert_int_equal(config->waiting_threads, 4);
    dk_config_clean_up(&parsed.config);
}

static void half_of_the_request_threads_may_wait(void **state) {
    (void)state;
    static const struct {
        const char *threads;
        int64_t waiting;
    } cases[] = {{"1", 1}, {"2", 1}, {"3", 1}, {"8", 4}, {"17", 8}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct parsed parsed = PARSE("num.io.threads", cases[i].threads);
        assert_int_equal(parsed.config.waiting_threads, cases[i].waiting);
        dk_config_clean_up(&parsed.config);
    }
    struct parsed parsed = PARSE("num.io.threads", "8", "doorkeeper.waiting.threads", "7");
    assert_int_equal(parsed.config.waiting_threads, 7);
    dk_config_clean_up(&parsed.config);
}

/* ---- numbers ----------------------------------------------------------------------------- */

#define MEMBER(name) offsetof(struct dk_config, name)

static const struct {
    const char *key;
    size_t offset;
    int64_t min, fallback, max;
} numbers[] = {
    {"doorkeeper.opa.connect.timeout.ms", MEMBER(opa_connect_timeout_ms), 1, 1000, 60000},
    {"doorkeeper.opa.connections", MEMBER(opa_connections), 1, 4, 64},
    {"doorkeeper.opa.batch.max", MEMBER(opa_batch_max), 1, 500, 5000},
    {"doorkeeper.opa.poll.interval.ms", MEMBER(opa_poll_interval_ms), 100, 1000, 60000},
    {"doorkeeper.deadline.ms", MEMBER(deadline_ms), 1, 200, 2000},
    {"doorkeeper.cache.entries", MEMBER(cache_entries), 1024, 262144, 67108864},
    {"doorkeeper.cache.ttl.allow.ms", MEMBER(cache_ttl_allow_ms), 0, 300000, 86400000},
    {"doorkeeper.cache.ttl.deny.ms", MEMBER(cache_ttl_deny_ms), 0, 60000, 86400000},
    {"doorkeeper.queue.entries", MEMBER(queue_entries), 64, 65536, 1048576},
    {"doorkeeper.waiting.threads", MEMBER(waiting_threads), 1, 4, 10000},
    {"doorkeeper.breaker.failures", MEMBER(breaker_failures), 1, 1, 1000},
    {"doorkeeper.breaker.probe.interval.ms", MEMBER(breaker_probe_interval_ms), 10, 100, 60000},
    {"doorkeeper.start.wait.ms", MEMBER(start_wait_ms), 0, 10000, 600000},
    {"doorkeeper.stale.max.ms", MEMBER(stale_max_ms), 0, 3600000, 604800000},
    {"doorkeeper.fetch.pause.ms", MEMBER(fetch_pause_ms), 0, 3000, 60000},
    {"doorkeeper.decision.log.rotate.bytes", MEMBER(decision_log_rotate_bytes), 65536, 268435456,
     1099511627776},
    {"doorkeeper.decision.log.rotate.ms", MEMBER(decision_log_rotate_ms), 1000, 86400000,
     31536000000},
    {"doorkeeper.decision.log.files", MEMBER(decision_log_files), 1, 30, 100000},
    {"doorkeeper.decision.log.buffer.bytes", MEMBER(decision_log_buffer_bytes), 65536, 8388608,
     1073741824},
    {"doorkeeper.decision.log.period.ms", MEMBER(decision_log_period_ms), 1000, 60000, 600000},
    {"doorkeeper.questions.max.bytes", MEMBER(questions_max_bytes), 1048576, 16777216, 1073741824},
    {"num.io.threads", MEMBER(num_io_threads), 1, 8, 2147483647},
};

static int64_t number_in(const struct dk_config *config, size_t offset) {
    return *(const int64_t *)((const char *)config + offset);
}

static int64_t number_after(size_t index, const char *value) {
    struct parsed parsed = PARSE(numbers[index].key, value);
    assert_int_equal(parsed.error, DK_OK);
    int64_t number = number_in(&parsed.config, numbers[index].offset);
    dk_config_clean_up(&parsed.config);
    return number;
}

static void numbers_have_a_default_and_a_range(void **state) {
    (void)state;
    char value[32];
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        struct parsed parsed = parse((const char *const[]){NULL});
        assert_int_equal(number_in(&parsed.config, numbers[i].offset), numbers[i].fallback);
        dk_config_clean_up(&parsed.config);
        snprintf(value, sizeof(value), "%lld", (long long)numbers[i].min);
        assert_int_equal(number_after(i, value), numbers[i].min);
        snprintf(value, sizeof(value), " \t%lld\n", (long long)numbers[i].max);
        assert_int_equal(number_after(i, value), numbers[i].max);
    }
}

static void wrong_numbers_are_refused(void **state) {
    (void)state;
    char below[32], above[32], text[256];
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        snprintf(below, sizeof(below), "%lld", (long long)numbers[i].min - 1);
        snprintf(above, sizeof(above), "%lld", (long long)numbers[i].max + 1);
        const char *const wrong[] = {below,
                                     above,
                                     "",
                                     "many",
                                     "-5",
                                     "+200",
                                     "200ms",
                                     "1 000",
                                     "1000.0",
                                     "0x400",
                                     "1e3",
                                     "18446744073709551816",
                                     "99999999999999999999999999999999999999999999"};
        for (size_t j = 0; j < COUNT_OF(wrong); j++) {
            snprintf(text, sizeof(text), "%s=%s: expected a whole number from %lld to %lld",
                     numbers[i].key, wrong[j], (long long)numbers[i].min,
                     (long long)numbers[i].max);
            expect_refused(numbers[i].key, wrong[j], text);
        }
    }
}

/* ---- texts ------------------------------------------------------------------------------- */

static const char *const files[] = {
    "doorkeeper.opa.token.file", "doorkeeper.opa.ca.file",       "doorkeeper.opa.certificate.file",
    "doorkeeper.opa.key.file",   "doorkeeper.library.path",      "doorkeeper.deny.file",
    "doorkeeper.flush.file",     "doorkeeper.decision.log.file", "doorkeeper.warm.start.file",
};

#define URL_EXPECTED                                                                               \
    "expected http://host:port, https://host:port or unix:/path, or up to 8 of them separated by " \
    "commas"
#define RULE_EXPECTED "expected names of letters, digits, _ and - joined by /"

static void urls(void **state) {
    (void)state;
    static const char *const right[] = {
        "http://opa",           "http://opa:1",          "https://opa.example.org:65535",
        "http://192.0.2.1:81",  "http://[2001:db8::1]",  "https://[fe80::1%eth0]:8181",
        "http://opa/eu/prod",   "http://opa:8181/a~b.c", "unix:/run/opa.sock",
        " http://opa:8181 \t ", "http://my_opa-1:8181",
    };
    static const char *const wrong[] = {
        "",
        "opa:8181",
        "ftp://opa",
        "HTTP://opa",
        "http://",
        "http://:8181",
        "http://a:0",
        "http://a:",
        "http://a:b",
        "http://a b",
        "http://a:65536",
        "http://a?b",
        "http://a#b",
        "http://[::1",
        "http://[]:1",
        "http://[::1]x",
        "http://[::/]",
        "unix:",
        "unix:/",
        "unix:opa",
        "http:/opa",
        "http://a/b c",
        "http://a/%41",
        "https:///",
    };
    for (size_t i = 0; i < COUNT_OF(right); i++) {
        expect_taken("doorkeeper.opa.url", right[i]);
    }
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        char text[256];
        snprintf(text, sizeof(text), "doorkeeper.opa.url=%s: " URL_EXPECTED, wrong[i]);
        expect_refused("doorkeeper.opa.url", wrong[i], text);
    }
    expect_refused("doorkeeper.opa.url", "http://a\r\nHost: b",
                   "doorkeeper.opa.url=http://a\\x0d\\x0aHost: b: " URL_EXPECTED);
}

static void a_slash_at_the_end_of_a_url_does_not_count(void **state) {
    (void)state;
    struct parsed parsed = PARSE("doorkeeper.opa.url", "http://opa:8181/eu//");
    assert_string_equal(parsed.config.opa_url, "http://opa:8181/eu");
    dk_config_clean_up(&parsed.config);
}

static void several_urls_are_kept_in_their_order(void **state) {
    (void)state;
    struct parsed parsed = PARSE("doorkeeper.opa.url", " http://a:1/ ,unix:/b,\thttps://c/x// ");
    assert_int_equal(parsed.error, DK_OK);
    assert_string_equal(parsed.config.opa_url, "http://a:1,unix:/b,https://c/x");
    dk_config_clean_up(&parsed.config);
    expect_taken("doorkeeper.opa.url", "http://1,http://2,http://3,http://4,http://5,http://6,"
                                       "http://7,http://8");
    static const char *const wrong[] = {
        "http://a,,http://b", ",http://a", "http://a,b",
        "http://1,http://2,http://3,http://4,http://5,http://6,http://7,http://8,http://9"};
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        struct parsed refused = PARSE("doorkeeper.opa.url", wrong[i]);
        assert_int_equal(refused.error, DK_ERR_CONFIG);
        assert_non_null(strstr(refused.why.text, URL_EXPECTED));
    }
}

static void the_path_of_a_socket_has_the_length_that_the_system_takes(void **state) {
    (void)state;
    char url[128] = "unix:/";
    size_t at = strlen(url);
    memset(url + at, 's', 106);
    url[at + 106] = '\0';
    expect_taken("doorkeeper.opa.url", url);
    strcat(url, "s");
    struct parsed parsed = PARSE("doorkeeper.opa.url", url);
    assert_int_equal(parsed.error, DK_ERR_CONFIG);
}

static void a_password_in_a_url_is_refused_and_not_shown(void **state) {
    (void)state;
    expect_refused("doorkeeper.opa.url", "https://user:secret@opa:8181",
                   "doorkeeper.opa.url=(not shown: it may hold a password): " URL_EXPECTED);
}

static void rules(void **state) {
    (void)state;
    static const char *const right[] = {"allow", "a/b", "kafka/authz/batch_2", "a-b/C9"};
    static const char *const wrong[] = {"/",   "/a",      "a/",   "a//b",   "a.b",
                                        "a b", "a/b?x=1", "a%2f", "../etc", "\xc3\xa4"};
    char text[256];
    for (size_t i = 0; i < COUNT_OF(right); i++) {
        expect_taken("doorkeeper.opa.path", right[i]);
        expect_taken("doorkeeper.opa.batch.path", right[i]);
    }
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        snprintf(text, sizeof(text), "doorkeeper.opa.path=%s: " RULE_EXPECTED, wrong[i]);
        expect_refused("doorkeeper.opa.path", wrong[i], text);
        snprintf(text, sizeof(text), "doorkeeper.opa.batch.path=%s: " RULE_EXPECTED ", or nothing",
                 wrong[i]);
        expect_refused("doorkeeper.opa.batch.path", wrong[i], text);
    }
    expect_refused("doorkeeper.opa.path", "", "doorkeeper.opa.path=: " RULE_EXPECTED);
    expect_taken("doorkeeper.opa.batch.path", "");
}

static void file_names_hold_no_control_characters(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        char text[256];
        snprintf(text, sizeof(text), "%s=/a\\x0ab: expected the path of a file, or nothing",
                 files[i]);
        expect_refused(files[i], "/a\nb", text);
        snprintf(text, sizeof(text), "%s=/\\x7f: expected the path of a file, or nothing",
                 files[i]);
        expect_refused(files[i], "/\x7f", text);
        snprintf(text, sizeof(text), "%s=/\\xff: expected the path of a file, or nothing",
                 files[i]);
        expect_refused(files[i], "/\xff", text);
    }
    struct parsed parsed = PARSE("doorkeeper.library.path", " /opt/a b/\xc3\xa4.so ");
    assert_string_equal(parsed.config.library_path, "/opt/a b/\xc3\xa4.so");
    dk_config_clean_up(&parsed.config);
}

static void a_zero_byte_ends_no_value(void **state) {
    (void)state;
    const struct dk_setting setting = {dk_bytes_of("doorkeeper.opa.token.file"),
                                       {(const uint8_t *)"/a\0b", 4}};
    struct dk_config config;
    struct dk_error_text why;
    assert_int_equal(dk_config_parse(&setting, 1, &config, &why), DK_ERR_CONFIG);
    assert_string_equal(why.text, "doorkeeper.opa.token.file=/a\\x00b: expected the path of a "
                                  "file, or nothing");
}

#define UNAVAILABLE_EXPECTED                                                                       \
    "expected some of stale, retry and deny, in this order, separated by commas"

static void nothing_allows_anew_while_opa_is_unavailable(void **state) {
    (void)state;
    static const struct {
        const char *value;
        uint32_t rules;
    } right[] = {
        {"deny", 0},
        {"stale", DK_USE_STALE},
        {"retry,deny", DK_LET_RETRY},
        {"stale, deny", DK_USE_STALE},
        {"stale,retry", DK_USE_STALE | DK_LET_RETRY},
    };
    static const char *const wrong[] = {"allow",       "",           "DENY",      "deny,allow",
                                        "retry,stale", "deny,stale", "deny,deny", "stale,,deny"};
    for (size_t i = 0; i < COUNT_OF(right); i++) {
        struct parsed parsed = PARSE("doorkeeper.on.unavailable", right[i].value);
        assert_int_equal(parsed.error, DK_OK);
        assert_int_equal(parsed.config.on_unavailable, right[i].rules);
        dk_config_clean_up(&parsed.config);
    }
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        char text[256];
        snprintf(text, sizeof(text), "doorkeeper.on.unavailable=%s: " UNAVAILABLE_EXPECTED,
                 wrong[i]);
        expect_refused("doorkeeper.on.unavailable", wrong[i], text);
    }
}

/* ---- fields ------------------------------------------------------------------------------ */

#define FIELDS_EXPECTED                                                                            \
    "expected none, or some of subject, certificate, listener, protocol, address, client_id and "  \
    "api, separated by commas"

static void fields(void **state) {
    (void)state;
    static const struct {
        const char *value;
        uint32_t groups;
    } right[] = {
        {"none", 0},
        {"subject", DK_GROUP_SUBJECT},
        {"certificate", DK_GROUP_CERTIFICATE},
        {"listener", DK_GROUP_LISTENER},
        {"protocol", DK_GROUP_PROTOCOL},
        {"address", DK_GROUP_ADDRESS},
        {"client_id", DK_GROUP_CLIENT_ID},
        {" api , subject,api", DK_GROUP_API | DK_GROUP_SUBJECT},
    };
    for (size_t i = 0; i < COUNT_OF(right); i++) {
        struct parsed parsed = PARSE("doorkeeper.question.fields", right[i].value);
        assert_int_equal(parsed.error, DK_OK);
        assert_int_equal(parsed.config.question_fields, right[i].groups);
        dk_config_clean_up(&parsed.config);
    }
}

static void wrong_fields_are_named(void **state) {
    (void)state;
    static const char *const wrong[][2] = {
        {"", ""},
        {"subject,,api", ""},
        {"subject,none", "none"},
        {"Subject", "Subject"},
        {"subject api", "subject api"},
        {"subject,issuer", "issuer"},
    };
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        char text[384];
        snprintf(text, sizeof(text),
                 "doorkeeper.question.fields=%s: \"%s\" is no field; " FIELDS_EXPECTED, wrong[i][0],
                 wrong[i][1]);
        expect_refused("doorkeeper.question.fields", wrong[i][0], text);
    }
}

/* ---- the decision log -------------------------------------------------------------------- */

static void what_is_recorded(void **state) {
    (void)state;
    struct parsed parsed = PARSE("doorkeeper.decision.log.mode", "denied");
    assert_int_equal(parsed.config.decision_log_mode, DK_RECORD_DENIED);
    dk_config_clean_up(&parsed.config);
    parsed = PARSE("doorkeeper.decision.log.mode", "aggregated");
    assert_int_equal(parsed.config.decision_log_mode, DK_RECORD_AGGREGATED);
    dk_config_clean_up(&parsed.config);
    parsed = PARSE("doorkeeper.decision.log.mode", " every ");
    assert_int_equal(parsed.config.decision_log_mode, DK_RECORD_EVERY);
    dk_config_clean_up(&parsed.config);
    expect_refused("doorkeeper.decision.log.mode", "all",
                   "doorkeeper.decision.log.mode=all: expected aggregated, denied or every");
}

static void what_is_erased(void **state) {
    (void)state;
    struct parsed parsed = PARSE("doorkeeper.decision.log.erase", "none");
    assert_int_equal(parsed.config.decision_log_erase, 0);
    dk_config_clean_up(&parsed.config);
    parsed = PARSE("doorkeeper.decision.log.erase", "subject,certificate,address,client_id,name");
    assert_int_equal(parsed.config.decision_log_erase, DK_ERASE_SUBJECT | DK_ERASE_CERTIFICATE |
                                                           DK_ERASE_ADDRESS | DK_ERASE_CLIENT_ID |
                                                           DK_ERASE_NAME);
    dk_config_clean_up(&parsed.config);
    expect_refused("doorkeeper.decision.log.erase", "address,listener",
                   "doorkeeper.decision.log.erase=address,listener: \"listener\" is no field; "
                   "expected none, or some of subject, certificate, address, client_id and name, "
                   "separated by commas");
}

/* ---- super users ------------------------------------------------------------------------- */

static void super_users_are_trimmed(void **state) {
    (void)state;
    struct parsed parsed =
        PARSE("super.users", " User:CN=broker-1,O=Example ;;\tUser:b:c\n; Group:\xc3\xa4 x; ");
    assert_int_equal(parsed.error, DK_OK);
    assert_int_equal(parsed.config.super_user_count, 3);
    assert_string_equal(parsed.config.super_users[0], "User:CN=broker-1,O=Example");
    assert_string_equal(parsed.config.super_users[1], "User:b:c");
    assert_string_equal(parsed.config.super_users[2], "Group:\xc3\xa4 x");
    dk_config_clean_up(&parsed.config);
    expect_taken("super.users", "");
    expect_taken("super.users", " ; ");
}

static void wrong_super_users_are_named(void **state) {
    (void)state;
    static const char *const wrong[] = {"alice", "User:", ":alice", "*"};
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        char value[64], text[256];
        snprintf(value, sizeof(value), "User:ok; %s", wrong[i]);
        snprintf(text, sizeof(text),
                 "super.users=%s: \"%s\" is no principal; expected Type:name entries separated by "
                 "semicolons",
                 value, wrong[i]);
        expect_refused("super.users", value, text);
    }
}

/* ---- keys -------------------------------------------------------------------------------- */

static void an_unknown_key_suggests_the_nearest(void **state) {
    (void)state;
    static const char *const wrong[][2] = {
        {"doorkeeper.opa.ulr", "doorkeeper.opa.url"},
        {"doorkeeper.deadline", "doorkeeper.deadline.ms"},
        {"doorkeeper.cache.ttl.ms.allow", "doorkeeper.cache.ttl.allow.ms"},
        {"doorkeeper.Opa.url", "doorkeeper.opa.url"},
        {"doorkeeper.opa.url ", "doorkeeper.opa.url"},
    };
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        char text[256];
        snprintf(text, sizeof(text), "%s: there is no such setting; did you mean %s?", wrong[i][0],
                 wrong[i][1]);
        expect_refused(wrong[i][0], "x", text);
    }
}

static void what_is_like_no_key_suggests_nothing(void **state) {
    (void)state;
    char key[128] = "doorkeeper.";
    memset(key + strlen(key), 'k', 100);
    key[111] = '\0';
    char text[256];
    snprintf(text, sizeof(text), "%s: there is no such setting", key);
    expect_refused(key, "x", text);
    expect_refused("doorkeeper.\x1b[2J\n", "x",
                   "doorkeeper.\\x1b[2J\\x0a: there is no such setting; did you mean "
                   "doorkeeper.opa.url?");
}

static void foreign_keys_are_passed_over(void **state) {
    (void)state;
    struct parsed parsed = PARSE("listeners", "x", "doorkeeper", "x", "", "x", "node.id", "1",
                                 "my.doorkeeper.opa.url", "x");
    assert_int_equal(parsed.error, DK_OK);
    assert_string_equal(parsed.config.opa_url, "http://127.0.0.1:8181");
    dk_config_clean_up(&parsed.config);
}

static void a_repeated_key_is_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < setting_row_count; i++) {
        const char *key = setting_rows[i].name;
        const char *value = setting_rows[i].example;
        struct parsed parsed = PARSE(key, value, "node.id", "1", key, value);
        char text[128];
        snprintf(text, sizeof(text), "%s is set more than once", key);
        assert_int_equal(parsed.error, DK_ERR_CONFIG);
        assert_string_equal(parsed.why.text, text);
    }
}

/* ---- settings together ------------------------------------------------------------------- */

static void a_certificate_needs_its_key_and_tls(void **state) {
    (void)state;
    static const char *const certificate = "doorkeeper.opa.certificate.file";
    static const char *const key = "doorkeeper.opa.key.file";
    static const char *const url = "doorkeeper.opa.url";
    static const char both[] = "doorkeeper.opa.certificate.file and doorkeeper.opa.key.file: "
                               "expected both or neither";
    static const char no_tls[] =
        "doorkeeper.opa.ca.file and doorkeeper.opa.certificate.file have no use without TLS: "
        "expected an https:// URL in doorkeeper.opa.url";
    struct parsed parsed = PARSE(url, "https://opa", certificate, "/c", key, "/k");
    assert_int_equal(parsed.error, DK_OK);
    dk_config_clean_up(&parsed.config);
    parsed = PARSE(url, "https://opa", certificate, "/c");
    assert_string_equal(parsed.why.text, both);
    parsed = PARSE(url, "https://opa", key, "/k");
    assert_string_equal(parsed.why.text, both);
    parsed = PARSE(certificate, "/c", key, "/k");
    assert_string_equal(parsed.why.text, no_tls);
    parsed = PARSE(url, "unix:/run/opa.sock", "doorkeeper.opa.ca.file", "/ca");
    assert_string_equal(parsed.why.text, no_tls);
}

/* ---- all errors at once ------------------------------------------------------------------ */

struct reports {
    size_t count;
    char texts[4][512];
};

static void collect(void *user, const char *text) {
    struct reports *reports = user;
    assert_true(reports->count < COUNT_OF(reports->texts));
    snprintf(reports->texts[reports->count++], sizeof(reports->texts[0]), "%s", text);
}

static void every_error_is_reported(void **state) {
    (void)state;
    const struct dk_setting settings[] = {
        {dk_bytes_of("doorkeeper.deadline.mss"), dk_bytes_of("1")},
        {dk_bytes_of("doorkeeper.opa.url"), dk_bytes_of("https:/opa")},
        {dk_bytes_of("doorkeeper.opa.ca.file"), dk_bytes_of("/ca")},
        {dk_bytes_of("doorkeeper.deadline.ms"), dk_bytes_of("0")},
    };
    struct reports reports = {0};
    struct dk_config config;
    assert_int_equal(
        dk_config_parse_all(settings, COUNT_OF(settings), true, &config, collect, &reports),
        DK_ERR_CONFIG);
    assert_int_equal(reports.count, 3);
    assert_string_equal(reports.texts[0], "doorkeeper.opa.url=https:/opa: " URL_EXPECTED);
    assert_string_equal(reports.texts[1],
                        "doorkeeper.deadline.ms=0: expected a whole number from 1 to 2000");
    assert_string_equal(reports.texts[2], "doorkeeper.deadline.mss: there is no such setting; did "
                                          "you mean doorkeeper.deadline.ms?");
}

static void the_first_error_is_the_one_that_is_kept(void **state) {
    (void)state;
    struct parsed parsed = PARSE("doorkeeper.deadline.ms", "0", "doorkeeper.opa.url", "opa");
    assert_int_equal(parsed.error, DK_ERR_CONFIG);
    assert_string_equal(parsed.why.text, "doorkeeper.opa.url=opa: " URL_EXPECTED);
}

static void long_values_are_cut_in_messages(void **state) {
    (void)state;
    char value[5000];
    memset(value, '9', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    struct parsed parsed = PARSE("doorkeeper.deadline.ms", value);
    assert_int_equal(parsed.error, DK_ERR_CONFIG);
    assert_non_null(strstr(parsed.why.text, "999...: expected a whole number from 1 to 2000"));
}

/* ---- the table itself -------------------------------------------------------------------- */

static bool is_tested(const struct setting_row *row) {
    switch (row->type) {
    case SETTING_NUMBER:
        for (size_t i = 0; i < COUNT_OF(numbers); i++) {
            if (strcmp(numbers[i].key, row->name) == 0) {
                return true;
            }
        }
        return false;
    case SETTING_FILE:
        for (size_t i = 0; i < COUNT_OF(files); i++) {
            if (strcmp(files[i], row->name) == 0) {
                return true;
            }
        }
        return false;
    default:
        return true; /* each of these kinds has a test by its name */
    }
}

static void each_setting_is_tested_and_its_example_is_right(void **state) {
    (void)state;
    for (size_t i = 0; i < setting_row_count; i++) {
        const struct setting_row *row = &setting_rows[i];
        assert_true(is_tested(row));
        assert_true(dk_config_is_setting(dk_bytes_of(row->name)));
        if (row->type != SETTING_FILE) { /* some of these stand only together with others */
            expect_taken(row->name, row->example);
        }
    }
    assert_false(dk_config_is_setting(dk_bytes_of("node.id")));
    assert_false(dk_config_is_setting(dk_bytes_of("doorkeeper.")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(half_of_the_request_threads_may_wait),
        cmocka_unit_test(numbers_have_a_default_and_a_range),
        cmocka_unit_test(wrong_numbers_are_refused),
        cmocka_unit_test(urls),
        cmocka_unit_test(a_slash_at_the_end_of_a_url_does_not_count),
        cmocka_unit_test(the_path_of_a_socket_has_the_length_that_the_system_takes),
        cmocka_unit_test(several_urls_are_kept_in_their_order),
        cmocka_unit_test(a_password_in_a_url_is_refused_and_not_shown),
        cmocka_unit_test(rules),
        cmocka_unit_test(file_names_hold_no_control_characters),
        cmocka_unit_test(a_zero_byte_ends_no_value),
        cmocka_unit_test(nothing_allows_anew_while_opa_is_unavailable),
        cmocka_unit_test(fields),
        cmocka_unit_test(wrong_fields_are_named),
        cmocka_unit_test(what_is_recorded),
        cmocka_unit_test(what_is_erased),
        cmocka_unit_test(super_users_are_trimmed),
        cmocka_unit_test(wrong_super_users_are_named),
        cmocka_unit_test(an_unknown_key_suggests_the_nearest),
        cmocka_unit_test(what_is_like_no_key_suggests_nothing),
        cmocka_unit_test(foreign_keys_are_passed_over),
        cmocka_unit_test(a_repeated_key_is_refused),
        cmocka_unit_test(a_certificate_needs_its_key_and_tls),
        cmocka_unit_test(every_error_is_reported),
        cmocka_unit_test(the_first_error_is_the_one_that_is_kept),
        cmocka_unit_test(long_values_are_cut_in_messages),
        cmocka_unit_test(each_setting_is_tested_and_its_example_is_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
