// SPDX-License-Identifier: Apache-2.0
//
// IAM policy evaluation: principals, wildcards, conditions, and that everything fails closed.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aws/policy.h"

static struct sl_arena arena;

static struct sl_json *parse(const char *text) {
    struct sl_json *node = NULL;
    struct sl_error err;
    if (sl_json_parse(&arena, sl_str_of(text), &node, &err)) fail_msg("%s: %s", err.message, text);
    return node;
}

static const struct sl_policy_value source[] = {
    {SL_STR_INIT("aws:SourceArn"), SL_STR_INIT("arn:aws:execute-api:us-east-1:123456789012:abc/prod/GET/x")},
    {SL_STR_INIT("AWS:SourceAccount"), SL_STR_INIT("123456789012")},
    {SL_STR_INIT("aws:SecureTransport"), SL_STR_INIT("false")},
    {SL_STR_INIT("aws:SourceIp"), SL_STR_INIT("10.1.2.3")},
    {SL_STR_INIT("aws:CurrentTime"), SL_STR_INIT("2026-01-02T03:04:05Z")},
    {SL_STR_INIT("n"), SL_STR_INIT("10")},
    {SL_STR_INIT("tags"), SL_STR_INIT("a")},
    {SL_STR_INIT("tags"), SL_STR_INIT("b")},
};

static struct sl_policy_request gateway(void) {
    return (struct sl_policy_request){.service = SL_STR("apigateway.amazonaws.com"),
                                      .action = SL_STR("lambda:InvokeFunction"),
                                      .resource = SL_STR("arn:aws:lambda:us-east-1:123456789012:function:demo"),
                                      .values = source,
                                      .value_count = sizeof source / sizeof *source};
}

#define ALLOW_INVOKE                                                                                                   \
    "\"Effect\":\"Allow\",\"Action\":\"lambda:InvokeFunction\",\"Resource\":\"arn:aws:lambda:us-east-1:123456789012:"  \
    "function:demo\""

static void the_policy_that_add_permission_writes_allows_its_service_only(void **state) {
    (void)state;
    struct sl_json *policy = parse(
        "{\"Version\":\"2012-10-17\",\"Id\":\"default\",\"Statement\":[{\"Sid\":\"s\"," ALLOW_INVOKE
        ",\"Principal\":{\"Service\":\"apigateway.amazonaws.com\"},"
        "\"Condition\":{\"ArnLike\":{\"AWS:SourceArn\":\"arn:aws:execute-api:us-east-1:123456789012:abc/*/*/x\"}}}]}");
    struct sl_policy_request request = gateway();
    assert_true(sl_policy_allows(policy, &request));
    request.service = SL_STR("events.amazonaws.com");
    assert_false(sl_policy_allows(policy, &request));
    request = gateway();
    request.action = SL_STR("lambda:DeleteFunction");
    assert_false(sl_policy_allows(policy, &request));
    request = gateway();
    request.resource = SL_STR("arn:aws:lambda:us-east-1:123456789012:function:other");
    assert_false(sl_policy_allows(policy, &request));
    request = gateway();
    request.value_count = 0; // no SourceArn at all
    assert_false(sl_policy_allows(policy, &request));
}

static void an_explicit_deny_wins_wherever_it_stands(void **state) {
    (void)state;
    struct sl_policy_request request = gateway();
    struct sl_json *first = parse("{\"Statement\":[{\"Effect\":\"Deny\",\"Principal\":\"*\",\"Action\":\"lambda:*\","
                                  "\"Resource\":\"*\"},{" ALLOW_INVOKE ",\"Principal\":\"*\"}]}");
    struct sl_json *last =
        parse("{\"Statement\":[{" ALLOW_INVOKE ",\"Principal\":\"*\"},{\"Effect\":\"Deny\",\"Principal\":\"*\","
              "\"Action\":\"LAMBDA:Invoke*\",\"Resource\":\"*\"}]}");
    assert_int_equal(sl_policy_evaluate(first, &request), SL_POLICY_DENY);
    assert_int_equal(sl_policy_evaluate(last, &request), SL_POLICY_DENY);
    assert_int_equal(sl_policy_evaluate(parse("{\"Statement\":[]}"), &request), SL_POLICY_SILENT);
    assert_int_equal(sl_policy_evaluate(NULL, &request), SL_POLICY_SILENT);
    assert_int_equal(sl_policy_evaluate(parse("\"x\""), &request), SL_POLICY_SILENT);
}

static bool principal_allows(const char *principal, struct sl_policy_request request) {
    struct sl_str text = sl_arena_printf(&arena, "{\"Statement\":{" ALLOW_INVOKE ",\"Principal\":%s}}", principal);
    return sl_policy_allows(parse(sl_arena_cstr(&arena, text)), &request);
}

