// SPDX-License-Identifier: Apache-2.0
//
// validate: constraint failures, worded as AWS words them (recorded answers; the sentences come from its service
// framework and are the same for all services):
//
//   2 validation errors detected: Value '[x]' at 'a.b' failed to satisfy constraint: Member must ...; Value null at 'c'
//   failed to ...
//
// Rules read off the recordings. Failures stand in the model's member order; API Gateway v1 reports the body before the
// URI and shows the body's members below "<operation>Input". A path is lowerCamel and dotted; elements of a list of
// structures are "name.1.member", of a map "name.key.member". A list or map of scalars is reported once, as a whole,
// with every constraint of its elements. A sensitive value is left out ("Value at 'environment.variables' ...").
// Numbers print as Java prints them.
//
// API Gateway v2 answers BadRequestException, and for enumerations "Invalid protocol specified. Must be one of [HTTP,
// WEBSOCKET]".
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "aws/codec.h"
#include "aws/pattern.h"

enum { MAX_MESSAGE = 256 * 1024, MAX_PATH = 1024, MAX_FAILURES = 1000 };

struct check {
    struct sl_buf text;  // the failures, joined
    char path[MAX_PATH]; // an array, so that a request without failures allocates nothing; a longer path is cut
    size_t path_len;
    unsigned count;
    bool plain_enum; // v2's sentence for enumerations
};

static void put_path(struct check *check, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put_path(struct check *check, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int written = vsnprintf(check->path + check->path_len, sizeof check->path - check->path_len, format, arguments);
    va_end(arguments);
    if (written > 0) check->path_len += (size_t)written;
    if (check->path_len >= sizeof check->path) check->path_len = sizeof check->path - 1;
}

// --- values as Java prints them
// ----------------------------------------------------------------------------------------------------

// Double.toString: at least one decimal; exponents outside 10^-3..10^7. The shortest text that reads back the same.
static void put_double(struct sl_buf *out, double value) {
    char text[40];
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) break;
    }
    double size = fabs(value);
    if (size != 0 && (size < 1e-3 || size >= 1e7)) {
        int exponent = (int)floor(log10(size));
        char mantissa[40];
        snprintf(mantissa, sizeof mantissa, "%.15g", value / pow(10, exponent));
        sl_buf_printf(out, "%s%sE%d", mantissa, strchr(mantissa, '.') ? "" : ".0", exponent);
        return;
    }
    if (strchr(text, 'e')) snprintf(text, sizeof text, "%.15g", value);
    sl_buf_printf(out, "%s%s", text, strchr(text, '.') ? "" : ".0");
}

static void put_value(struct sl_buf *out, const struct sl_shape *shape, const struct sl_json *value) {
    double real;
    switch (value->type) {
    case SL_JSON_NULL:
        sl_buf_cstr(out, "null");
        return;
    case SL_JSON_TRUE:
        sl_buf_cstr(out, "true");
        return;
    case SL_JSON_FALSE:
        sl_buf_cstr(out, "false");
        return;
    case SL_JSON_STRING:
        if (shape->type == SL_SHAPE_BLOB) {
            sl_buf_printf(out, "java.nio.HeapByteBuffer[pos=0 lim=%zu cap=%zu]", value->text.len, value->text.len);
        } else {
            sl_buf_str(out, value->text);
        }
        return;
    case SL_JSON_NUMBER:
        if ((shape->type == SL_SHAPE_DOUBLE || shape->type == SL_SHAPE_FLOAT) && sl_json_to_double(value, &real)) {
            put_double(out, real);
        } else {
            sl_buf_str(out, value->text);
        }
        return;
    case SL_JSON_ARRAY:
    case SL_JSON_OBJECT:
        break;
    }
    bool list = value->type == SL_JSON_ARRAY;
    sl_buf_char(out, list ? '[' : '{');
    for (const struct sl_json *at = value->first; at; at = at->next) {
        const struct sl_member *member = shape->type == SL_SHAPE_STRUCTURE ? sl_member_find(shape, at->key) : NULL;
        const struct sl_shape *of = member ? member->shape : shape->of;
        if (at != value->first) sl_buf_cstr(out, ", ");
        if (!list) {
            sl_buf_str(out, at->key);
            sl_buf_char(out, '=');
        }
        put_value(out, of ? of : shape, at);
    }
    sl_buf_char(out, list ? ']' : '}');
}

