/* SPDX-License-Identifier: Apache-2.0 */
#include "explain.h"

#include "denials.h"
#include "doorkeeper/clock.h"
#include "doorkeeper/file.h"
#include "doorkeeper/http.h"
#include "doorkeeper/identity.h"
#include "doorkeeper/opa.h"
#include "explain_flags.h"
#include "json.h"
#include "question_json.h"
#include "rules.h"
#include "tls_watch.h"
#include "token_watch.h"

#include <openssl/pem.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX ((size_t)1024 * 1024)
#define LINE_MAX_BYTES ((size_t)64 * 1024 * 1024)
#define ANSWER_MAX ((size_t)64 * 1024 * 1024)
#define VALUES_MAX ((size_t)1 << 22)
#define DEADLINE_MS 30000
#define SHOWN_MAX 400

enum explain_status { EXPLAIN_ALLOWED = 0, EXPLAIN_NOT_ALLOWED = 1, EXPLAIN_TROUBLE = 2 };

static const char help[] =
    "usage: doorkeeper explain --principal NAME --operation OP --resource TYPE[:NAME] [FLAGS]\n"
    "       doorkeeper explain --from-log LINE [FLAGS]\n"
    "\n"
    "Why is somebody allowed, or denied, something? Shows the question as Doorkeeper asks it, "
    "which\n"
    "local rule decides it, what OPA answers, and how long that would be kept.\n"
    "\n"
    "  --principal NAME        as Kafka knows it: alice, or User:CN=alice,O=Grab\n"
    "  --certificate FILE      the client's certificate, PEM or DER: its facts become part of the\n"
    "                          question, as doorkeeper.question.fields says\n"
    "  --operation OP          READ, WRITE, DESCRIBE, ...\n"
    "  --resource TYPE[:NAME]  TOPIC:orders, GROUP:g; without a name: any resource of this type\n"
    "  --pattern PATTERN       LITERAL (the default) or PREFIXED\n"
    "  --cluster ID            the cluster's id, where the policy reads it\n"
    "  --listener NAME, --protocol NAME, --address IP, --client-id ID, --api NAME\n"
    "                          where the client connects, for the fields that are sent\n"
    "  --from-log LINE         a line of a decision log, Doorkeeper's or OPA's; - reads it from\n"
    "                          standard input\n"
    "\n"
    "  --config FILE           the broker's server.properties: OPA, rules, super users, deny list\n"
    "  --opa URL               another OPA than that\n"
    "  --set KEY=VALUE         another setting than that\n"
    "  --trace notes|full      OPA's own explanation: what trace() says in the policy, or each "
    "step\n"
    "\n"
    "Exit status: 0 it is allowed, 1 it is not, 2 wrong usage, or nobody could say.\n";

/* A question, and what answers it. */
struct explained {
    const struct dk_explain_flags *flags;
    struct dk_config config;
    struct dk_writer context_record, action_record;
    struct dk_context context;
    struct dk_action action;
    struct dk_http *http;
    struct dk_error_text why;
};

/* What came back for one request. */
struct answer {
    struct dk_writer body;
    enum dk_http_kind kind;
    long status;
    bool done;
    char text[SHOWN_MAX];
};

static bool fail(struct explained *explained, const char *text) {
    (void)dk_fail(&explained->why, DK_ERR_CONFIG, "%s", text);
    return false;
}

/* ---- printing ----------------------------------------------------------------------------- */

/* Names are chosen by strangers. */
static void print_escaped(struct dk_bytes text) {
    char *shown = malloc(6 * text.len + 1);
    if (shown != NULL) {
        size_t len = dk_bytes_escape(text, shown, 6 * text.len + 1);
        (void)fwrite(shown, 1, len, stdout);
    }
    free(shown);
}

static size_t take_code_point(const uint8_t *at, uint32_t *out) {
    if (at[0] < 0xe0) {
        *out = (uint32_t)(at[0] & 0x1f) << 6 | (at[1] & 0x3f);
        return 2;
    }
    if (at[0] < 0xf0) {
        *out = (uint32_t)(at[0] & 0x0f) << 12 | (uint32_t)(at[1] & 0x3f) << 6 | (at[2] & 0x3f);
        return 3;
    }
    *out = (uint32_t)(at[0] & 0x07) << 18 | (uint32_t)(at[1] & 0x3f) << 12 |
           (uint32_t)(at[2] & 0x3f) << 6 | (at[3] & 0x3f);
    return 4;
}

