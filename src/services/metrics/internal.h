// SPDX-License-Identifier: Apache-2.0
//
// internal: what the files of metrics/ share.
//
//   metric.c   names, statistics, periods, ListMetrics; the table of operations       put.c    PutMetricData
//   line.c     one metric by periods       statistics.c   GetMetricStatistics        data.c   GetMetricData
//   math.c     expressions
#ifndef SL_SERVICES_METRICS_INTERNAL_H
#define SL_SERVICES_METRICS_INTERNAL_H

#include "aws/app.h"
#include "observe/series.h"
#include "services/metrics/metrics.h"

// ---- metrics
// The metric that an object's Namespace, MetricName and Dimensions name, of the caller's account and region; its
// dimensions live in the arena.
int sl_metrics__of(struct sl_op *op, const struct sl_json *object, struct sl_str namespace, struct sl_metric *ret,
                   struct sl_error *err);

// ---- statistics
enum sl_metrics__kind {
    SL_METRICS_COUNT,
    SL_METRICS_AVERAGE,
    SL_METRICS_SUM,
    SL_METRICS_MINIMUM,
    SL_METRICS_MAXIMUM,
    SL_METRICS_PERCENTILE,  // p99.9
    SL_METRICS_TRIMMED,     // tm90, TM(10%:90%), IQM
    SL_METRICS_TRIMMED_N,   // tc90, TC(10%:90%)
    SL_METRICS_TRIMMED_SUM, // ts90, TS(10%:90%)
};
struct sl_metrics__statistic {
    enum sl_metrics__kind kind;
    double low, high; // percent
};
bool sl_metrics__statistic_parse(struct sl_str text, struct sl_metrics__statistic *ret);
// NAN when there is none (no values, or no percentiles of them).
double sl_metrics__statistic_of(const struct sl_metrics__statistic *statistic, const struct sl_stat *stat);

// 1, 5, 10, 20, 30 or a multiple of 60.
bool sl_metrics__period_is_good(int64_t seconds);

// ---- lines: a metric by periods
struct sl_metrics__line {
    int64_t start_ms, period_ms;
    unsigned count;
    struct sl_stat *stats; // `count`
    bool cut;              // there was more to read than one request may
};
// From `start_ms`, down to a whole minute, up to before end_ms. unit.ptr NULL: all units. *budget as sl_series_read's.
int sl_metrics__line_read(struct sl_op *op, const struct sl_metric *metric, struct sl_str unit, int64_t start_ms,
                          int64_t end_ms, int64_t period_s, unsigned *budget, struct sl_metrics__line *ret,
                          struct sl_error *err);
void sl_metrics__line_free(struct sl_metrics__line *line);

// ---- math: values by periods; what is missing is NAN
struct sl_metrics__values {
    struct sl_str id;
    int64_t start_ms, period_ms;
    unsigned count;
    double *values; // arena
};
// The value of `id`, which may have to be worked out first. NULL: there is none, or err says why.
typedef const struct sl_metrics__values *sl_metrics__lookup(void *user, struct sl_str id, struct sl_error *err);

struct sl_metrics__math {
    struct sl_arena *arena;
    sl_metrics__lookup *lookup;
    // The ids of queries for METRICS(), one after the other; ptr NULL after the last.
    struct sl_str (*metric)(void *user, unsigned n);
    void *user;
};
// SL_E_QUERY_VALIDATION for what cannot be understood, or is not there.
int sl_metrics__math_run(const struct sl_metrics__math *math, struct sl_str expression, struct sl_metrics__values *ret,
                         struct sl_error *err);

// ---- handlers
int sl_metrics__put_data(struct sl_op *op, struct sl_error *err);
int sl_metrics__get_statistics(struct sl_op *op, struct sl_error *err);
int sl_metrics__get_data(struct sl_op *op, struct sl_error *err);

#endif
