/* SPDX-License-Identifier: Apache-2.0 */
/** @file bench.h `doorkeeper bench`: what a decision costs, without a broker. */
#ifndef DOORKEEPER_CLI_BENCH_H
#define DOORKEEPER_CLI_BENCH_H

/** `argv[0]` is "bench". Returns the exit status: 0, 1 (it did not work) or 2 (wrong usage). */
int dk_bench_main(int argc, char **argv);

#endif
