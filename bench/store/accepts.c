// SPDX-License-Identifier: Apache-2.0
//
// accepts: durable accepts of asynchronous events per second through the store, beside what the same SQLite on the same
// disk can do at most: one thread that appends the same rows in transactions of the same size, with nothing around it.
//
//   accepts [DIRECTORY]      the directory says which disk; default: the current one
//
// With n events in flight (each answered event is submitted again by the loop's thread, as a front would) the store's
// batches have at most n jobs, so it is compared with raw transactions of n rows. Both sides take turns in one run,
// several times; the line has the medians. An event is a row as events have it, with a payload of 512 bytes.
#include "net/loop.h"
#include "store/store.h"

#include "base/clock.h"

#include <fcntl.h>
#include <ftw.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ROUNDS = 5, MOST = 256, PAYLOAD = 512 };
static const int64_t round_ns = 400000000;

static char payload[PAYLOAD];

static _Noreturn void give_up(const char *what, const char *why) {
    fprintf(stderr, "accepts: %s: %s\n", what, why);
    exit(1);
}

// --- the floor ---

static void execute(sqlite3 *db, const char *text) {
    if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK) give_up(text, sqlite3_errmsg(db));
}

static void append_raw(sqlite3 *db, sqlite3_stmt *insert, int64_t id) {
    sqlite3_bind_int64(insert, 1, id);
    sqlite3_bind_text(insert, 2, payload, PAYLOAD, SQLITE_STATIC);
    if (sqlite3_step(insert) != SQLITE_DONE) give_up("insert", sqlite3_errmsg(db));
    sqlite3_reset(insert);
}

static double raw_rate(const char *directory, unsigned batch) {
    char path[600];
    snprintf(path, sizeof path, "%s/raw.db", directory);
    sqlite3 *db;
    sqlite3_stmt *insert;
    if (sqlite3_open(path, &db) != SQLITE_OK) give_up(path, sqlite3_errmsg(db));
    execute(db,
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
            "CREATE TABLE IF NOT EXISTS event(id INTEGER PRIMARY KEY, lane INTEGER NOT NULL, due_ms INTEGER "
            "NOT NULL, accepted_ms INTEGER NOT NULL, attempts INTEGER NOT NULL, request_id TEXT NOT NULL, function "
            "TEXT NOT NULL, context TEXT "
            "NOT NULL, payload TEXT NOT NULL) STRICT; CREATE INDEX IF NOT EXISTS event_ready ON event(lane, due_ms);"
            "DELETE FROM event;");
    if (sqlite3_prepare_v2(db,
                           "INSERT INTO event VALUES(?1,1,1,1,0,'01234567-89ab-4cde-8f01-23456789abcd',"
                           "'arn:aws:lambda:eu-west-1:000000000000:function:f','',?2)",
                           -1, &insert, NULL) != SQLITE_OK) {
        give_up("prepare", sqlite3_errmsg(db));
    }
    int64_t id = 0, start = sl_clock_mono_ns(), now = start;
    for (; now - start < round_ns; now = sl_clock_mono_ns()) {
        execute(db, "BEGIN IMMEDIATE");
        for (unsigned i = 0; i < batch; i++) append_raw(db, insert, ++id);
        execute(db, "COMMIT");
    }
    sqlite3_finalize(insert);
    sqlite3_close(db);
    return (double)id * 1e9 / (double)(now - start);
}

// --- the store ---

struct client {
    struct sl_store *store;
    struct sl_loop *loop;
    struct sl_mail start;
    unsigned in_flight;
    int64_t begin, end, accepted;
    struct accept {
        struct sl_store_job job;
        struct client *client;
    } accepts[MOST];
};

static int append(struct sl_store_job *job, struct sl_store_tx *tx, struct sl_error *err) {
    (void)job;
    struct sl_event event = {
        .function = SL_STR("arn:aws:lambda:eu-west-1:000000000000:function:f"),
        .request_id = "01234567-89ab-4cde-8f01-23456789abcd",
        .accepted_ms = 1,
        .due_ms = 1,
        .payload = sl_str_n(payload, PAYLOAD),
    };
    return sl_event_append(tx, &event, err);
}

