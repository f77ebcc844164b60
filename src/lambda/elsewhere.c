// SPDX-License-Identifier: Apache-2.0
//
// elsewhere: operations about what only AWS has: capacity providers and Lambda Managed Instances (EC2 machines in the
// caller's VPC), and durable executions (a service that keeps a function's checkpoints). Nothing of these can be made
// here, so what is asked for never exists: the answers are AWS's for that, and listings are empty. The settings of
// functions that would make such things are refused in foreign.c.
#include "lambda/internal.h"

static int no_provider(struct sl_op *op, struct sl_str name, struct sl_error *err) {
    struct sl_arn arn;
    struct sl_str shown = name;
    if (!sl_arn_parse(name, &arn))
        shown = sl_arena_printf(op->arena, "arn:%.*s:lambda:%.*s:%.*s:capacity-provider:%.*s", SL_FMT(op->partition),
                                SL_FMT(op->region), SL_FMT(op->account), SL_FMT(name));
    return sl_fail(err, SL_E_RESOURCE_NOT_FOUND, "Capacity provider not found: %.*s", SL_FMT(shown));
}

// A provider needs subnets, and there are none here: as for functions (foreign.c).
int sl_lambda__create_provider(struct sl_op *op, struct sl_error *err) {
    int result = sl_lambda__vpc_check(sl_json_get(op->in, "VpcConfig"), err);
    if (result != 0) return result;
    return sl_fail(err, SL_E_INVALID_PARAMETER, "A capacity provider needs at least one subnet in its VpcConfig.");
}

int sl_lambda__find_provider(struct sl_op *op, struct sl_error *err) {
    return no_provider(op, sl_op_in(op, "CapacityProviderName"), err);
}

int sl_lambda__list_providers(struct sl_op *op, struct sl_error *err) {
    (void)err;
    sl_json_set(op->out, SL_STR("CapacityProviders"), sl_json_new_array(op->arena));
    return 0;
}

// Scaling of execution environments is set for functions that run on managed instances; none does.
int sl_lambda__scaling(struct sl_op *op, struct sl_error *err) {
    struct sl_lambda__target target;
    struct sl_json *function;
    int result = sl_lambda__target(op, &target, err);
    if (result == 0) result = sl_lambda__load(op, &target, &function, err);
    if (result != 0) return result;
    return sl_fail(err, SL_E_INVALID_PARAMETER,
                   "Function scaling configurations are only supported for functions with a capacity provider "
                   "configuration.");
}

// --- durable executions
// ------------------------------------------------------------------------------------------------

int sl_lambda__find_execution(struct sl_op *op, struct sl_error *err) {
    return sl_fail(err, SL_E_RESOURCE_NOT_FOUND, "Durable execution not found: %.*s",
                   SL_FMT(sl_op_in(op, "DurableExecutionArn")));
}

// These two list no 404 in the model: they are a running execution's own calls.
int sl_lambda__own_execution(struct sl_op *op, struct sl_error *err) {
    (void)op;
    return sl_fail(err, SL_E_INVALID_PARAMETER, "Invalid checkpoint token: there is no such durable execution.");
}

int sl_lambda__find_callback(struct sl_op *op, struct sl_error *err) {
    return sl_fail(err, SL_E_RESOURCE_NOT_FOUND, "Callback not found: %.*s", SL_FMT(sl_op_in(op, "CallbackId")));
}

int sl_lambda__list_executions(struct sl_op *op, struct sl_error *err) {
    struct sl_lambda__target target;
    struct sl_json *function;
    int result = sl_lambda__target(op, &target, err);
    if (result == 0) result = sl_lambda__load_qualified(op, &target, &function, err);
    if (result == 0) sl_json_set(op->out, SL_STR("DurableExecutions"), sl_json_new_array(op->arena));
    return result;
}
