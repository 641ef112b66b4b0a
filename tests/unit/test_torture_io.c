/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every allocation and every call of libcurl fails in turn, in an authorizer at work: one thread
 * asks, the I/O thread asks two OPAs. Nobody is ever allowed what the policy denies, every call
 * ends in time, no loop runs hot, and once nothing fails any more all is as if nothing had.
 *
 * Two threads make no two runs alike: which call is the n-th differs a little from run to run.
 */
#include "doorkeeper/authorizer.h"

#include "doorkeeper/clock.h"

#include "support/fail_nth.h"
#include "support/fake_opa.h"
#include "support/records.h"
#include "support/temp_dir.h"
#include "support/wait_until.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define OPAS 2
#define DEADLINE_MS 100
/* How much later than its deadline a call may end on a machine that has other work. */
#define SLACK_MS 5000
#define NAMES_MAX 4

/* Of the calls that fail alone, and of those that fail with all that follow, one in so many is
 * tried. A sanitizer makes runs longer. */
#define ALONE_STEP 1u
#define ALL_STEP 9u
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#undef ALONE_STEP
#define ALONE_STEP 2u
#endif
#endif

/* ---- what is asked ----------------------------------------------------------------------- */

/* Made once: a test's own memory must not be what fails. */
struct list {
    const char *names[NAMES_MAX];
    size_t count;
    struct dk_writer request;
};

static struct list mixed = {.names = {"ok-a", "no-a", "ok-b"}, .count = 3};
static struct list poisoned = {.names = {"ok-c", "poison-c", "no-c", "ok-d"}, .count = 4};
static struct list lone = {.names = {"ok-e"}, .count = 1};
static struct dk_writer alice;
static struct temp_dir dir;
static char token_path[TEMP_PATH_MAX], socket_paths[OPAS][TEMP_PATH_MAX];

static void write_list(struct list *list) {
    dk_writer_init(&list->request, 4096);
    for (size_t i = 0; i < list->count; i++) {
        write_action(&list->request, list->names[i]);
    }
}

static int set_up_all(void **state) {
    (void)state;
    dk_writer_init(&alice, 4096);
    write_context(&alice, "cluster-1", "alice", 0);
    write_list(&mixed);
    write_list(&poisoned);
    write_list(&lone);
    bool ok = temp_dir_make(&dir) && temp_dir_write(&dir, "token", dk_bytes_of("t"), token_path);
    temp_dir_path(&dir, "first.sock", socket_paths[0]);
    temp_dir_path(&dir, "second.sock", socket_paths[1]);
    return ok ? 0 : -1;
}

static int tear_down_all(void **state) {
    (void)state;
    dk_writer_clean_up(&alice);
    dk_writer_clean_up(&mixed.request);
    dk_writer_clean_up(&poisoned.request);
    dk_writer_clean_up(&lone.request);
    temp_dir_remove(&dir);
    return 0;
}

/* ---- one run ----------------------------------------------------------------------------- */

struct run {
    struct fake_opa *opas[OPAS];
    struct dk_authorizer *authorizer;
    pthread_t io;
    int64_t began_ms;
    bool runs;
};

static void *run_io(void *user) {
    fail_nth_take_part(true);
    dk_authorizer_run(user);
    return NULL;
}

static void begin_run(struct run *run, const char *ttl_ms, int64_t poll_ms) {
    char urls[2 * TEMP_PATH_MAX + 20];
    struct dk_config config;
    struct dk_error_text why;
    for (int i = 0; i < OPAS; i++) {
        run->opas[i] = fake_opa_start_at(socket_paths[i]);
        assert_non_null(run->opas[i]);
    }
    snprintf(urls, sizeof(urls), "unix:%s,unix:%s", socket_paths[0], socket_paths[1]);
    const struct dk_setting settings[] = {
        {dk_bytes_of("doorkeeper.opa.url"), dk_bytes_of(urls)},
        {dk_bytes_of("doorkeeper.opa.token.file"), dk_bytes_of(token_path)},
        {dk_bytes_of("doorkeeper.opa.connections"), dk_bytes_of("1")}, /* a lost one is missed */
        {dk_bytes_of("doorkeeper.cache.entries"), dk_bytes_of("1024")},
        {dk_bytes_of("doorkeeper.queue.entries"), dk_bytes_of("64")},
        {dk_bytes_of("doorkeeper.deadline.ms"), dk_bytes_of("100")},
        {dk_bytes_of("doorkeeper.breaker.probe.interval.ms"), dk_bytes_of("10")},
        {dk_bytes_of("doorkeeper.cache.ttl.allow.ms"), dk_bytes_of(ttl_ms)},
        {dk_bytes_of("doorkeeper.cache.ttl.deny.ms"), dk_bytes_of(ttl_ms)},
    };
    if (dk_config_parse(settings, sizeof(settings) / sizeof(settings[0]), &config, &why) != DK_OK) {
        fail_msg("%s", why.text);
    }
    config.opa_poll_interval_ms = poll_ms; /* less than a person may set: runs are short */
    assert_int_equal(dk_authorizer_new(&config, &run->authorizer, &why), DK_OK);
    run->began_ms = dk_clock_ms();
}

