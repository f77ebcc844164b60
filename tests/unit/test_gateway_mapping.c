// SPDX-License-Identifier: Apache-2.0
//
// gateway: parameter mappings (what is accepted, what a value becomes) and the origins that CORS allows.
#include "gateway/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct sl_arena arena;
static struct sl_error err;

static int set_up(void **state) {
    (void)state;
    sl_arena_init(&arena, 1 << 20);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    sl_arena_free(&arena);
    return 0;
}

static struct sl_json *json(const char *text) {
    struct sl_json *node;
    assert_int_equal(sl_json_parse(&arena, sl_str_of(text), &node, &err), 0);
    return node;
}

static struct sl_str resolve(void *user, enum sl_gw_source source, struct sl_str name) {
    (void)user;
    if (sl_str_is(name, "missing")) return (struct sl_str){0};
    return sl_arena_printf(&arena, "<%d:%.*s>", (int)source, SL_FMT(name));
}

static const char *value_of(const char *expression) {
    struct sl_gw_mapping mapping;
    struct sl_json *parameters = sl_json_new_object(&arena);
    sl_json_put_string(&arena, parameters, "overwrite:header.x", sl_str_of(expression));
    if (sl_gateway__mapping_request(&arena, parameters, &mapping, &err)) return err.message;
    struct sl_str value = sl_gateway__mapping_value(&arena, mapping.items, resolve, NULL);
    return value.ptr ? sl_arena_cstr(&arena, value) : NULL;
}

static void values_are_literals_variables_and_texts_with_both(void **state) {
    (void)state;
    assert_string_equal(value_of("plain text"), "plain text");
    assert_string_equal(value_of(""), "");
    assert_string_equal(value_of("$request.header.a-b"), "<1:a-b>");
    assert_string_equal(value_of("$request.querystring.q"), "<2:q>");
    assert_string_equal(value_of("$request.body.a.b[0]"), "<3:a.b[0]>");
    assert_string_equal(value_of("$request.path"), "<4:>");
    assert_string_equal(value_of("$request.path.id"), "<4:id>");
    assert_string_equal(value_of("$context.requestId"), "<5:requestId>");
    assert_string_equal(value_of("$stageVariables.env"), "<6:env>");
    assert_string_equal(value_of("a ${request.header.x}-${context.stage} z"), "a <1:x>-<5:stage> z");
    assert_string_equal(value_of("a${request.header.missing}b"), "ab");
    assert_null(value_of("$request.header.missing"));
}

static void wrong_values_are_refused(void **state) {
    (void)state;
    static const char *const values[] = {
        "$request",           "$request.header.",     "$foo.bar",  "$context.nothing", "$request.body.a..b",
        "$response.header.x", "a ${request.header.x", "${nothing}"};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        const char *message = value_of(values[i]);
        assert_non_null(message);
        assert_int_equal(err.kind, SL_E_BAD_REQUEST);
        if (!strstr(message, "Invalid mapping expression specified: Validation Result: warnings : [], errors : "
                             "[Invalid mapping expression specified: "))
            fail_msg("%s: %s", values[i], message);
    }
}

static int request_key(const char *key) {
    struct sl_gw_mapping mapping;
    struct sl_json *parameters = sl_json_new_object(&arena);
    sl_json_set(parameters, sl_str_of(key), sl_json_new_string(&arena, SL_STR("v")));
    return sl_gateway__mapping_request(&arena, parameters, &mapping, &err);
}

static void keys_say_what_changes(void **state) {
    (void)state;
    static const char *const good[] = {"append:header.x",      "overwrite:header.X-y",    "remove:header.x",
                                       "append:querystring.Q", "overwrite:querystring.q", "remove:querystring.q",
                                       "overwrite:path"};
    static const char *const bad[] = {"header.x",
                                      "append:path",
                                      "remove:path",
                                      "overwrite:statuscode",
                                      "append:header.",
                                      "replace:header.x",
                                      "append:cookie.x",
                                      "overwrite:header.Authorization",
                                      "append:header.x-amz-date",
                                      "append:header.Access-Control-Allow-Origin",
                                      "remove:header.via"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) assert_int_equal(request_key(good[i]), 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (request_key(bad[i]) != SL_E_BAD_REQUEST) fail_msg("accepted: %s", bad[i]);
    }
    request_key("overwrite:header.Via");
    assert_string_equal(err.message, "Invalid mapping expression specified: Validation Result: warnings : [], errors : "
                                     "[Operations on header Via are restricted]");
}

