// SPDX-License-Identifier: Apache-2.0
//
// user: users and their access keys. An operation about access keys without a user's name is about the caller's own;
// the account's root has keys too, under the empty name.
#include "services/iam/internal.h"

#include "aws/page.h"
#include "base/encoding.h"

enum { KEYS_MAX = 2, SECRET_BYTES = 30 };

// --- users
// -----------------------------------------------------------------------------------------------------------------------------

int sl_iam__create_user(struct sl_op *op, struct sl_error *err) {
    struct sl_str name = sl_op_in(op, "UserName"), boundary = sl_op_in(op, "PermissionsBoundary");
    const struct sl_key key = sl_iam__entity_key(op, SL_IAM_USER, name);
    if (sl_store_has(op->tx, &key))
        return sl_fail(err, SL_E_ENTITY_EXISTS, "User with name %.*s already exists.", SL_FMT(name));
    struct sl_iam__holder user = {.kind = SL_IAM_USER, .name = name, .doc = sl_json_new_object(op->arena)};
    sl_json_put_string(op->arena, user.doc, "UserName", name);
    sl_iam__fill(op, user.doc, "user", name, "UserId", "AIDA");
    int result = boundary.len ? sl_iam__attachable(op, boundary, err) : 0;
    if (!result) result = sl_iam__add_tags(op, user.doc, err);
    if (result) return result;
    if (boundary.len) sl_iam__set_boundary(op, user.doc, boundary);
    sl_json_set(op->out, SL_STR("User"), sl_json_copy(op->arena, user.doc));
    return sl_iam__save(op, &user, err);
}

// Without a name: who asks.
static void show_caller(struct sl_op *op) {
    struct sl_json *user = sl_json_new_object(op->arena);
    sl_json_put_string(op->arena, user, "UserId", op->caller_id);
    sl_json_put_string(op->arena, user, "Arn", op->caller);
    sl_json_put_int(op->arena, user, "CreateDate", 0);
    sl_json_set(op->out, SL_STR("User"), user);
}

static bool default_to_caller(struct sl_op *op) {
    if (sl_op_in(op, "UserName").len) return true;
    if (!op->identity || op->identity->kind != SL_IDENTITY_USER) return false;
    sl_json_put_string(op->arena, op->in, "UserName", op->identity->name);
    return true;
}

int sl_iam__get_user(struct sl_op *op, struct sl_error *err) {
    struct sl_iam__holder user;
    if (!default_to_caller(op)) {
        if (op->identity && op->identity->kind == SL_IDENTITY_SESSION)
            return sl_fail(err, SL_E_QUERY_VALIDATION, "Must specify userName when calling with non-User credentials");
        show_caller(op);
        return 0;
    }
    int result = sl_iam__load(op, SL_IAM_USER, &user, err);
    if (!result) sl_json_set(op->out, SL_STR("User"), sl_json_copy(op->arena, user.doc));
    return result;
}

static struct sl_json *shown_user(struct sl_op *op, const struct sl_json *item) {
    const struct sl_json *doc = sl_json_get(item, "doc");
    if (!sl_str_starts(sl_json_string(doc, "Path"), sl_op_in(op, "PathPrefix"))) return NULL;
    struct sl_json *user = sl_json_copy(op->arena, doc);
    sl_json_remove(user, "Tags");
    sl_json_remove(user, "PermissionsBoundary");
    return user;
}

int sl_iam__list_users(struct sl_op *op, struct sl_error *err) {
    const struct sl_key key = sl_iam__entity_key(op, SL_IAM_USER, SL_STR(""));
    return sl_iam__list(op, &key, "Users", shown_user, err);
}

// What hangs on a user moves with its name: children are few (quotas), so one page holds them.
static int move_children(struct sl_op *op, const struct sl_key *from, struct sl_str parent, struct sl_error *err) {
    struct sl_json *page;
    bool more;
    int result = sl_store_list(op->tx, op->arena, from, SL_STR(""), 1000, &page, &more, err);
    for (const struct sl_json *item = result ? NULL : page->first; item && !result; item = item->next) {
        struct sl_key to = *from;
        to.parent = parent;
        to.id = sl_json_string(item, "id");
        result = sl_store_put(op->tx, &to, sl_json_get(item, "doc"), err);
    }
    return result ? result : sl_store_delete_children(op->tx, from, err);
}

