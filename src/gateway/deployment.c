// SPDX-License-Identifier: Apache-2.0
//
// deployment: CreateDeployment, GetDeployment, GetDeployments, UpdateDeployment, DeleteDeployment. The content of a
// deployment is a document of its own (SL_GW_SNAPSHOT), so that listing deployments does not read it.
#include "gateway/control.h"

int sl_gateway__create_deployment(struct sl_op *op, struct sl_error *err) {
    struct sl_json *api, *stage = NULL;
    struct sl_str name = sl_op_in(op, "StageName");
    if (sl_gateway__api(op, &api, err)) return sl_gateway__failed(err);
    struct sl_str api_id = sl_json_string(api, "ApiId");
    if (name.ptr && sl_gateway__get(op, SL_GW_STAGE, api_id, name, "stage", &stage, err))
        return sl_gateway__failed(err);
    if (stage && sl_json_bool(stage, "AutoDeploy", false))
        return sl_fail(err, SL_E_BAD_REQUEST, "Deployment ID cannot be set on stage because AutoDeploy is enabled");
    struct sl_json *deployment;
    if (sl_gateway__deploy(op, api, false, sl_op_in(op, "Description"), &deployment, err))
        return sl_gateway__failed(err);
    op->out = deployment;
    if (!stage) return 0;
    sl_json_put_string(op->arena, stage, "DeploymentId", sl_json_string(deployment, "DeploymentId"));
    sl_json_put_string(op->arena, stage, "LastUpdatedDate", sl_gateway__now(op));
    if (sl_gateway__put(op, SL_GW_STAGE, api_id, name, stage, err)) return sl_gateway__failed(err);
    return sl_gateway__changed(op, api_id, false, err);
}

static int load(struct sl_op *op, struct sl_str *ret_api_id, struct sl_json **ret, struct sl_error *err) {
    struct sl_json *api;
    if (sl_gateway__api(op, &api, err)) return sl_gateway__failed(err);
    *ret_api_id = sl_json_string(api, "ApiId");
    return sl_gateway__get(op, SL_GW_DEPLOYMENT, *ret_api_id, sl_op_in(op, "DeploymentId"), "Deployment", ret, err);
}

int sl_gateway__get_deployment(struct sl_op *op, struct sl_error *err) {
    struct sl_str api_id;
    return load(op, &api_id, &op->out, err);
}

int sl_gateway__get_deployments(struct sl_op *op, struct sl_error *err) {
    struct sl_json *api;
    if (sl_gateway__api(op, &api, err)) return sl_gateway__failed(err);
    return sl_gateway__page(op, SL_GW_DEPLOYMENT, sl_json_string(api, "ApiId"), NULL, err);
}

int sl_gateway__update_deployment(struct sl_op *op, struct sl_error *err) {
    struct sl_str api_id, description = sl_op_in(op, "Description");
    struct sl_json *deployment;
    if (load(op, &api_id, &deployment, err)) return sl_gateway__failed(err);
    if (description.ptr) sl_json_put_string(op->arena, deployment, "Description", description);
    op->out = deployment;
    return sl_gateway__put(op, SL_GW_DEPLOYMENT, api_id, sl_json_string(deployment, "DeploymentId"), deployment, err);
}

int sl_gateway__delete_deployment(struct sl_op *op, struct sl_error *err) {
    struct sl_str api_id;
    struct sl_json *deployment, *rows;
    if (load(op, &api_id, &deployment, err) || sl_gateway__all(op, op->arena, SL_GW_STAGE, api_id, &rows, err))
        return sl_gateway__failed(err);
    struct sl_str id = sl_json_string(deployment, "DeploymentId");
    for (const struct sl_json *row = rows->first; row; row = row->next) {
        if (sl_str_eq(sl_json_string(sl_json_get(row, "doc"), "DeploymentId"), id))
            return sl_fail(err, SL_E_BAD_REQUEST, "Active stages pointing to this deployment must be moved or deleted");
    }
    if (sl_gateway__delete(op, SL_GW_SNAPSHOT, api_id, id, err)) return sl_gateway__failed(err);
    return sl_gateway__delete(op, SL_GW_DEPLOYMENT, api_id, id, err);
}
