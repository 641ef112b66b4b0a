/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file record_writer.h
 * Writes the records of question.h, as the Java side does in a broker. Any thread.
 */
#ifndef DOORKEEPER_CLI_RECORD_WRITER_H
#define DOORKEEPER_CLI_RECORD_WRITER_H

#include "doorkeeper/question.h"

/* Kafka's codes. */
enum dk_operation_code { DK_OPERATION_READ = 3, DK_OPERATION_WRITE = 4, DK_OPERATION_DESCRIBE = 8 };
enum dk_type_code { DK_TYPE_TOPIC = 2, DK_TYPE_GROUP = 3 };
enum dk_pattern_code { DK_PATTERN_LITERAL = 3 };

/** `not_after_s`: the certificate's end, 0 for none. */
void dk_record_begin_context(struct dk_writer *out, int64_t not_after_s);
/** Fields must come in ascending order. */
void dk_record_field(struct dk_writer *out, enum dk_field field, struct dk_bytes value);

struct dk_action_codes {
    uint8_t operation, type, pattern;
};
/** `name.ptr` NULL: any resource of this type. */
void dk_record_action(struct dk_writer *out, struct dk_action_codes codes, struct dk_bytes name);

#endif
