// SPDX-License-Identifier: Apache-2.0
//
// attributes: what can be set on a queue, by a table: type, range, default, and which kind of queue has it. Values are
// text, as the API has them; the queue's document keeps what was set, and defaults are filled in when it is read.
#include "services/sqs/internal.h"

#include <inttypes.h>
#include <stdio.h>

enum kind { NUMBER, FLAG, WORD, DOCUMENT, REDRIVE, SHOWN };

struct attribute {
    const char *name;
    enum kind kind;
    int64_t min, max, preset; // of a number; a flag's preset is 0 or 1
    const char *words[2];     // a word's values, the preset first
    bool fifo;                // FIFO queues only
    bool optional;            // without preset: only there when set
};

// In the order in which AWS answers All.
static const struct attribute attributes[] = {
    {"QueueArn", SHOWN, 0, 0, 0, {NULL, NULL}, false, false},
    {"ApproximateNumberOfMessages", SHOWN, 0, 0, 0, {NULL, NULL}, false, false},
    {"ApproximateNumberOfMessagesNotVisible", SHOWN, 0, 0, 0, {NULL, NULL}, false, false},
    {"ApproximateNumberOfMessagesDelayed", SHOWN, 0, 0, 0, {NULL, NULL}, false, false},
    {"CreatedTimestamp", SHOWN, 0, 0, 0, {NULL, NULL}, false, false},
    {"LastModifiedTimestamp", SHOWN, 0, 0, 0, {NULL, NULL}, false, false},
    {"VisibilityTimeout", NUMBER, 0, SL_SQS_VISIBILITY_MAX_S, 30, {NULL, NULL}, false, false},
    {"MaximumMessageSize", NUMBER, 1024, SL_SQS_SIZE_MAX, SL_SQS_SIZE_MAX, {NULL, NULL}, false, false},
    {"MessageRetentionPeriod", NUMBER, 60, 1209600, 345600, {NULL, NULL}, false, false},
    {"DelaySeconds", NUMBER, 0, 900, 0, {NULL, NULL}, false, false},
    {"ReceiveMessageWaitTimeSeconds", NUMBER, 0, 20, 0, {NULL, NULL}, false, false},
    {"Policy", DOCUMENT, 0, 0, 0, {NULL, NULL}, false, true},
    {"RedrivePolicy", REDRIVE, 0, 0, 0, {NULL, NULL}, false, true},
    {"RedriveAllowPolicy", DOCUMENT, 0, 0, 0, {NULL, NULL}, false, true},
    {"KmsMasterKeyId", DOCUMENT, 0, 0, 0, {NULL, NULL}, false, true},
    {"KmsDataKeyReusePeriodSeconds", NUMBER, 60, 86400, 300, {NULL, NULL}, false, true},
    {"SqsManagedSseEnabled", FLAG, 0, 0, 1, {NULL, NULL}, false, false},
    {"FifoQueue", FLAG, 0, 0, 0, {NULL, NULL}, true, true},
    {"ContentBasedDeduplication", FLAG, 0, 0, 0, {NULL, NULL}, true, false},
    {"DeduplicationScope", WORD, 0, 0, 0, {"queue", "messageGroup"}, true, false},
    {"FifoThroughputLimit", WORD, 0, 0, 0, {"perQueue", "perMessageGroupId"}, true, false},
};
enum { COUNT = sizeof attributes / sizeof attributes[0] };

static const struct attribute *find(struct sl_str name) {
    for (unsigned i = 0; i < COUNT; i++) {
        if (sl_str_is(name, attributes[i].name)) return &attributes[i];
    }
    return NULL;
}

int64_t sl_sqs__setting(const struct sl_sqs_queue *queue, const char *name) {
    int64_t value;
    if (sl_str_to_i64(sl_json_string(queue->attributes, name), &value)) return value;
    const struct attribute *attribute = find(sl_str_of(name));
    return attribute ? attribute->preset : 0;
}

