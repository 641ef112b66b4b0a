/* SPDX-License-Identifier: Apache-2.0 */
#include "decision_log.h"

#include "decision_file.h"
#include "decision_line.h"
#include "doorkeeper/clock.h"
#include "doorkeeper/resolver.h"
#include "record_ring.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of one line: room for the largest context and name, at their worst. */
#define LINE_MAX_BYTES ((size_t)4 * 1024 * 1024)
#define WRITE_BYTES ((size_t)64 * 1024)
/* Other work of the scribe's waits while it writes these. */
#define ROUND_CALLS 4096
#define TEXT_MAX 1024u
#define ROUND_INTERVAL_MS 50
/* Counts that are taken from the cache at a time. */
#define HITS_AT_ONCE 256

/* How a call stands in the ring: this, then context, request, answers, address, api, revision. */
struct head {
    int64_t wall_ns, took_ns;
    uint32_t context_len, request_len, count;
    uint16_t address_len, api_len, revision_len;
    uint16_t unused;
    uint32_t unused_too; /* so that no byte is left to chance */
};

struct dk_decision_log {
    struct dk_decision_log_parts parts;
    uint32_t mask;
    struct dk_record_ring *ring;
    /* The scribe's alone. */
    struct dk_decision_file *file;
    struct dk_writer lines;
    uint64_t decisions_in_lines;
    struct dk_decision_writer writer;
    uint64_t lost_hits, told_lost;
    struct dk_log_limit limit;
    /* In mode `aggregated`. */
    int64_t period_began_ms, period_began_ns;
    char revision[DK_REVISION_MAX]; /* under which the hits were decided that are not yet taken */
};

uint32_t dk_decision_log_mask(const struct dk_config *config) {
    static const uint32_t masks[] = {
        [DK_RECORD_AGGREGATED] = DK_AUDIT_RECORD_UNCACHED,
        [DK_RECORD_DENIED] = DK_AUDIT_RECORD_DENIED,
        [DK_RECORD_EVERY] = DK_AUDIT_RECORD_DENIED | DK_AUDIT_RECORD_ALLOWED,
    };
    return config->decision_log_file[0] == '\0' ? 0 : masks[config->decision_log_mode];
}

static bool is_wanted(const struct dk_decision_log *decisions, dk_answer answer) {
    bool allows = DK_ANSWER_OUTCOME(answer) == DK_ALLOW;
    bool cached = DK_ANSWER_SOURCE(answer) == DK_SOURCE_CACHE;
    uint32_t wanted_by = (allows ? DK_AUDIT_RECORD_ALLOWED : DK_AUDIT_RECORD_DENIED) |
                         (cached ? 0 : DK_AUDIT_RECORD_UNCACHED);
    return (decisions->mask & wanted_by) != 0;
}

static void count_lost(struct dk_decision_log *decisions, size_t count) {
    if (count > 0) {
        dk_metrics_add(decisions->parts.metrics, DK_METRIC_DECISIONS_LOST, count);
    }
}

static struct dk_bytes cut(struct dk_bytes text) {
    text.len = text.len < TEXT_MAX ? text.len : TEXT_MAX;
    return (struct dk_bytes){text.ptr, dk_bytes_utf8_front(text)};
}

void dk_decision_log_put(struct dk_decision_log *decisions, const struct dk_decided_call *call,
                         const char *revision_text) {
    size_t wanted = 0;
    if (decisions == NULL) {
        return;
    }
    for (size_t i = 0; i < call->count; i++) {
        wanted += is_wanted(decisions, call->answers[i]);
    }
    if (wanted == 0) {
        return;
    }
    struct dk_bytes address = cut(call->address), api = cut(call->api);
    struct dk_bytes revision = cut(dk_bytes_of(revision_text));
    const struct head head = {
        .wall_ns = dk_clock_wall_ns(),
        .took_ns = call->took_ns,
        .context_len = (uint32_t)call->context.len,
        .request_len = (uint32_t)call->request.len,
        .count = (uint32_t)call->count,
        .address_len = (uint16_t)address.len,
        .api_len = (uint16_t)api.len,
        .revision_len = (uint16_t)revision.len,
    };
    const struct dk_bytes parts[] = {
        {(const uint8_t *)&head, sizeof(head)},
        call->context,
        call->request,
        {call->answers, call->count},
        address,
        api,
        revision,
    };
    if (!dk_record_ring_put(decisions->ring, parts, sizeof(parts) / sizeof(parts[0]))) {
        count_lost(decisions, wanted);
    }
}

/* ---- lines ------------------------------------------------------------------------------- */

/* A call as the scribe took it out. */
struct taken {
    struct head head;
    struct dk_bytes request, answers, address, api, revision;
    struct dk_context context;
};

