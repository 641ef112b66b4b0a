/* SPDX-License-Identifier: Apache-2.0 */
#include "tls_watch.h"

#include <string.h>

static const enum dk_config_file config_files[DK_TLS_COUNT] = {
    [DK_TLS_CA] = DK_FILE_CA,
    [DK_TLS_CERTIFICATE] = DK_FILE_CERTIFICATE,
    [DK_TLS_KEY] = DK_FILE_KEY,
};

enum dk_error dk_tls_watch_init(struct dk_tls_watch *watch, const struct dk_config *config,
                                struct dk_error_text *why) {
    memset(watch, 0, sizeof(*watch));
    enum dk_error error = DK_OK;
    for (size_t i = 0; i < DK_TLS_COUNT && error == DK_OK; i++) {
        error = dk_file_watch_init(&watch->files[i], config, config_files[i], why);
    }
    return error;
}

void dk_tls_watch_clean_up(struct dk_tls_watch *watch) {
    for (size_t i = 0; i < DK_TLS_COUNT; i++) {
        dk_file_watch_clean_up(&watch->files[i]);
    }
}

struct dk_http_pem dk_tls_watch_pem(const struct dk_tls_watch *watch) {
    return (struct dk_http_pem){.ca = dk_writer_view(&watch->files[DK_TLS_CA].current),
                                .certificate =
                                    dk_writer_view(&watch->files[DK_TLS_CERTIFICATE].current),
                                .key = dk_writer_view(&watch->files[DK_TLS_KEY].current)};
}

/* What the files hold now: the new content where there is some. */
static struct dk_http_pem newest(const struct dk_tls_watch *watch,
                                 const enum dk_file_news news[DK_TLS_COUNT]) {
    struct dk_bytes texts[DK_TLS_COUNT];
    for (size_t i = 0; i < DK_TLS_COUNT; i++) {
        const struct dk_file_watch *file = &watch->files[i];
        texts[i] = dk_writer_view(news[i] == DK_FILE_NEW ? &file->seen : &file->current);
    }
    return (struct dk_http_pem){texts[DK_TLS_CA], texts[DK_TLS_CERTIFICATE], texts[DK_TLS_KEY]};
}

static void keep(struct dk_tls_watch *watch, struct dk_log *log, const struct dk_error_text *why) {
    dk_log_write_limited(log, &watch->limit, DK_LOG_WARN,
                         "%s; the last good files for TLS to OPA stay in use", why->text);
}

void dk_tls_watch_look(struct dk_tls_watch *watch, struct dk_resolver *resolver,
                       struct dk_log *log) {
    enum dk_file_news news[DK_TLS_COUNT];
    struct dk_error_text why = {""};
    bool any_new = false;
    for (size_t i = 0; i < DK_TLS_COUNT; i++) {
        news[i] = dk_file_watch_look(&watch->files[i], &why);
        any_new |= news[i] == DK_FILE_NEW;
        if (news[i] == DK_FILE_FAILED) {
            keep(watch, log, &why);
        }
    }
    if (!any_new) {
        return;
    }
    struct dk_http_pem pem = newest(watch, news);
    if (dk_resolver_set_pem(resolver, &pem, &why) != DK_OK) {
        keep(watch, log, &why);
        return;
    }
    for (size_t i = 0; i < DK_TLS_COUNT; i++) {
        if (news[i] == DK_FILE_NEW) {
            dk_file_watch_accept(&watch->files[i]);
        }
    }
    dk_log_write(log, DK_LOG_CORE, DK_LOG_INFO, "the files for TLS to OPA were replaced");
}
