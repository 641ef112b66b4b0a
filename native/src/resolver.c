/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making and ending a resolver, and the threads that wait. What must hold:
 *
 *  1. One mutex guards everything that request threads and the I/O thread share (resolver_flights.c
 *     has its invariants). It is never held over I/O. What request threads see of the
 *     breakers is a lone atomic word.
 *  2. A call never waits longer than its deadline: it waits on a condition of its own, for a time
 *     that is fixed before it begins to wait, whatever the I/O thread does.
 *  3. At most `waiting_threads` threads wait for their full deadline, of one principal half of
 *     them; further ones SHORT_WAIT_MS.
 *     While the breaker is open nobody waits at all.
 *  4. Misses begin as DK_UNAVAILABLE; only the answer to their own flight changes that.
 *  5. A flight lives on without its waiters: an answer that comes late fills the cache, under the
 *     epoch that its key was made with.
 *  6. Flights that arrive while the I/O thread sleeps wake it: `wake_pending` is set under the
 * mutex by who writes the wake-up and cleared under it before the queue is read.
 *  7. A call that comes before the first poll was answered is asked like any other; only a failure
 *     (of a request or a poll) opens the breaker.
 */
#include "resolver_internal.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <utlist.h>

/* ---- making one -------------------------------------------------------------------------- */

_Static_assert(DK_OPA_URLS_MAX == DK_HTTP_SERVERS_MAX, "every URL is a server");

static enum dk_error make_http(struct dk_resolver *resolver, const struct dk_http_pem *pem,
                               struct dk_error_text *why) {
    const struct dk_config *config = resolver->config;
    const struct dk_http_options options = {
        .urls = config->opa_url,
        .pem = *pem,
        .connect_timeout_ms = config->opa_connect_timeout_ms,
        /* the poll of each endpoint, and one that follows it while it still ends */
        .connections = (size_t)config->opa_connections + 2 * DK_HTTP_SERVERS_MAX,
        .max_body = ANSWER_MAX,
    };
    return dk_http_new(&options, &resolver->http, why);
}

/* "/v1/data/kafka/authz/batch?provenance=true"; NULL without memory. */
static char *new_path(const char *rule, const char *query) {
    static const char format[] = "/v1/data/%s%s";
    size_t size = sizeof(format) + strlen(rule) + strlen(query);
    char *path = malloc(size);
    if (path != NULL) {
        snprintf(path, size, format, rule, query);
    }
    return path;
}

static enum dk_error make_paths(struct dk_resolver *resolver) {
    const struct dk_config *config = resolver->config;
    resolver->batches = config->opa_batch_path[0] != '\0';
    const char *rule = resolver->batches ? config->opa_batch_path : config->opa_path;
    resolver->path = new_path(rule, "?provenance=true");
    if (config->opa_revision_path[0] != '\0') {
        resolver->document_path = new_path(config->opa_revision_path, "");
        if (resolver->document_path == NULL) {
            return DK_ERR_MEMORY;
        }
    }
    return resolver->path != NULL ? DK_OK : DK_ERR_MEMORY;
}

static enum dk_error make_requests(struct dk_resolver *resolver) {
    size_t count = (size_t)resolver->config->opa_connections;
    resolver->batch_max = resolver->batches ? (size_t)resolver->config->opa_batch_max : 1;
    resolver->requests = calloc(count, sizeof(*resolver->requests));
    resolver->questions = calloc(count * resolver->batch_max, sizeof(*resolver->questions));
    resolver->groups = calloc(count, sizeof(*resolver->groups));
    if (resolver->requests == NULL || resolver->questions == NULL || resolver->groups == NULL) {
        return DK_ERR_MEMORY;
    }
    resolver->request_count = count;
    for (size_t i = 0; i < count; i++) {
        struct request *request = &resolver->requests[i];
        request->resolver = resolver;
        request->questions = resolver->questions + i * resolver->batch_max;
        dk_writer_init(&request->body, BODY_MAX);
    }
    return DK_OK;
}

