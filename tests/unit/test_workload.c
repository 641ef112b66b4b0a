/* SPDX-License-Identifier: Apache-2.0 */
/* What the benchmark's model asks: the same for the same seed, in questions that the core takes. */
#include "chance.h"
#include "doorkeeper/config.h"
#include "record_writer.h"
#include "workload.h"

#include <cjson/cJSON.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CALLS 2000u

static struct dk_workload_options standard(void) {
    return (struct dk_workload_options){
        .seed = 7,
        .principals = 10,
        .topics = 50,
        .groups = 3,
        .zipf = 1,
        .actions = 5,
        .metadata_actions = 20,
        .mix = {1, 1, 1, 1},
        .principal_prefix = "CN=p",
        .principal_suffix = ",O=Example",
        .topic_prefix = "t-",
        .group_prefix = "g-",
        .cluster_id = "cluster-1",
        .listener = "CLIENT",
        .fields = DK_GROUP_LISTENER,
    };
}

/* A load, and a call of it taken apart. */
struct subject {
    struct dk_load *load;
    struct dk_call_maker maker;
    struct dk_call call;
    struct dk_context context;
    struct dk_action actions[64];
};

static void begin(struct subject *subject, const struct dk_workload_options *options) {
    memset(subject, 0, sizeof(*subject));
    assert_int_equal(dk_workload_new(options, &subject->load), DK_OK);
    assert_int_equal(dk_load_init_maker(subject->load, &subject->maker), DK_OK);
}

static void end(struct subject *subject) {
    dk_load_clean_up_maker(&subject->maker);
    dk_load_destroy(subject->load);
}

/* Checks, too, that `ends` says where the actions are. */
static void make(struct subject *subject, uint64_t number) {
    dk_load_make(subject->load, number, &subject->maker, &subject->call);
    struct dk_bytes rest = subject->call.request;
    assert_in_range(subject->call.count, 1, 64);
    for (size_t i = 0; i < subject->call.count; i++) {
        assert_int_equal(dk_action_parse(&rest, &subject->actions[i]), DK_OK);
        assert_ptr_equal(rest.ptr, subject->call.request.ptr + subject->call.ends[i]);
    }
    assert_int_equal(rest.len, 0);
    assert_true(subject->call.context < subject->load->context_count);
    assert_int_equal(
        dk_context_parse(subject->load->contexts[subject->call.context], &subject->context), DK_OK);
}

static bool is_text(struct dk_bytes bytes, const char *text) {
    return dk_bytes_equal(bytes, dk_bytes_of(text));
}

static bool begins_with(struct dk_bytes bytes, const char *text) {
    return bytes.len >= strlen(text) && memcmp(bytes.ptr, text, strlen(text)) == 0;
}

/* The same seed and number make the same call, in whatever order and maker. */
static void test_a_call_depends_on_seed_and_number(void **state) {
    struct dk_workload_options options = standard();
    struct subject one, other, third;
    unsigned differ = 0;
    (void)state;
    begin(&one, &options);
    begin(&other, &options);
    options.seed = 8;
    begin(&third, &options);
    for (uint64_t i = 0; i < CALLS; i++) {
        make(&other, (CALLS - i) * 3); /* something else in between */
        make(&one, i);
        make(&other, i);
        make(&third, i);
        assert_int_equal(one.call.context, other.call.context);
        assert_true(dk_bytes_equal(one.call.request, other.call.request));
        differ += !dk_bytes_equal(one.call.request, third.call.request);
    }
    assert_true(differ > CALLS / 2);
    end(&one);
    end(&other);
    end(&third);
}

static void check_topics(const struct subject *subject) {
    for (size_t i = 0; i < subject->call.count; i++) {
        const struct dk_action *action = &subject->actions[i];
        assert_int_equal(action->type, DK_TYPE_TOPIC);
        assert_int_equal(action->pattern, DK_PATTERN_LITERAL);
        assert_true(action->named && begins_with(action->name, "t-"));
        assert_int_equal(action->operation, subject->actions[0].operation);
        for (size_t j = 0; j < i; j++) {
            assert_false(dk_bytes_equal(action->name, subject->actions[j].name));
        }
    }
}

