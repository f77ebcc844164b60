// SPDX-License-Identifier: Apache-2.0
//
// foreign: settings of a function that name things this server does not have: VPCs, KMS keys, file systems, topics
// for dead letters, capacity providers. None of them is accepted and forgotten: a
// request that names one gets what AWS answers when the thing does not exist or cannot be reached
// (docs/compatibility-notes.md lists them); empty values, which templates write all the time, pass.
#include "lambda/internal.h"

int sl_lambda__vpc_check(const struct sl_json *vpc, struct sl_error *err) {
    const struct sl_json *subnets = sl_json_get(vpc, "SubnetIds"), *groups = sl_json_get(vpc, "SecurityGroupIds");
    // Subnets first, security groups second [AWS].
    if (subnets && subnets->count > 0)
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "Error occurred while DescribeSubnets. EC2 Error Code: InvalidSubnetID.NotFound. EC2 Error "
                       "Message: The subnet "
                       "ID '%.*s' does not exist",
                       SL_FMT(subnets->first->text));
    if (groups && groups->count > 0)
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "Error occurred while DescribeSecurityGroups. EC2 Error Code: InvalidGroup.NotFound. EC2 Error "
                       "Message: The "
                       "security group '%.*s' does not exist",
                       SL_FMT(groups->first->text));
    return 0;
}

// A queue is looked for in the transaction (queue_ref.c).
static int refuse_dead_letter(struct sl_str target, struct sl_error *err) {
    struct sl_arn arn = {0};
    (void)sl_arn_parse(target, &arn);
    if (sl_str_is(arn.service, "sqs")) return 0;
    if (sl_str_is(arn.service, "sns"))
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "The provided execution role does not have permissions to call Publish on SNS");
    return sl_fail(err, SL_E_INVALID_PARAMETER,
                   "The provided execution role does not have permissions to call SendMessage on SQS");
}

static int refuse_capacity(struct sl_op *op, struct sl_error *err) {
    const struct sl_json *config =
        sl_json_get(sl_json_get(op->in, "CapacityProviderConfig"), "LambdaManagedInstancesCapacityProviderConfig");
    struct sl_str arn = sl_json_string(config, "CapacityProviderArn");
    return sl_fail(err, SL_E_RESOURCE_NOT_FOUND, "Capacity provider not found: %.*s", SL_FMT(arn));
}

int sl_lambda__foreign_check(struct sl_op *op, struct sl_error *err) {
    struct sl_str key = sl_op_in(op, "KMSKeyArn");
    struct sl_str letters = sl_json_string(sl_json_get(op->in, "DeadLetterConfig"), "TargetArn");
    const struct sl_json *files = sl_json_get(op->in, "FileSystemConfigs"), *vpc = sl_json_get(op->in, "VpcConfig");
    int result = vpc ? sl_lambda__vpc_check(vpc, err) : 0;
    if (result != 0) return result;
    if (key.len > 0)
        return sl_fail(
            err, SL_E_INVALID_PARAMETER,
            "Lambda was unable to configure access to your environment variables because the KMS key is invalid for "
            "CreateGrant. Please check your KMS key settings. KMS Exception: NotFoundException KMS Message: Key '%.*s' "
            "does "
            "not exist",
            SL_FMT(key));
    if (files && files->count > 0)
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "Function must be configured to execute in a VPC to reference access point %.*s.",
                       SL_FMT(sl_json_string(files->first, "Arn")));
    if (letters.len > 0) result = refuse_dead_letter(letters, err);
    if (result != 0) return result;
    if (sl_json_get(op->in, "CapacityProviderConfig")) return refuse_capacity(op, err);
    if (sl_json_get(op->in, "DurableConfig"))
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "Durable functions are not available on this server. Leave DurableConfig out.");
    return 0;
}
