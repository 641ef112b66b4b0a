/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file bench_report.h
 * The results of a run as a table for people and as JSON for programs. Both say the same. One
 * thread.
 */
#ifndef DOORKEEPER_CLI_BENCH_REPORT_H
#define DOORKEEPER_CLI_BENCH_REPORT_H

#include "bench_run.h"

struct dk_bench_report {
    const struct dk_bench_options *options;
    const struct dk_bench_result *result;
    const char *load; /**< the load's summary */
    const char *opa;  /**< who was asked, as URLs */
};

void dk_bench_report_write_table(const struct dk_bench_report *report, struct dk_writer *out);
/** One object, described in docs/internals/cli-bench.md, and a line feed. `out` fails out of
 *  memory. */
void dk_bench_report_write_json(const struct dk_bench_report *report, struct dk_writer *out);

#endif
