/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Readiness, the revision, and what is said about troubles. All of it runs on the I/O thread.
 *
 * The recorded revision is what cached decisions stand for. `revision_serial` counts its changes,
 * and a request remembers the count from when it was asked: an answer that was asked before the
 * last change tells of the time before it and neither changes the record nor is cached.
 */
#include "resolver_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void dk_say(struct dk_resolver *resolver, enum trouble trouble, enum dk_log_level level,
            const char *format, ...) {
    char line[DK_LOG_LINE_MAX + 1];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    dk_log_write_limited(resolver->log, &resolver->limits[trouble], level, "%s", line);
}

/* ---- what an answer is worth ------------------------------------------------------------- */

static void say_status(const struct endpoint *endpoint, const struct dk_http_result *result) {
    char body[200];
    size_t len = dk_bytes_escape(result->body, body, sizeof(body));
    dk_say(endpoint->resolver, TROUBLE_STATUS, DK_LOG_WARN,
           "OPA at %s answered %s with HTTP status %ld: %.*s", dk_endpoint_url(endpoint),
           endpoint->resolver->path, result->status, (int)len, body);
}

/* The transfer itself failed. */
static void say_transfer(const struct endpoint *endpoint, const struct dk_http_result *result) {
    struct dk_resolver *resolver = endpoint->resolver;
    char text[256];
    size_t len = dk_bytes_escape(dk_bytes_of(result->text), text, sizeof(text));
    const char *url = dk_endpoint_url(endpoint);
    switch (result->kind) {
    case DK_HTTP_TIMED_OUT:
        dk_say(resolver, TROUBLE_TIMED_OUT, DK_LOG_ERROR, "OPA at %s did not answer in time: %.*s",
               url, (int)len, text);
        return;
    case DK_HTTP_TOO_LARGE:
        dk_say(resolver, TROUBLE_TOO_LARGE, DK_LOG_ERROR,
               "OPA at %s sent an answer of more than %zu bytes", url, ANSWER_MAX);
        return;
    default:
        dk_say(resolver, TROUBLE_UNREACHABLE, DK_LOG_ERROR, "OPA at %s cannot be reached: %.*s",
               url, (int)len, text);
    }
}

/* Brings the next poll forward, but not in front of the probe interval. */
static void poll_soon(struct endpoint *endpoint) {
    struct poll *poll = &endpoint->poll;
    int64_t now_ms = dk_clock_ms();
    int64_t earliest_ms = poll->asked_ms + endpoint->resolver->config->breaker_probe_interval_ms;
    int64_t next_ms = now_ms > earliest_ms ? now_ms : earliest_ms;
    if (next_ms < poll->next_ms) {
        poll->next_ms = next_ms;
    }
}

bool dk_result_is_readable(struct endpoint *endpoint, const struct dk_http_result *result,
                           bool had_full_time, enum worth *worth) {
    *worth = WORTH_NOTHING;
    if (result->kind == DK_HTTP_CANCELLED) {
        return false;
    }
    if (result->kind == DK_HTTP_ANSWERED && result->status == 200) {
        return true;
    }
    dk_metrics_add(endpoint->resolver->metrics, DK_METRIC_FAILURES, 1);
    if (result->kind == DK_HTTP_ANSWERED) {
        say_status(endpoint, result);
        *worth = result->status == 500 ? WORTH_ERROR : WORTH_NOTHING;
        poll_soon(endpoint);
        return false;
    }
    say_transfer(endpoint, result);
    if (result->kind == DK_HTTP_UNREACHABLE ||
        (result->kind == DK_HTTP_TIMED_OUT && had_full_time)) {
        dk_endpoint_failed(endpoint);
    } else {
        poll_soon(endpoint);
    }
    return false;
}

enum worth dk_reply_worth(struct endpoint *endpoint, const struct dk_opa_reply *reply) {
    struct dk_resolver *resolver = endpoint->resolver;
    if (reply->verdict == DK_OPA_ANSWERED) {
        return WORTH_ANSWER;
    }
    dk_metrics_add(resolver->metrics, DK_METRIC_FAILURES, 1);
    if (reply->verdict == DK_OPA_MALFORMED) {
        dk_say(resolver, TROUBLE_MALFORMED, DK_LOG_ERROR, "OPA's answer to %s is refused: %s",
               resolver->path, reply->why.text);
        poll_soon(endpoint);
        return WORTH_NOTHING;
    }
    if (resolver->revision[0] != '\0' && reply->revision[0] == '\0') {
        dk_say(resolver, TROUBLE_NO_BUNDLE, DK_LOG_ERROR,
               "OPA at %s answers without a policy (it was %s): is its bundle active?",
               dk_endpoint_url(endpoint), resolver->revision);
        dk_endpoint_failed(endpoint);
        return WORTH_NOTHING;
    }
    dk_say(resolver, TROUBLE_UNDEFINED, DK_LOG_ERROR,
           "OPA's answer to %s has no result: are the policy and its data loaded, and is the path "
           "right?",
           resolver->path);
    poll_soon(endpoint);
    return WORTH_UNDEFINED;
}

