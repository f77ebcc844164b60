// SPDX-License-Identifier: Apache-2.0
//
// The words for a payload that is no JSON: those of the parser behind AWS's front.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "lambda/payload.h"

#define PREFIX   "Could not parse request body into json: Could not parse payload into json: "
#define SOURCE   "\n at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: "
#define EXPECTED "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')"

static void refused(struct sl_str payload, const char *message) {
    struct sl_error err = {0};
    assert_int_equal(sl_lambda__payload_check(payload, &err), SL_E_INVALID_REQUEST_CONTENT);
    assert_string_equal(err.message, message);
}

static void json_passes(void **state) {
    (void)state;
    static const char *const rows[] = {"{}", "null", "1", "\"x\"", " [1] ", "{\"a\":[true,false,{}]}"};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(sl_lambda__payload_check(sl_str_of(rows[i]), NULL), 0);
}

// Both recorded from AWS (test_lambda_invoke_payload_encoding_error).
static void bytes_that_are_no_utf8_are_named_as_recorded(void **state) {
    (void)state;
    refused(SL_STR("\x99\xeb,j\x07\xa1zYh"), PREFIX
            "Unexpected character ((CTRL-CHAR, code 153)): expected a valid value " EXPECTED SOURCE "1, column: 1]");
    refused(SL_STR("n\x87r\x9e\xe9\xb5\xd7I\xee\x9bmt"), PREFIX "Invalid UTF-8 start byte 0x87" SOURCE "1, column: 3]");
}

static void words_and_characters_are_named(void **state) {
    (void)state;
    refused(SL_STR("hello"), PREFIX "Unrecognized token 'hello': was expecting " EXPECTED SOURCE "1, column: 6]");
    refused(SL_STR("\n\n?"),
            PREFIX "Unexpected character ('?' (code 63)): expected a valid value " EXPECTED SOURCE "3, column: 1]");
    refused(SL_STR("[1,"), PREFIX "Unexpected end-of-input" SOURCE "1, column: 4]");
}

static void nesting_beyond_the_limit_is_refused_at_any_depth(void **state) {
    (void)state;
    size_t depth = 100000;
    char *text = malloc(depth);
    assert_non_null(text);
    memset(text, '[', depth);
    struct sl_error err = {0};
    assert_int_equal(sl_lambda__payload_check(sl_str_n(text, depth), &err), SL_E_INVALID_REQUEST_CONTENT);
    assert_non_null(strstr(err.message, "Document nesting depth (1001) exceeds the maximum allowed (1000"));
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_passes),
        cmocka_unit_test(bytes_that_are_no_utf8_are_named_as_recorded),
        cmocka_unit_test(words_and_characters_are_named),
        cmocka_unit_test(nesting_beyond_the_limit_is_refused_at_any_depth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
