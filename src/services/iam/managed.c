// SPDX-License-Identifier: Apache-2.0
//
// managed: customer managed policies with up to five versions, and AWS's own, which are shown as the table in
// aws_policies.c has them. A version's document never changes; the directory has the default one's.
#include "services/iam/internal.h"

#include "aws/arn.h"

enum { VERSIONS_MAX = 5, SIZE_MAX_CHARS = 6144 };

// --- names
// -----------------------------------------------------------------------------------------------------------------------------

struct sl_str sl_iam__policy_name(struct sl_str arn) {
    size_t start = arn.len;
    while (start > 0 && arn.ptr[start - 1] != '/') start--;
    return sl_str_sub(arn, start, arn.len);
}

static bool is_aws(struct sl_str arn) { return sl_str_find(arn, SL_STR(":iam::aws:policy/")) >= 0; }

static const struct sl_iam__aws_policy *find_aws(struct sl_str arn) {
    ptrdiff_t at = sl_str_find(arn, SL_STR(":iam::aws:policy/"));
    if (at < 0) return NULL;
    struct sl_str rest = sl_str_sub(arn, (size_t)at + strlen(":iam::aws:policy"), arn.len);
    for (const struct sl_iam__aws_policy *row = sl_iam__aws_policies; row->name.len; row++) {
        if (rest.len == row->path.len + row->name.len && sl_str_starts(rest, row->path) && sl_str_ends(rest, row->name))
            return row;
    }
    return NULL;
}

static struct sl_key policy_key(struct sl_op *op, struct sl_str arn) {
    return sl_iam__key(op, "iam.policy", SL_STR(""), arn);
}

static struct sl_key version_key(struct sl_op *op, struct sl_str arn, uint64_t number) {
    return sl_iam__key(op, "iam.policy_version", arn,
                       number ? sl_arena_printf(op->arena, "%06llu", (unsigned long long)number) : SL_STR(""));
}

int sl_iam__attachable(struct sl_op *op, struct sl_str arn, struct sl_error *err) {
    struct sl_arn parsed;
    const struct sl_key key = policy_key(op, arn);
    if (!sl_arn_parse(arn, &parsed) || !sl_str_is(parsed.service, "iam") ||
        !sl_str_starts(parsed.resource, SL_STR("policy/")))
        return sl_fail(err, SL_E_INVALID_INPUT, "ARN %.*s is not valid.", SL_FMT(arn));
    if (!is_aws(arn) && !sl_store_has(op->tx, &key))
        return sl_fail(err, SL_E_NO_SUCH_ENTITY, "Policy %.*s does not exist or is not attachable.", SL_FMT(arn));
    return 0;
}

static int load(struct sl_op *op, struct sl_json **ret, struct sl_error *err) {
    struct sl_str arn = sl_op_in(op, "PolicyArn");
    const struct sl_key key = policy_key(op, arn);
    if (is_aws(arn))
        return sl_fail(err, SL_E_ACCESS_DENIED, "Policy %.*s is AWS managed and cannot be changed.", SL_FMT(arn));
    int result = sl_store_get(op->tx, op->arena, &key, ret, err);
    return result == SL_E_NOT_FOUND ? sl_fail(err, SL_E_NO_SUCH_ENTITY, "Policy %.*s was not found.", SL_FMT(arn))
                                    : result;
}

static int save(struct sl_op *op, struct sl_json *policy, struct sl_error *err) {
    const struct sl_key key = policy_key(op, sl_json_string(policy, "Arn"));
    sl_json_put_int(op->arena, policy, "UpdateDate", op->now_ms / 1000 * 1000);
    return sl_store_put(op->tx, &key, policy, err);
}

static void note_default(struct sl_op *op, struct sl_str arn, struct sl_str document) {
    sl_iam__note(op, sl_arena_printf(op->arena, "policy/%.*s", SL_FMT(arn)), document);
}

// --- policies
// --------------------------------------------------------------------------------------------------------------------------

static struct sl_json *shown(struct sl_op *op, const struct sl_json *policy) {
    struct sl_json *copy = sl_json_copy(op->arena, policy);
    const struct sl_key uses = sl_iam__key(op, "iam.policy_use", sl_json_string(policy, "Arn"), SL_STR(""));
    sl_json_put_int(op->arena, copy, "AttachmentCount", sl_store_count(op->tx, &uses));
    sl_json_put_int(op->arena, copy, "PermissionsBoundaryUsageCount", 0);
    sl_json_put_bool(op->arena, copy, "IsAttachable", true);
    return copy;
}

