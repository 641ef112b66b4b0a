/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file decision_file.h
 * The file of the decision log: lines are appended, and only whole ones. When it is large or old
 * enough it is renamed to "<path>.<UTC time>" and compressed to "….gz", bit by bit; the oldest of
 * those are removed. One thread (the scribe): everything here blocks on the file system.
 *
 * What a crash left of a last line is cut off when the file is opened again. A line that cannot be
 * written (a full disk) is lost as a whole.
 *
 * Not promised: that lines survive a crash of the machine; nothing is synced. One process, one
 * file.
 */
#ifndef DOORKEEPER_DECISION_FILE_H
#define DOORKEEPER_DECISION_FILE_H

#include "doorkeeper/config.h"
#include "doorkeeper/log.h"

struct dk_decision_file;

/** `config` and `log` are borrowed. DK_ERR_CONFIG: the file cannot be opened, `why` says why. */
DK_WARN_UNUSED enum dk_error dk_decision_file_new(const struct dk_config *config,
                                                  struct dk_log *log, struct dk_decision_file **out,
                                                  struct dk_error_text *why);
/** NULL is allowed. */
void dk_decision_file_destroy(struct dk_decision_file *file);

/** Appends whole lines. False: they are lost. What is wrong goes to the log. */
bool dk_decision_file_append(struct dk_decision_file *file, struct dk_bytes lines);
/** To be called again and again: begins the next file when it is time, and compresses a little. */
void dk_decision_file_look_after(struct dk_decision_file *file);

#endif