/* ---- the revision ------------------------------------------------------------------------ */

bool dk_is_recorded_revision(const struct dk_resolver *resolver, const struct dk_opa_reply *reply,
                             uint64_t asked_serial) {
    return asked_serial == resolver->revision_serial &&
           strcmp(reply->revision, resolver->revision) == 0;
}

void dk_bump_if_due(struct dk_resolver *resolver, int64_t now_ms) {
    if (!resolver->bump_pending || now_ms < resolver->last_bump_ms + BUMP_INTERVAL_MS) {
        return;
    }
    resolver->bump_pending = false;
    resolver->last_bump_ms = now_ms;
    (void)dk_cache_bump_epoch(resolver->cache);
    dk_metrics_add(resolver->metrics, DK_METRIC_EPOCHS, 1);
    dk_metrics_add(resolver->metrics, DK_METRIC_UNREACHABLE, resolver->cached);
    resolver->cached = 0;
}

static void say_change(const struct dk_resolver *resolver, const char *what, const char *earlier,
                       const char *now) {
    if (earlier[0] == '\0') {
        dk_log_write(resolver->log, DK_LOG_CORE, DK_LOG_INFO, "%s is %s", what, now);
    } else {
        dk_log_write(resolver->log, DK_LOG_CORE, DK_LOG_INFO,
                     "%s changed from %s to %s: up to %llu cached decisions are unreachable", what,
                     earlier, now, (unsigned long long)resolver->cached);
    }
}

/* `recorded` is a member of the resolver; an empty `told` changes nothing. */
static void adopt(struct dk_resolver *resolver, const char *what, char recorded[DK_REVISION_MAX],
                  const char told[DK_REVISION_MAX]) {
    if (told[0] == '\0' || strcmp(told, recorded) == 0) {
        return;
    }
    bool is_first = recorded[0] == '\0';
    say_change(resolver, what, recorded, told);
    pthread_mutex_lock(&resolver->lock);
    memcpy(recorded, told, DK_REVISION_MAX);
    pthread_mutex_unlock(&resolver->lock);
    resolver->revision_serial++;
    /* Before the first revision nothing needs to go, unless answers without one were kept. */
    if (!is_first || resolver->cached_without_revision) {
        resolver->bump_pending = true;
        dk_bump_if_due(resolver, dk_clock_ms());
    }
}

void dk_adopt_revisions(struct endpoint *endpoint) {
    struct dk_resolver *resolver = endpoint->resolver;
    adopt(resolver, "policy revision", resolver->revision, endpoint->revision);
    adopt(resolver, "revision document", resolver->document, endpoint->document);
}

/* `recorded` is a member of the endpoint. What was asked before the last change is older than it.
 */
static void note(struct endpoint *endpoint, char recorded[DK_REVISION_MAX],
                 const char told[DK_REVISION_MAX], uint64_t asked_serial) {
    struct dk_resolver *resolver = endpoint->resolver;
    if (told[0] == '\0') {
        return;
    }
    memcpy(recorded, told, DK_REVISION_MAX);
    if (endpoint == dk_endpoint_current(resolver) && asked_serial == resolver->revision_serial) {
        dk_adopt_revisions(endpoint);
    }
}

void dk_note_revision(struct endpoint *endpoint, const struct dk_opa_reply *reply,
                      uint64_t asked_serial) {
    note(endpoint, endpoint->revision, reply->revision, asked_serial);
}

/* ---- the poll ---------------------------------------------------------------------------- */

static void poll_failed(struct endpoint *endpoint) {
    struct dk_resolver *resolver = endpoint->resolver;
    dk_endpoint_failed(endpoint);
    if (dk_resolver_breaker_state(resolver) != DK_BREAKER_CLOSED) {
        pthread_mutex_lock(&resolver->lock);
        dk_split_end_parts(resolver, NULL, DK_UNAVAILABLE);
        dk_flights_fail_queued(&resolver->flights);
        pthread_mutex_unlock(&resolver->lock);
    }
    endpoint->poll.next_ms = endpoint->poll.asked_ms + resolver->config->breaker_probe_interval_ms;
}

static void set_ready(struct endpoint *endpoint) {
    struct dk_resolver *resolver = endpoint->resolver;
    /* First, so that whoever hears of it may ask at once. */
    bool was_down = dk_endpoint_set_ready(endpoint);
    pthread_mutex_lock(&resolver->lock);
    bool was_ready = resolver->ready;
    resolver->ready = true;
    pthread_cond_broadcast(&resolver->on_ready);
    pthread_mutex_unlock(&resolver->lock);
    const char *url = dk_endpoint_url(endpoint);
    if (!was_ready) {
        dk_log_write(resolver->log, DK_LOG_CORE, DK_LOG_INFO, "OPA at %s is ready", url);
    } else if (was_down) {
        dk_say(resolver, TROUBLE_OVER, DK_LOG_INFO, "OPA at %s answers again", url);
    }
}

