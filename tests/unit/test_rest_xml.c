// SPDX-License-Identifier: Apache-2.0
//
// The rest-xml protocol: reading XML, input and output by the model, S3's error document, and which operation an
// address means.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aws/codec.h"
#include "aws/route_s3.h"
#include "aws/xml.h"
#include "http/http.h"

static struct sl_arena arena;
static struct sl_error err;

static int set_up(void **state) {
    (void)state;
    sl_arena_init(&arena, 16 << 20);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    sl_arena_free(&arena);
    return 0;
}

#define assert_str(a, b) assert_string_equal(sl_arena_cstr(&arena, a), b)

static struct sl_xml *parse(const char *text) {
    struct sl_xml *root = NULL;
    return sl_xml_parse(&arena, sl_str_of(text), &root, &err) == SL_OK ? root : NULL;
}

// --- XML

static void text_is_decoded_and_joined(void **state) {
    (void)state;
    const struct sl_xml *root =
        parse("\xEF\xBB\xBF<?xml version='1.0'?>\n<!-- - --><n:a xmlns:n=\"u\" k='&lt;v'>1<b/>2<![CDATA[<&>]]>"
              "<!-- x -->&#x41;&#66;&amp;&quot;&apos;\r\n</n:a>\n");
    assert_non_null(root);
    assert_str(root->name, "a");
    assert_str(root->text, "12<&>AB&\"'\n");
    assert_str(root->attributes->name, "k");
    assert_str(root->attributes->value, "<v");
    assert_null(root->attributes->next);
    assert_non_null(sl_xml_child(root, SL_STR("b")));
}

static void what_is_not_well_formed_is_refused(void **state) {
    (void)state;
    static const char *const bad[] = {"",
                                      "text",
                                      "<a>",
                                      "<a></b>",
                                      "<a><b></a></b>",
                                      "<a/><b/>",
                                      "<a b=c/>",
                                      "<a b='<'/>",
                                      "<a b='1'c='2'/>",
                                      "<1/>",
                                      "<a>&unknown;</a>",
                                      "<a>&#0;</a>",
                                      "<a>&#xD800;</a>",
                                      "<a>&amp</a>",
                                      "<a>\x01</a>",
                                      "<a>\xFF</a>",
                                      "<!DOCTYPE a [<!ENTITY e 'x'>]><a>&e;</a>",
                                      "<a><![CDATA[</a>",
                                      "<a><!-- </a>",
                                      "< a/>"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (parse(bad[i])) fail_msg("accepted: %s", bad[i]);
        assert_int_equal(err.kind, SL_E_MALFORMED_XML);
    }
}

static void depth_is_bounded(void **state) {
    (void)state;
    struct sl_buf text;
    for (int depth = SL_XML_DEPTH; depth <= SL_XML_DEPTH + 1; depth++) {
        sl_buf_init(&text, 4096);
        for (int i = 0; i < depth; i++) sl_buf_cstr(&text, "<a>");
        for (int i = 0; i < depth; i++) sl_buf_cstr(&text, "</a>");
        sl_buf_char(&text, '\0');
        assert_int_equal(parse(text.ptr) != NULL, depth == SL_XML_DEPTH);
        sl_buf_free(&text);
    }
}

static void what_is_written_is_read_again(void **state) {
    (void)state;
    struct sl_buf out;
    sl_buf_init(&out, 4096);
    sl_buf_cstr(&out, "<a>");
    sl_xml_put_text(&out, SL_STR("<&>\"'\r\n\t ü\x01"));
    sl_buf_cstr(&out, "</a>");
    sl_buf_char(&out, '\0');
    const struct sl_xml *root = parse(out.ptr);
    assert_non_null(root);
    assert_str(root->text, "<&>\"'\r\n\t ü\xEF\xBF\xBD");
    sl_buf_free(&out);
}

// --- addresses

static struct sl_aws_request request_of(const char *method, const char *host, const char *path, const char *query) {
    return (struct sl_aws_request){
        .method = sl_str_of(method), .host = sl_str_of(host), .path = sl_str_of(path), .query = sl_str_of(query)};
}

