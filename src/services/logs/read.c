// SPDX-License-Identifier: Apache-2.0
//
// read: GetLogEvents (one stream, pages in both directions) and FilterLogEvents (a group, by pattern). Two passes over
// the group's log: the first notes time, position and length of every event that is asked for; these are put in order
// of time, the page is cut out, and the second pass copies the page's texts. A token is the (time, position) of the
// last event seen, so pages stay right while lines are added.
#include "services/logs/internal.h"

#include <stdio.h>
#include <stdlib.h>

enum { EVENTS_MAX = 10000, PAGE_BYTES = 1048576, HITS_MAX = 64 << 20, TEXT_MAX = 4 << 20, LIST = 1000 };

struct hit {
    int64_t time_ms, position;
    uint32_t length;
    uint32_t index; // in the page
};

struct reading {
    struct sl_op *op;
    struct sl_str group, stream, prefix;
    const struct sl_json *streams;            // names, or NULL for all
    struct sl_json *cut;                      // streams of which older events do not count: name -> position
    int64_t from_ms, until_ms, not_before_ms; // until_ms: exclusive
    struct sl_logs__pattern *pattern;
    struct sl_arena scratch;
    struct sl_buf hits, text;
    struct hit *page; // by position in the second pass
    unsigned page_count;
    struct sl_json **rows;
    bool known; // GetLogEvents: the stream is there
};

static int load(struct sl_op *op, struct sl_error *err) {
    struct reading *reading = *sl_logs__state(op);
    struct sl_json *group;
    struct sl_str after = SL_STR("");
    int result = sl_logs__load_group(op, reading->group, &group, err);
    if (result) return result;
    int64_t days = sl_json_int(group, "retentionInDays", 0);
    reading->not_before_ms = days ? op->now_ms - days * 86400000 : INT64_MIN;
    reading->cut = sl_json_new_object(op->arena);
    const struct sl_key key = sl_logs__stream_key(op, reading->group, SL_STR(""));
    for (bool more = true; more && !result;) {
        struct sl_json *page;
        result = sl_store_list(op->tx, op->arena, &key, after, LIST, &page, &more, err);
        for (const struct sl_json *item = result ? NULL : page->first; item; item = item->next) {
            after = sl_json_string(item, "id");
            const struct sl_json *doc = sl_json_get(item, "doc");
            int64_t from = sl_json_int(doc, "_from", 0);
            reading->known |= sl_str_eq(after, reading->stream) && !sl_json_bool(doc, "_gone", false);
            if (!from) continue;
            struct sl_json *row = sl_json_push(reading->cut, sl_json_new_int(op->arena, from));
            if (row) row->key = after;
        }
    }
    return result;
}

// ---- the first pass -------------------------------------------------------------------------------------------------

static bool has_name(const struct sl_json *names, struct sl_str name) {
    for (const struct sl_json *at = names->first; at; at = at->next) {
        if (sl_str_eq(at->text, name)) return true;
    }
    return false;
}

static bool is_cut(const struct reading *reading, const struct sl_log_event *event) {
    int64_t from;
    const struct sl_json *row = reading->cut->count ? sl_json_get_str(reading->cut, event->stream) : NULL;
    return row && sl_json_to_i64(row, &from) && event->position < from;
}

static bool note(void *user, const struct sl_log_event *event) {
    struct reading *reading = user;
    if (reading->stream.ptr ? !sl_str_eq(event->stream, reading->stream)
                            : !sl_str_starts(event->stream, reading->prefix) ||
                                  (reading->streams && !has_name(reading->streams, event->stream)))
        return true;
    if (is_cut(reading, event)) return true;
    reading->known = true;
    if (event->time_ms < reading->from_ms || event->time_ms >= reading->until_ms ||
        event->time_ms < reading->not_before_ms)
        return true;
    if (reading->pattern) {
        sl_buf_clear(&reading->text, TEXT_MAX);
        sl_log_unescape(&reading->text, event->text);
        if (reading->text.failed ||
            !sl_logs__pattern_matches(reading->pattern, &reading->scratch, sl_buf_view(&reading->text)))
            return true;
    }
    const struct hit hit = {event->time_ms, event->position, (uint32_t)event->text.len, 0};
    sl_buf_put(&reading->hits, &hit, sizeof hit);
    return !reading->hits.failed;
}

static int order(const struct hit *left, int64_t time_ms, int64_t position) {
    if (left->time_ms != time_ms) return left->time_ms < time_ms ? -1 : 1;
    return left->position < position ? -1 : left->position > position;
}

static int by_time(const void *a, const void *b) {
    return order(a, ((const struct hit *)b)->time_ms, ((const struct hit *)b)->position);
}

static int by_position(const void *a, const void *b) {
    int64_t left = ((const struct hit *)a)->position, right = ((const struct hit *)b)->position;
    return left < right ? -1 : left > right;
}

