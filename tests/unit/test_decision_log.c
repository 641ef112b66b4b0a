/* SPDX-License-Identifier: Apache-2.0 */
#include "decision_log.h"

#include "doorkeeper/clock.h"
#include "doorkeeper/file.h"
#include "doorkeeper/resolver.h"

#include "support/json_path.h"
#include "support/records.h"
#include "support/temp_dir.h"
#include "support/wait_until.h"

#include <zlib.h>

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#define SETTINGS_MAX 8
#define LINES_MAX 512
/* Of some questions. */
#define DIRECTORY_BYTES 1024u

struct fixture {
    struct temp_dir dir;
    char path[TEMP_PATH_MAX];
    struct dk_config config;
    struct dk_metrics *metrics;
    struct dk_log *log;
    struct dk_cache *cache;
    struct dk_question_directory *questions;
    struct dk_decision_log *decisions;
};

static const struct dk_hash_key hash_key = {1, 2};

static int set_up(void **state) {
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    assert_true(temp_dir_make(&fixture->dir));
    temp_dir_path(&fixture->dir, "decisions.jsonl", fixture->path);
    assert_int_equal(dk_log_new(64, &fixture->log), DK_OK);
    assert_int_equal(dk_metrics_new(&fixture->metrics), DK_OK);
    const struct dk_cache_options options = {.entries = 1024, .counts_hits = true};
    assert_int_equal(dk_cache_new(&options, &fixture->cache), DK_OK);
    *state = fixture;
    return 0;
}

static void end(struct fixture *fixture) {
    dk_decision_log_destroy(fixture->decisions);
    fixture->decisions = NULL;
    dk_question_directory_destroy(fixture->questions);
    fixture->questions = NULL;
    dk_config_clean_up(&fixture->config);
}

static int tear_down(void **state) {
    struct fixture *fixture = *state;
    end(fixture);
    dk_cache_destroy(fixture->cache);
    dk_metrics_destroy(fixture->metrics);
    dk_log_destroy(fixture->log);
    temp_dir_remove(&fixture->dir);
    free(fixture);
    return 0;
}

/* `settings`: names without "doorkeeper.decision.log." and values, by turns; NULL at the end. */
static enum dk_error try_to_begin(struct fixture *fixture, const char *const *settings,
                                  struct dk_error_text *why) {
    char names[SETTINGS_MAX][80];
    struct dk_setting list[SETTINGS_MAX] = {
        {dk_bytes_of("doorkeeper.decision.log.file"), dk_bytes_of(fixture->path)}};
    size_t count = 1;
    for (; *settings != NULL; settings += 2) {
        assert_true(count < SETTINGS_MAX);
        snprintf(names[count], sizeof(names[0]), "doorkeeper.decision.log.%s", settings[0]);
        list[count] = (struct dk_setting){dk_bytes_of(names[count]), dk_bytes_of(settings[1])};
        count++;
    }
    assert_int_equal(dk_config_parse(list, count, &fixture->config, why), DK_OK);
    if (dk_decision_log_mask(&fixture->config) == DK_AUDIT_RECORD_UNCACHED) {
        assert_int_equal(dk_question_directory_new(&hash_key, DIRECTORY_BYTES, &fixture->questions),
                         DK_OK);
    }
    const struct dk_decision_log_parts parts = {
        .config = &fixture->config,
        .hash_key = &hash_key,
        .cache = fixture->cache,
        .questions = fixture->questions,
        .metrics = fixture->metrics,
        .log = fixture->log,
    };
    return dk_decision_log_new(&parts, &fixture->decisions, why);
}

static void begin(struct fixture *fixture, const char *const *settings) {
    struct dk_error_text why = {""};
    if (try_to_begin(fixture, settings, &why) != DK_OK) {
        fail_msg("%s", why.text);
    }
}

/* Settings as for try_to_begin. */
#define BEGIN(fixture, ...) begin(fixture, (const char *const[]){__VA_ARGS__})

