/* SPDX-License-Identifier: Apache-2.0 */
#include "decision_file.h"

#include "doorkeeper/clock.h"
#include "doorkeeper/file.h"

#include <zlib.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MODE 0640
#define PATH_LEN 4096
/* A path of a file beside ours. */
#define BESIDE_LEN (PATH_LEN + NAME_MAX + 2)
#define STAMP_FORMAT "%Y%m%dT%H%M%SZ"
#define STAMP_LEN 16u
#define SAME_SECOND_MAX 1000
/* Compressed in one go: about 10 ms. */
#define COMPRESS_STEP ((size_t)256 * 1024)
#define LOOK_MS 500

struct dk_decision_file {
    const struct dk_config *config;
    struct dk_log *log;
    struct dk_log_limit limit;
    char directory[PATH_LEN];
    const char *name; /* the last part of the path; of the configuration */
    int file;         /* -1: it could not be opened again */
    off_t size;
    int64_t opened_ms, next_look_ms;
    bool has_plain; /* there may be files to compress, or to remove */
    /* What is being compressed; `plain` -1: nothing. */
    int plain;
    gzFile packed;
    char plain_path[BESIDE_LEN];
};

static const char *path_of(const struct dk_decision_file *file) {
    return file->config->decision_log_file;
}

static void say(struct dk_decision_file *file, const char *what, int error) {
    dk_log_write_limited(file->log, &file->limit, DK_LOG_ERROR,
                         "doorkeeper.decision.log.file=%s: %s: %s", path_of(file), what,
                         strerror(error));
}

/* ---- the file that is written ------------------------------------------------------------ */

/* Where the last whole line ends. */
static off_t end_of_lines(int file, off_t size) {
    char room[4096];
    while (size > 0) {
        off_t from = size > (off_t)sizeof(room) ? size - (off_t)sizeof(room) : 0;
        ssize_t len = pread(file, room, (size_t)(size - from), from);
        if (len != size - from) {
            errno = len < 0 ? errno : EIO; /* somebody cuts it shorter just now */
            return -1;
        }
        const char *last = memrchr(room, '\n', (size_t)len);
        if (last != NULL) {
            return from + (last - room) + 1;
        }
        size = from;
    }
    return 0;
}

/* Returns 0 or an errno. */
static int take_over(struct dk_decision_file *file) {
    struct stat status;
    if (fstat(file->file, &status) != 0) {
        return errno;
    }
    if (!S_ISREG(status.st_mode)) {
        return EINVAL;
    }
    file->size = end_of_lines(file->file, status.st_size);
    if (file->size < 0 || ftruncate(file->file, file->size) != 0) {
        return errno;
    }
    return 0;
}

static void close_file(struct dk_decision_file *file) {
    if (file->file >= 0) {
        (void)close(file->file);
        file->file = -1;
    }
}

/* Returns 0 or an errno. */
static int open_file(struct dk_decision_file *file) {
    file->file = open(path_of(file), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, MODE);
    int error = file->file < 0 ? errno : take_over(file);
    if (error != 0) {
        close_file(file);
    }
    file->opened_ms = dk_clock_ms();
    return error;
}

/* ---- the next file ----------------------------------------------------------------------- */

static bool is_there(const char *path) {
    struct stat status;
    return lstat(path, &status) == 0;
}

/* A name that is not taken: "<path>.20261125T021500Z", or with "-2" behind it. */
static bool name_rotated(const struct dk_decision_file *file, char out[PATH_LEN]) {
    char stamp[STAMP_LEN + 1], packed[PATH_LEN + 8];
    time_t now = (time_t)dk_clock_wall_s();
    struct tm utc;
    if (gmtime_r(&now, &utc) == NULL ||
        strftime(stamp, sizeof(stamp), STAMP_FORMAT, &utc) != STAMP_LEN) {
        return false;
    }
    for (int i = 1; i <= SAME_SECOND_MAX; i++) {
        char number[16] = "";
        if (i > 1) {
            snprintf(number, sizeof(number), "-%d", i);
        }
        int len = snprintf(out, PATH_LEN, "%s.%s%s", path_of(file), stamp, number);
        if (len < 0 || len >= PATH_LEN) {
            return false;
        }
        snprintf(packed, sizeof(packed), "%s.gz", out);
        if (!is_there(out) && !is_there(packed)) {
            return true;
        }
    }
    return false;
}

