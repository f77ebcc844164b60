// SPDX-License-Identifier: Apache-2.0
//
// routekey: see routekey.h. What is refused here can never be in a compiled trie, so compiling does not check again.
#include "gateway/routekey.h"

#include "base/encoding.h"
#include "gateway/table.h"

#define FORMAT_MESSAGE                                                                                                 \
    "The provided route key is not formatted properly for HTTP protocol. Format should be \"[HTTP METHOD] /[RESOURCE " \
    "PATH]\" or \"$default\""

static const char *const method_names[SL_GW_METHODS + 1] = {"GET",    "HEAD",    "POST",  "PUT",
                                                            "DELETE", "OPTIONS", "PATCH", "ANY"};

enum sl_gw_segment_kind sl_gateway__segment_kind(struct sl_str segment, struct sl_str *ret_name) {
    *ret_name = segment;
    if (segment.len < 3 || segment.ptr[0] != '{') return SL_GW_LITERAL;
    bool greedy = segment.len > 3 && segment.ptr[segment.len - 2] == '+';
    *ret_name = sl_str_sub(segment, 1, segment.len - (greedy ? 2 : 1));
    return greedy ? SL_GW_GREEDY : SL_GW_PARAM;
}

static bool is_name_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-' || c == ':';
}

// A literal may hold what a URI path segment may (RFC 3986 section 3.3), percent escapes and UTF-8 included; never
// braces.
static bool literal_valid(struct sl_str segment) {
    for (size_t i = 0; i < segment.len; i++) {
        unsigned char c = (unsigned char)segment.ptr[i];
        if (c <= ' ' || c == 0x7f || strchr("\"#<>?[\\]^`{|}", c)) return false;
    }
    return sl_utf8_valid(segment);
}

static bool segment_valid(struct sl_str segment) {
    if (segment.len == 0 || segment.ptr[0] != '{') return literal_valid(segment);
    if (segment.len < 3 || segment.ptr[segment.len - 1] != '}') return false;
    struct sl_str name;
    sl_gateway__segment_kind(segment, &name);
    for (size_t i = 0; i < name.len; i++) {
        if (!is_name_char(name.ptr[i])) return false;
    }
    return name.len > 0;
}

static int path_check(struct sl_str path, struct sl_error *err) {
    struct sl_str seen[SL_GW_SEGMENTS], rest = sl_str_sub(path, 1, path.len), segment;
    unsigned variables = 0, count = 0;
    bool greedy = false;
    while (sl_str_split(&rest, '/', &segment)) {
        if (++count >= SL_GW_SEGMENTS)
            return sl_fail(err, SL_E_BAD_REQUEST, "The provided route key has more than %d path segments",
                           SL_GW_SEGMENTS - 1);
        if (greedy)
            return sl_fail(err, SL_E_BAD_REQUEST,
                           "A greedy path variable must be at the end of the resource path: %.*s", SL_FMT(path));
        if (!segment_valid(segment)) return sl_fail(err, SL_E_BAD_REQUEST, FORMAT_MESSAGE);
        struct sl_str name;
        enum sl_gw_segment_kind kind = sl_gateway__segment_kind(segment, &name);
        greedy = kind == SL_GW_GREEDY;
        if (kind == SL_GW_LITERAL) continue;
        for (unsigned i = 0; i < variables; i++) {
            if (sl_str_eq(seen[i], name))
                return sl_fail(err, SL_E_BAD_REQUEST, "Path variable names must be unique within the route key: %.*s",
                               SL_FMT(name));
        }
        seen[variables++] = name;
    }
    return 0;
}

int sl_gateway__route_key_parse(struct sl_str key, struct sl_gw_route_key *ret, struct sl_error *err) {
    if (sl_str_is(key, "$default")) {
        *ret = (struct sl_gw_route_key){.is_default = true, .method = SL_GW_ANY};
        return 0;
    }
    ptrdiff_t space = sl_str_chr(key, ' ', 0);
    struct sl_str method = sl_str_sub(key, 0, space < 0 ? 0 : (size_t)space);
    struct sl_str path = sl_str_sub(key, space < 0 ? key.len : (size_t)space + 1, key.len);
    int index = 0;
    while (index <= SL_GW_METHODS && !sl_str_is(method, method_names[index])) index++;
    if (index > SL_GW_METHODS || path.len == 0 || path.ptr[0] != '/')
        return sl_fail(err, SL_E_BAD_REQUEST, FORMAT_MESSAGE);
    if (path_check(path, err)) return err ? err->kind : SL_E_BAD_REQUEST;
    *ret = (struct sl_gw_route_key){.method = index, .path = path};
    return 0;
}

bool sl_gateway__route_keys_collide(struct sl_str a, struct sl_str b) {
    struct sl_str part_a, part_b;
    while (true) {
        bool more_a = sl_str_split(&a, '/', &part_a), more_b = sl_str_split(&b, '/', &part_b);
        if (more_a != more_b) return false;
        if (!more_a) return true;
        struct sl_str name_a, name_b;
        enum sl_gw_segment_kind kind = sl_gateway__segment_kind(part_a, &name_a);
        if (kind != sl_gateway__segment_kind(part_b, &name_b)) return false;
        if (kind == SL_GW_LITERAL && !sl_str_eq(part_a, part_b)) return false;
    }
}
