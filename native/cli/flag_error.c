/* SPDX-License-Identifier: Apache-2.0 */
#include "flag_error.h"

enum dk_error dk_flag_error(struct dk_error_text *why, const char *flag, const char *value,
                            const char *expected) {
    char escaped[120];
    size_t len = dk_bytes_escape(dk_bytes_of(value), escaped, sizeof(escaped));
    return dk_fail(why, DK_ERR_CONFIG, "%s %.*s: expected %s", flag, (int)len, escaped, expected);
}
