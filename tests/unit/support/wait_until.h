/* SPDX-License-Identifier: Apache-2.0 */
/** @file wait_until.h Waits for a condition, bounded; looks every millisecond. */
#ifndef DOORKEEPER_TEST_WAIT_UNTIL_H
#define DOORKEEPER_TEST_WAIT_UNTIL_H

#include "doorkeeper/clock.h"

#include <poll.h>

/** Generous: only a test that fails ever waits so long. */
#define WAIT_LIMIT_MS 20000

#define WAIT_UNTIL(condition)                                                                      \
    do {                                                                                           \
        int64_t give_up_ms_ = dk_clock_ms() + WAIT_LIMIT_MS;                                       \
        while (!(condition) && dk_clock_ms() < give_up_ms_) {                                      \
            (void)poll(NULL, 0, 1);                                                                \
        }                                                                                          \
        assert_true(condition);                                                                    \
    } while (0)

#endif
