// SPDX-License-Identifier: Apache-2.0
//
// tags: TagResource, UntagResource, GetTags for APIs and stages: arn:aws:apigateway:REGION::/apis/ID and
// .../apis/ID/stages/NAME.
#include "gateway/control.h"

#include "aws/arn.h"

struct tagged {
    const char *kind;
    struct sl_str parent, id;
    struct sl_json *document;
};

static int load(struct sl_op *op, struct tagged *ret, struct sl_error *err) {
    struct sl_str text = sl_op_in(op, "ResourceArn"), part[5] = {0};
    struct sl_arn arn;
    if (!sl_arn_parse(text, &arn) || !sl_str_is(arn.service, "apigateway") ||
        !sl_str_starts(arn.resource, SL_STR("/apis/")))
        return sl_fail(err, SL_E_BAD_REQUEST, "Invalid resource ARN specified: %.*s", SL_FMT(sl_str_sub(text, 0, 512)));
    struct sl_str rest = arn.resource;
    unsigned count = 0;
    while (count < 5 && sl_str_split(&rest, '/', &part[count])) count++; // "", "apis", id [, "stages", name]
    bool stage = count == 5 && sl_str_is(part[3], "stages");
    if (rest.ptr && rest.len > 0) stage = false, count = 0;
    if (count != 3 && !stage)
        return sl_fail(err, SL_E_BAD_REQUEST, "Invalid resource ARN specified: %.*s", SL_FMT(sl_str_sub(text, 0, 512)));
    *ret =
        (struct tagged){stage ? SL_GW_STAGE : SL_GW_API, stage ? part[2] : SL_STR(""), stage ? part[4] : part[2], NULL};
    if (stage) return sl_gateway__get(op, ret->kind, ret->parent, ret->id, "stage", &ret->document, err);
    struct sl_key key = sl_gateway__key(op, ret->kind, ret->parent, ret->id);
    if (sl_store_get(op->tx, op->arena, &key, &ret->document, err) == 0) return 0;
    return err->kind != SL_E_NOT_FOUND ? sl_gateway__failed(err)
                                       : sl_fail(err, SL_E_NOT_FOUND, "Invalid API identifier specified %.*s:%.*s",
                                                 SL_FMT(op->account), SL_FMT(ret->id));
}

static struct sl_json *tags_of(struct sl_op *op, struct sl_json *document) {
    struct sl_json *tags = sl_json_get(document, "Tags");
    return tags ? tags : sl_json_set(document, SL_STR("Tags"), sl_json_new_object(op->arena));
}

int sl_gateway__tag(struct sl_op *op, struct sl_error *err) {
    struct tagged at = {0};
    if (load(op, &at, err)) return sl_gateway__failed(err);
    struct sl_json *tags = tags_of(op, at.document), *given = sl_json_get(op->in, "Tags");
    if (sl_gateway__tags_check(given, 0, err)) return sl_gateway__failed(err);
    for (const struct sl_json *node = given ? given->first : NULL; node; node = node->next)
        sl_json_set(tags, node->key, sl_json_copy(op->arena, node));
    if (sl_gateway__tags_check(tags, 0, err)) return sl_gateway__failed(err);
    return sl_gateway__put(op, at.kind, at.parent, at.id, at.document, err);
}

int sl_gateway__untag(struct sl_op *op, struct sl_error *err) {
    struct tagged at = {0};
    if (load(op, &at, err)) return sl_gateway__failed(err);
    const struct sl_json *keys = sl_json_get(op->in, "TagKeys");
    for (const struct sl_json *node = keys ? keys->first : NULL; node; node = node->next) {
        char *key = sl_arena_cstr(op->arena, node->text);
        if (key) sl_json_remove(tags_of(op, at.document), key);
    }
    return sl_gateway__put(op, at.kind, at.parent, at.id, at.document, err);
}

int sl_gateway__get_tags(struct sl_op *op, struct sl_error *err) {
    struct tagged at = {0};
    if (load(op, &at, err)) return sl_gateway__failed(err);
    sl_json_set(op->out, SL_STR("Tags"), sl_json_copy(op->arena, tags_of(op, at.document)));
    return 0;
}