/* The same JSON in ASCII: what turns text round on a terminal stays visible. `json` is UTF-8. */
static void print_json(struct dk_bytes json) {
    for (size_t i = 0; i < json.len;) {
        uint32_t code;
        if (json.ptr[i] < 0x80) {
            putchar(json.ptr[i++]);
            continue;
        }
        i += take_code_point(json.ptr + i, &code);
        if (code >= 0x10000) {
            printf("\\u%04" PRIx32, 0xd800 + ((code - 0x10000) >> 10));
            code = 0xdc00 + ((code - 0x10000) & 0x3ff);
        }
        printf("\\u%04" PRIx32, code);
    }
}

static void print_field(const char *label, struct dk_bytes value) {
    if (value.ptr != NULL) {
        printf("%s", label);
        print_escaped(value);
    }
}

static void print_question(const struct explained *explained) {
    const struct dk_context *context = &explained->context;
    const struct dk_action *action = &explained->action;
    struct dk_code_name operation, type, pattern;
    printf("principal  ");
    print_escaped(context->fields[DK_FIELD_PRINCIPAL_TYPE]);
    print_field(":", context->fields[DK_FIELD_PRINCIPAL_NAME]);
    print_field("\nlistener   ", context->fields[DK_FIELD_LISTENER]);
    print_field("\naddress    ", context->fields[DK_FIELD_ADDRESS]);
    printf("\naction     %s %s", dk_operation_name(action->operation, &operation),
           dk_resource_type_name(action->type, &type));
    if (action->named) {
        print_field(":", action->name);
        printf(" (%s)\n", dk_pattern_type_name(action->pattern, &pattern));
    } else {
        printf(", any\n");
    }
    struct dk_bytes subject = context->fields[DK_FIELD_SUBJECT];
    struct dk_writer json;
    dk_writer_init(&json, FILE_MAX);
    if (subject.ptr != NULL && dk_subject_write_json(subject, &json) == DK_OK) {
        printf("subject    ");
        print_json(dk_writer_view(&json));
        printf("\n");
    }
    dk_writer_clean_up(&json);
}

/* ---- the question from flags -------------------------------------------------------------- */

/* DER as it is, or the first certificate of a PEM file. */
static bool take_der(struct dk_bytes file, struct dk_writer *out) {
    char *name = NULL, *header = NULL;
    uint8_t *der = NULL;
    long len = 0;
    if (file.len == 0 || file.ptr[0] == 0x30) {
        dk_writer_bytes(out, file);
        return !out->failed;
    }
    BIO *bio = BIO_new_mem_buf(file.ptr, (int)file.len);
    bool found = bio != NULL && PEM_read_bio(bio, &name, &header, &der, &len) == 1 &&
                 strcmp(name, PEM_STRING_X509) == 0;
    if (found) {
        dk_writer_bytes(out, (struct dk_bytes){der, (size_t)len});
    }
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(der);
    BIO_free(bio);
    return found && !out->failed;
}

static bool read_certificate(struct explained *explained, struct dk_identity *out) {
    struct dk_writer file, der;
    struct dk_error_text cause = {""};
    const char *path = explained->flags->certificate;
    dk_writer_init(&file, FILE_MAX);
    dk_writer_init(&der, FILE_MAX);
    bool ok = dk_file_read(path, &file, &explained->why) == DK_OK;
    if (ok && !take_der(dk_writer_view(&file), &der)) {
        (void)dk_fail(&explained->why, DK_ERR_CONFIG,
                      "--certificate %.200s: expected a certificate, PEM or DER", path);
        ok = false;
    }
    if (ok && dk_identity_parse(dk_writer_view(&der), out, &cause) != DK_OK) {
        (void)dk_fail(&explained->why, DK_ERR_CONFIG,
                      "--certificate %.200s: Doorkeeper refuses it: %.200s", path, cause.text);
        ok = false;
    }
    dk_writer_clean_up(&der);
    dk_writer_clean_up(&file);
    return ok;
}

static void write_text_field(struct dk_writer *out, enum dk_field field, const char *text) {
    if (text != NULL) {
        dk_record_field(out, field, dk_bytes_of(text));
    }
}