// --- one failure
// -------------------------------------------------------------------------------------------------------------------

static bool is_sensitive(const struct sl_shape *shape) {
    return shape->sensitive || (shape->of && shape->of->sensitive);
}

// "Value 'x' at 'path' failed to satisfy constraint: "; the caller writes the constraint.
static void begin_failure(struct check *check, const struct sl_shape *shape, const struct sl_json *value) {
    if (check->count++) sl_buf_cstr(&check->text, "; ");
    sl_buf_cstr(&check->text, "Value ");
    if (!value) {
        sl_buf_cstr(&check->text, "null ");
    } else if (!is_sensitive(shape)) {
        sl_buf_char(&check->text, '\'');
        put_value(&check->text, shape, value);
        sl_buf_cstr(&check->text, "' ");
    }
    sl_buf_cstr(&check->text, "at '");
    sl_buf_put(&check->text, check->path, check->path_len);
    sl_buf_cstr(&check->text, "' failed to satisfy constraint: ");
}

static void put_bound(struct sl_buf *out, const struct sl_shape *shape, double bound) {
    if (shape->type == SL_SHAPE_DOUBLE || shape->type == SL_SHAPE_FLOAT) {
        put_double(out, bound);
    } else {
        sl_buf_printf(out, "%.0f", bound);
    }
}

static bool has_length(const struct sl_shape *shape) {
    return shape->type == SL_SHAPE_STRING || shape->type == SL_SHAPE_BLOB || shape->type == SL_SHAPE_LIST ||
           shape->type == SL_SHAPE_MAP;
}

static void put_max(struct sl_buf *out, const struct sl_shape *shape) {
    sl_buf_printf(out, "Member must have %s less than or equal to ", has_length(shape) ? "length" : "value");
    put_bound(out, shape, shape->max);
}

static void put_min(struct sl_buf *out, const struct sl_shape *shape) {
    sl_buf_printf(out, "Member must have %s greater than or equal to ", has_length(shape) ? "length" : "value");
    put_bound(out, shape, shape->min);
}

static void put_pattern(struct sl_buf *out, const struct sl_shape *shape) {
    sl_buf_cstr(out, "Member must satisfy regular expression pattern: ");
    sl_buf_str(out, shape->pattern);
}

static void put_enum(struct sl_buf *out, const struct sl_shape *shape) {
    sl_buf_cstr(out, "Member must satisfy enum value set: ");
    sl_buf_str(out, shape->enum_text);
}

// --- scalars
// -----------------------------------------------------------------------------------------------------------------------

enum { BROKE_MAX = 1, BROKE_MIN = 2, BROKE_PATTERN = 4, BROKE_ENUM = 8 };

// Java counts UTF-16 units: a character beyond the basic plane (4 bytes in UTF-8) is two.
static double utf16_length(struct sl_str text) {
    size_t units = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.ptr[i];
        units += (byte & 0xC0) != 0x80;
        units += byte >= 0xF0;
    }
    return (double)units;
}

static double size_of(const struct sl_shape *shape, const struct sl_json *value) {
    double number = 0;
    if (shape->type == SL_SHAPE_STRING) return utf16_length(value->text);
    if (shape->type == SL_SHAPE_BLOB) return (double)value->text.len;
    if (shape->type == SL_SHAPE_LIST || shape->type == SL_SHAPE_MAP) return value->count;
    sl_json_to_double(value, &number);
    return number;
}

static bool in_enum(const struct sl_shape *shape, struct sl_str text) {
    for (unsigned i = 0; i < shape->enum_count; i++) {
        if (sl_str_eq(shape->enums[i], text)) return true;
    }
    return false;
}

static int broken(const struct sl_shape *shape, const struct sl_json *value) {
    int result = 0;
    bool text = shape->type == SL_SHAPE_STRING;
    if (shape->has_max || shape->has_min) {
        double size = size_of(shape, value);
        if (shape->has_max && size > shape->max) result |= BROKE_MAX;
        if (shape->has_min && size < shape->min) result |= BROKE_MIN;
    }
    if (text && shape->pattern_id && !sl_pattern_matches(shape, value->text)) result |= BROKE_PATTERN;
    if (text && shape->enums && !in_enum(shape, value->text)) result |= BROKE_ENUM;
    return result;
}

