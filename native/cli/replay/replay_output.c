/* SPDX-License-Identifier: Apache-2.0 */
#include "replay_output.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CELL_MAX 48u
#define SAMPLE_MAX ((size_t)16 * 1024 * 1024)

static void put(struct dk_writer *out, const char *format, ...) DK_PRINTF(2, 3);

static void put(struct dk_writer *out, const char *format, ...) {
    char room[1024];
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(room, sizeof(room), format, arguments);
    va_end(arguments);
    out->failed |= len < 0 || (size_t)len >= sizeof(room);
    dk_writer_text(out, room);
}

const char *dk_replay_format_name(enum dk_replay_format format) {
    static const char *const names[] = {"table", "json", "junit", "markdown"};
    return format < DK_REPLAY_FORMATS ? names[format] : "unknown";
}

static bool fails(const struct dk_replay_about *about, enum dk_replay_class class) {
    return (about->fails & (1u << class)) != 0;
}

/* An example of a group, as it would be asked. */
static void write_sample(const struct dk_replay_about *about, const struct dk_replay_group *group,
                         struct dk_writer *out) {
    struct dk_replay_question *question =
        dk_replay_table_question((struct dk_replay_table *)about->table, group->sample);
    dk_writer_reset(out);
    dk_replay_table_write(about->table, question, out);
}

/* ---- text on one line -------------------------------------------------------------------- */

/* "1,234,567" */
static void put_count(struct dk_writer *out, uint64_t value, int width) {
    char digits[32], text[48];
    size_t at = 0;
    int len = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)value);
    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0) {
            text[at++] = ',';
        }
        text[at++] = digits[i];
    }
    text[at] = '\0';
    put(out, "%*s", width, text);
}

/* Characters, not bytes: a cut never stands inside one. */
static size_t width_of(const char *text, size_t len) {
    size_t width = 0;
    for (size_t i = 0; i < len; i++) {
        width += ((uint8_t)text[i] & 0xc0) != 0x80;
    }
    return width;
}

static void put_cell(struct dk_writer *out, struct dk_bytes text, size_t width) {
    char escaped[4 * CELL_MAX];
    size_t len = dk_bytes_escape(text, escaped, CELL_MAX);
    dk_writer_bytes(out, (struct dk_bytes){(const uint8_t *)escaped, len});
    for (size_t used = width_of(escaped, len); used < width; used++) {
        dk_writer_text(out, " ");
    }
}

static void put_escaped(struct dk_writer *out, struct dk_bytes text) {
    char escaped[2048];
    size_t len = dk_bytes_escape(text, escaped, sizeof(escaped));
    dk_writer_bytes(out, (struct dk_bytes){(const uint8_t *)escaped, len});
}

static void put_side(struct dk_writer *out, const char *name, const char *revision) {
    put_escaped(out, dk_bytes_of(name));
    if (revision[0] != '\0') {
        dk_writer_text(out, " (revision ");
        put_escaped(out, dk_bytes_of(revision));
        dk_writer_text(out, ")");
    }
}

/* ---- terminal ---------------------------------------------------------------------------- */

static size_t cell_width(size_t width, struct dk_bytes text) {
    char escaped[4 * CELL_MAX] = "";
    size_t own = width_of(escaped, dk_bytes_escape(text, escaped, CELL_MAX));
    return own > width ? own : width;
}

struct widths {
    size_t principal, operation, resource;
};

static struct widths widths_of(const struct dk_replay_group *groups, size_t count) {
    struct widths widths = {9, 9, 8};
    for (size_t i = 0; i < count; i++) {
        widths.principal = cell_width(widths.principal, groups[i].principal);
        widths.operation = cell_width(widths.operation, groups[i].operation);
        widths.resource = cell_width(widths.resource, groups[i].resource);
    }
    return widths;
}

static void put_table_row(const struct dk_replay_group *group, struct widths widths,
                          struct dk_writer *out) {
    struct dk_timestamp_text first, last;
    dk_writer_text(out, "  ");
    put_cell(out, group->principal, widths.principal + 2);
    put_cell(out, group->operation, widths.operation + 2);
    put_cell(out, group->resource, widths.resource + 2);
    put_count(out, group->sum.decisions, 11);
    put(out, "  %-9s  %-9s  %s  %s\n", dk_replay_result_name(group->before),
        dk_replay_result_name(group->now), dk_timestamp_write(group->first_ns, &first),
        dk_timestamp_write(group->last_ns, &last));
}

