// SPDX-License-Identifier: Apache-2.0
//
// database: the one SQLite connection, owned by the storage thread.
//
// Names stay relative. The server has given up its rights before it opens the store, and the data directory may lie
// below directories that its user cannot enter (a service's directory in somebody's home). It holds a descriptor of the
// directory, and the storage thread has made it its own working directory (store.c), so a relative name always works;
// an absolute one may not. SQLite's "unix" VFS turns every name into an absolute one (xFullPathname), so a copy of it
// is registered that leaves names as they are. Everything else, the -wal and -shm files too, is derived from that name.
//
// Durability: WAL with synchronous=FULL syncs the log at every commit, before COMMIT returns; a checkpoint syncs the
// log, then the database. The log cannot be newer than the database's directory entry because the directory is synced
// at open.
#include "store/internal.h"

#include "base/clock.h"

#include <unistd.h>

static const char *const sql[SL_SQL_COUNT] = {
    [SL_SQL_BEGIN] = "BEGIN IMMEDIATE",
    [SL_SQL_COMMIT] = "COMMIT",
    [SL_SQL_ROLLBACK] = "ROLLBACK",
    [SL_SQL_SAVEPOINT] = "SAVEPOINT job",
    [SL_SQL_UNDO] = "ROLLBACK TO job",
    [SL_SQL_RELEASE] = "RELEASE job",
    [SL_SQL_GET] = "SELECT doc FROM resource WHERE kind=?1 AND account=?2 AND region=?3 AND parent=?4 AND id=?5",
    [SL_SQL_HAS] = "SELECT 1 FROM resource WHERE kind=?1 AND account=?2 AND region=?3 AND parent=?4 AND id=?5",
    [SL_SQL_PUT] = "INSERT INTO resource(kind,account,region,parent,id,doc) VALUES(?1,?2,?3,?4,?5,?6) "
                   "ON CONFLICT DO UPDATE SET doc=excluded.doc",
    [SL_SQL_DELETE] = "DELETE FROM resource WHERE kind=?1 AND account=?2 AND region=?3 AND parent=?4 AND id=?5",
    [SL_SQL_DELETE_CHILDREN] = "DELETE FROM resource WHERE kind=?1 AND account=?2 AND region=?3 AND parent=?4",
    [SL_SQL_LIST] = "SELECT id,doc FROM resource WHERE kind=?1 AND account=?2 AND region=?3 AND parent=?4 AND id>?5 "
                    "ORDER BY id LIMIT ?6",
    [SL_SQL_NUMBER_OF] = "SELECT count(*) FROM resource WHERE kind=?1 AND account=?2 AND region=?3 AND parent=?4",
    [SL_SQL_EACH] = "SELECT account,region,parent,id,doc FROM resource WHERE kind=?1",
    [SL_SQL_EVENT_LAST] = "SELECT max(id) FROM event",
    [SL_SQL_EVENT_APPEND] =
        "INSERT INTO event(id,lane,due_ms,accepted_ms,attempts,request_id,function,context,payload) "
        "VALUES(?1,?9,?2,?3,?4,?5,?6,?7,?8)",
#define EVENT "id,due_ms,accepted_ms,attempts,request_id,function,context,payload"
    [SL_SQL_EVENT_RESCHEDULE] = "UPDATE event SET due_ms=?2, attempts=?3 WHERE id=?1 AND attempts=?4",
    [SL_SQL_EVENT_REMOVE] = "DELETE FROM event WHERE id=?1 AND attempts=?2",
    [SL_SQL_EVENT_DROP] = "DELETE FROM event WHERE id=?1",
    [SL_SQL_EVENT_ALL] = "SELECT " EVENT " FROM event WHERE id>?1 ORDER BY id LIMIT ?2",
    [SL_SQL_EVENT_GET] = "SELECT " EVENT " FROM event WHERE id=?1",
    // Both by the index alone: rows are read only once they are chosen.
    [SL_SQL_EVENT_OF_LANE] = "SELECT due_ms,id FROM event INDEXED BY event_ready WHERE lane=?1 ORDER BY due_ms,id",
    [SL_SQL_EVENT_LANE_AFTER] = "SELECT lane,due_ms FROM event INDEXED BY event_ready WHERE lane>?1 "
                                "ORDER BY lane,due_ms LIMIT 1",
    [SL_SQL_DEAD_LAST] = "SELECT max(id),count(*) FROM event_dead",
    [SL_SQL_DEAD_PUT] = "INSERT OR REPLACE INTO event_dead(" EVENT ",died_ms,reason) "
                        "VALUES(?1,0,?2,?3,?4,?5,?6,?7,?8,?9)",
    [SL_SQL_DEAD_ALL] = "SELECT " EVENT ",died_ms,reason FROM event_dead WHERE id>?1 ORDER BY id LIMIT ?2",
    [SL_SQL_DEAD_GET] = "SELECT " EVENT ",died_ms,reason FROM event_dead WHERE id=?1",
    [SL_SQL_DEAD_REMOVE] = "DELETE FROM event_dead WHERE id=?1",
    [SL_SQL_DEAD_TRIM] = "DELETE FROM event_dead WHERE id IN (SELECT id FROM event_dead ORDER BY id LIMIT ?1)",
    [SL_SQL_DEAD_EXPIRE] = "DELETE FROM event_dead WHERE died_ms<?1",
#define MESSAGE "seq,queue,visible_ms,sent_ms,first_ms,received_ms,receipt,receives,id,grp,doc,body"
    [SL_SQL_MESSAGE_LAST] = "SELECT max(seq) FROM message",
    [SL_SQL_MESSAGE_APPEND] = "INSERT INTO message(" MESSAGE ") VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12)",
    [SL_SQL_MESSAGE_GET] = "SELECT " MESSAGE " FROM message WHERE seq=?1 AND queue=?2",
    [SL_SQL_MESSAGE_VISIBLE] = "SELECT " MESSAGE " FROM message INDEXED BY message_visible "
                               "WHERE queue=?1 AND visible_ms<=?2 ORDER BY visible_ms LIMIT ?3",
    [SL_SQL_MESSAGE_OF_GROUP] = "SELECT " MESSAGE " FROM message INDEXED BY message_group "
                                "WHERE queue=?1 AND grp=?2 AND grp<>'' ORDER BY seq LIMIT ?3",
    [SL_SQL_MESSAGE_UPDATE] =
        "UPDATE message SET visible_ms=?2, first_ms=?3, received_ms=?4, receipt=?5, receives=?6 WHERE seq=?1",
    [SL_SQL_MESSAGE_MOVE] = "UPDATE message SET visible_ms=?2, first_ms=?3, received_ms=?4, receipt=?5, receives=?6, "
                            "seq=?7, queue=?8, sent_ms=?9, id=?10, doc=?11 WHERE seq=?1",
    [SL_SQL_MESSAGE_REMOVE] = "DELETE FROM message WHERE seq=?1",
    [SL_SQL_MESSAGE_CLEAR] = "DELETE FROM message WHERE queue=?1",
    [SL_SQL_MESSAGE_EXPIRE] = "DELETE FROM message WHERE seq IN (SELECT seq FROM message INDEXED BY message_age "
                              "WHERE queue=?1 AND sent_ms<?2 LIMIT ?3)",
    [SL_SQL_MESSAGE_COUNT] =
        "SELECT count(*) FILTER (WHERE visible_ms<=?2), count(*) FILTER (WHERE visible_ms>?2 AND receives>0), "
        "count(*) FILTER (WHERE visible_ms>?2 AND receives=0) FROM message INDEXED BY message_visible WHERE queue=?1",
    [SL_SQL_MESSAGE_NEXT] = "SELECT min(visible_ms) FROM message WHERE queue=?1 AND visible_ms>?2",
    [SL_SQL_GROUP_NEXT] = "SELECT min(ready_ms) FROM message_order WHERE queue=?1 AND ready_ms>?2",
    [SL_SQL_GROUP_READY] =
        "SELECT grp FROM message_order INDEXED BY message_order_ready WHERE queue=?1 AND ready_ms<=?2 "
        "ORDER BY ready_ms LIMIT ?3",
    [SL_SQL_GROUP_ADD] = "INSERT INTO message_order(queue,grp,ready_ms) VALUES(?1,?2,?3) ON CONFLICT DO NOTHING",
    [SL_SQL_GROUP_SET] = "UPDATE message_order SET ready_ms=?3 WHERE queue=?1 AND grp=?2",
    [SL_SQL_GROUP_REMOVE] = "DELETE FROM message_order WHERE queue=?1 AND grp=?2",
    [SL_SQL_GROUP_CLEAR] = "DELETE FROM message_order WHERE queue=?1",
    [SL_SQL_GROUP_SCAN] = "SELECT visible_ms,receives FROM message INDEXED BY message_group "
                          "WHERE queue=?1 AND grp=?2 AND grp<>'' ORDER BY seq",
    [SL_SQL_DEDUP_FIND] = "SELECT seq,id FROM message_dedup WHERE queue=?1 AND key=?2 AND until_ms>?3",
    [SL_SQL_DEDUP_PUT] = "INSERT INTO message_dedup(queue,key,seq,id,until_ms) VALUES(?1,?2,?3,?4,?5) "
                         "ON CONFLICT DO UPDATE SET seq=excluded.seq, id=excluded.id, until_ms=excluded.until_ms",
    [SL_SQL_DEDUP_CLEAR] = "DELETE FROM message_dedup WHERE queue=?1",
    [SL_SQL_DEDUP_EXPIRE] = "DELETE FROM message_dedup WHERE (queue,key) IN (SELECT queue,key FROM message_dedup "
                            "INDEXED BY message_dedup_until WHERE until_ms<=?1 LIMIT ?2)",
#define OBJECT "bucket,key,seq,latest,marker,data,size,modified_ms,version,etag,doc"
    [SL_SQL_OBJECT_PUT] = "INSERT OR REPLACE INTO object(" OBJECT ") VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11)",
    [SL_SQL_OBJECT_NEWEST] = "SELECT " OBJECT " FROM object WHERE bucket=?1 AND key=?2 ORDER BY seq DESC LIMIT 1",
    [SL_SQL_OBJECT_VERSION] = "SELECT " OBJECT " FROM object WHERE bucket=?1 AND key=?2 AND version=?3 "
                              "ORDER BY seq DESC LIMIT 1",
    [SL_SQL_OBJECT_REMOVE] = "DELETE FROM object WHERE bucket=?1 AND key=?2 AND seq=?3",
    [SL_SQL_OBJECT_LATEST] = "UPDATE object SET latest=?4 WHERE bucket=?1 AND key=?2 AND seq=?3",
    [SL_SQL_OBJECT_LIST] = "SELECT " OBJECT " FROM object INDEXED BY object_current "
                           "WHERE bucket=?1 AND key>=?2 AND latest=1 AND marker=0 ORDER BY key",
    [SL_SQL_OBJECT_LIST_ALL] = "SELECT " OBJECT " FROM object WHERE bucket=?1 AND key>?2 ORDER BY key, seq DESC",
    [SL_SQL_OBJECT_OLDER] = "SELECT " OBJECT " FROM object WHERE bucket=?1 AND key=?2 AND seq<?3 ORDER BY seq DESC",
    [SL_SQL_OBJECT_PART_PUT] = "INSERT OR REPLACE INTO object_part(data,number,size,modified_ms,file,etag,doc) "
                               "VALUES(?1,?2,?3,?4,?5,?6,?7)",
    [SL_SQL_OBJECT_PARTS] = "SELECT number,size,modified_ms,file,etag,doc FROM object_part "
                            "WHERE data=?1 AND number>?2 ORDER BY number LIMIT ?3",
    [SL_SQL_OBJECT_PART_REMOVE] = "DELETE FROM object_part WHERE data=?1 AND number=?2",
    [SL_SQL_OBJECT_PARTS_REMOVE] = "DELETE FROM object_part WHERE data=?1",
    [SL_SQL_OBJECT_FILE_USED] = "SELECT 1 FROM object_part WHERE file=?1 AND file<>'' LIMIT 1",
    [SL_SQL_OBJECT_UPLOAD_PUT] = "INSERT OR REPLACE INTO object_upload(bucket,key,id,data,begun_ms,doc) "
                                 "VALUES(?1,?2,?3,?4,?5,?6)",
    [SL_SQL_OBJECT_UPLOAD_FIND] = "SELECT bucket,key,id,data,begun_ms,doc FROM object_upload "
                                  "WHERE bucket=?1 AND key=?2 AND id=?3",
    [SL_SQL_OBJECT_UPLOAD_REMOVE] = "DELETE FROM object_upload WHERE bucket=?1 AND key=?2 AND id=?3",
    [SL_SQL_OBJECT_UPLOAD_LIST] = "SELECT bucket,key,id,data,begun_ms,doc FROM object_upload "
                                  "WHERE bucket=?1 AND (key,id)>(?2,?3) ORDER BY key, id",
};

