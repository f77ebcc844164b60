// SPDX-License-Identifier: Apache-2.0
//
// Event stream frames: a frame byte by byte, and the checksums over prelude and message.
#include "aws/eventstream.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <zlib.h>

static uint32_t u32(const char *at) {
    const unsigned char *b = (const unsigned char *)at;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static void a_frame_is_as_aws_describes_it(void **state) {
    (void)state;
    struct sl_buf out;
    sl_buf_init(&out, 4096);
    sl_eventstream_event(&out, SL_STR("PayloadChunk"), SL_STR("application/octet-stream"), SL_STR("\0abc"));
    static const char headers[] = "\x0b:event-type\x07\0\x0cPayloadChunk"
                                  "\x0d:content-type\x07\0\x18"
                                  "application/octet-stream"
                                  "\x0d:message-type\x07\0\x05"
                                  "event";
    size_t headers_len = sizeof headers - 1;
    assert_false(out.failed);
    assert_int_equal(out.len, 12 + headers_len + 4 + 4);
    assert_int_equal(u32(out.ptr), out.len);
    assert_int_equal(u32(out.ptr + 4), headers_len);
    assert_int_equal(u32(out.ptr + 8), crc32(0, (const Bytef *)out.ptr, 8));
    assert_memory_equal(out.ptr + 12, headers, headers_len);
    assert_memory_equal(out.ptr + 12 + headers_len, "\0abc", 4);
    assert_int_equal(u32(out.ptr + out.len - 4), crc32(0, (const Bytef *)out.ptr, (uInt)out.len - 4));
    sl_buf_free(&out);
}

static void frames_follow_one_another_and_may_be_empty(void **state) {
    (void)state;
    struct sl_buf out;
    sl_buf_init(&out, 4096);
    sl_eventstream_event(&out, SL_STR("InvokeComplete"), SL_STR("application/json"), SL_STR(""));
    size_t first = out.len;
    sl_eventstream_event(&out, SL_STR("InvokeComplete"), SL_STR("application/json"), SL_STR(""));
    assert_int_equal(out.len, 2 * first);
    assert_memory_equal(out.ptr, out.ptr + first, first);
    sl_buf_free(&out);
}

static void an_exception_has_headers_of_its_own(void **state) {
    (void)state;
    struct sl_buf out;
    sl_buf_init(&out, 4096);
    sl_eventstream_exception(&out, SL_STR("SessionTimeoutException"), SL_STR("application/json"), SL_STR("{}"));
    static const char headers[] = "\x0f:exception-type\x07\0\x17SessionTimeoutException"
                                  "\x0d:content-type\x07\0\x10"
                                  "application/json"
                                  "\x0d:message-type\x07\0\x09"
                                  "exception";
    assert_int_equal(u32(out.ptr + 4), sizeof headers - 1);
    assert_memory_equal(out.ptr + 12, headers, sizeof headers - 1);
    sl_buf_free(&out);
}

static void a_frame_that_does_not_fit_fails(void **state) {
    (void)state;
    struct sl_buf out;
    sl_buf_init(&out, 32);
    sl_eventstream_event(&out, SL_STR("PayloadChunk"), SL_STR("application/octet-stream"), SL_STR("abc"));
    assert_true(out.failed);
    assert_int_equal(out.len, 0);
    sl_buf_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_is_as_aws_describes_it),
        cmocka_unit_test(frames_follow_one_another_and_may_be_empty),
        cmocka_unit_test(an_exception_has_headers_of_its_own),
        cmocka_unit_test(a_frame_that_does_not_fit_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
