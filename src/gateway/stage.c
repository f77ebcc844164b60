// SPDX-License-Identifier: Apache-2.0
//
// stage: CreateStage, GetStage, GetStages, UpdateStage, DeleteStage, DeleteRouteSettings, DeleteAccessLogSettings.
//
// A stage serves one deployment, which is a snapshot: editing routes changes nothing until the next deployment, which a
// stage with AutoDeploy gets at once. Stage variables and route settings belong to the stage itself and take effect
// when they are stored.
#include "gateway/control.h"

static const char *const plain[] = {"AutoDeploy", "DeploymentId", "Description", "StageVariables", NULL};

// --- checks
// ----------------------------------------------------------------------------------------------------------------------

static bool name_valid(struct sl_str name) {
    if (sl_str_is(name, "$default")) return true;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-'))
            return false;
    }
    return name.len > 0 && name.len <= 128;
}

static int variables_check(const struct sl_json *variables, struct sl_error *err) {
    if (!variables) return 0;
    if (variables->count > SL_GW_STAGE_VARIABLES_MAX)
        return sl_fail(err, SL_E_BAD_REQUEST, "Stage variables cannot exceed %d", SL_GW_STAGE_VARIABLES_MAX);
    for (const struct sl_json *node = variables->first; node; node = node->next) {
        bool name = node->key.len > 0 && node->key.len <= 64, value = node->text.len <= 512;
        for (size_t i = 0; i < node->key.len; i++) {
            char c = node->key.ptr[i];
            name = name && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_');
        }
        for (size_t i = 0; i < node->text.len; i++) {
            char c = node->text.ptr[i];
            bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
            value =
                value && (alnum || (c != '\0' && strchr("-._~:/?#&=,", c))); // [A-Za-z0-9-._~:/?#&=,]+, API reference
        }
        if (!name)
            return sl_fail(err, SL_E_BAD_REQUEST,
                           "Stage variable names must be alphanumeric characters and '_', at most 64: %.*s",
                           SL_FMT(sl_str_sub(node->key, 0, 128)));
        if (!value)
            return sl_fail(err, SL_E_BAD_REQUEST,
                           "Stage variable value: %.*s for: %.*s, please use values with alphanumeric characters and "
                           "the symbols ' ', -', '.', '_', ':', '/', '?', '&', '=', and ','.",
                           SL_FMT(node->text), SL_FMT(node->key));
    }
    return 0;
}

static int settings_check(const struct sl_json *settings, struct sl_error *err) {
    struct sl_str level = sl_json_string(settings, "LoggingLevel");
    double rate;
    if ((level.ptr && !sl_str_is(level, "OFF")) || sl_json_bool(settings, "DataTraceEnabled", false))
        return sl_fail(err, SL_E_BAD_REQUEST, "Execution logs are not supported on protocolType HTTP");
    if (sl_json_int(settings, "ThrottlingBurstLimit", 0) < 0)
        return sl_fail(err, SL_E_BAD_REQUEST, "Invalid throttlingBurstLimit specified");
    const struct sl_json *limit = sl_json_get(settings, "ThrottlingRateLimit");
    if (limit && (!sl_json_to_double(limit, &rate) || !(rate >= 0)))
        return sl_fail(err, SL_E_BAD_REQUEST, "Invalid throttlingRateLimit specified");
    return 0;
}

static int route_settings_check(struct sl_op *op, struct sl_str api_id, const struct sl_json *map,
                                struct sl_error *err) {
    struct sl_json *routes;
    if (!map || map->count == 0) return 0;
    if (sl_gateway__all(op, op->arena, SL_GW_ROUTE, api_id, &routes, err)) return sl_gateway__failed(err);
    for (const struct sl_json *node = map->first; node; node = node->next) {
        bool found = false;
        for (const struct sl_json *row = routes->first; row && !found; row = row->next)
            found = sl_str_eq(sl_json_string(sl_json_get(row, "doc"), "RouteKey"), node->key);
        if (!found)
            return sl_fail(err, SL_E_NOT_FOUND, "Unable to find Route by key %.*s within the provided RouteSettings",
                           SL_FMT(sl_str_sub(node->key, 0, 512)));
        if (settings_check(node, err)) return sl_gateway__failed(err);
    }
    return 0;
}

