/* SPDX-License-Identifier: Apache-2.0 */
#include "authorizer_internal.h"

#include "doorkeeper/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOG_LINES 4096u
#define FILE_LOOK_MS 500
/* So often the ring of decided questions is emptied. */
#define TAKE_INTERVAL_MS 50
/* A decision is asked for anew in the last quarter of its TTL. */
#define LATE_PART 4

_Static_assert(DK_CONTEXT_MAX + 64 < DK_CONTEXT_MEMO_LEN_END, "a memo holds any context's length");

static size_t questions_bytes(const struct dk_authorizer *authorizer) {
    if (authorizer->questions == NULL) {
        return 0;
    }
    return dk_question_directory_memory_bytes(authorizer->questions) +
           dk_question_ring_memory_bytes(authorizer->decided);
}

size_t dk_authorizer_memory_bytes(const struct dk_authorizer *authorizer) {
    return dk_cache_memory_bytes(authorizer->cache) + dk_context_table_memory_bytes() +
           dk_log_memory_bytes(authorizer->log) + dk_resolver_memory_bytes(authorizer->resolver) +
           dk_decision_log_memory_bytes(authorizer->decisions) + questions_bytes(authorizer) +
           dk_warm_start_memory_bytes(authorizer->warm);
}

static void say_memory(struct dk_authorizer *authorizer) {
    dk_log_write(
        authorizer->log, DK_LOG_CORE, DK_LOG_INFO,
        "memory is fixed from here on, in bytes: cache %zu, contexts %zu, log %zu, "
        "resolver %zu, decision log %zu, questions %zu, warm start %zu, together %zu",
        dk_cache_memory_bytes(authorizer->cache), dk_context_table_memory_bytes(),
        dk_log_memory_bytes(authorizer->log), dk_resolver_memory_bytes(authorizer->resolver),
        dk_decision_log_memory_bytes(authorizer->decisions), questions_bytes(authorizer),
        dk_warm_start_memory_bytes(authorizer->warm), dk_authorizer_memory_bytes(authorizer));
}

static enum dk_error new_resolver(struct dk_authorizer *authorizer, struct dk_error_text *why) {
    struct dk_resolver_parts parts = {.config = &authorizer->config,
                                      .cache = authorizer->cache,
                                      .metrics = authorizer->metrics,
                                      .log = authorizer->log,
                                      .pem = dk_tls_watch_pem(&authorizer->tls),
                                      .decided = authorizer->decided};
    enum dk_error error = dk_resolver_new(&parts, &authorizer->resolver, why);
    if (error != DK_OK) {
        return error;
    }
    struct dk_bytes token = dk_token_watch_token(&authorizer->token);
    return token.len == 0 ? DK_OK : dk_resolver_set_token(authorizer->resolver, token);
}

/* Whether cached decisions are counted, and not recorded one by one. */
static bool counts_hits(const struct dk_authorizer *authorizer) {
    return (authorizer->record_mask & DK_AUDIT_RECORD_UNCACHED) != 0;
}

static enum dk_error new_cache(struct dk_authorizer *authorizer) {
    const struct dk_config *config = &authorizer->config;
    bool keeps_stale = (config->on_unavailable & DK_USE_STALE) != 0;
    struct dk_cache_options options = {
        .entries = (uint64_t)config->cache_entries,
        .stale_window_ms = keeps_stale ? config->stale_max_ms : 0,
        .late_allow_ms = config->cache_ttl_allow_ms / LATE_PART,
        .late_deny_ms = config->cache_ttl_deny_ms / LATE_PART,
        .counts_hits = counts_hits(authorizer),
    };
    return dk_cache_new(&options, &authorizer->cache);
}

/* Only where somebody needs their text. */
static enum dk_error new_questions(struct dk_authorizer *authorizer) {
    const struct dk_config *config = &authorizer->config;
    if (config->warm_start_file[0] == '\0' && !counts_hits(authorizer)) {
        return DK_OK;
    }
    enum dk_error error = dk_question_ring_new(&authorizer->decided);
    return error == DK_OK ? dk_question_directory_new(&authorizer->hash_key,
                                                      (size_t)config->questions_max_bytes,
                                                      &authorizer->questions)
                          : error;
}

static enum dk_error new_decision_log(struct dk_authorizer *authorizer, struct dk_error_text *why) {
    const struct dk_config *config = &authorizer->config;
    struct dk_decision_log_parts parts = {
        .config = config,
        .hash_key = &authorizer->hash_key,
        .cache = authorizer->cache,
        .questions = counts_hits(authorizer) ? authorizer->questions : NULL,
        .metrics = authorizer->metrics,
        .log = authorizer->log,
    };
    return dk_decision_log_new(&parts, &authorizer->decisions, why);
}

