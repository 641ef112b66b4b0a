/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file resolver_internal.h
 * What the resolver's files share; private to them. See the top of resolver.c for what must hold.
 *
 *   resolver.c          making and ending it, and the threads that wait
 *   resolver_flights.c  the book of questions on their way
 *   resolver_io.c       the I/O thread: packing flights into requests, reading answers
 *   resolver_split.c    batches that fail are asked again in halves
 *   resolver_endpoint.c which OPA is asked
 *   resolver_poll.c     readiness, the revision, and what is said about troubles
 */
#ifndef DOORKEEPER_RESOLVER_INTERNAL_H
#define DOORKEEPER_RESOLVER_INTERNAL_H

#include "doorkeeper/breaker.h"
#include "doorkeeper/clock.h"
#include "doorkeeper/http.h"
#include "resolver_flights.h"

/** Of an answer: 5,000 indices are 30 KB, the rest is room for provenance. */
#define ANSWER_MAX ((size_t)1024 * 1024)
/** Of a request: room for one question with the largest context and name, at their worst. */
#define BODY_MAX ((size_t)4 * 1024 * 1024)
/** A body that grew larger is given back once it was sent. */
#define BODY_KEPT ((size_t)256 * 1024)

#define SUSPECTS 1024u
#define SUSPECT_MS 60000
/** So many good polls in a row bring a preferred endpoint back. */
#define STEADY_POLLS 3u
/** A poll may take as long as a call, and long enough for a handshake on a busy machine. */
#define POLL_DEADLINE_MIN_MS 500
/** Between two bumps of the epoch, so that a revision that flaps does not empty the cache always.
 */
#define BUMP_INTERVAL_MS 1000
/** How long a call may wait once too many threads wait their full deadline. */
#define SHORT_WAIT_MS 20

/** 4 * ceil(log2 n) requests for the largest batch, n = 5000. */
#define SPLIT_REQUESTS_MAX 52u
#define SPLITS_MAX (SPLIT_REQUESTS_MAX / 2)

/** A half of a batch that failed, on its way to be asked again. */
struct part {
    struct part *prev, *next; /**< in resolver->parts */
    struct group *group;
    unsigned split; /**< which of the group's splits it came from */
    struct flight *flights;
    size_t count;
};

/** What became of one batch that failed. Free without references. */
struct group {
    size_t references;
    int64_t deadline_ms;
    unsigned requests_left;
    unsigned splits, parts_used;
    uint8_t failed_halves[SPLITS_MAX];
    bool at_fault; /**< the policy, not a question */
    struct part parts[SPLIT_REQUESTS_MAX];
};

/** One request for questions, under way, to be sent again, or free. */
struct request {
    struct dk_resolver *resolver;
    struct endpoint *endpoint; /**< that was asked last */
    unsigned attempts;
    bool again;                        /**< to be sent to the current endpoint */
    struct dk_opa_question *questions; /**< room for batch_max, of the resolver's block */
    size_t count;                      /**< 0: free */
    size_t estimate;                   /**< upper bound of the body's length */
    struct dk_writer body;
    struct part *part; /**< NULL: asked for the first time */
    int64_t deadline_ms;
    int64_t asked_ms, asked_ns;
    uint64_t revision_serial; /**< of the revision recorded when it was asked */
};

struct poll {
    struct dk_writer body;
    bool under_way;
    int64_t asked_ms, next_ms;
    uint64_t revision_serial;
};

/** One OPA. */
struct endpoint {
    struct dk_resolver *resolver;
    size_t server;                  /**< its number in http, and in the order of preference */
    struct dk_breaker breaker;      /**< closed: it is up */
    unsigned good_polls;            /**< in a row */
    char revision[DK_REVISION_MAX]; /**< of its bundles, as last told */
    char document[DK_REVISION_MAX]; /**< what the revision document last held */
    struct poll poll;
};

struct suspect {
    struct dk_hash128 key;
    int64_t until_ms;
};

/** One line each, however often it happens. */
enum trouble {
    TROUBLE_TIMED_OUT,
    TROUBLE_UNREACHABLE,
    TROUBLE_TOO_LARGE,
    TROUBLE_STATUS,
    TROUBLE_MALFORMED,
    TROUBLE_UNDEFINED,
    TROUBLE_NO_BUNDLE,
    TROUBLE_POLICY,
    TROUBLE_QUESTION,
    TROUBLE_LOCAL,
    TROUBLE_REVISION,
    TROUBLE_QUEUE,
    TROUBLE_WAITING,
    TROUBLE_OVER,
    TROUBLE_COUNT
};

struct dk_resolver {
    const struct dk_config *config;
    struct dk_cache *cache;
    struct dk_metrics *metrics;
    struct dk_log *log;
    struct dk_http *http;
    struct dk_question_ring *decided;
    _Atomic int state; /**< enum dk_breaker_state of all endpoints together */
    struct dk_log_limit limits[TROUBLE_COUNT];
    bool batches;        /**< false: single questions */
    char *path;          /**< "/v1/data/…?provenance=true" */
    char *document_path; /**< "/v1/data/…" of the revision document; NULL: there is none */

