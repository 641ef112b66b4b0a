/* SPDX-License-Identifier: Apache-2.0 */
#include "replay_ask.h"

#include "doorkeeper/clock.h"
#include "doorkeeper/http.h"
#include "grow.h"
#include "json_scan.h"
#include "replay_time.h"

#include <openssl/sha.h>

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECTIONS 8u
#define BATCH_MAX 500u
#define BODY_MAX ((size_t)256 * 1024 * 1024)
#define DEADLINE_MS 60000
#define TRIES_MAX 3u
#define POLL_MS 100

/* Questions that stand one behind the other in `order`, to be asked by one request. */
struct range {
    size_t start, count;
    unsigned tries;
};

/* A question of Doorkeeper's on its way. */
struct asked {
    struct dk_action action;
    uint32_t question;
};

struct job {
    struct asker *asker;
    struct range range;
    struct asked asked[BATCH_MAX];
    struct dk_opa_question questions[BATCH_MAX];
    struct dk_writer body;
    struct dk_writer query; /* the same as of a time, then the answer to it */
    bool busy;
};

struct asker {
    struct dk_replay_table *table;
    const struct dk_replay_asking *asking;
    struct dk_http *http;
    char *revision;
    struct dk_error_text *why;
    enum dk_error error;
    struct job jobs[CONNECTIONS];
    size_t answered, wanted;
    /* the rule being asked */
    char path[640];
    bool batch;
    const char *rule;
    uint32_t *order;
    struct dk_writer digested; /* what an answer depends on */
    int64_t *recorded_ns;      /* of each question of the table, the last; DK_REPLAY_RECORDED */
    struct range *waiting;     /* a stack */
    size_t waiting_count, waiting_room;
};

static struct dk_replay_question *question_at(const struct asker *asker, size_t place) {
    return dk_replay_table_question(asker->table, asker->order[place]);
}

static void fail(struct asker *asker, enum dk_error error, const char *text) {
    if (asker->error == DK_OK) {
        char escaped[300];
        size_t len = dk_bytes_escape(dk_bytes_of(text), escaped, sizeof(escaped));
        asker->error =
            dk_fail(asker->why, error, "%s: %.*s", asker->asking->url, (int)len, escaped);
    }
}

static void push(struct asker *asker, struct range range) {
    if (range.count == 0) {
        return;
    }
    if (!dk_has_room((void **)&asker->waiting, &asker->waiting_room, asker->waiting_count,
                     sizeof(asker->waiting[0]))) {
        fail(asker, DK_ERR_MEMORY, "no memory for what is to be asked");
        return;
    }
    asker->waiting[asker->waiting_count++] = range;
}

/* ---- answers ----------------------------------------------------------------------------- */

static int64_t time_of(const struct asker *asker, uint32_t question) {
    switch (asker->asking->when) {
    case DK_REPLAY_FIXED:
        return asker->asking->fixed_ns;
    case DK_REPLAY_RECORDED:
        return asker->recorded_ns[question];
    default:
        return 0;
    }
}

/* Of all that the answer to a question depends on. */
static bool digest_of(struct asker *asker, uint32_t index, uint8_t out[DK_DIGEST_LEN]) {
    const struct dk_replay_question *question = dk_replay_table_question(asker->table, index);
    const char *rule = dk_replay_table_rule(asker->table, question->rule)->path;
    uint8_t numbers[16];
    dk_write_u64(numbers, (uint64_t)asker->asking->when);
    dk_write_u64(numbers + 8, (uint64_t)time_of(asker, index));
    dk_writer_reset(&asker->digested);
    dk_writer_bytes(&asker->digested, (struct dk_bytes){asker->asking->policy, DK_DIGEST_LEN});
    dk_writer_bytes(&asker->digested, (struct dk_bytes){numbers, sizeof(numbers)});
    dk_writer_text(&asker->digested, rule);
    dk_writer_text(&asker->digested, "\n");
    dk_replay_table_write(asker->table, question, &asker->digested);
    struct dk_bytes text = dk_writer_view(&asker->digested);
    return !asker->digested.failed && SHA256(text.ptr, text.len, out) != NULL;
}

/* An error is worth another try; what could not be decided is no answer. */
static void keep_answer(struct asker *asker, uint32_t index, struct dk_replay_result result) {
    uint8_t digest[DK_DIGEST_LEN];
    if (asker->asking->answers == NULL || result.outcome == DK_UNAVAILABLE) {
        return;
    }
    if (!digest_of(asker, index, digest) ||
        !dk_replay_answers_add(asker->asking->answers, digest, result)) {
        fail(asker, DK_ERR_SYSTEM, "an answer could not be written (--resume)");
    }
}

static void store(struct asker *asker, uint32_t index, struct dk_replay_result result) {
    dk_replay_table_question(asker->table, index)->results[asker->asking->side] = result;
    asker->answered++;
    keep_answer(asker, index, result);
}

