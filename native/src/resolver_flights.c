/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must hold, always under the resolver's mutex:
 *
 *  1. A flight stands in `table` from when it is opened until it ends, so a key has one flight at
 *     most. The key covers the epoch: a call never finds a flight of another epoch than its own.
 *     Its decision is in the cache before it ends, and who finds no flight looks there again: what
 *     is cached is not asked a second time.
 *  2. A flight is either in its principal's queue (`sent` false) or owned by the I/O thread, which
 *     took it out. Only the I/O thread ends flights, save dk_flights_fail_queued's.
 *  3. A principal is in the ring exactly while its queue is not empty.
 *  4. A link is in its flight's list exactly while link->flight is not NULL; then its waiter and
 *     its miss live, because a waiter leaves all of its links before it returns.
 *  5. A call's references are its open flights, plus one for the thread that made it. A principal
 *     lives while one of its calls does.
 *  6. count <= max_flights, principal->flights <= max_of_principal (a quarter), bytes <=
 *     DK_FLIGHT_BYTES_MAX, principal->bytes <= a quarter of that.
 *
 * `context` and `action` of a flight never change, so the I/O thread reads those of flights it took
 * without the mutex.
 */
#include "resolver_flights.h"

#include "doorkeeper/clock.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define PRINCIPAL_BYTES_MAX (DK_FLIGHT_BYTES_MAX / 4)

/* ---- the table --------------------------------------------------------------------------- */

static enum dk_error table_init(struct table *table, size_t entries) {
    size_t size = 64;
    while (size < entries) {
        size *= 2;
    }
    table->chains = calloc(size, sizeof(struct table_node *));
    table->mask = size - 1;
    return table->chains != NULL ? DK_OK : DK_ERR_MEMORY;
}

/* The place that points to the node of `key`, or to NULL at the end of its chain. */
static struct table_node **table_place(const struct table *table, struct dk_hash128 key) {
    struct table_node **place = &table->chains[key.h0 & table->mask];
    while (*place != NULL && ((*place)->key.h0 != key.h0 || (*place)->key.h1 != key.h1)) {
        place = &(*place)->next;
    }
    return place;
}

/* `place`: as table_place found it for a key that is not there. */
static void table_add(struct table_node **place, struct table_node *node, struct dk_hash128 key) {
    node->key = key;
    node->next = NULL;
    *place = node;
}

static void table_remove(struct table *table, struct table_node *node) {
    struct table_node **place = table_place(table, node->key);
    if (*place == node) {
        *place = node->next;
    }
}

enum dk_error dk_flights_init(struct flights *flights, struct dk_cache *cache, size_t max_flights) {
    memset(flights, 0, sizeof(*flights));
    flights->cache = cache;
    flights->max_flights = max_flights;
    flights->max_of_principal = max_flights / 4 > 0 ? max_flights / 4 : 1;
    enum dk_error error = dk_hash_key_init(&flights->hash_key);
    if (error == DK_OK) {
        error = table_init(&flights->table, max_flights);
    }
    if (error == DK_OK) {
        error = table_init(&flights->principals, max_flights / 4);
    }
    if (error != DK_OK) {
        dk_flights_clean_up(flights);
    }
    return error;
}

void dk_flights_clean_up(struct flights *flights) {
    free(flights->table.chains);
    free(flights->principals.chains);
    flights->table.chains = NULL;
    flights->principals.chains = NULL;
}

size_t dk_flights_memory_bytes(const struct flights *flights) {
    size_t chains = (size_t)(flights->table.mask + 1 + flights->principals.mask + 1);
    return chains * sizeof(struct table_node *) + DK_FLIGHT_BYTES_MAX;
}

/* ---- calls ------------------------------------------------------------------------------- */

static struct dk_hash128 hash_principal(const struct dk_hash_key *key,
                                        const struct dk_context *context) {
    struct dk_keyed_hash state;
    dk_keyed_hash_init(&state, key);
    dk_keyed_hash_part(&state, context->fields[DK_FIELD_PRINCIPAL_TYPE]);
    dk_keyed_hash_part(&state, context->fields[DK_FIELD_PRINCIPAL_NAME]);
    return dk_keyed_hash_finish(&state);
}

static uint8_t *copy_bytes(uint8_t *room, struct dk_bytes bytes) {
    if (bytes.len > 0) {
        memcpy(room, bytes.ptr, bytes.len);
    }
    return room + bytes.len;
}