// v2: "Invalid protocol specified. Must be one of [HTTP, WEBSOCKET]". The noun is the member's name without "Type", in
// small letters.
static void put_plain_enum(struct check *check, const struct sl_shape *shape) {
    struct sl_str name = sl_str_n(check->path, check->path_len);
    if (check->count++) sl_buf_cstr(&check->text, "; ");
    if (name.len > 4 && sl_str_ends(name, SL_STR("Type"))) name.len -= 4;
    sl_buf_cstr(&check->text, "Invalid ");
    sl_buf_str(&check->text, name);
    sl_buf_cstr(&check->text, " specified. Must be one of ");
    sl_buf_str(&check->text, shape->enum_text);
}

// Each broken constraint of a value is a failure of its own, the pattern before the lengths.
static void check_scalar(struct check *check, const struct sl_shape *shape, const struct sl_json *value) {
    static void (*const writers[])(struct sl_buf *, const struct sl_shape *) = {put_pattern, put_min, put_max,
                                                                                put_enum};
    static const int flags[] = {BROKE_PATTERN, BROKE_MIN, BROKE_MAX, BROKE_ENUM};
    int failed = broken(shape, value);
    for (unsigned i = 0; failed && i < 4; i++) {
        if (!(failed & flags[i])) continue;
        if (flags[i] == BROKE_ENUM && check->plain_enum) {
            put_plain_enum(check, shape);
            continue;
        }
        begin_failure(check, shape, value);
        writers[i](&check->text, shape);
    }
}

// --- lists, maps, structures
// -------------------------------------------------------------------------------------------------------

static bool is_scalar(const struct sl_shape *shape) {
    return shape->type != SL_SHAPE_STRUCTURE && shape->type != SL_SHAPE_LIST && shape->type != SL_SHAPE_MAP;
}

// Every constraint of an element: "[a, b, c]", or the only one bare where AWS prints it so.
static void put_all_constraints(struct sl_buf *out, const char *lead, const struct sl_shape *element, bool not_null,
                                bool bare) {
    const char *separator = "";
    if (!bare) sl_buf_printf(out, "%s: [", lead);
#define ITEM(condition, write)                                                                                         \
    if (condition) {                                                                                                   \
        sl_buf_cstr(out, separator);                                                                                   \
        write;                                                                                                         \
        separator = ", ";                                                                                              \
    }
    ITEM(element->has_max, put_max(out, element))
    ITEM(element->has_min, put_min(out, element))
    ITEM(element->pattern_id, put_pattern(out, element))
    ITEM(element->enums, put_enum(out, element))
    ITEM(not_null, sl_buf_cstr(out, "Member must not be null"))
#undef ITEM
    if (!bare) sl_buf_char(out, ']');
}

static void check_value(struct check *check, const struct sl_shape *shape, const struct sl_json *value);

static void check_list(struct check *check, const struct sl_shape *shape, const struct sl_json *list) {
    unsigned index = 0;
    bool failed = false;
    size_t path = check->path_len;
    for (const struct sl_json *at = list->first; at && check->count < MAX_FAILURES; at = at->next) {
        index++;
        if (at->type == SL_JSON_NULL) {
            failed |= shape->of_null_text;
        } else if (is_scalar(shape->of)) {
            failed |= broken(shape->of, at) != 0;
        } else {
            put_path(check, ".%u.member", index);
            check_value(check, shape->of, at);
            check->path_len = path;
        }
    }
    if (!failed) return;
    begin_failure(check, shape, list);
    put_all_constraints(&check->text, "Member must satisfy constraint", shape->of, shape->of_null_text, shape->of_bare);
}

