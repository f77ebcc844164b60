// SPDX-License-Identifier: Apache-2.0
//
// gateway, routing: the grammar of route keys, and which route gets a request. The cases of "Routing API requests" in
// the API Gateway developer guide ("Create routes for HTTP APIs") are here as they stand there; compiled from
// documents, as the server does it.
#include "gateway/control.h"
#include "gateway/internal.h"
#include "gateway/routekey.h"

#include "aws/arn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct fixture {
    struct sl_gateway *gateway;
    struct sl_gw_api *api;
    struct sl_arena arena;
    struct sl_error err;
};

#define INTEGRATION                                                                                                    \
    "{\"IntegrationId\":\"i\",\"IntegrationType\":\"AWS_PROXY\",\"PayloadFormatVersion\":\"2.0\","                     \
    "\"IntegrationUri\":\"arn:aws:lambda:us-east-1:000000000000:function:f\"}"

// An API with a $default stage and these routes.
static void compile(struct fixture *f, const char *const *keys) {
    struct sl_buf text;
    sl_buf_init(&text, 1 << 20);
    sl_buf_cstr(&text, "[{\"StageName\":\"$default\",\"_snapshot\":{\"Integrations\":[" INTEGRATION "],\"Routes\":[");
    for (int i = 0; keys[i]; i++)
        sl_buf_printf(&text, "%s{\"RouteKey\":\"%s\",\"Target\":\"integrations/i\"}", i ? "," : "", keys[i]);
    sl_buf_cstr(&text, "]}}]");
    struct sl_json *stages;
    assert_int_equal(sl_json_parse(&f->arena, sl_arena_dup(&f->arena, sl_buf_view(&text)), &stages, &f->err), 0);
    sl_buf_free(&text);
    assert_int_equal(sl_gateway__compile_documents(f->gateway, SL_STR("000000000000"), SL_STR("us-east-1"),
                                                   SL_STR("api"), stages, &f->api, &f->err),
                     0);
}

static int set_up(void **state) {
    struct fixture *f = test_calloc(1, sizeof *f);
    struct sl_gateway_config config = {.threads = 1};
    sl_arena_init(&f->arena, 16 << 20);
    assert_int_equal(sl_gateway_new(&f->gateway, &config, &f->err), 0);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    sl_gateway__api_free(f->api);
    sl_gateway_free(f->gateway);
    sl_arena_free(&f->arena);
    test_free(f);
    return 0;
}

