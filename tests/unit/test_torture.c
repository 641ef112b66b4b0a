/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every allocation and every call of libcurl fails in turn, in what is made and read by one thread:
 * settings, an authorizer, the HTTP client with its certificates, identities, OPA's answers, the
 * command's files. OpenSSL and cJSON allocate with this test's malloc, so theirs fail as well.
 *
 * Leaks are for ASan's build to find.
 */
#include "doorkeeper/authorizer.h"
#include "doorkeeper/file.h"
#include "doorkeeper/http.h"
#include "doorkeeper/identity.h"
#include "doorkeeper/opa.h"

#include "../../native/cli/properties.c"
#include "question_file.h"
#include "token_watch.h"

#include "support/fail_nth.h"
#include "support/records.h"
#include "support/temp_dir.h"
#include "support/test_pki.h"

#include <cjson/cJSON.h>
#include <openssl/crypto.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Each of them fails; where a run has some thousands of calls or takes long, every so manieth. */
#define EVERY 1u
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define OF_AUTHORIZER 5u
#endif
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define OF_CERTIFICATES 61u
#endif
#endif
#ifndef OF_AUTHORIZER
#define OF_AUTHORIZER EVERY
#endif
#ifndef OF_CERTIFICATES
#define OF_CERTIFICATES 7u
#endif

/* ---- the torture ------------------------------------------------------------------------- */

/* One whole use of something, with its end. DK_OK if it did all that it should; else `why` says
 * what it did not. Checks by itself that nothing wrong came of it. */
typedef enum dk_error scenario(struct dk_error_text *why);

/* What a failed call may lead to. */
enum survival {
    NEVER_SURVIVED, /* there is no call that is made in vain */
    MAY_SURVIVE,    /* a library may do without */
};

static enum dk_error run_with(scenario *run, unsigned first, unsigned last,
                              struct dk_error_text *why) {
    why->text[0] = '\0';
    fail_nth_take_part(true);
    fail_nth_begin(first, last, FAIL_ANY);
    enum dk_error error = run(why);
    fail_nth_end();
    fail_nth_take_part(false);
    return error;
}

static void fail_from(scenario *run, unsigned first, unsigned last, enum survival survival) {
    struct dk_error_text why;
    enum dk_error error = run_with(run, first, last, &why);
    if (error == DK_OK && survival == NEVER_SURVIVED) {
        fail_msg("nobody noticed that %s failed", fail_nth_failed());
    }
    if (error != DK_OK && why.text[0] == '\0') {
        fail_msg("nobody said that %s failed", fail_nth_failed());
    }
}

/* Each `step`th call fails, alone and with all that follow. */
static void torture(scenario *run, unsigned step, enum survival survival) {
    struct dk_error_text why;
    if (run_with(run, FAIL_NEVER, FAIL_NEVER, &why) != DK_OK) { /* also what is done only once */
        fail_msg("%s", why.text);
    }
    assert_int_equal(run_with(run, FAIL_NEVER, FAIL_NEVER, &why), DK_OK);
    unsigned calls = fail_nth_count(FAIL_ANY);
    assert_true(calls > 0);
    print_message("%u calls, each %u. fails\n", calls, step);
    for (unsigned n = 1; n <= calls; n += step) {
        fail_from(run, n, n, survival);
        fail_from(run, n, FAIL_FOR_EVER, survival);
    }
    assert_int_equal(run_with(run, FAIL_NEVER, FAIL_NEVER, &why), DK_OK);
}

static enum dk_error fail_with(enum dk_error error, struct dk_error_text *why) {
    return error == DK_OK ? DK_OK : dk_fail(why, error, "%s", dk_strerror(error));
}

/* ---- settings and an authorizer ---------------------------------------------------------- */

static struct temp_dir dir;
static char token_path[TEMP_PATH_MAX], decisions_path[TEMP_PATH_MAX], questions_path[TEMP_PATH_MAX];
static struct test_certificate authority, client;

