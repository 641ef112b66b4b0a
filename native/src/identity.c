/* SPDX-License-Identifier: Apache-2.0 */
#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE /* timegm, inet_ntop */
#endif
#include "doorkeeper/identity.h"

#include <openssl/asn1.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define EXTENSIONS_MAX 128
#define OID_BYTES_MAX 64u
#define OID_TEXT_MAX 512

static bool is_plain_ascii(struct dk_bytes text) {
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < 0x20 || text.ptr[i] >= 0x7f) {
            return false;
        }
    }
    return true;
}

static void put_u8(struct dk_writer *out, uint8_t value) {
    dk_writer_bytes(out, (struct dk_bytes){&value, 1});
}

static void put_u16(struct dk_writer *out, uint16_t value) {
    uint8_t bytes[2];
    dk_write_u16(bytes, value);
    dk_writer_bytes(out, (struct dk_bytes){bytes, sizeof(bytes)});
}

static void put_i64(struct dk_writer *out, int64_t value) {
    uint8_t bytes[8];
    dk_write_u64(bytes, (uint64_t)value);
    dk_writer_bytes(out, (struct dk_bytes){bytes, sizeof(bytes)});
}

static enum dk_error put_text(struct dk_writer *out, struct dk_bytes text,
                              struct dk_error_text *why) {
    if (text.len > UINT16_MAX) {
        return dk_fail(why, DK_ERR_TOO_LARGE, "a name in the certificate is too long");
    }
    put_u16(out, (uint16_t)text.len);
    dk_writer_bytes(out, text);
    return DK_OK;
}

static struct dk_bytes bytes_of(const ASN1_STRING *string) {
    return (struct dk_bytes){ASN1_STRING_get0_data(string), (size_t)ASN1_STRING_length(string)};
}

static const char *short_name(int nid) {
    switch (nid) {
    case NID_commonName:
        return "CN";
    case NID_countryName:
        return "C";
    case NID_localityName:
        return "L";
    case NID_stateOrProvinceName:
        return "ST";
    case NID_organizationName:
        return "O";
    case NID_organizationalUnitName:
        return "OU";
    case NID_streetAddress:
        return "STREET";
    case NID_domainComponent:
        return "DC";
    case NID_userId:
        return "UID";
    default:
        return NULL;
    }
}

static enum dk_error put_attribute_type(const ASN1_OBJECT *object, struct dk_writer *out,
                                        struct dk_error_text *why) {
    const char *name = short_name(OBJ_obj2nid(object));
    if (name != NULL) {
        return put_text(out, dk_bytes_of(name), why);
    }
    char dotted[OID_TEXT_MAX];
    if (OBJ_length(object) > OID_BYTES_MAX) {
        return dk_fail(why, DK_ERR_TOO_LARGE, "an attribute's type is too long");
    }
    int len = OBJ_obj2txt(dotted, sizeof(dotted), object, 1);
    if (len <= 0 || (size_t)len >= sizeof(dotted)) {
        return dk_fail(why, DK_ERR_MALFORMED, "an attribute's type is not an object identifier");
    }
    return put_text(out, dk_bytes_of(dotted), why);
}

static enum dk_error put_attribute_value(const ASN1_STRING *string, struct dk_writer *out,
                                         struct dk_error_text *why) {
    struct dk_bytes text = bytes_of(string);
    bool plain = false;
    switch (ASN1_STRING_type(string)) {
    case V_ASN1_UTF8STRING:
        plain = dk_identity_is_plain_text(text);
        break;
    case V_ASN1_PRINTABLESTRING:
    case V_ASN1_IA5STRING:
    case V_ASN1_NUMERICSTRING:
        plain = is_plain_ascii(text);
        break;
    default:
        return dk_fail(why, DK_ERR_MALFORMED, "a name has a string type that readers disagree on");
    }
    if (!plain) {
        return dk_fail(why, DK_ERR_MALFORMED,
                       "a name has a control character, U+FFFD or malformed text");
    }
    return put_text(out, text, why);
}

