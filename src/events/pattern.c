// SPDX-License-Identifier: Apache-2.0
//
// pattern: see pattern.h. Operators are a table of (name, check, match). Numbers are compared as numbers (300, 300.0
// and 3.0e2 are equal); strings byte by byte, except where case is ignored (ASCII letters).
#include "events/pattern.h"

#include <arpa/inet.h>
#include <stdlib.h>

enum { DEPTH_MAX = 100 };

static bool is_leaf(const struct sl_json *value) {
    return value && value->type != SL_JSON_OBJECT && value->type != SL_JSON_ARRAY;
}

static bool equal(const struct sl_json *want, const struct sl_json *value) {
    double left, right;
    if (!value || !is_leaf(value) || want->type != value->type) return false;
    if (want->type == SL_JSON_STRING) return sl_str_eq(want->text, value->text);
    if (want->type != SL_JSON_NUMBER) return true;
    return sl_json_to_double(want, &left) && sl_json_to_double(value, &right) ? left == right
                                                                              : sl_str_eq(want->text, value->text);
}

// ---- operators ------------------------------------------------------------------------------------------------------

static struct sl_str cut(struct sl_str text, size_t length, bool at_end) {
    if (text.len < length) return (struct sl_str){0};
    return at_end ? sl_str_sub(text, text.len - length, text.len) : sl_str_sub(text, 0, length);
}

// The operand is a string or {"equals-ignore-case": string}.
static bool matches_end(const struct sl_json *operand, const struct sl_json *value, bool at_end) {
    bool ignore = operand->type == SL_JSON_OBJECT;
    struct sl_str want = ignore ? operand->first->text : operand->text;
    if (value->type != SL_JSON_STRING || value->text.len < want.len) return false;
    struct sl_str part = cut(value->text, want.len, at_end);
    return ignore ? sl_str_ieq(part, want) : sl_str_eq(part, want);
}

static bool match_prefix(const struct sl_json *operand, const struct sl_json *value) {
    return matches_end(operand, value, false);
}

static bool match_suffix(const struct sl_json *operand, const struct sl_json *value) {
    return matches_end(operand, value, true);
}

static bool match_ignoring_case(const struct sl_json *operand, const struct sl_json *value) {
    return value->type == SL_JSON_STRING && sl_str_ieq(operand->text, value->text);
}

// '*' is any run of characters, "\*" a star, "\\" a backslash. Greedy with one place to go back to, so the cost is at
// most the product of the lengths.
static bool match_wildcard(const struct sl_json *operand, const struct sl_json *value) {
    struct sl_str want = operand->text, text = value->text;
    size_t at = 0, in = 0, star = SIZE_MAX, mark = 0;
    if (value->type != SL_JSON_STRING) return false;
    while (in < text.len) {
        bool escaped = at + 1 < want.len && want.ptr[at] == '\\';
        if (at < want.len && want.ptr[at] == '*') {
            star = ++at;
            mark = in;
        } else if (at < want.len && want.ptr[at + escaped] == text.ptr[in]) {
            at += 1u + escaped;
            in++;
        } else if (star != SIZE_MAX) {
            at = star;
            in = ++mark;
        } else {
            return false;
        }
    }
    while (at < want.len && want.ptr[at] == '*') at++;
    return at == want.len;
}

static bool compare(struct sl_str operation, double value, double bound) {
    if (sl_str_is(operation, "=")) return value == bound;
    if (sl_str_is(operation, "<")) return value < bound;
    if (sl_str_is(operation, "<=")) return value <= bound;
    return sl_str_is(operation, ">") ? value > bound : value >= bound;
}

static bool match_numeric(const struct sl_json *operand, const struct sl_json *value) {
    double number, bound;
    if (value->type != SL_JSON_NUMBER || !sl_json_to_double(value, &number)) return false;
    for (const struct sl_json *at = operand->first; at; at = at->next->next) {
        if (!sl_json_to_double(at->next, &bound) || !compare(at->text, number, bound)) return false;
    }
    return true;
}

// An address of either family, and how many bits of it count.
static bool parse_network(struct sl_str text, unsigned char address[16], int *ret_family, unsigned *ret_bits) {
    char copy[64];
    uint64_t bits;
    if (text.len >= sizeof copy) return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    char *slash = strchr(copy, '/');
    if (slash) *slash = '\0';
    *ret_family = strchr(copy, ':') ? AF_INET6 : AF_INET;
    unsigned most = *ret_family == AF_INET ? 32 : 128;
    *ret_bits = most;
    if (inet_pton(*ret_family, copy, address) != 1) return false;
    if (!slash) return true;
    if (!sl_str_to_u64(sl_str_of(slash + 1), &bits) || bits > most) return false;
    *ret_bits = (unsigned)bits;
    return true;
}

