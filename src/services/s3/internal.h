// SPDX-License-Identifier: Apache-2.0
//
// internal: what the files of s3/ share.
//
//   s3.c         struct sl_s3: files to be removed, data being read, what changed; the table of operations
//   bucket.c     buckets: create, delete, list, find; their names
//   config.c     what a bucket can be set to: tags, versioning, and settings that are kept and answered
//   crc.c        checksums                     digest.c  all sums over one body, and what a client claims about them
//   sink.c       a body into a file            source.c  files into pieces
//   object.c     versions: write, remove, find; what is kept of a request's headers
//   put.c        PutObject, UploadPart         get.c     GetObject, HeadObject, GetObjectAttributes
//   condition.c  If-Match and the like, Range
//   list.c       ListObjects (both), ListObjectVersions
//   remove.c     DeleteObject, DeleteObjects
//   copy.c       CopyObject, UploadPartCopy    fetch.c   objects for other parts of the server
//   multipart.c  uploads in parts              tags.c    tags of objects and buckets
//
// Documents: "s3.bucket" ("", "", "", name): {"id", "account", "region", "created_ms", "versioning", "tags", settings
// by operation}; "s3.owned" (account, "", "", name): {} so that an account's buckets are one range. Objects:
// store/object.h.
#ifndef SL_SERVICES_S3_INTERNAL_H
#define SL_SERVICES_S3_INTERNAL_H

#include "aws/app.h"
#include "base/buf.h"
#include "services/s3/s3.h"
#include "store/object.h"

#include <openssl/evp.h>

enum {
    SL_S3_KEY_MAX = 1024,
    SL_S3_METADATA_MAX = 2048,
    SL_S3_PARTS_MAX = 10000,
    SL_S3_PAGE = 1000,
    SL_S3_BUFFER = 256 * 1024, // of a body on its way, twice for each upload, once for each download
    SL_S3_ETAG = 48,           // text of an ETag: 32 digits, "-10000", NUL
};
#define SL_S3_OBJECT_MAX ((int64_t)5 << 30) // one PutObject, one part
#define SL_S3_PART_MIN   ((int64_t)5 << 20) // but for the last one

// ---- s3.c
struct sl_s3 *sl_s3__of(const struct sl_op *op);
struct sl_store *sl_s3__store(const struct sl_s3 *s3);
// Files of data that no row names any more: removed once nobody reads that data. Any thread; never blocks.
void sl_s3__doom(struct sl_s3 *s3, int64_t data, const struct sl_str *files, unsigned count);
void sl_s3__pin(struct sl_s3 *s3, int64_t data);
void sl_s3__unpin(struct sl_s3 *s3, int64_t data);
// An upload's place among those that hold buffers; false when there are too many.
bool sl_s3__enter(struct sl_s3 *s3);
void sl_s3__leave(struct sl_s3 *s3);
// What an operation's transaction leads to after its commit; kept in its arena. `run` notes, `publish` does.
struct sl_s3__after {
    struct sl_s3__doomed *doomed;
    bool changed;
    struct sl_str policy_key,
        policy; // of the directory of callers: what the bucket's policy is now; key empty: as before
};
int sl_s3__note_file(struct sl_op *op, struct sl_s3__after *after, struct sl_str file, struct sl_error *err);
// Takes the rows of the parts away and notes their files.
int sl_s3__drop_data(struct sl_op *op, struct sl_s3__after *after, int64_t data, struct sl_error *err);
int sl_s3__note_change(struct sl_op *op, struct sl_s3__after *after, struct sl_s3_change *change, struct sl_error *err);
void sl_s3__publish_after(struct sl_op *op, const struct sl_s3__after *after);
// op->state of SL_OP_STORE operations.
struct sl_s3__after *sl_s3__after(struct sl_op *op);
void sl_s3__publish(struct sl_op *op);

// A store job of an SL_OP_WAIT operation: run in the store, then done on op's loop.
struct sl_s3__task {
    struct sl_store_job job;
    struct sl_op *op;
    int (*run)(struct sl_op *op, struct sl_error *err);
    void (*committed)(struct sl_op *op);
    void (*done)(struct sl_op *op, int result, const struct sl_error *err);
};
// Nonzero: nothing was begun.
int sl_s3__submit(struct sl_s3__task *task, struct sl_op *op, bool read_only,
                  int (*run)(struct sl_op *op, struct sl_error *err), void (*committed)(struct sl_op *op),
                  void (*done)(struct sl_op *op, int result, const struct sl_error *err), struct sl_error *err);

