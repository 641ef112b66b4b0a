/* SPDX-License-Identifier: Apache-2.0 */
#include "doorkeeper/deny_list.h"

#include "doorkeeper/identity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define SHA256_TEXT "00112233445566778899AABBCCDDEEFF00112233445566778899aabbccddeeff"
#define SHA256_COLONS                                                                              \
    "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:"                                             \
    "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF"

/* ---- helpers ----------------------------------------------------------------------------- */

static struct dk_deny_list *parse(const char *text) {
    struct dk_deny_list *list = NULL;
    struct dk_error_text why = {""};
    if (dk_deny_list_parse(dk_bytes_of(text), &list, &why) != DK_OK) {
        fail_msg("%s: %s", text, why.text);
    }
    return list;
}

/* Who asks. Without a serial there is no certificate; its digest is SHA256_TEXT's. */
struct asker {
    const char *type, *name;
    const char *serial;
    size_t serial_len;
};

static const struct asker alice = {"User", "alice", "\x4a\x1b", 2};
static const struct asker plain = {"User", "alice", NULL, 0};

static void fill_certificate(const struct asker *asker, uint8_t record[80], struct dk_bytes *out) {
    if (asker->serial == NULL) {
        return;
    }
    memset(record, 0, 80);
    for (size_t i = 0; i < DK_SHA256_LEN; i++) {
        record[16 + i] = (uint8_t)(0x11 * (i % 16));
    }
    dk_write_u16(record + 48, (uint16_t)asker->serial_len);
    memcpy(record + 50, asker->serial, asker->serial_len);
    *out = (struct dk_bytes){record, 50 + asker->serial_len};
    assert_int_equal(dk_certificate_write_json(*out, NULL), DK_OK);
}

static struct dk_action write_to(const char *name) {
    struct dk_action action = {.operation = 4, .type = 2, .pattern = 3, .named = name != NULL};
    action.name = dk_bytes_of(name);
    return action;
}

/* The number of the first entry that denies this, 0 if none does. */
static size_t denied_by(const struct dk_deny_list *list, const struct asker *asker,
                        const struct dk_action *action) {
    uint8_t record[80];
    struct dk_context context;
    memset(&context, 0, sizeof(context));
    context.fields[DK_FIELD_PRINCIPAL_TYPE] = dk_bytes_of(asker->type);
    context.fields[DK_FIELD_PRINCIPAL_NAME] = dk_bytes_of(asker->name);
    fill_certificate(asker, record, &context.fields[DK_FIELD_LOCAL_CERTIFICATE]);
    size_t at = 0;
    const struct dk_deny_entry *entry = dk_deny_list_next(list, &context, &at);
    while (entry != NULL && !dk_deny_entry_fits(entry, action)) {
        entry = dk_deny_list_next(list, &context, &at);
    }
    return entry != NULL ? at : 0;
}

/* Whether a list of this one entry denies WRITE on a topic. */
static bool denies(const char *entry, const struct asker *asker, const char *topic) {
    char text[512];
    struct dk_action action = write_to(topic);
    snprintf(text, sizeof(text), "{\"deny\": [%s]}", entry);
    struct dk_deny_list *list = parse(text);
    bool denied = denied_by(list, asker, &action) == 1;
    dk_deny_list_release(list);
    return denied;
}

/* ---- what an entry fits ------------------------------------------------------------------ */

static void nobody_is_denied_by_an_empty_list(void **state) {
    (void)state;
    struct dk_action action = write_to("orders");
    struct dk_deny_list *list = parse(" {\n\"deny\" : [ ] }\r\n");
    assert_int_equal(dk_deny_list_count(list), 0);
    assert_int_equal(denied_by(list, &alice, &action), 0);
    assert_int_equal(denied_by(NULL, &alice, &action), 0);
    dk_deny_list_release(list);
    dk_deny_list_release(NULL);
}

