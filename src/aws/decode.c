// SPDX-License-Identifier: Apache-2.0
//
// decode: rest-json requests (Smithy, "AWS restJson1 protocol") into one object keyed by the API's member names; and
// those of the json 1.0/1.1 protocols ("AWS JSON 1.0 protocol"), whose input is the body alone. Members come from URI
// labels, query parameters, headers and the JSON body; unknown body members are ignored, as AWS does; null is the same
// as absent.
//
// The texts of SerializationException follow AWS's deserializer: scalars of another type were recorded ("class
// java.lang.Boolean can not be converted to an String"); the ones for structures and lists are its general sentences.
#include "aws/codec.h"
#include "base/encoding.h"
#include "http/http.h"

struct decoder {
    struct sl_arena *arena;
    struct sl_error *err;
};

static int no_memory(struct decoder *d) { return sl_fail(d->err, SL_E_NO_MEMORY, "request too large"); }

static const char *java_class(const struct sl_json *node) {
    switch (node->type) {
    case SL_JSON_TRUE:
    case SL_JSON_FALSE:
        return "java.lang.Boolean";
    case SL_JSON_NUMBER:
        return "com.amazon.coral.value.json.numbers.TruncatingBigNumber";
    default:
        return "java.lang.String";
    }
}

static const char *java_target(enum sl_shape_type type) {
    switch (type) {
    case SL_SHAPE_INTEGER:
        return "Integer";
    case SL_SHAPE_LONG:
        return "Long";
    case SL_SHAPE_FLOAT:
        return "Float";
    case SL_SHAPE_DOUBLE:
        return "Double";
    case SL_SHAPE_BOOLEAN:
        return "Boolean";
    case SL_SHAPE_BLOB:
        return "Blob";
    case SL_SHAPE_TIMESTAMP:
        return "Timestamp";
    default:
        return "String";
    }
}

static int wrong_type(struct decoder *d, const struct sl_shape *shape, const struct sl_json *node) {
    bool collection = shape->type == SL_SHAPE_STRUCTURE || shape->type == SL_SHAPE_LIST || shape->type == SL_SHAPE_MAP;
    if (node->type == SL_JSON_OBJECT)
        return sl_fail(d->err, SL_E_SERIALIZATION, "Start of structure or map found where not expected");
    if (node->type == SL_JSON_ARRAY)
        return sl_fail(d->err, SL_E_SERIALIZATION, "Start of list found where not expected");
    if (collection)
        return sl_fail(d->err, SL_E_SERIALIZATION, "Unrecognized collection type class %s", java_class(node));
    return sl_fail(d->err, SL_E_SERIALIZATION, "class %s can not be converted to an %s", java_class(node),
                   java_target(shape->type));
}

static int decode_value(struct decoder *d, const struct sl_shape *shape, const struct sl_json *node,
                        struct sl_json **ret);

static int decode_structure(struct decoder *d, const struct sl_shape *shape, const struct sl_json *node,
                            struct sl_json *object) {
    for (unsigned i = 0; i < shape->member_count; i++) {
        const struct sl_member *member = &shape->members[i];
        const struct sl_json *value = member->location == SL_IN_BODY ? sl_json_get_str(node, member->wire) : NULL;
        struct sl_json *decoded = NULL;
        if (!value || value->type == SL_JSON_NULL) continue;
        int kind = decode_value(d, member->shape, value, &decoded);
        if (kind) return kind;
        sl_json_set(object, member->name, decoded);
    }
    return SL_OK;
}

static int decode_list(struct decoder *d, const struct sl_shape *shape, const struct sl_json *node,
                       struct sl_json *array) {
    for (const struct sl_json *at = node->first; at; at = at->next) {
        struct sl_json *decoded = NULL;
        int kind = decode_value(d, shape->of, at, &decoded);
        if (kind) return kind;
        sl_json_push(array, decoded);
    }
    return SL_OK;
}

static int decode_map(struct decoder *d, const struct sl_shape *shape, const struct sl_json *node,
                      struct sl_json *object) {
    for (const struct sl_json *at = node->first; at; at = at->next) {
        struct sl_json *decoded = NULL;
        int kind = decode_value(d, shape->of, at, &decoded);
        if (kind) return kind;
        // Not sl_json_set, which looks for the key: quadratic on a hostile map. Readers take the last of equal keys.
        if (!decoded) return no_memory(d);
        sl_json_push(object, decoded);
        decoded->key = at->key;
    }
    return SL_OK;
}

