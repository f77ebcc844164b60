// SPDX-License-Identifier: Apache-2.0
//
// conn: requests and answers over a socket pair and a real loop: framing both ways, pipelining, keep-alive, streams,
// parts, parked requests, abort, look-ups.
#include "http_conn_fixture.h"

// ---- framing ------------------------------------------------------------------------------------------------------

static void a_request_may_arrive_byte_by_byte(void **state) {
    (void)state;
    fixture_connect(fx);
    const char *text = "\r\nPOST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"
                       "POST /inspect HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: "
                       "chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\nT: v\r\n\r\n";
    for (const char *at = text; *at; at++) fixture_send_n(fx, at, 1);
    fixture_expect(fx, OK("5", "hello"));
    const char *inspected =
        "POST(2) target=/inspect path=/inspect query=NULL host=h minor=1 [Host=h] [Transfer-Encoding=chunked] "
        "body=abcde {T=v}";
    char expected[512];
    snprintf(expected, sizeof expected, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n%s",
             strlen(inspected), inspected);
    fixture_expect(fx, expected);
}

static void a_date_is_in_every_answer(void **state) {
    (void)state;
    fixture_connect(fx);
    fixture_send(fx, "GET /echo HTTP/1.0\r\n\r\n");
    char raw[512];
    ssize_t got = recv(fx->client, raw, sizeof raw - 1, 0);
    assert_true(got > 0);
    raw[got] = '\0';
    char *date = strstr(raw, "\r\nDate: ");
    assert_non_null(date);
    assert_int_equal(strcspn(date + 2, "\r"), strlen("Date: Fri, 02 Jan 2026 03:04:05 GMT"));
    assert_memory_equal(date + 2 + strlen("Date: Fri, 02 Jan 2026 03:04:05"), " GMT", 4);
}

