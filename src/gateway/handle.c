// SPDX-License-Identifier: Apache-2.0
//
// handle: the way of one request to a deployed API: which API, which stage, CORS preflight, which route, throttle,
// permission, event, invocation, and (respond.c) the answer. Each station answers itself when it is the last one.
//
// Owner: the loop thread of the request's connection. The call lives in the request's arena; it refers to the compiled
// API from the moment it was found until sl_gateway__finish, so that a deployment in between changes nothing for it.
// When the client goes away the invocation is abandoned (the function runs on, as on AWS).
#include "gateway/internal.h"

#include "aws/policy.h"
#include "base/clock.h"
#include "base/encoding.h"
#include "base/log.h"
#include "invoke/alias.h"

static const struct sl_str path_form = SL_STR_INIT("/_aws/execute-api/");

// --- which API, which stage
// ------------------------------------------------------------------------------------------------------

static struct sl_str decoded(struct sl_gw_call *call, struct sl_str text) {
    struct sl_str result;
    return sl_percent_decode(call->request->arena, text, false, &result) ? result : text;
}

// Takes the first segment off an encoded path: "/a/b" gives "a" and "/b"; "/a" gives "a" and "/".
static struct sl_str first_segment(struct sl_str path, struct sl_str *ret_rest) {
    ptrdiff_t slash = sl_str_chr(path, '/', 1);
    size_t end = slash < 0 ? path.len : (size_t)slash;
    *ret_rest = slash < 0 ? SL_STR("/") : sl_str_sub(path, end, path.len);
    return sl_str_sub(path, 1, end);
}

// Finds out API and path. The path form may name "$default" explicitly, which the host form cannot.
static void locate(struct sl_gw_call *call) {
    struct sl_http_request *request = call->request;
    struct sl_str rest;
    call->raw_path = request->path;
    if (!sl_str_starts(request->path, path_form)) {
        call->api_id = sl_gateway__host_api(request->host);
    } else {
        call->path_form = true;
        call->api_id = first_segment(sl_str_sub(request->path, path_form.len - 1, request->path.len), &call->raw_path);
        if (sl_str_is(decoded(call, first_segment(call->raw_path, &rest)), "$default")) call->raw_path = rest;
    }
    // Host names are compared in lower case, and so are ids.
    char *lower = sl_arena_alloc(request->arena, call->api_id.len + 1);
    for (size_t i = 0; lower && i < call->api_id.len; i++) {
        char c = call->api_id.ptr[i];
        lower[i] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
    }
    call->api_id.ptr = lower ? lower : "";
    if (!lower) call->api_id.len = 0;
}

static void choose_stage(struct sl_gw_call *call) {
    struct sl_str rest, name = decoded(call, first_segment(call->raw_path, &rest));
    call->stage = call->api->default_stage;
    call->stage_path = call->raw_path;
    for (unsigned i = 0; i < call->api->stage_count; i++) {
        struct sl_gw_stage *stage = &call->api->stages[i];
        if (stage == call->api->default_stage || !sl_str_eq(stage->name, name)) continue;
        call->stage = stage;
        call->stage_path = rest;
    }
    if (call->stage && (!call->stage->deployed || call->stage->disabled)) call->stage = NULL;
}

// --- checks
// ----------------------------------------------------------------------------------------------------------------------

// "Total combined size of request line and header values: 10,240 bytes" (HTTP API quotas page).
static bool head_too_large(const struct sl_http_request *request) {
    size_t size = request->method_text.len + request->target.len + sizeof " HTTP/1.1 \r\n";
    for (unsigned i = 0; i < request->header_count; i++)
        size += request->headers[i].name.len + request->headers[i].value.len + sizeof ": \r\n" - 1;
    return size > SL_GATEWAY_MAX_HEAD;
}

// arn:aws:execute-api:REGION:ACCOUNT:API/STAGE/METHOD/path/{variable}, or API/STAGE/$default.
static struct sl_str source_arn(struct sl_gw_call *call) {
    const struct sl_gw_api *api = call->api;
    struct sl_str resource = call->route->resource;
    bool is_default = resource.len > 0 && resource.ptr[0] == '$';
    return sl_arena_printf(call->request->arena, "arn:%.*s:execute-api:%.*s:%.*s:%.*s/%.*s/%.*s%.*s",
                           SL_FMT(api->partition), SL_FMT(api->region), SL_FMT(api->account), SL_FMT(api->id),
                           SL_FMT(call->stage->name), SL_FMT(is_default ? SL_STR("") : call->request->method_text),
                           SL_FMT(resource));
}

