// SPDX-License-Identifier: Apache-2.0
//
// store: everything durable. One storage thread owns the database; work comes as jobs, and all jobs waiting are run in
// one transaction with one fsync (group commit), each in a savepoint of its own, so that one that fails undoes only
// itself. A job's `run` sees all earlier jobs' effects: control-plane operations are thus serial, read-check-write
// needs no lock.
//
// Resources (functions, APIs, routes, roles ...) are documents: a key (kind, account, region, parent, id) and a JSON
// text in the shape the API answers, private members beginning with '_'. That is one table for 300 operations; a new
// resource kind needs no migration. Events (accepted asynchronous invocations), messages (of queues) and blobs (code)
// have their own verbs.
//
// Invariants: what `done` reported as committed survives kill -9 and power loss (WAL, synchronous=FULL); `run` and
// `committed` are called on the storage thread only; `done` on the loop that submitted.
#ifndef SL_STORE_STORE_H
#define SL_STORE_STORE_H

#include "base/json.h"
#include "net/loop.h"

struct sl_store;
struct sl_store_tx;

struct sl_store_config {
    int data_dir;      // directory fd; the store keeps its own duplicate. -1: in memory, nothing is kept.
    unsigned max_jobs; // queued; over it sl_store_submit refuses
};

// Opens (creates, migrates) and starts the storage thread, whose working directory alone becomes the data directory.
// Errors say what to do: directory in use by another server (flock), newer schema, not writable.
int sl_store_open(struct sl_store **ret, const struct sl_store_config *config, struct sl_error *err);
// Finishes queued jobs, closes.
void sl_store_close(struct sl_store *store);

struct sl_store_job {
    // On the storage thread, inside the transaction. Nonzero: this job's changes are undone and err goes to `done`.
    int (*run)(struct sl_store_job *job, struct sl_store_tx *tx, struct sl_error *err);
    // On the storage thread, after the commit succeeded (not for failed jobs). To publish in memory. May be NULL.
    void (*committed)(struct sl_store_job *job);
    // On the home loop's thread. result 0 = durable. If the commit itself failed, every job of it gets SL_E_IO.
    void (*done)(struct sl_store_job *job, int result, const struct sl_error *err);
    bool read_only; // needs no transaction: answered as soon as it has run, unless a write of the same batch ran before
                    // it, whose effects it may have seen: then with that commit. A put, delete or append in it fails
                    // with SL_E_USAGE.
    bool one_write; // promises at most one put, delete, append, update, reschedule or remove, and to succeed if that
                    // one did: so it needs no savepoint, which costs more than a small write. A second write fails with
                    // SL_E_USAGE; failing after the write is a bug that undoes the whole batch.
    // internal
    struct sl_mail mail;
    struct sl_store_job *next;
    struct sl_loop *home;
    bool waiting;
    int result;
    struct sl_error *error;
};
// Any thread. SL_E_UNAVAILABLE when the queue is full or the store is closing. The job belongs to the store until done.
// `done` runs on the calling thread's loop (sl_loop_current), with err = NULL when result is 0; from a thread without a
// loop it runs on the storage thread. The loop must not be freed before the store is closed.
int sl_store_submit(struct sl_store *store, struct sl_store_job *job, struct sl_error *err);
// The same for start-up and tools: runs on the storage thread, the caller blocks; never from inside a job. home is not
// used, `done` may be NULL, and is called on the caller's thread.
int sl_store_run(struct sl_store *store, struct sl_store_job *job, struct sl_error *err);

// --- resources (inside run) ---
struct sl_key {
    const char *kind;      // literal: "function", "apigatewayv2.route", "iam.role" ...
    struct sl_str account; // 12 digits; "" for global things
    struct sl_str region;  // "" for global services
    struct sl_str parent;  // owner's id ("" at the top): an API's id for its routes, a function's name for its versions
    struct sl_str id;
};
// Document, parsed into the arena; SL_E_NOT_FOUND (message is for logs; handlers word their own) when absent.
int sl_store_get(struct sl_store_tx *tx, struct sl_arena *arena, const struct sl_key *key, struct sl_json **ret,
                 struct sl_error *err);