/* The views of `from` point into its record; those of the copy into the copied record. */
static void move_context(const struct dk_context *from, const uint8_t *record,
                         struct dk_context *out) {
    *out = *from;
    out->record.ptr = record;
    for (size_t i = 0; i < DK_FIELD_COUNT; i++) {
        if (from->fields[i].ptr != NULL) {
            out->fields[i].ptr = record + (from->fields[i].ptr - from->record.ptr);
        }
    }
}

static void move_action(const struct dk_action *from, const uint8_t *hashed,
                        struct dk_action *out) {
    *out = *from;
    out->hashed.ptr = hashed;
    out->name.ptr = hashed + (from->name.ptr - from->hashed.ptr);
}

/* 0 if it is over what one principal may hold. */
static size_t call_size(const struct dk_context *context, const struct dk_miss *misses,
                        size_t count) {
    const size_t each = sizeof(struct flight) + sizeof(struct link);
    if (count > PRINCIPAL_BYTES_MAX / each) {
        return 0;
    }
    size_t size = sizeof(struct call) + count * each + context->record.len;
    for (size_t i = 0; i < count && size <= PRINCIPAL_BYTES_MAX; i++) {
        size += misses[i].action.hashed.len;
    }
    return size <= PRINCIPAL_BYTES_MAX ? size : 0;
}

_Static_assert(sizeof(struct call) % _Alignof(struct flight) == 0, "flights follow the call");
_Static_assert(sizeof(struct flight) % _Alignof(struct link) == 0, "links follow the flights");

struct call *dk_call_new(const struct dk_hash_key *hash_key, const struct dk_context *context,
                         const struct dk_miss *misses, size_t count) {
    size_t size = call_size(context, misses, count);
    struct call *call = size > 0 ? malloc(size) : NULL;
    if (call == NULL) {
        return NULL;
    }
    memset(call, 0, sizeof(*call));
    call->references = 1;
    call->bytes = size;
    call->count = count;
    call->principal_key = hash_principal(hash_key, context);
    call->flights = (struct flight *)(call + 1);
    call->links = (struct link *)(call->flights + count);
    memset(call->flights, 0, count * sizeof(struct flight));
    memset(call->links, 0, count * sizeof(struct link));
    uint8_t *room = (uint8_t *)(call->links + count);
    move_context(context, room, &call->context);
    room = copy_bytes(room, context->record);
    for (size_t i = 0; i < count; i++) {
        move_action(&misses[i].action, room, &call->flights[i].action);
        room = copy_bytes(room, misses[i].action.hashed);
    }
    return call;
}

static struct principal *find_or_add_principal(struct flights *flights, struct dk_hash128 key) {
    struct table_node **place = table_place(&flights->principals, key);
    if (*place != NULL) {
        return (struct principal *)*place;
    }
    struct principal *principal = calloc(1, sizeof(*principal));
    if (principal != NULL) {
        table_add(place, &principal->node, key);
    }
    return principal;
}

static void drop_principal_without_calls(struct flights *flights, struct principal *principal) {
    if (principal->calls == 0) {
        table_remove(&flights->principals, &principal->node);
        free(principal);
    }
}

bool dk_flights_admit(struct flights *flights, struct call *call) {
    if (call->bytes > DK_FLIGHT_BYTES_MAX - flights->bytes) {
        return false;
    }
    struct principal *principal = find_or_add_principal(flights, call->principal_key);
    if (principal == NULL) {
        return false;
    }
    if (call->bytes > PRINCIPAL_BYTES_MAX - principal->bytes) {
        drop_principal_without_calls(flights, principal);
        return false;
    }
    call->principal = principal;
    principal->calls++;
    principal->bytes += call->bytes;
    flights->bytes += call->bytes;
    return true;
}

void dk_call_release(struct flights *flights, struct call *call) {
    call->references--;
    if (call->references > 0) {
        return;
    }
    struct principal *principal = call->principal;
    if (principal != NULL) {
        flights->bytes -= call->bytes;
        principal->bytes -= call->bytes;
        principal->calls--;
        drop_principal_without_calls(flights, principal);
    }
    free(call);
}

/* ---- flights ----------------------------------------------------------------------------- */

static void enqueue(struct flights *flights, struct flight *flight) {
    struct principal *principal = flight->call->principal;
    if (principal->queue == NULL) {
        DL_APPEND(flights->ring, principal);
    }
    DL_APPEND(principal->queue, flight);
    flights->queued++;
}

struct flight *dk_flights_take(struct flights *flights, struct principal *principal) {
    struct flight *flight = principal->queue;
    DL_DELETE(principal->queue, flight);
    flights->queued--;
    if (principal->queue == NULL) {
        DL_DELETE(flights->ring, principal);
    }
    return flight;
}

