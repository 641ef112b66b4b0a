/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as OPA's answer to a fixed batch: whatever is not of the exact shape allows nobody. */
#include "doorkeeper/opa.h"

#include <stdlib.h>
#include <string.h>

#define QUESTIONS 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t alice[] = "\0\0\0\0\0\0\0\0"
                               "\1\0\0\0\1\0\0\0c"
                               "\2\0\0\0\4\0\0\0User"
                               "\3\0\0\0\5\0\0\0alice";
static const uint8_t bob[] = "\0\0\0\0\0\0\0\0"
                             "\1\0\0\0\1\0\0\0c"
                             "\2\0\0\0\4\0\0\0User"
                             "\3\0\0\0\3\0\0\0bob";
/* READ topics "a" and "b", WRITE any topic. */
static const uint8_t actions[] = "\0\0\0\0\0\0\0\0\3\2\3\1\1\0\0\0a\0\0\0\0\0\0\0"
                                 "\0\0\0\0\0\0\0\0\3\2\3\1\1\0\0\0b\0\0\0\0\0\0\0"
                                 "\0\0\0\0\0\0\0\0\4\2\3\0\0\0\0\0";

static void require(int condition) {
    if (!condition) {
        abort();
    }
}

static void check(const struct dk_opa_reply *reply, const struct dk_opa_question *questions,
                  size_t count) {
    require(memchr(reply->revision, '\0', sizeof(reply->revision)) != NULL);
    require(memchr(reply->why.text, '\0', sizeof(reply->why.text)) != NULL);
    for (size_t i = 0; i < count; i++) {
        enum dk_outcome outcome = questions[i].outcome;
        switch (reply->verdict) {
        case DK_OPA_ANSWERED:
            require(outcome == DK_ALLOW || outcome == DK_DENY);
            break;
        case DK_OPA_UNDEFINED:
            require(outcome == DK_UNDEFINED);
            break;
        case DK_OPA_MALFORMED:
            require(outcome == DK_UNAVAILABLE && reply->revision[0] == '\0');
            break;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct dk_bytes body = {data, size};
    struct dk_bytes rest = {actions, sizeof(actions) - 1};
    struct dk_context contexts[2];
    struct dk_action parsed[3];
    struct dk_opa_reply reply;
    struct dk_writer out;
    require(dk_context_parse((struct dk_bytes){alice, sizeof(alice) - 1}, &contexts[0]) == DK_OK);
    require(dk_context_parse((struct dk_bytes){bob, sizeof(bob) - 1}, &contexts[1]) == DK_OK);
    for (size_t i = 0; i < 3; i++) {
        require(dk_action_parse(&rest, &parsed[i]) == DK_OK);
    }
    struct dk_opa_question questions[QUESTIONS] = {
        {&contexts[0], &parsed[0], DK_ALLOW},
        {&contexts[1], &parsed[0], DK_ALLOW},
        {&contexts[0], &parsed[1], DK_ALLOW},
        {&contexts[0], &parsed[2], DK_ALLOW},
    };
    dk_writer_init(&out, 4096);
    dk_opa_write_batch(dk_bytes_of("c"), questions, QUESTIONS, &out);
    require(!out.failed);
    dk_writer_clean_up(&out);

    dk_opa_read_batch(body, questions, QUESTIONS, &reply);
    check(&reply, questions, QUESTIONS);
    dk_opa_read_single(body, questions, &reply);
    check(&reply, questions, 1);
    return 0;
}
