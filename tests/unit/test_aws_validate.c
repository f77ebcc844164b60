// SPDX-License-Identifier: Apache-2.0
//
// Decoding and constraint failures. The expected messages are AWS's own, recorded (placeholders filled in); those
// marked "general" follow from the same rules but were not recorded for that member.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aws/codec.h"
#include "http/http.h"

static struct sl_arena arena;

struct outcome {
    int kind;
    const char *message;
    struct sl_json *in;
};

// Routes, decodes and validates; sl_str_of(NULL) body is none.
static struct outcome run(const char *service, const char *method, const char *path, const char *query,
                          const char *body) {
    struct sl_route route;
    struct sl_aws_request request = {
        .method = sl_str_of(method), .path = sl_str_of(path), .query = sl_str_of(query), .body = sl_str_of(body)};
    struct outcome out = {0};
    static struct sl_error err;
    if (!sl_route_any(sl_str_of(service), &request, &route)) fail_msg("%s %s is not routed", method, path);
    out.kind = sl_rest_json_decode(&arena, &route, &request, &out.in, &err);
    out.message = err.message;
    if (out.kind) return out;
    struct sl_str message = {0};
    out.kind = sl_validate(&arena, route.operation, out.in, &message);
    out.message = out.kind ? sl_arena_cstr(&arena, message) : NULL;
    return out;
}

static void expect(int kind, const char *message, const char *service, const char *method, const char *path,
                   const char *query, const char *body) {
    struct outcome out = run(service, method, path, query, body);
    if (out.kind != kind)
        fail_msg("%s %s: kind %d, not %d: %s", method, path, out.kind, kind, out.message ? out.message : "");
    if (message) assert_string_equal(out.message, message);
}

#define ROLE "\"Role\":\"arn:aws:iam::123456789012:role/r\""
#define NAME "\"FunctionName\":\"f\""
#define CODE "\"Code\":{\"ZipFile\":\"UEsFBg==\"}"

static void create_function_messages_are_as_recorded(void **state) {
    (void)state;
    const char *path = "/2015-03-31/functions";
    expect(SL_E_VALIDATION,
           "1 validation error detected: Value '[X86_64]' at 'architectures' failed to satisfy constraint: Member must "
           "satisfy constraint: [Member must satisfy "
           "enum value set: [x86_64, arm64], Member must not be null]",
           "lambda", "POST", path, NULL, "{" NAME "," ROLE "," CODE ",\"Architectures\":[\"X86_64\"]}");
    expect(SL_E_VALIDATION,
           "1 validation error detected: Value '[x86_64, arm64]' at 'architectures' failed to satisfy constraint: "
           "Member must have length less than or equal to 1",
           "lambda", "POST", path, NULL, "{" NAME "," ROLE "," CODE ",\"Architectures\":[\"x86_64\",\"arm64\"]}");
    expect(SL_E_VALIDATION,
           "1 validation error detected: Value 'r1' at 'role' failed to satisfy constraint: Member must satisfy "
           "regular expression pattern: "
           "arn:(aws[a-zA-Z-]*)?:iam::\\d{12}:role/?[a-zA-Z_0-9+=,.@\\-_/]+",
           "lambda", "POST", path, NULL, "{" NAME ",\"Role\":\"r1\"," CODE "}");
    expect(SL_E_VALIDATION,
           "1 validation error detected: Value 'invalidOption' at 'snapStart.applyOn' failed to satisfy constraint: "
           "Member must satisfy enum value set: "
           "[PublishedVersions, None]",
           "lambda", "POST", path, NULL, "{" NAME "," ROLE "," CODE ",\"SnapStart\":{\"ApplyOn\":\"invalidOption\"}}");
    expect(SL_E_VALIDATION,
           "1 validation error detected: Value '[notasubnet]' at 'vpcConfig.subnetIds' failed to satisfy constraint: "
           "Member must satisfy constraint: [Member must have "
           "length less than or equal to 1024, Member must have length greater than or equal to 0, Member must satisfy "
           "regular expression pattern: subnet-[0-9a-z]*]",
           "lambda", "POST", path, NULL, "{" NAME "," ROLE "," CODE ",\"VpcConfig\":{\"SubnetIds\":[\"notasubnet\"]}}");
    // Lambda words a wrong runtime itself, so the engine lets it pass.
    expect(SL_OK, NULL, "lambda", "POST", path, NULL,
           "{" NAME "," ROLE "," CODE ",\"Runtime\":\"cobol\",\"Unknown\":1,\"Description\":null}");
}

