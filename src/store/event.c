// SPDX-License-Identifier: Apache-2.0
//
// event: the durable queue of asynchronous invocations, and the events that ended badly. Appending is the one write
// that requests wait for, so it is kept lean: a prepared insert at the end of the table and at the end of its lane in
// the index, the payload bound from the caller's memory and never parsed.
//
// Cost: every verb is a constant number of steps of a B-tree, whatever is stored; sl_event_due also steps over what its
// caller has taken already, which is bounded by how much runs at once. Rows that are removed leave pages that the next
// appends use, so the file is as large as the queue ever was, and removing needs no clean-up (design section 7 speaks
// of segments; bench/store/run is the figure that decides).
//
// Ids ascend and are never given twice while the store is open, also when the job that took one was undone, so that a
// late settle can never hit another event. The count of attempts is the fence between two who hold the same event: a
// settle names the count it began with.
//
// Storage thread only, inside a job.
#include "store/internal.h"

#include <stdlib.h>

// FNV-1a over the first seven parts of "arn:PARTITION:lambda:REGION:ACCOUNT:function:NAME[:QUALIFIER]".
int64_t sl_event_lane(struct sl_str function) {
    uint64_t value = 1469598103934665603u;
    unsigned colons = 0;
    for (size_t i = 0; i < function.len; i++) {
        if (function.ptr[i] == ':' && ++colons == 7) break;
        value = (value ^ (unsigned char)function.ptr[i]) * 1099511628211u;
    }
    return (int64_t)((value ^ value >> 29) & INT64_MAX) | 1;
}

static sqlite3_stmt *begin(struct sl_store_tx *tx, enum sl_store__sql which, bool write, struct sl_error *err) {
    if (write && sl_store__may_write(tx, err)) return NULL;
    return sl_store__prepare(tx, which, err);
}

static int failed(const struct sl_error *err) { return err && err->kind ? err->kind : SL_E_IO; }

static void bind_event(sqlite3_stmt *statement, const struct sl_event *event, int at) {
    sqlite3_bind_int64(statement, at, event->accepted_ms);
    sqlite3_bind_int64(statement, at + 1, event->attempts);
    sl_store__bind(statement, at + 2,
                   sl_str_n(event->request_id, strnlen(event->request_id, sizeof event->request_id)));
    sl_store__bind(statement, at + 3, event->function);
    sl_store__bind(statement, at + 4, event->context);
    sl_store__bind(statement, at + 5, event->payload);
}

int sl_event_append(struct sl_store_tx *tx, struct sl_event *event, struct sl_error *err) {
    sqlite3_stmt *statement = begin(tx, SL_SQL_EVENT_APPEND, true, err);
    if (!statement) return failed(err);
    int64_t id = tx->next_event++;
    sqlite3_bind_int64(statement, 1, id);
    sqlite3_bind_int64(statement, 2, event->due_ms);
    bind_event(statement, event, 3);
    sqlite3_bind_int64(statement, 9, sl_event_lane(event->function));
    int result = sl_store__step(tx, SL_SQL_EVENT_APPEND, statement, err);
    if (!result) event->id = id;
    return result;
}

static int settle(struct sl_store_tx *tx, enum sl_store__sql which, sqlite3_stmt *statement, int64_t id,
                  struct sl_error *err) {
    int result = sl_store__step(tx, which, statement, err);
    if (result) return result;
    return sqlite3_changes(tx->db) ? 0 : sl_fail(err, SL_E_NOT_FOUND, "no event %lld", (long long)id);
}

int sl_event_reschedule(struct sl_store_tx *tx, int64_t id, unsigned attempts, int64_t due_ms, unsigned new_attempts,
                        struct sl_error *err) {
    sqlite3_stmt *statement = begin(tx, SL_SQL_EVENT_RESCHEDULE, true, err);
    if (!statement) return failed(err);
    sqlite3_bind_int64(statement, 1, id);
    sqlite3_bind_int64(statement, 2, due_ms);
    sqlite3_bind_int64(statement, 3, new_attempts);
    sqlite3_bind_int64(statement, 4, attempts);
    return settle(tx, SL_SQL_EVENT_RESCHEDULE, statement, id, err);
}

