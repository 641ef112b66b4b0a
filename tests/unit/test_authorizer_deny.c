/* SPDX-License-Identifier: Apache-2.0 */
/* The deny list and the flush file, through the whole core: what comes before everything else. */
#include "doorkeeper/authorizer.h"

#include "support/fake_opa.h"
#include "support/records.h"
#include "support/temp_dir.h"
#include "support/wait_until.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CLUSTER "cluster-1"
#define RULED(outcome) DK_ANSWER(outcome, DK_SOURCE_RULE)
#define CACHED(outcome) DK_ANSWER(outcome, DK_SOURCE_CACHE)
#define ASKED(outcome) DK_ANSWER(outcome, DK_SOURCE_OPA)
#define SERIAL 7
#define ENTRY(members) "{\"deny\": [{" members "}]}"
#define NOBODY "{\"deny\": []}"

struct fixture {
    struct temp_dir dir;
    char deny_path[TEMP_PATH_MAX], flush_path[TEMP_PATH_MAX];
    struct fake_opa *opa;
    struct dk_authorizer *authorizer;
    pthread_t io;
    char lines[32768];
};

static void write_deny_file(struct fixture *fixture, const char *text) {
    assert_true(temp_dir_write(&fixture->dir, "deny.json", dk_bytes_of(text), fixture->deny_path));
}

static void *run(void *user) {
    dk_authorizer_run(user);
    return NULL;
}

static int set_up_with(void **state, const char *ttl_allow_ms) {
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    *state = fixture;
    assert_true(temp_dir_make(&fixture->dir));
    write_deny_file(fixture, NOBODY);
    temp_dir_path(&fixture->dir, "flush", fixture->flush_path);
    fixture->opa = fake_opa_start();
    assert_non_null(fixture->opa);
    const struct dk_setting settings[] = {
        {dk_bytes_of("doorkeeper.opa.url"), dk_bytes_of(fake_opa_url(fixture->opa))},
        {dk_bytes_of("doorkeeper.opa.poll.interval.ms"), dk_bytes_of("60000")},
        {dk_bytes_of("doorkeeper.deadline.ms"), dk_bytes_of("2000")},
        {dk_bytes_of("super.users"), dk_bytes_of("User:root")},
        {dk_bytes_of("doorkeeper.deny.file"), dk_bytes_of(fixture->deny_path)},
        {dk_bytes_of("doorkeeper.flush.file"), dk_bytes_of(fixture->flush_path)},
        {dk_bytes_of("doorkeeper.cache.ttl.allow.ms"), dk_bytes_of(ttl_allow_ms)},
        {dk_bytes_of("doorkeeper.cache.ttl.deny.ms"), dk_bytes_of("60000")},
    };
    struct dk_config config;
    struct dk_error_text why;
    if (dk_config_parse(settings, 8, &config, &why) != DK_OK ||
        dk_authorizer_new(&config, &fixture->authorizer, &why) != DK_OK) {
        fail_msg("%s", why.text);
    }
    assert_int_equal(dk_authorizer_set_cluster_id(fixture->authorizer, dk_bytes_of(CLUSTER)),
                     DK_OK);
    assert_int_equal(pthread_create(&fixture->io, NULL, run, fixture->authorizer), 0);
    assert_true(dk_authorizer_wait_ready(fixture->authorizer, WAIT_LIMIT_MS));
    return 0;
}

static int set_up(void **state) {
    return set_up_with(state, "600000");
}

static int set_up_short_ttl(void **state) {
    return set_up_with(state, "200");
}

static int set_up_with_refreshes(void **state) {
    return set_up_with(state, "4000"); /* anew from 3 s on, when a list is in force for long */
}

static int tear_down(void **state) {
    struct fixture *fixture = *state;
    dk_authorizer_stop(fixture->authorizer);
    pthread_join(fixture->io, NULL);
    dk_authorizer_destroy(fixture->authorizer);
    fake_opa_stop(fixture->opa);
    temp_dir_remove(&fixture->dir);
    free(fixture);
    return 0;
}

