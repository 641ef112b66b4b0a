/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loaded by LD_PRELOAD: writing to the file FAULTY_DISK_FILE fails while there is
 * "<FAULTY_DISK_FILE>.full", and hangs while there is "<FAULTY_DISK_FILE>.hangs".
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int is_faulty(int file, const char *name) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", file);
    ssize_t len = readlink(link, path, sizeof(path) - 1);
    if (name == NULL || len < 0) {
        return 0;
    }
    path[len] = '\0';
    return strcmp(path, name) == 0;
}

static int is_there(const char *name, const char *fault) {
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s.%s", name, fault);
    return access(path, F_OK) == 0;
}

ssize_t write(int file, const void *bytes, size_t len) {
    const char *name = getenv("FAULTY_DISK_FILE");
    if (is_faulty(file, name)) {
        while (is_there(name, "hangs")) {
            (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        }
        if (is_there(name, "full")) {
            errno = ENOSPC;
            return -1;
        }
    }
    return syscall(SYS_write, file, bytes, len);
}