static void check_group(const struct subject *subject) {
    char own[64];
    struct dk_bytes principal = subject->context.fields[DK_FIELD_PRINCIPAL_NAME];
    (void)snprintf(own, sizeof(own), "%.*s:g-", (int)principal.len, (const char *)principal.ptr);
    assert_int_equal(subject->call.count, 1);
    assert_int_equal(subject->actions[0].operation, DK_OPERATION_READ);
    assert_true(begins_with(subject->actions[0].name, own));
}

/* Each kind asks what its name says, and all are asked as often as their weights say. */
static void test_kinds_of_calls(void **state) {
    struct dk_workload_options options = standard();
    struct subject subject;
    unsigned seen[16] = {0}, groups = 0;
    (void)state;
    options.mix[DK_CALL_GROUP] = 3;
    begin(&subject, &options);
    for (uint64_t i = 0; i < CALLS; i++) {
        make(&subject, i);
        if (subject.actions[0].type == DK_TYPE_GROUP) {
            check_group(&subject);
            groups++;
            continue;
        }
        check_topics(&subject);
        seen[subject.actions[0].operation]++;
        bool metadata = subject.actions[0].operation == DK_OPERATION_DESCRIBE;
        assert_int_equal(subject.call.count, metadata ? 20 : 5);
    }
    assert_in_range(groups, CALLS * 4 / 10, CALLS * 6 / 10);
    assert_in_range(seen[DK_OPERATION_WRITE], CALLS / 10, CALLS * 3 / 10);
    assert_in_range(seen[DK_OPERATION_READ], CALLS / 10, CALLS * 3 / 10);
    assert_in_range(seen[DK_OPERATION_DESCRIBE], CALLS / 10, CALLS * 3 / 10);
    end(&subject);
}

static void test_kinds_of_weight_0_are_not_asked(void **state) {
    struct dk_workload_options options = standard();
    struct subject subject;
    (void)state;
    memset(options.mix, 0, sizeof(options.mix));
    options.mix[DK_CALL_METADATA] = 1;
    begin(&subject, &options);
    for (uint64_t i = 0; i < 100; i++) {
        make(&subject, i);
        assert_int_equal(subject.actions[0].operation, DK_OPERATION_DESCRIBE);
    }
    end(&subject);
}

static void test_contexts_say_who_asks(void **state) {
    struct dk_workload_options options = standard();
    struct subject subject;
    (void)state;
    begin(&subject, &options);
    assert_int_equal(subject.load->context_count, 10);
    assert_int_equal(dk_context_parse(subject.load->contexts[9], &subject.context), DK_OK);
    assert_true(is_text(subject.context.fields[DK_FIELD_PRINCIPAL_NAME], "CN=p9,O=Example"));
    assert_true(is_text(subject.context.fields[DK_FIELD_CLUSTER_ID], "cluster-1"));
    assert_true(is_text(subject.context.fields[DK_FIELD_LISTENER], "CLIENT"));
    assert_null(subject.context.fields[DK_FIELD_API].ptr);
    end(&subject);
}

/* With the request's name in the question there are as many contexts as kinds of calls. */
static void test_the_request_is_named_where_a_policy_reads_it(void **state) {
    struct dk_workload_options options = standard();
    struct subject subject;
    (void)state;
    options.fields = DK_GROUP_API | DK_GROUP_ADDRESS | DK_GROUP_PROTOCOL | DK_GROUP_CLIENT_ID;
    begin(&subject, &options);
    for (uint64_t i = 0; i < 100; i++) {
        make(&subject, i);
        struct dk_bytes api = subject.context.fields[DK_FIELD_API];
        const struct dk_action *first = &subject.actions[0];
        assert_true(is_text(api, first->type == DK_TYPE_GROUP             ? "HEARTBEAT"
                                 : first->operation == DK_OPERATION_WRITE ? "PRODUCE"
                                 : first->operation == DK_OPERATION_READ  ? "FETCH"
                                                                          : "METADATA"));
        assert_null(subject.context.fields[DK_FIELD_LISTENER].ptr);
        assert_non_null(subject.context.fields[DK_FIELD_CLIENT_ID].ptr);
    }
    end(&subject);
}

