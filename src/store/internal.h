// SPDX-License-Identifier: Apache-2.0
//
// internal: what the files of store/ share. Not for other folders.
//
//   store.c     the queue, the storage thread, group commit, open and close
//   database.c  the SQLite connection: VFS, settings, migrations, cached statements, error texts
//   resource.c  documents          event.c  the queue of asynchronous invocations, and those that ended badly
//   queue.c     messages of queues
//   object.c    objects, their parts, uploads    object_file.c  their files
//   blob.c      code on disk       tree.c   directory trees by descriptor: remove, make durable
//
// Owner: everything in struct sl_store_tx belongs to the storage thread. Blob functions run on any thread; what they
// use (the descriptors and the instance's name) is written before the store is handed out and never changes.
#ifndef SL_STORE_INTERNAL_H
#define SL_STORE_INTERNAL_H

#include "store/store.h"

#include <pthread.h>
#include <sqlite3.h>

// Every statement of the store; the text is in database.c, in the same order.
enum sl_store__sql {
    SL_SQL_BEGIN,
    SL_SQL_COMMIT,
    SL_SQL_ROLLBACK,
    SL_SQL_SAVEPOINT,
    SL_SQL_UNDO,
    SL_SQL_RELEASE,
    SL_SQL_GET,
    SL_SQL_HAS,
    SL_SQL_PUT,
    SL_SQL_DELETE,
    SL_SQL_DELETE_CHILDREN,
    SL_SQL_LIST,
    SL_SQL_NUMBER_OF,
    SL_SQL_EACH,
    SL_SQL_EVENT_LAST,
    SL_SQL_EVENT_APPEND,
    SL_SQL_EVENT_RESCHEDULE,
    SL_SQL_EVENT_REMOVE,
    SL_SQL_EVENT_DROP,
    SL_SQL_EVENT_ALL,
    SL_SQL_EVENT_GET,
    SL_SQL_EVENT_OF_LANE,
    SL_SQL_EVENT_LANE_AFTER,
    SL_SQL_DEAD_LAST,
    SL_SQL_DEAD_PUT,
    SL_SQL_DEAD_ALL,
    SL_SQL_DEAD_GET,
    SL_SQL_DEAD_REMOVE,
    SL_SQL_DEAD_TRIM,
    SL_SQL_DEAD_EXPIRE,
    SL_SQL_MESSAGE_LAST,
    SL_SQL_MESSAGE_APPEND,
    SL_SQL_MESSAGE_GET,
    SL_SQL_MESSAGE_VISIBLE,
    SL_SQL_MESSAGE_OF_GROUP,
    SL_SQL_MESSAGE_UPDATE,
    SL_SQL_MESSAGE_MOVE,
    SL_SQL_MESSAGE_REMOVE,
    SL_SQL_MESSAGE_CLEAR,
    SL_SQL_MESSAGE_EXPIRE,
    SL_SQL_MESSAGE_COUNT,
    SL_SQL_MESSAGE_NEXT,
    SL_SQL_GROUP_NEXT,
    SL_SQL_GROUP_READY,
    SL_SQL_GROUP_ADD,
    SL_SQL_GROUP_SET,
    SL_SQL_GROUP_REMOVE,
    SL_SQL_GROUP_CLEAR,
    SL_SQL_GROUP_SCAN,
    SL_SQL_DEDUP_FIND,
    SL_SQL_DEDUP_PUT,
    SL_SQL_DEDUP_CLEAR,
    SL_SQL_DEDUP_EXPIRE,
    SL_SQL_OBJECT_PUT,
    SL_SQL_OBJECT_NEWEST,
    SL_SQL_OBJECT_VERSION,
    SL_SQL_OBJECT_REMOVE,
    SL_SQL_OBJECT_LATEST,
    SL_SQL_OBJECT_LIST,
    SL_SQL_OBJECT_LIST_ALL,
    SL_SQL_OBJECT_OLDER,
    SL_SQL_OBJECT_PART_PUT,
    SL_SQL_OBJECT_PARTS,
    SL_SQL_OBJECT_PART_REMOVE,
    SL_SQL_OBJECT_PARTS_REMOVE,
    SL_SQL_OBJECT_FILE_USED,
    SL_SQL_OBJECT_UPLOAD_PUT,
    SL_SQL_OBJECT_UPLOAD_FIND,
    SL_SQL_OBJECT_UPLOAD_REMOVE,
    SL_SQL_OBJECT_UPLOAD_LIST,
    SL_SQL_COUNT
};

struct sl_store_tx {
    sqlite3 *db;
    sqlite3_stmt *statements[SL_SQL_COUNT];
    struct sl_buf text;        // a document being written
    int64_t next_message;      // as next_event, and ascending over restarts
    int64_t next_object;       // last number given
    int64_t next_event;        // never given twice while the store is open, also not after an undone job
    int64_t dead_events;       // at least as many as there are: an undone job may leave it too high
    bool read_only, one_write; // of the job that runs now
    unsigned writes;           // that it tried
    int broken;                // kind of an error that a function without an error result met in this job
};

struct sl_store {
    unsigned max_jobs;
    int dir, lock;                 // dir: -1 in memory; lock: of dir, or of the directory memory_path
    int blobs, code, zip, scratch; // directories
    int objects;                   // files of objects
    char instance[17];             // tells this process's scratch names from left-overs
    char memory_path[64];          // temporary directory of an in-memory store, or ""
    pthread_t thread;

    pthread_mutex_t mutex;   // guards what follows
    pthread_cond_t wake;     // for the storage thread: a job, or closing
    pthread_cond_t answered; // for sl_store_run: some waiter's job was answered
    struct sl_store_job *first, **end;
    unsigned queued;
    bool closing;

    struct sl_store_tx tx; // the storage thread's
};

// database.c. Storage thread. `memory`: ":memory:" instead of sluice.db in the working directory.
int sl_store__database_open(struct sl_store_tx *tx, bool memory, struct sl_error *err);
void sl_store__database_close(struct sl_store_tx *tx);
// A statement ready to bind, or NULL. Give every one back with finish; it may be asked for again while it is in use.
sqlite3_stmt *sl_store__prepare(struct sl_store_tx *tx, enum sl_store__sql which, struct sl_error *err);
void sl_store__finish(struct sl_store_tx *tx, enum sl_store__sql which, sqlite3_stmt *statement);
// Runs a statement that returns no rows, and finishes it.
int sl_store__step(struct sl_store_tx *tx, enum sl_store__sql which, sqlite3_stmt *statement, struct sl_error *err);
// prepare and step of a statement without parameters.
int sl_store__exec(struct sl_store_tx *tx, enum sl_store__sql which, struct sl_error *err);
// The connection's last error as ours.
int sl_store__fail(struct sl_store_tx *tx, const char *what, struct sl_error *err);
// Called before every write: SL_E_USAGE when the running job promised not to make it.
int sl_store__may_write(struct sl_store_tx *tx, struct sl_error *err);
void sl_store__bind(sqlite3_stmt *statement, int at, struct sl_str text);
// A column's bytes; valid until the statement's next step.
struct sl_str sl_store__column(sqlite3_stmt *statement, int at);

// blob.c
int sl_store__blobs_open(struct sl_store *store, struct sl_error *err);
void sl_store__blobs_close(struct sl_store *store);

// tree.c. Never follow symbolic links.
// Removes parent/name with all it holds; what cannot be removed stays. Not there is fine.
void sl_store__tree_remove(int parent, const char *name);
// Makes everything below (and including) the directory durable.
int sl_store__tree_sync(int dir, struct sl_error *err);

#endif
