// SPDX-License-Identifier: Apache-2.0
//
// queue_ref: the queues of this server that a function may name: dead-letter queues, destinations, event sources. What
// services/sqs keeps of a queue is one document (services/sqs/internal.h); here it is only read, inside the operation's
// transaction.
#include "lambda/internal.h"

int sl_lambda__queue_find(struct sl_op *op, struct sl_str text, struct sl_lambda__queue *ret, struct sl_error *err) {
    struct sl_arn arn = {0};
    struct sl_json *document = NULL;
    int64_t seconds = 30; // a queue's default (API reference, CreateQueue)
    *ret = (struct sl_lambda__queue){.name = SL_STR("")};
    if (!sl_arn_parse(text, &arn) || !sl_str_is(arn.service, "sqs")) return 0;
    const struct sl_key key = {
        .kind = "sqs.queue", .account = arn.account, .region = arn.region, .parent = SL_STR(""), .id = arn.resource};
    int result = sl_store_get(op->tx, op->arena, &key, &document, err);
    if (result == SL_E_NOT_FOUND) return 0;
    if (result != 0) return result;
    const struct sl_json *attributes = sl_json_get(document, "Attributes");
    sl_str_to_i64(sl_json_string(attributes, "VisibilityTimeout"), &seconds);
    *ret = (struct sl_lambda__queue){
        .exists = true,
        .fifo = sl_str_is(sl_json_string(attributes, "FifoQueue"), "true"),
        .visibility_s = seconds,
        .name = arn.resource,
        .region = arn.region,
    };
    return 0;
}

// An empty TargetArn detaches the queue.
int sl_lambda__put_dead_letter(struct sl_op *op, struct sl_json *document, struct sl_error *err) {
    const struct sl_json *config = sl_json_get(op->in, "DeadLetterConfig");
    struct sl_str target = sl_json_string(config, "TargetArn");
    struct sl_lambda__queue queue;
    if (!config) return 0;
    sl_json_remove(document, "DeadLetterConfig");
    if (target.len == 0) return 0;
    int result = sl_lambda__queue_find(op, target, &queue, err);
    if (result != 0) return result;
    if (!queue.exists)
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "The provided execution role does not have permissions to call SendMessage on SQS");
    sl_json_set(document, SL_STR("DeadLetterConfig"), sl_lambda__object1(op, "TargetArn", target));
    return 0;
}
