// SPDX-License-Identifier: Apache-2.0
//
// sigv4: see sigv4.h. Order of work, as the signing documentation has it: canonical request, string to sign, signing
// key, signature.
//
// Two rules that are easy to miss. The canonical path is the path as it was sent, percent-encoded once more (except for
// S3), after "." and ".." and doubled slashes are resolved: a label that holds an encoded ARN is thus signed as %253A.
// The canonical query is decoded and encoded again, because clients differ in what they leave unescaped, and sorted by
// the encoded bytes.
#include "aws/sigv4.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <time.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/encoding.h"
#include "http/http.h"

enum { HASH = 32, HEX_HASH = 64, MAX_PARAMETERS = 1000, MAX_CANONICAL = 1 << 20 };

static const struct sl_str algorithm = SL_STR_INIT("AWS4-HMAC-SHA256");

// Value of a query parameter, decoded; ptr NULL if absent or undecodable.
static struct sl_str query_of(struct sl_arena *arena, struct sl_str query, struct sl_str name) {
    struct sl_str rest = query, pair;
    while (sl_str_split(&rest, '&', &pair)) {
        struct sl_str value = pair, key, decoded;
        sl_str_split(&value, '=', &key);
        if (!sl_str_eq(key, name)) continue;
        if (!value.ptr) return SL_STR("");
        return sl_percent_decode(arena, value, false, &decoded) ? decoded : (struct sl_str){0};
    }
    return (struct sl_str){0};
}

// "AKID/20260102/us-east-1/lambda/aws4_request", taken apart from the right: only the key may hold further slashes.
static bool parse_scope(struct sl_str credential, struct sl_sigv4 *ret) {
    struct sl_str parts[4] = {{0}}; // terminator, service, region, date
    for (size_t i = 0; i < 4; i++) {
        size_t cut = credential.len;
        while (cut > 0 && credential.ptr[cut - 1] != '/') cut--;
        if (cut == 0) return false;
        parts[i] = sl_str_sub(credential, cut, credential.len);
        credential = sl_str_sub(credential, 0, cut - 1);
        if (parts[i].len == 0) return false;
    }
    if (!sl_str_is(parts[0], "aws4_request") || credential.len == 0 || parts[3].len != 8) return false;
    ret->access_key = credential;
    ret->date = parts[3];
    ret->region = parts[2];
    ret->service = parts[1];
    return true;
}

static int parse_presigned(struct sl_arena *arena, const struct sl_aws_request *request, struct sl_sigv4 *ret,
                           struct sl_error *err) {
    struct sl_sigv4 sig = {.presigned = true};
    struct sl_str query = request->query;
    struct sl_str credential = query_of(arena, query, SL_STR("X-Amz-Credential"));
    struct sl_str expires = query_of(arena, query, SL_STR("X-Amz-Expires"));
    sig.amz_date = query_of(arena, query, SL_STR("X-Amz-Date"));
    sig.signed_headers = query_of(arena, query, SL_STR("X-Amz-SignedHeaders"));
    sig.signature = query_of(arena, query, SL_STR("X-Amz-Signature"));
    sig.session_token = query_of(arena, query, SL_STR("X-Amz-Security-Token"));
    uint64_t seconds = 0;
    if (!credential.ptr || !sig.amz_date.ptr || !sig.signed_headers.len || !sig.signature.ptr || !expires.ptr) {
        return sl_fail(err, SL_E_INCOMPLETE_SIGNATURE,
                       "AWS query-string parameters must include 'X-Amz-Algorithm', 'X-Amz-Credential', 'X-Amz-Date', "
                       "'X-Amz-Expires', "
                       "'X-Amz-SignedHeaders' and 'X-Amz-Signature'. Re-examine the query-string parameters.");
    }
    if (!parse_scope(credential, &sig)) {
        return sl_fail(err, SL_E_INCOMPLETE_SIGNATURE, "Credential must have at least 5 elements, got '%.*s'.",
                       SL_FMT(credential));
    }
    if (!sl_str_to_u64(expires, &seconds) || seconds < 1 || seconds > SL_SIGV4_EXPIRES_MAX_S) {
        return sl_fail(err, SL_E_INCOMPLETE_SIGNATURE, "X-Amz-Expires must be between 1 and 604800 seconds.");
    }
    sig.expires_s = (int64_t)seconds;
    *ret = sig;
    return SL_OK;
}

