// SPDX-License-Identifier: Apache-2.0
//
// engine: the way of one API request, see aws.h and op.h. A `struct call` is one request in progress. For SL_OP_STORE
// and SL_OP_WAIT it is allocated with an arena of its own into which the request is copied, because the client may go
// away while other threads work on it; for SL_OP_DATA it lives in the request's arena and allocates nothing more.
//
//   sl_aws_handle ─ route ─ start_data ──────────────────────────── entry->run ── sl_op_answer ─ send
//                        └─ start_own ─ [worker] understand ─ store job: run, publish ─ finish ─ send
//                                                         └── SL_OP_WAIT: entry->run ... sl_op_answer ─ finish ─ send
//
// Invariants: a call is answered exactly once, or not at all if its client went away; `http` is read and written on the
// loop thread only.
#include "aws/call.h"

#include <stdlib.h>

#include "aws/route_s3.h"
#include "base/clock.h"
#include "base/encoding.h"
#include "http/http.h"
#include "store/store.h"

enum { HOISTED = 64 }; // headers that a presigned URL may bring as parameters

// --- answering
// ---------------------------------------------------------------------------------------------------------------------

static void finish(struct call *call);

static void end(struct call *call) {
    if (call->entry->mode == SL_OP_WAIT) {
        finish(call);
    } else {
        sl_call__send(call);
    }
}

void sl_op_answer(struct sl_op *op) { end((struct call *)op); }

void sl_op_answer_error(struct sl_op *op, const struct sl_error *err) {
    sl_call__fail_with((struct call *)op, err);
    end((struct call *)op);
}

struct sl_loop *sl_op_loop(const struct sl_op *op) {
    return ((const struct call *)op)->home;
}

void sl_op_begin(struct sl_op *op, int status) {
    struct call *call = (struct call *)op;
    struct sl_reply reply;
    if (sl_aws__encode(call, &reply)) reply = (struct sl_reply){0};
    reply.status = status;
    reply.content_type = (struct sl_str){0}; // the handler's, by sl_http_add
    sl_aws__begin(call, &reply);
}

// --- operations with a copy of their request: those that run in the store, and those that wait
// ----------------------------------------------------------------------------------------------

static void client_gone(struct sl_http_request *http) {
    struct call *call = http->user;
    call->http = NULL;
    if (call->op.gone) call->op.gone(&call->op);
}

// Loop thread; the end of every SL_OP_STORE and SL_OP_WAIT call.
static void finish(struct call *call) {
    struct sl_aws *aws = call->aws;
    if (call->prepared && !call->published && call->entry->discard) call->entry->discard(&call->op);
    if (call->http) {
        call->http->aborted = NULL;
        if (call->op.body && !call->received) sl_http_pause(call->http, false); // the rest is discarded
        if (!call->sending)
            sl_call__send(call);
        else if (call->kind)
            sl_http_abort(call->http);
        else
            sl_http_end(call->http);
    }
    sl_chunked_body_free(call->body.chunked);
    sl_arena_free(&call->arena);
    free(call);
    atomic_fetch_sub(&aws->busy, 1);
}

static int job_run(struct sl_store_job *job, struct sl_store_tx *tx, struct sl_error *err) {
    struct call *call = (struct call *)((char *)job - offsetof(struct call, job));
    call->op.tx = tx;
    int kind = call->entry->run(&call->op, err);
    call->op.tx = NULL;
    return kind;
}

static void job_committed(struct sl_store_job *job) {
    struct call *call = (struct call *)((char *)job - offsetof(struct call, job));
    if (!call->entry->publish) return;
    call->entry->publish(&call->op);
    call->published = true;
}

static void job_done(struct sl_store_job *job, int result, const struct sl_error *err) {
    struct call *call = (struct call *)((char *)job - offsetof(struct call, job));
    if (result) sl_call__fail_with(call, err);
    finish(call);
}

