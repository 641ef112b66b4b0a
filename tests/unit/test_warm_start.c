/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes that end and begin again, and what they ask of OPA before their clients do. The test is
 * the scribe. */
#include "doorkeeper/authorizer.h"

#include "doorkeeper/clock.h"
#include "doorkeeper/file.h"

#include "support/fake_opa.h"
#include "support/records.h"
#include "support/temp_dir.h"
#include "support/wait_until.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define CLUSTER "cluster-1"
#define SETTINGS_MAX 16u
#define ASKED_AHEAD_MAX 100u

/* A node that runs, and all that it has logged. */
struct node {
    struct dk_authorizer *authorizer;
    pthread_t io;
    char lines[65536];
};

struct fixture {
    struct temp_dir dir;
    char path[TEMP_PATH_MAX];
    struct fake_opa *opa;
    struct node room;
    struct node *node; /* that one, or NULL: none runs */
};

static int set_up(void **state) {
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    *state = fixture;
    assert_true(temp_dir_make(&fixture->dir));
    temp_dir_path(&fixture->dir, "questions", fixture->path);
    fixture->opa = fake_opa_start();
    assert_non_null(fixture->opa);
    return 0;
}

static void *run(void *user) {
    dk_authorizer_run(user);
    return NULL;
}

/* One round of the scribe. True if one of all lines so far has `text` in it. */
static bool logged(struct node *node, const char *text) {
    uint8_t records[16384];
    size_t len = dk_authorizer_drain(node->authorizer, records, sizeof(records), 0);
    size_t used = strlen(node->lines);
    for (size_t at = 0; at < len; at += 4 + (size_t)dk_read_u16(records + at + 2)) {
        int written =
            snprintf(node->lines + used, sizeof(node->lines) - used, "%u %.*s\n", records[at + 1],
                     (int)dk_read_u16(records + at + 2), (const char *)records + at + 4);
        assert_true(written > 0 && (size_t)written < sizeof(node->lines) - used);
        used += (size_t)written;
    }
    return strstr(node->lines, text) != NULL;
}

/* `more`: key, value, ..., NULL, in place of those that all have. */
static void start_in(struct fixture *fixture, const char *cluster, const char *const *more) {
    const char *const usual[] = {"doorkeeper.opa.url", fake_opa_url(fixture->opa),
                                 "doorkeeper.warm.start.file", fixture->path, NULL};
    const char *const *const lists[] = {more, usual};
    struct dk_setting settings[SETTINGS_MAX];
    size_t count = 0;
    struct dk_config config;
    struct dk_error_text why = {""};
    for (size_t i = 0; i < 2; i++) {
        for (const char *const *setting = lists[i]; *setting != NULL; setting += 2) {
            bool given = false;
            for (size_t j = 0; j < count; j++) {
                given |= dk_bytes_equal(settings[j].key, dk_bytes_of(setting[0]));
            }
            if (!given) {
                settings[count++] =
                    (struct dk_setting){dk_bytes_of(setting[0]), dk_bytes_of(setting[1])};
            }
        }
    }
    memset(&fixture->room, 0, sizeof(fixture->room));
    fixture->node = &fixture->room;
    enum dk_error error = dk_config_parse(settings, count, &config, &why);
    config.deadline_ms = 2 * WAIT_LIMIT_MS; /* more than a person may set: a gate may stay closed */
    if (error != DK_OK || dk_authorizer_new(&config, &fixture->node->authorizer, &why) != DK_OK) {
        fail_msg("%s", why.text);
    }
    assert_int_equal(pthread_create(&fixture->node->io, NULL, run, fixture->node->authorizer), 0);
    /* Kafka tells of the cluster later than it makes the authorizer. */
    assert_false(logged(fixture->node, "warm start: "));
    assert_int_equal(dk_authorizer_set_cluster_id(fixture->node->authorizer, dk_bytes_of(cluster)),
                     DK_OK);
}

