// SPDX-License-Identifier: Apache-2.0
//
// message: a message of a queue as a function sees it, whether filters let it through, and what a function's answer
// says about a batch. Shapes and the table of answers as recorded from AWS (Lambda developer guide, "Example Amazon SQS
// message event", "Filtering event sources", "Implementing partial batch responses").
#include "events/source_internal.h"

#include "base/encoding.h"
#include "events/pattern.h"

static void put_member(struct sl_buf *out, const char *name, struct sl_str value, bool first) {
    sl_buf_printf(out, "%s\"%s\":", first ? "" : ",", name);
    sl_json_write_string(out, value);
}

static void put_attributes(struct sl_buf *out, const struct sl_json *attributes) {
    sl_buf_cstr(out, ",\"messageAttributes\":{");
    for (const struct sl_json *at = attributes ? attributes->first : NULL; at; at = at->next) {
        const struct sl_json *bytes = sl_json_get(at, "BinaryValue");
        if (at != attributes->first) sl_buf_char(out, ',');
        sl_json_write_string(out, at->key);
        sl_buf_cstr(out, ":{");
        if (bytes) {
            sl_buf_cstr(out, "\"binaryValue\":\"");
            sl_base64_encode(out, bytes->text);
            sl_buf_char(out, '"');
        } else {
            put_member(out, "stringValue", sl_json_string(at, "StringValue"), true);
        }
        sl_buf_cstr(out, ",\"stringListValues\":[],\"binaryListValues\":[]");
        put_member(out, "dataType", sl_json_string(at, "DataType"), false);
        sl_buf_char(out, '}');
    }
    sl_buf_char(out, '}');
}

void sl_source__put_record(struct sl_buf *out, const struct sl_source__spec *spec, const struct sl_json *message) {
    const struct sl_json *system = sl_json_get(message, "Attributes");
    struct sl_str rest = spec->is.queue, part = {0};
    for (unsigned i = 0; i < 4; i++) sl_str_split(&rest, ':', &part); // the queue's region
    sl_buf_char(out, '{');
    put_member(out, "messageId", sl_json_string(message, "MessageId"), true);
    put_member(out, "receiptHandle", sl_json_string(message, "ReceiptHandle"), false);
    put_member(out, "body", sl_json_string(message, "Body"), false);
    sl_buf_cstr(out, ",\"attributes\":{");
    for (const struct sl_json *at = system ? system->first : NULL; at; at = at->next) {
        if (at != system->first) sl_buf_char(out, ',');
        sl_json_write_string(out, at->key);
        sl_buf_char(out, ':');
        sl_json_write_string(out, at->text);
    }
    sl_buf_char(out, '}');
    put_attributes(out, sl_json_get(message, "MessageAttributes"));
    if (sl_json_get(message, "MD5OfMessageAttributes"))
        put_member(out, "md5OfMessageAttributes", sl_json_string(message, "MD5OfMessageAttributes"), false);
    put_member(out, "md5OfBody", sl_json_string(message, "MD5OfBody"), false);
    put_member(out, "eventSource", SL_STR("aws:sqs"), false);
    put_member(out, "eventSourceARN", spec->is.queue, false);
    put_member(out, "awsRegion", part, false);
    sl_buf_char(out, '}');
}

// Filters see the record, with a body that is an object or array as such. A body that is text is text: a pattern of
// fields does not match it.
bool sl_source__wanted(struct sl_arena *arena, const struct sl_source__spec *spec, const struct sl_json *message) {
    struct sl_json *record = NULL, *body = NULL;
    struct sl_buf text;
    if (!spec->filters) return true;
    sl_buf_init(&text, 2 * SL_SOURCE_PAYLOAD);
    sl_source__put_record(&text, spec, message);
    bool wanted = text.failed || sl_json_parse(arena, sl_buf_view(&text), &record, NULL) != 0; // it passes, then
    if (!wanted && sl_json_parse(arena, sl_json_string(record, "body"), &body, NULL) == 0 &&
        (body->type == SL_JSON_OBJECT || body->type == SL_JSON_ARRAY))
        sl_json_set(record, SL_STR("body"), body);
    for (const struct sl_json *each = spec->filters->first; each && !wanted; each = each->next)
        wanted = sl_event_pattern_matches(each, record);
    sl_buf_free(&text);
    return wanted;
}

// ---- partial batch responses ----------------------------------------------------------------------------------------

static bool mark(struct sl_str id, const struct sl_str *ids, unsigned count, bool *failed) {
    for (unsigned i = 0; i < count; i++) {
        if (!sl_str_eq(ids[i], id)) continue;
        failed[i] = true;
        return true;
    }
    return false;
}

// Success: null, {}, an empty or null list. Failure of all: no JSON, an item without an identifier, one that is empty,
// null or of no message of the batch.
bool sl_source__failures(struct sl_arena *arena, struct sl_str answer, const struct sl_str *ids, unsigned count,
                         bool *failed) {
    struct sl_json *document = NULL;
    if (!answer.len) return true;
    if (sl_json_parse(arena, answer, &document, NULL)) return false;
    if (document->type == SL_JSON_NULL || (document->type == SL_JSON_STRING && !document->text.len)) return true;
    if (document->type != SL_JSON_OBJECT) return false;
    const struct sl_json *list = sl_json_get(document, "batchItemFailures");
    if (!list || list->type == SL_JSON_NULL) return true;
    if (list->type != SL_JSON_ARRAY) return false;
    for (const struct sl_json *item = list->first; item; item = item->next) {
        const struct sl_json *id = sl_json_get(item, "itemIdentifier");
        if (!id || id->type != SL_JSON_STRING || !id->text.len || !mark(id->text, ids, count, failed)) return false;
    }
    return true;
}
