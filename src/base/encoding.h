// SPDX-License-Identifier: Apache-2.0
//
// encoding: base64 (RFC 4648 section 4), hexadecimal, percent-encoding (RFC 3986), UTF-8 checks. Pure functions.
#ifndef SL_BASE_ENCODING_H
#define SL_BASE_ENCODING_H

#include "base/arena.h"
#include "base/buf.h"

// Length of the encoded text, without a NUL.
size_t sl_base64_encoded_len(size_t len);
void sl_base64_encode(struct sl_buf *out, struct sl_str bytes);
// Strict: alphabet, padding and length checked; false on any other byte. The result lives in the arena.
bool sl_base64_decode(struct sl_arena *arena, struct sl_str text, struct sl_str *ret);

void sl_hex_encode(struct sl_buf *out, struct sl_str bytes);

// Decodes %XX (and '+' to a space when `plus`); false on a broken escape. Without escapes the input itself is returned.
bool sl_percent_decode(struct sl_arena *arena, struct sl_str text, bool plus, struct sl_str *ret);
// Encodes all but unreserved characters (RFC 3986 section 2.3), and '/' unless `keep_slash`; upper-case hex, as SigV4 asks.
void sl_percent_encode(struct sl_buf *out, struct sl_str text, bool keep_slash);

// Well-formed UTF-8 (no overlong forms, surrogates or values above U+10FFFF).
bool sl_utf8_valid(struct sl_str text);

#endif
