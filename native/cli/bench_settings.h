/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file bench_settings.h
 * The core's settings for a benchmark: those of a server.properties, those of the command line
 * before them, and what the benchmark itself needs. One thread.
 */
#ifndef DOORKEEPER_CLI_BENCH_SETTINGS_H
#define DOORKEEPER_CLI_BENCH_SETTINGS_H

#include "bench_options.h"
#include "doorkeeper/config.h"

/**
 * `stub_url`: the stub's, before every other, and then no file for TLS or a token counts; or NULL.
 * num.io.threads is the number of asking threads, unless it is set. On failure `out` is cleaned up
 * and `why` names the file or the setting.
 */
DK_WARN_UNUSED enum dk_error dk_bench_settings_make(const struct dk_bench_options *options,
                                                    const char *stub_url, struct dk_config *out,
                                                    struct dk_error_text *why);

#endif
