/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of `doorkeeper bench`, and the settings that come of it. */
#include "bench_options.h"

#include "support/temp_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ARGUMENTS_MAX 8

/* Each row ends with a NULL. */
struct command_line {
    const char *arguments[ARGUMENTS_MAX];
    const char *error;
};

static enum dk_error parse(const char *const *arguments, struct dk_bench_options *out,
                           struct dk_error_text *why) {
    static char name[] = "bench";
    char *argv[ARGUMENTS_MAX + 2] = {name};
    int argc = 1;
    for (; arguments[argc - 1] != NULL; argc++) {
        argv[argc] = (char *)(uintptr_t)arguments[argc - 1]; /* getopt moves pointers only */
    }
    return dk_bench_options_parse(argc, argv, out, why);
}

static void test_standards(void **state) {
    const char *const nothing[] = {NULL};
    struct dk_bench_options options;
    struct dk_error_text why;
    (void)state;
    assert_int_equal(parse(nothing, &options, &why), DK_OK);
    assert_int_equal(options.threads, 8);
    assert_true(options.duration_s == 10 && options.warmup_s == 2 && options.rate == 0);
    assert_int_equal(options.mix[DK_CALL_PRODUCE], 40);
    assert_int_equal(options.mix[DK_CALL_METADATA], 5);
    assert_string_equal(options.principal_suffix, "");
    assert_null(options.replay);
    assert_false(options.stub || options.quiet || options.help);
}

static void test_values(void **state) {
    const char *const arguments[] = {
        "-t",  "3", "--duration=0.5", "--mix=fetch=2,group=1", "--stub", "--stub-latency-ms",
        "1.5", NULL};
    struct dk_bench_options options;
    struct dk_error_text why;
    (void)state;
    assert_int_equal(parse(arguments, &options, &why), DK_OK);
    assert_int_equal(options.threads, 3);
    assert_true(options.duration_s == 0.5 && options.stub_latency_ms == 1.5 && options.stub);
    assert_int_equal(options.mix[DK_CALL_PRODUCE], 0);
    assert_int_equal(options.mix[DK_CALL_FETCH], 2);
    assert_int_equal(options.mix[DK_CALL_GROUP], 1);
}

static const struct command_line wrong[] = {
    {{"--threads", "0", NULL}, "--threads 0: expected a whole number from 1 to 256"},
    {{"-t", "8x", NULL}, "--threads 8x: expected a whole number from 1 to 256"},
    {{"-t", "-1", NULL}, "--threads -1: expected a whole number from 1 to 256"},
    {{"-t", " 1", NULL}, "--threads  1: expected a whole number from 1 to 256"},
    {{"--seed", "99999999999999999999", NULL},
     "--seed 99999999999999999999: expected a whole number from 0 to 1000000000000000"},
    {{"--rate", "-5", NULL}, "--rate -5: expected a number from 0 to 1000000000"},
    {{"--rate", "nan", NULL}, "--rate nan: expected a number from 0 to 1000000000"},
    {{"--rate=", NULL}, "--rate : expected a number from 0 to 1000000000"},
    {{"--zipf", "1e9", NULL}, "--zipf 1e9: expected a number from 0 to 5"},
    {{"-d", "0", NULL}, "--duration 0: expected a number from 0.01 to 86400"},
    {{"--mix", "produce=1,walk=2", NULL},
     "--mix produce=1,walk=2: expected weights, not all 0, of produce, fetch, group and metadata, "
     "as in produce=1,fetch=3"},
    {{"--mix", "produce=0", NULL},
     "--mix produce=0: expected weights, not all 0, of produce, fetch, group and metadata, as in "
     "produce=1,fetch=3"},
    {{"--mix", "produce=1,", NULL},
     "--mix produce=1,: expected weights, not all 0, of produce, fetch, group and metadata, as in "
     "produce=1,fetch=3"},
    {{"--set", "doorkeeper.deadline.ms", NULL},
     "--set doorkeeper.deadline.ms: expected KEY=VALUE, as in doorkeeper.cache.entries=100000"},
    {{"--topic-prefix", "\xff", NULL}, "--topic-prefix \\xff: expected at most 200 bytes of UTF-8"},
    {{"--json", "", NULL}, "--json : expected something that is not empty"},
    {{"--rate", NULL}, "--rate: expected a value, N"},
    {{"-r", NULL}, "--replay: expected a value, FILE"},
    {{"--speed", "1", NULL}, "--speed: there is no such option, or it takes no value"},
    {{"-Z", NULL}, "-Z: there is no such option, or it takes no value"},
    {{"--stub=1", NULL}, "--stub=1: there is no such option, or it takes no value"},
    {{"http://opa", NULL}, "http://opa: expected an option, beginning with --"},
    {{"--stub", "--opa", "http://opa", NULL},
     "--opa: expected no URL beside --stub: only one of them is asked"},
    {{"--stub-latency-ms", "1", NULL},
     "--stub-latency-ms and --stub-allow-percent: expected --stub beside them"},
    {{"--replay", "x", "--print-grants", NULL},
     "--print-grants: expected no --replay: grants are made for the model"},
};

static void test_what_is_wrong_is_named(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct dk_bench_options options;
        struct dk_error_text why = {""};
        assert_int_equal(parse(wrong[i].arguments, &options, &why), DK_ERR_CONFIG);
        assert_string_equal(why.text, wrong[i].error);
    }
}

