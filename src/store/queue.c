// SPDX-License-Identifier: Apache-2.0
//
// queue: messages of queues, their groups and what was deduplicated; see store.h. Sending is one insert, receiving n
// messages a seek and n steps of an index and n updates, deleting one delete: none of them grows with the queue.
//
// Invariants: a group of an ordered queue has a row in message_order exactly while it has messages (or until the next
// look at it, when its last ones expired); its ready_ms is not before the end of any of its messages' invisibility.
//
// Storage thread only, inside a job.
#include "store/internal.h"

static sqlite3_stmt *begin(struct sl_store_tx *tx, enum sl_store__sql which, bool write, struct sl_error *err) {
    if (write && sl_store__may_write(tx, err)) return NULL;
    return sl_store__prepare(tx, which, err);
}

static int failed(const struct sl_error *err) { return err && err->kind ? err->kind : SL_E_IO; }

// ---- messages -------------------------------------------------------------------------------------------------------

int sl_message_append(struct sl_store_tx *tx, struct sl_message *message, struct sl_error *err) {
    sqlite3_stmt *statement = begin(tx, SL_SQL_MESSAGE_APPEND, true, err);
    if (!statement) return failed(err);
    int64_t seq = tx->next_message++;
    const int64_t numbers[] = {seq,
                               message->queue,
                               message->visible_ms,
                               message->sent_ms,
                               message->first_ms,
                               message->received_ms,
                               message->receipt,
                               message->receives};
    for (int i = 0; i < 8; i++) sqlite3_bind_int64(statement, 1 + i, numbers[i]);
    sl_store__bind(statement, 9, message->id);
    sl_store__bind(statement, 10, message->group);
    sl_store__bind(statement, 11, message->doc);
    sl_store__bind(statement, 12, message->body);
    int result = sl_store__step(tx, SL_SQL_MESSAGE_APPEND, statement, err);
    if (!result) message->seq = seq;
    return result;
}

static int read_message(struct sl_arena *arena, sqlite3_stmt *statement, struct sl_message *ret, struct sl_error *err) {
    *ret = (struct sl_message){
        .seq = sqlite3_column_int64(statement, 0),
        .queue = sqlite3_column_int64(statement, 1),
        .visible_ms = sqlite3_column_int64(statement, 2),
        .sent_ms = sqlite3_column_int64(statement, 3),
        .first_ms = sqlite3_column_int64(statement, 4),
        .received_ms = sqlite3_column_int64(statement, 5),
        .receipt = sqlite3_column_int64(statement, 6),
        .receives = (unsigned)sqlite3_column_int64(statement, 7),
        .id = sl_arena_dup(arena, sl_store__column(statement, 8)),
        .group = sl_arena_dup(arena, sl_store__column(statement, 9)),
        .doc = sl_arena_dup(arena, sl_store__column(statement, 10)),
        .body = sl_arena_dup(arena, sl_store__column(statement, 11)),
    };
    return sl_arena_failed(arena) ? sl_fail(err, SL_E_NO_MEMORY, "read messages: the arena is full") : 0;
}

int sl_message_get(struct sl_store_tx *tx, struct sl_arena *arena, int64_t queue, int64_t seq, struct sl_message *ret,
                   struct sl_error *err) {
    sqlite3_stmt *statement = begin(tx, SL_SQL_MESSAGE_GET, false, err);
    if (!statement) return failed(err);
    sqlite3_bind_int64(statement, 1, seq);
    sqlite3_bind_int64(statement, 2, queue);
    int code = sqlite3_step(statement);
    int result = code == SQLITE_ROW    ? read_message(arena, statement, ret, err)
                 : code == SQLITE_DONE ? sl_fail(err, SL_E_NOT_FOUND, "no message %lld", (long long)seq)
                                       : sl_store__fail(tx, "read a message", err);
    sl_store__finish(tx, SL_SQL_MESSAGE_GET, statement);
    return result;
}

