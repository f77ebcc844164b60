// SPDX-License-Identifier: Apache-2.0
//
// data: GetMetricData: many metrics by periods, and expressions over them. A query is worked out when it is first asked
// for, by the answer or by an expression, which may name queries before and after it; one that leads back to itself is
// refused. The answer's data points are counted through all results: a page is a stretch of them.
#include <inttypes.h>
#include <math.h>

#include "aws/page.h"
#include "services/metrics/internal.h"

enum { QUERIES_MAX = 500, CHAIN_MAX = 20 };

static const int64_t hour_ms = 3600000;

struct query {
    const struct sl_json *in, *stat;
    struct sl_str id;
    struct sl_metrics__statistic statistic;
    struct sl_metrics__values values;
    enum { UNKNOWN, WORKING, KNOWN } state;
    bool cut;
};

struct getting {
    struct sl_op *op;
    struct query *queries;
    unsigned count, budget;
    int64_t start_ms, end_ms;
    uint64_t points; // of all lines together
    unsigned chain;  // expressions that wait for one another
};

// ---- checks ---------------------------------------------------------------------------------------------------------

// "^[a-z][a-zA-Z0-9_]*$"
static bool is_id(struct sl_str id) {
    bool good = id.len > 0 && id.ptr[0] >= 'a' && id.ptr[0] <= 'z';
    for (size_t i = 1; i < id.len && good; i++) {
        char c = id.ptr[i];
        good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    }
    return good;
}

static int check_period(const struct getting *getting, int64_t period, unsigned number, struct sl_error *err) {
    int64_t age_ms = getting->op->now_ms - getting->start_ms;
    int64_t step = age_ms > 63 * 24 * hour_ms ? 3600 : age_ms > 15 * 24 * hour_ms ? 300 : age_ms > 3 * hour_ms ? 60 : 1;
    if (sl_metrics__period_is_good(period) && period % step == 0) return SL_OK;
    // As the API reference asks: what is kept coarsely cannot be asked for finely.
    return sl_fail(
        err, SL_E_QUERY_VALIDATION,
        "The value %lld for parameter MetricDataQueries.member.%u.MetricStat.Period is invalid: it must be a "
        "multiple of %lld.",
        (long long)period, number, (long long)(step == 1 ? 60 : step));
}

static int check_query(struct getting *getting, struct query *query, unsigned number, struct sl_error *err) {
    const struct sl_json *in = query->in;
    struct sl_str expression = sl_json_string(in, "Expression");
    query->id = sl_json_string(in, "Id");
    query->stat = sl_json_get(in, "MetricStat");
    if (!is_id(query->id))
        return sl_fail(
            err, SL_E_QUERY_VALIDATION,
            "The value %.*s for parameter MetricDataQueries.member.%u.Id is not matching the expected pattern "
            "^[a-z][a-zA-Z0-9_]*$.",
            SL_FMT(query->id), number);
    for (unsigned i = 0; i + 1 < number; i++)
        if (sl_str_eq(getting->queries[i].id, query->id))
            return sl_fail(err, SL_E_QUERY_VALIDATION,
                           "The values for parameter id in MetricDataQueries are not unique.");
    if (query->stat && expression.ptr)
        return sl_fail(err, SL_E_QUERY_VALIDATION,
                       "The parameters MetricDataQueries.member.%u.Expression and "
                       "MetricDataQueries.member.%u.MetricStat are mutually exclusive and you have specified both.",
                       number, number);
    if (!query->stat && !expression.ptr)
        return sl_fail(err, SL_E_QUERY_VALIDATION,
                       "At least one of the parameters MetricDataQueries.member.%u.Expression or "
                       "MetricDataQueries.member.%u.MetricStat must be specified.",
                       number, number);
    if (query->stat && sl_json_get(in, "Period"))
        return sl_fail(
            err, SL_E_QUERY_VALIDATION,
            "The parameters MetricDataQueries.member.%u.Period and MetricDataQueries.member.%u.MetricStat are "
            "mutually exclusive and you have specified both.",
            number, number);
    if (!query->stat) return SL_OK;
    struct sl_str stat = sl_json_string(query->stat, "Stat");
    if (!sl_metrics__statistic_parse(stat, &query->statistic))
        return sl_fail(err, SL_E_QUERY_VALIDATION,
                       "The value %.*s for parameter MetricDataQueries.member.%u.MetricStat.Stat is invalid.",
                       SL_FMT(stat), number);
    return check_period(getting, sl_json_int(query->stat, "Period", 0), number, err);
}

