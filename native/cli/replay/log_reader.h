/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file log_reader.h
 * The events of a decision log, one after the other: JSON Lines, JSON arrays (as OPA uploads them;
 * several of them one behind the other too), and gzip of either, told by the first bytes.
 *
 * Memory is bounded by the longest event that is allowed, whatever the file unpacks to. What cannot
 * be read is reported with its line and passed over: in JSON Lines that is one line, in an array it
 * is the rest of the line where reading ended. A signal that is caught ends the log. One thread.
 */
#ifndef DOORKEEPER_CLI_LOG_READER_H
#define DOORKEEPER_CLI_LOG_READER_H

#include "doorkeeper/error.h"

struct dk_log_reader;

#define DK_LOG_EVENT_MAX_DEFAULT ((size_t)16 * 1024 * 1024)

enum dk_log_read {
    DK_LOG_EVENT, /**< `text` is one event: an object's text, not looked at in JSON Lines */
    DK_LOG_BAD,   /**< `why` says what could not be read; reading goes on behind it */
    DK_LOG_END,
};

/**
 * `fd` is read to its end and stays the caller's. `max_event`: bytes of one event.
 * DK_ERR_MEMORY.
 */
DK_WARN_UNUSED enum dk_error dk_log_reader_new(int fd, size_t max_event,
                                               struct dk_log_reader **out);
/** NULL is allowed. */
void dk_log_reader_destroy(struct dk_log_reader *reader);

/** `*text` is valid until the next call. */
enum dk_log_read dk_log_reader_next(struct dk_log_reader *reader, struct dk_bytes *text,
                                    struct dk_error_text *why);

/** Where the last event, or what was bad, begins; from 1. */
uint64_t dk_log_reader_line(const struct dk_log_reader *reader);
/** Bytes taken from `fd`. */
uint64_t dk_log_reader_consumed(const struct dk_log_reader *reader);

#endif
