/* SPDX-License-Identifier: Apache-2.0 */
#include "doorkeeper/config.h"

#include "config_table.h"
#include "doorkeeper/file.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PREFIX "doorkeeper."
/* Of a key or value in a message. */
#define SHOWN_MAX 120
#define UNIX_PATH_MAX 107

/* One pass over the settings; counts errors and goes on. */
struct reader {
    struct dk_config *out;
    dk_config_report *report;
    void *user;
    enum dk_error error;
};

struct shown {
    char text[SHOWN_MAX + 1];
};

static struct shown show(struct dk_bytes foreign) {
    struct shown shown;
    shown.text[dk_bytes_escape(foreign, shown.text, SHOWN_MAX)] = '\0';
    return shown;
}

static void report(struct reader *reader, const char *format, ...) DK_PRINTF(2, 3);

static void report(struct reader *reader, const char *format, ...) {
    struct dk_error_text text;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text.text, sizeof(text.text), format, arguments);
    va_end(arguments);
    reader->error = reader->error == DK_OK ? DK_ERR_CONFIG : reader->error;
    reader->report(reader->user, text.text);
}

/* `reason` may be empty. */
static void report_value(struct reader *reader, const struct setting_row *row,
                         struct dk_bytes value, const char *reason) {
    char expected[SETTING_EXPECTED_MAX];
    struct shown shown = show(value);
    if (row->type == SETTING_URL && value.len > 0 && memchr(value.ptr, '@', value.len) != NULL) {
        snprintf(shown.text, sizeof(shown.text), "(not shown: it may hold a password)");
    }
    setting_expected(row, expected);
    report(reader, "%s=%s: %s%sexpected %s", row->name, shown.text, reason,
           reason[0] == '\0' ? "" : "; ", expected);
}

/* What Java's trim() takes away. */
static struct dk_bytes trim(struct dk_bytes text) {
    while (text.len > 0 && text.ptr[0] <= ' ') {
        text.ptr++;
        text.len--;
    }
    while (text.len > 0 && text.ptr[text.len - 1] <= ' ') {
        text.len--;
    }
    return text;
}

/* Takes the part before the next `separator` off the front of `*rest`, trimmed. */
static struct dk_bytes take_part(struct dk_bytes *rest, char separator) {
    const uint8_t *end = rest->len == 0 ? NULL : memchr(rest->ptr, separator, rest->len);
    struct dk_bytes part = {rest->ptr, end == NULL ? rest->len : (size_t)(end - rest->ptr)};
    size_t taken = end == NULL ? part.len : part.len + 1;
    rest->ptr += taken;
    rest->len -= taken;
    return trim(part);
}

static bool is_digit(uint8_t byte) {
    return byte >= '0' && byte <= '9';
}

static bool is_letter_or_digit(uint8_t byte) {
    return is_digit(byte) || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

static bool parse_number(struct dk_bytes text, int64_t min, int64_t max, int64_t *out) {
    int64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (!is_digit(text.ptr[i]) || value > max) {
            return false;
        }
        value = value * 10 + (text.ptr[i] - '0');
    }
    *out = value;
    return text.len > 0 && value >= min && value <= max;
}

static bool has_controls(struct dk_bytes text) {
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < ' ' || text.ptr[i] == 0x7f) {
            return true;
        }
    }
    return !dk_bytes_is_utf8(text);
}

static bool starts_with(struct dk_bytes text, const char *prefix) {
    size_t len = strlen(prefix);
    return text.len >= len && memcmp(text.ptr, prefix, len) == 0;
}

static struct dk_bytes without_front(struct dk_bytes text, size_t len) {
    return (struct dk_bytes){text.ptr + len, text.len - len};
}

