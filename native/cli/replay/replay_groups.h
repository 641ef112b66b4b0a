/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file replay_groups.h
 * Decisions that changed, added up by class, answers and who asked for what. One thread.
 */
#ifndef DOORKEEPER_CLI_REPLAY_GROUPS_H
#define DOORKEEPER_CLI_REPLAY_GROUPS_H

#include "hash_index.h"
#include "replay_report.h"

struct dk_replay_groups {
    struct dk_hash_key key; /**< set by whoever made it; the rest begins as zeros */
    struct dk_hash_index index;
    struct dk_replay_group *list;
    size_t count, room;
};

/** Adds `piece`, whose texts are copied, to the group that it belongs to. False out of memory. */
bool dk_replay_groups_add(struct dk_replay_groups *groups, const struct dk_replay_group *piece);
/** Hands the list over, sorted by class, then most decisions first. */
void dk_replay_groups_finish(struct dk_replay_groups *groups, struct dk_replay_group **list,
                             size_t *count);
void dk_replay_groups_free(struct dk_replay_group *list, size_t count);

#endif