static void start(struct fixture *fixture) {
    start_in(fixture, CLUSTER, (const char *const[]){NULL});
}

/* As the broker's scribe does: drains until nothing is left. */
static void stop(struct fixture *fixture) {
    struct node *node = fixture->node;
    dk_authorizer_stop(node->authorizer);
    pthread_join(node->io, NULL);
    size_t before;
    do {
        before = strlen(node->lines);
        (void)logged(node, "");
    } while (strlen(node->lines) > before);
    dk_authorizer_destroy(node->authorizer);
    fixture->node = NULL;
}

static int tear_down(void **state) {
    struct fixture *fixture = *state;
    if (fixture->node != NULL) {
        stop(fixture);
    }
    fake_opa_stop(fixture->opa);
    temp_dir_remove(&fixture->dir);
    free(fixture);
    return 0;
}

static void await_line(struct fixture *fixture, const char *text) {
    WAIT_UNTIL(logged(fixture->node, text));
}

/* `asked`, `ruled` and `foreign` as the line at the end of the warm start has them. */
static void await_warm_start(struct fixture *fixture, size_t asked, size_t ruled, size_t foreign) {
    char begin[80];
    char end[120];
    await_line(fixture, "warm start: ");
    snprintf(begin, sizeof(begin), "2 warm start: questions asked of OPA again: %zu, in ", asked);
    snprintf(end, sizeof(end),
             "left out, because local rules decide them: %zu, because they are of another cluster: "
             "%zu\n",
             ruled, foreign);
    if (!logged(fixture->node, begin) || !logged(fixture->node, end)) {
        fail_msg("%s", fixture->node->lines);
    }
}

static uint64_t metric(const struct fixture *fixture, enum dk_metric metric) {
    return dk_authorizer_metric(fixture->node->authorizer, metric);
}

static dk_answer ask(struct fixture *fixture, const char *principal, const char *name) {
    /* What is asked before the policy's revision is known is not cached. */
    assert_true(dk_authorizer_wait_ready(fixture->node->authorizer, WAIT_LIMIT_MS));
    struct dk_writer context;
    struct dk_writer request;
    dk_answer answer = 0;
    dk_writer_init(&context, DK_CONTEXT_MAX);
    dk_writer_init(&request, DK_NAME_MAX + 64);
    write_context(&context, CLUSTER, principal, 0);
    write_action(&request, name);
    assert_int_equal(dk_authorizer_authorize(fixture->node->authorizer, dk_writer_view(&context),
                                             dk_writer_view(&request), 1, 0, &answer),
                     DK_OK);
    dk_writer_clean_up(&context);
    dk_writer_clean_up(&request);
    return answer;
}

#define ASKED(outcome) DK_ANSWER(outcome, DK_SOURCE_OPA)
#define CACHED(outcome) DK_ANSWER(outcome, DK_SOURCE_CACHE)

/* alice asks for ok-0, ok-1, ... in one call. */
static void ask_many(struct fixture *fixture, size_t count) {
    assert_true(dk_authorizer_wait_ready(fixture->node->authorizer, WAIT_LIMIT_MS));
    struct dk_writer context;
    struct dk_writer request;
    dk_answer *answers = calloc(count, sizeof(*answers));
    assert_non_null(answers);
    dk_writer_init(&context, DK_CONTEXT_MAX);
    dk_writer_init(&request, (size_t)1 << 20);
    write_context(&context, CLUSTER, "alice", 0);
    for (size_t i = 0; i < count; i++) {
        char name[24];
        snprintf(name, sizeof(name), "ok-%zu", i);
        write_action(&request, name);
    }
    assert_int_equal(dk_authorizer_authorize(fixture->node->authorizer, dk_writer_view(&context),
                                             dk_writer_view(&request), count, 0, answers),
                     DK_OK);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(DK_ANSWER_OUTCOME(answers[i]), DK_ALLOW);
    }
    dk_writer_clean_up(&context);
    dk_writer_clean_up(&request);
    free(answers);
}

