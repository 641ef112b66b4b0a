/* SPDX-License-Identifier: Apache-2.0 */
#include "asker.h"

#include "doorkeeper/clock.h"

#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#define SECOND_NS 1000000000
#define MISSES_MAX ((size_t)1 << 30)
/* So long a sleeping thread may take to see that the run was stopped. */
#define NAP_NS 50000000

/* ---- one call ----------------------------------------------------------------------------- */

static struct dk_bytes actions_of(const struct dk_call *call, size_t from, size_t to) {
    size_t start = from == 0 ? 0 : call->ends[from - 1];
    return (struct dk_bytes){call->request.ptr + start, call->ends[to - 1] - start};
}

static enum dk_error probe(struct dk_asker *asker, size_t context, struct dk_bytes request,
                           dk_answer *answers, struct dk_probed *out) {
    struct dk_ask_plan *plan = asker->plan;
    uint64_t handle = atomic_load_explicit(&plan->handles[context], memory_order_relaxed);
    enum dk_error error = dk_authorizer_probe(plan->authorizer, handle, request, answers, out);
    if (error != DK_ERR_STALE) {
        return error;
    }
    error = dk_authorizer_register(plan->authorizer, plan->load->contexts[context], &handle);
    if (error != DK_OK) {
        return error;
    }
    atomic_store_explicit(&plan->handles[context], handle, memory_order_relaxed);
    return dk_authorizer_probe(plan->authorizer, handle, request, answers, out);
}

/* Answers what the cache knows; returns how many actions are open. */
static size_t probe_all(struct dk_asker *asker, const struct dk_call *call) {
    size_t open = 0;
    for (size_t from = 0; from < call->count; from += DK_PROBE_MAX) {
        size_t to = from + DK_PROBE_MAX < call->count ? from + DK_PROBE_MAX : call->count;
        struct dk_bytes request = actions_of(call, from, to);
        struct dk_probed probed;
        bool ok = probe(asker, call->context, request, asker->answers + from, &probed) == DK_OK;
        for (size_t i = from; i < to; i++) {
            if (!ok || asker->answers[i] == DK_ANSWER_MISS) {
                asker->open[open++] = i;
            }
        }
        if (ok && probed.late > 0) {
            dk_authorizer_refresh(asker->plan->authorizer,
                                  asker->plan->load->contexts[call->context], request, to - from);
        }
    }
    return open;
}

/* Has all open actions decided. False: none was. */
static bool authorize(struct dk_asker *asker, const struct dk_call *call, size_t open) {
    dk_answer *replies = asker->answers + asker->capacity;
    dk_writer_reset(&asker->misses);
    for (size_t i = 0; i < open; i++) {
        dk_writer_bytes(&asker->misses, actions_of(call, asker->open[i], asker->open[i] + 1));
    }
    bool ok =
        !asker->misses.failed &&
        dk_authorizer_authorize(asker->plan->authorizer, asker->plan->load->contexts[call->context],
                                dk_writer_view(&asker->misses), open, 0, replies) == DK_OK;
    for (size_t i = 0; i < open; i++) {
        asker->answers[asker->open[i]] = ok ? replies[i] : DK_ANSWER(DK_DENY, DK_SOURCE_NONE);
    }
    return ok;
}

static bool make_room(struct dk_asker *asker, size_t count) {
    if (count <= asker->capacity) {
        return true;
    }
    free(asker->answers);
    free(asker->open);
    asker->answers = malloc(2 * count * sizeof(asker->answers[0]));
    asker->open = malloc(count * sizeof(asker->open[0]));
    asker->capacity = asker->answers != NULL && asker->open != NULL ? count : 0;
    return asker->capacity > 0;
}

/* ---- what came of it ---------------------------------------------------------------------- */

struct outcome_of_call {
    size_t open;
    bool failed;
};

static struct outcome_of_call ask(struct dk_asker *asker, const struct dk_call *call) {
    struct outcome_of_call out = {0, true};
    if (make_room(asker, call->count)) {
        out.open = probe_all(asker, call);
        out.failed = out.open > 0 && !authorize(asker, call, out.open);
    }
    return out;
}

static uint64_t since(int64_t then_ns, int64_t now_ns) {
    return now_ns > then_ns ? (uint64_t)(now_ns - then_ns) : 0;
}

