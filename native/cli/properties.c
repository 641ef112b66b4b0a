/* SPDX-License-Identifier: Apache-2.0 */
#include "properties.h"

#include "doorkeeper/file.h"

#include <stdlib.h>
#include <string.h>

#define PROPERTIES_MAX (1024u * 1024u)

static bool is_space(uint8_t byte) {
    return byte == ' ' || byte == '\t' || byte == '\f';
}

static bool is_line_end(uint8_t byte) {
    return byte == '\n' || byte == '\r';
}

static struct dk_bytes skip_spaces(struct dk_bytes text) {
    while (text.len > 0 && is_space(text.ptr[0])) {
        text.ptr++;
        text.len--;
    }
    return text;
}

/* Takes one line off the front of `*rest`, without its end and without spaces before it. `*number`
 * counts them. */
static struct dk_bytes take_natural_line(struct dk_bytes *rest, size_t *number) {
    size_t len = 0;
    (*number)++;
    while (len < rest->len && !is_line_end(rest->ptr[len])) {
        len++;
    }
    struct dk_bytes line = {rest->ptr, len};
    if (len + 1 < rest->len && rest->ptr[len] == '\r' && rest->ptr[len + 1] == '\n') {
        len++;
    }
    len = len < rest->len ? len + 1 : len;
    rest->ptr += len;
    rest->len -= len;
    return skip_spaces(line);
}

static bool is_continued(struct dk_bytes line) {
    size_t backslashes = 0;
    while (backslashes < line.len && line.ptr[line.len - 1 - backslashes] == '\\') {
        backslashes++;
    }
    return backslashes % 2 == 1;
}

/* Joins a line with what continues it, in `room`. `*number` counts the lines of the file, `*first`
 * is where this one begins. False at the end of the file. */
static bool take_line(struct dk_bytes *rest, uint8_t *room, struct dk_bytes *out, size_t *number,
                      size_t *first) {
    while (rest->len > 0) {
        struct dk_bytes part = take_natural_line(rest, number);
        *first = *number;
        if (part.len == 0 || part.ptr[0] == '#' || part.ptr[0] == '!') {
            continue;
        }
        size_t len = 0;
        while (is_continued(part)) {
            memcpy(room + len, part.ptr, part.len - 1);
            len += part.len - 1;
            part = take_natural_line(rest, number); /* empty at the end of the file */
        }
        memcpy(room + len, part.ptr, part.len);
        *out = (struct dk_bytes){room, len + part.len};
        return true;
    }
    return false;
}

/* Where the key of a line ends: at the first separator that no backslash stands before. */
static size_t key_len(struct dk_bytes line) {
    size_t i = 0;
    while (i < line.len && !is_space(line.ptr[i]) && line.ptr[i] != '=' && line.ptr[i] != ':') {
        i += line.ptr[i] == '\\' ? 2 : 1;
    }
    return i < line.len ? i : line.len;
}

static struct dk_bytes value_after(struct dk_bytes line, size_t key) {
    struct dk_bytes value = skip_spaces((struct dk_bytes){line.ptr + key, line.len - key});
    if (value.len > 0 && (value.ptr[0] == '=' || value.ptr[0] == ':')) {
        value.ptr++;
        value.len--;
    }
    return skip_spaces(value);
}

static uint8_t *put_utf8(uint8_t *out, uint32_t code_point) {
    if (code_point < 0x80) {
        *out++ = (uint8_t)code_point;
    } else if (code_point < 0x800) {
        *out++ = (uint8_t)(0xc0 | code_point >> 6);
        *out++ = (uint8_t)(0x80 | (code_point & 0x3f));
    } else if (code_point < 0x10000) {
        *out++ = (uint8_t)(0xe0 | code_point >> 12);
        *out++ = (uint8_t)(0x80 | (code_point >> 6 & 0x3f));
        *out++ = (uint8_t)(0x80 | (code_point & 0x3f));
    } else {
        *out++ = (uint8_t)(0xf0 | code_point >> 18);
        *out++ = (uint8_t)(0x80 | (code_point >> 12 & 0x3f));
        *out++ = (uint8_t)(0x80 | (code_point >> 6 & 0x3f));
        *out++ = (uint8_t)(0x80 | (code_point & 0x3f));
    }
    return out;
}

