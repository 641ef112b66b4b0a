/* SPDX-License-Identifier: Apache-2.0 */
/* Asks for the same hits again and again, so that valgrind can count what they take: check.sh. */
#include "doorkeeper/authorizer.h"

#include "support/fake_opa.h"
#include "support/records.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define CLUSTER "cluster-1"
#define REQUEST_MAX ((size_t)64 * 1024)
#define READY_MS 60000

static void must(bool fine, const char *what) {
    if (!fine) {
        fprintf(stderr, "probe_hits: %s\n", what);
        exit(EXIT_FAILURE);
    }
}

static void *run(void *user) {
    dk_authorizer_run(user);
    return NULL;
}

static struct dk_authorizer *open_authorizer(const char *opa_url) {
    const struct dk_setting settings[] = {
        {dk_bytes_of("doorkeeper.opa.url"), dk_bytes_of(opa_url)},
        {dk_bytes_of("doorkeeper.deadline.ms"), dk_bytes_of("2000")},
        {dk_bytes_of("doorkeeper.cache.ttl.allow.ms"), dk_bytes_of("3600000")},
    };
    struct dk_config config;
    struct dk_authorizer *authorizer = NULL;
    struct dk_error_text why;
    must(dk_config_parse(settings, 3, &config, &why) == DK_OK, "settings");
    must(dk_authorizer_new(&config, &authorizer, &why) == DK_OK, "new");
    must(dk_authorizer_set_cluster_id(authorizer, dk_bytes_of(CLUSTER)) == DK_OK, "cluster");
    return authorizer;
}

/* 40 characters, as the bench's topics have; the fake OPA allows "ok". */
static void write_request(struct dk_writer *out, size_t actions) {
    for (size_t i = 0; i < actions; i++) {
        char name[64];
        snprintf(name, sizeof(name), "ok-west-1.payments.orders-settled.%06zu", i);
        write_action(out, name);
    }
}

static void expect_hits(struct dk_authorizer *authorizer, uint64_t handle, struct dk_bytes request,
                        size_t actions) {
    dk_answer answers[DK_PROBE_MAX];
    struct dk_probed probed;
    enum dk_error error = dk_authorizer_probe(authorizer, handle, request, answers, &probed);
    must(error == DK_OK && probed.count == actions && probed.not_allowed == 0, "a hit");
}

/* What is counted, by its name. */
__attribute__((noinline, used)) static void ask_again(struct dk_authorizer *authorizer,
                                                      uint64_t handle, struct dk_bytes request,
                                                      dk_answer *answers, size_t calls) {
    struct dk_probed probed;
    for (size_t i = 0; i < calls; i++) {
        must(dk_authorizer_probe(authorizer, handle, request, answers, &probed) == DK_OK, "probe");
    }
}

static void measure(struct dk_authorizer *authorizer, size_t actions, size_t calls) {
    struct dk_writer context, request;
    dk_answer answers[DK_PROBE_MAX];
    uint64_t handle = 0;
    dk_writer_init(&context, DK_CONTEXT_MAX);
    dk_writer_init(&request, REQUEST_MAX);
    write_context(&context, CLUSTER, "alice", 0);
    write_request(&request, actions);
    struct dk_bytes asker = dk_writer_view(&context), asked = dk_writer_view(&request);
    must(dk_authorizer_authorize(authorizer, asker, asked, actions, 0, answers) == DK_OK, "ask");
    must(dk_authorizer_register(authorizer, asker, &handle) == DK_OK, "register");
    expect_hits(authorizer, handle, asked, actions);
    ask_again(authorizer, handle, asked, answers, calls);
    expect_hits(authorizer, handle, asked, actions);
    dk_writer_clean_up(&context);
    dk_writer_clean_up(&request);
}

/* Arguments: actions in a call, calls. */
int main(int count, char **arguments) {
    must(count == 3, "probe_hits ACTIONS CALLS");
    struct fake_opa *opa = fake_opa_start();
    must(opa != NULL, "a fake OPA");
    struct dk_authorizer *authorizer = open_authorizer(fake_opa_url(opa));
    pthread_t io;
    must(pthread_create(&io, NULL, run, authorizer) == 0, "a thread");
    must(dk_authorizer_wait_ready(authorizer, READY_MS), "OPA is ready");
    measure(authorizer, strtoul(arguments[1], NULL, 10), strtoul(arguments[2], NULL, 10));
    dk_authorizer_stop(authorizer);
    pthread_join(io, NULL);
    dk_authorizer_destroy(authorizer);
    fake_opa_stop(opa);
    return EXIT_SUCCESS;
}
