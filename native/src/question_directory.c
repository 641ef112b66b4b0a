/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Invariants: every question belongs to one context and stands in its list; every context has at
 * least one question; both stand in the table of their kind; `bytes` is the sum of their sizes, and
 * at most `max_bytes`. Lists begin with what is oldest.
 */
#include "question_directory.h"

#include <stdlib.h>
#include <string.h>

#include <utlist.h>

/* The allocator's, so that the cap is honest. */
#define NODE_OVERHEAD 16u
#define ACTION_UNHASHED 8u
/* Taken from the ring at a time, so that files and log lines have their turn. */
#define TAKEN_AT_ONCE 65536u
/* Chains stay short: most questions take more than this, and a context has some of them. */
#define BYTES_OF_CHAIN 128u
#define CHAINS_MIN 64u
/* A context with more than this part of all bytes makes room for itself. */
#define LARGEST_PART 4

/** First member of what stands in a table. */
struct node {
    struct node *next;
    struct dk_hash128 id;
};

/** Chains over a fixed array: the ids are keyed hashes, so nobody can choose a long chain. */
struct table {
    struct node **chains;
    size_t mask;
};

struct question {
    struct node node;
    struct question *prev, *next; /* in its context */
    struct context *context;
    struct dk_question_note note;
    size_t len;
    uint8_t record[]; /* of the action; what is not hashed is 0 */
};

struct context {
    struct node node;
    struct context *prev, *next;
    struct question *questions;
    size_t questions_bytes;
    size_t request_len; /* of their records together */
    size_t len;
    uint8_t record[];
};

struct dk_question_directory {
    struct dk_hash_key hash_key;
    uint64_t epoch;
    struct table questions_by_key, contexts_by_id;
    struct context *contexts;
    size_t max_bytes, bytes, count;
    uint64_t additions;
    struct dk_writer record; /* a context on its way in */
    void (*leaves)(void *user, const struct dk_known_question *question);
    void *user;
};

/* ---- the table --------------------------------------------------------------------------- */

static bool table_init(struct table *table, size_t entries) {
    size_t size = CHAINS_MIN;
    while (size < entries) {
        size *= 2;
    }
    table->chains = calloc(size, sizeof(struct node *));
    table->mask = size - 1;
    return table->chains != NULL;
}

/* The place that points to the node of `id`, or to NULL at the end of its chain. */
static struct node **table_place(const struct table *table, struct dk_hash128 id) {
    struct node **place = &table->chains[id.h0 & table->mask];
    while (*place != NULL && ((*place)->id.h0 != id.h0 || (*place)->id.h1 != id.h1)) {
        place = &(*place)->next;
    }
    return place;
}

static void table_add(struct table *table, struct node *node, struct dk_hash128 id) {
    struct node **place = table_place(table, id);
    node->id = id;
    node->next = *place;
    *place = node;
}

static void table_remove(struct table *table, struct node *node) {
    struct node **place = table_place(table, node->id);
    if (*place == node) {
        *place = node->next;
    }
}

/* ---- the directory ----------------------------------------------------------------------- */

enum dk_error dk_question_directory_new(const struct dk_hash_key *hash_key, size_t max_bytes,
                                        struct dk_question_directory **out) {
    struct dk_question_directory *directory = calloc(1, sizeof(*directory));
    *out = NULL;
    if (directory == NULL) {
        return DK_ERR_MEMORY;
    }
    directory->hash_key = *hash_key;
    directory->max_bytes = max_bytes;
    dk_writer_init(&directory->record, DK_CONTEXT_MAX);
    size_t chains = max_bytes / BYTES_OF_CHAIN;
    if (!table_init(&directory->questions_by_key, chains) ||
        !table_init(&directory->contexts_by_id, chains / 4)) {
        dk_question_directory_destroy(directory);
        return DK_ERR_MEMORY;
    }
    *out = directory;
    return DK_OK;
}

size_t dk_question_directory_memory_bytes(const struct dk_question_directory *directory) {
    size_t chains = directory->questions_by_key.mask + 1 + directory->contexts_by_id.mask + 1;
    return directory->max_bytes + DK_CONTEXT_MAX + chains * sizeof(struct node *);
}

static size_t question_size(size_t len) {
    return sizeof(struct question) + len + NODE_OVERHEAD;
}

static size_t context_size(size_t len) {
    return sizeof(struct context) + len + NODE_OVERHEAD;
}

static void remove_context(struct dk_question_directory *directory, struct context *context) {
    directory->bytes -= context_size(context->len);
    table_remove(&directory->contexts_by_id, &context->node);
    DL_DELETE(directory->contexts, context);
    free(context);
}

