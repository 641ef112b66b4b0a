/* SPDX-License-Identifier: Apache-2.0 */
/** @file records.h Writes the records of question.h, as the Java side does. */
#ifndef DOORKEEPER_TEST_RECORDS_H
#define DOORKEEPER_TEST_RECORDS_H

#include "doorkeeper/bytes.h"

#include <stdint.h>

/** A context of a principal of type User; `not_after_s` 0: no certificate. */
void write_context(struct dk_writer *out, const char *cluster, const char *name,
                   int64_t not_after_s);
/** READ on the literal topic `name`; both log flags are set. NULL: any topic. */
void write_action(struct dk_writer *out, const char *name);

#endif
