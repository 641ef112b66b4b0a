/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every way in which OPA fails: nobody is let in, nothing is kept, the epoch stays, the call ends,
 * one line says so, and it recovers by itself.
 */
#include "support/rig.h"
#include "support/temp_dir.h"
#include "support/wait_until.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define CALM "opa.poll.interval.ms", "60000", "deadline.ms", "2000"

static int new_rig(void **state) {
    *state = calloc(1, sizeof(struct rig));
    return *state != NULL ? 0 : -1;
}

static int free_rig(void **state) {
    rig_stop(*state);
    free(*state);
    return 0;
}

/* ---- each fault -------------------------------------------------------------------------- */

/* What the log says of each, once however often it happens. */
static const struct {
    enum fault fault;
    const char *line;
} faults[] = {
    {FAULT_STATUS_500, "with HTTP status 500"},
    {FAULT_STATUS_401, "with HTTP status 401"},
    {FAULT_STATUS_503_ALLOWING, "with HTTP status 503"},
    {FAULT_REDIRECT, "with HTTP status 302"},
    {FAULT_HTML, "is refused"},
    {FAULT_TRUNCATED_JSON, "is refused"},
    {FAULT_UNDEFINED, "is its bundle active?"},
    {FAULT_UNDEFINED_RULE, "has no result"},
    {FAULT_TOO_FEW, "is refused"},
    {FAULT_TOO_MANY, "is refused"},
    {FAULT_OUT_OF_RANGE, "is refused"},
    {FAULT_DUPLICATE_INDEX, "is refused"},
    {FAULT_STRINGS, "is refused"},
    {FAULT_ENDLESS_BODY, "more than 1048576 bytes"},
    {FAULT_HUGE_BODY, "more than 1048576 bytes"},
    {FAULT_HANG, "did not answer in time"},
    {FAULT_DRIP, "did not answer in time"},
    {FAULT_CLOSE, "cannot be reached"},
    {FAULT_SHORT_BODY, "cannot be reached"},
    {FAULT_RESET, "cannot be reached"},
};

static void expect_nobody_is_let_in(struct rig *rig, const char *fault, int64_t wait_ms) {
    char prefix[64];
    for (int call = 0; call < 3; call++) {
        snprintf(prefix, sizeof(prefix), "ok-%d-", call);
        struct ask ask = {
            .rig = rig, .principal = "alice", .prefix = prefix, .count = 4, .wait_ms = wait_ms};
        ask_run(&ask);
        if (ask_count(&ask, DK_UNAVAILABLE) + ask_count(&ask, DK_UNDEFINED) != 4) {
            fail_msg("%s: a decision was made", fault);
        }
        for (size_t i = 0; i < 4; i++) {
            assert_int_equal(ask_cached(&ask, i).lookup, DK_LOOKUP_MISS);
        }
        ask_clean_up(&ask);
    }
}

static void expect_recovery(struct rig *rig) {
    enum dk_outcome outcome = DK_UNAVAILABLE;
    WAIT_UNTIL((outcome = rig_ask_within(rig, "alice", "ok-again", 1000)) != DK_UNAVAILABLE);
    assert_int_equal(outcome, DK_ALLOW);
    assert_int_equal(rig_cached(rig, "alice", "ok-again").lookup, DK_LOOKUP_FRESH);
}

