// SPDX-License-Identifier: Apache-2.0
//
// cbor: RFC 8949 to a tree of JSON nodes and back, as far as Smithy's RPC v2 CBOR protocol needs it ("Smithy RPC v2
// CBOR protocol", serialization). The tree is what the other protocols' decoder reads, so that there is one place that
// knows shapes.
//
//   integers (64 bit), floats     NUMBER; a float that is no number has the text "NaN", "Infinity" or "-Infinity"
//   text                          STRING, must be UTF-8          bytes   STRING in base64, as JSON has them
//   tag 1 around a number         that NUMBER (epoch seconds)    other tags are refused, but for 2 and 3 (big numbers)
//   null, undefined               NULL
//
// Definite and indefinite lengths are read. Nothing is believed: a length must fit what is left, depth is bounded, the
// arena bounds the tree.
#ifndef SL_AWS_CBOR_H
#define SL_AWS_CBOR_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"

enum { SL_CBOR_DEPTH = 100 };

// The one item that `bytes` is. SL_E_SERIALIZATION for anything else, SL_E_NO_MEMORY when the arena is full. Texts are
// views into `bytes` where they came in one piece.
int sl_cbor_parse(struct sl_arena *arena, struct sl_str bytes, struct sl_json **ret, struct sl_error *err);

// Writers. A map or an array is opened, filled and ended; its length is not said beforehand.
void sl_cbor_open_map(struct sl_buf *out);
void sl_cbor_open_array(struct sl_buf *out);
void sl_cbor_end(struct sl_buf *out);
void sl_cbor_text(struct sl_buf *out, struct sl_str text);
void sl_cbor_bytes(struct sl_buf *out, struct sl_str bytes);
void sl_cbor_int(struct sl_buf *out, int64_t value);
void sl_cbor_double(struct sl_buf *out, double value);
void sl_cbor_bool(struct sl_buf *out, bool value);
void sl_cbor_null(struct sl_buf *out);
// Tag 1: seconds since 1970, with a fraction where there is one.
void sl_cbor_time(struct sl_buf *out, int64_t ms);

#endif
