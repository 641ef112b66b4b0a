/* SPDX-License-Identifier: Apache-2.0 */
#include "workload.h"

#include "chance.h"
#include "doorkeeper/config.h"
#include "record_writer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_MAX ((size_t)1 << 32)
#define REQUEST_MAX ((size_t)1 << 30)
#define NAME_ROOM 512u

struct workload {
    struct dk_load load; /* first: a load of this kind is a workload */
    struct dk_workload_options options;
    struct dk_zipf *principals, *topics;
    uint32_t mix_total;
    bool by_kind;             /* there is a context for each kind of call */
    struct dk_writer records; /* of the contexts */
    struct dk_writer actions; /* READ on each topic, one behind the other */
    size_t *action_ends;      /* in there */
    char *topic_prefix;       /* owned, as the next */
    char *group_prefix;
    struct dk_writer names; /* of the principals */
    size_t *name_ends;
};

const char *dk_call_kind_name(enum dk_call_kind kind) {
    static const char *const names[] = {"produce", "fetch", "group", "metadata"};
    return kind < DK_CALL_KINDS ? names[kind] : "";
}

/* What Kafka calls the requests. */
static const char *const api_names[] = {"PRODUCE", "FETCH", "HEARTBEAT", "METADATA"};
static const uint8_t topic_operations[] = {DK_OPERATION_WRITE, DK_OPERATION_READ, 0,
                                           DK_OPERATION_DESCRIBE};

/* ---- names and records made beforehand ---------------------------------------------------- */

static void write_principal(const struct dk_workload_options *options, uint32_t principal,
                            struct dk_writer *out) {
    dk_writer_text(out, options->principal_prefix);
    dk_writer_u64_decimal(out, principal);
    dk_writer_text(out, options->principal_suffix);
}

static void write_topic(const struct dk_workload_options *options, uint32_t topic,
                        struct dk_writer *out) {
    dk_writer_text(out, options->topic_prefix);
    dk_writer_u64_decimal(out, topic);
}

static bool make_principals(struct workload *workload) {
    workload->name_ends = calloc(workload->options.principals, sizeof(size_t));
    for (uint32_t i = 0; workload->name_ends != NULL && i < workload->options.principals; i++) {
        write_principal(&workload->options, i, &workload->names);
        workload->name_ends[i] = workload->names.len;
    }
    return workload->name_ends != NULL && !workload->names.failed;
}

static struct dk_bytes name_of(const struct workload *workload, size_t principal) {
    size_t start = principal == 0 ? 0 : workload->name_ends[principal - 1];
    return (struct dk_bytes){workload->names.ptr + start, workload->name_ends[principal] - start};
}

static bool make_topics(struct workload *workload) {
    static const struct dk_action_codes codes = {DK_OPERATION_READ, DK_TYPE_TOPIC,
                                                 DK_PATTERN_LITERAL};
    struct dk_writer name;
    dk_writer_init(&name, NAME_ROOM);
    workload->action_ends = calloc(workload->options.topics, sizeof(size_t));
    for (uint32_t i = 0; workload->action_ends != NULL && i < workload->options.topics; i++) {
        dk_writer_reset(&name);
        write_topic(&workload->options, i, &name);
        dk_record_action(&workload->actions, codes, dk_writer_view(&name));
        workload->action_ends[i] = workload->actions.len;
    }
    bool ok = workload->action_ends != NULL && !name.failed && !workload->actions.failed;
    dk_writer_clean_up(&name);
    return ok;
}

