// SPDX-License-Identifier: Apache-2.0
//
// front: one port, several tenants. Which part of the server answers is decided by the host name first and the path
// second, as AWS does it: deployed APIs and function URLs by their host (or path form), then /_sluice/, then the AWS
// APIs.
//
// The decision is made once, when the head is complete, and kept in request->user until `handle` passes the request on.
#include "daemon/daemon.h"

#include "aws/aws.h"
#include "gateway/gateway.h"
#include "lambda/lambda.h"

enum part { PART_GATEWAY = 1, PART_URL, PART_LOCAL, PART_HOOK, PART_AWS, PART_NONE };

enum { URL_BODY_MAX = 6 * 1024 * 1024, LOCAL_BODY_MAX = 64 * 1024 };

static enum part part_of(struct sl_front *front, const struct sl_http_request *request) {
    if (sl_gateway_owns(front->app.gateway, request)) return PART_GATEWAY;
    if (sl_lambda_url_owns(&front->app, request)) return PART_URL;
    if (sl_local_owns(request)) return PART_LOCAL;
    if (sl_hooks_own(request)) return PART_HOOK;
    return sl_aws_claims(request) ? PART_AWS : PART_NONE;
}

// "localhost:4566", "x.localhost", "127.0.0.1": names that lead nowhere but to this machine, whatever a name server
// says.
static bool is_local(struct sl_str host) {
    if (sl_str_starts(host, SL_STR("[::1]"))) return true;
    ptrdiff_t port = sl_str_chr(host, ':', 0);
    if (port >= 0) host.len = (size_t)port;
    return sl_str_is(host, "localhost") || sl_str_ends(host, SL_STR(".localhost")) || sl_str_is(host, "127.0.0.1");
}

// A page in the user's browser may send requests to this port: simple ones from any site, and any at all if its own
// name suddenly resolves to this machine (DNS rebinding). What it could do is create and run functions and read their
// variables. So what a browser sends to anything but deployed APIs and function URLs must come from and go to a name of
// this machine. AWS's clients are no browsers.
static bool from_foreign_page(const struct sl_http_request *request) {
    struct sl_str origin = sl_http_header(request, SL_STR("Origin"));
    bool browser = origin.ptr || sl_str_starts(sl_http_header(request, SL_STR("User-Agent")), SL_STR("Mozilla/"));
    if (!browser) return false;
    if (!is_local(request->host)) return true;
    if (!origin.ptr) return false;
    ptrdiff_t at = sl_str_find(origin, SL_STR("://"));
    return at < 0 || !is_local(sl_str_sub(origin, (size_t)at + 3, origin.len)); // "null": a sandboxed or local page
}

static void refuse_page(struct sl_http_request *request) {
    sl_http_respond(request, 403, SL_STR("application/json"),
                    SL_STR("{\"message\":\"Requests of web pages from other origins are not accepted here.\"}"));
}

static void refuse_stranger(struct sl_http_request *request) {
    sl_http_respond(request, 403, SL_STR("application/json"),
                    SL_STR("{\"message\":\"This needs the signature of a caller who is allowed sluice:Operate.\"}"));
}

static int head(struct sl_http_request *request, size_t *max_body, void *user) {
    struct sl_front *front = user;
    enum part part = part_of(front, request);
    if ((part == PART_AWS || part == PART_LOCAL || part == PART_HOOK) && from_foreign_page(request)) {
        refuse_page(request);
        return 1;
    }
    int answered = 0;
    switch (part) {
    case PART_GATEWAY:
        *max_body = sl_gateway_max_body(front->app.gateway);
        break;
    case PART_URL:
        *max_body = URL_BODY_MAX;
        break;
    case PART_AWS:
        answered = sl_aws_head(front->aws, request, max_body);
        break;
    default:
        *max_body = LOCAL_BODY_MAX;
        break;
    }
    if (!answered) request->user = (void *)(uintptr_t)part;
    return answered;
}

// Objects are passed on as they come. The engine has request->user from then on.
static bool wants_parts(struct sl_http_request *request, void *user) {
    struct sl_front *front = user;
    return (uintptr_t)request->user == PART_AWS && sl_aws_wants_parts(front->aws, request);
}

static void body_part(struct sl_http_request *request, struct sl_str part, void *user) {
    (void)user;
    sl_aws_body_part(request, part);
}

static void handle(struct sl_http_request *request, void *user) {
    struct sl_front *front = user;
    if ((uintptr_t)request->user > PART_NONE) { // no part but an operation that has begun
        sl_aws_body_end(request);
        return;
    }
    enum part part = (enum part)(uintptr_t)request->user;
    request->user = NULL;
    switch (part) {
    case PART_GATEWAY:
        sl_gateway_handle(front->app.gateway, request);
        break;
    case PART_URL:
        sl_lambda_url_handle(&front->app, request);
        break;
    case PART_LOCAL:
    case PART_HOOK:
        if (!sl_daemon_may_operate(front, request))
            refuse_stranger(request);
        else if (part == PART_LOCAL)
            sl_local_handle(front, request);
        else
            sl_hooks_handle(front, request);
        break;
    case PART_AWS:
        sl_aws_handle(front->aws, request);
        break;
    case PART_NONE:
        sl_http_respond(
            request, 404, SL_STR("application/json"),
            SL_STR(
                "{\"message\":\"Not Found: neither a deployed API, a function URL nor an operation of an AWS API\"}"));
        break;
    }
}

// What http itself refuses (bad syntax, too large, too slow) is answered in the form that API Gateway uses.
static void refused(struct sl_http_conn *conn, int status, const char *reason, struct sl_buf *headers,
                    struct sl_buf *body, void *user) {
    (void)conn;
    (void)reason;
    (void)user;
    sl_buf_cstr(headers, "Content-Type: application/json\r\n");
    sl_buf_printf(body, "{\"message\":\"%s\"}", status == 413 ? "Request Entity Too Large" : sl_http_reason(status));
}

const struct sl_http_handler sl_front_handler = {
    .head = head, .wants_parts = wants_parts, .body_part = body_part, .handle = handle, .refused = refused};
