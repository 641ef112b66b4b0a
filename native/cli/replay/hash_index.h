/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hash_index.h
 * From a 128-bit keyed hash to a number: open addressing, nothing is ever taken out. The hash
 * stands for what was hashed, as in the decision cache, so it must come from a key that nobody else
 * knows. One thread.
 */
#ifndef DOORKEEPER_CLI_HASH_INDEX_H
#define DOORKEEPER_CLI_HASH_INDEX_H

#include "doorkeeper/keyed_hash.h"

#define DK_HASH_INDEX_NONE UINT32_MAX

struct dk_hash_slot {
    struct dk_hash128 hash;
    uint32_t value;
};

/** Zeroed memory is an empty index. */
struct dk_hash_index {
    struct dk_hash_slot *slots;
    size_t capacity; /**< a power of two, or 0 */
    size_t count;
};

void dk_hash_index_clean_up(struct dk_hash_index *index);
/** DK_HASH_INDEX_NONE if it is not there. */
uint32_t dk_hash_index_find(const struct dk_hash_index *index, struct dk_hash128 hash);
/** `hash` must not be there, `value` must not be DK_HASH_INDEX_NONE. DK_ERR_MEMORY. */
DK_WARN_UNUSED enum dk_error dk_hash_index_add(struct dk_hash_index *index, struct dk_hash128 hash,
                                               uint32_t value);

#endif
