// SPDX-License-Identifier: Apache-2.0
//
// internal: what the files of the asynchronous queue share.
//
//   queue.c    accepting, life, metrics
//   lane.c     which event is taken next: lanes, loading, turns, holding back
//   settle.c   executing one event and what becomes of it
//   record.c   what destinations and dead-letter queues are told
//   decide.c   the rules, without memory or clock
//
// An event that was taken (struct sl_events__job) belongs to one lane and is in the lane's list from load until it is
// settled or let go. Everything here but `dirty` and the counters lives on loop 0.
#ifndef SL_EVENTS_INTERNAL_H
#define SL_EVENTS_INTERNAL_H

#include "events/decide.h"
#include "events/queue.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    SL_EVENTS_BUCKETS = 4096,
    SL_EVENTS_DIRTY = 1024,
    SL_EVENTS_ARENA = 96 * 1024 * 1024, // of one event: its payload, an answer, the record of both
};

struct sl_events__job {
    struct sl_invocation invocation;
    struct sl_event_queue *queue;
    struct sl_events__lane *lane;
    struct sl_events__job *next, **prev; // in the lane's list of what was taken
    struct sl_events__job *next_ready;
    struct sl_event event;
    struct sl_arena arena;
    struct sl_store_job settle;
    struct sl_event_limits limits;
    struct sl_event_decision decision;
    struct sl_str on_success, on_failure, dead_letter; // ARNs or empty
    struct sl_event_letter letters[2];
    int64_t tokens[2]; // of delivered letters
    unsigned letter_count;
    char trouble[512];  // why a letter cannot be delivered; ""
    bool running, bury; // bury: goes to the table of dead events
    bool ran;           // the attempt; begun at
    int64_t begun_ms;
    unsigned dead_letter_errors, destination_errors;
};

struct sl_events__lane {
    struct sl_events__lane *next_in_bucket;
    struct sl_events__lane *next_active;
    struct sl_event_queue *queue;
    int64_t id;
    int64_t next_ms;       // when there may be something to load; INT64_MAX: not known of
    int64_t news_ms;       // the same, learned while a load was under way
    int64_t held_until_ms; // nothing of the lane is executed before
    int64_t hold_ms;       // how long it was held the last time
    struct sl_events__job *taken;
    struct sl_events__job *ready, **ready_end;
    unsigned taken_count, running;
    bool loading, active;
};

struct sl_event_queue {
    struct sl_event_queue_config config;
    struct sl_timer timer;
    struct sl_events__lane *buckets[SL_EVENTS_BUCKETS];
    struct sl_events__lane *active, **active_end;
    unsigned active_count, running;
    atomic_uint loads; // jobs that only read, or tidy up
    size_t bytes;      // of payloads that were taken
    bool draining, pumping, scanning;
    int64_t scan_at_ms, expire_at_ms;
    atomic_uint unsettled;
    _Atomic uint64_t accepted, executed, failed, held, dead;

    // What other threads say about lanes.
    pthread_mutex_t lock;
    int64_t dirty[SL_EVENTS_DIRTY];
    unsigned dirty_count;
    bool dirty_all; // more than fit: look at all lanes
    bool woken;
    struct sl_mail wake_mail;
};

// queue.c
void sl_events__measure(const struct sl_event_queue *queue, const struct sl_event_measured *measured);

// lane.c
void sl_events__pump(struct sl_event_queue *queue);
// Something of the lane is, or will be, there to load.
void sl_events__due(struct sl_event_queue *queue, int64_t lane, int64_t due_ms);
// The job is over: out of its lane, freed.
void sl_events__release(struct sl_events__job *job);
// The function could not run: its lane waits, and what was taken and has not begun is let go.
void sl_events__hold(struct sl_events__lane *lane);
void sl_events__scan(struct sl_event_queue *queue);
void sl_events__tick(struct sl_timer *timer);
void sl_events__free_lanes(struct sl_event_queue *queue);

// settle.c
void sl_events__execute(struct sl_events__job *job);

// record.c
// Fills job->letters for a decision of DONE or DEAD. result NULL: the function did not run.
void sl_events__letters(struct sl_events__job *job, const struct sl_invocation_result *result, int64_t now_ms);

#endif