static int parse_header(const struct sl_aws_request *request, struct sl_str authorization, struct sl_sigv4 *ret,
                        struct sl_error *err) {
    struct sl_sigv4 sig = {.amz_date = sl_aws_request_header(request, SL_STR("X-Amz-Date")),
                           .session_token = sl_aws_request_header(request, SL_STR("X-Amz-Security-Token")),
                           .payload_hash = sl_aws_request_header(request, SL_STR("X-Amz-Content-Sha256"))};
    struct sl_str credential = {0}, rest = sl_str_sub(authorization, algorithm.len, authorization.len), part;
    while (sl_str_split(&rest, ',', &part)) {
        struct sl_str value = sl_str_trim(part), key;
        sl_str_split(&value, '=', &key);
        if (!value.ptr) continue;
        if (sl_str_is(key, "Credential")) credential = value;
        if (sl_str_is(key, "SignedHeaders")) sig.signed_headers = value;
        if (sl_str_is(key, "Signature")) sig.signature = value;
    }
    if (!credential.len || !sig.signature.len || !sig.signed_headers.len || !sig.amz_date.len) {
        return sl_fail(err, SL_E_INCOMPLETE_SIGNATURE, "%s%s%s%sAuthorization=%.*s",
                       credential.len ? "" : "Authorization header requires 'Credential' parameter. ",
                       sig.signature.len ? "" : "Authorization header requires 'Signature' parameter. ",
                       sig.signed_headers.len ? "" : "Authorization header requires 'SignedHeaders' parameter. ",
                       sig.amz_date.len
                           ? ""
                           : "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ",
                       (int)algorithm.len, authorization.ptr);
    }
    if (!parse_scope(credential, &sig)) {
        return sl_fail(err, SL_E_INCOMPLETE_SIGNATURE, "Credential must have at least 5 elements, got '%.*s'.",
                       SL_FMT(credential));
    }
    *ret = sig;
    return SL_OK;
}

int sl_sigv4_parse(struct sl_arena *arena, const struct sl_aws_request *request, struct sl_sigv4 *ret,
                   struct sl_error *err) {
    struct sl_str authorization = sl_aws_request_header(request, SL_STR("Authorization"));
    if (authorization.len > algorithm.len && sl_str_starts(authorization, algorithm) &&
        authorization.ptr[algorithm.len] == ' ') {
        return parse_header(request, authorization, ret, err);
    }
    struct sl_str in_query = query_of(arena, request->query, SL_STR("X-Amz-Algorithm"));
    if (sl_str_eq(in_query, algorithm)) return parse_presigned(arena, request, ret, err);
    return sl_fail(err, SL_E_MISSING_TOKEN, "Missing Authentication Token");
}

// --- canonical request
// ------------------------------------------------------------------------------------------------------------

// Resolves "." and ".." and doubled slashes (RFC 3986 section 5.2.4), then encodes the bytes as they were sent once
// more. The output never grows beyond three times the path.
static void put_path(struct sl_buf *out, struct sl_arena *arena, struct sl_str path, bool s3) {
    if (s3) { // S3 keys are taken literally and encoded once
        struct sl_str decoded;
        if (!sl_percent_decode(arena, path, false, &decoded)) decoded = path;
        sl_percent_encode(out, decoded, true);
        return;
    }
    char *flat = sl_arena_alloc(arena, path.len + 2);
    if (!flat) {
        out->failed = true;
        return;
    }
    size_t len = 0;
    struct sl_str rest = path, part = {0};
    while (sl_str_split(&rest, '/', &part)) {
        if (part.len == 0 || sl_str_is(part, ".")) continue;
        if (sl_str_is(part, "..")) {
            while (len > 0 && flat[--len] != '/') {}
            continue;
        }
        flat[len++] = '/';
        memcpy(flat + len, part.ptr, part.len);
        len += part.len;
    }
    bool slash = sl_str_ends(path, SL_STR("/")) || sl_str_ends(path, SL_STR("/.")) || sl_str_ends(path, SL_STR("/.."));
    if (len == 0 || slash) flat[len++] = '/';
    sl_percent_encode(out, sl_str_n(flat, len), true);
}

struct pair {
    struct sl_str key, value; // encoded
};

static int compare_pairs(const void *a, const void *b) {
    const struct pair *x = a, *y = b;
    int order = sl_str_cmp(x->key, y->key);
    return order ? order : sl_str_cmp(x->value, y->value);
}

// Decoded and encoded again in the canonical way; text that cannot be decoded is taken as it is.
static struct sl_str recoded(struct sl_arena *arena, struct sl_buf *scratch, struct sl_str text) {
    struct sl_str plain;
    if (!sl_percent_decode(arena, text, false, &plain)) plain = text;
    sl_buf_clear(scratch, SIZE_MAX);
    sl_percent_encode(scratch, plain, false);
    return sl_arena_dup(arena, sl_buf_view(scratch));
}