/* "alice" is "User:alice". */
static void write_principal(struct dk_writer *out, const char *principal) {
    const char *colon = strchr(principal, ':');
    const char *equals = strchr(principal, '=');
    bool typed = colon != NULL && (equals == NULL || colon < equals);
    struct dk_bytes type = {(const uint8_t *)principal, typed ? (size_t)(colon - principal) : 0};
    dk_record_field(out, DK_FIELD_PRINCIPAL_TYPE, typed ? type : dk_bytes_of("User"));
    dk_record_field(out, DK_FIELD_PRINCIPAL_NAME, dk_bytes_of(typed ? colon + 1 : principal));
}

static void write_client(struct explained *explained, struct dk_writer *out) {
    const struct dk_explain_flags *flags = explained->flags;
    uint32_t fields = explained->config.question_fields;
    static const uint8_t not_forwarded[1];
    if ((fields & DK_GROUP_LISTENER) != 0 && flags->listener != NULL) {
        dk_record_field(out, DK_FIELD_LISTENER, dk_bytes_of(flags->listener));
        dk_record_field(out, DK_FIELD_FORWARDED, (struct dk_bytes){not_forwarded, 1});
    }
    write_text_field(out, DK_FIELD_PROTOCOL,
                     (fields & DK_GROUP_PROTOCOL) != 0 ? flags->protocol : NULL);
    write_text_field(out, DK_FIELD_ADDRESS,
                     (fields & DK_GROUP_ADDRESS) != 0 ? flags->address : NULL);
    write_text_field(out, DK_FIELD_CLIENT_ID,
                     (fields & DK_GROUP_CLIENT_ID) != 0 ? flags->client_id : NULL);
    write_text_field(out, DK_FIELD_API, (fields & DK_GROUP_API) != 0 ? flags->api : NULL);
}

static bool write_context(struct explained *explained) {
    const struct dk_explain_flags *flags = explained->flags;
    struct dk_writer *out = &explained->context_record;
    uint32_t fields = explained->config.question_fields;
    struct dk_identity identity;
    memset(&identity, 0, sizeof(identity));
    bool certified = flags->certificate != NULL;
    if (certified && !read_certificate(explained, &identity)) {
        return false;
    }
    struct dk_bytes certificate = dk_writer_view(&identity.certificate);
    dk_record_begin_context(out, identity.not_after_s);
    if (certified) {
        dk_record_field(out, DK_FIELD_LOCAL_CERTIFICATE, certificate);
    }
    dk_record_field(out, DK_FIELD_CLUSTER_ID, dk_bytes_of(flags->cluster));
    write_principal(out, flags->principal);
    if (certified && (fields & DK_GROUP_SUBJECT) != 0) {
        dk_record_field(out, DK_FIELD_SUBJECT, dk_writer_view(&identity.subject));
    }
    if (certified && (fields & DK_GROUP_CERTIFICATE) != 0) {
        dk_record_field(out, DK_FIELD_CERTIFICATE, certificate);
    }
    write_client(explained, out);
    dk_identity_clean_up(&identity);
    return true;
}

static bool write_action(struct explained *explained) {
    const struct dk_explain_flags *flags = explained->flags;
    const char *colon = strchr(flags->resource, ':');
    char type[32];
    size_t len = colon == NULL ? strlen(flags->resource) : (size_t)(colon - flags->resource);
    struct dk_action_codes codes;
    snprintf(type, sizeof(type), "%.*s", (int)(len < sizeof(type) ? len : 0), flags->resource);
    if (!dk_question_codes(flags->operation, type, flags->pattern, &codes)) {
        return fail(explained, "--operation, --resource or --pattern: expected Kafka's names, as "
                               "READ, TOPIC:orders, LITERAL");
    }
    dk_record_action(&explained->action_record, codes,
                     dk_bytes_of(colon == NULL ? NULL : colon + 1));
    return true;
}

/* ---- the question from a log -------------------------------------------------------------- */

