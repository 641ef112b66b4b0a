/* SPDX-License-Identifier: Apache-2.0 */
/* The files that settings name, through the whole core: CA, client certificate, token. */
#include "doorkeeper/authorizer.h"

#include "doorkeeper/clock.h"

#include "support/fake_opa.h"
#include "support/records.h"
#include "support/temp_dir.h"
#include "support/test_pki.h"
#include "support/wait_until.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    struct temp_dir dir;
    struct test_certificate ca, server, client;
    char token_path[TEMP_PATH_MAX], ca_path[TEMP_PATH_MAX];
    char certificate_path[TEMP_PATH_MAX], key_path[TEMP_PATH_MAX];
    struct fake_opa *opa;
    struct dk_authorizer *authorizer;
    pthread_t io, scribe;
    _Atomic bool ended;
    pthread_mutex_t lock;
    char lines[65536]; /* what the scribe was given so far */
};

static int set_up(void **state) {
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    *state = fixture;
    assert_int_equal(pthread_mutex_init(&fixture->lock, NULL), 0);
    assert_true(temp_dir_make(&fixture->dir));
    assert_true(test_certificate_make(&fixture->ca, "CA", NULL, NULL));
    assert_true(test_certificate_make(&fixture->server, "opa", &fixture->ca, "127.0.0.1"));
    assert_true(test_certificate_make(&fixture->client, "broker", &fixture->ca, NULL));
    assert_true(
        temp_dir_write(&fixture->dir, "token", dk_bytes_of("first\n"), fixture->token_path));
    assert_true(
        temp_dir_write(&fixture->dir, "ca", dk_bytes_of(fixture->ca.pem), fixture->ca_path));
    assert_true(temp_dir_write(&fixture->dir, "certificate", dk_bytes_of(fixture->client.pem),
                               fixture->certificate_path));
    assert_true(temp_dir_write(&fixture->dir, "key", dk_bytes_of(fixture->client.key_pem),
                               fixture->key_path));
    struct http_tls tls = {.certificate = dk_bytes_of(fixture->server.pem),
                           .key = dk_bytes_of(fixture->server.key_pem),
                           .client_ca = dk_bytes_of(fixture->ca.pem)};
    fixture->opa = fake_opa_start_tls(&tls);
    assert_non_null(fixture->opa);
    return 0;
}

static void *run(void *user) {
    struct fixture *fixture = user;
    dk_authorizer_run(fixture->authorizer);
    return NULL;
}

static void *write_logs(void *user) {
    struct fixture *fixture = user;
    uint8_t room[8192];
    while (!atomic_load(&fixture->ended)) {
        size_t len = dk_authorizer_drain(fixture->authorizer, room, sizeof(room), 100);
        pthread_mutex_lock(&fixture->lock);
        for (size_t at = 0; at < len; at += 4 + (size_t)dk_read_u16(room + at + 2)) {
            size_t used = strlen(fixture->lines);
            snprintf(fixture->lines + used, sizeof(fixture->lines) - used, "%.*s\n",
                     (int)dk_read_u16(room + at + 2), (const char *)room + at + 4);
        }
        pthread_mutex_unlock(&fixture->lock);
    }
    return NULL;
}

static bool logged(struct fixture *fixture, const char *text) {
    pthread_mutex_lock(&fixture->lock);
    bool found = strstr(fixture->lines, text) != NULL;
    pthread_mutex_unlock(&fixture->lock);
    return found;
}

/* `with_certificate` false: the server does not let the client in. */
static void start(struct fixture *fixture, bool with_certificate) {
    struct dk_config config;
    struct dk_error_text why = {""};
    const struct dk_setting settings[] = {
        {dk_bytes_of("doorkeeper.opa.url"), dk_bytes_of(fake_opa_url(fixture->opa))},
        {dk_bytes_of("doorkeeper.opa.token.file"), dk_bytes_of(fixture->token_path)},
        {dk_bytes_of("doorkeeper.opa.ca.file"), dk_bytes_of(fixture->ca_path)},
        {dk_bytes_of("doorkeeper.deadline.ms"), dk_bytes_of("2000")},
        {dk_bytes_of("doorkeeper.opa.certificate.file"), dk_bytes_of(fixture->certificate_path)},
        {dk_bytes_of("doorkeeper.opa.key.file"), dk_bytes_of(fixture->key_path)},
    };
    assert_int_equal(dk_config_parse(settings, with_certificate ? 6 : 4, &config, &why), DK_OK);
    assert_int_equal(dk_authorizer_new(&config, &fixture->authorizer, &why), DK_OK);
    assert_int_equal(pthread_create(&fixture->io, NULL, run, fixture), 0);
    assert_int_equal(pthread_create(&fixture->scribe, NULL, write_logs, fixture), 0);
}

