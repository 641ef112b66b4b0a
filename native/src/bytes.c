/* SPDX-License-Identifier: Apache-2.0 */
#include "doorkeeper/bytes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct dk_bytes dk_bytes_of(const char *text) {
    if (text == NULL) {
        return (struct dk_bytes){NULL, 0};
    }
    return (struct dk_bytes){(const uint8_t *)text, strlen(text)};
}

bool dk_bytes_equal(struct dk_bytes a, struct dk_bytes b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* The length of the well-formed UTF-8 character at the front of `text`, 0 if there is none. */
static size_t utf8_character(struct dk_bytes text, uint32_t *code_point) {
    uint8_t first = text.ptr[0];
    if (first < 0x80) {
        *code_point = first;
        return 1;
    }
    size_t len;
    uint32_t value, smallest;
    if ((first & 0xe0) == 0xc0) {
        len = 2, value = first & 0x1f, smallest = 0x80;
    } else if ((first & 0xf0) == 0xe0) {
        len = 3, value = first & 0x0f, smallest = 0x800;
    } else if ((first & 0xf8) == 0xf0) {
        len = 4, value = first & 0x07, smallest = 0x10000;
    } else {
        return 0;
    }
    if (len > text.len) {
        return 0;
    }
    for (size_t i = 1; i < len; i++) {
        if ((text.ptr[i] & 0xc0) != 0x80) {
            return 0;
        }
        value = (value << 6) | (text.ptr[i] & 0x3f);
    }
    if (value < smallest || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)) {
        return 0;
    }
    *code_point = value;
    return len;
}

size_t dk_bytes_utf8_front(struct dk_bytes text) {
    size_t whole = text.len;
    while (text.len > 0) {
        uint32_t code_point;
        size_t len = utf8_character(text, &code_point);
        if (len == 0) {
            break;
        }
        text.ptr += len;
        text.len -= len;
    }
    return whole - text.len;
}

bool dk_bytes_is_utf8(struct dk_bytes text) {
    return dk_bytes_utf8_front(text) == text.len;
}

void dk_writer_init(struct dk_writer *writer, size_t max_len) {
    memset(writer, 0, sizeof(*writer));
    writer->max_len = max_len;
}

void dk_writer_clean_up(struct dk_writer *writer) {
    free(writer->ptr);
    memset(writer, 0, sizeof(*writer));
}

void dk_writer_forget(struct dk_writer *writer) {
    if (writer->ptr != NULL) {
        explicit_bzero(writer->ptr, writer->capacity);
    }
    dk_writer_clean_up(writer);
}

void dk_writer_reset(struct dk_writer *writer) {
    writer->len = 0;
    writer->failed = false;
}

static bool make_room(struct dk_writer *writer, size_t more) {
    if (writer->failed || more > writer->max_len - writer->len) {
        writer->failed = true;
        return false;
    }
    size_t needed = writer->len + more;
    if (needed <= writer->capacity) {
        return true;
    }
    size_t capacity = writer->capacity < 256 ? 256 : writer->capacity;
    while (capacity < needed) {
        capacity *= 2;
    }
    uint8_t *ptr = realloc(writer->ptr, capacity);
    if (ptr == NULL) {
        writer->failed = true;
        return false;
    }
    writer->ptr = ptr;
    writer->capacity = capacity;
    return true;
}

void dk_writer_reserve(struct dk_writer *writer, size_t more) {
    (void)make_room(writer, more);
}

void dk_writer_bytes(struct dk_writer *writer, struct dk_bytes bytes) {
    if (bytes.len > 0 && make_room(writer, bytes.len)) {
        memcpy(writer->ptr + writer->len, bytes.ptr, bytes.len);
        writer->len += bytes.len;
    }
}

void dk_writer_text(struct dk_writer *writer, const char *text) {
    dk_writer_bytes(writer, dk_bytes_of(text));
}

void dk_writer_u64_decimal(struct dk_writer *writer, uint64_t value) {
    char digits[24];
    snprintf(digits, sizeof(digits), "%llu", (unsigned long long)value);
    dk_writer_text(writer, digits);
}

