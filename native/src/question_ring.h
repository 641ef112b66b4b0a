/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file question_ring.h
 * Hands the questions that OPA has just decided from the I/O thread to the scribe. Bounded, and
 * the I/O thread never waits: what does not fit is dropped, and comes again when it is asked again.
 */
#ifndef DOORKEEPER_QUESTION_RING_H
#define DOORKEEPER_QUESTION_RING_H

#include "doorkeeper/question.h"

struct dk_question_ring;

/** Takes all memory that it will ever need. DK_ERR_MEMORY. */
DK_WARN_UNUSED enum dk_error dk_question_ring_new(struct dk_question_ring **out);
/** No other thread may still use it. NULL is allowed. */
void dk_question_ring_destroy(struct dk_question_ring *ring);
size_t dk_question_ring_memory_bytes(const struct dk_question_ring *ring);

/** I/O thread only, lock-free. Copies the question, or drops it. NULL: nobody wants it. */
void dk_question_ring_put(struct dk_question_ring *ring, const struct dk_context *context,
                          const struct dk_action *action);

/** Scribe only, wait-free. The oldest question, as a context record and a request record of one
 *  action, which hold until the next call; false if there is none. */
DK_WARN_UNUSED bool dk_question_ring_take(struct dk_question_ring *ring, struct dk_bytes *context,
                                          struct dk_bytes *request);

#endif
