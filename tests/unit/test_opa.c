/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doorkeeper/opa.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define QUESTIONS_MAX 8

/* Records, and the questions parsed from them. */
struct fixture {
    uint8_t contexts[QUESTIONS_MAX][128];
    uint8_t actions[QUESTIONS_MAX][64];
    struct dk_context context[QUESTIONS_MAX];
    struct dk_action action[QUESTIONS_MAX];
    struct dk_opa_question questions[QUESTIONS_MAX];
    size_t count;
};
static struct fixture fixture;

static size_t put_field(uint8_t *at, unsigned tag, const char *value) {
    memset(at, 0, 8);
    at[0] = (uint8_t)tag;
    dk_write_u32(at + 4, (uint32_t)strlen(value));
    memcpy(at + 8, value, strlen(value));
    return 8 + strlen(value);
}

/* `topic` NULL: any topic. */
static void ask_in(const char *cluster, const char *who, unsigned operation, const char *topic) {
    size_t i = fixture.count++;
    uint8_t *bytes = fixture.contexts[i];
    size_t len = 8;
    memset(bytes, 0, 8);
    len += put_field(bytes + len, DK_FIELD_CLUSTER_ID, cluster);
    len += put_field(bytes + len, DK_FIELD_PRINCIPAL_TYPE, "User");
    len += put_field(bytes + len, DK_FIELD_PRINCIPAL_NAME, who);
    struct dk_bytes record = {bytes, len};
    assert_int_equal(dk_context_parse(record, &fixture.context[i]), DK_OK);

    uint8_t *action = fixture.actions[i];
    size_t name_len = topic != NULL ? strlen(topic) : 0;
    memset(action, 0, sizeof(fixture.actions[i]));
    action[8] = (uint8_t)operation;
    action[9] = 2;
    action[10] = 3;
    action[11] = topic != NULL;
    dk_write_u32(action + 12, (uint32_t)name_len);
    memcpy(action + DK_ACTION_HEADER, topic != NULL ? topic : "", name_len);
    struct dk_bytes rest = {action, DK_ACTION_HEADER + ((name_len + 7) & ~(size_t)7)};
    assert_int_equal(dk_action_parse(&rest, &fixture.action[i]), DK_OK);
    fixture.questions[i] =
        (struct dk_opa_question){&fixture.context[i], &fixture.action[i], DK_ALLOW};
}

static void ask(const char *who, unsigned operation, const char *topic) {
    ask_in("c1", who, operation, topic);
}

#define READ 3
#define WRITE 4
#define DESCRIBE 8

static int set_up(void **state) {
    (void)state;
    memset(&fixture, 0, sizeof(fixture));
    return 0;
}

static void expect_text(struct dk_writer *out, const char *expected) {
    assert_false(out->failed);
    if (out->len != strlen(expected) || memcmp(out->ptr, expected, out->len) != 0) {
        print_error("wrote    %.*s\nexpected %s\n", (int)out->len, (const char *)out->ptr,
                    expected);
        fail();
    }
    dk_writer_clean_up(out);
}

static void expect_batch(const char *expected) {
    struct dk_writer out;
    dk_writer_init(&out, 1 << 20);
    dk_opa_write_batch(dk_bytes_of("poll"), fixture.questions, fixture.count, &out);
    expect_text(&out, expected);
}

/* Three requests: alice asks READ b, a and WRITE any; bob READ a; carol twice any. */
static void ask_three(void) {
    ask("bob", READ, "a");
    ask("alice", WRITE, NULL);
    ask("carol", READ, NULL);
    ask("alice", READ, "b");
    ask("carol", READ, NULL);
    ask("alice", READ, "a");
    struct dk_writer out;
    dk_writer_init(&out, 1 << 20);
    dk_opa_write_batch(dk_bytes_of(""), fixture.questions, fixture.count, &out);
    dk_writer_clean_up(&out);
}

static struct dk_opa_reply reply;

/* Ends the test by a call that the analyser knows not to return. */
static void *checked(void *memory) {
    if (memory == NULL) {
        abort();
    }
    return memory;
}

/* In memory of its own of just that length, so that a sanitizer sees a read beyond it. */
static struct dk_opa_reply *read_bytes(const char *body, size_t len) {
    uint8_t *copy = checked(malloc(len + (len == 0)));
    memcpy(copy, body, len);
    dk_opa_read_batch((struct dk_bytes){copy, len}, fixture.questions, fixture.count, &reply);
    free(copy);
    return &reply;
}

