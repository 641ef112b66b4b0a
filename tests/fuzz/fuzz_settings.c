/* SPDX-License-Identifier: Apache-2.0 */
/* Any lines "key=value" as settings: what is accepted is within its bounds and reads the same when
 * it is written down and read again; what is refused leaves nothing behind and says why. */
#include "config_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SETTINGS_MAX 64
#define WRITTEN_MAX ((size_t)1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition) {
        abort();
    }
}

/* ---- what is said ------------------------------------------------------------------------ */

struct reports {
    size_t count;
    struct dk_error_text first;
};

static void on_report(void *user, const char *text) {
    static const char url[] = "doorkeeper.opa.url=";
    struct reports *reports = user;
    require(memchr(text, '\0', sizeof(reports->first.text)) != NULL && text[0] != '\0');
    for (const char *byte = text; *byte != '\0'; byte++) {
        require((uint8_t)*byte >= ' ' && *byte != 0x7f);
    }
    if (strncmp(text, url, strlen(url)) == 0) {
        require(strchr(text, '@') == NULL); /* a password may stand before it */
    }
    if (reports->count++ == 0) {
        snprintf(reports->first.text, sizeof(reports->first.text), "%s", text);
    }
}

/* ---- what is accepted -------------------------------------------------------------------- */

static char *text_of(const struct dk_config *config, const struct setting_row *row) {
    return *(char *const *)((const char *)config + row->offset);
}

static int64_t number_of(const struct dk_config *config, const struct setting_row *row) {
    return *(const int64_t *)((const char *)config + row->offset);
}

static void check_text(const char *text) {
    require(text != NULL && dk_bytes_is_utf8(dk_bytes_of(text)));
    for (; *text != '\0'; text++) {
        require((uint8_t)*text >= ' ' && *text != 0x7f);
    }
}

static void check_urls(const char *urls) {
    size_t count = 0;
    require(strpbrk(urls, "@?#\\\" ") == NULL || strstr(urls, "unix:") != NULL);
    for (const char *url = urls; url != NULL; url = strchr(url, ',')) {
        url += *url == ',' ? 1 : 0;
        require(strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0 ||
                strncmp(url, "unix:/", 6) == 0);
        count++;
    }
    require(count >= 1 && count <= DK_OPA_URLS_MAX);
}

static void check_row(const struct dk_config *config, const struct setting_row *row) {
    if (row->type == SETTING_NUMBER) {
        require(number_of(config, row) >= row->min && number_of(config, row) <= row->max);
    } else if (setting_is_text(row->type)) {
        check_text(text_of(config, row));
    }
}

static void check_accepted(const struct dk_config *config) {
    for (size_t i = 0; i < setting_row_count; i++) {
        check_row(config, &setting_rows[i]);
    }
    check_urls(config->opa_url);
    require((config->question_fields & ~(uint32_t)0x7f) == 0);
    require((config->on_unavailable & ~(uint32_t)(DK_USE_STALE | DK_LET_RETRY)) == 0);
    require((config->opa_certificate_file[0] == '\0') == (config->opa_key_file[0] == '\0'));
    for (size_t i = 0; i < config->super_user_count; i++) {
        const char *user = config->super_users[i];
        const char *colon = strchr(user, ':');
        check_text(user);
        require(colon != NULL && colon > user && colon[1] != '\0');
        require(strchr(user, ';') == NULL);
    }
}

/* ---- written down and read again --------------------------------------------------------- */

static void write_number(struct dk_writer *out, int64_t number) {
    dk_writer_u64_decimal(out, (uint64_t)number);
}

static void write_super_users(struct dk_writer *out, const struct dk_config *config) {
    for (size_t i = 0; i < config->super_user_count; i++) {
        dk_writer_text(out, i > 0 ? ";" : "");
        dk_writer_text(out, config->super_users[i]);
    }
}

/* The value of one row in `out`; false for lists of words, which are read one way only. */
static bool write_value(struct dk_writer *out, const struct dk_config *config,
                        const struct setting_row *row) {
    if (row->type == SETTING_NUMBER) {
        write_number(out, number_of(config, row));
    } else if (row->type == SETTING_PRINCIPALS) {
        write_super_users(out, config);
    } else if (setting_is_text(row->type)) {
        dk_writer_text(out, text_of(config, row));
    } else {
        return false;
    }
    return true;
}

static void compare(const struct dk_config *a, const struct dk_config *b) {
    for (size_t i = 0; i < setting_row_count; i++) {
        const struct setting_row *row = &setting_rows[i];
        struct dk_writer left;
        struct dk_writer right;
        dk_writer_init(&left, WRITTEN_MAX);
        dk_writer_init(&right, WRITTEN_MAX);
        (void)write_value(&left, a, row);
        (void)write_value(&right, b, row);
        require(dk_bytes_equal(dk_writer_view(&left), dk_writer_view(&right)));
        dk_writer_clean_up(&left);
        dk_writer_clean_up(&right);
    }
}

static void check_round_trip(const struct dk_config *config) {
    struct dk_writer values[SETTINGS_MAX];
    struct dk_setting settings[SETTINGS_MAX];
    struct dk_config again;
    size_t count = 0;
    require(setting_row_count <= SETTINGS_MAX);
    for (size_t i = 0; i < setting_row_count; i++) {
        dk_writer_init(&values[i], WRITTEN_MAX);
        if (write_value(&values[i], config, &setting_rows[i])) {
            require(!values[i].failed);
            settings[count++] =
                (struct dk_setting){dk_bytes_of(setting_rows[i].name), dk_writer_view(&values[i])};
        }
    }
    require(dk_config_parse(settings, count, &again, NULL) == DK_OK);
    compare(config, &again);
    dk_config_clean_up(&again);
    for (size_t i = 0; i < setting_row_count; i++) {
        dk_writer_clean_up(&values[i]);
    }
}

/* ---- the input --------------------------------------------------------------------------- */

static struct dk_bytes take_until(struct dk_bytes *rest, char end) {
    const uint8_t *found = rest->len > 0 ? memchr(rest->ptr, end, rest->len) : NULL;
    struct dk_bytes part = {rest->ptr, found != NULL ? (size_t)(found - rest->ptr) : rest->len};
    size_t taken = part.len + (found != NULL ? 1 : 0);
    rest->ptr += taken;
    rest->len -= taken;
    return part;
}

static size_t split(struct dk_bytes input, struct dk_setting settings[SETTINGS_MAX]) {
    size_t count = 0;
    while (input.len > 0 && count < SETTINGS_MAX) {
        struct dk_bytes line = take_until(&input, '\n');
        settings[count].key = take_until(&line, '=');
        settings[count].value = line;
        count++;
    }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct dk_config nothing;
    struct dk_setting settings[SETTINGS_MAX];
    struct dk_config config;
    struct dk_error_text why;
    struct reports reports = {0};
    size_t count = split((struct dk_bytes){data, size}, settings);
    enum dk_error error = dk_config_parse_all(settings, count, true, &config, on_report, &reports);
    require((error == DK_OK) == (reports.count == 0));
    require(error == DK_OK ||
            (error == DK_ERR_CONFIG && memcmp(&config, &nothing, sizeof(config)) == 0));
    if (error == DK_OK) {
        check_accepted(&config);
        check_round_trip(&config);
        dk_config_clean_up(&config);
    }
    require(dk_config_parse(settings, count, &config, &why) == error);
    require(strcmp(why.text, reports.first.text) == 0);
    dk_config_clean_up(&config);
    return 0;
}
