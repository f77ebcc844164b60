// SPDX-License-Identifier: Apache-2.0
//
// series_store: the documents of series.h. On the storage thread.
//
//   "metric"       account, region, "", id: {"namespace", "name", "dimensions", "last_ms", "fives", "hours"}
//   "metric.hour"  account, region, hash of the id, hour since 1970: {"p": [point, ...]}
//   point          [minute of the hour, unit, count, sum, min, max, histogram]; the histogram is [index, count, ...],
//                  left out when all values are equal, `false` when there is none
//
// "fives" and "hours" are the hours before which the points of a metric are five minutes and an hour long: the sweep
// moves them. An id is namespace, name and the dimensions in the order of their names, so that listings by namespace
// and name are ranges; its hash keeps the keys of the hours short.
#include <inttypes.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>

#include "observe/series_internal.h"

enum {
    ID_MAX = 64 * 1024, // bytes; the limits of namespaces and dimensions allow less
    HASH = 33,
    HOUR = 16,
    POINTS_MAX = 120, // of an hour: minutes times units
    READ_PAGE = 8,    // a document is 400 KB at most, and as a tree fifteen times that
    SWEEP_METRICS = 200,
    SWEEP_HOURS = READ_PAGE,
    FIVES_AFTER = 15 * 24, // hours
    HOURS_AFTER = 63 * 24,
    GONE_AFTER = 455 * 24,
};

static const int64_t minute_ms = 60000, hour_ms = 3600000;
static const int64_t noted_ms = 600000; // how exact last_ms is

// ---- keys -----------------------------------------------------------------------------------------------------------

static int by_name(const void *a, const void *b) {
    const struct sl_dimension *first = a, *second = b;
    return sl_str_cmp(first->name, second->name);
}

static char *add(char *at, char separator, struct sl_str text) {
    *at = separator;
    if (text.len) memcpy(at + 1, text.ptr, text.len);
    return at + 1 + text.len;
}

struct sl_str sl_series__id(struct sl_arena *arena, const struct sl_metric *metric) {
    struct sl_dimension sorted[SL_SERIES_DIMENSIONS_MAX];
    unsigned count =
        metric->dimension_count < SL_SERIES_DIMENSIONS_MAX ? metric->dimension_count : SL_SERIES_DIMENSIONS_MAX;
    size_t size = metric->namespace.len + 1 + metric->name.len;
    for (unsigned i = 0; i < count; i++) {
        sorted[i] = metric->dimensions[i];
        size += 2 + sorted[i].name.len + sorted[i].value.len;
    }
    char *id = size > ID_MAX ? NULL : sl_arena_alloc(arena, size + 1), *at = id;
    if (!id) return (struct sl_str){0};
    if (count > 1) qsort(sorted, count, sizeof *sorted, by_name);
    at = add(at, ' ', metric->namespace); // its separator is not part of the id
    at = add(at, '\x1f', metric->name);
    for (unsigned i = 0; i < count; i++) {
        at = add(at, '\x1f', sorted[i].name);
        at = add(at, '\x1e', sorted[i].value);
    }
    return sl_str_n(id + 1, size);
}

static struct sl_key metric_key(const struct sl_metric *metric, struct sl_str id) {
    return (struct sl_key){.kind = SL_SERIES__METRIC, .account = metric->account, .region = metric->region, .id = id};
}

static struct sl_str hash_id(struct sl_str id, char text[static HASH]) {
    unsigned char digest[SHA256_DIGEST_LENGTH];
    SHA256((const unsigned char *)id.ptr, id.len, digest);
    for (unsigned i = 0; i < HASH / 2; i++) snprintf(text + 2 * (size_t)i, 3, "%02x", digest[i]);
    return sl_str_n(text, HASH - 1);
}

// Ten digits last until the year 1,142,000.
static struct sl_str hour_id(int64_t hour, char text[static HOUR]) {
    int len = snprintf(text, HOUR, "%010" PRId64, hour < 0 ? 0 : hour);
    return sl_str_n(text, (size_t)len);
}