static struct dk_opa_reply *read_text(const char *body) {
    return read_bytes(body, strlen(body));
}

static void expect_outcomes(const char *expected) {
    static const char letters[] = {'d', 'A', 'u', 'x'};
    char seen[QUESTIONS_MAX + 1] = "";
    for (size_t i = 0; i < fixture.count; i++) {
        seen[i] = letters[fixture.questions[i].outcome];
    }
    assert_string_equal(seen, expected);
}

static void expect_malformed(const char *body) {
    for (size_t i = 0; i < fixture.count; i++) {
        fixture.questions[i].outcome = DK_ALLOW;
    }
    if (read_text(body)->verdict != DK_OPA_MALFORMED) {
        print_error("taken: %s\n", body);
        fail();
    }
    for (size_t i = 0; i < fixture.count; i++) {
        assert_int_equal(fixture.questions[i].outcome, DK_UNAVAILABLE);
    }
    assert_string_not_equal(reply.why.text, "");
    assert_string_equal(reply.revision, "");
}

static void test_batch_groups_by_asker_and_ask(void **state) {
    (void)state;
    ask("bob", READ, "a");
    ask("alice", READ, "b\"");
    ask("alice", WRITE, NULL);
    ask("alice", WRITE, NULL);
    ask("alice", READ, "a");
    ask("alice", WRITE, "a");
    ask("alice", DESCRIBE, "a");
    expect_batch(
        "{\"input\":{\"version\":1,\"cluster\":{\"id\":\"c1\"},\"requests\":["
        "{\"principal\":{\"type\":\"User\",\"name\":\"bob\"},\"client\":{},\"asks\":["
        "{\"operation\":\"READ\",\"type\":\"TOPIC\",\"pattern\":\"LITERAL\",\"names\":[\"a\"]}]},"
        "{\"principal\":{\"type\":\"User\",\"name\":\"alice\"},\"client\":{},\"asks\":["
        "{\"operation\":\"READ\",\"type\":\"TOPIC\",\"pattern\":\"LITERAL\","
        "\"names\":[\"a\",\"b\\\"\"]},"
        "{\"operation\":\"WRITE\",\"type\":\"TOPIC\",\"pattern\":\"LITERAL\"},"
        "{\"operation\":\"WRITE\",\"type\":\"TOPIC\",\"pattern\":\"LITERAL\"},"
        "{\"operation\":\"WRITE\",\"type\":\"TOPIC\",\"pattern\":\"LITERAL\",\"names\":[\"a\"]},"
        "{\"operation\":\"DESCRIBE\",\"type\":\"TOPIC\",\"pattern\":\"LITERAL\","
        "\"names\":[\"a\"]}]}]}}");
}

static void test_polls(void **state) {
    (void)state;
    struct dk_writer out;
    expect_batch("{\"input\":{\"version\":1,\"cluster\":{\"id\":\"poll\"},\"requests\":[]}}");
    dk_writer_init(&out, 1024);
    dk_opa_write_single_poll(dk_bytes_of("poll"), &out);
    expect_text(&out, "{\"input\":{\"version\":1,\"cluster\":{\"id\":\"poll\"}}}");

    assert_int_equal(read_text("{\"result\":[]}")->verdict, DK_OPA_ANSWERED);
    expect_malformed("{\"result\":[[]]}");
    expect_malformed("{\"result\":true}");
    assert_int_equal(read_text("{}")->verdict, DK_OPA_UNDEFINED);
    dk_opa_read_single(dk_bytes_of("{\"result\":false}"), NULL, &reply);
    assert_int_equal(reply.verdict, DK_OPA_ANSWERED);
    dk_opa_read_single(dk_bytes_of("{\"result\":[]}"), NULL, &reply);
    assert_int_equal(reply.verdict, DK_OPA_MALFORMED);
}

static void test_batch_never_mixes_clusters(void **state) {
    (void)state;
    struct dk_writer out;
    ask_in("c1", "alice", READ, "a");
    ask_in("c2", "alice", READ, "a");
    dk_writer_init(&out, 1 << 20);
    dk_opa_write_batch(dk_bytes_of("c1"), fixture.questions, fixture.count, &out);
    assert_true(out.failed);
    dk_writer_clean_up(&out);
}

