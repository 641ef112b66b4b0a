/* SPDX-License-Identifier: Apache-2.0 */
#include "config_table.h"

#include <stdio.h>
#include <string.h>

#define MEMBER(name) offsetof(struct dk_config, name)

/* In the order of the reference. num.io.threads and super.users are Kafka's own. */
const struct setting_row setting_rows[] = {
    {"doorkeeper.opa.url", SETTING_URL, MEMBER(opa_url), "http://127.0.0.1:8181", NULL, 0, 0,
     "Where OPA listens. Up to 8 of them, separated by commas, the preferred one first: another is "
     "asked while those before it do not answer. A path is kept as a prefix. Redirects and proxies "
     "are never used, and a user or password in the URL is refused: use "
     "`doorkeeper.opa.token.file`.",
     "unix:/run/opa/opa.sock,https://opa.example.org:8181"},
    {"doorkeeper.opa.batch.path", SETTING_OPTIONAL_RULE, MEMBER(opa_batch_path),
     "kafka/authz/batch", NULL, 0, 0,
     "The rule that answers many questions at once, below `/v1/data/`. Empty: every question is a "
     "request of its own to `doorkeeper.opa.path`, for policies without such a rule. The format is "
     "in `policy-input.md`.",
     "kafka/authz/batch"},
    {"doorkeeper.opa.path", SETTING_RULE, MEMBER(opa_path), "kafka/authz/allow", NULL, 0, 0,
     "The rule that answers one question, below `/v1/data/`. Asked only where "
     "`doorkeeper.opa.batch.path` is empty.",
     "kafka/authz/allow"},
    {"doorkeeper.opa.revision.path", SETTING_OPTIONAL_RULE, MEMBER(opa_revision_path), "",
     "the revisions of OPA's bundles", 0, 0,
     "A rule or document below `/v1/data/` whose value, a string or a number, changes with the "
     "policy or its data. For data that is pushed over OPA's REST API, which no bundle revision "
     "tells of: whoever pushes data pushes a new value here, last.",
     "kafka/revision"},
    {"doorkeeper.opa.token.file", SETTING_FILE, MEMBER(opa_token_file), "", NULL, 0, 0,
     "A file with a bearer token for OPA. It is looked at about twice a second; a new token is "
     "used once two looks agree, and an empty or unreadable file keeps the last good one.",
     "/etc/kafka/opa-token"},
    {"doorkeeper.opa.ca.file", SETTING_FILE, MEMBER(opa_ca_file), "", "the system's CAs", 0, 0,
     "The CAs (PEM) that may have issued OPA's certificate, and no others. Looked at about once a "
     "second, as all files for TLS to OPA: what is new is used once two looks agree and the files "
     "fit together. Needs an https URL.",
     "/etc/kafka/opa-ca.pem"},
    {"doorkeeper.opa.certificate.file", SETTING_FILE, MEMBER(opa_certificate_file), "", NULL, 0, 0,
     "The certificate (PEM, with its chain) that Doorkeeper shows to OPA. Only together with "
     "`doorkeeper.opa.key.file`.",
     "/etc/kafka/opa-client.pem"},
    {"doorkeeper.opa.key.file", SETTING_FILE, MEMBER(opa_key_file), "", NULL, 0, 0,
     "The private key (PEM, not encrypted) of `doorkeeper.opa.certificate.file`.",
     "/etc/kafka/opa-client-key.pem"},
    {"doorkeeper.opa.connect.timeout.ms", SETTING_NUMBER, MEMBER(opa_connect_timeout_ms), "1000",
     NULL, 1, 60000, "How long a new connection to OPA, TLS included, may take.", "500"},
    {"doorkeeper.opa.connections", SETTING_NUMBER, MEMBER(opa_connections), "4", NULL, 1, 64,
     "Connections to OPA that may carry requests at one time. Large lists are spread over them.",
     "8"},
    {"doorkeeper.opa.batch.max", SETTING_NUMBER, MEMBER(opa_batch_max), "500", NULL, 1, 5000,
     "Questions in one request at most. Longer lists travel as several requests.", "1000"},
    {"doorkeeper.opa.poll.interval.ms", SETTING_NUMBER, MEMBER(opa_poll_interval_ms), "1000", NULL,
     100, 60000,
     "How often OPA is asked for its policy's revision where no question does so anyway. A changed "
     "revision makes every cached decision unreachable, so this is how long a change may take to "
     "be seen while the cache answers everything.",
     "500"},
    {"doorkeeper.breaker.failures", SETTING_NUMBER, MEMBER(breaker_failures), "1", NULL, 1, 1000,
     "So many requests in a row that OPA does not answer open its circuit breaker: it is asked "
     "nothing then, calls end at once, until a poll is answered.",
     "3"},
    {"doorkeeper.breaker.probe.interval.ms", SETTING_NUMBER, MEMBER(breaker_probe_interval_ms),
     "100", NULL, 10, 60000,
     "How often OPA is polled while its circuit breaker is open, and so how soon it is noticed "
     "that "
     "it answers again.",
     "1000"},
    {"doorkeeper.deadline.ms", SETTING_NUMBER, MEMBER(deadline_ms), "200", NULL, 1, 2000,
     "How long one `authorize()` call may wait for OPA in total. Long lists get 50 µs more for "
     "each action, up to 2 s. What has no answer by then is unavailable.",
     "100"},
    {"doorkeeper.cache.entries", SETTING_NUMBER, MEMBER(cache_entries), "262144", NULL, 1024,
     67108864,
     "Decisions that the cache is made for. Its memory is fixed at start: 64 bytes for each, the "
     "number rounded up to a power of two.",
     "1000000"},
    {"doorkeeper.cache.ttl.allow.ms", SETTING_NUMBER, MEMBER(cache_ttl_allow_ms), "300000", NULL, 0,
     86400000,
     "How long an ALLOW may be answered from the cache, counted from when OPA was asked. 0: never.",
     "60000"},
    {"doorkeeper.cache.ttl.deny.ms", SETTING_NUMBER, MEMBER(cache_ttl_deny_ms), "60000", NULL, 0,
     86400000,
     "How long a DENY may be answered from the cache, counted from when OPA was asked. 0: never.",
     "10000"},
    {"doorkeeper.queue.entries", SETTING_NUMBER, MEMBER(queue_entries), "65536", NULL, 64, 1048576,
     "Questions that may be on their way to OPA, or wait for it, at one time. One principal gets "
     "at most a quarter. What does not fit is unavailable.",
     "131072"},
    {"num.io.threads", SETTING_NUMBER, MEMBER(num_io_threads), "8", NULL, 1, 2147483647,
     "Kafka's own: its request threads.", "16"},
    {"doorkeeper.waiting.threads", SETTING_NUMBER, MEMBER(waiting_threads), NULL,
     "half of Kafka's `num.io.threads`", 1, 10000,
     "Threads that may wait for OPA up to the deadline at one time, so that a slow OPA cannot hold "
     "every request thread of the broker; further calls wait 20 ms at most.",
     "6"},
    {"doorkeeper.start.wait.ms", SETTING_NUMBER, MEMBER(start_wait_ms), "10000", NULL, 0, 600000,
     "How long the broker waits at start for OPA to be ready before it opens its client listeners "
     "all the same. Listeners for brokers and controllers never wait.",
     "30000"},
    {"doorkeeper.question.fields", SETTING_FIELDS, 0, "subject,listener", NULL, 0, 0,
     "What a question carries beside the cluster, the principal's type and name, and the action. "
     "A policy reads exactly these fields and a cached decision holds for exactly these, so each "
     "further field means more questions: `subject` (names and SANs of certificate and issuer), "
     "`certificate` (serial, validity, SHA-256), `listener` (and whether a broker forwarded the "
     "request), `protocol`, `address`, `client_id`, `api`.",
     "subject,listener,address"},
    {"doorkeeper.on.unavailable", SETTING_ON_UNAVAILABLE, 0, "stale,retry,deny", NULL, 0, 0,
     "What is done where OPA gave no valid answer in time; the first that applies. `stale`: what "
     "was "
     "allowed last is allowed still, up to `doorkeeper.stale.max.ms` past its TTL. `retry`: the "
     "request fails with an error after which clients of its kind ask again by themselves. `deny`: "
     "the client is told that it is not authorized. There is no way to allow what was not allowed "
     "before. `outages.md` says what each client sees.",
     "stale,deny"},
    {"doorkeeper.stale.max.ms", SETTING_NUMBER, MEMBER(stale_max_ms), "3600000", NULL, 0, 604800000,
     "How long past its TTL an ALLOW may still be used while OPA gives no valid answer. Only where "
     "`doorkeeper.on.unavailable` has `stale`. A new revision ends it at once.",
     "86400000"},
    {"doorkeeper.fetch.pause.ms", SETTING_NUMBER, MEMBER(fetch_pause_ms), "3000", NULL, 0, 60000,
     "A client that asks for records while nobody can say whether it may would ask again at once, "
     "thousands of times a second, whatever error it gets. With `retry` and the principal builder "
     "its connections are closed instead for this long. 0: never.",
     "1000"},
    {"doorkeeper.deny.file", SETTING_FILE, MEMBER(deny_file), "", NULL, 0, 0,
     "A deny list for emergencies (JSON): principals, certificates, resources and operations that "
     "are denied whatever the policy, the cache and `super.users` say. It is looked at about twice "
     "a second; a new list is in force, on open connections too, once two looks agree. If it is "
     "set, the file must be there and right when the broker starts; later, a file that is missing "
     "or wrong leaves the last good list in force, with an error in the log. The format is in "
     "`guide.md`.",
     "/etc/kafka/deny.json"},
    {"doorkeeper.flush.file", SETTING_FILE, MEMBER(flush_file), "", NULL, 0, 0,
     "Whenever the content of this file changes, every cached decision becomes void: `date` into "
     "it is enough. It need not be there at first. It is looked at about twice a second.",
     "/var/lib/kafka/doorkeeper-flush"},
    {"doorkeeper.decision.log.file", SETTING_FILE, MEMBER(decision_log_file), "", NULL, 0, 0,
     "Where decisions are recorded, one JSON object a line, in the shape of OPA's decision log: "
     "`audit.md` has the format. Nothing is recorded where this is empty. Requests never wait for "
     "the file: what it cannot take is lost, counted and said.",
     "/var/log/kafka/decisions.jsonl"},
    {"doorkeeper.decision.log.mode", SETTING_DECISION_MODE, 0, "aggregated", NULL, 0, 0,
     "Which decisions are recorded. `aggregated`: all of them, but equal ones are counted and "
     "written once in each `doorkeeper.decision.log.period.ms`; what did not come from the cache "
     "is written at once when it is the first of its kind. `denied`: each that does not allow, "
     "also where nobody could decide. `every`: each one, those from the cache included.",
     "every"},
    {"doorkeeper.decision.log.period.ms", SETTING_NUMBER, MEMBER(decision_log_period_ms), "60000",
     NULL, 1000, 600000, "How often mode `aggregated` writes what it has counted.", "10000"},
    {"doorkeeper.decision.log.erase", SETTING_ERASE, 0, "none", NULL, 0, 0,
     "What recorded decisions leave out, for whoever reads them must not see it: `subject` and "
     "`certificate` (facts of the client certificate), `address`, `client_id`, `name` (of the "
     "resource). What was left out is named in the record's `erased`.",
     "address,subject"},
    {"doorkeeper.decision.log.rotate.bytes", SETTING_NUMBER, MEMBER(decision_log_rotate_bytes),
     "268435456", NULL, 65536, 1099511627776,
     "A decision log of this size is renamed, compressed (`.gz`), and a new one begun.",
     "1073741824"},
    {"doorkeeper.decision.log.rotate.ms", SETTING_NUMBER, MEMBER(decision_log_rotate_ms),
     "86400000", NULL, 1000, 31536000000,
     "The same after this time, whatever its size; counted from the node's start or the last "
     "rotation.",
     "3600000"},
    {"doorkeeper.decision.log.files", SETTING_NUMBER, MEMBER(decision_log_files), "30", NULL, 1,
     100000, "How many earlier decision logs are kept beside the current one.", "365"},
    {"doorkeeper.decision.log.buffer.bytes", SETTING_NUMBER, MEMBER(decision_log_buffer_bytes),
     "8388608", NULL, 65536, 1073741824,
     "Memory for decisions that are not yet written. Decisions that find it full are lost.",
     "67108864"},
    {"doorkeeper.warm.start.file", SETTING_FILE, MEMBER(warm_start_file), "", "none, no warm start",
     0, 0,
     "Where this node keeps the questions that were asked of OPA lately, so that it can ask them "
     "again after a restart, before clients do. It holds questions (names, and the facts that "
     "`doorkeeper.question.fields` names), never answers. Written at most once a minute and at the "
     "end; it need not be there at first. A file of each node's own, in a directory that the "
     "broker may write.",
     "/var/lib/kafka/doorkeeper-questions"},
    {"doorkeeper.questions.max.bytes", SETTING_NUMBER, MEMBER(questions_max_bytes), "16777216",
     NULL, 1048576, 1073741824,
     "Memory for the text of questions that were asked lately, about 130 bytes for each; what was "
     "not asked for the longest time goes first. A warm start keeps so many, and its file is no "
     "larger; a decision log in mode `aggregated` can record cached decisions about these alone. "
     "Nothing is taken where there is neither.",
     "67108864"},
    {"doorkeeper.library.path", SETTING_FILE, MEMBER(library_path), "",
     "beside the jar, then a private temporary directory", 0, 0,
     "The native library, `libdoorkeeper.so`. Only needed where it lies neither beside the jar "
     "nor in it, or where the temporary directory does not allow execution.",
     "/opt/doorkeeper/libdoorkeeper.so"},
    {"super.users", SETTING_PRINCIPALS, 0, "", NULL, 0, 0,
     "Kafka's own: principals who may do everything, decided without OPA. Name the brokers and "
     "controllers here, or they cannot start while OPA is down. An expired certificate is refused "
     "all the same.",
     "User:CN=broker-1,O=Example;User:CN=broker-2,O=Example"},
};

