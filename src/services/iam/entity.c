// SPDX-License-Identifier: Apache-2.0
//
// entity: what users, roles and groups have in common: keys, ids, paging, boundaries, tags.
#include "services/iam/internal.h"

#include "aws/page.h"
#include "base/encoding.h"

enum { TAGS_MAX = 50 };

static const struct {
    const char *word, *member, *entity, *inlined, *attached;
} kinds[] = {
    [SL_IAM_USER] = {"user", "UserName", "iam.user", "iam.user_policy", "iam.user_attachment"},
    [SL_IAM_ROLE] = {"role", "RoleName", "iam.role", "iam.role_policy", "iam.role_attachment"},
    [SL_IAM_GROUP] = {"group", "GroupName", "iam.group", "iam.group_policy", "iam.group_attachment"},
};

const char *sl_iam__word(enum sl_iam__kind kind) { return kinds[kind].word; }

// --- keys
// ------------------------------------------------------------------------------------------------------------------------------

struct sl_key sl_iam__key(struct sl_op *op, const char *kind, struct sl_str parent, struct sl_str id) {
    return (struct sl_key){.kind = kind, .account = op->account, .region = SL_STR(""), .parent = parent, .id = id};
}

struct sl_key sl_iam__entity_key(struct sl_op *op, enum sl_iam__kind kind, struct sl_str name) {
    return sl_iam__key(op, kinds[kind].entity, SL_STR(""), name);
}

struct sl_key sl_iam__inline_key(struct sl_op *op, const struct sl_iam__holder *holder, struct sl_str policy) {
    return sl_iam__key(op, kinds[holder->kind].inlined, holder->name, policy);
}

struct sl_key sl_iam__attachment_key(struct sl_op *op, const struct sl_iam__holder *holder, struct sl_str policy_arn) {
    return sl_iam__key(op, kinds[holder->kind].attached, holder->name, policy_arn);
}

// --- reading and writing
// ---------------------------------------------------------------------------------------------------------------

int sl_iam__load(struct sl_op *op, enum sl_iam__kind kind, struct sl_iam__holder *ret, struct sl_error *err) {
    *ret = (struct sl_iam__holder){.kind = kind, .name = sl_op_in(op, kinds[kind].member)};
    const struct sl_key key = sl_iam__entity_key(op, kind, ret->name);
    int result = sl_store_get(op->tx, op->arena, &key, &ret->doc, err);
    if (result == SL_E_NOT_FOUND)
        return sl_fail(err, SL_E_NO_SUCH_ENTITY, "The %s with name %.*s cannot be found.", kinds[kind].word,
                       SL_FMT(ret->name));
    return result;
}

int sl_iam__load_named(struct sl_op *op, struct sl_iam__holder *ret, struct sl_error *err) {
    bool role = sl_str_find(op->model->name, SL_STR("Role")) >= 0;
    bool group = sl_str_find(op->model->name, SL_STR("Group")) >= 0;
    return sl_iam__load(op, role ? SL_IAM_ROLE : group ? SL_IAM_GROUP : SL_IAM_USER, ret, err);
}

int sl_iam__save(struct sl_op *op, const struct sl_iam__holder *holder, struct sl_error *err) {
    const struct sl_key key = sl_iam__entity_key(op, holder->kind, holder->name);
    int result = sl_store_put(op->tx, &key, holder->doc, err);
    return result ? result : sl_iam__note_holder(op, holder, err);
}

// Paths of IAM begin and end with '/' (the model's pattern), so path and name make the ARN by joining.
void sl_iam__fill(struct sl_op *op, struct sl_json *doc, const char *word, struct sl_str name, const char *id_member,
                  const char *prefix) {
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    struct sl_str path = sl_op_in(op, "Path");
    char id[22];
    unsigned char random[17];
    sl_random_bytes(random, sizeof(random));
    memcpy(id, prefix, 4);
    for (size_t i = 0; i < sizeof(random); i++) id[4 + i] = alphabet[random[i] & 31];
    id[21] = '\0';
    path = path.len > 0 ? path : SL_STR("/");
    sl_json_put_string(op->arena, doc, "Path", path);
    sl_json_put_string(op->arena, doc, id_member, sl_arena_dup(op->arena, sl_str_of(id)));
    sl_json_put_string(op->arena, doc, "Arn",
                       sl_arena_printf(op->arena, "arn:%.*s:iam::%.*s:%s%.*s%.*s", SL_FMT(op->partition),
                                       SL_FMT(op->account), word, SL_FMT(path), SL_FMT(name)));
    sl_json_put_int(op->arena, doc, "CreateDate", op->now_ms / 1000 * 1000);
}

int sl_iam__check_bare(struct sl_op *op, const struct sl_iam__holder *holder, struct sl_error *err) {
    const struct sl_key policies = sl_iam__inline_key(op, holder, SL_STR("")),
                        attachments = sl_iam__attachment_key(op, holder, SL_STR(""));
    if (sl_store_count(op->tx, &attachments) > 0)
        return sl_fail(err, SL_E_DELETE_CONFLICT, "Cannot delete entity, must detach all policies first.");
    if (sl_store_count(op->tx, &policies) > 0)
        return sl_fail(err, SL_E_DELETE_CONFLICT, "Cannot delete entity, must delete policies first.");
    return 0;
}

struct sl_str sl_iam__encoded(struct sl_op *op, struct sl_str document) {
    struct sl_buf text;
    sl_buf_init(&text, 1u << 20);
    sl_percent_encode(&text, document, false);
    struct sl_str copy = sl_arena_dup(op->arena, sl_buf_view(&text));
    sl_buf_free(&text);
    return copy;
}

// --- lists
// -----------------------------------------------------------------------------------------------------------------------------

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

