/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file token_watch.h
 * The bearer token's file, looked at again and again (file_watch.h). One thread at a time (the
 * scribe), because it blocks on the file system.
 *
 * A file that is gone, empty or holds what cannot stand in a header keeps the last good token.
 */
#ifndef DOORKEEPER_TOKEN_WATCH_H
#define DOORKEEPER_TOKEN_WATCH_H

#include "doorkeeper/log.h"
#include "file_watch.h"

struct dk_token_watch {
    struct dk_file_watch file;
    struct dk_log_limit limit;
};

/** Reads the file for the first time; DK_ERR_CONFIG says why not. Without a file all is empty. */
DK_WARN_UNUSED enum dk_error dk_token_watch_init(struct dk_token_watch *watch,
                                                 const struct dk_config *config,
                                                 struct dk_error_text *why);
void dk_token_watch_clean_up(struct dk_token_watch *watch);

/** The token in use, empty for none. */
struct dk_bytes dk_token_watch_token(const struct dk_token_watch *watch);

/** Looks at the file. True if there is a new token to use. What is wrong goes to `log`. */
bool dk_token_watch_look(struct dk_token_watch *watch, struct dk_log *log);

#endif
