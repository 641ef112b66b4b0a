/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file core_table.h
 * The cores that Java may name. A handle is an index and a generation, never a pointer: whatever
 * number Java passes, at whatever time, the worst that happens is that it finds nothing.
 *
 * A core is destroyed only after the last call inside it has left. Any thread.
 */
#ifndef DOORKEEPER_CORE_TABLE_H
#define DOORKEEPER_CORE_TABLE_H

#include "doorkeeper/authorizer.h"

#define CORE_TABLE_SLOTS 256u

/** Takes the authorizer over. 0 if the table is full. */
int64_t core_table_add(struct dk_authorizer *authorizer);

/** The authorizer, held until core_table_leave with the same handle; NULL if there is none. */
struct dk_authorizer *core_table_enter(int64_t handle);
void core_table_leave(int64_t handle);

/** Stops the core, waits until everybody has left, and destroys it. Once; later calls do nothing.
 */
void core_table_destroy(int64_t handle);

#endif