static void print_recorded(const cJSON *event) {
    static const char *const members[] = {"timestamp", "revision", "decision_id"};
    const cJSON *result = cJSON_GetObjectItemCaseSensitive(event, "result");
    printf("recorded   %s", cJSON_IsTrue(result)    ? "allowed"
                            : cJSON_IsFalse(result) ? "denied"
                                                    : "no decision");
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        const char *text =
            cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(event, members[i]));
        if (text != NULL) {
            printf(", %s ", members[i]);
            print_escaped(dk_bytes_of(text));
        }
    }
    printf("\n");
}

static bool read_line(struct explained *explained, struct dk_writer *out) {
    char room[65536];
    size_t len;
    if (strcmp(explained->flags->from_log, "-") != 0) {
        dk_writer_text(out, explained->flags->from_log);
        return !out->failed;
    }
    while ((len = fread(room, 1, sizeof(room), stdin)) > 0) {
        dk_writer_bytes(out, (struct dk_bytes){(const uint8_t *)room, len});
    }
    return !out->failed && ferror(stdin) == 0;
}

static bool read_event(struct explained *explained) {
    struct dk_writer line;
    dk_writer_init(&line, LINE_MAX_BYTES);
    bool ok = read_line(explained, &line);
    cJSON *event = ok ? dk_json_parse(dk_writer_view(&line), VALUES_MAX, NULL) : NULL;
    const cJSON *input = cJSON_GetObjectItemCaseSensitive(event, "input");
    ok = dk_question_read_single(input, &explained->context_record, &explained->action_record) ==
         DK_FORM_QUESTION;
    if (ok) {
        print_recorded(event);
    } else {
        (void)fail(explained, "--from-log: expected one line of a decision log whose \"input\" is "
                              "one question of docs/policy-input.md, with nothing erased");
    }
    cJSON_Delete(event);
    dk_writer_clean_up(&line);
    return ok;
}

static bool make_question(struct explained *explained) {
    bool ok = explained->flags->from_log != NULL
                  ? read_event(explained)
                  : write_context(explained) && write_action(explained);
    struct dk_bytes action = dk_writer_view(&explained->action_record);
    if (!ok) {
        return false;
    }
    if (dk_context_parse(dk_writer_view(&explained->context_record), &explained->context) !=
            DK_OK ||
        dk_action_parse(&action, &explained->action) != DK_OK) {
        return fail(explained, "what was given is too long, or not UTF-8");
    }
    return true;
}

/* ---- local rules -------------------------------------------------------------------------- */

static bool is_on_deny_list(struct explained *explained, bool *denied) {
    struct dk_log *log = NULL;
    struct dk_denials *denials = NULL;
    struct dk_miss asked = {.action = explained->action, .outcome = DK_UNAVAILABLE};
    bool ok = dk_log_new(64, &log) == DK_OK &&
              dk_denials_new(&explained->config, log, &denials, &explained->why) == DK_OK;
    if (ok) {
        dk_denials_apply(denials, &explained->context, &asked, 1);
        *denied = asked.source == DK_SOURCE_RULE;
    }
    dk_denials_destroy(denials);
    dk_log_destroy(log);
    return ok;
}

/* False if it could not be found out. `*ruled`: a rule decides, and what. */
static bool look_at_rules(struct explained *explained, bool *ruled, enum dk_outcome *outcome) {
    bool denied = false;
    dk_answer answer;
    bool super_user = dk_is_super_user(&explained->config, &explained->context);
    if (!is_on_deny_list(explained, &denied)) {
        return false;
    }
    bool local = dk_local_rule(explained->context.not_after_s, super_user, &answer);
    *ruled = denied || local;
    *outcome = denied || !local ? DK_DENY : DK_ANSWER_OUTCOME(answer);
    printf("rules      %s\n", denied                 ? "the deny list denies it"
                              : !local               ? "no local rule decides it"
                              : *outcome == DK_ALLOW ? "a super user: allowed"
                                                     : "the certificate has expired: denied");
    return true;
}

/* ---- OPA ---------------------------------------------------------------------------------- */