/* A node that was asked four questions, and ended. */
static void live_once(struct fixture *fixture) {
    start(fixture);
    assert_int_equal(ask(fixture, "alice", "ok-1"), ASKED(DK_ALLOW));
    assert_int_equal(ask(fixture, "alice", "no-1"), ASKED(DK_DENY));
    assert_int_equal(ask(fixture, "alice", NULL), ASKED(DK_ALLOW));
    assert_int_equal(ask(fixture, "bob", "ok-1"), ASKED(DK_ALLOW));
    assert_int_equal(ask(fixture, "bob", "ok-1"), CACHED(DK_ALLOW));
    stop(fixture);
    assert_int_equal(access(fixture->path, F_OK), 0);
}

static struct dk_writer content_of(const char *path) {
    struct dk_writer content;
    dk_writer_init(&content, (size_t)1 << 20);
    assert_int_equal(dk_file_read(path, &content, NULL), DK_OK);
    return content;
}

/* ---- what it is for ---------------------------------------------------------------------- */

static void what_was_asked_is_a_hit_after_a_restart(void **state) {
    struct fixture *fixture = *state;
    live_once(fixture);
    assert_int_equal(fake_opa_questions(fixture->opa), 4);
    start(fixture);
    await_warm_start(fixture, 4, 0, 0);
    assert_int_equal(fake_opa_questions(fixture->opa), 8);
    assert_int_equal(metric(fixture, DK_METRIC_WARM_QUESTIONS), 4);
    assert_int_equal(metric(fixture, DK_METRIC_REFRESHES), 0);
    assert_int_equal(ask(fixture, "alice", "ok-1"), CACHED(DK_ALLOW));
    assert_int_equal(ask(fixture, "alice", "no-1"), CACHED(DK_DENY));
    assert_int_equal(ask(fixture, "alice", NULL), CACHED(DK_ALLOW));
    assert_int_equal(ask(fixture, "bob", "ok-1"), CACHED(DK_ALLOW));
    assert_int_equal(metric(fixture, DK_METRIC_MISSES), 0);
    assert_int_equal(fake_opa_questions(fixture->opa), 8);
    assert_int_equal(ask(fixture, "bob", "ok-2"), ASKED(DK_ALLOW));
    stop(fixture);
    start(fixture);
    await_warm_start(fixture, 5, 0, 0); /* what was only asked ahead is not forgotten */
}

/* Nothing tells it that it ends. */
static void a_node_that_is_killed_has_written_before(void **state) {
    struct fixture *fixture = *state;
    start(fixture);
    assert_int_equal(ask(fixture, "alice", "ok-1"), ASKED(DK_ALLOW));
    assert_int_not_equal(access(fixture->path, F_OK), 0);
    WAIT_UNTIL(!logged(fixture->node, "WARN") && access(fixture->path, F_OK) == 0);
    struct dk_writer content = content_of(fixture->path);
    assert_non_null(memmem(content.ptr, content.len, "ok-1", 4));
    dk_writer_clean_up(&content);
}

static void the_file_allows_nothing(void **state) {
    struct fixture *fixture = *state;
    live_once(fixture);
    fake_opa_deny_all(fixture->opa);
    start(fixture);
    await_warm_start(fixture, 4, 0, 0);
    assert_int_equal(ask(fixture, "alice", "ok-1"), CACHED(DK_DENY));
    assert_int_equal(ask(fixture, "bob", "ok-1"), CACHED(DK_DENY));
}

static void without_the_setting_there_is_nothing(void **state) {
    struct fixture *fixture = *state;
    start_in(fixture, CLUSTER, (const char *const[]){"doorkeeper.warm.start.file", "", NULL});
    assert_int_equal(ask(fixture, "alice", "ok-1"), ASKED(DK_ALLOW));
    assert_true(logged(fixture->node, "memory is fixed"));
    assert_false(logged(fixture->node, "warm start: "));
    stop(fixture);
    assert_int_not_equal(access(fixture->path, F_OK), 0);
}

