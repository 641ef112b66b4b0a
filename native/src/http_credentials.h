/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file http_credentials.h
 * What this side shows to a server, and whom it believes: bearer token, client certificate, CAs.
 *
 * Any thread may replace them; `lock` guards them. Each replacement has a number, so that a handle
 * which carries earlier ones is known, and brought up to date before it is used again.
 */
#ifndef DOORKEEPER_HTTP_CREDENTIALS_H
#define DOORKEEPER_HTTP_CREDENTIALS_H

#include "doorkeeper/http.h"

#include <curl/curl.h>
#include <pthread.h>

/** As dk_http_pem, owned. */
struct dk_http_pem_copy {
    struct dk_writer ca, certificate, key;
};

struct dk_http_credentials {
    pthread_mutex_t lock;
    char *token; /**< NULL: none */
    struct dk_http_pem_copy pem;
    uint64_t token_version, pem_version;
};

/** What an easy handle carries. Zeroed: nothing yet. */
struct dk_http_carried {
    struct curl_slist *headers;
    uint64_t token_version, pem_version;
};

/** Without token and PEM texts. */
DK_WARN_UNUSED enum dk_error dk_http_credentials_init(struct dk_http_credentials *credentials);
/** Wipes what is secret. */
void dk_http_credentials_clean_up(struct dk_http_credentials *credentials);

/** See dk_http_set_token and dk_http_set_pem. */
DK_WARN_UNUSED enum dk_error dk_http_credentials_set_token(struct dk_http_credentials *credentials,
                                                           struct dk_bytes text);
DK_WARN_UNUSED enum dk_error dk_http_credentials_set_pem(struct dk_http_credentials *credentials,
                                                         const struct dk_http_pem *pem,
                                                         struct dk_error_text *why);

/** Gives `easy` all headers and PEM texts as they are now. False without memory. */
DK_WARN_UNUSED bool dk_http_credentials_apply(struct dk_http_credentials *credentials, CURL *easy,
                                              struct dk_http_carried *carried);
/** After `easy` is gone. */
void dk_http_carried_clean_up(struct dk_http_carried *carried);

#endif
