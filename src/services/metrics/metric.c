// SPDX-License-Identifier: Apache-2.0
//
// metric: what a request says about a metric: its name and dimensions, statistics ("CloudWatch statistics
// definitions", user guide), periods. ListMetrics. And the table of operations.
#include <math.h>

#include "aws/page.h"
#include "services/metrics/internal.h"

enum { LIST_MAX = 500 };

static const int64_t hour_ms = 3600000;

int sl_metrics__of(struct sl_op *op, const struct sl_json *object, struct sl_str namespace, struct sl_metric *ret,
                   struct sl_error *err) {
    const struct sl_json *list = sl_json_get(object, "Dimensions");
    unsigned count = list ? list->count : 0, n = 0;
    struct sl_dimension *dimensions = sl_arena_alloc(op->arena, (count + 1) * sizeof *dimensions);
    if (!dimensions) return sl_fail(err, SL_E_NO_MEMORY, "request too large");
    if (count > SL_SERIES_DIMENSIONS_MAX)
        return sl_fail(err, SL_E_INVALID_PARAMETER, "The collection Dimensions must not have a size greater than %d.",
                       SL_SERIES_DIMENSIONS_MAX);
    for (const struct sl_json *at = list ? list->first : NULL; at; at = at->next)
        dimensions[n++] =
            (struct sl_dimension){.name = sl_json_string(at, "Name"), .value = sl_json_string(at, "Value")};
    *ret = (struct sl_metric){.account = op->account,
                              .region = op->region,
                              .namespace = namespace,
                              .name = sl_json_string(object, "MetricName"),
                              .dimensions = dimensions,
                              .dimension_count = n};
    return SL_OK;
}

// ---- statistics -----------------------------------------------------------------------------------------------------

// "99", "99.9", at most ten decimals; not above 100.
static bool percent(struct sl_str text, double *ret) {
    double value = 0, scale = 1;
    bool point = false;
    if (!text.len || text.len > 14 || text.ptr[0] == '.' || text.ptr[text.len - 1] == '.') return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '.' && !point) {
            point = true;
        } else if (c >= '0' && c <= '9') {
            value = value * 10 + (c - '0');
            if (point) scale *= 10;
        } else {
            return false;
        }
    }
    *ret = value / scale;
    return *ret <= 100;
}

// "(10%:90%)", "(:90%)", "(10%:)".
static bool range(struct sl_str text, struct sl_metrics__statistic *ret) {
    if (text.len < 3 || text.ptr[0] != '(' || text.ptr[text.len - 1] != ')') return false;
    struct sl_str rest = sl_str_sub(text, 1, text.len - 1), low;
    ret->low = 0;
    ret->high = 100;
    if (!sl_str_split(&rest, ':', &low) || !rest.ptr || (!low.len && !rest.len)) return false;
    if (low.len && (!sl_str_ends(low, SL_STR("%")) || !percent(sl_str_sub(low, 0, low.len - 1), &ret->low)))
        return false;
    if (rest.len && (!sl_str_ends(rest, SL_STR("%")) || !percent(sl_str_sub(rest, 0, rest.len - 1), &ret->high)))
        return false;
    return ret->low < ret->high;
}

bool sl_metrics__statistic_parse(struct sl_str text, struct sl_metrics__statistic *ret) {
    static const struct {
        const char *name;
        enum sl_metrics__kind kind;
    } plain[] = {{"SampleCount", SL_METRICS_COUNT},
                 {"Average", SL_METRICS_AVERAGE},
                 {"Sum", SL_METRICS_SUM},
                 {"Minimum", SL_METRICS_MINIMUM},
                 {"Maximum", SL_METRICS_MAXIMUM}},
      trimmed[] = {{"tm", SL_METRICS_TRIMMED}, {"tc", SL_METRICS_TRIMMED_N}, {"ts", SL_METRICS_TRIMMED_SUM}},
      ranges[] = {{"TM", SL_METRICS_TRIMMED}, {"TC", SL_METRICS_TRIMMED_N}, {"TS", SL_METRICS_TRIMMED_SUM}};
    *ret = (struct sl_metrics__statistic){0};
    for (unsigned i = 0; i < sizeof plain / sizeof plain[0]; i++) {
        ret->kind = plain[i].kind;
        if (sl_str_is(text, plain[i].name)) return true;
    }
    *ret = (struct sl_metrics__statistic){.kind = SL_METRICS_TRIMMED, .low = 25, .high = 75};
    if (sl_str_is(text, "IQM")) return true;
    ret->kind = SL_METRICS_PERCENTILE;
    ret->low = 0;
    if (text.len && text.ptr[0] == 'p') return percent(sl_str_sub(text, 1, text.len), &ret->high);
    for (unsigned i = 0; i < sizeof trimmed / sizeof trimmed[0]; i++) {
        struct sl_str rest = sl_str_sub(text, 2, text.len);
        ret->kind = trimmed[i].kind;
        if (sl_str_starts(text, sl_str_of(trimmed[i].name))) return percent(rest, &ret->high);
        if (sl_str_starts(text, sl_str_of(ranges[i].name))) return range(rest, ret);
    }
    return false;
}

