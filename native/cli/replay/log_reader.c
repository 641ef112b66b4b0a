/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One window over the unpacked text: `at` is where the next event begins, `len` where what was read
 * so far ends. It is moved to the front, and grows, only when an event does not end inside it.
 */
#include "log_reader.h"

#include "json_scan.h"

#include <zlib.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WINDOW_BYTES ((size_t)1024 * 1024)
#define PACKED_BYTES ((size_t)256 * 1024)

struct dk_log_reader {
    int fd;
    size_t max_event;
    uint8_t *window;
    size_t at, len, capacity;
    uint64_t line;      /* of the last event */
    uint64_t next_line; /* at `at` */
    uint64_t consumed;
    bool in_array;
    bool array_is_broken;         /* its bracket may have been passed over */
    bool ended;                   /* no more bytes will come into the window */
    bool told_kind;               /* whether the file is gzip has been looked at */
    bool skipping;                /* an event that is too long goes on until the end of its line */
    struct dk_error_text failure; /* what ended the bytes too early; told once */
    /* gzip */
    uint8_t *packed; /* NULL: plain text */
    z_stream zlib;
    bool between_members;
};

/* ---- bytes ------------------------------------------------------------------------------- */

/* Ends the bytes, for a reason that is told once what was read before has been given out. */
static void end_early(struct dk_log_reader *reader, const char *what) {
    reader->ended = true;
    (void)dk_fail(&reader->failure, DK_ERR_MALFORMED, "%s", what);
}

/* A signal ends it too: whoever catches one wants to stop. */
static size_t read_fd(struct dk_log_reader *reader, uint8_t *out, size_t capacity) {
    ssize_t got = read(reader->fd, out, capacity);
    if (got < 0) {
        char room[128];
        end_early(reader, strerror_r(errno, room, sizeof(room)));
        return 0;
    }
    reader->consumed += (uint64_t)got;
    return (size_t)got;
}

/* False if there are no more packed bytes. */
static bool refill_packed(struct dk_log_reader *reader) {
    if (reader->zlib.avail_in > 0) {
        return true;
    }
    size_t got = read_fd(reader, reader->packed, PACKED_BYTES);
    reader->zlib.next_in = reader->packed;
    reader->zlib.avail_in = (uInt)got;
    return got > 0;
}

/* Unpacks into the free part of the window. False at the end. */
static bool inflate_some(struct dk_log_reader *reader) {
    z_stream *zlib = &reader->zlib;
    if (!refill_packed(reader)) {
        if (!reader->between_members && reader->failure.text[0] == '\0') {
            end_early(reader, "the gzip file ends too early");
        }
        return false;
    }
    if (reader->between_members && inflateReset(zlib) != Z_OK) {
        end_early(reader, "gzip: could not begin again");
        return false;
    }
    reader->between_members = false;
    zlib->next_out = reader->window + reader->len;
    zlib->avail_out = (uInt)(reader->capacity - reader->len);
    int status = inflate(zlib, Z_NO_FLUSH);
    reader->len = (size_t)(zlib->next_out - reader->window);
    if (status == Z_STREAM_END) {
        reader->between_members = true;
    } else if (status != Z_OK && status != Z_BUF_ERROR) {
        end_early(reader, status == Z_MEM_ERROR ? "no memory to unpack gzip"
                                                : "the gzip file is damaged from here on");
        return false;
    }
    return true;
}

static bool begin_gzip(struct dk_log_reader *reader) {
    reader->packed = malloc(PACKED_BYTES);
    if (reader->packed == NULL || inflateInit2(&reader->zlib, 15 + 16) != Z_OK) {
        free(reader->packed);
        reader->packed = NULL;
        end_early(reader, "no memory to unpack gzip");
        return false;
    }
    memcpy(reader->packed, reader->window, reader->len);
    reader->zlib.next_in = reader->packed;
    reader->zlib.avail_in = (uInt)reader->len;
    reader->len = 0;
    return true;
}

