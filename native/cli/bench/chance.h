/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file chance.h
 * Repeatable random numbers: the same seed gives the same numbers on every machine. Not for
 * secrets. A dk_random belongs to one thread; a dk_zipf is only read once it is made.
 */
#ifndef DOORKEEPER_CLI_CHANCE_H
#define DOORKEEPER_CLI_CHANCE_H

#include "doorkeeper/error.h"

/** SplitMix64. */
struct dk_random {
    uint64_t state;
};

/** A stream of its own for each pair. */
struct dk_random dk_random_of(uint64_t seed, uint64_t number);
uint64_t dk_random_next(struct dk_random *random);
/** From 0 to `end` - 1; `end` from 1 to 2^32 - 1. */
uint32_t dk_random_below(struct dk_random *random, uint32_t end);
/** From 0 up to, not including, 1. */
double dk_random_unit(struct dk_random *random);

/** Picks 0 to count - 1, the number i with a weight of 1 / (i + 1)^exponent. */
struct dk_zipf;

/** `count` from 1; `exponent` 0: all alike. DK_ERR_MEMORY. */
DK_WARN_UNUSED enum dk_error dk_zipf_new(uint32_t count, double exponent, struct dk_zipf **out);
/** NULL is allowed. */
void dk_zipf_destroy(struct dk_zipf *zipf);
/** Takes one number of `random`, whatever `count` is. */
uint32_t dk_zipf_pick(const struct dk_zipf *zipf, struct dk_random *random);

#endif
