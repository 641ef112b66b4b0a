/* SPDX-License-Identifier: Apache-2.0 */
#include "doorkeeper/authorizer.h"

#include "denials.h"
#include "doorkeeper/cache.h"
#include "doorkeeper/clock.h"
#include "doorkeeper/context_table.h"
#include "doorkeeper/log.h"
#include "doorkeeper/resolver.h"
#include "tls_watch.h"
#include "token_watch.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define LOG_LINES 4096u
#define DEADLINE_MAX_MS 2000
#define ACTIONS_PER_DEADLINE_MS 20 /* 50 µs each */
#define FILE_LOOK_MS 500
/* A decision is asked for anew in the last quarter of its TTL. */
#define LATE_PART 4

_Static_assert(DK_CONTEXT_MAX + 64 < DK_CONTEXT_MEMO_LEN_END, "a memo holds any context's length");

struct dk_authorizer {
    struct dk_config config;
    struct dk_hash_key hash_key;
    struct dk_cache *cache;
    struct dk_context_table *contexts;
    struct dk_metrics *metrics;
    struct dk_log *log;
    struct dk_denials *denials;
    struct dk_resolver *resolver;
    _Atomic bool stopped;        /* a flag only: it publishes nothing, so relaxed will do */
    _Atomic uint32_t audit_mask; /* likewise */
    /* The scribe's alone. */
    struct dk_token_watch token;
    bool token_waits; /* the token in use is not yet the resolver's */
    struct dk_tls_watch tls;
    struct dk_file_watch flush_file;
    struct dk_log_limit flush_limit;
    int64_t next_look_ms;
};

/* What a call decided, added to the shared counters once. */
struct tally {
    size_t rules, hits, misses, allowed, denied, stale, undefined, unavailable;
};

size_t dk_authorizer_memory_bytes(const struct dk_authorizer *authorizer) {
    return dk_cache_memory_bytes(authorizer->cache) + dk_context_table_memory_bytes() +
           dk_log_memory_bytes(authorizer->log) + dk_resolver_memory_bytes(authorizer->resolver);
}

static void say_memory(struct dk_authorizer *authorizer) {
    dk_log_write(authorizer->log, DK_LOG_CORE, DK_LOG_INFO,
                 "memory is fixed from here on, in bytes: cache %zu, contexts %zu, log %zu, "
                 "resolver %zu, together %zu",
                 dk_cache_memory_bytes(authorizer->cache), dk_context_table_memory_bytes(),
                 dk_log_memory_bytes(authorizer->log),
                 dk_resolver_memory_bytes(authorizer->resolver),
                 dk_authorizer_memory_bytes(authorizer));
}

static enum dk_error new_resolver(struct dk_authorizer *authorizer, struct dk_error_text *why) {
    struct dk_resolver_parts parts = {&authorizer->config, authorizer->cache, authorizer->metrics,
                                      authorizer->log, dk_tls_watch_pem(&authorizer->tls)};
    enum dk_error error = dk_resolver_new(&parts, &authorizer->resolver, why);
    if (error != DK_OK) {
        return error;
    }
    struct dk_bytes token = dk_token_watch_token(&authorizer->token);
    return token.len == 0 ? DK_OK : dk_resolver_set_token(authorizer->resolver, token);
}

/* Makes the parts in the order in which they need each other. */
static enum dk_error make_parts(struct dk_authorizer *authorizer, struct dk_error_text *why) {
    bool keeps_stale = (authorizer->config.on_unavailable & DK_USE_STALE) != 0;
    struct dk_cache_options cache_options = {
        .entries = (uint64_t)authorizer->config.cache_entries,
        .stale_window_ms = keeps_stale ? authorizer->config.stale_max_ms : 0,
        .late_allow_ms = authorizer->config.cache_ttl_allow_ms / LATE_PART,
        .late_deny_ms = authorizer->config.cache_ttl_deny_ms / LATE_PART,
    };
    const struct dk_config *config = &authorizer->config;
    enum dk_error error = dk_token_watch_init(&authorizer->token, config, why);
    if (error == DK_OK) {
        error = dk_tls_watch_init(&authorizer->tls, config, why);
    }
    if (error == DK_OK) {
        error = dk_file_watch_init(&authorizer->flush_file, config, DK_FILE_FLUSH, why);
    }
    if (error == DK_OK) {
        error = dk_hash_key_init(&authorizer->hash_key);
    }
    if (error == DK_OK) {
        error = dk_log_new(LOG_LINES, &authorizer->log);
    }
    if (error == DK_OK) {
        error = dk_denials_new(config, authorizer->log, &authorizer->denials, why);
    }
    if (error == DK_OK) {
        error = dk_metrics_new(&authorizer->metrics);
    }
    if (error == DK_OK) {
        error = dk_context_table_new(&authorizer->contexts);
    }
    if (error == DK_OK) {
        error = dk_cache_new(&cache_options, &authorizer->cache);
    }
    return error == DK_OK ? new_resolver(authorizer, why) : error;
}