static void several_failures_are_counted_and_joined(void **state) {
    (void)state;
    expect(
        SL_E_VALIDATION,
        "2 validation errors detected: Value '[invalidruntime]' at 'compatibleRuntimes' failed to satisfy constraint: "
        "Member must satisfy enum value set: "
        "[nodejs20.x, python3.14, provided.al2023, python3.12, python3.13, nodejs24.x, nodejs22.x, java25, python3.10, "
        "python3.11, java21, ruby3.3, ruby3.4, "
        "ruby3.2, python3.8, python3.9, java17, nodejs16.x, dotnet10, dotnet8, java11, dotnet6, nodejs18.x, "
        "provided.al2, java8.al2]; Value '[invalidarch]' at "
        "'compatibleArchitectures' failed to satisfy constraint: Member must satisfy constraint: [Member must satisfy "
        "enum value set: [x86_64, arm64], Member "
        "must not be null]",
        "lambda", "POST", "/2018-10-31/layers/l/versions", NULL,
        "{\"Content\":{},\"CompatibleRuntimes\":[\"invalidruntime\"],\"CompatibleArchitectures\":[\"invalidarch\"]}");
    expect(SL_E_VALIDATION, // general
           "3 validation errors detected: Value null at 'functionName' failed to satisfy constraint: Member must not "
           "be null; Value null at 'role' failed to satisfy "
           "constraint: Member must not be null; Value null at 'code' failed to satisfy constraint: Member must not be "
           "null",
           "lambda", "POST", "/2015-03-31/functions", NULL, "");
}

static void numbers_maps_and_lists_print_as_java_prints_them(void **state) {
    (void)state;
    const char *alias = "/2015-03-31/functions/f/aliases/a";
    expect(SL_E_VALIDATION,
           "1 validation error detected: Value '{2=-1.0}' at 'routingConfig.additionalVersionWeights' failed to "
           "satisfy constraint: Map value must satisfy constraint: "
           "[Member must have value less than or equal to 1.0, Member must have value greater than or equal to 0.0, "
           "Member must not be null]",
           "lambda", "PUT", alias, NULL, "{\"RoutingConfig\":{\"AdditionalVersionWeights\":{\"2\":-1}}}");
    expect(SL_E_VALIDATION,
           "1 validation error detected: Value '{$LATEST=0.5}' at 'routingConfig.additionalVersionWeights' failed to "
           "satisfy constraint: Map keys must satisfy constraint: "
           "[Member must have length less than or equal to 1024, Member must have length greater than or equal to 1, "
           "Member must satisfy regular expression pattern: "
           "[0-9]+]",
           "lambda", "PUT", alias, NULL, "{\"RoutingConfig\":{\"AdditionalVersionWeights\":{\"$LATEST\":0.5}}}");
    expect(SL_E_VALIDATION,
           "1 validation error detected: Value '0' at 'provisionedConcurrentExecutions' failed to satisfy constraint: "
           "Member must have value greater than or equal to 1",
           "lambda", "PUT", "/2019-09-30/functions/f/provisioned-concurrency", "Qualifier=1",
           "{\"ProvisionedConcurrentExecutions\":0}");
    expect(SL_E_VALIDATION,
           "1 validation error detected: Value null at 'tagKeys' failed to satisfy constraint: Member must not be null",
           "lambda", "DELETE", "/2017-03-31/tags/arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Ax", NULL,
           "");
}

static void a_sensitive_value_is_left_out(void **state) {
    (void)state;
    expect(SL_E_VALIDATION,
           "1 validation error detected: Value at 'environment.variables' failed to satisfy constraint: Map keys must "
           "satisfy constraint: [Member must satisfy regular "
           "expression pattern: [a-zA-Z]([a-zA-Z0-9_])+]",
           "lambda", "PUT", "/2015-03-31/functions/f/configuration", NULL,
           "{\"Environment\":{\"Variables\":{\"1bad\":\"secret\"}}}");
}

