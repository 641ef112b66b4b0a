/* SPDX-License-Identifier: Apache-2.0 */
#include "replay_table.h"

#include "batch_events.h"
#include "grow.h"
#include "hash_index.h"
#include "json.h"
#include "json_scan.h"
#include "question_facts.h"
#include "question_json.h"

#include <openssl/sha.h>

#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES ((size_t)1024 * 1024)
#define VALUES_MAX 1000000u
#define SINGLE_MAX ((size_t)1024 * 1024 * 1024)
/* Rows that stand for what is not compared. */
enum { ROW_POLL, ROW_LEFT_OUT, ROW_FIRST };
/* The same decision may be spelt in many ways, and what filters leave out has no row; beyond this
 * it is parsed each time. */
#define SPELLINGS_PER_ROW 4u
#define SPELLINGS_FREE (1u << 20)
/* What one hash is about, so that different things never share one. */
enum { HASH_EVENT = 1, HASH_BATCHED, HASH_QUESTION, HASH_OPAQUE, HASH_ROW, HASH_CONTEXT };

struct chunk {
    struct chunk *next;
    size_t used, capacity;
    uint8_t bytes[];
};

struct dk_replay_table {
    struct dk_replay_options options;
    struct dk_hash_key key;
    struct dk_replay_tally tally;
    struct chunk *chunks;
    struct dk_replay_rule *rules;
    struct dk_context **contexts;
    struct dk_replay_question *questions;
    struct dk_replay_row *rows;
    size_t rule_count, rule_room, context_count, context_room;
    size_t question_count, question_room, row_count, row_room;
    struct dk_hash_index spellings, context_index, question_index, row_index;
    struct dk_writer single, context_record, action_record; /* scratch */
    struct dk_question_facts facts;
};

/* ---- memory ------------------------------------------------------------------------------ */

static void *take_bytes(struct dk_replay_table *table, size_t len) {
    size_t needed = (len + 7) & ~(size_t)7;
    struct chunk *chunk = table->chunks;
    if (chunk == NULL || chunk->capacity - chunk->used < needed) {
        size_t capacity = needed > CHUNK_BYTES ? needed : CHUNK_BYTES;
        chunk = malloc(sizeof(*chunk) + capacity);
        if (chunk == NULL) {
            return NULL;
        }
        *chunk = (struct chunk){.next = table->chunks, .capacity = capacity};
        table->chunks = chunk;
    }
    void *bytes = chunk->bytes + chunk->used;
    chunk->used += needed;
    return bytes;
}

static bool keep(struct dk_replay_table *table, struct dk_bytes from, struct dk_bytes *to) {
    uint8_t *copy = take_bytes(table, from.len + 1);
    if (copy == NULL) {
        return false;
    }
    if (from.len > 0) {
        memcpy(copy, from.ptr, from.len);
    }
    copy[from.len] = '\0';
    *to = (struct dk_bytes){copy, from.len};
    return true;
}

/* ---- hashes ------------------------------------------------------------------------------ */

static struct dk_keyed_hash begin_hash(const struct dk_replay_table *table, uint64_t about) {
    struct dk_keyed_hash state;
    dk_keyed_hash_init(&state, &table->key);
    dk_keyed_hash_word(&state, about);
    return state;
}

/* SHA-256 and not the run's key, so that a sample is the same in every run. */
static uint64_t digest_of(struct dk_bytes text) {
    uint8_t digest[SHA256_DIGEST_LENGTH];
    return SHA256(text.ptr, text.len, digest) != NULL ? dk_read_u64(digest) : 0;
}

static bool is_in_sample(const struct dk_replay_table *table, struct dk_bytes text) {
    return table->options.sample <= 1 || digest_of(text) % table->options.sample == 0;
}

/* ---- results ----------------------------------------------------------------------------- */

