// SPDX-License-Identifier: Apache-2.0
//
// meter: what meter.c (counting, on the loops) and ledger.c (keeping, on the storage thread) share.
#ifndef SL_INVOKE_METER_H
#define SL_INVOKE_METER_H

#include "base/stat.h"
#include "invoke/engine.h"
#include "invoke/internal.h"
#include "store/store.h"

enum { SL_METER_BATCH = 256, SL_METER_TEXT_MAX = 1024, SL_METER_BUCKETS = 256 };

enum sl_meter_field {
    SL_METER_REQUESTS,
    SL_METER_MB_MS,
    SL_METER_PROVISIONED,
    SL_METER_KEPT,
    SL_METER_TMP,
    SL_METER_FIELDS
};

// What is measured, besides what is billed: counts and stats with room of their own, so that counting takes no memory.
enum sl_figure {
    SL_FIGURE_ERRORS,
    SL_FIGURE_THROTTLES,
    SL_FIGURE_RECURSIONS,
    SL_FIGURE_PROVISIONED,
    SL_FIGURE_SPILLED,
    SL_FIGURE_URL_4XX,
    SL_FIGURE_URL_5XX,
    SL_FIGURES
};
enum sl_figure_stat {
    SL_FIGURE_DURATION,
    SL_FIGURE_AFTER,
    SL_FIGURE_CONCURRENCY,
    SL_FIGURE_ACCOUNT,
    SL_FIGURE_UNRESERVED,
    SL_FIGURE_BUSY,
    SL_FIGURE_UTILIZATION,
    SL_FIGURE_URL_LATENCY,
    SL_FIGURE_STATS
};
enum { SL_FIGURE_BUCKETS = 24, SL_FIGURE_DURATIONS = 64 };

struct sl_invoke__figures {
    int64_t at_ms; // of the first; 0: nothing was measured
    double counts[SL_FIGURES];
    struct sl_stat stats[SL_FIGURE_STATS];
    struct sl_stat_bucket durations[SL_FIGURE_DURATIONS], buckets[SL_FIGURE_STATS][SL_FIGURE_BUCKETS];
};

struct sl_invoke__meter {
    struct sl_invoke__meter *next, *dirty_next; // in its bucket; in the list of what is to be flushed
    atomic_uint references;                     // of shards that have it at hand; given back on any thread
    unsigned in_use;                            // by invocations in flight and by the batch being stored
    bool dirty;
    struct sl_str account, region, name, version, alias, architecture, tenant; // views of `text`
    int64_t counts[SL_METER_FIELDS];                                           // since the last flush
    _Atomic int64_t requests, mb_ms;                                           // since the start; read by others
    // One is filled while the other is being stored.
    struct sl_invoke__figures figures[2];
    unsigned filling;
    char text[];
};

struct sl_invoke__meters {
    pthread_mutex_t lock; // of the table's shape, which metrics read; counts are the loop's own
    struct sl_invoke__meter *buckets[SL_METER_BUCKETS];
    unsigned count;
    struct sl_invoke__meter *dirty;
    int64_t flushed_ms, minute; // the wall clock's minute of the last flush
    struct sl_invoker *invoker;
    // What is being stored; one batch at a time.
    struct sl_store_job job;
    bool storing;
    char month[8], cleaned[8]; // "2026-11"; the month in which old rows were last removed
    struct sl_invoke__meter_row {
        struct sl_invoke__meter *meter;
        struct sl_invoke__figures *figures;
        int64_t counts[SL_METER_FIELDS];
    } rows[SL_METER_BATCH];
    unsigned row_count;
};

#endif
