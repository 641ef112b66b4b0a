/* SPDX-License-Identifier: Apache-2.0 */
#include "bench_run.h"

#include "doorkeeper/clock.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS 1000000000
/* How often the progress is shown: on a terminal, and elsewhere. */
#define TERMINAL_NS 250000000
#define PLAIN_NS SECOND_NS
/* Made to find out what making calls costs. */
#define MAKING_CALLS 500u
#define MAKING_ROUNDS 8u

/* ---- signals ------------------------------------------------------------------------------ */

static sigset_t ending_signals(void) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    return signals;
}

void dk_bench_block_signals(void) {
    sigset_t signals = ending_signals();
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
}

bool dk_bench_wait(int64_t until_ns) {
    sigset_t signals = ending_signals();
    for (;;) {
        int64_t left_ns = until_ns - dk_clock_ns();
        left_ns = left_ns < 0 ? 0 : left_ns;
        const struct timespec timeout = {.tv_sec = left_ns / SECOND_NS,
                                         .tv_nsec = left_ns % SECOND_NS};
        if (sigtimedwait(&signals, NULL, &timeout) > 0) {
            return true;
        }
        if (left_ns == 0) {
            return false;
        }
    }
}

/* ---- what is counted outside the threads -------------------------------------------------- */

static int64_t cpu_ns(clockid_t clock) {
    struct timespec used;
    (void)clock_gettime(clock, &used);
    return (int64_t)used.tv_sec * SECOND_NS + used.tv_nsec;
}

static int64_t thread_cpu_ns(void) {
    return cpu_ns(CLOCK_THREAD_CPUTIME_ID);
}

static int64_t cpu_without_stub_ns(const struct dk_bench_run *run) {
    return cpu_ns(CLOCK_PROCESS_CPUTIME_ID) - dk_stub_opa_cpu_ns(run->stub);
}

static bool is_gauge(unsigned metric) {
    return metric == DK_METRIC_BREAKER || metric == DK_METRIC_DENY_ENTRIES;
}

static void begin_measuring(const struct dk_bench_run *run, struct dk_bench_result *out) {
    out->process_cpu_ns = cpu_without_stub_ns(run);
    for (unsigned i = 0; i < DK_METRIC_COUNT; i++) {
        out->metrics[i] = dk_authorizer_metric(run->authorizer, (enum dk_metric)i);
    }
}

static void end_measuring(const struct dk_bench_run *run, struct dk_bench_result *out) {
    out->process_cpu_ns = cpu_without_stub_ns(run) - out->process_cpu_ns;
    for (unsigned i = 0; i < DK_METRIC_COUNT; i++) {
        uint64_t now = dk_authorizer_metric(run->authorizer, (enum dk_metric)i);
        out->metrics[i] = is_gauge(i) ? now : now - out->metrics[i];
    }
}

static void read_memory(const struct dk_bench_run *run, struct dk_bench_result *out) {
    struct rusage usage;
    unsigned long long pages = 0;
    FILE *statm = fopen("/proc/self/statm", "re");
    if (statm != NULL) {
        char line[128];
        if (fgets(line, sizeof(line), statm) != NULL) {
            char *second = strchr(line, ' ');
            pages = second == NULL ? 0 : strtoull(second, NULL, 10);
        }
        (void)fclose(statm);
    }
    out->rss_bytes = pages * (uint64_t)sysconf(_SC_PAGESIZE);
    (void)getrusage(RUSAGE_SELF, &usage);
    out->rss_peak_bytes = (uint64_t)usage.ru_maxrss * 1024;
    if (out->rss_peak_bytes < out->rss_bytes) {
        out->rss_peak_bytes = out->rss_bytes; /* the kernel counts the two at different times */
    }
    out->core_bytes = dk_authorizer_memory_bytes(run->authorizer);
}

/* ---- progress ----------------------------------------------------------------------------- */

/* What the last line of progress counted from. */
struct progress {
    int64_t at_ns;
    uint64_t decided, hits, requests;
};