static int check(struct getting *getting, struct sl_error *err) {
    struct sl_op *op = getting->op;
    const struct sl_json *list = sl_json_get(op->in, "MetricDataQueries");
    getting->start_ms = sl_json_int(op->in, "StartTime", 0);
    getting->end_ms = sl_json_int(op->in, "EndTime", 0);
    if (getting->start_ms >= getting->end_ms)
        return sl_fail(err, SL_E_QUERY_VALIDATION, "The parameter StartTime must be less than the parameter EndTime.");
    if (!list->count || list->count > QUERIES_MAX)
        return sl_fail(err, SL_E_QUERY_VALIDATION, "The collection MetricDataQueries must have between 1 and %d items.",
                       QUERIES_MAX);
    getting->queries = sl_arena_zalloc(op->arena, list->count * sizeof *getting->queries);
    if (!getting->queries) return sl_fail(err, SL_E_NO_MEMORY, "request too large");
    for (const struct sl_json *at = list->first; at; at = at->next) {
        struct query *query = &getting->queries[getting->count++];
        query->in = at;
        int kind = check_query(getting, query, getting->count, err);
        if (kind) return kind;
    }
    return SL_OK;
}

// ---- working out ------------------------------------------------------------------------------------------------

static int read_metric(struct getting *getting, struct query *query, struct sl_error *err) {
    struct sl_op *op = getting->op;
    const struct sl_json *named = sl_json_get(query->stat, "Metric");
    struct sl_metric metric;
    struct sl_metrics__line line;
    int kind = sl_metrics__of(op, named, sl_json_string(named, "Namespace"), &metric, err);
    if (!kind)
        kind =
            sl_metrics__line_read(op, &metric, sl_json_string(query->stat, "Unit"), getting->start_ms, getting->end_ms,
                                  sl_json_int(query->stat, "Period", 60), &getting->budget, &line, err);
    if (kind) return kind;
    query->cut = line.cut;
    getting->points += line.count;
    query->values = (struct sl_metrics__values){.id = query->id,
                                                .start_ms = line.start_ms,
                                                .period_ms = line.period_ms,
                                                .count = line.count,
                                                .values = sl_arena_alloc(op->arena, (line.count + 1) * sizeof(double))};
    for (unsigned i = 0; query->values.values && i < line.count; i++)
        query->values.values[i] = sl_metrics__statistic_of(&query->statistic, &line.stats[i]);
    sl_metrics__line_free(&line);
    if (!query->values.values || getting->points > 10ULL * SL_METRICS_POINTS)
        return sl_fail(
            err, SL_E_QUERY_VALIDATION,
            "You have requested more datapoints than the limit of %d. You may reduce the datapoints requested "
            "by increasing Period, or decreasing the time range.",
            SL_METRICS_POINTS);
    return SL_OK;
}

static int work_out(struct getting *getting, struct query *query, struct sl_error *err);

static const struct sl_metrics__values *look_up(void *user, struct sl_str id, struct sl_error *err) {
    struct getting *getting = user;
    for (unsigned i = 0; i < getting->count; i++) {
        struct query *query = &getting->queries[i];
        if (!sl_str_eq(query->id, id)) continue;
        return work_out(getting, query, err) ? NULL : &query->values;
    }
    sl_fail(err, SL_E_QUERY_VALIDATION, "Error in expression: Unsupported operand id '%.*s'", SL_FMT(id));
    return NULL;
}

static struct sl_str metric_id(void *user, unsigned n) {
    struct getting *getting = user;
    for (unsigned i = 0; i < getting->count; i++)
        if (getting->queries[i].stat && n-- == 0) return getting->queries[i].id;
    return (struct sl_str){0};
}

static int work_out(struct getting *getting, struct query *query, struct sl_error *err) {
    if (query->state == KNOWN) return SL_OK;
    if (getting->chain == CHAIN_MAX)
        return sl_fail(err, SL_E_QUERY_VALIDATION,
                       "Error in expression '%.*s': expressions refer to one another too deeply", SL_FMT(query->id));
    if (query->state == WORKING)
        return sl_fail(err, SL_E_QUERY_VALIDATION, "Error in expression '%.*s': the expression refers to itself",
                       SL_FMT(query->id));
    query->state = WORKING;
    int kind;
    if (query->stat) {
        kind = read_metric(getting, query, err);
    } else {
        const struct sl_metrics__math math = {
            .arena = getting->op->arena, .lookup = look_up, .metric = metric_id, .user = getting};
        getting->chain++;
        kind = sl_metrics__math_run(&math, sl_json_string(query->in, "Expression"), &query->values, err);
        getting->chain--;
        if (kind == SL_E_QUERY_VALIDATION && !sl_str_starts(sl_str_of(err->message), SL_STR("Error in expression")))
            sl_wrap(err, "Error in expression '%.*s'", SL_FMT(query->id));
    }
    query->state = KNOWN;
    return kind;
}