// Operations that change nothing need not wait for the commit. The query and json protocols post everything; there the
// name tells.
static bool reads_only(const struct sl_operation *operation) {
    if (operation->service->protocol == SL_PROTOCOL_REST_JSON || operation->service->protocol == SL_PROTOCOL_REST_XML)
        return sl_str_is(operation->method, "GET") || sl_str_is(operation->method, "HEAD");
    return sl_str_starts(operation->name, SL_STR("Get")) || sl_str_starts(operation->name, SL_STR("List")) ||
           sl_str_starts(operation->name, SL_STR("Describe")) || sl_str_starts(operation->name, SL_STR("Filter"));
}

static void submit(struct call *call) {
    if (!call->kind && call->entry->mode == SL_OP_WAIT) {
        if (call->entry->run(&call->op, &call->error) == SL_OK) return;
        sl_call__fail_with(call, &call->error);
    } else if (!call->kind) {
        call->job = (struct sl_store_job){
            .run = job_run, .committed = job_committed, .done = job_done, .read_only = reads_only(call->op.model)};
        if (sl_store_submit(call->aws->config.store, &call->job, &call->error) == SL_OK) return;
        sl_call__fail_with(call, &call->error);
    }
    finish(call);
}

static void own_work_run(void *argument) {
    struct call *call = argument;
    call->work_run(&call->op);
}

static void own_work_done(void *argument) {
    struct call *call = argument;
    call->work_done(&call->op);
}

int sl_op_work(struct sl_op *op, void (*run)(struct sl_op *op), void (*done)(struct sl_op *op), struct sl_error *err) {
    struct call *call = (struct call *)op;
    const struct sl_aws_config *config = &call->aws->config;
    call->work_run = run;
    call->work_done = done;
    if (config->offload) return config->offload(config->user, call->home, own_work_run, own_work_done, call, err);
    run(op);
    done(op);
    return SL_OK;
}

static void work_run(void *argument) { sl_call__understand(argument); }
static void work_done(void *argument) { submit(argument); }

// The request's text, copied into the call's arena.
static bool copy_request(struct call *call, const struct sl_aws_request *from) {
    struct sl_arena *arena = &call->arena;
    struct sl_http_header *headers = sl_arena_alloc(arena, (from->header_count + HOISTED) * sizeof *headers);
    unsigned count = from->header_count;
    if (!headers) return false;
    call->own_headers = count;
    call->peer = sl_arena_dup(arena, call->peer);
    for (unsigned i = 0; i < count; i++) {
        headers[i].name = sl_arena_dup(arena, from->headers[i].name);
        headers[i].value = sl_arena_dup(arena, from->headers[i].value);
    }
    struct sl_str query = sl_arena_dup(arena, from->query);
    if (sl_call__is_xml(call)) count += sl_s3_hoisted(arena, query, headers + count, HOISTED);
    call->request = (struct sl_aws_request){.method = sl_arena_dup(arena, from->method),
                                            .path = sl_arena_dup(arena, from->path),
                                            .query = query,
                                            .host = sl_arena_dup(arena, from->host),
                                            .headers = headers,
                                            .header_count = count,
                                            .body = sl_arena_dup(arena, from->body),
                                            .packed = {0}};
    if (from->packed.ptr) call->request.packed = sl_arena_dup(arena, from->packed);
    call->op.host = call->request.host;
    call->op.trace = sl_aws_request_header(&call->request, SL_STR("X-Amzn-Trace-Id"));
    return !sl_arena_failed(arena);
}

// Whether the operation takes its body as it comes.
static bool streams(const struct sl_operation *operation) {
    const struct sl_shape *input = operation ? operation->input : NULL;
    return input && input->payload >= 0 && operation->service->protocol == SL_PROTOCOL_REST_XML &&
           input->members[input->payload].streaming;
}

