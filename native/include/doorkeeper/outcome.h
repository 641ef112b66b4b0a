/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file outcome.h
 * What became of a question. Zeroed memory denies.
 */
#ifndef DOORKEEPER_OUTCOME_H
#define DOORKEEPER_OUTCOME_H

#include <stdint.h>

enum dk_outcome {
    DK_DENY = 0,
    DK_ALLOW = 1,
    DK_UNDEFINED = 2,   /**< OPA answered without a result; never cached */
    DK_UNAVAILABLE = 3, /**< no valid answer in time; never cached */
};

/** Where an outcome came from. */
enum dk_source {
    DK_SOURCE_NONE = 0, /**< nobody was asked: bad input, queue full, breaker open */
    DK_SOURCE_RULE = 1, /**< a local rule: deny list, expired certificate, super user */
    DK_SOURCE_CACHE = 2,
    DK_SOURCE_OPA = 3,
    DK_SOURCE_STALE = 4, /**< the last known allow, past its TTL, because there was no answer */
};

/** One action's answer: outcome in bits 0-1, source in bits 2-4. 0 is "denied by nobody". */
typedef uint8_t dk_answer;
#define DK_ANSWER(outcome, source) ((dk_answer)((outcome) | ((source) << 2)))
#define DK_ANSWER_OUTCOME(answer) ((enum dk_outcome)((answer) & 3))
#define DK_ANSWER_SOURCE(answer) ((enum dk_source)(((answer) >> 2) & 7))
/** Only in answers of dk_authorizer_probe: the cache does not know. Not an allow. */
#define DK_ANSWER_MISS ((dk_answer)0x20)

/** "DENY", "ALLOW", ... and "none", "rule", "cache", "opa", "stale". Never NULL. */
const char *dk_outcome_name(enum dk_outcome outcome);
const char *dk_source_name(enum dk_source source);

#endif
