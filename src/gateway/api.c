// SPDX-License-Identifier: Apache-2.0
//
// api: CreateApi (with quick create), GetApi, GetApis, UpdateApi, DeleteApi, DeleteCorsConfiguration.
//
// Quick create ("target" in CreateApi) makes an integration, a route ($default unless routeKey says another) and the
// $default stage with AutoDeploy, all marked apiGatewayManaged. Its integration has payload format 2.0, as AWS's quick
// create has.
#include "gateway/control.h"
#include "gateway/table.h"

static const char *const copied[] = {"CorsConfiguration", "Description", "Name", "Tags", "Version", NULL};
static const char *const updated[] = {
    "CorsConfiguration", "Description", "DisableExecuteApiEndpoint", "IpAddressType", "Name", "Version", NULL};

// Answered, never stored: the address depends on where the server listens.
static void show(struct sl_op *op, struct sl_json *api) {
    const struct sl_app *app = op->app;
    struct sl_str endpoint = sl_arena_printf(op->arena, "http://%.*s.execute-api.%.*s",
                                             SL_FMT(sl_json_string(api, "ApiId")), SL_FMT(app->public_host));
    sl_json_put_string(op->arena, api, "ApiEndpoint", endpoint);
}

static int answer(struct sl_op *op, struct sl_json *api, struct sl_error *err) {
    op->out = sl_json_copy(op->arena, api);
    if (op->out) show(op, op->out);
    return sl_arena_failed(op->arena) ? sl_fail(err, SL_E_NO_MEMORY, "out of memory for an answer") : 0;
}

// --- checks
// ----------------------------------------------------------------------------------------------------------------------

static bool origin_valid(struct sl_str origin) {
    if (sl_str_is(origin, "*")) return true;
    ptrdiff_t scheme = sl_str_find(origin, SL_STR("://"));
    return scheme > 0 && (size_t)scheme + 3 < origin.len && sl_str_chr(origin, ' ', 0) < 0 &&
           sl_str_chr(origin, '/', (size_t)scheme + 3) < 0;
}

static bool token_valid(struct sl_str token) { return sl_proxy_is_token(token); } // "*" is a token too

static int list_check(const struct sl_json *cors, const char *member, bool (*valid)(struct sl_str),
                      struct sl_error *err) {
    const struct sl_json *list = sl_json_get(cors, member);
    for (const struct sl_json *node = list ? list->first : NULL; node; node = node->next) {
        if (!valid(node->text))
            return sl_fail(err, SL_E_BAD_REQUEST, "Invalid format for %s value: %.*s", member,
                           SL_FMT(sl_str_sub(node->text, 0, 256)));
    }
    return 0;
}

static bool method_valid(struct sl_str method) {
    static const char *const names[] = {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "*", NULL};
    int i = 0;
    while (names[i] && !sl_str_is(method, names[i])) i++;
    return names[i] != NULL;
}

static int cors_check(const struct sl_json *cors, struct sl_error *err) {
    if (!cors) return 0;
    if (list_check(cors, "AllowOrigins", origin_valid, err) || list_check(cors, "AllowMethods", method_valid, err) ||
        list_check(cors, "AllowHeaders", token_valid, err) || list_check(cors, "ExposeHeaders", token_valid, err))
        return sl_gateway__failed(err);
    const struct sl_json *origins = sl_json_get(cors, "AllowOrigins");
    for (const struct sl_json *node = origins ? origins->first : NULL; node; node = node->next) {
        if (sl_str_is(node->text, "*") && sl_json_bool(cors, "AllowCredentials", false))
            return sl_fail(err, SL_E_BAD_REQUEST, "allow-credentials is not supported if 'allow-origin' is *");
    }
    return 0;
}

