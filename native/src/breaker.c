/* SPDX-License-Identifier: Apache-2.0 */
#include "doorkeeper/breaker.h"

#include <stdatomic.h>

/* A lone word that guards no other memory: relaxed is enough. */
enum dk_breaker_state dk_breaker_state(const struct dk_breaker *breaker) {
    return (enum dk_breaker_state)atomic_load_explicit(&breaker->state, memory_order_relaxed);
}

static enum dk_breaker_state set_state(struct dk_breaker *breaker, enum dk_breaker_state state) {
    enum dk_breaker_state before = dk_breaker_state(breaker);
    atomic_store_explicit(&breaker->state, state, memory_order_relaxed);
    return before;
}

bool dk_breaker_failure(struct dk_breaker *breaker, int64_t threshold) {
    breaker->failures++;
    bool stays_closed =
        dk_breaker_state(breaker) == DK_BREAKER_CLOSED && breaker->failures < threshold;
    return !stays_closed && set_state(breaker, DK_BREAKER_OPEN) == DK_BREAKER_CLOSED;
}

void dk_breaker_probe(struct dk_breaker *breaker) {
    if (dk_breaker_state(breaker) == DK_BREAKER_OPEN) {
        (void)set_state(breaker, DK_BREAKER_HALF_OPEN);
    }
}

bool dk_breaker_success(struct dk_breaker *breaker) {
    breaker->failures = 0;
    return set_state(breaker, DK_BREAKER_CLOSED) != DK_BREAKER_CLOSED;
}
