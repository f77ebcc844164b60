// SPDX-License-Identifier: Apache-2.0
//
// encoding: see encoding.h.
#include "base/encoding.h"

static const char base64_alphabet[64] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t sl_base64_encoded_len(size_t len) { return (len + 2) / 3 * 4; }

void sl_base64_encode(struct sl_buf *out, struct sl_str bytes) {
    size_t encoded = sl_base64_encoded_len(bytes.len);
    char *at = sl_buf_reserve(out, encoded);
    if (!at) return;
    const unsigned char *in = (const unsigned char *)bytes.ptr;
    size_t i = 0;
    for (; i + 2 < bytes.len; i += 3) {
        unsigned v = (unsigned)in[i] << 16 | (unsigned)in[i + 1] << 8 | in[i + 2];
        *at++ = base64_alphabet[v >> 18];
        *at++ = base64_alphabet[v >> 12 & 63];
        *at++ = base64_alphabet[v >> 6 & 63];
        *at++ = base64_alphabet[v & 63];
    }
    if (i < bytes.len) {
        unsigned v = (unsigned)in[i] << 16 | (i + 1 < bytes.len ? (unsigned)in[i + 1] << 8 : 0);
        *at++ = base64_alphabet[v >> 18];
        *at++ = base64_alphabet[v >> 12 & 63];
        *at++ = i + 1 < bytes.len ? base64_alphabet[v >> 6 & 63] : '=';
        *at++ = '=';
    }
    out->len += encoded;
}

static int base64_value(unsigned char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '+') return 62;
    if (c == '/') return 63;
    return -1;
}

bool sl_base64_decode(struct sl_arena *arena, struct sl_str text, struct sl_str *ret) {
    if (text.len % 4) return false;
    if (text.len == 0) {
        *ret = sl_str_n("", 0);
        return true;
    }
    size_t padding = text.ptr[text.len - 1] == '=' ? (text.ptr[text.len - 2] == '=' ? 2 : 1) : 0;
    size_t digits = text.len - padding;
    char *out = sl_arena_alloc(arena, text.len / 4 * 3 + 1);
    if (!out) return false;
    size_t len = 0;
    unsigned v = 0;
    for (size_t i = 0; i < digits; i++) {
        int value = base64_value((unsigned char)text.ptr[i]);
        if (value < 0) return false;
        v = v << 6 | (unsigned)value;
        // After digit 1, 2 and 3 of a group of four there is one more whole byte.
        if (i % 4 == 1) out[len++] = (char)(v >> 4 & 255);
        if (i % 4 == 2) out[len++] = (char)(v >> 2 & 255);
        if (i % 4 == 3) out[len++] = (char)(v & 255);
    }
    out[len] = '\0';
    *ret = sl_str_n(out, len);
    return true;
}

static const char lower_hex[16] = "0123456789abcdef";
static const char upper_hex[16] = "0123456789ABCDEF";

void sl_hex_encode(struct sl_buf *out, struct sl_str bytes) {
    char *at = sl_buf_reserve(out, bytes.len * 2);
    if (!at) return;
    for (size_t i = 0; i < bytes.len; i++) {
        *at++ = lower_hex[(unsigned char)bytes.ptr[i] >> 4];
        *at++ = lower_hex[(unsigned char)bytes.ptr[i] & 15];
    }
    out->len += bytes.len * 2;
}

int sl_hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

bool sl_percent_decode(struct sl_arena *arena, struct sl_str text, bool plus, struct sl_str *ret) {
    if (sl_str_chr(text, '%', 0) < 0 && (!plus || sl_str_chr(text, '+', 0) < 0)) {
        *ret = text;
        return true;
    }
    char *out = sl_arena_alloc(arena, text.len + 1);
    if (!out) return false;
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '%') {
            if (text.len - i < 3) return false;
            int high = sl_hex_value(text.ptr[i + 1]), low = sl_hex_value(text.ptr[i + 2]);
            if (high < 0 || low < 0) return false;
            c = (char)(high << 4 | low);
            i += 2;
        } else if (plus && c == '+') {
            c = ' ';
        }
        out[len++] = c;
    }
    out[len] = '\0';
    *ret = sl_str_n(out, len);
    return true;
}

static bool unreserved(unsigned char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_' || c == '~';
}

void sl_percent_encode(struct sl_buf *out, struct sl_str text, bool keep_slash) {
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (unreserved(c) || (keep_slash && c == '/')) {
            sl_buf_char(out, (char)c);
        } else {
            char escape[3] = {'%', upper_hex[c >> 4], upper_hex[c & 15]};
            sl_buf_put(out, escape, sizeof escape);
        }
    }
}

size_t sl_utf8_step(struct sl_str text, bool *ret_valid) {
    const unsigned char *s = (const unsigned char *)text.ptr;
    *ret_valid = true;
    if (s[0] < 0x80) return 1;
    // Table 3-7 of the Unicode standard: the second byte's range depends on the first.
    size_t len = s[0] < 0xc2 ? 0 : s[0] <= 0xdf ? 2 : s[0] <= 0xef ? 3 : s[0] <= 0xf4 ? 4 : 0;
    unsigned char low = 0x80, high = 0xbf;
    if (s[0] == 0xe0) low = 0xa0;
    if (s[0] == 0xed) high = 0x9f;
    if (s[0] == 0xf0) low = 0x90;
    if (s[0] == 0xf4) high = 0x8f;
    size_t at = 1;
    while (at < len && at < text.len && s[at] >= low && s[at] <= high) {
        at++;
        low = 0x80;
        high = 0xbf;
    }
    *ret_valid = at == len;
    return at;
}

size_t sl_utf8_valid_prefix(struct sl_str text) {
    size_t i = 0;
    while (i < text.len) {
        if (text.len - i >= 8) {
            uint64_t eight;
            memcpy(&eight, text.ptr + i, sizeof eight);
            if (!(eight & 0x8080808080808080u)) {
                i += 8;
                continue;
            }
        }
        bool valid;
        size_t step = sl_utf8_step(sl_str_n(text.ptr + i, text.len - i), &valid);
        if (!valid) break;
        i += step;
    }
    return i;
}

bool sl_utf8_valid(struct sl_str text) { return sl_utf8_valid_prefix(text) == text.len; }

size_t sl_utf8_encode(uint32_t code, char out[static 4]) {
    if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) code = 0xfffd;
    size_t len = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = len; i > 1; i--) {
        out[i - 1] = (char)(0x80 | (code & 63));
        code >>= 6;
    }
    out[0] = (char)(lead[len] | code);
    return len;
}