/* By value, not by spelling; white space and escapes may differ between a log and an answer. */
static uint64_t digest_json(struct dk_bytes text) {
    cJSON *json = dk_json_parse(text, VALUES_MAX, NULL);
    char *plain = json != NULL ? cJSON_PrintUnformatted(json) : NULL;
    uint64_t digest = digest_of(plain != NULL ? dk_bytes_of(plain) : text);
    cJSON_free(plain);
    cJSON_Delete(json);
    return digest != 0 ? digest : 1;
}

struct dk_replay_result dk_replay_result_of(struct dk_bytes result, bool strict) {
    struct dk_replay_result out = {DK_UNAVAILABLE, 0};
    if (result.ptr == NULL) {
        out.outcome = DK_UNDEFINED;
    } else if (dk_json_is(result, "true")) {
        out.outcome = DK_ALLOW;
    } else if (dk_json_is(result, "false")) {
        out.outcome = DK_DENY;
    } else if (!strict) {
        out.other = digest_json(result);
    }
    return out;
}

bool dk_replay_result_equal(struct dk_replay_result a, struct dk_replay_result b) {
    return a.outcome == b.outcome && a.other == b.other;
}

/* ---- rules, contexts, questions, rows ---------------------------------------------------- */

static enum dk_error intern_rule(struct dk_replay_table *table, struct dk_bytes path,
                                 uint32_t *out) {
    struct dk_bytes copy;
    if (table->options.rule != NULL) {
        path = dk_bytes_of(table->options.rule);
    }
    for (size_t i = 0; i < table->rule_count; i++) {
        if (dk_bytes_equal(path, dk_bytes_of(table->rules[i].path))) {
            *out = (uint32_t)i;
            return DK_OK;
        }
    }
    if (!dk_has_room((void **)&table->rules, &table->rule_room, table->rule_count,
                     sizeof(table->rules[0])) ||
        !keep(table, path, &copy)) {
        return DK_ERR_MEMORY;
    }
    *out = (uint32_t)table->rule_count++;
    table->rules[*out] = (struct dk_replay_rule){.path = (const char *)copy.ptr};
    return DK_OK;
}

/* The context that stands in `context_record`. */
static enum dk_error intern_context(struct dk_replay_table *table, uint32_t *out) {
    struct dk_context parsed;
    struct dk_bytes record = dk_writer_view(&table->context_record);
    if (dk_context_parse(record, &parsed) != DK_OK) {
        return DK_ERR_MALFORMED;
    }
    struct dk_keyed_hash state = begin_hash(table, HASH_CONTEXT);
    dk_keyed_hash_part(&state, record);
    struct dk_hash128 hash = dk_keyed_hash_finish(&state);
    *out = dk_hash_index_find(&table->context_index, hash);
    if (*out != DK_HASH_INDEX_NONE) {
        return DK_OK;
    }
    struct dk_context *context = take_bytes(table, sizeof(*context));
    if (context == NULL || !keep(table, record, &record) ||
        !dk_has_room((void **)&table->contexts, &table->context_room, table->context_count,
                     sizeof(table->contexts[0])) ||
        dk_context_parse(record, context) != DK_OK) {
        return DK_ERR_MEMORY;
    }
    *out = (uint32_t)table->context_count;
    table->contexts[table->context_count++] = context;
    return dk_hash_index_add(&table->context_index, hash, *out);
}

static enum dk_error intern_question(struct dk_replay_table *table, uint32_t rule, uint32_t context,
                                     struct dk_bytes text, uint32_t *out) {
    bool opaque = context == DK_REPLAY_NO_CONTEXT;
    struct dk_keyed_hash state = begin_hash(table, opaque ? HASH_OPAQUE : HASH_QUESTION);
    dk_keyed_hash_word(&state, (uint64_t)rule << 32 | context);
    dk_keyed_hash_part(&state, text);
    struct dk_hash128 hash = dk_keyed_hash_finish(&state);
    *out = dk_hash_index_find(&table->question_index, hash);
    if (*out != DK_HASH_INDEX_NONE) {
        return DK_OK;
    }
    struct dk_replay_question question = {.rule = rule, .context = context};
    if (!keep(table, text, &question.text) ||
        !dk_has_room((void **)&table->questions, &table->question_room, table->question_count,
                     sizeof(table->questions[0]))) {
        return DK_ERR_MEMORY;
    }
    *out = (uint32_t)table->question_count;
    table->questions[table->question_count++] = question;
    return dk_hash_index_add(&table->question_index, hash, *out);
}

