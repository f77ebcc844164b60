// SPDX-License-Identifier: Apache-2.0
//
// resource: documents by key. The key's columns are the primary key of a table without rowid, in the order kind,
// account, region, parent, id: so reading, listing (a seek and `limit` steps) and deleting all children are each one
// range of one tree. Text compares bytewise (SQLite's BINARY collation).
//
// Storage thread only, inside a job.
#include "store/internal.h"

static void bind_key(sqlite3_stmt *statement, const struct sl_key *key, bool with_id) {
    sl_store__bind(statement, 1, sl_str_of(key->kind));
    sl_store__bind(statement, 2, key->account);
    sl_store__bind(statement, 3, key->region);
    sl_store__bind(statement, 4, key->parent);
    if (with_id) sl_store__bind(statement, 5, key->id);
}

static int read_document(struct sl_arena *arena, struct sl_str text, const struct sl_key *key, struct sl_json **ret,
                         struct sl_error *err) {
    // SQLite's memory is gone with the next step; the tree's views must outlive it.
    struct sl_str copy = sl_arena_dup(arena, text);
    if (sl_arena_failed(arena)) return sl_fail(err, SL_E_NO_MEMORY, "read a %s: too large", key->kind);
    int result = sl_json_parse(arena, copy, ret, err);
    if (!result) return 0;
    sl_wrap(err, "stored %s %.*s", key->kind, SL_FMT(key->id));
    // What is stored was written by sl_json_write: an unreadable document is damage, not somebody's bad request.
    if (err && result == SL_E_SERIALIZATION) err->kind = SL_E_IO;
    return result == SL_E_SERIALIZATION ? SL_E_IO : result;
}

int sl_store_get(struct sl_store_tx *tx, struct sl_arena *arena, const struct sl_key *key, struct sl_json **ret,
                 struct sl_error *err) {
    sqlite3_stmt *statement = sl_store__prepare(tx, SL_SQL_GET, err);
    if (!statement) return SL_E_IO;
    bind_key(statement, key, true);
    int result;
    switch (sqlite3_step(statement)) {
    case SQLITE_ROW:
        result = read_document(arena, sl_store__column(statement, 0), key, ret, err);
        break;
    case SQLITE_DONE:
        result = sl_fail(err, SL_E_NOT_FOUND, "no %s %.*s", key->kind, SL_FMT(key->id));
        break;
    default:
        result = sl_store__fail(tx, "read a document", err);
        break;
    }
    sl_store__finish(tx, SL_SQL_GET, statement);
    return result;
}

// For functions without an error result: 0 or 1 rows of one integer. A failure breaks the job.
static bool read_number(struct sl_store_tx *tx, enum sl_store__sql which, const struct sl_key *key, int64_t *ret) {
    sqlite3_stmt *statement = sl_store__prepare(tx, which, NULL);
    if (!statement) {
        tx->broken = SL_E_IO;
        return false;
    }
    bind_key(statement, key, which == SL_SQL_HAS);
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        *ret = sqlite3_column_int64(statement, 0);
    else if (code != SQLITE_DONE)
        tx->broken = SL_E_IO;
    sl_store__finish(tx, which, statement);
    return code == SQLITE_ROW;
}

bool sl_store_has(struct sl_store_tx *tx, const struct sl_key *key) {
    int64_t one;
    return read_number(tx, SL_SQL_HAS, key, &one);
}

int64_t sl_store_count(struct sl_store_tx *tx, const struct sl_key *key) {
    int64_t count = 0;
    read_number(tx, SL_SQL_NUMBER_OF, key, &count);
    return count;
}

int sl_store_put(struct sl_store_tx *tx, const struct sl_key *key, const struct sl_json *document,
                 struct sl_error *err) {
    int result = sl_store__may_write(tx, err);
    if (result) return result;
    sl_buf_clear(&tx->text, 1 << 20);
    sl_json_write(&tx->text, document);
    if (tx->text.failed) {
        sl_buf_free(&tx->text);
        return sl_fail(err, SL_E_LIMIT, "the document of %s %.*s is too large", key->kind, SL_FMT(key->id));
    }
    sqlite3_stmt *statement = sl_store__prepare(tx, SL_SQL_PUT, err);
    if (!statement) return SL_E_IO;
    bind_key(statement, key, true);
    sl_store__bind(statement, 6, sl_buf_view(&tx->text));
    return sl_store__step(tx, SL_SQL_PUT, statement, err);
}

