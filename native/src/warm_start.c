/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must hold:
 *
 *  1. What the file says is checked like any foreign bytes, and only ever becomes a question.
 *  2. A client's question goes first: no more than DK_ASKED_AHEAD_MAX questions are on their way
 *     while one of the file's is asked, clients' own included.
 *  3. The file is not written before all that it held was asked or left out: a node that stops
 *     before OPA was there keeps the file that it found.
 */
#include "warm_start.h"

#include "doorkeeper/clock.h"
#include "doorkeeper/file.h"
#include "question_file.h"
#include "rules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SHOWN_PATH_MAX 200
/* The first time at once: a node may be killed when it is young. */
#define SAVE_INTERVAL_MS 60000
/* Between two rounds, OPA answers what one of them asks. */
#define ASK_INTERVAL_MS 5
/* In one round, so that files and log lines have their turn. */
#define ASKED_AT_ONCE 2000u
/* Of one piece: far less than what one principal may have on its way. */
#define PIECE_BYTES ((size_t)1024 * 1024)

enum phase {
    WAITS,   /* for OPA, and to know the cluster's id */
    ASKS,    /* what is in `groups` and `actions` */
    SETTLES, /* all is asked; the last answers come */
    OVER,
};

struct dk_warm_start {
    struct dk_warm_start_parts parts;
    enum phase phase;
    struct dk_writer file; /* the content, until all of it was asked */
    struct dk_bytes groups;
    struct dk_context context; /* whose `actions` are next */
    struct dk_bytes actions;
    struct dk_writer cluster_id;
    struct dk_miss *piece; /* room for DK_ASKED_AHEAD_MAX */
    int64_t began_ms, asked_ms;
    size_t asked, foreign, ruled;

    uint64_t saved; /* the directory's additions that are in the file */
    int64_t next_save_ms;
    struct dk_log_limit save_limit;
};

/* ---- the file ---------------------------------------------------------------------------- */

static void say_file(struct dk_warm_start *warm, const char *cause, const char *effect) {
    char path[SHOWN_PATH_MAX];
    int len =
        (int)dk_bytes_escape(dk_bytes_of(warm->parts.config->warm_start_file), path, sizeof(path));
    dk_log_write_limited(warm->parts.log, &warm->save_limit, DK_LOG_WARN,
                         "doorkeeper.warm.start.file=%.*s: %s; %s", len, path, cause, effect);
}

static void read_file(struct dk_warm_start *warm) {
    const struct dk_config *config = warm->parts.config;
    struct dk_error_text why = {""};
    struct stat status;
    bool there = stat(config->warm_start_file, &status) == 0;
    if (!there && errno == ENOENT) {
        return;
    }
    if (there && !S_ISREG(status.st_mode)) { /* to open a pipe would wait for its other end */
        say_file(warm, "it is no regular file", "nothing is asked ahead");
        return;
    }
    if (dk_file_read(config->warm_start_file, &warm->file, &why) == DK_ERR_SYSTEM) {
        dk_log_write(warm->parts.log, DK_LOG_CORE, DK_LOG_WARN,
                     "doorkeeper.warm.start.file=%s; nothing is asked ahead", why.text);
        return;
    }
    /* Of a file that is too large the front was read, and is broken where it ends. */
    if (dk_question_file_check(dk_writer_view(&warm->file), config->question_fields, &warm->groups,
                               &why) != DK_OK) {
        say_file(warm, why.text,
                 warm->groups.len > 0 ? "what stands before that is asked ahead"
                                      : "nothing is asked ahead");
    }
}

static bool has_news(const struct dk_warm_start *warm) {
    return warm->phase == OVER &&
           dk_question_directory_additions(warm->parts.questions) != warm->saved;
}

static void save(struct dk_warm_start *warm) {
    const struct dk_config *config = warm->parts.config;
    uint64_t additions = dk_question_directory_additions(warm->parts.questions);
    struct dk_error_text why = {""};
    if (dk_question_file_write(config->warm_start_file, config->question_fields,
                               warm->parts.questions, &why) == DK_OK) {
        warm->saved = additions;
    } else {
        say_file(warm, why.text, "a restart will ask nothing ahead, or what is older");
    }
}

/* ---- making and ending it ---------------------------------------------------------------- */

