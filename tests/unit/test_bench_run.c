/* SPDX-License-Identifier: Apache-2.0 */
/* Whole runs of the benchmark, with its threads, the real core and the stub: what is counted is
 * what happened. No figure of time is judged. */
#include "bench_core.h"
#include "bench_run.h"

#include "doorkeeper/clock.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TOPICS 300u
#define LONG_MS 20000

/* All that `doorkeeper bench --stub` sets up. */
struct bench {
    struct dk_bench_options options;
    struct dk_stub_opa_options stub_options;
    struct dk_workload_options workload;
    struct dk_stub_opa *stub;
    struct dk_load *load;
    struct dk_console console;
    struct dk_bench_core core;
    struct dk_bench_result result;
};

/* One principal who asks for all topics in every call. */
static void prepare(struct bench *bench) {
    memset(bench, 0, sizeof(*bench));
    bench->options.threads = 2;
    bench->options.duration_s = 1;
    bench->options.sets[0] = "doorkeeper.deadline.ms=2000";
    bench->options.sets[1] = "num.io.threads=16"; /* so that no thread is refused to wait */
    bench->options.set_count = 2;
    bench->stub_options.allow_share = 1;
    bench->workload = (struct dk_workload_options){
        .principals = 1,
        .topics = TOPICS,
        .groups = 1,
        .actions = TOPICS,
        .metadata_actions = TOPICS,
        .mix = {0, 1, 0, 0},
        .principal_prefix = "p",
        .principal_suffix = "",
        .topic_prefix = "t-",
        .group_prefix = "g-",
        .cluster_id = "c",
        .listener = "CLIENT",
    };
}

static void run(struct bench *bench) {
    struct dk_config config;
    struct dk_error_text why = {""};
    assert_int_equal(dk_stub_opa_start(&bench->stub_options, &bench->stub, &why), DK_OK);
    const struct dk_settings_source source =
        dk_bench_settings_source(&bench->options, dk_stub_opa_url(bench->stub));
    assert_int_equal(dk_settings_make(&source, &config, &why), DK_OK);
    assert_int_equal(dk_workload_new(&bench->workload, &bench->load), DK_OK);
    dk_console_init(&bench->console, true);
    assert_int_equal(dk_bench_core_start(&bench->core, &config, &bench->console, false, &why),
                     DK_OK);
    assert_true(dk_authorizer_wait_ready(bench->core.authorizer, LONG_MS));
    const struct dk_bench_run run = {
        .options = &bench->options,
        .load = bench->load,
        .authorizer = bench->core.authorizer,
        .stub = bench->stub,
        .console = &bench->console,
    };
    assert_int_equal(dk_bench_run(&run, &bench->result, &why), DK_OK);
    dk_bench_core_stop(&bench->core);
    dk_console_clean_up(&bench->console);
    dk_load_destroy(bench->load);
    dk_stub_opa_stop(bench->stub);
}

/* How many of the topics the stub allows. */
static unsigned allowed_topics(double share) {
    struct dk_writer text, answer;
    bool poll;
    unsigned allowed = 0;
    dk_writer_init(&text, 1024 * 1024);
    dk_writer_init(&answer, 1024 * 1024);
    dk_writer_text(&text, "{\"input\":{\"requests\":[{\"principal\":{\"name\":\"p0\"},\"asks\":["
                          "{\"operation\":\"READ\",\"type\":\"TOPIC\",\"names\":[");
    for (unsigned i = 0; i < TOPICS; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "%s\"t-%u\"", i > 0 ? "," : "", i);
        dk_writer_text(&text, name);
    }
    dk_writer_text(&text, "]}]}]}}");
    assert_true(dk_stub_opa_answer(dk_writer_view(&text), share, &answer, &poll));
    for (const uint8_t *at = answer.ptr; *at != '}' && *at != 'p'; at++) {
        allowed += (at[0] == ',' || at[0] == '[') && at[1] >= '0' && at[1] <= '9';
    }
    dk_writer_clean_up(&text);
    dk_writer_clean_up(&answer);
    return allowed;
}

/* A call is more than two probes long, and half of it is denied: hits and misses alike, each action
 * has its own answer. */
