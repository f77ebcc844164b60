// SPDX-License-Identifier: Apache-2.0
//
// str: views, searches, conversions.
#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct sl_str none = {NULL, 0};

static void empty_views_are_equal_whatever_they_point_to(void **state) {
    (void)state;
    assert_true(sl_str_eq(none, SL_STR("")));
    assert_true(sl_str_ieq(none, SL_STR("")));
    assert_true(sl_str_is(sl_str_of(NULL), ""));
    assert_int_equal(sl_str_cmp(none, SL_STR("")), 0);
}

static void comparison_ignores_ascii_case_only_where_asked(void **state) {
    (void)state;
    assert_true(sl_str_ieq(SL_STR("Content-TYPE"), SL_STR("content-type")));
    assert_false(sl_str_eq(SL_STR("A"), SL_STR("a")));
    assert_false(sl_str_ieq(SL_STR("ab"), SL_STR("abc")));
    assert_false(sl_str_ieq(SL_STR("@[`{"), SL_STR("`{@["))); // 32 apart, but no letters
    assert_false(sl_str_ieq(SL_STR("\xc4"), SL_STR("\xe4")));
}

static void order_is_bytewise_and_shorter_comes_first(void **state) {
    (void)state;
    assert_true(sl_str_cmp(SL_STR("a"), SL_STR("ab")) < 0);
    assert_true(sl_str_cmp(SL_STR("ab"), SL_STR("a")) > 0);
    assert_true(sl_str_cmp(SL_STR("Z"), SL_STR("a")) < 0);
    assert_true(sl_str_cmp(SL_STR("\x7f"), SL_STR("\x80")) < 0);
    assert_true(sl_str_cmp(SL_STR("a\0b"), SL_STR("a\0c")) < 0);
}

static void starts_and_ends_match_the_whole_affix(void **state) {
    (void)state;
    assert_true(sl_str_starts(SL_STR("arn:aws"), SL_STR("arn:")));
    assert_true(sl_str_starts(none, none));
    assert_false(sl_str_starts(SL_STR("ar"), SL_STR("arn")));
    assert_true(sl_str_ends(SL_STR("a.zip"), SL_STR(".zip")));
    assert_true(sl_str_ends(SL_STR("x"), none));
    assert_false(sl_str_ends(SL_STR("zip"), SL_STR(".zip")));
}

static void searches_give_the_first_place_or_minus_one(void **state) {
    (void)state;
    struct sl_str s = SL_STR("a/b/c");
    assert_int_equal(sl_str_chr(s, '/', 0), 1);
    assert_int_equal(sl_str_chr(s, '/', 2), 3);
    assert_int_equal(sl_str_chr(s, '/', 4), -1);
    assert_int_equal(sl_str_chr(s, '/', 99), -1);
    assert_int_equal(sl_str_chr(none, 'x', 0), -1);
    assert_int_equal(sl_str_find(s, SL_STR("b/")), 2);
    assert_int_equal(sl_str_find(s, SL_STR("")), 0);
    assert_int_equal(sl_str_find(none, SL_STR("b")), -1);
    assert_int_equal(sl_str_find(s, SL_STR("a/b/c/")), -1);
}

static void parts_are_clamped(void **state) {
    (void)state;
    struct sl_str s = SL_STR("hello");
    assert_true(sl_str_is(sl_str_sub(s, 1, 3), "el"));
    assert_true(sl_str_is(sl_str_sub(s, 3, SIZE_MAX), "lo"));
    assert_int_equal(sl_str_sub(s, 9, 12).len, 0);
    assert_int_equal(sl_str_sub(s, 4, 2).len, 0);
    assert_int_equal(sl_str_sub(none, 0, 5).len, 0);
    assert_int_equal(sl_str_sub(none, 3, 5).len, 0);
}

static void trim_takes_spaces_and_tabs_only(void **state) {
    (void)state;
    assert_true(sl_str_is(sl_str_trim(SL_STR(" \t a b\t ")), "a b"));
    assert_true(sl_str_is(sl_str_trim(SL_STR("\r\n")), "\r\n"));
    assert_int_equal(sl_str_trim(SL_STR(" \t ")).len, 0);
    assert_int_equal(sl_str_trim(none).len, 0);
}

static void split_gives_empty_parts_too(void **state) {
    (void)state;
    struct sl_str rest = SL_STR("a,,b,"), part;
    const char *expected[] = {"a", "", "b", ""};
    for (size_t i = 0; i < 4; i++) {
        assert_true(sl_str_split(&rest, ',', &part));
        assert_true(sl_str_is(part, expected[i]));
    }
    assert_false(sl_str_split(&rest, ',', &part));
    rest = SL_STR("");
    assert_true(sl_str_split(&rest, ',', &part));
    assert_int_equal(part.len, 0);
    assert_false(sl_str_split(&rest, ',', &part));
}

static void numbers_are_converted_whole_or_not_at_all(void **state) {
    (void)state;
    uint64_t u = 7;
    assert_true(sl_str_to_u64(SL_STR("18446744073709551615"), &u));
    assert_true(u == UINT64_MAX);
    u = 7;
    static const char *const bad[] = {"",   "18446744073709551616", "99999999999999999999", "-1", "+1", " 1", "1 ",
                                      "0x1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) assert_false(sl_str_to_u64(sl_str_of(bad[i]), &u));
    assert_int_equal(u, 7);
    int64_t i = 7;
    assert_true(sl_str_to_i64(SL_STR("-9223372036854775808"), &i));
    assert_true(i == INT64_MIN);
    assert_true(sl_str_to_i64(SL_STR("9223372036854775807"), &i));
    assert_true(i == INT64_MAX);
    assert_false(sl_str_to_i64(SL_STR("9223372036854775808"), &i));
    assert_false(sl_str_to_i64(SL_STR("-9223372036854775809"), &i));
    assert_false(sl_str_to_i64(SL_STR("-"), &i));
    assert_false(sl_str_to_i64(SL_STR("--1"), &i));
    assert_true(i == INT64_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_views_are_equal_whatever_they_point_to),
        cmocka_unit_test(comparison_ignores_ascii_case_only_where_asked),
        cmocka_unit_test(order_is_bytewise_and_shorter_comes_first),
        cmocka_unit_test(starts_and_ends_match_the_whole_affix),
        cmocka_unit_test(searches_give_the_first_place_or_minus_one),
        cmocka_unit_test(parts_are_clamped),
        cmocka_unit_test(trim_takes_spaces_and_tabs_only),
        cmocka_unit_test(split_gives_empty_parts_too),
        cmocka_unit_test(numbers_are_converted_whole_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