static enum dk_error add_row(struct dk_replay_table *table, struct dk_replay_row row,
                             uint32_t *out) {
    if (!dk_has_room((void **)&table->rows, &table->row_room, table->row_count,
                     sizeof(table->rows[0]))) {
        return DK_ERR_MEMORY;
    }
    *out = (uint32_t)table->row_count;
    table->rows[table->row_count++] = row;
    return DK_OK;
}

static enum dk_error intern_row(struct dk_replay_table *table, uint32_t question,
                                struct dk_replay_result result, bool reproducible, uint32_t *out) {
    struct dk_keyed_hash state = begin_hash(table, HASH_ROW);
    dk_keyed_hash_word(&state, (uint64_t)question << 32 | (uint64_t)result.outcome << 1 |
                                   (uint64_t)reproducible);
    dk_keyed_hash_word(&state, result.other);
    struct dk_hash128 hash = dk_keyed_hash_finish(&state);
    *out = dk_hash_index_find(&table->row_index, hash);
    if (*out != DK_HASH_INDEX_NONE) {
        return DK_OK;
    }
    struct dk_replay_row row = {
        .question = question, .result = result, .reproducible = reproducible};
    table->questions[question].needed |= reproducible;
    enum dk_error error = add_row(table, row, out);
    return error == DK_OK ? dk_hash_index_add(&table->row_index, hash, *out) : error;
}

/* ---- what is new ------------------------------------------------------------------------- */

/* An answer to one question, as it stands in the log. */
struct recorded {
    uint32_t rule;
    struct dk_bytes input;
    struct dk_bytes result; /* unless `has_outcome` */
    enum dk_outcome outcome;
    bool has_outcome;
    bool reproducible;
};

static bool is_left_out(struct dk_replay_table *table, struct dk_bytes input) {
    const struct dk_replay_options *options = &table->options;
    if (!is_in_sample(table, input)) {
        return true;
    }
    if (options->principal == NULL && options->resource == NULL) {
        return false;
    }
    dk_question_facts_read(&table->facts, input);
    return (options->principal != NULL &&
            !dk_question_facts_match(dk_writer_view(&table->facts.principal),
                                     options->principal)) ||
           (options->resource != NULL &&
            !dk_question_facts_match(dk_writer_view(&table->facts.resource), options->resource));
}

static struct dk_replay_result result_of(const struct recorded *recorded, bool strict) {
    if (recorded->has_outcome) {
        return (struct dk_replay_result){recorded->outcome, 0};
    }
    return dk_replay_result_of(recorded->result, strict);
}

/* The row of something that was not seen before in this spelling. */
static enum dk_error intern(struct dk_replay_table *table, const struct recorded *recorded,
                            uint32_t *row, struct dk_error_text *why) {
    uint32_t context = DK_REPLAY_NO_CONTEXT, question = 0;
    struct dk_bytes text = recorded->input;
    if (!dk_bytes_is_utf8(recorded->input)) {
        return dk_fail(why, DK_ERR_MALFORMED, "input: not UTF-8");
    }
    cJSON *json = dk_json_parse(recorded->input, VALUES_MAX, NULL);
    enum dk_question_form form =
        dk_question_read_single(json, &table->context_record, &table->action_record);
    cJSON_Delete(json);
    if (form == DK_FORM_POLL || is_left_out(table, recorded->input)) {
        *row = form == DK_FORM_POLL ? ROW_POLL : ROW_LEFT_OUT;
        return DK_OK;
    }
    enum dk_error error = DK_OK;
    if (form == DK_FORM_QUESTION) {
        error = intern_context(table, &context);
        text = dk_writer_view(&table->action_record);
    }
    if (error == DK_OK) {
        error = intern_question(table, recorded->rule, context, text, &question);
    }
    if (error == DK_OK) {
        struct dk_replay_result result = result_of(recorded, form == DK_FORM_QUESTION);
        error = intern_row(table, question, result, recorded->reproducible, row);
    }
    return error == DK_OK ? DK_OK : dk_fail(why, error, "%s", dk_strerror(error));
}