int sl_event_remove(struct sl_store_tx *tx, int64_t id, unsigned attempts, struct sl_error *err) {
    sqlite3_stmt *statement = begin(tx, SL_SQL_EVENT_REMOVE, true, err);
    if (!statement) return failed(err);
    sqlite3_bind_int64(statement, 1, id);
    sqlite3_bind_int64(statement, 2, attempts);
    return settle(tx, SL_SQL_EVENT_REMOVE, statement, id, err);
}

static int drop(struct sl_store_tx *tx, enum sl_store__sql which, int64_t id, bool *ret_existed, struct sl_error *err) {
    sqlite3_stmt *statement = begin(tx, which, true, err);
    if (!statement) return failed(err);
    sqlite3_bind_int64(statement, 1, id);
    int result = settle(tx, which, statement, id, err);
    if (ret_existed) *ret_existed = !result;
    return result == SL_E_NOT_FOUND ? 0 : result;
}

int sl_event_drop(struct sl_store_tx *tx, int64_t id, bool *ret_existed, struct sl_error *err) {
    return drop(tx, SL_SQL_EVENT_DROP, id, ret_existed, err);
}

static int read_event(struct sl_arena *arena, sqlite3_stmt *statement, struct sl_event *event, struct sl_error *err) {
    *event = (struct sl_event){
        .id = sqlite3_column_int64(statement, 0),
        .due_ms = sqlite3_column_int64(statement, 1),
        .accepted_ms = sqlite3_column_int64(statement, 2),
        .attempts = (unsigned)sqlite3_column_int(statement, 3),
        .function = sl_arena_dup(arena, sl_store__column(statement, 5)),
        .context = sl_arena_dup(arena, sl_store__column(statement, 6)),
        .payload = sl_arena_dup(arena, sl_store__column(statement, 7)),
    };
    struct sl_str request_id = sl_str_sub(sl_store__column(statement, 4), 0, sizeof event->request_id - 1);
    memcpy(event->request_id, request_id.ptr, request_id.len);
    return sl_arena_failed(arena) ? sl_fail(err, SL_E_NO_MEMORY, "load events: the arena is full") : 0;
}

static int read_dead(struct sl_arena *arena, sqlite3_stmt *statement, struct sl_dead_event *dead,
                     struct sl_error *err) {
    dead->died_ms = sqlite3_column_int64(statement, 8);
    dead->reason = sl_arena_dup(arena, sl_store__column(statement, 9));
    return read_event(arena, statement, &dead->event, err);
}

// One row by id; what a waiting event has not is left alone.
static int get(struct sl_store_tx *tx, struct sl_arena *arena, enum sl_store__sql which, int64_t id,
               struct sl_dead_event *ret, struct sl_error *err) {
    sqlite3_stmt *statement = begin(tx, which, false, err);
    if (!statement) return failed(err);
    sqlite3_bind_int64(statement, 1, id);
    int code = sqlite3_step(statement);
    int result = code == SQLITE_DONE        ? sl_fail(err, SL_E_NOT_FOUND, "no event %lld", (long long)id)
                 : code != SQLITE_ROW       ? sl_store__fail(tx, "read an event", err)
                 : which == SL_SQL_DEAD_GET ? read_dead(arena, statement, ret, err)
                                            : read_event(arena, statement, &ret->event, err);
    sl_store__finish(tx, which, statement);
    return result;
}

int sl_event_get(struct sl_store_tx *tx, struct sl_arena *arena, int64_t id, struct sl_event *ret,
                 struct sl_error *err) {
    struct sl_dead_event found;
    int result = get(tx, arena, SL_SQL_EVENT_GET, id, &found, err);
    if (!result) *ret = found.event;
    return result;
}