static struct sl_key hour_key(struct sl_str account, struct sl_str region, struct sl_str hash, struct sl_str hour) {
    return (struct sl_key){.kind = SL_SERIES__HOUR, .account = account, .region = region, .parent = hash, .id = hour};
}

// ---- points ---------------------------------------------------------------------------------------------------------

static double number(const struct sl_json *node) {
    double value = 0;
    return node && sl_json_to_double(node, &value) ? value : 0;
}

static void read_histogram(const struct sl_json *node, struct sl_stat *stat) {
    if (!node) {
        struct sl_stat same = {0};
        sl_stat_add(&same, stat->min, stat->count);
        for (unsigned i = 0; i < same.used; i++)
            sl_stat_add_bucket(stat, same.buckets[i].index, (double)same.buckets[i].count);
        stat->opaque |= same.opaque;
        sl_stat_clear(&same);
        return;
    }
    stat->opaque |= node->type != SL_JSON_ARRAY;
    for (const struct sl_json *at = node->first; at && at->next; at = at->next->next) {
        int64_t index;
        if (sl_json_to_i64(at, &index)) sl_stat_add_bucket(stat, (int32_t)index, number(at->next));
    }
}

// The point's minute of the hour and unit; *stat is the caller's to clear.
static bool read_point(const struct sl_json *point, int64_t *ret_minute, struct sl_str *ret_unit,
                       struct sl_stat *stat) {
    const struct sl_json *part[7] = {0};
    unsigned n = 0;
    for (const struct sl_json *at = point->first; at && n < 7; at = at->next) part[n++] = at;
    if (n < 6 || !sl_json_to_i64(part[0], ret_minute)) return false;
    *ret_unit = part[1]->text;
    *stat = (struct sl_stat){
        .count = number(part[2]), .sum = number(part[3]), .min = number(part[4]), .max = number(part[5])};
    read_histogram(part[6], stat);
    return true;
}

static struct sl_json *write_point(struct sl_arena *arena, int64_t minute, struct sl_str unit,
                                   const struct sl_stat *stat) {
    struct sl_json *point = sl_json_new_array(arena);
    const double totals[] = {stat->count, stat->sum, stat->min, stat->max};
    sl_json_push(point, sl_json_new_int(arena, minute));
    sl_json_push(point, sl_json_new_string(arena, unit));
    for (unsigned i = 0; i < 4; i++) sl_json_push(point, sl_json_new_double(arena, totals[i]));
    if (stat->opaque) {
        sl_json_push(point, sl_json_new_bool(arena, false));
    } else if (stat->min < stat->max || stat->max < stat->min) {
        struct sl_json *histogram = sl_json_new_array(arena);
        for (unsigned i = 0; i < stat->used; i++) {
            sl_json_push(histogram, sl_json_new_int(arena, stat->buckets[i].index));
            sl_json_push(histogram, sl_json_new_double(arena, (double)stat->buckets[i].count));
        }
        sl_json_push(point, histogram);
    }
    return point;
}

// ---- writing --------------------------------------------------------------------------------------------------------

static int count_one(void *user, const struct sl_key *key, struct sl_str document, struct sl_error *err) {
    int64_t *count = user;
    (void)key, (void)document, (void)err;
    ++*count;
    return 0;
}

static int make_room(struct sl_series__keeper *keeper, struct sl_store_tx *tx, struct sl_error *err) {
    if (keeper->known < 0) {
        keeper->known = 0;
        int result = sl_store_each(tx, SL_SERIES__METRIC, count_one, &keeper->known, err);
        if (result) return result;
    }
    if (keeper->known >= SL_SERIES_MAX) return sl_fail(err, SL_E_LIMIT, "there are %d metrics already", SL_SERIES_MAX);
    keeper->known++;
    return 0;
}