static enum dk_error remember(struct dk_replay_table *table, struct dk_hash128 spelling,
                              uint32_t row) {
    if (table->spellings.count >= SPELLINGS_PER_ROW * table->row_count + SPELLINGS_FREE) {
        return DK_OK;
    }
    return dk_hash_index_add(&table->spellings, spelling, row);
}

/* ---- events ------------------------------------------------------------------------------ */

static void count_decision(struct dk_replay_table *table, uint32_t row_index,
                           const struct dk_log_event *event) {
    struct dk_replay_row *row = &table->rows[row_index];
    if (row_index == ROW_POLL) {
        table->tally.polls++;
        return;
    }
    if (row->count == 0 || event->time_ns < row->first_ns) {
        row->first_ns = event->time_ns;
    }
    if (row->count == 0 || event->time_ns > row->last_ns) {
        row->last_ns = event->time_ns;
    }
    row->count += event->count;
    table->tally.decisions += event->count;
    table->tally.filtered += row_index == ROW_LEFT_OUT ? event->count : 0;
}

static void count_event(struct dk_replay_table *table, const struct dk_log_event *event) {
    struct dk_replay_tally *tally = &table->tally;
    if (tally->events == 0 || event->time_ns < tally->first_ns) {
        tally->first_ns = event->time_ns;
    }
    if (tally->events == 0 || event->time_ns > tally->last_ns) {
        tally->last_ns = event->time_ns;
    }
    tally->events++;
}

static bool is_reproducible(const struct dk_replay_table *table, const struct dk_log_event *event) {
    return !event->input_masked && !event->nondeterministic &&
           (!event->used_time || table->options.knows_time) &&
           (!event->result_masked || table->options.has_against);
}

struct exploding {
    struct dk_replay_table *table;
    const struct dk_log_event *event;
    uint32_t rule;
    uint64_t names;
    const uint8_t *request; /* the one that `state` has hashed */
    struct dk_keyed_hash state;
    enum dk_error error;
    struct dk_error_text *why;
};

static struct dk_hash128 hash_batched(struct exploding *exploding,
                                      const struct dk_batch_request *request,
                                      const struct dk_batch_ask *ask, struct dk_bytes name,
                                      enum dk_outcome outcome) {
    /* All names of a request have these in common. */
    if (exploding->request != request->asks.ptr) {
        exploding->request = request->asks.ptr;
        exploding->state = begin_hash(exploding->table, HASH_BATCHED);
        dk_keyed_hash_word(&exploding->state, exploding->rule);
        dk_keyed_hash_part(&exploding->state, request->cluster);
        dk_keyed_hash_part(&exploding->state, request->principal);
        dk_keyed_hash_part(&exploding->state, request->client);
    }
    struct dk_keyed_hash state = exploding->state;
    bool reproducible = is_reproducible(exploding->table, exploding->event);
    dk_keyed_hash_part(&state, ask->operation);
    dk_keyed_hash_part(&state, ask->type);
    dk_keyed_hash_part(&state, ask->pattern);
    dk_keyed_hash_word(&state, (uint64_t)outcome << 1 | reproducible);
    dk_keyed_hash_part(&state, name); /* a JSON string is never empty, so this tells "any" too */
    return dk_keyed_hash_finish(&state);
}

