// SPDX-License-Identifier: Apache-2.0
//
// queue: the durable queue of asynchronous invocations (design: accept = durable append, then 202). Events are executed
// in order of acceptance with bounded concurrency; a function error is retried after 1 and 2 minutes, a throttle or
// system error with back-off from 1 s to 5 min until the event is 6 h old (AWS Lambda developer guide, "Error handling
// for asynchronous invocation").
//
// Invariants: an accepted event is executed, or discarded after its last attempt (and logged), or still stored; it is
// removed from the store only after it was settled; attempts never exceed MAX_ATTEMPTS, nor the
// function's own limit. A crash between execution
// and settling runs it again: delivery is at least once.
//
// Threads: sl_event_accept on any loop; everything else on loop 0.
#ifndef SL_EVENTS_QUEUE_H
#define SL_EVENTS_QUEUE_H

#include "invoke/invoke.h"
#include "store/store.h"

struct sl_event_queue;

struct sl_event_queue_config {
    struct sl_store *store;
    struct sl_invoker *invoker;
    struct sl_loop *loop; // loop 0
    unsigned max_running; // events executed at once
};

int sl_event_queue_new(struct sl_event_queue **ret, const struct sl_event_queue_config *config, struct sl_error *err);
// On loop 0's thread: begins to execute, starting with what an earlier run left.
void sl_event_queue_start(struct sl_event_queue *queue);
// Stops taking new work; running events finish. `sl_event_queue_busy` counts running and unsettled ones.
void sl_event_queue_drain(struct sl_event_queue *queue);
unsigned sl_event_queue_busy(const struct sl_event_queue *queue);
// Accepted and not yet settled, as far as known in memory; for metrics.
void sl_event_queue_free(struct sl_event_queue *queue);

// Stores the event (id, accepted_ms and due_ms are set here; the strings must live until `accepted`) and calls back on
// the calling loop: result 0 = durable, answer 202. Nonzero return: refused at once (`accepted` is not called).
int sl_event_accept(struct sl_event_queue *queue, const struct sl_event *event,
                    void (*accepted)(void *user, int result, const struct sl_error *err), void *user,
                    struct sl_error *err);

#endif
