/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file bench_options.h
 * The options of `doorkeeper bench`. One table in bench_options.c yields parsing, defaults, ranges,
 * error texts and the help. One thread.
 */
#ifndef DOORKEEPER_CLI_BENCH_OPTIONS_H
#define DOORKEEPER_CLI_BENCH_OPTIONS_H

#include "core_settings.h"
#include "workload.h"

#define DK_BENCH_SETS_MAX 64u

/** Texts point into argv or are literals; NULL where nothing is set. */
struct dk_bench_options {
    uint64_t threads;
    double duration_s, warmup_s;
    double rate; /**< calls a second; 0: full speed */
    uint64_t seed;

    uint64_t principals, topics, groups, actions, metadata_actions;
    double zipf, new_percent;
    uint32_t mix[DK_CALL_KINDS];
    const char *principal_prefix, *principal_suffix, *topic_prefix, *group_prefix;
    const char *cluster_id, *listener;
    const char *replay;

    const char *opa, *config;
    bool stub;
    double stub_latency_ms, stub_allow_percent;
    const char *sets[DK_BENCH_SETS_MAX]; /**< "key=value" each, the key whole */
    size_t set_count;

    const char *json; /**< "-": standard output */
    bool quiet, verbose;
    bool print_grants, help;
};

/**
 * `argv[0]` is not looked at. DK_ERR_CONFIG: `why` names the option, its value and what would be
 * right.
 */
DK_WARN_UNUSED enum dk_error dk_bench_options_parse(int argc, char **argv,
                                                    struct dk_bench_options *out,
                                                    struct dk_error_text *why);
/** What --help prints. */
void dk_bench_options_write_help(struct dk_writer *out);

/** `stub_url`: the stub's, which counts before every other URL; NULL without a stub. */
struct dk_settings_source dk_bench_settings_source(const struct dk_bench_options *options,
                                                   const char *stub_url);

#endif