static int input_check(struct sl_op *op, struct sl_str api_id, const struct sl_json *in, struct sl_error *err) {
    struct sl_str deployment_id = sl_json_string(in, "DeploymentId");
    struct sl_json *deployment;
    if (sl_json_get(in, "AccessLogSettings"))
        return sl_fail(err, SL_E_BAD_REQUEST, "AccessLogSettings are not supported by this version of Sluice");
    if (sl_json_get(in, "ClientCertificateId"))
        return sl_fail(err, SL_E_BAD_REQUEST, "ClientCertificateId is supported only for WebSocket APIs");
    if (settings_check(sl_json_get(in, "DefaultRouteSettings"), err) ||
        variables_check(sl_json_get(in, "StageVariables"), err) ||
        route_settings_check(op, api_id, sl_json_get(in, "RouteSettings"), err))
        return sl_gateway__failed(err);
    return deployment_id.ptr
               ? sl_gateway__get(op, SL_GW_DEPLOYMENT, api_id, deployment_id, "Deployment", &deployment, err)
               : 0;
}

// --- create
// ----------------------------------------------------------------------------------------------------------------------

static void put_settings(struct sl_op *op, struct sl_json *stage, const struct sl_json *in) {
    struct sl_json *defaults = sl_json_get(stage, "DefaultRouteSettings"),
                   *routes = sl_json_get(stage, "RouteSettings");
    const struct sl_json *given = sl_json_get(in, "DefaultRouteSettings"),
                         *given_routes = sl_json_get(in, "RouteSettings");
    for (const struct sl_json *node = given ? given->first : NULL; node; node = node->next)
        sl_json_set(defaults, node->key, sl_json_copy(op->arena, node));
    for (const struct sl_json *node = given_routes ? given_routes->first : NULL; node; node = node->next)
        sl_json_set(routes, node->key, sl_json_copy(op->arena, node));
}

int sl_gateway__stage_create(struct sl_op *op, struct sl_str api_id, const struct sl_json *in, bool managed,
                             struct sl_json **ret, struct sl_error *err) {
    struct sl_str name = sl_json_string(in, "StageName");
    bool automatic = sl_json_bool(in, "AutoDeploy", false);
    if (!name_valid(name)) return sl_fail(err, SL_E_BAD_REQUEST, "Stage name only allows a-zA-Z0-9_- and $default");
    struct sl_key key = sl_gateway__key(op, SL_GW_STAGE, api_id, name);
    if (sl_store_has(op->tx, &key)) return sl_fail(err, SL_E_CONFLICT, "Stage already exists");
    if (automatic && sl_json_get(in, "DeploymentId"))
        return sl_fail(err, SL_E_BAD_REQUEST, "Deployment ID cannot be set on stage because AutoDeploy is enabled");
    if (input_check(op, api_id, in, err) || sl_gateway__tags_check(sl_json_get(in, "Tags"), 0, err) ||
        sl_gateway__quota(op, SL_GW_STAGE, api_id, SL_GW_STAGES_MAX, "Stages", err))
        return sl_gateway__failed(err);
    struct sl_json *stage = sl_json_new_object(op->arena), *defaults = sl_json_new_object(op->arena);
    if (managed) sl_json_put_bool(op->arena, stage, "ApiGatewayManaged", true);
    sl_json_put_string(op->arena, stage, "CreatedDate", sl_gateway__now(op));
    sl_json_put_bool(op->arena, defaults, "DetailedMetricsEnabled", false);
    sl_json_set(stage, SL_STR("DefaultRouteSettings"), defaults);
    sl_json_put_string(op->arena, stage, "LastUpdatedDate", sl_gateway__now(op));
    sl_json_set(stage, SL_STR("RouteSettings"), sl_json_new_object(op->arena));
    sl_json_put_string(op->arena, stage, "StageName", name);
    sl_json_set(stage, SL_STR("StageVariables"), sl_json_new_object(op->arena));
    sl_json_set(stage, SL_STR("Tags"), sl_json_new_object(op->arena));
    for (const char *const *member = plain; *member; member++) {
        if (sl_json_get(in, *member))
            sl_json_set(stage, sl_str_of(*member), sl_json_copy(op->arena, sl_json_get(in, *member)));
    }
    if (sl_json_get(in, "Tags")) sl_json_set(stage, SL_STR("Tags"), sl_json_copy(op->arena, sl_json_get(in, "Tags")));
    put_settings(op, stage, in);
    *ret = stage;
    return sl_gateway__put(op, SL_GW_STAGE, api_id, name, stage, err);
}

// The document as deploying to it left it.
static int answer(struct sl_op *op, struct sl_str api_id, struct sl_str name, struct sl_error *err) {
    return sl_gateway__get(op, SL_GW_STAGE, api_id, name, "stage", &op->out, err);
}

