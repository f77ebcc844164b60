// SPDX-License-Identifier: Apache-2.0
//
// stat: many measured values as one: how many, their sum, least and greatest, and a histogram that percentiles are read
// from. Two can be added, so that minutes become hours. The histogram is sparse, its buckets grow by 1/32 of a power of
// two (a percentile is within 1.6 % of the value it stands for, and exact where all values are equal); as CloudWatch
// does, it knows no negative values: where there was one, or a sum whose values are not known, percentiles are not
// there.
//
// A stat whose `cap` is set by its owner together with `buckets` (SL_STAT_FIXED) never allocates: when it is full,
// values go to the nearest bucket there is. One that began as {0} grows up to SL_STAT_BUCKETS_MAX and must be freed.
#ifndef SL_BASE_STAT_H
#define SL_BASE_STAT_H

#include <stdbool.h>
#include <stdint.h>

enum { SL_STAT_BUCKETS_MAX = 256 };

struct sl_stat_bucket {
    int32_t index;
    float count;
};

struct sl_stat {
    double count, sum, min, max;
    bool opaque; // no percentiles
    bool fixed;
    uint16_t used, cap;
    struct sl_stat_bucket *buckets; // ascending by index
};

#define SL_STAT_FIXED(array)                                                                                           \
    ((struct sl_stat){.fixed = true, .cap = sizeof(array) / sizeof((array)[0]), .buckets = (array)})

// `times` may be a fraction; not positive: nothing is added. Values must be finite.
void sl_stat_add(struct sl_stat *stat, double value, double times);
// Values of which only this is known.
void sl_stat_add_set(struct sl_stat *stat, double count, double sum, double min, double max);
void sl_stat_merge(struct sl_stat *stat, const struct sl_stat *other);
// A bucket read back from where it was kept; count, sum, min and max stay as they are.
void sl_stat_add_bucket(struct sl_stat *stat, int32_t index, double count);
// Empty again; a fixed one keeps its array, another one is freed.
void sl_stat_clear(struct sl_stat *stat);

// Percentile of 0 to 100; false when there is none (opaque or empty).
bool sl_stat_percentile(const struct sl_stat *stat, double percent, double *ret);
// Count and sum of the values between two percentiles (trimmed statistics). False as above.
bool sl_stat_between(const struct sl_stat *stat, double low, double high, double *ret_count, double *ret_sum);

#endif