static enum dk_error make_parts(struct dk_resolver *resolver, const struct dk_http_pem *pem,
                                struct dk_error_text *why) {
    enum dk_error error = make_paths(resolver);
    if (error == DK_OK) {
        error = make_requests(resolver);
    }
    if (error == DK_OK) {
        error = dk_flights_init(&resolver->flights, resolver->cache,
                                (size_t)resolver->config->queue_entries);
    }
    if (error != DK_OK) {
        return dk_fail(why, error, "the resolver: %s", dk_strerror(error));
    }
    error = make_http(resolver, pem, why);
    if (error == DK_OK) {
        dk_endpoints_init(resolver);
    }
    return error;
}

static enum dk_error init_locks(struct dk_resolver *resolver) {
    if (pthread_condattr_init(&resolver->monotonic) != 0) {
        return DK_ERR_SYSTEM;
    }
    if (pthread_condattr_setclock(&resolver->monotonic, CLOCK_MONOTONIC) != 0 ||
        pthread_mutex_init(&resolver->lock, NULL) != 0) {
        pthread_condattr_destroy(&resolver->monotonic);
        return DK_ERR_SYSTEM;
    }
    if (pthread_cond_init(&resolver->on_ready, &resolver->monotonic) != 0) {
        pthread_mutex_destroy(&resolver->lock);
        pthread_condattr_destroy(&resolver->monotonic);
        return DK_ERR_SYSTEM;
    }
    return DK_OK;
}

enum dk_error dk_resolver_new(const struct dk_resolver_parts *parts, struct dk_resolver **out,
                              struct dk_error_text *why) {
    *out = NULL;
    struct dk_resolver *resolver = calloc(1, sizeof(*resolver));
    if (resolver == NULL) {
        return dk_fail(why, DK_ERR_MEMORY, "no memory for the resolver");
    }
    resolver->config = parts->config;
    resolver->cache = parts->cache;
    resolver->metrics = parts->metrics;
    resolver->log = parts->log;
    resolver->decided = parts->decided;
    resolver->last_bump_ms = dk_clock_ms() - BUMP_INTERVAL_MS;
    enum dk_error error = init_locks(resolver);
    if (error != DK_OK) {
        free(resolver);
        return dk_fail(why, error, "no memory for the resolver");
    }
    error = make_parts(resolver, &parts->pem, why);
    if (error != DK_OK) {
        dk_resolver_destroy(resolver);
        return error;
    }
    *out = resolver;
    return DK_OK;
}

/* ---- ending one -------------------------------------------------------------------------- */

static void clean_up_requests(struct dk_resolver *resolver) {
    for (size_t i = 0; i < resolver->request_count; i++) {
        dk_writer_clean_up(&resolver->requests[i].body);
    }
    free(resolver->groups);
    free(resolver->questions);
    free(resolver->requests);
}

void dk_resolver_destroy(struct dk_resolver *resolver) {
    if (resolver == NULL) {
        return;
    }
    dk_http_destroy(resolver->http); /* ends what is under way */
    dk_requests_give_up(resolver);
    pthread_mutex_lock(&resolver->lock);
    dk_split_end_parts(resolver, NULL, DK_UNAVAILABLE);
    dk_flights_fail_queued(&resolver->flights);
    pthread_mutex_unlock(&resolver->lock);
    dk_flights_clean_up(&resolver->flights);
    clean_up_requests(resolver);
    dk_endpoints_clean_up(resolver);
    pthread_cond_destroy(&resolver->on_ready);
    pthread_mutex_destroy(&resolver->lock);
    pthread_condattr_destroy(&resolver->monotonic);
    free(resolver->cluster_id);
    free(resolver->document_path);
    free(resolver->path);
    free(resolver);
}

void dk_resolver_stop(struct dk_resolver *resolver) {
    struct waiter *waiter = NULL;
    pthread_mutex_lock(&resolver->lock);
    resolver->stopped = true;
    DL_FOREACH(resolver->waiters, waiter) {
        pthread_cond_signal(&waiter->changed);
    }
    pthread_cond_broadcast(&resolver->on_ready);
    pthread_mutex_unlock(&resolver->lock);
    dk_http_wake(resolver->http);
}

