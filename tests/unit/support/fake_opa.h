/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file fake_opa.h
 * An OPA for tests: answers both forms of docs/policy-input.md over a real socket, allows every
 * name that begins with "ok" (and "any resource"), and fails in the ways that the real one can.
 */
#ifndef DOORKEEPER_TEST_FAKE_OPA_H
#define DOORKEEPER_TEST_FAKE_OPA_H

#include "support/http_server.h"

struct fake_opa;

enum fault {
    FAULT_NONE = 0,
    FAULT_STATUS_500,
    FAULT_STATUS_401,
    FAULT_STATUS_503_ALLOWING, /**< a body that would allow, under a wrong status */
    FAULT_REDIRECT,
    FAULT_HTML,
    FAULT_TRUNCATED_JSON,
    FAULT_UNDEFINED,      /**< {}: no bundle is active */
    FAULT_UNDEFINED_RULE, /**< no result, but the bundle's revision */
    FAULT_TOO_FEW,
    FAULT_TOO_MANY,
    FAULT_OUT_OF_RANGE,
    FAULT_DUPLICATE_INDEX,
    FAULT_STRINGS, /**< "true" for what should be true or a list */
    FAULT_ENDLESS_BODY,
    FAULT_HUGE_BODY,
    FAULT_HANG,
    FAULT_DRIP,
    FAULT_CLOSE,
    FAULT_SHORT_BODY,
    FAULT_RESET,
    FAULT_COUNT
};
const char *fault_name(enum fault fault);

struct fake_opa *fake_opa_start(void);
/** On a Unix socket, so that another one can take its place. */
struct fake_opa *fake_opa_start_at(const char *socket_path);
/** With TLS on a free port; the process ignores SIGPIPE from then on. */
struct fake_opa *fake_opa_start_tls(const struct http_tls *tls);
void fake_opa_stop(struct fake_opa *opa);
/** Stops it in the middle of whatever it does: what is held gets no answer. */
void fake_opa_kill(struct fake_opa *opa);
const char *fake_opa_url(const struct fake_opa *opa);

/** NULL: answers carry no revision. "r1" at first. */
void fake_opa_set_revision(struct fake_opa *opa, const char *revision);
/** From now on nothing is allowed, under the same revision. */
void fake_opa_deny_all(struct fake_opa *opa);
void fake_opa_set_fault(struct fake_opa *opa, enum fault questions, enum fault polls);
/** Whoever shows another bearer token is answered with a 401; "" for any. */
void fake_opa_demand_token(struct fake_opa *opa, const char *token);
/** How a batch with a name that begins with "poison" fails: FAULT_STATUS_500, FAULT_UNDEFINED_RULE.
 */
void fake_opa_set_poison(struct fake_opa *opa, enum fault fault);

/** While the gate is closed questions (not polls) are read, computed, and answered once it opens.
 */
void fake_opa_close_gate(struct fake_opa *opa);
void fake_opa_open_gate(struct fake_opa *opa);
unsigned fake_opa_held(struct fake_opa *opa);

unsigned fake_opa_polls(struct fake_opa *opa);
unsigned fake_opa_requests(struct fake_opa *opa);
/** Questions in the request with number `index`, from 0, in the order of arrival. */
unsigned fake_opa_request_size(struct fake_opa *opa, unsigned index);
unsigned fake_opa_questions(struct fake_opa *opa);
/** Looks out for a name; fake_opa_seen_at: the first request that asked for it. */
void fake_opa_watch(struct fake_opa *opa, const char *name);
#define FAKE_OPA_NEVER (~0u)
unsigned fake_opa_seen_at(struct fake_opa *opa);

#endif