// What CreateApi and UpdateApi refuse alike.
static int input_check(struct sl_op *op, struct sl_error *err) {
    struct sl_str selection = sl_op_in(op, "RouteSelectionExpression");
    if (selection.ptr && !sl_str_is(selection, "$request.method $request.path") &&
        !sl_str_is(selection, "${request.method} ${request.path}"))
        return sl_fail(err, SL_E_BAD_REQUEST,
                       "For HTTP APIs, the routeSelectionExpression must be ${request.method} ${request.path}");
    if (sl_json_get(op->in, "DisableSchemaValidation"))
        return sl_fail(err, SL_E_BAD_REQUEST, "DisableSchemaValidation is supported only for WebSocket APIs");
    struct sl_str key = sl_op_in(op, "ApiKeySelectionExpression");
    if (key.ptr && !sl_str_is(key, "$request.header.x-api-key"))
        return sl_fail(err, SL_E_BAD_REQUEST, "ApiKeySelectionExpression is supported only for WebSocket APIs");
    return cors_check(sl_json_get(op->in, "CorsConfiguration"), err);
}

// --- CreateApi
// -------------------------------------------------------------------------------------------------------------------

// A tag "_custom_id_" chooses the id (LocalStack's convention).
static int choose_id(struct sl_op *op, struct sl_str *ret, struct sl_error *err) {
    struct sl_str custom = sl_json_string(sl_json_get(op->in, "Tags"), "_custom_id_");
    struct sl_key key = {
        .kind = SL_GW_ID, .account = SL_STR(""), .region = SL_STR(""), .parent = SL_STR(""), .id = custom};
    if (custom.ptr) {
        for (size_t i = 0; i < custom.len; i++) {
            char c = custom.ptr[i];
            // Part of a host name, which is compared in lower case.
            if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c == '-' && i > 0)))
                return sl_fail(err, SL_E_BAD_REQUEST, "The tag _custom_id_ may only hold a-z, 0-9 and '-'");
        }
        if (custom.len == 0 || custom.len > 63)
            return sl_fail(err, SL_E_BAD_REQUEST, "The tag _custom_id_ must have 1 to 63 characters");
        if (sl_store_has(op->tx, &key))
            return sl_fail(err, SL_E_CONFLICT, "An API with the identifier %.*s already exists", SL_FMT(custom));
    }
    while (!custom.ptr || sl_store_has(op->tx, &key)) {
        char *text = sl_arena_alloc(op->arena, 11);
        if (!text) return sl_fail(err, SL_E_NO_MEMORY, "out of memory for an identifier");
        sl_random_lower(text, 10);
        key.id = custom = sl_str_n(text, 10);
    }
    *ret = custom;
    struct sl_json *owner = sl_json_new_object(op->arena);
    sl_json_put_string(op->arena, owner, "account", op->account);
    sl_json_put_string(op->arena, owner, "region", op->region);
    return sl_store_put(op->tx, &key, owner, err);
}

static int quick_create(struct sl_op *op, struct sl_str api_id, struct sl_error *err) {
    struct sl_str target = sl_op_in(op, "Target"), route_key = sl_op_in(op, "RouteKey"),
                  credentials = sl_op_in(op, "CredentialsArn");
    struct sl_json *integration = sl_json_new_object(op->arena), *route = sl_json_new_object(op->arena),
                   *stage = sl_json_new_object(op->arena), *made;
    bool http = sl_str_starts(target, SL_STR("http://")) || sl_str_starts(target, SL_STR("https://"));
    sl_json_put_string(op->arena, integration, "IntegrationType", http ? SL_STR("HTTP_PROXY") : SL_STR("AWS_PROXY"));
    sl_json_put_string(op->arena, integration, "IntegrationUri", target);
    sl_json_put_string(op->arena, integration, "PayloadFormatVersion", http ? SL_STR("1.0") : SL_STR("2.0"));
    if (credentials.ptr) sl_json_put_string(op->arena, integration, "CredentialsArn", credentials);
    if (sl_gateway__integration_create(op, api_id, integration, true, &made, err)) return sl_gateway__failed(err);
    struct sl_str path = sl_arena_printf(op->arena, "integrations/%.*s", SL_FMT(sl_json_string(made, "IntegrationId")));
    sl_json_put_string(op->arena, route, "RouteKey", route_key.ptr ? route_key : SL_STR("$default"));
    sl_json_put_string(op->arena, route, "Target", path);
    if (sl_gateway__route_create(op, api_id, route, true, &made, err)) return sl_gateway__failed(err);
    sl_json_put_string(op->arena, stage, "StageName", SL_STR("$default"));
    sl_json_put_bool(op->arena, stage, "AutoDeploy", true);
    return sl_gateway__stage_create(op, api_id, stage, true, &made, err);
}

