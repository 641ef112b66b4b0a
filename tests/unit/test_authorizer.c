/* SPDX-License-Identifier: Apache-2.0 */
/* The façade: local rules, cache, OPA, and what a caller gets to see of them. */
#include "doorkeeper/authorizer.h"

#include "doorkeeper/clock.h"

#include "support/fake_opa.h"
#include "support/records.h"
#include "support/wait_until.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CLUSTER "cluster-1"
#define RULED(outcome) DK_ANSWER(outcome, DK_SOURCE_RULE)
#define CACHED(outcome) DK_ANSWER(outcome, DK_SOURCE_CACHE)
#define ASKED(outcome) DK_ANSWER(outcome, DK_SOURCE_OPA)
#define BY_NOBODY(outcome) DK_ANSWER(outcome, DK_SOURCE_NONE)
#define NAMES_MAX 200u

struct fixture {
    struct fake_opa *opa;
    struct dk_authorizer *authorizer;
    pthread_t io;
    bool runs;
    char lines[20000];
};

static void *run(void *user) {
    dk_authorizer_run(user);
    return NULL;
}

/* `extra`: one more setting, or NULL. */
static enum dk_error make(const char *url, const char *key, const char *value,
                          struct dk_authorizer **out, struct dk_error_text *why) {
    struct dk_config config;
    const struct dk_setting settings[] = {
        {dk_bytes_of("doorkeeper.opa.url"), dk_bytes_of(url)},
        {dk_bytes_of("super.users"), dk_bytes_of("User:root; User:CN=a:b ;Service:root")},
        {dk_bytes_of("doorkeeper.deadline.ms"), dk_bytes_of("2000")},
        {dk_bytes_of("doorkeeper.opa.poll.interval.ms"), dk_bytes_of("60000")},
        {dk_bytes_of(key), dk_bytes_of(value)},
    };
    assert_int_equal(dk_config_parse(settings, key != NULL ? 5 : 4, &config, why), DK_OK);
    return dk_authorizer_new(&config, out, why);
}

static void start_with(struct fixture *fixture, const char *url, const char *key,
                       const char *value) {
    struct dk_error_text why;
    if (make(url, key, value, &fixture->authorizer, &why) != DK_OK) {
        fail_msg("%s", why.text);
    }
    assert_int_equal(dk_authorizer_set_cluster_id(fixture->authorizer, dk_bytes_of(CLUSTER)),
                     DK_OK);
    assert_int_equal(pthread_create(&fixture->io, NULL, run, fixture->authorizer), 0);
    fixture->runs = true;
}

static int set_up(void **state) {
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    *state = fixture;
    return 0;
}

static int set_up_ready(void **state) {
    set_up(state);
    struct fixture *fixture = *state;
    fixture->opa = fake_opa_start();
    assert_non_null(fixture->opa);
    start_with(fixture, fake_opa_url(fixture->opa), NULL, NULL);
    assert_true(dk_authorizer_wait_ready(fixture->authorizer, WAIT_LIMIT_MS));
    return 0;
}

static void halt(struct fixture *fixture) {
    if (fixture->runs) {
        dk_authorizer_stop(fixture->authorizer);
        pthread_join(fixture->io, NULL);
        fixture->runs = false;
    }
}

static int tear_down(void **state) {
    struct fixture *fixture = *state;
    halt(fixture);
    dk_authorizer_destroy(fixture->authorizer);
    if (fixture->opa != NULL) {
        fake_opa_stop(fixture->opa);
    }
    free(fixture);
    return 0;
}

/* ---- calls ------------------------------------------------------------------------------- */

struct records {
    struct dk_writer context, request;
    size_t count;
};

static struct records make_records(const char *principal, int64_t not_after_s,
                                   const char *const *names) {
    struct records records = {.count = 0};
    dk_writer_init(&records.context, DK_CONTEXT_MAX);
    dk_writer_init(&records.request, (size_t)1024 * 1024);
    write_context(&records.context, CLUSTER, principal, not_after_s);
    for (; names[records.count] != NULL; records.count++) {
        write_action(&records.request, names[records.count]);
    }
    return records;
}

static void clean_up_records(struct records *records) {
    dk_writer_clean_up(&records->context);
    dk_writer_clean_up(&records->request);
}