static int hex_digit(uint8_t byte) {
    if (byte >= '0' && byte <= '9') {
        return byte - '0';
    }
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* "\uXXXX" at the front of `text`: its number, or -1. */
static int32_t unicode_escape(struct dk_bytes text) {
    if (text.len < 6 || text.ptr[0] != '\\' || text.ptr[1] != 'u') {
        return -1;
    }
    int32_t unit = 0;
    for (size_t i = 2; i < 6; i++) {
        int digit = hex_digit(text.ptr[i]);
        if (digit < 0) {
            return -1;
        }
        unit = unit << 4 | digit;
    }
    return unit;
}

static bool is_high_surrogate(int32_t unit) {
    return unit >= 0xd800 && unit <= 0xdbff;
}

static bool is_low_surrogate(int32_t unit) {
    return unit >= 0xdc00 && unit <= 0xdfff;
}

/* Takes a character off the front of `*text`. False for a malformed \uXXXX. */
static bool take_character(struct dk_bytes *text, uint32_t *code_point) {
    size_t taken = 1;
    *code_point = text->ptr[0];
    if (text->ptr[0] == '\\' && text->len > 1) {
        static const char letters[] = "tnrf", meanings[] = "\t\n\r\f";
        uint8_t escaped = text->ptr[1];
        const char *letter = escaped == '\0' ? NULL : strchr(letters, escaped);
        *code_point = letter == NULL ? escaped : (uint8_t)meanings[letter - letters];
        taken = 2;
        if (escaped == 'u') {
            int32_t unit = unicode_escape(*text);
            if (unit < 0) {
                return false;
            }
            struct dk_bytes behind = {text->ptr + 6, text->len - 6};
            int32_t next = unicode_escape(behind);
            taken = 6;
            if (is_high_surrogate(unit) && is_low_surrogate(next)) {
                unit = 0x10000 + ((unit - 0xd800) << 10) + (next - 0xdc00);
                taken = 12;
            }
            bool lone = is_high_surrogate(unit) || is_low_surrogate(unit);
            *code_point = lone ? '?' : (uint32_t)unit; /* what Java's encoder makes of it */
        }
    }
    text->ptr += taken;
    text->len -= taken;
    return true;
}

/* Appends `text` to `*end` without escapes, as UTF-8. */
static bool unescape(struct dk_bytes text, uint8_t **end, struct dk_bytes *out) {
    uint8_t *start = *end;
    while (text.len > 0) {
        uint32_t code_point;
        if (!take_character(&text, &code_point)) {
            return false;
        }
        *end = put_utf8(*end, code_point);
    }
    *out = (struct dk_bytes){start, (size_t)(*end - start)};
    return true;
}

static size_t count_lines(struct dk_bytes file) {
    size_t lines = 1;
    for (size_t i = 0; i < file.len; i++) {
        lines += is_line_end(file.ptr[i]);
    }
    return lines;
}

static enum dk_error parse_lines(struct dk_bytes file, uint8_t *room, struct properties *out) {
    uint8_t *end = out->text;
    struct dk_bytes line;
    size_t number = 0;
    while (take_line(&file, room, &line, &number, &out->lines[out->count])) {
        struct dk_setting *setting = &out->list[out->count];
        size_t key = key_len(line);
        if (!unescape((struct dk_bytes){line.ptr, key}, &end, &setting->key) ||
            !unescape(value_after(line, key), &end, &setting->value)) {
            return DK_ERR_MALFORMED;
        }
        out->count++;
    }
    return DK_OK;
}

enum dk_error properties_parse(struct dk_bytes file, struct properties *out) {
    memset(out, 0, sizeof(*out));
    uint8_t *room = malloc(file.len + 1);
    /* A Latin-1 byte takes at most two in UTF-8, an escape never more than it had. */
    out->text = malloc(2 * file.len + 1);
    size_t most = count_lines(file) + 1; /* behind the last one its number is written, too */
    out->list = calloc(most, sizeof(*out->list));
    out->lines = calloc(most, sizeof(*out->lines));
    enum dk_error error = DK_ERR_MEMORY;
    if (room != NULL && out->text != NULL && out->list != NULL && out->lines != NULL) {
        error = parse_lines(file, room, out);
    }
    free(room);
    if (error != DK_OK) {
        properties_clean_up(out);
    }
    return error;
}

enum dk_error properties_read(const char *path, struct properties *out, struct dk_error_text *why) {
    struct dk_writer file;
    memset(out, 0, sizeof(*out));
    dk_writer_init(&file, PROPERTIES_MAX);
    enum dk_error error = dk_file_read(path, &file, why);
    if (error == DK_OK) {
        error = properties_parse(dk_writer_view(&file), out);
        if (error != DK_OK) {
            dk_fail(why, error, "%s: %s", path, dk_strerror(error));
        }
    }
    dk_writer_clean_up(&file);
    return error;
}

bool properties_is_variable(struct dk_bytes value) {
    for (size_t i = 0; i + 1 < value.len; i++) {
        if (value.ptr[i] == '$' && value.ptr[i + 1] == '{') {
            return true;
        }
    }
    return false;
}

void properties_clean_up(struct properties *properties) {
    free(properties->list);
    free(properties->lines);
    free(properties->text);
    memset(properties, 0, sizeof(*properties));
}
