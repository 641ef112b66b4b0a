/* SPDX-License-Identifier: Apache-2.0 */
/*
 * librdkafka's consumer of single partitions, all of them into one queue: it needs no group, so
 * none has to be allowed, and no rebalance can give a partition to two readers.
 *
 * The thread ends when each partition has reached its end, when something fails, or when nobody
 * reads the pipe any more. It is joined before anything of it is freed.
 */
#include "topic_reader.h"

#include <string.h>

#ifdef DK_HAS_LIBRDKAFKA

#include "doorkeeper/clock.h"
#include "doorkeeper/file.h"
#include "properties.h"

#include <librdkafka/rdkafka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SHOWN_MAX 200
#define ERROR_MAX 512
/* Without a message or an answer for so long, the brokers are out of reach. */
#define PATIENCE_MS 30000
/* Where none was reached yet: time to try the other addresses of a name. */
#define FIRST_PATIENCE_MS 5000
#define POLL_MS 200
/* A request cannot be interrupted; one that is too short is never answered from far away. */
#define REQUEST_MS 2000

struct partition {
    bool is_open; /* some of it is still to come */
    int64_t end;  /* offset behind the last message, when reading began */
};

struct dk_topic_reader {
    const struct dk_topic_source *source;
    rd_kafka_t *kafka;
    rd_kafka_topic_t *topic;
    rd_kafka_queue_t *queue;
    struct partition *partitions;
    int32_t partition_count;
    size_t open_count;
    int pipe[2];
    pthread_t thread;
    _Atomic bool ended;           /* a flag only */
    struct dk_error_text failure; /* the thread's, until it is joined */
    /* What librdkafka said last of its troubles; written and read while it is polled. */
    char said[ERROR_MAX];
    bool is_refused, is_down; /* by a broker; all of them. Since the last answer */
    bool was_reached;         /* some answer came */
};

/* ---- errors ------------------------------------------------------------------------------ */

static enum dk_error fail(const struct dk_topic_reader *reader, struct dk_error_text *why,
                          const char *cause) {
    char topic[SHOWN_MAX], escaped[ERROR_MAX];
    int topic_len = (int)dk_bytes_escape(dk_bytes_of(reader->source->topic), topic, sizeof(topic));
    int len = (int)dk_bytes_escape(dk_bytes_of(cause), escaped, sizeof(escaped));
    return dk_fail(why, DK_ERR_SYSTEM, "topic:%.*s: %.*s", topic_len, topic, len, escaped);
}

/* The brokers did not answer; what librdkafka says of them tells more than that. */
static enum dk_error fail_silent(const struct dk_topic_reader *reader, struct dk_error_text *why) {
    return fail(reader, why, reader->said[0] != '\0' ? reader->said : "the brokers do not answer");
}

static void on_trouble(rd_kafka_t *kafka, int code, const char *reason, void *user) {
    struct dk_topic_reader *reader = user;
    (void)kafka;
    /* "All brokers are down" comes behind the reason why. */
    if (code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || reader->said[0] == '\0') {
        snprintf(reader->said, sizeof(reader->said), "%s", reason);
    }
    reader->is_down |= code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN;
    reader->is_refused |= code == RD_KAFKA_RESP_ERR__AUTHENTICATION ||
                          code == RD_KAFKA_RESP_ERR__SSL || code == RD_KAFKA_RESP_ERR__FATAL;
}

/* What was said before does not matter any more. Returns when this was. */
static int64_t had_answer(struct dk_topic_reader *reader) {
    reader->is_refused = reader->is_down = false;
    reader->was_reached = true;
    reader->said[0] = '\0';
    return dk_clock_ms();
}

/* ---- the settings ------------------------------------------------------------------------ */

struct pair {
    const char *name, *value;
};