static struct progress look(const struct dk_bench_run *run) {
    const struct dk_authorizer *authorizer = run->authorizer;
    return (struct progress){
        .at_ns = dk_clock_ns(),
        .decided = dk_authorizer_metric(authorizer, DK_METRIC_ALLOWED) +
                   dk_authorizer_metric(authorizer, DK_METRIC_DENIED),
        .hits = dk_authorizer_metric(authorizer, DK_METRIC_HITS),
        .requests = dk_authorizer_metric(authorizer, DK_METRIC_REQUESTS),
    };
}

static void show_progress(const struct dk_bench_run *run, const struct dk_ask_plan *plan,
                          bool measured, struct progress *last) {
    struct progress now = look(run);
    int64_t begin_ns = measured ? plan->measure_ns : plan->start_ns;
    int64_t end_ns = measured ? plan->end_ns : plan->measure_ns;
    double seconds = (double)(now.at_ns - last->at_ns) / SECOND_NS;
    double decided = (double)(now.decided - last->decided);
    if (seconds > 0) {
        dk_console_progress(
            run->console, "%s %.1f/%.1f s: %.0f decisions/s, %.2f %% hits, %.0f OPA requests/s",
            measured ? "measured" : "warm-up", (double)(now.at_ns - begin_ns) / SECOND_NS,
            (double)(end_ns - begin_ns) / SECOND_NS, decided / seconds,
            decided > 0 ? 100 * (double)(now.hits - last->hits) / decided : 0,
            (double)(now.requests - last->requests) / seconds);
    }
    *last = now;
}

/* Returns at the end of the warm-up or of the measured time, or true for a signal. */
static bool watch(const struct dk_bench_run *run, const struct dk_ask_plan *plan, bool measured,
                  struct progress *last) {
    int64_t until_ns = measured ? plan->end_ns : plan->measure_ns;
    int64_t step_ns = run->console->is_terminal ? TERMINAL_NS : PLAIN_NS;
    for (int64_t next_ns = dk_clock_ns() + step_ns; next_ns < until_ns; next_ns += step_ns) {
        if (dk_bench_wait(next_ns)) {
            return true;
        }
        show_progress(run, plan, measured, last);
    }
    bool stopped = dk_bench_wait(until_ns);
    if (!run->console->is_terminal && until_ns > plan->start_ns) {
        show_progress(run, plan, measured, last);
    }
    return stopped;
}

/* ---- the threads -------------------------------------------------------------------------- */

static enum dk_error register_all(const struct dk_bench_run *run, struct dk_ask_plan *plan) {
    size_t count = run->load->context_count;
    plan->handles = calloc(count, sizeof(plan->handles[0]));
    enum dk_error error = plan->handles == NULL ? DK_ERR_MEMORY : DK_OK;
    for (size_t i = 0; error == DK_OK && i < count; i++) {
        uint64_t handle;
        error = dk_authorizer_register(run->authorizer, run->load->contexts[i], &handle);
        atomic_init(&plan->handles[i], error == DK_OK ? handle : 0);
    }
    return error;
}

/* CPU time of making some calls and reading the clock twice for each, by action. */
static double time_making(const struct dk_load *load, struct dk_call_maker *maker) {
    uint64_t actions = 0;
    int64_t begin_ns = thread_cpu_ns();
    for (uint64_t i = 0; i < MAKING_CALLS; i++) {
        struct dk_call call;
        dk_load_make(load, i, maker, &call);
        actions += call.count;
        (void)dk_clock_ns();
        (void)dk_clock_ns();
    }
    return (double)(thread_cpu_ns() - begin_ns) / (double)actions;
}

/* The least of some rounds: the first ones warm up, and others may disturb any of them. */
static double price_of_making(const struct dk_load *load) {
    struct dk_call_maker maker;
    if (dk_load_init_maker(load, &maker) != DK_OK) {
        return 0;
    }
    double least = time_making(load, &maker);
    for (unsigned i = 1; i < MAKING_ROUNDS; i++) {
        double again = time_making(load, &maker);
        least = again < least ? again : least;
    }
    dk_load_clean_up_maker(&maker);
    return least;
}

