/* SPDX-License-Identifier: Apache-2.0 */
#include "keyed_hash_lanes.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct dk_hash128 openssl_siphash(const uint8_t key[16], const uint8_t *ptr, size_t len) {
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "SIPHASH", NULL);
    EVP_MAC_CTX *context = EVP_MAC_CTX_new(mac);
    size_t size = 16;
    OSSL_PARAM parameters[] = {OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size),
                               OSSL_PARAM_construct_end()};
    uint8_t out[16];
    assert_int_equal(EVP_MAC_init(context, key, 16, parameters), 1);
    assert_int_equal(EVP_MAC_update(context, ptr, len), 1);
    assert_int_equal(EVP_MAC_final(context, out, &size, sizeof(out)), 1);
    EVP_MAC_CTX_free(context);
    EVP_MAC_free(mac);
    return (struct dk_hash128){dk_read_u64(out), dk_read_u64(out + 8)};
}

static void assert_hash_equal(struct dk_hash128 a, struct dk_hash128 b) {
    assert_true(a.h0 == b.h0);
    assert_true(a.h1 == b.h1);
}

static void fill(uint8_t *bytes, size_t len) {
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (uint8_t)(i * 37 + 11);
    }
}

static void whole_words_equal_openssl(void **state) {
    (void)state;
    uint8_t key_bytes[16], message[1024];
    fill(key_bytes, sizeof(key_bytes));
    fill(message, sizeof(message));
    struct dk_hash_key key = {dk_read_u64(key_bytes), dk_read_u64(key_bytes + 8)};
    for (size_t len = 0; len <= sizeof(message); len += 8) {
        struct dk_keyed_hash hash;
        dk_keyed_hash_init(&hash, &key);
        dk_keyed_hash_words(&hash, message, len);
        assert_hash_equal(dk_keyed_hash_finish(&hash), openssl_siphash(key_bytes, message, len));
    }
}

static void parts_are_framed_and_padded(void **state) {
    (void)state;
    uint8_t key_bytes[16], part[64], framed[80];
    fill(key_bytes, sizeof(key_bytes));
    fill(part, sizeof(part));
    struct dk_hash_key key = {dk_read_u64(key_bytes), dk_read_u64(key_bytes + 8)};
    for (size_t len = 0; len <= sizeof(part); len++) {
        struct dk_keyed_hash hash;
        dk_keyed_hash_init(&hash, &key);
        dk_keyed_hash_part(&hash, (struct dk_bytes){part, len});
        memset(framed, 0, sizeof(framed));
        dk_write_u64(framed, len);
        memcpy(framed + 8, part, len);
        size_t framed_len = 8 + ((len + 7) & ~(size_t)7);
        assert_hash_equal(dk_keyed_hash_finish(&hash),
                          openssl_siphash(key_bytes, framed, framed_len));
    }
}

static void finishing_leaves_the_state(void **state) {
    (void)state;
    struct dk_hash_key key = {1, 2};
    struct dk_keyed_hash hash;
    dk_keyed_hash_init(&hash, &key);
    dk_keyed_hash_word(&hash, 42);
    struct dk_hash128 first = dk_keyed_hash_finish(&hash);
    assert_hash_equal(dk_keyed_hash_finish(&hash), first);
    dk_keyed_hash_word(&hash, 43);
    assert_true(dk_keyed_hash_finish(&hash).h0 != first.h0);
}

static void keys_are_random(void **state) {
    (void)state;
    struct dk_hash_key a, b;
    assert_int_equal(dk_hash_key_init(&a), DK_OK);
    assert_int_equal(dk_hash_key_init(&b), DK_OK);
    assert_true(a.k0 != b.k0 && a.k1 != b.k1);
}

/* Lanes: every way that this processor has, and none, must give what OpenSSL gives. */

#define WAYS_MAX 3u
#define START_MAX 24u
#define MESSAGE_MAX 304u
#define LAST UINT64_C(0xfedcba9876543210)

struct way {
    const char *name;
    bool is_there;
    dk_hash_lanes *hash_lanes;
};

static size_t list_ways(struct way ways[WAYS_MAX]) {
    size_t count = 0;
    ways[count++] = (struct way){"scalar", true, NULL};
#ifdef __x86_64__
    ways[count++] = (struct way){"AVX2", dk_can_hash_avx2(), dk_hash_lanes_avx2};
    ways[count++] = (struct way){"AVX-512", dk_can_hash_avx512(), dk_hash_lanes_avx512};
#endif
    return count;
}

/* What came before, in words. Its first 16 bytes are the key. */
struct start {
    uint8_t bytes[16 + START_MAX];
    size_t len;
    struct dk_keyed_hash begun;
};

static void begin(struct start *start, size_t len) {
    fill(start->bytes, sizeof(start->bytes));
    start->len = len;
    struct dk_hash_key key = {dk_read_u64(start->bytes), dk_read_u64(start->bytes + 8)};
    dk_keyed_hash_init(&start->begun, &key);
    dk_keyed_hash_words(&start->begun, start->bytes + 16, len);
}

static struct dk_hash128 by_openssl(const struct start *start, struct dk_bytes message) {
    uint8_t whole[sizeof(start->bytes) + MESSAGE_MAX + 8];
    memcpy(whole, start->bytes + 16, start->len);
    memcpy(whole + start->len, message.ptr, message.len);
    dk_write_u64(whole + start->len + message.len, LAST);
    return openssl_siphash(start->bytes, whole, start->len + message.len + 8);
}

/* A repeatable random number below `end`. */
static size_t random_below(uint64_t *seed, size_t end) {
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (size_t)(*seed >> 33) % end;
}

