/* SPDX-License-Identifier: Apache-2.0 */
#include "decision_log.h"

#include "decision_file.h"
#include "doorkeeper/clock.h"
#include "record_ring.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Of one line: room for the largest context and name, at their worst. */
#define LINE_MAX_BYTES ((size_t)4 * 1024 * 1024)
#define WRITE_BYTES ((size_t)64 * 1024)
/* Other work of the scribe's waits while it writes these. */
#define ROUND_CALLS 4096
#define TEXT_MAX 1024u
#define ROUND_INTERVAL_MS 50

/* How a call stands in the ring: this, then context, request, answers, address, api, revision. */
struct head {
    int64_t wall_ns, took_ns;
    uint32_t context_len, request_len, count;
    uint16_t address_len, api_len, revision_len;
    uint16_t unused;
    uint32_t unused_too; /* so that no byte is left to chance */
};

struct dk_decision_log {
    const struct dk_config *config;
    struct dk_metrics *metrics;
    struct dk_log *log;
    struct dk_record_ring *ring;
    /* The scribe's alone. */
    struct dk_decision_file *file;
    struct dk_writer lines;
    size_t line_count;
    char id[33];
    uint64_t number;
    uint64_t told_lost;
    struct dk_log_limit limit;
};

static bool is_wanted(const struct dk_decision_log *decisions, dk_answer answer) {
    return decisions->config->decision_log_mode == DK_RECORD_EVERY ||
           DK_ANSWER_OUTCOME(answer) != DK_ALLOW;
}