static struct sl_json *shown_aws(struct sl_op *op, const struct sl_iam__aws_policy *row) {
    struct sl_json *policy = sl_json_new_object(op->arena);
    sl_json_put_string(op->arena, policy, "PolicyName", row->name);
    sl_json_put_string(op->arena, policy, "Path", row->path);
    sl_json_put_string(op->arena, policy, "Arn",
                       sl_arena_printf(op->arena, "arn:%.*s:iam::aws:policy%.*s%.*s", SL_FMT(op->partition),
                                       SL_FMT(row->path), SL_FMT(row->name)));
    sl_json_put_string(op->arena, policy, "DefaultVersionId", SL_STR("v1"));
    sl_json_put_int(op->arena, policy, "CreateDate", 0);
    sl_json_put_int(op->arena, policy, "UpdateDate", 0);
    return shown(op, policy);
}

static int check_document(struct sl_op *op, struct sl_error *err) {
    struct sl_str document = sl_op_in(op, "PolicyDocument");
    int result = sl_iam__policy_check(op, document, false, err);
    if (!result && sl_iam__policy_size(document) > SIZE_MAX_CHARS)
        return sl_fail(err, SL_E_LIMIT_EXCEEDED, "Cannot exceed quota for PolicySize: %d", SIZE_MAX_CHARS);
    return result;
}

static int put_version(struct sl_op *op, struct sl_str arn, uint64_t number, struct sl_error *err) {
    struct sl_json *version = sl_json_new_object(op->arena);
    const struct sl_key key = version_key(op, arn, number);
    sl_json_put_string(op->arena, version, "Document", sl_op_in(op, "PolicyDocument"));
    sl_json_put_int(op->arena, version, "CreateDate", op->now_ms / 1000 * 1000);
    return sl_store_put(op->tx, &key, version, err);
}

int sl_iam__create_policy(struct sl_op *op, struct sl_error *err) {
    struct sl_str name = sl_op_in(op, "PolicyName");
    struct sl_json *policy = sl_json_new_object(op->arena);
    sl_json_put_string(op->arena, policy, "PolicyName", name);
    sl_iam__fill(op, policy, "policy", name, "PolicyId", "ANPA");
    struct sl_str arn = sl_json_string(policy, "Arn");
    const struct sl_key key = policy_key(op, arn);
    if (sl_store_has(op->tx, &key))
        return sl_fail(err, SL_E_ENTITY_EXISTS, "A policy called %.*s already exists. Duplicate names are not allowed.",
                       SL_FMT(name));
    int result = check_document(op, err);
    if (!result) result = sl_iam__add_tags(op, policy, err);
    if (!result) result = put_version(op, arn, 1, err);
    if (result) return result;
    sl_json_put_string(op->arena, policy, "DefaultVersionId", SL_STR("v1"));
    sl_json_put_int(op->arena, policy, "NextVersion", 2);
    if (sl_op_in(op, "Description").ptr)
        sl_json_put_string(op->arena, policy, "Description", sl_op_in(op, "Description"));
    note_default(op, arn, sl_op_in(op, "PolicyDocument"));
    result = save(op, policy, err);
    sl_json_set(op->out, SL_STR("Policy"), shown(op, policy));
    return result;
}

int sl_iam__get_policy(struct sl_op *op, struct sl_error *err) {
    const struct sl_iam__aws_policy *row = find_aws(sl_op_in(op, "PolicyArn"));
    struct sl_json *policy;
    if (row) {
        sl_json_set(op->out, SL_STR("Policy"), shown_aws(op, row));
        return 0;
    }
    if (is_aws(sl_op_in(op, "PolicyArn")))
        return sl_fail(err, SL_E_NO_SUCH_ENTITY, "Policy %.*s was not found.", SL_FMT(sl_op_in(op, "PolicyArn")));
    int result = load(op, &policy, err);
    if (!result) sl_json_set(op->out, SL_STR("Policy"), shown(op, policy));
    return result;
}

static struct sl_json *listed(struct sl_op *op, const struct sl_json *item) {
    const struct sl_json *doc = sl_json_get(item, "doc");
    if (!sl_str_starts(sl_json_string(doc, "Path"), sl_op_in(op, "PathPrefix"))) return NULL;
    struct sl_json *policy = shown(op, doc);
    sl_json_remove(policy, "Description"); // lists leave these out (API reference, ListPolicies)
    sl_json_remove(policy, "Tags");
    bool attached = sl_json_int(policy, "AttachmentCount", 0) > 0;
    return sl_json_bool(op->in, "OnlyAttached", false) && !attached ? NULL : policy;
}

