// SPDX-License-Identifier: Apache-2.0
//
// simulate: SimulatePrincipalPolicy and SimulateCustomPolicy: the server's own decision (aws/identity.h), asked for
// actions and resources that nobody uses now. The policies that a request brings along join those that the principal
// has.
#include "services/iam/internal.h"

#include "aws/arn.h"

enum { QUESTIONS_MAX = 1000, VALUES_MAX = 40 };

static struct sl_str caller_name(struct sl_str arn) {
    struct sl_arn parsed;
    return sl_arn_parse(arn, &parsed) ? sl_iam__policy_name(parsed.resource) : (struct sl_str){0};
}

// The documents that the request brings join those that the principal has.
static int add_documents(struct sl_op *op, struct sl_json *entry, struct sl_error *err) {
    const struct sl_json *added = sl_json_get(op->in, "PolicyInputList");
    struct sl_json *documents = sl_json_get(entry, "Documents"), *policy;
    if (!documents) documents = sl_json_set(entry, SL_STR("Documents"), sl_json_new_array(op->arena));
    for (const struct sl_json *at = added ? added->first : NULL; at; at = at->next) {
        int result = sl_iam__policy_check(op, at->text, false, err);
        if (result) return result;
        if (!sl_json_parse(op->arena, at->text, &policy, NULL)) sl_json_push(documents, policy);
    }
    return 0;
}

static unsigned context(struct sl_op *op, struct sl_policy_value values[VALUES_MAX]) {
    const struct sl_json *entries = sl_json_get(op->in, "ContextEntries");
    unsigned count = 0;
    for (const struct sl_json *at = entries ? entries->first : NULL; at; at = at->next) {
        const struct sl_json *list = sl_json_get(at, "ContextKeyValues");
        for (const struct sl_json *value = list ? list->first : NULL; value && count < VALUES_MAX; value = value->next)
            values[count++] = (struct sl_policy_value){sl_json_string(at, "ContextKeyName"), value->text};
    }
    return count;
}

static void answer(struct sl_op *op, const struct sl_identity *as, const struct sl_json *principal,
                   const struct sl_json *resource_policy) {
    static const struct sl_json any = {.type = SL_JSON_STRING, .text = SL_STR_INIT("*")};
    const struct sl_json *actions = sl_json_get(op->in, "ActionNames"),
                         *resources = sl_json_get(op->in, "ResourceArns");
    struct sl_json *list = sl_json_new_array(op->arena);
    struct sl_policy_value values[VALUES_MAX];
    unsigned count = context(op, values);
    for (const struct sl_json *action = actions->first; action; action = action->next) {
        const struct sl_json *resource = resources && resources->count ? resources->first : &any;
        for (; resource && list && list->count < QUESTIONS_MAX; resource = resource->next) {
            const struct sl_decision decision = {.directory = ((const struct sl_app *)op->app)->callers->directory,
                                                 .identity = as,
                                                 .principal = principal,
                                                 .action = action->text,
                                                 .resource = resource->text,
                                                 .resource_policy = resource_policy,
                                                 .values = values,
                                                 .value_count = count};
            enum sl_verdict verdict = sl_decide(op->arena, &decision);
            struct sl_json *result = sl_json_push(list, sl_json_new_object(op->arena));
            sl_json_put_string(op->arena, result, "EvalActionName", action->text);
            sl_json_put_string(op->arena, result, "EvalResourceName", resource->text);
            sl_json_put_string(op->arena, result, "EvalDecision",
                               verdict == SL_VERDICT_ALLOW           ? SL_STR("allowed")
                               : verdict >= SL_VERDICT_DENY_IDENTITY ? SL_STR("explicitDeny")
                                                                     : SL_STR("implicitDeny"));
            sl_json_set(result, SL_STR("MatchedStatements"), sl_json_new_array(op->arena));
            sl_json_set(result, SL_STR("MissingContextValues"), sl_json_new_array(op->arena));
        }
    }
    sl_json_set(op->out, SL_STR("EvaluationResults"), list);
    sl_json_put_bool(op->arena, op->out, "IsTruncated", false);
}

static int check_limits(struct sl_op *op, struct sl_identity *as, struct sl_error *err) {
    const struct sl_json *limits = sl_json_get(op->in, "PermissionsBoundaryPolicyInputList");
    int result = limits && limits->count ? sl_iam__policy_check(op, limits->first->text, false, err) : 0;
    // A boundary and a session policy narrow alike.
    if (limits && limits->count) as->session_policy = limits->first->text;
    return result;
}

int sl_iam__simulate(struct sl_op *op, struct sl_error *err) {
    const struct sl_app *app = op->app;
    struct sl_str source = sl_op_in(op, "PolicySourceArn"), text = sl_op_in(op, "ResourcePolicy");
    struct sl_identity as = {.kind = SL_IDENTITY_USER, .account = op->account, .arn = op->caller, .name = SL_STR("?")};
    struct sl_json *principal = sl_json_new_object(op->arena), *resource_policy = NULL;
    if (source.len) {
        as.arn = source;
        as.name = caller_name(source);
        if (sl_str_find(source, SL_STR(":role/")) >= 0) {
            as.kind = SL_IDENTITY_SESSION;
            as.issuer = source;
        }
        const char *kind = as.kind == SL_IDENTITY_USER ? "user" : "role";
        sl_directory_enter();
        const struct sl_json *entry = sl_directory_get(app->callers->directory, kind, op->account, as.name);
        principal = entry ? sl_json_copy(op->arena, entry) : NULL;
        sl_directory_leave();
        if (!principal)
            return sl_fail(err, SL_E_NO_SUCH_ENTITY, "The %s with name %.*s cannot be found.", kind, SL_FMT(as.name));
    }
    if (text.len && sl_json_parse(op->arena, text, &resource_policy, NULL))
        return sl_fail(err, SL_E_INVALID_INPUT, "The resource policy contains invalid Json");
    int result = check_limits(op, &as, err);
    if (!result) result = add_documents(op, principal, err);
    if (result) return result;
    sl_directory_enter();
    answer(op, &as, principal, resource_policy);
    sl_directory_leave();
    return 0;
}
