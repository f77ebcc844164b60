// SPDX-License-Identifier: Apache-2.0
//
// object: rows of objects, parts and uploads; see object.h. Each verb is a seek and, where it lists, a step per row.
//
// The key of the table is (bucket, key, seq descending), so the newest version of a key is the first of its rows, and a
// partial index has the rows that ListObjects shows: a key with a thousand old versions costs a listing one step.
//
// Storage thread only, inside a job.
#include "store/object.h"
#include "store/internal.h"

#include "base/clock.h"

static sqlite3_stmt *begin(struct sl_store_tx *tx, enum sl_store__sql which, bool write, struct sl_error *err) {
    if (write && sl_store__may_write(tx, err)) return NULL;
    return sl_store__prepare(tx, which, err);
}

static int failed(const struct sl_error *err) { return err && err->kind ? err->kind : SL_E_IO; }

int64_t sl_object_number(struct sl_store_tx *tx) {
    int64_t now = sl_clock_ms() * 1000;
    tx->next_object = tx->next_object >= now ? tx->next_object + 1 : now;
    return tx->next_object;
}

// ---- versions -------------------------------------------------------------------------------------------------------

int sl_object_put(struct sl_store_tx *tx, const struct sl_object *object, struct sl_error *err) {
    sqlite3_stmt *statement = begin(tx, SL_SQL_OBJECT_PUT, true, err);
    if (!statement) return failed(err);
    sqlite3_bind_int64(statement, 1, object->bucket);
    sl_store__bind(statement, 2, object->key);
    const int64_t numbers[] = {object->seq,  object->latest, object->marker,
                               object->data, object->size,   object->modified_ms};
    for (int i = 0; i < 6; i++) sqlite3_bind_int64(statement, 3 + i, numbers[i]);
    sl_store__bind(statement, 9, object->version);
    sl_store__bind(statement, 10, object->etag);
    sl_store__bind(statement, 11, object->doc);
    return sl_store__step(tx, SL_SQL_OBJECT_PUT, statement, err);
}

static void view_object(sqlite3_stmt *statement, struct sl_object *ret) {
    *ret = (struct sl_object){
        .bucket = sqlite3_column_int64(statement, 0),
        .key = sl_store__column(statement, 1),
        .seq = sqlite3_column_int64(statement, 2),
        .latest = sqlite3_column_int64(statement, 3) != 0,
        .marker = sqlite3_column_int64(statement, 4) != 0,
        .data = sqlite3_column_int64(statement, 5),
        .size = sqlite3_column_int64(statement, 6),
        .modified_ms = sqlite3_column_int64(statement, 7),
        .version = sl_store__column(statement, 8),
        .etag = sl_store__column(statement, 9),
        .doc = sl_store__column(statement, 10),
    };
}

int sl_object_find(struct sl_store_tx *tx, struct sl_arena *arena, int64_t bucket, struct sl_str key,
                   struct sl_str version, struct sl_object *ret, struct sl_error *err) {
    enum sl_store__sql which = version.ptr ? SL_SQL_OBJECT_VERSION : SL_SQL_OBJECT_NEWEST;
    sqlite3_stmt *statement = begin(tx, which, false, err);
    if (!statement) return failed(err);
    sqlite3_bind_int64(statement, 1, bucket);
    sl_store__bind(statement, 2, key);
    if (version.ptr) sl_store__bind(statement, 3, version);
    int code = sqlite3_step(statement), result = 0;
    if (code == SQLITE_ROW) {
        view_object(statement, ret);
        struct sl_str *views[] = {&ret->key, &ret->version, &ret->etag, &ret->doc};
        for (size_t i = 0; i < sizeof views / sizeof views[0]; i++) *views[i] = sl_arena_dup(arena, *views[i]);
        if (sl_arena_failed(arena)) result = sl_fail(err, SL_E_NO_MEMORY, "read an object: the arena is full");
    } else {
        result = code == SQLITE_DONE ? sl_fail(err, SL_E_NOT_FOUND, "no such object")
                                     : sl_store__fail(tx, "read an object", err);
    }
    sl_store__finish(tx, which, statement);
    return result;
}

int sl_object_remove(struct sl_store_tx *tx, int64_t bucket, struct sl_str key, int64_t seq, struct sl_error *err) {
    sqlite3_stmt *statement = begin(tx, SL_SQL_OBJECT_REMOVE, true, err);
    if (!statement) return failed(err);
    sqlite3_bind_int64(statement, 1, bucket);
    sl_store__bind(statement, 2, key);
    sqlite3_bind_int64(statement, 3, seq);
    return sl_store__step(tx, SL_SQL_OBJECT_REMOVE, statement, err);
}

int sl_object_set_latest(struct sl_store_tx *tx, int64_t bucket, struct sl_str key, int64_t seq, bool latest,
                         struct sl_error *err) {
    sqlite3_stmt *statement = begin(tx, SL_SQL_OBJECT_LATEST, true, err);
    if (!statement) return failed(err);
    sqlite3_bind_int64(statement, 1, bucket);
    sl_store__bind(statement, 2, key);
    sqlite3_bind_int64(statement, 3, seq);
    sqlite3_bind_int64(statement, 4, latest);
    return sl_store__step(tx, SL_SQL_OBJECT_LATEST, statement, err);
}

