/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The I/O thread: packs waiting flights into as few requests as possible, reads the answers, fills
 * the cache and wakes who waits.
 *
 * A request is free while its count is 0. From dispatch to its end it owns the flights behind its
 * questions, and its part if it has one. Nothing here blocks but dk_http_poll; the mutex is held
 * only to take flights and to end them.
 */
#include "resolver_internal.h"

#include "question_ring.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* Nothing wakes the loop later than this, come what may. */
#define IDLE_MS 1000

struct flight *dk_flight_of(const struct dk_opa_question *question) {
    return (struct flight *)((char *)(uintptr_t)question->action - offsetof(struct flight, action));
}

/* ---- the end of a request ---------------------------------------------------------------- */

void dk_request_end(struct request *request, enum dk_source source) {
    struct dk_resolver *resolver = request->resolver;
    pthread_mutex_lock(&resolver->lock);
    for (size_t i = 0; i < request->count; i++) {
        struct dk_opa_question *question = &request->questions[i];
        dk_flights_end(&resolver->flights, dk_flight_of(question), question->outcome, source);
    }
    pthread_mutex_unlock(&resolver->lock);
}

void dk_request_end_as(struct request *request, enum dk_outcome outcome, enum dk_source source) {
    for (size_t i = 0; i < request->count; i++) {
        request->questions[i].outcome = outcome;
    }
    dk_request_end(request, source);
}

static void request_release(struct request *request) {
    dk_split_release(request);
    request->count = 0;
    request->attempts = 0;
    request->again = false;
    if (request->body.failed || request->body.capacity > BODY_KEPT) {
        dk_writer_clean_up(&request->body);
        dk_writer_init(&request->body, BODY_MAX);
    }
}

void dk_requests_give_up(struct dk_resolver *resolver) {
    for (size_t i = 0; i < resolver->request_count; i++) {
        struct request *request = &resolver->requests[i];
        if (request->again) {
            dk_request_end_as(request, DK_UNAVAILABLE, DK_SOURCE_OPA);
            request_release(request);
        }
    }
}

/* ---- answers ----------------------------------------------------------------------------- */

int64_t dk_decision_ttl_ms(const struct dk_config *config, enum dk_outcome outcome,
                           struct dk_hash128 key) {
    int64_t ttl_ms = outcome == DK_ALLOW ? config->cache_ttl_allow_ms : config->cache_ttl_deny_ms;
    /* The key is a keyed hash: as good as a random number. */
    return ttl_ms - ttl_ms * (int64_t)(key.h1 % 1024) / 10240;
}

static void insert_decision(const struct request *request, const struct dk_opa_question *question,
                            int64_t now_ms) {
    struct dk_resolver *resolver = request->resolver;
    const struct flight *flight = dk_flight_of(question);
    struct dk_hash128 key = flight->node.key;
    int64_t ttl_ms = dk_decision_ttl_ms(resolver->config, question->outcome, key);
    dk_cache_insert(resolver->cache, key, flight->epoch, question->outcome,
                    request->asked_ms + ttl_ms, now_ms);
    resolver->cached++;
    dk_question_ring_put(resolver->decided, question->context, question->action);
}

/* Every outcome is DK_ALLOW or DK_DENY. */
static void accept_answer(struct request *request, const struct dk_opa_reply *reply) {
    struct dk_resolver *resolver = request->resolver;
    int64_t now_ms = dk_clock_ms();
    if (dk_is_recorded_revision(resolver, reply, request->revision_serial)) {
        for (size_t i = 0; i < request->count; i++) {
            insert_decision(request, &request->questions[i], now_ms);
        }
        resolver->cached_without_revision |= reply->revision[0] == '\0';
    }
    dk_note_revision(request->endpoint, reply, request->revision_serial);
    dk_endpoint_answered(request->endpoint);
    dk_request_end(request, DK_SOURCE_OPA);
}

static enum worth read_answer(struct request *request, const struct dk_http_result *result,
                              struct dk_opa_reply *reply) {
    struct dk_resolver *resolver = request->resolver;
    enum worth worth;
    if (!dk_result_is_readable(request->endpoint, result, request->part == NULL, &worth)) {
        return worth;
    }
    if (resolver->batches) {
        dk_opa_read_batch(result->body, request->questions, request->count, reply);
    } else {
        dk_opa_read_single(result->body, &request->questions[0], reply);
    }
    return dk_reply_worth(request->endpoint, reply);
}

/* The current endpoint is another one by now, and there is time left to ask it. */
static bool may_fail_over(const struct request *request) {
    const struct dk_resolver *resolver = request->resolver;
    const struct endpoint *next = &resolver->endpoints[resolver->current];
    return next != request->endpoint && dk_endpoint_is_up(next) &&
           request->attempts < resolver->endpoint_count && dk_clock_ms() < request->deadline_ms;
}

