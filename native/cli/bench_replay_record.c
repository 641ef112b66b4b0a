/* SPDX-License-Identifier: Apache-2.0 */
/* The writers here are lenient: what they make of wrong JSON does not matter, because the record is
 * written back as JSON at the end, which must be the same. */
#include "bench_replay_record.h"

#include "doorkeeper/identity.h"

#include <string.h>

/* Whole numbers up to here are exact in a double. */
#define EXACT_MAX 9007199254740992.0

static const cJSON *member(const cJSON *object, const char *name) {
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

static struct dk_bytes text_of(const cJSON *value) {
    return dk_bytes_of(cJSON_GetStringValue(value));
}

/* ---- identities --------------------------------------------------------------------------- */

static void write_u8(size_t number, struct dk_writer *out) {
    const uint8_t byte = (uint8_t)number;
    dk_writer_bytes(out, (struct dk_bytes){&byte, 1});
}

static void write_u16(size_t number, struct dk_writer *out) {
    uint8_t bytes[2];
    dk_write_u16(bytes, (uint16_t)number);
    dk_writer_bytes(out, (struct dk_bytes){bytes, sizeof(bytes)});
}

static void write_i64(const cJSON *value, struct dk_writer *out) {
    uint8_t bytes[8];
    double number = cJSON_GetNumberValue(value);
    bool exact = number > -EXACT_MAX && number < EXACT_MAX; /* false for NaN */
    dk_write_u64(bytes, exact ? (uint64_t)(int64_t)number : 0);
    dk_writer_bytes(out, (struct dk_bytes){bytes, sizeof(bytes)});
}

static void write_text(const cJSON *value, struct dk_writer *out) {
    struct dk_bytes text = text_of(value);
    write_u16(text.len, out);
    dk_writer_bytes(out, text);
}

static void write_name(const cJSON *rdns, struct dk_writer *out) {
    write_u16((size_t)cJSON_GetArraySize(rdns), out);
    for (const cJSON *rdn = rdns != NULL ? rdns->child : NULL; rdn != NULL; rdn = rdn->next) {
        write_u8((size_t)cJSON_GetArraySize(rdn), out);
        for (const cJSON *attribute = rdn->child; attribute != NULL; attribute = attribute->next) {
            write_text(member(attribute, "type"), out);
            write_text(member(attribute, "value"), out);
        }
    }
}

static void write_sans(const cJSON *san, struct dk_writer *out) {
    static const struct {
        enum dk_san_kind kind;
        const char *name;
    } kinds[] = {
        {DK_SAN_DNS, "dns"}, {DK_SAN_URI, "uri"}, {DK_SAN_EMAIL, "email"}, {DK_SAN_IP, "ip"}};
    size_t count = 0;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        count += (size_t)cJSON_GetArraySize(member(san, kinds[i].name));
    }
    write_u16(count, out);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        const cJSON *names = member(san, kinds[i].name);
        for (const cJSON *name = names != NULL ? names->child : NULL; name != NULL;
             name = name->next) {
            write_u8(kinds[i].kind, out);
            write_text(name, out);
        }
    }
}

static void write_subject(const cJSON *subject, struct dk_writer *out) {
    write_name(member(subject, "rdns"), out);
    write_name(member(subject, "issuer"), out);
    write_sans(member(subject, "san"), out);
}

static unsigned hex_digit(char digit) {
    static const char digits[] = "0123456789abcdef";
    const char *found = digit == '\0' ? NULL : strchr(digits, digit);
    return found == NULL ? 0 : (unsigned)(found - digits);
}

static void write_hex(const cJSON *value, struct dk_writer *out) {
    struct dk_bytes text = text_of(value);
    for (size_t i = 0; i + 1 < text.len; i += 2) {
        write_u8(hex_digit((char)text.ptr[i]) << 4 | hex_digit((char)text.ptr[i + 1]), out);
    }
}

static void write_certificate(const cJSON *certificate, struct dk_writer *out) {
    const cJSON *serial = member(certificate, "serial");
    write_i64(member(certificate, "not_before"), out);
    write_i64(member(certificate, "not_after"), out);
    write_hex(member(certificate, "sha256"), out);
    write_u16(text_of(serial).len / 2, out);
    write_hex(serial, out);
}

/* ---- contexts ----------------------------------------------------------------------------- */

static void write_text_field(const cJSON *value, enum dk_field field, struct dk_writer *out) {
    if (value != NULL) {
        dk_record_field(out, field, text_of(value));
    }
}

