/* SPDX-License-Identifier: Apache-2.0 */
#include "histogram.h"

#include <math.h>

/* Values below EXACT have a slot each; above, each doubling is divided into HALF slots. */
#define HALF 64u
#define EXACT (2 * HALF)

_Static_assert(DK_HISTOGRAM_SLOTS == EXACT + 35u * HALF, "2^42 is 35 doublings above 2^7");

static unsigned slot_of(uint64_t value) {
    unsigned doublings = 0;
    while (value >> doublings >= EXACT) {
        doublings++;
    }
    return doublings * HALF + (unsigned)(value >> doublings);
}

/* The largest value that is counted in a slot. */
static uint64_t end_of(unsigned slot) {
    if (slot < EXACT) {
        return slot;
    }
    unsigned doublings = slot / HALF - 1;
    uint64_t front = slot - doublings * HALF;
    return ((front + 1) << doublings) - 1;
}

void dk_histogram_add(struct dk_histogram *histogram, uint64_t value) {
    if (value > DK_HISTOGRAM_VALUE_MAX) {
        value = DK_HISTOGRAM_VALUE_MAX;
    }
    histogram->slots[slot_of(value)]++;
    histogram->count++;
    histogram->sum += value;
    histogram->max = value > histogram->max ? value : histogram->max;
}

void dk_histogram_merge(struct dk_histogram *into, const struct dk_histogram *from) {
    for (unsigned i = 0; i < DK_HISTOGRAM_SLOTS; i++) {
        into->slots[i] += from->slots[i];
    }
    into->count += from->count;
    into->sum += from->sum;
    into->max = from->max > into->max ? from->max : into->max;
}

uint64_t dk_histogram_percentile(const struct dk_histogram *histogram, double percent) {
    double wanted = ceil((double)histogram->count * percent / 100);
    uint64_t seen = 0;
    for (unsigned i = 0; i < DK_HISTOGRAM_SLOTS; i++) {
        seen += histogram->slots[i];
        if (seen > 0 && (double)seen >= wanted) {
            return end_of(i) < histogram->max ? end_of(i) : histogram->max;
        }
    }
    return histogram->max;
}

double dk_histogram_mean(const struct dk_histogram *histogram) {
    return histogram->count == 0 ? 0 : (double)histogram->sum / (double)histogram->count;
}
