/* SPDX-License-Identifier: Apache-2.0 */
/* The deny list in force: which one that is, and what a caller sees of a change. */
#include "denials.h"

#include "support/temp_dir.h"
#include "support/wait_until.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define EMPTY "{\"deny\": []}"
#define ALICE "{\"deny\": [{\"principal\": \"User:alice\", \"name\": \"orders\"}]}"
#define BOB "{\"deny\": [{\"principal\": \"User:bob\", \"reason\": \"INC-1\\u202e\"}]}"

struct fixture {
    struct temp_dir dir;
    char path[TEMP_PATH_MAX];
    struct dk_config config;
    struct dk_log *log;
    struct dk_denials *denials;
    char lines[8192];
};

static void write_file(struct fixture *fixture, const char *text) {
    assert_true(temp_dir_write(&fixture->dir, "deny.json", dk_bytes_of(text), fixture->path));
}

static int set_up(void **state) {
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    *state = fixture;
    assert_true(temp_dir_make(&fixture->dir));
    assert_int_equal(dk_log_new(64, &fixture->log), DK_OK);
    return 0;
}

static int tear_down(void **state) {
    struct fixture *fixture = *state;
    dk_denials_destroy(fixture->denials);
    dk_config_clean_up(&fixture->config);
    dk_log_destroy(fixture->log);
    temp_dir_remove(&fixture->dir);
    free(fixture);
    return 0;
}

static enum dk_error begin_at(struct fixture *fixture, const char *path,
                              struct dk_error_text *why) {
    const struct dk_setting setting = {dk_bytes_of("doorkeeper.deny.file"), dk_bytes_of(path)};
    dk_config_clean_up(&fixture->config);
    assert_int_equal(dk_config_parse(&setting, 1, &fixture->config, NULL), DK_OK);
    return dk_denials_new(&fixture->config, fixture->log, &fixture->denials, why);
}

static void begin(struct fixture *fixture, const char *text) {
    struct dk_error_text why = {""};
    write_file(fixture, text);
    if (begin_at(fixture, fixture->path, &why) != DK_OK) {
        fail_msg("%s", why.text);
    }
}

/* Until what stands there now was seen twice. */
static void look_twice(struct fixture *fixture) {
    dk_denials_look(fixture->denials);
    dk_denials_look(fixture->denials);
}

/* What was logged since the last call, as "<level> text" lines. */
static const char *take_log(struct fixture *fixture) {
    uint8_t records[8192];
    size_t len = dk_log_drain(fixture->log, records, sizeof(records), 0);
    size_t used = 0;
    fixture->lines[0] = '\0';
    for (size_t at = 0; at < len; at += 4 + (size_t)dk_read_u16(records + at + 2)) {
        int written = snprintf(fixture->lines + used, sizeof(fixture->lines) - used, "%u %.*s\n",
                               records[at + 1], (int)dk_read_u16(records + at + 2),
                               (const char *)records + at + 4);
        assert_true(written > 0 && (size_t)written < sizeof(fixture->lines) - used);
        used += (size_t)written;
    }
    return fixture->lines;
}

static struct dk_context context_of(const char *name) {
    struct dk_context context;
    memset(&context, 0, sizeof(context));
    context.fields[DK_FIELD_PRINCIPAL_TYPE] = dk_bytes_of("User");
    context.fields[DK_FIELD_PRINCIPAL_NAME] = dk_bytes_of(name);
    return context;
}

static bool concern(struct dk_denials *denials, const char *name) {
    struct dk_context context = context_of(name);
    return dk_denials_concern(denials, &context);
}

static bool denies(struct dk_denials *denials, const char *name, const char *topic) {
    struct dk_context context = context_of(name);
    struct dk_miss miss;
    memset(&miss, 0, sizeof(miss));
    miss.outcome = DK_ALLOW;
    miss.source = DK_SOURCE_OPA;
    miss.action = (struct dk_action){
        .operation = 3, .type = 2, .pattern = 3, .named = true, .name = dk_bytes_of(topic)};
    dk_denials_apply(denials, &context, &miss, 1);
    assert_int_equal(miss.outcome == DK_DENY, miss.source == DK_SOURCE_RULE);
    return miss.outcome == DK_DENY;
}