/* From here on all that the authorizer does may fail. */
static void begin_failing(struct run *run, unsigned first, unsigned last, enum fail_kind kind) {
    run->began_ms = dk_clock_ms();
    fail_nth_take_part(true);
    fail_nth_begin(first, last, kind);
}

static void start_io(struct run *run) {
    assert_int_equal(pthread_create(&run->io, NULL, run_io, run->authorizer), 0);
    run->runs = true;
}

/* Also of one that a failed test left behind. */
static void end_run(struct run *run) {
    int64_t stop_ms = dk_clock_ms();
    if (run->authorizer != NULL) {
        dk_authorizer_stop(run->authorizer);
    }
    if (run->runs) {
        pthread_join(run->io, NULL);
    }
    int64_t took_ms = dk_clock_ms() - stop_ms;
    dk_authorizer_destroy(run->authorizer);
    for (int i = 0; i < OPAS; i++) {
        if (run->opas[i] != NULL) {
            fake_opa_stop(run->opas[i]);
        }
    }
    memset(run, 0, sizeof(*run));
    assert_true(took_ms < SLACK_MS);
}

static int set_up(void **state) {
    *state = calloc(1, sizeof(struct run));
    return *state != NULL ? 0 : -1;
}

static int tear_down(void **state) {
    fail_nth_end();
    fail_nth_take_part(false);
    end_run(*state);
    free(*state);
    return 0;
}

/* ---- calls that may fail ----------------------------------------------------------------- */

static bool may_be_allowed(const char *name) {
    return strncmp(name, "ok", 2) == 0;
}

/* The first answer; a denial if the call failed. */
static dk_answer ask(struct run *run, const struct list *list) {
    dk_answer answers[NAMES_MAX];
    int64_t start_ms = dk_clock_ms();
    memset(answers, DK_ANSWER(DK_ALLOW, DK_SOURCE_OPA), sizeof(answers));
    enum dk_error error =
        dk_authorizer_authorize(run->authorizer, dk_writer_view(&alice),
                                dk_writer_view(&list->request), list->count, 0, answers);
    assert_true(error == DK_OK || error == DK_ERR_MEMORY);
    assert_true(dk_clock_ms() - start_ms < DEADLINE_MS + SLACK_MS);
    for (size_t i = 0; i < list->count; i++) {
        if (DK_ANSWER_OUTCOME(answers[i]) == DK_ALLOW &&
            (error != DK_OK || !may_be_allowed(list->names[i]))) {
            fail_msg("%s was allowed after %s had failed", list->names[i], fail_nth_failed());
        }
    }
    const struct dk_decided_call call = {
        .principal = dk_bytes_of("User:alice"),
        .request = dk_writer_view(&list->request),
        .count = list->count,
        .answers = answers,
    };
    dk_authorizer_audit(run->authorizer, &call);
    return answers[0];
}

/* How many are late. */
static size_t probe(struct run *run, uint64_t handle, const struct list *list) {
    dk_answer answers[DK_PROBE_MAX];
    struct dk_probed found;
    assert_int_equal(dk_authorizer_probe(run->authorizer, handle, dk_writer_view(&list->request),
                                         answers, &found),
                     DK_OK);
    assert_int_equal(found.count, list->count);
    for (size_t i = 0; i < list->count; i++) {
        assert_true(DK_ANSWER_OUTCOME(answers[i]) != DK_ALLOW || may_be_allowed(list->names[i]));
    }
    return found.late;
}

static void drain(struct run *run) {
    uint8_t room[8192];
    while (dk_authorizer_drain(run->authorizer, room, sizeof(room), 0) > 0) {
    }
}

/* ---- after the failures ------------------------------------------------------------------ */

static bool is_asked_anew(struct run *run) {
    dk_authorizer_flush(run->authorizer);
    return ask(run, &lone) == DK_ANSWER(DK_ALLOW, DK_SOURCE_OPA);
}

static bool are_polled(struct run *run, const unsigned least[OPAS]) {
    bool polled = true;
    for (int i = 0; i < OPAS; i++) {
        polled = polled && fake_opa_polls(run->opas[i]) >= least[i];
    }
    return polled;
}

