// SPDX-License-Identifier: Apache-2.0
//
// Payload format 2.0: the event of a request, and the response in a function's answer.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json.h"
#include "invoke/proxy_event.h"

static struct sl_arena arena;

static struct sl_proxy_request plain(void) {
    return (struct sl_proxy_request){
        .route_key = SL_STR("$default"),
        .raw_path = SL_STR("/a%2Fb"),
        .account_id = SL_STR("anonymous"),
        .api_id = SL_STR("abc"),
        .domain_name = SL_STR("abc.lambda-url.us-east-1.localhost"),
        .domain_prefix = SL_STR("abc"),
        .method = SL_STR("GET"),
        .path = SL_STR("/a%2Fb"),
        .protocol = SL_STR("HTTP/1.1"),
        .source_ip = SL_STR("127.0.0.1"),
        .user_agent = SL_STR("curl"),
        .request_id = SL_STR("id-1"),
        .stage = SL_STR("$default"),
        .time_ms = 1767323045678,
    };
}

static struct sl_json *event_of(const struct sl_proxy_request *request) {
    struct sl_buf out;
    struct sl_json *event = NULL;
    sl_buf_init(&out, 1 << 20);
    assert_true(sl_proxy_event_v2(&out, &arena, request));
    struct sl_str text = sl_arena_dup(&arena, sl_buf_view(&out));
    sl_buf_free(&out);
    assert_int_equal(sl_json_parse(&arena, text, &event, NULL), 0);
    return event;
}

static void assert_text(struct sl_json *object, const char *key, const char *expected) {
    struct sl_str value = sl_json_string(object, key);
    assert_non_null(value.ptr);
    assert_string_equal(sl_arena_cstr(&arena, value), expected);
}

static void what_a_request_has_not_is_absent(void **state) {
    (void)state;
    struct sl_proxy_request request = plain();
    struct sl_json *event = event_of(&request);
    assert_text(event, "version", "2.0");
    assert_text(event, "rawPath", "/a%2Fb");
    assert_text(event, "rawQueryString", "");
    static const char *const absent[] = {"cookies", "queryStringParameters", "pathParameters", "stageVariables",
                                         "body"};
    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++) assert_null(sl_json_get(event, absent[i]));
    assert_false(sl_json_bool(event, "isBase64Encoded", true));
    struct sl_json *context = sl_json_get(event, "requestContext");
    assert_text(context, "time", "02/Jan/2026:03:04:05 +0000");
    assert_int_equal(sl_json_int(context, "timeEpoch", 0), 1767323045678);
    assert_null(sl_json_get(context, "authorizer"));
    assert_text(sl_json_get(context, "http"), "sourceIp", "127.0.0.1");
}

static void repeated_headers_and_parameters_are_joined_in_order(void **state) {
    (void)state;
    const struct sl_proxy_field headers[] = {
        {SL_STR("X-Two"), SL_STR("b")}, {SL_STR("Accept"), SL_STR("*/*")}, {SL_STR("x-two"), SL_STR("a")}};
    struct sl_proxy_request request = plain();
    request.headers = headers;
    request.header_count = 3;
    request.raw_query = SL_STR("p=2&q=a+b&p=1%2C5&empty&bad=%zz&&");
    struct sl_json *event = event_of(&request);
    assert_text(sl_json_get(event, "headers"), "x-two", "b,a");
    assert_text(sl_json_get(event, "headers"), "accept", "*/*");
    struct sl_json *query = sl_json_get(event, "queryStringParameters");
    assert_int_equal(query->count, 4);
    assert_text(query, "p", "2,1,5");
    assert_text(query, "q", "a b");
    assert_text(query, "empty", "");
    assert_text(query, "bad", "%zz");
}

static void many_parameters_are_grouped_by_name(void **state) {
    (void)state;
    struct sl_buf query;
    sl_buf_init(&query, 1 << 16);
    for (unsigned i = 0; i < 1000; i++) sl_buf_printf(&query, "k%u=%u&", i * 7 % 100, i);
    struct sl_proxy_request request = plain();
    request.raw_query = sl_buf_view(&query);
    struct sl_json *parameters = sl_json_get(event_of(&request), "queryStringParameters");
    assert_int_equal(parameters->count, 100);
    assert_text(parameters, "k7", "1,101,201,301,401,501,601,701,801,901");
    sl_buf_free(&query);
}