static void put_table_class(const struct dk_replay_about *about,
                            const struct dk_replay_group *groups, size_t count,
                            struct dk_writer *out) {
    size_t shown = count < about->most ? count : about->most;
    struct widths widths = widths_of(groups, shown);
    struct dk_writer sample;
    put(out, "\n%s\n  %-*s  %-*s  %-*s  %11s  %-9s  %-9s  %-20s  %s\n",
        dk_replay_class_name(groups->class), (int)widths.principal, "PRINCIPAL",
        (int)widths.operation, "OPERATION", (int)widths.resource, "RESOURCE", "DECISIONS", "BEFORE",
        "NOW", "FIRST", "LAST");
    for (size_t i = 0; i < shown; i++) {
        put_table_row(&groups[i], widths, out);
    }
    if (shown < count) {
        put(out, "  and %zu more; --output json has all\n", count - shown);
    }
    dk_writer_init(&sample, SAMPLE_MAX);
    write_sample(about, &groups[0], &sample);
    dk_writer_text(out, "  for example ");
    put_escaped(out, dk_writer_view(&sample));
    dk_writer_text(out, "\n");
    dk_writer_clean_up(&sample);
}

/* One past the last group of the class that begins at `start`. */
static size_t class_end(const struct dk_replay_report *report, size_t start) {
    size_t end = start;
    while (end < report->group_count && report->groups[end].class == report->groups[start].class) {
        end++;
    }
    return end;
}

static void put_period(const struct dk_replay_about *about, struct dk_writer *out) {
    const struct dk_replay_tally *tally = dk_replay_table_tally(about->table);
    struct dk_timestamp_text first, last;
    put(out, "%s to %s", dk_timestamp_write(tally->first_ns, &first),
        dk_timestamp_write(tally->last_ns, &last));
}

static void put_table_head(const struct dk_replay_about *about, struct dk_writer *out) {
    const struct dk_replay_tally *tally = dk_replay_table_tally(about->table);
    dk_writer_text(out, "log      ");
    put_count(out, tally->decisions, 0);
    dk_writer_text(out, " decisions, ");
    put_period(about, out);
    dk_writer_text(out, "\npolicy   ");
    put_side(out, about->policy, about->policy_revision);
    dk_writer_text(out, "\nagainst  ");
    put_side(out, about->against != NULL ? about->against : "what was recorded",
             about->against_revision);
    if (about->sample > 1) {
        put(out, "\nsample   one question of %llu", (unsigned long long)about->sample);
    }
    dk_writer_text(out, "\n\n");
}

static void put_table_sums(const struct dk_replay_report *report, struct dk_writer *out) {
    put(out, "%-18s%12s%14s\n", "", "questions", "decisions");
    for (int class = 0; class < DK_REPLAY_CLASSES; class ++) {
        const struct dk_replay_sum *sum = &report->sums[class];
        if (sum->decisions > 0 || class <= DK_NEWLY_ALLOWED) {
            put(out, "%-18s", dk_replay_class_name((enum dk_replay_class) class));
            put_count(out, sum->questions, 12);
            put_count(out, sum->decisions, 14);
            dk_writer_text(out, "\n");
        }
    }
}

static void put_left_out(const struct dk_replay_about *about, struct dk_writer *out) {
    const struct dk_replay_tally *tally = dk_replay_table_tally(about->table);
    const struct {
        uint64_t count;
        const char *what;
    } parts[] = {
        {about->bad, "lines that could not be read"},
        {about->other, "lines that are no decisions"},
        {about->local, "decisions of Doorkeeper's local rules"},
        {about->outside, "events outside of --since and --until"},
        {tally->polls, "polls"},
        {tally->filtered, "decisions that the filters or the sample leave out"},
    };
    const char *separator = "\nleft out: ";
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (parts[i].count > 0) {
            dk_writer_text(out, separator);
            put_count(out, parts[i].count, 0);
            put(out, " %s", parts[i].what);
            separator = ", ";
        }
    }
    dk_writer_text(out, separator[0] == ',' ? "\n" : "");
}

static void put_tops(const struct dk_replay_report *report, struct dk_writer *out) {
    static const char *const titles[DK_REPLAY_BYS] = {"by principal", "by resource",
                                                      "by operation"};
    for (int by = 0; by < DK_REPLAY_BYS; by++) {
        const struct dk_replay_tops *tops = &report->tops[by];
        put(out, "\n%s\n", titles[by]);
        for (size_t i = 0; i < tops->count && i < 10; i++) {
            put(out, "  %-14s  ", dk_replay_class_name(tops->list[i].class));
            put_cell(out, tops->list[i].principal, CELL_MAX);
            put_count(out, tops->list[i].sum.decisions, 13);
            dk_writer_text(out, "\n");
        }
    }
}

