// SPDX-License-Identifier: Apache-2.0
//
// listener: accepting over TCP, its limits, and the drain of a whole listener.
#include "http_fixture.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>

static struct fixture *fx;
static struct sl_http_listener *listener;
static int port;
static unsigned max_connections;

static void listen_on_loop(struct fixture *fixture) {
    struct sl_error err;
    int fd;
    assert_int_equal(sl_net_listen(SL_STR("127.0.0.1:0"), false, &fd, &port, &err), 0);
    assert_int_equal(sl_http_listen(fixture->loop, fd, &fixture->config, max_connections, &listener, &err), 0);
}

static void free_listener(struct fixture *fixture) {
    (void)fixture;
    sl_http_listener_free(listener);
    listener = NULL;
}

static int setup(void **state) {
    (void)state;
    fx = fixture_new();
    max_connections = 100;
    return 0;
}

static int teardown(void **state) {
    (void)state;
    fixture_call(fx, fx->loop, free_listener);
    fixture_free(fx);
    return 0;
}

static int dial(void) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    fixture_set_patience(fd);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

// The fixture's client speaks on this socket from now on.
static void use(int fd) {
    fx->client = fd;
    sl_buf_clear(&fx->received, 1 << 20);
}

#define GET      "GET /size/1 HTTP/1.1\r\nHost: h\r\n\r\n"
#define OK       "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"
#define OK_CLOSE "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx"

static unsigned seen_connections;
static void count(struct fixture *fixture) {
    (void)fixture;
    seen_connections = sl_http_listener_connections(listener);
}

static void peer_on_handle(struct fixture *fixture, struct sl_http_request *request) {
    (void)fixture;
    sl_http_respond(request, 200, SL_STR(""), sl_http_conn_peer(request->conn));
}

static void connections_are_accepted_and_know_their_peer(void **state) {
    (void)state;
    fx->on_handle = peer_on_handle;
    fixture_call(fx, fx->loop, listen_on_loop);
    use(dial());
    fixture_send(fx, GET);
    fixture_expect(fx, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n127.0.0.1");
    fixture_call(fx, fx->loop, count);
    assert_int_equal(seen_connections, 1);
    close(fx->client);
    fx->client = -1;
    FIXTURE_AWAIT(fx, fx->closed == 1);
    fixture_call(fx, fx->loop, count);
    assert_int_equal(seen_connections, 0);
}

static void connections_over_the_limit_wait_until_one_closes(void **state) {
    (void)state;
    max_connections = 2;
    fixture_call(fx, fx->loop, listen_on_loop);
    int fds[3];
    for (int i = 0; i < 2; i++) {
        use(fds[i] = dial());
        fixture_send(fx, GET);
        fixture_expect(fx, OK);
    }
    use(fds[2] = dial()); // in the backlog
    fixture_send(fx, GET);
    fixture_call(fx, fx->loop, count);
    fixture_call(fx, fx->loop, count);
    assert_int_equal(seen_connections, 2);
    assert_int_equal(fx->handled, 2);
    close(fds[0]);
    fixture_expect(fx, OK);
    close(fds[1]);
}

static void without_file_descriptors_newcomers_are_closed_and_the_others_served(void **state) {
    (void)state;
    fixture_call(fx, fx->loop, listen_on_loop);
    int old = dial();
    use(old);
    fixture_send(fx, GET);
    fixture_expect(fx, OK);
    int newcomer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    fixture_set_patience(newcomer);
    struct rlimit before, none;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    int lowest = fcntl(0, F_DUPFD_CLOEXEC, 0); // the next free number: nothing fits below it
    close(lowest);
    none = before;
    none.rlim_cur = (rlim_t)lowest;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int connected = connect(newcomer, (struct sockaddr *)&address, sizeof address);
    char byte;
    ssize_t got = recv(newcomer, &byte, 1, 0);
    use(old);
    fixture_send(fx, GET);
    fixture_expect(fx, OK);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(connected, 0);
    assert_int_equal(got, 0);
    close(newcomer);
    int later = dial();
    close(old);
    use(later);
    fixture_send(fx, GET);
    fixture_expect(fx, OK);
}

// ---- drain --------------------------------------------------------------------------------------------------------

static void on_drained(void *user) {
    struct fixture *fixture = user;
    FIXTURE_CHANGE(fixture, fixture->drained++);
}

static void drain(struct fixture *fixture) { sl_http_listener_drain(listener, on_drained, fixture); }

static void a_listener_without_connections_is_drained_at_once(void **state) {
    (void)state;
    fixture_call(fx, fx->loop, listen_on_loop);
    fixture_call(fx, fx->loop, drain);
    FIXTURE_AWAIT(fx, fx->drained == 1);
}

static int backlog_fd;
static void dial_and_drain(struct fixture *fixture) {
    backlog_fd = dial(); // established, not accepted: the loop is here
    assert_int_equal(send(backlog_fd, GET, sizeof GET - 1, 0), sizeof GET - 1);
    drain(fixture);
}

static void a_request_in_the_backlog_is_answered_and_then_the_port_is_closed(void **state) {
    (void)state;
    fixture_call(fx, fx->loop, listen_on_loop);
    fixture_call(fx, fx->loop, dial_and_drain);
    use(backlog_fd);
    fixture_expect(fx, OK_CLOSE);
    fixture_expect_end(fx);
    close(backlog_fd);
    fx->client = -1;
    FIXTURE_AWAIT(fx, fx->drained == 1);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), -1);
    close(fd);
}

