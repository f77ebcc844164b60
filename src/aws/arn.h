// SPDX-License-Identifier: Apache-2.0
//
// arn: Amazon Resource Names, and the ways in which Lambda's callers may name a function. Pure functions on views;
// results of the formatting functions live in the arena.
#ifndef SL_AWS_ARN_H
#define SL_AWS_ARN_H

#include "base/arena.h"

// arn:partition:service:region:account:resource (the resource may hold more colons).
struct sl_arn {
    struct sl_str partition, service, region, account, resource;
};
// False unless there are six parts and the first is "arn". Views into `text`.
bool sl_arn_parse(struct sl_str text, struct sl_arn *ret);
struct sl_str sl_arn_format(struct sl_arena *arena, const struct sl_arn *arn);

// What a FunctionName parameter says; parts that it leaves out are empty (ptr NULL).
struct sl_function_ref {
    struct sl_str region, account, name, qualifier;
};
// name | name:qualifier | account:function:name[:qualifier] | the whole ARN (Lambda API reference, FunctionName
// parameter). Expects text that satisfies the model's pattern; false where no name can be found.
bool sl_function_ref_parse(struct sl_str text, struct sl_function_ref *ret);
// arn:<partition>:lambda:<region>:<account>:function:<name>[:<qualifier>]; an empty qualifier is left out.
struct sl_str sl_arn_function(struct sl_arena *arena, struct sl_str partition, struct sl_str region,
                              struct sl_str account, struct sl_str name, struct sl_str qualifier);

// "aws-cn" for cn-*, "aws-us-gov" for us-gov-*, else "aws".
struct sl_str sl_partition_of(struct sl_str region);
// Twelve digits.
bool sl_is_account(struct sl_str text);

#endif
