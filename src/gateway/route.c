// SPDX-License-Identifier: Apache-2.0
//
// route: CreateRoute, GetRoute, GetRoutes, UpdateRoute, DeleteRoute. What the data plane does not do yet (authorizers)
// is refused here, never stored and ignored: a route that looks protected and is not would be worse than an error.
#include "gateway/control.h"
#include "gateway/routekey.h"

static const char *const websocket_only[] = {"ModelSelectionExpression", "RequestModels", "RequestParameters",
                                             "RouteResponseSelectionExpression", NULL};
static const char *const plain[] = {"OperationName", NULL};

// Members that say how a request is authorized; `in` may be a Create's or an Update's input.
static int authorization_check(const struct sl_json *in, struct sl_error *err) {
    struct sl_str type = sl_json_string(in, "AuthorizationType");
    if (type.ptr && !sl_str_is(type, "NONE"))
        return sl_fail(err, SL_E_BAD_REQUEST,
                       "AuthorizationType %.*s is not supported by this version of Sluice for HTTP APIs: only NONE is",
                       SL_FMT(type));
    if (sl_json_get(in, "AuthorizerId"))
        return sl_fail(err, SL_E_BAD_REQUEST,
                       "Invalid authorizer ID specified. Authorizers are not supported by this version of Sluice");
    const struct sl_json *scopes = sl_json_get(in, "AuthorizationScopes");
    if (scopes && scopes->count > 0)
        return sl_fail(err, SL_E_BAD_REQUEST, "AuthorizationScopes need an authorizer of type JWT");
    if (sl_json_bool(in, "ApiKeyRequired", false))
        return sl_fail(err, SL_E_BAD_REQUEST, "ApiKeyRequired is not currently supported for HTTP APIs");
    for (const char *const *member = websocket_only; *member; member++) {
        if (sl_json_get(in, *member))
            return sl_fail(err, SL_E_BAD_REQUEST, "%s is supported only for WebSocket APIs", *member);
    }
    return 0;
}

// No other route (by id) may have this key, or one that differs only in the names of its variables.
static int key_check(struct sl_op *op, struct sl_str api_id, struct sl_str own_id, struct sl_str key,
                     struct sl_error *err) {
    struct sl_gw_route_key parsed;
    struct sl_json *rows;
    if (sl_gateway__route_key_parse(key, &parsed, err) ||
        sl_gateway__all(op, op->arena, SL_GW_ROUTE, api_id, &rows, err))
        return sl_gateway__failed(err);
    for (const struct sl_json *row = rows->first; row; row = row->next) {
        struct sl_str other = sl_json_string(sl_json_get(row, "doc"), "RouteKey");
        if (sl_str_eq(sl_json_string(row, "id"), own_id)) continue;
        if (sl_str_eq(other, key))
            return sl_fail(err, SL_E_CONFLICT, "Route with key %.*s already exists for this API", SL_FMT(key));
        if (sl_gateway__route_keys_collide(other, key))
            return sl_fail(
                err, SL_E_CONFLICT,
                "The provided route key \"%.*s\" has a conflicting variable on the same hierarchical level as \"%.*s\"",
                SL_FMT(key), SL_FMT(other));
    }
    return 0;
}

static int target_check(struct sl_op *op, struct sl_str api_id, struct sl_str target, struct sl_error *err) {
    struct sl_json *integration;
    if (!target.ptr) return 0;
    if (!sl_str_starts(target, SL_STR("integrations/")))
        return sl_fail(err, SL_E_BAD_REQUEST,
                       "Invalid target specified: it must have the form integrations/{integrationId}");
    return sl_gateway__get(op, SL_GW_INTEGRATION, api_id, sl_str_sub(target, strlen("integrations/"), target.len),
                           "Integration", &integration, err);
}

int sl_gateway__route_create(struct sl_op *op, struct sl_str api_id, const struct sl_json *in, bool managed,
                             struct sl_json **ret, struct sl_error *err) {
    struct sl_str key = sl_json_string(in, "RouteKey"), target = sl_json_string(in, "Target"),
                  name = sl_json_string(in, "OperationName");
    if (authorization_check(in, err) || key_check(op, api_id, SL_STR(""), key, err) ||
        target_check(op, api_id, target, err) ||
        sl_gateway__quota(op, SL_GW_ROUTE, api_id, SL_GW_ROUTES_MAX, "Routes", err))
        return sl_gateway__failed(err);
    struct sl_str id = sl_gateway__new_id(op, SL_GW_ROUTE, api_id, 7);
    struct sl_json *route = sl_json_new_object(op->arena);
    if (managed) sl_json_put_bool(op->arena, route, "ApiGatewayManaged", true);
    sl_json_put_bool(op->arena, route, "ApiKeyRequired", false);
    sl_json_put_string(op->arena, route, "AuthorizationType", SL_STR("NONE"));
    if (name.ptr) sl_json_put_string(op->arena, route, "OperationName", name);
    sl_json_put_string(op->arena, route, "RouteId", id);
    sl_json_put_string(op->arena, route, "RouteKey", key);
    if (target.ptr) sl_json_put_string(op->arena, route, "Target", target);
    *ret = route;
    return sl_gateway__put(op, SL_GW_ROUTE, api_id, id, route, err);
}

