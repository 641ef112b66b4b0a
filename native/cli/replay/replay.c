/* SPDX-License-Identifier: Apache-2.0 */
#include "replay.h"

#include "doorkeeper/clock.h"
#include "doorkeeper/file.h"
#include "local_opa.h"
#include "log_reader.h"
#include "replay_ask.h"
#include "replay_flags.h"
#include "topic_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { EXIT_SAME = 0, EXIT_DIFFERENT = 1, EXIT_TROUBLE = 2 };

#define ERRORS_SHOWN 20u
#define OUTPUT_MAX ((size_t)1024 * 1024 * 1024)
#define PROGRESS_MS 200

static const char help_text[] =
    "usage: doorkeeper replay LOG... --policy X [--against Y] [OPTIONS]\n"
    "\n"
    "Asks the questions of recorded decisions again, and says which would be answered otherwise.\n"
    "LOG is a decision log of OPA or Doorkeeper: JSON Lines, JSON arrays, gzip of either, what\n"
    "`opa run` prints; - for standard input, topic:NAME for a Kafka topic.\n"
    "\n"
    "  --policy X             an OPA (http://, https://, unix:/path), or a bundle: a directory or\n"
    "                         tar.gz, which a private OPA then serves\n"
    "  --against Y            compare with the answers of this one, not with what was recorded\n"
    "  --rule PATH            ask this rule, as kafka/authz/batch, not the recorded ones\n"
    "  --opa-binary OPA       the OPA that serves bundles (opa)\n"
    "  --kafka-config FILE    librdkafka's properties for topics: bootstrap.servers and so on\n"
    "  --share I/N            of topics only the I-th share of N, by partitions: for N runs\n"
    "  --principal NAME       only this principal, as alice or User:alice; a * at the end stands\n"
    "                         for any end\n"
    "  --resource NAME        only this resource, as orders, TOPIC:orders or TOPIC:orders*\n"
    "  --since T, --until T   only events from T on, or before T: 2026-03-01T12:00:00Z\n"
    "  --fix-time T           ask as of T, or as of when each was `recorded`: what time.now_ns "
    "says\n"
    "  --sample N             ask one question of N, in every run the same ones\n"
    "  --resume FILE          keep the answers in FILE, and take those that are there already:\n"
    "                         a run that was interrupted goes on; for bundles only\n"
    "  --fail-on CLASSES      what makes the exit status 1: none, or of newly-denied,\n"
    "                         newly-allowed, undefined, error, otherwise, not-reproducible some,\n"
    "                         separated by commas (all but the last)\n"
    "  --output FORMAT[=FILE] table (the default), json, junit or markdown; may be repeated\n"
    "  --top N                rows of each class in the table and the comment (20)\n"
    "  --strict               end at the first line that cannot be read\n"
    "  --max-event BYTES      the longest event that is read (16777216)\n"
    "\n"
    "Exit status: 0 nothing of --fail-on, 1 something of it, 2 trouble.\n";

struct run {
    struct dk_replay_flags flags;
    struct dk_replay_answers *answers; /* NULL: none are kept */
    struct dk_replay_table *table;
    struct dk_replay_about about;
    bool terminal; /* standard error is one */
    int64_t begun_ms, shown_ms;
    uint64_t total_bytes, earlier_bytes; /* of the logs; 0: not known. Of those read to the end */
    uint64_t errors_shown;
};

/* ---- signals ----------------------------------------------------------------------------- */

static _Atomic int stopped; /* read by the thread of a topic, too */

static void on_signal(int number) {
    stopped = number;
}

static bool is_stopped(void) {
    return stopped != 0;
}

/* Without SA_RESTART, so that a wait ends. */
static void catch_signals(void) {
    struct sigaction action = {.sa_handler = on_signal};
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        (void)sigaction(numbers[i], &action, NULL);
    }
    action.sa_handler = SIG_IGN; /* a pipe that ends is an error of fwrite */
    (void)sigaction(SIGPIPE, &action, NULL);
}

/* ---- what is said on the way ------------------------------------------------------------- */

static void clear_progress(const struct run *run) {
    if (run->terminal && run->shown_ms != 0) {
        fputs("\r\033[K", stderr);
    }
}

static int trouble(struct run *run, const char *text) {
    clear_progress(run);
    fprintf(stderr, "doorkeeper replay: %s\n", text);
    return EXIT_TROUBLE;
}

