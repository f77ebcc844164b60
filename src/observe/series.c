// SPDX-License-Identifier: Apache-2.0
//
// series: see series.h. Counted minutes wait in a table of `open` points, found by their metric's hash. A tick's job
// takes those that are over out of the table (`leaving`), writes them, and frees them when the commit is known: if it
// fails, the next tick writes them again.
//
// Invariants: the table, `leaving` and the sweep belong to the storage thread; `busy` and `job` to the ticking loop; a
// point is in the table, in `leaving` or in the store, never in two of them once its commit is known.
#include "observe/series.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "observe/series_internal.h"

enum {
    TICK_MS = 2000,
    TABLE = 8192,     // heads of chains
    LATE_MS = 10000,  // samples of a minute may come that late
    LEAVE_MAX = 4096, // points that one job writes
    ARENA_MAX = 64 << 20,
    LIST_PAGE = 500,
    ASK_MS = 60000, // how often the sweep is asked whether there is something to do
};

static const int64_t minute_ms = 60000;

struct open {
    struct open *next;
    uint64_t hash; // of the metric
    int64_t minute;
    bool announced;          // its metric has a document
    struct sl_metric metric; // views of `text`, dimensions of `dimensions`
    struct sl_str unit, id;
    struct sl_stat stat;
    struct sl_dimension *dimensions;
    char text[];
};

struct sl_series {
    struct sl_store *store;
    struct open *table[TABLE], *leaving;
    atomic_uint open_count; // written by the storage thread
    atomic_uint dropped;
    struct sl_series__keeper keeper;
    struct sl_arena counting; // the storage thread's
    // the ticking loop's
    struct sl_store_job job;
    bool busy;
    int64_t ticked_ms, asked_ms;
    bool all; // storage thread, at the end: minutes that are not over, too
};

// ---- the table --------------------------------------------------------------------------------------------------

static uint64_t hash_more(uint64_t hash, struct sl_str text) {
    for (size_t i = 0; i < text.len; i++) hash = (hash ^ (unsigned char)text.ptr[i]) * 1099511628211u;
    return (hash ^ 0xff) * 1099511628211u;
}

static uint64_t hash_of(const struct sl_metric *metric, struct sl_str id) {
    return hash_more(hash_more(hash_more(14695981039346656037u, metric->account), metric->region), id);
}

static bool same_metric(const struct open *open, uint64_t hash, const struct sl_metric *metric, struct sl_str id) {
    return open->hash == hash && sl_str_eq(open->id, id) && sl_str_eq(open->metric.account, metric->account) &&
           sl_str_eq(open->metric.region, metric->region);
}

static struct sl_str put(char **at, struct sl_str text) {
    if (text.len) memcpy(*at, text.ptr, text.len);
    struct sl_str copy = sl_str_n(*at, text.len);
    *at += text.len;
    return copy;
}

static struct open *new_open(const struct sl_metric *metric, struct sl_str id, struct sl_str unit) {
    size_t size =
        metric->account.len + metric->region.len + metric->namespace.len + metric->name.len + id.len + unit.len;
    for (unsigned i = 0; i < metric->dimension_count; i++)
        size += metric->dimensions[i].name.len + metric->dimensions[i].value.len;
    struct open *open = calloc(1, sizeof *open + size + 1);
    if (!open) return NULL;
    open->dimensions = calloc(metric->dimension_count + 1, sizeof *open->dimensions);
    if (!open->dimensions) {
        free(open);
        return NULL;
    }
    char *at = open->text;
    open->metric = (struct sl_metric){.account = put(&at, metric->account), .region = put(&at, metric->region)};
    open->metric.namespace = put(&at, metric->namespace);
    open->metric.name = put(&at, metric->name);
    for (unsigned i = 0; i < metric->dimension_count; i++) {
        open->dimensions[i].name = put(&at, metric->dimensions[i].name);
        open->dimensions[i].value = put(&at, metric->dimensions[i].value);
    }
    open->metric.dimensions = open->dimensions;
    open->metric.dimension_count = metric->dimension_count;
    open->unit = put(&at, unit);
    open->id = put(&at, id);
    return open;
}

static void free_open(struct open *open) {
    sl_stat_clear(&open->stat);
    free(open->dimensions);
    free(open);
}