int sl_store__fail(struct sl_store_tx *tx, const char *what, struct sl_error *err) {
    int code = tx->db ? sqlite3_errcode(tx->db) : SQLITE_NOMEM;
    int kind = code == SQLITE_NOMEM ? SL_E_NO_MEMORY : SL_E_IO;
    const char *text = tx->db ? sqlite3_errmsg(tx->db) : sqlite3_errstr(code);
    return sl_fail(err, kind, "%s: %s", what, text);
}

int sl_store__may_write(struct sl_store_tx *tx, struct sl_error *err) {
    if (tx->read_only) return sl_fail(err, SL_E_USAGE, "a read-only job tried to write");
    if (tx->one_write && tx->writes) return sl_fail(err, SL_E_USAGE, "a job of one write tried a second");
    tx->writes++;
    return 0;
}

sqlite3_stmt *sl_store__prepare(struct sl_store_tx *tx, enum sl_store__sql which, struct sl_error *err) {
    sqlite3_stmt *cached = tx->statements[which];
    if (cached && !sqlite3_stmt_busy(cached)) return cached;
    sqlite3_stmt *fresh = NULL;
    unsigned flags = cached ? 0 : SQLITE_PREPARE_PERSISTENT;
    if (sqlite3_prepare_v3(tx->db, sql[which], -1, flags, &fresh, NULL) != SQLITE_OK) {
        sl_store__fail(tx, "prepare", err);
        return NULL;
    }
    if (!cached) tx->statements[which] = fresh;
    return fresh;
}

