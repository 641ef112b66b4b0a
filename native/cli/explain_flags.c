/* SPDX-License-Identifier: Apache-2.0 */
#include "explain_flags.h"

#include "flag_error.h"

#include <getopt.h>
#include <string.h>

enum flag {
    FLAG_PRINCIPAL = 256,
    FLAG_CERTIFICATE,
    FLAG_OPERATION,
    FLAG_RESOURCE,
    FLAG_PATTERN,
    FLAG_CLUSTER,
    FLAG_LISTENER,
    FLAG_PROTOCOL,
    FLAG_ADDRESS,
    FLAG_CLIENT_ID,
    FLAG_API,
    FLAG_FROM_LOG,
    FLAG_TRACE,
    FLAG_CONFIG,
    FLAG_OPA,
    FLAG_SET,
    FLAG_HELP,
};

static const struct option long_flags[] = {
    {"principal", required_argument, NULL, FLAG_PRINCIPAL},
    {"certificate", required_argument, NULL, FLAG_CERTIFICATE},
    {"operation", required_argument, NULL, FLAG_OPERATION},
    {"resource", required_argument, NULL, FLAG_RESOURCE},
    {"pattern", required_argument, NULL, FLAG_PATTERN},
    {"cluster", required_argument, NULL, FLAG_CLUSTER},
    {"listener", required_argument, NULL, FLAG_LISTENER},
    {"protocol", required_argument, NULL, FLAG_PROTOCOL},
    {"address", required_argument, NULL, FLAG_ADDRESS},
    {"client-id", required_argument, NULL, FLAG_CLIENT_ID},
    {"api", required_argument, NULL, FLAG_API},
    {"from-log", required_argument, NULL, FLAG_FROM_LOG},
    {"trace", required_argument, NULL, FLAG_TRACE},
    {"config", required_argument, NULL, FLAG_CONFIG},
    {"opa", required_argument, NULL, FLAG_OPA},
    {"set", required_argument, NULL, FLAG_SET},
    {"help", no_argument, NULL, FLAG_HELP},
    {NULL, 0, NULL, 0},
};

static const char **text_of(struct dk_explain_flags *flags, enum flag flag) {
    switch (flag) {
    case FLAG_PRINCIPAL:
        return &flags->principal;
    case FLAG_CERTIFICATE:
        return &flags->certificate;
    case FLAG_OPERATION:
        return &flags->operation;
    case FLAG_RESOURCE:
        return &flags->resource;
    case FLAG_PATTERN:
        return &flags->pattern;
    case FLAG_CLUSTER:
        return &flags->cluster;
    case FLAG_LISTENER:
        return &flags->listener;
    case FLAG_PROTOCOL:
        return &flags->protocol;
    case FLAG_ADDRESS:
        return &flags->address;
    case FLAG_CLIENT_ID:
        return &flags->client_id;
    case FLAG_API:
        return &flags->api;
    case FLAG_FROM_LOG:
        return &flags->from_log;
    case FLAG_TRACE:
        return &flags->trace;
    case FLAG_CONFIG:
        return &flags->settings.config;
    default:
        return &flags->settings.url;
    }
}

/* `given`: the flag as it was written. */
static enum dk_error take(struct dk_explain_flags *flags, int flag, const char *given,
                          const char *value, struct dk_error_text *why) {
    switch (flag) {
    case '?':
    case ':':
        return dk_flag_error(why, given, "", "a flag of doorkeeper explain --help");
    case FLAG_HELP:
        flags->help = true;
        return DK_OK;
    case FLAG_SET:
        if (flags->settings.set_count == DK_EXPLAIN_SETS_MAX) {
            return dk_flag_error(why, "--set", value, "at most 64 of them");
        }
        flags->sets[flags->settings.set_count++] = value;
        return DK_OK;
    default:
        *text_of(flags, (enum flag)flag) = value;
        return DK_OK;
    }
}

static enum dk_error check(const struct dk_explain_flags *flags, struct dk_error_text *why) {
    bool asks = flags->principal != NULL && flags->operation != NULL && flags->resource != NULL;
    if (flags->trace != NULL && strcmp(flags->trace, "notes") != 0 &&
        strcmp(flags->trace, "full") != 0) {
        return dk_flag_error(why, "--trace", flags->trace, "notes or full");
    }
    if (flags->from_log != NULL && (flags->principal != NULL || flags->resource != NULL)) {
        return dk_fail(
            why, DK_ERR_CONFIG,
            "--from-log has a question of its own: leave out --principal and --resource");
    }
    if (flags->from_log == NULL && !asks) {
        return dk_fail(why, DK_ERR_CONFIG,
                       "who asks for what? expected --principal, --operation and --resource, or "
                       "--from-log");
    }
    return DK_OK;
}

enum dk_error dk_explain_flags_parse(int argc, char **argv, struct dk_explain_flags *out,
                                     struct dk_error_text *why) {
    memset(out, 0, sizeof(*out));
    out->pattern = "LITERAL";
    out->cluster = "";
    out->settings.threads = 8;
    optind = 0;
    opterr = 0;
    enum dk_error error = DK_OK;
    int flag = getopt_long(argc, argv, "+:", long_flags, NULL);
    for (; flag != -1 && error == DK_OK; flag = getopt_long(argc, argv, "+:", long_flags, NULL)) {
        error = take(out, flag, argv[optind - 1], optarg, why);
    }
    if (error == DK_OK && optind < argc) {
        error = dk_flag_error(why, argv[optind], "", "only flags");
    }
    return error != DK_OK || out->help ? error : check(out, why);
}
