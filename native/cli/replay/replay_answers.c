/* SPDX-License-Identifier: Apache-2.0 */
#include "replay_answers.h"

#include "doorkeeper/file.h"
#include "grow.h"
#include "hash_index.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE_MAX_BYTES 128
#define OTHER_DIGITS 16

struct dk_replay_answers {
    FILE *file;
    struct dk_hash_key key; /* names in a log are chosen by clients, digests of them too */
    struct dk_hash_index index;
    struct dk_replay_result *results;
    size_t room;
};

/* ---- the answers ------------------------------------------------------------------------- */

static struct dk_hash128 hash_of(const struct dk_replay_answers *answers,
                                 const uint8_t digest[DK_DIGEST_LEN]) {
    struct dk_keyed_hash state;
    dk_keyed_hash_init(&state, &answers->key);
    dk_keyed_hash_words(&state, digest, DK_DIGEST_LEN);
    return dk_keyed_hash_finish(&state);
}

bool dk_replay_answers_find(const struct dk_replay_answers *answers,
                            const uint8_t digest[DK_DIGEST_LEN], struct dk_replay_result *out) {
    uint32_t at = dk_hash_index_find(&answers->index, hash_of(answers, digest));
    if (at == DK_HASH_INDEX_NONE) {
        return false;
    }
    *out = answers->results[at];
    return true;
}

/* It is not there yet. */
static bool remember(struct dk_replay_answers *answers, const uint8_t digest[DK_DIGEST_LEN],
                     struct dk_replay_result result) {
    size_t count = answers->index.count;
    if (!dk_has_room((void **)&answers->results, &answers->room, count,
                     sizeof(answers->results[0]))) {
        return false;
    }
    answers->results[count] = result;
    return dk_hash_index_add(&answers->index, hash_of(answers, digest), (uint32_t)count) == DK_OK;
}

bool dk_replay_answers_add(struct dk_replay_answers *answers, const uint8_t digest[DK_DIGEST_LEN],
                           struct dk_replay_result result) {
    struct dk_replay_result known;
    if (dk_replay_answers_find(answers, digest, &known)) {
        return true;
    }
    for (size_t i = 0; i < DK_DIGEST_LEN; i++) {
        fprintf(answers->file, "%02x", digest[i]);
    }
    int printed = fprintf(answers->file, " %s %016" PRIx64 "\n", dk_outcome_name(result.outcome),
                          result.other);
    return printed > 0 && remember(answers, digest, result);
}

/* ---- the file ---------------------------------------------------------------------------- */

static bool read_digest(const char *text, uint8_t digest[DK_DIGEST_LEN]) {
    char digits[2 * DK_DIGEST_LEN + 1] = "";
    size_t len = 0;
    memcpy(digits, text, sizeof(digits) - 1);
    return OPENSSL_hexstr2buf_ex(digest, DK_DIGEST_LEN, &len, digits, '\0') == 1 &&
           len == DK_DIGEST_LEN;
}

static bool read_outcome(const char *name, enum dk_outcome *out) {
    static const enum dk_outcome outcomes[] = {DK_ALLOW, DK_DENY, DK_UNDEFINED};
    for (size_t i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++) {
        if (strcmp(name, dk_outcome_name(outcomes[i])) == 0) {
            *out = outcomes[i];
            return true;
        }
    }
    return false;
}

/* False for a line that says nothing; a run that was killed may have left a piece of one. */
static bool read_line(const char *line, uint8_t digest[DK_DIGEST_LEN],
                      struct dk_replay_result *result) {
    char name[16] = "", other[OTHER_DIGITS + 1] = "", end = '\0';
    const size_t digest_len = 2 * (size_t)DK_DIGEST_LEN;
    if (strlen(line) < digest_len || !read_digest(line, digest)) {
        return false;
    }
    int read = sscanf(line + digest_len, " %15s %16[0-9a-f]%c", name, other, &end);
    result->other = strtoull(other, NULL, 16);
    return read == 3 && end == '\n' && strlen(other) == OTHER_DIGITS &&
           read_outcome(name, &result->outcome);
}

static bool read_all(struct dk_replay_answers *answers, FILE *file, bool *ends_in_line) {
    char line[LINE_MAX_BYTES];
    uint8_t digest[DK_DIGEST_LEN];
    struct dk_replay_result result, known;
    while (fgets(line, sizeof(line), file) != NULL) {
        size_t len = strlen(line);
        *ends_in_line = len > 0 && line[len - 1] != '\n';
        if (read_line(line, digest, &result) && !dk_replay_answers_find(answers, digest, &known) &&
            !remember(answers, digest, result)) {
            return false;
        }
    }
    return true;
}