static bool connect_to_opa(struct explained *explained) {
    struct dk_tls_watch tls;
    struct dk_token_watch token;
    memset(&tls, 0, sizeof(tls));
    memset(&token, 0, sizeof(token));
    bool ok = dk_tls_watch_init(&tls, &explained->config, &explained->why) == DK_OK &&
              dk_token_watch_init(&token, &explained->config, &explained->why) == DK_OK;
    if (ok) {
        const struct dk_http_options options = {
            .urls = explained->config.opa_url,
            .pem = dk_tls_watch_pem(&tls),
            .connect_timeout_ms = explained->config.opa_connect_timeout_ms,
            .connections = 1,
            .max_body = ANSWER_MAX,
        };
        ok = dk_http_new(&options, &explained->http, &explained->why) == DK_OK &&
             dk_http_set_token(explained->http, dk_token_watch_token(&token)) == DK_OK;
    }
    dk_token_watch_clean_up(&token);
    dk_tls_watch_clean_up(&tls);
    return ok;
}

static void on_answer(void *user, const struct dk_http_result *result) {
    struct answer *answer = user;
    answer->kind = result->kind;
    answer->status = result->status;
    dk_writer_bytes(&answer->body, result->body);
    answer->text[dk_bytes_escape(dk_bytes_of(result->text), answer->text, SHOWN_MAX - 1)] = '\0';
    answer->done = true;
}

/* Asks the first OPA that answers. False: none did; that was printed. */
static bool post(struct explained *explained, const char *path, struct dk_bytes body,
                 struct answer *answer) {
    for (size_t server = 0; server < dk_http_server_count(explained->http); server++) {
        int64_t deadline_ms = dk_clock_ms() + DEADLINE_MS;
        *answer = (struct answer){.done = false};
        dk_writer_init(&answer->body, ANSWER_MAX);
        if (dk_http_post(explained->http, server, path, body, deadline_ms, on_answer, answer) !=
            DK_OK) {
            return false;
        }
        while (!answer->done) {
            dk_http_poll(explained->http, 100);
        }
        if (answer->kind == DK_HTTP_ANSWERED && answer->status == 200) {
            return true;
        }
        printf("           %s: ", dk_http_server_url(explained->http, server));
        if (answer->kind == DK_HTTP_ANSWERED) {
            printf("HTTP status %ld\n", answer->status);
        } else {
            printf("%s\n", answer->text);
        }
        dk_writer_clean_up(&answer->body);
    }
    return false;
}

static void print_trace(struct dk_bytes body) {
    cJSON *json = dk_json_parse(body, VALUES_MAX, NULL);
    const cJSON *lines = cJSON_GetObjectItemCaseSensitive(json, "explanation");
    const cJSON *line = NULL;
    printf("\ntrace\n");
    cJSON_ArrayForEach(line, lines) {
        printf("  ");
        print_escaped(dk_bytes_of(cJSON_GetStringValue(line)));
        printf("\n");
    }
    if (cJSON_GetArraySize(lines) == 0) {
        printf("  OPA gave none\n");
    }
    cJSON_Delete(json);
}

static void print_reply(const struct dk_opa_reply *reply, enum dk_outcome outcome,
                        int64_t took_ns) {
    printf("answer     %s, in %.1f ms, revision %s\n", dk_outcome_name(outcome),
           (double)took_ns / 1e6, reply->revision[0] == '\0' ? "none" : reply->revision);
    if (reply->verdict == DK_OPA_MALFORMED) {
        printf("           not an answer: %s\n", reply->why.text);
    } else if (reply->verdict == DK_OPA_UNDEFINED) {
        printf("           the rule is undefined: no bundle, no such rule, or nothing it says\n");
    }
}

static enum dk_outcome ask_single(struct explained *explained) {
    char path[1024];
    struct dk_writer body;
    struct answer answer;
    struct dk_opa_reply reply;
    struct dk_opa_question question = {&explained->context, &explained->action, DK_UNAVAILABLE};
    const char *trace = explained->flags->trace;
    snprintf(path, sizeof(path), "/v1/data/%s?provenance=true%s%s", explained->config.opa_path,
             trace == NULL ? "" : "&pretty=true&explain=", trace == NULL ? "" : trace);
    dk_writer_init(&body, LINE_MAX_BYTES);
    dk_question_write_single(&explained->context, &explained->action, &body);
    printf("question   POST /v1/data/%s\n           ", explained->config.opa_path);
    print_json(dk_writer_view(&body));
    printf("\n");
    int64_t start_ns = dk_clock_ns();
    if (post(explained, path, dk_writer_view(&body), &answer)) {
        dk_opa_read_single(dk_writer_view(&answer.body), &question, &reply);
        print_reply(&reply, question.outcome, dk_clock_ns() - start_ns);
        if (trace != NULL) {
            print_trace(dk_writer_view(&answer.body));
        }
        dk_writer_clean_up(&answer.body);
    } else {
        printf("answer     none\n");
    }
    dk_writer_clean_up(&body);
    return question.outcome;
}