static void bucket_and_key_are_found_in_host_and_path(void **state) {
    (void)state;
    static const char *const rows[][4] = {
        {"localhost:4566", "/", "", ""},
        {"localhost:4566", "/b", "b", ""},
        {"localhost:4566", "/b/", "b", ""},
        {"localhost:4566", "/b/k", "b", "k"},
        {"localhost:4566", "/b//k//", "b", "/k//"},
        {"s3.localhost.localstack.cloud:4566", "/b/k", "b", "k"},
        {"s3-us-west-2.amazonaws.com", "/b/k", "b", "k"},
        {"b.s3.amazonaws.com", "/k/l", "b", "k/l"},
        {"b.s3.amazonaws.com", "/", "b", ""},
        {"a.s3.b.s3.us-east-1.amazonaws.com", "/k", "a.s3.b", "k"},
        {"my.dots.s3-eu-west-1.amazonaws.com", "/k", "my.dots", "k"},
        {"b.localhost:4566", "/k", "b", "k"},
        {"b.localhost.localstack.cloud", "/k", "b", "k"},
        {"localhost.localstack.cloud:4566", "/b/k", "b", "k"},
        {"10.0.0.1:4566", "/b/k", "b", "k"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sl_s3_address address;
        const struct sl_aws_request request = request_of("GET", rows[i][0], rows[i][1], NULL);
        sl_s3_address(&request, &address);
        assert_str(address.bucket, rows[i][2]);
        assert_str(address.key, rows[i][3]);
    }
    assert_true(sl_s3_owns_host(SL_STR("b.s3.localhost:4566")));
    assert_true(sl_s3_owns_host(SL_STR("s3.localhost")));
    assert_false(sl_s3_owns_host(SL_STR("localhost:4566")));
    assert_false(sl_s3_owns_host(SL_STR("api.execute-api.localhost:4566")));
}

static void operations_are_told_apart_by_what_they_require(void **state) {
    (void)state;
    static const char *const rows[][4] = {
        {"GET", "/", NULL, "ListBuckets"},
        {"GET", "/b", NULL, "ListObjects"},
        {"GET", "/b", "list-type=2&prefix=x", "ListObjectsV2"},
        {"GET", "/b", "list-type=1", "ListObjects"},
        {"GET", "/b", "versions", "ListObjectVersions"},
        {"GET", "/b", "uploads=", "ListMultipartUploads"},
        {"GET", "/b", "analytics", "ListBucketAnalyticsConfigurations"},
        {"GET", "/b", "analytics&id=1", "GetBucketAnalyticsConfiguration"},
        {"GET", "/b", "lifecycle", "GetBucketLifecycleConfiguration"},
        {"HEAD", "/b", NULL, "HeadBucket"},
        {"PUT", "/b", NULL, "CreateBucket"},
        {"POST", "/b", "delete", "DeleteObjects"},
        {"GET", "/b/k", NULL, "GetObject"},
        {"GET", "/b/k", "x-id=GetObject&partNumber=3", "GetObject"},
        {"GET", "/b/k", "uploadId=u", "ListParts"},
        {"PUT", "/b/k", NULL, "PutObject"},
        {"PUT", "/b/k", "partNumber=1&uploadId=u", "UploadPart"},
        {"PUT", "/b/k", "tagging", "PutObjectTagging"},
        {"POST", "/b/k", "uploads", "CreateMultipartUpload"},
        {"POST", "/b/k", "uploadId=u", "CompleteMultipartUpload"},
        {"DELETE", "/b/k", "uploadId=u", "AbortMultipartUpload"},
        {"DELETE", "/b/k", "versionId=v", "DeleteObject"},
    };
    struct sl_route route;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct sl_aws_request request = request_of(rows[i][0], "localhost", rows[i][1], rows[i][2]);
        assert_true(sl_s3_route(&request, &route));
        assert_str(route.operation->name, rows[i][3]);
    }
    struct sl_http_header source = {SL_STR("X-Amz-Copy-Source"), SL_STR("b/k")};
    struct sl_aws_request copy = request_of("PUT", "localhost", "/b/k", NULL);
    copy.headers = &source;
    copy.header_count = 1;
    assert_true(sl_s3_route(&copy, &route));
    assert_str(route.operation->name, "CopyObject");
    copy.query = SL_STR("partNumber=1&uploadId=u");
    assert_true(sl_s3_route(&copy, &route));
    assert_str(route.operation->name, "UploadPartCopy");
    const struct sl_aws_request none = request_of("PATCH", "localhost", "/b/k", NULL);
    assert_false(sl_s3_route(&none, &route));
}

// --- input and output