/* A call of alice's; `answers` holds as many as there are names. */
static void put(struct fixture *fixture, const char *const *names, const dk_answer *answers) {
    struct dk_writer context, request;
    size_t count = 0;
    dk_writer_init(&context, 4096);
    dk_writer_init(&request, 65536);
    write_certified_context(&context, "cluster", "alice", 0, 7);
    for (; names[count] != NULL; count++) {
        write_action(&request, names[count]);
    }
    const struct dk_decided_call call = {
        .address = dk_bytes_of("192.0.2.7"),
        .api = dk_bytes_of("Fetch"),
        .context = dk_writer_view(&context),
        .request = dk_writer_view(&request),
        .count = count,
        .answers = answers,
        .took_ns = 1234,
    };
    dk_decision_log_put(fixture->decisions, &call, "authz=r1");
    dk_writer_clean_up(&context);
    dk_writer_clean_up(&request);
}

static void put_denied(struct fixture *fixture, const char *name) {
    const dk_answer denied = DK_ANSWER(DK_DENY, DK_SOURCE_OPA);
    put(fixture, (const char *const[]){name, NULL}, &denied);
}

static void round_with(struct fixture *fixture, const char *revision) {
    (void)dk_decision_log_round(fixture->decisions, revision, 0);
}

static void end_period(struct fixture *fixture) {
    int64_t period_ms = fixture->config.decision_log_period_ms;
    fixture->config.decision_log_period_ms = 0;
    round_with(fixture, "authz=r1");
    fixture->config.decision_log_period_ms = period_ms;
}

/* ---- reading it back --------------------------------------------------------------------- */

struct lines {
    cJSON *list[LINES_MAX];
    size_t count;
};

static struct lines parse(struct dk_bytes text) {
    struct lines lines = {.count = 0};
    while (text.len > 0) {
        const uint8_t *end_of_line = memchr(text.ptr, '\n', text.len);
        assert_non_null(end_of_line);
        size_t len = (size_t)(end_of_line - text.ptr);
        assert_true(lines.count < LINES_MAX);
        lines.list[lines.count] = cJSON_ParseWithLength((const char *)text.ptr, len);
        assert_non_null(lines.list[lines.count++]);
        text.ptr += len + 1;
        text.len -= len + 1;
    }
    return lines;
}

static struct lines read_lines(struct fixture *fixture) {
    struct dk_writer text;
    struct dk_error_text why;
    round_with(fixture, "authz=r1");
    dk_writer_init(&text, 1024 * 1024);
    assert_int_equal(dk_file_read(fixture->path, &text, &why), DK_OK);
    struct lines lines = parse(dk_writer_view(&text));
    dk_writer_clean_up(&text);
    return lines;
}

static void forget(struct lines *lines) {
    for (size_t i = 0; i < lines->count; i++) {
        cJSON_Delete(lines->list[i]);
    }
}

static void expect_text(const cJSON *event, const char *path, const char *text) {
    const cJSON *found = json_at(event, path);
    assert_true(cJSON_IsString(found));
    assert_string_equal(found->valuestring, text);
}

static uint64_t recorded(struct fixture *fixture) {
    return dk_metrics_read(fixture->metrics, DK_METRIC_DECISIONS_RECORDED);
}

static uint64_t lost(struct fixture *fixture) {
    return dk_metrics_read(fixture->metrics, DK_METRIC_DECISIONS_LOST);
}

/* ---- events ------------------------------------------------------------------------------ */

static void an_event_has_the_shape_of_opas(void **state) {
    struct fixture *fixture = *state;
    const dk_answer allowed = DK_ANSWER(DK_ALLOW, DK_SOURCE_CACHE);
    BEGIN(fixture, "mode", "every", NULL);
    put(fixture, (const char *const[]){"a\n\"b", NULL}, &allowed);
    struct lines lines = read_lines(fixture);
    assert_int_equal(lines.count, 1);
    const cJSON *event = lines.list[0];
    expect_text(event, "input/cluster/id", "cluster");
    expect_text(event, "input/principal/name", "alice");
    expect_text(event, "input/action/operation", "READ");
    expect_text(event, "input/action/resource/name", "a\n\"b");
    expect_text(event, "path", "kafka/authz/allow");
    expect_text(event, "revision", "authz=r1");
    expect_text(event, "requested_by", "192.0.2.7");
    expect_text(event, "doorkeeper/outcome", "ALLOW");
    expect_text(event, "doorkeeper/source", "cache");
    expect_text(event, "doorkeeper/api", "Fetch");
    assert_true(cJSON_IsTrue(json_at(event, "result")));
    assert_int_equal(json_at(event, "metrics/timer_doorkeeper_authorize_ns")->valueint, 1234);
    assert_true(cJSON_IsString(json_at(event, "labels/id")));
    const cJSON *timestamp = json_at(event, "timestamp");
    assert_int_equal(strlen(timestamp->valuestring), strlen("2026-11-25T02:15:00.123456789Z"));
    assert_null(json_at(event, "erased"));
    assert_int_equal(recorded(fixture), 1);
    forget(&lines);
}

