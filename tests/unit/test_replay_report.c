/* SPDX-License-Identifier: Apache-2.0 */
/* What is said about a replayed log, and what it was told: replay_report.h, replay_output.h,
 * replay_flags.h. */
#include "replay_output.h"

#include "replay_flags.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define HOSTILE "x\\u001b[2J|`<b>@team\\u202e\\n"

/* ---- helpers ----------------------------------------------------------------------------- */

static struct dk_replay_table *new_table(bool has_against) {
    struct dk_replay_table *table = NULL;
    struct dk_replay_options options = {.sample = 1, .has_against = has_against};
    assert_int_equal(dk_replay_table_new(&options, &table), DK_OK);
    return table;
}

static void add(struct dk_replay_table *table, const char *name, const char *result, uint64_t count,
                int64_t time_s) {
    char input[1024];
    struct dk_error_text why = {""};
    snprintf(input, sizeof(input),
             "{\"version\":1,\"cluster\":{\"id\":\"c\"},\"principal\":{\"type\":\"User\",\"name\":"
             "\"alice\"},\"client\":{},\"action\":{\"operation\":\"READ\",\"resource\":{\"type\":"
             "\"TOPIC\",\"name\":\"%s\",\"pattern\":\"LITERAL\"}}}",
             name);
    struct dk_log_event event = {
        .path = dk_bytes_of("a"),
        .input = dk_bytes_of(input),
        .result = dk_bytes_of(result),
        .count = count,
        .time_ns = time_s * INT64_C(1000000000),
    };
    assert_int_equal(dk_replay_table_add(table, &event, &why), DK_OK);
}

static void answer(struct dk_replay_table *table, size_t question, size_t side,
                   enum dk_outcome outcome) {
    dk_replay_table_question(table, question)->results[side].outcome = outcome;
}

/* Two topics lost, one gained, one the same. */
static struct dk_replay_table *example(void) {
    struct dk_replay_table *table = new_table(false);
    add(table, "orders", "true", 1234, 0);
    add(table, "orders", "true", 1, 86400);
    add(table, HOSTILE, "true", 2, 0);
    add(table, "gained", "false", 3, 0);
    add(table, "same", "true", 4, 0);
    answer(table, 2, 0, DK_ALLOW);
    answer(table, 3, 0, DK_ALLOW);
    return table;
}

static char *write_report(struct dk_replay_table *table, enum dk_replay_format format) {
    static struct dk_writer text;
    struct dk_replay_report report;
    struct dk_replay_about about = {
        .policy = "new",
        .policy_revision = "b=r1",
        .table = table,
        .sample = 1,
        .most = 20,
        .fails = 1u << DK_NEWLY_DENIED,
        .bad = 2,
    };
    dk_writer_clean_up(&text);
    dk_writer_init(&text, (size_t)1024 * 1024);
    assert_int_equal(dk_replay_report_init(table, false, &report), DK_OK);
    dk_replay_write(&report, &about, format, &text);
    dk_replay_report_clean_up(&report);
    dk_writer_bytes(&text, (struct dk_bytes){(const uint8_t *)"", 1});
    assert_false(text.failed);
    return (char *)text.ptr;
}

static void expect_in(const char *text, const char *part) {
    if (strstr(text, part) == NULL) {
        fail_msg("%s\nis not in\n%s", part, text);
    }
}

/* Nothing of a name may reach a terminal or a parser as more than text. */
static void expect_plain(const char *text) {
    for (const char *at = text; *at != '\0'; at++) {
        assert_true((uint8_t)*at >= 0x20 || *at == '\n');
    }
    assert_null(strstr(text, "\xe2\x80\xae"));
}

/* ---- classes ----------------------------------------------------------------------------- */