static void answer_parked(struct fixture *fixture) {
    struct sl_http_request *request = fixture->parked;
    FIXTURE_CHANGE(fixture, fixture->parked = NULL);
    sl_http_respond(request, 200, SL_STR(""), SL_STR("x"));
}

static void drain_waits_for_the_running_requests_and_closes_the_idle_connections(void **state) {
    (void)state;
    fixture_call(fx, fx->loop, listen_on_loop);
    int idle = dial(), busy = dial();
    use(idle);
    fixture_send(fx, GET);
    fixture_expect(fx, OK);
    use(busy);
    fixture_send(fx, "GET /park HTTP/1.1\r\nHost: h\r\n\r\n");
    FIXTURE_AWAIT(fx, fx->parked != NULL);
    fixture_call(fx, fx->loop, drain);
    use(idle);
    fixture_expect_end(fx);
    assert_int_equal(fx->drained, 0);
    fixture_call(fx, fx->loop, answer_parked);
    use(busy);
    fixture_expect(fx, OK_CLOSE);
    fixture_expect_end(fx);
    close(busy);
    close(idle);
    fx->client = -1;
    FIXTURE_AWAIT(fx, fx->drained == 1);
}

static void freeing_a_listener_aborts_what_runs(void **state) {
    (void)state;
    fixture_call(fx, fx->loop, listen_on_loop);
    use(dial());
    fixture_send(fx, "GET /park HTTP/1.1\r\nHost: h\r\n\r\n");
    FIXTURE_AWAIT(fx, fx->parked != NULL);
    fixture_call(fx, fx->loop, free_listener);
    assert_int_equal(fx->aborted, 1);
    assert_int_equal(fx->closed, 1);
    fixture_expect_end(fx);
}

// ---- load ---------------------------------------------------------------------------------------------------------

static void many_connections_at_once_are_all_served(void **state) {
    (void)state;
    enum { COUNT = 90, ROUNDS = 20 };
    fixture_call(fx, fx->loop, listen_on_loop);
    int fds[COUNT];
    for (int i = 0; i < COUNT; i++) fds[i] = dial();
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < COUNT; i++) {
            use(fds[i]);
            fixture_send(fx, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody");
        }
        for (int i = 0; i < COUNT; i++) {
            use(fds[i]);
            fixture_expect(fx, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody");
        }
    }
    for (int i = 0; i < COUNT; i++) close(fds[i]);
    fx->client = -1;
    FIXTURE_AWAIT(fx, fx->closed == COUNT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(connections_are_accepted_and_know_their_peer),
        TEST(connections_over_the_limit_wait_until_one_closes),
        TEST(without_file_descriptors_newcomers_are_closed_and_the_others_served),
        TEST(a_listener_without_connections_is_drained_at_once),
        TEST(a_request_in_the_backlog_is_answered_and_then_the_port_is_closed),
        TEST(drain_waits_for_the_running_requests_and_closes_the_idle_connections),
        TEST(freeing_a_listener_aborts_what_runs),
        TEST(many_connections_at_once_are_all_served),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
