// SPDX-License-Identifier: Apache-2.0
//
// internal: the gateway object, one request in flight, and the stations of its way (handle.c): event_v1, cors, respond,
// finish.
#ifndef SL_GATEWAY_INTERNAL_H
#define SL_GATEWAY_INTERNAL_H

#include "base/buf.h"
#include "gateway/gateway.h"
#include "gateway/table.h"
#include "http/http.h"
#include "invoke/invoke.h"

#include <pthread.h>

enum {
    SL_GW_BUCKETS = 1024,
    SL_GW_BUFFERS_KEPT = 256,           // per thread
    SL_GW_BUFFER_KEEP = 64 * 1024,      // memory of an idle event buffer
    SL_GW_EVENT_MAX = 32 * 1024 * 1024, // an event is at most base64 of 10 MB and its headers, escaped
    SL_GW_REQUEST_ID = 17,              // 16 characters and a NUL
};

// An event buffer. It belongs to a request from the event's first byte until its invocation has ended, then goes back
// to its thread's list: on the warm path nothing is allocated.
struct sl_gw_buffer {
    struct sl_gw_buffer *next;
    struct sl_buf buf;
};

struct sl_gw_thread {
    struct sl_gw_buffer *idle;
    unsigned idle_count;
    char pad[SL_GW_CACHE_LINE];
};

struct sl_gateway {
    struct sl_invoker *invoker;
    unsigned threads;
    struct cds_lfht *apis;
    struct sl_gw_thread *thread; // threads
    pthread_mutex_t lock;        // below; never taken on the way of a request
    struct sl_gw_api *retired;   // unreachable, but requests in flight may refer to them
    struct sl_gw_counters *counters[SL_GW_BUCKETS];
};

// One request in flight, in its own arena.
struct sl_gw_call {
    struct sl_http_request *request;
    struct sl_gateway *gateway;
    struct sl_gw_api *api;     // referred to, unless NULL
    struct sl_gw_stage *stage; // NULL: not known (yet)
    struct sl_gw_route *route;
    unsigned thread;
    bool path_form; // "/_aws/execute-api/..."
    bool invoking;
    int64_t started_ns;
    struct sl_str api_id;
    struct sl_str raw_path;   // encoded, as the host form would have it: with the stage's name unless it is $default
    struct sl_str stage_path; // encoded, without the stage
    struct sl_str event_path; // decoded raw_path
    struct sl_str origin;
    struct sl_str trace_id;
    char request_id[SL_GW_REQUEST_ID];
    struct sl_gw_path *path;
    const struct sl_proxy_field *params;
    struct sl_proxy_request event;
    struct sl_json *body_tree;                // of the request or response, for mappings
    const struct sl_proxy_response *response; // while response mappings are evaluated
    struct sl_gw_buffer *buffer;
    struct sl_invocation invocation;
    struct sl_timer timer;
};

// gateway.c
struct sl_gw_api *sl_gateway__find(struct sl_gateway *gateway, struct sl_str api_id);
struct sl_gw_buffer *sl_gateway__buffer_take(struct sl_gateway *gateway, unsigned thread);
void sl_gateway__buffer_give(struct sl_gateway *gateway, unsigned thread, struct sl_gw_buffer *buffer);
// "{api}.execute-api.{anything}[:port]": the api, or ptr NULL.
struct sl_str sl_gateway__host_api(struct sl_str host);

// event_v1.c: payload format 1.0 from the same inputs as 2.0. `resource` is the route's path. False when scratch or out
// is full.
bool sl_gateway__event_v1(struct sl_buf *out, struct sl_arena *scratch, const struct sl_proxy_request *event,
                          struct sl_str resource);
// Reads a function's answer in format 1.0. SL_E_INVALID when it breaks the format.
int sl_gateway__response_v1(struct sl_arena *arena, struct sl_str payload, struct sl_proxy_response *ret,
                            struct sl_error *err);

// cors.c
bool sl_gateway__cors_compile(struct sl_arena *arena, const struct sl_json *configuration, struct sl_gw_cors *ret);
// The value of Access-Control-Allow-Origin for this origin; ptr NULL when it is not allowed.
struct sl_str sl_gateway__cors_origin(const struct sl_gw_cors *cors, struct sl_str origin);
bool sl_gateway__cors_is_preflight(const struct sl_http_request *request);
// Fields of a preflight's answer, or of any other.
void sl_gateway__cors_add(const struct sl_gw_cors *cors, struct sl_http_request *request, struct sl_str origin,
                          bool preflight);

// map_request.c: the integration's RequestParameters, on call->event. False when the arena is full.
bool sl_gateway__map_request(struct sl_gw_call *call);
// ... and ResponseParameters. `extra` room for headers is made in the arena.
bool sl_gateway__map_response(struct sl_gw_call *call, struct sl_proxy_response *response);

// respond.c: the function's answer to the client. Ends the call.
void sl_gateway__respond(struct sl_gw_call *call, const struct sl_invocation_result *result);

// finish.c: the one place where a request ends.
void sl_gateway__answer_error(struct sl_gw_call *call, int status, const char *message);
void sl_gateway__answer_begin(struct sl_gw_call *call, int status); // begin, apigw-requestid, CORS
void sl_gateway__finish(struct sl_gw_call *call, int status);       // after the response; the request may be gone

#endif
