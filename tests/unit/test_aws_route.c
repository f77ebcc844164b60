// SPDX-License-Identifier: Apache-2.0
//
// Routing: every operation of every REST model is found again from a URL built of its own facts, and the
// discriminators, labels and slashes that trap routers are right.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "aws/codec.h"
#include "aws/pattern.h"
#include "aws/route.h"

static struct sl_arena arena;

// Path and query of an operation with "value" for each label.
static struct sl_aws_request request_for(const struct sl_operation *operation, const char *value, bool slash) {
    struct sl_str path = SL_STR(""), query = {0};
    for (unsigned i = 0; i < operation->segment_count; i++) {
        const struct sl_segment *segment = &operation->segments[i];
        struct sl_str text = segment->label ? sl_str_of(value) : segment->text;
        path = sl_arena_printf(&arena, "%.*s/%.*s", SL_FMT(path), SL_FMT(text));
    }
    if (slash) path = sl_arena_printf(&arena, "%.*s/", SL_FMT(path));
    for (unsigned i = 0; i < operation->discriminator_count; i++) {
        const struct sl_discriminator *mark = &operation->discriminators[i];
        query = sl_arena_printf(&arena, "%.*s%s%.*s=%.*s", SL_FMT(query), i ? "&" : "", SL_FMT(mark->key),
                                SL_FMT(mark->value));
    }
    return (struct sl_aws_request){.method = operation->method, .path = path, .query = query};
}

static unsigned each_operation(const char *value, bool slash, const char *more_query) {
    unsigned count = 0;
    for (const struct sl_service *const *at = sl_services; *at; at++) {
        for (unsigned i = 0; (*at)->protocol == SL_PROTOCOL_REST_JSON && i < (*at)->operation_count; i++) {
            const struct sl_operation *operation = &(*at)->operations[i];
            struct sl_aws_request request = request_for(operation, value, slash);
            struct sl_route route;
            if (more_query) request.query = sl_arena_printf(&arena, "%s&%.*s", more_query, SL_FMT(request.query));
            if (!sl_route_rest(*at, &request, &route))
                fail_msg("%.*s: %.*s is not routed", SL_FMT(operation->name), SL_FMT(request.path));
            if (route.operation != operation) {
                fail_msg("%.*s: %.*s?%.*s is routed to %.*s", SL_FMT(operation->name), SL_FMT(request.path),
                         SL_FMT(request.query), SL_FMT(route.operation->name));
            }
            count++;
        }
    }
    return count;
}

static void every_operation_is_found_by_its_own_url(void **state) {
    (void)state;
    assert_int_equal(each_operation("x", false, NULL), 85 + 124 + 103 + 3);
}

static void a_trailing_slash_and_further_parameters_change_nothing(void **state) {
    (void)state;
    each_operation("arn%3Aaws%3Alambda%3Aus-east-1%3A1%3Afunction%3Ax%2Fy", true, NULL);
    each_operation("x", false, "Qualifier=1&Marker=2");
}

static const struct sl_operation *route_text(const char *service, const char *method, const char *path,
                                             const char *query, struct sl_route *route) {
    struct sl_aws_request request = {.method = sl_str_of(method), .path = sl_str_of(path), .query = sl_str_of(query)};
    return sl_route_any(sl_str_of(service), &request, route) ? route->operation : NULL;
}

static void assert_routes(const char *service, const char *method, const char *path, const char *query,
                          const char *name) {
    struct sl_route route;
    const struct sl_operation *operation = route_text(service, method, path, query, &route);
    if (!operation) fail_msg("%s %s?%s is not routed", method, path, query ? query : "");
    if (!sl_str_is(operation->name, name)) fail_msg("%s %s is routed to %.*s", method, path, SL_FMT(operation->name));
}