bool sl_sqs__flag(const struct sl_sqs_queue *queue, const char *name) {
    struct sl_str value = sl_json_string(queue->attributes, name);
    if (value.ptr) return sl_str_is(value, "true");
    const struct attribute *attribute = find(sl_str_of(name));
    return attribute && attribute->preset;
}

bool sl_sqs__redrive(struct sl_arena *arena, const struct sl_sqs_queue *queue, struct sl_str *ret_arn,
                     int64_t *ret_receives) {
    struct sl_json *policy;
    struct sl_str text = sl_json_string(queue->attributes, "RedrivePolicy");
    if (!text.len || sl_json_parse(arena, text, &policy, NULL)) return false;
    *ret_arn = sl_json_string(policy, "deadLetterTargetArn");
    *ret_receives = sl_json_int(policy, "maxReceiveCount", 0);
    return ret_arn->len && *ret_receives > 0;
}

// ---- checking -------------------------------------------------------------------------------------------------------

static int bad_value(struct sl_str name, struct sl_error *err) {
    return sl_fail(err, SL_E_INVALID_ATTRIBUTE_VALUE, "Invalid value for the parameter %.*s.", SL_FMT(name));
}

static int bad_redrive(struct sl_str value, const char *reason, struct sl_error *err) {
    return sl_fail(err, SL_E_INVALID_PARAMETER, "Value %.*s for parameter RedrivePolicy is invalid. Reason: %s",
                   SL_FMT(value), reason);
}

// A number, also when the client wrote it as text.
static bool number_of(const struct sl_json *node, int64_t *ret) {
    return sl_json_to_i64(node, ret) || (node && node->type == SL_JSON_STRING && sl_str_to_i64(node->text, ret));
}

// Checks a redrive policy; *ret is the form in which AWS keeps it.
static int check_redrive(struct sl_op *op, const struct sl_sqs_queue *queue, struct sl_str value, struct sl_str *ret,
                         struct sl_error *err) {
    struct sl_json *policy;
    struct sl_sqs_queue target;
    int64_t count;
    if (sl_json_parse(op->arena, value, &policy, NULL) || policy->type != SL_JSON_OBJECT)
        return bad_redrive(value, "Redrive policy is not a valid JSON map.", err);
    struct sl_str arn = sl_json_string(policy, "deadLetterTargetArn");
    const struct sl_json *most = sl_json_get(policy, "maxReceiveCount");
    if (!arn.ptr)
        return bad_redrive(value, "Redrive policy does not contain mandatory attribute: deadLetterTargetArn.", err);
    if (!most) return bad_redrive(value, "Redrive policy does not contain mandatory attribute: maxReceiveCount.", err);
    if (!number_of(most, &count) || count < 1 || count > 1000) {
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "Value %.*s for parameter RedrivePolicy is invalid. Reason: Invalid value for maxReceiveCount: "
                       "%.*s, valid values are from 1 to 1000 both inclusive.",
                       SL_FMT(value), SL_FMT(most->text));
    }
    struct sl_arn parsed;
    if (!sl_arn_parse(arn, &parsed) || !sl_str_is(parsed.service, "sqs"))
        return bad_redrive(value, "Invalid value for deadLetterTargetArn.", err);
    int result = sl_sqs__load_arn(op->tx, op->arena, arn, &target, err);
    if (result == SL_E_QUEUE_DOES_NOT_EXIST) return bad_redrive(value, "Dead letter target does not exist.", err);
    if (result) return result;
    if (target.fifo != queue->fifo)
        return bad_redrive(value, "Dead-letter queue must be same type of queue as the source.", err);
    *ret = sl_arena_printf(op->arena, "{\"deadLetterTargetArn\":\"%.*s\",\"maxReceiveCount\":%" PRId64 "}", SL_FMT(arn),
                           count);
    return 0;
}