enum dk_error dk_authorizer_new(struct dk_config *config, struct dk_authorizer **out,
                                struct dk_error_text *why) {
    *out = NULL;
    dk_fail(why, DK_OK, "%s", "");
    struct dk_authorizer *authorizer = calloc(1, sizeof(*authorizer));
    if (authorizer == NULL) {
        dk_config_clean_up(config);
        return dk_fail(why, DK_ERR_MEMORY, "%s", dk_strerror(DK_ERR_MEMORY));
    }
    authorizer->config = *config;
    memset(config, 0, sizeof(*config));
    enum dk_error error = make_parts(authorizer, why);
    if (error != DK_OK) {
        if (why != NULL && why->text[0] == '\0') {
            dk_fail(why, error, "%s", dk_strerror(error));
        }
        dk_authorizer_destroy(authorizer);
        return error;
    }
    say_memory(authorizer);
    *out = authorizer;
    return DK_OK;
}

void dk_authorizer_destroy(struct dk_authorizer *authorizer) {
    if (authorizer == NULL) {
        return;
    }
    dk_resolver_destroy(authorizer->resolver);
    dk_cache_destroy(authorizer->cache);
    dk_context_table_destroy(authorizer->contexts);
    dk_metrics_destroy(authorizer->metrics);
    dk_denials_destroy(authorizer->denials);
    dk_log_destroy(authorizer->log);
    dk_file_watch_clean_up(&authorizer->flush_file);
    dk_token_watch_clean_up(&authorizer->token);
    dk_tls_watch_clean_up(&authorizer->tls);
    dk_config_clean_up(&authorizer->config);
    explicit_bzero(&authorizer->hash_key, sizeof(authorizer->hash_key));
    free(authorizer);
}

const struct dk_config *dk_authorizer_config(const struct dk_authorizer *authorizer) {
    return &authorizer->config;
}

void dk_authorizer_run(struct dk_authorizer *authorizer) {
    dk_resolver_run(authorizer->resolver);
}

static bool is_stopped(const struct dk_authorizer *authorizer) {
    return atomic_load_explicit(&authorizer->stopped, memory_order_relaxed);
}

void dk_authorizer_stop(struct dk_authorizer *authorizer) {
    atomic_store_explicit(&authorizer->stopped, true, memory_order_relaxed);
    dk_resolver_stop(authorizer->resolver);
    dk_log_close(authorizer->log);
}

static void look_after_token(struct dk_authorizer *authorizer) {
    authorizer->token_waits |= dk_token_watch_look(&authorizer->token, authorizer->log);
    if (!authorizer->token_waits) {
        return;
    }
    struct dk_bytes token = dk_token_watch_token(&authorizer->token);
    if (dk_resolver_set_token(authorizer->resolver, token) == DK_OK) {
        authorizer->token_waits = false;
        dk_log_write(authorizer->log, DK_LOG_CORE, DK_LOG_INFO, "the token for OPA was replaced");
    } else {
        dk_log_write(authorizer->log, DK_LOG_CORE, DK_LOG_ERROR,
                     "the new token for OPA could not be taken over; it is tried again");
    }
}

static void look_after_flush_file(struct dk_authorizer *authorizer) {
    struct dk_error_text why = {""};
    switch (dk_file_watch_look(&authorizer->flush_file, &why)) {
    case DK_FILE_OLD:
        return;
    case DK_FILE_NEW:
        dk_file_watch_accept(&authorizer->flush_file);
        dk_authorizer_flush(authorizer);
        return;
    case DK_FILE_FAILED:
        dk_log_write_limited(authorizer->log, &authorizer->flush_limit, DK_LOG_WARN,
                             "%s; nothing can be flushed by it", why.text);
        return;
    }
}