// ---- bucket.c
enum sl_s3__versioning { SL_S3_UNVERSIONED, SL_S3_VERSIONED, SL_S3_SUSPENDED };
struct sl_s3__bucket {
    struct sl_str name, account, region;
    int64_t id;
    enum sl_s3__versioning versioning;
    struct sl_json *doc;
};
// The bucket of the member Bucket, if the caller may use it.
int sl_s3__open(struct sl_op *op, struct sl_s3__bucket *ret, struct sl_error *err);
int sl_s3__find_bucket(struct sl_store_tx *tx, struct sl_arena *arena, struct sl_str name, struct sl_s3__bucket *ret,
                       struct sl_error *err);
int sl_s3__save_bucket(struct sl_op *op, const struct sl_s3__bucket *bucket, struct sl_error *err);
void sl_s3__error_member(struct sl_op *op, const char *name, struct sl_str value);
int sl_s3__no_such_bucket(struct sl_op *op, struct sl_str name, struct sl_error *err);
struct sl_json *sl_s3__owner(struct sl_op *op, struct sl_str account);

// ---- digest.c
enum sl_s3__sum { SL_S3_NO_SUM, SL_S3_CRC32, SL_S3_CRC32C, SL_S3_CRC64NVME, SL_S3_SHA1, SL_S3_SHA256, SL_S3_SUM_COUNT };
struct sl_s3__sum_info {
    const char *name;   // "CRC32"
    const char *member; // "ChecksumCRC32"
    const char *header; // "x-amz-checksum-crc32"
    size_t size;
    bool crc;
};
extern const struct sl_s3__sum_info sl_s3__sums[SL_S3_SUM_COUNT];
enum sl_s3__sum sl_s3__sum_of(struct sl_str name); // SL_S3_NO_SUM for one that is not known

// What a client says about a body. Views live as long as the request.
struct sl_s3__claims {
    enum sl_s3__sum sum;    // SL_S3_NO_SUM: none was asked for
    struct sl_str expected; // raw bytes; ptr NULL: computed only, or in the trailer
    bool in_trailer;        // the sum comes after the body
    struct sl_str md5;      // raw; ptr NULL without
    struct sl_str sha256;   // hexadecimal; ptr NULL without
    int64_t length;         // -1: unknown
};
int sl_s3__read_claims(struct sl_op *op, struct sl_s3__claims *ret, struct sl_error *err);

struct sl_s3__digest {
    EVP_MD_CTX *md5, *sha, *payload;
    enum sl_s3__sum sum;
    uint64_t crc;
};
struct sl_s3__result {
    unsigned char md5[16];
    unsigned char sum[32];     // sl_s3__sums[].size bytes of it
    unsigned char payload[32]; // SHA-256, if it was asked for
};
int sl_s3__digest_begin(struct sl_s3__digest *digest, enum sl_s3__sum sum, bool payload, struct sl_error *err);
void sl_s3__digest_add(struct sl_s3__digest *digest, struct sl_str bytes);
void sl_s3__digest_end(struct sl_s3__digest *digest, struct sl_s3__result *ret);
void sl_s3__digest_free(struct sl_s3__digest *digest); // a zeroed one too
// Compares; SL_E_S3_BAD_DIGEST and the like. `trailer`: the sum that came after the body, base64; ptr NULL without.
int sl_s3__check_claims(const struct sl_s3__claims *claims, const struct sl_s3__result *result, struct sl_str trailer,
                        struct sl_error *err);
struct sl_str sl_s3__base64(struct sl_arena *arena, const void *bytes, size_t len);
struct sl_str sl_s3__hex(struct sl_arena *arena, const void *bytes, size_t len);
struct sl_str sl_s3__quoted(struct sl_arena *arena, struct sl_str etag);
struct sl_str sl_s3__unquoted(struct sl_str etag);