// ---- the answer -----------------------------------------------------------------------------------------------------

struct page {
    uint64_t skip, room; // data points before this page, and on it
    uint64_t given;
    bool ascending, more;
};

static struct sl_str label_of(const struct query *query) {
    struct sl_str label = sl_json_string(query->in, "Label");
    if (label.ptr) return label;
    return query->stat ? sl_json_string(sl_json_get(query->stat, "Metric"), "MetricName") : query->id;
}

static void answer(struct sl_op *op, const struct query *query, struct page *page, struct sl_json *results) {
    struct sl_json *result = sl_json_new_object(op->arena);
    struct sl_json *times = sl_json_new_array(op->arena), *values = sl_json_new_array(op->arena);
    const struct sl_metrics__values *line = &query->values;
    bool partial = query->cut;
    for (unsigned i = 0; i < line->count; i++) {
        unsigned at = page->ascending ? i : line->count - 1 - i;
        if (isnan(line->values[at])) continue;
        if (page->skip) {
            page->skip--;
        } else if (page->given == page->room) {
            page->more = partial = true;
        } else {
            page->given++;
            sl_json_push(times, sl_json_new_int(op->arena, line->start_ms + at * line->period_ms));
            sl_json_push(values, sl_json_new_double(op->arena, line->values[at]));
        }
    }
    sl_json_put_string(op->arena, result, "Id", query->id);
    sl_json_put_string(op->arena, result, "Label", label_of(query));
    sl_json_set(result, SL_STR("Timestamps"), times);
    sl_json_set(result, SL_STR("Values"), values);
    sl_json_put_string(op->arena, result, "StatusCode", partial ? SL_STR("PartialData") : SL_STR("Complete"));
    sl_json_push(results, result);
}

static int open_page(struct sl_op *op, struct sl_str scope, struct page *page, struct sl_error *err) {
    struct sl_str token = sl_op_in(op, "NextToken"), offset;
    int64_t room = sl_json_int(op->in, "MaxDatapoints", SL_METRICS_POINTS);
    page->ascending = sl_str_is(sl_op_in(op, "ScanBy"), "TimestampAscending");
    if (room < 1 || room > SL_METRICS_POINTS)
        return sl_fail(err, SL_E_QUERY_VALIDATION, "The value %lld for parameter MaxDatapoints is invalid.",
                       (long long)room);
    page->room = (uint64_t)room;
    if (token.ptr && (!sl_page_open(op->arena, scope, token, &offset) || !sl_str_to_u64(offset, &page->skip)))
        return sl_fail(err, SL_E_INVALID_NEXT_TOKEN, "The value for parameter NextToken is invalid.");
    return SL_OK;
}

int sl_metrics__get_data(struct sl_op *op, struct sl_error *err) {
    struct getting getting = {.op = op, .budget = SL_METRICS_HOURS};
    struct sl_str scope = sl_page_scope(op, SL_STR(""));
    struct sl_json *results = sl_json_new_array(op->arena);
    struct page page = {0};
    int kind = open_page(op, scope, &page, err);
    uint64_t before = page.skip;
    if (!kind) kind = check(&getting, err);
    for (unsigned i = 0; i < getting.count && !kind; i++) {
        struct query *query = &getting.queries[i];
        if (!sl_json_bool(query->in, "ReturnData", true)) continue;
        kind = work_out(&getting, query, err);
        if (!kind) answer(op, query, &page, results);
    }
    if (kind) return kind;
    sl_json_set(op->out, SL_STR("MetricDataResults"), results);
    sl_json_set(op->out, SL_STR("Messages"), sl_json_new_array(op->arena));
    if (page.more)
        sl_op_out(op, "NextToken",
                  sl_page_token(op->arena, scope, sl_arena_printf(op->arena, "%" PRIu64, before + page.given)));
    return SL_OK;
}
