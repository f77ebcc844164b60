// SPDX-License-Identifier: Apache-2.0
//
// control: what the handlers of the control plane share: keys, loading or 404, paging, quotas, deployments, and handing
// the compiled API to the data plane. Internal to gateway/.
//
// Every handler runs on the storage thread inside a transaction (SL_OP_STORE). One that changes anything ends with
// sl_gateway__changed, which deploys to the stages with AutoDeploy and compiles the API into op->state; the table's
// publish is sl_gateway__publish_op, its discard sl_gateway__discard_op.
//
// Documents: "apigatewayv2.api" (parent ""), and below an API's id "apigatewayv2.route", ".integration", ".stage",
// ".deployment" and
// ".snapshot" (a deployment's content: {"Routes", "Integrations", "CorsConfiguration", "DisableExecuteApiEndpoint"}).
// "gateway.id" maps an API's id, which is unique in the whole server because host names are, to its account and region.
#ifndef SL_GATEWAY_CONTROL_H
#define SL_GATEWAY_CONTROL_H

#include "aws/app.h"
#include "aws/op.h"
#include "store/store.h"

#define SL_GW_API         "apigatewayv2.api"
#define SL_GW_ROUTE       "apigatewayv2.route"
#define SL_GW_INTEGRATION "apigatewayv2.integration"
#define SL_GW_STAGE       "apigatewayv2.stage"
#define SL_GW_DEPLOYMENT  "apigatewayv2.deployment"
#define SL_GW_SNAPSHOT    "apigatewayv2.snapshot"
#define SL_GW_ID          "gateway.id"

enum {
    SL_GW_ROUTES_MAX = 300, // HTTP API quotas page
    SL_GW_INTEGRATIONS_MAX = 300,
    SL_GW_STAGES_MAX = 10,
    SL_GW_TAGS_MAX = 50,
    SL_GW_STAGE_VARIABLES_MAX = 100,
    SL_GW_AUTO_KEPT = 20, // automatic deployments kept when no stage uses them any more
    SL_GW_LIST = 1000,    // above any count that quotas allow
};

// The kind of an error that was set: never 0, so that a caller (and a static analyser) may rely on it.
static inline int sl_gateway__failed(const struct sl_error *err) { return err->kind ? err->kind : SL_E_INTERNAL; }

struct sl_key sl_gateway__key(const struct sl_op *op, const char *kind, struct sl_str parent, struct sl_str id);

// The API named by op->in's ApiId; 404 with AWS's text.
int sl_gateway__api(struct sl_op *op, struct sl_json **ret, struct sl_error *err);
// A resource below it; `what` is the word in the 404: "Invalid <what> identifier specified".
int sl_gateway__get(struct sl_op *op, const char *kind, struct sl_str api_id, struct sl_str id, const char *what,
                    struct sl_json **ret, struct sl_error *err);
int sl_gateway__put(struct sl_op *op, const char *kind, struct sl_str parent, struct sl_str id,
                    const struct sl_json *document, struct sl_error *err);
int sl_gateway__delete(struct sl_op *op, const char *kind, struct sl_str parent, struct sl_str id,
                       struct sl_error *err);
// Every document of the kind: an array of {"id", "doc"}, in `arena`.
int sl_gateway__all(struct sl_op *op, struct sl_arena *arena, const char *kind, struct sl_str parent,
                    struct sl_json **ret, struct sl_error *err);
// 0, or the quota's error.
int sl_gateway__quota(struct sl_op *op, const char *kind, struct sl_str parent, int64_t most, const char *what,
                      struct sl_error *err);
// A page into op->out ("Items", "NextToken") by MaxResults and NextToken; `each` may change a document before it is
// shown, or be NULL.
int sl_gateway__page(struct sl_op *op, const char *kind, struct sl_str parent,
                     void (*each)(struct sl_op *, struct sl_json *), struct sl_error *err);

// An id of `chars` characters that no resource of that kind and parent has.
struct sl_str sl_gateway__new_id(struct sl_op *op, const char *kind, struct sl_str parent, size_t chars);
// The current time as the API writes it, in the arena.
struct sl_str sl_gateway__now(struct sl_op *op);

// Copies the members named in the NULL-terminated list from op->in to the document, where present.
void sl_gateway__copy(struct sl_op *op, struct sl_json *document, const char *const *members);
// The first of the members that op->in has, or NULL.
const char *sl_gateway__any(const struct sl_op *op, const char *const *members);
// Tags: count, lengths, "aws:" (API Gateway's limits).
int sl_gateway__tags_check(const struct sl_json *tags, int64_t more, struct sl_error *err);

