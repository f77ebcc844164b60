// SPDX-License-Identifier: Apache-2.0
//
// tags: TagResource, UntagResource, ListTags. Tags live in the function's document ("_tags"). The resources that can be
// tagged are, besides functions, things this server does not keep yet: they do not exist.
#include "lambda/internal.h"

// "function:name", "function:name:qualifier", or another kind of resource.
static int tagged_function(struct sl_op *op, struct sl_json **ret, struct sl_error *err) {
    struct sl_str resource = sl_op_in(op, "Resource");
    struct sl_arn arn;
    struct sl_function_ref ref;
    if (!sl_arn_parse(resource, &arn))
        return sl_fail(err, SL_E_INVALID_PARAMETER, "An error occurred and the request cannot be processed.");
    struct sl_str kind = sl_str_sub(
        arn.resource, 0, (size_t)(sl_str_chr(arn.resource, ':', 0) < 0 ? 0 : sl_str_chr(arn.resource, ':', 0)));
    if (sl_str_is(kind, "event-source-mapping"))
        return sl_fail(err, SL_E_RESOURCE_NOT_FOUND, "Event source mapping not found: %.*s", SL_FMT(resource));
    if (sl_str_is(kind, "capacity-provider"))
        return sl_fail(err, SL_E_RESOURCE_NOT_FOUND, "Capacity provider not found: %.*s", SL_FMT(resource));
    if (sl_str_is(kind, "code-signing-config"))
        return sl_fail(err, SL_E_RESOURCE_NOT_FOUND, "The Lambda code signing configuration %.*s can not be found.",
                       SL_FMT(resource));
    if (sl_str_is(kind, "layer"))
        return sl_fail(err, SL_E_RESOURCE_NOT_FOUND, "The resource you requested does not exist.");
    if (!sl_function_ref_parse(resource, &ref))
        return sl_fail(err, SL_E_INVALID_PARAMETER, "An error occurred and the request cannot be processed.");
    if (ref.qualifier.len > 0)
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "Tags on function aliases and versions are not supported. Please specify a function ARN.");
    const struct sl_key key = sl_lambda__function_key(op, ref.name);
    int result = SL_E_NOT_FOUND;
    if (sl_str_eq(arn.region, op->region) && sl_str_eq(arn.account, op->account))
        result = sl_store_get(op->tx, op->arena, &key, ret, err);
    if (result == SL_E_NOT_FOUND)
        return sl_fail(err, SL_E_RESOURCE_NOT_FOUND, "Function not found: %.*s", SL_FMT(resource));
    return result;
}

static int save(struct sl_op *op, const struct sl_json *document, struct sl_error *err) {
    const struct sl_key key = sl_lambda__function_key(op, sl_json_string(document, "FunctionName"));
    return sl_store_put(op->tx, &key, document, err);
}

int sl_lambda__tag(struct sl_op *op, struct sl_error *err) {
    struct sl_json *document;
    int result = tagged_function(op, &document, err);
    if (result != 0) return result;
    struct sl_json *tags = sl_json_get(document, "_tags");
    if (!tags) tags = sl_json_set(document, SL_STR("_tags"), sl_json_new_object(op->arena));
    const struct sl_json *given = sl_json_get(op->in, "Tags");
    for (const struct sl_json *tag = given ? given->first : NULL; tag; tag = tag->next)
        sl_json_set(tags, tag->key, sl_json_new_string(op->arena, tag->text));
    if (tags && tags->count > SL_LAMBDA_TAGS_MAX)
        return sl_fail(err, SL_E_INVALID_PARAMETER, "Number of tags exceeds resource tag limit.");
    return save(op, document, err);
}

int sl_lambda__untag(struct sl_op *op, struct sl_error *err) {
    struct sl_json *document;
    int result = tagged_function(op, &document, err);
    if (result != 0) return result;
    const struct sl_json *keys = sl_json_get(op->in, "TagKeys");
    for (const struct sl_json *key = keys ? keys->first : NULL; key; key = key->next) {
        char *name = sl_arena_cstr(op->arena, key->text);
        if (name) sl_json_remove(sl_json_get(document, "_tags"), name);
    }
    return save(op, document, err);
}

int sl_lambda__list_tags(struct sl_op *op, struct sl_error *err) {
    struct sl_json *document;
    int result = tagged_function(op, &document, err);
    if (result != 0) return result;
    const struct sl_json *tags = sl_json_get(document, "_tags");
    sl_json_set(op->out, SL_STR("Tags"), tags ? sl_json_copy(op->arena, tags) : sl_json_new_object(op->arena));
    return 0;
}
