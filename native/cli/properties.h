/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file properties.h
 * Java's .properties format, as java.util.Properties.load(InputStream) reads it: Latin-1,
 * backslash escapes, continued lines. One thread.
 */
#ifndef DOORKEEPER_CLI_PROPERTIES_H
#define DOORKEEPER_CLI_PROPERTIES_H

#include "doorkeeper/config.h"

struct properties {
    struct dk_setting *list; /**< in the order of the file, repeated keys included */
    size_t count;
    uint8_t *text; /**< what the list points into, as UTF-8 */
    size_t *lines; /**< where each of the list begins in the file, from 1 */
};

/** On failure `out` is cleaned up: DK_ERR_MEMORY, or DK_ERR_MALFORMED for an escape \uXXXX. */
DK_WARN_UNUSED enum dk_error properties_parse(struct dk_bytes file, struct properties *out);
/** The same for the file at `path`, which `why` names. */
DK_WARN_UNUSED enum dk_error properties_read(const char *path, struct properties *out,
                                             struct dk_error_text *why);
/** Whether a config provider of Kafka's fills the value in, as in ${env:X}: nobody here knows it.
 */
bool properties_is_variable(struct dk_bytes value);
void properties_clean_up(struct properties *properties);

#endif
