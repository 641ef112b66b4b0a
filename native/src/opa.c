/* SPDX-License-Identifier: Apache-2.0 */
#include "doorkeeper/opa.h"

#include "json.h"

#include <openssl/evp.h>
#include <openssl/sha.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Room for provenance and the like beside the three lists of a question's answer. */
#define SPARE_VALUES 4096u
#define REVISION_TEXT_MAX (1024u * 1024u)

/* ---- questions to JSON ------------------------------------------------------------------- */

static int compare_bytes(struct dk_bytes a, struct dk_bytes b) {
    size_t shorter = a.len < b.len ? a.len : b.len;
    int order = shorter == 0 || a.ptr == b.ptr ? 0 : memcmp(a.ptr, b.ptr, shorter);
    if (order != 0) {
        return order;
    }
    return (a.len > b.len) - (a.len < b.len);
}

static int compare_contexts(const struct dk_context *a, const struct dk_context *b) {
    return a == b ? 0 : compare_bytes(dk_context_hashed(a), dk_context_hashed(b));
}

static int compare_questions(const void *left, const void *right) {
    const struct dk_opa_question *a = left;
    const struct dk_opa_question *b = right;
    int order = compare_contexts(a->context, b->context);
    return order != 0 ? order : compare_bytes(a->action->hashed, b->action->hashed);
}

/* One past the last question of the request that begins at `start`. */
static size_t request_end(const struct dk_opa_question *questions, size_t start, size_t count) {
    size_t end = start + 1;
    while (end < count && compare_contexts(questions[start].context, questions[end].context) == 0) {
        end++;
    }
    return end;
}

/* One past the last question of the ask that begins at `start`, within a request. An ask without
 * a name can carry just one question. */
static size_t ask_end(const struct dk_opa_question *questions, size_t start,
                      size_t end_of_request) {
    const struct dk_action *first = questions[start].action;
    size_t end = start + 1;
    while (first->named && end < end_of_request) {
        const struct dk_action *next = questions[end].action;
        if (next->operation != first->operation || next->type != first->type ||
            next->pattern != first->pattern || !next->named) {
            break;
        }
        end++;
    }
    return end;
}

static void write_ask(const struct dk_opa_question *questions, size_t start, size_t end,
                      struct dk_writer *out) {
    const struct dk_action *first = questions[start].action;
    struct dk_code_name room;
    dk_writer_text(out, "{\"operation\":\"");
    dk_writer_text(out, dk_operation_name(first->operation, &room));
    dk_writer_text(out, "\",\"type\":\"");
    dk_writer_text(out, dk_resource_type_name(first->type, &room));
    dk_writer_text(out, "\",\"pattern\":\"");
    dk_writer_text(out, dk_pattern_type_name(first->pattern, &room));
    if (!first->named) {
        dk_writer_text(out, "\"}");
        return;
    }
    dk_writer_text(out, "\",\"names\":[");
    for (size_t i = start; i < end; i++) {
        dk_writer_text(out, i > start ? "," : "");
        dk_writer_json_string(out, questions[i].action->name);
    }
    dk_writer_text(out, "]}");
}

static void write_request(const struct dk_opa_question *questions, size_t start, size_t end,
                          struct dk_writer *out) {
    dk_writer_text(out, "{");
    dk_context_write_json(questions[start].context, out);
    dk_writer_text(out, ",\"asks\":[");
    for (size_t ask = start; ask < end;) {
        size_t next = ask_end(questions, ask, end);
        dk_writer_text(out, ask > start ? "," : "");
        write_ask(questions, ask, next, out);
        ask = next;
    }
    dk_writer_text(out, "]}");
}

void dk_opa_write_batch(struct dk_bytes cluster_id, struct dk_opa_question *questions, size_t count,
                        struct dk_writer *out) {
    if (count > 0) {
        qsort(questions, count, sizeof(questions[0]), compare_questions);
        cluster_id = questions[0].context->fields[DK_FIELD_CLUSTER_ID];
    }
    dk_question_write_head(cluster_id, out);
    dk_writer_text(out, ",\"requests\":[");
    for (size_t start = 0; start < count;) {
        const struct dk_context *context = questions[start].context;
        if (!dk_bytes_equal(context->fields[DK_FIELD_CLUSTER_ID], cluster_id)) {
            out->failed = true;
            return;
        }
        size_t end = request_end(questions, start, count);
        dk_writer_text(out, start > 0 ? "," : "");
        write_request(questions, start, end, out);
        start = end;
    }
    dk_writer_text(out, "]}}");
}