void sl_store__finish(struct sl_store_tx *tx, enum sl_store__sql which, sqlite3_stmt *statement) {
    if (statement != tx->statements[which]) {
        sqlite3_finalize(statement); // a second one, used inside a callback of the first
        return;
    }
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement); // what was bound is the caller's memory
}

int sl_store__step(struct sl_store_tx *tx, enum sl_store__sql which, sqlite3_stmt *statement, struct sl_error *err) {
    int result = sqlite3_step(statement) == SQLITE_DONE ? 0 : sl_store__fail(tx, sql[which], err);
    sl_store__finish(tx, which, statement);
    return result;
}

int sl_store__exec(struct sl_store_tx *tx, enum sl_store__sql which, struct sl_error *err) {
    sqlite3_stmt *statement = sl_store__prepare(tx, which, err);
    return statement ? sl_store__step(tx, which, statement, err) : err ? err->kind : SL_E_IO;
}

void sl_store__bind(sqlite3_stmt *statement, int at, struct sl_str text) {
    sqlite3_bind_text64(statement, at, text.ptr ? text.ptr : "", text.len, SQLITE_STATIC, SQLITE_UTF8);
}

struct sl_str sl_store__column(sqlite3_stmt *statement, int at) {
    const char *bytes = sqlite3_column_blob(statement, at);
    return sl_str_n(bytes ? bytes : "", (size_t)sqlite3_column_bytes(statement, at));
}

