/* SPDX-License-Identifier: Apache-2.0 */
#include "batch_events.h"

#include "json_scan.h"

#include <string.h>

/* OPA sorts what it writes; what is not sorted is looked up name by name, which takes the square.
 */
#define UNSORTED_MAX 1024u

/* One walk for two passes: the first, without `visit`, only looks whether all is as it should be.
 */
struct walk {
    dk_batch_visit *visit;
    void *user;
    struct dk_bytes cluster;
    bool answer_is_bad;  /* the recorded result does not fit the questions */
    enum dk_outcome all; /* what every question got, unless it is DK_ALLOW: then the answer tells */
};

/* Puts the members of an object into `values`; false if there is one that has no name in `names`.
 */
static bool take_members(struct dk_bytes object, const char *const *names, size_t count,
                         struct dk_bytes *values) {
    struct dk_json_walk members = dk_json_walk(object);
    struct dk_bytes name, value;
    memset(values, 0, count * sizeof(values[0]));
    while (dk_json_next_member(&members, &name, &value)) {
        size_t i = 0;
        while (i < count && !dk_json_is(name, names[i])) {
            i++;
        }
        if (i == count || values[i].ptr != NULL) {
            return false;
        }
        values[i] = value;
    }
    return dk_json_is_object(object);
}

static bool read_ask(struct dk_bytes text, struct dk_batch_ask *ask) {
    static const char *const names[] = {"operation", "type", "pattern", "names"};
    struct dk_bytes values[4];
    if (!take_members(text, names, 4, values)) {
        return false;
    }
    *ask = (struct dk_batch_ask){values[0], values[1], values[2], values[3]};
    return dk_json_is_string(ask->operation) && dk_json_is_string(ask->type) &&
           dk_json_is_string(ask->pattern) &&
           (ask->names.ptr == NULL || dk_json_is_array(ask->names));
}

static bool read_request(struct dk_bytes text, struct dk_bytes cluster,
                         struct dk_batch_request *request) {
    static const char *const names[] = {"principal", "client", "asks"};
    struct dk_bytes values[3];
    if (!take_members(text, names, 3, values)) {
        return false;
    }
    *request = (struct dk_batch_request){cluster, values[0], values[1], values[2]};
    return dk_json_is_object(request->principal) && dk_json_is_object(request->client) &&
           dk_json_is_array(request->asks);
}

/* ---- answers ----------------------------------------------------------------------------- */

/* An answer lists indices in any order; whether one is among them is looked up for each name. */
static bool lists(struct dk_bytes indices, uint64_t wanted) {
    struct dk_json_walk walk = dk_json_walk(indices);
    struct dk_bytes element;
    uint64_t index;
    while (dk_json_next_element(&walk, &element)) {
        if (dk_json_u64(element, &index) && index == wanted) {
            return true;
        }
    }
    return false;
}

/* Sorted lists, which OPA writes, are looked through once for all names. */
struct cursor {
    struct dk_bytes indices;
    struct dk_json_walk walk;
    uint64_t next;
    bool ended, sorted;
};

static void advance(struct cursor *cursor) {
    struct dk_bytes element;
    cursor->ended =
        !dk_json_next_element(&cursor->walk, &element) || !dk_json_u64(element, &cursor->next);
}

static bool is_sorted(struct dk_bytes indices) {
    struct dk_json_walk walk = dk_json_walk(indices);
    struct dk_bytes element;
    uint64_t index, before = 0;
    for (bool first = true; dk_json_next_element(&walk, &element); first = false) {
        if (!dk_json_u64(element, &index) || (!first && index <= before)) {
            return false;
        }
        before = index;
    }
    return true;
}

static struct cursor cursor_over(struct dk_bytes indices) {
    struct cursor cursor = {.indices = indices, .walk = dk_json_walk(indices)};
    cursor.sorted = is_sorted(indices);
    advance(&cursor);
    return cursor;
}

static bool is_listed(struct cursor *cursor, uint64_t index) {
    if (!cursor->sorted) {
        return lists(cursor->indices, index);
    }
    bool here = !cursor->ended && cursor->next == index;
    if (here) {
        advance(cursor);
    }
    return here;
}

/* Whether `indices` is a right answer for `count` names: whole numbers in range, none twice. */
static bool is_answer(struct dk_bytes indices, uint64_t count) {
    struct dk_json_walk walk = dk_json_walk(indices);
    struct dk_bytes element;
    uint64_t index, listed = 0, distinct = 0;
    if (!dk_json_is_array(indices)) {
        return false;
    }
    while (dk_json_next_element(&walk, &element)) {
        if (!dk_json_u64(element, &index) || index >= count || ++listed > count) {
            return false;
        }
    }
    if (is_sorted(indices)) {
        return true;
    }
    if (listed > UNSORTED_MAX) {
        return false;
    }
    for (index = 0; index < count; index++) {
        distinct += lists(indices, index);
    }
    return distinct == listed;
}

/* ---- the walk ---------------------------------------------------------------------------- */

static enum dk_outcome outcome_of(const struct walk *walk, bool listed) {
    if (walk->all != DK_ALLOW) {
        return walk->all;
    }
    if (walk->answer_is_bad) {
        return DK_UNAVAILABLE;
    }
    return listed ? DK_ALLOW : DK_DENY;
}