static void pipelined_requests_are_answered_in_order(void **state) {
    (void)state;
    fixture_connect(fx);
    struct sl_buf text;
    sl_buf_init(&text, 1 << 24);
    enum { COUNT = 2000 };
    for (int i = 0; i < COUNT; i++)
        sl_buf_printf(&text, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n%04d", i);
    fixture_send_n(fx, text.ptr, text.len);
    for (int i = 0; i < COUNT; i++) {
        char expected[128];
        snprintf(expected, sizeof expected, OK("4", "%04d"), i);
        fixture_expect(fx, expected);
    }
    sl_buf_free(&text);
}

// Bodies of all sizes around the buffer sizes, with a length and chunked, each followed by another request.
static void bodies_of_any_size_arrive_whole(void **state) {
    (void)state;
    static const size_t sizes[] = {0, 1, 4000, 15000, 16200, 16384, 16385, 65536, 70000, 1000000, 20000000};
    char *body = malloc(20000000);
    for (size_t i = 0; i < 20000000; i++) body[i] = (char)('a' + i * 7 % 26);
    fixture_connect(fx);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char head[160];
        snprintf(head, sizeof head, "POST /size/3 HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n", sizes[i]);
        fixture_send(fx, head);
        fixture_send_n(fx, body, sizes[i]);
        fixture_expect(fx, OK("3", "xxx"));
    }
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        if (sizes[i] == 0 || sizes[i] > 1000000)
            continue; // the echo of a larger one would need a client that reads meanwhile
        char head[160], expected[64];
        fixture_send(fx, "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
        for (size_t at = 0, piece = 1; at<sizes[i]; at += piece, piece = piece * 3> 50000 ? 50000 : piece * 3) {
            if (piece > sizes[i] - at) piece = sizes[i] - at;
            snprintf(head, sizeof head, "%zx\r\n", piece);
            fixture_send(fx, head);
            fixture_send_n(fx, body + at, piece);
            fixture_send(fx, "\r\n");
        }
        fixture_send(fx, "0\r\n\r\n");
        snprintf(expected, sizeof expected, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", sizes[i]);
        fixture_expect(fx, expected);
        fixture_read_until(fx, sizes[i]);
        assert_memory_equal(fx->received.ptr, body, sizes[i]);
        sl_buf_consume(&fx->received, sizes[i]);
    }
    free(body);
}

static void a_large_answer_arrives_whole(void **state) {
    (void)state;
    fixture_connect(fx);
    fixture_send(fx, "GET /size/5000000 HTTP/1.1\r\nHost: h\r\n\r\nGET /size/2 HTTP/1.1\r\nHost: h\r\n\r\n");
    fixture_expect(fx, "HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n");
    fixture_read_until(fx, 5000000);
    for (size_t i = 0; i < 5000000; i++) assert_int_equal(fx->received.ptr[i], 'x');
    sl_buf_consume(&fx->received, 5000000);
    fixture_expect(fx, OK("2", "xx"));
}

static void head_answers_have_the_length_but_no_body(void **state) {
    (void)state;
    fixture_connect(fx);
    fixture_send(fx, "HEAD /size/1234 HTTP/1.1\r\nHost: h\r\n\r\nHEAD /direct HTTP/1.1\r\nHost: h\r\n\r\n"
                     "HEAD /stream HTTP/1.1\r\nHost: h\r\n\r\nGET /none HTTP/1.1\r\nHost: h\r\n\r\nGET /direct "
                     "HTTP/1.1\r\nHost: h\r\n\r\n");
    fixture_expect(fx, "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n");
    fixture_expect(fx, "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n");
    fixture_expect(fx, "HTTP/1.1 200 OK\r\nX-Kind: stream\r\nTransfer-Encoding: chunked\r\n\r\n");
    fixture_expect(fx, "HTTP/1.1 204 No Content\r\n\r\n");
    fixture_expect(fx, OK("11", "direct body"));
}

static void streams_are_chunked_for_1_1_and_end_with_the_connection_for_1_0(void **state) {
    (void)state;
    fixture_connect(fx);
    fixture_send(fx, "GET /stream HTTP/1.1\r\nHost: h\r\n\r\nGET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    fixture_expect(fx, "HTTP/1.1 200 OK\r\nX-Kind: stream\r\nTransfer-Encoding: chunked\r\n\r\n"
                       "4\r\none,\r\n13\r\ntwotwotwotwotwotwo,\r\n5\r\nthree\r\n0\r\n\r\n");
    fixture_expect(fx, "HTTP/1.1 200 OK\r\nX-Kind: stream\r\nConnection: close\r\n\r\none,twotwotwotwotwotwo,three");
    fixture_expect_end(fx);
}

static void keep_alive_follows_the_client(void **state) {
    (void)state;
    fixture_connect(fx);
    fixture_send(fx, "GET /echo HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /echo HTTP/1.0\r\n\r\nGET /echo "
                     "HTTP/1.1\r\nHost: h\r\n\r\n");
    fixture_expect(fx, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n");
    fixture_expect(fx, OK_CLOSE("0", ""));
    fixture_expect_end(fx);
    assert_int_equal(fx->handled, 2);
    fixture_connect(fx);
    fixture_send(fx, "GET /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    fixture_expect(fx, OK_CLOSE("0", ""));
    fixture_expect_end(fx);
}

static void a_client_that_expects_100_gets_it_before_it_sends(void **state) {
    (void)state;
    fixture_connect(fx);
    fixture_send(fx, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    fixture_expect(fx, "HTTP/1.1 100 Continue\r\n\r\n");
    fixture_send(fx, "abc");
    fixture_expect(fx, OK("3", "abc"));
    // Not needed when the body is there already, when there is none, or for HTTP/1.0.
    fixture_send(fx, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc"
                     "GET /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n\r\n");
    fixture_expect(fx, OK("3", "abc"));
    fixture_expect(fx, OK("0", ""));
    fixture_send(fx, "POST /echo HTTP/1.0\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    fixture_send(fx, "abc");
    fixture_expect(fx, OK_CLOSE("3", "abc"));
}

static void a_too_large_body_is_refused_instead_of_100(void **state) {
    (void)state;
    fixture_connect(fx);
    fixture_send(fx, "POST /small HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n");
    fixture_expect(fx, "HTTP/1.1 413 Content Too Large\r\n");
    struct sl_str rest = fixture_read_all(fx);
    assert_true(sl_str_find(rest, SL_STR("Connection: close\r\n")) >= 0);
    assert_int_equal(fx->handled, 0);
}

static void an_early_answer_leaves_the_connection_usable_if_the_body_is_short(void **state) {
    (void)state;
    fixture_connect(fx);
    fixture_send(fx, "POST /early HTTP/1.1\r\nHost: h\r\nContent-Length: 50000\r\n\r\n");
    fixture_expect(fx, "HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\n\r\nearly");
    char body[50000];
    memset(body, 'G', sizeof body);
    fixture_send_n(fx, body, sizeof body);
    fixture_send(fx, "GET /echo HTTP/1.1\r\nHost: h\r\n\r\n");
    fixture_expect(fx, OK("0", ""));
    assert_int_equal(fx->handled, 1);
}

static void an_early_answer_closes_if_nobody_knows_what_comes(void **state) {
    (void)state;
    static const char *const framings[] = {"Content-Length: 500000", "Transfer-Encoding: chunked",
                                           "Content-Length: 5\r\nExpect: 100-continue"};
    for (int i = 0; i < 3; i++) {
        char text[200];
        fixture_connect(fx);
        snprintf(text, sizeof text, "POST /early HTTP/1.1\r\nHost: h\r\n%s\r\n\r\n", framings[i]);
        fixture_send(fx, text);
        fixture_expect(fx, "HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\nConnection: close\r\n\r\nearly");
        fixture_expect_end(fx);
    }
}

// ---- parts --------------------------------------------------------------------------------------------------------

static void a_body_may_be_taken_in_parts(void **state) {
    (void)state;
    fixture_connect(fx);
    fixture_send(fx, "POST /parts HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nab");
    fixture_send(fx, "cd");
    fixture_send(fx, "efPOST /parts HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\ngh\r\n");
    fixture_expect(fx, OK("6", "abcdef"));
    fixture_send(fx, "1\r\ni\r\n0\r\n\r\nPOST /parts HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
    fixture_expect(fx, OK("3", "ghi"));
    fixture_expect(fx, OK("0", ""));
}

static void pause_on_part(struct fixture *fixture, struct sl_http_request *request) {
    sl_http_pause(request, true);
    FIXTURE_CHANGE(fixture, fixture->parked = request);
}

static void unpause(struct fixture *fixture) {
    struct sl_http_request *request = fixture->parked;
    fixture->on_part = NULL;
    FIXTURE_CHANGE(fixture, fixture->parked = NULL);
    sl_http_pause(request, false);
}

static void a_paused_body_goes_on_when_asked(void **state) {
    (void)state;
    enum { SIZE = 3000000 };
    char *body = malloc(SIZE);
    memset(body, 'p', SIZE);
    fixture_connect(fx);
    fx->on_part = pause_on_part;
    fixture_send(fx, "POST /parts HTTP/1.1\r\nHost: h\r\nContent-Length: 3000000\r\n\r\nx");
    FIXTURE_AWAIT(fx, fx->parked != NULL);
    assert_int_equal(fx->parts.len, 1);
    fixture_call(fx, fx->loop, unpause);
    fixture_send_n(fx, body, SIZE - 1);
    fixture_expect(fx, "HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n");
    fixture_read_until(fx, SIZE);
    free(body);
}

static void the_end_of_the_client_during_parts_aborts(void **state) {
    (void)state;
    fixture_connect(fx);
    fixture_send(fx, "POST /parts HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nsome");
    shutdown(fx->client, SHUT_WR);
    FIXTURE_AWAIT(fx, fx->aborted == 1 && fx->closed == 1);
    assert_int_equal(fx->handled, 0);
}

// ---- answers that come later --------------------------------------------------------------------------------------

static void a_request_behind_one_that_waits_is_not_handled_before_its_answer(void **state) {
    (void)state;
    fixture_connect(fx);
    fixture_send(fx, "GET /park HTTP/1.1\r\nHost: h\r\n\r\nGET /park HTTP/1.1\r\nHost: h\r\n\r\nGET /size/1 "
                     "HTTP/1.1\r\nHost: h\r\n\r\n");
    FIXTURE_AWAIT(fx, fx->parked != NULL);
    assert_int_equal(fx->handled, 1);
    fixture_call(fx, fx->loop, fixture_answer_parked);
    fixture_expect(fx, OK("4", "late"));
    FIXTURE_AWAIT(fx, fx->parked != NULL);
    assert_int_equal(fx->handled, 2);
    fixture_call(fx, fx->loop, fixture_answer_parked);
    fixture_expect(fx, OK("4", "late"));
    fixture_expect(fx, OK("1", "x"));
}

static void a_client_that_goes_away_aborts_the_request_once(void **state) {
    (void)state;
    fixture_connect(fx);
    fixture_send(fx, "GET /park HTTP/1.1\r\nHost: h\r\n\r\n");
    FIXTURE_AWAIT(fx, fx->parked != NULL);
    shutdown(fx->client, SHUT_RDWR);
    FIXTURE_AWAIT(fx, fx->aborted == 1 && fx->closed == 1);
}

static void a_close_is_seen_also_behind_more_pipelined_bytes_than_fit(void **state) {
    (void)state;
    fixture_connect(fx);
    fixture_send(fx, "GET /park HTTP/1.1\r\nHost: h\r\n\r\n");
    FIXTURE_AWAIT(fx, fx->parked != NULL);
    char more[40000];
    memset(more, 'm', sizeof more);
    fixture_send_n(fx, more, sizeof more);
    shutdown(fx->client, SHUT_WR);
    FIXTURE_AWAIT(fx, fx->aborted == 1 && fx->closed == 1);
}

static void a_server_s_close_aborts_too(void **state) {
    (void)state;
    fixture_connect(fx);
    fixture_send(fx, "GET /park HTTP/1.1\r\nHost: h\r\n\r\n");
    FIXTURE_AWAIT(fx, fx->parked != NULL);
    fixture_call(fx, fx->loop, fixture_close_conn);
    fixture_expect_end(fx);
    assert_int_equal(fx->aborted, 1);
    assert_int_equal(fx->closed, 1);
}

static void a_handler_may_close_its_own_connection(void **state) {
    (void)state;
    fixture_connect(fx);
    fixture_send(fx, "GET /close HTTP/1.1\r\nHost: h\r\n\r\nGET /echo HTTP/1.1\r\nHost: h\r\n\r\n");
    fixture_expect_end(fx);
    FIXTURE_AWAIT(fx, fx->closed == 1);
    assert_int_equal(fx->handled, 1);
}

static void begin_stream(struct fixture *fixture) {
    sl_http_begin(fixture->parked, 200);
    sl_http_stream(fixture->parked);
    sl_http_part(fixture->parked, SL_STR("part"));
}
static void end_stream(struct fixture *fixture) { sl_http_end(fixture->parked); }
static void abort_stream(struct fixture *fixture) { sl_http_abort(fixture->parked); }

static void parts_of_a_stream_go_out_at_once(void **state) {
    (void)state;
    fixture_connect(fx);
    fixture_send(fx, "GET /park HTTP/1.1\r\nHost: h\r\n\r\n");
    FIXTURE_AWAIT(fx, fx->parked != NULL);
    fixture_call(fx, fx->loop, begin_stream);
    fixture_expect(fx, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n");
    fixture_call(fx, fx->loop, end_stream);
    fixture_expect(fx, "0\r\n\r\n");
    fixture_send(fx, "GET /size/1 HTTP/1.1\r\nHost: h\r\n\r\n");
    fixture_expect(fx, OK("1", "x"));
}

static void begin_sized(struct fixture *fixture) {
    sl_http_begin(fixture->parked, 200);
    sl_http_stream_sized(fixture->parked, 6);
    sl_http_part(fixture->parked, SL_STR("one"));
}
static void end_sized(struct fixture *fixture) {
    sl_http_part(fixture->parked, SL_STR("two"));
    sl_http_end(fixture->parked);
}
static void overfill_sized(struct fixture *fixture) { sl_http_part(fixture->parked, SL_STR("more")); }

static void a_stream_of_known_length_says_so_and_keeps_the_connection(void **state) {
    (void)state;
    fixture_connect(fx);
    fixture_send(fx, "GET /park HTTP/1.1\r\nHost: h\r\n\r\n");
    FIXTURE_AWAIT(fx, fx->parked != NULL);
    fixture_call(fx, fx->loop, begin_sized);
    fixture_expect(fx, OK("6", "one"));
    fixture_call(fx, fx->loop, end_sized);
    fixture_expect(fx, "two");
    fixture_send(fx, "GET /size/1 HTTP/1.1\r\nHost: h\r\n\r\n");
    fixture_expect(fx, OK("1", "x"));
}

static void a_stream_shorter_than_its_length_costs_the_connection(void **state) {
    (void)state;
    fixture_connect(fx);
    fixture_send(fx, "GET /park HTTP/1.1\r\nHost: h\r\n\r\n");
    FIXTURE_AWAIT(fx, fx->parked != NULL);
    fixture_call(fx, fx->loop, begin_sized);
    fixture_expect(fx, OK("6", "one"));
    fixture_call(fx, fx->loop, end_stream);
    fixture_expect_end(fx);
    FIXTURE_AWAIT(fx, fx->closed == 1);
}

static void a_stream_longer_than_its_length_costs_the_connection(void **state) {
    (void)state;
    fixture_connect(fx);
    fixture_send(fx, "GET /park HTTP/1.1\r\nHost: h\r\n\r\n");
    FIXTURE_AWAIT(fx, fx->parked != NULL);
    fixture_call(fx, fx->loop, begin_sized);
    fixture_expect(fx, OK("6", "one"));
    fixture_call(fx, fx->loop, overfill_sized);
    fixture_expect_end(fx);
    FIXTURE_AWAIT(fx, fx->closed == 1);
    assert_int_equal(fx->aborted, 1);
}

static void an_aborted_stream_has_no_last_chunk(void **state) {
    (void)state;
    fixture_connect(fx);
    fixture_send(fx, "GET /park HTTP/1.1\r\nHost: h\r\n\r\n");
    FIXTURE_AWAIT(fx, fx->parked != NULL);
    fixture_call(fx, fx->loop, begin_stream);
    fixture_call(fx, fx->loop, abort_stream);
    fixture_expect(fx, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n");
    fixture_expect_end(fx);
    FIXTURE_AWAIT(fx, fx->closed == 1);
    assert_int_equal(fx->aborted, 0); // the handler knows: it asked for it
}

static void add_hostile(struct fixture *fixture, struct sl_http_request *request) {
    (void)fixture;
    sl_http_begin(request, 200);
    sl_http_add(request, SL_STR("X-A"), SL_STR("a\r\nX-B: b\0c"));
    sl_http_add(request, SL_STR("X Y"), SL_STR("dropped"));
    sl_http_add(request, SL_STR(""), SL_STR("dropped"));
    sl_http_add(request, SL_STR("content-length"), SL_STR("999"));
    sl_http_add(request, SL_STR("Transfer-Encoding"), SL_STR("chunked"));
    sl_http_add(request, SL_STR("Connection"), SL_STR("close"));
    sl_http_add(request, SL_STR("DATE"), SL_STR("never"));
    sl_http_body(request, SL_STR("ok"));
    sl_http_body(request, SL_STR("ignored"));
    sl_http_part(request, SL_STR("ignored"));
}

static void field_values_cannot_split_an_answer(void **state) {
    (void)state;
    fixture_connect(fx);
    fx->on_handle = add_hostile;
    fixture_send(fx, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    fixture_expect(fx, "HTTP/1.1 200 OK\r\nX-A: a  X-B: b c\r\nContent-Length: 2\r\n\r\nok");
    fx->on_handle = NULL;
    fixture_send(fx, "GET /size/1 HTTP/1.1\r\nHost: h\r\n\r\n");
    fixture_expect(fx, OK("1", "x"));
}

// ---- look-ups -----------------------------------------------------------------------------------------------------

static void look_up(struct fixture *fixture, struct sl_http_request *request) {
    (void)fixture;
    struct sl_str a = sl_http_query(request, SL_STR("a")), b = sl_http_query(request, SL_STR("b c")),
                  none = sl_http_query(request, SL_STR("zz")), header = sl_http_header(request, SL_STR("x-HEADER"));
    assert_true(sl_str_is(a, "1 2"));
    assert_true(sl_str_is(b, ""));
    assert_null(none.ptr);
    assert_true(sl_str_is(header, "first"));
    assert_null(sl_http_header(request, SL_STR("X-Other")).ptr);
    assert_true(sl_str_is(sl_http_conn_peer(request->conn), ""));
    assert_true(sl_http_conn_busy(request->conn));
    sl_http_respond(request, 200, SL_STR(""), SL_STR(""));
}

static void query_and_header_look_ups_decode(void **state) {
    (void)state;
    fixture_connect(fx);
    fx->on_handle = look_up;
    fixture_send(fx, "GET /?&x=%zz&a=1+2&a=3&b%20c HTTP/1.1\r\nHost: h\r\nX-Header: first\r\nx-header: second\r\n\r\n");
    fixture_expect(fx, OK("0", ""));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_request_may_arrive_byte_by_byte),
        TEST(a_date_is_in_every_answer),
        TEST(pipelined_requests_are_answered_in_order),
        TEST(bodies_of_any_size_arrive_whole),
        TEST(a_large_answer_arrives_whole),
        TEST(head_answers_have_the_length_but_no_body),
        TEST(streams_are_chunked_for_1_1_and_end_with_the_connection_for_1_0),
        TEST(keep_alive_follows_the_client),
        TEST(a_client_that_expects_100_gets_it_before_it_sends),
        TEST(a_too_large_body_is_refused_instead_of_100),
        TEST(an_early_answer_leaves_the_connection_usable_if_the_body_is_short),
        TEST(an_early_answer_closes_if_nobody_knows_what_comes),
        TEST(a_body_may_be_taken_in_parts),
        TEST(a_paused_body_goes_on_when_asked),
        TEST(the_end_of_the_client_during_parts_aborts),
        TEST(a_request_behind_one_that_waits_is_not_handled_before_its_answer),
        TEST(a_client_that_goes_away_aborts_the_request_once),
        TEST(a_close_is_seen_also_behind_more_pipelined_bytes_than_fit),
        TEST(a_server_s_close_aborts_too),
        TEST(a_handler_may_close_its_own_connection),
        TEST(parts_of_a_stream_go_out_at_once),
        TEST(a_stream_of_known_length_says_so_and_keeps_the_connection),
        TEST(a_stream_shorter_than_its_length_costs_the_connection),
        TEST(a_stream_longer_than_its_length_costs_the_connection),
        TEST(an_aborted_stream_has_no_last_chunk),
        TEST(field_values_cannot_split_an_answer),
        TEST(query_and_header_look_ups_decode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
