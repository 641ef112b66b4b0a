/* SPDX-License-Identifier: Apache-2.0 */
#include "support/temp_dir.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool temp_dir_make(struct temp_dir *dir) {
    const char *base = getenv("TMPDIR");
    int len = snprintf(dir->path, sizeof(dir->path), "%s/doorkeeper-test-XXXXXX",
                       base == NULL ? "/tmp" : base);
    return len > 0 && (size_t)len < sizeof(dir->path) && mkdtemp(dir->path) != NULL;
}

void temp_dir_path(const struct temp_dir *dir, const char *name, char out[TEMP_PATH_MAX]) {
    snprintf(out, TEMP_PATH_MAX, "%s/%s", dir->path, name);
}

void temp_dir_remove(const struct temp_dir *dir) {
    DIR *entries = opendir(dir->path);
    if (entries == NULL) {
        return;
    }
    for (struct dirent *entry = readdir(entries); entry != NULL; entry = readdir(entries)) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            (void)unlinkat(dirfd(entries), entry->d_name, 0);
        }
    }
    (void)closedir(entries);
    (void)rmdir(dir->path);
}

bool temp_dir_write(const struct temp_dir *dir, const char *name, struct dk_bytes content,
                    char out[TEMP_PATH_MAX]) {
    temp_dir_path(dir, name, out);
    FILE *file = fopen(out, "wb");
    if (file == NULL) {
        return false;
    }
    bool ok = content.len == 0 || fwrite(content.ptr, 1, content.len, file) == content.len;
    return fclose(file) == 0 && ok;
}
