/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file core_settings.h
 * The core's settings for a command: those of a server.properties, those of the command line before
 * them. One thread.
 */
#ifndef DOORKEEPER_CLI_CORE_SETTINGS_H
#define DOORKEEPER_CLI_CORE_SETTINGS_H

#include "doorkeeper/config.h"

/** Where settings come from; the first that has one counts. */
struct dk_settings_source {
    const char *url;         /**< of OPA; NULL: as set */
    bool is_stub;            /**< then no file for TLS or a token counts */
    const char *const *sets; /**< "key=value" */
    size_t set_count;
    const char *config; /**< a server.properties; NULL: none */
    uint64_t threads;   /**< num.io.threads, where nothing sets it */
};

/** On failure `out` is cleaned up and `why` names the file or the setting. */
DK_WARN_UNUSED enum dk_error dk_settings_make(const struct dk_settings_source *source,
                                              struct dk_config *out, struct dk_error_text *why);

#endif
