/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file breaker.h
 * The simplest circuit breaker: a failure opens it, a successful poll closes it. While it is open
 * a call costs microseconds instead of its deadline. dk_breaker_is_open is wait-free on any thread;
 * the rest is for the I/O thread.
 */
#ifndef DOORKEEPER_BREAKER_H
#define DOORKEEPER_BREAKER_H

#include <stdbool.h>

/** Zeroed memory is a closed breaker. */
struct dk_breaker {
    _Atomic bool open;
};

bool dk_breaker_is_open(const struct dk_breaker *breaker);
/** Both return true if the state changed. */
bool dk_breaker_failure(struct dk_breaker *breaker);
bool dk_breaker_success(struct dk_breaker *breaker);

#endif
