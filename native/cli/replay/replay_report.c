/* SPDX-License-Identifier: Apache-2.0 */
#include "replay_report.h"

#include "question_facts.h"
#include "replay_groups.h"

#include <stdlib.h>
#include <string.h>

#define INPUT_MAX ((size_t)1024 * 1024 * 1024)

const char *dk_replay_class_name(enum dk_replay_class class) {
    static const char *const names[DK_REPLAY_CLASSES] = {
        "unchanged", "newly-denied", "newly-allowed",   "undefined",
        "error",     "otherwise",    "not-reproducible"};
    return class < DK_REPLAY_CLASSES ? names[class] : "unknown";
}

const char *dk_replay_result_name(struct dk_replay_result result) {
    if (result.other != 0) {
        return "other";
    }
    return result.outcome == DK_UNAVAILABLE ? "ERROR" : dk_outcome_name(result.outcome);
}

enum dk_replay_class dk_replay_classify(struct dk_replay_result before,
                                        struct dk_replay_result now) {
    if (dk_replay_result_equal(before, now)) {
        return DK_SAME;
    }
    if (now.other != 0) {
        return DK_OTHERWISE;
    }
    if (now.outcome == DK_UNAVAILABLE) {
        return DK_NOW_ERROR;
    }
    if (now.outcome == DK_UNDEFINED) {
        return DK_NOW_UNDEFINED;
    }
    if (before.other != 0) {
        return DK_OTHERWISE;
    }
    if (now.outcome == DK_ALLOW) {
        return DK_NEWLY_ALLOWED;
    }
    return before.outcome == DK_ALLOW ? DK_NEWLY_DENIED : DK_SAME;
}

/* ---- rows -------------------------------------------------------------------------------- */

struct reading {
    struct dk_replay_table *table;
    bool has_against;
    struct dk_replay_groups grouping;
    struct dk_writer input;
    struct dk_question_facts facts;
};

static void read_facts(struct reading *reading, const struct dk_replay_question *question) {
    static const char head[] = "{\"input\":";
    const size_t head_len = sizeof(head) - 1;
    dk_writer_reset(&reading->input);
    dk_replay_table_write(reading->table, question, &reading->input);
    struct dk_bytes text = dk_writer_view(&reading->input);
    if (reading->input.failed || text.len <= head_len + 1) {
        text = (struct dk_bytes){NULL, 0};
    } else {
        text = (struct dk_bytes){text.ptr + head_len, text.len - head_len - 1};
    }
    dk_question_facts_read(&reading->facts, text);
}

/* The class of a row, its question's results taken into account. */
static void classify(const struct reading *reading, const struct dk_replay_row *row,
                     struct dk_replay_group *piece) {
    const struct dk_replay_question *question =
        dk_replay_table_question(reading->table, row->question);
    piece->before = reading->has_against && row->reproducible ? question->results[1] : row->result;
    piece->now = row->reproducible ? question->results[0] : row->result;
    piece->class =
        row->reproducible ? dk_replay_classify(piece->before, piece->now) : DK_NOT_REPRODUCIBLE;
}

/* `first`: no earlier row of the same question is of this class. */
static bool add_row(struct reading *reading, const struct dk_replay_row *row, bool first,
                    struct dk_replay_report *out) {
    struct dk_replay_group piece = {
        .sum = {first, row->count},
        .first_ns = row->first_ns,
        .last_ns = row->last_ns,
        .sample = row->question,
    };
    classify(reading, row, &piece);
    out->sums[piece.class].questions += piece.sum.questions;
    out->sums[piece.class].decisions += piece.sum.decisions;
    if (piece.class == DK_SAME) {
        return true;
    }
    read_facts(reading, dk_replay_table_question(reading->table, row->question));
    piece.principal = dk_writer_view(&reading->facts.principal);
    piece.operation = dk_writer_view(&reading->facts.operation);
    piece.resource = dk_writer_view(&reading->facts.resource);
    return dk_replay_groups_add(&reading->grouping, &piece);
}

/* One bit a class for each question, so that a question counts once in a class. */
static bool add_rows(struct reading *reading, struct dk_replay_report *out) {
    uint8_t *seen = calloc(dk_replay_table_questions(reading->table) + 1, 1);
    bool ok = seen != NULL;
    for (size_t i = 0; ok && i < dk_replay_table_rows(reading->table); i++) {
        const struct dk_replay_row *row = dk_replay_table_row(reading->table, i);
        struct dk_replay_group piece;
        classify(reading, row, &piece);
        uint8_t bit = (uint8_t)(1u << piece.class);
        ok = add_row(reading, row, (seen[row->question] & bit) == 0, out);
        seen[row->question] |= bit;
    }
    free(seen);
    return ok;
}

static bool make_tops(const struct dk_replay_report *report, enum dk_replay_by by,
                      const struct dk_hash_key *key, struct dk_replay_tops *out) {
    struct dk_replay_groups grouping = {.key = *key};
    bool ok = true;
    for (size_t i = 0; ok && i < report->group_count; i++) {
        const struct dk_replay_group *group = &report->groups[i];
        struct dk_replay_group piece = *group;
        piece.principal = by == DK_BY_PRINCIPAL  ? group->principal
                          : by == DK_BY_RESOURCE ? group->resource
                                                 : group->operation;
        piece.operation = piece.resource = (struct dk_bytes){NULL, 0};
        piece.before = piece.now = (struct dk_replay_result){DK_DENY, 0};
        ok = group->class == DK_NOT_REPRODUCIBLE || dk_replay_groups_add(&grouping, &piece);
    }
    dk_replay_groups_finish(&grouping, &out->list, &out->count);
    return ok;
}

enum dk_error dk_replay_report_init(struct dk_replay_table *table, bool has_against,
                                    struct dk_replay_report *out) {
    struct reading reading = {.table = table, .has_against = has_against};
    memset(out, 0, sizeof(*out));
    dk_writer_init(&reading.input, INPUT_MAX);
    dk_question_facts_init(&reading.facts);
    enum dk_error error = dk_hash_key_init(&reading.grouping.key);
    bool ok = error == DK_OK && add_rows(&reading, out);
    dk_replay_groups_finish(&reading.grouping, &out->groups, &out->group_count);
    for (int by = 0; by < DK_REPLAY_BYS && ok; by++) {
        ok = make_tops(out, (enum dk_replay_by)by, &reading.grouping.key, &out->tops[by]);
    }
    dk_writer_clean_up(&reading.input);
    dk_question_facts_clean_up(&reading.facts);
    if (!ok) {
        dk_replay_report_clean_up(out);
        return error != DK_OK ? error : DK_ERR_MEMORY;
    }
    return DK_OK;
}

void dk_replay_report_clean_up(struct dk_replay_report *report) {
    dk_replay_groups_free(report->groups, report->group_count);
    for (int by = 0; by < DK_REPLAY_BYS; by++) {
        dk_replay_groups_free(report->tops[by].list, report->tops[by].count);
    }
    memset(report, 0, sizeof(*report));
}
