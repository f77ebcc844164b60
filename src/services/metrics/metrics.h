// SPDX-License-Identifier: Apache-2.0
//
// metrics: Amazon CloudWatch's metrics over observe/series.h: putting, listing and reading them, with metric math.
// Alarms, dashboards and insights are in the tables only.
//
// Every operation runs on the storage thread, which owns the series. What one request may read is bounded
// (SL_METRICS_HOURS): a read that is too wide is answered in part, as AWS does ("PartialData").
#ifndef SL_SERVICES_METRICS_METRICS_H
#define SL_SERVICES_METRICS_METRICS_H

#include "aws/op.h"

enum {
    SL_METRICS_HOURS = 20000,  // documents of an hour that one request reads
    SL_METRICS_POINTS = 100800 // of one answer (AWS: GetMetricData)
};

// Ends with an entry whose service is NULL. Their op->app is a struct sl_app with `series` set.
extern const struct sl_op_entry sl_metrics_operations[];

#endif
