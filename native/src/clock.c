/* SPDX-License-Identifier: Apache-2.0 */
#include "doorkeeper/clock.h"

#include <time.h>

static int64_t read_ns(clockid_t clock) {
    struct timespec now;
    /* Cannot fail for the clocks used here: they exist on every Linux that runs a JVM. */
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t dk_clock_coarse_ms(void) {
    return read_ns(CLOCK_MONOTONIC_COARSE) / 1000000;
}

int64_t dk_clock_coarse_step_ms(void) {
    struct timespec step;
    clock_getres(CLOCK_MONOTONIC_COARSE, &step);
    return (int64_t)step.tv_sec * 1000 + (step.tv_nsec + 999999) / 1000000;
}

int64_t dk_clock_ms(void) {
    return dk_clock_ns() / 1000000;
}

int64_t dk_clock_ns(void) {
    return read_ns(CLOCK_MONOTONIC);
}

int64_t dk_clock_wall_s(void) {
    return read_ns(CLOCK_REALTIME_COARSE) / 1000000000;
}

int64_t dk_clock_wall_ns(void) {
    return read_ns(CLOCK_REALTIME);
}