static void each_outcome_is_told_from_the_others(void **state) {
    struct fixture *fixture = *state;
    const dk_answer answers[] = {
        DK_ANSWER(DK_ALLOW, DK_SOURCE_OPA),
        DK_ANSWER(DK_DENY, DK_SOURCE_RULE),
        DK_ANSWER(DK_UNDEFINED, DK_SOURCE_OPA),
        DK_ANSWER(DK_UNAVAILABLE, DK_SOURCE_NONE),
    };
    BEGIN(fixture, "mode", "denied", NULL);
    put(fixture, (const char *const[]){"a", "b", "c", "d", NULL}, answers);
    struct lines lines = read_lines(fixture);
    assert_int_equal(lines.count, 3); /* and not what is allowed */
    assert_true(cJSON_IsFalse(json_at(lines.list[0], "result")));
    expect_text(lines.list[0], "doorkeeper/source", "rule");
    assert_null(json_at(lines.list[1], "result"));
    assert_null(json_at(lines.list[1], "error"));
    assert_null(json_at(lines.list[2], "result"));
    expect_text(lines.list[2], "error/message", "no valid answer in time");
    assert_string_not_equal(json_at(lines.list[0], "decision_id")->valuestring,
                            json_at(lines.list[1], "decision_id")->valuestring);
    forget(&lines);
}

static void what_is_erased_is_named_and_not_there(void **state) {
    struct fixture *fixture = *state;
    BEGIN(fixture, "mode", "denied", "erase", "address,name", NULL);
    put_denied(fixture, "secret");
    struct lines lines = read_lines(fixture);
    const cJSON *event = lines.list[0];
    assert_null(json_at(event, "input/action/resource/name"));
    assert_null(json_at(event, "requested_by"));
    assert_int_equal(cJSON_GetArraySize(json_at(event, "erased")), 2);
    assert_string_equal(cJSON_GetArrayItem(json_at(event, "erased"), 0)->valuestring,
                        "/requested_by");
    assert_string_equal(cJSON_GetArrayItem(json_at(event, "erased"), 1)->valuestring,
                        "/input/action/resource/name");
    forget(&lines);
}

static void what_has_no_question_is_counted_as_lost(void **state) {
    struct fixture *fixture = *state;
    const dk_answer denied = DK_ANSWER(DK_DENY, DK_SOURCE_NONE);
    struct dk_writer request;
    BEGIN(fixture, "mode", "denied", NULL);
    dk_writer_init(&request, 4096);
    write_action(&request, "a");
    const struct dk_decided_call call = {
        .request = dk_writer_view(&request), .count = 1, .answers = &denied};
    dk_decision_log_put(fixture->decisions, &call, "");
    struct lines lines = read_lines(fixture);
    assert_int_equal(lines.count, 0);
    assert_int_equal(lost(fixture), 1);
    dk_writer_clean_up(&request);
}

/* ---- equal decisions are counted --------------------------------------------------------- */

#define RULED DK_ANSWER(DK_ALLOW, DK_SOURCE_RULE)

static void put_answer(struct fixture *fixture, const char *name, dk_answer answer) {
    put(fixture, (const char *const[]){name, NULL}, &answer);
}

