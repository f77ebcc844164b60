// SPDX-License-Identifier: Apache-2.0
//
// stream: bodies and answers of API requests that are passed on as they come, because an object may be larger than
// memory. The request's head starts the operation (sl_aws_wants_parts); from then on bytes flow between the connection
// and the handler, and each side can hold the other back: the handler by sl_op_pause, the client by not reading
// (sl_op_drained).
//
// Loop thread only. When the client goes away, call->http is NULL and everything here does nothing; the handler is told
// by op->gone and ends the operation when it can.
#include "aws/call.h"

enum { UNSENT = 64 * 1024 }; // below http's mark at which it calls back

int sl_aws__announce_body(struct call *call, const struct sl_sigv4 *signature, struct sl_str secret,
                          struct sl_error *err) {
    struct sl_op_body *body = &call->body;
    struct sl_str hash = sl_aws_request_header(&call->request, SL_STR("X-Amz-Content-Sha256"));
    bool chunked = sl_chunked_body_is(hash);
    struct sl_str length = sl_aws_request_header(&call->request, chunked ? SL_STR("X-Amz-Decoded-Content-Length")
                                                                         : SL_STR("Content-Length"));
    body->length = -1;
    if (length.ptr && (!sl_str_to_i64(length, &body->length) || body->length < 0))
        return sl_fail(err, SL_E_S3_INVALID_ARGUMENT, "The length of the body is not a number");
    if (hash.len == 64) body->sha256 = hash;
    if (hash.ptr && hash.len != 64 && !chunked && !sl_str_is(hash, "UNSIGNED-PAYLOAD"))
        return sl_fail(err, SL_E_S3_INVALID_ARGUMENT,
                       "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, "
                       "STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER, or a valid "
                       "sha256 value.");
    if (!chunked) return SL_OK;
    if (!length.ptr) return sl_fail(err, SL_E_S3_MISSING_LENGTH, "You must provide the Content-Length HTTP header.");
    struct sl_sigv4 form = *signature;
    form.payload_hash = hash;
    return sl_chunked_body_new(&body->chunked, &form, secret, err);
}

void sl_aws_body_part(struct sl_http_request *request, struct sl_str bytes) {
    struct call *call = request->user;
    call->body.part(&call->op, bytes);
}

void sl_aws_body_end(struct sl_http_request *request) {
    struct call *call = request->user;
    call->received = true;
    call->body.end(&call->op);
}

void sl_op_pause(struct sl_op *op, bool paused) {
    struct call *call = (struct call *)op;
    if (call->http && !call->received) sl_http_pause(call->http, paused);
}

void sl_op_send_begin(struct sl_op *op, uint64_t length) {
    struct call *call = (struct call *)op;
    struct sl_reply reply;
    if (!call->http) return;
    if (sl_aws__encode(call, &reply)) reply = (struct sl_reply){.status = 500};
    sl_aws__begin(call, &reply);
    call->sending = true;
    sl_http_stream_sized(call->http, length);
}

void sl_op_stream_begin(struct sl_op *op, struct sl_str content_type) {
    struct call *call = (struct call *)op;
    struct sl_reply reply;
    if (!call->http) return;
    if (sl_aws__encode(call, &reply)) reply = (struct sl_reply){.status = 500};
    reply.content_type = content_type;
    sl_aws__begin(call, &reply);
    call->sending = true;
    sl_http_stream(call->http);
}

void sl_op_send(struct sl_op *op, struct sl_str bytes) {
    struct call *call = (struct call *)op;
    if (call->http) sl_http_part(call->http, bytes);
}

static void client_read(struct sl_http_request *request) {
    struct call *call = request->user;
    void (*drained)(struct sl_op * op) = call->drained;
    call->drained = NULL; // http calls at every ebb
    if (drained) drained(&call->op);
}

bool sl_op_drained(struct sl_op *op, void (*drained)(struct sl_op *op)) {
    struct call *call = (struct call *)op;
    if (!call->http || sl_http_unsent(call->http) < UNSENT) return true;
    call->drained = drained;
    sl_http_on_drained(call->http, client_read);
    return false;
}

bool sl_op_is_gone(const struct sl_op *op) { return ((const struct call *)op)->http == NULL; }

struct sl_str sl_op_header(const struct sl_op *op, struct sl_str name) {
    return sl_aws_request_header(&((const struct call *)op)->request, name);
}