// Pages are full although some documents are left out, so a page may take several readings.
int sl_iam__list(struct sl_op *op, const struct sl_key *key, const char *member,
                 struct sl_json *(*shown)(struct sl_op *op, const struct sl_json *item), struct sl_error *err) {
    struct sl_str after, scope = sl_page_scope(op, key->parent);
    struct sl_json *list = sl_json_new_array(op->arena), *page;
    unsigned limit;
    bool more = true;
    int result = sl_iam__page_in(op, scope, &after, &limit, err);
    while (result == 0 && more && list && list->count < limit) {
        result = sl_store_list(op->tx, op->arena, key, after, limit, &page, &more, err);
        for (const struct sl_json *item = result == 0 ? page->first : NULL; item; item = item->next) {
            if (list->count == limit) {
                more = true;
                break;
            }
            after = sl_json_string(item, "id");
            struct sl_json *one = shown(op, item);
            if (one) sl_json_push(list, one);
        }
    }
    sl_json_set(op->out, sl_str_of(member), list);
    sl_iam__page_out(op, scope, after, more);
    return result;
}

// --- boundaries and tags
// ---------------------------------------------------------------------------------------------------------------

void sl_iam__set_boundary(struct sl_op *op, struct sl_json *doc, struct sl_str arn) {
    struct sl_json *shown = sl_json_new_object(op->arena);
    sl_json_put_string(op->arena, shown, "PermissionsBoundaryType", SL_STR("Policy"));
    sl_json_put_string(op->arena, shown, "PermissionsBoundaryArn", arn);
    sl_json_set(doc, SL_STR("PermissionsBoundary"), shown);
}

int sl_iam__put_boundary(struct sl_op *op, struct sl_error *err) {
    struct sl_iam__holder holder;
    struct sl_str arn = sl_op_in(op, "PermissionsBoundary");
    int result = sl_iam__load_named(op, &holder, err);
    if (!result) result = sl_iam__attachable(op, arn, err);
    if (result) return result;
    sl_iam__set_boundary(op, holder.doc, arn);
    return sl_iam__save(op, &holder, err);
}

int sl_iam__delete_boundary(struct sl_op *op, struct sl_error *err) {
    struct sl_iam__holder holder;
    int result = sl_iam__load_named(op, &holder, err);
    if (result) return result;
    if (!sl_json_remove(holder.doc, "PermissionsBoundary"))
        return sl_fail(err, SL_E_NO_SUCH_ENTITY, "The %s with name %.*s has no permissions boundary.",
                       kinds[holder.kind].word, SL_FMT(holder.name));
    return sl_iam__save(op, &holder, err);
}

static struct sl_json *tag_of(const struct sl_json *tags, struct sl_str key) {
    for (struct sl_json *at = tags ? tags->first : NULL; at; at = at->next)
        if (sl_str_eq(sl_json_string(at, "Key"), key)) return at;
    return NULL;
}

int sl_iam__add_tags(struct sl_op *op, struct sl_json *doc, struct sl_error *err) {
    const struct sl_json *added = sl_json_get(op->in, "Tags");
    struct sl_json *tags = sl_json_get(doc, "Tags");
    if (!added || added->count == 0) return 0;
    if (!tags) tags = sl_json_set(doc, SL_STR("Tags"), sl_json_new_array(op->arena));
    for (const struct sl_json *at = added->first; at; at = at->next) {
        struct sl_json *old = tag_of(tags, sl_json_string(at, "Key"));
        if (old)
            sl_json_put_string(op->arena, old, "Value", sl_json_string(at, "Value"));
        else
            sl_json_push(tags, sl_json_copy(op->arena, at));
    }
    return tags && tags->count > TAGS_MAX
               ? sl_fail(err, SL_E_LIMIT_EXCEEDED, "Cannot exceed quota for TagsPerEntity: %d", TAGS_MAX)
               : 0;
}

int sl_iam__tag(struct sl_op *op, struct sl_error *err) {
    struct sl_iam__holder holder;
    int result = sl_iam__load_named(op, &holder, err);
    if (!result) result = sl_iam__add_tags(op, holder.doc, err);
    return result ? result : sl_iam__save(op, &holder, err);
}

int sl_iam__untag(struct sl_op *op, struct sl_error *err) {
    struct sl_iam__holder holder;
    struct sl_json *kept = sl_json_new_array(op->arena);
    int result = sl_iam__load_named(op, &holder, err);
    if (result) return result;
    const struct sl_json *tags = sl_json_get(holder.doc, "Tags"), *keys = sl_json_get(op->in, "TagKeys");
    for (const struct sl_json *at = tags ? tags->first : NULL; at; at = at->next) {
        bool goes = false;
        for (const struct sl_json *key = keys ? keys->first : NULL; key && !goes; key = key->next)
            goes = sl_str_eq(key->text, sl_json_string(at, "Key"));
        if (!goes) sl_json_push(kept, sl_json_copy(op->arena, at));
    }
    sl_json_remove(holder.doc, "Tags");
    if (kept && kept->count) sl_json_set(holder.doc, SL_STR("Tags"), kept);
    return sl_iam__save(op, &holder, err);
}

int sl_iam__list_tags(struct sl_op *op, struct sl_error *err) {
    struct sl_iam__holder holder;
    int result = sl_iam__load_named(op, &holder, err);
    if (result) return result;
    const struct sl_json *tags = sl_json_get(holder.doc, "Tags");
    sl_json_set(op->out, SL_STR("Tags"), tags ? sl_json_copy(op->arena, tags) : sl_json_new_array(op->arena));
    sl_json_put_bool(op->arena, op->out, "IsTruncated", false);
    return 0;
}
