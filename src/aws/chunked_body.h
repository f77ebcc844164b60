// SPDX-License-Identifier: Apache-2.0
//
// chunked_body: the content coding "aws-chunked", in which clients of S3 send bodies whose hash or checksum they do not
// know before ("Signature calculations for the Authorization header: transferring payload in multiple chunks" and "...
// including trailing headers", S3 API reference). A body is
//
//   size-in-hex[;chunk-signature=...] CRLF data CRLF ... 0[;chunk-signature=...] CRLF [trailer:value CRLF ...] CRLF
//
// where every chunk's signature covers the one before, beginning with the request's own.
//
// A decoder belongs to one request; one thread at a time. Hostile input: sizes, lines and trailers are bounded.
#ifndef SL_AWS_CHUNKED_BODY_H
#define SL_AWS_CHUNKED_BODY_H

#include "aws/sigv4.h"
#include "base/arena.h"

struct sl_chunked_body;

// Whether an x-amz-content-sha256 announces this coding.
bool sl_chunked_body_is(struct sl_str payload_hash);

// A decoder for a request that was signed so. `secret` with ptr NULL: signatures are read and not checked. Strings are
// copied. SL_E_S3_NOT_IMPLEMENTED for a form that this server does not know (SigV4A).
int sl_chunked_body_new(struct sl_chunked_body **ret, const struct sl_sigv4 *signature, struct sl_str secret,
                        struct sl_error *err);
void sl_chunked_body_free(struct sl_chunked_body *body); // NULL is accepted

// Reads from `in`, sets *ret_used and *ret_part (a piece of the decoded body, a view of `in`, may be empty). Call until
// all is used. SL_E_S3_INCOMPLETE_BODY for what is not of this coding, SL_E_INVALID_SIGNATURE for a wrong signature.
int sl_chunked_body_feed(struct sl_chunked_body *body, struct sl_str in, size_t *ret_used, struct sl_str *ret_part,
                         struct sl_error *err);
// Whether the last chunk and the trailers have been read; nothing may follow.
bool sl_chunked_body_complete(const struct sl_chunked_body *body);
// Value of a trailer ("x-amz-checksum-crc32"), ptr NULL if absent. Valid until the decoder is freed.
struct sl_str sl_chunked_body_trailer(const struct sl_chunked_body *body, struct sl_str name);

#endif
