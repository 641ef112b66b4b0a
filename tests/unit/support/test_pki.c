/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test_pki.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <stdio.h>
#include <string.h>

static bool add_extension(X509 *x509, const X509 *issuer, int nid, const char *value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, (X509 *)(uintptr_t)issuer, x509, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    bool ok = extension != NULL && X509_add_ext(x509, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return ok;
}

static bool name_it(X509 *x509, const char *name, const X509 *issuer) {
    X509_NAME *subject = X509_get_subject_name(x509);
    return X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1,
                                      -1, 0) == 1 &&
           X509_set_issuer_name(x509, X509_get_subject_name(issuer)) == 1;
}

static bool add_extensions(X509 *x509, const struct test_certificate *issuer, const char *address) {
    char alternative[80];
    const X509 *signer = issuer != NULL ? issuer->x509 : x509;
    if (issuer == NULL) {
        return add_extension(x509, signer, NID_basic_constraints, "critical,CA:TRUE") &&
               add_extension(x509, signer, NID_key_usage, "critical,keyCertSign");
    }
    if (address == NULL) {
        return true;
    }
    snprintf(alternative, sizeof(alternative), "IP:%s", address);
    return add_extension(x509, signer, NID_subject_alt_name, alternative);
}

static bool write_pem(struct test_certificate *out) {
    BIO *certificate = BIO_new(BIO_s_mem());
    BIO *key = BIO_new(BIO_s_mem());
    bool ok = certificate != NULL && key != NULL &&
              PEM_write_bio_X509(certificate, out->x509) == 1 &&
              PEM_write_bio_PrivateKey(key, out->pkey, NULL, NULL, 0, NULL, NULL) == 1 &&
              BIO_read(certificate, out->pem, sizeof(out->pem) - 1) > 0 &&
              BIO_read(key, out->key_pem, sizeof(out->key_pem) - 1) > 0;
    BIO_free(key);
    BIO_free(certificate);
    return ok;
}

bool test_certificate_make(struct test_certificate *out, const char *name,
                           const struct test_certificate *issuer, const char *address) {
    memset(out, 0, sizeof(*out));
    out->pkey = EVP_EC_gen("P-256");
    out->x509 = X509_new();
    if (out->pkey == NULL || out->x509 == NULL) {
        return false;
    }
    static long serial = 1;
    X509 *x509 = out->x509;
    return X509_set_version(x509, 2) == 1 &&
           ASN1_INTEGER_set(X509_get_serialNumber(x509), serial++) == 1 &&
           X509_gmtime_adj(X509_getm_notBefore(x509), -3600) != NULL &&
           X509_gmtime_adj(X509_getm_notAfter(x509), 3600) != NULL &&
           X509_set_pubkey(x509, out->pkey) == 1 &&
           name_it(x509, name, issuer != NULL ? issuer->x509 : x509) &&
           add_extensions(x509, issuer, address) &&
           X509_sign(x509, issuer != NULL ? issuer->pkey : out->pkey, EVP_sha256()) > 0 &&
           write_pem(out);
}

void test_certificate_clean_up(struct test_certificate *certificate) {
    X509_free(certificate->x509);
    EVP_PKEY_free(certificate->pkey);
}