static void start_own(const struct call *routed) {
    struct sl_http_request *http = routed->http;
    struct call *call = malloc(sizeof *call);
    if (!call) {
        sl_http_respond(http, 503, SL_STR("text/plain"), SL_STR("out of memory\n"));
        return;
    }
    *call = *routed;
    // Decoding base64 needs as much again; the tree of a JSON body is larger than its text.
    sl_arena_init(&call->arena, 8 * routed->request.body.len + (64u << 20));
    call->op.arena = &call->arena;
    http->user = call;
    http->aborted = client_gone;
    atomic_fetch_add(&call->aws->busy, 1);
    bool copied = copy_request(call, &routed->request);
    // The labels are views into the path: route again, in the copy.
    bool rest = call->op.protocol == SL_PROTOCOL_REST_JSON;
    if (!copied || (rest && !sl_route_rest(call->service, &call->request, &call->route)) ||
        (sl_call__is_xml(call) && !sl_s3_route(&call->request, &call->route))) {
        sl_call__fail(call, SL_E_NO_MEMORY, SL_STR("request too large"));
        finish(call);
        return;
    }
    call->op.prefix = call->route.prefix;
    if (streams(call->op.model)) call->op.body = &call->body;
    const struct sl_aws_config *config = &call->aws->config;
    if (config->offload && (call->entry->prepare || http->body.len > SL_AWS_INLINE_BODY)) {
        if (config->offload(config->user, call->home, work_run, work_done, call, &call->error) == SL_OK) return;
        sl_call__fail_with(call, &call->error);
        finish(call);
        return;
    }
    sl_call__understand(call);
    submit(call);
}

static void start_data(const struct call *routed) {
    struct call *call = sl_arena_alloc(routed->op.arena, sizeof *call);
    if (!call) {
        sl_http_respond(routed->http, 503, SL_STR("text/plain"), SL_STR("out of memory\n"));
        return;
    }
    *call = *routed;
    call->op.http = call->http;
    sl_call__understand(call);
    if (call->kind) {
        sl_call__send(call);
    } else if (call->entry->run(&call->op, &call->error)) {
        sl_call__fail_with(call, &call->error);
        sl_call__send(call);
    }
}

// --- routing
// -----------------------------------------------------------------------------------------------------------------------

static void view_request(const struct sl_http_request *http, struct sl_aws_request *ret) {
    *ret = (struct sl_aws_request){.method = http->method_text,
                                   .path = http->path,
                                   .query = http->query,
                                   .host = http->host,
                                   .headers = http->headers,
                                   .header_count = http->header_count,
                                   .body = http->body};
}

// Finds the operation; sets call->kind if there is none.
static void route(struct call *call, struct sl_str signing_name) {
    struct sl_arena *arena = call->op.arena;
    struct sl_str action = {0};
    if (sl_aws__is_s3(&call->request, signing_name)) {
        sl_aws__s3_route(call);
        return;
    }
    if (sl_route_is_cbor(&call->request)) {
        call->op.model = sl_route_cbor(&call->request, &call->service);
        call->op.protocol = SL_PROTOCOL_CBOR;
    } else if (sl_aws_request_header(&call->request, SL_STR("X-Amz-Target")).ptr) {
        call->op.model = sl_route_target(&call->request, &call->service);
        call->op.protocol = SL_PROTOCOL_JSON;
    } else if (sl_route_any(signing_name, &call->request, &call->route)) {
        call->op.model = call->route.operation;
    } else {
        call->op.model = sl_route_query(arena, signing_name, &call->request, &action);
        if (call->op.model) call->op.protocol = SL_PROTOCOL_QUERY;
    }
    if (call->op.model) {
        call->service = call->op.model->service;
        call->op.prefix = call->route.prefix;
        return;
    }
    if (sl_call__is_rpc(call) || sl_call__is_cbor(call)) {
        sl_call__fail(call, SL_E_UNKNOWN_OPERATION, (struct sl_str){0});
        return;
    }
    call->service = sl_route_query_service(signing_name);
    if (call->service) {
        call->op.protocol = SL_PROTOCOL_QUERY;
        sl_call__fail(call, SL_E_INVALID_ACTION,
                      sl_arena_printf(arena, "Could not find operation %.*s for version %.*s", SL_FMT(action),
                                      SL_FMT(call->service->api_version)));
    } else if (signing_name.len && !sl_route_knows(signing_name)) {
        sl_call__fail(
            call, SL_E_UNKNOWN_OPERATION,
            sl_arena_printf(arena, "Sluice has no service '%.*s'; see docs/compatibility.md", SL_FMT(signing_name)));
    } else {
        sl_call__fail(call, SL_E_UNKNOWN_OPERATION, (struct sl_str){0});
    }
}

