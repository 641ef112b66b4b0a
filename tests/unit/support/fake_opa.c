/* SPDX-License-Identifier: Apache-2.0 */
#include "support/fake_opa.h"

#include <cjson/cJSON.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REQUESTS_MAX 65536u

struct fake_opa {
    struct http_server *server;
    pthread_mutex_t lock;
    pthread_cond_t on_gate;
    bool gate_closed, denies_all;
    unsigned held;
    char revision[64];
    enum fault question_fault, poll_fault, poison;
    unsigned polls, requests, questions;
    char watched[64];
    char token[64];
    unsigned seen_at;
    unsigned sizes[REQUESTS_MAX];
};

static const char *const fault_names[FAULT_COUNT] = {
    [FAULT_NONE] = "none",
    [FAULT_STATUS_500] = "status 500",
    [FAULT_STATUS_401] = "status 401",
    [FAULT_STATUS_503_ALLOWING] = "status 503 that allows",
    [FAULT_REDIRECT] = "redirect",
    [FAULT_HTML] = "HTML",
    [FAULT_TRUNCATED_JSON] = "truncated JSON",
    [FAULT_UNDEFINED] = "no bundle",
    [FAULT_UNDEFINED_RULE] = "undefined rule",
    [FAULT_TOO_FEW] = "too few answers",
    [FAULT_TOO_MANY] = "too many answers",
    [FAULT_OUT_OF_RANGE] = "index out of range",
    [FAULT_DUPLICATE_INDEX] = "duplicate index",
    [FAULT_STRINGS] = "strings",
    [FAULT_ENDLESS_BODY] = "endless body",
    [FAULT_HUGE_BODY] = "huge body",
    [FAULT_HANG] = "hang",
    [FAULT_DRIP] = "drip",
    [FAULT_CLOSE] = "close",
    [FAULT_SHORT_BODY] = "short body",
    [FAULT_RESET] = "reset",
};

const char *fault_name(enum fault fault) {
    return fault_names[fault];
}

/* ---- the policy -------------------------------------------------------------------------- */

struct evaluation {
    struct dk_writer *out;
    enum fault fault;
    unsigned questions;
    const char *watched;
    bool poisoned, seen;
    bool is_poll, denies_all;
};