static void look_after_files(struct dk_authorizer *authorizer, int64_t now_ms) {
    if (now_ms < authorizer->next_look_ms) {
        return;
    }
    authorizer->next_look_ms = now_ms + FILE_LOOK_MS;
    dk_denials_look(authorizer->denials);
    look_after_flush_file(authorizer);
    look_after_token(authorizer);
    dk_tls_watch_look(&authorizer->tls, authorizer->resolver, authorizer->log);
}

size_t dk_authorizer_drain(struct dk_authorizer *authorizer, uint8_t *out, size_t capacity,
                           int timeout_ms) {
    int64_t end_ms = dk_clock_ms() + timeout_ms;
    for (;;) {
        int64_t now_ms = dk_clock_ms();
        look_after_files(authorizer, now_ms);
        int64_t wait_ms = end_ms - now_ms;
        wait_ms = wait_ms < 0 ? 0 : wait_ms > FILE_LOOK_MS ? FILE_LOOK_MS : wait_ms;
        size_t written = dk_log_drain(authorizer->log, out, capacity, (int)wait_ms);
        if (written > 0 || is_stopped(authorizer) || dk_clock_ms() >= end_ms) {
            return written;
        }
    }
}

static bool is_super_user(const struct dk_config *config, const struct dk_context *context) {
    for (size_t i = 0; i < config->super_user_count; i++) {
        if (dk_context_is_principal(context, dk_bytes_of(config->super_users[i]))) {
            return true;
        }
    }
    return false;
}

/* The rules that need nobody else, save the deny list, which comes before them. True if one of them
 * decides every action of the call. */
static bool local_rule(int64_t not_after_s, bool super_user, dk_answer *answer) {
    if (not_after_s != 0 && dk_clock_wall_s() > not_after_s) {
        *answer = DK_ANSWER(DK_DENY, DK_SOURCE_RULE);
        return true;
    }
    if (super_user) {
        *answer = DK_ANSWER(DK_ALLOW, DK_SOURCE_RULE);
        return true;
    }
    return false;
}

enum dk_error dk_authorizer_register(struct dk_authorizer *authorizer, struct dk_bytes context,
                                     uint64_t *handle) {
    if (is_stopped(authorizer)) {
        return DK_ERR_CLOSED;
    }
    struct dk_context parsed;
    enum dk_error error = dk_context_parse(context, &parsed);
    if (error != DK_OK) {
        return error;
    }
    struct dk_context_memo memo;
    memo.not_after_s = parsed.not_after_s;
    memo.super_user = is_super_user(&authorizer->config, &parsed);
    /* The number before the list: a list that comes in between makes the memo stale. */
    memo.deny_generation = dk_denials_generation(authorizer->denials);
    memo.may_be_denied = dk_denials_concern(authorizer->denials, &parsed);
    dk_question_begin(&authorizer->hash_key, &parsed, &memo.begun);
    *handle = dk_context_table_put(authorizer->contexts, &memo);
    return DK_OK;
}

static void count(struct dk_authorizer *authorizer, enum dk_metric metric, size_t amount) {
    if (amount > 0) {
        dk_metrics_add(authorizer->metrics, metric, amount);
    }
}

static void count_tally(struct dk_authorizer *authorizer, const struct tally *tally) {
    count(authorizer, DK_METRIC_RULES, tally->rules);
    count(authorizer, DK_METRIC_HITS, tally->hits);
    count(authorizer, DK_METRIC_MISSES, tally->misses);
    count(authorizer, DK_METRIC_ALLOWED, tally->allowed);
    count(authorizer, DK_METRIC_DENIED, tally->denied);
    count(authorizer, DK_METRIC_STALE, tally->stale);
    count(authorizer, DK_METRIC_UNDEFINED, tally->undefined);
    count(authorizer, DK_METRIC_UNAVAILABLE, tally->unavailable);
}

/* Of a call whose answers are final. `tally` knows its hits and misses. */
static void count_answers(struct dk_authorizer *authorizer, struct tally *tally,
                          const dk_answer *answers, size_t actions) {
    for (size_t i = 0; i < actions; i++) {
        enum dk_outcome outcome = DK_ANSWER_OUTCOME(answers[i]);
        tally->rules += DK_ANSWER_SOURCE(answers[i]) == DK_SOURCE_RULE;
        tally->allowed += outcome == DK_ALLOW;
        tally->stale += DK_ANSWER_SOURCE(answers[i]) == DK_SOURCE_STALE;
        tally->undefined += outcome == DK_UNDEFINED;
        tally->unavailable += outcome == DK_UNAVAILABLE;
    }
    tally->denied = actions - tally->allowed;
    count(authorizer, DK_METRIC_CALLS, 1);
    count_tally(authorizer, tally);
}

