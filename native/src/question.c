/* SPDX-License-Identifier: Apache-2.0 */
#include "doorkeeper/question.h"

#include "doorkeeper/identity.h"

#include <stdio.h>
#include <string.h>

#define CONTEXT_HEADER 8u
#define FIELD_HEADER 8u
/* Where the part of an action begins that belongs to the key. */
#define ACTION_HASHED_AT 8u
/* With fewer actions the lanes that stay empty cost more than those in use save. */
#define ACTIONS_WORTH_LANES 4u
#define ACTION_FLAGS_MASK ((uint64_t)(DK_LOG_IF_ALLOWED | DK_LOG_IF_DENIED))

static bool is_there(const struct dk_context *context, enum dk_field field) {
    return context->fields[field].ptr != NULL;
}

static bool is_valid_field(enum dk_field field, struct dk_bytes value) {
    switch (field) {
    case DK_FIELD_SUBJECT:
        return dk_subject_write_json(value, NULL) == DK_OK;
    case DK_FIELD_LOCAL_CERTIFICATE:
    case DK_FIELD_CERTIFICATE:
        return dk_certificate_write_json(value, NULL) == DK_OK;
    case DK_FIELD_FORWARDED:
        return value.len == 1 && value.ptr[0] <= 1;
    default:
        return dk_bytes_is_utf8(value);
    }
}

/* Takes one field off the front of `*rest`; its tag must be at least `*next_tag`. */
static enum dk_error take_field(struct dk_bytes *rest, unsigned *next_tag, struct dk_context *out) {
    if (rest->len < FIELD_HEADER) {
        return DK_ERR_MALFORMED;
    }
    unsigned tag = rest->ptr[0];
    size_t len = dk_read_u32(rest->ptr + 4);
    if (tag < *next_tag || tag >= DK_FIELD_COUNT) {
        return DK_ERR_MALFORMED;
    }
    if (rest->ptr[1] != 0 || dk_read_u16(rest->ptr + 2) != 0) {
        return DK_ERR_MALFORMED;
    }
    if (len > rest->len - FIELD_HEADER) {
        return DK_ERR_MALFORMED;
    }
    struct dk_bytes value = {rest->ptr + FIELD_HEADER, len};
    if (!is_valid_field((enum dk_field)tag, value)) {
        return DK_ERR_MALFORMED;
    }
    out->fields[tag] = value;
    *next_tag = tag + 1;
    rest->ptr += FIELD_HEADER + len;
    rest->len -= FIELD_HEADER + len;
    return DK_OK;
}

static enum dk_error parse_context(struct dk_bytes record, struct dk_context *out) {
    if (record.len > DK_CONTEXT_MAX) {
        return DK_ERR_TOO_LARGE;
    }
    if (record.len < CONTEXT_HEADER) {
        return DK_ERR_MALFORMED;
    }
    out->record = record;
    out->not_after_s = (int64_t)dk_read_u64(record.ptr);
    if (out->not_after_s < 0) {
        return DK_ERR_MALFORMED;
    }
    struct dk_bytes rest = {record.ptr + CONTEXT_HEADER, record.len - CONTEXT_HEADER};
    unsigned next_tag = 0;
    while (rest.len > 0) {
        enum dk_error error = take_field(&rest, &next_tag, out);
        if (error != DK_OK) {
            return error;
        }
    }
    if (!is_there(out, DK_FIELD_CLUSTER_ID) || !is_there(out, DK_FIELD_PRINCIPAL_TYPE) ||
        !is_there(out, DK_FIELD_PRINCIPAL_NAME)) {
        return DK_ERR_MALFORMED;
    }
    if (is_there(out, DK_FIELD_LISTENER) != is_there(out, DK_FIELD_FORWARDED)) {
        return DK_ERR_MALFORMED;
    }
    /* A policy and the deny list must not look at different certificates. */
    if (is_there(out, DK_FIELD_CERTIFICATE) &&
        !dk_bytes_equal(out->fields[DK_FIELD_CERTIFICATE],
                        out->fields[DK_FIELD_LOCAL_CERTIFICATE])) {
        return DK_ERR_MALFORMED;
    }
    return DK_OK;
}

