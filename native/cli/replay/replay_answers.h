/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file replay_answers.h
 * Answers of earlier runs, so that one that was interrupted goes on where it was (--resume).
 *
 * An answer is kept under SHA-256 of all that it depends on: what the policy's bundle holds, as of
 * when it was asked, the rule and the input. What has changed in any of these finds nothing and is
 * asked, so a file may hold answers of many policies. A line of the file is the digest, the outcome
 * and the digest of any other JSON value; a line that is not well-formed is passed over. Who can
 * write the file can say what a policy answers. One thread.
 */
#ifndef DOORKEEPER_CLI_REPLAY_ANSWERS_H
#define DOORKEEPER_CLI_REPLAY_ANSWERS_H

#include "replay_table.h"

#define DK_DIGEST_LEN 32u

struct dk_replay_answers;

/** Reads the file, which need not be there, and opens it to add to it. `why` names it. */
DK_WARN_UNUSED enum dk_error
dk_replay_answers_open(const char *path, struct dk_replay_answers **out, struct dk_error_text *why);
/** False if what was added last could not be written. NULL is allowed. */
bool dk_replay_answers_close(struct dk_replay_answers *answers);

/** Of all that a bundle holds: a file's bytes, or the names and bytes of all files below a
 *  directory. */
DK_WARN_UNUSED enum dk_error
dk_replay_digest_bundle(const char *path, uint8_t digest[DK_DIGEST_LEN], struct dk_error_text *why);

bool dk_replay_answers_find(const struct dk_replay_answers *answers,
                            const uint8_t digest[DK_DIGEST_LEN], struct dk_replay_result *out);
/** An answer that is there already is not added again. False if memory or disk is short. */
bool dk_replay_answers_add(struct dk_replay_answers *answers, const uint8_t digest[DK_DIGEST_LEN],
                           struct dk_replay_result result);

#endif
