/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file bytes.h
 * Views of bytes, and a bounded writer.
 *
 * A view never owns what it points to and never relies on a final NUL: names, certificates and
 * answers are foreign bytes and may hold any value. Any thread; no function here allocates, save
 * those of dk_writer that say so.
 */
#ifndef DOORKEEPER_BYTES_H
#define DOORKEEPER_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DK_WARN_UNUSED __attribute__((warn_unused_result))
#define DK_PRINTF(format_index, first_arg) __attribute__((format(printf, format_index, first_arg)))

struct dk_bytes {
    const uint8_t *ptr;
    size_t len;
};

/** A view of a NUL-terminated string, without its NUL. NULL gives the empty view. */
struct dk_bytes dk_bytes_of(const char *text);

bool dk_bytes_equal(struct dk_bytes a, struct dk_bytes b);

/** True if the bytes are well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates). */
bool dk_bytes_is_utf8(struct dk_bytes text);
/** How many bytes at the front of `text` are. */
size_t dk_bytes_utf8_front(struct dk_bytes text);

/**
 * A growing byte buffer with a hard cap. It fails once and stays failed: callers write everything
 * and look at `failed` at the end. Owned by one thread at a time.
 */
struct dk_writer {
    uint8_t *ptr;
    size_t len;
    size_t capacity;
    size_t max_len; /**< writing past it fails, as running out of memory does */
    bool failed;
};

void dk_writer_init(struct dk_writer *writer, size_t max_len);
void dk_writer_clean_up(struct dk_writer *writer);
/** The same for secrets: what was written is wiped first. */
void dk_writer_forget(struct dk_writer *writer);
/** Makes room for `more` bytes at once, so that writing them moves nothing. */
void dk_writer_reserve(struct dk_writer *writer, size_t more);
/** Forgets what was written and keeps the memory. */
void dk_writer_reset(struct dk_writer *writer);
void dk_writer_bytes(struct dk_writer *writer, struct dk_bytes bytes);
void dk_writer_text(struct dk_writer *writer, const char *text);
void dk_writer_u64_decimal(struct dk_writer *writer, uint64_t value);
/** Writes `text` (UTF-8) as a JSON string with its quotes; control characters are escaped. */
void dk_writer_json_string(struct dk_writer *writer, struct dk_bytes text);
struct dk_bytes dk_writer_view(const struct dk_writer *writer);

/**
 * Copies `text` into `out` so that it is safe on one log line: control characters, backslash,
 * U+2028/2029, bidirectional and zero-width marks and malformed bytes become \xNN or \uNNNN.
 * Cuts at `capacity` (never inside an escape or a character) and ends the cut with "...".
 * Returns the number of bytes written; adds no NUL.
 */
size_t dk_bytes_escape(struct dk_bytes text, char *out, size_t capacity);

/* Little-endian numbers at any alignment; a compiler makes one load or store of each. */

static inline uint16_t dk_read_u16(const uint8_t *ptr) {
    return (uint16_t)(ptr[0] | ptr[1] << 8);
}

static inline uint32_t dk_read_u32(const uint8_t *ptr) {
    return (uint32_t)ptr[0] | (uint32_t)ptr[1] << 8 | (uint32_t)ptr[2] << 16 |
           (uint32_t)ptr[3] << 24;
}

static inline uint64_t dk_read_u64(const uint8_t *ptr) {
    return (uint64_t)ptr[0] | (uint64_t)ptr[1] << 8 | (uint64_t)ptr[2] << 16 |
           (uint64_t)ptr[3] << 24 | (uint64_t)ptr[4] << 32 | (uint64_t)ptr[5] << 40 |
           (uint64_t)ptr[6] << 48 | (uint64_t)ptr[7] << 56;
}

void dk_write_u16(uint8_t *ptr, uint16_t value);
void dk_write_u32(uint8_t *ptr, uint32_t value);
void dk_write_u64(uint8_t *ptr, uint64_t value);

#endif
