// SPDX-License-Identifier: Apache-2.0
//
// rest_xml: the rest-xml protocol (Smithy, "AWS restXml protocol") as Amazon S3 speaks it. Labels, parameters and
// headers are those of rest-json; a body is one payload member: bytes, text, or an XML document whose element has the
// member's name. Answers without a payload member are a document too, whose name the tables have
// (sl_operation.wrapper).
//
// S3 does not validate as other services do ("1 validation error detected"): a document that is not of the model's
// shape is MalformedXML, everything else is the operation's own business and words.
#include "aws/codec.h"
#include "aws/xml.h"
#include "base/clock.h"
#include "base/encoding.h"

enum { MAX_REPLY = 32 << 20 };

static const struct sl_str xml_type = SL_STR_INIT("application/xml");

struct reader {
    struct sl_arena *arena;
    struct sl_error *err;
};

// --- input
// ----------------------------------------------------------------------------------------------------------------------

static int decode_element(struct reader *r, const struct sl_shape *shape, const struct sl_xml *element,
                          struct sl_json **ret);

// Every child of that name.
static int decode_list(struct reader *r, const struct sl_shape *shape, const struct sl_xml *parent, struct sl_str name,
                       struct sl_json **ret) {
    for (const struct sl_xml *at = parent->first; at; at = at->next) {
        struct sl_json *one = NULL;
        if (!sl_str_eq(at->name, name)) continue;
        int kind = decode_element(r, shape->of, at, &one);
        if (kind) return kind;
        if (!*ret) *ret = sl_json_new_array(r->arena);
        sl_json_push(*ret, one);
    }
    return SL_OK;
}

static int decode_attribute(struct reader *r, const struct sl_member *member, const struct sl_xml *element,
                            struct sl_json **ret) {
    for (const struct sl_xml_attribute *at = element->attributes; at; at = at->next) {
        if (sl_str_eq(at->name, member->wire)) return sl_codec_scalar(r->arena, member->shape, at->value, ret, r->err);
    }
    return SL_OK;
}

static int decode_structure(struct reader *r, const struct sl_shape *shape, const struct sl_xml *element,
                            struct sl_json *object) {
    for (unsigned i = 0; i < shape->member_count; i++) {
        const struct sl_member *member = &shape->members[i];
        struct sl_json *value = NULL;
        const struct sl_xml *child;
        int kind = SL_OK;
        if (member->attribute)
            kind = decode_attribute(r, member, element, &value);
        else if (member->shape->type == SL_SHAPE_LIST && (member->flat || member->shape->flat))
            kind = decode_list(r, member->shape, element, member->wire, &value);
        else if ((child = sl_xml_child(element, member->wire)))
            kind = decode_element(r, member->shape, child, &value);
        if (kind) return kind;
        if (value) sl_json_set(object, member->name, value);
        if (!value && member->required) return sl_xml_malformed(r->err);
    }
    return SL_OK;
}

static bool is_allowed(const struct sl_shape *shape, struct sl_str text) {
    for (unsigned i = 0; i < shape->enum_count; i++) {
        if (sl_str_eq(shape->enums[i], text)) return true;
    }
    return shape->enum_count == 0;
}

static int decode_leaf(struct reader *r, const struct sl_shape *shape, struct sl_str text, struct sl_json **ret) {
    if (shape->type != SL_SHAPE_STRING) text = sl_str_trim(text);
    bool wrong_bool =
        shape->type == SL_SHAPE_BOOLEAN && !sl_str_is(text, "true") && !sl_str_is(text, "false"); // xs:boolean's words
    if (wrong_bool || !is_allowed(shape, text)) return sl_xml_malformed(r->err);
    int kind = sl_codec_scalar(r->arena, shape, text, ret, r->err);
    return kind == SL_E_SERIALIZATION ? sl_xml_malformed(r->err) : kind;
}

