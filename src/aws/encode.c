// SPDX-License-Identifier: Apache-2.0
//
// encode: rest-json answers. op->out, keyed by member names, goes to headers, status and body by the output shape;
// members that the shape does not have are dropped, nulls too. Errors carry x-amzn-ErrorType and a body whose member
// names differ by service and shape: "message" or "Message" as the error's shape has it, Lambda's "Type", further
// members such as "resourceType". The json 1.0/1.1 protocols differ in what surrounds the body only: the type of an
// error stands in "__type", and services that once spoke the query protocol add its code in x-amzn-query-error.
#include <inttypes.h>

#include "aws/codec.h"
#include "base/clock.h"
#include "base/encoding.h"

enum { MAX_REPLY = 32 << 20 };

static const struct sl_str json_type = SL_STR_INIT("application/json");

static void write_value(struct sl_buf *out, const struct sl_service *service, const struct sl_shape *shape,
                        enum sl_time_format time, const struct sl_json *value);

// Body members only; `object` may hold more than the shape knows.
static void write_structure(struct sl_buf *out, const struct sl_service *service, const struct sl_shape *shape,
                            const struct sl_json *object) {
    bool first = true;
    sl_buf_char(out, '{');
    for (unsigned i = 0; i < shape->member_count; i++) {
        const struct sl_member *member = &shape->members[i];
        const struct sl_json *value = member->location == SL_IN_BODY ? sl_json_get_str(object, member->name) : NULL;
        if (!value || value->type == SL_JSON_NULL) continue;
        if (!first) sl_buf_char(out, ',');
        first = false;
        sl_json_write_string(out, member->wire);
        sl_buf_char(out, ':');
        write_value(out, service, member->shape, member->time, value);
    }
    sl_buf_char(out, '}');
}

// Milliseconds to what the member's format says; in a JSON body the default is epoch seconds. API Gateway's REST API
// answers whole ones.
static void write_time(struct sl_buf *out, const struct sl_service *service, const struct sl_shape *shape,
                       enum sl_time_format time, const struct sl_json *value) {
    int64_t ms;
    char text[SL_TIME_HTTP];
    if (time == SL_TIME_FORMAT_DEFAULT) time = shape->time;
    if (!sl_json_to_i64(value, &ms)) {
        sl_json_write(out, value);
    } else if (time == SL_TIME_FORMAT_ISO8601 || time == SL_TIME_FORMAT_RFC822) {
        if (time == SL_TIME_FORMAT_RFC822) {
            sl_time_http(ms, text);
        } else {
            sl_time_iso_s(ms, text);
        }
        sl_json_write_string(out, sl_str_of(text));
    } else if (ms % 1000 == 0 || sl_str_is(service->name, "apigateway")) {
        sl_buf_printf(out, "%" PRId64, ms / 1000);
    } else {
        sl_buf_printf(out, "%.3f", (double)ms / 1000);
    }
}

static void write_value(struct sl_buf *out, const struct sl_service *service, const struct sl_shape *shape,
                        enum sl_time_format time, const struct sl_json *value) {
    if (shape->type == SL_SHAPE_STRUCTURE && value->type == SL_JSON_OBJECT) {
        write_structure(out, service, shape, value);
    } else if ((shape->type == SL_SHAPE_LIST && value->type == SL_JSON_ARRAY) ||
               (shape->type == SL_SHAPE_MAP && value->type == SL_JSON_OBJECT)) {
        bool list = shape->type == SL_SHAPE_LIST;
        sl_buf_char(out, list ? '[' : '{');
        for (const struct sl_json *at = value->first; at; at = at->next) {
            if (at != value->first) sl_buf_char(out, ',');
            if (!list) {
                sl_json_write_string(out, at->key);
                sl_buf_char(out, ':');
            }
            write_value(out, service, shape->of, SL_TIME_FORMAT_DEFAULT, at);
        }
        sl_buf_char(out, list ? ']' : '}');
    } else if (shape->type == SL_SHAPE_TIMESTAMP && value->type == SL_JSON_NUMBER) {
        write_time(out, service, shape, time, value);
    } else if (shape->type == SL_SHAPE_BLOB && value->type == SL_JSON_STRING) {
        sl_buf_char(out, '"');
        sl_base64_encode(out, value->text);
        sl_buf_char(out, '"');
    } else {
        sl_json_write(out, value);
    }
}

// Moves what the buffer holds into the arena.
static int take(struct sl_arena *arena, struct sl_buf *buf, struct sl_str *ret, struct sl_error *err) {
    *ret = buf->failed ? (struct sl_str){0} : sl_arena_dup(arena, sl_buf_view(buf));
    sl_buf_free(buf);
    return ret->ptr ? SL_OK : sl_fail(err, SL_E_LIMIT, "the answer is too large");
}