// AWS's own come with the first page, before the customer's.
int sl_iam__list_policies(struct sl_op *op, struct sl_error *err) {
    const struct sl_key key = policy_key(op, SL_STR(""));
    struct sl_str scope = sl_op_in(op, "Scope");
    bool own = !sl_str_is(scope, "AWS"), all = !sl_str_is(scope, "Local"), first = !sl_op_in(op, "Marker").len;
    struct sl_json *list = sl_json_new_array(op->arena);
    for (const struct sl_iam__aws_policy *row = sl_iam__aws_policies; all && first && row->name.len; row++) {
        struct sl_json *policy = shown_aws(op, row);
        bool attached = sl_json_int(policy, "AttachmentCount", 0) > 0;
        if (sl_str_starts(row->path, sl_op_in(op, "PathPrefix")) &&
            (attached || !sl_json_bool(op->in, "OnlyAttached", false)))
            sl_json_push(list, policy);
    }
    sl_json_put_bool(op->arena, op->out, "IsTruncated", false);
    int result = own ? sl_iam__list(op, &key, "Policies", listed, err) : 0;
    const struct sl_json *mine = sl_json_get(op->out, "Policies");
    for (const struct sl_json *at = mine ? mine->first : NULL; at; at = at->next)
        sl_json_push(list, sl_json_copy(op->arena, at));
    sl_json_set(op->out, SL_STR("Policies"), list);
    return result;
}

int sl_iam__delete_policy(struct sl_op *op, struct sl_error *err) {
    struct sl_json *policy;
    int result = load(op, &policy, err);
    if (result) return result;
    struct sl_str arn = sl_json_string(policy, "Arn");
    const struct sl_key key = policy_key(op, arn), versions = version_key(op, arn, 0),
                        uses = sl_iam__key(op, "iam.policy_use", arn, SL_STR(""));
    if (sl_store_count(op->tx, &uses) > 0)
        return sl_fail(err, SL_E_DELETE_CONFLICT, "Cannot delete a policy attached to entities.");
    if (sl_store_count(op->tx, &versions) > 1)
        return sl_fail(err, SL_E_DELETE_CONFLICT,
                       "This policy has more than one version. Before you delete a policy, you must delete the "
                       "policy's versions. The default version is deleted with the policy.");
    result = sl_store_delete_children(op->tx, &versions, err);
    sl_iam__note(op, sl_arena_printf(op->arena, "policy/%.*s", SL_FMT(arn)), (struct sl_str){0});
    return result ? result : sl_store_delete(op->tx, &key, NULL, err);
}

// --- versions
// --------------------------------------------------------------------------------------------------------------------------

static int no_version(struct sl_op *op, struct sl_error *err) {
    return sl_fail(err, SL_E_NO_SUCH_ENTITY, "Policy %.*s version %.*s does not exist or is not attachable.",
                   SL_FMT(sl_op_in(op, "PolicyArn")), SL_FMT(sl_op_in(op, "VersionId")));
}

static bool number_of(struct sl_str id, uint64_t *ret) {
    return sl_str_starts(id, SL_STR("v")) && sl_str_to_u64(sl_str_sub(id, 1, id.len), ret) && *ret > 0;
}

static struct sl_json *shown_version(struct sl_op *op, uint64_t number, const struct sl_json *doc,
                                     struct sl_str current, bool document) {
    struct sl_json *version = sl_json_new_object(op->arena);
    struct sl_str id = sl_arena_printf(op->arena, "v%llu", (unsigned long long)number);
    if (document)
        sl_json_put_string(op->arena, version, "Document", sl_iam__encoded(op, sl_json_string(doc, "Document")));
    sl_json_put_string(op->arena, version, "VersionId", id);
    sl_json_put_bool(op->arena, version, "IsDefaultVersion", sl_str_eq(id, current));
    sl_json_put_int(op->arena, version, "CreateDate", sl_json_int(doc, "CreateDate", 0));
    return version;
}

