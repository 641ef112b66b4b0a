/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a server.properties: what is read is UTF-8 of the file's own, and reads the same
 * when every character of it is written as \uXXXX. */
#include "../../native/cli/properties.c"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition) {
        abort();
    }
}

static void write_unit(struct dk_writer *out, unsigned unit) {
    char escape[8];
    snprintf(escape, sizeof(escape), "\\u%04x", unit & 0xffff);
    dk_writer_text(out, escape);
}

/* `text` is UTF-8. */
static void write_escaped(struct dk_writer *out, struct dk_bytes text) {
    for (size_t i = 0; i < text.len;) {
        uint8_t first = text.ptr[i];
        size_t len = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
        uint32_t code_point = len == 1 ? first : first & (0xffu >> (len + 1));
        for (size_t j = 1; j < len; j++) {
            code_point = code_point << 6 | (text.ptr[i + j] & 0x3f);
        }
        if (code_point >= 0x10000) {
            write_unit(out, 0xd800 + ((code_point - 0x10000) >> 10));
            write_unit(out, 0xdc00 + ((code_point - 0x10000) & 0x3ff));
        } else {
            write_unit(out, code_point);
        }
        i += len;
    }
}

static void write_all(struct dk_writer *out, const struct properties *properties) {
    for (size_t i = 0; i < properties->count; i++) {
        write_escaped(out, properties->list[i].key);
        dk_writer_text(out, "=");
        write_escaped(out, properties->list[i].value);
        dk_writer_text(out, "\n");
    }
}

/* One behind the other in the text that was allocated for them. */
static void check_place(const struct properties *properties, size_t file_len) {
    const uint8_t *at = properties->text;
    for (size_t i = 0; i < properties->count; i++) {
        const struct dk_setting *setting = &properties->list[i];
        require(setting->key.ptr == at && setting->value.ptr == at + setting->key.len);
        at += setting->key.len + setting->value.len;
        require(dk_bytes_is_utf8(setting->key) && dk_bytes_is_utf8(setting->value));
    }
    require((size_t)(at - properties->text) <= 2 * file_len);
}

static void check_round_trip(const struct properties *properties) {
    struct dk_writer file;
    struct properties again;
    dk_writer_init(&file, (size_t)16 * 1024 * 1024);
    write_all(&file, properties);
    require(!file.failed);
    require(properties_parse(dk_writer_view(&file), &again) == DK_OK);
    require(again.count == properties->count);
    for (size_t i = 0; i < again.count; i++) {
        require(dk_bytes_equal(again.list[i].key, properties->list[i].key));
        require(dk_bytes_equal(again.list[i].value, properties->list[i].value));
    }
    properties_clean_up(&again);
    dk_writer_clean_up(&file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct properties properties;
    enum dk_error error = properties_parse((struct dk_bytes){data, size}, &properties);
    if (error != DK_OK) {
        require(error == DK_ERR_MALFORMED && properties.list == NULL && properties.text == NULL);
        require(memchr(data, 'u', size) != NULL); /* only \u can be malformed */
        return 0;
    }
    check_place(&properties, size);
    check_round_trip(&properties);
    properties_clean_up(&properties);
    return 0;
}
