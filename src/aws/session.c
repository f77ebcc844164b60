// SPDX-License-Identifier: Apache-2.0
//
// session: see session.h. The content of a token, all numbers big-endian:
//
//   1 byte version · 10 bytes number (the access key id says them in base 32) · 8 issued · 8 expires
//   account, issuer, issuer id, name, policy, source: 2 bytes length, bytes
//
// A token is compared as text with what its bytes encode to, because base64 has several texts for the same bytes: one
// that was changed anywhere is not ours.
#include "aws/session.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <unistd.h>

#include "aws/arn.h"
#include "base/encoding.h"
#include "base/id.h"

enum { VERSION = 1, NUMBER = 10, MAC = 32, KEY_BYTES = 30, HEAD = 1 + NUMBER + 8 + 8, TEXTS = 6, CONTENT_MAX = 9000 };

static const char key_file[] = "session.key", new_file[] = "session.key.new";

// ---- the server's secret ----------------------------------------------------------------------------------------

static int read_secret(int file, struct sl_session_secret *ret, struct sl_error *err) {
    unsigned char bytes[SL_SESSION_SECRET + 1];
    ssize_t got = read(file, bytes, sizeof bytes);
    if (got < 0) return sl_fail_errno(err, "read %s", key_file);
    if (got != SL_SESSION_SECRET)
        return sl_fail(err, SL_E_INVALID, "%s is damaged: remove it, and all sessions end", key_file);
    memcpy(ret->bytes, bytes, SL_SESSION_SECRET);
    OPENSSL_cleanse(bytes, sizeof bytes);
    return SL_OK;
}

// Under another name first: a file of that name is whole, or there is none.
static int write_secret(int dir, const struct sl_session_secret *secret, struct sl_error *err) {
    int file = openat(dir, new_file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0) return sl_fail_errno(err, "make %s", key_file);
    bool good = write(file, secret->bytes, SL_SESSION_SECRET) == SL_SESSION_SECRET && fsync(file) == 0;
    int kind = good ? SL_OK : sl_fail_errno(err, "write %s", key_file);
    close(file);
    if (kind == SL_OK && (renameat(dir, new_file, dir, key_file) || fsync(dir)))
        kind = sl_fail_errno(err, "keep %s", key_file);
    return kind;
}

int sl_session_secret_open(int data_dir, struct sl_session_secret *ret, struct sl_error *err) {
    if (data_dir >= 0) {
        int file = openat(data_dir, key_file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (file >= 0) {
            int kind = read_secret(file, ret, err);
            close(file);
            return kind;
        }
        if (errno != ENOENT) return sl_fail_errno(err, "open %s", key_file);
    }
    sl_random_bytes(ret->bytes, sizeof ret->bytes);
    return data_dir < 0 ? SL_OK : write_secret(data_dir, ret, err);
}

// ---- keys -------------------------------------------------------------------------------------------------------

static bool authenticate(const struct sl_session_secret *secret, const char *label, struct sl_str bytes,
                         unsigned char ret[static MAC]) {
    unsigned char key[MAC];
    unsigned len = MAC;
    // A key of its own for each use, so that no token can be taken for anything else that the secret signs.
    bool good = HMAC(EVP_sha256(), secret->bytes, SL_SESSION_SECRET, (const unsigned char *)label, strlen(label), key,
                     &len) != NULL &&
                HMAC(EVP_sha256(), key, MAC, (const unsigned char *)bytes.ptr, bytes.len, ret, &len) != NULL;
    OPENSSL_cleanse(key, sizeof key);
    return good;
}

static bool make_secret_key(const struct sl_session_secret *secret, const unsigned char mac[static MAC],
                            char ret[static SL_SESSION_SECRET_KEY + 1]) {
    unsigned char derived[MAC];
    if (!authenticate(secret, "sluice session key", sl_str_n((const char *)mac, MAC), derived)) return false;
    int len = EVP_EncodeBlock((unsigned char *)ret, derived, KEY_BYTES); // 30 bytes are 40 characters and a NUL
    OPENSSL_cleanse(derived, sizeof derived);
    return len == SL_SESSION_SECRET_KEY;
}

// 80 bits as 16 characters (RFC 4648 section 6).
static void make_access_key(const unsigned char number[static NUMBER], char ret[static SL_SESSION_ACCESS_KEY + 1]) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    unsigned bits = 0, held = 0, at = 4;
    memcpy(ret, "ASIA", 4);
    for (unsigned i = 0; i < NUMBER; i++) {
        bits = bits << 8 | number[i];
        for (held += 8; held >= 5; held -= 5) ret[at++] = digits[bits >> (held - 5) & 31];
        bits &= 31;
    }
    ret[at] = '\0';
}

bool sl_session_is_key(struct sl_str access_key) {
    return access_key.len == SL_SESSION_ACCESS_KEY && sl_str_starts(access_key, SL_STR("ASIA"));
}

// ---- the token --------------------------------------------------------------------------------------------------

// The texts of a session in their order, and how long each may be.
static void list_texts(struct sl_session *session, struct sl_str *ret[static TEXTS]) {
    ret[0] = &session->account;
    ret[1] = &session->issuer;
    ret[2] = &session->issuer_id;
    ret[3] = &session->name;
    ret[4] = &session->policy;
    ret[5] = &session->source;
}

static const size_t text_max[TEXTS] = {
    12, SL_SESSION_TEXT_MAX, SL_SESSION_NAME_MAX, SL_SESSION_NAME_MAX, SL_SESSION_POLICY_MAX, SL_SESSION_TEXT_MAX};

static void put_number(struct sl_buf *out, uint64_t value, unsigned bytes) {
    while (bytes-- > 0) sl_buf_char(out, (char)(value >> (8 * bytes) & 255));
}

