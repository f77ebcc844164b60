// SPDX-License-Identifier: Apache-2.0
//
// respond: from what became of the invocation to the client's response. Statuses: a function that failed, or answered
// against the payload format, is 500 "Internal Server Error"; one that could not be run now (throttled, too slow for
// the integration's timeout) is 503 "Service Unavailable"; an event above Lambda's limit is 413. All bodies are
// {"message": ...}, as recorded from AWS.
#include "gateway/internal.h"

#include "base/log.h"

// Fields that belong to the connection or are made by http itself (RFC 9110 section 7.6.1).
static bool is_dropped(struct sl_str name) {
    static const char *const names[] = {
        "connection", "content-length",    "date",    "keep-alive",     "proxy-authenticate", "proxy-connection", "te",
        "trailer",    "transfer-encoding", "upgrade", "apigw-requestid"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (sl_str_ieq(name, sl_str_of(names[i]))) return true;
    }
    return false;
}

static bool is_cors(struct sl_str name) {
    static const struct sl_str prefix = SL_STR_INIT("access-control-");
    return sl_str_ieq(sl_str_sub(name, 0, prefix.len), prefix);
}

static void refused(struct sl_gw_call *call, const struct sl_invocation_result *result) {
    int kind = result->error ? result->error->kind : SL_E_INTERNAL;
    switch (kind) {
    case SL_E_THROTTLED:
    case SL_E_UNAVAILABLE:
        sl_gateway__answer_error(call, 503, "Service Unavailable");
        break;
    case SL_E_REQUEST_TOO_LARGE:
    case SL_E_REQUEST_ENTITY_TOO_LARGE:
        sl_gateway__answer_error(call, 413, "Request Entity Too Large");
        break;
    default:
        sl_gateway__answer_error(call, 500, "Internal Server Error");
        break;
    }
}

static void send(struct sl_gw_call *call, const struct sl_proxy_response *response) {
    struct sl_http_request *request = call->request;
    bool cors = call->stage->cors.on; // "API Gateway ignores CORS headers returned from your backend integration"
    sl_gateway__answer_begin(call, response->status);
    for (unsigned i = 0; i < response->header_count; i++) {
        const struct sl_proxy_field *field = &response->headers[i];
        if (!is_dropped(field->name) && !(cors && is_cors(field->name)))
            sl_http_add(request, field->name, field->value);
    }
    for (unsigned i = 0; i < response->cookie_count; i++)
        sl_http_add(request, SL_STR("set-cookie"), response->cookies[i]);
    sl_gateway__finish(call, response->status);
    sl_http_body(request, response->body);
}

void sl_gateway__respond(struct sl_gw_call *call, const struct sl_invocation_result *result) {
    static const struct sl_proxy_rules rules = {.default_type = SL_STR_INIT("text/plain; charset=utf-8"),
                                                .lenient = false};
    struct sl_arena *arena = call->request->arena;
    struct sl_proxy_response response;
    struct sl_error err = {.message = "the function failed"};
    if (result->outcome == SL_INVOCATION_REFUSED) {
        refused(call, result);
        return;
    }
    int failed = result->outcome == SL_INVOCATION_ERROR ? SL_E_INVALID
                 : call->route->integration->format_v2
                     ? sl_proxy_response_v2(arena, result->payload, &rules, &response, &err)
                     : sl_gateway__response_v1(arena, result->payload, &response, &err);
    if (failed || !sl_gateway__map_response(call, &response)) {
        sl_log_debug("gateway", "API %.*s, route %.*s: %s", SL_FMT(call->api->id), SL_FMT(call->route->key),
                     err.message);
        sl_gateway__answer_error(call, 500, "Internal Server Error");
        return;
    }
    send(call, &response);
}