static bool on_batched(void *user, const struct dk_batch_request *request,
                       const struct dk_batch_ask *ask, struct dk_bytes name,
                       enum dk_outcome outcome) {
    struct exploding *exploding = user;
    struct dk_replay_table *table = exploding->table;
    struct dk_hash128 spelling = hash_batched(exploding, request, ask, name, outcome);
    uint32_t row = dk_hash_index_find(&table->spellings, spelling);
    if (row == DK_HASH_INDEX_NONE) {
        dk_writer_reset(&table->single);
        dk_batch_write_single(request, ask, name, &table->single);
        struct recorded recorded = {
            .rule = exploding->rule,
            .input = dk_writer_view(&table->single),
            .outcome = outcome,
            .has_outcome = true,
            .reproducible = is_reproducible(table, exploding->event),
        };
        exploding->error =
            table->single.failed ? DK_ERR_MEMORY : intern(table, &recorded, &row, exploding->why);
        if (exploding->error == DK_OK) {
            exploding->error = remember(table, spelling, row);
        }
        if (exploding->error != DK_OK) {
            return false;
        }
    }
    count_decision(table, row, exploding->event);
    exploding->names++;
    return true;
}

static bool looks_like_a_batch(struct dk_bytes input) {
    static const char requests[] = "\"requests\"";
    return dk_json_is_object(input) &&
           memmem(input.ptr, input.len, requests, sizeof(requests) - 1) != NULL;
}

/* `*was_batch` false: the event is none, and nothing was counted. */
static enum dk_error add_batch(struct dk_replay_table *table, const struct dk_log_event *event,
                               uint32_t rule, bool *was_batch, struct dk_error_text *why) {
    struct exploding exploding = {.table = table, .event = event, .rule = rule, .why = why};
    enum dk_batch_walk walked = dk_batch_walk(event, on_batched, &exploding);
    *was_batch = walked != DK_BATCH_OTHER;
    if (walked == DK_BATCH_WALKED) {
        table->rules[rule].batch_seen |= exploding.names > 0 && table->options.rule == NULL;
        table->tally.polls += exploding.names == 0;
    }
    return exploding.error;
}

static struct dk_hash128 hash_event(const struct dk_replay_table *table,
                                    const struct dk_log_event *event) {
    struct dk_keyed_hash state = begin_hash(table, HASH_EVENT);
    dk_keyed_hash_part(&state, event->path);
    dk_keyed_hash_part(&state, event->input);
    dk_keyed_hash_word(&state, (uint64_t)event->failed << 2 |
                                   (uint64_t)is_reproducible(table, event) << 1 |
                                   (uint64_t)(event->result.ptr != NULL));
    dk_keyed_hash_part(&state, event->result);
    return dk_keyed_hash_finish(&state);
}

static enum dk_error add_new(struct dk_replay_table *table, const struct dk_log_event *event,
                             struct dk_hash128 spelling, struct dk_error_text *why) {
    struct recorded recorded = {
        .input = event->input,
        .result = event->result,
        .outcome = DK_UNAVAILABLE,
        .has_outcome = event->failed,
        .reproducible = is_reproducible(table, event),
    };
    bool was_batch = false;
    uint32_t row = 0;
    enum dk_error error = intern_rule(table, event->path, &recorded.rule);
    if (error == DK_OK && looks_like_a_batch(event->input)) {
        error = add_batch(table, event, recorded.rule, &was_batch, why);
    }
    if (error != DK_OK || was_batch) {
        return error;
    }
    error = intern(table, &recorded, &row, why);
    if (error == DK_OK) {
        error = remember(table, spelling, row);
    }
    if (error == DK_OK) {
        count_decision(table, row, event);
    }
    return error;
}

