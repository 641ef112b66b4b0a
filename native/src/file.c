/* SPDX-License-Identifier: Apache-2.0 */
#include "doorkeeper/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SHOWN_PATH_MAX 200

static bool has_room(const struct dk_writer *out, size_t more) {
    return more <= out->max_len - out->len;
}

/* A buffer that grows leaves its earlier, freed pieces behind, and what was in them. */
static void reserve_for(int file, struct dk_writer *out) {
    struct stat status;
    if (fstat(file, &status) == 0 && status.st_size > 0 && has_room(out, (size_t)status.st_size)) {
        dk_writer_reserve(out, (size_t)status.st_size);
    }
}

/* Not by stdio, whose buffers would keep secrets in freed memory. Returns 0 or an errno. */
static int read_all(const char *path, struct dk_writer *out) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return errno;
    }
    reserve_for(file, out);
    uint8_t room[4096];
    int error = 0;
    ssize_t len;
    do {
        len = read(file, room, sizeof(room));
        error = len < 0 ? errno : 0;
        if (len > 0) {
            dk_writer_bytes(out, (struct dk_bytes){room, (size_t)len});
        }
    } while (!out->failed && (len > 0 || error == EINTR));
    explicit_bzero(room, sizeof(room));
    (void)close(file);
    bool no_memory = out->failed && has_room(out, len > 0 ? (size_t)len : 0);
    return no_memory ? ENOMEM : error;
}

/* Returns its length. */
static int escape_path(const char *path, char shown[SHOWN_PATH_MAX]) {
    return (int)dk_bytes_escape(dk_bytes_of(path), shown, SHOWN_PATH_MAX);
}

enum dk_error dk_file_error(const char *path, int cause, struct dk_error_text *why) {
    char shown[SHOWN_PATH_MAX];
    int len = escape_path(path, shown);
    return dk_fail(why, DK_ERR_SYSTEM, "%.*s: %s", len, shown, strerror(cause));
}

enum dk_error dk_file_read(const char *path, struct dk_writer *out, struct dk_error_text *why) {
    char shown[SHOWN_PATH_MAX];
    int cause = read_all(path, out);
    if (cause != 0) {
        return dk_file_error(path, cause, why);
    }
    if (out->failed) {
        int len = escape_path(path, shown);
        return dk_fail(why, DK_ERR_TOO_LARGE, "%.*s: larger than %zu bytes", len, shown,
                       out->max_len);
    }
    return DK_OK;
}

int dk_file_write(int file, struct dk_bytes bytes) {
    while (bytes.len > 0) {
        ssize_t written = write(file, bytes.ptr, bytes.len);
        if (written < 0 && errno != EINTR) {
            return errno;
        }
        if (written > 0) {
            bytes.ptr += written;
            bytes.len -= (size_t)written;
        }
    }
    return 0;
}