static int keep_name(sqlite3_vfs *vfs, const char *name, int size, char *out) {
    (void)vfs;
    size_t length = strlen(name);
    if (length >= (size_t)size) return SQLITE_CANTOPEN;
    memcpy(out, name, length + 1);
    return SQLITE_OK;
}

static sqlite3_vfs relative_vfs;

static void register_vfs(void) {
    const sqlite3_vfs *unix_vfs = sqlite3_vfs_find("unix");
    if (!unix_vfs) return; // open then fails by name
    relative_vfs = *unix_vfs;
    relative_vfs.pNext = NULL;
    relative_vfs.zName = "sluice-relative";
    relative_vfs.xFullPathname = keep_name;
    sqlite3_vfs_register(&relative_vfs, 0);
}

static int migrate_1(sqlite3 *db) {
    // Documents are looked up by key only, so the key is the table. The columns of an event that are searched or
    // changed stand before its payload, which may lie in overflow pages.
    return sqlite3_exec(db,
                        "CREATE TABLE resource(kind TEXT NOT NULL, account TEXT NOT NULL, region TEXT NOT NULL, "
                        "parent TEXT NOT NULL, id TEXT NOT NULL, doc TEXT NOT NULL, "
                        "PRIMARY KEY(kind, account, region, parent, id)) STRICT, WITHOUT ROWID;"
                        "CREATE TABLE event(id INTEGER PRIMARY KEY, due_ms INTEGER NOT NULL, "
                        "accepted_ms INTEGER NOT NULL, attempts INTEGER NOT NULL, request_id TEXT NOT NULL, "
                        "function TEXT NOT NULL, context TEXT NOT NULL, payload TEXT NOT NULL) STRICT;"
                        "CREATE INDEX event_due ON event(due_ms);",
                        NULL, NULL, NULL);
}

