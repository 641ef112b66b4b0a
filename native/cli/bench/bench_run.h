/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file bench_run.h
 * One run: threads ask through warm-up and measured time, and what came of it. The calling thread
 * shows the progress; SIGINT and SIGTERM, which it must have blocked before it started threads, end
 * the run early.
 */
#ifndef DOORKEEPER_CLI_BENCH_RUN_H
#define DOORKEEPER_CLI_BENCH_RUN_H

#include "asker.h"
#include "bench_options.h"
#include "console.h"
#include "stub_opa.h"

struct dk_bench_run {
    const struct dk_bench_options *options;
    const struct dk_load *load;
    struct dk_authorizer *authorizer;
    const struct dk_stub_opa *stub; /**< NULL: none */
    struct dk_console *console;
};

/** All of the measured time, which a signal may have cut short. */
struct dk_bench_result {
    bool interrupted;
    double seconds;
    struct dk_ask_tally asked; /**< of all threads */
    uint64_t not_begun;        /**< with a rate: calls that were due, but not begun by the end */
    uint64_t metrics[DK_METRIC_COUNT];  /**< of the core; gauges as they were at the end */
    int64_t process_cpu_ns;             /**< of the process without the stub */
    double making_ns;                   /**< CPU that making and timing an action takes */
    uint64_t rss_bytes, rss_peak_bytes; /**< of the process, at the end */
    uint64_t core_bytes;                /**< what the core holds at most */
};

/** DK_ERR_MEMORY, DK_ERR_SYSTEM (no thread): `why` says so. */
DK_WARN_UNUSED enum dk_error dk_bench_run(const struct dk_bench_run *run,
                                          struct dk_bench_result *out, struct dk_error_text *why);

/** Blocks the signals that end a run, in this thread and those that it starts. */
void dk_bench_block_signals(void);
/** Waits until `until_ns` (dk_clock_ns()), or a signal: true, and it is used up. */
bool dk_bench_wait(int64_t until_ns);

#endif
