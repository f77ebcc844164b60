// SPDX-License-Identifier: Apache-2.0
//
// The JSON reader behind sluice_json.h.
//
// One pass over the text with an explicit stack of open containers, so that deep texts cost no C stack. Every value and
// every key becomes one node; a container's `next` is filled in when it closes. Strings stay as they are in the text
// until they are asked for. Everything in a string is checked while parsing, so that decoding cannot fail later.

#include "sluice_json.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct parser {
    struct sluice_json *doc;
    const char *text;
    size_t at, len;
    uint32_t open[SLUICE_JSON_DEPTH]; // nodes of the containers around the current place
    uint32_t depth;
};

static int add_node(struct parser *p, enum sluice_json_kind kind, size_t start) {
    struct sluice_json *doc = p->doc;
    if (doc->count == doc->cap) {
        uint32_t cap = doc->cap ? doc->cap * 2 : 64;
        if (cap > INT32_MAX) {
            return -1;
        }
        struct sluice_json_node *nodes = realloc(doc->nodes, cap * sizeof *nodes);
        if (!nodes) {
            return -1;
        }
        doc->nodes = nodes;
        doc->cap = cap;
    }
    doc->nodes[doc->count] = (struct sluice_json_node){.kind = kind, .start = (uint32_t)start};
    doc->count++;
    return 0;
}

// Closes a node that ends here. `node` is its number.
static void end_node(struct parser *p, uint32_t node) {
    p->doc->nodes[node].end = (uint32_t)p->at;
    p->doc->nodes[node].next = p->doc->count;
}

static int peek(const struct parser *p) { return p->at < p->len ? (unsigned char)p->text[p->at] : -1; }

static void skip_blanks(struct parser *p) {
    while (p->at < p->len && memchr(" \t\n\r", p->text[p->at], 4)) {
        p->at++;
    }
}

static int hex4(const char *s) {
    int v = 0;
    for (int i = 0; i < 4; i++) {
        char c = s[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0) {
            return -1;
        }
        v = v * 16 + digit;
    }
    return v;
}

// Passes over one well-formed UTF-8 sequence of more than one byte (RFC 3629).
static int skip_utf8(struct parser *p) {
    const unsigned char *s = (const unsigned char *)p->text + p->at;
    size_t left = p->len - p->at, n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4 || left < n) {
        return -1;
    }
    unsigned low = s[0] == 0xe0 ? 0xa0 : s[0] == 0xf0 ? 0x90 : 0x80;  // no overlong forms
    unsigned high = s[0] == 0xed ? 0x9f : s[0] == 0xf4 ? 0x8f : 0xbf; // no surrogates, nothing above U+10FFFF
    if (s[1] < low || s[1] > high) {
        return -1;
    }
    for (size_t i = 2; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            return -1;
        }
    }
    p->at += n;
    return 0;
}

static int parse_string(struct parser *p) {
    uint32_t node = p->doc->count;
    if (add_node(p, SLUICE_JSON_STRING, p->at)) {
        return -1;
    }
    p->at++;
    for (;;) {
        int c = peek(p);
        if (c < 0x20) { // the end of the text as well
            return -1;
        }
        if (c >= 0x80) {
            if (skip_utf8(p)) {
                return -1;
            }
            continue;
        }
        p->at++;
        if (c == '"') {
            end_node(p, node);
            return 0;
        }
        if (c == '\\') {
            c = peek(p);
            p->at++;
            if (c == 'u') {
                if (p->len - p->at < 4 || hex4(p->text + p->at) < 0) {
                    return -1;
                }
                p->at += 4;
            } else if (c < 0 || !strchr("\"\\/bfnrt", c) || c == 0) {
                return -1;
            }
        }
    }
}

static int skip_digits(struct parser *p) {
    size_t from = p->at;
    while (peek(p) >= '0' && peek(p) <= '9') {
        p->at++;
    }
    return p->at > from ? 0 : -1;
}

static int parse_number(struct parser *p) {
    uint32_t node = p->doc->count;
    if (add_node(p, SLUICE_JSON_NUMBER, p->at)) {
        return -1;
    }
    if (peek(p) == '-') {
        p->at++;
    }
    if (peek(p) == '0') {
        p->at++;
    } else if (skip_digits(p)) {
        return -1;
    }
    if (peek(p) == '.') {
        p->at++;
        if (skip_digits(p)) {
            return -1;
        }
    }
    if (peek(p) == 'e' || peek(p) == 'E') {
        p->at++;
        if (peek(p) == '+' || peek(p) == '-') {
            p->at++;
        }
        if (skip_digits(p)) {
            return -1;
        }
    }
    end_node(p, node);
    return 0;
}

