// SPDX-License-Identifier: Apache-2.0
//
// digest: every sum over one body in one pass (MD5 for the ETag, one checksum, SHA-256 where the signature names it),
// and what a client claims about its body ("Checking object integrity", S3 User Guide). Where a client asks for no
// checksum, S3 computes CRC-64/NVME, and so does this.
#include "services/s3/internal.h"

#include <endian.h>
#include <openssl/crypto.h>

#include "base/encoding.h"
#include "services/s3/crc.h"

const struct sl_s3__sum_info sl_s3__sums[SL_S3_SUM_COUNT] = {
    [SL_S3_NO_SUM] = {"", "", "", 0, false},
    [SL_S3_CRC32] = {"CRC32", "ChecksumCRC32", "x-amz-checksum-crc32", 4, true},
    [SL_S3_CRC32C] = {"CRC32C", "ChecksumCRC32C", "x-amz-checksum-crc32c", 4, true},
    [SL_S3_CRC64NVME] = {"CRC64NVME", "ChecksumCRC64NVME", "x-amz-checksum-crc64nvme", 8, true},
    [SL_S3_SHA1] = {"SHA1", "ChecksumSHA1", "x-amz-checksum-sha1", 20, false},
    [SL_S3_SHA256] = {"SHA256", "ChecksumSHA256", "x-amz-checksum-sha256", 32, false},
};

enum sl_s3__sum sl_s3__sum_of(struct sl_str name) {
    for (int i = 1; i < SL_S3_SUM_COUNT; i++)
        if (sl_str_ieq(name, sl_str_of(sl_s3__sums[i].name))) return (enum sl_s3__sum)i;
    return SL_S3_NO_SUM;
}

// ---- text -----------------------------------------------------------------------------------------------------------

struct sl_str sl_s3__base64(struct sl_arena *arena, const void *bytes, size_t len) {
    struct sl_buf out;
    sl_buf_init(&out, 128);
    sl_base64_encode(&out, sl_str_n(bytes, len));
    struct sl_str text = sl_arena_dup(arena, sl_buf_view(&out));
    sl_buf_free(&out);
    return text;
}

struct sl_str sl_s3__hex(struct sl_arena *arena, const void *bytes, size_t len) {
    struct sl_buf out;
    sl_buf_init(&out, 256);
    sl_hex_encode(&out, sl_str_n(bytes, len));
    struct sl_str text = sl_arena_dup(arena, sl_buf_view(&out));
    sl_buf_free(&out);
    return text;
}

struct sl_str sl_s3__quoted(struct sl_arena *arena, struct sl_str etag) {
    return sl_arena_printf(arena, "\"%.*s\"", SL_FMT(etag));
}

struct sl_str sl_s3__unquoted(struct sl_str etag) {
    etag = sl_str_trim(etag);
    if (etag.len >= 2 && etag.ptr[0] == '"' && etag.ptr[etag.len - 1] == '"') return sl_str_sub(etag, 1, etag.len - 1);
    return etag;
}

// ---- claims ---------------------------------------------------------------------------------------------------------

static int wrong_header(const char *header, struct sl_error *err) {
    return sl_fail(err, SL_E_S3_INVALID_REQUEST, "Value for %s header is invalid.", header);
}

static int take_sum(struct sl_op *op, enum sl_s3__sum sum, struct sl_str text, struct sl_s3__claims *ret,
                    struct sl_error *err) {
    if (ret->sum && ret->sum != sum)
        return sl_fail(err, SL_E_S3_INVALID_REQUEST,
                       "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.");
    ret->sum = sum;
    if (!sl_base64_decode(op->arena, text, &ret->expected) || ret->expected.len != sl_s3__sums[sum].size)
        return wrong_header(sl_s3__sums[sum].header, err);
    return 0;
}

static int take_trailer(struct sl_op *op, struct sl_s3__claims *ret, struct sl_error *err) {
    struct sl_str rest = sl_op_header(op, SL_STR("x-amz-trailer")), name;
    while (rest.ptr && sl_str_split(&rest, ',', &name)) {
        name = sl_str_trim(name);
        for (int i = 1; i < SL_S3_SUM_COUNT; i++) {
            if (!sl_str_ieq(name, sl_str_of(sl_s3__sums[i].header))) continue;
            if (ret->sum)
                return sl_fail(err, SL_E_S3_INVALID_REQUEST,
                               "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.");
            ret->sum = (enum sl_s3__sum)i;
            ret->in_trailer = true;
            name = SL_STR("");
            break;
        }
        if (name.len)
            return sl_fail(err, SL_E_S3_INVALID_REQUEST,
                           "The value specified in the x-amz-trailer header is not "
                           "supported");
    }
    return 0;
}

int sl_s3__read_claims(struct sl_op *op, struct sl_s3__claims *ret, struct sl_error *err) {
    struct sl_str md5 = sl_op_in(op, "ContentMD5"), asked = sl_op_in(op, "ChecksumAlgorithm");
    *ret = (struct sl_s3__claims){.length = -1};
    if (op->body) {
        ret->sha256 = op->body->sha256;
        ret->length = op->body->length;
    }
    if (md5.ptr && (!sl_base64_decode(op->arena, md5, &ret->md5) || ret->md5.len != 16))
        return sl_fail(err, SL_E_S3_INVALID_DIGEST, "The Content-MD5 you specified was invalid.");
    for (int i = 1; i < SL_S3_SUM_COUNT; i++) {
        struct sl_str text = sl_op_in(op, sl_s3__sums[i].member);
        int result = text.ptr ? take_sum(op, (enum sl_s3__sum)i, text, ret, err) : 0;
        if (result) return result;
    }
    static const char *const unknown[] = {"ChecksumSHA512", "ChecksumMD5", "ChecksumXXHASH64", "ChecksumXXHASH3",
                                          "ChecksumXXHASH128"};
    bool other = asked.ptr && !sl_s3__sum_of(asked);
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) other |= sl_op_in(op, unknown[i]).ptr != NULL;
    int result = take_trailer(op, ret, err);
    if (result || (!other && (ret->sum || !asked.ptr))) return result;
    if (other)
        return sl_fail(err, SL_E_S3_INVALID_REQUEST,
                       "Checksum algorithm provided is unsupported. Please try again with any of the valid types: "
                       "[CRC32, CRC32C, CRC64NVME, SHA1, SHA256]");
    return sl_fail(err, SL_E_S3_INVALID_REQUEST,
                   "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer "
                   "headers were found.");
}