static void on_answer(void *user, const struct dk_http_result *result) {
    struct request *request = user;
    struct dk_opa_reply reply = {.verdict = DK_OPA_MALFORMED};
    int64_t took_ns = dk_clock_ns() - request->asked_ns;
    dk_metrics_add(request->resolver->metrics, DK_METRIC_OPA_MICROS, (uint64_t)(took_ns / 1000));
    switch (read_answer(request, result, &reply)) {
    case WORTH_ANSWER:
        accept_answer(request, &reply);
        break;
    case WORTH_UNDEFINED:
        dk_split(request, DK_UNDEFINED);
        break;
    case WORTH_ERROR:
        dk_split(request, DK_UNAVAILABLE);
        break;
    case WORTH_NOTHING:
        if (result->kind != DK_HTTP_CANCELLED && may_fail_over(request)) {
            request->again = true; /* by dispatch: this request's place is taken until we return */
            return;
        }
        dk_request_end_as(request, DK_UNAVAILABLE, DK_SOURCE_OPA);
        break;
    }
    request_release(request);
}

/* ---- packing ----------------------------------------------------------------------------- */

/* Upper bounds of what becomes JSON: a byte of a name grows at most sixfold (\u00XX), the facts of
 * a certificate at most fourfold; the constants cover what stands around them. */
static size_t estimate_question(const struct request *request, const struct flight *flight) {
    size_t estimate = 256 + 8 * flight->action.hashed.len;
    if (flight->call->counted_in != request->resolver->batch_number) {
        estimate += 1024 + 8 * flight->call->context.record.len;
    }
    return estimate;
}

static bool fits(const struct request *request, const struct flight *flight, int64_t now_ms) {
    if (request->count == 0) {
        return true;
    }
    const struct dk_context *first = request->questions[0].context;
    return dk_bytes_equal(first->fields[DK_FIELD_CLUSTER_ID],
                          flight->call->context.fields[DK_FIELD_CLUSTER_ID]) &&
           estimate_question(request, flight) <= BODY_MAX - request->estimate &&
           !dk_is_suspect(request->resolver, flight, now_ms);
}

static void add_question(struct request *request, struct flight *flight) {
    request->estimate += estimate_question(request, flight);
    flight->call->counted_in = request->resolver->batch_number;
    flight->sent = true;
    if (request->deadline_ms < flight->deadline_ms) {
        request->deadline_ms = flight->deadline_ms;
    }
    request->questions[request->count++] =
        (struct dk_opa_question){.context = &flight->call->context, .action = &flight->action};
}

static bool is_given_up(const struct flight *flight, int64_t now_ms) {
    return flight->links == NULL && flight->deadline_ms <= now_ms;
}

/* What waits, spread evenly over as many requests as it needs anyway. */
static size_t even_share(const struct dk_resolver *resolver) {
    size_t queued = resolver->flights.queued;
    size_t requests = (queued + resolver->batch_max - 1) / resolver->batch_max;
    return requests > 0 ? (queued + requests - 1) / requests : 0;
}

/*
 * One pass over the ring. Who is served goes to its end and is met again in the same pass; who is
 * passed over (another cluster, a suspect) keeps its place and begins the next request.
 *
 * @locks the mutex MUST be held
 */
static void take_queued(struct dk_resolver *resolver, struct request *request, int64_t now_ms) {
    size_t limit = even_share(resolver);
    struct principal *principal = resolver->flights.ring;
    resolver->batch_number++;
    while (principal != NULL && request->count < limit) {
        struct principal *next = principal->next;
        struct flight *flight = principal->queue;
        bool has_more = flight->next != NULL;
        if (is_given_up(flight, now_ms)) {
            (void)dk_flights_take(&resolver->flights, principal);
            dk_flights_end(&resolver->flights, flight, DK_UNAVAILABLE, DK_SOURCE_NONE);
            principal = has_more ? principal : next; /* without more it may be gone */
            continue;
        }
        if (!fits(request, flight, now_ms)) {
            principal = next;
            continue;
        }
        if (dk_is_suspect(resolver, flight, now_ms)) {
            limit = 1;
        }
        (void)dk_flights_take(&resolver->flights, principal);
        dk_flights_rotate(&resolver->flights, principal);
        add_question(request, flight);
        principal = next == NULL && has_more ? principal : next;
    }
}

static void write_request(struct request *request) {
    dk_writer_reset(&request->body);
    if (request->resolver->batches) {
        dk_opa_write_batch((struct dk_bytes){NULL, 0}, request->questions, request->count,
                           &request->body);
    } else {
        dk_question_write_single(request->questions[0].context, request->questions[0].action,
                                 &request->body);
    }
}

