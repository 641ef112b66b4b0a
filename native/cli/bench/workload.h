/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file workload.h
 * A model of what the clients of a cluster ask. Principals and topics are picked by Zipf's law,
 * the lower numbers more often; every principal may be picked with every topic, so there are
 * principals × topics × 3 operations + principals × groups questions, beside the new ones.
 */
#ifndef DOORKEEPER_CLI_WORKLOAD_H
#define DOORKEEPER_CLI_WORKLOAD_H

#include "load.h"

/** What a call is about. */
enum dk_call_kind {
    DK_CALL_PRODUCE,  /**< WRITE on topics */
    DK_CALL_FETCH,    /**< READ on topics */
    DK_CALL_GROUP,    /**< READ on one group, as heartbeats and commits are */
    DK_CALL_METADATA, /**< DESCRIBE on topics */
    DK_CALL_KINDS,
};
/** "produce", ... */
const char *dk_call_kind_name(enum dk_call_kind kind);

struct dk_workload_options {
    uint64_t seed;
    uint32_t principals, topics;
    uint32_t groups; /**< of each principal */
    double zipf;     /**< 0: all alike */
    uint32_t actions, metadata_actions;
    uint32_t mix[DK_CALL_KINDS]; /**< weights; one at least is not 0 */
    double new_share;            /**< of names of topics that were never asked before, 0 to 1 */
    /* Names are made of these and a number; borrowed only while the workload is made. */
    const char *principal_prefix, *principal_suffix, *topic_prefix, *group_prefix;
    const char *cluster_id, *listener;
    uint32_t fields; /**< of enum dk_field_group; no certificates */
};

/** A list has no name twice: of `actions` and `metadata_actions` at most `topics` are asked. */
DK_WARN_UNUSED enum dk_error dk_workload_new(const struct dk_workload_options *options,
                                             struct dk_load **out);

/**
 * The data document of the shipped policy (kafka/grants/data.json) under which all but new topics
 * are allowed, as JSON.
 */
void dk_workload_write_grants(const struct dk_workload_options *options, struct dk_writer *out);

#endif