static int decode_element(struct reader *r, const struct sl_shape *shape, const struct sl_xml *element,
                          struct sl_json **ret) {
    switch (shape->type) {
    case SL_SHAPE_STRUCTURE:
        *ret = sl_json_new_object(r->arena);
        return decode_structure(r, shape, element, *ret);
    case SL_SHAPE_LIST:
        *ret = sl_json_new_array(r->arena);
        return decode_list(r, shape, element, shape->of_wire.ptr ? shape->of_wire : SL_STR("member"), ret);
    case SL_SHAPE_MAP:
        return sl_xml_malformed(r->err); // no document of S3 has one
    default:
        return decode_leaf(r, shape, element->text, ret);
    }
}

static int decode_payload(struct reader *r, const struct sl_member *member, struct sl_str body, struct sl_json **ret) {
    struct sl_xml *root = NULL;
    if (member->streaming || member->shape->streaming) return SL_OK;
    if (member->shape->type == SL_SHAPE_BLOB || member->shape->type == SL_SHAPE_STRING) {
        if (body.len) *ret = sl_json_new_string(r->arena, body);
        return SL_OK;
    }
    if (sl_str_trim(body).len == 0) return member->required ? sl_xml_malformed(r->err) : SL_OK;
    int kind = sl_xml_parse(r->arena, body, &root, r->err);
    if (kind) return kind;
    if (!sl_str_eq(root->name, member->wire)) return sl_xml_malformed(r->err);
    return decode_element(r, member->shape, root, ret);
}

static int decode_member(struct reader *r, const struct sl_route *route, const struct sl_aws_request *request,
                         const struct sl_member *member, struct sl_json **ret) {
    if (member->location == SL_IN_PAYLOAD) return decode_payload(r, member, request->body, ret);
    int kind = sl_codec_outside(r->arena, route, request, member, ret, r->err);
    if (kind != SL_E_SERIALIZATION) return kind;
    // A date in a condition that cannot be read is no condition (RFC 9110 section 13.1.3).
    if (member->shape->type == SL_SHAPE_TIMESTAMP) return SL_OK;
    bool number = member->shape->type == SL_SHAPE_INTEGER || member->shape->type == SL_SHAPE_LONG;
    if (number)
        return sl_fail(r->err, SL_E_S3_INVALID_ARGUMENT, "Provided %.*s not an integer or within integer range",
                       SL_FMT(member->wire));
    return sl_fail(r->err, SL_E_S3_INVALID_ARGUMENT, "The %.*s you specified is not valid", SL_FMT(member->wire));
}

int sl_rest_xml_decode(struct sl_arena *arena, const struct sl_route *route, const struct sl_aws_request *request,
                       struct sl_json **ret, struct sl_error *err) {
    struct reader r = {arena, err};
    const struct sl_shape *input = route->operation->input;
    struct sl_json *in = sl_json_new_object(arena);
    for (unsigned i = 0; input && i < input->member_count; i++) {
        struct sl_json *value = NULL;
        int kind = decode_member(&r, route, request, &input->members[i], &value);
        if (kind) return kind;
        if (value) sl_json_set(in, input->members[i].name, value);
    }
    if (!in || sl_arena_failed(arena)) return sl_fail(err, SL_E_NO_MEMORY, "request too large");
    *ret = in;
    return SL_OK;
}

// --- output
// ---------------------------------------------------------------------------------------------------------------------

static void put_value(struct sl_buf *out, struct sl_arena *arena, const struct sl_shape *shape,
                      enum sl_time_format time, const struct sl_json *value);