static uint64_t count_names(struct dk_bytes names, bool *all_strings) {
    struct dk_json_walk walk = dk_json_walk(names);
    struct dk_bytes name;
    uint64_t count = 0;
    *all_strings = true;
    while (dk_json_next_element(&walk, &name)) {
        *all_strings &= dk_json_is_string(name);
        count++;
    }
    return count;
}

static enum dk_batch_walk visit_names(struct walk *walk, const struct dk_batch_request *request,
                                      const struct dk_batch_ask *ask, struct dk_bytes indices) {
    struct dk_json_walk names = dk_json_walk(ask->names);
    struct dk_bytes name = {NULL, 0};
    struct cursor cursor = cursor_over(indices);
    bool any = ask->names.ptr == NULL;
    for (uint64_t i = 0; any ? i == 0 : dk_json_next_element(&names, &name); i++) {
        enum dk_outcome outcome = outcome_of(walk, is_listed(&cursor, i));
        if (!walk->visit(walk->user, request, ask, name, outcome)) {
            return DK_BATCH_STOPPED;
        }
    }
    return DK_BATCH_WALKED;
}

static enum dk_batch_walk walk_ask(struct walk *walk, const struct dk_batch_request *request,
                                   struct dk_bytes text, struct dk_bytes indices) {
    struct dk_batch_ask ask;
    bool all_strings = true;
    if (!read_ask(text, &ask)) {
        return DK_BATCH_OTHER;
    }
    if (walk->visit != NULL) {
        return visit_names(walk, request, &ask, indices);
    }
    uint64_t count = ask.names.ptr == NULL ? 1 : count_names(ask.names, &all_strings);
    walk->answer_is_bad |= !is_answer(indices, count);
    return all_strings ? DK_BATCH_WALKED : DK_BATCH_OTHER;
}

/* The answer that belongs to the next part of the question; none is as bad as a wrong one. */
static struct dk_bytes next_answer(struct walk *walk, struct dk_json_walk *answers) {
    struct dk_bytes answer = {NULL, 0};
    if (!dk_json_next_element(answers, &answer)) {
        walk->answer_is_bad = true;
        answer = (struct dk_bytes){NULL, 0};
    }
    return answer;
}

static void expect_no_more(struct walk *walk, struct dk_json_walk *answers) {
    struct dk_bytes answer;
    walk->answer_is_bad |= dk_json_next_element(answers, &answer);
}

static enum dk_batch_walk walk_request(struct walk *walk, struct dk_bytes text,
                                       struct dk_bytes answer) {
    struct dk_batch_request request;
    struct dk_json_walk answers = dk_json_walk(answer);
    struct dk_bytes ask;
    if (!read_request(text, walk->cluster, &request)) {
        return DK_BATCH_OTHER;
    }
    struct dk_json_walk asks = dk_json_walk(request.asks);
    while (dk_json_next_element(&asks, &ask)) {
        enum dk_batch_walk walked = walk_ask(walk, &request, ask, next_answer(walk, &answers));
        if (walked != DK_BATCH_WALKED) {
            return walked;
        }
    }
    expect_no_more(walk, &answers);
    return DK_BATCH_WALKED;
}

static enum dk_batch_walk walk_requests(struct walk *walk, struct dk_bytes requests,
                                        struct dk_bytes result) {
    struct dk_json_walk answers = dk_json_walk(result);
    struct dk_json_walk each = dk_json_walk(requests);
    struct dk_bytes request;
    while (dk_json_next_element(&each, &request)) {
        enum dk_batch_walk walked = walk_request(walk, request, next_answer(walk, &answers));
        if (walked != DK_BATCH_WALKED) {
            return walked;
        }
    }
    expect_no_more(walk, &answers);
    return DK_BATCH_WALKED;
}

enum dk_batch_walk dk_batch_walk(const struct dk_log_event *event, dk_batch_visit *visit,
                                 void *user) {
    static const char *const names[] = {"version", "cluster", "requests"};
    struct dk_bytes values[3];
    if (!dk_json_is_object(event->input) || !take_members(event->input, names, 3, values) ||
        !dk_json_is(values[0], "1") || !dk_json_is_object(values[1]) ||
        !dk_json_is_array(values[2])) {
        return DK_BATCH_OTHER;
    }
    struct walk walk = {.user = user, .cluster = values[1], .all = DK_ALLOW};
    if (event->failed) {
        walk.all = DK_UNAVAILABLE;
    } else if (event->result.ptr == NULL) {
        walk.all = DK_UNDEFINED;
    }
    enum dk_batch_walk walked = walk_requests(&walk, values[2], event->result);
    if (walked == DK_BATCH_WALKED) {
        walk.answer_is_bad |= !dk_json_is_array(event->result);
        walk.visit = visit;
        walked = walk_requests(&walk, values[2], event->result);
    }
    return walked;
}

void dk_batch_write_single(const struct dk_batch_request *request, const struct dk_batch_ask *ask,
                           struct dk_bytes name, struct dk_writer *out) {
    const struct {
        const char *text;
        struct dk_bytes value;
    } parts[] = {
        {"{\"version\":1,\"cluster\":", request->cluster},
        {",\"principal\":", request->principal},
        {",\"client\":", request->client},
        {",\"action\":{\"operation\":", ask->operation},
        {",\"resource\":{\"type\":", ask->type},
        {name.ptr != NULL ? ",\"name\":" : "", name},
        {",\"pattern\":", ask->pattern},
        {"}}}", {NULL, 0}},
    };
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        dk_writer_text(out, parts[i].text);
        dk_writer_bytes(out, parts[i].value);
    }
}
