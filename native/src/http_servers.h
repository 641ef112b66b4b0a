/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file http_servers.h
 * The servers that a list of URLs names. Immutable once made.
 */
#ifndef DOORKEEPER_HTTP_SERVERS_H
#define DOORKEEPER_HTTP_SERVERS_H

#include "doorkeeper/http.h"

#define DK_HTTP_URL_MAX 4096u

struct dk_http_server {
    const char *url; /**< for people */
    const char *base_url;
    const char *socket_path; /**< NULL: TCP */
};

struct dk_http_servers {
    struct dk_http_server at[DK_HTTP_SERVERS_MAX];
    size_t count;
    char *urls; /**< owned; what the servers point into */
};

/** `urls`: as dk_http_options has them. DK_ERR_CONFIG says what is wrong. Clean up in any case. */
DK_WARN_UNUSED enum dk_error dk_http_servers_init(struct dk_http_servers *servers, const char *urls,
                                                  struct dk_error_text *why);
void dk_http_servers_clean_up(struct dk_http_servers *servers);

#endif
