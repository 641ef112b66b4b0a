/* SPDX-License-Identifier: Apache-2.0 */
/* TLS 1.2 is the oldest that is spoken, also where OpenSSL is configured to allow older ones. In a
 * process of its own, because OpenSSL reads that configuration once. */
#include "doorkeeper/clock.h"
#include "doorkeeper/http.h"

#include "support/http_server.h"
#include "support/temp_dir.h"
#include "support/test_pki.h"
#include "support/wait_until.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <curl/curl.h>
#include <openssl/ssl.h>

static const char lax_configuration[] = "openssl_conf = init\n"
                                        "[init]\n"
                                        "ssl_conf = ssl\n"
                                        "[ssl]\n"
                                        "system_default = lax\n"
                                        "[lax]\n"
                                        "MinProtocol = TLSv1\n"
                                        "CipherString = DEFAULT:@SECLEVEL=0\n";

static struct temp_dir dir;
static struct test_certificate ca, server;

static int configure_laxly(void **state) {
    char path[TEMP_PATH_MAX];
    (void)state;
    bool ok = temp_dir_make(&dir) &&
              temp_dir_write(&dir, "openssl.cnf", dk_bytes_of(lax_configuration), path) &&
              setenv("OPENSSL_CONF", path, 1) == 0 &&
              test_certificate_make(&ca, "test CA", NULL, NULL) &&
              test_certificate_make(&server, "opa", &ca, "127.0.0.1");
    return ok ? 0 : -1;
}

static int clean_up(void **state) {
    (void)state;
    test_certificate_clean_up(&server);
    test_certificate_clean_up(&ca);
    temp_dir_remove(&dir);
    return 0;
}

static void handle(void *user, const struct http_request *request, struct http_reply *reply) {
    (void)user;
    (void)request;
    dk_writer_text(&reply->body, "{}");
}

static struct http_server *start_server(int max_version) {
    const struct http_tls tls = {.certificate = dk_bytes_of(server.pem),
                                 .key = dk_bytes_of(server.key_pem),
                                 .max_version = max_version};
    struct http_server *https = http_server_start_tls(&tls, handle, NULL);
    assert_non_null(https);
    return https;
}

static void on_done(void *user, const struct dk_http_result *result) {
    *(enum dk_http_kind *)user = result->kind;
}

static enum dk_http_kind ask(const char *url) {
    const struct dk_http_options options = {.urls = url,
                                            .pem.ca = dk_bytes_of(ca.pem),
                                            .connect_timeout_ms = WAIT_LIMIT_MS,
                                            .connections = 1,
                                            .max_body = 1000};
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
    return kind;
}

/* A client that speaks anything from TLS 1.0 on. */
static bool is_answered_laxly(const char *url) {
    struct curl_blob blob = {ca.pem, strlen(ca.pem), CURL_BLOB_NOCOPY};
    CURL *easy = curl_easy_init();
    assert_non_null(easy);
    assert_int_equal(curl_easy_setopt(easy, CURLOPT_URL, url), CURLE_OK);
    assert_int_equal(curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &blob), CURLE_OK);
    assert_int_equal(curl_easy_setopt(easy, CURLOPT_NOBODY, 1L), CURLE_OK);
    assert_int_equal(curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_0),
                     CURLE_OK);
    CURLcode code = curl_easy_perform(easy);
    curl_easy_cleanup(easy);
    return code == CURLE_OK;
}

static void tls_1_2_is_spoken(void **state) {
    (void)state;
    struct http_server *https = start_server(TLS1_2_VERSION);
    assert_int_equal(ask(http_server_url(https)), DK_HTTP_ANSWERED);
    http_server_stop(https);
}

static void tls_1_1_is_not(void **state) {
    (void)state;
    struct http_server *https = start_server(TLS1_1_VERSION);
    bool can_be_spoken = is_answered_laxly(http_server_url(https));
    enum dk_http_kind kind = ask(http_server_url(https));
    http_server_stop(https);
    if (!can_be_spoken) {
        skip(); /* this OpenSSL or this libcurl has no TLS 1.1 */
    }
    assert_int_equal(kind, DK_HTTP_UNREACHABLE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tls_1_2_is_spoken),
        cmocka_unit_test(tls_1_1_is_not),
    };
    return cmocka_run_group_tests_name("http: TLS versions", tests, configure_laxly, clean_up);
}