/* Of the question that `put` puts. */
static struct dk_hash128 key_of(struct fixture *fixture, const char *name) {
    struct dk_writer context_record, request_record;
    struct dk_context context;
    struct dk_action action;
    struct dk_keyed_hash begun;
    dk_writer_init(&context_record, 4096);
    dk_writer_init(&request_record, 4096);
    write_certified_context(&context_record, "cluster", "alice", 0, 7);
    write_action(&request_record, name);
    struct dk_bytes request = dk_writer_view(&request_record);
    assert_int_equal(dk_context_parse(dk_writer_view(&context_record), &context), DK_OK);
    assert_int_equal(dk_action_parse(&request, &action), DK_OK);
    dk_question_begin(&hash_key, &context, &begun);
    struct dk_hash128 key = dk_question_key(&begun, &action, dk_cache_epoch(fixture->cache));
    dk_writer_clean_up(&context_record);
    dk_writer_clean_up(&request_record);
    return key;
}

/* OPA decided it 5 s ago, and the cache was asked since. */
static void hit(struct fixture *fixture, const char *name, enum dk_outcome outcome, size_t times) {
    struct dk_hash128 key = key_of(fixture, name);
    int64_t now_ms = dk_clock_ms();
    int64_t ttl_ms = dk_decision_ttl_ms(&fixture->config, outcome, key);
    dk_cache_insert(fixture->cache, key, dk_cache_epoch(fixture->cache), outcome,
                    now_ms - 5000 + ttl_ms, now_ms);
    for (size_t i = 0; i < times; i++) {
        assert_int_equal(dk_cache_lookup(fixture->cache, key, now_ms).lookup, DK_LOOKUP_FRESH);
    }
}

static void expect_count(const cJSON *event, int count) {
    assert_true(cJSON_IsNumber(json_at(event, "count")));
    assert_int_equal(json_at(event, "count")->valueint, count);
    assert_true(cJSON_IsString(json_at(event, "doorkeeper/since")));
    assert_null(json_at(event, "requested_by")); /* they may differ in these */
    assert_null(json_at(event, "doorkeeper/api"));
    assert_null(json_at(event, "metrics"));
}

static void the_first_is_written_at_once_and_the_others_at_the_end(void **state) {
    struct fixture *fixture = *state;
    BEGIN(fixture, NULL);
    put(fixture, (const char *const[]){"a", "a", "b", "a", NULL},
        (const dk_answer[]){RULED, RULED, RULED, RULED});
    struct lines lines = read_lines(fixture);
    assert_int_equal(lines.count, 2);
    assert_null(json_at(lines.list[0], "count"));
    expect_text(lines.list[0], "doorkeeper/api", "Fetch");
    expect_text(lines.list[1], "input/action/resource/name", "b");
    assert_int_equal(recorded(fixture), 2);
    forget(&lines);
    end_period(fixture);
    lines = read_lines(fixture);
    assert_int_equal(lines.count, 3);
    expect_text(lines.list[2], "input/action/resource/name", "a");
    expect_text(lines.list[2], "doorkeeper/source", "rule");
    expect_text(lines.list[2], "revision", "authz=r1");
    expect_count(lines.list[2], 2);
    assert_int_equal(recorded(fixture), 4);
    forget(&lines);
}

static void each_period_has_a_first_one(void **state) {
    struct fixture *fixture = *state;
    BEGIN(fixture, NULL);
    put_answer(fixture, "a", RULED);
    end_period(fixture);
    put_answer(fixture, "a", RULED);
    put_answer(fixture, "a", RULED);
    struct lines lines = read_lines(fixture);
    assert_int_equal(lines.count, 2);
    assert_null(json_at(lines.list[1], "count"));
    forget(&lines);
}

static void another_answer_is_written_at_once(void **state) {
    struct fixture *fixture = *state;
    const dk_answer allowed = DK_ANSWER(DK_ALLOW, DK_SOURCE_OPA);
    const dk_answer denied = DK_ANSWER(DK_DENY, DK_SOURCE_OPA);
    BEGIN(fixture, NULL);
    put(fixture, (const char *const[]){"a", "a", "a", "a", NULL},
        (const dk_answer[]){allowed, allowed, denied, denied});
    struct lines lines = read_lines(fixture);
    assert_int_equal(lines.count, 3);
    assert_true(cJSON_IsTrue(json_at(lines.list[1], "result")));
    expect_count(lines.list[1], 1);
    assert_true(cJSON_IsFalse(json_at(lines.list[2], "result")));
    assert_null(json_at(lines.list[2], "count"));
    forget(&lines);
}

