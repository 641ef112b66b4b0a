/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bounded queue of Dmitry Vyukov (1024cores.net, "Bounded MPMC queue"), with one consumer.
 *
 * Invariant: the slot of position P (P modulo the size) has sequence P while it is free for the
 * producer of P, and P + 1 while it holds the line of P. A producer takes a position by a
 * compare-exchange on `head`, fills the slot and releases it with P + 1; the consumer acquires
 * P + 1, copies, and releases the slot for the next round with P + size. The acquire/release pair
 * on `sequence` is the only thing that publishes a line; `head` orders nothing and is relaxed.
 *
 * Producers never wake the scribe, which would cost a system call: it looks every
 * SCRIBE_STEP_MS.
 */
#include "doorkeeper/log.h"

#include "doorkeeper/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SCRIBE_STEP_MS 50
#define LINE_HEADER 4u

struct slot {
    _Atomic uint64_t sequence;
    uint8_t target;
    uint8_t level;
    uint16_t len;
    char text[DK_LOG_LINE_MAX];
};

struct dk_log {
    struct slot *slots;
    uint64_t mask;
    _Alignas(64) _Atomic uint64_t head;
    _Alignas(64) _Atomic uint64_t dropped;
    uint64_t tail;         /* scribe only */
    uint64_t told_dropped; /* scribe only */
    int64_t next_told_ms;  /* scribe only */
    pthread_mutex_t lock;  /* for `closed`, and for the condition to wait on */
    pthread_cond_t on_close;
    bool closed;
};

static bool init_condition(pthread_cond_t *condition) {
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0) {
        return false;
    }
    bool ok = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
              pthread_cond_init(condition, &attributes) == 0;
    pthread_condattr_destroy(&attributes);
    return ok;
}

enum dk_error dk_log_new(size_t lines, struct dk_log **out) {
    size_t size = 2;
    while (size < lines) {
        size *= 2;
    }
    struct dk_log *log = aligned_alloc(_Alignof(struct dk_log), sizeof(*log));
    if (log == NULL) {
        return DK_ERR_MEMORY;
    }
    memset(log, 0, sizeof(*log));
    log->mask = size - 1;
    log->slots = calloc(size, sizeof(*log->slots));
    if (log->slots == NULL) {
        free(log);
        return DK_ERR_MEMORY;
    }
    if (pthread_mutex_init(&log->lock, NULL) != 0) {
        free(log->slots);
        free(log);
        return DK_ERR_SYSTEM;
    }
    if (!init_condition(&log->on_close)) {
        pthread_mutex_destroy(&log->lock);
        free(log->slots);
        free(log);
        return DK_ERR_SYSTEM;
    }
    for (size_t i = 0; i < size; i++) {
        atomic_init(&log->slots[i].sequence, i);
    }
    *out = log;
    return DK_OK;
}

void dk_log_destroy(struct dk_log *log) {
    if (log == NULL) {
        return;
    }
    pthread_cond_destroy(&log->on_close);
    pthread_mutex_destroy(&log->lock);
    free(log->slots);
    free(log);
}

size_t dk_log_memory_bytes(const struct dk_log *log) {
    return sizeof(*log) + (log->mask + 1) * sizeof(*log->slots);
}

uint64_t dk_log_dropped(const struct dk_log *log) {
    return atomic_load_explicit(&log->dropped, memory_order_relaxed);
}

/* Takes a position and its slot, or NULL if the ring is full. */
static struct slot *take_slot(struct dk_log *log, uint64_t *position) {
    uint64_t at = atomic_load_explicit(&log->head, memory_order_relaxed);
    for (;;) {
        struct slot *slot = &log->slots[at & log->mask];
        uint64_t sequence = atomic_load_explicit(&slot->sequence, memory_order_acquire);
        if (sequence == at) {
            if (atomic_compare_exchange_weak_explicit(&log->head, &at, at + 1, memory_order_relaxed,
                                                      memory_order_relaxed)) {
                *position = at;
                return slot;
            }
        } else if (sequence < at) {
            return NULL;
        } else {
            at = atomic_load_explicit(&log->head, memory_order_relaxed);
        }
    }
}

DK_PRINTF(5, 0)
static void write_line(struct dk_log *log, enum dk_log_target target, enum dk_log_level level,
                       uint64_t held_back, const char *format, va_list arguments) {
    uint64_t position;
    struct slot *slot = take_slot(log, &position);
    if (slot == NULL) {
        atomic_fetch_add_explicit(&log->dropped, 1, memory_order_relaxed);
        return;
    }
    int len = vsnprintf(slot->text, sizeof(slot->text), format, arguments);
    size_t written = len < 0 ? 0 : (size_t)len;
    if (written >= sizeof(slot->text)) {
        written = sizeof(slot->text) - 1;
    }
    if (held_back > 0 && written < sizeof(slot->text)) {
        len = snprintf(slot->text + written, sizeof(slot->text) - written,
                       " (%llu more like it since the last such line)",
                       (unsigned long long)held_back);
        written += len < 0 ? 0 : (size_t)len;
        if (written >= sizeof(slot->text)) {
            written = sizeof(slot->text) - 1;
        }
    }
    slot->target = (uint8_t)target;
    slot->level = (uint8_t)level;
    slot->len = (uint16_t)written;
    atomic_store_explicit(&slot->sequence, position + 1, memory_order_release);
}

