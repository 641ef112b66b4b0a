/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a certificate: what is read gives records that are valid and JSON that parses. */
#include "doorkeeper/identity.h"

#include <cjson/cJSON.h>

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef enum dk_error write_json(struct dk_bytes record, struct dk_writer *out);

static void check(const struct dk_writer *record, write_json *write) {
    struct dk_writer out;
    dk_writer_init(&out, 16u << 20);
    if (write(dk_writer_view(record), NULL) != DK_OK ||
        write(dk_writer_view(record), &out) != DK_OK || out.failed) {
        abort();
    }
    cJSON *parsed = cJSON_ParseWithLength((const char *)out.ptr, out.len);
    if (parsed == NULL) {
        abort();
    }
    cJSON_Delete(parsed);
    dk_writer_clean_up(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct dk_identity identity;
    struct dk_error_text why;
    if (dk_identity_parse((struct dk_bytes){data, size}, &identity, &why) != DK_OK) {
        return 0;
    }
    if (identity.not_after_s <= 0) {
        abort();
    }
    check(&identity.subject, dk_subject_write_json);
    check(&identity.certificate, dk_certificate_write_json);
    dk_identity_clean_up(&identity);
    return 0;
}