static bool match_cidr(const struct sl_json *operand, const struct sl_json *value) {
    unsigned char network[16], address[16];
    int family, other;
    unsigned bits, all;
    if (value->type != SL_JSON_STRING || !parse_network(operand->text, network, &family, &bits) ||
        !parse_network(value->text, address, &other, &all) || family != other)
        return false;
    if (memcmp(network, address, bits / 8) != 0) return false;
    unsigned rest = bits % 8;
    return !rest || (network[bits / 8] ^ address[bits / 8]) >> (8 - rest) == 0;
}

static bool match_exists(const struct sl_json *operand, const struct sl_json *value) {
    return (operand->type == SL_JSON_TRUE) == is_leaf(value);
}

static bool match_operator(const struct sl_json *operation, const struct sl_json *value);

// A value, a list of values, or another operator whose operand may be a list.
static bool match_anything_but(const struct sl_json *operand, const struct sl_json *value) {
    if (operand->type == SL_JSON_OBJECT) {
        const struct sl_json *inner = operand->first;
        if (inner->type != SL_JSON_ARRAY) return !match_operator(inner, value);
        for (struct sl_json *each = inner->first; each; each = each->next) {
            struct sl_json one = *each;
            one.key = inner->key;
            if (match_operator(&one, value)) return false;
        }
        return true;
    }
    if (operand->type != SL_JSON_ARRAY) return !equal(operand, value);
    for (const struct sl_json *each = operand->first; each; each = each->next)
        if (equal(each, value)) return false;
    return true;
}

// ---- their checks ---------------------------------------------------------------------------------------------------

static bool is_string(const struct sl_json *operand) { return operand->type == SL_JSON_STRING; }

static bool is_end(const struct sl_json *operand) {
    return is_string(operand) || (operand->type == SL_JSON_OBJECT && operand->count == 1 &&
                                  sl_str_is(operand->first->key, "equals-ignore-case") && is_string(operand->first));
}

// Two stars side by side are refused there; a lone backslash at the end has nothing to escape.
static bool is_wildcard(const struct sl_json *operand) {
    if (!is_string(operand)) return false;
    for (size_t i = 0; i < operand->text.len; i++) {
        char c = operand->text.ptr[i], next = i + 1 < operand->text.len ? operand->text.ptr[i + 1] : '\0';
        if (c == '*' && next == '*') return false;
        if (c != '\\') continue;
        if (next != '*' && next != '\\') return false;
        i++;
    }
    return true;
}

static bool is_numeric(const struct sl_json *operand) {
    static const char *const operations[] = {"=", "<", "<=", ">", ">="};
    if (operand->type != SL_JSON_ARRAY || !operand->count || operand->count % 2 || operand->count > 4) return false;
    for (const struct sl_json *at = operand->first; at; at = at->next->next) {
        bool known = false;
        for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++)
            known = known || (is_string(at) && sl_str_is(at->text, operations[i]));
        if (!known || at->next->type != SL_JSON_NUMBER) return false;
    }
    return true;
}

static bool is_cidr(const struct sl_json *operand) {
    unsigned char address[16];
    int family;
    unsigned bits;
    return is_string(operand) && sl_str_chr(operand->text, '/', 0) > 0 &&
           parse_network(operand->text, address, &family, &bits);
}

static bool is_bool(const struct sl_json *operand) {
    return operand->type == SL_JSON_TRUE || operand->type == SL_JSON_FALSE;
}

static bool is_anything_but(const struct sl_json *operand);

static const struct operation {
    const char *name;
    bool (*check)(const struct sl_json *operand);
    bool (*match)(const struct sl_json *operand, const struct sl_json *value);
    bool negatable; // may stand inside anything-but
} operations[] = {
    {"prefix", is_end, match_prefix, true},
    {"suffix", is_end, match_suffix, true},
    {"equals-ignore-case", is_string, match_ignoring_case, true},
    {"wildcard", is_wildcard, match_wildcard, true},
    {"numeric", is_numeric, match_numeric, false},
    {"cidr", is_cidr, match_cidr, false},
    {"exists", is_bool, match_exists, false},
    {"anything-but", is_anything_but, match_anything_but, false},
};

static const struct operation *find(struct sl_str name) {
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++)
        if (sl_str_is(name, operations[i].name)) return &operations[i];
    return NULL;
}

