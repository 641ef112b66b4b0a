/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file replay_time.h
 * Asks a rule as of a time: by OPA's Query API, whose queries may replace a built-in function
 * (`with time.now_ns as …`), where the Data API always answers as of now. Pure functions.
 */
#ifndef DOORKEEPER_CLI_REPLAY_TIME_H
#define DOORKEEPER_CLI_REPLAY_TIME_H

#include "doorkeeper/bytes.h"

#define DK_QUERY_PATH "/v1/query"

/** `body`: what the Data API would be asked, {"input": …}. `rule`: a safe path
 *  (dk_rule_path_is_safe). `ns`: since 1970. */
void dk_replay_write_query(const char *rule, int64_t ns, struct dk_bytes body,
                           struct dk_writer *out);

/** Writes what the Data API would have answered, {"result": …} or {}; nothing where the answer is
 *  none of the Query API's. */
void dk_replay_read_query(struct dk_bytes answer, struct dk_writer *out);

#endif
