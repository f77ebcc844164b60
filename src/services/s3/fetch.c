// SPDX-License-Identifier: Apache-2.0
//
// fetch: an object as a whole, for other parts of the server (code of functions). See s3.h.
#include "services/s3/internal.h"

struct fetch {
    struct sl_store_job job;
    struct sl_s3 *s3;
    struct sl_arena *arena;
    struct sl_str account, bucket, key, version;
    struct sl_object object;
    struct sl_object_part *parts;
    unsigned count;
    bool pinned;
};

static int look_up(struct sl_store_job *job, struct sl_store_tx *tx, struct sl_error *err) {
    struct fetch *fetch = SL_CONTAINER(job, struct fetch, job);
    struct sl_s3__bucket bucket;
    int result = sl_s3__find_bucket(tx, fetch->arena, fetch->bucket, &bucket, err);
    if (result == SL_E_NOT_FOUND) return sl_fail(err, SL_E_S3_NO_SUCH_BUCKET, "The specified bucket does not exist");
    if (result) return result;
    if (!sl_str_eq(bucket.account, fetch->account)) return sl_fail(err, SL_E_S3_ACCESS_DENIED, "Access Denied");
    result = sl_object_find(tx, fetch->arena, bucket.id, fetch->key, fetch->version, &fetch->object, err);
    if (result == SL_E_NOT_FOUND && fetch->version.ptr)
        return sl_fail(err, SL_E_S3_NO_SUCH_VERSION, "The specified version does not exist.");
    if (result == SL_E_NOT_FOUND || (!result && fetch->object.marker))
        return sl_fail(err, SL_E_S3_NO_SUCH_KEY, "The specified key does not exist.");
    if (!result && fetch->object.data)
        result = sl_object_parts(tx, fetch->arena, fetch->object.data, 0, SL_S3_PARTS_MAX, &fetch->parts, &fetch->count,
                                 err);
    if (result) return result;
    sl_s3__pin(fetch->s3, fetch->object.data);
    fetch->pinned = true;
    return 0;
}

static int read_all(struct fetch *fetch, struct sl_store *store, size_t max, struct sl_str *ret, struct sl_error *err) {
    struct sl_s3__source source;
    size_t size = (size_t)fetch->object.size, got = 0;
    if (size > max) return sl_fail(err, SL_E_S3_TOO_LARGE, "Your proposed upload exceeds the maximum allowed size");
    char *bytes = sl_arena_alloc(fetch->arena, size);
    if (!bytes) return sl_fail(err, SL_E_NO_MEMORY, "no memory for an object");
    sl_s3__source_init(&source, fetch->parts, fetch->count, 0, fetch->object.size);
    int result = sl_s3__source_read(&source, store, bytes, size, &got, err);
    sl_s3__source_close(&source);
    *ret = sl_str_n(bytes, got);
    return result;
}

int sl_s3_fetch(struct sl_s3 *s3, struct sl_arena *arena, struct sl_str account, struct sl_str bucket,
                struct sl_str key, struct sl_str version, size_t max, struct sl_str *ret, struct sl_error *err) {
    struct fetch fetch = {.job = {.run = look_up, .read_only = true},
                          .s3 = s3,
                          .arena = arena,
                          .account = account,
                          .bucket = bucket,
                          .key = key,
                          .version = version};
    struct sl_store *store = sl_s3__store(s3);
    int result = sl_store_run(store, &fetch.job, err);
    if (!result) result = read_all(&fetch, store, max, ret, err);
    if (fetch.pinned) sl_s3__unpin(s3, fetch.object.data);
    return result;
}