static void uri_query_and_header_members_are_checked_too(void **state) {
    (void)state;
    expect(SL_E_VALIDATION,
           "1 validation error detected: Value 'invalid' at 'functionVersion' failed to satisfy constraint: Member "
           "must satisfy enum value set: [ALL]",
           "lambda", "GET", "/2015-03-31/functions", "FunctionVersion=invalid", "");
    expect(SL_E_VALIDATION,
           "1 validation error detected: Value '$LATEST' at 'qualifier' failed to satisfy constraint: Member must "
           "satisfy regular expression pattern: "
           "((?!^\\d+$)^[0-9a-zA-Z-_]+$)",
           "lambda", "GET", "/2021-10-31/functions/f/url", "Qualifier=%24LATEST", "");
    expect(SL_E_VALIDATION,
           "1 validation error detected: Value 'invalid:function:name' at 'functionName' failed to satisfy constraint: "
           "Member must satisfy regular expression pattern: "
           "(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\\d{1}:)?(\\d{12}:)?("
           "function:)?([a-zA-Z0-9-_]+)(:(\\$LATEST|[a-zA-Z0-9-_]+))?",
           "lambda", "GET", "/2019-09-30/functions/invalid%3Afunction%3Aname/concurrency", NULL, "");
}

static void enum_values_stand_in_awss_order(void **state) {
    (void)state;
    expect(SL_E_VALIDATION,
           "1 validation error detected: Value 'UNKNOWN' at 'invokeMode' failed to satisfy constraint: Member must "
           "satisfy enum value set: [RESPONSE_STREAM, BUFFERED]",
           "lambda", "POST", "/2021-10-31/functions/f/url", NULL, "{\"AuthType\":\"NONE\",\"InvokeMode\":\"UNKNOWN\"}");
    expect(SL_E_VALIDATION,
           "1 validation error detected: Value 'InvalidValue' at 'recursiveLoop' failed to satisfy constraint: Member "
           "must satisfy enum value set: [Terminate, Allow]",
           "lambda", "PUT", "/2024-08-31/functions/f/recursion-config", NULL, "{\"RecursiveLoop\":\"InvalidValue\"}");
}

static void rest_api_messages_show_the_body_object_and_list_positions(void **state) {
    (void)state;
    expect(SL_E_VALIDATION,
           "2 validation errors detected: Value '[wrong]' at 'createRestApiInput.endpointConfiguration.types' failed "
           "to satisfy constraint: Member must satisfy "
           "constraint: [Member must satisfy enum value set: [PRIVATE, EDGE, REGIONAL]]; Value 'wrong' at "
           "'createRestApiInput.endpointConfiguration.ipAddressType' "
           "failed to satisfy constraint: Member must satisfy enum value set: [ipv4, dualstack]",
           "apigateway", "POST", "/restapis", NULL,
           "{\"name\":\"n\",\"endpointConfiguration\":{\"types\":[\"wrong\"],\"ipAddressType\":\"wrong\"}}");
    expect(SL_E_VALIDATION,
           "2 validation errors detected: Value 'wrong_op' at 'updateMethodResponseInput.patchOperations.1.member.op' "
           "failed to satisfy constraint: Member must satisfy "
           "enum value set: [add, remove, move, test, replace, copy]; Value 'wrong' at 'statusCode' failed to satisfy "
           "constraint: Member must satisfy regular "
           "expression pattern: [1-5]\\d\\d",
           "apigateway", "PATCH", "/restapis/a/resources/r/methods/GET/responses/wrong", NULL,
           "{\"patchOperations\":[{\"op\":\"wrong_op\",\"path\":\"/x\"}]}");
    expect(SL_E_VALIDATION,
           "1 validation error detected: Value 'HTTPS_PROXY' at 'putIntegrationInput.type' failed to satisfy "
           "constraint: Member must satisfy enum value set: [HTTP, "
           "MOCK, AWS_PROXY, HTTP_PROXY, AWS]",
           "apigateway", "PUT", "/restapis/a/resources/r/methods/GET/integration", NULL, "{\"type\":\"HTTPS_PROXY\"}");
}

static void http_apis_answer_bad_request(void **state) {
    (void)state;
    expect(SL_E_BAD_REQUEST, "Invalid protocol specified. Must be one of [HTTP, WEBSOCKET]", "apigateway", "POST",
           "/v2/apis", NULL, "{\"name\":\"n\",\"protocolType\":\"?\"}");
    expect(SL_E_BAD_REQUEST, NULL, "apigateway", "POST", "/v2/apis", NULL, "{\"protocolType\":\"HTTP\"}");
    expect(SL_OK, NULL, "apigateway", "POST", "/v2/apis", NULL, "{\"name\":\"n\",\"protocolType\":\"HTTP\"}");
}

