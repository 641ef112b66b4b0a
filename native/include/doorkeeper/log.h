/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file log.h
 * A bounded ring of log lines between every thread of the core and the scribe.
 *
 * The core never writes a log itself: a line goes into the ring and the scribe, a Java thread,
 * takes it out and hands it to SLF4J, however slow that is. A full ring drops the line and counts
 * it; the next line taken out after a drop says how many were lost.
 */
#ifndef DOORKEEPER_LOG_H
#define DOORKEEPER_LOG_H

#include "doorkeeper/bytes.h"
#include "doorkeeper/error.h"

struct dk_log;

enum dk_log_level { DK_LOG_ERROR = 0, DK_LOG_WARN = 1, DK_LOG_INFO = 2, DK_LOG_DEBUG = 3 };

/** Which logger of the broker a line is for. */
enum dk_log_target {
    DK_LOG_CORE = 0,  /**< Doorkeeper's own logger */
    DK_LOG_AUDIT = 1, /**< kafka.authorizer.logger */
};

/** Allocates a ring of `lines` lines (rounded up to a power of two) of DK_LOG_LINE_MAX bytes. */
DK_WARN_UNUSED enum dk_error dk_log_new(size_t lines, struct dk_log **out);
/** No other thread may still use the ring. NULL is allowed. */
void dk_log_destroy(struct dk_log *log);
size_t dk_log_memory_bytes(const struct dk_log *log);

#define DK_LOG_LINE_MAX 1000

/**
 * Any thread, never blocks. The text is cut at DK_LOG_LINE_MAX. What comes from outside (names,
 * answers) must have passed dk_bytes_escape.
 */
void dk_log_write(struct dk_log *log, enum dk_log_target target, enum dk_log_level level,
                  const char *format, ...) DK_PRINTF(4, 5);

/**
 * A line that a fault may repeat thousands of times a second: at most one per `limit` in
 * DK_LOG_LIMIT_MS; the line that comes through says how many were held back since.
 */
#define DK_LOG_LIMIT_MS 10000
struct dk_log_limit {
    _Atomic int64_t next_ms;
    _Atomic uint64_t held_back;
};
void dk_log_write_limited(struct dk_log *log, struct dk_log_limit *limit, enum dk_log_level level,
                          const char *format, ...) DK_PRINTF(4, 5);

/**
 * Scribe only (one thread). Waits up to `timeout_ms` for lines and copies as many whole ones as
 * fit into `out`, each as u8 target, u8 level, u16 length (little-endian), text (UTF-8).
 * Returns the bytes written, 0 after the timeout. Returns at once after dk_log_close.
 */
size_t dk_log_drain(struct dk_log *log, uint8_t *out, size_t capacity, int timeout_ms);

/** Any thread: ends a waiting drain and makes later ones return at once (with what is left). */
void dk_log_close(struct dk_log *log);

uint64_t dk_log_dropped(const struct dk_log *log);

#endif
