// SPDX-License-Identifier: Apache-2.0
//
// telemetry: batches of a subscriber over HTTP and TCP, to a destination in the test's own loop that answers well,
// badly, late or not at all: what is delivered, what is dropped and told, that nothing is held beyond its bounds.
#include "runtime/subscriber.h"
#include "runtime/telemetry.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static struct sl_loop *loop;
static struct sl_subscriber subscriber;

// ---- the destination ------------------------------------------------------------------------------------------------

static struct destination {
    struct sl_watch listener, conn;
    uint16_t port;
    const char *answer; // to each request; NULL: none
    bool close_after, read_nothing;
    char seen[64 * 1024];   // everything that came
    size_t seen_len, taken; // taken: requests that were answered end here
    unsigned requests, connections;
    bool (*enough)(void);
} destination;

static void look(void) {
    if (destination.enough && destination.enough()) sl_loop_stop(loop);
}

// Answers each complete request.
static void serve(void) {
    for (;;) {
        char *at = destination.seen + destination.taken;
        char *head_end = memmem(at, destination.seen_len - destination.taken, "\r\n\r\n", 4);
        char *length = head_end ? memmem(at, (size_t)(head_end - at), "Content-Length: ", 16) : NULL;
        if (!length) return;
        size_t need = (size_t)(head_end + 4 - at) + strtoul(length + 16, NULL, 10);
        if (destination.seen_len - destination.taken < need) return;
        destination.taken += need;
        destination.requests++;
        if (destination.answer)
            assert_true(send(destination.conn.fd, destination.answer, strlen(destination.answer), 0) > 0);
        if (destination.close_after) {
            sl_watch_stop(&destination.conn);
            close(destination.conn.fd);
            destination.conn.fd = -1;
            return;
        }
    }
}

static void conn_ready(struct sl_watch *watch, uint32_t events) {
    (void)events;
    ssize_t got = recv(watch->fd, destination.seen + destination.seen_len,
                       sizeof destination.seen - 1 - destination.seen_len, MSG_DONTWAIT);
    if (got > 0) destination.seen_len += (size_t)got;
    destination.seen[destination.seen_len] = '\0';
    if (got == 0 || (got < 0 && errno != EAGAIN)) {
        sl_watch_stop(watch);
        close(watch->fd);
        watch->fd = -1;
    } else {
        serve();
    }
    look();
}

static void accept_ready(struct sl_watch *watch, uint32_t events) {
    (void)events;
    struct sl_error err;
    int fd = accept4(watch->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    destination.connections++;
    if (destination.conn.fd >= 0) { // one at a time is all that a subscriber needs
        sl_watch_stop(&destination.conn);
        close(destination.conn.fd);
    }
    if (destination.read_nothing)
        destination.conn.fd = fd;
    else
        assert_int_equal(sl_watch_start(loop, &destination.conn, fd, EPOLLIN, conn_ready, &err), 0);
    look();
}

static int new_socket(void) { return socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0); }

static void destination_bind(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = new_socket();
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    destination.port = ntohs(address.sin_port);
    destination.listener.fd = fd;
}

static void destination_listen(void) {
    struct sl_error err;
    assert_int_equal(listen(destination.listener.fd, 8), 0);
    assert_int_equal(sl_watch_start(loop, &destination.listener, destination.listener.fd, EPOLLIN, accept_ready, &err),
                     0);
}

static int setup(void **state) {
    (void)state;
    struct sl_loop_config config = {.index = 0};
    struct sl_error err;
    memset(&destination, 0, offsetof(struct destination, seen));
    destination.seen_len = destination.taken = destination.requests = destination.connections = 0;
    destination.seen[0] = '\0';
    destination.enough = NULL;
    destination.conn.fd = -1;
    destination.answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK";
    destination_bind();
    return sl_loop_new(&loop, &config, &err);
}

static int teardown(void **state) {
    (void)state;
    sl_subscriber__free(&subscriber);
    sl_watch_stop(&destination.listener);
    sl_watch_stop(&destination.conn);
    close(destination.listener.fd);
    if (destination.conn.fd >= 0) close(destination.conn.fd);
    sl_loop_free(loop);
    return 0;
}

// ---- the subscriber
// ---------------------------------------------------------------------------------------------------

static unsigned sockets_asked;
static bool keep_asking;

static void need_socket(struct sl_subscriber *who) {
    sockets_asked++;
    if (!keep_asking) sl_subscriber__socket(who, new_socket());
}

static void subscribe(struct sl_loop *on, bool http, unsigned kinds) {
    struct sl_subscription asked = {.name = "ext",
                                    .dialect = SL_DIALECT_TELEMETRY,
                                    .kinds = kinds,
                                    .max_items = 1000,
                                    .max_bytes = 262144,
                                    .timeout_ms = 25,
                                    .http = http,
                                    .port = destination.port,
                                    .host = "sandbox.localdomain",
                                    .path = "/in"};
    sockets_asked = 0;
    keep_asking = false;
    sl_subscriber__init(&subscriber, on, &asked, NULL, need_socket);
}

