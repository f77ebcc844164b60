// SPDX-License-Identifier: Apache-2.0
//
// rpc_cbor: Smithy's RPC v2 CBOR protocol, which newer SDKs choose for CloudWatch. The path names the operation
// (route.c), the body is one CBOR map of its input or output; errors are maps with "__type" and "message", and for
// clients that knew the query protocol their old code stands in x-amzn-query-error. The same four functions as
// rest-json. An operation without output answers without a body (Smithy, "Smithy RPC v2 CBOR protocol").
#include "aws/cbor.h"
#include "aws/codec.h"

enum { MAX_REPLY = 32 << 20 };

static const struct sl_str cbor_type = SL_STR_INIT("application/cbor");

int sl_cbor_decode(struct sl_arena *arena, const struct sl_operation *operation, const struct sl_aws_request *request,
                   struct sl_json **ret, struct sl_error *err) {
    struct sl_json *body = NULL;
    int kind = request->body.len ? sl_cbor_parse(arena, request->body, &body, err) : SL_OK;
    if (kind) return kind;
    if (body && body->type != SL_JSON_OBJECT) return sl_fail(err, SL_E_SERIALIZATION, "Unexpected field type");
    return sl_codec_decode_body(arena, operation, body, ret, err);
}

static void put_value(struct sl_buf *out, const struct sl_shape *shape, const struct sl_json *value);

static void put_structure(struct sl_buf *out, const struct sl_shape *shape, const struct sl_json *object) {
    sl_cbor_open_map(out);
    for (unsigned i = 0; i < shape->member_count; i++) {
        const struct sl_member *member = &shape->members[i];
        const struct sl_json *value = sl_json_get_str(object, member->name);
        if (!value || value->type == SL_JSON_NULL) continue;
        sl_cbor_text(out, member->wire);
        put_value(out, member->shape, value);
    }
    sl_cbor_end(out);
}

static void put_collection(struct sl_buf *out, const struct sl_shape *shape, const struct sl_json *value) {
    if (value->type == SL_JSON_OBJECT) {
        sl_cbor_open_map(out);
    } else {
        sl_cbor_open_array(out);
    }
    for (const struct sl_json *at = value->first; at; at = at->next) {
        if (value->type == SL_JSON_OBJECT) sl_cbor_text(out, at->key);
        put_value(out, shape->of, at);
    }
    sl_cbor_end(out);
}

static void put_number(struct sl_buf *out, const struct sl_shape *shape, const struct sl_json *value) {
    int64_t whole;
    double real = 0;
    bool is_whole = sl_json_to_i64(value, &whole);
    if (is_whole && shape->type == SL_SHAPE_TIMESTAMP) {
        sl_cbor_time(out, whole);
    } else if (is_whole && (shape->type == SL_SHAPE_INTEGER || shape->type == SL_SHAPE_LONG)) {
        sl_cbor_int(out, whole);
    } else if (sl_json_to_double(value, &real)) {
        sl_cbor_double(out, real);
    } else {
        sl_cbor_null(out);
    }
}

static void put_value(struct sl_buf *out, const struct sl_shape *shape, const struct sl_json *value) {
    switch (value->type) {
    case SL_JSON_OBJECT:
    case SL_JSON_ARRAY:
        if (shape->type == SL_SHAPE_STRUCTURE)
            put_structure(out, shape, value);
        else
            put_collection(out, shape, value);
        break;
    case SL_JSON_NUMBER:
        put_number(out, shape, value);
        break;
    case SL_JSON_STRING:
        if (shape->type == SL_SHAPE_BLOB)
            sl_cbor_bytes(out, value->text);
        else
            sl_cbor_text(out, value->text);
        break;
    case SL_JSON_TRUE:
    case SL_JSON_FALSE:
        sl_cbor_bool(out, value->type == SL_JSON_TRUE);
        break;
    default:
        sl_cbor_null(out);
    }
}

static int take(struct sl_arena *arena, struct sl_buf *out, struct sl_reply *ret, struct sl_error *err) {
    ret->body = out->failed ? (struct sl_str){0} : sl_arena_dup(arena, sl_buf_view(out));
    sl_buf_free(out);
    return ret->body.ptr ? SL_OK : sl_fail(err, SL_E_LIMIT, "the answer is too large");
}

int sl_cbor_encode(struct sl_op *op, struct sl_reply *ret, struct sl_error *err) {
    const struct sl_operation *model = op->model;
    *ret = (struct sl_reply){.status = op->status ? op->status : 200, .body = SL_STR("")};
    sl_reply_header(ret, SL_STR("smithy-protocol"), SL_STR("rpc-v2-cbor"));
    if (!model->output) return SL_OK;
    struct sl_buf out;
    ret->content_type = cbor_type;
    sl_buf_init(&out, MAX_REPLY);
    put_structure(&out, model->output, op->out);
    return take(op->arena, &out, ret, err);
}

void sl_cbor_error(struct sl_arena *arena, const struct sl_service *service, const struct sl_operation *operation,
                   int kind, struct sl_str message, const struct sl_json *more, struct sl_reply *ret) {
    struct sl_buf out;
    struct sl_error err;
    *ret = (struct sl_reply){.content_type = cbor_type};
    sl_reply_header(ret, SL_STR("smithy-protocol"), SL_STR("rpc-v2-cbor"));
    sl_buf_init(&out, MAX_REPLY);
    sl_cbor_open_map(&out);
    sl_cbor_text(&out, SL_STR("__type"));
    sl_cbor_text(&out, sl_codec_error_type(arena, service, operation, kind, ret));
    sl_cbor_text(&out, SL_STR("message"));
    sl_cbor_text(&out, message);
    for (const struct sl_json *at = more ? more->first : NULL; at; at = at->next) {
        if (at->type != SL_JSON_STRING) continue;
        sl_cbor_text(&out, at->key);
        sl_cbor_text(&out, at->text);
    }
    sl_cbor_end(&out);
    if (take(arena, &out, ret, &err)) ret->body = SL_STR("\xa0"); // an empty map
}