/* Whatever the file says. */
static const struct pair forced[] = {
    {"group.id", ""},
    {"enable.auto.commit", "false"},
    {"enable.partition.eof", "true"},      /* the end where the last record is no message */
    {"auto.offset.reset", "earliest"},     /* else what is deleted meanwhile makes it skip all */
    {"allow.auto.create.topics", "false"}, /* a wrong name makes no topic */
};

/* `place` is a part of a sentence. The value is not in what is said: it may be a password, in the
 * wrong line even. */
static enum dk_error set_one(const char *place, const char *name, const char *value,
                             rd_kafka_conf_t *conf, struct dk_error_text *why) {
    char text[ERROR_MAX] = "", shown[SHOWN_MAX], cause[ERROR_MAX];
    rd_kafka_conf_res_t result = rd_kafka_conf_set(conf, name, value, text, sizeof(text));
    if (result == RD_KAFKA_CONF_OK) {
        return DK_OK;
    }
    text[strcspn(text, "\n")] = '\0';
    const char *reason = result == RD_KAFKA_CONF_UNKNOWN ? "librdkafka has no such property"
                         : strstr(text, value) != NULL   ? "librdkafka does not take this value"
                                                         : text;
    int len = (int)dk_bytes_escape(dk_bytes_of(name), shown, sizeof(shown));
    int cause_len = (int)dk_bytes_escape(dk_bytes_of(reason), cause, sizeof(cause));
    return dk_fail(why, DK_ERR_CONFIG, "%s%.*s: %.*s", place, len, shown, cause_len, cause);
}

/* "--kafka-config FILE: ", and the line if it is one. */
static void say_place(const char *file, size_t line, char out[SHOWN_MAX + 64]) {
    char shown[SHOWN_MAX], number[32] = "";
    int len = (int)dk_bytes_escape(dk_bytes_of(file), shown, sizeof(shown));
    if (line > 0) {
        (void)snprintf(number, sizeof(number), "line %zu: ", line);
    }
    (void)snprintf(out, SHOWN_MAX + 64, "--kafka-config %.*s: %s", len, shown, number);
}

static bool names_brokers(struct dk_bytes key) {
    return dk_bytes_equal(key, dk_bytes_of("bootstrap.servers")) ||
           dk_bytes_equal(key, dk_bytes_of("metadata.broker.list"));
}

static enum dk_error set_from(const struct dk_topic_reader *reader, const struct properties *read,
                              rd_kafka_conf_t *conf, struct dk_error_text *why) {
    char place[SHOWN_MAX + 64];
    enum dk_error error = DK_OK;
    bool has_brokers = false;
    for (size_t i = 0; i < read->count && error == DK_OK; i++) {
        struct dk_bytes key = read->list[i].key, value = read->list[i].value;
        char *name = strndup((const char *)key.ptr, key.len);
        char *text = strndup((const char *)value.ptr, value.len);
        say_place(reader->source->config, read->lines[i], place);
        error =
            name == NULL || text == NULL ? DK_ERR_MEMORY : set_one(place, name, text, conf, why);
        free(name);
        free(text);
        has_brokers |= names_brokers(key);
    }
    if (error == DK_OK && !has_brokers) {
        say_place(reader->source->config, 0, place);
        return dk_fail(why, DK_ERR_CONFIG, "%sbootstrap.servers is missing", place);
    }
    return error;
}

static enum dk_error configure(struct dk_topic_reader *reader, rd_kafka_conf_t *conf,
                               struct dk_error_text *why) {
    struct properties read;
    enum dk_error error = properties_read(reader->source->config, &read, why);
    if (error != DK_OK) {
        return error;
    }
    error = set_from(reader, &read, conf, why);
    properties_clean_up(&read);
    for (size_t i = 0; i < sizeof(forced) / sizeof(forced[0]) && error == DK_OK; i++) {
        error = set_one("", forced[i].name, forced[i].value, conf, why);
    }
    rd_kafka_conf_set_error_cb(conf, on_trouble);
    rd_kafka_conf_set_log_cb(conf, NULL); /* what matters of it is in `said` */
    rd_kafka_conf_set_opaque(conf, reader);
    return error;
}

