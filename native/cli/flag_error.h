/* SPDX-License-Identifier: Apache-2.0 */
/** @file flag_error.h What is said of a wrong flag, by every command alike. Any thread. */
#ifndef DOORKEEPER_CLI_FLAG_ERROR_H
#define DOORKEEPER_CLI_FLAG_ERROR_H

#include "doorkeeper/error.h"

/** "FLAG VALUE: expected …", the value escaped and cut. DK_ERR_CONFIG. */
enum dk_error dk_flag_error(struct dk_error_text *why, const char *flag, const char *value,
                            const char *expected);

#endif