static void store_all(struct asker *asker, struct range range, enum dk_outcome outcome) {
    for (size_t i = 0; i < range.count; i++) {
        store(asker, asker->order[range.start + i], (struct dk_replay_result){outcome, 0});
    }
}

/* A batch that failed says nothing about its questions; one alone has failed itself. */
static void split(struct asker *asker, struct range range, enum dk_outcome outcome) {
    if (range.count == 1) {
        store_all(asker, range, outcome);
        return;
    }
    size_t half = range.count / 2;
    push(asker, (struct range){.start = range.start + half, .count = range.count - half});
    push(asker, (struct range){.start = range.start, .count = half});
}

static void keep_revision(struct asker *asker, const struct dk_opa_reply *reply) {
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
    keep_revision(asker, &reply);
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
        push(asker, range);
    } else {
        fail(asker, DK_ERR_SYSTEM, text);
    }
}

static bool is_timed(const struct asker *asker) {
    return asker->asking->when != DK_REPLAY_NOW;
}

/* Whether all questions are asked as of one time, and so may stand in one batch. */
static bool shares_time(const struct asker *asker) {
    return asker->asking->when != DK_REPLAY_RECORDED;
}

/* The answer to a query as the Data API would have given it, in `room`. */
static struct dk_bytes as_data_answer(struct dk_bytes body, struct dk_writer *room) {
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
                    is_timed(asker) ? as_data_answer(result->body, &job->query) : result->body);
    } else {
        snprintf(status, sizeof(status), "OPA answers%s with HTTP status %ld",
                 is_timed(asker) ? " POST " DK_QUERY_PATH " (--fix-time)" : "", result->status);
        fail(asker, DK_ERR_SYSTEM, status);
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
    struct dk_replay_question *first = question_at(asker, job->range.start);
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
    if (!is_timed(asker)) {
        return dk_writer_view(&job->body);
    }
    *path = DK_QUERY_PATH;
    dk_writer_reset(&job->query);
    dk_replay_write_query(asker->rule, time_of(asker, asker->order[job->range.start]),
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
        fail(asker, DK_ERR_MEMORY, "a question could not be sent");
    }
}

static bool is_busy(const struct asker *asker) {
    return dk_http_room(asker->http) < CONNECTIONS;
}

/* Until nothing waits and nothing is under way. */
static void run(struct asker *asker) {
    while (asker->error == DK_OK && (asker->waiting_count > 0 || is_busy(asker))) {
        struct job *job = free_job(asker);
        while (job != NULL && asker->waiting_count > 0 && dk_http_room(asker->http) > 0 &&
               asker->error == DK_OK) {
            post(asker, job);
            job = free_job(asker);
        }
        dk_http_poll(asker->http, POLL_MS);
        if (!asker->asking->progress(asker->asking->user, asker->answered, asker->wanted)) {
            fail(asker, DK_ERR_CLOSED, "stopped");
        }
    }
}

/* ---- the probe --------------------------------------------------------------------------- */

struct probe {
    struct asker *asker;
    bool is_query;
    enum dk_opa_verdict verdict;
    bool ended;
};

static enum dk_opa_verdict read_probe(struct probe *probe, struct dk_bytes body) {
    struct dk_opa_reply reply;
    struct dk_writer answer;
    dk_writer_init(&answer, BODY_MAX);
    dk_opa_read_batch(probe->is_query ? as_data_answer(body, &answer) : body, NULL, 0, &reply);
    keep_revision(probe->asker, &reply);
    dk_writer_clean_up(&answer);
    return reply.verdict;
}

static void on_probed(void *user, const struct dk_http_result *result) {
    struct probe *probe = user;
    probe->ended = true;
    if (result->kind != DK_HTTP_ANSWERED) {
        fail(probe->asker, DK_ERR_SYSTEM, result->text);
    } else if (result->status == 200) {
        probe->verdict = read_probe(probe, result->body);
    }
}

static enum dk_opa_verdict probe_by(struct asker *asker, bool is_query, struct dk_writer *body) {
    struct probe probe = {.asker = asker, .is_query = is_query, .verdict = DK_OPA_MALFORMED};
    const char *path = is_query ? DK_QUERY_PATH : asker->path;
    if (body->failed || dk_http_post(asker->http, 0, path, dk_writer_view(body),
                                     dk_clock_ms() + DEADLINE_MS, on_probed, &probe) != DK_OK) {
        fail(asker, DK_ERR_MEMORY, "the rule could not be asked");
        probe.ended = true;
    }
    while (!probe.ended) {
        dk_http_poll(asker->http, POLL_MS);
        if (!asker->asking->progress(asker->asking->user, asker->answered, asker->wanted)) {
            fail(asker, DK_ERR_CLOSED, "stopped");
            break;
        }
    }
    if (!probe.ended) { /* `probe` and `body` end here, and so must the request */
        dk_http_destroy(asker->http);
        asker->http = NULL;
    }
    return probe.verdict;
}

/* What the rule answers to an empty batch: DK_OPA_ANSWERED means that it is a batch rule. As of a
 * time that may be another one than now, but only the Data API tells the revision. */
