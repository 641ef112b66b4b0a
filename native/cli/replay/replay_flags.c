/* SPDX-License-Identifier: Apache-2.0 */
#include "replay_flags.h"

#include "flag_error.h"
#include "log_reader.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVENT_MIN 1024u
#define EVENT_MAX ((uint64_t)256 * 1024 * 1024)
#define SHARES_MAX 10000u
#define NO_FAILS 0u
#define ALL_DIFFERENCES                                                                            \
    (1u << DK_NEWLY_DENIED | 1u << DK_NEWLY_ALLOWED | 1u << DK_NOW_UNDEFINED |                     \
     1u << DK_NOW_ERROR | 1u << DK_OTHERWISE)

struct flag {
    const char *name;
    enum dk_error (*set)(struct dk_replay_flags *flags, const char *name, const char *value,
                         struct dk_error_text *why); /* NULL: a flag without a value */
    size_t offset;                                   /* of a text, or of a bool */
};

static bool parse_number(const char *value, uint64_t min, uint64_t max, uint64_t *out) {
    uint64_t number = 0;
    size_t len = strlen(value);
    if (len == 0 || len > 18) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (value[i] < '0' || value[i] > '9') {
            return false;
        }
        number = 10 * number + (uint64_t)(value[i] - '0');
    }
    *out = number;
    return number >= min && number <= max;
}

/* ---- one function a flag ----------------------------------------------------------------- */

static enum dk_error set_rule(struct dk_replay_flags *flags, const char *name, const char *value,
                              struct dk_error_text *why) {
    value += value[0] == '/';
    flags->options.rule = value;
    return dk_rule_path_is_safe(dk_bytes_of(value))
               ? DK_OK
               : dk_flag_error(why, name, value, "the path of a rule, as kafka/authz/batch");
}

static enum dk_error set_sample(struct dk_replay_flags *flags, const char *name, const char *value,
                                struct dk_error_text *why) {
    return parse_number(value, 1, 1000000000, &flags->options.sample)
               ? DK_OK
               : dk_flag_error(why, name, value, "a whole number from 1 to 1000000000");
}

static enum dk_error set_max_event(struct dk_replay_flags *flags, const char *name,
                                   const char *value, struct dk_error_text *why) {
    uint64_t bytes = 0;
    if (!parse_number(value, EVENT_MIN, EVENT_MAX, &bytes)) {
        return dk_flag_error(why, name, value, "a whole number of bytes from 1024 to 268435456");
    }
    flags->max_event = (size_t)bytes;
    return DK_OK;
}

/* As 1/4: the first of four runs. */
static enum dk_error set_share(struct dk_replay_flags *flags, const char *name, const char *value,
                               struct dk_error_text *why) {
    char first[8] = "";
    uint64_t share = 0, shares = 0;
    size_t len = strcspn(value, "/");
    if (len < sizeof(first)) {
        memcpy(first, value, len);
    }
    if (value[len] != '/' || !parse_number(value + len + 1, 1, SHARES_MAX, &shares) ||
        !parse_number(first, 1, shares, &share)) {
        return dk_flag_error(why, name, value, "which share of how many, as 1/4");
    }
    flags->share = (uint32_t)share - 1;
    flags->shares = (uint32_t)shares;
    return DK_OK;
}

static enum dk_error set_most(struct dk_replay_flags *flags, const char *name, const char *value,
                              struct dk_error_text *why) {
    uint64_t rows = 0;
    if (!parse_number(value, 1, 100000, &rows)) {
        return dk_flag_error(why, name, value, "a whole number from 1 to 100000");
    }
    flags->most = (size_t)rows;
    return DK_OK;
}

static enum dk_error parse_time(const char *name, const char *value, int64_t *out,
                                struct dk_error_text *why) {
    return dk_timestamp_parse(dk_bytes_of(value), out)
               ? DK_OK
               : dk_flag_error(why, name, value, "a time as 2026-03-01T12:00:00Z");
}

static enum dk_error set_since(struct dk_replay_flags *flags, const char *name, const char *value,
                               struct dk_error_text *why) {
    return parse_time(name, value, &flags->since_ns, why);
}

static enum dk_error set_until(struct dk_replay_flags *flags, const char *name, const char *value,
                               struct dk_error_text *why) {
    return parse_time(name, value, &flags->until_ns, why);
}

