/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fixed set of slots for all servers, each with a curl easy handle that is made once and used
 * again and again. Everything belongs to the I/O thread but `wake_fd` and the credentials.
 */
#include "doorkeeper/http.h"

#include "doorkeeper/clock.h"
#include "http_credentials.h"
#include "http_servers.h"

#include <curl/curl.h>
#include <openssl/crypto.h>

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define PAUSE_MS 10

struct slot {
    CURL *easy;
    struct dk_http *http;
    struct dk_http_carried carried;
    struct dk_writer body;
    bool over_cap;
    bool busy;
    dk_http_done *done;
    void *user;
    char error[CURL_ERROR_SIZE];
};

struct dk_http {
    CURLM *multi;
    int wake_fd; /* an eventfd that dk_http_poll waits for as well; -1: none yet */
    struct dk_http_servers servers;
    struct dk_http_credentials credentials;
    struct slot *slots;
    size_t slot_count;
    size_t busy;
    size_t max_body;
};

/* ---- once a process ---------------------------------------------------------------------- */

static pthread_once_t global_once = PTHREAD_ONCE_INIT;
static bool global_ok;

/* The JVM ends with exit() while our threads still run: OpenSSL must not tear itself down then. */
static void init_globals(void) {
    global_ok = OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL) == 1 &&
                curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK &&
                curl_version_info(CURLVERSION_NOW)->version_num >= 0x075800;
}

static enum dk_error out_of_memory(struct dk_error_text *why) {
    return dk_fail(why, DK_ERR_MEMORY, "no memory for the HTTP client");
}

/* ---- slots ------------------------------------------------------------------------------- */

static size_t on_body(char *data, size_t size, size_t count, void *user) {
    struct slot *slot = user;
    size_t len = size * count; /* curl: size is always 1 */
    if (len > slot->http->max_body - slot->body.len) {
        slot->over_cap = true;
        return 0;
    }
    dk_writer_bytes(&slot->body, (struct dk_bytes){(const uint8_t *)data, len});
    return slot->body.failed ? 0 : len;
}

static bool set_long(CURL *easy, CURLoption option, long value) {
    return curl_easy_setopt(easy, option, value) == CURLE_OK;
}

static bool set_text(CURL *easy, CURLoption option, const char *value) {
    return curl_easy_setopt(easy, option, value) == CURLE_OK;
}

static bool set_up_transport(CURL *easy) {
    return set_text(easy, CURLOPT_PROTOCOLS_STR, "http,https") &&
           set_long(easy, CURLOPT_FOLLOWLOCATION, 0) && set_text(easy, CURLOPT_PROXY, "") &&
           set_long(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1) &&
           set_long(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1) &&
           set_long(easy, CURLOPT_TCP_NODELAY, 1) && set_long(easy, CURLOPT_TCP_KEEPALIVE, 1) &&
           set_long(easy, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2) &&
           set_long(easy, CURLOPT_SSL_VERIFYPEER, 1) && set_long(easy, CURLOPT_SSL_VERIFYHOST, 2);
}

static bool set_up_slot(struct slot *slot, struct dk_http *http,
                        const struct dk_http_options *options) {
    slot->http = http;
    dk_writer_init(&slot->body, options->max_body);
    slot->easy = curl_easy_init();
    if (slot->easy == NULL) {
        return false;
    }
    CURL *easy = slot->easy;
    /* Without NOSIGNAL curl touches SIGALRM and SIGPIPE, which belong to the JVM. With QUICK_EXIT
     * a name that is slow to resolve outlives its request without anybody waiting for it. */
    return set_up_transport(easy) && set_long(easy, CURLOPT_NOSIGNAL, 1) &&
           set_long(easy, CURLOPT_QUICK_EXIT, 1) &&
           set_long(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)options->connect_timeout_ms) &&
           set_long(easy, CURLOPT_POST, 1) && set_text(easy, CURLOPT_USERAGENT, "doorkeeper") &&
           curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)options->max_body) ==
               CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEDATA, slot) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, slot->error) == CURLE_OK &&
           dk_http_credentials_apply(&http->credentials, easy, &slot->carried);
}

static void clean_up_slot(struct slot *slot) {
    curl_easy_cleanup(slot->easy);
    dk_http_carried_clean_up(&slot->carried);
    dk_writer_clean_up(&slot->body);
}

static enum dk_error make_multi(struct dk_http *http, long connections, struct dk_error_text *why) {
    http->multi = curl_multi_init();
    if (http->multi == NULL) {
        return out_of_memory(why);
    }
    if (curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, connections) != CURLM_OK) {
        return dk_fail(why, DK_ERR_SYSTEM, "libcurl refused an option");
    }
    http->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (http->wake_fd < 0) {
        return dk_fail(why, DK_ERR_SYSTEM, "no file descriptor to be woken by");
    }
    return DK_OK;
}

