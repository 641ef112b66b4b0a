/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file breaker.h
 * A circuit breaker for one endpoint of OPA. Closed: it is asked. After some failures in a row it
 * opens, and is asked nothing. A probe half-opens it: one question, whose answer closes it and
 * whose failure opens it again.
 *
 * dk_breaker_state is wait-free on any thread; the rest is for the I/O thread.
 */
#ifndef DOORKEEPER_BREAKER_H
#define DOORKEEPER_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

/** The numbers are what the metric shows. */
enum dk_breaker_state { DK_BREAKER_CLOSED = 0, DK_BREAKER_HALF_OPEN = 1, DK_BREAKER_OPEN = 2 };

/** Zeroed memory is a closed breaker that the first failure opens. */
struct dk_breaker {
    _Atomic int state; /**< enum dk_breaker_state */
    int64_t failures;  /**< in a row */
};

enum dk_breaker_state dk_breaker_state(const struct dk_breaker *breaker);
/** Opens the breaker if this is failure number `threshold` in a row, or a probe's. True if it was
 *  closed before. */
bool dk_breaker_failure(struct dk_breaker *breaker, int64_t threshold);
/** A probe is sent; half-opens an open breaker. */
void dk_breaker_probe(struct dk_breaker *breaker);
/** Closes the breaker. True if it was not closed before. */
bool dk_breaker_success(struct dk_breaker *breaker);

#endif