static int decode_number(struct decoder *d, const struct sl_shape *shape, const struct sl_json *node,
                         struct sl_json **ret) {
    int64_t whole;
    double real;
    bool floating = shape->type == SL_SHAPE_FLOAT || shape->type == SL_SHAPE_DOUBLE;
    if (floating && sl_codec_not_finite(node->text)) { // CBOR's; the operation words its refusal
        *ret = sl_json_copy(d->arena, node);
        return SL_OK;
    }
    if (!sl_json_to_double(node, &real)) return wrong_type(d, shape, node);
    if (shape->type == SL_SHAPE_TIMESTAMP) {
        if (real > 1e14 || real < -1e14)
            return sl_fail(d->err, SL_E_SERIALIZATION, "Unable to parse date: %.*s", SL_FMT(node->text));
        double ms = real * 1000;
        *ret = sl_json_new_int(d->arena, (int64_t)(ms < 0 ? ms - 0.5 : ms + 0.5));
    } else if (floating) {
        *ret = sl_json_new_double(d->arena, real);
    } else {
        if (!sl_json_to_i64(node, &whole)) {
            if (real > 9e18 || real < -9e18) return wrong_type(d, shape, node);
            whole = (int64_t)real; // 1.5 for an integer is cut, as AWS's "TruncatingBigNumber" says
        }
        *ret = sl_json_new_int(d->arena, whole);
    }
    return SL_OK;
}

static int decode_string(struct decoder *d, const struct sl_shape *shape, const struct sl_json *node,
                         struct sl_json **ret) {
    if (shape->type == SL_SHAPE_STRING) {
        *ret = sl_json_new_string(d->arena, node->text);
        return SL_OK;
    }
    bool floating = shape->type == SL_SHAPE_FLOAT || shape->type == SL_SHAPE_DOUBLE;
    if (shape->type == SL_SHAPE_TIMESTAMP || shape->type == SL_SHAPE_BLOB ||
        (floating && sl_codec_not_finite(node->text))) {
        return sl_codec_scalar(d->arena, shape, node->text, ret, d->err);
    }
    return wrong_type(d, shape, node);
}

static int decode_value(struct decoder *d, const struct sl_shape *shape, const struct sl_json *node,
                        struct sl_json **ret) {
    int kind = SL_OK;
    bool number = shape->type >= SL_SHAPE_INTEGER && shape->type <= SL_SHAPE_DOUBLE;
    if (node->type == SL_JSON_NULL) { // in a list or a map: the validator's business
        *ret = sl_json_new_null(d->arena);
    } else if (node->type == SL_JSON_OBJECT && (shape->type == SL_SHAPE_STRUCTURE || shape->type == SL_SHAPE_MAP)) {
        *ret = sl_json_new_object(d->arena);
        kind = shape->type == SL_SHAPE_MAP ? decode_map(d, shape, node, *ret) : decode_structure(d, shape, node, *ret);
    } else if (node->type == SL_JSON_ARRAY && shape->type == SL_SHAPE_LIST) {
        *ret = sl_json_new_array(d->arena);
        kind = decode_list(d, shape, node, *ret);
    } else if (node->type == SL_JSON_STRING) {
        kind = decode_string(d, shape, node, ret);
    } else if (node->type == SL_JSON_NUMBER && (number || shape->type == SL_SHAPE_TIMESTAMP)) {
        kind = decode_number(d, shape, node, ret);
    } else if ((node->type == SL_JSON_TRUE || node->type == SL_JSON_FALSE) && shape->type == SL_SHAPE_BOOLEAN) {
        *ret = sl_json_new_bool(d->arena, node->type == SL_JSON_TRUE);
    } else {
        kind = wrong_type(d, shape, node);
    }
    if (kind) return kind;
    return *ret ? SL_OK : no_memory(d);
}

// --- labels, parameters, headers
// ---------------------------------------------------------------------------------------------------

static int decode_label(struct decoder *d, const struct sl_route *route, const struct sl_member *member,
                        struct sl_json **ret) {
    const struct sl_operation *operation = route->operation;
    struct sl_str text;
    for (unsigned i = 0; i < operation->segment_count; i++) {
        if (!operation->segments[i].label || !sl_str_eq(operation->segments[i].text, member->wire)) continue;
        if (!sl_percent_decode(d->arena, route->labels[i], false, &text) || !sl_utf8_valid(text)) {
            return sl_fail(d->err, SL_E_SERIALIZATION, "The path is not valid percent-encoded UTF-8.");
        }
        return sl_codec_scalar(d->arena, member->shape, text, ret, d->err);
    }
    return SL_OK;
}

