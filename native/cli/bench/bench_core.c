/* SPDX-License-Identifier: Apache-2.0 */
#include "bench_core.h"

#include "doorkeeper/log.h"

#include <string.h>

#define DRAIN_ROOM 16384u
#define DRAIN_MS 100
#define LINE_HEADER 4u

static void *run_io(void *user) {
    struct dk_bench_core *core = user;
    dk_authorizer_run(core->authorizer);
    return NULL;
}

/* `lines` is what dk_log_drain gave. */
static void print_lines(struct dk_bench_core *core, struct dk_bytes lines) {
    static const char *const names[] = {"ERROR", "WARN", "INFO", "DEBUG"};
    while (lines.len >= LINE_HEADER) {
        unsigned level = lines.ptr[1];
        size_t len = dk_read_u16(lines.ptr + 2);
        if ((level <= DK_LOG_WARN || core->verbose) && level <= DK_LOG_DEBUG) {
            dk_console_line(core->console, "%s %.*s", names[level], (int)len,
                            (const char *)lines.ptr + LINE_HEADER);
        }
        lines.ptr += LINE_HEADER + len;
        lines.len -= LINE_HEADER + len;
    }
}

static void *run_scribe(void *user) {
    struct dk_bench_core *core = user;
    uint8_t room[DRAIN_ROOM];
    for (;;) {
        /* Before the drain: it then has all that was written before the stop. */
        bool stopping = atomic_load_explicit(&core->stopping, memory_order_acquire);
        size_t len = dk_authorizer_drain(core->authorizer, room, sizeof(room), DRAIN_MS);
        print_lines(core, (struct dk_bytes){room, len});
        if (len == 0 && stopping) {
            return NULL;
        }
    }
}

enum dk_error dk_bench_core_start(struct dk_bench_core *core, struct dk_config *config,
                                  struct dk_console *console, bool verbose,
                                  struct dk_error_text *why) {
    memset(core, 0, sizeof(*core));
    core->console = console;
    core->verbose = verbose;
    enum dk_error error = dk_authorizer_new(config, &core->authorizer, why);
    if (error != DK_OK) {
        return error;
    }
    core->scribe_runs = pthread_create(&core->scribe, NULL, run_scribe, core) == 0;
    core->io_runs = pthread_create(&core->io, NULL, run_io, core) == 0;
    if (!core->scribe_runs || !core->io_runs) {
        dk_bench_core_stop(core);
        return dk_fail(why, DK_ERR_SYSTEM, "no thread can be started for the core");
    }
    return DK_OK;
}

void dk_bench_core_stop(struct dk_bench_core *core) {
    if (core->authorizer == NULL) {
        return;
    }
    dk_authorizer_stop(core->authorizer);
    atomic_store_explicit(&core->stopping, true, memory_order_release);
    if (core->io_runs) {
        pthread_join(core->io, NULL);
    }
    if (core->scribe_runs) {
        pthread_join(core->scribe, NULL);
    }
    dk_authorizer_destroy(core->authorizer);
    core->authorizer = NULL;
}
