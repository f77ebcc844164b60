// SPDX-License-Identifier: Apache-2.0
//
// line: a metric read from its series and added up by periods.
#include <stdlib.h>

#include "services/metrics/internal.h"

static const int64_t minute_ms = 60000;

struct filling {
    struct sl_metrics__line *line;
    struct sl_str unit;
};

static void fill(void *user, const struct sl_series_point *point) {
    const struct filling *filling = user;
    int64_t index = (point->at_ms - filling->line->start_ms) / filling->line->period_ms;
    if (filling->unit.ptr && !sl_str_eq(filling->unit, point->unit)) return;
    if (index >= 0 && index < filling->line->count) sl_stat_merge(&filling->line->stats[index], point->stat);
}

int sl_metrics__line_read(struct sl_op *op, const struct sl_metric *metric, struct sl_str unit, int64_t start_ms,
                          int64_t end_ms, int64_t period_s, unsigned *budget, struct sl_metrics__line *ret,
                          struct sl_error *err) {
    struct sl_series *series = ((const struct sl_app *)op->app)->series;
    *ret = (struct sl_metrics__line){.start_ms = start_ms - start_ms % minute_ms, .period_ms = period_s * 1000};
    int64_t count = (end_ms - ret->start_ms + ret->period_ms - 1) / ret->period_ms;
    if (count > SL_METRICS_POINTS) count = SL_METRICS_POINTS;
    ret->count = count > 0 ? (unsigned)count : 0;
    ret->stats = calloc(ret->count + 1u, sizeof *ret->stats);
    if (!ret->stats) return sl_fail(err, SL_E_NO_MEMORY, "request too large");
    struct filling filling = {.line = ret, .unit = unit};
    int kind = sl_series_read(series, op->tx, metric, ret->start_ms, end_ms, budget, fill, &filling, err);
    ret->cut = *budget == 0;
    if (kind) sl_metrics__line_free(ret);
    return kind;
}

void sl_metrics__line_free(struct sl_metrics__line *line) {
    for (unsigned i = 0; line->stats && i < line->count; i++) sl_stat_clear(&line->stats[i]);
    free(line->stats);
    line->stats = NULL;
    line->count = 0;
}
