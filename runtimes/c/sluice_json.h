// SPDX-License-Identifier: Apache-2.0
//
// Reading JSON in C functions: a strict parser (RFC 8259, UTF-8 only) into a flat array of nodes, and accessors.
//
//     struct sluice_json doc;
//     if (sluice_json_parse(&doc, event->data, event->len) == 0) {
//         char name[64];
//         if (sluice_json_text(&doc, sluice_json_get(&doc, 0, "name"), name, sizeof name) >= 0) ...
//         sluice_json_free(&doc);
//     }
//
// Nodes are numbers; node 0 is the whole text, SLUICE_JSON_NONE is "not there", and every accessor accepts it, so that
// paths can be written without a check at every step. Limits: 128 levels, texts below 4 GiB. The text must outlive
// the document. Nothing is thread-local or global.

#ifndef SLUICE_JSON_H
#define SLUICE_JSON_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { SLUICE_JSON_NONE = -1, SLUICE_JSON_DEPTH = 128 };

enum sluice_json_kind {
    SLUICE_JSON_ABSENT, // the kind of SLUICE_JSON_NONE
    SLUICE_JSON_NULL,
    SLUICE_JSON_FALSE,
    SLUICE_JSON_TRUE,
    SLUICE_JSON_NUMBER,
    SLUICE_JSON_STRING,
    SLUICE_JSON_ARRAY,
    SLUICE_JSON_OBJECT
};

struct sluice_json_node {
    uint32_t kind;
    uint32_t start, end; // the value's span in the text; strings with their quotes
    uint32_t next;       // the first node behind this value and everything inside it
};

struct sluice_json {
    const char *text;
    struct sluice_json_node *nodes; // an object's members are pairs of nodes, key and value
    uint32_t count, cap;
};

// Returns 0, or -1 if the text is not JSON, is too deep or too long, or memory ran out; nothing is to be freed then.
int sluice_json_parse(struct sluice_json *doc, const char *text, size_t len);
void sluice_json_free(struct sluice_json *doc);

enum sluice_json_kind sluice_json_kind(const struct sluice_json *doc, int node);

// The value of an object's member; of several with the same key the last. NONE if there is none, or no object.
int sluice_json_get(const struct sluice_json *doc, int node, const char *key);

// The member at the end of a path of keys, ended by NULL.
int sluice_json_path(const struct sluice_json *doc, int node, ...);

// The first element of an array or first key of an object, and the element behind `node` in `parent`. NONE at the end.
int sluice_json_first(const struct sluice_json *doc, int parent);
int sluice_json_next(const struct sluice_json *doc, int parent, int node);

// Decodes a string into `out`, with a NUL byte behind it. Returns its length without that; -1 if the node is no string
// or `cap` is too small. A string's length between its quotes plus 1 is always enough. It may contain NUL bytes;
// half a surrogate pair becomes U+FFFD.
ptrdiff_t sluice_json_text(const struct sluice_json *doc, int node, char *out, size_t cap);

// The same into memory that the caller frees. NULL if the node is no string or memory ran out.
char *sluice_json_text_dup(const struct sluice_json *doc, int node, size_t *len);

// 1 if the node is a string equal to `text`, else 0.
int sluice_json_is(const struct sluice_json *doc, int node, const char *text);

// Reads a whole number without fraction and exponent. Returns 0, or -1 if it is none or does not fit.
int sluice_json_int64(const struct sluice_json *doc, int node, int64_t *out);

#ifdef __cplusplus
}
#endif

#endif
