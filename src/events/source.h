// SPDX-License-Identifier: Apache-2.0
//
// source: event source mappings at work: queues are read, batches are made, functions are invoked with them, and what
// they have processed is deleted (Lambda developer guide, "Using Lambda with Amazon SQS"). The control plane (lambda/)
// says what is mapped; how a queue is read comes as functions, since events/ does not know the services.
//
// Delivery is at least once: a message is deleted only after the function has answered; what fails, or is under way in
// a crash, becomes visible again after the queue's visibility timeout.
//
// Threads: put, remove and note on any thread; everything else on loop 0.
#ifndef SL_EVENTS_SOURCE_H
#define SL_EVENTS_SOURCE_H

#include "invoke/invoke.h"
#include "store/store.h"

struct sl_event_sources;

// What is mapped. All views are copied.
struct sl_event_source {
    struct sl_str id;                    // the mapping's UUID
    struct sl_str queue;                 // ARN
    struct sl_str account, region, name; // the function
    struct sl_str qualifier;             // version or alias, may be empty
    struct sl_str function_arn;          // as the runtime sees it
    struct sl_str filters;               // FilterCriteria as JSON text, or empty
    unsigned batch_size, window_s;
    unsigned max_concurrency; // ScalingConfig; 0: none
    bool enabled;
    bool reports_failures; // FunctionResponseTypes has ReportBatchItemFailures
};

struct sl_source_received {
    struct sl_json *messages; // as ReceiveMessage answers them, with all attributes
    int64_t queue;            // its number in the store
    int64_t visible_ms;       // when what was received becomes visible again
    int64_t dead_queue;       // queue that got dead letters, or 0
};
enum sl_source_end { SL_SOURCE_DELETE, SL_SOURCE_SHOW, SL_SOURCE_BURY };

// Inside store jobs. `changed` after the commit: the queue (or its dead-letter queue) has something for others.
struct sl_source_queue {
    int (*receive)(void *user, struct sl_store_tx *tx, struct sl_arena *arena, struct sl_str queue, unsigned max,
                   int64_t now_ms, struct sl_source_received *ret, struct sl_error *err);
    int (*settle)(void *user, struct sl_store_tx *tx, struct sl_arena *arena, struct sl_str queue,
                  const struct sl_str *handles, unsigned count, enum sl_source_end end, int64_t now_ms,
                  struct sl_source_received *ret, struct sl_error *err);
    void (*changed)(void *user, int64_t queue);
    void *user;
};

struct sl_event_sources_config {
    struct sl_store *store;
    struct sl_invoker *invoker;
    struct sl_loop *loop; // loop 0
    struct sl_source_queue queue;
};

int sl_event_sources_new(struct sl_event_sources **ret, const struct sl_event_sources_config *config,
                         struct sl_error *err);
void sl_event_sources_start(struct sl_event_sources *sources);
// Reads no more; batches under way finish.
void sl_event_sources_drain(struct sl_event_sources *sources);
unsigned sl_event_sources_busy(const struct sl_event_sources *sources);
// After the loops and the store have ended.
void sl_event_sources_free(struct sl_event_sources *sources);

// Makes or replaces a mapping. Without memory it is logged; a restart reads it again.
void sl_event_sources_put(struct sl_event_sources *sources, const struct sl_event_source *source);
void sl_event_sources_remove(struct sl_event_sources *sources, struct sl_str id);
// Something about the queue has changed.
void sl_event_sources_note(struct sl_event_sources *sources, int64_t queue);
void sl_event_sources_metrics(struct sl_event_sources *sources, struct sl_buf *out);

#endif
