/* SPDX-License-Identifier: Apache-2.0 */
#include "support/server_tls.h"

#include <openssl/pem.h>

static X509 *read_certificate(struct dk_bytes pem) {
    BIO *bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
    X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    return certificate;
}

static EVP_PKEY *read_key(struct dk_bytes pem) {
    BIO *bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    BIO_free(bio);
    return key;
}

static bool demand_clients_of(SSL_CTX *context, struct dk_bytes pem) {
    X509 *ca = read_certificate(pem);
    bool ok = ca != NULL && X509_STORE_add_cert(SSL_CTX_get_cert_store(context), ca) == 1;
    X509_free(ca);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return ok;
}

SSL_CTX *server_tls_new(const struct http_tls *tls) {
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    X509 *certificate = read_certificate(tls->certificate);
    EVP_PKEY *key = read_key(tls->key);
    bool ok = context != NULL && certificate != NULL && key != NULL &&
              SSL_CTX_use_certificate(context, certificate) == 1 &&
              SSL_CTX_use_PrivateKey(context, key) == 1 &&
              SSL_CTX_set_max_proto_version(context, tls->max_version) == 1 &&
              (tls->client_ca.len == 0 || demand_clients_of(context, tls->client_ca));
    EVP_PKEY_free(key);
    X509_free(certificate);
    if (!ok) {
        SSL_CTX_free(context);
        return NULL;
    }
    return context;
}

SSL *server_tls_accept(SSL_CTX *context, int fd) {
    SSL *ssl = SSL_new(context);
    if (ssl != NULL && SSL_set_fd(ssl, fd) == 1 && SSL_accept(ssl) == 1) {
        return ssl;
    }
    SSL_free(ssl);
    return NULL;
}
