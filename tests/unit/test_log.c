/* SPDX-License-Identifier: Apache-2.0 */
#include "doorkeeper/clock.h"
#include "doorkeeper/log.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct dk_log *new_log(size_t lines) {
    struct dk_log *log = NULL;
    assert_int_equal(dk_log_new(lines, &log), DK_OK);
    return log;
}

/* One line off the front of what drain gave; its text with a NUL. */
static size_t take_line(const uint8_t *ptr, uint8_t *target, uint8_t *level, char text[1024]) {
    size_t len = dk_read_u16(ptr + 2);
    *target = ptr[0];
    *level = ptr[1];
    memcpy(text, ptr + 4, len);
    text[len] = '\0';
    return 4 + len;
}

static void lines_come_out_in_order(void **state) {
    (void)state;
    struct dk_log *log = new_log(8);
    uint8_t out[4096], target, level;
    char text[1024];
    dk_log_write(log, DK_LOG_CORE, DK_LOG_INFO, "one %d", 1);
    dk_log_write(log, DK_LOG_AUDIT, DK_LOG_DEBUG, "two");
    size_t len = dk_log_drain(log, out, sizeof(out), 0);
    size_t first = take_line(out, &target, &level, text);
    assert_int_equal(target, DK_LOG_CORE);
    assert_int_equal(level, DK_LOG_INFO);
    assert_string_equal(text, "one 1");
    assert_int_equal(first + take_line(out + first, &target, &level, text), len);
    assert_int_equal(target, DK_LOG_AUDIT);
    assert_int_equal(level, DK_LOG_DEBUG);
    assert_string_equal(text, "two");
    assert_int_equal(dk_log_drain(log, out, sizeof(out), 0), 0);
    dk_log_destroy(log);
}

static void a_full_ring_drops_counts_and_says_so(void **state) {
    (void)state;
    struct dk_log *log = new_log(4);
    uint8_t out[4096], target, level;
    char text[1024];
    for (int i = 0; i < 10; i++) {
        dk_log_write(log, DK_LOG_CORE, DK_LOG_INFO, "line %d", i);
    }
    assert_int_equal(dk_log_dropped(log), 6);
    assert_true(dk_log_drain(log, out, sizeof(out), 0) > 0);
    take_line(out, &target, &level, text);
    assert_string_equal(text, "6 log lines were lost: the ring was full");
    dk_log_write(log, DK_LOG_CORE, DK_LOG_INFO, "later");
    dk_log_drain(log, out, sizeof(out), 0);
    take_line(out, &target, &level, text);
    assert_string_equal(text, "later");
    dk_log_destroy(log);
}

static void a_long_line_is_cut(void **state) {
    (void)state;
    struct dk_log *log = new_log(4);
    uint8_t out[4096], target, level;
    char text[1024], longer[3000];
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    dk_log_write(log, DK_LOG_CORE, DK_LOG_INFO, "%s", longer);
    assert_true(dk_log_drain(log, out, sizeof(out), 0) > 0);
    take_line(out, &target, &level, text);
    assert_int_equal(strlen(text), DK_LOG_LINE_MAX - 1);
    dk_log_destroy(log);
}

static void only_whole_lines_are_given(void **state) {
    (void)state;
    struct dk_log *log = new_log(4);
    uint8_t out[16];
    dk_log_write(log, DK_LOG_CORE, DK_LOG_INFO, "12345678");
    dk_log_write(log, DK_LOG_CORE, DK_LOG_INFO, "abcdefgh");
    assert_int_equal(dk_log_drain(log, out, sizeof(out), 0), 12);
    assert_int_equal(dk_log_drain(log, out, sizeof(out), 0), 12);
    dk_log_destroy(log);
}

static void a_repeated_line_is_held_back(void **state) {
    (void)state;
    struct dk_log *log = new_log(16);
    struct dk_log_limit limit = {0};
    uint8_t out[4096], target, level;
    char text[1024];
    for (int i = 0; i < 5; i++) {
        dk_log_write_limited(log, &limit, DK_LOG_WARN, "again");
    }
    assert_int_equal(dk_log_drain(log, out, sizeof(out), 0), 9);
    limit.next_ms = 0;
    dk_log_write_limited(log, &limit, DK_LOG_WARN, "again");
    dk_log_drain(log, out, sizeof(out), 0);
    take_line(out, &target, &level, text);
    assert_string_equal(text, "again (4 more like it since the last such line)");
    dk_log_destroy(log);
}

static void *write_many(void *argument) {
    for (int i = 0; i < 20000; i++) {
        dk_log_write(argument, DK_LOG_CORE, DK_LOG_INFO, "line");
    }
    return NULL;
}

static void nothing_is_lost_uncounted(void **state) {
    (void)state;
    struct dk_log *log = new_log(64);
    pthread_t writers[3];
    uint8_t out[16384];
    size_t lines = 0;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&writers[i], NULL, write_many, log), 0);
    }
    for (size_t i = 0; i < 3; i++) {
        pthread_join(writers[i], NULL);
    }
    size_t len;
    while ((len = dk_log_drain(log, out, sizeof(out), 0)) > 0) {
        for (size_t at = 0; at < len; at += 4 + dk_read_u16(out + at + 2)) {
            lines += dk_read_u16(out + at + 2) == strlen("line");
        }
    }
    assert_int_equal(lines + dk_log_dropped(log), 60000);
    dk_log_destroy(log);
}

static void *close_it(void *argument) {
    dk_log_close(argument);
    return NULL;
}

static void closing_ends_a_waiting_drain(void **state) {
    (void)state;
    struct dk_log *log = new_log(4);
    uint8_t out[64];
    pthread_t closer;
    int64_t start_ms = dk_clock_ms();
    assert_int_equal(pthread_create(&closer, NULL, close_it, log), 0);
    assert_int_equal(dk_log_drain(log, out, sizeof(out), 600000), 0);
    assert_true(dk_clock_ms() - start_ms < 600000);
    pthread_join(closer, NULL);
    dk_log_destroy(log);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_come_out_in_order),
        cmocka_unit_test(a_full_ring_drops_counts_and_says_so),
        cmocka_unit_test(a_long_line_is_cut),
        cmocka_unit_test(only_whole_lines_are_given),
        cmocka_unit_test(a_repeated_line_is_held_back),
        cmocka_unit_test(nothing_is_lost_uncounted),
        cmocka_unit_test(closing_ends_a_waiting_drain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
