// SPDX-License-Identifier: Apache-2.0
//
// request: an API request as the engine works on it: the parts of struct sl_http_request that matter, copied where the
// work outlives the connection (operations that run on other threads), views into it where it does not. Tests fill it
// by hand.
#ifndef SL_AWS_REQUEST_H
#define SL_AWS_REQUEST_H

#include "base/arena.h"

struct sl_http_header;

struct sl_aws_request {
    struct sl_str method, path, query; // path and query as received, still percent-encoded; query.ptr may be NULL
    struct sl_str host;                // with port; S3 has names of buckets in it
    const struct sl_http_header *headers;
    unsigned header_count;
    struct sl_str body;
    struct sl_str packed; // the body as it came and was signed, where `body` is what was in it; ptr NULL otherwise
};

// A body that came as gzip (Content-Encoding) is unpacked into the arena; any other stays. False: it is none, or larger
// than `max`.
bool sl_aws_request_unpack(struct sl_arena *arena, struct sl_aws_request *request, size_t max);
static inline struct sl_str sl_aws_request_signed_body(const struct sl_aws_request *request) {
    return request->packed.ptr ? request->packed : request->body;
}

// First header of that name (case-insensitive), or ptr NULL.
struct sl_str sl_aws_request_header(const struct sl_aws_request *request, struct sl_str name);

#endif