/* ---- the scribe's part ------------------------------------------------------------------- */

/* Takes what is logged, and looks after the files. True if one of all lines so far has `text`. */
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

static void await_line(struct fixture *fixture, const char *text) {
    WAIT_UNTIL(logged(fixture, text));
    fixture->lines[0] = '\0';
}

static void put_in_force(struct fixture *fixture, const char *text) {
    fixture->lines[0] = '\0';
    write_deny_file(fixture, text);
    await_line(fixture, strcmp(text, NOBODY) == 0 ? "the deny list was emptied"
                                                  : "01 a deny list is in force");
}

/* ---- asking ------------------------------------------------------------------------------ */

struct records {
    struct dk_writer context, request;
    size_t count;
};

static struct records make_records(const char *principal, const char *const *names) {
    struct records records = {.count = 0};
    dk_writer_init(&records.context, DK_CONTEXT_MAX);
    dk_writer_init(&records.request, 65536);
    write_certified_context(&records.context, CLUSTER, principal, 0, SERIAL);
    for (; names[records.count] != NULL; records.count++) {
        write_action(&records.request, names[records.count]);
    }
    return records;
}

static void clean_up_records(struct records *records) {
    dk_writer_clean_up(&records->context);
    dk_writer_clean_up(&records->request);
}

static void authorize(struct dk_authorizer *authorizer, const struct records *records,
                      dk_answer *answers) {
    assert_int_equal(dk_authorizer_authorize(authorizer, dk_writer_view(&records->context),
                                             dk_writer_view(&records->request), records->count, 0,
                                             answers),
                     DK_OK);
}

static dk_answer ask(struct fixture *fixture, const char *principal, const char *name) {
    dk_answer answer = ASKED(DK_ALLOW);
    struct records records = make_records(principal, (const char *[]){name, NULL});
    authorize(fixture->authorizer, &records, &answer);
    clean_up_records(&records);
    return answer;
}

static uint64_t register_context(struct fixture *fixture, const struct records *records) {
    uint64_t handle = 0;
    assert_int_equal(
        dk_authorizer_register(fixture->authorizer, dk_writer_view(&records->context), &handle),
        DK_OK);
    return handle;
}

struct probed {
    enum dk_error error;
    struct dk_probed found;
    dk_answer answers[DK_PROBE_MAX];
};

static struct probed probe(struct fixture *fixture, uint64_t handle,
                           const struct records *records) {
    struct probed probed;
    memset(&probed, 0, sizeof(probed));
    probed.error =
        dk_authorizer_probe(fixture->authorizer, handle, dk_writer_view(&records->request),
                            probed.answers, &probed.found);
    return probed;
}

static uint64_t metric(const struct fixture *fixture, enum dk_metric which) {
    return dk_authorizer_metric(fixture->authorizer, which);
}

/* ---- what is denied ---------------------------------------------------------------------- */

