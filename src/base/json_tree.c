// SPDX-License-Identifier: Apache-2.0
//
// json_tree: reading and building trees; see json.h. Objects are lists in the order of the text. Looking a member up
// walks the list: documents of this project have few members, and an index would cost every parsed payload memory.
// Where a key occurs twice the last one counts (as in JavaScript, Python and the JSON parsers of AWS's runtimes), so a
// change removes the others.
//
// Pure functions, any thread; nodes belong to the caller's arena.
#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct sl_json *sl_json_get_str(const struct sl_json *object, struct sl_str key) {
    if (!object || object->type != SL_JSON_OBJECT) return NULL;
    struct sl_json *found = NULL;
    for (struct sl_json *child = object->first; child; child = child->next) {
        if (sl_str_eq(child->key, key)) found = child;
    }
    return found;
}

struct sl_json *sl_json_get(const struct sl_json *object, const char *key) {
    return sl_json_get_str(object, sl_str_of(key));
}

struct sl_str sl_json_string(const struct sl_json *object, const char *key) {
    const struct sl_json *node = sl_json_get(object, key);
    return node && node->type == SL_JSON_STRING ? node->text : (struct sl_str){NULL, 0};
}

int64_t sl_json_int(const struct sl_json *object, const char *key, int64_t fallback) {
    int64_t value;
    return sl_json_to_i64(sl_json_get(object, key), &value) ? value : fallback;
}

bool sl_json_bool(const struct sl_json *object, const char *key, bool fallback) {
    const struct sl_json *node = sl_json_get(object, key);
    if (!node || (node->type != SL_JSON_TRUE && node->type != SL_JSON_FALSE)) return fallback;
    return node->type == SL_JSON_TRUE;
}

// The exponent of a number's text, or 0; beyond +-10^9 it says no more than that (a text has fewer digits).
static int64_t exponent_of(struct sl_str text, size_t at) {
    if (at >= text.len) return 0;
    at++;
    bool negative = text.ptr[at] == '-';
    if (negative || text.ptr[at] == '+') at++;
    int64_t exponent = 0;
    for (; at < text.len; at++) {
        if (exponent < 1000000000) exponent = exponent * 10 + (text.ptr[at] - '0');
    }
    return negative ? -exponent : exponent;
}

static bool times_power_of_ten(uint64_t *value, int64_t power) {
    for (; power > 0 && *value; power--) {
        if (*value > UINT64_MAX / 10) return false;
        *value *= 10;
    }
    return true;
}

// A number with a fraction or an exponent, such as 1.0, 12e2 or 2500e-2, is whole when the digits below one are zeros.
static bool scaled_to_i64(struct sl_str text, int64_t *ret) {
    bool negative = text.ptr[0] == '-', in_fraction = false;
    size_t at = negative;
    uint64_t magnitude = 0;
    int64_t zeros = 0, scale = 0; // zeros: read but not yet known to matter
    for (; at < text.len && text.ptr[at] != 'e' && text.ptr[at] != 'E'; at++) {
        if (text.ptr[at] == '.') {
            in_fraction = true;
            continue;
        }
        scale -= in_fraction;
        if (text.ptr[at] == '0') {
            zeros++;
            continue;
        }
        uint64_t digit = (uint64_t)(text.ptr[at] - '0');
        if (!times_power_of_ten(&magnitude, zeros + 1) || magnitude > UINT64_MAX - digit) return false;
        magnitude += digit;
        zeros = 0;
    }
    if (magnitude == 0) {
        *ret = 0;
        return true;
    }
    scale += zeros + exponent_of(text, at);
    if (scale < 0 || !times_power_of_ten(&magnitude, scale)) return false;
    if (magnitude > (uint64_t)INT64_MAX + negative) return false;
    *ret = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}

bool sl_json_to_i64(const struct sl_json *node, int64_t *ret) {
    if (!node || node->type != SL_JSON_NUMBER) return false;
    return sl_str_to_i64(node->text, ret) || scaled_to_i64(node->text, ret);
}

bool sl_json_scalar(const struct sl_json *node, struct sl_str *ret) {
    switch (node->type) {
    case SL_JSON_STRING:
    case SL_JSON_NUMBER:
        *ret = node->text;
        return true;
    case SL_JSON_TRUE:
        *ret = SL_STR("true");
        return true;
    case SL_JSON_FALSE:
        *ret = SL_STR("false");
        return true;
    default:
        return false;
    }
}

bool sl_json_to_double(const struct sl_json *node, double *ret) {
    if (!node || node->type != SL_JSON_NUMBER) return false;
    // strtod wants a NUL; the text is a view into the input.
    char small[64];
    char *copy = node->text.len < sizeof small ? small : malloc(node->text.len + 1);
    if (!copy) return false;
    memcpy(copy, node->text.ptr, node->text.len);
    copy[node->text.len] = '\0';
    double value = strtod(copy, NULL);
    if (copy != small) free(copy);
    if (!isfinite(value)) return false;
    *ret = value;
    return true;
}

