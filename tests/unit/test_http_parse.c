// SPDX-License-Identifier: Apache-2.0
//
// parse: heads and chunked bodies as pure functions: what is accepted, what is refused and with which status, and that
// the way the bytes are cut makes no difference.
#include "http/parse.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

enum { MAX_HEAD = 400, MAX_HEADERS = 8 };

struct parsed {
    struct sl_http_request request;
    struct sl_http_header headers[MAX_HEADERS];
    struct sl_http_framing framing;
    struct sl_http_refusal refusal;
    size_t length;
    enum sl_http_step step;
};

static void parse(struct parsed *ret, struct sl_str text) {
    struct sl_http_scan scan = {0};
    *ret = (struct parsed){0};
    ret->request.headers = ret->headers;
    ret->step = sl_http__scan(&scan, text, MAX_HEAD, &ret->refusal);
    if (ret->step != SL_HTTP_DONE) return;
    ret->length = scan.end;
    ret->step = sl_http__parse_head(sl_str_sub(text, scan.begin, scan.end), MAX_HEADERS, &ret->request, &ret->framing,
                                    &ret->refusal);
}

static void assert_str(struct sl_str actual, const char *expected) {
    if (!sl_str_is(actual, expected)) fail_msg("'%.*s' is not '%s'", SL_FMT(actual), expected);
}

static void a_whole_head_is_taken_apart(void **state) {
    (void)state;
    struct parsed p;
    struct sl_str text =
        SL_STR("POST /a/b%20c?x=1&y HTTP/1.1\r\nHost: example.com:8080\r\nX-Empty:\r\nX-Pad: \t two words \t\r\n"
               "content-length: 12\r\nConnection: Keep-Alive, Close\r\nExpect: 100-CONTINUE\r\n\r\nrest");
    parse(&p, text);
    assert_int_equal(p.step, SL_HTTP_DONE);
    assert_int_equal(p.length, text.len - 4);
    assert_int_equal(p.request.method, SL_HTTP_POST);
    assert_str(p.request.method_text, "POST");
    assert_str(p.request.target, "/a/b%20c?x=1&y");
    assert_str(p.request.path, "/a/b%20c");
    assert_str(p.request.query, "x=1&y");
    assert_str(p.request.host, "example.com:8080");
    assert_int_equal(p.request.minor, 1);
    assert_int_equal(p.request.header_count, 6);
    assert_str(p.headers[1].name, "X-Empty");
    assert_str(p.headers[1].value, "");
    assert_str(p.headers[2].value, "two words");
    assert_true(p.framing.has_length && p.framing.length == 12 && !p.framing.chunked);
    assert_false(p.framing.keep_alive);
    assert_true(p.framing.expect_continue);
}