static void cookies_move_to_their_list_or_are_in_both_places(void **state) {
    (void)state;
    const struct sl_proxy_field headers[] = {{SL_STR("Cookie"), SL_STR("a=1; b=2")},
                                             {SL_STR("COOKIE"), SL_STR("c=3;")}};
    struct sl_proxy_request request = plain();
    request.headers = headers;
    request.header_count = 2;
    struct sl_json *event = event_of(&request), *cookies = sl_json_get(event, "cookies");
    assert_int_equal(cookies->count, 3);
    assert_true(sl_str_is(cookies->first->text, "a=1"));
    assert_true(sl_str_is(cookies->last->text, "c=3"));
    assert_null(sl_json_get(sl_json_get(event, "headers"), "cookie"));
    request.keep_cookie_header = true;
    assert_text(sl_json_get(event_of(&request), "headers"), "cookie", "a=1; b=2,c=3;");
}

static void the_proxys_fields_replace_the_clients_and_lengthen_forwarded_for(void **state) {
    (void)state;
    const struct sl_proxy_field headers[] = {{SL_STR("X-Forwarded-For"), SL_STR("10.0.0.1")},
                                             {SL_STR("X-Forwarded-Proto"), SL_STR("gopher")}};
    struct sl_proxy_request request = plain();
    request.headers = headers;
    request.header_count = 2;
    request.forwarded_for = SL_STR("192.0.2.7");
    request.forwarded_proto = SL_STR("http");
    struct sl_json *shown = sl_json_get(event_of(&request), "headers");
    assert_text(shown, "x-forwarded-for", "10.0.0.1, 192.0.2.7");
    assert_text(shown, "x-forwarded-proto", "http");
    assert_null(sl_json_get(shown, "x-forwarded-port"));
}

static void text_bodies_stay_text_and_others_become_base64(void **state) {
    (void)state;
    struct sl_proxy_request request = plain();
    request.body = SL_STR("{\"a\":1}");
    request.content_type = SL_STR("application/json; charset=utf-8");
    struct sl_json *event = event_of(&request);
    assert_text(event, "body", "{\"a\":1}");
    assert_false(sl_json_bool(event, "isBase64Encoded", true));
    request.content_type = SL_STR("application/x-www-form-urlencoded");
    event = event_of(&request);
    assert_text(event, "body", "eyJhIjoxfQ==");
    assert_true(sl_json_bool(event, "isBase64Encoded", false));
    assert_true(sl_proxy_is_text(SL_STR("application/problem+JSON"), SL_STR("x")));
    assert_true(sl_proxy_is_text(SL_STR("Text/Plain"), SL_STR("x")));
    assert_false(sl_proxy_is_text(SL_STR("image/png"), SL_STR("x")));
    assert_false(sl_proxy_is_text(SL_STR(""), SL_STR("x")));
    assert_false(sl_proxy_is_text(SL_STR("text/plain"), SL_STR("\xff")));
}

static void hostile_bytes_still_make_valid_json(void **state) {
    (void)state;
    const struct sl_proxy_field headers[] = {{SL_STR("x\"y"), SL_STR("\xff\x01\"\\")}};
    struct sl_proxy_request request = plain();
    request.headers = headers;
    request.header_count = 1;
    request.raw_path = SL_STR("/\"\xc3");
    request.raw_query = SL_STR("%ff=%00");
    assert_non_null(event_of(&request)); // parses
}

static void an_event_that_does_not_fit_is_refused(void **state) {
    (void)state;
    struct sl_proxy_request request = plain();
    struct sl_buf out;
    sl_buf_init(&out, 300);
    assert_false(sl_proxy_event_v2(&out, &arena, &request));
    sl_buf_free(&out);
}

// --- answers
// -----------------------------------------------------------------------------------------------------------------------------

static const struct sl_proxy_rules strict = {.default_type = SL_STR_INIT("text/plain")};
static const struct sl_proxy_rules lenient = {.default_type = SL_STR_INIT("application/json"), .lenient = true};

static struct sl_proxy_response answer(const char *payload, const struct sl_proxy_rules *rules) {
    struct sl_proxy_response response;
    struct sl_error err = {0};
    if (sl_proxy_response_v2(&arena, sl_str_of(payload), rules, &response, &err) != 0)
        fail_msg("%s: %s", payload, err.message);
    return response;
}

static void refused(const char *payload, const struct sl_proxy_rules *rules) {
    struct sl_proxy_response response;
    struct sl_error err = {0};
    assert_int_equal(sl_proxy_response_v2(&arena, sl_str_of(payload), rules, &response, &err), SL_E_INVALID);
}