static void principals(void **state) {
    (void)state;
    static const struct asker odd = {"User", "CN=a:b,O=\xc3\xa4 \"x\"", NULL, 0};
    static const struct asker service = {"Service", "alice", NULL, 0};
    assert_true(denies("{\"principal\": \"User:alice\"}", &alice, "orders"));
    assert_true(denies("{\"principal\": \"User:alice\"}", &plain, NULL));
    assert_false(denies("{\"principal\": \"User:alice\"}", &service, "orders"));
    assert_false(denies("{\"principal\": \"User:ALICE\"}", &alice, "orders"));
    assert_false(denies("{\"principal\": \"User:alice \"}", &alice, "orders"));
    assert_true(denies("{\"principal\": \"User:CN=a:b,O=\xc3\xa4 \\\"x\\\"\"}", &odd, "orders"));
    assert_true(denies("{\"principal\": \"User:CN=a:b,O=\\u00e4 \\\"x\\\"\"}", &odd, "orders"));
}

static void certificates(void **state) {
    (void)state;
    static const char by_digest[] = "{\"certificate_sha256\": \"" SHA256_TEXT "\"}";
    assert_true(denies(by_digest, &alice, "orders"));
    assert_false(denies(by_digest, &plain, "orders"));
    assert_true(denies("{\"certificate_sha256\": \"" SHA256_COLONS "\"}", &alice, "orders"));
    char other[sizeof(by_digest)];
    memcpy(other, by_digest, sizeof(other));
    char *last = strstr(other, "ff\"}");
    assert_non_null(last);
    last[1] = 'e';
    assert_false(denies(other, &alice, "orders"));
}

static void serials_are_numbers(void **state) {
    (void)state;
    static const struct asker large = {"User", "alice", "\x00\x80", 2}; /* 128, as DER has it */
    static const struct asker zero = {"User", "alice", "\x00", 1};
    assert_true(denies("{\"serial\": \"4A1B\"}", &alice, "orders"));
    assert_true(denies("{\"serial\": \"4a:1b\"}", &alice, "orders"));
    assert_true(denies("{\"serial\": \"00:00:4a:1b\"}", &alice, "orders"));
    assert_false(denies("{\"serial\": \"4a\"}", &alice, "orders"));
    assert_false(denies("{\"serial\": \"4a1b00\"}", &alice, "orders"));
    assert_false(denies("{\"serial\": \"4a1b\"}", &plain, "orders"));
    assert_true(denies("{\"serial\": \"80\"}", &large, "orders"));
    assert_true(denies("{\"serial\": \"0080\"}", &large, "orders"));
    assert_true(denies("{\"serial\": \"00\"}", &zero, "orders"));
    assert_false(denies("{\"serial\": \"00\"}", &alice, "orders"));
    assert_false(denies("{\"serial\": \"00\"}", &plain, "orders"));
}

static void operations_types_and_names(void **state) {
    (void)state;
    assert_true(denies("{\"operation\": \"WRITE\"}", &plain, "orders"));
    assert_true(denies("{\"operation\": \"WRITE\"}", &plain, NULL));
    assert_false(denies("{\"operation\": \"READ\"}", &plain, "orders"));
    assert_true(denies("{\"type\": \"TOPIC\"}", &plain, NULL));
    assert_false(denies("{\"type\": \"GROUP\"}", &plain, "orders"));
    assert_true(denies("{\"name\": \"orders\"}", &plain, "orders"));
    assert_false(denies("{\"name\": \"orders\"}", &plain, "orders2"));
    assert_false(denies("{\"name\": \"orders\"}", &plain, NULL));
    assert_true(denies("{\"name\": \"\"}", &plain, ""));
    assert_false(denies("{\"name\": \"\"}", &plain, NULL));
    assert_false(denies("{\"operation\": \"UNKNOWN_16\"}", &plain, "orders"));
    struct dk_action newer = {.operation = 16, .type = 8};
    struct dk_deny_list *list =
        parse("{\"deny\": [{\"operation\": \"UNKNOWN_16\", \"type\": \"UNKNOWN_8\"}]}");
    assert_int_equal(denied_by(list, &plain, &newer), 1);
    dk_deny_list_release(list);
}