static uint64_t get_number(const char *bytes, unsigned count) {
    uint64_t value = 0;
    for (unsigned i = 0; i < count; i++) value = value << 8 | (unsigned char)bytes[i];
    return value;
}

static struct sl_str encode(struct sl_arena *arena, struct sl_str bytes) {
    struct sl_buf text;
    sl_buf_init(&text, SL_SESSION_TOKEN_MAX);
    sl_base64_encode(&text, bytes);
    struct sl_str copy = text.failed ? (struct sl_str){0} : sl_arena_dup(arena, sl_buf_view(&text));
    sl_buf_free(&text);
    return copy;
}

int sl_session_mint(struct sl_arena *arena, const struct sl_session_secret *secret, const struct sl_session *session,
                    struct sl_session_keys *ret, struct sl_error *err) {
    struct sl_session copy = *session;
    struct sl_str *texts[TEXTS];
    unsigned char number[NUMBER], mac[MAC];
    struct sl_buf content;
    list_texts(&copy, texts);
    if (!sl_is_account(session->account)) return sl_fail(err, SL_E_INVALID, "a session needs an account");
    sl_random_bytes(number, sizeof number);
    sl_buf_init(&content, CONTENT_MAX);
    sl_buf_char(&content, VERSION);
    sl_buf_put(&content, number, NUMBER);
    put_number(&content, (uint64_t)session->issued_s, 8);
    put_number(&content, (uint64_t)session->expires_s, 8);
    bool fits = true;
    for (unsigned i = 0; i < TEXTS; i++) {
        fits = fits && texts[i]->len <= text_max[i];
        put_number(&content, texts[i]->len, 2);
        if (fits) sl_buf_str(&content, *texts[i]);
    }
    bool good = fits && !content.failed && authenticate(secret, "sluice session token", sl_buf_view(&content), mac);
    if (good) {
        sl_buf_put(&content, mac, MAC);
        make_access_key(number, ret->access_key);
        ret->token = encode(arena, sl_buf_view(&content));
        good = !content.failed && ret->token.ptr && make_secret_key(secret, mac, ret->secret_key);
    }
    sl_buf_free(&content);
    if (!fits) return sl_fail(err, SL_E_INVALID, "a text of the session is too long");
    return good ? SL_OK : sl_fail(err, SL_E_NO_MEMORY, "no memory for a session");
}

// Of authenticated bytes; false all the same on anything that does not fit exactly.
static bool parse(struct sl_str content, struct sl_session *ret) {
    struct sl_str *texts[TEXTS];
    list_texts(ret, texts);
    ret->issued_s = (int64_t)get_number(content.ptr + 1 + NUMBER, 8);
    ret->expires_s = (int64_t)get_number(content.ptr + 1 + NUMBER + 8, 8);
    size_t at = HEAD;
    for (unsigned i = 0; i < TEXTS; i++) {
        if (content.len - at < 2) return false;
        size_t len = get_number(content.ptr + at, 2);
        at += 2;
        if (len > text_max[i] || len > content.len - at) return false;
        *texts[i] = sl_str_n(content.ptr + at, len);
        at += len;
    }
    return at == content.len && sl_is_account(ret->account);
}

enum sl_session_result sl_session_open(struct sl_arena *arena, const struct sl_session_secret *secret,
                                       struct sl_str access_key, struct sl_str token, int64_t now_s,
                                       struct sl_session *ret, char secret_key[SL_SESSION_SECRET_KEY + 1]) {
    struct sl_str bytes;
    unsigned char mac[MAC];
    char expected[SL_SESSION_ACCESS_KEY + 1];
    struct sl_session session = {0};
    if (!sl_session_is_key(access_key) || token.len == 0 || token.len > SL_SESSION_TOKEN_MAX) return SL_SESSION_FORGED;
    if (!sl_base64_decode(arena, token, &bytes) || bytes.len < HEAD + MAC || bytes.ptr[0] != VERSION)
        return SL_SESSION_FORGED;
    if (!sl_str_eq(encode(arena, bytes), token)) return SL_SESSION_FORGED;
    struct sl_str content = sl_str_sub(bytes, 0, bytes.len - MAC);
    if (!authenticate(secret, "sluice session token", content, mac) ||
        CRYPTO_memcmp(mac, bytes.ptr + content.len, MAC) != 0)
        return SL_SESSION_FORGED;
    make_access_key((const unsigned char *)content.ptr + 1, expected);
    if (CRYPTO_memcmp(expected, access_key.ptr, SL_SESSION_ACCESS_KEY) != 0 || !parse(content, &session))
        return SL_SESSION_FORGED;
    *ret = session;
    if (now_s >= session.expires_s) return SL_SESSION_EXPIRED;
    return !secret_key || make_secret_key(secret, mac, secret_key) ? SL_SESSION_GOOD : SL_SESSION_FORGED;
}

struct sl_str sl_session_arn(struct sl_arena *arena, const struct sl_session *session) {
    ptrdiff_t role = sl_str_find(session->issuer, SL_STR(":role/"));
    if (role < 0) return session->issuer;
    size_t name = session->issuer.len; // after the last slash: paths are not in the ARN of a session
    while (session->issuer.ptr[name - 1] != '/') name--;
    struct sl_str rest = session->issuer, partition = {0};
    sl_str_split(&rest, ':', &partition);
    sl_str_split(&rest, ':', &partition);
    return sl_arena_printf(arena, "arn:%.*s:sts::%.*s:assumed-role/%.*s/%.*s", SL_FMT(partition),
                           SL_FMT(session->account), SL_FMT(sl_str_sub(session->issuer, name, session->issuer.len)),
                           SL_FMT(session->name));
}
