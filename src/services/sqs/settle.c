// SPDX-License-Identifier: Apache-2.0
//
// settle: what a receiver does with a message: DeleteMessage, ChangeMessageVisibility and their batches.
//
// A receipt handle counts until the message is received again. On a standard queue an older one is accepted and changes
// nothing; on a FIFO queue it has expired as soon as the message is visible again (API reference, DeleteMessage).
#include "services/sqs/internal.h"

#include <inttypes.h>

static int expired(struct sl_str handle, struct sl_error *err) {
    return sl_fail(err, SL_E_INVALID_PARAMETER,
                   "Value %.*s for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.",
                   SL_FMT(handle));
}

// The message that the handle stands for. *ret_current: the handle still counts.
static int find(struct sl_store_tx *tx, struct sl_arena *arena, const struct sl_sqs_queue *queue, struct sl_str handle,
                int64_t now_ms, struct sl_message *ret, bool *ret_current, struct sl_error *err) {
    int64_t seq, receipt;
    int result = sl_sqs__open_handle(arena, queue, handle, &seq, &receipt, err);
    if (!result) result = sl_message_get(tx, arena, queue->id, seq, ret, err);
    if (result) return result;
    *ret_current = ret->receipt == receipt;
    if (queue->fifo && (!*ret_current || ret->visible_ms <= now_ms)) return expired(handle, err);
    return 0;
}

int sl_sqs__delete(struct sl_store_tx *tx, struct sl_arena *arena, const struct sl_sqs_queue *queue,
                   struct sl_str handle, int64_t now_ms, struct sl_error *err) {
    struct sl_message message;
    bool current;
    int result = find(tx, arena, queue, handle, now_ms, &message, &current, err);
    if (result == SL_E_NOT_FOUND) return 0; // deleted before: deleting is idempotent
    if (result || !current) return result;
    result = sl_message_remove(tx, message.seq, err);
    if (!result && queue->fifo) result = sl_group_settle(tx, queue->id, message.group, now_ms, err);
    return result;
}

int sl_sqs__hide(struct sl_store_tx *tx, struct sl_arena *arena, const struct sl_sqs_queue *queue, struct sl_str handle,
                 int64_t visibility_s, int64_t now_ms, struct sl_error *err) {
    struct sl_message message;
    bool current;
    if (visibility_s < 0 || visibility_s > SL_SQS_VISIBILITY_MAX_S)
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "Value %" PRId64
                       " for parameter VisibilityTimeout is invalid. Reason: Must be between 0 and 43200.",
                       visibility_s);
    int result = find(tx, arena, queue, handle, now_ms, &message, &current, err);
    if (result == SL_E_NOT_FOUND)
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "Value %.*s for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not "
                       "available for visibility timeout change.",
                       SL_FMT(handle));
    if (result || !current || message.visible_ms <= now_ms) return result; // visible again: recorded as success
    if (visibility_s * 1000 + now_ms - message.received_ms > (int64_t)SL_SQS_VISIBILITY_MAX_S * 1000)
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "Value %" PRId64
                       " for parameter VisibilityTimeout is invalid. Reason: Total VisibilityTimeout for "
                       "the message is beyond the limit [43200 seconds].",
                       visibility_s);
    message.visible_ms = now_ms + visibility_s * 1000;
    result = sl_message_update(tx, &message, err);
    if (!result && queue->fifo) result = sl_group_settle(tx, queue->id, message.group, now_ms, err);
    return result;
}

// ---- operations -----------------------------------------------------------------------------------------------------

static int delete_one(struct sl_op *op, const struct sl_sqs_queue *queue, const struct sl_json *in, struct sl_json *out,
                      struct sl_error *err) {
    (void)out;
    if (queue->fifo) sl_sqs__note(op, queue->id, 1); // its group may go on
    return sl_sqs__delete(op->tx, op->arena, queue, sl_json_string(in, "ReceiptHandle"), op->now_ms, err);
}

static int hide_one(struct sl_op *op, const struct sl_sqs_queue *queue, const struct sl_json *in, struct sl_json *out,
                    struct sl_error *err) {
    (void)out;
    if (!sl_json_get(in, "VisibilityTimeout"))
        return sl_fail(err, SL_E_MISSING_PARAMETER, "The request must contain the parameter VisibilityTimeout.");
    sl_sqs__note(op, queue->id, 1); // it may be visible, or become so earlier than those who wait reckon with
    return sl_sqs__hide(op->tx, op->arena, queue, sl_json_string(in, "ReceiptHandle"),
                        sl_json_int(in, "VisibilityTimeout", -1), op->now_ms, err);
}

int sl_sqs__delete_message(struct sl_op *op, struct sl_error *err) {
    struct sl_sqs_queue queue;
    int result = sl_sqs__open(op, &queue, err);
    return result ? result : delete_one(op, &queue, op->in, op->out, err);
}

int sl_sqs__delete_batch(struct sl_op *op, struct sl_error *err) {
    struct sl_sqs_queue queue;
    int result = sl_sqs__open(op, &queue, err);
    return result ? result : sl_sqs__batch(op, &queue, delete_one, err);
}

int sl_sqs__change_visibility(struct sl_op *op, struct sl_error *err) {
    struct sl_sqs_queue queue;
    int result = sl_sqs__open(op, &queue, err);
    return result ? result : hide_one(op, &queue, op->in, op->out, err);
}

int sl_sqs__change_batch(struct sl_op *op, struct sl_error *err) {
    struct sl_sqs_queue queue;
    int result = sl_sqs__open(op, &queue, err);
    return result ? result : sl_sqs__batch(op, &queue, hide_one, err);
}

static int end_one(struct sl_store_tx *tx, struct sl_arena *arena, const struct sl_sqs_queue *queue,
                   struct sl_str handle, enum sl_sqs_end end, int64_t now_ms, struct sl_sqs_received *ret,
                   struct sl_error *err) {
    struct sl_message message;
    bool current;
    if (end == SL_SQS_DELETE) return sl_sqs__delete(tx, arena, queue, handle, now_ms, err);
    if (end == SL_SQS_SHOW) return sl_sqs__hide(tx, arena, queue, handle, 0, now_ms, err);
    int result = find(tx, arena, queue, handle, now_ms, &message, &current, err);
    return result || !current ? result : sl_sqs__bury(tx, arena, queue, &message, now_ms, ret, err);
}

int sl_sqs_settle(struct sl_store_tx *tx, struct sl_arena *arena, struct sl_str queue_arn, const struct sl_str *handles,
                  unsigned count, enum sl_sqs_end end, int64_t now_ms, struct sl_sqs_received *ret,
                  struct sl_error *err) {
    struct sl_sqs_queue queue;
    *ret = (struct sl_sqs_received){0};
    int result = sl_sqs__load_arn(tx, arena, queue_arn, &queue, err);
    if (result) return result;
    ret->queue = queue.id;
    for (unsigned i = 0; i < count; i++) {
        result = end_one(tx, arena, &queue, handles[i], end, now_ms, ret, err);
        // A handle that has expired, a message that is gone: it is somebody else's by now.
        if (result && result != SL_E_INVALID_PARAMETER && result != SL_E_NOT_FOUND) return result;
    }
    return 0;
}
