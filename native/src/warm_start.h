/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file warm_start.h
 * Asks OPA again what was asked before a restart, so that clients find answers when they come back
 * (doorkeeper.warm.start.file). Only questions are kept: what was answered is of no use to a node
 * that was away, and nobody has to trust the file.
 *
 * The scribe does all of it: writes the directory's questions to the file when there is something
 * new, at most once a minute, and at the end, and after a start asks what the file holds as soon as
 * OPA is ready, while nothing else keeps it busy.
 *
 * @locality scribe only, save making and ending it.
 */
#ifndef DOORKEEPER_WARM_START_H
#define DOORKEEPER_WARM_START_H

#include "denials.h"
#include "question_directory.h"

struct dk_warm_start;

/** What it works with; borrowed, must outlive it. */
struct dk_warm_start_parts {
    const struct dk_config *config;
    const struct dk_hash_key *hash_key;
    struct dk_cache *cache;
    struct dk_denials *denials;
    struct dk_question_directory *questions;
    struct dk_metrics *metrics;
    struct dk_log *log;
};

/** Reads the file; what is wrong with it goes to the log and is no error. DK_ERR_MEMORY. Where the
 *  setting is empty `*out` is NULL, which every function below takes for "off". */
DK_WARN_UNUSED enum dk_error dk_warm_start_new(const struct dk_warm_start_parts *parts,
                                               struct dk_warm_start **out);
void dk_warm_start_destroy(struct dk_warm_start *warm);
/** The most that it will hold; 0 where it is off. */
size_t dk_warm_start_memory_bytes(const struct dk_warm_start *warm);

/** One round. Returns how soon the next one should come, in milliseconds, at most `at_most_ms`. */
int64_t dk_warm_start_look(struct dk_warm_start *warm, struct dk_resolver *resolver,
                           int64_t at_most_ms);
/** The last round: writes what is new. May be called again. */
void dk_warm_start_end(struct dk_warm_start *warm);

#endif
