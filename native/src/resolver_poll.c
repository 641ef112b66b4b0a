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

static void say_status(struct dk_resolver *resolver, const struct dk_http_result *result) {
    char body[200];
    size_t len = dk_bytes_escape(result->body, body, sizeof(body));
    dk_say(resolver, TROUBLE_STATUS, DK_LOG_WARN, "OPA answered %s with HTTP status %ld: %.*s",
           resolver->path, result->status, (int)len, body);
}

/* The transfer itself failed. */
static void say_transfer(struct dk_resolver *resolver, const struct dk_http_result *result) {
    char text[256];
    size_t len = dk_bytes_escape(dk_bytes_of(result->text), text, sizeof(text));
    const char *url = resolver->config->opa_url;
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

bool dk_result_is_readable(struct dk_resolver *resolver, const struct dk_http_result *result,
                           bool had_full_time, enum worth *worth) {
    *worth = WORTH_NOTHING;
    if (result->kind == DK_HTTP_CANCELLED) {
        return false;
    }
    if (result->kind == DK_HTTP_ANSWERED && result->status == 200) {
        return true;
    }
    dk_metrics_add(resolver->metrics, DK_METRIC_FAILURES, 1);
    if (result->kind == DK_HTTP_ANSWERED) {
        say_status(resolver, result);
        *worth = result->status == 500 ? WORTH_ERROR : WORTH_NOTHING;
        dk_poll_soon(resolver);
        return false;
    }
    say_transfer(resolver, result);
    if (result->kind == DK_HTTP_UNREACHABLE ||
        (result->kind == DK_HTTP_TIMED_OUT && had_full_time)) {
        dk_open_breaker(resolver);
    } else {
        dk_poll_soon(resolver);
    }
    return false;
}

enum worth dk_reply_worth(struct dk_resolver *resolver, const struct dk_opa_reply *reply) {
    if (reply->verdict == DK_OPA_ANSWERED) {
        return WORTH_ANSWER;
    }
    dk_metrics_add(resolver->metrics, DK_METRIC_FAILURES, 1);
    if (reply->verdict == DK_OPA_MALFORMED) {
        dk_say(resolver, TROUBLE_MALFORMED, DK_LOG_ERROR, "OPA's answer to %s is refused: %s",
               resolver->path, reply->why.text);
        dk_poll_soon(resolver);
        return WORTH_NOTHING;
    }
    if (resolver->revision[0] != '\0' && reply->revision[0] == '\0') {
        dk_say(resolver, TROUBLE_NO_BUNDLE, DK_LOG_ERROR,
               "OPA answers without a policy (it had %s): is its bundle active?",
               resolver->revision);
        dk_open_breaker(resolver);
        return WORTH_NOTHING;
    }
    dk_say(resolver, TROUBLE_UNDEFINED, DK_LOG_ERROR,
           "OPA's answer to %s has no result: are the policy and its data loaded, and is the path "
           "right?",
           resolver->path);
    dk_poll_soon(resolver);
    return WORTH_UNDEFINED;
}

/* ---- the breaker ------------------------------------------------------------------------- */

void dk_poll_soon(struct dk_resolver *resolver) {
    int64_t now_ms = dk_clock_ms();
    int64_t earliest_ms = resolver->poll.asked_ms + POLL_FAST_MS;
    int64_t next_ms = now_ms > earliest_ms ? now_ms : earliest_ms;
    if (next_ms < resolver->poll.next_ms) {
        resolver->poll.next_ms = next_ms;
    }
}

void dk_open_breaker(struct dk_resolver *resolver) {
    if (dk_breaker_failure(&resolver->breaker)) {
        resolver->poll.next_ms = dk_clock_ms();
    }
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
}

void dk_note_revision(struct dk_resolver *resolver, const struct dk_opa_reply *reply,
                      uint64_t asked_serial) {
    if (reply->revision[0] == '\0' || asked_serial != resolver->revision_serial ||
        strcmp(reply->revision, resolver->revision) == 0) {
        return;
    }
    bool is_first = resolver->revision[0] == '\0';
    if (is_first) {
        dk_log_write(resolver->log, DK_LOG_CORE, DK_LOG_INFO, "policy revision is %s",
                     reply->revision);
    } else {
        dk_log_write(resolver->log, DK_LOG_CORE, DK_LOG_INFO,
                     "policy revision changed from %s to %s", resolver->revision, reply->revision);
    }
    pthread_mutex_lock(&resolver->lock);
    memcpy(resolver->revision, reply->revision, sizeof(resolver->revision));
    pthread_mutex_unlock(&resolver->lock);
    resolver->revision_serial++;
    /* Before the first revision nothing needs to go, unless answers without one were kept. */
    if (!is_first || resolver->cached_without_revision) {
        resolver->bump_pending = true;
        dk_bump_if_due(resolver, dk_clock_ms());
    }
}

/* ---- the poll ---------------------------------------------------------------------------- */

static void poll_failed(struct dk_resolver *resolver) {
    dk_open_breaker(resolver);
    pthread_mutex_lock(&resolver->lock);
    dk_split_end_parts(resolver, NULL, DK_UNAVAILABLE);
    dk_flights_fail_queued(&resolver->flights);
    pthread_mutex_unlock(&resolver->lock);
    resolver->poll.next_ms = resolver->poll.asked_ms + POLL_FAST_MS;
}

static void set_ready(struct dk_resolver *resolver) {
    /* First, so that whoever hears of it may ask at once. */
    bool was_open = dk_breaker_success(&resolver->breaker);
    pthread_mutex_lock(&resolver->lock);
    bool was_ready = resolver->ready;
    resolver->ready = true;
    pthread_cond_broadcast(&resolver->on_ready);
    pthread_mutex_unlock(&resolver->lock);
    const char *url = resolver->config->opa_url;
    if (!was_ready) {
        dk_log_write(resolver->log, DK_LOG_CORE, DK_LOG_INFO, "OPA at %s is ready", url);
    } else if (was_open) {
        dk_say(resolver, TROUBLE_OVER, DK_LOG_INFO, "OPA at %s answers again", url);
    }
}

static void poll_succeeded(struct dk_resolver *resolver, const struct dk_opa_reply *reply) {
    dk_note_revision(resolver, reply, resolver->poll.revision_serial);
    if (resolver->revision[0] == '\0' && !resolver->told_no_revision) {
        resolver->told_no_revision = true;
        dk_log_write(resolver->log, DK_LOG_CORE, DK_LOG_WARN,
                     "OPA's answers carry no bundle revision: a change of the policy takes effect "
                     "once the cached decisions have expired (doorkeeper.cache.ttl.*)");
    }
    set_ready(resolver);
    resolver->poll.next_ms = resolver->poll.asked_ms + resolver->config->opa_poll_interval_ms;
}

static void on_poll(void *user, const struct dk_http_result *result) {
    struct dk_resolver *resolver = user;
    struct dk_opa_reply reply;
    enum worth worth;
    resolver->poll.under_way = false;
    if (dk_result_is_readable(resolver, result, true, &worth)) {
        if (resolver->batches) {
            dk_opa_read_batch(result->body, NULL, 0, &reply);
        } else {
            dk_opa_read_single(result->body, NULL, &reply);
        }
        worth = dk_reply_worth(resolver, &reply);
    }
    if (worth == WORTH_ANSWER) {
        poll_succeeded(resolver, &reply);
    } else if (result->kind != DK_HTTP_CANCELLED) {
        poll_failed(resolver);
    }
}

static bool write_poll(struct dk_resolver *resolver) {
    struct dk_writer *body = &resolver->poll.body;
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

void dk_poll_if_due(struct dk_resolver *resolver, int64_t now_ms) {
    struct poll *poll = &resolver->poll;
    if (poll->under_way || now_ms < poll->next_ms) {
        return;
    }
    int64_t time_ms = resolver->config->deadline_ms > POLL_DEADLINE_MIN_MS
                          ? resolver->config->deadline_ms
                          : POLL_DEADLINE_MIN_MS;
    poll->asked_ms = now_ms;
    poll->revision_serial = resolver->revision_serial;
    dk_metrics_add(resolver->metrics, DK_METRIC_POLLS, 1);
    if (!write_poll(resolver) ||
        dk_http_post(resolver->http, resolver->path, dk_writer_view(&poll->body), now_ms + time_ms,
                     on_poll, resolver) != DK_OK) {
        dk_say(resolver, TROUBLE_LOCAL, DK_LOG_ERROR, "no memory for a request to OPA");
        poll_failed(resolver);
        return;
    }
    poll->under_way = true;
}