static void authorize(struct fixture *fixture, const char *principal, int64_t not_after_s,
                      const char *const *names, dk_answer *answers) {
    struct records records = make_records(principal, not_after_s, names);
    assert_int_equal(dk_authorizer_authorize(fixture->authorizer, dk_writer_view(&records.context),
                                             dk_writer_view(&records.request), records.count, 0,
                                             answers),
                     DK_OK);
    clean_up_records(&records);
}

static dk_answer authorize_one(struct fixture *fixture, const char *principal, const char *name) {
    dk_answer answer = ASKED(DK_ALLOW);
    authorize(fixture, principal, 0, (const char *[]){name, NULL}, &answer);
    return answer;
}

static uint64_t metric(const struct fixture *fixture, enum dk_metric which) {
    return dk_authorizer_metric(fixture->authorizer, which);
}

/* All lines so far, of both loggers: "<target><level> text". */
static bool logged(struct fixture *fixture, const char *text) {
    uint8_t records[8192];
    size_t len = dk_authorizer_drain(fixture->authorizer, records, sizeof(records), 0);
    size_t used = strlen(fixture->lines);
    for (size_t at = 0; at < len; at += 4 + (size_t)dk_read_u16(records + at + 2)) {
        int written = snprintf(fixture->lines + used, sizeof(fixture->lines) - used, "%u%u %.*s\n",
                               records[at], records[at + 1], (int)dk_read_u16(records + at + 2),
                               (const char *)records + at + 4);
        assert_true(written > 0 && (size_t)written < sizeof(fixture->lines) - used);
        used += (size_t)written;
    }
    return strstr(fixture->lines, text) != NULL;
}

/* ---- decisions --------------------------------------------------------------------------- */

static void opa_is_asked_once_and_the_cache_afterwards(void **state) {
    struct fixture *fixture = *state;
    dk_answer answers[4];
    const char *const names[] = {"ok-a", "no-a", "ok-b", NULL, NULL};
    authorize(fixture, "alice", 0, names, answers);
    assert_int_equal(answers[0], ASKED(DK_ALLOW));
    assert_int_equal(answers[1], ASKED(DK_DENY));
    assert_int_equal(answers[2], ASKED(DK_ALLOW));
    authorize(fixture, "alice", 0, names, answers);
    assert_int_equal(answers[0], CACHED(DK_ALLOW));
    assert_int_equal(answers[1], CACHED(DK_DENY));
    assert_int_equal(answers[2], CACHED(DK_ALLOW));
    assert_int_equal(fake_opa_requests(fixture->opa), 1);
    assert_int_equal(authorize_one(fixture, "bob", "ok-a"), ASKED(DK_ALLOW));
    assert_int_equal(metric(fixture, DK_METRIC_CALLS), 3);
    assert_int_equal(metric(fixture, DK_METRIC_HITS), 3);
    assert_int_equal(metric(fixture, DK_METRIC_MISSES), 4);
    assert_int_equal(metric(fixture, DK_METRIC_ALLOWED), 5);
    assert_int_equal(metric(fixture, DK_METRIC_DENIED), 2);
}

static void hits_and_misses_of_one_call_keep_their_places(void **state) {
    struct fixture *fixture = *state;
    dk_answer answers[5];
    assert_int_equal(authorize_one(fixture, "alice", "ok-1"), ASKED(DK_ALLOW));
    assert_int_equal(authorize_one(fixture, "alice", "no-3"), ASKED(DK_DENY));
    authorize(fixture, "alice", 0, (const char *[]){"no-0", "ok-1", "ok-2", "no-3", "no-4", NULL},
              answers);
    assert_int_equal(answers[0], ASKED(DK_DENY));
    assert_int_equal(answers[1], CACHED(DK_ALLOW));
    assert_int_equal(answers[2], ASKED(DK_ALLOW));
    assert_int_equal(answers[3], CACHED(DK_DENY));
    assert_int_equal(answers[4], ASKED(DK_DENY));
}

