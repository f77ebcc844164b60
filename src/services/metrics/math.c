// SPDX-License-Identifier: Apache-2.0
//
// math: expressions of GetMetricData ("Metric math syntax and functions", CloudWatch user guide): numbers, ids, + - *
// / ^, comparisons, AND, OR, parentheses, [lists], and the functions of the table below. A value is a number, a series
// (one number per period), or a list of series. What is missing on either side is missing in the result; so is what
// cannot be worked out, such as a division by zero.
//
// Read and worked out in one pass: the text is at most 2048 characters and nests DEPTH deep. Other functions of
// CloudWatch's, and its SELECT and SEARCH, are refused with ValidationError.
#include <math.h>
#include <stdlib.h>

#include "services/metrics/internal.h"

enum { DEPTH = 20, TEXT_MAX = 2048, LIST_MAX = 500, ARGUMENTS = 4 };

struct value {
    enum { NUMBER, SERIES, LIST } type;
    double number;
    struct sl_metrics__values series;
    struct sl_metrics__values *list; // in the arena
    unsigned count;
};

struct reader {
    const struct sl_metrics__math *math;
    struct sl_str text;
    size_t at;
    unsigned depth;
    struct sl_error *err;
};

static int bad(struct reader *r, const char *what) { return sl_fail(r->err, SL_E_QUERY_VALIDATION, "%s", what); }
static int no_memory(struct reader *r) { return sl_fail(r->err, SL_E_NO_MEMORY, "request too large"); }

static char peek(struct reader *r) {
    while (r->at < r->text.len &&
           (r->text.ptr[r->at] == ' ' || r->text.ptr[r->at] == '\t' || r->text.ptr[r->at] == '\n'))
        r->at++;
    return r->at < r->text.len ? r->text.ptr[r->at] : '\0';
}

static bool take(struct reader *r, const char *token) {
    peek(r);
    if (!sl_str_starts(sl_str_sub(r->text, r->at, r->text.len), sl_str_of(token))) return false;
    r->at += strlen(token);
    return true;
}

static struct sl_str take_word(struct reader *r) {
    peek(r);
    size_t from = r->at;
    while (r->at < r->text.len) {
        char c = r->text.ptr[r->at];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
        if (!word) break;
        r->at++;
    }
    return sl_str_sub(r->text, from, r->at);
}

// ---- working with values ----------------------------------------------------------------------------------------

static int new_series(struct reader *r, const struct sl_metrics__values *like, struct sl_metrics__values *ret) {
    *ret = *like;
    ret->values = sl_arena_alloc(r->math->arena, (like->count + 1) * sizeof(double));
    return ret->values ? SL_OK : no_memory(r);
}

static double apply(const char *op, double a, double b) {
    if (isnan(a) || isnan(b)) return (double)NAN;
    double value = (double)NAN;
    if (op[0] == '+') value = a + b;
    if (op[0] == '-') value = a - b;
    if (op[0] == '*') value = a * b;
    if (op[0] == '/' && fabs(b) > 0) value = a / b;
    if (op[0] == '^') value = pow(a, b);
    if (op[0] == '=') value = !(a < b) && !(a > b);
    if (op[0] == '!') value = a < b || a > b;
    if (op[0] == '<') value = op[1] ? a <= b : a < b;
    if (op[0] == '>') value = op[1] ? a >= b : a > b;
    if (op[0] == 'A') value = fabs(a) > 0 && fabs(b) > 0;
    if (op[0] == 'O') value = fabs(a) > 0 || fabs(b) > 0;
    return isfinite(value) ? value : (double)NAN;
}

static double at(const struct value *value, unsigned i) {
    return value->type == NUMBER ? value->number : value->series.values[i];
}

static int same_grid(struct reader *r, const struct sl_metrics__values *a, const struct sl_metrics__values *b) {
    if (a->period_ms == b->period_ms && a->count == b->count) return SL_OK;
    return bad(r, "the metrics of an expression must have the same period");
}

static int combine(struct reader *r, const char *op, const struct value *left, const struct value *right,
                   struct value *ret) {
    if (left->type == NUMBER && right->type == NUMBER) {
        *ret = (struct value){.type = NUMBER, .number = apply(op, left->number, right->number)};
        return SL_OK;
    }
    const struct value *many = left->type == LIST ? left : right;
    if (many->type == LIST) { // with each of its series
        struct value made = {.type = LIST, .count = many->count};
        made.list = sl_arena_alloc(r->math->arena, (many->count + 1) * sizeof *made.list);
        if (left->type == LIST && right->type == LIST) return bad(r, "operations on two lists are not supported");
        for (unsigned i = 0; made.list && i < many->count; i++) {
            struct value one = {.type = SERIES, .series = many->list[i]}, result;
            int kind = combine(r, op, left->type == LIST ? &one : left, right->type == LIST ? &one : right, &result);
            if (kind) return kind;
            made.list[i] = result.series;
        }
        *ret = made;
        return made.list ? SL_OK : no_memory(r);
    }
    struct value made = {.type = SERIES};
    int kind = left->type == SERIES && right->type == SERIES ? same_grid(r, &left->series, &right->series) : SL_OK;
    if (!kind) kind = new_series(r, left->type == SERIES ? &left->series : &right->series, &made.series);
    for (unsigned i = 0; !kind && i < made.series.count; i++)
        made.series.values[i] = apply(op, at(left, i), at(right, i));
    *ret = made;
    return kind;
}