// These and sl_store_count have no error result: a failure to read gives false or 0 and fails the whole job after its
// run.
bool sl_store_has(struct sl_store_tx *tx, const struct sl_key *key);
// Inserts or replaces. SL_E_LIMIT for a document over 64 MiB or deeper than SL_JSON_DEPTH.
int sl_store_put(struct sl_store_tx *tx, const struct sl_key *key, const struct sl_json *document,
                 struct sl_error *err);
// Deletes if there; *ret_existed may be NULL.
int sl_store_delete(struct sl_store_tx *tx, const struct sl_key *key, bool *ret_existed, struct sl_error *err);
// Deletes every document of that kind and parent (key->id ignored).
int sl_store_delete_children(struct sl_store_tx *tx, const struct sl_key *key, struct sl_error *err);
// Documents of (kind, account, region, parent) with id > after_id, in id order (bytewise), at most `limit`. *ret_more:
// more follow. Returns an array node; each element is an object {"id": ..., "doc": {...}}.
int sl_store_list(struct sl_store_tx *tx, struct sl_arena *arena, const struct sl_key *key, struct sl_str after_id,
                  unsigned limit, struct sl_json **ret, bool *ret_more, struct sl_error *err);
int64_t sl_store_count(struct sl_store_tx *tx, const struct sl_key *key);
// Every document of a kind, over all accounts and regions: for loading memory at start. `each` gets views valid during
// the call.
int sl_store_each(struct sl_store_tx *tx, const char *kind,
                  int (*each)(void *user, const struct sl_key *key, struct sl_str document, struct sl_error *err),
                  void *user, struct sl_error *err);

// --- events: the durable queue of asynchronous invocations ---
struct sl_event {
    int64_t id;             // store's, ascending
    struct sl_str function; // ARN as invoked, with qualifier
    char request_id[37];
    int64_t accepted_ms;
    int64_t due_ms;    // not before
    unsigned attempts; // finished attempts
    struct sl_str payload;
    struct sl_str context; // JSON: client context, trace id ...; may be empty
};
// The function that an ARN names, whatever its qualifier, as a positive number: events with the same number wait for
// the same function. Two functions may share one; that costs them a little fairness.
int64_t sl_event_lane(struct sl_str function);
int sl_event_append(struct sl_store_tx *tx, struct sl_event *event, struct sl_error *err); // sets id
// `attempts` of these two is the count under which the caller took the event: SL_E_NOT_FOUND when there is no such
// event, or somebody else has settled that attempt since.
int sl_event_reschedule(struct sl_store_tx *tx, int64_t id, unsigned attempts, int64_t due_ms, unsigned new_attempts,
                        struct sl_error *err);
int sl_event_remove(struct sl_store_tx *tx, int64_t id, unsigned attempts, struct sl_error *err);
// Whatever its attempts; *ret_existed may be NULL.
int sl_event_drop(struct sl_store_tx *tx, int64_t id, bool *ret_existed, struct sl_error *err);
int sl_event_get(struct sl_store_tx *tx, struct sl_arena *arena, int64_t id, struct sl_event *ret,
                 struct sl_error *err);
// All events with id > after, ascending id; payloads in the arena. SL_E_NO_MEMORY when they do not fit it: ask for
// fewer.
int sl_event_load(struct sl_store_tx *tx, struct sl_arena *arena, int64_t after, unsigned limit, struct sl_event **ret,
                  unsigned *ret_count, struct sl_error *err);

// What one lane can run: events with due_ms <= now_ms, earliest first, without those the caller has already.
struct sl_event_due {
    int64_t lane, now_ms;
    const int64_t *taken; // ids, ascending
    unsigned taken_count;
    unsigned limit;
    size_t bytes; // stops after the event whose payload passes this sum
    // out
    struct sl_event *events; // in the arena
    unsigned count;
    int64_t next_ms; // when there is more to load: now_ms, later, or INT64_MAX
};
int sl_event_due(struct sl_store_tx *tx, struct sl_arena *arena, struct sl_event_due *due, struct sl_error *err);
// The next lane with events, and when its first is due. SL_E_NOT_FOUND after the last. Costs one step of an index.
int sl_event_lane_after(struct sl_store_tx *tx, int64_t after, int64_t *ret_lane, int64_t *ret_due_ms,
                        struct sl_error *err);

