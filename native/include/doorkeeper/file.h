/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file file.h
 * Reading small files whole, and writing. Blocks: never on the I/O thread. Any thread.
 */
#ifndef DOORKEEPER_FILE_H
#define DOORKEEPER_FILE_H

#include "doorkeeper/error.h"

/**
 * Appends the file at `path` to `out`, whose cap is the cap of the file. DK_ERR_SYSTEM or
 * DK_ERR_TOO_LARGE; `why` (may be NULL) names the path, escaped, and the cause. Of a regular
 * file that does not grow meanwhile, no copy but `out` stays behind in memory.
 */
DK_WARN_UNUSED enum dk_error dk_file_read(const char *path, struct dk_writer *out,
                                          struct dk_error_text *why);

/** "PATH: CAUSE", the path escaped and cut, the cause an errno. DK_ERR_SYSTEM. `why` may be NULL.
 */
enum dk_error dk_file_error(const char *path, int cause, struct dk_error_text *why);

/** Writes all of `bytes` to an open file; 0, or the errno of what stopped it on the way. */
DK_WARN_UNUSED int dk_file_write(int file, struct dk_bytes bytes);

#endif