static int tear_down(void **state) {
    struct fixture *fixture = *state;
    atomic_store(&fixture->ended, true);
    dk_authorizer_stop(fixture->authorizer);
    pthread_join(fixture->io, NULL);
    pthread_join(fixture->scribe, NULL);
    dk_authorizer_destroy(fixture->authorizer);
    fake_opa_stop(fixture->opa);
    test_certificate_clean_up(&fixture->ca);
    test_certificate_clean_up(&fixture->server);
    test_certificate_clean_up(&fixture->client);
    temp_dir_remove(&fixture->dir);
    free(fixture);
    return 0;
}

static enum dk_outcome authorize(struct fixture *fixture, const char *name) {
    struct dk_writer context;
    struct dk_writer request;
    dk_answer answer = 0;
    dk_writer_init(&context, 4096);
    dk_writer_init(&request, 4096);
    write_context(&context, "cluster-1", "alice", 0);
    write_action(&request, name);
    assert_int_equal(dk_authorizer_authorize(fixture->authorizer, dk_writer_view(&context),
                                             dk_writer_view(&request), 1, 0, &answer),
                     DK_OK);
    dk_writer_clean_up(&context);
    dk_writer_clean_up(&request);
    return DK_ANSWER_OUTCOME(answer);
}

static void certificates_and_a_token_that_changes(void **state) {
    struct fixture *fixture = *state;
    fake_opa_demand_token(fixture->opa, "first");
    start(fixture, true);
    assert_true(dk_authorizer_wait_ready(fixture->authorizer, WAIT_LIMIT_MS));
    assert_int_equal(authorize(fixture, "ok-first"), DK_ALLOW);
    fake_opa_demand_token(fixture->opa, "second");
    assert_int_equal(authorize(fixture, "ok-second"), DK_UNAVAILABLE);
    assert_true(temp_dir_write(&fixture->dir, "token", dk_bytes_of("second"), fixture->token_path));
    WAIT_UNTIL(authorize(fixture, "ok-second") == DK_ALLOW);
    assert_int_equal(authorize(fixture, "ok-first"), DK_ALLOW); /* cached all the while */
}

static void write_file(struct fixture *fixture, const char *name, const char *text, char *path) {
    assert_true(temp_dir_write(&fixture->dir, name, dk_bytes_of(text), path));
}

static void certificates_that_change(void **state) {
    struct fixture *fixture = *state;
    struct test_certificate other_ca;
    struct test_certificate other_client;
    assert_true(test_certificate_make(&other_ca, "other CA", NULL, NULL));
    assert_true(test_certificate_make(&other_client, "broker", &other_ca, NULL));
    write_file(fixture, "certificate", other_client.pem, fixture->certificate_path);
    write_file(fixture, "key", other_client.key_pem, fixture->key_path);
    start(fixture, true);
    assert_int_equal(authorize(fixture, "ok-a"), DK_UNAVAILABLE);
    /* Half of the pair changes nothing; the whole of it does. */
    write_file(fixture, "certificate", fixture->client.pem, fixture->certificate_path);
    WAIT_UNTIL(logged(fixture, "the key does not belong to the certificate"));
    assert_int_equal(authorize(fixture, "ok-a"), DK_UNAVAILABLE);
    write_file(fixture, "key", fixture->client.key_pem, fixture->key_path);
    WAIT_UNTIL(authorize(fixture, "ok-a") == DK_ALLOW);
    assert_true(logged(fixture, "the files for TLS to OPA were replaced"));
    test_certificate_clean_up(&other_client);
    test_certificate_clean_up(&other_ca);
}

static void without_its_certificate_nobody_is_let_in(void **state) {
    struct fixture *fixture = *state;
    start(fixture, false);
    assert_int_equal(authorize(fixture, "ok-a"), DK_UNAVAILABLE);
    assert_false(dk_authorizer_wait_ready(fixture->authorizer, 0));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(certificates_and_a_token_that_changes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(certificates_that_change, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_its_certificate_nobody_is_let_in, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests_name("authorizer: files", tests, NULL, NULL);
}