// A stage's settings are keyed by route key: they move with it.
static int settings_rekey(struct sl_op *op, struct sl_str api_id, struct sl_str from, struct sl_str to,
                          struct sl_error *err) {
    struct sl_json *rows;
    if (sl_gateway__all(op, op->arena, SL_GW_STAGE, api_id, &rows, err)) return sl_gateway__failed(err);
    for (struct sl_json *row = rows->first; row; row = row->next) {
        struct sl_json *stage = sl_json_get(row, "doc"), *settings = sl_json_get(stage, "RouteSettings");
        struct sl_json *own = sl_json_get_str(settings, from);
        if (!own) continue;
        if (to.ptr) sl_json_set(settings, to, sl_json_copy(op->arena, own));
        sl_json_remove(settings, sl_arena_cstr(op->arena, from));
        if (sl_gateway__put(op, SL_GW_STAGE, api_id, sl_json_string(row, "id"), stage, err))
            return sl_gateway__failed(err);
    }
    return 0;
}

int sl_gateway__route_rekey(struct sl_op *op, struct sl_str api_id, struct sl_json *route, struct sl_str key,
                            struct sl_error *err) {
    struct sl_str old = sl_json_string(route, "RouteKey"), id = sl_json_string(route, "RouteId");
    if (sl_str_eq(old, key)) return 0;
    if (key_check(op, api_id, id, key, err) || settings_rekey(op, api_id, old, key, err))
        return sl_gateway__failed(err);
    sl_json_put_string(op->arena, route, "RouteKey", key);
    return sl_gateway__put(op, SL_GW_ROUTE, api_id, id, route, err);
}

int sl_gateway__create_route(struct sl_op *op, struct sl_error *err) {
    struct sl_json *api, *route;
    if (sl_gateway__api(op, &api, err)) return sl_gateway__failed(err);
    struct sl_str api_id = sl_json_string(api, "ApiId");
    if (sl_gateway__route_create(op, api_id, op->in, false, &route, err)) return sl_gateway__failed(err);
    op->out = route;
    return sl_gateway__changed(op, api_id, true, err);
}

static int load(struct sl_op *op, struct sl_str *ret_api_id, struct sl_json **ret, struct sl_error *err) {
    struct sl_json *api;
    if (sl_gateway__api(op, &api, err)) return sl_gateway__failed(err);
    *ret_api_id = sl_json_string(api, "ApiId");
    return sl_gateway__get(op, SL_GW_ROUTE, *ret_api_id, sl_op_in(op, "RouteId"), "Route", ret, err);
}

int sl_gateway__get_route(struct sl_op *op, struct sl_error *err) {
    struct sl_str api_id;
    return load(op, &api_id, &op->out, err);
}

int sl_gateway__get_routes(struct sl_op *op, struct sl_error *err) {
    struct sl_json *api;
    if (sl_gateway__api(op, &api, err)) return sl_gateway__failed(err);
    return sl_gateway__page(op, SL_GW_ROUTE, sl_json_string(api, "ApiId"), NULL, err);
}

int sl_gateway__update_route(struct sl_op *op, struct sl_error *err) {
    struct sl_str api_id, key = sl_op_in(op, "RouteKey"), target = sl_op_in(op, "Target");
    struct sl_json *route;
    if (load(op, &api_id, &route, err) || authorization_check(op->in, err) || target_check(op, api_id, target, err))
        return sl_gateway__failed(err);
    if (key.ptr && !sl_str_eq(key, sl_json_string(route, "RouteKey"))) {
        if (sl_json_bool(route, "ApiGatewayManaged", false))
            return sl_fail(err, SL_E_BAD_REQUEST,
                           "You can't modify the route key of a route that is managed by API Gateway");
        if (sl_gateway__route_rekey(op, api_id, route, key, err)) return sl_gateway__failed(err);
    }
    if (target.ptr) sl_json_put_string(op->arena, route, "Target", target);
    sl_gateway__copy(op, route, plain);
    if (sl_gateway__put(op, SL_GW_ROUTE, api_id, sl_json_string(route, "RouteId"), route, err))
        return sl_gateway__failed(err);
    op->out = route;
    return sl_gateway__changed(op, api_id, true, err);
}

int sl_gateway__delete_route(struct sl_op *op, struct sl_error *err) {
    struct sl_str api_id;
    struct sl_json *route;
    if (load(op, &api_id, &route, err)) return sl_gateway__failed(err);
    if (settings_rekey(op, api_id, sl_json_string(route, "RouteKey"), (struct sl_str){0}, err))
        return sl_gateway__failed(err);
    if (sl_gateway__delete(op, SL_GW_ROUTE, api_id, sl_json_string(route, "RouteId"), err))
        return sl_gateway__failed(err);
    return sl_gateway__changed(op, api_id, true, err);
}
