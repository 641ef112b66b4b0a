/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file keyed_hash.h
 * SipHash-2-4 with 128-bit output (Aumasson, Bernstein: "SipHash: a fast short-input PRF"), over
 * messages that are whole 8-byte words.
 *
 * The state is a small value: it may be copied after a common prefix and finished many times. That
 * is how the part of a question that belongs to the connection is hashed once. Wait-free.
 *
 * Not promised: a defence for anybody who knows the key or a state. Neither may leave the process.
 */
#ifndef DOORKEEPER_KEYED_HASH_H
#define DOORKEEPER_KEYED_HASH_H

#include "doorkeeper/bytes.h"
#include "doorkeeper/error.h"

struct dk_hash_key {
    uint64_t k0, k1;
};

/** 128 bits: as h0 then h1, little-endian, they are the bytes that OpenSSL's SIPHASH prints. */
struct dk_hash128 {
    uint64_t h0, h1;
};

struct dk_keyed_hash {
    uint64_t v0, v1, v2, v3;
    uint64_t len; /**< bytes so far */
};

/** Fills `key` from getrandom(2). */
DK_WARN_UNUSED enum dk_error dk_hash_key_init(struct dk_hash_key *key);

void dk_keyed_hash_init(struct dk_keyed_hash *state, const struct dk_hash_key *key);
void dk_keyed_hash_word(struct dk_keyed_hash *state, uint64_t word);
/** `len` is a multiple of 8; the bytes are read as little-endian words. */
void dk_keyed_hash_words(struct dk_keyed_hash *state, const uint8_t *ptr, size_t len);
/** A part of any length, framed: its length as a word, then its bytes padded with zeros to 8. */
void dk_keyed_hash_part(struct dk_keyed_hash *state, struct dk_bytes part);
/** Leaves `state` as it is. */
struct dk_hash128 dk_keyed_hash_finish(const struct dk_keyed_hash *state);

#endif