static bool ask_policy(struct sl_gw_call *call, const struct sl_function *function) {
    const struct sl_policy_value values[] = {{SL_STR("aws:SourceArn"), source_arn(call)},
                                             {SL_STR("aws:SourceAccount"), call->api->account}};
    const struct sl_policy_request request = {
        .service = SL_STR("apigateway.amazonaws.com"),
        .action = SL_STR("lambda:InvokeFunction"),
        .resource = call->route->integration->invoked_arn,
        .values = values,
        .value_count = 2,
    };
    struct sl_json *policy;
    if (function->policy.len == 0 || sl_json_parse(call->request->arena, function->policy, &policy, NULL)) return false;
    return sl_policy_allows(policy, &request);
}

// Whether the function lets this route invoke it. The policy is read once per route, method and version of the policy.
static bool permitted(struct sl_gw_call *call) {
    const struct sl_gw_integration *integration = call->route->integration;
    if (integration->name.len == 0) return false;
    if (integration->role) return true;
    const struct sl_function *function = sl_callable_find(
        call->gateway->invoker, integration->account, integration->region, integration->name, integration->qualifier);
    if (!function) return false;
    int method = (int)call->request->method < SL_GW_METHODS ? (int)call->request->method : SL_GW_ANY;
    _Atomic uint64_t *cached = &call->route->permission[method];
    uint64_t known = atomic_load_explicit(cached, memory_order_relaxed);
    if (known != 0 && (known - 1) >> 1 == function->policy_generation) return (known - 1) & 1;
    bool allowed = ask_policy(call, function);
    if (!allowed) // once per route and policy: the client only sees a 500
        sl_log_warn("gateway",
                    "API %.*s, route %.*s: the policy of %.*s does not let apigateway.amazonaws.com invoke it for "
                    "%.*s; see AddPermission",
                    SL_FMT(call->api->id), SL_FMT(call->route->key), SL_FMT(integration->invoked_arn),
                    SL_FMT(source_arn(call)));
    // A method that is none of the seven has no slot of its own: its ARN differs from request to request.
    if (method < SL_GW_METHODS)
        atomic_store_explicit(cached, (function->policy_generation << 1 | (allowed ? 1 : 0)) + 1, memory_order_relaxed);
    return allowed;
}

// --- the event
// -------------------------------------------------------------------------------------------------------------------

static bool is_hop_by_hop(struct sl_str name) {
    static const char *const names[] = {"connection",         "content-length",   "expect", "keep-alive",
                                        "proxy-authenticate", "proxy-connection", "te",     "trailer",
                                        "transfer-encoding",  "upgrade"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (sl_str_ieq(name, sl_str_of(names[i]))) return true;
    }
    return false;
}

// The client's fields without those of the connection, and a Content-Length, which recorded events always have.
static bool fill_headers(struct sl_gw_call *call) {
    struct sl_http_request *request = call->request;
    struct sl_proxy_field *fields =
        sl_arena_alloc(request->arena, sizeof(*fields) * ((size_t)request->header_count + 1));
    unsigned count = 0;
    if (!fields) return false;
    for (unsigned i = 0; i < request->header_count; i++) {
        if (!is_hop_by_hop(request->headers[i].name))
            fields[count++] = (struct sl_proxy_field){request->headers[i].name, request->headers[i].value};
    }
    fields[count++] =
        (struct sl_proxy_field){SL_STR("content-length"), sl_arena_printf(request->arena, "%zu", request->body.len)};
    call->event.headers = fields;
    call->event.header_count = count;
    return true;
}

// The invocation gets the whole trace id; the event's header only its root, unless the client sent more (as in recorded
// events).
static void fill_trace(struct sl_gw_call *call) {
    struct sl_str given = sl_http_header(call->request, SL_STR("x-amzn-trace-id"));
    bool made = sl_str_find(given, SL_STR("Root=")) < 0;
    call->trace_id = made ? sl_trace_id_new(call->request->arena) : given;
    ptrdiff_t end = made ? sl_str_chr(call->trace_id, ';', 0) : -1;
    call->event.trace_id = end < 0 ? call->trace_id : sl_str_sub(call->trace_id, 0, (size_t)end);
}