// A deployment of what the API is now. SL_E_BAD_REQUEST when no route has an integration. *ret is the document.
int sl_gateway__deploy(struct sl_op *op, const struct sl_json *api, bool automatic, struct sl_str description,
                       struct sl_json **ret, struct sl_error *err);
// After a change to the API's routes, integrations or CORS (deploys = true), or to stages only: see above.
int sl_gateway__changed(struct sl_op *op, struct sl_str api_id, bool deploys, struct sl_error *err);
void sl_gateway__publish_op(struct sl_op *op);
void sl_gateway__discard_op(struct sl_op *op);

// gateway.c
struct sl_gw_api;
void sl_gateway__publish(struct sl_gateway *gateway, struct sl_gw_api *api);
void sl_gateway__remove(struct sl_gateway *gateway, struct sl_str api_id);

// route.c, integration.c, stage.c: used by quick create as well. `in` is an object of the Create operation's members.
int sl_gateway__route_create(struct sl_op *op, struct sl_str api_id, const struct sl_json *in, bool managed,
                             struct sl_json **ret, struct sl_error *err);
int sl_gateway__integration_create(struct sl_op *op, struct sl_str api_id, const struct sl_json *in, bool managed,
                                   struct sl_json **ret, struct sl_error *err);
int sl_gateway__stage_create(struct sl_op *op, struct sl_str api_id, const struct sl_json *in, bool managed,
                             struct sl_json **ret, struct sl_error *err);
// Checks a whole integration document and stores it.
int sl_gateway__integration_store(struct sl_op *op, struct sl_str api_id, struct sl_json *integration,
                                  struct sl_error *err);
// Checks and stores a changed route key (quick create's, or UpdateRoute).
int sl_gateway__route_rekey(struct sl_op *op, struct sl_str api_id, struct sl_json *route, struct sl_str key,
                            struct sl_error *err);
// The function behind an integration URI: an ARN of a function (with or without qualifier) or API Gateway's invocation
// path around one. False when it is neither. ${stageVariables.x} has been replaced.
struct sl_function_ref;
bool sl_gateway__integration_function(struct sl_str uri, struct sl_function_ref *ret, struct sl_str *ret_arn);

// handlers
int sl_gateway__create_api(struct sl_op *, struct sl_error *), sl_gateway__get_api(struct sl_op *, struct sl_error *);
int sl_gateway__get_apis(struct sl_op *, struct sl_error *), sl_gateway__update_api(struct sl_op *, struct sl_error *);
int sl_gateway__delete_api(struct sl_op *, struct sl_error *),
    sl_gateway__delete_cors(struct sl_op *, struct sl_error *);
void sl_gateway__delete_api_publish(struct sl_op *);
int sl_gateway__create_route(struct sl_op *, struct sl_error *),
    sl_gateway__get_route(struct sl_op *, struct sl_error *);
int sl_gateway__get_routes(struct sl_op *, struct sl_error *),
    sl_gateway__update_route(struct sl_op *, struct sl_error *);
int sl_gateway__delete_route(struct sl_op *, struct sl_error *);
int sl_gateway__create_integration(struct sl_op *, struct sl_error *),
    sl_gateway__get_integration(struct sl_op *, struct sl_error *);
int sl_gateway__get_integrations(struct sl_op *, struct sl_error *),
    sl_gateway__update_integration(struct sl_op *, struct sl_error *);
int sl_gateway__delete_integration(struct sl_op *, struct sl_error *);
int sl_gateway__create_stage(struct sl_op *, struct sl_error *),
    sl_gateway__get_stage(struct sl_op *, struct sl_error *);
int sl_gateway__get_stages(struct sl_op *, struct sl_error *),
    sl_gateway__update_stage(struct sl_op *, struct sl_error *);
int sl_gateway__delete_stage(struct sl_op *, struct sl_error *),
    sl_gateway__delete_route_settings(struct sl_op *, struct sl_error *);
int sl_gateway__delete_access_log_settings(struct sl_op *, struct sl_error *);
int sl_gateway__create_deployment(struct sl_op *, struct sl_error *),
    sl_gateway__get_deployment(struct sl_op *, struct sl_error *);
int sl_gateway__get_deployments(struct sl_op *, struct sl_error *),
    sl_gateway__update_deployment(struct sl_op *, struct sl_error *);
int sl_gateway__delete_deployment(struct sl_op *, struct sl_error *);
int sl_gateway__tag(struct sl_op *, struct sl_error *), sl_gateway__untag(struct sl_op *, struct sl_error *);
int sl_gateway__get_tags(struct sl_op *, struct sl_error *);

#endif