static void its_memory_is_told(void **state) {
    struct fixture *fixture = *state;
    static const char label[] = "questions ";
    start_in(fixture, CLUSTER,
             (const char *const[]){"doorkeeper.questions.max.bytes", "1048576", NULL});
    await_line(fixture, label);
    const char *number = strstr(fixture->node->lines, label) + strlen(label);
    assert_in_range(strtoul(number, NULL, 10), 1048576 + 4194304, 2 * (1048576 + 4194304));
}

/* ---- what is left out -------------------------------------------------------------------- */

static void questions_of_another_cluster_are_not_asked(void **state) {
    struct fixture *fixture = *state;
    live_once(fixture);
    start_in(fixture, "cluster-2", (const char *const[]){NULL});
    await_warm_start(fixture, 0, 0, 4);
    assert_int_equal(fake_opa_questions(fixture->opa), 4);
}

static void what_local_rules_decide_is_not_asked(void **state) {
    struct fixture *fixture = *state;
    char deny_path[TEMP_PATH_MAX];
    live_once(fixture);
    assert_true(temp_dir_write(
        &fixture->dir, "deny",
        dk_bytes_of("{\"deny\": [{\"type\": \"TOPIC\", \"name\": \"no-1\"}]}"), deny_path));
    start_in(
        fixture, CLUSTER,
        (const char *const[]){"super.users", "User:bob", "doorkeeper.deny.file", deny_path, NULL});
    await_warm_start(fixture, 2, 2, 0);
    assert_int_equal(fake_opa_questions(fixture->opa), 4 + 2);
    assert_false(logged(fixture->node, "of the deny list denies")); /* nobody asked */
    stop(fixture);
    start(fixture);
    await_warm_start(fixture, 3, 0, 0); /* the list is for a while; bob was of no use to OPA */
}

static void other_fields_make_other_questions(void **state) {
    struct fixture *fixture = *state;
    live_once(fixture);
    start_in(fixture, CLUSTER, (const char *const[]){"doorkeeper.question.fields", "api", NULL});
    await_line(fixture, "its questions have other fields than doorkeeper.question.fields says now; "
                        "nothing is asked ahead");
    assert_int_equal(ask(fixture, "alice", "ok-1"), ASKED(DK_ALLOW));
}

/* ---- files that are wrong ---------------------------------------------------------------- */

static void what_is_whole_of_a_broken_file_is_used(void **state) {
    struct fixture *fixture = *state;
    char text[TEMP_PATH_MAX + 120];
    live_once(fixture);
    struct dk_writer content = content_of(fixture->path);
    struct dk_bytes cut = {content.ptr, content.len - 1};
    assert_true(temp_dir_write(&fixture->dir, "questions", cut, fixture->path));
    start(fixture);
    await_warm_start(fixture, 3, 0, 0); /* bob's stood last */
    snprintf(text, sizeof(text), "1 doorkeeper.warm.start.file=%s: broken from byte ",
             fixture->path);
    assert_true(logged(fixture->node, text));
    assert_true(logged(fixture->node, "; what stands before that is asked ahead\n"));
    assert_int_equal(ask(fixture, "bob", "ok-1"), ASKED(DK_ALLOW));
    stop(fixture);
    dk_writer_clean_up(&content);
    start(fixture);
    await_warm_start(fixture, 4, 0, 0); /* the file is whole again */
}

static void expect_warning(struct fixture *fixture, const char *path, const char *cause) {
    char text[TEMP_PATH_MAX + 120];
    start_in(fixture, CLUSTER, (const char *const[]){"doorkeeper.warm.start.file", path, NULL});
    snprintf(text, sizeof(text), "1 doorkeeper.warm.start.file=%s: %s; nothing is asked ahead\n",
             path, cause);
    await_line(fixture, text);
    assert_int_equal(ask(fixture, "alice", "ok-1"), ASKED(DK_ALLOW));
    stop(fixture);
}

