/* SPDX-License-Identifier: Apache-2.0 */
/* Logs as OPA writes them, and as an attacker would: log_reader.h, log_event.h, json_scan.h. */
#include "log_reader.h"

#include "json_scan.h"
#include "log_event.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#define MAX_EVENT 4096u

/* ---- helpers ----------------------------------------------------------------------------- */

static int file_of(const void *bytes, size_t len) {
    int fd = memfd_create("log", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), len);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

/* What reading gives, as "line:text" and "line!why", joined by spaces. */
static void read_all(const void *bytes, size_t len, struct dk_writer *out) {
    struct dk_log_reader *reader = NULL;
    int fd = file_of(bytes, len);
    dk_writer_init(out, (size_t)64 * 1024 * 1024);
    assert_int_equal(dk_log_reader_new(fd, MAX_EVENT, &reader), DK_OK);
    for (;;) {
        struct dk_bytes text;
        struct dk_error_text why = {""};
        enum dk_log_read read = dk_log_reader_next(reader, &text, &why);
        if (read == DK_LOG_END) {
            break;
        }
        dk_writer_text(out, out->len > 0 ? " " : "");
        dk_writer_u64_decimal(out, dk_log_reader_line(reader));
        dk_writer_text(out, read == DK_LOG_EVENT ? ":" : "!");
        dk_writer_bytes(out, read == DK_LOG_EVENT ? text : dk_bytes_of(why.text));
    }
    assert_int_equal(dk_log_reader_consumed(reader), len);
    dk_log_reader_destroy(reader);
    close(fd);
    dk_writer_bytes(out, (struct dk_bytes){(const uint8_t *)"", 1});
    assert_false(out->failed);
}

static void expect(const char *log, const char *wanted) {
    struct dk_writer got;
    read_all(log, strlen(log), &got);
    assert_string_equal((const char *)got.ptr, wanted);
    dk_writer_clean_up(&got);
}

static size_t pack(const void *bytes, size_t len, uint8_t *out, size_t capacity) {
    z_stream zlib = {0};
    assert_int_equal(deflateInit2(&zlib, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY), Z_OK);
    zlib.next_in = (Bytef *)(uintptr_t)bytes;
    zlib.avail_in = (uInt)len;
    zlib.next_out = out;
    zlib.avail_out = (uInt)capacity;
    assert_int_equal(deflate(&zlib, Z_FINISH), Z_STREAM_END);
    size_t packed = zlib.total_out;
    deflateEnd(&zlib);
    return packed;
}

static const char *wrong_of(const char *text) {
    static struct dk_error_text why;
    struct dk_log_event event;
    why.text[0] = '\0';
    assert_int_equal(dk_log_event_parse(dk_bytes_of(text), &event, &why), DK_EVENT_MALFORMED);
    return why.text;
}

static struct dk_log_event event_of(const char *text) {
    struct dk_log_event event;
    struct dk_error_text why = {""};
    enum dk_log_event_kind kind = dk_log_event_parse(dk_bytes_of(text), &event, &why);
    if (kind != DK_EVENT_DECISION) {
        fail_msg("%s: %d %s", text, (int)kind, why.text);
    }
    return event;
}

static void expect_text(struct dk_bytes got, const char *wanted) {
    assert_true(dk_bytes_equal(got, dk_bytes_of(wanted)));
}

/* ---- the forms of a log ------------------------------------------------------------------ */

static void test_lines(void **state) {
    (void)state;
    expect("", "");
    expect("\n \n", "");
    expect("{\"a\":1}\n{\"b\":2}\n", "1:{\"a\":1} 2:{\"b\":2}");
    expect("\n{\"a\":1}\r\n\n{\"b\":2}", "2:{\"a\":1}\r 4:{\"b\":2}");
    expect("x", "1:x");
}

