/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file denials.h
 * The deny list in force: read from doorkeeper.deny.file, watched, and replaced as a whole. A file
 * that is gone or wrong leaves the last good list in force, and is said until it is right.
 *
 * Each list has a generation. Who remembers what dk_denials_concern said remembers the generation
 * with it, read before, and forgets both once the number is another.
 */
#ifndef DOORKEEPER_DENIALS_H
#define DOORKEEPER_DENIALS_H

#include "doorkeeper/config.h"
#include "doorkeeper/deny_list.h"
#include "doorkeeper/log.h"
#include "doorkeeper/resolver.h"

struct dk_denials;

/** `config` and `log` are borrowed. DK_ERR_CONFIG: the file cannot be read, or is wrong as `why`
 *  says. Without a file nothing is denied. */
DK_WARN_UNUSED enum dk_error dk_denials_new(const struct dk_config *config, struct dk_log *log,
                                            struct dk_denials **out, struct dk_error_text *why);
/** No other thread may still use it. NULL is allowed. */
void dk_denials_destroy(struct dk_denials *denials);

/** Any thread, wait-free. */
uint32_t dk_denials_generation(const struct dk_denials *denials);
/**
 * Any thread; a short lock unless the list is empty. Whether an entry fits the principal and the
 * certificate of `context`, so that actions have to be looked at one by one.
 */
bool dk_denials_concern(struct dk_denials *denials, const struct dk_context *context);
/**
 * Any thread; a short lock unless the list is empty. DK_DENY and DK_SOURCE_RULE for each of `asked`
 * that an entry denies; the others stay as they are. Costs the entries that fit the context times
 * `count`.
 */
void dk_denials_apply(struct dk_denials *denials, const struct dk_context *context,
                      struct dk_miss *asked, size_t count);
/** The same for what nobody asks just now: no line in the log tells of it. */
void dk_denials_apply_quietly(struct dk_denials *denials, const struct dk_context *context,
                              struct dk_miss *asked, size_t count);
/** Any thread, wait-free: entries in force. */
size_t dk_denials_count(const struct dk_denials *denials);

/** Scribe only: looks at the file. Once a new list is said to be in force, no call that begins is
 *  answered by the earlier one. What is wrong goes to the log, too. */
void dk_denials_look(struct dk_denials *denials);

#endif
