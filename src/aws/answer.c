// SPDX-License-Identifier: Apache-2.0
//
// answer: how a call fails and how it is answered: head and body by the call's protocol, from op->out or from the kind
// and the message of the failure. Loop thread (sl_call__fail and sl_call__fail_with: wherever the call is).
#include "aws/call.h"

#include "aws/codec.h"
#include "base/log.h"
#include "http/http.h"

void sl_call__fail(struct call *call, int kind, struct sl_str message) {
    call->kind = kind;
    call->message = message;
}

void sl_call__fail_with(struct call *call, const struct sl_error *err) {
    // An empty message is a null one: some of AWS's refusals say nothing.
    struct sl_str copy = sl_arena_dup(call->op.arena, sl_str_of(err->message));
    sl_call__fail(call, err->kind, copy.len > 0 ? copy : (struct sl_str){NULL, 0});
}

void sl_aws__begin(struct call *call, const struct sl_reply *reply) {
    sl_http_begin(call->http, reply->status);
    sl_http_add(call->http, sl_call__is_xml(call) ? SL_STR("x-amz-request-id") : SL_STR("x-amzn-RequestId"),
                sl_str_of(call->op.request_id));
    if (sl_call__is_xml(call)) sl_http_add(call->http, SL_STR("x-amz-id-2"), sl_str_of(call->host_id));
    if (reply->content_type.ptr) sl_http_add(call->http, SL_STR("Content-Type"), reply->content_type);
    for (unsigned i = 0; i < reply->header_count; i++)
        sl_http_add(call->http, reply->headers[i].name, reply->headers[i].value);
    for (const struct sl_json *at = reply->map ? reply->map->first : NULL; at; at = at->next)
        sl_http_add(call->http, sl_arena_printf(call->op.arena, "%.*s%.*s", SL_FMT(reply->map_prefix), SL_FMT(at->key)),
                    at->text);
}

static void make_error(struct call *call, int kind, struct sl_str message, struct sl_reply *reply) {
    if (sl_call__is_query(call)) {
        sl_query_error(call->op.arena, call->service, call->op.model, kind, message, sl_str_of(call->op.request_id),
                       reply);
    } else if (sl_call__is_rpc(call)) {
        sl_json_rpc_error(call->op.arena, call->service, call->op.model, kind, message, call->op.error_members, reply);
    } else if (sl_call__is_cbor(call)) {
        sl_cbor_error(call->op.arena, call->service, call->op.model, kind, message, call->op.error_members, reply);
    } else if (sl_call__is_xml(call)) {
        sl_rest_xml_error(call->op.arena, kind, message, call->op.error_members, sl_str_of(call->op.request_id),
                          sl_str_of(call->host_id), reply);
    } else {
        sl_rest_json_error(call->op.arena, call->service, call->op.model, kind, message, call->op.error_members, reply);
    }
    if (kind <=
        SL_E_UNAVAILABLE) { // ours; the others, 5xx among them, are answers that AWS gives to a caller's mistake
        struct sl_str name = call->op.model ? call->op.model->name : SL_STR("?");
        sl_log_error("aws", "%.*s (request %s): %.*s", SL_FMT(name), call->op.request_id, SL_FMT(message));
    }
}

int sl_aws__encode(struct call *call, struct sl_reply *ret) {
    switch (call->op.protocol) {
    case SL_PROTOCOL_QUERY:
        return sl_query_encode(&call->op, ret, &call->error);
    case SL_PROTOCOL_JSON:
        return sl_json_rpc_encode(&call->op, ret, &call->error);
    case SL_PROTOCOL_CBOR:
        return sl_cbor_encode(&call->op, ret, &call->error);
    case SL_PROTOCOL_REST_XML:
        return sl_rest_xml_encode(&call->op, ret, &call->error);
    default:
        return sl_rest_json_encode(&call->op, ret, &call->error);
    }
}

void sl_call__send(struct call *call) {
    struct sl_reply reply;
    int kind = call->kind;
    struct sl_str message = call->message;
    if (!kind) {
        kind = sl_aws__encode(call, &reply);
        message = sl_str_of(call->error.message);
    }
    if (kind) make_error(call, kind, message, &reply);
    sl_aws__begin(call, &reply);
    sl_http_body(call->http, reply.body);
}