static void write_table(const struct dk_replay_report *report, const struct dk_replay_about *about,
                        struct dk_writer *out) {
    put_table_head(about, out);
    put_table_sums(report, out);
    for (size_t start = 0; start < report->group_count;) {
        size_t end = class_end(report, start);
        put_table_class(about, report->groups + start, end - start, out);
        start = end;
    }
    if (report->group_count > 10) {
        put_tops(report, out);
    }
    put_left_out(about, out);
}

/* ---- JSON -------------------------------------------------------------------------------- */

static void put_member(struct dk_writer *out, const char *name, struct dk_bytes text) {
    put(out, "\"%s\":", name);
    dk_writer_json_string(out, text);
}

static void put_json_sum(const struct dk_replay_sum *sum, struct dk_writer *out) {
    put(out, "\"questions\":%llu,\"decisions\":%llu", (unsigned long long)sum->questions,
        (unsigned long long)sum->decisions);
}

static void put_json_group(const struct dk_replay_about *about, const struct dk_replay_group *group,
                           struct dk_writer *sample, struct dk_writer *out) {
    struct dk_timestamp_text first, last;
    put(out, "{\"class\":\"%s\",", dk_replay_class_name(group->class));
    put_member(out, "principal", group->principal);
    dk_writer_text(out, ",");
    put_member(out, "operation", group->operation);
    dk_writer_text(out, ",");
    put_member(out, "resource", group->resource);
    put(out, ",\"before\":\"%s\",\"now\":\"%s\",", dk_replay_result_name(group->before),
        dk_replay_result_name(group->now));
    put_json_sum(&group->sum, out);
    put(out, ",\"first\":\"%s\",\"last\":\"%s\"", dk_timestamp_write(group->first_ns, &first),
        dk_timestamp_write(group->last_ns, &last));
    write_sample(about, group, sample);
    if (!sample->failed && sample->len > sizeof("{\"input\":}")) {
        dk_writer_text(out, ",\"sample\":");
        dk_writer_bytes(out, dk_writer_view(sample));
    }
    dk_writer_text(out, "}");
}

static void put_json_groups(const struct dk_replay_report *report,
                            const struct dk_replay_about *about, struct dk_writer *out) {
    struct dk_writer sample;
    dk_writer_init(&sample, SAMPLE_MAX);
    dk_writer_text(out, ",\n\"differences\":[");
    for (size_t i = 0; i < report->group_count; i++) {
        dk_writer_text(out, i > 0 ? ",\n" : "\n");
        put_json_group(about, &report->groups[i], &sample, out);
    }
    dk_writer_text(out, "]");
    dk_writer_clean_up(&sample);
}

static void put_json_tops(const struct dk_replay_report *report, struct dk_writer *out) {
    static const char *const names[DK_REPLAY_BYS] = {"by_principal", "by_resource", "by_operation"};
    for (int by = 0; by < DK_REPLAY_BYS; by++) {
        const struct dk_replay_tops *tops = &report->tops[by];
        put(out, ",\n\"%s\":[", names[by]);
        for (size_t i = 0; i < tops->count; i++) {
            put(out, "%s{\"class\":\"%s\",", i > 0 ? ",\n" : "\n",
                dk_replay_class_name(tops->list[i].class));
            put_member(out, "name", tops->list[i].principal);
            dk_writer_text(out, ",");
            put_json_sum(&tops->list[i].sum, out);
            dk_writer_text(out, "}");
        }
        dk_writer_text(out, "]");
    }
}

static void put_json_side(struct dk_writer *out, const char *member, const char *name,
                          const char *revision) {
    put(out, ",\n\"%s\":", member);
    if (name == NULL) {
        dk_writer_text(out, "null");
        return;
    }
    dk_writer_text(out, "{");
    put_member(out, "name", dk_bytes_of(name));
    dk_writer_text(out, ",");
    put_member(out, "revision", dk_bytes_of(revision));
    dk_writer_text(out, "}");
}

static void put_json_log(const struct dk_replay_about *about, struct dk_writer *out) {
    const struct dk_replay_tally *tally = dk_replay_table_tally(about->table);
    struct dk_timestamp_text first, last;
    put(out,
        ",\n\"log\":{\"events\":%llu,\"decisions\":%llu,\"first\":\"%s\",\"last\":\"%s\","
        "\"unreadable\":%llu,\"other\":%llu,\"local\":%llu,\"outside\":%llu,\"polls\":%llu,"
        "\"filtered\":%llu,"
        "\"sample\":%llu}",
        (unsigned long long)tally->events, (unsigned long long)tally->decisions,
        dk_timestamp_write(tally->first_ns, &first), dk_timestamp_write(tally->last_ns, &last),
        (unsigned long long)about->bad, (unsigned long long)about->other,
        (unsigned long long)about->local, (unsigned long long)about->outside,
        (unsigned long long)tally->polls, (unsigned long long)tally->filtered,
        (unsigned long long)about->sample);
}

