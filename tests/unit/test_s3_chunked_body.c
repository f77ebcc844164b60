// SPDX-License-Identifier: Apache-2.0
//
// aws-chunked: the examples that the S3 API reference publishes ("Signature calculations for the Authorization header:
// transferring payload in multiple chunks", and with trailing headers), in pieces of every size, and what is not right.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "aws/chunked_body.h"
#include "base/buf.h"

static const struct sl_str secret = SL_STR_INIT("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
static struct sl_error err;

static struct sl_sigv4 signature_of(const char *form, const char *seed) {
    return (struct sl_sigv4){.access_key = SL_STR("AKIAIOSFODNN7EXAMPLE"),
                             .date = SL_STR("20130524"),
                             .region = SL_STR("us-east-1"),
                             .service = SL_STR("s3"),
                             .amz_date = SL_STR("20130524T000000Z"),
                             .signature = sl_str_of(seed),
                             .payload_hash = sl_str_of(form)};
}

static void put_chunk(struct sl_buf *out, size_t size, const char *signature) {
    sl_buf_printf(out, "%zx", size);
    if (signature) sl_buf_printf(out, ";chunk-signature=%s", signature);
    sl_buf_cstr(out, "\r\n");
    for (size_t i = 0; i < size; i++) sl_buf_char(out, 'a');
    if (size) sl_buf_cstr(out, "\r\n");
}

static void published(struct sl_buf *out) {
    sl_buf_init(out, 1 << 20);
    put_chunk(out, 65536, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648");
    put_chunk(out, 1024, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497");
    put_chunk(out, 0, "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9");
    sl_buf_cstr(out, "\r\n");
}

#define SEED "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
#define FORM "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"

// Feeds it in pieces; the length of what came out, or -1 when it was refused or is not complete.
static long decode(const char *form, const char *seed, struct sl_str key, struct sl_str text, size_t piece) {
    const struct sl_sigv4 signature = signature_of(form, seed);
    struct sl_chunked_body *body = NULL;
    long length = 0;
    if (sl_chunked_body_new(&body, &signature, key, &err)) return -1;
    for (size_t at = 0; at < text.len && length >= 0; at += piece) {
        struct sl_str in = sl_str_sub(text, at, at + piece), part;
        while (in.len && length >= 0) {
            size_t used;
            if (sl_chunked_body_feed(body, in, &used, &part, &err)) {
                length = -1;
                break;
            }
            for (size_t i = 0; i < part.len; i++) assert_int_equal(part.ptr[i], 'a');
            length += (long)part.len;
            in = sl_str_sub(in, used, in.len);
        }
    }
    if (length >= 0 && !sl_chunked_body_complete(body)) length = -1;
    sl_chunked_body_free(body);
    return length;
}

static void the_published_example_verifies_in_pieces_of_every_size(void **state) {
    (void)state;
    struct sl_buf text;
    published(&text);
    static const size_t pieces[] = {1, 2, 3, 7, 64, 1000, 65536, 1 << 20};
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++)
        assert_int_equal(decode(FORM, SEED, secret, sl_buf_view(&text), pieces[i]), 66560);
    sl_buf_free(&text);
}

static void one_changed_byte_is_refused(void **state) {
    (void)state;
    struct sl_buf text;
    published(&text);
    struct sl_str view = sl_buf_view(&text);
    // In the data of both chunks, in each signature, and in the seed's stead.
    const size_t places[] = {100, 65535, 66000, 66700, view.len - 10};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        char before = text.ptr[places[i]];
        text.ptr[places[i]] = before == 'a' ? 'b' : 'a';
        const struct sl_sigv4 signature = signature_of(FORM, SEED);
        struct sl_chunked_body *body = NULL;
        struct sl_str in = view, part;
        size_t used;
        int kind = sl_chunked_body_new(&body, &signature, secret, &err);
        while (!kind && in.len) {
            kind = sl_chunked_body_feed(body, in, &used, &part, &err);
            if (!kind) in = sl_str_sub(in, used, in.len);
        }
        assert_true(kind == SL_E_INVALID_SIGNATURE || kind == SL_E_S3_INCOMPLETE_BODY);
        sl_chunked_body_free(body);
        text.ptr[places[i]] = before;
    }
    assert_int_equal(decode(FORM, "0" SEED, secret, view, 1000), -1);
    assert_int_equal(decode(FORM, SEED, SL_STR("another"), view, 1000), -1);
    assert_int_equal(decode(FORM, SEED, (struct sl_str){0}, view, 1000),
                     66560); // not verified where keys are not known
    sl_buf_free(&text);
}

static void every_prefix_of_a_body_is_incomplete(void **state) {
    (void)state;
    struct sl_buf text;
    sl_buf_init(&text, 4096);
    put_chunk(&text, 20, NULL);
    put_chunk(&text, 0, NULL);
    sl_buf_cstr(&text, "x-amz-checksum-crc32:AAAAAA==\r\n\r\n");
    struct sl_str view = sl_buf_view(&text);
    for (size_t len = 0; len < view.len; len++)
        assert_int_equal(
            decode("STREAMING-UNSIGNED-PAYLOAD-TRAILER", SEED, (struct sl_str){0}, sl_str_sub(view, 0, len), 5), -1);
    assert_int_equal(decode("STREAMING-UNSIGNED-PAYLOAD-TRAILER", SEED, (struct sl_str){0}, view, 5), 20);
    sl_buf_char(&text, 'x'); // nothing may follow
    assert_int_equal(decode("STREAMING-UNSIGNED-PAYLOAD-TRAILER", SEED, (struct sl_str){0}, sl_buf_view(&text), 1000),
                     -1);
    sl_buf_free(&text);
}

static void a_trailer_is_found_by_its_name(void **state) {
    (void)state;
    const struct sl_sigv4 signature = signature_of("STREAMING-UNSIGNED-PAYLOAD-TRAILER", SEED);
    struct sl_chunked_body *body = NULL;
    struct sl_str in = SL_STR("0\r\nx-amz-checksum-crc32: AAAAAA== \r\n\r\n"), part;
    size_t used;
    assert_int_equal(sl_chunked_body_new(&body, &signature, (struct sl_str){0}, &err), SL_OK);
    while (in.len) {
        assert_int_equal(sl_chunked_body_feed(body, in, &used, &part, &err), SL_OK);
        in = sl_str_sub(in, used, in.len);
    }
    assert_true(sl_str_is(sl_chunked_body_trailer(body, SL_STR("X-Amz-Checksum-Crc32")), "AAAAAA=="));
    assert_null(sl_chunked_body_trailer(body, SL_STR("other")).ptr);
    sl_chunked_body_free(body);
}

static void what_is_not_of_the_coding_is_refused(void **state) {
    (void)state;
    static const char *const bad[] = {"\r\n",
                                      "g\r\n",
                                      "-1\r\n",
                                      "5\r\nhelloX",
                                      "5\r\nhello\r\r\n",
                                      "0x5\r\n",
                                      "fffffffffffffffff\r\n",
                                      "0\r\nno colon\r\n\r\n",
                                      "0\r\n:v\r\n\r\n"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const struct sl_sigv4 signature = signature_of("STREAMING-UNSIGNED-PAYLOAD-TRAILER", SEED);
        struct sl_chunked_body *body = NULL;
        struct sl_str in = sl_str_of(bad[i]), part;
        size_t used;
        int kind = sl_chunked_body_new(&body, &signature, (struct sl_str){0}, &err);
        while (!kind && in.len) {
            kind = sl_chunked_body_feed(body, in, &used, &part, &err);
            if (!kind) in = sl_str_sub(in, used, in.len);
        }
        if (!kind && !sl_chunked_body_complete(body)) kind = SL_E_S3_INCOMPLETE_BODY;
        assert_int_equal(kind, SL_E_S3_INCOMPLETE_BODY);
        sl_chunked_body_free(body);
    }
    assert_int_equal(decode("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", SEED, secret, SL_STR("0\r\n\r\n"), 10), -1);
    assert_int_equal(err.kind, SL_E_S3_NOT_IMPLEMENTED);
}

// The reference's example with a trailer.
static void the_published_trailer_verifies(void **state) {
    (void)state;
    const char *seed = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e";
    const char *form = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
    struct sl_buf text;
    sl_buf_init(&text, 1 << 20);
    put_chunk(&text, 65536, "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2");
    put_chunk(&text, 1024, "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7");
    put_chunk(&text, 0, "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992");
    size_t end = text.len;
    sl_buf_cstr(&text, "x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:"
                       "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n");
    assert_int_equal(decode(form, seed, secret, sl_buf_view(&text), 777), 66560);
    text.ptr[end + 24] = 't'; // in the trailer's value
    assert_int_equal(decode(form, seed, secret, sl_buf_view(&text), 777), -1);
    assert_int_equal(err.kind, SL_E_INVALID_SIGNATURE);
    text.len = end; // no trailer, no signature
    sl_buf_cstr(&text, "\r\n");
    assert_int_equal(decode(form, seed, secret, sl_buf_view(&text), 777), -1);
    sl_buf_free(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_example_verifies_in_pieces_of_every_size),
        cmocka_unit_test(one_changed_byte_is_refused),
        cmocka_unit_test(every_prefix_of_a_body_is_incomplete),
        cmocka_unit_test(a_trailer_is_found_by_its_name),
        cmocka_unit_test(what_is_not_of_the_coding_is_refused),
        cmocka_unit_test(the_published_trailer_verifies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