void dk_opa_write_single_poll(struct dk_bytes cluster_id, struct dk_writer *out) {
    dk_question_write_head(cluster_id, out);
    dk_writer_text(out, "}}");
}

/* ---- members ----------------------------------------------------------------------------- */

/* The first member called `name` from `member` on, NULL if there is none. */
static const cJSON *find_from(const cJSON *member, const char *name) {
    while (member != NULL && (member->string == NULL || strcmp(member->string, name) != 0)) {
        member = member->next;
    }
    return member;
}

static const cJSON *find_member(const cJSON *object, const char *name) {
    return object != NULL && cJSON_IsObject(object) ? find_from(object->child, name) : NULL;
}

/* ---- the revision ------------------------------------------------------------------------ */

/* Percent-encodes all but printable ASCII, '%', ',' and (in names) '=', so that the joined text
 * can be read in one way only. */
static void write_revision_part(const char *text, const char *reserved, struct dk_writer *out) {
    static const char hex[] = "0123456789ABCDEF";
    for (; *text != '\0'; text++) {
        uint8_t byte = (uint8_t)*text;
        if (byte > ' ' && byte < 0x7f && strchr(reserved, byte) == NULL) {
            dk_writer_bytes(out, (struct dk_bytes){&byte, 1});
            continue;
        }
        const uint8_t escaped[3] = {'%', (uint8_t)hex[byte >> 4], (uint8_t)hex[byte & 15]};
        dk_writer_bytes(out, (struct dk_bytes){escaped, sizeof(escaped)});
    }
}

static const char *bundle_revision(const cJSON *bundle) {
    const char *revision = cJSON_GetStringValue(find_member(bundle, "revision"));
    return revision != NULL ? revision : "";
}

static int compare_bundles(const void *left, const void *right) {
    const cJSON *a = *(const cJSON *const *)left;
    const cJSON *b = *(const cJSON *const *)right;
    int order = strcmp(a->string, b->string);
    return order != 0 ? order : strcmp(bundle_revision(a), bundle_revision(b));
}

static void write_bundles(const cJSON **bundles, size_t count, struct dk_writer *out) {
    qsort(bundles, count, sizeof(bundles[0]), compare_bundles);
    const char *separator = "";
    for (size_t i = 0; i < count; i++) {
        const char *revision = bundle_revision(bundles[i]);
        if (revision[0] == '\0') {
            continue;
        }
        dk_writer_text(out, separator);
        write_revision_part(bundles[i]->string, "%,=", out);
        dk_writer_text(out, "=");
        write_revision_part(revision, "%,", out);
        separator = ",";
    }
}

/* Ends `text` in `out`, or its digest if it is too long: different revisions stay different. */
static bool store_revision(struct dk_bytes text, char out[DK_REVISION_MAX]) {
    static const char hex[] = "0123456789abcdef";
    static const char prefix[] = "sha256:";
    if (text.len < DK_REVISION_MAX) {
        memcpy(out, text.ptr, text.len);
        out[text.len] = '\0';
        return true;
    }
    uint8_t digest[SHA256_DIGEST_LENGTH];
    if (EVP_Digest(text.ptr, text.len, digest, NULL, EVP_sha256(), NULL) != 1) {
        return false;
    }
    memcpy(out, prefix, sizeof(prefix));
    char *end = out + strlen(prefix);
    for (size_t i = 0; i < SHA256_DIGEST_LENGTH; i++) {
        *end++ = hex[digest[i] >> 4];
        *end++ = hex[digest[i] & 15];
    }
    *end = '\0';
    return true;
}