static void a_list_beats_the_cache_on_a_live_connection(void **state) {
    struct fixture *fixture = *state;
    struct records records = make_records("mallory", (const char *[]){"ok-a", "no-b", NULL});
    dk_answer answers[2];
    uint64_t handle = register_context(fixture, &records);
    authorize(fixture->authorizer, &records, answers);
    assert_int_equal(answers[0], ASKED(DK_ALLOW));
    assert_int_equal(probe(fixture, handle, &records).error, DK_OK);
    put_in_force(fixture, ENTRY("\"principal\": \"User:mallory\""));
    /* What was remembered is void, whoever it is about, and what is remembered now says more. */
    assert_int_equal(probe(fixture, handle, &records).error, DK_ERR_STALE);
    handle = register_context(fixture, &records);
    uint64_t calls = metric(fixture, DK_METRIC_CALLS);
    struct probed probed = probe(fixture, handle, &records);
    assert_int_equal(probed.error, DK_OK);
    assert_int_equal(probed.found.count, 2);
    assert_int_equal(probed.found.not_allowed, 2);
    assert_int_equal(probed.answers[0], DK_ANSWER_MISS);
    assert_int_equal(probed.answers[1], DK_ANSWER_MISS);
    assert_int_equal(metric(fixture, DK_METRIC_CALLS), calls);
    unsigned requests = fake_opa_requests(fixture->opa);
    authorize(fixture->authorizer, &records, answers);
    assert_int_equal(answers[0], RULED(DK_DENY));
    assert_int_equal(answers[1], RULED(DK_DENY));
    assert_int_equal(fake_opa_requests(fixture->opa), requests);
    assert_int_equal(metric(fixture, DK_METRIC_CALLS), calls + 1);
    assert_int_equal(metric(fixture, DK_METRIC_RULES), 2);
    assert_int_equal(metric(fixture, DK_METRIC_DENY_ENTRIES), 1);
    put_in_force(fixture, NOBODY);
    assert_int_equal(probe(fixture, handle, &records).error, DK_ERR_STALE);
    assert_int_equal(ask(fixture, "mallory", "ok-a"), CACHED(DK_ALLOW)); /* all the while */
    clean_up_records(&records);
}

static void others_are_answered_as_before(void **state) {
    struct fixture *fixture = *state;
    struct records records = make_records("alice", (const char *[]){"no-a", NULL});
    assert_int_equal(ask(fixture, "alice", "no-a"), ASKED(DK_DENY));
    uint64_t handle = register_context(fixture, &records);
    put_in_force(fixture, ENTRY("\"principal\": \"User:mallory\""));
    assert_int_equal(probe(fixture, handle, &records).error, DK_ERR_STALE);
    handle = register_context(fixture, &records);
    assert_int_equal(probe(fixture, handle, &records).answers[0], CACHED(DK_DENY));
    clean_up_records(&records);
}

static void a_super_user_is_denied_by_its_certificate(void **state) {
    struct fixture *fixture = *state;
    struct records records = make_records("root", (const char *[]){"no-a", NULL});
    dk_answer answer;
    uint64_t handle = register_context(fixture, &records);
    assert_int_equal(probe(fixture, handle, &records).answers[0], RULED(DK_ALLOW));
    put_in_force(fixture, ENTRY("\"serial\": \"07\""));
    assert_int_equal(probe(fixture, handle, &records).error, DK_ERR_STALE);
    handle = register_context(fixture, &records);
    assert_int_equal(probe(fixture, handle, &records).answers[0], DK_ANSWER_MISS);
    authorize(fixture->authorizer, &records, &answer);
    assert_int_equal(answer, RULED(DK_DENY));
    /* Of the same name, but with another certificate or none. */
    records.context.len = 0;
    write_certified_context(&records.context, CLUSTER, "root", 0, SERIAL + 1);
    authorize(fixture->authorizer, &records, &answer);
    assert_int_equal(answer, RULED(DK_ALLOW));
    records.context.len = 0;
    write_context(&records.context, CLUSTER, "root", 0);
    authorize(fixture->authorizer, &records, &answer);
    assert_int_equal(answer, RULED(DK_ALLOW));
    clean_up_records(&records);
}

