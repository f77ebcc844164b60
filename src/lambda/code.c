// SPDX-License-Identifier: Apache-2.0
//
// code: deployment packages. A package is known by the SHA-256 of its bytes; the store keeps the bytes (for
// GetFunction) and the unpacked directory (what instances mount) under that name, so equal packages are kept once.
//
// Life of a blob. `prepare` unpacks it before the operation's transaction, so for a moment it has no owner: a pin keeps
// it. publish.c then names its owner (a version of a function). A blob that lost its last owner stays for the longest
// time an invocation can last plus a little, because busy instances still read files of it; then the next operation
// that brings code deletes it (a worker thread's work, never the storage thread's). At start everything without an
// owner goes.
//
// Threads: worker threads (take, sweep), loop threads (unpin, download); who uses what is in code_table.c. `unpacking`
// is held shared while blobs are written and exclusively by the sweep, which thus never meets a blob between "already
// there" and its pin, nor a scratch directory in use.
#include "lambda/internal.h"

#include "base/clock.h"
#include "base/encoding.h"
#include "http/http.h"
#include "lambda/code_table.h"
#include "lambda/lambda.h"
#include "store/unzip.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    GRACE_MS = 16 * 60 * 1000, // longest invocation (900 s) and a minute
    TOKEN_MS = 10 * 60 * 1000,
    PART = 32 * 1024,        // of a download: one read
    UNSENT_MAX = 256 * 1024, // bytes of a download waiting in the connection
};

static pthread_rwlock_t unpacking = PTHREAD_RWLOCK_INITIALIZER;

void sl_lambda__code_unpin(struct sl_lambda__code *code) {
    if (!code->pinned) return;
    code->pinned = false;
    sl_lambda__code_release(sl_str_of(code->sha256));
}

// --- the sweep
// ---------------------------------------------------------------------------------------------------------------------

static bool keep_blob(void *user, struct sl_str sha256) {
    return sl_lambda__code_wanted(sha256, *(const int64_t *)user);
}

void sl_lambda__code_sweep(struct sl_store *store, int64_t grace_ms) {
    int64_t orphaned_before = sl_clock_ms() - grace_ms;
    if (!sl_lambda__code_due(grace_ms == 0 ? INT64_MAX : orphaned_before)) return;
    if (pthread_rwlock_trywrlock(&unpacking) != 0) return; // somebody is unpacking: a later operation sweeps
    sl_blob_sweep(store, keep_blob, &orphaned_before);
    sl_lambda__code_swept(orphaned_before);
    pthread_rwlock_unlock(&unpacking);
}

// --- taking a package
// ----------------------------------------------------------------------------------------------------------------

// Unpacks into a scratch directory and gives it its name.
static int unpack(struct sl_store *store, struct sl_str zip, struct sl_str sha256, struct sl_error *err) {
    char scratch[64];
    int dir;
    int result = sl_blob_scratch(store, scratch, &dir, err);
    if (result != 0) return result;
    result = sl_unzip(zip, dir, &SL_UNZIP_LAMBDA, NULL, err);
    close(dir);
    if (result == 0) return sl_blob_adopt(store, scratch, sha256, err);
    sl_blob_discard(store, scratch);
    return result;
}

static int store_package(struct sl_op *op, struct sl_str zip, struct sl_lambda__code *code, struct sl_error *err) {
    struct sl_str sha256 = sl_str_of(code->sha256);
    (void)pthread_rwlock_rdlock(&unpacking);
    int result = 0;
    if (!sl_lambda__code_pin(sha256))
        result = sl_fail(err, SL_E_NO_MEMORY, "out of memory for a deployment package");
    else
        code->pinned = true;
    if (result == 0 && !sl_blob_has(op->store, sha256)) result = unpack(op->store, zip, sha256, err);
    if (result == 0) result = sl_blob_put_bytes(op->store, sha256, zip, err);
    pthread_rwlock_unlock(&unpacking);
    if (result != 0) sl_lambda__code_unpin(code);
    return result;
}