enum dk_error dk_context_parse(struct dk_bytes record, struct dk_context *out) {
    memset(out, 0, sizeof(*out));
    enum dk_error error = parse_context(record, out);
    if (error != DK_OK) {
        memset(out, 0, sizeof(*out));
    }
    return error;
}

enum dk_error dk_action_parse_fast(struct dk_bytes *rest, struct dk_action *out) {
    if (rest->len < DK_ACTION_HEADER) {
        return DK_ERR_MALFORMED;
    }
    const uint8_t *ptr = rest->ptr;
    uint64_t unhashed = dk_read_u64(ptr);
    uint32_t name_len = dk_read_u32(ptr + 12);
    unsigned named = ptr[11];
    if (name_len > DK_NAME_MAX) {
        return DK_ERR_TOO_LARGE;
    }
    size_t padded_len = ((size_t)name_len + 7) & ~(size_t)7;
    if (padded_len > rest->len - DK_ACTION_HEADER) {
        return DK_ERR_MALFORMED;
    }
    /* One compare for unknown flags and the three zero bytes behind them. */
    if (((unhashed >> 32) & ~ACTION_FLAGS_MASK) != 0) {
        return DK_ERR_MALFORMED;
    }
    if (named > 1 || (named == 0 && name_len != 0)) {
        return DK_ERR_MALFORMED;
    }
    unsigned last_word_bytes = name_len & 7;
    if (last_word_bytes != 0) {
        uint64_t last_word = dk_read_u64(ptr + DK_ACTION_HEADER + padded_len - 8);
        if ((last_word >> (8 * last_word_bytes)) != 0) {
            return DK_ERR_MALFORMED;
        }
    }
    out->reference_count = (uint32_t)unhashed;
    out->flags = ptr[4];
    out->operation = ptr[8];
    out->type = ptr[9];
    out->pattern = ptr[10];
    out->named = named == 1;
    out->name = (struct dk_bytes){ptr + DK_ACTION_HEADER, name_len};
    out->hashed =
        (struct dk_bytes){ptr + ACTION_HASHED_AT, DK_ACTION_HEADER - ACTION_HASHED_AT + padded_len};
    rest->ptr += DK_ACTION_HEADER + padded_len;
    rest->len -= DK_ACTION_HEADER + padded_len;
    return DK_OK;
}

enum dk_error dk_action_parse(struct dk_bytes *rest, struct dk_action *out) {
    struct dk_bytes after = *rest;
    enum dk_error error = dk_action_parse_fast(&after, out);
    if (error != DK_OK) {
        return error;
    }
    if (!dk_bytes_is_utf8(out->name)) {
        return DK_ERR_MALFORMED;
    }
    *rest = after;
    return DK_OK;
}

struct dk_bytes dk_context_hashed(const struct dk_context *context) {
    size_t unhashed = CONTEXT_HEADER;
    if (is_there(context, DK_FIELD_LOCAL_CERTIFICATE)) {
        unhashed += FIELD_HEADER + context->fields[DK_FIELD_LOCAL_CERTIFICATE].len;
    }
    if (context->record.len < unhashed) {
        return (struct dk_bytes){NULL, 0};
    }
    return (struct dk_bytes){context->record.ptr + unhashed, context->record.len - unhashed};
}

void dk_context_write_asked(const struct dk_context *context, struct dk_writer *out) {
    static const uint8_t no_end[CONTEXT_HEADER];
    struct dk_bytes certificate = context->fields[DK_FIELD_CERTIFICATE];
    dk_writer_bytes(out, (struct dk_bytes){no_end, sizeof(no_end)});
    if (is_there(context, DK_FIELD_CERTIFICATE)) {
        uint8_t header[FIELD_HEADER] = {DK_FIELD_LOCAL_CERTIFICATE};
        dk_write_u32(header + 4, (uint32_t)certificate.len);
        dk_writer_bytes(out, (struct dk_bytes){header, sizeof(header)});
        dk_writer_bytes(out, certificate);
    }
    dk_writer_bytes(out, dk_context_hashed(context));
}

