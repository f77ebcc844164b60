// SPDX-License-Identifier: Apache-2.0
//
// target: which function an operation names. FunctionName may be a name, name:qualifier,
// account:function:name[:qualifier] or an ARN (Lambda API reference); the engine has checked it against the model's
// pattern. Order of refusals as recorded from AWS: contradicting qualifiers, another region (404), another account
// (403), then whatever the operation finds.
#include "lambda/internal.h"

#include <stdarg.h>
#include <stdio.h>

bool sl_lambda__is_number(struct sl_str qualifier) {
    for (size_t i = 0; i < qualifier.len; i++)
        if (qualifier.ptr[i] < '0' || qualifier.ptr[i] > '9') return false;
    return qualifier.len > 0;
}

bool sl_lambda__is_latest(struct sl_str qualifier) { return qualifier.len == 0 || sl_str_is(qualifier, "$LATEST"); }

// (?!^[0-9]+$)([a-zA-Z0-9-_]+), the Alias shape.
bool sl_lambda__is_alias(struct sl_str qualifier) {
    return qualifier.len > 0 && sl_str_chr(qualifier, '$', 0) < 0 && !sl_lambda__is_number(qualifier);
}

int sl_lambda__target(struct sl_op *op, struct sl_lambda__target *ret, struct sl_error *err) {
    struct sl_function_ref ref = {0};
    struct sl_str text = sl_op_in(op, "FunctionName");
    if (!sl_function_ref_parse(text, &ref))
        return sl_fail(err, SL_E_INVALID_PARAMETER, "%.*s is not a function name", SL_FMT(text));
    struct sl_str qualifier = sl_op_in(op, "Qualifier");
    if (ref.qualifier.len > 0 && qualifier.len > 0 && !sl_str_eq(ref.qualifier, qualifier))
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "The derived qualifier from the function name does not match the specified qualifier.");
    if (ref.region.len > 0 && !sl_str_eq(ref.region, op->region))
        return sl_fail(err, SL_E_RESOURCE_NOT_FOUND, "Functions from '%.*s' are not reachable in this region ('%.*s')",
                       SL_FMT(ref.region), SL_FMT(op->region));
    struct sl_str account = ref.account.len > 0 ? ref.account : op->account;
    struct sl_lambda__target target = {
        .name = ref.name,
        .qualifier = ref.qualifier.len > 0 ? ref.qualifier : qualifier,
        .arn = sl_arn_function(op->arena, op->partition, op->region, account, ref.name, SL_STR("")),
    };
    // CreateFunction says nothing more [AWS, test_function_arns].
    if (!sl_str_eq(account, op->account) && sl_str_is(op->model->name, "CreateFunction"))
        return sl_fail(err, SL_E_ACCESS_DENIED, "%s", "");
    if (!sl_str_eq(account, op->account))
        return sl_fail(
            err, SL_E_ACCESS_DENIED,
            "User: %.*s is not authorized to perform: lambda:%.*s on resource: %.*s because no resource-based policy "
            "allows the lambda:%.*s action",
            SL_FMT(op->caller), SL_FMT(op->model->name), SL_FMT(target.arn), SL_FMT(op->model->name));
    *ret = target;
    return 0;
}

int sl_lambda__target_unqualified(struct sl_op *op, struct sl_lambda__target *ret, struct sl_error *err) {
    int result = sl_lambda__target(op, ret, err);
    if (result == 0 && ret->qualifier.len > 0 && !sl_str_is(ret->qualifier, "$LATEST"))
        return sl_fail(
            err, SL_E_INVALID_PARAMETER,
            "This operation is permitted on Lambda functions only. Aliases and versions do not support this operation. "
            "Please specify either a function name or an unqualified function ARN.");
    return result;
}

struct sl_str sl_lambda__qualified_arn(struct sl_op *op, const struct sl_lambda__target *target,
                                       struct sl_str qualifier) {
    return qualifier.len == 0 ? target->arn
                              : sl_arena_printf(op->arena, "%.*s:%.*s", SL_FMT(target->arn), SL_FMT(qualifier));
}

int sl_lambda__not_found(struct sl_op *op, const struct sl_lambda__target *target, struct sl_str qualifier,
                         struct sl_error *err) {
    struct sl_str arn = sl_lambda__qualified_arn(op, target, qualifier);
    return sl_fail(err, SL_E_RESOURCE_NOT_FOUND, "Function not found: %.*s", SL_FMT(arn));
}

int sl_lambda__fail_untyped(struct sl_op *op, struct sl_error *err, int kind, const char *format, ...) {
    char message[sizeof(err->message)];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    op->error_members = sl_json_new_object(op->arena);
    sl_json_set(op->error_members, SL_STR("Type"), sl_json_new_null(op->arena));
    return sl_fail(err, kind, "%s", message);
}
