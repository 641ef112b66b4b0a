/* SPDX-License-Identifier: Apache-2.0 */
#include "replay_time.h"

#include "json_scan.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The brackets let any name be a part of a path. */
static void write_reference(const char *rule, struct dk_writer *out) {
    dk_writer_text(out, "data");
    while (*rule != '\0') {
        size_t len = strcspn(rule, "/");
        dk_writer_text(out, "[\\\"");
        dk_writer_bytes(out, (struct dk_bytes){(const uint8_t *)rule, len});
        dk_writer_text(out, "\\\"]");
        rule += len + (rule[len] == '/');
    }
}

void dk_replay_write_query(const char *rule, int64_t ns, struct dk_bytes body,
                           struct dk_writer *out) {
    char time[80];
    snprintf(time, sizeof(time), " with time.now_ns as %" PRId64 "\",", ns);
    dk_writer_text(out, "{\"query\":\"result = ");
    write_reference(rule, out);
    dk_writer_text(out, time);
    dk_writer_bytes(out, (struct dk_bytes){body.ptr + 1, body.len - 1});
}

/* The member of an object; ptr NULL if there is none, or no object. */
static struct dk_bytes member_of(struct dk_bytes object, const char *wanted) {
    struct dk_json_walk walk = dk_json_walk(object);
    struct dk_bytes name, value, found = {NULL, 0};
    while (dk_json_next_member(&walk, &name, &value)) {
        found = dk_json_is(name, wanted) ? value : found;
    }
    return found;
}

void dk_replay_read_query(struct dk_bytes answer, struct dk_writer *out) {
    struct dk_bytes rest = answer, whole, bindings;
    if (dk_json_scan_value(&rest, &whole) != DK_JSON_OK || !dk_json_is_object(whole)) {
        return;
    }
    struct dk_bytes sets = member_of(whole, "result"), more;
    if (sets.ptr == NULL) {
        /* {} where the rule is undefined; with "code" an error, as the Data API has it */
        dk_writer_bytes(out, whole);
        return;
    }
    struct dk_json_walk walk = dk_json_walk(sets);
    if (!dk_json_next_element(&walk, &bindings) || dk_json_next_element(&walk, &more)) {
        return; /* a query with one variable has one answer */
    }
    struct dk_bytes result = member_of(bindings, "result");
    if (result.ptr != NULL) {
        dk_writer_text(out, "{\"result\":");
        dk_writer_bytes(out, result);
        dk_writer_text(out, "}");
    }
}
