// SPDX-License-Identifier: Apache-2.0
//
// url: function URLs, the data plane: a request to {id}.lambda-url.{region}.{anything} becomes an invocation with
// payload format 2.0 and its answer the response ("Invoking Lambda function URLs", Lambda developer guide).
//
// The way of a request: host ─ function ─ preflight? ─ url_auth.c ─ event (invoke/proxy_event.h) ─ sl_invoke ─ answer.
// All on the request's loop. The event is built into a buffer that lives until the invocation is done; everything else
// is in the request's arena. If the client goes away the function runs on.
//
// InvokeMode RESPONSE_STREAM is accepted and answered buffered: the same bytes, later. Clients notice only the time of
// the first byte.
#include "lambda/lambda.h"

#include "base/clock.h"
#include "base/id.h"
#include "invoke/alias.h"
#include "invoke/invoke.h"
#include "invoke/proxy_event.h"
#include "lambda/url_auth.h"

enum { EVENT_MAX = SL_PAYLOAD_SYNC_MAX };

struct call {
    struct sl_http_request *request;
    struct sl_app *app;
    struct sl_invocation invocation;
    struct sl_buf event;
    struct sl_lambda__cors cors;
};

// "{id}.lambda-url.": the id, or an empty view for any other host.
static struct sl_str url_id(const struct sl_http_request *request) {
    ptrdiff_t dot = sl_str_chr(request->host, '.', 0);
    const struct sl_str label = SL_STR("lambda-url.");
    if (dot <= 0) return SL_STR("");
    struct sl_str rest = sl_str_sub(request->host, (size_t)dot + 1, request->host.len);
    bool form = rest.len > label.len && sl_str_ieq(sl_str_sub(rest, 0, label.len), label);
    return form ? sl_str_sub(request->host, 0, (size_t)dot) : SL_STR("");
}

bool sl_lambda_url_owns(struct sl_app *app, const struct sl_http_request *request) {
    (void)app;
    return url_id(request).len > 0;
}

static struct sl_str lower(struct sl_arena *arena, struct sl_str s) {
    char *copy = sl_arena_alloc(arena, s.len);
    for (size_t i = 0; copy && i < s.len; i++)
        copy[i] = (char)(s.ptr[i] >= 'A' && s.ptr[i] <= 'Z' ? s.ptr[i] + ('a' - 'A') : s.ptr[i]);
    return sl_str_n(copy, copy ? s.len : 0);
}

// --- answers
// -----------------------------------------------------------------------------------------------------------------------------

// {"Message": text}, or null when there is none.
static void refuse(struct sl_http_request *request, int status, const char *type, struct sl_str message) {
    struct sl_buf body;
    sl_buf_init(&body, 64 * 1024);
    sl_buf_cstr(&body, "{\"Message\":");
    if (message.ptr)
        sl_json_write_string(&body, message);
    else
        sl_buf_cstr(&body, "null");
    sl_buf_char(&body, '}');
    sl_http_begin(request, status);
    sl_http_add(request, SL_STR("Content-Type"), SL_STR("application/json"));
    if (type) sl_http_add(request, SL_STR("x-amzn-ErrorType"), sl_str_of(type));
    sl_http_body(request, sl_buf_view(&body));
    sl_buf_free(&body);
}

static void preflight(struct sl_http_request *request, const struct sl_lambda__cors *cors) {
    sl_http_begin(request, 200);
    sl_lambda__url_cors_add(request, cors, true);
    sl_http_body(request, SL_STR(""));
}

static bool is_preflight(const struct sl_http_request *request) {
    return request->method == SL_HTTP_OPTIONS && sl_http_header(request, SL_STR("Origin")).ptr &&
           sl_http_header(request, SL_STR("Access-Control-Request-Method")).ptr;
}

static void begin(struct call *call, int status) {
    struct sl_http_request *request = call->request;
    sl_http_begin(request, status);
    sl_http_add(request, SL_STR("x-amzn-RequestId"), sl_str_of(call->invocation.request_id));
    sl_http_add(request, SL_STR("X-Amzn-Trace-Id"), call->invocation.trace_id);
}

// The function failed, or what it answered is no response: 502 with this text, whatever the error was.
static void bad_gateway(struct call *call) {
    begin(call, 502);
    sl_http_add(call->request, SL_STR("Content-Type"), SL_STR("application/json"));
    sl_lambda__url_cors_add(call->request, &call->cors, false);
    sl_http_body(call->request, SL_STR("Internal Server Error"));
}

// A configured CORS answer replaces the function's own.
static bool is_cors_field(struct sl_str name) {
    return name.len >= 15 && sl_str_ieq(sl_str_sub(name, 0, 15), SL_STR("access-control-"));
}

static void respond(struct call *call, const struct sl_proxy_response *response) {
    struct sl_http_request *request = call->request;
    begin(call, response->status);
    for (unsigned i = 0; i < response->header_count; i++)
        if (!call->cors.on || !is_cors_field(response->headers[i].name))
            sl_http_add(request, response->headers[i].name, response->headers[i].value);
    for (unsigned i = 0; i < response->cookie_count; i++)
        sl_http_add(request, SL_STR("Set-Cookie"), response->cookies[i]);
    sl_lambda__url_cors_add(request, &call->cors, false);
    sl_http_body(request, response->body);
}

static void refused_by_engine(struct call *call, const struct sl_error *err) {
    if (err->kind == SL_E_THROTTLED)
        refuse(call->request, 429, "TooManyRequestsException", SL_STR("Rate Exceeded."));
    else if (sl_error_status(err->kind) < 500)
        refuse(call->request, sl_error_status(err->kind), sl_error_name(err->kind), sl_str_of(err->message));
    else
        refuse(call->request, 503, "ServiceUnavailableException", SL_STR("Service Unavailable"));
}

