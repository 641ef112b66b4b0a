/* SPDX-License-Identifier: Apache-2.0 */
#include "keyed_hash_lanes.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

enum dk_error dk_hash_key_init(struct dk_hash_key *key) {
    uint8_t bytes[16];
    size_t filled = 0;
    while (filled < sizeof(bytes)) {
        ssize_t got = getrandom(bytes + filled, sizeof(bytes) - filled, 0);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return DK_ERR_SYSTEM;
        }
        filled += (size_t)got;
    }
    key->k0 = dk_read_u64(bytes);
    key->k1 = dk_read_u64(bytes + 8);
    return DK_OK;
}

void dk_keyed_hash_part(struct dk_keyed_hash *state, struct dk_bytes part) {
    size_t whole = part.len & ~(size_t)7;
    dk_keyed_hash_word(state, part.len);
    dk_keyed_hash_words(state, part.ptr, whole);
    if (whole < part.len) {
        uint8_t padded[8] = {0};
        memcpy(padded, part.ptr + whole, part.len - whole);
        dk_keyed_hash_words(state, padded, sizeof(padded));
    }
}

static dk_hash_lanes *best_lanes(void) {
#ifdef __x86_64__
    if (dk_can_hash_avx512()) {
        return dk_hash_lanes_avx512;
    }
    if (dk_can_hash_avx2()) {
        return dk_hash_lanes_avx2;
    }
#endif
    return NULL;
}

static struct dk_hash128 hash_one(const struct dk_keyed_hash *begun, struct dk_bytes message,
                                  uint64_t last) {
    struct dk_keyed_hash state = *begun;
    dk_keyed_hash_words(&state, message.ptr, message.len);
    dk_keyed_hash_word(&state, last);
    return dk_keyed_hash_finish(&state);
}

void dk_keyed_hash_lanes_by(dk_hash_lanes *hash_lanes, const struct dk_keyed_hash *begun,
                            struct dk_bytes messages[DK_HASH_LANES], size_t count, uint64_t last,
                            struct dk_hash128 out[DK_HASH_LANES]) {
    if (hash_lanes == NULL) {
        for (size_t i = 0; i < count; i++) {
            out[i] = hash_one(begun, messages[i], last);
        }
        return;
    }
    for (size_t i = count; i < DK_HASH_LANES; i++) {
        messages[i] = messages[0];
    }
    hash_lanes(begun, messages, last, out);
}

void dk_keyed_hash_lanes(const struct dk_keyed_hash *begun, struct dk_bytes messages[DK_HASH_LANES],
                         size_t count, uint64_t last, struct dk_hash128 out[DK_HASH_LANES]) {
    dk_keyed_hash_lanes_by(best_lanes(), begun, messages, count, last, out);
}