static void test_every_decision_is_counted(void **state) {
    static struct bench bench;
    const struct dk_ask_tally *asked = &bench.result.asked;
    unsigned allowed = allowed_topics(0.5);
    (void)state;
    assert_in_range(allowed, TOPICS / 3, TOPICS * 2 / 3);
    prepare(&bench);
    bench.stub_options.allow_share = 0.5;
    run(&bench);
    assert_true(asked->calls > 0);
    assert_int_equal(asked->errors, 0);
    assert_int_equal(asked->actions, asked->calls * TOPICS);
    assert_int_equal(asked->outcomes[DK_ALLOW], asked->calls * allowed);
    assert_int_equal(asked->outcomes[DK_DENY], asked->calls * (TOPICS - allowed));
    assert_int_equal(asked->all.count, asked->calls);
    assert_int_equal(asked->all_hits.count + asked->some_misses.count, asked->calls);
    assert_in_range(asked->actions - asked->hits, TOPICS, 2 * TOPICS); /* both threads missed */
    assert_int_equal(bench.result.metrics[DK_METRIC_QUESTIONS], TOPICS);
    assert_int_equal(bench.result.metrics[DK_METRIC_UNAVAILABLE], 0);
    assert_true(asked->cpu_ns > 0 && bench.result.process_cpu_ns > 0);
    assert_true(bench.result.rss_bytes > 0 && bench.result.core_bytes > 0);
    assert_false(bench.result.interrupted);
}

/* What the cache knows and what it does not know stand mixed in a call, and each action keeps its
 * place: one that got lost would count as denied. */
static void test_hits_and_misses_in_one_call(void **state) {
    static struct bench bench;
    const struct dk_ask_tally *asked = &bench.result.asked;
    (void)state;
    prepare(&bench);
    bench.workload.new_share = 0.3;
    bench.options.rate = 20;
    run(&bench);
    assert_true(asked->hits > 0 && asked->hits < asked->actions);
    assert_int_equal(asked->outcomes[DK_ALLOW], asked->actions);
}

/* After a warm-up that asks for everything there is nothing but hits. */
static void test_the_warm_up_is_not_counted(void **state) {
    static struct bench bench;
    const struct dk_ask_tally *asked = &bench.result.asked;
    (void)state;
    prepare(&bench);
    bench.options.warmup_s = 0.5;
    run(&bench);
    assert_true(asked->calls > 0);
    assert_int_equal(asked->hits, asked->actions);
    assert_int_equal(asked->some_misses.count, 0);
    assert_int_equal(bench.result.metrics[DK_METRIC_REQUESTS], 0);
}

/* One thread, calls that take 10 ms, and one due each millisecond: who waits for a turn is late,
 * and the latency says so although no call takes longer than another. */
static void test_a_rate_counts_from_when_a_call_was_due(void **state) {
    static struct bench bench;
    const struct dk_ask_tally *asked = &bench.result.asked;
    (void)state;
    prepare(&bench);
    bench.options.threads = 1;
    bench.options.rate = 1000;
    bench.workload.actions = 1;
    bench.workload.new_share = 1; /* nothing but misses */
    bench.stub_options.latency_ns = 10000000;
    run(&bench);
    assert_in_range(asked->calls, 1, 101);
    assert_true(dk_histogram_mean(&asked->all) > dk_histogram_mean(&asked->service) ||
                asked->calls == 1);
    assert_true(bench.result.not_begun > 100);
}

/* With threads to spare a rate is a rate, not less and not more. */
static void test_a_rate_is_kept(void **state) {
    static struct bench bench;
    (void)state;
    prepare(&bench);
    bench.options.rate = 100;
    run(&bench);
    assert_int_equal(bench.result.asked.calls + bench.result.not_begun, 100);
}

/* A signal that is there already ends the run at its begin. */
static void test_a_signal_ends_the_run(void **state) {
    static struct bench bench;
    (void)state;
    prepare(&bench);
    bench.options.duration_s = 3600;
    assert_int_equal(pthread_kill(pthread_self(), SIGTERM), 0);
    run(&bench);
    assert_true(bench.result.interrupted);
    assert_int_equal(bench.result.not_begun, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_decision_is_counted),
        cmocka_unit_test(test_hits_and_misses_in_one_call),
        cmocka_unit_test(test_the_warm_up_is_not_counted),
        cmocka_unit_test(test_a_rate_counts_from_when_a_call_was_due),
        cmocka_unit_test(test_a_rate_is_kept),
        cmocka_unit_test(test_a_signal_ends_the_run),
    };
    dk_bench_block_signals();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