static void discriminators_decide_between_equal_paths(void **state) {
    (void)state;
    const char *provisioned = "/2019-09-30/functions/f/provisioned-concurrency";
    assert_routes("lambda", "GET", provisioned, "Qualifier=1", "GetProvisionedConcurrencyConfig");
    assert_routes("lambda", "GET", provisioned, "List=ALL", "ListProvisionedConcurrencyConfigs");
    assert_routes("lambda", "GET", "/2018-10-31/layers", NULL, "ListLayers");
    assert_routes("lambda", "GET", "/2018-10-31/layers", "Arn=x&find=LayerVersion", "GetLayerVersionByArn");
    assert_routes("apigateway", "POST", "/restapis", NULL, "CreateRestApi");
    assert_routes("apigateway", "POST", "/restapis", "mode=import&failonwarnings=true", "ImportRestApi");
    assert_routes("lambda", "PUT", "/2019-09-25/functions/f/event-invoke-config", NULL, "PutFunctionEventInvokeConfig");
    assert_routes("lambda", "POST", "/2019-09-25/functions/f/event-invoke-config", NULL,
                  "UpdateFunctionEventInvokeConfig");
}

static void services_with_one_signing_name_are_told_apart_by_path(void **state) {
    (void)state;
    assert_routes("apigateway", "GET", "/v2/apis", NULL, "GetApis");
    assert_routes("apigateway", "GET", "/restapis", NULL, "GetRestApis");
    assert_routes("apigateway", "GET", "/v2/tags/arn%3Ax", NULL, "GetTags");
    assert_routes("", "GET", "/v2/apis/", NULL, "GetApis"); // unsigned: by the path alone
    assert_routes("", "POST", "/2015-03-31/functions/f/invocations", NULL, "Invoke");
}