/* OpenSSL drops empty RDNs when it reads a name; other readers may not. */
static bool has_empty_rdn(const X509_NAME *name) {
    const unsigned char *ptr = NULL;
    size_t size = 0;
    long len = 0;
    int tag = 0;
    int class = 0;
    if (X509_NAME_get0_der(name, &ptr, &size) != 1) {
        return true;
    }
    const unsigned char *end = ptr + size;
    if ((ASN1_get_object(&ptr, &len, &tag, &class, (long)size) & 0x80) != 0) {
        return true;
    }
    while (ptr < end) {
        if ((ASN1_get_object(&ptr, &len, &tag, &class, end - ptr) & 0x80) != 0 || len <= 0) {
            return true;
        }
        ptr += len;
    }
    return false;
}

/* One RDN: the entries from `first` on that share its set. Returns DK_OK and moves `*next`. */
static enum dk_error put_rdn(const X509_NAME *name, int first, int *next, struct dk_writer *out,
                             struct dk_error_text *why) {
    int set = X509_NAME_ENTRY_set(X509_NAME_get_entry(name, first));
    int end = first + 1;
    while (end < X509_NAME_entry_count(name) &&
           X509_NAME_ENTRY_set(X509_NAME_get_entry(name, end)) == set) {
        end++;
    }
    if (end - first > UINT8_MAX) {
        return dk_fail(why, DK_ERR_TOO_LARGE, "a relative name has too many attributes");
    }
    put_u8(out, (uint8_t)(end - first));
    for (int i = first; i < end; i++) {
        const X509_NAME_ENTRY *entry = X509_NAME_get_entry(name, i);
        enum dk_error error = put_attribute_type(X509_NAME_ENTRY_get_object(entry), out, why);
        if (error == DK_OK) {
            error = put_attribute_value(X509_NAME_ENTRY_get_data(entry), out, why);
        }
        if (error != DK_OK) {
            return error;
        }
    }
    *next = end;
    return DK_OK;
}

static enum dk_error put_name(const X509_NAME *name, struct dk_writer *out,
                              struct dk_error_text *why) {
    int entries = X509_NAME_entry_count(name);
    if (has_empty_rdn(name)) {
        return dk_fail(why, DK_ERR_MALFORMED, "a relative name is empty");
    }
    int rdns = entries > 0 ? X509_NAME_ENTRY_set(X509_NAME_get_entry(name, entries - 1)) + 1 : 0;
    if (rdns > UINT16_MAX) {
        return dk_fail(why, DK_ERR_TOO_LARGE, "a name has too many parts");
    }
    put_u16(out, (uint16_t)rdns);
    for (int i = 0; i < entries;) {
        enum dk_error error = put_rdn(name, i, &i, out, why);
        if (error != DK_OK) {
            return error;
        }
    }
    return DK_OK;
}

/* 0 for the kinds that are passed over. */
static unsigned san_kind(const GENERAL_NAME *name) {
    switch (name->type) {
    case GEN_DNS:
        return DK_SAN_DNS;
    case GEN_URI:
        return DK_SAN_URI;
    case GEN_EMAIL:
        return DK_SAN_EMAIL;
    case GEN_IPADD:
        return DK_SAN_IP;
    default:
        return 0;
    }
}

static enum dk_error put_ip(struct dk_bytes address, struct dk_writer *out,
                            struct dk_error_text *why) {
    char text[INET6_ADDRSTRLEN];
    if (address.len != 4 && address.len != 16) {
        return dk_fail(why, DK_ERR_MALFORMED, "an IP address has %zu bytes", address.len);
    }
    int family = address.len == 4 ? AF_INET : AF_INET6;
    if (inet_ntop(family, address.ptr, text, sizeof(text)) == NULL) {
        return dk_fail(why, DK_ERR_MALFORMED, "an IP address has no text");
    }
    return put_text(out, dk_bytes_of(text), why);
}

static enum dk_error put_san(const GENERAL_NAME *name, unsigned kind, struct dk_writer *out,
                             struct dk_error_text *why) {
    put_u8(out, (uint8_t)kind);
    if (kind == DK_SAN_IP) {
        return put_ip(bytes_of(name->d.iPAddress), out, why);
    }
    struct dk_bytes text = bytes_of(name->d.ia5);
    if (!is_plain_ascii(text)) {
        return dk_fail(why, DK_ERR_MALFORMED, "a subject alternative name is not printable ASCII");
    }
    return put_text(out, text, why);
}

static bool is_spiffe(struct dk_bytes uri) {
    static const char scheme[] = "spiffe:";
    size_t len = sizeof(scheme) - 1;
    return uri.len >= len && strncasecmp((const char *)uri.ptr, scheme, len) == 0;
}