/* ---- the partitions ---------------------------------------------------------------------- */

/* One address that refuses is no reason: a name may have others, a broker may restart. */
static bool is_over(const struct dk_topic_reader *reader, int64_t since_ms) {
    bool is_first = reader->is_down && !reader->was_reached;
    return (reader->is_refused && reader->is_down) || reader->source->is_stopped() ||
           dk_clock_ms() - since_ms >= (is_first ? FIRST_PATIENCE_MS : PATIENCE_MS);
}

static enum dk_error why_over(const struct dk_topic_reader *reader, struct dk_error_text *why) {
    return reader->source->is_stopped() ? DK_ERR_CLOSED : fail_silent(reader, why);
}

static bool is_worth_another_try(rd_kafka_resp_err_t error) {
    return error == RD_KAFKA_RESP_ERR__TRANSPORT || error == RD_KAFKA_RESP_ERR__TIMED_OUT ||
           error == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE ||
           error == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION; /* it is moving */
}

static enum dk_error take_partitions(struct dk_topic_reader *reader,
                                     const struct rd_kafka_metadata *metadata,
                                     struct dk_error_text *why) {
    const struct rd_kafka_metadata_topic *topic = &metadata->topics[0];
    if (topic->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return fail(reader, why, rd_kafka_err2str(topic->err));
    }
    reader->partition_count = topic->partition_cnt;
    reader->partitions = calloc((size_t)topic->partition_cnt + 1, sizeof(*reader->partitions));
    return reader->partitions == NULL ? DK_ERR_MEMORY : DK_OK;
}

/* What the last of several tries came to. */
static enum dk_error judge(struct dk_topic_reader *reader, rd_kafka_resp_err_t code,
                           struct dk_error_text *why) {
    if (is_worth_another_try(code)) {
        return why_over(reader, why);
    }
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return fail(reader, why, rd_kafka_err2str(code));
    }
    (void)had_answer(reader);
    return DK_OK;
}

static rd_kafka_resp_err_t ask_metadata(struct dk_topic_reader *reader,
                                        const struct rd_kafka_metadata **out) {
    rd_kafka_resp_err_t code = rd_kafka_metadata(reader->kafka, 0, reader->topic, out, REQUEST_MS);
    (void)rd_kafka_poll(reader->kafka, 0);
    return code;
}

static enum dk_error find_partitions(struct dk_topic_reader *reader, struct dk_error_text *why) {
    const struct rd_kafka_metadata *metadata = NULL;
    int64_t since_ms = dk_clock_ms();
    rd_kafka_resp_err_t code = ask_metadata(reader, &metadata);
    while (is_worth_another_try(code) && !is_over(reader, since_ms)) {
        (void)rd_kafka_poll(reader->kafka, POLL_MS); /* not at once */
        code = ask_metadata(reader, &metadata);
    }
    enum dk_error error = judge(reader, code, why);
    if (error == DK_OK) {
        error = take_partitions(reader, metadata, why);
        rd_kafka_metadata_destroy(metadata);
    }
    return error;
}

static rd_kafka_resp_err_t ask_ends(struct dk_topic_reader *reader, int32_t number,
                                    int64_t *begin) {
    rd_kafka_resp_err_t code =
        rd_kafka_query_watermark_offsets(reader->kafka, reader->source->topic, number, begin,
                                         &reader->partitions[number].end, REQUEST_MS);
    (void)rd_kafka_poll(reader->kafka, 0);
    return code;
}

