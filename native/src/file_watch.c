/* SPDX-License-Identifier: Apache-2.0 */
#include "file_watch.h"

#include <string.h>

enum dk_error dk_file_watch_init(struct dk_file_watch *watch, const struct dk_config *config,
                                 enum dk_config_file file, struct dk_error_text *why) {
    memset(watch, 0, sizeof(*watch));
    watch->config = config;
    watch->file = file;
    return dk_config_read_file(config, file, &watch->current, why);
}

void dk_file_watch_clean_up(struct dk_file_watch *watch) {
    dk_writer_forget(&watch->current);
    dk_writer_forget(&watch->seen);
}

enum dk_file_news dk_file_watch_look(struct dk_file_watch *watch, struct dk_error_text *why) {
    struct dk_writer now;
    if (dk_config_read_file(watch->config, watch->file, &now, why) != DK_OK) {
        return DK_FILE_FAILED;
    }
    bool twice = dk_bytes_equal(dk_writer_view(&now), dk_writer_view(&watch->seen));
    bool other = !dk_bytes_equal(dk_writer_view(&now), dk_writer_view(&watch->current));
    dk_writer_forget(&watch->seen);
    watch->seen = now;
    return twice && other ? DK_FILE_NEW : DK_FILE_OLD;
}

void dk_file_watch_accept(struct dk_file_watch *watch) {
    dk_writer_forget(&watch->current);
    watch->current = watch->seen;
    memset(&watch->seen, 0, sizeof(watch->seen));
}