static struct sl_json *decode(const struct sl_aws_request *request) {
    struct sl_route route;
    struct sl_json *in = NULL;
    assert_true(sl_s3_route(request, &route));
    return sl_rest_xml_decode(&arena, &route, request, &in, &err) == SL_OK ? in : NULL;
}

static void input_is_decoded_by_the_model(void **state) {
    (void)state;
    struct sl_http_header headers[] = {{SL_STR("x-amz-meta-Color"), SL_STR("red")},
                                       {SL_STR("Content-Type"), SL_STR("text/plain")},
                                       {SL_STR("If-None-Match"), SL_STR("*")}};
    struct sl_aws_request put = request_of("PUT", "localhost", "/b/a%20b/%C3%BC", NULL);
    put.headers = headers;
    put.header_count = 3;
    const struct sl_json *in = decode(&put);
    assert_str(sl_json_string(in, "Bucket"), "b");
    assert_str(sl_json_string(in, "Key"), "a b/ü");
    assert_str(sl_json_string(sl_json_get(in, "Metadata"), "Color"), "red");
    assert_str(sl_json_string(in, "IfNoneMatch"), "*");

    struct sl_aws_request many = request_of("POST", "localhost", "/b", "delete");
    many.body =
        SL_STR("<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>true</Quiet><Object><Key>a</Key>"
               "</Object><Object><Key> b </Key><Size>7</Size><Unknown/></Object></Delete>");
    in = sl_json_get(decode(&many), "Delete");
    assert_true(sl_json_bool(in, "Quiet", false));
    assert_int_equal(sl_json_get(in, "Objects")->count, 2);
    assert_str(sl_json_string(sl_json_get(in, "Objects")->first, "Key"), "a");
    assert_str(sl_json_string(sl_json_get(in, "Objects")->last, "Key"), " b ");
    assert_int_equal(sl_json_int(sl_json_get(in, "Objects")->last, "Size", 0), 7);

    static const char *const bad[] = {"<Delete><Object/></Delete>",
                                      "<Delete/>",
                                      "<Other/>",
                                      "",
                                      "<Delete><Quiet>maybe</Quiet><Object><Key>a</Key></Object></Delete>",
                                      "<Delete><Object><Key>a</Key><Size>x</Size></Object></Delete>"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        many.body = sl_str_of(bad[i]);
        assert_null(decode(&many));
        assert_int_equal(err.kind, SL_E_MALFORMED_XML);
    }
    const struct sl_aws_request numbers = request_of("GET", "localhost", "/b", "max-keys=x");
    assert_null(decode(&numbers));
    assert_int_equal(err.kind, SL_E_S3_INVALID_ARGUMENT);
}

static struct sl_reply encode(const char *operation, const char *out) {
    struct sl_op op = {.arena = &arena,
                       .model = sl_operation_find(sl_service_find(SL_STR("s3")), sl_str_of(operation))};
    struct sl_reply reply;
    assert_int_equal(sl_json_parse(&arena, sl_str_of(out), &op.out, &err), SL_OK);
    assert_int_equal(sl_rest_xml_encode(&op, &reply, &err), SL_OK);
    return reply;
}

#define HEAD "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
#define NS   " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\""