static void an_entry_needs_all_of_its_members(void **state) {
    (void)state;
    static const struct {
        const char *name, *right, *wrong;
    } members[] = {
        {"principal", "User:alice", "User:bob"},
        {"certificate_sha256", SHA256_TEXT, "ff" SHA256_TEXT},
        {"serial", "4a1b", "4a1c"},
        {"operation", "WRITE", "ALTER"},
        {"type", "TOPIC", "CLUSTER"},
        {"name", "orders", "order"},
        {"reason", "INC-123", "INC-124"},
    };
    /* Round i has member i wrong; the last one has no certificate's member, and the reason never
     * matters. */
    for (size_t round = 0; round < COUNT_OF(members); round++) {
        char entry[512] = "{";
        for (size_t i = 0; i < COUNT_OF(members); i++) {
            const char *value = i == round ? members[i].wrong : members[i].right;
            size_t used = strlen(entry);
            snprintf(entry + used, sizeof(entry) - used, "%s\"%s\": \"%.64s\"", i > 0 ? ", " : "",
                     members[i].name, value);
        }
        strcat(entry, "}");
        assert_int_equal(denies(entry, &alice, "orders"), round == COUNT_OF(members) - 1);
    }
}

static void every_entry_is_looked_at(void **state) {
    (void)state;
    struct dk_deny_list *list = parse("{\"deny\": [{\"principal\": \"User:bob\"}, {\"principal\": "
                                      "\"User:alice\", \"name\": \"a\"},"
                                      " {\"name\": \"b\", \"reason\": \"INC-1 \\u202e\"}, "
                                      "{\"serial\": \"4a1b\", \"name\": \"c\"}]}");
    struct dk_action a = write_to("a"), b = write_to("b"), c = write_to("c"), d = write_to("d");
    assert_int_equal(dk_deny_list_count(list), 4);
    assert_int_equal(denied_by(list, &alice, &a), 2);
    assert_int_equal(denied_by(list, &alice, &b), 3);
    assert_int_equal(denied_by(list, &alice, &c), 4);
    assert_int_equal(denied_by(list, &plain, &c), 0);
    assert_int_equal(denied_by(list, &alice, &d), 0);
    struct dk_context nobody;
    memset(&nobody, 0, sizeof(nobody));
    size_t at = 0;
    const struct dk_deny_entry *entry = dk_deny_list_next(list, &nobody, &at);
    assert_int_equal(at, 3);
    assert_string_equal(entry->reason, "INC-1 \xe2\x80\xae");
    assert_null(dk_deny_list_next(list, &nobody, &at));
    dk_deny_list_release(list);
}

static void a_list_lives_as_long_as_somebody_holds_it(void **state) {
    (void)state;
    struct dk_action action = write_to("orders");
    struct dk_deny_list *list = parse("{\"deny\": [{\"name\": \"orders\"}]}");
    dk_deny_list_keep(list);
    dk_deny_list_release(list);
    assert_int_equal(denied_by(list, &plain, &action), 1);
    dk_deny_list_release(list);
}

/* ---- mistakes ---------------------------------------------------------------------------- */

static void expect_refused(const char *text, const char *expected) {
    struct dk_deny_list *list = (struct dk_deny_list *)(uintptr_t)1;
    struct dk_error_text why = {""};
    if (dk_deny_list_parse(dk_bytes_of(text), &list, &why) == DK_OK) {
        fail_msg("taken: %s", text);
    }
    assert_null(list);
    assert_string_equal(why.text, expected);
}

static void expect_entry_refused(const char *entry, const char *expected) {
    char text[1024], why[1024];
    snprintf(text, sizeof(text), "{\"deny\": [\n  {\"name\": \"[,\\\"\"},\n\n  %s\n]}", entry);
    snprintf(why, sizeof(why), "line 4, entry 2: %s", expected);
    expect_refused(text, why);
}

#define ROOT_EXPECTED "line 1: expected {\"deny\": [ entries ]} and nothing beside it"

static void the_whole_has_one_form(void **state) {
    (void)state;
    static const char *const wrong[] = {
        "[]",
        "{}",
        "null",
        "\"deny\"",
        "{\"deny\": {}}",
        "{\"deny\": null}",
        "{\"Deny\": []}",
        "{\"deny\": [], \"deny\": []}",
        "{\"deny\": [], \"version\": 1}",
        "{\"allow\": []}",
    };
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        expect_refused(wrong[i], ROOT_EXPECTED);
    }
}

