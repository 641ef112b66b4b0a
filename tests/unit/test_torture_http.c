/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every allocation and every call of libcurl fails in turn, in an HTTP client whose token is
 * replaced between two requests. What was accepted ends once, and what is sent shows the token that
 * was set last.
 */
#include "doorkeeper/http.h"

#include "doorkeeper/clock.h"

#include "support/fail_nth.h"
#include "support/http_server.h"
#include "support/wait_until.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define REQUEST_MS 5000
/* Without curl_multi_perform nothing ever ends: it works again after this time. */
#define FAILING_MS 50

/* ---- the server -------------------------------------------------------------------------- */

struct seen {
    pthread_mutex_t lock;
    char token[32]; /* of the last request; "" before the first */
};

static void handle(void *user, const struct http_request *request, struct http_reply *reply) {
    static const char name[] = "\r\nAuthorization: Bearer ";
    struct seen *seen = user;
    const char *line = strstr(request->head, name);
    const char *token = line != NULL ? line + strlen(name) : "none";
    pthread_mutex_lock(&seen->lock);
    snprintf(seen->token, sizeof(seen->token), "%.*s", (int)strcspn(token, "\r"), token);
    pthread_mutex_unlock(&seen->lock);
    dk_writer_text(&reply->body, "{}");
}

static bool has_seen(struct seen *seen, const char *token) {
    pthread_mutex_lock(&seen->lock);
    bool same = strcmp(seen->token, token) == 0;
    pthread_mutex_unlock(&seen->lock);
    return same;
}

static void forget(struct seen *seen) {
    pthread_mutex_lock(&seen->lock);
    seen->token[0] = '\0';
    pthread_mutex_unlock(&seen->lock);
}

/* ---- one run ----------------------------------------------------------------------------- */

struct run {
    struct seen seen;
    struct http_server *server;
    struct dk_http *http;
    unsigned ended;
    enum dk_http_kind kind;
};

static void on_end(void *user, const struct dk_http_result *result) {
    struct run *run = user;
    run->ended++;
    run->kind = result->kind;
    assert_true(result->kind != DK_HTTP_ANSWERED || result->status == 200 || result->status == 0);
}

/* True if it was answered. */
static bool post(struct run *run, const char *token) {
    int64_t deadline_ms = dk_clock_ms() + REQUEST_MS;
    run->ended = 0;
    forget(&run->seen);
    if (dk_http_post(run->http, 0, "/", dk_bytes_of("{}"), deadline_ms, on_end, run) != DK_OK) {
        assert_true(has_seen(&run->seen, ""));
        return false;
    }
    while (run->ended == 0 && dk_clock_ms() < deadline_ms + WAIT_LIMIT_MS) {
        if (dk_clock_ms() > deadline_ms - REQUEST_MS + FAILING_MS) {
            fail_nth_take_part(false);
        }
        dk_http_poll(run->http, 100);
    }
    assert_int_equal(run->ended, 1);
    assert_true(has_seen(&run->seen, token) || has_seen(&run->seen, ""));
    return run->kind == DK_HTTP_ANSWERED && has_seen(&run->seen, token);
}

static void replace_token_between_requests(struct run *run) {
    const char *token = "first";
    (void)post(run, token);
    enum dk_error error = dk_http_set_token(run->http, dk_bytes_of("second"));
    assert_true(error == DK_OK || error == DK_ERR_MEMORY);
    token = error == DK_OK ? "second" : token;
    (void)post(run, token);
    fail_nth_take_part(false);
    assert_true(post(run, token)); /* nothing of the failure is left */
}

/* Returns how many calls there were. */
static unsigned run_with(unsigned first, unsigned last) {
    struct run run = {.ended = 0};
    struct dk_error_text why;
    pthread_mutex_init(&run.seen.lock, NULL);
    run.server = http_server_start(NULL, handle, &run.seen);
    assert_non_null(run.server);
    const struct dk_http_options options = {
        .urls = http_server_url(run.server),
        .connect_timeout_ms = REQUEST_MS,
        .connections = 1,
        .max_body = 1000,
    };
    assert_int_equal(dk_http_new(&options, &run.http, &why), DK_OK);
    assert_int_equal(dk_http_set_token(run.http, dk_bytes_of("first")), DK_OK);
    fail_nth_take_part(true);
    fail_nth_begin(first, last, FAIL_ANY);
    replace_token_between_requests(&run);
    unsigned calls = fail_nth_count(FAIL_ANY);
    fail_nth_end();
    dk_http_destroy(run.http);
    http_server_stop(run.server);
    pthread_mutex_destroy(&run.seen.lock);
    return calls;
}

static void a_request_shows_the_token_that_was_set_last(void **state) {
    (void)state;
    unsigned calls = run_with(FAIL_NEVER, FAIL_NEVER);
    print_message("%u calls, each fails\n", calls);
    for (unsigned n = 1; n <= calls; n++) {
        (void)run_with(n, n);
        (void)run_with(n, FAIL_FOR_EVER);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_shows_the_token_that_was_set_last),
    };
    return cmocka_run_group_tests_name("torture of the HTTP client", tests, NULL, NULL);
}