// The rows of a bound statement; finishes it.
static int read_messages(struct sl_store_tx *tx, struct sl_arena *arena, enum sl_store__sql which,
                         sqlite3_stmt *statement, unsigned limit, struct sl_message **ret, unsigned *ret_count,
                         struct sl_error *err) {
    struct sl_message *messages = sl_arena_alloc(arena, limit * sizeof *messages);
    unsigned count = 0;
    int result = 0, code;
    if (!messages) {
        sl_store__finish(tx, which, statement);
        return sl_fail(err, SL_E_NO_MEMORY, "read messages: the arena is full");
    }
    while (!result && (code = sqlite3_step(statement)) != SQLITE_DONE) {
        if (code != SQLITE_ROW)
            result = sl_store__fail(tx, "read messages", err);
        else
            result = read_message(arena, statement, &messages[count], err);
        if (!result) count++;
    }
    sl_store__finish(tx, which, statement);
    if (result) return result;
    *ret = messages;
    *ret_count = count;
    return 0;
}

int sl_message_visible(struct sl_store_tx *tx, struct sl_arena *arena, int64_t queue, int64_t now_ms, unsigned limit,
                       struct sl_message **ret, unsigned *ret_count, struct sl_error *err) {
    sqlite3_stmt *statement = begin(tx, SL_SQL_MESSAGE_VISIBLE, false, err);
    if (!statement) return failed(err);
    sqlite3_bind_int64(statement, 1, queue);
    sqlite3_bind_int64(statement, 2, now_ms);
    sqlite3_bind_int64(statement, 3, limit);
    return read_messages(tx, arena, SL_SQL_MESSAGE_VISIBLE, statement, limit, ret, ret_count, err);
}

int sl_message_of_group(struct sl_store_tx *tx, struct sl_arena *arena, int64_t queue, struct sl_str group,
                        unsigned limit, struct sl_message **ret, unsigned *ret_count, struct sl_error *err) {
    sqlite3_stmt *statement = begin(tx, SL_SQL_MESSAGE_OF_GROUP, false, err);
    if (!statement) return failed(err);
    sqlite3_bind_int64(statement, 1, queue);
    sl_store__bind(statement, 2, group);
    sqlite3_bind_int64(statement, 3, limit);
    return read_messages(tx, arena, SL_SQL_MESSAGE_OF_GROUP, statement, limit, ret, ret_count, err);
}

static void bind_state(sqlite3_stmt *statement, const struct sl_message *message) {
    sqlite3_bind_int64(statement, 1, message->seq);
    sqlite3_bind_int64(statement, 2, message->visible_ms);
    sqlite3_bind_int64(statement, 3, message->first_ms);
    sqlite3_bind_int64(statement, 4, message->received_ms);
    sqlite3_bind_int64(statement, 5, message->receipt);
    sqlite3_bind_int64(statement, 6, message->receives);
}

int sl_message_update(struct sl_store_tx *tx, const struct sl_message *message, struct sl_error *err) {
    sqlite3_stmt *statement = begin(tx, SL_SQL_MESSAGE_UPDATE, true, err);
    if (!statement) return failed(err);
    bind_state(statement, message);
    return sl_store__step(tx, SL_SQL_MESSAGE_UPDATE, statement, err);
}

int sl_message_move(struct sl_store_tx *tx, struct sl_message *message, int64_t queue, struct sl_error *err) {
    sqlite3_stmt *statement = begin(tx, SL_SQL_MESSAGE_MOVE, true, err);
    if (!statement) return failed(err);
    int64_t seq = tx->next_message++;
    bind_state(statement, message);
    sqlite3_bind_int64(statement, 7, seq);
    sqlite3_bind_int64(statement, 8, queue);
    sqlite3_bind_int64(statement, 9, message->sent_ms);
    sl_store__bind(statement, 10, message->id);
    sl_store__bind(statement, 11, message->doc);
    int result = sl_store__step(tx, SL_SQL_MESSAGE_MOVE, statement, err);
    if (result) return result;
    message->seq = seq;
    message->queue = queue;
    return 0;
}

// A write with one or more numbers and no rows.
static int run(struct sl_store_tx *tx, enum sl_store__sql which, const int64_t *numbers, int count,
               struct sl_error *err) {
    sqlite3_stmt *statement = begin(tx, which, true, err);
    if (!statement) return failed(err);
    for (int i = 0; i < count; i++) sqlite3_bind_int64(statement, 1 + i, numbers[i]);
    return sl_store__step(tx, which, statement, err);
}