/* Questions are answered, and both endpoints are polled again and again. */
static void expect_recovery(struct run *run) {
    unsigned polls[OPAS];
    fail_nth_end();
    fail_nth_take_part(false);
    WAIT_UNTIL(is_asked_anew(run));
    for (int i = 0; i < OPAS; i++) {
        polls[i] = fake_opa_polls(run->opas[i]) + 2;
    }
    WAIT_UNTIL(are_polled(run, polls));
}

/* A loop that nothing holds back goes round some hundred times a millisecond, or some ten times
 * under a sanitizer. */
static void expect_calm_loop(struct run *run, unsigned rounds, unsigned rounds_a_ms) {
    int64_t took_ms = dk_clock_ms() - run->began_ms;
    unsigned polled = fail_nth_count(FAIL_MULTI_POLL);
    if (polled > rounds + rounds_a_ms * (unsigned)took_ms) {
        fail_msg("%u rounds in %lld ms after %s had failed", polled, (long long)took_ms,
                 fail_nth_failed());
    }
}

/* Over all runs: the scenarios must have been what they are meant to be. */
static uint64_t hits, splits, refreshed, stale;

/* ---- a day's work ------------------------------------------------------------------------ */

/* An answer that comes before the revision is known is not cached. */
static bool is_cached_or_over(struct run *run, int64_t end_ms) {
    return DK_ANSWER_SOURCE(ask(run, &lone)) == DK_SOURCE_CACHE || dk_clock_ms() > end_ms;
}

static void work(struct run *run) {
    uint64_t handle = 0;
    enum dk_error error = dk_authorizer_set_cluster_id(run->authorizer, dk_bytes_of("cluster-1"));
    assert_true(error == DK_OK || error == DK_ERR_MEMORY);
    (void)dk_authorizer_wait_ready(run->authorizer, DEADLINE_MS);
    WAIT_UNTIL(is_cached_or_over(run, run->began_ms + DEADLINE_MS));
    assert_int_equal(dk_authorizer_register(run->authorizer, dk_writer_view(&alice), &handle),
                     DK_OK);
    dk_authorizer_set_audit(run->authorizer, DK_AUDIT_DENIED | DK_AUDIT_ALLOWED);
    (void)probe(run, handle, &mixed);
    (void)ask(run, &mixed);
    (void)probe(run, handle, &mixed);
    (void)ask(run, &poisoned);
    drain(run); /* also reads the token's file */
    dk_authorizer_flush(run->authorizer);
    (void)ask(run, &mixed);
}

/* Returns how many calls there were. */
typedef unsigned scenario(struct run *run, unsigned first, unsigned last);

static unsigned work_with(struct run *run, unsigned first, unsigned last) {
    begin_run(run, "60000", 10);
    begin_failing(run, first, last, FAIL_ANY);
    start_io(run);
    work(run);
    unsigned calls = fail_nth_count(FAIL_ANY);
    hits += dk_authorizer_metric(run->authorizer, DK_METRIC_HITS);
    splits += dk_authorizer_metric(run->authorizer, DK_METRIC_SPLITS);
    expect_calm_loop(run, 1000, 3);
    expect_recovery(run);
    end_run(run);
    return calls;
}

/* Runs `with` with each `step`th of the calls of a run in which none failed. */
static void torture(struct run *run, scenario *with, unsigned alone_step, unsigned all_step) {
    unsigned calls = with(run, FAIL_NEVER, FAIL_NEVER);
    print_message("%u calls: each %u. fails alone, each %u. with all that follow\n", calls,
                  alone_step, all_step);
    for (unsigned n = 1; n <= calls; n += alone_step) {
        (void)with(run, n, n);
    }
    for (unsigned n = 1; n <= calls; n += all_step) {
        (void)with(run, n, FAIL_FOR_EVER);
    }
}

static void nothing_that_fails_at_work_allows_or_lasts(void **state) {
    torture(*state, work_with, ALONE_STEP, ALL_STEP);
    assert_true(hits > 0 && splits > 0);
}

/* ---- the end of a TTL -------------------------------------------------------------------- */

#define TTL_MS 40

static bool is_probed_past(struct run *run, uint64_t handle, int64_t end_ms) {
    if (probe(run, handle, &lone) > 0) {
        dk_authorizer_refresh(run->authorizer, dk_writer_view(&alice),
                              dk_writer_view(&lone.request), lone.count);
    }
    return dk_clock_ms() > end_ms;
}

static void set_question_fault(struct run *run, enum fault fault) {
    for (int i = 0; i < OPAS; i++) {
        fake_opa_set_fault(run->opas[i], fault, FAULT_NONE);
    }
}

