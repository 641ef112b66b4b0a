/* SPDX-License-Identifier: Apache-2.0 */
#include "http_credentials.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BEARER "Authorization: Bearer "

/* ---- the token --------------------------------------------------------------------------- */

static void free_token(char *token) {
    if (token != NULL) {
        OPENSSL_cleanse(token, strlen(token));
        free(token);
    }
}

static bool is_space(uint8_t byte) {
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

static struct dk_bytes trim(struct dk_bytes text) {
    while (text.len > 0 && is_space(text.ptr[0])) {
        text.ptr++;
        text.len--;
    }
    while (text.len > 0 && is_space(text.ptr[text.len - 1])) {
        text.len--;
    }
    return text;
}

enum dk_error dk_http_token_of(struct dk_bytes text, struct dk_bytes *token) {
    *token = (struct dk_bytes){NULL, 0};
    text = trim(text);
    if (text.len > DK_TOKEN_MAX) {
        return DK_ERR_TOO_LARGE;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] <= ' ' || text.ptr[i] >= 0x7f) {
            return DK_ERR_MALFORMED;
        }
    }
    *token = text;
    return DK_OK;
}

enum dk_error dk_http_credentials_set_token(struct dk_http_credentials *credentials,
                                            struct dk_bytes text) {
    struct dk_bytes token;
    enum dk_error error = dk_http_token_of(text, &token);
    if (error != DK_OK) {
        return error;
    }
    char *copy = NULL;
    if (token.len > 0) {
        copy = malloc(token.len + 1);
        if (copy == NULL) {
            return DK_ERR_MEMORY;
        }
        memcpy(copy, token.ptr, token.len);
        copy[token.len] = '\0';
    }
    pthread_mutex_lock(&credentials->lock);
    char *earlier = credentials->token;
    credentials->token = copy;
    credentials->token_version++;
    pthread_mutex_unlock(&credentials->lock);
    free_token(earlier);
    return DK_OK;
}

/* ---- PEM texts --------------------------------------------------------------------------- */

/* No prompt on the broker's terminal for a key that is locked. */
static int no_passphrase(char *out, int capacity, int for_writing, void *user) {
    (void)out, (void)capacity, (void)for_writing, (void)user;
    return -1;
}

static X509 *read_pem_certificate(struct dk_bytes pem) {
    BIO *bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
    X509 *certificate = bio == NULL ? NULL : PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);
    BIO_free(bio);
    return certificate;
}

static EVP_PKEY *read_pem_key(struct dk_bytes pem) {
    BIO *bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
    EVP_PKEY *key = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    BIO_free(bio);
    return key;
}

/* A wrong file is an error at the start, not a handshake that fails later. */
static enum dk_error check_pem(const struct dk_http_pem *pem, struct dk_error_text *why) {
    const struct dk_bytes ca = pem->ca;
    const struct dk_bytes certificate = pem->certificate;
    const struct dk_bytes key = pem->key;
    if (ca.len > INT32_MAX || certificate.len > INT32_MAX || key.len > INT32_MAX) {
        return dk_fail(why, DK_ERR_CONFIG, "a PEM text is too long");
    }
    if ((certificate.len > 0) != (key.len > 0)) {
        return dk_fail(why, DK_ERR_CONFIG, "a client certificate and its key go together");
    }
    enum dk_error error = DK_OK;
    X509 *leaf = NULL;
    EVP_PKEY *private_key = NULL;
    X509 *first_ca = ca.len > 0 ? read_pem_certificate(ca) : NULL;
    if (ca.len > 0 && first_ca == NULL) {
        error = dk_fail(why, DK_ERR_CONFIG, "the CA file holds no PEM certificate");
        goto cleanup;
    }
    if (certificate.len == 0) {
        goto cleanup;
    }
    leaf = read_pem_certificate(certificate);
    private_key = read_pem_key(key);
    if (leaf == NULL) {
        error = dk_fail(why, DK_ERR_CONFIG, "the certificate file holds no PEM certificate");
    } else if (private_key == NULL) {
        error = dk_fail(why, DK_ERR_CONFIG, "the key file holds no PEM key without a passphrase");
    } else if (X509_check_private_key(leaf, private_key) != 1) {
        error = dk_fail(why, DK_ERR_CONFIG, "the key does not belong to the certificate");
    }
cleanup:
    EVP_PKEY_free(private_key);
    X509_free(leaf);
    X509_free(first_ca);
    return error;
}

static bool copy_pem(struct dk_http_pem_copy *out, const struct dk_http_pem *pem) {
    dk_writer_init(&out->ca, pem->ca.len + 1);
    dk_writer_init(&out->certificate, pem->certificate.len + 1);
    dk_writer_init(&out->key, pem->key.len + 1);
    dk_writer_bytes(&out->ca, pem->ca);
    dk_writer_bytes(&out->certificate, pem->certificate);
    dk_writer_bytes(&out->key, pem->key);
    return !out->ca.failed && !out->certificate.failed && !out->key.failed;
}

