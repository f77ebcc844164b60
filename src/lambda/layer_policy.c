// SPDX-License-Identifier: Apache-2.0
//
// layer_policy: AddLayerVersionPermission, RemoveLayerVersionPermission, GetLayerVersionPolicy, and the question that
// these policies answer: may another account use this version?
#include "lambda/layer.h"

#include "aws/policy.h"
#include "lambda/policy_document.h"

// The policy (NULL: none) of the version that the operation names, which must exist.
static int load(struct sl_op *op, const struct sl_lambda__layer *layer, struct sl_json **ret, struct sl_error *err) {
    const struct sl_key version = sl_lambda__layer_version_key(op, layer, "lambda.layer_version");
    const struct sl_key key = sl_lambda__layer_version_key(op, layer, "lambda.layer_policy");
    *ret = NULL;
    if (layer->version < 1) return sl_fail(err, SL_E_INVALID_PARAMETER, "Layer Version Cannot be less than 1");
    if (!sl_str_eq(layer->account, op->account) || !sl_store_has(op->tx, &version))
        return sl_fail(err, SL_E_RESOURCE_NOT_FOUND, "Layer version %.*s does not exist.",
                       SL_FMT(sl_lambda__layer_arn(op, layer)));
    int result = sl_store_get(op->tx, op->arena, &key, ret, err);
    return result == SL_E_NOT_FOUND ? 0 : result;
}

static int check_revision(struct sl_op *op, const struct sl_json *policy, struct sl_error *err) {
    struct sl_str revision = sl_op_in(op, "RevisionId");
    if (revision.len == 0 || sl_str_eq(revision, sl_json_string(policy, "RevisionId"))) return 0;
    return sl_fail(err, SL_E_PRECONDITION_FAILED,
                   "The Revision Id provided does not match the latest Revision Id. Call the GetLayerPolicy API to "
                   "retrieve the latest Revision Id");
}

static struct sl_json *new_statement(struct sl_op *op, const struct sl_lambda__layer *layer) {
    struct sl_json *statement = sl_lambda__object1(op, "Sid", sl_op_in(op, "StatementId"));
    struct sl_str principal = sl_op_in(op, "Principal"), organization = sl_op_in(op, "OrganizationId");
    if (sl_is_account(principal))
        principal = sl_arena_printf(op->arena, "arn:%.*s:iam::%.*s:root", SL_FMT(op->partition), SL_FMT(principal));
    sl_lambda__put(op, statement, "Effect", SL_STR("Allow"));
    sl_json_set(statement, SL_STR("Principal"),
                sl_str_is(principal, "*") ? sl_json_new_string(op->arena, principal)
                                          : sl_lambda__object1(op, "AWS", principal));
    sl_lambda__put(op, statement, "Action", sl_op_in(op, "Action"));
    sl_lambda__put(op, statement, "Resource", sl_lambda__layer_arn(op, layer));
    if (organization.len > 0) {
        struct sl_json *condition = sl_json_new_object(op->arena);
        sl_json_set(condition, SL_STR("StringEquals"), sl_lambda__object1(op, "aws:PrincipalOrgID", organization));
        sl_json_set(statement, SL_STR("Condition"), condition);
    }
    return statement;
}

static int save(struct sl_op *op, const struct sl_lambda__layer *layer, struct sl_json *policy, struct sl_error *err) {
    const struct sl_key key = sl_lambda__layer_version_key(op, layer, "lambda.layer_policy");
    sl_lambda__new_revision(op, policy);
    return sl_store_put(op->tx, &key, policy, err);
}

int sl_lambda__add_layer_permission(struct sl_op *op, struct sl_error *err) {
    const struct sl_lambda__layer layer = sl_lambda__layer_named(op);
    struct sl_str sid = sl_op_in(op, "StatementId");
    struct sl_json *policy;
    int result = load(op, &layer, &policy, err);
    if (result == 0) result = sl_lambda__policy_check_new(policy, sid, err);
    if (result == 0) result = check_revision(op, policy, err);
    if (result == 0) result = sl_lambda__policy_add(op, &policy, new_statement(op, &layer), err);
    if (result == 0) result = save(op, &layer, policy, err);
    sl_op_out(op, "RevisionId", sl_json_string(policy, "RevisionId"));
    return result;
}

int sl_lambda__remove_layer_permission(struct sl_op *op, struct sl_error *err) {
    const struct sl_lambda__layer layer = sl_lambda__layer_named(op);
    struct sl_str sid = sl_op_in(op, "StatementId");
    struct sl_json *policy;
    int result = load(op, &layer, &policy, err);
    if (result == 0 && !sl_lambda__policy_has(policy, sid))
        result = sl_fail(err, SL_E_RESOURCE_NOT_FOUND, "Statement %.*s is not found in resource policy.", SL_FMT(sid));
    if (result == 0) result = check_revision(op, policy, err);
    if (result != 0) return result;
    const struct sl_key key = sl_lambda__layer_version_key(op, &layer, "lambda.layer_policy");
    return sl_lambda__policy_drop(op, policy, sid) ? save(op, &layer, policy, err)
                                                   : sl_store_delete(op->tx, &key, NULL, err);
}

int sl_lambda__get_layer_policy(struct sl_op *op, struct sl_error *err) {
    const struct sl_lambda__layer layer = sl_lambda__layer_named(op);
    struct sl_json *policy;
    int result = load(op, &layer, &policy, err);
    if (result != 0) return result;
    if (!policy) return sl_fail(err, SL_E_RESOURCE_NOT_FOUND, "No policy is associated with the given resource.");
    sl_op_out(op, "Policy", sl_lambda__policy_text(op, policy));
    sl_op_out(op, "RevisionId", sl_json_string(policy, "RevisionId"));
    return 0;
}

int sl_lambda__layer_allowed(struct sl_op *op, struct sl_store_tx *tx, const struct sl_lambda__layer *layer,
                             struct sl_error *err) {
    if (sl_str_eq(layer->account, op->account)) return 0;
    const struct sl_key key = sl_lambda__layer_version_key(op, layer, "lambda.layer_policy");
    struct sl_json *policy = NULL;
    struct sl_str arn = sl_lambda__layer_arn(op, layer);
    int result = sl_store_get(tx, op->arena, &key, &policy, err);
    if (result != 0 && result != SL_E_NOT_FOUND) return result;
    const struct sl_policy_request request = {
        .account = op->account, .caller = op->caller, .action = SL_STR("lambda:GetLayerVersion"), .resource = arn};
    if (policy && sl_policy_allows(sl_json_get(policy, "Policy"), &request)) return 0;
    return sl_fail(err, SL_E_ACCESS_DENIED,
                   "User: %.*s is not authorized to perform: lambda:GetLayerVersion on resource: %.*s because no "
                   "resource-based policy allows the lambda:GetLayerVersion action",
                   SL_FMT(op->caller), SL_FMT(arn));
}
