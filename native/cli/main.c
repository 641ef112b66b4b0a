/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The doorkeeper command, for people who run a broker.
 *
 * docs/configuration.md is checked in as `doorkeeper config-reference > docs/configuration.md`
 * prints it; tests/unit/check_command.sh compares the two.
 */
#include "bench.h"
#include "doorkeeper/config.h"
#include "doorkeeper/deny_list.h"
#include "explain.h"
#include "properties.h"
#include "replay.h"

#include <stdio.h>
#include <string.h>

#define REFERENCE_MAX (1024u * 1024u)

enum exit_status { EXIT_FINE = 0, EXIT_WRONG = 1, EXIT_USAGE = 2 };

static const char usage_text[] =
    "usage: doorkeeper config-reference      print docs/configuration.md\n"
    "       doorkeeper check-config FILE     check a server.properties and the files it names\n"
    "       doorkeeper bench [OPTIONS]       measure what a decision costs; see bench --help\n"
    "       doorkeeper replay LOG... --policy X    which decisions another policy would change\n"
    "       doorkeeper explain --help        why somebody is allowed, or denied, something\n"
    "\n"
    "Exit status: 0 all is well, 1 something is wrong, 2 wrong usage.\n";

static enum exit_status config_reference(void) {
    struct dk_writer reference;
    dk_writer_init(&reference, REFERENCE_MAX);
    dk_config_write_markdown(&reference);
    bool ok = !reference.failed &&
              fwrite(reference.ptr, 1, reference.len, stdout) == reference.len &&
              fflush(stdout) == 0;
    dk_writer_clean_up(&reference);
    if (!ok) {
        fputs("doorkeeper: the reference could not be written\n", stderr);
    }
    return ok ? EXIT_FINE : EXIT_WRONG;
}

static void print_error(void *user, const char *text) {
    size_t *errors = user;
    (*errors)++;
    printf("error: %s\n", text);
}

/* Takes values out that a config provider of Kafka's fills in: nobody here knows them. True if no
 * setting of Doorkeeper's is among them. */
static bool leave_out_variables(struct properties *properties) {
    size_t kept = 0;
    bool complete = true;
    for (size_t i = 0; i < properties->count; i++) {
        struct dk_setting setting = properties->list[i];
        if (!properties_is_variable(setting.value)) {
            properties->list[kept++] = setting;
        } else if (dk_config_is_setting(setting.key)) {
            complete = false;
            printf("note: %.*s is filled in by a config provider and was not checked\n",
                   (int)setting.key.len, (const char *)setting.key.ptr);
        }
    }
    properties->count = kept;
    return complete;
}

static enum dk_error check_deny_list(const struct dk_config *config, struct dk_bytes text,
                                     struct dk_error_text *why) {
    struct dk_deny_list *list = NULL;
    struct dk_error_text cause = {""};
    if (dk_deny_list_parse(text, &list, &cause) != DK_OK) {
        return dk_config_fail_file(config, DK_FILE_DENY, cause.text, why);
    }
    dk_deny_list_release(list);
    return DK_OK;
}

static void check_file(const struct dk_config *config, enum dk_config_file file, size_t *errors) {
    struct dk_writer content;
    struct dk_error_text why = {""};
    enum dk_error error = dk_config_read_file(config, file, &content, &why);
    if (error == DK_OK && file == DK_FILE_DENY && content.len > 0) {
        error = check_deny_list(config, dk_writer_view(&content), &why);
    }
    dk_writer_clean_up(&content);
    if (error != DK_OK) {
        print_error(errors, why.text);
    }
}

static void check_files(const struct dk_config *config, size_t *errors) {
    for (int file = 0; file < DK_FILE_COUNT; file++) {
        check_file(config, (enum dk_config_file)file, errors);
    }
}

static size_t check_settings(struct properties *properties) {
    size_t errors = 0;
    struct dk_config config;
    bool complete = leave_out_variables(properties);
    enum dk_error error = dk_config_parse_all(properties->list, properties->count, complete,
                                              &config, print_error, &errors);
    if (error == DK_OK) {
        check_files(&config, &errors);
        dk_config_clean_up(&config);
    } else if (errors == 0) {
        print_error(&errors, dk_strerror(error));
    }
    return errors;
}

static enum exit_status check_config(const char *path) {
    struct dk_error_text why = {""};
    struct properties properties;
    size_t errors = 0;
    if (properties_read(path, &properties, &why) == DK_OK) {
        errors = check_settings(&properties);
        properties_clean_up(&properties);
    } else {
        print_error(&errors, why.text);
    }
    if (errors == 0) {
        printf("%s: no errors\n", path);
    }
    return errors == 0 ? EXIT_FINE : EXIT_WRONG;
}

int main(int argc, char **argv) {
    const char *command = argc > 1 ? argv[1] : "";
    if (strcmp(command, "config-reference") == 0 && argc == 2) {
        return config_reference();
    }
    if (strcmp(command, "check-config") == 0 && argc == 3) {
        return check_config(argv[2]);
    }
    if (strcmp(command, "bench") == 0) {
        return dk_bench_main(argc - 1, argv + 1);
    }
    if (strcmp(command, "explain") == 0) {
        return dk_explain_main(argc - 1, argv + 1);
    }
    if (strcmp(command, "replay") == 0) {
        return dk_replay_main(argc - 1, argv + 1);
    }
    bool help = strcmp(command, "--help") == 0 || strcmp(command, "-h") == 0;
    fputs(usage_text, help ? stdout : stderr);
    return help ? EXIT_FINE : EXIT_USAGE;
}