static enum dk_error parse_settings(struct dk_config *config, struct dk_error_text *why) {
    const struct dk_setting settings[] = {
        {dk_bytes_of("doorkeeper.opa.url"), dk_bytes_of("http://127.0.0.1:1,unix:/nowhere")},
        {dk_bytes_of("doorkeeper.opa.token.file"), dk_bytes_of(token_path)},
        {dk_bytes_of("doorkeeper.opa.revision.path"), dk_bytes_of("kafka/revision")},
        {dk_bytes_of("doorkeeper.opa.connections"), dk_bytes_of("1")},
        {dk_bytes_of("doorkeeper.cache.entries"), dk_bytes_of("1024")},
        {dk_bytes_of("doorkeeper.queue.entries"), dk_bytes_of("64")},
        {dk_bytes_of("doorkeeper.cache.ttl.allow.ms"), dk_bytes_of("2000")},
        {dk_bytes_of("doorkeeper.cache.ttl.deny.ms"), dk_bytes_of("1000")},
        {dk_bytes_of("doorkeeper.decision.log.file"), dk_bytes_of(decisions_path)},
        {dk_bytes_of("doorkeeper.warm.start.file"), dk_bytes_of(questions_path)},
        {dk_bytes_of("super.users"), dk_bytes_of("User:CN=a;User:CN=b")},
    };
    return dk_config_parse(settings, COUNT_OF(settings), config, why);
}

static enum dk_error read_settings(struct dk_error_text *why) {
    static const struct dk_config nothing;
    struct dk_config config;
    enum dk_error error = parse_settings(&config, why);
    if (error != DK_OK) {
        assert_memory_equal(&config, &nothing, sizeof(config));
        return error;
    }
    assert_string_equal(config.opa_url, "http://127.0.0.1:1,unix:/nowhere");
    assert_string_equal(config.opa_batch_path, "kafka/authz/batch");
    assert_string_equal(config.opa_token_file, token_path);
    assert_int_equal(config.super_user_count, 2);
    assert_string_equal(config.super_users[1], "User:CN=b");
    dk_config_clean_up(&config);
    return DK_OK;
}

static enum dk_error make_authorizer(struct dk_error_text *why) {
    struct dk_config config;
    struct dk_authorizer *authorizer = (struct dk_authorizer *)(uintptr_t)1;
    enum dk_error error = parse_settings(&config, why);
    if (error != DK_OK) {
        return error;
    }
    error = dk_authorizer_new(&config, &authorizer, why);
    if (error != DK_OK) {
        assert_null(authorizer);
        return error;
    }
    error = fail_with(dk_authorizer_set_cluster_id(authorizer, dk_bytes_of("c")), why);
    fail_nth_take_part(false); /* of what follows nothing can fail but the wake-up of nobody */
    dk_authorizer_stop(authorizer);
    dk_authorizer_destroy(authorizer);
    return error;
}

static void settings_are_read_or_refused(void **state) {
    (void)state;
    torture(read_settings, EVERY, NEVER_SURVIVED);
}

static void an_authorizer_is_made_or_not(void **state) {
    (void)state;
    torture(make_authorizer, OF_AUTHORIZER, NEVER_SURVIVED);
}

static void one_that_nobody_could_wake_is_not_made(void **state) {
    (void)state;
    struct dk_error_text why;
    fail_nth_take_part(true);
    fail_nth_begin(1, FAIL_FOR_EVER, FAIL_EVENTFD);
    assert_int_equal(make_authorizer(&why), DK_ERR_SYSTEM);
    fail_nth_end();
    fail_nth_take_part(false);
}

/* ---- the HTTP client, with certificates -------------------------------------------------- */

static enum dk_error make_http(struct dk_error_text *why) {
    const struct dk_http_options options = {
        .urls = "https://127.0.0.1:1",
        .pem.ca = dk_bytes_of(authority.pem),
        .pem.certificate = dk_bytes_of(client.pem),
        .pem.key = dk_bytes_of(client.key_pem),
        .connect_timeout_ms = 1000,
        .connections = 1,
        .max_body = 1000,
    };
    struct dk_http *http = (struct dk_http *)(uintptr_t)1;
    enum dk_error error = dk_http_new(&options, &http, why);
    if (error != DK_OK) {
        assert_null(http);
        return error;
    }
    error = fail_with(dk_http_set_token(http, dk_bytes_of("token")), why);
    dk_http_destroy(http);
    return error;
}

static void a_client_with_certificates_is_made_or_not(void **state) {
    (void)state;
    torture(make_http, OF_CERTIFICATES, MAY_SURVIVE);
}

/* ---- the token's file -------------------------------------------------------------------- */

static struct dk_log *token_log;

