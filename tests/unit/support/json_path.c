/* SPDX-License-Identifier: Apache-2.0 */
#include "support/json_path.h"

#include <stdio.h>
#include <string.h>

const cJSON *json_at(const cJSON *object, const char *path) {
    char copy[128], *rest = copy;
    snprintf(copy, sizeof(copy), "%s", path);
    for (char *name = strsep(&rest, "/"); name != NULL; name = strsep(&rest, "/")) {
        object = cJSON_GetObjectItemCaseSensitive(object, name);
    }
    return object;
}