static int parameter(struct decoder *d, struct sl_str pair, struct sl_str *ret_key, struct sl_str *ret_value) {
    struct sl_str value = pair, key;
    sl_str_split(&value, '=', &key);
    if (!value.ptr) value = SL_STR("");
    if (!sl_percent_decode(d->arena, key, true, ret_key) || !sl_percent_decode(d->arena, value, true, ret_value) ||
        !sl_utf8_valid(*ret_key) || !sl_utf8_valid(*ret_value)) {
        return sl_fail(d->err, SL_E_SERIALIZATION, "The query is not valid percent-encoded UTF-8.");
    }
    return SL_OK;
}

// A parameter that no other member and no discriminator of the URI claims belongs to the map (PutRestApi's
// "parameters").
static bool claimed(const struct sl_operation *operation, struct sl_str key) {
    for (unsigned i = 0; i < operation->discriminator_count; i++) {
        if (sl_str_eq(operation->discriminators[i].key, key)) return true;
    }
    for (unsigned i = 0; i < operation->input->member_count; i++) {
        const struct sl_member *member = &operation->input->members[i];
        if (member->location == SL_IN_QUERY && member->shape->type != SL_SHAPE_MAP && sl_str_eq(member->wire, key))
            return true;
    }
    return false;
}

static int decode_parameter(struct decoder *d, const struct sl_operation *operation, const struct sl_member *member,
                            struct sl_str query, struct sl_json **ret) {
    struct sl_str rest = query, pair, key = {0}, value = {0};
    enum sl_shape_type type = member->shape->type;
    while (query.len && sl_str_split(&rest, '&', &pair)) {
        if (pair.len == 0) continue;
        int kind = parameter(d, pair, &key, &value);
        if (kind) return kind;
        if (type == SL_SHAPE_MAP ? claimed(operation, key) : !sl_str_eq(key, member->wire)) continue;
        struct sl_json *one = NULL;
        bool many = type == SL_SHAPE_MAP || type == SL_SHAPE_LIST;
        kind = sl_codec_scalar(d->arena, many ? member->shape->of : member->shape, value, &one, d->err);
        if (kind) return kind;
        if (!many) {
            if (!*ret) *ret = one; // the first of several wins
            continue;
        }
        if (!*ret) *ret = type == SL_SHAPE_MAP ? sl_json_new_object(d->arena) : sl_json_new_array(d->arena);
        if (!*ret) return no_memory(d);
        sl_json_push(*ret, one);
        if (type == SL_SHAPE_MAP) one->key = key;
    }
    return SL_OK;
}

// A list in a header: its elements between commas.
static int decode_header_list(struct decoder *d, const struct sl_shape *list, struct sl_str value,
                              struct sl_json **ret) {
    struct sl_str part;
    *ret = sl_json_new_array(d->arena);
    while (sl_str_split(&value, ',', &part)) {
        struct sl_json *one = NULL;
        int kind = sl_codec_scalar(d->arena, list->of, sl_str_trim(part), &one, d->err);
        if (kind) return kind;
        sl_json_push(*ret, one);
    }
    return *ret ? SL_OK : no_memory(d);
}

static int decode_header(struct decoder *d, const struct sl_aws_request *request, const struct sl_member *member,
                         struct sl_json **ret) {
    struct sl_str value = sl_aws_request_header(request, member->wire);
    if (!value.ptr) return SL_OK;
    if (!sl_utf8_valid(value))
        return sl_fail(d->err, SL_E_SERIALIZATION, "Header %.*s is not valid UTF-8.", SL_FMT(member->wire));
    if (member->shape->type == SL_SHAPE_LIST) return decode_header_list(d, member->shape, value, ret);
    return sl_codec_scalar(d->arena, member->shape, value, ret, d->err);
}

static int decode_headers(struct decoder *d, const struct sl_aws_request *request, const struct sl_member *member,
                          struct sl_json **ret) {
    for (unsigned i = 0; i < request->header_count; i++) {
        struct sl_str name = request->headers[i].name;
        if (name.len < member->wire.len || !sl_str_ieq(sl_str_sub(name, 0, member->wire.len), member->wire)) continue;
        struct sl_json *one = sl_json_new_string(d->arena, request->headers[i].value);
        if (!*ret) *ret = sl_json_new_object(d->arena);
        if (!one || !*ret) return no_memory(d);
        sl_json_push(*ret, one);
        one->key = sl_str_sub(name, member->wire.len, name.len);
    }
    return SL_OK;
}