static void encode_header(struct sl_op *op, const struct sl_member *member, const struct sl_json *value,
                          struct sl_reply *ret) {
    if (member->location == SL_IN_HEADERS) {
        ret->map = value; // one header for each member; no shape has two of them
        ret->map_prefix = member->wire;
        return;
    }
    enum sl_time_format time = member->time          ? member->time
                               : member->shape->time ? member->shape->time
                                                     : SL_TIME_FORMAT_RFC822;
    struct sl_str text = sl_codec_text(op->arena, member->shape, time, value);
    if (text.ptr) sl_reply_header(ret, member->wire, text);
}

bool sl_codec_encode_outside(struct sl_op *op, const struct sl_shape *shape, struct sl_reply *ret) {
    bool body = shape->payload >= 0 || shape->member_count == 0;
    for (unsigned i = 0; i < shape->member_count; i++) {
        const struct sl_member *member = &shape->members[i];
        const struct sl_json *value = sl_json_get_str(op->out, member->name);
        int64_t status;
        body |= member->location == SL_IN_BODY;
        if (!value || value->type == SL_JSON_NULL) continue;
        if (member->location == SL_IN_HEADER || member->location == SL_IN_HEADERS)
            encode_header(op, member, value, ret);
        if (member->location == SL_IN_STATUS && sl_json_to_i64(value, &status) && status >= 200 && status < 600)
            ret->status = (int)status;
    }
    return body;
}

static int encode_payload(struct sl_op *op, const struct sl_member *member, struct sl_reply *ret,
                          struct sl_error *err) {
    const struct sl_json *value = sl_json_get_str(op->out, member->name);
    if (member->shape->type == SL_SHAPE_BLOB || member->shape->type == SL_SHAPE_STRING) {
        ret->body = value && value->type == SL_JSON_STRING ? value->text : SL_STR("");
        // Another type than JSON travels in a header member (GetExport's contentType).
        for (unsigned i = 0; i < ret->header_count; i++) {
            if (!sl_str_ieq(ret->headers[i].name, SL_STR("Content-Type"))) continue;
            ret->content_type = ret->headers[i].value;
            ret->headers[i] = ret->headers[--ret->header_count];
            break;
        }
        return SL_OK;
    }
    if (!value) {
        ret->body = SL_STR("{}");
        return SL_OK;
    }
    struct sl_buf out;
    sl_buf_init(&out, MAX_REPLY);
    write_value(&out, op->model->service, member->shape, member->time, value);
    return take(op->arena, &out, &ret->body, err);
}

int sl_rest_json_encode(struct sl_op *op, struct sl_reply *ret, struct sl_error *err) {
    const struct sl_shape *shape = op->model->output;
    *ret = (struct sl_reply){
        .status = op->status ? op->status : op->model->status, .content_type = json_type, .body = SL_STR("")};
    bool body = shape ? sl_codec_encode_outside(op, shape, ret) : false;
    if (ret->status == 204 || ret->status == 304) {
        ret->content_type = (struct sl_str){0};
        return SL_OK;
    }
    if (!body) return SL_OK;
    if (shape->payload >= 0) return encode_payload(op, &shape->members[shape->payload], ret, err);
    struct sl_buf out;
    sl_buf_init(&out, MAX_REPLY);
    write_structure(&out, op->model->service, shape, op->out);
    return take(op->arena, &out, &ret->body, err);
}

// --- errors
// ------------------------------------------------------------------------------------------------------------------------

static void write_pair(struct sl_buf *out, bool *first, struct sl_str key, const struct sl_json *value) {
    if (!*first) sl_buf_char(out, ',');
    *first = false;
    sl_json_write_string(out, key);
    sl_buf_char(out, ':');
    sl_json_write(out, value);
}

static void write_modelled(struct sl_buf *out, const struct sl_shape *shape, const struct sl_json *message,
                           const struct sl_json *more, struct sl_reply *ret) {
    const struct sl_json type = {.type = SL_JSON_STRING,
                                 .text = shape->error_fault ? SL_STR("Service") : SL_STR("User")};
    bool first = true;
    for (unsigned i = 0; i < shape->member_count; i++) {
        const struct sl_member *member = &shape->members[i];
        const struct sl_json *value = sl_json_get_str(more, member->name);
        if (member->location == SL_IN_HEADER) {
            if (value && (value->type == SL_JSON_STRING || value->type == SL_JSON_NUMBER))
                sl_reply_header(ret, member->wire, value->text);
            continue;
        }
        if (!value && sl_str_ieq(member->name, SL_STR("message"))) value = message;
        if (!value && sl_str_is(member->name, "Type")) value = &type;
        // A null among the handler's own members takes the modelled one away.
        if (value && value->type != SL_JSON_NULL) write_pair(out, &first, member->wire, value);
    }
}