/* False if the revision cannot be told for want of memory; an answer without one has "". */
static bool read_revision(const cJSON *root, char out[DK_REVISION_MAX]) {
    const cJSON *object = find_member(find_member(root, "provenance"), "bundles");
    size_t count = 0;
    const cJSON *bundle = NULL;
    if (object == NULL || !cJSON_IsObject(object) || object->child == NULL) {
        return true;
    }
    cJSON_ArrayForEach(bundle, object) {
        count++;
    }
    const cJSON **bundles = calloc(count, sizeof(cJSON *));
    if (bundles == NULL) {
        return false;
    }
    count = 0;
    cJSON_ArrayForEach(bundle, object) {
        bundles[count++] = bundle;
    }
    struct dk_writer text;
    dk_writer_init(&text, REVISION_TEXT_MAX);
    write_bundles(bundles, count, &text);
    free(bundles);
    bool stored = !text.failed && (text.len == 0 || store_revision(dk_writer_view(&text), out));
    dk_writer_clean_up(&text);
    return stored;
}

/* ---- answers to outcomes ----------------------------------------------------------------- */

static void set_outcomes(struct dk_opa_question *questions, size_t count, enum dk_outcome outcome) {
    for (size_t i = 0; i < count; i++) {
        questions[i].outcome = outcome;
    }
}

/* The allowed indices of one ask over `count` questions, all of which are DK_DENY so far. */
static enum dk_error read_ask(const cJSON *indices, struct dk_opa_question *questions, size_t count,
                              struct dk_error_text *why) {
    const cJSON *index = NULL;
    if (!cJSON_IsArray(indices)) {
        return dk_fail(why, DK_ERR_MALFORMED, "the answer to an ask is not an array");
    }
    cJSON_ArrayForEach(index, indices) {
        if (!cJSON_IsNumber(index)) {
            return dk_fail(why, DK_ERR_MALFORMED, "an index is not a number");
        }
        double value = index->valuedouble;
        if (!(value >= 0 && value < (double)count)) {
            return dk_fail(why, DK_ERR_MALFORMED, "an index is out of range");
        }
        size_t i = (size_t)value;
        if ((double)i != value) {
            return dk_fail(why, DK_ERR_MALFORMED, "an index is not an integer");
        }
        if (questions[i].outcome == DK_ALLOW) {
            return dk_fail(why, DK_ERR_MALFORMED, "an index stands there twice");
        }
        questions[i].outcome = DK_ALLOW;
    }
    return DK_OK;
}

static enum dk_error read_request(const cJSON *asks, struct dk_opa_question *questions,
                                  size_t count, struct dk_error_text *why) {
    const cJSON *ask = NULL;
    size_t start = 0;
    if (!cJSON_IsArray(asks)) {
        return dk_fail(why, DK_ERR_MALFORMED, "the answer to a request is not an array");
    }
    cJSON_ArrayForEach(ask, asks) {
        if (start == count) {
            return dk_fail(why, DK_ERR_MALFORMED, "more answers than asks");
        }
        size_t end = ask_end(questions, start, count);
        enum dk_error error = read_ask(ask, questions + start, end - start, why);
        if (error != DK_OK) {
            return error;
        }
        start = end;
    }
    if (start != count) {
        return dk_fail(why, DK_ERR_MALFORMED, "fewer answers than asks");
    }
    return DK_OK;
}

static enum dk_error read_batch_result(const cJSON *result, struct dk_opa_question *questions,
                                       size_t count, struct dk_error_text *why) {
    const cJSON *asks = NULL;
    size_t start = 0;
    if (!cJSON_IsArray(result)) {
        return dk_fail(why, DK_ERR_MALFORMED, "the result is not an array");
    }
    cJSON_ArrayForEach(asks, result) {
        if (start == count) {
            return dk_fail(why, DK_ERR_MALFORMED, "more answers than requests");
        }
        size_t end = request_end(questions, start, count);
        enum dk_error error = read_request(asks, questions + start, end - start, why);
        if (error != DK_OK) {
            return error;
        }
        start = end;
    }
    if (start != count) {
        return dk_fail(why, DK_ERR_MALFORMED, "fewer answers than requests");
    }
    return DK_OK;
}

static enum dk_error read_single_result(const cJSON *result, struct dk_opa_question *questions,
                                        size_t count, struct dk_error_text *why) {
    if (!cJSON_IsBool(result)) {
        return dk_fail(why, DK_ERR_MALFORMED, "the result is neither true nor false");
    }
    set_outcomes(questions, count, cJSON_IsTrue(result) ? DK_ALLOW : DK_DENY);
    return DK_OK;
}

