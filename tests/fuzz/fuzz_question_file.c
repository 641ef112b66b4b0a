/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a file of questions: what is used lies in front and is whole, a refusal has a
 * reason, and what the directory makes of it is what it was. */
#include "question_file.h"

#include <stdlib.h>

#define FIELDS 5u /* as in the corpus */
#define MAX_BYTES ((size_t)16 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct dk_hash_key hash_key = {1, 2};

static void require(int condition) {
    if (!condition) {
        abort();
    }
}

static void check_kept(const struct dk_question_directory *directory,
                       const struct dk_context *context, const struct dk_action *action) {
    struct dk_keyed_hash begun;
    struct dk_known_question question;
    struct dk_context kept;
    struct dk_action kept_action;
    dk_question_begin(&hash_key, context, &begun);
    require(dk_question_directory_find(directory, dk_question_key(&begun, action, 0), &question));
    struct dk_bytes request = question.request;
    require(dk_context_parse(question.context, &kept) == DK_OK);
    require(dk_action_parse(&request, &kept_action) == DK_OK && request.len == 0);
    require(dk_bytes_equal(dk_context_hashed(&kept), dk_context_hashed(context)));
    require(dk_bytes_equal(kept_action.hashed, action->hashed));
    require(dk_question_directory_bytes(directory) <= MAX_BYTES);
}

static void take_all(struct dk_bytes groups, struct dk_question_directory *directory) {
    struct dk_context context;
    struct dk_bytes request;
    while (dk_question_file_next(&groups, &context, &request)) {
        require(request.len > 0);
        while (request.len > 0) {
            struct dk_action action;
            require(dk_action_parse(&request, &action) == DK_OK);
            if (dk_question_directory_put(directory, &context, &action, NULL)) {
                check_kept(directory, &context, &action);
            }
        }
    }
    require(groups.len == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct dk_question_directory *directory = NULL;
    struct dk_bytes groups;
    struct dk_error_text why = {""};
    enum dk_error error =
        dk_question_file_check((struct dk_bytes){data, size}, FIELDS, &groups, &why);
    require((error == DK_OK) == (why.text[0] == '\0'));
    require(groups.len == 0 || groups.ptr == data + 16);
    require(groups.len <= size && (error != DK_OK || groups.len == size - 16));
    require(dk_question_directory_new(&hash_key, MAX_BYTES, &directory) == DK_OK);
    take_all(groups, directory);
    dk_question_directory_destroy(directory);
    return 0;
}