static bool is_anything_but(const struct sl_json *operand) {
    if (operand->type == SL_JSON_STRING || operand->type == SL_JSON_NUMBER) return true;
    if (operand->type == SL_JSON_ARRAY) {
        for (const struct sl_json *each = operand->first; each; each = each->next)
            if (each->type != SL_JSON_STRING && each->type != SL_JSON_NUMBER) return false;
        return operand->count > 0;
    }
    if (operand->type != SL_JSON_OBJECT || operand->count != 1) return false;
    const struct operation *inner = find(operand->first->key);
    if (!inner || !inner->negatable) return false;
    if (operand->first->type != SL_JSON_ARRAY) return inner->check(operand->first);
    for (const struct sl_json *each = operand->first->first; each; each = each->next)
        if (!inner->check(each)) return false;
    return operand->first->count > 0;
}

static bool match_operator(const struct sl_json *operation, const struct sl_json *value) {
    const struct operation *row = find(operation->key);
    return row && row->match(operation, value);
}

// ---- checking -------------------------------------------------------------------------------------------------------

static int check_element(const struct sl_json *element, struct sl_error *err) {
    if (element->type == SL_JSON_ARRAY)
        return sl_fail(err, SL_E_INVALID, "an array inside the array of what may match");
    if (element->type != SL_JSON_OBJECT) return 0;
    if (element->count != 1) return sl_fail(err, SL_E_INVALID, "an operator must stand alone in its object");
    const struct operation *row = find(element->first->key);
    if (!row) return sl_fail(err, SL_E_INVALID, "unknown operator \"%.*s\"", SL_FMT(element->first->key));
    if (row->check(element->first)) return 0;
    return sl_fail(err, SL_E_INVALID, "operator \"%s\" does not take this", row->name);
}

static int check_at(const struct sl_json *pattern, unsigned depth, struct sl_error *err) {
    int result = 0;
    if (depth > DEPTH_MAX) return sl_fail(err, SL_E_INVALID, "nested too deeply");
    if (pattern->type != SL_JSON_OBJECT || !pattern->count)
        return sl_fail(err, SL_E_INVALID, "a pattern is an object with fields");
    for (const struct sl_json *field = pattern->first; field && !result; field = field->next) {
        bool either = sl_str_is(field->key, "$or");
        if (field->type == SL_JSON_OBJECT && !either) {
            result = check_at(field, depth + 1, err);
            continue;
        }
        if (field->type != SL_JSON_ARRAY || !field->count || (either && field->count < 2))
            return sl_fail(err, SL_E_INVALID, "\"%.*s\" must be an object or an array of what may match",
                           SL_FMT(field->key));
        for (const struct sl_json *each = field->first; each && !result; each = each->next)
            result = either ? check_at(each, depth + 1, err) : check_element(each, err);
    }
    return result;
}

int sl_event_pattern_check(const struct sl_json *pattern, struct sl_error *err) { return check_at(pattern, 0, err); }

// ---- matching -------------------------------------------------------------------------------------------------------

static bool match_leaf(const struct sl_json *wanted, const struct sl_json *value) {
    for (const struct sl_json *each = wanted->first; each; each = each->next) {
        if (each->type != SL_JSON_OBJECT) {
            if (equal(each, value)) return true;
        } else if (sl_str_is(each->first->key, "exists") ? match_exists(each->first, value)
                                                         : is_leaf(value) && match_operator(each->first, value)) {
            return true;
        }
    }
    return false;
}

// What a field's array of elements says of the event's field, which may be absent (NULL), a value, or an array of them.
static bool match_field(const struct sl_json *wanted, const struct sl_json *value) {
    if (!value || value->type != SL_JSON_ARRAY) return match_leaf(wanted, value);
    for (const struct sl_json *each = value->first; each; each = each->next)
        if (match_field(wanted, each)) return true;
    return false;
}

static bool match_object(const struct sl_json *pattern, const struct sl_json *value) {
    if (!value || value->type != SL_JSON_ARRAY) return sl_event_pattern_matches(pattern, value);
    for (const struct sl_json *each = value->first; each; each = each->next)
        if (match_object(pattern, each)) return true;
    return false;
}

static bool match_any(const struct sl_json *patterns, const struct sl_json *event) {
    for (const struct sl_json *each = patterns->first; each; each = each->next)
        if (sl_event_pattern_matches(each, event)) return true;
    return false;
}

// An absent object still matches a pattern that only wants fields not to exist.
bool sl_event_pattern_matches(const struct sl_json *pattern, const struct sl_json *event) {
    for (const struct sl_json *field = pattern->first; field; field = field->next) {
        const struct sl_json *value =
            event && event->type == SL_JSON_OBJECT ? sl_json_get_str(event, field->key) : NULL;
        bool matches = sl_str_is(field->key, "$or")    ? match_any(field, event)
                       : field->type == SL_JSON_OBJECT ? match_object(field, value)
                                                       : match_field(field, value);
        if (!matches) return false;
    }
    return true;
}