static void hits_are_taken_from_the_cache(void **state) {
    struct fixture *fixture = *state;
    BEGIN(fixture, NULL);
    put_answer(fixture, "a", DK_ANSWER(DK_ALLOW, DK_SOURCE_OPA));
    put_answer(fixture, "a", DK_ANSWER(DK_ALLOW, DK_SOURCE_CACHE)); /* the cache counts these */
    hit(fixture, "a", DK_ALLOW, 1000);
    hit(fixture, "no-text", DK_DENY, 7);
    struct lines lines = read_lines(fixture);
    assert_int_equal(lines.count, 1);
    forget(&lines);
    end_period(fixture);
    lines = read_lines(fixture);
    assert_int_equal(lines.count, 2);
    expect_text(lines.list[1], "doorkeeper/source", "cache");
    expect_text(lines.list[1], "doorkeeper/outcome", "ALLOW");
    expect_text(lines.list[1], "input/action/resource/name", "a");
    expect_count(lines.list[1], 1000);
    assert_in_range(json_at(lines.list[1], "doorkeeper/age_ms")->valueint, 5000, 60000);
    assert_int_equal(recorded(fixture), 1001);
    assert_int_equal(lost(fixture), 7);
    forget(&lines);
}

/* What was decided under an epoch is written with the revision of that epoch. */
static void an_epoch_that_ends_is_written_first(void **state) {
    struct fixture *fixture = *state;
    BEGIN(fixture, NULL);
    put_answer(fixture, "a", DK_ANSWER(DK_ALLOW, DK_SOURCE_OPA));
    round_with(fixture, "authz=r1");
    hit(fixture, "a", DK_ALLOW, 2);
    round_with(fixture, "authz=r2"); /* told a moment before the epoch ends */
    dk_cache_bump_epoch(fixture->cache);
    hit(fixture, "a", DK_DENY, 3);
    round_with(fixture, "authz=r2");
    end(fixture);
    struct dk_writer text;
    dk_writer_init(&text, 1024 * 1024);
    assert_int_equal(dk_file_read(fixture->path, &text, NULL), DK_OK);
    struct lines lines = parse(dk_writer_view(&text));
    assert_int_equal(lines.count, 3);
    expect_count(lines.list[1], 2);
    expect_text(lines.list[1], "revision", "authz=r1");
    expect_count(lines.list[2], 3);
    expect_text(lines.list[2], "revision", "authz=r2");
    expect_text(lines.list[2], "doorkeeper/outcome", "DENY");
    assert_int_equal(lost(fixture), 0);
    dk_writer_clean_up(&text);
    forget(&lines);
}

/* The directory holds some questions only: what leaves it is written before. */
static void a_question_that_has_to_go_is_written_first(void **state) {
    struct fixture *fixture = *state;
    char name[24];
    size_t put_count = 20;
    uint64_t decisions = 0;
    BEGIN(fixture, NULL);
    round_with(fixture, "authz=r1");
    for (size_t i = 0; i < put_count; i++) {
        snprintf(name, sizeof(name), "topic-%zu", i);
        put_answer(fixture, name, RULED);
        put_answer(fixture, name, RULED);
        round_with(fixture, "authz=r1");
        hit(fixture, name, DK_ALLOW, 5);
        decisions += 7;
    }
    assert_in_range(dk_question_directory_count(fixture->questions), 1, put_count - 1);
    end_period(fixture);
    assert_int_equal(recorded(fixture), decisions);
    assert_int_equal(lost(fixture), 0);
}

static void a_decision_that_is_replaced_loses_its_hits(void **state) {
    struct fixture *fixture = *state;
    BEGIN(fixture, NULL);
    put_answer(fixture, "a", DK_ANSWER(DK_ALLOW, DK_SOURCE_OPA));
    round_with(fixture, "authz=r1");
    hit(fixture, "a", DK_ALLOW, 2);
    hit(fixture, "a", DK_ALLOW, 2); /* decided again, but equally */
    hit(fixture, "a", DK_DENY, 3);
    end_period(fixture);
    assert_int_equal(recorded(fixture), 1 + 3);
    assert_int_equal(lost(fixture), 4);
}

