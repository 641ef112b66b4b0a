/* SPDX-License-Identifier: Apache-2.0 */
#include "record_ring.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SMALLEST 4096u
#define PRODUCERS 4u
#define RECORDS 20000u
#define LONGEST 600u

static struct dk_record_ring *new_ring(size_t bytes) {
    struct dk_record_ring *ring;
    assert_int_equal(dk_record_ring_new(bytes, &ring), DK_OK);
    return ring;
}

static bool put(struct dk_record_ring *ring, const void *bytes, size_t len) {
    const struct dk_bytes part = {bytes, len};
    return dk_record_ring_put(ring, &part, 1);
}

static void records_come_out_as_they_went_in(void **state) {
    (void)state;
    struct dk_record_ring *ring = new_ring(1);
    const struct dk_bytes parts[] = {dk_bytes_of("abc"), {NULL, 0}, dk_bytes_of("defgh")};
    struct dk_bytes record;
    assert_false(dk_record_ring_peek(ring, &record));
    assert_true(dk_record_ring_put(ring, parts, 3));
    assert_true(dk_record_ring_put(ring, NULL, 0));
    assert_true(dk_record_ring_peek(ring, &record));
    assert_true(dk_bytes_equal(record, dk_bytes_of("abcdefgh")));
    dk_record_ring_pop(ring);
    assert_true(dk_record_ring_peek(ring, &record));
    assert_int_equal(record.len, 0);
    dk_record_ring_pop(ring);
    assert_false(dk_record_ring_peek(ring, &record));
    dk_record_ring_destroy(ring);
}

static void a_full_ring_refuses_until_there_is_room(void **state) {
    (void)state;
    struct dk_record_ring *ring = new_ring(SMALLEST);
    uint8_t bytes[120] = {0};
    size_t taken = 0;
    while (put(ring, bytes, sizeof(bytes))) {
        taken++;
    }
    assert_int_equal(taken, SMALLEST / 128);
    struct dk_bytes record;
    assert_true(dk_record_ring_peek(ring, &record));
    dk_record_ring_pop(ring);
    assert_true(put(ring, bytes, sizeof(bytes)));
    assert_false(put(ring, bytes, 0));
    dk_record_ring_destroy(ring);
}

/* Wherever in the ring it would begin. */
static void the_largest_record_always_fits_into_an_empty_ring(void **state) {
    (void)state;
    struct dk_record_ring *ring = new_ring(SMALLEST);
    static uint8_t bytes[SMALLEST];
    struct dk_bytes record;
    for (size_t i = 0; i < 2 * SMALLEST; i++) {
        assert_true(put(ring, bytes, SMALLEST / 2 - 8));
        assert_true(dk_record_ring_peek(ring, &record));
        assert_int_equal(record.len, SMALLEST / 2 - 8);
        dk_record_ring_pop(ring);
        assert_true(put(ring, bytes, i % 3));
        assert_true(dk_record_ring_peek(ring, &record));
        dk_record_ring_pop(ring);
    }
    assert_false(put(ring, bytes, SMALLEST / 2 - 7));
    dk_record_ring_destroy(ring);
}

/* ---- many threads ------------------------------------------------------------------------ */

struct producer {
    pthread_t thread;
    struct dk_record_ring *ring;
    _Atomic unsigned *running;
    uint32_t id, put;
};

static void fill(uint8_t *record, size_t len, uint32_t id, uint32_t number) {
    dk_write_u32(record, id);
    dk_write_u32(record + 4, number);
    memset(record + 8, (int)(id * 31 + number), len - 8);
}

static size_t len_of(uint32_t id, uint32_t number) {
    return 8 + (id * 7919 + number * 104729) % (LONGEST - 8);
}

static void *produce(void *user) {
    struct producer *producer = user;
    uint8_t record[LONGEST];
    while (producer->put < RECORDS) {
        size_t len = len_of(producer->id, producer->put);
        fill(record, len, producer->id, producer->put);
        if (put(producer->ring, record, len)) {
            producer->put++;
        } else {
            sched_yield(); /* until the consumer has made room */
        }
    }
    atomic_fetch_sub(producer->running, 1);
    return NULL;
}

/* What every producer put comes out whole, once, and in its order. */
static void nothing_is_lost_or_mixed_between_threads(void **state) {
    (void)state;
    struct dk_record_ring *ring = new_ring(16384);
    struct producer producers[PRODUCERS];
    uint32_t next[PRODUCERS] = {0};
    _Atomic unsigned running = PRODUCERS;
    for (uint32_t i = 0; i < PRODUCERS; i++) {
        producers[i] = (struct producer){.ring = ring, .running = &running, .id = i};
        assert_int_equal(pthread_create(&producers[i].thread, NULL, produce, &producers[i]), 0);
    }
    bool more = true;
    while (more) {
        more = atomic_load(&running) > 0; /* before the look, so that none comes after the last */
        struct dk_bytes record;
        while (dk_record_ring_peek(ring, &record)) {
            uint8_t expected[LONGEST];
            uint32_t id = dk_read_u32(record.ptr);
            assert_in_range(id, 0, PRODUCERS - 1);
            size_t len = len_of(id, next[id]);
            fill(expected, len, id, next[id]++);
            assert_true(dk_bytes_equal(record, (struct dk_bytes){expected, len}));
            dk_record_ring_pop(ring);
        }
    }
    for (uint32_t i = 0; i < PRODUCERS; i++) {
        pthread_join(producers[i].thread, NULL);
        assert_int_equal(next[i], RECORDS);
    }
    dk_record_ring_destroy(ring);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_come_out_as_they_went_in),
        cmocka_unit_test(a_full_ring_refuses_until_there_is_room),
        cmocka_unit_test(the_largest_record_always_fits_into_an_empty_ring),
        cmocka_unit_test(nothing_is_lost_or_mixed_between_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
