// SPDX-License-Identifier: Apache-2.0
//
// invoke_op: Invoke and InvokeAsync. Both run on the request's loop thread (SL_OP_DATA): no store, no lock; the
// function is looked up in invoke/'s registry, the payload is a view of the request's body. RequestResponse waits for
// the function; Event waits until the event is durable and answers 202; DryRun answers 204. The engine has refused
// payloads over AWS's limits before their body was read.
//
// If the client goes away a synchronous invocation runs on without anybody waiting, as on AWS; an event already handed
// to the store stays accepted.
#include "lambda/internal.h"

#include "base/encoding.h"
#include "events/queue.h"
#include "http/http.h"
#include "invoke/alias.h"
#include "lambda/invocation.h"
#include "lambda/payload.h"

// One Invoke in progress; in the request's arena.
struct call {
    struct sl_op *op; // NULL when the client has gone
    struct sl_invocation invocation;
    struct sl_str trace_id;
};

// --- answers
// ---------------------------------------------------------------------------------------------------------------------------

// sl_op_begin writes the members that travel in headers; these two AWS adds to every answer of Invoke.
void sl_lambda__invocation_begin(struct sl_op *op, int status, struct sl_str trace_id) {
    sl_op_begin(op, status);
    sl_http_add(op->http, SL_STR("X-Amzn-Remapped-Content-Length"), SL_STR("0"));
    if (trace_id.len > 0) sl_http_add(op->http, SL_STR("X-Amzn-Trace-Id"), trace_id);
}

void sl_lambda__invocation_refuse(struct sl_op *op, const struct sl_invocation_result *result) {
    if (result->throttle_reason.len > 0)
        op->error_members = sl_lambda__object1(op, "Reason", sl_arena_dup(op->arena, result->throttle_reason));
    if (result->retry_after_s > 0)
        sl_lambda__put(op, op->error_members, "retryAfterSeconds",
                       sl_arena_printf(op->arena, "%u", result->retry_after_s));
    sl_op_answer_error(op, result->error);
}

struct sl_str sl_lambda__log_result(struct sl_arena *arena, struct sl_str tail) {
    struct sl_buf text;
    sl_buf_init(&text, 2 * SL_LOG_TAIL_MAX);
    sl_base64_encode(&text, tail);
    struct sl_str copy = sl_arena_dup(arena, sl_buf_view(&text));
    sl_buf_free(&text);
    return copy;
}

static void invoked(struct sl_invocation *invocation, const struct sl_invocation_result *result) {
    struct call *call = invocation->user;
    struct sl_op *op = call->op;
    op->http->aborted = NULL;
    if (result->outcome == SL_INVOCATION_REFUSED) {
        sl_lambda__invocation_refuse(op, result);
        return;
    }
    sl_op_out(op, "ExecutedVersion", result->executed_version);
    if (result->outcome == SL_INVOCATION_ERROR)
        sl_op_out(op, "FunctionError", result->function_error.len > 0 ? result->function_error : SL_STR("Unhandled"));
    if (invocation->tail_log) sl_op_out(op, "LogResult", sl_lambda__log_result(op->arena, result->log_tail));
    sl_lambda__invocation_begin(op, 200, call->trace_id);
    // Always this type, whatever the runtime posted, unless it streams [AWS].
    sl_http_add(op->http, SL_STR("Content-Type"), SL_STR("application/json"));
    sl_http_body(op->http, result->payload);
}

static void client_gone(struct sl_http_request *request) {
    struct call *call = request->user;
    const struct sl_app *app = call->op->app;
    sl_invoke_abandon(app->invoker, &call->invocation);
}

// --- what the request asks for
// ---------------------------------------------------------------------------------------------------------

// Base64 of a JSON object, at most 3583 bytes of it (API reference, X-Amz-Client-Context).
static int decode_context(struct sl_op *op, struct sl_str *ret, struct sl_error *err) {
    enum { CONTEXT_MAX = 3583 };
    struct sl_str encoded = sl_op_in(op, "ClientContext"), text;
    struct sl_json *value;
    *ret = (struct sl_str){NULL, 0};
    if (encoded.len == 0) return 0;
    if (encoded.len > CONTEXT_MAX)
        return sl_fail(err, SL_E_INVALID_REQUEST_CONTENT,
                       "Client context must be at most %d bytes of base64-encoded data.", CONTEXT_MAX);
    if (!sl_base64_decode(op->arena, encoded, &text) || sl_json_parse(op->arena, text, &value, NULL) != 0 ||
        value->type != SL_JSON_OBJECT)
        return sl_fail(err, SL_E_INVALID_REQUEST_CONTENT, "Client context must be a valid Base64-encoded JSON object.");
    *ret = text;
    return 0;
}

