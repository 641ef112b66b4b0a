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

/* Inline, because a hit is little else than these rounds. */

static inline uint64_t dk_rotate_left(uint64_t word, unsigned bits) {
    return (word << bits) | (word >> (64 - bits));
}

static inline void dk_sip_round(struct dk_keyed_hash *state) {
    state->v0 += state->v1;
    state->v1 = dk_rotate_left(state->v1, 13) ^ state->v0;
    state->v0 = dk_rotate_left(state->v0, 32);
    state->v2 += state->v3;
    state->v3 = dk_rotate_left(state->v3, 16) ^ state->v2;
    state->v0 += state->v3;
    state->v3 = dk_rotate_left(state->v3, 21) ^ state->v0;
    state->v2 += state->v1;
    state->v1 = dk_rotate_left(state->v1, 17) ^ state->v2;
    state->v2 = dk_rotate_left(state->v2, 32);
}

static inline void dk_sip_absorb(struct dk_keyed_hash *state, uint64_t word) {
    state->v3 ^= word;
    dk_sip_round(state);
    dk_sip_round(state);
    state->v0 ^= word;
}

static inline void dk_keyed_hash_init(struct dk_keyed_hash *state, const struct dk_hash_key *key) {
    state->v0 = key->k0 ^ UINT64_C(0x736f6d6570736575);
    state->v1 = key->k1 ^ UINT64_C(0x646f72616e646f6d) ^ 0xee;
    state->v2 = key->k0 ^ UINT64_C(0x6c7967656e657261);
    state->v3 = key->k1 ^ UINT64_C(0x7465646279746573);
    state->len = 0;
}

static inline void dk_keyed_hash_word(struct dk_keyed_hash *state, uint64_t word) {
    dk_sip_absorb(state, word);
    state->len += 8;
}

/** `len` is a multiple of 8; the bytes are read as little-endian words. */
static inline void dk_keyed_hash_words(struct dk_keyed_hash *state, const uint8_t *ptr,
                                       size_t len) {
    for (size_t i = 0; i + 8 <= len; i += 8) {
        dk_sip_absorb(state, dk_read_u64(ptr + i));
    }
    state->len += len;
}

/** Leaves `state` as it is. */
static inline struct dk_hash128 dk_keyed_hash_finish(const struct dk_keyed_hash *state) {
    struct dk_keyed_hash last = *state;
    /* Whole words only, so the last block holds nothing but the length. */
    dk_sip_absorb(&last, last.len << 56);
    last.v2 ^= 0xee;
    for (int i = 0; i < 4; i++) {
        dk_sip_round(&last);
    }
    struct dk_hash128 hash;
    hash.h0 = last.v0 ^ last.v1 ^ last.v2 ^ last.v3;
    last.v1 ^= 0xdd;
    for (int i = 0; i < 4; i++) {
        dk_sip_round(&last);
    }
    hash.h1 = last.v0 ^ last.v1 ^ last.v2 ^ last.v3;
    return hash;
}

/** A part of any length, framed: its length as a word, then its bytes padded with zeros to 8. */
void dk_keyed_hash_part(struct dk_keyed_hash *state, struct dk_bytes part);

/** So many messages may be hashed side by side. */
#define DK_HASH_LANES 8u

/**
 * For each of `count` messages (at least one) the hash of what `begun` has taken in, then the
 * message, then `last`: just what the functions above give, but side by side where the processor
 * can. `len` of a message is a multiple of 8. Best for messages of one length. Both arrays have
 * room for DK_HASH_LANES; beyond `count` they are overwritten. Wait-free.
 */
void dk_keyed_hash_lanes(const struct dk_keyed_hash *begun, struct dk_bytes messages[DK_HASH_LANES],
                         size_t count, uint64_t last, struct dk_hash128 out[DK_HASH_LANES]);

#endif