static void test_no_more_settings_than_there_is_room_for(void **state) {
    static char name[] = "bench", set[] = "-sdoorkeeper.deadline.ms=1";
    char *argv[DK_BENCH_SETS_MAX + 3] = {name};
    struct dk_bench_options options;
    struct dk_error_text why = {""};
    (void)state;
    for (size_t i = 1; i <= DK_BENCH_SETS_MAX + 1; i++) {
        argv[i] = set;
    }
    assert_int_equal(dk_bench_options_parse(DK_BENCH_SETS_MAX + 1, argv, &options, &why), DK_OK);
    assert_int_equal(dk_bench_options_parse(DK_BENCH_SETS_MAX + 2, argv, &options, &why),
                     DK_ERR_CONFIG);
    assert_string_equal(why.text, "--set: more than 64 of them; use --config");
}

/* Every option stands in the help. */
static void test_help(void **state) {
    struct dk_writer help;
    (void)state;
    dk_writer_init(&help, 1024 * 1024);
    dk_bench_options_write_help(&help);
    dk_writer_bytes(&help, (struct dk_bytes){(const uint8_t *)"", 1});
    assert_false(help.failed);
    assert_non_null(strstr((const char *)help.ptr, "\n  -t, --threads N "));
    assert_non_null(strstr((const char *)help.ptr, "[8]\n"));
    assert_non_null(strstr((const char *)help.ptr, "\n      --print-grants "));
    dk_writer_clean_up(&help);
}

/* ---- settings ----------------------------------------------------------------------------- */

static const char properties[] = "node.id=1\n"
                                 "doorkeeper.opa.url=https://opa.example.org\n"
                                 "doorkeeper.opa.ca.file=/nowhere\n"
                                 "doorkeeper.deadline.ms=111\n"
                                 "doorkeeper.queue.entries=${env:QUEUE}\n";

/* Settings of the command line after a `--config` with the properties above. */
static enum dk_error settings(const char *const *arguments, const char *stub_url,
                              struct dk_config *out, struct dk_error_text *why) {
    struct dk_bench_options options;
    struct temp_dir dir;
    char path[TEMP_PATH_MAX];
    assert_int_equal(parse(arguments, &options, why), DK_OK);
    assert_true(temp_dir_make(&dir));
    assert_true(temp_dir_write(&dir, "server.properties", dk_bytes_of(properties), path));
    options.config = path;
    const struct dk_settings_source source = dk_bench_settings_source(&options, stub_url);
    enum dk_error error = dk_settings_make(&source, out, why);
    temp_dir_remove(&dir);
    return error;
}

static void test_the_command_line_goes_before_the_file(void **state) {
    const char *const arguments[] = {"-sdoorkeeper.queue.entries=500", "-t", "6", "--opa",
                                     "https://other.example.org",      NULL};
    struct dk_config config;
    struct dk_error_text why = {""};
    (void)state;
    assert_int_equal(settings(arguments, NULL, &config, &why), DK_OK);
    assert_string_equal(config.opa_url, "https://other.example.org");
    assert_string_equal(config.opa_ca_file, "/nowhere");
    assert_int_equal(config.deadline_ms, 111);
    assert_int_equal(config.queue_entries, 500);
    assert_int_equal(config.num_io_threads, 6);
    dk_config_clean_up(&config);
}

static void test_the_stub_needs_no_files(void **state) {
    const char *const arguments[] = {"--stub", "-sdoorkeeper.queue.entries=500",
                                     "-snum.io.threads=3", NULL};
    struct dk_config config;
    struct dk_error_text why = {""};
    (void)state;
    assert_int_equal(settings(arguments, "http://127.0.0.1:9", &config, &why), DK_OK);
    assert_string_equal(config.opa_url, "http://127.0.0.1:9");
    assert_string_equal(config.opa_ca_file, "");
    assert_int_equal(config.num_io_threads, 3);
    dk_config_clean_up(&config);
}

static const struct command_line wrong_settings[] = {
    {{NULL}, "doorkeeper.queue.entries is filled in by a config provider: give its value by --set"},
    {{"-snode.id=2", NULL}, "--set node.id=2: expected a setting of docs/configuration.md"},
    {{"-sdoorkeeper.queue.entries=500", "-sdoorkeeper.deadline.mss=1", NULL},
     "doorkeeper.deadline.mss: there is no such setting; did you mean doorkeeper.deadline.ms?"},
    {{"-sdoorkeeper.queue.entries=500", "-sdoorkeeper.queue.entries=500", NULL},
     "doorkeeper.queue.entries is set more than once"},
    {{"-sdoorkeeper.queue.entries=500", "-sdoorkeeper.deadline.ms=0", NULL},
     "doorkeeper.deadline.ms=0: expected a whole number from 1 to 2000"},
};

static void test_wrong_settings_are_named(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(wrong_settings) / sizeof(wrong_settings[0]); i++) {
        struct dk_config config;
        struct dk_error_text why = {""};
        assert_int_equal(settings(wrong_settings[i].arguments, NULL, &config, &why), DK_ERR_CONFIG);
        assert_string_equal(why.text, wrong_settings[i].error);
    }
}

static void test_a_missing_file_is_named(void **state) {
    const char *const arguments[] = {"--config", "/nowhere/server.properties", NULL};
    struct dk_bench_options options;
    struct dk_config config;
    struct dk_error_text why = {""};
    (void)state;
    assert_int_equal(parse(arguments, &options, &why), DK_OK);
    const struct dk_settings_source source = dk_bench_settings_source(&options, NULL);
    assert_int_equal(dk_settings_make(&source, &config, &why), DK_ERR_SYSTEM);
    assert_string_equal(why.text, "/nowhere/server.properties: No such file or directory");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_standards),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_what_is_wrong_is_named),
        cmocka_unit_test(test_no_more_settings_than_there_is_room_for),
        cmocka_unit_test(test_help),
        cmocka_unit_test(test_the_command_line_goes_before_the_file),
        cmocka_unit_test(test_the_stub_needs_no_files),
        cmocka_unit_test(test_wrong_settings_are_named),
        cmocka_unit_test(test_a_missing_file_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
