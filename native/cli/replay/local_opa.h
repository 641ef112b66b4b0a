/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file local_opa.h
 * A private OPA for one bundle: `opa run --server` on a Unix socket in a new directory that only
 * this user can enter. It ends with this process, however that ends; the directory goes with
 * dk_local_opa_stop. One thread.
 */
#ifndef DOORKEEPER_CLI_LOCAL_OPA_H
#define DOORKEEPER_CLI_LOCAL_OPA_H

#include "doorkeeper/error.h"

#include <sys/types.h>

struct dk_local_opa {
    pid_t pid;            /**< 0: not running */
    char directory[4096]; /**< empty: none */
    char url[4200];       /**< unix:/… */
};

/**
 * Serves `bundle`, a directory or a tar.gz; its signature is not looked at. Returns when it takes
 * questions. `binary`: a path, or a name to be found on PATH. `is_stopped` (may be NULL) ends the
 * wait. On failure `why` has OPA's own words, escaped, and nothing is left behind.
 */
DK_WARN_UNUSED enum dk_error dk_local_opa_start(const char *binary, const char *bundle,
                                                bool (*is_stopped)(void), struct dk_local_opa *out,
                                                struct dk_error_text *why);
/** Ends OPA by its pid and removes the directory. What did not start is allowed. */
void dk_local_opa_stop(struct dk_local_opa *opa);

#endif