bool dk_context_is_principal(const struct dk_context *context, struct dk_bytes principal) {
    struct dk_bytes type = context->fields[DK_FIELD_PRINCIPAL_TYPE];
    struct dk_bytes name = context->fields[DK_FIELD_PRINCIPAL_NAME];
    if (principal.len != type.len + 1 + name.len) {
        return false;
    }
    const uint8_t *colon = memchr(principal.ptr, ':', principal.len);
    return colon == principal.ptr + type.len &&
           dk_bytes_equal((struct dk_bytes){principal.ptr, type.len}, type) &&
           dk_bytes_equal((struct dk_bytes){colon + 1, name.len}, name);
}

void dk_question_begin(const struct dk_hash_key *key, const struct dk_context *context,
                       struct dk_keyed_hash *out) {
    dk_keyed_hash_init(out, key);
    dk_keyed_hash_part(out, dk_context_hashed(context));
}

struct dk_hash128 dk_question_key(const struct dk_keyed_hash *begun, const struct dk_action *action,
                                  uint64_t epoch) {
    /* No frame around the action: its first word holds the length of its name. */
    struct dk_keyed_hash state = *begun;
    dk_keyed_hash_words(&state, action->hashed.ptr, action->hashed.len);
    dk_keyed_hash_word(&state, epoch);
    return dk_keyed_hash_finish(&state);
}

void dk_question_keys(const struct dk_keyed_hash *begun, const struct dk_action *actions,
                      size_t count, uint64_t epoch, struct dk_hash128 keys[DK_HASH_LANES]) {
    if (count < ACTIONS_WORTH_LANES) {
        for (size_t i = 0; i < count; i++) {
            keys[i] = dk_question_key(begun, &actions[i], epoch);
        }
        return;
    }
    struct dk_bytes hashed[DK_HASH_LANES];
    for (size_t i = 0; i < count; i++) {
        hashed[i] = actions[i].hashed;
    }
    dk_keyed_hash_lanes(begun, hashed, count, epoch, keys);
}

static const char *const operation_names[] = {
    "UNKNOWN",
    "ANY",
    "ALL",
    "READ",
    "WRITE",
    "CREATE",
    "DELETE",
    "ALTER",
    "DESCRIBE",
    "CLUSTER_ACTION",
    "DESCRIBE_CONFIGS",
    "ALTER_CONFIGS",
    "IDEMPOTENT_WRITE",
    "CREATE_TOKENS",
    "DESCRIBE_TOKENS",
    "TWO_PHASE_COMMIT",
};
static const char *const resource_type_names[] = {
    "UNKNOWN", "ANY", "TOPIC", "GROUP", "CLUSTER", "TRANSACTIONAL_ID", "DELEGATION_TOKEN", "USER",
};
static const char *const pattern_type_names[] = {"UNKNOWN", "ANY", "MATCH", "LITERAL", "PREFIXED"};

static const char *code_name(const char *const *names, size_t count, uint8_t code,
                             struct dk_code_name *room) {
    if (code < count) {
        return names[code];
    }
    int written = snprintf(room->text, sizeof(room->text), "UNKNOWN_%u", (unsigned)code);
    return written > 0 ? room->text : "UNKNOWN";
}

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

const char *dk_operation_name(uint8_t code, struct dk_code_name *room) {
    return code_name(operation_names, COUNT_OF(operation_names), code, room);
}

const char *dk_resource_type_name(uint8_t code, struct dk_code_name *room) {
    return code_name(resource_type_names, COUNT_OF(resource_type_names), code, room);
}

