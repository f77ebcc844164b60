// SPDX-License-Identifier: Apache-2.0
//
// encoding: base64, hexadecimal, percent-encoding and UTF-8, with the vectors of their RFCs.
#include "base/encoding.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

struct fixture {
    struct sl_arena arena;
    struct sl_buf out;
};

static int set_up(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    sl_arena_init(&f->arena, 1 << 20);
    sl_buf_init(&f->out, 1 << 20);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    sl_arena_free(&f->arena);
    sl_buf_free(&f->out);
    free(f);
    return 0;
}

static void base64_matches_the_vectors_of_rfc_4648(void **state) {
    struct fixture *f = *state;
    static const char *const pairs[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"},
                                           {"\xfb\xff\xbf", "+/+/"}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        struct sl_str plain = sl_str_of(pairs[i][0]), encoded = sl_str_of(pairs[i][1]), decoded;
        sl_buf_clear(&f->out, SIZE_MAX);
        sl_base64_encode(&f->out, plain);
        assert_true(sl_str_eq(sl_buf_view(&f->out), encoded));
        assert_int_equal(sl_base64_encoded_len(plain.len), encoded.len);
        assert_true(sl_base64_decode(&f->arena, encoded, &decoded));
        assert_true(sl_str_eq(decoded, plain));
    }
}

static void base64_of_every_byte_returns(void **state) {
    struct fixture *f = *state;
    char bytes[256 + 2];
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (char)i;
    for (size_t length = sizeof bytes - 3; length <= sizeof bytes; length++) {
        struct sl_str decoded;
        sl_buf_clear(&f->out, SIZE_MAX);
        sl_base64_encode(&f->out, sl_str_n(bytes, length));
        assert_true(sl_base64_decode(&f->arena, sl_buf_view(&f->out), &decoded));
        assert_true(sl_str_eq(decoded, sl_str_n(bytes, length)));
    }
}

static void broken_base64_is_refused(void **state) {
    struct fixture *f = *state;
    static const char *const bad[] = {
        "Z",        "Zg",       "Zg=",  "Zg==Zg==",        "====", "=Zg=", "Z===", "Zm9v\n", "Zm 9v=",
        "Zm9vYg-_", "Zm9v====", "Zg=a", "\xc3\xa4\xc3\xa4"};
    struct sl_str decoded;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (sl_base64_decode(&f->arena, sl_str_of(bad[i]), &decoded)) fail_msg("accepted %s", bad[i]);
    }
}

static void hexadecimal_is_lower_case(void **state) {
    struct fixture *f = *state;
    sl_hex_encode(&f->out, SL_STR("\x00\x9f\xff"));
    assert_true(sl_str_is(sl_buf_view(&f->out), "009fff"));
    assert_int_equal(sl_hex_value('9'), 9);
    assert_int_equal(sl_hex_value('a'), 10);
    assert_int_equal(sl_hex_value('F'), 15);
    assert_int_equal(sl_hex_value('g'), -1);
    assert_int_equal(sl_hex_value('@'), -1);
}

static void percent_decoding_is_strict(void **state) {
    struct fixture *f = *state;
    struct sl_str text = SL_STR("plain+text"), decoded;
    assert_true(sl_percent_decode(&f->arena, text, false, &decoded));
    assert_ptr_equal(decoded.ptr, text.ptr);
    assert_true(sl_percent_decode(&f->arena, text, true, &decoded));
    assert_true(sl_str_is(decoded, "plain text"));
    assert_true(sl_percent_decode(&f->arena, SL_STR("%2F%2f%00+%25"), false, &decoded));
    assert_true(sl_str_eq(decoded, SL_STR("//\0+%")));
    static const char *const bad[] = {"%", "a%2", "%zz", "%2", "%%20", "% 1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(sl_percent_decode(&f->arena, sl_str_of(bad[i]), false, &decoded));
    }
}

static void percent_encoding_is_that_of_sigv4(void **state) {
    struct fixture *f = *state;
    sl_percent_encode(&f->out, SL_STR("AZaz09-._~ /+*\xc3\xbc"), false);
    assert_true(sl_str_is(sl_buf_view(&f->out), "AZaz09-._~%20%2F%2B%2A%C3%BC"));
    sl_buf_clear(&f->out, SIZE_MAX);
    sl_percent_encode(&f->out, SL_STR("a/b c"), true);
    assert_true(sl_str_is(sl_buf_view(&f->out), "a/b%20c"));
}

static void well_formed_utf8_is_valid(void **state) {
    (void)state;
    static const char *const good[] = {"",
                                       "ascii only, longer than eight",
                                       "\xc2\x80",
                                       "\xdf\xbf",
                                       "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xef\xbf\xbf",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf",
                                       "1234567\xe2\x82\xac"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) assert_true(sl_utf8_valid(sl_str_of(good[i])));
    assert_true(sl_utf8_valid(SL_STR("a\0b")));
}

static void the_valid_part_ends_at_the_first_ill_formed_byte(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t valid;
    } bad[] = {
        {"\x80", 0},
        {"abc\xff", 3},
        {"12345678\xc0\x80", 8},
        {"\xc1\xbf", 0},
        {"\xe0\x9f\xbf", 0},
        {"\xed\xa0\x80", 0},
        {"\xf0\x8f\xbf\xbf", 0},
        {"\xf4\x90\x80\x80", 0},
        {"\xf5\x80\x80\x80", 0},
        {"\xe2\x82", 0},
        {"\xc3\xa4\xc3", 2},
        {"\xf0\x9f\x98", 0},
        {"\xf0\x9f\x98x", 0},
        {"\xe2\x28\xa1", 0},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(sl_utf8_valid_prefix(sl_str_of(bad[i].text)), bad[i].valid);
    }
}

static void code_points_are_encoded_and_impossible_ones_replaced(void **state) {
    (void)state;
    static const struct {
        uint32_t code;
        const char *text;
    } rows[] = {{0x41, "A"},
                {0x7f, "\x7f"},
                {0x80, "\xc2\x80"},
                {0x7ff, "\xdf\xbf"},
                {0x800, "\xe0\xa0\x80"},
                {0xffff, "\xef\xbf\xbf"},
                {0x10000, "\xf0\x90\x80\x80"},
                {0x10ffff, "\xf4\x8f\xbf\xbf"},
                {0xd800, "\xef\xbf\xbd"},
                {0x110000, "\xef\xbf\xbd"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char out[4];
        size_t length = sl_utf8_encode(rows[i].code, out);
        assert_true(sl_str_is(sl_str_n(out, length), rows[i].text));
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(base64_matches_the_vectors_of_rfc_4648),
        TEST(base64_of_every_byte_returns),
        TEST(broken_base64_is_refused),
        TEST(hexadecimal_is_lower_case),
        TEST(percent_decoding_is_strict),
        TEST(percent_encoding_is_that_of_sigv4),
        TEST(well_formed_utf8_is_valid),
        TEST(the_valid_part_ends_at_the_first_ill_formed_byte),
        TEST(code_points_are_encoded_and_impossible_ones_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
