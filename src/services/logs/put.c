// SPDX-License-Identifier: Apache-2.0
//
// put: PutLogEvents. Checks what the API reference asks of a batch; events that are too old or too new are left out and
// reported. Sequence tokens are accepted and mean nothing, as at AWS since 2023.
#include "services/logs/internal.h"

enum { EVENTS_MAX = 10000, BATCH_MAX = 1048576, EVENT_OVERHEAD = 26 };

static const int64_t day_ms = 86400000, hour_ms = 3600000;

static int load(struct sl_op *op, struct sl_error *err) {
    struct sl_str group = sl_op_in(op, "logGroupName");
    const struct sl_key key = sl_logs__stream_key(op, group, sl_op_in(op, "logStreamName"));
    struct sl_json *doc, *stream;
    int result = sl_logs__load_group(op, group, &doc, err);
    if (result) return result;
    result = sl_store_get(op->tx, op->arena, &key, &stream, err);
    if (result == SL_E_NOT_FOUND || (!result && sl_json_bool(stream, "_gone", false))) return sl_logs__no_stream(err);
    *sl_logs__state(op) = doc;
    return result;
}

static int check(const struct sl_json *events, struct sl_error *err) {
    int64_t first = 0, last = INT64_MIN;
    size_t size = 0;
    if (events->count > EVENTS_MAX)
        return sl_fail(
            err, SL_E_LOGS_PARAMETER,
            "1 validation error detected: Value '[...]' at 'logEvents' failed to satisfy constraint: Member must "
            "have length less than or equal to 10000");
    for (const struct sl_json *at = events->first; at; at = at->next) {
        int64_t time = sl_json_int(at, "timestamp", 0);
        size += sl_json_string(at, "message").len + EVENT_OVERHEAD;
        if (time < last)
            return sl_fail(err, SL_E_LOGS_PARAMETER,
                           "Log events in a single PutLogEvents request must be in chronological order.");
        if (at == events->first) first = time;
        last = time;
    }
    if (size > BATCH_MAX)
        return sl_fail(err, SL_E_LOGS_PARAMETER, "Upload too large: %zu bytes exceeds limit of %d", size, BATCH_MAX);
    if (last - first > day_ms)
        return sl_fail(err, SL_E_LOGS_PARAMETER,
                       "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.");
    return 0;
}

static int put(struct sl_op *op, struct sl_error *err) {
    const struct sl_json *events = sl_json_get(op->in, "logEvents"), *group_doc = *sl_logs__state(op);
    int64_t days = sl_json_int(group_doc, "retentionInDays", 0), index = 0, old = 0, expired = 0, fresh = -1;
    const struct sl_log_group group = sl_logs__group(op, sl_op_in(op, "logGroupName"));
    struct sl_log_event *list = sl_arena_alloc(op->arena, (events->count + 1) * sizeof *list);
    struct sl_json *rejected = sl_json_new_object(op->arena);
    unsigned count = 0;
    int result = check(events, err);
    if (result || !list) return result ? result : sl_fail(err, SL_E_NO_MEMORY, "request too large");
    for (const struct sl_json *at = events->first; at; at = at->next, index++) {
        int64_t time = sl_json_int(at, "timestamp", 0);
        if (time < op->now_ms - 14 * day_ms) {
            old = index + 1;
        } else if (days && time < op->now_ms - days * day_ms) {
            expired = index + 1;
        } else if (time > op->now_ms + 2 * hour_ms) {
            if (fresh < 0) fresh = index;
        } else {
            list[count++] = (struct sl_log_event){.time_ms = time, .text = sl_json_string(at, "message")};
        }
    }
    result = sl_logs_put(sl_logs__of(op), &group, sl_op_in(op, "logStreamName"), list, count, op->now_ms, err);
    if (result) return result;
    if (fresh >= 0) sl_json_put_int(op->arena, rejected, "tooNewLogEventStartIndex", fresh);
    if (old) sl_json_put_int(op->arena, rejected, "tooOldLogEventEndIndex", old);
    if (expired) sl_json_put_int(op->arena, rejected, "expiredLogEventEndIndex", expired);
    sl_op_out(op, "nextSequenceToken", sl_arena_printf(op->arena, "%056lld", (long long)op->now_ms));
    if (rejected && rejected->count) sl_json_set(op->out, SL_STR("rejectedLogEventsInfo"), rejected);
    return 0;
}

int sl_logs__put_events(struct sl_op *op, struct sl_error *err) { return sl_logs__query(op, load, put, NULL, err); }
