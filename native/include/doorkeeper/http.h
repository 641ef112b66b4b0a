/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file http.h
 * POST requests to a few servers over curl_multi: keep-alive connections, no redirects, no proxies,
 * protocols http and https (or a Unix socket) only, a cap on the answer's size.
 *
 * I/O thread only, save dk_http_new, dk_http_wake, dk_http_set_token and dk_http_set_pem (any
 * thread). Never blocks but in dk_http_poll. Reads no file itself; without ca_pem OpenSSL reads the
 * system's CAs.
 *
 * Not promised: that a request is sent at most once. A kept connection that turns out to be closed
 * before a byte of the answer came is replaced by a new one, so what is posted must be a question
 * that may be asked twice.
 */
#ifndef DOORKEEPER_HTTP_H
#define DOORKEEPER_HTTP_H

#include "doorkeeper/error.h"

struct dk_http;

#define DK_HTTP_SERVERS_MAX 8u

/** PEM texts. Empty: the system's CAs, no certificate. */
struct dk_http_pem {
    struct dk_bytes ca, certificate, key;
};

struct dk_http_options {
    /** http://host:port, https://host:port or unix:/path; several of them separated by commas */
    const char *urls;
    struct dk_http_pem pem;
    int64_t connect_timeout_ms;
    size_t connections; /**< requests under way at once */
    size_t max_body;    /**< bytes of an answer */
};

enum dk_http_kind {
    DK_HTTP_ANSWERED,    /**< see status and body */
    DK_HTTP_TIMED_OUT,   /**< no whole answer before the deadline, or no connection in its time */
    DK_HTTP_UNREACHABLE, /**< no connection, TLS failure, connection lost */
    DK_HTTP_TOO_LARGE,   /**< the answer went over max_body */
    DK_HTTP_CANCELLED,   /**< the client was destroyed first */
};

struct dk_http_result {
    enum dk_http_kind kind;
    long status;
    struct dk_bytes body; /**< valid during the callback; empty unless ANSWERED */
    const char *text;     /**< for people, not escaped; valid during the callback */
};

/**
 * Runs inside dk_http_poll (or dk_http_destroy), exactly once for each accepted request. It may
 * call dk_http_post; the request that ends counts as under way until it returns.
 */
typedef void dk_http_done(void *user, const struct dk_http_result *result);

/** Copies what it needs. DK_ERR_CONFIG names what is wrong with the URL or a PEM text. */
DK_WARN_UNUSED enum dk_error dk_http_new(const struct dk_http_options *options,
                                         struct dk_http **out, struct dk_error_text *why);
/** Ends every request with DK_HTTP_CANCELLED. NULL is allowed. */
void dk_http_destroy(struct dk_http *http);

/** The servers are numbered from 0 in the order of `urls`. */
size_t dk_http_server_count(const struct dk_http *http);
const char *dk_http_server_url(const struct dk_http *http, size_t server);

/** How many further requests dk_http_post would take now. */
size_t dk_http_room(const struct dk_http *http);

/**
 * `path` is appended to the URL of `server` as it is. `body` (JSON) must live until `done`.
 * `deadline_ms`: dk_clock_ms(). DK_ERR_TOO_LARGE without room; on any error `done` is not called.
 */
DK_WARN_UNUSED enum dk_error dk_http_post(struct dk_http *http, size_t server, const char *path,
                                          struct dk_bytes body, int64_t deadline_ms,
                                          dk_http_done *done, void *user);

/**
 * Moves what can be moved, then waits up to `timeout_ms` until more can be moved or dk_http_wake is
 * called; does not wait once a request has ended. To be called again and again.
 */
void dk_http_poll(struct dk_http *http, int timeout_ms);
/** Ends the wait of dk_http_poll, or the next one. */
void dk_http_wake(struct dk_http *http);

#define DK_TOKEN_MAX 16384u

/**
 * The token that a text is, without the white space around it; maybe empty. It lies in `text`.
 * DK_ERR_MALFORMED for anything but visible ASCII, which could end the header and begin another;
 * DK_ERR_TOO_LARGE beyond DK_TOKEN_MAX bytes. Any thread.
 */
DK_WARN_UNUSED enum dk_error dk_http_token_of(struct dk_bytes text, struct dk_bytes *token);

/**
 * A bearer token for the requests from now on; empty for none. Copied; an error of dk_http_token_of
 * leaves the earlier token in place. Never logged.
 */
DK_WARN_UNUSED enum dk_error dk_http_set_token(struct dk_http *http, struct dk_bytes token);

/**
 * Other PEM texts for the requests from now on; what is under way ends as it began. Copied. On
 * DK_ERR_CONFIG (`why` says what is wrong) and DK_ERR_MEMORY the earlier ones stay.
 */
DK_WARN_UNUSED enum dk_error dk_http_set_pem(struct dk_http *http, const struct dk_http_pem *pem,
                                             struct dk_error_text *why);

#endif
