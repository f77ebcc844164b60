// SPDX-License-Identifier: Apache-2.0
//
// metrics: `sluice metrics [NAME]`, the last hour of each function that did something: a line of bars (on a terminal)
// and figures, read through CloudWatch's API as any other client would: ListMetrics for the names, one GetMetricData
// for each.
#include "cli/internal.h"

#include "base/clock.h"

#include <stdio.h>
#include <unistd.h>

enum { HOUR_S = 3600, BARS = 30, BAR_S = HOUR_S / BARS, FUNCTIONS_MAX = 500 };

struct values {
    struct sl_cli_target target;
};
static const struct values defaults = {.target = SL_CLI_TARGET_DEFAULT};

// The queries of one function; the first is by bars.
static const struct {
    const char *id, *metric, *stat;
    unsigned width;
} columns[] = {{"bars", "Invocations", "Sum", 0},
               {"calls", "Invocations", "Sum", 11},
               {"errors", "Errors", "Sum", 6},
               {"throttles", "Throttles", "Sum", 9},
               {"half", "Duration", "p50", 9},
               {"most", "Duration", "p95", 9},
               {"busy", "ConcurrentExecutions", "Maximum", 1}};
enum { COLUMNS = sizeof columns / sizeof columns[0] };

static int ask(struct sl_cli *cli, const struct values *values, const char *operation, const struct sl_json *body,
               struct sl_json **ret, struct sl_error *err) {
    char target[80];
    snprintf(target, sizeof target, "X-Amz-Target: GraniteServiceVersion20100801.%s", operation);
    const char *const headers[] = {target, NULL};
    struct sl_cli_answer answer;
    const struct sl_cli_request request = {.target = &values->target,
                                           .service = "monitoring",
                                           .method = "POST",
                                           .path = SL_STR("/"),
                                           .headers = headers,
                                           .body = sl_json_text(cli->arena, body, SL_CLI_BODY_MAX)};
    int failed = sl_cli__call(cli, &request, &answer, err);
    *ret = answer.json;
    return failed;
}

static struct sl_json *dimension(struct sl_cli *cli, struct sl_str name) {
    struct sl_json *list = sl_json_new_array(cli->arena), *one = sl_json_new_object(cli->arena);
    sl_json_put_string(cli->arena, one, "Name", SL_STR("FunctionName"));
    if (name.len) sl_json_put_string(cli->arena, one, "Value", name);
    sl_json_push(list, one);
    return list;
}

static struct sl_json *query(struct sl_cli *cli, unsigned column, struct sl_str function) {
    struct sl_json *metric = sl_json_new_object(cli->arena), *stat = sl_json_new_object(cli->arena);
    struct sl_json *one = sl_json_new_object(cli->arena);
    sl_json_put_string(cli->arena, metric, "Namespace", SL_STR("AWS/Lambda"));
    sl_json_put_string(cli->arena, metric, "MetricName", sl_str_of(columns[column].metric));
    sl_json_set(metric, SL_STR("Dimensions"), dimension(cli, function));
    sl_json_set(stat, SL_STR("Metric"), metric);
    sl_json_put_int(cli->arena, stat, "Period", column ? HOUR_S : BAR_S);
    sl_json_put_string(cli->arena, stat, "Stat", sl_str_of(columns[column].stat));
    sl_json_put_string(cli->arena, one, "Id", sl_str_of(columns[column].id));
    sl_json_set(one, SL_STR("MetricStat"), stat);
    return one;
}

// ---- drawing ----------------------------------------------------------------------------------------------------

static double value_of(const struct sl_json *result) {
    const struct sl_json *values = sl_json_get(result, "Values");
    double value;
    return values && values->first && sl_json_to_double(values->first, &value) ? value : -1;
}

