/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file config.h
 * The settings. One table in config.c yields parsing, defaults, ranges, error texts and
 * docs/configuration.md; there is no second list of them anywhere.
 */
#ifndef DOORKEEPER_CONFIG_H
#define DOORKEEPER_CONFIG_H

#include "doorkeeper/error.h"

struct dk_setting {
    struct dk_bytes key;
    struct dk_bytes value;
};

/** Groups of fields that a question may carry; the principal's type and name always are sent. */
enum dk_field_group {
    DK_GROUP_SUBJECT = 1 << 0,
    DK_GROUP_CERTIFICATE = 1 << 1,
    DK_GROUP_LISTENER = 1 << 2, /**< listener and forwarded */
    DK_GROUP_PROTOCOL = 1 << 3,
    DK_GROUP_ADDRESS = 1 << 4,
    DK_GROUP_CLIENT_ID = 1 << 5,
    DK_GROUP_API = 1 << 6,
};

/** What is done where there is no valid answer; denied what none of these applies to. */
enum dk_on_unavailable {
    DK_USE_STALE = 1 << 0, /**< the last known allow, up to stale_max_ms past its TTL */
    DK_LET_RETRY = 1 << 1, /**< an error that makes the client ask again: the Java side's part */
};

/** Which decisions are recorded. */
enum dk_decision_log_mode { DK_RECORD_AGGREGATED, DK_RECORD_DENIED, DK_RECORD_EVERY };

/** What a recorded decision leaves out. */
enum dk_erasable {
    DK_ERASE_SUBJECT = 1 << 0,
    DK_ERASE_CERTIFICATE = 1 << 1,
    DK_ERASE_ADDRESS = 1 << 2,
    DK_ERASE_CLIENT_ID = 1 << 3,
    DK_ERASE_NAME = 1 << 4, /**< of the resource */
};

#define DK_OPA_URLS_MAX 8u

/** Parsed, checked settings. Strings are owned, never NULL, empty where nothing is set. */
struct dk_config {
    char *opa_url;           /**< http://…, https://… or unix:/path; several, separated by commas */
    char *opa_batch_path;    /**< "kafka/authz/batch"; empty: single questions */
    char *opa_path;          /**< "kafka/authz/allow" */
    char *opa_revision_path; /**< empty: revisions are those of bundles */
    char *opa_token_file;
    char *opa_ca_file;
    char *opa_certificate_file;
    char *opa_key_file;
    int64_t opa_connect_timeout_ms;
    int64_t opa_connections;
    int64_t opa_batch_max;
    int64_t opa_poll_interval_ms;
    int64_t breaker_failures;
    int64_t breaker_probe_interval_ms;
    int64_t deadline_ms;
    int64_t cache_entries;
    int64_t cache_ttl_allow_ms;
    int64_t cache_ttl_deny_ms;
    int64_t queue_entries;
    int64_t waiting_threads; /**< default: half of num_io_threads, at least 1 */
    int64_t start_wait_ms;
    uint32_t question_fields; /**< of enum dk_field_group */
    uint32_t on_unavailable;  /**< of enum dk_on_unavailable */
    int64_t stale_max_ms;
    int64_t fetch_pause_ms;
    char *deny_file;
    char *flush_file;
    char *decision_log_file;     /**< empty: nothing is recorded */
    uint32_t decision_log_mode;  /**< enum dk_decision_log_mode */
    uint32_t decision_log_erase; /**< of enum dk_erasable */
    int64_t decision_log_buffer_bytes;
    int64_t decision_log_rotate_bytes, decision_log_rotate_ms;
    int64_t decision_log_files;
    int64_t decision_log_period_ms; /**< for DK_RECORD_AGGREGATED */
    int64_t questions_max_bytes;
    char *warm_start_file; /**< written and read by this library; empty: no warm start */
    char *library_path;    /**< read by the Java side before this library is there */
    char **super_users;    /**< "User:CN=broker,O=Org", trimmed; Kafka's own super.users */
    size_t super_user_count;
    int64_t num_io_threads; /**< Kafka's own */
};

/** Told of one wrong setting; `text` names it, its value and what would be right. */
typedef void dk_config_report(void *user, const char *text);

/**
 * Reads what begins with "doorkeeper." and Kafka's own super.users and num.io.threads; other keys
 * are passed over. An unknown doorkeeper key, and a key that is there twice, is an error. Opens no
 * file. On error `out` is cleaned up and `why` holds the first report.
 */
DK_WARN_UNUSED enum dk_error dk_config_parse(const struct dk_setting *settings, size_t count,
                                             struct dk_config *out, struct dk_error_text *why);
/**
 * The same, but reports every wrong setting. What settings get wrong together is reported only
 * where each alone is right, and if they are `complete`: a value that the caller does not know may
 * be left out otherwise.
 */
DK_WARN_UNUSED enum dk_error dk_config_parse_all(const struct dk_setting *settings, size_t count,
                                                 bool complete, struct dk_config *out,
                                                 dk_config_report *report, void *user);
void dk_config_clean_up(struct dk_config *config);
/** Whether `key` is a setting that is read here. */
bool dk_config_is_setting(struct dk_bytes key);

/** The files that settings name. */
enum dk_config_file {
    DK_FILE_TOKEN,
    DK_FILE_CA,
    DK_FILE_CERTIFICATE,
    DK_FILE_KEY,
    DK_FILE_DENY,
    DK_FILE_FLUSH, /**< may be missing or empty: it speaks by changing */
    DK_FILE_COUNT,
};

/** Of each of the files above. */
#define DK_CONFIG_FILE_MAX (1024u * 1024u)

/**
 * Reads a file whole into `out`, which is initialised here; empty where the setting is empty.
 * Blocks: not for the I/O thread. DK_ERR_CONFIG if it cannot be read, is empty or too large (but
 * see DK_FILE_FLUSH); then `out` is cleaned up and `why` names the setting, the file and the cause.
 */
DK_WARN_UNUSED enum dk_error dk_config_read_file(const struct dk_config *config,
                                                 enum dk_config_file file, struct dk_writer *out,
                                                 struct dk_error_text *why);

/** For a file whose content is wrong: puts setting and file before the `cause`. DK_ERR_CONFIG. */
enum dk_error dk_config_fail_file(const struct dk_config *config, enum dk_config_file file,
                                  const char *cause, struct dk_error_text *why);

/** docs/configuration.md, whole. */
void dk_config_write_markdown(struct dk_writer *out);

#endif
