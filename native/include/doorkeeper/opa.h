/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file opa.h
 * The protocol with OPA (docs/policy-input.md): questions to JSON, answers to outcomes. Pure
 * functions without I/O; any thread. Only a well-formed answer for exactly these questions allows.
 */
#ifndef DOORKEEPER_OPA_H
#define DOORKEEPER_OPA_H

#include "doorkeeper/outcome.h"
#include "doorkeeper/question.h"

#define DK_REVISION_MAX 256u

struct dk_opa_question {
    const struct dk_context *context;
    const struct dk_action *action;
    enum dk_outcome outcome; /**< written by the read functions */
};

enum dk_opa_verdict {
    DK_OPA_ANSWERED,  /**< every outcome is DK_ALLOW or DK_DENY */
    DK_OPA_UNDEFINED, /**< an object without a result: outcomes are DK_UNDEFINED */
    DK_OPA_MALFORMED, /**< anything else: outcomes are DK_UNAVAILABLE */
};

struct dk_opa_reply {
    enum dk_opa_verdict verdict;
    /**
     * Bundle revisions as "name=revision", sorted by name, joined by ","; bundles without one are
     * left out; empty if the answer has none, and for DK_OPA_MALFORMED. Printable ASCII: other
     * bytes, '%', ',' and in names '=' are percent-encoded. What would be too long is
     * "sha256:<hex>" of that text: two answers have the same text only for the same revisions.
     */
    char revision[DK_REVISION_MAX];
    struct dk_error_text why; /**< for DK_OPA_MALFORMED */
};

/**
 * Sorts `questions` so that equal contexts and equal operation, type and pattern stand together,
 * then writes them as one batch. All must have the same cluster id, or `out` fails. `count` 0 (with
 * a cluster id in `cluster_id`, otherwise not read) is the poll.
 */
void dk_opa_write_batch(struct dk_bytes cluster_id, struct dk_opa_question *questions, size_t count,
                        struct dk_writer *out);
/**
 * `body`: of an answer with status 200, never anything else. `questions`: as dk_opa_write_batch
 * left them. The work and memory are bounded by the length of `body` and by `count`.
 */
void dk_opa_read_batch(struct dk_bytes body, struct dk_opa_question *questions, size_t count,
                       struct dk_opa_reply *reply);

/**
 * The answer to dk_question_write_single: only the JSON value true allows, only false denies.
 * `question` NULL: the answer to the poll.
 */
void dk_opa_read_single(struct dk_bytes body, struct dk_opa_question *question,
                        struct dk_opa_reply *reply);

/** The revision document: {"result": a string or a number}. False for anything else; then `out` is
 *  empty. Otherwise as `revision` above, without a name. */
bool dk_opa_read_revision_document(struct dk_bytes body, char out[DK_REVISION_MAX]);

/** The readiness poll of a policy without a batch rule: a single form without an action. Any
 *  boolean is an answer. */
void dk_opa_write_single_poll(struct dk_bytes cluster_id, struct dk_writer *out);

#endif
