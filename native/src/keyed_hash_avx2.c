/* SPDX-License-Identifier: Apache-2.0 */
#ifdef __x86_64__

#define TARGET "avx2"
#define HASH_LANES dk_hash_lanes_avx2
#include "keyed_hash_vectors.h"

#endif
