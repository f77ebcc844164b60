// SPDX-License-Identifier: Apache-2.0
//
// buf: a growable run of bytes with a maximum. No unbounded buffer can exist: the maximum is given at init, and a write
// past it (or a failed allocation) sets `failed`, after which writes do nothing; so a writer may append many parts and
// check once. One owner thread at a time.
#ifndef SL_BASE_BUF_H
#define SL_BASE_BUF_H

#include "base/str.h"

struct sl_buf {
    char *ptr; // owned
    size_t len, cap, max;
    bool failed;
};

void sl_buf_init(struct sl_buf *buf, size_t max);
// Gives the memory back; the buffer may be used again. Accepts a zeroed buffer.
void sl_buf_free(struct sl_buf *buf);
// Forgets the content, keeps the memory unless it grew beyond `keep` bytes.
void sl_buf_clear(struct sl_buf *buf, size_t keep);

// Makes room for `more` bytes beyond len; returns where to write them, or NULL (and sets failed). The caller adds to
// len.
char *sl_buf_reserve(struct sl_buf *buf, size_t more);
void sl_buf_put(struct sl_buf *buf, const void *bytes, size_t len);
static inline void sl_buf_str(struct sl_buf *buf, struct sl_str s) { sl_buf_put(buf, s.ptr, s.len); }
static inline void sl_buf_cstr(struct sl_buf *buf, const char *s) { sl_buf_put(buf, s, strlen(s)); }
void sl_buf_char(struct sl_buf *buf, char c);
void sl_buf_u64(struct sl_buf *buf, uint64_t value);
void sl_buf_printf(struct sl_buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
// Drops the first n bytes.
void sl_buf_consume(struct sl_buf *buf, size_t n);
static inline struct sl_str sl_buf_view(const struct sl_buf *buf) { return sl_str_n(buf->ptr, buf->len); }

#endif
