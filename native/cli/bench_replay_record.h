/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file bench_replay_record.h
 * Parts of a question from JSON (docs/policy-input.md) back to the records of question.h. Any
 * thread.
 */
#ifndef DOORKEEPER_CLI_BENCH_REPLAY_RECORD_H
#define DOORKEEPER_CLI_BENCH_REPLAY_RECORD_H

#include "record_writer.h"

#include <cjson/cJSON.h>

/**
 * Appends a context record that asks exactly what the JSON says. False if there is none, because a
 * member is missing, unknown or of another type; then `out` holds a part. Any argument may be NULL
 * or of any type.
 */
bool dk_bench_replay_write_context(const cJSON *cluster, const cJSON *principal,
                                   const cJSON *client, struct dk_writer *out);

/** Kafka's codes of names like "READ", "TOPIC", "LITERAL"; false if one is unknown or NULL. */
bool dk_bench_replay_read_codes(const cJSON *operation, const cJSON *type, const cJSON *pattern,
                                struct dk_action_codes *out);

#endif
