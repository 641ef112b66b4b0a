/* SPDX-License-Identifier: Apache-2.0 */
#include "doorkeeper/deny_list.h"

#include "doorkeeper/identity.h"
#include "json.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* More than an entry has members, so that who writes too many entries is told just that. */
#define VALUES_MAX ((size_t)16 * DK_DENY_ENTRIES_MAX)
#define MEMBER_SHOWN 60
/* Of Kafka's codes. Those below stand for no operation or type that is ever asked for. */
#define FIRST_OPERATION 3u
#define FIRST_TYPE 2u

struct dk_deny_list {
    _Atomic size_t references;
    cJSON *root; /* its texts are the entries' */
    size_t count;
    struct dk_deny_entry entries[];
};

/* ---- members ----------------------------------------------------------------------------- */

/* True if `text` is right. It lives as long as the list and may be changed. */
typedef bool read_member(char *text, struct dk_deny_entry *entry);

static bool read_principal(char *text, struct dk_deny_entry *entry) {
    const char *colon = strchr(text, ':');
    entry->principal = dk_bytes_of(text);
    return colon != NULL && colon > text && colon[1] != '\0' && strcmp(colon, ":*") != 0;
}

static int hex_digit(char digit) {
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    if (digit >= 'a' && digit <= 'f') {
        return digit - 'a' + 10;
    }
    return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

/* Pairs of digits, with or without colons in between, to bytes in the text's own place. */
static bool read_hex(char *text, struct dk_bytes *out) {
    uint8_t *room = (uint8_t *)text;
    size_t len = 0;
    for (size_t at = 0; text[at] != '\0'; at += 2) {
        at += len > 0 && text[at] == ':';
        int high = hex_digit(text[at]);
        int low = high < 0 ? -1 : hex_digit(text[at + 1]);
        if (low < 0) {
            return false;
        }
        room[len++] = (uint8_t)(high << 4 | low);
    }
    *out = (struct dk_bytes){room, len};
    return len > 0;
}

static bool read_sha256(char *text, struct dk_deny_entry *entry) {
    return read_hex(text, &entry->sha256) && entry->sha256.len == DK_SHA256_LEN;
}

static struct dk_bytes without_zeros(struct dk_bytes number) {
    while (number.len > 0 && number.ptr[0] == 0) {
        number.ptr++;
        number.len--;
    }
    return number;
}

static bool read_serial(char *text, struct dk_deny_entry *entry) {
    bool ok = read_hex(text, &entry->serial);
    entry->serial = without_zeros(entry->serial);
    return ok;
}

typedef const char *code_name(uint8_t code, struct dk_code_name *room);

/* 0 if no code from `first` on is called so. */
static uint8_t find_code(code_name *name_of, unsigned first, const char *name) {
    struct dk_code_name room;
    for (unsigned code = first; code <= UINT8_MAX; code++) {
        if (strcmp(name_of((uint8_t)code, &room), name) == 0) {
            return (uint8_t)code;
        }
    }
    return 0;
}

static bool read_operation(char *text, struct dk_deny_entry *entry) {
    entry->operation = find_code(dk_operation_name, FIRST_OPERATION, text);
    return entry->operation != 0;
}

static bool read_type(char *text, struct dk_deny_entry *entry) {
    entry->type = find_code(dk_resource_type_name, FIRST_TYPE, text);
    return entry->type != 0;
}

static bool read_name(char *text, struct dk_deny_entry *entry) {
    entry->name = dk_bytes_of(text);
    return strcmp(text, "*") != 0;
}

static bool read_reason(char *text, struct dk_deny_entry *entry) {
    entry->reason = text;
    return true;
}

enum { MEMBER_COUNT = 7, MEMBER_REASON = MEMBER_COUNT - 1 };

static const struct {
    const char *name;
    read_member *read;
    const char *expected;
} members[MEMBER_COUNT] = {
    {"principal", read_principal, "\"Type:name\", as in \"User:alice\"; there is no wildcard"},
    {"certificate_sha256", read_sha256, "64 hex digits, with or without colons between pairs"},
    {"serial", read_serial, "pairs of hex digits, with or without colons in between"},
    {"operation", read_operation,
     "READ, WRITE, CREATE, DELETE, ALTER, DESCRIBE, CLUSTER_ACTION, DESCRIBE_CONFIGS, "
     "ALTER_CONFIGS, IDEMPOTENT_WRITE, CREATE_TOKENS, DESCRIBE_TOKENS or TWO_PHASE_COMMIT; without "
     "the member all fit"},
    {"type", read_type,
     "TOPIC, GROUP, CLUSTER, TRANSACTIONAL_ID, DELEGATION_TOKEN or USER; without the member all "
     "fit"},
    {"name", read_name, "a whole name; there is no wildcard, without the member all fit"},
    [MEMBER_REASON] = {"reason", read_reason, "a text"},
};

static size_t find_member(const char *name) {
    size_t found = 0;
    while (found < MEMBER_COUNT && strcmp(members[found].name, name) != 0) {
        found++;
    }
    return found;
}

/* ---- entries ----------------------------------------------------------------------------- */

static enum dk_error parse_member(const cJSON *member, unsigned *there, struct dk_deny_entry *out,
                                  struct dk_error_text *why) {
    size_t index = find_member(member->string);
    if (index == MEMBER_COUNT) {
        char shown[MEMBER_SHOWN];
        size_t len = dk_bytes_escape(dk_bytes_of(member->string), shown, sizeof(shown));
        return dk_fail(why, DK_ERR_MALFORMED,
                       "there is no member \"%.*s\"; expected principal, certificate_sha256, "
                       "serial, operation, type, name or reason",
                       (int)len, shown);
    }
    if ((*there & 1u << index) != 0) {
        return dk_fail(why, DK_ERR_MALFORMED, "%s stands there twice", members[index].name);
    }
    *there |= 1u << index;
    if (!cJSON_IsString(member) || !members[index].read(member->valuestring, out)) {
        return dk_fail(why, DK_ERR_MALFORMED, "%s: expected %s", members[index].name,
                       members[index].expected);
    }
    return DK_OK;
}

static enum dk_error parse_entry(const cJSON *object, struct dk_deny_entry *out,
                                 struct dk_error_text *why) {
    const cJSON *member = NULL;
    unsigned there = 0;
    out->reason = "";
    if (!cJSON_IsObject(object)) {
        return dk_fail(why, DK_ERR_MALFORMED,
                       "expected an object, as in {\"principal\": \"User:alice\"}");
    }
    cJSON_ArrayForEach(member, object) {
        enum dk_error error = parse_member(member, &there, out, why);
        if (error != DK_OK) {
            return error;
        }
    }
    if ((there & ~(1u << MEMBER_REASON)) == 0) {
        return dk_fail(why, DK_ERR_MALFORMED,
                       "it would deny everything to everybody; expected a member besides reason");
    }
    return DK_OK;
}

static size_t line_of(struct dk_bytes text, size_t at) {
    size_t line = 1;
    for (size_t i = 0; i < at && i < text.len; i++) {
        line += text.ptr[i] == '\n';
    }
    return line;
}

static enum dk_error parse_entries(struct dk_bytes text, const cJSON *array,
                                   struct dk_deny_list *list, struct dk_error_text *why) {
    const cJSON *object = NULL;
    cJSON_ArrayForEach(object, array) {
        struct dk_error_text cause = {""};
        enum dk_error error = parse_entry(object, &list->entries[list->count], &cause);
        if (error != DK_OK) {
            return dk_fail(why, error, "line %zu, entry %zu: %s",
                           line_of(text, dk_json_element(text, list->count)), list->count + 1,
                           cause.text);
        }
        list->count++;
    }
    return DK_OK;
}

/* The array of entries, and how many they are. */
static enum dk_error find_entries(const cJSON *root, const cJSON **array, size_t *count,
                                  struct dk_error_text *why) {
    const cJSON *only = cJSON_IsObject(root) ? root->child : NULL;
    if (only == NULL || only->next != NULL || strcmp(only->string, "deny") != 0 ||
        !cJSON_IsArray(only)) {
        return dk_fail(why, DK_ERR_MALFORMED,
                       "line 1: expected {\"deny\": [ entries ]} and nothing beside it");
    }
    *array = only;
    *count = (size_t)cJSON_GetArraySize(only);
    if (*count > DK_DENY_ENTRIES_MAX) {
        return dk_fail(why, DK_ERR_TOO_LARGE, "%zu entries; expected at most %u", *count,
                       DK_DENY_ENTRIES_MAX);
    }
    return DK_OK;
}

static struct dk_deny_list *new_list(size_t count) {
    struct dk_deny_list *list = calloc(1, sizeof(*list) + count * sizeof(list->entries[0]));
    if (list != NULL) {
        atomic_init(&list->references, 1);
    }
    return list;
}

enum dk_error dk_deny_list_parse(struct dk_bytes text, struct dk_deny_list **out,
                                 struct dk_error_text *why) {
    size_t at;
    size_t count = 0;
    const cJSON *array = NULL;
    *out = NULL;
    cJSON *root = dk_json_parse(text, VALUES_MAX, &at);
    if (root == NULL) {
        return dk_fail(why, DK_ERR_MALFORMED, "line %zu: not JSON from here on", line_of(text, at));
    }
    enum dk_error error = find_entries(root, &array, &count, why);
    struct dk_deny_list *list = error == DK_OK ? new_list(count) : NULL;
    if (list == NULL) {
        cJSON_Delete(root);
        return error != DK_OK ? error
                              : dk_fail(why, DK_ERR_MEMORY, "%s", dk_strerror(DK_ERR_MEMORY));
    }
    list->root = root;
    error = parse_entries(text, array, list, why);
    if (error != DK_OK) {
        dk_deny_list_release(list);
        return error;
    }
    *out = list;
    return DK_OK;
}

/* ---- a list ------------------------------------------------------------------------------ */

void dk_deny_list_keep(struct dk_deny_list *list) {
    /* Whoever keeps a list has it from somebody who holds it. */
    atomic_fetch_add_explicit(&list->references, 1, memory_order_relaxed);
}

void dk_deny_list_release(struct dk_deny_list *list) {
    if (list != NULL &&
        atomic_fetch_sub_explicit(&list->references, 1, memory_order_acq_rel) == 1) {
        cJSON_Delete(list->root);
        free(list);
    }
}

size_t dk_deny_list_count(const struct dk_deny_list *list) {
    return list->count;
}

static bool fits_certificate(const struct dk_deny_entry *entry,
                             const struct dk_certificate_id *certificate) {
    if (entry->sha256.ptr != NULL && !dk_bytes_equal(entry->sha256, certificate->sha256)) {
        return false;
    }
    return entry->serial.ptr == NULL ||
           (certificate->serial.ptr != NULL &&
            dk_bytes_equal(entry->serial, without_zeros(certificate->serial)));
}

const struct dk_deny_entry *dk_deny_list_next(const struct dk_deny_list *list,
                                              const struct dk_context *context, size_t *at) {
    struct dk_certificate_id certificate =
        dk_certificate_id_of(context->fields[DK_FIELD_LOCAL_CERTIFICATE]);
    while (list != NULL && *at < list->count) {
        const struct dk_deny_entry *entry = &list->entries[(*at)++];
        if (fits_certificate(entry, &certificate) &&
            (entry->principal.ptr == NULL || dk_context_is_principal(context, entry->principal))) {
            return entry;
        }
    }
    return NULL;
}

bool dk_deny_entry_fits(const struct dk_deny_entry *entry, const struct dk_action *action) {
    if (entry->operation != 0 && entry->operation != action->operation) {
        return false;
    }
    if (entry->type != 0 && entry->type != action->type) {
        return false;
    }
    return entry->name.ptr == NULL || (action->named && dk_bytes_equal(entry->name, action->name));
}
