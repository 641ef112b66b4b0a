/* SPDX-License-Identifier: Apache-2.0 */
#include "replay_report.h"

#include "hash_index.h"
#include "question_facts.h"

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

/* ---- groups ------------------------------------------------------------------------------ */

struct grouping {
    struct dk_hash_key key;
    struct dk_hash_index index;
    struct dk_replay_group *list;
    size_t count, room;
};

/* ptr NULL out of memory. */
static struct dk_bytes copy_of(struct dk_bytes text) {
    struct dk_bytes copy = {malloc(text.len + 1), text.len};
    if (copy.ptr != NULL && text.len > 0) {
        memcpy((void *)copy.ptr, text.ptr, text.len);
    }
    return copy;
}

static void free_group(struct dk_replay_group *group) {
    free((void *)group->principal.ptr);
    free((void *)group->operation.ptr);
    free((void *)group->resource.ptr);
}

static void free_groups(struct dk_replay_group *list, size_t count) {
    for (size_t i = 0; i < count; i++) {
        free_group(&list[i]);
    }
    free(list);
}

static struct dk_hash128 hash_group(const struct grouping *grouping,
                                    const struct dk_replay_group *group) {
    struct dk_keyed_hash state;
    dk_keyed_hash_init(&state, &grouping->key);
    dk_keyed_hash_word(&state, (uint64_t)group->class);
    dk_keyed_hash_word(&state, (uint64_t)group->before.outcome);
    dk_keyed_hash_word(&state, (uint64_t)group->now.outcome);
    dk_keyed_hash_word(&state, (uint64_t)(group->before.other != 0) << 1 | (group->now.other != 0));
    dk_keyed_hash_part(&state, group->principal);
    dk_keyed_hash_part(&state, group->operation);
    dk_keyed_hash_part(&state, group->resource);
    return dk_keyed_hash_finish(&state);
}

static bool add_group(struct grouping *grouping, struct dk_hash128 hash,
                      const struct dk_replay_group *like) {
    if (grouping->count == grouping->room) {
        size_t room = grouping->room == 0 ? 64 : 2 * grouping->room;
        struct dk_replay_group *moved = realloc(grouping->list, room * sizeof(*moved));
        if (moved == NULL) {
            return false;
        }
        grouping->list = moved;
        grouping->room = room;
    }
    struct dk_replay_group *group = &grouping->list[grouping->count++];
    *group = *like;
    group->sum = (struct dk_replay_sum){0, 0};
    group->principal = copy_of(like->principal);
    group->operation = copy_of(like->operation);
    group->resource = copy_of(like->resource);
    return group->principal.ptr != NULL && group->operation.ptr != NULL &&
           group->resource.ptr != NULL &&
           dk_hash_index_add(&grouping->index, hash, (uint32_t)grouping->count - 1) == DK_OK;
}

/* Adds `piece` to the group that it belongs to. False out of memory. */
static bool add_to_group(struct grouping *grouping, const struct dk_replay_group *piece) {
    struct dk_hash128 hash = hash_group(grouping, piece);
    uint32_t found = dk_hash_index_find(&grouping->index, hash);
    if (found == DK_HASH_INDEX_NONE) {
        if (!add_group(grouping, hash, piece)) {
            return false;
        }
        found = (uint32_t)grouping->count - 1;
    }
    if (found >= grouping->count) {
        return false;
    }
    struct dk_replay_group *group = &grouping->list[found];
    group->sum.questions += piece->sum.questions;
    group->sum.decisions += piece->sum.decisions;
    group->first_ns = piece->first_ns < group->first_ns ? piece->first_ns : group->first_ns;
    group->last_ns = piece->last_ns > group->last_ns ? piece->last_ns : group->last_ns;
    return true;
}

static int compare_text(struct dk_bytes a, struct dk_bytes b) {
    size_t shorter = a.len < b.len ? a.len : b.len;
    int order = shorter > 0 ? memcmp(a.ptr, b.ptr, shorter) : 0;
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare_groups(const void *left, const void *right) {
    const struct dk_replay_group *a = left, *b = right;
    if (a->class != b->class) {
        return a->class < b->class ? -1 : 1;
    }
    if (a->sum.decisions != b->sum.decisions) {
        return a->sum.decisions > b->sum.decisions ? -1 : 1;
    }
    int order = compare_text(a->principal, b->principal);
    order = order != 0 ? order : compare_text(a->resource, b->resource);
    return order != 0 ? order : compare_text(a->operation, b->operation);
}

/* Hands the groups over, sorted. */
static void finish(struct grouping *grouping, struct dk_replay_group **list, size_t *count) {
    if (grouping->count > 0) {
        qsort(grouping->list, grouping->count, sizeof(grouping->list[0]), compare_groups);
    }
    *list = grouping->list;
    *count = grouping->count;
    dk_hash_index_clean_up(&grouping->index);
}

/* ---- rows -------------------------------------------------------------------------------- */

struct reading {
    struct dk_replay_table *table;
    bool has_against;
    struct grouping grouping;
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
    return add_to_group(&reading->grouping, &piece);
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
    struct grouping grouping = {.key = *key};
    bool ok = true;
    for (size_t i = 0; ok && i < report->group_count; i++) {
        const struct dk_replay_group *group = &report->groups[i];
        struct dk_replay_group piece = *group;
        piece.principal = by == DK_BY_PRINCIPAL  ? group->principal
                          : by == DK_BY_RESOURCE ? group->resource
                                                 : group->operation;
        piece.operation = piece.resource = (struct dk_bytes){NULL, 0};
        piece.before = piece.now = (struct dk_replay_result){DK_DENY, 0};
        ok = group->class == DK_NOT_REPRODUCIBLE || add_to_group(&grouping, &piece);
    }
    finish(&grouping, &out->list, &out->count);
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
    finish(&reading.grouping, &out->groups, &out->group_count);
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
    free_groups(report->groups, report->group_count);
    for (int by = 0; by < DK_REPLAY_BYS; by++) {
        free_groups(report->tops[by].list, report->tops[by].count);
    }
    memset(report, 0, sizeof(*report));
}
