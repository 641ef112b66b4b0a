/* SPDX-License-Identifier: Apache-2.0 */
#include "doorkeeper/http.h"

#include "doorkeeper/clock.h"

#include "support/http_server.h"
#include "support/temp_dir.h"
#include "support/wait_until.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BODY_CAP 4096u

/* What the server is told to answer, and the last request that it saw. */
struct script {
    pthread_mutex_t lock;
    int status;
    enum http_manner manner;
    const char *headers;
    const char *body;
    size_t body_len;
    char head[20000];
    char request_body[1024];
    unsigned requests;
};

struct answer {
    unsigned calls;
    enum dk_http_kind kind;
    long status;
    char body[BODY_CAP + 1];
    size_t body_len;
    char text[300];
};

struct fixture {
    struct script script;
    struct http_server *server;
    struct dk_http *http;
};

static void handle(void *user, const struct http_request *request, struct http_reply *reply) {
    struct script *script = user;
    pthread_mutex_lock(&script->lock);
    snprintf(script->head, sizeof(script->head), "%s", request->head);
    snprintf(script->request_body, sizeof(script->request_body), "%.*s", (int)request->body.len,
             (const char *)request->body.ptr);
    script->requests++;
    reply->status = script->status;
    reply->manner = script->manner;
    reply->headers = script->headers;
    dk_writer_bytes(&reply->body,
                    (struct dk_bytes){(const uint8_t *)script->body, script->body_len});
    pthread_mutex_unlock(&script->lock);
}

static void script_say(struct script *script, int status, enum http_manner manner,
                       const char *headers, const char *body, size_t body_len) {
    pthread_mutex_lock(&script->lock);
    script->status = status;
    script->manner = manner;
    script->headers = headers;
    script->body = body;
    script->body_len = body_len;
    pthread_mutex_unlock(&script->lock);
}

static bool script_saw(struct script *script, const char *text) {
    pthread_mutex_lock(&script->lock);
    bool found = strstr(script->head, text) != NULL;
    pthread_mutex_unlock(&script->lock);
    return found;
}

static unsigned script_requests(struct script *script) {
    pthread_mutex_lock(&script->lock);
    unsigned requests = script->requests;
    pthread_mutex_unlock(&script->lock);
    return requests;
}

static struct dk_http_options options_for(const char *url) {
    return (struct dk_http_options){
        .urls = url, .connect_timeout_ms = 5000, .connections = 2, .max_body = BODY_CAP};
}

static struct dk_http *make_http(const struct dk_http_options *options) {
    struct dk_http *http = NULL;
    struct dk_error_text why;
    if (dk_http_new(options, &http, &why) != DK_OK) {
        fail_msg("%s", why.text);
    }
    return http;
}

static int set_up_script(void **state) {
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    pthread_mutex_init(&fixture->script.lock, NULL);
    script_say(&fixture->script, 200, HTTP_PROPER, NULL, "{}", 2);
    *state = fixture;
    return 0;
}

static int set_up(void **state) {
    set_up_script(state);
    struct fixture *fixture = *state;
    fixture->server = http_server_start(NULL, handle, &fixture->script);
    assert_non_null(fixture->server);
    struct dk_http_options options = options_for(http_server_url(fixture->server));
    fixture->http = make_http(&options);
    return 0;
}

static int tear_down(void **state) {
    struct fixture *fixture = *state;
    dk_http_destroy(fixture->http);
    if (fixture->server != NULL) {
        http_server_stop(fixture->server);
    }
    pthread_mutex_destroy(&fixture->script.lock);
    free(fixture);
    return 0;
}

static void on_done(void *user, const struct dk_http_result *result) {
    struct answer *answer = user;
    answer->calls++;
    answer->kind = result->kind;
    answer->status = result->status;
    answer->body_len = result->body.len;
    assert_true(result->body.len <= BODY_CAP);
    if (result->body.len > 0) {
        memcpy(answer->body, result->body.ptr, result->body.len);
    }
    answer->body[result->body.len] = '\0';
    snprintf(answer->text, sizeof(answer->text), "%s", result->text);
}

/* Drives until the answer is there; a lost request would end in the bound. */
static void drive(struct dk_http *http, const struct answer *answer) {
    int64_t give_up_ms = dk_clock_ms() + WAIT_LIMIT_MS;
    while (answer->calls == 0 && dk_clock_ms() < give_up_ms) {
        dk_http_poll(http, 1000);
    }
    assert_int_equal(answer->calls, 1);
}

