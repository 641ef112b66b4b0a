/* SPDX-License-Identifier: Apache-2.0 */
#include "question_json.h"

#include "doorkeeper/identity.h"

#include <stdlib.h>
#include <string.h>

static const cJSON *member(const cJSON *object, const char *name) {
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

static const char *text_of(const cJSON *object, const char *name) {
    return cJSON_GetStringValue(member(object, name));
}

static void write_u8(struct dk_writer *out, size_t value) {
    uint8_t byte = (uint8_t)value;
    out->failed |= value > UINT8_MAX;
    dk_writer_bytes(out, (struct dk_bytes){&byte, 1});
}

static void write_u16(struct dk_writer *out, size_t value) {
    uint8_t bytes[2];
    out->failed |= value > UINT16_MAX;
    dk_write_u16(bytes, (uint16_t)value);
    dk_writer_bytes(out, (struct dk_bytes){bytes, sizeof(bytes)});
}

static void write_i64(struct dk_writer *out, int64_t value) {
    uint8_t bytes[8];
    dk_write_u64(bytes, (uint64_t)value);
    dk_writer_bytes(out, (struct dk_bytes){bytes, sizeof(bytes)});
}

static void write_text16(struct dk_writer *out, const char *text) {
    struct dk_bytes bytes = dk_bytes_of(text);
    out->failed |= text == NULL;
    write_u16(out, bytes.len);
    dk_writer_bytes(out, bytes);
}

/* ---- facts of a certificate -------------------------------------------------------------- */

static size_t size_of(const cJSON *array) {
    return cJSON_IsArray(array) ? (size_t)cJSON_GetArraySize(array) : 0;
}

static void write_name(const cJSON *name, struct dk_writer *out) {
    const cJSON *rdn = NULL;
    write_u16(out, size_of(name));
    cJSON_ArrayForEach(rdn, name) {
        const cJSON *attribute = NULL;
        write_u8(out, size_of(rdn));
        cJSON_ArrayForEach(attribute, rdn) {
            write_text16(out, text_of(attribute, "type"));
            write_text16(out, text_of(attribute, "value"));
        }
    }
}

static void write_sans(const cJSON *san, struct dk_writer *out) {
    static const char *const kinds[] = {"dns", "uri", "email", "ip"};
    size_t count = 0;
    for (size_t kind = 0; kind < 4; kind++) {
        count += size_of(member(san, kinds[kind]));
    }
    write_u16(out, count);
    for (size_t kind = 0; kind < 4; kind++) {
        const cJSON *one = NULL;
        cJSON_ArrayForEach(one, member(san, kinds[kind])) {
            write_u8(out, DK_SAN_DNS + kind);
            write_text16(out, cJSON_GetStringValue(one));
        }
    }
}

static void write_subject(const cJSON *subject, struct dk_writer *out) {
    write_name(member(subject, "rdns"), out);
    write_name(member(subject, "issuer"), out);
    write_sans(member(subject, "san"), out);
}

static int hex_digit(char digit) {
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

static void write_hex(const char *text, struct dk_writer *out) {
    size_t len = text != NULL ? strlen(text) : 1;
    out->failed |= len % 2 != 0;
    for (size_t i = 0; i + 1 < len; i += 2) {
        int high = hex_digit(text[i]), low = hex_digit(text[i + 1]);
        out->failed |= high < 0 || low < 0;
        write_u8(out, ((size_t)high << 4 | (size_t)low) & 0xff);
    }
}

static void write_seconds(const cJSON *seconds, struct dk_writer *out) {
    const double exact_up_to = 9007199254740992.0;
    double value = cJSON_IsNumber(seconds) ? seconds->valuedouble : 2 * exact_up_to;
    out->failed |= !(value >= -exact_up_to && value <= exact_up_to);
    write_i64(out, out->failed ? 0 : (int64_t)value);
}

static void write_certificate(const cJSON *certificate, struct dk_writer *out) {
    const char *serial = text_of(certificate, "serial");
    write_seconds(member(certificate, "not_before"), out);
    write_seconds(member(certificate, "not_after"), out);
    write_hex(text_of(certificate, "sha256"), out);
    write_u16(out, serial != NULL ? strlen(serial) / 2 : 0);
    write_hex(serial, out);
}

/* ---- the context ------------------------------------------------------------------------- */

/* A field that is JSON text, if it is there. */
static void write_text_field(enum dk_field field, const char *text, struct dk_writer *out) {
    if (text != NULL) {
        dk_record_field(out, field, dk_bytes_of(text));
    }
}

typedef void write_facts(const cJSON *json, struct dk_writer *out);

static void write_facts_field(enum dk_field field, const cJSON *json, write_facts *write,
                              struct dk_writer *out) {
    struct dk_writer facts;
    if (json == NULL) {
        return;
    }
    dk_writer_init(&facts, DK_SUBJECT_MAX);
    write(json, &facts);
    out->failed |= facts.failed;
    dk_record_field(out, field, dk_writer_view(&facts));
    dk_writer_clean_up(&facts);
}

static void write_context(const cJSON *cluster, const cJSON *principal, const cJSON *client,
                          struct dk_writer *out) {
    const cJSON *certificate = member(principal, "certificate");
    const cJSON *forwarded = member(client, "forwarded");
    dk_record_begin_context(out, 0);
    write_facts_field(DK_FIELD_LOCAL_CERTIFICATE, certificate, write_certificate, out);
    write_text_field(DK_FIELD_CLUSTER_ID, text_of(cluster, "id"), out);
    write_text_field(DK_FIELD_PRINCIPAL_TYPE, text_of(principal, "type"), out);
    write_text_field(DK_FIELD_PRINCIPAL_NAME, text_of(principal, "name"), out);
    write_facts_field(DK_FIELD_SUBJECT, member(principal, "subject"), write_subject, out);
    write_facts_field(DK_FIELD_CERTIFICATE, certificate, write_certificate, out);
    write_text_field(DK_FIELD_LISTENER, text_of(client, "listener"), out);
    if (forwarded != NULL) {
        uint8_t flag = cJSON_IsTrue(forwarded) ? 1 : 0;
        dk_record_field(out, DK_FIELD_FORWARDED, (struct dk_bytes){&flag, 1});
    }
    write_text_field(DK_FIELD_PROTOCOL, text_of(client, "protocol"), out);
    write_text_field(DK_FIELD_ADDRESS, text_of(client, "address"), out);
    write_text_field(DK_FIELD_CLIENT_ID, text_of(client, "client_id"), out);
    write_text_field(DK_FIELD_API, text_of(client, "api"), out);
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
    cJSON *again = text.failed ? NULL : cJSON_ParseWithLength((const char *)text.ptr, text.len);
    const cJSON *input = member(again, "input");
    bool same = input != NULL && cJSON_Compare(member(input, "cluster"), cluster, true) &&
                cJSON_Compare(member(input, "principal"), principal, true) &&
                cJSON_Compare(member(input, "client"), client, true);
    cJSON_Delete(again);
    dk_writer_clean_up(&text);
    return same;
}

bool dk_question_read_context(const cJSON *cluster, const cJSON *principal, const cJSON *client,
                              struct dk_writer *out) {
    size_t start = out->len;
    write_context(cluster, principal, client, out);
    return !out->failed &&
           says((struct dk_bytes){out->ptr + start, out->len - start}, cluster, principal, client);
}

/* ---- the action -------------------------------------------------------------------------- */

typedef const char *code_name(uint8_t code, struct dk_code_name *room);

static bool find_code(const char *name, code_name *name_of, uint8_t *code) {
    for (unsigned i = 0; name != NULL && i <= UINT8_MAX; i++) {
        struct dk_code_name room;
        if (strcmp(name, name_of((uint8_t)i, &room)) == 0) {
            *code = (uint8_t)i;
            return true;
        }
    }
    return false;
}

bool dk_question_codes(const char *operation, const char *type, const char *pattern,
                       struct dk_action_codes *out) {
    return find_code(operation, dk_operation_name, &out->operation) &&
           find_code(type, dk_resource_type_name, &out->type) &&
           find_code(pattern, dk_pattern_type_name, &out->pattern);
}

/* ---- the whole question ------------------------------------------------------------------ */

static bool is_poll(const cJSON *input) {
    const cJSON *requests = member(input, "requests");
    const cJSON *version = member(input, "version");
    bool batch = cJSON_IsArray(requests) && cJSON_GetArraySize(requests) == 0;
    return cJSON_GetArraySize(input) == (batch ? 3 : 2) && cJSON_IsNumber(version) &&
           version->valuedouble == 1 && cJSON_IsString(member(member(input, "cluster"), "id"));
}

static bool write_records(const cJSON *input, struct dk_writer *context, struct dk_writer *action) {
    const cJSON *asked = member(input, "action");
    const cJSON *resource = member(asked, "resource");
    struct dk_action_codes codes;
    if (!dk_question_codes(text_of(asked, "operation"), text_of(resource, "type"),
                           text_of(resource, "pattern"), &codes)) {
        return false;
    }
    write_context(member(input, "cluster"), member(input, "principal"), member(input, "client"),
                  context);
    dk_record_action(action, codes, dk_bytes_of(text_of(resource, "name")));
    return !context->failed && !action->failed;
}

/* Whether the records say what `input` says, no less and no more. */
static bool is_the_same(const cJSON *input, const struct dk_writer *context,
                        const struct dk_writer *action) {
    struct dk_context parsed_context;
    struct dk_action parsed_action;
    struct dk_bytes rest = dk_writer_view(action);
    struct dk_writer text;
    if (dk_context_parse(dk_writer_view(context), &parsed_context) != DK_OK ||
        dk_action_parse(&rest, &parsed_action) != DK_OK) {
        return false;
    }
    dk_writer_init(&text, 6 * (DK_CONTEXT_MAX + DK_NAME_MAX));
    dk_question_write_single(&parsed_context, &parsed_action, &text);
    cJSON *again = text.failed ? NULL : cJSON_ParseWithLength((const char *)text.ptr, text.len);
    bool same = again != NULL && cJSON_Compare(member(again, "input"), input, true);
    cJSON_Delete(again);
    dk_writer_clean_up(&text);
    return same;
}

enum dk_question_form dk_question_read_single(const cJSON *input, struct dk_writer *context,
                                              struct dk_writer *action) {
    dk_writer_reset(context);
    dk_writer_reset(action);
    if (!cJSON_IsObject(input)) {
        return DK_FORM_OTHER;
    }
    if (is_poll(input)) {
        return DK_FORM_POLL;
    }
    return write_records(input, context, action) && is_the_same(input, context, action)
               ? DK_FORM_QUESTION
               : DK_FORM_OTHER;
}
