/* SPDX-License-Identifier: Apache-2.0 */
#include "load.h"

#include <stdlib.h>
#include <string.h>

void dk_load_destroy(struct dk_load *load) {
    if (load != NULL) {
        load->kind->destroy(load);
    }
}

enum dk_error dk_load_init_maker(const struct dk_load *load, struct dk_call_maker *maker) {
    memset(maker, 0, sizeof(*maker));
    return load->kind->init_maker(load, maker);
}

void dk_load_clean_up_maker(struct dk_call_maker *maker) {
    dk_writer_clean_up(&maker->request);
    free(maker->ends);
    free(maker->taken);
    memset(maker, 0, sizeof(*maker));
}

void dk_load_make(const struct dk_load *load, uint64_t number, struct dk_call_maker *maker,
                  struct dk_call *out) {
    load->kind->make(load, number, maker, out);
}
