/* SPDX-License-Identifier: Apache-2.0 */
/** @file server_tls.h The TLS side of http_server.h. */
#ifndef DOORKEEPER_TEST_SERVER_TLS_H
#define DOORKEEPER_TEST_SERVER_TLS_H

#include "support/http_server.h"

#include <openssl/ssl.h>

/** NULL on failure. */
SSL_CTX *server_tls_new(const struct http_tls *tls);
/** The handshake, on the connection's thread; NULL if it fails. */
SSL *server_tls_accept(SSL_CTX *context, int fd);

#endif
