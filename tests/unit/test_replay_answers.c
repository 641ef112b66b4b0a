/* SPDX-License-Identifier: Apache-2.0 */
/* Answers that outlive a run, and what they are bound to. */
#include "replay_answers.h"

#include "doorkeeper/file.h"

#include "support/temp_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct temp_dir dir;
static char path[TEMP_PATH_MAX];

static int set_up(void **state) {
    (void)state;
    assert_true(temp_dir_make(&dir));
    temp_dir_path(&dir, "answers", path);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    temp_dir_remove(&dir);
    return 0;
}

static struct dk_replay_answers *open_answers(void) {
    struct dk_replay_answers *answers;
    struct dk_error_text why = {""};
    if (dk_replay_answers_open(path, &answers, &why) != DK_OK) {
        fail_msg("%s", why.text);
    }
    return answers;
}

static const uint8_t *digest(uint8_t number) {
    static uint8_t bytes[DK_DIGEST_LEN];
    memset(bytes, number, sizeof(bytes));
    return bytes;
}

static void expect(const struct dk_replay_answers *answers, uint8_t number, enum dk_outcome outcome,
                   uint64_t other) {
    struct dk_replay_result result;
    assert_true(dk_replay_answers_find(answers, digest(number), &result));
    assert_int_equal(result.outcome, outcome);
    assert_true(result.other == other);
}

static void write_three(void) {
    struct dk_replay_answers *answers = open_answers();
    assert_true(dk_replay_answers_add(answers, digest(1), (struct dk_replay_result){DK_ALLOW, 0}));
    assert_true(dk_replay_answers_add(answers, digest(2), (struct dk_replay_result){DK_DENY, 0}));
    assert_true(dk_replay_answers_add(
        answers, digest(0xfe),
        (struct dk_replay_result){DK_UNDEFINED, UINT64_C(0xfedcba9876543210)}));
    assert_true(dk_replay_answers_add(answers, digest(1), (struct dk_replay_result){DK_DENY, 0}));
    assert_true(dk_replay_answers_close(answers));
}

static void answers_are_there_again(void **state) {
    (void)state;
    struct dk_replay_result result;
    write_three();
    struct dk_replay_answers *answers = open_answers();
    expect(answers, 1, DK_ALLOW, 0);
    expect(answers, 2, DK_DENY, 0);
    expect(answers, 0xfe, DK_UNDEFINED, UINT64_C(0xfedcba9876543210));
    assert_false(dk_replay_answers_find(answers, digest(3), &result));
    assert_true(dk_replay_answers_close(answers));
    assert_true(dk_replay_answers_close(NULL));
}

static size_t count_found(const struct dk_replay_answers *answers) {
    static const uint8_t numbers[] = {1, 2, 0xfe};
    struct dk_replay_result result;
    size_t found = 0;
    for (size_t i = 0; i < sizeof(numbers); i++) {
        found += dk_replay_answers_find(answers, digest(numbers[i]), &result);
    }
    return found;
}

/* A run that was killed leaves any piece of the file, and the next one adds to it. */
static void a_file_may_be_cut_anywhere(void **state) {
    (void)state;
    struct dk_writer text;
    write_three();
    dk_writer_init(&text, 4096);
    assert_int_equal(dk_file_read(path, &text, NULL), DK_OK);
    size_t line = text.len / 3 - 10;
    for (size_t len = 0; len < text.len; len++) {
        assert_true(temp_dir_write(&dir, "answers", (struct dk_bytes){text.ptr, len}, path));
        struct dk_replay_answers *answers = open_answers();
        size_t found = count_found(answers);
        assert_true(found <= len / line);
        assert_true(
            dk_replay_answers_add(answers, digest(9), (struct dk_replay_result){DK_DENY, 7}));
        assert_true(dk_replay_answers_close(answers));
        answers = open_answers();
        expect(answers, 9, DK_DENY, 7);
        /* Where nothing but the end of a line was missing, it is there now. */
        assert_in_range(count_found(answers), found, found + 1);
        assert_true(count_found(answers) == found || text.ptr[len] == '\n');
        assert_true(dk_replay_answers_close(answers));
    }
    dk_writer_clean_up(&text);
}

