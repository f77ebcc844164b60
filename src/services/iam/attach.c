// SPDX-License-Identifier: Apache-2.0
//
// attach: inline policies of users, roles and groups, and attachments of managed ones: one set of handlers for the
// three, whose operations differ in the member that names the holder.
#include "services/iam/internal.h"

enum { ATTACHED_MAX = 10 };

// Of all inline policies together, without blanks (IAM quotas).
static const size_t inline_max[] = {[SL_IAM_USER] = 2048, [SL_IAM_ROLE] = 10240, [SL_IAM_GROUP] = 5120};

static struct sl_str holder_member(const struct sl_iam__holder *holder) {
    static const struct sl_str names[] = {[SL_IAM_USER] = SL_STR_INIT("UserName"),
                                          [SL_IAM_ROLE] = SL_STR_INIT("RoleName"),
                                          [SL_IAM_GROUP] = SL_STR_INIT("GroupName")};
    return names[holder->kind];
}

// --- inline
// ----------------------------------------------------------------------------------------------------------------------------

static int no_policy(const struct sl_iam__holder *holder, struct sl_str name, struct sl_error *err) {
    return sl_fail(err, SL_E_NO_SUCH_ENTITY, "The %s policy with name %.*s cannot be found.",
                   sl_iam__word(holder->kind), SL_FMT(name));
}

static int check_size(struct sl_op *op, const struct sl_iam__holder *holder, struct sl_str name, struct sl_str document,
                      struct sl_error *err) {
    const struct sl_key all = sl_iam__inline_key(op, holder, SL_STR(""));
    size_t size = sl_iam__policy_size(document);
    struct sl_json *page;
    bool more;
    int result = sl_store_list(op->tx, op->arena, &all, SL_STR(""), 1000, &page, &more, err);
    for (const struct sl_json *at = result ? NULL : page->first; at; at = at->next) {
        if (!sl_str_eq(sl_json_string(at, "id"), name))
            size += sl_iam__policy_size(sl_json_string(sl_json_get(at, "doc"), "PolicyDocument"));
    }
    if (!result && size > inline_max[holder->kind])
        return sl_fail(err, SL_E_LIMIT_EXCEEDED, "Maximum policy size of %zu bytes exceeded for %s %.*s",
                       inline_max[holder->kind], sl_iam__word(holder->kind), SL_FMT(holder->name));
    return result;
}

int sl_iam__put_inline(struct sl_op *op, struct sl_error *err) {
    struct sl_iam__holder holder;
    struct sl_json *policy = sl_json_new_object(op->arena);
    struct sl_str document = sl_op_in(op, "PolicyDocument"), name = sl_op_in(op, "PolicyName");
    int result = sl_iam__load_named(op, &holder, err);
    if (result == 0) result = sl_iam__policy_check(op, document, false, err);
    if (result == 0) result = check_size(op, &holder, name, document, err);
    if (result) return result;
    const struct sl_key key = sl_iam__inline_key(op, &holder, name);
    sl_json_put_string(op->arena, policy, "PolicyDocument", document);
    result = sl_store_put(op->tx, &key, policy, err);
    return result ? result : sl_iam__note_holder(op, &holder, err);
}

int sl_iam__get_inline(struct sl_op *op, struct sl_error *err) {
    struct sl_iam__holder holder;
    struct sl_json *policy;
    struct sl_str name = sl_op_in(op, "PolicyName");
    int result = sl_iam__load_named(op, &holder, err);
    if (result) return result;
    const struct sl_key key = sl_iam__inline_key(op, &holder, name);
    result = sl_store_get(op->tx, op->arena, &key, &policy, err);
    if (result) return result == SL_E_NOT_FOUND ? no_policy(&holder, name, err) : result;
    sl_json_set(op->out, holder_member(&holder), sl_json_new_string(op->arena, holder.name));
    sl_op_out(op, "PolicyName", name);
    sl_op_out(op, "PolicyDocument", sl_iam__encoded(op, sl_json_string(policy, "PolicyDocument")));
    return 0;
}