static void output_has_the_published_shapes(void **state) {
    (void)state;
    struct sl_reply reply =
        encode("ListObjectsV2", "{\"Name\":\"b\",\"KeyCount\":1,\"IsTruncated\":false,\"Contents\":[{\"Key\":"
                                "\"<k>\",\"ETag\":\"\\\"e\\\"\",\"LastModified\":1700000000123,\"Size\":3}],"
                                "\"CommonPrefixes\":[{\"Prefix\":\"p/\"},{\"Prefix\":\"q/\"}]}");
    assert_str(
        reply.body,
        HEAD "<ListBucketResult" NS "><IsTruncated>false</IsTruncated><Contents><Key>&lt;k&gt;</Key>"
             "<LastModified>2023-11-14T22:13:20.000Z</LastModified><ETag>&quot;e&quot;</ETag><Size>3</Size></Contents>"
             "<Name>b</Name><CommonPrefixes><Prefix>p/</Prefix></CommonPrefixes><CommonPrefixes><Prefix>q/</Prefix>"
             "</CommonPrefixes><KeyCount>1</KeyCount></ListBucketResult>");
    assert_str(reply.content_type, "application/xml");
    reply = encode("GetBucketLocation", "{\"LocationConstraint\":\"eu-west-1\"}");
    assert_str(reply.body, HEAD "<LocationConstraint" NS ">eu-west-1</LocationConstraint>");
    reply = encode("GetBucketLocation", "{}");
    assert_str(reply.body, HEAD "<LocationConstraint" NS "></LocationConstraint>");
    reply = encode("GetObjectTagging", "{\"VersionId\":\"v\",\"TagSet\":[{\"Key\":\"a\",\"Value\":\"\"}]}");
    assert_str(reply.body, HEAD "<Tagging" NS "><TagSet><Tag><Key>a</Key><Value></Value></Tag></TagSet></Tagging>");
    assert_str(reply.headers[0].name, "x-amz-version-id");
    reply = encode("CopyObject", "{\"CopyObjectResult\":{\"ETag\":\"e\"},\"VersionId\":\"v\"}");
    assert_str(reply.body, HEAD "<CopyObjectResult" NS "><ETag>e</ETag></CopyObjectResult>");
    reply = encode("GetBucketAcl", "{\"Grants\":[{\"Grantee\":{\"ID\":\"1\",\"Type\":\"CanonicalUser\"}}]}");
    assert_str(reply.body, HEAD
               "<AccessControlPolicy" NS
               "><AccessControlList><Grant><Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" "
               "xsi:type=\"CanonicalUser\"><ID>1</ID></Grantee></Grant></AccessControlList></AccessControlPolicy>");
    reply = encode("PutObject", "{\"ETag\":\"e\"}");
    assert_int_equal(reply.body.len, 0);
    assert_null(reply.content_type.ptr);
    reply = encode("DeleteObject", "{\"DeleteMarker\":true}");
    assert_int_equal(reply.status, 204);
    assert_str(reply.headers[0].value, "true");
    reply = encode("GetBucketPolicy", "{\"Policy\":\"{}\"}");
    assert_str(reply.body, "{}");
}

static void errors_are_s3s_documents(void **state) {
    (void)state;
    struct sl_reply reply;
    struct sl_json *more = sl_json_new_object(&arena);
    sl_json_put_string(&arena, more, "Key", SL_STR("a&b"));
    sl_rest_xml_error(&arena, SL_E_S3_NO_SUCH_KEY, SL_STR("The specified key does not exist."), more, SL_STR("R"),
                      SL_STR("H"), &reply);
    assert_int_equal(reply.status, 404);
    assert_str(reply.body, HEAD "<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message>"
                                "<Key>a&amp;b</Key><RequestId>R</RequestId><HostId>H</HostId></Error>");
    sl_rest_xml_error(&arena, SL_E_IO, SL_STR("secret of the disk"), NULL, SL_STR("R"), SL_STR("H"), &reply);
    assert_int_equal(reply.status, 500);
    assert_str(reply.body,
               HEAD "<Error><Code>InternalError</Code><Message>We encountered an internal error. Please try "
                    "again.</Message><RequestId>R</RequestId><HostId>H</HostId></Error>");
    sl_rest_xml_error(&arena, SL_E_MISSING_TOKEN, SL_STR("x"), NULL, SL_STR("R"), SL_STR("H"), &reply);
    assert_int_equal(reply.status, 403);
    assert_true(sl_str_find(reply.body, SL_STR("<Code>AccessDenied</Code><Message>Access Denied</Message>")) > 0);
}

static void headers_in_a_link_are_taken_from_its_query(void **state) {
    (void)state;
    struct sl_http_header headers[2];
    struct sl_str query = SL_STR("X-Amz-Date=1&x-amz-meta-a%2Db=c%20d&other=1&x-amz-acl=private&x-amz-third=3");
    assert_int_equal(sl_s3_hoisted(&arena, query, headers, 2), 2);
    assert_str(headers[0].name, "x-amz-meta-a-b");
    assert_str(headers[0].value, "c d");
    assert_str(headers[1].name, "x-amz-acl");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(text_is_decoded_and_joined, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_not_well_formed_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(depth_is_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_written_is_read_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bucket_and_key_are_found_in_host_and_path, set_up, tear_down),
        cmocka_unit_test_setup_teardown(operations_are_told_apart_by_what_they_require, set_up, tear_down),
        cmocka_unit_test_setup_teardown(input_is_decoded_by_the_model, set_up, tear_down),
        cmocka_unit_test_setup_teardown(output_has_the_published_shapes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(errors_are_s3s_documents, set_up, tear_down),
        cmocka_unit_test_setup_teardown(headers_in_a_link_are_taken_from_its_query, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
