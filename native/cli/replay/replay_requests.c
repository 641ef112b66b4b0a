/* SPDX-License-Identifier: Apache-2.0 */
#include "replay_ask_internal.h"

#include "doorkeeper/clock.h"
#include "grow.h"
#include "json_scan.h"
#include "replay_time.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define TRIES_MAX 3u

void dk_replay_asker_fail(struct asker *asker, enum dk_error error, const char *text) {
    if (asker->error == DK_OK) {
        char escaped[300];
        size_t len = dk_bytes_escape(dk_bytes_of(text), escaped, sizeof(escaped));
        asker->error =
            dk_fail(asker->why, error, "%s: %.*s", asker->asking->url, (int)len, escaped);
    }
}

void dk_replay_asker_push(struct asker *asker, struct range range) {
    if (range.count == 0) {
        return;
    }
    if (!dk_has_room((void **)&asker->waiting, &asker->waiting_room, asker->waiting_count,
                     sizeof(asker->waiting[0]))) {
        dk_replay_asker_fail(asker, DK_ERR_MEMORY, "no memory for what is to be asked");
        return;
    }
    asker->waiting[asker->waiting_count++] = range;
}

/* ---- answers ----------------------------------------------------------------------------- */

static void store(struct asker *asker, uint32_t index, struct dk_replay_result result) {
    dk_replay_table_question(asker->table, index)->results[asker->asking->side] = result;
    asker->answered++;
    dk_replay_asker_keep_answer(asker, index, result);
}

void dk_replay_asker_store_all(struct asker *asker, struct range range, enum dk_outcome outcome) {
    for (size_t i = 0; i < range.count; i++) {
        store(asker, asker->order[range.start + i], (struct dk_replay_result){outcome, 0});
    }
}

/* A batch that failed says nothing about its questions; one alone has failed itself. */
static void split(struct asker *asker, struct range range, enum dk_outcome outcome) {
    if (range.count == 1) {
        dk_replay_asker_store_all(asker, range, outcome);
        return;
    }
    size_t half = range.count / 2;
    dk_replay_asker_push(asker,
                         (struct range){.start = range.start + half, .count = range.count - half});
    dk_replay_asker_push(asker, (struct range){.start = range.start, .count = half});
}

void dk_replay_asker_keep_revision(struct asker *asker, const struct dk_opa_reply *reply) {
    if (reply->revision[0] != '\0') {
        memcpy(asker->revision, reply->revision, DK_REVISION_MAX);
    }
}

static void read_questions(struct asker *asker, struct job *job, struct dk_bytes body) {
    struct dk_opa_reply reply;
    struct range range = job->range;
    if (asker->batch) {
        dk_opa_read_batch(body, job->questions, range.count, &reply);
    } else {
        dk_opa_read_single(body, job->questions, &reply);
    }
    dk_replay_asker_keep_revision(asker, &reply);
    if (reply.verdict != DK_OPA_ANSWERED) {
        split(asker, range, reply.verdict == DK_OPA_UNDEFINED ? DK_UNDEFINED : DK_UNAVAILABLE);
        return;
    }
    for (size_t i = 0; i < range.count; i++) {
        const struct dk_opa_question *read = &job->questions[i];
        const struct asked *asked =
            (const struct asked *)((const char *)read->action - offsetof(struct asked, action));
        store(asker, asked->question, (struct dk_replay_result){read->outcome, 0});
    }
}

/* The answer to an input that is not Doorkeeper's. */
static void read_other(struct asker *asker, uint32_t question, struct dk_bytes body) {
    struct dk_json_walk walk = dk_json_walk(body);
    struct dk_bytes name, value, result = {NULL, 0};
    bool error = false;
    while (dk_json_next_member(&walk, &name, &value)) {
        error |= dk_json_is(name, "code");
        if (dk_json_is(name, "result")) {
            result = value;
        }
    }
    struct dk_replay_result read = {DK_UNAVAILABLE, 0};
    if (dk_json_walk_end(&walk) == DK_JSON_OK && (result.ptr != NULL || !error)) {
        read = dk_replay_result_of(result, false);
    }
    store(asker, question, read);
}

static void read_answer(struct asker *asker, struct job *job, struct dk_bytes body) {
    uint32_t first = asker->order[job->range.start];
    if (dk_replay_table_question(asker->table, first)->context == DK_REPLAY_NO_CONTEXT) {
        read_other(asker, first, body);
    } else {
        read_questions(asker, job, body);
    }
}

static void try_again(struct asker *asker, struct range range, const char *text) {
    range.tries++;
    if (range.tries < TRIES_MAX) {
        dk_replay_asker_push(asker, range);
    } else {
        dk_replay_asker_fail(asker, DK_ERR_SYSTEM, text);
    }
}

struct dk_bytes dk_replay_asker_as_data_answer(struct dk_bytes body, struct dk_writer *room) {
    dk_writer_reset(room);
    dk_replay_read_query(body, room);
    return dk_writer_view(room);
}