static void write_record_field(const cJSON *value, enum dk_field field,
                               void (*write)(const cJSON *, struct dk_writer *),
                               struct dk_writer *out) {
    struct dk_writer record;
    if (value == NULL) {
        return;
    }
    dk_writer_init(&record, DK_CONTEXT_MAX);
    write(value, &record);
    dk_record_field(out, field, dk_writer_view(&record));
    out->failed |= record.failed;
    dk_writer_clean_up(&record);
}

static void write_forwarded(const cJSON *value, struct dk_writer *out) {
    write_u8(cJSON_IsTrue(value) ? 1 : 0, out);
}

static void write_fields(const cJSON *cluster, const cJSON *principal, const cJSON *client,
                         struct dk_writer *out) {
    const cJSON *certificate = member(principal, "certificate");
    dk_record_begin_context(out);
    write_record_field(certificate, DK_FIELD_LOCAL_CERTIFICATE, write_certificate, out);
    write_text_field(member(cluster, "id"), DK_FIELD_CLUSTER_ID, out);
    write_text_field(member(principal, "type"), DK_FIELD_PRINCIPAL_TYPE, out);
    write_text_field(member(principal, "name"), DK_FIELD_PRINCIPAL_NAME, out);
    write_record_field(member(principal, "subject"), DK_FIELD_SUBJECT, write_subject, out);
    write_record_field(certificate, DK_FIELD_CERTIFICATE, write_certificate, out);
    write_text_field(member(client, "listener"), DK_FIELD_LISTENER, out);
    write_record_field(member(client, "forwarded"), DK_FIELD_FORWARDED, write_forwarded, out);
    write_text_field(member(client, "protocol"), DK_FIELD_PROTOCOL, out);
    write_text_field(member(client, "address"), DK_FIELD_ADDRESS, out);
    write_text_field(member(client, "client_id"), DK_FIELD_CLIENT_ID, out);
    write_text_field(member(client, "api"), DK_FIELD_API, out);
}

/* Whether a record's JSON is what it was made of. */
static bool says(struct dk_bytes record, const cJSON *cluster, const cJSON *principal,
                 const cJSON *client) {
    struct dk_context context;
    struct dk_writer text;
    if (dk_context_parse(record, &context) != DK_OK) {
        return false;
    }
    dk_writer_init(&text, (size_t)16 * DK_CONTEXT_MAX);
    dk_question_write_head(context.fields[DK_FIELD_CLUSTER_ID], &text);
    dk_writer_text(&text, ",");
    dk_context_write_json(&context, &text);
    dk_writer_text(&text, "}}");
    struct dk_bytes view = dk_writer_view(&text);
    cJSON *whole = text.failed ? NULL : cJSON_ParseWithLength((const char *)view.ptr, view.len);
    const cJSON *input = member(whole, "input");
    bool same = input != NULL && cJSON_Compare(member(input, "cluster"), cluster, true) &&
                cJSON_Compare(member(input, "principal"), principal, true) &&
                cJSON_Compare(member(input, "client"), client, true);
    cJSON_Delete(whole);
    dk_writer_clean_up(&text);
    return same;
}

bool dk_bench_replay_write_context(const cJSON *cluster, const cJSON *principal,
                                   const cJSON *client, struct dk_writer *out) {
    size_t start = out->len;
    write_fields(cluster, principal, client, out);
    if (out->failed) {
        return false;
    }
    return says((struct dk_bytes){out->ptr + start, out->len - start}, cluster, principal, client);
}

/* ---- codes -------------------------------------------------------------------------------- */

static bool read_code(const cJSON *value, const char *(*name)(uint8_t, struct dk_code_name *),
                      uint8_t *out) {
    struct dk_code_name room;
    const char *text = cJSON_GetStringValue(value);
    for (unsigned code = 0; text != NULL && code <= UINT8_MAX; code++) {
        if (strcmp(text, name((uint8_t)code, &room)) == 0) {
            *out = (uint8_t)code;
            return true;
        }
    }
    return false;
}

bool dk_bench_replay_read_codes(const cJSON *operation, const cJSON *type, const cJSON *pattern,
                                struct dk_action_codes *out) {
    return read_code(operation, dk_operation_name, &out->operation) &&
           read_code(type, dk_resource_type_name, &out->type) &&
           read_code(pattern, dk_pattern_type_name, &out->pattern);
}