// Service of the credential scope; empty when the request is not signed.
static struct sl_str signed_service(struct sl_arena *arena, const struct sl_aws_request *request) {
    struct sl_sigv4 signature = {0};
    struct sl_error err;
    return sl_sigv4_parse(arena, request, &signature, &err) == SL_OK ? signature.service : (struct sl_str){0};
}

static bool is_form_post(const struct sl_aws_request *request) {
    struct sl_str type = sl_aws_request_header(request, SL_STR("Content-Type"));
    return sl_str_is(request->method, "POST") &&
           (sl_str_is(request->path, "/") || sl_route_queue_path(request->path)) &&
           sl_str_starts(type, SL_STR("application/x-www-form-urlencoded"));
}

bool sl_aws_claims(const struct sl_http_request *http) {
    struct sl_aws_request request;
    struct sl_route route;
    view_request(http, &request);
    struct sl_str service = signed_service(http->arena, &request);
    // Calls of deployed APIs are signed for execute-api too; only the callbacks to connections are ours.
    if (sl_str_is(service, "execute-api")) return sl_route_any(service, &request, &route);
    if (service.len || sl_route_is_cbor(&request) || sl_aws_request_header(&request, SL_STR("X-Amz-Target")).ptr)
        return true;
    if (sl_aws__is_s3(&request, service)) return true;
    bool queue_get = sl_route_queue_path(request.path) && sl_str_find(request.query, SL_STR("Action=")) >= 0;
    return is_form_post(&request) || queue_get || sl_route_any((struct sl_str){0}, &request, &route);
}

// --- limits
// ------------------------------------------------------------------------------------------------------------------------

static size_t body_limit(const struct sl_operation *operation, const struct sl_aws_request *request,
                         struct sl_str *ret_name) {
    *ret_name = operation ? operation->name : SL_STR("requested");
    if (streams(operation)) return SL_AWS_OBJECT_BODY;
    if (!operation || !sl_str_is(operation->service->name, "lambda")) return SL_AWS_BODY;
    if (sl_str_is(operation->name, "CreateFunction") || sl_str_is(operation->name, "UpdateFunctionCode") ||
        sl_str_is(operation->name, "PublishLayerVersion")) {
        return SL_AWS_CODE_BODY;
    }
    if (sl_str_is(operation->name, "Invoke")) {
        *ret_name = SL_STR("InvokeFunction"); // its older name, which the message keeps
        if (sl_str_is(sl_aws_request_header(request, SL_STR("X-Amz-Invocation-Type")), "Event"))
            return SL_AWS_EVENT_BODY;
    }
    if (sl_str_is(operation->name, "InvokeAsync")) return SL_AWS_EVENT_BODY;
    return SL_AWS_BODY;
}

static void begin_call(struct call *call, struct sl_aws *aws, struct sl_http_request *http) {
    // The error's 4 KB are not cleared: this is on the path of Invoke.
    memset(call, 0, offsetof(struct call, error));
    call->error.kind = 0;
    call->error.message[0] = '\0';
    call->aws = aws;
    call->http = http;
    call->home = sl_http_conn_loop(http->conn);
    call->peer = sl_http_conn_peer(http->conn);
    call->op.arena = http->arena;
    call->op.app = aws->config.app;
    call->op.store = aws->config.store;
    call->op.host = http->host;
    call->op.now_ms = sl_clock_ms();
    sl_uuid(call->op.request_id);
    view_request(http, &call->request);
}

