/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"

#include "bench_core.h"
#include "bench_options.h"
#include "bench_replay.h"
#include "bench_report.h"
#include "bench_run.h"
#include "doorkeeper/clock.h"
#include "doorkeeper/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum bench_status { BENCH_FINE = 0, BENCH_FAILED = 1, BENCH_USAGE = 2 };

#define OUTPUT_MAX ((size_t)1 << 34)
#define READY_LOOK_MS 50

/* All that a run needs; zeroed memory is nothing. */
struct session {
    const struct dk_bench_options *options;
    struct dk_console console;
    struct dk_stub_opa *stub;
    struct dk_load *load;
    struct dk_bench_core core;
};

static enum bench_status complain(enum bench_status status, const char *text) {
    (void)fprintf(stderr, "doorkeeper bench: %s\n", text);
    if (status == BENCH_USAGE) {
        (void)fputs("Try doorkeeper bench --help\n", stderr);
    }
    return status;
}

static bool write_file(const struct dk_writer *text, const char *path) {
    FILE *file = fopen(path, "we");
    if (file == NULL) {
        return false;
    }
    bool ok = fwrite(text->ptr, 1, text->len, file) == text->len;
    return fclose(file) == 0 && ok;
}

static bool write_output(const struct dk_writer *text) {
    return fwrite(text->ptr, 1, text->len, stdout) == text->len && fflush(stdout) == 0;
}

/* Takes what was written to `path`, "-" for standard output. */
static enum bench_status hand_out(const struct dk_writer *text, const char *path) {
    struct dk_error_text why;
    bool is_output = strcmp(path, "-") == 0;
    if (text->failed) {
        return complain(BENCH_FAILED, dk_strerror(DK_ERR_MEMORY));
    }
    if (is_output ? write_output(text) : write_file(text, path)) {
        return BENCH_FINE;
    }
    dk_fail(&why, DK_ERR_SYSTEM, "%.200s: %s", is_output ? "standard output" : path,
            strerror(errno));
    return complain(BENCH_FAILED, why.text);
}

/* ---- the load ----------------------------------------------------------------------------- */

static struct dk_workload_options workload_options(const struct dk_bench_options *options,
                                                   uint32_t fields) {
    struct dk_workload_options out = {
        .seed = options->seed,
        .principals = (uint32_t)options->principals,
        .topics = (uint32_t)options->topics,
        .groups = (uint32_t)options->groups,
        .zipf = options->zipf,
        .actions = (uint32_t)options->actions,
        .metadata_actions = (uint32_t)options->metadata_actions,
        .new_share = options->new_percent / 100,
        .principal_prefix = options->principal_prefix,
        .principal_suffix = options->principal_suffix,
        .topic_prefix = options->topic_prefix,
        .group_prefix = options->group_prefix,
        .cluster_id = options->cluster_id,
        .listener = options->listener,
        .fields = fields,
    };
    memcpy(out.mix, options->mix, sizeof(out.mix));
    return out;
}

static enum bench_status print_grants(const struct dk_bench_options *options) {
    struct dk_workload_options workload = workload_options(options, 0);
    struct dk_writer grants;
    dk_writer_init(&grants, OUTPUT_MAX);
    dk_workload_write_grants(&workload, &grants);
    enum bench_status status = hand_out(&grants, "-");
    dk_writer_clean_up(&grants);
    return status;
}

static enum dk_error make_replay(const struct dk_bench_options *options, struct dk_load **out,
                                 struct dk_error_text *why) {
    struct dk_writer file;
    struct dk_error_text cause = {""};
    dk_writer_init(&file, DK_BENCH_REPLAY_FILE_MAX);
    enum dk_error error = dk_file_read(options->replay, &file, why);
    if (error == DK_OK) {
        error = dk_bench_replay_new(dk_writer_view(&file), (size_t)options->actions, out, &cause);
        if (error != DK_OK) {
            dk_fail(why, error, "%.200s: %.300s", options->replay, cause.text);
        }
    }
    dk_writer_clean_up(&file);
    return error;
}

static enum dk_error make_load(const struct dk_bench_options *options, uint32_t fields,
                               struct dk_load **out, struct dk_error_text *why) {
    struct dk_workload_options workload = workload_options(options, fields);
    if (options->replay != NULL) {
        return make_replay(options, out, why);
    }
    enum dk_error error = dk_workload_new(&workload, out);
    return error == DK_OK ? DK_OK : dk_fail(why, error, "%s", dk_strerror(error));
}

/* ---- the run ------------------------------------------------------------------------------ */

static enum dk_error start_stub(struct session *session, struct dk_error_text *why) {
    const struct dk_bench_options *options = session->options;
    const struct dk_stub_opa_options stub = {
        .latency_ns = (int64_t)(options->stub_latency_ms * 1e6),
        .allow_share = options->stub_allow_percent / 100,
    };
    return options->stub ? dk_stub_opa_start(&stub, &session->stub, why) : DK_OK;
}

/* Polls carry the cluster id of the first context. */
static enum dk_error set_cluster_id(struct session *session) {
    struct dk_context context;
    enum dk_error error = dk_context_parse(session->load->contexts[0], &context);
    return error != DK_OK ? error
                          : dk_authorizer_set_cluster_id(session->core.authorizer,
                                                         context.fields[DK_FIELD_CLUSTER_ID]);
}