int sl_iam__create_version(struct sl_op *op, struct sl_error *err) {
    struct sl_json *policy;
    int result = load(op, &policy, err);
    if (!result) result = check_document(op, err);
    if (result) return result;
    struct sl_str arn = sl_json_string(policy, "Arn");
    const struct sl_key versions = version_key(op, arn, 0);
    if (sl_store_count(op->tx, &versions) >= VERSIONS_MAX)
        return sl_fail(
            err, SL_E_LIMIT_EXCEEDED,
            "A managed policy can have up to %d versions. Before you create a new version, you must delete an "
            "existing version.",
            VERSIONS_MAX);
    uint64_t number = (uint64_t)sl_json_int(policy, "NextVersion", 2);
    result = put_version(op, arn, number, err);
    if (result) return result;
    sl_json_put_int(op->arena, policy, "NextVersion", (int64_t)number + 1);
    if (sl_json_bool(op->in, "SetAsDefault", false)) {
        sl_json_put_string(op->arena, policy, "DefaultVersionId",
                           sl_arena_printf(op->arena, "v%llu", (unsigned long long)number));
        note_default(op, arn, sl_op_in(op, "PolicyDocument"));
    }
    struct sl_json *made = sl_json_new_object(op->arena);
    sl_json_put_int(op->arena, made, "CreateDate", op->now_ms / 1000 * 1000);
    sl_json_set(op->out, SL_STR("PolicyVersion"),
                shown_version(op, number, made, sl_json_string(policy, "DefaultVersionId"), false));
    return save(op, policy, err);
}

static int load_version(struct sl_op *op, struct sl_json **ret_policy, uint64_t *ret_number, struct sl_json **ret,
                        struct sl_error *err) {
    int result = load(op, ret_policy, err);
    if (result) return result;
    if (!number_of(sl_op_in(op, "VersionId"), ret_number)) return no_version(op, err);
    const struct sl_key key = version_key(op, sl_op_in(op, "PolicyArn"), *ret_number);
    result = sl_store_get(op->tx, op->arena, &key, ret, err);
    return result == SL_E_NOT_FOUND ? no_version(op, err) : result;
}

int sl_iam__get_version(struct sl_op *op, struct sl_error *err) {
    const struct sl_iam__aws_policy *row = find_aws(sl_op_in(op, "PolicyArn"));
    struct sl_json *policy, *version;
    uint64_t number;
    if (row) {
        if (!sl_str_is(sl_op_in(op, "VersionId"), "v1")) return no_version(op, err);
        version = sl_json_new_object(op->arena);
        sl_json_put_string(op->arena, version, "Document", row->document);
        sl_json_set(op->out, SL_STR("PolicyVersion"), shown_version(op, 1, version, SL_STR("v1"), true));
        return 0;
    }
    int result = load_version(op, &policy, &number, &version, err);
    if (!result)
        sl_json_set(op->out, SL_STR("PolicyVersion"),
                    shown_version(op, number, version, sl_json_string(policy, "DefaultVersionId"), true));
    return result;
}

int sl_iam__list_versions(struct sl_op *op, struct sl_error *err) {
    const struct sl_iam__aws_policy *row = find_aws(sl_op_in(op, "PolicyArn"));
    struct sl_json *policy, *page, *list = sl_json_new_array(op->arena);
    bool more;
    uint64_t number;
    sl_json_put_bool(op->arena, op->out, "IsTruncated", false);
    sl_json_set(op->out, SL_STR("Versions"), list);
    if (row) {
        sl_json_push(list, shown_version(op, 1, NULL, SL_STR("v1"), false));
        return 0;
    }
    int result = load(op, &policy, err);
    if (result) return result;
    const struct sl_key key = version_key(op, sl_op_in(op, "PolicyArn"), 0);
    result = sl_store_list(op->tx, op->arena, &key, SL_STR(""), VERSIONS_MAX, &page, &more, err);
    for (const struct sl_json *item = result ? NULL : page->first; item; item = item->next) {
        if (sl_str_to_u64(sl_json_string(item, "id"), &number))
            sl_json_push(list, shown_version(op, number, sl_json_get(item, "doc"),
                                             sl_json_string(policy, "DefaultVersionId"), false));
    }
    return result;
}

int sl_iam__set_default_version(struct sl_op *op, struct sl_error *err) {
    struct sl_json *policy, *version;
    uint64_t number;
    int result = load_version(op, &policy, &number, &version, err);
    if (result) return result;
    sl_json_put_string(op->arena, policy, "DefaultVersionId",
                       sl_arena_printf(op->arena, "v%llu", (unsigned long long)number));
    note_default(op, sl_op_in(op, "PolicyArn"), sl_json_string(version, "Document"));
    return save(op, policy, err);
}

int sl_iam__delete_version(struct sl_op *op, struct sl_error *err) {
    struct sl_json *policy, *version;
    uint64_t number;
    int result = load_version(op, &policy, &number, &version, err);
    if (result) return result;
    struct sl_str id = sl_arena_printf(op->arena, "v%llu", (unsigned long long)number);
    if (sl_str_eq(id, sl_json_string(policy, "DefaultVersionId")))
        return sl_fail(err, SL_E_DELETE_CONFLICT, "Cannot delete the default version of a policy.");
    const struct sl_key key = version_key(op, sl_op_in(op, "PolicyArn"), number);
    return sl_store_delete(op->tx, &key, NULL, err);
}

