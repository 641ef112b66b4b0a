/* SPDX-License-Identifier: Apache-2.0 */
#include "replay_groups.h"

#include <stdlib.h>
#include <string.h>

static struct dk_bytes place(uint8_t **at, struct dk_bytes text) {
    struct dk_bytes copy = {*at, text.len};
    if (text.len > 0) {
        memcpy(*at, text.ptr, text.len);
    }
    *at += text.len;
    return copy;
}

/* All texts in one block, which begins with the principal. */
static bool copy_texts(const struct dk_replay_group *from, struct dk_replay_group *to) {
    uint8_t *at = malloc(from->principal.len + from->operation.len + from->resource.len + 1);
    if (at == NULL) {
        return false;
    }
    to->principal = place(&at, from->principal);
    to->operation = place(&at, from->operation);
    to->resource = place(&at, from->resource);
    return true;
}

void dk_replay_groups_free(struct dk_replay_group *list, size_t count) {
    for (size_t i = 0; i < count; i++) {
        free((void *)list[i].principal.ptr);
    }
    free(list);
}

static struct dk_hash128 hash_group(const struct dk_replay_groups *groups,
                                    const struct dk_replay_group *group) {
    struct dk_keyed_hash state;
    dk_keyed_hash_init(&state, &groups->key);
    dk_keyed_hash_word(&state, (uint64_t)group->class);
    dk_keyed_hash_word(&state, (uint64_t)group->before.outcome);
    dk_keyed_hash_word(&state, (uint64_t)group->now.outcome);
    dk_keyed_hash_word(&state, (uint64_t)(group->before.other != 0) << 1 | (group->now.other != 0));
    dk_keyed_hash_part(&state, group->principal);
    dk_keyed_hash_part(&state, group->operation);
    dk_keyed_hash_part(&state, group->resource);
    return dk_keyed_hash_finish(&state);
}

static bool make_room(struct dk_replay_groups *groups) {
    if (groups->count < groups->room) {
        return true;
    }
    size_t room = groups->room == 0 ? 64 : 2 * groups->room;
    struct dk_replay_group *moved = realloc(groups->list, room * sizeof(*moved));
    if (moved == NULL) {
        return false;
    }
    groups->list = moved;
    groups->room = room;
    return true;
}

static bool add_group(struct dk_replay_groups *groups, struct dk_hash128 hash,
                      const struct dk_replay_group *like) {
    struct dk_replay_group group = *like;
    if (!make_room(groups) || !copy_texts(like, &group)) {
        return false;
    }
    group.sum = (struct dk_replay_sum){0, 0};
    groups->list[groups->count++] = group;
    return dk_hash_index_add(&groups->index, hash, (uint32_t)groups->count - 1) == DK_OK;
}

bool dk_replay_groups_add(struct dk_replay_groups *groups, const struct dk_replay_group *piece) {
    struct dk_hash128 hash = hash_group(groups, piece);
    uint32_t found = dk_hash_index_find(&groups->index, hash);
    if (found == DK_HASH_INDEX_NONE) {
        if (!add_group(groups, hash, piece)) {
            return false;
        }
        found = (uint32_t)groups->count - 1;
    }
    if (found >= groups->count) {
        return false;
    }
    struct dk_replay_group *group = &groups->list[found];
    group->sum.questions += piece->sum.questions;
    group->sum.decisions += piece->sum.decisions;
    group->first_ns = piece->first_ns < group->first_ns ? piece->first_ns : group->first_ns;
    group->last_ns = piece->last_ns > group->last_ns ? piece->last_ns : group->last_ns;
    return true;
}

static int compare_text(struct dk_bytes a, struct dk_bytes b) {
    size_t shorter = a.len < b.len ? a.len : b.len;
    int order = shorter > 0 ? memcmp(a.ptr, b.ptr, shorter) : 0;
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare_groups(const void *left, const void *right) {
    const struct dk_replay_group *a = left, *b = right;
    if (a->class != b->class) {
        return a->class < b->class ? -1 : 1;
    }
    if (a->sum.decisions != b->sum.decisions) {
        return a->sum.decisions > b->sum.decisions ? -1 : 1;
    }
    int order = compare_text(a->principal, b->principal);
    order = order != 0 ? order : compare_text(a->resource, b->resource);
    return order != 0 ? order : compare_text(a->operation, b->operation);
}

void dk_replay_groups_finish(struct dk_replay_groups *groups, struct dk_replay_group **list,
                             size_t *count) {
    if (groups->count > 0) {
        qsort(groups->list, groups->count, sizeof(groups->list[0]), compare_groups);
    }
    *list = groups->list;
    *count = groups->count;
    dk_hash_index_clean_up(&groups->index);
}
