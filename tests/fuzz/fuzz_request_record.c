/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a request record: what is read lies inside, and could be written in no other way. */
#include "doorkeeper/question.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition) {
    if (!condition) {
        abort();
    }
}

/* Writes the action again and compares it with the record it came from. */
static void check_form(const struct dk_action *action, const uint8_t *record, size_t len) {
    size_t padded = (action->name.len + 7) / 8 * 8;
    require(len == DK_ACTION_HEADER + padded);
    uint8_t *again = calloc(1, len);
    require(again != NULL);
    dk_write_u32(again, action->reference_count);
    again[4] = action->flags;
    again[8] = action->operation;
    again[9] = action->type;
    again[10] = action->pattern;
    again[11] = action->named;
    dk_write_u32(again + 12, (uint32_t)action->name.len);
    memcpy(again + DK_ACTION_HEADER, action->name.ptr, action->name.len);
    require(memcmp(again, record, len) == 0);
    free(again);
    require(action->hashed.ptr == record + 8 && action->hashed.len == len - 8);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct dk_bytes rest = {data, size};
    struct dk_action action;
    while (rest.len > 0) {
        struct dk_bytes before = rest;
        struct dk_bytes fast = rest;
        enum dk_error error = dk_action_parse_fast(&fast, &action);
        if (error == DK_OK) {
            check_form(&action, before.ptr, before.len - fast.len);
            require(fast.ptr + fast.len == data + size);
        }
        enum dk_error strict = dk_action_parse(&rest, &action);
        if (strict != DK_OK) {
            require(rest.ptr == before.ptr && rest.len == before.len);
            require(error == strict || !dk_bytes_is_utf8(action.name));
            return 0;
        }
        require(error == DK_OK && rest.ptr == fast.ptr && rest.len == fast.len);
    }
    return 0;
}
