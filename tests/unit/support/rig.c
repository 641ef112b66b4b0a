/* SPDX-License-Identifier: Apache-2.0 */
#include "support/rig.h"

#include "support/records.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SETTINGS_MAX 32u
#define LINES_MAX ((size_t)256 * 1024)

/* ---- the resolver ------------------------------------------------------------------------ */

static void *run(void *user) {
    dk_resolver_run(user);
    return NULL;
}

static void configure(struct rig *rig, const char *opa_url, const char *const *settings) {
    static const char *const none[] = {NULL};
    struct dk_setting list[SETTINGS_MAX] = {
        {dk_bytes_of("doorkeeper.opa.url"), dk_bytes_of(opa_url)}};
    char keys[SETTINGS_MAX][64];
    size_t count = 1;
    struct dk_error_text why;
    for (const char *const *setting = settings != NULL ? settings : none; *setting != NULL;
         setting += 2) {
        snprintf(keys[count], sizeof(keys[count]), "doorkeeper.%s", setting[0]);
        list[count] = (struct dk_setting){dk_bytes_of(keys[count]), dk_bytes_of(setting[1])};
        count++;
        assert_true(count < SETTINGS_MAX);
    }
    if (dk_config_parse(list, count, &rig->config, &why) != DK_OK) {
        fail_msg("%s", why.text);
    }
}

void rig_start(struct rig *rig, const char *opa_url, const char *const *settings) {
    struct dk_error_text why = {""};
    struct dk_cache_options options = {.entries = 4096};
    configure(rig, opa_url, settings);
    assert_int_equal(dk_hash_key_init(&rig->hash_key), DK_OK);
    assert_int_equal(dk_cache_new(&options, &rig->cache), DK_OK);
    assert_int_equal(dk_metrics_new(&rig->metrics), DK_OK);
    assert_int_equal(dk_log_new(256, &rig->log), DK_OK);
    rig->lines = calloc(1, LINES_MAX);
    assert_non_null(rig->lines);
    struct dk_resolver_parts parts = {
        .config = &rig->config, .cache = rig->cache, .metrics = rig->metrics, .log = rig->log};
    if (dk_resolver_new(&parts, &rig->resolver, &why) != DK_OK) {
        fail_msg("%s", why.text);
    }
    assert_int_equal(dk_resolver_set_cluster_id(rig->resolver, dk_bytes_of(CLUSTER)), DK_OK);
    assert_int_equal(pthread_create(&rig->io, NULL, run, rig->resolver), 0);
    rig->runs = true;
}

void rig_start_ready(struct rig *rig, const char *const *settings) {
    rig->opa = fake_opa_start();
    assert_non_null(rig->opa);
    rig_start(rig, fake_opa_url(rig->opa), settings);
    assert_true(dk_resolver_wait_ready(rig->resolver, LONG_MS));
}

void rig_halt(struct rig *rig) {
    if (rig->runs) {
        dk_resolver_stop(rig->resolver);
        pthread_join(rig->io, NULL);
        rig->runs = false;
    }
}

void rig_stop(struct rig *rig) {
    rig_halt(rig);
    dk_resolver_destroy(rig->resolver);
    dk_cache_destroy(rig->cache);
    dk_metrics_destroy(rig->metrics);
    dk_log_destroy(rig->log);
    dk_config_clean_up(&rig->config);
    free(rig->lines);
    if (rig->opa != NULL) {
        fake_opa_stop(rig->opa);
    }
}

bool rig_has_revision(struct rig *rig, const char *revision) {
    char recorded[DK_REVISION_MAX];
    dk_resolver_revision(rig->resolver, recorded);
    return strcmp(recorded, revision) == 0;
}

uint64_t rig_metric(const struct rig *rig, enum dk_metric metric) {
    return dk_metrics_read(rig->metrics, metric);
}

/* ---- the log ----------------------------------------------------------------------------- */

/* Each line becomes "<level digit> text\n". */
static void read_log(struct rig *rig) {
    uint8_t records[8192];
    size_t len = dk_log_drain(rig->log, records, sizeof(records), 0);
    while (len > 0) {
        for (size_t at = 0; at < len;) {
            size_t text_len = dk_read_u16(records + at + 2);
            int level = records[at + 1];
            int written =
                snprintf(rig->lines + rig->lines_len, LINES_MAX - rig->lines_len, "%d %.*s\n",
                         level, (int)text_len, (const char *)records + at + 4);
            assert_true(written > 0 && (size_t)written < LINES_MAX - rig->lines_len);
            rig->lines_len += (size_t)written;
            at += 4 + text_len;
        }
        len = dk_log_drain(rig->log, records, sizeof(records), 0);
    }
}

