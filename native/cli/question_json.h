/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file question_json.h
 * The way back: from the JSON of docs/policy-input.md to the records of question.h. One thread.
 */
#ifndef DOORKEEPER_CLI_QUESTION_JSON_H
#define DOORKEEPER_CLI_QUESTION_JSON_H

#include "doorkeeper/question.h"

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

/** The record of one action from the names of its codes, as "READ", "TOPIC", "LITERAL". `name`
 * NULL: any resource. False for a name that is none. */
bool dk_action_write(const char *operation, const char *type, const char *pattern, const char *name,
                     struct dk_writer *out);
/** Adds a field to a context record, which begins with dk_context_write_header; ascending tags. */
void dk_context_write_header(struct dk_writer *out);
void dk_context_write_field(enum dk_field field, struct dk_bytes value, struct dk_writer *out);

#endif