static int parse_word(struct parser *p, const char *word, enum sluice_json_kind kind) {
    size_t n = strlen(word);
    uint32_t node = p->doc->count;
    if (p->len - p->at < n || memcmp(p->text + p->at, word, n) != 0 || add_node(p, kind, p->at)) {
        return -1;
    }
    p->at += n;
    end_node(p, node);
    return 0;
}

static int open_container(struct parser *p, enum sluice_json_kind kind) {
    if (p->depth == SLUICE_JSON_DEPTH) {
        return -1;
    }
    p->open[p->depth++] = p->doc->count;
    if (add_node(p, kind, p->at)) {
        return -1;
    }
    p->at++;
    return 0;
}

// Parses a scalar, or the opening bracket of a container; `opened` says which.
static int parse_value(struct parser *p, bool *opened) {
    *opened = false;
    switch (peek(p)) {
    case '{':
        *opened = true;
        return open_container(p, SLUICE_JSON_OBJECT);
    case '[':
        *opened = true;
        return open_container(p, SLUICE_JSON_ARRAY);
    case '"':
        return parse_string(p);
    case 't':
        return parse_word(p, "true", SLUICE_JSON_TRUE);
    case 'f':
        return parse_word(p, "false", SLUICE_JSON_FALSE);
    case 'n':
        return parse_word(p, "null", SLUICE_JSON_NULL);
    default:
        return parse_number(p);
    }
}

static int parse_key(struct parser *p) {
    skip_blanks(p);
    if (peek(p) != '"' || parse_string(p)) {
        return -1;
    }
    skip_blanks(p);
    if (peek(p) != ':') {
        return -1;
    }
    p->at++;
    return 0;
}

// Behind a value: closes what ends here. Returns 1 if the text is over, 0 if another element follows, -1 if neither.
static int after_value(struct parser *p) {
    for (;;) {
        skip_blanks(p);
        if (p->depth == 0) {
            return p->at == p->len ? 1 : -1;
        }
        uint32_t node = p->open[p->depth - 1];
        bool object = p->doc->nodes[node].kind == SLUICE_JSON_OBJECT;
        int c = peek(p);
        p->at++;
        if (c == ',') {
            return object ? parse_key(p) : 0;
        }
        if (c != (object ? '}' : ']')) {
            return -1;
        }
        end_node(p, node);
        p->depth--;
    }
}

static int parse_text(struct parser *p) {
    for (;;) {
        bool opened;
        skip_blanks(p);
        if (parse_value(p, &opened)) {
            return -1;
        }
        if (opened) {
            uint32_t node = p->open[p->depth - 1];
            bool object = p->doc->nodes[node].kind == SLUICE_JSON_OBJECT;
            skip_blanks(p);
            if (peek(p) != (object ? '}' : ']')) {
                if (object && parse_key(p)) {
                    return -1;
                }
                continue;
            }
            p->at++;
            end_node(p, node);
            p->depth--;
        }
        int state = after_value(p);
        if (state != 0) {
            return state < 0 ? -1 : 0;
        }
    }
}

int sluice_json_parse(struct sluice_json *doc, const char *text, size_t len) {
    *doc = (struct sluice_json){.text = text};
    struct parser p = {.doc = doc, .text = text, .len = len};
    if (len >= UINT32_MAX || parse_text(&p)) {
        sluice_json_free(doc);
        return -1;
    }
    return 0;
}

void sluice_json_free(struct sluice_json *doc) {
    free(doc->nodes);
    *doc = (struct sluice_json){0};
}

enum sluice_json_kind sluice_json_kind(const struct sluice_json *doc, int node) {
    return node < 0 || (uint32_t)node >= doc->count ? SLUICE_JSON_ABSENT : (enum sluice_json_kind)doc->nodes[node].kind;
}

int sluice_json_first(const struct sluice_json *doc, int parent) {
    enum sluice_json_kind kind = sluice_json_kind(doc, parent);
    if (kind != SLUICE_JSON_ARRAY && kind != SLUICE_JSON_OBJECT) {
        return SLUICE_JSON_NONE;
    }
    return doc->nodes[parent].next > (uint32_t)parent + 1 ? parent + 1 : SLUICE_JSON_NONE;
}

int sluice_json_next(const struct sluice_json *doc, int parent, int node) {
    if (sluice_json_kind(doc, parent) == SLUICE_JSON_ABSENT || sluice_json_kind(doc, node) == SLUICE_JSON_ABSENT) {
        return SLUICE_JSON_NONE;
    }
    uint32_t next = doc->nodes[node].next;
    return next < doc->nodes[parent].next ? (int)next : SLUICE_JSON_NONE;
}

