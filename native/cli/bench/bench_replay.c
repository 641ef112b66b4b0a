/* SPDX-License-Identifier: Apache-2.0 */
#include "bench_replay.h"

#include "json.h"
#include "question_json.h"

#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ACTIONS_MAX ((size_t)1 << 34)
#define VALUES_MAX ((size_t)1 << 24)

/* A context that lines share. */
struct known_context {
    size_t index;
    struct dk_bytes record; /* behind it, in the same memory, unless it is only looked for */
};

struct recorded_call {
    size_t context;
    size_t start;     /* in `actions` */
    size_t first_end; /* in `ends` */
    size_t count;
    bool may_grow; /* the next line may join it */
};

/* Arrays grow by grow(). */
struct replay {
    struct dk_load load; /* first: a load of this kind is a replay */
    void *tree;          /* of the known contexts, by tsearch */
    struct known_context **known;
    size_t known_count, known_room;
    struct dk_writer actions;
    struct dk_writer end_bytes; /* while lines are read: what becomes `ends` */
    size_t *ends;               /* for each action: where it ends in its call */
    size_t end_count;
    struct recorded_call *calls;
    size_t call_count, call_room;
    bool no_memory;
};

/* While lines are read. */
struct reader {
    struct replay *replay;
    size_t actions_max; /* of a call that is made of lines */
    const char *wrong;  /* with the line that is being read */
};

/* ---- calls -------------------------------------------------------------------------------- */

/* An array with room for one more than `count`; NULL and the old one stays without memory. */
static void *grow(void *array, size_t count, size_t *room, size_t item_size) {
    if (count < *room) {
        return array;
    }
    size_t wanted = *room == 0 ? 16 : 2 * *room;
    void *grown = realloc(array, wanted * item_size);
    *room = grown == NULL ? *room : wanted;
    return grown;
}

static enum dk_error init_maker(const struct dk_load *load, struct dk_call_maker *maker) {
    (void)load;
    (void)maker; /* calls are made already */
    return DK_OK;
}

static void make(const struct dk_load *load, uint64_t number, struct dk_call_maker *maker,
                 struct dk_call *out) {
    const struct replay *replay = (const struct replay *)load;
    const struct recorded_call *call = &replay->calls[number % replay->call_count];
    (void)maker;
    out->context = call->context;
    out->ends = replay->ends + call->first_end;
    out->count = call->count;
    out->request = (struct dk_bytes){replay->actions.ptr + call->start, out->ends[call->count - 1]};
}

static int compare_contexts(const void *left, const void *right) {
    const struct dk_bytes *a = &((const struct known_context *)left)->record;
    const struct dk_bytes *b = &((const struct known_context *)right)->record;
    if (a->len != b->len) {
        return a->len < b->len ? -1 : 1;
    }
    return memcmp(a->ptr, b->ptr, a->len);
}

static void destroy(struct dk_load *load) {
    struct replay *replay = (struct replay *)load;
    for (size_t i = 0; i < replay->known_count; i++) {
        (void)tdelete(replay->known[i], &replay->tree, compare_contexts);
        free(replay->known[i]);
    }
    free((void *)replay->known);
    dk_writer_clean_up(&replay->actions);
    dk_writer_clean_up(&replay->end_bytes);
    free(replay->ends);
    free(replay->calls);
    free(replay->load.contexts);
    free(replay);
}

static const struct dk_load_kind replay_kind = {init_maker, make, destroy};

static void begin_call(struct replay *replay, size_t context, bool may_grow) {
    struct recorded_call *grown =
        grow(replay->calls, replay->call_count, &replay->call_room, sizeof(*grown));
    if (grown == NULL) {
        replay->no_memory = true;
        return;
    }
    replay->calls = grown;
    grown[replay->call_count++] = (struct recorded_call){.context = context,
                                                         .start = replay->actions.len,
                                                         .first_end = replay->end_count,
                                                         .may_grow = may_grow};
}

/* Adds an action record to the call that was begun last. */
static void add_action(struct replay *replay, struct dk_bytes record) {
    if (replay->no_memory) {
        return; /* maybe there is no call */
    }
    struct recorded_call *call = &replay->calls[replay->call_count - 1];
    dk_writer_bytes(&replay->actions, record);
    size_t end = replay->actions.len - call->start;
    dk_writer_bytes(&replay->end_bytes, (struct dk_bytes){(const uint8_t *)&end, sizeof(end)});
    replay->end_count++;
    call->count++;
}

/* ---- contexts ----------------------------------------------------------------------------- */

static struct known_context *new_context(struct replay *replay, struct dk_bytes record) {
    struct known_context **list = grow((void *)replay->known, replay->known_count,
                                       &replay->known_room, sizeof(struct known_context *));
    if (list == NULL) {
        return NULL;
    }
    replay->known = list;
    struct known_context *known = malloc(sizeof(*known) + record.len);
    if (known == NULL) {
        return NULL;
    }
    uint8_t *copy = (uint8_t *)(known + 1);
    memcpy(copy, record.ptr, record.len);
    *known = (struct known_context){replay->known_count, {copy, record.len}};
    return known;
}

