/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file json_scan.h
 * Walks over JSON text without building a tree: where a value ends, what the members of an object
 * are. It is what makes a log of millions of lines readable in a minute.
 *
 * Strict in structure, nesting, numbers, literals and escapes; control characters in strings are
 * refused. Not promised: that strings are UTF-8, that the members of an object differ.
 *
 * Allocates nothing, does not recurse. Any thread.
 */
#ifndef DOORKEEPER_CLI_JSON_SCAN_H
#define DOORKEEPER_CLI_JSON_SCAN_H

#include "doorkeeper/bytes.h"

/** How deep values may be nested. */
#define DK_JSON_DEPTH_MAX 64u

enum dk_json_scan {
    DK_JSON_OK,
    DK_JSON_CUT,       /**< the text ends inside the value */
    DK_JSON_MALFORMED, /**< no JSON from here on */
    DK_JSON_DEEP,      /**< nested deeper than DK_JSON_DEPTH_MAX */
};

/**
 * Takes one value and the white space before it off the front of `*rest`. `*value` is the value
 * without white space around it; a number or literal ends at the end of the text. Otherwise `*rest`
 * begins about where reading ended.
 */
enum dk_json_scan dk_json_scan_value(struct dk_bytes *rest, struct dk_bytes *value);

/**
 * Goes through the members of an object or the elements of an array. False at the end, and where
 * the text is no object (or array) or not well-formed; dk_json_walk_end tells these apart where the
 * value was not taken by dk_json_scan_value.
 *
 *     struct dk_json_walk walk = dk_json_walk(value);
 *     while (dk_json_next_member(&walk, &name, &member)) ...
 */
struct dk_json_walk {
    struct dk_bytes rest;
    bool begun;
    enum dk_json_scan scan; /**< of the value that ended the walk */
};
struct dk_json_walk dk_json_walk(struct dk_bytes value);
/** After the last member of an object: DK_JSON_OK if nothing but its bracket was left. */
enum dk_json_scan dk_json_walk_end(const struct dk_json_walk *walk);
/** `name`: between its quotes, escapes and all. */
bool dk_json_next_member(struct dk_json_walk *walk, struct dk_bytes *name, struct dk_bytes *value);
bool dk_json_next_element(struct dk_json_walk *walk, struct dk_bytes *value);

bool dk_json_is_object(struct dk_bytes value);
bool dk_json_is_array(struct dk_bytes value);
bool dk_json_is_string(struct dk_bytes value);
/** Whether `value` is this literal, as "true". */
bool dk_json_is(struct dk_bytes value, const char *literal);
/** The text between a string's quotes. False if it is none or has an escape. */
bool dk_json_plain_string(struct dk_bytes value, struct dk_bytes *text);
/** A whole number from 0 on, written in digits only. */
bool dk_json_u64(struct dk_bytes value, uint64_t *out);

#endif