/* "host", "host:8181", "[::1]:8181" */
static bool is_host_and_port(struct dk_bytes text) {
    size_t host_len = 0;
    if (starts_with(text, "[")) {
        const uint8_t *end = memchr(text.ptr, ']', text.len);
        host_len = end == NULL ? 0 : (size_t)(end - text.ptr) + 1;
        for (size_t i = 1; i + 1 < host_len; i++) {
            if (!is_letter_or_digit(text.ptr[i]) && strchr(":.%", text.ptr[i]) == NULL) {
                return false;
            }
        }
        if (host_len < sizeof("[::]") - 1) {
            return false;
        }
    } else {
        while (host_len < text.len && (is_letter_or_digit(text.ptr[host_len]) ||
                                       strchr("-._", text.ptr[host_len]) != NULL)) {
            host_len++;
        }
    }
    struct dk_bytes port = without_front(text, host_len);
    int64_t number;
    return host_len > 0 &&
           (port.len == 0 ||
            (port.ptr[0] == ':' && parse_number(without_front(port, 1), 1, 65535, &number)));
}

/* A path in a URL: "/opa/eu", or nothing. */
static bool is_url_path(struct dk_bytes text) {
    for (size_t i = 0; i < text.len; i++) {
        if (!is_letter_or_digit(text.ptr[i]) && strchr("/-._~", text.ptr[i]) == NULL) {
            return false;
        }
    }
    return true;
}

/* `text` has no slash at its end. */
static bool is_url(struct dk_bytes text) {
    if (starts_with(text, "unix:")) {
        size_t len = text.len - strlen("unix:");
        return starts_with(text, "unix:/") && len <= UNIX_PATH_MAX;
    }
    size_t scheme_len = starts_with(text, "http://")    ? strlen("http://")
                        : starts_with(text, "https://") ? strlen("https://")
                                                        : 0;
    if (scheme_len == 0) {
        return false;
    }
    struct dk_bytes rest = without_front(text, scheme_len);
    const uint8_t *slash = rest.len == 0 ? NULL : memchr(rest.ptr, '/', rest.len);
    size_t authority_len = slash == NULL ? rest.len : (size_t)(slash - rest.ptr);
    return is_host_and_port((struct dk_bytes){rest.ptr, authority_len}) &&
           is_url_path(without_front(rest, authority_len));
}

/* "kafka/authz/allow" */
static bool is_rule(struct dk_bytes text) {
    bool in_name = false;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t byte = text.ptr[i];
        if (byte == '/' ? !in_name : !is_letter_or_digit(byte) && byte != '_' && byte != '-') {
            return false;
        }
        in_name = byte != '/';
    }
    return in_name;
}

static void set_text(struct reader *reader, const struct setting_row *row, struct dk_bytes value) {
    char *copy = malloc(value.len + 1);
    if (copy == NULL) {
        reader->error = DK_ERR_MEMORY;
        return;
    }
    if (value.len > 0) {
        memcpy(copy, value.ptr, value.len);
    }
    copy[value.len] = '\0';
    char **target = (char **)((char *)reader->out + row->offset);
    free(*target);
    *target = copy;
}

static struct dk_bytes without_end(struct dk_bytes text, char end) {
    while (text.len > 0 && text.ptr[text.len - 1] == (uint8_t)end) {
        text.len--;
    }
    return text;
}

static bool is_right_text(enum setting_type type, struct dk_bytes value) {
    switch (type) {
    case SETTING_RULE:
        return is_rule(value);
    case SETTING_OPTIONAL_RULE:
        return value.len == 0 || is_rule(value);
    default:
        return true;
    }
}

static void read_text(struct reader *reader, const struct setting_row *row, struct dk_bytes value) {
    if (has_controls(value) || !is_right_text(row->type, value)) {
        report_value(reader, row, value, "");
        return;
    }
    set_text(reader, row, value);
}

/* Keeps "a,b" of " a/ , b//". */
static void read_urls(struct reader *reader, const struct setting_row *row, struct dk_bytes value) {
    struct dk_bytes rest = value;
    struct dk_writer kept;
    size_t count = 0;
    bool right = true;
    dk_writer_init(&kept, value.len + 1);
    do {
        /* The path of a request is appended with a slash of its own. */
        struct dk_bytes url = without_end(take_part(&rest, ','), '/');
        right = right && !has_controls(url) && is_url(url) && ++count <= DK_OPA_URLS_MAX;
        dk_writer_text(&kept, count > 1 ? "," : "");
        dk_writer_bytes(&kept, url);
    } while (right && rest.len > 0);
    if (!right) {
        report_value(reader, row, value, "");
    } else if (kept.failed) {
        reader->error = DK_ERR_MEMORY;
    } else {
        set_text(reader, row, dk_writer_view(&kept));
    }
    dk_writer_clean_up(&kept);
}

