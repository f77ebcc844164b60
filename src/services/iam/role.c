// SPDX-License-Identifier: Apache-2.0
//
// role: CreateRole, GetRole, ListRoles, DeleteRole, UpdateAssumeRolePolicy, and the table of IAM's operations.
#include "services/iam/iam.h"
#include "services/iam/internal.h"

#include "aws/page.h"
#include "base/encoding.h"

static struct sl_key key_of(struct sl_op *op, const char *kind, struct sl_str parent, struct sl_str id) {
    return (struct sl_key){.kind = kind, .account = op->account, .region = SL_STR(""), .parent = parent, .id = id};
}

struct sl_key sl_iam__role_key(struct sl_op *op, struct sl_str role) {
    return key_of(op, "iam.role", SL_STR(""), role);
}

struct sl_key sl_iam__policy_key(struct sl_op *op, struct sl_str role, struct sl_str policy) {
    return key_of(op, "iam.role_policy", role, policy);
}

struct sl_key sl_iam__attachment_key(struct sl_op *op, struct sl_str role, struct sl_str policy_arn) {
    return key_of(op, "iam.role_attachment", role, policy_arn);
}

int sl_iam__load_role(struct sl_op *op, struct sl_json **ret, struct sl_error *err) {
    struct sl_str name = sl_op_in(op, "RoleName");
    const struct sl_key key = sl_iam__role_key(op, name);
    int result = sl_store_get(op->tx, op->arena, &key, ret, err);
    if (result == SL_E_NOT_FOUND)
        return sl_fail(err, SL_E_NO_SUCH_ENTITY, "The role with name %.*s cannot be found.", SL_FMT(name));
    return result;
}

struct sl_str sl_iam__encoded(struct sl_op *op, struct sl_str document) {
    struct sl_buf text;
    sl_buf_init(&text, 1u << 20);
    sl_percent_encode(&text, document, false);
    struct sl_str copy = sl_arena_dup(op->arena, sl_buf_view(&text));
    sl_buf_free(&text);
    return copy;
}

static int check_statement(const struct sl_json *statement, bool trust, struct sl_error *err) {
    bool principal = sl_json_get(statement, "Principal") || sl_json_get(statement, "NotPrincipal");
    bool resource = sl_json_get(statement, "Resource") || sl_json_get(statement, "NotResource");
    if (statement->type != SL_JSON_OBJECT || !sl_json_get(statement, "Effect") ||
        (!sl_json_get(statement, "Action") && !sl_json_get(statement, "NotAction")))
        return sl_fail(err, SL_E_MALFORMED_POLICY, "Syntax errors in policy.");
    if (trust && !principal) return sl_fail(err, SL_E_MALFORMED_POLICY, "Missing required field Principal");
    if (trust && resource) return sl_fail(err, SL_E_MALFORMED_POLICY, "Has prohibited field Resource");
    if (!trust && principal)
        return sl_fail(err, SL_E_MALFORMED_POLICY, "Policy document should not specify a principal.");
    if (!trust && !resource) return sl_fail(err, SL_E_MALFORMED_POLICY, "Policy statement must contain resources.");
    return 0;
}

int sl_iam__policy_check(struct sl_op *op, struct sl_str document, bool trust, struct sl_error *err) {
    struct sl_json *policy;
    if (sl_json_parse(op->arena, document, &policy, NULL) != 0 || policy->type != SL_JSON_OBJECT)
        return sl_fail(err, SL_E_MALFORMED_POLICY, "This policy contains invalid Json");
    const struct sl_json *statement = sl_json_get(policy, "Statement");
    if (!statement || (statement->type != SL_JSON_ARRAY && statement->type != SL_JSON_OBJECT) || statement->count == 0)
        return sl_fail(err, SL_E_MALFORMED_POLICY, "Syntax errors in policy.");
    if (statement->type == SL_JSON_OBJECT) return check_statement(statement, trust, err);
    int result = 0;
    for (const struct sl_json *one = statement->first; one && result == 0; one = one->next)
        result = check_statement(one, trust, err);
    return result;
}

