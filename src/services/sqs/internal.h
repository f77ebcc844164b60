// SPDX-License-Identifier: Apache-2.0
//
// internal: what the files of sqs/ share.
//
//   address.c     queue URLs, ARNs, receipt handles; finding the queue a request means
//   queue.c       CreateQueue, GetQueueUrl, ListQueues, DeleteQueue, PurgeQueue; the table of operations
//   attributes.c  GetQueueAttributes, SetQueueAttributes, what values are allowed
//   policy.c      tags, permissions
//   message.c     what a message may be; its digests; the form in which it is stored and shown
//   send.c        SendMessage, SendMessageBatch, deduplication
//   take.c        which messages a receiver gets; dead letters
//   receive.c     ReceiveMessage: the long poll
//   settle.c      DeleteMessage, ChangeMessageVisibility and their batches
//   batch.c       what all batches have in common
//   move.c        dead-letter queues: their sources, moving messages back
//   wait.c        struct sl_sqs: waiters, the janitor
//
// Documents: "sqs.queue"  (account, region, "", name)  {"_id", "CreatedTimestamp", "LastModifiedTimestamp",
// "Attributes": what was set, as text, "Tags"}; "sqs.move" (account, region, source queue's name, task).
#ifndef SL_SERVICES_SQS_INTERNAL_H
#define SL_SERVICES_SQS_INTERNAL_H

#include "aws/app.h"
#include "aws/arn.h"
#include "services/sqs/sqs.h"

enum { SL_SQS_SIZE_MAX = 1024 * 1024, SL_SQS_BATCH = 10, SL_SQS_VISIBILITY_MAX_S = 43200 };

struct sl_sqs_queue {
    struct sl_str account, region, name;
    int64_t id;
    bool fifo;
    struct sl_json *doc, *attributes; // attributes: a member of doc, never NULL
};

// ---- address.c
struct sl_key sl_sqs__key(struct sl_str account, struct sl_str region, struct sl_str name);
// SL_E_QUEUE_DOES_NOT_EXIST when there is none.
int sl_sqs__load(struct sl_store_tx *tx, struct sl_arena *arena, struct sl_str account, struct sl_str region,
                 struct sl_str name, struct sl_sqs_queue *ret, struct sl_error *err);
int sl_sqs__load_arn(struct sl_store_tx *tx, struct sl_arena *arena, struct sl_str arn, struct sl_sqs_queue *ret,
                     struct sl_error *err);
// The queue of the member QueueUrl; errors in the words of the client's protocol.
int sl_sqs__open(struct sl_op *op, struct sl_sqs_queue *ret, struct sl_error *err);
int sl_sqs__no_queue(const struct sl_op *op, struct sl_error *err);
int sl_sqs__save(struct sl_op *op, const struct sl_sqs_queue *queue, struct sl_error *err);
struct sl_str sl_sqs__url(struct sl_op *op, struct sl_str account, struct sl_str name);
struct sl_str sl_sqs__arn(struct sl_arena *arena, const struct sl_sqs_queue *queue);
struct sl_str sl_sqs__handle(struct sl_arena *arena, const struct sl_message *message);
// SL_E_INVALID_RECEIPT_HANDLE for one that was not made for this queue.
int sl_sqs__open_handle(struct sl_arena *arena, const struct sl_sqs_queue *queue, struct sl_str handle,
                        int64_t *ret_seq, int64_t *ret_receipt, struct sl_error *err);
struct sl_sqs *sl_sqs__of(const struct sl_op *op);

// ---- attributes.c
// A number that was set, or its default.
int64_t sl_sqs__setting(const struct sl_sqs_queue *queue, const char *name);
bool sl_sqs__flag(const struct sl_sqs_queue *queue, const char *name);
// Checks attributes of CreateQueue (creating) or SetQueueAttributes and puts them into `into`, in the form they are
// kept.
int sl_sqs__merge(struct sl_op *op, const struct sl_sqs_queue *queue, const struct sl_json *given, bool creating,
                  struct sl_json *into, struct sl_error *err);
// The redrive policy: where messages go after how many receives. False: nowhere.
bool sl_sqs__redrive(struct sl_arena *arena, const struct sl_sqs_queue *queue, struct sl_str *ret_arn,
                     int64_t *ret_receives);

// ---- message.c
struct sl_sqs__draft {
    struct sl_str body, group, dedup, sender, trace;
    const struct sl_json *attributes; // MessageAttributes or NULL
    int64_t delay_s;                  // negative: the queue's own
};
int sl_sqs__check(struct sl_arena *arena, const struct sl_sqs_queue *queue, const struct sl_sqs__draft *draft,
                  struct sl_error *err);