// The version to run; an alias's is chosen for each invocation. An event's is chosen when it runs.
static int find_version(struct sl_op *op, const struct sl_lambda__target *target, struct sl_str *ret_version,
                        struct sl_error *err) {
    const struct sl_app *app = op->app;
    bool latest = sl_lambda__is_latest(target->qualifier);
    struct sl_str version = latest ? SL_STR("$LATEST") : target->qualifier;
    *ret_version = sl_alias_resolve(op->arena, op->account, op->region, target->name, version);
    if (sl_function_find(app->invoker, op->account, op->region, target->name, *ret_version)) return 0;
    return sl_lambda__not_found(op, target, version, err); // names the qualifier even when none was given [AWS]
}

// An event is refused as a call is, before it is accepted.
static int check_function(struct sl_op *op, const struct sl_lambda__target *target, struct sl_str version,
                          struct sl_error *err) {
    const struct sl_app *app = op->app;
    const struct sl_function *function = sl_function_find(app->invoker, op->account, op->region, target->name, version);
    return function ? sl_invoke_check(function, sl_op_in(op, "TenantId"), err) : 0;
}

// Everything that is the same for the three invocation types. The payload defaults to an empty object.
int sl_lambda__invocation(struct sl_op *op, struct sl_str payload, struct sl_invocation *ret, struct sl_error *err) {
    struct sl_lambda__target target;
    struct sl_str version, context;
    int result = sl_lambda__target(op, &target, err);
    if (result == 0) result = find_version(op, &target, &version, err);
    if (result == 0) result = check_function(op, &target, version, err);
    if (result == 0 && sl_op_in(op, "DurableExecutionName").len > 0)
        result = sl_fail(
            err, SL_E_INVALID_PARAMETER,
            "You cannot specify a durable execution name for a function that is not configured for durable execution.");
    if (result == 0) result = decode_context(op, &context, err);
    if (result == 0 && payload.len > 0) result = sl_lambda__payload_check(payload, err);
    if (result != 0) return result;
    struct sl_str trace_id = sl_http_header(op->http, SL_STR("X-Amzn-Trace-Id"));
    *ret = (struct sl_invocation){
        .account = op->account,
        .region = op->region,
        .name = target.name,
        .version = version,
        .invoked_arn = sl_lambda__qualified_arn(op, &target, target.qualifier),
        .payload = payload.len > 0 ? payload : SL_STR("{}"),
        .client_context = context,
        .trace_id = trace_id.len > 0 ? trace_id : sl_trace_id_new(op->arena),
        .tenant_id = sl_op_in(op, "TenantId"),
    };
    memcpy(ret->request_id, op->request_id, sizeof(ret->request_id));
    return 0;
}

static int understand(struct sl_op *op, struct sl_str payload, struct call *call, struct sl_error *err) {
    int result = sl_lambda__invocation(op, payload, &call->invocation, err);
    if (result != 0) return result;
    call->op = op;
    call->trace_id = call->invocation.trace_id;
    call->invocation.done = invoked;
    call->invocation.user = call;
    return 0;
}

// --- events
// ------------------------------------------------------------------------------------------------------------------------------

// Owns a copy of what the store needs, because the client may go away before the event is durable.
struct accepting {
    struct sl_arena arena;
    struct sl_op *op; // NULL when the client has gone
    struct sl_str trace_id;
    struct sl_event event;
    int status;
};

static void accepted(void *user, int result, const struct sl_error *err) {
    struct accepting *accepting = user;
    struct sl_op *op = accepting->op;
    if (op) {
        op->http->aborted = NULL;
        if (result != 0) {
            sl_op_answer_error(op, err);
        } else {
            sl_lambda__invocation_begin(op, accepting->status, accepting->trace_id);
            sl_http_body(op->http, SL_STR(""));
        }
    }
    struct sl_arena arena = accepting->arena; // holds `accepting` itself
    sl_arena_free(&arena);
}

