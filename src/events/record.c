// SPDX-License-Identifier: Apache-2.0
//
// record: what is told about an event that has ended. A destination gets a record (developer guide, "Capturing records
// of Lambda asynchronous invocations"; shapes as recorded from AWS); a dead-letter queue gets the event itself with
// three message attributes. Both are told when both are configured. Payloads pass through as they are, so numbers and
// the order of keys survive.
#include "events/internal.h"

#include "base/clock.h"

#include <stdio.h>

enum { RECORD_MAX = 32 * 1024 * 1024, MESSAGE_MAX = 1024 }; // ErrorMessage: its first kilobyte

// The ARN with its qualifier: records name $LATEST too.
static struct sl_str qualified(struct sl_events__job *job) {
    struct sl_str version = job->invocation.version, arn = job->event.function;
    unsigned colons = 0;
    for (size_t i = 0; i < arn.len; i++) colons += arn.ptr[i] == ':';
    if (colons >= 7) return arn;
    return sl_arena_printf(&job->arena, "%.*s:%.*s", SL_FMT(arn), SL_FMT(version.len ? version : SL_STR("$LATEST")));
}

// A payload is JSON as a rule; what a custom runtime answers need not be.
static void put_payload(struct sl_buf *out, struct sl_str payload) {
    if (!payload.len)
        sl_buf_cstr(out, "null");
    else if (sl_json_validate(payload, NULL) == 0)
        sl_buf_str(out, payload);
    else
        sl_json_write_string(out, payload);
}

static struct sl_str record(struct sl_events__job *job, const struct sl_invocation_result *result,
                            const char *condition, int64_t now_ms) {
    char now[SL_TIME_ISO_MS];
    struct sl_buf out;
    sl_time_iso_ms(now_ms, now);
    sl_buf_init(&out, RECORD_MAX);
    sl_buf_printf(&out,
                  "{\"version\":\"1.0\",\"timestamp\":\"%s\",\"requestContext\":{\"requestId\":\"%s\","
                  "\"functionArn\":",
                  now, job->event.request_id);
    sl_json_write_string(&out, qualified(job));
    sl_buf_printf(&out, ",\"condition\":\"%s\",\"approximateInvokeCount\":%u},\"requestPayload\":", condition,
                  job->decision.attempts);
    put_payload(&out, job->event.payload);
    if (result) {
        sl_buf_cstr(&out, ",\"responseContext\":{\"statusCode\":200,\"executedVersion\":");
        sl_json_write_string(&out, result->executed_version);
        if (result->outcome == SL_INVOCATION_ERROR) {
            sl_buf_cstr(&out, ",\"functionError\":");
            sl_json_write_string(&out, result->function_error.len ? result->function_error : SL_STR("Unhandled"));
        }
        sl_buf_cstr(&out, "},\"responsePayload\":");
        put_payload(&out, result->payload);
    }
    sl_buf_char(&out, '}');
    struct sl_str copy = out.failed ? (struct sl_str){0} : sl_arena_dup(&job->arena, sl_buf_view(&out));
    sl_buf_free(&out);
    return copy;
}

// Cut between characters: a message attribute is UTF-8.
static struct sl_str first_kilobyte(struct sl_str text) {
    size_t length = text.len < MESSAGE_MAX ? text.len : MESSAGE_MAX;
    while (length && length < text.len && ((unsigned char)text.ptr[length] & 0xC0) == 0x80) length--;
    return sl_str_sub(text, 0, length);
}

static struct sl_str error_message(struct sl_events__job *job, const struct sl_invocation_result *result) {
    struct sl_json *document = NULL;
    struct sl_str text = {0};
    if (!result) return SL_STR("Rate Exceeded.");
    if (sl_json_parse(&job->arena, result->payload, &document, NULL) == 0)
        text = sl_json_string(document, "errorMessage");
    if (!text.len) text = result->payload;
    text = sl_arena_dup(&job->arena, first_kilobyte(text));
    return text.len ? text : SL_STR("null"); // SQS takes no empty value
}

static struct sl_event_letter *add(struct sl_events__job *job, struct sl_str target) {
    struct sl_event_letter *letter = &job->letters[job->letter_count++];
    *letter = (struct sl_event_letter){
        .target = target,
        .function = job->event.function,
        .trace = sl_arena_dup(&job->arena, job->invocation.trace_id),
        .request_id = sl_str_of(job->event.request_id),
    };
    return letter;
}

void sl_events__letters(struct sl_events__job *job, const struct sl_invocation_result *result, int64_t now_ms) {
    bool success = job->decision.verdict == SL_EVENT_DONE;
    struct sl_str destination = success ? job->on_success : job->on_failure;
    if (destination.len) {
        struct sl_event_letter *letter = add(job, destination);
        letter->success = success;
        letter->body = record(job, result, success ? "Success" : job->decision.condition, now_ms);
    }
    if (!success && job->dead_letter.len) {
        struct sl_event_letter *letter = add(job, job->dead_letter);
        letter->dead_letter = true;
        letter->body = job->event.payload;
        letter->error_code = result ? SL_STR("200") : SL_STR("429");
        letter->error_message = error_message(job, result);
    }
}
