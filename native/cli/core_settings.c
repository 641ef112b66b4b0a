/* SPDX-License-Identifier: Apache-2.0 */
#include "core_settings.h"

#include "properties.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OWN_MAX 2u /* the URL and num.io.threads */

static const char *const url_key = "doorkeeper.opa.url";
static const char *const threads_key = "num.io.threads";

/* The list that is handed to the parser: each key once. */
struct list {
    struct dk_setting *settings;
    size_t count;
};

static bool has(const struct list *list, struct dk_bytes key) {
    for (size_t i = 0; i < list->count; i++) {
        if (dk_bytes_equal(list->settings[i].key, key)) {
            return true;
        }
    }
    return false;
}

static void add(struct list *list, const char *key, const char *value) {
    list->settings[list->count++] = (struct dk_setting){dk_bytes_of(key), dk_bytes_of(value)};
}

static enum dk_error add_sets(const struct dk_settings_source *source, struct list *list,
                              struct dk_error_text *why) {
    for (size_t i = 0; i < source->set_count; i++) {
        const char *text = source->sets[i];
        const char *equals = strchr(text, '=');
        size_t len = equals == NULL ? 0 : (size_t)(equals - text);
        struct dk_bytes key = {(const uint8_t *)text, len};
        if (len == 0) {
            return dk_fail(why, DK_ERR_CONFIG, "--set %.100s: expected key=value", text);
        }
        if (strncmp(text, "doorkeeper.", 11) != 0 && !dk_config_is_setting(key)) {
            return dk_fail(why, DK_ERR_CONFIG,
                           "--set %.100s: expected a setting of docs/configuration.md", text);
        }
        list->settings[list->count++] = (struct dk_setting){key, dk_bytes_of(equals + 1)};
    }
    return DK_OK;
}

/* What only fits the OPA that the stub stands for. */
static bool is_of_opa(struct dk_bytes key) {
    static const char *const keys[] = {
        "doorkeeper.opa.token.file",       "doorkeeper.opa.ca.file",
        "doorkeeper.opa.certificate.file", "doorkeeper.opa.key.file",
        "doorkeeper.opa.revision.path",
    };
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (dk_bytes_equal(key, dk_bytes_of(keys[i]))) {
            return true;
        }
    }
    return false;
}

/* The file's settings, but for those that are there already. A key that the file itself repeats
 * stays an error of the file. */
static enum dk_error add_file(const struct properties *file, bool stub, struct list *list,
                              struct dk_error_text *why) {
    const struct list before = *list;
    for (size_t i = 0; i < file->count; i++) {
        const struct dk_setting *setting = &file->list[i];
        if (has(&before, setting->key) || (stub && is_of_opa(setting->key))) {
            continue;
        }
        if (dk_config_is_setting(setting->key) && properties_is_variable(setting->value)) {
            return dk_fail(why, DK_ERR_CONFIG,
                           "%.*s is filled in by a config provider: give its value by --set",
                           (int)setting->key.len, (const char *)setting->key.ptr);
        }
        list->settings[list->count++] = *setting;
    }
    return DK_OK;
}

static enum dk_error make(const struct dk_settings_source *source, const struct properties *file,
                          struct list *list, struct dk_config *out, struct dk_error_text *why) {
    char threads[24];
    (void)snprintf(threads, sizeof(threads), "%llu", (unsigned long long)source->threads);
    if (source->url != NULL) {
        add(list, url_key, source->url);
    }
    enum dk_error error = add_sets(source, list, why);
    if (error == DK_OK) {
        error = add_file(file, source->is_stub, list, why);
    }
    if (error == DK_OK && !has(list, dk_bytes_of(threads_key))) {
        add(list, threads_key, threads);
    }
    return error == DK_OK ? dk_config_parse(list->settings, list->count, out, why) : error;
}

enum dk_error dk_settings_make(const struct dk_settings_source *source, struct dk_config *out,
                               struct dk_error_text *why) {
    struct properties file = {NULL, 0, NULL, NULL};
    memset(out, 0, sizeof(*out));
    enum dk_error error =
        source->config == NULL ? DK_OK : properties_read(source->config, &file, why);
    if (error != DK_OK) {
        return error;
    }
    struct list list = {
        .settings = calloc(OWN_MAX + source->set_count + file.count, sizeof(*list.settings))};
    error = list.settings == NULL ? dk_fail(why, DK_ERR_MEMORY, "%s", dk_strerror(DK_ERR_MEMORY))
                                  : make(source, &file, &list, out, why);
    free(list.settings);
    properties_clean_up(&file);
    return error;
}