/* Returns 0 or an errno. */
static int rename_current(const struct dk_decision_file *file) {
    char rotated[PATH_LEN];
    if (!name_rotated(file, rotated)) {
        return EEXIST;
    }
    return rename(path_of(file), rotated) == 0 ? 0 : errno;
}

static void rotate(struct dk_decision_file *file) {
    int error = rename_current(file);
    if (error != 0) {
        say(file, "cannot begin the next file", error);
        file->opened_ms = dk_clock_ms(); /* not again at once */
        return;
    }
    file->has_plain = true;
    close_file(file);
}

/* Somebody else may have moved or removed it. */
static bool is_still_there(const struct dk_decision_file *file) {
    struct stat ours, named;
    return fstat(file->file, &ours) == 0 && stat(path_of(file), &named) == 0 &&
           ours.st_dev == named.st_dev && ours.st_ino == named.st_ino;
}

static bool is_full(const struct dk_decision_file *file) {
    return file->size >= file->config->decision_log_rotate_bytes;
}

static bool is_time_for_next(const struct dk_decision_file *file, int64_t now_ms) {
    return is_full(file) ||
           (file->size > 0 && now_ms - file->opened_ms >= file->config->decision_log_rotate_ms);
}

static void look_after_current(struct dk_decision_file *file, int64_t now_ms) {
    if (file->file >= 0 && !is_still_there(file)) {
        close_file(file);
    }
    if (file->file >= 0 && is_time_for_next(file, now_ms)) {
        rotate(file);
    }
    if (file->file < 0) {
        int error = open_file(file);
        if (error != 0) {
            say(file, "cannot be opened, decisions are lost", error);
        }
    }
}

bool dk_decision_file_append(struct dk_decision_file *file, struct dk_bytes lines) {
    if (file->file < 0) {
        return false;
    }
    int error = dk_file_write(file->file, lines);
    if (error != 0) {
        say(file, "decisions are lost", error);
        if (ftruncate(file->file, file->size) != 0) {
            close_file(file); /* to be opened again, which cuts off what is not whole */
        }
        return false;
    }
    file->size += (off_t)lines.len;
    if (is_full(file)) {
        look_after_current(file, dk_clock_ms());
    }
    return true;
}

/* ---- the earlier files ------------------------------------------------------------------- */

static bool ends_with(const char *text, const char *end) {
    size_t len = strlen(text), end_len = strlen(end);
    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

/* "<name>.20261125T021500Z…", of which ours alone are so named. */
static bool is_rotated(const struct dk_decision_file *file, const char *name) {
    size_t len = strlen(file->name);
    struct tm utc;
    return strncmp(name, file->name, len) == 0 && name[len] == '.' &&
           strlen(name + len + 1) >= STAMP_LEN &&
           strptime(name + len + 1, STAMP_FORMAT, &utc) != NULL && !ends_with(name, ".part");
}

/* The oldest rotated file, plain or whatever it is; returns how many of those there are. */
static size_t find_oldest(const struct dk_decision_file *file, bool plain, char out[BESIDE_LEN]) {
    char oldest[NAME_MAX + 1] = ""; /* as long as any entry */
    size_t count = 0;
    DIR *directory = opendir(file->directory);
    if (directory == NULL) {
        return 0;
    }
    for (const struct dirent *entry = readdir(directory); entry != NULL;
         entry = readdir(directory)) {
        if (!is_rotated(file, entry->d_name) || (plain && ends_with(entry->d_name, ".gz"))) {
            continue;
        }
        count++;
        if (oldest[0] == '\0' || strcmp(entry->d_name, oldest) < 0) {
            snprintf(oldest, sizeof(oldest), "%s", entry->d_name);
        }
    }
    (void)closedir(directory);
    snprintf(out, BESIDE_LEN, "%s/%s", file->directory, oldest);
    return count;
}

static void end_compressing(struct dk_decision_file *file, bool done) {
    char part[BESIDE_LEN + 16], packed[BESIDE_LEN + 8];
    snprintf(part, sizeof(part), "%s.gz.part", file->plain_path);
    snprintf(packed, sizeof(packed), "%s.gz", file->plain_path);
    bool ok = file->packed != NULL && gzclose(file->packed) == Z_OK && done;
    (void)close(file->plain);
    file->plain = -1;
    file->packed = NULL;
    if (ok && rename(part, packed) == 0) {
        (void)unlink(file->plain_path);
    } else {
        (void)unlink(part);
    }
}

static bool begin_compressing(struct dk_decision_file *file) {
    char part[BESIDE_LEN + 16];
    file->plain = open(file->plain_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file->plain < 0) {
        say(file, "an earlier file cannot be read", errno);
        return false;
    }
    snprintf(part, sizeof(part), "%s.gz.part", file->plain_path);
    int out = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, MODE);
    file->packed = out < 0 ? NULL : gzdopen(out, "wb6");
    if (file->packed == NULL) {
        say(file, "an earlier file cannot be compressed", errno);
        if (out >= 0) {
            (void)close(out);
        }
        end_compressing(file, false);
        return false;
    }
    return true;
}

