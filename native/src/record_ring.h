/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file record_ring.h
 * A bounded ring of records of any length, from many threads to one.
 *
 * Nobody waits: a record that finds no room is dropped and counted. Records come out in the order
 * in which their room was taken.
 */
#ifndef DOORKEEPER_RECORD_RING_H
#define DOORKEEPER_RECORD_RING_H

#include "doorkeeper/error.h"

struct dk_record_ring;

/** `bytes` is rounded up to a power of two, at least 4,096. */
DK_WARN_UNUSED enum dk_error dk_record_ring_new(size_t bytes, struct dk_record_ring **out);
/** No other thread may still use the ring. NULL is allowed. */
void dk_record_ring_destroy(struct dk_record_ring *ring);
size_t dk_record_ring_memory_bytes(const struct dk_record_ring *ring);

/**
 * Any thread, lock-free: copies the parts, one after the other, as one record. False if there was
 * no room, or if the record is larger than half of the ring.
 */
bool dk_record_ring_put(struct dk_record_ring *ring, const struct dk_bytes *parts, size_t count);

/** One thread: the oldest record, as a view until dk_record_ring_pop; false if there is none. It
 *  begins at a multiple of 8. */
bool dk_record_ring_peek(struct dk_record_ring *ring, struct dk_bytes *out);
/** The same thread, after dk_record_ring_peek has returned true. */
void dk_record_ring_pop(struct dk_record_ring *ring);

#endif