// Rows in pages by id, into one of two arrays.
static int load(struct sl_store_tx *tx, struct sl_arena *arena, enum sl_store__sql which, int64_t after, unsigned limit,
                struct sl_event *events, struct sl_dead_event *dead, unsigned *ret_count, struct sl_error *err) {
    sqlite3_stmt *statement = begin(tx, which, false, err);
    if (!statement) return failed(err);
    sqlite3_bind_int64(statement, 1, after);
    sqlite3_bind_int64(statement, 2, limit);
    unsigned count = 0;
    int result = 0, code;
    while (!result && (code = sqlite3_step(statement)) != SQLITE_DONE) {
        if (code != SQLITE_ROW)
            result = sl_store__fail(tx, "load events", err);
        else if (which == SL_SQL_DEAD_ALL)
            result = read_dead(arena, statement, &dead[count], err);
        else
            result = read_event(arena, statement, &events[count], err);
        if (!result) count++;
    }
    sl_store__finish(tx, which, statement);
    if (!result) *ret_count = count;
    return result;
}

int sl_event_load(struct sl_store_tx *tx, struct sl_arena *arena, int64_t after, unsigned limit, struct sl_event **ret,
                  unsigned *ret_count, struct sl_error *err) {
    struct sl_event *events = sl_arena_alloc(arena, sizeof *events * limit);
    if (!events) return sl_fail(err, SL_E_NO_MEMORY, "load events: the arena is full");
    int result = load(tx, arena, SL_SQL_EVENT_ALL, after, limit, events, NULL, ret_count, err);
    if (!result) *ret = events;
    return result;
}

// ---- lanes ----------------------------------------------------------------------------------------------------------

static int compare_ids(const void *a, const void *b) {
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

// Chooses ids by the index alone; the rows are read when the statement is finished.
static int choose(struct sl_store_tx *tx, struct sl_event_due *due, int64_t *ids, unsigned *ret_count,
                  struct sl_error *err) {
    sqlite3_stmt *statement = begin(tx, SL_SQL_EVENT_OF_LANE, false, err);
    if (!statement) return failed(err);
    sqlite3_bind_int64(statement, 1, due->lane);
    unsigned count = 0;
    int code;
    due->next_ms = INT64_MAX;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        int64_t due_ms = sqlite3_column_int64(statement, 0), id = sqlite3_column_int64(statement, 1);
        if (due->taken_count && bsearch(&id, due->taken, due->taken_count, sizeof id, compare_ids)) continue;
        due->next_ms = due_ms > due->now_ms ? due_ms : due->now_ms;
        if (due_ms > due->now_ms || count == due->limit) break;
        ids[count++] = id;
        due->next_ms = INT64_MAX;
    }
    sl_store__finish(tx, SL_SQL_EVENT_OF_LANE, statement);
    *ret_count = count;
    return code == SQLITE_ROW || code == SQLITE_DONE ? 0 : sl_store__fail(tx, "read a lane", err);
}

int sl_event_due(struct sl_store_tx *tx, struct sl_arena *arena, struct sl_event_due *due, struct sl_error *err) {
    int64_t *ids = sl_arena_alloc(arena, (due->limit + 1) * sizeof *ids);
    due->events = sl_arena_alloc(arena, (due->limit + 1) * sizeof *due->events);
    due->count = 0;
    if (!ids || !due->events) return sl_fail(err, SL_E_NO_MEMORY, "load events: the arena is full");
    unsigned chosen = 0;
    size_t bytes = 0;
    int result = choose(tx, due, ids, &chosen, err);
    for (unsigned i = 0; i < chosen && !result; i++) {
        if (bytes > due->bytes) {
            due->next_ms = due->now_ms;
            break;
        }
        result = sl_event_get(tx, arena, ids[i], &due->events[due->count], err);
        if (!result) bytes += due->events[due->count++].payload.len;
    }
    return result;
}

