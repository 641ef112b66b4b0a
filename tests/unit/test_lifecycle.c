/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting, stopping, flushing and reloading under load, for TSan to look at: threads ask while
 * others flush, replace what may be replaced, change the policy, kill and restart OPA, and stop it
 * all in the middle. Then everything is destroyed, and the next round begins.
 *
 * Threads do not fail the test themselves: they note what was wrong, and the test looks at the end.
 */
#include "doorkeeper/authorizer.h"

#include "doorkeeper/clock.h"

#include "support/fake_opa.h"
#include "support/records.h"
#include "support/rig.h"
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

#define ROUNDS 30
#define ASKERS 3
#define OPAS 2
#define LISTS 16
#define DEADLINE_MS 100
/* How much later than its deadline a call may end on a machine that has other work. */
#define SLACK_MS 5000
/* Longer than a decision needs to become late. */
#define FLUSH_MS 25
#define CALLS_AFTER_STOP 5

/* ---- what is asked ----------------------------------------------------------------------- */

static const char *const names[] = {"ok-a", "no-a", "ok-b", "no-b"};
#define NAMES (sizeof(names) / sizeof(names[0]))

/* The names, each with a number behind it. */
static struct dk_writer requests[LISTS];
static struct dk_writer contexts[ASKERS];

static void write_records(void) {
    char name[32];
    for (size_t i = 0; i < LISTS; i++) {
        dk_writer_init(&requests[i], 4096);
        for (size_t n = 0; n < NAMES; n++) {
            snprintf(name, sizeof(name), "%s-%zu", names[n], i);
            write_action(&requests[i], name);
        }
    }
    for (size_t i = 0; i < ASKERS; i++) {
        dk_writer_init(&contexts[i], 4096);
        snprintf(name, sizeof(name), "user-%zu", i);
        write_context(&contexts[i], "cluster-1", name, 0);
    }
}

static void clean_up_records(void) {
    for (size_t i = 0; i < LISTS; i++) {
        dk_writer_clean_up(&requests[i]);
    }
    for (size_t i = 0; i < ASKERS; i++) {
        dk_writer_clean_up(&contexts[i]);
    }
}

/* ---- one round --------------------------------------------------------------------------- */

struct round {
    struct dk_authorizer *authorizer;
    struct fake_opa *opas[OPAS]; /* of the thread that kills them */
    char socket_paths[OPAS][TEMP_PATH_MAX];
    _Atomic bool stopped; /* dk_authorizer_stop has returned */
    _Atomic bool ended;   /* threads are to return */
    _Atomic unsigned calls, calls_after_stop, restarts;
    _Atomic unsigned wrong_allows, wrong_after_stop, late_calls;
};

/* What all rounds together saw: the load must have been one. */
static uint64_t allowed, hits, flushes, restarts, refreshed;

struct asker {
    struct round *round;
    struct dk_bytes context;
    pthread_t thread;
};

static void look_at(struct round *round, const dk_answer *answers, bool was_stopped) {
    for (size_t n = 0; n < NAMES; n++) {
        bool is_allowed = DK_ANSWER_OUTCOME(answers[n]) == DK_ALLOW;
        atomic_fetch_add(&round->wrong_allows, is_allowed && strncmp(names[n], "ok", 2) != 0);
        atomic_fetch_add(&round->wrong_after_stop, is_allowed && was_stopped);
    }
}

static void probe(struct round *round, struct dk_bytes context, struct dk_bytes request) {
    dk_answer answers[DK_PROBE_MAX] = {0};
    struct dk_probed found;
    uint64_t handle = 0;
    bool was_stopped = atomic_load(&round->stopped);
    if (dk_authorizer_register(round->authorizer, context, &handle) != DK_OK ||
        dk_authorizer_probe(round->authorizer, handle, request, answers, &found) != DK_OK) {
        return;
    }
    look_at(round, answers, was_stopped);
    if (found.late > 0) {
        dk_authorizer_refresh(round->authorizer, context, request, NAMES);
    }
}

