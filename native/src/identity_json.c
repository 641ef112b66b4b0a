/* SPDX-License-Identifier: Apache-2.0 */
/* The records of identity.h to JSON. No OpenSSL here: what a certificate said is already bytes. */
#include "doorkeeper/identity.h"

/* True for the first byte of a control character (C0, DEL, C1) or of U+FFFD. */
static bool is_forbidden(const uint8_t *ptr, size_t left) {
    if (ptr[0] < 0x20 || ptr[0] == 0x7f) {
        return true;
    }
    if (left >= 2 && ptr[0] == 0xc2 && ptr[1] < 0xa0) {
        return true;
    }
    return left >= 3 && ptr[0] == 0xef && ptr[1] == 0xbf && ptr[2] == 0xbd;
}

bool dk_identity_is_plain_text(struct dk_bytes text) {
    for (size_t i = 0; i < text.len; i++) {
        if (is_forbidden(text.ptr + i, text.len - i)) {
            return false;
        }
    }
    return dk_bytes_is_utf8(text);
}

/* Reads a record from its front and writes JSON as it goes; without `out` it only reads. */
struct walk {
    struct dk_bytes rest;
    struct dk_writer *out;
    bool malformed;
};

static void write_text(struct walk *walk, const char *text) {
    if (walk->out != NULL) {
        dk_writer_text(walk->out, text);
    }
}

/* NULL and `malformed` if fewer than `len` bytes are left. */
static const uint8_t *take(struct walk *walk, size_t len) {
    if (walk->malformed || walk->rest.len < len) {
        walk->malformed = true;
        return NULL;
    }
    const uint8_t *ptr = walk->rest.ptr;
    walk->rest.ptr += len;
    walk->rest.len -= len;
    return ptr;
}

static unsigned take_u8(struct walk *walk) {
    const uint8_t *ptr = take(walk, 1);
    return ptr != NULL ? ptr[0] : 0;
}

static unsigned take_u16(struct walk *walk) {
    const uint8_t *ptr = take(walk, 2);
    return ptr != NULL ? dk_read_u16(ptr) : 0;
}

static int64_t take_i64(struct walk *walk) {
    const uint8_t *ptr = take(walk, 8);
    return ptr != NULL ? (int64_t)dk_read_u64(ptr) : 0;
}

/* Takes u16 length and text, and writes it as a JSON string. */
static void walk_text(struct walk *walk) {
    struct dk_bytes text = {NULL, take_u16(walk)};
    text.ptr = take(walk, text.len);
    if (text.ptr == NULL || !dk_identity_is_plain_text(text)) {
        walk->malformed = true;
        return;
    }
    if (walk->out != NULL) {
        dk_writer_json_string(walk->out, text);
    }
}

static void walk_rdn(struct walk *walk) {
    unsigned attributes = take_u8(walk);
    if (attributes == 0) {
        walk->malformed = true;
    }
    write_text(walk, "[");
    for (unsigned i = 0; i < attributes && !walk->malformed; i++) {
        write_text(walk, i > 0 ? ",{\"type\":" : "{\"type\":");
        walk_text(walk);
        write_text(walk, ",\"value\":");
        walk_text(walk);
        write_text(walk, "}");
    }
    write_text(walk, "]");
}

static void walk_name(struct walk *walk) {
    unsigned rdns = take_u16(walk);
    write_text(walk, "[");
    for (unsigned i = 0; i < rdns && !walk->malformed; i++) {
        write_text(walk, i > 0 ? "," : "");
        walk_rdn(walk);
    }
    write_text(walk, "]");
}