static enum dk_error make_slots(struct dk_http *http, const struct dk_http_options *options,
                                struct dk_error_text *why) {
    http->slots = calloc(options->connections, sizeof(*http->slots));
    if (http->slots == NULL) {
        return out_of_memory(why);
    }
    for (size_t i = 0; i < options->connections; i++) {
        http->slot_count++;
        if (!set_up_slot(&http->slots[i], http, options)) {
            return dk_fail(why, DK_ERR_SYSTEM, "libcurl refused an option");
        }
    }
    return DK_OK;
}

static enum dk_error set_up(struct dk_http *http, const struct dk_http_options *options,
                            struct dk_error_text *why) {
    http->max_body = options->max_body;
    enum dk_error error = dk_http_servers_init(&http->servers, options->urls, why);
    if (error == DK_OK) {
        error = dk_http_credentials_set_pem(&http->credentials, &options->pem, why);
    }
    if (error == DK_OK) {
        error = make_multi(http, (long)options->connections, why);
    }
    return error == DK_OK ? make_slots(http, options, why) : error;
}

enum dk_error dk_http_new(const struct dk_http_options *options, struct dk_http **out,
                          struct dk_error_text *why) {
    *out = NULL;
    if (pthread_once(&global_once, init_globals) != 0 || !global_ok) {
        return dk_fail(why, DK_ERR_SYSTEM, "libcurl 7.88 or newer with OpenSSL 3 did not start");
    }
    struct dk_http *http = calloc(1, sizeof(*http));
    if (http == NULL) {
        return out_of_memory(why);
    }
    http->wake_fd = -1;
    if (dk_http_credentials_init(&http->credentials) != DK_OK) {
        free(http);
        return out_of_memory(why);
    }
    enum dk_error error = set_up(http, options, why);
    if (error != DK_OK) {
        dk_http_destroy(http);
        return error;
    }
    *out = http;
    return DK_OK;
}

/* ---- requests ---------------------------------------------------------------------------- */

size_t dk_http_server_count(const struct dk_http *http) {
    return http->servers.count;
}

const char *dk_http_server_url(const struct dk_http *http, size_t server) {
    return http->servers.at[server].url;
}

size_t dk_http_room(const struct dk_http *http) {
    return http->slot_count - http->busy;
}

static struct slot *find_free_slot(struct dk_http *http) {
    for (size_t i = 0; i < http->slot_count; i++) {
        if (!http->slots[i].busy) {
            return &http->slots[i];
        }
    }
    return NULL;
}

static bool set_request(struct slot *slot, const struct dk_http_server *server, const char *path,
                        struct dk_bytes body, int64_t deadline_ms) {
    char url[2 * DK_HTTP_URL_MAX];
    int len = snprintf(url, sizeof(url), "%s%s", server->base_url, path);
    if (len < 0 || (size_t)len >= sizeof(url)) {
        return false;
    }
    int64_t left_ms = deadline_ms - dk_clock_ms();
    if (left_ms < 1) {
        left_ms = 1; /* to curl 0 means "for ever" */
    }
    return dk_http_credentials_apply(&slot->http->credentials, slot->easy, &slot->carried) &&
           set_text(slot->easy, CURLOPT_URL, url) &&
           set_text(slot->easy, CURLOPT_UNIX_SOCKET_PATH, server->socket_path) &&
           set_long(slot->easy, CURLOPT_TIMEOUT_MS, (long)left_ms) &&
           curl_easy_setopt(slot->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len) ==
               CURLE_OK &&
           curl_easy_setopt(slot->easy, CURLOPT_POSTFIELDS, body.ptr) == CURLE_OK;
}

enum dk_error dk_http_post(struct dk_http *http, size_t server, const char *path,
                           struct dk_bytes body, int64_t deadline_ms, dk_http_done *done,
                           void *user) {
    struct slot *slot = find_free_slot(http);
    if (slot == NULL) {
        return DK_ERR_TOO_LARGE;
    }
    if (!set_request(slot, &http->servers.at[server], path, body, deadline_ms)) {
        return DK_ERR_SYSTEM;
    }
    dk_writer_reset(&slot->body);
    slot->over_cap = false;
    slot->error[0] = '\0';
    slot->done = done;
    slot->user = user;
    if (curl_multi_add_handle(http->multi, slot->easy) != CURLM_OK) {
        return DK_ERR_SYSTEM;
    }
    slot->busy = true;
    http->busy++;
    return DK_OK;
}