static void put_query(struct sl_buf *out, struct sl_arena *arena, struct sl_str query, bool presigned) {
    size_t count = 0, most = query.len ? 1 : 0;
    for (size_t i = 0; i < query.len; i++) most += query.ptr[i] == '&';
    if (most > MAX_PARAMETERS) {
        out->failed = true;
        return;
    }
    struct pair *pairs = sl_arena_alloc(arena, (most + 1) * sizeof *pairs);
    struct sl_buf scratch;
    sl_buf_init(&scratch, MAX_CANONICAL);
    struct sl_str rest = query, text;
    while (pairs && query.len && sl_str_split(&rest, '&', &text)) {
        struct sl_str value = text, key;
        if (text.len == 0) continue;
        sl_str_split(&value, '=', &key);
        if (presigned && sl_str_is(key, "X-Amz-Signature")) continue;
        pairs[count].key = recoded(arena, &scratch, key);
        pairs[count++].value = value.ptr ? recoded(arena, &scratch, value) : SL_STR("");
    }
    out->failed |= !pairs || scratch.failed || sl_arena_failed(arena);
    sl_buf_free(&scratch);
    if (out->failed) return;
    qsort(pairs, count, sizeof *pairs, compare_pairs);
    for (size_t i = 0; i < count; i++) {
        if (i) sl_buf_char(out, '&');
        sl_buf_str(out, pairs[i].key);
        sl_buf_char(out, '=');
        sl_buf_str(out, pairs[i].value);
    }
}

// A value without blanks at its ends and with inner runs of spaces as one.
static void put_header_value(struct sl_buf *out, struct sl_str value) {
    value = sl_str_trim(value);
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] == ' ' && i > 0 && value.ptr[i - 1] == ' ') continue;
        sl_buf_char(out, value.ptr[i]);
    }
}

static void put_headers(struct sl_buf *out, const struct sl_aws_request *request, struct sl_str signed_headers) {
    struct sl_str rest = signed_headers, name;
    while (sl_str_split(&rest, ';', &name)) {
        sl_buf_str(out, name);
        sl_buf_char(out, ':');
        bool again = false;
        for (unsigned i = 0; i < request->header_count; i++) {
            if (!sl_str_ieq(request->headers[i].name, name)) continue;
            if (again) sl_buf_char(out, ',');
            put_header_value(out, request->headers[i].value);
            again = true;
        }
        sl_buf_char(out, '\n');
    }
    sl_buf_char(out, '\n');
}

static void put_sha256(struct sl_buf *out, struct sl_str bytes) {
    unsigned char hash[HASH];
    if (!EVP_Digest(bytes.ptr ? bytes.ptr : "", bytes.len, hash, NULL, EVP_sha256(), NULL)) {
        out->failed = true;
        return;
    }
    sl_hex_encode(out, sl_str_n((const char *)hash, HASH));
}

struct sl_str sl_sigv4_canonical_request(struct sl_arena *arena, const struct sl_aws_request *request,
                                         const struct sl_sigv4 *signature) {
    struct sl_buf out;
    bool s3 = sl_str_is(signature->service, "s3");
    sl_buf_init(&out, MAX_CANONICAL);
    sl_buf_str(&out, request->method);
    sl_buf_char(&out, '\n');
    put_path(&out, arena, request->path, s3);
    sl_buf_char(&out, '\n');
    put_query(&out, arena, request->query, signature->presigned);
    sl_buf_char(&out, '\n');
    put_headers(&out, request, signature->signed_headers);
    sl_buf_str(&out, signature->signed_headers);
    sl_buf_char(&out, '\n');
    if (signature->payload_hash.len) {
        sl_buf_str(&out, signature->payload_hash); // sl_sigv4_verify compares it with the body
    } else if (signature->presigned && s3) {
        sl_buf_cstr(&out, "UNSIGNED-PAYLOAD");
    } else {
        put_sha256(&out, sl_aws_request_signed_body(request));
    }
    struct sl_str text = out.failed ? (struct sl_str){0} : sl_arena_dup(arena, sl_buf_view(&out));
    sl_buf_free(&out);
    return text;
}

