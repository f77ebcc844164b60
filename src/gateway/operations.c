// SPDX-License-Identifier: Apache-2.0
//
// operations: the table that joins apigatewayv2's operations to their handlers.
#include "gateway/control.h"
#include "gateway/gateway.h"

#define READ(name, handler)                                                                                            \
    { "apigatewayv2", name, SL_OP_STORE, NULL, handler, NULL, NULL }
// Compiles the API in run; publish hands it to the data plane.
#define CHANGE(name, handler)                                                                                          \
    { "apigatewayv2", name, SL_OP_STORE, NULL, handler, sl_gateway__publish_op, sl_gateway__discard_op }

const struct sl_op_entry sl_gateway_operations[] = {
    CHANGE("CreateApi", sl_gateway__create_api),
    READ("GetApi", sl_gateway__get_api),
    READ("GetApis", sl_gateway__get_apis),
    CHANGE("UpdateApi", sl_gateway__update_api),
    {"apigatewayv2", "DeleteApi", SL_OP_STORE, NULL, sl_gateway__delete_api, sl_gateway__delete_api_publish, NULL},
    CHANGE("DeleteCorsConfiguration", sl_gateway__delete_cors),
    CHANGE("CreateRoute", sl_gateway__create_route),
    READ("GetRoute", sl_gateway__get_route),
    READ("GetRoutes", sl_gateway__get_routes),
    CHANGE("UpdateRoute", sl_gateway__update_route),
    CHANGE("DeleteRoute", sl_gateway__delete_route),
    CHANGE("CreateIntegration", sl_gateway__create_integration),
    READ("GetIntegration", sl_gateway__get_integration),
    READ("GetIntegrations", sl_gateway__get_integrations),
    CHANGE("UpdateIntegration", sl_gateway__update_integration),
    CHANGE("DeleteIntegration", sl_gateway__delete_integration),
    CHANGE("CreateStage", sl_gateway__create_stage),
    READ("GetStage", sl_gateway__get_stage),
    READ("GetStages", sl_gateway__get_stages),
    CHANGE("UpdateStage", sl_gateway__update_stage),
    CHANGE("DeleteStage", sl_gateway__delete_stage),
    CHANGE("DeleteRouteSettings", sl_gateway__delete_route_settings),
    READ("DeleteAccessLogSettings", sl_gateway__delete_access_log_settings),
    CHANGE("CreateDeployment", sl_gateway__create_deployment),
    READ("GetDeployment", sl_gateway__get_deployment),
    READ("GetDeployments", sl_gateway__get_deployments),
    READ("UpdateDeployment", sl_gateway__update_deployment),
    READ("DeleteDeployment", sl_gateway__delete_deployment),
    READ("TagResource", sl_gateway__tag),
    READ("UntagResource", sl_gateway__untag),
    READ("GetTags", sl_gateway__get_tags),
    {NULL, NULL, SL_OP_STORE, NULL, NULL, NULL, NULL},
};