void dk_log_write(struct dk_log *log, enum dk_log_target target, enum dk_log_level level,
                  const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    write_line(log, target, level, 0, format, arguments);
    va_end(arguments);
}

void dk_log_write_limited(struct dk_log *log, struct dk_log_limit *limit, enum dk_log_level level,
                          const char *format, ...) {
    int64_t now_ms = dk_clock_coarse_ms();
    int64_t next_ms = atomic_load_explicit(&limit->next_ms, memory_order_relaxed);
    if (now_ms < next_ms || !atomic_compare_exchange_strong_explicit(
                                &limit->next_ms, &next_ms, now_ms + DK_LOG_LIMIT_MS,
                                memory_order_relaxed, memory_order_relaxed)) {
        atomic_fetch_add_explicit(&limit->held_back, 1, memory_order_relaxed);
        return;
    }
    uint64_t held_back = atomic_exchange_explicit(&limit->held_back, 0, memory_order_relaxed);
    va_list arguments;
    va_start(arguments, format);
    write_line(log, DK_LOG_CORE, level, held_back, format, arguments);
    va_end(arguments);
}

static size_t put_line(uint8_t *out, uint8_t target, uint8_t level, const char *text, size_t len) {
    out[0] = target;
    out[1] = level;
    dk_write_u16(out + 2, (uint16_t)len);
    memcpy(out + LINE_HEADER, text, len);
    return LINE_HEADER + len;
}

static size_t tell_dropped(struct dk_log *log, uint8_t *out, size_t capacity) {
    uint64_t dropped = dk_log_dropped(log);
    int64_t now_ms = dk_clock_ms();
    if (dropped == log->told_dropped || now_ms < log->next_told_ms) {
        return 0;
    }
    char text[80];
    int len = snprintf(text, sizeof(text), "%llu log lines were lost: the ring was full",
                       (unsigned long long)(dropped - log->told_dropped));
    if (len < 0 || LINE_HEADER + (size_t)len > capacity) {
        return 0;
    }
    log->told_dropped = dropped;
    log->next_told_ms = now_ms + DK_LOG_LIMIT_MS;
    return put_line(out, DK_LOG_CORE, DK_LOG_WARN, text, (size_t)len);
}

static size_t take_lines(struct dk_log *log, uint8_t *out, size_t capacity) {
    size_t written = tell_dropped(log, out, capacity);
    for (;;) {
        struct slot *slot = &log->slots[log->tail & log->mask];
        if (atomic_load_explicit(&slot->sequence, memory_order_acquire) != log->tail + 1 ||
            LINE_HEADER + slot->len > capacity - written) {
            return written;
        }
        written += put_line(out + written, slot->target, slot->level, slot->text, slot->len);
        atomic_store_explicit(&slot->sequence, log->tail + log->mask + 1, memory_order_release);
        log->tail++;
    }
}

/* Returns false once the log is closed. */
static bool wait_a_step(struct dk_log *log, int64_t wait_ms) {
    int64_t until_ns = dk_clock_ns() + wait_ms * 1000000;
    struct timespec until = {(time_t)(until_ns / 1000000000), (long)(until_ns % 1000000000)};
    pthread_mutex_lock(&log->lock);
    int result = 0;
    while (!log->closed && result != ETIMEDOUT) {
        result = pthread_cond_timedwait(&log->on_close, &log->lock, &until);
    }
    bool open = !log->closed;
    pthread_mutex_unlock(&log->lock);
    return open;
}

size_t dk_log_drain(struct dk_log *log, uint8_t *out, size_t capacity, int timeout_ms) {
    int64_t end_ms = dk_clock_ms() + timeout_ms;
    for (;;) {
        size_t written = take_lines(log, out, capacity);
        int64_t left_ms = end_ms - dk_clock_ms();
        if (written > 0 || left_ms <= 0) {
            return written;
        }
        if (!wait_a_step(log, left_ms < SCRIBE_STEP_MS ? left_ms : SCRIBE_STEP_MS)) {
            return take_lines(log, out, capacity);
        }
    }
}

void dk_log_close(struct dk_log *log) {
    pthread_mutex_lock(&log->lock);
    log->closed = true;
    pthread_cond_broadcast(&log->on_close);
    pthread_mutex_unlock(&log->lock);
}