void dk_flights_rotate(struct flights *flights, struct principal *principal) {
    if (principal->queue != NULL) {
        DL_DELETE(flights->ring, principal);
        DL_APPEND(flights->ring, principal);
    }
}

/* NULL if a cap on flights refuses it. */
static struct flight *open_flight(struct flights *flights, struct call *call, size_t index,
                                  struct table_node **place, struct dk_hash128 key) {
    struct principal *principal = call->principal;
    if (flights->count >= flights->max_flights || principal->flights >= flights->max_of_principal) {
        return NULL;
    }
    struct flight *flight = &call->flights[index];
    flight->call = call;
    call->references++;
    flights->count++;
    principal->flights++;
    table_add(place, &flight->node, key);
    enqueue(flights, flight);
    return flight;
}

static void link_miss(struct flight *flight, struct link *link, struct waiter *waiter,
                      struct dk_miss *miss, int64_t deadline_ms) {
    link->waiter = waiter;
    link->miss = miss;
    link->flight = flight;
    DL_APPEND(flight->links, link);
    waiter->pending++;
    if (flight->deadline_ms < deadline_ms) {
        flight->deadline_ms = deadline_ms;
    }
}

/* A flight that ended between the caller's look into the cache and now left its answer there. Who
 * refreshes knows of a late one. */
static bool is_answered_meanwhile(struct flights *flights, struct dk_miss *miss, bool refreshes) {
    int64_t now_ms = dk_clock_coarse_ms();
    struct dk_hit hit = refreshes ? dk_cache_peek(flights->cache, miss->key, now_ms)
                                  : dk_cache_lookup(flights->cache, miss->key, now_ms);
    if (hit.lookup != DK_LOOKUP_FRESH || (refreshes && hit.late)) {
        return false;
    }
    miss->outcome = hit.outcome;
    miss->source = DK_SOURCE_CACHE;
    return true;
}

struct opened dk_flights_open(struct flights *flights, struct call *call, struct waiter *waiter,
                              struct dk_miss *misses, uint64_t epoch, int64_t deadline_ms,
                              int64_t least_ms) {
    struct opened result = {0, 0, 0};
    for (size_t i = 0; i < call->count; i++) {
        struct table_node **place = table_place(&flights->table, misses[i].key);
        struct flight *flight = (struct flight *)*place;
        if (flight != NULL) {
            result.joined++;
        } else if (is_answered_meanwhile(flights, &misses[i], waiter == NULL)) {
            continue;
        } else {
            flight = open_flight(flights, call, i, place, misses[i].key);
            if (flight == NULL) {
                result.refused++;
                continue;
            }
            flight->epoch = epoch;
            flight->deadline_ms = least_ms;
            result.opened++;
        }
        if (waiter != NULL) {
            link_miss(flight, &call->links[i], waiter, &misses[i], deadline_ms);
        }
    }
    return result;
}

void dk_flights_leave(struct call *call) {
    for (size_t i = 0; i < call->count; i++) {
        struct link *link = &call->links[i];
        if (link->flight == NULL) {
            continue;
        }
        /* What was asked and not answered has another source than what nobody was asked. */
        link->miss->source = link->flight->sent ? DK_SOURCE_OPA : DK_SOURCE_NONE;
        DL_DELETE(link->flight->links, link);
        link->flight = NULL;
    }
}

static void answer_link(struct link *link, enum dk_outcome outcome, enum dk_source source) {
    link->miss->outcome = outcome;
    link->miss->source = source;
    link->flight = NULL;
    link->waiter->pending--;
    if (link->waiter->pending == 0) {
        pthread_cond_signal(&link->waiter->changed);
    }
}

void dk_flights_end(struct flights *flights, struct flight *flight, enum dk_outcome outcome,
                    enum dk_source source) {
    struct link *link = NULL;
    struct link *next = NULL;
    DL_FOREACH_SAFE(flight->links, link, next) {
        answer_link(link, outcome, source);
    }
    table_remove(&flights->table, &flight->node);
    flights->count--;
    flight->call->principal->flights--;
    dk_call_release(flights, flight->call);
}

void dk_flights_fail_queued(struct flights *flights) {
    while (flights->ring != NULL) {
        struct flight *flight = dk_flights_take(flights, flights->ring);
        dk_flights_end(flights, flight, DK_UNAVAILABLE, DK_SOURCE_NONE);
    }
}