static enum dk_error make_parts(struct dk_warm_start *warm) {
    dk_writer_init(&warm->file, (size_t)warm->parts.config->questions_max_bytes);
    dk_writer_init(&warm->cluster_id, DK_CONTEXT_MAX);
    warm->piece = calloc(DK_ASKED_AHEAD_MAX, sizeof(*warm->piece));
    return warm->piece == NULL ? DK_ERR_MEMORY : DK_OK;
}

enum dk_error dk_warm_start_new(const struct dk_warm_start_parts *parts,
                                struct dk_warm_start **out) {
    *out = NULL;
    if (parts->config->warm_start_file[0] == '\0') {
        return DK_OK;
    }
    struct dk_warm_start *warm = calloc(1, sizeof(*warm));
    if (warm == NULL) {
        return DK_ERR_MEMORY;
    }
    warm->parts = *parts;
    enum dk_error error = make_parts(warm);
    if (error != DK_OK) {
        dk_warm_start_destroy(warm);
        return error;
    }
    read_file(warm);
    warm->phase = warm->groups.len > 0 ? WAITS : OVER;
    *out = warm;
    return DK_OK;
}

void dk_warm_start_destroy(struct dk_warm_start *warm) {
    if (warm == NULL) {
        return;
    }
    dk_writer_clean_up(&warm->file);
    dk_writer_clean_up(&warm->cluster_id);
    free(warm->piece);
    free(warm);
}

size_t dk_warm_start_memory_bytes(const struct dk_warm_start *warm) {
    if (warm == NULL) {
        return 0;
    }
    return warm->file.capacity + DK_ASKED_AHEAD_MAX * sizeof(*warm->piece);
}

/* ---- asking ------------------------------------------------------------------------------ */

static size_t count_actions(struct dk_bytes request) {
    struct dk_action action;
    size_t count = 0;
    while (request.len > 0 && dk_action_parse(&request, &action) == DK_OK) {
        count++;
    }
    return count;
}

/* Whether nobody will ever ask OPA these. */
static bool is_left_out(struct dk_warm_start *warm, struct dk_bytes request) {
    const struct dk_context *context = &warm->context;
    dk_answer ruled;
    if (!dk_bytes_equal(context->fields[DK_FIELD_CLUSTER_ID], dk_writer_view(&warm->cluster_id))) {
        warm->foreign += count_actions(request);
        return true;
    }
    if (dk_local_rule(context->not_after_s, dk_is_super_user(warm->parts.config, context),
                      &ruled)) {
        warm->ruled += count_actions(request);
        return true;
    }
    return false;
}

static bool next_group(struct dk_warm_start *warm) {
    struct dk_bytes request;
    while (dk_question_file_next(&warm->groups, &warm->context, &request)) {
        if (!is_left_out(warm, request)) {
            warm->actions = request;
            return true;
        }
    }
    return false;
}

/* The next actions of the context; `rest` is what stands behind them. */
static size_t take_piece(struct dk_warm_start *warm, size_t max, struct dk_bytes *rest) {
    size_t count = 0;
    *rest = warm->actions;
    while (count < max && rest->len > 0 && warm->actions.len - rest->len < PIECE_BYTES) {
        struct dk_miss *miss = &warm->piece[count];
        memset(miss, 0, sizeof(*miss));
        if (dk_action_parse(rest, &miss->action) != DK_OK) {
            rest->len = 0; /* cannot be: all was checked */
            break;
        }
        count++;
    }
    return count;
}

/* Puts what the deny list leaves to the front; returns how many they are. */
static size_t leave_out_denied(struct dk_warm_start *warm, size_t count) {
    size_t kept = 0;
    dk_denials_apply_quietly(warm->parts.denials, &warm->context, warm->piece, count);
    for (size_t i = 0; i < count; i++) {
        if (warm->piece[i].source != DK_SOURCE_RULE) {
            warm->piece[kept++] = warm->piece[i];
        }
    }
    return kept;
}