/* Two calls never share a new name. */
static void test_new_topics_were_never_asked(void **state) {
    struct dk_workload_options options = standard();
    struct subject subject;
    unsigned new_ones = 0, all = 0;
    (void)state;
    options.new_share = 0.25;
    options.mix[DK_CALL_GROUP] = 0;
    begin(&subject, &options);
    for (uint64_t i = 0; i < CALLS; i++) {
        char expected[64];
        make(&subject, i);
        for (size_t j = 0; j < subject.call.count; j++, all++) {
            (void)snprintf(expected, sizeof(expected), "t-new-%u-%zu", (unsigned)i, j);
            bool is_new = begins_with(subject.actions[j].name, "t-new-");
            assert_true(!is_new || is_text(subject.actions[j].name, expected));
            new_ones += is_new;
        }
    }
    assert_in_range(new_ones, all / 5, all * 3 / 10);
    end(&subject);
}

/* A list that is as long as there are topics names each once. */
static void test_lists_are_no_longer_than_there_are_topics(void **state) {
    struct dk_workload_options options = standard();
    struct subject subject;
    (void)state;
    options.actions = 100000;
    options.mix[DK_CALL_GROUP] = 0;
    options.mix[DK_CALL_METADATA] = 0;
    begin(&subject, &options);
    make(&subject, 0);
    assert_int_equal(subject.call.count, 50);
    check_topics(&subject);
    end(&subject);
}

static void count_picks(double exponent, unsigned picks[100]) {
    struct dk_zipf *zipf;
    struct dk_random random = dk_random_of(1, 2);
    memset(picks, 0, 100 * sizeof(picks[0]));
    assert_int_equal(dk_zipf_new(100, exponent, &zipf), DK_OK);
    for (unsigned i = 0; i < 100000; i++) {
        uint32_t pick = dk_zipf_pick(zipf, &random);
        assert_true(pick < 100);
        picks[pick]++;
    }
    dk_zipf_destroy(zipf);
}

/* With exponent 1 of 100 numbers the first gets 1/H(100) = 19.3 % of the picks. */
static void test_zipf(void **state) {
    unsigned picks[100];
    (void)state;
    count_picks(1, picks);
    assert_in_range(picks[0], 18800, 19800);
    assert_in_range(picks[1], 9300, 10000);
    assert_in_range(picks[9], 1750, 2110);
    assert_in_range(picks[99], 120, 270);
    count_picks(0, picks);
    for (unsigned i = 0; i < 100; i++) {
        assert_in_range(picks[i], 850, 1150);
    }
}

/* The grants that --print-grants prints name every principal for every topic, and are JSON. */
static void test_grants(void **state) {
    struct dk_workload_options options = standard();
    struct dk_writer grants;
    (void)state;
    options.topic_prefix = "\"t\"-";
    dk_writer_init(&grants, 1024 * 1024);
    dk_workload_write_grants(&options, &grants);
    assert_false(grants.failed);
    cJSON *whole = cJSON_ParseWithLength((const char *)grants.ptr, grants.len);
    const cJSON *topics = cJSON_GetObjectItemCaseSensitive(whole, "topics");
    const cJSON *last = cJSON_GetObjectItemCaseSensitive(topics, "\"t\"-49");
    const cJSON *writers = cJSON_GetObjectItemCaseSensitive(last, "write");
    assert_int_equal(cJSON_GetArraySize(topics), 50);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(last, "read")), 10);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetArrayItem(writers, 9)), "CN=p9,O=Example");
    cJSON_Delete(whole);
    dk_writer_clean_up(&grants);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_call_depends_on_seed_and_number),
        cmocka_unit_test(test_kinds_of_calls),
        cmocka_unit_test(test_kinds_of_weight_0_are_not_asked),
        cmocka_unit_test(test_contexts_say_who_asks),
        cmocka_unit_test(test_the_request_is_named_where_a_policy_reads_it),
        cmocka_unit_test(test_new_topics_were_never_asked),
        cmocka_unit_test(test_lists_are_no_longer_than_there_are_topics),
        cmocka_unit_test(test_zipf),
        cmocka_unit_test(test_grants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