/* True when it is time for another line of progress. */
static bool progress_is_due(struct run *run) {
    int64_t now_ms = dk_clock_coarse_ms();
    if (!run->terminal || now_ms - run->shown_ms < PROGRESS_MS) {
        return false;
    }
    run->shown_ms = now_ms;
    return true;
}

static void show_progress(const struct run *run, const char *what, uint64_t done, uint64_t of) {
    int64_t spent_ms = dk_clock_coarse_ms() - run->begun_ms;
    const struct dk_replay_tally *tally = dk_replay_table_tally(run->table);
    fprintf(stderr, "\r\033[K%s", what);
    if (of > 0 && done <= of) {
        fprintf(stderr, " %3.0f %%", 100.0 * (double)done / (double)of);
    }
    fprintf(stderr, "  %llu decisions, %zu questions", (unsigned long long)tally->decisions,
            dk_replay_table_questions(run->table));
    if (of > done && done > 0) {
        double left_s = (double)spent_ms / 1000 * (double)(of - done) / (double)done;
        fprintf(stderr, ", %.0f s left", left_s);
    }
    (void)fflush(stderr);
}

/* A line that could not be read. False if that is the end. */
static bool report_bad(struct run *run, const char *log, uint64_t line, const char *why) {
    run->about.bad++;
    if (run->errors_shown < ERRORS_SHOWN) {
        char escaped[300];
        size_t len = dk_bytes_escape(dk_bytes_of(log), escaped, sizeof(escaped));
        clear_progress(run);
        fprintf(stderr, "%.*s: line %llu: %s\n", (int)len, escaped, (unsigned long long)line, why);
    } else if (run->errors_shown == ERRORS_SHOWN) {
        fputs("more lines cannot be read; they are only counted from here on\n", stderr);
    }
    run->errors_shown++;
    return !run->flags.strict;
}

/* ---- reading ----------------------------------------------------------------------------- */

/* False if that is the end. */
static bool add_event(struct run *run, const char *log, uint64_t line, struct dk_bytes text) {
    struct dk_log_event event;
    struct dk_error_text why = {""};
    switch (dk_log_event_parse(text, &event, &why)) {
    case DK_EVENT_LOCAL:
        run->about.local += event.count;
        return true;
    case DK_EVENT_OTHER:
        run->about.other++;
        return true;
    case DK_EVENT_MALFORMED:
        return report_bad(run, log, line, why.text);
    default:
        break;
    }
    if (event.time_ns < run->flags.since_ns || event.time_ns >= run->flags.until_ns) {
        run->about.outside++;
        return true;
    }
    enum dk_error error = dk_replay_table_add(run->table, &event, &why);
    if (error == DK_ERR_MALFORMED) {
        return report_bad(run, log, line, why.text);
    }
    if (error != DK_OK) {
        (void)trouble(run, dk_strerror(error));
    }
    return error == DK_OK;
}

static bool read_events(struct run *run, const char *log, struct dk_log_reader *reader) {
    for (uint64_t i = 0;; i++) {
        struct dk_bytes text;
        struct dk_error_text why = {""};
        enum dk_log_read read = dk_log_reader_next(reader, &text, &why);
        uint64_t line = dk_log_reader_line(reader);
        if (is_stopped()) {
            return false;
        }
        if (read == DK_LOG_END) {
            run->earlier_bytes += dk_log_reader_consumed(reader);
            return true;
        }
        bool go_on = read == DK_LOG_EVENT ? add_event(run, log, line, text)
                                          : report_bad(run, log, line, why.text);
        if (!go_on) {
            return false;
        }
        if (i % 4096 == 0 && progress_is_due(run)) {
            show_progress(run, "reading", run->earlier_bytes + dk_log_reader_consumed(reader),
                          run->total_bytes);
        }
    }
}

static bool read_fd(struct run *run, const char *log, int fd) {
    struct dk_log_reader *reader = NULL;
    bool ok = false;
    if (dk_log_reader_new(fd, run->flags.max_event, &reader) == DK_OK) {
        ok = read_events(run, log, reader);
    }
    dk_log_reader_destroy(reader);
    return ok;
}

static bool read_topic(struct run *run, const char *log) {
    const struct dk_topic_source source = {
        .topic = dk_replay_topic(log),
        .config = run->flags.kafka_config,
        .share = run->flags.share,
        .shares = run->flags.shares,
        .is_stopped = is_stopped,
    };
    struct dk_topic_reader *reader = NULL;
    struct dk_error_text why = {""};
    enum dk_error error = dk_topic_reader_new(&source, &reader, &why);
    bool ok = error == DK_OK && read_fd(run, log, dk_topic_reader_fd(reader));
    if (error == DK_OK) {
        error = dk_topic_reader_end(reader, &why);
    }
    if (error != DK_OK && !is_stopped()) {
        (void)trouble(run, why.text[0] != '\0' ? why.text : dk_strerror(error));
    }
    return ok && error == DK_OK;
}

