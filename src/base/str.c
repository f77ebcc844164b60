// SPDX-License-Identifier: Apache-2.0
//
// str: comparisons, searches and conversions on byte views. Pure functions, any thread.
#include "base/str.h"

static unsigned char lower(unsigned char c) { return (c >= 'A' && c <= 'Z') ? (unsigned char)(c + 32) : c; }

bool sl_str_ieq(struct sl_str a, struct sl_str b) {
    if (a.len != b.len) return false;
    for (size_t i = 0; i < a.len; i++) {
        if (lower((unsigned char)a.ptr[i]) != lower((unsigned char)b.ptr[i])) return false;
    }
    return true;
}

bool sl_str_starts(struct sl_str s, struct sl_str prefix) {
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

bool sl_str_ends(struct sl_str s, struct sl_str suffix) {
    return s.len >= suffix.len && (suffix.len == 0 || memcmp(s.ptr + s.len - suffix.len, suffix.ptr, suffix.len) == 0);
}

int sl_str_cmp(struct sl_str a, struct sl_str b) {
    size_t n = a.len < b.len ? a.len : b.len;
    int order = n ? memcmp(a.ptr, b.ptr, n) : 0;
    if (order) return order;
    return a.len < b.len ? -1 : a.len > b.len;
}

ptrdiff_t sl_str_chr(struct sl_str s, char c, size_t from) {
    if (from >= s.len) return -1;
    const char *hit = memchr(s.ptr + from, c, s.len - from);
    return hit ? hit - s.ptr : -1;
}

ptrdiff_t sl_str_find(struct sl_str s, struct sl_str needle) {
    if (needle.len == 0) return 0;
    const char *hit = s.len ? memmem(s.ptr, s.len, needle.ptr, needle.len) : NULL;
    return hit ? hit - s.ptr : -1;
}

struct sl_str sl_str_sub(struct sl_str s, size_t from, size_t to) {
    if (to > s.len) to = s.len;
    if (from > to) from = to;
    if (from == 0) return (struct sl_str){s.ptr, to}; // NULL + 0 is undefined in C
    return (struct sl_str){s.ptr + from, to - from};
}

struct sl_str sl_str_trim(struct sl_str s) {
    while (s.len && (s.ptr[0] == ' ' || s.ptr[0] == '\t')) {
        s.ptr++;
        s.len--;
    }
    while (s.len && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t')) s.len--;
    return s;
}

bool sl_str_split(struct sl_str *rest, char separator, struct sl_str *ret_part) {
    if (!rest->ptr) return false;
    ptrdiff_t at = sl_str_chr(*rest, separator, 0);
    if (at < 0) {
        *ret_part = *rest;
        *rest = (struct sl_str){NULL, 0};
        return true;
    }
    *ret_part = sl_str_sub(*rest, 0, (size_t)at);
    *rest = sl_str_sub(*rest, (size_t)at + 1, rest->len);
    return true;
}

bool sl_str_to_u64(struct sl_str s, uint64_t *ret) {
    if (s.len == 0) return false;
    uint64_t value = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9') return false;
        uint64_t digit = (uint64_t)(s.ptr[i] - '0');
        if (value > (UINT64_MAX - digit) / 10) return false;
        value = value * 10 + digit;
    }
    *ret = value;
    return true;
}

bool sl_str_to_i64(struct sl_str s, int64_t *ret) {
    bool negative = s.len && s.ptr[0] == '-';
    uint64_t magnitude;
    if (!sl_str_to_u64(negative ? sl_str_sub(s, 1, s.len) : s, &magnitude)) return false;
    if (magnitude > (uint64_t)INT64_MAX + negative) return false;
    *ret = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}
