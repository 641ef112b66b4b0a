/* SPDX-License-Identifier: Apache-2.0 */
/* The benchmark's stand-in for OPA, asked by the core's own HTTP client and judged by the core's
 * own reader of answers. */
#include "stub_opa.h"

#include "doorkeeper/clock.h"
#include "doorkeeper/http.h"
#include "doorkeeper/opa.h"
#include "support/records.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define QUESTIONS 1000u
#define TEXT_MAX ((size_t)16 * 1024 * 1024)
#define LONG_MS 20000

/* READ on topics of many names, by one principal. */
struct questions {
    struct dk_writer record, request;
    struct dk_context context;
    struct dk_action actions[QUESTIONS];
    struct dk_opa_question list[QUESTIONS];
};

static void make_questions(struct questions *questions) {
    dk_writer_init(&questions->record, TEXT_MAX);
    dk_writer_init(&questions->request, TEXT_MAX);
    write_context(&questions->record, "cluster-1", "alice", 0);
    for (unsigned i = 0; i < QUESTIONS; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "topic-%u", i);
        write_action(&questions->request, name);
    }
    assert_int_equal(dk_context_parse(dk_writer_view(&questions->record), &questions->context),
                     DK_OK);
    struct dk_bytes rest = dk_writer_view(&questions->request);
    for (unsigned i = 0; i < QUESTIONS; i++) {
        assert_int_equal(dk_action_parse(&rest, &questions->actions[i]), DK_OK);
        questions->list[i] = (struct dk_opa_question){
            .context = &questions->context, .action = &questions->actions[i], .outcome = DK_DENY};
    }
}

static void forget_questions(struct questions *questions) {
    dk_writer_clean_up(&questions->record);
    dk_writer_clean_up(&questions->request);
}

static void check_reply(const struct dk_opa_reply *reply) {
    assert_int_equal(reply->verdict, DK_OPA_ANSWERED);
    assert_string_equal(reply->revision, "stub=1");
}

/* All of them in the batch form. */
static void ask_batch(struct questions *questions, double share) {
    struct dk_writer text, answer;
    struct dk_opa_reply reply;
    bool poll = true;
    dk_writer_init(&text, TEXT_MAX);
    dk_writer_init(&answer, TEXT_MAX);
    dk_opa_write_batch(dk_bytes_of(""), questions->list, QUESTIONS, &text);
    assert_true(dk_stub_opa_answer(dk_writer_view(&text), share, &answer, &poll));
    assert_false(poll);
    dk_opa_read_batch(dk_writer_view(&answer), questions->list, QUESTIONS, &reply);
    check_reply(&reply);
    dk_writer_clean_up(&text);
    dk_writer_clean_up(&answer);
}

static unsigned count_allowed(const struct questions *questions) {
    unsigned allowed = 0;
    for (unsigned i = 0; i < QUESTIONS; i++) {
        allowed += questions->list[i].outcome == DK_ALLOW;
    }
    return allowed;
}

static void test_a_share_is_allowed(void **state) {
    struct questions questions;
    (void)state;
    make_questions(&questions);
    ask_batch(&questions, 1);
    assert_int_equal(count_allowed(&questions), QUESTIONS);
    ask_batch(&questions, 0);
    assert_int_equal(count_allowed(&questions), 0);
    ask_batch(&questions, 0.3);
    assert_in_range(count_allowed(&questions), QUESTIONS / 4, QUESTIONS * 35 / 100);
    forget_questions(&questions);
}

static void test_both_forms_get_the_same_answers(void **state) {
    struct questions questions;
    (void)state;
    make_questions(&questions);
    ask_batch(&questions, 0.5);
    for (unsigned i = 0; i < QUESTIONS; i++) {
        struct dk_writer text, answer;
        struct dk_opa_question again = questions.list[i];
        struct dk_opa_reply reply;
        bool poll = true;
        dk_writer_init(&text, TEXT_MAX);
        dk_writer_init(&answer, TEXT_MAX);
        dk_question_write_single(again.context, again.action, &text);
        assert_true(dk_stub_opa_answer(dk_writer_view(&text), 0.5, &answer, &poll));
        assert_false(poll);
        dk_opa_read_single(dk_writer_view(&answer), &again, &reply);
        check_reply(&reply);
        assert_int_equal(again.outcome, questions.list[i].outcome);
        dk_writer_clean_up(&text);
        dk_writer_clean_up(&answer);
    }
    forget_questions(&questions);
}