static int make_blob(struct sl_store *store, int (*fill)(void *user, int dir, struct sl_error *err), void *user,
                     struct sl_str sha256, struct sl_error *err) {
    char scratch[64];
    int dir;
    int result = sl_blob_scratch(store, scratch, &dir, err);
    if (result != 0) return result;
    result = fill(user, dir, err);
    close(dir);
    if (result == 0) return sl_blob_adopt(store, scratch, sha256, err);
    sl_blob_discard(store, scratch);
    return result;
}

int sl_lambda__code_make(struct sl_op *op, int (*fill)(void *user, int dir, struct sl_error *err), void *user,
                         struct sl_lambda__code *ret, struct sl_error *err) {
    struct sl_str sha256 = sl_str_of(ret->sha256);
    (void)pthread_rwlock_rdlock(&unpacking);
    int result = 0;
    if (!sl_lambda__code_pin(sha256))
        result = sl_fail(err, SL_E_NO_MEMORY, "out of memory for layers");
    else
        ret->pinned = true;
    if (result == 0 && !sl_blob_has(op->store, sha256)) result = make_blob(op->store, fill, user, sha256, err);
    pthread_rwlock_unlock(&unpacking);
    if (result != 0) sl_lambda__code_unpin(ret);
    return result;
}

int sl_lambda__code_hash(struct sl_op *op, struct sl_str bytes, struct sl_lambda__code *ret, struct sl_error *err) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    if (!EVP_Digest(bytes.ptr, bytes.len, digest, &len, EVP_sha256(), NULL))
        return sl_fail(err, SL_E_INTERNAL, "libcrypto cannot make a SHA-256");
    struct sl_buf text;
    sl_buf_init(&text, 256);
    sl_base64_encode(&text, sl_str_n((const char *)digest, len));
    ret->sha256_base64 = sl_arena_dup(op->arena, sl_buf_view(&text));
    sl_buf_clear(&text, 256);
    sl_hex_encode(&text, sl_str_n((const char *)digest, len));
    memcpy(ret->sha256, text.ptr, SL_LAMBDA_SHA_HEX);
    ret->sha256[SL_LAMBDA_SHA_HEX] = '\0';
    sl_buf_free(&text);
    return 0;
}

int sl_lambda__code_take(struct sl_op *op, struct sl_str zip, struct sl_lambda__code *ret, struct sl_error *err) {
    sl_lambda__code_sweep(op->store, GRACE_MS);
    if (zip.len == 0) return sl_fail(err, SL_E_INVALID_PARAMETER, "Uploaded file must be a non-empty zip");
    if (zip.len > SL_LAMBDA_ZIP_MAX)
        return sl_fail(err, SL_E_REQUEST_ENTITY_TOO_LARGE, "Zipped size must be smaller than %d bytes",
                       SL_LAMBDA_ZIP_MAX);
    int result = sl_lambda__code_hash(op, zip, ret, err);
    if (result != 0) return result;
    ret->size = (int64_t)zip.len;
    return store_package(op, zip, ret, err);
}

// --- the download
// ------------------------------------------------------------------------------------------------------------------

static unsigned char token_key[32];
static pthread_once_t token_once = PTHREAD_ONCE_INIT;

static void make_token_key(void) { sl_random_bytes(token_key, sizeof(token_key)); }

// HMAC over blob and expiry. Tokens do not outlive the process: they live for minutes anyway.
static struct sl_str token_mac(struct sl_arena *arena, struct sl_str sha256, int64_t expires_ms) {
    pthread_once(&token_once, make_token_key);
    struct sl_str message = sl_arena_printf(arena, "code/%.*s/%lld", SL_FMT(sha256), (long long)expires_ms);
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    if (!HMAC(EVP_sha256(), token_key, sizeof(token_key), (const unsigned char *)message.ptr, message.len, mac, &len))
        return SL_STR("");
    struct sl_buf text;
    sl_buf_init(&text, 2 * EVP_MAX_MD_SIZE);
    sl_hex_encode(&text, sl_str_n((const char *)mac, len));
    struct sl_str hex = sl_arena_dup(arena, sl_buf_view(&text));
    sl_buf_free(&text);
    return hex;
}