void sl_series_count(struct sl_series *series, const struct sl_metric *metric, struct sl_str unit, int64_t at_ms,
                     const struct sl_stat *stat) {
    sl_arena_reset(&series->counting);
    struct sl_str id = sl_series__id(&series->counting, metric);
    uint64_t hash = hash_of(metric, id);
    int64_t minute = at_ms / minute_ms;
    struct open **head = &series->table[hash % TABLE], *at = id.ptr ? *head : NULL;
    while (at && !(same_metric(at, hash, metric, id) && at->minute == minute && sl_str_eq(at->unit, unit)))
        at = at->next;
    if (!at && id.ptr && series->open_count < SL_SERIES_OPEN_MAX && (at = new_open(metric, id, unit))) {
        at->hash = hash;
        at->minute = minute;
        at->next = *head;
        *head = at;
        series->open_count++;
    }
    if (at) {
        sl_stat_merge(&at->stat, stat);
    } else {
        atomic_fetch_add(&series->dropped, 1);
    }
}

// ---- writing --------------------------------------------------------------------------------------------------------

int sl_series_put(struct sl_series *series, struct sl_store_tx *tx, const struct sl_metric *metric, struct sl_str unit,
                  int64_t at_ms, const struct sl_stat *stat, struct sl_error *err) {
    struct sl_arena arena;
    sl_arena_init(&arena, ARENA_MAX);
    int result = sl_series__write(&series->keeper, tx, &arena, metric, unit, at_ms / minute_ms, stat, err);
    sl_arena_free(&arena);
    return result;
}

static void take_over(struct sl_series *series, struct open **leaving, int64_t now_ms) {
    unsigned taken = 0;
    for (unsigned i = 0; i < TABLE && (taken < LEAVE_MAX || series->all); i++) {
        for (struct open **link = &series->table[i], *at; (at = *link);) {
            if (!series->all && (at->minute + 1) * minute_ms + LATE_MS > now_ms) {
                link = &at->next;
                continue;
            }
            *link = at->next;
            at->next = *leaving;
            *leaving = at;
            series->open_count--;
            taken++;
        }
    }
}

// Listings show a metric from its first sample on.
static int announce(struct sl_series *series, struct sl_store_tx *tx, struct sl_arena *arena, struct sl_error *err) {
    for (unsigned i = 0; i < TABLE; i++) {
        for (struct open *at = series->table[i]; at; at = at->next) {
            if (at->announced) continue;
            int result = sl_series__announce(&series->keeper, tx, arena, &at->metric, at->minute, err);
            if (result && result != SL_E_LIMIT) return result;
            at->announced = true; // if the commit fails, its minute's end does it
            sl_arena_reset(arena);
        }
    }
    return 0;
}

// Each job has a list of its own: one that has been written, and whose commit is not known yet, is not another's.
static int write(struct sl_series *series, struct open **leaving, struct sl_store_tx *tx, struct sl_error *err) {
    struct sl_arena arena;
    int64_t now_ms = sl_clock_ms();
    take_over(series, leaving, now_ms);
    sl_arena_init(&arena, ARENA_MAX);
    int result = announce(series, tx, &arena, err);
    for (struct open *at = *leaving; at && !result; at = at->next) {
        result = sl_series__write(&series->keeper, tx, &arena, &at->metric, at->unit, at->minute, &at->stat, err);
        if (result == SL_E_LIMIT) result = 0; // too many metrics: the server's own are left out
        sl_arena_reset(&arena);
    }
    if (!result) result = sl_series__sweep(&series->keeper, tx, &arena, now_ms, err);
    sl_arena_free(&arena);
    return result;
}

static void written(struct open **leaving) {
    for (struct open *at = *leaving, *next; at; at = next) {
        next = at->next;
        free_open(at);
    }
    *leaving = NULL;
}

static int tick_run(struct sl_store_job *job, struct sl_store_tx *tx, struct sl_error *err) {
    struct sl_series *series = SL_CONTAINER(job, struct sl_series, job);
    return write(series, &series->leaving, tx, err);
}

static void tick_committed(struct sl_store_job *job) { written(&SL_CONTAINER(job, struct sl_series, job)->leaving); }

static void tick_done(struct sl_store_job *job, int result, const struct sl_error *err) {
    struct sl_series *series = SL_CONTAINER(job, struct sl_series, job);
    series->busy = false;
    if (result) sl_log_warn("metrics", "what was measured could not be stored yet: %s", err->message);
}

void sl_series_tick(struct sl_series *series) {
    struct sl_error err;
    int64_t now_ms = sl_clock_mono_ns() / 1000000;
    if (series->busy || now_ms - series->ticked_ms < TICK_MS) return;
    bool idle = atomic_load(&series->open_count) == 0 && llabs(sl_clock_ms() - series->asked_ms) < ASK_MS;
    series->ticked_ms = now_ms;
    if (idle) return;
    series->asked_ms = sl_clock_ms();
    series->job = (struct sl_store_job){.run = tick_run, .committed = tick_committed, .done = tick_done};
    series->busy = sl_store_submit(series->store, &series->job, &err) == 0;
    unsigned dropped = atomic_exchange(&series->dropped, 0);
    if (dropped) sl_log_warn("metrics", "%u measurements were left out: too many metrics", dropped);
}