/* The two bytes that tell gzip stand at the front of the window. */
static void tell_kind(struct dk_log_reader *reader) {
    reader->told_kind = true;
    while (reader->len < 2) {
        size_t got = read_fd(reader, reader->window + reader->len, 2 - reader->len);
        if (got == 0) {
            reader->ended = true;
            return;
        }
        reader->len += got;
    }
    if (reader->window[0] == 0x1f && reader->window[1] == 0x8b) {
        (void)begin_gzip(reader);
    }
}

/* Room behind what is there; false if the event is as long as allowed, or memory is short. */
static bool make_room(struct dk_log_reader *reader) {
    if (reader->at > 0) {
        memmove(reader->window, reader->window + reader->at, reader->len - reader->at);
        reader->len -= reader->at;
        reader->at = 0;
    }
    if (reader->len < reader->capacity) {
        return true;
    }
    if (reader->len > reader->max_event) {
        return false;
    }
    size_t larger = 2 * reader->capacity;
    uint8_t *window = larger > reader->capacity ? realloc(reader->window, larger) : NULL;
    if (window == NULL) {
        return false;
    }
    reader->window = window;
    reader->capacity = larger;
    return true;
}

/* More text into the window, which has room. False at the end. */
static bool fill(struct dk_log_reader *reader) {
    size_t before = reader->len;
    if (!reader->told_kind) {
        tell_kind(reader);
        if (reader->packed == NULL && reader->len > before) {
            return true;
        }
    }
    while (!reader->ended && reader->len == before) {
        if (reader->packed != NULL) {
            reader->ended |= !inflate_some(reader);
            continue;
        }
        size_t got = read_fd(reader, reader->window + reader->len, reader->capacity - reader->len);
        reader->len += got;
        reader->ended |= got == 0;
    }
    return reader->len > before;
}

/* ---- events ------------------------------------------------------------------------------ */

static uint64_t count_lines(const uint8_t *ptr, size_t len) {
    uint64_t lines = 0;
    const uint8_t *end = ptr + len;
    for (const uint8_t *at = memchr(ptr, '\n', len); at != NULL;
         at = memchr(at + 1, '\n', (size_t)(end - at - 1))) {
        lines++;
    }
    return lines;
}

static void pass(struct dk_log_reader *reader, size_t len) {
    reader->next_line += count_lines(reader->window + reader->at, len);
    reader->at += len;
}

