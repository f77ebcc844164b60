// SPDX-License-Identifier: Apache-2.0
//
// sqs: Amazon SQS: standard and FIFO queues on the store. Sending is durable before it is acknowledged; a long poll is
// a parked request that costs its memory only.
//
// Data flow: an operation is a store job (one transaction); after its commit the queue's waiters are woken
// (sl_sqs_wake), each on its own loop, and look again. What is true is in the store; a wake-up is a hint, and whoever
// finds nothing waits again.
//
// Threads: operations where op.h says; sl_sqs_send and the like inside jobs, on the storage thread; sl_sqs_wake and
// sl_sqs_wait on any thread.
#ifndef SL_SERVICES_SQS_SQS_H
#define SL_SERVICES_SQS_SQS_H

#include "aws/op.h"
#include "net/loop.h"
#include "store/store.h"

struct sl_sqs;

// Ends with an entry whose service is NULL. Their op->app is a struct sl_app with `sqs` set.
extern const struct sl_op_entry sl_sqs_operations[];

struct sl_app;
// Queues' policies into app->callers' directory. At start, before requests.
int sl_sqs_load(const struct sl_app *app, struct sl_error *err);
int sl_sqs_new(struct sl_sqs **ret, struct sl_store *store, struct sl_error *err);
// On the loop's thread, once: begins to remove what is older than its queue's retention period, and resumes what moves
// messages. The loop is the same that sl_sqs_stop_timers is called on.
void sl_sqs_start(struct sl_sqs *sqs, struct sl_loop *loop);
// Any thread: every long poll is answered as if its time were over, and none waits from now on.
void sl_sqs_stop(struct sl_sqs *sqs);
// On the loop of sl_sqs_start.
void sl_sqs_stop_timers(struct sl_sqs *sqs);
// Its own jobs in the store; 0 before the store is closed.
unsigned sl_sqs_busy(const struct sl_sqs *sqs);
void sl_sqs_free(struct sl_sqs *sqs);

// ---- for other parts of the server, inside jobs of their own
// ---------------------------------------------------------

// A message as a part of the server sends it (a dead letter, a destination, a subscription).
struct sl_sqs_letter {
    struct sl_str body;
    struct sl_str group, dedup;       // FIFO queues
    const struct sl_json *attributes; // as MessageAttributes of SendMessage, or NULL
    struct sl_str sender;             // SenderId
    struct sl_str trace;              // AWSTraceHeader
};
// *ret_queue: for sl_sqs_wake after the commit. SL_E_QUEUE_DOES_NOT_EXIST for an ARN without queue, else the errors of
// SendMessage.
int sl_sqs_send(struct sl_store_tx *tx, struct sl_arena *arena, struct sl_str queue_arn,
                const struct sl_sqs_letter *letter, int64_t now_ms, int64_t *ret_queue, struct sl_error *err);
struct sl_sqs_received {
    struct sl_json *messages; // an array as ReceiveMessage answers it with all attributes; blobs are raw bytes
    int64_t queue;            // for sl_sqs_wake after the commit
    int64_t visible_ms;       // when what was received becomes visible again
    int64_t dead_queue;       // got `dead` messages: to be woken too
    unsigned dead;
};
// Receives at most `max` (1-10) for the queue's own visibility timeout.
int sl_sqs_receive(struct sl_store_tx *tx, struct sl_arena *arena, struct sl_str queue_arn, unsigned max,
                   int64_t now_ms, struct sl_sqs_received *ret, struct sl_error *err);
enum sl_sqs_end {
    SL_SQS_DELETE,
    SL_SQS_SHOW, // visible again now
    SL_SQS_BURY, // to the dead-letter queue, whatever its receives; deleted when there is none
};
// Ends the receiving of messages, by their handles. Handles that no longer count are passed over.
int sl_sqs_settle(struct sl_store_tx *tx, struct sl_arena *arena, struct sl_str queue_arn, const struct sl_str *handles,
                  unsigned count, enum sl_sqs_end end, int64_t now_ms, struct sl_sqs_received *ret,
                  struct sl_error *err);

// ---- waiting --------------------------------------------------------------------------------------------------------

// Something that wants to look at a queue again once it has changed. Embedded; belongs to the waiter's loop.
struct sl_sqs_waiter {
    struct sl_sqs_waiter *next, **prev; // internal; prev NULL: not waiting
    int64_t queue;
    struct sl_loop *loop;
    struct sl_mail mail;
    void (*woken)(struct sl_mail *mail); // on the loop; it no longer waits then
};
// False when the server is stopping: nobody waits any more.
bool sl_sqs_wait(struct sl_sqs *sqs, struct sl_sqs_waiter *waiter, int64_t queue);
// False when it was not waiting: then `woken` was called or its letter is on the way.
bool sl_sqs_unwait(struct sl_sqs *sqs, struct sl_sqs_waiter *waiter);
// At most `count` waiters of the queue, longest waiting first; and whoever watches all queues (one, set before anything
// runs; called on any thread).
void sl_sqs_watch(struct sl_sqs *sqs, void (*changed)(void *user, int64_t queue), void *user);
void sl_sqs_wake(struct sl_sqs *sqs, int64_t queue, unsigned count);

#endif