int sl_event_lane_after(struct sl_store_tx *tx, int64_t after, int64_t *ret_lane, int64_t *ret_due_ms,
                        struct sl_error *err) {
    sqlite3_stmt *statement = begin(tx, SL_SQL_EVENT_LANE_AFTER, false, err);
    if (!statement) return failed(err);
    sqlite3_bind_int64(statement, 1, after);
    int code = sqlite3_step(statement);
    int result = code == SQLITE_ROW    ? 0
                 : code == SQLITE_DONE ? sl_fail(err, SL_E_NOT_FOUND, "no more lanes")
                                       : sl_store__fail(tx, "read lanes", err);
    if (!result) {
        *ret_lane = sqlite3_column_int64(statement, 0);
        *ret_due_ms = sqlite3_column_int64(statement, 1);
    }
    sl_store__finish(tx, SL_SQL_EVENT_LANE_AFTER, statement);
    return result;
}

// ---- dead events ----------------------------------------------------------------------------------------------------

static int count_dead(struct sl_store_tx *tx, struct sl_error *err) {
    sqlite3_stmt *statement = begin(tx, SL_SQL_DEAD_LAST, false, err);
    if (!statement) return failed(err);
    int result = sqlite3_step(statement) == SQLITE_ROW ? 0 : sl_store__fail(tx, "count dead events", err);
    if (!result) tx->dead_events = sqlite3_column_int64(statement, 1);
    sl_store__finish(tx, SL_SQL_DEAD_LAST, statement);
    return result;
}

// Some more than needed go at once, so that counting is rare.
static int make_room(struct sl_store_tx *tx, struct sl_error *err) {
    if (tx->dead_events < SL_DEAD_EVENTS_MAX) return 0;
    int result = count_dead(tx, err);
    if (result || tx->dead_events < SL_DEAD_EVENTS_MAX) return result;
    sqlite3_stmt *statement = begin(tx, SL_SQL_DEAD_TRIM, true, err);
    if (!statement) return failed(err);
    sqlite3_bind_int64(statement, 1, tx->dead_events - SL_DEAD_EVENTS_MAX + SL_DEAD_EVENTS_MAX / 100);
    result = sl_store__step(tx, SL_SQL_DEAD_TRIM, statement, err);
    if (!result) tx->dead_events -= sqlite3_changes(tx->db);
    return result;
}

int sl_dead_put(struct sl_store_tx *tx, const struct sl_dead_event *dead, struct sl_error *err) {
    int result = make_room(tx, err);
    sqlite3_stmt *statement = result ? NULL : begin(tx, SL_SQL_DEAD_PUT, true, err);
    if (!statement) return failed(err);
    sqlite3_bind_int64(statement, 1, dead->event.id);
    bind_event(statement, &dead->event, 2);
    sqlite3_bind_int64(statement, 8, dead->died_ms);
    sl_store__bind(statement, 9, dead->reason);
    result = sl_store__step(tx, SL_SQL_DEAD_PUT, statement, err);
    if (!result) tx->dead_events++;
    return result;
}

int sl_dead_get(struct sl_store_tx *tx, struct sl_arena *arena, int64_t id, struct sl_dead_event *ret,
                struct sl_error *err) {
    return get(tx, arena, SL_SQL_DEAD_GET, id, ret, err);
}

int sl_dead_load(struct sl_store_tx *tx, struct sl_arena *arena, int64_t after, unsigned limit,
                 struct sl_dead_event **ret, unsigned *ret_count, struct sl_error *err) {
    struct sl_dead_event *dead = sl_arena_alloc(arena, sizeof *dead * limit);
    if (!dead) return sl_fail(err, SL_E_NO_MEMORY, "load events: the arena is full");
    int result = load(tx, arena, SL_SQL_DEAD_ALL, after, limit, NULL, dead, ret_count, err);
    if (!result) *ret = dead;
    return result;
}

int sl_dead_remove(struct sl_store_tx *tx, int64_t id, bool *ret_existed, struct sl_error *err) {
    return drop(tx, SL_SQL_DEAD_REMOVE, id, ret_existed, err);
}

int sl_dead_expire(struct sl_store_tx *tx, int64_t died_before_ms, struct sl_error *err) {
    sqlite3_stmt *statement = begin(tx, SL_SQL_DEAD_EXPIRE, true, err);
    if (!statement) return failed(err);
    sqlite3_bind_int64(statement, 1, died_before_ms);
    return sl_store__step(tx, SL_SQL_DEAD_EXPIRE, statement, err);
}