// --- who has it, and how many there are
// -------------------------------------------------------------------------------------------------

int sl_iam__entities_of_policy(struct sl_op *op, struct sl_error *err) {
    static const struct {
        const char *prefix, *list, *name, *id, *id_in, *filter;
        enum sl_iam__kind kind;
    } kinds[] = {{"user/", "PolicyUsers", "UserName", "UserId", "UserId", "User", SL_IAM_USER},
                 {"role/", "PolicyRoles", "RoleName", "RoleId", "RoleId", "Role", SL_IAM_ROLE},
                 {"group/", "PolicyGroups", "GroupName", "GroupId", "GroupId", "Group", SL_IAM_GROUP}};
    struct sl_str arn = sl_op_in(op, "PolicyArn"), filter = sl_op_in(op, "EntityFilter");
    const struct sl_key uses = sl_iam__key(op, "iam.policy_use", arn, SL_STR(""));
    struct sl_json *page;
    bool more;
    int result = sl_iam__attachable(op, arn, err);
    if (!result) result = sl_store_list(op->tx, op->arena, &uses, SL_STR(""), 1000, &page, &more, err);
    if (result) return result;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct sl_json *list = sl_json_new_array(op->arena);
        bool wanted = !filter.len || sl_str_is(filter, kinds[i].filter);
        for (const struct sl_json *item = wanted ? page->first : NULL; item; item = item->next) {
            struct sl_str id = sl_json_string(item, "id"), prefix = sl_str_of(kinds[i].prefix);
            struct sl_json *doc, *entry = sl_json_new_object(op->arena);
            if (!sl_str_starts(id, prefix)) continue;
            struct sl_str name = sl_str_sub(id, prefix.len, id.len);
            const struct sl_key key = sl_iam__entity_key(op, kinds[i].kind, name);
            if (sl_store_get(op->tx, op->arena, &key, &doc, NULL)) continue;
            sl_json_put_string(op->arena, entry, kinds[i].name, name);
            sl_json_put_string(op->arena, entry, kinds[i].id, sl_json_string(doc, kinds[i].id_in));
            sl_json_push(list, entry);
        }
        sl_json_set(op->out, sl_str_of(kinds[i].list), list);
    }
    sl_json_put_bool(op->arena, op->out, "IsTruncated", false);
    return 0;
}

int sl_iam__account_summary(struct sl_op *op, struct sl_error *err) {
    static const struct {
        const char *name, *kind;
        int64_t value;
    } rows[] = {{"Users", "iam.user", 0},
                {"UsersQuota", NULL, 5000},
                {"Groups", "iam.group", 0},
                {"GroupsQuota", NULL, 300},
                {"Roles", "iam.role", 0},
                {"RolesQuota", NULL, 1000},
                {"Policies", "iam.policy", 0},
                {"PoliciesQuota", NULL, 1500},
                {"AccessKeysPerUserQuota", NULL, 2},
                {"GroupsPerUserQuota", NULL, 10},
                {"AttachedPoliciesPerUserQuota", NULL, 10},
                {"AttachedPoliciesPerRoleQuota", NULL, 10},
                {"AttachedPoliciesPerGroupQuota", NULL, 10},
                {"PolicySizeQuota", NULL, SIZE_MAX_CHARS},
                {"VersionsPerPolicyQuota", NULL, VERSIONS_MAX},
                {"UserPolicySizeQuota", NULL, 2048},
                {"GroupPolicySizeQuota", NULL, 5120},
                {"AssumeRolePolicySizeQuota", NULL, 2048}};
    struct sl_json *map = sl_json_new_object(op->arena);
    const struct sl_key root = sl_iam__key(op, "iam.key", SL_STR(""), SL_STR(""));
    (void)err;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct sl_key key = sl_iam__key(op, rows[i].kind ? rows[i].kind : "", SL_STR(""), SL_STR(""));
        sl_json_put_int(op->arena, map, rows[i].name, rows[i].kind ? sl_store_count(op->tx, &key) : rows[i].value);
    }
    sl_json_put_int(op->arena, map, "AccountAccessKeysPresent", sl_store_count(op->tx, &root) > 0);
    sl_json_set(op->out, SL_STR("SummaryMap"), map);
    return 0;
}