#define DIGEST_TEXT "0101010101010101010101010101010101010101010101010101010101010101"

static void what_is_no_answer_is_passed_over(void **state) {
    (void)state;
    static const char *const lines[] = {
        "\n",
        "ALLOW\n",
        DIGEST_TEXT "\n",
        DIGEST_TEXT " ALLOW\n",
        DIGEST_TEXT " MAYBE 0000000000000000\n",
        DIGEST_TEXT " UNAVAILABLE 0000000000000000\n",
        DIGEST_TEXT " ALLOW 0000000000000000 more\n",
        DIGEST_TEXT " ALLOW 00000000000000000\n",
        DIGEST_TEXT " ALLOW zero\n",
        DIGEST_TEXT " ALLOW 000000000000000\n",
        "X" DIGEST_TEXT " ALLOW 0000000000000000\n",
        DIGEST_TEXT "01 ALLOW 0000000000000000\n",
    };
    struct dk_replay_result result;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        assert_true(temp_dir_write(&dir, "answers", dk_bytes_of(lines[i]), path));
        struct dk_replay_answers *answers = open_answers();
        assert_false(dk_replay_answers_find(answers, digest(1), &result));
        assert_true(dk_replay_answers_close(answers));
    }
    assert_true(temp_dir_write(&dir, "answers",
                               dk_bytes_of(DIGEST_TEXT " ALLOW 0000000000000000\n"), path));
    struct dk_replay_answers *answers = open_answers();
    expect(answers, 1, DK_ALLOW, 0);
    assert_true(dk_replay_answers_close(answers));
}

static void a_file_that_cannot_be_opened_is_said(void **state) {
    (void)state;
    struct dk_replay_answers *answers;
    struct dk_error_text why;
    assert_int_equal(dk_replay_answers_open("/nowhere/answers", &answers, &why), DK_ERR_SYSTEM);
    assert_string_equal(why.text, "/nowhere/answers: No such file or directory");
}

/* ---- bundles ----------------------------------------------------------------------------- */

static bool same(const char *bundle, uint8_t before[DK_DIGEST_LEN]) {
    uint8_t now[DK_DIGEST_LEN];
    struct dk_error_text why = {""};
    if (dk_replay_digest_bundle(bundle, now, &why) != DK_OK) {
        fail_msg("%s", why.text);
    }
    bool equal = memcmp(now, before, sizeof(now)) == 0;
    memcpy(before, now, sizeof(now));
    return equal;
}

static void a_bundle_is_what_its_files_are(void **state) {
    (void)state;
    char bundle[TEMP_PATH_MAX], file[TEMP_PATH_MAX], other[TEMP_PATH_MAX];
    uint8_t digest_of_it[DK_DIGEST_LEN] = {0};
    struct dk_error_text why;
    temp_dir_path(&dir, "bundle", bundle);
    assert_int_equal(mkdir(bundle, 0700), 0);
    assert_false(same(bundle, digest_of_it));
    assert_true(temp_dir_write(&dir, "bundle/a.rego", dk_bytes_of("one"), file));
    assert_false(same(bundle, digest_of_it));
    assert_true(same(bundle, digest_of_it));
    assert_true(temp_dir_write(&dir, "bundle/a.rego", dk_bytes_of("two"), file));
    assert_false(same(bundle, digest_of_it));
    temp_dir_path(&dir, "bundle/b.rego", other);
    assert_int_equal(rename(file, other), 0);
    assert_false(same(bundle, digest_of_it));
    assert_false(same(other, digest_of_it)); /* a file alone */
    assert_true(same(other, digest_of_it));
    assert_int_equal(unlink(other), 0);
    assert_int_equal(dk_replay_digest_bundle(other, digest_of_it, &why), DK_ERR_SYSTEM);
    assert_int_equal(rmdir(bundle), 0);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(answers_are_there_again),          TEST(a_file_may_be_cut_anywhere),
        TEST(what_is_no_answer_is_passed_over), TEST(a_file_that_cannot_be_opened_is_said),
        TEST(a_bundle_is_what_its_files_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