static bool read_log(struct run *run, const char *log) {
    struct dk_error_text why;
    bool standard = strcmp(log, "-") == 0;
    if (dk_replay_topic(log) != NULL) {
        return read_topic(run, log);
    }
    int fd = standard ? STDIN_FILENO : open(log, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        (void)dk_file_error(log, errno, &why);
        (void)trouble(run, why.text);
        return false;
    }
    bool ok = read_fd(run, standard ? "standard input" : log, fd);
    if (!standard) {
        (void)close(fd);
    }
    return ok;
}

static void sum_sizes(struct run *run) {
    for (size_t i = 0; i < run->flags.log_count; i++) {
        struct stat status;
        if (stat(run->flags.logs[i], &status) != 0 || !S_ISREG(status.st_mode)) {
            run->total_bytes = 0;
            return;
        }
        run->total_bytes += (uint64_t)status.st_size;
    }
}

static bool read_logs(struct run *run) {
    run->begun_ms = dk_clock_coarse_ms();
    sum_sizes(run);
    for (size_t i = 0; i < run->flags.log_count; i++) {
        if (!read_log(run, run->flags.logs[i])) {
            return false;
        }
    }
    return true;
}

/* ---- asking ------------------------------------------------------------------------------ */

static bool on_progress(void *user, size_t answered, size_t wanted) {
    struct run *run = user;
    if (progress_is_due(run)) {
        show_progress(run, "asking", answered, wanted);
    }
    return !is_stopped();
}

static bool is_url(const char *policy) {
    return strncmp(policy, "http://", 7) == 0 || strncmp(policy, "https://", 8) == 0 ||
           strncmp(policy, "unix:", 5) == 0;
}

/* `flag` for a person. */
static enum dk_error check_policy(const char *flag, const char *policy, struct dk_error_text *why) {
    if (policy == NULL || is_url(policy) || access(policy, R_OK) == 0) {
        return DK_OK;
    }
    char escaped[300];
    size_t len = dk_bytes_escape(dk_bytes_of(policy), escaped, sizeof(escaped));
    return dk_fail(why, DK_ERR_CONFIG,
                   "%s %.*s: expected the URL of an OPA (http://, https://, unix:/path), or a "
                   "bundle that can be read: a directory or a tar.gz",
                   flag, (int)len, escaped);
}

/* Nobody knows whether an OPA elsewhere still has the policy that it had. */
static enum dk_error check_resume(const struct dk_replay_flags *flags, struct dk_error_text *why) {
    bool has_url = is_url(flags->policy) || (flags->against != NULL && is_url(flags->against));
    if (flags->resume == NULL || !has_url) {
        return DK_OK;
    }
    return dk_fail(why, DK_ERR_CONFIG,
                   "--resume: is for bundles; --policy or --against is the URL of an OPA");
}

static enum dk_error ask(struct run *run, const char *policy, size_t side, char *revision,
                         struct dk_error_text *why) {
    struct dk_replay_asking asking = {
        .url = policy,
        .side = side,
        .when = run->flags.when,
        .fixed_ns = run->flags.fixed_ns,
        .answers = run->answers,
        .progress = on_progress,
        .user = run,
    };
    struct dk_local_opa local = {0};
    enum dk_error error = DK_OK;
    run->begun_ms = dk_clock_coarse_ms();
    if (run->answers != NULL) {
        error = dk_replay_digest_bundle(policy, asking.policy, why);
    }
    if (error == DK_OK && !is_url(policy)) {
        error = dk_local_opa_start(run->flags.opa_binary, policy, is_stopped, &local, why);
        asking.url = local.url;
    }
    if (error == DK_OK) {
        error = dk_replay_ask(run->table, &asking, revision, why);
    }
    dk_local_opa_stop(&local);
    return error;
}

static enum dk_error ask_both(struct run *run, struct dk_error_text *why) {
    enum dk_error error = ask(run, run->flags.policy, 0, run->about.policy_revision, why);
    if (error == DK_OK && run->flags.against != NULL) {
        error = ask(run, run->flags.against, 1, run->about.against_revision, why);
    }
    return error;
}

