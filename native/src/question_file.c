/* SPDX-License-Identifier: Apache-2.0 */
#include "question_file.h"

#include "doorkeeper/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VERSION 1u
#define FILE_HEADER 16u
#define GROUP_HEADER 8u
/* What is written at once. */
#define CHUNK ((size_t)64 * 1024)

static const char magic[] = "DKASKED\n";
#define MAGIC_LEN (sizeof(magic) - 1)

_Static_assert(MAGIC_LEN == 8, "the header's first part");

/* ---- reading ----------------------------------------------------------------------------- */

static bool are_actions(struct dk_bytes request) {
    struct dk_action action;
    do {
        if (dk_action_parse(&request, &action) != DK_OK) {
            return false;
        }
    } while (request.len > 0);
    return true;
}

bool dk_question_file_next(struct dk_bytes *groups, struct dk_context *context,
                           struct dk_bytes *request) {
    if (groups->len < GROUP_HEADER) {
        return false;
    }
    size_t context_len = dk_read_u32(groups->ptr);
    size_t request_len = dk_read_u32(groups->ptr + 4);
    size_t left = groups->len - GROUP_HEADER;
    if (context_len > left || request_len > left - context_len) {
        return false;
    }
    const uint8_t *records = groups->ptr + GROUP_HEADER;
    *request = (struct dk_bytes){records + context_len, request_len};
    if (dk_context_parse((struct dk_bytes){records, context_len}, context) != DK_OK ||
        !are_actions(*request)) {
        return false;
    }
    groups->ptr = records + context_len + request_len;
    groups->len = left - context_len - request_len;
    return true;
}

static enum dk_error check_header(struct dk_bytes content, uint32_t fields,
                                  struct dk_error_text *why) {
    if (content.len < FILE_HEADER || memcmp(content.ptr, magic, MAGIC_LEN) != 0) {
        return dk_fail(why, DK_ERR_MALFORMED, "not a file of questions");
    }
    uint32_t version = dk_read_u32(content.ptr + MAGIC_LEN);
    if (version != VERSION) {
        return dk_fail(why, DK_ERR_STALE, "its format has version %lu, this release reads %u",
                       (unsigned long)version, VERSION);
    }
    if (dk_read_u32(content.ptr + MAGIC_LEN + 4) != fields) {
        return dk_fail(why, DK_ERR_STALE,
                       "its questions have other fields than doorkeeper.question.fields says now");
    }
    return DK_OK;
}

enum dk_error dk_question_file_check(struct dk_bytes content, uint32_t fields,
                                     struct dk_bytes *groups, struct dk_error_text *why) {
    struct dk_context context;
    struct dk_bytes request;
    *groups = (struct dk_bytes){NULL, 0};
    enum dk_error error = check_header(content, fields, why);
    if (error != DK_OK) {
        return error;
    }
    struct dk_bytes rest = {content.ptr + FILE_HEADER, content.len - FILE_HEADER};
    *groups = rest;
    while (dk_question_file_next(&rest, &context, &request)) {
        continue;
    }
    groups->len -= rest.len;
    if (rest.len > 0) {
        return dk_fail(why, DK_ERR_MALFORMED, "broken from byte %zu on", content.len - rest.len);
    }
    return DK_OK;
}

/* ---- writing ----------------------------------------------------------------------------- */

/* A file on its way; after the first error nothing is written any more. */
struct output {
    int file;
    int error; /* an errno */
    struct dk_writer chunk;
};

static void flush(struct output *out) {
    out->error = out->error == 0 && out->chunk.failed ? ENOMEM : out->error;
    if (out->error == 0) {
        out->error = dk_file_write(out->file, dk_writer_view(&out->chunk));
    }
    dk_writer_reset(&out->chunk);
}

static void put(struct output *out, struct dk_bytes bytes) {
    dk_writer_bytes(&out->chunk, bytes);
    if (out->chunk.len >= CHUNK || out->chunk.failed) {
        flush(out);
    }
}

static void put_numbers(struct output *out, uint32_t first, uint32_t second) {
    uint8_t numbers[8];
    dk_write_u32(numbers, first);
    dk_write_u32(numbers + 4, second);
    put(out, (struct dk_bytes){numbers, sizeof(numbers)});
}

static void put_all(struct output *out, uint32_t fields,
                    const struct dk_question_directory *directory) {
    struct dk_question_walk walk = {NULL, NULL};
    struct dk_bytes context;
    struct dk_known_question question;
    size_t request_len;
    put(out, dk_bytes_of(magic));
    put_numbers(out, VERSION, fields);
    while (out->error == 0 && dk_question_walk_context(directory, &walk, &context, &request_len)) {
        put_numbers(out, (uint32_t)context.len, (uint32_t)request_len);
        put(out, context);
        while (dk_question_walk_question(&walk, &question)) {
            put(out, question.request);
        }
    }
    flush(out);
}

/* Returns 0 or an errno. A name that is taken is given up first: what is opened is ours alone, and
 * not what a link points to. */
static int write_new(const char *path, uint32_t fields,
                     const struct dk_question_directory *directory) {
    struct output out = {.error = 0};
    (void)unlink(path);
    out.file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (out.file < 0) {
        return errno;
    }
    dk_writer_init(&out.chunk, CHUNK + DK_CONTEXT_MAX + DK_NAME_MAX + DK_ACTION_HEADER);
    put_all(&out, fields, directory);
    dk_writer_clean_up(&out.chunk);
    if (out.error == 0 && fsync(out.file) != 0) {
        out.error = errno;
    }
    if (close(out.file) != 0 && out.error == 0) {
        out.error = errno;
    }
    return out.error;
}

enum dk_error dk_question_file_write(const char *path, uint32_t fields,
                                     const struct dk_question_directory *directory,
                                     struct dk_error_text *why) {
    size_t size = strlen(path) + sizeof(".tmp");
    char *new_path = malloc(size);
    if (new_path == NULL) {
        return dk_fail(why, DK_ERR_MEMORY, "%s", dk_strerror(DK_ERR_MEMORY));
    }
    snprintf(new_path, size, "%s.tmp", path);
    int error = write_new(new_path, fields, directory);
    if (error == 0 && rename(new_path, path) != 0) {
        error = errno;
    }
    if (error != 0) {
        (void)unlink(new_path);
    }
    free(new_path);
    return error == 0 ? DK_OK
                      : dk_fail(why, DK_ERR_SYSTEM, "it cannot be written: %s", strerror(error));
}