static void a_value_without_status_is_the_body(void **state) {
    (void)state;
    static const char *const rows[][2] = {{"\"hello\"", "hello"},
                                          {"3", "3"},
                                          {"[1, \"a\"]", "[1,\"a\"]"},
                                          {"null", "null"},
                                          {"{\"a\": 1}", "{\"a\":1}"},
                                          {"true", "true"},
                                          {"{\"statusCode\":null}", "{\"statusCode\":null}"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct sl_proxy_response response = answer(rows[i][0], &strict);
        assert_int_equal(response.status, 200);
        assert_false(response.structured);
        assert_string_equal(sl_arena_cstr(&arena, response.body), rows[i][1]);
        assert_true(sl_str_is(response.headers[0].value, "application/json"));
    }
}

static void a_structured_answer_gives_status_headers_cookies_and_body(void **state) {
    (void)state;
    struct sl_proxy_response response = answer(
        "{\"statusCode\":\"201\",\"headers\":{\"X-N\":5,\"X-B\":true,\"X-0\":null,\"Content-Type\":\"text/html\"},"
        "\"cookies\":[\"a=1\",\"b=2\"],\"body\":\"aGk=\",\"isBase64Encoded\":true,\"unknown\":{}}",
        &strict);
    assert_int_equal(response.status, 201);
    assert_int_equal(response.header_count, 3);
    assert_true(sl_str_is(response.headers[0].value, "5"));
    assert_true(sl_str_is(response.headers[1].value, "true"));
    assert_true(sl_str_is(response.headers[2].value, "text/html"));
    assert_int_equal(response.cookie_count, 2);
    assert_true(sl_str_is(response.body, "hi"));
    response = answer("{\"statusCode\":204}", &strict);
    assert_int_equal(response.body.len, 0);
    assert_true(sl_str_is(response.headers[0].value, "text/plain"));
}

static void answers_that_break_the_format_are_refused(void **state) {
    (void)state;
    static const char *const rows[] = {
        "{\"statusCode\":\"abc\"}",
        "{\"statusCode\":99}",
        "{\"statusCode\":101}",
        "{\"statusCode\":600}",
        "{\"statusCode\":{}}",
        "{\"statusCode\":200,\"headers\":[]}",
        "{\"statusCode\":200,\"headers\":{\"a b\":\"x\"}}",
        "{\"statusCode\":200,\"headers\":{\"\":\"x\"}}",
        "{\"statusCode\":200,\"headers\":{\"a\":[\"x\"]}}",
        "{\"statusCode\":200,\"cookies\":\"a\"}",
        "{\"statusCode\":200,\"cookies\":[1]}",
        "{\"statusCode\":200,\"body\":\"???\",\"isBase64Encoded\":true}",
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        refused(rows[i], &strict);
        refused(rows[i], &lenient);
    }
    refused("not json", &strict);
    refused("{\"statusCode\":200,\"body\":{\"a\":1}}", &strict);
}

static void function_urls_take_other_bodies_as_they_are(void **state) {
    (void)state;
    assert_true(sl_str_is(answer("not json", &lenient).body, "not json"));
    assert_true(sl_str_is(answer("", &lenient).body, ""));
    assert_true(sl_str_is(answer("{\"statusCode\":200,\"body\":{\"a\": [1]}}", &lenient).body, "{\"a\":[1]}"));
}

static int setup(void **state) {
    (void)state;
    sl_arena_init(&arena, 1 << 20);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    sl_arena_free(&arena);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_a_request_has_not_is_absent, setup, teardown),
        cmocka_unit_test_setup_teardown(repeated_headers_and_parameters_are_joined_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(many_parameters_are_grouped_by_name, setup, teardown),
        cmocka_unit_test_setup_teardown(cookies_move_to_their_list_or_are_in_both_places, setup, teardown),
        cmocka_unit_test_setup_teardown(the_proxys_fields_replace_the_clients_and_lengthen_forwarded_for, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(text_bodies_stay_text_and_others_become_base64, setup, teardown),
        cmocka_unit_test_setup_teardown(hostile_bytes_still_make_valid_json, setup, teardown),
        cmocka_unit_test_setup_teardown(an_event_that_does_not_fit_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_value_without_status_is_the_body, setup, teardown),
        cmocka_unit_test_setup_teardown(a_structured_answer_gives_status_headers_cookies_and_body, setup, teardown),
        cmocka_unit_test_setup_teardown(answers_that_break_the_format_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(function_urls_take_other_bodies_as_they_are, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