// Dead events: those that ended badly and had no other place to go. At most SL_DEAD_EVENTS_MAX; the oldest make room.
enum { SL_DEAD_EVENTS_MAX = 10000 };
struct sl_dead_event {
    struct sl_event event;
    int64_t died_ms;
    struct sl_str reason;
};
int sl_dead_put(struct sl_store_tx *tx, const struct sl_dead_event *dead, struct sl_error *err);
int sl_dead_get(struct sl_store_tx *tx, struct sl_arena *arena, int64_t id, struct sl_dead_event *ret,
                struct sl_error *err);
int sl_dead_load(struct sl_store_tx *tx, struct sl_arena *arena, int64_t after, unsigned limit,
                 struct sl_dead_event **ret, unsigned *ret_count, struct sl_error *err);
int sl_dead_remove(struct sl_store_tx *tx, int64_t id, bool *ret_existed, struct sl_error *err);
int sl_dead_expire(struct sl_store_tx *tx, int64_t died_before_ms, struct sl_error *err);

// --- messages: what queues hold ---
//
// A queue is a number that its owner chose (random, never given twice). A message that waits, is delayed or is in
// flight is one row; which of them it is follows from visible_ms. Reading is by index: what is visible, oldest first;
// or group by group, for ordered queues, whose groups have a row of their own that says when they may be read next.
struct sl_message {
    int64_t seq; // store's, ascending, also over restarts: the order within a group
    int64_t queue;
    int64_t visible_ms;  // not to be received before
    int64_t sent_ms;     // for the retention period
    int64_t first_ms;    // first received; 0: never
    int64_t received_ms; // last received; 0: never
    int64_t receipt;     // drawn at the last receive: what a receipt handle must know; 0: never
    unsigned receives;
    struct sl_str id, group; // group: "" without
    struct sl_str doc;       // JSON: attributes
    struct sl_str body;
};
// Sets seq.
int sl_message_append(struct sl_store_tx *tx, struct sl_message *message, struct sl_error *err);
// SL_E_NOT_FOUND when the queue has no such message (any more). Strings live in the arena.
int sl_message_get(struct sl_store_tx *tx, struct sl_arena *arena, int64_t queue, int64_t seq, struct sl_message *ret,
                   struct sl_error *err);
// Visible at now_ms, by the time when they became so. *ret in the arena.
int sl_message_visible(struct sl_store_tx *tx, struct sl_arena *arena, int64_t queue, int64_t now_ms, unsigned limit,
                       struct sl_message **ret, unsigned *ret_count, struct sl_error *err);
// The first ones of a group, in order, visible or not.
int sl_message_of_group(struct sl_store_tx *tx, struct sl_arena *arena, int64_t queue, struct sl_str group,
                        unsigned limit, struct sl_message **ret, unsigned *ret_count, struct sl_error *err);
// Writes visible_ms, first_ms, received_ms, receipt, receives.
int sl_message_update(struct sl_store_tx *tx, const struct sl_message *message, struct sl_error *err);
// Puts it at the end of another queue, with everything that sl_message_update writes, its sent_ms, id and doc. Sets
// queue and seq.
int sl_message_move(struct sl_store_tx *tx, struct sl_message *message, int64_t queue, struct sl_error *err);
int sl_message_remove(struct sl_store_tx *tx, int64_t seq, struct sl_error *err);
// All messages and groups of a queue; with `memory` its deduplication too (the queue itself goes).
int sl_message_clear(struct sl_store_tx *tx, int64_t queue, bool memory, struct sl_error *err);
// Removes at most `limit` that were sent before; *ret_count tells how many.
int sl_message_expire(struct sl_store_tx *tx, int64_t queue, int64_t sent_before_ms, unsigned limit,
                      unsigned *ret_count, struct sl_error *err);