static struct sl_json *new_document(struct sl_arena *arena, const struct sl_metric *metric, int64_t hour) {
    struct sl_json *document = sl_json_new_object(arena), *list = sl_json_new_array(arena);
    for (unsigned i = 0; i < metric->dimension_count; i++) {
        struct sl_json *one = sl_json_new_object(arena);
        sl_json_put_string(arena, one, "Name", metric->dimensions[i].name);
        sl_json_put_string(arena, one, "Value", metric->dimensions[i].value);
        sl_json_push(list, one);
    }
    sl_json_put_string(arena, document, "namespace", metric->namespace);
    sl_json_put_string(arena, document, "name", metric->name);
    sl_json_set(document, SL_STR("dimensions"), list);
    sl_json_put_int(arena, document, "fives", hour - FIVES_AFTER);
    sl_json_put_int(arena, document, "hours", hour - HOURS_AFTER);
    return document;
}

int sl_series__announce(struct sl_series__keeper *keeper, struct sl_store_tx *tx, struct sl_arena *arena,
                        const struct sl_metric *metric, int64_t minute, struct sl_error *err) {
    struct sl_str id = sl_series__id(arena, metric);
    const struct sl_key key = metric_key(metric, id);
    struct sl_json *document = NULL;
    int64_t at_ms = minute * minute_ms;
    if (!id.ptr) return sl_fail(err, SL_E_NO_MEMORY, "metric: out of memory");
    int result = sl_store_get(tx, arena, &key, &document, err);
    if (!result && sl_json_int(document, "last_ms", 0) + noted_ms > at_ms) return 0;
    if (result == SL_E_NOT_FOUND) {
        result = make_room(keeper, tx, err);
        document = new_document(arena, metric, at_ms / hour_ms);
    }
    if (result) return result;
    sl_json_put_int(arena, document, "last_ms", at_ms);
    return sl_store_put(tx, &key, document, err);
}

// The point of that minute and unit, taken out of the list and added to `stat`.
static void take_point(struct sl_json *points, int64_t minute, struct sl_str unit, struct sl_stat *stat) {
    struct sl_json **link = &points->first, *last = NULL;
    for (struct sl_json *at; (at = *link); link = &at->next) {
        struct sl_stat old = {0};
        struct sl_str its_unit;
        int64_t its_minute;
        if (read_point(at, &its_minute, &its_unit, &old) && its_minute == minute && sl_str_eq(its_unit, unit)) {
            sl_stat_merge(stat, &old);
            sl_stat_clear(&old);
            *link = at->next;
            points->count--;
            if (!at->next) points->last = last;
            return;
        }
        sl_stat_clear(&old);
        last = at;
    }
}

int sl_series__write(struct sl_series__keeper *keeper, struct sl_store_tx *tx, struct sl_arena *arena,
                     const struct sl_metric *metric, struct sl_str unit, int64_t minute, const struct sl_stat *stat,
                     struct sl_error *err) {
    char hash[HASH], hour[HOUR];
    int result = sl_series__announce(keeper, tx, arena, metric, minute, err);
    if (result) return result;
    struct sl_str id = hash_id(sl_series__id(arena, metric), hash);
    const struct sl_key key = hour_key(metric->account, metric->region, id, hour_id(minute / 60, hour));
    struct sl_json *document = NULL, *points;
    struct sl_stat sum = {0};
    result = sl_store_get(tx, arena, &key, &document, err);
    if (result && result != SL_E_NOT_FOUND) return result;
    if (result) document = sl_json_new_object(arena);
    points = sl_json_get(document, "p");
    if (!points) points = sl_json_set(document, SL_STR("p"), sl_json_new_array(arena));
    if (!points) return sl_fail(err, SL_E_NO_MEMORY, "metric: out of memory");
    sl_stat_merge(&sum, stat);
    take_point(points, minute % 60, unit, &sum);
    if (points->count < POINTS_MAX) sl_json_push(points, write_point(arena, minute % 60, unit, &sum));
    sl_stat_clear(&sum);
    return sl_store_put(tx, &key, document, err);
}

// ---- reading --------------------------------------------------------------------------------------------------------

