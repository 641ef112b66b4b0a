/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A name that makes the policy fail makes the whole batch fail. The batch is asked again in halves
 * until the culprit stands alone, which then travels alone for a while.
 *
 *  - A group keeps the account of one batch: requests left (4 * ceil(log2 n)), its deadline, and
 * for each split how many of its halves failed as well.
 *  - If both halves of the first two splits fail, no single question is the cause: the policy is at
 *    fault and the whole group ends.
 *  - A part is either in resolver->parts, or in the request that asks it. Each holds a reference to
 *    its group, and a group without references is free.
 *  - As many groups as requests are enough: a batch that is asked for the first time is sent only
 *    while no part waits, so then each group that is in use has a request under way, and each of
 *    the other requests begins one group at most.
 *
 * All of it runs on the I/O thread.
 */
#include "resolver_internal.h"

#include <string.h>
#include <utlist.h>

/* ---- suspects ---------------------------------------------------------------------------- */

bool dk_is_suspect(const struct dk_resolver *resolver, const struct flight *flight,
                   int64_t now_ms) {
    struct dk_hash128 key = flight->node.key;
    const struct suspect *suspect = &resolver->suspects[key.h0 % SUSPECTS];
    return suspect->until_ms > now_ms && suspect->key.h0 == key.h0 && suspect->key.h1 == key.h1;
}

static void suspect(struct dk_resolver *resolver, const struct flight *flight, int64_t now_ms) {
    struct dk_hash128 key = flight->node.key;
    struct suspect *entry = &resolver->suspects[key.h0 % SUSPECTS];
    entry->key = key;
    entry->until_ms = now_ms + SUSPECT_MS;
}

static void say_culprit(struct dk_resolver *resolver, const struct flight *flight) {
    const struct dk_context *context = &flight->call->context;
    char principal[160];
    char name[160];
    struct dk_code_name operation;
    struct dk_code_name type;
    size_t principal_len =
        dk_bytes_escape(context->fields[DK_FIELD_PRINCIPAL_NAME], principal, sizeof(principal));
    size_t name_len = dk_bytes_escape(flight->action.name, name, sizeof(name));
    dk_say(resolver, TROUBLE_QUESTION, DK_LOG_WARN,
           "OPA's policy fails for one question: %s on %s '%.*s' by '%.*s'",
           dk_operation_name(flight->action.operation, &operation),
           dk_resource_type_name(flight->action.type, &type), (int)name_len, name,
           (int)principal_len, principal);
}

/* ---- groups and parts -------------------------------------------------------------------- */

static unsigned log2_rounded_up(size_t n) {
    unsigned log2 = 0;
    while (((size_t)1 << log2) < n) {
        log2++;
    }
    return log2;
}

/* NULL if none is free, which cannot be: see the top. */
static struct group *find_free_group(struct dk_resolver *resolver) {
    for (size_t i = 0; i < resolver->request_count; i++) {
        if (resolver->groups[i].references == 0) {
            return &resolver->groups[i];
        }
    }
    return NULL;
}

static struct group *begin_group(const struct request *request) {
    struct group *group = find_free_group(request->resolver);
    if (group == NULL) {
        return NULL;
    }
    unsigned requests = 4 * log2_rounded_up(request->count);
    memset(group, 0, sizeof(*group));
    group->requests_left = requests < SPLIT_REQUESTS_MAX ? requests : SPLIT_REQUESTS_MAX;
    group->deadline_ms = request->deadline_ms;
    return group;
}

static void group_release(struct group *group) {
    group->references--;
}

static void add_part(struct dk_resolver *resolver, struct group *group, unsigned split,
                     const struct dk_opa_question *questions, size_t count) {
    struct part *part = &group->parts[group->parts_used++];
    part->group = group;
    part->split = split;
    part->count = count;
    part->flights = NULL;
    for (size_t i = 0; i < count; i++) {
        struct flight *flight = dk_flight_of(&questions[i]);
        DL_APPEND(part->flights, flight);
    }
    group->references++;
    DL_APPEND(resolver->parts, part);
}

static bool may_split(const struct group *group, const struct request *request) {
    return request->count > 1 && !group->at_fault && group->requests_left >= 2 &&
           dk_clock_ms() < group->deadline_ms;
}

static void split_in_halves(struct group *group, struct request *request) {
    struct dk_resolver *resolver = request->resolver;
    size_t half = request->count / 2;
    unsigned split = group->splits++;
    group->requests_left -= 2;
    add_part(resolver, group, split, request->questions, half);
    add_part(resolver, group, split, request->questions + half, request->count - half);
    dk_metrics_add(resolver->metrics, DK_METRIC_SPLITS, 1);
}

