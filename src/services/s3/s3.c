// SPDX-License-Identifier: Apache-2.0
//
// s3: what all operations share, and the table of them.
//
// Files outlive their rows: a download may still read what was just replaced. Whoever reads data pins its number, on
// the storage thread, in the same job that read the row; whoever removes rows gives the files to sl_s3__doom after the
// commit. So either the pin is there before the files are doomed (then the last reader hands them on), or the row was
// gone before the reader looked. Doomed files are unlinked by one worker at a time, outside of every request.
//
// Locks: `lock` guards the pins and the doomed list, held for a few instructions.
#include "services/s3/internal.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/log.h"

enum { PIN_LISTS = 256, SINKS_MAX = 1024 };

struct doomed_file {
    struct doomed_file *next;
    char name[SL_OBJECT_FILE];
};

struct pin {
    struct pin *next;
    int64_t data;
    unsigned count;
    struct doomed_file *doomed;
};

struct sl_s3 {
    struct sl_s3_config config;
    pthread_mutex_t lock;
    struct pin *pins[PIN_LISTS];
    struct doomed_file *doomed;
    bool reaping;
    atomic_uint busy, sinks;
    int (*changed)(void *user, struct sl_store_tx *tx, const struct sl_s3_change *change, struct sl_error *err);
    void (*committed)(void *user);
    void *change_user;
};

struct sl_s3__doomed {
    struct sl_s3__doomed *next;
    int64_t data;
    struct sl_str *files;
    unsigned count;
};

struct sl_s3 *sl_s3__of(const struct sl_op *op) {
    return ((const struct sl_app *)op->app)->s3;
}

struct sl_store *sl_s3__store(const struct sl_s3 *s3) {
    return s3->config.store;
}

int sl_s3_new(struct sl_s3 **ret, const struct sl_s3_config *config, struct sl_error *err) {
    struct sl_s3 *s3 = calloc(1, sizeof *s3);
    if (!s3) return sl_fail(err, SL_E_NO_MEMORY, "no memory for object storage");
    s3->config = *config;
    pthread_mutex_init(&s3->lock, NULL);
    *ret = s3;
    return 0;
}

static void free_files(struct doomed_file *file) {
    while (file) {
        struct doomed_file *next = file->next;
        free(file);
        file = next;
    }
}

void sl_s3_free(struct sl_s3 *s3) {
    if (!s3) return;
    for (int i = 0; i < PIN_LISTS; i++) {
        while (s3->pins[i]) {
            struct pin *pin = s3->pins[i];
            s3->pins[i] = pin->next;
            free_files(pin->doomed);
            free(pin);
        }
    }
    free_files(s3->doomed);
    pthread_mutex_destroy(&s3->lock);
    free(s3);
}

unsigned sl_s3_busy(const struct sl_s3 *s3) { return atomic_load(&s3->busy); }

bool sl_s3__enter(struct sl_s3 *s3) {
    if (atomic_fetch_add(&s3->sinks, 1) < SINKS_MAX) return true;
    atomic_fetch_sub(&s3->sinks, 1);
    return false;
}

void sl_s3__leave(struct sl_s3 *s3) { atomic_fetch_sub(&s3->sinks, 1); }

// ---- files that go --------------------------------------------------------------------------------------------------

static void reap(void *argument) {
    struct sl_s3 *s3 = argument;
    for (;;) {
        pthread_mutex_lock(&s3->lock);
        struct doomed_file *file = s3->doomed;
        if (file) s3->doomed = file->next;
        s3->reaping = file != NULL;
        pthread_mutex_unlock(&s3->lock);
        if (!file) return;
        sl_object_file_remove(s3->config.store, sl_str_of(file->name));
        free(file);
    }
}

static void reaped(void *argument) { atomic_fetch_sub(&((struct sl_s3 *)argument)->busy, 1); }

// Outside of the lock. When no worker takes it the list stays: the next one takes all.
static void call_reaper(struct sl_s3 *s3) {
    atomic_fetch_add(&s3->busy, 1);
    if (s3->config.offload(s3->config.user, NULL, reap, reaped, s3, NULL) == SL_OK) return;
    pthread_mutex_lock(&s3->lock);
    s3->reaping = false;
    pthread_mutex_unlock(&s3->lock);
    atomic_fetch_sub(&s3->busy, 1);
}