static void draw_bars(const struct sl_json *result, double start_s) {
    static const char *const marks[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    double heights[BARS] = {0}, highest = 0;
    const struct sl_json *times = sl_json_get(result, "Timestamps"), *values = sl_json_get(result, "Values");
    const struct sl_json *value = values ? values->first : NULL;
    for (const struct sl_json *at = times ? times->first : NULL; at && value; at = at->next, value = value->next) {
        double time, height;
        if (!sl_json_to_double(at, &time) || !sl_json_to_double(value, &height)) continue;
        int bar = (int)((time - start_s) / BAR_S);
        if (bar >= 0 && bar < BARS) heights[bar] = height;
        if (height > highest) highest = height;
    }
    for (unsigned i = 0; i < BARS; i++) {
        unsigned level = heights[i] > 0 ? 1 + (unsigned)(heights[i] / highest * 7) : 0;
        fputs(marks[level < 9 ? level : 8], stdout);
    }
    putchar(' ');
}

static void draw_head(bool bars) {
    char line[160];
    snprintf(line, sizeof line, "%-33s %s%-11s %-6s %-9s %-9s %-9s %s\n", "FUNCTION",
             bars ? "LAST HOUR                      " : "", "INVOCATIONS", "ERRORS", "THROTTLES", "P50 MS", "P95 MS",
             "BUSY");
    sl_cli__print(stdout, SL_CLI_BOLD, sl_str_of(line));
}

static int draw(struct sl_cli *cli, const struct values *values, struct sl_str function, bool bars,
                struct sl_error *err) {
    struct sl_json *body = sl_json_new_object(cli->arena), *queries = sl_json_new_array(cli->arena), *answer;
    int64_t end_s = sl_clock_ms() / 1000 / 60 * 60 + 60, start_s = end_s - HOUR_S;
    for (unsigned i = 0; i < COLUMNS; i++) sl_json_push(queries, query(cli, i, function));
    sl_json_set(body, SL_STR("MetricDataQueries"), queries);
    sl_json_put_int(cli->arena, body, "StartTime", start_s);
    sl_json_put_int(cli->arena, body, "EndTime", end_s);
    int failed = ask(cli, values, "GetMetricData", body, &answer, err);
    if (failed) return failed;
    const struct sl_json *results = sl_json_get(answer, "MetricDataResults");
    const struct sl_json *result = results ? results->first : NULL;
    sl_cli__column(stdout, SL_CLI_PLAIN, function, 33);
    putchar(' ');
    for (unsigned i = 0; i < COLUMNS && result; i++, result = result->next) {
        double value = value_of(result);
        bool whole = columns[i].stat[0] != 'p', bad = value > 0 && (i == 2 || i == 3);
        if (i == 0) {
            if (bars) draw_bars(result, (double)start_s);
            continue;
        }
        struct sl_str text = value < 0 ? SL_STR("-") : sl_arena_printf(cli->arena, whole ? "%.0f" : "%.1f", value);
        sl_cli__column(stdout, bad ? SL_CLI_RED : SL_CLI_PLAIN, text, columns[i].width);
        putchar(i + 1 < COLUMNS ? ' ' : '\n');
    }
    return 0;
}

static int run(struct sl_cli *cli, const struct sl_arguments *arguments, void *data, struct sl_error *err) {
    const struct values *values = data;
    struct sl_str wanted = arguments->count ? sl_str_of(arguments->item[0]) : SL_STR("");
    struct sl_json *body = sl_json_new_object(cli->arena), *answer;
    unsigned drawn = 0;
    bool bars = isatty(STDOUT_FILENO) == 1;
    sl_json_put_string(cli->arena, body, "Namespace", SL_STR("AWS/Lambda"));
    sl_json_put_string(cli->arena, body, "MetricName", SL_STR("Invocations"));
    sl_json_put_string(cli->arena, body, "RecentlyActive", SL_STR("PT3H"));
    sl_json_set(body, SL_STR("Dimensions"), dimension(cli, wanted));
    do {
        int failed = ask(cli, values, "ListMetrics", body, &answer, err);
        if (failed) return failed;
        const struct sl_json *metrics = sl_json_get(answer, "Metrics");
        for (const struct sl_json *at = metrics ? metrics->first : NULL; at && drawn < FUNCTIONS_MAX; at = at->next) {
            const struct sl_json *dimensions = sl_json_get(at, "Dimensions");
            if (!dimensions || dimensions->count != 1) continue;
            if (drawn++ == 0) draw_head(bars);
            failed = draw(cli, values, sl_json_string(dimensions->first, "Value"), bars, err);
            if (failed) return failed;
        }
        sl_json_put_string(cli->arena, body, "NextToken", sl_json_string(answer, "NextToken"));
    } while (sl_json_string(answer, "NextToken").ptr && drawn < FUNCTIONS_MAX);
    if (!drawn && wanted.len)
        return sl_fail(err, SL_E_USAGE, "metrics: %s did nothing in the last three hours", arguments->item[0]);
    if (!drawn) fputs("no function did anything in the last three hours\n", stdout);
    return 0;
}

static const struct sl_option options[] = {
    SL_CLI_TARGET_OPTIONS(struct values),
    {0},
};

const struct sl_cli_verb sl_cli__metrics = {
    .command = {.name = "metrics",
                .summary = "show what functions did in the last hour",
                .arguments = "[NAME]",
                .max_arguments = 1,
                .options = options,
                .examples = "sluice metrics\nsluice metrics hello-python\n"},
    .defaults = &defaults,
    .values_size = sizeof defaults,
    .run = run,
};