static void put(const char *event) { sl_subscriber__put(&subscriber, sl_str_of(event), SL_TELEMETRY_HELD_MAX); }

static void give_up(struct sl_timer *timer) {
    (void)timer;
    fail_msg("the loop waited in vain; seen: %.400s", destination.seen);
}

static void run_until(bool (*enough)(void)) {
    struct sl_timer patience = {0};
    destination.enough = enough;
    if (enough()) return;
    sl_timer_start(loop, &patience, 60000, give_up);
    sl_loop_run(loop);
    sl_timer_stop(&patience);
}

static bool one_request(void) { return destination.requests >= 1; }
static bool two_requests(void) { return destination.requests >= 2; }
static bool delivered(void) { return destination.requests >= 1 && subscriber.sending_items == 0; }

// Polls for what no socket tells.
static struct sl_timer poll_timer;
static void poll_again(struct sl_timer *timer) {
    look();
    sl_timer_start(loop, timer, 5, poll_again);
}
static void poll_until(bool (*enough)(void)) {
    sl_timer_start(loop, &poll_timer, 5, poll_again);
    run_until(enough);
    sl_timer_stop(&poll_timer);
}

static void a_batch_is_posted_as_an_array(void **state) {
    (void)state;
    destination_listen();
    subscribe(loop, true, SL_TELEMETRY_PLATFORM);
    put("{\"a\":1}");
    put("{\"b\":2}");
    run_until(one_request);
    assert_ptr_equal(strstr(destination.seen, "POST /in HTTP/1.1\r\nHost: sandbox.localdomain:"), destination.seen);
    assert_non_null(strstr(destination.seen, "Content-Type: application/json\r\nContent-Length: 17\r\n\r\n"));
    assert_non_null(strstr(destination.seen, "\r\n\r\n[{\"a\":1},{\"b\":2}]"));
}

static void a_connection_serves_batch_after_batch(void **state) {
    (void)state;
    destination_listen();
    subscribe(loop, true, SL_TELEMETRY_PLATFORM);
    put("{\"n\":1}");
    poll_until(delivered);
    put("{\"n\":2}");
    run_until(two_requests);
    assert_int_equal(destination.connections, 1);
    assert_int_equal(sockets_asked, 1);
}

static void a_destination_that_closes_gets_a_new_connection_by_the_same_socket(void **state) {
    (void)state;
    static const char *const answers[] = {"HTTP/1.0 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
                                          "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"};
    destination_listen();
    destination.close_after = true;
    subscribe(loop, true, SL_TELEMETRY_PLATFORM);
    for (unsigned i = 0; i < 3; i++) {
        destination.answer = answers[i];
        destination.requests = 0;
        put("{}");
        poll_until(delivered);
    }
    assert_int_equal(destination.connections, 3);
    assert_int_equal(sockets_asked, 1);
    assert_int_equal(subscriber.dropped_items, 0);
}

static void interim_and_chunked_answers_are_understood(void **state) {
    (void)state;
    destination_listen();
    destination.answer =
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nOK\r\n0\r\n\r\n";
    subscribe(loop, true, SL_TELEMETRY_PLATFORM);
    put("{\"n\":1}");
    poll_until(delivered);
    put("{\"n\":2}");
    run_until(two_requests);
    assert_int_equal(subscriber.dropped_items, 0);
}

static bool third_line(void) { return strstr(destination.seen, "{\"c\":3}\n") != NULL; }

static void tcp_gets_lines(void **state) {
    (void)state;
    destination_listen();
    subscribe(loop, false, SL_TELEMETRY_FUNCTION);
    put("{\"a\":1}");
    put("{\"b\":2}");
    sl_subscriber__flush(&subscriber);
    put("{\"c\":3}");
    run_until(third_line);
    assert_string_equal(destination.seen, "{\"a\":1}\n{\"b\":2}\n{\"c\":3}\n");
    assert_int_equal(destination.connections, 1);
}

static bool refused_once(void) { return subscriber.attempts >= 1; }

static void a_destination_that_listens_late_is_tried_again(void **state) {
    (void)state;
    subscribe(loop, true, SL_TELEMETRY_PLATFORM);
    put("{\"n\":1}");
    poll_until(refused_once);
    destination_listen();
    run_until(one_request);
    assert_int_equal(sockets_asked, 1);
}

static bool given_up(void) { return subscriber.sending_items == 0 && subscriber.dropped_items == 1; }
static bool told(void) { return strstr(destination.seen, "platform.logsDropped") != NULL; }

static void what_nobody_takes_is_dropped_and_told(void **state) {
    (void)state;
    subscribe(loop, true, SL_TELEMETRY_PLATFORM);
    put("{\"n\":1}");
    poll_until(given_up);
    destination_listen();
    run_until(told);
    assert_non_null(strstr(destination.seen, "\"droppedRecords\":1"));
    assert_non_null(strstr(destination.seen, "the connection was refused"));
    assert_null(strstr(destination.seen, "\"n\":1"));
}

