/* SPDX-License-Identifier: Apache-2.0 */
/** @file temp_dir.h A directory of a test's own, below $TMPDIR, for small files. */
#ifndef DOORKEEPER_TEST_TEMP_DIR_H
#define DOORKEEPER_TEST_TEMP_DIR_H

#include "doorkeeper/bytes.h"

#define TEMP_PATH_MAX 256

struct temp_dir {
    char path[TEMP_PATH_MAX / 2];
};

/** False if there is no place for it. */
bool temp_dir_make(struct temp_dir *dir);
/** With the files in it; it must hold nothing else. */
void temp_dir_remove(const struct temp_dir *dir);

/** The path of `name` in the directory. */
void temp_dir_path(const struct temp_dir *dir, const char *name, char out[TEMP_PATH_MAX]);
/** Writes a file, replacing an earlier one; its path goes to `out`. */
bool temp_dir_write(const struct temp_dir *dir, const char *name, struct dk_bytes content,
                    char out[TEMP_PATH_MAX]);

#endif
