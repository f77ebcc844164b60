// SPDX-License-Identifier: Apache-2.0
//
// send: SendMessage and SendMessageBatch. What was sent to a FIFO queue under a deduplication id is remembered for five
// minutes, also after it was received and deleted: sending it again answers the first one's ids and stores nothing
// (developer guide, "Exactly-once processing").
#include "services/sqs/internal.h"

#include <openssl/evp.h>

#include "base/encoding.h"

enum { DEDUP_MS = 5 * 60 * 1000 };

// The id itself, or the body's SHA-256 with ContentBasedDeduplication.
static struct sl_str dedup_id(struct sl_arena *arena, const struct sl_sqs__draft *draft) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    if (draft->dedup.len) return draft->dedup;
    if (!EVP_Digest(draft->body.ptr, draft->body.len, digest, &length, EVP_sha256(), NULL)) return (struct sl_str){0};
    struct sl_buf text;
    sl_buf_init(&text, 256);
    sl_hex_encode(&text, sl_str_n((const char *)digest, length));
    struct sl_str copy = sl_arena_dup(arena, sl_buf_view(&text));
    sl_buf_free(&text);
    return copy;
}

static int append(struct sl_store_tx *tx, struct sl_arena *arena, const struct sl_sqs_queue *queue,
                  const struct sl_sqs__draft *draft, int64_t now_ms, struct sl_message *ret, struct sl_error *err) {
    int64_t delay_s = draft->delay_s < 0 || queue->fifo ? sl_sqs__setting(queue, "DelaySeconds") : draft->delay_s;
    char id[SL_UUID];
    sl_uuid(id);
    *ret = (struct sl_message){.queue = queue->id,
                               .visible_ms = now_ms + delay_s * 1000,
                               .sent_ms = now_ms,
                               .id = sl_arena_dup(arena, sl_str_of(id)),
                               .group = draft->group,
                               .doc = sl_sqs__message_doc(arena, draft, (struct sl_str){0}),
                               .body = draft->body};
    if (!ret->doc.ptr || sl_arena_failed(arena)) return sl_fail(err, SL_E_NO_MEMORY, "message too large");
    int result = sl_message_append(tx, ret, err);
    if (result || !queue->fifo) return result;
    return sl_group_add(tx, queue->id, ret->group, ret->visible_ms, err);
}

int sl_sqs__store(struct sl_store_tx *tx, struct sl_arena *arena, const struct sl_sqs_queue *queue,
                  struct sl_sqs__draft *draft, int64_t now_ms, struct sl_message *ret, struct sl_error *err) {
    if (!queue->fifo) return append(tx, arena, queue, draft, now_ms, ret, err);
    draft->dedup = dedup_id(arena, draft);
    bool by_group = sl_str_is(sl_json_string(queue->attributes, "DeduplicationScope"), "messageGroup");
    struct sl_str key =
        by_group ? sl_arena_printf(arena, "%.*s\n%.*s", SL_FMT(draft->group), SL_FMT(draft->dedup)) : draft->dedup;
    *ret = (struct sl_message){.queue = queue->id};
    int result = sl_dedup_find(tx, arena, queue->id, key, now_ms, &ret->seq, &ret->id, err);
    if (result != SL_E_NOT_FOUND) return result;
    result = append(tx, arena, queue, draft, now_ms, ret, err);
    return result ? result : sl_dedup_put(tx, queue->id, key, ret->seq, ret->id, now_ms + DEDUP_MS, err);
}

// ---- operations -----------------------------------------------------------------------------------------------------

static struct sl_sqs__draft draft_of(struct sl_op *op, const struct sl_json *in) {
    const struct sl_json *system = sl_json_get(in, "MessageSystemAttributes");
    struct sl_str trace = sl_json_string(sl_json_get(system, "AWSTraceHeader"), "StringValue");
    return (struct sl_sqs__draft){.body = sl_json_string(in, "MessageBody"),
                                  .group = sl_json_string(in, "MessageGroupId"),
                                  .dedup = sl_json_string(in, "MessageDeduplicationId"),
                                  .sender = op->caller_id,
                                  // A function's SDK sends the header; so chains of functions are known as such.
                                  .trace = trace.len ? trace : op->trace,
                                  .attributes = sl_json_get(in, "MessageAttributes"),
                                  .delay_s = sl_json_int(in, "DelaySeconds", -1)};
}

