// SPDX-License-Identifier: Apache-2.0
//
// meter: what meter.c (counting, on the loops) and ledger.c (keeping, on the storage thread) share.
#ifndef SL_INVOKE_METER_H
#define SL_INVOKE_METER_H

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

struct sl_invoke__meter {
    struct sl_invoke__meter *next, *dirty_next; // in its bucket; in the list of what is to be flushed
    atomic_uint references;                     // of shards that have it at hand; given back on any thread
    unsigned in_use;                            // by invocations in flight and by the batch being stored
    bool dirty;
    struct sl_str account, region, name, version, alias, architecture, tenant; // views of `text`
    int64_t counts[SL_METER_FIELDS];                                           // since the last flush
    _Atomic int64_t requests, mb_ms;                                           // since the start; read by others
    char text[];
};

struct sl_invoke__meters {
    pthread_mutex_t lock; // of the table's shape, which metrics read; counts are the loop's own
    struct sl_invoke__meter *buckets[SL_METER_BUCKETS];
    unsigned count;
    struct sl_invoke__meter *dirty;
    int64_t flushed_ms;
    // What is being stored; one batch at a time.
    struct sl_store_job job;
    bool storing;
    char month[8], cleaned[8]; // "2026-11"; the month in which old rows were last removed
    struct sl_invoke__meter_row {
        struct sl_invoke__meter *meter;
        int64_t counts[SL_METER_FIELDS];
    } rows[SL_METER_BATCH];
    unsigned row_count;
};

#endif