int sl_store_delete(struct sl_store_tx *tx, const struct sl_key *key, bool *ret_existed, struct sl_error *err) {
    int result = sl_store__may_write(tx, err);
    if (result) return result;
    sqlite3_stmt *statement = sl_store__prepare(tx, SL_SQL_DELETE, err);
    if (!statement) return SL_E_IO;
    bind_key(statement, key, true);
    result = sl_store__step(tx, SL_SQL_DELETE, statement, err);
    if (!result && ret_existed) *ret_existed = sqlite3_changes(tx->db) > 0;
    return result;
}

int sl_store_delete_children(struct sl_store_tx *tx, const struct sl_key *key, struct sl_error *err) {
    int result = sl_store__may_write(tx, err);
    if (result) return result;
    sqlite3_stmt *statement = sl_store__prepare(tx, SL_SQL_DELETE_CHILDREN, err);
    if (!statement) return SL_E_IO;
    bind_key(statement, key, false);
    return sl_store__step(tx, SL_SQL_DELETE_CHILDREN, statement, err);
}

static int push_row(struct sl_arena *arena, sqlite3_stmt *statement, struct sl_key key, struct sl_json *array,
                    struct sl_error *err) {
    key.id = sl_arena_dup(arena, sl_store__column(statement, 0));
    struct sl_json *document = NULL;
    int result = read_document(arena, sl_store__column(statement, 1), &key, &document, err);
    if (result) return result;
    struct sl_json *item = sl_json_push(array, sl_json_new_object(arena));
    sl_json_put_string(arena, item, "id", key.id);
    sl_json_set(item, SL_STR("doc"), document);
    return sl_arena_failed(arena) ? sl_fail(err, SL_E_NO_MEMORY, "list %s: too large", key.kind) : 0;
}

int sl_store_list(struct sl_store_tx *tx, struct sl_arena *arena, const struct sl_key *key, struct sl_str after_id,
                  unsigned limit, struct sl_json **ret, bool *ret_more, struct sl_error *err) {
    struct sl_json *array = sl_json_new_array(arena);
    if (!array) return sl_fail(err, SL_E_NO_MEMORY, "list %s: no memory", key->kind);
    sqlite3_stmt *statement = sl_store__prepare(tx, SL_SQL_LIST, err);
    if (!statement) return SL_E_IO;
    bind_key(statement, key, false);
    sl_store__bind(statement, 5, after_id);
    sqlite3_bind_int64(statement, 6, (int64_t)limit + 1); // the one too many tells that more follow
    int result = 0, code;
    bool more = false;
    while (!result && !more && (code = sqlite3_step(statement)) != SQLITE_DONE) {
        if (code != SQLITE_ROW)
            result = sl_store__fail(tx, "list documents", err);
        else if (array->count == limit)
            more = true;
        else
            result = push_row(arena, statement, *key, array, err);
    }
    sl_store__finish(tx, SL_SQL_LIST, statement);
    if (result) return result;
    *ret = array;
    if (ret_more) *ret_more = more;
    return 0;
}

int sl_store_each(struct sl_store_tx *tx, const char *kind,
                  int (*each)(void *user, const struct sl_key *key, struct sl_str document, struct sl_error *err),
                  void *user, struct sl_error *err) {
    sqlite3_stmt *statement = sl_store__prepare(tx, SL_SQL_EACH, err);
    if (!statement) return SL_E_IO;
    sl_store__bind(statement, 1, sl_str_of(kind));
    int result = 0, code;
    while (!result && (code = sqlite3_step(statement)) != SQLITE_DONE) {
        if (code != SQLITE_ROW) {
            result = sl_store__fail(tx, "read documents", err);
            break;
        }
        struct sl_key key = {kind, sl_store__column(statement, 0), sl_store__column(statement, 1),
                             sl_store__column(statement, 2), sl_store__column(statement, 3)};
        result = each(user, &key, sl_store__column(statement, 4), err);
    }
    sl_store__finish(tx, SL_SQL_EACH, statement);
    return result;
}