int sl_gateway__create_stage(struct sl_op *op, struct sl_error *err) {
    struct sl_json *api, *stage = NULL;
    if (sl_gateway__api(op, &api, err)) return sl_gateway__failed(err);
    struct sl_str api_id = sl_json_string(api, "ApiId");
    if (sl_gateway__stage_create(op, api_id, op->in, false, &stage, err)) return sl_gateway__failed(err);
    if (sl_gateway__changed(op, api_id, sl_json_bool(stage, "AutoDeploy", false), err)) return sl_gateway__failed(err);
    return answer(op, api_id, sl_json_string(stage, "StageName"), err);
}

// --- the others
// ------------------------------------------------------------------------------------------------------------------

static int load(struct sl_op *op, struct sl_str *ret_api_id, struct sl_json **ret, struct sl_error *err) {
    struct sl_json *api;
    if (sl_gateway__api(op, &api, err)) return sl_gateway__failed(err);
    *ret_api_id = sl_json_string(api, "ApiId");
    return sl_gateway__get(op, SL_GW_STAGE, *ret_api_id, sl_op_in(op, "StageName"), "stage", ret, err);
}

int sl_gateway__get_stage(struct sl_op *op, struct sl_error *err) {
    struct sl_str api_id;
    return load(op, &api_id, &op->out, err);
}

int sl_gateway__get_stages(struct sl_op *op, struct sl_error *err) {
    struct sl_json *api;
    if (sl_gateway__api(op, &api, err)) return sl_gateway__failed(err);
    return sl_gateway__page(op, SL_GW_STAGE, sl_json_string(api, "ApiId"), NULL, err);
}

int sl_gateway__update_stage(struct sl_op *op, struct sl_error *err) {
    struct sl_str api_id;
    struct sl_json *stage;
    if (load(op, &api_id, &stage, err)) return sl_gateway__failed(err);
    if (sl_json_bool(stage, "ApiGatewayManaged", false))
        return sl_fail(err, SL_E_BAD_REQUEST, "You can't modify a stage that is managed by API Gateway");
    bool was = sl_json_bool(stage, "AutoDeploy", false), automatic = sl_json_bool(op->in, "AutoDeploy", was);
    if (automatic && sl_json_get(op->in, "DeploymentId"))
        return sl_fail(err, SL_E_BAD_REQUEST, "Deployment ID cannot be set on stage because AutoDeploy is enabled");
    if (input_check(op, api_id, op->in, err)) return sl_gateway__failed(err);
    sl_gateway__copy(op, stage, plain);
    put_settings(op, stage, op->in);
    sl_json_put_string(op->arena, stage, "LastUpdatedDate", sl_gateway__now(op));
    struct sl_str name = sl_json_string(stage, "StageName");
    if (sl_gateway__put(op, SL_GW_STAGE, api_id, name, stage, err)) return sl_gateway__failed(err);
    if (sl_gateway__changed(op, api_id, automatic && !was, err)) return sl_gateway__failed(err);
    return answer(op, api_id, name, err);
}

int sl_gateway__delete_stage(struct sl_op *op, struct sl_error *err) {
    struct sl_str api_id;
    struct sl_json *stage;
    if (load(op, &api_id, &stage, err) ||
        sl_gateway__delete(op, SL_GW_STAGE, api_id, sl_json_string(stage, "StageName"), err))
        return sl_gateway__failed(err);
    return sl_gateway__changed(op, api_id, false, err);
}

int sl_gateway__delete_route_settings(struct sl_op *op, struct sl_error *err) {
    struct sl_str api_id, key = sl_op_in(op, "RouteKey");
    struct sl_json *stage;
    if (load(op, &api_id, &stage, err)) return sl_gateway__failed(err);
    char *name = sl_arena_cstr(op->arena, key);
    if (!name || !sl_json_remove(sl_json_get(stage, "RouteSettings"), name))
        return sl_fail(err, SL_E_NOT_FOUND, "Unable to find Route by key %.*s within the provided RouteSettings",
                       SL_FMT(sl_str_sub(key, 0, 512)));
    if (sl_gateway__put(op, SL_GW_STAGE, api_id, sl_json_string(stage, "StageName"), stage, err))
        return sl_gateway__failed(err);
    return sl_gateway__changed(op, api_id, false, err);
}

// Nothing to delete, as AccessLogSettings cannot be set yet; the stage must exist.
int sl_gateway__delete_access_log_settings(struct sl_op *op, struct sl_error *err) {
    struct sl_str api_id;
    struct sl_json *stage;
    return load(op, &api_id, &stage, err);
}
