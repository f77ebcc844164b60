// SPDX-License-Identifier: Apache-2.0
//
// stream: log streams. A stream is there when it was created, or has events in its group's log. Deleting one leaves its
// lines in the log and a document that says from which position on they count.
#include "services/logs/internal.h"

#include <stdlib.h>

#include "aws/page.h"

enum { PAGE_MAX = 50, LIST = 1000, BUCKETS = 1024 };

int sl_logs__no_stream(struct sl_error *err) {
    return sl_fail(err, SL_E_RESOURCE_NOT_FOUND, "The specified log stream does not exist.");
}

int sl_logs__create_stream(struct sl_op *op, struct sl_error *err) {
    struct sl_str group = sl_op_in(op, "logGroupName"), name = sl_op_in(op, "logStreamName");
    const struct sl_key key = sl_logs__stream_key(op, group, name);
    struct sl_json *doc;
    int result = sl_logs__load_group(op, group, &doc, err);
    if (result) return result;
    result = sl_store_get(op->tx, op->arena, &key, &doc, err);
    if (!result && !sl_json_bool(doc, "_gone", false))
        return sl_fail(err, SL_E_ALREADY_EXISTS, "The specified log stream already exists");
    if (result && result != SL_E_NOT_FOUND) return result;
    if (result) doc = sl_json_new_object(op->arena);
    sl_json_remove(doc, "_gone");
    sl_json_put_int(op->arena, doc, "creationTime", op->now_ms);
    return sl_store_put(op->tx, &key, doc, err);
}

int sl_logs__delete_stream(struct sl_op *op, struct sl_error *err) {
    struct sl_str group = sl_op_in(op, "logGroupName"), name = sl_op_in(op, "logStreamName");
    const struct sl_key key = sl_logs__stream_key(op, group, name);
    const struct sl_log_group log = sl_logs__group(op, group);
    struct sl_log_stat stat;
    struct sl_json *doc;
    int result = sl_logs__load_group(op, group, &doc, err);
    if (result) return result;
    bool have_log = sl_logs_stat(sl_logs__of(op), &log, &stat);
    result = sl_store_get(op->tx, op->arena, &key, &doc, err);
    bool missing = result == SL_E_NOT_FOUND;
    if (result && !missing) return result;
    // A stream without a document may be a function's; without a log it cannot be.
    if ((missing && !have_log) || (!missing && sl_json_bool(doc, "_gone", false))) return sl_logs__no_stream(err);
    if (!have_log) return sl_store_delete(op->tx, &key, NULL, err);
    if (missing) doc = sl_json_new_object(op->arena);
    sl_json_put_bool(op->arena, doc, "_gone", true);
    sl_json_put_int(op->arena, doc, "_from", stat.next_position);
    return sl_store_put(op->tx, &key, doc, err);
}

// ---- DescribeLogStreams ---------------------------------------------------------------------------------------------

struct stream {
    struct stream *next; // in its bucket
    struct sl_str name;
    int64_t from, created_ms, first_ms, last_ms, taken_ms;
    bool gone, events;
};

struct streams {
    struct sl_arena *arena;
    struct stream *buckets[BUCKETS], *latest;
    unsigned count;
    struct sl_str group, prefix;
    int64_t not_before_ms;
};

static struct stream *stream_of(struct streams *streams, struct sl_str name) {
    uint32_t sum = 2166136261u;
    if (streams->latest && sl_str_eq(streams->latest->name, name)) return streams->latest;
    for (size_t i = 0; i < name.len; i++) sum = (sum ^ (unsigned char)name.ptr[i]) * 16777619u;
    struct stream **bucket = &streams->buckets[sum % BUCKETS];
    for (struct stream *at = *bucket; at; at = at->next) {
        if (sl_str_eq(at->name, name)) return streams->latest = at;
    }
    struct stream *fresh = sl_arena_zalloc(streams->arena, sizeof *fresh);
    if (!fresh) return NULL;
    fresh->name = sl_arena_dup(streams->arena, name);
    fresh->next = *bucket;
    streams->count++;
    return streams->latest = *bucket = fresh;
}

static int load_streams(struct sl_op *op, struct sl_error *err) {
    struct streams *streams = sl_arena_zalloc(op->arena, sizeof *streams);
    if (!streams) return sl_fail(err, SL_E_NO_MEMORY, "request too large");
    *sl_logs__state(op) = streams;
    streams->arena = op->arena;
    streams->group = sl_logs__group_name(op);
    streams->prefix = sl_op_in(op, "logStreamNamePrefix");
    const struct sl_key key = sl_logs__stream_key(op, streams->group, SL_STR(""));
    struct sl_str after = SL_STR("");
    struct sl_json *group;
    int result = sl_logs__load_group(op, streams->group, &group, err);
    int64_t days = result ? 0 : sl_json_int(group, "retentionInDays", 0);
    streams->not_before_ms = days ? op->now_ms - days * 86400000 : INT64_MIN;
    for (bool more = true; more && !result;) {
        struct sl_json *page;
        result = sl_store_list(op->tx, op->arena, &key, after, LIST, &page, &more, err);
        for (const struct sl_json *item = result ? NULL : page->first; item; item = item->next) {
            after = sl_json_string(item, "id");
            const struct sl_json *doc = sl_json_get(item, "doc");
            struct stream *stream = stream_of(streams, after);
            if (!stream) return sl_fail(err, SL_E_NO_MEMORY, "too many streams");
            stream->created_ms = sl_json_int(doc, "creationTime", 0);
            stream->from = sl_json_int(doc, "_from", 0);
            stream->gone = sl_json_bool(doc, "_gone", false);
        }
    }
    return result;
}