static void fill_host(struct sl_gw_call *call) {
    struct sl_str host = call->request->host;
    ptrdiff_t colon = -1;
    for (size_t i = host.len; i-- > 0 && host.ptr[i] != ']' && colon < 0;) {
        if (host.ptr[i] == ':') colon = (ptrdiff_t)i;
    }
    call->event.forwarded_port = colon < 0 ? SL_STR("80") : sl_str_sub(host, (size_t)colon + 1, host.len);
    struct sl_str name = colon < 0 ? host : sl_str_sub(host, 0, (size_t)colon);
    call->event.domain_name = call->path_form ? sl_arena_printf(call->request->arena, "%.*s.execute-api.%.*s",
                                                                SL_FMT(call->api->id), SL_FMT(name))
                                              : name;
    call->event.domain_prefix = call->api->id;
    call->event.forwarded_proto = SL_STR("http");
}

static bool fill_event(struct sl_gw_call *call) {
    struct sl_http_request *request = call->request;
    struct sl_proxy_request *event = &call->event;
    event->route_key = call->route->key;
    event->raw_path = event->path = call->event_path = decoded(call, call->raw_path);
    event->raw_query = request->query;
    event->path_parameters = call->params = sl_gateway__path_params(request->arena, call->route, call->path);
    event->path_parameter_count = call->params ? call->route->param_count : 0;
    event->stage_variables = call->stage->variables;
    event->stage_variable_count = call->stage->variable_count;
    event->account_id = call->api->account;
    event->api_id = call->api->id;
    event->method = request->method_text;
    event->protocol = request->minor == 0 ? SL_STR("HTTP/1.0") : SL_STR("HTTP/1.1");
    event->source_ip = event->forwarded_for = sl_http_conn_peer(request->conn);
    event->user_agent = sl_http_header(request, SL_STR("user-agent"));
    event->request_id = sl_str_of(call->request_id);
    event->stage = call->stage->name;
    event->time_ms = request->received_ms;
    event->body = request->body;
    event->content_type = sl_http_header(request, SL_STR("content-type"));
    fill_trace(call);
    fill_host(call);
    return fill_headers(call) && !sl_arena_failed(request->arena);
}

static bool write_event(struct sl_gw_call *call) {
    call->buffer = sl_gateway__buffer_take(call->gateway, call->thread);
    if (!call->buffer || !fill_event(call) || !sl_gateway__map_request(call)) return false;
    struct sl_buf *out = &call->buffer->buf;
    return call->route->integration->format_v2
               ? sl_proxy_event_v2(out, call->request->arena, &call->event)
               : sl_gateway__event_v1(out, call->request->arena, &call->event, call->route->resource);
}

// --- the invocation
// --------------------------------------------------------------------------------------------------------------

static void done(struct sl_invocation *invocation, const struct sl_invocation_result *result) {
    struct sl_gw_call *call = invocation->user;
    call->invoking = false;
    sl_timer_stop(&call->timer);
    sl_gateway__respond(call, result);
}

static void too_late(struct sl_timer *timer) {
    struct sl_gw_call *call = SL_CONTAINER(timer, struct sl_gw_call, timer);
    call->invoking = false;
    sl_invoke_abandon(call->gateway->invoker, &call->invocation);
    sl_gateway__answer_error(call, 503, "Service Unavailable");
}

static void aborted(struct sl_http_request *request) {
    struct sl_gw_call *call = request->user;
    if (call->invoking) sl_invoke_abandon(call->gateway->invoker, &call->invocation);
    call->invoking = false;
    sl_gateway__finish(call, 499); // counted as the client's doing, as nginx does
}