static enum dk_error read_file(struct dk_replay_answers *answers, const char *path,
                               bool *ends_in_line, struct dk_error_text *why) {
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return errno == ENOENT ? DK_OK : dk_file_error(path, errno, why);
    }
    bool ok = read_all(answers, file, ends_in_line);
    (void)fclose(file);
    return ok ? DK_OK : dk_fail(why, DK_ERR_MEMORY, "no memory for earlier answers");
}

static enum dk_error open_file(struct dk_replay_answers *answers, const char *path,
                               struct dk_error_text *why) {
    bool ends_in_line = false;
    enum dk_error error = read_file(answers, path, &ends_in_line, why);
    if (error != DK_OK) {
        return error;
    }
    answers->file = fopen(path, "ae");
    if (answers->file == NULL) {
        return dk_file_error(path, errno, why);
    }
    /* Nothing is lost by a kill, and two runs do not mix their lines. */
    (void)setvbuf(answers->file, NULL, _IOLBF, BUFSIZ);
    if (ends_in_line) {
        (void)fputc('\n', answers->file); /* what comes is not a part of it */
    }
    return DK_OK;
}

enum dk_error dk_replay_answers_open(const char *path, struct dk_replay_answers **out,
                                     struct dk_error_text *why) {
    struct dk_replay_answers *answers = calloc(1, sizeof(*answers));
    *out = NULL;
    if (answers == NULL || dk_hash_key_init(&answers->key) != DK_OK) {
        free(answers);
        return dk_fail(why, DK_ERR_MEMORY, "no memory for earlier answers");
    }
    enum dk_error error = open_file(answers, path, why);
    if (error != DK_OK) {
        (void)dk_replay_answers_close(answers);
        return error;
    }
    *out = answers;
    return DK_OK;
}

bool dk_replay_answers_close(struct dk_replay_answers *answers) {
    if (answers == NULL) {
        return true;
    }
    bool written =
        answers->file == NULL || (ferror(answers->file) == 0 && fflush(answers->file) == 0);
    if (answers->file != NULL) {
        written &= fclose(answers->file) == 0;
    }
    dk_hash_index_clean_up(&answers->index);
    free(answers->results);
    free(answers);
    return written;
}

/* ---- what a bundle holds ----------------------------------------------------------------- */

/* Returns 0 or an errno. */
static int digest_file(const char *path, EVP_MD_CTX *digest) {
    uint8_t room[16384];
    ssize_t len;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return errno;
    }
    while ((len = read(file, room, sizeof(room))) > 0) {
        (void)EVP_DigestUpdate(digest, room, (size_t)len);
    }
    int cause = len < 0 ? errno : 0;
    (void)close(file);
    return cause;
}

static int by_name(const FTSENT **left, const FTSENT **right) {
    return strcmp((*left)->fts_name, (*right)->fts_name);
}

/* Names with their ends and sizes, so that no two trees are the same bytes. Returns 0 or an errno.
 */
static int digest_entry(const FTSENT *entry, size_t root_len, EVP_MD_CTX *digest) {
    if (entry->fts_info == FTS_DNR || entry->fts_info == FTS_ERR || entry->fts_info == FTS_NS) {
        return entry->fts_errno;
    }
    if (entry->fts_info != FTS_F) {
        return 0;
    }
    int64_t size = entry->fts_statp->st_size;
    const char *name = entry->fts_path + root_len;
    (void)EVP_DigestUpdate(digest, name, strlen(name) + 1);
    (void)EVP_DigestUpdate(digest, &size, sizeof(size));
    return digest_file(entry->fts_path, digest);
}

static int digest_tree(const char *path, EVP_MD_CTX *digest) {
    char *copy = strdup(path);
    char *const roots[] = {copy, NULL};
    int cause = 0;
    /* Links are followed, as OPA follows them. */
    FTS *tree = copy == NULL ? NULL : fts_open(roots, FTS_LOGICAL | FTS_NOCHDIR, by_name);
    if (tree == NULL) {
        cause = errno;
    } else {
        for (FTSENT *entry = fts_read(tree); entry != NULL && cause == 0; entry = fts_read(tree)) {
            cause = digest_entry(entry, strlen(path), digest);
        }
        (void)fts_close(tree);
    }
    free(copy);
    return cause;
}

enum dk_error dk_replay_digest_bundle(const char *path, uint8_t out[DK_DIGEST_LEN],
                                      struct dk_error_text *why) {
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    if (digest == NULL || EVP_DigestInit_ex(digest, EVP_sha256(), NULL) != 1) {
        EVP_MD_CTX_free(digest);
        return dk_fail(why, DK_ERR_MEMORY, "no memory to look at the bundle");
    }
    int cause = digest_tree(path, digest);
    bool ok = EVP_DigestFinal_ex(digest, out, NULL) == 1;
    EVP_MD_CTX_free(digest);
    if (cause != 0 || !ok) {
        return dk_file_error(path, cause != 0 ? cause : ENOMEM, why);
    }
    return DK_OK;
}
