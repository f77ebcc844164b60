// SPDX-License-Identifier: Apache-2.0
//
// alias: CreateAlias, GetAlias, UpdateAlias, DeleteAlias, ListAliases. An alias is a document in the shape that the API
// answers (AliasConfiguration); who invokes through it meets invoke/alias.h, which publish.c fills.
//
// The answers differ in how they miss an alias: reading says "Cannot find alias arn", updating "Alias not found",
// deleting succeeds [AWS, test_notfound_and_invalid_routingconfigs, test_non_existent_alias_*].
#include "lambda/internal.h"

#include "aws/page.h"

static const struct sl_json *weights_of(const struct sl_json *holder) {
    const struct sl_json *weights = sl_json_get(sl_json_get(holder, "RoutingConfig"), "AdditionalVersionWeights");
    return weights && weights->count > 0 ? weights : NULL;
}

static struct sl_str alias_arn(struct sl_op *op, const struct sl_lambda__target *target) {
    return sl_lambda__qualified_arn(op, target, sl_op_in(op, "Name"));
}

int sl_lambda__load_alias(struct sl_op *op, struct sl_str name, struct sl_str alias, struct sl_json **ret,
                          struct sl_error *err) {
    const struct sl_key key = sl_lambda__alias_key(op, name, alias);
    *ret = NULL;
    int result = sl_store_get(op->tx, op->arena, &key, ret, err);
    return result == SL_E_NOT_FOUND ? 0 : result;
}

// 404 with the version in the text, also when it is the function that is missing [AWS].
static int check_version(struct sl_op *op, const struct sl_lambda__target *target, struct sl_str version,
                         struct sl_error *err) {
    const struct sl_key function = sl_lambda__function_key(op, target->name);
    const struct sl_key key = sl_lambda__version_key(op, target->name, version);
    bool there = sl_store_has(op->tx, &function) && (sl_str_is(version, "$LATEST") || sl_store_has(op->tx, &key));
    return there ? 0 : sl_lambda__not_found(op, target, version, err);
}

// What the model cannot say about the two versions.
static int check_routing(struct sl_op *op, const struct sl_lambda__target *target, const struct sl_json *weights,
                         struct sl_str version, struct sl_error *err) {
    if (!weights) return 0;
    if (weights->count > 1)
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "Number of items in AdditionalVersionWeights cannot be greater than 1");
    if (sl_str_is(version, "$LATEST"))
        return sl_lambda__fail_untyped(op, err, SL_E_INVALID_PARAMETER,
                                       "$LATEST is not supported for an alias pointing to more than 1 version");
    if (sl_str_eq(weights->first->key, version))
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "Invalid function version %.*s. Function version %.*s is already included in routing "
                       "configuration.",
                       SL_FMT(version), SL_FMT(version));
    return check_version(op, target, weights->first->key, err);
}

// Writes the members of the request; an empty RoutingConfig takes the second version away.
static void apply(struct sl_op *op, struct sl_json *alias) {
    struct sl_str version = sl_op_in(op, "FunctionVersion"), description = sl_op_in(op, "Description");
    if (version.ptr) sl_lambda__put(op, alias, "FunctionVersion", version);
    if (description.ptr) sl_lambda__put(op, alias, "Description", description);
    if (weights_of(op->in))
        sl_json_set(alias, SL_STR("RoutingConfig"), sl_json_copy(op->arena, sl_json_get(op->in, "RoutingConfig")));
    else if (sl_json_get(op->in, "RoutingConfig"))
        sl_json_remove(alias, "RoutingConfig");
}

// Provisioned concurrency goes where the alias goes.
static int move_provisioned(struct sl_op *op, const struct sl_lambda__target *target, struct sl_error *err) {
    const struct sl_key key = sl_lambda__provisioned_key(op, target->name, sl_op_in(op, "Name"));
    struct sl_json *latest;
    if (!sl_store_has(op->tx, &key)) return 0;
    int result = sl_lambda__load(op, target, &latest, err);
    return result == 0 ? sl_lambda__stage_all(op, latest, err) : result;
}

static int save(struct sl_op *op, const struct sl_lambda__target *target, struct sl_json *alias, struct sl_error *err) {
    const struct sl_key key = sl_lambda__alias_key(op, target->name, sl_op_in(op, "Name"));
    sl_lambda__new_revision(op, alias);
    op->out = alias;
    int result = sl_store_put(op->tx, &key, alias, err);
    if (result == 0) result = sl_lambda__stage_alias(op, target->name, sl_op_in(op, "Name"), err);
    return result == 0 ? move_provisioned(op, target, err) : result;
}

int sl_lambda__create_alias(struct sl_op *op, struct sl_error *err) {
    struct sl_lambda__target target;
    struct sl_json *alias;
    struct sl_str version = sl_op_in(op, "FunctionVersion");
    int result = sl_lambda__target_unqualified(op, &target, err);
    if (result == 0) result = check_version(op, &target, version, err);
    if (result == 0) result = check_routing(op, &target, weights_of(op->in), version, err);
    if (result == 0) result = sl_lambda__load_alias(op, target.name, sl_op_in(op, "Name"), &alias, err);
    if (result != 0) return result;
    if (alias)
        return sl_fail(err, SL_E_RESOURCE_CONFLICT, "Alias already exists: %.*s", SL_FMT(alias_arn(op, &target)));
    alias = sl_json_new_object(op->arena);
    sl_lambda__put(op, alias, "AliasArn", alias_arn(op, &target));
    sl_lambda__put(op, alias, "Name", sl_op_in(op, "Name"));
    sl_lambda__put(op, alias, "Description", SL_STR(""));
    apply(op, alias);
    return save(op, &target, alias, err);
}

