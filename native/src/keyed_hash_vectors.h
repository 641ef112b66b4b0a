/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file keyed_hash_vectors.h
 * SipHash-2-4-128 of eight messages side by side: message i is lane i, in two vectors of four
 * 64-bit words. The body of keyed_hash_avx2.c and keyed_hash_avx512.c, which say by TARGET what the
 * compiler may use and by HASH_LANES what the function is called.
 *
 * Invariant: a lane's state is the one that keyed_hash.h gives for what the lane has taken in.
 *
 * Why. All that SipHash does is to add, rotate and xor 64-bit words. C does these to each word of a
 * vector by itself and carries nothing over to another. So a lane that takes in a word goes from
 * the scalar code's state before it to the scalar code's state after it, whatever the other lanes
 * hold. All lanes take in words until the shortest message ends. From there on a lane whose message
 * has ended gets its old state back after each word. Then every lane takes in `last` and its own
 * length, and is finished.
 *
 * Two vectors, because each step of a round waits for the one before: the second vector's steps
 * fill the first's pauses. Not one vector of 512 bits, which is a little faster, but some
 * processors lower their clock while such registers are in use, for all else that a broker does.
 */
#include "keyed_hash_lanes.h"

#define INLINE static inline __attribute__((always_inline, target(TARGET)))

typedef uint64_t vector __attribute__((vector_size(32)));

struct half {
    vector v0, v1, v2, v3;
};

/* Lanes 0 to 3 in `a`, the others in `b`. */
struct lanes {
    struct half a, b;
};

/* One word for each lane. */
struct words {
    vector a, b;
};

_Static_assert(DK_HASH_LANES * sizeof(uint64_t) == sizeof(struct words), "a lane a message");

INLINE vector repeat(uint64_t word) {
    return (vector){word, word, word, word};
}

INLINE vector rotate_left(vector words, int bits) {
    return (words << bits) | (words >> (64 - bits));
}

INLINE void half_round(struct half *state) {
    state->v0 += state->v1;
    state->v1 = rotate_left(state->v1, 13) ^ state->v0;
    state->v0 = rotate_left(state->v0, 32);
    state->v2 += state->v3;
    state->v3 = rotate_left(state->v3, 16) ^ state->v2;
    state->v0 += state->v3;
    state->v3 = rotate_left(state->v3, 21) ^ state->v0;
    state->v2 += state->v1;
    state->v1 = rotate_left(state->v1, 17) ^ state->v2;
    state->v2 = rotate_left(state->v2, 32);
}

INLINE void rounds(struct lanes *state, int count) {
    for (int i = 0; i < count; i++) {
        half_round(&state->a);
        half_round(&state->b);
    }
}

INLINE void absorb(struct lanes *state, struct words words) {
    state->a.v3 ^= words.a;
    state->b.v3 ^= words.b;
    rounds(state, 2);
    state->a.v0 ^= words.a;
    state->b.v0 ^= words.b;
}

INLINE vector read_four(const struct dk_bytes *messages, size_t at) {
    return (vector){dk_read_u64(messages[0].ptr + at), dk_read_u64(messages[1].ptr + at),
                    dk_read_u64(messages[2].ptr + at), dk_read_u64(messages[3].ptr + at)};
}

/* 0 where the message has ended: nothing is read there. */
INLINE uint64_t read_or_zero(struct dk_bytes message, size_t at) {
    return at < message.len ? dk_read_u64(message.ptr + at) : 0;
}

INLINE vector read_four_or_zero(const struct dk_bytes *messages, size_t at) {
    return (vector){read_or_zero(messages[0], at), read_or_zero(messages[1], at),
                    read_or_zero(messages[2], at), read_or_zero(messages[3], at)};
}

INLINE vector lengths_of_four(const struct dk_bytes *messages) {
    return (vector){messages[0].len, messages[1].len, messages[2].len, messages[3].len};
}

/* The word with the length of all that a lane takes in, `around` its message and that itself. */
INLINE vector last_four(const struct dk_bytes *messages, uint64_t around) {
    return (vector){(messages[0].len + around) << 56, (messages[1].len + around) << 56,
                    (messages[2].len + around) << 56, (messages[3].len + around) << 56};
}

/* `taken` where `mask` is all ones, `kept` where it is 0. */
INLINE vector choose(vector mask, vector taken, vector kept) {
    return kept ^ ((kept ^ taken) & mask);
}

/* Gives the lanes that are no longer than `at` their old state back. */
INLINE void undo_ended(struct half *state, const struct half *old, vector lengths, size_t at) {
    vector mask = (vector)(lengths > repeat(at));
    state->v0 = choose(mask, state->v0, old->v0);
    state->v1 = choose(mask, state->v1, old->v1);
    state->v2 = choose(mask, state->v2, old->v2);
    state->v3 = choose(mask, state->v3, old->v3);
}

INLINE struct words fold(const struct lanes *state) {
    return (struct words){state->a.v0 ^ state->a.v1 ^ state->a.v2 ^ state->a.v3,
                          state->b.v0 ^ state->b.v1 ^ state->b.v2 ^ state->b.v3};
}

INLINE void finish(struct lanes *state, struct dk_hash128 *out) {
    state->a.v2 ^= repeat(0xee);
    state->b.v2 ^= repeat(0xee);
    rounds(state, 4);
    struct words h0 = fold(state);
    state->a.v1 ^= repeat(0xdd);
    state->b.v1 ^= repeat(0xdd);
    rounds(state, 4);
    struct words h1 = fold(state);
    for (size_t i = 0; i < DK_HASH_LANES / 2; i++) {
        out[i] = (struct dk_hash128){h0.a[i], h1.a[i]};
        out[DK_HASH_LANES / 2 + i] = (struct dk_hash128){h0.b[i], h1.b[i]};
    }
}

__attribute__((target(TARGET))) void HASH_LANES(const struct dk_keyed_hash *begun,
                                                const struct dk_bytes messages[DK_HASH_LANES],
                                                uint64_t last,
                                                struct dk_hash128 out[DK_HASH_LANES]) {
    const struct dk_bytes *messages_b = messages + DK_HASH_LANES / 2;
    struct half start = {repeat(begun->v0), repeat(begun->v1), repeat(begun->v2),
                         repeat(begun->v3)};
    struct lanes state = {start, start};
    size_t shortest = messages[0].len, longest = shortest;
    for (size_t i = 1; i < DK_HASH_LANES; i++) {
        shortest = messages[i].len < shortest ? messages[i].len : shortest;
        longest = messages[i].len > longest ? messages[i].len : longest;
    }
    size_t at = 0;
    for (; at < shortest; at += 8) {
        absorb(&state, (struct words){read_four(messages, at), read_four(messages_b, at)});
    }
    struct words lengths = {lengths_of_four(messages), lengths_of_four(messages_b)};
    for (; at < longest; at += 8) {
        struct lanes old = state;
        absorb(&state,
               (struct words){read_four_or_zero(messages, at), read_four_or_zero(messages_b, at)});
        undo_ended(&state.a, &old.a, lengths.a, at);
        undo_ended(&state.b, &old.b, lengths.b, at);
    }
    absorb(&state, (struct words){repeat(last), repeat(last)});
    uint64_t around = begun->len + sizeof(last);
    absorb(&state, (struct words){last_four(messages, around), last_four(messages_b, around)});
    finish(&state, out);
}