static enum dk_opa_verdict probe_rule(struct asker *asker, struct dk_bytes cluster, int64_t ns) {
    struct dk_writer body, query;
    dk_writer_init(&body, 4096 + 6 * cluster.len);
    dk_writer_init(&query, 8192 + 6 * cluster.len);
    dk_opa_write_batch(cluster, NULL, 0, &body);
    enum dk_opa_verdict verdict = probe_by(asker, false, &body);
    if (is_timed(asker) && asker->error == DK_OK && !body.failed) {
        dk_replay_write_query(asker->rule, ns, dk_writer_view(&body), &query);
        verdict = probe_by(asker, true, &query);
    }
    dk_writer_clean_up(&body);
    dk_writer_clean_up(&query);
    return verdict;
}

/* ---- one rule after the other ------------------------------------------------------------ */

static struct dk_bytes cluster_of(const struct asker *asker, size_t place) {
    const struct dk_replay_question *question = question_at(asker, place);
    return dk_replay_table_context(asker->table, question->context)->fields[DK_FIELD_CLUSTER_ID];
}

/* A batch is of one cluster; questions of one context stand together, which makes it short. */
static void push_batches(struct asker *asker, size_t start, size_t end) {
    size_t most = asker->batch && shares_time(asker) ? BATCH_MAX : 1;
    while (start < end) {
        size_t next = start + 1;
        while (next < end && next - start < most &&
               dk_bytes_equal(cluster_of(asker, start), cluster_of(asker, next))) {
            next++;
        }
        push(asker, (struct range){.start = start, .count = next - start});
        start = next;
    }
}

static void push_singly(struct asker *asker, size_t start, size_t end) {
    for (size_t i = start; i < end; i++) {
        push(asker, (struct range){.start = i, .count = 1});
    }
}

/* The questions of one rule are `order` from `start` to `end`, those of Doorkeeper up to `others`.
 */
static void ask_rule(struct asker *asker, size_t start, size_t others, size_t end) {
    const struct dk_replay_rule *rule =
        dk_replay_table_rule(asker->table, question_at(asker, start)->rule);
    asker->rule = rule->path;
    snprintf(asker->path, sizeof(asker->path), "/v1/data/%s?provenance=true", rule->path);
    asker->batch = false;
    if (others > start) {
        enum dk_opa_verdict verdict =
            probe_rule(asker, cluster_of(asker, start), time_of(asker, asker->order[start]));
        asker->batch = verdict == DK_OPA_ANSWERED || rule->batch_seen;
        if (rule->batch_seen && verdict == DK_OPA_UNDEFINED && shares_time(asker)) {
            /* Nothing is defined there, and asking each question would not make it so. */
            store_all(asker, (struct range){.start = start, .count = others - start}, DK_UNDEFINED);
            start = others;
        }
    }
    if (asker->error == DK_OK) {
        push_singly(asker, others, end);
        push_batches(asker, start, others);
        run(asker);
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

/* By an earlier run. */
static bool is_answered(struct asker *asker, uint32_t index) {
    uint8_t digest[DK_DIGEST_LEN];
    struct dk_replay_result result;
    if (asker->asking->answers == NULL || !digest_of(asker, index, digest) ||
        !dk_replay_answers_find(asker->asking->answers, digest, &result)) {
        return false;
    }
    dk_replay_table_question(asker->table, index)->results[asker->asking->side] = result;
    return true;
}

static bool make_order(struct asker *asker) {
    size_t count = dk_replay_table_questions(asker->table);
    asker->order = calloc(count + 1, sizeof(asker->order[0]));
    if (asker->order == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (dk_replay_table_question(asker->table, i)->needed && !is_answered(asker, (uint32_t)i)) {
            asker->order[asker->wanted++] = (uint32_t)i;
        }
    }
    sorting = asker->table;
    qsort(asker->order, asker->wanted, sizeof(asker->order[0]), compare_questions);
    return true;
}

static bool note_times(struct asker *asker) {
    if (shares_time(asker)) {
        return true;
    }
    size_t count = dk_replay_table_questions(asker->table);
    asker->recorded_ns = calloc(count + 1, sizeof(asker->recorded_ns[0]));
    if (asker->recorded_ns == NULL) {
        return false;
    }
    for (size_t i = 0; i < dk_replay_table_rows(asker->table); i++) {
        const struct dk_replay_row *row = dk_replay_table_row(asker->table, i);
        if (row->last_ns > asker->recorded_ns[row->question]) {
            asker->recorded_ns[row->question] = row->last_ns;
        }
    }
    return true;
}

static void ask_rules(struct asker *asker) {
    for (size_t start = 0; start < asker->wanted && asker->error == DK_OK;) {
        uint32_t rule = question_at(asker, start)->rule;
        size_t end = start, others = start;
        while (end < asker->wanted && question_at(asker, end)->rule == rule) {
            others += question_at(asker, end)->context != DK_REPLAY_NO_CONTEXT;
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
    if (!note_times(asker) || !make_order(asker)) {
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