/* ---- a file in trouble ------------------------------------------------------------------- */

static void a_file_that_cannot_be_written_is_an_error_at_the_start(void **state) {
    struct fixture *fixture = *state;
    struct dk_error_text why = {""};
    temp_dir_path(&fixture->dir, "no-such/decisions.jsonl", fixture->path);
    assert_int_equal(try_to_begin(fixture, (const char *const[]){NULL}, &why), DK_ERR_CONFIG);
    assert_non_null(strstr(why.text, "doorkeeper.decision.log.file="));
    assert_non_null(strstr(why.text, "No such file"));
}

static void what_a_crash_left_of_a_line_is_cut_off(void **state) {
    struct fixture *fixture = *state;
    static const char left[] = "{\"whole\":1}\n{\"hal";
    assert_true(temp_dir_write(&fixture->dir, "decisions.jsonl", dk_bytes_of(left), fixture->path));
    BEGIN(fixture, "mode", "denied", NULL);
    put_denied(fixture, "a");
    struct lines lines = read_lines(fixture);
    assert_int_equal(lines.count, 2);
    assert_non_null(json_at(lines.list[0], "whole"));
    forget(&lines);
}

static void a_full_ring_loses_and_counts(void **state) {
    struct fixture *fixture = *state;
    BEGIN(fixture, "mode", "denied", "buffer.bytes", "65536", NULL);
    for (size_t i = 0; i < 1000; i++) {
        put_denied(fixture, "a");
    }
    uint64_t were_lost = lost(fixture);
    assert_in_range(were_lost, 1, 999);
    round_with(fixture, "authz=r1");
    assert_int_equal(recorded(fixture), 1000 - were_lost);
}

static void a_full_disk_loses_whole_lines_and_counts(void **state) {
    struct fixture *fixture = *state;
    struct rlimit before, small = {3000, RLIM_INFINITY};
    BEGIN(fixture, "mode", "denied", NULL);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small.rlim_max = before.rlim_max;
    (void)signal(SIGXFSZ, SIG_IGN);
    put_denied(fixture, "a");
    round_with(fixture, "authz=r1");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (size_t i = 0; i < 20; i++) {
        put_denied(fixture, "b");
    }
    round_with(fixture, "authz=r1");
    assert_int_equal(lost(fixture), 20);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    put_denied(fixture, "c");
    struct lines lines = read_lines(fixture);
    assert_int_equal(lines.count, 2);
    expect_text(lines.list[1], "input/action/resource/name", "c");
    assert_int_equal(recorded(fixture), 2);
    forget(&lines);
}

static bool is_begun_anew(struct fixture *fixture) {
    round_with(fixture, "authz=r1");
    return access(fixture->path, F_OK) == 0;
}

static void a_file_that_somebody_moved_is_begun_anew(void **state) {
    struct fixture *fixture = *state;
    char moved[TEMP_PATH_MAX];
    BEGIN(fixture, "mode", "denied", NULL);
    put_denied(fixture, "a");
    round_with(fixture, "authz=r1");
    temp_dir_path(&fixture->dir, "moved", moved);
    assert_int_equal(rename(fixture->path, moved), 0);
    WAIT_UNTIL(is_begun_anew(fixture));
    put_denied(fixture, "b");
    struct lines lines = read_lines(fixture);
    assert_int_equal(lines.count, 1);
    expect_text(lines.list[0], "input/action/resource/name", "b");
    forget(&lines);
}

/* ---- earlier files ----------------------------------------------------------------------- */

struct seen {
    size_t packed, others, lines;
};

static size_t count_packed_lines(const char *path) {
    char room[4096];
    size_t lines = 0;
    int len;
    gzFile file = gzopen(path, "rb");
    assert_non_null(file);
    while ((len = gzread(file, room, sizeof(room))) > 0) {
        for (int i = 0; i < len; i++) {
            lines += room[i] == '\n';
        }
    }
    assert_int_equal(len, 0);
    assert_int_equal(gzclose(file), Z_OK);
    return lines;
}

