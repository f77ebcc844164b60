// SPDX-License-Identifier: Apache-2.0
//
// take: which messages a receiver gets. Of a standard queue the ones that became visible first. Of a FIFO queue as many
// as possible of one group, in order, then of the next; a group of which a message is in flight waits (developer guide,
// "FIFO queue delivery logic"). Messages beyond their retention period are dropped on the way, and those received often
// enough go to the dead-letter queue instead.
//
// Invariant: what is taken is invisible until its time is over, in the same transaction.
#include "services/sqs/internal.h"

enum { ROUNDS = 20, GROUPS = 10 };

struct taking {
    struct sl_store_tx *tx;
    struct sl_arena *arena;
    const struct sl_sqs_queue *queue;
    struct sl_sqs__take *take;
    int64_t visibility_ms, expired_before_ms, max_receives; // max_receives 0: no dead-letter queue
    struct sl_sqs_queue dead;
    unsigned passed; // dropped or moved in this round
};

int sl_sqs__move(struct sl_store_tx *tx, const struct sl_sqs_queue *to, struct sl_message *message, int64_t now_ms,
                 struct sl_error *err) {
    message->visible_ms = now_ms;
    message->receipt = 0;
    // Only FIFO queues count the retention period anew (developer guide, "Dead-letter queues").
    if (to->fifo) message->sent_ms = now_ms;
    int result = sl_message_move(tx, message, to->id, err);
    return result || !to->fifo ? result : sl_group_add(tx, to->id, message->group, now_ms, err);
}

// The document of a dead letter says where it died.
static int add_source(struct taking *taking, struct sl_message *message, struct sl_error *err) {
    struct sl_json *doc;
    struct sl_buf text;
    if (sl_json_parse(taking->arena, message->doc, &doc, err)) return SL_E_IO;
    sl_json_put_string(taking->arena, doc, "source", sl_sqs__arn(taking->arena, taking->queue));
    sl_buf_init(&text, 8 * SL_SQS_SIZE_MAX);
    sl_json_write(&text, doc);
    message->doc = text.failed ? (struct sl_str){0} : sl_arena_dup(taking->arena, sl_buf_view(&text));
    sl_buf_free(&text);
    return message->doc.ptr ? 0 : sl_fail(err, SL_E_NO_MEMORY, "message too large");
}

static int bury(struct taking *taking, struct sl_message *message, struct sl_error *err) {
    int result = add_source(taking, message, err);
    if (!result) result = sl_sqs__move(taking->tx, &taking->dead, message, taking->take->now_ms, err);
    taking->take->dead_queue = taking->dead.id;
    taking->take->dead++;
    taking->passed++;
    return result;
}

static int receive(struct taking *taking, struct sl_message *message, struct sl_error *err) {
    struct sl_sqs__take *take = taking->take;
    uint64_t receipt;
    sl_random_bytes(&receipt, sizeof receipt);
    message->receives++;
    message->received_ms = take->now_ms;
    if (!message->first_ms) message->first_ms = take->now_ms;
    message->visible_ms = take->now_ms + taking->visibility_ms;
    message->receipt = (int64_t)(receipt >> 1) | 1;
    take->messages[take->count++] = *message;
    return sl_message_update(taking->tx, message, err);
}

static int visit(struct taking *taking, struct sl_message *message, struct sl_error *err) {
    if (message->sent_ms < taking->expired_before_ms) {
        taking->passed++;
        return sl_message_remove(taking->tx, message->seq, err);
    }
    if (taking->max_receives && message->receives >= taking->max_receives) return bury(taking, message, err);
    return receive(taking, message, err);
}

static int take_any(struct taking *taking, struct sl_error *err) {
    struct sl_sqs__take *take = taking->take;
    struct sl_message *list;
    unsigned count;
    int result = sl_message_visible(taking->tx, taking->arena, taking->queue->id, take->now_ms, take->max - take->count,
                                    &list, &count, err);
    for (unsigned i = 0; !result && i < count; i++) result = visit(taking, &list[i], err);
    return result;
}