static void give_points(const struct sl_json *document, int64_t hour, const struct sl_series__reading *reading) {
    const struct sl_json *points = sl_json_get(document, "p");
    for (const struct sl_json *at = points ? points->first : NULL; at; at = at->next) {
        struct sl_stat stat = {0};
        struct sl_series_point point = {.stat = &stat};
        int64_t minute;
        if (read_point(at, &minute, &point.unit, &stat)) {
            point.at_ms = hour * hour_ms + minute * minute_ms;
            if (point.at_ms >= reading->from_ms && point.at_ms < reading->to_ms) reading->each(reading->user, &point);
        }
        sl_stat_clear(&stat);
    }
}

int sl_series__read(struct sl_store_tx *tx, struct sl_arena *arena, const struct sl_metric *metric,
                    const struct sl_series__reading *reading, struct sl_error *err) {
    char hash[HASH], after[HOUR];
    struct sl_str parent = hash_id(sl_series__id(arena, metric), hash);
    const struct sl_key key = hour_key(metric->account, metric->region, parent, (struct sl_str){0});
    int64_t hour = reading->from_ms / hour_ms - 1, last = (reading->to_ms - 1) / hour_ms;
    bool more = true;
    while (more && hour < last && *reading->budget) {
        struct sl_json *page;
        unsigned most = *reading->budget < READ_PAGE ? *reading->budget : READ_PAGE;
        sl_arena_reset(arena);
        int result = sl_store_list(tx, arena, &key, hour_id(hour, after), most, &page, &more, err);
        if (result) return result;
        if (!page->first) break;
        for (const struct sl_json *at = page->first; at && hour < last; at = at->next) {
            if (!sl_str_to_i64(sl_json_string(at, "id"), &hour) || hour > last) break;
            --*reading->budget;
            give_points(sl_json_get(at, "doc"), hour, reading);
        }
    }
    return 0;
}

// ---- the sweep ------------------------------------------------------------------------------------------------------

// Points of a document made as long as `minutes`.
static struct sl_json *coarser(struct sl_arena *arena, const struct sl_json *document, int64_t minutes) {
    struct sl_json *made = sl_json_new_object(arena), *points = sl_json_new_array(arena);
    const struct sl_json *old = sl_json_get(document, "p");
    for (const struct sl_json *at = old ? old->first : NULL; at; at = at->next) {
        struct sl_stat stat = {0};
        struct sl_str unit;
        int64_t minute;
        if (read_point(at, &minute, &unit, &stat) && points) {
            minute -= minute % minutes;
            take_point(points, minute, unit, &stat);
            sl_json_push(points, write_point(arena, minute, unit, &stat));
        }
        sl_stat_clear(&stat);
    }
    sl_json_set(made, SL_STR("p"), points);
    return made;
}

struct sweep {
    struct sl_series__keeper *keeper;
    struct sl_store_tx *tx;
    struct sl_arena *arena; // of one metric's work
    int64_t now_hour;
    unsigned seen;
    struct sl_arena keys;
    struct swept {
        struct sl_key key;
        int64_t fives, hours, last_ms;
    } list[SWEEP_METRICS];
    unsigned count;
};

static int note_metric(void *user, const struct sl_key *key, struct sl_str text, struct sl_error *err) {
    struct sweep *sweep = user;
    struct sl_json *document;
    if (sweep->seen++ < sweep->keeper->cursor || sweep->count == SWEEP_METRICS) return 0;
    if (sl_json_parse(sweep->arena, text, &document, err)) return err->kind;
    sweep->list[sweep->count++] = (struct swept){
        .key = {.kind = SL_SERIES__METRIC,
                .account = sl_arena_dup(&sweep->keys, key->account),
                .region = sl_arena_dup(&sweep->keys, key->region),
                .id = sl_arena_dup(&sweep->keys, key->id)},
        .fives = sl_json_int(document, "fives", 0),
        .hours = sl_json_int(document, "hours", 0),
        .last_ms = sl_json_int(document, "last_ms", 0),
    };
    sl_arena_reset(sweep->arena);
    return 0;
}