// ---- sink.c
struct sl_s3__sink {
    struct sl_op *op;
    struct sl_s3 *s3;
    struct sl_s3__claims claims;
    struct sl_s3__digest digest;
    struct sl_s3__result result; // when done
    int fd;                      // -1: no byte yet
    char file[SL_OBJECT_FILE];   // "" without bytes
    int64_t size;
    struct sl_buf fill, drain; // the loop's, and the worker's
    bool open;                 // not done yet
    bool held;                 // by its owner
    bool working;              // a worker has it
    bool ended, last;          // all has come; the worker has been given the rest
    struct sl_error error;     // of the worker
    // On the loop, once: 0, and file, size and result hold; or an error (also when the client has gone), and nothing is
    // left.
    void (*done)(struct sl_op *op, int result, const struct sl_error *err);
};
// From `run` of an operation whose body is streamed. `held`: begin paused, until sl_s3__sink_go says which sum is
// wanted.
int sl_s3__sink_begin(struct sl_s3__sink *sink, struct sl_op *op, bool held,
                      void (*done)(struct sl_op *op, int result, const struct sl_error *err), struct sl_error *err);
void sl_s3__sink_go(struct sl_s3__sink *sink, enum sl_s3__sum sum);
// Takes the beginning back, before `run` fails.
void sl_s3__sink_cancel(struct sl_s3__sink *sink);
// Ends it with an error of its owner's, which `done` is told of when the worker has let go.
void sl_s3__sink_fail(struct sl_s3__sink *sink, const struct sl_error *err);
// For workers that have bytes of their own: add, then seal; on failure discard.
int sl_s3__sink_add(struct sl_s3__sink *sink, struct sl_str bytes, struct sl_error *err);
int sl_s3__sink_seal(struct sl_s3__sink *sink, struct sl_error *err);
void sl_s3__sink_discard(struct sl_s3__sink *sink);

// ---- source.c
struct sl_s3__source {
    const struct sl_object_part *parts;
    unsigned count, index; // the part that `fd` is, if fd >= 0
    int64_t at;            // in that part
    int64_t left;          // to be read
    int fd;
};
// [from, from + length) of the parts' bytes.
void sl_s3__source_init(struct sl_s3__source *source, const struct sl_object_part *parts, unsigned count, int64_t from,
                        int64_t length);
// Fills the buffer as far as bytes are left. Worker threads.
int sl_s3__source_read(struct sl_s3__source *source, struct sl_store *store, char *buffer, size_t room, size_t *ret_got,
                       struct sl_error *err);
void sl_s3__source_close(struct sl_s3__source *source);

// ---- object.c
int sl_s3__check_key(struct sl_op *op, struct sl_str key, struct sl_error *err);
// The document of a new object from the request's headers.
int sl_s3__new_doc(struct sl_op *op, struct sl_json **ret, struct sl_error *err);
void sl_s3__doc_sum(struct sl_op *op, struct sl_json *doc, enum sl_s3__sum sum, struct sl_str base64, const char *type);
struct sl_str sl_s3__doc_text(struct sl_arena *arena, const struct sl_json *doc);
// A version of its key, which it becomes the newest of; sets seq, version, latest. Conditions on writing are looked at
// first.
int sl_s3__write(struct sl_op *op, struct sl_s3__after *after, const struct sl_s3__bucket *bucket,
                 struct sl_object *object, struct sl_error *err);
// Removes as DeleteObject does. *ret_marker: a delete marker was made (or, with a version, removed); *ret_version: the
// version made or removed, ptr NULL without versions.
int sl_s3__remove(struct sl_op *op, struct sl_s3__after *after, const struct sl_s3__bucket *bucket, struct sl_str key,
                  struct sl_str version, bool *ret_marker, struct sl_str *ret_version, struct sl_error *err);
// The version that the request means, with S3's errors; for reading (delete markers are not found).
int sl_s3__find(struct sl_op *op, const struct sl_s3__bucket *bucket, struct sl_str key, struct sl_str version,
                struct sl_object *ret, struct sl_json **ret_doc, struct sl_error *err);
int sl_s3__created(struct sl_op *op, struct sl_s3__after *after, const struct sl_s3__bucket *bucket,
                   const struct sl_object *object, const char *name, struct sl_error *err);

// ---- policy.c
int sl_s3__put_policy(struct sl_op *op, struct sl_error *err);
int sl_s3__get_policy(struct sl_op *op, struct sl_error *err);
int sl_s3__get_policy_status(struct sl_op *op, struct sl_error *err);
int sl_s3__delete_policy(struct sl_op *op, struct sl_error *err);
// What counts of the bucket's policy may have changed: published after the commit. Of SL_OP_STORE operations.
int sl_s3__note_policy(struct sl_op *op, const struct sl_s3__bucket *bucket, struct sl_error *err);
void sl_s3__publish_policy(struct sl_op *op, const struct sl_s3__after *after);