enum dk_error dk_replay_table_add(struct dk_replay_table *table, const struct dk_log_event *event,
                                  struct dk_error_text *why) {
    struct dk_hash128 spelling = hash_event(table, event);
    uint32_t row = dk_hash_index_find(&table->spellings, spelling);
    enum dk_error error = DK_OK;
    if (row != DK_HASH_INDEX_NONE) {
        count_decision(table, row, event);
    } else {
        error = add_new(table, event, spelling, why);
    }
    if (error == DK_OK) {
        count_event(table, event);
    }
    return error;
}

/* ---- access ------------------------------------------------------------------------------ */

const struct dk_replay_tally *dk_replay_table_tally(const struct dk_replay_table *table) {
    return &table->tally;
}

size_t dk_replay_table_rules(const struct dk_replay_table *table) {
    return table->rule_count;
}

const struct dk_replay_rule *dk_replay_table_rule(const struct dk_replay_table *table, size_t i) {
    return &table->rules[i];
}

size_t dk_replay_table_questions(const struct dk_replay_table *table) {
    return table->question_count;
}

struct dk_replay_question *dk_replay_table_question(struct dk_replay_table *table, size_t i) {
    return &table->questions[i];
}

size_t dk_replay_table_rows(const struct dk_replay_table *table) {
    return table->row_count - ROW_FIRST;
}

const struct dk_replay_row *dk_replay_table_row(const struct dk_replay_table *table, size_t i) {
    return &table->rows[ROW_FIRST + i];
}

const struct dk_context *dk_replay_table_context(const struct dk_replay_table *table, uint32_t i) {
    return i == DK_REPLAY_NO_CONTEXT ? NULL : table->contexts[i];
}

void dk_replay_table_write(const struct dk_replay_table *table,
                           const struct dk_replay_question *question, struct dk_writer *out) {
    const struct dk_context *context = dk_replay_table_context(table, question->context);
    struct dk_bytes rest = question->text;
    struct dk_action action;
    if (context == NULL) {
        dk_writer_text(out, "{\"input\":");
        dk_writer_bytes(out, question->text);
        dk_writer_text(out, "}");
    } else if (dk_action_parse(&rest, &action) == DK_OK) {
        dk_question_write_single(context, &action, out);
    } else {
        out->failed = true;
    }
}

/* ---- life -------------------------------------------------------------------------------- */

enum dk_error dk_replay_table_new(const struct dk_replay_options *options,
                                  struct dk_replay_table **out) {
    struct dk_replay_table *table = calloc(1, sizeof(*table));
    struct dk_replay_row none = {0};
    uint32_t row;
    *out = NULL;
    if (table == NULL) {
        return DK_ERR_MEMORY;
    }
    table->options = *options;
    dk_writer_init(&table->single, SINGLE_MAX);
    dk_writer_init(&table->context_record, DK_CONTEXT_MAX);
    dk_writer_init(&table->action_record, DK_NAME_MAX + 64);
    dk_question_facts_init(&table->facts);
    enum dk_error error = dk_hash_key_init(&table->key);
    for (int i = 0; i < ROW_FIRST && error == DK_OK; i++) {
        error = add_row(table, none, &row);
    }
    if (error != DK_OK) {
        dk_replay_table_destroy(table);
        return error;
    }
    *out = table;
    return DK_OK;
}

void dk_replay_table_destroy(struct dk_replay_table *table) {
    if (table == NULL) {
        return;
    }
    while (table->chunks != NULL) {
        struct chunk *chunk = table->chunks;
        table->chunks = chunk->next;
        free(chunk);
    }
    dk_hash_index_clean_up(&table->spellings);
    dk_hash_index_clean_up(&table->context_index);
    dk_hash_index_clean_up(&table->question_index);
    dk_hash_index_clean_up(&table->row_index);
    dk_writer_clean_up(&table->single);
    dk_writer_clean_up(&table->context_record);
    dk_writer_clean_up(&table->action_record);
    dk_question_facts_clean_up(&table->facts);
    free(table->rules);
    free(table->contexts);
    free(table->questions);
    free(table->rows);
    free(table);
}
