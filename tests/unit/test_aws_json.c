// SPDX-License-Identifier: Apache-2.0
//
// The json 1.0/1.1 protocols, and the query protocol of a service that left it for json: routing by X-Amz-Target,
// bodies, errors with their two names, flattened lists and maps in forms and in XML.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aws/codec.h"
#include "http/http.h"

static struct sl_arena arena;
static struct sl_reply reply;
static struct sl_error err;

static const struct sl_operation *operation_of(const char *service, const char *name) {
    const struct sl_operation *found = sl_operation_find(sl_service_find(sl_str_of(service)), sl_str_of(name));
    assert_non_null(found);
    return found;
}

static const char *text_of(const struct sl_json *node) {
    struct sl_buf out;
    sl_buf_init(&out, 1 << 20);
    sl_json_write(&out, node);
    const char *text = sl_arena_cstr(&arena, sl_buf_view(&out));
    sl_buf_free(&out);
    return text;
}

static const char *header(const char *name) {
    for (unsigned i = 0; i < reply.header_count; i++) {
        if (sl_str_ieq(reply.headers[i].name, sl_str_of(name))) return sl_arena_cstr(&arena, reply.headers[i].value);
    }
    return NULL;
}

static const struct sl_operation *target(const char *value, const struct sl_service **ret_service) {
    const struct sl_http_header one = {SL_STR("x-amz-target"), sl_str_of(value)};
    const struct sl_aws_request request = {
        .method = SL_STR("POST"), .path = SL_STR("/"), .headers = &one, .header_count = 1};
    return sl_route_target(&request, ret_service);
}

static void the_target_names_service_and_operation(void **state) {
    (void)state;
    const struct sl_service *service;
    assert_ptr_equal(target("AmazonSQS.SendMessage", &service), operation_of("sqs", "SendMessage"));
    assert_ptr_equal(target("Logs_20140328.PutLogEvents", &service), operation_of("logs", "PutLogEvents"));
    assert_null(target("AmazonSQS.Nothing", &service));
    assert_ptr_equal(service, sl_service_find(SL_STR("sqs")));
    assert_null(target("Nobody.SendMessage", &service));
    assert_null(service);
    assert_null(target("AmazonSQS", &service));
    assert_null(target("", &service));
}

static int decode(const char *body, struct sl_json **ret) {
    const struct sl_aws_request request = {.method = SL_STR("POST"), .path = SL_STR("/"), .body = sl_str_of(body)};
    return sl_json_rpc_decode(&arena, operation_of("sqs", "SendMessage"), &request, ret, &err);
}

static void bodies_become_members(void **state) {
    (void)state;
    struct sl_json *in = NULL;
    assert_int_equal(decode("{\"QueueUrl\":\"u\",\"DelaySeconds\":3,\"Nothing\":1,\"MessageBody\":null,"
                            "\"MessageAttributes\":{\"b\":{\"DataType\":\"Binary\",\"BinaryValue\":\"aGk=\"}}}",
                            &in),
                     0);
    assert_string_equal(text_of(in), "{\"QueueUrl\":\"u\",\"DelaySeconds\":3,\"MessageAttributes\":{\"b\":{"
                                     "\"BinaryValue\":\"hi\",\"DataType\":\"Binary\"}}}");
    assert_int_equal(decode("", &in), 0); // no body is no input
    assert_int_equal(in->count, 0);
    assert_int_equal(decode("[]", &in), SL_E_SERIALIZATION);
    assert_int_equal(decode("{", &in), SL_E_SERIALIZATION);
    assert_int_equal(decode("{\"QueueUrl\":[]}", &in), SL_E_SERIALIZATION);
}

