// SPDX-License-Identifier: Apache-2.0
//
// gateway: Amazon API Gateway, HTTP APIs (version 2). Two halves that meet in one immutable object per API:
//
//   control plane   operations (CreateRoute ...) ─► documents in the store ─► deployment (a stored snapshot of routes
//   and
//                   integrations) ─► sl_gateway__compile ─► struct sl_gw_api, published by RCU
//   data plane      HTTP request ─► API by host or path ─► stage ─► route (trie) ─► throttle ─► event ─► sl_invoke ─►
//   response
//
// Threads: operations run as the engine says (aws/op.h); a loop thread may call owns, max_body, handle and metrics.
// Loop threads, the storage thread and the thread that calls sl_gateway_load must be registered with liburcu's QSBR
// flavour; the loops report a quiescent state per turn. A request in flight holds a reference to its API object, so an
// API may be replaced or deleted under it.
#ifndef SL_GATEWAY_GATEWAY_H
#define SL_GATEWAY_GATEWAY_H

#include "aws/op.h"
#include "base/buf.h"
#include "base/error.h"

struct sl_app;
struct sl_gateway;
struct sl_http_request;
struct sl_invoker;

enum {
    SL_GATEWAY_MAX_BODY = 10 * 1024 * 1024, // "Payload size: 10 MB" (HTTP API quotas page)
    SL_GATEWAY_MAX_HEAD = 10240,            // request line and header values together, same page
    SL_GATEWAY_THREADS = 256,               // most loop threads
};

struct sl_gateway_config {
    struct sl_invoker *invoker;
    unsigned threads; // loop threads; their sl_loop_index is below it
};

// SL_E_NO_MEMORY, SL_E_INVALID (threads is 0 or above SL_GATEWAY_THREADS).
int sl_gateway_new(struct sl_gateway **ret, const struct sl_gateway_config *config, struct sl_error *err);
// After the loops have stopped; waits for a grace period. Accepts NULL.
void sl_gateway_free(struct sl_gateway *gateway);

// Publishes every stored API (app->store to app->gateway). Blocks; at start, before the listeners.
int sl_gateway_load(struct sl_app *app, struct sl_error *err);

// Whether the request is for a deployed API: "{api}.execute-api.{anything}[:port]" as Host, or a path below
// "/_aws/execute-api/". True also for APIs that do not exist (the answer is API Gateway's 404).
bool sl_gateway_owns(struct sl_gateway *gateway, const struct sl_http_request *request);
// Body limit for a request that sl_gateway_owns.
size_t sl_gateway_max_body(const struct sl_gateway *gateway);
// Answers it, now or later. Takes request->user and request->aborted.
void sl_gateway_handle(struct sl_gateway *gateway, struct sl_http_request *request);

// Appends counters per API, stage and route in the Prometheus text format.
void sl_gateway_metrics(struct sl_gateway *gateway, struct sl_buf *out);

// Handlers of apigatewayv2; ends with an entry whose service is NULL.
extern const struct sl_op_entry sl_gateway_operations[];

#endif