static void what_is_no_operation_is_not_routed(void **state) {
    (void)state;
    struct sl_route route;
    static const char *const paths[] = {"/",
                                        "",
                                        "functions",
                                        "/2015-03-31",
                                        "/2015-03-31/functions//invocations",
                                        "/2015-03-31/functions/f/invocations/x",
                                        "/2015-03-31//functions",
                                        "/v2/",
                                        "/v3/apis",
                                        "/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        assert_null(route_text("", "GET", paths[i], NULL, &route));
    assert_null(route_text("lambda", "PATCH", "/2015-03-31/functions", NULL, &route));
    assert_null(route_text("apigateway", "GET", "/2015-03-31/functions", NULL, &route)); // signed for another service
    assert_false(sl_route_knows(SL_STR("no-such-service")));
    assert_true(sl_route_knows(SL_STR("execute-api")));
}

static struct sl_json *decode(const char *service, const char *method, const char *path, const char *query,
                              const char *body) {
    struct sl_route route;
    struct sl_aws_request request = {
        .method = sl_str_of(method), .path = sl_str_of(path), .query = sl_str_of(query), .body = sl_str_of(body)};
    struct sl_json *in = NULL;
    struct sl_error err;
    assert_true(sl_route_any(sl_str_of(service), &request, &route));
    if (sl_rest_json_decode(&arena, &route, &request, &in, &err)) fail_msg("%s", err.message);
    return in;
}

static void labels_are_decoded_once(void **state) {
    (void)state;
    struct sl_json *in =
        decode("lambda", "GET", "/2017-03-31/tags/arn%3Aaws%3Alambda%3Aus-east-1%3A1%3Afunction%3Ax", NULL, "");
    assert_true(sl_str_is(sl_json_string(in, "Resource"), "arn:aws:lambda:us-east-1:1:function:x"));
    in = decode("lambda", "GET", "/2025-12-01/durable-executions/arn%3Aa%2Fb%252Fc/state", "CheckpointToken=t", "");
    assert_true(sl_str_is(sl_json_string(in, "DurableExecutionArn"), "arn:a/b%2Fc"));
    in = decode("lambda", "GET", "/2018-10-31/layers/l/versions/12", NULL, "");
    assert_int_equal(sl_json_int(in, "VersionNumber", -1), 12);
}

static void connection_callbacks_are_found_below_a_stage(void **state) {
    (void)state;
    struct sl_route route;
    struct sl_aws_request request = {
        .method = SL_STR("POST"), .path = SL_STR("/prod/@connections/L0SM9cOFvHcCIhw%3D"), .body = SL_STR("hi")};
    assert_true(sl_route_any(SL_STR("execute-api"), &request, &route));
    assert_true(sl_str_is(route.operation->name, "PostToConnection"));
    assert_true(sl_str_is(route.prefix, "/prod"));
    struct sl_json *in = NULL;
    struct sl_error err;
    assert_int_equal(sl_rest_json_decode(&arena, &route, &request, &in, &err), 0);
    assert_true(sl_str_is(sl_json_string(in, "ConnectionId"), "L0SM9cOFvHcCIhw="));
    assert_true(sl_str_is(sl_json_string(in, "Data"), "hi"));
}

static void query_actions_are_found_in_form_and_query(void **state) {
    (void)state;
    struct sl_str action;
    struct sl_aws_request post = {
        .method = SL_STR("POST"), .path = SL_STR("/"), .body = SL_STR("Action=GetCallerIdentity&Version=2011-06-15")};
    struct sl_aws_request get = {
        .method = SL_STR("GET"), .path = SL_STR("/"), .query = SL_STR("Version=2010-05-08&Action=GetRole&RoleName=x")};
    const struct sl_operation *operation = sl_route_query(&arena, SL_STR("sts"), &post, &action);
    assert_true(operation && sl_str_is(operation->name, "GetCallerIdentity"));
    assert_ptr_equal(sl_route_query(&arena, SL_STR(""), &post, &action), operation);
    assert_null(sl_route_query(&arena, SL_STR("iam"), &post, &action));
    operation = sl_route_query(&arena, SL_STR(""), &get, &action);
    assert_true(operation && sl_str_is(operation->name, "GetRole"));
    post.body = SL_STR("Action=Nothing&Version=2011-06-15");
    assert_null(sl_route_query(&arena, SL_STR("sts"), &post, &action));
    assert_true(sl_str_is(action, "Nothing"));
}

static void tables_are_sound(void **state) {
    (void)state;
    unsigned total = 0;
    for (const struct sl_service *const *at = sl_services; *at; at++) {
        for (unsigned i = 0; i < (*at)->operation_count; i++, total++) {
            const struct sl_operation *operation = &(*at)->operations[i];
            assert_int_equal(operation->index, total);
            assert_ptr_equal(sl_operation_find(*at, operation->name), operation);
            assert_in_range(operation->status, 200, 299);
            for (unsigned k = 0; operation->input && k < operation->input->member_count; k++) {
                const struct sl_shape *shape = operation->input->members[k].shape;
                if (shape->pattern_id && !sl_pattern_compiles(shape))
                    fail_msg("pattern of %.*s does not compile", SL_FMT(shape->name));
            }
        }
    }
    assert_int_equal(total, sl_operation_total);
    assert_null(sl_operation_find(sl_service_find(SL_STR("lambda")), SL_STR("Nothing")));
    assert_null(sl_service_find(SL_STR("nothing")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operation_is_found_by_its_own_url),
        cmocka_unit_test(a_trailing_slash_and_further_parameters_change_nothing),
        cmocka_unit_test(discriminators_decide_between_equal_paths),
        cmocka_unit_test(services_with_one_signing_name_are_told_apart_by_path),
        cmocka_unit_test(what_is_no_operation_is_not_routed),
        cmocka_unit_test(labels_are_decoded_once),
        cmocka_unit_test(connection_callbacks_are_found_below_a_stage),
        cmocka_unit_test(query_actions_are_found_in_form_and_query),
        cmocka_unit_test(tables_are_sound),
    };
    sl_arena_init(&arena, 32 << 20);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    sl_arena_free(&arena);
    return failed;
}