/* False without memory. */
static bool remember(struct replay *replay, struct dk_bytes record, size_t *index) {
    const struct known_context wanted = {.record = record};
    struct known_context *const *found = tfind(&wanted, &replay->tree, compare_contexts);
    if (found != NULL) {
        *index = (*found)->index;
        return true;
    }
    struct known_context *known = new_context(replay, record);
    if (known == NULL || tsearch(known, &replay->tree, compare_contexts) == NULL) {
        free(known);
        return false;
    }
    *index = known->index;
    replay->known[replay->known_count++] = known;
    return true;
}

static bool list_contexts(struct replay *replay) {
    replay->load.contexts = calloc(replay->known_count + 1, sizeof(replay->load.contexts[0]));
    if (replay->load.contexts == NULL) {
        return false;
    }
    for (size_t i = 0; i < replay->known_count; i++) {
        replay->load.contexts[i] = replay->known[i]->record;
    }
    replay->load.context_count = replay->known_count;
    return true;
}

static bool list_ends(struct replay *replay) {
    replay->ends = calloc(replay->end_count + 1, sizeof(*replay->ends));
    if (replay->ends == NULL || replay->end_bytes.failed) {
        return false;
    }
    if (replay->end_count > 0) {
        memcpy(replay->ends, replay->end_bytes.ptr, replay->end_bytes.len);
    }
    return true;
}

/* ---- lines -------------------------------------------------------------------------------- */