static int rename(struct sl_op *op, struct sl_iam__holder *user, struct sl_str name, struct sl_error *err) {
    const struct sl_key old = sl_iam__entity_key(op, SL_IAM_USER, user->name),
                        new = sl_iam__entity_key(op, SL_IAM_USER, name),
                        groups = sl_iam__key(op, "iam.user_group", user->name, SL_STR("")),
                        attached = sl_iam__attachment_key(op, user, SL_STR(""));
    if (sl_store_has(op->tx, &new))
        return sl_fail(err, SL_E_ENTITY_EXISTS, "User with name %.*s already exists.", SL_FMT(name));
    // The other side of each relation names the user.
    if (sl_store_count(op->tx, &groups) || sl_store_count(op->tx, &attached))
        return sl_fail(err, SL_E_DELETE_CONFLICT,
                       "Cannot rename entity, must detach all policies and remove it from all groups first.");
    const struct sl_key children[] = {sl_iam__key(op, "iam.user_policy", user->name, SL_STR("")),
                                      sl_iam__key(op, "iam.key", user->name, SL_STR(""))};
    struct sl_json *keys;
    bool more;
    int result = sl_store_list(op->tx, op->arena, &children[1], SL_STR(""), KEYS_MAX, &keys, &more, err);
    for (size_t i = 0; i < 2 && !result; i++) result = move_children(op, &children[i], name, err);
    if (!result) result = sl_store_delete(op->tx, &old, NULL, err);
    if (result) return result;
    sl_iam__note_gone(op, user);
    for (const struct sl_json *item = keys->first; item; item = item->next)
        sl_iam__note_key(op, name, sl_json_get(item, "doc"));
    user->name = name;
    sl_json_put_string(op->arena, user->doc, "UserName", name);
    return 0;
}

int sl_iam__update_user(struct sl_op *op, struct sl_error *err) {
    struct sl_iam__holder user;
    struct sl_str name = sl_op_in(op, "NewUserName"), path = sl_op_in(op, "NewPath");
    int result = sl_iam__load(op, SL_IAM_USER, &user, err);
    if (!result && name.len && !sl_str_eq(name, user.name)) result = rename(op, &user, name, err);
    if (result) return result;
    if (path.len) sl_json_put_string(op->arena, user.doc, "Path", path);
    sl_json_put_string(op->arena, user.doc, "Arn",
                       sl_arena_printf(op->arena, "arn:%.*s:iam::%.*s:user%.*s%.*s", SL_FMT(op->partition),
                                       SL_FMT(op->account), SL_FMT(sl_json_string(user.doc, "Path")),
                                       SL_FMT(user.name)));
    return sl_iam__save(op, &user, err);
}

int sl_iam__delete_user(struct sl_op *op, struct sl_error *err) {
    struct sl_iam__holder user;
    int result = sl_iam__load(op, SL_IAM_USER, &user, err);
    if (result) return result;
    const struct sl_key key = sl_iam__entity_key(op, SL_IAM_USER, user.name),
                        keys = sl_iam__key(op, "iam.key", user.name, SL_STR("")),
                        groups = sl_iam__key(op, "iam.user_group", user.name, SL_STR(""));
    if (sl_store_count(op->tx, &groups) > 0)
        return sl_fail(err, SL_E_DELETE_CONFLICT, "Cannot delete entity, must remove users from group first.");
    result = sl_iam__check_bare(op, &user, err);
    if (!result && sl_store_count(op->tx, &keys) > 0)
        result = sl_fail(err, SL_E_DELETE_CONFLICT, "Cannot delete entity, must delete access keys first.");
    if (result) return result;
    sl_iam__note_gone(op, &user);
    return sl_store_delete(op->tx, &key, NULL, err);
}

// --- access keys
// -----------------------------------------------------------------------------------------------------------------------

// Whose keys: the user's that is named, the caller's, or the account's own (the empty name).
static int key_holder(struct sl_op *op, struct sl_str *ret_user, struct sl_error *err) {
    struct sl_iam__holder user;
    *ret_user = SL_STR("");
    if (!default_to_caller(op)) return 0;
    int result = sl_iam__load(op, SL_IAM_USER, &user, err);
    *ret_user = user.name;
    return result;
}

static struct sl_json *new_key(struct sl_op *op, struct sl_str user) {
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    unsigned char random[16 + SECRET_BYTES];
    char id[21] = "AKIA";
    struct sl_buf secret;
    struct sl_json *key = sl_json_new_object(op->arena);
    sl_random_bytes(random, sizeof random);
    for (size_t i = 0; i < 16; i++) id[4 + i] = alphabet[random[i] & 31];
    sl_buf_init(&secret, 64);
    sl_base64_encode(&secret, sl_str_n((const char *)random + 16, SECRET_BYTES));
    sl_json_put_string(op->arena, key, "UserName", user);
    sl_json_put_string(op->arena, key, "AccessKeyId", sl_arena_dup(op->arena, sl_str_n(id, 20)));
    sl_json_put_string(op->arena, key, "Status", SL_STR("Active"));
    sl_json_put_string(op->arena, key, "SecretAccessKey", sl_arena_dup(op->arena, sl_buf_view(&secret)));
    sl_json_put_int(op->arena, key, "CreateDate", op->now_ms / 1000 * 1000);
    explicit_bzero(random, sizeof random);
    sl_buf_free(&secret);
    return key;
}

