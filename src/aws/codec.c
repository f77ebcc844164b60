// SPDX-License-Identifier: Apache-2.0
//
// codec: what the protocols share: scalars from and to text, times.
#include "aws/codec.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/encoding.h"

void sl_reply_header(struct sl_reply *reply, struct sl_str name, struct sl_str value) {
    if (reply->header_count == SL_REPLY_HEADERS) return;
    reply->headers[reply->header_count].name = name;
    reply->headers[reply->header_count++].value = value;
}

// "+02:00", "-0500", "Z" to seconds east of UTC.
static bool parse_zone(struct sl_str text, long *ret_s) {
    uint64_t digits;
    char plain[4];
    *ret_s = 0;
    if (text.len == 0 || sl_str_is(text, "Z") || sl_str_is(text, "GMT")) return true;
    if ((text.len != 5 && text.len != 6) || (text.ptr[0] != '+' && text.ptr[0] != '-') ||
        (text.len == 6 && text.ptr[3] != ':'))
        return false;
    memcpy(plain, text.ptr + 1, 2);
    memcpy(plain + 2, text.ptr + text.len - 2, 2);
    if (!sl_str_to_u64(sl_str_n(plain, 4), &digits)) return false;
    *ret_s = (text.ptr[0] == '-' ? -1L : 1L) * (long)(digits / 100 * 3600 + digits % 100 * 60);
    return true;
}

bool sl_time_parse(struct sl_str text, int64_t *ret_ms) {
    char copy[64];
    struct tm tm = {0};
    long zone = 0;
    double fraction = 0;
    if (text.len == 0 || text.len >= sizeof copy) return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    char *end = strptime(copy, "%Y-%m-%dT%H:%M:%S", &tm);
    if (end) {
        if (*end == '.') fraction = strtod(end, &end);
        if (!parse_zone(sl_str_of(end), &zone)) return false;
    } else {
        end = strptime(copy, "%a, %d %b %Y %H:%M:%S ", &tm); // RFC 9110 section 5.6.7
        if (!end || !parse_zone(sl_str_of(end), &zone)) return false;
    }
    *ret_ms = ((int64_t)timegm(&tm) - zone) * 1000 + (int64_t)llround(fraction * 1000);
    return true;
}

static bool whole_number(struct sl_str text, int64_t *ret) {
    if (text.len > 1 && text.ptr[0] == '+') text = sl_str_sub(text, 1, text.len);
    return sl_str_to_i64(text, ret);
}

static bool real_number(struct sl_str text, double *ret) {
    char copy[64], *end;
    if (text.len == 0 || text.len >= sizeof copy) return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    *ret = strtod(copy, &end);
    return *end == '\0' && isfinite(*ret);
}

// Epoch seconds with fraction, or a date in words, whichever the text is: clients differ.
static bool any_time(struct sl_str text, int64_t *ret_ms) {
    double seconds;
    if (!real_number(text, &seconds)) return sl_time_parse(text, ret_ms);
    if (fabs(seconds) > 1e14) return false;
    *ret_ms = (int64_t)llround(seconds * 1000);
    return true;
}

bool sl_codec_not_finite(struct sl_str text) {
    return sl_str_is(text, "NaN") || sl_str_is(text, "Infinity") || sl_str_is(text, "-Infinity");
}

int sl_codec_scalar(struct sl_arena *arena, const struct sl_shape *shape, struct sl_str text, struct sl_json **ret,
                    struct sl_error *err) {
    int64_t whole;
    double real;
    struct sl_str bytes;
    *ret = NULL;
    switch (shape->type) {
    case SL_SHAPE_STRING:
        *ret = sl_json_new_string(arena, text);
        break;
    case SL_SHAPE_INTEGER:
    case SL_SHAPE_LONG:
        if (!whole_number(text, &whole))
            return sl_fail(err, SL_E_SERIALIZATION, "For input string: \"%.*s\"", SL_FMT(text));
        *ret = sl_json_new_int(arena, whole);
        break;
    case SL_SHAPE_FLOAT:
    case SL_SHAPE_DOUBLE:
        if (sl_codec_not_finite(text)) {
            *ret = sl_json_new_int(arena, 0);
            if (*ret) (*ret)->text = text;
            break;
        }
        if (!real_number(text, &real))
            return sl_fail(err, SL_E_SERIALIZATION, "For input string: \"%.*s\"", SL_FMT(text));
        *ret = sl_json_new_double(arena, real);
        break;
    case SL_SHAPE_BOOLEAN:
        *ret = sl_json_new_bool(arena, sl_str_ieq(text, SL_STR("true")));
        break; // as Java's parseBoolean
    case SL_SHAPE_TIMESTAMP:
        if (!any_time(text, &whole))
            return sl_fail(err, SL_E_SERIALIZATION, "Unable to parse date: %.*s", SL_FMT(text));
        *ret = sl_json_new_int(arena, whole);
        break;
    case SL_SHAPE_BLOB:
        if (!sl_base64_decode(arena, text, &bytes))
            return sl_fail(err, SL_E_SERIALIZATION, "The value is not valid base64.");
        *ret = sl_json_new_string(arena, bytes);
        break;
    default:
        return sl_fail(err, SL_E_SERIALIZATION, "Unexpected field type");
    }
    return *ret ? SL_OK : sl_fail(err, SL_E_NO_MEMORY, "request too large");
}

static const struct sl_shape *error_in(const struct sl_operation *operation, struct sl_str name) {
    for (const struct sl_shape *const *at = operation->errors; *at; at++) {
        if (sl_str_eq((*at)->name, name) || sl_str_eq((*at)->error_code, name)) return *at;
    }
    return NULL;
}

const struct sl_shape *sl_codec_error(const struct sl_service *service, const struct sl_operation *operation,
                                      struct sl_str name) {
    const struct sl_shape *found = operation ? error_in(operation, name) : NULL;
    for (unsigned i = 0; !found && service && i < service->operation_count; i++)
        found = error_in(&service->operations[i], name);
    return found;
}

struct sl_str sl_codec_text(struct sl_arena *arena, const struct sl_shape *shape, enum sl_time_format time,
                            const struct sl_json *value) {
    int64_t ms;
    char text[SL_TIME_HTTP];
    switch (value->type) {
    case SL_JSON_TRUE:
        return SL_STR("true");
    case SL_JSON_FALSE:
        return SL_STR("false");
    case SL_JSON_STRING:
        if (shape->type == SL_SHAPE_BLOB) {
            struct sl_buf out;
            sl_buf_init(&out, sl_base64_encoded_len(value->text.len) + 1);
            sl_base64_encode(&out, value->text);
            struct sl_str encoded = sl_arena_dup(arena, sl_buf_view(&out));
            sl_buf_free(&out);
            return encoded;
        }
        return value->text;
    case SL_JSON_NUMBER:
        if (shape->type != SL_SHAPE_TIMESTAMP || !sl_json_to_i64(value, &ms)) return value->text;
        if (time == SL_TIME_FORMAT_EPOCH) return sl_arena_printf(arena, "%" PRId64, ms / 1000);
        if (time == SL_TIME_FORMAT_RFC822) {
            sl_time_http(ms, text);
        } else {
            sl_time_iso_s(ms, text);
        }
        return sl_arena_dup(arena, sl_str_of(text));
    default:
        return (struct sl_str){0};
    }
}
