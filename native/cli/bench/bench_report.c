/* SPDX-License-Identifier: Apache-2.0 */
#include "bench_report.h"

#include <cjson/cJSON.h>

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define MEBIBYTE (1024.0 * 1024.0)

static double ratio(double part, double whole) {
    return whole > 0 ? part / whole : 0;
}

/* What both forms are made of. */
struct figures {
    const struct dk_bench_result *result;
    const struct dk_ask_tally *asked;
    double decisions, seconds, requests, questions;
};

static struct figures figures_of(const struct dk_bench_report *report) {
    const struct dk_bench_result *result = report->result;
    return (struct figures){
        .result = result,
        .asked = &result->asked,
        .decisions = (double)result->asked.actions,
        .seconds = result->seconds,
        .requests = (double)result->metrics[DK_METRIC_REQUESTS],
        .questions = (double)result->metrics[DK_METRIC_QUESTIONS],
    };
}

static const struct {
    const char *name, *json;
    double percent;
} columns[] = {
    {"p50", "p50", 50},
    {"p90", "p90", 90},
    {"p99", "p99", 99},
    {"p99.9", "p99_9", 99.9},
};
#define COLUMN_COUNT (sizeof(columns) / sizeof(columns[0]))

/* ---- the table ---------------------------------------------------------------------------- */

static void print(struct dk_writer *out, const char *format, ...) DK_PRINTF(2, 3);

static void print(struct dk_writer *out, const char *format, ...) {
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    dk_writer_text(out, line);
}

struct grouped {
    char text[40];
};

/* "1234567" as "1,234,567". */
static struct grouped group(double number) {
    char digits[32];
    struct grouped out;
    int len = snprintf(digits, sizeof(digits), "%.0f", number);
    int at = 0;
    for (int i = 0; i < len && at < (int)sizeof(out.text) - 2; i++) {
        if (i > 0 && (len - i) % 3 == 0) {
            out.text[at++] = ',';
        }
        out.text[at++] = digits[i];
    }
    out.text[at] = '\0';
    return out;
}

static void print_head(const struct dk_bench_report *report, struct dk_writer *out) {
    const struct dk_bench_options *options = report->options;
    print(out, "load       %s\n", report->load);
    print(out, "OPA        %s\n", report->opa);
    if (options->rate > 0) {
        print(out, "asked by   %" PRIu64 " threads, %g calls/s", options->threads, options->rate);
    } else {
        print(out, "asked by   %" PRIu64 " threads at full speed", options->threads);
    }
    print(out, "; seed %" PRIu64 "; %g s warm-up, %.2f s measured%s\n\n", options->seed,
          options->warmup_s, report->result->seconds,
          report->result->interrupted ? ", then interrupted" : "");
}

static void print_share(struct dk_writer *out, const char *name, uint64_t number, double whole) {
    print(out, "%-11s%16s %7.2f %%\n", name, group((double)number).text,
          100 * ratio((double)number, whole));
}

static void print_outcomes(const struct figures *figures, struct dk_writer *out) {
    const struct dk_ask_tally *asked = figures->asked;
    print(out, "%-11s%16s %11s/s\n", "calls", group((double)asked->calls).text,
          group(ratio((double)asked->calls, figures->seconds)).text);
    print(out, "%-11s%16s %11s/s\n", "decisions", group(figures->decisions).text,
          group(ratio(figures->decisions, figures->seconds)).text);
    print_share(out, "  allowed", asked->outcomes[DK_ALLOW], figures->decisions);
    print_share(out, "  denied", asked->outcomes[DK_DENY], figures->decisions);
    print_share(out, "  undefined", asked->outcomes[DK_UNDEFINED], figures->decisions);
    print_share(out, "  no answer", asked->outcomes[DK_UNAVAILABLE], figures->decisions);
    print_share(out, "hits", asked->hits, figures->decisions);
}

static void print_latency(struct dk_writer *out, const char *name,
                          const struct dk_histogram *histogram) {
    print(out, "%-21s%12s", name, group((double)histogram->count).text);
    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        print(out, "%11.1f", (double)dk_histogram_percentile(histogram, columns[i].percent) / 1000);
    }
    print(out, "%11.1f%11.1f\n", (double)histogram->max / 1000,
          dk_histogram_mean(histogram) / 1000);
}

