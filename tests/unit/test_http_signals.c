/* SPDX-License-Identifier: Apache-2.0 */
/* Signals belong to the JVM: nobody below http.h changes what happens with one, not even for a
 * moment. */
#include "doorkeeper/clock.h"
#include "doorkeeper/http.h"

#include "support/http_server.h"
#include "support/wait_until.h"

#include <dlfcn.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>

#include <cmocka.h>

static _Atomic unsigned changes;

/* Stands before the C library's: libcurl and OpenSSL call this one. */
__attribute__((visibility("default"))) int sigaction(int number, const struct sigaction *action,
                                                     struct sigaction *old) {
    int (*real)(int, const struct sigaction *, struct sigaction *) = NULL;
    *(void **)&real = dlsym(RTLD_NEXT, "sigaction");
    atomic_fetch_add(&changes, action != NULL ? 1 : 0);
    return real(number, action, old);
}

static void handle(void *user, const struct http_request *request, struct http_reply *reply) {
    (void)user;
    (void)request;
    dk_writer_text(&reply->body, "{}");
}

static void on_done(void *user, const struct dk_http_result *result) {
    *(enum dk_http_kind *)user = result->kind;
}

/* One request, from the first line of dk_http_new to the last of dk_http_destroy. */
static void ask_once(const char *url) {
    const struct dk_http_options options = {
        .urls = url, .connect_timeout_ms = WAIT_LIMIT_MS, .connections = 1, .max_body = 1000};
    struct dk_http *http = NULL;
    enum dk_http_kind kind = DK_HTTP_CANCELLED;
    int64_t give_up_ms = dk_clock_ms() + WAIT_LIMIT_MS;
    assert_int_equal(dk_http_new(&options, &http, NULL), DK_OK);
    assert_int_equal(dk_http_post(http, 0, "/", dk_bytes_of("{}"), give_up_ms, on_done, &kind),
                     DK_OK);
    while (dk_http_room(http) == 0 && dk_clock_ms() < give_up_ms) {
        dk_http_poll(http, 1000);
    }
    dk_http_destroy(http);
    assert_int_equal(kind, DK_HTTP_ANSWERED);
}

static void own_handler(int number) {
    (void)number;
}

static void no_disposition_is_ever_changed(void **state) {
    struct http_server *server = http_server_start(NULL, handle, NULL);
    struct sigaction before[NSIG];
    struct sigaction after;
    (void)state;
    assert_non_null(server);
    (void)signal(SIGALRM, own_handler);
    for (int i = 1; i < NSIG; i++) {
        (void)sigaction(i, NULL, &before[i]);
    }
    unsigned changes_before = atomic_load(&changes);
    ask_once(http_server_url(server));
    assert_int_equal(atomic_load(&changes), changes_before);
    for (int i = 1; i < NSIG; i++) {
        if (sigaction(i, NULL, &after) == 0 && after.sa_handler != before[i].sa_handler) {
            fail_msg("signal %d has another handler", i);
        }
    }
    http_server_stop(server);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_disposition_is_ever_changed),
    };
    return cmocka_run_group_tests_name("http: signals", tests, NULL, NULL);
}
