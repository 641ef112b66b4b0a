/* SPDX-License-Identifier: Apache-2.0 */
#include "doorkeeper/outcome.h"

const char *dk_outcome_name(enum dk_outcome outcome) {
    switch (outcome) {
    case DK_DENY:
        return "DENY";
    case DK_ALLOW:
        return "ALLOW";
    case DK_UNDEFINED:
        return "UNDEFINED";
    case DK_UNAVAILABLE:
        return "UNAVAILABLE";
    }
    return "DENY";
}

const char *dk_source_name(enum dk_source source) {
    switch (source) {
    case DK_SOURCE_NONE:
        return "none";
    case DK_SOURCE_RULE:
        return "rule";
    case DK_SOURCE_CACHE:
        return "cache";
    case DK_SOURCE_OPA:
        return "opa";
    case DK_SOURCE_STALE:
        return "stale";
    }
    return "none";
}