struct sl_str sl_sigv4_string_to_sign(struct sl_arena *arena, struct sl_str canonical_request,
                                      const struct sl_sigv4 *signature) {
    struct sl_buf out;
    sl_buf_init(&out, MAX_CANONICAL);
    sl_buf_str(&out, algorithm);
    sl_buf_char(&out, '\n');
    sl_buf_str(&out, signature->amz_date);
    sl_buf_char(&out, '\n');
    const struct sl_str scope[] = {signature->date, signature->region, signature->service};
    for (size_t i = 0; i < 3; i++) {
        sl_buf_str(&out, scope[i]);
        sl_buf_char(&out, '/');
    }
    sl_buf_cstr(&out, "aws4_request\n");
    put_sha256(&out, canonical_request);
    struct sl_str text = out.failed ? (struct sl_str){0} : sl_arena_dup(arena, sl_buf_view(&out));
    sl_buf_free(&out);
    return text;
}

static bool hmac(const unsigned char *key, size_t key_len, struct sl_str text, unsigned char out[static HASH]) {
    unsigned length = 0;
    return HMAC(EVP_sha256(), key, (int)key_len, (const unsigned char *)text.ptr, text.len, out, &length) != NULL;
}

bool sl_sigv4_key(const struct sl_sigv4 *signature, struct sl_str secret, unsigned char ret[static HASH]) {
    struct sl_buf start;
    unsigned char a[HASH], b[HASH];
    sl_buf_init(&start, 4 + secret.len);
    sl_buf_cstr(&start, "AWS4");
    sl_buf_str(&start, secret);
    bool ok = !start.failed && hmac((const unsigned char *)start.ptr, start.len, signature->date, a) &&
              hmac(a, HASH, signature->region, b) && hmac(b, HASH, signature->service, a) &&
              hmac(a, HASH, SL_STR("aws4_request"), ret);
    if (start.ptr) OPENSSL_cleanse(start.ptr, start.len);
    sl_buf_free(&start);
    OPENSSL_cleanse(a, sizeof a);
    OPENSSL_cleanse(b, sizeof b);
    return ok;
}

struct sl_str sl_sigv4_signature(struct sl_arena *arena, struct sl_str string_to_sign, const struct sl_sigv4 *signature,
                                 struct sl_str secret) {
    unsigned char a[HASH], b[HASH];
    bool ok = sl_sigv4_key(signature, secret, b) && hmac(b, HASH, string_to_sign, a);
    struct sl_str text = {0};
    if (ok) {
        struct sl_buf out;
        sl_buf_init(&out, HEX_HASH);
        sl_hex_encode(&out, sl_str_n((const char *)a, HASH));
        text = sl_arena_dup(arena, sl_buf_view(&out));
        sl_buf_free(&out);
    }
    OPENSSL_cleanse(a, sizeof a);
    OPENSSL_cleanse(b, sizeof b);
    return text;
}

// --- verification
// -----------------------------------------------------------------------------------------------------------------

// "20260102T030405Z" to seconds since 1970; false on any other form.
static bool parse_amz_date(struct sl_str text, int64_t *ret) {
    if (text.len != 16 || text.ptr[8] != 'T' || text.ptr[15] != 'Z') return false;
    int digits[14], n = 0;
    for (size_t i = 0; i < 15; i++) {
        if (i == 8) continue;
        if (text.ptr[i] < '0' || text.ptr[i] > '9') return false;
        digits[n++] = text.ptr[i] - '0';
    }
    struct tm tm = {.tm_year = digits[0] * 1000 + digits[1] * 100 + digits[2] * 10 + digits[3] - 1900,
                    .tm_mon = digits[4] * 10 + digits[5] - 1,
                    .tm_mday = digits[6] * 10 + digits[7],
                    .tm_hour = digits[8] * 10 + digits[9],
                    .tm_min = digits[10] * 10 + digits[11],
                    .tm_sec = digits[12] * 10 + digits[13]};
    if (tm.tm_mon < 0 || tm.tm_mon > 11 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour > 23 || tm.tm_min > 59 ||
        tm.tm_sec > 60)
        return false;
    *ret = (int64_t)timegm(&tm);
    return true;
}

bool sl_sigv4_expired(const struct sl_sigv4 *signature, int64_t now_ms, int64_t *ret_end_ms) {
    int64_t signed_at;
    if (!signature->presigned || !parse_amz_date(signature->amz_date, &signed_at)) return false;
    *ret_end_ms = (signed_at + signature->expires_s) * 1000;
    return now_ms > *ret_end_ms;
}