/* A first attempt leaves half of the time for a second one, where somebody else could be asked. */
static int64_t attempt_deadline_ms(const struct request *request) {
    int64_t left_ms = request->deadline_ms - request->asked_ms;
    bool is_last = request->attempts >= request->resolver->endpoint_count ||
                   !dk_endpoint_has_substitute(request->endpoint);
    return is_last || left_ms < 2 ? request->deadline_ms : request->asked_ms + left_ms / 2;
}

static void send_request(struct request *request) {
    struct dk_resolver *resolver = request->resolver;
    request->endpoint = dk_endpoint_current(resolver);
    request->again = false;
    request->attempts++;
    request->asked_ns = dk_clock_ns();
    request->asked_ms = request->asked_ns / 1000000;
    request->revision_serial = resolver->revision_serial;
    write_request(request);
    if (request->body.failed ||
        dk_http_post(resolver->http, request->endpoint->server, resolver->path,
                     dk_writer_view(&request->body), attempt_deadline_ms(request), on_answer,
                     request) != DK_OK) {
        dk_say(resolver, TROUBLE_LOCAL, DK_LOG_ERROR, "no memory for a request to OPA");
        dk_request_end_as(request, DK_UNAVAILABLE, DK_SOURCE_NONE);
        request_release(request);
        return;
    }
    dk_metrics_add(resolver->metrics, DK_METRIC_REQUESTS, 1);
    if (request->part == NULL && request->attempts == 1) {
        dk_metrics_add(resolver->metrics, DK_METRIC_QUESTIONS, request->count);
    }
}

/* The poll has a connection of its own, so requests alone are what limits questions. */
static struct request *find_free_request(struct dk_resolver *resolver) {
    for (size_t i = 0; i < resolver->request_count; i++) {
        if (resolver->requests[i].count == 0) {
            return &resolver->requests[i];
        }
    }
    return NULL;
}

/* False if nothing waits. */
static bool fill_request(struct dk_resolver *resolver, struct request *request, int64_t now_ms) {
    request->estimate = 0;
    request->deadline_ms = now_ms + resolver->config->deadline_ms;
    if (dk_split_take(resolver, request, now_ms)) {
        return true;
    }
    pthread_mutex_lock(&resolver->lock);
    resolver->wake_pending = false;
    take_queued(resolver, request, now_ms);
    pthread_mutex_unlock(&resolver->lock);
    return request->count > 0;
}

static void send_again(struct dk_resolver *resolver) {
    for (size_t i = 0; i < resolver->request_count; i++) {
        if (resolver->requests[i].again) {
            send_request(&resolver->requests[i]);
        }
    }
}

static void dispatch(struct dk_resolver *resolver, int64_t now_ms) {
    send_again(resolver);
    while (dk_resolver_breaker_state(resolver) == DK_BREAKER_CLOSED) {
        struct request *request = find_free_request(resolver);
        if (request == NULL || !fill_request(resolver, request, now_ms)) {
            return;
        }
        send_request(request);
    }
}

/* ---- the loop ---------------------------------------------------------------------------- */

static int time_to_wait(const struct dk_resolver *resolver, int64_t now_ms) {
    int64_t until_ms = now_ms + IDLE_MS;
    for (size_t i = 0; i < resolver->endpoint_count; i++) {
        const struct poll *poll = &resolver->endpoints[i].poll;
        if (!poll->under_way && poll->next_ms < until_ms) {
            until_ms = poll->next_ms;
        }
    }
    if (resolver->bump_pending && resolver->last_bump_ms + BUMP_INTERVAL_MS < until_ms) {
        until_ms = resolver->last_bump_ms + BUMP_INTERVAL_MS;
    }
    return until_ms > now_ms ? (int)(until_ms - now_ms) : 0;
}

static bool is_stopped(struct dk_resolver *resolver) {
    pthread_mutex_lock(&resolver->lock);
    bool stopped = resolver->stopped;
    pthread_mutex_unlock(&resolver->lock);
    return stopped;
}

void dk_resolver_run(struct dk_resolver *resolver) {
    while (!is_stopped(resolver)) {
        int64_t now_ms = dk_clock_ms();
        dk_bump_if_due(resolver, now_ms);
        for (size_t i = 0; i < resolver->endpoint_count; i++) {
            dk_poll_if_due(&resolver->endpoints[i], now_ms);
        }
        dispatch(resolver, now_ms);
        dk_http_poll(resolver->http, time_to_wait(resolver, dk_clock_ms()));
    }
}