static enum dk_error check_uris(const GENERAL_NAMES *names, struct dk_error_text *why) {
    size_t uris = 0;
    size_t spiffe_ids = 0;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (san_kind(name) == DK_SAN_URI) {
            uris++;
            spiffe_ids += is_spiffe(bytes_of(name->d.ia5));
        }
    }
    if (uris > 1 && spiffe_ids > 0) {
        return dk_fail(why, DK_ERR_MALFORMED, "a SPIFFE id does not stand alone");
    }
    return DK_OK;
}

static enum dk_error put_sans(const GENERAL_NAMES *names, struct dk_writer *out,
                              struct dk_error_text *why) {
    uint16_t count = 0;
    if (sk_GENERAL_NAME_num(names) > (int)DK_SAN_MAX) {
        return dk_fail(why, DK_ERR_TOO_LARGE, "more than %u subject alternative names", DK_SAN_MAX);
    }
    enum dk_error error = check_uris(names, why);
    if (error != DK_OK) {
        return error;
    }
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        count += san_kind(sk_GENERAL_NAME_value(names, i)) != 0;
    }
    put_u16(out, count);
    for (unsigned kind = DK_SAN_DNS; kind <= DK_SAN_IP; kind++) {
        for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
            const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
            if (san_kind(name) != kind) {
                continue;
            }
            error = put_san(name, kind, out, why);
            if (error != DK_OK) {
                return error;
            }
        }
    }
    return DK_OK;
}

static enum dk_error check_extensions(const X509 *x509, struct dk_error_text *why) {
    int count = X509_get_ext_count(x509);
    if (count > EXTENSIONS_MAX) {
        return dk_fail(why, DK_ERR_TOO_LARGE, "more than %d extensions", EXTENSIONS_MAX);
    }
    for (int i = 0; i < count; i++) {
        const ASN1_OBJECT *object = X509_EXTENSION_get_object(X509_get_ext(x509, i));
        if (X509_get_ext_by_OBJ(x509, object, i) >= 0) {
            return dk_fail(why, DK_ERR_MALFORMED, "an extension stands there twice");
        }
    }
    return DK_OK;
}

static enum dk_error read_sans(const X509 *x509, struct dk_writer *out, struct dk_error_text *why) {
    int at = X509_get_ext_by_NID(x509, NID_subject_alt_name, -1);
    if (at < 0) {
        put_u16(out, 0);
        return DK_OK;
    }
    /* Not X509_get_ext_d2i: that would overlook bytes behind the value. */
    struct dk_bytes value = bytes_of(X509_EXTENSION_get_data(X509_get_ext(x509, at)));
    const unsigned char *end = value.ptr;
    GENERAL_NAMES *names = d2i_GENERAL_NAMES(NULL, &end, (long)value.len);
    enum dk_error error;
    if (names == NULL || end != value.ptr + value.len) {
        error = dk_fail(why, DK_ERR_MALFORMED, "the subject alternative names are malformed");
    } else {
        error = put_sans(names, out, why);
    }
    GENERAL_NAMES_free(names);
    return error;
}

/* Only YYMMDDhhmmssZ and YYYYMMDDhhmmssZ: OpenSSL reads further forms that others read otherwise.
 */
static bool read_time(const ASN1_TIME *time, int64_t *out_s) {
    struct dk_bytes text = bytes_of(time);
    size_t digits = ASN1_STRING_type(time) == V_ASN1_UTCTIME ? 12 : 14;
    if (text.len != digits + 1 || text.ptr[digits] != 'Z') {
        return false;
    }
    for (size_t i = 0; i < digits; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') {
            return false;
        }
    }
    struct tm tm;
    if (ASN1_TIME_to_tm(time, &tm) != 1) {
        return false;
    }
    *out_s = (int64_t)timegm(&tm);
    return true;
}

static enum dk_error put_serial(const X509 *x509, struct dk_writer *out,
                                struct dk_error_text *why) {
    unsigned char *der = NULL;
    int size = i2d_ASN1_INTEGER(X509_get0_serialNumber(x509), &der);
    const unsigned char *ptr = der;
    long len = 0;
    int tag = 0;
    int class = 0;
    enum dk_error error = DK_ERR_MALFORMED;
    if (size > 0 && (ASN1_get_object(&ptr, &len, &tag, &class, size) & 0x80) == 0) {
        error = put_text(out, (struct dk_bytes){ptr, (size_t)len}, why);
    } else {
        (void)dk_fail(why, error, "the serial number is malformed");
    }
    OPENSSL_free(der);
    return error;
}

