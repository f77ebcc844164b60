// SPDX-License-Identifier: Apache-2.0
//
// policy_internal: what policy.c and condition.c share.
#ifndef SL_AWS_POLICY_INTERNAL_H
#define SL_AWS_POLICY_INTERNAL_H

#include "aws/policy.h"

enum { SL_POLICY__EXPANDED = 2048 };
// Puts values in the place of policy variables; *text may come to lie in `room`. False when one has no value, or the
// text gets too long: then it matches nothing.
bool sl_policy__expand(struct sl_str *text, const struct sl_policy_request *request, char room[SL_POLICY__EXPANDED]);

enum sl_policy__truth { SL_POLICY__FALSE, SL_POLICY__TRUE, SL_POLICY__UNKNOWN };

// Whether all operators of a Condition block hold; UNKNOWN if one is not understood and no other is false.
enum sl_policy__truth sl_policy__conditions(const struct sl_json *condition, const struct sl_policy_request *request);

#endif