int sl_iam__delete_inline(struct sl_op *op, struct sl_error *err) {
    struct sl_iam__holder holder;
    struct sl_str name = sl_op_in(op, "PolicyName");
    bool existed = false;
    int result = sl_iam__load_named(op, &holder, err);
    if (result) return result;
    const struct sl_key key = sl_iam__inline_key(op, &holder, name);
    result = sl_store_delete(op->tx, &key, &existed, err);
    if (!result && !existed) return no_policy(&holder, name, err);
    return result ? result : sl_iam__note_holder(op, &holder, err);
}

static struct sl_json *policy_name(struct sl_op *op, const struct sl_json *item) {
    return sl_json_new_string(op->arena, sl_json_string(item, "id"));
}

int sl_iam__list_inline(struct sl_op *op, struct sl_error *err) {
    struct sl_iam__holder holder;
    int result = sl_iam__load_named(op, &holder, err);
    if (result) return result;
    const struct sl_key key = sl_iam__inline_key(op, &holder, SL_STR(""));
    return sl_iam__list(op, &key, "PolicyNames", policy_name, err);
}

// --- attached
// --------------------------------------------------------------------------------------------------------------------------

static struct sl_key use_key(struct sl_op *op, const struct sl_iam__holder *holder, struct sl_str arn) {
    return sl_iam__key(op, "iam.policy_use", arn,
                       sl_arena_printf(op->arena, "%s/%.*s", sl_iam__word(holder->kind), SL_FMT(holder->name)));
}

static int check_quota(struct sl_op *op, const struct sl_iam__holder *holder, struct sl_str arn, struct sl_error *err) {
    static const char *const names[] = {[SL_IAM_USER] = "User", [SL_IAM_ROLE] = "Role", [SL_IAM_GROUP] = "Group"};
    const struct sl_key all = sl_iam__attachment_key(op, holder, SL_STR("")),
                        key = sl_iam__attachment_key(op, holder, arn);
    if (sl_store_has(op->tx, &key) || sl_store_count(op->tx, &all) < ATTACHED_MAX) return 0;
    return sl_fail(err, SL_E_LIMIT_EXCEEDED, "Cannot exceed quota for PoliciesPer%s: %d", names[holder->kind],
                   ATTACHED_MAX);
}

int sl_iam__attach(struct sl_op *op, struct sl_error *err) {
    struct sl_iam__holder holder;
    struct sl_json *attachment = sl_json_new_object(op->arena);
    struct sl_str arn = sl_op_in(op, "PolicyArn");
    int result = sl_iam__load_named(op, &holder, err);
    if (result == 0) result = sl_iam__attachable(op, arn, err);
    if (result == 0) result = check_quota(op, &holder, arn, err);
    if (result) return result;
    const struct sl_key key = sl_iam__attachment_key(op, &holder, arn), use = use_key(op, &holder, arn);
    sl_json_put_string(op->arena, attachment, "PolicyName", sl_iam__policy_name(arn));
    sl_json_put_string(op->arena, attachment, "PolicyArn", arn);
    result = sl_store_put(op->tx, &key, attachment, err);
    if (!result) result = sl_store_put(op->tx, &use, sl_json_new_object(op->arena), err);
    return result ? result : sl_iam__note_holder(op, &holder, err);
}

int sl_iam__detach(struct sl_op *op, struct sl_error *err) {
    struct sl_iam__holder holder;
    struct sl_str arn = sl_op_in(op, "PolicyArn");
    bool existed = false;
    int result = sl_iam__load_named(op, &holder, err);
    if (result) return result;
    const struct sl_key key = sl_iam__attachment_key(op, &holder, arn), use = use_key(op, &holder, arn);
    result = sl_store_delete(op->tx, &key, &existed, err);
    if (!result && !existed) return sl_fail(err, SL_E_NO_SUCH_ENTITY, "Policy %.*s was not found.", SL_FMT(arn));
    if (!result) result = sl_store_delete(op->tx, &use, NULL, err);
    return result ? result : sl_iam__note_holder(op, &holder, err);
}

static struct sl_json *attachment(struct sl_op *op, const struct sl_json *item) {
    return sl_json_copy(op->arena, sl_json_get(item, "doc"));
}

int sl_iam__list_attached(struct sl_op *op, struct sl_error *err) {
    struct sl_iam__holder holder;
    int result = sl_iam__load_named(op, &holder, err);
    if (result) return result;
    const struct sl_key key = sl_iam__attachment_key(op, &holder, SL_STR(""));
    return sl_iam__list(op, &key, "AttachedPolicies", attachment, err);
}