static void values_of_another_type_are_serialization_errors(void **state) {
    (void)state;
    const char *path = "/2015-03-31/functions";
    expect(SL_E_SERIALIZATION, "class java.lang.Boolean can not be converted to an String", "lambda", "POST", path,
           NULL, "{\"FunctionName\":true}");
    expect(SL_E_SERIALIZATION,
           "class com.amazon.coral.value.json.numbers.TruncatingBigNumber can not be converted to an String", "lambda",
           "POST", path, NULL, "{\"Environment\":{\"Variables\":{\"A\":1}}}");
    expect(SL_E_SERIALIZATION, "class java.lang.String can not be converted to an Integer", "lambda", "POST", path,
           NULL, "{\"MemorySize\":\"128\"}");
    expect(SL_E_SERIALIZATION, "Start of list found where not expected", "lambda", "POST", path, NULL, "{\"Code\":[]}");
    expect(SL_E_SERIALIZATION, "Start of structure or map found where not expected", "lambda", "POST", path, NULL,
           "{\"Layers\":{}}");
    expect(SL_E_SERIALIZATION, "Start of list found where not expected", "lambda", "POST", path, NULL, "[]");
    expect(SL_E_SERIALIZATION, NULL, "lambda", "POST", path, NULL, "{\"FunctionName\":");
    expect(SL_E_SERIALIZATION, NULL, "lambda", "POST", path, NULL, "{\"Code\":{\"ZipFile\":\"not base64!\"}}");
    expect(SL_E_SERIALIZATION, "For input string: \"many\"", "lambda", "GET", path, "MaxItems=many", "");
}

static void input_is_keyed_by_member_names_and_typed(void **state) {
    (void)state;
    struct outcome out = run("apigateway", "POST", "/v2/apis", NULL,
                             "{\"name\":\"n\",\"protocolType\":\"HTTP\",\"corsConfiguration\":{\"allowOrigins\":[\"*\"]"
                             ",\"maxAge\":5},\"tags\":{\"Key\":\"v\"},\"version\":null}");
    assert_int_equal(out.kind, 0);
    assert_true(sl_str_is(sl_json_string(out.in, "Name"), "n"));
    assert_int_equal(sl_json_int(sl_json_get(out.in, "CorsConfiguration"), "MaxAge", 0), 5);
    assert_true(sl_str_is(sl_json_string(sl_json_get(out.in, "Tags"), "Key"), "v"));
    assert_null(sl_json_get(out.in, "Version"));
    out = run("lambda", "PUT", "/2015-03-31/functions/f/code", NULL, "{\"ZipFile\":\"AAEC\",\"Publish\":true}");
    assert_int_equal(out.kind, 0);
    struct sl_str zip = sl_json_string(out.in, "ZipFile");
    assert_int_equal(zip.len, 3);
    assert_memory_equal(zip.ptr, "\0\1\2", 3);
    out = run("lambda", "DELETE", "/2017-03-31/tags/arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Ax",
              "tagKeys=a+b&tagKeys=c%26", "");
    assert_int_equal(out.kind, 0);
    assert_true(sl_str_is(sl_json_get(out.in, "TagKeys")->first->text, "a b") &&
                sl_str_is(sl_json_get(out.in, "TagKeys")->last->text, "c&"));
    out = run("apigateway", "PUT", "/restapis/a", "mode=merge&failonwarnings=true&basepath=prepend", "openapi: 3");
    assert_int_equal(out.kind, 0);
    assert_true(sl_str_is(sl_json_string(out.in, "mode"), "merge"));
    assert_true(sl_json_bool(out.in, "failOnWarnings", false));
    assert_int_equal(sl_json_get(out.in, "parameters")->count, 1);
    assert_true(sl_str_is(sl_json_string(sl_json_get(out.in, "parameters"), "basepath"), "prepend"));
    assert_true(sl_str_is(sl_json_string(out.in, "body"), "openapi: 3"));
    out = run("lambda", "POST", "/2015-03-31/event-source-mappings", NULL,
              "{\"FunctionName\":\"f\",\"StartingPositionTimestamp\":1.5}");
    assert_int_equal(sl_json_int(out.in, "StartingPositionTimestamp", 0), 1500);
    out = run("lambda", "POST", "/2015-03-31/event-source-mappings", NULL,
              "{\"FunctionName\":\"f\",\"StartingPositionTimestamp\":\"2026-01-02T03:04:05.250+01:00\"}");
    assert_int_equal(sl_json_int(out.in, "StartingPositionTimestamp", 0), 1767319445250);
}

