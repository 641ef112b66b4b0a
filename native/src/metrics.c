/* SPDX-License-Identifier: Apache-2.0 */
#include "doorkeeper/metrics.h"

#include <stdatomic.h>
#include <stdlib.h>

/* Counters stand alone and publish nothing, so every access is relaxed. Shards keep request threads
 * from passing one cache line around. */
#define SHARDS 16u

struct shard {
    _Alignas(64) _Atomic uint64_t counters[DK_METRIC_COUNT];
};

struct dk_metrics {
    struct shard shards[SHARDS];
};

enum dk_error dk_metrics_new(struct dk_metrics **out) {
    struct dk_metrics *metrics = aligned_alloc(_Alignof(struct dk_metrics), sizeof(*metrics));
    if (metrics == NULL) {
        return DK_ERR_MEMORY;
    }
    for (size_t i = 0; i < SHARDS; i++) {
        for (size_t j = 0; j < DK_METRIC_COUNT; j++) {
            atomic_init(&metrics->shards[i].counters[j], 0);
        }
    }
    *out = metrics;
    return DK_OK;
}

void dk_metrics_destroy(struct dk_metrics *metrics) {
    free(metrics);
}

/* Stacks of different threads lie megabytes apart, so the address of a local tells threads apart
 * without thread-local storage. A bad spread costs time, never a count. */
static size_t shard_of_this_thread(void) {
    char local;
    uint64_t page = (uint64_t)(uintptr_t)&local >> 16;
    return (size_t)((page * UINT64_C(0x9e3779b97f4a7c15)) >> 60);
}

_Static_assert(SHARDS == 16, "shard_of_this_thread yields four bits");

void dk_metrics_add(struct dk_metrics *metrics, enum dk_metric metric, uint64_t amount) {
    struct shard *shard = &metrics->shards[shard_of_this_thread()];
    atomic_fetch_add_explicit(&shard->counters[metric], amount, memory_order_relaxed);
}

uint64_t dk_metrics_read(const struct dk_metrics *metrics, enum dk_metric metric) {
    uint64_t sum = 0;
    for (size_t i = 0; i < SHARDS; i++) {
        sum += atomic_load_explicit(&metrics->shards[i].counters[metric], memory_order_relaxed);
    }
    return sum;
}

static const struct {
    const char *name;
    const char *help;
} texts[] = {
#define DK_METRIC_TEXT(constant, name, help) {name, help},
    DK_METRICS(DK_METRIC_TEXT)
#undef DK_METRIC_TEXT
};

const char *dk_metric_name(enum dk_metric metric) {
    return texts[metric].name;
}

const char *dk_metric_help(enum dk_metric metric) {
    return texts[metric].help;
}
