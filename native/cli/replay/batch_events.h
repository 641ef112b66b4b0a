/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file batch_events.h
 * A recorded batch (docs/policy-input.md) taken apart into its single questions and their answers.
 * Works on the text, so that questions that are known already cost no parsing. Any thread.
 */
#ifndef DOORKEEPER_CLI_BATCH_EVENTS_H
#define DOORKEEPER_CLI_BATCH_EVENTS_H

#include "doorkeeper/outcome.h"
#include "log_event.h"

/** JSON values as they stand in the log. */
struct dk_batch_request {
    struct dk_bytes cluster, principal, client, asks;
};
struct dk_batch_ask {
    struct dk_bytes operation, type, pattern, names; /**< names.ptr NULL: any resource */
};

/** `name`: a JSON string; ptr NULL for any resource. False ends the walk. */
typedef bool dk_batch_visit(void *user, const struct dk_batch_request *request,
                            const struct dk_batch_ask *ask, struct dk_bytes name,
                            enum dk_outcome outcome);

enum dk_batch_walk {
    DK_BATCH_WALKED,
    DK_BATCH_OTHER, /**< the input is no batch, or has members that Doorkeeper does not send */
    DK_BATCH_STOPPED,
};

/**
 * Visits every question of `event`, with what was recorded for it: DK_UNDEFINED without a result,
 * DK_UNAVAILABLE where the result is not a right answer. Nothing is visited unless the whole input
 * is a batch.
 */
enum dk_batch_walk dk_batch_walk(const struct dk_log_event *event, dk_batch_visit *visit,
                                 void *user);

/** The value of "input" in the single form. */
void dk_batch_write_single(const struct dk_batch_request *request, const struct dk_batch_ask *ask,
                           struct dk_bytes name, struct dk_writer *out);

#endif