// ---- functions --------------------------------------------------------------------------------------------------

enum fold { FOLD_SUM, FOLD_AVG, FOLD_MIN, FOLD_MAX, FOLD_COUNT, FOLD_STDDEV };

struct folding {
    double count, sum, squares, min, max;
};

static void fold_in(struct folding *folding, double value) {
    if (isnan(value)) return;
    if (folding->count <= 0 || value < folding->min) folding->min = value;
    if (folding->count <= 0 || value > folding->max) folding->max = value;
    folding->count++;
    folding->sum += value;
    folding->squares += value * value;
}

static double folded(const struct folding *folding, enum fold how) {
    double n = folding->count, mean = folding->sum / n;
    if (n <= 0) return how == FOLD_COUNT ? 0 : (double)NAN;
    switch (how) {
    case FOLD_SUM:
        return folding->sum;
    case FOLD_AVG:
        return mean;
    case FOLD_MIN:
        return folding->min;
    case FOLD_MAX:
        return folding->max;
    case FOLD_COUNT:
        return n;
    default:
        return sqrt(fmax(0, folding->squares / n - mean * mean));
    }
}

// A series becomes a number; a list, a series of what its series have in each period.
static int fold(struct reader *r, enum fold how, const struct value *in, struct value *ret) {
    struct folding folding = {0};
    if (in->type != LIST || !in->count) {
        for (unsigned i = 0; in->type == SERIES && i < in->series.count; i++) fold_in(&folding, in->series.values[i]);
        if (in->type == NUMBER) fold_in(&folding, in->number);
        *ret = (struct value){.type = NUMBER, .number = folded(&folding, how)};
        return SL_OK;
    }
    struct value made = {.type = SERIES};
    int kind = new_series(r, &in->list[0], &made.series);
    for (unsigned n = 1; n < in->count && !kind; n++) kind = same_grid(r, &in->list[0], &in->list[n]);
    for (unsigned i = 0; !kind && i < made.series.count; i++) {
        folding = (struct folding){0};
        for (unsigned n = 0; n < in->count; n++) fold_in(&folding, in->list[n].values[i]);
        made.series.values[i] = folding.count > 0 ? folded(&folding, how) : (double)NAN;
    }
    *ret = made;
    return kind;
}

static int map_each(struct reader *r, double (*function)(double), const struct value *in, struct value *ret) {
    *ret = *in;
    if (in->type == LIST) return bad(r, "the function needs a time series");
    if (in->type == NUMBER) {
        ret->number = function(in->number);
        return SL_OK;
    }
    int kind = new_series(r, &in->series, &ret->series);
    for (unsigned i = 0; !kind && i < in->series.count; i++) {
        double value = function(in->series.values[i]);
        ret->series.values[i] = isfinite(value) ? value : (double)NAN;
    }
    return kind;
}

// FILL(series, number) and FILL(series, REPEAT).
static int fill(struct reader *r, const struct value *in, const struct value *by, bool repeat, struct value *ret) {
    double last = (double)NAN;
    if (in->type != SERIES || by->type != NUMBER) return bad(r, "FILL needs a time series and a number or REPEAT");
    *ret = *in;
    int kind = new_series(r, &in->series, &ret->series);
    for (unsigned i = 0; !kind && i < in->series.count; i++) {
        double value = in->series.values[i];
        if (isnan(value)) value = repeat ? last : by->number;
        ret->series.values[i] = last = value;
    }
    return kind;
}

static int choose(struct reader *r, const struct value *condition, const struct value *yes, const struct value *no,
                  struct value *ret) {
    const struct value *like = condition->type == SERIES ? condition : yes->type == SERIES ? yes : no;
    if (condition->type == LIST || yes->type == LIST || no->type == LIST) return bad(r, "IF does not take lists");
    if (like->type == NUMBER) {
        *ret = fabs(condition->number) > 0 ? *yes : *no;
        return SL_OK;
    }
    struct value made = {.type = SERIES};
    const struct value *const all[] = {condition, yes, no};
    int kind = new_series(r, &like->series, &made.series);
    for (unsigned i = 0; i < 3 && !kind; i++)
        if (all[i]->type == SERIES) kind = same_grid(r, &like->series, &all[i]->series);
    for (unsigned i = 0; !kind && i < made.series.count; i++) {
        double is = at(condition, i);
        made.series.values[i] = isnan(is) ? (double)NAN : fabs(is) > 0 ? at(yes, i) : at(no, i);
    }
    *ret = made;
    return kind;
}

