/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file keyed_hash_lanes.h
 * dk_keyed_hash_lanes for each instruction set that it may use; private to it and to its tests.
 */
#ifndef DOORKEEPER_KEYED_HASH_LANES_H
#define DOORKEEPER_KEYED_HASH_LANES_H

#include "doorkeeper/keyed_hash.h"

/** All lanes have a message. */
typedef void dk_hash_lanes(const struct dk_keyed_hash *begun,
                           const struct dk_bytes messages[DK_HASH_LANES], uint64_t last,
                           struct dk_hash128 out[DK_HASH_LANES]);

/** As dk_keyed_hash_lanes, but by this function; NULL: one message after the other. */
void dk_keyed_hash_lanes_by(dk_hash_lanes *hash_lanes, const struct dk_keyed_hash *begun,
                            struct dk_bytes messages[DK_HASH_LANES], size_t count, uint64_t last,
                            struct dk_hash128 out[DK_HASH_LANES]);

#ifdef __x86_64__

dk_hash_lanes dk_hash_lanes_avx2, dk_hash_lanes_avx512;

/* Whether the processor has it and the operating system saves its registers: found out when the
 * library is loaded, here a load and a test. */

static inline bool dk_can_hash_avx2(void) {
    return __builtin_cpu_supports("avx2");
}

static inline bool dk_can_hash_avx512(void) {
    return __builtin_cpu_supports("avx512vl");
}

#endif
#endif