static void authorize(struct round *round, struct dk_bytes context, struct dk_bytes request) {
    dk_answer answers[NAMES] = {0};
    bool was_stopped = atomic_load(&round->stopped);
    int64_t start_ms = dk_clock_ms();
    if (dk_authorizer_authorize(round->authorizer, context, request, NAMES, 0, answers) != DK_OK) {
        atomic_fetch_add(&round->wrong_allows, 1); /* nothing is wrong with what was asked */
    }
    look_at(round, answers, was_stopped);
    atomic_fetch_add(&round->late_calls, dk_clock_ms() - start_ms > DEADLINE_MS + SLACK_MS);
    const struct dk_decided_call call = {
        .principal = dk_bytes_of("User:user"),
        .context = context,
        .request = request,
        .count = NAMES,
        .answers = answers,
    };
    dk_authorizer_audit(round->authorizer, &call);
    atomic_fetch_add(&round->calls, 1);
    atomic_fetch_add(&round->calls_after_stop, was_stopped);
}

static void *ask(void *user) {
    const struct asker *asker = user;
    struct round *round = asker->round;
    for (size_t i = 0; !atomic_load(&round->ended); i++) {
        struct dk_bytes request = dk_writer_view(&requests[i % LISTS]);
        authorize(round, asker->context, request);
        probe(round, asker->context, request);
    }
    return NULL;
}

static void *run_io(void *user) {
    struct round *round = user;
    dk_authorizer_run(round->authorizer);
    return NULL;
}

static void *write_logs(void *user) {
    struct round *round = user;
    uint8_t room[8192];
    while (!atomic_load(&round->ended)) {
        (void)dk_authorizer_drain(round->authorizer, room, sizeof(room), 5);
    }
    return NULL;
}

/* All that an operator or another thread of the broker may do at any time. */
static void *meddle(void *user) {
    struct round *round = user;
    struct dk_authorizer *authorizer = round->authorizer;
    for (unsigned i = 0; !atomic_load(&round->ended); i++) {
        int64_t end_ms = dk_clock_ms() + FLUSH_MS;
        dk_authorizer_flush(authorizer);
        dk_authorizer_set_audit(authorizer, i % 4);
        if (dk_authorizer_set_cluster_id(authorizer, dk_bytes_of("cluster-1")) != DK_OK) {
            atomic_fetch_add(&round->wrong_allows, 1);
        }
        (void)dk_authorizer_wait_ready(authorizer, 0);
        for (int metric = 0; metric < DK_METRIC_COUNT; metric++) {
            (void)dk_authorizer_metric(authorizer, (enum dk_metric)metric);
        }
        while (dk_clock_ms() < end_ms && !atomic_load(&round->ended)) {
            (void)poll(NULL, 0, 1);
        }
    }
    return NULL;
}

/* New revisions, and OPAs that are killed in the middle of whatever they do. */
static void *change_opas(void *user) {
    struct round *round = user;
    for (unsigned i = 0; !atomic_load(&round->ended); i++) {
        struct fake_opa **opa = &round->opas[i % OPAS];
        char revision[16];
        snprintf(revision, sizeof(revision), "r%u", i);
        fake_opa_set_revision(round->opas[0], revision);
        fake_opa_set_revision(round->opas[1], revision);
        unsigned polls = fake_opa_polls(*opa);
        while (fake_opa_polls(*opa) < polls + 3 && !atomic_load(&round->stopped) &&
               !atomic_load(&round->ended)) {
            (void)poll(NULL, 0,
                       1); /* until the revision is known, or nobody asks for it any more */
        }
        fake_opa_kill(*opa);
        *opa = fake_opa_start_at(round->socket_paths[i % OPAS]);
        if (*opa == NULL) {
            abort();
        }
        atomic_fetch_add(&round->restarts, 1);
    }
    return NULL;
}

static void *stop_as_well(void *user) {
    struct round *round = user;
    dk_authorizer_stop(round->authorizer);
    return NULL;
}