static bool note_event(void *user, const struct sl_log_event *event) {
    struct streams *streams = user;
    struct stream *stream = stream_of(streams, event->stream);
    if (!stream) return false;
    if (event->position < stream->from || event->time_ms < streams->not_before_ms) return true;
    if (!stream->events || event->time_ms < stream->first_ms) stream->first_ms = event->time_ms;
    if (!stream->events || event->time_ms > stream->last_ms) stream->last_ms = event->time_ms;
    if (!stream->created_ms) stream->created_ms = event->taken_ms;
    stream->taken_ms = event->taken_ms;
    stream->events = true;
    return true;
}

static int by_name(const void *a, const void *b) {
    return sl_str_cmp((*(struct stream *const *)a)->name, (*(struct stream *const *)b)->name);
}

static int by_time(const void *a, const void *b) {
    int64_t left = (*(struct stream *const *)a)->last_ms, right = (*(struct stream *const *)b)->last_ms;
    return left < right ? -1 : left > right ? 1 : by_name(a, b);
}

static struct sl_json *shown(struct sl_op *op, const struct streams *streams, const struct stream *stream) {
    struct sl_json *row = sl_json_new_object(op->arena);
    sl_json_put_string(op->arena, row, "logStreamName", stream->name);
    sl_json_put_int(op->arena, row, "creationTime", stream->created_ms);
    if (stream->events) {
        sl_json_put_int(op->arena, row, "firstEventTimestamp", stream->first_ms);
        sl_json_put_int(op->arena, row, "lastEventTimestamp", stream->last_ms);
        sl_json_put_int(op->arena, row, "lastIngestionTime", stream->taken_ms);
    }
    sl_json_put_string(op->arena, row, "uploadSequenceToken",
                       sl_arena_printf(op->arena, "%056lld", (long long)stream->taken_ms));
    sl_json_put_string(op->arena, row, "arn",
                       sl_arena_printf(op->arena, "%.*s:log-stream:%.*s", SL_FMT(sl_logs__arn(op, streams->group)),
                                       SL_FMT(stream->name)));
    sl_json_put_int(op->arena, row, "storedBytes", 0); // as AWS since 2019
    return row;
}

// Those that are there, in the order asked for.
static struct stream **collect(struct sl_op *op, struct streams *streams, unsigned *ret_count) {
    struct stream **list = sl_arena_alloc(op->arena, (streams->count + 1) * sizeof *list);
    bool time = sl_str_is(sl_op_in(op, "orderBy"), "LastEventTime"), down = sl_json_bool(op->in, "descending", false);
    unsigned count = 0;
    for (unsigned i = 0; list && i < BUCKETS; i++) {
        for (struct stream *at = streams->buckets[i]; at; at = at->next) {
            if ((at->gone || !at->created_ms) && !at->events) continue;
            if (sl_str_starts(at->name, streams->prefix)) list[count++] = at;
        }
    }
    if (count) qsort(list, count, sizeof(struct stream *), time ? by_time : by_name);
    for (unsigned i = 0; down && i < count / 2; i++) {
        struct stream *other = list[i];
        list[i] = list[count - 1 - i];
        list[count - 1 - i] = other;
    }
    *ret_count = count;
    return list;
}

static int list_streams(struct sl_op *op, struct sl_error *err) {
    struct streams *streams = *sl_logs__state(op);
    const struct sl_log_group group = sl_logs__group(op, streams->group);
    struct sl_str token = sl_op_in(op, "nextToken"), after = {0}, scope = sl_page_scope(op, streams->group);
    int64_t limit = sl_json_int(op->in, "limit", PAGE_MAX);
    struct sl_json *rows = sl_json_new_array(op->arena);
    unsigned count = 0;
    if (token.len && !sl_page_open(op->arena, scope, token, &after)) return sl_logs__bad_token(err);
    sl_logs_settle(sl_logs__of(op));
    int result = sl_logs_scan(sl_logs__of(op), &group, note_event, streams, err);
    if (result) return result;
    struct stream **list = collect(op, streams, &count);
    unsigned at = 0;
    while (after.ptr && at < count && !sl_str_eq(list[at]->name, after)) at++;
    if (after.ptr) at++;
    for (; at < count && rows; at++) {
        if (rows->count == limit) {
            sl_op_out(op, "nextToken", sl_page_token(op->arena, scope, list[at - 1]->name));
            break;
        }
        sl_json_push(rows, shown(op, streams, list[at]));
    }
    sl_json_set(op->out, SL_STR("logStreams"), rows);
    return sl_arena_failed(op->arena) ? sl_fail(err, SL_E_NO_MEMORY, "the answer is too large") : 0;
}

int sl_logs__describe_streams(struct sl_op *op, struct sl_error *err) {
    if (sl_str_is(sl_op_in(op, "orderBy"), "LastEventTime") && sl_op_in(op, "logStreamNamePrefix").len)
        return sl_fail(err, SL_E_LOGS_PARAMETER, "Cannot order by LastEventTime with a logStreamNamePrefix.");
    return sl_logs__query(op, load_streams, list_streams, NULL, err);
}
