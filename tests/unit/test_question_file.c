/* SPDX-License-Identifier: Apache-2.0 */
/* Questions in a file: the format, and what is left of a file that is broken. */
#include "question_file.h"

#include "doorkeeper/file.h"

#include "support/records.h"
#include "support/temp_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define FIELDS 5u
#define MAX_BYTES ((size_t)1 << 20)

struct fixture {
    struct temp_dir dir;
    char path[TEMP_PATH_MAX];
    struct dk_question_directory *directory;
    struct dk_writer content;
};

static struct dk_question_directory *new_directory(void) {
    struct dk_question_directory *directory = NULL;
    struct dk_hash_key key = {1, 2};
    assert_int_equal(dk_question_directory_new(&key, MAX_BYTES, &directory), DK_OK);
    return directory;
}

static void put(struct dk_question_directory *directory, const char *principal, const char *name) {
    struct dk_writer context_record;
    struct dk_writer request_record;
    struct dk_context context;
    struct dk_action action;
    dk_writer_init(&context_record, DK_CONTEXT_MAX);
    dk_writer_init(&request_record, DK_NAME_MAX + 64);
    write_context(&context_record, "cluster-1", principal, 0);
    write_action(&request_record, name);
    struct dk_bytes rest = dk_writer_view(&request_record);
    assert_int_equal(dk_context_parse(dk_writer_view(&context_record), &context), DK_OK);
    assert_int_equal(dk_action_parse(&rest, &action), DK_OK);
    assert_true(dk_question_directory_put(directory, &context, &action, NULL));
    dk_writer_clean_up(&context_record);
    dk_writer_clean_up(&request_record);
}

static int set_up(void **state) {
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    *state = fixture;
    assert_true(temp_dir_make(&fixture->dir));
    temp_dir_path(&fixture->dir, "questions", fixture->path);
    fixture->directory = new_directory();
    put(fixture->directory, "alice", "orders");
    put(fixture->directory, "alice", "a\xc3\xa9");
    put(fixture->directory, "bob", NULL);
    put(fixture->directory, "carol", "");
    dk_writer_init(&fixture->content, MAX_BYTES);
    return 0;
}

static int tear_down(void **state) {
    struct fixture *fixture = *state;
    temp_dir_remove(&fixture->dir);
    dk_question_directory_destroy(fixture->directory);
    dk_writer_clean_up(&fixture->content);
    free(fixture);
    return 0;
}

static void write_and_read(struct fixture *fixture) {
    struct dk_error_text why = {""};
    if (dk_question_file_write(fixture->path, FIELDS, fixture->directory, &why) != DK_OK) {
        fail_msg("%s", why.text);
    }
    dk_writer_reset(&fixture->content);
    assert_int_equal(dk_file_read(fixture->path, &fixture->content, &why), DK_OK);
}

/* Puts all that stands in the groups into a directory. */
static size_t take_all(struct dk_bytes groups, struct dk_question_directory *directory) {
    struct dk_context context;
    struct dk_bytes request;
    size_t taken = 0;
    while (dk_question_file_next(&groups, &context, &request)) {
        taken++;
        while (request.len > 0) {
            struct dk_action action;
            assert_int_equal(dk_action_parse(&request, &action), DK_OK);
            assert_true(dk_question_directory_put(directory, &context, &action, NULL));
        }
    }
    assert_int_equal(groups.len, 0);
    return taken;
}

