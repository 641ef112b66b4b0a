/* SPDX-License-Identifier: Apache-2.0 */
/** @file grow.h An array that grows. Any thread. */
#ifndef DOORKEEPER_CLI_GROW_H
#define DOORKEEPER_CLI_GROW_H

#include <stdbool.h>
#include <stddef.h>

/** Whether there is room for one more element, of `size` bytes, behind `count` in `*array`, which
 *  is moved if it has to be. `*room`: elements that it has room for; 0 with NULL. */
bool dk_has_room(void **array, size_t *room, size_t count, size_t size);

#endif
