// SPDX-License-Identifier: Apache-2.0
//
// put: PutMetricData. Everything is checked before anything is written; what is written is durable when it is
// acknowledged. Entities (EntityMetricData) are checked and not kept: the metrics in them count as any other. Points of
// one second (StorageResolution 1) are kept by the minute.
#include <math.h>

#include "services/metrics/internal.h"

enum { DATA_MAX = 1000, VALUES_MAX = 150 };

static const int64_t day_ms = 86400000, hour_ms = 3600000;

struct putting {
    struct sl_op *op;
    struct sl_str namespace, list; // "MetricData.member.1"
    unsigned total;
};

static int both(struct sl_error *err, struct sl_str datum, const char *one, const char *other) {
    return sl_fail(err, SL_E_PARAMETER_COMBINATION,
                   "The parameters %.*s.%s and %.*s.%s are mutually exclusive and you have specified both.",
                   SL_FMT(datum), one, SL_FMT(datum), other);
}

// A number as AWS takes it: finite, within 2^360.
static int check_number(struct sl_error *err, struct sl_str datum, const char *name, const struct sl_json *node,
                        double *ret) {
    if (!sl_json_to_double(node, ret) || fabs(*ret) > 0x1p360)
        return sl_fail(err, SL_E_INVALID_PARAMETER, "The value %.*s for parameter %.*s.%s is invalid.",
                       SL_FMT(node->text), SL_FMT(datum), name);
    return SL_OK;
}

static int check_text(struct sl_error *err, struct sl_str text, struct sl_str datum, const char *name) {
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] < ' ')
            return sl_fail(err, SL_E_INVALID_PARAMETER, "The value for parameter %.*s%s%s contains control characters.",
                           SL_FMT(datum), datum.len ? "." : "", name);
    return SL_OK;
}

static int add_values(const struct sl_json *values, const struct sl_json *counts, struct sl_str datum,
                      struct sl_stat *stat, struct sl_error *err) {
    if (counts && counts->count != values->count)
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "The parameters %.*s.Values and %.*s.Counts must be of the same size.", SL_FMT(datum),
                       SL_FMT(datum));
    if (values->count > VALUES_MAX)
        return sl_fail(err, SL_E_INVALID_PARAMETER, "The collection %.*s.Values must not have a size greater than %d.",
                       SL_FMT(datum), VALUES_MAX);
    const struct sl_json *times = counts ? counts->first : NULL;
    for (const struct sl_json *at = values->first; at; at = at->next, times = times ? times->next : NULL) {
        double value, count = 1;
        int kind = check_number(err, datum, "Values", at, &value);
        if (!kind && times) kind = check_number(err, datum, "Counts", times, &count);
        if (!kind && times && count < 0)
            kind = sl_fail(err, SL_E_INVALID_PARAMETER, "The value %.*s for parameter %.*s.Counts is invalid.",
                           SL_FMT(times->text), SL_FMT(datum));
        if (kind) return kind;
        sl_stat_add(stat, value, count);
    }
    return SL_OK;
}

static int add_set(const struct sl_json *set, struct sl_str datum, struct sl_stat *stat, struct sl_error *err) {
    static const char *const names[] = {"SampleCount", "Sum", "Minimum", "Maximum"};
    double numbers[4];
    for (unsigned i = 0; i < 4; i++) {
        int kind = check_number(err, datum, "StatisticValues", sl_json_get(set, names[i]), &numbers[i]);
        if (kind) return kind;
    }
    if (numbers[3] < numbers[2])
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "The parameter %.*s.StatisticValues.Maximum must be greater than %.*s.StatisticValues.Minimum.",
                       SL_FMT(datum), SL_FMT(datum));
    if (numbers[0] <= 0)
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "The parameter %.*s.StatisticValues.SampleCount must be greater than 0.", SL_FMT(datum));
    sl_stat_add_set(stat, numbers[0], numbers[1], numbers[2], numbers[3]);
    return SL_OK;
}

