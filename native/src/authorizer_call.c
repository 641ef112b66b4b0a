/* SPDX-License-Identifier: Apache-2.0 */
#include "authorizer_internal.h"

#include "doorkeeper/clock.h"

#include <stdlib.h>
#include <string.h>

#define DEADLINE_MAX_MS 2000
#define ACTIONS_PER_DEADLINE_MS 20 /* 50 µs each */

static int64_t deadline_of(const struct dk_authorizer *authorizer, size_t actions,
                           int64_t deadline_cap_ms) {
    int64_t wait_ms = authorizer->config.deadline_ms + (int64_t)(actions / ACTIONS_PER_DEADLINE_MS);
    if (wait_ms > DEADLINE_MAX_MS) {
        wait_ms = DEADLINE_MAX_MS;
    }
    if (deadline_cap_ms > 0 && wait_ms > deadline_cap_ms) {
        wait_ms = deadline_cap_ms;
    }
    return dk_clock_ms() + wait_ms;
}

/* Parses exactly `count` actions, every byte checked. */
static enum dk_error parse_actions(struct dk_bytes request, struct dk_miss *asked, size_t actions) {
    for (size_t i = 0; i < actions; i++) {
        enum dk_error error = dk_action_parse(&request, &asked[i].action);
        if (error != DK_OK) {
            return error;
        }
    }
    return request.len == 0 ? DK_OK : DK_ERR_MALFORMED;
}

/* One call of dk_authorizer_authorize on its way. */
struct call {
    const struct dk_context *context;
    size_t actions;
    dk_answer *answers;    /* one for each action; DK_ANSWER_MISS: it is open */
    struct dk_miss *asked; /* the open ones in front, in their order */
    size_t open;
    bool any_late; /* there are decisions that should be asked for anew */
    struct tally tally;
};

/* Answers what the deny list denies. */
static void apply_deny_list(struct dk_authorizer *authorizer, struct call *call) {
    dk_denials_apply(authorizer->denials, call->context, call->asked, call->actions);
    for (size_t i = 0; i < call->actions; i++) {
        const struct dk_miss *miss = &call->asked[i];
        if (miss->source == DK_SOURCE_RULE) {
            call->answers[i] = DK_ANSWER(miss->outcome, miss->source);
        } else {
            call->answers[i] = DK_ANSWER_MISS;
            call->asked[call->open++] = *miss;
        }
    }
}

/* Answers what the cache knows. */
static void look_up(struct dk_authorizer *authorizer, struct call *call) {
    int64_t now_ms = dk_clock_coarse_ms();
    size_t next = 0;
    size_t misses = 0;
    for (size_t i = 0; i < call->actions; i++) {
        if (call->answers[i] != DK_ANSWER_MISS) {
            continue;
        }
        const struct dk_miss *miss = &call->asked[next++];
        struct dk_hit hit = dk_cache_lookup(authorizer->cache, miss->key, now_ms);
        call->answers[i] = dk_answer_of_hit(hit);
        call->any_late |= hit.late;
        if (call->answers[i] == DK_ANSWER_MISS) {
            call->asked[misses] = *miss;
            call->asked[misses].outcome = DK_UNAVAILABLE;
            misses++;
        }
    }
    call->tally.hits = call->open - misses;
    call->tally.misses = misses;
    call->open = misses;
}

/* What has no answer gets the last known one. Where the rule is off, the cache has no stale window
 * and finds nothing. */
static void use_stale(struct dk_authorizer *authorizer, struct dk_miss *misses, size_t count) {
    int64_t now_ms = dk_clock_coarse_ms();
    for (size_t i = 0; i < count; i++) {
        if (misses[i].outcome == DK_ALLOW || misses[i].outcome == DK_DENY) {
            continue;
        }
        struct dk_hit hit = dk_cache_lookup(authorizer->cache, misses[i].key, now_ms);
        if (hit.lookup != DK_LOOKUP_MISS) {
            misses[i].outcome = hit.outcome;
            misses[i].source = hit.lookup == DK_LOOKUP_STALE ? DK_SOURCE_STALE : DK_SOURCE_CACHE;
        }
    }
}

/* Every open action gets the outcome of its miss. */
static void fill_in(struct call *call) {
    const struct dk_miss *next = call->asked;
    for (size_t i = 0; i < call->actions; i++) {
        if (call->answers[i] == DK_ANSWER_MISS) {
            call->answers[i] = DK_ANSWER(next->outcome, next->source);
            next++;
        }
    }
}

/* Makes the keys of all that is asked; returns the epoch that they stand for. */
static uint64_t make_all_keys(struct dk_authorizer *authorizer, const struct dk_context *context,
                              struct dk_miss *asked, size_t actions) {
    struct dk_keyed_hash begun;
    uint64_t epoch = dk_cache_epoch(authorizer->cache);
    dk_question_begin(&authorizer->hash_key, context, &begun);
    for (size_t i = 0; i < actions; i++) {
        asked[i].key = dk_question_key(&begun, &asked[i].action, epoch);
        dk_cache_prefetch(authorizer->cache, asked[i].key);
    }
    return epoch;
}