// Steps through a bound statement. *ret_stopped: `each` had enough.
static int walk(struct sl_store_tx *tx, enum sl_store__sql which, sqlite3_stmt *statement,
                bool (*each)(void *user, const struct sl_object *object), void *user, bool *ret_stopped,
                struct sl_error *err) {
    struct sl_object object;
    int code;
    *ret_stopped = false;
    while (!*ret_stopped && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        view_object(statement, &object);
        *ret_stopped = !each(user, &object);
    }
    int result = *ret_stopped || code == SQLITE_DONE ? 0 : sl_store__fail(tx, "list objects", err);
    sl_store__finish(tx, which, statement);
    return result;
}

int sl_object_walk(struct sl_store_tx *tx, int64_t bucket, struct sl_str from,
                   bool (*each)(void *user, const struct sl_object *object), void *user, struct sl_error *err) {
    bool stopped;
    sqlite3_stmt *statement = begin(tx, SL_SQL_OBJECT_LIST, false, err);
    if (!statement) return failed(err);
    sqlite3_bind_int64(statement, 1, bucket);
    sl_store__bind(statement, 2, from);
    return walk(tx, SL_SQL_OBJECT_LIST, statement, each, user, &stopped, err);
}

int sl_object_walk_versions(struct sl_store_tx *tx, int64_t bucket, struct sl_str from, int64_t before_seq,
                            bool (*each)(void *user, const struct sl_object *object), void *user,
                            struct sl_error *err) {
    bool stopped;
    sqlite3_stmt *statement = begin(tx, SL_SQL_OBJECT_OLDER, false, err);
    if (!statement) return failed(err);
    sqlite3_bind_int64(statement, 1, bucket);
    sl_store__bind(statement, 2, from);
    sqlite3_bind_int64(statement, 3, before_seq);
    int result = walk(tx, SL_SQL_OBJECT_OLDER, statement, each, user, &stopped, err);
    if (result || stopped) return result;
    statement = begin(tx, SL_SQL_OBJECT_LIST_ALL, false, err);
    if (!statement) return failed(err);
    sqlite3_bind_int64(statement, 1, bucket);
    sl_store__bind(statement, 2, from);
    return walk(tx, SL_SQL_OBJECT_LIST_ALL, statement, each, user, &stopped, err);
}

// ---- parts ----------------------------------------------------------------------------------------------------------

int sl_object_part_put(struct sl_store_tx *tx, const struct sl_object_part *part, struct sl_error *err) {
    sqlite3_stmt *statement = begin(tx, SL_SQL_OBJECT_PART_PUT, true, err);
    if (!statement) return failed(err);
    const int64_t numbers[] = {part->data, part->number, part->size, part->modified_ms};
    for (int i = 0; i < 4; i++) sqlite3_bind_int64(statement, 1 + i, numbers[i]);
    sl_store__bind(statement, 5, part->file);
    sl_store__bind(statement, 6, part->etag);
    sl_store__bind(statement, 7, part->doc);
    return sl_store__step(tx, SL_SQL_OBJECT_PART_PUT, statement, err);
}

int sl_object_parts(struct sl_store_tx *tx, struct sl_arena *arena, int64_t data, int64_t after, unsigned limit,
                    struct sl_object_part **ret, unsigned *ret_count, struct sl_error *err) {
    enum { STEP = 64 };
    sqlite3_stmt *statement = begin(tx, SL_SQL_OBJECT_PARTS, false, err);
    if (!statement) return failed(err);
    sqlite3_bind_int64(statement, 1, data);
    sqlite3_bind_int64(statement, 2, after);
    sqlite3_bind_int64(statement, 3, limit);
    struct sl_object_part *parts = NULL;
    unsigned count = 0, room = 0;
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        if (count == room) {
            unsigned grown_room = room ? room * 2 : STEP;
            struct sl_object_part *grown = sl_arena_alloc(arena, grown_room * sizeof *grown);
            if (!grown) break;
            if (count) memcpy(grown, parts, count * sizeof *grown);
            parts = grown;
            room = grown_room;
        }
        parts[count++] = (struct sl_object_part){
            .data = data,
            .number = sqlite3_column_int64(statement, 0),
            .size = sqlite3_column_int64(statement, 1),
            .modified_ms = sqlite3_column_int64(statement, 2),
            .file = sl_arena_dup(arena, sl_store__column(statement, 3)),
            .etag = sl_arena_dup(arena, sl_store__column(statement, 4)),
            .doc = sl_arena_dup(arena, sl_store__column(statement, 5)),
        };
    }
    int result = sl_arena_failed(arena) ? sl_fail(err, SL_E_NO_MEMORY, "read parts: the arena is full")
                 : code != SQLITE_DONE  ? sl_store__fail(tx, "read parts", err)
                                        : 0;
    sl_store__finish(tx, SL_SQL_OBJECT_PARTS, statement);
    *ret = parts;
    *ret_count = count;
    return result;
}

