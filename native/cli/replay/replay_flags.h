/* SPDX-License-Identifier: Apache-2.0 */
/** @file replay_flags.h What `doorkeeper replay` was told on its command line. */
#ifndef DOORKEEPER_CLI_REPLAY_FLAGS_H
#define DOORKEEPER_CLI_REPLAY_FLAGS_H

#include "replay_ask.h"
#include "replay_output.h"

#define DK_REPLAY_OUTPUTS_MAX 8u

struct dk_replay_target {
    enum dk_replay_format format;
    const char *path; /**< NULL: standard output */
};

struct dk_replay_flags {
    const char *policy, *against, *opa_binary;
    const char *resume;               /**< a file of answers; NULL: none is kept */
    const char *kafka_config;         /**< for logs that are topics */
    uint32_t share, shares;           /**< this run's, from 0, of so many */
    struct dk_replay_options options; /**< `has_against` not yet set */
    int64_t since_ns, until_ns;
    enum dk_replay_when when;
    int64_t fixed_ns;
    size_t max_event, most;
    unsigned fails;
    bool strict, help;
    struct dk_replay_target outputs[DK_REPLAY_OUTPUTS_MAX];
    size_t output_count;
    const char **logs; /**< points into argv */
    size_t log_count;
};

/** The name of the topic that `log` says, NULL if it is a file. */
const char *dk_replay_topic(const char *log);

/**
 * `argv[0]` is the command. Reorders argv, so that `logs` stand together. DK_ERR_CONFIG names the
 * flag, its value (escaped) and what would be right.
 */
DK_WARN_UNUSED enum dk_error dk_replay_flags_parse(int argc, char **argv,
                                                   struct dk_replay_flags *out,
                                                   struct dk_error_text *why);

#endif
