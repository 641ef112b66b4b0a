/* SPDX-License-Identifier: Apache-2.0 */
/* Who is believed over https, and that a wrong file is an error at the start. */
#include "doorkeeper/clock.h"
#include "doorkeeper/http.h"

#include "support/http_server.h"
#include "support/test_pki.h"
#include "support/wait_until.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <curl/curl.h>
#include <openssl/pem.h>

static struct test_certificate ca, other_ca, system_ca;
static struct test_certificate server, system_server, elsewhere, client, strange_client;

static int make_certificates(void **state) {
    (void)state;
    bool ok = test_certificate_make(&ca, "test CA", NULL, NULL) &&
              test_certificate_make(&other_ca, "other CA", NULL, NULL) &&
              test_certificate_make(&system_ca, "system CA", NULL, NULL) &&
              test_certificate_make(&server, "opa", &ca, "127.0.0.1") &&
              test_certificate_make(&system_server, "opa", &system_ca, "127.0.0.1") &&
              test_certificate_make(&elsewhere, "opa", &ca, "192.0.2.1") &&
              test_certificate_make(&client, "broker", &ca, NULL) &&
              test_certificate_make(&strange_client, "broker", &other_ca, NULL);
    return ok ? 0 : -1;
}

static int clean_up_certificates(void **state) {
    (void)state;
    test_certificate_clean_up(&ca);
    test_certificate_clean_up(&other_ca);
    test_certificate_clean_up(&system_ca);
    test_certificate_clean_up(&server);
    test_certificate_clean_up(&system_server);
    test_certificate_clean_up(&elsewhere);
    test_certificate_clean_up(&client);
    test_certificate_clean_up(&strange_client);
    return 0;
}

static void handle(void *user, const struct http_request *request, struct http_reply *reply) {
    (void)user;
    (void)request;
    dk_writer_text(&reply->body, "{}");
}

struct answer {
    unsigned calls;
    enum dk_http_kind kind;
    long status;
};

static void on_done(void *user, const struct dk_http_result *result) {
    struct answer *answer = user;
    answer->calls++;
    answer->kind = result->kind;
    answer->status = result->status;
}

/* One request from a client with these files to a server with those. */
static enum dk_http_kind ask(const struct test_certificate *shown, bool demands_client,
                             const struct test_certificate *believed,
                             const struct test_certificate *own) {
    struct http_tls tls = {.certificate = dk_bytes_of(shown->pem),
                           .key = dk_bytes_of(shown->key_pem),
                           .client_ca = dk_bytes_of(demands_client ? ca.pem : NULL)};
    struct http_server *https = http_server_start_tls(&tls, handle, NULL);
    assert_non_null(https);
    struct dk_http_options options = {
        .urls = http_server_url(https),
        .pem.ca = dk_bytes_of(believed != NULL ? believed->pem : NULL),
        .pem.certificate = dk_bytes_of(own != NULL ? own->pem : NULL),
        .pem.key = dk_bytes_of(own != NULL ? own->key_pem : NULL),
        .connect_timeout_ms = WAIT_LIMIT_MS,
        .connections = 1,
        .max_body = 1000,
    };
    struct dk_http *http = NULL;
    assert_int_equal(dk_http_new(&options, &http, NULL), DK_OK);
    struct answer answer = {.calls = 0};
    int64_t give_up_ms = dk_clock_ms() + WAIT_LIMIT_MS;
    assert_int_equal(dk_http_post(http, 0, "/", dk_bytes_of("{}"), give_up_ms, on_done, &answer),
                     DK_OK);
    while (answer.calls == 0 && dk_clock_ms() < give_up_ms) {
        dk_http_poll(http, 1000);
    }
    dk_http_destroy(http);
    http_server_stop(https);
    assert_int_equal(answer.calls, 1);
    assert_int_equal(answer.status, answer.kind == DK_HTTP_ANSWERED ? 200 : 0);
    return answer.kind;
}

static void a_server_of_the_given_ca_is_believed(void **state) {
    (void)state;
    assert_int_equal(ask(&server, false, &ca, NULL), DK_HTTP_ANSWERED);
}

