// SPDX-License-Identifier: Apache-2.0
//
// id: see id.h.
#include "base/id.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static _Thread_local struct {
    unsigned char bytes[1024];
    size_t left;
} pool;

static void fill(void *out, size_t len) {
    unsigned char *at = out;
    while (len) {
        ssize_t got = getrandom(at, len < 256 ? len : 256, 0);
        // A signal may interrupt the wait for the kernel's pool right after boot.
        if (got < 0 && errno == EINTR) continue;
        // Only a kernel without the call, or a broken one, gets here: nothing secure can be made without it.
        if (got <= 0) abort();
        at += got;
        len -= (size_t)got;
    }
}

void sl_random_bytes(void *out, size_t len) {
    if (len > sizeof pool.bytes / 4) {
        fill(out, len);
        return;
    }
    if (pool.left < len) {
        fill(pool.bytes, sizeof pool.bytes);
        pool.left = sizeof pool.bytes;
    }
    pool.left -= len;
    memcpy(out, pool.bytes + pool.left, len);
    // What was handed out must not stay behind in memory.
    memset(pool.bytes + pool.left, 0, len);
}

static const char hex[16] = "0123456789abcdef";

void sl_uuid(char out[static SL_UUID]) {
    unsigned char raw[16];
    sl_random_bytes(raw, sizeof raw);
    raw[6] = (unsigned char)((raw[6] & 0x0f) | 0x40);
    raw[8] = (unsigned char)((raw[8] & 0x3f) | 0x80);
    char *at = out;
    for (size_t i = 0; i < sizeof raw; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) *at++ = '-';
        *at++ = hex[raw[i] >> 4];
        *at++ = hex[raw[i] & 15];
    }
    *at = '\0';
}

void sl_random_hex(char *out, size_t digits) {
    for (size_t i = 0; i < digits; i++) {
        unsigned char byte;
        sl_random_bytes(&byte, 1);
        out[i] = hex[byte & 15];
    }
    out[digits] = '\0';
}

void sl_random_lower(char *out, size_t chars) {
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    for (size_t i = 0; i < chars;) {
        unsigned char byte;
        sl_random_bytes(&byte, 1);
        // 252 = 7 * 36: larger values would make some characters likelier.
        if (byte >= 252) continue;
        char c = alphabet[byte % 36];
        if (i == 0 && c <= '9') continue;
        out[i++] = c;
    }
    out[chars] = '\0';
}
