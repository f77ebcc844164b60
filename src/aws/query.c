// SPDX-License-Identifier: Apache-2.0
//
// query: the AWS query protocol (Smithy, "AWS Query protocol") that IAM, STS and old clients of SQS speak: a form in
// ("Tags.member.1.Key=a"), XML out. Flattened lists and maps have no element around them: in the form
// ("Attribute.1.Name=a"), in XML the entries repeat under the member's name. The same four functions as rest-json.
// Members whose prefix occurs nowhere in the form are not visited, so that recursion ends with the input.
#include "aws/codec.h"
#include "aws/xml.h"
#include "base/clock.h"
#include "base/encoding.h"

enum { MAX_PAIRS = 2000, MAX_ELEMENTS = 1000, MAX_REPLY = 8 << 20, MAX_PREFIX = 1024 };

struct pair {
    struct sl_str key, value; // decoded
};

struct form {
    struct sl_arena *arena;
    struct sl_error *err;
    struct pair *pairs;
    unsigned count;
};

static int parse_form(struct form *form, struct sl_str text) {
    unsigned most = 1;
    for (size_t i = 0; i < text.len; i++) most += text.ptr[i] == '&';
    if (most > MAX_PAIRS) return sl_fail(form->err, SL_E_MALFORMED, "The request has too many parameters.");
    form->pairs = sl_arena_alloc(form->arena, most * sizeof *form->pairs);
    if (!form->pairs) return sl_fail(form->err, SL_E_NO_MEMORY, "request too large");
    struct sl_str rest = text, part;
    while (text.len && sl_str_split(&rest, '&', &part)) {
        struct sl_str value = part, key;
        struct pair *pair = &form->pairs[form->count];
        if (part.len == 0) continue;
        sl_str_split(&value, '=', &key);
        if (!value.ptr) value = SL_STR("");
        if (!sl_percent_decode(form->arena, key, true, &pair->key) ||
            !sl_percent_decode(form->arena, value, true, &pair->value) || !sl_utf8_valid(pair->key) ||
            !sl_utf8_valid(pair->value)) {
            return sl_fail(form->err, SL_E_MALFORMED, "The request is not a valid form.");
        }
        form->count++;
    }
    return SL_OK;
}

static const struct pair *find(const struct form *form, struct sl_str key) {
    for (unsigned i = 0; i < form->count; i++) {
        if (sl_str_eq(form->pairs[i].key, key)) return &form->pairs[i];
    }
    return NULL;
}

// Some key is `prefix` or begins with "prefix.".
static bool occurs(const struct form *form, struct sl_str prefix) {
    for (unsigned i = 0; i < form->count; i++) {
        struct sl_str key = form->pairs[i].key;
        if (sl_str_starts(key, prefix) && (key.len == prefix.len || key.ptr[prefix.len] == '.')) return true;
    }
    return false;
}

static int decode_at(struct form *form, const struct sl_shape *shape, bool flat, struct sl_str prefix,
                     struct sl_json **ret);

// A flattened list goes by its element's name where it has one.
static struct sl_str wire_name(const struct sl_member *member) {
    const struct sl_shape *shape = member->shape;
    if (shape->type == SL_SHAPE_LIST && (shape->flat || member->flat) && shape->of_wire.ptr) return shape->of_wire;
    return member->query.ptr ? member->query : member->wire;
}

static int decode_structure(struct form *form, const struct sl_shape *shape, struct sl_str prefix,
                            struct sl_json *object) {
    for (unsigned i = 0; i < shape->member_count; i++) {
        const struct sl_member *member = &shape->members[i];
        struct sl_str key = sl_arena_printf(form->arena, "%.*s%s%.*s", SL_FMT(prefix), prefix.len ? "." : "",
                                            SL_FMT(wire_name(member)));
        struct sl_json *value = NULL;
        if (!key.ptr || key.len > MAX_PREFIX || !occurs(form, key)) continue;
        int kind = decode_at(form, member->shape, member->flat, key, &value);
        if (kind) return kind;
        sl_json_set(object, member->name, value);
    }
    return SL_OK;
}

static int decode_list(struct form *form, const struct sl_shape *shape, bool flat, struct sl_str prefix,
                       struct sl_json *array) {
    struct sl_str element = shape->of_wire.ptr ? shape->of_wire : SL_STR("member");
    for (unsigned n = 1; n <= MAX_ELEMENTS; n++) {
        struct sl_str key = flat || shape->flat
                                ? sl_arena_printf(form->arena, "%.*s.%u", SL_FMT(prefix), n)
                                : sl_arena_printf(form->arena, "%.*s.%.*s.%u", SL_FMT(prefix), SL_FMT(element), n);
        struct sl_json *value = NULL;
        if (!key.ptr || !occurs(form, key)) break;
        int kind = decode_at(form, shape->of, false, key, &value);
        if (kind) return kind;
        sl_json_push(array, value);
    }
    return SL_OK;
}