double sl_metrics__statistic_of(const struct sl_metrics__statistic *statistic, const struct sl_stat *stat) {
    double count, sum, value;
    if (!(stat->count > 0)) return (double)NAN;
    switch (statistic->kind) {
    case SL_METRICS_COUNT:
        return stat->count;
    case SL_METRICS_AVERAGE:
        return stat->sum / stat->count;
    case SL_METRICS_SUM:
        return stat->sum;
    case SL_METRICS_MINIMUM:
        return stat->min;
    case SL_METRICS_MAXIMUM:
        return stat->max;
    case SL_METRICS_PERCENTILE:
        return sl_stat_percentile(stat, statistic->high, &value) ? value : (double)NAN;
    default:
        if (!sl_stat_between(stat, statistic->low, statistic->high, &count, &sum) || count <= 0) return (double)NAN;
        return statistic->kind == SL_METRICS_TRIMMED     ? sum / count
               : statistic->kind == SL_METRICS_TRIMMED_N ? count
                                                         : sum;
    }
}

bool sl_metrics__period_is_good(int64_t seconds) {
    return seconds == 1 || seconds == 5 || seconds == 10 || seconds == 20 || seconds == 30 ||
           (seconds > 0 && seconds % 60 == 0 && seconds <= 86400 * 455LL);
}

// ---- ListMetrics ------------------------------------------------------------------------------------------------

struct listing {
    struct sl_op *op;
    struct sl_str namespace, name, last;
    const struct sl_json *filters;
    int64_t since_ms;
    struct sl_json *metrics;
    bool more;
};

static bool has_dimension(const struct sl_json *dimensions, const struct sl_json *filter) {
    struct sl_str name = sl_json_string(filter, "Name"), value = sl_json_string(filter, "Value");
    for (const struct sl_json *at = dimensions ? dimensions->first : NULL; at; at = at->next)
        if (sl_str_eq(sl_json_string(at, "Name"), name) &&
            (!value.ptr || sl_str_eq(sl_json_string(at, "Value"), value)))
            return true;
    return false;
}

static bool wanted(const struct listing *listing, const struct sl_json *doc) {
    if (listing->namespace.ptr && !sl_str_eq(listing->namespace, sl_json_string(doc, "namespace"))) return false;
    if (listing->name.ptr && !sl_str_eq(listing->name, sl_json_string(doc, "name"))) return false;
    if (sl_json_int(doc, "last_ms", 0) < listing->since_ms) return false;
    for (const struct sl_json *at = listing->filters ? listing->filters->first : NULL; at; at = at->next)
        if (!has_dimension(sl_json_get(doc, "dimensions"), at)) return false;
    return true;
}

static bool take(void *user, struct sl_str id, const struct sl_json *doc) {
    struct listing *listing = user;
    struct sl_arena *arena = listing->op->arena;
    if (!wanted(listing, doc)) return true;
    listing->more = listing->metrics->count == LIST_MAX;
    if (listing->more) return false;
    struct sl_json *one = sl_json_new_object(arena);
    sl_json_put_string(arena, one, "Namespace", sl_arena_dup(arena, sl_json_string(doc, "namespace")));
    sl_json_put_string(arena, one, "MetricName", sl_arena_dup(arena, sl_json_string(doc, "name")));
    sl_json_set(one, SL_STR("Dimensions"), sl_json_copy(arena, sl_json_get(doc, "dimensions")));
    sl_json_push(listing->metrics, one);
    if (listing->metrics->count == LIST_MAX) listing->last = sl_arena_dup(arena, id);
    return true;
}

static int list_metrics(struct sl_op *op, struct sl_error *err) {
    struct sl_str token = sl_op_in(op, "NextToken"), after = SL_STR(""), scope = sl_page_scope(op, SL_STR(""));
    bool recent = sl_op_in(op, "RecentlyActive").ptr != NULL;
    struct listing listing = {.op = op,
                              .namespace = sl_op_in(op, "Namespace"),
                              .name = sl_op_in(op, "MetricName"),
                              .filters = sl_json_get(op->in, "Dimensions"),
                              .since_ms = op->now_ms - (recent ? 3 * hour_ms : 14 * 24 * hour_ms),
                              .metrics = sl_json_new_array(op->arena)};
    if (!listing.metrics) return sl_fail(err, SL_E_NO_MEMORY, "request too large");
    if (token.ptr && !sl_page_open(op->arena, scope, token, &after))
        return sl_fail(err, SL_E_INVALID_PARAMETER, "Invalid nextToken");
    int result = sl_series_list(op->tx, op->account, op->region, after, take, &listing, err);
    if (result) return result;
    sl_json_set(op->out, SL_STR("Metrics"), listing.metrics);
    if (listing.more) sl_op_out(op, "NextToken", sl_page_token(op->arena, scope, listing.last));
    return SL_OK;
}

#define STORE(name, handler)                                                                                           \
    { "cloudwatch", name, SL_OP_STORE, NULL, handler, NULL, NULL }

const struct sl_op_entry sl_metrics_operations[] = {
    STORE("PutMetricData", sl_metrics__put_data),
    STORE("GetMetricData", sl_metrics__get_data),
    STORE("GetMetricStatistics", sl_metrics__get_statistics),
    STORE("ListMetrics", list_metrics),
    {NULL, NULL, SL_OP_STORE, NULL, NULL, NULL, NULL},
};
