/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file question.h
 * The canonical bytes of a question, and their JSON. What is hashed is what is sent: the cache key
 * and the text for OPA come from the same bytes, and two different texts never share bytes.
 *
 * A question is a context (who asks, from where) and an action (what is asked). All numbers are
 * little-endian. All strings are UTF-8; any code point and the empty string are allowed.
 *
 * Context record:
 *     i64 not_after_s   the certificate's end, 0 for none, never negative: a local rule, neither
 *                       hashed nor sent
 *     then fields in ascending order of tag: u8 tag, u8 0, u16 0, u32 length, the bytes
 * DK_FIELD_LOCAL_CERTIFICATE, which stands first, is for local rules too: neither hashed nor sent.
 * It is there if the principal has a certificate. The next three always are; which others there
 * are is the operator's choice (doorkeeper.question.fields). There is one way to write a context:
 * repeated, unordered and unknown tags are refused, and so is a DK_FIELD_CERTIFICATE that is not
 * the local one.
 *
 * Request record: one or more actions, each
 *     u32 reference_count, u8 flags (enum dk_action_flag), u8 0, u16 0      neither hashed nor sent
 *     u8 operation, u8 resource type, u8 pattern type, u8 named (0 or 1), u32 name length
 *     the name, padded with zeros to a multiple of 8
 * `named` 0 with an empty name asks for "any resource of this type". Operation, type and pattern
 * are Kafka's codes (AclOperation, ResourceType, PatternType); codes unknown here have a name made
 * from their number, so a newer Kafka needs no newer Doorkeeper.
 *
 * Parsing is any-thread and allocates nothing; views point into the record.
 */
#ifndef DOORKEEPER_QUESTION_H
#define DOORKEEPER_QUESTION_H

#include "doorkeeper/error.h"
#include "doorkeeper/keyed_hash.h"

enum dk_field {
    DK_FIELD_LOCAL_CERTIFICATE = 0, /**< as DK_FIELD_CERTIFICATE, for the deny list */
    DK_FIELD_CLUSTER_ID = 1,
    DK_FIELD_PRINCIPAL_TYPE = 2,
    DK_FIELD_PRINCIPAL_NAME = 3,
    DK_FIELD_SUBJECT = 4,     /**< facts of the certificate, see identity.h */
    DK_FIELD_CERTIFICATE = 5, /**< facts of the certificate, see identity.h */
    DK_FIELD_LISTENER = 6,
    DK_FIELD_FORWARDED = 7, /**< one byte, 0 or 1; always there with the listener */
    DK_FIELD_PROTOCOL = 8,
    DK_FIELD_ADDRESS = 9, /**< as text, without a zone */
    DK_FIELD_CLIENT_ID = 10,
    DK_FIELD_API = 11,
    DK_FIELD_COUNT = 12,
};

#define DK_CONTEXT_MAX (128u * 1024u)
#define DK_NAME_MAX (128u * 1024u)
#define DK_ACTION_HEADER 16u

struct dk_context {
    struct dk_bytes record; /**< whole, as parsed */
    int64_t not_after_s;
    struct dk_bytes fields[DK_FIELD_COUNT]; /**< ptr == NULL: not there */
};

enum dk_action_flag { DK_LOG_IF_ALLOWED = 1, DK_LOG_IF_DENIED = 2 };

struct dk_action {
    uint32_t reference_count;
    uint8_t flags;
    uint8_t operation, type, pattern;
    bool named;
    struct dk_bytes name;
    struct dk_bytes hashed; /**< the part of the record that belongs to the key; whole words */
};

/** `record` must outlive `out`. DK_ERR_MALFORMED or DK_ERR_TOO_LARGE; then `out` is empty. */
DK_WARN_UNUSED enum dk_error dk_context_parse(struct dk_bytes record, struct dk_context *out);

/**
 * Takes one action off the front of `*rest`. Strict: flags, padding and UTF-8 are checked.
 * DK_ERR_MALFORMED or DK_ERR_TOO_LARGE (a name over DK_NAME_MAX); then `*rest` is as it was and
 * `out` must not be used.
 */
DK_WARN_UNUSED enum dk_error dk_action_parse(struct dk_bytes *rest, struct dk_action *out);
/** The same without the look at the name's UTF-8, for the hit path: a hit repeats bytes that were
 *  checked when they were asked. */
DK_WARN_UNUSED enum dk_error dk_action_parse_fast(struct dk_bytes *rest, struct dk_action *out);

/** The part of a parsed context that belongs to the key: contexts ask the same if it is equal. */
struct dk_bytes dk_context_hashed(const struct dk_context *context);

/** A context record that asks the same, without what only local rules read: no end, and no local
 *  certificate unless OPA is sent it. */
void dk_context_write_asked(const struct dk_context *context, struct dk_writer *out);

/** Whether `principal`, as "Type:name", is the context's. Split at the first colon, so that none
 *  inside a principal's type can move the border. */
bool dk_context_is_principal(const struct dk_context *context, struct dk_bytes principal);

/** State after the context; dk_question_key adds an action and the epoch. Wait-free. */
void dk_question_begin(const struct dk_hash_key *key, const struct dk_context *context,
                       struct dk_keyed_hash *out);
struct dk_hash128 dk_question_key(const struct dk_keyed_hash *begun, const struct dk_action *action,
                                  uint64_t epoch);
/** The same for up to DK_HASH_LANES actions at once; `keys` beyond `count` are overwritten. */
void dk_question_keys(const struct dk_keyed_hash *begun, const struct dk_action *actions,
                      size_t count, uint64_t epoch, struct dk_hash128 keys[DK_HASH_LANES]);

/** "READ", "TOPIC", "LITERAL"; for unknown codes "UNKNOWN_<code>", written into `room`. */
struct dk_code_name {
    char text[16];
};
const char *dk_operation_name(uint8_t code, struct dk_code_name *room);
const char *dk_resource_type_name(uint8_t code, struct dk_code_name *room);
const char *dk_pattern_type_name(uint8_t code, struct dk_code_name *room);

/** How both forms begin: {"input":{"version":1,"cluster":{"id":…} */
void dk_question_write_head(struct dk_bytes cluster_id, struct dk_writer *out);
/** JSON members that both forms of docs/policy-input.md share, as "principal":{…},"client":{…}. */
void dk_context_write_json(const struct dk_context *context, struct dk_writer *out);
/** The single form: {"input":{"version":1,"cluster":…,"principal":…,"client":…,"action":…}}. */
void dk_question_write_single(const struct dk_context *context, const struct dk_action *action,
                              struct dk_writer *out);

#endif
