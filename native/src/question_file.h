/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file question_file.h
 * Questions in a file, to be asked again after a restart. It holds no answers, and whoever may
 * write it decides nothing but what OPA is asked. All numbers are little-endian:
 *
 *     8 bytes  "DKASKED\n"
 *     u32      version, 1
 *     u32      the groups of fields that contexts carry (doorkeeper.question.fields)
 *     then contexts with their actions, each:
 *         u32      length of the context record
 *         u32      length of the request record, not 0
 *         the context record, the request record (question.h)
 *
 * Blocks on the file system: never for the I/O thread.
 */
#ifndef DOORKEEPER_QUESTION_FILE_H
#define DOORKEEPER_QUESTION_FILE_H

#include "question_directory.h"

/**
 * Checks every byte of a file's content. `groups`, which points into it, are the contexts in front
 * that are whole and right. DK_OK, if they are all; else `why` says what is wrong:
 * DK_ERR_MALFORMED, or DK_ERR_STALE for another version or other `fields`, then there are none.
 */
DK_WARN_UNUSED enum dk_error dk_question_file_check(struct dk_bytes content, uint32_t fields,
                                                    struct dk_bytes *groups,
                                                    struct dk_error_text *why);
/** Takes one context off the front of what dk_question_file_check left, and its actions. False
 *  at the end, and for bytes that were not checked. Their UTF-8 is checked, too. */
DK_WARN_UNUSED bool dk_question_file_next(struct dk_bytes *groups, struct dk_context *context,
                                          struct dk_bytes *request);

/**
 * Replaces the file at `path` by what is in the directory, as a whole or not at all: `path`.tmp is
 * written, for the owner alone, and renamed. DK_ERR_MEMORY, DK_ERR_SYSTEM; `why` says what failed.
 */
DK_WARN_UNUSED enum dk_error dk_question_file_write(const char *path, uint32_t fields,
                                                    const struct dk_question_directory *directory,
                                                    struct dk_error_text *why);

#endif