static void a_file_that_cannot_be_used_stops_nothing(void **state) {
    struct fixture *fixture = *state;
    char path[TEMP_PATH_MAX];
    assert_true(temp_dir_write(&fixture->dir, "garbage", dk_bytes_of("what is this?"), path));
    expect_warning(fixture, path, "not a file of questions");
    assert_true(temp_dir_write(&fixture->dir, "empty", dk_bytes_of(""), path));
    expect_warning(fixture, path, "not a file of questions");
    expect_warning(fixture, fixture->dir.path, "it is no regular file");
    temp_dir_path(&fixture->dir, "pipe", path);
    assert_int_equal(mkfifo(path, 0600), 0);
    expect_warning(fixture, path, "it is no regular file");
    expect_warning(fixture, "/dev/null/questions", "Not a directory");
}

static void a_file_that_cannot_be_written_is_said_once(void **state) {
    struct fixture *fixture = *state;
    char lines[sizeof(fixture->node->lines)];
    start_in(fixture, CLUSTER,
             (const char *const[]){"doorkeeper.warm.start.file", "/nowhere/questions", NULL});
    assert_int_equal(ask(fixture, "alice", "ok-1"), ASKED(DK_ALLOW));
    dk_authorizer_stop(fixture->node->authorizer);
    await_line(fixture, "1 doorkeeper.warm.start.file=/nowhere/questions: it cannot be written: No "
                        "such file or directory; a restart will ask nothing ahead, or what is "
                        "older\n");
    (void)logged(fixture->node, "");
    memcpy(lines, fixture->node->lines, sizeof(lines));
    char *first = strstr(lines, "it cannot be written");
    assert_null(strstr(first + 1, "it cannot be written"));
}

/* ---- when ------------------------------------------------------------------------------- */

static void it_waits_for_opa_and_then_for_the_cluster(void **state) {
    struct fixture *fixture = *state;
    live_once(fixture);
    unsigned polls = fake_opa_polls(fixture->opa);
    fake_opa_set_fault(fixture->opa, FAULT_NONE, FAULT_UNDEFINED);
    start(fixture);
    WAIT_UNTIL(!logged(fixture->node, "warm start: ") && fake_opa_polls(fixture->opa) > polls + 2);
    assert_int_equal(fake_opa_questions(fixture->opa), 4);
    fake_opa_set_fault(fixture->opa, FAULT_NONE, FAULT_NONE);
    await_warm_start(fixture, 4, 0, 0);
}

static void expect_unchanged(struct fixture *fixture, const struct dk_writer *before) {
    struct dk_writer after = content_of(fixture->path);
    assert_true(dk_bytes_equal(dk_writer_view(before), dk_writer_view(&after)));
    dk_writer_clean_up(&after);
}

static void a_node_that_ends_before_it_began_keeps_the_file(void **state) {
    struct fixture *fixture = *state;
    live_once(fixture);
    struct dk_writer before = content_of(fixture->path);
    fake_opa_set_fault(fixture->opa, FAULT_NONE, FAULT_UNDEFINED);
    start(fixture);
    await_line(fixture, "has no result"); /* the poll's answer */
    stop(fixture);
    expect_unchanged(fixture, &before);
    dk_writer_clean_up(&before);
}

static void a_node_may_end_in_the_middle(void **state) {
    struct fixture *fixture = *state;
    start(fixture);
    ask_many(fixture, 3 * ASKED_AHEAD_MAX);
    stop(fixture);
    struct dk_writer before = content_of(fixture->path);
    fake_opa_close_gate(fixture->opa);
    start(fixture);
    WAIT_UNTIL(!logged(fixture->node, "warm start: ") && fake_opa_held(fixture->opa) > 0);
    stop(fixture);
    expect_unchanged(fixture, &before);
    dk_writer_clean_up(&before);
    fake_opa_open_gate(fixture->opa);
}