static void test_answers_reach_their_questions(void **state) {
    (void)state;
    ask_three();
    /* After sorting: bob's a; alice's a, b, any; carol's any twice. */
    assert_int_equal(read_text("{\"result\":[[[0]],[[1],[0]],[[],[0]]]}")->verdict,
                     DK_OPA_ANSWERED);
    expect_outcomes("AdAAdA");
    assert_int_equal(read_text(" {\"result\":[[[]],[[1,0],[]],[[],[]]]}\r\n")->verdict,
                     DK_OPA_ANSWERED);
    expect_outcomes("dAAddd");
}

static void test_undefined(void **state) {
    (void)state;
    ask_three();
    assert_int_equal(read_text("{}")->verdict, DK_OPA_UNDEFINED);
    expect_outcomes("uuuuuu");
    assert_int_equal(read_text("{\"Result\":[[[0]]],\"provenance\":{\"bundles\":{\"a\":"
                               "{\"revision\":\"1\"}}}}")
                         ->verdict,
                     DK_OPA_UNDEFINED);
    assert_string_equal(reply.revision, "a=1");
    expect_malformed("{\"code\":\"internal\\nerror\",\"message\":\"m\"}");
    assert_non_null(strstr(reply.why.text, "internal\\x"));
    assert_null(strchr(reply.why.text, '\n'));
}

static void test_everything_else_is_malformed(void **state) {
    (void)state;
    static const char *const bodies[] = {
        "",
        " ",
        "null",
        "true",
        "[]",
        "[[[0]],[[1],[0]],[[],[0]]]",
        "\"x\"",
        "<html>403</html>",
        "{\"result\":null}",
        "{\"result\":true}",
        "{\"result\":{}}",
        "{\"result\":\"[]\"}",
        "{\"result\":[]}",
        "{\"result\":[[[0]],[[1],[0]]]}",
        "{\"result\":[[[0]],[[1],[0]],[[],[0]],[]]}",
        "{\"result\":[[[0]],[[1]],[[],[0]]]}",
        "{\"result\":[[[0]],[[1],[0],[]],[[],[0]]]}",
        "{\"result\":[[[0]],[[1],[0]],[[0]]]}",
        "{\"result\":[[0],[[1],[0]],[[],[0]]]}",
        "{\"result\":[0,[[1],[0]],[[],[0]]]}",
        "{\"result\":[{},[[1],[0]],[[],[0]]]}",
        "{\"result\":{\"a\":[[0]],\"b\":[[1],[0]],\"c\":[[],[0]]}}",
        "{\"result\":[{\"a\":[0]},[[1],[0]],[[],[0]]]}",
        "{\"result\":[[{\"a\":0}],[[1],[0]],[[],[0]]]}",
        "{\"result\":[],\"provenance\":{\"bundles\":{\"a\":{\"revision\":\"1\"}}}}",
        "{\"result\":[[{}],[[1],[0]],[[],[0]]]}",
        "{\"result\":[[[1]],[[1],[0]],[[],[0]]]}",
        "{\"result\":[[[0]],[[2],[0]],[[],[0]]]}",
        "{\"result\":[[[0]],[[-1],[0]],[[],[0]]]}",
        "{\"result\":[[[0]],[[0.5],[0]],[[],[0]]]}",
        "{\"result\":[[[0]],[[1e9],[0]],[[],[0]]]}",
        "{\"result\":[[[0]],[[1e999],[0]],[[],[0]]]}",
        "{\"result\":[[[0]],[[1,1],[0]],[[],[0]]]}",
        "{\"result\":[[[0]],[[\"1\"],[0]],[[],[0]]]}",
        "{\"result\":[[[0]],[[true],[0]],[[],[0]]]}",
        "{\"result\":[[[0]],[[null],[0]],[[],[0]]]}",
        "{\"result\":[[[0]],[[[1]],[0]],[[],[0]]]}",
        "{\"result\":[[[0]],[[1],[1]],[[],[0]]]}",
        "{\"result\":[[[0]],[[1],[0]],[[],[0]]]} x",
        "{\"result\":[[[0]],[[1],[0]],[[],[0]]]}{}",
        "{\"result\":[[[0]],[[1],[0]],[[],[0]]],\"result\":[[[0]],[[1],[0]],[[],[0]]]}",
        "{\"result\\u0000x\":[[[0]],[[1],[0]],[[],[0]]]}",
        "{\"result\":[[[0]],[[1],[0]],[[],[0]]],\"x\":\"\xff\"}",
        "{\"result\":[[[0]],[[1],[0]],[[],[0]]],\"x\":\"\n\"}",
        "\xef\xbb\xbf{\"result\":[[[0]],[[1],[0]],[[],[0]]]}",
    };
    ask_three();
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        expect_malformed(bodies[i]);
    }
}

