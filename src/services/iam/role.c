// SPDX-License-Identifier: Apache-2.0
//
// role: roles, and the table of IAM's operations.
#include "services/iam/iam.h"
#include "services/iam/internal.h"

enum { TRUST_MAX = 2048 };

static int check_trust(struct sl_op *op, struct sl_str document, struct sl_error *err) {
    if (sl_iam__policy_size(document) > TRUST_MAX)
        return sl_fail(err, SL_E_LIMIT_EXCEEDED, "Cannot exceed quota for ACLSizePerRole: %d", TRUST_MAX);
    return sl_iam__policy_check(op, document, true, err);
}

static struct sl_json *shown(struct sl_op *op, const struct sl_json *role) {
    struct sl_json *copy = sl_json_copy(op->arena, role);
    sl_json_put_string(op->arena, copy, "AssumeRolePolicyDocument",
                       sl_iam__encoded(op, sl_json_string(role, "AssumeRolePolicyDocument")));
    return copy;
}

int sl_iam__create_role(struct sl_op *op, struct sl_error *err) {
    struct sl_str name = sl_op_in(op, "RoleName"), boundary = sl_op_in(op, "PermissionsBoundary"),
                  trust = sl_op_in(op, "AssumeRolePolicyDocument");
    const struct sl_key key = sl_iam__entity_key(op, SL_IAM_ROLE, name);
    struct sl_iam__holder role = {.kind = SL_IAM_ROLE, .name = name, .doc = sl_json_new_object(op->arena)};
    int result = check_trust(op, trust, err);
    if (result == 0 && boundary.len > 0) result = sl_iam__attachable(op, boundary, err);
    if (result == 0 && sl_store_has(op->tx, &key))
        result = sl_fail(err, SL_E_ENTITY_EXISTS, "Role with name %.*s already exists.", SL_FMT(name));
    if (result == 0) result = sl_iam__add_tags(op, role.doc, err);
    if (result != 0) return result;
    sl_json_put_string(op->arena, role.doc, "RoleName", name);
    sl_iam__fill(op, role.doc, "role", name, "RoleId", "AROA");
    sl_json_put_string(op->arena, role.doc, "AssumeRolePolicyDocument", trust);
    sl_json_put_int(op->arena, role.doc, "MaxSessionDuration", sl_json_int(op->in, "MaxSessionDuration", 3600));
    if (sl_op_in(op, "Description").ptr)
        sl_json_put_string(op->arena, role.doc, "Description", sl_op_in(op, "Description"));
    if (boundary.len > 0) sl_iam__set_boundary(op, role.doc, boundary);
    sl_json_set(op->out, SL_STR("Role"), shown(op, role.doc));
    return sl_iam__save(op, &role, err);
}

int sl_iam__get_role(struct sl_op *op, struct sl_error *err) {
    struct sl_iam__holder role;
    int result = sl_iam__load(op, SL_IAM_ROLE, &role, err);
    if (result == 0) sl_json_set(op->out, SL_STR("Role"), shown(op, role.doc));
    return result;
}

// A role's details as lists have them: without tags and boundary (API reference, ListRoles).
static struct sl_json *listed(struct sl_op *op, const struct sl_json *item) {
    const struct sl_json *role = sl_json_get(item, "doc");
    if (!sl_str_starts(sl_json_string(role, "Path"), sl_op_in(op, "PathPrefix"))) return NULL;
    struct sl_json *one = shown(op, role);
    sl_json_remove(one, "Tags");
    sl_json_remove(one, "PermissionsBoundary");
    return one;
}

int sl_iam__list_roles(struct sl_op *op, struct sl_error *err) {
    const struct sl_key key = sl_iam__entity_key(op, SL_IAM_ROLE, SL_STR(""));
    return sl_iam__list(op, &key, "Roles", listed, err);
}

// UpdateRole, and the older UpdateRoleDescription, which shows the role.
int sl_iam__update_role(struct sl_op *op, struct sl_error *err) {
    struct sl_iam__holder role;
    int64_t duration = sl_json_int(op->in, "MaxSessionDuration", 0);
    int result = sl_iam__load(op, SL_IAM_ROLE, &role, err);
    if (result) return result;
    if (sl_op_in(op, "Description").ptr)
        sl_json_put_string(op->arena, role.doc, "Description", sl_op_in(op, "Description"));
    if (duration) sl_json_put_int(op->arena, role.doc, "MaxSessionDuration", duration);
    if (sl_str_is(op->model->name, "UpdateRoleDescription")) sl_json_set(op->out, SL_STR("Role"), shown(op, role.doc));
    return sl_iam__save(op, &role, err);
}

int sl_iam__delete_role(struct sl_op *op, struct sl_error *err) {
    struct sl_iam__holder role;
    int result = sl_iam__load(op, SL_IAM_ROLE, &role, err);
    if (result == 0) result = sl_iam__check_bare(op, &role, err);
    if (result) return result;
    const struct sl_key key = sl_iam__entity_key(op, SL_IAM_ROLE, role.name);
    sl_iam__note_gone(op, &role);
    return sl_store_delete(op->tx, &key, NULL, err);
}

int sl_iam__update_trust(struct sl_op *op, struct sl_error *err) {
    struct sl_iam__holder role;
    struct sl_str document = sl_op_in(op, "PolicyDocument");
    int result = sl_iam__load(op, SL_IAM_ROLE, &role, err);
    if (result == 0) result = check_trust(op, document, err);
    if (result != 0) return result;
    sl_json_put_string(op->arena, role.doc, "AssumeRolePolicyDocument", document);
    return sl_iam__save(op, &role, err);
}

#define X(operation, handler) {"iam", #operation, SL_OP_STORE, NULL, sl_iam__##handler, sl_iam__publish, NULL},
const struct sl_op_entry sl_iam_operations[] = {
    SL_IAM_OPERATIONS(X) // one row each
    {NULL, NULL, SL_OP_STORE, NULL, NULL, NULL, NULL},
};
#undef X
