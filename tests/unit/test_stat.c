// SPDX-License-Identifier: Apache-2.0
//
// Stats: totals, percentiles, trimmed parts, adding two, and a fixed one that is full.
#include "base/stat.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static bool near(double a, double b) { return fabs(a - b) <= 0.033 * fabs(b) + 1e-9; }

static double percentile(const struct sl_stat *stat, double percent) {
    double value = -1;
    assert_true(sl_stat_percentile(stat, percent, &value));
    return value;
}

static void percentiles_are_near_over_all_sizes(void **state) {
    (void)state;
    for (double scale = 1e-9; scale < 1e12; scale *= 7) {
        struct sl_stat stat = {0};
        for (int i = 1; i <= 1000; i++) sl_stat_add(&stat, i * scale, 1);
        assert_true(near(percentile(&stat, 50), 500 * scale));
        assert_true(near(percentile(&stat, 99), 990 * scale));
        assert_true(percentile(&stat, 0) >= stat.min && percentile(&stat, 100) <= stat.max);
        double count, sum;
        assert_true(sl_stat_between(&stat, 25, 75, &count, &sum));
        assert_true(near(count, 500) && near(sum / count, 500 * scale));
        sl_stat_clear(&stat);
    }
}

static void equal_values_and_zero_are_exact(void **state) {
    (void)state;
    struct sl_stat stat = {0};
    sl_stat_add(&stat, 0, 10);
    assert_true(percentile(&stat, 99) <= 0);
    sl_stat_clear(&stat);
    sl_stat_add(&stat, 7.3, 1e6);
    assert_true(percentile(&stat, 50) >= 7.3 && percentile(&stat, 50) <= 7.3);
    sl_stat_clear(&stat);
}

static void what_is_hidden_or_negative_has_no_percentiles(void **state) {
    (void)state;
    struct sl_stat stat = {0};
    double value;
    assert_false(sl_stat_percentile(&stat, 50, &value)); // empty
    sl_stat_add_set(&stat, 4, 10, 1, 4);
    assert_false(sl_stat_percentile(&stat, 50, &value));
    sl_stat_clear(&stat);
    sl_stat_add_set(&stat, 4, 8, 2, 2);
    assert_true(percentile(&stat, 50) >= 2 && percentile(&stat, 50) <= 2);
    sl_stat_add(&stat, -1, 1);
    assert_false(sl_stat_percentile(&stat, 50, &value));
    assert_true(stat.min < 0 && stat.max > 1);
    sl_stat_clear(&stat);
}

static void adding_two_is_as_adding_their_values(void **state) {
    (void)state;
    struct sl_stat one = {0}, other = {0}, all = {0};
    for (int i = 0; i < 200; i++) {
        sl_stat_add(i % 3 ? &one : &other, i, 1);
        sl_stat_add(&all, i, 1);
    }
    sl_stat_merge(&one, &other);
    assert_true(one.count >= 200 && one.sum >= all.sum && one.sum <= all.sum && one.max >= 199 && one.min <= 0);
    for (double percent = 0; percent <= 100; percent += 5)
        assert_true(near(percentile(&one, percent), percentile(&all, percent)));
    sl_stat_clear(&one);
    sl_stat_clear(&other);
    sl_stat_clear(&all);
}

static void a_fixed_one_takes_no_memory_and_loses_nothing(void **state) {
    (void)state;
    struct sl_stat_bucket buckets[4];
    struct sl_stat stat = SL_STAT_FIXED(buckets);
    for (int i = 1; i <= 100; i++) sl_stat_add(&stat, i, 1);
    assert_int_equal(stat.used, 4);
    double count = 0;
    for (unsigned i = 0; i < stat.used; i++) count += (double)buckets[i].count;
    assert_true(count >= 100 && count <= 100 && stat.count >= 100 && stat.sum >= 5050);
    sl_stat_clear(&stat);
    assert_true(stat.fixed && stat.cap == 4 && stat.buckets == buckets && stat.used == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(percentiles_are_near_over_all_sizes),
        cmocka_unit_test(equal_values_and_zero_are_exact),
        cmocka_unit_test(what_is_hidden_or_negative_has_no_percentiles),
        cmocka_unit_test(adding_two_is_as_adding_their_values),
        cmocka_unit_test(a_fixed_one_takes_no_memory_and_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
