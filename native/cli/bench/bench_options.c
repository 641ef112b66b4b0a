/* SPDX-License-Identifier: Apache-2.0 */
#include "bench_options.h"

#include "flag_error.h"

#include <errno.h>
#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX_MAX 200u

enum kind {
    KIND_COUNT,  /* uint64_t, from `least` to `most` */
    KIND_NUMBER, /* double, likewise */
    KIND_TEXT,   /* not empty */
    KIND_NAME,   /* a part of a name, may be empty */
    KIND_FLAG,
    KIND_MIX,
    KIND_SET,
};

struct option_spec {
    const char *name;
    char letter; /* '\0': none */
    enum kind kind;
    size_t offset; /* in struct dk_bench_options */
    double least, most;
    const char *standard; /* what holds where the option is not given; NULL: nothing */
    const char *value;    /* what the help calls the value */
    const char *help;
};

#define AT(member) offsetof(struct dk_bench_options, member)
#define MILLION 1e6

static const struct option_spec specs[] = {
    {NULL, 0, KIND_FLAG, 0, 0, 0, NULL, NULL, "How it is asked"},
    {"threads", 't', KIND_COUNT, AT(threads), 1, 256, "8", "N",
     "threads that ask, as a broker's num.io.threads"},
    {"duration", 'd', KIND_NUMBER, AT(duration_s), 0.01, 86400, "10", "S",
     "seconds that are measured"},
    {"warmup", 'w', KIND_NUMBER, AT(warmup_s), 0, 86400, "2", "S",
     "seconds before, in which the cache fills"},
    {"rate", 'R', KIND_NUMBER, AT(rate), 0, 1e9, "0", "N",
     "calls a second, all threads together; 0: full speed"},
    {"seed", 0, KIND_COUNT, AT(seed), 0, 1e15, "1", "N", "the same seed asks the same"},

    {NULL, 0, KIND_FLAG, 0, 0, 0, NULL, NULL, "What is asked"},
    {"principals", 'p', KIND_COUNT, AT(principals), 1, MILLION, "50", "N", "principals that ask"},
    {"topics", 'T', KIND_COUNT, AT(topics), 1, MILLION, "200", "N",
     "topics; every principal may be picked with every topic"},
    {"groups", 'g', KIND_COUNT, AT(groups), 1, MILLION, "2", "N",
     "consumer groups of each principal"},
    {"zipf", 'z', KIND_NUMBER, AT(zipf), 0, 5, "1", "S",
     "skew: number i is picked with weight 1/(i+1)^S"},
    {"actions", 'a', KIND_COUNT, AT(actions), 1, 100000, "10", "N",
     "topics in a produce or fetch call"},
    {"metadata-actions", 0, KIND_COUNT, AT(metadata_actions), 1, 100000, "100", "N",
     "topics in a metadata call"},
    {"mix", 'm', KIND_MIX, AT(mix), 0, 0, "produce=40,fetch=40,group=15,metadata=5", "LIST",
     "weights of the kinds of calls"},
    {"new-percent", 'n', KIND_NUMBER, AT(new_percent), 0, 100, "0", "P",
     "share of topics that nobody has asked for before"},
    {"principal-prefix", 0, KIND_NAME, AT(principal_prefix), 0, 0, "bench-", "TEXT",
     "principals are User:<prefix><number><suffix>"},
    {"principal-suffix", 0, KIND_NAME, AT(principal_suffix), 0, 0, "", "TEXT",
     "as ',O=Example' for certificates' names"},
    {"topic-prefix", 0, KIND_NAME, AT(topic_prefix), 0, 0, "bench-topic-", "TEXT",
     "topics are <prefix><number>, new ones <prefix>new-..."},
    {"group-prefix", 0, KIND_NAME, AT(group_prefix), 0, 0, "group-", "TEXT",
     "groups are <principal's name>:<prefix><number>"},
    {"cluster-id", 0, KIND_NAME, AT(cluster_id), 0, 0, "bench", "TEXT", "the cluster's id"},
    {"listener", 0, KIND_NAME, AT(listener), 0, 0, "CLIENT", "TEXT", "the listener's name"},
    {"replay", 'r', KIND_TEXT, AT(replay), 0, 0, NULL, "FILE",
     "ask recorded questions instead, round and round: see below"},

    {NULL, 0, KIND_FLAG, 0, 0, 0, NULL, NULL, "Who is asked"},
    {"opa", 'u', KIND_TEXT, AT(opa), 0, 0, NULL, "URL", "short for --set doorkeeper.opa.url=URL"},
    {"stub", 0, KIND_FLAG, AT(stub), 0, 0, NULL, NULL,
     "a stand-in for OPA inside this process instead"},
    {"stub-latency-ms", 0, KIND_NUMBER, AT(stub_latency_ms), 0, 60000, "0.2", "MS",
     "how late it answers"},
    {"stub-allow-percent", 0, KIND_NUMBER, AT(stub_allow_percent), 0, 100, "100", "P",
     "of the questions, how many it allows"},
    {"config", 'c', KIND_TEXT, AT(config), 0, 0, NULL, "FILE",
     "settings: a broker's server.properties"},
    {"set", 's', KIND_SET, 0, 0, 0, NULL, "KEY=VALUE",
     "a setting that goes before those of the file; may be repeated"},

    {NULL, 0, KIND_FLAG, 0, 0, 0, NULL, NULL, "What is printed"},
    {"json", 'j', KIND_TEXT, AT(json), 0, 0, NULL, "FILE",
     "results as JSON; '-': to standard output, without the table"},
    {"quiet", 'q', KIND_FLAG, AT(quiet), 0, 0, NULL, NULL, "no progress on standard error"},
    {"verbose", 'v', KIND_FLAG, AT(verbose), 0, 0, NULL, NULL,
     "all of the core's log lines on standard error, not just troubles"},
    {"print-grants", 0, KIND_FLAG, AT(print_grants), 0, 0, NULL, NULL,
     "print grants for the shipped policy that allow this load, and end"},
    {"help", 'h', KIND_FLAG, AT(help), 0, 0, NULL, NULL, "print this, and end"},
};