/* The kinds stand in ascending order, so one pass fills one list after the other. */
static void walk_sans(struct walk *walk) {
    static const char *const openings[] = {"{\"dns\":[", "],\"uri\":[", "],\"email\":[",
                                           "],\"ip\":["};
    unsigned left = take_u16(walk);
    unsigned kind = left > 0 ? take_u8(walk) : 0;
    if (left > DK_SAN_MAX) {
        walk->malformed = true;
    }
    for (unsigned list = DK_SAN_DNS; list <= DK_SAN_IP; list++) {
        const char *separator = "";
        write_text(walk, openings[list - DK_SAN_DNS]);
        while (left > 0 && kind == list && !walk->malformed) {
            write_text(walk, separator);
            walk_text(walk);
            separator = ",";
            left--;
            kind = left > 0 ? take_u8(walk) : 0;
        }
    }
    if (left > 0) {
        walk->malformed = true;
    }
    write_text(walk, "]}");
}

static enum dk_error walk_end(const struct walk *walk) {
    return walk->malformed || walk->rest.len != 0 ? DK_ERR_MALFORMED : DK_OK;
}

enum dk_error dk_subject_write_json(struct dk_bytes record, struct dk_writer *out) {
    struct walk walk = {.rest = record, .out = out};
    write_text(&walk, "{\"rdns\":");
    walk_name(&walk);
    write_text(&walk, ",\"issuer\":");
    walk_name(&walk);
    write_text(&walk, ",\"san\":");
    walk_sans(&walk);
    write_text(&walk, "}");
    return walk_end(&walk);
}

static void write_seconds(struct walk *walk, int64_t seconds) {
    if (walk->out == NULL) {
        return;
    }
    uint64_t magnitude = seconds < 0 ? 0 - (uint64_t)seconds : (uint64_t)seconds;
    dk_writer_text(walk->out, seconds < 0 ? "-" : "");
    dk_writer_u64_decimal(walk->out, magnitude);
}

static void write_hex(struct walk *walk, const uint8_t *ptr, size_t len) {
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < len && walk->out != NULL && ptr != NULL; i++) {
        const uint8_t digits[2] = {(uint8_t)hex[ptr[i] >> 4], (uint8_t)hex[ptr[i] & 15]};
        dk_writer_bytes(walk->out, (struct dk_bytes){digits, sizeof(digits)});
    }
}

/* DER's rule for integers: not empty, and the first nine bits are not all alike. */
static bool is_minimal_integer(const uint8_t *ptr, size_t len) {
    if (len == 0) {
        return false;
    }
    if (len == 1) {
        return true;
    }
    bool next_is_negative = (ptr[1] & 0x80) != 0;
    return ptr[0] != (next_is_negative ? 0xff : 0x00);
}

/* Behind the two ends of the validity. */
#define SHA256_AT 16u
#define SERIAL_AT (SHA256_AT + DK_SHA256_LEN + 2)

struct dk_certificate_id dk_certificate_id_of(struct dk_bytes record) {
    struct dk_certificate_id id = {{NULL, 0}, {NULL, 0}};
    if (record.len >= SERIAL_AT) {
        id.sha256 = (struct dk_bytes){record.ptr + SHA256_AT, DK_SHA256_LEN};
        id.serial = (struct dk_bytes){record.ptr + SERIAL_AT, record.len - SERIAL_AT};
    }
    return id;
}

enum dk_error dk_certificate_write_json(struct dk_bytes record, struct dk_writer *out) {
    struct walk walk = {.rest = record, .out = out};
    int64_t not_before_s = take_i64(&walk);
    int64_t not_after_s = take_i64(&walk);
    const uint8_t *sha256 = take(&walk, DK_SHA256_LEN);
    size_t serial_len = take_u16(&walk);
    const uint8_t *serial = take(&walk, serial_len);
    if (serial == NULL || !is_minimal_integer(serial, serial_len)) {
        return DK_ERR_MALFORMED;
    }
    write_text(&walk, "{\"serial\":\"");
    write_hex(&walk, serial, serial_len);
    write_text(&walk, "\",\"not_before\":");
    write_seconds(&walk, not_before_s);
    write_text(&walk, ",\"not_after\":");
    write_seconds(&walk, not_after_s);
    write_text(&walk, ",\"sha256\":\"");
    write_hex(&walk, sha256, DK_SHA256_LEN);
    write_text(&walk, "\"}");
    return walk_end(&walk);
}
