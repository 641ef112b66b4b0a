/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file topic_reader.h
 * The messages of a Kafka topic as lines, for whoever reads a file (log_reader.h): a thread reads
 * the topic from its beginning to where it ended when reading began, and writes a line for each
 * message into a pipe. Memory is bounded by the pipe and by librdkafka's own queues.
 *
 * Nothing is committed, no consumer group is joined.
 */
#ifndef DOORKEEPER_CLI_TOPIC_READER_H
#define DOORKEEPER_CLI_TOPIC_READER_H

#include "doorkeeper/error.h"

struct dk_topic_reader;

struct dk_topic_source {
    const char *topic;
    const char *config; /**< a file of librdkafka's properties, one name=value a line */
    /** Only partitions p with p % `shares` == `share`: runs that share the work. */
    uint32_t share, shares;
    bool (*is_stopped)(void); /**< looked at while waiting */
};

/**
 * Returns when the topic's partitions are known, or why they are not: DK_ERR_CONFIG, DK_ERR_SYSTEM,
 * DK_ERR_MEMORY, DK_ERR_CLOSED (stopped). `source` must outlive the reader. SIGPIPE must be
 * ignored.
 */
DK_WARN_UNUSED enum dk_error dk_topic_reader_new(const struct dk_topic_source *source,
                                                 struct dk_topic_reader **out,
                                                 struct dk_error_text *why);
/** What to read the lines from; the reader's. */
int dk_topic_reader_fd(const struct dk_topic_reader *reader);
/** Ends and frees it, whether all was read or not. DK_ERR_SYSTEM: the topic could not be read to
 *  its end, so what was read is not all of it. */
DK_WARN_UNUSED enum dk_error dk_topic_reader_end(struct dk_topic_reader *reader,
                                                 struct dk_error_text *why);

#endif