/* The broker asks by the batch rule, which should say the same. */
static enum dk_outcome ask_batch(struct explained *explained, enum dk_outcome single) {
    char path[1024];
    struct dk_writer body;
    struct answer answer;
    struct dk_opa_reply reply;
    struct dk_opa_question question = {&explained->context, &explained->action, DK_UNAVAILABLE};
    snprintf(path, sizeof(path), "/v1/data/%s?provenance=true", explained->config.opa_batch_path);
    dk_writer_init(&body, LINE_MAX_BYTES);
    dk_opa_write_batch((struct dk_bytes){NULL, 0}, &question, 1, &body);
    if (post(explained, path, dk_writer_view(&body), &answer)) {
        dk_opa_read_batch(dk_writer_view(&answer.body), &question, 1, &reply);
        dk_writer_clean_up(&answer.body);
    }
    printf("batch      %s, by %s, which is what the broker asks%s\n",
           dk_outcome_name(question.outcome), explained->config.opa_batch_path,
           question.outcome == single ? "" : ": NOT THE SAME");
    dk_writer_clean_up(&body);
    return question.outcome;
}

static void print_decision(const struct explained *explained, bool ruled, enum dk_outcome outcome) {
    const struct dk_config *config = &explained->config;
    printf("decision   %s", dk_outcome_name(outcome));
    if (ruled) {
        printf(", by the local rule\n");
    } else if (outcome == DK_ALLOW || outcome == DK_DENY) {
        printf(", kept in the cache for up to %" PRId64 " ms, until the policy changes\n",
               outcome == DK_ALLOW ? config->cache_ttl_allow_ms : config->cache_ttl_deny_ms);
    } else {
        printf(", never cached: doorkeeper.on.unavailable says what the client is told\n");
    }
}

static enum explain_status explain(struct explained *explained) {
    bool ruled = false;
    enum dk_outcome outcome = DK_UNAVAILABLE;
    if (!make_question(explained)) {
        return EXPLAIN_TROUBLE;
    }
    print_question(explained);
    if (!look_at_rules(explained, &ruled, &outcome) || !connect_to_opa(explained)) {
        return EXPLAIN_TROUBLE;
    }
    enum dk_outcome answered = ask_single(explained);
    if (explained->config.opa_batch_path[0] != '\0') {
        answered = ask_batch(explained, answered);
    }
    outcome = ruled ? outcome : answered;
    print_decision(explained, ruled, outcome);
    return outcome == DK_ALLOW         ? EXPLAIN_ALLOWED
           : outcome == DK_UNAVAILABLE ? EXPLAIN_TROUBLE
                                       : EXPLAIN_NOT_ALLOWED;
}

int dk_explain_main(int argc, char **argv) {
    struct dk_explain_flags flags;
    struct explained explained = {.flags = &flags};
    enum explain_status status = EXPLAIN_TROUBLE;
    if (dk_explain_flags_parse(argc, argv, &flags, &explained.why) == DK_OK && flags.help) {
        return fputs(help, stdout) < 0 ? EXPLAIN_TROUBLE : EXPLAIN_ALLOWED;
    }
    flags.settings.sets = flags.sets;
    dk_writer_init(&explained.context_record, DK_CONTEXT_MAX);
    dk_writer_init(&explained.action_record, DK_ACTION_HEADER + DK_NAME_MAX);
    if (explained.why.text[0] == '\0' &&
        dk_settings_make(&flags.settings, &explained.config, &explained.why) == DK_OK) {
        status = explain(&explained);
        dk_http_destroy(explained.http);
        dk_config_clean_up(&explained.config);
    }
    if (explained.why.text[0] != '\0') {
        (void)fprintf(stderr, "doorkeeper explain: %s\nTry doorkeeper explain --help\n",
                      explained.why.text);
    }
    dk_writer_clean_up(&explained.action_record);
    dk_writer_clean_up(&explained.context_record);
    return (int)status;
}