static enum dk_error set_fix_time(struct dk_replay_flags *flags, const char *name,
                                  const char *value, struct dk_error_text *why) {
    bool recorded = strcmp(value, "recorded") == 0;
    flags->when = recorded ? DK_REPLAY_RECORDED : DK_REPLAY_FIXED;
    flags->options.knows_time = true;
    if (recorded || dk_timestamp_parse(dk_bytes_of(value), &flags->fixed_ns)) {
        return DK_OK;
    }
    return dk_flag_error(why, name, value, "recorded, or a time as 2026-03-01T12:00:00Z");
}

static bool starts_with(const char *text, size_t len, const char *word) {
    return strlen(word) == len && memcmp(text, word, len) == 0;
}

static enum dk_error set_fail_on(struct dk_replay_flags *flags, const char *name, const char *value,
                                 struct dk_error_text *why) {
    const char *rest = value;
    flags->fails = NO_FAILS;
    if (strcmp(value, "none") == 0) {
        return DK_OK;
    }
    for (;;) {
        size_t len = strcspn(rest, ",");
        int class = DK_NEWLY_DENIED;
        while (class < DK_REPLAY_CLASSES &&
               !starts_with(rest, len, dk_replay_class_name((enum dk_replay_class) class))) {
            class ++;
        }
        if (class == DK_REPLAY_CLASSES) {
            return dk_flag_error(
                why, name, value,
                "none, or of newly-denied, newly-allowed, undefined, error, otherwise, "
                "not-reproducible some, separated by commas");
        }
        flags->fails |= 1u << class;
        if (rest[len] == '\0') {
            return DK_OK;
        }
        rest += len + 1;
    }
}

static enum dk_error add_output(struct dk_replay_flags *flags, const char *name, const char *value,
                                struct dk_error_text *why) {
    size_t len = strcspn(value, "=");
    int format = 0;
    while (format < DK_REPLAY_FORMATS &&
           !starts_with(value, len, dk_replay_format_name((enum dk_replay_format)format))) {
        format++;
    }
    if (format == DK_REPLAY_FORMATS || (value[len] == '=' && value[len + 1] == '\0')) {
        return dk_flag_error(why, name, value,
                             "table, json, junit or markdown, and for a file =PATH behind it");
    }
    if (flags->output_count == DK_REPLAY_OUTPUTS_MAX) {
        return dk_fail(why, DK_ERR_CONFIG, "%s: at most %u of them", name, DK_REPLAY_OUTPUTS_MAX);
    }
    flags->outputs[flags->output_count++] = (struct dk_replay_target){
        .format = (enum dk_replay_format)format,
        .path = value[len] == '=' ? value + len + 1 : NULL,
    };
    return DK_OK;
}

#define TEXT(name, member) {name, set_text, offsetof(struct dk_replay_flags, member)}
#define SWITCH(name, member) {name, NULL, offsetof(struct dk_replay_flags, member)}

/* Marks a flag whose value is kept as it is; dk_replay_flags_parse stores it. */
static enum dk_error set_text(struct dk_replay_flags *flags, const char *name, const char *value,
                              struct dk_error_text *why) {
    (void)flags;
    return value[0] != '\0' ? DK_OK : dk_flag_error(why, name, value, "a value that is not empty");
}

static const struct flag table[] = {
    TEXT("--policy", policy),
    TEXT("--against", against),
    TEXT("--opa-binary", opa_binary),
    TEXT("--kafka-config", kafka_config),
    TEXT("--resume", resume),
    {"--share", set_share, 0},
    TEXT("--principal", options.principal),
    TEXT("--resource", options.resource),
    {"--rule", set_rule, 0},
    {"--sample", set_sample, 0},
    {"--since", set_since, 0},
    {"--until", set_until, 0},
    {"--fix-time", set_fix_time, 0},
    {"--fail-on", set_fail_on, 0},
    {"--output", add_output, 0},
    {"--top", set_most, 0},
    {"--max-event", set_max_event, 0},
    SWITCH("--strict", strict),
    SWITCH("--help", help),
    SWITCH("-h", help),
};

/* ---- the command line -------------------------------------------------------------------- */

static const struct flag *find_flag(const char *argument, size_t len) {
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (starts_with(argument, len, table[i].name)) {
            return &table[i];
        }
    }
    return NULL;
}

static enum dk_error unknown(const char *argument, struct dk_error_text *why) {
    char escaped[120];
    size_t len = dk_bytes_escape(dk_bytes_of(argument), escaped, sizeof(escaped));
    return dk_fail(why, DK_ERR_CONFIG, "%.*s: there is no such flag; see doorkeeper replay --help",
                   (int)len, escaped);
}

