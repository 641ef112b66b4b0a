/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file rules.h
 * The rules that need nobody else, save the deny list, which comes before them (denials.h). Any
 * thread.
 */
#ifndef DOORKEEPER_RULES_H
#define DOORKEEPER_RULES_H

#include "doorkeeper/config.h"
#include "doorkeeper/outcome.h"
#include "doorkeeper/question.h"

bool dk_is_super_user(const struct dk_config *config, const struct dk_context *context);
/** True if one of the rules decides every action of the call: an expired certificate is denied, a
 *  super user is allowed. */
bool dk_local_rule(int64_t not_after_s, bool super_user, dk_answer *answer);

#endif
