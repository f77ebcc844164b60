// SPDX-License-Identifier: Apache-2.0
//
// The gate of starts. Promises: a few for each processor always pass; more pass a few at a time while processors are
// idle, and slowly while they are not; what has ended makes place; an unknown machine counts as idle.
#include "invoke/gate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { PROCESSORS = 2, LEAST = 8 };
#define MS 1000000LL

static unsigned runnable;
static unsigned say_runnable(void) { return runnable; }

// How many pass at this time, each of which stays under way.
static unsigned pass(struct sl_invoke__gate *gate, int64_t now_ms) {
    unsigned passed = 0;
    while (passed < 1000 && sl_invoke__gate_open(gate, now_ms * MS)) {
        sl_invoke__gate_enter(gate);
        passed++;
    }
    return passed;
}

static void leave(struct sl_invoke__gate *gate, unsigned count) {
    while (count--) sl_invoke__gate_leave(gate);
}

static void test_a_few_pass_at_once_and_a_few_more_with_each_tick_of_an_idle_machine(void **state) {
    (void)state;
    struct sl_invoke__gate gate;
    sl_invoke__gate_init(&gate, PROCESSORS, say_runnable);
    runnable = 1;
    assert_int_equal(pass(&gate, 1000), 2 * LEAST); // the first look widens it
    assert_int_equal(pass(&gate, 1004), 0);
    assert_int_equal(pass(&gate, 1005), LEAST);
    runnable = 0; // unknown
    assert_int_equal(pass(&gate, 1010), LEAST);
}

static void test_a_busy_machine_lets_in_a_few_more_and_more_seldom(void **state) {
    (void)state;
    struct sl_invoke__gate gate;
    sl_invoke__gate_init(&gate, PROCESSORS, say_runnable);
    runnable = PROCESSORS + 2;
    assert_int_equal(pass(&gate, 1000), 2 * LEAST);
    assert_int_equal(pass(&gate, 1100), 0);
    assert_int_equal(pass(&gate, 1999), 0);
    assert_int_equal(pass(&gate, 2000), LEAST); // twice the least were under way: 4 * 250 ms
    assert_int_equal(pass(&gate, 4249), 0);
    assert_int_equal(pass(&gate, 4250), LEAST); // 9 * 250 ms
}

static void test_what_has_ended_makes_place_and_the_width_falls_back(void **state) {
    (void)state;
    struct sl_invoke__gate gate;
    sl_invoke__gate_init(&gate, PROCESSORS, say_runnable);
    runnable = PROCESSORS + 2;
    unsigned under_way = pass(&gate, 1000);
    leave(&gate, 3);
    assert_int_equal(pass(&gate, 1001), 3);
    leave(&gate, under_way);
    assert_int_equal(pass(&gate, 1002), LEAST);
}

static void test_a_machine_without_a_count_of_processors_has_one(void **state) {
    (void)state;
    struct sl_invoke__gate gate;
    sl_invoke__gate_init(&gate, 0, say_runnable);
    runnable = 9;
    assert_int_equal(pass(&gate, 0), LEAST / PROCESSORS);
}

static void test_the_kernel_counts_this_thread_at_least(void **state) {
    (void)state;
    assert_true(sl_invoke__gate_runnable() >= 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_few_pass_at_once_and_a_few_more_with_each_tick_of_an_idle_machine),
        cmocka_unit_test(test_a_busy_machine_lets_in_a_few_more_and_more_seldom),
        cmocka_unit_test(test_what_has_ended_makes_place_and_the_width_falls_back),
        cmocka_unit_test(test_a_machine_without_a_count_of_processors_has_one),
        cmocka_unit_test(test_the_kernel_counts_this_thread_at_least),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
