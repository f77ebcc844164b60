// SPDX-License-Identifier: Apache-2.0
//
// object: what object storage keeps: versions of objects in a table of their own, so that listing is a walk of one
// index however many objects there are; the files that hold their bytes; uploads in parts.
//
//   object         a version: bucket, key, order, what is shown of it, and the number of its data
//   object_part    data is a list of parts, each a file (one for a simple upload); the part numbers are the client's
//   object_upload  an upload in parts: it owns its data until it is completed, and then an object does
//
// Files lie in blobs/objects/<2 digits>/<name>. A file without a row is garbage: it is written first and named by a row
// later, and unlinked after its row is gone; what a crash leaves between is found by sl_object_file_sweep. Keys are
// bytes and never part of a file's name.
//
// Rows: inside jobs, on the storage thread. Files: any thread; they block.
#ifndef SL_STORE_OBJECT_H
#define SL_STORE_OBJECT_H

#include "store/store.h"

enum { SL_OBJECT_FILE = 34 }; // a file's name and NUL

struct sl_object {
    int64_t bucket; // a number of its owner's
    struct sl_str key;
    int64_t seq; // the newest version of a key has the greatest
    bool latest; // of its key
    bool marker; // a delete marker: no data
    struct sl_str version;
    int64_t data; // 0: none
    int64_t size, modified_ms;
    struct sl_str etag; // without quotes
    struct sl_str doc;  // JSON: everything else that is shown
};

struct sl_object_part {
    int64_t data;
    int64_t number;
    struct sl_str file; // "" for a part without bytes
    int64_t size, modified_ms;
    struct sl_str etag;
    struct sl_str doc; // JSON: checksums
};

struct sl_object_upload {
    int64_t bucket;
    struct sl_str key;
    struct sl_str id;
    int64_t data, begun_ms;
    struct sl_str doc; // JSON
};

// ---- rows
// A number for an object or data: not given before in this process, and ascending with the clock.
int64_t sl_object_number(struct sl_store_tx *tx);
// Inserts, or replaces the version of the same seq.
int sl_object_put(struct sl_store_tx *tx, const struct sl_object *object, struct sl_error *err);
// The newest version (version.ptr NULL), or that of this name. Strings in the arena. SL_E_NOT_FOUND.
int sl_object_find(struct sl_store_tx *tx, struct sl_arena *arena, int64_t bucket, struct sl_str key,
                   struct sl_str version, struct sl_object *ret, struct sl_error *err);
int sl_object_remove(struct sl_store_tx *tx, int64_t bucket, struct sl_str key, int64_t seq, struct sl_error *err);
int sl_object_set_latest(struct sl_store_tx *tx, int64_t bucket, struct sl_str key, int64_t seq, bool latest,
                         struct sl_error *err);
// Objects that are there (newest versions without delete markers) with key >= from, in order of their bytes. `each`
// gets views valid during the call; it returns false to stop.
int sl_object_walk(struct sl_store_tx *tx, int64_t bucket, struct sl_str from,
                   bool (*each)(void *user, const struct sl_object *object), void *user, struct sl_error *err);
// All versions with key >= from, newest first within a key; of `from` itself only those with seq < before_seq.
int sl_object_walk_versions(struct sl_store_tx *tx, int64_t bucket, struct sl_str from, int64_t before_seq,
                            bool (*each)(void *user, const struct sl_object *object), void *user, struct sl_error *err);

int sl_object_part_put(struct sl_store_tx *tx, const struct sl_object_part *part, struct sl_error *err);
// Parts with number > after, in order, at most limit. *ret in the arena.
int sl_object_parts(struct sl_store_tx *tx, struct sl_arena *arena, int64_t data, int64_t after, unsigned limit,
                    struct sl_object_part **ret, unsigned *ret_count, struct sl_error *err);
// number 0: all of them.
int sl_object_part_remove(struct sl_store_tx *tx, int64_t data, int64_t number, struct sl_error *err);
// Whether some part is in that file.
int sl_object_file_used(struct sl_store_tx *tx, struct sl_str name, bool *ret, struct sl_error *err);

int sl_object_upload_put(struct sl_store_tx *tx, const struct sl_object_upload *upload, struct sl_error *err);
int sl_object_upload_find(struct sl_store_tx *tx, struct sl_arena *arena, int64_t bucket, struct sl_str key,
                          struct sl_str id, struct sl_object_upload *ret, struct sl_error *err);
int sl_object_upload_remove(struct sl_store_tx *tx, int64_t bucket, struct sl_str key, struct sl_str id,
                            struct sl_error *err);
// Uploads with key >= from, by key and id; of `from` itself only those with id > after_id.
int sl_object_upload_walk(struct sl_store_tx *tx, int64_t bucket, struct sl_str from, struct sl_str after_id,
                          bool (*each)(void *user, const struct sl_object_upload *upload), void *user,
                          struct sl_error *err);

// ---- files
// A new file, to be written by the caller through *ret_fd.
int sl_object_file_new(struct sl_store *store, char ret_name[static SL_OBJECT_FILE], int *ret_fd, struct sl_error *err);
// Makes the file and its name durable; does not close.
int sl_object_file_seal(struct sl_store *store, const char *name, int fd, struct sl_error *err);
// For reading. SL_E_NOT_FOUND.
int sl_object_file_open(struct sl_store *store, struct sl_str name, int *ret_fd, struct sl_error *err);
void sl_object_file_remove(struct sl_store *store, struct sl_str name);
// Removes files of earlier processes that nobody uses. For the start; blocks for long where there are many.
void sl_object_file_sweep(struct sl_store *store, bool (*is_used)(void *user, struct sl_str name), void *user);

#endif
