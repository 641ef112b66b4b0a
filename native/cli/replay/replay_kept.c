/* SPDX-License-Identifier: Apache-2.0 */
#include "replay_ask_internal.h"

#include <openssl/sha.h>

#include <stdlib.h>

bool dk_replay_asker_note_times(struct asker *asker) {
    if (dk_replay_asker_shares_time(asker)) {
        return true;
    }
    size_t count = dk_replay_table_questions(asker->table);
    asker->recorded_ns = calloc(count + 1, sizeof(asker->recorded_ns[0]));
    if (asker->recorded_ns == NULL) {
        return false;
    }
    for (size_t i = 0; i < dk_replay_table_rows(asker->table); i++) {
        const struct dk_replay_row *row = dk_replay_table_row(asker->table, i);
        if (row->last_ns > asker->recorded_ns[row->question]) {
            asker->recorded_ns[row->question] = row->last_ns;
        }
    }
    return true;
}

int64_t dk_replay_asker_time_of(const struct asker *asker, uint32_t question) {
    switch (asker->asking->when) {
    case DK_REPLAY_FIXED:
        return asker->asking->fixed_ns;
    case DK_REPLAY_RECORDED:
        return asker->recorded_ns[question];
    default:
        return 0;
    }
}

/* Of all that the answer to a question depends on. */
static bool digest_of(struct asker *asker, uint32_t index, uint8_t out[DK_DIGEST_LEN]) {
    const struct dk_replay_question *question = dk_replay_table_question(asker->table, index);
    const char *rule = dk_replay_table_rule(asker->table, question->rule)->path;
    uint8_t numbers[16];
    dk_write_u64(numbers, (uint64_t)asker->asking->when);
    dk_write_u64(numbers + 8, (uint64_t)dk_replay_asker_time_of(asker, index));
    dk_writer_reset(&asker->digested);
    dk_writer_bytes(&asker->digested, (struct dk_bytes){asker->asking->policy, DK_DIGEST_LEN});
    dk_writer_bytes(&asker->digested, (struct dk_bytes){numbers, sizeof(numbers)});
    dk_writer_text(&asker->digested, rule);
    dk_writer_text(&asker->digested, "\n");
    dk_replay_table_write(asker->table, question, &asker->digested);
    struct dk_bytes text = dk_writer_view(&asker->digested);
    return !asker->digested.failed && SHA256(text.ptr, text.len, out) != NULL;
}

bool dk_replay_asker_is_answered(struct asker *asker, uint32_t index) {
    uint8_t digest[DK_DIGEST_LEN];
    struct dk_replay_result result;
    if (asker->asking->answers == NULL || !digest_of(asker, index, digest) ||
        !dk_replay_answers_find(asker->asking->answers, digest, &result)) {
        return false;
    }
    dk_replay_table_question(asker->table, index)->results[asker->asking->side] = result;
    return true;
}

/* An error is worth another try; what could not be decided is no answer. */
void dk_replay_asker_keep_answer(struct asker *asker, uint32_t index,
                                 struct dk_replay_result result) {
    uint8_t digest[DK_DIGEST_LEN];
    if (asker->asking->answers == NULL || result.outcome == DK_UNAVAILABLE) {
        return;
    }
    if (!digest_of(asker, index, digest) ||
        !dk_replay_answers_add(asker->asking->answers, digest, result)) {
        dk_replay_asker_fail(asker, DK_ERR_SYSTEM, "an answer could not be written (--resume)");
    }
}
