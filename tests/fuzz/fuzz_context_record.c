/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a context record: what is read could be written in no other way and gives JSON, and
 * all but the two parts for local rules is hashed. */
#include "doorkeeper/question.h"

#include <cjson/cJSON.h>

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition) {
    if (!condition) {
        abort();
    }
}

static void check_form(const struct dk_context *context, struct dk_bytes record) {
    struct dk_writer again;
    uint8_t number[8];
    dk_writer_init(&again, DK_CONTEXT_MAX);
    dk_write_u64(number, (uint64_t)context->not_after_s);
    dk_writer_bytes(&again, (struct dk_bytes){number, 8});
    size_t unhashed = 0;
    for (uint8_t tag = 0; tag < DK_FIELD_COUNT; tag++) {
        unhashed = tag == DK_FIELD_LOCAL_CERTIFICATE + 1 ? again.len : unhashed;
        if (context->fields[tag].ptr == NULL) {
            continue;
        }
        uint8_t header[8] = {tag};
        dk_write_u32(header + 4, (uint32_t)context->fields[tag].len);
        dk_writer_bytes(&again, (struct dk_bytes){header, 8});
        dk_writer_bytes(&again, context->fields[tag]);
    }
    require(!again.failed && dk_bytes_equal(dk_writer_view(&again), record));
    require(dk_bytes_equal(dk_context_hashed(context),
                           (struct dk_bytes){record.ptr + unhashed, record.len - unhashed}));
    dk_writer_clean_up(&again);
}

static void check_json(const struct dk_context *context) {
    struct dk_action any = {.operation = 3, .type = 2, .pattern = 3};
    struct dk_writer out;
    dk_writer_init(&out, 16u << 20);
    dk_question_write_single(context, &any, &out);
    require(!out.failed);
    cJSON *parsed = cJSON_ParseWithLength((const char *)out.ptr, out.len);
    require(parsed != NULL);
    cJSON_Delete(parsed);
    dk_writer_clean_up(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct dk_bytes record = {data, size};
    struct dk_context context;
    if (dk_context_parse(record, &context) == DK_OK) {
        check_form(&context, record);
        check_json(&context);
    }
    return 0;
}