static void answers_have_the_services_content_type(void **state) {
    (void)state;
    struct sl_op op = {.arena = &arena, .model = operation_of("sqs", "GetQueueUrl")};
    assert_int_equal(sl_json_parse(&arena, SL_STR("{\"QueueUrl\":\"u\",\"x\":1}"), &op.out, &err), 0);
    assert_int_equal(sl_json_rpc_encode(&op, &reply, &err), 0);
    assert_string_equal(sl_arena_cstr(&arena, reply.body), "{\"QueueUrl\":\"u\"}");
    assert_true(sl_str_is(reply.content_type, "application/x-amz-json-1.0"));
    op.model = operation_of("logs", "CreateLogGroup"); // no output: an empty body
    assert_int_equal(sl_json_rpc_encode(&op, &reply, &err), 0);
    assert_int_equal(reply.body.len, 0);
    assert_true(sl_str_is(reply.content_type, "application/x-amz-json-1.1"));
    assert_int_equal(reply.status, 200);
}

static void expect_error(const char *service, const char *operation, int kind, int status, const char *body,
                         const char *query) {
    const struct sl_operation *model = operation_of(service, operation);
    sl_json_rpc_error(&arena, model->service, model, kind, SL_STR("m"), NULL, &reply);
    assert_int_equal(reply.status, status);
    assert_string_equal(sl_arena_cstr(&arena, reply.body), body);
    if (query) {
        assert_string_equal(header("x-amzn-query-error"), query);
    } else {
        assert_null(header("x-amzn-query-error"));
    }
}

static void errors_carry_their_type_and_the_query_code(void **state) {
    (void)state;
    expect_error("sqs", "SendMessage", SL_E_QUEUE_DOES_NOT_EXIST, 400,
                 "{\"__type\":\"com.amazonaws.sqs#QueueDoesNotExist\",\"message\":\"m\"}",
                 "AWS.SimpleQueueService.NonExistentQueue;Sender");
    expect_error("sqs", "SendMessage", SL_E_MISSING_PARAMETER, 400,
                 "{\"__type\":\"com.amazon.coral.service#MissingRequiredParameterException\",\"message\":\"m\"}",
                 "MissingParameter;Sender");
    expect_error("sqs", "DeleteMessage", SL_E_INVALID_RECEIPT_HANDLE, 404,
                 "{\"__type\":\"com.amazonaws.sqs#ReceiptHandleIsInvalid\",\"message\":\"m\"}",
                 "ReceiptHandleIsInvalid;Sender");
    expect_error("sqs", "SendMessage", SL_E_IO, 500,
                 "{\"__type\":\"com.amazon.coral.service#InternalFailure\",\"message\":\"m\"}",
                 "InternalFailure;Receiver");
    expect_error("logs", "CreateLogGroup", SL_E_ALREADY_EXISTS, 400,
                 "{\"__type\":\"ResourceAlreadyExistsException\",\"message\":\"m\"}", NULL);
    expect_error("logs", "GetLogEvents", SL_E_RESOURCE_NOT_FOUND, 400,
                 "{\"__type\":\"ResourceNotFoundException\",\"message\":\"m\"}", NULL);
}

static const char *from_form(const char *operation, const char *path, const char *form) {
    const struct sl_aws_request request = {.method = SL_STR("POST"), .path = sl_str_of(path), .body = sl_str_of(form)};
    struct sl_json *in = NULL;
    assert_int_equal(sl_query_decode(&arena, operation_of("sqs", operation), &request, &in, &err), 0);
    return text_of(in);
}

static void flattened_forms_are_read_by_their_old_names(void **state) {
    (void)state;
    assert_string_equal(from_form("CreateQueue", "/",
                                  "QueueName=q&Attribute.1.Name=A&Attribute.1.Value=1&Attribute.2.Name=B&Attribute.2."
                                  "Value=2&Tag.1.Key=k&Tag.1.Value=v"),
                        "{\"QueueName\":\"q\",\"Attributes\":{\"A\":\"1\",\"B\":\"2\"},\"tags\":{\"k\":\"v\"}}");
    assert_string_equal(from_form("SendMessageBatch", "/",
                                  "SendMessageBatchRequestEntry.1.Id=a&SendMessageBatchRequestEntry.1.MessageAttribute."
                                  "1.Name=n&SendMessageBatchRequestEntry.1.MessageAttribute.1.Value.DataType=String"),
                        "{\"Entries\":[{\"Id\":\"a\",\"MessageAttributes\":{\"n\":{\"DataType\":\"String\"}}}]}");
    assert_string_equal(from_form("ReceiveMessage", "/000000000000/q", "AttributeName.1=All&AttributeName.2=B"),
                        "{\"AttributeNames\":[\"All\",\"B\"],\"QueueUrl\":\"/000000000000/q\"}");
    assert_string_equal(from_form("PurgeQueue", "/000000000000/q", "QueueUrl=x"), "{\"QueueUrl\":\"x\"}");
}