static void test_arrays(void **state) {
    (void)state;
    expect("[]", "");
    expect("[{\"a\":1},{\"b\":[2]}]", "1:{\"a\":1} 1:{\"b\":[2]}");
    expect("[\n  {\"a\":\n 1},\n  {\"b\":2}\n]\n[{\"c\":3}]\n{\"d\":4}\n",
           "2:{\"a\":\n 1} 4:{\"b\":2} 6:{\"c\":3} 7:{\"d\":4}");
}

static void test_what_is_wrong_in_an_array_ends_with_its_line(void **state) {
    (void)state;
    expect("[{\"a\":1},\n7,\n{\"b\":2}]",
           "1:{\"a\":1} 2!no event at this place of the array 3:{\"b\":2}");
    expect("[{\"a\":x},{\"b\":2}]\n[{\"c\":3}]", "1!not JSON 2:{\"c\":3}");
    expect("[{\"a\":1}", "1:{\"a\":1} 1!the array is not closed");
    expect("[{\"a\":", "1!the array ends inside an event");
    expect("[\n{\"a\":\"\n", "2!not JSON");
}

static void test_an_event_longer_than_allowed_is_passed_over(void **state) {
    (void)state;
    static char log[2 * 1024 * 1024 + 64];
    struct dk_writer got;
    memset(log, 'x', sizeof(log));
    memcpy(log, "{\"a\":1}\n", 8);
    memcpy(log + sizeof(log) - 9, "\n{\"b\":2}\n", 9);
    read_all(log, sizeof(log), &got);
    assert_string_equal((const char *)got.ptr,
                        "1:{\"a\":1} 2!an event of more than 4096 bytes 3:{\"b\":2}");
    dk_writer_clean_up(&got);
    memcpy(log, "[{\"a\":\"x", 8);
    read_all(log, sizeof(log), &got);
    assert_string_equal((const char *)got.ptr, "1!an event of more than 4096 bytes 2:{\"b\":2}");
    dk_writer_clean_up(&got);
}

static void test_events_cross_the_window(void **state) {
    (void)state;
    struct dk_writer log, got;
    dk_writer_init(&log, (size_t)8 * 1024 * 1024);
    char line[1200];
    int len = snprintf(line, sizeof(line), "{\"a\":\"%01000d\"}\n", 7);
    for (int i = 0; i < 3000; i++) {
        dk_writer_bytes(&log, (struct dk_bytes){(const uint8_t *)line, (size_t)len});
    }
    read_all(log.ptr, log.len, &got);
    assert_non_null(strstr((const char *)got.ptr, " 3000:{\"a\":\"000"));
    assert_null(strchr((const char *)got.ptr, '!'));
    dk_writer_clean_up(&got);
    dk_writer_clean_up(&log);
}

/* ---- gzip -------------------------------------------------------------------------------- */

static void test_gzip_of_one_and_several_members(void **state) {
    (void)state;
    static const char first[] = "[{\"a\":1}]", second[] = "\n{\"b\":2}\n";
    uint8_t packed[512];
    struct dk_writer got;
    size_t len = pack(first, strlen(first), packed, sizeof(packed));
    len += pack(second, strlen(second), packed + len, sizeof(packed) - len);
    read_all(packed, len, &got);
    assert_string_equal((const char *)got.ptr, "1:{\"a\":1} 2:{\"b\":2}");
    dk_writer_clean_up(&got);
}

static void test_gzip_that_is_cut_or_damaged(void **state) {
    (void)state;
    static const char log[] = "{\"a\":1}\n{\"b\":2}\n";
    uint8_t packed[512];
    struct dk_writer got;
    size_t len = pack(log, strlen(log), packed, sizeof(packed));
    read_all(packed, len - 4, &got);
    assert_string_equal((const char *)got.ptr,
                        "1:{\"a\":1} 2:{\"b\":2} 3!the gzip file ends too early");
    dk_writer_clean_up(&got);
    read_all(packed, 2, &got);
    assert_string_equal((const char *)got.ptr, "1!the gzip file ends too early");
    dk_writer_clean_up(&got);
    memcpy(packed + len, "garbage", 7);
    read_all(packed, len + 7, &got);
    assert_string_equal((const char *)got.ptr,
                        "1:{\"a\":1} 2:{\"b\":2} 3!the gzip file is damaged from here on");
    dk_writer_clean_up(&got);
}