static enum dk_error begin_partition(struct dk_topic_reader *reader, int32_t number,
                                     struct dk_error_text *why) {
    struct partition *partition = &reader->partitions[number];
    int64_t since_ms = dk_clock_ms();
    int64_t begin = 0;
    rd_kafka_resp_err_t code = ask_ends(reader, number, &begin);
    while (is_worth_another_try(code) && !is_over(reader, since_ms)) {
        (void)rd_kafka_poll(reader->kafka, POLL_MS); /* not at once */
        code = ask_ends(reader, number, &begin);
    }
    enum dk_error error = judge(reader, code, why);
    if (error != DK_OK || begin >= partition->end) {
        return error;
    }
    if (rd_kafka_consume_start_queue(reader->topic, number, begin, reader->queue) != 0) {
        return fail(reader, why, rd_kafka_err2str(rd_kafka_last_error()));
    }
    partition->is_open = true;
    reader->open_count++;
    return DK_OK;
}

static enum dk_error begin_partitions(struct dk_topic_reader *reader, struct dk_error_text *why) {
    const struct dk_topic_source *source = reader->source;
    enum dk_error error = DK_OK;
    for (int32_t i = 0; i < reader->partition_count && error == DK_OK; i++) {
        if ((uint32_t)i % source->shares == source->share) {
            error = begin_partition(reader, i, why);
        }
    }
    return error;
}

/* ---- the thread -------------------------------------------------------------------------- */

static void close_partition(struct dk_topic_reader *reader, struct partition *partition) {
    reader->open_count -= partition->is_open;
    partition->is_open = false;
}

/* An event is one line: in JSON a line may end only where white space may stand. What begins as
 * none gets a space in front: two bytes of the first message would make gzip of all that follow. */
static bool write_line(struct dk_topic_reader *reader, uint8_t *payload, size_t len) {
    static const uint8_t newline = '\n', space = ' ';
    if (payload[0] != '{' && dk_file_write(reader->pipe[1], (struct dk_bytes){&space, 1}) != 0) {
        return false;
    }
    for (uint8_t *at = memchr(payload, '\n', len); at != NULL;
         at = memchr(at, '\n', len - (size_t)(at - payload))) {
        *at = ' ';
    }
    return dk_file_write(reader->pipe[1], (struct dk_bytes){payload, len}) == 0 &&
           dk_file_write(reader->pipe[1], (struct dk_bytes){&newline, 1}) == 0;
}

/* False if nobody reads any more. */
static bool take_message(struct dk_topic_reader *reader, const rd_kafka_message_t *message) {
    struct partition *partition = &reader->partitions[message->partition];
    bool is_read = true;
    if (partition->is_open && message->offset < partition->end && message->len > 0) {
        is_read = write_line(reader, message->payload, message->len);
    }
    if (message->offset + 1 >= partition->end) {
        close_partition(reader, partition);
    }
    return is_read;
}

/* False at the end, whether it failed or not. */
static bool take(struct dk_topic_reader *reader, const rd_kafka_message_t *message) {
    bool is_known = message->partition >= 0 && message->partition < reader->partition_count;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        return !is_known || take_message(reader, message);
    }
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        if (is_known) {
            close_partition(reader, &reader->partitions[message->partition]);
        }
        return true;
    }
    (void)fail(reader, &reader->failure, rd_kafka_message_errstr(message));
    return false;
}

static void read_all(struct dk_topic_reader *reader) {
    int64_t since_ms = had_answer(reader);
    while (reader->open_count > 0 && !atomic_load(&reader->ended)) {
        rd_kafka_message_t *message = rd_kafka_consume_queue(reader->queue, POLL_MS);
        (void)rd_kafka_poll(reader->kafka, 0);
        if (message == NULL && is_over(reader, since_ms)) {
            (void)why_over(reader, &reader->failure);
            return;
        }
        if (message != NULL) {
            bool goes_on = take(reader, message);
            rd_kafka_message_destroy(message);
            since_ms = had_answer(reader);
            if (!goes_on) {
                return;
            }
        }
    }
}

static void *run(void *user) {
    struct dk_topic_reader *reader = user;
    read_all(reader);
    (void)close(reader->pipe[1]); /* the end of the lines */
    return NULL;
}

/* ---- life -------------------------------------------------------------------------------- */

