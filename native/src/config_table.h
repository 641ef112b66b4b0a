/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file config_table.h
 * The table of settings behind config.h, for config.c and the reference it prints only.
 */
#ifndef DOORKEEPER_CONFIG_TABLE_H
#define DOORKEEPER_CONFIG_TABLE_H

#include "doorkeeper/config.h"

enum setting_type {
    SETTING_NUMBER,
    SETTING_URL,
    SETTING_RULE, /* the path of a rule in OPA */
    SETTING_OPTIONAL_RULE,
    SETTING_FILE,
    SETTING_FIELDS,
    SETTING_ON_UNAVAILABLE,
    SETTING_DECISION_MODE,
    SETTING_ERASE,
    SETTING_PRINCIPALS,
};

struct setting_row {
    const char *name;
    enum setting_type type;
    size_t offset;             /* of the member of struct dk_config; not read for lists of words */
    const char *fallback;      /* NULL: made from other settings */
    const char *fallback_note; /* for people, where `fallback` says too little; may be NULL */
    int64_t min, max;          /* of numbers */
    const char *help;
    const char *example;
};

extern const struct setting_row setting_rows[];
extern const size_t setting_row_count;

bool setting_is_text(enum setting_type type);

/* What would be right for a setting, as in "expected a whole number from 1 to 2000". */
#define SETTING_EXPECTED_MAX 256
void setting_expected(const struct setting_row *row, char out[SETTING_EXPECTED_MAX]);

/* The enum dk_field_group of a name, 0 for none. */
uint32_t setting_field_group(struct dk_bytes name);
/* The enum dk_erasable of a name, 0 for none. */
uint32_t setting_erasable(struct dk_bytes name);

#endif
