// SPDX-License-Identifier: Apache-2.0
//
// series: what was measured, by the minute: the time series behind CloudWatch's metrics. A metric is a name in a
// namespace with dimensions, of an account and region; its values are kept as one stat per minute and unit.
//
// Where it is: in documents of the store, one per metric and hour (kind "metric.hour"), and one per metric that says
// that it exists (kind "metric"). What clients put is written there in their own job, before it is acknowledged. What
// the server itself counts (sl_series_count) waits in memory until its minute is over, at most SL_SERIES_OPEN_MAX
// metrics of it; a kill -9 loses that minute.
//
// As at AWS a minute's stats are kept for 15 days, then as five minutes up to 63 days, then as hours up to 455 days
// ("Metrics retention", CloudWatch user guide). The sweep does that, a few metrics at a time.
//
// Threads: everything but new, tick and close runs on the storage thread (inside a job, or after its commit).
#ifndef SL_OBSERVE_SERIES_H
#define SL_OBSERVE_SERIES_H

#include "base/stat.h"
#include "store/store.h"

enum {
    SL_SERIES_DIMENSIONS_MAX = 30, // AWS quota
    SL_SERIES_OPEN_MAX = 50000,
    SL_SERIES_MAX = 100000, // metrics of all accounts together
};

struct sl_series;

struct sl_dimension {
    struct sl_str name, value;
};

struct sl_metric {
    struct sl_str account, region, namespace, name;
    const struct sl_dimension *dimensions; // in any order
    unsigned dimension_count;
};

int sl_series_new(struct sl_series **ret, struct sl_store *store, struct sl_error *err);
// Now and then, on one loop's thread: writes minutes that are over, sweeps.
void sl_series_tick(struct sl_series *series);
// The loops have stopped and the store still runs: writes everything. NULL is allowed.
void sl_series_close(struct sl_series *series);
// Frees; after the store was closed.
void sl_series_free(struct sl_series *series);

// Counts in memory. Dropped beyond the bounds.
void sl_series_count(struct sl_series *series, const struct sl_metric *metric, struct sl_str unit, int64_t at_ms,
                     const struct sl_stat *stat);
// Writes in the job's transaction. SL_E_LIMIT when there are too many metrics.
int sl_series_put(struct sl_series *series, struct sl_store_tx *tx, const struct sl_metric *metric, struct sl_str unit,
                  int64_t at_ms, const struct sl_stat *stat, struct sl_error *err);

struct sl_series_point {
    int64_t at_ms; // start of the minute (of the five, of the hour)
    struct sl_str unit;
    const struct sl_stat *stat;
};
// Every point with from_ms <= at_ms < to_ms, hour by hour, what is in memory last. *budget counts down by one for each
// hour that is read; at 0 reading stops.
int sl_series_read(struct sl_series *series, struct sl_store_tx *tx, const struct sl_metric *metric, int64_t from_ms,
                   int64_t to_ms, unsigned *budget, void (*each)(void *user, const struct sl_series_point *point),
                   void *user, struct sl_error *err);

// Metrics by namespace, name and dimensions in the order of their ids, after `after` ("" at first). `each` gets the
// document {"namespace", "name", "dimensions": [{"Name", "Value"}], "last_ms"}; false ends.
int sl_series_list(struct sl_store_tx *tx, struct sl_str account, struct sl_str region, struct sl_str after,
                   bool (*each)(void *user, struct sl_str id, const struct sl_json *doc), void *user,
                   struct sl_error *err);

#endif
