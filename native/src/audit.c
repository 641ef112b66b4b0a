/* SPDX-License-Identifier: Apache-2.0 */
#include "doorkeeper/audit.h"

/* Together with the fixed words these stay below DK_LOG_LINE_MAX, so that a long name never pushes
 * the outcome off the end of the line. A topic's name (249 characters) fits whole. */
#define PRINCIPAL_MAX 240
#define NAME_MAX_SHOWN 256
#define ADDRESS_MAX 48
#define API_MAX 48
#define REVISION_SHOWN 140

bool dk_audit_wants(uint32_t mask, const struct dk_action *action, enum dk_outcome outcome) {
    if (outcome == DK_ALLOW) {
        return (mask & DK_AUDIT_ALLOWED) != 0 && (action->flags & DK_LOG_IF_ALLOWED) != 0;
    }
    return (mask & DK_AUDIT_DENIED) != 0 && (action->flags & DK_LOG_IF_DENIED) != 0;
}

void dk_audit_write(struct dk_log *log, const struct dk_audit_call *call,
                    const struct dk_action *action, enum dk_outcome outcome,
                    enum dk_source source) {
    char principal[PRINCIPAL_MAX], address[ADDRESS_MAX], api[API_MAX], name[NAME_MAX_SHOWN];
    int principal_len = (int)dk_bytes_escape(call->principal, principal, sizeof(principal));
    int address_len = (int)dk_bytes_escape(call->address, address, sizeof(address));
    int api_len = (int)dk_bytes_escape(call->api, api, sizeof(api));
    int name_len = (int)dk_bytes_escape(action->name, name, sizeof(name));
    struct dk_code_name operation, type, pattern;
    bool allowed = outcome == DK_ALLOW;
    dk_log_write(log, DK_LOG_AUDIT, allowed ? DK_LOG_DEBUG : DK_LOG_INFO,
                 "Principal = %.*s is %s operation = %s from host = %.*s on resource = "
                 "%s:%s%s%.*s for request = %.*s with resourceRefCount = %lu, outcome = %s, "
                 "source = %s, revision = %.*s",
                 principal_len, principal, allowed ? "Allowed" : "Denied",
                 dk_operation_name(action->operation, &operation), address_len, address,
                 dk_resource_type_name(action->type, &type),
                 dk_pattern_type_name(action->pattern, &pattern), action->named ? ":" : " (any)",
                 name_len, name, api_len, api, (unsigned long)action->reference_count,
                 dk_outcome_name(outcome), dk_source_name(source), REVISION_SHOWN,
                 call->revision[0] == '\0' ? "none" : call->revision);
}