struct sl_str sl_lambda__code_location(struct sl_op *op, struct sl_str sha256) {
    const struct sl_app *app = op->app;
    int64_t expires_ms = op->now_ms + TOKEN_MS;
    struct sl_str mac = token_mac(op->arena, sha256, expires_ms);
    struct sl_str host = op->host.len > 0 ? op->host : app->public_host;
    return sl_arena_printf(op->arena, "http://%.*s/_sluice/code/%.*s?token=%lld.%.*s", SL_FMT(host), SL_FMT(sha256),
                           (long long)expires_ms, SL_FMT(mac));
}

static bool token_good(struct sl_arena *arena, struct sl_str sha256, struct sl_str token) {
    ptrdiff_t dot = sl_str_chr(token, '.', 0);
    int64_t expires_ms;
    if (dot < 0 || !sl_str_to_i64(sl_str_sub(token, 0, (size_t)dot), &expires_ms) || expires_ms < sl_clock_ms())
        return false;
    struct sl_str given = sl_str_sub(token, (size_t)dot + 1, token.len);
    struct sl_str mac = token_mac(arena, sha256, expires_ms);
    return mac.len > 0 && given.len == mac.len && CRYPTO_memcmp(given.ptr, mac.ptr, mac.len) == 0;
}

struct download {
    int fd;
};

static void download_aborted(struct sl_http_request *request) {
    struct download *download = request->user;
    close(download->fd);
}

// Sends until the connection holds enough; goes on when it has drained.
static void download_more(struct sl_http_request *request) {
    struct download *download = request->user;
    char part[PART];
    ssize_t got = 1;
    while (sl_http_unsent(request) < UNSENT_MAX && (got = read(download->fd, part, sizeof(part))) > 0)
        sl_http_part(request, sl_str_n(part, (size_t)got));
    if (got > 0) {
        sl_http_on_drained(request, download_more);
        return;
    }
    close(download->fd);
    request->aborted = NULL;
    if (got == 0)
        sl_http_end(request);
    else
        sl_http_abort(request);
}

bool sl_lambda_code_handle(struct sl_app *app, struct sl_http_request *request) {
    const struct sl_str prefix = SL_STR("/_sluice/code/");
    if (!sl_str_starts(request->path, prefix)) return false;
    struct sl_str sha256 = sl_str_sub(request->path, prefix.len, request->path.len);
    struct sl_str token = sl_http_query(request, SL_STR("token"));
    struct download *download = sl_arena_alloc(request->arena, sizeof(*download));
    if (request->method != SL_HTTP_GET && request->method != SL_HTTP_HEAD) {
        sl_http_respond(request, 405, SL_STR("text/plain"), SL_STR("method not allowed\n"));
    } else if (sha256.len != SL_LAMBDA_SHA_HEX || !token_good(request->arena, sha256, token)) {
        sl_http_respond(request, 403, SL_STR("text/plain"),
                        SL_STR("this link is not valid or has expired; ask GetFunction for a new one\n"));
    } else if (!download || sl_blob_open_bytes(app->store, sha256, &download->fd, NULL) != 0) {
        sl_http_respond(request, 404, SL_STR("text/plain"), SL_STR("this code is gone\n"));
    } else {
        request->user = download;
        request->aborted = download_aborted;
        sl_http_begin(request, 200);
        sl_http_add(request, SL_STR("Content-Type"), SL_STR("application/zip"));
        sl_http_stream(request);
        download_more(request);
    }
    return true;
}
