/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file outcome.h
 * What became of a question. Zeroed memory denies.
 */
#ifndef DOORKEEPER_OUTCOME_H
#define DOORKEEPER_OUTCOME_H

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

/** "DENY", "ALLOW", ... and "none", "rule", "cache", "opa", "stale". Never NULL. */
const char *dk_outcome_name(enum dk_outcome outcome);
const char *dk_source_name(enum dk_source source);

#endif
