// SPDX-License-Identifier: Apache-2.0
//
// series_internal: what series.c (minutes in memory) and series_store.c (documents) share.
#ifndef SL_OBSERVE_SERIES_INTERNAL_H
#define SL_OBSERVE_SERIES_INTERNAL_H

#include "observe/series.h"

#define SL_SERIES__METRIC "metric"
#define SL_SERIES__HOUR   "metric.hour"

// What the storage thread remembers about the documents.
struct sl_series__keeper {
    int64_t known;    // metrics that there are; -1: not counted yet
    int64_t swept_ms; // when the last sweep began
    unsigned cursor;  // metrics that this sweep has seen; 0: none is going on
};

// The metric's id among those of its account and region; empty when the arena is full.
struct sl_str sl_series__id(struct sl_arena *arena, const struct sl_metric *metric);
// Makes the metric's document, if there is none, and keeps its last time within ten minutes.
int sl_series__announce(struct sl_series__keeper *keeper, struct sl_store_tx *tx, struct sl_arena *arena,
                        const struct sl_metric *metric, int64_t minute, struct sl_error *err);
int sl_series__write(struct sl_series__keeper *keeper, struct sl_store_tx *tx, struct sl_arena *arena,
                     const struct sl_metric *metric, struct sl_str unit, int64_t minute, const struct sl_stat *stat,
                     struct sl_error *err);

struct sl_series__reading {
    int64_t from_ms, to_ms;
    unsigned *budget;
    void (*each)(void *user, const struct sl_series_point *point);
    void *user;
};
int sl_series__read(struct sl_store_tx *tx, struct sl_arena *arena, const struct sl_metric *metric,
                    const struct sl_series__reading *reading, struct sl_error *err);

// One step of the sweep, if it is time for one.
int sl_series__sweep(struct sl_series__keeper *keeper, struct sl_store_tx *tx, struct sl_arena *arena, int64_t now_ms,
                     struct sl_error *err);

#endif