static void what_is_written_is_read(void **state) {
    struct fixture *fixture = *state;
    struct dk_bytes groups;
    struct dk_error_text why = {""};
    struct stat status;
    write_and_read(fixture);
    assert_int_equal(
        dk_question_file_check(dk_writer_view(&fixture->content), FIELDS, &groups, &why), DK_OK);
    struct dk_question_directory *again = new_directory();
    assert_int_equal(take_all(groups, again), 3);
    assert_int_equal(dk_question_directory_count(again), 4);
    assert_int_equal(dk_question_directory_bytes(again),
                     dk_question_directory_bytes(fixture->directory));
    /* Written again it is the same file, in the same order. */
    struct dk_writer first = fixture->content;
    dk_writer_init(&fixture->content, MAX_BYTES);
    dk_question_directory_destroy(fixture->directory);
    fixture->directory = again;
    write_and_read(fixture);
    assert_true(dk_bytes_equal(dk_writer_view(&first), dk_writer_view(&fixture->content)));
    dk_writer_clean_up(&first);
    assert_int_equal(stat(fixture->path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
}

static void nothing_is_a_file_too(void **state) {
    struct fixture *fixture = *state;
    struct dk_bytes groups;
    struct dk_error_text why = {""};
    dk_question_directory_destroy(fixture->directory);
    fixture->directory = new_directory();
    write_and_read(fixture);
    assert_int_equal(
        dk_question_file_check(dk_writer_view(&fixture->content), FIELDS, &groups, &why), DK_OK);
    assert_int_equal(groups.len, 0);
}

/* More than is written at once. */
static void a_large_directory_goes_through(void **state) {
    struct fixture *fixture = *state;
    struct dk_bytes groups;
    struct dk_error_text why = {""};
    char name[1001];
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    for (unsigned i = 0; i < 500; i++) {
        char principal[16];
        snprintf(principal, sizeof(principal), "p-%u", i % 7);
        snprintf(name, 8, "%07u", i);
        name[7] = 'n';
        put(fixture->directory, principal, name);
    }
    write_and_read(fixture);
    assert_int_equal(
        dk_question_file_check(dk_writer_view(&fixture->content), FIELDS, &groups, &why), DK_OK);
    struct dk_question_directory *again = new_directory();
    assert_int_equal(take_all(groups, again), 3 + 7);
    assert_int_equal(dk_question_directory_count(again), 504);
    dk_question_directory_destroy(again);
}

/* Wherever it ends: what is whole is used, and what is missing is said. */
static void a_file_may_end_anywhere(void **state) {
    struct fixture *fixture = *state;
    write_and_read(fixture);
    size_t whole = fixture->content.len;
    size_t most = 0;
    for (size_t len = 0; len < whole; len++) {
        struct dk_bytes groups;
        struct dk_error_text why = {""};
        uint8_t *copy = malloc(len > 0 ? len : 1); /* so that ASan sees a read behind the end */
        assert_non_null(copy);
        memcpy(copy, fixture->content.ptr, len);
        enum dk_error error =
            dk_question_file_check((struct dk_bytes){copy, len}, FIELDS, &groups, &why);
        struct dk_question_directory *directory = new_directory();
        size_t taken = take_all(groups, directory);
        bool at_an_end = len >= 16 && groups.len == len - 16;
        assert_int_equal(error, at_an_end ? DK_OK : DK_ERR_MALFORMED);
        assert_true(at_an_end == (why.text[0] == '\0'));
        assert_true(taken >= most && taken <= most + 1 && taken < 3);
        most = taken;
        dk_question_directory_destroy(directory);
        free(copy);
    }
    assert_int_equal(most, 2);
}

static void expect_refused(struct dk_bytes content, enum dk_error error, const char *text) {
    struct dk_bytes groups;
    struct dk_error_text why = {""};
    assert_int_equal(dk_question_file_check(content, FIELDS, &groups, &why), error);
    assert_int_equal(groups.len, 0);
    assert_string_equal(why.text, text);
}

static void other_files_are_refused_as_a_whole(void **state) {
    struct fixture *fixture = *state;
    write_and_read(fixture);
    struct dk_bytes content = dk_writer_view(&fixture->content);
    uint8_t *bytes = fixture->content.ptr;
    expect_refused((struct dk_bytes){NULL, 0}, DK_ERR_MALFORMED, "not a file of questions");
    bytes[0] = 'd';
    expect_refused(content, DK_ERR_MALFORMED, "not a file of questions");
    bytes[0] = 'D';
    bytes[8] = 2;
    expect_refused(content, DK_ERR_STALE, "its format has version 2, this release reads 1");
    bytes[8] = 1;
    bytes[12] = FIELDS + 1;
    expect_refused(content, DK_ERR_STALE,
                   "its questions have other fields than doorkeeper.question.fields says now");
}

/* Each byte, changed: never more than there was, and nothing is read that is not a question. */
static void garbage_is_never_more_than_other_questions(void **state) {
    struct fixture *fixture = *state;
    write_and_read(fixture);
    for (size_t i = 16; i < fixture->content.len; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            struct dk_bytes groups;
            struct dk_error_text why = {""};
            fixture->content.ptr[i] ^= (uint8_t)(1u << bit);
            enum dk_error error =
                dk_question_file_check(dk_writer_view(&fixture->content), FIELDS, &groups, &why);
            struct dk_question_directory *directory = new_directory();
            assert_true(take_all(groups, directory) <= 3);
            assert_true((error == DK_OK) == (groups.len == fixture->content.len - 16));
            dk_question_directory_destroy(directory);
            fixture->content.ptr[i] ^= (uint8_t)(1u << bit);
        }
    }
}

static void expect_unwritable(struct fixture *fixture, const char *path, const char *text) {
    struct dk_error_text why = {""};
    assert_int_equal(dk_question_file_write(path, FIELDS, fixture->directory, &why), DK_ERR_SYSTEM);
    assert_string_equal(why.text, text);
}

static void what_cannot_be_written_leaves_no_trace(void **state) {
    struct fixture *fixture = *state;
    char path[TEMP_PATH_MAX + 8];
    expect_unwritable(fixture, "/nowhere/questions",
                      "it cannot be written: No such file or directory");
    /* Where a directory stands, nothing can be renamed to. */
    assert_int_equal(mkdir(fixture->path, 0700), 0);
    expect_unwritable(fixture, fixture->path, "it cannot be written: Is a directory");
    snprintf(path, sizeof(path), "%s.tmp", fixture->path);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_equal(rmdir(fixture->path), 0);
}

/* A failed write keeps the file that is there. */
static void a_failed_write_leaves_the_earlier_file(void **state) {
    struct fixture *fixture = *state;
    char path[TEMP_PATH_MAX + 8];
    write_and_read(fixture);
    struct dk_writer before = fixture->content;
    dk_writer_init(&fixture->content, MAX_BYTES);
    snprintf(path, sizeof(path), "%s.tmp", fixture->path);
    assert_int_equal(mkdir(path, 0700), 0);
    expect_unwritable(fixture, fixture->path, "it cannot be written: File exists");
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(dk_file_read(fixture->path, &fixture->content, NULL), DK_OK);
    assert_true(dk_bytes_equal(dk_writer_view(&before), dk_writer_view(&fixture->content)));
    dk_writer_clean_up(&before);
}

/* Somebody may have put a link where the new file is written first. */
static void a_link_is_not_followed(void **state) {
    struct fixture *fixture = *state;
    char other[TEMP_PATH_MAX];
    char link_path[TEMP_PATH_MAX + 8];
    struct dk_writer content;
    assert_true(temp_dir_write(&fixture->dir, "other", dk_bytes_of("other"), other));
    snprintf(link_path, sizeof(link_path), "%s.tmp", fixture->path);
    assert_int_equal(symlink(other, link_path), 0);
    write_and_read(fixture);
    dk_writer_init(&content, 100);
    assert_int_equal(dk_file_read(other, &content, NULL), DK_OK);
    assert_true(dk_bytes_equal(dk_writer_view(&content), dk_bytes_of("other")));
    dk_writer_clean_up(&content);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(what_is_written_is_read),
        TEST(nothing_is_a_file_too),
        TEST(a_large_directory_goes_through),
        TEST(a_file_may_end_anywhere),
        TEST(other_files_are_refused_as_a_whole),
        TEST(garbage_is_never_more_than_other_questions),
        TEST(what_cannot_be_written_leaves_no_trace),
        TEST(a_failed_write_leaves_the_earlier_file),
        TEST(a_link_is_not_followed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
