/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Invariant: a slot whose `handle` is H holds the memo that was put under H, or is being
 * overwritten, and then its handle was set to 0 before.
 *
 * A handle is given out once: they count up from a random start, and the slot is the handle modulo
 * the size of the table. A writer (one at a time, under the lock) sets the handle to 0, stores the
 * words, then stores the new handle; each of these stores is a release. A reader loads the handle,
 * the words, and the handle again; all but the last load are acquires. If the reader sees a word of
 * the writer, then that acquire makes the 0 visible to its last load, which differs from the handle
 * it looks for, as does every later value. So a reader that finds its handle twice has only words
 * that belong to it. No fence is needed, and TSan can follow it.
 */
#include "doorkeeper/context_table.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { WORD_V0, WORD_V1, WORD_V2, WORD_V3, WORD_PACKED, WORD_NOT_AFTER, WORD_COUNT };

struct slot {
    _Alignas(64) _Atomic uint64_t handle;
    _Atomic uint64_t words[WORD_COUNT];
};

_Static_assert(sizeof(struct slot) == 64, "a slot is one cache line");
_Static_assert((DK_CONTEXT_TABLE_SLOTS & (DK_CONTEXT_TABLE_SLOTS - 1)) == 0, "power of two");

/* What is short travels in one word with the length, so that a slot stays one line:
 *   length (24 bits) · deny generation (32) · unused (6) · may be denied (1) · super user (1) */
#define GENERATION_SHIFT 24
#define MAY_BE_DENIED_BIT (UINT64_C(1) << 62)
#define SUPER_USER_BIT (UINT64_C(1) << 63)

_Static_assert(DK_CONTEXT_MEMO_LEN_END == UINT64_C(1) << GENERATION_SHIFT, "the length's bits");

struct dk_context_table {
    struct slot *slots;
    pthread_mutex_t lock;
    uint64_t last_handle; /* under the lock */
};

static enum dk_error random_start(uint64_t *start) {
    struct dk_hash_key random;
    enum dk_error error = dk_hash_key_init(&random);
    /* Positive as a Java long, and with 2^62 handles to go. */
    *start = (random.k0 >> 2) | 1;
    return error;
}

enum dk_error dk_context_table_new(struct dk_context_table **out) {
    struct dk_context_table *table = calloc(1, sizeof(*table));
    if (table == NULL) {
        return DK_ERR_MEMORY;
    }
    enum dk_error error = random_start(&table->last_handle);
    if (error != DK_OK) {
        free(table);
        return error;
    }
    table->slots = aligned_alloc(_Alignof(struct slot), dk_context_table_memory_bytes());
    if (table->slots == NULL || pthread_mutex_init(&table->lock, NULL) != 0) {
        free(table->slots);
        free(table);
        return DK_ERR_MEMORY;
    }
    for (size_t i = 0; i < DK_CONTEXT_TABLE_SLOTS; i++) {
        atomic_init(&table->slots[i].handle, 0);
        for (size_t j = 0; j < WORD_COUNT; j++) {
            atomic_init(&table->slots[i].words[j], 0);
        }
    }
    *out = table;
    return DK_OK;
}

void dk_context_table_destroy(struct dk_context_table *table) {
    if (table == NULL) {
        return;
    }
    pthread_mutex_destroy(&table->lock);
    free(table->slots);
    free(table);
}

size_t dk_context_table_memory_bytes(void) {
    return DK_CONTEXT_TABLE_SLOTS * sizeof(struct slot);
}

static struct slot *slot_of(const struct dk_context_table *table, uint64_t handle) {
    return &table->slots[handle & (DK_CONTEXT_TABLE_SLOTS - 1)];
}

static uint64_t pack(const struct dk_context_memo *memo) {
    return memo->begun.len | (uint64_t)memo->deny_generation << GENERATION_SHIFT |
           (memo->may_be_denied ? MAY_BE_DENIED_BIT : 0) | (memo->super_user ? SUPER_USER_BIT : 0);
}

static void unpack(uint64_t word, struct dk_context_memo *out) {
    out->begun.len = word & (DK_CONTEXT_MEMO_LEN_END - 1);
    out->deny_generation = (uint32_t)(word >> GENERATION_SHIFT);
    out->may_be_denied = (word & MAY_BE_DENIED_BIT) != 0;
    out->super_user = (word & SUPER_USER_BIT) != 0;
}

uint64_t dk_context_table_put(struct dk_context_table *table, const struct dk_context_memo *memo) {
    const uint64_t words[WORD_COUNT] = {
        [WORD_V0] = memo->begun.v0, [WORD_V1] = memo->begun.v1,
        [WORD_V2] = memo->begun.v2, [WORD_V3] = memo->begun.v3,
        [WORD_PACKED] = pack(memo), [WORD_NOT_AFTER] = (uint64_t)memo->not_after_s,
    };
    pthread_mutex_lock(&table->lock);
    uint64_t handle = ++table->last_handle;
    struct slot *slot = slot_of(table, handle);
    atomic_store_explicit(&slot->handle, 0, memory_order_release);
    for (size_t i = 0; i < WORD_COUNT; i++) {
        atomic_store_explicit(&slot->words[i], words[i], memory_order_release);
    }
    atomic_store_explicit(&slot->handle, handle, memory_order_release);
    pthread_mutex_unlock(&table->lock);
    return handle;
}

static uint64_t load(const struct slot *slot, size_t word) {
    return atomic_load_explicit(&slot->words[word], memory_order_acquire);
}

bool dk_context_table_get(const struct dk_context_table *table, uint64_t handle,
                          struct dk_context_memo *out) {
    struct slot *slot = slot_of(table, handle);
    if (handle == 0 || atomic_load_explicit(&slot->handle, memory_order_acquire) != handle) {
        return false;
    }
    /* Each word straight to its place: out of an array a compiler reads two at once, and such a
     * read has to wait for the writes of both. */
    out->begun.v0 = load(slot, WORD_V0);
    out->begun.v1 = load(slot, WORD_V1);
    out->begun.v2 = load(slot, WORD_V2);
    out->begun.v3 = load(slot, WORD_V3);
    unpack(load(slot, WORD_PACKED), out);
    out->not_after_s = (int64_t)load(slot, WORD_NOT_AFTER);
    return atomic_load_explicit(&slot->handle, memory_order_relaxed) == handle;
}