/* A refresh before the end; after it OPA has no valid answer. */
static unsigned age_with(struct run *run, unsigned first, unsigned last) {
    begin_run(run, "40", 30);
    start_io(run);
    WAIT_UNTIL(ask(run, &lone) == DK_ANSWER(DK_ALLOW, DK_SOURCE_CACHE));
    uint64_t handle = 0;
    assert_int_equal(dk_authorizer_register(run->authorizer, dk_writer_view(&alice), &handle),
                     DK_OK);
    begin_failing(run, first, last, FAIL_ANY);
    WAIT_UNTIL(is_probed_past(run, handle, run->began_ms + TTL_MS));
    set_question_fault(run, FAULT_HTML);
    int64_t end_ms = dk_clock_ms() + TTL_MS;
    WAIT_UNTIL(is_probed_past(run, handle, end_ms));
    dk_answer answer = ask(run, &lone);
    assert_true(DK_ANSWER_OUTCOME(answer) != DK_ALLOW ||
                DK_ANSWER_SOURCE(answer) == DK_SOURCE_STALE);
    unsigned calls = fail_nth_count(FAIL_ANY);
    expect_calm_loop(run, 1000, 3);
    refreshed += dk_authorizer_metric(run->authorizer, DK_METRIC_REFRESHES);
    stale += dk_authorizer_metric(run->authorizer, DK_METRIC_STALE);
    set_question_fault(run, FAULT_NONE);
    expect_recovery(run);
    end_run(run);
    return calls;
}

static void nothing_that_fails_at_the_end_of_a_ttl_allows_or_lasts(void **state) {
    torture(*state, age_with, 11 * ALONE_STEP, 8 * ALL_STEP); /* each run takes long */
    assert_true(refreshed > 0 && stale > 0);
}

/* ---- one thing that fails for long ------------------------------------------------------- */

#define LONG_MS 100

static bool is_over(struct run *run, int64_t end_ms) {
    (void)ask(run, &mixed);
    dk_authorizer_flush(run->authorizer);
    return dk_clock_ms() > end_ms;
}

static void fail_for_long(struct run *run, enum fail_kind kind) {
    begin_run(run, "60000", 10);
    start_io(run);
    WAIT_UNTIL(is_asked_anew(run));
    begin_failing(run, 1, FAIL_FOR_EVER, kind);
    WAIT_UNTIL(is_over(run, run->began_ms + LONG_MS));
    expect_calm_loop(run, 300, 2);
    expect_recovery(run);
    end_run(run);
}

static void no_loop_runs_hot(void **state) {
    static const enum fail_kind kinds[] = {
        FAIL_MALLOC,        FAIL_CALLOC,       FAIL_REALLOC,      FAIL_COND_INIT,
        FAIL_EASY_SETOPT,   FAIL_EASY_GETINFO, FAIL_SLIST_APPEND, FAIL_MULTI_ADD_HANDLE,
        FAIL_MULTI_PERFORM, FAIL_MULTI_POLL,   FAIL_ANY,
    };
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        fail_for_long(*state, kinds[i]);
    }
}

/* ---- once and never again ---------------------------------------------------------------- */

static bool says(struct run *run, const char *text) {
    char room[8192];
    size_t len = dk_authorizer_drain(run->authorizer, (uint8_t *)room, sizeof(room), 0);
    return memmem(room, len, text, strlen(text)) != NULL;
}

/* Nobody looks at the file again once its content is in use. */
static void a_token_that_could_not_be_handed_over_is_handed_over_later(void **state) {
    struct run *run = *state;
    begin_run(run, "60000", 10);
    start_io(run);
    assert_true(temp_dir_write(&dir, "token", dk_bytes_of("second"), token_path));
    begin_failing(run, 1, FAIL_FOR_EVER, FAIL_MALLOC);
    WAIT_UNTIL(says(run, "the new token for OPA could not be taken over"));
    fail_nth_end();
    for (int i = 0; i < OPAS; i++) {
        fake_opa_demand_token(run->opas[i], "second");
    }
    WAIT_UNTIL(says(run, "the token for OPA was replaced"));
    expect_recovery(run);
    end_run(run);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(nothing_that_fails_at_work_allows_or_lasts),
        TEST(nothing_that_fails_at_the_end_of_a_ttl_allows_or_lasts),
        TEST(no_loop_runs_hot),
        TEST(a_token_that_could_not_be_handed_over_is_handed_over_later),
    };
    return cmocka_run_group_tests_name("torture of an authorizer at work", tests, set_up_all,
                                       tear_down_all);
}