static void write_context(const struct workload *workload, struct dk_bytes principal,
                          enum dk_call_kind kind, struct dk_writer *out) {
    static const uint8_t not_forwarded[1] = {0};
    const struct dk_workload_options *options = &workload->options;
    dk_record_begin_context(out, 0);
    dk_record_field(out, DK_FIELD_CLUSTER_ID, dk_bytes_of(options->cluster_id));
    dk_record_field(out, DK_FIELD_PRINCIPAL_TYPE, dk_bytes_of("User"));
    dk_record_field(out, DK_FIELD_PRINCIPAL_NAME, principal);
    if ((options->fields & DK_GROUP_LISTENER) != 0) {
        dk_record_field(out, DK_FIELD_LISTENER, dk_bytes_of(options->listener));
        dk_record_field(out, DK_FIELD_FORWARDED, (struct dk_bytes){not_forwarded, 1});
    }
    if ((options->fields & DK_GROUP_PROTOCOL) != 0) {
        dk_record_field(out, DK_FIELD_PROTOCOL, dk_bytes_of("SSL"));
    }
    if ((options->fields & DK_GROUP_ADDRESS) != 0) {
        dk_record_field(out, DK_FIELD_ADDRESS, dk_bytes_of("127.0.0.1"));
    }
    if ((options->fields & DK_GROUP_CLIENT_ID) != 0) {
        dk_record_field(out, DK_FIELD_CLIENT_ID, principal);
    }
    if ((options->fields & DK_GROUP_API) != 0) {
        dk_record_field(out, DK_FIELD_API, dk_bytes_of(api_names[kind]));
    }
}

static size_t contexts_each(const struct workload *workload) {
    return workload->by_kind ? DK_CALL_KINDS : 1;
}

/* Writes all records, then looks where they are: writing moves them. */
static bool make_contexts(struct workload *workload) {
    size_t count = workload->options.principals * contexts_each(workload);
    struct dk_bytes *contexts = calloc(count, sizeof(*contexts));
    if (contexts == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        size_t start = workload->records.len;
        write_context(workload, name_of(workload, i / contexts_each(workload)),
                      (enum dk_call_kind)(i % contexts_each(workload)), &workload->records);
        contexts[i].len = workload->records.len - start;
    }
    const uint8_t *at = workload->records.ptr;
    for (size_t i = 0; i < count; i++) {
        contexts[i].ptr = at;
        at += contexts[i].len;
    }
    workload->load.contexts = contexts;
    workload->load.context_count = count;
    return !workload->records.failed;
}

/* ---- calls -------------------------------------------------------------------------------- */

static enum dk_error init_maker(const struct dk_load *load, struct dk_call_maker *maker) {
    const struct workload *workload = (const struct workload *)load;
    const struct dk_workload_options *options = &workload->options;
    size_t longest =
        options->actions > options->metadata_actions ? options->actions : options->metadata_actions;
    dk_writer_init(&maker->request, REQUEST_MAX);
    dk_writer_reserve(&maker->request, longest * 64);
    maker->ends = calloc(longest, sizeof(maker->ends[0]));
    maker->taken = calloc(options->topics, sizeof(maker->taken[0]));
    if (maker->ends == NULL || maker->taken == NULL || maker->request.failed) {
        dk_load_clean_up_maker(maker);
        return DK_ERR_MEMORY;
    }
    return DK_OK;
}

static enum dk_call_kind pick_kind(const struct workload *workload, struct dk_random *random) {
    uint32_t left = dk_random_below(random, workload->mix_total);
    unsigned kind = 0;
    while (left >= workload->options.mix[kind]) {
        left -= workload->options.mix[kind];
        kind++;
    }
    return (enum dk_call_kind)kind;
}

static void add_topic(const struct workload *workload, uint32_t topic, uint8_t operation,
                      struct dk_writer *out) {
    size_t start = topic == 0 ? 0 : workload->action_ends[topic - 1];
    size_t at = out->len;
    dk_writer_bytes(out, (struct dk_bytes){workload->actions.ptr + start,
                                           workload->action_ends[topic] - start});
    if (!out->failed) {
        out->ptr[at + 8] = operation;
    }
}

/* The call's number makes the name a new one. */
static void add_new_topic(const struct workload *workload, uint64_t number, size_t place,
                          uint8_t operation, struct dk_writer *out) {
    char name[NAME_ROOM + 64];
    const struct dk_action_codes codes = {operation, DK_TYPE_TOPIC, DK_PATTERN_LITERAL};
    (void)snprintf(name, sizeof(name), "%snew-%" PRIu64 "-%zu", workload->topic_prefix, number,
                   place);
    dk_record_action(out, codes, dk_bytes_of(name));
}

