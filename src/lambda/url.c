// SPDX-License-Identifier: Apache-2.0
//
// url: function URLs, the data plane: a request to {id}.lambda-url.{region}.{anything} becomes an invocation with
// payload format 2.0 and its answer the response ("Invoking Lambda function URLs", Lambda developer guide).
//
// The way of a request: host ─ function ─ preflight? ─ url_auth.c ─ event (invoke/proxy_event.h) ─ sl_invoke ─ answer.
// All on the request's loop. The event is built into a buffer that lives until the invocation is done; everything else
// is in the request's arena. If the client goes away the function runs on.
//
// With InvokeMode RESPONSE_STREAM the body goes out as the function makes it: a prelude (see sl_proxy_prelude) gives
// the status and the headers, without one the answer is 200 and everything is body. A client that reads slowly holds
// the function back. What goes wrong after the head is out can only be shown by a body that breaks off.
#include "lambda/lambda.h"

#include "base/clock.h"
#include "base/id.h"
#include "invoke/alias.h"
#include "invoke/invoke.h"
#include "invoke/proxy_event.h"
#include "lambda/url_auth.h"

enum { EVENT_MAX = SL_PAYLOAD_SYNC_MAX, HIGH = 64 * 1024 };

struct call {
    struct sl_http_request *request;
    struct sl_app *app;
    struct sl_invocation invocation;
    struct sl_buf event;
    struct sl_buf prelude;  // of a streamed answer, until it is complete
    bool preluded;          // it is being collected
    bool begun;             // the head of a streamed answer is out
    bool broken;            // the streamed answer is no response; what still comes of it is dropped
    struct sl_function *of; // whose URL it is, as far as sl_invoke_measure_url reads it, and its ARN
    int64_t begun_ns;
    int status; // of the answer, once begun
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

// The request has come to its end. Before the last of the answer, which takes `call` with it.
static void measure(const struct call *call, int status) {
    double latency_ms = (double)(sl_clock_mono_ns() - call->begun_ns) / 1e6;
    sl_invoke_measure_url(call->app->invoker, call->of, call->of->arn, status, latency_ms);
}

static void begin(struct call *call, int status) {
    struct sl_http_request *request = call->request;
    call->status = status;
    sl_http_begin(request, status);
    sl_http_add(request, SL_STR("x-amzn-RequestId"), sl_str_of(call->invocation.request_id));
    sl_http_add(request, SL_STR("X-Amzn-Trace-Id"), call->invocation.trace_id);
}

// The function failed, or what it answered is no response: 502 with this text, whatever the error was.
static void bad_gateway(struct call *call) {
    measure(call, 502);
    begin(call, 502);
    sl_http_add(call->request, SL_STR("Content-Type"), SL_STR("application/json"));
    sl_lambda__url_cors_add(call->request, &call->cors, false);
    sl_http_body(call->request, SL_STR("Internal Server Error"));
}

// A configured CORS answer replaces the function's own.
static bool is_cors_field(struct sl_str name) {
    return name.len >= 15 && sl_str_ieq(sl_str_sub(name, 0, 15), SL_STR("access-control-"));
}

static void respond_head(struct call *call, const struct sl_proxy_response *response) {
    struct sl_http_request *request = call->request;
    begin(call, response->status);
    for (unsigned i = 0; i < response->header_count; i++)
        if (!call->cors.on || !is_cors_field(response->headers[i].name))
            sl_http_add(request, response->headers[i].name, response->headers[i].value);
    for (unsigned i = 0; i < response->cookie_count; i++)
        sl_http_add(request, SL_STR("Set-Cookie"), response->cookies[i]);
    sl_lambda__url_cors_add(request, &call->cors, false);
}

static void respond(struct call *call, const struct sl_proxy_response *response) {
    measure(call, response->status);
    respond_head(call, response);
    sl_http_body(call->request, response->body);
}

static void refused_by_engine(struct call *call, const struct sl_error *err) {
    int status = err->kind == SL_E_THROTTLED ? 429 : sl_error_status(err->kind);
    if (status >= 500) status = 503;
    measure(call, status);
    if (err->kind == SL_E_THROTTLED)
        refuse(call->request, status, "TooManyRequestsException", SL_STR("Rate Exceeded."));
    else if (status == 503)
        refuse(call->request, status, "ServiceUnavailableException", SL_STR("Service Unavailable"));
    else
        refuse(call->request, status, sl_error_name(err->kind), sl_str_of(err->message));
}

// --- streamed answers
// ----------------------------------------------------------------------------------------------------------------------

static void stream_begin(struct sl_invocation *invocation, struct sl_str content_type) {
    struct call *call = invocation->user;
    call->preluded = sl_proxy_has_prelude(content_type);
    if (call->preluded) return;
    const struct sl_proxy_field type = {SL_STR("Content-Type"),
                                        content_type.len > 0 ? content_type : SL_STR("application/octet-stream")};
    const struct sl_proxy_response response = {.status = 200, .headers = &type, .header_count = 1};
    respond_head(call, &response);
    sl_http_stream(call->request);
    call->begun = true;
}

static void drained(struct sl_http_request *request) {
    struct call *call = request->user;
    sl_invoke_pause(&call->invocation, false);
}

static void send_part(struct call *call, struct sl_str bytes) {
    sl_http_part(call->request, bytes);
    if (sl_http_unsent(call->request) < HIGH) return;
    sl_http_on_drained(call->request, drained);
    sl_invoke_pause(&call->invocation, true);
}

static void stream_part(struct sl_invocation *invocation, struct sl_str bytes) {
    struct call *call = invocation->user;
    struct sl_proxy_response response;
    if (call->broken) return;
    if (call->begun) {
        send_part(call, bytes);
        return;
    }
    sl_buf_str(&call->prelude, bytes);
    struct sl_str all = sl_buf_view(&call->prelude);
    ptrdiff_t end = sl_proxy_prelude_len(all);
    if (end < 0) { // must appear in the first bytes
        call->broken = call->prelude.failed || all.len > SL_PROXY_PRELUDE_MAX;
        return;
    }
    struct sl_str document = sl_arena_dup(call->request->arena, sl_str_sub(all, 0, (size_t)end));
    if (sl_proxy_prelude(call->request->arena, document, &response, NULL) != 0) {
        call->broken = true;
        return;
    }
    respond_head(call, &response);
    sl_http_stream(call->request);
    call->begun = true;
    struct sl_str rest = sl_str_sub(all, (size_t)end + SL_PROXY_PRELUDE_END, all.len);
    if (rest.len > 0) send_part(call, rest);
}

static void stream_end(struct call *call, const struct sl_invocation_result *result) {
    if (call->begun) measure(call, call->status);
    if (!call->begun)
        bad_gateway(call); // failed before its head was complete
    else if (result->outcome == SL_INVOCATION_OK)
        sl_http_end(call->request);
    else
        sl_http_abort(call->request);
}

// --- whole answers
// ----------------------------------------------------------------------------------------------------------------------

// What a function that streams answers a URL that does not, or the other way round.
static int read_answer(struct call *call, const struct sl_invocation_result *result, struct sl_proxy_response *ret) {
    const struct sl_proxy_rules rules = {.default_type = SL_STR("application/json"), .lenient = true};
    struct sl_arena *arena = call->request->arena;
    if (sl_proxy_has_prelude(result->content_type)) {
        ptrdiff_t end = sl_proxy_prelude_len(result->payload);
        if (end < 0) return SL_E_INVALID;
        int kind = sl_proxy_prelude(arena, sl_str_sub(result->payload, 0, (size_t)end), ret, NULL);
        ret->body = sl_str_sub(result->payload, (size_t)end + SL_PROXY_PRELUDE_END, result->payload.len);
        return kind;
    }
    return sl_proxy_response_v2(arena, result->payload, &rules, ret, NULL);
}

static void invoked(struct sl_invocation *invocation, const struct sl_invocation_result *result) {
    struct call *call = invocation->user;
    struct sl_proxy_response response = {0};
    sl_buf_free(&call->event);
    sl_buf_free(&call->prelude); // before the answer, which takes `call` with it
    call->request->aborted = NULL;
    if (result->streamed)
        stream_end(call, result);
    else if (result->outcome == SL_INVOCATION_REFUSED)
        refused_by_engine(call, result->error);
    else if (result->outcome == SL_INVOCATION_ERROR || read_answer(call, result, &response) != 0)
        bad_gateway(call);
    else
        respond(call, &response);
}

static void client_gone(struct sl_http_request *request) {
    struct call *call = request->user;
    measure(call, 0);
    sl_invoke_abandon(call->app->invoker, &call->invocation);
    sl_buf_free(&call->event);
    sl_buf_free(&call->prelude);
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
        .account = call->of->account,
        .region = call->of->region,
        .name = call->of->name,
        .version = call->of->version,
        .invoked_arn = call->of->arn,
        .trace_id = trace_id.len > 0 ? trace_id : sl_trace_id_new(request->arena),
        .done = invoked,
        .user = call,
    };
    sl_uuid(invocation->request_id);
    if (function->url_streams) {
        invocation->begin = stream_begin;
        invocation->part = stream_part;
    }
    sl_buf_init(&call->event, EVENT_MAX);
    sl_buf_init(&call->prelude, SL_PROXY_PRELUDE_MAX + 64 * 1024);
    if (!build_event(call, id, account, authorizer)) {
        // The body fits the front's limit, and its escaped or base64 form does not fit an invocation's.
        sl_buf_free(&call->event);
        measure(call, 413);
        refuse(request, 413, "RequestEntityTooLargeException", SL_STR("Request Entity Too Large"));
        return;
    }
    invocation->payload = sl_buf_view(&call->event);
    request->user = call;
    request->aborted = client_gone;
    sl_invoke(call->app->invoker, invocation);
}