static enum dk_http_kind kind_of(const struct slot *slot, CURLcode code) {
    if (code == CURLE_OK) {
        return DK_HTTP_ANSWERED;
    }
    if (slot->over_cap || code == CURLE_FILESIZE_EXCEEDED) {
        return DK_HTTP_TOO_LARGE;
    }
    return code == CURLE_OPERATION_TIMEDOUT ? DK_HTTP_TIMED_OUT : DK_HTTP_UNREACHABLE;
}

static void end_request(struct slot *slot, struct dk_http_result *result) {
    slot->done(slot->user, result); /* first: somebody waits for it */
    (void)curl_multi_remove_handle(slot->http->multi, slot->easy);
    slot->busy = false;
    slot->http->busy--;
}

static void complete(struct slot *slot, CURLcode code) {
    struct dk_http_result result = {.kind = kind_of(slot, code)};
    if (result.kind == DK_HTTP_ANSWERED) {
        if (curl_easy_getinfo(slot->easy, CURLINFO_RESPONSE_CODE, &result.status) != CURLE_OK) {
            result.status = 0;
        }
        result.body = dk_writer_view(&slot->body);
    }
    result.text = slot->error[0] != '\0' ? slot->error : curl_easy_strerror(code);
    end_request(slot, &result);
}

/* Not by CURLINFO_PRIVATE, which may fail: a request whose end is missed would never end. */
static struct slot *find_slot_of(struct dk_http *http, const CURL *easy) {
    size_t i = 0;
    while (i < http->slot_count && http->slots[i].easy != easy) {
        i++;
    }
    return i < http->slot_count ? &http->slots[i] : NULL;
}

/* True if a request ended. */
static bool end_requests(struct dk_http *http) {
    int left = 0;
    bool ended = false;
    for (CURLMsg *message = curl_multi_info_read(http->multi, &left); message != NULL;
         message = curl_multi_info_read(http->multi, &left)) {
        struct slot *slot = find_slot_of(http, message->easy_handle);
        if (message->msg == CURLMSG_DONE && slot != NULL) {
            complete(slot, message->data.result);
            ended = true;
        }
    }
    return ended;
}

/* Waits for the network or dk_http_wake. False if curl could not wait. */
static bool wait_for_events(struct dk_http *http, int timeout_ms) {
    struct curl_waitfd wake = {.fd = http->wake_fd, .events = CURL_WAIT_POLLIN};
    if (curl_multi_poll(http->multi, &wake, 1, timeout_ms, NULL) != CURLM_OK) {
        return false;
    }
    if (wake.revents != 0) {
        eventfd_t times;
        (void)eventfd_read(http->wake_fd, &times);
    }
    return true;
}

void dk_http_poll(struct dk_http *http, int timeout_ms) {
    int running = 0;
    bool performed = curl_multi_perform(http->multi, &running) == CURLM_OK;
    if (end_requests(http)) {
        return;
    }
    if (!wait_for_events(http, timeout_ms) || !performed) {
        /* Without memory curl neither waits nor gets anywhere: the caller's loop must not become a
         * busy one. */
        (void)poll(NULL, 0, timeout_ms < PAUSE_MS ? timeout_ms : PAUSE_MS);
    }
}

void dk_http_wake(struct dk_http *http) {
    (void)eventfd_write(http->wake_fd, 1); /* fails only if it was woken 2^64 - 2 times already */
}

/* ---- what may be replaced ---------------------------------------------------------------- */

enum dk_error dk_http_set_token(struct dk_http *http, struct dk_bytes token) {
    return dk_http_credentials_set_token(&http->credentials, token);
}

enum dk_error dk_http_set_pem(struct dk_http *http, const struct dk_http_pem *pem,
                              struct dk_error_text *why) {
    return dk_http_credentials_set_pem(&http->credentials, pem, why);
}

/* ---- the end ----------------------------------------------------------------------------- */

void dk_http_destroy(struct dk_http *http) {
    if (http == NULL) {
        return;
    }
    struct dk_http_result cancelled = {.kind = DK_HTTP_CANCELLED, .text = "cancelled"};
    for (size_t i = 0; i < http->slot_count; i++) {
        if (http->slots[i].busy) {
            end_request(&http->slots[i], &cancelled);
        }
    }
    for (size_t i = 0; i < http->slot_count; i++) {
        clean_up_slot(&http->slots[i]);
    }
    if (http->multi != NULL) {
        (void)curl_multi_cleanup(http->multi);
    }
    if (http->wake_fd >= 0) {
        (void)close(http->wake_fd);
    }
    dk_http_credentials_clean_up(&http->credentials);
    dk_http_servers_clean_up(&http->servers);
    free(http->slots);
    free(http);
}