// A start tag, with the attributes that the structure has.
static void put_open(struct sl_buf *out, struct sl_str name, const struct sl_shape *shape,
                     const struct sl_json *value) {
    sl_buf_printf(out, "<%.*s", SL_FMT(name));
    for (unsigned i = 0; shape->type == SL_SHAPE_STRUCTURE && i < shape->member_count; i++) {
        const struct sl_member *member = &shape->members[i];
        const struct sl_json *text = member->attribute ? sl_json_get_str(value, member->name) : NULL;
        if (!text || text->type != SL_JSON_STRING) continue;
        if (sl_str_starts(member->wire, SL_STR("xsi:")))
            sl_buf_cstr(out, " xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"");
        sl_buf_printf(out, " %.*s=\"", SL_FMT(member->wire));
        sl_xml_put_text(out, text->text);
        sl_buf_char(out, '"');
    }
    sl_buf_char(out, '>');
}

static void put_element(struct sl_buf *out, struct sl_arena *arena, struct sl_str name, const struct sl_shape *shape,
                        enum sl_time_format time, const struct sl_json *value) {
    put_open(out, name, shape, value);
    put_value(out, arena, shape, time, value);
    sl_xml_close(out, name);
}

// Body members only; `object` may hold more than the shape knows.
static void put_structure(struct sl_buf *out, struct sl_arena *arena, const struct sl_shape *shape,
                          const struct sl_json *object) {
    for (unsigned i = 0; shape->members && i < shape->member_count; i++) {
        const struct sl_member *member = &shape->members[i];
        const struct sl_json *value =
            member->location == SL_IN_BODY && !member->attribute ? sl_json_get_str(object, member->name) : NULL;
        if (!value || value->type == SL_JSON_NULL) continue;
        if (member->shape->type == SL_SHAPE_LIST && (member->flat || member->shape->flat)) {
            for (const struct sl_json *at = value->first; at; at = at->next)
                put_element(out, arena, member->wire, member->shape->of, SL_TIME_FORMAT_DEFAULT, at);
        } else {
            put_element(out, arena, member->wire, member->shape, member->time, value);
        }
    }
}

// S3 keeps seconds and writes them with three zeroes.
static void put_time(struct sl_buf *out, const struct sl_json *value) {
    int64_t ms;
    char text[SL_TIME_ISO_MS];
    if (!sl_json_to_i64(value, &ms)) {
        sl_xml_put_text(out, value->text);
        return;
    }
    sl_time_iso_ms(ms / 1000 * 1000, text);
    sl_buf_cstr(out, text);
}

static void put_value(struct sl_buf *out, struct sl_arena *arena, const struct sl_shape *shape,
                      enum sl_time_format time, const struct sl_json *value) {
    if (shape->type == SL_SHAPE_STRUCTURE) {
        put_structure(out, arena, shape, value);
    } else if (shape->type == SL_SHAPE_LIST) {
        struct sl_str element = shape->of_wire.ptr ? shape->of_wire : SL_STR("member");
        for (const struct sl_json *at = value->first; at; at = at->next)
            put_element(out, arena, element, shape->of, SL_TIME_FORMAT_DEFAULT, at);
    } else if (shape->type == SL_SHAPE_TIMESTAMP && time == SL_TIME_FORMAT_DEFAULT &&
               shape->time == SL_TIME_FORMAT_DEFAULT) {
        put_time(out, value);
    } else {
        enum sl_time_format format = time ? time : shape->time;
        sl_xml_put_text(out, sl_codec_text(arena, shape, format, value));
    }
}

// GetBucketLocation's document is its only member's value (Smithy, "s3UnwrappedXmlOutput").
static bool is_unwrapped(const struct sl_operation *model) {
    return model->output->members && model->output->member_count == 1 &&
           sl_str_eq(model->wrapper, model->output->members[0].name);
}

static void put_document(struct sl_buf *out, struct sl_op *op, struct sl_str name, const struct sl_shape *shape,
                         const struct sl_json *value) {
    sl_buf_printf(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<%.*s xmlns=\"%.*s\">", SL_FMT(name),
                  SL_FMT(op->model->service->xml_namespace));
    if (value) put_value(out, op->arena, shape, SL_TIME_FORMAT_DEFAULT, value);
    sl_xml_close(out, name);
}

static int encode_body(struct sl_op *op, struct sl_reply *ret, struct sl_error *err) {
    const struct sl_shape *shape = op->model->output;
    const struct sl_member *payload = shape->payload >= 0 ? &shape->members[shape->payload] : NULL;
    const struct sl_json *value = payload ? sl_json_get_str(op->out, payload->name) : op->out;
    struct sl_buf out;
    if (payload && (payload->shape->type == SL_SHAPE_BLOB || payload->shape->type == SL_SHAPE_STRING)) {
        ret->body = value && value->type == SL_JSON_STRING ? value->text : SL_STR("");
        return SL_OK;
    }
    if (payload && !value) return SL_OK;
    sl_buf_init(&out, MAX_REPLY);
    if (payload) {
        put_document(&out, op, payload->wire, payload->shape, value);
    } else if (is_unwrapped(op->model)) {
        const struct sl_member *only = &shape->members[0];
        put_document(&out, op, op->model->wrapper, only->shape, sl_json_get_str(op->out, only->name));
    } else {
        put_document(&out, op, op->model->wrapper, shape, op->out);
    }
    ret->content_type = xml_type;
    ret->body = out.failed ? (struct sl_str){0} : sl_arena_dup(op->arena, sl_buf_view(&out));
    sl_buf_free(&out);
    return ret->body.ptr ? SL_OK : sl_fail(err, SL_E_LIMIT, "the answer is too large");
}

int sl_rest_xml_encode(struct sl_op *op, struct sl_reply *ret, struct sl_error *err) {
    const struct sl_shape *shape = op->model->output;
    *ret = (struct sl_reply){.status = op->status ? op->status : op->model->status, .body = SL_STR("")};
    bool body = shape ? sl_codec_encode_outside(op, shape, ret) : false;
    if (!body || shape->member_count == 0 || ret->status == 204 || ret->status == 304) return SL_OK;
    return encode_body(op, ret, err);
}

// --- errors
// ---------------------------------------------------------------------------------------------------------------------

// S3's words for what goes wrong before an operation begins, or inside of the server ("Error Responses", S3 API
// reference). A message of NULL: the one given.
static const struct {
    int kind;
    const char *code;
    int status;
    const char *message;
} framework[] = {
    {SL_E_MISSING_TOKEN, "AccessDenied", 403, "Access Denied"},
    {SL_E_ACCESS_DENIED, "AccessDenied", 403, NULL},
    {SL_E_INVALID_SIGNATURE, "SignatureDoesNotMatch", 403, NULL},
    {SL_E_INCOMPLETE_SIGNATURE, "AuthorizationHeaderMalformed", 400, NULL},
    {SL_E_UNRECOGNIZED_CLIENT, "InvalidAccessKeyId", 403,
     "The AWS Access Key Id you provided does not exist in our records."},
    {SL_E_EXPIRED_TOKEN, "ExpiredToken", 400, "The provided token has expired."},
    {SL_E_UNKNOWN_OPERATION, "MethodNotAllowed", 405, "The specified method is not allowed against this resource."},
    {SL_E_NOT_IMPLEMENTED, "NotImplemented", 501, NULL},
    {SL_E_REQUEST_ENTITY_TOO_LARGE, "MaxMessageLengthExceeded", 400, "Your request was too big."},
    {SL_E_UNAVAILABLE, "SlowDown", 503, "Please reduce your request rate."},
};

static const char internal_text[] = "We encountered an internal error. Please try again.";

void sl_rest_xml_error(struct sl_arena *arena, int kind, struct sl_str message, const struct sl_json *more,
                       struct sl_str request_id, struct sl_str host_id, struct sl_reply *ret) {
    struct sl_str code = sl_str_of(sl_error_name(kind));
    struct sl_buf out;
    *ret = (struct sl_reply){.status = sl_error_status(kind), .content_type = xml_type};
    if (kind < SL_E_UNAVAILABLE) {
        code = SL_STR("InternalError");
        message = sl_str_of(internal_text);
    }
    for (size_t i = 0; i < sizeof framework / sizeof framework[0]; i++) {
        if (framework[i].kind != kind) continue;
        code = sl_str_of(framework[i].code);
        ret->status = framework[i].status;
        if (framework[i].message) message = sl_str_of(framework[i].message);
    }
    sl_buf_init(&out, MAX_REPLY);
    sl_buf_printf(&out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>%.*s</Code><Message>", SL_FMT(code));
    sl_xml_put_text(&out, message);
    sl_buf_cstr(&out, "</Message>");
    for (const struct sl_json *at = more ? more->first : NULL; at; at = at->next) {
        sl_xml_open(&out, at->key);
        sl_xml_put_text(&out, at->text);
        sl_xml_close(&out, at->key);
    }
    sl_buf_printf(&out, "<RequestId>%.*s</RequestId><HostId>%.*s</HostId></Error>", SL_FMT(request_id),
                  SL_FMT(host_id));
    ret->body = out.failed ? SL_STR("") : sl_arena_dup(arena, sl_buf_view(&out));
    sl_buf_free(&out);
}