size_t sl_sqs__size(const struct sl_sqs__draft *draft);
// Digests in hexadecimal. Of no attributes: ptr NULL.
struct sl_str sl_sqs__md5(struct sl_arena *arena, struct sl_str bytes);
struct sl_str sl_sqs__md5_attributes(struct sl_arena *arena, const struct sl_json *attributes);
// The document stored beside a message, and a message as it is shown. `wanted_*`: lists of names; `all` for everything.
struct sl_str sl_sqs__message_doc(struct sl_arena *arena, const struct sl_sqs__draft *draft, struct sl_str source);
struct sl_json *sl_sqs__shown(struct sl_arena *arena, const struct sl_sqs_queue *queue,
                              const struct sl_message *message, const struct sl_json *wanted_system,
                              const struct sl_json *wanted_attributes, bool all);
struct sl_str sl_sqs__sequence(struct sl_arena *arena, int64_t seq);

// ---- send.c
int sl_sqs__store(struct sl_store_tx *tx, struct sl_arena *arena, const struct sl_sqs_queue *queue,
                  struct sl_sqs__draft *draft, int64_t now_ms, struct sl_message *ret, struct sl_error *err);

// ---- take.c
struct sl_sqs__take {
    unsigned max;
    int64_t visibility_s; // negative: the queue's own
    int64_t now_ms;
    struct sl_message messages[SL_SQS_BATCH];
    unsigned count;
    int64_t dead_queue; // that got dead letters, for waking
    unsigned dead;
};
int sl_sqs__take(struct sl_store_tx *tx, struct sl_arena *arena, const struct sl_sqs_queue *queue,
                 struct sl_sqs__take *take, struct sl_error *err);
// Moves a message (already read) to another queue, visible at once, as a dead letter does.
int sl_sqs__move(struct sl_store_tx *tx, const struct sl_sqs_queue *to, struct sl_message *message, int64_t now_ms,
                 struct sl_error *err);

// What sl_sqs_settle does for SL_SQS_BURY.
int sl_sqs__bury(struct sl_store_tx *tx, struct sl_arena *arena, const struct sl_sqs_queue *queue,
                 struct sl_message *message, int64_t now_ms, struct sl_sqs_received *ret, struct sl_error *err);

// ---- settle.c
int sl_sqs__delete(struct sl_store_tx *tx, struct sl_arena *arena, const struct sl_sqs_queue *queue,
                   struct sl_str handle, int64_t now_ms, struct sl_error *err);
int sl_sqs__hide(struct sl_store_tx *tx, struct sl_arena *arena, const struct sl_sqs_queue *queue, struct sl_str handle,
                 int64_t visibility_s, int64_t now_ms, struct sl_error *err);

// ---- batch.c
// Runs `each` on every entry and collects Successful and Failed. Errors of the client fail their entry, others the
// whole.
int sl_sqs__batch(struct sl_op *op, const struct sl_sqs_queue *queue,
                  int (*each)(struct sl_op *op, const struct sl_sqs_queue *queue, const struct sl_json *entry,
                              struct sl_json *result, struct sl_error *err),
                  struct sl_error *err);

// ---- waking after the commit: `run` notes, `publish` does
void sl_sqs__note(struct sl_op *op, int64_t queue, unsigned count);
// What the queue's policy is after the commit; empty: none.
void sl_sqs__note_policy(struct sl_op *op, const struct sl_sqs_queue *queue, struct sl_str policy);
void sl_sqs__publish(struct sl_op *op);

// ---- move.c
// The next tick of the janitor calls move_run, inside its job: one step of every task that runs.
void sl_sqs__move_tick(struct sl_sqs *sqs);
int sl_sqs__move_run(struct sl_sqs *sqs, struct sl_store_tx *tx, int64_t now_ms, struct sl_error *err);

// ---- handlers
int sl_sqs__create_queue(struct sl_op *op, struct sl_error *err);
int sl_sqs__get_attributes(struct sl_op *op, struct sl_error *err);
int sl_sqs__set_attributes(struct sl_op *op, struct sl_error *err);
int sl_sqs__tag(struct sl_op *op, struct sl_error *err);
int sl_sqs__untag(struct sl_op *op, struct sl_error *err);
int sl_sqs__list_tags(struct sl_op *op, struct sl_error *err);
int sl_sqs__add_permission(struct sl_op *op, struct sl_error *err);
int sl_sqs__remove_permission(struct sl_op *op, struct sl_error *err);
int sl_sqs__send_message(struct sl_op *op, struct sl_error *err);
int sl_sqs__send_batch(struct sl_op *op, struct sl_error *err);
int sl_sqs__receive_message(struct sl_op *op, struct sl_error *err);
int sl_sqs__delete_message(struct sl_op *op, struct sl_error *err);
int sl_sqs__delete_batch(struct sl_op *op, struct sl_error *err);
int sl_sqs__change_visibility(struct sl_op *op, struct sl_error *err);
int sl_sqs__change_batch(struct sl_op *op, struct sl_error *err);
int sl_sqs__list_sources(struct sl_op *op, struct sl_error *err);
int sl_sqs__start_move(struct sl_op *op, struct sl_error *err);
int sl_sqs__cancel_move(struct sl_op *op, struct sl_error *err);
int sl_sqs__list_moves(struct sl_op *op, struct sl_error *err);

#endif