static struct answer post_within(struct dk_http *http, int64_t time_ms) {
    struct answer answer = {.calls = 0};
    enum dk_error error =
        dk_http_post(http, 0, "/v1/data/x?provenance=true", dk_bytes_of("{\"q\":1}"),
                     dk_clock_ms() + time_ms, on_done, &answer);
    assert_int_equal(error, DK_OK);
    drive(http, &answer);
    return answer;
}

static struct answer post(struct dk_http *http) {
    return post_within(http, WAIT_LIMIT_MS);
}

/* ---- requests ---------------------------------------------------------------------------- */

static void posts_json_and_reads_the_answer(void **state) {
    struct fixture *fixture = *state;
    struct answer answer = post(fixture->http);
    assert_int_equal(answer.kind, DK_HTTP_ANSWERED);
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer.body, "{}");
    assert_true(script_saw(&fixture->script, "POST /v1/data/x?provenance=true HTTP/1.1\r\n"));
    assert_true(script_saw(&fixture->script, "Content-Type: application/json\r\n"));
    assert_false(script_saw(&fixture->script, "Expect:"));
    assert_false(script_saw(&fixture->script, "Authorization:"));
    assert_string_equal(fixture->script.request_body, "{\"q\":1}");
}

static void keeps_its_connection(void **state) {
    struct fixture *fixture = *state;
    for (int i = 0; i < 5; i++) {
        struct answer answer = post(fixture->http);
        assert_int_equal(answer.kind, DK_HTTP_ANSWERED);
    }
    assert_int_equal(http_server_connections(fixture->server), 1);
}

static void any_status_is_an_answer_with_its_status(void **state) {
    static const int statuses[] = {201, 204, 401, 404, 500, 503};
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        bool has_body = statuses[i] != 204;
        script_say(&fixture->script, statuses[i], HTTP_PROPER, NULL, "{}", has_body ? 2 : 0);
        struct answer answer = post(fixture->http);
        assert_int_equal(answer.kind, DK_HTTP_ANSWERED);
        assert_int_equal(answer.status, statuses[i]);
    }
}

static void follows_no_redirect(void **state) {
    struct fixture *fixture = *state;
    script_say(&fixture->script, 302, HTTP_PROPER, "Location: /elsewhere\r\n", "", 0);
    struct answer answer = post(fixture->http);
    assert_int_equal(answer.kind, DK_HTTP_ANSWERED);
    assert_int_equal(answer.status, 302);
    assert_int_equal(script_requests(&fixture->script), 1);
}

static void uses_no_proxy_of_the_environment(void **state) {
    struct fixture *fixture = *state;
    assert_int_equal(setenv("http_proxy", "http://127.0.0.1:1", 1), 0);
    assert_int_equal(setenv("ALL_PROXY", "http://127.0.0.1:1", 1), 0);
    struct answer answer = post(fixture->http);
    unsetenv("http_proxy");
    unsetenv("ALL_PROXY");
    assert_int_equal(answer.kind, DK_HTTP_ANSWERED);
}

static void takes_as_many_requests_as_it_has_connections(void **state) {
    struct fixture *fixture = *state;
    struct answer answers[3] = {{.calls = 0}, {.calls = 0}, {.calls = 0}};
    int64_t deadline_ms = dk_clock_ms() + WAIT_LIMIT_MS;
    assert_int_equal(dk_http_room(fixture->http), 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(dk_http_post(fixture->http, 0, "/", dk_bytes_of("{}"), deadline_ms,
                                      on_done, &answers[i]),
                         DK_OK);
    }
    assert_int_equal(dk_http_room(fixture->http), 0);
    assert_int_equal(
        dk_http_post(fixture->http, 0, "/", dk_bytes_of("{}"), deadline_ms, on_done, &answers[2]),
        DK_ERR_TOO_LARGE);
    drive(fixture->http, &answers[0]);
    drive(fixture->http, &answers[1]);
    assert_int_equal(answers[2].calls, 0);
    assert_int_equal(dk_http_room(fixture->http), 2);
}

static void a_body_up_to_the_cap_is_read(void **state) {
    struct fixture *fixture = *state;
    char body[BODY_CAP + 1];
    memset(body, 'x', sizeof(body));
    script_say(&fixture->script, 200, HTTP_PROPER, NULL, body, BODY_CAP);
    struct answer answer = post(fixture->http);
    assert_int_equal(answer.kind, DK_HTTP_ANSWERED);
    assert_int_equal(answer.body_len, BODY_CAP);
    script_say(&fixture->script, 200, HTTP_PROPER, NULL, body, BODY_CAP + 1);
    answer = post(fixture->http);
    assert_int_equal(answer.kind, DK_HTTP_TOO_LARGE);
    assert_int_equal(answer.body_len, 0);
    script_say(&fixture->script, 200, HTTP_PROPER, NULL, "{}", 2);
}

