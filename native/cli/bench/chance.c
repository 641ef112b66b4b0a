/* SPDX-License-Identifier: Apache-2.0 */
#include "chance.h"

#include <math.h>
#include <stdlib.h>

#define GOLDEN UINT64_C(0x9e3779b97f4a7c15)

static uint64_t mix(uint64_t value) {
    value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
    return value ^ value >> 31;
}

struct dk_random dk_random_of(uint64_t seed, uint64_t number) {
    return (struct dk_random){mix(mix(seed + GOLDEN) ^ (number + 1) * GOLDEN)};
}

uint64_t dk_random_next(struct dk_random *random) {
    random->state += GOLDEN;
    return mix(random->state);
}

uint32_t dk_random_below(struct dk_random *random, uint32_t end) {
    return (uint32_t)((dk_random_next(random) >> 32) * end >> 32);
}

double dk_random_unit(struct dk_random *random) {
    return (double)(dk_random_next(random) >> 11) * 0x1p-53;
}

/* Walker's alias method: a pick looks at one column, which is divided between two numbers. */
struct column {
    double own; /* the share of the column's own number; the rest is that of `other` */
    uint32_t other;
};

struct dk_zipf {
    uint32_t count;
    struct column columns[];
};

/* Columns that are too full give to those that are too empty (Vose). `waiting` has room for all. */
static void level(struct dk_zipf *zipf, uint32_t *waiting) {
    uint32_t empty = 0, full = zipf->count;
    for (uint32_t i = 0; i < zipf->count; i++) {
        waiting[zipf->columns[i].own < 1 ? empty++ : --full] = i;
    }
    while (empty > 0 && full < zipf->count) {
        struct column *taker = &zipf->columns[waiting[--empty]];
        uint32_t giver = waiting[full];
        taker->other = giver;
        zipf->columns[giver].own -= 1 - taker->own;
        if (zipf->columns[giver].own < 1) {
            full++;
            waiting[empty++] = giver;
        }
    }
    while (empty > 0) {
        zipf->columns[waiting[--empty]].own = 1; /* what rounding has left */
    }
}

enum dk_error dk_zipf_new(uint32_t count, double exponent, struct dk_zipf **out) {
    *out = NULL;
    struct dk_zipf *zipf = malloc(sizeof(*zipf) + count * sizeof(zipf->columns[0]));
    uint32_t *waiting = malloc(count * sizeof(*waiting));
    if (zipf == NULL || waiting == NULL) {
        free(zipf);
        free(waiting);
        return DK_ERR_MEMORY;
    }
    double sum = 0;
    zipf->count = count;
    for (uint32_t i = 0; i < count; i++) {
        zipf->columns[i] = (struct column){pow(i + 1.0, -exponent), i};
        sum += zipf->columns[i].own;
    }
    for (uint32_t i = 0; i < count; i++) {
        zipf->columns[i].own *= count / sum;
    }
    level(zipf, waiting);
    free(waiting);
    *out = zipf;
    return DK_OK;
}

void dk_zipf_destroy(struct dk_zipf *zipf) {
    free(zipf);
}

uint32_t dk_zipf_pick(const struct dk_zipf *zipf, struct dk_random *random) {
    uint64_t bits = dk_random_next(random);
    uint32_t column = (uint32_t)((bits >> 32) * zipf->count >> 32);
    double coin = (double)(uint32_t)bits * 0x1p-32;
    return coin < zipf->columns[column].own ? column : zipf->columns[column].other;
}
