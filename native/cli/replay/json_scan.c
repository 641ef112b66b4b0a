/* SPDX-License-Identifier: Apache-2.0 */
#include "json_scan.h"

#include <string.h>

static bool is_white(uint8_t byte) {
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

static const uint8_t *skip_white(const uint8_t *at, const uint8_t *end) {
    while (at < end && is_white(*at)) {
        at++;
    }
    return at;
}

/* ---- strings, numbers, literals ---------------------------------------------------------- */

/* Eight bytes at once, each looked at for a quote, a backslash or a control character. */
static bool has_special(uint64_t word) {
    const uint64_t ones = UINT64_C(0x0101010101010101);
    const uint64_t high = UINT64_C(0x8080808080808080);
    uint64_t quote = word ^ (ones * '"');
    uint64_t backslash = word ^ (ones * '\\');
    uint64_t zero = ((quote - ones) & ~quote) | ((backslash - ones) & ~backslash) |
                    ((word - ones * 0x20) & ~word);
    return (zero & high) != 0;
}

static bool is_hex(uint8_t byte) {
    uint8_t lower = byte | 0x20;
    return (byte >= '0' && byte <= '9') || (lower >= 'a' && lower <= 'f');
}

/* `*at` stands on a backslash. */
static enum dk_json_scan skip_escape(const uint8_t **at, const uint8_t *end) {
    if (end - *at < 2) {
        return DK_JSON_CUT;
    }
    uint8_t kind = (*at)[1];
    if (kind != 'u') {
        *at += 2;
        return kind != '\0' && strchr("\"\\/bfnrt", kind) != NULL ? DK_JSON_OK : DK_JSON_MALFORMED;
    }
    for (int i = 2; i < 6; i++) {
        if (*at + i >= end) {
            return DK_JSON_CUT;
        }
        if (!is_hex((*at)[i])) {
            return DK_JSON_MALFORMED;
        }
    }
    *at += 6;
    return DK_JSON_OK;
}

/* `*at` stands behind the opening quote; left behind the closing one. */
static enum dk_json_scan skip_string(const uint8_t **at, const uint8_t *end) {
    for (;;) {
        while (end - *at >= 8 && !has_special(dk_read_u64(*at))) {
            *at += 8;
        }
        while (*at < end && **at != '"' && **at != '\\' && **at >= 0x20) {
            (*at)++;
        }
        if (*at >= end) {
            return DK_JSON_CUT;
        }
        if (**at == '"') {
            (*at)++;
            return DK_JSON_OK;
        }
        enum dk_json_scan scan = **at == '\\' ? skip_escape(at, end) : DK_JSON_MALFORMED;
        if (scan != DK_JSON_OK) {
            return scan;
        }
    }
}

static size_t digits(const uint8_t *at, const uint8_t *end) {
    size_t count = 0;
    while (at + count < end && at[count] >= '0' && at[count] <= '9') {
        count++;
    }
    return count;
}

/* RFC 8259: no plus, no leading zero, digits on both sides of the point. */
static bool is_number(const uint8_t *at, const uint8_t *end) {
    at += at < end && *at == '-';
    size_t whole = digits(at, end);
    if (whole == 0 || (whole > 1 && *at == '0')) {
        return false;
    }
    at += whole;
    if (at < end && *at == '.') {
        size_t fraction = digits(at + 1, end);
        if (fraction == 0) {
            return false;
        }
        at += 1 + fraction;
    }
    if (at < end && (*at | 0x20) == 'e') {
        at++;
        at += at < end && (*at == '+' || *at == '-');
        size_t exponent = digits(at, end);
        if (exponent == 0) {
            return false;
        }
        at += exponent;
    }
    return at == end;
}

static bool is_word(const uint8_t *at, const uint8_t *end) {
    size_t len = (size_t)(end - at);
    return (len == 4 && (memcmp(at, "true", 4) == 0 || memcmp(at, "null", 4) == 0)) ||
           (len == 5 && memcmp(at, "false", 5) == 0);
}

static bool ends_scalar(uint8_t byte) {
    return byte == ',' || byte == ']' || byte == '}' || is_white(byte);
}

static enum dk_json_scan skip_scalar(const uint8_t **at, const uint8_t *end) {
    const uint8_t *start = *at;
    const uint8_t *stop = start;
    while (stop < end && !ends_scalar(*stop)) {
        stop++;
    }
    if (!is_word(start, stop) && !is_number(start, stop)) {
        return stop == end && stop - start < 64 ? DK_JSON_CUT : DK_JSON_MALFORMED;
    }
    *at = stop;
    return DK_JSON_OK;
}

/* ---- nesting ----------------------------------------------------------------------------- */

/* Which brackets are open, the innermost in the lowest bit: 1 for an object. */
struct nest {
    uint64_t objects;
    unsigned depth;
};

/* The name of a member with its colon. */
static enum dk_json_scan skip_name(const uint8_t **at, const uint8_t *end) {
    *at = skip_white(*at, end);
    if (*at >= end) {
        return DK_JSON_CUT;
    }
    if (**at != '"') {
        return DK_JSON_MALFORMED;
    }
    (*at)++;
    enum dk_json_scan scan = skip_string(at, end);
    if (scan != DK_JSON_OK) {
        return scan;
    }
    *at = skip_white(*at, end);
    if (*at >= end) {
        return DK_JSON_CUT;
    }
    return *(*at)++ == ':' ? DK_JSON_OK : DK_JSON_MALFORMED;
}

/* `*at` stands on an opening bracket. `*closed`: nothing was inside. */
static enum dk_json_scan open_bracket(const uint8_t **at, const uint8_t *end, struct nest *nest,
                                      bool *closed) {
    bool object = **at == '{';
    if (nest->depth == DK_JSON_DEPTH_MAX) {
        return DK_JSON_DEEP;
    }
    *at = skip_white(*at + 1, end);
    if (*at >= end) {
        return DK_JSON_CUT;
    }
    *closed = **at == (object ? '}' : ']');
    if (*closed) {
        (*at)++;
        return DK_JSON_OK;
    }
    nest->objects = nest->objects << 1 | object;
    nest->depth++;
    return object ? skip_name(at, end) : DK_JSON_OK;
}

/* Behind a value: closes what ends there, up to the comma before the next one. */
static enum dk_json_scan after_value(const uint8_t **at, const uint8_t *end, struct nest *nest) {
    while (nest->depth > 0) {
        bool object = (nest->objects & 1) != 0;
        *at = skip_white(*at, end);
        if (*at >= end) {
            return DK_JSON_CUT;
        }
        if (**at == ',') {
            (*at)++;
            return object ? skip_name(at, end) : DK_JSON_OK;
        }
        if (**at != (object ? '}' : ']')) {
            return DK_JSON_MALFORMED;
        }
        (*at)++;
        nest->objects >>= 1;
        nest->depth--;
    }
    return DK_JSON_OK;
}

static enum dk_json_scan skip_one(const uint8_t **at, const uint8_t *end, struct nest *nest) {
    bool whole = true;
    enum dk_json_scan scan;
    *at = skip_white(*at, end);
    if (*at >= end) {
        return DK_JSON_CUT;
    }
    if (**at == '"') {
        (*at)++;
        scan = skip_string(at, end);
    } else if (**at == '{' || **at == '[') {
        scan = open_bracket(at, end, nest, &whole);
    } else {
        scan = skip_scalar(at, end);
    }
    return scan == DK_JSON_OK && whole ? after_value(at, end, nest) : scan;
}

enum dk_json_scan dk_json_scan_value(struct dk_bytes *rest, struct dk_bytes *value) {
    const uint8_t *end = rest->ptr + rest->len;
    const uint8_t *at = skip_white(rest->ptr, end);
    const uint8_t *start = at;
    struct nest nest = {0, 0};
    enum dk_json_scan scan;
    do {
        scan = skip_one(&at, end, &nest);
    } while (scan == DK_JSON_OK && nest.depth > 0);
    if (at > end) {
        at = end;
    }
    *value = (struct dk_bytes){start, (size_t)(at - start)};
    *rest = (struct dk_bytes){at, (size_t)(end - at)};
    return scan;
}

/* ---- members and elements ---------------------------------------------------------------- */

struct dk_json_walk dk_json_walk(struct dk_bytes value) {
    static const uint8_t nothing[1] = {0};
    return (struct dk_json_walk){.rest = {value.ptr != NULL ? value.ptr : nothing, value.len}};
}

/* Passes the opening bracket or the comma. False at the end. */
static bool step(struct dk_json_walk *walk, uint8_t opening, uint8_t closing) {
    const uint8_t *end = walk->rest.ptr + walk->rest.len;
    const uint8_t *at = skip_white(walk->rest.ptr, end);
    if (at >= end || *at != (walk->begun ? ',' : opening)) {
        return false;
    }
    at = skip_white(at + 1, end);
    if (at >= end || (walk->begun && *at == closing)) {
        return false;
    }
    walk->begun = true;
    walk->rest = (struct dk_bytes){at, (size_t)(end - at)};
    return *at != closing;
}

static bool take_value(struct dk_json_walk *walk, struct dk_bytes *value) {
    walk->scan = dk_json_scan_value(&walk->rest, value);
    return walk->scan == DK_JSON_OK;
}

enum dk_json_scan dk_json_walk_end(const struct dk_json_walk *walk) {
    const uint8_t *end = walk->rest.ptr + walk->rest.len;
    const uint8_t *at = skip_white(walk->rest.ptr, end);
    if (walk->scan != DK_JSON_OK) {
        return walk->scan;
    }
    if (at >= end) {
        return DK_JSON_CUT;
    }
    return walk->begun && *at == '}' && skip_white(at + 1, end) == end ? DK_JSON_OK
                                                                       : DK_JSON_MALFORMED;
}

bool dk_json_next_member(struct dk_json_walk *walk, struct dk_bytes *name, struct dk_bytes *value) {
    if (!step(walk, '{', '}')) {
        return false;
    }
    const uint8_t *end = walk->rest.ptr + walk->rest.len;
    const uint8_t *start = walk->rest.ptr + 1;
    const uint8_t *at = start;
    walk->scan = *walk->rest.ptr == '"' ? skip_string(&at, end) : DK_JSON_MALFORMED;
    if (walk->scan != DK_JSON_OK) {
        return false;
    }
    *name = (struct dk_bytes){start, (size_t)(at - start) - 1};
    at = skip_white(at, end);
    walk->scan = at >= end ? DK_JSON_CUT : *at == ':' ? DK_JSON_OK : DK_JSON_MALFORMED;
    if (walk->scan != DK_JSON_OK) {
        return false;
    }
    at++;
    walk->rest = (struct dk_bytes){at, (size_t)(end - at)};
    return take_value(walk, value);
}

bool dk_json_next_element(struct dk_json_walk *walk, struct dk_bytes *value) {
    return step(walk, '[', ']') && take_value(walk, value);
}

/* ---- what a value is --------------------------------------------------------------------- */

bool dk_json_is_object(struct dk_bytes value) {
    return value.len > 0 && value.ptr[0] == '{';
}

bool dk_json_is_array(struct dk_bytes value) {
    return value.len > 0 && value.ptr[0] == '[';
}

bool dk_json_is_string(struct dk_bytes value) {
    return value.len >= 2 && value.ptr[0] == '"';
}

bool dk_json_is(struct dk_bytes value, const char *literal) {
    return dk_bytes_equal(value, dk_bytes_of(literal));
}

bool dk_json_plain_string(struct dk_bytes value, struct dk_bytes *text) {
    if (!dk_json_is_string(value)) {
        return false;
    }
    *text = (struct dk_bytes){value.ptr + 1, value.len - 2};
    return text->len == 0 || memchr(text->ptr, '\\', text->len) == NULL;
}

bool dk_json_u64(struct dk_bytes value, uint64_t *out) {
    uint64_t number = 0;
    if (value.len == 0 || value.len > 19) {
        return false;
    }
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] < '0' || value.ptr[i] > '9') {
            return false;
        }
        number = number * 10 + (value.ptr[i] - '0');
    }
    *out = number;
    return true;
}
