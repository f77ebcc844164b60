// SPDX-License-Identifier: Apache-2.0
//
// json: RFC 8259 text to a tree and back. The tree lives in an arena; object members keep their order and numbers keep
// their text, because payloads must pass through unchanged. Strings are decoded UTF-8 (NUL bytes allowed inside).
// Strict: what the public conformance suite refuses is refused; depth is bounded by SL_JSON_DEPTH. Where the suite
// leaves a choice (i_ cases) the choice is written at sl_json_parse.
#ifndef SL_BASE_JSON_H
#define SL_BASE_JSON_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

enum { SL_JSON_DEPTH = 1000 };

enum sl_json_type {
    SL_JSON_NULL,
    SL_JSON_FALSE,
    SL_JSON_TRUE,
    SL_JSON_NUMBER,
    SL_JSON_STRING,
    SL_JSON_ARRAY,
    SL_JSON_OBJECT
};

// A node. Arrays and objects hold their children as a list in order: first, then ->next. `key` is set in objects'
// children.
struct sl_json {
    enum sl_json_type type;
    uint32_t count;     // children
    struct sl_str key;  // decoded
    struct sl_str text; // STRING: decoded bytes; NUMBER: the number as it was written
    struct sl_json *first, *last, *next;
};

// The value of the whole text (blanks around it allowed). Views into `text` are kept: it must outlive the tree.
// Error kind SL_E_SERIALIZATION with "... at line L column C". Invalid UTF-8 is refused; a lone surrogate escape
// (\uD800) is accepted and decoded as U+FFFD, as AWS's parsers do; numbers of any size are accepted (kept as text); a
// byte order mark is refused. Duplicate keys are kept; sl_json_get finds the last. SL_JSON_DEPTH levels are accepted,
// one more is refused. SL_E_NO_MEMORY when the arena is full (a node takes 64 bytes, so a text of brackets needs some
// 30 times its length). *ret is set on success only. Columns count bytes, from 1. The choices by the names of the
// conformance suite: accepted are i_number_*, i_object_key_lone_2nd_surrogate, the i_string_* whose surrogate escapes
// are not paired, and i_structure_500_nested_arrays; refused are the i_string_* that are not UTF-8 (invalid, overlong,
// truncated, encoded surrogates, Latin-1, UTF-16) and i_structure_UTF-8_BOM_empty_object.
int sl_json_parse(struct sl_arena *arena, struct sl_str text, struct sl_json **ret, struct sl_error *err);
// The same check without building anything; for payloads that only pass through.
int sl_json_validate(struct sl_str text, struct sl_error *err);

// Member of an object, or NULL (also when `object` is NULL or not an object).
struct sl_json *sl_json_get(const struct sl_json *object, const char *key);
struct sl_json *sl_json_get_str(const struct sl_json *object, struct sl_str key);
// Member's string, or an empty view with ptr NULL when absent or of another type.
struct sl_str sl_json_string(const struct sl_json *object, const char *key);
// Member's number as an integer, or `fallback` (absent, not a whole number, out of range).
int64_t sl_json_int(const struct sl_json *object, const char *key, int64_t fallback);
bool sl_json_bool(const struct sl_json *object, const char *key, bool fallback);
// Integer of a NUMBER node (1.0 and 1e3 are whole); false when it is not whole or does not fit.
bool sl_json_to_i64(const struct sl_json *node, int64_t *ret);
// What stands in the text of a STRING, NUMBER or boolean node ("true", "false"); false for anything else. A view.
bool sl_json_scalar(const struct sl_json *node, struct sl_str *ret);
// The nearest double; false for no number, and for one beyond the range of double.
bool sl_json_to_double(const struct sl_json *node, double *ret);

// Builders: nodes in the arena, NULL when it is full (and then every other builder accepts the NULL and does nothing).
// Strings and keys are NOT copied: pass literals, arena strings or views that outlive the tree.
struct sl_json *sl_json_new_object(struct sl_arena *arena);
struct sl_json *sl_json_new_array(struct sl_arena *arena);
struct sl_json *sl_json_new_string(struct sl_arena *arena, struct sl_str s);
struct sl_json *sl_json_new_int(struct sl_arena *arena, int64_t value);
struct sl_json *sl_json_new_double(struct sl_arena *arena, double value);
struct sl_json *sl_json_new_bool(struct sl_arena *arena, bool value);
struct sl_json *sl_json_new_null(struct sl_arena *arena);
// Deep copy into the arena, strings included.
struct sl_json *sl_json_copy(struct sl_arena *arena, const struct sl_json *node);

// Sets (replaces in place, or appends) a member; returns the value. A node belongs to one parent only. Where the key
// occurs several times, set and remove take all of them out: the object then has what was set, or nothing, under that
// key.
struct sl_json *sl_json_set(struct sl_json *object, struct sl_str key, struct sl_json *value);
struct sl_json *sl_json_push(struct sl_json *array, struct sl_json *value);
// Removes the member; false when it was not there.
bool sl_json_remove(struct sl_json *object, const char *key);

// Shorthands for handlers: `key` must be a literal (or outlive the tree); strings are not copied.
void sl_json_put_string(struct sl_arena *arena, struct sl_json *object, const char *key, struct sl_str value);
void sl_json_put_int(struct sl_arena *arena, struct sl_json *object, const char *key, int64_t value);
void sl_json_put_bool(struct sl_arena *arena, struct sl_json *object, const char *key, bool value);

// Writes compact JSON. `sl_json_write_string` writes one quoted, escaped string; non-ASCII is written as UTF-8; invalid
// UTF-8 bytes are written as U+FFFD so that the output is always valid JSON. A NULL node (a tree that did not fit its
// arena) and a tree deeper than SL_JSON_DEPTH set out->failed. NaN and infinities become null when the node is built.
void sl_json_write(struct sl_buf *out, const struct sl_json *node);
void sl_json_write_string(struct sl_buf *out, struct sl_str s);
// The text of a tree of at most `most` bytes, in the arena; empty with ptr NULL when it is longer, or the arena full.
struct sl_str sl_json_text(struct sl_arena *arena, const struct sl_json *node, size_t most);

#endif