// RATE: by second; DIFF: since the value before.
static int change(struct reader *r, const struct value *in, bool rate, struct value *ret) {
    double last = (double)NAN, since = 0;
    if (in->type != SERIES) return bad(r, "the function needs a time series");
    *ret = *in;
    int kind = new_series(r, &in->series, &ret->series);
    for (unsigned i = 0; !kind && i < in->series.count; i++) {
        double value = in->series.values[i], passed = ((double)i - since) * (double)in->series.period_ms / 1000;
        ret->series.values[i] = isnan(value) || isnan(last) ? (double)NAN
                                : rate                      ? (value - last) / passed
                                                            : value - last;
        if (isnan(value)) continue;
        last = value;
        since = (double)i;
    }
    return kind;
}

static int metrics(struct reader *r, struct sl_str part, struct value *ret) {
    *ret = (struct value){.type = LIST, .list = sl_arena_alloc(r->math->arena, LIST_MAX * sizeof *ret->list)};
    if (!ret->list) return no_memory(r);
    for (unsigned n = 0; ret->count < LIST_MAX; n++) {
        struct sl_str id = r->math->metric(r->math->user, n);
        if (!id.ptr) return SL_OK;
        if (part.len && sl_str_find(id, part) < 0) continue;
        const struct sl_metrics__values *values = r->math->lookup(r->math->user, id, r->err);
        if (!values) return r->err->kind;
        ret->list[ret->count++] = *values;
    }
    return SL_OK;
}

// ---- reading ------------------------------------------------------------------------------------------------------

static int read_or(struct reader *r, struct value *ret);

static int read_list(struct reader *r, struct value *ret) {
    *ret = (struct value){.type = LIST, .list = sl_arena_alloc(r->math->arena, LIST_MAX * sizeof *ret->list)};
    if (!ret->list) return no_memory(r);
    do {
        struct value one;
        int kind = read_or(r, &one);
        if (kind) return kind;
        if (one.type != SERIES || ret->count == LIST_MAX) return bad(r, "a list must be one of time series");
        ret->list[ret->count++] = one.series;
    } while (take(r, ","));
    return take(r, "]") ? SL_OK : bad(r, "the expression lacks a ']'");
}

static int read_metrics(struct reader *r, struct value *ret) {
    struct sl_str part = {0};
    if (take(r, "\"")) {
        part = take_word(r);
        if (!take(r, "\"")) return bad(r, "METRICS takes a text in quotation marks");
    }
    return take(r, ")") ? metrics(r, part, ret) : bad(r, "the expression lacks a ')'");
}

static int call(struct reader *r, struct sl_str name, struct value *arguments, unsigned count, bool repeat,
                struct value *ret) {
    static const struct {
        const char *name;
        enum fold how;
    } folds[] = {{"SUM", FOLD_SUM},
                 {"AVG", FOLD_AVG},
                 {"MIN", FOLD_MIN},
                 {"MAX", FOLD_MAX},
                 {"DATAPOINT_COUNT", FOLD_COUNT},
                 {"STDDEV", FOLD_STDDEV}};
    static const struct {
        const char *name;
        double (*function)(double);
    } maps[] = {{"ABS", fabs}, {"CEIL", ceil}, {"FLOOR", floor}, {"LOG", log}, {"LOG10", log10}};
    for (unsigned i = 0; count == 1 && i < sizeof folds / sizeof folds[0]; i++)
        if (sl_str_is(name, folds[i].name)) return fold(r, folds[i].how, &arguments[0], ret);
    for (unsigned i = 0; count == 1 && i < sizeof maps / sizeof maps[0]; i++)
        if (sl_str_is(name, maps[i].name)) return map_each(r, maps[i].function, &arguments[0], ret);
    if (sl_str_is(name, "FILL") && count == 2) return fill(r, &arguments[0], &arguments[1], repeat, ret);
    if (sl_str_is(name, "IF") && count == 3) return choose(r, &arguments[0], &arguments[1], &arguments[2], ret);
    if (sl_str_is(name, "RATE") && count == 1) return change(r, &arguments[0], true, ret);
    if (sl_str_is(name, "DIFF") && count == 1) return change(r, &arguments[0], false, ret);
    if (sl_str_is(name, "PERIOD") && count == 1 && arguments[0].type == SERIES) {
        *ret = (struct value){.type = NUMBER, .number = (double)arguments[0].series.period_ms / 1000};
        return SL_OK;
    }
    return sl_fail(r->err, SL_E_QUERY_VALIDATION, "Unsupported function '%.*s' with %u arguments", SL_FMT(name), count);
}

