/* SPDX-License-Identifier: Apache-2.0 */
#include "token_watch.h"

#include "doorkeeper/http.h"

#include <string.h>

/* Text editors end a file with a newline. */
static struct dk_bytes without_end(struct dk_bytes text) {
    while (text.len > 0 && text.ptr[text.len - 1] <= ' ') {
        text.len--;
    }
    return text;
}

/* Anything but visible ASCII could end the header and begin another. */
static bool is_token(struct dk_bytes text) {
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] <= ' ' || text.ptr[i] >= 0x7f) {
            return false;
        }
    }
    return text.len > 0 && text.len <= DK_TOKEN_MAX;
}

static enum dk_error check(const struct dk_writer *content, struct dk_error_text *why) {
    if (!is_token(without_end(dk_writer_view(content)))) {
        return dk_fail(why, DK_ERR_CONFIG,
                       "doorkeeper.opa.token.file: expected a token of visible ASCII characters, "
                       "without spaces, of at most %u bytes",
                       DK_TOKEN_MAX);
    }
    return DK_OK;
}

enum dk_error dk_token_watch_init(struct dk_token_watch *watch, const struct dk_config *config,
                                  struct dk_error_text *why) {
    memset(watch, 0, sizeof(*watch));
    enum dk_error error = dk_file_watch_init(&watch->file, config, DK_FILE_TOKEN, why);
    if (error != DK_OK || config->opa_token_file[0] == '\0') {
        return error;
    }
    return check(&watch->file.current, why);
}

void dk_token_watch_clean_up(struct dk_token_watch *watch) {
    dk_file_watch_clean_up(&watch->file);
}

struct dk_bytes dk_token_watch_token(const struct dk_token_watch *watch) {
    return without_end(dk_writer_view(&watch->file.current));
}

bool dk_token_watch_look(struct dk_token_watch *watch, struct dk_log *log) {
    struct dk_error_text why = {""};
    enum dk_file_news news = dk_file_watch_look(&watch->file, &why);
    if (news == DK_FILE_OLD) {
        return false;
    }
    if (news == DK_FILE_FAILED || check(&watch->file.seen, &why) != DK_OK) {
        dk_log_write_limited(log, &watch->limit, DK_LOG_WARN,
                             "%s; the last good token stays in use", why.text);
        return false;
    }
    dk_file_watch_accept(&watch->file);
    return true;
}