static void invoked(struct sl_invocation *invocation, const struct sl_invocation_result *result) {
    struct call *call = invocation->user;
    struct sl_http_request *request = call->request;
    const struct sl_proxy_rules rules = {.default_type = SL_STR("application/json"), .lenient = true};
    struct sl_proxy_response response;
    sl_buf_free(&call->event);
    request->aborted = NULL;
    if (result->outcome == SL_INVOCATION_REFUSED)
        refused_by_engine(call, result->error);
    else if (result->outcome == SL_INVOCATION_ERROR ||
             sl_proxy_response_v2(request->arena, result->payload, &rules, &response, NULL) != 0)
        bad_gateway(call);
    else
        respond(call, &response);
}

static void client_gone(struct sl_http_request *request) {
    struct call *call = request->user;
    sl_invoke_abandon(call->app->invoker, &call->invocation);
    sl_buf_free(&call->event);
}

// --- the event
// -----------------------------------------------------------------------------------------------------------------------------

static bool build_event(struct call *call, struct sl_str id, struct sl_str account, struct sl_str authorizer) {
    struct sl_http_request *http = call->request;
    struct sl_proxy_field *fields = sl_arena_alloc(http->arena, sizeof(*fields) * ((size_t)http->header_count + 1));
    ptrdiff_t colon = sl_str_chr(http->host, ':', 0);
    if (!fields) return false;
    for (unsigned i = 0; i < http->header_count; i++)
        fields[i] = (struct sl_proxy_field){http->headers[i].name, http->headers[i].value};
    struct sl_str port = colon < 0 ? SL_STR("80") : sl_str_sub(http->host, (size_t)colon + 1, http->host.len);
    const struct sl_proxy_request request = {
        .route_key = SL_STR("$default"),
        .raw_path = http->path,
        .raw_query = http->query,
        .headers = fields,
        .header_count = http->header_count,
        .keep_cookie_header = true,
        .forwarded_for = sl_http_conn_peer(http->conn),
        .forwarded_port = port,
        .forwarded_proto = SL_STR("http"),
        .trace_id = call->invocation.trace_id,
        .account_id = account,
        .api_id = id,
        .domain_name = colon < 0 ? http->host : sl_str_sub(http->host, 0, (size_t)colon),
        .domain_prefix = id,
        .authorizer = authorizer,
        .method = http->method_text,
        .path = http->path,
        .protocol = http->minor == 0 ? SL_STR("HTTP/1.0") : SL_STR("HTTP/1.1"),
        .source_ip = sl_http_conn_peer(http->conn),
        .user_agent = sl_http_header(http, SL_STR("User-Agent")),
        .request_id = sl_str_of(call->invocation.request_id),
        .stage = SL_STR("$default"),
        .time_ms = http->received_ms,
        .body = http->body,
        .content_type = sl_http_header(http, SL_STR("Content-Type")),
    };
    return sl_proxy_event_v2(&call->event, http->arena, &request);
}

static void invoke(struct call *call, const struct sl_function *function, struct sl_str id, struct sl_str account,
                   struct sl_str authorizer) {
    struct sl_http_request *request = call->request;
    struct sl_str trace_id = sl_http_header(request, SL_STR("X-Amzn-Trace-Id"));
    struct sl_invocation *invocation = &call->invocation;
    *invocation = (struct sl_invocation){
        .account = sl_arena_dup(request->arena, function->account),
        .region = sl_arena_dup(request->arena, function->region),
        .name = sl_arena_dup(request->arena, function->name),
        .version = sl_arena_dup(request->arena, sl_alias_resolve(request->arena, function->account, function->region,
                                                                 function->name, function->version)),
        .invoked_arn = sl_arena_dup(request->arena, function->arn),
        .trace_id = trace_id.len > 0 ? trace_id : sl_trace_id_new(request->arena),
        .done = invoked,
        .user = call,
    };
    sl_uuid(invocation->request_id);
    sl_buf_init(&call->event, EVENT_MAX);
    if (!build_event(call, id, account, authorizer)) {
        // The body fits the front's limit, and its escaped or base64 form does not fit an invocation's.
        sl_buf_free(&call->event);
        refuse(request, 413, "RequestEntityTooLargeException", SL_STR("Request Entity Too Large"));
        return;
    }
    invocation->payload = sl_buf_view(&call->event);
    request->user = call;
    request->aborted = client_gone;
    sl_invoke(call->app->invoker, invocation);
}

void sl_lambda_url_handle(struct sl_app *app, struct sl_http_request *request) {
    struct sl_str id = lower(request->arena, url_id(request)), authorizer, account;
    struct call *call = sl_arena_zalloc(request->arena, sizeof(*call));
    const struct sl_function *function = id.len > 0 ? sl_callable_find_url(app->invoker, id) : NULL;
    struct sl_error err = {0};
    if (!call) {
        refuse(request, 503, "ServiceUnavailableException", SL_STR("Service Unavailable"));
        return;
    }
    if (!function) {
        refuse(request, 403, "AccessDeniedException", (struct sl_str){NULL, 0}); // recorded: a null message
        return;
    }
    call->request = request;
    call->app = app;
    sl_lambda__url_cors(request, function, &call->cors);
    if (call->cors.on && is_preflight(request)) {
        preflight(request, &call->cors);
        return;
    }
    if (sl_lambda__url_authorize(request, function, &authorizer, &account, &err) != 0) {
        refuse(request, 403, err.kind == SL_E_ACCESS_DENIED ? "AccessDeniedException" : sl_error_name(err.kind),
               sl_str_of(err.message));
        return;
    }
    invoke(call, function, id, account, authorizer);
}