static void what_is_not_json_is_named_by_its_line(void **state) {
    (void)state;
    expect_refused("", "line 1: not JSON from here on");
    expect_refused("{\"deny\": [", "line 1: not JSON from here on");
    expect_refused("{\"deny\": [\n {\"name\": \"a\"}\n {\"name\": \"b\"}\n]}",
                   "line 3: not JSON from here on");
    expect_refused("{\"deny\": [\n\n]}\n]", "line 4: not JSON from here on");
    expect_refused("{\"deny\": [\n {\"name\": \"a\nb\"}]}", "line 2: not JSON from here on");
    expect_refused("{\"deny\": [\n {\"name\": \"a\\u0000b\"}]}", "line 2: not JSON from here on");
    expect_refused("{\"deny\": [\n\n {\"name\": \"\xe4\"}]}", "line 3: not JSON from here on");
}

static void entries_have_known_members_once(void **state) {
    (void)state;
    static const char object[] = "expected an object, as in {\"principal\": \"User:alice\"}";
    static const char everything[] =
        "it would deny everything to everybody; expected a member besides reason";
    static const char listed[] = "expected principal, certificate_sha256, serial, operation, type, "
                                 "name or reason";
    char why[512];
    expect_entry_refused("\"User:alice\"", object);
    expect_entry_refused("[{\"name\": \"a\"}]", object);
    expect_entry_refused("null", object);
    expect_entry_refused("{}", everything);
    expect_entry_refused("{\"reason\": \"INC-123\"}", everything);
    snprintf(why, sizeof(why), "there is no member \"Principal\"; %s", listed);
    expect_entry_refused("{\"Principal\": \"User:alice\"}", why);
    snprintf(why, sizeof(why), "there is no member \"issuer\\x0a\"; %s", listed);
    expect_entry_refused("{\"serial\": \"01\", \"issuer\\n\": \"CN=ca\"}", why);
    snprintf(why, sizeof(why), "there is no member \"\"; %s", listed);
    expect_entry_refused("{\"\": \"\"}", why);
    expect_entry_refused("{\"name\": \"a\", \"name\": \"b\"}", "name stands there twice");
    expect_entry_refused("{\"name\": \"a\", \"reason\": \"\", \"reason\": \"\"}",
                         "reason stands there twice");
}

static void expect_values_refused(const char *member, const char *const *values,
                                  const char *expected) {
    char entry[512], why[512];
    static const char *const no_texts[] = {"1", "null", "true", "[]", "[\"User:alice\"]", "{}"};
    snprintf(why, sizeof(why), "%s: expected %s", member, expected);
    for (size_t i = 0; i < COUNT_OF(no_texts); i++) {
        snprintf(entry, sizeof(entry), "{\"%s\": %s}", member, no_texts[i]);
        expect_entry_refused(entry, why);
    }
    for (; *values != NULL; values++) {
        snprintf(entry, sizeof(entry), "{\"%s\": \"%s\"}", member, *values);
        expect_entry_refused(entry, why);
    }
}

static void values_are_checked(void **state) {
    (void)state;
    expect_values_refused(
        "principal", (const char *[]){"", "alice", ":alice", "User:", "User:*", "User", "*", NULL},
        "\"Type:name\", as in \"User:alice\"; there is no wildcard");
    expect_values_refused("certificate_sha256",
                          (const char *[]){"", "00", SHA256_TEXT "00", "0" SHA256_TEXT,
                                           SHA256_COLONS ":", ":" SHA256_COLONS, NULL},
                          "64 hex digits, with or without colons between pairs");
    expect_values_refused("serial",
                          (const char *[]){"", "4", "4a1", "0x4a", "4a::1b", "4a:", ":4a", "4a 1b",
                                           "-4a", "4g", "g4", "4:a", NULL},
                          "pairs of hex digits, with or without colons in between");
    expect_values_refused("operation",
                          (const char *[]){"", "write", "Write", "ALL", "ANY", "UNKNOWN",
                                           "UNKNOWN_1", "UNKNOWN_256", "*", NULL},
                          "READ, WRITE, CREATE, DELETE, ALTER, DESCRIBE, CLUSTER_ACTION, "
                          "DESCRIBE_CONFIGS, ALTER_CONFIGS, IDEMPOTENT_WRITE, CREATE_TOKENS, "
                          "DESCRIBE_TOKENS or TWO_PHASE_COMMIT; without the member all fit");
    expect_values_refused("type",
                          (const char *[]){"", "topic", "ANY", "UNKNOWN", "*", "LITERAL", NULL},
                          "TOPIC, GROUP, CLUSTER, TRANSACTIONAL_ID, DELEGATION_TOKEN or USER; "
                          "without the member all fit");
    expect_values_refused("name", (const char *[]){"*", NULL},
                          "a whole name; there is no wildcard, without the member all fit");
    expect_values_refused("reason", (const char *[]){NULL}, "a text");
}

