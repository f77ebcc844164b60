// SPDX-License-Identifier: Apache-2.0
//
// arena and buf: the two places memory of a request comes from; neither may pass its maximum.
#include "base/arena.h"
#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void an_arena_gives_aligned_memory_that_does_not_overlap(void **state) {
    (void)state;
    struct sl_arena arena;
    sl_arena_init(&arena, 1 << 20);
    char *blocks[500];
    for (int i = 0; i < 500; i++) {
        blocks[i] = sl_arena_alloc(&arena, (size_t)i % 90);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % 16, 0);
        memset(blocks[i], i & 255, (size_t)i % 90);
    }
    for (int i = 0; i < 500; i++) {
        for (int k = 0; k < i % 90; k++) assert_int_equal((unsigned char)blocks[i][k], i & 255);
    }
    sl_arena_free(&arena);
}

static void an_arena_never_holds_more_than_its_maximum(void **state) {
    (void)state;
    struct sl_arena arena;
    sl_arena_init(&arena, 100000);
    size_t given = 0;
    while (sl_arena_alloc(&arena, 1000)) given += 1000;
    assert_in_range(given, 80000, 100000);
    assert_true(sl_arena_failed(&arena));
    assert_true(arena.used <= arena.max);
    assert_null(sl_arena_alloc(&arena, SIZE_MAX));
    assert_null(sl_arena_alloc(&arena, SIZE_MAX - 40));
    sl_arena_free(&arena);
}

static void an_arena_smaller_than_a_chunk_can_be_used(void **state) {
    (void)state;
    struct sl_arena arena;
    sl_arena_init(&arena, 1000);
    assert_non_null(sl_arena_alloc(&arena, 500));
    assert_non_null(sl_arena_alloc(&arena, 300));
    assert_null(sl_arena_alloc(&arena, 500));
    sl_arena_free(&arena);
}

static void size_zero_is_not_a_failure(void **state) {
    (void)state;
    struct sl_arena arena;
    sl_arena_init(&arena, 1000);
    assert_non_null(sl_arena_alloc(&arena, 0));
    assert_false(sl_arena_failed(&arena));
    sl_arena_free(&arena);
}

static void a_reset_arena_reuses_its_chunk_and_forgets_the_failure(void **state) {
    (void)state;
    struct sl_arena arena;
    sl_arena_init(&arena, 1 << 20);
    char *first = sl_arena_alloc(&arena, 100);
    sl_arena_alloc(&arena, 200000);
    assert_null(sl_arena_alloc(&arena, 2 << 20));
    sl_arena_reset(&arena);
    assert_false(sl_arena_failed(&arena));
    assert_ptr_equal(sl_arena_alloc(&arena, 100), first);
    sl_arena_reset(&arena);
    assert_in_range(arena.used, 1, 64 * 1024);
    sl_arena_free(&arena);
}

static void a_reset_arena_does_not_keep_a_large_chunk(void **state) {
    (void)state;
    struct sl_arena arena;
    sl_arena_init(&arena, 10 << 20);
    assert_non_null(sl_arena_alloc(&arena, 6 << 20));
    sl_arena_reset(&arena);
    assert_int_equal(arena.used, 0);
    assert_non_null(sl_arena_alloc(&arena, 6 << 20));
    sl_arena_free(&arena);
}

static void cleared_memory_is_cleared_after_a_reset_too(void **state) {
    (void)state;
    struct sl_arena arena;
    sl_arena_init(&arena, 1 << 20);
    memset(sl_arena_alloc(&arena, 64), 0xff, 64);
    sl_arena_reset(&arena);
    char *memory = sl_arena_zalloc(&arena, 64);
    for (int i = 0; i < 64; i++) assert_int_equal(memory[i], 0);
    sl_arena_free(&arena);
}

static void copies_end_with_nul_and_keep_inner_ones(void **state) {
    (void)state;
    struct sl_arena arena;
    sl_arena_init(&arena, 1 << 20);
    struct sl_str copy = sl_arena_dup(&arena, SL_STR("a\0b"));
    assert_int_equal(copy.len, 3);
    assert_memory_equal(copy.ptr, "a\0b", 4);
    assert_string_equal(sl_arena_cstr(&arena, (struct sl_str){NULL, 0}), "");
    struct sl_str text = sl_arena_printf(&arena, "%s-%d", "x", 42);
    assert_true(sl_str_is(text, "x-42"));
    struct sl_arena full;
    sl_arena_init(&full, 0);
    assert_int_equal(sl_arena_dup(&full, SL_STR("abc")).len, 0);
    assert_int_equal(sl_arena_printf(&full, "%d", 1).len, 0);
    assert_null(sl_arena_cstr(&full, SL_STR("abc")));
    assert_true(sl_arena_failed(&full));
    sl_arena_free(&full);
    sl_arena_free(&arena);
}