static void compress_a_step(struct dk_decision_file *file) {
    uint8_t room[16384];
    for (size_t done = 0; done < COMPRESS_STEP; done += sizeof(room)) {
        ssize_t len = read(file->plain, room, sizeof(room));
        if (len > 0 && gzwrite(file->packed, room, (unsigned)len) == (int)len) {
            continue;
        }
        if (len != 0) {
            say(file, "an earlier file cannot be compressed", errno);
            file->has_plain = false; /* tried again after the next rotation */
        }
        end_compressing(file, len == 0);
        return;
    }
}

/* Removes what is too old, then begins to compress the oldest plain file. */
static void look_after_earlier(struct dk_decision_file *file) {
    char oldest[BESIDE_LEN];
    while (find_oldest(file, false, oldest) > (size_t)file->config->decision_log_files) {
        if (unlink(oldest) != 0) {
            say(file, "an old file cannot be removed", errno);
            break;
        }
    }
    file->has_plain = find_oldest(file, true, file->plain_path) > 0 && begin_compressing(file);
}

void dk_decision_file_look_after(struct dk_decision_file *file) {
    int64_t now_ms = dk_clock_ms();
    if (is_full(file) || now_ms >= file->next_look_ms) {
        file->next_look_ms = now_ms + LOOK_MS;
        look_after_current(file, now_ms);
    }
    if (file->plain >= 0) {
        compress_a_step(file);
    } else if (file->has_plain) {
        look_after_earlier(file);
    }
}

/* ---- making and ending ------------------------------------------------------------------- */

static bool split_path(struct dk_decision_file *file) {
    const char *path = path_of(file);
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 0 : (size_t)(slash - path);
    file->name = slash == NULL ? path : slash + 1;
    if (len + 1 >= sizeof(file->directory)) {
        return false;
    }
    memcpy(file->directory, slash == path ? "/" : slash == NULL ? "." : path, len == 0 ? 1 : len);
    return true;
}

enum dk_error dk_decision_file_new(const struct dk_config *config, struct dk_log *log,
                                   struct dk_decision_file **out, struct dk_error_text *why) {
    *out = NULL;
    struct dk_decision_file *file = calloc(1, sizeof(*file));
    if (file == NULL) {
        return DK_ERR_MEMORY;
    }
    file->config = config;
    file->log = log;
    file->plain = -1;
    file->has_plain = true;
    int error = split_path(file) ? open_file(file) : ENAMETOOLONG;
    if (error != 0) {
        free(file);
        return dk_fail(why, DK_ERR_CONFIG,
                       "doorkeeper.decision.log.file=%s: %s; expected a file that can be written",
                       config->decision_log_file, strerror(error));
    }
    *out = file;
    return DK_OK;
}

void dk_decision_file_destroy(struct dk_decision_file *file) {
    if (file == NULL) {
        return;
    }
    if (file->plain >= 0) {
        end_compressing(file, false); /* begun anew at the next start */
    }
    close_file(file);
    free(file);
}