static void every_name_of_the_core_is_taken(void **state) {
    (void)state;
    struct dk_code_name room;
    char entry[128];
    for (unsigned code = 3; code < 16; code++) {
        snprintf(entry, sizeof(entry), "{\"deny\":[{\"operation\":\"%s\"}]}",
                 dk_operation_name((uint8_t)code, &room));
        dk_deny_list_release(parse(entry));
    }
    for (unsigned code = 2; code < 8; code++) {
        snprintf(entry, sizeof(entry), "{\"deny\":[{\"type\":\"%s\"}]}",
                 dk_resource_type_name((uint8_t)code, &room));
        dk_deny_list_release(parse(entry));
    }
}

/* ---- caps -------------------------------------------------------------------------------- */

static void write_entries(struct dk_writer *out, size_t count) {
    dk_writer_init(out, 1u << 20);
    dk_writer_text(out, "{\"deny\":[");
    for (size_t i = 0; i < count; i++) {
        dk_writer_text(out, i > 0 ? ",{\"principal\":\"User:" : "{\"principal\":\"User:");
        dk_writer_u64_decimal(out, i);
        dk_writer_text(out, "\",\"operation\":\"WRITE\",\"type\":\"TOPIC\",\"name\":\"a\"}");
    }
    dk_writer_text(out, "]}");
    assert_false(out->failed);
}

static void entries_have_a_cap(void **state) {
    (void)state;
    struct dk_writer text;
    struct dk_deny_list *list = NULL;
    struct dk_error_text why = {""};
    write_entries(&text, DK_DENY_ENTRIES_MAX);
    assert_int_equal(dk_deny_list_parse(dk_writer_view(&text), &list, &why), DK_OK);
    assert_int_equal(dk_deny_list_count(list), DK_DENY_ENTRIES_MAX);
    struct dk_action action = write_to("a");
    static const struct asker last = {"User", "9999", NULL, 0};
    assert_int_equal(denied_by(list, &last, &action), DK_DENY_ENTRIES_MAX);
    dk_deny_list_release(list);
    dk_writer_clean_up(&text);
    write_entries(&text, DK_DENY_ENTRIES_MAX + 1);
    assert_int_equal(dk_deny_list_parse(dk_writer_view(&text), &list, &why), DK_ERR_TOO_LARGE);
    assert_string_equal(why.text, "10001 entries; expected at most 10000");
    assert_null(list);
    dk_writer_clean_up(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_is_denied_by_an_empty_list),
        cmocka_unit_test(principals),
        cmocka_unit_test(certificates),
        cmocka_unit_test(serials_are_numbers),
        cmocka_unit_test(operations_types_and_names),
        cmocka_unit_test(an_entry_needs_all_of_its_members),
        cmocka_unit_test(every_entry_is_looked_at),
        cmocka_unit_test(a_list_lives_as_long_as_somebody_holds_it),
        cmocka_unit_test(the_whole_has_one_form),
        cmocka_unit_test(what_is_not_json_is_named_by_its_line),
        cmocka_unit_test(entries_have_known_members_once),
        cmocka_unit_test(values_are_checked),
        cmocka_unit_test(every_name_of_the_core_is_taken),
        cmocka_unit_test(entries_have_a_cap),
    };
    return cmocka_run_group_tests_name("deny list", tests, NULL, NULL);
}
