/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file stub_opa.h
 * A stand-in for OPA that costs next to nothing: HTTP/1.1 with keep-alive on 127.0.0.1, a port that
 * the system picks, one thread for all connections. It answers both forms of docs/policy-input.md
 * and the poll, always under the same revision, each answer as late as it is told to be; polls at
 * once. What it allows depends on principal, operation, type and name alone, not on chance.
 *
 * For benchmarks and tests: it trusts who asks, and any process of the machine may.
 */
#ifndef DOORKEEPER_CLI_STUB_OPA_H
#define DOORKEEPER_CLI_STUB_OPA_H

#include "doorkeeper/error.h"

struct dk_stub_opa;

struct dk_stub_opa_options {
    int64_t latency_ns; /**< from a request's last byte to its answer's first */
    double allow_share; /**< of the questions, 0 to 1 */
};

/** The thread runs when this returns. DK_ERR_MEMORY, DK_ERR_SYSTEM. */
DK_WARN_UNUSED enum dk_error dk_stub_opa_start(const struct dk_stub_opa_options *options,
                                               struct dk_stub_opa **out, struct dk_error_text *why);
/** Ends the thread and all connections. NULL is allowed. */
void dk_stub_opa_stop(struct dk_stub_opa *stub);
/** "http://127.0.0.1:<port>" */
const char *dk_stub_opa_url(const struct dk_stub_opa *stub);
/** Any thread: the processor time that the stub's thread has used; 0 for NULL. */
int64_t dk_stub_opa_cpu_ns(const struct dk_stub_opa *stub);

/** The answer to a request's body, in `out`; false if it is none that docs/policy-input.md knows.
 *  `*poll` tells whether it asked nothing. Any thread. */
bool dk_stub_opa_answer(struct dk_bytes body, double allow_share, struct dk_writer *out,
                        bool *poll);

#endif