static void make_authorizer(struct round *round, const struct temp_dir *dir, const char *mode) {
    char urls[2 * TEMP_PATH_MAX + 20];
    char token_path[TEMP_PATH_MAX], decisions_path[TEMP_PATH_MAX];
    struct dk_config config;
    struct dk_error_text why;
    snprintf(urls, sizeof(urls), "unix:%s,unix:%s", round->socket_paths[0], round->socket_paths[1]);
    assert_true(temp_dir_write(dir, "token", dk_bytes_of("token"), token_path));
    temp_dir_path(dir, "decisions", decisions_path);
    const struct dk_setting settings[] = {
        {dk_bytes_of("doorkeeper.opa.url"), dk_bytes_of(urls)},
        {dk_bytes_of("doorkeeper.opa.token.file"), dk_bytes_of(token_path)},
        {dk_bytes_of("doorkeeper.opa.connections"), dk_bytes_of("2")},
        {dk_bytes_of("doorkeeper.cache.entries"), dk_bytes_of("1024")},
        {dk_bytes_of("doorkeeper.deadline.ms"), dk_bytes_of("100")},
        {dk_bytes_of("doorkeeper.breaker.probe.interval.ms"), dk_bytes_of("10")},
        {dk_bytes_of("doorkeeper.cache.ttl.allow.ms"), dk_bytes_of("20")},
        {dk_bytes_of("doorkeeper.cache.ttl.deny.ms"), dk_bytes_of("20")},
        {dk_bytes_of("doorkeeper.decision.log.file"), dk_bytes_of(decisions_path)},
        {dk_bytes_of("doorkeeper.decision.log.mode"), dk_bytes_of(mode)},
        {dk_bytes_of("doorkeeper.decision.log.buffer.bytes"), dk_bytes_of("65536")},
        {dk_bytes_of("doorkeeper.decision.log.rotate.bytes"), dk_bytes_of("65536")},
        {dk_bytes_of("doorkeeper.decision.log.files"), dk_bytes_of("1")},
    };
    if (dk_config_parse(settings, sizeof(settings) / sizeof(settings[0]), &config, &why) != DK_OK) {
        fail_msg("%s", why.text);
    }
    config.opa_poll_interval_ms = 5; /* less than a person may set: rounds are short */
    config.decision_log_period_ms = 20;
    assert_int_equal(dk_authorizer_new(&config, &round->authorizer, &why), DK_OK);
}

static void start(pthread_t *thread, void *body(void *), void *user) {
    assert_int_equal(pthread_create(thread, NULL, body, user), 0);
}

/* Two threads stop it at once, while all others go on for a while. */
static void stop_in_the_middle(struct round *round, unsigned number) {
    pthread_t other;
    /* Sooner or later, so that rounds end in different states. */
    WAIT_UNTIL(atomic_load(&round->calls) >= 200 * (number % 8) &&
               atomic_load(&round->restarts) >= 2 * (number % 8));
    start(&other, stop_as_well, round);
    dk_authorizer_stop(round->authorizer);
    atomic_store(&round->stopped, true);
    pthread_join(other, NULL);
    WAIT_UNTIL(atomic_load(&round->calls_after_stop) >= CALLS_AFTER_STOP * ASKERS);
}

static void sum_up(const struct round *round) {
    allowed += dk_authorizer_metric(round->authorizer, DK_METRIC_ALLOWED);
    hits += dk_authorizer_metric(round->authorizer, DK_METRIC_HITS);
    flushes += dk_authorizer_metric(round->authorizer, DK_METRIC_EPOCHS);
    refreshed += dk_authorizer_metric(round->authorizer, DK_METRIC_REFRESHES);
    restarts += round->restarts;
    assert_int_equal(round->wrong_allows, 0);
    assert_int_equal(round->wrong_after_stop, 0);
    assert_int_equal(round->late_calls, 0);
}