// Paths of IAM begin and end with '/' (the model's pattern), so name and path make the ARN by joining.
static struct sl_json *new_role(struct sl_op *op) {
    struct sl_str name = sl_op_in(op, "RoleName"), path = sl_op_in(op, "Path"),
                  boundary = sl_op_in(op, "PermissionsBoundary");
    struct sl_json *role = sl_json_new_object(op->arena);
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    char id[22] = "AROA";
    unsigned char random[17];
    sl_random_bytes(random, sizeof(random));
    for (size_t i = 0; i < sizeof(random); i++) id[4 + i] = alphabet[random[i] & 31];
    id[21] = '\0';
    path = path.len > 0 ? path : SL_STR("/");
    sl_json_put_string(op->arena, role, "Path", path);
    sl_json_put_string(op->arena, role, "RoleName", name);
    sl_json_put_string(op->arena, role, "RoleId", sl_arena_dup(op->arena, sl_str_of(id)));
    sl_json_put_string(op->arena, role, "Arn",
                       sl_arena_printf(op->arena, "arn:%.*s:iam::%.*s:role%.*s%.*s", SL_FMT(op->partition),
                                       SL_FMT(op->account), SL_FMT(path), SL_FMT(name)));
    sl_json_put_int(op->arena, role, "CreateDate", op->now_ms / 1000 * 1000);
    sl_json_put_string(op->arena, role, "AssumeRolePolicyDocument", sl_op_in(op, "AssumeRolePolicyDocument"));
    sl_json_put_int(op->arena, role, "MaxSessionDuration", sl_json_int(op->in, "MaxSessionDuration", 3600));
    if (sl_op_in(op, "Description").ptr)
        sl_json_put_string(op->arena, role, "Description", sl_op_in(op, "Description"));
    const struct sl_json *tags = sl_json_get(op->in, "Tags");
    if (tags && tags->count > 0) sl_json_set(role, SL_STR("Tags"), sl_json_copy(op->arena, tags));
    if (boundary.len > 0) {
        struct sl_json *shown = sl_json_new_object(op->arena);
        sl_json_put_string(op->arena, shown, "PermissionsBoundaryType", SL_STR("Policy"));
        sl_json_put_string(op->arena, shown, "PermissionsBoundaryArn", boundary);
        sl_json_set(role, SL_STR("PermissionsBoundary"), shown);
    }
    return role;
}

static struct sl_json *shown(struct sl_op *op, const struct sl_json *role) {
    struct sl_json *copy = sl_json_copy(op->arena, role);
    sl_json_put_string(op->arena, copy, "AssumeRolePolicyDocument",
                       sl_iam__encoded(op, sl_json_string(role, "AssumeRolePolicyDocument")));
    return copy;
}

int sl_iam__create_role(struct sl_op *op, struct sl_error *err) {
    struct sl_str name = sl_op_in(op, "RoleName"), boundary = sl_op_in(op, "PermissionsBoundary");
    const struct sl_key key = sl_iam__role_key(op, name);
    int result = sl_iam__policy_check(op, sl_op_in(op, "AssumeRolePolicyDocument"), true, err);
    if (result == 0 && boundary.len > 0) result = sl_iam__managed_check(boundary, err);
    if (result == 0 && sl_store_has(op->tx, &key))
        result = sl_fail(err, SL_E_ENTITY_EXISTS, "Role with name %.*s already exists.", SL_FMT(name));
    if (result != 0) return result;
    struct sl_json *role = new_role(op);
    sl_json_set(op->out, SL_STR("Role"), shown(op, role));
    return sl_store_put(op->tx, &key, role, err);
}

int sl_iam__get_role(struct sl_op *op, struct sl_error *err) {
    struct sl_json *role;
    int result = sl_iam__load_role(op, &role, err);
    if (result == 0) sl_json_set(op->out, SL_STR("Role"), shown(op, role));
    return result;
}

int sl_iam__page_in(struct sl_op *op, struct sl_str scope, struct sl_str *ret_after, unsigned *ret_limit,
                    struct sl_error *err) {
    struct sl_str marker = sl_op_in(op, "Marker");
    *ret_after = SL_STR("");
    *ret_limit = (unsigned)sl_json_int(op->in, "MaxItems", 100);
    if (marker.len > 0 && !sl_page_open(op->arena, scope, marker, ret_after))
        return sl_fail(err, SL_E_QUERY_VALIDATION, "Invalid Marker.");
    return 0;
}