// ---- multipart.c
// By the members Key and UploadId.
int sl_s3__find_upload(struct sl_op *op, const struct sl_s3__bucket *bucket, struct sl_object_upload *ret,
                       struct sl_error *err);

// ---- condition.c
// 0: go on; 304 or SL_E_S3_PRECONDITION by RFC 9110 section 13.2.2. `members`: names of the four conditions in op->in.
struct sl_s3__conditions {
    const char *match, *none_match, *modified_since, *unmodified_since;
};
extern const struct sl_s3__conditions sl_s3__read_conditions, sl_s3__copy_conditions;
int sl_s3__check(struct sl_op *op, const struct sl_s3__conditions *names, const struct sl_object *object,
                 bool *ret_not_modified, struct sl_error *err);
int sl_s3__check_write(struct sl_op *op, const struct sl_object *existing, struct sl_error *err);
// "bytes=0-9". False: no range, or one that is ignored. SL_E_S3_INVALID_RANGE is *ret_unsatisfiable.
bool sl_s3__range(struct sl_str text, int64_t size, int64_t *ret_from, int64_t *ret_length, bool *ret_unsatisfiable);

// ---- tags.c
// An array of {"Key", "Value"} from a header ("a=1&b=2") or from TagSet, checked.
int sl_s3__parse_tags(struct sl_op *op, struct sl_str text, struct sl_json **ret, struct sl_error *err);
int sl_s3__check_tags(const struct sl_json *tags, unsigned max, struct sl_error *err);

// ---- handlers
int sl_s3__create_bucket(struct sl_op *op, struct sl_error *err);
int sl_s3__delete_bucket(struct sl_op *op, struct sl_error *err);
int sl_s3__head_bucket(struct sl_op *op, struct sl_error *err);
int sl_s3__list_buckets(struct sl_op *op, struct sl_error *err);
int sl_s3__get_location(struct sl_op *op, struct sl_error *err);
int sl_s3__get_setting(struct sl_op *op, struct sl_error *err);
int sl_s3__put_setting(struct sl_op *op, struct sl_error *err);
int sl_s3__delete_setting(struct sl_op *op, struct sl_error *err);
int sl_s3__get_versioning(struct sl_op *op, struct sl_error *err);
int sl_s3__put_versioning(struct sl_op *op, struct sl_error *err);
int sl_s3__get_acl(struct sl_op *op, struct sl_error *err);
int sl_s3__get_object_acl(struct sl_op *op, struct sl_error *err);
int sl_s3__put_object(struct sl_op *op, struct sl_error *err);
int sl_s3__upload_part(struct sl_op *op, struct sl_error *err);
int sl_s3__get_object(struct sl_op *op, struct sl_error *err);
int sl_s3__head_object(struct sl_op *op, struct sl_error *err);
int sl_s3__get_attributes(struct sl_op *op, struct sl_error *err);
int sl_s3__list_objects(struct sl_op *op, struct sl_error *err);
int sl_s3__list_objects_v2(struct sl_op *op, struct sl_error *err);
int sl_s3__list_versions(struct sl_op *op, struct sl_error *err);
int sl_s3__delete_object(struct sl_op *op, struct sl_error *err);
int sl_s3__delete_objects(struct sl_op *op, struct sl_error *err);
int sl_s3__copy_object(struct sl_op *op, struct sl_error *err);
int sl_s3__copy_part(struct sl_op *op, struct sl_error *err);
int sl_s3__create_upload(struct sl_op *op, struct sl_error *err);
int sl_s3__complete_upload(struct sl_op *op, struct sl_error *err);
int sl_s3__abort_upload(struct sl_op *op, struct sl_error *err);
int sl_s3__list_parts(struct sl_op *op, struct sl_error *err);
int sl_s3__list_uploads(struct sl_op *op, struct sl_error *err);
int sl_s3__get_object_tags(struct sl_op *op, struct sl_error *err);
int sl_s3__put_object_tags(struct sl_op *op, struct sl_error *err);
int sl_s3__delete_object_tags(struct sl_op *op, struct sl_error *err);

#endif
