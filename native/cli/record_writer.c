/* SPDX-License-Identifier: Apache-2.0 */
#include "record_writer.h"

static const uint8_t zeros[8];

void dk_record_begin_context(struct dk_writer *out, int64_t not_after_s) {
    uint8_t bytes[8];
    dk_write_u64(bytes, (uint64_t)not_after_s);
    dk_writer_bytes(out, (struct dk_bytes){bytes, sizeof(bytes)});
}

void dk_record_field(struct dk_writer *out, enum dk_field field, struct dk_bytes value) {
    uint8_t header[8] = {(uint8_t)field};
    dk_write_u32(header + 4, (uint32_t)value.len);
    dk_writer_bytes(out, (struct dk_bytes){header, sizeof(header)});
    dk_writer_bytes(out, value);
}

void dk_record_action(struct dk_writer *out, struct dk_action_codes codes, struct dk_bytes name) {
    uint8_t header[DK_ACTION_HEADER] = {1};
    header[8] = codes.operation;
    header[9] = codes.type;
    header[10] = codes.pattern;
    header[11] = name.ptr != NULL;
    dk_write_u32(header + 12, (uint32_t)name.len);
    dk_writer_bytes(out, (struct dk_bytes){header, sizeof(header)});
    dk_writer_bytes(out, name);
    dk_writer_bytes(out, (struct dk_bytes){zeros, (8 - name.len % 8) % 8});
}