static void print_latencies(const struct dk_bench_report *report, struct dk_writer *out) {
    const struct dk_ask_tally *asked = &report->result->asked;
    print(out, "\n%-21s%12s", "latency, microseconds", "calls");
    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        print(out, "%11s", columns[i].name);
    }
    print(out, "%11s%11s\n", "max", "mean");
    print_latency(out, "  hits alone", &asked->all_hits);
    print_latency(out, "  with misses", &asked->some_misses);
    print_latency(out, "  all calls", &asked->all);
    if (report->options->rate > 0) {
        print_latency(out, "  from their begin", &asked->service);
    }
}

static void print_costs(const struct figures *figures, struct dk_writer *out) {
    const struct dk_bench_result *result = figures->result;
    print(out, "\nOPA        %s requests, %.1f/s; %.1f questions a request, %.2f ms each\n",
          group(figures->requests).text, ratio(figures->requests, figures->seconds),
          ratio(figures->questions, figures->requests),
          ratio((double)result->metrics[DK_METRIC_OPA_MICROS], figures->requests) / 1000);
    print(out, "           %s joined, %s asked again before they expired, %s failures\n",
          group((double)result->metrics[DK_METRIC_JOINED]).text,
          group((double)result->metrics[DK_METRIC_REFRESHES]).text,
          group((double)result->metrics[DK_METRIC_FAILURES]).text);
    print(out,
          "CPU        %.0f ns a decision; the asking threads alone %.0f ns, of which some %.0f ns "
          "make the load\n",
          ratio((double)result->process_cpu_ns, figures->decisions),
          ratio((double)figures->asked->cpu_ns, figures->decisions), result->making_ns);
    print(out, "memory     %.1f MiB resident, %.1f at most; the core alone may take %.1f\n",
          (double)result->rss_bytes / MEBIBYTE, (double)result->rss_peak_bytes / MEBIBYTE,
          (double)result->core_bytes / MEBIBYTE);
}

/* What a reader should not overlook. */
static void print_notes(const struct figures *figures, struct dk_writer *out) {
    const struct dk_bench_result *result = figures->result;
    const struct dk_ask_tally *asked = figures->asked;
    if (asked->outcomes[DK_DENY] > 0 && asked->outcomes[DK_ALLOW] == 0) {
        print(out, "\nnote: nothing was allowed. Does the policy know these names? See "
                   "--print-grants and --principal-prefix\n");
    }
    if (asked->outcomes[DK_UNAVAILABLE] > 0) {
        print(out,
              "\nnote: no answer for %s decisions: %s calls reached their deadline, %s actions "
              "were refused by a cap (doorkeeper.waiting.threads, doorkeeper.queue.entries)\n",
              group((double)asked->outcomes[DK_UNAVAILABLE]).text,
              group((double)result->metrics[DK_METRIC_TIMEOUTS]).text,
              group((double)result->metrics[DK_METRIC_REFUSED]).text);
    }
    if (asked->errors > 0) {
        print(out, "\nnote: %s calls failed and count as nothing else\n",
              group((double)asked->errors).text);
    }
    if (result->not_begun > 0) {
        print(out, "\nnote: the rate was not reached: %s calls were due but not begun\n",
              group((double)result->not_begun).text);
    }
}

void dk_bench_report_write_table(const struct dk_bench_report *report, struct dk_writer *out) {
    struct figures figures = figures_of(report);
    print_head(report, out);
    print_outcomes(&figures, out);
    print_latencies(report, out);
    print_costs(&figures, out);
    print_notes(&figures, out);
}

/* ---- JSON --------------------------------------------------------------------------------- */

static void add_run(const struct dk_bench_report *report, cJSON *out) {
    const struct dk_bench_options *options = report->options;
    cJSON *run = cJSON_AddObjectToObject(out, "run");
    cJSON_AddStringToObject(run, "load", report->load);
    cJSON_AddStringToObject(run, "opa", report->opa);
    cJSON_AddNumberToObject(run, "threads", (double)options->threads);
    cJSON_AddNumberToObject(run, "rate", options->rate);
    cJSON_AddNumberToObject(run, "seed", (double)options->seed);
    cJSON_AddNumberToObject(run, "warmup_s", options->warmup_s);
    cJSON_AddNumberToObject(run, "measured_s", report->result->seconds);
    cJSON_AddBoolToObject(run, "interrupted", report->result->interrupted);
}