const size_t setting_row_count = sizeof(setting_rows) / sizeof(setting_rows[0]);

static const struct {
    const char *name;
    enum dk_field_group group;
} field_groups[] = {
    {"subject", DK_GROUP_SUBJECT},   {"certificate", DK_GROUP_CERTIFICATE},
    {"listener", DK_GROUP_LISTENER}, {"protocol", DK_GROUP_PROTOCOL},
    {"address", DK_GROUP_ADDRESS},   {"client_id", DK_GROUP_CLIENT_ID},
    {"api", DK_GROUP_API},
};

uint32_t setting_field_group(struct dk_bytes name) {
    for (size_t i = 0; i < sizeof(field_groups) / sizeof(field_groups[0]); i++) {
        if (dk_bytes_equal(name, dk_bytes_of(field_groups[i].name))) {
            return field_groups[i].group;
        }
    }
    return 0;
}

static const struct {
    const char *name;
    enum dk_erasable flag;
} erasables[] = {
    {"subject", DK_ERASE_SUBJECT}, {"certificate", DK_ERASE_CERTIFICATE},
    {"address", DK_ERASE_ADDRESS}, {"client_id", DK_ERASE_CLIENT_ID},
    {"name", DK_ERASE_NAME},
};

uint32_t setting_erasable(struct dk_bytes name) {
    for (size_t i = 0; i < sizeof(erasables) / sizeof(erasables[0]); i++) {
        if (dk_bytes_equal(name, dk_bytes_of(erasables[i].name))) {
            return erasables[i].flag;
        }
    }
    return 0;
}

