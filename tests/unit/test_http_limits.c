// SPDX-License-Identifier: Apache-2.0
//
// limits: what a connection does to clients that are wrong, slow, greedy or gone: refusals and how they are delivered,
// time-outs, back-pressure in both directions, drain; and that the warm path allocates nothing.
#include "http/conn.h"
#include "http_conn_fixture.h"

// ---- refusals -----------------------------------------------------------------------------------------------------

static void refused_bytes_get_an_answer_and_the_close_and_nothing_behind_them_is_served(void **state) {
    (void)state;
    static const struct {
        const char *status, *text;
    } rows[] = {
        {"400", "GET / HTTP/1.1\nHost: h\n\n"},
        {"400", "GET / HTTP/1.1\r\n\r\n"},
        {"400", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 44\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
        {"400", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n"},
        {"400", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n"},
        {"400", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nbad trailer\r\n\r\n"},
        {"501", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"},
        {"505", "GET / HTTP/2.0\r\nHost: h\r\n\r\n"},
        {"417", "POST / HTTP/1.1\r\nHost: h\r\nExpect: money\r\n\r\n"},
        {"413", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 67108865\r\n\r\n"},
        {"413", "POST /small HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n01234567890\r\n0\r\n\r\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        fixture_connect(fx);
        fixture_send(fx, rows[i].text);
        fixture_send(fx, "GET /echo HTTP/1.1\r\nHost: h\r\n\r\n");
        struct sl_str all = fixture_read_all(fx);
        char expected[32];
        snprintf(expected, sizeof expected, "HTTP/1.1 %s ", rows[i].status);
        if (!sl_str_starts(all, sl_str_of(expected))) fail_msg("row %zu: %.*s", i, SL_FMT(all));
        assert_true(sl_str_find(all, SL_STR("\r\nConnection: close\r\n")) > 0);
        assert_int_equal(sl_str_find(sl_str_sub(all, 5, all.len), SL_STR("HTTP/1.1 2")), -1);
        assert_int_equal(fx->handled, 0);
    }
}

static void overlong_heads_are_refused(void **state) {
    (void)state;
    char filler[10000];
    memset(filler, 'a', sizeof filler);
    fixture_connect(fx);
    fixture_send(fx, "GET /");
    fixture_send_n(fx, filler, sizeof filler);
    fixture_expect(fx, "HTTP/1.1 414 URI Too Long\r\n");
    fixture_connect(fx);
    fixture_send(fx, "GET / HTTP/1.1\r\nHost: h\r\nA: ");
    fixture_send_n(fx, filler, sizeof filler);
    fixture_expect(fx, "HTTP/1.1 431 Request Header Fields Too Large\r\n");
    fixture_connect(fx);
    fixture_send(fx, "GET / HTTP/1.1\r\nHost: h\r\n");
    for (int i = 0; i < 30; i++) fixture_send(fx, "A: b\r\n");
    fixture_send(fx, "\r\n");
    fixture_expect(fx, "HTTP/1.1 431 Request Header Fields Too Large\r\n");
    assert_int_equal(fx->handled, 0);
}

static void a_head_up_to_the_limit_is_served(void **state) {
    (void)state;
    char filler[40000];
    memset(filler, 'a', sizeof filler);
    fx->config.max_head = 50000; // beyond the size that input buffers begin with
    fixture_connect(fx);
    for (int i = 0; i < 2; i++) {
        fixture_send(fx, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nA: ");
        fixture_send_n(fx, filler, sizeof filler);
        fixture_send(fx, "\r\n\r\nhello");
        fixture_expect(fx, OK("5", "hello"));
    }
}

// A client that is still sending when it is refused must be able to read the answer: no reset before it stops.
static void a_refused_client_that_goes_on_sending_can_read_the_answer(void **state) {
    (void)state;
    fixture_connect(fx);
    fixture_send(fx, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999\r\n\r\n");
    char filler[100000];
    memset(filler, 'b', sizeof filler);
    for (int i = 0; i < 20; i++) fixture_send_n(fx, filler, sizeof filler); // would fail with EPIPE after a close
    fixture_expect(fx, "HTTP/1.1 413 Content Too Large\r\n");
}

static void shape(struct sl_http_conn *conn, int status, const char *reason, struct sl_buf *headers,
                  struct sl_buf *body, void *user) {
    (void)conn;
    (void)user;
    sl_buf_cstr(headers, "Content-Type: application/json\r\n");
    sl_buf_printf(body, "{\"status\":%d,\"why\":%d}", status, reason[0] != '\0');
}

static void the_owner_shapes_the_body_of_a_refusal(void **state) {
    (void)state;
    struct sl_http_handler handler = fixture_handler;
    handler.refused = shape;
    fx->config.handler = &handler;
    fixture_connect(fx);
    fixture_send(fx, "nonsense\r\n\r\n");
    fixture_expect(
        fx,
        "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: 22\r\nConnection: close\r\n\r\n"
        "{\"status\":400,\"why\":1}");
    fixture_expect_end(fx);
    fixture_call(fx, fx->loop, fixture_close_conn);
}

// ---- time-outs ----------------------------------------------------------------------------------------------------

static void a_slow_head_is_answered_408_however_it_trickles(void **state) {
    (void)state;
    fx->config.head_timeout_ms = 100;
    fixture_connect(fx);
    fixture_send(fx, "GET / HTTP/1.1\r\n");
    struct sl_buf *received = &fx->received;
    // Progress does not extend a head's time.
    while (received->len == 0) {
        if (send(fx->client, "A: b\r\n", 6, MSG_NOSIGNAL) < 0) break;
        struct timeval tick = {.tv_usec = 10000};
        setsockopt(fx->client, SOL_SOCKET, SO_RCVTIMEO, &tick, sizeof tick);
        char *at = sl_buf_reserve(received, 4096);
        ssize_t got = recv(fx->client, at, 4096, 0);
        if (got > 0) received->len += (size_t)got;
    }
    fixture_set_patience(fx->client);
    fixture_strip(received);
    fixture_expect(fx, "HTTP/1.1 408 Request Timeout\r\n");
    assert_int_equal(fx->handled, 0);
}

static void a_slow_body_is_answered_408(void **state) {
    (void)state;
    fx->config.body_timeout_ms = 50;
    static const char *const framings[] = {"Content-Length: 10\r\n\r\nabc", "Content-Length: 1000000\r\n\r\nabc",
                                           "Transfer-Encoding: chunked\r\n\r\n5\r\nab"};
    for (int i = 0; i < 3; i++) {
        fixture_connect(fx);
        fixture_send(fx, "POST /echo HTTP/1.1\r\nHost: h\r\n");
        fixture_send(fx, framings[i]);
        fixture_expect(fx, "HTTP/1.1 408 Request Timeout\r\n");
    }
    assert_int_equal(fx->handled, 0);
}

static int64_t deadline, loop_now;
static bool any_timer, write_timer_only;
static void look_at_timers(struct fixture *fixture) {
    deadline = fixture->conn->timer.at_ms;
    loop_now = sl_loop_now_ms(fixture->loop);
    any_timer = sl_timer_armed(&fixture->conn->timer) || sl_timer_armed(&fixture->conn->write_timer);
    write_timer_only = sl_timer_armed(&fixture->conn->write_timer) && !sl_timer_armed(&fixture->conn->timer);
}

static void every_progress_of_a_body_extends_its_time(void **state) {
    (void)state;
    fixture_connect(fx);
    fixture_send(fx, "POST /size/1 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    fixture_expect(fx, "HTTP/1.1 100 Continue\r\n\r\n");
    for (int i = 0; i < 4; i++) {
        fixture_call(fx, fx->loop, look_at_timers);
        int64_t first = deadline, from = loop_now;
        while (loop_now < from + 2) fixture_call(fx, fx->loop, look_at_timers);
        fixture_send(fx, "b");
        while (deadline == first) fixture_call(fx, fx->loop, look_at_timers);
        assert_true(deadline > first);
    }
    fixture_send(fx, "b");
    fixture_expect(fx, OK("1", "x"));
}

static void an_idle_connection_is_closed_silently(void **state) {
    (void)state;
    fx->config.idle_timeout_ms = 50;
    fixture_connect(fx);
    fixture_expect_end(fx);
    fixture_connect(fx);
    fixture_send(fx, "GET /size/1 HTTP/1.1\r\nHost: h\r\n\r\n");
    fixture_expect(fx, OK("1", "x"));
    fixture_expect_end(fx);
}

static void a_waiting_request_is_never_timed_out(void **state) {
    (void)state;
    fixture_connect(fx);
    fixture_send(fx, "POST /park HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx");
    FIXTURE_AWAIT(fx, fx->parked != NULL);
    fixture_call(fx, fx->loop, look_at_timers);
    assert_false(any_timer);
}

static void a_client_that_reads_a_long_answer_is_not_idle(void **state) {
    (void)state;
    fixture_connect(fx);
    fixture_send(fx, "GET /size/3000000 HTTP/1.1\r\nHost: h\r\n\r\nGET /size/1 HTTP/1.1\r\nHost: h\r\n\r\n");
    FIXTURE_AWAIT(fx, fx->handled == 1);
    fixture_call(fx, fx->loop, look_at_timers);
    assert_true(write_timer_only);
    fixture_expect(fx, "HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n");
    fixture_read_until(fx, 3000000);
    sl_buf_consume(&fx->received, 3000000);
    fixture_expect(fx, OK("1", "x"));
    fixture_call(fx, fx->loop, look_at_timers);
    assert_true(any_timer && !write_timer_only);
}

static void a_client_that_does_not_read_is_dropped(void **state) {
    (void)state;
    fx->config.write_timeout_ms = 100;
    fixture_connect(fx);
    fixture_send(fx, "GET /size/20000000 HTTP/1.1\r\nHost: h\r\n\r\n");
    FIXTURE_AWAIT(fx, fx->closed == 1);
}

// ---- back-pressure ------------------------------------------------------------------------------------------------

static void pipelined_requests_wait_while_their_answers_are_not_read(void **state) {
    (void)state;
    enum { COUNT = 400, SIZE = 30000 };
    fixture_connect(fx);
    struct sl_buf text; // one send: many small ones fill a socket's buffer by their overhead
    sl_buf_init(&text, 1 << 20);
    for (int i = 0; i < COUNT; i++) sl_buf_cstr(&text, "GET /size/30000 HTTP/1.1\r\nHost: h\r\n\r\n");
    fixture_send_n(fx, text.ptr, text.len);
    sl_buf_free(&text);
    for (int i = 0; i < COUNT; i++) {
        fixture_expect(fx, "HTTP/1.1 200 OK\r\nContent-Length: 30000\r\n\r\n");
        fixture_read_until(fx, SIZE);
        sl_buf_consume(&fx->received, SIZE);
    }
    assert_int_equal(fx->handled, COUNT);
    assert_in_range(fx->max_unsent, 1, 64 * 1024);
}

static size_t stream_left;
static char piece[16384];

static void pump(struct sl_http_request *request) {
    struct fixture *fixture = request->user;
    while (stream_left > 0 && sl_http_unsent(request) < 64 * 1024) {
        size_t len = stream_left < sizeof piece ? stream_left : sizeof piece;
        sl_http_part(request, sl_str_n(piece, len));
        stream_left -= len;
    }
    size_t unsent = sl_http_unsent(request);
    FIXTURE_CHANGE(fixture, {
        fixture->drained++;
        fixture->max_unsent = unsent > fixture->max_unsent ? unsent : fixture->max_unsent;
    });
    if (stream_left == 0) sl_http_end(request);
}

static void pump_on_handle(struct fixture *fixture, struct sl_http_request *request) {
    fixture->on_handle = NULL;
    stream_left = 10000000;
    sl_http_begin(request, 200);
    sl_http_stream(request);
    sl_http_on_drained(request, pump);
    pump(request);
}

static void a_stream_is_told_when_its_bytes_have_gone(void **state) {
    (void)state;
    fixture_connect(fx);
    fx->on_handle = pump_on_handle;
    memset(piece, 's', sizeof piece);
    fixture_send(fx, "GET / HTTP/1.0\r\n\r\n");
    fixture_expect(fx, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
    assert_int_equal(fixture_read_all(fx).len, 10000000);
    assert_true(fx->drained > 10);
    assert_in_range(fx->max_unsent, 64 * 1024, 64 * 1024 + 2 * sizeof piece);
}

static void endless(struct sl_http_request *request) {
    while (sl_http_unsent(request) < 64 * 1024 && !((struct fixture *)request->user)->aborted)
        sl_http_part(request, sl_str_n(piece, sizeof piece));
}

static void endless_on_handle(struct fixture *fixture, struct sl_http_request *request) {
    fixture->on_handle = NULL;
    request->aborted = fixture_aborted;
    sl_http_begin(request, 200);
    sl_http_stream(request);
    sl_http_on_drained(request, endless);
    endless(request);
}

static void a_client_that_leaves_during_a_stream_aborts_it(void **state) {
    (void)state;
    fixture_connect(fx);
    fx->on_handle = endless_on_handle;
    fixture_send(fx, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    fixture_read_until(fx, 1000000);
    close(fx->client);
    fx->client = -1;
    FIXTURE_AWAIT(fx, fx->aborted == 1 && fx->closed == 1);
}

// ---- drain --------------------------------------------------------------------------------------------------------

static void drain(struct fixture *fixture) { sl_http_conn_drain(fixture->conn); }

static void an_idle_connection_is_closed_by_drain(void **state) {
    (void)state;
    fixture_connect(fx);
    fixture_send(fx, "GET /size/1 HTTP/1.1\r\nHost: h\r\n\r\n");
    fixture_expect(fx, OK("1", "x"));
    fixture_call(fx, fx->loop, drain);
    fixture_expect_end(fx);
}

static void requests_that_have_arrived_are_answered_before_a_drained_connection_closes(void **state) {
    (void)state;
    fixture_connect(fx);
    fixture_send(fx, "GET /park HTTP/1.1\r\nHost: h\r\n\r\nGET /size/1 HTTP/1.1\r\nHost: h\r\n\r\nGET /size/2 "
                     "HTTP/1.1\r\nHost: h\r\n\r\n");
    FIXTURE_AWAIT(fx, fx->parked != NULL);
    fixture_call(fx, fx->loop, drain);
    fixture_call(fx, fx->loop, fixture_answer_parked);
    fixture_expect(fx, OK("4", "late"));
    fixture_expect(fx, OK("1", "x"));
    fixture_expect(fx, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nxx");
    fixture_expect_end(fx);
}

static void send_and_drain(struct fixture *fixture) {
    fixture_send(fixture, "GET /size/1 HTTP/1.1\r\nHost: h\r\n\r\n"); // the loop has not read it yet
    sl_http_conn_drain(fixture->conn);
}

static void a_request_that_drain_finds_unread_is_answered(void **state) {
    (void)state;
    fixture_connect(fx);
    fixture_send(fx, "GET /size/1 HTTP/1.1\r\nHost: h\r\n\r\n");
    fixture_expect(fx, OK("1", "x"));
    fixture_call(fx, fx->loop, send_and_drain);
    fixture_expect(fx, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx");
    fixture_expect_end(fx);
}

static void a_request_that_is_half_there_is_finished_while_draining(void **state) {
    (void)state;
    fixture_connect(fx);
    fixture_send(fx, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    fixture_expect(fx, "HTTP/1.1 100 Continue\r\n\r\n");
    fixture_call(fx, fx->loop, drain);
    fixture_send(fx, "body");
    fixture_expect(fx, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody");
    fixture_expect_end(fx);
}

// ---- memory -------------------------------------------------------------------------------------------------------

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
static _Thread_local unsigned long allocations;

void *malloc(size_t size) {
    allocations++;
    return __libc_malloc(size);
}
void *calloc(size_t count, size_t size) {
    allocations++;
    return __libc_calloc(count, size);
}
void *realloc(void *memory, size_t size) {
    allocations++;
    return __libc_realloc(memory, size);
}

static unsigned long allocations_seen;
static void count_allocations(struct fixture *fixture) {
    (void)fixture;
    allocations_seen = allocations;
}

static void round_of_requests(void) {
    fixture_send(fx, "GET /direct HTTP/1.1\r\nHost: h\r\nX-A: b\r\n\r\n");
    fixture_expect(fx, OK("11", "direct body"));
    fixture_send(fx, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello");
    fixture_expect(fx, OK("5", "hello"));
    fixture_send(fx, "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    fixture_expect(fx, OK("5", "hello"));
    fixture_send(fx, "GET /stream HTTP/1.1\r\nHost: h\r\n\r\n");
    fixture_expect(fx, "HTTP/1.1 200 OK\r\nX-Kind: stream\r\nTransfer-Encoding: chunked\r\n\r\n"
                       "4\r\none,\r\n13\r\ntwotwotwotwotwotwo,\r\n5\r\nthree\r\n0\r\n\r\n");
    fixture_send(fx, "GET /park HTTP/1.1\r\nHost: h\r\n\r\n");
    FIXTURE_AWAIT(fx, fx->parked != NULL);
    fixture_call(fx, fx->loop, fixture_answer_parked);
    fixture_expect(fx, OK("4", "late"));
}

static void a_warm_connection_allocates_nothing(void **state) {
    (void)state;
    fixture_connect(fx);
    round_of_requests();
    fixture_call(fx, fx->loop, count_allocations);
    unsigned long before = allocations_seen;
    assert_true(before > 0);
    for (int i = 0; i < 20; i++) round_of_requests();
    fixture_call(fx, fx->loop, count_allocations);
    assert_int_equal(allocations_seen, before);
}

static void a_new_connection_uses_the_memory_of_a_closed_one(void **state) {
    (void)state;
    fixture_connect(fx);
    round_of_requests();
    fixture_connect(fx);
    FIXTURE_AWAIT(fx, fx->closed == 1);
    fixture_call(fx, fx->loop, count_allocations);
    unsigned long before = allocations_seen;
    for (unsigned i = 1; i <= 5; i++) {
        round_of_requests();
        fixture_connect(fx);
        FIXTURE_AWAIT(fx, fx->closed == i + 1);
    }
    fixture_call(fx, fx->loop, count_allocations);
    assert_true(allocations_seen <= before + 1); // two may have been open at the same time for a moment
}

enum { BURST = 100, QUIET = 4000 };

static struct sl_http_exchange *take(struct sl_loop *loop) {
    struct sl_http_exchange *exchange = sl_http__exchange_take(loop, 20);
    assert_non_null(exchange);
    return exchange;
}

// So many at the same time; counts what had to be allocated for them.
static void burst(struct fixture *fixture) {
    struct sl_http_exchange *held[BURST];
    unsigned long before = allocations;
    for (unsigned i = 0; i < BURST; i++) held[i] = take(fixture->loop);
    allocations_seen = allocations - before;
    for (unsigned i = 0; i < BURST; i++) sl_http__exchange_give(fixture->loop, held[i]);
}

static void quiet(struct fixture *fixture) {
    for (unsigned i = 0; i < QUIET; i++) sl_http__exchange_give(fixture->loop, take(fixture->loop));
}

// What connections bring that come from another loop and end here.
static void immigration(struct fixture *fixture) {
    for (unsigned i = 0; i < QUIET; i++) {
        for (unsigned own = 0; own < 40; own++) sl_http__exchange_give(fixture->loop, take(fixture->loop));
        sl_http__exchange_give(fixture->loop, take(NULL));
    }
}

static void memory_of_a_burst_is_kept_for_the_next_and_given_back_when_it_is_quiet(void **state) {
    (void)state;
    fixture_call(fx, fx->loop, burst);
    fixture_call(fx, fx->loop, burst);
    assert_int_equal(allocations_seen, 0);
    fixture_call(fx, fx->loop, quiet);
    fixture_call(fx, fx->loop, burst);
    assert_true(allocations_seen >= BURST / 2); // at least one for each that is made anew
}

static void memory_that_connections_bring_from_other_loops_does_not_pile_up(void **state) {
    (void)state;
    fixture_call(fx, fx->loop, immigration);
    fixture_call(fx, fx->loop, burst);
    assert_true(allocations_seen >= BURST / 4);
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(refused_bytes_get_an_answer_and_the_close_and_nothing_behind_them_is_served),
        TEST(overlong_heads_are_refused),
        TEST(a_head_up_to_the_limit_is_served),
        TEST(a_refused_client_that_goes_on_sending_can_read_the_answer),
        TEST(the_owner_shapes_the_body_of_a_refusal),
        TEST(a_slow_head_is_answered_408_however_it_trickles),
        TEST(a_slow_body_is_answered_408),
        TEST(every_progress_of_a_body_extends_its_time),
        TEST(an_idle_connection_is_closed_silently),
        TEST(a_waiting_request_is_never_timed_out),
        TEST(a_client_that_reads_a_long_answer_is_not_idle),
        TEST(a_client_that_does_not_read_is_dropped),
        TEST(pipelined_requests_wait_while_their_answers_are_not_read),
        TEST(a_stream_is_told_when_its_bytes_have_gone),
        TEST(a_client_that_leaves_during_a_stream_aborts_it),
        TEST(an_idle_connection_is_closed_by_drain),
        TEST(requests_that_have_arrived_are_answered_before_a_drained_connection_closes),
        TEST(a_request_that_drain_finds_unread_is_answered),
        TEST(a_request_that_is_half_there_is_finished_while_draining),
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
        TEST(a_warm_connection_allocates_nothing),
        TEST(a_new_connection_uses_the_memory_of_a_closed_one),
        TEST(memory_of_a_burst_is_kept_for_the_next_and_given_back_when_it_is_quiet),
        TEST(memory_that_connections_bring_from_other_loops_does_not_pile_up),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
