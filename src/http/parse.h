// SPDX-License-Identifier: Apache-2.0
//
// parse: HTTP/1.1 syntax without connections (internal to http/): where a head ends, what it says, how a chunked body
// decodes. Pure functions over bytes, incremental, and the target of fuzz/fuzz_http1.c. They allocate nothing, except
// that the chunked decoder collects trailers in a bounded buffer.
//
// Strict: what RFC 9112 lets a recipient repair is refused instead, because two parties that repair differently are
// what request smuggling is made of (RFC 9112 section 11.2).
#ifndef SL_HTTP_PARSE_H
#define SL_HTTP_PARSE_H

#include "http/http.h"

// Why a request is answered by http itself: status 0 means that nothing is wrong. The reason is a literal for humans.
struct sl_http_refusal {
    int status;
    const char *reason;
};

enum sl_http_step { SL_HTTP_MORE, SL_HTTP_DONE, SL_HTTP_BAD };

// Finds the end of a head in bytes that keep arriving; looks at each byte once. Zero it before each head.
struct sl_http_scan {
    size_t begin; // of the request line: empty lines before it are skipped (RFC 9112 section 2.2)
    size_t at;    // scanned up to here
    size_t line;  // begin of the line that is not complete yet
    size_t end;   // when DONE: one past the head's last byte
};
// `bytes` is everything from the same starting point as in the calls before. BAD: bare LF (400), a first byte that
// begins no method (400), a request line over max_head (414), a head over max_head (431).
enum sl_http_step sl_http__scan(struct sl_http_scan *scan, struct sl_str bytes, size_t max_head,
                                struct sl_http_refusal *ret_refusal);

// What a head says about the message's framing and the connection.
struct sl_http_framing {
    bool chunked, has_length, keep_alive, expect_continue;
    uint64_t length;
};
// Parses a whole head as found by sl_http__scan ([begin, end)). Fills the views, method, minor, headers and
// header_count of `request` (whose `headers` points to room for max_headers) and the framing. BAD with the refusal;
// never MORE.
enum sl_http_step sl_http__parse_head(struct sl_str head, unsigned max_headers, struct sl_http_request *request,
                                      struct sl_http_framing *framing, struct sl_http_refusal *ret_refusal);

// Field lines up to the empty line or the end; the same rules as in a head. false: bad syntax or more than `max`.
bool sl_http__parse_fields(struct sl_str lines, struct sl_http_header *fields, unsigned max, unsigned *ret_count);

// Chunked transfer coding (RFC 9112 section 7.1).
struct sl_http_chunked {
    int state;
    unsigned digits;        // of the chunk size read so far
    uint64_t left;          // of the chunk's data
    size_t extension;       // bytes of this chunk's extensions
    size_t overhead;        // of extensions in all chunks
    size_t line;            // length of the trailer line so far
    char last;              // byte before, in a trailer line
    struct sl_buf trailers; // raw field lines; its max is the limit
};
void sl_http__chunked_init(struct sl_http_chunked *chunked, size_t max_trailers);
void sl_http__chunked_reset(struct sl_http_chunked *chunked); // for the next body; keeps the buffer
void sl_http__chunked_free(struct sl_http_chunked *chunked);
// Reads from `in`, sets *ret_used, and returns MORE (with a piece of the body in *ret_part, or an empty part when `in`
// held none), DONE (the last byte of the trailer section was used; what follows is the next request), or BAD.
enum sl_http_step sl_http__chunked_feed(struct sl_http_chunked *chunked, struct sl_str in, size_t *ret_used,
                                        struct sl_str *ret_part);

// What a byte may be part of: bits of sl_http__class[byte].
enum {
    SL_HTTP_TOKEN = 1, // RFC 9110 section 5.6.2
    SL_HTTP_VALUE = 2, // field value: VCHAR, obs-text, SP, HTAB
    SL_HTTP_PATH = 4,  // see parse.c
    SL_HTTP_QUERY = 8,
    SL_HTTP_HOST = 16, // reg-name (RFC 3986 section 3.2.2)
};
extern const unsigned char sl_http__class[256];

#endif