bool sl_sigv4_skewed(const struct sl_sigv4 *signature, int64_t now_ms) {
    int64_t signed_at, now = now_ms / 1000;
    if (signature->presigned || !parse_amz_date(signature->amz_date, &signed_at)) return false;
    return signed_at > now + SL_SIGV4_SKEW_S || signed_at < now - SL_SIGV4_SKEW_S;
}

static int check_clock(const struct sl_sigv4 *signature, int64_t now_ms, struct sl_error *err) {
    int64_t signed_at, now = now_ms / 1000;
    if (!parse_amz_date(signature->amz_date, &signed_at)) {
        return sl_fail(err, SL_E_INCOMPLETE_SIGNATURE,
                       "Date must be in ISO-8601 'basic format'. Got '%.*s'. See http://en.wikipedia.org/wiki/ISO_8601",
                       SL_FMT(signature->amz_date));
    }
    if (!sl_str_starts(signature->amz_date, signature->date)) {
        return sl_fail(err, SL_E_INVALID_SIGNATURE,
                       "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
                       "'%.*s' != '%.8s', from '%.*s'.",
                       SL_FMT(signature->date), signature->amz_date.ptr, SL_FMT(signature->amz_date));
    }
    int64_t valid_s = signature->presigned ? signature->expires_s : SL_SIGV4_SKEW_S;
    char limit[SL_TIME_AMZ], current[SL_TIME_AMZ];
    sl_time_amz(now_ms, current);
    if (now > signed_at + valid_s) {
        sl_time_amz(now_ms - valid_s * 1000, limit);
        return sl_fail(err, SL_E_INVALID_SIGNATURE, "Signature expired: %.*s is now earlier than %s (%s - %lld min.)",
                       SL_FMT(signature->amz_date), limit, current, (long long)(valid_s / 60));
    }
    if (signed_at > now + SL_SIGV4_SKEW_S) {
        sl_time_amz(now_ms + SL_SIGV4_SKEW_S * 1000, limit);
        return sl_fail(err, SL_E_INVALID_SIGNATURE,
                       "Signature not yet current: %.*s is still later than %s (%s + 15 min.)",
                       SL_FMT(signature->amz_date), limit, current);
    }
    return SL_OK;
}

static bool host_is_signed(struct sl_str signed_headers) {
    struct sl_str rest = signed_headers, name;
    while (sl_str_split(&rest, ';', &name)) {
        if (sl_str_is(name, "host")) return true;
    }
    return false;
}

// A hash that the client signed must be the body's; the forms that are no hash ("UNSIGNED-PAYLOAD", "STREAMING-...")
// say that the body is not covered, which HTTPS clients of S3 use.
static bool payload_agrees(struct sl_str claimed, struct sl_str body) {
    if (claimed.len != HEX_HASH)
        return sl_str_starts(claimed, SL_STR("UNSIGNED-PAYLOAD")) || sl_str_starts(claimed, SL_STR("STREAMING-"));
    struct sl_buf real;
    sl_buf_init(&real, HEX_HASH);
    put_sha256(&real, body);
    bool same = !real.failed && CRYPTO_memcmp(real.ptr, claimed.ptr, HEX_HASH) == 0;
    sl_buf_free(&real);
    return same;
}

int sl_sigv4_verify(struct sl_arena *arena, const struct sl_aws_request *request, const struct sl_sigv4 *signature,
                    struct sl_str secret, int64_t now_ms, struct sl_error *err) {
    int kind = check_clock(signature, now_ms, err);
    if (kind) return kind;
    if (!host_is_signed(signature->signed_headers)) {
        return sl_fail(err, SL_E_INVALID_SIGNATURE,
                       "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.");
    }
    struct sl_str canonical = sl_sigv4_canonical_request(arena, request, signature);
    struct sl_str text = sl_sigv4_string_to_sign(arena, canonical, signature);
    struct sl_str expected = sl_sigv4_signature(arena, text, signature, secret);
    if (!canonical.ptr || !text.ptr || !expected.ptr)
        return sl_fail(err, SL_E_INVALID_SIGNATURE, "The request is too large to be verified.");
    bool good = expected.len == signature->signature.len &&
                CRYPTO_memcmp(expected.ptr, signature->signature.ptr, expected.len) == 0;
    if (good && signature->payload_hash.len && !signature->body_follows)
        good = payload_agrees(signature->payload_hash, sl_aws_request_signed_body(request));
    if (!good) {
        return sl_fail(err, SL_E_INVALID_SIGNATURE,
                       "The request signature we calculated does not match the signature you provided. Check your AWS "
                       "Secret Access Key and "
                       "signing method. Consult the service documentation for details.");
    }
    return SL_OK;
}
