/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file question_directory.h
 * The text of questions, by their keyed hash without the epoch: what was asked of OPA lately. The
 * cache keeps no text, so this is where it is to be had; whoever needs it again uses this one.
 *
 * Bounded in bytes. Questions stand with their context, contexts and the questions of each in the
 * order in which they were put; what has to go is the oldest question of the oldest context.
 *
 * A question is here whether it was allowed or denied: what the answer was is not.
 *
 * @locality scribe only; no locks.
 */
#ifndef DOORKEEPER_QUESTION_DIRECTORY_H
#define DOORKEEPER_QUESTION_DIRECTORY_H

#include "doorkeeper/question.h"

struct dk_question_directory;

/** `key` is copied. `max_bytes`: of all texts with their nodes. DK_ERR_MEMORY. */
DK_WARN_UNUSED enum dk_error dk_question_directory_new(const struct dk_hash_key *key,
                                                       size_t max_bytes,
                                                       struct dk_question_directory **out);
/** The most that it will hold, `max_bytes` and what finds them. */
size_t dk_question_directory_memory_bytes(const struct dk_question_directory *directory);
/** NULL is allowed. */
void dk_question_directory_destroy(struct dk_question_directory *directory);

/** The question was asked just now; copied. What is older goes if it has to. False if the question
 *  is not there afterwards: no memory, or too large. */
bool dk_question_directory_put(struct dk_question_directory *directory,
                               const struct dk_context *context, const struct dk_action *action);

/** The hash of a question without the epoch: its name here. */
struct dk_hash128 dk_question_directory_id(const struct dk_question_directory *directory,
                                           const struct dk_context *context,
                                           const struct dk_action *action);
/** A context record and a request record of one action, until the directory changes; false if the
 *  question is not here. Of the context there is only what OPA is asked (dk_context_write_asked).
 */
DK_WARN_UNUSED bool dk_question_directory_find(const struct dk_question_directory *directory,
                                               struct dk_hash128 id, struct dk_bytes *context,
                                               struct dk_bytes *request);

size_t dk_question_directory_count(const struct dk_question_directory *directory);
/** What it holds now; at most `max_bytes`. */
size_t dk_question_directory_bytes(const struct dk_question_directory *directory);
/** Grows with every question that was not here before it was put. */
uint64_t dk_question_directory_additions(const struct dk_question_directory *directory);

/** A walk over all that is here, the oldest first; ended by the next change. Zero to begin. */
struct dk_question_walk {
    const void *context, *question;
};
/** The next context, and the length of all its actions' records together. */
DK_WARN_UNUSED bool dk_question_walk_context(const struct dk_question_directory *directory,
                                             struct dk_question_walk *walk,
                                             struct dk_bytes *context, size_t *request_len);
/** The next action of that context, as a record. */
DK_WARN_UNUSED bool dk_question_walk_action(struct dk_question_walk *walk, struct dk_bytes *action);

#endif
