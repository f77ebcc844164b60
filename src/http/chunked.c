// SPDX-License-Identifier: Apache-2.0
//
// chunked: the decoder of the chunked transfer coding, a state machine over bytes (RFC 9112 section 7.1). See parse.h.
//
//   SIZE -> (SPACE ->) (EXTENSION ->) SIZE_LF -> DATA -> DATA_CR -> DATA_LF -> SIZE ... and for size 0: SIZE_LF ->
//   TRAILER -> FINISHED
//
// Limits: 16 digits of a size (so no overflow), 256 bytes of extensions per chunk and 16 KiB in a body, trailers as
// given at init.
#include "http/parse.h"

enum { SIZE, SPACE, EXTENSION, SIZE_LF, DATA, DATA_CR, DATA_LF, TRAILER, FINISHED, BROKEN };

enum { MAX_DIGITS = 16, MAX_EXTENSION = 256, MAX_OVERHEAD = 16 * 1024 };

void sl_http__chunked_init(struct sl_http_chunked *chunked, size_t max_trailers) {
    *chunked = (struct sl_http_chunked){.state = SIZE};
    sl_buf_init(&chunked->trailers, max_trailers);
}

void sl_http__chunked_reset(struct sl_http_chunked *chunked) {
    struct sl_buf trailers = chunked->trailers;
    sl_buf_clear(&trailers, 4096);
    *chunked = (struct sl_http_chunked){.state = SIZE, .trailers = trailers};
}

void sl_http__chunked_free(struct sl_http_chunked *chunked) { sl_buf_free(&chunked->trailers); }

static int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static int size_byte(struct sl_http_chunked *chunked, char c) {
    int value = hex_value(c);
    if (value >= 0) {
        chunked->left = chunked->left << 4 | (uint64_t)value;
        return ++chunked->digits > MAX_DIGITS ? BROKEN : SIZE;
    }
    if (chunked->digits == 0) return BROKEN;
    if (c == '\r') return SIZE_LF;
    if (c == ';') return EXTENSION;
    return c == ' ' || c == '\t' ? SPACE : BROKEN;
}

// Bytes of extensions are counted and ignored. Quoted strings need no care: no byte ends the line but CR LF.
static int extension_byte(struct sl_http_chunked *chunked, char c) {
    if (++chunked->extension > MAX_EXTENSION || ++chunked->overhead > MAX_OVERHEAD) return BROKEN;
    if (chunked->state == SPACE) { // BWS leads to an extension only, never to the line's end
        if (c == ';') return EXTENSION;
        return c == ' ' || c == '\t' ? SPACE : BROKEN;
    }
    if (c == '\r') return SIZE_LF;
    return sl_http__class[(unsigned char)c] & SL_HTTP_VALUE ? EXTENSION : BROKEN;
}

static int size_end(struct sl_http_chunked *chunked, char c) {
    if (c != '\n') return BROKEN;
    bool last = chunked->left == 0;
    chunked->digits = 0;
    chunked->extension = 0;
    return last ? TRAILER : DATA;
}

// Lines are kept raw and parsed when all are there; here only their ends count.
static int trailer_byte(struct sl_http_chunked *chunked, char c) {
    bool line_end = c == '\n' && chunked->last == '\r';
    if ((c == '\n') != line_end || (chunked->last == '\r' && !line_end)) return BROKEN; // bare LF, bare CR
    chunked->last = c;
    chunked->line++;
    if (line_end && chunked->line == 2) return FINISHED;
    if (chunked->trailers.len == chunked->trailers.max) return BROKEN;
    sl_buf_char(&chunked->trailers, c);
    if (chunked->trailers.failed) return BROKEN;
    if (line_end) {
        chunked->line = 0;
        chunked->last = 0;
    }
    return TRAILER;
}

static int byte(struct sl_http_chunked *chunked, char c) {
    switch (chunked->state) {
    case SIZE:
        return size_byte(chunked, c);
    case SPACE:
    case EXTENSION:
        return extension_byte(chunked, c);
    case SIZE_LF:
        return size_end(chunked, c);
    case DATA_CR:
        return c == '\r' ? DATA_LF : BROKEN;
    case DATA_LF:
        return c == '\n' ? SIZE : BROKEN;
    case TRAILER:
        return trailer_byte(chunked, c);
    default:
        return BROKEN;
    }
}

enum sl_http_step sl_http__chunked_feed(struct sl_http_chunked *chunked, struct sl_str in, size_t *ret_used,
                                        struct sl_str *ret_part) {
    size_t at = 0;
    *ret_part = (struct sl_str){NULL, 0};
    while (at < in.len && chunked->state != FINISHED && chunked->state != BROKEN) {
        if (chunked->state == DATA) {
            size_t take = in.len - at < chunked->left ? in.len - at : (size_t)chunked->left;
            *ret_part = sl_str_n(in.ptr + at, take);
            chunked->left -= take;
            if (chunked->left == 0) chunked->state = DATA_CR;
            *ret_used = at + take;
            return SL_HTTP_MORE;
        }
        chunked->state = byte(chunked, in.ptr[at++]);
    }
    *ret_used = at;
    if (chunked->state == BROKEN) return SL_HTTP_BAD;
    return chunked->state == FINISHED ? SL_HTTP_DONE : SL_HTTP_MORE;
}
