/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file question_json.h
 * The way back: from the JSON of docs/policy-input.md to the records of question.h. One thread.
 */
#ifndef DOORKEEPER_CLI_QUESTION_JSON_H
#define DOORKEEPER_CLI_QUESTION_JSON_H

#include "record_writer.h"

#include <cjson/cJSON.h>

enum dk_question_form {
    DK_FORM_QUESTION, /**< one question; the records are written */
    DK_FORM_POLL,     /**< what Doorkeeper asks to see whether OPA is ready */
    DK_FORM_OTHER,    /**< anything else: fields that Doorkeeper does not send, another version */
};

/**
 * `input`: the value of "input" in the single form. `context` and `action` are overwritten. The
 * records are right by proof: they are written as JSON again, and that must be the same `input`.
 * DK_FORM_OTHER also out of memory.
 */
enum dk_question_form dk_question_read_single(const cJSON *input, struct dk_writer *context,
                                              struct dk_writer *action);

/* The same in parts, for the batch form. Any argument may be NULL or of any type. */

/** Appends the context record that asks what the JSON says, no less and no more. False if there is
 *  none, or no memory; then `out` holds a part. */
bool dk_question_read_context(const cJSON *cluster, const cJSON *principal, const cJSON *client,
                              struct dk_writer *out);
/** Kafka's codes of names like "READ", "TOPIC", "LITERAL"; false if one is unknown, or NULL. */
bool dk_question_codes(const char *operation, const char *type, const char *pattern,
                       struct dk_action_codes *out);

#endif
