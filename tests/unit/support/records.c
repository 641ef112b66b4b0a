/* SPDX-License-Identifier: Apache-2.0 */
#include "support/records.h"

#include "doorkeeper/identity.h"
#include "doorkeeper/question.h"

#include <string.h>

enum { OPERATION_READ = 3, TYPE_TOPIC = 2, PATTERN_LITERAL = 3 };

static void write_bytes(struct dk_writer *out, enum dk_field tag, struct dk_bytes bytes) {
    uint8_t header[8] = {(uint8_t)tag};
    dk_write_u32(header + 4, (uint32_t)bytes.len);
    dk_writer_bytes(out, (struct dk_bytes){header, sizeof(header)});
    dk_writer_bytes(out, bytes);
}

static void write_field(struct dk_writer *out, enum dk_field tag, const char *text) {
    write_bytes(out, tag, dk_bytes_of(text));
}

static void write_end(struct dk_writer *out, int64_t not_after_s) {
    uint8_t number[8];
    dk_write_u64(number, (uint64_t)not_after_s);
    dk_writer_bytes(out, (struct dk_bytes){number, sizeof(number)});
}

static void write_principal(struct dk_writer *out, const char *cluster, const char *name) {
    write_field(out, DK_FIELD_CLUSTER_ID, cluster);
    write_field(out, DK_FIELD_PRINCIPAL_TYPE, "User");
    write_field(out, DK_FIELD_PRINCIPAL_NAME, name);
}

void write_context(struct dk_writer *out, const char *cluster, const char *name,
                   int64_t not_after_s) {
    write_end(out, not_after_s);
    write_principal(out, cluster, name);
}

void write_certified_context(struct dk_writer *out, const char *cluster, const char *name,
                             int64_t not_after_s, uint8_t serial) {
    uint8_t record[8 + 8 + DK_SHA256_LEN + 2 + 1] = {0};
    memset(record + 16, serial, DK_SHA256_LEN);
    record[48] = 1;
    record[50] = serial;
    write_end(out, not_after_s);
    write_bytes(out, DK_FIELD_LOCAL_CERTIFICATE, (struct dk_bytes){record, sizeof(record)});
    write_principal(out, cluster, name);
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