int sluice_json_get(const struct sluice_json *doc, int node, const char *key) {
    int found = SLUICE_JSON_NONE;
    if (sluice_json_kind(doc, node) != SLUICE_JSON_OBJECT) {
        return found;
    }
    for (int k = sluice_json_first(doc, node); k >= 0;) {
        int value = sluice_json_next(doc, node, k);
        if (sluice_json_is(doc, k, key)) {
            found = value;
        }
        k = sluice_json_next(doc, node, value);
    }
    return found;
}

int sluice_json_path(const struct sluice_json *doc, int node, ...) {
    va_list keys;
    va_start(keys, node);
    for (const char *key; node >= 0 && (key = va_arg(keys, const char *)) != NULL;) {
        node = sluice_json_get(doc, node, key);
    }
    va_end(keys);
    return node;
}

static size_t put_utf8(char *out, unsigned c) {
    unsigned char bytes[4];
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = n - 1; i > 0; i--) {
        bytes[i] = (unsigned char)(0x80 | (c & 0x3f));
        c >>= 6;
    }
    bytes[0] = (unsigned char)(lead[n] | c);
    memcpy(out, bytes, n);
    return n;
}

// Decodes the escape at `s` (behind the backslash). Returns how much of the text it took.
static size_t unescape(const char *s, const char *end, unsigned *c) {
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (*s != 'u') {
        *c = (unsigned char)to[strchr(from, *s) - from];
        return 1;
    }
    unsigned v = (unsigned)hex4(s + 1);
    if (v >= 0xd800 && v < 0xdc00 && end - s >= 11 && s[5] == '\\' && s[6] == 'u') {
        unsigned low = (unsigned)hex4(s + 7);
        if (low >= 0xdc00 && low < 0xe000) {
            *c = 0x10000 + ((v - 0xd800) << 10) + (low - 0xdc00);
            return 11;
        }
    }
    *c = v >= 0xd800 && v < 0xe000 ? 0xfffd : v;
    return 5;
}

ptrdiff_t sluice_json_text(const struct sluice_json *doc, int node, char *out, size_t cap) {
    if (sluice_json_kind(doc, node) != SLUICE_JSON_STRING) {
        return -1;
    }
    const char *s = doc->text + doc->nodes[node].start + 1, *end = doc->text + doc->nodes[node].end - 1;
    size_t len = 0;
    while (s < end) {
        char piece[4];
        size_t n = 1;
        piece[0] = *s++;
        if (piece[0] == '\\') {
            unsigned c;
            s += unescape(s, end, &c);
            n = put_utf8(piece, c);
        }
        if (cap - len <= n) {
            return -1;
        }
        memcpy(out + len, piece, n);
        len += n;
    }
    if (len >= cap) {
        return -1;
    }
    out[len] = '\0';
    return (ptrdiff_t)len;
}

char *sluice_json_text_dup(const struct sluice_json *doc, int node, size_t *len) {
    if (sluice_json_kind(doc, node) != SLUICE_JSON_STRING) {
        return NULL;
    }
    size_t cap = doc->nodes[node].end - doc->nodes[node].start; // an escape is never shorter than what it stands for
    char *out = malloc(cap);
    if (out) {
        *len = (size_t)sluice_json_text(doc, node, out, cap);
    }
    return out;
}

int sluice_json_is(const struct sluice_json *doc, int node, const char *text) {
    if (sluice_json_kind(doc, node) != SLUICE_JSON_STRING) {
        return 0;
    }
    const char *s = doc->text + doc->nodes[node].start + 1, *end = doc->text + doc->nodes[node].end - 1;
    for (;;) {
        if (s == end) {
            return *text == '\0';
        }
        char piece[4];
        size_t n = 1;
        piece[0] = *s++;
        if (piece[0] == '\\') {
            unsigned c;
            s += unescape(s, end, &c);
            n = put_utf8(piece, c);
        }
        if (piece[0] == '\0' || strncmp(text, piece, n) != 0) {
            return 0;
        }
        text += n;
    }
}

int sluice_json_int64(const struct sluice_json *doc, int node, int64_t *out) {
    if (sluice_json_kind(doc, node) != SLUICE_JSON_NUMBER) {
        return -1;
    }
    char digits[24];
    size_t n = doc->nodes[node].end - doc->nodes[node].start;
    if (n >= sizeof digits) {
        return -1;
    }
    memcpy(digits, doc->text + doc->nodes[node].start, n);
    digits[n] = '\0';
    char *end;
    errno = 0;
    long long v = strtoll(digits, &end, 10);
    if (*end || errno) {
        return -1;
    }
    *out = v;
    return 0;
}