static void only_what_fits_is_denied_and_kept_from_opa(void **state) {
    static const char *const names[] = {"ok-a", "ok-secret", "no-c", "ok-secret", "ok-e", NULL};
    struct fixture *fixture = *state;
    struct records records = make_records("alice", names);
    struct records root = make_records("root", names);
    dk_answer answers[5];
    assert_int_equal(ask(fixture, "alice", "no-c"), ASKED(DK_DENY));
    put_in_force(fixture, ENTRY("\"type\": \"TOPIC\", \"name\": \"ok-secret\""));
    uint64_t questions = metric(fixture, DK_METRIC_QUESTIONS);
    fake_opa_watch(fixture->opa, "ok-secret");
    authorize(fixture->authorizer, &records, answers);
    assert_int_equal(answers[0], ASKED(DK_ALLOW));
    assert_int_equal(answers[1], RULED(DK_DENY));
    assert_int_equal(answers[2], CACHED(DK_DENY));
    assert_int_equal(answers[3], RULED(DK_DENY));
    assert_int_equal(answers[4], ASKED(DK_ALLOW));
    assert_int_equal(fake_opa_seen_at(fixture->opa), FAKE_OPA_NEVER);
    assert_int_equal(metric(fixture, DK_METRIC_QUESTIONS), questions + 2);
    assert_int_equal(metric(fixture, DK_METRIC_RULES), 2);
    assert_int_equal(metric(fixture, DK_METRIC_HITS), 1);
    assert_int_equal(metric(fixture, DK_METRIC_MISSES), 3);
    authorize(fixture->authorizer, &root, answers);
    assert_int_equal(answers[0], RULED(DK_ALLOW));
    assert_int_equal(answers[1], RULED(DK_DENY));
    assert_int_equal(answers[4], RULED(DK_ALLOW));
    clean_up_records(&root);
    clean_up_records(&records);
}

static void a_stale_answer_is_denied_too(void **state) {
    struct fixture *fixture = *state;
    dk_answer answer;
    assert_int_equal(ask(fixture, "alice", "ok-a"), ASKED(DK_ALLOW));
    fake_opa_set_fault(fixture->opa, FAULT_HTML, FAULT_NONE);
    WAIT_UNTIL(
        (answer = ask(fixture, "alice", "ok-a"), answer == DK_ANSWER(DK_ALLOW, DK_SOURCE_STALE)));
    put_in_force(fixture, ENTRY("\"principal\": \"User:alice\", \"operation\": \"READ\""));
    assert_int_equal(ask(fixture, "alice", "ok-a"), RULED(DK_DENY));
}

/* Both decisions come near their end at the same time; a refresh travels as one request. */
static void what_is_denied_is_not_asked_anew(void **state) {
    struct fixture *fixture = *state;
    struct records records = make_records("alice", (const char *[]){"ok-a", "ok-secret", NULL});
    dk_answer answers[2];
    authorize(fixture->authorizer, &records, answers);
    put_in_force(fixture, ENTRY("\"name\": \"ok-secret\""));
    fake_opa_watch(fixture->opa, "ok-secret");
    unsigned requests = fake_opa_requests(fixture->opa);
    WAIT_UNTIL((authorize(fixture->authorizer, &records, answers),
                metric(fixture, DK_METRIC_REFRESHES) > 0));
    WAIT_UNTIL(fake_opa_requests(fixture->opa) > requests);
    assert_int_equal(answers[1], RULED(DK_DENY));
    assert_int_equal(fake_opa_seen_at(fixture->opa), FAKE_OPA_NEVER);
    assert_int_equal(metric(fixture, DK_METRIC_REFRESHES), 1);
    clean_up_records(&records);
}

static void *ask_in_thread(void *user) {
    assert_int_equal(ask(user, "alice", "ok-waits"), RULED(DK_DENY));
    return NULL;
}

static void a_list_reaches_calls_that_wait(void **state) {
    struct fixture *fixture = *state;
    pthread_t thread;
    fake_opa_close_gate(fixture->opa);
    assert_int_equal(pthread_create(&thread, NULL, ask_in_thread, fixture), 0);
    WAIT_UNTIL(fake_opa_held(fixture->opa) == 1);
    put_in_force(fixture, ENTRY("\"name\": \"ok-waits\""));
    fake_opa_open_gate(fixture->opa);
    pthread_join(thread, NULL);
    assert_int_equal(metric(fixture, DK_METRIC_MISSES), 1);
    assert_int_equal(metric(fixture, DK_METRIC_RULES), 1);
    assert_int_equal(metric(fixture, DK_METRIC_HITS), 0);
}