static void fail_and_recover(size_t i, bool polls_fail_too) {
    struct rig rig = {.opa = NULL};
    const char *name = fault_name(faults[i].fault);
    bool hangs = faults[i].fault == FAULT_HANG || faults[i].fault == FAULT_DRIP;
    rig_start_ready(&rig, (const char *[]){"deadline.ms", hangs ? "100" : "2000",
                                           "opa.poll.interval.ms", "60000", NULL});
    assert_int_equal(rig_ask_within(&rig, "alice", "ok-before", LONG_MS), DK_ALLOW);
    uint64_t epoch = dk_cache_epoch(rig.cache);
    fake_opa_set_fault(rig.opa, faults[i].fault, polls_fail_too ? faults[i].fault : FAULT_NONE);
    expect_nobody_is_let_in(&rig, name, hangs ? 100 : LONG_MS);
    WAIT_UNTIL(dk_resolver_open(rig.resolver) == 0); /* the last failure is said by then */
    if (rig_count_troubles(&rig, faults[i].line) != 1) {
        fail_msg("%s: expected \"%s\" once, the log says\n%s", name, faults[i].line, rig.lines);
    }
    fake_opa_set_fault(rig.opa, FAULT_NONE, FAULT_NONE);
    expect_recovery(&rig);
    assert_int_equal(dk_cache_epoch(rig.cache), epoch);
    assert_int_equal(rig_cached(&rig, "alice", "ok-before").outcome, DK_ALLOW);
    assert_true(rig_metric(&rig, DK_METRIC_FAILURES) > 0);
    rig_stop(&rig);
}

static void when_everything_fails_nobody_is_let_in(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        fail_and_recover(i, true);
    }
}

static void when_questions_fail_nobody_is_let_in(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        fail_and_recover(i, false);
    }
}

static void only_a_failure_that_one_question_may_cause_is_split(void **state) {
    static const enum fault never_split[] = {
        FAULT_STATUS_401, FAULT_STATUS_503_ALLOWING, FAULT_REDIRECT, FAULT_HTML, FAULT_UNDEFINED,
        FAULT_TOO_FEW,    FAULT_DUPLICATE_INDEX,     FAULT_CLOSE,    FAULT_HANG, FAULT_ENDLESS_BODY,
    };
    struct rig *rig = *state;
    char prefix[32];
    rig_start_ready(rig,
                    (const char *[]){"deadline.ms", "100", "opa.poll.interval.ms", "60000", NULL});
    for (size_t i = 0; i < sizeof(never_split) / sizeof(never_split[0]); i++) {
        snprintf(prefix, sizeof(prefix), "ok-%zu-", i);
        struct ask ask = {
            .rig = rig, .principal = "alice", .prefix = prefix, .count = 8, .wait_ms = 100};
        fake_opa_set_fault(rig->opa, never_split[i], FAULT_NONE);
        ask_run(&ask);
        assert_int_equal(ask_count(&ask, DK_UNAVAILABLE), 8);
        assert_int_equal(rig_metric(rig, DK_METRIC_SPLITS), 0);
        ask_clean_up(&ask);
        fake_opa_set_fault(rig->opa, FAULT_NONE, FAULT_NONE);
        snprintf(prefix, sizeof(prefix), "ok-again-%zu", i);
        WAIT_UNTIL(rig_ask_within(rig, "alice", prefix, 1000) == DK_ALLOW);
    }
}

/* ---- while it is away -------------------------------------------------------------------- */

static void it_may_come_after_the_broker(void **state) {
    struct rig *rig = *state;
    struct temp_dir dir;
    char path[TEMP_PATH_MAX];
    char url[TEMP_PATH_MAX + 8];
    assert_true(temp_dir_make(&dir));
    temp_dir_path(&dir, "opa.sock", path);
    snprintf(url, sizeof(url), "unix:%s", path);
    rig_start(rig, url, (const char *[]){CALM, NULL});
    assert_int_equal(rig_ask(rig, "alice", "ok-a"), DK_UNAVAILABLE);
    assert_int_equal(rig_ask(rig, "alice", "ok-a"), DK_UNAVAILABLE);
    WAIT_UNTIL(rig_logged(rig, "cannot be reached"));
    assert_int_equal(rig_count_troubles(rig, "cannot be reached"), 1);
    assert_false(dk_resolver_wait_ready(rig->resolver, 0));
    rig->opa = fake_opa_start_at(path);
    assert_non_null(rig->opa);
    assert_true(dk_resolver_wait_ready(rig->resolver, LONG_MS));
    assert_int_equal(rig_ask(rig, "alice", "ok-a"), DK_ALLOW);
    rig_halt(rig);
    fake_opa_stop(rig->opa);
    rig->opa = NULL;
    temp_dir_remove(&dir);
}