static struct pin *find_pin(struct sl_s3 *s3, int64_t data) {
    struct pin *pin = s3->pins[(uint64_t)data % PIN_LISTS];
    while (pin && pin->data != data) pin = pin->next;
    return pin;
}

void sl_s3__doom(struct sl_s3 *s3, int64_t data, const struct sl_str *files, unsigned count) {
    struct doomed_file *first = NULL, *last = NULL;
    for (unsigned i = 0; i < count; i++) {
        if (files[i].len != SL_OBJECT_FILE - 1) continue; // a part without bytes
        struct doomed_file *file = malloc(sizeof *file);
        if (!file) break; // the sweep of the next start finds them
        memcpy(file->name, files[i].ptr, SL_OBJECT_FILE - 1);
        file->name[SL_OBJECT_FILE - 1] = '\0';
        file->next = first;
        first = file;
        if (!last) last = file;
    }
    if (!first) return;
    pthread_mutex_lock(&s3->lock);
    struct pin *pin = find_pin(s3, data);
    struct doomed_file **list = pin ? &pin->doomed : &s3->doomed;
    last->next = *list;
    *list = first;
    bool call = !pin && !s3->reaping;
    if (call) s3->reaping = true;
    pthread_mutex_unlock(&s3->lock);
    if (call) call_reaper(s3);
}

void sl_s3__pin(struct sl_s3 *s3, int64_t data) {
    if (!data) return;
    pthread_mutex_lock(&s3->lock);
    struct pin *pin = find_pin(s3, data);
    if (!pin && (pin = calloc(1, sizeof *pin))) {
        struct pin **list = &s3->pins[(uint64_t)data % PIN_LISTS];
        *pin = (struct pin){.data = data, .next = *list};
        *list = pin;
    }
    // Without memory for a pin the file may go under a reader, which then fails as if the disk did.
    if (pin) pin->count++;
    pthread_mutex_unlock(&s3->lock);
}

void sl_s3__unpin(struct sl_s3 *s3, int64_t data) {
    if (!data) return;
    bool call = false;
    pthread_mutex_lock(&s3->lock);
    struct pin **at = &s3->pins[(uint64_t)data % PIN_LISTS];
    while (*at && (*at)->data != data) at = &(*at)->next;
    struct pin *pin = *at;
    if (pin && --pin->count == 0) {
        *at = pin->next;
        while (pin->doomed) {
            struct doomed_file *file = pin->doomed;
            pin->doomed = file->next;
            file->next = s3->doomed;
            s3->doomed = file;
            call = !s3->reaping;
        }
        if (call) s3->reaping = true;
        free(pin);
    }
    pthread_mutex_unlock(&s3->lock);
    if (call) call_reaper(s3);
}

// ---- after the commit -----------------------------------------------------------------------------------------------

// Room for the names of files that go after the commit; NULL without memory.
static struct sl_str *note(struct sl_op *op, struct sl_s3__after *after, int64_t data, unsigned count) {
    struct sl_s3__doomed *doomed = sl_arena_alloc(op->arena, sizeof *doomed);
    struct sl_str *files = sl_arena_zalloc(op->arena, count * sizeof *files);
    if (!doomed || !files) return NULL;
    *doomed = (struct sl_s3__doomed){.next = after->doomed, .data = data, .files = files, .count = count};
    after->doomed = doomed;
    return files;
}

int sl_s3__note_file(struct sl_op *op, struct sl_s3__after *after, struct sl_str file, struct sl_error *err) {
    struct sl_str *files = note(op, after, 0, 1);
    if (!files) return sl_fail(err, SL_E_NO_MEMORY, "request too large");
    files[0] = file;
    return 0;
}

static int note_data(struct sl_op *op, struct sl_s3__after *after, int64_t data, struct sl_error *err) {
    struct sl_object_part *parts;
    unsigned count;
    int result = sl_object_parts(op->tx, op->arena, data, 0, SL_S3_PARTS_MAX, &parts, &count, err);
    if (result || !count) return result;
    struct sl_str *files = note(op, after, data, count);
    if (!files) return sl_fail(err, SL_E_NO_MEMORY, "request too large");
    for (unsigned i = 0; i < count; i++) files[i] = parts[i].file;
    return 0;
}

int sl_s3__drop_data(struct sl_op *op, struct sl_s3__after *after, int64_t data, struct sl_error *err) {
    if (!data) return 0;
    int result = note_data(op, after, data, err);
    return result ? result : sl_object_part_remove(op->tx, data, 0, err);
}