static void a_broken_file_is_said_and_changes_nothing(void **state) {
    struct fixture *fixture = *state;
    put_in_force(fixture, ENTRY("\"principal\": \"User:mallory\""));
    write_deny_file(fixture, "{\"deny\": [\n{\"principal\": \"mallory\"}]}");
    WAIT_UNTIL(logged(fixture, "line 2, entry 1: principal: expected "));
    assert_non_null(strstr(fixture->lines, "00 doorkeeper.deny.file="));
    assert_non_null(strstr(fixture->lines, "; the last good deny list stays in force"));
    assert_int_equal(ask(fixture, "mallory", "ok-a"), RULED(DK_DENY));
    assert_int_equal(metric(fixture, DK_METRIC_DENY_ENTRIES), 1);
}

static void a_new_core_starts_with_its_list(void **state) {
    struct fixture *fixture = *state;
    const struct dk_setting settings[] = {
        {dk_bytes_of("doorkeeper.deny.file"), dk_bytes_of(fixture->deny_path)},
        {dk_bytes_of("super.users"), dk_bytes_of("User:root")},
    };
    struct dk_authorizer *authorizer = NULL;
    struct dk_error_text why = {""};
    struct dk_config config;
    struct records records = make_records("root", (const char *[]){"ok-a", NULL});
    dk_answer answer = ASKED(DK_ALLOW);
    write_deny_file(fixture, ENTRY("\"principal\": \"User:root\""));
    assert_int_equal(dk_config_parse(settings, 2, &config, NULL), DK_OK);
    assert_int_equal(dk_authorizer_new(&config, &authorizer, &why), DK_OK);
    authorize(authorizer, &records, &answer);
    assert_int_equal(answer, RULED(DK_DENY));
    dk_authorizer_destroy(authorizer);
    write_deny_file(fixture, "{\"deny\": [{}]}");
    assert_int_equal(dk_config_parse(settings, 2, &config, NULL), DK_OK);
    assert_int_equal(dk_authorizer_new(&config, &authorizer, &why), DK_ERR_CONFIG);
    assert_non_null(strstr(why.text, "line 1, entry 1: it would deny everything"));
    clean_up_records(&records);
}

/* ---- the flush file ---------------------------------------------------------------------- */

static void every_change_of_the_flush_file_voids_the_cache(void **state) {
    struct fixture *fixture = *state;
    char path[TEMP_PATH_MAX];
    assert_int_equal(ask(fixture, "alice", "no-a"), ASKED(DK_DENY));
    uint64_t epochs = metric(fixture, DK_METRIC_EPOCHS);
    for (unsigned i = 1; i <= 2; i++) {
        assert_int_equal(ask(fixture, "alice", "no-a"), CACHED(DK_DENY));
        assert_true(
            temp_dir_write(&fixture->dir, "flush", dk_bytes_of(i == 1 ? "Mon" : "Tue"), path));
        await_line(fixture, "02 flushed: every cached decision is unreachable");
        assert_int_equal(metric(fixture, DK_METRIC_EPOCHS), epochs + i);
        assert_int_equal(ask(fixture, "alice", "no-a"), ASKED(DK_DENY));
    }
    /* The same content again is no change; a list that comes later shows that it was looked at. */
    assert_true(temp_dir_write(&fixture->dir, "flush", dk_bytes_of("Tue"), path));
    put_in_force(fixture, ENTRY("\"principal\": \"User:mallory\""));
    put_in_force(fixture, NOBODY);
    assert_int_equal(metric(fixture, DK_METRIC_EPOCHS), epochs + 2);
    assert_int_equal(ask(fixture, "alice", "no-a"), CACHED(DK_DENY));
}

