/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which OPA is asked. Endpoints stand in the operator's order of preference. Each has a breaker of
 * its own; one whose breaker is closed is up.
 *
 *  - Questions go to the current endpoint: the first that is up. From a working one the resolver
 *    goes back to one that is preferred only after STEADY_POLLS good polls of that in a row, so
 * that one that comes and goes does not take everybody with it.
 *  - Cached decisions stand for the revision of the current endpoint. To change to one with another
 *    revision is a change of the policy and bumps the epoch; between equal ones nothing is lost.
 *  - `state` sums up for request threads: closed while any endpoint is up.
 *
 * All of it runs on the I/O thread.
 */
#include "resolver_internal.h"

#include <stdatomic.h>
#include <string.h>

void dk_endpoints_init(struct dk_resolver *resolver) {
    resolver->endpoint_count = dk_http_server_count(resolver->http);
    for (size_t i = 0; i < resolver->endpoint_count; i++) {
        struct endpoint *endpoint = &resolver->endpoints[i];
        endpoint->resolver = resolver;
        endpoint->server = i;
        dk_writer_init(&endpoint->poll.body, BODY_MAX);
    }
}

void dk_endpoints_clean_up(struct dk_resolver *resolver) {
    for (size_t i = 0; i < resolver->endpoint_count; i++) {
        dk_writer_clean_up(&resolver->endpoints[i].poll.body);
    }
}

const char *dk_endpoint_url(const struct endpoint *endpoint) {
    return dk_http_server_url(endpoint->resolver->http, endpoint->server);
}

bool dk_endpoint_is_up(const struct endpoint *endpoint) {
    return dk_breaker_state(&endpoint->breaker) == DK_BREAKER_CLOSED;
}

struct endpoint *dk_endpoint_current(struct dk_resolver *resolver) {
    return &resolver->endpoints[resolver->current];
}

bool dk_endpoint_has_substitute(const struct endpoint *endpoint) {
    const struct dk_resolver *resolver = endpoint->resolver;
    for (size_t i = 0; i < resolver->endpoint_count; i++) {
        if (&resolver->endpoints[i] != endpoint && dk_endpoint_is_up(&resolver->endpoints[i])) {
            return true;
        }
    }
    return false;
}

/* The first that may be asked; the current one if there is none. */
static size_t choose(const struct dk_resolver *resolver) {
    bool works = dk_endpoint_is_up(&resolver->endpoints[resolver->current]);
    for (size_t i = 0; i < resolver->endpoint_count; i++) {
        const struct endpoint *endpoint = &resolver->endpoints[i];
        bool steady = !works || i == resolver->current || endpoint->good_polls >= STEADY_POLLS;
        if (dk_endpoint_is_up(endpoint) && steady) {
            return i;
        }
    }
    return resolver->current;
}

static enum dk_breaker_state sum_up(const struct dk_resolver *resolver) {
    enum dk_breaker_state best = DK_BREAKER_OPEN;
    for (size_t i = 0; i < resolver->endpoint_count; i++) {
        enum dk_breaker_state state = dk_breaker_state(&resolver->endpoints[i].breaker);
        best = state < best ? state : best;
    }
    return best;
}

void dk_endpoints_changed(struct dk_resolver *resolver) {
    size_t chosen = choose(resolver);
    if (chosen != resolver->current) {
        struct endpoint *endpoint = &resolver->endpoints[chosen];
        dk_log_write(resolver->log, DK_LOG_CORE, DK_LOG_WARN,
                     "OPA at %s is asked from now on, not %s", dk_endpoint_url(endpoint),
                     dk_endpoint_url(dk_endpoint_current(resolver)));
        resolver->current = chosen;
        dk_adopt_revisions(endpoint);
    }
    atomic_store_explicit(&resolver->state, sum_up(resolver), memory_order_relaxed);
}

void dk_endpoint_failed(struct endpoint *endpoint) {
    endpoint->good_polls = 0;
    if (dk_breaker_failure(&endpoint->breaker, endpoint->resolver->config->breaker_failures)) {
        endpoint->poll.next_ms = dk_clock_ms();
    }
    dk_endpoints_changed(endpoint->resolver);
}

bool dk_endpoint_set_ready(struct endpoint *endpoint) {
    endpoint->good_polls++;
    bool was_down = dk_breaker_success(&endpoint->breaker);
    dk_endpoints_changed(endpoint->resolver);
    return was_down;
}

void dk_endpoint_answered(struct endpoint *endpoint) {
    /* Only a poll may close a breaker: a late answer says little. */
    if (dk_endpoint_is_up(endpoint)) {
        (void)dk_breaker_success(&endpoint->breaker);
    }
}
