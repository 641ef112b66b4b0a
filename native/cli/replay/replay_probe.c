/* SPDX-License-Identifier: Apache-2.0 */
#include "replay_ask_internal.h"

#include "doorkeeper/clock.h"
#include "replay_time.h"

struct probe {
    struct asker *asker;
    bool is_query;
    enum dk_opa_verdict verdict;
    bool ended;
};

static enum dk_opa_verdict read_probe(struct probe *probe, struct dk_bytes body) {
    struct dk_opa_reply reply;
    struct dk_writer answer;
    dk_writer_init(&answer, BODY_MAX);
    dk_opa_read_batch(probe->is_query ? dk_replay_asker_as_data_answer(body, &answer) : body, NULL,
                      0, &reply);
    dk_replay_asker_keep_revision(probe->asker, &reply);
    dk_writer_clean_up(&answer);
    return reply.verdict;
}

static void on_probed(void *user, const struct dk_http_result *result) {
    struct probe *probe = user;
    probe->ended = true;
    if (result->kind != DK_HTTP_ANSWERED) {
        dk_replay_asker_fail(probe->asker, DK_ERR_SYSTEM, result->text);
    } else if (result->status == 200) {
        probe->verdict = read_probe(probe, result->body);
    }
}

static enum dk_opa_verdict probe_by(struct asker *asker, bool is_query, struct dk_writer *body) {
    struct probe probe = {.asker = asker, .is_query = is_query, .verdict = DK_OPA_MALFORMED};
    const char *path = is_query ? DK_QUERY_PATH : asker->path;
    if (body->failed || dk_http_post(asker->http, 0, path, dk_writer_view(body),
                                     dk_clock_ms() + DEADLINE_MS, on_probed, &probe) != DK_OK) {
        dk_replay_asker_fail(asker, DK_ERR_MEMORY, "the rule could not be asked");
        probe.ended = true;
    }
    while (!probe.ended) {
        dk_http_poll(asker->http, POLL_MS);
        if (!dk_replay_asker_goes_on(asker)) {
            break;
        }
    }
    if (!probe.ended) { /* `probe` and `body` end here, and so must the request */
        dk_http_destroy(asker->http);
        asker->http = NULL;
    }
    return probe.verdict;
}

/* Only the Data API tells the revision. */
enum dk_opa_verdict dk_replay_asker_probe(struct asker *asker, struct dk_bytes cluster,
                                          int64_t ns) {
    struct dk_writer body, query;
    dk_writer_init(&body, 4096 + 6 * cluster.len);
    dk_writer_init(&query, 8192 + 6 * cluster.len);
    dk_opa_write_batch(cluster, NULL, 0, &body);
    enum dk_opa_verdict verdict = probe_by(asker, false, &body);
    if (dk_replay_asker_is_timed(asker) && asker->error == DK_OK && !body.failed) {
        dk_replay_write_query(asker->rule, ns, dk_writer_view(&body), &query);
        verdict = probe_by(asker, true, &query);
    }
    dk_writer_clean_up(&body);
    dk_writer_clean_up(&query);
    return verdict;
}
