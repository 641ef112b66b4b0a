/* SPDX-License-Identifier: Apache-2.0 */
/** @file wait_until.h Waits for a condition, bounded; looks every millisecond. */
#ifndef DOORKEEPER_TEST_WAIT_UNTIL_H
#define DOORKEEPER_TEST_WAIT_UNTIL_H

#include "doorkeeper/clock.h"

#include <poll.h>
#include <stdbool.h>

/** Generous: only a test that fails ever waits so long. */
#define WAIT_LIMIT_MS 20000

#define WAIT_UNTIL(condition)                                                                      \
    do {                                                                                           \
        int64_t give_up_ms_ = dk_clock_ms() + WAIT_LIMIT_MS;                                       \
        bool holds_ = (condition);                                                                 \
        while (!holds_ && dk_clock_ms() < give_up_ms_) {                                           \
            (void)poll(NULL, 0, 1);                                                                \
            holds_ = (condition);                                                                  \
        }                                                                                          \
        assert_true(holds_);                                                                       \
    } while (0)

#endif
