/* SPDX-License-Identifier: Apache-2.0 */
/** @file explain_flags.h What `doorkeeper explain` was told on its command line. */
#ifndef DOORKEEPER_CLI_EXPLAIN_FLAGS_H
#define DOORKEEPER_CLI_EXPLAIN_FLAGS_H

#include "core_settings.h"

#define DK_EXPLAIN_SETS_MAX 64u

/** Views of argv; NULL: not given. */
struct dk_explain_flags {
    const char *principal, *certificate, *operation, *resource, *pattern;
    const char *cluster, *listener, *protocol, *address, *client_id, *api;
    const char *from_log; /**< instead of all of the above */
    const char *trace;    /**< "notes" or "full" */
    const char *sets[DK_EXPLAIN_SETS_MAX];
    struct dk_settings_source settings; /**< its `sets` are not set yet */
    bool help;
};

/** `argv[0]` is the command. DK_ERR_CONFIG names the flag, its value (escaped) and what would be
 *  right. */
DK_WARN_UNUSED enum dk_error dk_explain_flags_parse(int argc, char **argv,
                                                    struct dk_explain_flags *out,
                                                    struct dk_error_text *why);

#endif