static void the_outcomes_stay_apart(void **state) {
    struct fixture *fixture = *state;
    fake_opa_set_fault(fixture->opa, FAULT_UNDEFINED_RULE, FAULT_NONE);
    assert_int_equal(authorize_one(fixture, "alice", "ok-a"), ASKED(DK_UNDEFINED));
    fake_opa_set_fault(fixture->opa, FAULT_TRUNCATED_JSON, FAULT_NONE);
    assert_int_equal(authorize_one(fixture, "alice", "ok-b"), ASKED(DK_UNAVAILABLE));
    assert_int_equal(metric(fixture, DK_METRIC_UNDEFINED), 1);
    assert_int_equal(metric(fixture, DK_METRIC_UNAVAILABLE), 1);
    assert_int_equal(metric(fixture, DK_METRIC_DENIED), 2);
    assert_int_equal(metric(fixture, DK_METRIC_ALLOWED), 0);
}

static void super_users_need_no_opa(void **state) {
    struct fixture *fixture = *state;
    start_with(fixture, "http://127.0.0.1:1", NULL, NULL);
    assert_int_equal(authorize_one(fixture, "root", "no-a"), RULED(DK_ALLOW));
    assert_int_equal(authorize_one(fixture, "CN=a:b", "no-a"), RULED(DK_ALLOW));
    static const char *const others[] = {"ROOT", "root ", "roo", "root;",
                                         "",     "CN=a",  "b",   "User:root"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_int_equal(DK_ANSWER_OUTCOME(authorize_one(fixture, others[i], "ok-a")),
                         DK_UNAVAILABLE);
    }
    assert_int_equal(metric(fixture, DK_METRIC_RULES), 2);
}

static void an_expired_certificate_denies_even_a_super_user(void **state) {
    struct fixture *fixture = *state;
    int64_t now_s = dk_clock_wall_s();
    dk_answer answer = 0;
    const char *const names[] = {"ok-a", NULL};
    authorize(fixture, "root", now_s - 10, names, &answer);
    assert_int_equal(answer, RULED(DK_DENY));
    authorize(fixture, "root", now_s + 3600, names, &answer);
    assert_int_equal(answer, RULED(DK_ALLOW));
    /* A decision that was cached while the certificate was good does not outlive it. */
    authorize(fixture, "alice", now_s + 3600, names, &answer);
    assert_int_equal(answer, ASKED(DK_ALLOW));
    authorize(fixture, "alice", now_s + 3600, names, &answer);
    assert_int_equal(answer, CACHED(DK_ALLOW));
    authorize(fixture, "alice", now_s - 10, names, &answer);
    assert_int_equal(answer, RULED(DK_DENY));
}

static void lists_of_any_length_are_answered(void **state) {
    static const size_t counts[] = {0, 1, 128, 129, 10000};
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        struct records records = make_records("alice", 0, (const char *[]){NULL});
        dk_answer *answers = calloc(counts[i] + 1, 1);
        char name[32];
        assert_non_null(answers);
        for (size_t n = 0; n < counts[i]; n++) {
            snprintf(name, sizeof(name), "%s-%zu", n % 3 == 0 ? "ok" : "no", n);
            write_action(&records.request, name);
        }
        assert_int_equal(
            dk_authorizer_authorize(fixture->authorizer, dk_writer_view(&records.context),
                                    dk_writer_view(&records.request), counts[i], 0, answers),
            DK_OK);
        for (size_t n = 0; n < counts[i]; n++) {
            assert_int_equal(DK_ANSWER_OUTCOME(answers[n]), n % 3 == 0 ? DK_ALLOW : DK_DENY);
        }
        free(answers);
        clean_up_records(&records);
    }
}

/* ---- the hot path ------------------------------------------------------------------------ */

static enum dk_error probe(struct fixture *fixture, uint64_t handle, const struct records *records,
                           dk_answer *answers, struct dk_probed *found) {
    return dk_authorizer_probe(fixture->authorizer, handle, dk_writer_view(&records->request),
                               answers, found);
}

static uint64_t register_context(struct fixture *fixture, const struct records *records) {
    uint64_t handle = 0;
    assert_int_equal(
        dk_authorizer_register(fixture->authorizer, dk_writer_view(&records->context), &handle),
        DK_OK);
    assert_true(handle != 0);
    return handle;
}

