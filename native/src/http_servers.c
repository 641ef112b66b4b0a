/* SPDX-License-Identifier: Apache-2.0 */
#include "http_servers.h"

#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#define UNIX_PREFIX "unix:"

static bool starts_with(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static enum dk_error check_url(const char *url, struct dk_error_text *why) {
    struct sockaddr_un address;
    const size_t path_max = sizeof(address.sun_path);
    if (strlen(url) > DK_HTTP_URL_MAX) {
        return dk_fail(why, DK_ERR_CONFIG, "the URL is longer than %u bytes", DK_HTTP_URL_MAX);
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
static enum dk_error init_server(struct dk_http_server *server, char *url,
                                 struct dk_error_text *why) {
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

enum dk_error dk_http_servers_init(struct dk_http_servers *servers, const char *urls,
                                   struct dk_error_text *why) {
    *servers = (struct dk_http_servers){.urls = strdup(urls)};
    if (servers->urls == NULL) {
        return dk_fail(why, DK_ERR_MEMORY, "no memory for the HTTP client");
    }
    enum dk_error error = DK_OK;
    char *rest = servers->urls;
    char *url = strsep(&rest, ",");
    for (; url != NULL && error == DK_OK; url = strsep(&rest, ",")) {
        if (servers->count == DK_HTTP_SERVERS_MAX) {
            return dk_fail(why, DK_ERR_CONFIG, "more than %u URLs", DK_HTTP_SERVERS_MAX);
        }
        error = init_server(&servers->at[servers->count++], url, why);
    }
    return error;
}

void dk_http_servers_clean_up(struct dk_http_servers *servers) {
    free(servers->urls);
}