static int migrate_2(sqlite3 *db) {
    // message_visible also covers the counts. message_order: one row per group of an ordered queue.
    return sqlite3_exec(
        db,
        "CREATE TABLE message(seq INTEGER PRIMARY KEY, queue INTEGER NOT NULL, visible_ms INTEGER NOT NULL, "
        "sent_ms INTEGER NOT NULL, first_ms INTEGER NOT NULL, received_ms INTEGER NOT NULL, receipt INTEGER NOT NULL, "
        "receives INTEGER NOT NULL, id TEXT NOT NULL, grp TEXT NOT NULL, doc TEXT NOT NULL, body TEXT NOT NULL) STRICT;"
        "CREATE INDEX message_visible ON message(queue, visible_ms, receives);"
        "CREATE INDEX message_age ON message(queue, sent_ms);"
        "CREATE INDEX message_group ON message(queue, grp, seq) WHERE grp<>'';"
        "CREATE TABLE message_order(queue INTEGER NOT NULL, grp TEXT NOT NULL, ready_ms INTEGER NOT NULL, "
        "PRIMARY KEY(queue, grp)) STRICT, WITHOUT ROWID;"
        "CREATE INDEX message_order_ready ON message_order(queue, ready_ms);"
        "CREATE TABLE message_dedup(queue INTEGER NOT NULL, key TEXT NOT NULL, seq INTEGER NOT NULL, id TEXT NOT NULL, "
        "until_ms INTEGER NOT NULL, PRIMARY KEY(queue, key)) STRICT, WITHOUT ROWID;"
        "CREATE INDEX message_dedup_until ON message_dedup(until_ms);",
        NULL, NULL, NULL);
}

static void lane_of(sqlite3_context *context, int count, sqlite3_value **values) {
    (void)count;
    const char *text = (const char *)sqlite3_value_text(values[0]);
    sqlite3_result_int64(context, sl_event_lane(sl_str_of(text ? text : "")));
}

