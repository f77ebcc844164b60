// SPDX-License-Identifier: Apache-2.0
//
// SigV4 against facts of AWS's published test suite (key AKIDEXAMPLE, 2015-08-30, us-east-1, service "service"), and
// cases beyond it that were signed with AWS's Python SDK under the same clock.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aws/sigv4.h"
#include "http/http.h"

static const struct sl_str secret = SL_STR_INIT("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
static const int64_t signing_time = 1440938160000; // 2015-08-30T12:36:00Z

#define AUTHORIZATION(service, headers, signature)                                                                     \
    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/" service "/aws4_request, SignedHeaders=" headers      \
    ", Signature=" signature

struct vector {
    const char *name, *method, *path, *query, *headers[8], *body, *authorization;
};

static const struct vector vectors[] = {
    {"get-vanilla",
     "GET",
     "/",
     "",
     {0},
     "",
     AUTHORIZATION("service", "host;x-amz-date", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31")},
    {"post-vanilla",
     "POST",
     "/",
     "",
     {0},
     "",
     AUTHORIZATION("service", "host;x-amz-date", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b")},
    {"get-vanilla-query-order-key-case",
     "GET",
     "/",
     "Param2=value2&Param1=value1",
     {0},
     "",
     AUTHORIZATION("service", "host;x-amz-date", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500")},
    {"get-vanilla-query-unreserved",
     "GET",
     "/",
     "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz=-._~"
     "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
     {0},
     "",
     AUTHORIZATION("service", "host;x-amz-date", "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197")},
    {"post-x-www-form-urlencoded",
     "POST",
     "/",
     "",
     {"Content-Type", "application/x-www-form-urlencoded"},
     "Param1=value1",
     AUTHORIZATION("service", "content-type;host;x-amz-date",
                   "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a")},
    {"normalize-path/get-relative",
     "GET",
     "/example/..",
     "",
     {0},
     "",
     AUTHORIZATION("service", "host;x-amz-date", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31")},
    {"normalize-path/get-slash",
     "GET",
     "//",
     "",
     {0},
     "",
     AUTHORIZATION("service", "host;x-amz-date", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31")},
    {"normalize-path/get-space",
     "GET",
     "/example space/",
     "",
     {0},
     "",
     AUTHORIZATION("service", "host;x-amz-date", "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741")},
    {"get-utf8",
     "GET",
     "/\xe1\x88\xb4",
     "",
     {0},
     "",
     AUTHORIZATION("service", "host;x-amz-date", "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85")},
    {"inner spaces of a header are one",
     "GET",
     "/",
     "",
     {"My-Header1", " a   b   c"},
     "",
     AUTHORIZATION("service", "host;my-header1;x-amz-date",
                   "6ff6bc3cebca8811504dc903f3a072c310d9f48f8ee5c0b08115052209439e1b")},
    {"an encoded ARN in the path is encoded twice",
     "GET",
     "/2017-03-31/tags/arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Ademo",
     "",
     {0},
     "",
     AUTHORIZATION("service", "host;x-amz-date", "0d7fe28871fb82ea1dea4540744afecfa686f38dd7b21a0bb68d8348915f74fe")},
    {"session token and body",
     "POST",
     "/a/b",
     "",
     {"X-Amz-Security-Token", "tok/en"},
     "{}",
     AUTHORIZATION("lambda", "host;x-amz-date;x-amz-security-token",
                   "8c56857526379d3747165259b72f9d4c56189ffa27ec957cb74d3d7a9ffbdbc0")},
};

struct fixture {
    struct sl_arena arena;
    struct sl_http_header headers[16];
    struct sl_aws_request request;
    struct sl_sigv4 signature;
    struct sl_error err;
};

static void add(struct fixture *f, const char *name, const char *value) {
    f->headers[f->request.header_count].name = sl_str_of(name);
    f->headers[f->request.header_count++].value = sl_str_trim(sl_str_of(value));
}

static void setup(struct fixture *f, const struct vector *vector) {
    memset(f, 0, sizeof *f);
    sl_arena_init(&f->arena, 1 << 20);
    f->request = (struct sl_aws_request){.method = sl_str_of(vector->method),
                                         .path = sl_str_of(vector->path),
                                         .query = sl_str_of(vector->query),
                                         .headers = f->headers,
                                         .body = sl_str_of(vector->body)};
    add(f, "Host", "example.amazonaws.com");
    add(f, "X-Amz-Date", "20150830T123600Z");
    for (int i = 0; i < 8 && vector->headers[i]; i += 2) add(f, vector->headers[i], vector->headers[i + 1]);
    if (vector->authorization) add(f, "Authorization", vector->authorization);
}

static int check(struct fixture *f, int64_t now_ms) {
    int kind = sl_sigv4_parse(&f->arena, &f->request, &f->signature, &f->err);
    return kind ? kind : sl_sigv4_verify(&f->arena, &f->request, &f->signature, secret, now_ms, &f->err);
}

static void published_vectors_verify(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        struct fixture f;
        setup(&f, &vectors[i]);
        int kind = check(&f, signing_time);
        if (kind) fail_msg("%s: %s", vectors[i].name, f.err.message);
        sl_arena_free(&f.arena);
    }
}

static void the_string_to_sign_is_the_documented_one(void **state) {
    (void)state;
    struct fixture f;
    setup(&f, &vectors[0]);
    assert_int_equal(check(&f, signing_time), 0);
    struct sl_str canonical = sl_sigv4_canonical_request(&f.arena, &f.request, &f.signature);
    assert_true(sl_str_is(canonical,
                          "GET\n/\n\nhost:example.amazonaws.com\nx-amz-date:20150830T123600Z\n\nhost;x-amz-date\n"
                          "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
    struct sl_str text = sl_sigv4_string_to_sign(&f.arena, canonical, &f.signature);
    assert_true(sl_str_is(text, "AWS4-HMAC-SHA256\n20150830T123600Z\n20150830/us-east-1/service/aws4_request\n"
                                "bb579772317eb040ac9ed261061d46c1f17a8133879d6129b6e1c25292927e63"));
    sl_arena_free(&f.arena);
}

static void any_change_breaks_the_signature(void **state) {
    (void)state;
    struct fixture f;
    const struct vector *form = &vectors[4];
    setup(&f, form);
    f.request.body = SL_STR("Param1=value2");
    assert_int_equal(check(&f, signing_time), SL_E_INVALID_SIGNATURE);
    assert_non_null(
        strstr(f.err.message, "The request signature we calculated does not match the signature you provided."));
    sl_arena_free(&f.arena);
    setup(&f, form);
    f.request.method = SL_STR("PUT");
    assert_int_equal(check(&f, signing_time), SL_E_INVALID_SIGNATURE);
    sl_arena_free(&f.arena);
    setup(&f, form);
    f.request.path = SL_STR("/other");
    assert_int_equal(check(&f, signing_time), SL_E_INVALID_SIGNATURE);
    sl_arena_free(&f.arena);
    setup(&f, form);
    f.headers[2].value = SL_STR("text/plain");
    assert_int_equal(check(&f, signing_time), SL_E_INVALID_SIGNATURE);
    sl_arena_free(&f.arena);
}

static void the_clock_may_be_off_by_fifteen_minutes(void **state) {
    (void)state;
    const int64_t minute = 60000;
    struct fixture f;
    setup(&f, &vectors[0]);
    assert_int_equal(check(&f, signing_time + 15 * minute), 0);
    assert_int_equal(check(&f, signing_time - 15 * minute), 0);
    assert_int_equal(check(&f, signing_time + 16 * minute), SL_E_INVALID_SIGNATURE);
    assert_string_equal(
        f.err.message,
        "Signature expired: 20150830T123600Z is now earlier than 20150830T123700Z (20150830T125200Z - 15 min.)");
    assert_int_equal(check(&f, signing_time - 16 * minute), SL_E_INVALID_SIGNATURE);
    assert_string_equal(f.err.message, "Signature not yet current: 20150830T123600Z is still later than "
                                       "20150830T123500Z (20150830T122000Z + 15 min.)");
    sl_arena_free(&f.arena);
}

#define PRESIGNED                                                                                                      \
    "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20150830%2Fus-east-1%2Fsts%2Faws4_request&X-Amz-" \
    "Date=20150830T123600Z"                                                                                            \
    "&X-Amz-Expires=300&X-Amz-SignedHeaders=host&X-Amz-Signature="
#define PRESIGNED_SIGNATURE "9f018e3b64d4a655278426227d121bf0448c724d357ca109ba1c7d5e9f377505"

static void presigned_urls_verify_until_they_expire(void **state) {
    (void)state;
    struct fixture f;
    const struct vector vector = {"presigned", "GET", "/", PRESIGNED PRESIGNED_SIGNATURE, {0}, "", NULL};
    setup(&f, &vector);
    f.request.header_count = 1;
    assert_int_equal(check(&f, signing_time + 299000), 0);
    assert_true(f.signature.presigned);
    assert_true(sl_str_is(f.signature.access_key, "AKIDEXAMPLE"));
    assert_true(sl_str_is(f.signature.service, "sts"));
    assert_int_equal(check(&f, signing_time + 301000), SL_E_INVALID_SIGNATURE);
    f.request.query = SL_STR(PRESIGNED "0f018e3b64d4a655278426227d121bf0448c724d357ca109ba1c7d5e9f377505");
    assert_int_equal(check(&f, signing_time), SL_E_INVALID_SIGNATURE);
    f.request.query = SL_STR(PRESIGNED PRESIGNED_SIGNATURE "&more=1");
    assert_int_equal(check(&f, signing_time), SL_E_INVALID_SIGNATURE);
    sl_arena_free(&f.arena);
}

static void unsigned_and_malformed_requests_are_told_apart(void **state) {
    (void)state;
    struct fixture f;
    struct vector vector = {"", "GET", "/", "", {0}, "", NULL};
    setup(&f, &vector);
    assert_int_equal(check(&f, signing_time), SL_E_MISSING_TOKEN);
    static const char *const broken[] = {
        "AWS4-HMAC-SHA256 nothing",
        "AWS4-HMAC-SHA256 Credential=AKID, SignedHeaders=host, Signature=00",
        "AWS4-HMAC-SHA256 Credential=AKID/20150830/us-east-1/service/aws5_request, SignedHeaders=host, Signature=00",
        "AWS4-HMAC-SHA256 Credential=/20150830/us-east-1/service/aws4_request, SignedHeaders=host, Signature=00",
        "AWS4-HMAC-SHA256 Credential=AKID/20150830/us-east-1/service/aws4_request, Signature=00",
        "AWS4-HMAC-SHA256 Credential=AKID/20150830/us-east-1/service/aws4_request, SignedHeaders=host",
    };
    add(&f, "Authorization", "");
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        f.headers[2].value = sl_str_of(broken[i]);
        assert_int_equal(check(&f, signing_time), SL_E_INCOMPLETE_SIGNATURE);
    }
    f.headers[2].value = SL_STR("Bearer x");
    assert_int_equal(check(&f, signing_time), SL_E_MISSING_TOKEN);
    sl_arena_free(&f.arena);
}

static void the_host_must_be_signed(void **state) {
    (void)state;
    struct fixture f;
    struct vector vector = {"", "GET", "/", "", {0}, "", AUTHORIZATION("service", "x-amz-date", "00")};
    setup(&f, &vector);
    assert_int_equal(check(&f, signing_time), SL_E_INVALID_SIGNATURE);
    assert_string_equal(f.err.message, "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.");
    sl_arena_free(&f.arena);
}

static void a_claimed_payload_hash_must_be_the_bodys(void **state) {
    (void)state;
    struct fixture f;
    struct vector vector = {
        "",
        "POST",
        "/",
        "",
        {"X-Amz-Content-Sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        "",
        NULL};
    setup(&f, &vector);
    f.signature = (struct sl_sigv4){.access_key = SL_STR("AKIDEXAMPLE"),
                                    .date = SL_STR("20150830"),
                                    .region = SL_STR("us-east-1"),
                                    .service = SL_STR("service"),
                                    .signed_headers = SL_STR("host;x-amz-content-sha256;x-amz-date"),
                                    .amz_date = SL_STR("20150830T123600Z"),
                                    .payload_hash = f.headers[2].value};
    struct sl_str canonical = sl_sigv4_canonical_request(&f.arena, &f.request, &f.signature);
    struct sl_str text = sl_sigv4_string_to_sign(&f.arena, canonical, &f.signature);
    f.signature.signature = sl_sigv4_signature(&f.arena, text, &f.signature, secret);
    assert_int_equal(sl_sigv4_verify(&f.arena, &f.request, &f.signature, secret, signing_time, &f.err), 0);
    f.request.body = SL_STR("smuggled"); // the signature alone would still be right
    assert_int_equal(sl_sigv4_verify(&f.arena, &f.request, &f.signature, secret, signing_time, &f.err),
                     SL_E_INVALID_SIGNATURE);
    sl_arena_free(&f.arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_vectors_verify),
        cmocka_unit_test(the_string_to_sign_is_the_documented_one),
        cmocka_unit_test(any_change_breaks_the_signature),
        cmocka_unit_test(the_clock_may_be_off_by_fifteen_minutes),
        cmocka_unit_test(presigned_urls_verify_until_they_expire),
        cmocka_unit_test(unsigned_and_malformed_requests_are_told_apart),
        cmocka_unit_test(the_host_must_be_signed),
        cmocka_unit_test(a_claimed_payload_hash_must_be_the_bodys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
