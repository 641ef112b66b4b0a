/* SPDX-License-Identifier: Apache-2.0 */
#include "support/http_server.h"

#include "support/server_tls.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CONNECTIONS_MAX 256u
#define HEAD_MAX 16384u
#define BODY_MAX ((size_t)32 * 1024 * 1024)

struct connection {
    struct http_server *server;
    pthread_t thread;
    int fd;
    SSL *ssl; /* NULL: plain */
};

struct http_server {
    http_handler *handler;
    void *user;
    int listener;
    char url[160];
    char socket_path[108];
    SSL_CTX *tls; /* NULL: plain */
    pthread_t acceptor;
    pthread_mutex_t lock;
    pthread_cond_t on_stop;
    bool stopped;
    unsigned count;
    struct connection connections[CONNECTIONS_MAX];
};

static ssize_t send_some(struct connection *connection, const void *data, size_t len) {
    return connection->ssl != NULL ? SSL_write(connection->ssl, data, (int)len)
                                   : send(connection->fd, data, len, MSG_NOSIGNAL);
}

static ssize_t receive_some(struct connection *connection, void *data, size_t len) {
    return connection->ssl != NULL ? SSL_read(connection->ssl, data, (int)len)
                                   : recv(connection->fd, data, len, 0);
}

static bool send_all(struct connection *connection, const void *data, size_t len) {
    const char *ptr = data;
    while (len > 0) {
        ssize_t sent = send_some(connection, ptr, len);
        if (sent <= 0) {
            return false;
        }
        ptr += sent;
        len -= (size_t)sent;
    }
    return true;
}

static bool receive_exactly(struct connection *connection, void *data, size_t len) {
    char *ptr = data;
    while (len > 0) {
        ssize_t got = receive_some(connection, ptr, len);
        if (got <= 0) {
            return false;
        }
        ptr += got;
        len -= (size_t)got;
    }
    return true;
}

/* Byte by byte: nothing of the body is taken along, and tests are not in a hurry. */
static bool receive_head(struct connection *connection, char head[HEAD_MAX]) {
    size_t len = 0;
    while (len < HEAD_MAX - 1) {
        if (receive_some(connection, head + len, 1) != 1) {
            return false;
        }
        len++;
        head[len] = '\0';
        if (len >= 4 && strcmp(head + len - 4, "\r\n\r\n") == 0) {
            return true;
        }
    }
    return false;
}

static size_t content_length(const char *head) {
    const char *line = strcasestr(head, "\r\nContent-Length:");
    return line == NULL ? 0 : strtoul(line + strlen("\r\nContent-Length:"), NULL, 10);
}

static void wait_for_stop(struct http_server *server) {
    pthread_mutex_lock(&server->lock);
    while (!server->stopped) {
        pthread_cond_wait(&server->on_stop, &server->lock);
    }
    pthread_mutex_unlock(&server->lock);
}

