// SPDX-License-Identifier: Apache-2.0
//
// role_policy: inline policies of roles and attachments of managed ones.
//
// Managed policies cannot be made here, so the only ones that can exist are AWS's own ("arn:aws:iam::aws:policy/..."),
// whose names are not checked. Attaching keeps the fact; nothing is enforced by it.
#include "services/iam/internal.h"

#include "aws/arn.h"
#include "aws/page.h"

int sl_iam__managed_check(struct sl_str arn, struct sl_error *err) {
    struct sl_arn parsed;
    if (!sl_arn_parse(arn, &parsed) || !sl_str_is(parsed.service, "iam") ||
        !sl_str_starts(parsed.resource, SL_STR("policy/")))
        return sl_fail(err, SL_E_INVALID_INPUT, "ARN %.*s is not valid.", SL_FMT(arn));
    if (!sl_str_is(parsed.account, "aws"))
        return sl_fail(err, SL_E_NO_SUCH_ENTITY, "Policy %.*s does not exist or is not attachable.", SL_FMT(arn));
    return 0;
}

// --- inline
// ------------------------------------------------------------------------------------------------------------------------------

static int no_policy(struct sl_str name, struct sl_error *err) {
    return sl_fail(err, SL_E_NO_SUCH_ENTITY, "The role policy with name %.*s cannot be found.", SL_FMT(name));
}

int sl_iam__put_role_policy(struct sl_op *op, struct sl_error *err) {
    struct sl_json *role, *policy = sl_json_new_object(op->arena);
    struct sl_str document = sl_op_in(op, "PolicyDocument");
    const struct sl_key key = sl_iam__policy_key(op, sl_op_in(op, "RoleName"), sl_op_in(op, "PolicyName"));
    int result = sl_iam__load_role(op, &role, err);
    if (result == 0) result = sl_iam__policy_check(op, document, false, err);
    sl_json_put_string(op->arena, policy, "PolicyDocument", document);
    return result == 0 ? sl_store_put(op->tx, &key, policy, err) : result;
}

int sl_iam__get_role_policy(struct sl_op *op, struct sl_error *err) {
    struct sl_json *role, *policy;
    struct sl_str name = sl_op_in(op, "PolicyName");
    const struct sl_key key = sl_iam__policy_key(op, sl_op_in(op, "RoleName"), name);
    int result = sl_iam__load_role(op, &role, err);
    if (result == 0) result = sl_store_get(op->tx, op->arena, &key, &policy, err);
    if (result == SL_E_NOT_FOUND) return no_policy(name, err);
    if (result != 0) return result;
    sl_op_out(op, "RoleName", sl_op_in(op, "RoleName"));
    sl_op_out(op, "PolicyName", name);
    sl_op_out(op, "PolicyDocument", sl_iam__encoded(op, sl_json_string(policy, "PolicyDocument")));
    return 0;
}

int sl_iam__delete_role_policy(struct sl_op *op, struct sl_error *err) {
    struct sl_json *role;
    struct sl_str name = sl_op_in(op, "PolicyName");
    const struct sl_key key = sl_iam__policy_key(op, sl_op_in(op, "RoleName"), name);
    bool existed = false;
    int result = sl_iam__load_role(op, &role, err);
    if (result == 0) result = sl_store_delete(op->tx, &key, &existed, err);
    return result == 0 && !existed ? no_policy(name, err) : result;
}

// Documents of one role, by `key`'s kind: each item goes to `shown`.
static int list_children(struct sl_op *op, const struct sl_key *key, const char *member,
                         struct sl_json *(*shown)(struct sl_op *op, const struct sl_json *item), struct sl_error *err) {
    struct sl_json *role, *page, *list = sl_json_new_array(op->arena);
    struct sl_str after, scope = sl_page_scope(op, sl_op_in(op, "RoleName"));
    unsigned limit;
    bool more = false;
    int result = sl_iam__load_role(op, &role, err);
    if (result == 0) result = sl_iam__page_in(op, scope, &after, &limit, err);
    if (result == 0) result = sl_store_list(op->tx, op->arena, key, after, limit, &page, &more, err);
    if (result != 0) return result;
    for (const struct sl_json *item = page->first; item; item = item->next) {
        sl_json_push(list, shown(op, item));
        after = sl_json_string(item, "id");
    }
    sl_json_set(op->out, sl_str_of(member), list);
    sl_iam__page_out(op, scope, after, more);
    return 0;
}

static struct sl_json *policy_name(struct sl_op *op, const struct sl_json *item) {
    return sl_json_new_string(op->arena, sl_json_string(item, "id"));
}

int sl_iam__list_role_policies(struct sl_op *op, struct sl_error *err) {
    const struct sl_key key = sl_iam__policy_key(op, sl_op_in(op, "RoleName"), SL_STR(""));
    return list_children(op, &key, "PolicyNames", policy_name, err);
}

// --- attached
// ------------------------------------------------------------------------------------------------------------------------------

// "policy/service-role/AWSLambdaBasicExecutionRole": the last part is the policy's name.
static struct sl_str name_of(struct sl_str arn) {
    size_t start = arn.len;
    while (start > 0 && arn.ptr[start - 1] != '/') start--;
    return sl_str_sub(arn, start, arn.len);
}

int sl_iam__attach(struct sl_op *op, struct sl_error *err) {
    struct sl_json *role, *attachment = sl_json_new_object(op->arena);
    struct sl_str arn = sl_op_in(op, "PolicyArn");
    const struct sl_key key = sl_iam__attachment_key(op, sl_op_in(op, "RoleName"), arn);
    int result = sl_iam__load_role(op, &role, err);
    if (result == 0) result = sl_iam__managed_check(arn, err);
    sl_json_put_string(op->arena, attachment, "PolicyName", name_of(arn));
    sl_json_put_string(op->arena, attachment, "PolicyArn", arn);
    return result == 0 ? sl_store_put(op->tx, &key, attachment, err) : result;
}

int sl_iam__detach(struct sl_op *op, struct sl_error *err) {
    struct sl_json *role;
    struct sl_str arn = sl_op_in(op, "PolicyArn");
    const struct sl_key key = sl_iam__attachment_key(op, sl_op_in(op, "RoleName"), arn);
    bool existed = false;
    int result = sl_iam__load_role(op, &role, err);
    if (result == 0) result = sl_store_delete(op->tx, &key, &existed, err);
    if (result == 0 && !existed) return sl_fail(err, SL_E_NO_SUCH_ENTITY, "Policy %.*s was not found.", SL_FMT(arn));
    return result;
}

static struct sl_json *attachment(struct sl_op *op, const struct sl_json *item) {
    return sl_json_copy(op->arena, sl_json_get(item, "doc"));
}

int sl_iam__list_attached(struct sl_op *op, struct sl_error *err) {
    const struct sl_key key = sl_iam__attachment_key(op, sl_op_in(op, "RoleName"), SL_STR(""));
    return list_children(op, &key, "AttachedPolicies", attachment, err);
}