static void add_outcomes(const struct figures *figures, cJSON *out) {
    const struct dk_ask_tally *asked = figures->asked;
    cJSON_AddNumberToObject(out, "calls", (double)asked->calls);
    cJSON_AddNumberToObject(out, "calls_per_s", ratio((double)asked->calls, figures->seconds));
    cJSON_AddNumberToObject(out, "calls_failed", (double)asked->errors);
    cJSON_AddNumberToObject(out, "calls_not_begun", (double)figures->result->not_begun);
    cJSON_AddNumberToObject(out, "decisions", figures->decisions);
    cJSON_AddNumberToObject(out, "decisions_per_s", ratio(figures->decisions, figures->seconds));
    cJSON_AddNumberToObject(out, "hit_ratio", ratio((double)asked->hits, figures->decisions));
    cJSON *outcomes = cJSON_AddObjectToObject(out, "outcomes");
    cJSON_AddNumberToObject(outcomes, "allowed", (double)asked->outcomes[DK_ALLOW]);
    cJSON_AddNumberToObject(outcomes, "denied", (double)asked->outcomes[DK_DENY]);
    cJSON_AddNumberToObject(outcomes, "undefined", (double)asked->outcomes[DK_UNDEFINED]);
    cJSON_AddNumberToObject(outcomes, "unavailable", (double)asked->outcomes[DK_UNAVAILABLE]);
}

static void add_latency(const char *name, const struct dk_histogram *histogram, cJSON *out) {
    cJSON *latency = cJSON_AddObjectToObject(out, name);
    cJSON_AddNumberToObject(latency, "calls", (double)histogram->count);
    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        cJSON_AddNumberToObject(latency, columns[i].json,
                                (double)dk_histogram_percentile(histogram, columns[i].percent));
    }
    cJSON_AddNumberToObject(latency, "max", (double)histogram->max);
    cJSON_AddNumberToObject(latency, "mean", dk_histogram_mean(histogram));
}

static void add_costs(const struct figures *figures, cJSON *out) {
    const struct dk_bench_result *result = figures->result;
    cJSON *opa = cJSON_AddObjectToObject(out, "opa");
    cJSON_AddNumberToObject(opa, "requests", figures->requests);
    cJSON_AddNumberToObject(opa, "requests_per_s", ratio(figures->requests, figures->seconds));
    cJSON_AddNumberToObject(opa, "questions", figures->questions);
    cJSON_AddNumberToObject(opa, "questions_per_request",
                            ratio(figures->questions, figures->requests));
    cJSON_AddNumberToObject(
        opa, "request_us", ratio((double)result->metrics[DK_METRIC_OPA_MICROS], figures->requests));
    cJSON *cpu = cJSON_AddObjectToObject(out, "cpu_ns_per_decision");
    cJSON_AddNumberToObject(cpu, "process",
                            ratio((double)result->process_cpu_ns, figures->decisions));
    cJSON_AddNumberToObject(cpu, "asking_threads",
                            ratio((double)figures->asked->cpu_ns, figures->decisions));
    cJSON_AddNumberToObject(cpu, "making_the_load", result->making_ns);
    cJSON *memory = cJSON_AddObjectToObject(out, "memory_bytes");
    cJSON_AddNumberToObject(memory, "resident", (double)result->rss_bytes);
    cJSON_AddNumberToObject(memory, "resident_peak", (double)result->rss_peak_bytes);
    cJSON_AddNumberToObject(memory, "core", (double)result->core_bytes);
}

static void add_metrics(const struct figures *figures, cJSON *out) {
    cJSON *metrics = cJSON_AddObjectToObject(out, "metrics");
    for (unsigned i = 0; i < DK_METRIC_COUNT; i++) {
        cJSON_AddNumberToObject(metrics, dk_metric_name((enum dk_metric)i),
                                (double)figures->result->metrics[i]);
    }
}

void dk_bench_report_write_json(const struct dk_bench_report *report, struct dk_writer *out) {
    struct figures figures = figures_of(report);
    cJSON *whole = cJSON_CreateObject();
    cJSON_AddNumberToObject(whole, "version", 1);
    add_run(report, whole);
    add_outcomes(&figures, whole);
    cJSON *latency = cJSON_AddObjectToObject(whole, "latency_ns");
    add_latency("hits", &figures.asked->all_hits, latency);
    add_latency("misses", &figures.asked->some_misses, latency);
    add_latency("calls", &figures.asked->all, latency);
    add_latency("calls_from_begin", &figures.asked->service, latency);
    add_costs(&figures, whole);
    add_metrics(&figures, whole);
    char *text = cJSON_Print(whole);
    out->failed |= text == NULL;
    dk_writer_text(out, text == NULL ? "" : text);
    dk_writer_text(out, "\n");
    cJSON_free(text);
    cJSON_Delete(whole);
}
