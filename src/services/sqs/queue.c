// SPDX-License-Identifier: Apache-2.0
//
// queue: CreateQueue, GetQueueUrl, ListQueues, DeleteQueue, PurgeQueue, and the table of SQS's operations.
//
// Two limits of AWS are not kept, because tests recreate and purge queues all the time: a deleted name can be used
// again at once (AWS: after 60 seconds, QueueDeletedRecently), and a queue can be purged again at once
// (PurgeQueueInProgress).
#include "services/sqs/internal.h"

#include <stdio.h>

#include "aws/page.h"

static bool name_characters(struct sl_str name) {
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
        if (!plain) return false;
    }
    return name.len > 0;
}

static int check_name(struct sl_str name, bool fifo, struct sl_error *err) {
    bool fits = name.len >= 1 && name.len <= 80;
    if (fifo && (!fits || !sl_str_ends(name, SL_STR(".fifo")) || !name_characters(sl_str_sub(name, 0, name.len - 5)))) {
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, "
                       "must end with .fifo suffix and be 1 to 80 in length.");
    }
    if (!fifo && (!fits || !name_characters(name))) {
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length");
    }
    return 0;
}

// The queue is there: the same attributes again are fine (API reference, CreateQueue).
static int check_same(struct sl_op *op, const struct sl_sqs_queue *queue, const struct sl_json *given,
                      struct sl_error *err) {
    struct sl_json *wanted = sl_json_new_object(op->arena);
    int result = sl_sqs__merge(op, queue, given, true, wanted, err);
    for (const struct sl_json *at = result == 0 ? wanted->first : NULL; at; at = at->next) {
        const struct sl_json *have = sl_json_get_str(queue->attributes, at->key);
        char name[64];
        int64_t number;
        snprintf(name, sizeof name, "%.*s", SL_FMT(at->key));
        if (have ? sl_str_eq(have->text, at->text)
                 : sl_str_to_i64(at->text, &number) && number == sl_sqs__setting(queue, name))
            continue;
        if (!have && sl_str_is(at->text, sl_sqs__flag(queue, name) ? "true" : "false")) continue;
        return sl_fail(err, SL_E_QUEUE_NAME_EXISTS,
                       "A queue already exists with the same name and a different value for attribute %s", name);
    }
    return result;
}

int sl_sqs__create_queue(struct sl_op *op, struct sl_error *err) {
    struct sl_str name = sl_op_in(op, "QueueName");
    const struct sl_json *given = sl_json_get(op->in, "Attributes"), *tags = sl_json_get(op->in, "tags");
    struct sl_sqs_queue queue;
    int result = sl_sqs__load(op->tx, op->arena, op->account, op->region, name, &queue, err);
    if (result == 0) {
        sl_op_out(op, "QueueUrl", sl_sqs__url(op, op->account, name));
        return check_same(op, &queue, given, err);
    }
    if (result != SL_E_QUEUE_DOES_NOT_EXIST) return result;
    queue = (struct sl_sqs_queue){.account = op->account, .region = op->region, .name = name};
    queue.fifo = sl_str_is(sl_json_string(given, "FifoQueue"), "true");
    queue.doc = sl_json_new_object(op->arena);
    queue.attributes = sl_json_new_object(op->arena);
    result = check_name(name, queue.fifo, err);
    if (result == 0) result = sl_sqs__merge(op, &queue, given, true, queue.attributes, err);
    if (result != 0) return result;
    // Random rather than counted: never given twice, and a handle of one queue fits no other.
    uint64_t id;
    sl_random_bytes(&id, sizeof id);
    sl_json_put_int(op->arena, queue.doc, "_id", (int64_t)(id >> 1) | 1);
    sl_json_put_int(op->arena, queue.doc, "CreatedTimestamp", op->now_ms / 1000);
    sl_json_put_int(op->arena, queue.doc, "LastModifiedTimestamp", op->now_ms / 1000);
    sl_json_set(queue.doc, SL_STR("Attributes"), queue.attributes);
    sl_json_set(queue.doc, SL_STR("Tags"), tags ? sl_json_copy(op->arena, tags) : sl_json_new_object(op->arena));
    sl_op_out(op, "QueueUrl", sl_sqs__url(op, op->account, name));
    return sl_sqs__save(op, &queue, err);
}

static int get_url(struct sl_op *op, struct sl_error *err) {
    struct sl_str owner = sl_op_in(op, "QueueOwnerAWSAccountId"), name = sl_op_in(op, "QueueName");
    const struct sl_key key = sl_sqs__key(owner.len ? owner : op->account, op->region, name);
    if (!sl_store_has(op->tx, &key)) return sl_sqs__no_queue(op, err);
    sl_op_out(op, "QueueUrl", sl_sqs__url(op, key.account, name));
    return 0;
}