/* 64 MiB out of 64 KiB: one line, which is passed over without being kept. */
static void test_a_gzip_bomb_takes_no_memory(void **state) {
    (void)state;
    size_t len = (size_t)64 * 1024 * 1024;
    char *zeros = calloc(1, len);
    uint8_t *packed = malloc((size_t)1024 * 1024);
    struct dk_writer got;
    assert_true(zeros != NULL && packed != NULL);
    size_t packed_len = pack(zeros, len, packed, (size_t)1024 * 1024);
    free(zeros);
    read_all(packed, packed_len, &got);
    assert_string_equal((const char *)got.ptr, "1!an event of more than 4096 bytes");
    dk_writer_clean_up(&got);
    free(packed);
}

/* ---- events ------------------------------------------------------------------------------ */

#define TIME "\"timestamp\":\"2026-03-01T00:00:00Z\""

static void test_an_event(void **state) {
    (void)state;
    struct dk_log_event event = event_of(
        " { \"decision_id\":\"x\",\"path\":\"kafka/authz/allow\",\"input\": {\"a\":[1,{}]} ,"
        "\"result\":true,\"timestamp\":\"2026-03-01T12:00:00.25Z\",\"count\":17,"
        "\"labels\":{\"input\":{\"b\":2}}} ");
    expect_text(event.path, "kafka/authz/allow");
    expect_text(event.input, "{\"a\":[1,{}]}");
    expect_text(event.result, "true");
    assert_int_equal(event.count, 17);
    assert_int_equal(event.time_ns, INT64_C(1772366400250000000));
    assert_false(event.failed || event.input_masked || event.result_masked ||
                 event.nondeterministic);
    event = event_of("{\"path\":\"/a/b\",\"input\":1," TIME ",\"error\":{\"code\":\"x\"}}");
    expect_text(event.path, "a/b");
    assert_true(event.failed && event.result.ptr == NULL && event.count == 1);
}

static void test_what_cannot_be_reproduced_is_noted(void **state) {
    (void)state;
    struct dk_log_event event =
        event_of("{\"path\":\"a\",\"input\":1," TIME ",\"erased\":[\"/input/principal\"]}");
    assert_true(event.input_masked && !event.result_masked);
    event = event_of("{\"path\":\"a\",\"input\":1," TIME ",\"masked\":[\"/result\"]}");
    assert_true(!event.input_masked && event.result_masked);
    event = event_of("{\"path\":\"a\",\"input\":1," TIME ",\"masked\":[\"\\u002finput\"]}");
    assert_true(event.input_masked && event.result_masked);
    event = event_of("{\"path\":\"a\",\"input\":1," TIME ",\"erased\":[],\"nd_builtin_cache\":{}}");
    assert_false(event.input_masked || event.result_masked || event.nondeterministic);
    event = event_of("{\"path\":\"a\",\"input\":1," TIME
                     ",\"nd_builtin_cache\":{\"time.now_ns\":{\"[]\":1}}}");
    assert_true(event.used_time && !event.nondeterministic);
    event = event_of("{\"path\":\"a\",\"input\":1," TIME
                     ",\"nd_builtin_cache\":{\"time.now_ns\":{},\"http.send\":{}}}");
    assert_true(event.used_time && event.nondeterministic);
    event = event_of("{\"path\":\"a\",\"input\":1," TIME ",\"nd_builtin_cache\":[1]}");
    assert_true(!event.used_time && event.nondeterministic);
    event = event_of("{\"path\":\"a\",\"input\":1," TIME ",\"erased\":[\"/requested_by\"]}");
    assert_false(event.input_masked || event.result_masked);
    event = event_of("{\"path\":\"a\"," TIME ",\"erased\":[\"/input\"]}");
    assert_true(event.input_masked && event.input.ptr == NULL);
}

