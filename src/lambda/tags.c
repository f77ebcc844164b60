// SPDX-License-Identifier: Apache-2.0
//
// tags: TagResource, UntagResource, ListTags. Tags live in the document of what they are on ("_tags"): a function, an
// event source mapping, a code signing configuration, a layer. On a function they change its RevisionId [AWS,
// test_tag_lifecycle].
#include "lambda/code_signing.h"
#include "lambda/layer.h"

struct tagged {
    struct sl_key key;
    struct sl_json *document;
    bool function;
};

static int load(struct sl_op *op, struct tagged *ret, struct sl_error *err) {
    return sl_store_get(op->tx, op->arena, &ret->key, &ret->document, err);
}

static int load_function(struct sl_op *op, const struct sl_arn *arn, struct sl_str resource, struct tagged *ret,
                         struct sl_error *err) {
    struct sl_function_ref ref;
    if (!sl_function_ref_parse(resource, &ref))
        return sl_fail(err, SL_E_INVALID_PARAMETER, "An error occurred and the request cannot be processed.");
    if (ref.qualifier.len > 0)
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "Tags on function aliases and versions are not supported. Please specify a function ARN.");
    ret->key = sl_lambda__function_key(op, ref.name);
    ret->function = true;
    bool mine = sl_str_eq(arn->region, op->region) && sl_str_eq(arn->account, op->account);
    int result = mine ? load(op, ret, err) : SL_E_NOT_FOUND;
    if (result == SL_E_NOT_FOUND)
        return sl_fail(err, SL_E_RESOURCE_NOT_FOUND, "Function not found: %.*s", SL_FMT(resource));
    return result;
}

static int load_other(struct sl_op *op, struct sl_str kind, struct sl_str id, bool mine, struct sl_str resource,
                      struct tagged *ret, struct sl_error *err) {
    int result = SL_E_NOT_FOUND;
    if (sl_str_is(kind, "code-signing-config"))
        return sl_lambda__signing_load(op, resource, &ret->key, &ret->document, err);
    if (sl_str_is(kind, "capacity-provider"))
        return sl_fail(err, SL_E_RESOURCE_NOT_FOUND, "Capacity provider not found: %.*s", SL_FMT(resource));
    bool mapping = sl_str_is(kind, "event-source-mapping");
    ret->key = mapping ? sl_lambda__event_source_key(op, id) : sl_lambda__layer_key(op, id);
    if (mine) result = load(op, ret, err);
    if (result != SL_E_NOT_FOUND) return result;
    return mapping ? sl_fail(err, SL_E_RESOURCE_NOT_FOUND, "Event source mapping not found: %.*s", SL_FMT(resource))
                   : sl_fail(err, SL_E_RESOURCE_NOT_FOUND, "The resource you requested does not exist.");
}

// "function:name", "function:name:qualifier", or another kind of resource; the model's pattern leaves no others.
static int find(struct sl_op *op, struct tagged *ret, struct sl_error *err) {
    struct sl_str resource = sl_op_in(op, "Resource");
    struct sl_arn arn;
    *ret = (struct tagged){0};
    if (!sl_arn_parse(resource, &arn))
        return sl_fail(err, SL_E_INVALID_PARAMETER, "An error occurred and the request cannot be processed.");
    ptrdiff_t colon = sl_str_chr(arn.resource, ':', 0);
    struct sl_str kind = colon < 0 ? arn.resource : sl_str_sub(arn.resource, 0, (size_t)colon);
    struct sl_str id = colon < 0 ? SL_STR("") : sl_str_sub(arn.resource, (size_t)colon + 1, arn.resource.len);
    if (sl_str_is(kind, "function")) return load_function(op, &arn, resource, ret, err);
    bool mine = sl_str_eq(arn.region, op->region) && sl_str_eq(arn.account, op->account);
    return load_other(op, kind, id, mine, resource, ret, err);
}

static int save(struct sl_op *op, const struct tagged *tagged, struct sl_error *err) {
    if (tagged->function) sl_lambda__new_revision(op, tagged->document);
    int result = sl_store_put(op->tx, &tagged->key, tagged->document, err);
    if (result != 0 || !tagged->function) return result;
    return sl_lambda__stage_all(op, tagged->document, err); // some tags are settings (publish.c)
}

int sl_lambda__tag(struct sl_op *op, struct sl_error *err) {
    struct tagged tagged;
    const struct sl_json *given = sl_json_get(op->in, "Tags");
    int result = find(op, &tagged, err);
    if (result != 0) return result;
    if (!given || given->count == 0)
        return sl_fail(err, SL_E_INVALID_PARAMETER, "An error occurred and the request cannot be processed.");
    struct sl_json *tags = sl_json_get(tagged.document, "_tags");
    if (!tags) tags = sl_json_set(tagged.document, SL_STR("_tags"), sl_json_new_object(op->arena));
    for (const struct sl_json *tag = given->first; tag; tag = tag->next)
        sl_json_set(tags, tag->key, sl_json_new_string(op->arena, tag->text));
    if (tags && tags->count > SL_LAMBDA_TAGS_MAX)
        return sl_fail(err, SL_E_INVALID_PARAMETER, "Number of tags exceeds resource tag limit.");
    return save(op, &tagged, err);
}

int sl_lambda__untag(struct sl_op *op, struct sl_error *err) {
    struct tagged tagged;
    int result = find(op, &tagged, err);
    if (result != 0) return result;
    const struct sl_json *keys = sl_json_get(op->in, "TagKeys");
    for (const struct sl_json *key = keys ? keys->first : NULL; key; key = key->next) {
        char *name = sl_arena_cstr(op->arena, key->text);
        if (name) sl_json_remove(sl_json_get(tagged.document, "_tags"), name);
    }
    return save(op, &tagged, err);
}

int sl_lambda__list_tags(struct sl_op *op, struct sl_error *err) {
    struct tagged tagged;
    int result = find(op, &tagged, err);
    if (result != 0) return result;
    const struct sl_json *tags = sl_json_get(tagged.document, "_tags");
    sl_json_set(op->out, SL_STR("Tags"), tags ? sl_json_copy(op->arena, tags) : sl_json_new_object(op->arena));
    return 0;
}