static void principals_are_accounts_roots_arns_and_services(void **state) {
    (void)state;
    struct sl_policy_request caller = gateway();
    caller.service = (struct sl_str){0};
    caller.account = SL_STR("111122223333");
    caller.caller = SL_STR("arn:aws:iam::111122223333:user/ann");
    assert_true(principal_allows("\"*\"", caller));
    assert_true(principal_allows("{\"AWS\":\"*\"}", caller));
    assert_true(principal_allows("{\"AWS\":\"111122223333\"}", caller));
    assert_true(principal_allows("{\"AWS\":\"arn:aws:iam::111122223333:root\"}", caller));
    assert_true(principal_allows("{\"AWS\":[\"x\",\"arn:aws:iam::111122223333:user/ann\"]}", caller));
    assert_false(principal_allows("{\"AWS\":\"arn:aws:iam::111122223333:user/bob\"}", caller));
    assert_false(principal_allows("{\"AWS\":\"arn:aws:iam::111122223333:user/*\"}", caller));
    assert_false(principal_allows("{\"AWS\":\"444455556666\"}", caller));
    assert_false(principal_allows("{\"Service\":\"apigateway.amazonaws.com\"}", caller));
    assert_false(principal_allows("{}", caller));
    assert_false(principal_allows("null", caller));
    struct sl_policy_request anonymous = gateway();
    anonymous.service = (struct sl_str){0};
    assert_true(principal_allows("\"*\"", anonymous));
    assert_true(principal_allows("{\"AWS\":\"*\"}", anonymous));
    assert_false(principal_allows("{\"AWS\":\"111122223333\"}", anonymous));
    assert_false(principal_allows("{\"AWS\":\"*\"}", gateway())); // a service is no AWS principal
    assert_true(sl_policy_allows(
        parse("{\"Statement\":{" ALLOW_INVOKE ",\"NotPrincipal\":{\"AWS\":\"444455556666\"}}}"), &caller));
    assert_false(sl_policy_allows(
        parse("{\"Statement\":{" ALLOW_INVOKE ",\"NotPrincipal\":{\"AWS\":\"111122223333\"}}}"), &caller));
}

static enum sl_policy_effect under(const char *effect, const char *condition) {
    struct sl_policy_request request = gateway();
    struct sl_str text = sl_arena_printf(&arena,
                                         "{\"Statement\":[{\"Effect\":\"%s\",\"Principal\":\"*\",\"Action\":\"*\","
                                         "\"Resource\":\"*\",\"Condition\":%s}]}",
                                         effect, condition);
    return sl_policy_evaluate(parse(sl_arena_cstr(&arena, text)), &request);
}

static void conditions_hold_or_not(void **state) {
    (void)state;
    static const char *const hold[] = {
        "{\"StringEquals\":{\"aws:sourceaccount\":\"123456789012\"}}",
        "{\"StringEquals\":{\"aws:SourceAccount\":[\"x\",\"123456789012\"]}}",
        "{\"StringNotEquals\":{\"aws:SourceAccount\":\"x\"}}",
        "{\"StringNotEquals\":{\"absent\":\"x\"}}",
        "{\"StringEqualsIfExists\":{\"absent\":\"x\"}}",
        "{\"StringEqualsIgnoreCase\":{\"tags\":\"A\"}}",
        "{\"StringLike\":{\"aws:SourceArn\":\"arn:aws:execute-api:*:abc/pro?/*\"}}",
        "{\"ArnEquals\":{\"aws:SourceArn\":\"arn:aws:execute-api:us-east-1:123456789012:abc/*\"}}",
        "{\"Bool\":{\"aws:SecureTransport\":false}}",
        "{\"Bool\":{\"aws:SecureTransport\":\"false\"}}",
        "{\"IpAddress\":{\"aws:SourceIp\":[\"192.168.0.0/16\",\"10.0.0.0/8\"]}}",
        "{\"NotIpAddress\":{\"aws:SourceIp\":\"192.168.0.0/16\"}}",
        "{\"DateGreaterThan\":{\"aws:CurrentTime\":\"2026-01-01T00:00:00Z\"}}",
        "{\"NumericLessThanEquals\":{\"n\":10}}",
        "{\"Null\":{\"absent\":\"true\"}}",
        "{\"Null\":{\"n\":false}}",
        "{\"ForAllValues:StringEquals\":{\"tags\":[\"a\",\"b\",\"c\"]}}",
        "{\"ForAnyValue:StringEquals\":{\"tags\":[\"b\",\"z\"]}}",
        "{\"StringEquals\":{\"n\":\"10\"},\"Null\":{\"absent\":true}}",
    };
    static const char *const fail[] = {
        "{\"StringEquals\":{\"aws:SourceAccount\":\"12345678901\"}}",
        "{\"StringEquals\":{\"absent\":\"x\"}}",
        "{\"StringNotEquals\":{\"aws:SourceAccount\":[\"x\",\"123456789012\"]}}",
        "{\"StringLike\":{\"aws:SourceArn\":\"arn:aws:execute-api\"}}",
        "{\"ArnLike\":{\"aws:SourceArn\":\"arn:*:abc/prod/GET/x\"}}", // a wildcard does not reach over the ARN's parts
        "{\"Bool\":{\"aws:SecureTransport\":\"true\"}}",
        "{\"IpAddress\":{\"aws:SourceIp\":\"10.2.0.0/16\"}}",
        "{\"DateLessThan\":{\"aws:CurrentTime\":\"2026-01-01T00:00:00Z\"}}",
        "{\"NumericGreaterThan\":{\"n\":\"10\"}}",
        "{\"Null\":{\"n\":\"true\"}}",
        "{\"ForAllValues:StringEquals\":{\"tags\":[\"a\",\"c\"]}}",
        "{\"ForAnyValue:StringEquals\":{\"tags\":\"z\"}}",
        "{\"StringEquals\":{\"n\":\"10\",\"absent\":\"x\"}}",
    };
    for (size_t i = 0; i < sizeof hold / sizeof *hold; i++) {
        if (under("Allow", hold[i]) != SL_POLICY_ALLOW) fail_msg("does not hold: %s", hold[i]);
    }
    for (size_t i = 0; i < sizeof fail / sizeof *fail; i++) {
        if (under("Allow", fail[i]) != SL_POLICY_SILENT) fail_msg("holds: %s", fail[i]);
        if (under("Deny", fail[i]) != SL_POLICY_SILENT) fail_msg("holds: %s", fail[i]);
    }
}