/* Hashes every action and calls its line nearer; the lines arrive while others are hashed. */
static enum dk_error make_keys(struct dk_authorizer *authorizer, const struct dk_keyed_hash *begun,
                               struct dk_bytes request, struct dk_hash128 keys[DK_PROBE_MAX],
                               size_t *actions) {
    uint64_t epoch = dk_cache_epoch(authorizer->cache);
    size_t n = 0;
    while (request.len > 0) {
        struct dk_action action;
        if (n == DK_PROBE_MAX) {
            return DK_ERR_TOO_LARGE;
        }
        enum dk_error error = dk_action_parse_fast(&request, &action);
        if (error != DK_OK) {
            return error;
        }
        keys[n] = dk_question_key(begun, &action, epoch);
        dk_cache_prefetch(authorizer->cache, keys[n]);
        n++;
    }
    *actions = n;
    return DK_OK;
}

static dk_answer answer_of_hit(struct dk_hit hit) {
    return hit.lookup == DK_LOOKUP_FRESH ? DK_ANSWER(hit.outcome, DK_SOURCE_CACHE) : DK_ANSWER_MISS;
}

static enum dk_error probe_cache(struct dk_authorizer *authorizer,
                                 const struct dk_keyed_hash *begun, struct dk_bytes request,
                                 dk_answer *answers, struct dk_probed *out) {
    struct dk_hash128 keys[DK_PROBE_MAX];
    size_t n;
    enum dk_error error = make_keys(authorizer, begun, request, keys, &n);
    if (error != DK_OK) {
        return error;
    }
    int64_t now_ms = dk_clock_coarse_ms();
    size_t allowed = 0, misses = 0, late = 0;
    for (size_t i = 0; i < n; i++) {
        struct dk_hit hit = dk_cache_lookup(authorizer->cache, keys[i], now_ms);
        answers[i] = answer_of_hit(hit);
        allowed += answers[i] == DK_ANSWER(DK_ALLOW, DK_SOURCE_CACHE);
        misses += answers[i] == DK_ANSWER_MISS;
        late += hit.late;
    }
    struct tally tally = {.hits = n - misses, .allowed = allowed, .denied = n - misses - allowed};
    /* A call with misses comes back through dk_authorizer_authorize and is counted there. */
    count(authorizer, DK_METRIC_CALLS, misses == 0);
    count_tally(authorizer, &tally);
    *out = (struct dk_probed){.count = n, .not_allowed = n - allowed, .late = late};
    return DK_OK;
}

/* The same answer for every action of a request. */
static enum dk_error answer_all(dk_answer answer, struct dk_bytes request, dk_answer *answers,
                                struct dk_probed *out) {
    size_t n = 0;
    while (request.len > 0) {
        struct dk_action action;
        if (n == DK_PROBE_MAX) {
            return DK_ERR_TOO_LARGE;
        }
        enum dk_error error = dk_action_parse_fast(&request, &action);
        if (error != DK_OK) {
            return error;
        }
        answers[n++] = answer;
    }
    *out = (struct dk_probed){.count = n,
                              .not_allowed = DK_ANSWER_OUTCOME(answer) == DK_ALLOW ? 0 : n};
    return DK_OK;
}

static enum dk_error probe_rule(struct dk_authorizer *authorizer, dk_answer answer,
                                struct dk_bytes request, dk_answer *answers,
                                struct dk_probed *out) {
    enum dk_error error = answer_all(answer, request, answers, out);
    if (error == DK_OK) {
        struct tally tally = {0};
        count_answers(authorizer, &tally, answers, out->count);
    }
    return error;
}

