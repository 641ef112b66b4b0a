/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file question_directory.h
 * The text of questions that were asked lately, by the cache key of each under one epoch, the
 * directory's. The cache keeps no text, so this is where it is to be had; whoever needs it again
 * uses this one.
 *
 * Bounded in bytes. Questions stand with their context, contexts and the questions of each in the
 * order in which they were put; what has to go is the oldest question of the oldest context, or of
 * the context that asks, if that has a quarter of all.
 *
 * A question is here whether it was allowed or denied: what the answer was is not.
 *
 * @locality scribe only; no locks.
 */
#ifndef DOORKEEPER_QUESTION_DIRECTORY_H
#define DOORKEEPER_QUESTION_DIRECTORY_H

#include "doorkeeper/outcome.h"
#include "doorkeeper/question.h"
#include "question_ring.h"

struct dk_question_directory;

/** What the decision log remembers of a question; 0 when it comes here. */
struct dk_question_note {
    uint32_t count;   /**< decisions that are not yet written */
    dk_answer answer; /**< of all of them, and of the one that was written before */
    bool written;     /**< one with this answer was, in this period */
};

/** A question that is here, until the directory changes. */
struct dk_known_question {
    struct dk_hash128 key;   /**< under the directory's epoch */
    struct dk_bytes context; /**< a record with only what OPA is asked (dk_context_write_asked) */
    struct dk_bytes request; /**< a record of one action */
    struct dk_question_note *note;
};

/** `hash_key` is copied. `max_bytes`: of all texts with their nodes. DK_ERR_MEMORY. */
DK_WARN_UNUSED enum dk_error dk_question_directory_new(const struct dk_hash_key *hash_key,
                                                       size_t max_bytes,
                                                       struct dk_question_directory **out);
/** The most that it will hold, `max_bytes` and what finds them. */
size_t dk_question_directory_memory_bytes(const struct dk_question_directory *directory);
/** NULL is allowed. Nobody is told of what leaves. */
void dk_question_directory_destroy(struct dk_question_directory *directory);

/** `leaves` is called with each question that has to go, before it goes; it must not change the
 *  directory. */
void dk_question_directory_on_leaving(struct dk_question_directory *directory,
                                      void (*leaves)(void *user,
                                                     const struct dk_known_question *question),
                                      void *user);
/** Makes the keys of all questions anew. At first it is 0. */
void dk_question_directory_set_epoch(struct dk_question_directory *directory, uint64_t epoch);
uint64_t dk_question_directory_epoch(const struct dk_question_directory *directory);

/** The question was asked just now; copied. What is older goes if it has to. False if the question
 *  is not there afterwards: no memory, or too large. `out` may be NULL. */
bool dk_question_directory_put(struct dk_question_directory *directory,
                               const struct dk_context *context, const struct dk_action *action,
                               struct dk_known_question *out);
/** Puts what waits in the ring. */
void dk_question_directory_take(struct dk_question_directory *directory,
                                struct dk_question_ring *decided);

/** False if there is no question with this key. */
DK_WARN_UNUSED bool dk_question_directory_find(const struct dk_question_directory *directory,
                                               struct dk_hash128 key,
                                               struct dk_known_question *out);

size_t dk_question_directory_count(const struct dk_question_directory *directory);
/** What it holds now; at most `max_bytes`. */
size_t dk_question_directory_bytes(const struct dk_question_directory *directory);
/** Grows with every question that was not here before it was put. */
uint64_t dk_question_directory_additions(const struct dk_question_directory *directory);

/** A walk over all that is here, the oldest first; ended by the next change. Zero to begin. */
struct dk_question_walk {
    void *context, *question;
};
/** The next context, and the length of all its actions' records together. */
DK_WARN_UNUSED bool dk_question_walk_context(const struct dk_question_directory *directory,
                                             struct dk_question_walk *walk,
                                             struct dk_bytes *context, size_t *request_len);
/** The next question of that context. */
DK_WARN_UNUSED bool dk_question_walk_question(struct dk_question_walk *walk,
                                              struct dk_known_question *out);

#endif
