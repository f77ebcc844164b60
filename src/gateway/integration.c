// SPDX-License-Identifier: Apache-2.0
//
// integration: CreateIntegration, GetIntegration, GetIntegrations, UpdateIntegration, DeleteIntegration.
//
// One function (check) decides whether a whole document is acceptable; create and update both end there, so that no
// sequence of updates reaches a state that could not be created. Kinds of integration that the data plane does not do
// yet are refused.
#include "gateway/control.h"
#include "gateway/mapping.h"
#include "gateway/table.h"

#include "aws/arn.h"

static const char *const websocket_only[] = {"ContentHandlingStrategy", "PassthroughBehavior", "RequestTemplates",
                                             "TemplateSelectionExpression", NULL};
static const char *const plain[] = {"ConnectionId",         "ConnectionType",     "CredentialsArn",  "Description",
                                    "IntegrationMethod",    "IntegrationSubtype", "IntegrationType", "IntegrationUri",
                                    "PayloadFormatVersion", "TimeoutInMillis",    "TlsConfig",       NULL};

bool sl_gateway__integration_function(struct sl_str uri, struct sl_function_ref *ret, struct sl_str *ret_arn) {
    struct sl_arn arn;
    if (!sl_arn_parse(uri, &arn)) return false;
    static const struct sl_str prefix = SL_STR_INIT("path/2015-03-31/functions/"), suffix = SL_STR_INIT("/invocations");
    if (sl_str_is(arn.service, "apigateway") && sl_str_is(arn.account, "lambda")) {
        if (!sl_str_starts(arn.resource, prefix) || !sl_str_ends(arn.resource, suffix)) return false;
        uri = sl_str_sub(arn.resource, prefix.len, arn.resource.len - suffix.len);
        if (!sl_arn_parse(uri, &arn)) return false;
    }
    if (!sl_str_is(arn.service, "lambda") || !sl_str_starts(arn.resource, SL_STR("function:")) ||
        !sl_is_account(arn.account))
        return false;
    *ret_arn = uri;
    return sl_function_ref_parse(uri, ret) && ret->name.len > 0;
}

// A URI with stage variables is checked when a stage is compiled: before, its value is not known.
static int uri_check(struct sl_str uri, struct sl_error *err) {
    struct sl_function_ref function;
    struct sl_str arn;
    if (!uri.ptr) return sl_fail(err, SL_E_BAD_REQUEST, "IntegrationUri is a required parameter for integration");
    if (sl_str_find(uri, SL_STR("${stageVariables.")) >= 0 || sl_gateway__integration_function(uri, &function, &arn))
        return 0;
    return sl_fail(err, SL_E_BAD_REQUEST, "Invalid integration URI specified: %.*s is not the ARN of a Lambda function",
                   SL_FMT(sl_str_sub(uri, 0, 512)));
}

static int type_check(const struct sl_json *integration, struct sl_error *err) {
    struct sl_str type = sl_json_string(integration, "IntegrationType"),
                  subtype = sl_json_string(integration, "IntegrationSubtype");
    if (!sl_str_is(type, "AWS_PROXY") && !sl_str_is(type, "HTTP_PROXY"))
        return sl_fail(err, SL_E_BAD_REQUEST,
                       "Currently, an API with a protocol type of HTTP may only be associated with proxy integrations "
                       "(AWS_PROXY, HTTP_PROXY)");
    if (sl_str_is(type, "HTTP_PROXY"))
        return sl_fail(err, SL_E_BAD_REQUEST, "HTTP_PROXY integrations are not supported by this version of Sluice");
    if (subtype.ptr)
        return sl_fail(err, SL_E_BAD_REQUEST, "IntegrationSubtype %.*s is not supported by this version of Sluice",
                       SL_FMT(subtype));
    if (sl_str_is(sl_json_string(integration, "ConnectionType"), "VPC_LINK") ||
        sl_json_get(integration, "ConnectionId"))
        return sl_fail(err, SL_E_BAD_REQUEST, "VPC_LINK connections are not supported by this version of Sluice");
    if (sl_json_get(integration, "TlsConfig"))
        return sl_fail(err, SL_E_BAD_REQUEST, "TlsConfig is only supported for private integrations");
    return 0;
}