static void it_may_be_killed_while_it_is_asked(void **state) {
    struct rig *rig = *state;
    struct temp_dir dir;
    char path[TEMP_PATH_MAX];
    assert_true(temp_dir_make(&dir));
    temp_dir_path(&dir, "opa.sock", path);
    rig->opa = fake_opa_start_at(path);
    assert_non_null(rig->opa);
    rig_start(rig, fake_opa_url(rig->opa), (const char *[]){CALM, NULL});
    assert_true(dk_resolver_wait_ready(rig->resolver, LONG_MS));
    struct ask ask = {.rig = rig, .principal = "alice", .prefix = "ok-", .count = 5};
    fake_opa_close_gate(rig->opa);
    ask_begin(&ask);
    WAIT_UNTIL(fake_opa_held(rig->opa) == 1);
    fake_opa_kill(rig->opa);
    rig->opa = NULL;
    ask_join(&ask); /* had 20 s, needs none of them */
    assert_int_equal(ask_count(&ask, DK_UNAVAILABLE), 5);
    assert_int_equal(ask_cached(&ask, 0).lookup, DK_LOOKUP_MISS);
    rig->opa = fake_opa_start_at(path);
    assert_non_null(rig->opa);
    expect_recovery(rig);
    assert_int_equal(rig_metric(rig, DK_METRIC_EPOCHS), 0);
    ask_clean_up(&ask);
    rig_halt(rig);
    fake_opa_stop(rig->opa);
    rig->opa = NULL;
    temp_dir_remove(&dir);
}

static void while_it_is_away_calls_end_at_once(void **state) {
    struct rig *rig = *state;
    rig_start_ready(rig, (const char *[]){"deadline.ms", "100", NULL});
    fake_opa_set_fault(rig->opa, FAULT_HANG, FAULT_HANG);
    (void)rig_ask_within(rig, "alice", "ok-first", 200);
    WAIT_UNTIL(dk_resolver_open(rig->resolver) == 0);
    unsigned requests = fake_opa_requests(rig->opa);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(rig_ask(rig, "alice", "ok-other"), DK_UNAVAILABLE);
    }
    assert_int_equal(fake_opa_requests(rig->opa), requests);
}

/* One question fails; questions would be answered from then on, but the next poll hangs: a breaker
 * that is open stays open. */
static void fail_once(struct rig *rig, enum fault fault) {
    rig_start_ready(rig, (const char *[]){CALM, NULL});
    fake_opa_set_fault(rig->opa, fault, FAULT_HANG);
    assert_int_not_equal(rig_ask(rig, "alice", "ok-first"), DK_ALLOW);
    fake_opa_set_fault(rig->opa, FAULT_NONE, FAULT_HANG);
}

static void when_it_is_out_of_reach_nobody_asks_any_more(void **state) {
    static const enum fault away[] = {FAULT_CLOSE, FAULT_SHORT_BODY, FAULT_RESET, FAULT_UNDEFINED};
    (void)state;
    for (size_t i = 0; i < sizeof(away) / sizeof(away[0]); i++) {
        struct rig rig = {.opa = NULL};
        fail_once(&rig, away[i]);
        uint64_t requests = rig_metric(&rig, DK_METRIC_REQUESTS);
        for (int call = 0; call < 1000; call++) {
            assert_int_equal(rig_ask(&rig, "alice", "ok-other"), DK_UNAVAILABLE);
        }
        assert_int_equal(rig_metric(&rig, DK_METRIC_REQUESTS), requests);
        rig_stop(&rig);
    }
}

