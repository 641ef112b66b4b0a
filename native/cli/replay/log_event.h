/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file log_event.h
 * One event of a decision log, in the shape of OPA's EventV1 as OPA uploads it, writes it to a file
 * or prints it on its console. Views point into the text. Allocates nothing. Any thread.
 */
#ifndef DOORKEEPER_CLI_LOG_EVENT_H
#define DOORKEEPER_CLI_LOG_EVENT_H

#include "doorkeeper/error.h"

struct dk_log_event {
    struct dk_bytes path;   /**< of the rule, without a leading slash; safe in a URL */
    struct dk_bytes input;  /**< JSON */
    struct dk_bytes result; /**< JSON; ptr NULL: the rule was undefined */
    uint64_t count;         /**< "count": how many equal decisions the event stands for; mostly 1 */
    int64_t time_ns;        /**< "timestamp", since 1970 */
    bool failed;            /**< "error": OPA could not decide */
    bool input_masked;      /**< a part of the input was erased or replaced */
    bool result_masked;
    bool used_time;        /**< the time was asked for (time.now_ns), which is not in the input */
    bool nondeterministic; /**< so were other built-ins with such answers */
};

enum dk_log_event_kind {
    DK_EVENT_DECISION,
    DK_EVENT_LOCAL,     /**< decided by a local rule of Doorkeeper's: no policy had a say */
    DK_EVENT_OTHER,     /**< JSON, but no decision of a rule about an input: passed over */
    DK_EVENT_MALFORMED, /**< `why` says what is wrong */
};

enum dk_log_event_kind dk_log_event_parse(struct dk_bytes text, struct dk_log_event *out,
                                          struct dk_error_text *why);

/** RFC 3339 with any fraction, as 2026-03-01T12:00:00.5Z or …+01:00. False for anything else. */
bool dk_timestamp_parse(struct dk_bytes text, int64_t *ns);
/** As 2026-03-01T12:00:00Z; the fraction is cut off. */
struct dk_timestamp_text {
    char text[48];
};
const char *dk_timestamp_write(int64_t ns, struct dk_timestamp_text *room);

/** Whether `path` names a rule and nothing else when it is put into a URL. */
bool dk_rule_path_is_safe(struct dk_bytes path);

#endif