static void warn_without_revision(struct dk_resolver *resolver) {
    bool has_any = resolver->revision[0] != '\0' || resolver->document[0] != '\0';
    if (!has_any && !resolver->told_no_revision) {
        resolver->told_no_revision = true;
        dk_log_write(resolver->log, DK_LOG_CORE, DK_LOG_WARN,
                     "OPA's answers carry no bundle revision: a change of the policy takes effect "
                     "once the cached decisions have expired (doorkeeper.cache.ttl.*)");
    }
}

static void poll_succeeded(struct endpoint *endpoint) {
    struct dk_resolver *resolver = endpoint->resolver;
    endpoint->poll.under_way = false;
    warn_without_revision(resolver);
    set_ready(endpoint);
    endpoint->poll.next_ms = endpoint->poll.asked_ms + resolver->config->opa_poll_interval_ms;
}

static void on_document(void *user, const struct dk_http_result *result) {
    struct endpoint *endpoint = user;
    struct dk_resolver *resolver = endpoint->resolver;
    char document[DK_REVISION_MAX];
    if (result->kind == DK_HTTP_ANSWERED && result->status == 200 &&
        dk_opa_read_revision_document(result->body, document)) {
        note(endpoint, endpoint->document, document, endpoint->poll.revision_serial);
    } else if (result->kind != DK_HTTP_CANCELLED) {
        dk_say(resolver, TROUBLE_REVISION, DK_LOG_ERROR,
               "OPA at %s has no string or number at %s (doorkeeper.opa.revision.path): changes of "
               "its data are not noticed",
               dk_endpoint_url(endpoint), resolver->document_path);
    }
    poll_succeeded(endpoint);
}

static int64_t poll_time_ms(const struct dk_resolver *resolver) {
    int64_t deadline_ms = resolver->config->deadline_ms;
    return deadline_ms > POLL_DEADLINE_MIN_MS ? deadline_ms : POLL_DEADLINE_MIN_MS;
}

static bool ask_document(struct endpoint *endpoint) {
    static const char nothing[] = "{\"input\":{}}";
    struct dk_resolver *resolver = endpoint->resolver;
    return resolver->document_path != NULL &&
           dk_http_post(resolver->http, endpoint->server, resolver->document_path,
                        dk_bytes_of(nothing), dk_clock_ms() + poll_time_ms(resolver), on_document,
                        endpoint) == DK_OK;
}

static void on_poll(void *user, const struct dk_http_result *result) {
    struct endpoint *endpoint = user;
    struct dk_opa_reply reply;
    enum worth worth;
    if (dk_result_is_readable(endpoint, result, true, &worth)) {
        if (endpoint->resolver->batches) {
            dk_opa_read_batch(result->body, NULL, 0, &reply);
        } else {
            dk_opa_read_single(result->body, NULL, &reply);
        }
        worth = dk_reply_worth(endpoint, &reply);
    }
    if (worth != WORTH_ANSWER) {
        endpoint->poll.under_way = false;
        if (result->kind != DK_HTTP_CANCELLED) {
            poll_failed(endpoint);
        }
        return;
    }
    dk_note_revision(endpoint, &reply, endpoint->poll.revision_serial);
    if (!ask_document(endpoint)) {
        poll_succeeded(endpoint);
    }
}

static bool write_poll(struct endpoint *endpoint) {
    struct dk_resolver *resolver = endpoint->resolver;
    struct dk_writer *body = &endpoint->poll.body;
    dk_writer_clean_up(body); /* also takes a failure of the last time away */
    dk_writer_init(body, BODY_MAX);
    pthread_mutex_lock(&resolver->lock);
    struct dk_bytes cluster_id = {resolver->cluster_id, resolver->cluster_id_len};
    if (resolver->batches) {
        dk_opa_write_batch(cluster_id, NULL, 0, body);
    } else {
        dk_opa_write_single_poll(cluster_id, body);
    }
    pthread_mutex_unlock(&resolver->lock);
    return !body->failed;
}

void dk_poll_if_due(struct endpoint *endpoint, int64_t now_ms) {
    struct dk_resolver *resolver = endpoint->resolver;
    struct poll *poll = &endpoint->poll;
    if (poll->under_way || now_ms < poll->next_ms) {
        return;
    }
    poll->asked_ms = now_ms;
    poll->revision_serial = resolver->revision_serial;
    dk_metrics_add(resolver->metrics, DK_METRIC_POLLS, 1);
    dk_breaker_probe(&endpoint->breaker);
    dk_endpoints_changed(resolver);
    if (!write_poll(endpoint) ||
        dk_http_post(resolver->http, endpoint->server, resolver->path, dk_writer_view(&poll->body),
                     now_ms + poll_time_ms(resolver), on_poll, endpoint) != DK_OK) {
        dk_say(resolver, TROUBLE_LOCAL, DK_LOG_ERROR, "no memory for a request to OPA");
        poll_failed(endpoint);
        return;
    }
    poll->under_way = true;
}
