/* SPDX-License-Identifier: Apache-2.0 */
#include "json.h"

#include <string.h>

/* What is read here is at most five deep; the rest is room for newer OPAs. */
#define DEPTH_MAX 32u
#define ARRAY_IN_OBJECT 2u

/* One pass over the text that bounds what the parser will do with it: how deep it recurses and how
 * many values it allocates. It also refuses what would end a C string early. */
struct scan {
    struct dk_bytes text;
    size_t at;
    size_t depth;
    size_t values;
};

/* `at` stands behind the opening quote; left behind the closing one. */
static bool scan_string(struct scan *scan) {
    while (scan->at < scan->text.len) {
        const uint8_t *ptr = scan->text.ptr + scan->at;
        size_t left = scan->text.len - scan->at;
        if (*ptr < 0x20) {
            return false;
        }
        if (*ptr == '"') {
            scan->at++;
            return true;
        }
        if (*ptr == '\\' && left >= 6 && memcmp(ptr, "\\u0000", 6) == 0) {
            return false;
        }
        scan->at += *ptr == '\\' ? 2 : 1;
    }
    return false;
}

static bool scan_token(struct scan *scan) {
    uint8_t byte = scan->text.ptr[scan->at++];
    switch (byte) {
    case '"':
        return scan_string(scan);
    case '[':
    case '{':
        scan->depth++;
        scan->values++;
        return true;
    case ']':
    case '}':
        if (scan->depth == 0) {
            return false;
        }
        scan->depth--;
        return true;
    case ',':
        scan->values++;
        return true;
    case ' ':
    case '\t':
    case '\r':
    case '\n':
        return true;
    default:
        return byte > ' ' && byte < 0x7f;
    }
}

static bool is_bounded(struct dk_bytes text, size_t max_values, size_t *at) {
    struct scan scan = {.text = text};
    while (scan.at < text.len) {
        if (!scan_token(&scan) || scan.depth > DEPTH_MAX || scan.values > max_values) {
            *at = scan.at < text.len ? scan.at : text.len;
            return false;
        }
    }
    *at = dk_bytes_utf8_front(text);
    return *at == text.len;
}

static bool is_white(char byte) {
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

static cJSON *parse_whole(struct dk_bytes text, size_t *at) {
    const char *begin = (const char *)text.ptr;
    const char *end = begin;
    cJSON *root = cJSON_ParseWithLengthOpts(begin, text.len, &end, false);
    while (root != NULL && end < begin + text.len && is_white(*end)) {
        end++;
    }
    *at = (size_t)(end - begin);
    if (root != NULL && *at < text.len) {
        cJSON_Delete(root);
        root = NULL;
    }
    return root;
}

cJSON *dk_json_parse(struct dk_bytes text, size_t max_values, size_t *at) {
    size_t unasked = 0;
    size_t *end = at != NULL ? at : &unasked;
    *end = 0;
    return text.len > 0 && is_bounded(text, max_values, end) ? parse_whole(text, end) : NULL;
}

size_t dk_json_element(struct dk_bytes text, size_t index) {
    struct scan scan = {.text = text};
    size_t begun = 0;
    while (scan.at < text.len && begun <= index) {
        uint8_t byte = text.ptr[scan.at];
        if (!scan_token(&scan)) {
            break;
        }
        begun += scan.depth == ARRAY_IN_OBJECT && (byte == '[' || byte == ',');
    }
    while (scan.at < text.len && is_white((char)text.ptr[scan.at])) {
        scan.at++;
    }
    return scan.at;
}