static void write_token(const char *token) {
    char path[TEMP_PATH_MAX];
    assert_true(temp_dir_write(&dir, "token", dk_bytes_of(token), path));
}

static bool has_token(const struct dk_token_watch *watch, const char *token) {
    return dk_bytes_equal(dk_token_watch_token(watch), dk_bytes_of(token));
}

/* A look that fails keeps the last good token, and a later one finds the new one. */
static enum dk_error watch_token(struct dk_error_text *why) {
    struct dk_token_watch watch;
    struct dk_config config;
    enum dk_error error = parse_settings(&config, why);
    if (error != DK_OK) {
        return error;
    }
    write_token("first");
    error = dk_token_watch_init(&watch, &config, why);
    if (error == DK_OK) {
        write_token("second");
        bool changed = dk_token_watch_look(&watch, token_log);
        assert_false(changed);
        changed = dk_token_watch_look(&watch, token_log);
        assert_true(has_token(&watch, changed ? "second" : "first"));
        if (!changed) {
            fail_nth_take_part(false);
            error = dk_fail(why, DK_ERR_MEMORY, "the new token was not seen");
            (void)dk_token_watch_look(&watch, token_log);
            (void)dk_token_watch_look(&watch, token_log);
            assert_true(has_token(&watch, "second"));
        }
    }
    dk_token_watch_clean_up(&watch);
    dk_config_clean_up(&config);
    return error;
}

static void a_token_is_replaced_sooner_or_later(void **state) {
    (void)state;
    assert_int_equal(dk_log_new(64, &token_log), DK_OK);
    torture(watch_token, EVERY, NEVER_SURVIVED);
    dk_log_destroy(token_log);
}

static enum dk_error read_token_file(struct dk_error_text *why) {
    struct dk_writer out;
    dk_writer_init(&out, 100);
    enum dk_error error = dk_file_read(token_path, &out, why);
    assert_true(error == DK_OK ? out.len > 0 : strstr(why->text, strerror(ENOMEM)) != NULL);
    dk_writer_clean_up(&out);
    return error;
}

static void without_memory_a_file_is_not_called_too_large(void **state) {
    (void)state;
    torture(read_token_file, EVERY, NEVER_SURVIVED);
}

/* ---- questions to be asked again --------------------------------------------------------- */

/* So many that the table of the directory has to grow. */
#define KEPT_QUESTIONS 400u

static struct dk_writer kept_context, kept_request;

static enum dk_error put_questions(struct dk_question_directory *directory) {
    struct dk_bytes rest = dk_writer_view(&kept_request);
    struct dk_context asking;
    struct dk_action action;
    enum dk_error error = dk_context_parse(dk_writer_view(&kept_context), &asking);
    while (error == DK_OK && rest.len > 0) {
        error = dk_action_parse(&rest, &action);
        if (error == DK_OK && !dk_question_directory_put(directory, &asking, &action, NULL)) {
            error = DK_ERR_MEMORY;
        }
    }
    return error;
}

/* What was put before the failure is there, and nothing else. */
static enum dk_error keep_questions(struct dk_error_text *why) {
    static const struct dk_hash_key key = {1, 2};
    struct dk_question_directory *directory = (struct dk_question_directory *)(uintptr_t)1;
    enum dk_error error = dk_question_directory_new(&key, (size_t)1 << 20, &directory);
    if (error != DK_OK) {
        assert_null(directory);
        return fail_with(error, why);
    }
    error = fail_with(put_questions(directory), why);
    size_t count = dk_question_directory_count(directory);
    assert_true(error == DK_OK ? count == KEPT_QUESTIONS : count < KEPT_QUESTIONS);
    if (error == DK_OK) {
        error = dk_question_file_write(questions_path, 0, directory, why);
    }
    dk_question_directory_destroy(directory);
    return error;
}

static void questions_are_kept_or_not(void **state) {
    (void)state;
    dk_writer_init(&kept_context, 4096);
    dk_writer_init(&kept_request, 65536);
    write_context(&kept_context, "cluster-1", "alice", 0);
    for (unsigned i = 0; i < KEPT_QUESTIONS; i++) {
        char name[16];
        snprintf(name, sizeof(name), "topic-%u", i);
        write_action(&kept_request, name);
    }
    torture(keep_questions, EVERY, NEVER_SURVIVED);
    assert_int_equal(unlink(questions_path), 0);
    dk_writer_clean_up(&kept_context);
    dk_writer_clean_up(&kept_request);
}

