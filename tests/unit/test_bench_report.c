/* SPDX-License-Identifier: Apache-2.0 */
/* What the benchmark's table and JSON say of results that are known. */
#include "bench_report.h"

#include "support/json_path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* 3,000,000 decisions in 300,000 calls in 2 s; half of the calls have a miss. */
struct known {
    struct dk_bench_options options;
    struct dk_bench_result result;
    struct dk_bench_report report;
    struct dk_writer text;
};

static void make(struct known *known) {
    memset(known, 0, sizeof(*known));
    struct dk_bench_result *result = &known->result;
    struct dk_ask_tally *asked = &result->asked;
    known->options = (struct dk_bench_options){.threads = 4, .seed = 9, .warmup_s = 1};
    result->seconds = 2;
    asked->calls = 300000;
    asked->actions = 3000000;
    asked->hits = 2700000;
    asked->outcomes[DK_ALLOW] = 2400000;
    asked->outcomes[DK_DENY] = 600000;
    asked->cpu_ns = 300000000;
    result->process_cpu_ns = 600000000;
    result->making_ns = 20;
    result->metrics[DK_METRIC_REQUESTS] = 1000;
    result->metrics[DK_METRIC_QUESTIONS] = 25000;
    result->metrics[DK_METRIC_OPA_MICROS] = 500000;
    for (uint64_t i = 1; i <= 100; i++) {
        dk_histogram_add(&asked->all_hits, i);
        dk_histogram_add(&asked->some_misses, 1000 * i);
        dk_histogram_add(&asked->all, i);
        dk_histogram_add(&asked->all, 1000 * i);
    }
    known->report = (struct dk_bench_report){&known->options, result, "a load", "http://opa"};
    dk_writer_init(&known->text, 1024 * 1024);
}

/* The number at a path, as "latency_ns/hits/p50". */
static double number(const cJSON *whole, const char *path) {
    const cJSON *value = json_at(whole, path);
    assert_true(cJSON_IsNumber(value));
    return cJSON_GetNumberValue(value);
}

static void test_json(void **state) {
    struct known known;
    (void)state;
    make(&known);
    dk_bench_report_write_json(&known.report, &known.text);
    assert_false(known.text.failed);
    cJSON *whole = cJSON_ParseWithLength((const char *)known.text.ptr, known.text.len);
    assert_true(number(whole, "calls_per_s") == 150000);
    assert_true(number(whole, "decisions_per_s") == 1500000);
    assert_true(number(whole, "hit_ratio") == 0.9);
    assert_true(number(whole, "outcomes/denied") == 600000);
    assert_true(number(whole, "latency_ns/hits/p50") == 50);
    assert_true(number(whole, "latency_ns/misses/max") == 100000);
    assert_true(number(whole, "latency_ns/calls/calls") == 200);
    assert_true(number(whole, "opa/requests_per_s") == 500);
    assert_true(number(whole, "opa/questions_per_request") == 25);
    assert_true(number(whole, "opa/request_us") == 500);
    assert_true(number(whole, "cpu_ns_per_decision/process") == 200);
    assert_true(number(whole, "cpu_ns_per_decision/asking_threads") == 100);
    assert_true(number(whole, "metrics/opa-requests") == 1000);
    assert_true(number(whole, "run/threads") == 4);
    cJSON_Delete(whole);
    dk_writer_clean_up(&known.text);
}

/* Nothing divides by zero where nothing was asked. */
static void test_json_of_nothing(void **state) {
    struct known known;
    (void)state;
    make(&known);
    memset(&known.result, 0, sizeof(known.result));
    dk_bench_report_write_json(&known.report, &known.text);
    cJSON *whole = cJSON_ParseWithLength((const char *)known.text.ptr, known.text.len);
    assert_true(number(whole, "decisions_per_s") == 0);
    assert_true(number(whole, "opa/questions_per_request") == 0);
    cJSON_Delete(whole);
    dk_writer_clean_up(&known.text);
}

static const char *table(struct known *known) {
    dk_writer_reset(&known->text);
    dk_bench_report_write_table(&known->report, &known->text);
    dk_writer_bytes(&known->text, (struct dk_bytes){(const uint8_t *)"", 1});
    assert_false(known->text.failed);
    return (const char *)known->text.ptr;
}

static void assert_says(struct known *known, const char *line) {
    if (strstr(table(known), line) == NULL) {
        fail_msg("not in the table: %s\n%s", line, table(known));
    }
}

static void test_table(void **state) {
    struct known known;
    (void)state;
    make(&known);
    assert_says(&known, "load       a load\n");
    assert_says(&known, "OPA        http://opa\n");
    assert_says(&known,
                "asked by   4 threads at full speed; seed 9; 1 s warm-up, 2.00 s measured\n");
    assert_says(&known, "decisions         3,000,000   1,500,000/s\n");
    assert_says(&known, "  allowed         2,400,000   80.00 %\n");
    assert_says(&known, "hits              2,700,000   90.00 %\n");
    assert_says(&known, "OPA        1,000 requests, 500.0/s; 25.0 questions a request, 0.50 ms");
    assert_says(&known, "CPU        200 ns a decision; the asking threads alone 100 ns, of which");
    assert_null(strstr(table(&known), "note:"));
    assert_null(strstr(table(&known), "from their begin"));
    dk_writer_clean_up(&known.text);
}

static void test_what_should_not_be_overlooked(void **state) {
    struct known known;
    (void)state;
    make(&known);
    known.options.rate = 200000;
    known.result.interrupted = true;
    known.result.not_begun = 1234;
    known.result.asked.errors = 3;
    known.result.asked.outcomes[DK_ALLOW] = 0;
    known.result.asked.outcomes[DK_UNAVAILABLE] = 2400000;
    known.result.metrics[DK_METRIC_TIMEOUTS] = 77;
    assert_says(&known, "asked by   4 threads, 200000 calls/s; ");
    assert_says(&known, "measured, then interrupted\n");
    assert_says(&known, "  no answer       2,400,000   80.00 %\n");
    assert_says(&known, "  from their begin");
    assert_says(&known, "note: nothing was allowed.");
    assert_says(&known, "note: no answer for 2,400,000 decisions: 77 calls reached");
    assert_says(&known, "note: 3 calls failed");
    assert_says(&known, "note: the rate was not reached: 1,234 calls were due but not begun\n");
    dk_writer_clean_up(&known.text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_json_of_nothing),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_what_should_not_be_overlooked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
