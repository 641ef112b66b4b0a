/* SPDX-License-Identifier: Apache-2.0 */
#include "hash_index.h"

#include <stdlib.h>
#include <string.h>

#define CAPACITY_MIN 1024u

void dk_hash_index_clean_up(struct dk_hash_index *index) {
    free(index->slots);
    memset(index, 0, sizeof(*index));
}

/* The slot that holds `hash`, or the free one where it would go. */
static struct dk_hash_slot *slot_of(const struct dk_hash_index *index, struct dk_hash128 hash) {
    size_t i = (size_t)hash.h0 & (index->capacity - 1);
    while (index->slots[i].value != DK_HASH_INDEX_NONE &&
           (index->slots[i].hash.h0 != hash.h0 || index->slots[i].hash.h1 != hash.h1)) {
        i = (i + 1) & (index->capacity - 1);
    }
    return &index->slots[i];
}

uint32_t dk_hash_index_find(const struct dk_hash_index *index, struct dk_hash128 hash) {
    return index->capacity == 0 ? DK_HASH_INDEX_NONE : slot_of(index, hash)->value;
}

static enum dk_error grow(struct dk_hash_index *index) {
    struct dk_hash_index larger = {.count = index->count};
    larger.capacity = index->capacity == 0 ? CAPACITY_MIN : 2 * index->capacity;
    larger.slots = malloc(larger.capacity * sizeof(larger.slots[0]));
    if (larger.slots == NULL) {
        return DK_ERR_MEMORY;
    }
    memset(larger.slots, 0xff, larger.capacity * sizeof(larger.slots[0]));
    for (size_t i = 0; i < index->capacity; i++) {
        if (index->slots[i].value != DK_HASH_INDEX_NONE) {
            *slot_of(&larger, index->slots[i].hash) = index->slots[i];
        }
    }
    free(index->slots);
    *index = larger;
    return DK_OK;
}

enum dk_error dk_hash_index_add(struct dk_hash_index *index, struct dk_hash128 hash,
                                uint32_t value) {
    if (3 * (index->count + 1) > 2 * index->capacity && grow(index) != DK_OK) {
        return DK_ERR_MEMORY;
    }
    *slot_of(index, hash) = (struct dk_hash_slot){hash, value};
    index->count++;
    return DK_OK;
}