static int method_of(const char *name) {
    static const char *const names[] = {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"};
    for (int i = 0; i < 7; i++) {
        if (strcmp(name, names[i]) == 0) return i;
    }
    return SL_HTTP_OTHER;
}

// The key of the route that gets the request, and its parameters as "name=value;".
static const char *route_of(struct fixture *f, const char *method, const char *path) {
    static char text[512];
    struct sl_gw_path split;
    assert_true(sl_gateway__path_split(&f->arena, sl_str_of(path), &split));
    const struct sl_gw_route *route = sl_gateway__match(f->api->default_stage, &split, method_of(method));
    if (!route) return "none";
    int len = snprintf(text, sizeof text, "%.*s", SL_FMT(route->key));
    const struct sl_proxy_field *params = sl_gateway__path_params(&f->arena, route, &split);
    for (unsigned i = 0; i < route->param_count; i++)
        len += snprintf(text + len, sizeof text - (size_t)len, " %.*s=%.*s", SL_FMT(params[i].name),
                        SL_FMT(params[i].value));
    return text;
}

static void the_developer_guides_example_is_routed_as_it_says(void **state) {
    struct fixture *f = *state;
    compile(f, (const char *const[]){"GET /pets/dog/1", "GET /pets/dog/{id}", "GET /pets/{proxy+}", "ANY /{proxy+}",
                                     "$default", NULL});
    assert_string_equal(route_of(f, "GET", "/pets/dog/1"), "GET /pets/dog/1");
    assert_string_equal(route_of(f, "GET", "/pets/dog/2"), "GET /pets/dog/{id} id=2");
    assert_string_equal(route_of(f, "GET", "/pets/cat/1"), "GET /pets/{proxy+} proxy=cat/1");
    assert_string_equal(route_of(f, "POST", "/test/5"), "ANY /{proxy+} proxy=test/5");
    assert_string_equal(route_of(f, "POST", "/pets/dog/1"), "ANY /{proxy+} proxy=pets/dog/1");
}

static void a_method_is_preferred_to_any_on_the_same_path(void **state) {
    struct fixture *f = *state;
    compile(f, (const char *const[]){"ANY /a", "GET /a", "GET /{proxy+}", NULL});
    assert_string_equal(route_of(f, "GET", "/a"), "GET /a");
    assert_string_equal(route_of(f, "PUT", "/a"), "ANY /a");
    assert_string_equal(route_of(f, "PROPFIND", "/a"), "ANY /a");
    assert_string_equal(route_of(f, "PUT", "/b"), "none");
}

static void a_less_specific_route_serves_the_methods_that_the_best_one_does_not(void **state) {
    struct fixture *f = *state;
    compile(f, (const char *const[]){"GET /a/b", "POST /a/{x}", "PUT /{proxy+}", "DELETE /{x}/b", NULL});
    assert_string_equal(route_of(f, "POST", "/a/b"), "POST /a/{x} x=b");
    assert_string_equal(route_of(f, "PUT", "/a/b"), "PUT /{proxy+} proxy=a/b");
    assert_string_equal(route_of(f, "DELETE", "/a/b"), "DELETE /{x}/b x=a");
    assert_string_equal(route_of(f, "PATCH", "/a/b"), "none");
}

static void slashes_are_part_of_the_path(void **state) {
    struct fixture *f = *state;
    compile(f, (const char *const[]){"GET /", "GET /a", "GET /b/", "GET /c/{id}", "GET /d/{rest+}", NULL});
    assert_string_equal(route_of(f, "GET", "/"), "GET /");
    assert_string_equal(route_of(f, "GET", "/a"), "GET /a");
    assert_string_equal(route_of(f, "GET", "/a/"), "none");
    assert_string_equal(route_of(f, "GET", "/b"), "none");
    assert_string_equal(route_of(f, "GET", "/b/"), "GET /b/");
    assert_string_equal(route_of(f, "GET", "/c/"), "none");
    assert_string_equal(route_of(f, "GET", "/c//"), "none");
    assert_string_equal(route_of(f, "GET", "/d"), "none");
    assert_string_equal(route_of(f, "GET", "/d/"), "GET /d/{rest+} rest=");
    assert_string_equal(route_of(f, "GET", "/d//x/"), "GET /d/{rest+} rest=/x/");
}

static void a_greedy_route_at_the_root_matches_the_root(void **state) {
    struct fixture *f = *state;
    compile(f, (const char *const[]){"ANY /{proxy+}", NULL});
    assert_string_equal(route_of(f, "GET", "/"), "ANY /{proxy+} proxy=");
}

static void segments_are_compared_and_given_decoded(void **state) {
    struct fixture *f = *state;
    compile(f, (const char *const[]){"GET /caf\xc3\xa9/{x}", "GET /%7Eme", NULL});
    assert_string_equal(route_of(f, "GET", "/caf%C3%A9/a%20b"), "GET /caf\xc3\xa9/{x} x=a b");
    assert_string_equal(route_of(f, "GET", "/caf\xc3\xa9/a%2Fb"), "GET /caf\xc3\xa9/{x} x=a/b");
    assert_string_equal(route_of(f, "GET", "/caf%C3%A9/100%"), "GET /caf\xc3\xa9/{x} x=100%");
    assert_string_equal(route_of(f, "GET", "/~me"), "GET /%7Eme");
}

static void default_gets_what_no_other_route_does(void **state) {
    struct fixture *f = *state;
    compile(f, (const char *const[]){"$default", "GET /a", NULL});
    assert_string_equal(route_of(f, "POST", "/a"), "$default");
    assert_string_equal(route_of(f, "GET", "/x/y/z"), "$default");
}

static void very_long_paths_only_match_greedily(void **state) {
    struct fixture *f = *state;
    char path[2 * 2000 + 1];
    for (int i = 0; i < 2000; i++) memcpy(path + 2 * i, "/x", 2);
    path[4000] = '\0';
    compile(f, (const char *const[]){"GET /x/{rest+}", NULL});
    struct sl_gw_path split;
    assert_true(sl_gateway__path_split(&f->arena, sl_str_of(path), &split));
    const struct sl_gw_route *route = sl_gateway__match(f->api->default_stage, &split, SL_HTTP_GET);
    assert_non_null(route);
    assert_int_equal(sl_gateway__path_params(&f->arena, route, &split)[0].value.len, 4000 - 3);
}

static void many_siblings_are_all_found(void **state) {
    struct fixture *f = *state;
    static char names[300][24];
    const char *keys[301];
    for (int i = 0; i < 300; i++) {
        snprintf(names[i], sizeof names[i], "GET /r%d", i);
        keys[i] = names[i];
    }
    keys[300] = NULL;
    compile(f, keys);
    for (int i = 0; i < 300; i++) assert_string_equal(route_of(f, "GET", names[i] + 4), names[i]);
    assert_string_equal(route_of(f, "GET", "/r300"), "none");
}

// --- grammar
// ---------------------------------------------------------------------------------------------------------------------

static void well_formed_route_keys_are_accepted(void **state) {
    (void)state;
    static const char *const keys[] = {
        "$default",   "GET /",   "ANY /a/b.c/{id}", "POST /{proxy+}", "PATCH /a/{x}/b/{y+}",
        "GET /a:b@c", "GET /a/", "HEAD /%41"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        struct sl_gw_route_key key;
        struct sl_error err;
        if (sl_gateway__route_key_parse(sl_str_of(keys[i]), &key, &err)) fail_msg("%s: %s", keys[i], err.message);
    }
}

static void malformed_route_keys_are_refused_with_awss_text(void **state) {
    (void)state;
    static const char *const keys[] = {"",          "GET",       "GET/",     "get /a",     "FETCH /a", "GET a",
                                       "GET  /a",   "GET /a b",  "GET /{",   "GET /}",     "GET /{}",  "GET /{+}",
                                       "GET /a{b}", "GET /{a}b", "GET /a?b", "GET /{a b}", "GET /#",   "$connect"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        struct sl_gw_route_key key;
        struct sl_error err = {0};
        if (sl_gateway__route_key_parse(sl_str_of(keys[i]), &key, &err) != SL_E_BAD_REQUEST)
            fail_msg("%s was accepted", keys[i]);
        assert_string_equal(err.message, "The provided route key is not formatted properly for HTTP protocol. Format "
                                         "should be \"[HTTP METHOD] /[RESOURCE PATH]\" or \"$default\"");
    }
}

static void greedy_variables_must_be_last_and_names_unique(void **state) {
    (void)state;
    struct sl_gw_route_key key;
    struct sl_error err;
    assert_int_equal(sl_gateway__route_key_parse(SL_STR("GET /{a+}/b"), &key, &err), SL_E_BAD_REQUEST);
    assert_int_equal(sl_gateway__route_key_parse(SL_STR("GET /{a+}/"), &key, &err), SL_E_BAD_REQUEST);
    assert_int_equal(sl_gateway__route_key_parse(SL_STR("GET /{a}/{a}"), &key, &err), SL_E_BAD_REQUEST);
}

static void keys_that_differ_only_in_variable_names_collide(void **state) {
    (void)state;
    assert_true(sl_gateway__route_keys_collide(SL_STR("GET /a/{x}/b"), SL_STR("GET /a/{y}/b")));
    assert_true(sl_gateway__route_keys_collide(SL_STR("GET /{x+}"), SL_STR("GET /{y+}")));
    assert_false(sl_gateway__route_keys_collide(SL_STR("GET /a/{x}"), SL_STR("POST /a/{y}")));
    assert_false(sl_gateway__route_keys_collide(SL_STR("GET /a/{x}"), SL_STR("GET /a/{x+}")));
    assert_false(sl_gateway__route_keys_collide(SL_STR("GET /a/{x}"), SL_STR("GET /a/{x}/c")));
    assert_false(sl_gateway__route_keys_collide(SL_STR("GET /a/{x}"), SL_STR("GET /a/x")));
}

// --- integration URIs and throttles
// ----------------------------------------------------------------------------------------------

static void a_function_is_named_by_its_arn_or_by_an_invocation_path(void **state) {
    (void)state;
    static const char *const uris[] = {
        "arn:aws:lambda:eu-west-1:123456789012:function:f",
        "arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/"
        "arn:aws:lambda:eu-west-1:123456789012:function:f/invocations",
    };
    struct sl_function_ref function;
    struct sl_str arn;
    for (size_t i = 0; i < 2; i++) {
        assert_true(sl_gateway__integration_function(sl_str_of(uris[i]), &function, &arn));
        assert_true(sl_str_is(function.name, "f"));
        assert_true(sl_str_is(function.region, "eu-west-1"));
        assert_true(sl_str_is(arn, uris[0]));
    }
    assert_true(sl_gateway__integration_function(SL_STR("arn:aws:lambda:eu-west-1:123456789012:function:f:live"),
                                                 &function, &arn));
    assert_true(sl_str_is(function.qualifier, "live"));
    assert_false(sl_gateway__integration_function(SL_STR("f"), &function, &arn));
    assert_false(sl_gateway__integration_function(SL_STR("arn:aws:s3:::bucket"), &function, &arn));
    assert_false(sl_gateway__integration_function(
        SL_STR("arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/x/invocations"), &function, &arn));
}

static void a_bucket_gives_its_burst_then_its_rate(void **state) {
    (void)state;
    struct sl_gw_throttle throttle = {0};
    int64_t now = INT64_C(1000000000000);
    assert_true(sl_gateway__throttle_take(&throttle, now)); // not limited
    sl_gateway__throttle_init(&throttle, 10, 3);
    for (int i = 0; i < 3; i++) assert_true(sl_gateway__throttle_take(&throttle, now));
    assert_false(sl_gateway__throttle_take(&throttle, now));
    assert_false(sl_gateway__throttle_take(&throttle, now + 99999999));
    assert_true(sl_gateway__throttle_take(&throttle, now + 100000000));
    assert_false(sl_gateway__throttle_take(&throttle, now + 100000000));
    for (int i = 0; i < 3; i++) assert_true(sl_gateway__throttle_take(&throttle, now + 10000000000));
    assert_false(sl_gateway__throttle_take(&throttle, now + 10000000000));
}

static void a_bucket_of_nothing_refuses_everything(void **state) {
    (void)state;
    struct sl_gw_throttle throttle = {0};
    sl_gateway__throttle_init(&throttle, 0, 5);
    assert_false(sl_gateway__throttle_take(&throttle, 1));
    sl_gateway__throttle_init(&throttle, 5, 0);
    assert_false(sl_gateway__throttle_take(&throttle, 1));
    sl_gateway__throttle_init(&throttle, 0.0001, INT32_MAX); // no overflow
    assert_true(sl_gateway__throttle_take(&throttle, 1));
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(the_developer_guides_example_is_routed_as_it_says),
        CASE(a_method_is_preferred_to_any_on_the_same_path),
        CASE(a_less_specific_route_serves_the_methods_that_the_best_one_does_not),
        CASE(slashes_are_part_of_the_path),
        CASE(a_greedy_route_at_the_root_matches_the_root),
        CASE(segments_are_compared_and_given_decoded),
        CASE(default_gets_what_no_other_route_does),
        CASE(very_long_paths_only_match_greedily),
        CASE(many_siblings_are_all_found),
        cmocka_unit_test(well_formed_route_keys_are_accepted),
        cmocka_unit_test(malformed_route_keys_are_refused_with_awss_text),
        cmocka_unit_test(greedy_variables_must_be_last_and_names_unique),
        cmocka_unit_test(keys_that_differ_only_in_variable_names_collide),
        cmocka_unit_test(a_function_is_named_by_its_arn_or_by_an_invocation_path),
        cmocka_unit_test(a_bucket_gives_its_burst_then_its_rate),
        cmocka_unit_test(a_bucket_of_nothing_refuses_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
