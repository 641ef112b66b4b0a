/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file histogram.h
 * Latencies counted in slots whose width grows with the value, as HdrHistogram does it: a value
 * that is read back is at most 1/64 larger than the one that went in. Fixed size, no allocation.
 * One thread at a time.
 */
#ifndef DOORKEEPER_CLI_HISTOGRAM_H
#define DOORKEEPER_CLI_HISTOGRAM_H

#include <stdint.h>

/** What is larger (some 73 minutes in nanoseconds) is counted as this. */
#define DK_HISTOGRAM_VALUE_MAX ((UINT64_C(1) << 42) - 1)
#define DK_HISTOGRAM_SLOTS 2368u

/** Zeroed memory is an empty one. */
struct dk_histogram {
    uint64_t count;
    uint64_t sum;
    uint64_t max; /**< exact */
    uint64_t slots[DK_HISTOGRAM_SLOTS];
};

void dk_histogram_add(struct dk_histogram *histogram, uint64_t value);
/** Adds all that `from` has seen. */
void dk_histogram_merge(struct dk_histogram *into, const struct dk_histogram *from);
/** The value that `percent` (0 to 100) of all values do not exceed; 0 if there are none. */
uint64_t dk_histogram_percentile(const struct dk_histogram *histogram, double percent);
/** 0 if there are none. */
double dk_histogram_mean(const struct dk_histogram *histogram);

#endif
