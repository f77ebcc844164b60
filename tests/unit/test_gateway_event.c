// SPDX-License-Identifier: Apache-2.0
//
// gateway, payload format 1.0: the event to the byte (order and nulls as in events recorded from AWS), and what answers
// are accepted.
#include "gateway/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct fixture {
    struct sl_arena arena;
    struct sl_buf out;
    struct sl_error err;
};

static int set_up(void **state) {
    struct fixture *f = test_calloc(1, sizeof *f);
    sl_arena_init(&f->arena, 16 << 20);
    sl_buf_init(&f->out, 16 << 20);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    sl_buf_free(&f->out);
    sl_arena_free(&f->arena);
    test_free(f);
    return 0;
}

static struct sl_proxy_request request_of(const struct sl_proxy_field *headers, unsigned count) {
    return (struct sl_proxy_request){
        .route_key = SL_STR("$default"),
        .raw_path = SL_STR("/question"),
        .path = SL_STR("/question"),
        .headers = headers,
        .header_count = count,
        .forwarded_for = SL_STR("109.210.252.44"),
        .forwarded_port = SL_STR("443"),
        .forwarded_proto = SL_STR("https"),
        .trace_id = SL_STR("Root=1-64ad9787-4c89d5af7607eb9e522e01d5"),
        .account_id = SL_STR("313369169943"),
        .api_id = SL_STR("emcdxu5ijj"),
        .domain_name = SL_STR("emcdxu5ijj.execute-api.us-east-2.amazonaws.com"),
        .domain_prefix = SL_STR("emcdxu5ijj"),
        .method = SL_STR("POST"),
        .protocol = SL_STR("HTTP/1.1"),
        .source_ip = SL_STR("109.210.252.44"),
        .user_agent = SL_STR("curl/7.88.1"),
        .request_id = SL_STR("H6SdPgXtiYcEP1w="),
        .stage = SL_STR("$default"),
        .time_ms = INT64_C(1689098119662),
    };
}

static void assert_event(struct fixture *f, const struct sl_proxy_request *request, const char *resource,
                         const char *expected) {
    assert_true(sl_gateway__event_v1(&f->out, &f->arena, request, sl_str_of(resource)));
    sl_buf_char(&f->out, '\0');
    assert_string_equal(f->out.ptr, expected);
}

static void an_event_is_what_aws_sends(void **state) {
    struct fixture *f = *state;
    const struct sl_proxy_field headers[] = {
        {SL_STR("host"), SL_STR("emcdxu5ijj.execute-api.us-east-2.amazonaws.com")},
        {SL_STR("user-agent"), SL_STR("curl/7.88.1")},
        {SL_STR("Accept"), SL_STR("*/*")},
        {SL_STR("content-type"), SL_STR("application/json")},
        {SL_STR("content-length"), SL_STR("9")},
    };
    struct sl_proxy_request request = request_of(headers, 5);
    request.body = SL_STR("{\"a\":\"b\"}");
    request.content_type = SL_STR("application/json");
    assert_event(f, &request, "$default",
                 "{\"version\":\"1.0\",\"resource\":\"$default\",\"path\":\"/"
                 "question\",\"httpMethod\":\"POST\",\"headers\":{\"Content-Length\":\"9\","
                 "\"Content-Type\":\"application/"
                 "json\",\"Host\":\"emcdxu5ijj.execute-api.us-east-2.amazonaws.com\",\"User-Agent\":\"curl/7.88.1\","
                 "\"X-Amzn-Trace-Id\":\"Root=1-64ad9787-4c89d5af7607eb9e522e01d5\",\"X-Forwarded-For\":\"109.210.252."
                 "44\",\"X-Forwarded-Port\":\"443\","
                 "\"X-Forwarded-Proto\":\"https\",\"accept\":\"*/"
                 "*\"},\"multiValueHeaders\":{\"Content-Length\":[\"9\"],\"Content-Type\":[\"application/json\"],"
                 "\"Host\":[\"emcdxu5ijj.execute-api.us-east-2.amazonaws.com\"],\"User-Agent\":[\"curl/7.88.1\"],"
                 "\"X-Amzn-Trace-Id\":[\"Root=1-64ad9787-4c89d5af7607eb9e522e01d5\"],\"X-Forwarded-For\":[\"109.210."
                 "252.44\"],\"X-Forwarded-Port\":[\"443\"],"
                 "\"X-Forwarded-Proto\":[\"https\"],\"accept\":[\"*/"
                 "*\"]},\"queryStringParameters\":null,\"multiValueQueryStringParameters\":null,"
                 "\"requestContext\":{\"accountId\":\"313369169943\",\"apiId\":\"emcdxu5ijj\",\"domainName\":"
                 "\"emcdxu5ijj.execute-api.us-east-2.amazonaws.com\","
                 "\"domainPrefix\":\"emcdxu5ijj\",\"extendedRequestId\":\"H6SdPgXtiYcEP1w=\",\"httpMethod\":\"POST\","
                 "\"identity\":{\"accessKey\":null,"
                 "\"accountId\":null,\"caller\":null,\"cognitoAmr\":null,\"cognitoAuthenticationProvider\":null,"
                 "\"cognitoAuthenticationType\":null,"
                 "\"cognitoIdentityId\":null,\"cognitoIdentityPoolId\":null,\"principalOrgId\":null,\"sourceIp\":\"109."
                 "210.252.44\",\"user\":null,"
                 "\"userAgent\":\"curl/7.88.1\",\"userArn\":null},\"path\":\"/question\",\"protocol\":\"HTTP/"
                 "1.1\",\"requestId\":\"H6SdPgXtiYcEP1w=\","
                 "\"requestTime\":\"11/Jul/2023:17:55:19 "
                 "+0000\",\"requestTimeEpoch\":1689098119662,\"resourceId\":\"$default\",\"resourcePath\":\"$default\","
                 "\"stage\":\"$default\"},\"pathParameters\":null,\"stageVariables\":null,\"body\":\"{\\\"a\\\":"
                 "\\\"b\\\"}\",\"isBase64Encoded\":false}");
}