static void event_client_gone(struct sl_http_request *request) {
    struct accepting *accepting = request->user;
    accepting->op = NULL;
}

// {"trace": ..., "client": "<JSON text>"}: what a later execution needs besides the payload (events/queue.c reads it).
static struct sl_str event_context(struct sl_arena *arena, const struct sl_invocation *invocation) {
    struct sl_buf text;
    sl_buf_init(&text, 64 * 1024);
    sl_buf_cstr(&text, "{\"trace\":");
    sl_json_write_string(&text, invocation->trace_id);
    if (invocation->client_context.len > 0) {
        sl_buf_cstr(&text, ",\"client\":");
        sl_json_write_string(&text, invocation->client_context);
    }
    if (invocation->tenant_id.len > 0) {
        sl_buf_cstr(&text, ",\"tenant\":");
        sl_json_write_string(&text, invocation->tenant_id);
    }
    sl_buf_char(&text, '}');
    struct sl_str copy = text.failed ? SL_STR("{}") : sl_arena_dup(arena, sl_buf_view(&text));
    sl_buf_free(&text);
    return copy;
}

static struct accepting *copy_event(const struct call *call, int status) {
    const struct sl_invocation *invocation = &call->invocation;
    struct sl_arena arena;
    sl_arena_init(&arena, SL_PAYLOAD_ASYNC_MAX + 128 * 1024);
    struct accepting *accepting = sl_arena_zalloc(&arena, sizeof(*accepting));
    if (!accepting) return NULL;
    accepting->op = call->op;
    accepting->trace_id = call->trace_id;
    accepting->status = status;
    accepting->event = (struct sl_event){
        .function = sl_arena_dup(&arena, invocation->invoked_arn),
        .payload = sl_arena_dup(&arena, invocation->payload),
        .context = event_context(&arena, invocation),
    };
    memcpy(accepting->event.request_id, invocation->request_id, sizeof(accepting->event.request_id));
    if (sl_arena_failed(&arena)) {
        sl_arena_free(&arena);
        return NULL;
    }
    accepting->arena = arena;
    return accepting;
}

static int accept_event(const struct call *call, int status, struct sl_error *err) {
    struct sl_op *op = call->op;
    const struct sl_app *app = op->app;
    struct accepting *accepting = copy_event(call, status);
    if (!accepting) return sl_fail(err, SL_E_NO_MEMORY, "out of memory for an event");
    op->http->user = accepting;
    op->http->aborted = event_client_gone;
    int result = sl_event_accept(app->events, &accepting->event, accepted, accepting, err);
    if (result != 0) {
        op->http->aborted = NULL;
        struct sl_arena arena = accepting->arena;
        sl_arena_free(&arena);
    }
    return result;
}

// --- operations
// --------------------------------------------------------------------------------------------------------------------------

int sl_lambda__invoke(struct sl_op *op, struct sl_error *err) {
    const struct sl_app *app = op->app;
    struct call *call = sl_arena_zalloc(op->arena, sizeof(*call));
    if (!call) return sl_fail(err, SL_E_NO_MEMORY, "out of memory for an invocation");
    int result = understand(op, sl_op_in(op, "Payload"), call, err);
    if (result != 0) return result;
    struct sl_str type = sl_op_in(op, "InvocationType");
    if (sl_str_is(type, "Event")) return accept_event(call, 202, err);
    if (sl_str_is(type, "DryRun")) {
        sl_lambda__invocation_begin(op, 204, (struct sl_str){NULL, 0});
        sl_http_body(op->http, SL_STR(""));
        return 0;
    }
    call->invocation.tail_log = sl_str_is(sl_op_in(op, "LogType"), "Tail");
    op->http->user = call;
    op->http->aborted = client_gone;
    sl_invoke(app->invoker, &call->invocation);
    return 0;
}

int sl_lambda__invoke_async(struct sl_op *op, struct sl_error *err) {
    struct call *call = sl_arena_zalloc(op->arena, sizeof(*call));
    if (!call) return sl_fail(err, SL_E_NO_MEMORY, "out of memory for an invocation");
    int result = understand(op, sl_op_in(op, "InvokeArgs"), call, err);
    return result == 0 ? accept_event(call, 202, err) : result;
}
