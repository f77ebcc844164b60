// SPDX-License-Identifier: Apache-2.0
//
// queue: the durable queue of asynchronous invocations (design: accept = durable append, then 202). A function error is
// retried after 1 and 2 minutes, a throttle or system error with back-off from 1 s to 5 min until the event is 6 h old
// (AWS Lambda developer guide, "Error handling for asynchronous invocation"); limits, dead-letter queue and
// destinations are the function's. Events of one function are a lane; lanes take turns, so that a function which is
// slow, throttled or broken delays its own events only.
//
// The invariants (I1 to I4) are in decide.h.
//
// Threads: sl_event_accept on any loop; sl_event_queue_note on any thread; everything else on loop 0.
#ifndef SL_EVENTS_QUEUE_H
#define SL_EVENTS_QUEUE_H

#include "invoke/invoke.h"
#include "store/store.h"

struct sl_event_queue;

// What a settled event leaves elsewhere.
struct sl_event_letter {
    struct sl_str target;   // ARN
    struct sl_str body;     // a destination's record, or (dead letter) the event itself
    struct sl_str function; // ARN of the function, with qualifier
    struct sl_str trace;    // X-Amzn-Trace-Id
    bool dead_letter;       // then the three below are message attributes
    struct sl_str request_id, error_code, error_message;
    bool success; // of destination records
};

// What happened to one event, as CloudWatch's metrics of asynchronous invocation have it.
struct sl_event_measured {
    struct sl_str function; // ARN, with the qualifier that was invoked
    int64_t at_ms;
    bool received;
    bool ran;                                        // an attempt; then
    int64_t age_ms;                                  // how long it had waited for it, since it was received
    bool dropped;                                    // given up, whoever was told
    unsigned dead_letter_errors, destination_errors; // letters that could not be delivered
};

struct sl_event_queue_config {
    struct sl_store *store;
    struct sl_invoker *invoker;
    struct sl_loop *loop; // loop 0
    unsigned max_running; // events executed at once
    // Delivers a letter whose target is no function, inside the transaction that settles the event. An error of the
    // kinds SL_E_IO, SL_E_NO_MEMORY or SL_E_UNAVAILABLE is tried again later, any other means that the target cannot
    // take it.
    int (*deliver)(void *user, struct sl_store_tx *tx, struct sl_arena *arena, const struct sl_event_letter *letter,
                   int64_t now_ms, int64_t *ret_token, struct sl_error *err);
    void (*delivered)(void *user, struct sl_str target, int64_t token); // storage thread, after the commit
    void *user;
    void (*measured)(void *user, const struct sl_event_measured *measured); // the same; or NULL
    void *measured_user;
};

int sl_event_queue_new(struct sl_event_queue **ret, const struct sl_event_queue_config *config, struct sl_error *err);
// On loop 0's thread: begins to execute, starting with what an earlier run left.
void sl_event_queue_start(struct sl_event_queue *queue);
// Stops taking new work; running events finish. `sl_event_queue_busy` counts those that were taken and are not settled.
void sl_event_queue_drain(struct sl_event_queue *queue);
unsigned sl_event_queue_busy(const struct sl_event_queue *queue);
void sl_event_queue_free(struct sl_event_queue *queue);
// Prometheus text.
void sl_event_queue_metrics(struct sl_event_queue *queue, struct sl_buf *out);

// Stores the event (id, accepted_ms and due_ms are set here; the strings must live until `accepted`) and calls back on
// the calling loop: result 0 = durable, answer 202. Nonzero return: refused at once (`accepted` is not called).
int sl_event_accept(struct sl_event_queue *queue, const struct sl_event *event,
                    void (*accepted)(void *user, int result, const struct sl_error *err), void *user,
                    struct sl_error *err);

// Events of this lane were committed by a job that is not the queue's own.
void sl_event_queue_note(struct sl_event_queue *queue, int64_t lane);

#endif
