/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file error.h
 * The one error enumeration of the core, and the text that goes with an error. Any thread.
 */
#ifndef DOORKEEPER_ERROR_H
#define DOORKEEPER_ERROR_H

#include "doorkeeper/bytes.h"

enum dk_error {
    DK_OK = 0,
    DK_ERR_MEMORY,    /**< out of memory, or a cap on memory reached */
    DK_ERR_MALFORMED, /**< foreign bytes that do not follow their format */
    DK_ERR_TOO_LARGE, /**< well-formed, but over a cap */
    DK_ERR_CONFIG,    /**< a setting is unknown, missing or out of range */
    DK_ERR_SYSTEM,    /**< the operating system or a library refused */
    DK_ERR_STALE,     /**< a handle that no longer names anything */
    DK_ERR_CLOSED,    /**< the object is shutting down */
};

/** A static text for `error`, never NULL. */
const char *dk_strerror(enum dk_error error);

/** Room for one message to a person. An empty text means "nothing more to say". */
struct dk_error_text {
    char text[512];
};

/** Formats into `out` (which may be NULL), cutting if need be, and returns `error`. */
enum dk_error dk_fail(struct dk_error_text *out, enum dk_error error, const char *format, ...)
    DK_PRINTF(3, 4);

#endif