static void write_json_escape(struct dk_writer *writer, uint8_t byte) {
    char escape[8];
    if (byte == '"' || byte == '\\') {
        snprintf(escape, sizeof(escape), "\\%c", byte);
    } else {
        snprintf(escape, sizeof(escape), "\\u%04x", byte);
    }
    dk_writer_text(writer, escape);
}

void dk_writer_json_string(struct dk_writer *writer, struct dk_bytes text) {
    dk_writer_text(writer, "\"");
    size_t start = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t byte = text.ptr[i];
        if (byte >= 0x20 && byte != '"' && byte != '\\' && byte != 0x7f) {
            continue;
        }
        dk_writer_bytes(writer, (struct dk_bytes){text.ptr + start, i - start});
        write_json_escape(writer, byte);
        start = i + 1;
    }
    if (start < text.len) {
        dk_writer_bytes(writer, (struct dk_bytes){text.ptr + start, text.len - start});
    }
    dk_writer_text(writer, "\"");
}

struct dk_bytes dk_writer_view(const struct dk_writer *writer) {
    return (struct dk_bytes){writer->ptr, writer->len};
}

/* Characters that change how a line is shown without being seen themselves. */
static bool is_misleading(uint32_t code_point) {
    return code_point < 0x20 || (code_point >= 0x7f && code_point <= 0x9f) || code_point == '\\' ||
           code_point == 0xad || code_point == 0x61c || code_point == 0x180e ||
           (code_point >= 0x200b && code_point <= 0x200f) ||
           (code_point >= 0x2028 && code_point <= 0x202e) ||
           (code_point >= 0x2060 && code_point <= 0x206f) || code_point == 0xfeff ||
           (code_point >= 0xfff9 && code_point <= 0xfffb) || code_point >= 0xe0000;
}

/* Writes what stands for the first character of `text` into `unit`; returns the bytes it took. */
static size_t escape_character(struct dk_bytes text, char unit[16], size_t *unit_len) {
    uint32_t code_point;
    size_t len = utf8_character(text, &code_point);
    if (len == 0) {
        *unit_len = (size_t)snprintf(unit, 16, "\\x%02x", text.ptr[0]);
        return 1;
    }
    if (!is_misleading(code_point)) {
        memcpy(unit, text.ptr, len);
        *unit_len = len;
    } else if (code_point < 0x100) {
        *unit_len = (size_t)snprintf(unit, 16, "\\x%02x", (unsigned)code_point);
    } else if (code_point < 0x10000) {
        *unit_len = (size_t)snprintf(unit, 16, "\\u%04x", (unsigned)code_point);
    } else {
        *unit_len = (size_t)snprintf(unit, 16, "\\U%08x", (unsigned)code_point);
    }
    return len;
}

size_t dk_bytes_escape(struct dk_bytes text, char *out, size_t capacity) {
    static const char cut[] = "...";
    const size_t cut_len = sizeof(cut) - 1;
    size_t written = 0;
    size_t cut_at = 0; /* the last place where the mark of a cut would still fit */
    while (text.len > 0) {
        char unit[16];
        size_t unit_len;
        size_t taken = escape_character(text, unit, &unit_len);
        if (unit_len > capacity - written) {
            size_t mark = capacity < cut_len ? capacity : cut_len;
            memcpy(out + cut_at, cut, mark);
            return cut_at + mark;
        }
        memcpy(out + written, unit, unit_len);
        written += unit_len;
        if (written + cut_len <= capacity) {
            cut_at = written;
        }
        text.ptr += taken;
        text.len -= taken;
    }
    return written;
}

void dk_write_u16(uint8_t *ptr, uint16_t value) {
    ptr[0] = (uint8_t)value;
    ptr[1] = (uint8_t)(value >> 8);
}

void dk_write_u32(uint8_t *ptr, uint32_t value) {
    dk_write_u16(ptr, (uint16_t)value);
    dk_write_u16(ptr + 2, (uint16_t)(value >> 16));
}

void dk_write_u64(uint8_t *ptr, uint64_t value) {
    dk_write_u32(ptr, (uint32_t)value);
    dk_write_u32(ptr + 4, (uint32_t)(value >> 32));
}