/* A topic that the call does not name yet: the next free one from where chance points. */
static uint32_t pick_topic(const struct workload *workload, struct dk_random *random,
                           struct dk_call_maker *maker) {
    uint32_t topic = dk_zipf_pick(workload->topics, random);
    while (maker->taken[topic] == maker->calls) {
        topic = topic + 1 < workload->options.topics ? topic + 1 : 0;
    }
    maker->taken[topic] = maker->calls;
    return topic;
}

static void begin_topics(const struct workload *workload, struct dk_call_maker *maker) {
    maker->calls++;
    if (maker->calls == 0) {
        memset(maker->taken, 0, workload->options.topics * sizeof(maker->taken[0]));
        maker->calls = 1;
    }
}

static void add_topics(const struct workload *workload, uint64_t number, enum dk_call_kind kind,
                       struct dk_random *random, struct dk_call_maker *maker) {
    const struct dk_workload_options *options = &workload->options;
    size_t count = kind == DK_CALL_METADATA ? options->metadata_actions : options->actions;
    begin_topics(workload, maker);
    for (size_t i = 0; i < count; i++) {
        if (options->new_share > 0 && dk_random_unit(random) < options->new_share) {
            add_new_topic(workload, number, i, topic_operations[kind], &maker->request);
        } else {
            add_topic(workload, pick_topic(workload, random, maker), topic_operations[kind],
                      &maker->request);
        }
        maker->ends[i] = maker->request.len;
    }
}

/* A group is its principal's own: "<principal>:<prefix><number>". */
static void add_group(const struct workload *workload, uint32_t principal, struct dk_random *random,
                      struct dk_call_maker *maker) {
    char name[2 * NAME_ROOM + 64];
    static const struct dk_action_codes codes = {DK_OPERATION_READ, DK_TYPE_GROUP,
                                                 DK_PATTERN_LITERAL};
    struct dk_bytes owner = name_of(workload, principal);
    (void)snprintf(name, sizeof(name), "%.*s:%s%" PRIu32, (int)owner.len, (const char *)owner.ptr,
                   workload->group_prefix, dk_random_below(random, workload->options.groups));
    dk_record_action(&maker->request, codes, dk_bytes_of(name));
    maker->ends[0] = maker->request.len;
}

static size_t count_of(const struct workload *workload, enum dk_call_kind kind) {
    switch (kind) {
    case DK_CALL_GROUP:
        return 1;
    case DK_CALL_METADATA:
        return workload->options.metadata_actions;
    default:
        return workload->options.actions;
    }
}

static void make(const struct dk_load *load, uint64_t number, struct dk_call_maker *maker,
                 struct dk_call *out) {
    const struct workload *workload = (const struct workload *)load;
    struct dk_random random = dk_random_of(workload->options.seed, number);
    enum dk_call_kind kind = pick_kind(workload, &random);
    uint32_t principal = dk_zipf_pick(workload->principals, &random);
    dk_writer_reset(&maker->request);
    if (kind == DK_CALL_GROUP) {
        add_group(workload, principal, &random, maker);
    } else {
        add_topics(workload, number, kind, &random, maker);
    }
    out->context = principal * contexts_each(workload) + (workload->by_kind ? kind : 0u);
    out->request = dk_writer_view(&maker->request);
    out->ends = maker->ends;
    out->count = count_of(workload, kind);
}

/* ---- beginning and end -------------------------------------------------------------------- */

static void destroy(struct dk_load *load) {
    struct workload *workload = (struct workload *)load;
    dk_zipf_destroy(workload->principals);
    dk_zipf_destroy(workload->topics);
    dk_writer_clean_up(&workload->records);
    dk_writer_clean_up(&workload->actions);
    dk_writer_clean_up(&workload->names);
    free(workload->action_ends);
    free(workload->name_ends);
    free(workload->topic_prefix);
    free(workload->group_prefix);
    free(workload->load.contexts);
    free(workload);
}