static int list(struct sl_op *op, struct sl_error *err) {
    enum { MOST = 1000 };
    struct sl_str prefix = sl_op_in(op, "QueueNamePrefix"), token = sl_op_in(op, "NextToken"), after = SL_STR("");
    struct sl_str scope = sl_page_scope(op, prefix);
    int64_t most = sl_json_int(op->in, "MaxResults", 0);
    unsigned limit = most > 0 && most < MOST ? (unsigned)most : MOST;
    if (most < 0 || most > MOST)
        return sl_fail(
            err, SL_E_INVALID_PARAMETER,
            "Value %lld for parameter MaxResults is invalid. Reason: MaxResults must be an integer between 1 "
            "and 1000.",
            (long long)most);
    if (token.len && !sl_page_open(op->arena, scope, token, &after))
        return sl_fail(err, SL_E_INVALID_PARAMETER, "Invalid or expired next token.");
    struct sl_json *urls = sl_json_new_array(op->arena), *page;
    const struct sl_key key = sl_sqs__key(op->account, op->region, SL_STR(""));
    bool more = true;
    while (more && urls && urls->count < limit) {
        int result = sl_store_list(op->tx, op->arena, &key, after, limit, &page, &more, err);
        if (result) return result;
        for (const struct sl_json *item = page->first; item; item = item->next) {
            if (urls->count == limit) {
                more = true;
                break;
            }
            after = sl_json_string(item, "id");
            if (!sl_str_starts(after, prefix)) continue;
            sl_json_push(urls, sl_json_new_string(op->arena, sl_sqs__url(op, op->account, after)));
        }
    }
    if (urls && urls->count) sl_json_set(op->out, SL_STR("QueueUrls"), urls);
    if (more && most > 0) sl_op_out(op, "NextToken", sl_page_token(op->arena, scope, after));
    return 0;
}

static int delete_queue(struct sl_op *op, struct sl_error *err) {
    struct sl_sqs_queue queue;
    int result = sl_sqs__open(op, &queue, err);
    if (result) return result;
    const struct sl_key key = sl_sqs__key(queue.account, queue.region, queue.name);
    const struct sl_key moves = {
        .kind = "sqs.move", .account = queue.account, .region = queue.region, .parent = queue.name};
    result = sl_message_clear(op->tx, queue.id, true, err);
    if (result == 0) result = sl_store_delete_children(op->tx, &moves, err);
    if (result == 0) result = sl_store_delete(op->tx, &key, NULL, err);
    sl_sqs__note_policy(op, &queue, (struct sl_str){0});
    sl_sqs__note(op, queue.id, UINT32_MAX); // whoever waits learns that it is gone
    return result;
}

static int purge(struct sl_op *op, struct sl_error *err) {
    struct sl_sqs_queue queue;
    int result = sl_sqs__open(op, &queue, err);
    return result ? result : sl_message_clear(op->tx, queue.id, false, err);
}

#define STORE(name, handler)                                                                                           \
    { "sqs", name, SL_OP_STORE, NULL, handler, NULL, NULL }
#define WAKES(name, handler)                                                                                           \
    { "sqs", name, SL_OP_STORE, NULL, handler, sl_sqs__publish, NULL }

const struct sl_op_entry sl_sqs_operations[] = {
    WAKES("CreateQueue", sl_sqs__create_queue),
    STORE("GetQueueUrl", get_url),
    STORE("ListQueues", list),
    WAKES("DeleteQueue", delete_queue),
    STORE("PurgeQueue", purge),
    STORE("GetQueueAttributes", sl_sqs__get_attributes),
    WAKES("SetQueueAttributes", sl_sqs__set_attributes),
    STORE("TagQueue", sl_sqs__tag),
    STORE("UntagQueue", sl_sqs__untag),
    STORE("ListQueueTags", sl_sqs__list_tags),
    WAKES("AddPermission", sl_sqs__add_permission),
    WAKES("RemovePermission", sl_sqs__remove_permission),
    WAKES("SendMessage", sl_sqs__send_message),
    WAKES("SendMessageBatch", sl_sqs__send_batch),
    {"sqs", "ReceiveMessage", SL_OP_WAIT, NULL, sl_sqs__receive_message, NULL, NULL},
    WAKES("DeleteMessage", sl_sqs__delete_message),
    WAKES("DeleteMessageBatch", sl_sqs__delete_batch),
    WAKES("ChangeMessageVisibility", sl_sqs__change_visibility),
    WAKES("ChangeMessageVisibilityBatch", sl_sqs__change_batch),
    STORE("ListDeadLetterSourceQueues", sl_sqs__list_sources),
    WAKES("StartMessageMoveTask", sl_sqs__start_move),
    STORE("CancelMessageMoveTask", sl_sqs__cancel_move),
    STORE("ListMessageMoveTasks", sl_sqs__list_moves),
    {NULL, NULL, SL_OP_STORE, NULL, NULL, NULL, NULL},
};