static bool begins_with(const cJSON *name, const char *prefix) {
    const char *text = cJSON_GetStringValue(name);
    return text != NULL && strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool is_watched(const struct evaluation *evaluation, const cJSON *name) {
    const char *text = cJSON_GetStringValue(name);
    return text != NULL && strcmp(text, evaluation->watched) == 0;
}

static void evaluate_ask(struct evaluation *evaluation, const cJSON *ask) {
    const cJSON *names = cJSON_GetObjectItemCaseSensitive(ask, "names");
    const cJSON *name = NULL;
    const char *separator = "";
    unsigned index = 0;
    dk_writer_text(evaluation->out, "[");
    if (names == NULL) {
        evaluation->questions++;
        dk_writer_text(evaluation->out, "0");
    }
    cJSON_ArrayForEach(name, names) {
        evaluation->questions++;
        evaluation->poisoned |= begins_with(name, "poison");
        evaluation->seen |= is_watched(evaluation, name);
        if (begins_with(name, "ok") && !evaluation->denies_all) {
            dk_writer_text(evaluation->out, separator);
            dk_writer_u64_decimal(evaluation->out, index);
            separator = ",";
        }
        index++;
    }
    if (evaluation->fault == FAULT_OUT_OF_RANGE) {
        dk_writer_text(evaluation->out, separator);
        dk_writer_u64_decimal(evaluation->out, index + 1);
    }
    if (evaluation->fault == FAULT_DUPLICATE_INDEX) {
        dk_writer_text(evaluation->out, separator);
        dk_writer_text(evaluation->out, "0,0");
    }
    dk_writer_text(evaluation->out, "]");
}

static void evaluate_batch(struct evaluation *evaluation, const cJSON *requests) {
    const cJSON *request = NULL;
    const cJSON *ask = NULL;
    const char *separator = "";
    dk_writer_text(evaluation->out, "[");
    cJSON_ArrayForEach(request, requests) {
        const char *ask_separator = "";
        dk_writer_text(evaluation->out, separator);
        dk_writer_text(evaluation->out, evaluation->fault == FAULT_STRINGS ? "\"" : "[");
        cJSON_ArrayForEach(ask, cJSON_GetObjectItemCaseSensitive(request, "asks")) {
            dk_writer_text(evaluation->out, ask_separator);
            evaluate_ask(evaluation, ask);
            ask_separator = ",";
        }
        dk_writer_text(evaluation->out, evaluation->fault == FAULT_STRINGS ? "\"" : "]");
        separator = ",";
    }
    if (evaluation->fault == FAULT_TOO_MANY) {
        dk_writer_text(evaluation->out, separator);
        dk_writer_text(evaluation->out, "[]");
    }
    dk_writer_text(evaluation->out, "]");
}

static void evaluate_single(struct evaluation *evaluation, const cJSON *action) {
    const cJSON *resource = cJSON_GetObjectItemCaseSensitive(action, "resource");
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(resource, "name");
    evaluation->questions += action != NULL ? 1 : 0;
    evaluation->poisoned |= begins_with(name, "poison");
    evaluation->seen |= is_watched(evaluation, name);
    dk_writer_text(evaluation->out, evaluation->fault == FAULT_STRINGS ? "\"true\""
                                    : begins_with(name, "ok")          ? "true"
                                                                       : "false");
}

/* Writes the result alone. */
static void evaluate(struct evaluation *evaluation, const struct http_request *request) {
    cJSON *root = cJSON_ParseWithLength((const char *)request->body.ptr, request->body.len);
    const cJSON *input = cJSON_GetObjectItemCaseSensitive(root, "input");
    const cJSON *requests = cJSON_GetObjectItemCaseSensitive(input, "requests");
    const cJSON *action = cJSON_GetObjectItemCaseSensitive(input, "action");
    evaluation->is_poll = requests != NULL ? cJSON_GetArraySize(requests) == 0 : action == NULL;
    if (requests != NULL) {
        evaluate_batch(evaluation, requests);
    } else {
        evaluate_single(evaluation, action);
    }
    cJSON_Delete(root);
}

/* ---- the faults -------------------------------------------------------------------------- */

static void write_proper(const struct dk_writer *result, const char *revision,
                         struct dk_writer *out) {
    dk_writer_text(out, "{\"result\":");
    dk_writer_bytes(out, dk_writer_view(result));
    if (revision[0] != '\0') {
        dk_writer_text(out, ",\"provenance\":{\"bundles\":{\"authz\":{\"revision\":\"");
        dk_writer_text(out, revision);
        dk_writer_text(out, "\"}}}");
    }
    dk_writer_text(out, "}");
}

static void write_faulty(enum fault fault, const struct dk_writer *result, const char *revision,
                         struct http_reply *reply) {
    static const struct {
        enum fault fault;
        int status;
        enum http_manner manner;
        const char *headers;
        const char *body; /* NULL: the proper one */
    } table[] = {
        {FAULT_STATUS_500, 500, HTTP_PROPER, NULL,
         "{\"code\":\"internal_error\",\"message\":\"eval_conflict_error\"}"},
        {FAULT_STATUS_401, 401, HTTP_PROPER, NULL, "{\"code\":\"unauthorized\"}"},
        {FAULT_STATUS_503_ALLOWING, 503, HTTP_PROPER, NULL, NULL},
        {FAULT_REDIRECT, 302, HTTP_PROPER, "Location: /elsewhere\r\n", NULL},
        {FAULT_HTML, 200, HTTP_PROPER, "Content-Type: text/html\r\n", "<html>true</html>"},
        {FAULT_TRUNCATED_JSON, 200, HTTP_PROPER, NULL, "{\"result\":[[[0"},
        {FAULT_UNDEFINED, 200, HTTP_PROPER, NULL, "{}"},
        {FAULT_TOO_FEW, 200, HTTP_PROPER, NULL, "{\"result\":[[]]}"},
        {FAULT_ENDLESS_BODY, 200, HTTP_ENDLESS_BODY, NULL, ""},
        {FAULT_HUGE_BODY, 200, HTTP_HUGE_BODY, NULL, ""},
        {FAULT_HANG, 200, HTTP_HANG, NULL, ""},
        {FAULT_DRIP, 200, HTTP_DRIP, NULL, ""},
        {FAULT_CLOSE, 200, HTTP_CLOSE, NULL, ""},
        {FAULT_SHORT_BODY, 200, HTTP_SHORT_BODY, NULL, NULL},
        {FAULT_RESET, 200, HTTP_RESET, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (table[i].fault == fault) {
            reply->status = table[i].status;
            reply->manner = table[i].manner;
            reply->headers = table[i].headers;
            if (table[i].body != NULL) {
                dk_writer_text(&reply->body, table[i].body);
                return;
            }
        }
    }
    write_proper(result, revision, &reply->body); /* the result itself may be what is wrong */
}

/* An undefined rule of an active bundle: the revision stays. */
static void write_undefined_with_revision(const char *revision, struct http_reply *reply) {
    dk_writer_text(&reply->body, "{\"provenance\":{\"bundles\":{\"authz\":{\"revision\":\"");
    dk_writer_text(&reply->body, revision);
    dk_writer_text(&reply->body, "\"}}}}");
}

/* ---- serving ----------------------------------------------------------------------------- */

static void count_locked(struct fake_opa *opa, const struct evaluation *evaluation) {
    if (evaluation->is_poll) {
        opa->polls++;
        return;
    }
    if (opa->requests < REQUESTS_MAX) {
        opa->sizes[opa->requests] = evaluation->questions;
    }
    if (evaluation->seen && opa->seen_at == FAKE_OPA_NEVER) {
        opa->seen_at = opa->requests;
    }
    opa->requests++;
    opa->questions += evaluation->questions;
}

static void wait_at_gate_locked(struct fake_opa *opa) {
    opa->held++;
    while (opa->gate_closed) {
        pthread_cond_wait(&opa->on_gate, &opa->lock);
    }
    opa->held--;
}

static bool is_the_poll(const struct http_request *request) {
    const char *body = (const char *)request->body.ptr;
    return strstr(body, "\"requests\":[]") != NULL ||
           (strstr(body, "\"requests\"") == NULL && strstr(body, "\"action\"") == NULL);
}

/* @locks opa->lock MUST be held */
static bool shows_token(const struct fake_opa *opa, const struct http_request *request) {
    char line[128];
    snprintf(line, sizeof(line), "\r\nAuthorization: Bearer %s\r\n", opa->token);
    return opa->token[0] == '\0' || strstr(request->head, line) != NULL;
}

static void handle(void *user, const struct http_request *request, struct http_reply *reply) {
    struct fake_opa *opa = user;
    struct dk_writer result;
    char revision[sizeof(opa->revision)];
    dk_writer_init(&result, (size_t)8 * 1024 * 1024);
    pthread_mutex_lock(&opa->lock);
    struct evaluation evaluation = {
        .out = &result,
        .watched = opa->watched,
        .fault = is_the_poll(request) ? opa->poll_fault : opa->question_fault,
        .denies_all = opa->denies_all,
    };
    if (!shows_token(opa, request)) {
        evaluation.fault = FAULT_STATUS_401;
    }
    evaluate(&evaluation, request);
    count_locked(opa, &evaluation);
    enum fault poison = opa->poison;
    strcpy(revision, opa->revision); /* as it was when the question was evaluated */
    if (!evaluation.is_poll) {
        wait_at_gate_locked(opa);
    }
    pthread_mutex_unlock(&opa->lock);
    bool poisoned = evaluation.fault == FAULT_NONE && evaluation.poisoned;
    enum fault fault = poisoned ? poison : evaluation.fault;
    if (fault == FAULT_UNDEFINED_RULE) {
        write_undefined_with_revision(revision, reply);
    } else {
        write_faulty(fault, &result, revision, reply);
    }
    dk_writer_clean_up(&result);
}

static struct fake_opa *start(const char *socket_path, const struct http_tls *tls) {
    struct fake_opa *opa = calloc(1, sizeof(*opa));
    if (opa == NULL) {
        return NULL;
    }
    pthread_mutex_init(&opa->lock, NULL);
    pthread_cond_init(&opa->on_gate, NULL);
    strcpy(opa->revision, "r1");
    opa->poison = FAULT_STATUS_500;
    opa->seen_at = FAKE_OPA_NEVER;
    opa->server = tls != NULL ? http_server_start_tls(tls, handle, opa)
                              : http_server_start(socket_path, handle, opa);
    if (opa->server == NULL) {
        free(opa);
        return NULL;
    }
    return opa;
}

struct fake_opa *fake_opa_start(void) {
    return start(NULL, NULL);
}

struct fake_opa *fake_opa_start_at(const char *socket_path) {
    return start(socket_path, NULL);
}

struct fake_opa *fake_opa_start_tls(const struct http_tls *tls) {
    return start(NULL, tls);
}

void fake_opa_stop(struct fake_opa *opa) {
    fake_opa_open_gate(opa);
    http_server_stop(opa->server);
    pthread_cond_destroy(&opa->on_gate);
    pthread_mutex_destroy(&opa->lock);
    free(opa);
}

void fake_opa_kill(struct fake_opa *opa) {
    http_server_kill(opa->server);
    fake_opa_stop(opa);
}

const char *fake_opa_url(const struct fake_opa *opa) {
    return http_server_url(opa->server);
}

void fake_opa_set_revision(struct fake_opa *opa, const char *revision) {
    pthread_mutex_lock(&opa->lock);
    snprintf(opa->revision, sizeof(opa->revision), "%s", revision != NULL ? revision : "");
    pthread_mutex_unlock(&opa->lock);
}

void fake_opa_deny_all(struct fake_opa *opa) {
    pthread_mutex_lock(&opa->lock);
    opa->denies_all = true;
    pthread_mutex_unlock(&opa->lock);
}

void fake_opa_set_fault(struct fake_opa *opa, enum fault questions, enum fault polls) {
    pthread_mutex_lock(&opa->lock);
    opa->question_fault = questions;
    opa->poll_fault = polls;
    pthread_mutex_unlock(&opa->lock);
}

void fake_opa_demand_token(struct fake_opa *opa, const char *token) {
    pthread_mutex_lock(&opa->lock);
    snprintf(opa->token, sizeof(opa->token), "%s", token);
    pthread_mutex_unlock(&opa->lock);
}

void fake_opa_set_poison(struct fake_opa *opa, enum fault fault) {
    pthread_mutex_lock(&opa->lock);
    opa->poison = fault;
    pthread_mutex_unlock(&opa->lock);
}

void fake_opa_close_gate(struct fake_opa *opa) {
    pthread_mutex_lock(&opa->lock);
    opa->gate_closed = true;
    pthread_mutex_unlock(&opa->lock);
}

void fake_opa_open_gate(struct fake_opa *opa) {
    pthread_mutex_lock(&opa->lock);
    opa->gate_closed = false;
    pthread_cond_broadcast(&opa->on_gate);
    pthread_mutex_unlock(&opa->lock);
}

static unsigned read_count(struct fake_opa *opa, const unsigned *count) {
    pthread_mutex_lock(&opa->lock);
    unsigned value = *count;
    pthread_mutex_unlock(&opa->lock);
    return value;
}

unsigned fake_opa_held(struct fake_opa *opa) {
    return read_count(opa, &opa->held);
}

unsigned fake_opa_polls(struct fake_opa *opa) {
    return read_count(opa, &opa->polls);
}

unsigned fake_opa_requests(struct fake_opa *opa) {
    return read_count(opa, &opa->requests);
}

unsigned fake_opa_request_size(struct fake_opa *opa, unsigned index) {
    return index < REQUESTS_MAX ? read_count(opa, &opa->sizes[index]) : 0;
}

unsigned fake_opa_questions(struct fake_opa *opa) {
    return read_count(opa, &opa->questions);
}

void fake_opa_watch(struct fake_opa *opa, const char *name) {
    pthread_mutex_lock(&opa->lock);
    snprintf(opa->watched, sizeof(opa->watched), "%s", name);
    opa->seen_at = FAKE_OPA_NEVER;
    pthread_mutex_unlock(&opa->lock);
}

unsigned fake_opa_seen_at(struct fake_opa *opa) {
    return read_count(opa, &opa->seen_at);
}