static void responses_are_mapped_by_status(void **state) {
    (void)state;
    struct sl_gw_status_mapping *list;
    assert_int_equal(sl_gateway__mapping_response(&arena,
                                                  json("{\"500\":{\"overwrite:statuscode\":\"403\"},\"404\":{\"append:"
                                                       "header.e\":\"$response.body.message\"}}"),
                                                  &list, &err),
                     0);
    assert_int_equal(list->status, 500);
    assert_int_equal(list->mapping.items->target, SL_GW_TO_STATUS);
    assert_int_equal(list->next->status, 404);
    assert_true(list->next->mapping.body);
    assert_int_equal(sl_gateway__mapping_response(&arena, json("{\"ok\":{}}"), &list, &err), SL_E_BAD_REQUEST);
    assert_int_equal(
        sl_gateway__mapping_response(&arena, json("{\"200\":{\"append:querystring.a\":\"b\"}}"), &list, &err),
        SL_E_BAD_REQUEST);
}

static void paths_reach_into_documents(void **state) {
    (void)state;
    const struct sl_json *document = json("{\"a\":{\"b\":[{\"c\":\"x\"},2]},\"n\":1.50,\"t\":true,\"d.e\":5}");
    static const char *const cases[][2] = {{"a.b[0].c", "x"},           {"a.b[1]", "2"}, {"n", "1.50"}, {"t", "true"},
                                           {"a.b[0]", "{\"c\":\"x\"}"}, {"['d.e']", "5"}};
    static const char *const missing[] = {"x", "a.x", "a.b[7]", "a.b[x]", "n.a", "a.b["};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sl_str value = sl_gateway__json_path(&arena, document, sl_str_of(cases[i][0]));
        assert_non_null(value.ptr);
        assert_string_equal(sl_arena_cstr(&arena, value), cases[i][1]);
    }
    for (size_t i = 0; i < sizeof missing / sizeof missing[0]; i++)
        assert_null(sl_gateway__json_path(&arena, document, sl_str_of(missing[i])).ptr);
}

// --- CORS
// ------------------------------------------------------------------------------------------------------------------------

static const char *origin(const char *configuration, const char *asked) {
    struct sl_gw_cors cors;
    assert_true(sl_gateway__cors_compile(&arena, json(configuration), &cors));
    struct sl_str value = sl_gateway__cors_origin(&cors, asked ? sl_str_of(asked) : (struct sl_str){0});
    return value.ptr ? sl_arena_cstr(&arena, value) : "";
}

static void origins_are_matched_exactly_by_scheme_or_all(void **state) {
    (void)state;
    static const char some[] = "{\"AllowOrigins\":[\"https://a.example\",\"http://*\"]}";
    assert_string_equal(origin(some, "https://a.example"), "https://a.example");
    assert_string_equal(origin(some, "https://b.example"), "");
    assert_string_equal(origin(some, "https://a.example.evil"), "");
    assert_string_equal(origin(some, "http://localhost:3000"), "http://localhost:3000");
    assert_string_equal(origin(some, NULL), "");
    assert_string_equal(origin("{\"AllowOrigins\":[\"*\"]}", "https://x.example"), "*");
    assert_string_equal(origin("{\"AllowOrigins\":[\"*\"]}", NULL), "");
    assert_string_equal(origin("{\"AllowMethods\":[\"GET\"]}", "https://x.example"), "");
    assert_string_equal(origin("{}", "https://x.example"), "");
}

static void header_values_are_joined_once(void **state) {
    (void)state;
    struct sl_gw_cors cors;
    assert_true(sl_gateway__cors_compile(&arena,
                                         json("{\"AllowMethods\":[\"GET\",\"POST\"],\"AllowHeaders\":[\"a\",\"b\"],"
                                              "\"ExposeHeaders\":[\"c\"],\"MaxAge\":300,\"AllowCredentials\":true}"),
                                         &cors));
    assert_true(sl_str_is(cors.methods, "GET,POST"));
    assert_true(sl_str_is(cors.headers, "a,b"));
    assert_true(sl_str_is(cors.expose, "c"));
    assert_true(sl_str_is(cors.max_age, "300"));
    assert_true(cors.credentials);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(values_are_literals_variables_and_texts_with_both),
        CASE(wrong_values_are_refused),
        CASE(keys_say_what_changes),
        CASE(responses_are_mapped_by_status),
        CASE(paths_reach_into_documents),
        CASE(origins_are_matched_exactly_by_scheme_or_all),
        CASE(header_values_are_joined_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