static void read_number(struct reader *reader, const struct setting_row *row,
                        struct dk_bytes value) {
    int64_t number;
    if (!parse_number(value, row->min, row->max, &number)) {
        report_value(reader, row, value, "");
        return;
    }
    *(int64_t *)((char *)reader->out + row->offset) = number;
}

/* "none", or names that `flag_of` knows. */
static void read_flags(struct reader *reader, const struct setting_row *row, struct dk_bytes value,
                       uint32_t (*flag_of)(struct dk_bytes name), uint32_t *out) {
    *out = 0;
    if (dk_bytes_equal(value, dk_bytes_of("none"))) {
        return;
    }
    struct dk_bytes rest = value;
    do {
        struct dk_bytes name = take_part(&rest, ',');
        uint32_t flag = flag_of(name);
        if (flag == 0) {
            char reason[SHOWN_MAX + 40];
            snprintf(reason, sizeof(reason), "\"%s\" is no field", show(name).text);
            report_value(reader, row, value, reason);
            return;
        }
        *out |= flag;
    } while (rest.len > 0);
}

static void read_decision_mode(struct reader *reader, const struct setting_row *row,
                               struct dk_bytes value) {
    static const char *const names[] = {[DK_RECORD_AGGREGATED] = "aggregated",
                                        [DK_RECORD_DENIED] = "denied",
                                        [DK_RECORD_EVERY] = "every"};
    for (uint32_t mode = 0; mode < sizeof(names) / sizeof(names[0]); mode++) {
        if (dk_bytes_equal(value, dk_bytes_of(names[mode]))) {
            reader->out->decision_log_mode = mode;
            return;
        }
    }
    report_value(reader, row, value, "");
}

/* The order is fixed, because no other has a use: what is retried or denied never comes to the next
 * rule. */
static void read_on_unavailable(struct reader *reader, const struct setting_row *row,
                                struct dk_bytes value) {
    static const struct {
        const char *name;
        uint32_t flag;
    } rules[] = {{"stale", DK_USE_STALE}, {"retry", DK_LET_RETRY}, {"deny", 0}};
    struct dk_bytes rest = value;
    size_t next = 0;
    reader->out->on_unavailable = 0;
    do {
        struct dk_bytes name = take_part(&rest, ',');
        while (next < 3 && !dk_bytes_equal(name, dk_bytes_of(rules[next].name))) {
            next++;
        }
        if (next == 3) {
            report_value(reader, row, value, "");
            return;
        }
        reader->out->on_unavailable |= rules[next++].flag;
    } while (rest.len > 0);
}

static bool add_super_user(struct dk_config *config, struct dk_bytes entry) {
    size_t bytes = (config->super_user_count + 1) * sizeof(*config->super_users);
    char **list = realloc(config->super_users, bytes);
    if (list == NULL) {
        return false;
    }
    config->super_users = list;
    char *copy = malloc(entry.len + 1);
    if (copy == NULL) {
        return false;
    }
    memcpy(copy, entry.ptr, entry.len);
    copy[entry.len] = '\0';
    list[config->super_user_count++] = copy;
    return true;
}

static bool is_principal(struct dk_bytes entry) {
    const uint8_t *colon = memchr(entry.ptr, ':', entry.len);
    return colon != NULL && colon > entry.ptr && colon < entry.ptr + entry.len - 1 &&
           !has_controls(entry);
}

static void read_principals(struct reader *reader, const struct setting_row *row,
                            struct dk_bytes value) {
    struct dk_bytes rest = value;
    while (rest.len > 0) {
        struct dk_bytes entry = take_part(&rest, ';');
        if (entry.len == 0) {
            continue;
        }
        if (!is_principal(entry)) {
            char reason[SHOWN_MAX + 40];
            snprintf(reason, sizeof(reason), "\"%s\" is no principal", show(entry).text);
            report_value(reader, row, value, reason);
            return;
        }
        if (!add_super_user(reader->out, entry)) {
            reader->error = DK_ERR_MEMORY;
            return;
        }
    }
}

