/* SPDX-License-Identifier: Apache-2.0 */
/* What the stub answers; how it is carried is in stub_opa.c. */
#include "stub_opa.h"

#include <cjson/cJSON.h>

#include <stdint.h>

#define REVISION ",\"provenance\":{\"bundles\":{\"stub\":{\"revision\":\"1\"}}}}"

/* FNV-1a, with the end of the text as a part of it. */
static uint64_t hash_text(uint64_t hash, const char *text) {
    for (;; text++) {
        hash = (hash ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
        if (*text == '\0') {
            return hash;
        }
    }
}

static uint64_t hash_member(uint64_t hash, const cJSON *object, const char *name) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    return hash_text(hash, text != NULL ? text : "");
}

static uint64_t hash_principal(const cJSON *holder) {
    const cJSON *principal = cJSON_GetObjectItemCaseSensitive(holder, "principal");
    return hash_member(UINT64_C(0xcbf29ce484222325), principal, "name");
}

/* FNV's upper bits are weak for short texts, so they are mixed once more. */
static bool is_allowed(uint64_t hash, double allow_share) {
    hash = (hash ^ hash >> 32) * UINT64_C(0xd6e8feb86659fd93);
    hash = (hash ^ hash >> 32) * UINT64_C(0xd6e8feb86659fd93);
    return (double)(hash >> 11) * 0x1p-53 < allow_share;
}

static void answer_ask(const cJSON *ask, uint64_t hash, double allow_share, struct dk_writer *out) {
    const cJSON *names = cJSON_GetObjectItemCaseSensitive(ask, "names");
    hash = hash_member(hash_member(hash, ask, "operation"), ask, "type");
    dk_writer_text(out, "[");
    if (names == NULL) {
        dk_writer_text(out, is_allowed(hash, allow_share) ? "0" : "");
    } else {
        const char *separator = "";
        uint64_t index = 0;
        for (const cJSON *name = names->child; name != NULL; name = name->next, index++) {
            const char *text = cJSON_GetStringValue(name);
            if (text != NULL && is_allowed(hash_text(hash, text), allow_share)) {
                dk_writer_text(out, separator);
                dk_writer_u64_decimal(out, index);
                separator = ",";
            }
        }
    }
    dk_writer_text(out, "]");
}

static void answer_batch(const cJSON *requests, double allow_share, struct dk_writer *out) {
    dk_writer_text(out, "[");
    for (const cJSON *request = requests->child; request != NULL; request = request->next) {
        const cJSON *asks = cJSON_GetObjectItemCaseSensitive(request, "asks");
        const cJSON *ask = asks != NULL ? asks->child : NULL;
        dk_writer_text(out, request == requests->child ? "[" : ",[");
        for (const char *separator = ""; ask != NULL; ask = ask->next, separator = ",") {
            dk_writer_text(out, separator);
            answer_ask(ask, hash_principal(request), allow_share, out);
        }
        dk_writer_text(out, "]");
    }
    dk_writer_text(out, "]");
}

static void answer_single(const cJSON *input, double allow_share, struct dk_writer *out) {
    const cJSON *action = cJSON_GetObjectItemCaseSensitive(input, "action");
    const cJSON *resource = cJSON_GetObjectItemCaseSensitive(action, "resource");
    uint64_t hash = hash_member(hash_principal(input), action, "operation");
    hash = hash_member(hash, resource, "type");
    if (cJSON_HasObjectItem(resource, "name")) {
        hash = hash_member(hash, resource, "name");
    }
    dk_writer_text(out, is_allowed(hash, allow_share) ? "true" : "false");
}

bool dk_stub_opa_answer(struct dk_bytes body, double allow_share, struct dk_writer *out,
                        bool *poll) {
    cJSON *whole = cJSON_ParseWithLength((const char *)body.ptr, body.len);
    const cJSON *input = cJSON_GetObjectItemCaseSensitive(whole, "input");
    const cJSON *requests = cJSON_GetObjectItemCaseSensitive(input, "requests");
    bool ok = cJSON_IsObject(input);
    dk_writer_text(out, "{\"result\":");
    if (cJSON_IsArray(requests)) {
        *poll = requests->child == NULL;
        answer_batch(requests, allow_share, out);
    } else {
        *poll = !cJSON_HasObjectItem(input, "action");
        answer_single(input, allow_share, out);
    }
    dk_writer_text(out, REVISION);
    cJSON_Delete(whole);
    return ok && !out->failed;
}