// Rewrites the hours from `from` up to `to`; *ret_done is how far it came.
static int shorten(struct sweep *sweep, const struct swept *metric, int64_t minutes, int64_t from, int64_t to,
                   int64_t *ret_done, struct sl_error *err) {
    char hash[HASH], after[HOUR];
    struct sl_json *page;
    bool more;
    struct sl_key key = hour_key(metric->key.account, metric->key.region, hash_id(metric->key.id, hash), SL_STR(""));
    unsigned most = !minutes ? 1 : to - from < SWEEP_HOURS ? (unsigned)(to - from) : SWEEP_HOURS;
    int result = sl_store_list(sweep->tx, sweep->arena, &key, hour_id(from - 1, after), most, &page, &more, err);
    *ret_done = to;
    int64_t hour = from;
    for (const struct sl_json *at = result ? NULL : page->first; at && !result; at = at->next) {
        key.id = sl_json_string(at, "id");
        if (!sl_str_to_i64(key.id, &hour) || hour >= to) return 0;
        // An hour that has gone is deleted where it would be rewritten.
        result = minutes ? sl_store_put(sweep->tx, &key, coarser(sweep->arena, sl_json_get(at, "doc"), minutes), err)
                         : sl_store_delete(sweep->tx, &key, NULL, err);
    }
    if (more && hour + 1 < to) *ret_done = hour + 1;
    return result;
}

static int sweep_metric(struct sweep *sweep, const struct swept *metric, struct sl_error *err) {
    int64_t fives = sweep->now_hour - FIVES_AFTER, hours = sweep->now_hour - HOURS_AFTER;
    int64_t gone = sweep->now_hour - GONE_AFTER, done;
    struct sl_json *document;
    int result = 0;
    sl_arena_reset(sweep->arena);
    if (metric->fives < fives) {
        result = shorten(sweep, metric, 5, metric->fives, fives, &done, err);
        fives = done;
    }
    if (!result && metric->hours < hours) {
        result = shorten(sweep, metric, 60, metric->hours, hours, &done, err);
        hours = done;
    }
    if (!result) result = shorten(sweep, metric, 0, 0, gone, &done, err);
    if (result) return result;
    if (metric->last_ms / hour_ms < gone && done == gone) {
        if (sweep->keeper->known > 0) sweep->keeper->known--;
        return sl_store_delete(sweep->tx, &metric->key, NULL, err);
    }
    if (metric->fives >= fives && metric->hours >= hours) return 0;
    result = sl_store_get(sweep->tx, sweep->arena, &metric->key, &document, err);
    if (result) return result;
    sl_json_put_int(sweep->arena, document, "fives", fives);
    sl_json_put_int(sweep->arena, document, "hours", hours);
    return sl_store_put(sweep->tx, &metric->key, document, err);
}

int sl_series__sweep(struct sl_series__keeper *keeper, struct sl_store_tx *tx, struct sl_arena *arena, int64_t now_ms,
                     struct sl_error *err) {
    if (!keeper->cursor && now_ms - keeper->swept_ms < hour_ms) return 0;
    struct sweep *sweep = calloc(1, sizeof *sweep);
    if (!sweep) return sl_fail(err, SL_E_NO_MEMORY, "metrics: out of memory");
    if (!keeper->cursor) keeper->swept_ms = now_ms;
    *sweep = (struct sweep){.keeper = keeper, .tx = tx, .arena = arena, .now_hour = now_ms / hour_ms};
    sl_arena_init(&sweep->keys, 16 << 20);
    int result = sl_store_each(tx, SL_SERIES__METRIC, note_metric, sweep, err);
    for (unsigned i = 0; i < sweep->count && !result; i++) result = sweep_metric(sweep, &sweep->list[i], err);
    keeper->cursor = sweep->count == SWEEP_METRICS ? keeper->cursor + sweep->count : 0;
    sl_arena_free(&sweep->keys);
    free(sweep);
    return result;
}