static int migrate_3(sqlite3 *db) {
    // An index by lane instead of one by time: what a function cannot run now is not looked at for the others' sake.
    // The columns that the index needs stand before the payload, so that a delete does not read it.
    int code = sqlite3_create_function(db, "lane_of", 1, SQLITE_UTF8 | SQLITE_DETERMINISTIC, NULL, lane_of, NULL, NULL);
    if (code != SQLITE_OK) return code;
    return sqlite3_exec(
        db,
        "ALTER TABLE event RENAME TO event_1;"
        "CREATE TABLE event(id INTEGER PRIMARY KEY, lane INTEGER NOT NULL, due_ms INTEGER NOT NULL, "
        "accepted_ms INTEGER NOT NULL, attempts INTEGER NOT NULL, request_id TEXT NOT NULL, "
        "function TEXT NOT NULL, context TEXT NOT NULL, payload TEXT NOT NULL) STRICT;"
        "INSERT INTO event SELECT id,lane_of(function),due_ms,accepted_ms,attempts,request_id,function,context,payload "
        "FROM event_1;"
        "DROP TABLE event_1;"
        "CREATE INDEX event_ready ON event(lane, due_ms);"
        "CREATE TABLE event_dead(id INTEGER PRIMARY KEY, due_ms INTEGER NOT NULL, died_ms INTEGER NOT NULL, "
        "accepted_ms INTEGER NOT NULL, attempts INTEGER NOT NULL, request_id TEXT NOT NULL, "
        "function TEXT NOT NULL, reason TEXT NOT NULL, context TEXT NOT NULL, payload TEXT NOT NULL) STRICT;",
        NULL, NULL, NULL);
}

static int migrate_4(sqlite3 *db) {
    // See object.h. The partial index has what ListObjects shows.
    return sqlite3_exec(
        db,
        "CREATE TABLE object(bucket INTEGER NOT NULL, key TEXT NOT NULL, seq INTEGER NOT NULL, "
        "latest INTEGER NOT NULL, marker INTEGER NOT NULL, data INTEGER NOT NULL, size INTEGER NOT NULL, "
        "modified_ms INTEGER NOT NULL, version TEXT NOT NULL, etag TEXT NOT NULL, doc TEXT NOT NULL, "
        "PRIMARY KEY(bucket, key, seq DESC)) STRICT, WITHOUT ROWID;"
        "CREATE INDEX object_current ON object(bucket, key) WHERE latest=1 AND marker=0;"
        "CREATE TABLE object_part(data INTEGER NOT NULL, number INTEGER NOT NULL, size INTEGER NOT NULL, "
        "modified_ms INTEGER NOT NULL, file TEXT NOT NULL, etag TEXT NOT NULL, doc TEXT NOT NULL, "
        "PRIMARY KEY(data, number)) STRICT, WITHOUT ROWID;"
        "CREATE INDEX object_part_file ON object_part(file) WHERE file<>'';"
        "CREATE TABLE object_upload(bucket INTEGER NOT NULL, key TEXT NOT NULL, id TEXT NOT NULL, "
        "data INTEGER NOT NULL, begun_ms INTEGER NOT NULL, doc TEXT NOT NULL, "
        "PRIMARY KEY(bucket, key, id)) STRICT, WITHOUT ROWID;",
        NULL, NULL, NULL);
}

// Row i takes a database of version i to version i + 1. Rows are only ever added.
static int (*const migrations[])(sqlite3 *db) = {migrate_1, migrate_2, migrate_3, migrate_4};
enum { VERSION = sizeof migrations / sizeof migrations[0] };

static int read_pragma(sqlite3 *db, const char *text, int *ret) {
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(db, text, -1, &statement, NULL) != SQLITE_OK) return SQLITE_ERROR;
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) *ret = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    return code == SQLITE_ROW ? SQLITE_OK : SQLITE_ERROR;
}