void sl_iam__page_out(struct sl_op *op, struct sl_str scope, struct sl_str last, bool more) {
    sl_json_put_bool(op->arena, op->out, "IsTruncated", more);
    if (more) sl_op_out(op, "Marker", sl_page_token(op->arena, scope, last));
}

// A role's details as lists have them: without tags and boundary (API reference, ListRoles).
int sl_iam__list_roles(struct sl_op *op, struct sl_error *err) {
    struct sl_str prefix = sl_op_in(op, "PathPrefix"), after, scope = sl_page_scope(op, prefix);
    struct sl_json *roles = sl_json_new_array(op->arena), *page;
    const struct sl_key key = sl_iam__role_key(op, SL_STR(""));
    unsigned limit;
    bool more = true;
    int result = sl_iam__page_in(op, scope, &after, &limit, err);
    while (result == 0 && more && roles && roles->count < limit) {
        result = sl_store_list(op->tx, op->arena, &key, after, limit, &page, &more, err);
        for (const struct sl_json *item = result == 0 ? page->first : NULL; item; item = item->next) {
            if (roles->count == limit) {
                more = true;
                break;
            }
            after = sl_json_string(item, "id");
            const struct sl_json *role = sl_json_get(item, "doc");
            if (!sl_str_starts(sl_json_string(role, "Path"), prefix)) continue;
            struct sl_json *one = shown(op, role);
            sl_json_remove(one, "Tags");
            sl_json_remove(one, "PermissionsBoundary");
            sl_json_push(roles, one);
        }
    }
    sl_json_set(op->out, SL_STR("Roles"), roles);
    sl_iam__page_out(op, scope, after, more);
    return result;
}

int sl_iam__delete_role(struct sl_op *op, struct sl_error *err) {
    struct sl_json *role;
    struct sl_str name = sl_op_in(op, "RoleName");
    const struct sl_key key = sl_iam__role_key(op, name), policies = sl_iam__policy_key(op, name, SL_STR("")),
                        attachments = sl_iam__attachment_key(op, name, SL_STR(""));
    int result = sl_iam__load_role(op, &role, err);
    if (result == 0 && sl_store_count(op->tx, &attachments) > 0)
        result = sl_fail(err, SL_E_DELETE_CONFLICT, "Cannot delete entity, must detach all policies first.");
    if (result == 0 && sl_store_count(op->tx, &policies) > 0)
        result = sl_fail(err, SL_E_DELETE_CONFLICT, "Cannot delete entity, must delete policies first.");
    return result == 0 ? sl_store_delete(op->tx, &key, NULL, err) : result;
}

int sl_iam__update_trust(struct sl_op *op, struct sl_error *err) {
    struct sl_json *role;
    struct sl_str document = sl_op_in(op, "PolicyDocument");
    const struct sl_key key = sl_iam__role_key(op, sl_op_in(op, "RoleName"));
    int result = sl_iam__load_role(op, &role, err);
    if (result == 0) result = sl_iam__policy_check(op, document, true, err);
    if (result != 0) return result;
    sl_json_put_string(op->arena, role, "AssumeRolePolicyDocument", document);
    return sl_store_put(op->tx, &key, role, err);
}

#define OPERATION(name, handler)                                                                                       \
    { "iam", name, SL_OP_STORE, NULL, handler, NULL, NULL }

const struct sl_op_entry sl_iam_operations[] = {
    OPERATION("CreateRole", sl_iam__create_role),
    OPERATION("GetRole", sl_iam__get_role),
    OPERATION("ListRoles", sl_iam__list_roles),
    OPERATION("DeleteRole", sl_iam__delete_role),
    OPERATION("UpdateAssumeRolePolicy", sl_iam__update_trust),
    OPERATION("PutRolePolicy", sl_iam__put_role_policy),
    OPERATION("GetRolePolicy", sl_iam__get_role_policy),
    OPERATION("DeleteRolePolicy", sl_iam__delete_role_policy),
    OPERATION("ListRolePolicies", sl_iam__list_role_policies),
    OPERATION("AttachRolePolicy", sl_iam__attach),
    OPERATION("DetachRolePolicy", sl_iam__detach),
    OPERATION("ListAttachedRolePolicies", sl_iam__list_attached),
    {NULL, NULL, SL_OP_STORE, NULL, NULL, NULL, NULL},
};
