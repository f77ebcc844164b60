// SPDX-License-Identifier: Apache-2.0
//
// event_source: Create-, Get-, Update-, Delete- and ListEventSourceMapping(s). Nothing in this server polls sources
// yet, so none is accepted and forgotten: after AWS's own checks, in its order, CreateEventSourceMapping answers what
// AWS answers for a queue that does not exist or a stream that cannot be read. There are thus no mappings to find.
#include "lambda/internal.h"

static int check_function(struct sl_op *op, struct sl_error *err) {
    struct sl_lambda__target target;
    struct sl_json *document;
    int result = sl_lambda__target(op, &target, err);
    if (result == 0) result = sl_lambda__load_qualified(op, &target, &document, err);
    if (result == SL_E_RESOURCE_NOT_FOUND) return sl_fail(err, SL_E_INVALID_PARAMETER, "Function does not exist");
    return result;
}

static int check_stream(struct sl_op *op, struct sl_str source, const struct sl_arn *arn, struct sl_error *err) {
    struct sl_str position = sl_op_in(op, "StartingPosition");
    if (position.len == 0)
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: "
                       "Member must not be null.");
    if (sl_str_is(arn->service, "dynamodb") && sl_str_is(position, "AT_TIMESTAMP"))
        return sl_fail(err, SL_E_INVALID_PARAMETER, "Unsupported starting position for arn type: %.*s", SL_FMT(source));
    return 0;
}

static int check_source(struct sl_op *op, struct sl_str source, struct sl_error *err) {
    struct sl_arn arn = {0};
    if (!sl_arn_parse(source, &arn)) return sl_fail(err, SL_E_INVALID_PARAMETER, "Unrecognized event source.");
    if (!sl_str_is(arn.service, "sqs")) return check_stream(op, source, &arn, err);
    if (sl_json_get(op->in, "DestinationConfig"))
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "Unsupported DestinationConfig parameter for given event source mapping type.");
    return 0;
}

static int refuse(struct sl_str source, struct sl_error *err) {
    struct sl_arn arn = {0};
    if (sl_arn_parse(source, &arn) && sl_str_is(arn.service, "sqs"))
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. "
                       "SQS Error Message: The specified queue does not exist.");
    return sl_fail(err, SL_E_INVALID_PARAMETER,
                   "Cannot access stream %.*s. Please ensure the role can perform the GetRecords, GetShardIterator, "
                   "DescribeStream, and ListStreams Actions on your stream in IAM.",
                   SL_FMT(source));
}

int sl_lambda__create_event_source(struct sl_op *op, struct sl_error *err) {
    struct sl_str source = sl_op_in(op, "EventSourceArn");
    bool self_managed = sl_json_get(op->in, "SelfManagedEventSource") != NULL;
    int result = 0;
    if (source.len == 0 && !self_managed) return sl_fail(err, SL_E_INVALID_PARAMETER, "Unrecognized event source.");
    if (source.len > 0) result = check_source(op, source, err);
    if (result == 0 && self_managed && !sl_json_get(op->in, "SourceAccessConfigurations"))
        result = sl_fail(err, SL_E_INVALID_PARAMETER, "Required 'sourceAccessConfigurations' parameter is missing.");
    if (result == 0) result = check_function(op, err);
    return result == 0 ? refuse(source.len > 0 ? source : SL_STR("of a self-managed source"), err) : result;
}

int sl_lambda__find_event_source(struct sl_op *op, struct sl_error *err) {
    (void)op;
    return sl_fail(err, SL_E_RESOURCE_NOT_FOUND, "The resource you requested does not exist.");
}

int sl_lambda__list_event_sources(struct sl_op *op, struct sl_error *err) {
    (void)err;
    sl_json_set(op->out, SL_STR("EventSourceMappings"), sl_json_new_array(op->arena));
    return 0;
}