struct message {
    uint8_t *memory;
    struct dk_bytes view;
};

/* Memory of its own that ends with the message, so that a sanitizer sees a read beyond it; at any
 * alignment. */
static struct message new_message(uint64_t *seed, size_t len) {
    size_t shift = random_below(seed, 8);
    uint8_t *memory = malloc(shift + len + (shift + len == 0));
    assert_non_null(memory);
    for (size_t i = 0; i < shift + len; i++) {
        memory[i] = (uint8_t)random_below(seed, 256);
    }
    return (struct message){memory, {memory + shift, len}};
}

static void views_of(const struct message *messages, size_t count, struct dk_bytes *views) {
    for (size_t i = 0; i < count; i++) {
        views[i] = messages[i].view;
    }
}

static void assert_hashes_equal(const char *way, const struct dk_hash128 *hashes,
                                const struct dk_hash128 *wanted, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (hashes[i].h0 != wanted[i].h0 || hashes[i].h1 != wanted[i].h1) {
            fail_msg("%s: lane %zu of %zu", way, i, count);
        }
    }
}

static void assert_all_ways_give(const struct start *start, const struct message *messages,
                                 size_t count, const struct dk_hash128 *wanted) {
    struct way ways[WAYS_MAX];
    struct dk_bytes views[DK_HASH_LANES];
    struct dk_hash128 hashes[DK_HASH_LANES];
    size_t way_count = list_ways(ways);
    for (size_t i = 0; i < way_count; i++) {
        if (ways[i].is_there) {
            views_of(messages, count, views);
            dk_keyed_hash_lanes_by(ways[i].hash_lanes, &start->begun, views, count, LAST, hashes);
            assert_hashes_equal(ways[i].name, hashes, wanted, count);
        }
    }
    views_of(messages, count, views);
    dk_keyed_hash_lanes(&start->begun, views, count, LAST, hashes);
    assert_hashes_equal("the best way", hashes, wanted, count);
}

static void expect_openssl(const struct start *start, uint64_t *seed, const size_t *lengths,
                           size_t count) {
    struct message messages[DK_HASH_LANES];
    struct dk_hash128 wanted[DK_HASH_LANES];
    for (size_t i = 0; i < count; i++) {
        messages[i] = new_message(seed, lengths[i]);
        wanted[i] = by_openssl(start, messages[i].view);
    }
    assert_all_ways_give(start, messages, count, wanted);
    for (size_t i = 0; i < count; i++) {
        free(messages[i].memory);
    }
}

static void lanes_of_one_length_equal_openssl(void **state) {
    (void)state;
    uint64_t seed = 1;
    struct start start;
    for (size_t len = 0; len <= MESSAGE_MAX; len += 8) {
        const size_t lengths[DK_HASH_LANES] = {len, len, len, len, len, len, len, len};
        for (size_t count = 1; count <= DK_HASH_LANES; count++) {
            begin(&start, len % 32);
            expect_openssl(&start, &seed, lengths, count);
        }
    }
}

static void lanes_of_random_lengths_equal_openssl(void **state) {
    (void)state;
    uint64_t seed = 2;
    struct start start;
    for (size_t round = 0; round < 1000; round++) {
        size_t lengths[DK_HASH_LANES];
        size_t count = 1 + random_below(&seed, DK_HASH_LANES);
        for (size_t i = 0; i < count; i++) {
            lengths[i] = 8 * random_below(&seed, MESSAGE_MAX / 8 + 1);
        }
        begin(&start, 8 * random_below(&seed, START_MAX / 8 + 1));
        expect_openssl(&start, &seed, lengths, count);
    }
}

/* Every lane ends before, with and after every other, in every combination. */
static void lanes_end_independently(void **state) {
    (void)state;
    uint64_t seed = 3;
    struct start start;
    struct message messages[3][DK_HASH_LANES];
    struct dk_hash128 hashes[3][DK_HASH_LANES];
    size_t mixes = 1;
    begin(&start, 16);
    for (size_t lane = 0; lane < DK_HASH_LANES; lane++) {
        mixes *= 3;
        for (size_t words = 0; words < 3; words++) {
            messages[words][lane] = new_message(&seed, 8 * words);
            hashes[words][lane] = by_openssl(&start, messages[words][lane].view);
        }
    }
    for (size_t mix = 0; mix < mixes; mix++) {
        struct message mixed[DK_HASH_LANES];
        struct dk_hash128 wanted[DK_HASH_LANES];
        size_t rest = mix;
        for (size_t lane = 0; lane < DK_HASH_LANES; lane++) {
            mixed[lane] = messages[rest % 3][lane];
            wanted[lane] = hashes[rest % 3][lane];
            rest /= 3;
        }
        assert_all_ways_give(&start, mixed, DK_HASH_LANES, wanted);
    }
    for (size_t lane = 0; lane < DK_HASH_LANES; lane++) {
        for (size_t words = 0; words < 3; words++) {
            free(messages[words][lane].memory);
        }
    }
}

int main(void) {
    struct way ways[WAYS_MAX];
    size_t way_count = list_ways(ways);
    for (size_t i = 0; i < way_count; i++) {
        print_message("%s: %s\n", ways[i].name, ways[i].is_there ? "tested" : "not here");
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_words_equal_openssl),
        cmocka_unit_test(parts_are_framed_and_padded),
        cmocka_unit_test(finishing_leaves_the_state),
        cmocka_unit_test(keys_are_random),
        cmocka_unit_test(lanes_of_one_length_equal_openssl),
        cmocka_unit_test(lanes_of_random_lengths_equal_openssl),
        cmocka_unit_test(lanes_end_independently),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
