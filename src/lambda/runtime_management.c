// SPDX-License-Identifier: Apache-2.0
//
// runtime_management: Put- and GetRuntimeManagementConfig: which release of a runtime a function is run with. Releases
// are this machine's interpreters; there is one of each at a time, whose ARN the function's configuration shows. So a
// function can be pinned (Manual) to the release it has, and the setting is kept; a newer interpreter installed on the
// machine is used all the same (docs/compatibility-notes.md).
#include "lambda/internal.h"

struct sl_key sl_lambda__runtime_key(struct sl_op *op, struct sl_str name, struct sl_str qualifier) {
    return (struct sl_key){.kind = "lambda.runtime_management",
                           .account = op->account,
                           .region = op->region,
                           .parent = name,
                           .id = qualifier.len > 0 ? qualifier : SL_STR("$LATEST")};
}

// The function or version that the request names; an alias is neither (API reference, Qualifier).
static int load_subject(struct sl_op *op, struct sl_lambda__target *target, struct sl_json **ret,
                        struct sl_error *err) {
    int result = sl_lambda__target(op, target, err);
    if (result == 0 && sl_lambda__is_alias(target->qualifier))
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "Runtime management configurations apply to $LATEST and to published versions, not to aliases.");
    return result == 0 ? sl_lambda__load_qualified(op, target, ret, err) : result;
}

static int check_arn(struct sl_op *op, const struct sl_json *function, struct sl_error *err) {
    struct sl_str arn = sl_op_in(op, "RuntimeVersionArn");
    bool manual = sl_str_is(sl_op_in(op, "UpdateRuntimeOn"), "Manual");
    struct sl_str mine = sl_json_string(sl_json_get(function, "RuntimeVersionConfig"), "RuntimeVersionArn");
    if (sl_str_is(sl_json_string(function, "PackageType"), "Image"))
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "Runtime management is not supported for functions created with container images.");
    if (manual && arn.len == 0)
        return sl_fail(err, SL_E_INVALID_PARAMETER, "RuntimeVersionArn is required when UpdateRuntimeOn is Manual.");
    if (!manual && arn.len > 0)
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "RuntimeVersionArn can be given only when UpdateRuntimeOn is Manual.");
    if (manual && !sl_str_eq(arn, mine))
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "Runtime version %.*s does not exist. The runtime version of this function is %.*s.",
                       SL_FMT(arn), SL_FMT(mine));
    return 0;
}

static void show(struct sl_op *op, const struct sl_json *setting, const struct sl_json *function) {
    static const char *const members[] = {"UpdateRuntimeOn", "RuntimeVersionArn"};
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
        if (sl_json_get(setting, members[i])) sl_op_out(op, members[i], sl_json_string(setting, members[i]));
    sl_op_out(op, "FunctionArn", sl_json_string(function, "FunctionArn"));
}

int sl_lambda__put_runtime_management(struct sl_op *op, struct sl_error *err) {
    struct sl_lambda__target target;
    struct sl_json *function;
    int result = load_subject(op, &target, &function, err);
    if (result == 0) result = check_arn(op, function, err);
    if (result != 0) return result;
    show(op, op->in, function);
    const struct sl_key key = sl_lambda__runtime_key(op, target.name, target.qualifier);
    return sl_store_put(op->tx, &key, op->out, err);
}

int sl_lambda__get_runtime_management(struct sl_op *op, struct sl_error *err) {
    struct sl_lambda__target target;
    struct sl_json *function, *setting;
    int result = load_subject(op, &target, &function, err);
    if (result != 0) return result;
    const struct sl_key key = sl_lambda__runtime_key(op, target.name, target.qualifier);
    result = sl_store_get(op->tx, op->arena, &key, &setting, err);
    if (result == SL_E_NOT_FOUND) {
        setting = sl_lambda__object1(op, "UpdateRuntimeOn", SL_STR("Auto"));
        result = 0;
    }
    if (result == 0) show(op, setting, function);
    return result;
}