int sl_gateway__create_api(struct sl_op *op, struct sl_error *err) {
    if (!sl_str_is(sl_op_in(op, "ProtocolType"), "HTTP"))
        return sl_fail(err, SL_E_BAD_REQUEST,
                       "WebSocket APIs are not supported by this version of Sluice: protocolType must be HTTP");
    if (input_check(op, err) || sl_gateway__tags_check(sl_json_get(op->in, "Tags"), 0, err))
        return sl_gateway__failed(err);
    bool quick = sl_op_in(op, "Target").ptr != NULL;
    if (!quick && (sl_op_in(op, "RouteKey").ptr || sl_op_in(op, "CredentialsArn").ptr))
        return sl_fail(err, SL_E_BAD_REQUEST, "RouteKey and CredentialsArn are part of quick create and need a target");
    struct sl_str id;
    if (choose_id(op, &id, err)) return sl_gateway__failed(err);
    struct sl_json *api = sl_json_new_object(op->arena);
    sl_json_put_string(op->arena, api, "ApiId", id);
    sl_json_put_string(op->arena, api, "ApiKeySelectionExpression", SL_STR("$request.header.x-api-key"));
    sl_json_put_string(op->arena, api, "CreatedDate", sl_gateway__now(op));
    sl_json_put_bool(op->arena, api, "DisableExecuteApiEndpoint",
                     sl_json_bool(op->in, "DisableExecuteApiEndpoint", false));
    struct sl_str address = sl_op_in(op, "IpAddressType");
    sl_json_put_string(op->arena, api, "IpAddressType", address.ptr ? address : SL_STR("ipv4"));
    sl_json_put_string(op->arena, api, "ProtocolType", SL_STR("HTTP"));
    sl_json_put_string(op->arena, api, "RouteSelectionExpression", SL_STR("$request.method $request.path"));
    sl_json_set(api, SL_STR("Tags"), sl_json_new_object(op->arena));
    sl_gateway__copy(op, api, copied);
    if (sl_gateway__put(op, SL_GW_API, SL_STR(""), id, api, err)) return sl_gateway__failed(err);
    if (quick && quick_create(op, id, err)) return sl_gateway__failed(err);
    if (sl_gateway__changed(op, id, quick, err)) return sl_gateway__failed(err);
    return answer(op, api, err);
}

// --- the others
// ------------------------------------------------------------------------------------------------------------------

int sl_gateway__get_api(struct sl_op *op, struct sl_error *err) {
    struct sl_json *api;
    return sl_gateway__api(op, &api, err) ? sl_gateway__failed(err) : answer(op, api, err);
}

int sl_gateway__get_apis(struct sl_op *op, struct sl_error *err) {
    return sl_gateway__page(op, SL_GW_API, SL_STR(""), show, err);
}

// The resource that quick create made, or NULL.
static int find_managed(struct sl_op *op, const char *kind, struct sl_str api_id, struct sl_json **ret,
                        struct sl_error *err) {
    struct sl_json *rows;
    *ret = NULL;
    if (sl_gateway__all(op, op->arena, kind, api_id, &rows, err)) return sl_gateway__failed(err);
    for (struct sl_json *row = rows->first; row && !*ret; row = row->next) {
        if (sl_json_bool(sl_json_get(row, "doc"), "ApiGatewayManaged", false)) *ret = sl_json_get(row, "doc");
    }
    return *ret ? 0
                : sl_fail(err, SL_E_BAD_REQUEST,
                          "Target, RouteKey and CredentialsArn can only be updated for an API that was created using "
                          "quick create");
}