static enum dk_error ask_all(struct run *run, struct dk_error_text *why) {
    enum dk_error error = DK_OK;
    if (run->flags.resume != NULL) {
        error = dk_replay_answers_open(run->flags.resume, &run->answers, why);
    }
    if (error == DK_OK) {
        error = ask_both(run, why);
    }
    if (!dk_replay_answers_close(run->answers) && error == DK_OK) {
        error = dk_fail(why, DK_ERR_SYSTEM, "--resume: the answers could not be written");
    }
    return error;
}

/* ---- the report -------------------------------------------------------------------------- */

static bool write_text(struct dk_bytes text, const char *path) {
    if (path == NULL) {
        return fwrite(text.ptr, 1, text.len, stdout) == text.len && fflush(stdout) == 0;
    }
    FILE *file = fopen(path, "we");
    if (file == NULL) {
        return false;
    }
    bool written = fwrite(text.ptr, 1, text.len, file) == text.len;
    return fclose(file) == 0 && written;
}

static bool write_target(struct run *run, const struct dk_replay_report *report,
                         const struct dk_replay_target *target) {
    struct dk_writer text;
    dk_writer_init(&text, OUTPUT_MAX);
    dk_replay_write(report, &run->about, target->format, &text);
    bool ok = !text.failed && write_text(dk_writer_view(&text), target->path);
    dk_writer_clean_up(&text);
    if (!ok) {
        const char *name = target->path != NULL ? target->path : "standard output";
        char escaped[300];
        struct dk_error_text why;
        size_t len = dk_bytes_escape(dk_bytes_of(name), escaped, sizeof(escaped));
        (void)dk_fail(&why, DK_ERR_SYSTEM, "%.*s: the report could not be written", (int)len,
                      escaped);
        (void)trouble(run, why.text);
    }
    return ok;
}

static int report(struct run *run) {
    struct dk_replay_report report;
    bool differs = false, written = true;
    if (dk_replay_report_init(run->table, run->flags.against != NULL, &report) != DK_OK) {
        return trouble(run, dk_strerror(DK_ERR_MEMORY));
    }
    clear_progress(run);
    for (size_t i = 0; i < run->flags.output_count; i++) {
        written &= write_target(run, &report, &run->flags.outputs[i]);
    }
    for (int class = 0; class < DK_REPLAY_CLASSES; class ++) {
        differs |= report.sums[class].decisions > 0 && (run->flags.fails & (1u << class)) != 0;
    }
    dk_replay_report_clean_up(&report);
    if (!written) {
        return EXIT_TROUBLE;
    }
    return differs ? EXIT_DIFFERENT : EXIT_SAME;
}

/* ---- the whole --------------------------------------------------------------------------- */

static int replay(struct run *run) {
    struct dk_error_text why = {""};
    if (check_policy("--policy", run->flags.policy, &why) != DK_OK ||
        check_policy("--against", run->flags.against, &why) != DK_OK ||
        check_resume(&run->flags, &why) != DK_OK) {
        return trouble(run, why.text);
    }
    if (!read_logs(run)) {
        return is_stopped() ? trouble(run, "stopped") : EXIT_TROUBLE;
    }
    if (dk_replay_table_rows(run->table) == 0) {
        /* A check that compares nothing must not pass. */
        return trouble(run, "no decisions to compare: see the log, the filters and the times");
    }
    if (ask_all(run, &why) != DK_OK) {
        return trouble(run, why.text);
    }
    return report(run);
}

int dk_replay_main(int argc, char **argv) {
    struct run run = {.terminal = isatty(STDERR_FILENO) == 1};
    struct dk_error_text why = {""};
    if (dk_replay_flags_parse(argc, argv, &run.flags, &why) != DK_OK) {
        return trouble(&run, why.text);
    }
    if (run.flags.help) {
        fputs(help_text, stdout);
        return EXIT_SAME;
    }
    catch_signals();
    run.flags.options.has_against = run.flags.against != NULL;
    if (dk_replay_table_new(&run.flags.options, &run.table) != DK_OK) {
        return trouble(&run, dk_strerror(DK_ERR_MEMORY));
    }
    run.about = (struct dk_replay_about){
        .policy = run.flags.policy,
        .against = run.flags.against,
        .table = run.table,
        .sample = run.flags.options.sample,
        .fails = run.flags.fails,
        .most = run.flags.most,
    };
    int status = replay(&run);
    dk_replay_table_destroy(run.table);
    return status;
}
