/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a decision log. The first byte chooses the longest event. Events are whole values
 * where the reader says so, reading always ends, and every event goes into a table: a question that
 * is taken for Doorkeeper's reads the same when it is written again.
 */
#include "doorkeeper/question.h"
#include "json_scan.h"
#include "log_event.h"
#include "log_reader.h"
#include "replay_report.h"
#include "replay_table.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition) {
        abort();
    }
}

static int file_of(const uint8_t *data, size_t size) {
    int fd = memfd_create("log", MFD_CLOEXEC);
    require(fd >= 0 && write(fd, data, size) == (ssize_t)size && lseek(fd, 0, SEEK_SET) == 0);
    return fd;
}

static void add(struct dk_replay_table *table, struct dk_bytes text) {
    struct dk_log_event event;
    struct dk_error_text why = {""};
    enum dk_log_event_kind kind = dk_log_event_parse(text, &event, &why);
    require((kind == DK_EVENT_MALFORMED) == (why.text[0] != '\0'));
    if (kind == DK_EVENT_DECISION) {
        enum dk_error error = dk_replay_table_add(table, &event, &why);
        require(error == DK_OK || (error == DK_ERR_MALFORMED && why.text[0] != '\0'));
    }
}

/* Every row's question can be asked, and the report has all decisions. */
static void check(struct dk_replay_table *table) {
    struct dk_replay_report report;
    uint64_t decisions = 0;
    for (size_t i = 0; i < dk_replay_table_rows(table); i++) {
        const struct dk_replay_row *row = dk_replay_table_row(table, i);
        require(row->question < dk_replay_table_questions(table));
        struct dk_writer body;
        dk_writer_init(&body, (size_t)64 * 1024 * 1024);
        dk_replay_table_write(table, dk_replay_table_question(table, row->question), &body);
        require(!body.failed && dk_bytes_is_utf8(dk_writer_view(&body)));
        dk_writer_clean_up(&body);
        decisions += row->count;
    }
    require(dk_replay_report_init(table, false, &report) == DK_OK);
    for (int class = 0; class < DK_REPLAY_CLASSES; class ++) {
        decisions -= report.sums[class].decisions;
    }
    require(decisions == 0);
    dk_replay_report_clean_up(&report);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct dk_replay_options options = {.sample = 1};
    struct dk_replay_table *table = NULL;
    struct dk_log_reader *reader = NULL;
    if (size == 0) {
        return 0;
    }
    size_t max_event = (size_t)64 << (data[0] % 16);
    int fd = file_of(data + 1, size - 1);
    require(dk_replay_table_new(&options, &table) == DK_OK);
    require(dk_log_reader_new(fd, max_event, &reader) == DK_OK);
    for (;;) {
        struct dk_bytes text;
        struct dk_error_text why = {""};
        enum dk_log_read read = dk_log_reader_next(reader, &text, &why);
        if (read == DK_LOG_END) {
            break;
        }
        require((read == DK_LOG_BAD) == (why.text[0] != '\0'));
        if (read == DK_LOG_EVENT) {
            require(text.len > 0 && text.len <= max_event);
            add(table, text);
        }
    }
    check(table);
    dk_log_reader_destroy(reader);
    dk_replay_table_destroy(table);
    close(fd);
    return 0;
}