// The part of an event between two texts, which must be there.
static const char *part(struct fixture *f, const struct sl_proxy_request *request, const char *from, const char *to) {
    static char text[4096];
    f->out.len = 0;
    assert_true(sl_gateway__event_v1(&f->out, &f->arena, request, SL_STR("/x")));
    sl_buf_char(&f->out, '\0');
    const char *start = strstr(f->out.ptr, from), *end = start ? strstr(start, to) : NULL;
    assert_non_null(start);
    assert_non_null(end);
    assert_true((size_t)(end - start) < sizeof text);
    memcpy(text, start, (size_t)(end - start));
    text[end - start] = '\0';
    return text;
}

static void repeated_fields_are_lists_and_the_last_value_stands_alone(void **state) {
    struct fixture *f = *state;
    const struct sl_proxy_field headers[] = {
        {SL_STR("X-Two"), SL_STR("1")}, {SL_STR("x-one"), SL_STR("a")}, {SL_STR("x-two"), SL_STR("2")}};
    struct sl_proxy_request request = request_of(headers, 3);
    request.forwarded_for = request.forwarded_port = request.forwarded_proto = request.trace_id = SL_STR("");
    request.raw_query = SL_STR("foo=bar&abc=x+y&foo=baz&empty&%C3%A4=%26");
    assert_string_equal(part(f, &request, "\"headers\"", ",\"query"),
                        "\"headers\":{\"x-one\":\"a\",\"x-two\":\"2\"},\"multiValueHeaders\":{\"x-one\":[\"a\"],\"x-"
                        "two\":[\"1\",\"2\"]}");
    assert_string_equal(part(f, &request, "\"queryString", ",\"requestContext"),
                        "\"queryStringParameters\":{\"abc\":\"x y\",\"empty\":\"\",\"foo\":\"baz\",\"\xc3\xa4\":\"&\"},"
                        "\"multiValueQueryStringParameters\":{\"abc\":[\"x "
                        "y\"],\"empty\":[\"\"],\"foo\":[\"bar\",\"baz\"],\"\xc3\xa4\":[\"&\"]}");
}

static void forwarded_for_grows_by_one_hop(void **state) {
    struct fixture *f = *state;
    const struct sl_proxy_field headers[] = {{SL_STR("x-forwarded-for"), SL_STR("10.0.0.1")},
                                             {SL_STR("x-forwarded-port"), SL_STR("1")}};
    struct sl_proxy_request request = request_of(headers, 2);
    assert_string_equal(part(f, &request, "\"X-Forwarded-For\"", "\"X-Forwarded-Proto\""),
                        "\"X-Forwarded-For\":\"10.0.0.1, 109.210.252.44\",\"X-Forwarded-Port\":\"443\",");
}

