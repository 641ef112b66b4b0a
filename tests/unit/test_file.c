/* SPDX-License-Identifier: Apache-2.0 */
#include "doorkeeper/file.h"
#include "support/temp_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct temp_dir dir;

static int set_up(void **state) {
    (void)state;
    return temp_dir_make(&dir) ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    temp_dir_remove(&dir);
    return 0;
}

/* Writes `len` bytes, reads them with a cap, and compares. */
static enum dk_error read_back(size_t len, size_t max_len, struct dk_error_text *why) {
    char path[TEMP_PATH_MAX];
    uint8_t *content = malloc(len + 1);
    struct dk_writer out;
    assert_non_null(content);
    for (size_t i = 0; i < len; i++) {
        content[i] = (uint8_t)(i * 7);
    }
    assert_true(temp_dir_write(&dir, "content", (struct dk_bytes){content, len}, path));
    dk_writer_init(&out, max_len);
    enum dk_error error = dk_file_read(path, &out, why);
    if (error == DK_OK) {
        assert_int_equal(out.len, len);
        assert_true(dk_bytes_equal(dk_writer_view(&out), (struct dk_bytes){content, len}));
    }
    dk_writer_clean_up(&out);
    free(content);
    return error;
}

static void files_are_read_whole(void **state) {
    (void)state;
    static const size_t lengths[] = {0, 1, 255, 256, 257, 4095, 4096, 4097, 100000};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        assert_int_equal(read_back(lengths[i], 100000, NULL), DK_OK);
    }
}

static void the_cap_holds(void **state) {
    (void)state;
    struct dk_error_text why = {""};
    assert_int_equal(read_back(5000, 5000, &why), DK_OK);
    assert_int_equal(read_back(5001, 5000, &why), DK_ERR_TOO_LARGE);
    assert_non_null(strstr(why.text, "content: larger than 5000 bytes"));
}

static void a_file_without_end_has_one_at_the_cap(void **state) {
    (void)state;
    struct dk_error_text why = {""};
    struct dk_writer out;
    dk_writer_init(&out, 100000);
    assert_int_equal(dk_file_read("/dev/zero", &out, &why), DK_ERR_TOO_LARGE);
    assert_string_equal(why.text, "/dev/zero: larger than 100000 bytes");
    dk_writer_clean_up(&out);
}

static void what_was_written_before_stays(void **state) {
    (void)state;
    char path[TEMP_PATH_MAX];
    struct dk_writer out;
    assert_true(temp_dir_write(&dir, "content", dk_bytes_of("file"), path));
    dk_writer_init(&out, 100);
    dk_writer_text(&out, "before ");
    assert_int_equal(dk_file_read(path, &out, NULL), DK_OK);
    assert_true(dk_bytes_equal(dk_writer_view(&out), dk_bytes_of("before file")));
    dk_writer_clean_up(&out);
}

static void expect_system_error(const char *path, const char *text) {
    struct dk_error_text why = {""};
    struct dk_writer out;
    dk_writer_init(&out, 100);
    assert_int_equal(dk_file_read(path, &out, &why), DK_ERR_SYSTEM);
    assert_string_equal(why.text, text);
    dk_writer_clean_up(&out);
}

static void what_cannot_be_read_is_named(void **state) {
    (void)state;
    expect_system_error("/nonexistent/token", "/nonexistent/token: No such file or directory");
    expect_system_error("/", "/: Is a directory");
    expect_system_error("/nonexistent/a\nb", "/nonexistent/a\\x0ab: No such file or directory");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_read_whole),
        cmocka_unit_test(the_cap_holds),
        cmocka_unit_test(a_file_without_end_has_one_at_the_cap),
        cmocka_unit_test(what_was_written_before_stays),
        cmocka_unit_test(what_cannot_be_read_is_named),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
