/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file tls_watch.h
 * The PEM files for the connections to OPA, looked at again and again (file_watch.h). One thread at
 * a time (the scribe), because it blocks on the file system.
 *
 * Files are replaced one after the other: a certificate whose key has not come yet, and whatever
 * else does not fit together, leaves the last good ones in use.
 */
#ifndef DOORKEEPER_TLS_WATCH_H
#define DOORKEEPER_TLS_WATCH_H

#include "doorkeeper/log.h"
#include "doorkeeper/resolver.h"
#include "file_watch.h"

enum { DK_TLS_CA = 0, DK_TLS_CERTIFICATE = 1, DK_TLS_KEY = 2, DK_TLS_COUNT = 3 };

struct dk_tls_watch {
    struct dk_file_watch files[DK_TLS_COUNT];
    struct dk_log_limit limit;
};

/** Reads the files for the first time; DK_ERR_CONFIG says why not. Without files all is empty. */
DK_WARN_UNUSED enum dk_error dk_tls_watch_init(struct dk_tls_watch *watch,
                                               const struct dk_config *config,
                                               struct dk_error_text *why);
void dk_tls_watch_clean_up(struct dk_tls_watch *watch);

/** What is in use; views into the watch. */
struct dk_http_pem dk_tls_watch_pem(const struct dk_tls_watch *watch);

/** Looks at the files, and hands them to the resolver if they are new and good. What is wrong goes
 *  to `log`. */
void dk_tls_watch_look(struct dk_tls_watch *watch, struct dk_resolver *resolver,
                       struct dk_log *log);

#endif