static void write_json(const struct dk_replay_report *report, const struct dk_replay_about *about,
                       struct dk_writer *out) {
    dk_writer_text(out, "{\"version\":1");
    put_json_side(out, "policy", about->policy, about->policy_revision);
    put_json_side(out, "against", about->against, about->against_revision);
    put_json_log(about, out);
    dk_writer_text(out, ",\n\"totals\":{");
    for (int class = 0; class < DK_REPLAY_CLASSES; class ++) {
        put(out, "%s\"%s\":{", class > 0 ? "," : "",
            dk_replay_class_name((enum dk_replay_class) class));
        put_json_sum(&report->sums[class], out);
        put(out, ",\"fails\":%s}", fails(about, (enum dk_replay_class) class) ? "true" : "false");
    }
    dk_writer_text(out, "}");
    put_json_groups(report, about, out);
    put_json_tops(report, out);
    dk_writer_text(out, "}\n");
}

/* ---- JUnit ------------------------------------------------------------------------------- */

/* Escaped text is printable UTF-8; two code points of that XML does not take. */
static void put_xml(struct dk_writer *out, struct dk_bytes text) {
    char escaped[2048];
    size_t len = dk_bytes_escape(text, escaped, sizeof(escaped));
    for (size_t i = 0; i < len; i++) {
        uint8_t byte = (uint8_t)escaped[i];
        bool not_xml = len - i >= 3 && byte == 0xef && (uint8_t)escaped[i + 1] == 0xbf &&
                       (uint8_t)escaped[i + 2] >= 0xbe;
        if (not_xml) {
            dk_writer_text(out, "?");
            i += 2;
        } else if (strchr("&<>\"'", byte) != NULL && byte != '\0') {
            put(out, "&#%u;", byte);
        } else {
            dk_writer_bytes(out, (struct dk_bytes){&byte, 1});
        }
    }
}

static void put_junit_case(const struct dk_replay_about *about, const struct dk_replay_group *group,
                           struct dk_writer *sample, struct dk_writer *out) {
    struct dk_timestamp_text first, last;
    const char *element = fails(about, group->class) ? "failure" : "skipped";
    put(out, "  <testcase classname=\"doorkeeper.replay.%s\" name=\"",
        dk_replay_class_name(group->class));
    put_xml(out, group->principal);
    dk_writer_text(out, " ");
    put_xml(out, group->operation);
    dk_writer_text(out, " ");
    put_xml(out, group->resource);
    put(out, "\"><%s message=\"%s: before %s, now %s; %llu decisions, %s to %s\">", element,
        dk_replay_class_name(group->class), dk_replay_result_name(group->before),
        dk_replay_result_name(group->now), (unsigned long long)group->sum.decisions,
        dk_timestamp_write(group->first_ns, &first), dk_timestamp_write(group->last_ns, &last));
    write_sample(about, group, sample);
    put_xml(out, dk_writer_view(sample));
    put(out, "</%s></testcase>\n", element);
}

