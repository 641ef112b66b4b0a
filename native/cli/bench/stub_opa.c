/* SPDX-License-Identifier: Apache-2.0 */
#include "stub_opa.h"

#include "doorkeeper/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 128u
#define MESSAGE_MAX ((size_t)64 * 1024 * 1024)
#define READ_MIN ((size_t)16 * 1024)
#define NEVER_NS INT64_MAX

/* A connection reads a request, waits until its answer is due, and writes it. */
struct connection {
    int fd;
    struct dk_writer in, out; /* `in` is followed by a NUL */
    size_t sent;              /* of `out` */
    bool answering;           /* `out` waits to be sent */
    int64_t due_ns;           /* no byte of it before */
};

struct dk_stub_opa {
    struct dk_stub_opa_options options;
    int listener, stop_event;
    pthread_t thread;
    char url[64];
    size_t count;
    struct connection connections[CONNECTIONS_MAX]; /* the first `count` are open */
};

/* ---- one connection ----------------------------------------------------------------------- */

static void open_connection(struct dk_stub_opa *stub, int fd) {
    const int on = 1;
    struct connection *connection = &stub->connections[stub->count++];
    memset(connection, 0, sizeof(*connection));
    connection->fd = fd;
    dk_writer_init(&connection->in, MESSAGE_MAX);
    dk_writer_init(&connection->out, MESSAGE_MAX);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

/* The last connection takes the place of this one. */
static void close_connection(struct dk_stub_opa *stub, size_t index) {
    struct connection *connection = &stub->connections[index];
    close(connection->fd);
    dk_writer_clean_up(&connection->in);
    dk_writer_clean_up(&connection->out);
    stub->count--;
    *connection = stub->connections[stub->count];
}

/* The length of the request at the front of `in`, 0 if it is not whole yet. */
static size_t request_len(const struct connection *connection, struct dk_bytes *body) {
    const char *head = (const char *)connection->in.ptr;
    const char *end = head == NULL ? NULL : strstr(head, "\r\n\r\n");
    if (end == NULL) {
        return 0;
    }
    size_t head_len = (size_t)(end - head) + 4;
    const char *field = strcasestr(head, "\r\nContent-Length:");
    size_t body_len = field == NULL || field > end ? 0 : strtoul(field + 17, NULL, 10);
    if (body_len > connection->in.len - head_len) {
        return 0;
    }
    *body = (struct dk_bytes){connection->in.ptr + head_len, body_len};
    return head_len + body_len;
}

static void write_answer(const struct dk_stub_opa *stub, struct dk_bytes body,
                         struct connection *connection) {
    char head[128];
    struct dk_writer answer;
    bool poll = false;
    dk_writer_init(&answer, MESSAGE_MAX);
    bool ok = dk_stub_opa_answer(body, stub->options.allow_share, &answer, &poll);
    if (!ok) {
        dk_writer_reset(&answer);
    }
    (void)snprintf(head, sizeof(head),
                   "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                   ok ? "200 OK" : "400 Bad Request", answer.len);
    dk_writer_reset(&connection->out);
    dk_writer_text(&connection->out, head);
    dk_writer_bytes(&connection->out, dk_writer_view(&answer));
    dk_writer_clean_up(&answer);
    connection->sent = 0;
    connection->answering = true;
    connection->due_ns = dk_clock_ns() + (poll ? 0 : stub->options.latency_ns);
}

/* Takes the next whole request, if there is one, off the front. */
static void take_request(const struct dk_stub_opa *stub, struct connection *connection) {
    struct dk_bytes body;
    size_t len = request_len(connection, &body);
    if (len > 0) {
        write_answer(stub, body, connection);
        connection->in.len -= len;
        memmove(connection->in.ptr, connection->in.ptr + len, connection->in.len + 1);
    }
}

/* False ends the connection, as in the next. */
static bool read_some(const struct dk_stub_opa *stub, struct connection *connection) {
    struct dk_writer *in = &connection->in;
    dk_writer_reserve(in, READ_MIN + 1);
    if (in->failed) {
        return false;
    }
    ssize_t got = recv(connection->fd, in->ptr + in->len, READ_MIN, MSG_DONTWAIT);
    if (got <= 0) {
        return got < 0 && (errno == EAGAIN || errno == EINTR);
    }
    in->len += (size_t)got;
    in->ptr[in->len] = '\0';
    take_request(stub, connection);
    return true;
}

static bool write_some(const struct dk_stub_opa *stub, struct connection *connection) {
    const struct dk_writer *out = &connection->out;
    ssize_t sent = send(connection->fd, out->ptr + connection->sent, out->len - connection->sent,
                        MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0) {
        return errno == EAGAIN || errno == EINTR;
    }
    connection->sent += (size_t)sent;
    if (connection->sent == out->len) {
        connection->answering = false;
        take_request(stub, connection);
    }
    return !out->failed;
}

/* ---- all of them -------------------------------------------------------------------------- */

static void accept_one(struct dk_stub_opa *stub) {
    int fd = accept4(stub->listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0 && stub->count == CONNECTIONS_MAX) {
        close(fd);
    } else if (fd >= 0) {
        open_connection(stub, fd);
    }
}

/* What to wait for; returns when the next answer is due. */
static int64_t fill_waits(const struct dk_stub_opa *stub, int64_t now_ns, struct pollfd *waits) {
    int64_t next_ns = NEVER_NS;
    waits[0] = (struct pollfd){.fd = stub->stop_event, .events = POLLIN};
    waits[1] = (struct pollfd){.fd = stub->listener, .events = POLLIN};
    for (size_t i = 0; i < stub->count; i++) {
        const struct connection *connection = &stub->connections[i];
        bool waiting = connection->answering && connection->due_ns > now_ns;
        short events = connection->answering ? POLLOUT : POLLIN;
        waits[2 + i] = (struct pollfd){.fd = connection->fd, .events = waiting ? 0 : events};
        if (waiting && connection->due_ns < next_ns) {
            next_ns = connection->due_ns;
        }
    }
    return next_ns;
}

/* Backwards, because one that is closed gives its place to the last. */
static void serve_ready(struct dk_stub_opa *stub, const struct pollfd *waits) {
    for (size_t i = stub->count; i-- > 0;) {
        struct connection *connection = &stub->connections[i];
        short ready = waits[2 + i].revents;
        bool ok = true;
        if ((ready & POLLIN) != 0) {
            ok = read_some(stub, connection);
        } else if ((ready & POLLOUT) != 0) {
            ok = write_some(stub, connection);
        } else if ((ready & (POLLERR | POLLHUP | POLLNVAL)) != 0) {
            ok = false;
        }
        if (!ok) {
            close_connection(stub, i);
        }
    }
}

static void *serve(void *user) {
    struct dk_stub_opa *stub = user;
    struct pollfd waits[2 + CONNECTIONS_MAX];
    for (;;) {
        int64_t now_ns = dk_clock_ns();
        int64_t next_ns = fill_waits(stub, now_ns, waits);
        int64_t wait_ns = next_ns - now_ns;
        const struct timespec timeout = {.tv_sec = wait_ns / 1000000000,
                                         .tv_nsec = wait_ns % 1000000000};
        int ready = ppoll(waits, 2 + stub->count, next_ns == NEVER_NS ? NULL : &timeout, NULL);
        if (ready <= 0) {
            continue;
        }
        if (waits[0].revents != 0) {
            return NULL;
        }
        serve_ready(stub, waits);
        if (waits[1].revents != 0) {
            accept_one(stub);
        }
    }
}

/* ---- beginning and end -------------------------------------------------------------------- */

static bool listen_somewhere(struct dk_stub_opa *stub) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    stub->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    stub->stop_event = eventfd(0, EFD_CLOEXEC);
    if (stub->listener < 0 || stub->stop_event < 0 ||
        bind(stub->listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        getsockname(stub->listener, (struct sockaddr *)&address, &len) != 0 ||
        listen(stub->listener, CONNECTIONS_MAX) != 0) {
        return false;
    }
    (void)snprintf(stub->url, sizeof(stub->url), "http://127.0.0.1:%u",
                   (unsigned)ntohs(address.sin_port));
    return true;
}

static void free_stub(struct dk_stub_opa *stub) {
    while (stub->count > 0) {
        close_connection(stub, stub->count - 1);
    }
    if (stub->listener >= 0) {
        close(stub->listener);
    }
    if (stub->stop_event >= 0) {
        close(stub->stop_event);
    }
    free(stub);
}

enum dk_error dk_stub_opa_start(const struct dk_stub_opa_options *options, struct dk_stub_opa **out,
                                struct dk_error_text *why) {
    *out = NULL;
    struct dk_stub_opa *stub = calloc(1, sizeof(*stub));
    if (stub == NULL) {
        return dk_fail(why, DK_ERR_MEMORY, "%s", dk_strerror(DK_ERR_MEMORY));
    }
    stub->options = *options;
    stub->listener = -1;
    stub->stop_event = -1;
    if (!listen_somewhere(stub)) {
        enum dk_error error =
            dk_fail(why, DK_ERR_SYSTEM, "the stub cannot listen on 127.0.0.1: %s", strerror(errno));
        free_stub(stub);
        return error;
    }
    if (pthread_create(&stub->thread, NULL, serve, stub) != 0) {
        free_stub(stub);
        return dk_fail(why, DK_ERR_SYSTEM, "no thread can be started for the stub");
    }
    *out = stub;
    return DK_OK;
}

void dk_stub_opa_stop(struct dk_stub_opa *stub) {
    if (stub == NULL) {
        return;
    }
    const uint64_t one = 1;
    ssize_t written = write(stub->stop_event, &one, sizeof(one)); /* cannot block: it was 0 */
    (void)written;
    pthread_join(stub->thread, NULL);
    free_stub(stub);
}

const char *dk_stub_opa_url(const struct dk_stub_opa *stub) {
    return stub->url;
}

int64_t dk_stub_opa_cpu_ns(const struct dk_stub_opa *stub) {
    clockid_t clock;
    struct timespec used;
    if (stub == NULL || pthread_getcpuclockid(stub->thread, &clock) != 0 ||
        clock_gettime(clock, &used) != 0) {
        return 0;
    }
    return (int64_t)used.tv_sec * 1000000000 + used.tv_nsec;
}
