/* SPDX-License-Identifier: Apache-2.0 */
#include "rules.h"

#include "doorkeeper/clock.h"

bool dk_is_super_user(const struct dk_config *config, const struct dk_context *context) {
    for (size_t i = 0; i < config->super_user_count; i++) {
        if (dk_context_is_principal(context, dk_bytes_of(config->super_users[i]))) {
            return true;
        }
    }
    return false;
}

bool dk_local_rule(int64_t not_after_s, bool super_user, dk_answer *answer) {
    if (not_after_s != 0 && dk_clock_wall_s() > not_after_s) {
        *answer = DK_ANSWER(DK_DENY, DK_SOURCE_RULE);
        return true;
    }
    if (super_user) {
        *answer = DK_ANSWER(DK_ALLOW, DK_SOURCE_RULE);
        return true;
    }
    return false;
}