static void test_polls(void **state) {
    struct dk_writer text, answer;
    struct dk_opa_reply reply;
    bool poll = false;
    (void)state;
    dk_writer_init(&text, TEXT_MAX);
    dk_writer_init(&answer, TEXT_MAX);
    dk_opa_write_batch(dk_bytes_of("cluster-1"), NULL, 0, &text);
    assert_true(dk_stub_opa_answer(dk_writer_view(&text), 1, &answer, &poll));
    assert_true(poll);
    dk_opa_read_batch(dk_writer_view(&answer), NULL, 0, &reply);
    check_reply(&reply);

    dk_writer_reset(&text);
    dk_writer_reset(&answer);
    poll = false;
    dk_opa_write_single_poll(dk_bytes_of("cluster-1"), &text);
    assert_true(dk_stub_opa_answer(dk_writer_view(&text), 1, &answer, &poll));
    assert_true(poll);
    dk_opa_read_single(dk_writer_view(&answer), NULL, &reply);
    check_reply(&reply);
    dk_writer_clean_up(&text);
    dk_writer_clean_up(&answer);
}

static void test_what_is_no_question_gets_no_answer(void **state) {
    static const char *const bodies[] = {"", "{", "[]", "{\"input\":1}", "{}"};
    (void)state;
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        struct dk_writer answer;
        bool poll;
        dk_writer_init(&answer, TEXT_MAX);
        assert_false(dk_stub_opa_answer(dk_bytes_of(bodies[i]), 1, &answer, &poll));
        dk_writer_clean_up(&answer);
    }
}

/* ---- over HTTP ---------------------------------------------------------------------------- */

struct posted {
    unsigned ended;
    long status;
    int64_t took_ns;
    int64_t begun_ns;
};

static void on_done(void *user, const struct dk_http_result *result) {
    struct posted *posted = user;
    assert_int_equal(result->kind, DK_HTTP_ANSWERED);
    posted->ended++;
    posted->status = result->status;
    posted->took_ns = dk_clock_ns() - posted->begun_ns;
}

static struct dk_http *connect_to(const struct dk_stub_opa *stub, size_t connections) {
    const struct dk_http_options options = {.urls = dk_stub_opa_url(stub),
                                            .connect_timeout_ms = LONG_MS,
                                            .connections = connections,
                                            .max_body = TEXT_MAX};
    struct dk_http *http = NULL;
    struct dk_error_text why;
    assert_int_equal(dk_http_new(&options, &http, &why), DK_OK);
    return http;
}

static void post(struct dk_http *http, struct dk_bytes body, struct posted *posted) {
    posted->begun_ns = dk_clock_ns();
    assert_int_equal(dk_http_post(http, 0, "/v1/data/kafka/authz/batch", body,
                                  dk_clock_ms() + LONG_MS, on_done, posted),
                     DK_OK);
}

static void post_and_wait(struct dk_http *http, const char *body, struct posted *posted) {
    unsigned before = posted->ended;
    post(http, dk_bytes_of(body), posted);
    while (posted->ended == before) {
        dk_http_poll(http, 100);
    }
}

static struct dk_stub_opa *start_stub(int64_t latency_ns) {
    const struct dk_stub_opa_options options = {.latency_ns = latency_ns, .allow_share = 1};
    struct dk_stub_opa *stub;
    struct dk_error_text why;
    assert_int_equal(dk_stub_opa_start(&options, &stub, &why), DK_OK);
    return stub;
}

