/* SPDX-License-Identifier: Apache-2.0 */
#include "doorkeeper/breaker.h"

#include <stdatomic.h>

/* A lone flag that guards no other memory: relaxed is enough. */
bool dk_breaker_is_open(const struct dk_breaker *breaker) {
    return atomic_load_explicit(&breaker->open, memory_order_relaxed);
}

bool dk_breaker_failure(struct dk_breaker *breaker) {
    return !atomic_exchange_explicit(&breaker->open, true, memory_order_relaxed);
}

bool dk_breaker_success(struct dk_breaker *breaker) {
    return atomic_exchange_explicit(&breaker->open, false, memory_order_relaxed);
}