static void test_classes(void **state) {
    (void)state;
    const struct dk_replay_result deny = {DK_DENY, 0}, allow = {DK_ALLOW, 0},
                                  undefined = {DK_UNDEFINED, 0}, error = {DK_UNAVAILABLE, 0},
                                  one = {DK_UNAVAILABLE, 1}, two = {DK_UNAVAILABLE, 2};
    const struct {
        struct dk_replay_result before, now;
        enum dk_replay_class class;
    } cases[] = {
        {allow, allow, DK_SAME},
        {deny, deny, DK_SAME},
        {error, error, DK_SAME},
        {one, one, DK_SAME},
        {undefined, undefined, DK_SAME},
        {undefined, deny, DK_SAME},
        {error, deny, DK_SAME},
        {allow, deny, DK_NEWLY_DENIED},
        {deny, allow, DK_NEWLY_ALLOWED},
        {undefined, allow, DK_NEWLY_ALLOWED},
        {error, allow, DK_NEWLY_ALLOWED},
        {allow, undefined, DK_NOW_UNDEFINED},
        {deny, undefined, DK_NOW_UNDEFINED},
        {allow, error, DK_NOW_ERROR},
        {deny, error, DK_NOW_ERROR},
        {one, error, DK_NOW_ERROR},
        {one, two, DK_OTHERWISE},
        {allow, one, DK_OTHERWISE},
        {one, allow, DK_OTHERWISE},
        {one, deny, DK_OTHERWISE},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_int_equal(dk_replay_classify(cases[i].before, cases[i].now), cases[i].class);
    }
}

static void test_groups(void **state) {
    (void)state;
    struct dk_replay_table *table = example();
    struct dk_replay_report report;
    assert_int_equal(dk_replay_report_init(table, false, &report), DK_OK);
    assert_int_equal(report.group_count, 3);
    assert_int_equal(report.groups[0].class, DK_NEWLY_DENIED);
    assert_int_equal(report.groups[0].sum.decisions, 1235);
    assert_int_equal(report.groups[0].first_ns, 0);
    assert_int_equal(report.groups[0].last_ns, INT64_C(86400000000000));
    assert_int_equal(report.groups[2].class, DK_NEWLY_ALLOWED);
    assert_int_equal(report.sums[DK_NEWLY_DENIED].questions, 2);
    assert_int_equal(report.sums[DK_SAME].decisions, 4);
    assert_int_equal(report.tops[DK_BY_PRINCIPAL].count, 2); /* one a class */
    assert_int_equal(report.tops[DK_BY_PRINCIPAL].list[0].sum.decisions, 1237);
    dk_replay_report_clean_up(&report);
    dk_replay_table_destroy(table);
}

/* A question that was answered in two ways counts once in a class; against another policy what was
 * recorded does not count at all. */
static void test_against_another_policy(void **state) {
    (void)state;
    struct dk_replay_table *table = new_table(true);
    struct dk_replay_report report;
    add(table, "orders", "true", 2, 0);
    add(table, "orders", "false", 3, 0);
    answer(table, 0, 0, DK_DENY);
    answer(table, 0, 1, DK_ALLOW);
    assert_int_equal(dk_replay_report_init(table, true, &report), DK_OK);
    assert_int_equal(report.sums[DK_NEWLY_DENIED].questions, 1);
    assert_int_equal(report.sums[DK_NEWLY_DENIED].decisions, 5);
    dk_replay_report_clean_up(&report);
    dk_replay_table_destroy(table);
}

/* ---- outputs ----------------------------------------------------------------------------- */

static void test_table(void **state) {
    (void)state;
    struct dk_replay_table *table = example();
    const char *text = write_report(table, DK_REPLAY_TABLE);
    expect_plain(text);
    expect_in(text, "1,244 decisions, 1970-01-01T00:00:00Z to 1970-01-02T00:00:00Z\n"
                    "policy   new (revision b=r1)\nagainst  what was recorded\n");
    expect_in(text, "\nnewly-denied                 2         1,237\n");
    expect_in(text, "  User:alice  READ       TOPIC:orders");
    expect_in(text, "TOPIC:x\\x1b[2J|`<b>@team\\u202e\\x0a");
    expect_in(text, "left out: 2 lines that could not be read\n");
    dk_replay_table_destroy(table);
}

