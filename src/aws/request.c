// SPDX-License-Identifier: Apache-2.0
//
// request: see request.h.
#include "aws/request.h"

#include <zlib.h>

#include "base/buf.h"
#include "http/http.h"

enum { GZIP = 15 + 16, PIECE = 16 * 1024 }; // the window, and gzip's head and tail (zlib manual, inflateInit2)

struct sl_str sl_aws_request_header(const struct sl_aws_request *request, struct sl_str name) {
    for (unsigned i = 0; i < request->header_count; i++) {
        if (sl_str_ieq(request->headers[i].name, name)) return request->headers[i].value;
    }
    return (struct sl_str){0};
}

// Everything in one member, and nothing after it.
static bool inflate_all(z_stream *stream, struct sl_buf *out) {
    for (;;) {
        char *room = sl_buf_reserve(out, PIECE);
        if (!room) return false;
        stream->next_out = (unsigned char *)room;
        stream->avail_out = PIECE;
        int result = inflate(stream, Z_NO_FLUSH);
        out->len += PIECE - stream->avail_out;
        if (result == Z_STREAM_END) return stream->avail_in == 0;
        if (result != Z_OK) return false;
    }
}

bool sl_aws_request_unpack(struct sl_arena *arena, struct sl_aws_request *request, size_t max) {
    if (!sl_str_ieq(sl_aws_request_header(request, SL_STR("Content-Encoding")), SL_STR("gzip"))) return true;
    z_stream stream = {.next_in = (unsigned char *)(uintptr_t)request->body.ptr,
                       .avail_in = (unsigned)request->body.len};
    struct sl_buf out;
    if (!request->body.len || request->body.len > UINT32_MAX || inflateInit2(&stream, GZIP) != Z_OK) return false;
    sl_buf_init(&out, max + PIECE);
    bool good = inflate_all(&stream, &out) && out.len <= max;
    inflateEnd(&stream);
    struct sl_str body = good ? sl_arena_dup(arena, sl_buf_view(&out)) : (struct sl_str){0};
    sl_buf_free(&out);
    if (!body.ptr) return false;
    request->packed = request->body;
    request->body = body;
    return true;
}