static const cJSON *member(const cJSON *object, const char *name) {
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

static bool fail(struct reader *reader, const char *wrong) {
    reader->wrong = wrong;
    return false;
}

static bool add_name(struct reader *reader, struct dk_action_codes codes, const char *name) {
    struct dk_writer record;
    dk_writer_init(&record, DK_ACTION_HEADER + DK_NAME_MAX);
    dk_record_action(&record, codes, dk_bytes_of(name));
    bool ok = !record.failed;
    if (ok) {
        add_action(reader->replay, dk_writer_view(&record));
    }
    dk_writer_clean_up(&record);
    return ok;
}

/* A batch's ask: each of its names is an action. */
static bool take_ask(struct reader *reader, const cJSON *ask) {
    static const char wrong[] = "an ask is not as docs/policy-input.md has it";
    const cJSON *names = member(ask, "names");
    struct dk_action_codes codes;
    if (!dk_question_codes(cJSON_GetStringValue(member(ask, "operation")),
                           cJSON_GetStringValue(member(ask, "type")),
                           cJSON_GetStringValue(member(ask, "pattern")), &codes) ||
        cJSON_GetArraySize(ask) != (names == NULL ? 3 : 4) ||
        (names != NULL && !cJSON_IsArray(names))) {
        return fail(reader, wrong);
    }
    if (names == NULL) {
        return add_name(reader, codes, NULL) || fail(reader, wrong);
    }
    for (const cJSON *name = names->child; name != NULL; name = name->next) {
        if (!cJSON_IsString(name) || !add_name(reader, codes, name->valuestring)) {
            return fail(reader, wrong);
        }
    }
    return true;
}

static bool take_context(struct reader *reader, struct dk_bytes record, size_t *index) {
    return remember(reader->replay, record, index) || fail(reader, dk_strerror(DK_ERR_MEMORY));
}

static bool take_request_context(struct reader *reader, const cJSON *input, const cJSON *request,
                                 size_t *index) {
    struct dk_writer record;
    dk_writer_init(&record, DK_CONTEXT_MAX);
    bool ok = dk_question_read_context(member(input, "cluster"), member(request, "principal"),
                                       member(request, "client"), &record)
                  ? take_context(reader, dk_writer_view(&record), index)
                  : fail(reader, "cluster, principal or client are not as docs/policy-input.md "
                                 "has them");
    dk_writer_clean_up(&record);
    return ok;
}

static bool take_request(struct reader *reader, const cJSON *input, const cJSON *request) {
    const cJSON *asks = member(request, "asks");
    struct replay *replay = reader->replay;
    size_t context;
    if (!take_request_context(reader, input, request, &context)) {
        return false;
    }
    if (!cJSON_IsArray(asks) || cJSON_GetArraySize(request) != 3) {
        return fail(reader, "a request is not as docs/policy-input.md has it");
    }
    size_t actions_before = replay->end_count;
    begin_call(replay, context, false);
    for (const cJSON *ask = asks->child; ask != NULL; ask = ask->next) {
        if (!take_ask(reader, ask)) {
            return false;
        }
    }
    if (replay->end_count == actions_before && !replay->no_memory) {
        replay->call_count--; /* it asks nothing */
    }
    return true;
}

static bool add_single(struct reader *reader, struct dk_bytes context, struct dk_bytes action) {
    struct replay *replay = reader->replay;
    size_t index;
    if (!take_context(reader, context, &index)) {
        return false;
    }
    const struct recorded_call *last =
        replay->call_count == 0 ? NULL : &replay->calls[replay->call_count - 1];
    if (last == NULL || !last->may_grow || last->context != index ||
        last->count >= reader->actions_max) {
        begin_call(replay, index, true);
    }
    add_action(replay, action);
    return true;
}

static bool take_single(struct reader *reader, const cJSON *input) {
    struct dk_writer context, action;
    bool ok = true;
    dk_writer_init(&context, DK_CONTEXT_MAX);
    dk_writer_init(&action, DK_ACTION_HEADER + DK_NAME_MAX);
    switch (dk_question_read_single(input, &context, &action)) {
    case DK_FORM_QUESTION:
        ok = add_single(reader, dk_writer_view(&context), dk_writer_view(&action));
        break;
    case DK_FORM_POLL:
        break;
    case DK_FORM_OTHER:
        ok = fail(reader, "the question is not as docs/policy-input.md has it");
        break;
    }
    dk_writer_clean_up(&action);
    dk_writer_clean_up(&context);
    return ok;
}

static bool take_input(struct reader *reader, const cJSON *input) {
    const cJSON *requests = member(input, "requests");
    if (!cJSON_IsObject(input) || cJSON_GetNumberValue(member(input, "version")) != 1) {
        return fail(reader, "no question: expected an object with \"version\": 1, or with such a "
                            "one as \"input\"");
    }
    if (requests == NULL) {
        return take_single(reader, input);
    }
    if (!cJSON_IsArray(requests) || cJSON_GetArraySize(input) != 3) {
        return fail(reader, "the batch is not as docs/policy-input.md has it");
    }
    for (const cJSON *request = requests->child; request != NULL; request = request->next) {
        if (!take_request(reader, input, request)) {
            return false;
        }
    }
    return true;
}

static bool is_blank(struct dk_bytes line) {
    for (size_t i = 0; i < line.len; i++) {
        if (line.ptr[i] != ' ' && line.ptr[i] != '\t' && line.ptr[i] != '\r') {
            return false;
        }
    }
    return true;
}

static bool take_line(struct reader *reader, struct dk_bytes line) {
    if (is_blank(line)) {
        return true;
    }
    cJSON *whole = dk_json_parse(line, VALUES_MAX, NULL);
    if (whole == NULL) {
        return fail(reader, "not a JSON value in one line");
    }
    const cJSON *input = member(whole, "input");
    bool ok = take_input(reader, input != NULL ? input : whole);
    cJSON_Delete(whole);
    return ok;
}

static enum dk_error take_lines(struct reader *reader, struct dk_bytes text,
                                struct dk_error_text *why) {
    for (size_t number = 1; text.len > 0; number++) {
        const uint8_t *end = memchr(text.ptr, '\n', text.len);
        size_t len = end != NULL ? (size_t)(end - text.ptr) : text.len;
        if (!take_line(reader, (struct dk_bytes){text.ptr, len})) {
            return dk_fail(why, DK_ERR_MALFORMED, "line %zu: %s", number, reader->wrong);
        }
        len += end != NULL ? 1 : 0;
        text.ptr += len;
        text.len -= len;
    }
    return DK_OK;
}

/* ---- beginning ---------------------------------------------------------------------------- */

static enum dk_error finish(struct replay *replay, struct dk_error_text *why) {
    if (replay->no_memory || replay->actions.failed || !list_ends(replay) ||
        !list_contexts(replay)) {
        return dk_fail(why, DK_ERR_MEMORY, "%s", dk_strerror(DK_ERR_MEMORY));
    }
    if (replay->call_count == 0) {
        return dk_fail(why, DK_ERR_MALFORMED, "there is no question in it");
    }
    (void)snprintf(replay->load.summary, sizeof(replay->load.summary),
                   "%zu recorded questions in %zu calls of %zu clients, round and round",
                   replay->end_count, replay->call_count, replay->load.context_count);
    return DK_OK;
}

enum dk_error dk_bench_replay_new(struct dk_bytes text, size_t actions, struct dk_load **out,
                                  struct dk_error_text *why) {
    *out = NULL;
    struct replay *replay = calloc(1, sizeof(*replay));
    if (replay == NULL) {
        return dk_fail(why, DK_ERR_MEMORY, "%s", dk_strerror(DK_ERR_MEMORY));
    }
    replay->load.kind = &replay_kind;
    dk_writer_init(&replay->actions, ACTIONS_MAX);
    dk_writer_init(&replay->end_bytes, ACTIONS_MAX);
    struct reader reader = {.replay = replay, .actions_max = actions};
    enum dk_error error = take_lines(&reader, text, why);
    if (error == DK_OK) {
        error = finish(replay, why);
    }
    if (error != DK_OK) {
        destroy(&replay->load);
        return error;
    }
    *out = &replay->load;
    return DK_OK;
}
