/* SPDX-License-Identifier: Apache-2.0 */
#include "log_event.h"

#include "json_scan.h"

#include <string.h>
#include <time.h>

#define NS_PER_S INT64_C(1000000000)
#define RULE_PATH_MAX 512u

/* ---- times ------------------------------------------------------------------------------- */

static bool take_digits(struct dk_bytes *rest, size_t count, int *out) {
    int value = 0;
    if (rest->len < count) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (rest->ptr[i] < '0' || rest->ptr[i] > '9') {
            return false;
        }
        value = value * 10 + (rest->ptr[i] - '0');
    }
    rest->ptr += count;
    rest->len -= count;
    *out = value;
    return true;
}

static bool take_byte(struct dk_bytes *rest, const char *any_of) {
    if (rest->len == 0 || rest->ptr[0] == '\0' || strchr(any_of, rest->ptr[0]) == NULL) {
        return false;
    }
    rest->ptr++;
    rest->len--;
    return true;
}

/* Howard Hinnant's days_from_civil, for years from 0 on. */
static int64_t days_since_1970(int year, int month, int day) {
    int64_t shifted = (int64_t)year - (month <= 2);
    int64_t era = (shifted >= 0 ? shifted : shifted - 399) / 400;
    int64_t year_of_era = shifted - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static bool take_date(struct dk_bytes *rest, int64_t *days) {
    int year, month, day;
    bool ok = take_digits(rest, 4, &year) && take_byte(rest, "-") && take_digits(rest, 2, &month) &&
              take_byte(rest, "-") && take_digits(rest, 2, &day);
    if (!ok || year < 1970 || year > 2261 || month < 1 || month > 12 || day < 1 || day > 31) {
        return false;
    }
    *days = days_since_1970(year, month, day);
    return true;
}

static bool take_time(struct dk_bytes *rest, int64_t *seconds) {
    int hour, minute, second;
    bool ok = take_digits(rest, 2, &hour) && take_byte(rest, ":") &&
              take_digits(rest, 2, &minute) && take_byte(rest, ":") &&
              take_digits(rest, 2, &second);
    if (!ok || hour > 23 || minute > 59 || second > 60) {
        return false;
    }
    *seconds = (int64_t)hour * 3600 + (int64_t)minute * 60 + second;
    return true;
}

static bool take_fraction(struct dk_bytes *rest, int64_t *ns) {
    int64_t unit = NS_PER_S / 10;
    int digit = 0;
    *ns = 0;
    if (!take_byte(rest, ".")) {
        return true;
    }
    if (!take_digits(rest, 1, &digit)) {
        return false;
    }
    do {
        *ns += digit * unit;
        unit /= 10;
    } while (take_digits(rest, 1, &digit));
    return true;
}

static bool take_zone(struct dk_bytes *rest, int64_t *seconds) {
    int hour, minute;
    *seconds = 0;
    if (take_byte(rest, "Zz")) {
        return true;
    }
    bool west = rest->len > 0 && rest->ptr[0] == '-';
    if (!take_byte(rest, "+-") || !take_digits(rest, 2, &hour) || !take_byte(rest, ":") ||
        !take_digits(rest, 2, &minute) || hour > 23 || minute > 59) {
        return false;
    }
    int64_t offset = (int64_t)hour * 3600 + (int64_t)minute * 60;
    *seconds = west ? -offset : offset;
    return true;
}

bool dk_timestamp_parse(struct dk_bytes text, int64_t *ns) {
    int64_t days, seconds, fraction, zone;
    if (!take_date(&text, &days) || !take_byte(&text, "Tt ") || !take_time(&text, &seconds) ||
        !take_fraction(&text, &fraction) || !take_zone(&text, &zone) || text.len != 0) {
        return false;
    }
    *ns = (days * 86400 + seconds - zone) * NS_PER_S + fraction;
    return true;
}

const char *dk_timestamp_write(int64_t ns, struct dk_timestamp_text *room) {
    time_t seconds = (time_t)(ns / NS_PER_S - (ns % NS_PER_S < 0));
    struct tm utc;
    if (gmtime_r(&seconds, &utc) == NULL ||
        strftime(room->text, sizeof(room->text), "%Y-%m-%dT%H:%M:%SZ", &utc) == 0) {
        room->text[0] = '\0'; /* not for any 64-bit number of nanoseconds */
    }
    return room->text;
}

/* ---- members ----------------------------------------------------------------------------- */

static bool is_path_byte(uint8_t byte) {
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '_' || byte == '-' || byte == '.' || byte == '/';
}

bool dk_rule_path_is_safe(struct dk_bytes path) {
    uint8_t before = '/';
    for (size_t i = 0; i < path.len; i++) {
        /* "..", "." and "//" would lead elsewhere. */
        if (!is_path_byte(path.ptr[i]) ||
            (before == '/' && (path.ptr[i] == '/' || path.ptr[i] == '.'))) {
            return false;
        }
        before = path.ptr[i];
    }
    return path.len > 0 && path.len <= RULE_PATH_MAX && before != '/';
}

static bool is_empty(struct dk_bytes value) {
    struct dk_json_walk object = dk_json_walk(value);
    struct dk_json_walk array = object;
    struct dk_bytes name, member;
    return !dk_json_next_member(&object, &name, &member) && !dk_json_next_element(&array, &member);
}

/* "erased" and "masked" are lists of JSON pointers. One that cannot be told may be anywhere. */
static void note_masked(struct dk_bytes list, struct dk_log_event *event) {
    struct dk_json_walk walk = dk_json_walk(list);
    struct dk_bytes element, pointer;
    while (dk_json_next_element(&walk, &element)) {
        bool plain = dk_json_plain_string(element, &pointer);
        bool input = plain && pointer.len >= 6 && memcmp(pointer.ptr, "/input", 6) == 0;
        bool result = plain && pointer.len >= 7 && memcmp(pointer.ptr, "/result", 7) == 0;
        /* The empty pointer is the whole event. */
        bool elsewhere = plain && pointer.len > 0 && !input && !result;
        event->input_masked |= !result && !elsewhere;
        event->result_masked |= !input && !elsewhere;
    }
}

enum member {
    MEMBER_COUNT,
    MEMBER_DOORKEEPER,
    MEMBER_ERASED,
    MEMBER_ERROR,
    MEMBER_INPUT,
    MEMBER_MASKED,
    MEMBER_MSG,
    MEMBER_ND,
    MEMBER_PATH,
    MEMBER_RESULT,
    MEMBER_TIMESTAMP,
    MEMBERS,
};

#define NAME(text) {text, sizeof(text) - 1}

static enum member member_of(struct dk_bytes name) {
    static const struct {
        const char *text;
        size_t len;
    } names[MEMBERS] = {
        NAME("count"), NAME("doorkeeper"), NAME("erased"),   NAME("error"),
        NAME("input"), NAME("masked"),     NAME("msg"),      NAME("nd_builtin_cache"),
        NAME("path"),  NAME("result"),     NAME("timestamp")};
    for (int i = 0; i < MEMBERS; i++) {
        if (name.len == names[i].len && memcmp(name.ptr, names[i].text, name.len) == 0) {
            return (enum member)i;
        }
    }
    return MEMBERS;
}

static enum dk_log_event_kind wrong(struct dk_error_text *why, const char *what) {
    (void)dk_fail(why, DK_ERR_MALFORMED, "%s", what);
    return DK_EVENT_MALFORMED;
}

/* Into `members`, NULL where there is none. */
static enum dk_log_event_kind collect(struct dk_bytes text, struct dk_bytes *members,
                                      struct dk_error_text *why) {
    struct dk_json_walk walk = dk_json_walk(text);
    struct dk_bytes name, value;
    while (dk_json_next_member(&walk, &name, &value)) {
        enum member member = member_of(name);
        if (member == MEMBERS) {
            continue;
        }
        if (members[member].ptr != NULL) {
            return wrong(why, "a member of the event stands there twice");
        }
        members[member] = value;
    }
    switch (dk_json_walk_end(&walk)) {
    case DK_JSON_OK:
        return DK_EVENT_DECISION;
    case DK_JSON_CUT:
        return wrong(why, "the event ends too early");
    case DK_JSON_DEEP:
        return wrong(why, "nested too deep");
    default:
        return wrong(why, "not a JSON object");
    }
}

static enum dk_log_event_kind read_path(struct dk_bytes value, struct dk_log_event *out,
                                        struct dk_error_text *why) {
    if (!dk_json_plain_string(value, &out->path)) {
        return wrong(why, "path: not the path of a rule");
    }
    if (out->path.len > 0 && out->path.ptr[0] == '/') {
        out->path.ptr++;
        out->path.len--;
    }
    return dk_rule_path_is_safe(out->path) ? DK_EVENT_DECISION
                                           : wrong(why, "path: not the path of a rule");
}

/* What "nd_builtin_cache" says: names of built-ins, or anything that cannot be told. */
static void note_nondeterministic(struct dk_bytes cache, struct dk_log_event *event) {
    struct dk_json_walk walk = dk_json_walk(cache);
    struct dk_bytes name, member;
    event->nondeterministic = cache.ptr != NULL && !is_empty(cache);
    if (!event->nondeterministic || !dk_json_is_object(cache)) {
        return;
    }
    event->nondeterministic = false;
    while (dk_json_next_member(&walk, &name, &member)) {
        bool is_time = dk_json_is(name, "time.now_ns");
        event->used_time |= is_time;
        event->nondeterministic |= !is_time;
    }
}

static enum dk_log_event_kind read_rest(const struct dk_bytes *members, struct dk_log_event *out,
                                        struct dk_error_text *why) {
    struct dk_bytes time = {NULL, 0};
    if (!dk_json_plain_string(members[MEMBER_TIMESTAMP], &time) ||
        !dk_timestamp_parse(time, &out->time_ns)) {
        return wrong(why, "timestamp: expected a time as 2026-03-01T12:00:00Z");
    }
    if (members[MEMBER_COUNT].ptr != NULL && (!dk_json_u64(members[MEMBER_COUNT], &out->count) ||
                                              out->count == 0 || out->count > UINT32_MAX)) {
        return wrong(why, "count: expected a whole number from 1 to 4294967295");
    }
    out->input = members[MEMBER_INPUT];
    out->result = members[MEMBER_RESULT];
    out->failed = members[MEMBER_ERROR].ptr != NULL && !dk_json_is(members[MEMBER_ERROR], "null");
    note_nondeterministic(members[MEMBER_ND], out);
    note_masked(members[MEMBER_ERASED], out);
    note_masked(members[MEMBER_MASKED], out);
    return DK_EVENT_DECISION;
}

/* OPA's console carries other lines too, and decisions about a query rather than a rule. */
static bool is_about_a_rule(const struct dk_bytes *members) {
    bool other =
        members[MEMBER_MSG].ptr != NULL && !dk_json_is(members[MEMBER_MSG], "\"Decision Log\"");
    return !other && members[MEMBER_PATH].ptr != NULL && members[MEMBER_PATH].len > 2;
}

/* Of Doorkeeper's own log, docs/audit.md. */
static bool is_of_a_local_rule(struct dk_bytes doorkeeper) {
    struct dk_json_walk walk = dk_json_walk(doorkeeper);
    struct dk_bytes name, value;
    while (dk_json_next_member(&walk, &name, &value)) {
        if (dk_json_is(name, "source")) {
            return dk_json_is(value, "\"rule\"");
        }
    }
    return false;
}

enum dk_log_event_kind dk_log_event_parse(struct dk_bytes text, struct dk_log_event *out,
                                          struct dk_error_text *why) {
    struct dk_bytes members[MEMBERS] = {{NULL, 0}};
    memset(out, 0, sizeof(*out));
    out->count = 1;
    enum dk_log_event_kind kind = collect(text, members, why);
    if (kind != DK_EVENT_DECISION) {
        return kind;
    }
    if (!is_about_a_rule(members)) {
        return DK_EVENT_OTHER;
    }
    kind = read_path(members[MEMBER_PATH], out, why);
    if (kind == DK_EVENT_DECISION) {
        kind = read_rest(members, out, why);
    }
    if (kind == DK_EVENT_DECISION && is_of_a_local_rule(members[MEMBER_DOORKEEPER])) {
        return DK_EVENT_LOCAL;
    }
    /* Erasing the whole input leaves nothing to group by, but it was a decision. */
    if (kind == DK_EVENT_DECISION && out->input.ptr == NULL && !out->input_masked) {
        return DK_EVENT_OTHER;
    }
    return kind;
}
