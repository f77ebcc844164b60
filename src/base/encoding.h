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
// Strict: alphabet, padding and length checked; false on any other byte. Unused bits of the last digit may be set, as
// most decoders allow (RFC 4648 section 3.5 leaves the choice). The result lives in the arena.
bool sl_base64_decode(struct sl_arena *arena, struct sl_str text, struct sl_str *ret);

void sl_hex_encode(struct sl_buf *out, struct sl_str bytes);
// Value of one hexadecimal digit of either case, or -1.
int sl_hex_value(char c);

// Decodes %XX (and '+' to a space when `plus`); false on a broken escape. Without escapes the input itself is returned.
bool sl_percent_decode(struct sl_arena *arena, struct sl_str text, bool plus, struct sl_str *ret);
// Encodes all but unreserved characters (RFC 3986 section 2.3), and '/' unless `keep_slash`; upper-case hex, as SigV4
// asks.
void sl_percent_encode(struct sl_buf *out, struct sl_str text, bool keep_slash);

// Well-formed UTF-8 (no overlong forms, surrogates or values above U+10FFFF).
bool sl_utf8_valid(struct sl_str text);
// How many bytes from the start are well-formed; text.len when all are.
size_t sl_utf8_valid_prefix(struct sl_str text);
// Length of the character at the start of `text` (not empty). For an ill-formed one *ret_valid is false and the result
// is the number of bytes that one U+FFFD stands for (maximal subpart, Unicode standard section 3.9).
size_t sl_utf8_step(struct sl_str text, bool *ret_valid);
// Writes the 1-4 bytes of a code point; surrogates and values above U+10FFFF become U+FFFD. Returns the length.
size_t sl_utf8_encode(uint32_t code, char out[static 4]);

#endif
