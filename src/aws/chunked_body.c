// SPDX-License-Identifier: Apache-2.0
//
// chunked_body: see chunked_body.h. A state machine over bytes:
//
//   HEAD (a line) -> DATA -> DATA_END (an empty line) -> HEAD ... HEAD of size 0 -> TRAILER (lines) -> DONE
//
// A chunk's signature stands before its data and is compared after it, so data is given out before it is known to be
// good: whoever takes it must not believe it until the body is complete. Some clients end the body after the last
// chunk's line without the empty one; that is accepted where no trailer was announced.
#include "aws/chunked_body.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/encoding.h"

enum { LINE_MAX_BYTES = 4096, TRAILERS_MAX = 16 * 1024, HEX = 64, HASH = 32, MAX_DIGITS = 15, SCOPE_MAX = 512 };
enum state { HEAD, DATA, DATA_END, TRAILER, DONE };

struct sl_chunked_body {
    enum state state;
    uint64_t left;
    bool is_signed, trailing, check;
    struct sl_buf line, trailers; // trailers: "name:value\n" each, as they are signed
    unsigned char key[HASH];
    char previous[HEX], given[HEX];
    char scope[SCOPE_MAX]; // "date\nscope\n"
    EVP_MD_CTX *sha;       // of the chunk's data
};