static int read_call(struct reader *r, struct sl_str name, struct value *ret) {
    struct value arguments[ARGUMENTS];
    unsigned count = 0;
    bool repeat = false;
    if (sl_str_is(name, "METRICS")) return read_metrics(r, ret);
    do {
        if (count == ARGUMENTS) return bad(r, "too many arguments");
        repeat = sl_str_is(name, "FILL") && take(r, "REPEAT");
        arguments[count] = (struct value){.type = NUMBER};
        int kind = repeat ? SL_OK : read_or(r, &arguments[count]);
        if (kind) return kind;
        count++;
    } while (take(r, ","));
    if (!take(r, ")")) return bad(r, "the expression lacks a ')'");
    return call(r, name, arguments, count, repeat, ret);
}

static int read_word(struct reader *r, struct value *ret) {
    struct sl_str word = take_word(r);
    if (!word.len) return bad(r, "the expression is not valid");
    if (take(r, "(")) return read_call(r, word, ret);
    const struct sl_metrics__values *values = r->math->lookup(r->math->user, word, r->err);
    if (!values) return r->err->kind;
    *ret = (struct value){.type = SERIES, .series = *values};
    return SL_OK;
}

static int read_number(struct reader *r, struct value *ret) {
    char digits[40];
    size_t len = 0;
    while (r->at < r->text.len && len < sizeof digits - 1) {
        char c = r->text.ptr[r->at];
        if (!((c >= '0' && c <= '9') || c == '.')) break;
        digits[len++] = c;
        r->at++;
    }
    digits[len] = '\0';
    char *end;
    *ret = (struct value){.type = NUMBER, .number = strtod(digits, &end)};
    return *end || !isfinite(ret->number) ? bad(r, "a number is not valid") : SL_OK;
}

static int read_primary(struct reader *r, struct value *ret) {
    if (++r->depth > DEPTH) return bad(r, "the expression is nested too deeply");
    int kind;
    char c = peek(r);
    if (take(r, "-")) {
        const struct value zero = {.type = NUMBER};
        struct value operand;
        kind = read_primary(r, &operand);
        if (!kind) kind = combine(r, "-", &zero, &operand, ret);
    } else if (take(r, "(")) {
        kind = read_or(r, ret);
        if (!kind && !take(r, ")")) kind = bad(r, "the expression lacks a ')'");
    } else if (take(r, "[")) {
        kind = read_list(r, ret);
    } else if ((c >= '0' && c <= '9') || c == '.') {
        kind = read_number(r, ret);
    } else {
        kind = read_word(r, ret);
    }
    r->depth--;
    return kind;
}

// Operators by how tightly they bind; within a row, the longer ones first.
static const char *const operators[][7] = {
    {"OR", "||", NULL}, {"AND", "&&", NULL}, {"==", "!=", "<=", ">=", "<", ">", NULL},
    {"+", "-", NULL},   {"*", "/", NULL},    {"^", NULL}};
enum { LEVELS = sizeof operators / sizeof operators[0] };

static const char *take_operator(struct reader *r, unsigned level) {
    for (unsigned i = 0; operators[level][i]; i++)
        if (take(r, operators[level][i])) return operators[level][i];
    return NULL;
}

static int read_level(struct reader *r, unsigned level, struct value *ret) {
    if (level == LEVELS) return read_primary(r, ret);
    int kind = read_level(r, level + 1, ret);
    for (const char *op; !kind && (op = take_operator(r, level));) {
        struct value left = *ret, right;
        kind = read_level(r, level + 1, &right);
        const char *name = op[0] == '|' ? "O" : op[0] == '&' ? "A" : op;
        if (!kind) kind = combine(r, name, &left, &right, ret);
    }
    return kind;
}

static int read_or(struct reader *r, struct value *ret) { return read_level(r, 0, ret); }

int sl_metrics__math_run(const struct sl_metrics__math *math, struct sl_str expression, struct sl_metrics__values *ret,
                         struct sl_error *err) {
    struct reader r = {.math = math, .text = expression, .err = err};
    struct value value = {0};
    if (expression.len > TEXT_MAX) return bad(&r, "the expression is too long");
    int kind = read_or(&r, &value);
    if (!kind && peek(&r)) kind = bad(&r, "the expression is not valid");
    if (!kind && value.type != SERIES && !(value.type == LIST && value.count == 1))
        kind = bad(&r, value.type == LIST ? "the expression gives several time series"
                                          : "the expression gives a number, not a time series");
    if (!kind) *ret = value.type == LIST ? value.list[0] : value.series;
    return kind;
}
