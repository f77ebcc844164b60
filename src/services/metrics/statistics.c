// SPDX-License-Identifier: Apache-2.0
//
// statistics: GetMetricStatistics: several statistics of one metric by periods. Values of different units are data
// points of their own, as at AWS.
#include <math.h>
#include <stdlib.h>

#include "services/metrics/internal.h"

enum { POINTS_MAX = 1440, UNITS_MAX = 30, NAMES_MAX = 15 };

struct names {
    struct sl_str text[NAMES_MAX];
    struct sl_metrics__statistic statistics[NAMES_MAX];
    unsigned count, plain; // the first `plain` ones are members of the data point
};

static int add_names(const struct sl_json *list, const char *parameter, bool plain, struct names *names,
                     struct sl_error *err) {
    unsigned number = 0;
    for (const struct sl_json *at = list ? list->first : NULL; at && names->count < NAMES_MAX; at = at->next) {
        struct sl_metrics__statistic *statistic = &names->statistics[names->count];
        number++;
        if (!sl_metrics__statistic_parse(at->text, statistic) || plain != (statistic->kind <= SL_METRICS_MAXIMUM))
            return sl_fail(err, SL_E_INVALID_PARAMETER, "The value %.*s for parameter %s.member.%u is invalid.",
                           SL_FMT(at->text), parameter, number);
        names->text[names->count++] = at->text;
    }
    if (plain) names->plain = names->count;
    return SL_OK;
}

static int check(struct sl_op *op, struct names *names, struct sl_error *err) {
    const struct sl_json *plain = sl_json_get(op->in, "Statistics"), *more = sl_json_get(op->in, "ExtendedStatistics");
    int64_t start = sl_json_int(op->in, "StartTime", 0), end = sl_json_int(op->in, "EndTime", 0);
    int64_t period = sl_json_int(op->in, "Period", 0);
    if (start >= end)
        return sl_fail(err, SL_E_INVALID_PARAMETER, "The parameter StartTime must be less than the parameter EndTime.");
    if (!sl_metrics__period_is_good(period))
        return sl_fail(err, SL_E_INVALID_PARAMETER,
                       "The parameter Period must be a value in the set [1, 5, 10, 20, 30] or a multiple of 60.");
    if (!plain && !more)
        return sl_fail(err, SL_E_PARAMETER_COMBINATION, "Must specify either Statistics or ExtendedStatistics");
    int64_t points = (end - start) / (period * 1000);
    if (points > POINTS_MAX)
        return sl_fail(err, SL_E_PARAMETER_COMBINATION,
                       "You have requested up to %lld datapoints, which exceeds the limit of %d. You may reduce the "
                       "datapoints requested by increasing Period, or decreasing the time range.",
                       (long long)points, POINTS_MAX);
    int kind = add_names(plain, "Statistics", true, names, err);
    return kind ? kind : add_names(more, "ExtendedStatistics", false, names, err);
}

static void add_point(struct sl_op *op, const struct names *names, struct sl_str unit, int64_t at_ms,
                      const struct sl_stat *stat, struct sl_json *points) {
    struct sl_json *point = sl_json_new_object(op->arena), *more = NULL;
    sl_json_put_int(op->arena, point, "Timestamp", at_ms);
    for (unsigned i = 0; i < names->count; i++) {
        double value = sl_metrics__statistic_of(&names->statistics[i], stat);
        if (isnan(value)) continue;
        if (i >= names->plain && !more)
            more = sl_json_set(point, SL_STR("ExtendedStatistics"), sl_json_new_object(op->arena));
        sl_json_set(i < names->plain ? point : more, names->text[i], sl_json_new_double(op->arena, value));
    }
    sl_json_put_string(op->arena, point, "Unit", unit);
    sl_json_push(points, point);
}

struct units {
    struct sl_op *op;
    struct sl_str list[UNITS_MAX];
    unsigned count;
};

static void note_unit(void *user, const struct sl_series_point *point) {
    struct units *units = user;
    for (unsigned i = 0; i < units->count; i++)
        if (sl_str_eq(units->list[i], point->unit)) return;
    if (units->count < UNITS_MAX) units->list[units->count++] = sl_arena_dup(units->op->arena, point->unit);
}

static int read_unit(struct sl_op *op, const struct sl_metric *metric, struct sl_str unit, const struct names *names,
                     unsigned *budget, struct sl_json *points, struct sl_error *err) {
    struct sl_metrics__line line;
    int kind =
        sl_metrics__line_read(op, metric, unit, sl_json_int(op->in, "StartTime", 0), sl_json_int(op->in, "EndTime", 0),
                              sl_json_int(op->in, "Period", 60), budget, &line, err);
    for (unsigned i = 0; !kind && i < line.count; i++)
        if (line.stats[i].count > 0)
            add_point(op, names, unit, line.start_ms + i * line.period_ms, &line.stats[i], points);
    if (!kind) sl_metrics__line_free(&line);
    return kind;
}

int sl_metrics__get_statistics(struct sl_op *op, struct sl_error *err) {
    struct sl_series *series = ((const struct sl_app *)op->app)->series;
    struct sl_str unit = sl_op_in(op, "Unit");
    struct sl_json *points = sl_json_new_array(op->arena);
    struct units units = {.op = op};
    struct sl_metric metric;
    struct names names = {0};
    unsigned budget = SL_METRICS_HOURS;
    int64_t start_ms = sl_json_int(op->in, "StartTime", 0);
    int kind = check(op, &names, err);
    if (!kind) kind = sl_metrics__of(op, op->in, sl_op_in(op, "Namespace"), &metric, err);
    if (!kind && !unit.ptr)
        kind = sl_series_read(series, op->tx, &metric, start_ms - start_ms % 60000, sl_json_int(op->in, "EndTime", 0),
                              &budget, note_unit, &units, err);
    if (unit.ptr) units.list[units.count++] = unit;
    for (unsigned i = 0; i < units.count && !kind; i++)
        kind = read_unit(op, &metric, units.list[i], &names, &budget, points, err);
    if (kind) return kind;
    sl_op_out(op, "Label", metric.name);
    sl_json_set(op->out, SL_STR("Datapoints"), points);
    return SL_OK;
}
