// SPDX-License-Identifier: Apache-2.0
//
// clock, error and id.
#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const int64_t moment = 1767323045678; // 2026-01-02T03:04:05.678Z, a Friday

static void times_have_the_forms_aws_uses(void **state) {
    (void)state;
    char text[SL_TIME_HTTP];
    sl_time_iso_ms(moment, text);
    assert_string_equal(text, "2026-01-02T03:04:05.678Z");
    sl_time_iso_s(moment, text);
    assert_string_equal(text, "2026-01-02T03:04:05Z");
    sl_time_lambda(moment, text);
    assert_string_equal(text, "2026-01-02T03:04:05.678+0000");
    sl_time_clf(moment, text);
    assert_string_equal(text, "02/Jan/2026:03:04:05 +0000");
    sl_time_amz(moment, text);
    assert_string_equal(text, "20260102T030405Z");
    sl_time_http(moment, text);
    assert_string_equal(text, "Fri, 02 Jan 2026 03:04:05 GMT");
}

static void times_beyond_the_formats_are_clamped(void **state) {
    (void)state;
    char text[SL_TIME_HTTP];
    sl_time_iso_ms(-1, text);
    assert_string_equal(text, "1970-01-01T00:00:00.000Z");
    sl_time_iso_ms(INT64_MAX, text);
    assert_string_equal(text, "9999-12-31T23:59:59.999Z");
    sl_time_http(INT64_MIN, text);
    assert_string_equal(text, "Thu, 01 Jan 1970 00:00:00 GMT");
    sl_time_iso_s(951782400000, text); // a leap day of a century year
    assert_string_equal(text, "2000-02-29T00:00:00Z");
}

static void advancing_moves_the_wall_clock_only(void **state) {
    (void)state;
    int64_t wall = sl_clock_ms(), mono = sl_clock_mono_ns();
    assert_true(wall > moment - (int64_t)1000 * 86400 * 1000); // a real clock, in milliseconds
    sl_clock_advance(3600000);
    assert_true(sl_clock_ms() >= wall + 3600000);
    assert_true(sl_clock_mono_ns() - mono < (int64_t)3600 * 1000000000);
    assert_true(sl_clock_mono_ns() >= mono);
    sl_clock_advance(-3600000);
}

static void failing_sets_kind_and_message_and_returns_the_kind(void **state) {
    (void)state;
    struct sl_error err = {0};
    assert_int_equal(sl_fail(&err, SL_E_CONFLICT, "%s has %d", "x", 3), SL_E_CONFLICT);
    assert_int_equal(err.kind, SL_E_CONFLICT);
    assert_string_equal(err.message, "x has 3");
    assert_int_equal(sl_fail(NULL, SL_E_GONE, "nobody asks"), SL_E_GONE);
}

static void a_message_may_quote_itself(void **state) {
    (void)state;
    struct sl_error err = {0};
    sl_fail(&err, SL_E_IO, "inner");
    sl_fail(&err, SL_E_INTERNAL, "outer: %s", err.message);
    assert_string_equal(err.message, "outer: inner");
}

static void a_failed_system_call_is_named(void **state) {
    (void)state;
    struct sl_error err = {0};
    errno = ENOENT;
    assert_int_equal(sl_fail_errno(&err, "open %s", "f"), SL_E_IO);
    assert_string_equal(err.message, "open f: No such file or directory");
    assert_int_equal(errno, ENOENT);
}

static void wrapping_puts_context_before_the_message(void **state) {
    (void)state;
    struct sl_error err = {0};
    sl_fail(&err, SL_E_LIMIT, "too long");
    assert_int_equal(sl_wrap(&err, "read %s", "f"), SL_E_LIMIT);
    assert_string_equal(err.message, "read f: too long");
}

static void long_messages_are_cut_not_overrun(void **state) {
    (void)state;
    struct sl_error err = {0};
    static char text[10000];
    memset(text, 'x', sizeof text - 1);
    sl_fail(&err, SL_E_IO, "%s", text);
    assert_int_equal(strlen(err.message), sizeof err.message - 1);
    sl_wrap(&err, "context");
    assert_int_equal(strlen(err.message), sizeof err.message - 1);
    assert_memory_equal(err.message, "context: xxx", 12);
    sl_wrap(&err, "%s", text);
    assert_int_equal(strlen(err.message), sizeof err.message - 1);
    errno = EIO;
    sl_fail_errno(&err, "%s", text);
    assert_int_equal(strlen(err.message), sizeof err.message - 1);
}

static void every_kind_has_a_name_and_a_status(void **state) {
    (void)state;
    for (int kind = 1; kind < SL_E_COUNT; kind++) {
        assert_true(strlen(sl_error_name(kind)) > 0);
        if (kind != SL_E_S3_NOT_MODIFIED) assert_in_range(sl_error_status(kind), 400, 599);
    }
    assert_string_equal(sl_error_name(SL_E_THROTTLED), "TooManyRequestsException");
    assert_int_equal(sl_error_status(SL_E_THROTTLED), 429);
    assert_string_equal(sl_error_name(-1), "InternalFailure");
    assert_string_equal(sl_error_name(SL_E_COUNT), "InternalFailure");
    assert_int_equal(sl_error_status(99999), 500);
}

static void ids_have_their_alphabets_and_do_not_repeat(void **state) {
    (void)state;
    char previous[SL_UUID] = "", id[SL_UUID];
    for (int i = 0; i < 1000; i++) {
        sl_uuid(id);
        assert_int_equal(strlen(id), 36);
        assert_int_equal(id[14], '4');
        assert_non_null(strchr("89ab", id[19]));
        assert_int_equal(strspn(id, "0123456789abcdef-"), 36);
        assert_string_not_equal(id, previous);
        memcpy(previous, id, sizeof id);
        sl_random_lower(id, 10);
        assert_int_equal(strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789"), 10);
        assert_true(id[0] >= 'a');
        sl_random_hex(id, 7);
        assert_int_equal(strspn(id, "0123456789abcdef"), 7);
        assert_int_equal(strlen(id), 7);
    }
}

static void every_random_bit_is_used(void **state) {
    (void)state;
    static unsigned char bytes[4096];
    unsigned char ones = 0, zeros = 0xff;
    sl_random_bytes(bytes, sizeof bytes); // larger than the pool
    for (size_t i = 0; i < sizeof bytes; i++) {
        ones |= bytes[i];
        zeros &= bytes[i];
    }
    assert_int_equal(ones, 0xff);
    assert_int_equal(zeros, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_have_the_forms_aws_uses),
        cmocka_unit_test(times_beyond_the_formats_are_clamped),
        cmocka_unit_test(advancing_moves_the_wall_clock_only),
        cmocka_unit_test(failing_sets_kind_and_message_and_returns_the_kind),
        cmocka_unit_test(a_message_may_quote_itself),
        cmocka_unit_test(a_failed_system_call_is_named),
        cmocka_unit_test(wrapping_puts_context_before_the_message),
        cmocka_unit_test(long_messages_are_cut_not_overrun),
        cmocka_unit_test(every_kind_has_a_name_and_a_status),
        cmocka_unit_test(ids_have_their_alphabets_and_do_not_repeat),
        cmocka_unit_test(every_random_bit_is_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