/* ---- faults ------------------------------------------------------------------------------ */

static void each_fault_is_told_apart_and_the_next_request_is_well(void **state) {
    static const struct {
        enum http_manner manner;
        enum dk_http_kind kind;
        int64_t time_ms;
    } faults[] = {
        {HTTP_CLOSE, DK_HTTP_UNREACHABLE, WAIT_LIMIT_MS},
        {HTTP_SHORT_BODY, DK_HTTP_UNREACHABLE, WAIT_LIMIT_MS},
        {HTTP_RESET, DK_HTTP_UNREACHABLE, WAIT_LIMIT_MS},
        {HTTP_ENDLESS_BODY, DK_HTTP_TOO_LARGE, WAIT_LIMIT_MS},
        {HTTP_HUGE_BODY, DK_HTTP_TOO_LARGE, WAIT_LIMIT_MS},
        {HTTP_HANG, DK_HTTP_TIMED_OUT, 50},
        {HTTP_DRIP, DK_HTTP_TIMED_OUT, 50},
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        script_say(&fixture->script, 200, faults[i].manner, NULL, "{\"result\":true}", 15);
        struct answer answer = post_within(fixture->http, faults[i].time_ms);
        assert_int_equal(answer.kind, faults[i].kind);
        assert_int_equal(answer.status, 0);
        assert_int_equal(answer.body_len, 0);
        assert_true(answer.text[0] != '\0');
        script_say(&fixture->script, 200, HTTP_PROPER, NULL, "{}", 2);
        answer = post(fixture->http);
        assert_int_equal(answer.kind, DK_HTTP_ANSWERED);
        assert_string_equal(answer.body, "{}");
    }
}

static void what_is_not_http_is_no_answer(void **state) {
    struct fixture *fixture = *state;
    script_say(&fixture->script, 200, HTTP_PROPER, "Content-Length: 3\r\n", "{}", 2);
    struct answer answer = post_within(fixture->http, 200);
    assert_int_not_equal(answer.kind, DK_HTTP_ANSWERED);
}

static void a_deadline_that_is_past_still_ends_the_request(void **state) {
    struct fixture *fixture = *state;
    script_say(&fixture->script, 200, HTTP_HANG, NULL, "", 0);
    struct answer answer = post_within(fixture->http, -5000);
    assert_int_equal(answer.kind, DK_HTTP_TIMED_OUT);
}

static void nobody_listens(void **state) {
    struct fixture *fixture = *state;
    http_server_stop(fixture->server);
    fixture->server = NULL;
    struct answer answer = post(fixture->http);
    assert_int_equal(answer.kind, DK_HTTP_UNREACHABLE);
}

static void the_end_cancels_what_is_under_way(void **state) {
    struct fixture *fixture = *state;
    struct answer answer = {.calls = 0};
    script_say(&fixture->script, 200, HTTP_HANG, NULL, "", 0);
    assert_int_equal(dk_http_post(fixture->http, 0, "/", dk_bytes_of("{}"),
                                  dk_clock_ms() + WAIT_LIMIT_MS, on_done, &answer),
                     DK_OK);
    dk_http_poll(fixture->http, 0);
    dk_http_destroy(fixture->http);
    fixture->http = NULL;
    assert_int_equal(answer.calls, 1);
    assert_int_equal(answer.kind, DK_HTTP_CANCELLED);
}

static void *wake(void *http) {
    dk_http_wake(http);
    return NULL;
}

static void another_thread_ends_the_wait(void **state) {
    struct fixture *fixture = *state;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, wake, fixture->http), 0);
    /* Would last longer than the test is allowed to. */
    dk_http_poll(fixture->http, 600000);
    pthread_join(thread, NULL);
}

/* ---- the token --------------------------------------------------------------------------- */

static void the_token_is_sent_and_replaced(void **state) {
    struct fixture *fixture = *state;
    assert_int_equal(dk_http_set_token(fixture->http, dk_bytes_of(" first.token\n")), DK_OK);
    (void)post(fixture->http);
    assert_true(script_saw(&fixture->script, "Authorization: Bearer first.token\r\n"));
    assert_int_equal(dk_http_set_token(fixture->http, dk_bytes_of("second")), DK_OK);
    (void)post(fixture->http);
    assert_true(script_saw(&fixture->script, "Authorization: Bearer second\r\n"));
    assert_int_equal(dk_http_set_token(fixture->http, dk_bytes_of("")), DK_OK);
    (void)post(fixture->http);
    assert_false(script_saw(&fixture->script, "Authorization:"));
}