/* Asks cache and OPA for what is open. */
static void ask(struct dk_authorizer *authorizer, struct call *call, int64_t deadline_ms) {
    uint64_t epoch = make_all_keys(authorizer, call->context, call->asked, call->open);
    look_up(authorizer, call);
    if (call->open > 0) {
        dk_resolver_resolve(authorizer->resolver, call->context, call->asked, call->open, epoch,
                            deadline_ms);
        use_stale(authorizer, call->asked, call->open);
        /* Another list may have come while this call waited. */
        dk_denials_apply(authorizer->denials, call->context, call->asked, call->open);
        fill_in(call);
    }
}

/* The deny list, then the other rules, then cache and OPA. */
static void answer_call(struct dk_authorizer *authorizer, struct call *call,
                        int64_t deadline_cap_ms) {
    const struct dk_context *context = call->context;
    bool super_user = dk_is_super_user(&authorizer->config, context);
    dk_answer ruled;
    apply_deny_list(authorizer, call);
    if (!dk_local_rule(context->not_after_s, super_user, &ruled)) {
        ask(authorizer, call, deadline_of(authorizer, call->open, deadline_cap_ms));
        return;
    }
    for (size_t i = 0; i < call->actions; i++) {
        call->answers[i] = call->answers[i] == DK_ANSWER_MISS ? ruled : call->answers[i];
    }
}

static enum dk_error decide(struct dk_authorizer *authorizer, struct dk_bytes context,
                            struct dk_bytes request, struct dk_miss *asked, size_t actions,
                            int64_t deadline_cap_ms, dk_answer *answers) {
    struct dk_context parsed;
    enum dk_error error = dk_context_parse(context, &parsed);
    if (error == DK_OK) {
        error = parse_actions(request, asked, actions);
    }
    if (error != DK_OK) {
        return error;
    }
    struct call call = {.context = &parsed, .actions = actions, .answers = answers, .asked = asked};
    if (dk_is_stopped(authorizer)) {
        memset(answers, DK_ANSWER(DK_UNAVAILABLE, DK_SOURCE_NONE), actions);
        call.tally.misses = actions;
    } else {
        answer_call(authorizer, &call, deadline_cap_ms);
    }
    dk_count_answers(authorizer, &call.tally, answers, actions);
    if (call.any_late) {
        dk_authorizer_refresh(authorizer, context, request, actions);
    }
    return DK_OK;
}

/* Leaves only what is late, and nothing that is denied; returns how many they are. */
static size_t keep_late(struct dk_authorizer *authorizer, struct dk_miss *asked, size_t actions) {
    int64_t now_ms = dk_clock_coarse_ms();
    size_t late = 0;
    for (size_t i = 0; i < actions; i++) {
        if (asked[i].source != DK_SOURCE_RULE &&
            dk_cache_peek(authorizer->cache, asked[i].key, now_ms).late) {
            asked[late++] = asked[i];
        }
    }
    return late;
}

void dk_authorizer_refresh(struct dk_authorizer *authorizer, struct dk_bytes context,
                           struct dk_bytes request, size_t actions) {
    struct dk_context parsed;
    if (dk_is_stopped(authorizer) || actions > request.len / DK_ACTION_HEADER ||
        dk_context_parse(context, &parsed) != DK_OK) {
        return;
    }
    struct dk_miss *asked = calloc(actions + 1, sizeof(*asked));
    if (asked == NULL) {
        return;
    }
    if (parse_actions(request, asked, actions) == DK_OK) {
        uint64_t epoch = make_all_keys(authorizer, &parsed, asked, actions);
        dk_denials_apply(authorizer->denials, &parsed, asked, actions);
        size_t late = keep_late(authorizer, asked, actions);
        dk_resolver_refresh(authorizer->resolver, &parsed, asked, late, epoch);
    }
    free(asked);
}

enum dk_error dk_authorizer_authorize(struct dk_authorizer *authorizer, struct dk_bytes context,
                                      struct dk_bytes request, size_t actions,
                                      int64_t deadline_cap_ms, dk_answer *answers) {
    if (actions > 0) {
        memset(answers, DK_ANSWER(DK_DENY, DK_SOURCE_NONE), actions);
    }
    if (actions > DK_AUTHORIZE_MAX) {
        return DK_ERR_TOO_LARGE;
    }
    if (actions > request.len / DK_ACTION_HEADER) {
        return DK_ERR_MALFORMED; /* before memory is taken for actions that are not there */
    }
    struct dk_miss *asked = calloc(actions + 1, sizeof(*asked));
    if (asked == NULL) {
        return DK_ERR_MEMORY;
    }
    enum dk_error error =
        decide(authorizer, context, request, asked, actions, deadline_cap_ms, answers);
    free(asked);
    return error;
}