/* False if there is no room for them now. */
static bool ask(struct dk_warm_start *warm, struct dk_resolver *resolver, size_t count) {
    struct dk_keyed_hash begun;
    uint64_t epoch = dk_cache_epoch(warm->parts.cache);
    dk_question_begin(warm->parts.hash_key, &warm->context, &begun);
    for (size_t i = 0; i < count; i++) {
        warm->piece[i].key = dk_question_key(&begun, &warm->piece[i].action, epoch);
    }
    size_t opened = 0;
    bool all = dk_resolver_ask_ahead(resolver, &warm->context, warm->piece, count, epoch, &opened);
    dk_metrics_add(warm->parts.metrics, DK_METRIC_WARM_QUESTIONS, opened);
    warm->asked += opened;
    return all;
}

/* What was asked here before is remembered, whether it is asked now or not. */
static void remember(struct dk_warm_start *warm, size_t len) {
    struct dk_bytes request = {warm->actions.ptr, len};
    struct dk_action action;
    while (request.len > 0 && dk_action_parse(&request, &action) == DK_OK) {
        (void)dk_question_directory_put(warm->parts.questions, &warm->context, &action, NULL);
    }
}

/* Returns how many actions were dealt with, 0 if there is no room now. */
static size_t ask_piece(struct dk_warm_start *warm, struct dk_resolver *resolver) {
    struct dk_bytes rest;
    size_t count = take_piece(warm, dk_resolver_ahead_max(resolver), &rest);
    size_t kept = leave_out_denied(warm, count);
    if (kept > 0 && !ask(warm, resolver, kept)) {
        return 0;
    }
    warm->ruled += count - kept;
    remember(warm, warm->actions.len - rest.len);
    warm->actions = rest;
    return count;
}

static void ask_some(struct dk_warm_start *warm, struct dk_resolver *resolver) {
    size_t asked = 0;
    while (warm->actions.len > 0 || next_group(warm)) {
        size_t count = asked < ASKED_AT_ONCE ? ask_piece(warm, resolver) : 0;
        if (count == 0) {
            return;
        }
        asked += count;
    }
    warm->phase = SETTLES;
    warm->asked_ms = dk_clock_ms();
}

/* ---- the rounds -------------------------------------------------------------------------- */

static void begin_if_ready(struct dk_warm_start *warm, struct dk_resolver *resolver) {
    dk_writer_reset(&warm->cluster_id);
    if (dk_resolver_wait_ready(resolver, 0) &&
        dk_resolver_cluster_id(resolver, &warm->cluster_id) && !warm->cluster_id.failed) {
        warm->phase = ASKS;
        warm->began_ms = dk_clock_ms();
    }
}

/* Whether each of them was answered, or never will be. */
static bool is_settled(const struct dk_warm_start *warm, struct dk_resolver *resolver) {
    return dk_resolver_is_idle(resolver) ||
           dk_clock_ms() > warm->asked_ms + warm->parts.config->deadline_ms;
}

static void finish(struct dk_warm_start *warm) {
    warm->phase = OVER;
    warm->groups.len = 0;
    dk_writer_clean_up(&warm->file);
    dk_log_write(warm->parts.log, DK_LOG_CORE, DK_LOG_INFO,
                 "warm start: questions asked of OPA again: %zu, in %lld ms; left out, because "
                 "local rules decide them: %zu, because they are of another cluster: %zu",
                 warm->asked, (long long)(dk_clock_ms() - warm->began_ms), warm->ruled,
                 warm->foreign);
}

static void go_on(struct dk_warm_start *warm, struct dk_resolver *resolver) {
    if (warm->phase == WAITS) {
        begin_if_ready(warm, resolver);
    }
    if (warm->phase == ASKS) {
        ask_some(warm, resolver);
    }
    if (warm->phase == SETTLES && is_settled(warm, resolver)) {
        finish(warm);
    }
}

int64_t dk_warm_start_look(struct dk_warm_start *warm, struct dk_resolver *resolver,
                           int64_t at_most_ms) {
    if (warm == NULL) {
        return at_most_ms;
    }
    go_on(warm, resolver);
    if (has_news(warm) && dk_clock_ms() >= warm->next_save_ms) {
        save(warm);
        warm->next_save_ms = dk_clock_ms() + SAVE_INTERVAL_MS;
    }
    bool asks = warm->phase == ASKS || warm->phase == SETTLES;
    return asks && at_most_ms > ASK_INTERVAL_MS ? ASK_INTERVAL_MS : at_most_ms;
}

void dk_warm_start_end(struct dk_warm_start *warm) {
    if (warm != NULL && has_news(warm)) {
        save(warm);
    }
}