static struct dk_bytes take(struct dk_bytes *rest, size_t len) {
    struct dk_bytes front = {rest->ptr, len};
    rest->ptr += len;
    rest->len -= len;
    return front;
}

/* False without a context: nothing was asked, and there is no question to record. */
static bool read_call(struct dk_bytes record, struct taken *out) {
    memcpy(&out->head, record.ptr, sizeof(out->head));
    (void)take(&record, sizeof(out->head));
    struct dk_bytes context = take(&record, out->head.context_len);
    out->request = take(&record, out->head.request_len);
    out->answers = take(&record, out->head.count);
    out->address = take(&record, out->head.address_len);
    out->api = take(&record, out->head.api_len);
    out->revision = take(&record, out->head.revision_len);
    return dk_context_parse(context, &out->context) == DK_OK;
}

static void flush(struct dk_decision_log *decisions) {
    if (decisions->decisions_in_lines == 0) {
        return;
    }
    bool written = dk_decision_file_append(decisions->file, dk_writer_view(&decisions->lines));
    dk_metrics_add(decisions->parts.metrics,
                   written ? DK_METRIC_DECISIONS_RECORDED : DK_METRIC_DECISIONS_LOST,
                   decisions->decisions_in_lines);
    decisions->decisions_in_lines = 0;
    dk_writer_reset(&decisions->lines);
}

static void add_line(struct dk_decision_log *decisions, const struct dk_decision_line *line) {
    struct dk_writer *lines = &decisions->lines;
    uint64_t stands_for = line->count > 0 ? line->count : 1;
    size_t len = lines->len;
    dk_decision_line_write(&decisions->writer, line, lines);
    if (lines->failed) {
        lines->failed = false;
        lines->len = len;
        count_lost(decisions, stands_for);
        return;
    }
    decisions->decisions_in_lines += stands_for;
    if (lines->len >= WRITE_BYTES) {
        flush(decisions);
    }
}

/* How long ago a decision was made that may be used until `deadline_ms`; -1: nobody knows. */
static int64_t age_ms(const struct dk_decision_log *decisions, struct dk_hash128 key,
                      enum dk_outcome outcome, int64_t deadline_ms) {
    int64_t ttl_ms = dk_decision_ttl_ms(decisions->parts.config, outcome, key);
    int64_t passed_ms = dk_clock_ms() - (deadline_ms - ttl_ms);
    return deadline_ms == 0 || passed_ms < 0 ? -1 : passed_ms;
}

/* Of an answer that was just given: what is in the cache now is most likely what it came from. */
static int64_t age_of_answer_ms(const struct dk_decision_log *decisions,
                                const struct dk_context *context, const struct dk_action *action,
                                dk_answer answer) {
    enum dk_source source = DK_ANSWER_SOURCE(answer);
    struct dk_keyed_hash begun;
    if (source != DK_SOURCE_CACHE && source != DK_SOURCE_STALE) {
        return -1;
    }
    dk_question_begin(decisions->parts.hash_key, context, &begun);
    struct dk_hash128 key = dk_question_key(&begun, action, dk_cache_epoch(decisions->parts.cache));
    return age_ms(decisions, key, DK_ANSWER_OUTCOME(answer),
                  dk_cache_deadline_ms(decisions->parts.cache, key));
}

/* ---- counting (mode `aggregated`) -------------------------------------------------------- */

static void write_count(struct dk_decision_log *decisions, const struct dk_known_question *question,
                        dk_answer answer, uint32_t count, int64_t age_ms) {
    struct dk_context context;
    struct dk_action action;
    struct dk_bytes request = question->request;
    if (dk_context_parse(question->context, &context) != DK_OK ||
        dk_action_parse(&request, &action) != DK_OK) {
        count_lost(decisions, count); /* cannot be: they were written from what did parse */
        return;
    }
    const struct dk_decision_line line = {
        .context = &context,
        .action = &action,
        .answer = answer,
        .revision = dk_bytes_of(decisions->revision),
        .wall_ns = dk_clock_wall_ns(),
        .took_ns = -1,
        .age_ms = age_ms,
        .count = count,
        .since_ns = decisions->period_began_ns,
    };
    add_line(decisions, &line);
}

static void write_note(struct dk_decision_log *decisions,
                       const struct dk_known_question *question) {
    if (question->note->count > 0) {
        write_count(decisions, question, question->note->answer, question->note->count, -1);
        question->note->count = 0;
    }
}

/* True if the decision is only counted, for an equal one was written before. */
static bool is_counted(struct dk_decision_log *decisions, const struct dk_context *context,
                       const struct dk_action *action, dk_answer answer) {
    struct dk_known_question question;
    if (decisions->parts.questions == NULL ||
        !dk_question_directory_put(decisions->parts.questions, context, action, &question)) {
        return false;
    }
    struct dk_question_note *note = question.note;
    if (note->written && note->answer == answer && note->count < UINT32_MAX) {
        note->count++;
        return true;
    }
    write_note(decisions, &question);
    note->answer = answer;
    note->written = true;
    return false;
}