static void without_a_file_nobody_is_denied(void **state) {
    struct fixture *fixture = *state;
    assert_int_equal(begin_at(fixture, "", NULL), DK_OK);
    uint32_t generation = dk_denials_generation(fixture->denials);
    look_twice(fixture);
    assert_int_equal(dk_denials_generation(fixture->denials), generation);
    assert_false(concern(fixture->denials, "alice"));
    assert_false(denies(fixture->denials, "alice", "orders"));
    assert_int_equal(dk_denials_count(fixture->denials), 0);
    assert_string_equal(take_log(fixture), "");
}

static void a_file_that_is_wrong_at_the_start_is_an_error(void **state) {
    struct fixture *fixture = *state;
    struct dk_error_text why = {""};
    char expected[TEMP_PATH_MAX + 128];
    assert_int_equal(begin_at(fixture, "/nonexistent/deny.json", &why), DK_ERR_CONFIG);
    assert_null(fixture->denials);
    assert_string_equal(why.text,
                        "doorkeeper.deny.file=/nonexistent/deny.json: No such file or directory");
    write_file(fixture, "");
    assert_int_equal(begin_at(fixture, fixture->path, &why), DK_ERR_CONFIG);
    snprintf(expected, sizeof(expected), "doorkeeper.deny.file=%s: the file is empty",
             fixture->path);
    assert_string_equal(why.text, expected);
    write_file(fixture, "{\"deny\":\n [{}");
    assert_int_equal(begin_at(fixture, fixture->path, &why), DK_ERR_CONFIG);
    snprintf(expected, sizeof(expected), "doorkeeper.deny.file=%s: line 2: not JSON from here on",
             fixture->path);
    assert_string_equal(why.text, expected);
    assert_string_equal(take_log(fixture), "");
}

static void the_list_at_the_start_is_in_force_and_said(void **state) {
    struct fixture *fixture = *state;
    begin(fixture, ALICE);
    assert_string_equal(take_log(fixture),
                        "1 a deny list is in force: entries of doorkeeper.deny.file: 1\n");
    assert_int_equal(dk_denials_count(fixture->denials), 1);
    assert_true(concern(fixture->denials, "alice"));
    assert_false(concern(fixture->denials, "bob"));
    assert_true(denies(fixture->denials, "alice", "orders"));
    assert_false(denies(fixture->denials, "alice", "other"));
    assert_false(denies(fixture->denials, "bob", "orders"));
    look_twice(fixture);
    assert_string_equal(take_log(fixture), "2 entry 1 of the deny list denies a request of alice: "
                                           "no reason given\n");
}

static void a_new_list_takes_the_place_of_the_last_one(void **state) {
    struct fixture *fixture = *state;
    begin(fixture, EMPTY);
    assert_string_equal(take_log(fixture), "");
    uint32_t generation = dk_denials_generation(fixture->denials);
    write_file(fixture, ALICE);
    dk_denials_look(fixture->denials);
    assert_int_equal(dk_denials_generation(fixture->denials), generation);
    assert_false(denies(fixture->denials, "alice", "orders"));
    dk_denials_look(fixture->denials);
    assert_int_not_equal(dk_denials_generation(fixture->denials), generation);
    assert_true(denies(fixture->denials, "alice", "orders"));
    generation = dk_denials_generation(fixture->denials);
    take_log(fixture);
    write_file(fixture, BOB);
    look_twice(fixture);
    assert_int_not_equal(dk_denials_generation(fixture->denials), generation);
    assert_false(concern(fixture->denials, "alice"));
    assert_true(denies(fixture->denials, "bob", "orders"));
    write_file(fixture, EMPTY);
    look_twice(fixture);
    assert_false(denies(fixture->denials, "bob", "orders"));
    assert_string_equal(take_log(fixture),
                        "1 a deny list is in force: entries of doorkeeper.deny.file: 1\n"
                        "2 the deny list was emptied: it denies nothing any more\n");
}

