// SPDX-License-Identifier: Apache-2.0
//
// page: token = base64(version byte, MAC of 16 bytes, last id); MAC = HMAC-SHA-256(key, length of scope, scope, last
// id), cut to 16 bytes (RFC 2104 section 5 allows half of the hash). The id itself is not secret: the client saw it on
// the page.
#include "aws/page.h"

#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <pthread.h>

#include "aws/op.h"
#include "base/encoding.h"

enum { VERSION = 1, MAC = 16, HEAD = 1 + MAC, MAX_ID = 2048 };

static unsigned char page_key[SL_PAGE_KEY];
static pthread_once_t page_once = PTHREAD_ONCE_INIT;
static bool page_key_given;

void sl_page_set_key(const unsigned char key[SL_PAGE_KEY]) {
    memcpy(page_key, key, SL_PAGE_KEY);
    page_key_given = true;
}

static void random_key(void) {
    if (!page_key_given) sl_random_bytes(page_key, sizeof page_key);
}

// The scope is length-prefixed, so that no other (scope, id) pair gives the same bytes. Copied by length, never as C
// strings: a NUL in a forged id must not end what is authenticated.
static bool page_mac(struct sl_arena *arena, struct sl_str scope, struct sl_str id, unsigned char out[MAC]) {
    pthread_once(&page_once, random_key);
    size_t size = sizeof scope.len + scope.len + id.len;
    char *text = sl_arena_alloc(arena, size);
    if (!text) return false;
    memcpy(text, &scope.len, sizeof scope.len);
    if (scope.len) memcpy(text + sizeof scope.len, scope.ptr, scope.len);
    if (id.len) memcpy(text + sizeof scope.len + scope.len, id.ptr, id.len);
    unsigned char full[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    if (!HMAC(EVP_sha256(), page_key, SL_PAGE_KEY, (const unsigned char *)text, size, full, &length)) return false;
    memcpy(out, full, MAC);
    return true;
}

struct sl_str sl_page_token(struct sl_arena *arena, struct sl_str scope, struct sl_str last_id) {
    char *raw = last_id.len <= MAX_ID ? sl_arena_alloc(arena, HEAD + last_id.len) : NULL;
    unsigned char mac[MAC];
    if (!raw || !page_mac(arena, scope, last_id, mac)) return (struct sl_str){0};
    raw[0] = VERSION;
    memcpy(raw + 1, mac, MAC);
    if (last_id.len) memcpy(raw + HEAD, last_id.ptr, last_id.len);
    struct sl_buf text;
    sl_buf_init(&text, 2 * (HEAD + MAX_ID));
    sl_base64_encode(&text, sl_str_n(raw, HEAD + last_id.len));
    struct sl_str token = text.failed ? (struct sl_str){0} : sl_arena_dup(arena, sl_buf_view(&text));
    sl_buf_free(&text);
    return token;
}

// The id is read from the token and the token made anew: equal texts, not only equal bytes behind them, so that a token
// has one spelling.
bool sl_page_open(struct sl_arena *arena, struct sl_str scope, struct sl_str token, struct sl_str *ret_last_id) {
    struct sl_str raw;
    if (token.len > 2 * (HEAD + MAX_ID) || !sl_base64_decode(arena, token, &raw) || raw.len < HEAD) return false;
    struct sl_str id = sl_str_sub(raw, HEAD, raw.len);
    struct sl_str expected = sl_page_token(arena, scope, id);
    if (!expected.ptr || expected.len != token.len || CRYPTO_memcmp(expected.ptr, token.ptr, token.len) != 0)
        return false;
    *ret_last_id = id;
    return true;
}

struct sl_str sl_page_scope(const struct sl_op *op, struct sl_str parent) {
    return sl_arena_printf(op->arena, "%.*s/%.*s/%.*s/%.*s/%.*s", SL_FMT(op->account), SL_FMT(op->region),
                           SL_FMT(op->model->service->name), SL_FMT(op->model->name), SL_FMT(parent));
}