static struct dk_known_question known(struct question *question) {
    return (struct dk_known_question){
        .key = question->node.id,
        .context = {question->context->record, question->context->len},
        .request = {question->record, question->len},
        .note = &question->note,
    };
}

static void remove_oldest_of(struct dk_question_directory *directory, struct context *context) {
    struct question *question = context->questions;
    if (directory->leaves != NULL) {
        struct dk_known_question leaving = known(question);
        directory->leaves(directory->user, &leaving);
    }
    directory->bytes -= question_size(question->len);
    context->questions_bytes -= question_size(question->len);
    directory->count--;
    context->request_len -= question->len;
    table_remove(&directory->questions_by_key, &question->node);
    DL_DELETE(context->questions, question);
    free(question);
    if (context->questions == NULL) {
        remove_context(directory, context);
    }
}

void dk_question_directory_destroy(struct dk_question_directory *directory) {
    if (directory == NULL) {
        return;
    }
    directory->leaves = NULL;
    while (directory->contexts != NULL) {
        remove_oldest_of(directory, directory->contexts);
    }
    free(directory->questions_by_key.chains);
    free(directory->contexts_by_id.chains);
    dk_writer_clean_up(&directory->record);
    explicit_bzero(directory, sizeof(*directory)); /* the key */
    free(directory);
}

void dk_question_directory_on_leaving(struct dk_question_directory *directory,
                                      void (*leaves)(void *user,
                                                     const struct dk_known_question *question),
                                      void *user) {
    directory->leaves = leaves;
    directory->user = user;
}

static void make_keys(struct dk_question_directory *directory, struct context *context) {
    struct dk_context parsed;
    struct dk_keyed_hash begun;
    /* What does not parse cannot be here: it was written from what did. */
    (void)!dk_context_parse((struct dk_bytes){context->record, context->len}, &parsed);
    dk_question_begin(&directory->hash_key, &parsed, &begun);
    for (struct question *question = context->questions; question != NULL;
         question = question->next) {
        struct dk_bytes record = {question->record, question->len};
        struct dk_action action;
        if (dk_action_parse(&record, &action) == DK_OK) {
            table_add(&directory->questions_by_key, &question->node,
                      dk_question_key(&begun, &action, directory->epoch));
        }
    }
}

void dk_question_directory_set_epoch(struct dk_question_directory *directory, uint64_t epoch) {
    struct table *table = &directory->questions_by_key;
    directory->epoch = epoch;
    memset(table->chains, 0, (table->mask + 1) * sizeof(*table->chains));
    for (struct context *context = directory->contexts; context != NULL; context = context->next) {
        make_keys(directory, context);
    }
}

uint64_t dk_question_directory_epoch(const struct dk_question_directory *directory) {
    return directory->epoch;
}

static struct question *find(const struct dk_question_directory *directory, struct dk_hash128 key) {
    return (struct question *)*table_place(&directory->questions_by_key, key);
}

static void make_newest(struct dk_question_directory *directory, struct question *question) {
    struct context *context = question->context;
    DL_DELETE(context->questions, question);
    DL_APPEND(context->questions, question);
    DL_DELETE(directory->contexts, context);
    DL_APPEND(directory->contexts, context);
}

static struct context *add_context(struct dk_question_directory *directory, struct dk_hash128 id,
                                   struct dk_bytes record) {
    struct context *context = calloc(1, sizeof(*context) + record.len);
    if (context == NULL) {
        return NULL;
    }
    context->len = record.len;
    memcpy(context->record, record.ptr, record.len);
    table_add(&directory->contexts_by_id, &context->node, id);
    DL_APPEND(directory->contexts, context);
    directory->bytes += context_size(context->len);
    return context;
}

static struct context *find_context(const struct dk_question_directory *directory,
                                    struct dk_hash128 id) {
    return (struct context *)*table_place(&directory->contexts_by_id, id);
}

static struct context *find_or_add_context(struct dk_question_directory *directory,
                                           struct dk_hash128 id, struct dk_bytes record) {
    struct context *context = find_context(directory, id);
    return context != NULL ? context : add_context(directory, id, record);
}

static struct question *add_question(struct dk_question_directory *directory,
                                     struct context *context, struct dk_hash128 key,
                                     const struct dk_action *action) {
    size_t len = ACTION_UNHASHED + action->hashed.len;
    struct question *question = calloc(1, sizeof(*question) + len);
    if (question == NULL) {
        return NULL;
    }
    question->context = context;
    question->len = len;
    memcpy(question->record + ACTION_UNHASHED, action->hashed.ptr, action->hashed.len);
    table_add(&directory->questions_by_key, &question->node, key);
    directory->count++;
    DL_APPEND(context->questions, question);
    context->request_len += len;
    context->questions_bytes += question_size(len);
    directory->bytes += question_size(len);
    directory->additions++;
    return question;
}