struct sl_message_counts {
    int64_t visible, in_flight, delayed;
};
// Counts index entries: linear in the queue's length.
int sl_message_count(struct sl_store_tx *tx, int64_t queue, int64_t now_ms, struct sl_message_counts *ret,
                     struct sl_error *err);
// When the next message (of an ordered queue: the next group) becomes receivable after now_ms; INT64_MAX: not by time.
int sl_message_next(struct sl_store_tx *tx, int64_t queue, bool ordered, int64_t now_ms, int64_t *ret_ms,
                    struct sl_error *err);

// Groups of an ordered queue. A group may be read when none of its messages is in flight.
// Names of groups that may be read at now_ms, longest ready first. *ret in the arena.
int sl_group_ready(struct sl_store_tx *tx, struct sl_arena *arena, int64_t queue, int64_t now_ms, unsigned limit,
                   struct sl_str **ret, unsigned *ret_count, struct sl_error *err);
// A message was appended: the group is made if it is not there.
int sl_group_add(struct sl_store_tx *tx, int64_t queue, struct sl_str group, int64_t ready_ms, struct sl_error *err);
// A message of the group was received, removed or changed: finds out anew when the group may be read; without messages
// it goes.
int sl_group_settle(struct sl_store_tx *tx, int64_t queue, struct sl_str group, int64_t now_ms, struct sl_error *err);

// Deduplication: what was sent to a queue under a key lately. SL_E_NOT_FOUND when nothing was, or until_ms has passed.
int sl_dedup_find(struct sl_store_tx *tx, struct sl_arena *arena, int64_t queue, struct sl_str key, int64_t now_ms,
                  int64_t *ret_seq, struct sl_str *ret_id, struct sl_error *err);
int sl_dedup_put(struct sl_store_tx *tx, int64_t queue, struct sl_str key, int64_t seq, struct sl_str id,
                 int64_t until_ms, struct sl_error *err);
int sl_dedup_expire(struct sl_store_tx *tx, int64_t now_ms, unsigned limit, struct sl_error *err);

// --- blobs: code, by content hash, as directories and files under the data directory ---
//
// Any thread; unpacking is slow: use the pool. In-memory stores keep them in a temporary directory that is removed at
// close. A blob's name is 64 lower-case hexadecimal digits, SL_E_USAGE for anything else.

// An unpacked package, "blobs/code/<sha256>/". Returns an O_PATH directory fd; SL_E_NOT_FOUND when absent.
int sl_blob_open_dir(struct sl_store *store, struct sl_str sha256_hex, int *ret_fd, struct sl_error *err);
bool sl_blob_has(struct sl_store *store, struct sl_str sha256_hex);
// Keeps the original bytes too (GetFunction's Code.Location): "zip/<sha256 hex>". Written to a temporary name, fsynced,
// renamed.
int sl_blob_put_bytes(struct sl_store *store, struct sl_str sha256_hex, struct sl_str bytes, struct sl_error *err);
int sl_blob_open_bytes(struct sl_store *store, struct sl_str sha256_hex, int *ret_fd, struct sl_error *err);
// A fresh private directory to unpack into; then adopt renames it to its final name (durably) or discards it when that
// exists.
int sl_blob_scratch(struct sl_store *store, char ret_name[static 64], int *ret_fd, struct sl_error *err);
int sl_blob_adopt(struct sl_store *store, const char *scratch_name, struct sl_str sha256_hex, struct sl_error *err);
void sl_blob_discard(struct sl_store *store, const char *scratch_name);
// Deletes blobs that `keep` does not want, and what other processes left in scratch; this store's own scratches stay.
// For garbage collection at start and after deletions. `keep` must also want code that was adopted but is not yet named
// by a committed document, and code that an instance still has mounted: its files would vanish.
void sl_blob_sweep(struct sl_store *store, bool (*keep)(void *user, struct sl_str sha256_hex), void *user);

#endif