static enum dk_error store(const struct flag *flag, const char *value, struct dk_replay_flags *out,
                           struct dk_error_text *why) {
    enum dk_error error = flag->set(out, flag->name, value, why);
    if (error == DK_OK && flag->set == set_text) {
        memcpy((char *)out + flag->offset, &value, sizeof(value));
    }
    return error;
}

/* One flag at argv[*i]; its value may be behind it. */
static enum dk_error take_flag(int argc, char **argv, int *i, struct dk_replay_flags *out,
                               struct dk_error_text *why) {
    const char *argument = argv[*i];
    size_t len = strcspn(argument, "=");
    const struct flag *flag = find_flag(argument, len);
    if (flag == NULL) {
        return unknown(argument, why);
    }
    if (flag->set == NULL) {
        if (argument[len] == '=') {
            return dk_fail(why, DK_ERR_CONFIG, "%s: takes no value", flag->name);
        }
        *((bool *)((char *)out + flag->offset)) = true;
        return DK_OK;
    }
    if (argument[len] == '=') {
        return store(flag, argument + len + 1, out, why);
    }
    if (*i + 1 == argc) {
        return dk_fail(why, DK_ERR_CONFIG, "%s: needs a value", flag->name);
    }
    (*i)++;
    return store(flag, argv[*i], out, why);
}

const char *dk_replay_topic(const char *log) {
    static const char scheme[] = "topic:";
    return strncmp(log, scheme, sizeof(scheme) - 1) == 0 ? log + sizeof(scheme) - 1 : NULL;
}

static enum dk_error check_topics(const struct dk_replay_flags *flags, struct dk_error_text *why) {
    size_t topics = 0;
    for (size_t i = 0; i < flags->log_count; i++) {
        topics += dk_replay_topic(flags->logs[i]) != NULL;
    }
    if (topics > 0 && flags->kafka_config == NULL) {
        return dk_fail(why, DK_ERR_CONFIG,
                       "--kafka-config: missing; name a file of librdkafka's properties, with "
                       "bootstrap.servers");
    }
    if (topics == 0 && (flags->kafka_config != NULL || flags->shares > 1)) {
        return dk_fail(why, DK_ERR_CONFIG, "%s: is for a topic; name one as topic:NAME",
                       flags->kafka_config != NULL ? "--kafka-config" : "--share");
    }
    return DK_OK;
}

static enum dk_error check(const struct dk_replay_flags *flags, struct dk_error_text *why) {
    size_t to_stdout = 0;
    for (size_t i = 0; i < flags->output_count; i++) {
        to_stdout += flags->outputs[i].path == NULL;
    }
    if (flags->policy == NULL) {
        return dk_fail(why, DK_ERR_CONFIG,
                       "--policy: missing; name the URL of an OPA, or a bundle's directory or "
                       "tar.gz");
    }
    if (flags->log_count == 0) {
        return dk_fail(why, DK_ERR_CONFIG,
                       "no log: name files, topic:NAME, or - for standard input");
    }
    if (to_stdout > 1) {
        return dk_fail(why, DK_ERR_CONFIG,
                       "--output: two of them to standard output; name a file for one, as "
                       "markdown=comment.md");
    }
    return check_topics(flags, why);
}

enum dk_error dk_replay_flags_parse(int argc, char **argv, struct dk_replay_flags *out,
                                    struct dk_error_text *why) {
    bool only_logs = false;
    memset(out, 0, sizeof(*out));
    out->opa_binary = "opa";
    out->shares = 1;
    out->options.sample = 1;
    out->since_ns = INT64_MIN;
    out->until_ns = INT64_MAX;
    out->max_event = DK_LOG_EVENT_MAX_DEFAULT;
    out->most = 20;
    out->fails = ALL_DIFFERENCES;
    out->logs = (const char **)argv;
    for (int i = 1; i < argc; i++) {
        bool is_flag = !only_logs && argv[i][0] == '-' && argv[i][1] != '\0';
        if (is_flag && strcmp(argv[i], "--") == 0) {
            only_logs = true;
        } else if (!is_flag) {
            out->logs[out->log_count++] = argv[i];
        } else {
            enum dk_error error = take_flag(argc, argv, &i, out, why);
            if (error != DK_OK) {
                return error;
            }
        }
    }
    if (out->output_count == 0) {
        out->outputs[out->output_count++] = (struct dk_replay_target){DK_REPLAY_TABLE, NULL};
    }
    return out->help ? DK_OK : check(out, why);
}