    pthread_condattr_t monotonic;
    pthread_mutex_t lock; /**< guards what follows, up to the next group */
    pthread_cond_t on_ready;
    struct flights flights;
    struct waiter *waiters;
    int64_t waiting; /**< threads that wait their full deadline */
    bool stopped, ready, wake_pending;
    uint8_t *cluster_id;
    size_t cluster_id_len;
    /** Of the bundles and of the document; written by the I/O thread, which reads them without lock
     */
    char revision[DK_REVISION_MAX], document[DK_REVISION_MAX];

    /* I/O thread only */
    struct request *requests;
    struct dk_opa_question *questions; /**< room for those of all requests */
    size_t request_count, batch_max;
    struct part *parts;                             /**< waiting to be asked */
    struct group *groups;                           /**< as many as requests */
    struct endpoint endpoints[DK_HTTP_SERVERS_MAX]; /**< the preferred first */
    size_t endpoint_count, current;
    struct suspect suspects[SUSPECTS];
    uint64_t batch_number;
    uint64_t revision_serial; /**< counts the changes of `revision` */
    uint64_t cached;          /**< decisions since the last bump */
    bool cached_without_revision, told_no_revision;
    bool bump_pending;
    int64_t last_bump_ms;
};

/* resolver_io.c */

struct flight *dk_flight_of(const struct dk_opa_question *question);
/** Ends all questions of a request with the outcomes that stand in them. */
void dk_request_end(struct request *request, enum dk_source source);
void dk_request_end_as(struct request *request, enum dk_outcome outcome, enum dk_source source);
/** Ends the requests that wait to be sent again. */
void dk_requests_give_up(struct dk_resolver *resolver);

/* resolver_split.c */

/** The whole request failed in a way that one question may be the cause of; `outcome`: of what is
 *  not asked again. */
void dk_split(struct request *request, enum dk_outcome outcome);
/** Moves the next part into a free request; false if there is none. */
bool dk_split_take(struct dk_resolver *resolver, struct request *request, int64_t now_ms);
/** The request's part, if it is one, is answered or given up. */
void dk_split_release(struct request *request);
/** @locks the mutex MUST be held. Ends the waiting parts of `group`, or all (NULL). */
void dk_split_end_parts(struct dk_resolver *resolver, const struct group *group,
                        enum dk_outcome outcome);
bool dk_is_suspect(const struct dk_resolver *resolver, const struct flight *flight, int64_t now_ms);

/* resolver_poll.c */

/** What an answer is worth. */
enum worth {
    WORTH_ANSWER,
    WORTH_UNDEFINED, /**< a 200 without a result */
    WORTH_ERROR,     /**< a 500 */
    WORTH_NOTHING,   /**< said and counted already */
};
/** True for a result that must be read; `*worth` is set if not. `had_full_time`: a timeout is OPA's
 *  fault, the request was not sent near the end of somebody's deadline. */
bool dk_result_is_readable(struct endpoint *endpoint, const struct dk_http_result *result,
                           bool had_full_time, enum worth *worth);
enum worth dk_reply_worth(struct endpoint *endpoint, const struct dk_opa_reply *reply);
void dk_poll_if_due(struct endpoint *endpoint, int64_t now_ms);
/** Whether a decision of this reply may be cached; call it before dk_note_revision. */
bool dk_is_recorded_revision(const struct dk_resolver *resolver, const struct dk_opa_reply *reply,
                             uint64_t asked_serial);
void dk_note_revision(struct endpoint *endpoint, const struct dk_opa_reply *reply,
                      uint64_t asked_serial);
/** Cached decisions stand for what the endpoint, the current one, told last. */
void dk_adopt_revisions(struct endpoint *endpoint);
void dk_bump_if_due(struct dk_resolver *resolver, int64_t now_ms);
/** One rate-limited line. */
void dk_say(struct dk_resolver *resolver, enum trouble trouble, enum dk_log_level level,
            const char *format, ...) DK_PRINTF(4, 5);

/* resolver_endpoint.c */

void dk_endpoints_init(struct dk_resolver *resolver);
void dk_endpoints_clean_up(struct dk_resolver *resolver);
const char *dk_endpoint_url(const struct endpoint *endpoint);
bool dk_endpoint_is_up(const struct endpoint *endpoint);
struct endpoint *dk_endpoint_current(struct dk_resolver *resolver);
/** Whether another one is up. */
bool dk_endpoint_has_substitute(const struct endpoint *endpoint);
/** After a breaker has changed: chooses whom to ask. */
void dk_endpoints_changed(struct dk_resolver *resolver);
/** It is out of reach, has no policy, or its policy fails. */
void dk_endpoint_failed(struct endpoint *endpoint);
/** A poll was answered with a result; true if it was not up before. */
bool dk_endpoint_set_ready(struct endpoint *endpoint);
/** A question was answered. */
void dk_endpoint_answered(struct endpoint *endpoint);

/* For tests: questions that wait to be sent, and those that are open. */
size_t dk_resolver_queued(struct dk_resolver *resolver);
size_t dk_resolver_open(struct dk_resolver *resolver);

#endif