int sl_message_remove(struct sl_store_tx *tx, int64_t seq, struct sl_error *err) {
    return run(tx, SL_SQL_MESSAGE_REMOVE, &seq, 1, err);
}

int sl_message_clear(struct sl_store_tx *tx, int64_t queue, bool memory, struct sl_error *err) {
    int result = run(tx, SL_SQL_MESSAGE_CLEAR, &queue, 1, err);
    if (!result) result = run(tx, SL_SQL_GROUP_CLEAR, &queue, 1, err);
    if (!result && memory) result = run(tx, SL_SQL_DEDUP_CLEAR, &queue, 1, err);
    return result;
}

int sl_message_expire(struct sl_store_tx *tx, int64_t queue, int64_t sent_before_ms, unsigned limit,
                      unsigned *ret_count, struct sl_error *err) {
    const int64_t numbers[] = {queue, sent_before_ms, limit};
    int result = run(tx, SL_SQL_MESSAGE_EXPIRE, numbers, 3, err);
    if (!result) *ret_count = (unsigned)sqlite3_changes(tx->db);
    return result;
}

int sl_message_count(struct sl_store_tx *tx, int64_t queue, int64_t now_ms, struct sl_message_counts *ret,
                     struct sl_error *err) {
    sqlite3_stmt *statement = begin(tx, SL_SQL_MESSAGE_COUNT, false, err);
    if (!statement) return failed(err);
    sqlite3_bind_int64(statement, 1, queue);
    sqlite3_bind_int64(statement, 2, now_ms);
    int result = sqlite3_step(statement) == SQLITE_ROW ? 0 : sl_store__fail(tx, "count messages", err);
    if (!result) {
        *ret = (struct sl_message_counts){sqlite3_column_int64(statement, 0), sqlite3_column_int64(statement, 1),
                                          sqlite3_column_int64(statement, 2)};
    }
    sl_store__finish(tx, SL_SQL_MESSAGE_COUNT, statement);
    return result;
}

int sl_message_next(struct sl_store_tx *tx, int64_t queue, bool ordered, int64_t now_ms, int64_t *ret_ms,
                    struct sl_error *err) {
    enum sl_store__sql which = ordered ? SL_SQL_GROUP_NEXT : SL_SQL_MESSAGE_NEXT;
    sqlite3_stmt *statement = begin(tx, which, false, err);
    if (!statement) return failed(err);
    sqlite3_bind_int64(statement, 1, queue);
    sqlite3_bind_int64(statement, 2, now_ms);
    int result = sqlite3_step(statement) == SQLITE_ROW ? 0 : sl_store__fail(tx, "read messages", err);
    bool none = !result && sqlite3_column_type(statement, 0) == SQLITE_NULL;
    if (!result) *ret_ms = none ? INT64_MAX : sqlite3_column_int64(statement, 0);
    sl_store__finish(tx, which, statement);
    return result;
}

// ---- groups ---------------------------------------------------------------------------------------------------------

int sl_group_ready(struct sl_store_tx *tx, struct sl_arena *arena, int64_t queue, int64_t now_ms, unsigned limit,
                   struct sl_str **ret, unsigned *ret_count, struct sl_error *err) {
    struct sl_str *names = sl_arena_alloc(arena, limit * sizeof *names);
    if (!names) return sl_fail(err, SL_E_NO_MEMORY, "read groups: the arena is full");
    sqlite3_stmt *statement = begin(tx, SL_SQL_GROUP_READY, false, err);
    if (!statement) return failed(err);
    sqlite3_bind_int64(statement, 1, queue);
    sqlite3_bind_int64(statement, 2, now_ms);
    sqlite3_bind_int64(statement, 3, limit);
    unsigned count = 0;
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW)
        names[count++] = sl_arena_dup(arena, sl_store__column(statement, 0));
    int result = code != SQLITE_DONE      ? sl_store__fail(tx, "read groups", err)
                 : sl_arena_failed(arena) ? sl_fail(err, SL_E_NO_MEMORY, "read groups: the arena is full")
                                          : 0;
    sl_store__finish(tx, SL_SQL_GROUP_READY, statement);
    if (result) return result;
    *ret = names;
    *ret_count = count;
    return 0;
}

