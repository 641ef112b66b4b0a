/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Invariant: while `inside` (summed over its shards) counts a caller that saw `handle` unchanged
 * after counting itself, the authorizer of the slot is not destroyed.
 *
 * A caller adds itself, then looks at `handle`; the destroyer changes `handle`, then looks at the
 * counts. Both are sequentially consistent, so at least one of the two sees the other: the caller
 * leaves again, or the destroyer waits for it. Counts are spread over cache lines because every
 * authorize() of every thread passes here.
 */
#include "core_table.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#define SHARDS 16u

struct shard {
    _Alignas(64) _Atomic int64_t inside;
};

struct slot {
    _Alignas(64) _Atomic int64_t handle; /* 0: free */
    struct dk_authorizer *_Atomic authorizer;
    int64_t generation; /* under the lock */
    struct shard shards[SHARDS];
};

static struct slot slots[CORE_TABLE_SLOTS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Threads differ in where their stack is. Enter and leave may run in different frames of one
 * thread, and near a page border that may give different shards: a shard alone may go below zero,
 * only the sum counts. */
static struct shard *shard_of_this_thread(struct slot *slot) {
    char local;
    uint64_t page = (uint64_t)(uintptr_t)&local >> 16;
    return &slot->shards[(page * UINT64_C(0x9e3779b97f4a7c15)) >> 60];
}

_Static_assert(SHARDS == 16, "shard_of_this_thread yields four bits");

static struct slot *slot_of(int64_t handle) {
    return &slots[(uint64_t)handle % CORE_TABLE_SLOTS];
}

int64_t core_table_add(struct dk_authorizer *authorizer) {
    int64_t handle = 0;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < CORE_TABLE_SLOTS && handle == 0; i++) {
        struct slot *slot = &slots[i];
        if (atomic_load(&slot->authorizer) == NULL) {
            slot->generation++;
            handle = slot->generation * (int64_t)CORE_TABLE_SLOTS + (int64_t)i;
            atomic_store(&slot->authorizer, authorizer);
            atomic_store(&slot->handle, handle);
        }
    }
    pthread_mutex_unlock(&lock);
    return handle;
}

struct dk_authorizer *core_table_enter(int64_t handle) {
    struct slot *slot = slot_of(handle);
    struct shard *shard = shard_of_this_thread(slot);
    atomic_fetch_add(&shard->inside, 1);
    if (handle != 0 && atomic_load(&slot->handle) == handle) {
        return atomic_load_explicit(&slot->authorizer, memory_order_acquire);
    }
    atomic_fetch_sub(&shard->inside, 1);
    return NULL;
}

void core_table_leave(int64_t handle) {
    atomic_fetch_sub_explicit(&shard_of_this_thread(slot_of(handle))->inside, 1,
                              memory_order_release);
}

static int64_t count_inside(struct slot *slot) {
    int64_t sum = 0;
    for (size_t i = 0; i < SHARDS; i++) {
        sum += atomic_load(&slot->shards[i].inside);
    }
    return sum;
}

void core_table_destroy(int64_t handle) {
    struct slot *slot = slot_of(handle);
    int64_t expected = handle;
    if (handle == 0 || !atomic_compare_exchange_strong(&slot->handle, &expected, 0)) {
        return;
    }
    struct dk_authorizer *authorizer = atomic_load(&slot->authorizer);
    dk_authorizer_stop(authorizer);
    /* Nobody new can enter; those inside end within their deadline, and stop has cut it short. A
     * passer-by that found no handle may be counted for a moment, so the sum is read until it is
     * zero. */
    const struct timespec step = {0, 1000000};
    while (count_inside(slot) != 0) {
        nanosleep(&step, NULL);
    }
    dk_authorizer_destroy(authorizer);
    atomic_store(&slot->authorizer, NULL);
}