static void play_round(const struct temp_dir *dir, unsigned number) {
    struct round round = {.calls = 0};
    struct asker askers[ASKERS];
    pthread_t others[4];
    for (int i = 0; i < OPAS; i++) {
        temp_dir_path(dir, i == 0 ? "first.sock" : "second.sock", round.socket_paths[i]);
        round.opas[i] = fake_opa_start_at(round.socket_paths[i]);
        assert_non_null(round.opas[i]);
    }
    make_authorizer(&round, dir, number % 2 == 0 ? "every" : "aggregated");
    for (size_t i = 0; i < ASKERS; i++) { /* before there is anybody to answer */
        askers[i] = (struct asker){.round = &round, .context = dk_writer_view(&contexts[i])};
        start(&askers[i].thread, ask, &askers[i]);
    }
    start(&others[0], run_io, &round);
    start(&others[1], write_logs, &round);
    start(&others[2], meddle, &round);
    start(&others[3], change_opas, &round);
    stop_in_the_middle(&round, number);
    atomic_store(&round.ended, true);
    for (size_t i = 0; i < ASKERS; i++) {
        pthread_join(askers[i].thread, NULL);
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        pthread_join(others[i], NULL);
    }
    sum_up(&round);
    dk_authorizer_destroy(round.authorizer);
    for (int i = 0; i < OPAS; i++) {
        fake_opa_stop(round.opas[i]);
    }
}

static void an_authorizer_is_stopped_under_load(void **state) {
    (void)state;
    struct temp_dir dir;
    assert_true(temp_dir_make(&dir));
    write_records();
    for (unsigned i = 0; i < ROUNDS; i++) {
        play_round(&dir, i);
    }
    clean_up_records();
    temp_dir_remove(&dir);
    print_message("allowed %llu, hits %llu, epochs %llu, refreshes %llu, restarts %llu\n",
                  (unsigned long long)allowed, (unsigned long long)hits,
                  (unsigned long long)flushes, (unsigned long long)refreshed,
                  (unsigned long long)restarts);
    assert_true(allowed > 0 && hits > 0 && flushes >= ROUNDS && refreshed > 0 &&
                restarts >= ROUNDS);
}

/* ---- the token --------------------------------------------------------------------------- */

#define TOKEN_ROUNDS 10
#define TOKENS_A_ROUND 200

struct token_swaps {
    struct rig rig;
    _Atomic bool ended;
    _Atomic unsigned swaps, refused;
};

/* The authorizer looks at the file once a second; this is what it does then. */
static void *swap_tokens(void *user) {
    struct token_swaps *swaps = user;
    while (!atomic_load(&swaps->ended)) {
        const char *token = atomic_fetch_add(&swaps->swaps, 1) % 2 == 0 ? "even" : "odd";
        if (dk_resolver_set_token(swaps->rig.resolver, dk_bytes_of(token)) != DK_OK) {
            atomic_fetch_add(&swaps->refused, 1);
        }
    }
    return NULL;
}

static void a_token_is_replaced_under_load(void **state) {
    (void)state;
    for (int i = 0; i < TOKEN_ROUNDS; i++) {
        struct token_swaps swaps = {.swaps = 0};
        pthread_t thread;
        rig_start_ready(&swaps.rig, (const char *[]){"cache.ttl.allow.ms", "0", NULL});
        start(&thread, swap_tokens, &swaps);
        for (unsigned asked = 0; asked < 20 || atomic_load(&swaps.swaps) < TOKENS_A_ROUND;
             asked++) {
            assert_int_equal(rig_ask(&swaps.rig, "alice", "ok-a"), DK_ALLOW);
        }
        dk_resolver_stop(swaps.rig.resolver);
        atomic_store(&swaps.ended, true);
        pthread_join(thread, NULL);
        assert_int_equal(swaps.refused, 0);
        rig_stop(&swaps.rig);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_authorizer_is_stopped_under_load),
        cmocka_unit_test(a_token_is_replaced_under_load),
    };
    return cmocka_run_group_tests_name("life cycle", tests, NULL, NULL);
}
