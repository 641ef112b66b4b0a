/* SPDX-License-Identifier: Apache-2.0 */
/* The files that settings name. */
#include "doorkeeper/config.h"
#include "support/temp_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct temp_dir dir;

static int make_dir(void **state) {
    (void)state;
    return temp_dir_make(&dir) ? 0 : -1;
}

static int remove_dir(void **state) {
    (void)state;
    temp_dir_remove(&dir);
    return 0;
}

static enum dk_error read_named(const char *key, enum dk_config_file file, const char *path,
                                struct dk_writer *out, struct dk_error_text *why) {
    const struct dk_setting setting = {dk_bytes_of(key), dk_bytes_of(path)};
    struct dk_config config;
    assert_int_equal(dk_config_parse(&setting, 1, &config, NULL), DK_OK);
    enum dk_error error = dk_config_read_file(&config, file, out, why);
    dk_config_clean_up(&config);
    return error;
}

/* Reads the token file at `path`. */
static enum dk_error read_token(const char *path, struct dk_writer *out,
                                struct dk_error_text *why) {
    return read_named("doorkeeper.opa.token.file", DK_FILE_TOKEN, path, out, why);
}

static void each_file_belongs_to_its_setting(void **state) {
    (void)state;
    static const char *const keys[DK_FILE_COUNT] = {
        [DK_FILE_TOKEN] = "doorkeeper.opa.token.file",
        [DK_FILE_CA] = "doorkeeper.opa.ca.file",
        [DK_FILE_CERTIFICATE] = "doorkeeper.opa.certificate.file",
        [DK_FILE_KEY] = "doorkeeper.opa.key.file",
        [DK_FILE_DENY] = "doorkeeper.deny.file",
        [DK_FILE_FLUSH] = "doorkeeper.flush.file",
    };
    char paths[DK_FILE_COUNT][TEMP_PATH_MAX];
    struct dk_setting settings[DK_FILE_COUNT + 1] = {
        {dk_bytes_of("doorkeeper.opa.url"), dk_bytes_of("https://opa")}};
    for (int i = 0; i < DK_FILE_COUNT; i++) {
        char name[2] = {(char)('a' + i), '\0'};
        assert_true(temp_dir_write(&dir, name, dk_bytes_of(keys[i]), paths[i]));
        settings[i + 1] = (struct dk_setting){dk_bytes_of(keys[i]), dk_bytes_of(paths[i])};
    }
    struct dk_config config;
    assert_int_equal(dk_config_parse(settings, DK_FILE_COUNT + 1, &config, NULL), DK_OK);
    for (int i = 0; i < DK_FILE_COUNT; i++) {
        struct dk_writer out;
        assert_int_equal(dk_config_read_file(&config, (enum dk_config_file)i, &out, NULL), DK_OK);
        assert_true(dk_bytes_equal(dk_writer_view(&out), dk_bytes_of(keys[i])));
        dk_writer_clean_up(&out);
    }
    dk_config_clean_up(&config);
}

static void no_file_is_an_empty_one(void **state) {
    (void)state;
    struct dk_writer out;
    assert_int_equal(read_token("", &out, NULL), DK_OK);
    assert_int_equal(out.len, 0);
}

static void a_file_that_cannot_be_used_is_named(void **state) {
    (void)state;
    struct dk_error_text why = {""};
    struct dk_writer out;
    char path[TEMP_PATH_MAX], text[2 * TEMP_PATH_MAX];
    assert_int_equal(read_token("/nonexistent/token", &out, &why), DK_ERR_CONFIG);
    assert_string_equal(why.text,
                        "doorkeeper.opa.token.file=/nonexistent/token: No such file or directory");
    assert_null(out.ptr);
    assert_true(temp_dir_write(&dir, "empty", dk_bytes_of(""), path));
    assert_int_equal(read_token(path, &out, &why), DK_ERR_CONFIG);
    snprintf(text, sizeof(text), "doorkeeper.opa.token.file=%s: the file is empty", path);
    assert_string_equal(why.text, text);
}

static void the_flush_file_may_be_missing_or_empty(void **state) {
    (void)state;
    static const char key[] = "doorkeeper.flush.file";
    struct dk_writer out;
    char path[TEMP_PATH_MAX];
    assert_int_equal(read_named(key, DK_FILE_FLUSH, "/nonexistent/flush", &out, NULL), DK_OK);
    assert_int_equal(out.len, 0);
    assert_true(temp_dir_write(&dir, "flush", dk_bytes_of(""), path));
    assert_int_equal(read_named(key, DK_FILE_FLUSH, path, &out, NULL), DK_OK);
    assert_int_equal(out.len, 0);
    /* What is there must be readable, or nobody would notice that it says nothing. */
    struct dk_error_text why = {""};
    assert_int_equal(read_named(key, DK_FILE_FLUSH, dir.path, &out, &why), DK_ERR_CONFIG);
    assert_non_null(strstr(why.text, "Is a directory"));
}

static void wrong_content_is_said_of_its_setting_and_file(void **state) {
    (void)state;
    const struct dk_setting setting = {dk_bytes_of("doorkeeper.deny.file"),
                                       dk_bytes_of("/d/\xe2\x80\xae")};
    struct dk_config config;
    struct dk_error_text why = {""};
    assert_int_equal(dk_config_parse(&setting, 1, &config, NULL), DK_OK);
    assert_int_equal(dk_config_fail_file(&config, DK_FILE_DENY, "line 1: no", &why), DK_ERR_CONFIG);
    assert_string_equal(why.text, "doorkeeper.deny.file=/d/\\u202e: line 1: no");
    dk_config_clean_up(&config);
}

static void a_file_has_a_cap(void **state) {
    (void)state;
    struct dk_error_text why = {""};
    struct dk_writer out;
    char path[TEMP_PATH_MAX];
    uint8_t *content = calloc(1, DK_CONFIG_FILE_MAX + 1);
    assert_non_null(content);
    assert_true(
        temp_dir_write(&dir, "large", (struct dk_bytes){content, DK_CONFIG_FILE_MAX}, path));
    assert_int_equal(read_token(path, &out, &why), DK_OK);
    dk_writer_clean_up(&out);
    assert_true(
        temp_dir_write(&dir, "large", (struct dk_bytes){content, DK_CONFIG_FILE_MAX + 1}, path));
    assert_int_equal(read_token(path, &out, &why), DK_ERR_CONFIG);
    assert_non_null(strstr(why.text, "/large: larger than 1048576 bytes"));
    assert_null(out.ptr);
    free(content);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_file_belongs_to_its_setting),
        cmocka_unit_test(no_file_is_an_empty_one),
        cmocka_unit_test(a_file_that_cannot_be_used_is_named),
        cmocka_unit_test(the_flush_file_may_be_missing_or_empty),
        cmocka_unit_test(wrong_content_is_said_of_its_setting_and_file),
        cmocka_unit_test(a_file_has_a_cap),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
