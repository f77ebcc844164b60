// SPDX-License-Identifier: Apache-2.0
//
// Answers: members to JSON, XML, headers and status; times by protocol; error bodies with the member names of each
// service.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aws/codec.h"

static struct sl_arena arena;
static struct sl_op op;
static struct sl_reply reply;
static struct sl_error err;

static void begin(const char *service, const char *operation, const char *out) {
    op = (struct sl_op){.arena = &arena, .request_id = "11111111-2222-4333-8444-555555555555"};
    op.model = sl_operation_find(sl_service_find(sl_str_of(service)), sl_str_of(operation));
    assert_non_null(op.model);
    assert_int_equal(sl_json_parse(&arena, sl_str_of(out), &op.out, &err), 0);
}

static void expect_json(const char *service, const char *operation, const char *out, int status, const char *body) {
    begin(service, operation, out);
    assert_int_equal(sl_rest_json_encode(&op, &reply, &err), 0);
    assert_int_equal(reply.status, status);
    assert_string_equal(sl_arena_cstr(&arena, reply.body), body);
}

static const char *header(const char *name) {
    for (unsigned i = 0; i < reply.header_count; i++) {
        if (sl_str_ieq(reply.headers[i].name, sl_str_of(name))) return sl_arena_cstr(&arena, reply.headers[i].value);
    }
    return NULL;
}

static void members_get_their_wire_names_and_unknown_ones_are_dropped(void **state) {
    (void)state;
    expect_json(
        "apigatewayv2", "GetApi",
        "{\"Name\":\"n\",\"ApiId\":\"a\",\"_private\":1,\"Nothing\":2,\"Tags\":{\"Key\":\"v\"},\"Description\":null}",
        200, "{\"apiId\":\"a\",\"name\":\"n\",\"tags\":{\"Key\":\"v\"}}");
    expect_json("apigatewayv2", "GetApis", "{\"Items\":[{\"ApiId\":\"a\",\"_x\":1}]}", 200,
                "{\"items\":[{\"apiId\":\"a\"}]}");
    expect_json("apigateway", "GetRestApis", "{\"items\":[{\"id\":\"a\"}],\"position\":\"p\"}", 200,
                "{\"position\":\"p\",\"item\":[{\"id\":\"a\"}]}");
    expect_json("lambda", "GetFunction",
                "{\"Configuration\":{\"FunctionName\":\"f\",\"Timeout\":3,\"_code\":\"x\"},\"Tags\":{}}", 200,
                "{\"Configuration\":{\"FunctionName\":\"f\",\"Timeout\":3},\"Tags\":{}}");
}

static void times_have_the_form_of_their_protocol(void **state) {
    (void)state;
    expect_json("apigatewayv2", "GetApi", "{\"CreatedDate\":1767323045678}", 200,
                "{\"createdDate\":\"2026-01-02T03:04:05Z\"}");
    expect_json("apigateway", "GetRestApi", "{\"createdDate\":1767323045678}", 200, "{\"createdDate\":1767323045}");
    expect_json("lambda", "GetEventSourceMapping", "{\"LastModified\":1767323045678}", 200,
                "{\"LastModified\":1767323045.678}");
    expect_json("lambda", "GetEventSourceMapping", "{\"LastModified\":1767323045000}", 200,
                "{\"LastModified\":1767323045}");
    expect_json("lambda", "GetFunctionConfiguration", "{\"LastModified\":\"2026-01-02T03:04:05.000+0000\"}", 200,
                "{\"LastModified\":\"2026-01-02T03:04:05.000+0000\"}");
}

static void statuses_and_empty_bodies_are_the_models(void **state) {
    (void)state;
    expect_json("lambda", "CreateFunction", "{\"FunctionName\":\"f\"}", 201, "{\"FunctionName\":\"f\"}");
    expect_json("lambda", "RemovePermission", "{}", 204, "");
    assert_null(reply.content_type.ptr);
    expect_json("apigatewayv2", "TagResource", "{}", 201, "{}");
    expect_json("apigateway", "DeleteRestApi", "{}", 202, "");
    begin("lambda", "TagResource", "{\"Stray\":1}");
    assert_int_equal(sl_rest_json_encode(&op, &reply, &err), 0);
    assert_int_equal(reply.status, 204);
}