static void a_probe_answers_from_the_cache_alone(void **state) {
    struct fixture *fixture = *state;
    struct records records = make_records("alice", 0, (const char *[]){"ok-a", "no-a", NULL});
    uint64_t handle = register_context(fixture, &records);
    dk_answer answers[DK_PROBE_MAX];
    struct dk_probed found;
    assert_int_equal(probe(fixture, handle, &records, answers, &found), DK_OK);
    assert_int_equal(found.count, 2);
    assert_int_equal(found.not_allowed, 2);
    assert_int_equal(answers[0], DK_ANSWER_MISS);
    assert_int_equal(answers[1], DK_ANSWER_MISS);
    assert_int_equal(fake_opa_requests(fixture->opa), 0);
    authorize(fixture, "alice", 0, (const char *[]){"ok-a", NULL}, answers);
    assert_int_equal(probe(fixture, handle, &records, answers, &found), DK_OK);
    assert_int_equal(answers[0], CACHED(DK_ALLOW));
    assert_int_equal(answers[1], DK_ANSWER_MISS);
    assert_int_equal(found.not_allowed, 1);
    dk_authorizer_flush(fixture->authorizer);
    assert_int_equal(probe(fixture, handle, &records, answers, &found), DK_OK);
    assert_int_equal(answers[0], DK_ANSWER_MISS);
    clean_up_records(&records);
}

static void a_probe_knows_the_local_rules(void **state) {
    struct fixture *fixture = *state;
    dk_answer answers[DK_PROBE_MAX];
    struct dk_probed found;
    struct records root = make_records("root", 0, (const char *[]){"no-a", "no-b", NULL});
    uint64_t handle = register_context(fixture, &root);
    assert_int_equal(probe(fixture, handle, &root, answers, &found), DK_OK);
    assert_int_equal(found.not_allowed, 0);
    assert_int_equal(answers[1], RULED(DK_ALLOW));
    struct records expired =
        make_records("root", dk_clock_wall_s() - 10, (const char *[]){"ok-a", NULL});
    handle = register_context(fixture, &expired);
    assert_int_equal(probe(fixture, handle, &expired, answers, &found), DK_OK);
    assert_int_equal(found.not_allowed, 1);
    assert_int_equal(answers[0], RULED(DK_DENY));
    clean_up_records(&expired);
    clean_up_records(&root);
}

static void a_probe_refuses_what_it_does_not_know(void **state) {
    struct fixture *fixture = *state;
    dk_answer answers[DK_PROBE_MAX];
    struct dk_probed found = {7, 7, 7};
    struct records records = make_records("root", 0, (const char *[]){"a", NULL});
    uint64_t handle = register_context(fixture, &records);
    static const uint64_t wrong[] = {0, 1, UINT64_MAX};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(probe(fixture, wrong[i], &records, answers, &found), DK_ERR_STALE);
        assert_int_equal(found.count + found.not_allowed + found.late, 0);
    }
    records.request.len--;
    assert_int_equal(probe(fixture, handle, &records, answers, &found), DK_ERR_MALFORMED);
    assert_int_equal(found.count + found.not_allowed + found.late, 0);
    records.request.len++;
    for (size_t i = 0; i < DK_PROBE_MAX; i++) {
        write_action(&records.request, "one-too-many");
    }
    assert_int_equal(probe(fixture, handle, &records, answers, &found), DK_ERR_TOO_LARGE);
    assert_int_equal(found.count + found.not_allowed + found.late, 0);
    clean_up_records(&records);
}

/* ---- bad input --------------------------------------------------------------------------- */

static void expect_refused(struct fixture *fixture, struct dk_bytes context,
                           struct dk_bytes request, size_t count, enum dk_error expected) {
    dk_answer answers[NAMES_MAX];
    memset(answers, ASKED(DK_ALLOW), sizeof(answers));
    assert_int_equal(
        dk_authorizer_authorize(fixture->authorizer, context, request, count, 0, answers),
        expected);
    for (size_t i = 0; i < count && i < NAMES_MAX; i++) {
        assert_int_equal(DK_ANSWER_OUTCOME(answers[i]), DK_DENY);
    }
}

