// SPDX-License-Identifier: Apache-2.0
//
// s3: Amazon S3: buckets and objects on this machine. Bytes go to files as they come, never through memory as a whole;
// names, versions and everything shown of an object are rows of the store. An object is acknowledged when its file and
// its row are durable.
//
// Data flow of an upload: loop (pieces into one of two buffers) ─ worker (coding, digests, file) ─ ... ─ worker (sync)
// ─ storage thread (conditions, row) ─ loop (answer). Of a download: storage thread (row, pin) ─ worker (read) ─ loop
// (send) ─ worker ...
//
// Threads: operations where op.h says; the functions below say theirs.
#ifndef SL_SERVICES_S3_S3_H
#define SL_SERVICES_S3_S3_H

#include "aws/op.h"
#include "store/store.h"

struct sl_s3;

// Ends with an entry whose service is NULL. Their op->app is a struct sl_app with `s3` set.
extern const struct sl_op_entry sl_s3_operations[];

struct sl_s3_config {
    struct sl_store *store;
    // As sl_aws_config.offload; `home` may be NULL, then `done` is called on the worker thread.
    int (*offload)(void *user, struct sl_loop *home, void (*run)(void *), void (*done)(void *), void *argument,
                   struct sl_error *err);
    void *user;
};

struct sl_app;
// Buckets' policies into app->callers' directory. At start, before requests.
int sl_s3_load(const struct sl_app *app, struct sl_error *err);
int sl_s3_new(struct sl_s3 **ret, const struct sl_s3_config *config, struct sl_error *err);
// Begins to remove what a crash left behind. Any thread, once.
void sl_s3_start(struct sl_s3 *s3);
// Its own work in progress on other threads; 0 before the store is closed.
unsigned sl_s3_busy(const struct sl_s3 *s3);
void sl_s3_free(struct sl_s3 *s3);

// ---- what changed ---------------------------------------------------------------------------------------------------

struct sl_s3_change {
    const char *name; // "ObjectCreated:Put", "ObjectRemoved:DeleteMarkerCreated": as in an event's eventName
    struct sl_str account, region, bucket, key;
    struct sl_str version; // ptr NULL where the bucket has no versions
    struct sl_str etag;    // without quotes; ptr NULL for what was removed
    int64_t size, time_ms, sequencer;
    struct sl_str caller; // ARN
};

// `changed` is told of every created or removed object, on the storage thread, inside the transaction that does it:
// what it writes through `tx` is durable with the change or not at all; an error of its refuses the change. `committed`
// is called after a commit that changed something. Set before the first request; either may be NULL.
void sl_s3_on_change(struct sl_s3 *s3,
                     int (*changed)(void *user, struct sl_store_tx *tx, const struct sl_s3_change *change,
                                    struct sl_error *err),
                     void (*committed)(void *user), void *user);

// ---- for other parts of the server ----------------------------------------------------------------------------------

// Reads an object as a whole into the arena. On a worker thread: it waits for the storage thread and the disk.
// `version` with ptr NULL: the newest. Errors are those of GetObject; SL_E_S3_TOO_LARGE above `max` bytes.
int sl_s3_fetch(struct sl_s3 *s3, struct sl_arena *arena, struct sl_str account, struct sl_str bucket,
                struct sl_str key, struct sl_str version, size_t max, struct sl_str *ret, struct sl_error *err);

#endif