static const struct dk_load_kind workload_kind = {init_maker, make, destroy};

static void cap(uint32_t *number, uint32_t most) {
    *number = *number > most ? most : *number;
}

static void write_summary(struct workload *workload) {
    const struct dk_workload_options *options = &workload->options;
    char *out = workload->load.summary;
    size_t room = sizeof(workload->load.summary);
    int len = snprintf(out, room,
                       "%" PRIu32 " principals x %" PRIu32 " topics, Zipf %g, %" PRIu32
                       " actions a call (metadata %" PRIu32 "), new %g %%;",
                       options->principals, options->topics, options->zipf, options->actions,
                       options->metadata_actions, 100 * options->new_share);
    for (unsigned i = 0; i < DK_CALL_KINDS && len > 0 && (size_t)len < room; i++) {
        len += snprintf(out + len, room - (size_t)len, " %s %" PRIu32,
                        dk_call_kind_name((enum dk_call_kind)i), options->mix[i]);
    }
}

static enum dk_error make_parts(struct workload *workload) {
    struct dk_workload_options *options = &workload->options;
    cap(&options->actions, options->topics);
    cap(&options->metadata_actions, options->topics);
    for (unsigned i = 0; i < DK_CALL_KINDS; i++) {
        workload->mix_total += options->mix[i];
    }
    workload->by_kind = (options->fields & DK_GROUP_API) != 0;
    workload->topic_prefix = strdup(options->topic_prefix);
    workload->group_prefix = strdup(options->group_prefix);
    write_summary(workload);
    bool ok = workload->topic_prefix != NULL && workload->group_prefix != NULL &&
              dk_zipf_new(options->principals, options->zipf, &workload->principals) == DK_OK &&
              dk_zipf_new(options->topics, options->zipf, &workload->topics) == DK_OK &&
              make_principals(workload) && make_topics(workload) && make_contexts(workload);
    return ok ? DK_OK : DK_ERR_MEMORY;
}

enum dk_error dk_workload_new(const struct dk_workload_options *options, struct dk_load **out) {
    *out = NULL;
    struct workload *workload = calloc(1, sizeof(*workload));
    if (workload == NULL) {
        return DK_ERR_MEMORY;
    }
    workload->load.kind = &workload_kind;
    workload->options = *options;
    dk_writer_init(&workload->records, NAMES_MAX);
    dk_writer_init(&workload->actions, NAMES_MAX);
    dk_writer_init(&workload->names, NAMES_MAX);
    enum dk_error error = make_parts(workload);
    if (error != DK_OK) {
        destroy(&workload->load);
        return error;
    }
    *out = &workload->load;
    return DK_OK;
}

void dk_workload_write_grants(const struct dk_workload_options *options, struct dk_writer *out) {
    struct dk_writer name, everybody;
    dk_writer_init(&name, NAME_ROOM);
    dk_writer_init(&everybody, NAMES_MAX);
    for (uint32_t i = 0; i < options->principals; i++) {
        dk_writer_reset(&name);
        write_principal(options, i, &name);
        dk_writer_text(&everybody, i > 0 ? "," : "[");
        dk_writer_json_string(&everybody, dk_writer_view(&name));
    }
    dk_writer_text(&everybody, "]");
    dk_writer_text(out, "{\"topics\":{");
    for (uint32_t i = 0; i < options->topics; i++) {
        dk_writer_reset(&name);
        write_topic(options, i, &name);
        dk_writer_text(out, i > 0 ? ",\n" : "\n");
        dk_writer_json_string(out, dk_writer_view(&name));
        dk_writer_text(out, ":{\"read\":");
        dk_writer_bytes(out, dk_writer_view(&everybody));
        dk_writer_text(out, ",\"write\":");
        dk_writer_bytes(out, dk_writer_view(&everybody));
        dk_writer_text(out, "}");
    }
    dk_writer_text(out, "}}\n");
    out->failed |= name.failed || everybody.failed;
    dk_writer_clean_up(&name);
    dk_writer_clean_up(&everybody);
}