static void on_done(void *user, const struct dk_http_result *result) {
    struct job *job = user;
    struct asker *asker = job->asker;
    char status[96];
    job->busy = false;
    if (result->kind == DK_HTTP_CANCELLED) {
        return;
    }
    bool failed = result->kind == DK_HTTP_TOO_LARGE ||
                  (result->kind == DK_HTTP_ANSWERED && result->status == 500);
    if (failed) {
        split(asker, job->range, DK_UNAVAILABLE);
    } else if (result->kind != DK_HTTP_ANSWERED) {
        try_again(asker, job->range, result->text);
    } else if (result->status == 200) {
        read_answer(asker, job,
                    dk_replay_asker_is_timed(asker)
                        ? dk_replay_asker_as_data_answer(result->body, &job->query)
                        : result->body);
    } else {
        snprintf(status, sizeof(status), "OPA answers%s with HTTP status %ld",
                 dk_replay_asker_is_timed(asker) ? " POST " DK_QUERY_PATH " (--fix-time)" : "",
                 result->status);
        dk_replay_asker_fail(asker, DK_ERR_SYSTEM, status);
    }
}

/* ---- questions --------------------------------------------------------------------------- */

static bool prepare(struct asker *asker, struct job *job) {
    for (size_t i = 0; i < job->range.count; i++) {
        uint32_t index = asker->order[job->range.start + i];
        const struct dk_replay_question *question = dk_replay_table_question(asker->table, index);
        struct dk_bytes rest = question->text;
        job->asked[i].question = index;
        if (dk_action_parse(&rest, &job->asked[i].action) != DK_OK) {
            return false;
        }
        job->questions[i] = (struct dk_opa_question){
            .context = dk_replay_table_context(asker->table, question->context),
            .action = &job->asked[i].action,
        };
    }
    return true;
}

static bool write_body(struct asker *asker, struct job *job) {
    struct dk_bytes none = {NULL, 0};
    struct dk_replay_question *first = dk_replay_asker_question_at(asker, job->range.start);
    dk_writer_reset(&job->body);
    if (first->context == DK_REPLAY_NO_CONTEXT) {
        dk_replay_table_write(asker->table, first, &job->body);
    } else if (!prepare(asker, job)) {
        return false;
    } else if (asker->batch) {
        dk_opa_write_batch(none, job->questions, job->range.count, &job->body);
    } else {
        dk_question_write_single(job->questions[0].context, job->questions[0].action, &job->body);
    }
    return !job->body.failed;
}

static struct job *free_job(struct asker *asker) {
    for (size_t i = 0; i < CONNECTIONS; i++) {
        if (!asker->jobs[i].busy) {
            return &asker->jobs[i];
        }
    }
    return NULL;
}

/* The body as it is sent, and where to. */
static struct dk_bytes finish_body(const struct asker *asker, struct job *job, const char **path) {
    *path = asker->path;
    if (!dk_replay_asker_is_timed(asker)) {
        return dk_writer_view(&job->body);
    }
    *path = DK_QUERY_PATH;
    dk_writer_reset(&job->query);
    dk_replay_write_query(asker->rule,
                          dk_replay_asker_time_of(asker, asker->order[job->range.start]),
                          dk_writer_view(&job->body), &job->query);
    return dk_writer_view(&job->query);
}

static bool send(struct asker *asker, struct job *job) {
    const char *path;
    if (!write_body(asker, job)) {
        return false;
    }
    struct dk_bytes body = finish_body(asker, job, &path);
    return !job->query.failed && dk_http_post(asker->http, 0, path, body,
                                              dk_clock_ms() + DEADLINE_MS, on_done, job) == DK_OK;
}

static void post(struct asker *asker, struct job *job) {
    job->range = asker->waiting[--asker->waiting_count];
    job->busy = send(asker, job);
    if (!job->busy) {
        dk_replay_asker_fail(asker, DK_ERR_MEMORY, "a question could not be sent");
    }
}

static bool is_busy(const struct asker *asker) {
    return dk_http_room(asker->http) < CONNECTIONS;
}

bool dk_replay_asker_goes_on(struct asker *asker) {
    if (asker->asking->progress(asker->asking->user, asker->answered, asker->wanted)) {
        return true;
    }
    dk_replay_asker_fail(asker, DK_ERR_CLOSED, "stopped");
    return false;
}

void dk_replay_asker_run(struct asker *asker) {
    while (asker->error == DK_OK && (asker->waiting_count > 0 || is_busy(asker))) {
        struct job *job = free_job(asker);
        while (job != NULL && asker->waiting_count > 0 && dk_http_room(asker->http) > 0 &&
               asker->error == DK_OK) {
            post(asker, job);
            job = free_job(asker);
        }
        dk_http_poll(asker->http, POLL_MS);
        (void)dk_replay_asker_goes_on(asker);
    }
}