// One attribute; *ret is what is kept, len 0: it is taken away.
static int check_value(struct sl_op *op, const struct sl_sqs_queue *queue, const struct attribute *attribute,
                       struct sl_str value, struct sl_str *ret, struct sl_error *err) {
    struct sl_str name = sl_str_of(attribute->name);
    struct sl_json *document;
    int64_t number;
    *ret = value;
    switch (attribute->kind) {
    case NUMBER:
        if (!sl_str_to_i64(value, &number) || number < attribute->min || number > attribute->max)
            return bad_value(name, err);
        *ret = sl_arena_printf(op->arena, "%" PRId64, number);
        return 0;
    case FLAG:
        *ret = sl_str_ieq(value, SL_STR("true")) ? SL_STR("true") : SL_STR("false");
        return sl_str_ieq(value, SL_STR("true")) || sl_str_ieq(value, SL_STR("false")) ? 0 : bad_value(name, err);
    case WORD:
        return sl_str_is(value, attribute->words[0]) || sl_str_is(value, attribute->words[1]) ? 0
                                                                                              : bad_value(name, err);
    case REDRIVE:
        return value.len ? check_redrive(op, queue, value, ret, err) : 0;
    case DOCUMENT:
        if (!value.len || sl_str_is(name, "KmsMasterKeyId")) return 0;
        return sl_json_parse(op->arena, value, &document, NULL) == 0 && document->type == SL_JSON_OBJECT
                   ? 0
                   : bad_value(name, err);
    case SHOWN:
        break;
    }
    return sl_fail(err, SL_E_INVALID_ATTRIBUTE_NAME, "Unknown Attribute %.*s.", SL_FMT(name));
}

static int check_place(const struct sl_sqs_queue *queue, const struct attribute *attribute, struct sl_str name,
                       struct sl_str value, bool creating, struct sl_error *err) {
    if (!attribute || attribute->kind == SHOWN)
        return sl_fail(err, SL_E_INVALID_ATTRIBUTE_NAME, "Unknown Attribute %.*s.", SL_FMT(name));
    bool type = sl_str_is(name, "FifoQueue");
    if (type && !creating && queue->fifo && !sl_str_is(value, "true")) {
        return sl_fail(err, SL_E_INVALID_ATTRIBUTE_VALUE,
                       "Invalid value for the parameter FifoQueue. Reason: Modifying queue type is not supported.");
    }
    if (attribute->fifo && !queue->fifo) {
        if (attribute->kind == WORD)
            return sl_fail(err, SL_E_INVALID_ATTRIBUTE_NAME,
                           "You can specify the %.*s only when FifoQueue is set to true.", SL_FMT(name));
        return sl_fail(err, SL_E_INVALID_ATTRIBUTE_NAME, "Unknown Attribute %.*s.", SL_FMT(name));
    }
    return 0;
}

int sl_sqs__merge(struct sl_op *op, const struct sl_sqs_queue *queue, const struct sl_json *given, bool creating,
                  struct sl_json *into, struct sl_error *err) {
    for (const struct sl_json *at = given ? given->first : NULL; at; at = at->next) {
        const struct attribute *attribute = find(at->key);
        struct sl_str kept = {0};
        int result = check_place(queue, attribute, at->key, at->text, creating, err);
        if (result == 0) result = check_value(op, queue, attribute, at->text, &kept, err);
        if (result) return result;
        if (kept.len) {
            sl_json_put_string(op->arena, into, attribute->name, kept);
        } else {
            sl_json_remove(into, attribute->name);
        }
    }
    bool kms = sl_json_string(given, "KmsMasterKeyId").len,
         own = sl_str_is(sl_json_string(given, "SqsManagedSseEnabled"), "true");
    if (own && (kms || sl_json_string(into, "KmsMasterKeyId").len)) {
        return sl_fail(
            err, SL_E_INVALID_ATTRIBUTE_NAME,
            "You can use one type of server-side encryption (SSE) at one time. You can either enable KMS SSE "
            "or SQS SSE.");
    }
    if (kms) sl_json_put_string(op->arena, into, "SqsManagedSseEnabled", SL_STR("false"));
    return 0;
}