static int write_group(struct sl_store_tx *tx, enum sl_store__sql which, int64_t queue, struct sl_str group,
                       int64_t ready_ms, struct sl_error *err) {
    sqlite3_stmt *statement = begin(tx, which, true, err);
    if (!statement) return failed(err);
    sqlite3_bind_int64(statement, 1, queue);
    sl_store__bind(statement, 2, group);
    if (which != SL_SQL_GROUP_REMOVE) sqlite3_bind_int64(statement, 3, ready_ms);
    return sl_store__step(tx, which, statement, err);
}

int sl_group_add(struct sl_store_tx *tx, int64_t queue, struct sl_str group, int64_t ready_ms, struct sl_error *err) {
    return write_group(tx, SL_SQL_GROUP_ADD, queue, group, ready_ms, err);
}

int sl_group_settle(struct sl_store_tx *tx, int64_t queue, struct sl_str group, int64_t now_ms, struct sl_error *err) {
    sqlite3_stmt *statement = begin(tx, SL_SQL_GROUP_SCAN, false, err);
    if (!statement) return failed(err);
    sqlite3_bind_int64(statement, 1, queue);
    sl_store__bind(statement, 2, group);
    // Messages are received from the front, so those in flight stand before the first that never was.
    int64_t ready_ms = -1;
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        int64_t visible_ms = sqlite3_column_int64(statement, 0);
        bool received = sqlite3_column_int64(statement, 1) > 0;
        if (ready_ms < 0 || (received && visible_ms > now_ms && visible_ms > ready_ms)) ready_ms = visible_ms;
        if (!received) break;
    }
    int result = code == SQLITE_ROW || code == SQLITE_DONE ? 0 : sl_store__fail(tx, "read a group", err);
    sl_store__finish(tx, SL_SQL_GROUP_SCAN, statement);
    if (result) return result;
    return write_group(tx, ready_ms < 0 ? SL_SQL_GROUP_REMOVE : SL_SQL_GROUP_SET, queue, group, ready_ms, err);
}

// ---- deduplication --------------------------------------------------------------------------------------------------

int sl_dedup_find(struct sl_store_tx *tx, struct sl_arena *arena, int64_t queue, struct sl_str key, int64_t now_ms,
                  int64_t *ret_seq, struct sl_str *ret_id, struct sl_error *err) {
    sqlite3_stmt *statement = begin(tx, SL_SQL_DEDUP_FIND, false, err);
    if (!statement) return failed(err);
    sqlite3_bind_int64(statement, 1, queue);
    sl_store__bind(statement, 2, key);
    sqlite3_bind_int64(statement, 3, now_ms);
    int code = sqlite3_step(statement);
    int result = code == SQLITE_ROW    ? 0
                 : code == SQLITE_DONE ? sl_fail(err, SL_E_NOT_FOUND, "not sent before")
                                       : sl_store__fail(tx, "read what was sent", err);
    if (!result) {
        *ret_seq = sqlite3_column_int64(statement, 0);
        *ret_id = sl_arena_dup(arena, sl_store__column(statement, 1));
    }
    sl_store__finish(tx, SL_SQL_DEDUP_FIND, statement);
    return result;
}

int sl_dedup_put(struct sl_store_tx *tx, int64_t queue, struct sl_str key, int64_t seq, struct sl_str id,
                 int64_t until_ms, struct sl_error *err) {
    sqlite3_stmt *statement = begin(tx, SL_SQL_DEDUP_PUT, true, err);
    if (!statement) return failed(err);
    sqlite3_bind_int64(statement, 1, queue);
    sl_store__bind(statement, 2, key);
    sqlite3_bind_int64(statement, 3, seq);
    sl_store__bind(statement, 4, id);
    sqlite3_bind_int64(statement, 5, until_ms);
    return sl_store__step(tx, SL_SQL_DEDUP_PUT, statement, err);
}

int sl_dedup_expire(struct sl_store_tx *tx, int64_t now_ms, unsigned limit, struct sl_error *err) {
    const int64_t numbers[] = {now_ms, limit};
    return run(tx, SL_SQL_DEDUP_EXPIRE, numbers, 2, err);
}