typedef enum dk_error read_result(const cJSON *result, struct dk_opa_question *questions,
                                  size_t count, struct dk_error_text *why);

/* An object without a result: nothing is defined there, or it reports an error. */
static enum dk_opa_verdict read_without_result(const cJSON *root, struct dk_error_text *why) {
    const cJSON *code = find_member(root, "code");
    if (code == NULL) {
        return DK_OPA_UNDEFINED;
    }
    char escaped[128];
    struct dk_bytes text = dk_bytes_of(cJSON_GetStringValue(code));
    size_t len = dk_bytes_escape(text, escaped, sizeof(escaped));
    (void)dk_fail(why, DK_ERR_MALFORMED, "an error in place of an answer: %.*s", (int)len, escaped);
    return DK_OPA_MALFORMED;
}

static enum dk_opa_verdict read_root(const cJSON *root, struct dk_opa_question *questions,
                                     size_t count, read_result *read, struct dk_opa_reply *reply) {
    if (!cJSON_IsObject(root)) {
        (void)dk_fail(&reply->why, DK_ERR_MALFORMED, "the body is not one JSON object");
        return DK_OPA_MALFORMED;
    }
    if (!read_revision(root, reply->revision)) {
        (void)dk_fail(&reply->why, DK_ERR_MEMORY, "no memory for the revision");
        return DK_OPA_MALFORMED;
    }
    const cJSON *result = find_member(root, "result");
    if (result == NULL) {
        return read_without_result(root, &reply->why);
    }
    if (find_from(result->next, "result") != NULL) {
        (void)dk_fail(&reply->why, DK_ERR_MALFORMED, "the result stands there twice");
        return DK_OPA_MALFORMED;
    }
    set_outcomes(questions, count, DK_DENY);
    return read(result, questions, count, &reply->why) == DK_OK ? DK_OPA_ANSWERED
                                                                : DK_OPA_MALFORMED;
}

static void read_body(struct dk_bytes body, struct dk_opa_question *questions, size_t count,
                      read_result *read, struct dk_opa_reply *reply) {
    memset(reply, 0, sizeof(*reply));
    cJSON *root = dk_json_parse(body, 4 * count + SPARE_VALUES, NULL);
    reply->verdict = read_root(root, questions, count, read, reply);
    cJSON_Delete(root);
    if (reply->verdict == DK_OPA_UNDEFINED) {
        set_outcomes(questions, count, DK_UNDEFINED);
    }
    if (reply->verdict == DK_OPA_MALFORMED) {
        set_outcomes(questions, count, DK_UNAVAILABLE);
        reply->revision[0] = '\0';
    }
}

void dk_opa_read_batch(struct dk_bytes body, struct dk_opa_question *questions, size_t count,
                       struct dk_opa_reply *reply) {
    read_body(body, questions, count, read_batch_result, reply);
}

void dk_opa_read_single(struct dk_bytes body, struct dk_opa_question *question,
                        struct dk_opa_reply *reply) {
    read_body(body, question, question != NULL ? 1 : 0, read_single_result, reply);
}

static bool write_document(const cJSON *value, struct dk_writer *out) {
    const char *string = cJSON_GetStringValue(value);
    if (string != NULL) {
        write_revision_part(string, "%,", out);
    } else if (value != NULL && cJSON_IsNumber(value)) {
        char number[32];
        snprintf(number, sizeof(number), "%.17g", value->valuedouble);
        dk_writer_text(out, number);
    }
    return !out->failed && out->len > 0;
}

bool dk_opa_read_revision_document(struct dk_bytes body, char out[DK_REVISION_MAX]) {
    struct dk_writer text;
    out[0] = '\0';
    cJSON *root = dk_json_parse(body, SPARE_VALUES, NULL);
    dk_writer_init(&text, 4 * body.len + 1);
    bool ok = cJSON_IsObject(root) && write_document(find_member(root, "result"), &text) &&
              store_revision(dk_writer_view(&text), out);
    dk_writer_clean_up(&text);
    cJSON_Delete(root);
    return ok;
}