/* A super user's, say: what a policy would have said nobody asked. */
static void test_decisions_of_local_rules(void **state) {
    (void)state;
    static const char rule[] = "{\"path\":\"a\",\"input\":1," TIME
                               ",\"doorkeeper\":{\"outcome\":\"ALLOW\",\"source\":\"rule\"}}";
    struct dk_log_event event;
    struct dk_error_text why;
    assert_int_equal(dk_log_event_parse(dk_bytes_of(rule), &event, &why), DK_EVENT_LOCAL);
    (void)event_of("{\"path\":\"a\",\"input\":1," TIME ",\"doorkeeper\":{\"source\":\"cache\"}}");
}

static void test_lines_that_are_no_decisions(void **state) {
    (void)state;
    static const char *const others[] = {
        "{\"level\":\"info\",\"msg\":\"Initializing server.\",\"time\":\"x\"}",
        "{\"msg\":\"Received request.\",\"path\":\"a\",\"input\":1}",
        "{\"query\":\"data.a\",\"input\":1," TIME "}",
        "{\"path\":\"a\"," TIME "}",
        "{}",
    };
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        struct dk_log_event event;
        struct dk_error_text why;
        assert_int_equal(dk_log_event_parse(dk_bytes_of(others[i]), &event, &why), DK_EVENT_OTHER);
    }
    (void)event_of("{\"msg\":\"Decision Log\",\"path\":\"a\",\"input\":1," TIME "}");
}

static void test_events_that_are_wrong(void **state) {
    (void)state;
    char deep[400] = "{\"path\":\"a\",\"input\":";
    memset(deep + strlen(deep), '[', 100);
    assert_string_equal(wrong_of(deep), "nested too deep");
    assert_string_equal(wrong_of("7"), "not a JSON object");
    assert_string_equal(wrong_of("[]"), "not a JSON object");
    assert_string_equal(wrong_of("{\"a\":1} x"), "not a JSON object");
    assert_string_equal(wrong_of("{\"a\":1,}"), "not a JSON object");
    assert_string_equal(wrong_of("{\"a\":1"), "the event ends too early");
    assert_string_equal(wrong_of("{\"a"), "the event ends too early");
    assert_string_equal(wrong_of("{\"path\":\"a\",\"path\":\"b\"}"),
                        "a member of the event stands there twice");
    assert_string_equal(wrong_of("{\"path\":\"a?b\",\"input\":1," TIME "}"),
                        "path: not the path of a rule");
    assert_string_equal(wrong_of("{\"path\":\"a/../../policies\",\"input\":1," TIME "}"),
                        "path: not the path of a rule");
    assert_string_equal(wrong_of("{\"path\":\"a\",\"input\":1,\"timestamp\":\"yesterday\"}"),
                        "timestamp: expected a time as 2026-03-01T12:00:00Z");
    assert_string_equal(wrong_of("{\"path\":\"a\",\"input\":1," TIME ",\"count\":0}"),
                        "count: expected a whole number from 1 to 4294967295");
}

static void test_times(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t ns;
    } times[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"2000-02-29T23:59:59.999999999Z", INT64_C(951868799999999999)},
        {"2026-03-01t12:00:00.5+01:30", INT64_C(1772361000500000000)},
        {"2026-03-01 12:00:00-00:30", INT64_C(1772368200000000000)},
    };
    static const char *const wrong[] = {"",
                                        "2026",
                                        "2026-13-01T00:00:00Z",
                                        "2026-03-01T24:00:00Z",
                                        "2026-03-01T00:00:00",
                                        "2026-03-01T00:00:00Zx",
                                        "2026-03-01T00:00:00.Z",
                                        "1969-12-31T23:59:59Z"};
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        int64_t ns = -1;
        assert_true(dk_timestamp_parse(dk_bytes_of(times[i].text), &ns));
        assert_int_equal(ns, times[i].ns);
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        int64_t ns;
        assert_false(dk_timestamp_parse(dk_bytes_of(wrong[i]), &ns));
    }
    struct dk_timestamp_text room;
    assert_string_equal(dk_timestamp_write(INT64_C(951868799999999999), &room),
                        "2000-02-29T23:59:59Z");
    assert_string_equal(dk_timestamp_write(-1, &room), "1969-12-31T23:59:59Z");
}