static int decode_map(struct form *form, const struct sl_shape *shape, struct sl_str prefix, struct sl_json *object) {
    struct sl_str key_wire = shape->key_wire.ptr ? shape->key_wire : SL_STR("key");
    struct sl_str value_wire = shape->of_wire.ptr ? shape->of_wire : SL_STR("value");
    for (unsigned n = 1; n <= MAX_ELEMENTS; n++) {
        struct sl_str entry = sl_arena_printf(form->arena, "%.*s%s.%u", SL_FMT(prefix), shape->flat ? "" : ".entry", n);
        const struct pair *key = find(form, sl_arena_printf(form->arena, "%.*s.%.*s", SL_FMT(entry), SL_FMT(key_wire)));
        struct sl_json *value = NULL;
        if (!key) break;
        int kind = decode_at(form, shape->of, false,
                             sl_arena_printf(form->arena, "%.*s.%.*s", SL_FMT(entry), SL_FMT(value_wire)), &value);
        if (kind) return kind;
        sl_json_set(object, key->value, value);
    }
    return SL_OK;
}

static int decode_at(struct form *form, const struct sl_shape *shape, bool flat, struct sl_str prefix,
                     struct sl_json **ret) {
    const struct pair *pair;
    switch (shape->type) {
    case SL_SHAPE_STRUCTURE:
        *ret = sl_json_new_object(form->arena);
        return decode_structure(form, shape, prefix, *ret);
    case SL_SHAPE_LIST:
        *ret = sl_json_new_array(form->arena);
        return decode_list(form, shape, flat, prefix, *ret);
    case SL_SHAPE_MAP:
        *ret = sl_json_new_object(form->arena);
        return decode_map(form, shape, prefix, *ret);
    default:
        pair = find(form, prefix);
        return pair ? sl_codec_scalar(form->arena, shape, pair->value, ret, form->err) : SL_OK;
    }
}

// Old clients of SQS post to the queue's own URL and need not repeat it in the form.
static void take_address(struct sl_arena *arena, const struct sl_operation *operation,
                         const struct sl_aws_request *request, struct sl_json *in) {
    const struct sl_member *address = sl_member_find(operation->input, SL_STR("QueueUrl"));
    if (!operation->service->query_compatible || !address || sl_json_get(in, "QueueUrl") || request->path.len < 2)
        return;
    sl_json_put_string(arena, in, "QueueUrl", request->path);
}

int sl_query_decode(struct sl_arena *arena, const struct sl_operation *operation, const struct sl_aws_request *request,
                    struct sl_json **ret, struct sl_error *err) {
    struct form form = {.arena = arena, .err = err};
    int kind = parse_form(&form, sl_str_is(request->method, "POST") ? request->body : request->query);
    if (kind) return kind;
    struct sl_json *in = sl_json_new_object(arena);
    if (operation->input && in) kind = decode_structure(&form, operation->input, SL_STR(""), in);
    if (kind) return kind;
    if (!in || sl_arena_failed(arena)) return sl_fail(err, SL_E_NO_MEMORY, "request too large");
    take_address(arena, operation, request, in);
    *ret = in;
    return SL_OK;
}

// --- XML
// ---------------------------------------------------------------------------------------------------------------------------

static void put_value(struct sl_buf *out, struct sl_arena *arena, const struct sl_shape *shape,
                      enum sl_time_format time, const struct sl_json *value);

static void put_element(struct sl_buf *out, struct sl_arena *arena, struct sl_str name, const struct sl_shape *shape,
                        enum sl_time_format time, const struct sl_json *value) {
    sl_xml_open(out, name);
    put_value(out, arena, shape, time, value);
    sl_xml_close(out, name);
}

static void put_entry(struct sl_buf *out, struct sl_arena *arena, const struct sl_shape *map,
                      const struct sl_json *value) {
    struct sl_str key_wire = map->key_wire.ptr ? map->key_wire : SL_STR("key");
    sl_xml_open(out, key_wire);
    sl_xml_put_text(out, value->key);
    sl_xml_close(out, key_wire);
    put_element(out, arena, map->of_wire.ptr ? map->of_wire : SL_STR("value"), map->of, SL_TIME_FORMAT_DEFAULT, value);
}

// A flattened list or map: its elements stand where the member would.
static void put_flat(struct sl_buf *out, struct sl_arena *arena, struct sl_str name, const struct sl_shape *shape,
                     const struct sl_json *value) {
    for (const struct sl_json *at = value->first; at; at = at->next) {
        sl_xml_open(out, name);
        if (shape->type == SL_SHAPE_MAP) {
            put_entry(out, arena, shape, at);
        } else {
            put_value(out, arena, shape->of, SL_TIME_FORMAT_DEFAULT, at);
        }
        sl_xml_close(out, name);
    }
}