bool setting_is_text(enum setting_type type) {
    return type == SETTING_URL || type == SETTING_RULE || type == SETTING_OPTIONAL_RULE ||
           type == SETTING_FILE;
}

void setting_expected(const struct setting_row *row, char out[SETTING_EXPECTED_MAX]) {
    static const char rule[] = "names of letters, digits, _ and - joined by /";
    const char *text = NULL;
    switch (row->type) {
    case SETTING_NUMBER:
        snprintf(out, SETTING_EXPECTED_MAX, "a whole number from %lld to %lld", (long long)row->min,
                 (long long)row->max);
        return;
    case SETTING_OPTIONAL_RULE:
        snprintf(out, SETTING_EXPECTED_MAX, "%s, or nothing", rule);
        return;
    case SETTING_RULE:
        text = rule;
        break;
    case SETTING_URL:
        text = "http://host:port, https://host:port or unix:/path, or up to 8 of them separated by "
               "commas";
        break;
    case SETTING_FILE:
        text = "the path of a file, or nothing";
        break;
    case SETTING_ON_UNAVAILABLE:
        text = "some of stale, retry and deny, in this order, separated by commas";
        break;
    case SETTING_DECISION_MODE:
        text = "aggregated, denied or every";
        break;
    case SETTING_ERASE:
        text = "none, or some of subject, certificate, address, client_id and name, separated by "
               "commas";
        break;
    case SETTING_FIELDS:
        text = "none, or some of subject, certificate, listener, protocol, address, client_id and "
               "api, separated by commas";
        break;
    case SETTING_PRINCIPALS:
        text = "Type:name entries separated by semicolons";
        break;
    }
    snprintf(out, SETTING_EXPECTED_MAX, "%s", text);
}