static int update_quick(struct sl_op *op, struct sl_str api_id, struct sl_error *err) {
    struct sl_str target = sl_op_in(op, "Target"), key = sl_op_in(op, "RouteKey"),
                  credentials = sl_op_in(op, "CredentialsArn");
    struct sl_json *integration, *route;
    if (target.ptr || credentials.ptr) {
        if (find_managed(op, SL_GW_INTEGRATION, api_id, &integration, err)) return sl_gateway__failed(err);
        if (target.ptr) sl_json_put_string(op->arena, integration, "IntegrationUri", target);
        if (credentials.ptr) sl_json_put_string(op->arena, integration, "CredentialsArn", credentials);
        if (sl_gateway__integration_store(op, api_id, integration, err)) return sl_gateway__failed(err);
    }
    if (!key.ptr) return 0;
    if (find_managed(op, SL_GW_ROUTE, api_id, &route, err)) return sl_gateway__failed(err);
    return sl_gateway__route_rekey(op, api_id, route, key, err);
}

int sl_gateway__update_api(struct sl_op *op, struct sl_error *err) {
    struct sl_json *api;
    if (sl_gateway__api(op, &api, err) || input_check(op, err)) return sl_gateway__failed(err);
    struct sl_str id = sl_json_string(api, "ApiId");
    sl_gateway__copy(op, api, updated);
    if (sl_gateway__put(op, SL_GW_API, SL_STR(""), id, api, err) || update_quick(op, id, err))
        return sl_gateway__failed(err);
    static const char *const deployed[] = {
        "CorsConfiguration", "DisableExecuteApiEndpoint", "Target", "RouteKey", "CredentialsArn", NULL};
    if (sl_gateway__changed(op, id, sl_gateway__any(op, deployed) != NULL, err)) return sl_gateway__failed(err);
    return answer(op, api, err);
}

int sl_gateway__delete_api(struct sl_op *op, struct sl_error *err) {
    static const char *const kinds[] = {SL_GW_ROUTE, SL_GW_INTEGRATION, SL_GW_STAGE, SL_GW_DEPLOYMENT, SL_GW_SNAPSHOT};
    struct sl_json *api;
    if (sl_gateway__api(op, &api, err)) return sl_gateway__failed(err);
    struct sl_str id = sl_json_string(api, "ApiId");
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct sl_key key = sl_gateway__key(op, kinds[i], id, SL_STR(""));
        if (sl_store_delete_children(op->tx, &key, err)) return sl_gateway__failed(err);
    }
    struct sl_key owner = {
        .kind = SL_GW_ID, .account = SL_STR(""), .region = SL_STR(""), .parent = SL_STR(""), .id = id};
    if (sl_store_delete(op->tx, &owner, NULL, err)) return sl_gateway__failed(err);
    return sl_gateway__delete(op, SL_GW_API, SL_STR(""), id, err);
}

void sl_gateway__delete_api_publish(struct sl_op *op) {
    struct sl_app *app = op->app;
    sl_gateway__remove(app->gateway, sl_op_in(op, "ApiId"));
}

int sl_gateway__delete_cors(struct sl_op *op, struct sl_error *err) {
    struct sl_json *api;
    if (sl_gateway__api(op, &api, err)) return sl_gateway__failed(err);
    struct sl_str id = sl_json_string(api, "ApiId");
    sl_json_remove(api, "CorsConfiguration");
    if (sl_gateway__put(op, SL_GW_API, SL_STR(""), id, api, err)) return sl_gateway__failed(err);
    return sl_gateway__changed(op, id, true, err);
}