/* ---- identities -------------------------------------------------------------------------- */

static uint8_t *der;
static int der_len;
static struct dk_identity expected;

static void assert_same(const struct dk_writer *a, const struct dk_writer *b) {
    assert_true(dk_bytes_equal(dk_writer_view(a), dk_writer_view(b)));
}

/* All facts or none: a name that is missing could make a policy allow. */
static enum dk_error read_identity(struct dk_error_text *why) {
    struct dk_identity identity;
    enum dk_error error =
        dk_identity_parse((struct dk_bytes){der, (size_t)der_len}, &identity, why);
    if (error != DK_OK) {
        assert_null(identity.subject.ptr);
        assert_null(identity.certificate.ptr);
        return error;
    }
    assert_int_equal(identity.not_after_s, expected.not_after_s);
    assert_same(&identity.subject, &expected.subject);
    assert_same(&identity.certificate, &expected.certificate);
    dk_identity_clean_up(&identity);
    return DK_OK;
}

static void an_identity_is_whole_or_refused(void **state) {
    (void)state;
    der_len = i2d_X509(client.x509, &der);
    assert_true(der_len > 0);
    assert_int_equal(dk_identity_parse((struct dk_bytes){der, (size_t)der_len}, &expected, NULL),
                     DK_OK);
    torture(read_identity, EVERY, MAY_SURVIVE);
    dk_identity_clean_up(&expected);
    OPENSSL_free(der);
}

/* ---- OPA's answers ----------------------------------------------------------------------- */

static const char provenance[] = "\"provenance\":{\"bundles\":{\"b\":{\"revision\":\"2\"},"
                                 "\"a\":{\"revision\":\"1\"}}}";
static struct dk_context context;
static struct dk_action actions[2]; /* "no-a", "ok-a" */

static enum dk_error check_reply(const struct dk_opa_reply *reply,
                                 const struct dk_opa_question *questions, size_t count,
                                 struct dk_error_text *why) {
    bool answered = reply->verdict == DK_OPA_ANSWERED;
    assert_int_not_equal(reply->verdict, DK_OPA_UNDEFINED);
    assert_string_equal(reply->revision, answered ? "a=1,b=2" : "");
    for (size_t i = 0; i < count; i++) {
        enum dk_outcome decision = questions[i].action == &actions[1] ? DK_ALLOW : DK_DENY;
        assert_int_equal(questions[i].outcome, answered ? decision : DK_UNAVAILABLE);
    }
    return answered ? DK_OK : dk_fail(why, DK_ERR_MEMORY, "%s", reply->why.text);
}

static enum dk_error read_batch(struct dk_error_text *why) {
    char body[300];
    struct dk_opa_question questions[] = {{&context, &actions[1], DK_ALLOW},
                                          {&context, &actions[0], DK_ALLOW}};
    struct dk_opa_reply reply;
    struct dk_writer out;
    dk_writer_init(&out, 4096);
    dk_opa_write_batch((struct dk_bytes){NULL, 0}, questions, 2, &out);
    bool failed = out.failed;
    dk_writer_clean_up(&out);
    if (failed) {
        return dk_fail(why, DK_ERR_MEMORY, "the batch was not written");
    }
    snprintf(body, sizeof(body), "{\"result\":[[[1]]],%s}", provenance);
    dk_opa_read_batch(dk_bytes_of(body), questions, 2, &reply);
    return check_reply(&reply, questions, 2, why);
}

static enum dk_error read_single(struct dk_error_text *why) {
    char body[300];
    struct dk_opa_question question = {&context, &actions[1], DK_ALLOW};
    struct dk_opa_reply reply;
    snprintf(body, sizeof(body), "{\"result\":true,%s}", provenance);
    dk_opa_read_single(dk_bytes_of(body), &question, &reply);
    return check_reply(&reply, &question, 1, why);
}

static enum dk_error read_document(struct dk_error_text *why) {
    char revision[DK_REVISION_MAX];
    bool ok = dk_opa_read_revision_document(dk_bytes_of("{\"result\":\"v 1\"}"), revision);
    assert_string_equal(revision, ok ? "v%201" : "");
    return ok ? DK_OK : dk_fail(why, DK_ERR_MEMORY, "no revision");
}