static void invoke(struct sl_gw_call *call) {
    const struct sl_gw_integration *integration = call->route->integration;
    struct sl_invocation *invocation = &call->invocation;
    invocation->account = integration->account;
    invocation->region = integration->region;
    invocation->name = integration->name;
    invocation->version = sl_alias_resolve(call->request->arena, integration->account, integration->region,
                                           integration->name, integration->qualifier);
    invocation->invoked_arn = integration->invoked_arn;
    invocation->payload = sl_buf_view(&call->buffer->buf);
    invocation->trace_id = call->trace_id;
    invocation->done = done;
    invocation->user = call;
    call->invoking = true;
    call->request->aborted = aborted;
    sl_timer_start(sl_http_conn_loop(call->request->conn), &call->timer, integration->timeout_ms, too_late);
    sl_invoke(call->gateway->invoker, invocation); // may have answered when it returns: the call is gone then
}

// --- the stations
// ----------------------------------------------------------------------------------------------------------------

static void make_request_id(char out[static SL_GW_REQUEST_ID]) {
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    unsigned char random[SL_GW_REQUEST_ID - 2];
    sl_random_bytes(random, sizeof random);
    for (size_t i = 0; i < sizeof random; i++) out[i] = alphabet[random[i] & 63];
    out[SL_GW_REQUEST_ID - 2] = '=';
    out[SL_GW_REQUEST_ID - 1] = '\0';
}

static void preflight(struct sl_gw_call *call) {
    struct sl_http_request *request = call->request;
    const struct sl_gw_cors *cors = &call->stage->cors;
    struct sl_str origin = call->origin;
    call->origin = (struct sl_str){0}; // the fields of a preflight instead of those that every answer has
    sl_gateway__answer_begin(call, 204);
    sl_gateway__cors_add(cors, request, origin, true);
    sl_gateway__finish(call, 204);
    sl_http_body(request, SL_STR(""));
}

static void find_route(struct sl_gw_call *call) {
    struct sl_http_request *request = call->request;
    bool cors = call->stage->cors.on;
    if (cors && sl_gateway__cors_is_preflight(request)) {
        preflight(call);
        return;
    }
    call->path = sl_arena_alloc(request->arena, sizeof(*call->path));
    if (!call->path || !sl_gateway__path_split(request->arena, call->stage_path, call->path)) {
        sl_gateway__answer_error(call, 500, "Internal Server Error");
        return;
    }
    call->route = sl_gateway__match(call->stage, call->path, (int)request->method);
    if (!call->route) {
        if (cors && request->method == SL_HTTP_OPTIONS)
            preflight(call); // answered even without a route for OPTIONS
        else
            sl_gateway__answer_error(call, 404, "Not Found");
    } else if (!sl_gateway__throttle_take(&call->route->throttle, call->started_ns)) {
        sl_gateway__answer_error(call, 429, "Too Many Requests");
    } else if (!permitted(call) || !write_event(call)) {
        sl_gateway__answer_error(call, 500, "Internal Server Error");
    } else if (call->buffer->buf.len > SL_PAYLOAD_SYNC_MAX) {
        sl_gateway__answer_error(call, 413, "Request Entity Too Large");
    } else {
        invoke(call);
    }
}

void sl_gateway_handle(struct sl_gateway *gateway, struct sl_http_request *request) {
    struct sl_gw_call *call = sl_arena_zalloc(request->arena, sizeof(*call));
    if (!call) {
        sl_http_respond(request, 500, SL_STR("application/json"), SL_STR("{\"message\":\"Internal Server Error\"}"));
        return;
    }
    call->request = request;
    call->gateway = gateway;
    call->started_ns = request->received_ns;
    call->thread = (unsigned)sl_loop_index(sl_http_conn_loop(request->conn));
    call->origin = sl_http_header(request, SL_STR("origin"));
    request->user = call;
    make_request_id(call->request_id);
    locate(call);
    struct sl_gw_api *api = sl_gateway__find(gateway, call->api_id);
    if (api) {
        call->api = api;
        _Atomic int64_t *refs = &api->refs[call->thread].count;
        atomic_store_explicit(refs, atomic_load_explicit(refs, memory_order_relaxed) + 1, memory_order_relaxed);
        choose_stage(call);
    }
    if (head_too_large(request))
        sl_gateway__answer_error(call, 431, "Request Header Fields Too Large");
    else if (request->body.len > SL_GATEWAY_MAX_BODY)
        sl_gateway__answer_error(call, 413, "Request Entity Too Large");
    else if (!call->stage)
        sl_gateway__answer_error(call, 404, "Not Found");
    else
        find_route(call);
}