static const struct sl_str unsigned_trailer = SL_STR_INIT("STREAMING-UNSIGNED-PAYLOAD-TRAILER");
static const struct sl_str signed_payload = SL_STR_INIT("STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
static const struct sl_str signed_trailer = SL_STR_INIT("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER");

bool sl_chunked_body_is(struct sl_str payload_hash) { return sl_str_starts(payload_hash, SL_STR("STREAMING-")); }

static int broken(struct sl_error *err) {
    return sl_fail(err, SL_E_S3_INCOMPLETE_BODY, "The request body terminated unexpectedly");
}

static int wrong_signature(struct sl_error *err) {
    return sl_fail(err, SL_E_INVALID_SIGNATURE,
                   "The request signature we calculated does not match the signature you provided. Check your key and "
                   "signing method.");
}

int sl_chunked_body_new(struct sl_chunked_body **ret, const struct sl_sigv4 *signature, struct sl_str secret,
                        struct sl_error *err) {
    struct sl_str form = signature->payload_hash;
    bool known =
        sl_str_eq(form, unsigned_trailer) || sl_str_eq(form, signed_payload) || sl_str_eq(form, signed_trailer);
    if (!known)
        return sl_fail(err, SL_E_S3_NOT_IMPLEMENTED,
                       "A header you provided implies functionality that is not implemented");
    struct sl_chunked_body *body = calloc(1, sizeof *body);
    if (!body) return sl_fail(err, SL_E_NO_MEMORY, "no memory for a body");
    sl_buf_init(&body->line, LINE_MAX_BYTES);
    sl_buf_init(&body->trailers, TRAILERS_MAX);
    body->is_signed = !sl_str_eq(form, unsigned_trailer);
    body->trailing = !sl_str_eq(form, signed_payload);
    body->check = body->is_signed && secret.ptr;
    if (body->check) {
        int length = snprintf(body->scope, sizeof body->scope, "%.*s\n%.*s/%.*s/%.*s/aws4_request\n",
                              SL_FMT(signature->amz_date), SL_FMT(signature->date), SL_FMT(signature->region),
                              SL_FMT(signature->service));
        body->sha = EVP_MD_CTX_new();
        bool made = length > 0 && length < SCOPE_MAX && signature->signature.len == HEX && body->sha &&
                    sl_sigv4_key(signature, secret, body->key) && EVP_DigestInit_ex(body->sha, EVP_sha256(), NULL);
        if (!made) {
            sl_chunked_body_free(body);
            return wrong_signature(err);
        }
        memcpy(body->previous, signature->signature.ptr, HEX);
    }
    *ret = body;
    return SL_OK;
}

void sl_chunked_body_free(struct sl_chunked_body *body) {
    if (!body) return;
    EVP_MD_CTX_free(body->sha);
    OPENSSL_cleanse(body->key, sizeof body->key);
    sl_buf_free(&body->line);
    sl_buf_free(&body->trailers);
    free(body);
}

// ---- signatures -----------------------------------------------------------------------------------------------------

static bool sha256_hex(struct sl_str bytes, struct sl_buf *out) {
    unsigned char hash[HASH];
    if (!EVP_Digest(bytes.ptr ? bytes.ptr : "", bytes.len, hash, NULL, EVP_sha256(), NULL)) return false;
    sl_hex_encode(out, sl_str_n((const char *)hash, HASH));
    return true;
}

// Compares `given` with the signature over `what` and the hash at the end of the text; it becomes the previous one.
static bool signature_holds(struct sl_chunked_body *body, struct sl_buf *text) {
    unsigned char mac[HASH];
    unsigned length = 0;
    if (text->failed || !HMAC(EVP_sha256(), body->key, HASH, (const unsigned char *)text->ptr, text->len, mac, &length))
        return false;
    struct sl_buf hex;
    sl_buf_init(&hex, HEX);
    sl_hex_encode(&hex, sl_str_n((const char *)mac, HASH));
    bool same = !hex.failed && CRYPTO_memcmp(hex.ptr, body->given, HEX) == 0;
    sl_buf_free(&hex);
    memcpy(body->previous, body->given, HEX);
    return same;
}

static void begin_text(const struct sl_chunked_body *body, const char *algorithm, struct sl_buf *text) {
    sl_buf_init(text, 2048);
    sl_buf_printf(text, "%s\n%s%.*s\n", algorithm, body->scope, HEX, body->previous);
}

static bool chunk_holds(struct sl_chunked_body *body) {
    unsigned char hash[HASH];
    struct sl_buf text;
    begin_text(body, "AWS4-HMAC-SHA256-PAYLOAD", &text);
    bool good = sha256_hex(SL_STR(""), &text) && EVP_DigestFinal_ex(body->sha, hash, NULL) &&
                EVP_DigestInit_ex(body->sha, EVP_sha256(), NULL);
    sl_buf_char(&text, '\n');
    sl_hex_encode(&text, sl_str_n((const char *)hash, HASH));
    good = good && signature_holds(body, &text);
    sl_buf_free(&text);
    return good;
}

static bool trailers_hold(struct sl_chunked_body *body) {
    struct sl_buf text;
    begin_text(body, "AWS4-HMAC-SHA256-TRAILER", &text);
    bool good = sha256_hex(sl_buf_view(&body->trailers), &text) && signature_holds(body, &text);
    sl_buf_free(&text);
    return good;
}

// ---- lines ----------------------------------------------------------------------------------------------------------

static bool take_signature(struct sl_chunked_body *body, struct sl_str text) {
    if (text.len != HEX) return false;
    memcpy(body->given, text.ptr, HEX);
    return true;
}

static int read_head(struct sl_chunked_body *body, struct sl_str line, struct sl_error *err) {
    struct sl_str size = {0}, rest = line; // an empty line has no part at all
    const struct sl_str mark = SL_STR("chunk-signature=");
    sl_str_split(&rest, ';', &size);
    body->left = 0;
    if (size.len == 0 || size.len > MAX_DIGITS) return broken(err);
    for (size_t i = 0; i < size.len; i++) {
        int digit = sl_hex_value(size.ptr[i]);
        if (digit < 0) return broken(err);
        body->left = body->left << 4 | (uint64_t)digit;
    }
    if (body->is_signed && (!sl_str_starts(rest, mark) || !take_signature(body, sl_str_sub(rest, mark.len, rest.len))))
        return wrong_signature(err);
    body->state = body->left ? DATA : TRAILER;
    // Of the last chunk no data follows: its signature is compared here.
    return !body->left && body->check && !chunk_holds(body) ? wrong_signature(err) : SL_OK;
}

static int read_trailer(struct sl_chunked_body *body, struct sl_str line, struct sl_error *err) {
    struct sl_str name, value = line;
    if (line.len == 0) {
        body->state = DONE;
        return SL_OK;
    }
    if (!body->trailing || !sl_str_split(&value, ':', &name) || !value.ptr || name.len == 0) return broken(err);
    value = sl_str_trim(value);
    if (sl_str_ieq(name, SL_STR("x-amz-trailer-signature"))) {
        if (!body->is_signed) return SL_OK;
        if (!take_signature(body, value) || (body->check && !trailers_hold(body))) return wrong_signature(err);
        body->check = false; // done
        return SL_OK;
    }
    sl_buf_printf(&body->trailers, "%.*s:%.*s\n", SL_FMT(name), SL_FMT(value));
    return body->trailers.failed ? broken(err) : SL_OK;
}

static int read_line(struct sl_chunked_body *body, struct sl_error *err) {
    struct sl_str line = sl_buf_view(&body->line);
    if (line.len && line.ptr[line.len - 1] == '\r') line.len--;
    if (sl_str_chr(line, '\r', 0) >= 0 || sl_str_chr(line, '\0', 0) >= 0) return broken(err);
    if (body->state == HEAD) return read_head(body, line, err);
    if (body->state == TRAILER) return read_trailer(body, line, err);
    if (line.len) return broken(err); // behind a chunk's data
    body->state = HEAD;
    return body->check && !chunk_holds(body) ? wrong_signature(err) : SL_OK;
}

int sl_chunked_body_feed(struct sl_chunked_body *body, struct sl_str in, size_t *ret_used, struct sl_str *ret_part,
                         struct sl_error *err) {
    *ret_part = (struct sl_str){0};
    if (body->state == DONE && in.len) return broken(err);
    if (body->state == DATA) {
        size_t take = in.len < body->left ? in.len : (size_t)body->left;
        *ret_part = sl_str_sub(in, 0, take);
        *ret_used = take;
        body->left -= take;
        if (body->left == 0) body->state = DATA_END;
        if (body->sha && take && !EVP_DigestUpdate(body->sha, in.ptr, take)) return wrong_signature(err);
        return SL_OK;
    }
    ptrdiff_t end = sl_str_chr(in, '\n', 0);
    size_t take = end < 0 ? in.len : (size_t)end;
    sl_buf_str(&body->line, sl_str_sub(in, 0, take));
    if (body->line.failed) return broken(err);
    *ret_used = end < 0 ? take : take + 1;
    if (end < 0) return SL_OK;
    int kind = read_line(body, err);
    sl_buf_clear(&body->line, LINE_MAX_BYTES);
    return kind;
}

bool sl_chunked_body_complete(const struct sl_chunked_body *body) {
    bool signature_missing = body->trailing && body->is_signed && body->check;
    if (body->state == TRAILER) return !body->trailing && body->line.len == 0;
    return body->state == DONE && !signature_missing;
}

struct sl_str sl_chunked_body_trailer(const struct sl_chunked_body *body, struct sl_str name) {
    struct sl_str rest = sl_buf_view(&body->trailers), line;
    while (rest.len && sl_str_split(&rest, '\n', &line)) {
        struct sl_str value = line, key;
        sl_str_split(&value, ':', &key);
        if (sl_str_ieq(key, name)) return value;
    }
    return (struct sl_str){0};
}