/* ---- JSON -------------------------------------------------------------------------------- */

static enum dk_json_scan scan(const char *text, size_t *left) {
    struct dk_bytes rest = dk_bytes_of(text), value;
    enum dk_json_scan result = dk_json_scan_value(&rest, &value);
    *left = rest.len;
    return result;
}

static void test_json_values(void **state) {
    (void)state;
    static const char *const good[] = {"0",
                                       "-1.5e+3",
                                       "true",
                                       "null",
                                       "\"\"",
                                       "\"a\\u00e9\\n\"",
                                       "{}",
                                       "[]",
                                       "[1,[2],{\"a\":{}}]",
                                       " { \"a\" : [ ] , \"b\" : \"\\\"\" }"};
    static const char *const bad[] = {
        "01 ",  "+1 ",       "1. ",         ".5 ",    "1e ",   "tru,",       "nul]",
        "'a' ", "\"\\x\"",   "\"\\u12g4\"", "\"\n\"", "{1:2}", "{\"a\" 1}",  "[1 2]",
        "[1}",  "{\"a\":1]", "[,]",         "{,}",    "[1,]",  "{\"a\":1,}", "}"};
    static const char *const cut[] = {"",       " ",       "\"",  "\"a\\",  "\"\\u12", "{",
                                      "{\"a\"", "{\"a\":", "[1,", "[\"a\"", "tr",      "-"};
    size_t left;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(scan(good[i], &left), DK_JSON_OK);
        assert_int_equal(left, 0);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(scan(bad[i], &left), DK_JSON_MALFORMED);
    }
    for (size_t i = 0; i < sizeof(cut) / sizeof(cut[0]); i++) {
        assert_int_equal(scan(cut[i], &left), DK_JSON_CUT);
    }
}

/* A control character is found wherever it stands in the eight bytes that are looked at at once. */
static void test_json_strings_are_looked_at_byte_by_byte(void **state) {
    (void)state;
    for (size_t at = 1; at < 30; at++) {
        char text[64];
        size_t left;
        memset(text, 0x7f, sizeof(text));
        text[0] = '"';
        text[31] = '"';
        text[32] = '\0';
        assert_int_equal(scan(text, &left), DK_JSON_OK);
        text[at] = 0x1f;
        assert_int_equal(scan(text, &left), DK_JSON_MALFORMED);
        text[at] = '"';
        assert_int_equal(scan(text, &left), DK_JSON_OK);
        assert_int_equal(left, 31 - at);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_arrays),
        cmocka_unit_test(test_what_is_wrong_in_an_array_ends_with_its_line),
        cmocka_unit_test(test_an_event_longer_than_allowed_is_passed_over),
        cmocka_unit_test(test_events_cross_the_window),
        cmocka_unit_test(test_gzip_of_one_and_several_members),
        cmocka_unit_test(test_gzip_that_is_cut_or_damaged),
        cmocka_unit_test(test_a_gzip_bomb_takes_no_memory),
        cmocka_unit_test(test_an_event),
        cmocka_unit_test(test_what_cannot_be_reproduced_is_noted),
        cmocka_unit_test(test_decisions_of_local_rules),
        cmocka_unit_test(test_lines_that_are_no_decisions),
        cmocka_unit_test(test_events_that_are_wrong),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_json_values),
        cmocka_unit_test(test_json_strings_are_looked_at_byte_by_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
