/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file clock.h
 * The clocks of the core. Wait-free, any thread.
 */
#ifndef DOORKEEPER_CLOCK_H
#define DOORKEEPER_CLOCK_H

#include <stdint.h>

/**
 * Milliseconds of the coarse monotonic clock (about 6 ns to read). It may lag behind
 * dk_clock_ms() by dk_clock_coarse_step_ms(), never run ahead of it: who stores a deadline to be
 * compared with it takes one step off.
 */
int64_t dk_clock_coarse_ms(void);
int64_t dk_clock_coarse_step_ms(void);

/** Milliseconds and nanoseconds of the precise monotonic clock. */
int64_t dk_clock_ms(void);
int64_t dk_clock_ns(void);

/** Seconds since 1970 (coarse), for the validity of certificates only. */
int64_t dk_clock_wall_s(void);
/** Nanoseconds since 1970, for people to read. */
int64_t dk_clock_wall_ns(void);

#endif
