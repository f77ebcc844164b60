// SPDX-License-Identifier: Apache-2.0
//
// event: the durable queue of asynchronous invocations. Appending is the one write that requests wait for, so it is
// kept lean: a prepared insert at the end of the table and of the index, the payload bound from the caller's memory and
// never parsed.
//
// Ids ascend and are never given twice while the store is open, also when the job that took one was undone, so that a
// late settle can never hit another event.
//
// Storage thread only, inside a job.
#include "store/internal.h"

int sl_event_append(struct sl_store_tx *tx, struct sl_event *event, struct sl_error *err) {
    int result = sl_store__may_write(tx, err);
    if (result) return result;
    sqlite3_stmt *statement = sl_store__prepare(tx, SL_SQL_EVENT_APPEND, err);
    if (!statement) return SL_E_IO;
    int64_t id = tx->next_event++;
    sqlite3_bind_int64(statement, 1, id);
    sqlite3_bind_int64(statement, 2, event->due_ms);
    sqlite3_bind_int64(statement, 3, event->accepted_ms);
    sqlite3_bind_int64(statement, 4, event->attempts);
    sl_store__bind(statement, 5, sl_str_n(event->request_id, strnlen(event->request_id, sizeof event->request_id)));
    sl_store__bind(statement, 6, event->function);
    sl_store__bind(statement, 7, event->context);
    sl_store__bind(statement, 8, event->payload);
    result = sl_store__step(tx, SL_SQL_EVENT_APPEND, statement, err);
    if (!result) event->id = id;
    return result;
}

static int settle(struct sl_store_tx *tx, enum sl_store__sql which, sqlite3_stmt *statement, int64_t id,
                  struct sl_error *err) {
    int result = sl_store__step(tx, which, statement, err);
    if (result) return result;
    return sqlite3_changes(tx->db) ? 0 : sl_fail(err, SL_E_NOT_FOUND, "no event %lld", (long long)id);
}

int sl_event_reschedule(struct sl_store_tx *tx, int64_t id, int64_t due_ms, unsigned attempts, struct sl_error *err) {
    int result = sl_store__may_write(tx, err);
    if (result) return result;
    sqlite3_stmt *statement = sl_store__prepare(tx, SL_SQL_EVENT_RESCHEDULE, err);
    if (!statement) return SL_E_IO;
    sqlite3_bind_int64(statement, 1, id);
    sqlite3_bind_int64(statement, 2, due_ms);
    sqlite3_bind_int64(statement, 3, attempts);
    return settle(tx, SL_SQL_EVENT_RESCHEDULE, statement, id, err);
}

int sl_event_remove(struct sl_store_tx *tx, int64_t id, struct sl_error *err) {
    int result = sl_store__may_write(tx, err);
    if (result) return result;
    sqlite3_stmt *statement = sl_store__prepare(tx, SL_SQL_EVENT_REMOVE, err);
    if (!statement) return SL_E_IO;
    sqlite3_bind_int64(statement, 1, id);
    return settle(tx, SL_SQL_EVENT_REMOVE, statement, id, err);
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

int sl_event_load(struct sl_store_tx *tx, struct sl_arena *arena, int64_t now_ms, int64_t after, unsigned limit,
                  struct sl_event **ret, unsigned *ret_count, struct sl_error *err) {
    struct sl_event *events = sl_arena_alloc(arena, sizeof *events * limit);
    if (!events) return sl_fail(err, SL_E_NO_MEMORY, "load events: the arena is full");
    enum sl_store__sql which = now_ms == INT64_MAX ? SL_SQL_EVENT_ALL : SL_SQL_EVENT_DUE;
    sqlite3_stmt *statement = sl_store__prepare(tx, which, err);
    if (!statement) return SL_E_IO;
    sqlite3_bind_int64(statement, 1, after);
    sqlite3_bind_int64(statement, 2, limit);
    if (which == SL_SQL_EVENT_DUE) sqlite3_bind_int64(statement, 3, now_ms);
    unsigned count = 0;
    int result = 0, code;
    while (!result && (code = sqlite3_step(statement)) != SQLITE_DONE) {
        if (code != SQLITE_ROW)
            result = sl_store__fail(tx, "load events", err);
        else
            result = read_event(arena, statement, &events[count], err);
        if (!result) count++;
    }
    sl_store__finish(tx, which, statement);
    if (result) return result;
    *ret = events;
    *ret_count = count;
    return 0;
}
