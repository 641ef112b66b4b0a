/* SPDX-License-Identifier: Apache-2.0 */
#include "token_watch.h"

#include "doorkeeper/http.h"

#include <string.h>

static enum dk_error check(const struct dk_writer *content, struct dk_error_text *why) {
    struct dk_bytes token;
    enum dk_error error = dk_http_token_of(dk_writer_view(content), &token);
    if (error != DK_OK || token.len == 0) {
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
    struct dk_bytes content = dk_writer_view(&watch->file.current), token;
    return dk_http_token_of(content, &token) == DK_OK ? token : (struct dk_bytes){NULL, 0};
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