static void flattened_answers_repeat_under_their_old_names(void **state) {
    (void)state;
    struct sl_op op = {.arena = &arena, .model = operation_of("sqs", "ReceiveMessage"), .request_id = "id"};
    assert_int_equal(sl_json_parse(&arena,
                                   SL_STR("{\"Messages\":[{\"Body\":\"a&b\",\"Attributes\":{\"X\":\"1\",\"Y\":\"2\"}},"
                                          "{\"Body\":\"c\"}]}"),
                                   &op.out, &err),
                     0);
    assert_int_equal(sl_query_encode(&op, &reply, &err), 0);
    assert_string_equal(
        sl_arena_cstr(&arena, reply.body),
        "<ReceiveMessageResponse xmlns=\"http://queue.amazonaws.com/doc/2012-11-05/\"><ReceiveMessageResult>"
        "<Message><Body>a&amp;b</Body><Attribute><Name>X</Name><Value>1</Value></Attribute>"
        "<Attribute><Name>Y</Name><Value>2</Value></Attribute></Message><Message><Body>c</Body></Message>"
        "</ReceiveMessageResult><ResponseMetadata><RequestId>id</RequestId></ResponseMetadata>"
        "</ReceiveMessageResponse>\n");
    const struct sl_service *sqs = sl_service_find(SL_STR("sqs"));
    sl_query_error(&arena, sqs, NULL, SL_E_INVALID_PARAMETER, SL_STR("m"), SL_STR("id"), &reply);
    assert_string_equal(
        sl_arena_cstr(&arena, reply.body),
        "<ErrorResponse xmlns=\"http://queue.amazonaws.com/doc/2012-11-05/\"><Error><Type>Sender</Type>"
        "<Code>InvalidParameterValue</Code><Message>m</Message><Detail/></Error><RequestId>id</RequestId>"
        "</ErrorResponse>\n");
}

static void what_is_missing_is_said_in_the_services_words(void **state) {
    (void)state;
    struct sl_json *in = NULL;
    struct sl_str message = {0};
    assert_int_equal(sl_json_parse(&arena, SL_STR("{\"QueueUrl\":\"u\"}"), &in, &err), 0);
    assert_int_equal(sl_validate(&arena, operation_of("sqs", "SendMessage"), in, &message), SL_E_MISSING_PARAMETER);
    assert_string_equal(sl_arena_cstr(&arena, message), "The request must contain the parameter MessageBody.");
    assert_int_equal(sl_json_parse(&arena, SL_STR("{\"logGroupName\":\"a b\"}"), &in, &err), 0);
    assert_int_equal(sl_validate(&arena, operation_of("logs", "CreateLogGroup"), in, &message), SL_E_LOGS_PARAMETER);
    assert_true(sl_str_starts(message, SL_STR("1 validation error detected: Value 'a b' at 'logGroupName' failed")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_target_names_service_and_operation),
        cmocka_unit_test(bodies_become_members),
        cmocka_unit_test(answers_have_the_services_content_type),
        cmocka_unit_test(errors_carry_their_type_and_the_query_code),
        cmocka_unit_test(flattened_forms_are_read_by_their_old_names),
        cmocka_unit_test(flattened_answers_repeat_under_their_old_names),
        cmocka_unit_test(what_is_missing_is_said_in_the_services_words),
    };
    sl_arena_init(&arena, 16 << 20);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    sl_arena_free(&arena);
    return failed;
}
