/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file replay_output.h
 * A report of a replay as text: for a terminal, for programs, for a CI server, for a comment. Names
 * are chosen by clients, so nothing of them is written that could be taken for more than text. One
 * thread.
 */
#ifndef DOORKEEPER_CLI_REPLAY_OUTPUT_H
#define DOORKEEPER_CLI_REPLAY_OUTPUT_H

#include "doorkeeper/opa.h"
#include "replay_report.h"

/** What a report is about, besides the report. */
struct dk_replay_about {
    const char *policy;  /**< as it was named */
    const char *against; /**< NULL: what was recorded */
    char policy_revision[DK_REVISION_MAX];
    char against_revision[DK_REVISION_MAX];
    const struct dk_replay_table *table;
    uint64_t bad;     /**< lines that could not be read */
    uint64_t other;   /**< lines that are no decisions */
    uint64_t local;   /**< decisions of local rules */
    uint64_t outside; /**< events outside of --since and --until */
    uint64_t sample;  /**< 1: all */
    unsigned fails;   /**< a bit for each class that makes the exit status 1 */
    size_t most;      /**< rows of one class in the table and the comment; JSON has all */
};

enum dk_replay_format {
    DK_REPLAY_TABLE,
    DK_REPLAY_JSON,
    DK_REPLAY_JUNIT,
    DK_REPLAY_MARKDOWN,
    DK_REPLAY_FORMATS
};

/** "table", "json", "junit", "markdown". */
const char *dk_replay_format_name(enum dk_replay_format format);

void dk_replay_write(const struct dk_replay_report *report, const struct dk_replay_about *about,
                     enum dk_replay_format format, struct dk_writer *out);

#endif