#define SPEC_COUNT (sizeof(specs) / sizeof(specs[0]))

/* ---- values ------------------------------------------------------------------------------- */

static enum dk_error wrong(const struct option_spec *spec, const char *value, const char *right,
                           struct dk_error_text *why) {
    char flag[64];
    (void)snprintf(flag, sizeof(flag), "--%s", spec->name);
    return dk_flag_error(why, flag, value, right);
}

static bool read_count(const char *text, double least, double most, uint64_t *out) {
    char *end;
    if (text[0] < '0' || text[0] > '9') {
        return false; /* strtoull takes spaces and signs */
    }
    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0' && (double)*out >= least && (double)*out <= most;
}

static bool read_number(const char *text, double least, double most, double *out) {
    char *end;
    if (text[0] == '\0' || strspn(text, "0123456789.eE+-") != strlen(text)) {
        return false; /* strtod takes spaces, hexadecimal, "inf" and "nan" */
    }
    *out = strtod(text, &end);
    return *end == '\0' && *out >= least && *out <= most;
}

static enum dk_error take_number(const struct option_spec *spec, const char *value, void *member,
                                 struct dk_error_text *why) {
    char right[96];
    bool whole = spec->kind == KIND_COUNT;
    bool ok = whole ? read_count(value, spec->least, spec->most, member)
                    : read_number(value, spec->least, spec->most, member);
    if (ok) {
        return DK_OK;
    }
    (void)snprintf(right, sizeof(right), "a %snumber from %.16g to %.16g", whole ? "whole " : "",
                   spec->least, spec->most);
    return wrong(spec, value, right, why);
}