int sl_s3__note_change(struct sl_op *op, struct sl_s3__after *after, struct sl_s3_change *change,
                       struct sl_error *err) {
    const struct sl_s3 *s3 = sl_s3__of(op);
    after->changed = true;
    change->caller = op->caller;
    return s3->changed ? s3->changed(s3->change_user, op->tx, change, err) : 0;
}

void sl_s3__publish_after(struct sl_op *op, const struct sl_s3__after *after) {
    struct sl_s3 *s3 = sl_s3__of(op);
    for (const struct sl_s3__doomed *at = after->doomed; at; at = at->next)
        sl_s3__doom(s3, at->data, at->files, at->count);
    if (after->changed && s3->committed) s3->committed(s3->change_user);
    sl_s3__publish_policy(op, after);
}

struct sl_s3__after *sl_s3__after(struct sl_op *op) {
    if (!op->state) op->state = sl_arena_zalloc(op->arena, sizeof(struct sl_s3__after));
    return op->state;
}

void sl_s3__publish(struct sl_op *op) {
    if (op->state) sl_s3__publish_after(op, op->state);
}

void sl_s3_on_change(struct sl_s3 *s3,
                     int (*changed)(void *user, struct sl_store_tx *tx, const struct sl_s3_change *change,
                                    struct sl_error *err),
                     void (*committed)(void *user), void *user) {
    s3->changed = changed;
    s3->committed = committed;
    s3->change_user = user;
}

// ---- store jobs of operations that wait -----------------------------------------------------------------------------

static int task_run(struct sl_store_job *job, struct sl_store_tx *tx, struct sl_error *err) {
    struct sl_s3__task *task = SL_CONTAINER(job, struct sl_s3__task, job);
    task->op->tx = tx;
    int result = task->run(task->op, err);
    task->op->tx = NULL;
    return result;
}

static void task_committed(struct sl_store_job *job) {
    struct sl_s3__task *task = SL_CONTAINER(job, struct sl_s3__task, job);
    if (task->committed) task->committed(task->op);
}

static void task_done(struct sl_store_job *job, int result, const struct sl_error *err) {
    struct sl_s3__task *task = SL_CONTAINER(job, struct sl_s3__task, job);
    task->done(task->op, result, err);
}

int sl_s3__submit(struct sl_s3__task *task, struct sl_op *op, bool read_only,
                  int (*run)(struct sl_op *op, struct sl_error *err), void (*committed)(struct sl_op *op),
                  void (*done)(struct sl_op *op, int result, const struct sl_error *err), struct sl_error *err) {
    *task = (struct sl_s3__task){
        .job = {.run = task_run, .committed = task_committed, .done = task_done, .read_only = read_only},
        .op = op,
        .run = run,
        .committed = committed,
        .done = done};
    return sl_store_submit(op->store, &task->job, err);
}

// ---- what a crash left ----------------------------------------------------------------------------------------------

struct look {
    struct sl_store_job job;
    struct sl_str name;
    bool used;
};

static int look_up(struct sl_store_job *job, struct sl_store_tx *tx, struct sl_error *err) {
    struct look *look = SL_CONTAINER(job, struct look, job);
    return sl_object_file_used(tx, look->name, &look->used, err);
}

// Worker thread; waits for the storage thread. A file is kept when in doubt.
static bool is_used(void *user, struct sl_str name) {
    const struct sl_s3 *s3 = user;
    struct look look = {.job = {.run = look_up, .read_only = true}, .name = name};
    struct sl_error err;
    return sl_store_run(s3->config.store, &look.job, &err) != 0 || look.used;
}

static void sweep(void *argument) {
    struct sl_s3 *s3 = argument;
    sl_object_file_sweep(s3->config.store, is_used, s3);
}

void sl_s3_start(struct sl_s3 *s3) {
    struct sl_error err;
    atomic_fetch_add(&s3->busy, 1);
    if (s3->config.offload(s3->config.user, NULL, sweep, reaped, s3, &err) == SL_OK) return;
    atomic_fetch_sub(&s3->busy, 1);
    sl_log_warn("s3", "files of a crash are not looked for: %s", err.message);
}

// ---- operations -----------------------------------------------------------------------------------------------------

#define READ(name, run)                                                                                                \
    { "s3", name, SL_OP_STORE, NULL, run, NULL, NULL }