/* Who asks for very many names pushes out its own questions, not everybody's. */
static struct context *who_makes_room(const struct dk_question_directory *directory,
                                      struct dk_hash128 id) {
    struct context *own = find_context(directory, id);
    bool is_large = own != NULL && own->questions_bytes > directory->max_bytes / LARGEST_PART;
    return is_large ? own : directory->contexts;
}

/* Room for a question of context `id`, which may be new, too. */
static bool make_room(struct dk_question_directory *directory, struct dk_hash128 id,
                      size_t context_len, const struct dk_action *action) {
    size_t needed = context_size(context_len) + question_size(ACTION_UNHASHED + action->hashed.len);
    if (needed > directory->max_bytes) {
        return false;
    }
    while (directory->contexts != NULL && needed > directory->max_bytes - directory->bytes) {
        remove_oldest_of(directory, who_makes_room(directory, id));
    }
    return true;
}

/* NULL if there is no room for it. */
static struct question *put_new(struct dk_question_directory *directory,
                                const struct dk_context *context, const struct dk_keyed_hash *begun,
                                const struct dk_action *action, struct dk_hash128 key) {
    dk_writer_reset(&directory->record);
    dk_context_write_asked(context, &directory->record);
    struct dk_bytes record = dk_writer_view(&directory->record);
    struct dk_hash128 id = dk_keyed_hash_finish(begun);
    if (directory->record.failed || !make_room(directory, id, record.len, action)) {
        return NULL;
    }
    struct context *owner = find_or_add_context(directory, id, record);
    if (owner == NULL) {
        return NULL;
    }
    struct question *question = add_question(directory, owner, key, action);
    if (question == NULL && owner->questions == NULL) {
        remove_context(directory, owner);
    }
    return question;
}

bool dk_question_directory_put(struct dk_question_directory *directory,
                               const struct dk_context *context, const struct dk_action *action,
                               struct dk_known_question *out) {
    struct dk_keyed_hash begun;
    dk_question_begin(&directory->hash_key, context, &begun);
    struct dk_hash128 key = dk_question_key(&begun, action, directory->epoch);
    struct question *question = find(directory, key);
    if (question == NULL) {
        question = put_new(directory, context, &begun, action, key);
    }
    if (question == NULL) {
        return false;
    }
    make_newest(directory, question);
    if (out != NULL) {
        *out = known(question);
    }
    return true;
}

void dk_question_directory_take(struct dk_question_directory *directory,
                                struct dk_question_ring *decided) {
    struct dk_bytes record, request;
    struct dk_context context;
    struct dk_action action;
    for (size_t i = 0; i < TAKEN_AT_ONCE; i++) {
        if (!dk_question_ring_take(decided, &record, &request)) {
            return;
        }
        if (dk_context_parse(record, &context) == DK_OK &&
            dk_action_parse(&request, &action) == DK_OK) {
            (void)dk_question_directory_put(directory, &context, &action, NULL);
        }
    }
}

bool dk_question_directory_find(const struct dk_question_directory *directory,
                                struct dk_hash128 key, struct dk_known_question *out) {
    struct question *question = find(directory, key);
    if (question == NULL) {
        return false;
    }
    *out = known(question);
    return true;
}

size_t dk_question_directory_count(const struct dk_question_directory *directory) {
    return directory->count;
}

size_t dk_question_directory_bytes(const struct dk_question_directory *directory) {
    return directory->bytes;
}

uint64_t dk_question_directory_additions(const struct dk_question_directory *directory) {
    return directory->additions;
}

bool dk_question_walk_context(const struct dk_question_directory *directory,
                              struct dk_question_walk *walk, struct dk_bytes *context,
                              size_t *request_len) {
    struct context *last = walk->context;
    struct context *next = last == NULL ? directory->contexts : last->next;
    if (next == NULL) {
        return false;
    }
    walk->context = next;
    walk->question = NULL;
    *context = (struct dk_bytes){next->record, next->len};
    *request_len = next->request_len;
    return true;
}

bool dk_question_walk_question(struct dk_question_walk *walk, struct dk_known_question *out) {
    struct context *context = walk->context;
    struct question *last = walk->question;
    struct question *next = last == NULL ? context->questions : last->next;
    if (next == NULL) {
        return false;
    }
    walk->question = next;
    *out = known(next);
    return true;
}
