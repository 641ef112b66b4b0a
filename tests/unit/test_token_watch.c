/* SPDX-License-Identifier: Apache-2.0 */
#include "token_watch.h"

#include "doorkeeper/http.h"

#include "support/temp_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    struct temp_dir dir;
    char path[TEMP_PATH_MAX];
    struct dk_config config;
    struct dk_log *log;
    struct dk_token_watch watch;
};

static void write_file(struct fixture *fixture, const char *text) {
    assert_true(temp_dir_write(&fixture->dir, "token", dk_bytes_of(text), fixture->path));
}

static int set_up(void **state) {
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    assert_true(temp_dir_make(&fixture->dir));
    write_file(fixture, "first\n");
    const struct dk_setting setting = {dk_bytes_of("doorkeeper.opa.token.file"),
                                       dk_bytes_of(fixture->path)};
    assert_int_equal(dk_config_parse(&setting, 1, &fixture->config, NULL), DK_OK);
    assert_int_equal(dk_log_new(64, &fixture->log), DK_OK);
    *state = fixture;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *fixture = *state;
    dk_token_watch_clean_up(&fixture->watch);
    dk_config_clean_up(&fixture->config);
    dk_log_destroy(fixture->log);
    temp_dir_remove(&fixture->dir);
    free(fixture);
    return 0;
}

static void begin(struct fixture *fixture) {
    struct dk_error_text why;
    if (dk_token_watch_init(&fixture->watch, &fixture->config, &why) != DK_OK) {
        fail_msg("%s", why.text);
    }
}

static void expect_token(const struct fixture *fixture, const char *token) {
    assert_true(dk_bytes_equal(dk_token_watch_token(&fixture->watch), dk_bytes_of(token)));
}

static bool look(struct fixture *fixture) {
    return dk_token_watch_look(&fixture->watch, fixture->log);
}

static size_t lines(struct fixture *fixture) {
    uint8_t records[8192];
    return dk_log_drain(fixture->log, records, sizeof(records), 0);
}

static void new_content_counts_once_it_was_seen_twice(void **state) {
    struct fixture *fixture = *state;
    begin(fixture);
    expect_token(fixture, "first");
    assert_false(look(fixture));
    write_file(fixture, "seco");
    assert_false(look(fixture));
    write_file(fixture, "second");
    assert_false(look(fixture));
    expect_token(fixture, "first");
    assert_true(look(fixture));
    expect_token(fixture, "second");
    assert_false(look(fixture));
    assert_false(look(fixture));
    write_file(fixture, "first\n");
    assert_false(look(fixture));
    assert_true(look(fixture));
    expect_token(fixture, "first");
}

static void white_space_around_a_token_is_no_part_of_it(void **state) {
    struct fixture *fixture = *state;
    write_file(fixture, "\t first \r\n");
    begin(fixture);
    expect_token(fixture, "first");
}

static void a_bad_file_keeps_the_last_good_token(void **state) {
    static const char *const bad[] = {"", "\n", "a b", "a\r\nX-Evil: 1", "\xc3\xa9", "a\x7f"};
    struct fixture *fixture = *state;
    begin(fixture);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        write_file(fixture, bad[i]);
        assert_false(look(fixture));
        assert_false(look(fixture));
        expect_token(fixture, "first");
    }
    assert_true(lines(fixture) > 0); /* said, but not each time */
    assert_int_equal(unlink(fixture->path), 0);
    assert_false(look(fixture));
    expect_token(fixture, "first");
    assert_int_equal(lines(fixture), 0);
}

static void a_bad_file_at_the_start_is_an_error(void **state) {
    struct fixture *fixture = *state;
    struct dk_error_text why = {""};
    write_file(fixture, "two words");
    assert_int_equal(dk_token_watch_init(&fixture->watch, &fixture->config, &why), DK_ERR_CONFIG);
    assert_non_null(strstr(why.text, "doorkeeper.opa.token.file"));
    assert_null(strstr(why.text, "two words"));
}

static void a_token_has_a_cap(void **state) {
    struct fixture *fixture = *state;
    static char token[DK_TOKEN_MAX + 2];
    memset(token, 't', DK_TOKEN_MAX);
    write_file(fixture, token);
    begin(fixture);
    expect_token(fixture, token);
    dk_token_watch_clean_up(&fixture->watch);
    token[DK_TOKEN_MAX] = 't';
    write_file(fixture, token);
    assert_int_equal(dk_token_watch_init(&fixture->watch, &fixture->config, NULL), DK_ERR_CONFIG);
}

int main(void) {
#define WITH_FILE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_FILE(new_content_counts_once_it_was_seen_twice),
        WITH_FILE(white_space_around_a_token_is_no_part_of_it),
        WITH_FILE(a_bad_file_keeps_the_last_good_token),
        WITH_FILE(a_bad_file_at_the_start_is_an_error),
        WITH_FILE(a_token_has_a_cap),
    };
    return cmocka_run_group_tests_name("token watch", tests, NULL, NULL);
}