static void test_markdown(void **state) {
    (void)state;
    struct dk_replay_table *table = example();
    const char *text = write_report(table, DK_REPLAY_MARKDOWN);
    expect_plain(text);
    expect_in(text, "### Policy replay: decisions change\n");
    expect_in(text, "| <code>User:alice</code> | <code>READ</code> | <code>TOPIC:orders</code> | "
                    "1,235 | ALLOW | DENY | 1970-01-01T00:00:00Z | 1970-01-02T00:00:00Z |\n");
    expect_in(text, "<code>TOPIC:x&#92;x1b&#91;2J&#124;&#96;&#60;b&#62;&#64;team&#92;u202e&#92;x0a"
                    "</code>");
    dk_replay_table_destroy(table);
}

static void test_junit(void **state) {
    (void)state;
    struct dk_replay_table *table = example();
    const char *text = write_report(table, DK_REPLAY_JUNIT);
    expect_plain(text);
    expect_in(text, "<testsuite name=\"doorkeeper replay\" tests=\"4\" failures=\"2\" "
                    "skipped=\"1\">");
    expect_in(text, "name=\"User:alice READ TOPIC:orders\"><failure message=\"newly-denied: before "
                    "ALLOW, now DENY; 1235 decisions,");
    expect_in(text, "TOPIC:x\\x1b[2J|`&#60;b&#62;@team");
    dk_replay_table_destroy(table);
}

static void test_json(void **state) {
    (void)state;
    struct dk_replay_table *table = example();
    const char *text = write_report(table, DK_REPLAY_JSON);
    cJSON *json = cJSON_Parse(text);
    assert_non_null(json);
    const cJSON *first = cJSON_GetArrayItem(cJSON_GetObjectItem(json, "differences"), 0);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(first, "class")), "newly-denied");
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(first, "resource")),
                        "TOPIC:orders");
    const cJSON *sample = cJSON_GetObjectItem(cJSON_GetObjectItem(first, "sample"), "input");
    assert_non_null(cJSON_GetObjectItem(sample, "action"));
    const cJSON *second = cJSON_GetArrayItem(cJSON_GetObjectItem(json, "differences"), 1);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(second, "resource")),
                        "TOPIC:x\x1b[2J|`<b>@team\xe2\x80\xae\n");
    cJSON_Delete(json);
    dk_replay_table_destroy(table);
}

/* ---- flags ------------------------------------------------------------------------------- */

#define ARGUMENTS(...)                                                                             \
    (char *[]){"replay", __VA_ARGS__}, (int)COUNT_OF(((char *[]){"", __VA_ARGS__}))

static struct dk_replay_flags parsed(char **argv, int argc) {
    struct dk_replay_flags flags;
    struct dk_error_text why = {""};
    if (dk_replay_flags_parse(argc, argv, &flags, &why) != DK_OK) {
        fail_msg("%s", why.text);
    }
    return flags;
}

static void expect_wrong(const char *wanted, char **argv, int argc) {
    struct dk_replay_flags flags;
    struct dk_error_text why = {""};
    assert_int_equal(dk_replay_flags_parse(argc, argv, &flags, &why), DK_ERR_CONFIG);
    assert_string_equal(why.text, wanted);
}

static void test_flags(void **state) {
    (void)state;
    struct dk_replay_flags flags = parsed(
        ARGUMENTS("a", "--policy", "x", "--fail-on=newly-denied,not-reproducible", "-", "--output",
                  "json=f", "--output=table", "--strict", "--since", "2026-03-01T00:00:00Z",
                  "--rule=/k/b", "--sample=7", "--max-event", "1024", "--", "--policy"));
    assert_string_equal(flags.policy, "x");
    assert_int_equal(flags.fails, 1u << DK_NEWLY_DENIED | 1u << DK_NOT_REPRODUCIBLE);
    assert_int_equal(flags.log_count, 3);
    assert_string_equal(flags.logs[1], "-");
    assert_string_equal(flags.logs[2], "--policy");
    assert_int_equal(flags.output_count, 2);
    assert_string_equal(flags.outputs[0].path, "f");
    assert_null(flags.outputs[1].path);
    assert_true(flags.strict);
    assert_string_equal(flags.options.rule, "k/b");
    assert_int_equal(flags.options.sample, 7);
    assert_int_equal(flags.max_event, 1024);
    flags = parsed(ARGUMENTS("a", "--policy", "x", "--fail-on", "none"));
    assert_int_equal(flags.fails, 0);
    assert_int_equal(flags.shares, 1);
    assert_int_equal(flags.outputs[0].format, DK_REPLAY_TABLE);
    flags = parsed(
        ARGUMENTS("topic:a", "--policy", "x", "--kafka-config", "kcat.conf", "--share", "2/16"));
    assert_string_equal(dk_replay_topic(flags.logs[0]), "a");
    assert_null(dk_replay_topic("a"));
    assert_string_equal(flags.kafka_config, "kcat.conf");
    assert_int_equal(flags.share, 1);
    assert_int_equal(flags.shares, 16);
    assert_int_equal(flags.when, DK_REPLAY_NOW);
    flags = parsed(ARGUMENTS("a", "--policy", "x", "--fix-time", "1970-01-01T00:00:02Z"));
    assert_int_equal(flags.when, DK_REPLAY_FIXED);
    assert_int_equal(flags.fixed_ns, 2000000000);
    assert_true(flags.options.knows_time);
    flags = parsed(ARGUMENTS("a", "--policy", "x", "--fix-time", "recorded"));
    assert_int_equal(flags.when, DK_REPLAY_RECORDED);
}