static void test_every_cut_of_an_answer_is_malformed(void **state) {
    (void)state;
    static const char body[] = "{\"result\":[[[0]],[[1],[0]],[[],[0]]],\"provenance\":"
                               "{\"bundles\":{\"a\":{\"revision\":\"\\u0041\\\"\"}}}}";
    ask_three();
    for (size_t len = 0; len < sizeof(body) - 1; len++) {
        assert_int_equal(read_bytes(body, len)->verdict, DK_OPA_MALFORMED);
        expect_outcomes("xxxxxx");
    }
    assert_int_equal(read_bytes(body, sizeof(body) - 1)->verdict, DK_OPA_ANSWERED);
    expect_outcomes("AdAAdA");
    /* A NUL is no end of the text, nor white space behind it. */
    assert_int_equal(read_bytes(body, sizeof(body))->verdict, DK_OPA_MALFORMED);
}

/* `open` repeated, `middle`, then `close` repeated. */
static char *repeat(const char *open, const char *middle, const char *close, size_t times) {
    size_t size = times * (strlen(open) + strlen(close)) + strlen(middle) + 1;
    char *text = checked(malloc(size));
    char *at = text;
    for (size_t i = 0; i < times; i++) {
        at += sprintf(at, "%s", open);
    }
    at += sprintf(at, "%s", middle);
    for (size_t i = 0; i < times; i++) {
        at += sprintf(at, "%s", close);
    }
    return text;
}

static void test_depth_and_size_are_bounded(void **state) {
    (void)state;
    ask("alice", READ, "a");
    char *deep = repeat("{\"x\":", "1", "}", 30);
    assert_int_equal(read_text(deep)->verdict, DK_OPA_UNDEFINED);
    free(deep);
    deep = repeat("{\"x\":", "1", "}", 40);
    expect_malformed(deep);
    free(deep);
    deep = repeat("[", "", "]", 1000000);
    expect_malformed(deep);
    free(deep);
    char *wide = repeat("", "{\"x\":[0", ",0", 100000);
    size_t len = strlen(wide);
    wide = checked(realloc(wide, len + 3));
    memcpy(wide + len, "]}", 3);
    expect_malformed(wide);
    free(wide);
}

static void test_single_allows_only_true(void **state) {
    (void)state;
    static const struct {
        const char *body;
        enum dk_opa_verdict verdict;
        enum dk_outcome outcome;
    } cases[] = {
        {"{\"result\":true}", DK_OPA_ANSWERED, DK_ALLOW},
        {"{\"result\":false}", DK_OPA_ANSWERED, DK_DENY},
        {"{}", DK_OPA_UNDEFINED, DK_UNDEFINED},
        {"{\"result\":\"true\"}", DK_OPA_MALFORMED, DK_UNAVAILABLE},
        {"{\"result\":1}", DK_OPA_MALFORMED, DK_UNAVAILABLE},
        {"{\"result\":[true]}", DK_OPA_MALFORMED, DK_UNAVAILABLE},
        {"{\"result\":{\"allow\":true}}", DK_OPA_MALFORMED, DK_UNAVAILABLE},
        {"{\"result\":null}", DK_OPA_MALFORMED, DK_UNAVAILABLE},
        {"{\"result\":tru", DK_OPA_MALFORMED, DK_UNAVAILABLE},
        {"true", DK_OPA_MALFORMED, DK_UNAVAILABLE},
        {"{\"result\":false,\"result\":true}", DK_OPA_MALFORMED, DK_UNAVAILABLE},
    };
    ask("alice", READ, "a");
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        fixture.questions[0].outcome = DK_ALLOW;
        dk_opa_read_single(dk_bytes_of(cases[i].body), fixture.questions, &reply);
        assert_int_equal(reply.verdict, cases[i].verdict);
        assert_int_equal(fixture.questions[0].outcome, cases[i].outcome);
    }
}

