// SPDX-License-Identifier: Apache-2.0
//
// policy: AddPermission, RemovePermission, GetPolicy: the resource policy of a function, or of one of its versions or
// aliases.
//
// A policy is a document of its own with a RevisionId of its own (recorded November 2025: publishing a version changes
// the function's RevisionId and leaves the policy's). Statements are built exactly as AWS builds them: members and
// conditions in AWS's order.
#include "lambda/policy_document.h"

// --- one statement
// -------------------------------------------------------------------------------------------------------------------------

// Services have names under these; others AWS does not know ("alexa-appkit.amazon.com" is one that it does).
static bool is_service(struct sl_str principal) {
    return sl_str_ends(principal, SL_STR(".amazonaws.com")) || sl_str_ends(principal, SL_STR(".amazonaws.com.cn")) ||
           sl_str_ends(principal, SL_STR(".amazon.com"));
}

// NULL: AWS would not accept it.
static struct sl_json *principal_node(struct sl_op *op, struct sl_str principal) {
    struct sl_arn arn;
    if (sl_str_is(principal, "*")) return sl_json_new_string(op->arena, principal);
    if (sl_is_account(principal)) {
        struct sl_str root =
            sl_arena_printf(op->arena, "arn:%.*s:iam::%.*s:root", SL_FMT(op->partition), SL_FMT(principal));
        return sl_lambda__object1(op, "AWS", root);
    }
    if (sl_arn_parse(principal, &arn)) {
        bool known = sl_str_is(arn.service, "iam") || sl_str_is(arn.service, "sts");
        return known && sl_is_account(arn.account) ? sl_lambda__object1(op, "AWS", principal) : NULL;
    }
    return is_service(principal) ? sl_lambda__object1(op, "Service", principal) : NULL;
}

static struct sl_json *condition_node(struct sl_op *op) {
    static const struct {
        const char *member, *test, *key;
    } rows[] = {
        // In the order in which AWS writes them [AWS, test_add_lambda_permission_fields].
        {"SourceAccount", "StringEquals", "AWS:SourceAccount"},
        {"FunctionUrlAuthType", "StringEquals", "lambda:FunctionUrlAuthType"},
        {"EventSourceToken", "StringEquals", "lambda:EventSourceToken"},
        {"PrincipalOrgID", "StringEquals", "aws:PrincipalOrgID"},
        {"SourceArn", "ArnLike", "AWS:SourceArn"},
    };
    struct sl_json *condition = sl_json_new_object(op->arena);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sl_str value = sl_op_in(op, rows[i].member);
        if (value.len == 0) continue;
        struct sl_json *test = sl_json_get(condition, rows[i].test);
        if (!test) test = sl_json_set(condition, sl_str_of(rows[i].test), sl_json_new_object(op->arena));
        sl_lambda__put(op, test, rows[i].key, value);
    }
    if (sl_json_get(op->in, "InvokedViaFunctionUrl")) {
        bool via = sl_json_bool(op->in, "InvokedViaFunctionUrl", false);
        sl_json_set(condition, SL_STR("Bool"),
                    sl_lambda__object1(op, "lambda:InvokedViaFunctionUrl", via ? SL_STR("true") : SL_STR("false")));
    }
    return condition;
}

static int make_statement(struct sl_op *op, struct sl_str resource, struct sl_json **ret, struct sl_error *err) {
    struct sl_str action = sl_op_in(op, "Action");
    struct sl_json *principal = principal_node(op, sl_op_in(op, "Principal")),
                   *statement = sl_json_new_object(op->arena);
    if (!principal)
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "The provided principal was invalid. Please check the principal and try again.");
    if (sl_op_in(op, "FunctionUrlAuthType").ptr && !sl_str_is(action, "lambda:InvokeFunctionUrl"))
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "FunctionUrlAuthType is only supported for lambda:InvokeFunctionUrl action");
    sl_lambda__put(op, statement, "Sid", sl_op_in(op, "StatementId"));
    sl_lambda__put(op, statement, "Effect", SL_STR("Allow"));
    sl_json_set(statement, SL_STR("Principal"), principal);
    sl_lambda__put(op, statement, "Action", action);
    sl_lambda__put(op, statement, "Resource", resource);
    struct sl_json *condition = condition_node(op);
    if (condition && condition->count > 0) sl_json_set(statement, SL_STR("Condition"), condition);
    *ret = statement;
    return 0;
}

// --- documents
// ---------------------------------------------------------------------------------------------------------------------------------

// The function or version that the qualifier names, with AWS's three ways of not finding it.
static int load_subject(struct sl_op *op, const struct sl_lambda__target *target, struct sl_json **ret,
                        struct sl_error *err) {
    if (sl_str_is(target->qualifier, "$LATEST"))
        return sl_fail(err, SL_E_INVALID_PARAMETER, "We currently do not support adding policies for $LATEST.");
    int result = sl_lambda__load(op, target, ret, err);
    if (result != 0 || target->qualifier.len == 0) return result;
    if (!sl_lambda__is_alias(target->qualifier)) return sl_lambda__load_qualified(op, target, ret, err);
    result = sl_lambda__load_alias(op, target->name, target->qualifier, ret, err);
    if (result == 0 && !*ret)
        return sl_fail(err, SL_E_RESOURCE_NOT_FOUND, "Cannot find alias arn: %.*s",
                       SL_FMT(sl_lambda__qualified_arn(op, target, target->qualifier)));
    return result;
}

