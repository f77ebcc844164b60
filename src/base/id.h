// SPDX-License-Identifier: Apache-2.0
//
// id: randomness and the identifiers made of it. Random bytes come from getrandom(2) through a small per-thread pool,
// so that an id on the warm path costs no system call. Any thread. A fork must not share the pool: the server never
// forks.
#ifndef SL_BASE_ID_H
#define SL_BASE_ID_H

#include <stddef.h>

enum { SL_UUID = 37 }; // "xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx" + NUL

void sl_random_bytes(void *out, size_t len);
// A version 4 UUID (RFC 9562 section 5.4).
void sl_uuid(char out[static SL_UUID]);
// `digits` lower-case hexadecimal digits and a NUL.
void sl_random_hex(char *out, size_t digits);
// `chars` characters of a-z0-9 (never a digit first) and a NUL: the alphabet of API Gateway's identifiers.
void sl_random_lower(char *out, size_t chars);

#endif
