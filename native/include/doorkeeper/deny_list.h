/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file deny_list.h
 * What is denied whatever OPA, cache and super.users say: a list that a person writes when
 * something burns (doorkeeper.deny.file). JSON:
 *
 *   {"deny": [
 *     {"principal": "User:mallory", "reason": "INC-123"},
 *     {"certificate_sha256": "9f86d0…"},
 *     {"serial": "4a:1b:09"},
 *     {"principal": "User:bob", "operation": "WRITE", "type": "TOPIC", "name": "payments"}
 *   ]}
 *
 * An entry denies what fits all of its members; `reason` is for the log. There is no wildcard: a
 * member that is left out fits everything, and an entry must have one. Certificates are those of
 * DK_FIELD_LOCAL_CERTIFICATE; a context without one fits no entry that names a certificate. Serials
 * are compared as numbers, whoever issued them. A question for any resource of a type fits no entry
 * with a name.
 *
 * A list never changes once it is parsed. Any thread.
 */
#ifndef DOORKEEPER_DENY_LIST_H
#define DOORKEEPER_DENY_LIST_H

#include "doorkeeper/question.h"

struct dk_deny_list;

#define DK_DENY_ENTRIES_MAX 10000u

/** Views into the list; `ptr` NULL: the entry has no such member. */
struct dk_deny_entry {
    struct dk_bytes principal;      /**< "Type:name" */
    struct dk_bytes sha256, serial; /**< big-endian; the serial without zeros in front */
    struct dk_bytes name;
    uint8_t operation, type; /**< Kafka's codes, 0 if the entry has no such member */
    const char *reason;      /**< as written, to be escaped; "" if there is none */
};

/**
 * The caller holds the list's first reference. DK_ERR_MALFORMED, DK_ERR_TOO_LARGE (too many
 * entries), DK_ERR_MEMORY: `*out` is NULL, and `why` (may be NULL) says which line and entry, and
 * what would be right. The work and memory are bounded by the length of `text`.
 */
DK_WARN_UNUSED enum dk_error dk_deny_list_parse(struct dk_bytes text, struct dk_deny_list **out,
                                                struct dk_error_text *why);
/** One more reference. */
void dk_deny_list_keep(struct dk_deny_list *list);
/** One less; the last one frees the list. NULL is allowed. */
void dk_deny_list_release(struct dk_deny_list *list);

size_t dk_deny_list_count(const struct dk_deny_list *list);

/**
 * The next entry from number `*at` (0 at first) on whose principal and certificate fit `context`;
 * NULL if there is none. `*at` is then one past it. `list` NULL is an empty list. Looks at one
 * entry after the other.
 */
const struct dk_deny_entry *dk_deny_list_next(const struct dk_deny_list *list,
                                              const struct dk_context *context, size_t *at);
/** Whether the rest of such an entry fits too. */
bool dk_deny_entry_fits(const struct dk_deny_entry *entry, const struct dk_action *action);

#endif