static int send_one(struct sl_op *op, const struct sl_sqs_queue *queue, const struct sl_json *in, struct sl_json *out,
                    struct sl_error *err) {
    struct sl_sqs__draft draft = draft_of(op, in);
    struct sl_message message;
    int64_t delay = sl_json_int(in, "DelaySeconds", 0);
    if (delay < 0)
        return sl_fail(
            err, SL_E_INVALID_PARAMETER,
            "Value %lld for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900.",
            (long long)delay);
    int result = sl_sqs__check(op->arena, queue, &draft, err);
    if (!result) result = sl_sqs__store(op->tx, op->arena, queue, &draft, op->now_ms, &message, err);
    if (result) return result;
    struct sl_str attributes = sl_sqs__md5_attributes(op->arena, draft.attributes);
    struct sl_str system = sl_sqs__md5_attributes(op->arena, sl_json_get(in, "MessageSystemAttributes"));
    sl_json_put_string(op->arena, out, "MessageId", message.id);
    sl_json_put_string(op->arena, out, "MD5OfMessageBody", sl_sqs__md5(op->arena, draft.body));
    if (attributes.ptr) sl_json_put_string(op->arena, out, "MD5OfMessageAttributes", attributes);
    if (system.ptr) sl_json_put_string(op->arena, out, "MD5OfMessageSystemAttributes", system);
    if (queue->fifo) sl_json_put_string(op->arena, out, "SequenceNumber", sl_sqs__sequence(op->arena, message.seq));
    sl_sqs__note(op, queue->id, 1);
    return 0;
}

int sl_sqs__send_message(struct sl_op *op, struct sl_error *err) {
    struct sl_sqs_queue queue;
    int result = sl_sqs__open(op, &queue, err);
    return result ? result : send_one(op, &queue, op->in, op->out, err);
}

// What makes AWS refuse the whole batch rather than one entry of it.
static int check_batch(struct sl_op *op, const struct sl_sqs_queue *queue, struct sl_error *err) {
    const struct sl_json *entries = sl_json_get(op->in, "Entries");
    size_t size = 0;
    for (const struct sl_json *at = entries->first; at; at = at->next) {
        const struct sl_sqs__draft draft = draft_of(op, at);
        size += sl_sqs__size(&draft);
        if (queue->fifo && !draft.group.len)
            return sl_fail(err, SL_E_INVALID_PARAMETER, "The request must contain the parameter MessageGroupId.");
        if (queue->fifo && !draft.dedup.len && !sl_sqs__flag(queue, "ContentBasedDeduplication"))
            return sl_fail(err, SL_E_INVALID_PARAMETER,
                           "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId "
                           "provided explicitly");
    }
    if (size <= SL_SQS_SIZE_MAX) return 0;
    return sl_fail(err, SL_E_BATCH_TOO_LONG, "Batch requests cannot be longer than %d bytes. You have sent %zu bytes.",
                   SL_SQS_SIZE_MAX, size);
}

int sl_sqs__send_batch(struct sl_op *op, struct sl_error *err) {
    struct sl_sqs_queue queue;
    int result = sl_sqs__open(op, &queue, err);
    if (!result && sl_json_get(op->in, "Entries")->count <= SL_SQS_BATCH) result = check_batch(op, &queue, err);
    return result ? result : sl_sqs__batch(op, &queue, send_one, err);
}

int sl_sqs_send(struct sl_store_tx *tx, struct sl_arena *arena, struct sl_str queue_arn,
                const struct sl_sqs_letter *letter, int64_t now_ms, int64_t *ret_queue, struct sl_error *err) {
    struct sl_sqs_queue queue;
    struct sl_message message;
    struct sl_sqs__draft draft = {.body = letter->body,
                                  .group = letter->group,
                                  .dedup = letter->dedup,
                                  .sender = letter->sender,
                                  .trace = letter->trace,
                                  .attributes = letter->attributes,
                                  .delay_s = -1};
    int result = sl_sqs__load_arn(tx, arena, queue_arn, &queue, err);
    if (!result) result = sl_sqs__check(arena, &queue, &draft, err);
    if (!result) result = sl_sqs__store(tx, arena, &queue, &draft, now_ms, &message, err);
    if (!result) *ret_queue = queue.id;
    return result;
}