static void invoke_answers_payload_headers_and_status(void **state) {
    (void)state;
    expect_json("lambda", "Invoke",
                "{\"StatusCode\":200,\"FunctionError\":\"Unhandled\",\"LogResult\":\"bG9n\",\"ExecutedVersion\":\"$"
                "LATEST\",\"Payload\":\"raw <bytes>\"}",
                200, "raw <bytes>");
    assert_string_equal(header("X-Amz-Function-Error"), "Unhandled");
    assert_string_equal(header("X-Amz-Log-Result"), "bG9n");
    assert_string_equal(header("X-Amz-Executed-Version"), "$LATEST");
    expect_json("lambda", "Invoke", "{\"StatusCode\":202}", 202, "");
    assert_null(header("X-Amz-Function-Error"));
}

static void blobs_in_bodies_are_base64(void **state) {
    (void)state;
    begin("apigateway", "GetSdk", "{}");
    assert_int_equal(sl_rest_json_encode(&op, &reply, &err), 0);
    begin("lambda", "InvokeWithResponseStream", "{}");
    const struct sl_shape *chunk = op.model->output->members[op.model->output->payload].shape->members[0].shape;
    assert_int_equal(chunk->members[0].shape->type, SL_SHAPE_BLOB);
    const struct sl_json text = {.type = SL_JSON_STRING, .text = SL_STR("\1\2\3")};
    assert_true(sl_str_is(sl_codec_text(&arena, chunk->members[0].shape, SL_TIME_FORMAT_DEFAULT, &text), "AQID"));
}

static void expect_error(const char *service, const char *operation, int kind, const char *message, const char *more,
                         int status, const char *type, const char *body) {
    const struct sl_service *s = sl_service_find(sl_str_of(service));
    struct sl_json *members = NULL;
    if (more) assert_int_equal(sl_json_parse(&arena, sl_str_of(more), &members, &err), 0);
    sl_rest_json_error(&arena, s, sl_operation_find(s, sl_str_of(operation)), kind, sl_str_of(message), members,
                       &reply);
    assert_int_equal(reply.status, status);
    assert_string_equal(header("x-amzn-ErrorType"), type);
    assert_string_equal(sl_arena_cstr(&arena, reply.body), body);
}

static void error_bodies_have_each_shapes_casing(void **state) {
    (void)state;
    expect_error("lambda", "GetFunction", SL_E_RESOURCE_NOT_FOUND, "Function not found: x", NULL, 404,
                 "ResourceNotFoundException", "{\"Type\":\"User\",\"Message\":\"Function not found: x\"}");
    expect_error("lambda", "CreateFunction", SL_E_RESOURCE_CONFLICT, "Function already exist: f", NULL, 409,
                 "ResourceConflictException", "{\"Type\":\"User\",\"message\":\"Function already exist: f\"}");
    expect_error("lambda", "GetFunction", SL_E_SERVICE, "boom", NULL, 500, "ServiceException",
                 "{\"Type\":\"Service\",\"Message\":\"boom\"}");
    expect_error("apigatewayv2", "GetApi", SL_E_NOT_FOUND, "Invalid API identifier specified 1:x",
                 "{\"ResourceType\":\"api\"}", 404, "NotFoundException",
                 "{\"message\":\"Invalid API identifier specified 1:x\",\"resourceType\":\"api\"}");
    expect_error("apigateway", "GetRestApi", SL_E_NOT_FOUND, "Invalid API identifier specified 1:x", NULL, 404,
                 "NotFoundException", "{\"message\":\"Invalid API identifier specified 1:x\"}");
    expect_error("lambda", "Invoke", SL_E_THROTTLED, "Rate Exceeded.",
                 "{\"Reason\":\"ReservedFunctionConcurrentInvocationLimitExceeded\",\"retryAfterSeconds\":\"1\"}", 429,
                 "TooManyRequestsException",
                 "{\"Type\":\"User\",\"message\":\"Rate "
                 "Exceeded.\",\"Reason\":\"ReservedFunctionConcurrentInvocationLimitExceeded\"}");
    assert_string_equal(header("Retry-After"), "1");
}