static bool is_white(uint8_t byte) {
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

static enum dk_log_read bad(struct dk_error_text *why, const char *what) {
    (void)dk_fail(why, DK_ERR_MALFORMED, "%s", what);
    return DK_LOG_BAD;
}

/* Passes over everything up to the end of the line. False if the text ended first. */
static bool skip_line(struct dk_log_reader *reader) {
    for (;;) {
        size_t left = reader->len - reader->at;
        const uint8_t *start = reader->window + reader->at;
        const uint8_t *newline = left > 0 ? memchr(start, '\n', left) : NULL;
        if (newline != NULL) {
            pass(reader, (size_t)(newline - start) + 1);
            return true;
        }
        reader->at = reader->len = 0;
        if (!fill(reader)) {
            return false;
        }
    }
}

/* To the first byte that means something, brackets and commas of arrays passed on the way. False at
 * the end of the text. */
static bool find_start(struct dk_log_reader *reader) {
    for (;;) {
        while (reader->at < reader->len) {
            uint8_t byte = reader->window[reader->at];
            bool opens = byte == '[';
            bool closes = byte == ']' && reader->in_array;
            if (!is_white(byte) && !opens && !closes && !(byte == ',' && reader->in_array)) {
                return true;
            }
            reader->in_array = opens || (reader->in_array && !closes);
            reader->next_line += byte == '\n';
            reader->at++;
        }
        reader->at = reader->len = 0;
        if (!fill(reader)) {
            return false;
        }
    }
}

static enum dk_log_read too_long(struct dk_log_reader *reader, struct dk_error_text *why) {
    (void)dk_fail(why, DK_ERR_TOO_LARGE, "an event of more than %zu bytes", reader->max_event);
    reader->array_is_broken = reader->in_array;
    reader->skipping = true;
    return DK_LOG_BAD;
}

static enum dk_log_read next_line(struct dk_log_reader *reader, struct dk_bytes *text,
                                  struct dk_error_text *why) {
    size_t looked_at = 0;
    for (;;) {
        const uint8_t *start = reader->window + reader->at;
        size_t left = reader->len - reader->at;
        const uint8_t *newline = memchr(start + looked_at, '\n', left - looked_at);
        size_t len = newline != NULL ? (size_t)(newline - start) : left;
        if (len > reader->max_event) {
            return too_long(reader, why);
        }
        looked_at = len;
        if (newline != NULL || reader->ended) {
            *text = (struct dk_bytes){start, len};
            reader->at += len + (newline != NULL);
            reader->next_line += newline != NULL;
            return DK_LOG_EVENT;
        }
        if (!make_room(reader)) {
            return too_long(reader, why);
        }
        (void)fill(reader);
    }
}

static enum dk_log_read element_is_bad(struct dk_log_reader *reader, struct dk_error_text *why,
                                       const char *what) {
    reader->array_is_broken = true;
    reader->skipping = true;
    return bad(why, what);
}

static enum dk_log_read next_element(struct dk_log_reader *reader, struct dk_bytes *text,
                                     struct dk_error_text *why) {
    if (reader->window[reader->at] != '{') {
        return element_is_bad(reader, why, "no event at this place of the array");
    }
    for (;;) {
        struct dk_bytes rest = {reader->window + reader->at, reader->len - reader->at};
        enum dk_json_scan scan = dk_json_scan_value(&rest, text);
        if (scan == DK_JSON_OK && text->len <= reader->max_event) {
            pass(reader, text->len);
            return DK_LOG_EVENT;
        }
        if (scan == DK_JSON_MALFORMED || scan == DK_JSON_DEEP) {
            return element_is_bad(reader, why,
                                  scan == DK_JSON_DEEP ? "nested too deep" : "not JSON");
        }
        if (scan == DK_JSON_OK || !make_room(reader)) {
            return too_long(reader, why);
        }
        if (reader->ended || !fill(reader)) {
            reader->at = reader->len;
            reader->array_is_broken = true;
            return bad(why, "the array ends inside an event");
        }
    }
}

static enum dk_log_read at_end(struct dk_log_reader *reader, struct dk_error_text *why) {
    reader->line = reader->next_line;
    if (reader->failure.text[0] != '\0') {
        *why = reader->failure;
        reader->failure.text[0] = '\0';
        reader->in_array = false;
        return DK_LOG_BAD;
    }
    if (reader->in_array && !reader->array_is_broken) {
        reader->in_array = false;
        return bad(why, "the array is not closed");
    }
    return DK_LOG_END;
}

enum dk_log_read dk_log_reader_next(struct dk_log_reader *reader, struct dk_bytes *text,
                                    struct dk_error_text *why) {
    if (reader->skipping) {
        reader->skipping = false;
        (void)skip_line(reader);
    }
    if (!find_start(reader)) {
        return at_end(reader, why);
    }
    reader->line = reader->next_line;
    return reader->in_array ? next_element(reader, text, why) : next_line(reader, text, why);
}

uint64_t dk_log_reader_line(const struct dk_log_reader *reader) {
    return reader->line;
}

uint64_t dk_log_reader_consumed(const struct dk_log_reader *reader) {
    return reader->consumed;
}

/* ---- life -------------------------------------------------------------------------------- */

enum dk_error dk_log_reader_new(int fd, size_t max_event, struct dk_log_reader **out) {
    struct dk_log_reader *reader = calloc(1, sizeof(*reader));
    *out = NULL;
    if (reader == NULL) {
        return DK_ERR_MEMORY;
    }
    reader->fd = fd;
    reader->max_event = max_event;
    reader->next_line = 1;
    reader->capacity = WINDOW_BYTES;
    reader->window = malloc(reader->capacity);
    if (reader->window == NULL) {
        free(reader);
        return DK_ERR_MEMORY;
    }
    *out = reader;
    return DK_OK;
}

void dk_log_reader_destroy(struct dk_log_reader *reader) {
    if (reader == NULL) {
        return;
    }
    if (reader->packed != NULL) {
        (void)inflateEnd(&reader->zlib);
    }
    free(reader->packed);
    free(reader->window);
    free(reader);
}