static bool send_endless(struct connection *connection) {
    static const char head[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    char chunk[0x1000 + 8] = "1000\r\n";
    memset(chunk + 6, ' ', 0x1000);
    memcpy(chunk + 6 + 0x1000, "\r\n", 2);
    bool ok = send_all(connection, head, strlen(head));
    while (ok) {
        ok = send_all(connection, chunk, sizeof(chunk));
    }
    return false;
}

static bool send_huge(struct connection *connection) {
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n";
    static const char piece[4096] = " ";
    bool ok = send_all(connection, head, strlen(head));
    for (size_t sent = 0; ok && sent < 100000000; sent += sizeof(piece)) {
        ok = send_all(connection, piece, sizeof(piece));
    }
    return false;
}

static bool is_stopped(struct http_server *server) {
    pthread_mutex_lock(&server->lock);
    bool stopped = server->stopped;
    pthread_mutex_unlock(&server->lock);
    return stopped;
}

static bool drip(struct connection *connection) {
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n";
    bool ok = send_all(connection, head, strlen(head));
    while (ok && !is_stopped(connection->server)) {
        ok = send_all(connection, " ", 1);
        (void)poll(NULL, 0, 5);
    }
    return false;
}

/* False ends the connection. */
static bool send_reply(struct connection *connection, const struct http_reply *reply) {
    char head[512];
    struct dk_bytes body = dk_writer_view(&reply->body);
    bool cut = reply->manner == HTTP_SHORT_BODY || reply->manner == HTTP_RESET;
    if (reply->manner == HTTP_HANG) {
        wait_for_stop(connection->server);
        return false;
    }
    if (reply->manner == HTTP_CLOSE) {
        return false;
    }
    if (reply->manner == HTTP_ENDLESS_BODY) {
        return send_endless(connection);
    }
    if (reply->manner == HTTP_HUGE_BODY) {
        return send_huge(connection);
    }
    if (reply->manner == HTTP_DRIP) {
        return drip(connection);
    }
    snprintf(head, sizeof(head), "HTTP/1.1 %d Reason\r\nContent-Length: %zu\r\n%s\r\n",
             reply->status, body.len + (cut ? 100 : 0),
             reply->headers != NULL ? reply->headers : "");
    bool ok = send_all(connection, head, strlen(head)) && send_all(connection, body.ptr, body.len);
    if (reply->manner == HTTP_RESET) {
        const struct linger linger = {.l_onoff = 1, .l_linger = 0};
        (void)setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    }
    return ok && !cut;
}

static bool serve_one(struct connection *connection) {
    char head[HEAD_MAX];
    struct http_server *server = connection->server;
    if (!receive_head(connection, head)) {
        return false;
    }
    size_t len = content_length(head);
    if (len > BODY_MAX) {
        return false;
    }
    uint8_t *body = malloc(len + 1);
    if (body == NULL || !receive_exactly(connection, body, len)) {
        free(body);
        return false;
    }
    body[len] = '\0';
    struct http_request request = {.head = head, .body = {body, len}};
    struct http_reply reply = {.status = 200};
    dk_writer_init(&reply.body, BODY_MAX);
    server->handler(server->user, &request, &reply);
    bool keep = send_reply(connection, &reply);
    dk_writer_clean_up(&reply.body);
    free(body);
    return keep;
}

static void close_connection(struct connection *connection) {
    pthread_mutex_lock(&connection->server->lock);
    close(connection->fd);
    connection->fd = -1;
    pthread_mutex_unlock(&connection->server->lock);
}

static void *serve(void *user) {
    struct connection *connection = user;
    bool ok = true;
    if (connection->server->tls != NULL) {
        connection->ssl = server_tls_accept(connection->server->tls, connection->fd);
        ok = connection->ssl != NULL;
    }
    while (ok) {
        ok = serve_one(connection);
    }
    SSL_free(connection->ssl);
    close_connection(connection);
    return NULL;
}

static bool add_connection(struct http_server *server, int fd) {
    pthread_mutex_lock(&server->lock);
    bool ok = !server->stopped && server->count < CONNECTIONS_MAX;
    if (ok) {
        struct connection *connection = &server->connections[server->count];
        connection->server = server;
        connection->fd = fd;
        ok = pthread_create(&connection->thread, NULL, serve, connection) == 0;
        server->count += ok ? 1 : 0;
    }
    pthread_mutex_unlock(&server->lock);
    return ok;
}

static void *accept_all(void *user) {
    struct http_server *server = user;
    for (int fd = accept(server->listener, NULL, NULL); fd >= 0;
         fd = accept(server->listener, NULL, NULL)) {
        const int on = 1; /* fails on a Unix socket, where there is nothing to delay */
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        if (!add_connection(server, fd)) {
            close(fd);
        }
    }
    return NULL;
}

static bool listen_tcp(struct http_server *server) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (server->listener < 0 ||
        bind(server->listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        getsockname(server->listener, (struct sockaddr *)&address, &len) != 0) {
        return false;
    }
    snprintf(server->url, sizeof(server->url), "%s://127.0.0.1:%u",
             server->tls != NULL ? "https" : "http", ntohs(address.sin_port));
    return listen(server->listener, 128) == 0;
}

static bool listen_unix(struct http_server *server, const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path)) {
        return false;
    }
    strcpy(address.sun_path, path);
    strcpy(server->socket_path, path);
    server->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(server->url, sizeof(server->url), "unix:%s", path);
    return server->listener >= 0 &&
           bind(server->listener, (struct sockaddr *)&address, sizeof(address)) == 0 &&
           listen(server->listener, 128) == 0;
}

static struct http_server *start(const char *socket_path, SSL_CTX *tls, http_handler *handler,
                                 void *user) {
    struct http_server *server = calloc(1, sizeof(*server));
    if (server == NULL) {
        return NULL;
    }
    server->tls = tls;
    server->handler = handler;
    server->user = user;
    pthread_mutex_init(&server->lock, NULL);
    pthread_cond_init(&server->on_stop, NULL);
    bool listens = socket_path == NULL ? listen_tcp(server) : listen_unix(server, socket_path);
    if (!listens || pthread_create(&server->acceptor, NULL, accept_all, server) != 0) {
        free(server);
        return NULL;
    }
    return server;
}

struct http_server *http_server_start(const char *socket_path, http_handler *handler, void *user) {
    return start(socket_path, NULL, handler, user);
}

struct http_server *http_server_start_tls(const struct http_tls *tls, http_handler *handler,
                                          void *user) {
    (void)signal(SIGPIPE, SIG_IGN); /* OpenSSL writes to sockets that a client has closed */
    SSL_CTX *context = server_tls_new(tls);
    struct http_server *server = context == NULL ? NULL : start(NULL, context, handler, user);
    if (server == NULL) {
        SSL_CTX_free(context);
    }
    return server;
}

void http_server_kill(struct http_server *server) {
    pthread_mutex_lock(&server->lock);
    server->stopped = true;
    pthread_cond_broadcast(&server->on_stop);
    shutdown(server->listener, SHUT_RDWR);
    for (unsigned i = 0; i < server->count; i++) {
        if (server->connections[i].fd >= 0) {
            shutdown(server->connections[i].fd, SHUT_RDWR);
        }
    }
    pthread_mutex_unlock(&server->lock);
}

void http_server_stop(struct http_server *server) {
    http_server_kill(server);
    pthread_join(server->acceptor, NULL);
    for (unsigned i = 0; i < server->count; i++) {
        pthread_join(server->connections[i].thread, NULL);
    }
    close(server->listener);
    if (server->socket_path[0] != '\0') {
        unlink(server->socket_path);
    }
    SSL_CTX_free(server->tls);
    pthread_cond_destroy(&server->on_stop);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

const char *http_server_url(const struct http_server *server) {
    return server->url;
}

unsigned http_server_connections(struct http_server *server) {
    pthread_mutex_lock(&server->lock);
    unsigned count = server->count;
    pthread_mutex_unlock(&server->lock);
    return count;
}