static int migrate(struct sl_store_tx *tx, struct sl_error *err) {
    int version;
    if (read_pragma(tx->db, "PRAGMA user_version", &version) != SQLITE_OK) {
        return sl_store__fail(tx, "sluice.db is not a usable database", err);
    }
    if (version > VERSION) {
        return sl_fail(err, SL_E_USAGE,
                       "the data directory was written by a newer Sluice (schema %d, this one knows %d): "
                       "use the newer program, or another --data",
                       version, VERSION);
    }
    for (; version < VERSION; version++) {
        char bump[64];
        sqlite3_snprintf(sizeof bump, bump, "PRAGMA user_version=%d", version + 1);
        if (sqlite3_exec(tx->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK ||
            migrations[version](tx->db) != SQLITE_OK || sqlite3_exec(tx->db, bump, NULL, NULL, NULL) != SQLITE_OK ||
            sqlite3_exec(tx->db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK) {
            return sl_store__fail(tx, "migrate the schema of sluice.db", err);
        }
    }
    return 0;
}

static int load_next_event(struct sl_store_tx *tx, struct sl_error *err) {
    sqlite3_stmt *statement = sl_store__prepare(tx, SL_SQL_EVENT_LAST, err);
    if (!statement) return SL_E_IO;
    int result = sqlite3_step(statement) == SQLITE_ROW ? 0 : sl_store__fail(tx, "read events", err);
    if (!result) tx->next_event = sqlite3_column_int64(statement, 0) + 1;
    sl_store__finish(tx, SL_SQL_EVENT_LAST, statement);
    if (!result) statement = sl_store__prepare(tx, SL_SQL_DEAD_LAST, err);
    if (result || !statement) return SL_E_IO;
    result = sqlite3_step(statement) == SQLITE_ROW ? 0 : sl_store__fail(tx, "read dead events", err);
    if (!result && sqlite3_column_int64(statement, 0) >= tx->next_event)
        tx->next_event = sqlite3_column_int64(statement, 0) + 1;
    tx->dead_events = sqlite3_column_int64(statement, 1);
    sl_store__finish(tx, SL_SQL_DEAD_LAST, statement);
    return result;
}

// Numbers must also ascend past those of messages that were removed before a restart. No server sends more than a
// thousand messages in every millisecond, so the clock tells a number that was not reached yet.
static int load_next_message(struct sl_store_tx *tx, struct sl_error *err) {
    sqlite3_stmt *statement = sl_store__prepare(tx, SL_SQL_MESSAGE_LAST, err);
    if (!statement) return SL_E_IO;
    int result = sqlite3_step(statement) == SQLITE_ROW ? 0 : sl_store__fail(tx, "read messages", err);
    int64_t last = result ? 0 : sqlite3_column_int64(statement, 0), now = sl_clock_ms() * 1000;
    tx->next_message = last >= now ? last + 1 : now;
    sl_store__finish(tx, SL_SQL_MESSAGE_LAST, statement);
    return result;
}

int sl_store__database_open(struct sl_store_tx *tx, bool memory, struct sl_error *err) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, register_vfs);
    sl_buf_init(&tx->text, (size_t)64 << 20);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(memory ? ":memory:" : "sluice.db", &tx->db, flags, "sluice-relative") != SQLITE_OK) {
        return sl_store__fail(tx, "open sluice.db in the data directory", err);
    }
    // Nobody else writes (the directory is locked), but an operator may look in with the sqlite3 shell. Without the
    // size limit a log that once grew would keep its size; temporary tables have no directory to go to.
    static const char settings[] = "PRAGMA synchronous=FULL; PRAGMA busy_timeout=5000; PRAGMA temp_store=MEMORY; "
                                   "PRAGMA journal_size_limit=67108864; PRAGMA cache_size=-16384; "
                                   "PRAGMA trusted_schema=OFF;";
    if (sqlite3_exec(tx->db, "PRAGMA journal_mode=WAL", NULL, NULL, NULL) != SQLITE_OK ||
        sqlite3_exec(tx->db, settings, NULL, NULL, NULL) != SQLITE_OK) {
        return sl_store__fail(tx, "set up sluice.db in the data directory", err);
    }
    int result = migrate(tx, err);
    if (!result) result = load_next_event(tx, err);
    return result ? result : load_next_message(tx, err);
}

void sl_store__database_close(struct sl_store_tx *tx) {
    for (int i = 0; i < SL_SQL_COUNT; i++) sqlite3_finalize(tx->statements[i]);
    sqlite3_close(tx->db); // the last connection's close also checkpoints the log
    sl_buf_free(&tx->text);
    *tx = (struct sl_store_tx){0};
}