static void check_map(struct check *check, const struct sl_shape *shape, const struct sl_json *map) {
    bool keys = false, values = false;
    size_t path = check->path_len;
    for (const struct sl_json *at = map->first; at && check->count < MAX_FAILURES; at = at->next) {
        struct sl_json key = {.type = SL_JSON_STRING, .text = at->key};
        keys |= broken(shape->key, &key) != 0;
        if (at->type == SL_JSON_NULL) {
            values |= shape->of_null_text;
        } else if (is_scalar(shape->of)) {
            values |= broken(shape->of, at) != 0;
        } else {
            put_path(check, ".%.*s.member", SL_FMT(at->key));
            check_value(check, shape->of, at);
            check->path_len = path;
        }
    }
    if (keys) {
        begin_failure(check, shape, map);
        put_all_constraints(&check->text, "Map keys must satisfy constraint", shape->key, false, false);
    }
    if (values) {
        begin_failure(check, shape, map);
        put_all_constraints(&check->text, "Map value must satisfy constraint", shape->of, shape->of_null_text, false);
    }
}

static void check_member(struct check *check, const struct sl_member *member, const struct sl_json *object) {
    const struct sl_json *value = sl_json_get_str(object, member->name);
    size_t path = check->path_len;
    if ((!value && !member->required) || check->count >= MAX_FAILURES) return;
    put_path(check, "%s%.*s", path ? "." : "", SL_FMT(member->shown));
    if (value) {
        check_value(check, member->shape, value);
    } else {
        begin_failure(check, member->shape, NULL);
        sl_buf_cstr(&check->text, "Member must not be null");
    }
    check->path_len = path;
}

static void check_value(struct check *check, const struct sl_shape *shape, const struct sl_json *value) {
    switch (shape->type) {
    case SL_SHAPE_STRUCTURE:
        for (unsigned i = 0; i < shape->member_count; i++) check_member(check, &shape->members[i], value);
        break;
    case SL_SHAPE_LIST:
        check_scalar(check, shape, value);
        check_list(check, shape, value);
        break;
    case SL_SHAPE_MAP:
        check_scalar(check, shape, value);
        check_map(check, shape, value);
        break;
    default:
        check_scalar(check, shape, value);
    }
}

static int check_required(struct sl_arena *arena, const struct sl_shape *input, const struct sl_json *in,
                          struct sl_str *ret_message) {
    for (unsigned i = 0; i < input->member_count; i++) {
        const struct sl_member *member = &input->members[i];
        if (!member->required || sl_json_get_str(in, member->name)) continue;
        *ret_message = sl_arena_printf(arena, "The request must contain the parameter %.*s.", SL_FMT(member->name));
        return SL_E_MISSING_PARAMETER;
    }
    return SL_OK;
}

int sl_validate(struct sl_arena *arena, const struct sl_operation *operation, const struct sl_json *in,
                struct sl_str *ret_message) {
    struct check check = {.plain_enum = sl_str_is(operation->service->name, "apigatewayv2")};
    bool body_first = sl_str_is(operation->service->name, "apigateway");
    const struct sl_shape *input = operation->input;
    if (!input) return SL_OK;
    // SQS checks what is missing only, and names it in a sentence of its own; values are the operations' business.
    if (sl_str_is(operation->service->name, "sqs")) return check_required(arena, input, in, ret_message);
    sl_buf_init(&check.text, MAX_MESSAGE);
    if (!body_first) {
        check_value(&check, input, in);
    } else {
        for (int pass = 0; pass < 2; pass++) {
            for (unsigned i = 0; i < input->member_count; i++) {
                if ((input->members[i].location == SL_IN_BODY) == (pass == 0))
                    check_member(&check, &input->members[i], in);
            }
        }
    }
    int kind = SL_OK;
    if (check.count) {
        bool query = operation->service->protocol == SL_PROTOCOL_QUERY;
        bool metrics = operation->service->protocol == SL_PROTOCOL_CBOR; // its errors keep the query protocol's names
        bool logs = sl_str_is(operation->service->name, "logs");
        kind = check.plain_enum ? SL_E_BAD_REQUEST
               : query          ? SL_E_QUERY_VALIDATION
               : logs           ? SL_E_LOGS_PARAMETER
               : metrics        ? SL_E_QUERY_VALIDATION
                                : SL_E_VALIDATION;
        struct sl_str list = sl_buf_view(&check.text);
        bool counted = !(check.plain_enum && sl_str_starts(list, SL_STR("Invalid ")));
        *ret_message = counted ? sl_arena_printf(arena, "%u validation error%s detected: %.*s", check.count,
                                                 check.count == 1 ? "" : "s", SL_FMT(list))
                               : sl_arena_dup(arena, list);
    }
    sl_buf_free(&check.text);
    return kind;
}