static void a_buffer_grows_to_its_maximum_and_not_beyond(void **state) {
    (void)state;
    struct sl_buf buf;
    sl_buf_init(&buf, 1000);
    for (int i = 0; i < 1000; i++) sl_buf_char(&buf, (char)i);
    assert_false(buf.failed);
    assert_int_equal(buf.len, 1000);
    sl_buf_char(&buf, 'x');
    assert_true(buf.failed);
    sl_buf_cstr(&buf, "more");
    assert_int_equal(buf.len, 1000);
    for (int i = 0; i < 1000; i++) assert_int_equal(buf.ptr[i], (char)i);
    assert_null(sl_buf_reserve(&buf, 0)); // stays failed
    sl_buf_clear(&buf, SIZE_MAX);
    assert_false(buf.failed);
    assert_null(sl_buf_reserve(&buf, SIZE_MAX));
    sl_buf_free(&buf);
}

static void formatted_text_may_end_exactly_at_the_maximum(void **state) {
    (void)state;
    struct sl_buf buf;
    sl_buf_init(&buf, 10);
    sl_buf_printf(&buf, "%s", "12345");
    sl_buf_printf(&buf, "%05d", 67);
    assert_false(buf.failed);
    assert_true(sl_str_is(sl_buf_view(&buf), "1234500067"));
    sl_buf_printf(&buf, "%d", 1);
    assert_true(buf.failed);
    sl_buf_free(&buf);
}

static void reserving_nothing_is_no_failure(void **state) {
    (void)state;
    struct sl_buf buf;
    sl_buf_init(&buf, 0);
    assert_non_null(sl_buf_reserve(&buf, 0));
    assert_false(buf.failed);
    assert_null(sl_buf_reserve(&buf, 1));
    sl_buf_free(&buf);
}

static void a_buffer_gives_a_large_memory_back_when_cleared(void **state) {
    (void)state;
    struct sl_buf buf;
    sl_buf_init(&buf, 1 << 20);
    sl_buf_reserve(&buf, 500000);
    sl_buf_clear(&buf, 4096);
    assert_null(buf.ptr);
    sl_buf_cstr(&buf, "small");
    sl_buf_clear(&buf, 4096);
    assert_non_null(buf.ptr);
    assert_int_equal(buf.len, 0);
    sl_buf_free(&buf);
}

static void consuming_takes_from_the_front(void **state) {
    (void)state;
    struct sl_buf buf;
    sl_buf_init(&buf, 100);
    sl_buf_consume(&buf, 5);
    sl_buf_cstr(&buf, "abcdef");
    sl_buf_consume(&buf, 2);
    assert_true(sl_str_is(sl_buf_view(&buf), "cdef"));
    sl_buf_consume(&buf, 99);
    assert_int_equal(buf.len, 0);
    sl_buf_u64(&buf, 0);
    sl_buf_char(&buf, ' ');
    sl_buf_u64(&buf, UINT64_MAX);
    assert_true(sl_str_is(sl_buf_view(&buf), "0 18446744073709551615"));
    sl_buf_free(&buf);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_arena_gives_aligned_memory_that_does_not_overlap),
        cmocka_unit_test(an_arena_never_holds_more_than_its_maximum),
        cmocka_unit_test(an_arena_smaller_than_a_chunk_can_be_used),
        cmocka_unit_test(size_zero_is_not_a_failure),
        cmocka_unit_test(a_reset_arena_reuses_its_chunk_and_forgets_the_failure),
        cmocka_unit_test(a_reset_arena_does_not_keep_a_large_chunk),
        cmocka_unit_test(cleared_memory_is_cleared_after_a_reset_too),
        cmocka_unit_test(copies_end_with_nul_and_keep_inner_ones),
        cmocka_unit_test(a_buffer_grows_to_its_maximum_and_not_beyond),
        cmocka_unit_test(formatted_text_may_end_exactly_at_the_maximum),
        cmocka_unit_test(reserving_nothing_is_no_failure),
        cmocka_unit_test(a_buffer_gives_a_large_memory_back_when_cleared),
        cmocka_unit_test(consuming_takes_from_the_front),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
