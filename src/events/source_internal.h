// SPDX-License-Identifier: Apache-2.0
//
// source_internal: what source.c (which mappings there are, whose turn it is) and batch.c (one batch from receiving to
// deleting) share, and message.c (a message as the function sees it, filters).
//
// A batch belongs to its mapping. While a store job of it runs, what the job reads and writes is the storage thread's;
// all else is loop 0's.
#ifndef SL_EVENTS_SOURCE_INTERNAL_H
#define SL_EVENTS_SOURCE_INTERNAL_H

#include "events/source.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    SL_SOURCE_PAYLOAD = 6 * 1024 * 1024, // of one invocation (developer guide, "Batching behavior")
    SL_SOURCE_DIRTY = 256,
};

struct sl_source__spec {
    struct sl_event_source is;
    struct sl_arena arena;
    struct sl_json *filters; // parsed: an array of patterns, or NULL
};

struct sl_source__batch {
    struct sl_source__batch *next; // of those that wait to be tried again
    struct sl_source__mapping *mapping;
    struct sl_arena arena;
    struct sl_buf payload;
    struct sl_str *handles, *ids; // of `count` messages
    unsigned count, room;
    bool full;
    int64_t started_ms, visible_ms;
    bool loops_allowed;  // the function's
    struct sl_str queue; // ARN
    struct sl_str trace; // of the message that has been round most often
    unsigned rounds;
    struct sl_invocation invocation;
    int64_t retry_ms;
    // the store job that runs
    struct sl_store_job job;
    struct sl_source_received got;
    int64_t next_ms; // of a receive: when time alone brings a message
    unsigned passed; // messages that were filtered out or buried
    enum sl_source_end end;
    unsigned done; // of a settle: messages settled so far
};

struct sl_source__mapping {
    struct sl_source__mapping *next;
    struct sl_event_sources *sources;
    struct sl_source__spec *spec, *newer; // newer: takes its place when nothing is being received
    bool removed, news, pumping, again;
    unsigned readers, readers_wanted; // receives under way; more than one when messages pile up
    struct sl_source__batch *gather;  // with a window: being filled, or NULL
    struct sl_source__batch *waiting;
    unsigned in_flight, limit; // batches
    int64_t queue, next_ms, hold_until_ms, hold_ms;
};

struct sl_event_sources {
    struct sl_event_sources_config config;
    struct sl_source__mapping *mappings;
    struct sl_timer timer;
    bool draining;
    size_t bytes; // of payloads in memory
    atomic_uint busy, count;
    _Atomic uint64_t messages, batches, failed, filtered;

    pthread_mutex_t lock; // guards what follows
    int64_t dirty[SL_SOURCE_DIRTY];
    unsigned dirty_count;
    bool dirty_all, woken;
    struct sl_mail wake_mail;
};

// source.c
void sl_source__pump(struct sl_source__mapping *mapping);
unsigned sl_source__cap(const struct sl_source__spec *spec);

// batch.c
struct sl_source__batch *sl_source__batch_new(struct sl_source__mapping *mapping);
void sl_source__batch_free(struct sl_source__batch *batch);
// Reads more messages into the batch; sl_source__received when done.
bool sl_source__receive(struct sl_source__batch *batch);
void sl_source__received(struct sl_source__mapping *mapping, struct sl_source__batch *batch, int result,
                         const struct sl_error *err); // source.c
void sl_source__invoke(struct sl_source__batch *batch);
// Makes its messages visible again and frees it.
void sl_source__release(struct sl_source__batch *batch);
void sl_source__ended(struct sl_source__batch *batch); // source.c: the batch is about to be freed

// message.c
// Whether a message passes the filters.
bool sl_source__wanted(struct sl_arena *arena, const struct sl_source__spec *spec, const struct sl_json *message);
// Appends it as an element of Records.
void sl_source__put_record(struct sl_buf *out, const struct sl_source__spec *spec, const struct sl_json *message);
// Which messages failed: marks failed[i]. False: the answer means that all did.
bool sl_source__failures(struct sl_arena *arena, struct sl_str answer, const struct sl_str *ids, unsigned count,
                         bool *failed);

#endif
