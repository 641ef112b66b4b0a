/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file audit.h
 * One line for each decided action that somebody wants to read, in the words of Kafka's own
 * authorizer:
 *
 *   Principal = User:bob is Denied operation = READ from host = 192.0.2.7 on resource =
 *   TOPIC:LITERAL:orders for request = FETCH with resourceRefCount = 1, outcome = DENY,
 *   source = cache, revision = authz=42
 *
 * "any resource of this type" stands as "TOPIC:LITERAL (any)". Names are escaped and cut, but may
 * hold spaces and commas: what follows the last ", outcome = " is Doorkeeper's own and cannot be
 * imitated. Lines go to DK_LOG_AUDIT, denied ones as INFO, allowed ones as DEBUG.
 *
 * Any thread, never blocks.
 */
#ifndef DOORKEEPER_AUDIT_H
#define DOORKEEPER_AUDIT_H

#include "doorkeeper/log.h"
#include "doorkeeper/outcome.h"
#include "doorkeeper/question.h"

/** Which audit lines somebody reads, set by the scribe from the levels of the audit logger; and
 *  which decisions the decision log records, by its settings. */
enum dk_audit_mask {
    DK_AUDIT_DENIED = 1,
    DK_AUDIT_ALLOWED = 2,
    DK_AUDIT_RECORD_DENIED = 4,
    DK_AUDIT_RECORD_ALLOWED = 8,
    DK_AUDIT_RECORD_UNCACHED = 16, /**< whatever did not come from the cache */
};

/** A call whose answers are final, or those of its actions that the mask asks for. */
struct dk_decided_call {
    struct dk_bytes principal, address, api; /**< for people, escaped where they are written */
    struct dk_bytes context;                 /**< its record; empty: nothing could be asked */
    struct dk_bytes request;                 /**< exactly `count` actions */
    size_t count;
    const dk_answer *answers;
    int64_t took_ns; /**< 0: not measured */
};

/** What all actions of a call share: foreign bytes, escaped here. */
struct dk_audit_call {
    struct dk_bytes principal, address, api;
    const char *revision; /**< printable, see opa.h; "" if OPA never gave one */
};

/** Whether an action with this outcome is to be written, by its own flags and by the mask. */
bool dk_audit_wants(uint32_t mask, const struct dk_action *action, enum dk_outcome outcome);

void dk_audit_write(struct dk_log *log, const struct dk_audit_call *call,
                    const struct dk_action *action, enum dk_outcome outcome, enum dk_source source);

#endif