int sl_iam__create_key(struct sl_op *op, struct sl_error *err) {
    struct sl_str user;
    int result = key_holder(op, &user, err);
    if (result) return result;
    const struct sl_key all = sl_iam__key(op, "iam.key", user, SL_STR(""));
    if (sl_store_count(op->tx, &all) >= KEYS_MAX)
        return sl_fail(err, SL_E_LIMIT_EXCEEDED, "Cannot exceed quota for AccessKeysPerUser: %d", KEYS_MAX);
    struct sl_json *key = new_key(op, user);
    const struct sl_key where = sl_iam__key(op, "iam.key", user, sl_json_string(key, "AccessKeyId"));
    sl_json_set(op->out, SL_STR("AccessKey"), sl_json_copy(op->arena, key));
    sl_iam__note_key(op, user, key);
    return sl_store_put(op->tx, &where, key, err);
}

static struct sl_json *shown_key(struct sl_op *op, const struct sl_json *item) {
    struct sl_json *key = sl_json_copy(op->arena, sl_json_get(item, "doc"));
    sl_json_remove(key, "SecretAccessKey");
    sl_json_put_string(op->arena, key, "UserName",
                       sl_op_in(op, "UserName").ptr ? sl_op_in(op, "UserName") : SL_STR(""));
    return key;
}

int sl_iam__list_keys(struct sl_op *op, struct sl_error *err) {
    struct sl_str user;
    int result = key_holder(op, &user, err);
    if (result) return result;
    const struct sl_key all = sl_iam__key(op, "iam.key", user, SL_STR(""));
    return sl_iam__list(op, &all, "AccessKeyMetadata", shown_key, err);
}

static int no_key(struct sl_str id, struct sl_error *err) {
    return sl_fail(err, SL_E_NO_SUCH_ENTITY, "The Access Key with id %.*s cannot be found.", SL_FMT(id));
}

int sl_iam__update_key(struct sl_op *op, struct sl_error *err) {
    struct sl_str user, id = sl_op_in(op, "AccessKeyId");
    struct sl_json *key;
    int result = key_holder(op, &user, err);
    if (result) return result;
    const struct sl_key where = sl_iam__key(op, "iam.key", user, id);
    result = sl_store_get(op->tx, op->arena, &where, &key, err);
    if (result) return result == SL_E_NOT_FOUND ? no_key(id, err) : result;
    sl_json_put_string(op->arena, key, "Status", sl_op_in(op, "Status"));
    sl_iam__note_key(op, user, key);
    return sl_store_put(op->tx, &where, key, err);
}

int sl_iam__delete_key(struct sl_op *op, struct sl_error *err) {
    struct sl_str user, id = sl_op_in(op, "AccessKeyId");
    bool existed;
    int result = key_holder(op, &user, err);
    if (result) return result;
    const struct sl_key where = sl_iam__key(op, "iam.key", user, id);
    result = sl_store_delete(op->tx, &where, &existed, err);
    if (!result && !existed) return no_key(id, err);
    if (!result) sl_iam__note(op, sl_arena_printf(op->arena, "key/%.*s", SL_FMT(id)), (struct sl_str){0});
    return result;
}

// When a key was used is not kept: the directory is read only. AWS answers "N/A" for keys that it has not seen.
int sl_iam__key_last_used(struct sl_op *op, struct sl_error *err) {
    const struct sl_app *app = op->app;
    struct sl_str id = sl_op_in(op, "AccessKeyId");
    sl_directory_enter();
    const struct sl_json *key = sl_directory_get(app->callers->directory, "key", id, (struct sl_str){0});
    bool known = key && sl_str_eq(sl_json_string(key, "Account"), op->account);
    struct sl_str user = known ? sl_arena_dup(op->arena, sl_json_string(key, "User")) : SL_STR("");
    sl_directory_leave();
    if (!known) return sl_fail(err, SL_E_NO_SUCH_ENTITY, "The Access Key with id %.*s cannot be found.", SL_FMT(id));
    struct sl_json *used = sl_json_new_object(op->arena);
    sl_json_put_string(op->arena, used, "ServiceName", SL_STR("N/A"));
    sl_json_put_string(op->arena, used, "Region", SL_STR("N/A"));
    sl_op_out(op, "UserName", user);
    sl_json_set(op->out, SL_STR("AccessKeyLastUsed"), used);
    return 0;
}