static struct sl_json *new_node(struct sl_arena *arena, enum sl_json_type type) {
    struct sl_json *node = sl_arena_alloc(arena, sizeof *node);
    if (node) *node = (struct sl_json){.type = type};
    return node;
}

struct sl_json *sl_json_new_object(struct sl_arena *arena) {
    return new_node(arena, SL_JSON_OBJECT);
}
struct sl_json *sl_json_new_array(struct sl_arena *arena) {
    return new_node(arena, SL_JSON_ARRAY);
}
struct sl_json *sl_json_new_null(struct sl_arena *arena) {
    return new_node(arena, SL_JSON_NULL);
}

struct sl_json *sl_json_new_bool(struct sl_arena *arena, bool value) {
    return new_node(arena, value ? SL_JSON_TRUE : SL_JSON_FALSE);
}

struct sl_json *sl_json_new_string(struct sl_arena *arena, struct sl_str s) {
    struct sl_json *node = new_node(arena, SL_JSON_STRING);
    // A NULL pointer means "absent" in sl_json_string; an empty string is there.
    if (node) node->text = s.ptr ? s : sl_str_n("", 0);
    return node;
}

static struct sl_json *new_number(struct sl_arena *arena, struct sl_str text) {
    if (sl_arena_failed(arena)) return NULL;
    struct sl_json *node = new_node(arena, SL_JSON_NUMBER);
    if (node) node->text = text;
    return node;
}

struct sl_json *sl_json_new_int(struct sl_arena *arena, int64_t value) {
    return new_number(arena, sl_arena_printf(arena, "%lld", (long long)value));
}

struct sl_json *sl_json_new_double(struct sl_arena *arena, double value) {
    if (!isfinite(value)) return sl_json_new_null(arena);
    char text[40];
    // The shortest of these that reads back as the same number; 17 digits always do.
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) break;
    }
    return new_number(arena, sl_arena_dup(arena, sl_str_of(text)));
}

struct sl_json *sl_json_copy(struct sl_arena *arena, const struct sl_json *node) {
    if (!node) return NULL;
    struct sl_json *copy = new_node(arena, node->type);
    if (!copy) return NULL;
    if (node->text.ptr) copy->text = sl_arena_dup(arena, node->text);
    for (const struct sl_json *child = node->first; child; child = child->next) {
        struct sl_json *twin = sl_json_copy(arena, child);
        if (!twin) return NULL;
        if (child->key.ptr) twin->key = sl_arena_dup(arena, child->key);
        sl_json_push(copy, twin);
    }
    return sl_arena_failed(arena) ? NULL : copy;
}

// Takes the members with that key out of the list. Returns the place (the link that led to it) of the last one, or
// NULL.
static struct sl_json **unlink_key(struct sl_json *object, struct sl_str key) {
    struct sl_json **place = NULL, *before = NULL;
    for (struct sl_json **link = &object->first; *link;) {
        struct sl_json *child = *link;
        if (!sl_str_eq(child->key, key)) {
            before = child;
            link = &child->next;
            continue;
        }
        *link = child->next;
        if (object->last == child) object->last = before;
        child->next = NULL;
        object->count--;
        place = link;
    }
    return place;
}

struct sl_json *sl_json_set(struct sl_json *object, struct sl_str key, struct sl_json *value) {
    if (!object || !value || object->type != SL_JSON_OBJECT) return value;
    value->key = key;
    struct sl_json **place = unlink_key(object, key);
    if (!place) return sl_json_push(object, value);
    value->next = *place;
    *place = value;
    if (!value->next) object->last = value;
    object->count++;
    return value;
}

struct sl_json *sl_json_push(struct sl_json *array, struct sl_json *value) {
    if (!array || !value) return value;
    value->next = NULL;
    if (array->last)
        array->last->next = value;
    else
        array->first = value;
    array->last = value;
    array->count++;
    return value;
}

bool sl_json_remove(struct sl_json *object, const char *key) {
    return object && object->type == SL_JSON_OBJECT && unlink_key(object, sl_str_of(key)) != NULL;
}

void sl_json_put_string(struct sl_arena *arena, struct sl_json *object, const char *key, struct sl_str value) {
    sl_json_set(object, sl_str_of(key), sl_json_new_string(arena, value));
}

void sl_json_put_int(struct sl_arena *arena, struct sl_json *object, const char *key, int64_t value) {
    sl_json_set(object, sl_str_of(key), sl_json_new_int(arena, value));
}

void sl_json_put_bool(struct sl_arena *arena, struct sl_json *object, const char *key, bool value) {
    sl_json_set(object, sl_str_of(key), sl_json_new_bool(arena, value));
}