static void what_is_wrong_keeps_the_last_good_list_and_is_said(void **state) {
    static const char *const wrong[] = {"", "{\"deny\": [{\"principal\": \"User:alice\"}",
                                        "{\"deny\": [{\"user\": \"alice\"}]}", "[]"};
    struct fixture *fixture = *state;
    begin(fixture, BOB);
    uint32_t generation = dk_denials_generation(fixture->denials);
    take_log(fixture);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        write_file(fixture, wrong[i]);
        look_twice(fixture);
        dk_denials_look(fixture->denials);
    }
    assert_int_equal(unlink(fixture->path), 0);
    look_twice(fixture);
    assert_int_equal(dk_denials_generation(fixture->denials), generation);
    assert_true(denies(fixture->denials, "bob", "orders"));
    assert_false(concern(fixture->denials, "alice"));
    const char *said = take_log(fixture);
    assert_memory_equal(said, "0 doorkeeper.deny.file=", 23);
    assert_non_null(strstr(said, ": the file is empty; the last good deny list stays in force\n"));
    assert_non_null(strstr(said, "entry 1 of the deny list denies a request of bob: INC-1\\u202e"));
    assert_null(strstr(strchr(said, '\n') + 1, "0 doorkeeper.deny.file=")); /* not at every look */
    write_file(fixture, ALICE);
    look_twice(fixture);
    assert_true(denies(fixture->denials, "alice", "orders"));
}

/* ---- while lists come and go ------------------------------------------------------------- */

#define IN_BETWEEN UINT32_MAX

struct churn {
    struct dk_denials *denials;
    _Atomic uint32_t list; /* even ones deny alice, odd ones bob */
    _Atomic bool done;
};

struct reader {
    struct churn *churn;
    pthread_t thread;
    _Atomic uint32_t seen;
    size_t wrong;
};

static void *look_at_lists(void *user) {
    struct reader *reader = user;
    struct churn *churn = reader->churn;
    while (!churn->done) {
        uint32_t before = churn->list;
        uint32_t generation = dk_denials_generation(churn->denials);
        bool alice = concern(churn->denials, "alice");
        bool bob = denies(churn->denials, "bob", "orders");
        bool same_number = generation == dk_denials_generation(churn->denials);
        if (before == churn->list && before != IN_BETWEEN) {
            reader->wrong += !same_number || alice != (before % 2 == 0) || bob == alice;
            reader->seen = before;
        }
    }
    return NULL;
}

static void everybody_sees_whole_lists_and_the_newest(void **state) {
    struct fixture *fixture = *state;
    begin(fixture, ALICE);
    struct churn churn = {.denials = fixture->denials};
    struct reader readers[2] = {{.churn = &churn}, {.churn = &churn}};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&readers[i].thread, NULL, look_at_lists, &readers[i]), 0);
    }
    for (uint32_t list = 1; list <= 300; list++) {
        write_file(fixture, list % 2 == 0 ? ALICE : BOB);
        churn.list = IN_BETWEEN;
        look_twice(fixture);
        churn.list = list;
        WAIT_UNTIL(readers[0].seen == list && readers[1].seen == list);
    }
    churn.done = true;
    for (size_t i = 0; i < 2; i++) {
        pthread_join(readers[i].thread, NULL);
        assert_int_equal(readers[i].wrong, 0);
    }
}

int main(void) {
#define WITH_LOG(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_LOG(without_a_file_nobody_is_denied),
        WITH_LOG(a_file_that_is_wrong_at_the_start_is_an_error),
        WITH_LOG(the_list_at_the_start_is_in_force_and_said),
        WITH_LOG(a_new_list_takes_the_place_of_the_last_one),
        WITH_LOG(what_is_wrong_keeps_the_last_good_list_and_is_said),
        WITH_LOG(everybody_sees_whole_lists_and_the_newest),
    };
    return cmocka_run_group_tests_name("denials", tests, NULL, NULL);
}
