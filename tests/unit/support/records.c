/* SPDX-License-Identifier: Apache-2.0 */
#include "support/records.h"

#include "doorkeeper/question.h"

enum { OPERATION_READ = 3, TYPE_TOPIC = 2, PATTERN_LITERAL = 3 };

static void write_field(struct dk_writer *out, enum dk_field tag, const char *text) {
    struct dk_bytes bytes = dk_bytes_of(text);
    uint8_t header[8] = {(uint8_t)tag};
    dk_write_u32(header + 4, (uint32_t)bytes.len);
    dk_writer_bytes(out, (struct dk_bytes){header, sizeof(header)});
    dk_writer_bytes(out, bytes);
}

void write_context(struct dk_writer *out, const char *cluster, const char *name,
                   int64_t not_after_s) {
    uint8_t number[8];
    dk_write_u64(number, (uint64_t)not_after_s);
    dk_writer_bytes(out, (struct dk_bytes){number, sizeof(number)});
    write_field(out, DK_FIELD_CLUSTER_ID, cluster);
    write_field(out, DK_FIELD_PRINCIPAL_TYPE, "User");
    write_field(out, DK_FIELD_PRINCIPAL_NAME, name);
}

void write_action(struct dk_writer *out, const char *name) {
    static const uint8_t zeros[8];
    struct dk_bytes bytes = dk_bytes_of(name);
    uint8_t header[DK_ACTION_HEADER] = {1};
    header[4] = DK_LOG_IF_ALLOWED | DK_LOG_IF_DENIED;
    header[8] = OPERATION_READ;
    header[9] = TYPE_TOPIC;
    header[10] = PATTERN_LITERAL;
    header[11] = name != NULL ? 1 : 0;
    dk_write_u32(header + 12, (uint32_t)bytes.len);
    dk_writer_bytes(out, (struct dk_bytes){header, sizeof(header)});
    dk_writer_bytes(out, bytes);
    dk_writer_bytes(out, (struct dk_bytes){zeros, (8 - bytes.len % 8) % 8});
}
