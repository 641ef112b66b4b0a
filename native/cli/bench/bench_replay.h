/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file bench_replay.h
 * Recorded questions as a load. JSON Lines: each line holds a question in one of the forms of
 * docs/policy-input.md, or an object that has one as "input"; empty lines are passed over. One
 * thread makes it.
 */
#ifndef DOORKEEPER_CLI_BENCH_REPLAY_H
#define DOORKEEPER_CLI_BENCH_REPLAY_H

#include "load.h"

#define DK_BENCH_REPLAY_FILE_MAX ((size_t)1 << 30)

/**
 * Neighbouring lines of the single form with one principal, client and cluster make one call of at
 * most `actions` questions; each request of a batch makes a call. Calls go round and round. What is
 * asked is exactly what was recorded: a question with a field that docs/policy-input.md does not
 * know, or lacks one, is refused. Certificates are never taken as expired.
 *
 * `text` is not needed afterwards. DK_ERR_MALFORMED (`why` names the line), DK_ERR_MEMORY.
 */
DK_WARN_UNUSED enum dk_error dk_bench_replay_new(struct dk_bytes text, size_t actions,
                                                 struct dk_load **out, struct dk_error_text *why);

#endif