static void clean_up_pem(struct dk_http_pem_copy *pem) {
    dk_writer_clean_up(&pem->ca);
    dk_writer_clean_up(&pem->certificate);
    dk_writer_forget(&pem->key);
}

enum dk_error dk_http_credentials_set_pem(struct dk_http_credentials *credentials,
                                          const struct dk_http_pem *pem,
                                          struct dk_error_text *why) {
    ERR_set_mark();
    enum dk_error error = check_pem(pem, why);
    ERR_pop_to_mark();
    if (error != DK_OK) {
        return error;
    }
    struct dk_http_pem_copy copy;
    if (!copy_pem(&copy, pem)) {
        clean_up_pem(&copy);
        return dk_fail(why, DK_ERR_MEMORY, "no memory for the HTTP client");
    }
    pthread_mutex_lock(&credentials->lock);
    struct dk_http_pem_copy earlier = credentials->pem;
    credentials->pem = copy;
    credentials->pem_version++;
    pthread_mutex_unlock(&credentials->lock);
    clean_up_pem(&earlier);
    return DK_OK;
}

/* ---- what a handle carries --------------------------------------------------------------- */

static void free_headers(struct curl_slist *headers) {
    for (struct curl_slist *header = headers; header != NULL; header = header->next) {
        OPENSSL_cleanse(header->data, strlen(header->data)); /* one of them carries the token */
    }
    curl_slist_free_all(headers);
}

static bool add_header(struct curl_slist **headers, const char *text) {
    struct curl_slist *longer = curl_slist_append(*headers, text);
    if (longer == NULL) {
        return false;
    }
    *headers = longer;
    return true;
}

/* @locks lock MUST be held */
static bool add_token(struct curl_slist **headers, const char *token) {
    if (token == NULL) {
        return true;
    }
    char header[sizeof(BEARER) + DK_TOKEN_MAX];
    snprintf(header, sizeof(header), "%s%s", BEARER, token);
    bool ok = add_header(headers, header);
    OPENSSL_cleanse(header, sizeof(header));
    return ok;
}

/* @locks lock MUST be held */
static bool build_headers(struct dk_http_credentials *credentials, CURL *easy,
                          struct dk_http_carried *carried) {
    struct curl_slist *headers = NULL;
    /* "Expect:" without a value: curl must not wait for a 100-continue before large bodies. */
    if (!add_header(&headers, "Content-Type: application/json") ||
        !add_header(&headers, "Expect:") || !add_token(&headers, credentials->token) ||
        curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers) != CURLE_OK) {
        free_headers(headers);
        return false;
    }
    free_headers(carried->headers);
    carried->headers = headers;
    carried->token_version = credentials->token_version;
    return true;
}

/* Copied by curl, which compares them as well: a kept connection with others is not used. */
static bool set_blob(CURL *easy, CURLoption option, const struct dk_writer *pem) {
    struct curl_blob blob = {pem->ptr, pem->len, CURL_BLOB_COPY};
    return pem->len == 0 || curl_easy_setopt(easy, option, &blob) == CURLE_OK;
}

/* The given CAs alone: libcurl would look into the system's directory as well. */
static bool set_ca(CURL *easy, const struct dk_writer *ca) {
    return ca->len == 0 || (set_blob(easy, CURLOPT_CAINFO_BLOB, ca) &&
                            curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) == CURLE_OK);
}

/* @locks lock MUST be held */
static bool apply_pem(struct dk_http_credentials *credentials, CURL *easy,
                      struct dk_http_carried *carried) {
    const struct dk_http_pem_copy *pem = &credentials->pem;
    if (!set_ca(easy, &pem->ca) || !set_blob(easy, CURLOPT_SSLCERT_BLOB, &pem->certificate) ||
        !set_blob(easy, CURLOPT_SSLKEY_BLOB, &pem->key)) {
        return false;
    }
    carried->pem_version = credentials->pem_version;
    return true;
}

bool dk_http_credentials_apply(struct dk_http_credentials *credentials, CURL *easy,
                               struct dk_http_carried *carried) {
    pthread_mutex_lock(&credentials->lock);
    bool has_token =
        carried->headers != NULL && carried->token_version == credentials->token_version;
    bool ok =
        (has_token || build_headers(credentials, easy, carried)) &&
        (carried->pem_version == credentials->pem_version || apply_pem(credentials, easy, carried));
    pthread_mutex_unlock(&credentials->lock);
    return ok;
}

void dk_http_carried_clean_up(struct dk_http_carried *carried) {
    free_headers(carried->headers);
}

/* ---- making and ending ------------------------------------------------------------------- */

enum dk_error dk_http_credentials_init(struct dk_http_credentials *credentials) {
    memset(credentials, 0, sizeof(*credentials));
    return pthread_mutex_init(&credentials->lock, NULL) == 0 ? DK_OK : DK_ERR_MEMORY;
}

void dk_http_credentials_clean_up(struct dk_http_credentials *credentials) {
    clean_up_pem(&credentials->pem);
    free_token(credentials->token);
    pthread_mutex_destroy(&credentials->lock);
}