enum dk_error dk_authorizer_probe(struct dk_authorizer *authorizer, uint64_t handle,
                                  struct dk_bytes request, dk_answer *answers,
                                  struct dk_probed *out) {
    *out = (struct dk_probed){.count = 0};
    if (is_stopped(authorizer)) {
        return DK_ERR_CLOSED;
    }
    struct dk_context_memo memo;
    if (!dk_context_table_get(authorizer->contexts, handle, &memo)) {
        return DK_ERR_STALE;
    }
    if (memo.deny_generation != dk_denials_generation(authorizer->denials)) {
        return DK_ERR_STALE;
    }
    dk_answer ruled;
    if (memo.may_be_denied) {
        /* Which actions it is takes the list, and so a lock. */
        return answer_all(DK_ANSWER_MISS, request, answers, out);
    }
    if (local_rule(memo.not_after_s, memo.super_user, &ruled)) {
        return probe_rule(authorizer, ruled, request, answers, out);
    }
    return probe_cache(authorizer, &memo.begun, request, answers, out);
}

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
        call->answers[i] = answer_of_hit(hit);
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
    bool super_user = is_super_user(&authorizer->config, context);
    dk_answer ruled;
    apply_deny_list(authorizer, call);
    if (!local_rule(context->not_after_s, super_user, &ruled)) {
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
    if (is_stopped(authorizer)) {
        memset(answers, DK_ANSWER(DK_UNAVAILABLE, DK_SOURCE_NONE), actions);
        call.tally.misses = actions;
    } else {
        answer_call(authorizer, &call, deadline_cap_ms);
    }
    count_answers(authorizer, &call.tally, answers, actions);
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
            dk_cache_lookup(authorizer->cache, asked[i].key, now_ms).late) {
            asked[late++] = asked[i];
        }
    }
    return late;
}

void dk_authorizer_refresh(struct dk_authorizer *authorizer, struct dk_bytes context,
                           struct dk_bytes request, size_t actions) {
    struct dk_context parsed;
    if (is_stopped(authorizer) || actions > request.len / DK_ACTION_HEADER ||
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

void dk_authorizer_set_audit(struct dk_authorizer *authorizer, uint32_t mask) {
    atomic_store_explicit(&authorizer->audit_mask, mask, memory_order_relaxed);
}

uint32_t dk_authorizer_audit_mask(const struct dk_authorizer *authorizer) {
    return atomic_load_explicit(&authorizer->audit_mask, memory_order_relaxed);
}

void dk_authorizer_audit(struct dk_authorizer *authorizer, struct dk_bytes principal,
                         struct dk_bytes address, struct dk_bytes api, struct dk_bytes request,
                         size_t actions, const dk_answer *answers) {
    uint32_t mask = dk_authorizer_audit_mask(authorizer);
    if (mask == 0) {
        return;
    }
    char revision[DK_REVISION_MAX];
    dk_resolver_revision(authorizer->resolver, revision);
    struct dk_audit_call call = {principal, address, api, revision};
    for (size_t i = 0; i < actions; i++) {
        struct dk_action action;
        if (dk_action_parse_fast(&request, &action) != DK_OK) {
            return;
        }
        enum dk_outcome outcome = DK_ANSWER_OUTCOME(answers[i]);
        if (dk_audit_wants(mask, &action, outcome)) {
            dk_audit_write(authorizer->log, &call, &action, outcome, DK_ANSWER_SOURCE(answers[i]));
        }
    }
}

void dk_authorizer_flush(struct dk_authorizer *authorizer) {
    dk_cache_bump_epoch(authorizer->cache);
    dk_metrics_add(authorizer->metrics, DK_METRIC_EPOCHS, 1);
    dk_log_write(authorizer->log, DK_LOG_CORE, DK_LOG_INFO,
                 "flushed: every cached decision is unreachable");
}

enum dk_error dk_authorizer_set_cluster_id(struct dk_authorizer *authorizer,
                                           struct dk_bytes cluster_id) {
    return dk_resolver_set_cluster_id(authorizer->resolver, cluster_id);
}

bool dk_authorizer_wait_ready(struct dk_authorizer *authorizer, int64_t timeout_ms) {
    return dk_resolver_wait_ready(authorizer->resolver, timeout_ms);
}

uint64_t dk_authorizer_metric(const struct dk_authorizer *authorizer, enum dk_metric metric) {
    switch (metric) {
    case DK_METRIC_LOG_DROPPED:
        return dk_log_dropped(authorizer->log);
    case DK_METRIC_BREAKER:
        return dk_resolver_breaker_state(authorizer->resolver);
    case DK_METRIC_DENY_ENTRIES:
        return dk_denials_count(authorizer->denials);
    default:
        return dk_metrics_read(authorizer->metrics, metric);
    }
}

struct dk_log *dk_authorizer_log(struct dk_authorizer *authorizer) {
    return authorizer->log;
}
