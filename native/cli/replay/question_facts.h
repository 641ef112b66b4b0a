/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file question_facts.h
 * Who asks for what, read out of an input for people to look at: from the single form of
 * docs/policy-input.md, and from the form of opa-kafka-plugin. One thread.
 */
#ifndef DOORKEEPER_CLI_QUESTION_FACTS_H
#define DOORKEEPER_CLI_QUESTION_FACTS_H

#include "doorkeeper/bytes.h"

/** Texts as they are in the input, not escaped. What the input does not say is "-". */
struct dk_question_facts {
    struct dk_writer principal; /**< "User:alice" */
    struct dk_writer operation; /**< "READ" */
    struct dk_writer resource;  /**< "TOPIC:orders", "TOPIC:ab*" for a prefix, "TOPIC" for any */
};

void dk_question_facts_init(struct dk_question_facts *facts);
void dk_question_facts_clean_up(struct dk_question_facts *facts);
/** `input`: JSON. Overwrites what was read before. */
void dk_question_facts_read(struct dk_question_facts *facts, struct dk_bytes input);

/**
 * Whether `text` is what a filter names: all of it, or without its type ("alice" for "User:alice").
 * A `*` at the filter's end stands for any end.
 */
bool dk_question_facts_match(struct dk_bytes text, const char *filter);

#endif