static void accepted(struct sl_store_job *job, int result, const struct sl_error *err) {
    struct accept *accept = SL_CONTAINER(job, struct accept, job);
    struct client *client = accept->client;
    if (result) give_up("append", err->message);
    client->accepted++;
    client->end = sl_clock_mono_ns();
    struct sl_error refusal;
    if (client->end - client->begin < round_ns) {
        if (sl_store_submit(client->store, job, &refusal)) give_up("submit", refusal.message);
    } else if (--client->in_flight == 0) {
        sl_loop_stop(client->loop);
    }
}

static void submit_all(struct sl_mail *mail) {
    struct client *client = SL_CONTAINER(mail, struct client, start);
    struct sl_error err;
    client->begin = sl_clock_mono_ns();
    for (unsigned i = 0; i < client->in_flight; i++) {
        client->accepts[i] =
            (struct accept){.job = {.run = append, .done = accepted, .one_write = true}, .client = client};
        if (sl_store_submit(client->store, &client->accepts[i].job, &err)) give_up("submit", err.message);
    }
}

static int remove_all(struct sl_store_job *job, struct sl_store_tx *tx, struct sl_error *err) {
    (void)job;
    struct sl_arena arena;
    sl_arena_init(&arena, 64 << 20);
    unsigned count = 1;
    int result = 0;
    while (!result && count) {
        struct sl_event *events;
        result = sl_event_load(tx, &arena, 0, 10000, &events, &count, err);
        for (unsigned i = 0; !result && i < count; i++) result = sl_event_remove(tx, events[i].id, 0, err);
        sl_arena_reset(&arena);
    }
    sl_arena_free(&arena);
    return result;
}

static double store_rate(int directory, unsigned in_flight) {
    static struct client client;
    client = (struct client){.in_flight = in_flight};
    struct sl_error err;
    struct sl_store_config config = {.data_dir = directory, .max_jobs = 2 * MOST};
    struct sl_loop_config loop_config = {0};
    if (sl_store_open(&client.store, &config, &err)) give_up("open", err.message);
    struct sl_store_job clear = {.run = remove_all};
    if (sl_store_run(client.store, &clear, &err)) give_up("clear", err.message);
    if (sl_loop_new(&client.loop, &loop_config, &err)) give_up("loop", err.message);
    sl_loop_post(client.loop, &client.start, submit_all);
    sl_loop_run(client.loop);
    sl_store_close(client.store);
    sl_loop_free(client.loop);
    return (double)client.accepted * 1e9 / (double)(client.end - client.begin);
}

// --- the comparison ---

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *values) {
    qsort(values, ROUNDS, sizeof *values, ascending);
    return values[ROUNDS / 2];
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *at) {
    (void)info, (void)type, (void)at;
    return remove(path);
}

int main(int argc, char **argv) {
    char directory[500];
    snprintf(directory, sizeof directory, "%s/accepts-XXXXXX", argc > 1 ? argv[1] : ".");
    if (!mkdtemp(directory)) give_up(directory, "cannot make a directory here");
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) give_up(directory, "cannot open");
    memset(payload, 'x', sizeof payload);
    payload[0] = payload[PAYLOAD - 1] = '"';
    printf("%9s %14s %14s %7s\n", "in flight", "store/s", "raw SQLite/s", "ratio");
    static const unsigned sizes[] = {1, 16, 64, 256};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        double store[ROUNDS], raw[ROUNDS];
        for (int round = 0; round < ROUNDS; round++) {
            raw[round] = raw_rate(directory, sizes[i]);
            store[round] = store_rate(fd, sizes[i]);
        }
        double ours = median(store), floor = median(raw);
        printf("%9u %14.0f %14.0f %6.2fx\n", sizes[i], ours, floor, ours / floor);
        fflush(stdout);
    }
    close(fd);
    nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}