bool rig_logged(struct rig *rig, const char *text) {
    read_log(rig);
    return strstr(rig->lines, text) != NULL;
}

unsigned rig_count_troubles(struct rig *rig, const char *text) {
    unsigned count = 0;
    read_log(rig);
    for (const char *line = rig->lines; *line != '\0'; line = strchr(line, '\n') + 1) {
        const char *found = strstr(line, text);
        bool is_trouble = line[0] == '0' + DK_LOG_ERROR || line[0] == '0' + DK_LOG_WARN;
        count += is_trouble && found != NULL && found < strchr(line, '\n');
    }
    return count;
}

/* ---- asking ------------------------------------------------------------------------------ */

static void write_names(struct ask *ask) {
    const char *prefix = ask->prefix != NULL ? ask->prefix : "";
    size_t size = strlen(prefix) + 24;
    char *name = malloc(size);
    assert_non_null(name);
    for (size_t i = 0; i < ask->count; i++) {
        snprintf(name, size, "%s%zu", prefix, i);
        write_action(&ask->request_record, ask->exact != NULL ? ask->exact : name);
    }
    free(name);
}

void ask_prepare(struct ask *ask) {
    struct rig *rig = ask->rig;
    struct dk_keyed_hash begun;
    if (ask->exact != NULL) {
        ask->count = 1;
    }
    dk_writer_init(&ask->context_record, DK_CONTEXT_MAX);
    dk_writer_init(&ask->request_record, (size_t)64 * 1024 * 1024);
    write_context(&ask->context_record, ask->cluster != NULL ? ask->cluster : CLUSTER,
                  ask->principal, 0);
    write_names(ask);
    assert_int_equal(dk_context_parse(dk_writer_view(&ask->context_record), &ask->context), DK_OK);
    ask->misses = calloc(ask->count, sizeof(*ask->misses));
    assert_non_null(ask->misses);
    struct dk_bytes rest = dk_writer_view(&ask->request_record);
    ask->epoch = dk_cache_epoch(rig->cache);
    dk_question_begin(&rig->hash_key, &ask->context, &begun);
    for (size_t i = 0; i < ask->count; i++) {
        assert_int_equal(dk_action_parse(&rest, &ask->misses[i].action), DK_OK);
        ask->misses[i].key = dk_question_key(&begun, &ask->misses[i].action, ask->epoch);
    }
}

static void resolve(struct ask *ask) {
    int64_t wait_ms = ask->wait_ms != 0 ? ask->wait_ms : LONG_MS;
    dk_resolver_resolve(ask->rig->resolver, &ask->context, ask->misses, ask->count, ask->epoch,
                        dk_clock_ms() + wait_ms);
    atomic_store(&ask->ended, true);
}

static void *resolve_in_thread(void *user) {
    resolve(user);
    return NULL;
}

void ask_run(struct ask *ask) {
    ask_prepare(ask);
    resolve(ask);
}

void ask_begin(struct ask *ask) {
    ask_prepare(ask);
    assert_int_equal(pthread_create(&ask->thread, NULL, resolve_in_thread, ask), 0);
}

void ask_join(struct ask *ask) {
    pthread_join(ask->thread, NULL);
}

void ask_clean_up(struct ask *ask) {
    dk_writer_clean_up(&ask->context_record);
    dk_writer_clean_up(&ask->request_record);
    free(ask->misses);
}

size_t ask_count(const struct ask *ask, enum dk_outcome outcome) {
    size_t count = 0;
    for (size_t i = 0; i < ask->count; i++) {
        count += ask->misses[i].outcome == outcome;
    }
    return count;
}

struct dk_hit ask_cached(const struct ask *ask, size_t i) {
    return dk_cache_lookup(ask->rig->cache, ask->misses[i].key, dk_clock_coarse_ms());
}

enum dk_outcome rig_ask_within(struct rig *rig, const char *principal, const char *name,
                               int64_t wait_ms) {
    struct ask ask = {.rig = rig, .principal = principal, .exact = name, .wait_ms = wait_ms};
    ask_run(&ask);
    enum dk_outcome outcome = ask.misses[0].outcome;
    ask_clean_up(&ask);
    return outcome;
}

enum dk_outcome rig_ask(struct rig *rig, const char *principal, const char *name) {
    return rig_ask_within(rig, principal, name, LONG_MS);
}

struct dk_hit rig_cached(struct rig *rig, const char *principal, const char *name) {
    struct ask ask = {.rig = rig, .principal = principal, .exact = name};
    ask_prepare(&ask);
    struct dk_hit hit = ask_cached(&ask, 0);
    ask_clean_up(&ask);
    return hit;
}