static void after_a_wrong_answer_the_next_is_asked_all_the_same(void **state) {
    static const enum fault wrong[] = {
        FAULT_STATUS_500, FAULT_STATUS_401,     FAULT_STATUS_503_ALLOWING, FAULT_REDIRECT,
        FAULT_HTML,       FAULT_TRUNCATED_JSON, FAULT_UNDEFINED_RULE,      FAULT_TOO_FEW,
        FAULT_STRINGS,    FAULT_ENDLESS_BODY,
    };
    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct rig rig = {.opa = NULL};
        fail_once(&rig, wrong[i]);
        assert_int_equal(rig_ask(&rig, "alice", "ok-other"), DK_ALLOW);
        rig_stop(&rig);
    }
}

static void it_is_asked_again_soon_after_it_comes_back(void **state) {
    struct rig *rig = *state;
    rig_start_ready(rig, (const char *[]){CALM, NULL});
    fake_opa_set_fault(rig->opa, FAULT_CLOSE, FAULT_CLOSE);
    unsigned polls = fake_opa_polls(rig->opa);
    assert_int_equal(rig_ask(rig, "alice", "ok-away"), DK_UNAVAILABLE);
    WAIT_UNTIL(fake_opa_polls(rig->opa) > polls);
    fake_opa_set_fault(rig->opa, FAULT_NONE, FAULT_NONE);
    int64_t back_ms = dk_clock_ms();
    expect_recovery(rig);
    assert_in_range(dk_clock_ms() - back_ms, 0, 3000);
}

/* The kernel takes the connection, and nobody answers the handshake. */
static int listen_silently(char url[64]) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
    assert_int_equal(listen(listener, 128), 0);
    snprintf(url, 64, "https://127.0.0.1:%u", ntohs(address.sin_port));
    return listener;
}

static void a_connection_has_less_time_than_a_call(void **state) {
    struct rig *rig = *state;
    char url[64];
    int listener = listen_silently(url);
    int64_t begin_ms = dk_clock_ms();
    rig_start(rig, url, (const char *[]){CALM, "opa.connect.timeout.ms", "100", NULL});
    assert_int_equal(rig_ask(rig, "alice", "ok-a"), DK_UNAVAILABLE);
    assert_in_range(dk_clock_ms() - begin_ms, 0, LONG_MS / 2);
    WAIT_UNTIL(rig_logged(rig, "did not answer in time"));
    close(listener);
}

/* ---- a poisoned question ----------------------------------------------------------------- */

/* One call with `count` names, the one in the middle poisoned. */
static void ask_with_poison(struct rig *rig, struct ask *ask) {
    struct ask poison = {.rig = rig, .principal = ask->principal, .exact = "poison"};
    ask_prepare(ask);
    ask_prepare(&poison);
    ask->misses[ask->count / 2] = poison.misses[0];
    dk_resolver_resolve(rig->resolver, &ask->context, ask->misses, ask->count, ask->epoch,
                        dk_clock_ms() + LONG_MS);
    ask_clean_up(&poison);
}

static void expect_poison_ends_alone(struct rig *rig, enum fault fault, enum dk_outcome outcome) {
    struct ask ask = {.rig = rig, .principal = "alice", .prefix = "ok-", .count = 16};
    fake_opa_set_poison(rig->opa, fault);
    ask_with_poison(rig, &ask);
    assert_int_equal(ask_count(&ask, DK_ALLOW), 15);
    assert_int_equal(ask.misses[8].outcome, outcome);
    assert_int_equal(ask_cached(&ask, 8).lookup, DK_LOOKUP_MISS);
    assert_int_equal(ask_cached(&ask, 7).lookup, DK_LOOKUP_FRESH);
    /* 16 = 2^4: the batch, and two halves for each of four splits. */
    assert_int_equal(fake_opa_requests(rig->opa), 9);
    assert_int_equal(rig_metric(rig, DK_METRIC_SPLITS), 4);
    assert_int_equal(rig_count_troubles(rig, "fails for one question: READ on TOPIC 'poison'"), 1);
    ask_clean_up(&ask);
}