static void a_token_adds_no_header_and_a_bad_one_changes_nothing(void **state) {
    static const char *const bad[] = {"a\r\nX-Evil: 1", "a b", "a\tb", "\x7f", "\xc3\xa9", "a\nb"};
    struct fixture *fixture = *state;
    assert_int_equal(dk_http_set_token(fixture->http, dk_bytes_of("good")), DK_OK);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(dk_http_set_token(fixture->http, dk_bytes_of(bad[i])), DK_ERR_MALFORMED);
    }
    (void)post(fixture->http);
    assert_true(script_saw(&fixture->script, "Authorization: Bearer good\r\n"));
    assert_false(script_saw(&fixture->script, "X-Evil"));
}

static void a_token_has_a_cap(void **state) {
    struct fixture *fixture = *state;
    uint8_t token[DK_TOKEN_MAX + 1];
    memset(token, 't', sizeof(token));
    assert_int_equal(dk_http_set_token(fixture->http, (struct dk_bytes){token, DK_TOKEN_MAX}),
                     DK_OK);
    assert_int_equal(dk_http_set_token(fixture->http, (struct dk_bytes){token, DK_TOKEN_MAX + 1}),
                     DK_ERR_TOO_LARGE);
}

/* ---- options ----------------------------------------------------------------------------- */

static void speaks_over_a_unix_socket(void **state) {
    struct fixture *fixture = *state;
    struct temp_dir dir;
    char path[TEMP_PATH_MAX];
    assert_true(temp_dir_make(&dir));
    temp_dir_path(&dir, "opa.sock", path);
    fixture->server = http_server_start(path, handle, &fixture->script);
    assert_non_null(fixture->server);
    struct dk_http_options options = options_for(http_server_url(fixture->server));
    fixture->http = make_http(&options);
    struct answer answer = post(fixture->http);
    assert_int_equal(answer.kind, DK_HTTP_ANSWERED);
    http_server_stop(fixture->server);
    fixture->server = NULL;
    temp_dir_remove(&dir);
}

static void slashes_at_the_end_of_the_url_do_not_double(void **state) {
    struct fixture *fixture = *state;
    char url[200];
    fixture->server = http_server_start(NULL, handle, &fixture->script);
    assert_non_null(fixture->server);
    snprintf(url, sizeof(url), "%s/opa//", http_server_url(fixture->server));
    struct dk_http_options options = options_for(url);
    fixture->http = make_http(&options);
    (void)post(fixture->http);
    assert_true(script_saw(&fixture->script, "POST /opa/v1/data/x?provenance=true HTTP/1.1\r\n"));
}

static void wrong_urls_are_refused_at_the_start(void **state) {
    char long_url[5000] = "http://";
    char long_path[300] = "unix:/";
    (void)state;
    memset(long_url + 7, 'h', sizeof(long_url) - 8);
    memset(long_path + 6, 'p', sizeof(long_path) - 7);
    const char *const wrong[] = {
        "",          "127.0.0.1:8181", "ftp://h",       "file:///etc/passwd",
        "unix:here", "unix:",          "HTTP:/missing", long_url,
        long_path};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct dk_http *http = NULL;
        struct dk_error_text why = {""};
        struct dk_http_options options = options_for(wrong[i]);
        assert_int_equal(dk_http_new(&options, &http, &why), DK_ERR_CONFIG);
        assert_null(http);
        assert_true(why.text[0] != '\0');
    }
}

int main(void) {
#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
#define WITH_SCRIPT(test) cmocka_unit_test_setup_teardown(test, set_up_script, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_SERVER(posts_json_and_reads_the_answer),
        WITH_SERVER(keeps_its_connection),
        WITH_SERVER(any_status_is_an_answer_with_its_status),
        WITH_SERVER(follows_no_redirect),
        WITH_SERVER(uses_no_proxy_of_the_environment),
        WITH_SERVER(takes_as_many_requests_as_it_has_connections),
        WITH_SERVER(a_body_up_to_the_cap_is_read),
        WITH_SERVER(each_fault_is_told_apart_and_the_next_request_is_well),
        WITH_SERVER(what_is_not_http_is_no_answer),
        WITH_SERVER(a_deadline_that_is_past_still_ends_the_request),
        WITH_SERVER(nobody_listens),
        WITH_SERVER(the_end_cancels_what_is_under_way),
        WITH_SERVER(another_thread_ends_the_wait),
        WITH_SERVER(the_token_is_sent_and_replaced),
        WITH_SERVER(a_token_adds_no_header_and_a_bad_one_changes_nothing),
        WITH_SERVER(a_token_has_a_cap),
        WITH_SCRIPT(speaks_over_a_unix_socket),
        WITH_SCRIPT(slashes_at_the_end_of_the_url_do_not_double),
        cmocka_unit_test(wrong_urls_are_refused_at_the_start),
    };
    return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}