/* Who reads the line may rely on it. */
static void it_is_over_when_the_last_is_answered(void **state) {
    struct fixture *fixture = *state;
    live_once(fixture);
    fake_opa_close_gate(fixture->opa);
    start(fixture);
    WAIT_UNTIL(!logged(fixture->node, "warm start: ") && fake_opa_held(fixture->opa) > 0);
    assert_false(logged(fixture->node, "warm start: "));
    fake_opa_open_gate(fixture->opa);
    await_warm_start(fixture, 4, 0, 0);
    assert_int_equal(ask(fixture, "bob", "ok-1"), CACHED(DK_ALLOW));
}

/* While OPA holds its answers back, no more is asked; and all in the end. */
static void few_are_on_their_way_at_one_time(void **state) {
    struct fixture *fixture = *state;
    enum { COUNT = 3 * ASKED_AHEAD_MAX + 7 };
    start(fixture);
    ask_many(fixture, COUNT);
    stop(fixture);
    fake_opa_close_gate(fixture->opa);
    start(fixture);
    WAIT_UNTIL(!logged(fixture->node, "warm start: ") &&
               fake_opa_questions(fixture->opa) >= COUNT + ASKED_AHEAD_MAX);
    for (int round = 0; round < 100; round++) {
        assert_false(logged(fixture->node, "warm start: "));
    }
    assert_int_equal(metric(fixture, DK_METRIC_WARM_QUESTIONS), ASKED_AHEAD_MAX);
    fake_opa_open_gate(fixture->opa);
    await_warm_start(fixture, COUNT, 0, 0);
    ask_many(fixture, COUNT);
    assert_int_equal(metric(fixture, DK_METRIC_MISSES), 0);
}

/* A quarter of the least queue is 16 questions; and without a batch rule each is a request. */
static void small_queues_and_single_questions_will_do(void **state) {
    struct fixture *fixture = *state;
    enum { COUNT = 100 };
    const char *const settings[] = {"doorkeeper.queue.entries", "64", "doorkeeper.opa.batch.path",
                                    "", NULL};
    start(fixture);
    ask_many(fixture, COUNT);
    stop(fixture);
    start_in(fixture, CLUSTER, settings);
    await_warm_start(fixture, COUNT, 0, 0);
    ask_many(fixture, COUNT);
    assert_int_equal(metric(fixture, DK_METRIC_MISSES), 0);
}

/* What a client asked meanwhile is not asked twice. */
static void a_client_may_come_first(void **state) {
    struct fixture *fixture = *state;
    live_once(fixture);
    start(fixture); /* the scribe does nothing before this test has a look at its lines */
    assert_int_equal(ask(fixture, "bob", "ok-1"), ASKED(DK_ALLOW));
    await_warm_start(fixture, 3, 0, 0);
    assert_int_equal(fake_opa_questions(fixture->opa), 4 + 4);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(what_was_asked_is_a_hit_after_a_restart),
        TEST(a_node_that_is_killed_has_written_before),
        TEST(the_file_allows_nothing),
        TEST(without_the_setting_there_is_nothing),
        TEST(its_memory_is_told),
        TEST(questions_of_another_cluster_are_not_asked),
        TEST(what_local_rules_decide_is_not_asked),
        TEST(other_fields_make_other_questions),
        TEST(what_is_whole_of_a_broken_file_is_used),
        TEST(a_file_that_cannot_be_used_stops_nothing),
        TEST(a_file_that_cannot_be_written_is_said_once),
        TEST(it_waits_for_opa_and_then_for_the_cluster),
        TEST(a_node_that_ends_before_it_began_keeps_the_file),
        TEST(a_node_may_end_in_the_middle),
        TEST(it_is_over_when_the_last_is_answered),
        TEST(few_are_on_their_way_at_one_time),
        TEST(small_queues_and_single_questions_will_do),
        TEST(a_client_may_come_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