size_t dk_resolver_memory_bytes(const struct dk_resolver *resolver) {
    size_t request = sizeof(struct request) + sizeof(struct group) +
                     resolver->batch_max * sizeof(struct dk_opa_question) + BODY_MAX + ANSWER_MAX;
    return sizeof(*resolver) + dk_flights_memory_bytes(&resolver->flights) +
           resolver->request_count * request;
}

/* ---- waiting ----------------------------------------------------------------------------- */

static struct timespec timespec_of(int64_t ms) {
    return (struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
}

/* Opens or joins flights and wakes the I/O thread where need be.
 * @locks the mutex MUST be held; it is given up while the wake-up is written */
static struct opened open_flights(struct dk_resolver *resolver, struct call *call,
                                  struct waiter *waiter, struct dk_miss *misses, uint64_t epoch,
                                  int64_t deadline_ms, int64_t now_ms) {
    struct opened opened = dk_flights_open(&resolver->flights, call, waiter, misses, epoch,
                                           deadline_ms, now_ms + resolver->config->deadline_ms);
    if (opened.opened > 0 && !resolver->wake_pending) {
        resolver->wake_pending = true;
        pthread_mutex_unlock(&resolver->lock);
        dk_http_wake(resolver->http);
        pthread_mutex_lock(&resolver->lock);
    }
    dk_metrics_add(resolver->metrics, DK_METRIC_JOINED, opened.joined);
    return opened;
}

/* @locks the mutex MUST be held */
static void wait_for_answers(struct dk_resolver *resolver, struct waiter *waiter,
                             int64_t deadline_ms) {
    const struct timespec until = timespec_of(deadline_ms);
    DL_APPEND(resolver->waiters, waiter);
    while (waiter->pending > 0 && !resolver->stopped) {
        int result = pthread_cond_timedwait(&waiter->changed, &resolver->lock, &until);
        if (result != 0) {
            break; /* ETIMEDOUT; anything else must not become a busy loop */
        }
    }
    DL_DELETE(resolver->waiters, waiter);
}

static void say_queue_full(struct dk_resolver *resolver) {
    dk_say(
        resolver, TROUBLE_QUEUE, DK_LOG_WARN,
        "too many questions wait for OPA (doorkeeper.queue.entries=%lld, a quarter of it for one "
        "principal): further ones are refused",
        (long long)resolver->config->queue_entries);
}

static void say_waiting_full(struct dk_resolver *resolver) {
    dk_say(resolver, TROUBLE_WAITING, DK_LOG_WARN,
           "%lld threads wait for OPA (doorkeeper.waiting.threads), or half of them for one "
           "principal: further calls wait %d ms",
           (long long)resolver->config->waiting_threads, SHORT_WAIT_MS);
}

struct attempt {
    size_t refused;
    bool reached_deadline;
};

/* Whether this call may wait for its full deadline: nobody's slow questions take every thread.
 * @locks the mutex MUST be held */
static bool may_wait_fully(const struct dk_resolver *resolver, const struct call *call) {
    int64_t threads = resolver->config->waiting_threads;
    return resolver->waiting < threads && call->principal->waiting < (threads + 1) / 2;
}

static void count_waiting(struct dk_resolver *resolver, const struct call *call, int64_t change) {
    resolver->waiting += change;
    call->principal->waiting += change;
}

/* @locks the mutex MUST be held */
static struct attempt resolve_locked(struct dk_resolver *resolver, struct call *call,
                                     struct waiter *waiter, struct dk_miss *misses, uint64_t epoch,
                                     int64_t deadline_ms) {
    struct attempt attempt = {0, false};
    int64_t now_ms = dk_clock_ms();
    bool waits_fully = may_wait_fully(resolver, call);
    if (!waits_fully && deadline_ms > now_ms + SHORT_WAIT_MS) {
        deadline_ms = now_ms + SHORT_WAIT_MS;
    }
    count_waiting(resolver, call, waits_fully ? 1 : 0);
    struct opened opened = open_flights(resolver, call, waiter, misses, epoch, deadline_ms, now_ms);
    attempt.refused = opened.refused;
    wait_for_answers(resolver, waiter, deadline_ms);
    dk_flights_leave(call);
    count_waiting(resolver, call, waits_fully ? -1 : 0);
    if (waiter->pending > 0 && !resolver->stopped) {
        attempt.reached_deadline = waits_fully;
        attempt.refused += waits_fully ? 0 : waiter->pending;
    }
    if (opened.refused > 0) {
        say_queue_full(resolver);
    } else if (attempt.refused > 0) {
        say_waiting_full(resolver);
    }
    return attempt;
}

static void resolve_call(struct dk_resolver *resolver, struct call *call, struct waiter *waiter,
                         struct dk_miss *misses, uint64_t epoch, int64_t deadline_ms) {
    struct attempt attempt = {0, false};
    pthread_mutex_lock(&resolver->lock);
    if (!resolver->stopped) {
        if (dk_flights_admit(&resolver->flights, call)) {
            attempt = resolve_locked(resolver, call, waiter, misses, epoch, deadline_ms);
        } else {
            attempt.refused = call->count;
            say_queue_full(resolver);
        }
    }
    dk_call_release(&resolver->flights, call);
    pthread_mutex_unlock(&resolver->lock);
    dk_metrics_add(resolver->metrics, DK_METRIC_REFUSED, attempt.refused);
    dk_metrics_add(resolver->metrics, DK_METRIC_TIMEOUTS, attempt.reached_deadline ? 1 : 0);
}

void dk_resolver_resolve(struct dk_resolver *resolver, const struct dk_context *context,
                         struct dk_miss *misses, size_t count, uint64_t epoch,
                         int64_t deadline_ms) {
    for (size_t i = 0; i < count; i++) {
        misses[i].outcome = DK_UNAVAILABLE;
        misses[i].source = DK_SOURCE_NONE;
    }
    if (count == 0 || dk_resolver_breaker_state(resolver) != DK_BREAKER_CLOSED) {
        return;
    }
    struct call *call = dk_call_new(&resolver->flights.hash_key, context, misses, count);
    if (call == NULL) {
        dk_metrics_add(resolver->metrics, DK_METRIC_REFUSED, count);
        say_queue_full(resolver);
        return;
    }
    struct waiter waiter = {.pending = 0};
    if (pthread_cond_init(&waiter.changed, &resolver->monotonic) != 0) {
        free(call); /* not admitted yet */
        return;
    }
    resolve_call(resolver, call, &waiter, misses, epoch, deadline_ms);
    pthread_cond_destroy(&waiter.changed);
}

void dk_resolver_refresh(struct dk_resolver *resolver, const struct dk_context *context,
                         struct dk_miss *late, size_t count, uint64_t epoch) {
    if (count == 0 || dk_resolver_breaker_state(resolver) != DK_BREAKER_CLOSED) {
        return;
    }
    struct call *call = dk_call_new(&resolver->flights.hash_key, context, late, count);
    if (call == NULL) {
        return;
    }
    size_t opened = 0;
    pthread_mutex_lock(&resolver->lock);
    if (!resolver->stopped && resolver->flights.count < resolver->flights.max_flights / 4 &&
        dk_flights_admit(&resolver->flights, call)) {
        opened = open_flights(resolver, call, NULL, late, epoch, 0, dk_clock_ms()).opened;
    }
    dk_call_release(&resolver->flights, call);
    pthread_mutex_unlock(&resolver->lock);
    dk_metrics_add(resolver->metrics, DK_METRIC_REFRESHES, opened);
}

size_t dk_resolver_ahead_max(const struct dk_resolver *resolver) {
    size_t quarter = resolver->flights.max_of_principal;
    return quarter < DK_ASKED_AHEAD_MAX ? quarter : DK_ASKED_AHEAD_MAX;
}

bool dk_resolver_ask_ahead(struct dk_resolver *resolver, const struct dk_context *context,
                           struct dk_miss *ahead, size_t count, uint64_t epoch, size_t *opened) {
    *opened = 0;
    if (dk_resolver_breaker_state(resolver) != DK_BREAKER_CLOSED) {
        return false;
    }
    struct call *call = dk_call_new(&resolver->flights.hash_key, context, ahead, count);
    if (call == NULL) {
        return false;
    }
    bool admitted = false;
    pthread_mutex_lock(&resolver->lock);
    if (!resolver->stopped && resolver->flights.count + count <= dk_resolver_ahead_max(resolver)) {
        admitted = dk_flights_admit(&resolver->flights, call);
    }
    if (admitted) { /* no principal has more than its share then, so none is refused */
        *opened = open_flights(resolver, call, NULL, ahead, epoch, 0, dk_clock_ms()).opened;
    }
    dk_call_release(&resolver->flights, call);
    pthread_mutex_unlock(&resolver->lock);
    return admitted;
}

bool dk_resolver_is_idle(struct dk_resolver *resolver) {
    return dk_resolver_open(resolver) == 0;
}

enum dk_breaker_state dk_resolver_breaker_state(const struct dk_resolver *resolver) {
    /* A lone word that guards no other memory: relaxed is enough. */
    return (enum dk_breaker_state)atomic_load_explicit(&resolver->state, memory_order_relaxed);
}

bool dk_resolver_wait_ready(struct dk_resolver *resolver, int64_t timeout_ms) {
    const struct timespec until = timespec_of(dk_clock_ms() + (timeout_ms > 0 ? timeout_ms : 0));
    pthread_mutex_lock(&resolver->lock);
    while (!resolver->ready && !resolver->stopped) {
        if (pthread_cond_timedwait(&resolver->on_ready, &resolver->lock, &until) != 0) {
            break;
        }
    }
    bool ready = resolver->ready;
    pthread_mutex_unlock(&resolver->lock);
    return ready;
}

/* ---- what others set and read ------------------------------------------------------------ */

enum dk_error dk_resolver_set_cluster_id(struct dk_resolver *resolver, struct dk_bytes cluster_id) {
    uint8_t *copy = malloc(cluster_id.len > 0 ? cluster_id.len : 1);
    if (copy == NULL) {
        return DK_ERR_MEMORY;
    }
    if (cluster_id.len > 0) {
        memcpy(copy, cluster_id.ptr, cluster_id.len);
    }
    pthread_mutex_lock(&resolver->lock);
    uint8_t *earlier = resolver->cluster_id;
    resolver->cluster_id = copy;
    resolver->cluster_id_len = cluster_id.len;
    pthread_mutex_unlock(&resolver->lock);
    free(earlier);
    return DK_OK;
}

bool dk_resolver_cluster_id(struct dk_resolver *resolver, struct dk_writer *out) {
    pthread_mutex_lock(&resolver->lock);
    bool known = resolver->cluster_id != NULL;
    dk_writer_bytes(out, (struct dk_bytes){resolver->cluster_id, resolver->cluster_id_len});
    pthread_mutex_unlock(&resolver->lock);
    return known;
}

void dk_resolver_revision(struct dk_resolver *resolver, char out[DK_REVISION_MAX]) {
    pthread_mutex_lock(&resolver->lock);
    bool has_bundles = resolver->revision[0] != '\0';
    memcpy(out, has_bundles ? resolver->revision : resolver->document, DK_REVISION_MAX);
    pthread_mutex_unlock(&resolver->lock);
}

enum dk_error dk_resolver_set_pem(struct dk_resolver *resolver, const struct dk_http_pem *pem,
                                  struct dk_error_text *why) {
    return dk_http_set_pem(resolver->http, pem, why);
}

enum dk_error dk_resolver_set_token(struct dk_resolver *resolver, struct dk_bytes token) {
    return dk_http_set_token(resolver->http, token);
}

size_t dk_resolver_queued(struct dk_resolver *resolver) {
    pthread_mutex_lock(&resolver->lock);
    size_t queued = resolver->flights.queued;
    pthread_mutex_unlock(&resolver->lock);
    return queued;
}

size_t dk_resolver_open(struct dk_resolver *resolver) {
    pthread_mutex_lock(&resolver->lock);
    size_t open = resolver->flights.count;
    pthread_mutex_unlock(&resolver->lock);
    return open;
}