/* One "kind=weight" of the list, `len` bytes. */
static bool take_weight(const char *item, size_t len, uint32_t mix[DK_CALL_KINDS]) {
    char text[32];
    uint64_t weight;
    if (len >= sizeof(text)) {
        return false;
    }
    memcpy(text, item, len);
    text[len] = '\0';
    char *equals = strchr(text, '=');
    if (equals == NULL || !read_count(equals + 1, 0, MILLION, &weight)) {
        return false;
    }
    *equals = '\0';
    for (unsigned i = 0; i < DK_CALL_KINDS; i++) {
        if (strcmp(text, dk_call_kind_name((enum dk_call_kind)i)) == 0) {
            mix[i] = (uint32_t)weight;
            return true;
        }
    }
    return false;
}

/* Kinds that are not named are not asked. */
static enum dk_error take_mix(const struct option_spec *spec, const char *value,
                              uint32_t mix[DK_CALL_KINDS], struct dk_error_text *why) {
    bool ok = true;
    uint64_t total = 0;
    memset(mix, 0, DK_CALL_KINDS * sizeof(mix[0]));
    for (const char *item = value; ok && item != NULL;) {
        size_t len = strcspn(item, ",");
        ok = take_weight(item, len, mix);
        item = item[len] == ',' ? item + len + 1 : NULL;
    }
    for (unsigned i = 0; i < DK_CALL_KINDS; i++) {
        total += mix[i];
    }
    return ok && total > 0 ? DK_OK
                           : wrong(spec, value,
                                   "weights, not all 0, of produce, fetch, group and metadata, as "
                                   "in produce=1,fetch=3",
                                   why);
}

static enum dk_error take_set(const struct option_spec *spec, const char *value,
                              struct dk_bench_options *out, struct dk_error_text *why) {
    if (strchr(value, '=') == NULL || value[0] == '=') {
        return wrong(spec, value, "KEY=VALUE, as in doorkeeper.cache.entries=100000", why);
    }
    if (out->set_count == DK_BENCH_SETS_MAX) {
        return dk_fail(why, DK_ERR_CONFIG, "--set: more than %u of them; use --config",
                       DK_BENCH_SETS_MAX);
    }
    out->sets[out->set_count++] = value;
    return DK_OK;
}

static enum dk_error take_name(const struct option_spec *spec, const char *value,
                               const char **member, struct dk_error_text *why) {
    if (strlen(value) > PREFIX_MAX || !dk_bytes_is_utf8(dk_bytes_of(value))) {
        return wrong(spec, value, "at most 200 bytes of UTF-8", why);
    }
    *member = value;
    return DK_OK;
}

static enum dk_error take(const struct option_spec *spec, const char *value,
                          struct dk_bench_options *out, struct dk_error_text *why) {
    void *member = (char *)out + spec->offset;
    switch (spec->kind) {
    case KIND_COUNT:
    case KIND_NUMBER:
        return take_number(spec, value, member, why);
    case KIND_MIX:
        return take_mix(spec, value, member, why);
    case KIND_SET:
        return take_set(spec, value, out, why);
    case KIND_NAME:
        return take_name(spec, value, member, why);
    case KIND_TEXT:
        if (value[0] == '\0') {
            return wrong(spec, value, "something that is not empty", why);
        }
        *(const char **)member = value;
        return DK_OK;
    case KIND_FLAG:
        break;
    }
    *(bool *)member = true;
    return DK_OK;
}

/* ---- the command line --------------------------------------------------------------------- */

/* What getopt_long wants, made of the table. An option's `val` is its place there, plus 256. */
struct getopt_tables {
    char letters[3 * SPEC_COUNT + 2];
    struct option options[SPEC_COUNT + 1];
};

#define PLACE_OFFSET 256