static void headers_and_a_blob_payload_reach_invoke(void **state) {
    (void)state;
    struct sl_http_header headers[] = {{SL_STR("x-amz-invocation-type"), SL_STR("Event")},
                                       {SL_STR("X-Amz-Log-Type"), SL_STR("Tail")}};
    struct sl_aws_request request = {.method = SL_STR("POST"),
                                     .path = SL_STR("/2015-03-31/functions/f/invocations"),
                                     .headers = headers,
                                     .header_count = 2,
                                     .body = SL_STR("not json, but bytes")};
    struct sl_route route;
    struct sl_json *in = NULL;
    struct sl_error err;
    assert_true(sl_route_any(SL_STR("lambda"), &request, &route));
    assert_int_equal(sl_rest_json_decode(&arena, &route, &request, &in, &err), 0);
    assert_true(sl_str_is(sl_json_string(in, "InvocationType"), "Event"));
    assert_true(sl_str_is(sl_json_string(in, "LogType"), "Tail"));
    assert_ptr_equal(sl_json_string(in, "Payload").ptr, request.body.ptr); // not copied
    struct sl_str message;
    assert_int_equal(sl_validate(&arena, route.operation, in, &message), 0);
}

static void a_form_is_read_by_the_query_protocol(void **state) {
    (void)state;
    const struct sl_operation *operation = sl_operation_find(sl_service_find(SL_STR("iam")), SL_STR("CreateRole"));
    struct sl_aws_request request = {
        .method = SL_STR("POST"),
        .path = SL_STR("/"),
        .body = SL_STR("Action=CreateRole&Version=2010-05-08&RoleName=r&AssumeRolePolicyDocument=%7B%22a%22%3A1%7D&"
                       "MaxSessionDuration=3600"
                       "&Tags.member.1.Key=k&Tags.member.1.Value=v+1&Tags.member.2.Key=l&Tags.member.2.Value=")};
    struct sl_json *in = NULL;
    struct sl_error err;
    struct sl_str message = {0};
    assert_int_equal(sl_query_decode(&arena, operation, &request, &in, &err), 0);
    assert_true(sl_str_is(sl_json_string(in, "AssumeRolePolicyDocument"), "{\"a\":1}"));
    assert_int_equal(sl_json_int(in, "MaxSessionDuration", 0), 3600);
    assert_int_equal(sl_json_get(in, "Tags")->count, 2);
    assert_true(sl_str_is(sl_json_string(sl_json_get(in, "Tags")->first, "Value"), "v 1"));
    assert_int_equal(sl_validate(&arena, operation, in, &message), 0);
    request.body = SL_STR("Action=CreateRole&RoleName="
                          "spa%20ce");
    assert_int_equal(sl_query_decode(&arena, operation, &request, &in, &err), 0);
    assert_int_equal(sl_validate(&arena, operation, in, &message), SL_E_QUERY_VALIDATION);
    assert_true(sl_str_is(message, "2 validation errors detected: Value 'spa ce' at 'roleName' failed to satisfy "
                                   "constraint: Member must satisfy regular expression pattern: "
                                   "[\\w+=,.@-]+; Value null at 'assumeRolePolicyDocument' failed to satisfy "
                                   "constraint: Member must not be null"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(create_function_messages_are_as_recorded),
        cmocka_unit_test(several_failures_are_counted_and_joined),
        cmocka_unit_test(numbers_maps_and_lists_print_as_java_prints_them),
        cmocka_unit_test(a_sensitive_value_is_left_out),
        cmocka_unit_test(uri_query_and_header_members_are_checked_too),
        cmocka_unit_test(enum_values_stand_in_awss_order),
        cmocka_unit_test(rest_api_messages_show_the_body_object_and_list_positions),
        cmocka_unit_test(http_apis_answer_bad_request),
        cmocka_unit_test(values_of_another_type_are_serialization_errors),
        cmocka_unit_test(input_is_keyed_by_member_names_and_typed),
        cmocka_unit_test(headers_and_a_blob_payload_reach_invoke),
        cmocka_unit_test(a_form_is_read_by_the_query_protocol),
    };
    sl_arena_init(&arena, 16 << 20);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    sl_arena_free(&arena);
    return failed;
}