static void bodies_that_are_not_text_are_base64(void **state) {
    struct fixture *f = *state;
    struct sl_proxy_request request = request_of(NULL, 0);
    request.body = sl_str_n("\0\1\2", 3);
    request.content_type = SL_STR("application/octet-stream");
    assert_string_equal(part(f, &request, "\"body\"", "}"), "\"body\":\"AAEC\",\"isBase64Encoded\":true");
    request.body = sl_str_n("\xff", 1);
    request.content_type = SL_STR("text/plain");
    assert_string_equal(part(f, &request, "\"body\"", "}"), "\"body\":\"/w==\",\"isBase64Encoded\":true");
    request.body = SL_STR("");
    assert_string_equal(part(f, &request, "\"body\"", "}"), "\"body\":null,\"isBase64Encoded\":false");
}

static void parameters_and_variables_are_maps(void **state) {
    struct fixture *f = *state;
    const struct sl_proxy_field params[] = {{SL_STR("id"), SL_STR("7")}},
                                variables[] = {{SL_STR("env"), SL_STR("dev")}};
    struct sl_proxy_request request = request_of(NULL, 0);
    request.path_parameters = params;
    request.stage_variables = variables;
    request.path_parameter_count = request.stage_variable_count = 1;
    assert_string_equal(part(f, &request, "\"pathParameters\"", ",\"body"),
                        "\"pathParameters\":{\"id\":\"7\"},\"stageVariables\":{\"env\":\"dev\"}");
}

// --- answers
// ---------------------------------------------------------------------------------------------------------------------

static void an_answer_gives_status_headers_and_body(void **state) {
    struct fixture *f = *state;
    struct sl_proxy_response response;
    static const char *const answer =
        "{\"statusCode\":201,\"headers\":{\"X-A\":\"1\",\"x-b\":true},\"multiValueHeaders\":{"
        "\"Set-Cookie\":[\"a=1\",\"b=2\"],\"x-a\":[\"1\",\"2\"]},"
        "\"body\":\"aGk=\",\"isBase64Encoded\":true}";
    assert_int_equal(sl_gateway__response_v1(&f->arena, sl_str_of(answer), &response, &f->err), 0);
    static const char *const expected[][2] = {{"Set-Cookie", "a=1"}, {"Set-Cookie", "b=2"},
                                              {"x-a", "1"},          {"x-a", "2"},
                                              {"x-b", "true"},       {"content-type", "text/plain; charset=utf-8"}};
    assert_int_equal(response.status, 201);
    assert_true(sl_str_is(response.body, "hi"));
    assert_int_equal(response.header_count, 6);
    for (int i = 0; i < 6; i++) {
        assert_true(sl_str_is(response.headers[i].name, expected[i][0]));
        assert_true(sl_str_is(response.headers[i].value, expected[i][1]));
    }
}

static void the_status_may_be_text_and_the_body_absent(void **state) {
    struct fixture *f = *state;
    struct sl_proxy_response response;
    assert_int_equal(
        sl_gateway__response_v1(&f->arena, SL_STR("{\"statusCode\":\"204\",\"body\":null}"), &response, &f->err), 0);
    assert_int_equal(response.status, 204);
    assert_int_equal(response.body.len, 0);
}

static void answers_that_break_the_format_are_invalid(void **state) {
    struct fixture *f = *state;
    static const char *const answers[] = {
        "",
        "\"text\"",
        "null",
        "[]",
        "{}",
        "{\"body\":\"x\"}",
        "{\"statusCode\":\"ok\"}",
        "{\"statusCode\":99}",
        "{\"statusCode\":1000}",
        "{\"statusCode\":200.5}",
        "{\"statusCode\":200,\"body\":{}}",
        "{\"statusCode\":200,\"body\":7}",
        "{\"statusCode\":200,\"headers\":[]}",
        "{\"statusCode\":200,\"headers\":{\"a\":{}}}",
        "{\"statusCode\":200,\"headers\":{\"a b\":\"x\"}}",
        "{\"statusCode\":200,\"multiValueHeaders\":{\"a\":\"b\"}}",
        "{\"statusCode\":200,\"multiValueHeaders\":{\"a\":[{}]}}",
        "{\"statusCode\":200,\"body\":\"*\",\"isBase64Encoded\":true}",
    };
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        struct sl_proxy_response response;
        if (sl_gateway__response_v1(&f->arena, sl_str_of(answers[i]), &response, &f->err) != SL_E_INVALID)
            fail_msg("accepted: %s", answers[i]);
    }
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(an_event_is_what_aws_sends),
        CASE(repeated_fields_are_lists_and_the_last_value_stands_alone),
        CASE(forwarded_for_grows_by_one_hop),
        CASE(bodies_that_are_not_text_are_base64),
        CASE(parameters_and_variables_are_maps),
        CASE(an_answer_gives_status_headers_and_body),
        CASE(the_status_may_be_text_and_the_body_absent),
        CASE(answers_that_break_the_format_are_invalid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
