/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fixed set of slots for all servers, each with a curl easy handle that is made once and used
 * again and again. Everything belongs to the I/O thread but `token` and `token_version`, which
 * `lock` guards: a slot that finds its own version behind builds new headers before it is
 * used again.
 */
#include "doorkeeper/http.h"

#include "doorkeeper/clock.h"

#include <curl/curl.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#define URL_MAX 4096u
#define UNIX_PREFIX "unix:"
#define BEARER "Authorization: Bearer "
#define PAUSE_MS 10

struct slot {
    CURL *easy;
    struct dk_http *http;
    struct curl_slist *headers;
    uint64_t token_version, pem_version;
    struct dk_writer body;
    bool over_cap;
    bool busy;
    dk_http_done *done;
    void *user;
    char error[CURL_ERROR_SIZE];
};

struct server {
    const char *url; /* for people */
    const char *base_url;
    const char *socket_path; /* NULL: TCP */
};

struct pem {
    struct dk_writer ca, certificate, key; /* empty where not set */
};

struct dk_http {
    CURLM *multi;
    char *urls; /* what the servers point into */
    struct server servers[DK_HTTP_SERVERS_MAX];
    size_t server_count;
    struct slot *slots;
    size_t slot_count;
    size_t busy;
    size_t max_body;
    pthread_mutex_t lock;
    char *token; /* NULL: none */
    uint64_t token_version;
    struct pem pem;
    uint64_t pem_version;
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

/* ---- options ----------------------------------------------------------------------------- */

static bool starts_with(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static enum dk_error out_of_memory(struct dk_error_text *why) {
    return dk_fail(why, DK_ERR_MEMORY, "no memory for the HTTP client");
}

static enum dk_error check_url(const char *url, struct dk_error_text *why) {
    struct sockaddr_un address;
    const size_t path_max = sizeof(address.sun_path);
    if (strlen(url) > URL_MAX) {
        return dk_fail(why, DK_ERR_CONFIG, "the URL is longer than %u bytes", URL_MAX);
    }
    if (starts_with(url, UNIX_PREFIX)) {
        const char *path = url + strlen(UNIX_PREFIX);
        return path[0] == '/' && strlen(path) < path_max
                   ? DK_OK
                   : dk_fail(why, DK_ERR_CONFIG,
                             "unix: wants an absolute path of less than %zu bytes", path_max);
    }
    return starts_with(url, "http://") || starts_with(url, "https://")
               ? DK_OK
               : dk_fail(why, DK_ERR_CONFIG,
                         "the URL begins with none of http://, https:// and unix:");
}

static void remove_last_slashes(char *url) {
    for (size_t len = strlen(url); len > 0 && url[len - 1] == '/'; len--) {
        url[len - 1] = '\0';
    }
}

/* The views of a server point into `url`, which is cut to size. */
static enum dk_error init_server(struct server *server, char *url, struct dk_error_text *why) {
    enum dk_error error = check_url(url, why);
    if (error != DK_OK) {
        return error;
    }
    bool is_socket = starts_with(url, UNIX_PREFIX);
    if (!is_socket) {
        remove_last_slashes(url);
    }
    server->url = url;
    server->base_url = is_socket ? "http://localhost" : url;
    server->socket_path = is_socket ? url + strlen(UNIX_PREFIX) : NULL;
    return DK_OK;
}

static enum dk_error take_urls(struct dk_http *http, const char *urls, struct dk_error_text *why) {
    http->urls = strdup(urls);
    if (http->urls == NULL) {
        return out_of_memory(why);
    }
    enum dk_error error = DK_OK;
    char *rest = http->urls;
    char *url = strsep(&rest, ",");
    for (; url != NULL && error == DK_OK; url = strsep(&rest, ",")) {
        if (http->server_count == DK_HTTP_SERVERS_MAX) {
            return dk_fail(why, DK_ERR_CONFIG, "more than %u URLs", DK_HTTP_SERVERS_MAX);
        }
        error = init_server(&http->servers[http->server_count++], url, why);
    }
    return error;
}

/* No prompt on the broker's terminal for a key that is locked. */
static int no_passphrase(char *out, int capacity, int for_writing, void *user) {
    (void)out, (void)capacity, (void)for_writing, (void)user;
    return -1;
}

static X509 *read_pem_certificate(struct dk_bytes pem) {
    BIO *bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
    X509 *certificate = bio == NULL ? NULL : PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);
    BIO_free(bio);
    return certificate;
}

static EVP_PKEY *read_pem_key(struct dk_bytes pem) {
    BIO *bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
    EVP_PKEY *key = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    BIO_free(bio);
    return key;
}

/* A wrong file is an error at the start, not a handshake that fails later. */
static enum dk_error check_pem(const struct dk_http_pem *pem, struct dk_error_text *why) {
    const struct dk_bytes ca = pem->ca;
    const struct dk_bytes certificate = pem->certificate;
    const struct dk_bytes key = pem->key;
    if (ca.len > INT32_MAX || certificate.len > INT32_MAX || key.len > INT32_MAX) {
        return dk_fail(why, DK_ERR_CONFIG, "a PEM text is too long");
    }
    if ((certificate.len > 0) != (key.len > 0)) {
        return dk_fail(why, DK_ERR_CONFIG, "a client certificate and its key go together");
    }
    enum dk_error error = DK_OK;
    X509 *leaf = NULL;
    EVP_PKEY *private_key = NULL;
    X509 *first_ca = ca.len > 0 ? read_pem_certificate(ca) : NULL;
    if (ca.len > 0 && first_ca == NULL) {
        error = dk_fail(why, DK_ERR_CONFIG, "the CA file holds no PEM certificate");
        goto cleanup;
    }
    if (certificate.len == 0) {
        goto cleanup;
    }
    leaf = read_pem_certificate(certificate);
    private_key = read_pem_key(key);
    if (leaf == NULL) {
        error = dk_fail(why, DK_ERR_CONFIG, "the certificate file holds no PEM certificate");
    } else if (private_key == NULL) {
        error = dk_fail(why, DK_ERR_CONFIG, "the key file holds no PEM key without a passphrase");
    } else if (X509_check_private_key(leaf, private_key) != 1) {
        error = dk_fail(why, DK_ERR_CONFIG, "the key does not belong to the certificate");
    }
cleanup:
    EVP_PKEY_free(private_key);
    X509_free(leaf);
    X509_free(first_ca);
    return error;
}

static bool copy_pem(struct pem *out, const struct dk_http_pem *pem) {
    dk_writer_init(&out->ca, pem->ca.len + 1);
    dk_writer_init(&out->certificate, pem->certificate.len + 1);
    dk_writer_init(&out->key, pem->key.len + 1);
    dk_writer_bytes(&out->ca, pem->ca);
    dk_writer_bytes(&out->certificate, pem->certificate);
    dk_writer_bytes(&out->key, pem->key);
    return !out->ca.failed && !out->certificate.failed && !out->key.failed;
}

static void clean_up_pem(struct pem *pem) {
    dk_writer_clean_up(&pem->ca);
    dk_writer_clean_up(&pem->certificate);
    dk_writer_forget(&pem->key);
}

enum dk_error dk_http_set_pem(struct dk_http *http, const struct dk_http_pem *pem,
                              struct dk_error_text *why) {
    ERR_set_mark();
    enum dk_error error = check_pem(pem, why);
    ERR_pop_to_mark();
    if (error != DK_OK) {
        return error;
    }
    struct pem copy;
    if (!copy_pem(&copy, pem)) {
        clean_up_pem(&copy);
        return out_of_memory(why);
    }
    pthread_mutex_lock(&http->lock);
    struct pem earlier = http->pem;
    http->pem = copy;
    http->pem_version++;
    pthread_mutex_unlock(&http->lock);
    clean_up_pem(&earlier);
    return DK_OK;
}

/* ---- slots ------------------------------------------------------------------------------- */

static void free_headers(struct curl_slist *headers) {
    for (struct curl_slist *header = headers; header != NULL; header = header->next) {
        OPENSSL_cleanse(header->data, strlen(header->data)); /* one of them carries the token */
    }
    curl_slist_free_all(headers);
}

static bool add_header(struct curl_slist **headers, const char *text) {
    struct curl_slist *longer = curl_slist_append(*headers, text);
    if (longer == NULL) {
        return false;
    }
    *headers = longer;
    return true;
}

/* @locks lock MUST be held */
static bool add_token(struct curl_slist **headers, const char *token) {
    if (token == NULL) {
        return true;
    }
    char header[sizeof(BEARER) + DK_TOKEN_MAX];
    snprintf(header, sizeof(header), "%s%s", BEARER, token);
    bool ok = add_header(headers, header);
    OPENSSL_cleanse(header, sizeof(header));
    return ok;
}

/* @locks lock MUST be held */
static bool build_headers(struct slot *slot) {
    struct curl_slist *headers = NULL;
    /* "Expect:" without a value: curl must not wait for a 100-continue before large bodies. */
    if (!add_header(&headers, "Content-Type: application/json") ||
        !add_header(&headers, "Expect:") || !add_token(&headers, slot->http->token) ||
        curl_easy_setopt(slot->easy, CURLOPT_HTTPHEADER, headers) != CURLE_OK) {
        free_headers(headers);
        return false;
    }
    free_headers(slot->headers);
    slot->headers = headers;
    slot->token_version = slot->http->token_version;
    return true;
}

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

/* Copied by curl, which compares them as well: a kept connection with others is not used. */
static bool set_blob(CURL *easy, CURLoption option, const struct dk_writer *pem) {
    struct curl_blob blob = {pem->ptr, pem->len, CURL_BLOB_COPY};
    return pem->len == 0 || curl_easy_setopt(easy, option, &blob) == CURLE_OK;
}

/* The given CAs alone: libcurl would look into the system's directory as well. */
static bool set_ca(CURL *easy, const struct dk_writer *ca) {
    return ca->len == 0 ||
           (set_blob(easy, CURLOPT_CAINFO_BLOB, ca) && set_text(easy, CURLOPT_CAPATH, NULL));
}

/* @locks lock MUST be held */
static bool set_pem(struct slot *slot) {
    const struct pem *pem = &slot->http->pem;
    if (!set_ca(slot->easy, &pem->ca) ||
        !set_blob(slot->easy, CURLOPT_SSLCERT_BLOB, &pem->certificate) ||
        !set_blob(slot->easy, CURLOPT_SSLKEY_BLOB, &pem->key)) {
        return false;
    }
    slot->pem_version = slot->http->pem_version;
    return true;
}

/* Token and PEM texts as they are now. */
static bool refresh(struct slot *slot) {
    struct dk_http *http = slot->http;
    pthread_mutex_lock(&http->lock);
    bool has_token = slot->headers != NULL && slot->token_version == http->token_version;
    bool ok = (has_token || build_headers(slot)) &&
              (slot->pem_version == http->pem_version || set_pem(slot));
    pthread_mutex_unlock(&http->lock);
    return ok;
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
           curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, slot->error) == CURLE_OK && refresh(slot);
}

