/* SPDX-License-Identifier: Apache-2.0 */
#include "doorkeeper/error.h"

#include <stdarg.h>
#include <stdio.h>

const char *dk_strerror(enum dk_error error) {
    switch (error) {
    case DK_OK:
        return "no error";
    case DK_ERR_MEMORY:
        return "out of memory";
    case DK_ERR_MALFORMED:
        return "malformed input";
    case DK_ERR_TOO_LARGE:
        return "input over a cap";
    case DK_ERR_CONFIG:
        return "wrong setting";
    case DK_ERR_SYSTEM:
        return "refused by the operating system or a library";
    case DK_ERR_STALE:
        return "stale handle";
    case DK_ERR_CLOSED:
        return "closed";
    }
    return "unknown error";
}

enum dk_error dk_fail(struct dk_error_text *out, enum dk_error error, const char *format, ...) {
    if (out != NULL) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(out->text, sizeof(out->text), format, arguments);
        va_end(arguments);
    }
    return error;
}
