/* SPDX-License-Identifier: Apache-2.0 */
#include "replay_ask_internal.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- one rule after the other ------------------------------------------------------------ */

static struct dk_bytes cluster_of(const struct asker *asker, size_t place) {
    const struct dk_replay_question *question = dk_replay_asker_question_at(asker, place);
    return dk_replay_table_context(asker->table, question->context)->fields[DK_FIELD_CLUSTER_ID];
}

/* A batch is of one cluster; questions of one context stand together, which makes it short. */
static void push_batches(struct asker *asker, size_t start, size_t end) {
    size_t most = asker->batch && dk_replay_asker_shares_time(asker) ? BATCH_MAX : 1;
    while (start < end) {
        size_t next = start + 1;
        while (next < end && next - start < most &&
               dk_bytes_equal(cluster_of(asker, start), cluster_of(asker, next))) {
            next++;
        }
        dk_replay_asker_push(asker, (struct range){.start = start, .count = next - start});
        start = next;
    }
}

static void push_singly(struct asker *asker, size_t start, size_t end) {
    for (size_t i = start; i < end; i++) {
        dk_replay_asker_push(asker, (struct range){.start = i, .count = 1});
    }
}

/* The questions of one rule are `order` from `start` to `end`, those of Doorkeeper up to `others`.
 */
static void ask_rule(struct asker *asker, size_t start, size_t others, size_t end) {
    const struct dk_replay_rule *rule =
        dk_replay_table_rule(asker->table, dk_replay_asker_question_at(asker, start)->rule);
    asker->rule = rule->path;
    snprintf(asker->path, sizeof(asker->path), "/v1/data/%s?provenance=true", rule->path);
    asker->batch = false;
    if (others > start) {
        enum dk_opa_verdict verdict = dk_replay_asker_probe(
            asker, cluster_of(asker, start), dk_replay_asker_time_of(asker, asker->order[start]));
        asker->batch = verdict == DK_OPA_ANSWERED || rule->batch_seen;
        if (rule->batch_seen && verdict == DK_OPA_UNDEFINED && dk_replay_asker_shares_time(asker)) {
            /* Nothing is defined there, and asking each question would not make it so. */
            dk_replay_asker_store_all(
                asker, (struct range){.start = start, .count = others - start}, DK_UNDEFINED);
            start = others;
        }
    }
    if (asker->error == DK_OK) {
        push_singly(asker, others, end);
        push_batches(asker, start, others);
        dk_replay_asker_run(asker);
    }
}

static const struct dk_replay_table *sorting; /* qsort has no argument for it */

static int compare_questions(const void *left, const void *right) {
    uint32_t i = *(const uint32_t *)left, j = *(const uint32_t *)right;
    const struct dk_replay_question *a =
        dk_replay_table_question((struct dk_replay_table *)sorting, i);
    const struct dk_replay_question *b =
        dk_replay_table_question((struct dk_replay_table *)sorting, j);
    if (a->rule != b->rule) {
        return a->rule < b->rule ? -1 : 1;
    }
    if (a->context != b->context) {
        return a->context < b->context ? -1 : 1; /* those without one come last */
    }
    return i < j ? -1 : i > j;
}

static bool make_order(struct asker *asker) {
    size_t count = dk_replay_table_questions(asker->table);
    asker->order = calloc(count + 1, sizeof(asker->order[0]));
    if (asker->order == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (dk_replay_table_question(asker->table, i)->needed &&
            !dk_replay_asker_is_answered(asker, (uint32_t)i)) {
            asker->order[asker->wanted++] = (uint32_t)i;
        }
    }
    sorting = asker->table;
    qsort(asker->order, asker->wanted, sizeof(asker->order[0]), compare_questions);
    return true;
}

static void ask_rules(struct asker *asker) {
    for (size_t start = 0; start < asker->wanted && asker->error == DK_OK;) {
        uint32_t rule = dk_replay_asker_question_at(asker, start)->rule;
        size_t end = start, others = start;
        while (end < asker->wanted && dk_replay_asker_question_at(asker, end)->rule == rule) {
            others += dk_replay_asker_question_at(asker, end)->context != DK_REPLAY_NO_CONTEXT;
            end++;
        }
        ask_rule(asker, start, others, end);
        start = end;
    }
}

/* ---- life -------------------------------------------------------------------------------- */

static void clean_up(struct asker *asker) {
    dk_http_destroy(asker->http); /* first: it ends the jobs */
    for (size_t i = 0; i < CONNECTIONS; i++) {
        dk_writer_clean_up(&asker->jobs[i].body);
        dk_writer_clean_up(&asker->jobs[i].query);
    }
    free(asker->waiting);
    free(asker->order);
    free(asker->recorded_ns);
    dk_writer_clean_up(&asker->digested);
    free(asker);
}

static enum dk_error set_up(struct asker *asker) {
    struct dk_http_options options = {
        .urls = asker->asking->url,
        .connect_timeout_ms = 5000,
        .connections = CONNECTIONS,
        .max_body = BODY_MAX,
    };
    for (size_t i = 0; i < CONNECTIONS; i++) {
        asker->jobs[i].asker = asker;
        dk_writer_init(&asker->jobs[i].body, BODY_MAX);
        dk_writer_init(&asker->jobs[i].query, BODY_MAX);
    }
    dk_writer_init(&asker->digested, BODY_MAX);
    if (!dk_replay_asker_note_times(asker) || !make_order(asker)) {
        return dk_fail(asker->why, DK_ERR_MEMORY, "no memory to ask OPA");
    }
    return dk_http_new(&options, &asker->http, asker->why);
}

enum dk_error dk_replay_ask(struct dk_replay_table *table, const struct dk_replay_asking *asking,
                            char revision[DK_REVISION_MAX], struct dk_error_text *why) {
    struct asker *asker = calloc(1, sizeof(*asker));
    if (asker == NULL) {
        return dk_fail(why, DK_ERR_MEMORY, "no memory to ask OPA");
    }
    asker->table = table;
    asker->asking = asking;
    asker->revision = revision;
    asker->why = why;
    revision[0] = '\0';
    asker->error = set_up(asker);
    if (asker->error == DK_OK) {
        ask_rules(asker);
    }
    enum dk_error error = asker->error;
    clean_up(asker);
    return error;
}
