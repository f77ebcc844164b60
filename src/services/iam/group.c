// SPDX-License-Identifier: Apache-2.0
//
// group: groups and who is in them. A membership is two documents, one by each side's name.
#include "services/iam/internal.h"

enum { GROUPS_PER_USER = 10 };

int sl_iam__create_group(struct sl_op *op, struct sl_error *err) {
    struct sl_str name = sl_op_in(op, "GroupName");
    const struct sl_key key = sl_iam__entity_key(op, SL_IAM_GROUP, name);
    if (sl_store_has(op->tx, &key))
        return sl_fail(err, SL_E_ENTITY_EXISTS, "Group with name %.*s already exists.", SL_FMT(name));
    struct sl_iam__holder group = {.kind = SL_IAM_GROUP, .name = name, .doc = sl_json_new_object(op->arena)};
    sl_json_put_string(op->arena, group.doc, "GroupName", name);
    sl_iam__fill(op, group.doc, "group", name, "GroupId", "AGPA");
    sl_json_set(op->out, SL_STR("Group"), sl_json_copy(op->arena, group.doc));
    return sl_iam__save(op, &group, err);
}

// The entity of that kind that an item's id names; NULL if it is gone.
static struct sl_json *member(struct sl_op *op, enum sl_iam__kind kind, const struct sl_json *item) {
    struct sl_json *doc;
    const struct sl_key key = sl_iam__entity_key(op, kind, sl_json_string(item, "id"));
    if (sl_store_get(op->tx, op->arena, &key, &doc, NULL)) return NULL;
    sl_json_remove(doc, "Tags");
    sl_json_remove(doc, "PermissionsBoundary");
    return doc;
}

static struct sl_json *member_user(struct sl_op *op, const struct sl_json *item) {
    return member(op, SL_IAM_USER, item);
}

static struct sl_json *member_group(struct sl_op *op, const struct sl_json *item) {
    return member(op, SL_IAM_GROUP, item);
}

int sl_iam__get_group(struct sl_op *op, struct sl_error *err) {
    struct sl_iam__holder group;
    int result = sl_iam__load(op, SL_IAM_GROUP, &group, err);
    if (result) return result;
    const struct sl_key members = sl_iam__key(op, "iam.group_member", group.name, SL_STR(""));
    sl_json_set(op->out, SL_STR("Group"), sl_json_copy(op->arena, group.doc));
    return sl_iam__list(op, &members, "Users", member_user, err);
}

static struct sl_json *shown(struct sl_op *op, const struct sl_json *item) {
    const struct sl_json *doc = sl_json_get(item, "doc");
    return sl_str_starts(sl_json_string(doc, "Path"), sl_op_in(op, "PathPrefix")) ? sl_json_copy(op->arena, doc) : NULL;
}

int sl_iam__list_groups(struct sl_op *op, struct sl_error *err) {
    const struct sl_key key = sl_iam__entity_key(op, SL_IAM_GROUP, SL_STR(""));
    return sl_iam__list(op, &key, "Groups", shown, err);
}

int sl_iam__groups_of_user(struct sl_op *op, struct sl_error *err) {
    struct sl_iam__holder user;
    int result = sl_iam__load(op, SL_IAM_USER, &user, err);
    if (result) return result;
    const struct sl_key groups = sl_iam__key(op, "iam.user_group", user.name, SL_STR(""));
    return sl_iam__list(op, &groups, "Groups", member_group, err);
}

int sl_iam__delete_group(struct sl_op *op, struct sl_error *err) {
    struct sl_iam__holder group;
    int result = sl_iam__load(op, SL_IAM_GROUP, &group, err);
    if (result) return result;
    const struct sl_key key = sl_iam__entity_key(op, SL_IAM_GROUP, group.name),
                        members = sl_iam__key(op, "iam.group_member", group.name, SL_STR(""));
    if (sl_store_count(op->tx, &members) > 0)
        return sl_fail(err, SL_E_DELETE_CONFLICT, "Cannot delete entity, must remove users from group first.");
    result = sl_iam__check_bare(op, &group, err);
    if (result) return result;
    sl_iam__note_gone(op, &group);
    return sl_store_delete(op->tx, &key, NULL, err);
}

static int load_both(struct sl_op *op, struct sl_iam__holder *group, struct sl_iam__holder *user,
                     struct sl_error *err) {
    int result = sl_iam__load(op, SL_IAM_GROUP, group, err);
    return result ? result : sl_iam__load(op, SL_IAM_USER, user, err);
}

int sl_iam__add_to_group(struct sl_op *op, struct sl_error *err) {
    struct sl_iam__holder group, user;
    struct sl_json *nothing = sl_json_new_object(op->arena);
    int result = load_both(op, &group, &user, err);
    if (result) return result;
    const struct sl_key member_key = sl_iam__key(op, "iam.group_member", group.name, user.name),
                        group_key = sl_iam__key(op, "iam.user_group", user.name, group.name),
                        groups = sl_iam__key(op, "iam.user_group", user.name, SL_STR(""));
    if (!sl_store_has(op->tx, &group_key) && sl_store_count(op->tx, &groups) >= GROUPS_PER_USER)
        return sl_fail(err, SL_E_LIMIT_EXCEEDED, "Cannot exceed quota for GroupsPerUser: %d", GROUPS_PER_USER);
    result = sl_store_put(op->tx, &member_key, nothing, err);
    if (!result) result = sl_store_put(op->tx, &group_key, nothing, err);
    return result ? result : sl_iam__note_holder(op, &user, err);
}

int sl_iam__remove_from_group(struct sl_op *op, struct sl_error *err) {
    struct sl_iam__holder group, user;
    bool existed;
    int result = load_both(op, &group, &user, err);
    if (result) return result;
    const struct sl_key member_key = sl_iam__key(op, "iam.group_member", group.name, user.name),
                        group_key = sl_iam__key(op, "iam.user_group", user.name, group.name);
    result = sl_store_delete(op->tx, &member_key, &existed, err);
    if (!result && !existed)
        return sl_fail(err, SL_E_NO_SUCH_ENTITY, "User %.*s is not in group %.*s.", SL_FMT(user.name),
                       SL_FMT(group.name));
    if (!result) result = sl_store_delete(op->tx, &group_key, NULL, err);
    return result ? result : sl_iam__note_holder(op, &user, err);
}
