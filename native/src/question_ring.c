/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One writer, one reader. `head` counts the bytes that were ever written, `tail` those that were
 * read; both only grow, and head - tail <= RING_BYTES. The writer stores a record and then `head`
 * (release), so a reader that sees the new head (acquire) sees the record. The reader copies a
 * record out and then stores `tail` (release), so a writer that sees the new tail (acquire)
 * overwrites only what was read.
 *
 * A record: u32 length of the context record, u32 length of the request record, the two.
 */
#include "question_ring.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define RING_BYTES ((size_t)4 * 1024 * 1024)
#define RECORD_HEADER 8u
/* Of an action's record, what its hashed part leaves out. */
#define ACTION_UNHASHED 8u
#define RECORD_MAX                                                                                 \
    (RECORD_HEADER + DK_CONTEXT_MAX + DK_ACTION_HEADER + DK_NAME_MAX /* a multiple of 8 */)

_Static_assert((RING_BYTES & (RING_BYTES - 1)) == 0, "a power of two");
_Static_assert(RECORD_MAX <= RING_BYTES, "each question fits");

struct dk_question_ring {
    _Alignas(64) _Atomic size_t head;
    _Alignas(64) _Atomic size_t tail;
    uint8_t *bytes;
    uint8_t *taken; /* the reader's: room for one record */
};

enum dk_error dk_question_ring_new(struct dk_question_ring **out) {
    struct dk_question_ring *ring = aligned_alloc(_Alignof(struct dk_question_ring), sizeof(*ring));
    *out = NULL;
    if (ring == NULL) {
        return DK_ERR_MEMORY;
    }
    atomic_init(&ring->head, 0);
    atomic_init(&ring->tail, 0);
    ring->bytes = malloc(RING_BYTES);
    ring->taken = malloc(RECORD_MAX);
    if (ring->bytes == NULL || ring->taken == NULL) {
        dk_question_ring_destroy(ring);
        return DK_ERR_MEMORY;
    }
    *out = ring;
    return DK_OK;
}

void dk_question_ring_destroy(struct dk_question_ring *ring) {
    if (ring == NULL) {
        return;
    }
    free(ring->bytes);
    free(ring->taken);
    free(ring);
}

size_t dk_question_ring_memory_bytes(void) {
    return sizeof(struct dk_question_ring) + RING_BYTES + RECORD_MAX;
}

/* Both go round the end of the ring. */

static size_t copy_in(struct dk_question_ring *ring, size_t at, struct dk_bytes from) {
    size_t begin = at & (RING_BYTES - 1);
    size_t first = from.len < RING_BYTES - begin ? from.len : RING_BYTES - begin;
    memcpy(ring->bytes + begin, from.ptr, first);
    memcpy(ring->bytes, from.ptr + first, from.len - first);
    return at + from.len;
}

static void copy_out(const struct dk_question_ring *ring, size_t at, uint8_t *to, size_t len) {
    size_t begin = at & (RING_BYTES - 1);
    size_t first = len < RING_BYTES - begin ? len : RING_BYTES - begin;
    memcpy(to, ring->bytes + begin, first);
    memcpy(to + first, ring->bytes, len - first);
}

void dk_question_ring_put(struct dk_question_ring *ring, const struct dk_context *context,
                          const struct dk_action *action) {
    if (ring == NULL) {
        return;
    }
    size_t request_len = ACTION_UNHASHED + action->hashed.len;
    size_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    size_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
    if (RECORD_HEADER + context->record.len + request_len > RING_BYTES - (head - tail)) {
        return;
    }
    uint8_t header[RECORD_HEADER];
    static const uint8_t unhashed[ACTION_UNHASHED];
    dk_write_u32(header, (uint32_t)context->record.len);
    dk_write_u32(header + 4, (uint32_t)request_len);
    head = copy_in(ring, head, (struct dk_bytes){header, sizeof(header)});
    head = copy_in(ring, head, context->record);
    head = copy_in(ring, head, (struct dk_bytes){unhashed, sizeof(unhashed)});
    head = copy_in(ring, head, action->hashed);
    atomic_store_explicit(&ring->head, head, memory_order_release);
}

bool dk_question_ring_take(struct dk_question_ring *ring, struct dk_bytes *context,
                           struct dk_bytes *request) {
    size_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    if (atomic_load_explicit(&ring->head, memory_order_acquire) == tail) {
        return false;
    }
    uint8_t header[RECORD_HEADER];
    copy_out(ring, tail, header, sizeof(header));
    size_t context_len = dk_read_u32(header);
    size_t request_len = dk_read_u32(header + 4);
    copy_out(ring, tail + RECORD_HEADER, ring->taken, context_len + request_len);
    atomic_store_explicit(&ring->tail, tail + RECORD_HEADER + context_len + request_len,
                          memory_order_release);
    *context = (struct dk_bytes){ring->taken, context_len};
    *request = (struct dk_bytes){ring->taken + context_len, request_len};
    return true;
}
