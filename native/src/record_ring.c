/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The many-to-one ring buffer of Agrona (Martin Thompson, github.com/real-logic/agrona).
 *
 * Positions count bytes and never wrap; a position modulo the size is a place. A frame is a header
 * of 8 bytes and a payload padded to 8. Invariant: between `tail` and `head` + size every word is
 * 0, so the header of a frame whose room is taken is 0 until its producer has copied the payload
 * and stores the length with a release; the consumer acquires it, reads, makes all words of the
 * frame 0 again and releases `head`. A producer acquires `head` before it takes room, so it writes
 * only after the zeros. `tail` orders nothing and is relaxed.
 *
 * A producer that is stopped between taking room and storing the length holds up the consumer, not
 * other producers, until the ring is full.
 */
#include "record_ring.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define SIZE_MIN ((size_t)4096)
#define HEADER ((uint64_t)8)
/* Set in the header of every whole frame, so that an empty record is not taken for none. */
#define WHOLE (UINT64_C(1) << 63)
/* What is left before the end of the ring, skipped. */
#define PADDING (UINT64_C(1) << 62)
#define LENGTH_MASK UINT64_C(0xffffffff)

struct dk_record_ring {
    _Atomic uint64_t *words;
    uint64_t size; /* in bytes */
    _Alignas(64) _Atomic uint64_t tail;
    _Alignas(64) _Atomic uint64_t head;
};

enum dk_error dk_record_ring_new(size_t bytes, struct dk_record_ring **out) {
    size_t size = SIZE_MIN;
    while (size < bytes) {
        size *= 2;
    }
    struct dk_record_ring *ring = aligned_alloc(_Alignof(struct dk_record_ring), sizeof(*ring));
    if (ring == NULL) {
        return DK_ERR_MEMORY;
    }
    memset(ring, 0, sizeof(*ring));
    ring->size = size;
    ring->words = calloc(size / sizeof(*ring->words), sizeof(*ring->words));
    if (ring->words == NULL) {
        free(ring);
        return DK_ERR_MEMORY;
    }
    *out = ring;
    return DK_OK;
}

void dk_record_ring_destroy(struct dk_record_ring *ring) {
    if (ring != NULL) {
        free(ring->words);
        free(ring);
    }
}

size_t dk_record_ring_memory_bytes(const struct dk_record_ring *ring) {
    return sizeof(*ring) + ring->size;
}

static _Atomic uint64_t *header_at(const struct dk_record_ring *ring, uint64_t position) {
    return &ring->words[position % ring->size / sizeof(*ring->words)];
}

static uint64_t frame_bytes(uint64_t len) {
    return HEADER + ((len + 7) & ~UINT64_C(7));
}

static void close_frame(struct dk_record_ring *ring, uint64_t position, uint64_t header) {
    atomic_store_explicit(header_at(ring, position), header, memory_order_release);
}

/* Takes room for a frame in one piece; `*position` is where it begins. */
static bool take_room(struct dk_record_ring *ring, uint64_t frame, uint64_t *position) {
    uint64_t tail, skipped;
    do {
        /* In this order, so that `tail` is never behind `head`. */
        uint64_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
        tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
        uint64_t to_end = ring->size - tail % ring->size;
        skipped = frame > to_end ? to_end : 0;
        if (tail + skipped + frame - head > ring->size) {
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&ring->tail, &tail, tail + skipped + frame,
                                                    memory_order_relaxed, memory_order_relaxed));
    if (skipped > 0) {
        close_frame(ring, tail, WHOLE | PADDING | (skipped - HEADER));
    }
    *position = tail + skipped;
    return true;
}

bool dk_record_ring_put(struct dk_record_ring *ring, const struct dk_bytes *parts, size_t count) {
    uint64_t len = 0;
    for (size_t i = 0; i < count; i++) {
        len += parts[i].len;
    }
    uint64_t position;
    if (len > ring->size / 2 - HEADER || !take_room(ring, frame_bytes(len), &position)) {
        return false;
    }
    uint8_t *payload = (uint8_t *)(header_at(ring, position) + 1);
    for (size_t i = 0; i < count; i++) {
        if (parts[i].len > 0) {
            memcpy(payload, parts[i].ptr, parts[i].len);
            payload += parts[i].len;
        }
    }
    close_frame(ring, position, WHOLE | len);
    return true;
}

bool dk_record_ring_peek(struct dk_record_ring *ring, struct dk_bytes *out) {
    for (;;) {
        uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
        const _Atomic uint64_t *at = header_at(ring, head);
        uint64_t header = atomic_load_explicit(at, memory_order_acquire);
        if ((header & WHOLE) == 0) {
            return false;
        }
        if ((header & PADDING) == 0) {
            *out = (struct dk_bytes){(const uint8_t *)(at + 1), (size_t)(header & LENGTH_MASK)};
            return true;
        }
        dk_record_ring_pop(ring);
    }
}

void dk_record_ring_pop(struct dk_record_ring *ring) {
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    _Atomic uint64_t *at = header_at(ring, head);
    uint64_t frame = frame_bytes(atomic_load_explicit(at, memory_order_relaxed) & LENGTH_MASK);
    memset((void *)at, 0, frame);
    atomic_store_explicit(&ring->head, head + frame, memory_order_release);
}