static void stop_partitions(struct dk_topic_reader *reader) {
    for (int32_t i = 0; i < reader->partition_count; i++) {
        if (reader->partitions[i].end > 0) {
            (void)rd_kafka_consume_stop(reader->topic, i);
        }
    }
}

static void destroy(struct dk_topic_reader *reader) {
    if (reader->topic != NULL) {
        stop_partitions(reader);
        rd_kafka_topic_destroy(reader->topic);
    }
    if (reader->queue != NULL) {
        rd_kafka_queue_destroy(reader->queue);
    }
    if (reader->kafka != NULL) {
        rd_kafka_destroy(reader->kafka);
    }
    if (reader->pipe[0] >= 0) {
        (void)close(reader->pipe[0]);
    }
    free(reader->partitions);
    free(reader);
}

static enum dk_error connect_to(struct dk_topic_reader *reader, struct dk_error_text *why) {
    char text[ERROR_MAX] = "";
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    enum dk_error error = configure(reader, conf, why);
    if (error != DK_OK) {
        rd_kafka_conf_destroy(conf);
        return error;
    }
    reader->kafka = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    if (reader->kafka == NULL) {
        rd_kafka_conf_destroy(conf);
        return fail(reader, why, text);
    }
    reader->queue = rd_kafka_queue_new(reader->kafka);
    reader->topic = rd_kafka_topic_new(reader->kafka, reader->source->topic, NULL);
    return reader->topic != NULL ? DK_OK
                                 : fail(reader, why, rd_kafka_err2str(rd_kafka_last_error()));
}

static enum dk_error begin(struct dk_topic_reader *reader, struct dk_error_text *why) {
    enum dk_error error = connect_to(reader, why);
    if (error == DK_OK) {
        error = find_partitions(reader, why);
    }
    if (error == DK_OK) {
        error = begin_partitions(reader, why);
    }
    if (error != DK_OK) {
        return error;
    }
    if (pipe2(reader->pipe, O_CLOEXEC) != 0) {
        return fail(reader, why, "no pipe could be made");
    }
    if (pthread_create(&reader->thread, NULL, run, reader) != 0) {
        (void)close(reader->pipe[1]);
        return fail(reader, why, "no thread could be made");
    }
    return DK_OK;
}

enum dk_error dk_topic_reader_new(const struct dk_topic_source *source,
                                  struct dk_topic_reader **out, struct dk_error_text *why) {
    struct dk_topic_reader *reader = calloc(1, sizeof(*reader));
    *out = NULL;
    if (reader == NULL) {
        return DK_ERR_MEMORY;
    }
    reader->source = source;
    reader->pipe[0] = -1;
    enum dk_error error = begin(reader, why);
    if (error != DK_OK) {
        destroy(reader);
        return error;
    }
    *out = reader;
    return DK_OK;
}

int dk_topic_reader_fd(const struct dk_topic_reader *reader) {
    return reader->pipe[0];
}

enum dk_error dk_topic_reader_end(struct dk_topic_reader *reader, struct dk_error_text *why) {
    atomic_store(&reader->ended, true);
    (void)close(reader->pipe[0]); /* so that a write that waits for room ends */
    reader->pipe[0] = -1;
    (void)pthread_join(reader->thread, NULL);
    enum dk_error error = DK_OK;
    if (reader->failure.text[0] != '\0') {
        *why = reader->failure;
        error = DK_ERR_SYSTEM;
    }
    destroy(reader);
    return error;
}

#else

enum dk_error dk_topic_reader_new(const struct dk_topic_source *source,
                                  struct dk_topic_reader **out, struct dk_error_text *why) {
    (void)source;
    *out = NULL;
    return dk_fail(why, DK_ERR_CONFIG,
                   "this command was built without librdkafka, and cannot read a topic");
}

int dk_topic_reader_fd(const struct dk_topic_reader *reader) {
    (void)reader;
    return -1;
}

enum dk_error dk_topic_reader_end(struct dk_topic_reader *reader, struct dk_error_text *why) {
    (void)reader;
    (void)why;
    return DK_OK;
}

#endif
