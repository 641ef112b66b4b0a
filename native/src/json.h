/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file json.h
 * Foreign JSON to cJSON's tree. What cJSON will do with a text is bounded before it sees it: how
 * deep it recurses and how many values it allocates. Any thread.
 */
#ifndef DOORKEEPER_JSON_H
#define DOORKEEPER_JSON_H

#include "doorkeeper/bytes.h"

#include <cjson/cJSON.h>

/**
 * `text` as a tree, which the caller deletes. It must be exactly one value in UTF-8, nested at most
 * 32 deep, with at most `max_values` opening brackets and commas, and without what would end a C
 * string early (control characters, \u0000). Otherwise, and out of memory, NULL, and `*at` (may be
 * NULL) is about where reading ended.
 *
 * Not promised: strictness in the spelling of numbers, and that members of an object differ.
 */
cJSON *dk_json_parse(struct dk_bytes text, size_t max_values, size_t *at);

/**
 * Where element `index` of the first array that stands right inside an object begins, in a text
 * that dk_json_parse took; its end if there is none. cJSON's tree does not know.
 */
size_t dk_json_element(struct dk_bytes text, size_t index);

#endif