static void a_poisoned_question_ends_alone(void **state) {
    struct rig *rig = *state;
    rig_start_ready(rig, (const char *[]){CALM, NULL});
    expect_poison_ends_alone(rig, FAULT_STATUS_500, DK_UNAVAILABLE);
}

static void an_undefined_question_ends_alone(void **state) {
    struct rig *rig = *state;
    rig_start_ready(rig, (const char *[]){CALM, NULL});
    expect_poison_ends_alone(rig, FAULT_UNDEFINED_RULE, DK_UNDEFINED);
}

static void a_suspect_travels_alone(void **state) {
    struct rig *rig = *state;
    rig_start_ready(rig, (const char *[]){CALM, "opa.connections", "1", NULL});
    assert_int_equal(rig_ask(rig, "alice", "poison"), DK_UNAVAILABLE);
    struct ask ask = {.rig = rig, .principal = "alice", .prefix = "ok-", .count = 16};
    ask_with_poison(rig, &ask);
    assert_int_equal(ask_count(&ask, DK_ALLOW), 15);
    assert_int_equal(ask.misses[8].outcome, DK_UNAVAILABLE);
    assert_int_equal(rig_metric(rig, DK_METRIC_SPLITS), 0);
    ask_clean_up(&ask);
}

static void a_policy_that_fails_for_all_is_not_asked_for_each(void **state) {
    struct rig *rig = *state;
    rig_start_ready(rig, (const char *[]){CALM, "opa.connections", "1", NULL});
    struct ask ask = {.rig = rig, .principal = "alice", .prefix = "poison-", .count = 256};
    ask_run(&ask);
    assert_int_equal(ask_count(&ask, DK_UNAVAILABLE), 256);
    assert_true(fake_opa_requests(rig->opa) <= 5);
    WAIT_UNTIL(rig_logged(rig, "fails for every part of a batch"));
    WAIT_UNTIL(rig_ask_within(rig, "alice", "ok-after", 1000) == DK_ALLOW);
    ask_clean_up(&ask);
}

static void many_poisoned_questions_stay_inside_the_budget(void **state) {
    struct rig *rig = *state;
    rig_start_ready(rig, (const char *[]){CALM, NULL});
    struct ask ask = {.rig = rig, .principal = "alice", .prefix = "ok-", .count = 64};
    struct ask poison = {.rig = rig, .principal = "alice", .prefix = "poison-", .count = 16};
    ask_prepare(&ask);
    ask_prepare(&poison);
    for (size_t i = 0; i < 16; i++) {
        ask.misses[i * 4] = poison.misses[i];
    }
    dk_resolver_resolve(rig->resolver, &ask.context, ask.misses, 64, ask.epoch,
                        dk_clock_ms() + LONG_MS);
    for (size_t i = 0; i < 16; i++) {
        assert_int_equal(ask.misses[i * 4].outcome, DK_UNAVAILABLE);
    }
    assert_int_equal(ask_count(&ask, DK_DENY), 0);
    assert_true(fake_opa_requests(rig->opa) <= 1 + 4 * 6);
    assert_int_equal(dk_resolver_open(rig->resolver), 0);
    ask_clean_up(&poison);
    ask_clean_up(&ask);
}

/* The batch fails at once, its first half takes all the time that is left: the other half is not
 * asked any more. */
static void nothing_is_asked_again_after_the_deadline(void **state) {
    struct rig *rig = *state;
    rig_start_ready(rig, (const char *[]){"deadline.ms", "1500", "opa.poll.interval.ms", "60000",
                                          "opa.connections", "1", NULL});
    struct ask ask = {
        .rig = rig, .principal = "alice", .prefix = "poison-", .count = 8, .wait_ms = 1500};
    fake_opa_close_gate(rig->opa);
    ask_begin(&ask);
    WAIT_UNTIL(fake_opa_held(rig->opa) == 1);
    fake_opa_set_fault(rig->opa, FAULT_HANG, FAULT_NONE); /* for what comes after the batch */
    fake_opa_open_gate(rig->opa);
    ask_join(&ask);
    WAIT_UNTIL(dk_resolver_open(rig->resolver) == 0);
    assert_int_equal(ask_count(&ask, DK_UNAVAILABLE), 8);
    assert_int_equal(rig_metric(rig, DK_METRIC_SPLITS), 1);
    assert_int_equal(rig_metric(rig, DK_METRIC_REQUESTS), 2);
    ask_clean_up(&ask);
}

