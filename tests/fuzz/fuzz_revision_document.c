/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as the revision document: what is read is printable, stands for one value only, and is
 * that of the result. */
#include "doorkeeper/opa.h"

#include <cjson/cJSON.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition) {
        abort();
    }
}

static int hex_digit(char digit) {
    return digit <= '9' ? digit - '0' : digit - 'A' + 10;
}

/* Takes percent-encoding away, in place. */
static void decode(char *text) {
    char *out = text;
    for (const char *in = text; *in != '\0'; in++) {
        if (*in == '%') {
            *out++ = (char)(hex_digit(in[1]) << 4 | hex_digit(in[2]));
            in += 2;
        } else {
            *out++ = *in;
        }
    }
    *out = '\0';
}

static bool is_digest(const char *revision) {
    static const char prefix[] = "sha256:";
    size_t len = strlen(prefix);
    return strncmp(revision, prefix, len) == 0 && strlen(revision) == len + 64 &&
           strspn(revision + len, "0123456789abcdef") == 64;
}

static void check_text(const char *revision) {
    require(strlen(revision) > 0);
    for (const char *byte = revision; *byte != '\0'; byte++) {
        require(*byte > ' ' && *byte < 0x7f && *byte != ',');
    }
}

static void check_value(const cJSON *value, char revision[DK_REVISION_MAX]) {
    if (cJSON_IsNumber(value)) {
        double number = strtod(revision, NULL);
        require(memcmp(&number, &value->valuedouble, sizeof(number)) == 0);
        return;
    }
    require(cJSON_IsString(value));
    if (is_digest(revision) && strcmp(revision, value->valuestring) != 0) {
        require(strlen(value->valuestring) >= DK_REVISION_MAX / 3);
        return;
    }
    decode(revision);
    require(strcmp(revision, value->valuestring) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char revision[DK_REVISION_MAX];
    memset(revision, 'x', sizeof(revision));
    if (!dk_opa_read_revision_document((struct dk_bytes){data, size}, revision)) {
        require(revision[0] == '\0');
        return 0;
    }
    require(memchr(revision, '\0', sizeof(revision)) != NULL);
    check_text(revision);
    cJSON *root = cJSON_ParseWithLength((const char *)data, size);
    check_value(cJSON_GetObjectItemCaseSensitive(root, "result"), revision);
    cJSON_Delete(root);
    return 0;
}
