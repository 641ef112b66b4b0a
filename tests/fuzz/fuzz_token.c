/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as the content of a token's file: what comes to be used can stand in a header and is
 * all of the file but the white space around it; what is refused leaves the last good token in use,
 * and nothing of it is shown. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memfd_create */
#endif
#include "token_watch.h"

#include "doorkeeper/http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define GOOD "good"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int file;
static struct dk_config config;
static struct dk_log *log_lines;
static struct dk_http *http;
/* What is said of a file without a token, whatever stands in it. */
static char said_of_bad[1024], said_of_empty[1024];

static void require(bool condition) {
    if (!condition) {
        abort();
    }
}

static void write_file(struct dk_bytes content) {
    require(ftruncate(file, 0) == 0);
    require(pwrite(file, content.ptr, content.len, 0) == (ssize_t)content.len);
}

static void read_line(char *out, size_t size) {
    uint8_t room[4096];
    size_t len = dk_log_drain(log_lines, room, sizeof(room), 0);
    require(len >= 4);
    snprintf(out, size, "%.*s", (int)dk_read_u16(room + 2), (const char *)room + 4);
}

static void begin(struct dk_token_watch *watch) {
    write_file(dk_bytes_of(GOOD));
    require(dk_token_watch_init(watch, &config, NULL) == DK_OK);
}

/* Twice, as it takes. */
static bool look(struct dk_token_watch *watch) {
    bool changed = dk_token_watch_look(watch, log_lines);
    return dk_token_watch_look(watch, log_lines) || changed;
}

static void learn_what_is_said(struct dk_bytes content, char *out, size_t size) {
    struct dk_token_watch watch;
    begin(&watch);
    write_file(content);
    require(!look(&watch));
    read_line(out, size);
    dk_token_watch_clean_up(&watch);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    char path[64];
    (void)argc, (void)argv;
    file = memfd_create("token", MFD_CLOEXEC);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
    const struct dk_setting setting = {dk_bytes_of("doorkeeper.opa.token.file"), dk_bytes_of(path)};
    const struct dk_http_options options = {
        .urls = "http://127.0.0.1:1", .connect_timeout_ms = 1, .connections = 1, .max_body = 1};
    require(file >= 0 && dk_config_parse(&setting, 1, &config, NULL) == DK_OK);
    require(dk_log_new(16, &log_lines) == DK_OK);
    require(dk_http_new(&options, &http, NULL) == DK_OK);
    learn_what_is_said(dk_bytes_of("two words"), said_of_bad, sizeof(said_of_bad));
    learn_what_is_said(dk_bytes_of(""), said_of_empty, sizeof(said_of_empty));
    return 0;
}

static bool is_visible(struct dk_bytes text) {
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] <= ' ' || text.ptr[i] >= 0x7f) {
            return false;
        }
    }
    return true;
}

static struct dk_bytes without_space_around(struct dk_bytes text) {
    static const char space[] = " \t\r\n";
    while (text.len > 0 && memchr(space, text.ptr[0], 4) != NULL) {
        text.ptr++;
        text.len--;
    }
    while (text.len > 0 && memchr(space, text.ptr[text.len - 1], 4) != NULL) {
        text.len--;
    }
    return text;
}

static void check_used(struct dk_bytes token, struct dk_bytes content) {
    require(dk_bytes_equal(token, without_space_around(content)));
    require(token.len > 0 && token.len <= DK_TOKEN_MAX && is_visible(token));
    require(dk_http_set_token(http, token) == DK_OK);
}

static void check_refused(struct dk_bytes token, struct dk_bytes content) {
    char line[1024];
    require(dk_bytes_equal(token, dk_bytes_of(GOOD)));
    read_line(line, sizeof(line));
    require(strcmp(line, content.len == 0 ? said_of_empty : said_of_bad) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct dk_bytes content = {data, size};
    struct dk_token_watch watch;
    begin(&watch);
    write_file(content);
    bool changed = look(&watch);
    struct dk_bytes token = dk_token_watch_token(&watch);
    if (changed) {
        check_used(token, content);
    } else if (!dk_bytes_equal(content, dk_bytes_of(GOOD))) {
        check_refused(token, content);
    }
    dk_token_watch_clean_up(&watch);

    struct dk_bytes trimmed = without_space_around(content);
    bool right = trimmed.len <= DK_TOKEN_MAX && is_visible(trimmed);
    require((dk_http_set_token(http, content) == DK_OK) == right);
    return 0;
}