// Index of the first hit after (time, position); with `or_at` also one that is there.
static unsigned after(const struct hit *hits, unsigned count, int64_t time_ms, int64_t position, bool or_at) {
    unsigned low = 0, high = count;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        int compared = order(&hits[middle], time_ms, position);
        if (compared < 0 || (compared == 0 && !or_at)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static int find_hits(struct reading *reading, struct hit **ret, unsigned *ret_count, struct sl_error *err) {
    const struct sl_log_group group = sl_logs__group(reading->op, reading->group);
    sl_logs_settle(sl_logs__of(reading->op));
    int result = sl_logs_scan(sl_logs__of(reading->op), &group, note, reading, err);
    if (result) return result;
    *ret = (struct hit *)(void *)reading->hits.ptr;
    *ret_count = (unsigned)(reading->hits.len / sizeof(struct hit));
    if (*ret_count) qsort(*ret, *ret_count, sizeof(struct hit), by_time);
    return 0;
}

// ---- the second pass ------------------------------------------------------------------------------------------------

static bool copy(void *user, const struct sl_log_event *event) {
    struct reading *reading = user;
    struct sl_arena *arena = reading->op->arena;
    const struct hit wanted = {.position = event->position};
    const struct hit *hit = bsearch(&wanted, reading->page, reading->page_count, sizeof wanted, by_position);
    if (!hit) return true;
    struct sl_json *row = sl_json_new_object(arena);
    sl_buf_clear(&reading->text, TEXT_MAX);
    sl_log_unescape(&reading->text, event->text);
    sl_json_put_string(arena, row, "logStreamName", sl_arena_dup(arena, event->stream));
    sl_json_put_int(arena, row, "timestamp", event->time_ms);
    sl_json_put_string(arena, row, "message", sl_arena_dup(arena, sl_buf_view(&reading->text)));
    sl_json_put_int(arena, row, "ingestionTime", event->taken_ms);
    sl_json_put_string(
        arena, row, "eventId",
        sl_arena_printf(arena, "%019lld%019lld%018d", (long long)event->time_ms, (long long)event->position, 0));
    reading->rows[hit->index] = row;
    return !sl_arena_failed(arena);
}

static int fill(struct reading *reading, struct hit *page, unsigned count, struct sl_error *err) {
    struct sl_op *op = reading->op;
    const struct sl_log_group group = sl_logs__group(op, reading->group);
    struct sl_json *events = sl_json_new_array(op->arena);
    reading->page = sl_arena_alloc(op->arena, (count + 1) * sizeof *page);
    reading->rows = sl_arena_zalloc(op->arena, (count + 1) * sizeof(struct sl_json *));
    if (!reading->page || !reading->rows) return sl_fail(err, SL_E_NO_MEMORY, "the answer is too large");
    for (unsigned i = 0; i < count; i++) {
        page[i].index = i;
        reading->page[i] = page[i];
    }
    reading->page_count = count;
    if (count) {
        qsort(reading->page, count, sizeof *page, by_position);
        int result = sl_logs_scan(sl_logs__of(op), &group, copy, reading, err);
        if (result) return result;
    }
    for (unsigned i = 0; i < count; i++) {
        if (reading->rows[i]) sl_json_push(events, reading->rows[i]); // else its file was dropped meanwhile
    }
    sl_json_set(op->out, SL_STR("events"), events);
    return sl_arena_failed(op->arena) ? sl_fail(err, SL_E_NO_MEMORY, "the answer is too large") : 0;
}

// ---- tokens ---------------------------------------------------------------------------------------------------------

static struct sl_str token_of(struct sl_op *op, const char *prefix, int64_t time_ms, int64_t position) {
    return sl_arena_printf(op->arena, "%s%019lld%019lld%018d", prefix, (long long)time_ms, (long long)position, 0);
}

static bool read_token(struct sl_str token, int64_t *ret_time_ms, int64_t *ret_position) {
    return token.len == 56 && sl_str_to_i64(sl_str_sub(token, 0, 19), ret_time_ms) &&
           sl_str_to_i64(sl_str_sub(token, 19, 38), ret_position);
}

static struct reading *begin(struct sl_op *op, struct sl_error *err) {
    struct reading *reading = sl_arena_zalloc(op->arena, sizeof *reading);
    if (!reading) {
        sl_fail(err, SL_E_NO_MEMORY, "request too large");
        return NULL;
    }
    reading->op = op;
    reading->group = sl_logs__group_name(op);
    reading->from_ms = sl_json_int(op->in, "startTime", 0);
    reading->until_ms = sl_json_int(op->in, "endTime", INT64_MAX);
    sl_arena_init(&reading->scratch, 64 << 20);
    sl_buf_init(&reading->hits, HITS_MAX);
    sl_buf_init(&reading->text, 2 * TEXT_MAX);
    return reading;
}

static void release(struct reading *reading) {
    sl_arena_free(&reading->scratch);
    sl_buf_free(&reading->hits);
    sl_buf_free(&reading->text);
}

// ---- GetLogEvents ---------------------------------------------------------------------------------------------------

// How many from `from` on fit a page (backwards: before `to`).
static unsigned page_size(const struct hit *hits, unsigned from, unsigned to, unsigned limit, bool backwards) {
    unsigned count = 0;
    size_t bytes = 0;
    while (count < limit && from + count < to) {
        bytes += hits[backwards ? to - 1 - count : from + count].length + 26u;
        if (count && bytes > PAGE_BYTES) break;
        count++;
    }
    return count;
}

static int get_page(struct reading *reading, struct sl_error *err) {
    struct sl_op *op = reading->op;
    struct sl_str token = sl_op_in(op, "nextToken"), place = sl_str_sub(token, 2, token.len);
    unsigned count = 0, from = 0, limit = (unsigned)sl_json_int(op->in, "limit", EVENTS_MAX);
    int64_t time = 0, position = 0;
    bool forward = sl_str_starts(token, SL_STR("f/")), backward = sl_str_starts(token, SL_STR("b/"));
    struct hit *hits;
    if (token.len && ((!forward && !backward) || !read_token(place, &time, &position))) return sl_logs__bad_token(err);
    int result = find_hits(reading, &hits, &count, err);
    if (result) return result;
    if (!reading->known) return sl_logs__no_stream(err);
    if (!token.len) {
        forward = sl_json_bool(op->in, "startFromHead", false);
        backward = !forward;
    } else if (forward) {
        from = after(hits, count, time, position, false);
    } else {
        count = after(hits, count, time, position, true);
    }
    unsigned size = page_size(hits, from, count, limit, backward);
    struct hit *page = backward ? hits + (count - size) : hits + from;
    if (size) {
        sl_op_out(op, "nextForwardToken", token_of(op, "f/", page[size - 1].time_ms, page[size - 1].position));
        sl_op_out(op, "nextBackwardToken", token_of(op, "b/", page[0].time_ms, page[0].position));
    } else { // the end: the same token again
        sl_op_out(op, "nextForwardToken", token_of(op, "f/", time, position));
        sl_op_out(op, "nextBackwardToken", token_of(op, "b/", time, position));
    }
    return fill(reading, page, size, err);
}

static int get(struct sl_op *op, struct sl_error *err) {
    struct reading *reading = *sl_logs__state(op);
    int result = get_page(reading, err);
    release(reading);
    return result;
}

int sl_logs__get_events(struct sl_op *op, struct sl_error *err) {
    struct reading *reading = begin(op, err);
    if (!reading) return err->kind;
    reading->stream = sl_op_in(op, "logStreamName");
    return sl_logs__query(op, load, get, reading, err);
}

// ---- FilterLogEvents ------------------------------------------------------------------------------------------------

static int filter_page(struct reading *reading, struct sl_error *err) {
    struct sl_op *op = reading->op;
    struct sl_str token = sl_op_in(op, "nextToken");
    unsigned count = 0, from = 0, limit = (unsigned)sl_json_int(op->in, "limit", EVENTS_MAX);
    int64_t time = 0, position = 0;
    struct hit *hits;
    if (token.len && !read_token(token, &time, &position)) return sl_logs__bad_token(err);
    int result = find_hits(reading, &hits, &count, err);
    if (result) return result;
    if (token.len) from = after(hits, count, time, position, false);
    unsigned size = page_size(hits, from, count, limit, false);
    if (from + size < count) {
        const struct hit *last = &hits[from + size - 1];
        sl_op_out(op, "nextToken", token_of(op, "", last->time_ms, last->position));
    }
    sl_json_set(op->out, SL_STR("searchedLogStreams"), sl_json_new_array(op->arena));
    return fill(reading, hits ? hits + from : NULL, size, err);
}

static int filter(struct sl_op *op, struct sl_error *err) {
    struct reading *reading = *sl_logs__state(op);
    int result = filter_page(reading, err);
    release(reading);
    return result;
}

int sl_logs__filter_events(struct sl_op *op, struct sl_error *err) {
    struct sl_str text = sl_op_in(op, "filterPattern");
    const struct sl_json *names = sl_json_get(op->in, "logStreamNames");
    struct reading *reading = begin(op, err);
    if (!reading) return err->kind;
    reading->streams = names;
    reading->prefix = sl_op_in(op, "logStreamNamePrefix");
    if (reading->until_ms < INT64_MAX) reading->until_ms++; // inclusive here
    if (names && reading->prefix.len)
        return sl_fail(err, SL_E_LOGS_PARAMETER,
                       "logStreamNamePrefix and logStreamNames can not be specified together.");
    int result = sl_str_trim(text).len ? sl_logs__pattern_parse(op->arena, text, &reading->pattern, err) : 0;
    return result ? result : sl_logs__query(op, load, filter, reading, err);
}
