// SPDX-License-Identifier: Apache-2.0
//
// event_source_check: which settings an event source mapping may have, by the kind of its source (API reference,
// CreateEventSourceMapping; limits of the model are the engine's). Messages marked [AWS] are recorded; the others are
// worded after them.
#include "lambda/event_source.h"

#include "events/pattern.h"

enum { FILTERS_MAX = 10, FIFO_BATCH_MAX = 10, PLAIN_BATCH_MAX = 10, MQ_BATCH_MAX = 10000 };

enum sl_lambda__source_kind sl_lambda__source_kind(const struct sl_json *mapping) {
    struct sl_str text = sl_json_string(mapping, "EventSourceArn");
    struct sl_arn arn = {0};
    if (!text.len)
        return sl_json_get(mapping, "SelfManagedEventSource") ? SL_LAMBDA_SOURCE_SELF_MANAGED : SL_LAMBDA_SOURCE_NONE;
    if (!sl_arn_parse(text, &arn)) return SL_LAMBDA_SOURCE_NONE;
    if (sl_str_is(arn.service, "sqs")) return SL_LAMBDA_SOURCE_SQS;
    if (sl_str_is(arn.service, "kinesis") || sl_str_is(arn.service, "dynamodb")) return SL_LAMBDA_SOURCE_STREAM;
    if (sl_str_is(arn.service, "kafka")) return SL_LAMBDA_SOURCE_KAFKA;
    if (sl_str_is(arn.service, "mq")) return SL_LAMBDA_SOURCE_MQ;
    return sl_str_is(arn.service, "rds") ? SL_LAMBDA_SOURCE_DOCUMENTS : SL_LAMBDA_SOURCE_NONE;
}

static int unsupported(const char *member, struct sl_error *err) {
    return sl_fail(err, SL_E_INVALID_PARAMETER, "Unsupported %s parameter for given event source mapping type.",
                   member); // [AWS] for DestinationConfig
}

#define ONLY(kind) (1u << SL_LAMBDA_SOURCE_##kind)

// Members that some kinds of sources do not have.
static int check_members(struct sl_op *op, enum sl_lambda__source_kind kind, struct sl_error *err) {
    static const struct {
        const char *name;
        unsigned kinds;
    } rows[] = {
        {"DestinationConfig", ONLY(STREAM) | ONLY(KAFKA) | ONLY(SELF_MANAGED)},
        {"ParallelizationFactor", ONLY(STREAM)},
        {"BisectBatchOnFunctionError", ONLY(STREAM) | ONLY(KAFKA) | ONLY(SELF_MANAGED)},
        {"MaximumRecordAgeInSeconds", ONLY(STREAM) | ONLY(KAFKA) | ONLY(SELF_MANAGED)},
        {"MaximumRetryAttempts", ONLY(STREAM) | ONLY(KAFKA) | ONLY(SELF_MANAGED)},
        {"TumblingWindowInSeconds", ONLY(STREAM)},
        {"FunctionResponseTypes", ONLY(SQS) | ONLY(STREAM) | ONLY(KAFKA) | ONLY(SELF_MANAGED)},
        {"Topics", ONLY(KAFKA) | ONLY(SELF_MANAGED)},
        {"Queues", ONLY(MQ)},
        {"ScalingConfig", ONLY(SQS)},
        {"AmazonManagedKafkaEventSourceConfig", ONLY(KAFKA)},
        {"SelfManagedKafkaEventSourceConfig", ONLY(SELF_MANAGED)},
        {"DocumentDBEventSourceConfig", ONLY(DOCUMENTS)},
        {"SourceAccessConfigurations", ONLY(KAFKA) | ONLY(SELF_MANAGED) | ONLY(MQ) | ONLY(DOCUMENTS)},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct sl_json *member = sl_json_get(op->in, rows[i].name);
        bool empty = member && (member->type == SL_JSON_ARRAY || member->type == SL_JSON_OBJECT) && !member->count;
        if (member && !empty && !(rows[i].kinds >> kind & 1)) return unsupported(rows[i].name, err);
    }
    return 0;
}