static void read_value(struct reader *reader, const struct setting_row *row,
                       struct dk_bytes value) {
    switch (row->type) {
    case SETTING_NUMBER:
        read_number(reader, row, value);
        return;
    case SETTING_FIELDS:
        read_flags(reader, row, value, setting_field_group, &reader->out->question_fields);
        return;
    case SETTING_ERASE:
        read_flags(reader, row, value, setting_erasable, &reader->out->decision_log_erase);
        return;
    case SETTING_DECISION_MODE:
        read_decision_mode(reader, row, value);
        return;
    case SETTING_ON_UNAVAILABLE:
        read_on_unavailable(reader, row, value);
        return;
    case SETTING_PRINCIPALS:
        read_principals(reader, row, value);
        return;
    case SETTING_URL:
        read_urls(reader, row, value);
        return;
    case SETTING_RULE:
    case SETTING_OPTIONAL_RULE:
    case SETTING_FILE:
        read_text(reader, row, value);
        return;
    }
}

static void read_row(struct reader *reader, const struct setting_row *row,
                     const struct dk_setting *settings, size_t count) {
    const struct dk_setting *found = NULL;
    for (size_t i = 0; i < count; i++) {
        if (!dk_bytes_equal(settings[i].key, dk_bytes_of(row->name))) {
            continue;
        }
        if (found != NULL) {
            report(reader, "%s is set more than once", row->name);
            break;
        }
        found = &settings[i];
    }
    /* A default goes the way of any value, so the table cannot hold a wrong one unnoticed. */
    if (row->fallback != NULL) {
        read_value(reader, row, dk_bytes_of(row->fallback));
    }
    if (found != NULL) {
        read_value(reader, row, trim(found->value));
    }
}

/* Levenshtein's distance; what is longer than any name counts as far away. */
static size_t distance(struct dk_bytes a, const char *b) {
    enum { LONGEST = 64 };
    size_t b_len = strlen(b);
    size_t row[LONGEST + 1];
    if (a.len > LONGEST || b_len > LONGEST) {
        return SIZE_MAX;
    }
    for (size_t j = 0; j <= b_len; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= a.len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t change = diagonal + (a.ptr[i - 1] != (uint8_t)b[j - 1]);
            size_t shorter = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            diagonal = row[j];
            row[j] = change < shorter ? change : shorter;
        }
    }
    return row[b_len];
}

bool dk_config_is_setting(struct dk_bytes key) {
    for (size_t i = 0; i < setting_row_count; i++) {
        if (dk_bytes_equal(key, dk_bytes_of(setting_rows[i].name))) {
            return true;
        }
    }
    return false;
}

static const char *nearest_name(struct dk_bytes key) {
    const char *nearest = NULL;
    size_t least = SIZE_MAX;
    for (size_t i = 0; i < setting_row_count; i++) {
        size_t steps = distance(key, setting_rows[i].name);
        if (steps < least) {
            nearest = setting_rows[i].name;
            least = steps;
        }
    }
    return nearest;
}

static void refuse_unknown(struct reader *reader, struct dk_bytes key) {
    if (!starts_with(key, PREFIX) || dk_config_is_setting(key)) {
        return;
    }
    const char *nearest = nearest_name(key);
    if (nearest == NULL) {
        report(reader, "%s: there is no such setting", show(key).text);
    } else {
        report(reader, "%s: there is no such setting; did you mean %s?", show(key).text, nearest);
    }
}

/* What is wrong although each setting alone is right. */
static void check_together(struct reader *reader) {
    const struct dk_config *config = reader->out;
    bool https = strstr(config->opa_url, "https://") != NULL;
    if ((config->opa_certificate_file[0] == '\0') != (config->opa_key_file[0] == '\0')) {
        report(reader, "doorkeeper.opa.certificate.file and doorkeeper.opa.key.file: "
                       "expected both or neither");
    }
    if (!https && (config->opa_ca_file[0] != '\0' || config->opa_certificate_file[0] != '\0')) {
        report(reader, "doorkeeper.opa.ca.file and doorkeeper.opa.certificate.file have no use "
                       "without TLS: expected an https:// URL in doorkeeper.opa.url");
    }
}

