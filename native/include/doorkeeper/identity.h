/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file identity.h
 * From the DER of a client certificate to the facts that a policy may read.
 *
 * Only the leaf is read. Nothing in a certificate is ever followed: no CRL distribution point, no
 * AIA, no OCSP URL. Names that two readers could read differently are refused, see SECURITY.md.
 *
 * Facts are two records, each the bytes of one field of a question (question.h):
 *   subject:      name(subject), name(issuer), then SANs: u16 count, each u8 kind
 *                 (enum dk_san_kind, in ascending order), u16 length, bytes (an IP address as text)
 *     name:       u16 count of RDNs, each u8 count of attributes, each
 *                 u16 length + type ("CN", or dotted OID), u16 length + value (UTF-8)
 *   certificate:  i64 not_before_s, i64 not_after_s, 32 bytes SHA-256, u16 length + serial number
 *                 (big-endian, minimal two's complement as in DER)
 * Little-endian numbers. Any thread.
 */
#ifndef DOORKEEPER_IDENTITY_H
#define DOORKEEPER_IDENTITY_H

#include "doorkeeper/bytes.h"
#include "doorkeeper/error.h"

#define DK_CERTIFICATE_MAX (64u * 1024u)
#define DK_SAN_MAX 256u
#define DK_SHA256_LEN 32u
/** Of the subject record, so that it fits into a context (question.h) with room to spare. */
#define DK_SUBJECT_MAX (64u * 1024u)

enum dk_san_kind { DK_SAN_DNS = 1, DK_SAN_URI = 2, DK_SAN_EMAIL = 3, DK_SAN_IP = 4 };

struct dk_identity {
    int64_t not_after_s;          /**< always greater than 0 */
    struct dk_writer subject;     /**< owned */
    struct dk_writer certificate; /**< owned */
};

/**
 * Reads one DER certificate, which must fill `der` exactly. On failure `out` is cleaned up and
 * `why` (may be NULL) names the cause: DK_ERR_TOO_LARGE over DK_CERTIFICATE_MAX, DK_SAN_MAX,
 * DK_SUBJECT_MAX or 128 extensions; DK_ERR_MALFORMED for what is not a certificate, bytes behind
 * it, duplicate extensions, names with an empty RDN, control characters (NUL, C0, DEL, C1), U+FFFD
 * or invalid UTF-8, string types other than UTF8, Printable, IA5 and Numeric, malformed SANs, an IP
 * address of other than 4 or 16 bytes, more than one URI SAN with one of scheme spiffe, and a
 * validity that is malformed or ends before 1970. Other kinds of SAN are passed over.
 *
 * Leaves OpenSSL's error queue as it was. Costs about 0.1 ms: call it once per connection.
 */
DK_WARN_UNUSED enum dk_error dk_identity_parse(struct dk_bytes der, struct dk_identity *out,
                                               struct dk_error_text *why);
void dk_identity_clean_up(struct dk_identity *identity);

/** True for valid UTF-8 without control characters (NUL, C0, DEL, C1) and U+FFFD. */
bool dk_identity_is_plain_text(struct dk_bytes text);

/**
 * JSON objects of the two records. DK_ERR_MALFORMED if a record is not as above or holds text that
 * dk_identity_parse would refuse; then `out` holds a part. `out` NULL only checks the record. Two
 * different records never give the same JSON.
 */
DK_WARN_UNUSED enum dk_error dk_subject_write_json(struct dk_bytes record, struct dk_writer *out);
DK_WARN_UNUSED enum dk_error dk_certificate_write_json(struct dk_bytes record,
                                                       struct dk_writer *out);

/** What tells one certificate from all others, and from those of its issuer. Views. */
struct dk_certificate_id {
    struct dk_bytes sha256, serial;
};
/** `record`: a certificate record that dk_certificate_write_json takes. */
struct dk_certificate_id dk_certificate_id_of(struct dk_bytes record);

#endif
