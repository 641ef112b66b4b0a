/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file bench_core.h
 * The core as a broker runs it: an authorizer with its I/O thread and a scribe, which prints log
 * lines. One thread begins and ends it.
 */
#ifndef DOORKEEPER_CLI_BENCH_CORE_H
#define DOORKEEPER_CLI_BENCH_CORE_H

#include "console.h"
#include "doorkeeper/authorizer.h"

#include <pthread.h>
#include <stdatomic.h>

struct dk_bench_core {
    struct dk_authorizer *authorizer;
    struct dk_console *console; /**< borrowed */
    bool verbose;
    pthread_t io, scribe;
    bool io_runs, scribe_runs;
    _Atomic bool stopping;
};

/**
 * Takes `config` over, also on failure; then `why` says what is wrong and nothing is left to stop.
 * Lines below WARN are printed only if `verbose`.
 */
DK_WARN_UNUSED enum dk_error dk_bench_core_start(struct dk_bench_core *core,
                                                 struct dk_config *config,
                                                 struct dk_console *console, bool verbose,
                                                 struct dk_error_text *why);
/** Nobody may be asking any more. */
void dk_bench_core_stop(struct dk_bench_core *core);

#endif