static void write_junit(const struct dk_replay_report *report, const struct dk_replay_about *about,
                        struct dk_writer *out) {
    size_t failures = 0;
    struct dk_writer sample;
    for (size_t i = 0; i < report->group_count; i++) {
        failures += fails(about, report->groups[i].class);
    }
    dk_writer_text(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    put(out,
        "<testsuite name=\"doorkeeper replay\" tests=\"%zu\" failures=\"%zu\" skipped=\"%zu\">\n",
        report->group_count + 1, failures, report->group_count - failures);
    put(out,
        "  <testcase classname=\"doorkeeper.replay\" name=\"%llu decisions are unchanged\"/>\n",
        (unsigned long long)report->sums[DK_SAME].decisions);
    dk_writer_init(&sample, SAMPLE_MAX);
    for (size_t i = 0; i < report->group_count; i++) {
        put_junit_case(about, &report->groups[i], &sample, out);
    }
    dk_writer_clean_up(&sample);
    dk_writer_text(out, "</testsuite>\n");
}

/* ---- Markdown ---------------------------------------------------------------------------- */

/* As code, in which nothing is a link, a mention or a heading; what could end it is an entity. */
static void put_code(struct dk_writer *out, struct dk_bytes text) {
    char escaped[400];
    size_t len = dk_bytes_escape(text, escaped, sizeof(escaped));
    dk_writer_text(out, "<code>");
    for (size_t i = 0; i < len; i++) {
        uint8_t byte = (uint8_t)escaped[i];
        bool mark = byte < 0x80 && byte != ' ' && strchr("!\"#$%&'()*+-./:;<=>?@[\\]^_`{|}~", byte);
        if (mark && strchr(":.-/=", byte) == NULL) {
            put(out, "&#%u;", byte);
        } else {
            dk_writer_bytes(out, (struct dk_bytes){&byte, 1});
        }
    }
    dk_writer_text(out, "</code>");
}

static void put_markdown_class(const struct dk_replay_about *about,
                               const struct dk_replay_group *groups, size_t count,
                               struct dk_writer *out) {
    size_t shown = count < about->most ? count : about->most;
    put(out,
        "\n#### %s\n\n| principal | operation | resource | decisions | before | now | first | last "
        "|\n| --- | --- | --- | ---: | --- | --- | --- | --- |\n",
        dk_replay_class_name(groups->class));
    for (size_t i = 0; i < shown; i++) {
        struct dk_timestamp_text first, last;
        dk_writer_text(out, "| ");
        put_code(out, groups[i].principal);
        dk_writer_text(out, " | ");
        put_code(out, groups[i].operation);
        dk_writer_text(out, " | ");
        put_code(out, groups[i].resource);
        dk_writer_text(out, " | ");
        put_count(out, groups[i].sum.decisions, 0);
        put(out, " | %s | %s | %s | %s |\n", dk_replay_result_name(groups[i].before),
            dk_replay_result_name(groups[i].now), dk_timestamp_write(groups[i].first_ns, &first),
            dk_timestamp_write(groups[i].last_ns, &last));
    }
    if (shown < count) {
        put(out, "\nand %zu more\n", count - shown);
    }
}

static void put_markdown_side(struct dk_writer *out, const char *name, const char *revision) {
    put_code(out, dk_bytes_of(name));
    if (revision[0] != '\0') {
        dk_writer_text(out, " (revision ");
        put_code(out, dk_bytes_of(revision));
        dk_writer_text(out, ")");
    }
}

static void put_markdown_head(const struct dk_replay_report *report,
                              const struct dk_replay_about *about, struct dk_writer *out) {
    const struct dk_replay_tally *tally = dk_replay_table_tally(about->table);
    bool differs = false;
    for (int class = 0; class < DK_REPLAY_CLASSES; class ++) {
        differs |= fails(about, (enum dk_replay_class) class) && report->sums[class].decisions > 0;
    }
    put(out, "### Policy replay: %s\n\n",
        differs ? "decisions change" : "no decision changes that was looked for");
    put_count(out, tally->decisions, 0);
    dk_writer_text(out, " recorded decisions (");
    put_period(about, out);
    dk_writer_text(out, "), asked of ");
    put_markdown_side(out, about->policy, about->policy_revision);
    dk_writer_text(out, ", compared with ");
    if (about->against != NULL) {
        put_markdown_side(out, about->against, about->against_revision);
    } else {
        dk_writer_text(out, "what was recorded");
    }
    dk_writer_text(out, ".\n\n| | questions | decisions |\n| --- | ---: | ---: |\n");
}

static void write_markdown(const struct dk_replay_report *report,
                           const struct dk_replay_about *about, struct dk_writer *out) {
    put_markdown_head(report, about, out);
    for (int class = 0; class < DK_REPLAY_CLASSES; class ++) {
        if (report->sums[class].decisions > 0 || class <= DK_NEWLY_ALLOWED) {
            put(out, "| %s | ", dk_replay_class_name((enum dk_replay_class) class));
            put_count(out, report->sums[class].questions, 0);
            dk_writer_text(out, " | ");
            put_count(out, report->sums[class].decisions, 0);
            dk_writer_text(out, " |\n");
        }
    }
    for (size_t start = 0; start < report->group_count;) {
        size_t end = class_end(report, start);
        put_markdown_class(about, report->groups + start, end - start, out);
        start = end;
    }
    put_left_out(about, out);
}

void dk_replay_write(const struct dk_replay_report *report, const struct dk_replay_about *about,
                     enum dk_replay_format format, struct dk_writer *out) {
    switch (format) {
    case DK_REPLAY_JSON:
        write_json(report, about, out);
        return;
    case DK_REPLAY_JUNIT:
        write_junit(report, about, out);
        return;
    case DK_REPLAY_MARKDOWN:
        write_markdown(report, about, out);
        return;
    default:
        write_table(report, about, out);
    }
}