static void malformed_records_deny_everything(void **state) {
    struct fixture *fixture = *state;
    struct records records = make_records("root", 0, (const char *[]){"ok-a", "ok-b", NULL});
    struct dk_bytes context = dk_writer_view(&records.context);
    struct dk_bytes request = dk_writer_view(&records.request);
    expect_refused(fixture, context, request, 1, DK_ERR_MALFORMED);
    expect_refused(fixture, context, request, 3, DK_ERR_MALFORMED);
    expect_refused(fixture, context, request, NAMES_MAX, DK_ERR_MALFORMED);
    expect_refused(fixture, context, request, 0, DK_ERR_MALFORMED);
    for (size_t len = 0; len < request.len; len++) {
        expect_refused(fixture, context, (struct dk_bytes){request.ptr, len}, 2, DK_ERR_MALFORMED);
    }
    for (size_t len = 0; len < context.len; len++) {
        uint64_t handle = 0;
        struct dk_bytes cut = {context.ptr, len};
        expect_refused(fixture, cut, request, 2, DK_ERR_MALFORMED);
        assert_int_equal(dk_authorizer_register(fixture->authorizer, cut, &handle),
                         DK_ERR_MALFORMED);
    }
    assert_int_equal(fake_opa_requests(fixture->opa), 0);
    clean_up_records(&records);
}

static void names_that_are_no_utf8_are_never_asked(void **state) {
    static const char *const wrong[] = {"\xff", "\xed\xa0\x80", "a\xc0\x80", "\xf5\x80\x80\x80"};
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct records records = make_records("root", 0, (const char *[]){wrong[i], NULL});
        expect_refused(fixture, dk_writer_view(&records.context), dk_writer_view(&records.request),
                       1, DK_ERR_MALFORMED);
        clean_up_records(&records);
    }
}

/* ---- deadlines and the end --------------------------------------------------------------- */

static void the_callers_cap_ends_the_wait(void **state) {
    struct fixture *fixture = *state;
    struct records records = make_records("alice", 0, (const char *[]){"ok-a", "ok-b", NULL});
    dk_answer answers[2] = {ASKED(DK_ALLOW), ASKED(DK_ALLOW)};
    fake_opa_close_gate(fixture->opa);
    assert_int_equal(dk_authorizer_authorize(fixture->authorizer, dk_writer_view(&records.context),
                                             dk_writer_view(&records.request), 2, 30, answers),
                     DK_OK);
    assert_int_equal(DK_ANSWER_OUTCOME(answers[0]), DK_UNAVAILABLE);
    assert_int_equal(DK_ANSWER_OUTCOME(answers[1]), DK_UNAVAILABLE);
    fake_opa_open_gate(fixture->opa);
    WAIT_UNTIL(authorize_one(fixture, "alice", "ok-a") == CACHED(DK_ALLOW));
    clean_up_records(&records);
}

static void *authorize_in_thread(void *user) {
    assert_int_equal(DK_ANSWER_OUTCOME(authorize_one(user, "alice", "ok-waits")), DK_UNAVAILABLE);
    return NULL;
}

static void after_the_end_nobody_is_let_in(void **state) {
    struct fixture *fixture = *state;
    struct records records = make_records("alice", 0, (const char *[]){"ok-a", NULL});
    pthread_t thread;
    uint64_t handle = register_context(fixture, &records);
    assert_int_equal(authorize_one(fixture, "alice", "ok-a"), ASKED(DK_ALLOW));
    fake_opa_close_gate(fixture->opa);
    assert_int_equal(pthread_create(&thread, NULL, authorize_in_thread, fixture), 0);
    WAIT_UNTIL(fake_opa_held(fixture->opa) == 1);
    halt(fixture);
    pthread_join(thread, NULL);
    dk_answer answers[DK_PROBE_MAX];
    struct dk_probed found;
    uint64_t later = 0;
    assert_int_equal(authorize_one(fixture, "alice", "ok-a"), BY_NOBODY(DK_UNAVAILABLE));
    assert_int_equal(authorize_one(fixture, "root", "ok-a"), BY_NOBODY(DK_UNAVAILABLE));
    assert_int_equal(probe(fixture, handle, &records, answers, &found), DK_ERR_CLOSED);
    assert_int_equal(
        dk_authorizer_register(fixture->authorizer, dk_writer_view(&records.context), &later),
        DK_ERR_CLOSED);
    dk_authorizer_stop(fixture->authorizer); /* again */
    /* A scribe that waits for ever would not end here: what is left comes out, then 0. */
    uint8_t room[8192];
    while (dk_authorizer_drain(fixture->authorizer, room, sizeof(room), 600000) > 0) {
    }
    clean_up_records(&records);
}