int sl_lambda__get_alias(struct sl_op *op, struct sl_error *err) {
    struct sl_lambda__target target;
    struct sl_json *alias;
    int result = sl_lambda__target_unqualified(op, &target, err);
    if (result == 0) result = sl_lambda__load_alias(op, target.name, sl_op_in(op, "Name"), &alias, err);
    if (result != 0) return result;
    if (!alias)
        return sl_fail(err, SL_E_RESOURCE_NOT_FOUND, "Cannot find alias arn: %.*s", SL_FMT(alias_arn(op, &target)));
    op->out = alias;
    return 0;
}

int sl_lambda__update_alias(struct sl_op *op, struct sl_error *err) {
    struct sl_lambda__target target;
    struct sl_json *alias;
    int result = sl_lambda__target_unqualified(op, &target, err);
    if (result == 0) result = sl_lambda__load_alias(op, target.name, sl_op_in(op, "Name"), &alias, err);
    if (result != 0) return result;
    if (!alias) return sl_fail(err, SL_E_RESOURCE_NOT_FOUND, "Alias not found: %.*s", SL_FMT(alias_arn(op, &target)));
    result = sl_lambda__check_revision(op, alias, err);
    if (result != 0) return result;
    apply(op, alias);
    struct sl_str version = sl_json_string(alias, "FunctionVersion");
    result = check_version(op, &target, version, err);
    if (result == 0) result = check_routing(op, &target, weights_of(alias), version, err);
    return result == 0 ? save(op, &target, alias, err) : result;
}

// What hangs on an alias goes with it.
int sl_lambda__delete_alias(struct sl_op *op, struct sl_error *err) {
    struct sl_lambda__target target;
    struct sl_str name = sl_op_in(op, "Name");
    int result = sl_lambda__target_unqualified(op, &target, err);
    if (result != 0) return result;
    const struct sl_key keys[] = {
        sl_lambda__alias_key(op, target.name, name),       sl_lambda__policy_key(op, target.name, name),
        sl_lambda__url_key(op, target.name, name),         sl_lambda__event_config_key(op, target.name, name),
        sl_lambda__provisioned_key(op, target.name, name),
    };
    bool provisioned = sl_store_has(op->tx, &keys[4]);
    struct sl_json *latest = NULL;
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]) && result == 0; i++)
        result = sl_store_delete(op->tx, &keys[i], NULL, err);
    if (result == 0) sl_lambda__stage_alias_removal(op, target.name, name);
    if (result == 0 && provisioned) result = sl_lambda__load(op, &target, &latest, err);
    if (result == 0 && provisioned) result = sl_lambda__stage_all(op, latest, err);
    return result;
}

int sl_lambda__list_aliases(struct sl_op *op, struct sl_error *err) {
    struct sl_lambda__target target;
    struct sl_json *latest, *page, *aliases = sl_json_new_array(op->arena);
    struct sl_str marker = sl_op_in(op, "Marker"), after = SL_STR(""), version = sl_op_in(op, "FunctionVersion");
    unsigned limit = (unsigned)sl_json_int(op->in, "MaxItems", SL_LAMBDA_LIST_MAX);
    int result = sl_lambda__target_unqualified(op, &target, err);
    if (result == 0) result = sl_lambda__load(op, &target, &latest, err);
    if (result != 0) return result;
    if (limit > SL_LAMBDA_LIST_MAX) limit = SL_LAMBDA_LIST_MAX;
    struct sl_str scope = sl_page_scope(op, target.name);
    if (marker.len > 0 && !sl_page_open(op->arena, scope, marker, &after))
        return sl_fail(err, SL_E_INVALID_PARAMETER, "Invalid marker");
    const struct sl_key key = sl_lambda__alias_key(op, target.name, SL_STR(""));
    bool more = true;
    while (result == 0 && more && aliases && aliases->count < limit) {
        result = sl_store_list(op->tx, op->arena, &key, after, (unsigned)(limit - aliases->count), &page, &more, err);
        for (const struct sl_json *item = result == 0 ? page->first : NULL; item; item = item->next) {
            const struct sl_json *alias = sl_json_get(item, "doc");
            after = sl_json_string(item, "id");
            if (version.len == 0 || sl_str_eq(version, sl_json_string(alias, "FunctionVersion")))
                sl_json_push(aliases, sl_json_copy(op->arena, alias));
        }
    }
    sl_json_set(op->out, SL_STR("Aliases"), aliases);
    if (result == 0 && more) sl_op_out(op, "NextMarker", sl_page_token(op->arena, scope, after));
    return result;
}

int sl_lambda__check_unaliased(struct sl_op *op, struct sl_str name, struct sl_str version, struct sl_error *err) {
    struct sl_str found = {NULL, 0}, after = SL_STR("");
    const struct sl_key key = sl_lambda__alias_key(op, name, SL_STR(""));
    struct sl_json *page;
    int result = 0;
    for (bool more = true; more && result == 0;) {
        result = sl_store_list(op->tx, op->arena, &key, after, 100, &page, &more, err);
        for (const struct sl_json *item = result == 0 ? page->first : NULL; item; item = item->next) {
            const struct sl_json *alias = sl_json_get(item, "doc"), *weights = weights_of(alias);
            after = sl_json_string(item, "id");
            if (!sl_str_eq(version, sl_json_string(alias, "FunctionVersion")) &&
                !(weights && sl_str_eq(version, weights->first->key)))
                continue;
            found = found.len == 0 ? after : sl_arena_printf(op->arena, "%.*s, %.*s", SL_FMT(found), SL_FMT(after));
        }
    }
    if (result == 0 && found.len > 0)
        return sl_fail(err, SL_E_RESOURCE_CONFLICT,
                       "Unable to delete version because the following aliases reference it: [%.*s]", SL_FMT(found));
    return result;
}
