// SPDX-License-Identifier: Apache-2.0
//
// str: a view of bytes by value. It owns nothing and is not NUL-terminated; the bytes live in an arena, a buffer or
// a literal, and must outlive the view. Strings become NUL-terminated only at system-call edges (sl_arena_cstr).
#ifndef SL_BASE_STR_H
#define SL_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct sl_str {
    const char *ptr;
    size_t len;
};

// A view of a string literal, usable in expressions and (SL_STR_INIT) in static initialisers.
#define SL_STR_INIT(literal)                                                                                           \
    { "" literal, sizeof(literal) - 1 }
#define SL_STR(literal) ((struct sl_str)SL_STR_INIT(literal))
// printf helper: printf("%.*s", SL_FMT(view)).
#define SL_FMT(s) (int)(s).len, (s).ptr

static inline struct sl_str sl_str_of(const char *c_string) {
    return (struct sl_str){c_string, c_string ? strlen(c_string) : 0};
}

static inline struct sl_str sl_str_n(const char *ptr, size_t len) { return (struct sl_str){ptr, len}; }

static inline bool sl_str_eq(struct sl_str a, struct sl_str b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

// Compares with a C string, usually a literal.
static inline bool sl_str_is(struct sl_str a, const char *b) { return sl_str_eq(a, sl_str_of(b)); }

// ASCII case-insensitive comparison, for HTTP field names (RFC 9110 section 5.1).
bool sl_str_ieq(struct sl_str a, struct sl_str b);
bool sl_str_starts(struct sl_str s, struct sl_str prefix);
bool sl_str_ends(struct sl_str s, struct sl_str suffix);
int sl_str_cmp(struct sl_str a, struct sl_str b);

// Index of the first byte `c` (or of `needle`) at or after `from`, or -1.
ptrdiff_t sl_str_chr(struct sl_str s, char c, size_t from);
ptrdiff_t sl_str_find(struct sl_str s, struct sl_str needle);

// The part [from, to), clamped to the string.
struct sl_str sl_str_sub(struct sl_str s, size_t from, size_t to);
// Without ASCII spaces and tabs at both ends.
struct sl_str sl_str_trim(struct sl_str s);
// Takes the text before the first `separator` off `*rest`; false when `*rest` was exhausted (ptr becomes NULL).
// "a,,b" gives "a", "", "b".
bool sl_str_split(struct sl_str *rest, char separator, struct sl_str *ret_part);

// Whole-string decimal conversion; false on empty, other bytes or overflow, and *ret is untouched.
bool sl_str_to_u64(struct sl_str s, uint64_t *ret);
bool sl_str_to_i64(struct sl_str s, int64_t *ret);

#endif