static void a_server_of_another_ca_is_not(void **state) {
    (void)state;
    assert_int_equal(ask(&server, false, &other_ca, NULL), DK_HTTP_UNREACHABLE);
    assert_int_equal(ask(&server, false, NULL, NULL), DK_HTTP_UNREACHABLE);
}

/* Stands before OpenSSL's: libcurl reads its default directory with it, and finds this CA there. */
__attribute__((visibility("default"))) int X509_STORE_load_path(X509_STORE *store,
                                                                const char *path) {
    (void)path;
    return X509_STORE_add_cert(store, system_ca.x509);
}

static bool libcurl_has_a_directory_of_cas(void) {
    CURL *easy = curl_easy_init();
    char *path = NULL;
    assert_non_null(easy);
    assert_int_equal(curl_easy_getinfo(easy, CURLINFO_CAPATH, &path), CURLE_OK);
    curl_easy_cleanup(easy);
    return path != NULL;
}

static void with_a_ca_of_ones_own_the_systems_are_not_believed(void **state) {
    (void)state;
    if (!libcurl_has_a_directory_of_cas()) {
        skip();
    }
    assert_int_equal(ask(&system_server, false, NULL, NULL), DK_HTTP_ANSWERED);
    assert_int_equal(ask(&system_server, false, &ca, NULL), DK_HTTP_UNREACHABLE);
}

static void a_server_with_anothers_address_is_not(void **state) {
    (void)state;
    assert_int_equal(ask(&elsewhere, false, &ca, NULL), DK_HTTP_UNREACHABLE);
}

static void the_client_shows_its_certificate(void **state) {
    (void)state;
    assert_int_equal(ask(&server, true, &ca, &client), DK_HTTP_ANSWERED);
    assert_int_equal(ask(&server, true, &ca, NULL), DK_HTTP_UNREACHABLE);
    assert_int_equal(ask(&server, true, &ca, &strange_client), DK_HTTP_UNREACHABLE);
}

static void expect_refused(const char *ca_pem, const char *certificate, const char *key) {
    struct dk_http_options options = {
        .urls = "https://127.0.0.1:1",
        .pem.ca = dk_bytes_of(ca_pem),
        .pem.certificate = dk_bytes_of(certificate),
        .pem.key = dk_bytes_of(key),
        .connect_timeout_ms = 100,
        .connections = 1,
        .max_body = 1000,
    };
    struct dk_http *http = NULL;
    struct dk_error_text why = {""};
    assert_int_equal(dk_http_new(&options, &http, &why), DK_ERR_CONFIG);
    assert_null(http);
    assert_true(why.text[0] != '\0');
}

static void wrong_files_are_refused_at_the_start(void **state) {
    (void)state;
    expect_refused("no PEM", NULL, NULL);
    expect_refused(ca.key_pem, NULL, NULL);
    expect_refused(NULL, client.pem, NULL);
    expect_refused(NULL, NULL, client.key_pem);
    expect_refused(NULL, "no PEM", client.key_pem);
    expect_refused(NULL, client.pem, "no PEM");
    expect_refused(NULL, client.key_pem, client.pem);
    expect_refused(NULL, client.pem, server.key_pem);
}

static void a_locked_key_is_refused_without_a_prompt(void **state) {
    char locked[4096] = "";
    char phrase[] = "secret";
    BIO *bio = BIO_new(BIO_s_mem());
    (void)state;
    assert_int_equal(PEM_write_bio_PrivateKey(bio, client.pkey, EVP_aes_256_cbc(),
                                              (unsigned char *)phrase, (int)strlen(phrase), NULL,
                                              NULL),
                     1);
    assert_true(BIO_read(bio, locked, sizeof(locked) - 1) > 0);
    BIO_free(bio);
    expect_refused(NULL, client.pem, locked);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_of_the_given_ca_is_believed),
        cmocka_unit_test(a_server_of_another_ca_is_not),
        cmocka_unit_test(with_a_ca_of_ones_own_the_systems_are_not_believed),
        cmocka_unit_test(a_server_with_anothers_address_is_not),
        cmocka_unit_test(the_client_shows_its_certificate),
        cmocka_unit_test(wrong_files_are_refused_at_the_start),
        cmocka_unit_test(a_locked_key_is_refused_without_a_prompt),
    };
    return cmocka_run_group_tests_name("http over TLS", tests, make_certificates,
                                       clean_up_certificates);
}