void sl_rest_json_error(struct sl_arena *arena, const struct sl_service *service, const struct sl_operation *operation,
                        int kind, struct sl_str message, const struct sl_json *more, struct sl_reply *ret) {
    struct sl_str name = sl_str_of(sl_error_name(kind));
    const struct sl_shape *shape = sl_codec_error(service, operation, name);
    const struct sl_json text = {.type = message.ptr ? SL_JSON_STRING : SL_JSON_NULL, .text = message};
    struct sl_buf out;
    *ret = (struct sl_reply){.status = shape ? shape->error_status : sl_error_status(kind), .content_type = json_type};
    sl_reply_header(ret, SL_STR("x-amzn-ErrorType"), name);
    sl_buf_init(&out, MAX_REPLY);
    if (kind == SL_E_UNKNOWN_OPERATION) {
        sl_buf_cstr(&out,
                    "{\"Output\":{\"__type\":\"com.amazon.coral.service#UnknownOperationException\",\"message\":");
        sl_json_write(&out, &text);
        sl_buf_cstr(&out, "},\"Version\":\"1.0\"}");
    } else {
        // Errors of the service framework are in no model; these are the ones it writes with a capital.
        bool capital = kind == SL_E_SERIALIZATION || kind == SL_E_ACCESS_DENIED;
        bool first = true;
        sl_buf_char(&out, '{');
        if (kind == SL_E_NOT_IMPLEMENTED) {
            const struct sl_json type = {.type = SL_JSON_STRING, .text = name};
            write_pair(&out, &first, SL_STR("__type"), &type);
        }
        if (shape) {
            write_modelled(&out, shape, &text, more, ret);
        } else {
            write_pair(&out, &first, capital ? SL_STR("Message") : SL_STR("message"), &text);
        }
        sl_buf_char(&out, '}');
    }
    ret->body = out.failed ? SL_STR("{}") : sl_arena_dup(arena, sl_buf_view(&out));
    sl_buf_free(&out);
}

// --- json 1.0 and 1.1
// --------------------------------------------------------------------------------------------------------------

static struct sl_str rpc_type(const struct sl_service *service) {
    return service && sl_str_is(service->json_version, "1.0") ? SL_STR("application/x-amz-json-1.0")
                                                              : SL_STR("application/x-amz-json-1.1");
}

int sl_json_rpc_encode(struct sl_op *op, struct sl_reply *ret, struct sl_error *err) {
    const struct sl_operation *model = op->model;
    *ret = (struct sl_reply){
        .status = op->status ? op->status : 200, .content_type = rpc_type(model->service), .body = SL_STR("")};
    if (!model->output) return SL_OK;
    struct sl_buf out;
    sl_buf_init(&out, MAX_REPLY);
    write_structure(&out, model->service, model->output, op->out);
    return take(op->arena, &out, &ret->body, err);
}

struct sl_str sl_codec_error_type(struct sl_arena *arena, const struct sl_service *service,
                                  const struct sl_operation *operation, int kind, struct sl_reply *ret) {
    struct sl_str name = sl_str_of(sl_error_name(kind));
    const struct sl_shape *shape = sl_codec_error(service, operation, name);
    ret->status = shape ? shape->error_status : sl_error_status(kind);
    bool compatible = service && service->query_compatible;
    // Refused callers are an ordinary bad request to these services; SQS kept what it answered before it spoke JSON.
    if (!shape && !compatible && ret->status == 403) ret->status = 400;
    struct sl_str prefix = !service || !service->error_prefix.len ? SL_STR("")
                           : shape && !shape->error_framework     ? service->error_prefix
                                                                  : SL_STR("com.amazon.coral.service#");
    if (compatible) {
        struct sl_str code = shape && shape->error_code.ptr ? shape->error_code
                             : shape                        ? name
                                                            : sl_codec_query_code(kind, name);
        sl_reply_header(ret, SL_STR("x-amzn-query-error"),
                        sl_arena_printf(arena, "%.*s;%s", SL_FMT(code), ret->status >= 500 ? "Receiver" : "Sender"));
    }
    return sl_arena_printf(arena, "%.*s%.*s", SL_FMT(prefix), SL_FMT(name));
}

void sl_json_rpc_error(struct sl_arena *arena, const struct sl_service *service, const struct sl_operation *operation,
                       int kind, struct sl_str message, const struct sl_json *more, struct sl_reply *ret) {
    const struct sl_json text = {.type = SL_JSON_STRING, .text = message.ptr ? message : SL_STR("")};
    *ret = (struct sl_reply){.content_type = rpc_type(service)};
    struct sl_json type = {.type = SL_JSON_STRING, .text = sl_codec_error_type(arena, service, operation, kind, ret)};
    bool first = true;
    struct sl_buf out;
    sl_buf_init(&out, MAX_REPLY);
    sl_buf_char(&out, '{');
    write_pair(&out, &first, SL_STR("__type"), &type);
    write_pair(&out, &first, SL_STR("message"), &text);
    for (const struct sl_json *at = more ? more->first : NULL; at; at = at->next) write_pair(&out, &first, at->key, at);
    sl_buf_char(&out, '}');
    ret->body = out.failed ? SL_STR("{}") : sl_arena_dup(arena, sl_buf_view(&out));
    sl_buf_free(&out);
}