static void make_getopt_tables(struct getopt_tables *out) {
    size_t letters = 0, options = 0;
    memset(out, 0, sizeof(*out));
    out->letters[letters++] = ':'; /* tell a missing value from an unknown option */
    for (size_t i = 0; i < SPEC_COUNT; i++) {
        int has_value = specs[i].kind == KIND_FLAG ? no_argument : required_argument;
        if (specs[i].name == NULL) {
            continue;
        }
        out->options[options++] =
            (struct option){specs[i].name, has_value, NULL, PLACE_OFFSET + (int)i};
        if (specs[i].letter != '\0') {
            out->letters[letters++] = specs[i].letter;
            if (has_value == required_argument) {
                out->letters[letters++] = ':';
            }
        }
    }
}

static const struct option_spec *spec_of(int found) {
    for (size_t i = 0; i < SPEC_COUNT; i++) {
        if (specs[i].name != NULL &&
            (found == PLACE_OFFSET + (int)i || (found != 0 && found == specs[i].letter))) {
            return &specs[i];
        }
    }
    return NULL;
}

static enum dk_error fail_unknown(const char *argument, struct dk_error_text *why) {
    char escaped[128];
    size_t len = dk_bytes_escape(dk_bytes_of(argument), escaped, sizeof(escaped) - 1);
    escaped[len] = '\0';
    return dk_fail(why, DK_ERR_CONFIG, "%s: there is no such option, or it takes no value",
                   escaped);
}

static enum dk_error fail_getopt(int found, char **argv, struct dk_error_text *why) {
    const struct option_spec *spec = spec_of(optopt);
    if (found == ':' && spec != NULL) {
        return dk_fail(why, DK_ERR_CONFIG, "--%s: expected a value, %s", spec->name, spec->value);
    }
    char letter[3] = {'-', (char)optopt, '\0'};
    bool is_letter = optopt > 0 && optopt < PLACE_OFFSET;
    return fail_unknown(is_letter ? letter : argv[optind - 1], why);
}

static enum dk_error take_standards(struct dk_bench_options *out, struct dk_error_text *why) {
    memset(out, 0, sizeof(*out));
    for (size_t i = 0; i < SPEC_COUNT; i++) {
        if (specs[i].standard != NULL && take(&specs[i], specs[i].standard, out, why) != DK_OK) {
            return DK_ERR_CONFIG;
        }
    }
    return DK_OK;
}

/* What options get wrong together. */
static enum dk_error check_together(const struct dk_bench_options *options, bool stub_is_set_up,
                                    struct dk_error_text *why) {
    if (options->stub && options->opa != NULL) {
        return dk_fail(why, DK_ERR_CONFIG,
                       "--opa: expected no URL beside --stub: only one of them is asked");
    }
    if (stub_is_set_up && !options->stub) {
        return dk_fail(why, DK_ERR_CONFIG,
                       "--stub-latency-ms and --stub-allow-percent: expected --stub beside them");
    }
    if (options->replay != NULL && options->print_grants) {
        return dk_fail(why, DK_ERR_CONFIG,
                       "--print-grants: expected no --replay: grants are made for the model");
    }
    return DK_OK;
}

enum dk_error dk_bench_options_parse(int argc, char **argv, struct dk_bench_options *out,
                                     struct dk_error_text *why) {
    struct getopt_tables tables;
    bool stub_is_set_up = false;
    make_getopt_tables(&tables);
    enum dk_error error = take_standards(out, why);
    opterr = 0;
    optind = 0; /* starts anew, also after an earlier use */
    while (error == DK_OK) {
        int found = getopt_long(argc, argv, tables.letters, tables.options, NULL);
        if (found == -1) {
            break;
        }
        const struct option_spec *spec = found == ':' ? NULL : spec_of(found);
        error = spec == NULL ? fail_getopt(found, argv, why) : take(spec, optarg, out, why);
        stub_is_set_up |= spec != NULL && strncmp(spec->name, "stub-", 5) == 0;
    }
    if (error == DK_OK && optind < argc) {
        return dk_fail(why, DK_ERR_CONFIG, "%s: expected an option, beginning with --",
                       argv[optind]);
    }
    return error == DK_OK ? check_together(out, stub_is_set_up, why) : error;
}

