// SPDX-License-Identifier: Apache-2.0
//
// invoke_stream: InvokeWithResponseStream. The answer is a stream of frames (aws/eventstream.h): PayloadChunk with the
// function's bytes as they arrive, at the end InvokeComplete, which says whether it went well. Once the first frame is
// out an error can be said only there, and an invocation that does not start is refused as by Invoke.
//
// All on the request's loop thread (SL_OP_DATA). A client that reads slowly holds the function back: above HIGH unsent
// bytes the stream pauses until they have drained. If the client goes away the function runs on, as on AWS.
#include "lambda/invocation.h"

#include "aws/eventstream.h"
#include "base/json.h"
#include "http/http.h"

enum {
    HIGH = 64 * 1024,       // unsent bytes: http tells when they are below that again
    PIECE = 128 * 1024,     // of an answer that was not streamed
    FRAME_KEEP = 32 * 1024, // memory of the frame buffer between parts
    COMPLETE_MAX = 8 * 1024 * 1024,
};

struct call {
    struct sl_op *op;
    struct sl_invocation invocation;
    struct sl_buf frame;
    bool begun;
};

static void begin(struct call *call) {
    struct sl_op *op = call->op;
    call->begun = true;
    sl_op_out(op, "ExecutedVersion", call->invocation.version.len ? call->invocation.version : SL_STR("$LATEST"));
    sl_op_out(op, "ResponseStreamContentType", SL_STR("application/vnd.amazon.eventstream"));
    sl_lambda__invocation_begin(op, 200, call->invocation.trace_id);
    sl_http_stream(op->http);
}

static void send_event(struct call *call, struct sl_str type, struct sl_str content_type, struct sl_str payload) {
    if (!call->begun) begin(call);
    sl_buf_clear(&call->frame, FRAME_KEEP);
    sl_eventstream_event(&call->frame, type, content_type, payload);
    if (call->frame.failed)
        sl_http_abort(call->op->http);
    else
        sl_http_part(call->op->http, sl_buf_view(&call->frame));
}

static void chunk(struct call *call, struct sl_str bytes) {
    send_event(call, SL_STR("PayloadChunk"), SL_STR("application/octet-stream"), bytes);
}

static void drained(struct sl_http_request *request) {
    struct call *call = request->user;
    sl_invoke_pause(&call->invocation, false);
}

static void part(struct sl_invocation *invocation, struct sl_str bytes) {
    struct call *call = invocation->user;
    chunk(call, bytes);
    if (sl_http_unsent(call->op->http) < HIGH) return;
    sl_http_on_drained(call->op->http, drained);
    sl_invoke_pause(invocation, true);
}

static void complete(struct call *call, const struct sl_invocation_result *result) {
    struct sl_buf text;
    bool first = true;
    const bool failed = result->outcome == SL_INVOCATION_ERROR;
    const struct {
        const char *key;
        struct sl_str value;
        bool wanted;
    } members[] = {
        {"ErrorCode", result->error_type.len ? result->error_type : SL_STR("Unhandled"), failed},
        {"ErrorDetails", result->payload, failed},
        {"LogResult", sl_lambda__log_result(call->op->arena, result->log_tail), call->invocation.tail_log},
    };
    sl_buf_init(&text, COMPLETE_MAX);
    sl_buf_char(&text, '{');
    for (unsigned i = 0; i < sizeof members / sizeof members[0]; i++) {
        if (!members[i].wanted) continue;
        sl_buf_printf(&text, "%s\"%s\":", first ? "" : ",", members[i].key);
        sl_json_write_string(&text, members[i].value);
        first = false;
    }
    sl_buf_char(&text, '}');
    send_event(call, SL_STR("InvokeComplete"), SL_STR("application/json"), sl_buf_view(&text));
    sl_buf_free(&text);
}

static void done(struct sl_invocation *invocation, const struct sl_invocation_result *result) {
    struct call *call = invocation->user;
    struct sl_http_request *http = call->op->http;
    http->aborted = NULL;
    if (result->outcome == SL_INVOCATION_REFUSED && !call->begun) {
        sl_buf_free(&call->frame);
        sl_lambda__invocation_refuse(call->op, result);
        return;
    }
    if (result->outcome == SL_INVOCATION_OK) {
        for (size_t at = 0; at < result->payload.len; at += PIECE)
            chunk(call, sl_str_sub(result->payload, at, at + PIECE));
    }
    complete(call, result);
    sl_buf_free(&call->frame);
    sl_http_end(http);
}

static void client_gone(struct sl_http_request *request) {
    struct call *call = request->user;
    const struct sl_app *app = call->op->app;
    sl_buf_free(&call->frame);
    sl_invoke_abandon(app->invoker, &call->invocation);
}

int sl_lambda__invoke_stream(struct sl_op *op, struct sl_error *err) {
    const struct sl_app *app = op->app;
    struct call *call = sl_arena_zalloc(op->arena, sizeof(*call));
    if (!call) return sl_fail(err, SL_E_NO_MEMORY, "out of memory for an invocation");
    int result = sl_lambda__invocation(op, sl_op_in(op, "Payload"), &call->invocation, err);
    if (result != 0) return result;
    if (sl_str_is(sl_op_in(op, "InvocationType"), "DryRun")) {
        sl_lambda__invocation_begin(op, 204, (struct sl_str){NULL, 0});
        sl_http_body(op->http, SL_STR(""));
        return 0;
    }
    call->op = op;
    call->invocation.tail_log = sl_str_is(sl_op_in(op, "LogType"), "Tail");
    call->invocation.part = part;
    call->invocation.done = done;
    call->invocation.user = call;
    sl_buf_init(&call->frame, SL_PAYLOAD_RESPONSE_MAX + COMPLETE_MAX + SL_EVENTSTREAM_OVERHEAD);
    op->http->user = call;
    op->http->aborted = client_gone;
    sl_invoke(app->invoker, &call->invocation);
    return 0;
}