int sl_s3__check_claims(const struct sl_s3__claims *claims, const struct sl_s3__result *result, struct sl_str trailer,
                        struct sl_error *err) {
    const struct sl_s3__sum_info *sum = &sl_s3__sums[claims->sum];
    struct sl_str payload, expected = claims->expected, decoded;
    if (claims->md5.ptr && CRYPTO_memcmp(claims->md5.ptr, result->md5, sizeof result->md5) != 0)
        return sl_fail(err, SL_E_S3_BAD_DIGEST, "The Content-MD5 you specified did not match what we received.");
    if (claims->in_trailer) {
        struct sl_arena arena;
        sl_arena_init(&arena, 1024);
        bool good = trailer.ptr && sl_base64_decode(&arena, trailer, &decoded) && decoded.len == sum->size;
        bool same = good && memcmp(decoded.ptr, result->sum, sum->size) == 0;
        sl_arena_free(&arena);
        if (!good) return wrong_header(sum->header, err);
        if (!same) expected = SL_STR("");
    }
    if (expected.ptr && (expected.len != sum->size || memcmp(expected.ptr, result->sum, sum->size) != 0))
        return sl_fail(err, SL_E_S3_BAD_DIGEST, "The %s you specified did not match the calculated checksum.",
                       sum->name);
    if (!claims->sha256.ptr) return 0;
    struct sl_buf hex;
    sl_buf_init(&hex, 64);
    sl_hex_encode(&hex, sl_str_n((const char *)result->payload, sizeof result->payload));
    payload = sl_buf_view(&hex);
    bool same = !hex.failed && sl_str_ieq(payload, claims->sha256);
    sl_buf_free(&hex);
    return same ? 0
                : sl_fail(err, SL_E_S3_SHA256_MISMATCH,
                          "The provided 'x-amz-content-sha256' header does not match what was computed.");
}

// ---- sums -----------------------------------------------------------------------------------------------------------

static EVP_MD_CTX *start(const EVP_MD *kind) {
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (context && EVP_DigestInit_ex(context, kind, NULL)) return context;
    EVP_MD_CTX_free(context);
    return NULL;
}

int sl_s3__digest_begin(struct sl_s3__digest *digest, enum sl_s3__sum sum, bool payload, struct sl_error *err) {
    bool sha = sum == SL_S3_SHA1 || sum == SL_S3_SHA256;
    *digest = (struct sl_s3__digest){.sum = sum};
    digest->md5 = start(EVP_md5());
    if (sha) digest->sha = start(sum == SL_S3_SHA1 ? EVP_sha1() : EVP_sha256());
    if (payload) digest->payload = start(EVP_sha256());
    if (digest->md5 && (!sha || digest->sha) && (!payload || digest->payload)) return 0;
    sl_s3__digest_free(digest);
    return sl_fail(err, SL_E_NO_MEMORY, "no memory for digests");
}

void sl_s3__digest_add(struct sl_s3__digest *digest, struct sl_str bytes) {
    if (!bytes.len) return;
    EVP_DigestUpdate(digest->md5, bytes.ptr, bytes.len);
    if (digest->sha) EVP_DigestUpdate(digest->sha, bytes.ptr, bytes.len);
    if (digest->payload) EVP_DigestUpdate(digest->payload, bytes.ptr, bytes.len);
    if (digest->sum == SL_S3_CRC32) digest->crc = sl_crc32((uint32_t)digest->crc, bytes);
    if (digest->sum == SL_S3_CRC32C) digest->crc = sl_crc32c((uint32_t)digest->crc, bytes);
    if (digest->sum == SL_S3_CRC64NVME) digest->crc = sl_crc64nvme(digest->crc, bytes);
}

void sl_s3__digest_end(struct sl_s3__digest *digest, struct sl_s3__result *ret) {
    *ret = (struct sl_s3__result){0};
    EVP_DigestFinal_ex(digest->md5, ret->md5, NULL);
    if (digest->sha) EVP_DigestFinal_ex(digest->sha, ret->sum, NULL);
    if (digest->payload) EVP_DigestFinal_ex(digest->payload, ret->payload, NULL);
    if (sl_s3__sums[digest->sum].size == 4) {
        uint32_t value = htobe32((uint32_t)digest->crc);
        memcpy(ret->sum, &value, sizeof value);
    } else if (digest->sum == SL_S3_CRC64NVME) {
        uint64_t value = htobe64(digest->crc);
        memcpy(ret->sum, &value, sizeof value);
    }
}

void sl_s3__digest_free(struct sl_s3__digest *digest) {
    EVP_MD_CTX_free(digest->md5);
    EVP_MD_CTX_free(digest->sha);
    EVP_MD_CTX_free(digest->payload);
    digest->md5 = digest->sha = digest->payload = NULL;
}