const char *dk_pattern_type_name(uint8_t code, struct dk_code_name *room) {
    return code_name(pattern_type_names, COUNT_OF(pattern_type_names), code, room);
}

static void write_principal(const struct dk_context *context, struct dk_writer *out) {
    dk_writer_text(out, "{\"type\":");
    dk_writer_json_string(out, context->fields[DK_FIELD_PRINCIPAL_TYPE]);
    dk_writer_text(out, ",\"name\":");
    dk_writer_json_string(out, context->fields[DK_FIELD_PRINCIPAL_NAME]);
    if (is_there(context, DK_FIELD_SUBJECT)) {
        dk_writer_text(out, ",\"subject\":");
        if (dk_subject_write_json(context->fields[DK_FIELD_SUBJECT], out) != DK_OK) {
            out->failed = true;
        }
    }
    if (is_there(context, DK_FIELD_CERTIFICATE)) {
        dk_writer_text(out, ",\"certificate\":");
        if (dk_certificate_write_json(context->fields[DK_FIELD_CERTIFICATE], out) != DK_OK) {
            out->failed = true;
        }
    }
    dk_writer_text(out, "}");
}

static void write_client(const struct dk_context *context, struct dk_writer *out) {
    static const struct {
        enum dk_field field;
        const char *member;
    } members[] = {
        {DK_FIELD_LISTENER, "\"listener\":"},   {DK_FIELD_FORWARDED, "\"forwarded\":"},
        {DK_FIELD_PROTOCOL, "\"protocol\":"},   {DK_FIELD_ADDRESS, "\"address\":"},
        {DK_FIELD_CLIENT_ID, "\"client_id\":"}, {DK_FIELD_API, "\"api\":"},
    };
    const char *separator = "{";
    for (size_t i = 0; i < COUNT_OF(members); i++) {
        if (!is_there(context, members[i].field)) {
            continue;
        }
        struct dk_bytes value = context->fields[members[i].field];
        dk_writer_text(out, separator);
        dk_writer_text(out, members[i].member);
        if (members[i].field == DK_FIELD_FORWARDED) {
            dk_writer_text(out, value.ptr[0] == 1 ? "true" : "false");
        } else {
            dk_writer_json_string(out, value);
        }
        separator = ",";
    }
    dk_writer_text(out, separator[0] == '{' ? "{}" : "}");
}

void dk_context_write_json(const struct dk_context *context, struct dk_writer *out) {
    dk_writer_text(out, "\"principal\":");
    write_principal(context, out);
    dk_writer_text(out, ",\"client\":");
    write_client(context, out);
}

void dk_question_write_head(struct dk_bytes cluster_id, struct dk_writer *out) {
    dk_writer_text(out, "{\"input\":{\"version\":1,\"cluster\":{\"id\":");
    dk_writer_json_string(out, cluster_id);
    dk_writer_text(out, "}");
}

void dk_question_write_single(const struct dk_context *context, const struct dk_action *action,
                              struct dk_writer *out) {
    struct dk_code_name room;
    dk_question_write_head(context->fields[DK_FIELD_CLUSTER_ID], out);
    dk_writer_text(out, ",");
    dk_context_write_json(context, out);
    /* The names of codes are ours and need no escaping. */
    dk_writer_text(out, ",\"action\":{\"operation\":\"");
    dk_writer_text(out, dk_operation_name(action->operation, &room));
    dk_writer_text(out, "\",\"resource\":{\"type\":\"");
    dk_writer_text(out, dk_resource_type_name(action->type, &room));
    if (action->named) {
        dk_writer_text(out, "\",\"name\":");
        dk_writer_json_string(out, action->name);
        dk_writer_text(out, ",\"pattern\":\"");
    } else {
        dk_writer_text(out, "\",\"pattern\":\"");
    }
    dk_writer_text(out, dk_pattern_type_name(action->pattern, &room));
    dk_writer_text(out, "\"}}}}");
}