static void an_answer_is_understood_or_refused(void **state) {
    (void)state;
    struct dk_writer record;
    struct dk_writer request;
    cJSON_Hooks hooks = {malloc, free};
    dk_writer_init(&record, 4096);
    dk_writer_init(&request, 4096);
    write_context(&record, "c", "alice", 0);
    write_action(&request, "no-a");
    write_action(&request, "ok-a");
    struct dk_bytes rest = dk_writer_view(&request);
    assert_int_equal(dk_context_parse(dk_writer_view(&record), &context), DK_OK);
    assert_int_equal(dk_action_parse(&rest, &actions[0]), DK_OK);
    assert_int_equal(dk_action_parse(&rest, &actions[1]), DK_OK);
    cJSON_InitHooks(&hooks);
    torture(read_batch, EVERY, NEVER_SURVIVED);
    torture(read_single, EVERY, NEVER_SURVIVED);
    torture(read_document, EVERY, NEVER_SURVIVED);
    cJSON_InitHooks(NULL);
    dk_writer_clean_up(&record);
    dk_writer_clean_up(&request);
}

/* ---- the command's files ----------------------------------------------------------------- */

static enum dk_error read_properties(struct dk_error_text *why) {
    struct properties properties;
    enum dk_error error =
        properties_parse(dk_bytes_of("a=1\n# no\nb\\u00e9 : two \\\n  lines\n"), &properties);
    if (error != DK_OK) {
        assert_null(properties.list);
        assert_null(properties.text);
        return fail_with(error, why);
    }
    assert_int_equal(properties.count, 2);
    assert_true(dk_bytes_equal(properties.list[1].value, dk_bytes_of("two lines")));
    properties_clean_up(&properties);
    return DK_OK;
}

static enum dk_error write_reference(struct dk_error_text *why) {
    struct dk_writer out;
    dk_writer_init(&out, (size_t)1024 * 1024);
    dk_config_write_markdown(&out);
    enum dk_error error = out.failed ? dk_fail(why, DK_ERR_MEMORY, "no reference") : DK_OK;
    dk_writer_clean_up(&out);
    return error;
}

static void the_command_reads_and_writes_whole_files(void **state) {
    (void)state;
    torture(read_properties, EVERY, NEVER_SURVIVED);
    torture(write_reference, EVERY, NEVER_SURVIVED);
}

/* ---- all of it --------------------------------------------------------------------------- */

static void *openssl_malloc(size_t size, const char *file, int line) {
    (void)file, (void)line;
    return malloc(size);
}

static void *openssl_realloc(void *ptr, size_t size, const char *file, int line) {
    (void)file, (void)line;
    return realloc(ptr, size);
}

static void openssl_free(void *ptr, const char *file, int line) {
    (void)file, (void)line;
    free(ptr);
}

static int set_up_all(void **state) {
    (void)state;
    bool ok = temp_dir_make(&dir);
    temp_dir_path(&dir, "questions", questions_path); /* not there, and written by one test */
    ok = ok && temp_dir_write(&dir, "token", dk_bytes_of("first"), token_path) &&
         temp_dir_write(&dir, "decisions", dk_bytes_of("{}\n"), decisions_path) &&
         test_certificate_make(&authority, "CA", NULL, NULL) &&
         test_certificate_make(&client, "broker", &authority, "192.0.2.1");
    return ok ? 0 : -1;
}

static int tear_down_all(void **state) {
    (void)state;
    test_certificate_clean_up(&client);
    test_certificate_clean_up(&authority);
    temp_dir_remove(&dir);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_are_read_or_refused),
        cmocka_unit_test(an_authorizer_is_made_or_not),
        cmocka_unit_test(one_that_nobody_could_wake_is_not_made),
        cmocka_unit_test(a_client_with_certificates_is_made_or_not),
        cmocka_unit_test(a_token_is_replaced_sooner_or_later),
        cmocka_unit_test(without_memory_a_file_is_not_called_too_large),
        cmocka_unit_test(questions_are_kept_or_not),
        cmocka_unit_test(an_identity_is_whole_or_refused),
        cmocka_unit_test(an_answer_is_understood_or_refused),
        cmocka_unit_test(the_command_reads_and_writes_whole_files),
    };
    /* Before OpenSSL allocates anything. */
    if (CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free) != 1) {
        return 1;
    }
    return cmocka_run_group_tests_name("torture", tests, set_up_all, tear_down_all);
}