static void write_line(struct dk_writer *out, const char *label, const char *value,
                       const char *mark) {
    dk_writer_text(out, "- ");
    dk_writer_text(out, label);
    dk_writer_text(out, ": ");
    dk_writer_text(out, mark);
    dk_writer_text(out, value);
    dk_writer_text(out, mark);
    dk_writer_text(out, "\n");
}

static void write_row(struct dk_writer *out, const struct setting_row *row) {
    char expected[SETTING_EXPECTED_MAX];
    setting_expected(row, expected);
    dk_writer_text(out, "\n## `");
    dk_writer_text(out, row->name);
    dk_writer_text(out, "`\n\n");
    dk_writer_text(out, row->help);
    dk_writer_text(out, "\n\n");
    if (row->fallback_note != NULL) {
        write_line(out, "Default", row->fallback_note, "");
    } else if (row->fallback[0] == '\0') {
        write_line(out, "Default", "nothing", "");
    } else {
        write_line(out, "Default", row->fallback, "`");
    }
    write_line(out, "Value", expected, "");
    write_line(out, "Example", row->example, "`");
}

void dk_config_write_markdown(struct dk_writer *out) {
    dk_writer_text(
        out,
        "# Settings\n\n"
        "<!-- Printed by `doorkeeper config-reference`; edit native/src/config_table.c. -->\n\n"
        "Doorkeeper reads its settings from the broker's `server.properties`: every key that\n"
        "begins with `doorkeeper.`, and two of Kafka's own. They are read once, at start. A wrong\n"
        "value, or a `doorkeeper.` key that is not listed here, stops the broker from starting,\n"
        "with a message that says what would be right. `doorkeeper check-config FILE` checks a\n"
        "file beforehand.\n\n"
        "Spaces around values do not count. Times are in milliseconds.\n");
    for (size_t i = 0; i < setting_row_count; i++) {
        write_row(out, &setting_rows[i]);
    }
}