static int stage(struct sl_op *op, const struct sl_lambda__target *target, const struct sl_json *subject,
                 struct sl_error *err) {
    return sl_lambda__is_alias(target->qualifier) ? sl_lambda__stage_alias(op, target->name, target->qualifier, err)
                                                  : sl_lambda__stage(op, subject, err);
}

// The policy's document or NULL.
static int load_policy(struct sl_op *op, const struct sl_lambda__target *target, struct sl_json **ret,
                       struct sl_error *err) {
    const struct sl_key key = sl_lambda__policy_key(op, target->name, target->qualifier);
    *ret = NULL;
    int result = sl_store_get(op->tx, op->arena, &key, ret, err);
    return result == SL_E_NOT_FOUND ? 0 : result;
}

// Without a policy, a RevisionId can only be the function's.
static int check_revision(struct sl_op *op, const struct sl_json *policy, const struct sl_json *subject,
                          struct sl_error *err) {
    struct sl_str revision = sl_op_in(op, "RevisionId");
    if (revision.len == 0 || sl_str_eq(revision, sl_json_string(policy ? policy : subject, "RevisionId"))) return 0;
    return sl_fail(
        err, SL_E_PRECONDITION_FAILED,
        "The Revision Id provided does not match the latest Revision Id. Call the GetPolicy API to retrieve the latest "
        "Revision Id");
}

static int save(struct sl_op *op, const struct sl_lambda__target *target, struct sl_json *policy,
                struct sl_error *err) {
    const struct sl_key key = sl_lambda__policy_key(op, target->name, target->qualifier);
    sl_lambda__new_revision(op, policy);
    return sl_store_put(op->tx, &key, policy, err);
}

// --- operations
// --------------------------------------------------------------------------------------------------------------------------------

int sl_lambda__add_permission(struct sl_op *op, struct sl_error *err) {
    struct sl_lambda__target target;
    struct sl_json *subject, *policy, *statement = NULL;
    struct sl_str sid = sl_op_in(op, "StatementId");
    int result = sl_lambda__target(op, &target, err);
    if (result == 0) result = load_subject(op, &target, &subject, err);
    if (result == 0) result = load_policy(op, &target, &policy, err);
    if (result == 0) result = check_revision(op, policy, subject, err);
    if (result == 0) result = sl_lambda__policy_check_new(policy, sid, err);
    if (result == 0)
        result = make_statement(op, sl_lambda__qualified_arn(op, &target, target.qualifier), &statement, err);
    if (result == 0) result = sl_lambda__policy_add(op, &policy, statement, err);
    if (result == 0) result = save(op, &target, policy, err);
    return result == 0 ? stage(op, &target, subject, err) : result;
}

int sl_lambda__remove_permission(struct sl_op *op, struct sl_error *err) {
    struct sl_lambda__target target;
    struct sl_json *subject, *policy;
    struct sl_str sid = sl_op_in(op, "StatementId");
    int result = sl_lambda__target(op, &target, err);
    if (result != 0) return result;
    const struct sl_key function = sl_lambda__function_key(op, target.name);
    if (!sl_store_has(op->tx, &function))
        return sl_fail(err, SL_E_RESOURCE_NOT_FOUND, "No policy found for: %.*s", SL_FMT(target.arn));
    result = load_subject(op, &target, &subject, err);
    if (result == 0) result = load_policy(op, &target, &policy, err);
    if (result == 0 && !policy)
        result = sl_fail(err, SL_E_RESOURCE_NOT_FOUND, "No policy is associated with the given resource.");
    if (result == 0 && !sl_lambda__policy_has(policy, sid))
        result = sl_fail(err, SL_E_RESOURCE_NOT_FOUND, "Statement %.*s is not found in resource policy.", SL_FMT(sid));
    if (result == 0) result = check_revision(op, policy, subject, err);
    if (result != 0) return result;
    if (sl_lambda__policy_drop(op, policy, sid)) {
        result = save(op, &target, policy, err);
    } else {
        const struct sl_key key = sl_lambda__policy_key(op, target.name, target.qualifier);
        result = sl_store_delete(op->tx, &key, NULL, err);
    }
    return result == 0 ? stage(op, &target, subject, err) : result;
}

int sl_lambda__get_policy(struct sl_op *op, struct sl_error *err) {
    struct sl_lambda__target target;
    struct sl_json *policy;
    int result = sl_lambda__target(op, &target, err);
    if (result == 0) result = load_policy(op, &target, &policy, err);
    if (result != 0) return result;
    if (!policy) return sl_fail(err, SL_E_RESOURCE_NOT_FOUND, "The resource you requested does not exist.");
    sl_op_out(op, "Policy", sl_lambda__policy_text(op, policy));
    sl_op_out(op, "RevisionId", sl_json_string(policy, "RevisionId"));
    return 0;
}
