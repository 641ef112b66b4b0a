/* SPDX-License-Identifier: Apache-2.0 */
#include "question_facts.h"

#include "json.h"

#include <string.h>

#define FACT_MAX ((size_t)1024 * 1024)
#define VALUES_MAX 100000u

void dk_question_facts_init(struct dk_question_facts *facts) {
    dk_writer_init(&facts->principal, FACT_MAX);
    dk_writer_init(&facts->operation, FACT_MAX);
    dk_writer_init(&facts->resource, FACT_MAX);
}

void dk_question_facts_clean_up(struct dk_question_facts *facts) {
    dk_writer_clean_up(&facts->principal);
    dk_writer_clean_up(&facts->operation);
    dk_writer_clean_up(&facts->resource);
}

static const cJSON *member(const cJSON *object, const char *name) {
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

static const char *text_of(const cJSON *object, const char *name) {
    return cJSON_GetStringValue(member(object, name));
}

static void write_pair(const char *type, const char *name, struct dk_writer *out) {
    dk_writer_text(out, type != NULL ? type : "");
    if (name != NULL) {
        dk_writer_text(out, type != NULL ? ":" : "");
        dk_writer_text(out, name);
    }
    if (out->len == 0) {
        dk_writer_text(out, "-");
    }
}

static void read_facts(struct dk_question_facts *facts, const cJSON *input) {
    const cJSON *action = member(input, "action");
    const cJSON *resource = member(action, "resource");
    const cJSON *principal = member(input, "principal");
    bool plugin = resource == NULL && member(action, "resourcePattern") != NULL;
    if (plugin) {
        resource = member(action, "resourcePattern");
        principal = member(member(input, "requestContext"), "principal");
    }
    const char *pattern = text_of(resource, plugin ? "patternType" : "pattern");
    write_pair(text_of(principal, plugin ? "principalType" : "type"), text_of(principal, "name"),
               &facts->principal);
    write_pair(text_of(action, "operation"), NULL, &facts->operation);
    write_pair(text_of(resource, plugin ? "resourceType" : "type"), text_of(resource, "name"),
               &facts->resource);
    if (pattern != NULL && strcmp(pattern, "PREFIXED") == 0) {
        dk_writer_text(&facts->resource, "*");
    }
}

void dk_question_facts_read(struct dk_question_facts *facts, struct dk_bytes input) {
    dk_writer_reset(&facts->principal);
    dk_writer_reset(&facts->operation);
    dk_writer_reset(&facts->resource);
    cJSON *json = dk_json_parse(input, VALUES_MAX, NULL);
    read_facts(facts, json);
    cJSON_Delete(json);
}

static bool matches(struct dk_bytes text, struct dk_bytes filter) {
    if (filter.len > 0 && filter.ptr[filter.len - 1] == '*') {
        filter.len--;
        return text.len >= filter.len &&
               (filter.len == 0 || memcmp(text.ptr, filter.ptr, filter.len) == 0);
    }
    return dk_bytes_equal(text, filter);
}

bool dk_question_facts_match(struct dk_bytes text, const char *filter) {
    const uint8_t *colon = text.len > 0 ? memchr(text.ptr, ':', text.len) : NULL;
    if (matches(text, dk_bytes_of(filter))) {
        return true;
    }
    if (colon == NULL) {
        return false;
    }
    size_t type_len = (size_t)(colon - text.ptr) + 1;
    return matches((struct dk_bytes){colon + 1, text.len - type_len}, dk_bytes_of(filter));
}