static void note(struct dk_asker *asker, const struct dk_call *call, struct outcome_of_call came,
                 int64_t due_ns, int64_t begun_ns) {
    struct dk_ask_tally *tally = &asker->tally;
    int64_t now_ns = dk_clock_ns();
    tally->calls++;
    tally->errors += came.failed;
    if (came.failed) {
        return;
    }
    tally->actions += call->count;
    tally->hits += call->count - came.open;
    for (size_t i = 0; i < call->count; i++) {
        tally->outcomes[DK_ANSWER_OUTCOME(asker->answers[i])]++;
    }
    dk_histogram_add(&tally->all, since(due_ns, now_ns));
    dk_histogram_add(came.open > 0 ? &tally->some_misses : &tally->all_hits, since(due_ns, now_ns));
    dk_histogram_add(&tally->service, since(begun_ns, now_ns));
}

/* ---- the thread --------------------------------------------------------------------------- */

static bool is_stopped(const struct dk_ask_plan *plan) {
    return atomic_load_explicit(&plan->stopped, memory_order_relaxed);
}

static int64_t thread_cpu_ns(void) {
    struct timespec used;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (int64_t)used.tv_sec * SECOND_NS + used.tv_nsec;
}

/* False if the run ends before. `*now_ns_out`: when it returned. */
static bool wait_until(const struct dk_ask_plan *plan, int64_t due_ns, int64_t *now_ns_out) {
    for (;;) {
        int64_t now_ns = dk_clock_ns();
        *now_ns_out = now_ns;
        if (now_ns >= plan->end_ns || is_stopped(plan)) {
            return false;
        }
        if (now_ns >= due_ns) {
            return true;
        }
        int64_t wake_ns = due_ns - now_ns > NAP_NS ? now_ns + NAP_NS : due_ns;
        const struct timespec wake = {.tv_sec = wake_ns / SECOND_NS,
                                      .tv_nsec = wake_ns % SECOND_NS};
        (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &wake, NULL);
    }
}

/* The number of this thread's next call, and when it is due: with a rate calls are taken in the
 * order in which they are due, as from a broker's request queue. */
static uint64_t next_call(struct dk_asker *asker, uint64_t *own, int64_t *due_ns) {
    struct dk_ask_plan *plan = asker->plan;
    if (plan->rate > 0) {
        uint64_t number = atomic_fetch_add_explicit(&plan->next_call, 1, memory_order_relaxed);
        *due_ns = plan->start_ns + (int64_t)((double)number * SECOND_NS / plan->rate);
        return number;
    }
    *due_ns = 0;
    return asker->index + plan->threads * (*own)++;
}

void *dk_asker_run(void *user) {
    struct dk_asker *asker = user;
    struct dk_ask_plan *plan = asker->plan;
    uint64_t own = 0;
    int64_t cpu_before_ns = -1;
    (void)prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    for (;;) {
        struct dk_call call;
        int64_t due_ns, begun_ns;
        uint64_t number = next_call(asker, &own, &due_ns);
        dk_load_make(plan->load, number, &asker->maker, &call);
        if (!wait_until(plan, due_ns, &begun_ns)) {
            break;
        }
        due_ns = plan->rate > 0 ? due_ns : begun_ns;
        if (due_ns >= plan->measure_ns && cpu_before_ns < 0) {
            cpu_before_ns = thread_cpu_ns();
        }
        struct outcome_of_call came = ask(asker, &call);
        if (due_ns >= plan->measure_ns) {
            note(asker, &call, came, due_ns, begun_ns);
        }
    }
    asker->tally.cpu_ns = cpu_before_ns < 0 ? 0 : thread_cpu_ns() - cpu_before_ns;
    return NULL;
}

enum dk_error dk_asker_init(struct dk_asker *asker, struct dk_ask_plan *plan, unsigned index) {
    memset(asker, 0, sizeof(*asker));
    asker->plan = plan;
    asker->index = index;
    dk_writer_init(&asker->misses, MISSES_MAX);
    return dk_load_init_maker(plan->load, &asker->maker);
}

void dk_asker_clean_up(struct dk_asker *asker) {
    dk_load_clean_up_maker(&asker->maker);
    dk_writer_clean_up(&asker->misses);
    free(asker->answers);
    free(asker->open);
    asker->answers = NULL;
    asker->open = NULL;
}
