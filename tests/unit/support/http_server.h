/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file http_server.h
 * A small HTTP/1.1 server on a free loopback port (or a Unix socket) that also misbehaves on
 * request. A thread for each connection; everything ends in http_server_stop.
 */
#ifndef DOORKEEPER_TEST_HTTP_SERVER_H
#define DOORKEEPER_TEST_HTTP_SERVER_H

#include "doorkeeper/bytes.h"

struct http_server;

struct http_request {
    const char *head; /**< request line and headers, NUL-terminated */
    struct dk_bytes body;
};

enum http_manner {
    HTTP_PROPER = 0,
    HTTP_HANG,         /**< reads the request and says nothing until the server stops */
    HTTP_CLOSE,        /**< closes the connection without an answer */
    HTTP_SHORT_BODY,   /**< announces more bytes than it sends, then closes */
    HTTP_RESET,        /**< the same, but with a TCP reset */
    HTTP_ENDLESS_BODY, /**< chunks without end */
    HTTP_HUGE_BODY,    /**< announces 100 MB and begins to send them */
    HTTP_DRIP,         /**< a byte now and then, until the server stops */
};

struct http_reply {
    int status;
    const char *headers; /**< further header lines, each with its CRLF; may be NULL */
    struct dk_writer body;
    enum http_manner manner;
};

/** Runs on the connection's thread and may block; `reply` is a 200 with an empty body at first. */
typedef void http_handler(void *user, const struct http_request *request, struct http_reply *reply);

/** `socket_path` NULL: 127.0.0.1 on a free port. NULL on failure. */
struct http_server *http_server_start(const char *socket_path, http_handler *handler, void *user);

/** What a server with TLS shows, as PEM. */
struct http_tls {
    struct dk_bytes certificate, key;
    struct dk_bytes client_ca; /**< empty: clients need no certificate */
    int max_version;           /**< TLS1_2_VERSION, ...; 0: the newest there is */
};
/** https on 127.0.0.1. From then on the process ignores SIGPIPE. */
struct http_server *http_server_start_tls(const struct http_tls *tls, http_handler *handler,
                                          void *user);
/** Ends every connection and listens no more, as a process that is killed does. */
void http_server_kill(struct http_server *server);
/** A handler that still blocks must have been let go before. */
void http_server_stop(struct http_server *server);
/** "http://127.0.0.1:<port>" or "unix:<path>". */
const char *http_server_url(const struct http_server *server);
/** Connections accepted so far. */
unsigned http_server_connections(struct http_server *server);

#endif