static void write_hits(struct dk_decision_log *decisions, const struct dk_known_question *question,
                       const struct dk_counted_hits *hits) {
    write_count(decisions, question, DK_ANSWER(hits->outcome, DK_SOURCE_CACHE), hits->count,
                age_ms(decisions, hits->key, hits->outcome, hits->deadline_ms));
}

/* Those of `epoch` and before; the directory's keys are those of the former. */
static void write_all_hits(struct dk_decision_log *decisions, uint64_t epoch) {
    struct dk_counted_hits hits[HITS_AT_ONCE];
    struct dk_known_question question;
    uint64_t walk = 0;
    size_t count;
    while ((count = dk_cache_take_hits(decisions->parts.cache, epoch, &walk, hits, HITS_AT_ONCE)) >
           0) {
        for (size_t i = 0; i < count; i++) {
            if (dk_question_directory_find(decisions->parts.questions, hits[i].key, &question)) {
                write_hits(decisions, &question, &hits[i]);
            } else {
                count_lost(decisions, hits[i].count);
            }
        }
    }
}

/* A question has to go from the directory: what is counted of it is written before. */
static void on_leaving(void *user, const struct dk_known_question *question) {
    struct dk_decision_log *decisions = user;
    struct dk_counted_hits hits;
    write_note(decisions, question);
    if (dk_cache_take_hits_of(decisions->parts.cache, question->key, &hits)) {
        write_hits(decisions, question, &hits);
    }
}

static void begin_period(struct dk_decision_log *decisions) {
    decisions->period_began_ns = dk_clock_wall_ns();
    decisions->period_began_ms = dk_clock_ms();
}

static void end_period(struct dk_decision_log *decisions) {
    struct dk_question_walk walk = {NULL, NULL};
    struct dk_known_question question;
    struct dk_bytes context;
    size_t request_len;
    write_all_hits(decisions, dk_cache_epoch(decisions->parts.cache));
    while (dk_question_walk_context(decisions->parts.questions, &walk, &context, &request_len)) {
        while (dk_question_walk_question(&walk, &question)) {
            write_note(decisions, &question);
            question.note->written = false;
        }
    }
    begin_period(decisions);
}

static void count_lost_hits(struct dk_decision_log *decisions) {
    uint64_t lost = dk_cache_lost_hits(decisions->parts.cache);
    count_lost(decisions, lost - decisions->lost_hits);
    decisions->lost_hits = lost;
}

/* Keys and revision stand for one epoch; what was counted under the last is taken before. */
static void enter_epoch(struct dk_decision_log *decisions, uint64_t epoch, const char *revision) {
    write_all_hits(decisions, epoch - 1);
    dk_question_directory_set_epoch(decisions->parts.questions, epoch);
    snprintf(decisions->revision, sizeof(decisions->revision), "%s", revision);
}

static void look_after_counts(struct dk_decision_log *decisions, const char *revision) {
    uint64_t epoch = dk_cache_epoch(decisions->parts.cache);
    if (epoch != dk_question_directory_epoch(decisions->parts.questions)) {
        enter_epoch(decisions, epoch, revision);
    } else if (decisions->revision[0] == '\0') { /* the first one that is known ends no epoch */
        snprintf(decisions->revision, sizeof(decisions->revision), "%s", revision);
    }
    if (dk_clock_ms() - decisions->period_began_ms >=
        decisions->parts.config->decision_log_period_ms) {
        end_period(decisions);
    }
    count_lost_hits(decisions);
}

/* ---- rounds ------------------------------------------------------------------------------ */

static void record(struct dk_decision_log *decisions, const struct taken *call,
                   const struct dk_action *action, dk_answer answer) {
    if (is_counted(decisions, &call->context, action, answer)) {
        return;
    }
    const struct dk_decision_line line = {
        .context = &call->context,
        .action = action,
        .answer = answer,
        .address = call->address,
        .api = call->api,
        .revision = call->revision,
        .wall_ns = call->head.wall_ns,
        .took_ns = call->head.took_ns > 0 ? call->head.took_ns : -1,
        .age_ms = age_of_answer_ms(decisions, &call->context, action, answer),
    };
    add_line(decisions, &line);
}

static void write_call(struct dk_decision_log *decisions, struct dk_bytes record_bytes) {
    struct taken call;
    bool readable = read_call(record_bytes, &call);
    struct dk_bytes rest = call.request;
    for (size_t i = 0; i < call.head.count; i++) {
        struct dk_action action;
        dk_answer answer = call.answers.ptr[i];
        readable = readable && dk_action_parse(&rest, &action) == DK_OK;
        if (!is_wanted(decisions, answer)) {
            continue;
        }
        if (readable) {
            record(decisions, &call, &action, answer);
        } else {
            count_lost(decisions, 1);
        }
    }
}