// ---- reading --------------------------------------------------------------------------------------------------------

int sl_series_read(struct sl_series *series, struct sl_store_tx *tx, const struct sl_metric *metric, int64_t from_ms,
                   int64_t to_ms, unsigned *budget, void (*each)(void *user, const struct sl_series_point *point),
                   void *user, struct sl_error *err) {
    struct sl_arena arena;
    sl_arena_init(&arena, ARENA_MAX);
    struct sl_series__reading reading = {
        .from_ms = from_ms, .to_ms = to_ms, .budget = budget, .each = each, .user = user};
    int result = sl_series__read(tx, &arena, metric, &reading, err);
    sl_arena_reset(&arena);
    struct sl_str id = sl_series__id(&arena, metric);
    uint64_t hash = hash_of(metric, id);
    for (const struct open *at = result || !id.ptr ? NULL : series->table[hash % TABLE]; at; at = at->next) {
        int64_t at_ms = at->minute * minute_ms;
        if (!same_metric(at, hash, metric, id) || at_ms < from_ms || at_ms >= to_ms) continue;
        each(user, &(struct sl_series_point){.at_ms = at_ms, .unit = at->unit, .stat = &at->stat});
    }
    sl_arena_free(&arena);
    return result;
}

int sl_series_list(struct sl_store_tx *tx, struct sl_str account, struct sl_str region, struct sl_str after,
                   bool (*each)(void *user, struct sl_str id, const struct sl_json *doc), void *user,
                   struct sl_error *err) {
    const struct sl_key key = {.kind = SL_SERIES__METRIC, .account = account, .region = region};
    struct sl_arena arena;
    char *cursor = strndup(after.len ? after.ptr : "", after.len);
    bool more = cursor != NULL;
    int result = 0;
    sl_arena_init(&arena, 64 << 20);
    while (more && !result) {
        struct sl_json *page;
        result = sl_store_list(tx, &arena, &key, sl_str_of(cursor), LIST_PAGE, &page, &more, err);
        bool wanted = true;
        struct sl_str last = {0};
        for (const struct sl_json *at = result ? NULL : page->first; at && wanted; at = at->next) {
            last = sl_json_string(at, "id");
            wanted = each(user, last, sl_json_get(at, "doc"));
        }
        more = more && wanted && last.len;
        if (more) {
            free(cursor);
            cursor = strndup(last.ptr, last.len);
            more = cursor != NULL;
        }
        sl_arena_reset(&arena);
    }
    free(cursor);
    sl_arena_free(&arena);
    return result;
}

// ---- life -----------------------------------------------------------------------------------------------------------

int sl_series_new(struct sl_series **ret, struct sl_store *store, struct sl_error *err) {
    struct sl_series *series = calloc(1, sizeof *series);
    if (!series) return sl_fail(err, SL_E_NO_MEMORY, "metrics: out of memory");
    series->store = store;
    series->keeper.known = -1;
    sl_arena_init(&series->counting, 256 * 1024);
    *ret = series;
    return 0;
}

// The last write: a tick's own job may still be on its way, so this one has a place of its own.
struct closing {
    struct sl_store_job job;
    struct sl_series *series;
    struct open *leaving;
};

static int close_run(struct sl_store_job *job, struct sl_store_tx *tx, struct sl_error *err) {
    struct closing *closing = SL_CONTAINER(job, struct closing, job);
    return write(closing->series, &closing->leaving, tx, err);
}

static void close_committed(struct sl_store_job *job) { written(&SL_CONTAINER(job, struct closing, job)->leaving); }

void sl_series_close(struct sl_series *series) {
    struct closing closing = {.job = {.run = close_run, .committed = close_committed}, .series = series};
    struct sl_error err;
    if (!series) return;
    series->all = true;
    if (sl_store_run(series->store, &closing.job, &err))
        sl_log_error("metrics", "what was measured could not be stored: %s", err.message);
    written(&closing.leaving);
}

void sl_series_free(struct sl_series *series) {
    if (!series) return;
    written(&series->leaving);
    for (unsigned i = 0; i < TABLE; i++) {
        for (struct open *at = series->table[i], *next; at; at = next) {
            next = at->next;
            free_open(at);
        }
    }
    sl_arena_free(&series->counting);
    free(series);
}
