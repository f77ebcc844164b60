// SPDX-License-Identifier: Apache-2.0
//
// stat: see stat.h. Index 0 of a power-of-two's 32 buckets begins at that power; the value 0 has an index below all.
// No locks: an object belongs to one thread at a time.
#include "base/stat.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PARTS = 32, ZERO = -1000000, GROW = 16 };

static int32_t index_of(double value) {
    int exponent;
    if (value <= 0) return ZERO;
    double mantissa = frexp(value, &exponent); // [0.5, 1)
    return (int32_t)(exponent * PARTS) + (int32_t)((mantissa - 0.5) * 2 * PARTS);
}

static double lower_of(int32_t index) {
    if (index == ZERO) return 0;
    int exponent = index >= 0 ? index / PARTS : -((-index + PARTS - 1) / PARTS);
    return ldexp(0.5 + (double)(index - exponent * PARTS) / (2 * PARTS), exponent);
}

static double upper_of(int32_t index) { return index == ZERO ? 0 : lower_of(index + 1); }

// Where the index is, or would be put.
static unsigned place(const struct sl_stat *stat, int32_t index) {
    unsigned low = 0, high = stat->used;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (stat->buckets[middle].index < index) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool room(struct sl_stat *stat) {
    if (stat->used < stat->cap) return true;
    if (stat->fixed || stat->cap >= SL_STAT_BUCKETS_MAX) return false;
    unsigned cap = stat->cap ? stat->cap * 2u : GROW;
    struct sl_stat_bucket *grown = realloc(stat->buckets, cap * sizeof *grown);
    if (!grown) return false;
    stat->buckets = grown;
    stat->cap = (uint16_t)cap;
    return true;
}

void sl_stat_add_bucket(struct sl_stat *stat, int32_t index, double count) {
    unsigned at = place(stat, index);
    if (at < stat->used && stat->buckets[at].index == index) {
        stat->buckets[at].count += (float)count;
    } else if (room(stat)) {
        memmove(stat->buckets + at + 1, stat->buckets + at, (stat->used - at) * sizeof *stat->buckets);
        stat->buckets[at] = (struct sl_stat_bucket){.index = index, .count = (float)count};
        stat->used++;
    } else if (stat->used) {
        if (at == stat->used || (at && index - stat->buckets[at - 1].index < stat->buckets[at].index - index)) at--;
        stat->buckets[at].count += (float)count;
    } else {
        stat->opaque = true;
    }
}

// All but the histogram.
static void add_totals(struct sl_stat *stat, double count, double sum, double min, double max) {
    if (stat->count <= 0 || min < stat->min) stat->min = min;
    if (stat->count <= 0 || max > stat->max) stat->max = max;
    stat->count += count;
    stat->sum += sum;
}

void sl_stat_add(struct sl_stat *stat, double value, double times) {
    if (!(times > 0)) return;
    add_totals(stat, times, value * times, value, value);
    if (value < 0) {
        stat->opaque = true;
    } else {
        sl_stat_add_bucket(stat, index_of(value), times);
    }
}

void sl_stat_add_set(struct sl_stat *stat, double count, double sum, double min, double max) {
    if (!(count > 0)) return;
    add_totals(stat, count, sum, min, max);
    if (min == max && min >= 0) { // nothing is hidden (API reference of PutMetricData)
        sl_stat_add_bucket(stat, index_of(min), count);
    } else {
        stat->opaque = true;
    }
}

void sl_stat_merge(struct sl_stat *stat, const struct sl_stat *other) {
    if (!(other->count > 0)) return;
    add_totals(stat, other->count, other->sum, other->min, other->max);
    stat->opaque |= other->opaque;
    for (unsigned i = 0; i < other->used && !stat->opaque; i++)
        sl_stat_add_bucket(stat, other->buckets[i].index, (double)other->buckets[i].count);
}

void sl_stat_clear(struct sl_stat *stat) {
    struct sl_stat_bucket *buckets = stat->fixed ? stat->buckets : NULL;
    uint16_t cap = stat->fixed ? stat->cap : 0;
    if (!stat->fixed) free(stat->buckets);
    *stat = (struct sl_stat){.fixed = stat->fixed, .cap = cap, .buckets = buckets};
}

static double clamp(const struct sl_stat *stat, double value) {
    return value < stat->min ? stat->min : value > stat->max ? stat->max : value;
}

static double total(const struct sl_stat *stat) {
    double sum = 0;
    for (unsigned i = 0; i < stat->used; i++) sum += (double)stat->buckets[i].count;
    return sum;
}

bool sl_stat_percentile(const struct sl_stat *stat, double percent, double *ret) {
    double all = total(stat), wanted = percent / 100 * all, before = 0;
    if (stat->opaque || all <= 0) return false;
    *ret = stat->max;
    for (unsigned i = 0; i < stat->used; i++) {
        const struct sl_stat_bucket *bucket = &stat->buckets[i];
        double count = (double)bucket->count, low = lower_of(bucket->index), high = upper_of(bucket->index);
        if (before + count >= wanted) {
            double part = count > 0 ? (wanted - before) / count : 0;
            *ret = clamp(stat, low + (high - low) * (part < 0 ? 0 : part));
            return true;
        }
        before += count;
    }
    return true;
}

bool sl_stat_between(const struct sl_stat *stat, double low, double high, double *ret_count, double *ret_sum) {
    double all = total(stat), from = low / 100 * all, to = high / 100 * all, before = 0;
    if (stat->opaque || all <= 0) return false;
    *ret_count = *ret_sum = 0;
    for (unsigned i = 0; i < stat->used; i++) {
        double count = (double)stat->buckets[i].count, after = before + count;
        double part = (after < to ? after : to) - (before > from ? before : from);
        int32_t index = stat->buckets[i].index;
        if (part > 0) {
            *ret_count += part;
            *ret_sum += part * clamp(stat, (lower_of(index) + upper_of(index)) / 2);
        }
        before = after;
    }
    return true;
}
