/* SPDX-License-Identifier: Apache-2.0 */
#include "doorkeeper/keyed_hash.h"

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
