// SPDX-License-Identifier: Apache-2.0
//
// moving: lazy answers, which leave with the next one, and connections that leave their loop for another.
#include "http_conn_fixture.h"

// ---- lazy answers and moving --------------------------------------------------------------------------------------

static void a_lazy_answer_goes_out_with_the_next_one(void **state) {
    (void)state;
    fx->config.lazy_ack = true;
    fixture_connect(fx);
    fixture_send(fx, "POST /lazy HTTP/1.1\r\nHost: h\r\n\r\nGET /park HTTP/1.1\r\nHost: h\r\n\r\n");
    FIXTURE_AWAIT(fx, fx->parked != NULL);
    char byte;
    assert_int_equal(recv(fx->client, &byte, 1, MSG_DONTWAIT), -1); // held back
    fixture_call(fx, fx->loop, fixture_answer_parked);
    char raw[1024];
    ssize_t got = recv(fx->client, raw, sizeof raw - 1, 0); // one write
    assert_true(got > 0);
    raw[got] = '\0';
    assert_non_null(strstr(raw, "202 Accepted"));
    assert_non_null(strstr(raw, "late"));
}

static void a_lazy_answer_goes_out_at_once_when_nothing_follows(void **state) {
    (void)state;
    fx->config.lazy_ack = true;
    fixture_connect(fx);
    fixture_send(fx, "POST /lazy HTTP/1.1\r\nHost: h\r\n\r\n");
    fixture_expect(fx, "HTTP/1.1 202 Accepted\r\nContent-Length: 4\r\n\r\nlazy");
    fixture_send(fx, "POST /lazy HTTP/1.1\r\nHost: h\r\n\r\nGET /park HTTP/1.1\r\nHos");
    fixture_expect(fx, "HTTP/1.1 202 Accepted\r\nContent-Length: 4\r\n\r\nlazy");
    fixture_send(fx, "t: h\r\n\r\n");
    FIXTURE_AWAIT(fx, fx->parked != NULL);
    fixture_call(fx, fx->loop, fixture_answer_parked);
    fixture_expect(fx, OK("4", "late"));
}

static struct sl_loop *second;
static pthread_t second_thread;

static void *run_second(void *argument) {
    sl_loop_run(argument);
    return NULL;
}

static void detach(struct fixture *fixture) {
    sl_http_conn_detach(fixture->conn);
    assert_null(sl_http_conn_loop(fixture->conn));
}
static void attach(struct fixture *fixture) {
    struct sl_error err;
    assert_int_equal(sl_http_conn_attach(fixture->conn, second, &err), 0);
}

static void with_second_loop(void (*body)(void)) {
    struct sl_loop_config config = {.index = 1};
    struct sl_error err;
    assert_int_equal(sl_loop_new(&second, &config, &err), 0);
    pthread_create(&second_thread, NULL, run_second, second);
    body();
    if (fx->conn) fixture_call(fx, second, fixture_close_conn);
    sl_loop_stop(second);
    pthread_join(second_thread, NULL);
    sl_loop_free(second);
}

static void move_body(void) {
    fx->config.lazy_ack = true;
    fixture_connect(fx);
    fixture_send(fx, "POST /lazy HTTP/1.1\r\nHost: h\r\n\r\nGET /park HTTP/1.1\r\nHost: h\r\n\r\n");
    FIXTURE_AWAIT(fx, fx->parked != NULL);
    fixture_call(fx, fx->loop, detach);
    fixture_call(fx, second, attach);
    assert_ptr_equal(sl_http_conn_loop(fx->conn), second);
    fixture_call(fx, second, fixture_answer_parked);
    fixture_expect(fx, "HTTP/1.1 202 Accepted\r\nContent-Length: 4\r\n\r\nlazy" OK("4", "late"));
    fixture_send(fx, "GET /size/2 HTTP/1.1\r\nHost: h\r\n\r\n"); // served by the new loop
    fixture_expect(fx, OK("2", "xx"));
    fixture_send(fx, "GET /park HTTP/1.1\r\nHost: h\r\n\r\n");
    FIXTURE_AWAIT(fx, fx->parked != NULL);
    shutdown(fx->client, SHUT_WR);
    FIXTURE_AWAIT(fx, fx->aborted == 1 && fx->closed == 1);
}

static void a_parked_request_moves_to_another_loop(void **state) {
    (void)state;
    with_second_loop(move_body);
}

static void detach_in_handle(struct fixture *fixture, struct sl_http_request *request) {
    fixture->on_handle = NULL;
    request->aborted = fixture_aborted;
    sl_http_conn_detach(request->conn);
    // From here on another thread may run it.
    FIXTURE_CHANGE(fixture, fixture->parked = request);
}

static void move_inside_body(void) {
    fixture_connect(fx);
    fx->on_handle = detach_in_handle;
    fixture_send(fx, "GET /size/4 HTTP/1.1\r\nHost: h\r\n\r\nGET /size/2 HTTP/1.1\r\nHost: h\r\n\r\n");
    FIXTURE_AWAIT(fx, fx->parked != NULL);
    fixture_call(fx, second, attach);
    fixture_call(fx, second, fixture_answer_parked);
    fixture_expect(fx, OK("4", "late"));
    fixture_expect(fx, OK("2", "xx"));
}

static void a_connection_may_be_detached_inside_its_handler(void **state) {
    (void)state;
    with_second_loop(move_inside_body);
}

static void close_detached_body(void) {
    fixture_connect(fx);
    fixture_send(fx, "GET /park HTTP/1.1\r\nHost: h\r\n\r\n");
    FIXTURE_AWAIT(fx, fx->parked != NULL);
    fixture_call(fx, fx->loop, detach);
    fixture_call(fx, second, fixture_close_conn);
    fixture_expect_end(fx);
    assert_int_equal(fx->aborted, 1);
    assert_int_equal(fx->closed, 1);
}

static void a_detached_connection_may_be_closed(void **state) {
    (void)state;
    with_second_loop(close_detached_body);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_lazy_answer_goes_out_with_the_next_one), TEST(a_lazy_answer_goes_out_at_once_when_nothing_follows),
        TEST(a_parked_request_moves_to_another_loop),   TEST(a_connection_may_be_detached_inside_its_handler),
        TEST(a_detached_connection_may_be_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
