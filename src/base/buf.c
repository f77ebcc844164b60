// SPDX-License-Identifier: Apache-2.0
//
// buf: see buf.h. Grows by doubling, so that appending n bytes costs O(n) in all.
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIRST = 512 };

void sl_buf_init(struct sl_buf *buf, size_t max) { *buf = (struct sl_buf){.max = max}; }

void sl_buf_free(struct sl_buf *buf) {
    free(buf->ptr);
    sl_buf_init(buf, buf->max);
}

void sl_buf_clear(struct sl_buf *buf, size_t keep) {
    if (buf->cap > keep) {
        sl_buf_free(buf);
        return;
    }
    buf->len = 0;
    buf->failed = false;
}

char *sl_buf_reserve(struct sl_buf *buf, size_t more) {
    if (buf->failed) return NULL;
    if (buf->ptr && buf->cap - buf->len >= more) return buf->ptr + buf->len;
    if (more > buf->max || buf->len > buf->max - more) {
        buf->failed = true;
        return NULL;
    }
    size_t want = buf->len + more;
    size_t cap = buf->cap ? buf->cap : FIRST;
    while (cap < want) cap = cap > buf->max / 2 ? buf->max : cap * 2;
    if (cap > buf->max) cap = buf->max;
    // One byte more than counted, for the NUL of vsnprintf.
    char *grown = cap < SIZE_MAX ? realloc(buf->ptr, cap + 1) : NULL;
    if (!grown) {
        buf->failed = true;
        return NULL;
    }
    buf->ptr = grown;
    buf->cap = cap;
    return buf->ptr + buf->len;
}

void sl_buf_put(struct sl_buf *buf, const void *bytes, size_t len) {
    if (len == 0) return;
    char *at = sl_buf_reserve(buf, len);
    if (!at) return;
    memcpy(at, bytes, len);
    buf->len += len;
}

void sl_buf_char(struct sl_buf *buf, char c) { sl_buf_put(buf, &c, 1); }

void sl_buf_u64(struct sl_buf *buf, uint64_t value) {
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    sl_buf_put(buf, digits + at, sizeof digits - at);
}

void sl_buf_printf(struct sl_buf *buf, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *at = length < 0 ? NULL : sl_buf_reserve(buf, (size_t)length);
    if (at) {
        vsnprintf(at, (size_t)length + 1, format, again);
        buf->len += (size_t)length;
    }
    va_end(again);
}

void sl_buf_consume(struct sl_buf *buf, size_t n) {
    if (n >= buf->len) {
        buf->len = 0;
        return;
    }
    memmove(buf->ptr, buf->ptr + n, buf->len - n);
    buf->len -= n;
}