static int check_filters(struct sl_op *op, struct sl_error *err) {
    const struct sl_json *filters = sl_json_get(sl_json_get(op->in, "FilterCriteria"), "Filters");
    if (!filters) return 0;
    if (filters->count > FILTERS_MAX)
        return sl_fail(err, SL_E_INVALID_PARAMETER, "An event source mapping can have at most %d filters.",
                       FILTERS_MAX);
    for (const struct sl_json *each = filters->first; each; each = each->next) {
        struct sl_json *pattern = NULL;
        bool good = sl_json_parse(op->arena, sl_json_string(each, "Pattern"), &pattern, NULL) == 0 &&
                    sl_event_pattern_check(pattern, err) == 0;
        if (!good) return sl_fail(err, SL_E_INVALID_PARAMETER, "Invalid filter pattern definition."); // [AWS]
    }
    return 0;
}

static int check_stream(struct sl_op *op, struct sl_error *err) {
    struct sl_str position = sl_op_in(op, "StartingPosition"), source = sl_op_in(op, "EventSourceArn");
    struct sl_arn arn = {0};
    sl_arn_parse(source, &arn);
    if (position.len == 0)
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: "
                       "Member must not be null."); // [AWS]
    if (sl_str_is(arn.service, "dynamodb") && sl_str_is(position, "AT_TIMESTAMP"))
        return sl_fail(err, SL_E_INVALID_PARAMETER, "Unsupported starting position for arn type: %.*s",
                       SL_FMT(source)); // [AWS]
    if (sl_str_is(position, "AT_TIMESTAMP") && !sl_json_get(op->in, "StartingPositionTimestamp"))
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "Timestamp must be specified when using starting position AT_TIMESTAMP.");
    return 0;
}

// The value that counts: the request's, else the document's.
static int64_t number(struct sl_op *op, const struct sl_json *document, const char *name, int64_t otherwise) {
    return sl_json_int(op->in, name, sl_json_int(document, name, otherwise));
}

static int check_batches(struct sl_op *op, enum sl_lambda__source_kind kind, const struct sl_json *document,
                         struct sl_error *err) {
    int64_t size = number(op, document, "BatchSize", 10);
    int64_t window = number(op, document, "MaximumBatchingWindowInSeconds", 0);
    struct sl_str source = sl_json_string(document ? document : op->in, "EventSourceArn");
    if (kind != SL_LAMBDA_SOURCE_SQS) return 0;
    if (sl_str_ends(source, SL_STR(".fifo"))) {
        if (size > FIFO_BATCH_MAX)
            return sl_fail(err, SL_E_INVALID_PARAMETER, "Maximum batch size for FIFO queues is %d.", FIFO_BATCH_MAX);
        if (window > 0)
            return sl_fail(err, SL_E_INVALID_PARAMETER, "Batching window is not supported for FIFO queues.");
    }
    if (size > PLAIN_BATCH_MAX && window < 1)
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than "
                       "%d",
                       PLAIN_BATCH_MAX);
    return 0;
}

int sl_lambda__source_check(struct sl_op *op, enum sl_lambda__source_kind kind, const struct sl_json *document,
                            struct sl_error *err) {
    int result = 0;
    if (kind == SL_LAMBDA_SOURCE_NONE) return sl_fail(err, SL_E_INVALID_PARAMETER, "Unrecognized event source.");
    if (!document && kind == SL_LAMBDA_SOURCE_SQS && sl_op_in(op, "StartingPosition").len)
        return sl_fail(err, SL_E_INVALID_PARAMETER, "StartingPosition is not valid for SQS event sources.");
    if (!document && kind == SL_LAMBDA_SOURCE_STREAM) result = check_stream(op, err);
    if (!result && !document && kind == SL_LAMBDA_SOURCE_SELF_MANAGED &&
        !sl_json_get(op->in, "SourceAccessConfigurations"))
        result = sl_fail(err, SL_E_INVALID_PARAMETER,
                         "Required 'sourceAccessConfigurations' parameter is missing."); // [AWS]
    if (!result) result = check_members(op, kind, err);
    if (!result) result = check_batches(op, kind, document, err);
    return result ? result : check_filters(op, err);
}
