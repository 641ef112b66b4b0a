/* SPDX-License-Identifier: Apache-2.0 */
#include "decision_line.h"

#include "support/json_path.h"
#include "support/records.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define ID "0123456789abcdef0123456789abcdef"

struct fixture {
    struct dk_config config;
    struct dk_writer context_record, action_record, out;
    struct dk_context context;
    struct dk_action action;
};

static void set_up(struct fixture *fixture) {
    assert_int_equal(dk_config_parse(NULL, 0, &fixture->config, NULL), DK_OK);
    dk_writer_init(&fixture->context_record, 4096);
    dk_writer_init(&fixture->action_record, 4096);
    dk_writer_init(&fixture->out, 65536);
    write_certified_context(&fixture->context_record, "cluster", "alice", 0, 7);
    write_action(&fixture->action_record, "orders");
    struct dk_bytes action = dk_writer_view(&fixture->action_record);
    assert_int_equal(dk_context_parse(dk_writer_view(&fixture->context_record), &fixture->context),
                     DK_OK);
    assert_int_equal(dk_action_parse(&action, &fixture->action), DK_OK);
}

static void tear_down(struct fixture *fixture) {
    dk_config_clean_up(&fixture->config);
    dk_writer_clean_up(&fixture->context_record);
    dk_writer_clean_up(&fixture->action_record);
    dk_writer_clean_up(&fixture->out);
}

/* The line as JSON: one object and the end of the line, nothing else. */
static cJSON *parse(const struct fixture *fixture) {
    struct dk_bytes line = dk_writer_view(&fixture->out);
    const char *end = NULL;
    assert_false(fixture->out.failed);
    assert_true(line.len > 0 && line.ptr[line.len - 1] == '\n');
    cJSON *json = cJSON_ParseWithLengthOpts((const char *)line.ptr, line.len - 1, &end, 0);
    assert_non_null(json);
    assert_ptr_equal(end, line.ptr + line.len - 1);
    return json;
}

static void expect_text(const cJSON *json, const char *path, const char *text) {
    const char *found = cJSON_GetStringValue(json_at(json, path));
    assert_non_null(found);
    assert_string_equal(found, text);
}

static void expect_number(const cJSON *json, const char *path, double number) {
    assert_true(cJSON_GetNumberValue(json_at(json, path)) == number);
}

static void the_longest_numbers_leave_the_line_whole(void **state) {
    struct fixture fixture;
    (void)state;
    set_up(&fixture);
    struct dk_decision_writer writer = {.config = &fixture.config, .id = ID, .number = UINT64_MAX};
    const struct dk_decision_line line = {
        .context = &fixture.context,
        .action = &fixture.action,
        .answer = DK_ANSWER(DK_ALLOW, DK_SOURCE_CACHE),
        .wall_ns = INT64_MAX,
        .took_ns = INT64_MAX,
        .age_ms = INT64_MAX,
        .count = UINT32_MAX,
        .since_ns = INT64_MAX,
    };
    dk_decision_line_write(&writer, &line, &fixture.out);
    cJSON *json = parse(&fixture);
    expect_text(json, "decision_id", ID "-18446744073709551615");
    expect_text(json, "labels/id", ID);
    expect_text(json, "labels/product", "doorkeeper");
    expect_text(json, "timestamp", "2262-04-11T23:47:16.854775807Z");
    expect_text(json, "doorkeeper/since", "2262-04-11T23:47:16.854775807Z");
    expect_number(json, "count", UINT32_MAX);
    expect_number(json, "doorkeeper/age_ms", (double)INT64_MAX);
    expect_number(json, "metrics/timer_doorkeeper_authorize_ns", (double)INT64_MAX);
    cJSON_Delete(json);
    tear_down(&fixture);
}

static void each_line_has_a_number_of_its_own(void **state) {
    struct fixture fixture;
    (void)state;
    set_up(&fixture);
    struct dk_decision_writer writer = {.config = &fixture.config, .id = ID, .number = 9999};
    const struct dk_decision_line line = {.context = &fixture.context,
                                          .action = &fixture.action,
                                          .answer = DK_ANSWER(DK_DENY, DK_SOURCE_OPA),
                                          .took_ns = -1,
                                          .age_ms = -1};
    static const char *const ids[] = {ID "-9999", ID "-10000"};
    for (size_t i = 0; i < 2; i++) {
        dk_writer_reset(&fixture.out);
        dk_decision_line_write(&writer, &line, &fixture.out);
        cJSON *json = parse(&fixture);
        expect_text(json, "decision_id", ids[i]);
        assert_true(cJSON_IsFalse(json_at(json, "result")));
        cJSON_Delete(json);
    }
    tear_down(&fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_longest_numbers_leave_the_line_whole),
        cmocka_unit_test(each_line_has_a_number_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