static void tell_lost(struct dk_decision_log *decisions) {
    const struct dk_config *config = decisions->parts.config;
    uint64_t lost = dk_metrics_read(decisions->parts.metrics, DK_METRIC_DECISIONS_LOST);
    if (lost == decisions->told_lost) {
        return;
    }
    decisions->told_lost = lost;
    dk_log_write_limited(
        decisions->parts.log, &decisions->limit, DK_LOG_WARN,
        "%llu decisions in all could not be recorded in doorkeeper.decision.log.file=%s: its "
        "disk is full, or too slow for doorkeeper.decision.log.buffer.bytes=%lld%s",
        (unsigned long long)lost, config->decision_log_file,
        (long long)config->decision_log_buffer_bytes,
        decisions->parts.questions == NULL
            ? ""
            : ", or there are more questions than doorkeeper.questions.max.bytes and "
              "doorkeeper.cache.entries are for");
}

int64_t dk_decision_log_round(struct dk_decision_log *decisions, const char *revision,
                              int64_t at_most_ms) {
    struct dk_bytes call;
    if (decisions == NULL) {
        return at_most_ms;
    }
    for (int i = 0; i < ROUND_CALLS && dk_record_ring_peek(decisions->ring, &call); i++) {
        write_call(decisions, call);
        dk_record_ring_pop(decisions->ring);
    }
    if (decisions->parts.questions != NULL) {
        look_after_counts(decisions, revision);
    }
    flush(decisions);
    dk_decision_file_look_after(decisions->file);
    tell_lost(decisions);
    return at_most_ms < ROUND_INTERVAL_MS ? at_most_ms : ROUND_INTERVAL_MS;
}

/* ---- making and ending ------------------------------------------------------------------- */

static enum dk_error set_up(struct dk_decision_log *decisions, struct dk_error_text *why) {
    const struct dk_config *config = decisions->parts.config;
    struct dk_hash_key random;
    enum dk_error error = dk_hash_key_init(&random);
    if (error != DK_OK) {
        return error;
    }
    snprintf(decisions->writer.id, sizeof(decisions->writer.id), "%016llx%016llx",
             (unsigned long long)random.k0, (unsigned long long)random.k1);
    decisions->writer.config = config;
    error = dk_record_ring_new((size_t)config->decision_log_buffer_bytes, &decisions->ring);
    if (error != DK_OK) {
        return error;
    }
    return dk_decision_file_new(config, decisions->parts.log, &decisions->file, why);
}

enum dk_error dk_decision_log_new(const struct dk_decision_log_parts *parts,
                                  struct dk_decision_log **out, struct dk_error_text *why) {
    *out = NULL;
    if (parts->config->decision_log_file[0] == '\0') {
        return DK_OK;
    }
    struct dk_decision_log *decisions = calloc(1, sizeof(*decisions));
    if (decisions == NULL) {
        return DK_ERR_MEMORY;
    }
    decisions->parts = *parts;
    decisions->mask = dk_decision_log_mask(parts->config);
    begin_period(decisions);
    dk_writer_init(&decisions->lines, LINE_MAX_BYTES);
    enum dk_error error = set_up(decisions, why);
    if (error != DK_OK) {
        dk_decision_log_destroy(decisions);
        return error;
    }
    if (parts->questions != NULL) {
        dk_question_directory_on_leaving(parts->questions, on_leaving, decisions);
    }
    *out = decisions;
    return DK_OK;
}

/* What was asked until the end. */
static void write_the_rest(struct dk_decision_log *decisions) {
    struct dk_bytes call;
    do {
        (void)dk_decision_log_round(decisions, decisions->revision, 0);
    } while (dk_record_ring_peek(decisions->ring, &call));
    if (decisions->parts.questions != NULL) {
        end_period(decisions);
        flush(decisions);
        dk_question_directory_on_leaving(decisions->parts.questions, NULL, NULL);
    }
}

void dk_decision_log_destroy(struct dk_decision_log *decisions) {
    if (decisions == NULL) {
        return;
    }
    if (decisions->file != NULL) {
        write_the_rest(decisions);
    }
    dk_decision_file_destroy(decisions->file);
    dk_record_ring_destroy(decisions->ring);
    dk_writer_clean_up(&decisions->lines);
    free(decisions);
}

size_t dk_decision_log_memory_bytes(const struct dk_decision_log *decisions) {
    if (decisions == NULL) {
        return 0;
    }
    return sizeof(*decisions) + dk_record_ring_memory_bytes(decisions->ring) + LINE_MAX_BYTES;
}
