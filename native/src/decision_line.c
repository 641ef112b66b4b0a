/* SPDX-License-Identifier: Apache-2.0 */
#include "decision_line.h"

#include <stdio.h>
#include <time.h>

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

static void write_erased(const struct dk_config *config, const struct dk_context *context,
                         const struct dk_action *action, struct dk_writer *out) {
    const char *separator = ",\"erased\":[\"";
    for (size_t i = 0; i < ERASED_COUNT; i++) {
        const struct erased *part = &erased_parts[i];
        if ((config->decision_log_erase & part->flag) != 0 && has(context, action, part)) {
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
static void write_input(const struct dk_config *config, const struct dk_context *context,
                        const struct dk_action *action, struct dk_writer *out) {
    struct dk_context shown = *context;
    struct dk_action named = *action;
    for (size_t i = 0; i < ERASED_COUNT; i++) {
        if ((config->decision_log_erase & erased_parts[i].flag) != 0 &&
            erased_parts[i].field != DK_FIELD_COUNT) {
            shown.fields[erased_parts[i].field] = (struct dk_bytes){NULL, 0};
        }
    }
    named.named = action->named && (config->decision_log_erase & DK_ERASE_NAME) == 0;
    dk_question_write_single(&shown, &named, out);
    if (!out->failed) {
        out->len--;
    }
}

static void write_time(const char *member, int64_t wall_ns, struct dk_writer *out) {
    char text[48];
    time_t seconds = (time_t)(wall_ns / 1000000000);
    struct tm utc;
    if (gmtime_r(&seconds, &utc) == NULL) {
        return;
    }
    dk_writer_text(out, member);
    size_t len = strftime(text, sizeof(text), "\"%Y-%m-%dT%H:%M:%S", &utc);
    dk_writer_bytes(out, (struct dk_bytes){(const uint8_t *)text, len});
    snprintf(text, sizeof(text), ".%09lldZ\"", (long long)(wall_ns % 1000000000));
    dk_writer_text(out, text);
}

static void write_identity(struct dk_decision_writer *writer, struct dk_writer *out) {
    dk_writer_text(out, ",\"decision_id\":\"");
    dk_writer_text(out, writer->id);
    dk_writer_text(out, "-");
    dk_writer_u64_decimal(out, writer->number++);
    dk_writer_text(out, "\",\"labels\":{\"id\":\"");
    dk_writer_text(out, writer->id);
    dk_writer_text(out, "\",\"product\":\"doorkeeper\"}");
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

static void write_number(struct dk_writer *out, const char *member, uint64_t number) {
    dk_writer_text(out, member);
    dk_writer_u64_decimal(out, number);
}

/* What OPA's own log has no member for. */
static void write_own(const struct dk_decision_line *line, struct dk_writer *out) {
    dk_writer_text(out, ",\"doorkeeper\":{\"outcome\":\"");
    dk_writer_text(out, dk_outcome_name(DK_ANSWER_OUTCOME(line->answer)));
    dk_writer_text(out, "\",\"source\":\"");
    dk_writer_text(out, dk_source_name(DK_ANSWER_SOURCE(line->answer)));
    dk_writer_text(out, "\"");
    write_text_member(out, ",\"api\":", line->api);
    if (line->age_ms >= 0) {
        write_number(out, ",\"age_ms\":", (uint64_t)line->age_ms);
    }
    if (line->count > 0) {
        write_time(",\"since\":", line->since_ns, out);
    }
    dk_writer_text(out, "}");
}

void dk_decision_line_write(struct dk_decision_writer *writer, const struct dk_decision_line *line,
                            struct dk_writer *out) {
    const struct dk_config *config = writer->config;
    write_input(config, line->context, line->action, out);
    write_identity(writer, out);
    write_text_member(out, ",\"path\":", dk_bytes_of(config->opa_path));
    write_outcome(DK_ANSWER_OUTCOME(line->answer), out);
    write_text_member(out, ",\"revision\":", line->revision);
    if ((config->decision_log_erase & DK_ERASE_ADDRESS) == 0) {
        write_text_member(out, ",\"requested_by\":", line->address);
    }
    write_time(",\"timestamp\":", line->wall_ns, out);
    if (line->count > 0) {
        write_number(out, ",\"count\":", line->count);
    }
    if (line->took_ns >= 0) {
        write_number(out,
                     ",\"metrics\":{\"timer_doorkeeper_authorize_ns\":", (uint64_t)line->took_ns);
        dk_writer_text(out, "}");
    }
    write_erased(config, line->context, line->action, out);
    write_own(line, out);
    dk_writer_text(out, "}\n");
}