// What outlives a change of the function.
static struct sl_function *keep(struct sl_arena *arena, const struct sl_function *function) {
    struct sl_function *copy = sl_arena_zalloc(arena, sizeof *copy);
    if (!copy) return NULL;
    copy->account = sl_arena_dup(arena, function->account);
    copy->region = sl_arena_dup(arena, function->region);
    copy->name = sl_arena_dup(arena, function->name);
    copy->architecture = sl_arena_dup(arena, function->architecture);
    copy->arn = sl_arena_dup(arena, function->arn);
    copy->version = sl_arena_dup(
        arena, sl_alias_resolve(arena, function->account, function->region, function->name, function->version));
    return copy;
}

void sl_lambda_url_handle(struct sl_app *app, struct sl_http_request *request) {
    struct sl_str id = lower(request->arena, url_id(request)), authorizer, account;
    struct call *call = sl_arena_zalloc(request->arena, sizeof(*call));
    const struct sl_function *function = id.len > 0 ? sl_callable_find_url(app->invoker, id) : NULL;
    struct sl_error err = {0};
    if (call && !function) {
        refuse(request, 403, "AccessDeniedException", (struct sl_str){NULL, 0}); // recorded: a null message
        return;
    }
    if (!call || !(call->of = keep(request->arena, function))) {
        refuse(request, 503, "ServiceUnavailableException", SL_STR("Service Unavailable"));
        return;
    }
    call->request = request;
    call->app = app;
    call->begun_ns = sl_clock_mono_ns();
    sl_lambda__url_cors(request, function, &call->cors);
    if (call->cors.on && is_preflight(request)) {
        measure(call, 200);
        preflight(request, &call->cors);
        return;
    }
    if (sl_lambda__url_authorize(app, request, function, &authorizer, &account, &err) != 0) {
        measure(call, 403);
        refuse(request, 403, err.kind == SL_E_ACCESS_DENIED ? "AccessDeniedException" : sl_error_name(err.kind),
               sl_str_of(err.message));
        return;
    }
    invoke(call, function, id, account, authorizer);
}