static void clean_up_slot(struct slot *slot) {
    curl_easy_cleanup(slot->easy);
    free_headers(slot->headers);
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
    /* Without free file descriptors curl makes one all the same that nobody could wake, ever. */
    if (!dk_http_wake(http)) {
        return dk_fail(why, DK_ERR_SYSTEM, "libcurl has nothing to be woken by");
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
    enum dk_error error = take_urls(http, options->urls, why);
    if (error == DK_OK) {
        error = dk_http_set_pem(http, &options->pem, why);
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
    if (pthread_mutex_init(&http->lock, NULL) != 0) {
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
    return http->server_count;
}

const char *dk_http_server_url(const struct dk_http *http, size_t server) {
    return http->servers[server].url;
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

static bool set_request(struct slot *slot, const struct server *server, const char *path,
                        struct dk_bytes body, int64_t deadline_ms) {
    char url[2 * URL_MAX];
    int len = snprintf(url, sizeof(url), "%s%s", server->base_url, path);
    if (len < 0 || (size_t)len >= sizeof(url)) {
        return false;
    }
    int64_t left_ms = deadline_ms - dk_clock_ms();
    if (left_ms < 1) {
        left_ms = 1; /* to curl 0 means "for ever" */
    }
    return refresh(slot) && set_text(slot->easy, CURLOPT_URL, url) &&
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
    if (!set_request(slot, &http->servers[server], path, body, deadline_ms)) {
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
    (void)curl_multi_remove_handle(slot->http->multi, slot->easy);
    slot->done(slot->user, result);
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

/* Moves what can be moved without waiting. */
static bool perform(struct dk_http *http) {
    int running = 0;
    return curl_multi_perform(http->multi, &running) == CURLM_OK;
}

static bool wait_for_network(struct dk_http *http, int timeout_ms) {
    return curl_multi_poll(http->multi, NULL, 0, timeout_ms, NULL) == CURLM_OK;
}

void dk_http_poll(struct dk_http *http, int timeout_ms) {
    bool performed = perform(http);
    if (end_requests(http)) {
        return;
    }
    if (!wait_for_network(http, timeout_ms) || !performed) {
        /* Without memory curl neither waits nor gets anywhere: the caller's loop must not become a
         * busy one. */
        (void)poll(NULL, 0, timeout_ms < PAUSE_MS ? timeout_ms : PAUSE_MS);
    }
    (void)perform(http);
    (void)end_requests(http);
}

bool dk_http_wake(struct dk_http *http) {
    return curl_multi_wakeup(http->multi) == CURLM_OK;
}

/* ---- the token --------------------------------------------------------------------------- */

static void free_token(char *token) {
    if (token != NULL) {
        OPENSSL_cleanse(token, strlen(token));
        free(token);
    }
}

static bool is_space(uint8_t byte) {
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

static struct dk_bytes trim(struct dk_bytes text) {
    while (text.len > 0 && is_space(text.ptr[0])) {
        text.ptr++;
        text.len--;
    }
    while (text.len > 0 && is_space(text.ptr[text.len - 1])) {
        text.len--;
    }
    return text;
}

/* Also what keeps a token from adding headers of its own. */
static bool is_printable(struct dk_bytes text) {
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] <= ' ' || text.ptr[i] >= 0x7f) {
            return false;
        }
    }
    return true;
}

enum dk_error dk_http_set_token(struct dk_http *http, struct dk_bytes token) {
    token = trim(token);
    if (token.len > DK_TOKEN_MAX) {
        return DK_ERR_TOO_LARGE;
    }
    if (!is_printable(token)) {
        return DK_ERR_MALFORMED;
    }
    char *copy = NULL;
    if (token.len > 0) {
        copy = malloc(token.len + 1);
        if (copy == NULL) {
            return DK_ERR_MEMORY;
        }
        memcpy(copy, token.ptr, token.len);
        copy[token.len] = '\0';
    }
    pthread_mutex_lock(&http->lock);
    char *earlier = http->token;
    http->token = copy;
    http->token_version++;
    pthread_mutex_unlock(&http->lock);
    free_token(earlier);
    return DK_OK;
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
    clean_up_pem(&http->pem);
    free_token(http->token);
    pthread_mutex_destroy(&http->lock);
    free(http->urls);
    free(http->slots);
    free(http);
}