static void an_error_status_drops_the_batch(void **state) {
    (void)state;
    destination_listen();
    destination.answer = "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n";
    subscribe(loop, true, SL_TELEMETRY_PLATFORM);
    put("{\"n\":1}");
    poll_until(given_up);
    destination.answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    run_until(told);
    assert_non_null(strstr(destination.seen, "the destination answered with an error"));
    assert_int_equal(destination.connections, 1);
}

static void nonsense_drops_the_batch(void **state) {
    (void)state;
    destination_listen();
    destination.answer = "this is not HTTP\r\n\r\n";
    subscribe(loop, true, SL_TELEMETRY_PLATFORM);
    put("{\"n\":1}");
    poll_until(given_up);
    assert_string_equal(subscriber.dropped_why, "could not send events: the connection was closed before an answer");
}

static bool accepted(void) { return destination.connections == 1; }

static void one_that_never_reads_holds_two_batches_and_no_more(void **state) {
    (void)state;
    char event[8192];
    size_t most = 0;
    memset(event, 'x', sizeof event);
    event[0] = event[sizeof event - 2] = '"';
    event[sizeof event - 1] = '\0';
    destination.read_nothing = true;
    destination_listen();
    subscribe(loop, true, SL_TELEMETRY_PLATFORM);
    put(event);
    sl_subscriber__flush(&subscriber);
    run_until(accepted);
    for (unsigned i = 0; i < 1000; i++) {
        put(event);
        if (sl_subscriber__held(&subscriber) > most) most = sl_subscriber__held(&subscriber);
    }
    assert_true(most <= 2 * 262144 + sizeof event);
    assert_true(subscriber.dropped_items > 900);
    assert_int_equal(subscriber.dropped_bytes, subscriber.dropped_items * (sizeof event - 1));
}

static void what_does_not_fit_the_instances_share_is_dropped(void **state) {
    (void)state;
    subscribe(loop, true, SL_TELEMETRY_PLATFORM);
    sl_subscriber__put(&subscriber, SL_STR("{\"n\":1}"), 5);
    assert_int_equal(subscriber.dropped_items, 1);
    assert_int_equal(sl_subscriber__held(&subscriber), 0);
}

static void a_full_batch_goes_at_once(void **state) {
    (void)state;
    destination_listen();
    subscribe(loop, true, SL_TELEMETRY_PLATFORM);
    subscriber.asked.timeout_ms = 1000 * 1000;
    for (unsigned i = 0; i < 1000; i++) put("{}");
    run_until(one_request);
    assert_int_equal(subscriber.filling_items, 0);
}

static void without_a_socket_the_batch_is_dropped(void **state) {
    (void)state;
    subscribe(loop, true, SL_TELEMETRY_PLATFORM);
    keep_asking = true;
    put("{}");
    sl_subscriber__flush(&subscriber);
    assert_int_equal(subscriber.link, SL_LINK_ASKED);
    sl_subscriber__socket(&subscriber, -1);
    assert_int_equal(subscriber.dropped_items, 1);
}

static void it_moves_to_another_loop_with_what_it_holds(void **state) {
    (void)state;
    struct sl_loop *first;
    struct sl_loop_config config = {.index = 1};
    struct sl_error err;
    assert_int_equal(sl_loop_new(&first, &config, &err), 0);
    subscribe(first, true, SL_TELEMETRY_PLATFORM);
    put("{\"n\":1}");
    sl_subscriber__detach(&subscriber);
    sl_loop_free(first);
    destination_listen();
    assert_int_equal(sl_subscriber__attach(&subscriber, loop, &err), 0);
    run_until(one_request);
    assert_non_null(strstr(destination.seen, "[{\"n\":1}]"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_batch_is_posted_as_an_array, setup, teardown),
        cmocka_unit_test_setup_teardown(a_connection_serves_batch_after_batch, setup, teardown),
        cmocka_unit_test_setup_teardown(a_destination_that_closes_gets_a_new_connection_by_the_same_socket, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(interim_and_chunked_answers_are_understood, setup, teardown),
        cmocka_unit_test_setup_teardown(tcp_gets_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(a_destination_that_listens_late_is_tried_again, setup, teardown),
        cmocka_unit_test_setup_teardown(what_nobody_takes_is_dropped_and_told, setup, teardown),
        cmocka_unit_test_setup_teardown(an_error_status_drops_the_batch, setup, teardown),
        cmocka_unit_test_setup_teardown(nonsense_drops_the_batch, setup, teardown),
        cmocka_unit_test_setup_teardown(one_that_never_reads_holds_two_batches_and_no_more, setup, teardown),
        cmocka_unit_test_setup_teardown(what_does_not_fit_the_instances_share_is_dropped, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_batch_goes_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(without_a_socket_the_batch_is_dropped, setup, teardown),
        cmocka_unit_test_setup_teardown(it_moves_to_another_loop_with_what_it_holds, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