static const char *revision_of(const char *provenance) {
    static char body[4096];
    (void)snprintf(body, sizeof(body), "{\"result\":[],\"provenance\":%s}", provenance);
    assert_int_equal(read_text(body)->verdict, DK_OPA_ANSWERED);
    return reply.revision;
}

static void test_revision(void **state) {
    (void)state;
    assert_string_equal(revision_of("{\"version\":\"1.2\",\"bundles\":{\"b\":{\"revision\":\"2\"},"
                                    "\"a\":{\"revision\":\"1\"},\"c\":{},\"d\":{\"revision\":\"\"},"
                                    "\"e\":{\"revision\":5},\"f\":null}}"),
                        "a=1,b=2");
    assert_string_equal(revision_of("{\"bundles\":{\"a=1,b\":{\"revision\":\"x,y=%\\n\\u00fc\"}}}"),
                        "a%3D1%2Cb=x%2Cy=%25%0A%C3%BC");
    assert_string_equal(revision_of("{}"), "");
    assert_string_equal(revision_of("null"), "");
    assert_string_equal(revision_of("{\"bundles\":{}}"), "");
    assert_string_equal(revision_of("{\"bundles\":[{\"revision\":\"1\"}]}"), "");
}

static void test_long_revisions_stay_different(void **state) {
    (void)state;
    char provenance[1024];
    char first[DK_REVISION_MAX];
    char name[400];
    memset(name, 'r', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    (void)snprintf(provenance, sizeof(provenance), "{\"bundles\":{\"a\":{\"revision\":\"%s1\"}}}",
                   name);
    (void)snprintf(first, sizeof(first), "%s", revision_of(provenance));
    assert_int_equal(strlen(first), strlen("sha256:") + 64);
    assert_memory_equal(first, "sha256:", 7);
    assert_string_equal(revision_of(provenance), first);
    (void)snprintf(provenance, sizeof(provenance), "{\"bundles\":{\"a\":{\"revision\":\"%s2\"}}}",
                   name);
    assert_string_not_equal(revision_of(provenance), first);

    /* The longest that stays readable, and one more. */
    name[DK_REVISION_MAX - 3] = '\0';
    (void)snprintf(provenance, sizeof(provenance), "{\"bundles\":{\"a\":{\"revision\":\"%s\"}}}",
                   name);
    assert_int_equal(strlen(revision_of(provenance)), DK_REVISION_MAX - 1);
    name[DK_REVISION_MAX - 3] = 'r';
    name[DK_REVISION_MAX - 2] = '\0';
    (void)snprintf(provenance, sizeof(provenance), "{\"bundles\":{\"a\":{\"revision\":\"%s\"}}}",
                   name);
    assert_memory_equal(revision_of(provenance), "sha256:", 7);
}

static void test_revision_document(void **state) {
    (void)state;
    static const struct {
        const char *body;
        const char *revision; /* "": refused */
    } cases[] = {
        {"{\"result\":\"v1\"}", "v1"},
        {"{\"result\":\"v 1,2\"}", "v%201%2C2"},
        {"{\"result\":\"v%201%2C2\"}", "v%25201%252C2"}, /* not the same as the one above */
        {"{\"result\":17}", "17"},
        {"{\"result\":0.1}", "0.10000000000000001"},
        {"{\"result\":\"\"}", ""},
        {"{\"result\":true}", ""},
        {"{\"result\":[\"v1\"]}", ""},
        {"{\"revision\":\"v1\"}", ""},
        {"\"v1\"", ""},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char revision[DK_REVISION_MAX] = "before";
        bool ok = dk_opa_read_revision_document(dk_bytes_of(cases[i].body), revision);
        assert_string_equal(revision, cases[i].revision);
        assert_int_equal(ok, cases[i].revision[0] != '\0');
    }
}

#define TEST(function) cmocka_unit_test_setup(function, set_up)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_batch_groups_by_asker_and_ask),
        TEST(test_polls),
        TEST(test_batch_never_mixes_clusters),
        TEST(test_answers_reach_their_questions),
        TEST(test_undefined),
        TEST(test_everything_else_is_malformed),
        TEST(test_every_cut_of_an_answer_is_malformed),
        TEST(test_depth_and_size_are_bounded),
        TEST(test_single_allows_only_true),
        TEST(test_revision),
        TEST(test_long_revisions_stay_different),
        TEST(test_revision_document),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
