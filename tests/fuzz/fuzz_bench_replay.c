/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as recorded questions: what is taken is a load of calls whose contexts and actions the
 * core takes too. */
#include "bench_replay.h"

#include "doorkeeper/question.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition) {
        abort();
    }
}

static void check_call(const struct dk_load *load, const struct dk_call *call) {
    struct dk_context context;
    struct dk_bytes rest = call->request;
    require(call->count > 0 && call->context < load->context_count);
    require(dk_context_parse(load->contexts[call->context], &context) == DK_OK);
    for (size_t i = 0; i < call->count; i++) {
        struct dk_action action;
        require(dk_action_parse(&rest, &action) == DK_OK);
        require(rest.ptr == call->request.ptr + call->ends[i]);
    }
    require(rest.len == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct dk_load *load;
    struct dk_error_text why = {""};
    if (dk_bench_replay_new((struct dk_bytes){data, size}, 3, &load, &why) != DK_OK) {
        require(load == NULL && why.text[0] != '\0');
        return 0;
    }
    for (uint64_t number = 0; number < 10; number++) {
        struct dk_call_maker maker;
        struct dk_call call;
        require(dk_load_init_maker(load, &maker) == DK_OK);
        dk_load_make(load, number, &maker, &call);
        check_call(load, &call);
        dk_load_clean_up_maker(&maker);
    }
    dk_load_destroy(load);
    return 0;
}