static void end_part(struct dk_resolver *resolver, struct part *part, enum dk_outcome outcome) {
    DL_DELETE(resolver->parts, part);
    while (part->flights != NULL) {
        struct flight *flight = part->flights;
        DL_DELETE(part->flights, flight);
        dk_flights_end(&resolver->flights, flight, outcome, DK_SOURCE_OPA);
    }
    group_release(part->group);
}

/* A part that was not asked before its deadline is not asked at all. */
static void end_late_parts(struct dk_resolver *resolver, int64_t now_ms) {
    pthread_mutex_lock(&resolver->lock);
    while (resolver->parts != NULL && resolver->parts->group->deadline_ms <= now_ms) {
        end_part(resolver, resolver->parts, DK_UNAVAILABLE);
    }
    pthread_mutex_unlock(&resolver->lock);
}

bool dk_split_take(struct dk_resolver *resolver, struct request *request, int64_t now_ms) {
    if (resolver->parts == NULL) {
        return false;
    }
    end_late_parts(resolver, now_ms);
    struct part *part = resolver->parts;
    if (part == NULL) {
        return false;
    }
    DL_DELETE(resolver->parts, part);
    request->part = part;
    request->deadline_ms = part->group->deadline_ms;
    while (part->flights != NULL) {
        struct flight *flight = part->flights;
        DL_DELETE(part->flights, flight);
        request->questions[request->count++] =
            (struct dk_opa_question){.context = &flight->call->context, .action = &flight->action};
    }
    return true;
}

void dk_split_release(struct request *request) {
    if (request->part != NULL) {
        group_release(request->part->group);
        request->part = NULL;
    }
}

static struct part *find_part(const struct dk_resolver *resolver, const struct group *group) {
    struct part *part = resolver->parts;
    while (part != NULL && group != NULL && part->group != group) {
        part = part->next;
    }
    return part;
}

void dk_split_end_parts(struct dk_resolver *resolver, const struct group *group,
                        enum dk_outcome outcome) {
    struct part *part = find_part(resolver, group);
    while (part != NULL) {
        end_part(resolver, part, outcome);
        part = find_part(resolver, group);
    }
}

/* ---- a request that failed --------------------------------------------------------------- */

static bool both_halves_failed(const struct group *group, unsigned split) {
    return split < group->splits && group->failed_halves[split] == 2;
}

/* Notes that the request's part failed as well; true if that puts the blame on the policy. */
static bool puts_blame_on_policy(struct group *group, const struct request *request) {
    if (request->part == NULL || group->at_fault) {
        return false;
    }
    group->failed_halves[request->part->split]++;
    return both_halves_failed(group, 0) && both_halves_failed(group, 1);
}

static void blame_policy(struct request *request, struct group *group, enum dk_outcome outcome) {
    struct dk_resolver *resolver = request->resolver;
    group->at_fault = true;
    dk_say(resolver, TROUBLE_POLICY, DK_LOG_ERROR,
           "OPA's policy fails for every part of a batch: nobody is allowed by it");
    dk_endpoint_failed(request->endpoint);
    pthread_mutex_lock(&resolver->lock);
    dk_split_end_parts(resolver, group, outcome);
    pthread_mutex_unlock(&resolver->lock);
}

static void end_culprit(struct request *request, enum dk_outcome outcome) {
    struct dk_resolver *resolver = request->resolver;
    const struct flight *flight = dk_flight_of(&request->questions[0]);
    suspect(resolver, flight, dk_clock_ms());
    say_culprit(resolver, flight);
    dk_request_end_as(request, outcome, DK_SOURCE_OPA);
}

void dk_split(struct request *request, enum dk_outcome outcome) {
    if (request->part == NULL && request->count == 1) {
        end_culprit(request, outcome);
        return;
    }
    struct group *group = request->part != NULL ? request->part->group : begin_group(request);
    if (group == NULL) {
        dk_request_end_as(request, DK_UNAVAILABLE, DK_SOURCE_OPA);
        return;
    }
    group->references++; /* while this function works with it */
    if (puts_blame_on_policy(group, request)) {
        blame_policy(request, group, outcome);
    }
    if (request->count == 1 && !group->at_fault) {
        end_culprit(request, outcome);
    } else if (may_split(group, request)) {
        split_in_halves(group, request);
    } else {
        dk_request_end_as(request, outcome, DK_SOURCE_OPA);
    }
    group_release(group);
}