static enum dk_error new_warm_start(struct dk_authorizer *authorizer) {
    struct dk_warm_start_parts parts = {
        .config = &authorizer->config,
        .hash_key = &authorizer->hash_key,
        .cache = authorizer->cache,
        .denials = authorizer->denials,
        .questions = authorizer->questions,
        .metrics = authorizer->metrics,
        .log = authorizer->log,
    };
    return dk_warm_start_new(&parts, &authorizer->warm);
}

/* Makes the parts in the order in which they need each other. */
static enum dk_error make_parts(struct dk_authorizer *authorizer, struct dk_error_text *why) {
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
        error = new_cache(authorizer);
    }
    if (error == DK_OK) {
        error = new_questions(authorizer);
    }
    if (error == DK_OK) {
        error = new_decision_log(authorizer, why);
    }
    if (error == DK_OK) {
        error = new_warm_start(authorizer);
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
    authorizer->record_mask = dk_decision_log_mask(&authorizer->config);
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
    dk_warm_start_destroy(authorizer->warm);
    dk_decision_log_destroy(authorizer->decisions);
    dk_question_directory_destroy(authorizer->questions);
    dk_question_ring_destroy(authorizer->decided);
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

bool dk_is_stopped(const struct dk_authorizer *authorizer) {
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

/* Returns how long the round may take. */
static int64_t take_decided(struct dk_authorizer *authorizer) {
    if (authorizer->questions == NULL) {
        return FILE_LOOK_MS;
    }
    dk_question_directory_take(authorizer->questions, authorizer->decided);
    return TAKE_INTERVAL_MS;
}

/* Likewise, at most `at_most_ms`. */
static int64_t look_after_warm_start(struct dk_authorizer *authorizer, int64_t at_most_ms) {
    if (dk_is_stopped(authorizer)) {
        dk_warm_start_end(authorizer->warm);
        return at_most_ms;
    }
    return dk_warm_start_look(authorizer->warm, authorizer->resolver, at_most_ms);
}

/* Likewise. */
static int64_t look_after_decisions(struct dk_authorizer *authorizer, int64_t at_most_ms) {
    char revision[DK_REVISION_MAX];
    dk_resolver_revision(authorizer->resolver, revision);
    return dk_decision_log_round(authorizer->decisions, revision, at_most_ms);
}

size_t dk_authorizer_drain(struct dk_authorizer *authorizer, uint8_t *out, size_t capacity,
                           int timeout_ms) {
    int64_t end_ms = dk_clock_ms() + timeout_ms;
    for (;;) {
        int64_t now_ms = dk_clock_ms();
        look_after_files(authorizer, now_ms);
        int64_t round_ms = take_decided(authorizer);
        round_ms = look_after_warm_start(authorizer, round_ms);
        round_ms = look_after_decisions(authorizer, round_ms);
        int64_t wait_ms = end_ms - now_ms;
        wait_ms = wait_ms < 0 ? 0 : wait_ms > round_ms ? round_ms : wait_ms;
        size_t written = dk_log_drain(authorizer->log, out, capacity, (int)wait_ms);
        if (written > 0 || dk_is_stopped(authorizer) || dk_clock_ms() >= end_ms) {
            return written;
        }
    }
}

enum dk_error dk_authorizer_register(struct dk_authorizer *authorizer, struct dk_bytes context,
                                     uint64_t *handle) {
    if (dk_is_stopped(authorizer)) {
        return DK_ERR_CLOSED;
    }
    struct dk_context parsed;
    enum dk_error error = dk_context_parse(context, &parsed);
    if (error != DK_OK) {
        return error;
    }
    struct dk_context_memo memo;
    memo.not_after_s = parsed.not_after_s;
    memo.super_user = dk_is_super_user(&authorizer->config, &parsed);
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
    /* Nearly every hit is an allow: kept as the difference from HITS, which wraps, ALLOWED costs
     * the usual call nothing. */
    count(authorizer, DK_METRIC_ALLOWED, tally->allowed - tally->hits);
    count(authorizer, DK_METRIC_DENIED, tally->denied);
    count(authorizer, DK_METRIC_STALE, tally->stale);
    count(authorizer, DK_METRIC_UNDEFINED, tally->undefined);
    count(authorizer, DK_METRIC_UNAVAILABLE, tally->unavailable);
}

void dk_count_answers(struct dk_authorizer *authorizer, struct tally *tally,
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

/* Takes up to DK_HASH_LANES actions off the front of `*request`. */
static enum dk_error take_actions(struct dk_bytes *request, struct dk_action *actions,
                                  size_t *taken) {
    size_t n = 0;
    while (n < DK_HASH_LANES && request->len > 0) {
        enum dk_error error = dk_action_parse_fast(request, &actions[n]);
        if (error != DK_OK) {
            return error;
        }
        n++;
    }
    *taken = n;
    return DK_OK;
}

_Static_assert(DK_PROBE_MAX % DK_HASH_LANES == 0, "make_keys fills `keys` by so many");

/* Hashes every action and calls its line nearer; the lines arrive while others are hashed. */
static enum dk_error make_keys(struct dk_authorizer *authorizer, const struct dk_keyed_hash *begun,
                               struct dk_bytes request, struct dk_hash128 keys[DK_PROBE_MAX],
                               size_t *actions) {
    uint64_t epoch = dk_cache_epoch(authorizer->cache);
    size_t n = 0;
    while (request.len > 0) {
        struct dk_action group[DK_HASH_LANES];
        size_t taken;
        if (n == DK_PROBE_MAX) {
            return DK_ERR_TOO_LARGE;
        }
        enum dk_error error = take_actions(&request, group, &taken);
        if (error != DK_OK) {
            return error;
        }
        dk_question_keys(begun, group, taken, epoch, &keys[n]);
        for (size_t end = n + taken; n < end; n++) {
            dk_cache_prefetch(authorizer->cache, keys[n]);
        }
    }
    *actions = n;
    return DK_OK;
}

dk_answer dk_answer_of_hit(struct dk_hit hit) {
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
        answers[i] = dk_answer_of_hit(hit);
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
        dk_count_answers(authorizer, &tally, answers, out->count);
    }
    return error;
}

enum dk_error dk_authorizer_probe(struct dk_authorizer *authorizer, uint64_t handle,
                                  struct dk_bytes request, dk_answer *answers,
                                  struct dk_probed *out) {
    *out = (struct dk_probed){.count = 0};
    if (dk_is_stopped(authorizer)) {
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
    if (dk_local_rule(memo.not_after_s, memo.super_user, &ruled)) {
        return probe_rule(authorizer, ruled, request, answers, out);
    }
    return probe_cache(authorizer, &memo.begun, request, answers, out);
}

void dk_authorizer_set_audit(struct dk_authorizer *authorizer, uint32_t mask) {
    atomic_store_explicit(&authorizer->audit_mask, mask, memory_order_relaxed);
}

uint32_t dk_authorizer_audit_mask(const struct dk_authorizer *authorizer) {
    uint32_t mask = atomic_load_explicit(&authorizer->audit_mask, memory_order_relaxed);
    return mask | authorizer->record_mask;
}

static void write_audit_lines(struct dk_authorizer *authorizer, const struct dk_decided_call *call,
                              uint32_t mask, const char *revision) {
    const struct dk_audit_call shown = {call->principal, call->address, call->api, revision};
    struct dk_bytes rest = call->request;
    for (size_t i = 0; i < call->count; i++) {
        struct dk_action action;
        if (dk_action_parse_fast(&rest, &action) != DK_OK) {
            return;
        }
        enum dk_outcome outcome = DK_ANSWER_OUTCOME(call->answers[i]);
        if (dk_audit_wants(mask, &action, outcome)) {
            dk_audit_write(authorizer->log, &shown, &action, outcome,
                           DK_ANSWER_SOURCE(call->answers[i]));
        }
    }
}

void dk_authorizer_audit(struct dk_authorizer *authorizer, const struct dk_decided_call *call) {
    uint32_t mask = dk_authorizer_audit_mask(authorizer);
    if (mask == 0) {
        return;
    }
    char revision[DK_REVISION_MAX];
    dk_resolver_revision(authorizer->resolver, revision);
    write_audit_lines(authorizer, call, mask, revision);
    dk_decision_log_put(authorizer->decisions, call, revision);
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

static uint64_t read_allowed(const struct dk_metrics *metrics) {
    uint64_t beside_hits = dk_metrics_read(metrics, DK_METRIC_ALLOWED);
    uint64_t allowed = beside_hits + dk_metrics_read(metrics, DK_METRIC_HITS);
    return allowed > INT64_MAX ? 0 : allowed; /* additions under way may be seen in any order */
}

uint64_t dk_authorizer_metric(const struct dk_authorizer *authorizer, enum dk_metric metric) {
    switch (metric) {
    case DK_METRIC_ALLOWED:
        return read_allowed(authorizer->metrics);
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
