/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file file_watch.h
 * A file that a setting names, looked at again and again. One thread at a time (the scribe),
 * because it blocks on the file system.
 *
 * Content is compared, never a time stamp. A file may be caught half-written: new content counts
 * once two looks in a row saw the same. Whether it is good is for the caller to say; until it is
 * accepted, every look finds it new.
 */
#ifndef DOORKEEPER_FILE_WATCH_H
#define DOORKEEPER_FILE_WATCH_H

#include "doorkeeper/config.h"

struct dk_file_watch {
    const struct dk_config *config; /**< borrowed */
    enum dk_config_file file;
    struct dk_writer current; /**< owned; the content in use */
    struct dk_writer seen;    /**< owned; what the last look saw */
};

enum dk_file_news {
    DK_FILE_OLD,    /**< the content in use, or content that was not seen twice yet */
    DK_FILE_NEW,    /**< other content, in `seen`: accept it, or leave it */
    DK_FILE_FAILED, /**< the file cannot be read */
};

/** Reads the file into `current`; DK_ERR_CONFIG says why not. No file, no content. */
DK_WARN_UNUSED enum dk_error dk_file_watch_init(struct dk_file_watch *watch,
                                                const struct dk_config *config,
                                                enum dk_config_file file,
                                                struct dk_error_text *why);
/** Wipes what was read, which may be secret. */
void dk_file_watch_clean_up(struct dk_file_watch *watch);

/** `why` is set for DK_FILE_FAILED. */
DK_WARN_UNUSED enum dk_file_news dk_file_watch_look(struct dk_file_watch *watch,
                                                    struct dk_error_text *why);
/** After DK_FILE_NEW: what was seen is the content in use from now on. */
void dk_file_watch_accept(struct dk_file_watch *watch);

#endif
