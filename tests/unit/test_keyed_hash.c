/* SPDX-License-Identifier: Apache-2.0 */
#include "doorkeeper/keyed_hash.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_words_equal_openssl),
        cmocka_unit_test(parts_are_framed_and_padded),
        cmocka_unit_test(finishing_leaves_the_state),
        cmocka_unit_test(keys_are_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