static void test_flags_that_are_wrong(void **state) {
    (void)state;
    expect_wrong("--policy: missing; name the URL of an OPA, or a bundle's directory or tar.gz",
                 ARGUMENTS("a"));
    expect_wrong("no log: name files, topic:NAME, or - for standard input",
                 ARGUMENTS("--policy=x"));
    expect_wrong("--polcy: there is no such flag; see doorkeeper replay --help",
                 ARGUMENTS("a", "--polcy"));
    expect_wrong("--policy: needs a value", ARGUMENTS("a", "--policy"));
    expect_wrong("--policy : expected a value that is not empty", ARGUMENTS("a", "--policy="));
    expect_wrong("--strict: takes no value", ARGUMENTS("a", "--strict=1"));
    expect_wrong("--sample 0: expected a whole number from 1 to 1000000000",
                 ARGUMENTS("--sample", "0"));
    expect_wrong("--since \\x1b: expected a time as 2026-03-01T12:00:00Z",
                 ARGUMENTS("--since", "\x1b"));
    expect_wrong("--rule a b: expected the path of a rule, as kafka/authz/batch",
                 ARGUMENTS("--rule", "a b"));
    expect_wrong("--output xml: expected table, json, junit or markdown, and for a file =PATH "
                 "behind it",
                 ARGUMENTS("--output", "xml"));
    expect_wrong("--fail-on newly-denied,x: expected none, or of newly-denied, newly-allowed, "
                 "undefined, error, otherwise, not-reproducible some, separated by commas",
                 ARGUMENTS("--fail-on", "newly-denied,x"));
    expect_wrong("--output: two of them to standard output; name a file for one, as "
                 "markdown=comment.md",
                 ARGUMENTS("a", "--policy=x", "--output=table", "--output=json"));
    static char *const shares[] = {"0/2", "3/2", "2", "/2", "1/", "1/0", "-1/2", "123456789/9"};
    for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
        char text[120];
        snprintf(text, sizeof(text), "--share %s: expected which share of how many, as 1/4",
                 shares[i]);
        expect_wrong(text, ARGUMENTS("--share", shares[i]));
    }
    expect_wrong("--kafka-config: missing; name a file of librdkafka's properties, with "
                 "bootstrap.servers",
                 ARGUMENTS("topic:a", "--policy=x"));
    expect_wrong("--share: is for a topic; name one as topic:NAME",
                 ARGUMENTS("a", "--policy=x", "--share=1/2"));
    expect_wrong("--resume : expected a value that is not empty", ARGUMENTS("--resume="));
    expect_wrong("--fix-time noon: expected recorded, or a time as 2026-03-01T12:00:00Z",
                 ARGUMENTS("--fix-time", "noon"));
    expect_wrong("--max-event 10: expected a whole number of bytes from 1024 to 268435456",
                 ARGUMENTS("--max-event=10"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classes),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_against_another_policy),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_markdown),
        cmocka_unit_test(test_junit),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_flags),
        cmocka_unit_test(test_flags_that_are_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