/* ---- help --------------------------------------------------------------------------------- */

static const char help_begin[] =
    "usage: doorkeeper bench [OPTIONS]\n"
    "\n"
    "Asks as the clients of a broker do, through Doorkeeper's own core, and prints what a "
    "decision\n"
    "costs: with your OPA and your policy (--opa, --config), or with a stand-in (--stub).\n";

static const char help_end[] =
    "\n"
    "Which policy allows what it asks\n"
    "  Principals need READ, WRITE and DESCRIBE on the topics, and READ on groups that are called\n"
    "  like themselves, a colon, and more. The shipped policy (policies/kafka) allows all of it "
    "with\n"
    "  the grants that --print-grants prints, as kafka/grants/data.json in its bundle:\n"
    "    doorkeeper bench --principals 50 --topics 200 --print-grants > grants.json\n"
    "    opa run --server policies/kafka kafka.grants:grants.json &\n"
    "    doorkeeper bench --principals 50 --topics 200 --opa http://127.0.0.1:8181\n"
    "  With another policy give the names that it knows (--principal-prefix and the like), or "
    "replay\n"
    "  recorded questions. What is denied is decided and cached as well; the table says how much "
    "it\n"
    "  was. New topics (--new-percent) are denied by the shipped policy.\n"
    "\n"
    "Recorded questions\n"
    "  --replay takes JSON Lines: on each line a question in the single form of\n"
    "  docs/policy-input.md, {\"version\": 1, \"cluster\": ..., \"principal\": ..., \"client\": "
    "...,\n"
    "  \"action\": ...}, or an object with such a one as \"input\" (OPA's decision log). "
    "Neighbouring\n"
    "  lines of one principal and client make one call, of at most --actions questions. A batch, "
    "with\n"
    "  \"requests\", makes a call of each request.\n"
    "\n"
    "Exit status: 0 it ran, 1 OPA gave no answer or something failed, 2 wrong usage.\n";

static void write_option(const struct option_spec *spec, struct dk_writer *out) {
    char left[64], line[256];
    (void)snprintf(left, sizeof(left), "%s--%s%s%s", spec->letter == '\0' ? "    " : "", spec->name,
                   spec->value == NULL ? "" : " ", spec->value == NULL ? "" : spec->value);
    if (spec->letter != '\0') {
        (void)snprintf(line, sizeof(line), "  -%c, %-24s %s", spec->letter, left, spec->help);
    } else {
        (void)snprintf(line, sizeof(line), "  %-28s %s", left, spec->help);
    }
    dk_writer_text(out, line);
    if (spec->standard != NULL && spec->standard[0] != '\0') {
        dk_writer_text(out, " [");
        dk_writer_text(out, spec->standard);
        dk_writer_text(out, "]");
    }
    dk_writer_text(out, "\n");
}

void dk_bench_options_write_help(struct dk_writer *out) {
    dk_writer_text(out, help_begin);
    for (size_t i = 0; i < SPEC_COUNT; i++) {
        if (specs[i].name == NULL) {
            dk_writer_text(out, "\n");
            dk_writer_text(out, specs[i].help);
            dk_writer_text(out, "\n");
        } else {
            write_option(&specs[i], out);
        }
    }
    dk_writer_text(out, help_end);
}

struct dk_settings_source dk_bench_settings_source(const struct dk_bench_options *options,
                                                   const char *stub_url) {
    return (struct dk_settings_source){
        .url = stub_url != NULL ? stub_url : options->opa,
        .is_stub = stub_url != NULL,
        .sets = options->sets,
        .set_count = options->set_count,
        .config = options->config,
        .threads = options->threads,
    };
}