/* ---- what is written --------------------------------------------------------------------- */

static void audit_lines_follow_mask_flags_and_escaping(void **state) {
    struct fixture *fixture = *state;
    struct records records = make_records("alice", 0, (const char *[]){"ok-a", "no\nforged", NULL});
    dk_answer answers[2];
    authorize(fixture, "alice", 0, (const char *[]){"ok-a", "no\nforged", NULL}, answers);
    for (uint32_t mask = 0; mask < 4; mask++) {
        fixture->lines[0] = '\0';
        (void)logged(fixture, "");
        fixture->lines[0] = '\0';
        dk_authorizer_set_audit(fixture->authorizer, mask);
        const struct dk_decided_call call = {
            .principal = dk_bytes_of("User:alice"),
            .address = dk_bytes_of("192.0.2.7"),
            .api = dk_bytes_of("FETCH"),
            .request = dk_writer_view(&records.request),
            .count = 2,
            .answers = answers,
        };
        dk_authorizer_audit(fixture->authorizer, &call);
        assert_int_equal(logged(fixture, "is Allowed"), (mask & DK_AUDIT_ALLOWED) != 0);
        assert_int_equal(logged(fixture, "is Denied"), (mask & DK_AUDIT_DENIED) != 0);
    }
    assert_true(logged(fixture, "12 Principal = User:alice is Denied operation = READ from host = "
                                "192.0.2.7 on resource = TOPIC:LITERAL:no\\x0aforged for request = "
                                "FETCH with resourceRefCount = 1, outcome = DENY, source = opa, "
                                "revision = authz=r1"));
    clean_up_records(&records);
}

static void memory_and_flushes_are_said(void **state) {
    struct fixture *fixture = *state;
    assert_true(logged(fixture, "memory is fixed from here on"));
    uint64_t epochs = metric(fixture, DK_METRIC_EPOCHS);
    dk_authorizer_flush(fixture->authorizer);
    assert_int_equal(metric(fixture, DK_METRIC_EPOCHS), epochs + 1);
    assert_true(logged(fixture, "every cached decision is unreachable"));
}

static void a_file_that_is_missing_is_an_error_that_names_its_setting(void **state) {
    static const char *const keys[] = {"doorkeeper.opa.token.file", "doorkeeper.opa.ca.file"};
    (void)state;
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        struct dk_authorizer *authorizer = (struct dk_authorizer *)(uintptr_t)1;
        struct dk_error_text why = {""};
        assert_int_equal(make("https://127.0.0.1:1", keys[i], "/nowhere/at/all", &authorizer, &why),
                         DK_ERR_CONFIG);
        assert_null(authorizer);
        assert_non_null(strstr(why.text, keys[i]));
    }
}

int main(void) {
#define WITH_OPA(test) cmocka_unit_test_setup_teardown(test, set_up_ready, tear_down)
#define WITHOUT_OPA(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_OPA(opa_is_asked_once_and_the_cache_afterwards),
        WITH_OPA(hits_and_misses_of_one_call_keep_their_places),
        WITH_OPA(the_outcomes_stay_apart),
        WITHOUT_OPA(super_users_need_no_opa),
        WITH_OPA(an_expired_certificate_denies_even_a_super_user),
        WITH_OPA(lists_of_any_length_are_answered),
        WITH_OPA(a_probe_answers_from_the_cache_alone),
        WITH_OPA(a_probe_knows_the_local_rules),
        WITH_OPA(a_probe_refuses_what_it_does_not_know),
        WITH_OPA(malformed_records_deny_everything),
        WITH_OPA(names_that_are_no_utf8_are_never_asked),
        WITH_OPA(the_callers_cap_ends_the_wait),
        WITH_OPA(after_the_end_nobody_is_let_in),
        WITH_OPA(audit_lines_follow_mask_flags_and_escaping),
        WITH_OPA(memory_and_flushes_are_said),
        cmocka_unit_test(a_file_that_is_missing_is_an_error_that_names_its_setting),
    };
    return cmocka_run_group_tests_name("authorizer", tests, NULL, NULL);
}