static int values_of(const struct sl_json *in, struct sl_str datum, struct sl_stat *stat, struct sl_error *err) {
    const struct sl_json *value = sl_json_get(in, "Value"), *values = sl_json_get(in, "Values");
    const struct sl_json *set = sl_json_get(in, "StatisticValues"), *counts = sl_json_get(in, "Counts");
    double number;
    if (values && !values->count) values = NULL;
    if (value && values) return both(err, datum, "Value", "Values");
    if (value && set) return both(err, datum, "Value", "StatisticValues");
    if (values && set) return both(err, datum, "Values", "StatisticValues");
    if (values) return add_values(values, counts, datum, stat, err);
    if (set) return add_set(set, datum, stat, err);
    if (!value)
        return sl_fail(
            err, SL_E_MISSING_PARAMETER,
            "At least one of the parameters %.*s.Value, %.*s.Values or %.*s.StatisticValues must be specified.",
            SL_FMT(datum), SL_FMT(datum), SL_FMT(datum));
    int kind = check_number(err, datum, "Value", value, &number);
    if (!kind) sl_stat_add(stat, number, 1);
    return kind;
}

static int check_names(const struct sl_metric *metric, struct sl_str datum, struct sl_error *err) {
    int kind = check_text(err, metric->name, datum, "MetricName");
    for (unsigned i = 0; i < metric->dimension_count && !kind; i++) {
        kind = check_text(err, metric->dimensions[i].name, datum, "Dimensions");
        if (!kind) kind = check_text(err, metric->dimensions[i].value, datum, "Dimensions");
    }
    return kind;
}

static int put_datum(struct putting *putting, const struct sl_json *in, unsigned number, struct sl_error *err) {
    struct sl_op *op = putting->op;
    struct sl_series *series = ((const struct sl_app *)op->app)->series;
    struct sl_str datum = sl_arena_printf(op->arena, "%.*s.member.%u", SL_FMT(putting->list), number);
    struct sl_str unit = sl_json_string(in, "Unit");
    int64_t at_ms = sl_json_int(in, "Timestamp", op->now_ms), resolution = sl_json_int(in, "StorageResolution", 60);
    struct sl_metric metric;
    struct sl_stat stat = {0};
    int kind = sl_metrics__of(op, in, putting->namespace, &metric, err);
    if (!kind) kind = check_names(&metric, datum, err);
    if (!kind && (at_ms < op->now_ms - 14 * day_ms || at_ms > op->now_ms + 2 * hour_ms))
        kind = sl_fail(err, SL_E_INVALID_PARAMETER,
                       "The parameter %.*s.Timestamp must specify a time within the past two weeks.", SL_FMT(datum));
    if (!kind && resolution != 1 && resolution != 60)
        kind = sl_fail(err, SL_E_INVALID_PARAMETER, "The value %lld for parameter %.*s.StorageResolution is invalid.",
                       (long long)resolution, SL_FMT(datum));
    if (!kind) kind = values_of(in, datum, &stat, err);
    if (!kind && stat.count > 0)
        kind = sl_series_put(series, op->tx, &metric, unit.ptr ? unit : SL_STR("None"), at_ms, &stat, err);
    sl_stat_clear(&stat);
    return kind;
}

static int put_list(struct putting *putting, const struct sl_json *list, struct sl_error *err) {
    unsigned number = 0;
    for (const struct sl_json *at = list ? list->first : NULL; at; at = at->next) {
        if (++putting->total > DATA_MAX)
            return sl_fail(err, SL_E_INVALID_PARAMETER,
                           "The collection MetricData must not have a size greater than %d.", DATA_MAX);
        int kind = put_datum(putting, at, ++number, err);
        if (kind) return kind;
    }
    return SL_OK;
}

int sl_metrics__put_data(struct sl_op *op, struct sl_error *err) {
    struct putting putting = {.op = op, .namespace = sl_op_in(op, "Namespace"), .list = SL_STR("MetricData")};
    const struct sl_json *entities = sl_json_get(op->in, "EntityMetricData");
    unsigned number = 0;
    if (sl_str_starts(putting.namespace, SL_STR("AWS/")))
        return sl_fail(err, SL_E_INVALID_PARAMETER, "The value AWS/ for parameter Namespace is invalid.");
    int kind = check_text(err, putting.namespace, SL_STR(""), "Namespace");
    if (!kind) kind = put_list(&putting, sl_json_get(op->in, "MetricData"), err);
    for (const struct sl_json *at = entities ? entities->first : NULL; at && !kind; at = at->next) {
        putting.list = sl_arena_printf(op->arena, "EntityMetricData.member.%u.MetricData", ++number);
        kind = put_list(&putting, sl_json_get(at, "MetricData"), err);
    }
    if (!kind && !putting.total) return sl_fail(err, SL_E_MISSING_PARAMETER, "The parameter MetricData is required.");
    return kind;
}