static void refuse_size(struct call *call, struct sl_str name, size_t limit) {
    if (streams(call->op.model)) {
        sl_call__fail(call, SL_E_S3_TOO_LARGE, SL_STR("Your proposed upload exceeds the maximum allowed size"));
        sl_call__send(call);
        return;
    }
    sl_call__fail(call, SL_E_REQUEST_ENTITY_TOO_LARGE,
                  sl_arena_printf(call->op.arena, "Request must be smaller than %zu bytes for the %.*s operation",
                                  limit, SL_FMT(name)));
    sl_call__send(call);
}

int sl_aws_head(struct sl_aws *aws, struct sl_http_request *http, size_t *max_body) {
    struct call call;
    struct sl_str name;
    uint64_t length;
    begin_call(&call, aws, http);
    struct sl_str signing_name = signed_service(http->arena, &call.request);
    if (sl_aws__is_s3(&call.request, signing_name))
        sl_aws__s3_route(&call);
    else if (sl_route_any(signing_name, &call.request, &call.route))
        call.op.model = call.route.operation;
    if (call.op.model) call.service = call.op.model->service;
    size_t limit = body_limit(call.op.model, &call.request, &name);
    *max_body = limit + 1; // one more, so that a chunked body that is too long is answered in AWS's words too
    if (sl_str_to_u64(sl_aws_request_header(&call.request, SL_STR("Content-Length")), &length) && length > limit) {
        refuse_size(&call, name, limit);
        return SL_E_REQUEST_ENTITY_TOO_LARGE;
    }
    return SL_OK;
}

bool sl_aws_wants_parts(struct sl_aws *aws, struct sl_http_request *http) {
    struct call call;
    struct sl_aws_request request;
    view_request(http, &request);
    struct sl_str signing_name = signed_service(http->arena, &request);
    if (!sl_aws__is_s3(&request, signing_name)) return false;
    begin_call(&call, aws, http);
    sl_aws__s3_route(&call);
    if (call.kind || !streams(call.op.model)) return false;
    call.entry = aws->handlers[call.op.model->index];
    if (!call.entry || call.entry->mode != SL_OP_WAIT) return false; // answered when the body has come
    start_own(&call);
    return true;
}

void sl_aws_handle(struct sl_aws *aws, struct sl_http_request *http) {
    struct call call;
    struct sl_str name;
    begin_call(&call, aws, http);
    struct sl_str signing_name = signed_service(http->arena, &call.request);
    // The one service whose requests SDKs pack: PutMetricData above 10 KB.
    if (sl_str_is(signing_name, "monitoring") && !sl_aws_request_unpack(http->arena, &call.request, SL_AWS_BODY))
        sl_call__fail(&call, SL_E_SERIALIZATION, SL_STR("The body is not valid gzip, or is too large."));
    if (!call.kind) route(&call, signing_name);
    if (!call.kind) {
        size_t limit = body_limit(call.op.model, &call.request, &name);
        if (call.request.body.len > limit) {
            refuse_size(&call, name, limit);
            return;
        }
        call.entry = aws->handlers[call.op.model->index];
        if (!call.entry) {
            sl_call__fail(
                &call, SL_E_NOT_IMPLEMENTED,
                sl_arena_printf(http->arena,
                                "The API for service '%.*s' operation '%.*s' is not available in this version of "
                                "Sluice; see docs/compatibility.md",
                                SL_FMT(call.service->name), SL_FMT(call.op.model->name)));
        }
    }
    if (call.kind) {
        sl_call__send(&call);
    } else if (call.entry->mode == SL_OP_DATA) {
        start_data(&call);
    } else {
        start_own(&call);
    }
}