int sl_object_part_remove(struct sl_store_tx *tx, int64_t data, int64_t number, struct sl_error *err) {
    enum sl_store__sql which = number ? SL_SQL_OBJECT_PART_REMOVE : SL_SQL_OBJECT_PARTS_REMOVE;
    sqlite3_stmt *statement = begin(tx, which, true, err);
    if (!statement) return failed(err);
    sqlite3_bind_int64(statement, 1, data);
    if (number) sqlite3_bind_int64(statement, 2, number);
    return sl_store__step(tx, which, statement, err);
}

int sl_object_file_used(struct sl_store_tx *tx, struct sl_str name, bool *ret, struct sl_error *err) {
    sqlite3_stmt *statement = begin(tx, SL_SQL_OBJECT_FILE_USED, false, err);
    if (!statement) return failed(err);
    sl_store__bind(statement, 1, name);
    int code = sqlite3_step(statement);
    *ret = code == SQLITE_ROW;
    int result = code == SQLITE_ROW || code == SQLITE_DONE ? 0 : sl_store__fail(tx, "look for a file", err);
    sl_store__finish(tx, SL_SQL_OBJECT_FILE_USED, statement);
    return result;
}

// ---- uploads --------------------------------------------------------------------------------------------------------

static void bind_upload(sqlite3_stmt *statement, int64_t bucket, struct sl_str key, struct sl_str id) {
    sqlite3_bind_int64(statement, 1, bucket);
    sl_store__bind(statement, 2, key);
    sl_store__bind(statement, 3, id);
}

int sl_object_upload_put(struct sl_store_tx *tx, const struct sl_object_upload *upload, struct sl_error *err) {
    sqlite3_stmt *statement = begin(tx, SL_SQL_OBJECT_UPLOAD_PUT, true, err);
    if (!statement) return failed(err);
    bind_upload(statement, upload->bucket, upload->key, upload->id);
    sqlite3_bind_int64(statement, 4, upload->data);
    sqlite3_bind_int64(statement, 5, upload->begun_ms);
    sl_store__bind(statement, 6, upload->doc);
    return sl_store__step(tx, SL_SQL_OBJECT_UPLOAD_PUT, statement, err);
}

static void view_upload(sqlite3_stmt *statement, struct sl_object_upload *ret) {
    *ret = (struct sl_object_upload){
        .bucket = sqlite3_column_int64(statement, 0),
        .key = sl_store__column(statement, 1),
        .id = sl_store__column(statement, 2),
        .data = sqlite3_column_int64(statement, 3),
        .begun_ms = sqlite3_column_int64(statement, 4),
        .doc = sl_store__column(statement, 5),
    };
}

int sl_object_upload_find(struct sl_store_tx *tx, struct sl_arena *arena, int64_t bucket, struct sl_str key,
                          struct sl_str id, struct sl_object_upload *ret, struct sl_error *err) {
    sqlite3_stmt *statement = begin(tx, SL_SQL_OBJECT_UPLOAD_FIND, false, err);
    if (!statement) return failed(err);
    bind_upload(statement, bucket, key, id);
    int code = sqlite3_step(statement), result = 0;
    if (code == SQLITE_ROW) {
        view_upload(statement, ret);
        ret->key = sl_arena_dup(arena, ret->key);
        ret->id = sl_arena_dup(arena, ret->id);
        ret->doc = sl_arena_dup(arena, ret->doc);
        if (sl_arena_failed(arena)) result = sl_fail(err, SL_E_NO_MEMORY, "read an upload: the arena is full");
    } else {
        result = code == SQLITE_DONE ? sl_fail(err, SL_E_NOT_FOUND, "no such upload")
                                     : sl_store__fail(tx, "read an upload", err);
    }
    sl_store__finish(tx, SL_SQL_OBJECT_UPLOAD_FIND, statement);
    return result;
}

int sl_object_upload_remove(struct sl_store_tx *tx, int64_t bucket, struct sl_str key, struct sl_str id,
                            struct sl_error *err) {
    sqlite3_stmt *statement = begin(tx, SL_SQL_OBJECT_UPLOAD_REMOVE, true, err);
    if (!statement) return failed(err);
    bind_upload(statement, bucket, key, id);
    return sl_store__step(tx, SL_SQL_OBJECT_UPLOAD_REMOVE, statement, err);
}

int sl_object_upload_walk(struct sl_store_tx *tx, int64_t bucket, struct sl_str from, struct sl_str after_id,
                          bool (*each)(void *user, const struct sl_object_upload *upload), void *user,
                          struct sl_error *err) {
    sqlite3_stmt *statement = begin(tx, SL_SQL_OBJECT_UPLOAD_LIST, false, err);
    struct sl_object_upload upload;
    bool stopped = false;
    int code;
    if (!statement) return failed(err);
    bind_upload(statement, bucket, from, after_id);
    while (!stopped && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        view_upload(statement, &upload);
        stopped = !each(user, &upload);
    }
    int result = stopped || code == SQLITE_DONE ? 0 : sl_store__fail(tx, "list uploads", err);
    sl_store__finish(tx, SL_SQL_OBJECT_UPLOAD_LIST, statement);
    return result;
}