#define WRITE(name, run)                                                                                               \
    { "s3", name, SL_OP_STORE, NULL, run, sl_s3__publish, NULL }
#define STREAM(name, run)                                                                                              \
    { "s3", name, SL_OP_WAIT, NULL, run, NULL, NULL }

const struct sl_op_entry sl_s3_operations[] = {
    READ("ListBuckets", sl_s3__list_buckets),
    READ("HeadBucket", sl_s3__head_bucket),
    READ("GetBucketLocation", sl_s3__get_location),
    READ("GetBucketVersioning", sl_s3__get_versioning),
    READ("GetBucketAcl", sl_s3__get_acl),
    READ("GetBucketTagging", sl_s3__get_setting),
    READ("GetBucketPolicy", sl_s3__get_policy),
    READ("GetBucketPolicyStatus", sl_s3__get_policy_status),
    READ("GetBucketCors", sl_s3__get_setting),
    READ("GetBucketLifecycleConfiguration", sl_s3__get_setting),
    READ("GetBucketWebsite", sl_s3__get_setting),
    READ("GetBucketReplication", sl_s3__get_setting),
    READ("GetBucketEncryption", sl_s3__get_setting),
    READ("GetBucketOwnershipControls", sl_s3__get_setting),
    READ("GetPublicAccessBlock", sl_s3__get_setting),
    READ("GetObjectLockConfiguration", sl_s3__get_setting),
    READ("GetBucketLogging", sl_s3__get_setting),
    READ("GetBucketNotificationConfiguration", sl_s3__get_setting),
    READ("GetBucketAccelerateConfiguration", sl_s3__get_setting),
    READ("GetBucketRequestPayment", sl_s3__get_setting),
    READ("ListObjects", sl_s3__list_objects),
    READ("ListObjectsV2", sl_s3__list_objects_v2),
    READ("ListObjectVersions", sl_s3__list_versions),
    READ("ListMultipartUploads", sl_s3__list_uploads),
    READ("ListParts", sl_s3__list_parts),
    READ("GetObjectTagging", sl_s3__get_object_tags),
    READ("GetObjectAcl", sl_s3__get_object_acl),
    READ("GetObjectAttributes", sl_s3__get_attributes),
    WRITE("CreateBucket", sl_s3__create_bucket),
    WRITE("DeleteBucket", sl_s3__delete_bucket),
    WRITE("PutBucketVersioning", sl_s3__put_versioning),
    WRITE("PutBucketTagging", sl_s3__put_setting),
    WRITE("PutPublicAccessBlock", sl_s3__put_setting),
    WRITE("PutBucketOwnershipControls", sl_s3__put_setting),
    WRITE("PutBucketEncryption", sl_s3__put_setting),
    WRITE("DeleteBucketTagging", sl_s3__delete_setting),
    WRITE("DeletePublicAccessBlock", sl_s3__delete_setting),
    WRITE("DeleteBucketOwnershipControls", sl_s3__delete_setting),
    WRITE("DeleteBucketEncryption", sl_s3__delete_setting),
    WRITE("PutBucketPolicy", sl_s3__put_policy),
    WRITE("DeleteBucketPolicy", sl_s3__delete_policy),
    WRITE("DeleteBucketCors", sl_s3__delete_setting),
    WRITE("DeleteBucketLifecycle", sl_s3__delete_setting),
    WRITE("DeleteBucketWebsite", sl_s3__delete_setting),
    WRITE("DeleteBucketReplication", sl_s3__delete_setting),
    WRITE("DeleteObject", sl_s3__delete_object),
    WRITE("DeleteObjects", sl_s3__delete_objects),
    WRITE("PutObjectTagging", sl_s3__put_object_tags),
    WRITE("DeleteObjectTagging", sl_s3__delete_object_tags),
    WRITE("CreateMultipartUpload", sl_s3__create_upload),
    WRITE("CompleteMultipartUpload", sl_s3__complete_upload),
    WRITE("AbortMultipartUpload", sl_s3__abort_upload),
    STREAM("PutObject", sl_s3__put_object),
    STREAM("UploadPart", sl_s3__upload_part),
    STREAM("GetObject", sl_s3__get_object),
    STREAM("HeadObject", sl_s3__head_object),
    STREAM("CopyObject", sl_s3__copy_object),
    STREAM("UploadPartCopy", sl_s3__copy_part),
    {NULL, NULL, SL_OP_STORE, NULL, NULL, NULL, NULL},
};