enum dk_error dk_config_parse_all(const struct dk_setting *settings, size_t count, bool complete,
                                  struct dk_config *out, dk_config_report *on_error, void *user) {
    struct reader reader = {out, on_error, user, DK_OK};
    memset(out, 0, sizeof(*out));
    for (size_t i = 0; i < setting_row_count; i++) {
        read_row(&reader, &setting_rows[i], settings, count);
    }
    for (size_t i = 0; i < count; i++) {
        refuse_unknown(&reader, settings[i].key);
    }
    if (complete && reader.error == DK_OK) {
        check_together(&reader);
    }
    if (out->waiting_threads == 0) {
        out->waiting_threads = out->num_io_threads > 1 ? out->num_io_threads / 2 : 1;
    }
    if (reader.error != DK_OK) {
        dk_config_clean_up(out);
    }
    return reader.error;
}

static void keep_first(void *user, const char *text) {
    struct dk_error_text *why = user;
    if (why != NULL && why->text[0] == '\0') {
        snprintf(why->text, sizeof(why->text), "%s", text);
    }
}

enum dk_error dk_config_parse(const struct dk_setting *settings, size_t count,
                              struct dk_config *out, struct dk_error_text *why) {
    if (why != NULL) {
        why->text[0] = '\0';
    }
    enum dk_error error = dk_config_parse_all(settings, count, true, out, keep_first, why);
    if (error != DK_OK) {
        keep_first(why, dk_strerror(error)); /* want of memory is reported by nobody */
    }
    return error;
}

void dk_config_clean_up(struct dk_config *config) {
    for (size_t i = 0; i < setting_row_count; i++) {
        const struct setting_row *row = &setting_rows[i];
        if (setting_is_text(row->type)) {
            free(*(char **)((char *)config + row->offset));
        }
    }
    for (size_t i = 0; i < config->super_user_count; i++) {
        free(config->super_users[i]);
    }
    free(config->super_users);
    memset(config, 0, sizeof(*config));
}

static const size_t file_offsets[DK_FILE_COUNT] = {
    [DK_FILE_TOKEN] = offsetof(struct dk_config, opa_token_file),
    [DK_FILE_CA] = offsetof(struct dk_config, opa_ca_file),
    [DK_FILE_CERTIFICATE] = offsetof(struct dk_config, opa_certificate_file),
    [DK_FILE_KEY] = offsetof(struct dk_config, opa_key_file),
    [DK_FILE_DENY] = offsetof(struct dk_config, deny_file),
    [DK_FILE_FLUSH] = offsetof(struct dk_config, flush_file),
};

static const char *file_setting(enum dk_config_file file) {
    for (size_t i = 0; i < setting_row_count; i++) {
        if (setting_rows[i].type == SETTING_FILE && setting_rows[i].offset == file_offsets[file]) {
            return setting_rows[i].name;
        }
    }
    return "";
}

static const char *file_path(const struct dk_config *config, enum dk_config_file file) {
    return *(char *const *)((const char *)config + file_offsets[file]);
}

enum dk_error dk_config_fail_file(const struct dk_config *config, enum dk_config_file file,
                                  const char *cause, struct dk_error_text *why) {
    struct shown path = show(dk_bytes_of(file_path(config, file)));
    return dk_fail(why, DK_ERR_CONFIG, "%s=%s: %s", file_setting(file), path.text, cause);
}

static bool is_missing(const char *path) {
    return access(path, F_OK) != 0 && errno == ENOENT;
}

enum dk_error dk_config_read_file(const struct dk_config *config, enum dk_config_file file,
                                  struct dk_writer *out, struct dk_error_text *why) {
    const char *path = file_path(config, file);
    bool may_be_empty = file == DK_FILE_FLUSH;
    dk_writer_init(out, DK_CONFIG_FILE_MAX);
    if (path[0] == '\0' || (may_be_empty && is_missing(path))) {
        return DK_OK;
    }
    struct dk_error_text cause = {""};
    if (dk_file_read(path, out, &cause) != DK_OK) {
        dk_writer_forget(out);
        return dk_fail(why, DK_ERR_CONFIG, "%s=%s", file_setting(file), cause.text);
    }
    if (out->len == 0 && !may_be_empty) {
        dk_writer_forget(out);
        return dk_config_fail_file(config, file, "the file is empty", why);
    }
    return DK_OK;
}