static int take_group(struct taking *taking, struct sl_str group, struct sl_error *err) {
    struct sl_sqs__take *take = taking->take;
    struct sl_message *list = NULL;
    unsigned count = 0, before = taking->passed + take->count;
    int result = sl_message_of_group(taking->tx, taking->arena, taking->queue->id, group, take->max - take->count,
                                     &list, &count, err);
    for (unsigned i = 0; !result && i < count && list[i].visible_ms <= take->now_ms; i++)
        result = visit(taking, &list[i], err);
    // An empty group's row goes too: that counts as having changed something.
    if (!result && taking->passed + take->count == before) taking->passed++;
    return result ? result : sl_group_settle(taking->tx, taking->queue->id, group, take->now_ms, err);
}

static int take_in_order(struct taking *taking, struct sl_error *err) {
    struct sl_sqs__take *take = taking->take;
    struct sl_str *groups;
    unsigned count;
    int result =
        sl_group_ready(taking->tx, taking->arena, taking->queue->id, take->now_ms, GROUPS, &groups, &count, err);
    for (unsigned i = 0; !result && i < count && take->count < take->max; i++)
        result = take_group(taking, groups[i], err);
    return result;
}

int sl_sqs__take(struct sl_store_tx *tx, struct sl_arena *arena, const struct sl_sqs_queue *queue,
                 struct sl_sqs__take *take, struct sl_error *err) {
    struct taking taking = {.tx = tx, .arena = arena, .queue = queue, .take = take};
    struct sl_str dead;
    int64_t visibility_s = take->visibility_s < 0 ? sl_sqs__setting(queue, "VisibilityTimeout") : take->visibility_s;
    taking.visibility_ms = visibility_s * 1000;
    taking.expired_before_ms = take->now_ms - sl_sqs__setting(queue, "MessageRetentionPeriod") * 1000;
    // Without its dead-letter queue (deleted since) a queue keeps delivering.
    if (sl_sqs__redrive(arena, queue, &dead, &taking.max_receives) &&
        sl_sqs__load_arn(tx, arena, dead, &taking.dead, err))
        taking.max_receives = 0;
    int result = 0;
    // Rounds that only dropped or moved messages are followed by another; one that gave some is enough.
    for (unsigned round = 0; !result && round < ROUNDS && !take->count; round++) {
        taking.passed = 0;
        result = queue->fifo ? take_in_order(&taking, err) : take_any(&taking, err);
        if (!taking.passed) break;
    }
    return result;
}

// A dead letter before its time: where its queue sends them, or nowhere.
int sl_sqs__bury(struct sl_store_tx *tx, struct sl_arena *arena, const struct sl_sqs_queue *queue,
                 struct sl_message *message, int64_t now_ms, struct sl_sqs_received *ret, struct sl_error *err) {
    struct sl_sqs__take take = {.now_ms = now_ms};
    struct taking taking = {.tx = tx, .arena = arena, .queue = queue, .take = &take};
    struct sl_str dead;
    bool somewhere = sl_sqs__redrive(arena, queue, &dead, &taking.max_receives) &&
                     sl_sqs__load_arn(tx, arena, dead, &taking.dead, err) == 0;
    int result = somewhere ? bury(&taking, message, err) : sl_message_remove(tx, message->seq, err);
    if (somewhere) ret->dead_queue = take.dead_queue;
    ret->dead += somewhere;
    return result || !queue->fifo ? result : sl_group_settle(tx, queue->id, message->group, now_ms, err);
}

int sl_sqs_receive(struct sl_store_tx *tx, struct sl_arena *arena, struct sl_str queue_arn, unsigned max,
                   int64_t now_ms, struct sl_sqs_received *ret, struct sl_error *err) {
    struct sl_sqs_queue queue;
    struct sl_sqs__take take = {.max = max < SL_SQS_BATCH ? max : SL_SQS_BATCH, .visibility_s = -1, .now_ms = now_ms};
    int result = sl_sqs__load_arn(tx, arena, queue_arn, &queue, err);
    if (!result) result = sl_sqs__take(tx, arena, &queue, &take, err);
    if (result) return result;
    struct sl_json *list = sl_json_new_array(arena);
    for (unsigned i = 0; i < take.count; i++)
        sl_json_push(list, sl_sqs__shown(arena, &queue, &take.messages[i], NULL, NULL, true));
    if (sl_arena_failed(arena)) return sl_fail(err, SL_E_NO_MEMORY, "messages too large");
    *ret = (struct sl_sqs_received){.messages = list,
                                    .queue = queue.id,
                                    .visible_ms = now_ms + sl_sqs__setting(&queue, "VisibilityTimeout") * 1000,
                                    .dead_queue = take.dead_queue,
                                    .dead = take.dead};
    return 0;
}
