/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file context_table.h
 * Remembers the hash state of contexts, so that a connection's part of every question is hashed
 * once. A fixed table; a handle is a number that is never given out twice, so a handle that was
 * displaced, or that belongs to another table, finds nothing: the caller registers again.
 *
 * The states are secret (keyed_hash.h), which is why they live here and not in the Java heap.
 */
#ifndef DOORKEEPER_CONTEXT_TABLE_H
#define DOORKEEPER_CONTEXT_TABLE_H

#include "doorkeeper/error.h"
#include "doorkeeper/keyed_hash.h"

struct dk_context_table;

#define DK_CONTEXT_TABLE_SLOTS 65536u

/** A memo's hash state has taken in less than this; no context is so long. */
#define DK_CONTEXT_MEMO_LEN_END (UINT64_C(1) << 24)

/** What the hit path must know of a context. */
struct dk_context_memo {
    struct dk_keyed_hash begun;
    int64_t not_after_s;      /**< 0: none */
    uint32_t deny_generation; /**< of the deny list that `may_be_denied` is about */
    bool may_be_denied;       /**< an entry of that list fits the context, maybe not each action */
    bool super_user;
};

DK_WARN_UNUSED enum dk_error dk_context_table_new(struct dk_context_table **out);
/** No other thread may still use the table. NULL is allowed. */
void dk_context_table_destroy(struct dk_context_table *table);
size_t dk_context_table_memory_bytes(void);

/** Any thread; takes a short lock. Displaces the oldest registration. Never returns 0. */
uint64_t dk_context_table_put(struct dk_context_table *table, const struct dk_context_memo *memo);
/** Wait-free. False if `handle` names nothing (any more); then `out` is not to be read. */
bool dk_context_table_get(const struct dk_context_table *table, uint64_t handle,
                          struct dk_context_memo *out);

#endif
