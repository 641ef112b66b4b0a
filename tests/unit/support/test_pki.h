/* SPDX-License-Identifier: Apache-2.0 */
/** @file test_pki.h Throw-away certificates with fresh P-256 keys, as PEM. */
#ifndef DOORKEEPER_TEST_PKI_H
#define DOORKEEPER_TEST_PKI_H

#include "doorkeeper/bytes.h"

#include <openssl/x509.h>

struct test_certificate {
    X509 *x509;
    EVP_PKEY *pkey;
    char pem[4096], key_pem[4096];
};

/** Signed by `issuer`, or by itself where that is NULL (then it is a CA). `address`: an IP address
 *  for the subject alternative name, or NULL. False on failure. */
bool test_certificate_make(struct test_certificate *out, const char *name,
                           const struct test_certificate *issuer, const char *address);
void test_certificate_clean_up(struct test_certificate *certificate);

#endif