static int method_check(struct sl_str method, struct sl_error *err) {
    static const char *const names[] = {"POST", "GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "ANY", NULL};
    int i = 0;
    while (names[i] && !sl_str_is(method, names[i])) i++;
    return names[i] ? 0
                    : sl_fail(err, SL_E_BAD_REQUEST, "Invalid HTTP method specified: %.*s",
                              SL_FMT(sl_str_sub(method, 0, 64)));
}

static int check(struct sl_op *op, const struct sl_json *integration, struct sl_error *err) {
    struct sl_str version = sl_json_string(integration, "PayloadFormatVersion"),
                  role = sl_json_string(integration, "CredentialsArn");
    struct sl_gw_mapping request;
    struct sl_gw_status_mapping *responses;
    struct sl_arn arn;
    if (type_check(integration, err)) return sl_gateway__failed(err);
    if (!version.ptr)
        return sl_fail(err, SL_E_BAD_REQUEST, "PayloadFormatVersion is a required parameter for integration");
    if (!sl_str_is(version, "1.0") && !sl_str_is(version, "2.0"))
        return sl_fail(err, SL_E_BAD_REQUEST,
                       "Invalid PayloadFormatVersion specified: supported values are 1.0 and 2.0");
    if (role.ptr && !(sl_arn_parse(role, &arn) && sl_str_is(arn.service, "iam")))
        return sl_fail(err, SL_E_BAD_REQUEST, "Invalid ARN specified in the request");
    if (uri_check(sl_json_string(integration, "IntegrationUri"), err) ||
        method_check(sl_json_string(integration, "IntegrationMethod"), err))
        return sl_gateway__failed(err);
    if (sl_gateway__mapping_request(op->arena, sl_json_get(integration, "RequestParameters"), &request, err))
        return sl_gateway__failed(err);
    return sl_gateway__mapping_response(op->arena, sl_json_get(integration, "ResponseParameters"), &responses, err);
}

int sl_gateway__integration_store(struct sl_op *op, struct sl_str api_id, struct sl_json *integration,
                                  struct sl_error *err) {
    if (check(op, integration, err)) return sl_gateway__failed(err);
    return sl_gateway__put(op, SL_GW_INTEGRATION, api_id, sl_json_string(integration, "IntegrationId"), integration,
                           err);
}

static int websocket_check(const struct sl_json *in, struct sl_error *err) {
    for (const char *const *member = websocket_only; *member; member++) {
        if (sl_json_get(in, *member))
            return sl_fail(err, SL_E_BAD_REQUEST, "%s is supported only for WebSocket APIs", *member);
    }
    return 0;
}

static void default_string(struct sl_op *op, struct sl_json *document, const char *member, const char *value) {
    if (!sl_json_get(document, member)) sl_json_put_string(op->arena, document, member, sl_str_of(value));
}

int sl_gateway__integration_create(struct sl_op *op, struct sl_str api_id, const struct sl_json *in, bool managed,
                                   struct sl_json **ret, struct sl_error *err) {
    static const char *const maps[] = {"RequestParameters", "ResponseParameters"};
    if (websocket_check(in, err) ||
        sl_gateway__quota(op, SL_GW_INTEGRATION, api_id, SL_GW_INTEGRATIONS_MAX, "Integrations", err))
        return sl_gateway__failed(err);
    struct sl_json *integration = sl_json_new_object(op->arena);
    if (managed) sl_json_put_bool(op->arena, integration, "ApiGatewayManaged", true);
    for (const char *const *member = plain; *member; member++) {
        if (sl_json_get(in, *member))
            sl_json_set(integration, sl_str_of(*member), sl_json_copy(op->arena, sl_json_get(in, *member)));
    }
    for (size_t i = 0; i < sizeof maps / sizeof maps[0]; i++) {
        if (sl_json_get(in, maps[i]))
            sl_json_set(integration, sl_str_of(maps[i]), sl_json_copy(op->arena, sl_json_get(in, maps[i])));
    }
    default_string(op, integration, "ConnectionType", "INTERNET");
    default_string(op, integration, "IntegrationMethod", "POST");
    if (!sl_json_get(integration, "TimeoutInMillis")) sl_json_put_int(op->arena, integration, "TimeoutInMillis", 30000);
    sl_json_put_string(op->arena, integration, "IntegrationId", sl_gateway__new_id(op, SL_GW_INTEGRATION, api_id, 7));
    *ret = integration;
    return sl_gateway__integration_store(op, api_id, integration, err);
}

int sl_gateway__create_integration(struct sl_op *op, struct sl_error *err) {
    struct sl_json *api, *integration;
    if (sl_gateway__api(op, &api, err)) return sl_gateway__failed(err);
    struct sl_str api_id = sl_json_string(api, "ApiId");
    if (sl_gateway__integration_create(op, api_id, op->in, false, &integration, err)) return sl_gateway__failed(err);
    op->out = integration;
    return sl_gateway__changed(op, api_id, false, err); // no route leads to it yet
}

static int load(struct sl_op *op, struct sl_str *ret_api_id, struct sl_json **ret, struct sl_error *err) {
    struct sl_json *api;
    if (sl_gateway__api(op, &api, err)) return sl_gateway__failed(err);
    *ret_api_id = sl_json_string(api, "ApiId");
    return sl_gateway__get(op, SL_GW_INTEGRATION, *ret_api_id, sl_op_in(op, "IntegrationId"), "Integration", ret, err);
}

int sl_gateway__get_integration(struct sl_op *op, struct sl_error *err) {
    struct sl_str api_id;
    return load(op, &api_id, &op->out, err);
}

int sl_gateway__get_integrations(struct sl_op *op, struct sl_error *err) {
    struct sl_json *api;
    if (sl_gateway__api(op, &api, err)) return sl_gateway__failed(err);
    return sl_gateway__page(op, SL_GW_INTEGRATION, sl_json_string(api, "ApiId"), NULL, err);
}

// An update adds to the map key by key; a key with an empty value is removed ("Remove configured parameter mappings",
// developer guide). In ResponseParameters a status with an empty map is removed.
static void merge(struct sl_op *op, struct sl_json *document, const char *member) {
    const struct sl_json *changes = sl_json_get(op->in, member);
    struct sl_json *merged = sl_json_new_object(op->arena), *old = sl_json_get(document, member);
    if (!changes) return;
    for (const struct sl_json *node = old ? old->first : NULL; node; node = node->next) {
        if (!sl_json_get_str(changes, node->key)) sl_json_set(merged, node->key, sl_json_copy(op->arena, node));
    }
    for (const struct sl_json *node = changes->first; node; node = node->next) {
        bool empty = node->type == SL_JSON_STRING ? node->text.len == 0 : node->count == 0;
        if (!empty) sl_json_set(merged, node->key, sl_json_copy(op->arena, node));
    }
    if (merged && merged->count > 0)
        sl_json_set(document, sl_str_of(member), merged);
    else
        sl_json_remove(document, member);
}

int sl_gateway__update_integration(struct sl_op *op, struct sl_error *err) {
    struct sl_str api_id;
    struct sl_json *integration;
    if (load(op, &api_id, &integration, err) || websocket_check(op->in, err)) return sl_gateway__failed(err);
    sl_gateway__copy(op, integration, plain);
    merge(op, integration, "RequestParameters");
    merge(op, integration, "ResponseParameters");
    if (sl_gateway__integration_store(op, api_id, integration, err)) return sl_gateway__failed(err);
    op->out = integration;
    return sl_gateway__changed(op, api_id, true, err);
}

int sl_gateway__delete_integration(struct sl_op *op, struct sl_error *err) {
    struct sl_str api_id, users = SL_STR("");
    struct sl_json *integration, *rows;
    if (load(op, &api_id, &integration, err)) return sl_gateway__failed(err);
    struct sl_str id = sl_json_string(integration, "IntegrationId");
    if (sl_json_bool(integration, "ApiGatewayManaged", false))
        return sl_fail(err, SL_E_BAD_REQUEST, "You can't delete an integration that is managed by API Gateway");
    if (sl_gateway__all(op, op->arena, SL_GW_ROUTE, api_id, &rows, err)) return sl_gateway__failed(err);
    struct sl_str target = sl_arena_printf(op->arena, "integrations/%.*s", SL_FMT(id));
    for (const struct sl_json *row = rows->first; row; row = row->next) {
        if (!sl_str_eq(sl_json_string(sl_json_get(row, "doc"), "Target"), target)) continue;
        users = sl_arena_printf(op->arena, "%.*s%s%.*s", SL_FMT(users), users.len ? ", " : "",
                                SL_FMT(sl_json_string(row, "id")));
    }
    if (users.len > 0)
        return sl_fail(err, SL_E_CONFLICT,
                       "Cannot delete Integration because it is referenced by the following Routes with Ids: [%.*s]",
                       SL_FMT(users));
    if (sl_gateway__delete(op, SL_GW_INTEGRATION, api_id, id, err)) return sl_gateway__failed(err);
    return sl_gateway__changed(op, api_id, false, err);
}