// --- the whole request
// -------------------------------------------------------------------------------------------------------------

static int parse_body(struct decoder *d, struct sl_str body, struct sl_json **ret) {
    if (sl_str_trim(body).len == 0) return SL_OK;
    int kind = sl_json_parse(d->arena, body, ret, d->err);
    if (kind) return kind;
    if ((*ret)->type == SL_JSON_NULL) *ret = NULL;
    if (*ret && (*ret)->type != SL_JSON_OBJECT) {
        if ((*ret)->type == SL_JSON_ARRAY)
            return sl_fail(d->err, SL_E_SERIALIZATION, "Start of list found where not expected");
        return sl_fail(d->err, SL_E_SERIALIZATION, "Unexpected field type");
    }
    return SL_OK;
}

static int decode_payload(struct decoder *d, const struct sl_member *member, struct sl_str body, struct sl_json **ret) {
    struct sl_json *node = NULL;
    if (member->shape->type == SL_SHAPE_BLOB || member->shape->type == SL_SHAPE_STRING) {
        if (body.len) *ret = sl_json_new_string(d->arena, body);
        return SL_OK;
    }
    int kind = parse_body(d, body, &node);
    return kind || !node ? kind : decode_value(d, member->shape, node, ret);
}

static bool body_is_json(const struct sl_shape *input) {
    for (unsigned i = 0; i < input->member_count; i++) {
        if (input->members[i].location == SL_IN_BODY) return true;
    }
    return false;
}

int sl_codec_outside(struct sl_arena *arena, const struct sl_route *route, const struct sl_aws_request *request,
                     const struct sl_member *member, struct sl_json **ret, struct sl_error *err) {
    struct decoder d = {arena, err};
    switch (member->location) {
    case SL_IN_URI:
        return decode_label(&d, route, member, ret);
    case SL_IN_QUERY:
        return decode_parameter(&d, route->operation, member, request->query, ret);
    case SL_IN_HEADER:
        return decode_header(&d, request, member, ret);
    case SL_IN_HEADERS:
        return decode_headers(&d, request, member, ret);
    default:
        return SL_OK;
    }
}

int sl_rest_json_decode(struct sl_arena *arena, const struct sl_route *route, const struct sl_aws_request *request,
                        struct sl_json **ret, struct sl_error *err) {
    struct decoder d = {arena, err};
    const struct sl_shape *input = route->operation->input;
    struct sl_json *in = sl_json_new_object(arena), *body = NULL;
    int kind = SL_OK;
    if (!in) return no_memory(&d);
    if (input && input->payload < 0 && body_is_json(input)) kind = parse_body(&d, request->body, &body);
    for (unsigned i = 0; input && !kind && i < input->member_count; i++) {
        const struct sl_member *member = &input->members[i];
        const struct sl_json *node = NULL;
        struct sl_json *value = NULL;
        switch (member->location) {
        case SL_IN_PAYLOAD:
            kind = decode_payload(&d, member, request->body, &value);
            break;
        case SL_IN_BODY:
        case SL_IN_STATUS:
            node = sl_json_get_str(body, member->wire);
            if (node && node->type != SL_JSON_NULL) kind = decode_value(&d, member->shape, node, &value);
            break;
        default:
            kind = sl_codec_outside(arena, route, request, member, &value, err);
        }
        if (!kind && value) sl_json_set(in, member->name, value);
    }
    if (kind) return kind;
    if (sl_arena_failed(arena)) return no_memory(&d);
    *ret = in;
    return SL_OK;
}

int sl_codec_decode_body(struct sl_arena *arena, const struct sl_operation *operation, const struct sl_json *body,
                         struct sl_json **ret, struct sl_error *err) {
    struct decoder d = {arena, err};
    struct sl_json *in = sl_json_new_object(arena);
    if (!in) return no_memory(&d);
    int kind = body && operation->input ? decode_structure(&d, operation->input, body, in) : SL_OK;
    if (kind) return kind;
    if (sl_arena_failed(arena)) return no_memory(&d);
    *ret = in;
    return SL_OK;
}

int sl_json_rpc_decode(struct sl_arena *arena, const struct sl_operation *operation,
                       const struct sl_aws_request *request, struct sl_json **ret, struct sl_error *err) {
    struct decoder d = {arena, err};
    struct sl_json *body = NULL;
    int kind = parse_body(&d, request->body, &body);
    return kind ? kind : sl_codec_decode_body(arena, operation, body, ret, err);
}
