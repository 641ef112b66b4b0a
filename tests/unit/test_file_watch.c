/* SPDX-License-Identifier: Apache-2.0 */
#include "file_watch.h"

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
    struct dk_file_watch watch;
};

static void write_file(struct fixture *fixture, const char *text) {
    assert_true(temp_dir_write(&fixture->dir, "file", dk_bytes_of(text), fixture->path));
}

static void configure(struct fixture *fixture, const char *path) {
    const struct dk_setting setting = {dk_bytes_of("doorkeeper.opa.ca.file"), dk_bytes_of(path)};
    const struct dk_setting both[] = {
        setting, {dk_bytes_of("doorkeeper.opa.url"), dk_bytes_of("https://opa")}};
    assert_int_equal(dk_config_parse(both, 2, &fixture->config, NULL), DK_OK);
}

static int set_up(void **state) {
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    assert_true(temp_dir_make(&fixture->dir));
    write_file(fixture, "one");
    *state = fixture;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *fixture = *state;
    dk_file_watch_clean_up(&fixture->watch);
    dk_config_clean_up(&fixture->config);
    temp_dir_remove(&fixture->dir);
    free(fixture);
    return 0;
}

static enum dk_error begin(struct fixture *fixture) {
    return dk_file_watch_init(&fixture->watch, &fixture->config, DK_FILE_CA, NULL);
}

static enum dk_file_news look(struct fixture *fixture) {
    return dk_file_watch_look(&fixture->watch, NULL);
}

static bool holds(const struct dk_writer *content, const char *text) {
    return dk_bytes_equal(dk_writer_view(content), dk_bytes_of(text));
}

static void new_content_is_news_once_it_was_seen_twice(void **state) {
    struct fixture *fixture = *state;
    configure(fixture, fixture->path);
    assert_int_equal(begin(fixture), DK_OK);
    assert_true(holds(&fixture->watch.current, "one"));
    assert_int_equal(look(fixture), DK_FILE_OLD);
    assert_int_equal(look(fixture), DK_FILE_OLD);
    write_file(fixture, "tw");
    assert_int_equal(look(fixture), DK_FILE_OLD);
    write_file(fixture, "two");
    assert_int_equal(look(fixture), DK_FILE_OLD);
    assert_int_equal(look(fixture), DK_FILE_NEW);
    assert_true(holds(&fixture->watch.seen, "two"));
    dk_file_watch_accept(&fixture->watch);
    assert_true(holds(&fixture->watch.current, "two"));
    assert_int_equal(look(fixture), DK_FILE_OLD);
    assert_int_equal(look(fixture), DK_FILE_OLD);
}

static void it_stays_news_until_it_is_accepted_or_gone(void **state) {
    struct fixture *fixture = *state;
    configure(fixture, fixture->path);
    assert_int_equal(begin(fixture), DK_OK);
    write_file(fixture, "bad");
    assert_int_equal(look(fixture), DK_FILE_OLD);
    assert_int_equal(look(fixture), DK_FILE_NEW);
    assert_int_equal(look(fixture), DK_FILE_NEW);
    assert_true(holds(&fixture->watch.current, "one"));
    write_file(fixture, "one");
    assert_int_equal(look(fixture), DK_FILE_OLD);
    assert_int_equal(look(fixture), DK_FILE_OLD);
}

static void a_file_that_is_away_is_said_and_forgiven(void **state) {
    struct fixture *fixture = *state;
    struct dk_error_text why = {""};
    configure(fixture, fixture->path);
    assert_int_equal(begin(fixture), DK_OK);
    assert_int_equal(unlink(fixture->path), 0);
    assert_int_equal(dk_file_watch_look(&fixture->watch, &why), DK_FILE_FAILED);
    assert_non_null(strstr(why.text, "doorkeeper.opa.ca.file="));
    assert_true(holds(&fixture->watch.current, "one"));
    dk_file_watch_clean_up(&fixture->watch);
    assert_int_equal(begin(fixture), DK_ERR_CONFIG);
}

static void no_file_is_never_news(void **state) {
    struct fixture *fixture = *state;
    configure(fixture, "");
    assert_int_equal(begin(fixture), DK_OK);
    assert_int_equal(look(fixture), DK_FILE_OLD);
    assert_int_equal(look(fixture), DK_FILE_OLD);
}

int main(void) {
#define WITH_FILE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_FILE(new_content_is_news_once_it_was_seen_twice),
        WITH_FILE(it_stays_news_until_it_is_accepted_or_gone),
        WITH_FILE(a_file_that_is_away_is_said_and_forgiven),
        WITH_FILE(no_file_is_never_news),
    };
    return cmocka_run_group_tests_name("file watch", tests, NULL, NULL);
}