static struct seen look(struct fixture *fixture) {
    struct seen seen = {0, 0, 0};
    DIR *directory = opendir(fixture->dir.path);
    assert_non_null(directory);
    for (const struct dirent *entry = readdir(directory); entry != NULL;
         entry = readdir(directory)) {
        char path[TEMP_PATH_MAX];
        const char *name = entry->d_name;
        if (name[0] == '.' || strcmp(name, "decisions.jsonl") == 0) {
            continue;
        }
        temp_dir_path(&fixture->dir, name, path);
        bool is_packed = strlen(name) > 3 && strcmp(name + strlen(name) - 3, ".gz") == 0;
        seen.packed += is_packed;
        seen.others += !is_packed;
        seen.lines += is_packed ? count_packed_lines(path) : 0;
    }
    (void)closedir(directory);
    return seen;
}

static void a_large_file_is_packed_and_the_next_begun(void **state) {
    struct fixture *fixture = *state;
    struct seen seen = {0, 1, 0};
    BEGIN(fixture, "mode", "denied", "rotate.bytes", "65536", NULL);
    for (size_t i = 0; i < 300; i++) {
        put_denied(fixture, "a");
        round_with(fixture, "authz=r1");
    }
    for (int i = 0; i < 100 && seen.others > 0; i++) {
        round_with(fixture, "authz=r1");
        seen = look(fixture);
    }
    assert_true(seen.packed > 0);
    assert_int_equal(seen.others, 0);
    struct lines lines = read_lines(fixture);
    assert_int_equal(seen.lines + lines.count, 300);
    assert_int_equal(recorded(fixture), 300);
    forget(&lines);
}

static void one_round_may_fill_several_files(void **state) {
    struct fixture *fixture = *state;
    BEGIN(fixture, "mode", "denied", "rotate.bytes", "65536", NULL);
    for (size_t i = 0; i < 600; i++) {
        put_denied(fixture, "a");
    }
    round_with(fixture, "authz=r1");
    assert_true(look(fixture).others > 3); /* one may be what the compressor has begun */
    assert_int_equal(recorded(fixture), 600);
}

static void only_so_many_earlier_files_are_kept(void **state) {
    struct fixture *fixture = *state;
    struct seen seen = {0, 1, 0};
    char path[TEMP_PATH_MAX];
    assert_true(temp_dir_write(&fixture->dir, "decisions.jsonl.20200101T000000Z",
                               dk_bytes_of("{}\n"), path));
    assert_true(temp_dir_write(&fixture->dir, "decisions.jsonl.20200102T000000Z",
                               dk_bytes_of("{}\n{}\n"), path));
    BEGIN(fixture, "mode", "denied", "files", "1", NULL);
    for (int i = 0; i < 100 && seen.others > 0; i++) {
        round_with(fixture, "authz=r1");
        seen = look(fixture);
    }
    assert_int_equal(seen.packed, 1);
    assert_int_equal(seen.lines, 2); /* the younger one */
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(an_event_has_the_shape_of_opas),
        TEST(each_outcome_is_told_from_the_others),
        TEST(what_is_erased_is_named_and_not_there),
        TEST(what_has_no_question_is_counted_as_lost),
        TEST(the_first_is_written_at_once_and_the_others_at_the_end),
        TEST(each_period_has_a_first_one),
        TEST(another_answer_is_written_at_once),
        TEST(hits_are_taken_from_the_cache),
        TEST(an_epoch_that_ends_is_written_first),
        TEST(a_question_that_has_to_go_is_written_first),
        TEST(a_decision_that_is_replaced_loses_its_hits),
        TEST(a_file_that_cannot_be_written_is_an_error_at_the_start),
        TEST(what_a_crash_left_of_a_line_is_cut_off),
        TEST(a_full_ring_loses_and_counts),
        TEST(a_full_disk_loses_whole_lines_and_counts),
        TEST(a_file_that_somebody_moved_is_begun_anew),
        TEST(a_large_file_is_packed_and_the_next_begun),
        TEST(one_round_may_fill_several_files),
        TEST(only_so_many_earlier_files_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