static bool was_suspect_at(struct rig *rig, const struct ask *ask, int64_t now_ms) {
    struct flight flight = {.node.key = ask->misses[0].key};
    return dk_is_suspect(rig->resolver, &flight, now_ms);
}

static void a_suspect_is_forgiven_after_a_minute(void **state) {
    struct rig *rig = *state;
    rig_start_ready(rig, (const char *[]){CALM, NULL});
    struct ask ask = {.rig = rig, .principal = "alice", .exact = "poison"};
    int64_t before_ms = dk_clock_ms();
    ask_run(&ask);
    int64_t after_ms = dk_clock_ms();
    assert_int_equal(ask.misses[0].outcome, DK_UNAVAILABLE);
    rig_halt(rig); /* the table belongs to the I/O thread */
    assert_true(was_suspect_at(rig, &ask, before_ms + 59999));
    assert_false(was_suspect_at(rig, &ask, after_ms + 60000));
    ask_clean_up(&ask);
}

static void many_batches_that_fail_at_once_are_split_each(void **state) {
    struct rig *rig = *state;
    char principal[8][16];
    struct ask asks[8];
    rig_start_ready(rig, (const char *[]){CALM, "opa.connections", "2", "opa.batch.max", "8",
                                          "waiting.threads", "16", NULL});
    for (size_t i = 0; i < 8; i++) {
        snprintf(principal[i], sizeof(principal[i]), "user-%zu", i);
        asks[i] =
            (struct ask){.rig = rig, .principal = principal[i], .prefix = "poison-", .count = 8};
        ask_begin(&asks[i]);
    }
    for (size_t i = 0; i < 8; i++) {
        ask_join(&asks[i]);
        assert_int_equal(ask_count(&asks[i], DK_UNAVAILABLE), 8);
        ask_clean_up(&asks[i]);
    }
    WAIT_UNTIL(dk_resolver_open(rig->resolver) == 0);
}

int main(void) {
#define RIGGED(test) cmocka_unit_test_setup_teardown(test, new_rig, free_rig)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(when_everything_fails_nobody_is_let_in),
        cmocka_unit_test(when_questions_fail_nobody_is_let_in),
        RIGGED(only_a_failure_that_one_question_may_cause_is_split),
        RIGGED(it_may_come_after_the_broker),
        RIGGED(it_may_be_killed_while_it_is_asked),
        RIGGED(while_it_is_away_calls_end_at_once),
        cmocka_unit_test(when_it_is_out_of_reach_nobody_asks_any_more),
        cmocka_unit_test(after_a_wrong_answer_the_next_is_asked_all_the_same),
        RIGGED(it_is_asked_again_soon_after_it_comes_back),
        RIGGED(a_connection_has_less_time_than_a_call),
        RIGGED(a_poisoned_question_ends_alone),
        RIGGED(an_undefined_question_ends_alone),
        RIGGED(a_suspect_travels_alone),
        RIGGED(a_policy_that_fails_for_all_is_not_asked_for_each),
        RIGGED(many_poisoned_questions_stay_inside_the_budget),
        RIGGED(many_batches_that_fail_at_once_are_split_each),
        RIGGED(nothing_is_asked_again_after_the_deadline),
        RIGGED(a_suspect_is_forgiven_after_a_minute),
    };
    return cmocka_run_group_tests_name("resolver: faults", tests, NULL, NULL);
}