static void count_lost(struct dk_decision_log *decisions, size_t count) {
    if (count > 0) {
        dk_metrics_add(decisions->metrics, DK_METRIC_DECISIONS_LOST, count);
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

struct erased {
    enum dk_erasable flag;
    enum dk_field field; /* DK_FIELD_COUNT: not of the context */
    const char *pointer;
};

static const struct erased erased_parts[] = {
    {DK_ERASE_SUBJECT, DK_FIELD_SUBJECT, "/input/principal/subject"},
    {DK_ERASE_CERTIFICATE, DK_FIELD_CERTIFICATE, "/input/principal/certificate"},
    {DK_ERASE_ADDRESS, DK_FIELD_ADDRESS, "/input/client/address"},
    {DK_ERASE_ADDRESS, DK_FIELD_COUNT, "/requested_by"},
    {DK_ERASE_CLIENT_ID, DK_FIELD_CLIENT_ID, "/input/client/client_id"},
    {DK_ERASE_NAME, DK_FIELD_COUNT, "/input/action/resource/name"},
};

#define ERASED_COUNT (sizeof(erased_parts) / sizeof(erased_parts[0]))

static bool has(const struct dk_context *context, const struct dk_action *action,
                const struct erased *part) {
    if (part->flag == DK_ERASE_NAME) {
        return action->named;
    }
    return part->field == DK_FIELD_COUNT || context->fields[part->field].ptr != NULL;
}

static void write_erased(const struct dk_decision_log *decisions, const struct dk_context *context,
                         const struct dk_action *action, struct dk_writer *out) {
    const char *separator = ",\"erased\":[\"";
    for (size_t i = 0; i < ERASED_COUNT; i++) {
        const struct erased *part = &erased_parts[i];
        if ((decisions->config->decision_log_erase & part->flag) != 0 &&
            has(context, action, part)) {
            dk_writer_text(out, separator);
            dk_writer_text(out, part->pointer);
            separator = "\",\"";
        }
    }
    if (separator[1] == ',') {
        dk_writer_text(out, "\"]");
    }
}

/* What is recorded of a question: {"input":{…} without the last brace. */
static void write_input(const struct dk_decision_log *decisions, const struct dk_context *context,
                        const struct dk_action *action, struct dk_writer *out) {
    struct dk_context shown = *context;
    struct dk_action named = *action;
    for (size_t i = 0; i < ERASED_COUNT; i++) {
        if ((decisions->config->decision_log_erase & erased_parts[i].flag) != 0 &&
            erased_parts[i].field != DK_FIELD_COUNT) {
            shown.fields[erased_parts[i].field] = (struct dk_bytes){NULL, 0};
        }
    }
    named.named = action->named && (decisions->config->decision_log_erase & DK_ERASE_NAME) == 0;
    dk_question_write_single(&shown, &named, out);
    if (!out->failed) {
        out->len--;
    }
}

static void write_time(int64_t wall_ns, struct dk_writer *out) {
    char text[48];
    time_t seconds = (time_t)(wall_ns / 1000000000);
    struct tm utc;
    if (gmtime_r(&seconds, &utc) == NULL) {
        return;
    }
    size_t len = strftime(text, sizeof(text), ",\"timestamp\":\"%Y-%m-%dT%H:%M:%S", &utc);
    dk_writer_bytes(out, (struct dk_bytes){(const uint8_t *)text, len});
    snprintf(text, sizeof(text), ".%09lldZ\"", (long long)(wall_ns % 1000000000));
    dk_writer_text(out, text);
}

static void write_identity(struct dk_decision_log *decisions, struct dk_writer *out) {
    char text[128];
    snprintf(text, sizeof(text),
             ",\"decision_id\":\"%s-%llu\",\"labels\":{\"id\":\"%s\",\"product\":\"doorkeeper\"}",
             decisions->id, (unsigned long long)decisions->number++, decisions->id);
    dk_writer_text(out, text);
}

static void write_outcome(enum dk_outcome outcome, struct dk_writer *out) {
    switch (outcome) {
    case DK_ALLOW:
        dk_writer_text(out, ",\"result\":true");
        return;
    case DK_DENY:
        dk_writer_text(out, ",\"result\":false");
        return;
    case DK_UNDEFINED:
        return; /* as OPA records it: no result */
    case DK_UNAVAILABLE:
        dk_writer_text(out, ",\"error\":{\"message\":\"no valid answer in time\"}");
        return;
    }
}

static void write_text_member(struct dk_writer *out, const char *member, struct dk_bytes text) {
    if (text.len > 0) {
        dk_writer_text(out, member);
        dk_writer_json_string(out, text);
    }
}

static void write_line(struct dk_decision_log *decisions, const struct taken *call,
                       const struct dk_action *action, dk_answer answer, struct dk_writer *out) {
    bool erases_address = (decisions->config->decision_log_erase & DK_ERASE_ADDRESS) != 0;
    char metrics[80];
    snprintf(metrics, sizeof(metrics), ",\"metrics\":{\"timer_doorkeeper_authorize_ns\":%lld}",
             (long long)call->head.took_ns);
    write_input(decisions, &call->context, action, out);
    write_identity(decisions, out);
    write_text_member(out, ",\"path\":", dk_bytes_of(decisions->config->opa_path));
    write_outcome(DK_ANSWER_OUTCOME(answer), out);
    write_text_member(out, ",\"revision\":", call->revision);
    if (!erases_address) {
        write_text_member(out, ",\"requested_by\":", call->address);
    }
    write_time(call->head.wall_ns, out);
    dk_writer_text(out, metrics);
    write_erased(decisions, &call->context, action, out);
    dk_writer_text(out, ",\"doorkeeper\":{\"outcome\":\"");
    dk_writer_text(out, dk_outcome_name(DK_ANSWER_OUTCOME(answer)));
    dk_writer_text(out, "\",\"source\":\"");
    dk_writer_text(out, dk_source_name(DK_ANSWER_SOURCE(answer)));
    dk_writer_text(out, "\"");
    write_text_member(out, ",\"api\":", call->api);
    dk_writer_text(out, "}}\n");
}

static void flush(struct dk_decision_log *decisions) {
    if (decisions->line_count == 0) {
        return;
    }
    bool written = dk_decision_file_append(decisions->file, dk_writer_view(&decisions->lines));
    dk_metrics_add(decisions->metrics,
                   written ? DK_METRIC_DECISIONS_RECORDED : DK_METRIC_DECISIONS_LOST,
                   decisions->line_count);
    decisions->line_count = 0;
    dk_writer_reset(&decisions->lines);
}

static void add_line(struct dk_decision_log *decisions, const struct taken *call,
                     const struct dk_action *action, dk_answer answer) {
    struct dk_writer *lines = &decisions->lines;
    size_t len = lines->len;
    write_line(decisions, call, action, answer, lines);
    if (lines->failed) {
        lines->failed = false;
        lines->len = len;
        count_lost(decisions, 1);
        return;
    }
    decisions->line_count++;
    if (lines->len >= WRITE_BYTES) {
        flush(decisions);
    }
}

static void write_call(struct dk_decision_log *decisions, struct dk_bytes record) {
    struct taken call;
    bool readable = read_call(record, &call);
    struct dk_bytes rest = call.request;
    for (size_t i = 0; i < call.head.count; i++) {
        struct dk_action action;
        dk_answer answer = call.answers.ptr[i];
        readable = readable && dk_action_parse(&rest, &action) == DK_OK;
        if (!is_wanted(decisions, answer)) {
            continue;
        }
        if (readable) {
            add_line(decisions, &call, &action, answer);
        } else {
            count_lost(decisions, 1);
        }
    }
}

static void tell_lost(struct dk_decision_log *decisions) {
    uint64_t lost = dk_metrics_read(decisions->metrics, DK_METRIC_DECISIONS_LOST);
    if (lost != decisions->told_lost) {
        decisions->told_lost = lost;
        dk_log_write_limited(
            decisions->log, &decisions->limit, DK_LOG_WARN,
            "%llu decisions in all could not be recorded in doorkeeper.decision.log.file=%s: its "
            "disk is full or too slow for doorkeeper.decision.log.buffer.bytes=%lld",
            (unsigned long long)lost, decisions->config->decision_log_file,
            (long long)decisions->config->decision_log_buffer_bytes);
    }
}

int64_t dk_decision_log_round(struct dk_decision_log *decisions, int64_t at_most_ms) {
    struct dk_bytes record;
    if (decisions == NULL) {
        return at_most_ms;
    }
    for (int i = 0; i < ROUND_CALLS && dk_record_ring_peek(decisions->ring, &record); i++) {
        write_call(decisions, record);
        dk_record_ring_pop(decisions->ring);
    }
    flush(decisions);
    dk_decision_file_look_after(decisions->file);
    tell_lost(decisions);
    return at_most_ms < ROUND_INTERVAL_MS ? at_most_ms : ROUND_INTERVAL_MS;
}

/* ---- making and ending ------------------------------------------------------------------- */

static enum dk_error set_up(struct dk_decision_log *decisions, struct dk_error_text *why) {
    struct dk_hash_key random;
    enum dk_error error = dk_hash_key_init(&random);
    if (error == DK_OK) {
        snprintf(decisions->id, sizeof(decisions->id), "%016llx%016llx",
                 (unsigned long long)random.k0, (unsigned long long)random.k1);
        error = dk_record_ring_new((size_t)decisions->config->decision_log_buffer_bytes,
                                   &decisions->ring);
    }
    return error == DK_OK
               ? dk_decision_file_new(decisions->config, decisions->log, &decisions->file, why)
               : error;
}

enum dk_error dk_decision_log_new(const struct dk_config *config, struct dk_metrics *metrics,
                                  struct dk_log *log, struct dk_decision_log **out,
                                  struct dk_error_text *why) {
    *out = NULL;
    if (config->decision_log_file[0] == '\0') {
        return DK_OK;
    }
    struct dk_decision_log *decisions = calloc(1, sizeof(*decisions));
    if (decisions == NULL) {
        return DK_ERR_MEMORY;
    }
    decisions->config = config;
    decisions->metrics = metrics;
    decisions->log = log;
    dk_writer_init(&decisions->lines, LINE_MAX_BYTES);
    enum dk_error error = set_up(decisions, why);
    if (error != DK_OK) {
        dk_decision_log_destroy(decisions);
        return error;
    }
    *out = decisions;
    return DK_OK;
}

void dk_decision_log_destroy(struct dk_decision_log *decisions) {
    if (decisions == NULL) {
        return;
    }
    struct dk_bytes record;
    while (decisions->file != NULL && dk_record_ring_peek(decisions->ring, &record)) {
        (void)dk_decision_log_round(decisions, 0);
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