static const char poll_body[] = "{\"input\":{\"version\":1,\"requests\":[]}}";
static const char question_body[] =
    "{\"input\":{\"version\":1,\"requests\":[{\"principal\":{\"name\":\"a\"},\"asks\":[{}]}]}}";

static void test_answers_come_late_and_polls_at_once(void **state) {
    const int64_t latency_ns = 30000000;
    struct dk_stub_opa *stub = start_stub(latency_ns);
    struct dk_http *http = connect_to(stub, 1);
    struct posted posted = {0};
    (void)state;
    for (int i = 0; i < 3; i++) {
        post_and_wait(http, question_body, &posted);
        assert_int_equal(posted.status, 200);
        assert_true(posted.took_ns >= latency_ns);
    }
    post_and_wait(http, poll_body, &posted);
    assert_int_equal(posted.status, 200);
    dk_http_destroy(http);
    dk_stub_opa_stop(stub);
}

/* A large request and many connections at once. */
static void test_many_at_once(void **state) {
    struct dk_stub_opa *stub = start_stub(1000000);
    struct dk_http *http = connect_to(stub, 8);
    struct questions questions;
    struct posted posted[8] = {{0}};
    struct dk_writer text;
    unsigned ended = 0;
    (void)state;
    make_questions(&questions);
    dk_writer_init(&text, TEXT_MAX);
    dk_opa_write_batch(dk_bytes_of(""), questions.list, QUESTIONS, &text);
    for (unsigned i = 0; i < 8; i++) {
        post(http, dk_writer_view(&text), &posted[i]);
    }
    while (ended < 8) {
        dk_http_poll(http, 100);
        ended = 0;
        for (unsigned i = 0; i < 8; i++) {
            ended += posted[i].ended;
        }
    }
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(posted[i].status, 200);
    }
    dk_http_destroy(http);
    dk_writer_clean_up(&text);
    forget_questions(&questions);
    dk_stub_opa_stop(stub);
}

static void test_nonsense_gets_a_400(void **state) {
    struct dk_stub_opa *stub = start_stub(0);
    struct dk_http *http = connect_to(stub, 1);
    struct posted posted = {0};
    (void)state;
    post_and_wait(http, "nonsense", &posted);
    assert_int_equal(posted.status, 400);
    post_and_wait(http, poll_body, &posted);
    assert_int_equal(posted.status, 200);
    assert_true(dk_stub_opa_cpu_ns(stub) > 0);
    assert_int_equal(dk_stub_opa_cpu_ns(NULL), 0);
    dk_http_destroy(http);
    dk_stub_opa_stop(stub);
}

static void on_lost(void *user, const struct dk_http_result *result) {
    unsigned *lost = user;
    assert_int_not_equal(result->kind, DK_HTTP_ANSWERED);
    (*lost)++;
}

/* An answer that is not due for an hour does not keep it from ending. */
static void test_it_can_be_stopped_at_any_time(void **state) {
    struct dk_stub_opa *stub = start_stub(INT64_C(3600000000000));
    struct dk_http *http = connect_to(stub, 2);
    struct posted posted = {0};
    unsigned lost = 0;
    (void)state;
    dk_stub_opa_stop(NULL);
    assert_int_equal(dk_http_post(http, 0, "/", dk_bytes_of(question_body), dk_clock_ms() + LONG_MS,
                                  on_lost, &lost),
                     DK_OK);
    post_and_wait(http, poll_body, &posted);
    dk_stub_opa_stop(stub);
    dk_http_destroy(http);
    assert_int_equal(lost, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_share_is_allowed),
        cmocka_unit_test(test_both_forms_get_the_same_answers),
        cmocka_unit_test(test_polls),
        cmocka_unit_test(test_what_is_no_question_gets_no_answer),
        cmocka_unit_test(test_answers_come_late_and_polls_at_once),
        cmocka_unit_test(test_many_at_once),
        cmocka_unit_test(test_nonsense_gets_a_400),
        cmocka_unit_test(test_it_can_be_stopped_at_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
