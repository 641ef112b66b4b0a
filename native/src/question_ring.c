/* SPDX-License-Identifier: Apache-2.0 */
#include "question_ring.h"

#include "record_ring.h"

#include <stdlib.h>

#define RING_BYTES ((size_t)4 * 1024 * 1024)
/* Of an action's record, what its hashed part leaves out. */
#define ACTION_UNHASHED 8u

/* A record: u32 length of the context record, u32 0, the context record, the request record. */
struct dk_question_ring {
    struct dk_record_ring *records;
    bool has_taken; /* the reader's: the oldest record is only read, not yet given back */
};

enum dk_error dk_question_ring_new(struct dk_question_ring **out) {
    struct dk_question_ring *ring = calloc(1, sizeof(*ring));
    *out = NULL;
    if (ring == NULL) {
        return DK_ERR_MEMORY;
    }
    enum dk_error error = dk_record_ring_new(RING_BYTES, &ring->records);
    if (error != DK_OK) {
        free(ring);
        return error;
    }
    *out = ring;
    return DK_OK;
}

void dk_question_ring_destroy(struct dk_question_ring *ring) {
    if (ring != NULL) {
        dk_record_ring_destroy(ring->records);
        free(ring);
    }
}

size_t dk_question_ring_memory_bytes(const struct dk_question_ring *ring) {
    return sizeof(*ring) + dk_record_ring_memory_bytes(ring->records);
}

void dk_question_ring_put(struct dk_question_ring *ring, const struct dk_context *context,
                          const struct dk_action *action) {
    if (ring == NULL) {
        return;
    }
    static const uint8_t unhashed[ACTION_UNHASHED];
    uint8_t header[8] = {0};
    dk_write_u32(header, (uint32_t)context->record.len);
    const struct dk_bytes parts[] = {
        {header, sizeof(header)}, context->record, {unhashed, sizeof(unhashed)}, action->hashed};
    (void)dk_record_ring_put(ring->records, parts, sizeof(parts) / sizeof(parts[0]));
}

bool dk_question_ring_take(struct dk_question_ring *ring, struct dk_bytes *context,
                           struct dk_bytes *request) {
    struct dk_bytes record;
    if (ring->has_taken) {
        dk_record_ring_pop(ring->records);
    }
    ring->has_taken = dk_record_ring_peek(ring->records, &record);
    if (!ring->has_taken) {
        return false;
    }
    size_t context_len = dk_read_u32(record.ptr);
    *context = (struct dk_bytes){record.ptr + 8, context_len};
    *request = (struct dk_bytes){record.ptr + 8 + context_len, record.len - 8 - context_len};
    return true;
}