int sl_sqs__set_attributes(struct sl_op *op, struct sl_error *err) {
    struct sl_sqs_queue queue;
    int result = sl_sqs__open(op, &queue, err);
    if (result == 0)
        result = sl_sqs__merge(op, &queue, sl_json_get(op->in, "Attributes"), false, queue.attributes, err);
    if (result) return result;
    sl_json_put_int(op->arena, queue.doc, "LastModifiedTimestamp", op->now_ms / 1000);
    sl_sqs__note(op, queue.id, 1);
    return sl_sqs__save(op, &queue, err);
}

// ---- showing --------------------------------------------------------------------------------------------------------

static struct sl_str number_text(struct sl_op *op, int64_t value) {
    return sl_arena_printf(op->arena, "%" PRId64, value);
}

static struct sl_str value_of(struct sl_op *op, const struct sl_sqs_queue *queue, const struct attribute *attribute,
                              const struct sl_message_counts *counts) {
    const char *name = attribute->name;
    struct sl_str set = sl_json_string(queue->attributes, name);
    if (set.ptr) return set;
    switch (attribute->kind) {
    case NUMBER:
        if (attribute->optional && !sl_json_string(queue->attributes, "KmsMasterKeyId").ptr) return (struct sl_str){0};
        return number_text(op, attribute->preset);
    case FLAG:
        if (attribute->optional) return (struct sl_str){0};
        return attribute->preset ? SL_STR("true") : SL_STR("false");
    case WORD:
        return sl_str_of(attribute->words[0]);
    case SHOWN:
        if (sl_str_is(sl_str_of(name), "QueueArn")) return sl_sqs__arn(op->arena, queue);
        if (sl_str_is(sl_str_of(name), "ApproximateNumberOfMessages")) return number_text(op, counts->visible);
        if (sl_str_is(sl_str_of(name), "ApproximateNumberOfMessagesNotVisible"))
            return number_text(op, counts->in_flight);
        if (sl_str_is(sl_str_of(name), "ApproximateNumberOfMessagesDelayed")) return number_text(op, counts->delayed);
        return number_text(op, sl_json_int(queue->doc, name, 0));
    default:
        return (struct sl_str){0};
    }
}

static bool wants(const struct sl_json *names, struct sl_str name) {
    for (const struct sl_json *at = names->first; at; at = at->next) {
        if (sl_str_is(at->text, "All") || sl_str_eq(at->text, name)) return true;
    }
    return false;
}

int sl_sqs__get_attributes(struct sl_op *op, struct sl_error *err) {
    const struct sl_json *names = sl_json_get(op->in, "AttributeNames");
    struct sl_sqs_queue queue;
    struct sl_message_counts counts = {0};
    int result = sl_sqs__open(op, &queue, err);
    if (result || !names) return result;
    bool counting = false;
    for (const struct sl_json *at = names->first; at; at = at->next) {
        if (!sl_str_is(at->text, "All") && !find(at->text))
            return sl_fail(err, SL_E_INVALID_ATTRIBUTE_NAME, "Unknown Attribute %.*s.", SL_FMT(at->text));
        counting |= sl_str_is(at->text, "All") || sl_str_starts(at->text, SL_STR("Approximate"));
    }
    if (counting) result = sl_message_count(op->tx, queue.id, op->now_ms, &counts, err);
    if (result) return result;
    struct sl_json *shown = sl_json_new_object(op->arena);
    for (unsigned i = 0; i < COUNT; i++) {
        const struct attribute *attribute = &attributes[i];
        if (!wants(names, sl_str_of(attribute->name)) || (attribute->fifo && !queue.fifo)) continue;
        struct sl_str value = value_of(op, &queue, attribute, &counts);
        if (value.ptr) sl_json_put_string(op->arena, shown, attribute->name, value);
    }
    if (shown && shown->count) sl_json_set(op->out, SL_STR("Attributes"), shown);
    return 0;
}
