/* SPDX-License-Identifier: Apache-2.0 */
/** @file records.h Writes the records of question.h, as the Java side does. */
#ifndef DOORKEEPER_TEST_RECORDS_H
#define DOORKEEPER_TEST_RECORDS_H

#include "doorkeeper/bytes.h"

#include <stdint.h>

/** A context of a principal of type User; `not_after_s` 0: no certificate. */
void write_context(struct dk_writer *out, const char *cluster, const char *name,
                   int64_t not_after_s);
/** The same with a certificate. `serial` (1 to 127) is its serial number, and each byte of its
 *  SHA-256. */
void write_certified_context(struct dk_writer *out, const char *cluster, const char *name,
                             int64_t not_after_s, uint8_t serial);
/** READ on the literal topic `name`; both log flags are set. NULL: any topic. */
void write_action(struct dk_writer *out, const char *name);

#endif