static void what_is_not_understood_never_allows_and_always_denies(void **state) {
    (void)state;
    static const char *const odd[] = {"{\"StringSounds\":{\"n\":\"10\"}}", "{\"NumericEquals\":{\"n\":\"ten\"}}", "[]",
                                      "{\"IpAddress\":{\"aws:SourceIp\":\"10.0.0.0/99\"}}",
                                      "{\"Bool\":{\"aws:SecureTransport\":{}}}"};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        if (under("Allow", odd[i]) != SL_POLICY_SILENT) fail_msg("allows: %s", odd[i]);
        if (under("Deny", odd[i]) != SL_POLICY_DENY) fail_msg("does not deny: %s", odd[i]);
    }
    assert_int_equal(under("Perhaps", "{}"), SL_POLICY_SILENT);
}

static void an_authorizers_policy_has_no_principal_but_needs_a_resource(void **state) {
    (void)state;
    struct sl_policy_request request = {.action = SL_STR("execute-api:Invoke"),
                                        .resource = SL_STR("arn:aws:execute-api:us-east-1:1:abc/prod/GET/pets"),
                                        .identity = true};
    assert_true(sl_policy_allows(parse("{\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"execute-api:Invoke\","
                                       "\"Resource\":[\"arn:aws:execute-api:us-east-1:1:abc/prod/GET/*\"]}]}"),
                                 &request));
    assert_false(sl_policy_allows(parse("{\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"execute-api:Invoke\","
                                        "\"Resource\":[\"arn:aws:execute-api:us-east-1:1:abc/prod/POST/*\"]}]}"),
                                  &request));
    assert_false(sl_policy_allows(parse("{\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"execute-api:Invoke\"}]}"),
                                  &request));
    assert_true(sl_policy_allows(
        parse("{\"Statement\":[{\"Effect\":\"Allow\",\"NotAction\":\"s3:*\",\"NotResource\":\"arn:aws:s3:::x\"}]}"),
        &request));
}

static void wildcards_match_as_documented(void **state) {
    (void)state;
    static const struct {
        const char *pattern, *text;
        bool match;
    } cases[] = {
        {"", "", true},         {"*", "", true},         {"?", "", false},
        {"a*c", "abbbc", true}, {"a*c", "abbbd", false}, {"*a*b*", "xxaxxbxx", true},
        {"a?c", "abc", true},   {"**", "x", true},       {"abc", "ab", false},
        {"ab", "abc", false},   {"*ab", "aab", true},    {"a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaa", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(sl_policy_glob(sl_str_of(cases[i].pattern), sl_str_of(cases[i].text), false), cases[i].match);
    }
    assert_true(sl_policy_glob(SL_STR("Lambda:*"), SL_STR("lambda:x"), true));
    assert_false(sl_policy_glob(SL_STR("Lambda:*"), SL_STR("lambda:x"), false));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_policy_that_add_permission_writes_allows_its_service_only),
        cmocka_unit_test(an_explicit_deny_wins_wherever_it_stands),
        cmocka_unit_test(principals_are_accounts_roots_arns_and_services),
        cmocka_unit_test(conditions_hold_or_not),
        cmocka_unit_test(what_is_not_understood_never_allows_and_always_denies),
        cmocka_unit_test(an_authorizers_policy_has_no_principal_but_needs_a_resource),
        cmocka_unit_test(wildcards_match_as_documented),
    };
    sl_arena_init(&arena, 8 << 20);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    sl_arena_free(&arena);
    return failed;
}