/* False if OPA gives no answer in the time that a broker would wait, or a signal comes. */
static bool wait_ready(struct session *session, struct dk_error_text *why) {
    const struct dk_config *config = dk_authorizer_config(session->core.authorizer);
    int64_t end_ms = dk_clock_ms() + config->start_wait_ms;
    while (!dk_authorizer_wait_ready(session->core.authorizer, READY_LOOK_MS)) {
        if (dk_bench_wait(dk_clock_ns())) {
            dk_fail(why, DK_ERR_CLOSED, "interrupted before OPA was ready");
            return false;
        }
        if (dk_clock_ms() >= end_ms) {
            dk_fail(why, DK_ERR_SYSTEM,
                    "OPA at %.200s did not become ready within %lld ms: it must answer the empty "
                    "batch at /v1/data/%.100s with [] (docs/policy-input.md)",
                    config->opa_url, (long long)config->start_wait_ms,
                    config->opa_batch_path[0] != '\0' ? config->opa_batch_path : config->opa_path);
            return false;
        }
    }
    return true;
}

static enum bench_status report(const struct session *session,
                                const struct dk_bench_result *result) {
    const struct dk_bench_options *options = session->options;
    const struct dk_bench_report figures = {
        .options = options,
        .result = result,
        .load = session->load->summary,
        .opa = session->stub != NULL ? "stub"
                                     : dk_authorizer_config(session->core.authorizer)->opa_url,
    };
    enum bench_status status = BENCH_FINE;
    struct dk_writer text;
    dk_writer_init(&text, OUTPUT_MAX);
    if (options->json == NULL || strcmp(options->json, "-") != 0) {
        dk_bench_report_write_table(&figures, &text);
        status = hand_out(&text, "-");
    }
    if (options->json != NULL && status == BENCH_FINE) {
        dk_writer_reset(&text);
        dk_bench_report_write_json(&figures, &text);
        status = hand_out(&text, options->json);
    }
    dk_writer_clean_up(&text);
    return status;
}

/* Whether the figures mean anything. */
static enum bench_status judge(const struct dk_bench_result *result) {
    const struct dk_ask_tally *asked = &result->asked;
    if (asked->actions == 0) {
        return complain(BENCH_FAILED, result->interrupted
                                          ? "interrupted before anything was measured"
                                          : "nothing was decided in the time");
    }
    if (asked->outcomes[DK_UNAVAILABLE] + asked->outcomes[DK_UNDEFINED] == asked->actions) {
        return complain(BENCH_FAILED, "OPA gave no valid answer to any question; the figures are "
                                      "those of an outage");
    }
    return BENCH_FINE;
}

static enum bench_status measure(struct session *session) {
    struct dk_error_text why = {""};
    const struct dk_bench_run run = {
        .options = session->options,
        .load = session->load,
        .authorizer = session->core.authorizer,
        .stub = session->stub,
        .console = &session->console,
    };
    struct dk_bench_result *result = malloc(sizeof(*result)); /* histograms are large */
    enum bench_status status;
    if (result == NULL || set_cluster_id(session) != DK_OK) {
        status = complain(BENCH_FAILED, dk_strerror(DK_ERR_MEMORY));
    } else if (!wait_ready(session, &why) || dk_bench_run(&run, result, &why) != DK_OK) {
        dk_console_clear(&session->console);
        status = complain(BENCH_FAILED, why.text);
    } else {
        status = result->asked.actions == 0 ? BENCH_FINE : report(session, result);
        status = status == BENCH_FINE ? judge(result) : status;
    }
    free(result);
    return status;
}

static enum bench_status run(struct session *session) {
    const struct dk_bench_options *options = session->options;
    struct dk_error_text why = {""};
    struct dk_config config;
    if (start_stub(session, &why) != DK_OK) {
        return complain(BENCH_FAILED, why.text);
    }
    const char *stub_url = session->stub != NULL ? dk_stub_opa_url(session->stub) : NULL;
    const struct dk_settings_source source = dk_bench_settings_source(options, stub_url);
    if (dk_settings_make(&source, &config, &why) != DK_OK) {
        return complain(BENCH_USAGE, why.text);
    }
    if (make_load(options, config.question_fields, &session->load, &why) != DK_OK) {
        dk_config_clean_up(&config);
        return complain(BENCH_FAILED, why.text);
    }
    if (dk_bench_core_start(&session->core, &config, &session->console, options->verbose, &why) !=
        DK_OK) {
        return complain(BENCH_FAILED, why.text);
    }
    return measure(session);
}

int dk_bench_main(int argc, char **argv) {
    struct dk_bench_options options;
    struct dk_error_text why = {""};
    if (dk_bench_options_parse(argc, argv, &options, &why) != DK_OK) {
        return complain(BENCH_USAGE, why.text);
    }
    if (options.help) {
        struct dk_writer help;
        dk_writer_init(&help, OUTPUT_MAX);
        dk_bench_options_write_help(&help);
        enum bench_status status = hand_out(&help, "-");
        dk_writer_clean_up(&help);
        return status;
    }
    if (options.print_grants) {
        return print_grants(&options);
    }
    struct session session = {.options = &options};
    dk_console_init(&session.console, options.quiet);
    dk_bench_block_signals();
    enum bench_status status = run(&session);
    dk_bench_core_stop(&session.core);
    dk_load_destroy(session.load);
    dk_stub_opa_stop(session.stub);
    dk_console_clean_up(&session.console);
    return status;
}
