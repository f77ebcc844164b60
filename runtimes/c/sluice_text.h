// SPDX-License-Identifier: Apache-2.0
//
// Part of sluice_runtime.c, which includes it so that a function is built from one source file: buffers that grow, and
// what is appended to them as JSON and base64.
//
// Invariants: the appenders return 0, or -1 without memory; what was appended before stays. A buffer keeps its memory
// until its owner frees `data`.

#ifndef SLUICE_TEXT_H
#define SLUICE_TEXT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct buffer {
    char *data;
    size_t len, cap;
};

static int reserve(struct buffer *b, size_t more) {
    if (more <= b->cap - b->len) {
        return 0;
    }
    size_t cap = b->cap ? b->cap : 4096;
    while (cap - b->len < more) {
        cap *= 2; // callers bound `len + more` far below SIZE_MAX
    }
    char *data = realloc(b->data, cap);
    if (!data) {
        return -1;
    }
    b->data = data;
    b->cap = cap;
    return 0;
}

static int append(struct buffer *b, const void *data, size_t len) {
    if (reserve(b, len)) {
        return -1;
    }
    if (len) {
        memcpy(b->data + b->len, data, len);
    }
    b->len += len;
    return 0;
}

static int append_text(struct buffer *b, const char *text) { return append(b, text, strlen(text)); }

// The length of the UTF-8 sequence at `s`, or 0 if there is none (RFC 3629: no surrogates, no overlong forms).
static size_t utf8_length(const unsigned char *s, size_t left) {
    static const struct {
        unsigned char first, last, low, high; // range of the first byte, range of the second
        size_t len;
    } forms[] = {{0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
                 {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
                 {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (s[0] < forms[i].first || s[0] > forms[i].last) {
            continue;
        }
        if (forms[i].len > left || (forms[i].len > 1 && (s[1] < forms[i].low || s[1] > forms[i].high))) {
            return 0;
        }
        for (size_t k = 2; k < forms[i].len; k++) {
            if ((s[k] & 0xc0) != 0x80) {
                return 0;
            }
        }
        return forms[i].len;
    }
    return 0;
}

static int append_json(struct buffer *b, const char *text, size_t len) {
    if (append(b, "\"", 1)) {
        return -1;
    }
    for (size_t i = 0; i < len;) {
        const unsigned char *s = (const unsigned char *)text + i;
        size_t n = utf8_length(s, len - i);
        int failed;
        if (n == 0) {
            failed = append_text(b, "\\ufffd");
            n = 1;
        } else if (*s == '"' || *s == '\\') {
            char pair[2] = {'\\', (char)*s};
            failed = append(b, pair, 2);
        } else if (*s < 0x20) {
            char escape[8];
            snprintf(escape, sizeof escape, "\\u%04x", *s);
            failed = append_text(b, escape);
        } else {
            failed = append(b, s, n);
        }
        if (failed) {
            return -1;
        }
        i += n;
    }
    return append(b, "\"", 1);
}

static int append_base64(struct buffer *b, const char *text, size_t len) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < len; i += 3) {
        const unsigned char *s = (const unsigned char *)text + i;
        size_t n = len - i;
        unsigned v = (unsigned)s[0] << 16 | (n > 1 ? (unsigned)s[1] << 8 : 0) | (n > 2 ? s[2] : 0u);
        char quad[4] = {digits[v >> 18], digits[v >> 12 & 63], n > 1 ? digits[v >> 6 & 63] : '=',
                        n > 2 ? digits[v & 63] : '='};
        if (append(b, quad, 4)) {
            return -1;
        }
    }
    return 0;
}

// A header value that nothing in an error type of the user's can break out of.
static void copy_printable(char *to, size_t cap, const char *from) {
    size_t n = 0;
    for (; from[n] && n + 1 < cap; n++) {
        to[n] = from[n] >= ' ' && from[n] <= '~' ? from[n] : '?';
    }
    to[n] = '\0';
}

#endif