static enum dk_error read_certificate(const X509 *x509, struct dk_identity *out,
                                      struct dk_error_text *why) {
    int64_t not_before_s = 0;
    uint8_t sha256[DK_SHA256_LEN];
    if (!read_time(X509_get0_notBefore(x509), &not_before_s) ||
        !read_time(X509_get0_notAfter(x509), &out->not_after_s)) {
        return dk_fail(why, DK_ERR_MALFORMED, "a date of the validity is malformed");
    }
    /* Elsewhere 0 says that there is no end. */
    if (out->not_after_s <= 0) {
        return dk_fail(why, DK_ERR_MALFORMED, "the validity ends before 1970");
    }
    if (X509_digest(x509, EVP_sha256(), sha256, NULL) != 1) {
        return dk_fail(why, DK_ERR_SYSTEM, "no SHA-256 of the certificate");
    }
    put_i64(&out->certificate, not_before_s);
    put_i64(&out->certificate, out->not_after_s);
    dk_writer_bytes(&out->certificate, (struct dk_bytes){sha256, sizeof(sha256)});
    return put_serial(x509, &out->certificate, why);
}

static enum dk_error read_subject(const X509 *x509, struct dk_writer *out,
                                  struct dk_error_text *why) {
    enum dk_error error = put_name(X509_get_subject_name(x509), out, why);
    if (error == DK_OK) {
        error = put_name(X509_get_issuer_name(x509), out, why);
    }
    if (error == DK_OK) {
        error = read_sans(x509, out, why);
    }
    return error;
}

static enum dk_error read_facts(const X509 *x509, struct dk_identity *out,
                                struct dk_error_text *why) {
    enum dk_error error = check_extensions(x509, why);
    if (error == DK_OK) {
        error = read_certificate(x509, out, why);
    }
    if (error == DK_OK) {
        error = read_subject(x509, &out->subject, why);
    }
    if (error == DK_OK && (out->subject.failed || out->certificate.failed)) {
        error = dk_fail(why, DK_ERR_TOO_LARGE, "the facts of the certificate are too large");
    }
    return error;
}

static enum dk_error parse_der(struct dk_bytes der, struct dk_identity *out,
                               struct dk_error_text *why) {
    if (der.len > DK_CERTIFICATE_MAX) {
        return dk_fail(why, DK_ERR_TOO_LARGE, "the certificate is longer than %u bytes",
                       DK_CERTIFICATE_MAX);
    }
    const unsigned char *end = der.ptr;
    X509 *x509 = d2i_X509(NULL, &end, (long)der.len);
    enum dk_error error;
    if (x509 == NULL) {
        error = dk_fail(why, DK_ERR_MALFORMED, "not an X.509 certificate in DER");
    } else if (end != der.ptr + der.len) {
        error = dk_fail(why, DK_ERR_MALFORMED, "bytes follow the certificate");
    } else {
        error = read_facts(x509, out, why);
    }
    X509_free(x509);
    return error;
}

enum dk_error dk_identity_parse(struct dk_bytes der, struct dk_identity *out,
                                struct dk_error_text *why) {
    memset(out, 0, sizeof(*out));
    dk_writer_init(&out->subject, DK_SUBJECT_MAX);
    dk_writer_init(&out->certificate, DK_CERTIFICATE_MAX);
    /* Before OpenSSL sets itself up: the process's exit is not ours. */
    if (OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL) != 1) {
        dk_identity_clean_up(out);
        return dk_fail(why, DK_ERR_SYSTEM, "OpenSSL does not start");
    }
    (void)ERR_set_mark();
    enum dk_error error = parse_der(der, out, why);
    (void)ERR_pop_to_mark();
    if (error != DK_OK) {
        dk_identity_clean_up(out);
    }
    return error;
}

void dk_identity_clean_up(struct dk_identity *identity) {
    dk_writer_clean_up(&identity->subject);
    dk_writer_clean_up(&identity->certificate);
    memset(identity, 0, sizeof(*identity));
}
