// SPDX-License-Identifier: Apache-2.0
//
// invoke: the lineage in a trace header.
#include "invoke/lineage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const struct sl_str f = SL_STR_INIT("arn:aws:lambda:eu-west-1:000000000000:function:f");
static const struct sl_str g = SL_STR_INIT("arn:aws:lambda:eu-west-1:000000000000:function:g");

static struct sl_str enter(struct sl_str trace, struct sl_str arn, char out[static SL_TRACE_MAX]) {
    char copy[SL_TRACE_MAX];
    memcpy(copy, trace.ptr, trace.len);
    return sl_str_n(out, sl_lineage_enter(sl_str_n(copy, trace.len), arn, out));
}

static void every_invocation_counts_for_its_function(void **state) {
    (void)state;
    char out[SL_TRACE_MAX];
    struct sl_str trace = SL_STR("Root=1-5f-1;Parent=53;Sampled=0");
    assert_int_equal(sl_lineage_count(trace, f), 0);
    for (unsigned i = 1; i <= 20; i++) {
        trace = enter(trace, f, out);
        assert_int_equal(sl_lineage_count(trace, f), i);
        assert_int_equal(sl_lineage_count(trace, g), 0);
    }
    trace = enter(trace, g, out);
    assert_int_equal(sl_lineage_count(trace, f), 20);
    assert_int_equal(sl_lineage_count(trace, g), 1);
    assert_true(sl_str_starts(trace, SL_STR("Root=1-5f-1;Parent=53;Sampled=0;Lineage=")));
}

static void what_is_no_lineage_is_not_trusted(void **state) {
    (void)state;
    char out[SL_TRACE_MAX];
    static const char *const odd[] = {"", "Lineage=", "Lineage=x:1|:2|zzzzzzzz:-3", "Root=1;XLineage=00000000:9",
                                      ";;;"};
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        assert_int_equal(sl_lineage_count(sl_str_of(odd[i]), f), 0);
        assert_int_equal(sl_lineage_count(enter(sl_str_of(odd[i]), f, out), f), 1);
    }
}

static void a_long_chain_forgets_its_oldest_functions_and_never_grows(void **state) {
    (void)state;
    char out[SL_TRACE_MAX], name[32], root[SL_TRACE_MAX - 40];
    memset(root, 'r', sizeof root);
    struct sl_str trace = sl_str_n(root, sizeof root);
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "function:%d", i);
        trace = enter(trace, sl_str_of(name), out);
        assert_true(trace.len < SL_TRACE_MAX);
        assert_int_equal(sl_lineage_count(trace, sl_str_of(name)), 1);
    }
    assert_int_equal(sl_lineage_count(trace, SL_STR("function:0")), 0);
    assert_int_equal(sl_lineage_count(trace, SL_STR("function:90")), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_invocation_counts_for_its_function),
        cmocka_unit_test(what_is_no_lineage_is_not_trusted),
        cmocka_unit_test(a_long_chain_forgets_its_oldest_functions_and_never_grows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
