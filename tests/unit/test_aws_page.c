// SPDX-License-Identifier: Apache-2.0
//
// Paging tokens, ARNs and the ways to name a function.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aws/arn.h"
#include "aws/page.h"

static struct sl_arena arena;

static void a_token_gives_back_its_id(void **state) {
    (void)state;
    struct sl_str id, token = sl_page_token(&arena, SL_STR("a/b"), SL_STR("function-17"));
    assert_true(token.len > 0);
    assert_true(sl_page_open(&arena, SL_STR("a/b"), token, &id));
    assert_true(sl_str_is(id, "function-17"));
    token = sl_page_token(&arena, SL_STR("a/b"), SL_STR(""));
    assert_true(sl_page_open(&arena, SL_STR("a/b"), token, &id));
    assert_int_equal(id.len, 0);
}

static void a_token_of_another_listing_is_refused(void **state) {
    (void)state;
    struct sl_str id, token = sl_page_token(&arena, SL_STR("a/b"), SL_STR("x"));
    assert_false(sl_page_open(&arena, SL_STR("a/c"), token, &id));
    assert_false(sl_page_open(&arena, SL_STR(""), token, &id));
    // The border between scope and id cannot be moved.
    token = sl_page_token(&arena, SL_STR("a"), SL_STR("bx"));
    assert_false(sl_page_open(&arena, SL_STR("ab"), token, &id));
}

static void every_changed_byte_is_noticed(void **state) {
    (void)state;
    struct sl_str id, token = sl_page_token(&arena, SL_STR("scope"), SL_STR("id"));
    char *copy = sl_arena_cstr(&arena, token);
    for (size_t i = 0; i < token.len; i++) {
        char before = copy[i];
        copy[i] = before == 'A' ? 'B' : 'A';
        assert_false(sl_page_open(&arena, SL_STR("scope"), sl_str_of(copy), &id));
        copy[i] = before;
    }
    assert_true(sl_page_open(&arena, SL_STR("scope"), sl_str_of(copy), &id));
    assert_false(sl_page_open(&arena, SL_STR("scope"), SL_STR(""), &id));
    assert_false(sl_page_open(&arena, SL_STR("scope"), SL_STR("bm9uc2Vuc2U="), &id));
    assert_false(sl_page_open(&arena, SL_STR("scope"), sl_str_sub(token, 0, token.len - 4), &id));
}

static void arns_are_taken_apart_and_put_together(void **state) {
    (void)state;
    struct sl_arn arn;
    struct sl_str text = SL_STR("arn:aws:lambda:us-east-1:123456789012:function:demo:PROD");
    assert_true(sl_arn_parse(text, &arn));
    assert_true(sl_str_is(arn.service, "lambda"));
    assert_true(sl_str_is(arn.resource, "function:demo:PROD"));
    assert_true(sl_str_eq(sl_arn_format(&arena, &arn), text));
    assert_true(sl_arn_parse(SL_STR("arn:aws:s3:::bucket/key"), &arn));
    assert_int_equal(arn.region.len, 0);
    static const char *const broken[] = {"",
                                         "arn",
                                         "arn:aws:lambda:us-east-1:123456789012",
                                         "arn:aws:lambda:us-east-1:123456789012:",
                                         "arm:a:b:c:d:e",
                                         "arn::lambda:r:a:x"};
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) assert_false(sl_arn_parse(sl_str_of(broken[i]), &arn));
}

static void functions_may_be_named_in_every_documented_way(void **state) {
    (void)state;
    static const struct {
        const char *text, *region, *account, *name, *qualifier;
    } cases[] = {
        {"demo", "", "", "demo", ""},
        {"demo:PROD", "", "", "demo", "PROD"},
        {"demo:$LATEST", "", "", "demo", "$LATEST"},
        {"function:demo", "", "", "demo", ""},
        {"function", "", "", "function", ""},
        {"123456789012:function:demo", "", "123456789012", "demo", ""},
        {"123456789012:function:demo:7", "", "123456789012", "demo", "7"},
        {"us-east-1:123456789012:function:demo", "us-east-1", "123456789012", "demo", ""},
        {"arn:aws:lambda:eu-central-1:123456789012:function:demo", "eu-central-1", "123456789012", "demo", ""},
        {"arn:aws:lambda:eu-central-1:123456789012:function:demo:$LATEST", "eu-central-1", "123456789012", "demo",
         "$LATEST"},
        {"arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:function", "us-gov-west-1", "123456789012",
         "function", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sl_function_ref ref;
        if (!sl_function_ref_parse(sl_str_of(cases[i].text), &ref)) fail_msg("refused: %s", cases[i].text);
        assert_true(sl_str_is(ref.region, cases[i].region) && sl_str_is(ref.account, cases[i].account));
        assert_true(sl_str_is(ref.name, cases[i].name) && sl_str_is(ref.qualifier, cases[i].qualifier));
    }
    static const char *const broken[] = {
        "", ":", "demo:", "a:b:c", "arn:aws:lambda:us-east-1:123456789012:function:", "a:b:c:d:e:f:g:h:i"};
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        struct sl_function_ref ref;
        if (sl_function_ref_parse(sl_str_of(broken[i]), &ref)) fail_msg("accepted: %s", broken[i]);
    }
}

static void function_arns_carry_the_qualifier_only_if_there_is_one(void **state) {
    (void)state;
    struct sl_str aws = SL_STR("aws"), region = SL_STR("us-east-1"), account = SL_STR("000000000000"),
                  name = SL_STR("demo");
    assert_true(sl_str_is(sl_arn_function(&arena, aws, region, account, name, (struct sl_str){0}),
                          "arn:aws:lambda:us-east-1:000000000000:function:demo"));
    assert_true(sl_str_is(sl_arn_function(&arena, aws, region, account, name, SL_STR("3")),
                          "arn:aws:lambda:us-east-1:000000000000:function:demo:3"));
    assert_true(sl_str_is(sl_partition_of(SL_STR("cn-north-1")), "aws-cn"));
    assert_true(sl_str_is(sl_partition_of(SL_STR("us-gov-east-1")), "aws-us-gov"));
    assert_true(sl_str_is(sl_partition_of(region), "aws"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_gives_back_its_id),
        cmocka_unit_test(a_token_of_another_listing_is_refused),
        cmocka_unit_test(every_changed_byte_is_noticed),
        cmocka_unit_test(arns_are_taken_apart_and_put_together),
        cmocka_unit_test(functions_may_be_named_in_every_documented_way),
        cmocka_unit_test(function_arns_carry_the_qualifier_only_if_there_is_one),
    };
    sl_arena_init(&arena, 1 << 20);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    sl_arena_free(&arena);
    return failed;
}
