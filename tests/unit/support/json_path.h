/* SPDX-License-Identifier: Apache-2.0 */
/** @file json_path.h Finds a member of parsed JSON. */
#ifndef DOORKEEPER_TEST_JSON_PATH_H
#define DOORKEEPER_TEST_JSON_PATH_H

#include <cjson/cJSON.h>

/** The member at a path of names separated by slashes, as "labels/id"; NULL if there is none. */
const cJSON *json_at(const cJSON *object, const char *path);

#endif