static void put_structure(struct sl_buf *out, struct sl_arena *arena, const struct sl_shape *shape,
                          const struct sl_json *object) {
    for (unsigned i = 0; i < shape->member_count; i++) {
        const struct sl_member *member = &shape->members[i];
        const struct sl_json *value = sl_json_get_str(object, member->name);
        if (!value || value->type == SL_JSON_NULL) continue;
        bool collection = member->shape->type == SL_SHAPE_LIST || member->shape->type == SL_SHAPE_MAP;
        if (collection && (member->flat || member->shape->flat)) {
            put_flat(out, arena, wire_name(member), member->shape, value);
        } else {
            put_element(out, arena, wire_name(member), member->shape, member->time, value);
        }
    }
}

static void put_value(struct sl_buf *out, struct sl_arena *arena, const struct sl_shape *shape,
                      enum sl_time_format time, const struct sl_json *value) {
    if (shape->type == SL_SHAPE_STRUCTURE) {
        put_structure(out, arena, shape, value);
    } else if (shape->type == SL_SHAPE_LIST) {
        struct sl_str element = shape->of_wire.ptr ? shape->of_wire : SL_STR("member");
        for (const struct sl_json *at = value->first; at; at = at->next) {
            sl_xml_open(out, element);
            put_value(out, arena, shape->of, SL_TIME_FORMAT_DEFAULT, at);
            sl_xml_close(out, element);
        }
    } else if (shape->type == SL_SHAPE_MAP) {
        for (const struct sl_json *at = value->first; at; at = at->next) {
            sl_buf_cstr(out, "<entry>");
            put_entry(out, arena, shape, at);
            sl_buf_cstr(out, "</entry>");
        }
    } else {
        enum sl_time_format format = time ? time : shape->time ? shape->time : SL_TIME_FORMAT_ISO8601;
        sl_xml_put_text(out, sl_codec_text(arena, shape, format, value));
    }
}

int sl_query_encode(struct sl_op *op, struct sl_reply *ret, struct sl_error *err) {
    const struct sl_operation *model = op->model;
    struct sl_buf out;
    sl_buf_init(&out, MAX_REPLY);
    sl_buf_printf(&out, "<%.*sResponse xmlns=\"%.*s\">", SL_FMT(model->name), SL_FMT(model->service->xml_namespace));
    if (model->output) {
        if (model->wrapper.ptr) sl_xml_open(&out, model->wrapper);
        put_structure(&out, op->arena, model->output, op->out);
        if (model->wrapper.ptr) sl_xml_close(&out, model->wrapper);
    }
    sl_buf_printf(&out, "<ResponseMetadata><RequestId>%s</RequestId></ResponseMetadata></%.*sResponse>\n",
                  op->request_id, SL_FMT(model->name));
    *ret = (struct sl_reply){.status = op->status ? op->status : 200, .content_type = SL_STR("text/xml")};
    ret->body = out.failed ? (struct sl_str){0} : sl_arena_dup(op->arena, sl_buf_view(&out));
    sl_buf_free(&out);
    return ret->body.ptr ? SL_OK : sl_fail(err, SL_E_LIMIT, "the answer is too large");
}

// The names of "Common errors" (IAM and STS API references); otherwise those of rest-json without their suffix.
struct sl_str sl_codec_query_code(int kind, struct sl_str name) {
    if (kind == SL_E_INVALID_SIGNATURE) return SL_STR("SignatureDoesNotMatch");
    if (kind == SL_E_UNRECOGNIZED_CLIENT) return SL_STR("InvalidClientTokenId");
    return sl_str_ends(name, SL_STR("Exception")) ? sl_str_sub(name, 0, name.len - strlen("Exception")) : name;
}

void sl_query_error(struct sl_arena *arena, const struct sl_service *service, const struct sl_operation *operation,
                    int kind, struct sl_str message, struct sl_str request_id, struct sl_reply *ret) {
    struct sl_str name = sl_str_of(sl_error_name(kind));
    // STS models an expired token of another kind: of an identity provider's.
    const struct sl_shape *shape = kind == SL_E_EXPIRED_TOKEN ? NULL : sl_codec_error(service, operation, name);
    int status = shape ? shape->error_status : sl_error_status(kind);
    struct sl_buf out;
    if (!shape) name = sl_codec_query_code(kind, name);
    if (shape && shape->error_code.ptr) name = shape->error_code;
    sl_buf_init(&out, MAX_REPLY);
    sl_buf_cstr(&out, "<ErrorResponse");
    if (service && service->xml_namespace.ptr) sl_buf_printf(&out, " xmlns=\"%.*s\"", SL_FMT(service->xml_namespace));
    sl_buf_printf(&out, "><Error><Type>%s</Type><Code>%.*s</Code><Message>", status >= 500 ? "Receiver" : "Sender",
                  SL_FMT(name));
    sl_xml_put_text(&out, message);
    sl_buf_printf(&out, "</Message>%s</Error><RequestId>%.*s</RequestId></ErrorResponse>\n",
                  service && service->query_compatible ? "<Detail/>" : "", SL_FMT(request_id));
    *ret = (struct sl_reply){.status = status, .content_type = SL_STR("text/xml")};
    ret->body = out.failed ? SL_STR("") : sl_arena_dup(arena, sl_buf_view(&out));
    sl_buf_free(&out);
}