static void set_times(const struct dk_bench_options *options, struct dk_ask_plan *plan) {
    plan->start_ns = dk_clock_ns();
    plan->measure_ns = plan->start_ns + (int64_t)(options->warmup_s * SECOND_NS);
    plan->end_ns = plan->measure_ns + (int64_t)(options->duration_s * SECOND_NS);
}

static void add_tally(struct dk_ask_tally *into, const struct dk_ask_tally *from) {
    into->calls += from->calls;
    into->actions += from->actions;
    into->hits += from->hits;
    into->errors += from->errors;
    into->cpu_ns += from->cpu_ns;
    for (unsigned i = 0; i < 4; i++) {
        into->outcomes[i] += from->outcomes[i];
    }
    dk_histogram_merge(&into->all, &from->all);
    dk_histogram_merge(&into->all_hits, &from->all_hits);
    dk_histogram_merge(&into->some_misses, &from->some_misses);
    dk_histogram_merge(&into->service, &from->service);
}

/* Warm-up, then the measured time. */
static void watch_all(const struct dk_bench_run *run, struct dk_ask_plan *plan,
                      struct dk_bench_result *out) {
    struct progress last = look(run);
    int64_t end_ns = plan->end_ns;
    if (plan->measure_ns > plan->start_ns) {
        out->interrupted = watch(run, plan, false, &last);
        begin_measuring(run, out);
    }
    if (!out->interrupted && watch(run, plan, true, &last)) {
        out->interrupted = true;
        end_ns = dk_clock_ns();
    }
    atomic_store_explicit(&plan->stopped, true, memory_order_relaxed);
    out->seconds = (double)(end_ns - plan->measure_ns) / SECOND_NS;
    dk_console_clear(run->console);
}

static void count_not_begun(const struct dk_ask_plan *plan, struct dk_bench_result *out) {
    double due = floor(out->seconds * plan->rate);
    if (plan->rate > 0 && !out->interrupted && due > (double)out->asked.calls) {
        out->not_begun = (uint64_t)(due - (double)out->asked.calls);
    }
}

static enum dk_error run_threads(const struct dk_bench_run *run, struct dk_ask_plan *plan,
                                 struct dk_asker *askers, struct dk_bench_result *out) {
    unsigned made = 0, started = 0;
    enum dk_error error = DK_OK;
    while (error == DK_OK && made < plan->threads) {
        error = dk_asker_init(&askers[made], plan, made);
        made += error == DK_OK;
    }
    begin_measuring(run, out);
    set_times(run->options, plan);
    while (error == DK_OK && started < made) {
        if (pthread_create(&askers[started].thread, NULL, dk_asker_run, &askers[started]) == 0) {
            started++;
        } else {
            error = DK_ERR_SYSTEM;
            atomic_store_explicit(&plan->stopped, true, memory_order_relaxed);
        }
    }
    if (error == DK_OK) {
        watch_all(run, plan, out);
    }
    for (unsigned i = 0; i < made; i++) {
        if (i < started) {
            pthread_join(askers[i].thread, NULL);
            add_tally(&out->asked, &askers[i].tally);
        }
        dk_asker_clean_up(&askers[i]);
    }
    end_measuring(run, out); /* now, so that it counts the calls that were under way, as they do */
    return error;
}

enum dk_error dk_bench_run(const struct dk_bench_run *run, struct dk_bench_result *out,
                           struct dk_error_text *why) {
    struct dk_ask_plan plan = {
        .authorizer = run->authorizer,
        .load = run->load,
        .threads = (unsigned)run->options->threads,
        .rate = run->options->rate,
    };
    memset(out, 0, sizeof(*out));
    struct dk_asker *askers = calloc(plan.threads, sizeof(*askers));
    enum dk_error error = askers == NULL ? DK_ERR_MEMORY : register_all(run, &plan);
    out->making_ns = price_of_making(run->load);
    if (error == DK_OK) {
        error = run_threads(run, &plan, askers, out);
    }
    count_not_begun(&plan, out);
    read_memory(run, out);
    free(askers);
    free((void *)plan.handles);
    return error == DK_OK ? DK_OK : dk_fail(why, error, "the run: %s", dk_strerror(error));
}