static void targets_of_all_forms_are_understood(void **state) {
    (void)state;
    static const struct {
        const char *line, *path, *query, *host;
    } rows[] = {
        {"GET / HTTP/1.1", "/", NULL, "h"},
        {"GET /? HTTP/1.1", "/", "", "h"},
        {"GET /a?b?c HTTP/1.1", "/a", "b?c", "h"},
        {"GET //double//slash HTTP/1.1", "//double//slash", NULL, "h"},
        {"GET /x[1]|y?a[]={1}^`\\ HTTP/1.1", "/x[1]|y", "a[]={1}^`\\", "h"},
        {"GET /?q=100% HTTP/1.1", "/", "q=100%", "h"},
        {"GET http://other.example:81/p?q HTTP/1.1", "/p", "q", "other.example:81"},
        {"GET HTTPS://other.example HTTP/1.1", "/", NULL, "other.example"},
        {"GET http://other.example?q HTTP/1.1", "/", "q", "other.example"},
        {"GET http://[::1]:80/ HTTP/1.1", "/", NULL, "[::1]:80"},
        {"OPTIONS * HTTP/1.1", "/", NULL, "h"},
        {"GET / HTTP/1.7", "/", NULL, "h"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[256];
        struct parsed p;
        snprintf(text, sizeof text, "%s\r\nHost: h\r\n\r\n", rows[i].line);
        parse(&p, sl_str_of(text));
        if (p.step != SL_HTTP_DONE)
            fail_msg("%s: refused with %d %s", rows[i].line, p.refusal.status, p.refusal.reason);
        assert_str(p.request.path, rows[i].path);
        assert_str(p.request.host, rows[i].host);
        assert_int_equal(p.request.query.ptr != NULL, rows[i].query != NULL);
        if (rows[i].query) assert_str(p.request.query, rows[i].query);
    }
}

static void keep_alive_follows_version_and_connection(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool keep;
    } rows[] = {
        {"GET / HTTP/1.1\r\nHost: h\r\n\r\n", true},
        {"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade , CLOSE\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nHost: h\r\nConnection: closed\r\n\r\n", true},
        {"GET / HTTP/1.0\r\n\r\n", false},
        {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true},
        {"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct parsed p;
        parse(&p, sl_str_of(rows[i].text));
        assert_int_equal(p.step, SL_HTTP_DONE);
        assert_int_equal(p.framing.keep_alive, rows[i].keep);
    }
}

#define H    "Host: h\r\n"
#define GET  "GET / HTTP/1.1\r\n" H
#define POST "POST / HTTP/1.1\r\n" H
#define ROW(status, text)                                                                                              \
    { status, SL_STR_INIT(text) }

static const struct {
    int status;
    struct sl_str text;
} refusals[] = {
    // lines and bytes
    ROW(400, "GET / HTTP/1.1\nHost: h\r\n\r\n"),
    ROW(400, "GET / HTTP/1.1\r\nHost: h\n\r\n"),
    ROW(400, GET "\n"),
    ROW(400, GET "A: b\rc\r\n\r\n"),
    ROW(400, GET "A: b\r\r\n\r\n"),
    ROW(400, GET "A: b\0c\r\n\r\n"),
    ROW(400, GET "A: b\x01\r\n\r\n"),
    ROW(400, GET "A: b\x7f\r\n\r\n"),
    ROW(400, "\x16\x03\x01\x02\x00\x01"), // a TLS ClientHello, refused at its first byte
    ROW(400, " GET / HTTP/1.1\r\n" H "\r\n"),
    ROW(400, "\nGET / HTTP/1.1\r\n" H "\r\n"),
    // request line
    ROW(400, "GET\r\n" H "\r\n"),
    ROW(400, "GET /\r\n" H "\r\n"),
    ROW(400, "GET / \r\n" H "\r\n"),
    ROW(400, "GET  / HTTP/1.1\r\n" H "\r\n"),
    ROW(400, "GET /  HTTP/1.1\r\n" H "\r\n"),
    ROW(400, "GET / HTTP/1.1 \r\n" H "\r\n"),
    ROW(400, "GET / HTTP/1.1 x\r\n" H "\r\n"),
    ROW(400, "GET\t/ HTTP/1.1\r\n" H "\r\n"),
    ROW(400, "G@T / HTTP/1.1\r\n" H "\r\n"),
    ROW(400, "G(T / HTTP/1.1\r\n" H "\r\n"),
    ROW(400, "GET / http/1.1\r\n" H "\r\n"),
    ROW(400, "GET / HTTP/1\r\n" H "\r\n"),
    ROW(400, "GET / HTTP/1.10\r\n" H "\r\n"),
    ROW(400, "GET / HTTP/x.1\r\n" H "\r\n"),
    ROW(400, "GET / FTTP/1.1\r\n" H "\r\n"),
    ROW(505, "GET / HTTP/2.0\r\n" H "\r\n"),
    ROW(505, "GET / HTTP/0.9\r\n\r\n"),
    ROW(505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ROW(501, "CONNECT h:443 HTTP/1.1\r\n" H "\r\n"),
    ROW(501, "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG / HTTP/1.1\r\n" H "\r\n"),
    // target
    ROW(400, "GET x HTTP/1.1\r\n" H "\r\n"),
    ROW(400, "GET * HTTP/1.1\r\n" H "\r\n"),
    ROW(400, "OPTIONS ** HTTP/1.1\r\n" H "\r\n"),
    ROW(400, "GET /# HTTP/1.1\r\n" H "\r\n"),
    ROW(400, "GET /?a#b HTTP/1.1\r\n" H "\r\n"),
    ROW(400, "GET /\" HTTP/1.1\r\n" H "\r\n"),
    ROW(400, "GET /<a> HTTP/1.1\r\n" H "\r\n"),
    ROW(400, "GET /a\\b HTTP/1.1\r\n" H "\r\n"),
    ROW(400, "GET /\xc3\xa9 HTTP/1.1\r\n" H "\r\n"),
    ROW(400, "GET /a\x01 HTTP/1.1\r\n" H "\r\n"),
    ROW(400, "GET /a\0b HTTP/1.1\r\n" H "\r\n"),
    ROW(400, "GET /% HTTP/1.1\r\n" H "\r\n"),
    ROW(400, "GET /%4 HTTP/1.1\r\n" H "\r\n"),
    ROW(400, "GET /%zz HTTP/1.1\r\n" H "\r\n"),
    ROW(400, "GET ftp://h/ HTTP/1.1\r\n" H "\r\n"),
    ROW(400, "GET http:/h/ HTTP/1.1\r\n" H "\r\n"),
    ROW(400, "GET http:///a HTTP/1.1\r\n" H "\r\n"),
    ROW(400, "GET http://u:p@h/ HTTP/1.1\r\n" H "\r\n"),
    ROW(400, "GET http://h:x/ HTTP/1.1\r\n" H "\r\n"),
    // fields
    ROW(400, GET "A : b\r\n\r\n"),
    ROW(400, GET "A\t: b\r\n\r\n"),
    ROW(400, GET " A: b\r\n\r\n"),
    ROW(400, GET "A: b\r\n folded\r\n\r\n"),
    ROW(400, GET "A: b\r\n\tfolded\r\n\r\n"),
    ROW(400, GET ": b\r\n\r\n"),
    ROW(400, GET "no colon\r\n\r\n"),
    ROW(400, GET "A(b): c\r\n\r\n"),
    ROW(400, GET "\xc3\xa9: c\r\n\r\n"),
    ROW(431, GET "a:\r\nb:\r\nc:\r\nd:\r\ne:\r\nf:\r\ng:\r\nh:\r\n\r\n"),
    // Host
    ROW(400, "GET / HTTP/1.1\r\n\r\n"),
    ROW(400, "GET / HTTP/1.1\r\nHost:\r\n\r\n"),
    ROW(400, GET H "\r\n"),
    ROW(400, "GET / HTTP/1.0\r\n" H H "\r\n"),
    ROW(400, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
    ROW(400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
    ROW(400, "GET / HTTP/1.1\r\nHost: u@h\r\n\r\n"),
    ROW(400, "GET / HTTP/1.1\r\nHost: h:80:80\r\n\r\n"),
    ROW(400, "GET / HTTP/1.1\r\nHost: h:8o\r\n\r\n"),
    ROW(400, "GET / HTTP/1.1\r\nHost: :80\r\n\r\n"),
    ROW(400, "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"),
    ROW(400, "GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n"),
    ROW(400, "GET / HTTP/1.1\r\nHost: [[::1]\r\n\r\n"),
    ROW(400, "GET / HTTP/1.1\r\nHost: [x]\r\n\r\n"),
    ROW(400, "GET http://a/ HTTP/1.1\r\n\r\n"), // the absolute-form does not excuse it
    // lengths
    ROW(400, POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ROW(400, POST "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n"),
    ROW(400, POST "Content-Length: 5\r\nContent-Length: 6\r\n\r\n"),
    ROW(400, POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\n"),
    ROW(400, POST "Content-Length: 5, 5\r\n\r\n"),
    ROW(400, POST "Content-Length: +5\r\n\r\n"),
    ROW(400, POST "Content-Length: -5\r\n\r\n"),
    ROW(400, POST "Content-Length: 0x5\r\n\r\n"),
    ROW(400, POST "Content-Length: 5 5\r\n\r\n"),
    ROW(400, POST "Content-Length:\r\n\r\n"),
    ROW(413, POST "Content-Length: 99999999999999999999\r\n\r\n"),
    ROW(413, POST "Content-Length: 9223372036854775808\r\n\r\n"),
    // transfer codings
    ROW(400, POST "Transfer-Encoding: gzip\r\n\r\n"),
    ROW(400, POST "Transfer-Encoding: chunked, gzip\r\n\r\n"),
    ROW(400, POST "Transfer-Encoding: chunked, chunked\r\n\r\n"),
    ROW(400, POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ROW(400, POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n"),
    ROW(400, POST "Transfer-Encoding: , chunked\r\n\r\n"),
    ROW(400, POST "Transfer-Encoding: chunked,\r\n\r\n"),
    ROW(400, POST "Transfer-Encoding:\r\n\r\n"),
    ROW(400, POST "Transfer-Encoding: xchunked\r\n\r\n"),
    ROW(400, POST "Transfer-Encoding: chunked;q=1\r\n\r\n"),
    ROW(400, POST "Transfer-Encoding: \"chunked\"\r\n\r\n"),
    ROW(400, POST "Transfer-Encoding: \x0b chunked\r\n\r\n"),
    ROW(400, POST "Transfer-Encoding : chunked\r\n\r\n"),
    ROW(501, POST "Transfer-Encoding: gzip, chunked\r\n\r\n"),
    ROW(501, POST "Transfer-Encoding: identity, chunked\r\n\r\n"),
    ROW(400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
    // expectations
    ROW(417, POST "Expect: 200-ok\r\n\r\n"),
};

static void what_is_not_strictly_right_is_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        struct parsed p;
        parse(&p, refusals[i].text);
        if (p.step != SL_HTTP_BAD || p.refusal.status != refusals[i].status)
            fail_msg("row %zu: step %d status %d, not %d: %.*s", i, p.step, p.refusal.status, refusals[i].status,
                     SL_FMT(refusals[i].text));
        assert_non_null(p.refusal.reason);
    }
}

static void transfer_coding_names_have_no_case(void **state) {
    (void)state;
    struct parsed p;
    parse(&p, SL_STR(POST "TRANSFER-ENCODING:\tCHUNKED \r\n\r\n"));
    assert_int_equal(p.step, SL_HTTP_DONE);
    assert_true(p.framing.chunked);
}

static void heads_are_limited(void **state) {
    (void)state;
    char text[MAX_HEAD * 2];
    struct parsed p;
    memset(text, 'a', sizeof text);
    parse(&p, sl_str_n(text, MAX_HEAD));
    assert_int_equal(p.step, SL_HTTP_MORE);
    parse(&p, sl_str_n(text, MAX_HEAD + 1));
    assert_int_equal(p.refusal.status, 414);
    memcpy(text, "GET / HTTP/1.1\r\nA:", 18);
    parse(&p, sl_str_n(text, MAX_HEAD));
    assert_int_equal(p.step, SL_HTTP_MORE);
    parse(&p, sl_str_n(text, MAX_HEAD + 1));
    assert_int_equal(p.refusal.status, 431);
    memcpy(text + MAX_HEAD - 3, "\r\n\r\n", 4);
    parse(&p, sl_str_n(text, MAX_HEAD + 1));
    assert_int_equal(p.refusal.status, 431);
}

static void every_cut_of_a_head_gives_the_same_end(void **state) {
    (void)state;
    struct sl_str text = SL_STR("\r\n\r\nGET /a HTTP/1.1\r\n" H "A: b\r\n\r\nGET /next");
    struct sl_http_refusal refusal;
    struct sl_http_scan whole = {0}, byte = {0};
    assert_int_equal(sl_http__scan(&whole, text, MAX_HEAD, &refusal), SL_HTTP_DONE);
    assert_int_equal(whole.begin, 4);
    assert_int_equal(whole.end, text.len - 9);
    enum sl_http_step step = SL_HTTP_MORE;
    size_t given = 0;
    while (step == SL_HTTP_MORE) step = sl_http__scan(&byte, sl_str_n(text.ptr, ++given), MAX_HEAD, &refusal);
    assert_int_equal(step, SL_HTTP_DONE);
    assert_int_equal(given, whole.end);
    assert_memory_equal(&whole, &byte, sizeof whole);
}

// ---- chunked ------------------------------------------------------------------------------------------------------

static struct sl_buf decoded, trailer_text;

// Decodes in pieces of `cut` bytes; returns the last step. *ret_used: bytes taken in all.
static enum sl_http_step decode(struct sl_str text, size_t cut, size_t *ret_used) {
    struct sl_http_chunked chunked;
    sl_http__chunked_init(&chunked, 200);
    sl_buf_clear(&decoded, 0);
    sl_buf_clear(&trailer_text, 0);
    size_t at = 0;
    enum sl_http_step step = SL_HTTP_MORE;
    while (step == SL_HTTP_MORE && at < text.len) {
        size_t used = 0;
        struct sl_str part;
        size_t end = at + cut < text.len ? at + cut : text.len;
        step = sl_http__chunked_feed(&chunked, sl_str_sub(text, at, end), &used, &part);
        if (part.len) sl_buf_str(&decoded, part);
        at += used;
        if (step == SL_HTTP_MORE) assert_true(used > 0);
    }
    sl_buf_str(&trailer_text, sl_buf_view(&chunked.trailers));
    sl_http__chunked_free(&chunked);
    *ret_used = at;
    return step;
}

static int chunked_setup(void **state) {
    (void)state;
    sl_buf_init(&decoded, 1 << 20);
    sl_buf_init(&trailer_text, 1 << 20);
    return 0;
}

static int chunked_teardown(void **state) {
    (void)state;
    sl_buf_free(&decoded);
    sl_buf_free(&trailer_text);
    return 0;
}

static void chunks_are_joined_however_they_are_cut(void **state) {
    (void)state;
    struct sl_str text =
        SL_STR("5\r\nhello\r\n001 ;a=\"b;c\"\r\n,\r\nA;x\r\n0123456789\r\n00\r\nTrailer: one\r\nB: two\r\n\r\nGET");
    for (size_t cut = 1; cut <= text.len; cut++) {
        size_t used;
        assert_int_equal(decode(text, cut, &used), SL_HTTP_DONE);
        assert_int_equal(used, text.len - 3);
        assert_str(sl_buf_view(&decoded), "hello,0123456789");
        struct sl_http_header fields[4];
        unsigned count;
        assert_true(sl_http__parse_fields(sl_buf_view(&trailer_text), fields, 4, &count));
        assert_int_equal(count, 2);
        assert_str(fields[0].name, "Trailer");
        assert_str(fields[1].value, "two");
    }
}

static void bad_chunks_are_refused(void **state) {
    (void)state;
    static const struct sl_str rows[] = {
        SL_STR_INIT("\r\n"),
        SL_STR_INIT("x\r\n"),
        SL_STR_INIT("-1\r\n"),
        SL_STR_INIT("+1\r\n"),
        SL_STR_INIT("0x5\r\n"),
        SL_STR_INIT(" 5\r\n"),
        SL_STR_INIT("5 \r\n"),
        SL_STR_INIT("5 5\r\n"),
        SL_STR_INIT("5\n"),
        SL_STR_INIT("5\rx"),
        SL_STR_INIT("5\r\nhello0\r\n"),
        SL_STR_INIT("5\r\nhello\n"),
        SL_STR_INIT("5\r\nhello\rx"),
        SL_STR_INIT("5\r\nhello\r\n\r\n"),
        SL_STR_INIT("10000000000000000\r\n"),
        SL_STR_INIT("00000000000000005\r\n"),
        SL_STR_INIT("fffffffffffffffff"),
        SL_STR_INIT("5;a\n"),
        SL_STR_INIT("5;a\rb"),
        SL_STR_INIT("5;a\0\r\n"),
        SL_STR_INIT("5;\x01\r\n"),
        SL_STR_INIT("0\r\nA: b\n\r\n"),
        SL_STR_INIT("0\r\nA: b\rc\r\n"),
        SL_STR_INIT("0\r\n\n"),
        SL_STR_INIT("0\r\n\rx"),
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (size_t cut = 1; cut <= rows[i].len; cut++) {
            size_t used;
            if (decode(rows[i], cut, &used) != SL_HTTP_BAD) fail_msg("row %zu cut %zu: %.*s", i, cut, SL_FMT(rows[i]));
        }
    }
}

static void a_chunk_size_may_be_as_large_as_64_bits(void **state) {
    (void)state;
    size_t used;
    assert_int_equal(decode(SL_STR("ffffffffffffffff\r\nabc"), 4, &used), SL_HTTP_MORE);
    assert_str(sl_buf_view(&decoded), "abc");
}

static void extensions_are_limited_per_chunk_and_per_body(void **state) {
    (void)state;
    struct sl_buf text;
    size_t used;
    sl_buf_init(&text, 1 << 20);
    sl_buf_cstr(&text, "1;");
    for (int i = 0; i < 300; i++) sl_buf_char(&text, 'e');
    assert_int_equal(decode(sl_buf_view(&text), 7, &used), SL_HTTP_BAD);
    sl_buf_clear(&text, 1 << 20);
    for (int chunk = 0; chunk < 200; chunk++) {
        sl_buf_cstr(&text, "1;");
        for (int i = 0; i < 200; i++) sl_buf_char(&text, 'e');
        sl_buf_cstr(&text, "\r\nx\r\n");
    }
    assert_int_equal(decode(sl_buf_view(&text), 4096, &used), SL_HTTP_BAD);
    assert_true(used < 20 * 1024);
    sl_buf_free(&text);
}

static void trailers_are_limited(void **state) {
    (void)state;
    struct sl_buf text;
    size_t used;
    sl_buf_init(&text, 1 << 20);
    sl_buf_cstr(&text, "0\r\n");
    for (int i = 0; i < 50; i++) sl_buf_cstr(&text, "Name: value\r\n");
    sl_buf_cstr(&text, "\r\n");
    assert_int_equal(decode(sl_buf_view(&text), 64, &used), SL_HTTP_BAD);
    sl_buf_free(&text);
}

static void trailer_fields_follow_the_rules_of_fields(void **state) {
    (void)state;
    struct sl_http_header fields[2];
    unsigned count;
    assert_false(sl_http__parse_fields(SL_STR("A : b\r\n"), fields, 2, &count));
    assert_false(sl_http__parse_fields(SL_STR("A: b\r\n c\r\n"), fields, 2, &count));
    assert_false(sl_http__parse_fields(SL_STR("A: b\r\nB: c\r\nC: d\r\n"), fields, 2, &count));
    assert_true(sl_http__parse_fields(SL_STR(""), fields, 2, &count));
    assert_int_equal(count, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_head_is_taken_apart),
        cmocka_unit_test(targets_of_all_forms_are_understood),
        cmocka_unit_test(keep_alive_follows_version_and_connection),
        cmocka_unit_test(what_is_not_strictly_right_is_refused),
        cmocka_unit_test(transfer_coding_names_have_no_case),
        cmocka_unit_test(heads_are_limited),
        cmocka_unit_test(every_cut_of_a_head_gives_the_same_end),
        cmocka_unit_test_setup_teardown(chunks_are_joined_however_they_are_cut, chunked_setup, chunked_teardown),
        cmocka_unit_test_setup_teardown(bad_chunks_are_refused, chunked_setup, chunked_teardown),
        cmocka_unit_test_setup_teardown(a_chunk_size_may_be_as_large_as_64_bits, chunked_setup, chunked_teardown),
        cmocka_unit_test_setup_teardown(extensions_are_limited_per_chunk_and_per_body, chunked_setup, chunked_teardown),
        cmocka_unit_test_setup_teardown(trailers_are_limited, chunked_setup, chunked_teardown),
        cmocka_unit_test(trailer_fields_follow_the_rules_of_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