static void errors_of_the_framework_are_in_no_model(void **state) {
    (void)state;
    expect_error("lambda", "CreateFunction", SL_E_VALIDATION, "1 validation error detected: x", NULL, 400,
                 "ValidationException", "{\"message\":\"1 validation error detected: x\"}");
    expect_error("apigateway", "CreateRestApi", SL_E_SERIALIZATION, "x", NULL, 400, "SerializationException",
                 "{\"Message\":\"x\"}");
    expect_error("lambda", "GetFunction", SL_E_ACCESS_DENIED, NULL, NULL, 403, "AccessDeniedException",
                 "{\"Message\":null}");
    expect_error("lambda", "Nothing", SL_E_UNKNOWN_OPERATION, NULL, NULL, 404, "UnknownOperationException",
                 "{\"Output\":{\"__type\":\"com.amazon.coral.service#UnknownOperationException\",\"message\":null},"
                 "\"Version\":\"1.0\"}");
    expect_error("lambda", "ListLayers", SL_E_NOT_IMPLEMENTED, "m", NULL, 501, "NotImplementedException",
                 "{\"__type\":\"NotImplementedException\",\"message\":\"m\"}");
}

static void query_answers_are_xml(void **state) {
    (void)state;
    begin("sts", "GetCallerIdentity",
          "{\"Account\":\"000000000000\",\"Arn\":\"arn:aws:iam::000000000000:root\",\"UserId\":\"a<b&c\"}");
    assert_int_equal(sl_query_encode(&op, &reply, &err), 0);
    assert_int_equal(reply.status, 200);
    assert_string_equal(
        sl_arena_cstr(&arena, reply.body),
        "<GetCallerIdentityResponse "
        "xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult><UserId>a&lt;b&amp;c</UserId>"
        "<Account>000000000000</Account><Arn>arn:aws:iam::000000000000:root</Arn></"
        "GetCallerIdentityResult><ResponseMetadata>"
        "<RequestId>11111111-2222-4333-8444-555555555555</RequestId></ResponseMetadata></GetCallerIdentityResponse>\n");
    begin("iam", "ListRolePolicies", "{\"PolicyNames\":[\"a\",\"b\"],\"IsTruncated\":false}");
    assert_int_equal(sl_query_encode(&op, &reply, &err), 0);
    assert_non_null(
        strstr(sl_arena_cstr(&arena, reply.body),
               "<PolicyNames><member>a</member><member>b</member></PolicyNames><IsTruncated>false</IsTruncated>"));
    begin("iam", "GetRole", "{\"Role\":{\"RoleName\":\"r\",\"CreateDate\":1767323045678}}");
    assert_int_equal(sl_query_encode(&op, &reply, &err), 0);
    assert_non_null(strstr(sl_arena_cstr(&arena, reply.body), "<CreateDate>2026-01-02T03:04:05Z</CreateDate>"));
    begin("iam", "DeleteRole", "{}"); // no result element where there is no output
    assert_int_equal(sl_query_encode(&op, &reply, &err), 0);
    assert_null(strstr(sl_arena_cstr(&arena, reply.body), "DeleteRoleResult"));
}

static void query_errors_carry_the_modelled_code(void **state) {
    (void)state;
    const struct sl_service *iam = sl_service_find(SL_STR("iam"));
    sl_query_error(&arena, iam, sl_operation_find(iam, SL_STR("GetRole")), SL_E_NO_SUCH_ENTITY,
                   SL_STR("The role with name x cannot be found."), SL_STR("id"), &reply);
    assert_int_equal(reply.status, 404);
    assert_string_equal(sl_arena_cstr(&arena, reply.body),
                        "<ErrorResponse "
                        "xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><Error><Type>Sender</"
                        "Type><Code>NoSuchEntity</Code><Message>The role with "
                        "name x cannot be found.</Message></Error><RequestId>id</RequestId></ErrorResponse>\n");
    sl_query_error(&arena, iam, NULL, SL_E_INVALID_ACTION, SL_STR("m"), SL_STR("id"), &reply);
    assert_int_equal(reply.status, 400);
    assert_non_null(strstr(sl_arena_cstr(&arena, reply.body), "<Code>InvalidAction</Code>"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_get_their_wire_names_and_unknown_ones_are_dropped),
        cmocka_unit_test(times_have_the_form_of_their_protocol),
        cmocka_unit_test(statuses_and_empty_bodies_are_the_models),
        cmocka_unit_test(invoke_answers_payload_headers_and_status),
        cmocka_unit_test(blobs_in_bodies_are_base64),
        cmocka_unit_test(error_bodies_have_each_shapes_casing),
        cmocka_unit_test(errors_of_the_framework_are_in_no_model),
        cmocka_unit_test(query_answers_are_xml),
        cmocka_unit_test(query_errors_carry_the_modelled_code),
    };
    sl_arena_init(&arena, 16 << 20);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    sl_arena_free(&arena);
    return failed;
}
