// SPDX-License-Identifier: Apache-2.0
//
// CBOR: the examples of RFC 8949 appendix A that CloudWatch's clients can send, what must be refused, and that what is
// written is read back.
#include "aws/cbor.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

// What bytes are as JSON, or "!" when they are refused.
static void expect(const char *bytes, size_t len, const char *json) {
    struct sl_arena arena;
    struct sl_error err;
    struct sl_json *tree = NULL;
    sl_arena_init(&arena, 1 << 20);
    int kind = sl_cbor_parse(&arena, sl_str_n(bytes, len), &tree, &err);
    struct sl_buf text;
    sl_buf_init(&text, 65536);
    if (kind) {
        assert_int_equal(kind, SL_E_SERIALIZATION);
        sl_buf_char(&text, '!');
    } else {
        sl_json_write(&text, tree);
    }
    sl_buf_char(&text, '\0');
    assert_string_equal(text.ptr, json);
    sl_buf_free(&text);
    sl_arena_free(&arena);
}
#define EXPECT(bytes, json) expect(bytes, sizeof(bytes) - 1, json)

static void items_are_read(void **state) {
    (void)state;
    EXPECT("\x00", "0");
    EXPECT("\x18\x64", "100");
    EXPECT("\x1b\xff\xff\xff\xff\xff\xff\xff\xff", "18446744073709551615");
    EXPECT("\x3b\xff\xff\xff\xff\xff\xff\xff\xff", "-18446744073709551616");
    EXPECT("\xc2\x42\x01\x00", "256");
    EXPECT("\x39\x03\xe7", "-1000");
    EXPECT("\xf9\x3e\x00", "1.5");
    EXPECT("\xf9\x00\x01", "5.9604644775390625e-08");
    EXPECT("\xfa\x47\xc3\x50\x00", "100000");
    EXPECT("\xfb\xc0\x10\x66\x66\x66\x66\x66\x66", "-4.1");
    EXPECT("\xf9\x7c\x00", "Infinity");
    EXPECT("\xfb\x7f\xf8\x00\x00\x00\x00\x00\x00", "NaN");
    EXPECT("\xf5", "true");
    EXPECT("\xf6", "null");
    EXPECT("\xc1\x1a\x51\x4b\x67\xb0", "1363896240");
    EXPECT("\x44\x01\x02\x03\x04", "\"AQIDBA==\"");
    EXPECT("\x7f\x65strea\x64ming\xff", "\"streaming\"");
    EXPECT("\xbf\x61"
           "a\x01\x61"
           "b\x9f\x02\x03\xff\xff",
           "{\"a\":1,\"b\":[2,3]}");
    EXPECT("\x60", "\"\"");
}

static void what_is_no_cbor_is_refused(void **state) {
    (void)state;
    EXPECT("", "!");
    EXPECT("\x00\x00", "!");     // more than one item
    EXPECT("\x19\x01", "!");     // ends within
    EXPECT("\x1c", "!");         // reserved
    EXPECT("\x62\xc3\x28", "!"); // not UTF-8
    EXPECT("\xa1\x01\x02", "!"); // a key that is no text
    EXPECT("\x5f\x61"
           "a\xff",
           "!"); // a chunk of another kind
    EXPECT("\xd8\x20\x61"
           "a",
           "!"); // a tag nobody sends
    EXPECT("\x9b\x7f\xff\xff\xff\xff\xff\xff\xff", "!");
    EXPECT("\xff", "!");
    char deep[SL_CBOR_DEPTH + 2];
    memset(deep, '\x81', sizeof deep);
    deep[sizeof deep - 1] = '\0';
    expect(deep, sizeof deep, "!");
    expect(deep + 1, sizeof deep - 2, "!"); // the innermost array has no item
}

static void what_is_written_is_read_back(void **state) {
    (void)state;
    struct sl_buf out;
    sl_buf_init(&out, 65536);
    sl_cbor_open_map(&out);
    sl_cbor_text(&out, SL_STR("list"));
    sl_cbor_open_array(&out);
    const int64_t numbers[] = {0, 23, 24, 255, 256, 65535, 65536, 4294967295, 4294967296, -1, -25, INT64_MIN};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) sl_cbor_int(&out, numbers[i]);
    sl_cbor_double(&out, 0.25);
    sl_cbor_bool(&out, false);
    sl_cbor_null(&out);
    sl_cbor_time(&out, 1500);
    sl_cbor_time(&out, 2000);
    sl_cbor_bytes(&out, SL_STR("abc"));
    sl_cbor_end(&out);
    sl_cbor_end(&out);
    assert_false(out.failed);
    expect(
        out.ptr, out.len,
        "{\"list\":[0,23,24,255,256,65535,65536,4294967295,4294967296,-1,-25,-9223372036854775808,0.25,false,null,1.5,"
        "2,\"YWJj\"]}");
    sl_buf_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_are_read),
        cmocka_unit_test(what_is_no_cbor_is_refused),
        cmocka_unit_test(what_is_written_is_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