/* ---- many at once ------------------------------------------------------------------------ */

struct caller {
    struct fixture *fixture;
    const char *principal;
    pthread_t thread;
    _Atomic bool done;
    _Atomic uint32_t denied, allowed; /* by a rule */
};

/* As Java does it: probe, register again where need be, and ask for what is left. */
static dk_answer call(struct caller *caller, const struct records *records, uint64_t *handle) {
    struct probed probed = probe(caller->fixture, *handle, records);
    if (probed.error == DK_ERR_STALE) {
        *handle = register_context(caller->fixture, records);
        probed = probe(caller->fixture, *handle, records);
    }
    dk_answer answer = probed.answers[0];
    if (probed.error == DK_ERR_STALE || answer == DK_ANSWER_MISS) {
        authorize(caller->fixture->authorizer, records, &answer);
    }
    return answer;
}

static void *call_again_and_again(void *user) {
    struct caller *caller = user;
    struct records records = make_records(caller->principal, (const char *[]){"no-a", NULL});
    uint64_t handle = 0;
    while (!caller->done) {
        dk_answer answer = call(caller, &records, &handle);
        caller->denied += answer == RULED(DK_DENY);
        caller->allowed += answer == RULED(DK_ALLOW);
    }
    clean_up_records(&records);
    return NULL;
}

/* Whether from now on every call of a super user is answered so. */
static void expect_from_now_on(struct caller *caller, bool denied) {
    uint32_t before = caller->denied + caller->allowed;
    WAIT_UNTIL(caller->denied + caller->allowed > before + 1); /* one may have been under way */
    uint32_t wrong = denied ? caller->allowed : caller->denied;
    before = caller->denied + caller->allowed;
    WAIT_UNTIL(caller->denied + caller->allowed > before + 100);
    assert_int_equal(denied ? caller->allowed : caller->denied, wrong);
}

static void lists_come_and_go_under_load(void **state) {
    struct fixture *fixture = *state;
    struct caller callers[] = {
        {.fixture = fixture, .principal = "root"},
        {.fixture = fixture, .principal = "root"},
        {.fixture = fixture, .principal = "alice"},
    };
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(
            pthread_create(&callers[i].thread, NULL, call_again_and_again, &callers[i]), 0);
    }
    for (unsigned round = 0; round < 2; round++) {
        put_in_force(fixture, ENTRY("\"principal\": \"User:root\", \"name\": \"no-a\""));
        expect_from_now_on(&callers[0], true);
        expect_from_now_on(&callers[1], true);
        put_in_force(fixture, NOBODY);
        expect_from_now_on(&callers[0], false);
        expect_from_now_on(&callers[1], false);
    }
    for (size_t i = 0; i < 3; i++) {
        callers[i].done = true;
        pthread_join(callers[i].thread, NULL);
    }
    assert_int_equal(callers[2].denied + callers[2].allowed, 0);
}

int main(void) {
#define WITH_CORE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_CORE(a_list_beats_the_cache_on_a_live_connection),
        WITH_CORE(others_are_answered_as_before),
        WITH_CORE(a_super_user_is_denied_by_its_certificate),
        WITH_CORE(only_what_fits_is_denied_and_kept_from_opa),
        cmocka_unit_test_setup_teardown(a_stale_answer_is_denied_too, set_up_short_ttl, tear_down),
        cmocka_unit_test_setup_teardown(what_is_denied_is_not_asked_anew, set_up_with_refreshes,
                                        tear_down),
        WITH_CORE(a_list_reaches_calls_that_wait),
        WITH_CORE(a_broken_file_is_said_and_changes_nothing),
        WITH_CORE(a_new_core_starts_with_its_list),
        WITH_CORE(every_change_of_the_flush_file_voids_the_cache),
        WITH_CORE(lists_come_and_go_under_load),
    };
    return cmocka_run_group_tests_name("authorizer: deny list", tests, NULL, NULL);
}
